/* SPDX-License-Identifier: MIT */
/* What the CPU's kernels do with 8 bits, in every instruction set that this
 * machine has, against the definition in network/int8.h: random data, odd sizes,
 * views in guarded buffers. */

#include "cpu/kernels.h"
#include "tests/cpu/maps.h"

/* of the numbers that may be one step off: edges, and a SiLU of 14 bits */
#define SHARE .004

static YoloPool *pool;

/* A view on grids of its own, or of plain numbers. */
typedef struct {
  Map map;
  float *scale;
  gint32 *zero;
} GridMap;

static GridMap
grid_map (Random *random, guint n, guint height, guint width, guint channels, guint more,
    YoloDType dtype, gboolean one)
{
  GridMap m = { map_new (n, height, width, channels, channels + more, dtype), NULL, NULL };

  map_fill (&m.map, random);
  if (dtype != YOLO_U8)
    return m;
  m.scale = g_new (float, channels);
  m.zero = g_new (gint32, channels);
  for (guint c = 0; c < channels; c++) {
    m.scale[c] = one && c > 0 ? m.scale[0] : .01f + .001f * (float) random_int (random, 0, 50);
    m.zero[c] = one && c > 0 ? m.zero[0] : random_int (random, 0, 255);
  }
  m.map.t.scale = m.scale;
  m.map.t.zero = m.zero;
  return m;
}

static void
grid_map_free (GridMap *m)
{
  guarded_free (&m->map.memory);
  g_free (m->scale);
  g_free (m->zero);
}

/* Numbers compared, and those that are off by a step, of the output or of a
 * grid before it. */
typedef struct {
  guint n, off;
} Count;

/* @edge: what a number on the other side of two steps of an earlier grid changes; 0: there is
 * none */
static void
check_value (const YoloTensor *t, guint n, guint y, guint x, guint c, double want, double tolerance,
    double edge, Count *count)
{
  double got = get (t, n, y, x, c),
         bound = tolerance + fabs (want) * (t->dtype == YOLO_BF16 ? 1. / 250 : 2e-4);

  count->n++;
  if (t->dtype == YOLO_U8) {
    gint q = (gint) CLAMP (rintf ((float) want / t->scale[c]) + (float) t->zero[c], 0, 255);
    gint ours = ((const guint8 *) yolo_tensor_at (t, n, y, x))[c];

    g_assert_cmpfloat (ABS (ours - q), <=, 1 + edge / t->scale[c]);
    count->off += ours != q;
  } else if (!(fabs (got - want) <= bound)) {
    g_assert_cmpfloat (fabs (got - want), <=, bound + edge);
    count->off++;
  }
}

static gint8 *
random_weights (Random *random, gsize n)
{
  gint8 *weights = g_new (gint8, n);

  for (gsize i = 0; i < n; i++)
    weights[i] = (gint8) random_int (random, -128, 127);
  return weights;
}

/* Random weights for an input on these grids. */
static YoloInt8Conv
int8_new (Random *random, const YoloConv *conv, const YoloTensor *in)
{
  gsize taps = conv->kernel[0] * conv->kernel[1], each = taps * conv->in_channels;
  YoloInt8Conv q = {
    .weights = random_weights (random, each * conv->out_channels),
    .multiplier = g_new (float, conv->out_channels),
    .offset = g_new0 (gint32, conv->out_channels),
    .zero = g_memdup2 (in->zero, conv->in_channels * sizeof (gint32)),
  };

  /* as files have it, or as tables do */
  if (random_int (random, 0, 1)) {
    q.sum = (YoloGrid) { .05f, random_int (random, 60, 200) };
    q.act = (YoloGrid) { .04f, random_int (random, 20, 130) };
    if (conv->act == YOLO_ACT_SILU || conv->act == YOLO_ACT_HARD_SWISH)
      q.sigmoid = (YoloGrid) { 1 / 250.f, random_int (random, 0, 1) };
  }
  for (guint o = 0; o < conv->out_channels; o++) {
    q.multiplier[o] = (1 + (float) random_int (random, 0, 9)) * 4e-4f / sqrtf ((float) each);
    for (gsize k = 0; k < each; k++)
      q.offset[o] += q.weights[o * each + k] * q.zero[k / taps];
  }
  return q;
}

