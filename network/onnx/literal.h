/* SPDX-License-Identifier: MIT */
/* Python literals, as Ultralytics and others write them into a file's metadata. */

#ifndef YOLO_ONNX_LITERAL_H
#define YOLO_ONNX_LITERAL_H

#include <glib.h>

/**
 * yolo_literal_names:
 * @text: "{0: 'person', 1: \"driver's cab\"}", "['person', 'bicycle']", JSON
 * with numbers in quotes, "OrderedDict([(0, 'person')])", numpy's arrays, or
 * names with nothing around them, one a line or with commas between
 *
 * Reads the names of classes. What is no name of a class from 0 to 99999 is left out.
 *
 * Returns: (transfer full): name by class number, or NULL if the text is none of these
 */
GHashTable *yolo_literal_names (const char *text);

/* Reads a size in pixels: "[384, 640]" and "(384, 640)" are height and width, "640" is
 * both. FALSE: the text is none of these. */
gboolean yolo_literal_size (const char *text, guint *height, guint *width);

#endif
