/* SPDX-License-Identifier: MIT */
#include "network/onnx/tensor.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

Tensor *
yolo_onnx_tensor_new (
    TensorScope *scope, gboolean is_int, guint n_dims, const gint64 *dims, GError **error)
{
  Tensor *tensor;
  gsize n = 1, extent = 1;      /* extent counts dimensions of 0 as 1, since loops run over them */

  for (guint d = 0; d < n_dims && d < TENSOR_MAX_DIMS; d++) {
    if (dims[d] < 0 || !g_size_checked_mul (&extent, extent, (gsize) MAX (dims[d], 1))
        || !g_size_checked_mul (&n, n, (gsize) dims[d])) {
      yolo_network_set_error (error, FORMAT, "node '%.100s': a tensor has impossible dimensions",
          scope->node != NULL ? scope->node->name : "");
      return NULL;
    }
  }
  if (n_dims > TENSOR_MAX_DIMS || extent > scope->max_elements || extent > scope->left) {
    yolo_network_set_error (error, UNSUPPORTED,
        "node '%.100s': a tensor of %" G_GSIZE_FORMAT " elements in %u "
        "dimensions is more than the reader evaluates; export the model with a smaller imgsz or "
        "with dynamic=True",
        scope->node != NULL ? scope->node->name : "", extent, n_dims);
    return NULL;
  }
  scope->left -= extent;

  tensor = g_new0 (Tensor, 1);
  tensor->ref = 1;
  tensor->is_int = is_int;
  tensor->n_dims = n_dims;
  if (n_dims > 0)
    memcpy (tensor->dims, dims, n_dims * sizeof (gint64));
  tensor->n = n;
  if (is_int)
    tensor->i = g_try_new0 (gint64, MAX (n, 1));
  else
    tensor->f = g_try_new0 (float, MAX (n, 1));
  if (tensor->i == NULL && tensor->f == NULL) {
    g_free (tensor);
    yolo_network_set_error (error, YOLO_NETWORK_ERROR_MEMORY, "out of memory");
    return NULL;
  }
  return tensor;
}

Tensor *
yolo_onnx_tensor_ref (Tensor *tensor)
{
  tensor->ref++;
  return tensor;
}

void
yolo_onnx_tensor_unref (Tensor *tensor)
{
  if (tensor == NULL)
    return;
  if (--tensor->ref > 0)
    return;
  g_free (tensor->f);
  g_free (tensor->i);
  g_free (tensor);
}

/* The value of an IEEE 754 binary16. */
static float
half_to_float (guint16 half)
{
  guint32 sign = (guint32) (half & 0x8000) << 16, exponent = (half >> 10) & 31,
          mantissa = half & 1023;
  guint32 bits;
  float value;

  if (exponent == 0) {
    value = ldexpf ((float) mantissa, -24);
    return sign ? -value : value;
  }
  bits = sign | (exponent == 31 ? 255u << 23 : (exponent + 112) << 23) | mantissa << 13;
  memcpy (&value, &bits, 4);
  return value;
}

static float
float_element (const Onnx__TensorProto *proto, gsize i)
{
  guint16 h;
  guint32 w;
  guint64 d;
  float f;
  double value;

  switch (proto->data_type) {
    case ONNX_FLOAT16:
    case ONNX_BFLOAT16:
      if (proto->has_raw_data) {
        memcpy (&h, proto->raw_data.data + 2 * i, 2);
        h = GUINT16_FROM_LE (h);
      } else {
        h = (guint16) proto->int32_data[i];
      }
      if (proto->data_type == ONNX_FLOAT16)
        return half_to_float (h);
      w = (guint32) h << 16;
      memcpy (&f, &w, 4);
      return f;
    case ONNX_DOUBLE:
      if (!proto->has_raw_data)
        return (float) proto->double_data[i];
      memcpy (&d, proto->raw_data.data + 8 * i, 8);
      d = GUINT64_FROM_LE (d);
      memcpy (&value, &d, 8);
      return (float) value;
    default:
      if (!proto->has_raw_data)
        return proto->float_data[i];
      memcpy (&w, proto->raw_data.data + 4 * i, 4);
      w = GUINT32_FROM_LE (w);
      memcpy (&f, &w, 4);
      return f;
  }
}

static gint64
int_element (const Onnx__TensorProto *proto, gsize i)
{
  const guint8 *raw = proto->has_raw_data
      ? proto->raw_data.data + i * yolo_onnx_type_size (proto->data_type)
      : NULL;
  guint16 h;
  guint32 w;
  guint64 d;

  switch (proto->data_type) {
    case ONNX_INT64:
    case ONNX_UINT64:
      if (raw == NULL)
        return proto->data_type == ONNX_INT64 ? proto->int64_data[i]
                                              : (gint64) proto->uint64_data[i];
      memcpy (&d, raw, 8);
      return (gint64) GUINT64_FROM_LE (d);
    case ONNX_INT32:
    case ONNX_UINT32:
      if (raw == NULL)
        return proto->data_type == ONNX_INT32 ? proto->int32_data[i]
                                              : (gint64) (guint32) proto->uint64_data[i];
      memcpy (&w, raw, 4);
      w = GUINT32_FROM_LE (w);
      return proto->data_type == ONNX_INT32 ? (gint64) (gint32) w : (gint64) w;
    case ONNX_INT16:
    case ONNX_UINT16:
      if (raw == NULL)
        return proto->int32_data[i];
      memcpy (&h, raw, 2);
      h = GUINT16_FROM_LE (h);
      return proto->data_type == ONNX_INT16 ? (gint64) (gint16) h : (gint64) h;
    case ONNX_INT8:
      return raw != NULL ? (gint64) (gint8) * raw : proto->int32_data[i];
    default:
      return raw != NULL ? (gint64) * raw : proto->int32_data[i];
  }
}

