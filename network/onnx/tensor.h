/* SPDX-License-Identifier: MIT */
/* Small concrete tensors: constants, shapes, and what the head's check computes. */

#ifndef YOLO_ONNX_TENSOR_H
#define YOLO_ONNX_TENSOR_H

#include "network/onnx/file.h"

#define TENSOR_MAX_DIMS 8

/* All float types are held as float, all integers and booleans as int64. */
typedef struct {
  guint ref;
  gboolean is_int;
  guint n_dims;
  gint64 dims[TENSOR_MAX_DIMS];
  gsize n;                      /* elements */
  float *f;                     /* [n], row-major; NULL if is_int */
  gint64 *i;                    /* [n]; NULL unless is_int */
} Tensor;

/* What evaluation may take, so that a file's numbers cannot ask for more. */
typedef struct {
  const OnnxFile *file;
  gsize max_elements;           /* of one tensor */
  gsize left;                   /* of all that are still to be made */
  gint64 batch;                 /* of the file; evaluation runs at one image */
  const OnnxNode *node;         /* that is being evaluated, for messages; or NULL */
} TensorScope;

/* NULL with @error if that is more than the scope allows. */
Tensor *yolo_onnx_tensor_new (
    TensorScope *scope, gboolean is_int, guint n_dims, const gint64 *dims, GError **error);
Tensor *yolo_onnx_tensor_ref (Tensor *tensor);
void yolo_onnx_tensor_unref (Tensor *tensor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Tensor, yolo_onnx_tensor_unref)

/* From the file; FORMAT error if it holds a NaN or an infinity. */
Tensor *yolo_onnx_tensor_from_proto (
    const Onnx__TensorProto *proto, const char *what, GError **error);

/* [1][n_dims] what Shape gives of a value of these dims. */
Tensor *yolo_onnx_tensor_shape (
    TensorScope *scope, const OnnxNode *node, guint n_dims, const gint64 *dims, GError **error);

/* Elements before an axis and behind it. */
void yolo_onnx_tensor_split (const Tensor *tensor, guint axis, gsize *outer, gsize *inner);
/* Of an axis that may be counted from the end. */
gboolean yolo_onnx_tensor_axis (
    const OnnxNode *node, gint64 axis, guint n_dims, guint *resolved, GError **error);
/* The integers of an input, or of an attribute in older operator sets; NULL where there are
 * none. */
gboolean yolo_onnx_tensor_ints (const OnnxNode *node, const Tensor *input, const char *attribute,
    const gint64 **values, gsize *n, GError **error);
void yolo_onnx_tensor_copy (Tensor *to, gsize at, const Tensor *from, gsize start, gsize n);

/* Dimensions of two tensors that are broadcast to each other, the second given by its own.
 * Source: ONNX, docs/Broadcasting.md. */
gboolean yolo_onnx_tensor_broadcast (const OnnxNode *node, const Tensor *a, guint n_b,
    const gint64 *b, guint *n_dims, gint64 *dims, GError **error);

/* Goes through out's elements in order; offset is where the matching element of an input is. */
typedef struct {
  const Tensor *out;
  gsize strides[TENSOR_MAX_DIMS];
  gint64 at[TENSOR_MAX_DIMS];
  gsize offset;
} TensorWalk;

/* in is broadcast to out. */
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
