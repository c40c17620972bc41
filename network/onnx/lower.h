/* SPDX-License-Identifier: MIT */
/* From ONNX nodes to layers: what a network is made of before the plan. */

#ifndef YOLO_ONNX_LOWER_H
#define YOLO_ONNX_LOWER_H

#include "network/onnx/tensor.h"

#define LAYER_NONE G_MAXUINT

typedef enum {
  LAYER_INPUT,                  /* grey levels, 0 to 255, R G B */
  /* what the file makes of its own input, whatever that is; gone after the passes */
  LAYER_IMAGE,
  LAYER_CONV,                   /* act (conv (in) + bias) [+ residual] */
  LAYER_AFFINE,                 /* in * scale[c] + shift[c]; gone after the passes */
  LAYER_ACT,
  LAYER_ADD,                    /* in[0] + in[1] */
  LAYER_MAX_POOL,
  LAYER_UPSAMPLE,
  LAYER_CONCAT,                 /* of channels */
  LAYER_SLICE,                  /* channels [begin, begin + channels) */
  LAYER_QUANT,                  /* rounded to `grid`; the identity but in an int8 model */
  LAYER_DEQUANT,                /* the same numbers as floats again; in int8 models only */
} LayerType;

/* One feature map [channels][height][width] and how it is made. */
typedef struct {
  LayerType type;
  char *name;                   /* of the node */
  guint n_in;
  guint *in;                    /* layers, all of smaller number */
  /* as lowered: the layer that was quantised, itself if this is none of LAYER_QUANT */
  guint below;
  guint residual;               /* of LAYER_CONV, or LAYER_NONE */
  guint channels;
  guint height, width;          /* at the size that was lowered */
  YoloConv conv;                /* LAYER_CONV */
  /* what conv points to; of LAYER_IMAGE [channels][3] and [channels]; owned */
  float *weights, *bias;
  float *weight_scale;          /* what conv points to, or NULL; owned */
  gboolean from_zero;           /* its output was quantised to a range that begins at 0 */
  float *scale, *shift;         /* LAYER_AFFINE; owned */
  YoloActivation act;           /* LAYER_ACT */
  guint kernel, stride, pad;    /* LAYER_MAX_POOL */
  guint factor;                 /* LAYER_UPSAMPLE */
  guint begin;                  /* LAYER_SLICE */
  gboolean whole;               /* LAYER_IMAGE: the file's input is uint8 */
  /* LAYER_CONV and LAYER_ACT: of quantisers that were taken out, as in YoloInt8Conv */
  YoloGrid sum_grid, sigmoid_grid, act_grid;
  YoloGrid grid;                /* LAYER_QUANT, with the zero point of uint8 */
  float *grid_scale;            /* [channels] of what lies on grids in an int8 model, or NULL */
  gint32 *grid_zero;
  guint uses;                   /* by live layers and the head; set by the passes */
} Layer;

#define layer_at(layers, i) (&g_array_index ((layers), Layer, i))

GArray *layers_new (void);      /* of Layer, frees what they own */

/* Size of a layer from its inputs' sizes; FALSE if it cannot be. */
gboolean layer_size (const GArray *layers, guint layer, GError **error);

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
  GArray *layers;               /* 0 is the input */
  Value *values;                /* one for each of file->values */
  guint height, width;          /* input size that was lowered: the file's, or a probe's */
  gboolean quantized;           /* some weights or constants were */
} Lowered;

/* Turns every node into layers, constants or tail, at this input size. */
Lowered *lower (const OnnxFile *file, guint height, guint width, GError **error);
void lowered_free (Lowered *lowered);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Lowered, lowered_free)

/* Appends a layer with these inputs; the caller fills in the rest. */
Layer *lowered_add_layer (
    Lowered *lowered, LayerType type, const char *name, guint n_in, const guint *in);

/* The grid of a QuantizeLinear with constant parameters; FALSE: one of other than 8 bits, or not
 * one for all. */
gboolean lowered_grid (Lowered *lowered, const OnnxNode *node, YoloGrid *grid);

/* The value's constant, read on first use; NULL if it is none (without error) or cannot be read. */
Tensor *lowered_constant (Lowered *lowered, guint value, GError **error);

#endif
