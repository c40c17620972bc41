/* SPDX-License-Identifier: MIT */
/* Tensors whose numbers lie in other files beside the model's file. */

#ifndef YOLO_ONNX_EXTERNAL_H
#define YOLO_ONNX_EXTERNAL_H

#include "network/onnx/file.h"

/* Reads these files, each once, and lets the tensors point into them as if they had raw
 * data. Only files in @folder or below it are read; NULL: the model has no folder. */
gboolean yolo_external_read (OnnxFile *file, const char *folder, GError **error);

#endif
