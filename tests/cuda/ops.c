/* What moves more than it computes: every operation on odd sizes and views, against straight loops. */

#include <math.h>
#include <string.h>

#include "cuda/ops.h"
#include "tests/cuda/harness.h"

typedef struct {
  const char *name;
  YoloOpType type;
  guint batch, height, width, channels;
  guint kernel, stride, pad, repeat, scale;
  YoloActivation act;
  guint pitch, first;           /* of both; 0: dense */
} Case;

static const Case cases[] = {
  { .name = "pool", .type = YOLO_OP_MAX_POOL, .batch = 2, .height = 7, .width = 5, .channels = 16, .kernel = 3, .stride = 2, .pad = 1, .repeat = 1, .pitch = 40, .first = 8 },
  { .name = "pool one", .type = YOLO_OP_MAX_POOL, .batch = 1, .height = 9, .width = 9, .channels = 13, .kernel = 2, .stride = 2, .pad = 0, .repeat = 1 },
  { .name = "chain", .type = YOLO_OP_MAX_POOL, .batch = 2, .height = 12, .width = 20, .channels = 32, .kernel = 5, .stride = 1, .pad = 2, .repeat = 3 },
  { .name = "chain odd", .type = YOLO_OP_MAX_POOL, .batch = 1, .height = 17, .width = 33, .channels = 7, .kernel = 5, .stride = 1, .pad = 2, .repeat = 3, .pitch = 31, .first = 3 },
  { .name = "chain small", .type = YOLO_OP_MAX_POOL, .batch = 1, .height = 2, .width = 3, .channels = 16, .kernel = 5, .stride = 1, .pad = 2, .repeat = 3 },
  { .name = "chain 9", .type = YOLO_OP_MAX_POOL, .batch = 1, .height = 20, .width = 18, .channels = 16, .kernel = 9, .stride = 1, .pad = 4, .repeat = 2 },
  { .name = "chain large", .type = YOLO_OP_MAX_POOL, .batch = 1, .height = 19, .width = 21, .channels = 16, .kernel = 13, .stride = 1, .pad = 6, .repeat = 3 },
  { .name = "upsample", .type = YOLO_OP_UPSAMPLE, .batch = 2, .height = 5, .width = 3, .channels = 24, .scale = 2, .pitch = 64, .first = 16 },
  { .name = "upsample 3 odd", .type = YOLO_OP_UPSAMPLE, .batch = 1, .height = 3, .width = 4, .channels = 5, .scale = 3, .pitch = 9, .first = 1 },
  { .name = "add", .type = YOLO_OP_ADD, .batch = 2, .height = 3, .width = 7, .channels = 16, .pitch = 32, .first = 16 },
  { .name = "add odd", .type = YOLO_OP_ADD, .batch = 1, .height = 3, .width = 7, .channels = 11 },
  { .name = "silu", .type = YOLO_OP_ACT, .batch = 1, .height = 6, .width = 5, .channels = 32, .act = YOLO_ACT_SILU },
  { .name = "sigmoid odd", .type = YOLO_OP_ACT, .batch = 1, .height = 6, .width = 5, .channels = 3, .act = YOLO_ACT_SIGMOID },
  { .name = "relu", .type = YOLO_OP_ACT, .batch = 1, .height = 6, .width = 5, .channels = 8, .act = YOLO_ACT_RELU },
  { .name = "copy", .type = YOLO_OP_COPY, .batch = 2, .height = 4, .width = 4, .channels = 16, .pitch = 48, .first = 32 },
};

/* One of a chain's poolings: the window grows by kernel - 1 each time. */
static double
pooled (const Case *c, const Tensor *in, guint n, guint y, guint x, guint channel, guint times)
{
  int reach = (int) (c->repeat > 1 ? c->kernel / 2 * times : 0);
  int y0 = c->repeat > 1 ? (int) y - reach : (int) (y * c->stride) - (int) c->pad;
  int x0 = c->repeat > 1 ? (int) x - reach : (int) (x * c->stride) - (int) c->pad;
  int side = c->repeat > 1 ? 2 * reach + 1 : (int) c->kernel;
  double max = -INFINITY;

  for (int iy = MAX (y0, 0); iy < MIN (y0 + side, (int) in->height); iy++)
    for (int ix = MAX (x0, 0); ix < MIN (x0 + side, (int) in->width); ix++)
      max = MAX (max, tensor_get (in, n, (guint) iy, (guint) ix, channel));
  return max;
}

