/* SPDX-License-Identifier: MIT */
/* Every way to compute a convolution, on odd sizes and views, against straight loops. */

#include <math.h>
#include <string.h>

#include "cuda/conv.h"
#include "cuda/half.h"
#include "tests/activations.h"
#include "tests/cuda/harness.h"

typedef struct {
  const char *name;
  guint batch, height, width;   /* in */
  guint in_channels, out_channels, groups;
  guint kernel[2], stride[2], pad[2], dilation[2];
  YoloActivation act;
  guint in_pitch, in_first, out_pitch, out_first;       /* pitches 0: dense */
  gboolean residual, out_f32;
  float alpha, beta;            /* the activation's own numbers */
} Case;

#define K1 { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }
#define K3 { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }
/* With each activation. */
#define ACTIVE(name, suffix, alpha_, beta_) \
  { "3x3 " name, 1, 5, 6, 19, 21, 1, K3, .act = YOLO_ACT_##suffix, .residual = TRUE, \
    .alpha = alpha_, .beta = beta_ },
#define K3S2 { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1 }

static const Case cases[] = {
  { "1x1", 2, 5, 7, 16, 32, 1, K1, .act = YOLO_ACT_SILU },
  { "1x1 views", 1, 5, 7, 32, 24, 1, K1, .act = YOLO_ACT_SILU, 48, 8, 40, 16 },
  { "1x1 one pixel", 1, 1, 1, 64, 64, 1, K1, .act = YOLO_ACT_NONE },
  { "1x1 to f32", 2, 4, 5, 64, 80, 1, K1, .act = YOLO_ACT_NONE, .out_f32 = TRUE },
  { "1x1 odd channels", 1, 6, 5, 91, 91, 1, K1, .act = YOLO_ACT_NONE, .out_f32 = TRUE },
  { "1x1 odd views", 1, 6, 5, 13, 7, 1, K1, .act = YOLO_ACT_RELU, 20, 3, 11, 1 },
  { "1x1 part of a vector", 2, 5, 9, 91, 40, 1, K1, .act = YOLO_ACT_SILU, 96, 0 },
  { "1x1 by words", 1, 7, 9, 21, 36, 1, K1, .act = YOLO_ACT_SILU, 28, 4, 44, 4, .residual = TRUE },
  { "1x1 stride 2", 2, 7, 6, 32, 16, 1, { 1, 1 }, { 2, 2 }, { 0, 0 }, { 1, 1 },
      .act = YOLO_ACT_NONE },
  { "1x1 padded", 1, 3, 4, 16, 8, 1, { 1, 1 }, { 1, 1 }, { 1, 2 }, { 1, 1 },
      .act = YOLO_ACT_SIGMOID },
  { "1x1 deep", 1, 9, 3, 384, 40, 1, K1, .act = YOLO_ACT_SILU },
  { "3x3", 1, 9, 11, 16, 16, 1, K3, .act = YOLO_ACT_SILU },
  { "3x3 residual", 2, 6, 5, 32, 32, 1, K3, .act = YOLO_ACT_SILU, 64, 32, 96, 32,
      .residual = TRUE },
  { "3x3 wide", 1, 12, 12, 40, 144, 1, K3, .act = YOLO_ACT_SILU },
  { "3x3 many pixels", 3, 13, 17, 8, 136, 1, K3, .act = YOLO_ACT_SIGMOID },
  { "3x3 odd classes", 1, 7, 9, 91, 91, 1, K3, .act = YOLO_ACT_SILU },
  { "3x3 part of a vector", 1, 5, 6, 83, 91, 1, K3, .act = YOLO_ACT_RELU, 112, 16,
      .out_f32 = TRUE },
  { "3x3 residual to f32", 1, 6, 5, 144, 72, 1, K3, .act = YOLO_ACT_SILU, .residual = TRUE,
      .out_f32 = TRUE },
  { "3x3 one pixel", 3, 1, 1, 80, 64, 1, K3, .act = YOLO_ACT_SILU },
  { "3x3 stride 2 stem", 2, 16, 15, 3, 16, 1, K3S2, .act = YOLO_ACT_SILU, 8, 0 },
  { "3x3 stride 2", 1, 11, 8, 24, 48, 1, K3S2, .act = YOLO_ACT_SILU },
  { "3x3 odd residual", 1, 5, 6, 19, 21, 1, K3, .act = YOLO_ACT_SILU, .residual = TRUE },
  { "6x6 stride 2", 1, 12, 14, 3, 16, 1, { 6, 6 }, { 2, 2 }, { 2, 2 }, { 1, 1 },
      .act = YOLO_ACT_SILU, 8, 0 },
  { "5x5", 1, 6, 7, 24, 40, 1, { 5, 5 }, { 1, 1 }, { 2, 2 }, { 1, 1 }, .act = YOLO_ACT_SILU },
  { "12x16 stride 3", 1, 14, 19, 8, 8, 1, { 12, 16 }, { 3, 3 }, { 5, 7 }, { 1, 1 },
      .act = YOLO_ACT_NONE },
  { "13x1", 1, 14, 5, 8, 8, 1, { 13, 1 }, { 1, 1 }, { 6, 0 }, { 1, 1 }, .act = YOLO_ACT_NONE },
  { "3x1", 1, 6, 7, 16, 24, 1, { 3, 1 }, { 1, 1 }, { 1, 0 }, { 1, 1 }, .act = YOLO_ACT_RELU },
  { "1x3", 1, 7, 6, 16, 8, 1, { 1, 3 }, { 1, 1 }, { 0, 1 }, { 1, 1 }, .act = YOLO_ACT_NONE },
  { "5x3 dilated", 1, 10, 9, 16, 24, 1, { 5, 3 }, { 1, 2 }, { 4, 2 }, { 2, 2 },
      .act = YOLO_ACT_RELU },
  { "3x3 no padding", 1, 5, 5, 8, 8, 1, { 3, 3 }, { 1, 1 }, { 0, 0 }, { 1, 1 },
      .act = YOLO_ACT_NONE },
  { "depthwise", 1, 7, 5, 24, 24, 24, K3, .act = YOLO_ACT_SILU },
  { "groups", 1, 4, 6, 32, 48, 4, K3, .act = YOLO_ACT_SILU, 40, 8, 48, 0 },
  TEST_ACTIVATIONS (ACTIVE)
};

