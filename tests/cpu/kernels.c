/* SPDX-License-Identifier: MIT */
/* Every kernel of cpu/, in every instruction set that this machine has,
 * against its definition in double: random data, odd sizes, views in guarded
 * buffers, float and bf16. */

#include "cpu/kernels.h"
#include "tests/cpu/maps.h"

#include <math.h>

static YoloPool *pool;

static double
conv_at (const YoloConv *c, const float *weights, const YoloTensor *in, guint n, guint y, guint x,
    guint o)
{
  guint ins = c->in_channels / c->groups, group = o / (c->out_channels / c->groups);
  double sum = c->bias[o];

  for (guint ky = 0; ky < c->kernel[0]; ky++)
    for (guint kx = 0; kx < c->kernel[1]; kx++) {
      gint iy = (gint) (y * c->stride[0] + ky * c->dilation[0]) - (gint) c->pad[0];
      gint ix = (gint) (x * c->stride[1] + kx * c->dilation[1]) - (gint) c->pad[1];

      if (iy < 0 || ix < 0 || iy >= (gint) in->height || ix >= (gint) in->width)
        continue;
      for (guint i = 0; i < ins; i++)
        sum += (double) weights[((o * ins + i) * c->kernel[0] + ky) * c->kernel[1] + kx]
            * get (in, n, iy, ix, group * ins + i);
    }
  return sum;
}

typedef struct {
  YoloConv conv;
  float *weights, *bias;
  guint n, height, width;
  YoloDType in_type, out_type;
  gboolean residual, view;
} Case;

static guint
out_size (const YoloConv *c, guint i, guint in)
{
  return (in + 2 * c->pad[i] - c->dilation[i] * (c->kernel[i] - 1) - 1) / c->stride[i] + 1;
}

typedef struct {
  Map in, out, residual;
  guint8 *before;
} Maps;

static Maps
maps_new (const Case *t, Random *random)
{
  const YoloConv *c = &t->conv;
  guint h = out_size (c, 0, t->height), w = out_size (c, 1, t->width), more = t->view ? 5 : 0;
  Maps m;

  m.in = map_new (t->n, t->height, t->width, c->in_channels, c->in_channels + more, t->in_type);
  m.out = map_new (t->n, h, w, c->out_channels, c->out_channels + 2 * more, t->out_type);
  m.residual = map_new (t->n, h, w, c->out_channels, c->out_channels + 3 * more, t->out_type);
  map_fill (&m.in, random);
  map_fill (&m.out, random);
  map_fill (&m.residual, random);
  if (!t->residual)
    m.residual.t.data = NULL;
  m.before = g_memdup2 (m.out.memory.data, m.out.memory.size);
  return m;
}

static void
maps_free (Maps *m)
{
  guarded_free (&m->in.memory);
  guarded_free (&m->out.memory);
  guarded_free (&m->residual.memory);
  g_free (m->before);
}

/* Tolerance: of a sum of `depth` products of unit variance, relative to its
 * size; and what storing rounds off. SiLU is rough where bf16 is stored (vec_silu_rough()). */
static void
check (const Case *t, const Maps *m, const float *weights, double tolerance, const char *what)
{
  const YoloConv *c = &t->conv;
  double depth = (double) c->in_channels / c->groups * c->kernel[0] * c->kernel[1];
  double scale = t->in_type == YOLO_U8 ? 255 : 1;

  for (guint n = 0; n < t->n; n++)
    for (guint y = 0; y < m->out.t.height; y++)
      for (guint x = 0; x < m->out.t.width; x++)
        for (guint o = 0; o < c->out_channels; o++) {
          double want = test_activate (
              c->act, c->alpha, c->beta, conv_at (c, weights, &m->in.t, n, y, x, o));
          double bound, got = get (&m->out.t, n, y, x, o);
          double rough =
              t->out_type == YOLO_BF16 && c->act == YOLO_ACT_SILU ? fabs (want) / 8000 : 0;

          if (m->residual.t.data)
            want += get (&m->residual.t, n, y, x, o);
          bound = tolerance * sqrt (depth) * scale + rough
              + fabs (want) * (t->out_type == YOLO_BF16 ? 1. / 255 : 1e-6);
          if (!(fabs (got - want) <= bound))
            g_error ("%s: %ux%u kernel, stride %u, %u to %u channels, %u groups, %ux%ux%u, %s to "
                     "%s%s%s, "
                     "at %u %u %u %u: %g, should be %g",
                what, c->kernel[0], c->kernel[1], c->stride[0], c->in_channels, c->out_channels,
                c->groups, t->n, t->height, t->width, yolo_dtype_name (t->in_type),
                yolo_dtype_name (t->out_type), t->residual ? ", residual" : "",
                t->view ? ", view" : "", n, y, x, o, got, want);
        }
  check_between (&m->out, m->before, t->n);
}

