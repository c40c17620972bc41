/* The operations around the convolutions. They are bound by memory, so they
 * are plain loops over channels that the compiler vectorises. */

#include "cpu/kernels.h"
#include "cpu/simd.h"

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

static void
max_pool (const YoloTensor *in, const YoloTensor *out, guint n, guint kernel, guint stride, guint pad,
    guint repeat)
{
  gsize part = in->channels * yolo_dtype_size (out->dtype);
  YoloTensor from = *in;

  for (guint r = 0; r < repeat; r++) {
#pragma omp parallel for collapse(2)
    for (guint i = 0; i < n; i++)
      for (guint y = 0; y < out->height; y++)
        for (guint x = 0; x < out->width; x++)
          pool_pixel (&from, yolo_tensor_at (out, i, y, x) + r * part, out->dtype, i, y, x, kernel,
              stride, pad);
    /* the next of the chain pools what this one wrote */
    from = *out;
    from.data += r * part;
    from.channels = in->channels;
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
upsample (const YoloTensor *in, const YoloTensor *out, guint n, guint scale)
{
#pragma omp parallel for collapse(2)
  for (guint i = 0; i < n; i++)
    for (guint y = 0; y < out->height; y++)
      for (guint x = 0; x < out->width; x++)
        convert (yolo_tensor_at (out, i, y, x), out->dtype,
            yolo_tensor_at (in, i, y / scale, x / scale), in->dtype, in->channels);
}

static void
copy (const YoloTensor *in, const YoloTensor *out, guint n)
{
  upsample (in, out, n, 1);
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

/* out = act (a + b), b may be missing */
static void
pointwise (const YoloTensor *a, const YoloTensor *b, const YoloTensor *out, guint n, YoloActivation act)
{
  gsize as = yolo_dtype_size (a->dtype), bs = b ? yolo_dtype_size (b->dtype) : 0;
  gsize os = yolo_dtype_size (out->dtype);

#pragma omp parallel for collapse(2)
  for (guint i = 0; i < n; i++)
    for (guint y = 0; y < out->height; y++)
      for (guint x = 0; x < out->width; x++)
        for (guint c = 0; c < out->channels; c += CHUNK) {
          float v[CHUNK], w[CHUNK];
          guint m = MIN (CHUNK, out->channels - c);
          load_f32 (v, yolo_tensor_at (a, i, y, x) + c * as, m, a->dtype);
          if (b) {
            load_f32 (w, yolo_tensor_at (b, i, y, x) + c * bs, m, b->dtype);
            for (guint k = 0; k < m; k++)
              v[k] += w[k];
          }
          activate (v, m, act);
          store_f32 (yolo_tensor_at (out, i, y, x) + c * os, v, m, out->dtype);
        }
}

static void
add (const YoloTensor *a, const YoloTensor *b, const YoloTensor *out, guint n)
{
  pointwise (a, b, out, n, YOLO_ACT_NONE);
}

static void
act (const YoloTensor *in, const YoloTensor *out, guint n, YoloActivation act)
{
  pointwise (in, NULL, out, n, act);
}

extern const YoloOps YOLO_NAME (yolo_ops);
const YoloOps YOLO_NAME (yolo_ops) = { max_pool, upsample, add, act, copy };
