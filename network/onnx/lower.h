/* SPDX-License-Identifier: MIT */
/* Lowering: the nodes of an ONNX file become layers of a graph, constants, or the tail
 * that follows the network's body. */

#ifndef YOLO_ONNX_LOWER_H
#define YOLO_ONNX_LOWER_H

#include "network/graph.h"
#include "network/onnx/tensor.h"

/* What is known of a value of the file. */
typedef enum {
  VALUE_UNKNOWN,
  VALUE_CONST,                  /* it is constant: tensor */
  /* it comes of nothing but the input: tensor is what a small picture becomes, see image.h */
  VALUE_IMAGE,
  VALUE_FEATURE,                /* it is a feature map: layer */
  VALUE_FLAT,                   /* [1][channels]: it is the one pixel of a layer's map */
  /* it depends on feature maps but is none: it belongs to the tail, or is not understood */
  VALUE_TAIL,
} ValueKind;

typedef struct _Arranged Arranged;

typedef struct {
  ValueKind kind;
  Tensor *tensor;
  gboolean broken;              /* the file's tensor was read and refused */
  guint layer;
  /* VALUE_IMAGE: the grid that it was rounded to last; scale 0: none */
  YoloGrid grid;
  /* the QuantizeLinear whose whole numbers the value holds; NULL: it holds real numbers */
  const OnnxNode *quantizer;
  /* VALUE_TAIL: what lower-attention.c knows of it, owned; NULL: nothing */
  Arranged *arranged;
} Value;

typedef struct {
  const OnnxFile *file;
  TensorScope scope;
  YoloGraph *graph;
  Value *values;                /* [file->values] */
  guint height, width;          /* pixels of the input that was lowered: the file's, or a probe's */
  gboolean quantized;           /* some constants or activations are quantised */
} Lowered;

/* Turns every node into layers, constants or tail, for an input of this size in pixels. */
Lowered *yolo_lower (const OnnxFile *file, guint height, guint width, GError **error);
void yolo_lowered_free (Lowered *lowered);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Lowered, yolo_lowered_free)

/* The tensor of a constant, which is read when it is first asked for. NULL without an
 * error if the value is not constant; NULL with @error if it cannot be read. */
Tensor *yolo_lowered_constant (Lowered *lowered, guint value, GError **error);

/* The grid of a QuantizeLinear, with the zero point of uint8. FALSE if its parameters are
 * not constant, it has other than 8 bits, or more than one scale. */
gboolean yolo_lowered_grid (Lowered *lowered, const OnnxNode *node, YoloGrid *grid);

/* The rest of this header is what the files lower-*.c share. */

/* Turns a node into layers. Its first input is a feature map; of arithmetic, either one
 * is. */
typedef gboolean LowerFunc (Lowered *lowered, const OnnxNode *node, GError **error);

/* An operator of the network's body. How many inputs it has is what the standard says for
 * operator sets 11 and newer. */
typedef struct {
  const char *op;
  LowerFunc *lower;
  gboolean (*applies) (const OnnxNode *node);   /* FALSE: the node belongs to the tail; or NULL */
  guint min_in, max_in;
  gboolean either;              /* the feature map may be another input than the first */
} LowerOperator;

/* What each file lower-*.c turns into layers, the last one without a name. Who teaches the reader
 * an operator adds a row to one of them. */
extern const LowerOperator yolo_lower_activation_operators[], yolo_lower_arithmetic_operators[],
    yolo_lower_conv_operators[], yolo_lower_quantize_operators[], yolo_lower_shape_operators[],
    yolo_lower_whole_operators[];

/* lower-activation.c. The product of two feature maps. *done: it is an activation, whose layer is
 * the node's output now. FALSE: with @error. */
gboolean yolo_lower_product (
    Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error);
/* The same for any node that reads a feature map and a value of the tail. */
gboolean yolo_lower_tail_product (
    Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error);
/* lower-arithmetic.c. Gives one number a channel of a constant that is broadcast to
 * [N][C][H][W]. */
gboolean yolo_lower_channel_constant (
    const OnnxNode *node, const Tensor *constant, guint channels, float *values, GError **error);

/* lower-attention.c. *done: the node is a part of attention, or moves the numbers of a map. */
gboolean yolo_lower_attention (
    Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error);
/* lower-stack.c. *done: the node adds up maps that were stacked. */
gboolean yolo_lower_stack (
    Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error);
/* lower-whole.c: for a node that reads a VALUE_FLAT. */
LowerFunc yolo_lower_flat;

/* Quantising counts as the identity here, which it is if the whole numbers come
 * back by the scale that made them, and nothing computes with them before. FALSE
 * with @error where it is not; else the node's outputs know their quantiser. */
gboolean yolo_lower_follow_quantizers (Lowered *lowered, const OnnxNode *node, GError **error);

/* An expression that sets the error that a node "WHAT, which is not supported", and is FALSE. */
#define yolo_lower_refuse(node, what, error) \
  yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED, \
      ONNX_NODE_FORMAT \
      " %s, which is not supported; export the model with Ultralytics", \
      ONNX_NODE_ARGS (node), what)

/* Sets the error that a node's operator is not ONNX's own, and is FALSE. */
gboolean yolo_lower_refuse_foreign (const OnnxNode *node, GError **error);

/* Whether a node is a Cast from numbers to floats. */
gboolean yolo_lower_casts_to_float (const OnnxNode *node);
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
/* lower-quantize.c. The same for weights. Those that are floats behind a quantiser of 8 bits of
 * their own, as tools write that train with rounding, come as the numbers of its grid. */
gboolean yolo_lowered_weights (
    Lowered *lowered, const OnnxNode *node, guint k, Tensor **weights, GError **error);
/* The element type of a constant; 0 where that is not known without computing it. */
gint32 yolo_lowered_constant_type (const Lowered *lowered, guint value);
/* Whether inputs a and b, which are constants, have the same type, as the standard wants. */
gboolean yolo_lowered_check_types (
    const Lowered *lowered, const OnnxNode *node, guint a, guint b, GError **error);
/* Allows a layer n numbers of its own: many layers may share the file's, or have
 * as many as channels were joined. */
gboolean yolo_lowered_take_numbers (
    Lowered *lowered, const OnnxNode *node, gsize n, GError **error);

#endif
