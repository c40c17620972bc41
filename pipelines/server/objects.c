/* SPDX-License-Identifier: MIT */
#include "pipelines/server/objects.h"

#include <string.h>

#include <gst/video/video.h>
#include <json-glib/json-glib.h>

#include "base/text.h"

#define MAX_LABEL 100           /* bytes of a label or a name that are shown */

static GstVideoRegionOfInterestMeta *
next_region (GstBuffer *buffer, gpointer *state, GstStructure **detection)
{
  GstVideoRegionOfInterestMeta *region;

  while ((region = (GstVideoRegionOfInterestMeta *) gst_buffer_iterate_meta_filtered (buffer,
              state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)) != NULL) {
    *detection = gst_video_region_of_interest_meta_get_param (region, "detection");
    if (*detection != NULL)
      return region;
  }
  return NULL;
}

guint
yolo_objects_count (GstBuffer *buffer)
{
  GstStructure *detection;
  gpointer state = NULL;
  guint n = 0;

  while (next_region (buffer, &state, &detection) != NULL)
    n++;
  return n;
}

static void
add_text (JsonBuilder *builder, const char *name, const char *text)
{
  g_autofree char *shown = yolo_text_printable (text != NULL ? text : "", MAX_LABEL);

  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, shown);
}

static void
add_number (JsonBuilder *builder, const char *name, double number)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, number);
}

static void
add_object (JsonBuilder *builder, GstVideoRegionOfInterestMeta *region, GstStructure *detection)
{
  GstStructure *track = gst_video_region_of_interest_meta_get_param (region, "object_id");
  gdouble x1 = 0, y1 = 0, x2 = 0, y2 = 0, confidence;
  gint id;

  gst_structure_get (detection, "x_min", G_TYPE_DOUBLE, &x1, "y_min", G_TYPE_DOUBLE, &y1,
      "x_max", G_TYPE_DOUBLE, &x2, "y_max", G_TYPE_DOUBLE, &y2, NULL);
  json_builder_begin_object (builder);
  add_text (builder, "label", g_quark_to_string (region->roi_type));
  if (gst_structure_get_double (detection, "confidence", &confidence))
    add_number (builder, "confidence", confidence);
  if (track != NULL && gst_structure_get_int (track, "id", &id)) {
    json_builder_set_member_name (builder, "id");
    json_builder_add_int_value (builder, id);
    add_text (builder, "state", gst_structure_get_string (track, "state"));
  }
  json_builder_set_member_name (builder, "box");
  json_builder_begin_array (builder);
  json_builder_add_double_value (builder, x1);
  json_builder_add_double_value (builder, y1);
  json_builder_add_double_value (builder, x2 - x1);
  json_builder_add_double_value (builder, y2 - y1);
  json_builder_end_array (builder);
  json_builder_end_object (builder);
}

/* A number of a structure, whatever its type is. FALSE: there is none of that name. */
static gboolean
get_number (const GstStructure *structure, const char *name, double *number)
{
  const GValue *value = gst_structure_get_value (structure, name);
  g_auto (GValue) converted = G_VALUE_INIT;

  g_value_init (&converted, G_TYPE_DOUBLE);
  if (value == NULL || !g_value_transform (value, &converted))
    return FALSE;
  *number = g_value_get_double (&converted);
  return TRUE;
}

static void
add_points (JsonBuilder *builder, const GstStructure *structure)
{
  static const char *const ends[] = { "x1", "y1", "x2", "y2" };
  const GValue *points = gst_structure_get_value (structure, "points");
  double number;

  json_builder_set_member_name (builder, "points");
  json_builder_begin_array (builder);
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    if (get_number (structure, ends[i], &number))
      json_builder_add_double_value (builder, number);
  for (guint i = 0; points != NULL && GST_VALUE_HOLDS_ARRAY (points)
      && i < gst_value_array_get_size (points); i++) {
    const GValue *point = gst_value_array_get_value (points, i);
    g_auto (GValue) converted = G_VALUE_INIT;

    g_value_init (&converted, G_TYPE_DOUBLE);
    if (g_value_transform (point, &converted))
      json_builder_add_double_value (builder, g_value_get_double (&converted));
  }
  json_builder_end_array (builder);
}

