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
  YOLO_LAYER_INPUT, /* grey levels, 0 to 255, R G B */
  /* what the file makes of its own input, whatever that is; gone after the passes */
  YOLO_LAYER_IMAGE,
  YOLO_LAYER_CONV,   /* act (conv (in) + bias) [+ residual] */
  YOLO_LAYER_AFFINE, /* in * scale[c] + shift[c]; gone after the passes */
  YOLO_LAYER_OP,     /* an operation on maps: `op` */
  YOLO_LAYER_CONCAT,  /* of channels */
  YOLO_LAYER_SLICE,   /* channels [begin, begin + channels) */
  YOLO_LAYER_QUANT,   /* rounded to `grid`; the identity but in an int8 model */
  YOLO_LAYER_DEQUANT, /* the same numbers as floats again; in int8 models only */
} YoloLayerType;

/* One feature map [channels][height][width] and how it is made. */
typedef struct {
  YoloLayerType type;
  char *name;                   /* of the file's node or module, for messages */
  guint n_in;
  guint *in;                    /* layers, all of smaller number */
  /* in a graph that is being built: of YOLO_LAYER_QUANT the layer that is quantised, else itself */
  guint below;
  guint residual;               /* YOLO_LAYER_CONV: a layer, or YOLO_LAYER_NONE */
  guint channels;
  guint height, width;          /* pixels, at the size of the graph's input */
  YoloConv conv;                /* YOLO_LAYER_CONV */
  /* what conv points to; of YOLO_LAYER_IMAGE [channels][3] and [channels]; owned */
  float *weights, *bias;
  float *weight_scale;          /* what conv points to, or NULL; owned */
  gboolean from_zero;           /* its output was quantised to a range that begins at 0 */
  float *scale, *shift;         /* YOLO_LAYER_AFFINE: [channels]; owned */
  YoloOpType op;                /* YOLO_LAYER_OP: neither CONV nor COPY */
  YoloOpNumbers numbers;        /* YOLO_LAYER_OP */
  guint begin;                  /* YOLO_LAYER_SLICE: the first channel */
  gboolean whole;               /* YOLO_LAYER_IMAGE: the file's input is uint8 */
  /* YOLO_LAYER_CONV, and activations: of quantisers that were taken out, as in YoloInt8Conv */
  YoloGrid sum_grid, sigmoid_grid, act_grid;
  YoloGrid grid;                /* YOLO_LAYER_QUANT, with the zero point of uint8 */
  float *grid_scale;            /* [channels] of what lies on grids in an int8 model, or NULL */
  gint32 *grid_zero;
  guint uses;                   /* by live layers and the head; set by the passes */
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

/* Sets a layer's size by those of its inputs; FALSE with @error (SIZE) where they do not fit. */
gboolean yolo_layer_size (const GArray *layers, guint layer, GError **error);

/* The largest side of an input, in pixels, and the one where a file does not say it. */
#define YOLO_MAX_SIZE 8192
#define YOLO_DEFAULT_SIZE 640

/* One thread at a time. */
typedef struct _YoloGraph YoloGraph;
struct _YoloGraph {
  GArray *layers;               /* YoloLayer; number 0 is the input */
  guint n_outputs;
  YoloOutput outputs[YOLO_MAX_OUTPUTS]; /* as yolo_graph_output() was given them */

  /* From here on the reader fills in what the file says. */

  const char *task;             /* of yolo_task_find(), static; "detect" at first */
  char *description;            /* UTF-8, owned; NULL: there is none */
  char *sha256;                 /* of all files that were read, hexadecimal, owned */
  /* int to char *: names by class number, owned; NULL: none that are understood */
  GHashTable *names;
  gboolean named;               /* the file has names of classes, understood or not */
  guint height, width;          /* pixels that the file was made for; YOLO_DEFAULT_SIZE at first */
  YoloBoxRounding rounding;     /* behind the outputs, in a quantised file; else nothing */
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
 * @level: 0 for the largest maps, 1 for the next smaller ones, ...
 * @layer: the layer that makes the map; after the passes it must be a convolution
 * without activation that nothing else reads
 *
 * Declares that the network ends in a map. Outputs are declared by level and,
 * within a level, by role; maps of a role have the same channels at all levels.
 *
 * Returns: FALSE with @error if there is such an output already, the map's size is
 * no whole part of the input's or not the level's, or its channels are not the role's
 */
gboolean yolo_graph_output (
    YoloGraph *graph, YoloMapRole role, guint level, guint layer, GError **error);

G_END_DECLS

#endif