Tensor *
yolo_onnx_tensor_from_proto (const Onnx__TensorProto *proto, const char *what, GError **error)
{
  TensorScope scope = { 0 };
  gboolean is_int = proto->data_type != ONNX_FLOAT && proto->data_type != ONNX_FLOAT16
      && proto->data_type != ONNX_BFLOAT16 && proto->data_type != ONNX_DOUBLE;
  g_autoptr (Tensor) tensor = NULL;
  gsize n;

  if (!yolo_onnx_check_proto (proto, what, &n, error))
    return NULL;
  if (proto->n_dims > TENSOR_MAX_DIMS) {
    yolo_network_set_error (
        error, UNSUPPORTED, "%.100s has more than %d dimensions", what, TENSOR_MAX_DIMS);
    return NULL;
  }
  /* The numbers are in memory already, so their size is no mere claim any more. */
  scope.max_elements = scope.left = MAX (n, 1 << 20);
  tensor = yolo_onnx_tensor_new (&scope, is_int, proto->n_dims, proto->dims, error);
  if (tensor == NULL)
    return NULL;
  for (gsize i = 0; i < n; i++) {
    if (is_int) {
      tensor->i[i] = int_element (proto, i);
      continue;
    }
    tensor->f[i] = float_element (proto, i);
    if (!isfinite (tensor->f[i])) {
      yolo_network_set_error (error, FORMAT,
          "%.100s holds a NaN or an infinity at element %" G_GSIZE_FORMAT
          "; the training diverged or the file is damaged",
          what, i);
      return NULL;
    }
  }
  return g_steal_pointer (&tensor);
}

void
yolo_onnx_tensor_split (const Tensor *t, guint axis, gsize *outer, gsize *inner)
{
  *outer = *inner = 1;
  for (guint d = 0; d < axis; d++)
    *outer *= t->dims[d];
  for (guint d = axis + 1; d < t->n_dims; d++)
    *inner *= t->dims[d];
}

gboolean
yolo_onnx_tensor_axis (
    const OnnxNode *node, gint64 axis, guint n_dims, guint *resolved, GError **error)
{
  if (axis < 0)
    axis += n_dims;
  if (axis < 0 || axis >= n_dims)
    return yolo_onnx_bad (node, "axis out of range", error);
  *resolved = (guint) axis;
  return TRUE;
}

gboolean
yolo_onnx_tensor_ints (const OnnxNode *node, const Tensor *input, const char *attribute,
    const gint64 **values, gsize *n, GError **error)
{
  if (input != NULL) {
    if (!input->is_int)
      return yolo_onnx_bad (node, "an input that should hold integers does not", error);
    *values = input->i;
    *n = input->n;
  } else {
    *values = attribute != NULL ? yolo_onnx_attr_ints (node, attribute, n) : NULL;
    if (*values == NULL)
      *n = 0;
  }
  return TRUE;
}

void
yolo_onnx_tensor_copy (Tensor *to, gsize at, const Tensor *from, gsize start, gsize n)
{
  if (n == 0)
    return;
  if (to->is_int)
    memcpy (to->i + at, from->i + start, n * sizeof (gint64));
  else
    memcpy (to->f + at, from->f + start, n * sizeof (float));
}

Tensor *
yolo_onnx_tensor_shape (
    TensorScope *scope, const OnnxNode *node, guint n_dims, const gint64 *dims, GError **error)
{
  gint64 start = yolo_onnx_attr_int (node, "start", 0),
         end = yolo_onnx_attr_int (node, "end", n_dims), n;
  Tensor *out;

  start = CLAMP (start < 0 ? start + n_dims : start, 0, n_dims);
  end = CLAMP (end < 0 ? end + n_dims : end, 0, n_dims);
  n = MAX (end - start, 0);
  out = yolo_onnx_tensor_new (scope, TRUE, 1, &n, error);
  if (out != NULL && n > 0)
    memcpy (out->i, dims + start, n * sizeof (gint64));
  return out;
}

gboolean
yolo_onnx_tensor_broadcast (const OnnxNode *node, const Tensor *a, guint n_b, const gint64 *b,
    guint *n_dims, gint64 *dims, GError **error)
{
  *n_dims = MAX (a->n_dims, n_b);
  for (guint d = 0; d < *n_dims; d++) {
    gint64 x = d + a->n_dims >= *n_dims ? a->dims[d + a->n_dims - *n_dims] : 1;
    gint64 y = d + n_b >= *n_dims ? b[d + n_b - *n_dims] : 1;
    if (x != y && x != 1 && y != 1)
      return yolo_onnx_bad (node, "its inputs do not fit each other", error);
    dims[d] = x == 1 ? y : x;
  }
  return TRUE;
}

/* How far to step through @in along each dimension of @out; 0 where @in is repeated. */
static void
broadcast_strides (const Tensor *in, const Tensor *out, gsize *strides)
{
  gsize stride = 1;

  for (guint d = out->n_dims; d-- > 0;) {
    gint64 dim = d + in->n_dims >= out->n_dims ? in->dims[d + in->n_dims - out->n_dims] : 1;
    strides[d] = dim == 1 ? 0 : stride;
    stride *= (gsize) dim;
  }
}

void
yolo_onnx_tensor_walk_init (TensorWalk *walk, const Tensor *in, const Tensor *out)
{
  memset (walk, 0, sizeof *walk);
  walk->out = out;
  broadcast_strides (in, out, walk->strides);
}
