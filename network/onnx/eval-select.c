/* SPDX-License-Identifier: MIT */
#include "network/onnx/eval.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

static gboolean
refuse (const OnnxNode *node, const char *what, GError **error)
{
  return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
      ONNX_NODE_FORMAT " %s, which is not supported", ONNX_NODE_ARGS (node), what);
}

/* Makes the result of reducing one axis; the caller fills in the numbers. */
static Tensor *
reduced (TensorScope *scope, const OnnxNode *node, const Tensor *in, guint axis, gboolean is_int,
    GError **error)
{
  gboolean keep = yolo_onnx_attr_int (node, "keepdims", 1) != 0;
  gint64 dims[TENSOR_MAX_DIMS];
  guint n_dims = 0;

  for (guint d = 0; d < in->n_dims; d++) {
    if (d != axis || keep)
      dims[n_dims++] = d == axis ? 1 : in->dims[d];
  }
  return yolo_onnx_tensor_new (scope, is_int, n_dims, dims, error);
}

/* The index of the largest of n numbers that lie a step apart; the first of equal ones. */
static gsize
largest (const Tensor *in, gsize first, gsize n, gsize step)
{
  gsize best = first;

  for (gsize at = first; at < first + n * step; at += step) {
    if (in->is_int ? in->i[at] > in->i[best] : in->f[at] > in->f[best])
      best = at;
  }
  return best;
}

/* The sum of n numbers that lie a step apart, as number @at of @out. Sums of integers may
 * wrap. */
static void
add_up (const Tensor *in, gsize first, gsize n, gsize step, Tensor *out, gsize at)
{
  for (gsize k = 0; k < n; k++) {
    if (in->is_int)
      out->i[at] = (gint64) ((guint64) out->i[at] + (guint64) in->i[first + k * step]);
    else
      out->f[at] += in->f[first + k * step];
  }
}

static gboolean
reduce (TensorScope *scope, const OnnxNode *node, const Tensor *in, gint64 at, Tensor **out,
    GError **error)
{
  gboolean index = strcmp (node->op, "ArgMax") == 0, sum = strcmp (node->op, "ReduceSum") == 0;
  gsize outer, inner, n;
  guint axis;

  if (!yolo_onnx_tensor_axis (node, at, in->n_dims, &axis, error))
    return FALSE;
  n = (gsize) in->dims[axis];
  if (n == 0)
    return yolo_onnx_bad (node, "reduces a dimension of 0", error);
  *out = reduced (scope, node, in, axis, index || in->is_int, error);
  if (*out == NULL)
    return FALSE;
  yolo_onnx_tensor_split (in, axis, &outer, &inner);
  for (gsize o = 0; o < outer; o++) {
    for (gsize i = 0; i < inner; i++) {
      gsize first = o * n * inner + i, best = sum ? first : largest (in, first, n, inner);
      if (sum)
        add_up (in, first, n, inner, *out, o * inner + i);
      else if (index)
        (*out)->i[o * inner + i] = (gint64) ((best - first) / inner);
      else
        yolo_onnx_tensor_copy (*out, o * inner + i, in, best, 1);
    }
  }
  return TRUE;
}

gboolean
yolo_eval_arg_max (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  if (yolo_onnx_attr_int (node, "select_last_index", 0) != 0)
    return refuse (node, "takes the last of equal numbers", error);
  return reduce (scope, node, in[0], yolo_onnx_attr_int (node, "axis", 0), out, error);
}

/* ReduceMax and ReduceSum */
gboolean
yolo_eval_reduce (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const gint64 *axes;
  gsize n;

  if (!yolo_onnx_tensor_ints (node, node->n_in > 1 ? in[1] : NULL, "axes", &axes, &n, error))
    return FALSE;
  if (n == 0 && in[0]->n_dims == 1 && yolo_onnx_attr_int (node, "noop_with_empty_axes", 0) == 0)
    return reduce (scope, node, in[0], 0, out, error);  /* the only axis there is */
  if (n != 1)
    return refuse (node, "reduces another number of dimensions than one", error);
  return reduce (scope, node, in[0], axes[0], out, error);
}

