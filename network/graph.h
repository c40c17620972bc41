/* SPDX-License-Identifier: MIT */
/* A network as the reader of a file builds it: layers, each checked as it is
 * added, the maps that it ends in, and what the file says of itself. Whatever the
 * file's format, a model is made of a graph. */

#ifndef YOLO_NETWORK_GRAPH_H
#define YOLO_NETWORK_GRAPH_H

#include "base/output.h"
#include "network/conv.h"
#include "network/operation.h"

G_BEGIN_DECLS

#define YOLO_LAYER_NONE G_MAXUINT

typedef enum {
  YOLO_LAYER_INPUT,             /* the input: grey levels, 0 to 255, R G B */
  /* what the file makes of its own input; the passes leave none */
  YOLO_LAYER_IMAGE,
  YOLO_LAYER_CONV,              /* act (conv (in) + bias) [+ residual] */
  YOLO_LAYER_AFFINE,            /* in * scale[c] + shift[c]; the passes leave none */
  YOLO_LAYER_OP,                /* an operation on maps: `op` */
  YOLO_LAYER_CONCAT,            /* the channels of all inputs, one behind the other */
  YOLO_LAYER_SLICE,             /* channels [begin, begin + channels) of the input */
  YOLO_LAYER_QUANT,             /* in an int8 model rounded to `grid`, else the input itself */
  YOLO_LAYER_DEQUANT,           /* in an int8 model: the input's numbers on a grid, as floats */
} YoloLayerType;

/* One feature map [channels][height][width] and how it is made. */
typedef struct {
  YoloLayerType type;
  char *name;                   /* what the file calls it, for messages */
  guint n_in;
  guint *in;                    /* [n_in], owned: numbers of layers, all smaller than its own */
  /* before the passes: the layer that quantisers were put behind, or itself */
  guint below;
  guint residual;               /* YOLO_LAYER_CONV: a layer, or YOLO_LAYER_NONE */
  guint channels;
  guint height, width;          /* pixels, where layer 0 has the size that it has */
  YoloConv conv;                /* YOLO_LAYER_CONV */
  /* owned: what conv points to; factors [channels][3] and offsets [channels] of
   * YOLO_LAYER_IMAGE */
  float *weights, *bias;
  float *weight_scale;          /* owned: what conv points to, or NULL */
  /* YOLO_LAYER_CONV: a quantiser of the file reads it whose range begins at 0 */
  gboolean from_zero;
  float *scale, *shift;         /* YOLO_LAYER_AFFINE: [channels], owned */
  YoloOpType op;                /* YOLO_LAYER_OP: neither CONV nor COPY */
  YoloOpNumbers numbers;        /* YOLO_LAYER_OP */
  guint begin;                  /* YOLO_LAYER_SLICE: the first channel */
  gboolean whole;               /* YOLO_LAYER_IMAGE: the file takes whole numbers, 0 to 255 */
  /* YOLO_LAYER_CONV, and activations: grids of quantisers that the passes took out: the sum, the
   * sigmoid and act of YoloInt8Conv */
  YoloGrid sum_grid, sigmoid_grid, act_grid;
  /* YOLO_LAYER_QUANT: zero is 0 to 255, also where the file has int8 */
  YoloGrid grid;
  /* [channels]: the grids that the layer lies on in an int8 model; NULL: it is in floats */
  float *grid_scale;
  gint32 *grid_zero;
  /* how many layers that are not dead, and outputs, read it; set by the passes */
  guint uses;
} YoloLayer;

#define yolo_layer_at(layers, i) (&g_array_index ((layers), YoloLayer, i))

static inline gboolean
yolo_layer_is (const YoloLayer *layer, YoloOpType op)
{
  return layer->type == YOLO_LAYER_OP && layer->op == op;
}

/* Whether the layer computes new numbers, by a convolution or another operation. */
static inline gboolean
yolo_layer_computes (const YoloLayer *layer)
{
  return layer->type == YOLO_LAYER_CONV
      || (layer->type == YOLO_LAYER_OP && yolo_op_traits (layer->op)->computes);
}

/* Sets the size of a layer by the sizes of its inputs; FALSE with @error (SIZE) where they
 * do not fit each other or its window. */
gboolean yolo_layer_size (const GArray *layers, guint layer, GError **error);

/* The longest side of an input, and the side where a file does not say it, in pixels. */
#define YOLO_MAX_SIZE 8192
#define YOLO_DEFAULT_SIZE 640

/* What a reader hands over. One thread at a time uses it. */
typedef struct _YoloGraph YoloGraph;
struct _YoloGraph {
  GArray *layers;               /* of YoloLayer; number 0 is the input */
  guint n_outputs;
  YoloOutput outputs[YOLO_MAX_OUTPUTS]; /* in the order in which yolo_graph_output() was called */
  YoloHeadForm form;            /* set by the reader with the outputs */

  /* The reader sets the members below by what its file says. */

