/* SPDX-License-Identifier: MIT */
/* Attention as files have it: reshapes, transposes and products of matrices between a
 * convolution and a map. A value on that way holds the numbers of a layer in another order.
 * What comes back to a map is a layer; what does not is the tail of the file's head. */

#include "base/error.h"
#include "network/attention.h"
#include "network/onnx/lower.h"

#include <string.h>

#define MAX_DIGITS (2 * TENSOR_MAX_DIMS)

/* What a digit of an index counts. In products of queries and keys, the positions of queries
 * and those of keys are two things. */
typedef enum {
  CHANNEL,
  POSITION,                     /* row * width + column */
  KEY_POSITION,
} Axis;

/* An index of a dimension is a number of several digits, as minutes and seconds are: each has
 * @size values, and one more of it is @step more on the axis. */
typedef struct {
  Axis axis;
  gint64 size, step;
} Digit;

/* What the numbers of a value are. */
typedef enum {
  MAP,                          /* all channels of a layer */
  QUERIES, KEYS, VALUES,        /* a part of the channels of what yolo_attention_order() gave */
  SCORES,                       /* products of queries and keys */
  WEIGHTS,                      /* the softmax of these, over the positions of the keys */
  MEANS,                        /* the attention: a layer */
} Part;

/* How the numbers lie in the value: element [i][j]... is that of the channel and the position
 * that the digits of i, j, ... add up to. There is one image. */
struct _Arranged {
  Part part;
  guint layer;                  /* that the numbers are of */
  YoloOpNumbers numbers;        /* QUERIES and on: heads and key; SCORES and on: areas */
  double factor;                /* QUERIES to WEIGHTS: that of all multiplications */
  guint n_dims, n_digits;
  guint ends[TENSOR_MAX_DIMS];  /* digits [ends[d - 1], ends[d]) are those of dimension d */
  Digit digits[MAX_DIGITS];     /* the most significant first; none has but one value */
};

static guint
first_digit (const Arranged *a, guint dim)
{
  return dim > 0 ? a->ends[dim - 1] : 0;
}

static gint64
dim_size (const Arranged *a, guint dim)
{
  gint64 size = 1;

  for (guint k = first_digit (a, dim); k < a->ends[dim]; k++)
    size *= a->digits[k].size;
  return size;
}

/* Appends a digit to the last dimension, or lets the digit before count on if both are one. */
static gboolean
add_digit (Arranged *a, Digit digit)
{
  Digit *last = a->n_digits > 0 ? &a->digits[a->n_digits - 1] : NULL;

  if (digit.size == 1)
    return TRUE;
  if (last != NULL && a->n_digits > first_digit (a, a->n_dims) && last->axis == digit.axis
      && last->step == digit.size * digit.step) {
    last->size *= digit.size;
    last->step = digit.step;
    return TRUE;
  }
  if (a->n_digits == MAX_DIGITS)
    return FALSE;
  a->digits[a->n_digits++] = digit;
  return TRUE;
}

static void
end_dim (Arranged *a)
{
  a->ends[a->n_dims++] = a->n_digits;
}

/* Begins a value of the same numbers as another one, without dimensions. */
static Arranged
begin (const Arranged *of)
{
  Arranged a = *of;

  a.n_dims = a.n_digits = 0;
  return a;
}

static void
copy_dim (Arranged *to, const Arranged *from, guint dim)
{
  for (guint k = first_digit (from, dim); k < from->ends[dim]; k++)
    add_digit (to, from->digits[k]);
  end_dim (to);
}

/* [1][channels][height][width], as a map lies in a file. */
static Arranged
map_order (Part part, guint layer, gint64 channels, gint64 height, gint64 width)
{
  Arranged a = { .part = part, .layer = layer, .factor = 1 };

  end_dim (&a);
  add_digit (&a, (Digit){ CHANNEL, channels, 1 });
  end_dim (&a);
  add_digit (&a, (Digit){ POSITION, height, width });
  end_dim (&a);
  add_digit (&a, (Digit){ POSITION, width, 1 });
  end_dim (&a);
  return a;
}