static void
int8_clear (YoloInt8Conv *q)
{
  g_free (q->weights);
  g_free (q->multiplier);
  g_free (q->offset);
  g_free (q->zero);
}

static double
round_to (YoloGrid grid, double x)
{
  return grid.scale == 0
      ? x
      : CLAMP (rintf ((float) x / grid.scale), -grid.zero, 255 - grid.zero) * grid.scale;
}

static double
conv_at (const YoloConv *c, const YoloTensor *in, guint n, guint y, guint x, guint o)
{
  gint32 sum = 0;
  double value;

  for (guint ky = 0; ky < c->kernel[0]; ky++)
    for (guint kx = 0; kx < c->kernel[1]; kx++) {
      gint iy = (gint) (y * c->stride[0] + ky * c->dilation[0]) - (gint) c->pad[0];
      gint ix = (gint) (x * c->stride[1] + kx * c->dilation[1]) - (gint) c->pad[1];

      if (iy < 0 || ix < 0 || iy >= (gint) in->height || ix >= (gint) in->width)
        continue;
      for (guint i = 0; i < c->in_channels; i++)
        sum += c->int8->weights[((o * c->in_channels + i) * c->kernel[0] + ky) * c->kernel[1] + kx]
            * (((const guint8 *) yolo_tensor_at (in, n, iy, ix))[i] - in->zero[i]);
    }
  value = (float) sum * c->int8->multiplier[o] + c->bias[o];
  if (c->int8->sum.scale != 0)
    value = round_to (c->int8->sum, value * c->int8->sum.scale);
  if (c->int8->sigmoid.scale != 0)
    value *= round_to (c->int8->sigmoid,
        c->act == YOLO_ACT_SILU ? test_activate (YOLO_ACT_SIGMOID, 0, 0, value)
                                : test_activate (YOLO_ACT_HARD_SIGMOID, 1 / 6., .5, value));
  else
    value = test_activate (c->act, c->alpha, c->beta, value);
  return round_to (c->int8->act, value);
}

typedef struct {
  guint kernel, stride, in, out, dilation;
  YoloDType out_type, residual_type;
  gboolean residual, view;
} Case;

/* Packs and runs, in guarded buffers. @residual: data NULL for none */
static void
run_kernel (const YoloConvKernel *kernel, const YoloConv *conv, const YoloTensor *in,
    const YoloTensor *residual, const YoloTensor *out, guint n)
{
  Guarded packed = guarded_new (kernel->packed_size (conv));
  Guarded scratch = guarded_new (MAX (kernel->scratch (conv, in), 1) * yolo_pool_threads (pool));

  kernel->pack (conv, packed.data);
  kernel->run (pool, conv, packed.data, in, residual, out, n, (char *) scratch.data);
  guarded_free (&packed);
  guarded_free (&scratch);
}

/* Whole numbers by Winograd's algorithm are the same to the last bit. */
static void
check_winograd (const YoloKernels *set, const YoloConv *conv, const YoloTensor *in,
    const YoloTensor *residual, const Map *out, const guint8 *before, guint n)
{
  g_autofree guint8 *direct = g_memdup2 (out->memory.data, out->memory.size);

  if (set->winograd_int8 == NULL || !set->winograd_int8->supports (conv))
    return;
  memcpy (out->memory.data, before, out->memory.size);
  run_kernel (set->winograd_int8, conv, in, residual, &out->t, n);
  g_assert_cmpmem (out->memory.data, out->memory.size, direct, out->memory.size);
}

