/* The operations around the convolutions. They are bound by memory, so they
 * are plain loops over channels that the compiler vectorises. */

#include "cpu/kernels.h"
#include "cpu/simd.h"
#include "network/pool.h"

#define CHUNK 256u              /* channels that are worked on at a time, on the stack */

static void
pool_pixel (const YoloTensor *in, char *to, YoloDType to_type, guint n, guint y, guint x,
    guint kernel, guint stride, guint pad)
{
  gsize size = yolo_dtype_size (in->dtype), to_size = yolo_dtype_size (to_type);
  guint y0 = y * stride > pad ? y * stride - pad : 0, x0 = x * stride > pad ? x * stride - pad : 0;
  guint y1 = MIN (y * stride + kernel - pad, in->height), x1 = MIN (x * stride + kernel - pad, in->width);
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

/* One operation: what all rows share. */
typedef struct {
  const YoloTensor *in, *in2, *out;     /* in2: of additions, or NULL */
  guint kernel, stride, pad;
  guint scale;
  YoloActivation act;
} Run;

static void
pool_row (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *r = data;
  guint image = index / r->out->height, y = index % r->out->height;

  for (guint x = 0; x < r->out->width; x++)
    pool_pixel (r->in, yolo_tensor_at (r->out, image, y, x), r->out->dtype, image, y, x, r->kernel, r->stride, r->pad);
}

static void
max_pool (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, guint kernel, guint stride, guint pad,
    guint repeat)
{
  gsize part = in->channels * yolo_dtype_size (out->dtype);
  YoloTensor from = *in, to = *out;

  for (guint i = 0; i < repeat; i++) {
    Run r = { .in = &from, .out = &to, .kernel = kernel, .stride = stride, .pad = pad };

    yolo_pool_run (pool, n * out->height, pool_row, &r);
    /* the next of the chain pools what this one wrote */
    from = to;
    from.channels = in->channels;
    to.data += part;
  }
}

static void
convert (char *to, YoloDType to_type, const char *from, YoloDType from_type, guint channels)
{
  float v[CHUNK];
  if (to_type == from_type) {
    memcpy (to, from, channels * yolo_dtype_size (to_type));
    return;
  }
  for (guint c = 0; c < channels; c += CHUNK) {
    guint m = MIN (CHUNK, channels - c);
    load_f32 (v, from + c * yolo_dtype_size (from_type), m, from_type);
    store_f32 (to + c * yolo_dtype_size (to_type), v, m, to_type);
  }
}

static void
upsample_row (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *r = data;
  guint image = index / r->out->height, y = index % r->out->height;

  for (guint x = 0; x < r->out->width; x++)
    convert (yolo_tensor_at (r->out, image, y, x), r->out->dtype,
        yolo_tensor_at (r->in, image, y / r->scale, x / r->scale), r->in->dtype, r->in->channels);
}

static void
upsample (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, guint scale)
{
  Run r = { .in = in, .out = out, .scale = scale };
  yolo_pool_run (pool, n * out->height, upsample_row, &r);
}

static void
copy (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n)
{
  upsample (pool, in, out, n, 1);
}

static void
activate (float *v, guint n, YoloActivation act)
{
  for (guint i = 0; i < n; i++)
    switch (act) {
      case YOLO_ACT_NONE: break;
      case YOLO_ACT_SILU: v[i] = v[i] / (1 + expf (-v[i])); break;
      case YOLO_ACT_RELU: v[i] = v[i] > 0 ? v[i] : 0; break;
      case YOLO_ACT_SIGMOID: v[i] = 1 / (1 + expf (-v[i])); break;
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

      load_f32 (v, yolo_tensor_at (r->in, image, y, x) + c * size, m, r->in->dtype);
      if (r->in2) {
        load_f32 (w, yolo_tensor_at (r->in2, image, y, x) + c * size2, m, r->in2->dtype);
        for (guint k = 0; k < m; k++)
          v[k] += w[k];
      }
      activate (v, m, r->act);
      store_f32 (yolo_tensor_at (r->out, image, y, x) + c * out_size, v, m, r->out->dtype);
    }
}

static void
add (YoloPool *pool, const YoloTensor *a, const YoloTensor *b, const YoloTensor *out, guint n)
{
  Run r = { .in = a, .in2 = b, .out = out };
  yolo_pool_run (pool, n * out->height, pointwise_row, &r);
}

static void
act (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, YoloActivation activation)
{
  Run r = { .in = in, .out = out, .act = activation };
  yolo_pool_run (pool, n * out->height, pointwise_row, &r);
}

extern const YoloOps YOLO_NAME (yolo_ops);
const YoloOps YOLO_NAME (yolo_ops) = { max_pool, upsample, add, act, copy };