/* Deals the digits of @in out to dimensions of these sizes; FALSE if one would have to hold
 * parts that are no digits. */
static gboolean
reshape (const Arranged *in, guint n_dims, const gint64 *dims, Arranged *out)
{
  Arranged row = begin (in);
  guint k = 0;

  for (guint i = 0; i < in->n_digits; i++)
    add_digit (&row, in->digits[i]);
  *out = begin (in);
  for (guint d = 0; d < n_dims; d++) {
    gint64 left = dims[d];

    while (left > 1) {
      Digit *next = &row.digits[k], part;
      if (k == row.n_digits)
        return FALSE;
      part = *next;
      if (left >= next->size) {
        if (left % next->size != 0)
          return FALSE;
        k++;
      } else {
        if (next->size % left != 0)
          return FALSE;
        part.size = left;
        part.step = next->step * (next->size / left);
        next->size /= left;
      }
      left /= part.size;
      if (!add_digit (out, part))
        return FALSE;
    }
    end_dim (out);
  }
  return k == row.n_digits;
}

static gboolean
same_dims (const Arranged *a, const Arranged *b)
{
  if (a->n_dims != b->n_dims || a->n_digits != b->n_digits
      || memcmp (a->ends, b->ends, a->n_dims * sizeof *a->ends) != 0)
    return FALSE;
  for (guint k = 0; k < a->n_digits; k++) {
    const Digit *x = &a->digits[k], *y = &b->digits[k];
    if (x->axis != y->axis || x->size != y->size || x->step != y->step)
      return FALSE;
  }
  return TRUE;
}

/* Whether a dimension counts @size neighbours of an axis, and nothing else. */
static gboolean
dim_is (const Arranged *a, guint dim, Axis axis, gint64 size)
{
  const Digit *digit = &a->digits[first_digit (a, dim)];
  guint n = a->ends[dim] - first_digit (a, dim);

  return size == 1 ? n == 0
                   : n == 1 && digit->axis == axis && digit->size == size && digit->step == 1;
}

/* Whether the dimensions of two values but the last two are the same: heads, whose steps are
 * those of their own channels, and areas. */
static gboolean
same_matrices (const Arranged *a, const Arranged *b)
{
  guint last = a->n_dims - 2;

  if (a->n_dims != b->n_dims || a->n_dims < 2
      || (last > 0 && memcmp (a->ends, b->ends, last * sizeof *a->ends) != 0))
    return FALSE;
  for (guint k = 0; last > 0 && k < a->ends[last - 1]; k++) {
    const Digit *x = &a->digits[k], *y = &b->digits[k];
    if (x->axis != y->axis || x->size != y->size || (x->axis != CHANNEL && x->step != y->step))
      return FALSE;
  }
  return TRUE;
}

/* The layer that a value stands for, if it lies as a map does; YOLO_LAYER_NONE without an error
 * if it does not. */
static guint
map_of (Lowered *lowered, const OnnxNode *node, const Arranged *a, GError **error)
{
  const YoloLayer *layer = yolo_layer_at (lowered->graph->layers, a->layer);
  guint channels = layer->channels;
  Arranged map;

  if (a->part == VALUES)
    channels -= 2 * a->numbers.heads * a->numbers.key;
  else if (a->part != MAP && a->part != MEANS)
    return YOLO_LAYER_NONE;
  map = map_order (a->part, a->layer, channels, layer->height, layer->width);
  if (!same_dims (a, &map))
    return YOLO_LAYER_NONE;
  return a->part != VALUES ? a->layer
                           : yolo_attention_values (lowered->graph, node->name, a->layer,
                               a->numbers.heads, a->numbers.key, error);
}

/* Lets output k of a node be a map, or else the numbers of one in this order. */
static gboolean
set_output (
    Lowered *lowered, const OnnxNode *node, guint k, const Arranged *arranged, GError **error)
{
  g_autoptr (GError) problem = NULL;
  guint map = map_of (lowered, node, arranged, &problem);

  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (map != YOLO_LAYER_NONE)
    return yolo_lowered_set_layer (lowered, node, k, map);
  if (node->out[k] != ONNX_NONE)
    lowered->values[node->out[k]].arranged = g_memdup2 (arranged, sizeof *arranged);
  return TRUE;
}