static void
run_conv (const YoloKernels *set, const Case *t, Random *random, Count *count)
{
  const TestActivation *act =
      &test_activations[random_int (random, 0, G_N_ELEMENTS (test_activations) - 1)];
  guint n = random_int (random, 1, 2), h = random_int (random, t->kernel * t->dilation, 15);
  guint w = random_int (random, t->kernel * t->dilation, 30), more = t->view ? 5 : 0;
  g_autofree float *bias = g_new (float, t->out);
  YoloConv conv = {
    .in_channels = t->in,
    .out_channels = t->out,
    .groups = 1,
    .kernel = { t->kernel, t->kernel },
    .stride = { t->stride, t->stride },
    .pad = { t->kernel / 2, t->kernel / 2 },
    .dilation = { t->dilation, t->dilation },
    .act = act->act,
    .alpha = act->alpha,
    .beta = act->beta,
    .bias = bias,
  };
  guint oh = (h + 2 * conv.pad[0] - t->dilation * (t->kernel - 1) - 1) / t->stride + 1;
  guint ow = (w + 2 * conv.pad[1] - t->dilation * (t->kernel - 1) - 1) / t->stride + 1;
  GridMap in = grid_map (random, n, h, w, t->in, more, YOLO_U8, FALSE);
  GridMap out = grid_map (random, n, oh, ow, t->out, 2 * more, t->out_type, TRUE);
  GridMap residual = grid_map (random, n, oh, ow, t->out, 3 * more, t->residual_type, TRUE);
  g_autofree guint8 *before = g_memdup2 (out.map.memory.data, out.map.memory.size);
  YoloInt8Conv int8 = int8_new (random, &conv, &in.map.t);

  for (guint o = 0; o < t->out; o++)
    bias[o] = (float) random_normal (random);
  conv.int8 = &int8;
  if (!t->residual)
    residual.map.t.data = NULL;
  g_assert_true (set->direct_int8->supports (&conv));
  run_kernel (set->direct_int8, &conv, &in.map.t, &residual.map.t, &out.map.t, n);
  for (guint i = 0; i < n; i++)
    for (guint y = 0; y < oh; y++)
      for (guint x = 0; x < ow; x++)
        for (guint o = 0; o < t->out; o++) {
          double want = conv_at (&conv, &in.map.t, i, y, x, o);
          if (t->residual)
            want += get (&residual.map.t, i, y, x, o);
          check_value (&out.map.t, i, y, x, o, want, 4e-4,
              int8.sum.scale != 0 ? .13 : 0, count);
        }
  check_between (&out.map, before, n);
  check_winograd (set, &conv, &in.map.t, &residual.map.t, &out.map, before, n);
  int8_clear (&int8);
  grid_map_free (&in);
  grid_map_free (&out);
  grid_map_free (&residual);
}

static void
test_convolutions (gconstpointer data)
{
  static const struct { guint kernel, stride, in, out, dilation;
  } shapes[] = {
    { 1, 1, 1, 1, 1 },
    { 1, 1, 7, 3, 1 },
    { 1, 1, 16, 32, 1 },
    { 1, 1, 24, 80, 1 },
    { 1, 2, 8, 17, 1 },
    { 3, 1, 3, 16, 1 },
    { 3, 1, 16, 16, 1 },
    { 3, 1, 18, 33, 1 },
    { 3, 1, 40, 48, 1 },
    { 3, 2, 3, 16, 1 },
    { 3, 2, 31, 18, 1 },
    { 5, 1, 6, 10, 1 },
    { 6, 2, 3, 8, 1 },
    { 3, 1, 5, 9, 2 },
  };
  static const YoloDType types[][2] = { { YOLO_U8, YOLO_U8 }, { YOLO_U8, YOLO_F32 },
    { YOLO_F32, YOLO_U8 }, { YOLO_BF16, YOLO_BF16 }, { YOLO_F32, YOLO_F32 } };
  Random random = random_new (GPOINTER_TO_UINT (data));
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++) {
    Count count = { 0, 0 };

    for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
      for (guint k = 0; k < G_N_ELEMENTS (types); k++) {
        Case t = { shapes[s].kernel, shapes[s].stride, shapes[s].in, shapes[s].out,
          shapes[s].dilation, types[k][0], types[k][1], random_int (&random, 0, 1),
          random_int (&random, 0, 1) };
        run_conv (set, &t, &random, &count);
      }
    g_test_message ("%s: %u of %u numbers are one step off", set->name, count.off, count.n);
    g_assert_cmpfloat (count.off, <=, SHARE * count.n);
  }
}

