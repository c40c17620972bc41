/* SPDX-License-Identifier: MIT */
#include "network/onnx/tensor.h"
#include "base/error.h"
#include "network/onnx/select.h"

#include <math.h>
#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

static gboolean
bad (const OnnxNode *node, const char *what, GError **error)
{
  return yolo_network_fail (error, FORMAT, ONNX_NODE_FORMAT ": %s", ONNX_NODE_ARGS (node), what);
}

Tensor *
tensor_new (TensorScope *scope, gboolean is_int, guint n_dims, const gint64 *dims, GError **error)
{
  Tensor *tensor;
  gsize n = 1, extent = 1;      /* the second counts dimensions of 0 as 1: loops run over them */

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
tensor_ref (Tensor *tensor)
{
  tensor->ref++;
  return tensor;
}

void
tensor_unref (Tensor *tensor)
{
  if (tensor == NULL)
    return;
  if (--tensor->ref > 0)
    return;
  g_free (tensor->f);
  g_free (tensor->i);
  g_free (tensor);
}

/* IEEE 754 binary16 to float. */
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
  const guint8 *raw =
      proto->has_raw_data ? proto->raw_data.data + i * onnx_type_size (proto->data_type) : NULL;
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
tensor_from_proto (const Onnx__TensorProto *proto, const char *what, GError **error)
{
  TensorScope scope = { 0 };
  gboolean is_int = proto->data_type != ONNX_FLOAT && proto->data_type != ONNX_FLOAT16
      && proto->data_type != ONNX_BFLOAT16 && proto->data_type != ONNX_DOUBLE;
  g_autoptr (Tensor) tensor = NULL;
  gsize n;

  if (!onnx_tensor_check (proto, what, &n, error))
    return NULL;
  if (proto->n_dims > TENSOR_MAX_DIMS) {
    yolo_network_set_error (
        error, UNSUPPORTED, "%.100s has more than %d dimensions", what, TENSOR_MAX_DIMS);
    return NULL;
  }
  /* The data is in memory already, so its size is no claim any more. */
  scope.max_elements = scope.left = MAX (n, 1 << 20);
  tensor = tensor_new (&scope, is_int, proto->n_dims, proto->dims, error);
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
tensor_split (const Tensor *t, guint axis, gsize *outer, gsize *inner)
{
  *outer = *inner = 1;
  for (guint d = 0; d < axis; d++)
    *outer *= t->dims[d];
  for (guint d = axis + 1; d < t->n_dims; d++)
    *inner *= t->dims[d];
}

gboolean
tensor_axis (const OnnxNode *node, gint64 axis, guint n_dims, guint *resolved, GError **error)
{
  if (axis < 0)
    axis += n_dims;
  if (axis < 0 || axis >= n_dims)
    return bad (node, "axis out of range", error);
  *resolved = (guint) axis;
  return TRUE;
}

gboolean
tensor_ints (const OnnxNode *node, const Tensor *input, const char *attribute,
    const gint64 **values, gsize *n, GError **error)
{
  if (input != NULL) {
    if (!input->is_int)
      return bad (node, "an input that should hold integers does not", error);
    *values = input->i;
    *n = input->n;
  } else {
    *values = attribute != NULL ? onnx_attr_ints (node, attribute, n) : NULL;
    if (*values == NULL)
      *n = 0;
  }
  return TRUE;
}

void
tensor_copy (Tensor *to, gsize at, const Tensor *from, gsize start, gsize n)
{
  if (n == 0)
    return;
  if (to->is_int)
    memcpy (to->i + at, from->i + start, n * sizeof (gint64));
  else
    memcpy (to->f + at, from->f + start, n * sizeof (float));
}

static Tensor *
with_dims (TensorScope *scope, const Tensor *in, guint n_dims, const gint64 *dims, GError **error)
{
  g_autoptr (Tensor) out = tensor_new (scope, in->is_int, n_dims, dims, error);

  if (out == NULL)
    return NULL;
  if (out->n != in->n) {
    yolo_network_set_error (error, FORMAT,
        "node '%.100s': its shape has %" G_GSIZE_FORMAT " elements, its input %" G_GSIZE_FORMAT
        "; is the file made for another size than its input or its metadata (imgsz) say?",
        scope->node != NULL ? scope->node->name : "", out->n, in->n);
    return NULL;
  }
  tensor_copy (out, 0, in, 0, in->n);
  return g_steal_pointer (&out);
}

/* Broadcast dims of two tensors. Source: ONNX, docs/Broadcasting.md. */
static gboolean
broadcast (const OnnxNode *node, const Tensor *a, guint n_b, const gint64 *b, guint *n_dims,
    gint64 *dims, GError **error)
{
  *n_dims = MAX (a->n_dims, n_b);
  for (guint d = 0; d < *n_dims; d++) {
    gint64 x = d + a->n_dims >= *n_dims ? a->dims[d + a->n_dims - *n_dims] : 1;
    gint64 y = d + n_b >= *n_dims ? b[d + n_b - *n_dims] : 1;
    if (x != y && x != 1 && y != 1)
      return bad (node, "its inputs do not fit each other", error);
    dims[d] = x == 1 ? y : x;
  }
  return TRUE;
}

/* Steps through in along the dims of out; 0 where in is repeated. */
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

/* Walks out's elements in order and gives the matching offset into an input. */
typedef struct {
  const Tensor *out;
  gsize strides[TENSOR_MAX_DIMS];
  gint64 at[TENSOR_MAX_DIMS];
  gsize offset;
} Walk;

static void
walk_init (Walk *walk, const Tensor *in, const Tensor *out)
{
  memset (walk, 0, sizeof *walk);
  walk->out = out;
  broadcast_strides (in, out, walk->strides);
}

static inline void
walk_next (Walk *walk)
{
  for (guint d = walk->out->n_dims; d-- > 0;) {
    walk->offset += walk->strides[d];
    if (++walk->at[d] < walk->out->dims[d])
      return;
    walk->offset -= walk->strides[d] * walk->out->dims[d];
    walk->at[d] = 0;
  }
}

/* What an operator of two numbers does. */
typedef enum {
  BINARY_ADD,
  BINARY_SUB,
  BINARY_MUL,
  BINARY_DIV,
  BINARY_MAX,
  BINARY_MIN,
  BINARY_EQUAL,
  BINARY_GREATER
} Binary;

static Binary
binary_of (const OnnxNode *node)
{
  static const char *const names[] = { "Add", "Sub", "Mul", "Div", "Max", "Min", "Equal",
    "Greater" };
  guint op = 0;

  while (op < BINARY_GREATER && strcmp (node->op, names[op]) != 0)
    op++;
  return op;
}

static float
binary_float (Binary op, float p, float q)
{
  switch (op) {
    case BINARY_SUB:
      return p - q;
    case BINARY_MUL:
      return p * q;
    case BINARY_DIV:
      return p / q;
    case BINARY_MAX:
      return MAX (p, q);
    case BINARY_MIN:
      return MIN (p, q);
    default:
      return p + q;
  }
}

/* Sums and products are unsigned, so that a file's numbers may wrap. */
static gint64
binary_int (Binary op, gint64 p, gint64 q)
{
  switch (op) {
    case BINARY_SUB:
      return (gint64) ((guint64) p - (guint64) q);
    case BINARY_MUL:
      return (gint64) ((guint64) p * (guint64) q);
    case BINARY_DIV:
      return p / q;
    case BINARY_MAX:
      return MAX (p, q);
    case BINARY_MIN:
      return MIN (p, q);
    case BINARY_EQUAL:
      return p == q;
    case BINARY_GREATER:
      return p > q;
    default:
      return (gint64) ((guint64) p + (guint64) q);
  }
}

static gboolean
eval_binary (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *a = in[0], *b = in[1];
  gint64 dims[TENSOR_MAX_DIMS];
  Binary op = binary_of (node);
  gboolean compares = op == BINARY_EQUAL || op == BINARY_GREATER;
  guint n_dims;
  Walk x, y;

  if (a->is_int != b->is_int)
    return bad (node, "its inputs have different types", error);
  if (!broadcast (node, a, b->n_dims, b->dims, &n_dims, dims, error))
    return FALSE;
  *out = tensor_new (scope, a->is_int || compares, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  walk_init (&x, a, *out);
  walk_init (&y, b, *out);
  for (gsize i = 0; i < (*out)->n; i++, walk_next (&x), walk_next (&y)) {
    if (a->is_int) {
      gint64 p = a->i[x.offset], q = b->i[y.offset];
      if (op == BINARY_DIV && (q == 0 || (p == G_MININT64 && q == -1)))
        return bad (node, "division by zero", error);
      (*out)->i[i] = binary_int (op, p, q);
    } else {
      float p = a->f[x.offset], q = b->f[y.offset];
      if (compares)
        (*out)->i[i] = op == BINARY_EQUAL ? p == q : p > q;
      else
        (*out)->f[i] = binary_float (op, p, q);
    }
  }
  return TRUE;
}

static gboolean
eval_where (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 dims[TENSOR_MAX_DIMS];
  guint n_dims;
  Walk walk[3];

  if (!in[0]->is_int || in[1]->is_int != in[2]->is_int)
    return bad (node, "its inputs have different types", error);
  if (!broadcast (node, in[0], in[1]->n_dims, in[1]->dims, &n_dims, dims, error))
    return FALSE;
  if (!broadcast (node, in[2], n_dims, dims, &n_dims, dims, error))
    return FALSE;
  *out = tensor_new (scope, in[1]->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  for (int k = 0; k < 3; k++)
    walk_init (&walk[k], in[k], *out);
  for (gsize i = 0; i < (*out)->n; i++) {
    int chosen = in[0]->i[walk[0].offset] ? 1 : 2;
    tensor_copy (*out, i, in[chosen], walk[chosen].offset, 1);
    for (int k = 0; k < 3; k++)
      walk_next (&walk[k]);
  }
  return TRUE;
}

static gboolean
eval_expand (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 dims[TENSOR_MAX_DIMS];
  guint n_dims;
  Walk walk;

  if (!in[1]->is_int || in[1]->n > TENSOR_MAX_DIMS)
    return bad (node, "its shape is no list of integers", error);
  if (!broadcast (node, in[0], in[1]->n, in[1]->i, &n_dims, dims, error))
    return FALSE;
  *out = tensor_new (scope, in[0]->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  walk_init (&walk, in[0], *out);
  for (gsize i = 0; i < (*out)->n; i++, walk_next (&walk))
    tensor_copy (*out, i, in[0], walk.offset, 1);
  return TRUE;
}

static gboolean
eval_identity (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  *out = tensor_ref (in[0]);
  return TRUE;
}

static gboolean
eval_cast (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 to = onnx_attr_int (node, "to", 0);
  gboolean is_int =
      to != ONNX_FLOAT && to != ONNX_FLOAT16 && to != ONNX_BFLOAT16 && to != ONNX_DOUBLE;

  if (onnx_type_size ((gint32) to) == 0)
    return bad (node, "casts to an unknown type", error);
  if (is_int == in[0]->is_int && to != ONNX_BOOL) {
    *out = tensor_ref (in[0]);
    return TRUE;
  }
  *out = tensor_new (scope, is_int, in[0]->n_dims, in[0]->dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize i = 0; i < in[0]->n; i++) {
    if (!is_int)
      (*out)->f[i] = (float) in[0]->i[i];
    else if (to == ONNX_BOOL)
      (*out)->i[i] = in[0]->is_int ? in[0]->i[i] != 0 : in[0]->f[i] != 0;
    else if (fabsf (in[0]->f[i]) < 9e18f)
      (*out)->i[i] = (gint64) in[0]->f[i];
    else
      return bad (node, "casts a number that no integer can hold", error);
  }
  return TRUE;
}

static gboolean
eval_sigmoid (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  if (in[0]->is_int)
    return bad (node, "its input is no float", error);
  *out = tensor_new (scope, FALSE, in[0]->n_dims, in[0]->dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize i = 0; i < in[0]->n; i++)
    (*out)->f[i] = 1 / (1 + expf (-in[0]->f[i]));
  return TRUE;
}

static gboolean
eval_floor (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean up = strcmp (node->op, "Ceil") == 0;

  if (in[0]->is_int)
    return bad (node, "its input is no float", error);
  *out = tensor_new (scope, FALSE, in[0]->n_dims, in[0]->dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize i = 0; i < in[0]->n; i++)
    (*out)->f[i] = up ? ceilf (in[0]->f[i]) : floorf (in[0]->f[i]);
  return TRUE;
}

Tensor *
tensor_shape (
    TensorScope *scope, const OnnxNode *node, guint n_dims, const gint64 *dims, GError **error)
{
  gint64 start = onnx_attr_int (node, "start", 0), end = onnx_attr_int (node, "end", n_dims), n;
  Tensor *out;

  start = CLAMP (start < 0 ? start + n_dims : start, 0, n_dims);
  end = CLAMP (end < 0 ? end + n_dims : end, 0, n_dims);
  n = MAX (end - start, 0);
  out = tensor_new (scope, TRUE, 1, &n, error);
  if (out != NULL && n > 0)
    memcpy (out->i, dims + start, n * sizeof (gint64));
  return out;
}

static gboolean
eval_shape (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  *out = tensor_shape (scope, node, in[0]->n_dims, in[0]->dims, error);
  return *out != NULL;
}

static gboolean
eval_constant (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Onnx__AttributeProto *attr;
  g_autofree char *what = g_strdup_printf ("the constant '%.80s'", node->name);
  gint64 n;

  if ((attr = onnx_attr (node, "value")) != NULL) {
    *out = tensor_from_proto (attr->t, what, error);
  } else if ((attr = onnx_attr (node, "value_float")) != NULL) {
    if ((*out = tensor_new (scope, FALSE, 0, NULL, error)) != NULL)
      (*out)->f[0] = attr->f;
  } else if ((attr = onnx_attr (node, "value_int")) != NULL) {
    if ((*out = tensor_new (scope, TRUE, 0, NULL, error)) != NULL)
      (*out)->i[0] = attr->i;
  } else if ((attr = onnx_attr (node, "value_ints")) != NULL) {
    n = attr->n_ints;
    if ((*out = tensor_new (scope, TRUE, 1, &n, error)) != NULL && n > 0)
      memcpy ((*out)->i, attr->ints, n * sizeof (gint64));
  } else if ((attr = onnx_attr (node, "value_floats")) != NULL) {
    n = attr->n_floats;
    if ((*out = tensor_new (scope, FALSE, 1, &n, error)) != NULL && n > 0)
      memcpy ((*out)->f, attr->floats, n * sizeof (float));
  } else {
    return bad (node, "holds no number", error);
  }
  return *out != NULL;
}

static gboolean
eval_constant_of_shape (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Onnx__AttributeProto *attr = onnx_attr (node, "value");
  g_autoptr (Tensor) value = NULL;

  if (!in[0]->is_int || in[0]->n > TENSOR_MAX_DIMS)
    return bad (node, "its shape is no list of integers", error);
  if (attr != NULL) {
    value = tensor_from_proto (attr->t, "its value", error);
    if (value == NULL)
      return FALSE;
    if (value->n != 1)
      return bad (node, "its value is not one number", error);
  }
  *out = tensor_new (scope, value != NULL && value->is_int, in[0]->n, in[0]->i, error);
  if (*out == NULL)
    return FALSE;
  for (gsize i = 0; value != NULL && i < (*out)->n; i++)
    tensor_copy (*out, i, value, 0, 1);
  return TRUE;
}

static gboolean
eval_range (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  double start, limit, delta, count;
  gint64 n;

  for (int k = 0; k < 3; k++) {
    if (in[k]->n != 1 || in[k]->is_int != in[0]->is_int)
      return bad (node, "its inputs are not single numbers of one type", error);
  }
  start = in[0]->is_int ? (double) in[0]->i[0] : in[0]->f[0];
  limit = in[1]->is_int ? (double) in[1]->i[0] : in[1]->f[0];
  delta = in[2]->is_int ? (double) in[2]->i[0] : in[2]->f[0];
  count = ceil ((limit - start) / delta);
  if (!isfinite (count) || count > (double) scope->max_elements)
    return bad (node, "its range is impossible", error);
  n = (gint64) MAX (count, 0);
  *out = tensor_new (scope, in[0]->is_int, 1, &n, error);
  if (*out == NULL)
    return FALSE;
  for (gint64 i = 0; i < n; i++) {
    if (in[0]->is_int)
      (*out)->i[i] = (gint64) (start + i * delta);
    else
      (*out)->f[i] = (float) (start + i * delta);
  }
  return TRUE;
}

static gboolean
eval_gather (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 dims[2 * TENSOR_MAX_DIMS];
  guint axis, n_dims = 0;
  gsize outer, inner;

  if (!in[1]->is_int)
    return bad (node, "its indices are no integers", error);
  if (!tensor_axis (node, onnx_attr_int (node, "axis", 0), in[0]->n_dims, &axis, error))
    return FALSE;
  for (guint d = 0; d < axis; d++)
    dims[n_dims++] = in[0]->dims[d];
  for (guint d = 0; d < in[1]->n_dims; d++)
    dims[n_dims++] = in[1]->dims[d];
  for (guint d = axis + 1; d < in[0]->n_dims; d++)
    dims[n_dims++] = in[0]->dims[d];
  *out = tensor_new (scope, in[0]->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  tensor_split (in[0], axis, &outer, &inner);
  for (gsize o = 0; o < outer; o++) {
    for (gsize k = 0; k < in[1]->n; k++) {
      gint64 index = in[1]->i[k] < 0 ? in[1]->i[k] + in[0]->dims[axis] : in[1]->i[k];
      if (index < 0 || index >= in[0]->dims[axis])
        return bad (node, "an index is out of range", error);
      tensor_copy (
          *out, (o * in[1]->n + k) * inner, in[0], (o * in[0]->dims[axis] + index) * inner, inner);
    }
  }
  return TRUE;
}

/* Marks the axes that the second input or the attribute names. */
static gboolean
marked_axes (const OnnxNode *node, Tensor *const *in, guint n_dims, gboolean *marked, gboolean *any,
    GError **error)
{
  const gint64 *axes;
  gsize n;
  guint axis;

  if (!tensor_ints (node, node->n_in > 1 ? in[1] : NULL, "axes", &axes, &n, error))
    return FALSE;
  memset (marked, 0, n_dims * sizeof (gboolean));
  for (gsize k = 0; k < n; k++) {
    if (!tensor_axis (node, axes[k], n_dims, &axis, error))
      return FALSE;
    marked[axis] = TRUE;
  }
  *any = n > 0;
  return TRUE;
}

static gboolean
eval_unsqueeze (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean marked[TENSOR_MAX_DIMS], any;
  gint64 dims[TENSOR_MAX_DIMS];
  const gint64 *axes;
  gsize n;
  guint next = 0, n_dims;

  if (!tensor_ints (node, node->n_in > 1 ? in[1] : NULL, "axes", &axes, &n, error))
    return FALSE;
  if (n > TENSOR_MAX_DIMS || in[0]->n_dims + n > TENSOR_MAX_DIMS)
    return bad (node, "too many dimensions", error);
  n_dims = in[0]->n_dims + (guint) n;
  if (!marked_axes (node, in, n_dims, marked, &any, error))
    return FALSE;
  for (guint d = 0; d < n_dims; d++) {
    if (!marked[d] && next == in[0]->n_dims)
      return bad (node, "an axis is named twice", error);
    dims[d] = marked[d] ? 1 : in[0]->dims[next++];
  }
  *out = with_dims (scope, in[0], n_dims, dims, error);
  return *out != NULL;
}

static gboolean
eval_squeeze (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean marked[TENSOR_MAX_DIMS], any;
  gint64 dims[TENSOR_MAX_DIMS];
  guint n_dims = 0;

  if (!marked_axes (node, in, in[0]->n_dims, marked, &any, error))
    return FALSE;
  for (guint d = 0; d < in[0]->n_dims; d++) {
    if (any ? !marked[d] : in[0]->dims[d] != 1)
      dims[n_dims++] = in[0]->dims[d];
    else if (in[0]->dims[d] != 1)
      return bad (node, "drops a dimension that is not 1", error);
  }
  *out = with_dims (scope, in[0], n_dims, dims, error);
  return *out != NULL;
}

static gboolean
eval_reshape (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean allow_zero = onnx_attr_int (node, "allowzero", 0) != 0;
  gint64 dims[TENSOR_MAX_DIMS];
  gsize known = 1;
  gint64 inferred = -1;
  guint n_dims;

  if (!in[1]->is_int || in[1]->n > TENSOR_MAX_DIMS)
    return bad (node, "its shape is no list of integers", error);
  n_dims = (guint) in[1]->n;
  for (guint d = 0; d < n_dims; d++) {
    dims[d] = in[1]->i[d];
    if (dims[d] == 0 && !allow_zero) {
      if (d >= in[0]->n_dims)
        return bad (node, "copies a dimension that its input does not have", error);
      dims[d] = in[0]->dims[d];
    }
    /* The file may have its batch written into shapes, while one image is evaluated. */
    if (d == 0 && scope->batch > 1 && dims[0] == scope->batch && in[0]->n_dims > 0
        && in[0]->dims[0] == 1)
      dims[0] = 1;
    if (dims[d] == -1) {
      if (inferred >= 0)
        return bad (node, "leaves two dimensions open", error);
      inferred = d;
    } else if (dims[d] < 0 || !g_size_checked_mul (&known, known, (gsize) dims[d])) {
      return bad (node, "its shape is impossible", error);
    }
  }
  if (inferred >= 0) {
    if (known == 0 || in[0]->n % known != 0)
      return bad (node, "its shape does not fit its input", error);
    dims[inferred] = (gint64) (in[0]->n / known);
  }
  *out = with_dims (scope, in[0], n_dims, dims, error);
  return *out != NULL;
}

static gboolean
eval_flatten (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 axis = onnx_attr_int (node, "axis", 1), dims[2] = { 1, 1 };

  axis = axis < 0 ? axis + in[0]->n_dims : axis;
  for (guint d = 0; d < in[0]->n_dims; d++)
    dims[d < axis ? 0 : 1] *= in[0]->dims[d];
  *out = with_dims (scope, in[0], 2, dims, error);
  return *out != NULL;
}

static gboolean
eval_transpose (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gsize n, strides[TENSOR_MAX_DIMS], stride = 1;
  const gint64 *perm = onnx_attr_ints (node, "perm", &n);
  gint64 dims[TENSOR_MAX_DIMS];
  gboolean seen[TENSOR_MAX_DIMS] = { FALSE };
  guint n_dims = in[0]->n_dims;
  Walk walk;

  if (perm != NULL && n != n_dims)
    return bad (node, "its permutation does not fit its input", error);
  for (guint d = n_dims; d-- > 0;) {
    strides[d] = stride;
    stride *= (gsize) in[0]->dims[d];
  }
  memset (&walk, 0, sizeof walk);
  for (guint d = 0; d < n_dims; d++) {
    gint64 from = perm != NULL ? perm[d] : n_dims - 1 - d;
    if (from < 0 || from >= n_dims || seen[from])
      return bad (node, "its permutation is none", error);
    seen[from] = TRUE;
    dims[d] = in[0]->dims[from];
    walk.strides[d] = strides[from];
  }
  *out = tensor_new (scope, in[0]->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  walk.out = *out;
  for (gsize i = 0; i < (*out)->n; i++, walk_next (&walk))
    tensor_copy (*out, i, in[0], walk.offset, 1);
  return TRUE;
}

static gboolean
eval_concat (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 dims[TENSOR_MAX_DIMS];
  guint axis;
  gsize outer, inner, at = 0;

  if (!tensor_axis (node, onnx_attr_int (node, "axis", 0), in[0]->n_dims, &axis, error))
    return FALSE;
  memcpy (dims, in[0]->dims, sizeof dims);
  dims[axis] = 0;
  for (guint k = 0; k < node->n_in; k++) {
    if (in[k]->n_dims != in[0]->n_dims || in[k]->is_int != in[0]->is_int)
      return bad (node, "its inputs do not fit each other", error);
    for (guint d = 0; d < in[0]->n_dims; d++) {
      if (d == axis)
        dims[d] += in[k]->dims[d];
      else if (in[k]->dims[d] != dims[d])
        return bad (node, "its inputs do not fit each other", error);
    }
  }
  *out = tensor_new (scope, in[0]->is_int, in[0]->n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  tensor_split (*out, axis, &outer, &inner);
  for (gsize o = 0; o < outer; o++) {
    for (guint k = 0; k < node->n_in; k++) {
      gsize n = (gsize) in[k]->dims[axis] * inner;
      tensor_copy (*out, at, in[k], o * n, n);
      at += n;
    }
  }
  return TRUE;
}

static gboolean
eval_split (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const gint64 *sizes;
  gint64 dims[TENSOR_MAX_DIMS], start = 0, total;
  gsize n, outer, inner;
  guint axis;

  if (!tensor_ints (node, node->n_in > 1 ? in[1] : NULL, "split", &sizes, &n, error)
      || !tensor_axis (node, onnx_attr_int (node, "axis", 0), in[0]->n_dims, &axis, error))
    return FALSE;
  if (sizes != NULL && n != node->n_out)
    return bad (node, "it has not one size for each output", error);
  memcpy (dims, in[0]->dims, sizeof dims);
  total = dims[axis];
  tensor_split (in[0], axis, &outer, &inner);
  for (guint k = 0; k < node->n_out; k++) {
    gint64 chunk = (total + node->n_out - 1) / node->n_out;
    dims[axis] = sizes != NULL ? sizes[k] : MIN (chunk, MAX (total - start, 0));
    if (dims[axis] < 0 || dims[axis] > total - start)
      return bad (node, "its sizes do not fit its input", error);
    out[k] = tensor_new (scope, in[0]->is_int, in[0]->n_dims, dims, error);
    if (out[k] == NULL)
      return FALSE;
    for (gsize o = 0; o < outer; o++)
      tensor_copy (
          out[k], o * dims[axis] * inner, in[0], (o * total + start) * inner, dims[axis] * inner);
    start += dims[axis];
  }
  return start == total || bad (node, "its sizes do not fit its input", error);
}

static gboolean
eval_slice (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 begin[TENSOR_MAX_DIMS] = { 0 }, step[TENSOR_MAX_DIMS], dims[TENSOR_MAX_DIMS];
  const gint64 *starts, *ends, *axes, *steps;
  gsize n, n_ends, n_axes, n_steps, base = 0, stride = 1;
  Walk walk;

  if (!tensor_ints (node, in[1], NULL, &starts, &n, error)
      || !tensor_ints (node, in[2], NULL, &ends, &n_ends, error)
      || !tensor_ints (node, node->n_in > 3 ? in[3] : NULL, NULL, &axes, &n_axes, error)
      || !tensor_ints (node, node->n_in > 4 ? in[4] : NULL, NULL, &steps, &n_steps, error))
    return FALSE;
  if (n_ends != n || (axes != NULL && n_axes != n) || (steps != NULL && n_steps != n)
      || n > in[0]->n_dims)
    return bad (node, "its bounds do not fit each other", error);
  for (guint d = 0; d < in[0]->n_dims; d++) {
    dims[d] = in[0]->dims[d];
    step[d] = 1;
  }
  for (gsize k = 0; k < n; k++) {
    guint axis;
    gint64 size, first, last, by = steps != NULL ? steps[k] : 1;

    if (!tensor_axis (node, axes != NULL ? axes[k] : (gint64) k, in[0]->n_dims, &axis, error))
      return FALSE;
    size = in[0]->dims[axis];
    if (by == 0 || by < -size - 1 || by == G_MININT64)
      return bad (node, "its step is impossible", error);
    /* Source: ONNX, docs/Operators.md, Slice: how bounds are clamped. */
    first = starts[k] < 0 ? MAX (starts[k], -size - 1) + size : starts[k];
    last = ends[k] < 0 ? MAX (ends[k], -size - 1) + size : ends[k];
    first = by > 0 ? CLAMP (first, 0, size) : CLAMP (first, 0, size - 1);
    last = by > 0 ? CLAMP (last, 0, size) : CLAMP (last, -1, size - 1);
    by = MIN (by, size + 1);
    begin[axis] = first;
    step[axis] = by;
    dims[axis] = size == 0 ? 0 : MAX ((last - first + by + (by > 0 ? -1 : 1)) / by, 0);
  }
  *out = tensor_new (scope, in[0]->is_int, in[0]->n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  memset (&walk, 0, sizeof walk);
  walk.out = *out;
  for (guint d = in[0]->n_dims; d-- > 0;) {
    base += (gsize) begin[d] * stride;
    walk.strides[d] = (gsize) step[d] * stride; /* negative steps wrap, and the sum wraps back */
    stride *= (gsize) in[0]->dims[d];
  }
  for (gsize i = 0; i < (*out)->n; i++, walk_next (&walk))
    tensor_copy (*out, i, in[0], base + walk.offset, 1);
  return TRUE;
}

/* By fixed statistics: scale, bias, mean and variance of each channel. */
static gboolean
eval_batch_norm (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  float epsilon = onnx_attr_float (node, "epsilon", 1e-5f);
  gsize outer, inner, channels;

  if (onnx_attr_int (node, "training_mode", 0) != 0 || in[0]->is_int || in[0]->n_dims < 2)
    return bad (node, "it normalises in another way than by fixed statistics of channels", error);
  channels = (gsize) in[0]->dims[1];
  for (guint k = 1; k < 5; k++) {
    if (in[k]->is_int || in[k]->n != channels)
      return bad (node, "its parameters have the wrong type or length", error);
  }
  *out = tensor_new (scope, FALSE, in[0]->n_dims, in[0]->dims, error);
  if (*out == NULL)
    return FALSE;
  tensor_split (in[0], 1, &outer, &inner);
  for (gsize o = 0, i = 0; o < outer; o++) {
    for (gsize c = 0; c < channels; c++) {
      double scale = in[1]->f[c] / sqrt ((double) in[4]->f[c] + epsilon);
      for (gsize end = i + inner; i < end; i++)
        (*out)->f[i] = (float) ((in[0]->f[i] - in[3]->f[c]) * scale + in[2]->f[c]);
    }
  }
  return TRUE;
}

static gboolean
eval_softmax (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean flattens = scope->file->opset < 13;  /* all behind the axis is one vector */
  gsize outer, inner, n;
  guint axis;

  if (in[0]->is_int)
    return bad (node, "its input is no float", error);
  if (!tensor_axis (
          node, onnx_attr_int (node, "axis", flattens ? 1 : -1), in[0]->n_dims, &axis, error))
    return FALSE;
  *out = tensor_new (scope, FALSE, in[0]->n_dims, in[0]->dims, error);
  if (*out == NULL)
    return FALSE;
  tensor_split (in[0], axis, &outer, &inner);
  n = (gsize) in[0]->dims[axis];
  if (flattens) {
    n *= inner;
    inner = 1;
  }
  for (gsize o = 0; o < outer; o++) {
    for (gsize i = 0; i < inner; i++) {
      const float *x = in[0]->f + o * n * inner + i;
      float *y = (*out)->f + o * n * inner + i;
      float max = -INFINITY, sum = 0;

      for (gsize k = 0; k < n; k++)
        max = MAX (max, x[k * inner]);
      for (gsize k = 0; k < n; k++)
        sum += y[k * inner] = expf (x[k * inner] - max);
      for (gsize k = 0; k < n; k++)
        y[k * inner] /= sum;
    }
  }
  return TRUE;
}

/* The one convolution behind a YOLO's maps: the expectation of the box
 * distribution, 1x1 with one output and the weights 0, 1, 2, ... */
static gboolean
eval_conv (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *x = in[0], *w = in[1];
  gint64 dims[4];
  gsize inner;

  if (x->is_int || x->n_dims != 4 || w->n_dims != 4 || w->dims[0] != 1 || w->dims[2] != 1
      || w->dims[3] != 1 || w->dims[1] != x->dims[1]
      || (node->n_in > 2 && in[2] != NULL && strcmp (node->op, "Conv") == 0))
    return yolo_network_fail (error, UNSUPPORTED, ONNX_NODE_FORMAT
        " convolves something that is no feature map", ONNX_NODE_ARGS (node));
  /* the output, which counts itself, is much smaller than what is read */
  if (x->n > scope->left)
    return bad (node, "reads more than the reader evaluates", error);
  scope->left -= x->n;
  memcpy (dims, x->dims, sizeof dims);
  dims[1] = 1;
  *out = tensor_new (scope, FALSE, 4, dims, error);
  if (*out == NULL)
    return FALSE;
  inner = (gsize) (x->dims[2] * x->dims[3]);
  for (gint64 b = 0; b < x->dims[0]; b++) {
    float *y = (*out)->f + b * inner;
    for (gint64 c = 0; c < x->dims[1]; c++) {
      float weight = w->is_int ? (float) w->i[c] : w->f[c];
      const float *from = x->f + (b * x->dims[1] + c) * inner;
      for (gsize i = 0; i < inner; i++)
        y[i] += weight * from[i];
    }
  }
  return TRUE;
}

static gboolean
eval_conv_integer (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  if (node->n_in > 3 && in[3] != NULL && (in[3]->n != 1 || !in[3]->is_int || in[3]->i[0] != 0))
    return bad (node, "its weights have a zero point", error);
  return eval_conv (scope, node, in, out, error);
}

/* y = (x - zero_point) * scale, per tensor or along an axis. Activations come
 * as floats that were never quantised and pass as they are. */
static gboolean
eval_dequantize (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *x = in[0], *scale = in[1], *zero = node->n_in > 2 ? in[2] : NULL;
  gsize outer = 1, inner = x->n, n = 1;
  guint axis;

  if (!x->is_int) {
    *out = tensor_ref (in[0]);
    return TRUE;
  }
  if (onnx_attr_int (node, "block_size", 0) != 0)
    return yolo_network_fail (error, UNSUPPORTED, ONNX_NODE_FORMAT
        " is quantised in blocks, which is not supported", ONNX_NODE_ARGS (node));
  if (scale == NULL || scale->is_int
      || (zero != NULL && (!zero->is_int || (zero->n != 1 && zero->n != scale->n))))
    return bad (node, "its scale or zero point has the wrong type or length", error);
  if (scale->n != 1) {
    if (!tensor_axis (node, onnx_attr_int (node, "axis", 1), x->n_dims, &axis, error))
      return FALSE;
    n = (gsize) x->dims[axis];
    if (scale->n != n)
      return bad (node, "its scale has the wrong length", error);
    tensor_split (x, axis, &outer, &inner);
  }
  *out = tensor_new (scope, FALSE, x->n_dims, x->dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize o = 0, i = 0; o < outer; o++) {
    for (gsize k = 0; k < n; k++) {
      gint64 z = zero == NULL ? 0 : zero->i[zero->n == 1 ? 0 : k];
      for (gsize end = i + inner; i < end; i++)
        (*out)->f[i] = (float) ((double) x->i[i] - (double) z) * scale->f[scale->n == 1 ? 0 : k];
    }
  }
  return TRUE;
}

/* As if nothing were quantised: the value itself, scale 1, zero point 0. */
static gboolean
eval_dynamic_quantize (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  out[0] = tensor_ref (in[0]);
  if (node->n_out > 1) {
    if ((out[1] = tensor_new (scope, FALSE, 0, NULL, error)) == NULL)
      return FALSE;
    out[1]->f[0] = 1;
  }
  if (node->n_out > 2)
    out[2] = tensor_new (scope, TRUE, 0, NULL, error);
  return node->n_out < 3 || out[2] != NULL;
}

static const struct {
  const char *op;
  guint min_in, max_in, max_out;
  gboolean (*eval) (
      TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);
} operators[] = {
  { "Add", 2, 2, 1, eval_binary },
  { "ArgMax", 1, 1, 1, eval_arg_max },
  { "BatchNormalization", 5, 5, 1, eval_batch_norm },
  { "Cast", 1, 1, 1, eval_cast },
  { "Ceil", 1, 1, 1, eval_floor },
  { "Concat", 1, G_MAXUINT, 1, eval_concat },
  { "Constant", 0, 0, 1, eval_constant },
  { "ConstantOfShape", 1, 1, 1, eval_constant_of_shape },
  { "Conv", 2, 3, 1, eval_conv },
  { "ConvInteger", 2, 4, 1, eval_conv_integer },
  { "DequantizeLinear", 2, 3, 1, eval_dequantize },
  { "Div", 2, 2, 1, eval_binary },
  { "Dropout", 1, 1, 1, eval_identity },
  { "DynamicQuantizeLinear", 1, 1, 3, eval_dynamic_quantize },
  { "Equal", 2, 2, 1, eval_binary },
  { "Expand", 2, 2, 1, eval_expand },
  { "Flatten", 1, 1, 1, eval_flatten },
  { "Floor", 1, 1, 1, eval_floor },
  { "Gather", 2, 2, 1, eval_gather },
  { "GatherND", 2, 2, 1, eval_gather_nd },
  { "Greater", 2, 2, 1, eval_binary },
  { "Identity", 1, 1, 1, eval_identity },
  { "Max", 2, 2, 1, eval_binary },
  { "Min", 2, 2, 1, eval_binary },
  { "Mul", 2, 2, 1, eval_binary },
  { "NonMaxSuppression", 2, 5, 1, eval_suppression },
  { "NonZero", 1, 1, 1, eval_non_zero },
  { "Pad", 2, 4, 1, eval_pad },
  { "QuantizeLinear", 2, 3, 1, eval_identity },
  { "Range", 3, 3, 1, eval_range },
  { "ReduceMax", 1, 2, 1, eval_reduce_max },
  { "Reshape", 2, 2, 1, eval_reshape },
  { "ScatterND", 3, 3, 1, eval_scatter_nd },
  { "Shape", 1, 1, 1, eval_shape },
  { "Sigmoid", 1, 1, 1, eval_sigmoid },
  { "Slice", 3, 5, 1, eval_slice },
  { "Softmax", 1, 1, 1, eval_softmax },
  { "Split", 1, 2, G_MAXUINT, eval_split },
  { "Squeeze", 1, 2, 1, eval_squeeze },
  { "Sub", 2, 2, 1, eval_binary },
  { "Transpose", 1, 1, 1, eval_transpose },
  { "Unsqueeze", 1, 2, 1, eval_unsqueeze },
  { "Where", 3, 3, 1, eval_where },
};

gboolean
tensor_can_eval (const OnnxNode *node)
{
  for (guint i = 0; node->standard && i < G_N_ELEMENTS (operators); i++) {
    if (strcmp (node->op, operators[i].op) == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean
tensor_eval (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  for (guint i = 0; node->standard && i < G_N_ELEMENTS (operators); i++) {
    if (strcmp (node->op, operators[i].op) != 0)
      continue;
    if (node->n_in < operators[i].min_in || node->n_in > operators[i].max_in
        || node->n_out < 1 || node->n_out > operators[i].max_out)
      return yolo_network_fail (error, FORMAT,
          ONNX_NODE_FORMAT " has %u inputs and %u outputs, which its operator does "
                           "not take",
          ONNX_NODE_ARGS (node), node->n_in, node->n_out);
    for (guint k = 0; k < node->n_in; k++) {
      /* behind the required ones only operators that look for NULL have more */
      if (in[k] == NULL && (k < operators[i].min_in || operators[i].max_in == G_MAXUINT))
        return bad (node, "lacks an input", error);
    }
    scope->node = node;
    return operators[i].eval (scope, node, in, out, error);
  }
  return yolo_network_fail (
      error, UNSUPPORTED, ONNX_NODE_FORMAT " is not supported", ONNX_NODE_ARGS (node));
}
