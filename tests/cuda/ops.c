/* SPDX-License-Identifier: MIT */
/* What moves more than it computes: every operation on odd sizes and views, against straight
 * loops. */

#include <math.h>
#include <string.h>

#include "cuda/ops.h"
#include "tests/activations.h"
#include "tests/cuda/harness.h"

typedef struct {
  const char *name;
  YoloOpType type;
  guint batch, height, width, channels;
  guint kernel, stride, pad, repeat, scale;
  YoloActivation act;
  float alpha, beta;            /* the activation's own numbers */
  guint pitch, first;           /* of both; 0: dense */
} Case;

#define ACTIVE(name_, suffix, alpha_, beta_) \
  { .name = name_, .type = YOLO_OP_ACT, .batch = 1, .height = 6, .width = 5, \
    .channels = 8 + 3 * (YOLO_ACT_##suffix % 2), .act = YOLO_ACT_##suffix, .alpha = alpha_, \
    .beta = beta_ },

static const Case cases[] = {
  { .name = "pool",
      .type = YOLO_OP_MAX_POOL,
      .batch = 2,
      .height = 7,
      .width = 5,
      .channels = 16,
      .kernel = 3,
      .stride = 2,
      .pad = 1,
      .repeat = 1,
      .pitch = 40,
      .first = 8 },
  { .name = "pool one",
      .type = YOLO_OP_MAX_POOL,
      .batch = 1,
      .height = 9,
      .width = 9,
      .channels = 13,
      .kernel = 2,
      .stride = 2,
      .pad = 0,
      .repeat = 1 },
  { .name = "chain",
      .type = YOLO_OP_MAX_POOL,
      .batch = 2,
      .height = 12,
      .width = 20,
      .channels = 32,
      .kernel = 5,
      .stride = 1,
      .pad = 2,
      .repeat = 3 },
  { .name = "chain odd",
      .type = YOLO_OP_MAX_POOL,
      .batch = 1,
      .height = 17,
      .width = 33,
      .channels = 7,
      .kernel = 5,
      .stride = 1,
      .pad = 2,
      .repeat = 3,
      .pitch = 31,
      .first = 3 },
  { .name = "chain small",
      .type = YOLO_OP_MAX_POOL,
      .batch = 1,
      .height = 2,
      .width = 3,
      .channels = 16,
      .kernel = 5,
      .stride = 1,
      .pad = 2,
      .repeat = 3 },
  { .name = "chain 9",
      .type = YOLO_OP_MAX_POOL,
      .batch = 1,
      .height = 20,
      .width = 18,
      .channels = 16,
      .kernel = 9,
      .stride = 1,
      .pad = 4,
      .repeat = 2 },
  { .name = "chain large",
      .type = YOLO_OP_MAX_POOL,
      .batch = 1,
      .height = 19,
      .width = 21,
      .channels = 16,
      .kernel = 13,
      .stride = 1,
      .pad = 6,
      .repeat = 3 },
  { .name = "upsample",
      .type = YOLO_OP_UPSAMPLE,
      .batch = 2,
      .height = 5,
      .width = 3,
      .channels = 24,
      .scale = 2,
      .pitch = 64,
      .first = 16 },
  { .name = "upsample 3 odd",
      .type = YOLO_OP_UPSAMPLE,
      .batch = 1,
      .height = 3,
      .width = 4,
      .channels = 5,
      .scale = 3,
      .pitch = 9,
      .first = 1 },
  { .name = "add",
      .type = YOLO_OP_ADD,
      .batch = 2,
      .height = 3,
      .width = 7,
      .channels = 16,
      .pitch = 32,
      .first = 16 },
  { .name = "add odd", .type = YOLO_OP_ADD, .batch = 1, .height = 3, .width = 7, .channels = 11 },
  TEST_ACTIVATIONS (ACTIVE)
  { .name = "copy odd",
      .type = YOLO_OP_COPY,
      .batch = 2,
      .height = 3,
      .width = 5,
      .channels = 13,
      .pitch = 20,
      .first = 3 },
  { .name = "copy",
      .type = YOLO_OP_COPY,
      .batch = 2,
      .height = 4,
      .width = 4,
      .channels = 16,
      .pitch = 48,
      .first = 32 },
};

typedef struct {
  YoloDType in, residual, out;
  gboolean grids;               /* what has eight bits is on grids */
} Types;

/* The steps of a view's channels. */
typedef struct {
  float *scale;                 /* [channels], or NULL: the numbers as they are */
  CUdeviceptr memory;
} Grid;

static void
grid_init (Grid *grid, const Tensor *tensor, gboolean grids, guint32 seed)
{
  guint n = tensor->channels;

  *grid = (Grid) { 0 };
  if (!grids || tensor->dtype != YOLO_S8)
    return;
  grid->scale = g_new (float, n);
  for (guint c = 0; c < n; c++)
    grid->scale[c] = (float) (.05 + .03 * test_random (&seed));
  grid->memory = yolo_cuda_alloc (test_device, n * sizeof (float), "a test", NULL);
  g_assert_cmpint (
      test_device->driver->cuMemcpyHtoD (grid->memory, grid->scale, n * sizeof (float)), ==,
      CUDA_SUCCESS);
}

static void
grid_clear (Grid *grid)
{
  g_free (grid->scale);
  yolo_cuda_free (test_device, grid->memory);
}

static double
get (const Tensor *tensor, const Grid *grid, guint n, guint y, guint x, guint c)
{
  return tensor_get (tensor, n, y, x, c) * (grid->scale != NULL ? grid->scale[c] : 1);
}

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

typedef struct {
  const Case *c;
  Tensor in, residual, out;
  Grid in_grid, residual_grid, out_grid;
} Fixture;

static double
expected (const Fixture *f, guint n, guint y, guint x, guint channel)
{
  const Case *c = f->c;
  double v;

  switch (c->type) {
    case YOLO_OP_MAX_POOL:
      return pooled (c, &f->in, n, y, x, channel % c->channels, channel / c->channels + 1);
    case YOLO_OP_UPSAMPLE:
      return tensor_get (&f->in, n, y / c->scale, x / c->scale, channel);
    case YOLO_OP_ADD:
      return get (&f->in, &f->in_grid, n, y, x, channel)
          + get (&f->residual, &f->residual_grid, n, y, x, channel);
    case YOLO_OP_ACT:
      v = get (&f->in, &f->in_grid, n, y, x, channel);
      return test_activate (c->act, c->alpha, c->beta, v);
    case YOLO_OP_COPY:
      return get (&f->in, &f->in_grid, n, y, x, channel);
    case YOLO_OP_CONV:          /* the suite of tests/backend has the others */
    case YOLO_OP_ATTENTION:
    case YOLO_OP_SHUFFLE:
    case YOLO_OP_GLOBAL_POOL:
      break;
  }
  g_assert_not_reached ();
}

/* @exact: nothing is computed but what the types round. */
static void
compare (const Fixture *f, gboolean exact)
{
  const Tensor *out = &f->out;

  for (guint n = 0; n < out->n; n++)
    for (guint y = 0; y < out->height; y++)
      for (guint x = 0; x < out->width; x++)
        for (guint i = 0; i < out->channels; i++) {
          double got = tensor_get (out, n, y, x, i), want = expected (f, n, y, x, i);
          double allowed =
              exact ? 0 : fabs (want) * (out->dtype == YOLO_F16 ? 0x1p-11 : 1e-6) + 1e-6;

          if (f->out_grid.scale != NULL) {
            double steps = CLAMP (want / f->out_grid.scale[i], -128, 127);
            want = rint (steps);
            allowed = fabs (fabs (steps - floor (steps)) - .5) < 1e-4 ? 1 : 0;
          }
          if (!(fabs (got - want) <= allowed))
            g_error ("%s from %s to %s: image %u, %u,%u channel %u: %g, expected %g", f->c->name,
                yolo_dtype_name (f->in.dtype), yolo_dtype_name (out->dtype), n, x, y, i, got, want);
        }
}

static void
run_case (const Case *c, Types types)
{
  g_autoptr (GError) error = NULL;
  guint repeat = MAX (c->repeat, 1), scale = MAX (c->scale, 1);
  guint height = c->height * scale, width = c->width * scale;
  gboolean computes =
      c->type == YOLO_OP_ADD || c->type == YOLO_OP_ACT || types.in != types.out || types.grids;
  YoloOp op = { .type = c->type,
    .numbers = { .kernel = c->kernel,
        .stride = c->stride,
        .pad = c->pad,
        .repeat = c->repeat,
        .scale = c->scale,
        .act = c->act,
        .alpha = c->alpha,
        .beta = c->beta },
    .name = c->name };
  Fixture f = { .c = c };

  if (c->type == YOLO_OP_MAX_POOL && repeat == 1) {
    height = (c->height + 2 * c->pad - c->kernel) / c->stride + 1;
    width = (c->width + 2 * c->pad - c->kernel) / c->stride + 1;
  }
  tensor_init (&f.in, types.in, c->batch, c->height, c->width, c->channels,
      c->pitch ? c->pitch : c->channels, c->first);
  tensor_randomise (&f.in, 3, types.in == YOLO_S8 ? 127 : 6);
  tensor_init (&f.out, types.out, c->batch, height, width, c->channels * repeat,
      (c->pitch ? c->pitch - c->channels : 0) + c->channels * repeat, c->first);
  if (c->type == YOLO_OP_ADD) {
    tensor_init (&f.residual, types.residual, c->batch, height, width, c->channels, c->channels, 0);
    tensor_randomise (&f.residual, 4, types.residual == YOLO_S8 ? 127 : 6);
  }
  grid_init (&f.in_grid, &f.in, types.grids, 5);
  grid_init (&f.residual_grid, &f.residual, types.grids, 6);
  grid_init (&f.out_grid, &f.out, types.grids, 7);
  YoloOpsTask task = {
    .op = &op,
    .in_dtype = types.in,
    .residual_dtype = types.residual,
    .out_dtype = types.out,
    .batch = c->batch,
    .in_height = c->height,
    .in_width = c->width,
    .out_height = height,
    .out_width = width,
    .channels = c->channels,
    .in = f.in.view,
    .residual = f.residual.view,
    .out = f.out.view,
    .in_pitch = f.in.pitch,
    .residual_pitch = f.residual.pitch,
    .out_pitch = f.out.pitch,
    .in_scale = f.in_grid.memory,
    .residual_scale = f.residual_grid.memory,
    .out_scale = f.out_grid.memory,
  };
  if (yolo_ops_launch (test_device, &task, NULL, &error)) {
    g_assert_cmpint (test_device->driver->cuStreamSynchronize (NULL), ==, CUDA_SUCCESS);
    tensor_download (&f.out);
    compare (&f, !computes);
  } else {
    /* poolings and upsampling only move */
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
    g_assert_true (computes && (c->type == YOLO_OP_MAX_POOL || c->type == YOLO_OP_UPSAMPLE));
  }
  tensor_clear (&f.in);
  tensor_clear (&f.out);
  if (c->type == YOLO_OP_ADD)
    tensor_clear (&f.residual);
  grid_clear (&f.in_grid);
  grid_clear (&f.residual_grid);
  grid_clear (&f.out_grid);
}

static void
test_case (gconstpointer data)
{
  static const Types types[] = {
    { YOLO_F32, YOLO_F32, YOLO_F32, FALSE },
    { YOLO_F16, YOLO_F16, YOLO_F16, FALSE },
    { YOLO_S8, YOLO_S8, YOLO_S8, FALSE },
    /* of networks in int8 */
    { YOLO_S8, YOLO_S8, YOLO_S8, TRUE },
    { YOLO_S8, YOLO_F16, YOLO_F16, TRUE },
    { YOLO_F16, YOLO_S8, YOLO_S8, TRUE },
    { YOLO_S8, YOLO_F16, YOLO_S8, TRUE },
    { YOLO_F16, YOLO_F32, YOLO_F32, FALSE },
  };
  const Case *c = data;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    /* whole numbers by themselves are only moved */
    if (types[i].in == YOLO_S8 && !types[i].grids
        && (c->type == YOLO_OP_ADD || c->type == YOLO_OP_ACT))
      continue;
    run_case (c, types[i]);
  }
}