/* Bytes and weights at their ends, in blocks, in stripes and at random: nothing runs
 * over on its way, and a layer whose sums could is refused by Winograd's algorithm. */
static void
run_extremes (const YoloKernels *set, Random *random, guint in_channels, guint pattern)
{
  static const guint8 bytes[] = { 255, 0 };
  static const gint8 ends[] = { -128, 127 };
  gsize each = 9 * (gsize) in_channels;
  guint out_channels = 5;
  float multiplier[5] = { 1, 1, 1, 1, 1 }, bias[5] = { 0 };
  gint32 offset[5] = { 0 };
  YoloConv conv = {
    .in_channels = in_channels,
    .out_channels = out_channels,
    .groups = 1,
    .kernel = { 3, 3 },
    .stride = { 1, 1 },
    .pad = { 1, 1 },
    .dilation = { 1, 1 },
    .act = YOLO_ACT_NONE,
    .bias = bias,
  };
  GridMap in = grid_map (random, 1, 9, 11, in_channels, 0, YOLO_U8, TRUE);
  GridMap out = grid_map (random, 1, 9, 11, out_channels, 0, YOLO_F32, TRUE);
  g_autofree guint8 *before = g_memdup2 (out.map.memory.data, out.map.memory.size);
  YoloInt8Conv int8 = { .weights = random_weights (random, each * out_channels),
    .multiplier = multiplier,
    .offset = offset,
    .zero = in.zero };
  YoloTensor residual = { 0 };

  for (gsize i = 0; i < in.map.memory.size; i++)
    in.map.memory.data[i] = bytes[pattern < 2 ? pattern
            : pattern == 2                    ? i / in_channels % 2
                                              : random_u32 (random) % 2];
  for (gsize k = 0; k < each * out_channels; k++) {
    guint which = k / each == 0 ? 0
        : k / each == 1         ? 1
        : k / each == 2         ? k % 2
                                : random_u32 (random) % 2;
    int8.weights[k] = ends[which];
    offset[k / each] += ends[which] * in.zero[k % each / 9];
  }
  conv.int8 = &int8;
  run_kernel (set->direct_int8, &conv, &in.map.t, &residual, &out.map.t, 1);
  for (guint y = 0; y < 9; y++)
    for (guint x = 0; x < 11; x++)
      for (guint o = 0; o < out_channels; o++)
        g_assert_cmpfloat (
            get (&out.map.t, 0, y, x, o), ==, (float) conv_at (&conv, &in.map.t, 0, y, x, o));
  if (set->winograd_int8 != NULL)
    g_assert_true (set->winograd_int8->supports (&conv) == (in_channels * 9 * 128 * 255 < 1 << 25));
  check_winograd (set, &conv, &in.map.t, &residual, &out.map, before, 1);
  grid_map_free (&in);
  grid_map_free (&out);
  g_free (int8.weights);
}

static void
test_extremes (void)
{
  static const guint channels[] = { 1, 16, 33, 114, 115 };
  Random random = random_new (17);
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++)
    for (guint c = 0; c < G_N_ELEMENTS (channels); c++)
      for (guint pattern = 0; pattern < 4; pattern++)
        run_extremes (set, &random, channels[c], pattern);
}

