/* SPDX-License-Identifier: MIT */
/* yoloexport: what is written, and what is said when it cannot be. */

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolorecord.h"
#include "gst-plugin/yoloshape.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <gst/check/gstharness.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define WIDTH 200
#define HEIGHT 100

/* An element in a pipeline of one, and a folder for what it writes. */
typedef struct {
  GstElement *element;
  GstHarness *h;                /* from begin() on */
  GstBus *bus;
  GstVideoInfo info;
  gchar *folder;
} Fixture;

static void
set_size (Fixture *f, gint width, gint height)
{
  gst_video_info_set_format (&f->info, GST_VIDEO_FORMAT_NV12, width, height);
  f->info.fps_n = 25;
  gst_harness_set_src_caps (f->h, gst_video_info_to_caps (&f->info));
}

/* @file: in the folder; NULL leaves the location unset. The element is not started
 * before begin(). */
static void
setup (Fixture *f, const gchar *format, const gchar *file)
{
  GstElement *element = gst_element_factory_make ("yoloexport", "exporter");

  f->h = NULL;
  f->element = gst_object_ref_sink (element);
  f->folder = g_dir_make_tmp ("yoloexport-XXXXXX", NULL);
  g_assert_nonnull (f->folder);
  gst_util_set_object_arg (G_OBJECT (element), "format", format);
  if (file) {
    g_autofree gchar *path = *file == '/' ? g_strdup (file)
        : g_build_filename (f->folder, file, NULL);

    g_object_set (element, "location", path, NULL);
  }
  f->bus = gst_bus_new ();
  gst_element_set_bus (element, f->bus);
}

static void
begin (Fixture *f)
{
  if (f->h)
    gst_harness_play (f->h);
  else
    f->h = gst_harness_new_with_element (f->element, "sink", "src");
  set_size (f, WIDTH, HEIGHT);
}

static void
remove_tree (const gchar *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const gchar *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree gchar *child = g_build_filename (path, name, NULL);

    remove_tree (child);
  }
  if (dir)
    g_dir_close (dir);
  g_remove (path);
}

static void
teardown (Fixture *f)
{
  if (f->h)
    gst_harness_teardown (f->h);
  gst_element_set_state (f->element, GST_STATE_NULL);
  gst_element_set_bus (f->element, NULL);
  gst_object_unref (f->bus);
  gst_object_unref (f->element);
  remove_tree (f->folder);
  g_free (f->folder);
}

static GstFlowReturn
push (Fixture *f, const YoloMetaObject *objects, guint n)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (16);

  GST_BUFFER_PTS (buffer) = 40 * GST_MSECOND;
  yolo_meta_add (buffer, &f->info, objects, n, 0);
  return gst_harness_push (f->h, buffer);
}

