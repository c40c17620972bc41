/* SPDX-License-Identifier: MIT */
/* The door of this room: from the bytes of a PyTorch checkpoint to a graph. */

#ifndef YOLO_TORCH_READER_H
#define YOLO_TORCH_READER_H

#include "network/graph.h"

G_BEGIN_DECLS

/* Whether the file is for this reader, be it good or bad: a ZIP archive, as torch.save() writes,
 * or a Python pickle, as it did before version 1.6. Any thread. */
gboolean yolo_torch_is (const void *data, gsize size);

/**
 * yolo_torch_read:
 * @data: the bytes of a .pt file of Ultralytics, version 8.0 or newer
 * @size: how many
 *
 * Reads the file as data: nothing of it is executed. The network is the tree of
 * modules that was saved, by the names of their classes; "ema", the average of
 * training, goes before "model". Any thread.
 *
 * Returns: (transfer full): the network with its outputs and all that the file
 * says of itself, or NULL with @error (domain YOLO_NETWORK_ERROR) that names the
 * module and what to do
 */
YoloGraph *yolo_torch_read (
    const void *data, gsize size, YoloHeadChoice head, GError **error);

G_END_DECLS

#endif
