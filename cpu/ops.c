/* SPDX-License-Identifier: MIT */
/* The operations besides convolutions. Their time is that of memory, so they are plain loops
 * over channels, which the compiler vectorises. */

#include "cpu/kernels.h"
#include "cpu/activation.h"
#include "cpu/epilogue.h"
#include "base/pool.h"

#define CHUNK 256u              /* channels that are worked on at a time, on the stack */

/* Pools bytes: those on a grid are in the same order as the real numbers that they stand for,
 * so that the largest byte is taken and stays on its grid. */
static void
pool_bytes (const YoloTensor *in, char *to, guint n, guint y0, guint y1, guint x0, guint x1)
{
  guint8 max[CHUNK];

  for (guint c = 0; c < in->channels; c += CHUNK) {
    guint m = MIN (CHUNK, in->channels - c);
    memset (max, 0, m);
    for (guint yy = y0; yy < y1; yy++)
      for (guint xx = x0; xx < x1; xx++) {
        const guint8 *v = (const guint8 *) yolo_tensor_at (in, n, yy, xx) + c;
        for (guint i = 0; i < m; i++)
          max[i] = MAX (max[i], v[i]);
      }
    memcpy (to + c, max, m);
  }
}

static void
pool_floats (const YoloTensor *in, char *to, YoloDType to_type, guint n, guint y0, guint y1,
    guint x0, guint x1)
{
  gsize size = yolo_dtype_size (in->dtype), to_size = yolo_dtype_size (to_type);
  float max[CHUNK], v[CHUNK];

  for (guint c = 0; c < in->channels; c += CHUNK) {
    guint m = MIN (CHUNK, in->channels - c);
    for (guint i = 0; i < m; i++)
      max[i] = -INFINITY;
    for (guint yy = y0; yy < y1; yy++)
      for (guint xx = x0; xx < x1; xx++) {
        load_f32 (v, yolo_tensor_at (in, n, yy, xx) + c * size, m, in->dtype);
        for (guint i = 0; i < m; i++)
          max[i] = max[i] > v[i] ? max[i] : v[i];
      }
    store_f32 (to + c * to_size, max, m, to_type);
  }
}

/* What all rows of one operation share. */
typedef struct {
  const YoloTensor *in, *in2, *out;     /* in2: what an addition adds; else NULL */
  guint kernel, stride, pad;
  guint scale;
  gboolean same;                /* bytes can be copied: in and out agree in type and grids */
  YoloActivation act;
  float alpha, beta;
} Run;

static void
pool_row (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *r = data;
  const YoloTensor *in = r->in;
  guint image = index / r->out->height, y = index % r->out->height, top = y * r->stride;
  guint y0 = top > r->pad ? top - r->pad : 0, y1 = MIN (top + r->kernel - r->pad, in->height);

  for (guint x = 0; x < r->out->width; x++) {
    guint left = x * r->stride, x0 = left > r->pad ? left - r->pad : 0,
          x1 = MIN (left + r->kernel - r->pad, in->width);
    char *to = yolo_tensor_at (r->out, image, y, x);

    if (in->dtype == YOLO_U8 && r->out->dtype == YOLO_U8)
      pool_bytes (in, to, image, y0, y1, x0, x1);
    else
      pool_floats (in, to, r->out->dtype, image, y0, y1, x0, x1);
  }
}

static void
max_pool (YoloPool *pool, const YoloOpNumbers *numbers, const YoloTensor *in,
    G_GNUC_UNUSED const YoloTensor *residual, const YoloTensor *out, guint n)
{
  gsize part = in->channels * yolo_dtype_size (out->dtype);
  YoloTensor from = *in, to = *out;

  for (guint i = 0; i < MAX (numbers->repeat, 1); i++) {
    Run r = { .in = &from, .out = &to, .kernel = numbers->kernel, .stride = numbers->stride,
      .pad = numbers->pad };

    yolo_pool_run (pool, n * out->height, pool_row, &r);
    /* the next pooling of the chain reads what this one wrote */
    from = to;
    from.channels = in->channels;
    to.data += part;
  }
}

static gboolean
same_grid (const YoloTensor *a, const YoloTensor *b)
{
  if (!a->scale || !b->scale)
    return !a->scale && !b->scale;
  return memcmp (a->scale, b->scale, a->channels * sizeof *a->scale) == 0
      && memcmp (a->zero, b->zero, a->channels * sizeof *a->zero) == 0;
}