/* The input has its channels padded to whole pixels, as the network's own. */
static gboolean
is_padded (const Case *c)
{
  return c->in_channels == 3;
}

static void
make_conv (const Case *c, YoloConv *conv, guint32 seed)
{
  gsize n = (gsize) c->out_channels * c->in_channels / c->groups * c->kernel[0] * c->kernel[1];
  float *weights = g_new (float, n), *bias = g_new (float, c->out_channels);
  double scale = 1 / sqrt ((double) n / c->out_channels);

  for (gsize i = 0; i < n; i++)
    weights[i] = (float) (test_random (&seed) * scale);
  for (guint o = 0; o < c->out_channels; o++)
    bias[o] = (float) test_random (&seed);
  *conv = (YoloConv){
    .in_channels = c->in_channels,
    .out_channels = c->out_channels,
    .groups = c->groups,
    .act = c->act,
    .alpha = c->alpha,
    .beta = c->beta,
    .weights = weights,
    .bias = bias,
  };
  memcpy (conv->kernel, c->kernel, sizeof (conv->kernel));
  memcpy (conv->stride, c->stride, sizeof (conv->stride));
  memcpy (conv->pad, c->pad, sizeof (conv->pad));
  memcpy (conv->dilation, c->dilation, sizeof (conv->dilation));
}

/* The same weights in whole numbers, each channel's on steps of its own. */
static YoloInt8Conv *
make_int8 (const YoloConv *conv, guint32 seed)
{
  gsize n = (gsize) conv->in_channels / conv->groups * conv->kernel[0] * conv->kernel[1];
  YoloInt8Conv *int8 = g_new0 (YoloInt8Conv, 1);

  int8->weights = g_new (gint8, n * conv->out_channels);
  int8->multiplier = g_new (float, conv->out_channels);
  for (guint o = 0; o < conv->out_channels; o++) {
    int8->multiplier[o] = (float) (.002 + .001 * fabs (test_random (&seed)));
    for (gsize i = 0; i < n; i++)
      int8->weights[o * n + i] =
          (gint8) CLAMP (lrintf (conv->weights[o * n + i] / int8->multiplier[o]), -128, 127);
  }
  return int8;
}

/* A weight as the type holds it. */
static double
rounded_weight (const YoloConvShape *shape, gsize i)
{
  if (shape->dtype == YOLO_S8)
    return shape->conv->int8->weights[i];
  return shape->dtype == YOLO_F16
      ? yolo_half_to_float (yolo_half_from_float (shape->conv->weights[i]))
      : shape->conv->weights[i];
}

typedef struct {
  YoloDType in, out, residual;
} Types;