/* The hardware's e^x is off by some 1e-7 times x. */
static void
test_far_numbers (void)
{
  guint n = G_N_ELEMENTS (test_far);

  for (guint k = 0; k < G_N_ELEMENTS (test_activations); k++) {
    const TestActivation *a = &test_activations[k];
    YoloOp op = { .type = YOLO_OP_ACT,
      .numbers = { .act = a->act, .alpha = a->alpha, .beta = a->beta },
      .name = (char *) a->name };
    YoloOpsTask task = { .op = &op, .in_dtype = YOLO_F32, .out_dtype = YOLO_F32, .batch = 1,
      .in_height = 1, .in_width = 1, .out_height = 1, .out_width = 1, .channels = n };
    g_autoptr (GError) error = NULL;
    Tensor in, out;

    tensor_init (&in, YOLO_F32, 1, 1, 1, n, n, 0);
    tensor_init (&out, YOLO_F32, 1, 1, 1, n, n, 0);
    for (guint i = 0; i < n; i++)
      tensor_set (&in, 0, 0, 0, i, test_far[i]);
    tensor_upload (&in);
    task.in = in.view;
    task.out = out.view;
    task.in_pitch = task.out_pitch = n;
    g_assert_true (yolo_ops_launch (test_device, &task, NULL, &error));
    g_assert_cmpint (test_device->driver->cuStreamSynchronize (NULL), ==, CUDA_SUCCESS);
    tensor_download (&out);
    for (guint i = 0; i < n; i++) {
      float got = (float) tensor_get (&out, 0, 0, 0, i);

      if (!test_far_is (a, test_far[i], got, 1e-6, 2e-5))
        g_error ("%s of %g: %g", a->name, test_far[i], got);
    }
    tensor_clear (&in);
    tensor_clear (&out);
  }
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
  g_test_add_func ("/cuda/ops/far", test_far_numbers);
  result = g_test_run ();
  test_device_close ();
  return result;
}