/* A convolution in floats that writes bytes, and adds them or nothing. */
static void
run_float_conv (const YoloConvKernel *kernel, Random *random, guint size, guint in_channels,
    guint out_channels, guint groups, YoloDType in_type, YoloDType residual_type, Count *count)
{
  guint per_group = in_channels / groups;
  gsize each = size * size * per_group;
  g_autofree float *weights = g_new (float, each *out_channels),
                   *bias = g_new (float, out_channels);
  YoloConv conv = {
    .in_channels = in_channels,
    .out_channels = out_channels,
    .groups = groups,
    .kernel = { size, size },
    .stride = { 1, 1 },
    .pad = { size / 2, size / 2 },
    .dilation = { 1, 1 },
    .act = random_int (random, 0, 1) ? YOLO_ACT_SILU : YOLO_ACT_NONE,
    .weights = weights,
    .bias = bias,
  };
  GridMap in = grid_map (random, 1, 9, 13, in_channels, 2, in_type, FALSE);
  GridMap out = grid_map (random, 1, 9, 13, out_channels, 4, YOLO_U8, TRUE);
  GridMap residual = grid_map (random, 1, 9, 13, out_channels, 3, residual_type, TRUE);
  gboolean plus = random_int (random, 0, 2) > 0;
  Guarded packed, scratch;

  if (!plus)
    residual.map.t.data = NULL;
  for (gsize i = 0; i < each * out_channels; i++)
    weights[i] = (float) random_normal (random) / sqrtf ((float) each);
  for (guint o = 0; o < out_channels; o++)
    bias[o] = (float) random_normal (random);
  packed = guarded_new (kernel->packed_size (&conv));
  scratch = guarded_new (MAX (kernel->scratch (&conv, &in.map.t), 1) * yolo_pool_threads (pool));
  kernel->pack (&conv, packed.data);
  kernel->run (
      pool, &conv, packed.data, &in.map.t, &residual.map.t, &out.map.t, 1, (char *) scratch.data);
  for (guint y = 0; y < 9; y++)
    for (guint x = 0; x < 13; x++)
      for (guint o = 0; o < out_channels; o++) {
        double sum = bias[o];
        guint first = o / (out_channels / groups) * per_group;
        for (guint ky = 0; ky < size; ky++)
          for (guint kx = 0; kx < size; kx++) {
            gint iy = (gint) (y + ky) - (gint) (size / 2), ix = (gint) (x + kx) - (gint) (size / 2);
            for (guint i = 0; iy >= 0 && ix >= 0 && iy < 9 && ix < 13 && i < per_group; i++)
              sum += weights[((o * per_group + i) * size + ky) * size + kx]
                  * get (&in.map.t, 0, iy, ix, first + i);
          }
        check_value (&out.map.t, 0, y, x, o,
            test_activate (conv.act, 0, 0, sum) + (plus ? get (&residual.map.t, 0, y, x, o) : 0),
            0, 0, count);
      }
  guarded_free (&packed);
  guarded_free (&scratch);
  grid_map_free (&in);
  grid_map_free (&out);
  grid_map_free (&residual);
}

static void
test_float_convolutions (void)
{
  Random random = random_new (11);
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++)
    for (guint k = 0; k < 16; k++) {
      Count count = { 0, 0 };
      YoloDType type = k % 2 ? YOLO_U8 : YOLO_F32;
      run_float_conv (set->direct, &random, k % 4 < 2 ? 1 : 3, 5 + 4 * k, 14 + 5 * k, 1, YOLO_F32,
          type, &count);
      run_float_conv (
          set->winograd, &random, 3, 5 + 4 * k, 14 + 5 * k, 1, YOLO_F32, type, &count);
      run_float_conv (set->depthwise, &random, 3 + k % 3 * 2, 3 * k + 3, 3 * k + 3, 3 * k + 3,
          k % 4 < 2 ? YOLO_U8 : YOLO_F32, type, &count);
      g_assert_cmpfloat (count.off, <=, SHARE * count.n);
    }
}