/* Whether this thread's tile registers of AMX are configured: the components 17 and 18 of what the
 * processor has in use of the extended state. Source: Intel's Software Developer's Manual, volume
 * 1, "Managing State Using the XSAVE Feature Set". */
static gboolean
has_tiles (void)
{
#ifdef __x86_64__
  guint32 low, high;

  __asm__ volatile ("xgetbv" : "=a" (low), "=d" (high) : "c" (1));
  return (low & 3u << 17) != 0;
#else
  return FALSE;
#endif
}

static void
run_kernel (
    const YoloConvKernel *kernel, const char *set, const Case *t, Random *random, gboolean dots)
{
  const YoloConv *c = &t->conv;
  gsize n_weights =
      (gsize) c->out_channels * c->in_channels / c->groups * c->kernel[0] * c->kernel[1];
  g_autofree float *weights = g_memdup2 (t->weights, n_weights * sizeof (float));
  g_autofree char *what = g_strdup_printf ("%s, %s", kernel->name, set);
  Guarded packed, scratch;
  Maps m;

  if (!kernel->supports (c))
    return;
  /* the kernel rounds weights and inputs that are no bf16 yet */
  for (gsize i = 0; dots && i < n_weights; i++)
    weights[i] = to_bf16 (weights[i]);
  m = maps_new (t, random);
  packed = guarded_new (kernel->packed_size (c));
  scratch = guarded_new (MAX (kernel->scratch (c, &m.in.t), 1) * yolo_pool_threads (pool));
  kernel->pack (c, packed.data);
  kernel->run (pool, c, packed.data, &m.in.t, &m.residual.t, &m.out.t, t->n, (char *) scratch.data);
  if (yolo_cpu_kernels (0)->amx)
    g_assert_false (has_tiles ());
  /* Winograd's transforms amplify rounding: about 20 times at F(4x4, 3x3), half as
   * much again on a CPU that rounds between a product and its sum */
  check (t, &m, weights,
      dots && t->in_type == YOLO_F32          ? 2e-2
          : strstr (kernel->name, "winograd") ? 5e-5
                                              : 8e-6,
      what);
  guarded_free (&packed);
  guarded_free (&scratch);
  maps_free (&m);
}

static Case
case_new (Random *random, guint kernel, guint stride, guint in, guint out, guint groups)
{
  const TestActivation *act =
      &test_activations[random_int (random, 0, G_N_ELEMENTS (test_activations) - 1)];
  Case t = {
    .conv = { .in_channels = in * groups,
        .out_channels = out * groups,
        .groups = groups,
        .kernel = { kernel, kernel },
        .stride = { stride, stride },
        .pad = { kernel / 2, kernel / 2 },
        .dilation = { 1, 1 },
        .act = act->act,
        .alpha = act->alpha,
        .beta = act->beta },
    .n = random_int (random, 1, 3),
    .height = random_int (random, 1, 14),
    .width = random_int (random, 1, 70),
    .residual = random_int (random, 0, 1),
    .view = random_int (random, 0, 1),
  };
  gsize n = (gsize) t.conv.out_channels * in * kernel * kernel;

  t.weights = g_new (float, n);
  t.bias = g_new (float, t.conv.out_channels);
  for (gsize i = 0; i < n; i++)
    t.weights[i] = (float) random_normal (random);
  for (guint i = 0; i < t.conv.out_channels; i++)
    t.bias[i] = (float) random_normal (random);
  t.conv.weights = t.weights;
  t.conv.bias = t.bias;
  return t;
}