typedef struct {
  const Case *c;
  YoloConv conv;
  YoloInt8Conv *int8;           /* conv.int8, of s8 */
  YoloConvShape shape;
  Tensor in, residual, out;
  CUdeviceptr weights, bias, scale, residual_scale;
  float *residual_scales;       /* [out_channels], of s8 */
  double *expected, *magnitude; /* [pixels][out_channels]; sums of absolute products */
} Fixture;

#define OUT_SCALE 0.03f

static void
expect (Fixture *f)
{
  const YoloConvShape *s = &f->shape;
  const YoloConv *conv = &f->conv;
  guint per_group = conv->in_channels / conv->groups;
  gsize i = 0;

  for (guint n = 0; n < s->batch; n++)
    for (guint y = 0; y < s->out_height; y++)
      for (guint x = 0; x < s->out_width; x++)
        for (guint o = 0; o < conv->out_channels; o++, i++) {
          double sum = 0, magnitude = fabs (conv->bias[o]);
          guint first = o / (conv->out_channels / conv->groups) * per_group;

          for (guint ky = 0; ky < conv->kernel[0]; ky++)
            for (guint kx = 0; kx < conv->kernel[1]; kx++) {
              int iy = (int) (y * conv->stride[0] + ky * conv->dilation[0]) - (int) conv->pad[0];
              int ix = (int) (x * conv->stride[1] + kx * conv->dilation[1]) - (int) conv->pad[1];

              if (iy < 0 || ix < 0 || iy >= (int) s->in_height || ix >= (int) s->in_width)
                continue;
              for (guint k = 0; k < per_group; k++) {
                double product = tensor_get (&f->in, n, (guint) iy, (guint) ix, first + k)
                    * rounded_weight (s,
                        ((o * per_group + k) * conv->kernel[0] + ky) * conv->kernel[1] + kx);
                sum += product;
                magnitude += fabs (product);
              }
            }
          if (s->dtype == YOLO_S8)
            sum *= f->int8->multiplier[o];
          sum = test_activate (conv->act, conv->alpha, conv->beta, sum + conv->bias[o]);
          if (f->c->residual)
            sum += tensor_get (&f->residual, n, y, x, o)
                * (s->residual_dtype == YOLO_S8 ? f->residual_scales[o] : 1);
          f->expected[i] = sum;
          f->magnitude[i] = magnitude;
        }
}

static CUdeviceptr
upload (const void *data, gsize size)
{
  CUdeviceptr memory = yolo_cuda_alloc (test_device, size, "a test", NULL);

  g_assert_cmpint (test_device->driver->cuMemcpyHtoD (memory, data, size), ==, CUDA_SUCCESS);
  return memory;
}

static void
fixture_init (Fixture *f, const Case *c, Types types)
{
  YoloDType dtype = types.in;
  guint padded = dtype == YOLO_F32 ? 4 : dtype == YOLO_F16 ? 8 : 16;
  guint in_pitch = is_padded (c) ? padded : c->in_pitch ? c->in_pitch : c->in_channels;
  guint out_pitch = c->out_pitch ? c->out_pitch : c->out_channels;
  guint32 seed = 77;

  *f = (Fixture) { .c = c };
  make_conv (c, &f->conv, 5);
  f->shape = (YoloConvShape) {
    .conv = &f->conv, .batch = c->batch, .in_height = c->height, .in_width = c->width,
    .in_channels = is_padded (c) ? padded : c->in_channels, .dtype = dtype,
    .out_dtype = c->out_f32 ? YOLO_F32 : types.out, .residual_dtype = types.residual,
  };
  YoloConvShape *s = &f->shape;
  s->out_height =
      (c->height + 2 * c->pad[0] - c->dilation[0] * (c->kernel[0] - 1) - 1) / c->stride[0] + 1;
  s->out_width =
      (c->width + 2 * c->pad[1] - c->dilation[1] * (c->kernel[1] - 1) - 1) / c->stride[1] + 1;

  tensor_init (&f->in, dtype, c->batch, c->height, c->width, s->in_channels, in_pitch, c->in_first);
  tensor_randomise (&f->in, 1, dtype == YOLO_S8 ? 127 : 2);
  for (guint i = 0; is_padded (c) && i < c->batch * c->height * c->width; i++)
    for (guint k = 3; k < padded; k++)
      tensor_set (&f->in, 0, 0, i, k, 0);
  tensor_upload (&f->in);
  tensor_init (&f->out, s->out_dtype, c->batch, s->out_height, s->out_width, c->out_channels,
      out_pitch, c->out_first);
  if (c->residual) {
    tensor_init (&f->residual, types.residual, c->batch, s->out_height, s->out_width,
        c->out_channels, out_pitch, c->out_first);
    tensor_randomise (&f->residual, 2, types.residual == YOLO_S8 ? 127 : 2);
    s->residual_pitch = f->residual.pitch;
    s->residual_align = tensor_align (&f->residual);
  }
  s->in_pitch = in_pitch;
  s->in_align = tensor_align (&f->in);
  s->out_pitch = out_pitch;
  s->out_align = tensor_align (&f->out);

  if (dtype == YOLO_S8)
    f->conv.int8 = f->int8 = make_int8 (&f->conv, 78);
  f->residual_scales = g_new (float, c->out_channels);
  for (guint o = 0; o < c->out_channels; o++)
    f->residual_scales[o] = (float) (.02 + .01 * test_random (&seed));
  g_autofree void *packed = g_malloc (yolo_conv_packed_size (s));
  yolo_conv_pack (s, packed);
  f->weights = upload (packed, yolo_conv_packed_size (s));
  f->bias = upload (f->conv.bias, c->out_channels * sizeof (float));
  f->scale = dtype == YOLO_S8 ? upload (f->int8->multiplier, c->out_channels * sizeof (float)) : 0;
  f->residual_scale =
      types.residual == YOLO_S8 ? upload (f->residual_scales, c->out_channels * sizeof (float)) : 0;
  gsize n = (gsize) c->batch * s->out_height * s->out_width * c->out_channels;
  f->expected = g_new (double, n);
  f->magnitude = g_new (double, n);
  expect (f);
}