static void
test_pool (void)
{
  Random random = random_new (3);
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++)
    for (guint round = 0; round < 12; round++) {
      guint c = random_int (&random, 1, 300), repeat = round % 3 + 1,
            h = random_int (&random, 5, 12), w = random_int (&random, 5, 12);
      Map in = map_new (2, h, w, c, c + 3, YOLO_U8),
          out = map_new (2, h, w, c * repeat, c * repeat + 2, YOLO_U8);

      map_fill (&in, &random);
      set->ops->run[YOLO_OP_MAX_POOL](pool,
          &(YoloOpNumbers){ .kernel = 5, .stride = 1, .pad = 2, .repeat = repeat }, &in.t,
          &(YoloTensor){ 0 }, &out.t, 2);
      for (guint n = 0; n < 2; n++)
        for (guint y = 0; y < h; y++)
          for (guint x = 0; x < w; x++)
            for (guint k = 0; k < c * repeat; k++) {
              float max = 0;
              for (guint yy = MAX (y, 2) - 2; yy < MIN (y + 3, h); yy++)
                for (guint xx = MAX (x, 2) - 2; xx < MIN (x + 3, w); xx++)
                  max =
                      MAX (max, k < c ? get (&in.t, n, yy, xx, k) : get (&out.t, n, yy, xx, k - c));
              g_assert_cmpfloat (get (&out.t, n, y, x, k), ==, max);
            }
      guarded_free (&in.memory);
      guarded_free (&out.memory);
    }
}

/* From each of floats and bytes to each; the same grids are copied as they are. */
static void
test_conversions (void)
{
  static const YoloDType types[] = { YOLO_F32, YOLO_BF16, YOLO_U8 };
  Random random = random_new (5);
  const YoloKernels *set;

  for (guint i = 0; (set = yolo_cpu_kernels (i)) != NULL; i++)
    for (guint round = 0; round < 27; round++) {
      guint h = random_int (&random, 1, 7), w = random_int (&random, 1, 9),
            c = random_int (&random, 1, 300), scale = round / 9 + 1;
      GridMap a = grid_map (&random, 1, h, w, c, 2, types[round % 3], FALSE);
      GridMap b = grid_map (&random, 1, h, w, c, 1, types[round / 3 % 3], FALSE);
      GridMap up = grid_map (&random, 1, h * scale, w * scale, c, 3, types[round / 3 % 3], FALSE);
      GridMap sum = grid_map (&random, 1, h, w, c, 0, types[round % 3], FALSE);
      gboolean same = round % 2 && a.scale && up.scale;
      Count count = { 0, 0 };

      if (same) {
        memcpy (up.scale, a.scale, c * sizeof (float));
        memcpy (up.zero, a.zero, c * sizeof (gint32));
      }
      set->ops->run[YOLO_OP_UPSAMPLE](
          pool, &(YoloOpNumbers){ .scale = scale }, &a.map.t, &(YoloTensor){ 0 }, &up.map.t, 1);
      set->ops->run[YOLO_OP_ADD](
          pool, &(YoloOpNumbers){ 0 }, &a.map.t, &b.map.t, &sum.map.t, 1);
      for (guint y = 0; y < h * scale; y++)
        for (guint x = 0; x < w * scale; x++)
          for (guint k = 0; k < c; k++) {
            check_value (
                &up.map.t, 0, y, x, k, get (&a.map.t, 0, y / scale, x / scale, k), 0, 0, &count);
            if (y < h && x < w)
              check_value (&sum.map.t, 0, y, x, k,
                  (double) get (&a.map.t, 0, y, x, k) + get (&b.map.t, 0, y, x, k), 1e-6, 0,
                  &count);
          }
      g_assert_cmpfloat (count.off, <=, same ? 0 : 1 + SHARE * count.n);
      grid_map_free (&a);
      grid_map_free (&b);
      grid_map_free (&up);
      grid_map_free (&sum);
    }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  pool = yolo_pool_new (3);
  for (guint seed = 1; seed <= 3; seed++) {
    g_autofree char *name = g_strdup_printf ("/cpu/int8/convolutions/%u", seed);
    g_test_add_data_func (name, GUINT_TO_POINTER (seed), test_convolutions);
  }
  g_test_add_func ("/cpu/int8/extremes", test_extremes);
  g_test_add_func ("/cpu/int8/float-convolutions", test_float_convolutions);
  g_test_add_func ("/cpu/int8/pool", test_pool);
  g_test_add_func ("/cpu/int8/conversions", test_conversions);
  result = g_test_run ();
  yolo_pool_free (pool);
  return result;
}
