/* SPDX-License-Identifier: MIT */
/* A frame costs json-glib's tree, some hundred bytes an object, built and freed,
 * beside the text itself. */

#include "gst-plugin/yolorecord.h"

#include <json-glib/json-glib.h>
#include <string.h>

static void
add_double (JsonBuilder *builder, const char *name, gdouble value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, value);
}

static void
add_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

static void
add_string (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}

/* Whether a character that json-glib leaves as it is should be an escape: U+001F, which JSON
 * forbids as it is, and what commands a terminal or turns the direction of writing, for the
 * records may go to standard output. Source: Unicode's categories Cc, Cf, Zl and Zp. */
static gboolean
must_escape (gunichar character)
{
  switch (g_unichar_type (character)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
      return character <= 0xffff;
    default:
      return FALSE;
  }
}

static void
append_escaped (GString *out, const char *json)
{
  const char *start = json, *at;

  for (at = json; *at != '\0'; at = g_utf8_next_char (at)) {
    const gunichar character = g_utf8_get_char (at);

    if (!must_escape (character))
      continue;
    g_string_append_len (out, start, at - start);
    g_string_append_printf (out, "\\u%04x", character);
    start = g_utf8_next_char (at);
  }
  g_string_append (out, start);
}

/* Appends what the builder, which it takes, has built. */
static void
append_json (JsonBuilder *builder, GString *out)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *json = NULL;

  json_generator_set_root (generator, root);
  json = json_generator_to_data (generator, NULL);
  append_escaped (out, json);
  g_object_unref (builder);
}

/* An object of the record, its box clipped to the frame: boxes that other elements
 * attached may reach out of it. */
static YoloMetaObject
clipped_object (const YoloRecord *record, guint i)
{
  YoloMetaObject object = record->objects[i];

  yolo_object_clip (&object, record->width, record->height);
  return object;
}

/* Source of the names: DL Streamer's gvametaconvert, jsonconverter.cpp. */
static void
add_json_object (JsonBuilder *builder, const YoloRecord *record, const YoloMetaObject *object)
{
  const gdouble w = record->width, h = record->height;
  g_autofree char *label = object->label
      ? g_utf8_make_valid (g_quark_to_string (object->label), -1) : NULL;
  gint box[4];

  yolo_object_round (object, record->width, record->height, box);
  json_builder_begin_object (builder);
  add_int (builder, "x", box[0]);
  add_int (builder, "y", box[1]);
  add_int (builder, "w", box[2]);
  add_int (builder, "h", box[3]);
  if (object->object_id >= 0)
    add_int (builder, "id", object->object_id);
  if (object->slot > 0)
    add_int (builder, "batch_id", object->slot - 1);
  if (label)
    add_string (builder, "roi_type", label);
  json_builder_set_member_name (builder, "detection");
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "bounding_box");
  json_builder_begin_object (builder);
  add_double (builder, "x_min", object->x / w);
  add_double (builder, "y_min", object->y / h);
  add_double (builder, "x_max", ((gdouble) object->x + object->w) / w);
  add_double (builder, "y_max", ((gdouble) object->y + object->h) / h);
  json_builder_end_object (builder);
  if (object->confidence >= 0)
    add_double (builder, "confidence", object->confidence);
  if (label)
    add_string (builder, "label", label);
  if (object->label_id >= 0)
    add_int (builder, "label_id", object->label_id);
  json_builder_end_object (builder);
  json_builder_end_object (builder);
}

guint
yolo_record_json_line (const YoloRecord *record, GString *out)
{
  JsonBuilder *builder = json_builder_new ();
  guint i;

  json_builder_begin_object (builder);
  if (record->source)
    add_string (builder, "source", record->source);
  if (record->stream)
    add_string (builder, "stream", record->stream);
  add_int (builder, "frame", record->frame);
  if (GST_CLOCK_TIME_IS_VALID (record->timestamp))
    add_int (builder, "timestamp", record->timestamp);
  json_builder_set_member_name (builder, "resolution");
  json_builder_begin_object (builder);
  add_int (builder, "width", record->width);
  add_int (builder, "height", record->height);
  json_builder_end_object (builder);
  json_builder_set_member_name (builder, "objects");
  json_builder_begin_array (builder);
  for (i = 0; i < record->n_objects; i++) {
    const YoloMetaObject object = clipped_object (record, i);

    add_json_object (builder, record, &object);
  }
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  append_json (builder, out);
  g_string_append_c (out, '\n');
  return record->n_objects;
}