static void
test_convolutions (gconstpointer data)
{
  static const struct { guint kernel, stride, in, out, groups;
  } shapes[] = {
    { 1, 1, 1, 1, 1 },
    { 1, 1, 7, 3, 1 },
    { 1, 1, 16, 32, 1 },
    { 1, 1, 24, 80, 1 },
    { 1, 1, 136, 40, 1 },
    { 1, 2, 8, 17, 1 },
    { 3, 1, 1, 1, 1 },
    { 3, 1, 3, 16, 1 },
    { 3, 1, 16, 16, 1 },
    { 3, 1, 17, 33, 1 },
    { 3, 1, 40, 48, 1 },
    { 3, 1, 80, 72, 1 },
    { 3, 2, 3, 16, 1 },
    { 3, 2, 16, 32, 1 },
    { 3, 2, 31, 18, 1 },
    { 5, 1, 6, 10, 1 },
    { 6, 2, 3, 8, 1 },
    { 3, 1, 2, 3, 4 },
    { 3, 1, 1, 1, 16 },
    { 3, 1, 1, 2, 9 },
    { 9, 1, 1, 1, 5 },
    { 17, 2, 2, 9, 1 },
  };
  static const YoloDType types[][2] = { { YOLO_F32, YOLO_F32 }, { YOLO_U8, YOLO_F32 },
    { YOLO_U8, YOLO_BF16 }, { YOLO_BF16, YOLO_BF16 }, { YOLO_BF16, YOLO_F32 },
    { YOLO_F32, YOLO_BF16 } };
  Random random = random_new (GPOINTER_TO_UINT (data));

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint k = 0; k < G_N_ELEMENTS (types); k++) {
      Case t = case_new (&random, shapes[s].kernel, shapes[s].stride, shapes[s].in, shapes[s].out,
          shapes[s].groups);
      const YoloKernels *set;

      /* a kernel that is larger than the padded map has no output */
      t.height = MAX (t.height, shapes[s].kernel);
      t.width = MAX (t.width, shapes[s].kernel);
      t.in_type = types[k][0];
      t.out_type = types[k][1];
      for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++) {
        run_kernel (set->direct, set->name, &t, &random, FALSE);
        run_kernel (set->winograd, set->name, &t, &random, FALSE);
        run_kernel (set->depthwise, set->name, &t, &random, FALSE);
        if (set->direct_bf16)
          run_kernel (set->direct_bf16, set->name, &t, &random, TRUE);
      }
      g_free (t.weights);
      g_free (t.bias);
    }
}

/* Maps smaller and larger than a tile, channels that do and do not fill vectors, and any padding:
 * none, windows that are all padding, another one on each axis. */
static void
test_depthwise (gconstpointer data)
{
  static const guint channels[] = { 1, 3, 4, 9, 16, 21, 40 };
  static const YoloDType types[] = { YOLO_F32, YOLO_BF16, YOLO_U8 };
  Random random = random_new (GPOINTER_TO_UINT (data));

  for (guint round = 0; round < 150; round++) {
    guint kernel = 3 + 2 * (round % 3), stride = 1 + round / 3 % 2;
    guint groups = channels[random_int (&random, 0, G_N_ELEMENTS (channels) - 1)];
    Case t = case_new (&random, kernel, stride, 1, 1, groups);
    const YoloKernels *set;

    for (guint i = 0; i < 2; i++)
      t.conv.pad[i] = random_int (&random, 0, 2) ? kernel / 2 : (guint) random_int (&random, 0, 8);
    t.height = MAX (t.height + 20 * (round % 2), kernel);
    t.width = MAX (t.width, kernel);
    t.in_type = types[random_int (&random, 0, 2)];
    t.out_type = types[random_int (&random, 0, 1)];
    for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++) {
      g_assert_true (set->depthwise->supports (&t.conv));
      run_kernel (set->depthwise, set->name, &t, &random, FALSE);
      if (set->depthwise_bf16)
        run_kernel (set->depthwise_bf16, set->name, &t, &random, FALSE);
    }
    g_free (t.weights);
    g_free (t.bias);
  }
}

