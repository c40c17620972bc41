/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloproperty.h"

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