/* The category id of a class; -1: it has none. Source: COCO's instances_val2017.json,
 * whose category ids are 1 to 90 without the ten in the list. */
static gint
category_of (gint label_id, YoloCategories categories)
{
  static const gint unused[] = { 12, 26, 29, 30, 45, 66, 68, 69, 71, 83 };
  gint id = label_id + 1;
  guint i;

  if (label_id < 0)
    return -1;
  if (categories == YOLO_CATEGORIES_CLASS)
    return label_id;
  if (categories == YOLO_CATEGORIES_CLASS_PLUS_ONE)
    return label_id + 1;
  if (label_id >= 80)
    return -1;
  for (i = 0; i < G_N_ELEMENTS (unused); i++)
    id += id >= unused[i];
  return id;
}

/* Source: https://cocodataset.org/#format-results. pycocotools sorts the objects by
 * score, so that a made-up score would change what it measures. */
guint
yolo_record_coco (const YoloRecord *record, gint64 image_id, YoloCategories categories,
    GString *out)
{
  guint i, n = 0;

  for (i = 0; i < record->n_objects; i++) {
    const YoloMetaObject object = clipped_object (record, i);
    const gint category = category_of (object.label_id, categories);
    JsonBuilder *builder;

    if (category < 0 || object.confidence < 0)
      continue;
    builder = json_builder_new ();
    json_builder_begin_object (builder);
    add_int (builder, "image_id", image_id);
    add_int (builder, "category_id", category);
    json_builder_set_member_name (builder, "bbox");
    json_builder_begin_array (builder);
    json_builder_add_double_value (builder, object.x);
    json_builder_add_double_value (builder, object.y);
    json_builder_add_double_value (builder, object.w);
    json_builder_add_double_value (builder, object.h);
    json_builder_end_array (builder);
    add_double (builder, "score", object.confidence);
    json_builder_end_object (builder);
    if (n++ > 0)
      g_string_append (out, ",\n");
    append_json (builder, out);
  }
  return n;
}

static void
append_number (GString *out, gdouble value)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_c (out, ' ');
  g_string_append (out, g_ascii_formatd (buffer, sizeof (buffer), "%.6f", value));
}

/* Source: Ultralytics' text format of results, engine/results.py, save_txt
 * with save_conf, or without where the confidence is unknown. */
guint
yolo_record_labels (const YoloRecord *record, GString *out)
{
  guint i, n = 0;

  for (i = 0; i < record->n_objects; i++) {
    const YoloMetaObject object = clipped_object (record, i);

    if (object.label_id < 0)
      continue;
    g_string_append_printf (out, "%d", object.label_id);
    append_number (out, (object.x + object.w / 2.) / record->width);
    append_number (out, (object.y + object.h / 2.) / record->height);
    append_number (out, (gdouble) object.w / record->width);
    append_number (out, (gdouble) object.h / record->height);
    if (object.confidence >= 0)
      append_number (out, object.confidence);
    g_string_append_c (out, '\n');
    n++;
  }
  return n;
}

/* The pattern is not given to printf(), for what a user writes is no format string. */
char *
yolo_record_path (const char *pattern, guint64 number)
{
  g_autoptr (GString) path = g_string_new (NULL);
  gboolean found = FALSE;

  while (*pattern) {
    gboolean zeros;
    gint width;

    if (*pattern != '%') {
      g_string_append_c (path, *pattern++);
      continue;
    }
    if (*++pattern == '%') {
      g_string_append_c (path, *pattern++);
      continue;
    }
    zeros = *pattern == '0';
    for (width = 0; g_ascii_isdigit (*pattern) && width <= 20; pattern++)
      width = width * 10 + *pattern - '0';
    if ((*pattern != 'd' && *pattern != 'u') || width > 20 || found)
      return NULL;
    pattern++;
    found = TRUE;
    if (zeros)
      g_string_append_printf (path, "%0*" G_GUINT64_FORMAT, width, number);
    else
      g_string_append_printf (path, "%*" G_GUINT64_FORMAT, width, number);
  }
  return found ? g_string_free (g_steal_pointer (&path), FALSE) : NULL;
}
