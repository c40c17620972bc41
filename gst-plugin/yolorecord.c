/* SPDX-License-Identifier: MIT */
/* A frame costs json-glib's tree, some hundred bytes an object and as many a keypoint, built
 * and freed, beside the text itself; and the memory for the largest of its masks, which is
 * reserved and freed with the frame, since it is little beside the tree. */

#include "gst-plugin/yolorecord.h"

#include "base/text.h"
#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolojson.h"
#include "gst-plugin/yoloshape.h"
#include "gst-plugin/yolozonesmeta.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

/* Bytes of a class's name in a label file at most. */
#define MAX_NAME 1000

/* Memory for the masks of a frame, grown to the largest one. */
typedef struct {
  GByteArray *pixels;           /* of a mask */
  GByteArray *coded;            /* its run lengths, or the points of its outline */
} Scratch;

static Scratch
scratch_new (void)
{
  return (Scratch) { g_byte_array_new (), g_byte_array_new () };
}

static void
scratch_free (Scratch *scratch)
{
  g_byte_array_unref (scratch->pixels);
  g_byte_array_unref (scratch->coded);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Scratch, scratch_free)

/* An object of the record, its box clipped to the frame: boxes that other elements
 * attached may reach out of it. */
static YoloMetaObject
clipped_object (const YoloRecord *record, guint i)
{
  YoloMetaObject object = record->objects[i];

  yolo_object_clip (&object, record->width, record->height);
  return object;
}

/* What an object has beside its box, or nothing of it. */
static const YoloShape *
shape_of (const YoloMetaObject *object)
{
  static const YoloShape none = { 0 };
  const YoloShape *shape = yolo_shape_get (object->shape);

  return shape ? shape : &none;
}

static gboolean
has_mask (const YoloShape *shape)
{
  return shape->mask_width > 0 && shape->mask_height > 0;
}

static YoloBitmap
bitmap_of (const YoloRecord *record, const YoloMetaObject *object, const YoloShape *shape,
    Scratch *scratch)
{
  const gfloat box[4] = { object->x, object->y, object->x + object->w, object->y + object->h };

  return yolo_shape_bitmap (shape, box, record->width, record->height, scratch->pixels);
}

/* The object's pixels as COCO's run lengths; in the memory of @scratch. */
static const char *
rle_of (const YoloRecord *record, const YoloMetaObject *object, const YoloShape *shape,
    Scratch *scratch)
{
  const YoloBitmap bitmap = bitmap_of (record, object, shape, scratch);
  GByteArray *text = scratch->coded;
  gsize n;

  while ((n = yolo_bitmap_rle (&bitmap, record->width, record->height, (char *) text->data,
              text->len)) >= text->len)
    g_byte_array_set_size (text, (guint) n + 1);
  text->data[n] = '\0';
  return (const char *) text->data;
}

/* The outline of the object's pixels, [n][2] in halves of a pixel; in the memory of @scratch. */
static const gint32 *
outline_of (const YoloRecord *record, const YoloMetaObject *object, const YoloShape *shape,
    Scratch *scratch, gsize *n)
{
  YoloBitmap bitmap = bitmap_of (record, object, shape, scratch);
  GByteArray *points = scratch->coded;
  const gsize size = 2 * sizeof (gint32);

  while ((*n = yolo_bitmap_outline (&bitmap, (gint32 *) (gpointer) points->data,
              points->len / size)) > points->len / size)
    g_byte_array_set_size (points, (guint) (*n * size));
  return (const gint32 *) (gpointer) points->data;
}

/* Point number @k in pixels of the frame, and its visibility. A point that the network
 * sees beside the frame is moved to the border, as Ultralytics does it in utils/ops.py,
 * scale_coords. */
static void
get_point (const YoloRecord *record, const YoloShape *shape, guint k, gdouble point[3])
{
  const gfloat *place = yolo_shape_points (shape) + 3 * (gsize) k;

  point[0] = CLAMP (place[0], 0, 1) * (gdouble) record->width;
  point[1] = CLAMP (place[1], 0, 1) * (gdouble) record->height;
  point[2] = place[2];
}

/* x, y of the corners of a turned box in pixels of the frame. */
static void
get_corners (const YoloRecord *record, const YoloShape *shape, gdouble corners[8])
{
  guint k;

  for (k = 0; k < 8; k++)
    corners[k] = shape->corners[k] * (gdouble) (k % 2 ? record->height : record->width);
}

static void
add_corners (JsonBuilder *builder, const gdouble corners[8])
{
  guint k;

  json_builder_begin_array (builder);
  for (k = 0; k < 8; k++)
    json_builder_add_double_value (builder, corners[k]);
  json_builder_end_array (builder);
}

