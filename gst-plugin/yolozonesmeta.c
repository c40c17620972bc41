/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolozonesmeta.h"

/* Registered once in a process, by whichever copy of this code comes first. */
static const GstMetaInfo *
zones_info (void)
{
  static gsize info = 0;

  if (g_once_init_enter (&info)) {
    static const gchar *no_tags[] = { NULL };
    const GstMetaInfo *known = gst_meta_get_info (YOLO_ZONES_META);

    if (known == NULL)
      known = gst_meta_register_custom (YOLO_ZONES_META, no_tags, NULL, NULL, NULL);
    g_once_init_leave (&info, (gsize) known);
  }
  return (const GstMetaInfo *) info;
}

GstStructure *
yolo_zones_meta_add (GstBuffer *buffer)
{
  if (zones_info () == NULL)
    return NULL;
  return gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, YOLO_ZONES_META));
}

const GstStructure *
yolo_zones_meta_next (GstBuffer *buffer, gpointer *state)
{
  const GstMetaInfo *info = zones_info ();
  GstMeta *meta =
      info != NULL ? gst_buffer_iterate_meta_filtered (buffer, state, info->api) : NULL;

  return meta != NULL ? gst_custom_meta_get_structure ((GstCustomMeta *) meta) : NULL;
}

const GstStructure *
yolo_zones_meta_element (const GstStructure *structure, const gchar *field, guint i)
{
  const GValue *array = gst_structure_get_value (structure, field), *element;

  if (array == NULL || !GST_VALUE_HOLDS_ARRAY (array) || i >= gst_value_array_get_size (array))
    return NULL;
  element = gst_value_array_get_value (array, i);
  return GST_VALUE_HOLDS_STRUCTURE (element) ? gst_value_get_structure (element) : NULL;
}

gdouble
yolo_zones_meta_number (const GstStructure *structure, const gchar *field, gdouble missing)
{
  const GValue *value = gst_structure_get_value (structure, field);
  g_auto (GValue) number = G_VALUE_INIT;

  g_value_init (&number, G_TYPE_DOUBLE);
  if (value == NULL || !g_value_transform (value, &number))
    return missing;
  return g_value_get_double (&number);
}