  const char *task;             /* static: a name that yolo_task_find() knows; "detect" at first */
  char *description;            /* owned, UTF-8; NULL: the file has none */
  char *sha256;                 /* owned: hexadecimal, of all files that were read */
  /* owned: names by class number (GUINT_TO_POINTER); NULL: there are none that the reader
   * understands */
  GHashTable *names;
  /* the file has names of classes, whether the reader understands them or not */
  gboolean named;
  /* pixels of the input that the file was made for; YOLO_DEFAULT_SIZE at first */
  guint height, width;
  /* what a quantised file rounds behind its outputs; nothing at first */
  YoloBoxRounding rounding;
};

/**
 * yolo_graph_new:
 * @input: what the file calls its input, for messages
 * @height: size of the input in pixels that all layers' sizes are for; a model
 * made of the graph runs at others too
 * @width: pixels
 *
 * Returns: (transfer full): a graph of one layer, number 0: the input, three
 * channels R G B of grey levels, 0 to 255
 */
YoloGraph *yolo_graph_new (const char *input, guint height, guint width);
void yolo_graph_free (YoloGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloGraph, yolo_graph_free)

/*
 * Each of the functions below appends a layer and gives its number, or YOLO_LAYER_NONE
 * with @error: FORMAT where channels or windows do not fit each other, SIZE where
 * sizes do not. @name is what the file calls the layer; errors name it. @in are
 * numbers of layers that are there already. Arrays that are (transfer full) come
 * from g_malloc() and are the graph's, also where the function fails.
 *
 * A reader that can say more clearly what is wrong in its file checks before.
 * What passes, plans and back ends rely on is checked here, for all readers.
 */

/**
 * yolo_graph_image:
 * @channels: how many channels the file makes of its input
 * @whole: the file's input is whole numbers, 0 to 255; FALSE: that is told by @factors
 * @factors: (transfer full): [channels][3], of R, G and B of the file's input
 * @offsets: (transfer full): [channels], added to each
 *
 * What the file makes of its own input before the first convolution. The passes
 * fold it into the convolutions that read it, with whatever turns our grey levels
 * into the file's input.
 */
guint yolo_graph_image (YoloGraph *graph, const char *name, guint channels, gboolean whole,
    float *factors, float *offsets, GError **error);

/**
 * yolo_graph_conv:
 * @shape: channels, groups, kernel, stride, padding, dilation and activation; its
 * pointers are not looked at
 * @weights: (transfer full): [out][in / groups][rows][columns]
 * @bias: (transfer full): [out]
 * @weight_scale: (transfer full): [out], where the file has the weights as 8-bit
 * multiples of it; or NULL
 */
guint yolo_graph_conv (YoloGraph *graph, const char *name, guint in, const YoloConv *shape,
    float *weights, float *bias, float *weight_scale, GError **error);

/* in * scale + shift. @scale, @shift: (transfer full): one number a channel. */
guint yolo_graph_affine (
    YoloGraph *graph, const char *name, guint in, float *scale, float *shift, GError **error);
/**
 * yolo_graph_op:
 * @op: any operation but CONV and COPY
 * @in: as many layers as the operation reads, all of the same channels and size
 * @numbers: those that the operation uses
 */
guint yolo_graph_op (YoloGraph *graph, const char *name, YoloOpType op, const guint *in,
    const YoloOpNumbers *numbers, GError **error);
guint yolo_graph_act (
    YoloGraph *graph, const char *name, guint in, YoloActivation act, GError **error);
/* a + b, of the same channels and size. */
guint yolo_graph_add (YoloGraph *graph, const char *name, guint a, guint b, GError **error);
/* Windows of kernel x kernel pixels; @pad, less than the kernel, on all four sides. */
guint yolo_graph_max_pool (YoloGraph *graph, const char *name, guint in, guint kernel, guint stride,
    guint pad, GError **error);
/* Each pixel becomes factor x factor pixels, factor being 1 to 16. */
guint yolo_graph_upsample (
    YoloGraph *graph, const char *name, guint in, guint factor, GError **error);
/* The channels of one or more layers of the same size, one behind the other. */
guint yolo_graph_concat (
    YoloGraph *graph, const char *name, guint n_in, const guint *in, GError **error);
/* Channels [begin, begin + channels) of a layer. */
guint yolo_graph_slice (
    YoloGraph *graph, const char *name, guint in, guint begin, guint channels, GError **error);
/* A quantiser of the file: a scale above 0 and a zero point of 0 to 255. */
guint yolo_graph_quant (
    YoloGraph *graph, const char *name, guint in, YoloGrid grid, GError **error);

/**
 * yolo_graph_output:
 * @role: what the map means
 * @level: 0 for the largest maps, 1 for the next smaller ones, ...; 0 for a role
 * that has no level
 * @layer: the layer that makes the map; after the passes it must be a convolution
 * that nothing else reads, without activation unless it makes prototypes
 *
 * Declares that the network ends in a map. Outputs are declared by level and,
 * within a level, by role; those of no level behind all others. Maps of a role
 * have the same channels at all levels.
 *
 * Returns: FALSE with @error if there is such an output already, the map's size is
 * no whole part of the input's or not the level's, or its channels are not the role's
 */
gboolean yolo_graph_output (
    YoloGraph *graph, YoloMapRole role, guint level, guint layer, GError **error);

G_END_DECLS

#endif