static gchar *
read_file (Fixture *f, const gchar *file)
{
  g_autofree gchar *path = g_build_filename (f->folder, file, NULL);
  gchar *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

static JsonNode *
parse (const gchar *text)
{
  GError *error = NULL;
  JsonNode *node = json_from_string (text, &error);

  if (error)
    g_error ("%s\n%s", error->message, text);
  return node;
}

/* The next error on the bus, or NULL. */
static GError *
pop_error (Fixture *f)
{
  GstMessage *message = gst_bus_pop_filtered (f->bus, GST_MESSAGE_ERROR);
  GError *error = NULL;

  if (message) {
    gst_message_parse_error (message, &error, NULL);
    gst_message_unref (message);
  }
  return error;
}

static void
assert_error (Fixture *f, gint code, const gchar *text)
{
  g_autoptr (GError) error = pop_error (f);

  g_assert_error (error, GST_RESOURCE_ERROR, code);
  g_assert_nonnull (strstr (error->message, text));
}

static YoloMetaObject
object (gfloat x, gint label_id, const gchar *label, gint object_id)
{
  return (YoloMetaObject){ x, 10, 50.5, 20.25, 0.875, label_id,
    label ? g_quark_from_string (label) : 0, object_id, 0, NULL, 0, 0, NULL, 0 };
}

static void
test_json_lines (void)
{
  static const gchar *labels[] = {
    "person", "say \"hi\"\\", "Füße 犬", "a\nb\tc\x01", "broken \xff utf-8", "", NULL, };
  Fixture f;
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  YoloMetaObject objects[G_N_ELEMENTS (labels)];
  g_autoptr (JsonNode) node = NULL;
  JsonObject *frame, *o, *detection, *box;
  JsonArray *array;
  guint i;

  setup (&f, "json-lines", "out.jsonl");
  g_object_set (f.element, "source", "file:///a \"b\".mp4", "stream", "camera-1", NULL);
  begin (&f);
  for (i = 0; i < G_N_ELEMENTS (labels); i++)
    objects[i] = object (20.5 + i, (gint) i - 1, labels[i], i == 2 ? 7 : -1);
  objects[1].slot = 5;          /* as if the buffer were a batch */
  g_assert_cmpint (push (&f, objects, G_N_ELEMENTS (objects)), ==, GST_FLOW_OK);
  g_assert_cmpint (push (&f, NULL, 0), ==, GST_FLOW_OK);

  /* the lines are there before EOS, for somebody may read along */
  text = read_file (&f, "out.jsonl");
  lines = g_strsplit (text, "\n", -1);
  g_assert_cmpint (g_strv_length (lines), ==, 3);
  g_assert_cmpstr (lines[2], ==, "");
  node = parse (lines[0]);
  frame = json_node_get_object (node);
  g_assert_cmpstr (json_object_get_string_member (frame, "source"), ==, "file:///a \"b\".mp4");
  g_assert_cmpstr (json_object_get_string_member (frame, "stream"), ==, "camera-1");
  g_assert_cmpint (json_object_get_int_member (frame, "frame"), ==, 0);
  g_assert_cmpint (json_object_get_int_member (frame, "timestamp"), ==, 40 * GST_MSECOND);
  o = json_object_get_object_member (frame, "resolution");
  g_assert_cmpint (json_object_get_int_member (o, "width"), ==, WIDTH);
  g_assert_cmpint (json_object_get_int_member (o, "height"), ==, HEIGHT);
  array = json_object_get_array_member (frame, "objects");
  g_assert_cmpint (json_array_get_length (array), ==, G_N_ELEMENTS (labels));
  for (i = 0; i < G_N_ELEMENTS (labels); i++) {
    g_autofree gchar *valid = labels[i] ? g_utf8_make_valid (labels[i], -1) : NULL;

    o = json_array_get_object_element (array, i);
    g_assert_cmpint (json_object_get_int_member (o, "x"), ==, 21 + i);
    g_assert_cmpint (json_object_get_int_member (o, "y"), ==, 10);
    g_assert_cmpint (json_object_get_int_member (o, "w"), ==, 50);
    g_assert_cmpint (json_object_get_int_member (o, "h"), ==, 20);
    g_assert_cmpint (json_object_get_int_member_with_default (o, "id", -1), ==, i == 2 ? 7 : -1);
    g_assert_cmpint (
        json_object_get_int_member_with_default (o, "batch_id", -1), ==, i == 1 ? 4 : -1);
    g_assert_cmpstr (json_object_get_string_member_with_default (o, "roi_type", NULL), ==, valid);
    detection = json_object_get_object_member (o, "detection");
    g_assert_cmpstr (
        json_object_get_string_member_with_default (detection, "label", NULL), ==, valid);
    g_assert_cmpint (
        json_object_get_int_member_with_default (detection, "label_id", -1), ==, (gint) i - 1);
    g_assert_cmpfloat (json_object_get_double_member (detection, "confidence"), ==, 0.875);
    box = json_object_get_object_member (detection, "bounding_box");
    g_assert_cmpfloat_with_epsilon (json_object_get_double_member (box, "x_min"),
        (20.5 + i) / WIDTH, 1e-6);
    g_assert_cmpfloat_with_epsilon (json_object_get_double_member (box, "x_max"),
        (71. + i) / WIDTH, 1e-6);
    g_assert_cmpfloat_with_epsilon (json_object_get_double_member (box, "y_min"), .1, 1e-6);
    g_assert_cmpfloat_with_epsilon (json_object_get_double_member (box, "y_max"), .3025, 1e-6);
  }
  json_node_unref (node);
  node = parse (lines[1]);
  frame = json_node_get_object (node);
  g_assert_cmpint (json_object_get_int_member (frame, "frame"), ==, 1);
  g_assert_cmpint (json_array_get_length (json_object_get_array_member (frame, "objects")), ==, 0);
  teardown (&f);
}

/* Leaves what DL Streamer's layout says of the objects, as if another element had found them. */
static gboolean
drop_others (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  if ((*meta)->info->api != GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)
    *meta = NULL;
  return TRUE;
}

/* Points, a mask and a turned box of other elements are exported like ours. */
static void
test_foreign (void)
{
  const YoloShape head = { .n_points = 1, .mask_width = 1, .mask_height = 1,
    .mask = { .1f, .1f, .2f, .2f } };
  Fixture f;
  g_autofree gchar *text = NULL;
  g_autoptr (JsonNode) node = NULL;
  YoloMetaObject person = { 20, 10, 20, 10, .5f, 0, 0, -1, 0, NULL, 0, 0, NULL, 0 };
  GstBuffer *buffer = gst_buffer_new_and_alloc (16);
  JsonArray *objects;
  JsonObject *o;
  gfloat *points;
  gint16 *cells;
  YoloShape *shape = yolo_shape_allocate (&head, &points, &cells);

  points[0] = .125f;
  points[1] = .25f;
  points[2] = .75f;
  cells[0] = 1;
  person.shape = yolo_shape_take (shape);
  setup (&f, "json-lines", "out.jsonl");
  begin (&f);
  yolo_meta_add (buffer, &f.info, &person, 1, 0);
  gst_buffer_foreach_meta (buffer, drop_others, NULL);
  gst_video_region_of_interest_meta_add_param (
      gst_buffer_add_video_region_of_interest_meta (buffer, "ship", 80, 40, 40, 20),
      gst_structure_new ("detection", "rotation", G_TYPE_DOUBLE, G_PI_2, NULL));
  g_assert_cmpint (gst_harness_push (f.h, buffer), ==, GST_FLOW_OK);
  text = read_file (&f, "out.jsonl");
  node = parse (text);
  objects = json_object_get_array_member (json_node_get_object (node), "objects");
  o = json_array_get_object_element (objects, 0);
  g_assert_true (json_object_has_member (o, "mask"));
  o = json_array_get_object_element (json_object_get_array_member (o, "keypoints"), 0);
  g_assert_cmpfloat_with_epsilon (json_object_get_double_member (o, "x"), 25, 1e-3);
  g_assert_cmpfloat_with_epsilon (json_object_get_double_member (o, "y"), 25, 1e-3);
  g_assert_cmpfloat_with_epsilon (json_object_get_double_member (o, "confidence"), .75, 1e-6);
  o = json_array_get_object_element (objects, 1);
  g_assert_cmpuint (json_array_get_length (json_object_get_array_member (o, "corners")), ==, 8);
  g_assert_cmpint (json_object_get_int_member (o, "x"), ==, 90);
  g_assert_cmpint (json_object_get_int_member (o, "h"), ==, 40);
  g_bytes_unref (person.shape);
  teardown (&f);
}

/* Formats that know one frame only refuse several, and keep what was written. */
static void
test_batch (void)
{
  static const gchar *const formats[] = { "coco", "yolo" };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    YoloMetaObject one = object (20, 1, "cat", -1);
    g_autoptr (GError) error = NULL;
    g_autofree gchar *before = NULL, *after = NULL;
    const gchar *file = i == 0 ? "out" : "out/000000.txt";
    Fixture f;

    setup (&f, formats[i], "out");
    begin (&f);
    g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_OK);
    before = read_file (&f, file);
    one.slot = 2;
    g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_ERROR);
    error = pop_error (&f);
    g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, "json-lines"));
    after = read_file (&f, file);
    g_assert_cmpstr (before, ==, after);
    teardown (&f);
  }
}

/* Checks that a property which is set while the element runs stays, with a warning
 * unless it is set to the value that it has. */
static void
assert_fixed (Fixture *f, const gchar *property, const gchar *value)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (f->element), property);
  g_auto (GValue) old = G_VALUE_INIT, now = G_VALUE_INIT;
  g_autoptr (GError) error = NULL;
  GstMessage *message;

  g_value_init (&old, pspec->value_type);
  g_value_init (&now, pspec->value_type);
  g_object_get_property (G_OBJECT (f->element), property, &old);
  g_object_set_property (G_OBJECT (f->element), property, &old);
  g_assert_null (gst_bus_pop_filtered (f->bus, GST_MESSAGE_WARNING));
  gst_util_set_object_arg (G_OBJECT (f->element), property, value);
  message = gst_bus_pop_filtered (f->bus, GST_MESSAGE_WARNING);
  g_assert_nonnull (message);
  gst_message_parse_warning (message, &error, NULL);
  gst_message_unref (message);
  g_assert_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS);
  g_assert_true (g_str_has_prefix (error->message, property));
  g_assert_nonnull (strstr (error->message, "READY"));
  g_object_get_property (G_OBJECT (f->element), property, &now);
  g_assert_cmpint (g_param_values_cmp (pspec, &old, &now), ==, 0);
}

/* Frames without objects are written as add-empty-results says; properties, caps and
 * timestamps may change while playing. */