static void
upsample_row (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *r = data;
  guint image = index / r->out->height, y = index % r->out->height, channels = r->in->channels;
  gsize size = yolo_dtype_size (r->in->dtype), to_size = yolo_dtype_size (r->out->dtype);

  if (r->same) {
    for (guint x = 0; x < r->out->width; x++)
      memcpy (yolo_tensor_at (r->out, image, y, x),
          yolo_tensor_at (r->in, image, y / r->scale, x / r->scale), channels * size);
    return;
  }
  /* the loop over pixels is the inner one, so that the channels' grids stay in registers */
  for (guint c = 0; c < channels; c += YOLO_LANES) {
    YoloLanes from = lanes_of (r->in, c, channels - c, FALSE),
              to = lanes_of (r->out, c, channels - c, TRUE);

    for (guint x = 0; x < r->out->width; x++) {
      YoloVec v =
          load_lanes (&from, yolo_tensor_at (r->in, image, y / r->scale, x / r->scale) + c * size);
      store_lanes (&to, yolo_tensor_at (r->out, image, y, x) + c * to_size, v, TRUE);
    }
  }
}

/* Each pixel becomes scale x scale pixels; at a scale of 1 it is a copy. */
static void
enlarge (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, guint scale)
{
  Run r = {
    .in = in, .out = out, .scale = scale, .same = in->dtype == out->dtype && same_grid (in, out)
  };
  yolo_pool_run (pool, n * out->height, upsample_row, &r);
}

static void
upsample (YoloPool *pool, const YoloOpNumbers *numbers, const YoloTensor *in,
    G_GNUC_UNUSED const YoloTensor *residual, const YoloTensor *out, guint n)
{
  enlarge (pool, in, out, n, numbers->scale);
}

/* Also converts, from any of the types to any of them. */
static void
copy (YoloPool *pool, G_GNUC_UNUSED const YoloOpNumbers *numbers, const YoloTensor *in,
    G_GNUC_UNUSED const YoloTensor *residual, const YoloTensor *out, guint n)
{
  enlarge (pool, in, out, n, 1);
}

/* A row of the output takes one row of sub-pixels, whose channels lie side by side, of each
 * pixel of the row of the input. */
static void
shuffle_row (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *r = data;
  guint image = index / r->out->height, y = index % r->out->height, channels = r->out->channels;
  gsize size = yolo_dtype_size (r->in->dtype), to_size = yolo_dtype_size (r->out->dtype);
  gboolean same = r->in->dtype == r->out->dtype && !r->in->scale && !r->out->scale;

  for (guint k = 0; k < r->scale; k++) {
    guint first = (y % r->scale * r->scale + k) * channels;

    for (guint x = 0; same && x < r->in->width; x++)
      memcpy (yolo_tensor_at (r->out, image, y, x * r->scale + k),
          yolo_tensor_at (r->in, image, y / r->scale, x) + first * size, channels * size);
    for (guint c = 0; !same && c < channels; c += YOLO_LANES) {
      YoloLanes from = lanes_of (r->in, first + c, channels - c, FALSE),
                to = lanes_of (r->out, c, channels - c, TRUE);

      for (guint x = 0; x < r->in->width; x++) {
        YoloVec v = load_lanes (
            &from, yolo_tensor_at (r->in, image, y / r->scale, x) + (first + c) * size);
        store_lanes (
            &to, yolo_tensor_at (r->out, image, y, x * r->scale + k) + c * to_size, v, TRUE);
      }
    }
  }
}

static void
shuffle (YoloPool *pool, const YoloOpNumbers *numbers, const YoloTensor *in,
    G_GNUC_UNUSED const YoloTensor *residual, const YoloTensor *out, guint n)
{
  Run r = { .in = in, .out = out, .scale = numbers->scale };
  yolo_pool_run (pool, n * out->height, shuffle_row, &r);
}

