/* SPDX-License-Identifier: MIT */
#include "network/onnx/eval.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT

static Tensor *
with_dims (TensorScope *scope, const Tensor *in, guint n_dims, const gint64 *dims, GError **error)
{
  g_autoptr (Tensor) out = yolo_onnx_tensor_new (scope, in->is_int, n_dims, dims, error);

  if (out == NULL)
    return NULL;
  if (out->n != in->n) {
    yolo_network_set_error (error, FORMAT,
        "node '%.100s': its shape has %" G_GSIZE_FORMAT " elements, its input %" G_GSIZE_FORMAT
        "; is the file made for another size than its input or its metadata (imgsz) say?",
        scope->node != NULL ? scope->node->name : "", out->n, in->n);
    return NULL;
  }
  yolo_onnx_tensor_copy (out, 0, in, 0, in->n);
  return g_steal_pointer (&out);
}

gboolean
yolo_eval_identity (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  *out = yolo_onnx_tensor_ref (in[0]);
  return TRUE;
}

gboolean
yolo_eval_shape (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  *out = yolo_onnx_tensor_shape (scope, node, in[0]->n_dims, in[0]->dims, error);
  return *out != NULL;
}

gboolean
yolo_eval_constant (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Onnx__AttributeProto *attr;
  g_autofree char *what = g_strdup_printf ("the constant '%.80s'", node->name);
  gint64 n;

  if ((attr = yolo_onnx_attr (node, "value")) != NULL) {
    *out = yolo_onnx_tensor_from_proto (attr->t, what, error);
  } else if ((attr = yolo_onnx_attr (node, "value_float")) != NULL) {
    if ((*out = yolo_onnx_tensor_new (scope, FALSE, 0, NULL, error)) != NULL)
      (*out)->f[0] = attr->f;
  } else if ((attr = yolo_onnx_attr (node, "value_int")) != NULL) {
    if ((*out = yolo_onnx_tensor_new (scope, TRUE, 0, NULL, error)) != NULL)
      (*out)->i[0] = attr->i;
  } else if ((attr = yolo_onnx_attr (node, "value_ints")) != NULL) {
    n = attr->n_ints;
    if ((*out = yolo_onnx_tensor_new (scope, TRUE, 1, &n, error)) != NULL && n > 0)
      memcpy ((*out)->i, attr->ints, n * sizeof (gint64));
  } else if ((attr = yolo_onnx_attr (node, "value_floats")) != NULL) {
    n = attr->n_floats;
    if ((*out = yolo_onnx_tensor_new (scope, FALSE, 1, &n, error)) != NULL && n > 0)
      memcpy ((*out)->f, attr->floats, n * sizeof (float));
  } else {
    return yolo_onnx_bad (node, "holds no number", error);
  }
  return *out != NULL;
}

gboolean
yolo_eval_constant_of_shape (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const Onnx__AttributeProto *attr = yolo_onnx_attr (node, "value");
  g_autoptr (Tensor) value = NULL;

  if (!in[0]->is_int || in[0]->n > TENSOR_MAX_DIMS)
    return yolo_onnx_bad (node, "its shape is no list of integers", error);
  if (attr != NULL) {
    value = yolo_onnx_tensor_from_proto (attr->t, "its value", error);
    if (value == NULL)
      return FALSE;
    if (value->n != 1)
      return yolo_onnx_bad (node, "its value is not one number", error);
  }
  *out = yolo_onnx_tensor_new (scope, value != NULL && value->is_int, in[0]->n, in[0]->i, error);
  if (*out == NULL)
    return FALSE;
  for (gsize i = 0; value != NULL && i < (*out)->n; i++)
    yolo_onnx_tensor_copy (*out, i, value, 0, 1);
  return TRUE;
}

