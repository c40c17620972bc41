/* SPDX-License-Identifier: MIT */
#include "network/onnx/eval.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* Operators of two numbers. */
typedef enum {
  BINARY_ADD,
  BINARY_SUB,
  BINARY_MUL,
  BINARY_DIV,
  BINARY_MAX,
  BINARY_MIN,
  BINARY_MOD,
  BINARY_POW,
  BINARY_EQUAL,
  BINARY_GREATER,
  BINARY_LESS_OR_EQUAL
} Binary;

static Binary
binary_of (const OnnxNode *node)
{
  static const char *const names[] = { "Add", "Sub", "Mul", "Div", "Max", "Min", "Mod",
    "Pow", "Equal", "Greater", "LessOrEqual" };
  guint op = 0;

  while (op < BINARY_LESS_OR_EQUAL && strcmp (node->op, names[op]) != 0)
    op++;
  return op;
}

static float
binary_float (Binary op, float p, float q)
{
  switch (op) {
    case BINARY_ADD:
      return p + q;
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
    case BINARY_MOD:
      return fmodf (p, q);
    case BINARY_POW:
      return powf (p, q);
    case BINARY_EQUAL:
      return p == q;
    case BINARY_GREATER:
      return p > q;
    case BINARY_LESS_OR_EQUAL:
      return p <= q;
  }
  g_assert_not_reached ();
}

/* Sums and products are of unsigned numbers, so that a file's may wrap. */
static gint64
binary_int (Binary op, gint64 p, gint64 q)
{
  switch (op) {
    case BINARY_ADD:
      return (gint64) ((guint64) p + (guint64) q);
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
    case BINARY_MOD:
      /* the remainder has the divisor's sign */
      return p % q != 0 && (p < 0) != (q < 0) ? p % q + q : p % q;
    case BINARY_EQUAL:
      return p == q;
    case BINARY_GREATER:
      return p > q;
    case BINARY_LESS_OR_EQUAL:
      return p <= q;
    case BINARY_POW:
      break;                    /* refused before */
  }
  g_assert_not_reached ();
}

