/* SPDX-License-Identifier: MIT */
/* Properties of yoloinfer that are strings, and what they mean for a model. */

#ifndef YOLO_SETTINGS_H
#define YOLO_SETTINGS_H

#include <gst/gst.h>

#include "engine/engine.h"

G_BEGIN_DECLS

typedef struct {
  gint x, y, width, height;     /* pixels; width 0: none */
} YoloRegion;

/* Of "x,y,width,height"; none of NULL or "". */
gboolean yolo_region_parse (const gchar *string, YoloRegion *region);
/* Cuts @a down to what @b covers; FALSE: nothing is left. */
gboolean yolo_region_intersect (YoloRegion *a, const YoloRegion *b);

/* Of "N" or "WxH", or the model's own of NULL or ""; a size that the model does
 * not run at is an error. */
gboolean yolo_settings_parse_size (
    const gchar *string, const YoloModel *model, guint *width, guint *height, GError **error);

/**
 * yolo_settings_parse_classes:
 * @string: numbers or names, "0,person", as CSV: a name that has a comma, begins
 * with a quote or is a number stands in quotes, "\"person, walking\",7",
 * or is all of @string
 * @model: the classes' numbers are its
 * @labels: [n_classes], their names
 * @classes: (out) (transfer full): [n_classes] 0 or 1; NULL for all, of NULL or ""
 * @error: names the part that is no class
 */
gboolean yolo_settings_parse_classes (const gchar *string, const YoloModel *model,
    const GQuark *labels, GBytes **classes, GError **error);

/**
 * yolo_settings_load_labels:
 * @element: posts a warning where the file, or the model, has more names than the model classes,
 * or less
 * @file: one name a line, UTF-8; NULL or "": the model's own names
 *
 * Returns: (transfer full): [n_classes]; what the file lacks is named by its number
 */
GQuark *yolo_settings_load_labels (
    GstElement *element, const gchar *file, const YoloModel *model, GError **error);

G_END_DECLS

#endif