static void
add_mask (JsonBuilder *builder, const char *name, const YoloRecord *record,
    const YoloMetaObject *object, const YoloShape *shape, Scratch *scratch)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "size");
  json_builder_begin_array (builder);
  json_builder_add_int_value (builder, record->height);
  json_builder_add_int_value (builder, record->width);
  json_builder_end_array (builder);
  yolo_json_string (builder, "counts", rle_of (record, object, shape, scratch));
  json_builder_end_object (builder);
}

/* The angle is worked out from the corners, for these are right after a scaling that is
 * not the same in both directions, too. */
static void
add_json_turned (JsonBuilder *builder, const YoloRecord *record, const YoloShape *shape)
{
  gdouble corners[8];

  get_corners (record, shape, corners);
  yolo_json_double (builder, "rotation", atan2 (corners[3] - corners[1], corners[2] - corners[0]));
  json_builder_set_member_name (builder, "corners");
  add_corners (builder, corners);
}

static void
add_json_points (JsonBuilder *builder, const YoloRecord *record, const YoloShape *shape)
{
  gdouble point[3];
  guint k;

  json_builder_set_member_name (builder, "keypoints");
  json_builder_begin_array (builder);
  for (k = 0; k < shape->n_points; k++) {
    get_point (record, shape, k, point);
    json_builder_begin_object (builder);
    yolo_json_double (builder, "x", point[0]);
    yolo_json_double (builder, "y", point[1]);
    yolo_json_double (builder, "confidence", point[2]);
    json_builder_end_object (builder);
  }
  json_builder_end_array (builder);
}

/* What was found; of a class of the whole frame there is no box. */
static void
add_json_finding (JsonBuilder *builder, const YoloRecord *record, const YoloMetaObject *object,
    const char *label, gboolean whole)
{
  const gdouble w = record->width, h = record->height;

  json_builder_set_member_name (builder, whole ? "classification" : "detection");
  json_builder_begin_object (builder);
  if (!whole) {
    json_builder_set_member_name (builder, "bounding_box");
    json_builder_begin_object (builder);
    yolo_json_double (builder, "x_min", object->x / w);
    yolo_json_double (builder, "y_min", object->y / h);
    yolo_json_double (builder, "x_max", ((gdouble) object->x + object->w) / w);
    yolo_json_double (builder, "y_max", ((gdouble) object->y + object->h) / h);
    json_builder_end_object (builder);
  }
  if (object->confidence >= 0)
    yolo_json_double (builder, "confidence", object->confidence);
  if (label)
    yolo_json_string (builder, "label", label);
  if (object->label_id >= 0)
    yolo_json_int (builder, "label_id", object->label_id);
  json_builder_end_object (builder);
}

static void
add_text (JsonBuilder *builder, const char *name, GQuark text)
{
  g_autofree char *valid = g_utf8_make_valid (g_quark_to_string (text), -1);

  yolo_json_string (builder, name, valid);
}

/* What other networks say of the object. */
static void
add_json_classes (JsonBuilder *builder, const YoloMetaObject *object)
{
  guint n, i;
  const YoloClass *class = yolo_classes_get (object->classes, &n);

  for (i = 0; i < n; i++, class++) {
    g_autofree char *name = yolo_class_name (class);

    json_builder_set_member_name (builder, name);
    json_builder_begin_object (builder);
    if (class->confidence >= 0)
      yolo_json_double (builder, "confidence", class->confidence);
    add_text (builder, "label", class->label);
    if (class->label_id >= 0)
      yolo_json_int (builder, "label_id", class->label_id);
    if (class->model != 0) {
      json_builder_set_member_name (builder, "model");
      json_builder_begin_object (builder);
      add_text (builder, "name", class->model);
      json_builder_end_object (builder);
    }
    json_builder_end_object (builder);
  }
}

/* Source of the names: DL Streamer's gvametaconvert, jsonconverter.cpp, which has no masks, points
 * and angles of objects; what they are called here, its metadata call keypoints and rotation. */