gboolean
yolo_eval_range (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  double start, limit, delta, count;
  gint64 n;

  for (int k = 0; k < 3; k++) {
    if (in[k]->n != 1 || in[k]->is_int != in[0]->is_int)
      return yolo_onnx_bad (node, "its inputs are not single numbers of one type", error);
  }
  start = in[0]->is_int ? (double) in[0]->i[0] : in[0]->f[0];
  limit = in[1]->is_int ? (double) in[1]->i[0] : in[1]->f[0];
  delta = in[2]->is_int ? (double) in[2]->i[0] : in[2]->f[0];
  count = ceil ((limit - start) / delta);
  if (!isfinite (count) || count > (double) scope->max_elements)
    return yolo_onnx_bad (node, "its range is impossible", error);
  n = (gint64) MAX (count, 0);
  *out = yolo_onnx_tensor_new (scope, in[0]->is_int, 1, &n, error);
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

gboolean
yolo_eval_expand (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 dims[TENSOR_MAX_DIMS];
  guint n_dims;
  TensorWalk walk;

  if (!in[1]->is_int || in[1]->n > TENSOR_MAX_DIMS)
    return yolo_onnx_bad (node, "its shape is no list of integers", error);
  if (!yolo_onnx_tensor_broadcast (node, in[0], in[1]->n, in[1]->i, &n_dims, dims, error))
    return FALSE;
  *out = yolo_onnx_tensor_new (scope, in[0]->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  yolo_onnx_tensor_walk_init (&walk, in[0], *out);
  for (gsize i = 0; i < (*out)->n; i++, yolo_onnx_tensor_walk_next (&walk))
    yolo_onnx_tensor_copy (*out, i, in[0], walk.offset, 1);
  return TRUE;
}

gboolean
yolo_eval_gather (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 dims[2 * TENSOR_MAX_DIMS];
  guint axis, n_dims = 0;
  gsize outer, inner;

  if (!in[1]->is_int)
    return yolo_onnx_bad (node, "its indices are no integers", error);
  if (!yolo_onnx_tensor_axis (
          node, yolo_onnx_attr_int (node, "axis", 0), in[0]->n_dims, &axis, error))
    return FALSE;
  for (guint d = 0; d < axis; d++)
    dims[n_dims++] = in[0]->dims[d];
  for (guint d = 0; d < in[1]->n_dims; d++)
    dims[n_dims++] = in[1]->dims[d];
  for (guint d = axis + 1; d < in[0]->n_dims; d++)
    dims[n_dims++] = in[0]->dims[d];
  *out = yolo_onnx_tensor_new (scope, in[0]->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  yolo_onnx_tensor_split (in[0], axis, &outer, &inner);
  for (gsize o = 0; o < outer; o++) {
    for (gsize k = 0; k < in[1]->n; k++) {
      gint64 index = in[1]->i[k] < 0 ? in[1]->i[k] + in[0]->dims[axis] : in[1]->i[k];
      if (index < 0 || index >= in[0]->dims[axis])
        return yolo_onnx_bad (node, "an index is out of range", error);
      yolo_onnx_tensor_copy (
          *out, (o * in[1]->n + k) * inner, in[0], (o * in[0]->dims[axis] + index) * inner, inner);
    }
  }
  return TRUE;
}

/* Marks the axes that the second input names, or the attribute in older operator sets.
 * *any: there are some. */
static gboolean
marked_axes (const OnnxNode *node, Tensor *const *in, guint n_dims, gboolean *marked, gboolean *any,
    GError **error)
{
  const gint64 *axes;
  gsize n;
  guint axis;

  if (!yolo_onnx_tensor_ints (node, node->n_in > 1 ? in[1] : NULL, "axes", &axes, &n, error))
    return FALSE;
  memset (marked, 0, n_dims * sizeof (gboolean));
  for (gsize k = 0; k < n; k++) {
    if (!yolo_onnx_tensor_axis (node, axes[k], n_dims, &axis, error))
      return FALSE;
    marked[axis] = TRUE;
  }
  *any = n > 0;
  return TRUE;
}

gboolean
yolo_eval_unsqueeze (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean marked[TENSOR_MAX_DIMS], any;
  gint64 dims[TENSOR_MAX_DIMS];
  const gint64 *axes;
  gsize n;
  guint next = 0, n_dims;

  if (!yolo_onnx_tensor_ints (node, node->n_in > 1 ? in[1] : NULL, "axes", &axes, &n, error))
    return FALSE;
  if (n > TENSOR_MAX_DIMS || in[0]->n_dims + n > TENSOR_MAX_DIMS)
    return yolo_onnx_bad (node, "too many dimensions", error);
  n_dims = in[0]->n_dims + (guint) n;
  if (!marked_axes (node, in, n_dims, marked, &any, error))
    return FALSE;
  for (guint d = 0; d < n_dims; d++) {
    if (!marked[d] && next == in[0]->n_dims)
      return yolo_onnx_bad (node, "an axis is named twice", error);
    dims[d] = marked[d] ? 1 : in[0]->dims[next++];
  }
  *out = with_dims (scope, in[0], n_dims, dims, error);
  return *out != NULL;
}

gboolean
yolo_eval_squeeze (
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
      return yolo_onnx_bad (node, "drops a dimension that is not 1", error);
  }
  *out = with_dims (scope, in[0], n_dims, dims, error);
  return *out != NULL;
}

gboolean
yolo_eval_reshape (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gboolean allow_zero = yolo_onnx_attr_int (node, "allowzero", 0) != 0;
  gint64 dims[TENSOR_MAX_DIMS];
  gsize known = 1;
  gint64 inferred = -1;
  guint n_dims;

  if (!in[1]->is_int || in[1]->n > TENSOR_MAX_DIMS)
    return yolo_onnx_bad (node, "its shape is no list of integers", error);
  n_dims = (guint) in[1]->n;
  for (guint d = 0; d < n_dims; d++) {
    dims[d] = in[1]->i[d];
    if (dims[d] == 0 && !allow_zero) {
      if (d >= in[0]->n_dims)
        return yolo_onnx_bad (node, "copies a dimension that its input does not have", error);
      dims[d] = in[0]->dims[d];
    }
    /* The file may have its batch written into shapes; one image is evaluated. */
    if (d == 0 && scope->batch > 1 && dims[0] == scope->batch && in[0]->n_dims > 0
        && in[0]->dims[0] == 1)
      dims[0] = 1;
    if (dims[d] == -1) {
      if (inferred >= 0)
        return yolo_onnx_bad (node, "leaves two dimensions open", error);
      inferred = d;
    } else if (dims[d] < 0 || !g_size_checked_mul (&known, known, (gsize) dims[d])) {
      return yolo_onnx_bad (node, "its shape is impossible", error);
    }
  }
  if (inferred >= 0) {
    if (known == 0 || in[0]->n % known != 0)
      return yolo_onnx_bad (node, "its shape does not fit its input", error);
    dims[inferred] = (gint64) (in[0]->n / known);
  }
  *out = with_dims (scope, in[0], n_dims, dims, error);
  return *out != NULL;
}

gboolean
yolo_eval_flatten (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 axis = yolo_onnx_attr_int (node, "axis", 1), dims[2] = { 1, 1 };

  axis = axis < 0 ? axis + in[0]->n_dims : axis;
  for (guint d = 0; d < in[0]->n_dims; d++)
    dims[d < axis ? 0 : 1] *= in[0]->dims[d];
  *out = with_dims (scope, in[0], 2, dims, error);
  return *out != NULL;
}

gboolean
yolo_eval_transpose (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gsize n, strides[TENSOR_MAX_DIMS], stride = 1;
  const gint64 *perm = yolo_onnx_attr_ints (node, "perm", &n);
  gint64 dims[TENSOR_MAX_DIMS];
  gboolean seen[TENSOR_MAX_DIMS] = { FALSE };
  guint n_dims = in[0]->n_dims;
  TensorWalk walk;

  if (perm != NULL && n != n_dims)
    return yolo_onnx_bad (node, "its permutation does not fit its input", error);
  for (guint d = n_dims; d-- > 0;) {
    strides[d] = stride;
    stride *= (gsize) in[0]->dims[d];
  }
  memset (&walk, 0, sizeof walk);
  for (guint d = 0; d < n_dims; d++) {
    gint64 from = perm != NULL ? perm[d] : n_dims - 1 - d;
    if (from < 0 || from >= n_dims || seen[from])
      return yolo_onnx_bad (node, "its permutation is none", error);
    seen[from] = TRUE;
    dims[d] = in[0]->dims[from];
    walk.strides[d] = strides[from];
  }
  *out = yolo_onnx_tensor_new (scope, in[0]->is_int, n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  walk.out = *out;
  for (gsize i = 0; i < (*out)->n; i++, yolo_onnx_tensor_walk_next (&walk))
    yolo_onnx_tensor_copy (*out, i, in[0], walk.offset, 1);
  return TRUE;
}

gboolean
yolo_eval_concat (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 dims[TENSOR_MAX_DIMS];
  guint axis;
  gsize outer, inner, at = 0;

  if (!yolo_onnx_tensor_axis (
          node, yolo_onnx_attr_int (node, "axis", 0), in[0]->n_dims, &axis, error))
    return FALSE;
  memcpy (dims, in[0]->dims, sizeof dims);
  dims[axis] = 0;
  for (guint k = 0; k < node->n_in; k++) {
    if (in[k]->n_dims != in[0]->n_dims || in[k]->is_int != in[0]->is_int)
      return yolo_onnx_bad (node, "its inputs do not fit each other", error);
    for (guint d = 0; d < in[0]->n_dims; d++) {
      if (d == axis)
        dims[d] += in[k]->dims[d];
      else if (in[k]->dims[d] != dims[d])
        return yolo_onnx_bad (node, "its inputs do not fit each other", error);
    }
  }
  *out = yolo_onnx_tensor_new (scope, in[0]->is_int, in[0]->n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  yolo_onnx_tensor_split (*out, axis, &outer, &inner);
  for (gsize o = 0; o < outer; o++) {
    for (guint k = 0; k < node->n_in; k++) {
      gsize n = (gsize) in[k]->dims[axis] * inner;
      yolo_onnx_tensor_copy (*out, at, in[k], o * n, n);
      at += n;
    }
  }
  return TRUE;
}

gboolean
yolo_eval_split (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  const gint64 *sizes;
  gint64 dims[TENSOR_MAX_DIMS], start = 0, total;
  gsize n, outer, inner;
  guint axis;

  if (!yolo_onnx_tensor_ints (node, node->n_in > 1 ? in[1] : NULL, "split", &sizes, &n, error)
      || !yolo_onnx_tensor_axis (
          node, yolo_onnx_attr_int (node, "axis", 0), in[0]->n_dims, &axis, error))
    return FALSE;
  if (sizes != NULL && n != node->n_out)
    return yolo_onnx_bad (node, "it has not one size for each output", error);
  memcpy (dims, in[0]->dims, sizeof dims);
  total = dims[axis];
  yolo_onnx_tensor_split (in[0], axis, &outer, &inner);
  for (guint k = 0; k < node->n_out; k++) {
    gint64 chunk = (total + node->n_out - 1) / node->n_out;
    dims[axis] = sizes != NULL ? sizes[k] : MIN (chunk, MAX (total - start, 0));
    if (dims[axis] < 0 || dims[axis] > total - start)
      return yolo_onnx_bad (node, "its sizes do not fit its input", error);
    out[k] = yolo_onnx_tensor_new (scope, in[0]->is_int, in[0]->n_dims, dims, error);
    if (out[k] == NULL)
      return FALSE;
    for (gsize o = 0; o < outer; o++)
      yolo_onnx_tensor_copy (
          out[k], o * dims[axis] * inner, in[0], (o * total + start) * inner, dims[axis] * inner);
    start += dims[axis];
  }
  return start == total || yolo_onnx_bad (node, "its sizes do not fit its input", error);
}

gboolean
yolo_eval_slice (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  gint64 begin[TENSOR_MAX_DIMS] = { 0 }, step[TENSOR_MAX_DIMS], dims[TENSOR_MAX_DIMS];
  const gint64 *starts, *ends, *axes, *steps;
  gsize n, n_ends, n_axes, n_steps, base = 0, stride = 1;
  TensorWalk walk;

  if (!yolo_onnx_tensor_ints (node, in[1], NULL, &starts, &n, error)
      || !yolo_onnx_tensor_ints (node, in[2], NULL, &ends, &n_ends, error)
      || !yolo_onnx_tensor_ints (node, node->n_in > 3 ? in[3] : NULL, NULL, &axes, &n_axes, error)
      || !yolo_onnx_tensor_ints (
          node, node->n_in > 4 ? in[4] : NULL, NULL, &steps, &n_steps, error))
    return FALSE;
  if (n_ends != n || (axes != NULL && n_axes != n) || (steps != NULL && n_steps != n)
      || n > in[0]->n_dims)
    return yolo_onnx_bad (node, "its bounds do not fit each other", error);
  for (guint d = 0; d < in[0]->n_dims; d++) {
    dims[d] = in[0]->dims[d];
    step[d] = 1;
  }
  for (gsize k = 0; k < n; k++) {
    guint axis;
    gint64 size, first, last, by = steps != NULL ? steps[k] : 1;

    if (!yolo_onnx_tensor_axis (
            node, axes != NULL ? axes[k] : (gint64) k, in[0]->n_dims, &axis, error))
      return FALSE;
    size = in[0]->dims[axis];
    if (by == 0 || by < -size - 1 || by == G_MININT64)
      return yolo_onnx_bad (node, "its step is impossible", error);
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
  *out = yolo_onnx_tensor_new (scope, in[0]->is_int, in[0]->n_dims, dims, error);
  if (*out == NULL)
    return FALSE;
  memset (&walk, 0, sizeof walk);
  walk.out = *out;
  for (guint d = in[0]->n_dims; d-- > 0;) {
    base += (gsize) begin[d] * stride;
    /* a negative step wraps around, and the sum wraps back */
    walk.strides[d] = (gsize) step[d] * stride;
    stride *= (gsize) in[0]->dims[d];
  }
  for (gsize i = 0; i < (*out)->n; i++, yolo_onnx_tensor_walk_next (&walk))
    yolo_onnx_tensor_copy (*out, i, in[0], base + walk.offset, 1);
  return TRUE;
}