static void
test_changes (void)
{
  const YoloMetaObject one = object (20, 1, "cat", -1);
  Fixture f;
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (JsonNode) node = NULL;
  JsonObject *frame;
  GstSegment segment;
  GstBuffer *buffer;

  setup (&f, "json-lines", "out.jsonl");
  g_object_set (f.element, "add-empty-results", FALSE, NULL);
  begin (&f);
  push (&f, NULL, 0);
  push (&f, &one, 1);
  g_object_set (f.element, "source", "later", "add-empty-results", TRUE, NULL);
  set_size (&f, 64, 32);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = 10 * GST_SECOND;
  segment.time = 100 * GST_SECOND;
  gst_harness_push_event (f.h, gst_event_new_segment (&segment));
  buffer = gst_buffer_new ();
  GST_BUFFER_PTS (buffer) = 11 * GST_SECOND;
  gst_harness_push (f.h, buffer);
  gst_harness_push (f.h, gst_buffer_new ());

  text = read_file (&f, "out.jsonl");
  lines = g_strsplit (text, "\n", -1);
  g_assert_cmpint (g_strv_length (lines), ==, 4);
  node = parse (lines[0]);
  frame = json_node_get_object (node);
  g_assert_cmpint (json_object_get_int_member (frame, "frame"), ==, 1);
  g_assert_false (json_object_has_member (frame, "source"));
  g_assert_true (json_object_has_member (frame, "stream"));
  json_node_unref (node);
  node = parse (lines[1]);
  frame = json_node_get_object (node);
  g_assert_cmpstr (json_object_get_string_member (frame, "source"), ==, "later");
  g_assert_cmpint (json_object_get_int_member (frame, "timestamp"), ==, 101 * GST_SECOND);
  g_assert_cmpint (json_object_get_int_member (json_object_get_object_member (frame, "resolution"),
          "width"), ==, 64);
  json_node_unref (node);
  node = parse (lines[2]);
  g_assert_false (json_object_has_member (json_node_get_object (node), "timestamp"));

  assert_fixed (&f, "location", "/somewhere/else");
  assert_fixed (&f, "format", "coco");
  assert_fixed (&f, "write-timeout", "12345");
  teardown (&f);
}

static JsonArray *
coco_array (Fixture *f, JsonNode **node)
{
  g_autofree gchar *text = read_file (f, "out.json");

  *node = parse (text);
  return json_node_get_array (*node);
}

/* The file is a whole array at any time. */
static void
test_coco (void)
{
  GstMessage *warning;
  const YoloMetaObject objects[] = {
    object (20.5, 0, "person", -1), object (30, 79, "toothbrush", -1), object (30, -1, "?", -1),
  };
  Fixture f;
  JsonNode *node;
  JsonArray *array, *box;
  JsonObject *o;
  guint i;

  setup (&f, "coco", "out.json");
  g_object_set (f.element, "first-image-id", G_GINT64_CONSTANT (1000), NULL);
  gst_util_set_object_arg (G_OBJECT (f.element), "categories", "coco91");
  begin (&f);
  g_assert_cmpint (json_array_get_length (coco_array (&f, &node)), ==, 0);
  json_node_unref (node);
  push (&f, NULL, 0);
  for (i = 0; i < 5; i++) {
    g_assert_cmpint (push (&f, objects, 2), ==, GST_FLOW_OK);
    array = coco_array (&f, &node);
    g_assert_cmpint (json_array_get_length (array), ==, 2 * (i + 1));
    json_node_unref (node);
  }
  gst_harness_push_event (f.h, gst_event_new_eos ());
  array = coco_array (&f, &node);
  g_assert_cmpint (json_array_get_length (array), ==, 10);
  o = json_array_get_object_element (array, 9);
  g_assert_cmpint (json_object_get_int_member (o, "image_id"), ==, 1005);
  g_assert_cmpint (json_object_get_int_member (o, "category_id"), ==, 90);
  g_assert_cmpfloat (json_object_get_double_member (o, "score"), ==, 0.875);
  box = json_object_get_array_member (json_array_get_object_element (array, 0), "bbox");
  g_assert_cmpint (json_array_get_length (box), ==, 4);
  g_assert_cmpfloat_with_epsilon (json_array_get_double_element (box, 0), 20.5, 1e-4);
  g_assert_cmpfloat_with_epsilon (json_array_get_double_element (box, 1), 10, 1e-4);
  g_assert_cmpfloat_with_epsilon (json_array_get_double_element (box, 2), 50.5, 1e-4);
  g_assert_cmpfloat_with_epsilon (json_array_get_double_element (box, 3), 20.25, 1e-4);
  json_node_unref (node);

  /* after a seek behind EOS the array goes on */
  gst_harness_push_event (f.h, gst_event_new_flush_start ());
  gst_harness_push_event (f.h, gst_event_new_flush_stop (TRUE));
  gst_harness_set_src_caps (f.h, gst_video_info_to_caps (&f.info));
  g_assert_cmpint (push (&f, objects, 3), ==, GST_FLOW_OK);
  gst_element_set_state (f.element, GST_STATE_READY);
  g_assert_cmpint (json_array_get_length (coco_array (&f, &node)), ==, 12);
  json_node_unref (node);
  /* the third had no class number, which is said once */
  warning = gst_bus_pop_filtered (f.bus, GST_MESSAGE_WARNING);
  g_assert_nonnull (warning);
  gst_message_unref (warning);
  g_assert_null (gst_bus_pop_filtered (f.bus, GST_MESSAGE_WARNING));
  g_assert_null (pop_error (&f));
  teardown (&f);
}

/* Names with any character that commands a terminal or that JSON does not take as it is. */
static void
test_controls (void)
{
  g_autoptr (GString) name = g_string_new (NULL), line = g_string_new (NULL);
  g_autoptr (JsonNode) node = NULL;
  YoloMetaObject one = object (20, 1, "", -1);
  const YoloRecord record = { WIDTH, HEIGHT, &one, 1, 0, 0, "\x1f", "\xc2\x9b", 0 };
  JsonObject *o;
  guint i;

  for (i = 1; i < 0xa1; i++)
    g_string_append_unichar (name, i);
  g_string_append (name, "\xe2\x80\xa8\xe2\x80\xae\xef\xbb\xbf 犬");
  one.label = g_quark_from_string (name->str);
  g_assert_cmpint (yolo_record_json_line (&record, line), ==, 1);
  for (i = 0; i < line->len - 1; i++)
    g_assert_true ((guchar) line->str[i] >= 0x20 && line->str[i] != 0x7f);
  g_assert_null (strstr (line->str, "\xc2\x9b"));
  g_assert_null (strstr (line->str, "\xe2\x80\xae"));
  g_assert_nonnull (strstr (line->str, "犬"));
  node = parse (line->str);
  o = json_node_get_object (node);
  g_assert_cmpstr (json_object_get_string_member (o, "source"), ==, "\x1f");
  g_assert_cmpstr (json_object_get_string_member (o, "stream"), ==, "\xc2\x9b");
  o = json_array_get_object_element (json_object_get_array_member (o, "objects"), 0);
  g_assert_cmpstr (json_object_get_string_member (o, "roi_type"), ==, name->str);
}

