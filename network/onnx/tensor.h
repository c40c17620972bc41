/* SPDX-License-Identifier: MIT */
/* Small concrete tensors and the operators that work on them: for constants,
 * for the arithmetic on shapes, and for the check of the head. */

#ifndef YOLO_ONNX_TENSOR_H
#define YOLO_ONNX_TENSOR_H

#include "network/onnx/onnx.h"

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
Tensor *tensor_new (
    TensorScope *scope, gboolean is_int, guint n_dims, const gint64 *dims, GError **error);
Tensor *tensor_ref (Tensor *tensor);
void tensor_unref (Tensor *tensor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Tensor, tensor_unref)

/* From the file; FORMAT error if it holds a NaN or an infinity. */
Tensor *tensor_from_proto (const Onnx__TensorProto *proto, const char *what, GError **error);

/* [1][n_dims] what Shape gives of a value of these dims. */
Tensor *tensor_shape (
    TensorScope *scope, const OnnxNode *node, guint n_dims, const gint64 *dims, GError **error);

/* Elements before an axis and behind it. */
void tensor_split (const Tensor *tensor, guint axis, gsize *outer, gsize *inner);
/* Of an axis that may be counted from the end. */
gboolean tensor_axis (
    const OnnxNode *node, gint64 axis, guint n_dims, guint *resolved, GError **error);
/* The integers of an input, or of an attribute in older operator sets; NULL where there are
 * none. */
gboolean tensor_ints (const OnnxNode *node, const Tensor *input, const char *attribute,
    const gint64 **values, gsize *n, GError **error);
void tensor_copy (Tensor *to, gsize at, const Tensor *from, gsize start, gsize n);

/* Whether node is of a kind that tensor_eval() knows. */
gboolean tensor_can_eval (const OnnxNode *node);
/* Runs a node: in[] may hold NULL for inputs left out, out[] is filled with
 * references of the caller's. Quantising and dequantising activations is the
 * identity here. */
gboolean tensor_eval (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);

#endif