/* The functions below find what a node makes of its input, and set *done; they leave it FALSE
 * where a node does what attention does not. */

/* The dimensions that Reshape asks for. Those that have the file's batch in them get one image. */
static gboolean
wanted_dims (const Lowered *lowered, const OnnxNode *node, const Arranged *in, const Tensor *shape,
    gint64 *dims)
{
  gint64 batch = MAX (lowered->file->input_dims[0], 1), all = 1, known = 1;
  guint open = TENSOR_MAX_DIMS;

  if (!shape->is_int || shape->n < 1 || shape->n > TENSOR_MAX_DIMS)
    return FALSE;
  for (guint d = 0; d < in->n_dims; d++)
    all *= dim_size (in, d);
  for (guint d = 0; d < shape->n; d++) {
    dims[d] = shape->i[d];
    if (dims[d] == 0 && d < in->n_dims && yolo_onnx_attr_int (node, "allowzero", 0) == 0)
      dims[d] = dim_size (in, d);
    if (dims[d] == -1 && open == TENSOR_MAX_DIMS)
      open = d;
    else if (dims[d] < 1 || dims[d] > G_MAXINT32 || known > G_MAXINT64 / G_MAXINT32)
      return FALSE;
    else
      known *= dims[d];
  }
  if (dims[0] % batch == 0
      && (open == TENSOR_MAX_DIMS ? known / batch == all
                                  : dims[0] == batch && dim_size (in, 0) == 1)) {
    dims[0] /= batch;
    known /= batch;
  }
  if (open < TENSOR_MAX_DIMS) {
    dims[open] = all / known;
    known *= dims[open];
  }
  return known == all;
}

static gboolean
lower_reshape (
    Lowered *lowered, const OnnxNode *node, const Arranged *in, gboolean *done, GError **error)
{
  const Tensor *shape =
      node->n_in == 2 ? yolo_lowered_constant (lowered, node->in[1], NULL) : NULL;
  gint64 dims[TENSOR_MAX_DIMS];
  Arranged out;

  if (shape == NULL || !wanted_dims (lowered, node, in, shape, dims)
      || !reshape (in, (guint) shape->n, dims, &out))
    return TRUE;
  *done = TRUE;
  return set_output (lowered, node, 0, &out, error);
}

static gboolean
lower_transpose (
    Lowered *lowered, const OnnxNode *node, const Arranged *in, gboolean *done, GError **error)
{
  gsize n = 0;
  const gint64 *perm = yolo_onnx_attr_ints (node, "perm", &n);
  guint seen = 0;
  Arranged out = begin (in);

  if (perm != NULL && n != in->n_dims)
    return TRUE;
  for (guint d = 0; d < in->n_dims; d++) {
    gint64 from = perm != NULL ? perm[d] : (gint64) (in->n_dims - 1 - d);
    if (from < 0 || from >= in->n_dims || (seen >> from & 1) != 0)
      return TRUE;
    seen |= 1u << from;
    copy_dim (&out, in, (guint) from);
  }
  *done = TRUE;
  return set_output (lowered, node, 0, &out, error);
}

/* The sizes of the three parts that Split cuts channels into. */
static gboolean
split_sizes (Lowered *lowered, const OnnxNode *node, gint64 total, gint64 *sizes)
{
  const Tensor *tensor =
      node->n_in > 1 ? yolo_lowered_constant (lowered, node->in[1], NULL) : NULL;
  gsize n = 0;
  const gint64 *given = yolo_onnx_attr_ints (node, "split", &n);

  if (node->n_in > 1 && (tensor == NULL || !tensor->is_int))
    return FALSE;
  if (tensor != NULL) {
    given = tensor->i;
    n = tensor->n;
  }
  if (node->n_out != 3 || (given != NULL && n != 3) || (given == NULL && total % 3 != 0))
    return FALSE;
  for (guint k = 0; k < 3; k++) {
    sizes[k] = given != NULL ? given[k] : total / 3;
    if (sizes[k] < 1 || sizes[k] > total)
      return FALSE;
  }
  return sizes[0] == sizes[1] && sizes[0] + sizes[1] + sizes[2] == total;
}