/* Boxes of other elements that reach out of the frame are cut down to it. */
static void
test_clipped (void)
{
  const YoloMetaObject one = { -20, 90, 1000, 40, 0.5, 3, g_quark_from_string ("car"), -1, 0,
    NULL, 0, 0, NULL, 0 };
  const YoloRecord record = { WIDTH, HEIGHT, &one, 1, 0, 0, NULL, NULL, 0 };
  g_autoptr (GString) line = g_string_new (NULL), coco = g_string_new (NULL),
                      labels = g_string_new (NULL);
  g_autoptr (JsonNode) frame = NULL, result = NULL;
  JsonObject *box;
  JsonArray *bbox;

  g_assert_cmpint (yolo_record_json_line (&record, line), ==, 1);
  frame = parse (line->str);
  box = json_object_get_object_member (json_array_get_object_element (json_object_get_array_member
          (json_node_get_object (frame), "objects"), 0), "detection");
  box = json_object_get_object_member (box, "bounding_box");
  g_assert_cmpfloat (json_object_get_double_member (box, "x_min"), ==, 0);
  g_assert_cmpfloat (json_object_get_double_member (box, "y_min"), ==, 0.9);
  g_assert_cmpfloat (json_object_get_double_member (box, "x_max"), ==, 1);
  g_assert_cmpfloat (json_object_get_double_member (box, "y_max"), ==, 1);

  g_assert_cmpint (yolo_record_coco (&record, 0, YOLO_CATEGORIES_CLASS, coco), ==, 1);
  result = parse (coco->str);
  bbox = json_object_get_array_member (json_node_get_object (result), "bbox");
  g_assert_cmpfloat (json_array_get_double_element (bbox, 0), ==, 0);
  g_assert_cmpfloat (json_array_get_double_element (bbox, 1), ==, 90);
  g_assert_cmpfloat (json_array_get_double_element (bbox, 2), ==, 200);
  g_assert_cmpfloat (json_array_get_double_element (bbox, 3), ==, 10);

  g_assert_cmpint (yolo_record_labels (&record, TRUE, labels), ==, 1);
  g_assert_cmpstr (labels->str, ==, "3 0.500000 0.950000 1.000000 0.100000 0.500000\n");
}

static void
test_categories (void)
{
  /* {class, category_id}, from instances_val2017.json */
  static const gint coco[][2] = {
    {0, 1}, {10, 11}, {11, 13}, {23, 25}, {24, 27}, {26, 31}, {39, 44}, {40, 46}, {59, 65},
    {60, 67}, {61, 70}, {62, 72}, {72, 82}, {73, 84}, {79, 90},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (coco); i++) {
    const YoloMetaObject one = object (20, coco[i][0], "x", -1);
    const YoloRecord record = { WIDTH, HEIGHT, &one, 1, 0, 0, NULL, NULL, 0 };
    const gint expected[] = { coco[i][0], coco[i][0] + 1, coco[i][1] };
    guint c;

    for (c = 0; c < 3; c++) {
      g_autoptr (GString) text = g_string_new (NULL);
      g_autoptr (JsonNode) node = NULL;

      g_assert_cmpint (yolo_record_coco (&record, 3, c, text), ==, 1);
      node = parse (text->str);
      g_assert_cmpint (json_object_get_int_member (json_node_get_object (node), "category_id"), ==,
          expected[c]);
    }
  }
}

static void
test_labels (void)
{
  const YoloMetaObject objects[] = { object (20, 3, "car", -1), object (20, -1, "car", -1) };
  Fixture f;
  g_autofree gchar *first = NULL, *second = NULL, *bare = NULL, *path = NULL;

  setup (&f, "yolo", "made/here");
  begin (&f);
  g_assert_cmpint (push (&f, objects, 2), ==, GST_FLOW_OK);
  g_assert_cmpint (push (&f, NULL, 0), ==, GST_FLOW_OK);
  g_object_set (f.element, "add-empty-results", FALSE, NULL);
  g_assert_cmpint (push (&f, NULL, 0), ==, GST_FLOW_OK);
  first = read_file (&f, "made/here/000000.txt");
  g_assert_cmpstr (first, ==, "3 0.226250 0.201250 0.252500 0.202500 0.875000\n");
  second = read_file (&f, "made/here/000001.txt");
  g_assert_cmpstr (second, ==, "");
  path = g_build_filename (f.folder, "made/here/000002.txt", NULL);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_object_set (f.element, "label-confidence", FALSE, NULL);
  g_assert_cmpint (push (&f, objects, 1), ==, GST_FLOW_OK);
  bare = read_file (&f, "made/here/000003.txt");
  g_assert_cmpstr (bare, ==, "3 0.226250 0.201250 0.252500 0.202500\n");

  /* the folder is moved away */
  g_free (path);
  path = g_build_filename (f.folder, "made", NULL);
  remove_tree (path);
  g_assert_cmpint (push (&f, objects, 1), ==, GST_FLOW_ERROR);
  assert_error (&f, GST_RESOURCE_ERROR_WRITE, "made/here/000004.txt");
  teardown (&f);
}

/* Pushes regions without a confidence, of which the second has a class number. */
static GstFlowReturn
push_bare (Fixture *f)
{
  GstBuffer *buffer = gst_buffer_new ();
  GstVideoRegionOfInterestMeta *region;

  gst_buffer_add_video_region_of_interest_meta (buffer, "hand", 20, 10, 50, 20);
  region = gst_buffer_add_video_region_of_interest_meta (buffer, "car", 20, 10, 50, 20);
  gst_video_region_of_interest_meta_add_param (region,
      gst_structure_from_string ("detection, label_id=3", NULL));
  return gst_harness_push (f->h, buffer);
}

static guint
count_warnings (Fixture *f, const gchar *part)
{
  GstMessage *message;
  guint n = 0;

  while ((message = gst_bus_pop_filtered (f->bus, GST_MESSAGE_WARNING))) {
    g_autoptr (GError) error = NULL;

    gst_message_parse_warning (message, &error, NULL);
    if (!strstr (error->message, part))
      g_error ("\"%s\" is not in: %s", part, error->message);
    gst_message_unref (message);
    n++;
  }
  return n;
}

