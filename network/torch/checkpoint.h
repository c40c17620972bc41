/* SPDX-License-Identifier: MIT */
/* A file that torch.save() wrote: a pickle, and the tensors' numbers beside it. */

#ifndef YOLO_TORCH_CHECKPOINT_H
#define YOLO_TORCH_CHECKPOINT_H

#include "network/torch/pickle.h"

G_BEGIN_DECLS

#define YOLO_CHECKPOINT_MAX_DIMS 8

typedef struct _YoloCheckpoint YoloCheckpoint;

/**
 * yolo_checkpoint_open:
 * @data: the file; it must stay as long as what is returned
 * @size: bytes
 *
 * Reads the archive's directory and its pickle; tensors are read when they are
 * asked for. Any thread may call this; a checkpoint belongs to one thread at a time.
 *
 * Returns: (transfer full): the checkpoint, or NULL with @error, which says
 * what a file of another kind is and how to make one of this kind
 */
YoloCheckpoint *yolo_checkpoint_open (const void *data, gsize size, GError **error);
void yolo_checkpoint_free (YoloCheckpoint *checkpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloCheckpoint, yolo_checkpoint_free)

/* What was saved. */
const YoloPickleValue *yolo_checkpoint_root (const YoloCheckpoint *checkpoint);

/* Whether the value is a tensor or a parameter. */
gboolean yolo_checkpoint_is_tensor (const YoloPickleValue *value);

/**
 * yolo_checkpoint_floats:
 * @value: a tensor or a parameter
 * @what: what the tensor is, for errors: "model.0.conv.weight"
 * @n_dims: dimensions that it must have, at most YOLO_CHECKPOINT_MAX_DIMS
 * @dims: (inout): [n_dims] their sizes; those that are 0 may be any and are set
 *
 * The tensor's numbers in the order of its dimensions, the last one fastest,
 * however they lie in the file: of 16, 32 or 64 bits, whole numbers, with any
 * strides. All tensors that are read of one checkpoint may have as many numbers
 * as two files of its size could hold in 8 bits each, so that a small file that
 * names the same numbers many times takes little memory.
 *
 * Returns: (transfer full): for g_free(); or NULL with @error, also for numbers
 * that are not finite
 */
float *yolo_checkpoint_floats (YoloCheckpoint *checkpoint, const YoloPickleValue *value,
    const char *what, guint n_dims, gsize *dims, GError **error);

G_END_DECLS

#endif