/* What is left to direct.c. */
static void
test_not_depthwise (void)
{
  const YoloConv good = { .in_channels = 8, .out_channels = 8, .groups = 8, .kernel = { 3, 3 },
    .stride = { 2, 2 }, .pad = { 1, 1 }, .dilation = { 1, 1 } };
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++) {
    YoloConv bad[13];

    for (guint k = 0; k < G_N_ELEMENTS (bad); k++)
      bad[k] = good;
    bad[0].groups = 4;
    bad[1].out_channels = 16;
    bad[2].kernel[0] = 5;
    bad[3].kernel[1] = 5;
    bad[4].kernel[0] = bad[4].kernel[1] = 1;
    bad[5].kernel[0] = bad[5].kernel[1] = 4;
    bad[6].kernel[0] = bad[6].kernel[1] = 9;
    bad[7].stride[0] = 1;
    bad[8].stride[1] = 1;
    bad[9].stride[0] = bad[9].stride[1] = 3;
    bad[10].dilation[0] = 2;
    bad[11].dilation[1] = 2;
    bad[12].in_channels = 16;
    YoloConv large = good;

    g_assert_true (set->depthwise->supports (&good));
    large.kernel[0] = large.kernel[1] = 255;
    g_assert_true (set->direct->supports (&large));
    large.dilation[1] = 2;
    g_assert_false (set->direct->supports (&large));
    for (guint k = 0; k < G_N_ELEMENTS (bad); k++)
      g_assert_false (set->depthwise->supports (&bad[k]));
  }
}

/* Dilation, padding of its own on each axis, kernels that are not square. */
static void
test_uneven (void)
{
  Random random = random_new (7);
  Case t = case_new (&random, 3, 1, 9, 20, 1);
  const YoloKernels *set;

  t.conv.kernel[1] = 2;
  t.conv.pad[0] = 2;
  t.conv.pad[1] = 0;
  t.conv.dilation[0] = 2;
  t.conv.stride[1] = 3;
  t.height = 9;
  t.width = 23;
  t.in_type = t.out_type = YOLO_F32;
  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++)
    run_kernel (set->direct, set->name, &t, &random, FALSE);
  g_free (t.weights);
  g_free (t.bias);
}

static void
test_far_numbers (void)
{
  guint n = G_N_ELEMENTS (test_far);
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++)
    for (guint k = 0; k < G_N_ELEMENTS (test_activations); k++) {
      const TestActivation *a = &test_activations[k];
      YoloOpNumbers numbers = { .act = a->act, .alpha = a->alpha, .beta = a->beta };
      Map in = map_new (1, 1, 1, n, n, YOLO_F32), out = map_new (1, 1, 1, n, n, YOLO_F32);

      memcpy (in.t.data, test_far, sizeof test_far);
      set->ops->run[YOLO_OP_ACT](pool, &numbers, &in.t, &(YoloTensor){ 0 }, &out.t, 1);
      for (guint v = 0; v < n; v++) {
        float got = get (&out.t, 0, 0, 0, v);

        if (!test_far_is (a, test_far[v], got, a->act <= YOLO_ACT_SIGMOID ? 1e-30 : 1e-6, 1e-6))
          g_error ("%s, %s of %g: %g", set->name, a->name, test_far[v], got);
      }
      guarded_free (&in.memory);
      guarded_free (&out.memory);
    }
}

static double
pooled (
    const YoloTensor *in, guint n, guint y, guint x, guint c, guint kernel, guint stride, guint pad)
{
  double max = -INFINITY;

  for (guint ky = 0; ky < kernel; ky++)
    for (guint kx = 0; kx < kernel; kx++) {
      gint iy = (gint) (y * stride + ky) - (gint) pad, ix = (gint) (x * stride + kx) - (gint) pad;
      if (iy >= 0 && ix >= 0 && iy < (gint) in->height && ix < (gint) in->width)
        max = MAX (max, get (in, n, iy, ix, c));
    }
  return max;
}