static void
add_json_object (JsonBuilder *builder, const YoloRecord *record, const YoloMetaObject *object,
    gboolean related, Scratch *scratch)
{
  const YoloShape *shape = shape_of (object);
  g_autofree char *label = object->label
      ? g_utf8_make_valid (g_quark_to_string (object->label), -1) : NULL;
  gint box[4];

  yolo_object_round (object, record->width, record->height, box);
  json_builder_begin_object (builder);
  yolo_json_int (builder, "x", box[0]);
  yolo_json_int (builder, "y", box[1]);
  yolo_json_int (builder, "w", box[2]);
  yolo_json_int (builder, "h", box[3]);
  if (object->object_id >= 0)
    yolo_json_int (builder, "id", object->object_id);
  if (object->object_id >= 0 && object->state != YOLO_META_TRACKED)
    yolo_json_string (builder, "state", yolo_meta_state_name (object->state));
  if (object->slot > 0)
    yolo_json_int (builder, "batch_id", object->slot - 1);
  if (related && object->region > 0)
    yolo_json_int (builder, "region_id", (gint64) object->region - 1);
  if (object->parent > 0)
    yolo_json_int (builder, "parent_id", (gint64) object->parent - 1);
  if (label)
    yolo_json_string (builder, "roi_type", label);
  add_json_finding (builder, record, object, label, (shape->flags & YOLO_SHAPE_WHOLE) != 0);
  if (shape->flags & YOLO_SHAPE_TURNED)
    add_json_turned (builder, record, shape);
  if (shape->n_points > 0)
    add_json_points (builder, record, shape);
  if (has_mask (shape))
    add_mask (builder, "mask", record, object, shape, scratch);
  add_json_classes (builder, object);
  json_builder_end_object (builder);
}

/* Whether an object of the frame was found in another one. */
static gboolean
has_parents (const YoloRecord *record)
{
  guint i;

  for (i = 0; i < record->n_objects; i++)
    if (record->objects[i].parent > 0)
      return TRUE;
  return FALSE;
}

guint
yolo_record_json_line (const YoloRecord *record, GString *out)
{
  const gboolean related = has_parents (record);
  JsonBuilder *builder = json_builder_new ();
  g_auto (Scratch) scratch = scratch_new ();
  guint i;

  json_builder_begin_object (builder);
  if (record->source)
    yolo_json_string (builder, "source", record->source);
  if (record->stream)
    yolo_json_string (builder, "stream", record->stream);
  yolo_json_int (builder, "frame", record->frame);
  if (GST_CLOCK_TIME_IS_VALID (record->timestamp))
    yolo_json_int (builder, "timestamp", record->timestamp);
  json_builder_set_member_name (builder, "resolution");
  json_builder_begin_object (builder);
  yolo_json_int (builder, "width", record->width);
  yolo_json_int (builder, "height", record->height);
  json_builder_end_object (builder);
  json_builder_set_member_name (builder, "objects");
  json_builder_begin_array (builder);
  for (i = 0; i < record->n_objects; i++) {
    const YoloMetaObject object = clipped_object (record, i);

    add_json_object (builder, record, &object, related, &scratch);
  }
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  yolo_json_append (builder, out);
  g_string_append_c (out, '\n');
  return record->n_objects;
}

/* A field of an event; those of other types than an event has are left out. */
static gboolean
add_field (GQuark field, const GValue *value, gpointer builder)
{
  g_autofree gchar *name = g_strdelimit (g_strdup (g_quark_to_string (field)), "-", '_');

  if (G_VALUE_HOLDS_STRING (value)) {
    g_autofree gchar *text = g_utf8_make_valid (g_value_get_string (value), -1);

    yolo_json_string (builder, name, text);
  } else if (G_VALUE_HOLDS_INT (value)) {
    yolo_json_int (builder, name, g_value_get_int (value));
  } else if (G_VALUE_HOLDS_UINT (value)) {
    yolo_json_int (builder, name, g_value_get_uint (value));
  } else if (G_VALUE_HOLDS_UINT64 (value)) {
    yolo_json_int (builder, name, (gint64) g_value_get_uint64 (value));
  } else if (G_VALUE_HOLDS_DOUBLE (value)) {
    yolo_json_double (builder, name, g_value_get_double (value));
  }
  return TRUE;
}

static void
append_event (const YoloRecord *record, const GstStructure *event, GString *out)
{
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  if (record->source)
    yolo_json_string (builder, "source", record->source);
  if (record->stream)
    yolo_json_string (builder, "stream", record->stream);
  yolo_json_int (builder, "frame", (gint64) record->frame);
  gst_structure_foreach (event, add_field, builder);
  json_builder_end_object (builder);
  yolo_json_append (builder, out);
  g_string_append_c (out, '\n');
}

guint
yolo_record_events_in (const YoloRecord *record, const GstStructure *zones, GString *out)
{
  const GstStructure *event;
  guint n = 0;

  for (; (event = yolo_zones_meta_element (zones, "events", n)) != NULL; n++)
    append_event (record, event, out);
  return n;
}