/* Lines of objects that have a track; where none has, a warning at the end says why. */
static void
test_mot (void)
{
  YoloMetaObject objects[] = {
    object (20.5, 0, "person", 3), object (30, -1, "?", -1), object (40, 1, "car", 12),
  };
  Fixture f;
  g_autofree gchar *text = NULL;

  objects[2].confidence = -1;
  setup (&f, "mot", "out.txt");
  begin (&f);
  g_assert_cmpint (push (&f, objects, 3), ==, GST_FLOW_OK);
  g_assert_cmpint (push (&f, NULL, 0), ==, GST_FLOW_OK);
  objects[0].state = YOLO_META_PREDICTED;
  g_assert_cmpint (push (&f, objects, 1), ==, GST_FLOW_OK);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  text = read_file (&f, "out.txt");
  g_assert_cmpstr (text, ==,
      "1,3,20.50,10.00,50.50,20.25,0.8750,-1,-1,-1\n"
      "1,12,40.00,10.00,50.50,20.25,1.0000,-1,-1,-1\n"
      "3,3,20.50,10.00,50.50,20.25,0.8750,-1,-1,-1\n");
  g_assert_null (gst_bus_pop_filtered (f.bus, GST_MESSAGE_WARNING));
  teardown (&f);

  setup (&f, "mot", "out.txt");
  begin (&f);
  g_assert_cmpint (push (&f, objects + 1, 1), ==, GST_FLOW_OK);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  g_assert_cmpint (count_warnings (&f, "put yolotrack before"), ==, 1);
  teardown (&f);
}

/* An object without a confidence is written without one, or left out where the format
 * needs one. */
static void
test_unknown_confidence (void)
{
  static const gchar *formats[] = { "json-lines", "coco", "yolo" };
  Fixture f;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autofree gchar *text = NULL;
    g_autoptr (JsonNode) node = NULL;

    setup (&f, formats[i], "out");
    begin (&f);
    g_assert_cmpint (push_bare (&f), ==, GST_FLOW_OK);
    g_assert_cmpint (push_bare (&f), ==, GST_FLOW_OK);
    text = read_file (&f, i == 2 ? "out/000000.txt" : "out");
    if (i == 0) {
      JsonArray *array;
      JsonObject *o;

      text[strcspn (text, "\n")] = 0;
      node = parse (text);
      array = json_object_get_array_member (json_node_get_object (node), "objects");
      g_assert_cmpint (json_array_get_length (array), ==, 2);
      o = json_array_get_object_element (array, 0);
      g_assert_cmpstr (json_object_get_string_member (o, "roi_type"), ==, "hand");
      g_assert_cmpint (json_object_get_int_member (o, "w"), ==, 50);
      o = json_object_get_object_member (o, "detection");
      g_assert_false (json_object_has_member (o, "confidence"));
      g_assert_true (json_object_has_member (o, "bounding_box"));
    } else if (i == 1) {
      node = parse (text);
      g_assert_cmpint (json_array_get_length (json_node_get_array (node)), ==, 0);
    } else {
      g_assert_cmpstr (text, ==, "3 0.225000 0.200000 0.250000 0.200000\n");
    }
    g_assert_cmpint (count_warnings (&f, "not exported"), ==, i > 0);
    teardown (&f);
  }
}

static gboolean
drop_regions (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  if (!gst_meta_info_is_custom ((*meta)->info))
    *meta = NULL;
  return TRUE;
}

static gboolean
drop_all (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  *meta = NULL;
  return TRUE;
}

static void
push_stripped (Fixture *f, GstBufferForeachMetaFunc drop)
{
  const YoloMetaObject one = object (20, 1, "cat", -1);
  GstBuffer *buffer = gst_buffer_new ();

  yolo_meta_add (buffer, &f->info, &one, 1, 0);
  gst_buffer_foreach_meta (buffer, drop, NULL);
  g_assert_cmpint (gst_harness_push (f->h, buffer), ==, GST_FLOW_OK);
}

static void
announce (Fixture *f)
{
  gst_harness_push_event (f->h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
          gst_structure_new_empty ("yolo-objects")));
}

/* A warning is posted, once, where objects are lost on the way, and not where frames
 * have none. */
static void
test_lost (void)
{
  static const gchar lost[] = "do not arrive at \"exporter\"";
  const YoloMetaObject one = object (20, 1, "cat", -1);
  Fixture f;
  guint i;

  setup (&f, "json-lines", "out");
  begin (&f);
  for (i = 0; i < 100; i++)     /* nobody has announced objects */
    push_stripped (&f, drop_all);
  announce (&f);
  push (&f, NULL, 0);           /* an element holds the frame with objects back */
  push (&f, &one, 1);
  for (i = 0; i < 100; i++)
    push (&f, NULL, 0);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  g_assert_cmpint (count_warnings (&f, lost), ==, 0);
  teardown (&f);

  /* the regions are gone, as behind videocrop */
  setup (&f, "json-lines", "out");
  begin (&f);
  push (&f, &one, 1);
  push_stripped (&f, drop_regions);
  g_assert_cmpint (count_warnings (&f, lost), ==, 1);
  push_stripped (&f, drop_regions);
  g_assert_cmpint (count_warnings (&f, lost), ==, 0);
  teardown (&f);

  /* regions and notes are gone, as behind compositor */
  setup (&f, "json-lines", "out");
  begin (&f);
  announce (&f);
  for (i = 0; i < 100; i++)
    push_stripped (&f, drop_all);
  g_assert_cmpint (count_warnings (&f, lost), ==, 1);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  g_assert_cmpint (count_warnings (&f, lost), ==, 0);
  teardown (&f);

  /* the same with a single picture is told at EOS */
  setup (&f, "json-lines", "out");
  begin (&f);
  announce (&f);
  push_stripped (&f, drop_all);
  g_assert_cmpint (count_warnings (&f, lost), ==, 0);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  g_assert_cmpint (count_warnings (&f, lost), ==, 1);
  teardown (&f);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const gchar *const *) a, *(const gchar *const *) b);
}

/* The names in a folder, sorted, with a space behind each. */
static gchar *
list (const gchar *folder)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  GString *text = g_string_new (NULL);
  const gchar *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)))
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    g_string_append_printf (text, "%s ", (const gchar *) names->pdata[i]);
  return g_string_free (text, FALSE);
}

/* A label file is replaced by a new one: whoever reads the old one still has it whole.
 * What a killed run has left is removed, and so are, at the end, the hidden files of
 * this run. */