/* A number of a row, and where it stands in it. */
typedef struct {
  float score;
  gint64 at;
} Scored;

/* The higher score first, and of equal ones that which stands first. */
static gint
compare_scored (gconstpointer a, gconstpointer b)
{
  const Scored *x = a, *y = b;

  if (x->score != y->score)
    return x->score > y->score ? -1 : 1;
  return x->at < y->at ? -1 : x->at > y->at;
}

/* Sorts n numbers that lie a step apart, the largest first, or the smallest. A NaN is behind
 * all numbers, so that the order is one whatever a file computes. */
static void
sort_row (GArray *sorted, const float *from, gsize n, gsize step, gboolean largest)
{
  g_array_set_size (sorted, 0);
  for (gsize k = 0; k < n; k++) {
    float value = largest ? from[k * step] : -from[k * step];
    Scored scored = { isnan (value) ? -INFINITY : value, (gint64) k };
    g_array_append_val (sorted, scored);
  }
  g_array_sort (sorted, compare_scored);
}

/* Source: ONNX, docs/Operators.md, TopK. Where the order does not matter (sorted=0), it is
 * the same. */
gboolean
yolo_eval_top_k (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean largest = yolo_onnx_attr_int (node, "largest", 1) != 0;
  const Tensor *x = in[0];
  g_autoptr (GArray) sorted = g_array_new (FALSE, FALSE, sizeof (Scored));
  gint64 dims[TENSOR_MAX_DIMS];
  gsize outer, inner, n, count;
  guint axis;

  if (x->is_int || !in[1]->is_int || in[1]->n != 1)
    return yolo_onnx_bad (node, "its inputs are not floats and one integer", error);
  if (!yolo_onnx_tensor_axis (
          node, yolo_onnx_attr_int (node, "axis", -1), x->n_dims, &axis, error))
    return FALSE;
  n = (gsize) x->dims[axis];
  if (in[1]->i[0] < 0 || in[1]->i[0] > x->dims[axis])
    return yolo_onnx_bad (node, "takes more numbers than there are", error);
  /* the outputs, which the scope counts, may be much smaller than what is sorted */
  if (x->n > scope->left)
    return yolo_onnx_bad (node, "sorts more than the reader evaluates", error);
  scope->left -= x->n;
  memcpy (dims, x->dims, sizeof dims);
  dims[axis] = in[1]->i[0];
  count = (gsize) dims[axis];
  for (guint k = 0; k < node->n_out; k++) {
    if ((out[k] = yolo_onnx_tensor_new (scope, k == 1, x->n_dims, dims, error)) == NULL)
      return FALSE;
  }
  yolo_onnx_tensor_split (x, axis, &outer, &inner);
  for (gsize row = 0; count > 0 && row < outer * inner; row++) {
    gsize first = row / inner * n * inner + row % inner;
    gsize to = row / inner * count * inner + row % inner;

    sort_row (sorted, x->f + first, n, inner, largest);
    for (gsize k = 0; k < count; k++) {
      gint64 at = g_array_index (sorted, Scored, k).at;
      out[0]->f[to + k * inner] = x->f[first + (gsize) at * inner];
      if (node->n_out > 1)
        out[1]->i[to + k * inner] = at;
    }
  }
  return TRUE;
}

/* Takes each number from its own place, but on the axis from where an index says. */
gboolean
yolo_eval_gather_elements (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *data = in[0], *indices = in[1];
  TensorWalk walk = { 0 };
  gsize stride = 1, step = 0;
  guint axis;

  if (!indices->is_int || indices->n_dims != data->n_dims)
    return yolo_onnx_bad (node, "its indices do not fit its data", error);
  if (!yolo_onnx_tensor_axis (
          node, yolo_onnx_attr_int (node, "axis", 0), data->n_dims, &axis, error))
    return FALSE;
  for (guint d = data->n_dims; d-- > 0;) {
    if (d != axis && indices->dims[d] > data->dims[d])
      return yolo_onnx_bad (node, "its indices do not fit its data", error);
    walk.strides[d] = d != axis ? stride : 0;
    step = d == axis ? stride : step;
    stride *= (gsize) data->dims[d];
  }
  *out = yolo_onnx_tensor_new (scope, data->is_int, indices->n_dims, indices->dims, error);
  if (*out == NULL)
    return FALSE;
  walk.out = *out;
  for (gsize i = 0; i < (*out)->n; i++, yolo_onnx_tensor_walk_next (&walk)) {
    gint64 k = indices->i[i] < 0 ? indices->i[i] + data->dims[axis] : indices->i[i];
    if (k < 0 || k >= data->dims[axis])
      return yolo_onnx_bad (node, "an index is out of range", error);
    yolo_onnx_tensor_copy (*out, i, data, walk.offset + (gsize) k * step, 1);
  }
  return TRUE;
}