guint
yolo_record_events (const YoloRecord *record, GstBuffer *buffer, GString *out)
{
  const GstStructure *zones;
  gpointer state = NULL;
  guint n = 0;

  while ((zones = yolo_zones_meta_next (buffer, &state)) != NULL)
    n += yolo_record_events_in (record, zones, out);
  return n;
}

/* An object of DeepStream's minimal payload, "id|left|top|right|bottom|label"; a bar in a label
 * would be another column. */
static void
add_deepstream_object (JsonBuilder *builder, const YoloMetaObject *object)
{
  g_autofree char *label = object->label
      ? g_utf8_make_valid (g_quark_to_string (object->label), -1)
      : g_strdup_printf ("%d", object->label_id);
  const gdouble edges[4] = {
    object->x, object->y, (gdouble) object->x + object->w, (gdouble) object->y + object->h,
  };
  g_autoptr (GString) text = g_string_new (NULL);
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_printf (text, "%d", object->object_id);
  for (guint i = 0; i < 4; i++) {
    g_string_append_c (text, '|');
    g_string_append (text, g_ascii_formatd (number, sizeof number, "%.2f", edges[i]));
  }
  g_string_append_c (text, '|');
  g_string_append (text, g_strdelimit (label, "|", ' '));
  json_builder_add_string_value (builder, text->str);
}