static void
test_labels_whole (void)
{
  const YoloMetaObject objects[] = { object (20, 3, "car", -1), object (20, 4, "cat", -1) };
  Fixture f;
  g_autofree gchar *folder = NULL, *path = NULL, *names = NULL, *left = NULL, *after = NULL;
  gchar text[200];
  gchar *dot;
  FILE *file;

  setup (&f, "yolo", "out");
  folder = g_build_filename (f.folder, "out", NULL);
  path = g_build_filename (folder, "000000.txt", NULL);
  begin (&f);
  g_assert_cmpint (push (&f, objects, 1), ==, GST_FLOW_OK);
  file = fopen (path, "r");
  names = list (folder);
  g_assert_true (g_str_has_suffix (names, ".lock 000000.txt "));
  gst_element_set_state (f.element, GST_STATE_READY);
  after = list (folder);
  g_assert_cmpstr (after, ==, "000000.txt ");

  /* the name of the hidden file that a killed run with this pattern would have left */
  dot = strstr (names, ".lock");
  *dot = 0;
  left = g_strdup_printf ("%s/%s.tmp", folder, names);
  g_assert_true (g_file_set_contents (left, "3 0.5", -1, NULL));
  begin (&f);
  g_assert_false (g_file_test (left, G_FILE_TEST_EXISTS));
  g_assert_cmpint (push (&f, objects, 2), ==, GST_FLOW_OK);
  g_assert_nonnull (fgets (text, sizeof text, file));
  g_assert_cmpstr (text, ==, "3 0.226250 0.201250 0.252500 0.202500 0.875000\n");
  g_assert_null (fgets (text, sizeof text, file));
  g_assert_true (feof (file));
  fclose (file);
  teardown (&f);
}

/* When the disk is full there is no label file, not even a part of one. */
static void
test_labels_full (void)
{
  const struct rlimit small = { 1000, RLIM_INFINITY };
  struct rlimit before;
  YoloMetaObject objects[50];
  Fixture f;
  g_autofree gchar *folder = NULL, *names = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
    objects[i] = object (20, 3, "car", -1);
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  setup (&f, "yolo", "out");
  begin (&f);
  g_assert_cmpint (push (&f, objects, 1), ==, GST_FLOW_OK);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &small), ==, 0);
  g_assert_cmpint (push (&f, objects, G_N_ELEMENTS (objects)), ==, GST_FLOW_ERROR);
  setrlimit (RLIMIT_FSIZE, &before);
  assert_error (&f, GST_RESOURCE_ERROR_WRITE, "out/000001.txt");
  gst_element_set_state (f.element, GST_STATE_NULL);
  folder = g_build_filename (f.folder, "out", NULL);
  names = list (folder);
  g_assert_cmpstr (names, ==, "000000.txt ");
  teardown (&f);
}

/* Starts two elements, one after the other. @good: whether the second may write to its
 * target too. */
static void
try_two (const gchar *format, const gchar *first, const gchar *second, gboolean good)
{
  const YoloMetaObject one = object (20, 1, "cat", -1);
  g_autofree gchar *path = NULL, *target = NULL, *fifo = NULL, *alias = NULL;
  g_autofree gchar *link = NULL, *soft_folder = NULL, *before = NULL, *after = NULL;
  const gboolean is_file = g_str_equal (first, "out");
  Fixture f, g;
  int reader;

  g_test_message ("%s: %s, then %s", format, first, second);
  setup (&f, format, first);
  fifo = g_build_filename (f.folder, "fifo", NULL);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  reader = open (fifo, O_RDONLY | O_NONBLOCK);
  begin (&f);
  target = g_build_filename (f.folder, "out", NULL);
  alias = g_build_filename (f.folder, "soft", NULL);
  g_assert_cmpint (symlink ("out", alias), ==, 0);
  link = g_build_filename (f.folder, "hard", NULL);
  soft_folder = g_build_filename (f.folder, "here", NULL);
  g_assert_cmpint (symlink (".", soft_folder), ==, 0);
  if (is_file && !g_str_equal (format, "yolo")) {
    g_assert_cmpint (linkat (AT_FDCWD, target, AT_FDCWD, link, 0), ==, 0);
    g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_OK);
    before = read_file (&f, "out");
  }

  path = *second == '/' ? g_strdup (second) : g_build_filename (f.folder, second, NULL);
  setup (&g, format, path);
  gst_object_set_name (GST_OBJECT (g.element), "second");
  g_assert_cmpint (gst_element_set_state (g.element, GST_STATE_PAUSED), ==,
      good ? GST_STATE_CHANGE_SUCCESS : GST_STATE_CHANGE_FAILURE);
  if (!good) {
    assert_error (&g, GST_RESOURCE_ERROR_OPEN_WRITE, "exporter writes it already");
    if (before) {
      after = read_file (&f, "out");
      g_assert_cmpstr (before, ==, after);
    }
    /* once the first one has stopped, the second may start */
    gst_element_set_state (f.element, GST_STATE_NULL);
    gst_element_set_state (g.element, GST_STATE_NULL);
    g_assert_cmpint (gst_element_set_state (g.element, GST_STATE_PAUSED), ==,
        GST_STATE_CHANGE_SUCCESS);
  }
  gst_element_set_state (g.element, GST_STATE_NULL);
  teardown (&g);
  close (reader);
  teardown (&f);
}

/* A file has one writer, by whatever name it is opened; devices are everybody's. */
static void
test_two (void)
{
  static const struct {
    const gchar *format, *first, *second;
    gboolean good;
  } cases[] = {
    {"coco", "out", "out", FALSE}, {"json-lines", "out", "./out", FALSE},
    {"json-lines", "out", "soft", FALSE}, {"coco", "out", "hard", FALSE},
    {"json-lines", "out", "here/out", FALSE}, {"json-lines", "fifo", "fifo", FALSE},
    {"coco", "out", "other", TRUE}, {"json-lines", "/dev/null", "/dev/null", TRUE},
    {"yolo", "out", "out", FALSE}, {"yolo", "out", "here/soft", FALSE},
    {"yolo", "out", "out/%d.txt", FALSE}, {"yolo", "a-%05d", "a-%d", FALSE},
    {"yolo", "a-%05d", "b-%05d", TRUE}, {"yolo", "out", "out/a-%06d.txt", TRUE},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    try_two (cases[i].format, cases[i].first, cases[i].second, cases[i].good);
}

/* Other processes see the lock: for flock(2), a second opening of the file is as good
 * as another process. */
static void
test_other_process (void)
{
  Fixture f;
  g_autofree gchar *path = NULL, *text = NULL;
  int fd;

  setup (&f, "coco", "out");
  path = g_build_filename (f.folder, "out", NULL);
  g_assert_true (g_file_set_contents (path, "theirs", -1, NULL));
  fd = open (path, O_RDWR);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), ==, 0);
  g_assert_cmpint (
      gst_element_set_state (f.element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
  assert_error (&f, GST_RESOURCE_ERROR_OPEN_WRITE, "another process writes it already");
  text = read_file (&f, "out");
  g_assert_cmpstr (text, ==, "theirs");
  gst_element_set_state (f.element, GST_STATE_NULL);

  g_assert_cmpint (flock (fd, LOCK_UN), ==, 0);
  begin (&f);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), <, 0);
  gst_element_set_state (f.element, GST_STATE_READY);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), ==, 0);
  close (fd);
  teardown (&f);
}