gboolean
yolo_eval_non_zero (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *x = in[0];
  gint64 dims[2] = { x->n_dims, 0 };
  gsize column = 0;

  for (gsize i = 0; i < x->n; i++)
    dims[1] += x->is_int ? x->i[i] != 0 : x->f[i] != 0;
  *out = yolo_onnx_tensor_new (scope, TRUE, 2, dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize i = 0; i < x->n; i++) {
    gsize rest = i;

    if (x->is_int ? x->i[i] == 0 : x->f[i] == 0)
      continue;
    for (guint d = x->n_dims; d-- > 0; rest /= (gsize) x->dims[d])
      (*out)->i[d * dims[1] + column] = (gint64) (rest % (gsize) x->dims[d]);
    column++;
  }
  return TRUE;
}

/* Finds, of indices [...][depth] into data, how many there are (*n) and how many elements
 * each stands for (*size). */
static gboolean
measure_indices (const OnnxNode *node, const Tensor *data, const Tensor *indices, guint *depth,
    gsize *n, gsize *size, GError **error)
{
  if (!indices->is_int || indices->n_dims < 1 || indices->dims[indices->n_dims - 1] < 1
      || indices->dims[indices->n_dims - 1] > data->n_dims)
    return yolo_onnx_bad (node, "its indices do not fit its data", error);
  *depth = (guint) indices->dims[indices->n_dims - 1];
  *n = indices->n / *depth;
  *size = 1;
  for (guint d = *depth; d < data->n_dims; d++)
    *size *= (gsize) data->dims[d];
  return TRUE;
}

/* Finds where the elements begin that an index stands for. */
static gboolean
find_index (const OnnxNode *node, const Tensor *data, const gint64 *index, guint depth, gsize size,
    gsize *at, GError **error)
{
  *at = 0;
  for (guint d = 0; d < depth; d++) {
    gint64 k = index[d] < 0 ? index[d] + data->dims[d] : index[d];
    if (k < 0 || k >= data->dims[d])
      return yolo_onnx_bad (node, "an index is out of range", error);
    *at = *at * (gsize) data->dims[d] + (gsize) k;
  }
  *at *= size;
  return TRUE;
}

gboolean
yolo_eval_gather_nd (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *data = in[0], *indices = in[1];
  gint64 dims[2 * TENSOR_MAX_DIMS];
  guint depth, n_dims = 0;
  gsize n, size, at;

  if (yolo_onnx_attr_int (node, "batch_dims", 0) != 0)
    return refuse (node, "gathers batch by batch", error);
  if (!measure_indices (node, data, indices, &depth, &n, &size, error))
    return FALSE;
  for (guint d = 0; d + 1 < indices->n_dims; d++)
    dims[n_dims++] = indices->dims[d];
  for (guint d = depth; d < data->n_dims; d++)
    dims[n_dims++] = data->dims[d];
  *out = yolo_onnx_tensor_new (scope, data->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize k = 0; k < n; k++) {
    if (!find_index (node, data, indices->i + k * depth, depth, size, &at, error))
      return FALSE;
    yolo_onnx_tensor_copy (*out, k * size, data, at, size);
  }
  return TRUE;
}

