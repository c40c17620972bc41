/* SPDX-License-Identifier: MIT */
/* From a file to a model, whatever its format. */

#ifndef YOLO_ENGINE_LOAD_H
#define YOLO_ENGINE_LOAD_H

#include "network/model.h"

G_BEGIN_DECLS

/**
 * yolo_model_load:
 * @path: a model file of the YOLO family: .onnx, .pt
 *
 * Reads the file, and those in its folder or below that hold weights of it, with
 * the reader of its format, and makes a model of it. Any thread.
 *
 * Returns: (transfer full): a model with one reference, or NULL with @error
 * (domain YOLO_NETWORK_ERROR) naming the file, the node and what to do
 */
YoloModel *yolo_model_load (const char *path, GError **error);
/* The same with one of the two heads that a file may have; an error if it has not that. */
YoloModel *yolo_model_load_head (const char *path, YoloHeadChoice head, GError **error);
/* A model in memory: it has no folder, and so no other files. @name stands for the path. */
YoloModel *yolo_model_load_bytes (const void *data, gsize size, const char *name, GError **error);

G_END_DECLS

#endif
