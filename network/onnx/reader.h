/* SPDX-License-Identifier: MIT */
/* The door of this room: from the bytes of an ONNX file to a graph. */

#ifndef YOLO_ONNX_READER_H
#define YOLO_ONNX_READER_H

#include "network/graph.h"

G_BEGIN_DECLS

/* Bytes of the largest file: what protobuf allows. */
#define YOLO_ONNX_MAX_FILE ((gsize) 1 << 31)

/**
 * yolo_onnx_read:
 * @data: the bytes of a file of the YOLO family
 * @folder: where other files that hold weights are looked for: in it or below;
 * symbolic links are not followed. NULL: nowhere
 *
 * Checks the file, folds constants, recognises the head and cuts the network at
 * the maps of each level. ONNX has no signature: this is the reader of what no other
 * reader takes, and its error says what a file is that is no model. Any thread.
 *
 * Returns: (transfer full): the network with its outputs and all that the file
 * says of itself, or NULL with @error (domain YOLO_NETWORK_ERROR) that names the
 * node and what to do
 */
YoloGraph *yolo_onnx_read (const void *data, gsize size, const char *folder, GError **error);

G_END_DECLS

#endif