static double
expected (const Case *c, const Tensor *in, const Tensor *residual, guint n, guint y, guint x, guint channel)
{
  double v;

  switch (c->type) {
    case YOLO_OP_MAX_POOL:
      return pooled (c, in, n, y, x, channel % c->channels, channel / c->channels + 1);
    case YOLO_OP_UPSAMPLE:
      return tensor_get (in, n, y / c->scale, x / c->scale, channel);
    case YOLO_OP_ADD:
      return tensor_get (in, n, y, x, channel) + tensor_get (residual, n, y, x, channel);
    case YOLO_OP_ACT:
      v = tensor_get (in, n, y, x, channel);
      return c->act == YOLO_ACT_RELU ? MAX (v, 0) : 1 / (1 + exp (-v)) * (c->act == YOLO_ACT_SILU ? v : 1);
    default:
      return tensor_get (in, n, y, x, channel);
  }
}

static void
run_case (const Case *c, YoloDType dtype)
{
  g_autoptr (GError) error = NULL;
  guint repeat = MAX (c->repeat, 1), scale = MAX (c->scale, 1);
  guint height = c->height * scale, width = c->width * scale;
  gboolean computes = c->type == YOLO_OP_ADD || c->type == YOLO_OP_ACT;
  YoloOp op = { .type = c->type, .kernel = c->kernel, .stride = c->stride, .pad = c->pad, .repeat = c->repeat,
    .scale = c->scale, .act = c->act, .name = c->name };
  Tensor in, residual = { 0 }, out;

  if (c->type == YOLO_OP_MAX_POOL && repeat == 1) {
    height = (c->height + 2 * c->pad - c->kernel) / c->stride + 1;
    width = (c->width + 2 * c->pad - c->kernel) / c->stride + 1;
  }
  tensor_init (&in, dtype, c->batch, c->height, c->width, c->channels, c->pitch ? c->pitch : c->channels, c->first);
  tensor_randomise (&in, 3, dtype == YOLO_S8 ? 127 : 6);
  tensor_init (&out, dtype, c->batch, height, width, c->channels * repeat,
      (c->pitch ? c->pitch - c->channels : 0) + c->channels * repeat, c->first);
  if (c->type == YOLO_OP_ADD) {
    tensor_init (&residual, dtype, c->batch, height, width, c->channels, c->channels, 0);
    tensor_randomise (&residual, 4, 6);
  }
  YoloOpsTask task = {
    .op = &op, .dtype = dtype, .batch = c->batch, .in_height = c->height, .in_width = c->width,
    .out_height = height, .out_width = width, .channels = c->channels,
    .in = in.view, .residual = residual.view, .out = out.view,
    .in_pitch = in.pitch, .residual_pitch = residual.pitch, .out_pitch = out.pitch,
  };
  gboolean done = yolo_ops_launch (test_device, &task, NULL, &error);
  if (computes && dtype == YOLO_S8) {
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
    g_assert_false (done);
  } else {
    g_assert_no_error (error);
    g_assert_cmpint (test_device->driver->cuStreamSynchronize (NULL), ==, CUDA_SUCCESS);
    tensor_download (&out);
  }
  for (guint n = 0; done && n < c->batch; n++)
    for (guint y = 0; y < height; y++)
      for (guint x = 0; x < width; x++)
        for (guint i = 0; i < out.channels; i++) {
          double got = tensor_get (&out, n, y, x, i), want = expected (c, &in, &residual, n, y, x, i);
          double allowed = !computes ? 0 : fabs (want) * (dtype == YOLO_F16 ? 0x1p-11 : 1e-6) + 1e-6;

          if (!(fabs (got - want) <= allowed))
            g_error ("%s in %s: image %u, %u,%u channel %u: %g, expected %g", c->name, yolo_dtype_name (dtype), n, x, y,
                i, got, want);
        }
  tensor_clear (&in);
  tensor_clear (&out);
  if (c->type == YOLO_OP_ADD)
    tensor_clear (&residual);
}

static void
test_case (gconstpointer data)
{
  run_case (data, YOLO_F32);
  run_case (data, YOLO_F16);
  run_case (data, YOLO_S8);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/cuda/ops/%s", cases[i].name);
    g_test_add_data_func (path, &cases[i], test_case);
  }
  result = g_test_run ();
  test_device_close ();
  return result;
}