static void
fixture_clear (Fixture *f)
{
  yolo_cuda_free (test_device, f->weights);
  yolo_cuda_free (test_device, f->bias);
  yolo_cuda_free (test_device, f->scale);
  yolo_cuda_free (test_device, f->residual_scale);
  tensor_clear (&f->in);
  tensor_clear (&f->out);
  if (f->c->residual)
    tensor_clear (&f->residual);
  g_free ((float *) f->conv.weights);
  g_free ((float *) f->conv.bias);
  if (f->int8 != NULL) {
    g_free (f->int8->weights);
    g_free (f->int8->multiplier);
    g_free (f->int8);
  }
  g_free (f->residual_scales);
  g_free (f->expected);
  g_free (f->magnitude);
}

/* Sums in float are off by some 2^-24 of the absolute products a term; half
 * rounds the result to 2^-11; eight bits to a step, where the sum is near its middle. */
static void
compare (const Fixture *f, const char *way)
{
  const YoloConvShape *s = &f->shape;
  gsize i = 0;

  for (guint n = 0; n < s->batch; n++)
    for (guint y = 0; y < s->out_height; y++)
      for (guint x = 0; x < s->out_width; x++)
        for (guint o = 0; o < f->conv.out_channels; o++, i++) {
          double got = tensor_get (&f->out, n, y, x, o), expected = f->expected[i];
          double allowed =
              1e-5 + 3e-6 * (s->dtype == YOLO_S8 ? 1 : f->magnitude[i]) + 1e-6 * fabs (expected);

          if (s->out_dtype == YOLO_F16)
            allowed += fabs (expected) * 0x1p-11 + 1e-6;
          if (s->out_dtype == YOLO_S8) {
            double steps = CLAMP (expected / OUT_SCALE, -128, 127);
            expected = rint (steps);
            allowed = fabs (fabs (steps - floor (steps)) - .5) < allowed / OUT_SCALE ? 1 : 0;
          }
          if (!(fabs (got - expected) <= allowed))
            g_error ("%s, %s > %s: %s at image %u, %u,%u channel %u: %g, expected %g (+- %g)",
                f->c->name, yolo_dtype_name (s->dtype), yolo_dtype_name (s->out_dtype), way, n, x,
                y, o, got, expected, allowed);
        }
}

