/* SPDX-License-Identifier: MIT */
/* Small tensors with numbers in them: constants, shapes, and what the check of a head
 * computes. */

#ifndef YOLO_ONNX_TENSOR_H
#define YOLO_ONNX_TENSOR_H

#include "network/onnx/file.h"

#define TENSOR_MAX_DIMS 8

/* A tensor of any element type: floats are held as float, integers and booleans as int64.
 * One thread at a time counts its references. */
typedef struct {
  guint ref;
  gboolean is_int;
  guint n_dims;
  gint64 dims[TENSOR_MAX_DIMS];
  gsize n;                      /* elements */
  float *f;                     /* [n], row-major; NULL if is_int */
  gint64 *i;                    /* [n]; NULL unless is_int */
} Tensor;

/* What evaluation may take, so that the numbers in a file cannot ask for more. */
typedef struct {
  const OnnxFile *file;
  gsize max_elements;           /* elements that one tensor may have */
  gsize left;                   /* elements that all tensors still to be made may have together */
  /* the batch that the file was exported for; one image is evaluated */
  gint64 batch;
  const OnnxNode *node;         /* the node that is being evaluated, for messages; or NULL */
} TensorScope;

/* Makes a tensor of zeros. NULL with @error if it is more than the scope allows. */
Tensor *yolo_onnx_tensor_new (
    TensorScope *scope, gboolean is_int, guint n_dims, const gint64 *dims, GError **error);
Tensor *yolo_onnx_tensor_ref (Tensor *tensor);
void yolo_onnx_tensor_unref (Tensor *tensor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Tensor, yolo_onnx_tensor_unref)

/* Reads a tensor of the file, which @what names in errors. NULL with @error (FORMAT) if it
 * holds a NaN or an infinity. */
Tensor *yolo_onnx_tensor_from_proto (
    const Onnx__TensorProto *proto, const char *what, GError **error);

/* What Shape gives for a value of these dimensions: [n_dims], or the part that the node
 * asks for. */
Tensor *yolo_onnx_tensor_shape (
    TensorScope *scope, const OnnxNode *node, guint n_dims, const gint64 *dims, GError **error);

/* *outer: the product of the dimensions before an axis; *inner: of those behind it. */
void yolo_onnx_tensor_split (const Tensor *tensor, guint axis, gsize *outer, gsize *inner);
/* The number of an axis that may be counted from the end; FALSE with @error if there is
 * none. */
gboolean yolo_onnx_tensor_axis (
    const OnnxNode *node, gint64 axis, guint n_dims, guint *resolved, GError **error);
/* The integers of an input, or of an attribute in older operator sets. *values is NULL
 * where there are none; they are the input's or the node's. */
gboolean yolo_onnx_tensor_ints (const OnnxNode *node, const Tensor *input, const char *attribute,
    const gint64 **values, gsize *n, GError **error);
void yolo_onnx_tensor_copy (Tensor *to, gsize at, const Tensor *from, gsize start, gsize n);

/* The dimensions that two tensors are broadcast to, the second given by its dimensions.
 * FALSE with @error if they do not fit. Source: ONNX, docs/Broadcasting.md. */
gboolean yolo_onnx_tensor_broadcast (const OnnxNode *node, const Tensor *a, guint n_b,
    const gint64 *b, guint *n_dims, gint64 *dims, GError **error);

/* A walk through the elements of `out` in order; offset is where the matching element of
 * an input lies. */
typedef struct {
  const Tensor *out;
  gsize strides[TENSOR_MAX_DIMS];
  gint64 at[TENSOR_MAX_DIMS];
  gsize offset;
} TensorWalk;

/* Begins a walk through @out, beside an input that is broadcast to it. */
void yolo_onnx_tensor_walk_init (TensorWalk *walk, const Tensor *in, const Tensor *out);

static inline void
yolo_onnx_tensor_walk_next (TensorWalk *walk)
{
  for (guint d = walk->out->n_dims; d-- > 0;) {
    walk->offset += walk->strides[d];
    if (++walk->at[d] < walk->out->dims[d])
      return;
    walk->offset -= walk->strides[d] * walk->out->dims[d];
    walk->at[d] = 0;
  }
}

#endif
