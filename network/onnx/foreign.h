/* SPDX-License-Identifier: MIT */
/* Files of other kinds that are given as models. */

#ifndef YOLO_ONNX_FOREIGN_H
#define YOLO_ONNX_FOREIGN_H

#include <glib.h>

/* What a file is by its first bytes if it is no ONNX file, and what to do: a text that
 * goes behind "it is "; NULL where that is not known. */
const char *yolo_foreign_kind (const void *data, gsize size);

#endif
