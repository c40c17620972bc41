/* SPDX-License-Identifier: MIT */
/* Members of JSON objects, and JSON as text that is fit to be shown. */

#ifndef YOLO_JSON_H
#define YOLO_JSON_H

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

void yolo_json_double (JsonBuilder *builder, const char *name, gdouble value);
void yolo_json_int (JsonBuilder *builder, const char *name, gint64 value);
void yolo_json_boolean (JsonBuilder *builder, const char *name, gboolean value);

/* @value: (nullable): UTF-8; NULL becomes null */
void yolo_json_string (JsonBuilder *builder, const char *name, const char *value);

/* Appends what @builder, which it takes, has built, without a line's end. */
void yolo_json_append (JsonBuilder *builder, GString *out);

G_END_DECLS

#endif