/* Some channels of one image. */
static void
global_pool_chunk (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *r = data;
  guint chunks = (r->in->channels + CHUNK - 1) / CHUNK;
  guint image = index / chunks, c = index % chunks * CHUNK, m = MIN (CHUNK, r->in->channels - c);
  gsize size = yolo_dtype_size (r->in->dtype), to_size = yolo_dtype_size (r->out->dtype);
  float sum[CHUNK] = { 0 }, v[CHUNK], pixels = (float) r->in->height * (float) r->in->width;

  for (guint y = 0; y < r->in->height; y++) {
    for (guint x = 0; x < r->in->width; x++) {
      load_real (v, r->in, yolo_tensor_at (r->in, image, y, x) + c * size, c, m);
      for (guint i = 0; i < m; i++)
        sum[i] += v[i];
    }
  }
  for (guint i = 0; i < m; i++)
    sum[i] /= pixels;
  store_real (yolo_tensor_at (r->out, image, 0, 0) + c * to_size, r->out, c, sum, m);
}

static void
global_pool (YoloPool *pool, G_GNUC_UNUSED const YoloOpNumbers *numbers, const YoloTensor *in,
    G_GNUC_UNUSED const YoloTensor *residual, const YoloTensor *out, guint n)
{
  Run r = { .in = in, .out = out };
  yolo_pool_run (pool, n * ((in->channels + CHUNK - 1) / CHUNK), global_pool_chunk, &r);
}

/* Applies a rare activation to @n numbers, at most CHUNK. */
static void
activate_rare (float *v, guint n, const Run *r)
{
  YoloVec x[CHUNK / YOLO_LANES] = { 0 };

  memcpy (x, v, n * sizeof (float));
  vec_activate_rare (x, (n + YOLO_LANES - 1) / YOLO_LANES, r->act, r->alpha, r->beta);
  memcpy (v, x, n * sizeof (float));
}

/* Applies an activation that is not rare. */
static void
activate (float *v, guint n, YoloActivation act)
{
  for (guint i = 0; i < n; i++) {
    if (act == YOLO_ACT_SILU)
      v[i] = v[i] / (1 + expf (-v[i]));
    else if (act == YOLO_ACT_RELU)
      v[i] = v[i] > 0 ? v[i] : 0;
    else if (act == YOLO_ACT_SIGMOID)
      v[i] = 1 / (1 + expf (-v[i]));
  }
}

/* out = act (in + in2) */
static void
pointwise_row (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *r = data;
  guint image = index / r->out->height, y = index % r->out->height;
  gsize size = yolo_dtype_size (r->in->dtype), size2 = r->in2 ? yolo_dtype_size (r->in2->dtype) : 0;
  gsize out_size = yolo_dtype_size (r->out->dtype);

  for (guint x = 0; x < r->out->width; x++)
    for (guint c = 0; c < r->out->channels; c += CHUNK) {
      float v[CHUNK], w[CHUNK];
      guint m = MIN (CHUNK, r->out->channels - c);

      load_real (v, r->in, yolo_tensor_at (r->in, image, y, x) + c * size, c, m);
      if (r->in2) {
        load_real (w, r->in2, yolo_tensor_at (r->in2, image, y, x) + c * size2, c, m);
        for (guint k = 0; k < m; k++)
          v[k] += w[k];
      }
      if (vec_is_rare (r->act))
        activate_rare (v, m, r);
      else
        activate (v, m, r->act);
      store_real (yolo_tensor_at (r->out, image, y, x) + c * out_size, r->out, c, v, m);
    }
}

/* act (in), or in + residual. */
static void
pointwise (YoloPool *pool, const YoloOpNumbers *numbers, const YoloTensor *in,
    const YoloTensor *residual, const YoloTensor *out, guint n)
{
  Run r = { .in = in, .in2 = residual->data ? residual : NULL, .out = out, .act = numbers->act,
    .alpha = numbers->alpha, .beta = numbers->beta };
  yolo_pool_run (pool, n * out->height, pointwise_row, &r);
}

extern YoloOpFunc YOLO_NAME (yolo_attention);

extern const YoloOps YOLO_NAME (yolo_ops);
const YoloOps YOLO_NAME (yolo_ops) = { {
    [YOLO_OP_MAX_POOL] = max_pool,
    [YOLO_OP_UPSAMPLE] = upsample,
    [YOLO_OP_ADD] = pointwise,
    [YOLO_OP_ACT] = pointwise,
    [YOLO_OP_COPY] = copy,
    [YOLO_OP_ATTENTION] = YOLO_NAME (yolo_attention),
    [YOLO_OP_SHUFFLE] = shuffle,
    [YOLO_OP_GLOBAL_POOL] = global_pool,
} };