gboolean
yolo_eval_scatter_nd (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *data = in[0], *indices = in[1], *updates = in[2];
  guint depth;
  gsize n, size, at;

  if (!yolo_onnx_attr_is (node, "reduction", "none", "none"))
    return refuse (node, "combines numbers where it scatters", error);
  if (!measure_indices (node, data, indices, &depth, &n, &size, error))
    return FALSE;
  if (updates->is_int != data->is_int || updates->n != n * size)
    return yolo_onnx_bad (node, "its updates do not fit its data", error);
  *out = yolo_onnx_tensor_new (scope, data->is_int, data->n_dims, data->dims, error);
  if (*out == NULL)
    return FALSE;
  yolo_onnx_tensor_copy (*out, 0, data, 0, data->n);
  for (gsize k = 0; k < n; k++) {
    if (!find_index (node, data, indices->i + k * depth, depth, size, &at, error))
      return FALSE;
    yolo_onnx_tensor_copy (*out, at, updates, k * size, size);
  }
  return TRUE;
}

/* Pads with zeros. */
gboolean
yolo_eval_pad (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *x = in[0], *pads = in[1], *value = node->n_in > 2 ? in[2] : NULL;
  gint64 dims[TENSOR_MAX_DIMS];
  gsize row;

  if (!yolo_onnx_attr_is (node, "mode", "constant", "constant") || (node->n_in > 3 && in[3] != NULL)
      || (value != NULL
          && (value->n != 1 || (value->is_int ? value->i[0] != 0 : value->f[0] != 0))))
    return refuse (node, "pads with something else than zeros", error);
  if (!pads->is_int || pads->n != 2 * x->n_dims || x->n_dims == 0)
    return yolo_onnx_bad (node, "its pads do not fit its input", error);
  for (guint d = 0; d < x->n_dims; d++) {
    gint64 before = pads->i[d], behind = pads->i[x->n_dims + d];
    if (before < 0 || behind < 0)
      return refuse (node, "cuts where it should pad", error);
    if (before > G_MAXINT32 || behind > G_MAXINT32)
      return yolo_onnx_bad (node, "its pads are impossible", error);
    dims[d] = x->dims[d] + before + behind;
  }
  *out = yolo_onnx_tensor_new (scope, x->is_int, x->n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  row = (gsize) x->dims[x->n_dims - 1];
  for (gsize i = 0; i < x->n; i += row) {
    gsize rest = i, at = 0, stride = 1;
    for (guint d = x->n_dims; d-- > 0;) {
      at += (rest % (gsize) x->dims[d] + (gsize) pads->i[d]) * stride;
      rest /= (gsize) x->dims[d];
      stride *= (gsize) dims[d];
    }
    yolo_onnx_tensor_copy (*out, at, x, i, row);
  }
  return TRUE;
}

float
yolo_eval_overlap (const float *a, const float *b)
{
  float both = 1, area_a = 1, area_b = 1;

  for (guint k = 0; k < 2; k++) {
    float a0 = MIN (a[k], a[k + 2]), a1 = MAX (a[k], a[k + 2]);
    float b0 = MIN (b[k], b[k + 2]), b1 = MAX (b[k], b[k + 2]);
    both *= MAX (MIN (a1, b1) - MAX (a0, b0), 0);
    area_a *= a1 - a0;
    area_b *= b1 - b0;
  }
  return both > 0 ? both / (area_a + area_b - both) : 0;
}

/* What NonMaxSuppression reads. */
typedef struct {
  TensorScope *scope;           /* pays an element for each comparison of two boxes */
  const Tensor *boxes;          /* [batch][n][4] */
  const Tensor *scores;         /* [batch][classes][n] */
  gint64 limit;                 /* how many boxes of a class are left at most */
  float iou, score;
} Suppression;

/* Appends to chosen (gint64: image, class, box) the boxes of one class that are left;
 * FALSE if that takes more comparisons than the scope allows. */
static gboolean
suppress_class (const Suppression *job, gint64 batch, gint64 class_id, GArray *chosen)
{
  gsize n = (gsize) job->boxes->dims[1];
  const float *boxes = job->boxes->f + (gsize) batch * n * 4;
  const float *scores = job->scores->f + ((gsize) batch * job->scores->dims[1] + class_id) * n;
  g_autoptr (GArray) sorted = g_array_new (FALSE, FALSE, sizeof (Scored));
  guint first = chosen->len;

  for (gsize k = 0; k < n; k++) {
    Scored scored = { scores[k], (gint64) k };
    if (scores[k] > job->score)
      g_array_append_val (sorted, scored);
  }
  g_array_sort (sorted, compare_scored);
  for (guint k = 0; k < sorted->len && (gint64) (chosen->len - first) < 3 * job->limit; k++) {
    gint64 row[3] = { batch, class_id, g_array_index (sorted, Scored, k).at };
    gboolean free = TRUE;

    for (guint i = first; free && i < chosen->len; i += 3) {
      const float *other = boxes + 4 * g_array_index (chosen, gint64, i + 2);
      if (job->scope->left == 0)
        return FALSE;
      job->scope->left--;
      free = !(yolo_eval_overlap (other, boxes + 4 * row[2]) > job->iou);
    }
    if (free)
      g_array_append_vals (chosen, row, 3);
  }
  return TRUE;
}

/* Source: ONNX, docs/Operators.md, NonMaxSuppression. */
gboolean
yolo_eval_suppression (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  Suppression job = { scope, in[0], in[1], 0, 0, -INFINITY };
  g_autoptr (GArray) chosen = g_array_new (FALSE, FALSE, sizeof (gint64));
  gint64 dims[2] = { 0, 3 };

  if (yolo_onnx_attr_int (node, "center_point_box", 0) != 0)
    return refuse (node, "suppresses boxes by centre and size", error);
  if (in[0]->is_int || in[1]->is_int || in[0]->n_dims != 3 || in[1]->n_dims != 3
      || in[0]->dims[2] != 4 || in[0]->dims[0] != in[1]->dims[0]
      || in[0]->dims[1] != in[1]->dims[2])
    return yolo_onnx_bad (node, "its boxes and scores do not fit each other", error);
  for (guint k = 2; k < node->n_in; k++) {
    if (in[k] != NULL && (in[k]->n != 1 || in[k]->is_int != (k == 2)))
      return yolo_onnx_bad (node, "a limit is not one number of the right type", error);
  }
  if (node->n_in > 2 && in[2] != NULL)
    job.limit = CLAMP (in[2]->i[0], 0, G_MAXINT32);
  if (node->n_in > 3 && in[3] != NULL)
    job.iou = in[3]->f[0];
  if (node->n_in > 4 && in[4] != NULL)
    job.score = in[4]->f[0];
  for (gint64 b = 0; b < in[1]->dims[0]; b++) {
    for (gint64 c = 0; c < in[1]->dims[1]; c++) {
      if (!suppress_class (&job, b, c, chosen))
        return refuse (node, "compares more boxes than the reader does", error);
    }
  }
  dims[0] = chosen->len / 3;
  *out = yolo_onnx_tensor_new (scope, TRUE, 2, dims, error);
  if (*out != NULL && chosen->len > 0)
    memcpy ((*out)->i, chosen->data, chosen->len * sizeof (gint64));
  return *out != NULL;
}

/* Leaves the numbers on one side of a diagonal of each matrix, and 0 for the rest. */
gboolean
yolo_eval_trilu (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Tensor *x = in[0], *k = node->n_in > 1 ? in[1] : NULL;
  gboolean upper = yolo_onnx_attr_int (node, "upper", 1) != 0;
  gint64 rows, columns, diagonal = 0;

  if (x->n_dims < 2 || (k != NULL && (!k->is_int || k->n != 1)))
    return yolo_onnx_bad (node, "its input is no matrix, or its diagonal no integer", error);
  rows = x->dims[x->n_dims - 2];
  columns = x->dims[x->n_dims - 1];
  diagonal = k != NULL ? CLAMP (k->i[0], -rows, columns) : 0;
  *out = yolo_onnx_tensor_new (scope, x->is_int, x->n_dims, x->dims, error);
  if (*out == NULL)
    return FALSE;
  for (gsize i = 0; i < x->n; i++) {
    gint64 column = (gint64) i % columns, row = (gint64) i / columns % rows;
    if (upper ? column - row >= diagonal : column - row <= diagonal)
      yolo_onnx_tensor_copy (*out, i, x, i, 1);
  }
  return TRUE;
}
