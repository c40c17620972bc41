/* SPDX-License-Identifier: MIT */
/* Several fields of a structure in one pass. GstStructure's own functions take names, and each
 * looks its name up in a table of the whole process, under a lock, before it looks for the field.
 * Objects have a dozen fields: with those functions, reading one takes three times as long. */

#ifndef YOLO_FIELDS_H
#define YOLO_FIELDS_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define YOLO_FIELDS_MAX 8

/* Names of fields, a static variable: YOLO_FIELDS ("x", "y"). */
typedef struct {
  const gchar *const names[YOLO_FIELDS_MAX];    /* NULL: there are no more */
  /* private: the names as quarks, from the first use on */
  GQuark quarks[YOLO_FIELDS_MAX];
  guint n;
  gsize ready;
} YoloFields;

#define YOLO_FIELDS(...) { .names = { __VA_ARGS__ } }

/**
 * yolo_fields_get:
 * @structure: nobody changes it while the values are in use
 * @values: (out): for each name the value of that field; NULL: there is none
 */
void yolo_fields_get (
    YoloFields *fields, const GstStructure *structure, const GValue *values[YOLO_FIELDS_MAX]);

/* The same with values that can be written to, as long as they keep their types. */
void yolo_fields_get_writable (
    YoloFields *fields, GstStructure *structure, GValue *values[YOLO_FIELDS_MAX]);

/* Sets field number @i, which takes @value. */
void yolo_fields_take (YoloFields *fields, GstStructure *structure, guint i, GValue *value);

/* What gst_structure_get_double() and its like give: FALSE, or NULL, if there is no such field, or
 * one of another type. @value may be NULL. */
gboolean yolo_field_double (const GValue *value, gdouble *number);
gboolean yolo_field_int (const GValue *value, gint *number);
const gchar *yolo_field_string (const GValue *value);

G_END_DECLS

#endif
