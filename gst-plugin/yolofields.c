/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolofields.h"

/* GStreamer 1.26 stores names of fields as strings, where a short one lies in the field, and
 * compares these; GStreamer before that stores quarks. Each has functions for what it stores. */
#if GST_CHECK_VERSION (1, 26, 0)
typedef const GstIdStr *FieldName;
#define foreach_field gst_structure_foreach_id_str
#define map_fields gst_structure_map_in_place_id_str
#else
typedef GQuark FieldName;
#define foreach_field gst_structure_foreach
#define map_fields gst_structure_map_in_place
#endif

static void
make_ready (YoloFields *fields)
{
  if (!g_once_init_enter (&fields->ready))
    return;
  while (fields->n < YOLO_FIELDS_MAX && fields->names[fields->n] != NULL) {
    fields->quarks[fields->n] = g_quark_from_static_string (fields->names[fields->n]);
    fields->n++;
  }
  g_once_init_leave (&fields->ready, 1);
}

/* Which of the fields has this name; fields->n: none. */
static guint
find (const YoloFields *fields, FieldName name)
{
  guint i;

  for (i = 0; i < fields->n; i++)
#if GST_CHECK_VERSION (1, 26, 0)
    if (gst_id_str_is_equal_to_str (name, fields->names[i]))
#else
    if (name == fields->quarks[i])
#endif
      break;
  return i;
}

typedef struct {
  const YoloFields *fields;
  const GValue **values;
  GValue **writable;
} Walk;

static gboolean
see (FieldName name, const GValue *value, gpointer data)
{
  const Walk *walk = data;
  const guint i = find (walk->fields, name);

  if (i < walk->fields->n)
    walk->values[i] = value;
  return TRUE;
}

static gboolean
see_writable (FieldName name, GValue *value, gpointer data)
{
  const Walk *walk = data;
  const guint i = find (walk->fields, name);

  if (i < walk->fields->n)
    walk->writable[i] = value;
  return TRUE;
}

void
yolo_fields_get (
    YoloFields *fields, const GstStructure *structure, const GValue *values[YOLO_FIELDS_MAX])
{
  Walk walk = { .fields = fields, .values = values };

  make_ready (fields);
  for (guint i = 0; i < YOLO_FIELDS_MAX; i++)
    values[i] = NULL;
  foreach_field (structure, see, &walk);
}

void
yolo_fields_get_writable (
    YoloFields *fields, GstStructure *structure, GValue *values[YOLO_FIELDS_MAX])
{
  Walk walk = { .fields = fields, .writable = values };

  make_ready (fields);
  for (guint i = 0; i < YOLO_FIELDS_MAX; i++)
    values[i] = NULL;
  map_fields (structure, see_writable, &walk);
}

void
yolo_fields_take (YoloFields *fields, GstStructure *structure, guint i, GValue *value)
{
  make_ready (fields);
#if GST_CHECK_VERSION (1, 26, 0)
  gst_structure_take_value_static_str (structure, fields->names[i], value);
#else
  gst_structure_id_take_value (structure, fields->quarks[i], value);
#endif
}

gboolean
yolo_field_double (const GValue *value, gdouble *number)
{
  if (value == NULL || !G_VALUE_HOLDS_DOUBLE (value))
    return FALSE;
  *number = g_value_get_double (value);
  return TRUE;
}

gboolean
yolo_field_int (const GValue *value, gint *number)
{
  if (value == NULL || !G_VALUE_HOLDS_INT (value))
    return FALSE;
  *number = g_value_get_int (value);
  return TRUE;
}

const gchar *
yolo_field_string (const GValue *value)
{
  return value != NULL && G_VALUE_HOLDS_STRING (value) ? g_value_get_string (value) : NULL;
}