static void
test_pool (void)
{
  Random random = random_new (3);
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++)
    for (guint round = 0; round < 24; round++) {
      YoloDType type = round % 2 ? YOLO_BF16 : YOLO_F32;
      guint repeat = round % 3 == 0 ? 3 : 1, kernel = (guint[]) { 2, 3, 5, 9, 13 }[round % 5];
      guint stride = repeat == 1 && kernel < 4 ? 2 : 1, pad = kernel / 2;
      guint h = random_int (&random, kernel, 21), w = random_int (&random, kernel, 21),
            c = random_int (&random, 1, 40);
      guint oh, ow;
      Map in, out;

      if (repeat > 1 && kernel % 2 == 0)
        kernel = 5, pad = 2;
      h = MAX (h, kernel), w = MAX (w, kernel);
      oh = (h + 2 * pad - kernel) / stride + 1, ow = (w + 2 * pad - kernel) / stride + 1;
      in = map_new (2, h, w, c, c + 3, type);
      out = map_new (2, oh, ow, c * repeat, c * repeat + 4, type);
      map_fill (&in, &random);
      set->ops->run[YOLO_OP_MAX_POOL](pool,
          &(YoloOpNumbers){ .kernel = kernel, .stride = stride, .pad = pad, .repeat = repeat },
          &in.t, &(YoloTensor){ 0 }, &out.t, 2);
      for (guint n = 0; n < 2; n++)
        for (guint y = 0; y < oh; y++)
          for (guint x = 0; x < ow; x++)
            for (guint k = 0; k < c * repeat; k++) {
              YoloTensor before = out.t;
              double want = k < c ? pooled (&in.t, n, y, x, k, kernel, stride, pad)
                  : pooled (&before, n, y, x, k - c, kernel, 1, pad);
              g_assert_cmpfloat (get (&out.t, n, y, x, k), ==, want);
            }
      guarded_free (&in.memory);
      guarded_free (&out.memory);
    }
}

static void
test_others (void)
{
  Random random = random_new (5);
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++)
    for (guint round = 0; round < 16; round++) {
      YoloDType from = round % 2 ? YOLO_BF16 : YOLO_F32, to = round % 4 < 2 ? YOLO_BF16 : YOLO_F32;
      guint h = random_int (&random, 1, 7), w = random_int (&random, 1, 9),
            c = random_int (&random, 1, 70), scale = random_int (&random, 1, 3);
      Map a = map_new (2, h, w, c, c + 2, from), b = map_new (2, h, w, c, c + 1, from);
      Map up = map_new (2, h * scale, w * scale, c, c + 3, to), sum = map_new (2, h, w, c, c, to);

      map_fill (&a, &random);
      map_fill (&b, &random);
      set->ops->run[YOLO_OP_UPSAMPLE](
          pool, &(YoloOpNumbers){ .scale = scale }, &a.t, &(YoloTensor){ 0 }, &up.t, 2);
      set->ops->run[YOLO_OP_ADD](
          pool, &(YoloOpNumbers){ 0 }, &a.t, &b.t, &sum.t, 2);
      for (guint n = 0; n < 2; n++)
        for (guint y = 0; y < h * scale; y++)
          for (guint x = 0; x < w * scale; x++)
            for (guint k = 0; k < c; k++) {
              float v = get (&a.t, n, y / scale, x / scale, k), s;
              g_assert_cmpfloat (get (&up.t, n, y, x, k), ==, to == YOLO_BF16 ? to_bf16 (v) : v);
              if (y >= h || x >= w)
                continue;
              s = get (&a.t, n, y, x, k) + get (&b.t, n, y, x, k);
              g_assert_cmpfloat (get (&sum.t, n, y, x, k), ==, to == YOLO_BF16 ? to_bf16 (s) : s);
            }
      guarded_free (&a.memory);
      guarded_free (&b.memory);
      guarded_free (&up.memory);
      guarded_free (&sum.memory);
    }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  pool = yolo_pool_new (3);
  for (guint seed = 1; seed <= 4; seed++) {
    g_autofree char *name = g_strdup_printf ("/cpu/convolutions/%u", seed);
    g_test_add_data_func (name, GUINT_TO_POINTER (seed), test_convolutions);
  }
  for (guint seed = 1; seed <= 3; seed++) {
    g_autofree char *name = g_strdup_printf ("/cpu/depthwise/%u", seed);
    g_test_add_data_func (name, GUINT_TO_POINTER (seed), test_depthwise);
  }
  g_test_add_func ("/cpu/not-depthwise", test_not_depthwise);
  g_test_add_func ("/cpu/uneven", test_uneven);
  g_test_add_func ("/cpu/activations", test_far_numbers);
  g_test_add_func ("/cpu/pool", test_pool);
  g_test_add_func ("/cpu/others", test_others);
  result = g_test_run ();
  yolo_pool_free (pool);
  return result;
}
