/* SPDX-License-Identifier: MIT */
/* From ONNX nodes to layers: what a network is made of before the plan. */

#ifndef YOLO_ONNX_LOWER_H
#define YOLO_ONNX_LOWER_H

#include "network/graph.h"
#include "network/onnx/tensor.h"

/* What is known of an ONNX value after lowering. */
typedef enum {
  VALUE_UNKNOWN,
  VALUE_CONST,                  /* tensor */
  /* made of the input only: tensor is what a small picture becomes, see image.c */
  VALUE_IMAGE,
  VALUE_FEATURE,                /* layer */
  /* depends on features, but is no feature map: the head's tail, or not understood */
  VALUE_TAIL,
} ValueKind;

typedef struct {
  ValueKind kind;
  Tensor *tensor;
  gboolean broken;              /* the file's tensor was read and refused before */
  guint layer;
  YoloGrid grid;                /* VALUE_IMAGE: that it was rounded to last; scale 0: to none */
  /* QuantizeLinear whose whole numbers it holds; or NULL: it holds real ones */
  const OnnxNode *quantizer;
} Value;

typedef struct {
  const OnnxFile *file;
  TensorScope scope;
  YoloGraph *graph;
  Value *values;                /* one for each of file->values */
  guint height, width;          /* input size that was lowered: the file's, or a probe's */
  gboolean quantized;           /* some weights or constants were */
} Lowered;

/* Turns every node into layers, constants or tail, at this input size. */
Lowered *yolo_lower (const OnnxFile *file, guint height, guint width, GError **error);
void yolo_lowered_free (Lowered *lowered);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Lowered, yolo_lowered_free)

/* The value's constant, read on first use; NULL if it is none (without error) or cannot be read. */
Tensor *yolo_lowered_constant (Lowered *lowered, guint value, GError **error);

/* The grid of a QuantizeLinear with constant parameters; FALSE where that has other than 8 bits,
 * or more than one scale. */
gboolean yolo_lowered_grid (Lowered *lowered, const OnnxNode *node, YoloGrid *grid);

/* From here on: what the files lower-*.c share. */

/* Turns a node whose first input is a feature map into layers. */
typedef gboolean LowerFunc (Lowered *lowered, const OnnxNode *node, GError **error);

/* lower-arithmetic.c */
LowerFunc yolo_lower_act, yolo_lower_arithmetic, yolo_lower_batch_norm;
/* lower-conv.c */
LowerFunc yolo_lower_conv, yolo_lower_max_pool;
/* lower-quantize.c */
LowerFunc yolo_lower_quantize, yolo_lower_dynamic_quantize;
/* lower-shape.c */
LowerFunc yolo_lower_concat, yolo_lower_resize, yolo_lower_same, yolo_lower_shape, yolo_lower_slice,
    yolo_lower_split;

/* Quantising counts as the identity here, which it is if the whole numbers come
 * back by the scale that made them, and nothing computes with them before. FALSE
 * with @error where it is not; else the node's outputs know their quantiser. */
gboolean yolo_lower_follow_quantizers (Lowered *lowered, const OnnxNode *node, GError **error);

/* An expression that sets the error that a node "WHAT, which is not supported", and is FALSE. */
#define yolo_lower_refuse(node, what, error) \
  yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED, \
      ONNX_NODE_FORMAT \
      " %s, which is not supported; export a YOLOv8 detect model with Ultralytics", \
      ONNX_NODE_ARGS (node), what)

/* Input k of a node; NULL where it is left out. */
const Value *yolo_lowered_value (const Lowered *lowered, const OnnxNode *node, guint k);
gboolean yolo_lowered_is_feature (const Lowered *lowered, const OnnxNode *node, guint k);
/* The layer of an input that is a feature map. */
YoloLayer *yolo_lowered_feature (const Lowered *lowered, const OnnxNode *node, guint k);
/* Lets output k of a node be a layer; FALSE if there is none, since adding it has failed. */
gboolean yolo_lowered_set_layer (Lowered *lowered, const OnnxNode *node, guint k, guint layer);
/* The constant that input k is; *tensor is NULL where the input is left out. */
gboolean yolo_lowered_parameter (
    Lowered *lowered, const OnnxNode *node, guint k, Tensor **tensor, GError **error);
/* The element type of a constant, 0 where that takes more than a look. */
gint32 yolo_lowered_constant_type (const Lowered *lowered, guint value);
/* Whether inputs a and b, which are constants, may be of one type, as the standard wants. */
gboolean yolo_lowered_check_types (
    const Lowered *lowered, const OnnxNode *node, guint a, guint b, GError **error);
/* Allows a layer n numbers of its own: many layers may share the file's, or have
 * as many as channels were joined. */
gboolean yolo_lowered_take_numbers (
    Lowered *lowered, const OnnxNode *node, gsize n, GError **error);

#endif