static void
test_patterns (void)
{
  static const struct {
    const gchar *pattern, *path;
  } cases[] = {
    {"a/%d.txt", "a/42.txt"}, {"%05d", "00042"}, {"%3u.txt", " 42.txt"}, {"100%%/%d", "100%/42"},
    {"%020d", "00000000000000000042"}, {"none", NULL}, {"%s", NULL}, {"%d%d", NULL}, {"%n%d", NULL},
    {"%", NULL}, {"%0", NULL}, {"%99999999999d", NULL}, {"%-5d", NULL}, {"%ld", NULL}, {"", NULL},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = yolo_record_path (cases[i].pattern, 42);

    g_assert_cmpstr (path, ==, cases[i].path);
  }
}

/* If a target cannot be opened, the state change fails and the error names the target. */
static void
test_not_writable (void)
{
  static const struct {
    const gchar *format, *location, *text;
    gint code;
  } cases[] = {
    {"json-lines", "no/such/folder/x", "no/such/folder/x", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"json-lines", ".", "/.", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"coco", "", "/", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"coco", "fifo", "no process reads it", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"yolo", NULL, "location is not set", GST_RESOURCE_ERROR_SETTINGS},
    {"yolo", "%s.txt", "%s.txt\" must hold one %d", GST_RESOURCE_ERROR_SETTINGS},
    {"yolo", "fifo/below", "fifo/below", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"yolo", "no/such/%d.txt", "no/such/%d.txt", GST_RESOURCE_ERROR_OPEN_WRITE},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    Fixture f;
    g_autofree gchar *fifo = NULL;

    setup (&f, cases[i].format, cases[i].location);
    fifo = g_build_filename (f.folder, "fifo", NULL);
    g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
    g_assert_cmpint (gst_element_set_state (f.element, GST_STATE_PAUSED), ==,
        GST_STATE_CHANGE_FAILURE);
    assert_error (&f, cases[i].code, cases[i].text);
    gst_element_set_state (f.element, GST_STATE_NULL);
    teardown (&f);
  }
}

static void
test_disk_full (void)
{
  static const gchar *formats[] = { "json-lines", "coco" };
  const YoloMetaObject one = object (20, 1, "cat", -1);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (formats); i++) {
    Fixture f;

    setup (&f, formats[i], "/dev/full");
    begin (&f);
    g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_ERROR);
    assert_error (&f, GST_RESOURCE_ERROR_NO_SPACE_LEFT, "/dev/full");
    gst_element_set_state (f.element, GST_STATE_NULL);
    g_assert_null (pop_error (&f));
    teardown (&f);
  }

  /* an empty array is written at EOS */
  {
    Fixture f;

    setup (&f, "coco", "/dev/full");
    begin (&f);
    push (&f, NULL, 0);
    gst_harness_push_event (f.h, gst_event_new_eos ());
    assert_error (&f, GST_RESOURCE_ERROR_NO_SPACE_LEFT, "/dev/full");
    teardown (&f);
  }
}

/* A file that can grow no more keeps whole records, and stays an array. */
static void
test_file_too_large (void)
{
  const YoloMetaObject one = object (20, 1, "cat", -1);
  const struct rlimit small = { 1000, RLIM_INFINITY };
  struct rlimit before;
  Fixture f;
  JsonNode *node;
  guint n = 0;

  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  setup (&f, "coco", "out.json");
  begin (&f);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &small), ==, 0);
  while (push (&f, &one, 1) == GST_FLOW_OK && n < 100)
    n++;
  setrlimit (RLIMIT_FSIZE, &before);
  g_assert_cmpint (n, >, 3);
  g_assert_cmpint (n, <, 30);
  assert_error (&f, GST_RESOURCE_ERROR_WRITE, "out.json");
  g_assert_cmpint (json_array_get_length (coco_array (&f, &node)), ==, n);
  json_node_unref (node);
  gst_element_set_state (f.element, GST_STATE_NULL);
  g_assert_cmpint (json_array_get_length (coco_array (&f, &node)), ==, n);
  json_node_unref (node);
  teardown (&f);
}

static void
test_removed (void)
{
  const YoloMetaObject one = object (20, 1, "cat", -1);
  Fixture f;
  g_autofree gchar *path = NULL;

  setup (&f, "json-lines", "out.jsonl");
  begin (&f);
  g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_OK);
  path = g_build_filename (f.folder, "out.jsonl", NULL);
  g_remove (path);
  g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_ERROR);
  assert_error (&f, GST_RESOURCE_ERROR_WRITE, "out.jsonl");
  teardown (&f);
}

/* Replaces stdout by a pipe; returns its other end. */
static int
pipe_stdout (int *saved)
{
  int ends[2];

  fflush (stdout);
  g_assert_cmpint (pipe (ends), ==, 0);
  *saved = dup (STDOUT_FILENO);
  dup2 (ends[1], STDOUT_FILENO);
  close (ends[1]);
  return ends[0];
}

static void
restore_stdout (int saved)
{
  dup2 (saved, STDOUT_FILENO);
  close (saved);
}

static void
test_stdout (void)
{
  static const gchar *locations[] = { NULL, "-" };
  const YoloMetaObject one = object (20, 1, "cat", -1);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (locations); i++) {
    Fixture f;
    gchar text[4096];
    gssize n;
    int saved, end;
    g_autoptr (JsonNode) node = NULL;

    setup (&f, "coco", NULL);
    g_object_set (f.element, "location", locations[i], NULL);
    end = pipe_stdout (&saved);
    begin (&f);
    restore_stdout (saved);
    push (&f, &one, 1);
    push (&f, &one, 1);
    /* the array is ended without EOS, when the element stops */
    gst_element_set_state (f.element, GST_STATE_NULL);
    n = read (end, text, sizeof text - 1);
    g_assert_cmpint (n, >, 0);
    text[n] = 0;
    node = parse (text);
    g_assert_cmpint (json_array_get_length (json_node_get_array (node)), ==, 2);
    close (end);
    g_assert_null (pop_error (&f));
    teardown (&f);
  }
}

/* When the reader goes away this is an error, and no signal ends the process. */
static void
test_broken_pipe (void)
{
  const YoloMetaObject one = object (20, 1, "cat", -1);
  Fixture f;
  sigset_t pending;
  int saved, end;

  signal (SIGPIPE, SIG_DFL);
  setup (&f, "json-lines", NULL);
  end = pipe_stdout (&saved);
  begin (&f);
  restore_stdout (saved);
  g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_OK);
  close (end);
  g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_ERROR);
  assert_error (&f, GST_RESOURCE_ERROR_WRITE, "standard output");
  sigpending (&pending);
  g_assert_false (sigismember (&pending, SIGPIPE));
  teardown (&f);
}