gboolean
yolo_eval_binary (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *a = in[0], *b = in[1];
  gint64 dims[TENSOR_MAX_DIMS];
  Binary op = binary_of (node);
  gboolean compares = op >= BINARY_EQUAL;
  guint n_dims;
  TensorWalk x, y;

  if (a->is_int != b->is_int)
    return yolo_onnx_bad (node, "its inputs have different types", error);
  if (op == BINARY_POW && a->is_int)
    return yolo_network_fail (error, UNSUPPORTED,
        ONNX_NODE_FORMAT " takes powers of integers, which is not supported",
        ONNX_NODE_ARGS (node));
  /* Source: ONNX, docs/Operators.md, Mod: fmod is C's, and the only one for floats. */
  if (op == BINARY_MOD && (yolo_onnx_attr_int (node, "fmod", 0) != 0) == a->is_int)
    return yolo_network_fail (error, UNSUPPORTED, ONNX_NODE_FORMAT
        " takes a remainder by fmod of integers, or not by fmod of floats, which is not supported",
        ONNX_NODE_ARGS (node));
  if (!yolo_onnx_tensor_broadcast (node, a, b->n_dims, b->dims, &n_dims, dims, error))
    return FALSE;
  *out = yolo_onnx_tensor_new (scope, a->is_int || compares, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  yolo_onnx_tensor_walk_init (&x, a, *out);
  yolo_onnx_tensor_walk_init (&y, b, *out);
  for (gsize i = 0; i < (*out)->n;
       i++, yolo_onnx_tensor_walk_next (&x), yolo_onnx_tensor_walk_next (&y)) {
    if (a->is_int) {
      gint64 p = a->i[x.offset], q = b->i[y.offset];
      if ((op == BINARY_DIV || op == BINARY_MOD) && (q == 0 || (p == G_MININT64 && q == -1)))
        return yolo_onnx_bad (node, "division by zero", error);
      (*out)->i[i] = binary_int (op, p, q);
    } else {
      float p = a->f[x.offset], q = b->f[y.offset];
      if (compares)
        (*out)->i[i] = binary_float (op, p, q) != 0;
      else
        (*out)->f[i] = binary_float (op, p, q);
    }
  }
  return TRUE;
}

gboolean
yolo_eval_where (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 dims[TENSOR_MAX_DIMS];
  guint n_dims;
  TensorWalk walk[3];

  if (!in[0]->is_int || in[1]->is_int != in[2]->is_int)
    return yolo_onnx_bad (node, "its inputs have different types", error);
  if (!yolo_onnx_tensor_broadcast (node, in[0], in[1]->n_dims, in[1]->dims, &n_dims, dims, error))
    return FALSE;
  if (!yolo_onnx_tensor_broadcast (node, in[2], n_dims, dims, &n_dims, dims, error))
    return FALSE;
  *out = yolo_onnx_tensor_new (scope, in[1]->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  for (int k = 0; k < 3; k++)
    yolo_onnx_tensor_walk_init (&walk[k], in[k], *out);
  for (gsize i = 0; i < (*out)->n; i++) {
    int chosen = in[0]->i[walk[0].offset] ? 1 : 2;
    yolo_onnx_tensor_copy (*out, i, in[chosen], walk[chosen].offset, 1);
    for (int k = 0; k < 3; k++)
      yolo_onnx_tensor_walk_next (&walk[k]);
  }
  return TRUE;
}

gboolean
yolo_eval_cast (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 to = yolo_onnx_attr_int (node, "to", 0);
  gboolean is_int =
      to != ONNX_FLOAT && to != ONNX_FLOAT16 && to != ONNX_BFLOAT16 && to != ONNX_DOUBLE;

  if (yolo_onnx_type_size ((gint32) to) == 0)
    return yolo_onnx_bad (node, "casts to an unknown type", error);
  if (is_int == in[0]->is_int && to != ONNX_BOOL) {
    *out = yolo_onnx_tensor_ref (in[0]);
    return TRUE;
  }
  *out = yolo_onnx_tensor_new (scope, is_int, in[0]->n_dims, in[0]->dims, error);
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
      return yolo_onnx_bad (node, "casts a number that no integer can hold", error);
  }
  return TRUE;
}

static float
sigmoid (float x)
{
  return 1 / (1 + expf (-x));
}

static float
negate (float x)
{
  return -x;
}

/* Operators of one float each. */
gboolean
yolo_eval_unary (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  static const struct {
    const char *op;
    float (*function) (float x);
  } functions[] = {
    { "Ceil", ceilf }, { "Cos", cosf }, { "Exp", expf }, { "Floor", floorf }, { "Log", logf },
    { "Neg", negate }, { "Sigmoid", sigmoid }, { "Sin", sinf }, { "Sqrt", sqrtf },
  };
  guint k = 0;

  if (in[0]->is_int)
    return yolo_onnx_bad (node, "its input is no float", error);
  *out = yolo_onnx_tensor_new (scope, FALSE, in[0]->n_dims, in[0]->dims, error);
  if (*out == NULL)
    return FALSE;
  while (strcmp (node->op, functions[k].op) != 0)
    k++;
  for (gsize i = 0; i < in[0]->n; i++)
    (*out)->f[i] = functions[k].function (in[0]->f[i]);
  return TRUE;
}

/* Limits to the lowest and the highest number that may be, either of which may be left out. */
gboolean
yolo_eval_clip (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *x = in[0], *low = node->n_in > 1 ? in[1] : NULL,
               *high = node->n_in > 2 ? in[2] : NULL;

  if ((low != NULL && (low->n != 1 || low->is_int != x->is_int))
      || (high != NULL && (high->n != 1 || high->is_int != x->is_int)))
    return yolo_onnx_bad (node, "its limits are no single numbers of its input's type", error);
  *out = yolo_onnx_tensor_new (scope, x->is_int, x->n_dims, x->dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize i = 0; i < x->n; i++) {
    if (x->is_int) {
      gint64 value = low != NULL ? MAX (x->i[i], low->i[0]) : x->i[i];
      (*out)->i[i] = high != NULL ? MIN (value, high->i[0]) : value;
    } else {
      float value = low != NULL ? MAX (x->f[i], low->f[0]) : x->f[i];
      (*out)->f[i] = high != NULL ? MIN (value, high->f[0]) : value;
    }
  }
  return TRUE;
}

/* Normalises by fixed statistics: scale, bias, mean and variance of each channel. */
gboolean
yolo_eval_batch_norm (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  float epsilon = yolo_onnx_attr_float (node, "epsilon", 1e-5f);
  gsize outer, inner, channels;

  if (yolo_onnx_attr_int (node, "training_mode", 0) != 0 || in[0]->is_int || in[0]->n_dims < 2)
    return yolo_onnx_bad (
        node, "it normalises in another way than by fixed statistics of channels", error);
  channels = (gsize) in[0]->dims[1];
  for (guint k = 1; k < 5; k++) {
    if (in[k]->is_int || in[k]->n != channels)
      return yolo_onnx_bad (node, "its parameters have the wrong type or length", error);
  }
  *out = yolo_onnx_tensor_new (scope, FALSE, in[0]->n_dims, in[0]->dims, error);
  if (*out == NULL)
    return FALSE;
  yolo_onnx_tensor_split (in[0], 1, &outer, &inner);
  for (gsize o = 0, i = 0; o < outer; o++) {
    for (gsize c = 0; c < channels; c++) {
      double scale = in[1]->f[c] / sqrt ((double) in[4]->f[c] + epsilon);
      for (gsize end = i + inner; i < end; i++)
        (*out)->f[i] = (float) ((in[0]->f[i] - in[3]->f[c]) * scale + in[2]->f[c]);
    }
  }
  return TRUE;
}

gboolean
yolo_eval_softmax (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean flattens = scope->file->opset < 13;  /* all dimensions from the axis on are one vector */
  gsize outer, inner, n;
  guint axis;

  if (in[0]->is_int)
    return yolo_onnx_bad (node, "its input is no float", error);
  if (!yolo_onnx_tensor_axis (
          node, yolo_onnx_attr_int (node, "axis", flattens ? 1 : -1), in[0]->n_dims, &axis, error))
    return FALSE;
  *out = yolo_onnx_tensor_new (scope, FALSE, in[0]->n_dims, in[0]->dims, error);
  if (*out == NULL)
    return FALSE;
  yolo_onnx_tensor_split (in[0], axis, &outer, &inner);
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

/* The one convolution that stands behind a YOLO's maps: the mean of a box's distribution,
 * 1x1 with one output and the weights 0, 1, 2, ... */
gboolean
yolo_eval_conv (
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
  /* the output, which the scope counts, is much smaller than what is read */
  if (x->n > scope->left)
    return yolo_onnx_bad (node, "reads more than the reader evaluates", error);
  scope->left -= x->n;
  memcpy (dims, x->dims, sizeof dims);
  dims[1] = 1;
  *out = yolo_onnx_tensor_new (scope, FALSE, 4, dims, error);
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

gboolean
yolo_eval_conv_integer (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  if (node->n_in > 3 && in[3] != NULL && (in[3]->n != 1 || !in[3]->is_int || in[3]->i[0] != 0))
    return yolo_onnx_bad (node, "its weights have a zero point", error);
  return yolo_eval_conv (scope, node, in, out, error);
}

/* Rows of any number of dimensions, times one matrix. */
gboolean
yolo_eval_mat_mul (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *x = in[0], *w = in[1];
  gint64 dims[TENSOR_MAX_DIMS];
  gsize rows, inner, columns;

  if (x->is_int || w->is_int || x->n_dims < 2 || w->n_dims != 2
      || x->dims[x->n_dims - 1] != w->dims[0])
    return yolo_network_fail (error, UNSUPPORTED,
        ONNX_NODE_FORMAT " multiplies something else than rows of floats by a matrix",
        ONNX_NODE_ARGS (node));
  inner = (gsize) w->dims[0];
  columns = (gsize) w->dims[1];
  memcpy (dims, x->dims, sizeof dims);
  dims[x->n_dims - 1] = w->dims[1];
  *out = yolo_onnx_tensor_new (scope, FALSE, x->n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  /* each number of the output, which the scope has counted, takes `inner` steps */
  if (inner > 0 && (*out)->n > scope->left / inner)
    return yolo_onnx_bad (node, "multiplies more than the reader evaluates", error);
  scope->left -= (*out)->n * inner;
  rows = columns > 0 ? (*out)->n / columns : 0;
  for (gsize r = 0; r < rows; r++) {
    for (gsize k = 0; k < inner; k++) {
      for (gsize c = 0; c < columns; c++)
        (*out)->f[r * columns + c] += x->f[r * inner + k] * w->f[k * columns + c];
    }
  }
  return TRUE;
}

/* How the scales of a quantiser lie along a tensor: each of n is that of `inner` elements in a
 * row, and all of them come `outer` times. */
typedef struct {
  gsize outer, n, inner;
} GridRun;

/* Checks a scale and a zero point, one for the whole tensor or one for each index of an axis. */
static gboolean
find_grid (const OnnxNode *node, Tensor *const *in, GridRun *run, GError **error)
{
  const Tensor *x = in[0], *scale = in[1], *zero = node->n_in > 2 ? in[2] : NULL;
  guint axis;

  *run = (GridRun) { 1, 1, x->n };
  if (yolo_onnx_attr_int (node, "block_size", 0) != 0)
    return yolo_network_fail (error, UNSUPPORTED, ONNX_NODE_FORMAT
        " is quantised in blocks, which is not supported", ONNX_NODE_ARGS (node));
  if (scale == NULL || scale->is_int
      || (zero != NULL && (!zero->is_int || (zero->n != 1 && zero->n != scale->n))))
    return yolo_onnx_bad (node, "its scale or zero point has the wrong type or length", error);
  if (scale->n == 1)
    return TRUE;
  if (!yolo_onnx_tensor_axis (
          node, yolo_onnx_attr_int (node, "axis", 1), x->n_dims, &axis, error))
    return FALSE;
  run->n = (gsize) x->dims[axis];
  if (scale->n != run->n)
    return yolo_onnx_bad (node, "its scale has the wrong length", error);
  yolo_onnx_tensor_split (x, axis, &run->outer, &run->inner);
  return TRUE;
}

/* The zero point that belongs to scale k. */
static gint64
zero_point (const OnnxNode *node, Tensor *const *in, gsize k)
{
  const Tensor *zero = node->n_in > 2 ? in[2] : NULL;

  return zero == NULL ? 0 : zero->i[zero->n == 1 ? 0 : k];
}

/* y = (x - zero_point) * scale, for the whole tensor or along an axis. Activations are
 * floats here, which were never quantised, and pass as they are. */
gboolean
yolo_eval_dequantize (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *x = in[0], *scale = in[1];
  GridRun run;

  if (!x->is_int) {
    *out = yolo_onnx_tensor_ref (in[0]);
    return TRUE;
  }
  if (!find_grid (node, in, &run, error))
    return FALSE;
  *out = yolo_onnx_tensor_new (scope, FALSE, x->n_dims, x->dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize o = 0, i = 0; o < run.outer; o++) {
    for (gsize k = 0; k < run.n; k++) {
      gint64 z = zero_point (node, in, k);
      for (gsize end = i + run.inner; i < end; i++)
        (*out)->f[i] = (float) ((double) x->i[i] - (double) z) * scale->f[scale->n == 1 ? 0 : k];
    }
  }
  return TRUE;
}

/* y = saturate (round (x / scale) + zero_point), halves to the even number (ONNX,
 * QuantizeLinear), and back at once: the numbers of the grid that are nearest to x. */
gboolean
yolo_eval_round (TensorScope *scope, const OnnxNode *node, Tensor *const *in, gint64 low,
    gint64 high, Tensor **out, GError **error)
{
  const Tensor *x = in[0], *scale = in[1];
  GridRun run;

  if (x->is_int)
    return yolo_onnx_bad (node, "quantises what are no floats", error);
  if (!find_grid (node, in, &run, error))
    return FALSE;
  *out = yolo_onnx_tensor_new (scope, FALSE, x->n_dims, x->dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize o = 0, i = 0; o < run.outer; o++) {
    for (gsize k = 0; k < run.n; k++) {
      gint64 z = zero_point (node, in, k);
      float step = scale->f[scale->n == 1 ? 0 : k];

      if (!(step > 0))
        return yolo_onnx_bad (node, "its scale is not above 0", error);
      if (z < low || z > high)
        return yolo_onnx_bad (node, "its zero point is none that its type has", error);
      for (gsize end = i + run.inner; i < end; i++)
        (*out)->f[i] =
            CLAMP (rintf (x->f[i] / step), (float) (low - z), (float) (high - z)) * step;
    }
  }
  return TRUE;
}

/* Gives the input itself, with scale 1 and zero point 0, as if nothing were quantised. */
gboolean
yolo_eval_dynamic_quantize (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  out[0] = yolo_onnx_tensor_ref (in[0]);
  if (node->n_out > 1) {
    if ((out[1] = yolo_onnx_tensor_new (scope, FALSE, 0, NULL, error)) == NULL)
      return FALSE;
    out[1]->f[0] = 1;
  }
  if (node->n_out > 2)
    out[2] = yolo_onnx_tensor_new (scope, TRUE, 0, NULL, error);
  return node->n_out < 3 || out[2] != NULL;
}