/* The lines or the zones of yolozones, with the counts that @counts names. */
static void
add_shapes (JsonBuilder *builder, const GstStructure *zones, const char *name,
    const char *const *counts)
{
  const GValue *array = gst_structure_get_value (zones, name);
  double number;

  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (guint i = 0; array != NULL && GST_VALUE_HOLDS_ARRAY (array)
      && i < gst_value_array_get_size (array); i++) {
    const GValue *item = gst_value_array_get_value (array, i);
    const GstStructure *shape = GST_VALUE_HOLDS_STRUCTURE (item)
        ? gst_value_get_structure (item) : NULL;

    if (shape == NULL)
      continue;
    json_builder_begin_object (builder);
    add_text (builder, "name", gst_structure_get_string (shape, "name"));
    add_points (builder, shape);
    for (guint j = 0; counts[j] != NULL; j++)
      if (get_number (shape, counts[j], &number)) {
        json_builder_set_member_name (builder, counts[j]);
        json_builder_add_int_value (builder, (gint64) number);
      }
    json_builder_end_object (builder);
  }
  json_builder_end_array (builder);
}

static const GstStructure *
zones_of (GstBuffer *buffer)
{
  GstCustomMeta *zones = gst_meta_get_info ("YoloZones") != NULL
      ? gst_buffer_get_custom_meta (buffer, "YoloZones") : NULL;

  return zones != NULL ? gst_custom_meta_get_structure (zones) : NULL;
}

const GstStructure *
yolo_objects_event (GstBuffer *buffer, guint i)
{
  const GstStructure *zones = zones_of (buffer);
  const GValue *array = zones != NULL ? gst_structure_get_value (zones, "events") : NULL;
  const GValue *item;

  if (array == NULL || !GST_VALUE_HOLDS_ARRAY (array) || i >= gst_value_array_get_size (array))
    return NULL;
  item = gst_value_array_get_value (array, i);
  return GST_VALUE_HOLDS_STRUCTURE (item) ? gst_value_get_structure (item) : NULL;
}

void
yolo_objects_foreach_track (GstBuffer *buffer,
    void (*func) (gint id, const char *label, gpointer user_data), gpointer user_data)
{
  GstVideoRegionOfInterestMeta *region;
  GstStructure *detection;
  gpointer state = NULL;
  gint id;

  while ((region = next_region (buffer, &state, &detection)) != NULL) {
    GstStructure *track = gst_video_region_of_interest_meta_get_param (region, "object_id");

    if (track != NULL && gst_structure_get_int (track, "id", &id)
        && g_strcmp0 (gst_structure_get_string (track, "state"), "tracked") == 0)
      func (id, g_quark_to_string (region->roi_type), user_data);
  }
}

GBytes *
yolo_objects_to_json (GstBuffer *buffer)
{
  static const char *const line_counts[] = { "forward", "backward", NULL };
  static const char *const zone_counts[] = { "occupancy", "entries", "exits", NULL };
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  const GstStructure *zones = zones_of (buffer);
  GstVideoRegionOfInterestMeta *region;
  GstStructure *detection;
  gpointer state = NULL;
  char *text;

  json_builder_begin_object (builder);
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    add_number (builder, "time", GST_BUFFER_PTS (buffer) / 1e9);
  json_builder_set_member_name (builder, "objects");
  json_builder_begin_array (builder);
  while ((region = next_region (buffer, &state, &detection)) != NULL)
    add_object (builder, region, detection);
  json_builder_end_array (builder);
  if (zones != NULL) {
    add_shapes (builder, zones, "lines", line_counts);
    add_shapes (builder, zones, "zones", zone_counts);
  }
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  return g_bytes_new_take (text, strlen (text));
}