/* Source: DeepStream's guide, Gst-nvmsgconv, "DeepStream minimal schema". */
void
yolo_record_deepstream (const YoloRecord *record, GString *out)
{
  g_autoptr (GDateTime) second = g_date_time_new_from_unix_utc (
      record->unix_time / G_USEC_PER_SEC);
  g_autofree char *date = g_date_time_format (second, "%Y-%m-%dT%H:%M:%S");
  g_autofree char *time = g_strdup_printf (
      "%s.%03dZ", date, (int) (record->unix_time / 1000 % 1000));
  g_autofree char *id = g_strdup_printf ("%" G_GUINT64_FORMAT, record->frame);
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  yolo_json_string (builder, "version", "4.0");
  yolo_json_string (builder, "id", id);
  yolo_json_string (builder, "@timestamp", time);
  yolo_json_string (builder, "sensorId", record->stream ? record->stream : "");
  json_builder_set_member_name (builder, "objects");
  json_builder_begin_array (builder);
  for (guint i = 0; i < record->n_objects; i++) {
    const YoloMetaObject object = clipped_object (record, i);

    add_deepstream_object (builder, &object);
  }
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  yolo_json_append (builder, out);
  g_string_append_c (out, '\n');
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

/* The object's members beside the box. */
static void
add_coco_shape (JsonBuilder *builder, const YoloRecord *record, const YoloMetaObject *object,
    Scratch *scratch)
{
  const YoloShape *shape = shape_of (object);
  gdouble corners[8], point[3];
  guint k;

  if (has_mask (shape)) {
    add_mask (builder, "segmentation", record, object, shape, scratch);
  } else if (shape->flags & YOLO_SHAPE_TURNED) {
    get_corners (record, shape, corners);
    json_builder_set_member_name (builder, "segmentation");
    json_builder_begin_array (builder);
    add_corners (builder, corners);
    json_builder_end_array (builder);
  }
  if (shape->n_points == 0)
    return;
  json_builder_set_member_name (builder, "keypoints");
  json_builder_begin_array (builder);
  for (k = 0; k < 3 * shape->n_points; k++) {
    get_point (record, shape, k / 3, point);
    json_builder_add_double_value (builder, point[k % 3]);
  }
  json_builder_end_array (builder);
}

/* Source: https://cocodataset.org/#format-results. pycocotools sorts the objects by
 * score, so that a made-up score would change what it measures. */
guint
yolo_record_coco (const YoloRecord *record, gint64 image_id, YoloCategories categories,
    GString *out)
{
  g_auto (Scratch) scratch = scratch_new ();
  guint i, n = 0;

  for (i = 0; i < record->n_objects; i++) {
    const YoloMetaObject object = clipped_object (record, i);
    const gint category = category_of (object.label_id, categories);
    JsonBuilder *builder;

    if (category < 0 || object.confidence < 0)
      continue;
    builder = json_builder_new ();
    json_builder_begin_object (builder);
    yolo_json_int (builder, "image_id", image_id);
    yolo_json_int (builder, "category_id", category);
    json_builder_set_member_name (builder, "bbox");
    json_builder_begin_array (builder);
    json_builder_add_double_value (builder, object.x);
    json_builder_add_double_value (builder, object.y);
    json_builder_add_double_value (builder, object.w);
    json_builder_add_double_value (builder, object.h);
    json_builder_end_array (builder);
    add_coco_shape (builder, record, &object, &scratch);
    yolo_json_double (builder, "score", object.confidence);
    json_builder_end_object (builder);
    if (n++ > 0)
      g_string_append (out, ",\n");
    yolo_json_append (builder, out);
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

/* The place of a class of the whole frame: a line of its own form, as it has no box. The name
 * is one out of a file, which must not begin another line. */
static void
append_class (const YoloMetaObject *object, gboolean with_confidence, GString *out)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  if (with_confidence && object->confidence >= 0) {
    g_string_append (out, g_ascii_formatd (buffer, sizeof (buffer), "%.6f", object->confidence));
    g_string_append_c (out, ' ');
  }
  if (object->label) {
    g_autofree char *name = yolo_text_printable (g_quark_to_string (object->label), MAX_NAME);

    g_string_append (out, name);
  } else {
    g_string_append_printf (out, "%d", object->label_id);
  }
}

static void
append_box (const YoloRecord *record, const YoloMetaObject *object, GString *out)
{
  append_number (out, (object->x + object->w / 2.) / record->width);
  append_number (out, (object->y + object->h / 2.) / record->height);
  append_number (out, (gdouble) object->w / record->width);
  append_number (out, (gdouble) object->h / record->height);
}

/* FALSE: the mask has no pixel in the frame, and so no outline. */
static gboolean
append_outline (const YoloRecord *record, const YoloMetaObject *object, const YoloShape *shape,
    Scratch *scratch, GString *out)
{
  gsize i, n;
  const gint32 *points = outline_of (record, object, shape, scratch, &n);

  for (i = 0; i < n; i++) {
    append_number (out, points[2 * i] / (2. * record->width));
    append_number (out, points[2 * i + 1] / (2. * record->height));
  }
  return n > 0;
}

/* What stands behind the class. */
static gboolean
append_place (const YoloRecord *record, const YoloMetaObject *object, const YoloShape *shape,
    Scratch *scratch, GString *out)
{
  gdouble point[3];
  guint k;

  if (has_mask (shape))
    return append_outline (record, object, shape, scratch, out);
  if (shape->flags & YOLO_SHAPE_TURNED) {
    for (k = 0; k < 8; k++)
      append_number (out, shape->corners[k]);
    return TRUE;
  }
  append_box (record, object, out);
  for (k = 0; k < shape->n_points; k++) {
    get_point (record, shape, k, point);
    append_number (out, point[0] / record->width);
    append_number (out, point[1] / record->height);
    append_number (out, point[2]);
  }
  return TRUE;
}

/* Source: Ultralytics' text format of results, engine/results.py, save_txt
 * with save_conf, or without where the confidence is unknown or not wanted. */
guint
yolo_record_labels (const YoloRecord *record, gboolean with_confidence, GString *out)
{
  g_auto (Scratch) scratch = scratch_new ();
  guint i, n = 0;

  for (i = 0; i < record->n_objects; i++) {
    const YoloMetaObject object = clipped_object (record, i);
    const YoloShape *shape = shape_of (&object);
    const gsize before = out->len;

    if (object.label_id < 0)
      continue;
    if (shape->flags & YOLO_SHAPE_WHOLE) {
      append_class (&object, with_confidence, out);
    } else {
      g_string_append_printf (out, "%d", object.label_id);
      if (!append_place (record, &object, shape, &scratch, out)) {
        g_string_truncate (out, before);
        continue;
      }
      if (with_confidence && object.confidence >= 0)
        append_number (out, object.confidence);
    }
    g_string_append_c (out, '\n');
    n++;
  }
  return n;
}

static void
append_column (GString *out, gdouble value, const char *format)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_c (out, ',');
  g_string_append (out, g_ascii_formatd (buffer, sizeof (buffer), format, value));
}

/* Source: motchallenge.net/instructions, "File Format". */
guint
yolo_record_mot (const YoloRecord *record, GString *out)
{
  guint i, n = 0;

  for (i = 0; i < record->n_objects; i++) {
    const YoloMetaObject object = clipped_object (record, i);

    if (object.object_id < 0)
      continue;
    g_string_append_printf (
        out, "%" G_GUINT64_FORMAT ",%d", record->frame + 1, object.object_id);
    append_column (out, object.x, "%.2f");
    append_column (out, object.y, "%.2f");
    append_column (out, object.w, "%.2f");
    append_column (out, object.h, "%.2f");
    append_column (out, object.confidence >= 0 ? object.confidence : 1, "%.4f");
    g_string_append (out, ",-1,-1,-1\n");
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