/* One part of each head: dimension @dim has @size channels, and heads lie one behind the other. */
static Arranged
head_part (const Arranged *in, Part part, guint dim, gint64 size)
{
  Arranged out = begin (in);

  out.part = part;
  for (guint d = 0; d < in->n_dims; d++) {
    for (guint k = first_digit (in, d); k < in->ends[d]; k++) {
      Digit digit = in->digits[k];
      if (d == dim)
        digit.size = size;
      else if (digit.axis == CHANNEL)
        digit.step = size;
      add_digit (&out, digit);
    }
    end_dim (&out);
  }
  return out;
}

/* How many weights yolo_attention_order() copies, at most. */
static gsize
copied_weights (const Lowered *lowered, guint index)
{
  const YoloLayer *layer = yolo_layer_at (lowered->graph->layers, index);

  while (layer->type == YOLO_LAYER_QUANT || layer->type == YOLO_LAYER_AFFINE)
    layer = yolo_layer_at (lowered->graph->layers, layer->in[0]);
  return layer->type != YOLO_LAYER_CONV
      ? 0
      : (gsize) layer->conv.out_channels * layer->conv.in_channels * layer->conv.kernel[0]
          * layer->conv.kernel[1];
}

/* Split cuts the channels of each head into a query, a key and a value. */
static gboolean
lower_split (
    Lowered *lowered, const OnnxNode *node, const Arranged *in, gboolean *done, GError **error)
{
  const YoloLayer *layer = yolo_layer_at (lowered->graph->layers, in->layer);
  gint64 axis = yolo_onnx_attr_int (node, "axis", 0), sizes[3], each, heads = 1;
  Arranged ordered = *in;

  if (axis < 0)
    axis += in->n_dims;
  if (in->part != MAP || in->n_dims != 4 || axis < 0 || axis > 3)
    return TRUE;
  each = dim_size (in, (guint) axis);
  if (!dim_is (in, (guint) axis, CHANNEL, each) || !split_sizes (lowered, node, each, sizes))
    return TRUE;
  for (guint k = 0; k < in->n_digits; k++) {
    const Digit *digit = &in->digits[k];
    if (digit->axis == CHANNEL && k != first_digit (in, (guint) axis)) {
      if (heads != 1 || digit->step != each)
        return TRUE;
      heads = digit->size;
    }
  }
  if (heads * each != layer->channels)
    return TRUE;
  if (!yolo_lowered_take_numbers (lowered, node, copied_weights (lowered, in->layer), error))
    return FALSE;
  ordered.numbers = (YoloOpNumbers){ .heads = (guint) heads, .key = (guint) sizes[0] };
  ordered.layer = yolo_attention_order (
      lowered->graph, node->name, in->layer, ordered.numbers.heads, ordered.numbers.key, error);
  *done = ordered.layer != YOLO_LAYER_NONE;
  for (guint k = 0; *done && k < 3; k++) {
    Arranged part = head_part (&ordered, (Part) (QUERIES + k), (guint) axis, sizes[k]);
    if (!set_output (lowered, node, k, &part, error))
      return FALSE;
  }
  return *done;
}

/* Mul and Div by one number. */
static gboolean
lower_factor (
    Lowered *lowered, const OnnxNode *node, const Arranged *in, gboolean *done, GError **error)
{
  gboolean divides = strcmp (node->op, "Div") == 0;
  const Value *first = yolo_lowered_value (lowered, node, 0);
  guint which = first != NULL && first->arranged == in ? 0 : 1;
  const Tensor *constant =
      node->n_in == 2 ? yolo_lowered_constant (lowered, node->in[1 - which], NULL) : NULL;
  Arranged out = *in;

  if ((in->part != QUERIES && in->part != KEYS && in->part != SCORES) || (divides && which == 1)
      || constant == NULL || constant->is_int || constant->n != 1
      || constant->n_dims > in->n_dims || (divides && constant->f[0] == 0))
    return TRUE;
  out.factor *= divides ? 1. / constant->f[0] : constant->f[0];
  *done = TRUE;
  return set_output (lowered, node, 0, &out, error);
}