static guint
run_all (Fixture *f, YoloConvList make_list)
{
  g_autoptr (GError) error = NULL;
  YoloConvCandidate list[YOLO_CONV_MAX_CANDIDATES];
  guint n = make_list (test_device, &f->shape, list, G_N_ELEMENTS (list), &error);

  g_assert_no_error (error);
  for (guint i = 0; i < n; i++) {
    YoloConvArgs args = {
      .in = f->in.view,
      .out = f->out.view,
      .residual = f->c->residual ? f->residual.view : 0,
      .weights = f->weights,
      .bias = f->bias,
      .scale = f->scale,
      .residual_scale = f->residual_scale,
      .out_scale = f->shape.out_dtype == YOLO_S8 ? OUT_SCALE : 0,
    };

    memset (f->out.host, 0xff, f->out.size);
    tensor_upload (&f->out);
    args.workspace =
        list[i].workspace ? yolo_cuda_alloc (test_device, list[i].workspace, "a test", &error) : 0;
    g_assert_no_error (error);
    list[i].launch (&list[i], test_device, &f->shape, &args, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpint (test_device->driver->cuStreamSynchronize (NULL), ==, CUDA_SUCCESS);
    tensor_download (&f->out);
    compare (f, list[i].name);
    yolo_cuda_free (test_device, args.workspace);
  }
  return n;
}

/* What tensor cores compute in, and what networks in int8 mix. The last two only
 * where there is a residual. */
static const Types mixes[] = {
  { YOLO_F16, YOLO_F16, YOLO_F16 }, { YOLO_S8, YOLO_S8, YOLO_S8 }, { YOLO_S8, YOLO_F16, YOLO_F16 },
  { YOLO_F16, YOLO_S8, YOLO_S8 }, { YOLO_S8, YOLO_S8, YOLO_F16 }, { YOLO_F16, YOLO_F16, YOLO_S8 },
};

static guint
n_mixes (const Case *c)
{
  return G_N_ELEMENTS (mixes) - (c->residual ? 0 : 2);
}

static void
test_simt (gconstpointer data)
{
  const Case *c = data;

  for (guint i = 0; i <= n_mixes (c); i++) {
    Types types = i > 0 ? mixes[i - 1] : (Types) { YOLO_F32, YOLO_F32, YOLO_F32 };
    Fixture f;
    fixture_init (&f, c, types);
    g_assert_cmpuint (run_all (&f, yolo_conv_simt_list), >, 0);
    fixture_clear (&f);
  }
}

static void
test_mma (gconstpointer data)
{
  const Case *c = data;

  for (guint i = 0; i < n_mixes (c); i++) {
    Fixture f;
    fixture_init (&f, c, mixes[i]);
    guint n = run_all (&f, yolo_conv_mma_list);
    g_test_message ("%s: %u ways", yolo_dtype_name (mixes[i].in), n);
    g_assert_true ((n > 0) == (c->groups == 1 && c->kernel[0] <= 12));
    fixture_clear (&f);
  }
}

/* Engines of cuDNN's, whichever it has; they run on a card only. */
static void
test_cudnn (void)
{
  guint ways = 0;

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++)
    for (guint i = 0; i < n_mixes (&cases[c]); i++) {
      Fixture f;
      fixture_init (&f, &cases[c], mixes[i]);
      guint n = run_all (&f, yolo_conv_cudnn_list);
      g_test_message ("%s %s: %u engines", cases[c].name, yolo_dtype_name (mixes[i].in), n);
      ways += n;
      fixture_clear (&f);
    }
  if (ways == 0)
    g_test_skip ("there is no cuDNN, or it does not run here");
}

/* All numbers there are: to float and back, and what lies between them to the nearest. */
static void
test_half (void)
{
  for (guint i = 0; i < 65536; i++) {
    float value = yolo_half_to_float ((guint16) i);
    guint16 back = yolo_half_from_float (value);

    if ((i & 0x7fff) > 0x7c00)
      g_assert_true (isnan (value) && (back & 0x7fff) > 0x7c00);
    else
      g_assert_cmphex (back, ==, i);
  }
  for (guint i = 0; i < 0x7bff; i++) {
    float a = yolo_half_to_float ((guint16) i), b = yolo_half_to_float ((guint16) (i + 1)),
          middle = (a + b) / 2;

    g_assert_cmphex (yolo_half_from_float (middle), ==, i + (i & 1));
    g_assert_cmphex (yolo_half_from_float (nextafterf (middle, 0)), ==, i);
    g_assert_cmphex (yolo_half_from_float (nextafterf (middle, INFINITY)), ==, i + 1);
    g_assert_cmphex (yolo_half_from_float (-middle), ==, 0x8000 | (i + (i & 1)));
  }
  g_assert_cmphex (yolo_half_from_float (65519.99f), ==, 0x7bff);
  g_assert_cmphex (yolo_half_from_float (65520), ==, 0x7c00);
  g_assert_cmphex (yolo_half_from_float (1e-10f), ==, 0);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  g_test_add_func ("/cuda/conv/half", test_half);
  g_test_add_func ("/cuda/conv/cudnn", test_cudnn);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *simt = g_strdup_printf ("/cuda/conv/simt/%s", cases[i].name);
    g_autofree char *mma = g_strdup_printf ("/cuda/conv/mma/%s", cases[i].name);
    g_test_add_data_func (simt, &cases[i], test_simt);
    g_test_add_data_func (mma, &cases[i], test_mma);
  }
  result = g_test_run ();
  test_device_close ();
  return result;
}
