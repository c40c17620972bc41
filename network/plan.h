/* SPDX-License-Identifier: MIT */
/* A model made concrete for one batch, size and type: operations in order, on views of one
 * arena. All back ends run the same plan. */

#ifndef YOLO_NETWORK_PLAN_H
#define YOLO_NETWORK_PLAN_H

#include "base/operation.h"
#include "network/model.h"

G_BEGIN_DECLS

/* A dense tensor [N][H][W][C]. All buffers but the input lie in the arena; two of them
 * share bytes only if they are never alive together. */
typedef struct {
  /* bytes from the start of the arena, a multiple of 64; the input has no offset */
  gsize offset;
  gsize size;                   /* bytes */
  guint height, width, channels;
  YoloDType dtype;
  /* [channels]: grids of 8-bit numbers, for which q stands for (q - zero) * scale; NULL: the
   * numbers are on no grid */
  float *scale;
  gint32 *zero;
  guint first, last;            /* numbers of the operations that write it first and use it last */
} YoloBuffer;

/* Neighbouring channels of a buffer [N][H][W][C]: element (n, y, x, c) of the view is
 * number ((n * H + y) * W + x) * C + channel + c of the buffer. */
typedef struct {
  guint buffer;                 /* index into YoloPlan.buffers */
  guint channel;                /* the first channel */
  guint channels;               /* how many channels; 0: there is no such view */
} YoloView;

typedef struct {
  YoloOpType type;
  YoloView in, out, residual;
  const YoloConv *conv;         /* YOLO_OP_CONV; owned by the model */
  YoloOpNumbers numbers;
  /* number for yolo_model_layer(): the layer that it is, or the last one of a chain */
  guint layer;
  /* the model's: what the file calls the layer, for messages and profiles */
  const char *name;
} YoloOp;

/* Neighbouring operations of a plan: number `first` and those behind it up to `end`, which is not
 * one of them. */
typedef struct {
  guint first, end;             /* 0 and 0: all operations */
} YoloPlanPart;

/* Immutable. Holds a reference to its model. */
typedef struct {
  const YoloModel *model;
  guint batch, height, width;   /* images; pixels of the input */
  /* Type of all buffers but the input, the maps of the head (f32), and those of an int8
   * model that are on grids (u8 or s8). */
  YoloDType dtype;
  guint n_buffers, n_ops;
  YoloBuffer *buffers;
  YoloOp *ops;
  /* number of the buffer [batch][height][width][3 or more, the rest zero] */
  guint input;
  YoloView outputs[YOLO_MAX_OUTPUTS];   /* one f32 map for each of model->outputs */
  gsize arena_size;             /* bytes */
  /* Of yolo_plan_take_part(): which operations of the whole plan these are, whether others are
   * before and behind them, and the views that hold numbers before they run. A whole plan has no
   * others, and no such views. */
  YoloPlanPart part;
  gboolean part_before, part_after;
  guint n_given;
  YoloView *given;              /* [n_given] */
} YoloPlan;

/**
 * yolo_plan_new:
 * @model: a model; the plan keeps a reference
 * @batch: images, 1 or more
 * @height: input height in pixels, as for yolo_model_check_size()
 * @width: input width in pixels
 * @dtype: type of the activations; in an int8 model, of those that are in floats
 * @input_dtype: type of the input buffer: 8 bits where a convolution reads it in int8
 * @input_channels: channels of the input buffer, 3 or more (tensor cores want 8)
 *
 * Any thread.
 *
 * Returns: (transfer full): the plan, or NULL with @error (domain
 * YOLO_NETWORK_ERROR): SIZE for a size that the network cannot run at, MEMORY where
 * the arena does not fit an address, PRECISION
 */
YoloPlan *yolo_plan_new (YoloModel *model, guint batch, guint height, guint width,
    YoloDType dtype, YoloDType input_dtype, guint input_channels, GError **error);
/* The map of a role at a level; a view of no channels if the model has none. */
YoloView yolo_plan_output (const YoloPlan *plan, YoloMapRole role, guint level);
void yolo_plan_free (YoloPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloPlan, yolo_plan_free)

/* (transfer full): the plan as text, an operation a line: for debug logs, tests and
 * people. */
char *yolo_plan_to_string (const YoloPlan *plan);

G_END_DECLS

#endif