/* The products of all queries of a head and an area with all keys of these. */
static gboolean
multiply_keys (Lowered *lowered, const OnnxNode *node, const Arranged *a, const Arranged *b,
    gboolean *done, GError **error)
{
  const YoloLayer *layer = yolo_layer_at (lowered->graph->layers, a->layer);
  gint64 key = a->numbers.key, positions = (gint64) layer->height * layer->width, n;
  guint last = a->n_dims - 1;
  Arranged out = begin (a);

  if (a->layer != b->layer || !same_matrices (a, b) || !dim_is (a, last, CHANNEL, key)
      || !dim_is (b, last - 1, CHANNEL, key))
    return TRUE;
  n = dim_size (a, last - 1);
  if (!dim_is (a, last - 1, POSITION, n) || !dim_is (b, last, POSITION, n))
    return TRUE;
  for (guint d = 0; d < last - 1; d++)
    copy_dim (&out, a, d);
  out.part = SCORES;
  out.factor = a->factor * b->factor;
  out.numbers.areas = (guint) (positions / n);
  add_digit (&out, (Digit){ a->part == QUERIES ? POSITION : KEY_POSITION, n, 1 });
  end_dim (&out);
  add_digit (&out, (Digit){ a->part == QUERIES ? KEY_POSITION : POSITION, n, 1 });
  end_dim (&out);
  *done = TRUE;
  return set_output (lowered, node, 0, &out, error);
}

/* The means of all values of a head and an area: weights times values, or values times weights. */
static gboolean
multiply_values (Lowered *lowered, const OnnxNode *node, const Arranged *a, const Arranged *b,
    gboolean *done, GError **error)
{
  const Arranged *values = a->part == VALUES ? a : b, *weights = a->part == VALUES ? b : a;
  const YoloLayer *layer = yolo_layer_at (lowered->graph->layers, a->layer);
  guint last = a->n_dims - 1, across = a->part == VALUES ? last - 1 : last;
  gint64 value = layer->channels / a->numbers.heads - 2 * a->numbers.key,
         n = (gint64) layer->height * layer->width / weights->numbers.areas;
  Arranged out = begin (values);

  if (a->layer != b->layer || !same_matrices (a, b) || !dim_is (values, across, CHANNEL, value)
      || !dim_is (values, 2 * last - 1 - across, POSITION, n)
      || !dim_is (weights, across, KEY_POSITION, n)
      || !dim_is (weights, 2 * last - 1 - across, POSITION, n))
    return TRUE;
  for (guint d = 0; d < last - 1; d++)
    copy_dim (&out, values, d);
  for (guint d = last - 1; d <= last; d++) {
    add_digit (&out,
        d == across ? (Digit){ CHANNEL, value, 1 } : (Digit){ POSITION, n, 1 });
    end_dim (&out);
  }
  out.part = MEANS;
  out.layer = yolo_attention_finish (lowered->graph, node->name, a->layer, &weights->numbers,
      (float) weights->factor, error);
  *done = out.layer != YOLO_LAYER_NONE;
  return *done && set_output (lowered, node, 0, &out, error);
}

static gboolean
lower_matmul (
    Lowered *lowered, const OnnxNode *node, const Arranged *a, gboolean *done, GError **error)
{
  const Value *second = yolo_lowered_value (lowered, node, 1);
  const Arranged *b = second != NULL ? second->arranged : NULL;

  if (b == NULL || a->n_dims < 2 || node->in[0] == node->in[1])
    return TRUE;
  if ((a->part == QUERIES && b->part == KEYS) || (a->part == KEYS && b->part == QUERIES))
    return multiply_keys (lowered, node, a, b, done, error);
  if ((a->part == WEIGHTS && b->part == VALUES) || (a->part == VALUES && b->part == WEIGHTS))
    return multiply_values (lowered, node, a, b, done, error);
  return TRUE;
}

