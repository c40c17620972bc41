/* SPDX-License-Identifier: MIT */
/* A model made concrete for one batch, size and type: operations in order on
 * views of one arena. Both back ends run the same plan. */

#ifndef YOLO_NETWORK_PLAN_H
#define YOLO_NETWORK_PLAN_H

#include "base/operation.h"
#include "network/model.h"

G_BEGIN_DECLS

/* A dense [N][H][W][C] tensor. All but the input lie in the arena; two share
 * bytes only if they are never alive together. */
typedef struct {
  gsize offset;                 /* in the arena, bytes, a multiple of 64; unused for the input */
  gsize size;                   /* bytes */
  guint height, width, channels;
  YoloDType dtype;
  /* [channels] where 8 bits are on grids, real = (q - zero) * scale; NULL: the numbers as they
   * are */
  float *scale;
  gint32 *zero;
  guint first, last;            /* operations that write it first and use it last */
} YoloBuffer;

/* Some neighbouring channels of a buffer: element (n, y, x, c) is at
 * ((n * H + y) * W + x) * C + channel + c of it. */
typedef struct {
  guint buffer;                 /* index into YoloPlan.buffers */
  guint channel;                /* first */
  guint channels;               /* how many; 0: no view */
} YoloView;

typedef struct {
  YoloOpType type;
  YoloView in, out, residual;
  const YoloConv *conv;         /* YOLO_OP_CONV; owned by the model */
  YoloOpNumbers numbers;
  guint layer;                  /* of the model, yolo_model_layer(), that it is or ends with */
  const char *name;             /* of the node in the file, for messages and profiles */
} YoloOp;

/* Immutable. Holds a reference to its model. */
typedef struct {
  const YoloModel *model;
  guint batch, height, width;   /* of the input, pixels */
  /* Of all buffers but the input, the head's last maps (f32), and in the plan of
   * an int8 model those on grids (u8 or s8). */
  YoloDType dtype;
  guint n_buffers, n_ops;
  YoloBuffer *buffers;
  YoloOp *ops;
  guint input;                  /* buffer [batch][height][width][3 or more, the rest zero] */
  YoloView outputs[YOLO_MAX_OUTPUTS];   /* f32, one for each of model->outputs */
  gsize arena_size;             /* bytes */
} YoloPlan;

/**
 * yolo_plan_new:
 * @model: a model; the plan keeps a reference
 * @batch: images, 1 or more
 * @height: input height in pixels, as for yolo_model_check_size()
 * @width: input width in pixels
 * @dtype: of the activations; in an int8 model of those that are in floats
 * @input_dtype: of the input buffer: 8 bits where a convolution reads it in int8
 * @input_channels: of the input buffer, 3 or more (tensor cores want 8)
 *
 * Returns: (transfer full): the plan, or NULL with @error
 */
YoloPlan *yolo_plan_new (YoloModel *model, guint batch, guint height, guint width,
    YoloDType dtype, YoloDType input_dtype, guint input_channels, GError **error);
/* The map of a role at a level; channels 0: the model has none. */
YoloView yolo_plan_output (const YoloPlan *plan, YoloMapRole role, guint level);
void yolo_plan_free (YoloPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloPlan, yolo_plan_free)

/* The plan as text, an operation a line: for GST_DEBUG, tests and people. */
char *yolo_plan_to_string (const YoloPlan *plan);

G_END_DECLS

#endif