static gpointer
push_until_stopped (gpointer data)
{
  Fixture *f = data;
  const YoloMetaObject one = object (20, 1, "cat", -1);
  GstFlowReturn flow;

  while ((flow = push (f, &one, 1)) == GST_FLOW_OK);
  return GINT_TO_POINTER (flow);
}

/* When the reader stands still the element waits, and stops when it is told to. */
static void
test_stalled_pipe (void)
{
  Fixture f;
  GThread *thread;
  gint64 start;
  int saved, end;

  setup (&f, "json-lines", NULL);
  end = pipe_stdout (&saved);
  begin (&f);
  restore_stdout (saved);
  gst_harness_set_drop_buffers (f.h, TRUE);
  thread = g_thread_new ("streaming", push_until_stopped, &f);
  g_usleep (300000);
  start = g_get_monotonic_time ();
  gst_element_set_state (f.element, GST_STATE_NULL);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 5 * G_USEC_PER_SEC);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (thread)), ==, GST_FLOW_FLUSHING);
  g_assert_null (pop_error (&f));
  close (end);
  teardown (&f);
}

/* A reader that stands still does not keep the stream for ever either: EOS, which waits
 * behind the frame, would never come. */
static void
test_write_timeout (void)
{
  static const gchar *formats[] = { "json-lines", "coco" };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    Fixture f;
    GThread *thread;
    g_autofree gchar *fifo = NULL;
    int reader;

    setup (&f, formats[i], "fifo");
    g_object_set (f.element, "write-timeout", (guint64) 200 * GST_MSECOND, NULL);
    fifo = g_build_filename (f.folder, "fifo", NULL);
    g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
    reader = open (fifo, O_RDONLY | O_NONBLOCK);
    begin (&f);
    gst_harness_set_drop_buffers (f.h, TRUE);
    thread = g_thread_new ("streaming", push_until_stopped, &f);
    g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (thread)), ==, GST_FLOW_ERROR);
    assert_error (&f, GST_RESOURCE_ERROR_WRITE, "has taken nothing for 0.2 seconds");
    /* the element neither waits once more at its end nor posts the error again */
    gst_harness_push_event (f.h, gst_event_new_eos ());
    gst_element_set_state (f.element, GST_STATE_NULL);
    g_assert_null (pop_error (&f));
    close (reader);
    teardown (&f);
  }
}

/* The very buffer comes out, in whatever memory, even where it cannot be written to. */
static void
test_passthrough (void)
{
  Fixture f;
  GstBuffer *in = gst_buffer_new (), *out;

  setup (&f, "json-lines", "out.jsonl");
  begin (&f);
  gst_harness_set_src_caps_str (f.h, "video/x-raw(memory:CUDAMemory), format=NV12, width=64, "
      "height=64, framerate=25/1");
  gst_buffer_ref (in);
  out = gst_harness_push_and_pull (f.h, in);
  g_assert_true (in == out);
  gst_buffer_unref (in);
  gst_buffer_unref (out);
  teardown (&f);
}

static void
test_states (void)
{
  static const gchar *formats[] = { "json-lines", "coco", "yolo" };
  const YoloMetaObject one = object (20, 1, "cat", -1);
  Fixture f;
  gint i;

  setup (&f, "json-lines", "out");
  for (i = 0; i < 100; i++) {
    g_autofree gchar *name = g_strdup_printf ("out-%d", i), *path = NULL;

    path = g_build_filename (f.folder, name, NULL);
    gst_util_set_object_arg (G_OBJECT (f.element), "format", formats[i % 3]);
    g_object_set (f.element, "location", path, NULL);
    begin (&f);
    g_assert_cmpint (push (&f, &one, 1), ==, GST_FLOW_OK);
    gst_element_set_state (f.element, i % 2 ? GST_STATE_READY : GST_STATE_NULL);
  }
  g_assert_null (pop_error (&f));
  teardown (&f);
}

static gpointer
change_properties (gpointer data)
{
  Fixture *f = data;
  gint i;

  for (i = 0; i < 2000; i++)
    g_object_set (f->element, "source", i % 2 ? "a" : NULL, "stream", i % 3 ? "b" : NULL,
        "add-empty-results", i % 5 > 0, "first-image-id", (gint64) i, NULL);
  return NULL;
}

static void
test_threads (void)
{
  const YoloMetaObject one = object (20, 1, "cat", -1);
  Fixture f;
  GThread *thread;
  gint i;

  setup (&f, "json-lines", "out");
  begin (&f);
  thread = g_thread_new ("properties", change_properties, &f);
  for (i = 0; i < 300; i++)
    g_assert_cmpint (push (&f, &one, i % 2), ==, GST_FLOW_OK);
  g_thread_join (thread);
  teardown (&f);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/export/json-lines", test_json_lines);
  g_test_add_func ("/export/foreign", test_foreign);
  g_test_add_func ("/export/batch", test_batch);
  g_test_add_func ("/export/changes", test_changes);
  g_test_add_func ("/export/coco", test_coco);
  g_test_add_func ("/export/mot", test_mot);
  g_test_add_func ("/export/controls", test_controls);
  g_test_add_func ("/export/clipped", test_clipped);
  g_test_add_func ("/export/categories", test_categories);
  g_test_add_func ("/export/labels", test_labels);
  g_test_add_func ("/export/labels-whole", test_labels_whole);
  g_test_add_func ("/export/labels-full", test_labels_full);
  g_test_add_func ("/export/two", test_two);
  g_test_add_func ("/export/other-process", test_other_process);
  g_test_add_func ("/export/unknown-confidence", test_unknown_confidence);
  g_test_add_func ("/export/lost", test_lost);
  g_test_add_func ("/export/patterns", test_patterns);
  g_test_add_func ("/export/not-writable", test_not_writable);
  g_test_add_func ("/export/disk-full", test_disk_full);
  g_test_add_func ("/export/file-too-large", test_file_too_large);
  g_test_add_func ("/export/removed", test_removed);
  g_test_add_func ("/export/stdout", test_stdout);
  g_test_add_func ("/export/broken-pipe", test_broken_pipe);
  g_test_add_func ("/export/stalled-pipe", test_stalled_pipe);
  g_test_add_func ("/export/write-timeout", test_write_timeout);
  g_test_add_func ("/export/passthrough", test_passthrough);
  g_test_add_func ("/export/states", test_states);
  g_test_add_func ("/export/threads", test_threads);
  return g_test_run ();
}
