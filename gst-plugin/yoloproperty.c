/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloproperty.h"

static GParamSpec *
make_pspec (const YoloProperty *p)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | p->mutability;

  switch (p->kind) {
    case YOLO_PROPERTY_STRING:
    case YOLO_PROPERTY_SHARED_STRING:
      return g_param_spec_string (p->name, p->nick, p->blurb, p->text, flags);
    case YOLO_PROPERTY_BOOLEAN:
      return g_param_spec_boolean (p->name, p->nick, p->blurb, p->integer.initial, flags);
    case YOLO_PROPERTY_ENUM:
      return g_param_spec_enum (
          p->name, p->nick, p->blurb, p->enumeration (), p->integer.initial, flags);
    case YOLO_PROPERTY_UINT:
      return g_param_spec_uint (p->name, p->nick, p->blurb, p->integer.min, p->integer.max,
          p->integer.initial, flags);
    case YOLO_PROPERTY_INT64:
      return g_param_spec_int64 (p->name, p->nick, p->blurb, p->integer.min, p->integer.max,
          p->integer.initial, flags);
    case YOLO_PROPERTY_UINT64:
      return g_param_spec_uint64 (p->name, p->nick, p->blurb, p->integer.min, p->integer.max,
          p->integer.initial, flags);
    case YOLO_PROPERTY_DOUBLE:
      return g_param_spec_double (
          p->name, p->nick, p->blurb, p->real.min, p->real.max, p->real.initial, flags);
  }
  g_return_val_if_reached (NULL);
}

void
yolo_properties_install (GObjectClass *klass, const YoloProperty *properties, guint n)
{
  guint id;

  for (id = 0; id < n; id++)
    if (properties[id].name != NULL)
      g_object_class_install_property (klass, id, make_pspec (&properties[id]));
}

static void
set_string (gchar **at, const gchar *string)
{
  g_free (*at);
  *at = g_strdup (string);
}

/* Keeps a copy of @string, made valid UTF-8. @string: (nullable): any bytes */
static void
set_shared_string (GRefString **at, const gchar *string)
{
  g_autofree gchar *valid = string != NULL ? g_utf8_make_valid (string, -1) : NULL;

  g_clear_pointer (at, g_ref_string_release);
  if (valid != NULL)
    *at = g_ref_string_new (valid);
}

void
yolo_property_set (const YoloProperty *property, gpointer settings, const GValue *value)
{
  gpointer at = (guint8 *) settings + property->offset;
  const gchar *string;

  switch (property->kind) {
    case YOLO_PROPERTY_STRING:
      string = g_value_get_string (value);
      set_string (at, string != NULL ? string : property->text);
      break;
    case YOLO_PROPERTY_SHARED_STRING:
      set_shared_string (at, g_value_get_string (value));
      break;
    case YOLO_PROPERTY_BOOLEAN:
      *(gboolean *) at = g_value_get_boolean (value);
      break;
    case YOLO_PROPERTY_ENUM:
      *(guint *) at = (guint) g_value_get_enum (value);
      break;
    case YOLO_PROPERTY_UINT:
      *(guint *) at = g_value_get_uint (value);
      break;
    case YOLO_PROPERTY_INT64:
      *(gint64 *) at = g_value_get_int64 (value);
      break;
    case YOLO_PROPERTY_UINT64:
      *(guint64 *) at = g_value_get_uint64 (value);
      break;
    case YOLO_PROPERTY_DOUBLE:
      *(gdouble *) at = g_value_get_double (value);
      break;
  }
}

void
yolo_property_get (const YoloProperty *property, gconstpointer settings, GValue *value)
{
  gconstpointer at = (const guint8 *) settings + property->offset;

  switch (property->kind) {
    case YOLO_PROPERTY_STRING:
    case YOLO_PROPERTY_SHARED_STRING:
      g_value_set_string (value, *(const gchar *const *) at);
      break;
    case YOLO_PROPERTY_BOOLEAN:
      g_value_set_boolean (value, *(const gboolean *) at);
      break;
    case YOLO_PROPERTY_ENUM:
      g_value_set_enum (value, (gint) * (const guint *) at);
      break;
    case YOLO_PROPERTY_UINT:
      g_value_set_uint (value, *(const guint *) at);
      break;
    case YOLO_PROPERTY_INT64:
      g_value_set_int64 (value, *(const gint64 *) at);
      break;
    case YOLO_PROPERTY_UINT64:
      g_value_set_uint64 (value, *(const guint64 *) at);
      break;
    case YOLO_PROPERTY_DOUBLE:
      g_value_set_double (value, *(const gdouble *) at);
      break;
  }
}

void
yolo_properties_init (const YoloProperty *properties, guint n, gpointer settings)
{
  guint id;

  for (id = 0; id < n; id++) {
    g_autoptr (GParamSpec) pspec = NULL;

    if (properties[id].name == NULL)
      continue;
    pspec = g_param_spec_ref_sink (make_pspec (&properties[id]));
    yolo_property_set (&properties[id], settings, g_param_spec_get_default_value (pspec));
  }
}

void
yolo_properties_clear (const YoloProperty *properties, guint n, gpointer settings)
{
  guint id;

  for (id = 0; id < n; id++) {
    gpointer at = (guint8 *) settings + properties[id].offset;

    if (properties[id].name == NULL)
      continue;
    if (properties[id].kind == YOLO_PROPERTY_STRING)
      set_string (at, NULL);
    if (properties[id].kind == YOLO_PROPERTY_SHARED_STRING)
      set_shared_string (at, NULL);
  }
}

gboolean
yolo_property_is_fixed (GstElement *element, gboolean running, GParamSpec *pspec,
    const GValue *value)
{
  g_auto (GValue) current = G_VALUE_INIT;

  if (!running || !(pspec->flags & GST_PARAM_MUTABLE_READY))
    return FALSE;
  g_value_init (&current, pspec->value_type);
  g_object_get_property (G_OBJECT (element), pspec->name, &current);
  if (g_param_values_cmp (pspec, value, &current) != 0)
    GST_ELEMENT_WARNING (element, LIBRARY, SETTINGS,
        ("%s cannot change while the element runs: set it in the state NULL or READY", pspec->name),
        ("%s stays as it was", pspec->name));
  return TRUE;
}