static gboolean
lower_softmax (
    Lowered *lowered, const OnnxNode *node, const Arranged *in, gboolean *done, GError **error)
{
  /* before operator set 13 the softmax was over all dimensions from axis on */
  gint64 axis = yolo_onnx_attr_int (node, "axis", lowered->file->opset < 13 ? 1 : -1);
  guint last = in->n_dims - 1;
  Arranged out = *in;

  if (in->part != SCORES || (axis != -1 && axis != last)
      || !dim_is (in, last, KEY_POSITION, dim_size (in, last)))
    return TRUE;
  out.part = WEIGHTS;
  *done = TRUE;
  return set_output (lowered, node, 0, &out, error);
}

static gboolean
lower_shape (
    Lowered *lowered, const OnnxNode *node, const Arranged *in, gboolean *done, GError **error)
{
  Value *out = &lowered->values[node->out[0]];
  gint64 dims[TENSOR_MAX_DIMS];

  for (guint d = 0; d < in->n_dims; d++)
    dims[d] = dim_size (in, d);
  out->kind = VALUE_CONST;
  out->tensor = yolo_onnx_tensor_shape (&lowered->scope, node, in->n_dims, dims, error);
  *done = TRUE;
  return out->tensor != NULL;
}

/* Casts between floats, and quantisers: the operation computes in floats. */
static gboolean
lower_same (
    Lowered *lowered, const OnnxNode *node, const Arranged *in, gboolean *done, GError **error)
{
  if (strcmp (node->op, "Cast") == 0 && !yolo_lower_casts_to_float (node))
    return TRUE;
  *done = TRUE;
  return set_output (lowered, node, 0, in, error);
}

static const struct {
  const char *op;
  gboolean (*lower) (
      Lowered *lowered, const OnnxNode *node, const Arranged *in, gboolean *done, GError **error);
  gboolean begins;              /* it may be the first that reads a map */
} steps[] = {
  { "Cast", lower_same, FALSE },
  { "DequantizeLinear", lower_same, FALSE },
  { "Div", lower_factor, FALSE },
  { "Identity", lower_same, FALSE },
  { "MatMul", lower_matmul, FALSE },
  { "Mul", lower_factor, FALSE },
  { "QuantizeLinear", lower_same, FALSE },
  { "Reshape", lower_reshape, TRUE },
  { "Shape", lower_shape, FALSE },
  { "Softmax", lower_softmax, FALSE },
  { "Split", lower_split, FALSE },
  { "Transpose", lower_transpose, TRUE },
};

gboolean
yolo_lower_attention (Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error)
{
  const Value *value = NULL;
  Arranged map;
  const Arranged *in;

  *done = FALSE;
  for (guint k = 0; k < node->n_in; k++) {
    const Value *other = yolo_lowered_value (lowered, node, k);
    if (other != NULL && other->arranged != NULL && value == NULL)
      value = other;
  }
  in = value != NULL ? value->arranged : NULL;
  if (in == NULL && yolo_lowered_is_feature (lowered, node, 0)) {
    const YoloLayer *layer = yolo_lowered_feature (lowered, node, 0);

    map = map_order (MAP, yolo_lowered_value (lowered, node, 0)->layer, layer->channels,
        layer->height, layer->width);
  } else if (in == NULL) {
    return TRUE;
  }
  for (guint i = 0; node->standard && i < G_N_ELEMENTS (steps) && !*done; i++) {
    if (strcmp (steps[i].op, node->op) == 0 && (in != NULL || steps[i].begins)
        && !steps[i].lower (lowered, node, in != NULL ? in : &map, done, error))
      return FALSE;
  }
  return *done || in == NULL || in->part == MAP
      || yolo_lower_refuse (
          node, "does with queries, keys and values something else than attention", error);
}
