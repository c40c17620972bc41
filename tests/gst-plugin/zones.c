/* SPDX-License-Identifier: MIT */
/* yolozones as an element: what it attaches, posts, counts and writes, and what yolooverlay and
 * yoloexport make of it. The rules of counting are tested in postprocess/zones.c. */

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolozonesheat.h"
#include "gst-plugin/yolozonesmeta.h"
#include "gst-plugin/yolozonesstream.h"

#include <cairo.h>
#include <glib/gstdio.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#define WIDTH 320
#define HEIGHT 240
#define FRAME (GST_SECOND / 25)

/* A line in the middle row, forward down; and the right half of the frame. */
#define CONFIG \
  "{ \"lines\": [ { \"name\": \"gate\", \"points\": [[0.1, 0.5], [0.9, 0.5]]," \
  "               \"directions\": [\"in\", \"out\"] } ]," \
  "  \"zones\": [ { \"name\": \"right\", \"points\": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]] } ] }"

static GstVideoInfo video;

typedef struct {
  GstHarness *harness;
  GstElement *element;          /* the yolozones in it; owned */
  GstBus *bus;
  guint frame;
} Fixture;

/* @properties: of yolozones beside its configuration, and what follows it in the pipeline. */
static Fixture
start (const gchar *config, const gchar *properties)
{
  g_autofree gchar *escaped = g_strescape (config, NULL);
  g_autofree gchar *pipeline =
      g_strdup_printf ("yolozones config-text=\"%s\" %s", escaped, properties);
  Fixture f = { .harness = gst_harness_new_parse (pipeline), .bus = gst_bus_new () };
  GstCaps *caps = gst_caps_from_string (
      "video/x-raw, format=RGB, width=320, height=240, framerate=25/1");

  g_assert_true (gst_video_info_from_caps (&video, caps));
  f.element = gst_harness_find_element (f.harness, "yolozones");
  gst_element_set_bus (f.harness->element, f.bus);
  if (f.harness->element != f.element)
    gst_element_set_bus (f.element, f.bus);
  gst_harness_set_src_caps (f.harness, caps);
  return f;
}

static void
stop (Fixture *f)
{
  gst_element_set_bus (f->element, NULL);
  gst_element_set_bus (f->harness->element, NULL);
  gst_object_unref (f->element);
  gst_object_unref (f->bus);
  gst_harness_teardown (f->harness);
}

/* An object 12 x 27 that stands at x, y; its size is 18 pixels. */
static YoloMetaObject
object (gint id, const gchar *label, gdouble x, gdouble y)
{
  return (YoloMetaObject) { .x = (gfloat) x - 6, .y = (gfloat) y - 27, .w = 12, .h = 27,
    .confidence = .9f, .label_id = label[0], .label = g_quark_from_string (label),
    .object_id = id };
}

/* Time from 0 on. */
static void
push_segment (Fixture *f)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (f->harness, gst_event_new_segment (&segment));
}

/* Pushes a frame with objects and pulls it. */
static GstBuffer *
push (Fixture *f, const YoloMetaObject *objects, guint n)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (&video));

  gst_buffer_memset (buffer, 0, 0x80, GST_VIDEO_INFO_SIZE (&video));
  GST_BUFFER_PTS (buffer) = f->frame++ * FRAME;
  yolo_meta_add (buffer, &video, objects, n, 0);
  return gst_harness_push_and_pull (f->harness, buffer);
}

/* One object walks from row to row, at column x. */
static void
walk (Fixture *f, gint id, const gchar *label, gdouble x, gdouble from, gdouble to)
{
  for (guint i = 0; i <= 25; i++) {
    const YoloMetaObject walker = object (id, label, x, from + (to - from) * i / 25);

    gst_buffer_unref (push (f, &walker, 1));
  }
}

/* (transfer full): line or zone number @i of the first stream, out of the property. */
static GstStructure *
stats_of (Fixture *f, const gchar *kind, guint stream, guint i)
{
  g_autoptr (GstStructure) stats = NULL;
  const GstStructure *found;

  g_object_get (f->element, "stats", &stats, NULL);
  found = yolo_zones_meta_element (stats, "streams", stream);
  g_assert_nonnull (found);
  found = yolo_zones_meta_element (found, kind, i);
  g_assert_nonnull (found);
  return gst_structure_copy (found);
}

static void
assert_crossings (Fixture *f, guint stream, guint line, guint forward, guint backward)
{
  g_autoptr (GstStructure) stats = stats_of (f, "lines", stream, line);

  g_assert_cmpfloat (yolo_zones_meta_number (stats, "forward", -1), ==, forward);
  g_assert_cmpfloat (yolo_zones_meta_number (stats, "backward", -1), ==, backward);
}

/* What is on a buffer, in a message and in the property when an object crosses the line. */
static void
test_cross (void)
{
  Fixture f = start (CONFIG, "name=z");
  const GstStructure *zones, *line, *event = NULL, *class, *said;
  g_autoptr (GstStructure) stats = NULL;
  g_autoptr (GstMessage) message = NULL;
  guint64 timestamp, since;
  gpointer state;

  for (guint i = 0; i <= 25 && event == NULL; i++) {
    const YoloMetaObject walker = object (7, "person", 100, 100 + 2 * i);
    GstBuffer *buffer = push (&f, &walker, 1);

    state = NULL;
    zones = yolo_zones_meta_next (buffer, &state);
    g_assert_nonnull (zones);
    g_assert_cmpstr (gst_structure_get_string (zones, "element"), ==, "z");
    g_assert_false (gst_structure_has_field (zones, "batch-id"));
    line = yolo_zones_meta_element (zones, "lines", 0);
    g_assert_cmpstr (gst_structure_get_string (line, "name"), ==, "gate");
    g_assert_cmpfloat (yolo_zones_meta_number (line, "y2", 0), ==, .5);
    event = yolo_zones_meta_element (zones, "events", 0);
    g_assert_cmpfloat (yolo_zones_meta_number (line, "forward", -1), ==, event != NULL);
    if (event != NULL) {
      g_assert_null (yolo_zones_meta_element (zones, "events", 1));
      g_assert_cmpstr (gst_structure_get_string (event, "event"), ==, "cross");
      g_assert_cmpstr (gst_structure_get_string (event, "line"), ==, "gate");
      g_assert_cmpstr (gst_structure_get_string (event, "direction"), ==, "in");
      g_assert_cmpstr (gst_structure_get_string (event, "label"), ==, "person");
      g_assert_cmpfloat (yolo_zones_meta_number (event, "label-id", -1), ==, 'p');
      g_assert_cmpfloat (yolo_zones_meta_number (event, "id", -1), ==, 7);
      /* 1.8 pixels beyond the line in the 12th frame, and for a quarter of a second */
      g_assert_true (gst_structure_get_uint64 (event, "timestamp", &timestamp));
      g_assert_true (gst_structure_get_uint64 (event, "since", &since));
      g_assert_cmpuint (timestamp, ==, i * FRAME);
      g_assert_cmpuint (since, ==, 11 * FRAME);
      g_assert_cmpuint (i, ==, 18);
    }
    gst_buffer_unref (buffer);
  }
  g_assert_nonnull (event);
  message = gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT);
  g_assert_nonnull (message);
  said = gst_message_get_structure (message);
  g_assert_true (gst_structure_has_name (said, "yolozones"));
  g_assert_cmpstr (gst_structure_get_string (said, "direction"), ==, "in");
  g_assert_null (gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT));
  stats = stats_of (&f, "lines", 0, 0);
  class = yolo_zones_meta_element (stats, "classes", 0);
  g_assert_cmpstr (gst_structure_get_string (class, "label"), ==, "person");
  g_assert_cmpfloat (yolo_zones_meta_number (class, "forward", -1), ==, 1);
  g_assert_null (yolo_zones_meta_element (stats, "classes", 1));
  walk (&f, 7, "person", 100, 140, 100);
  gst_message_unref (message);
  message = gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT);
  g_assert_nonnull (message);
  g_assert_cmpstr (
      gst_structure_get_string (gst_message_get_structure (message), "direction"), ==, "out");
  stop (&f);
}

/* What is told of objects that are lost has the speed that they had. */
static void
assert_lost_speed (Fixture *f)
{
  guint n = 0;

  for (guint i = 0; i < 60; i++) {
    GstBuffer *buffer = push (f, NULL, 0);
    gpointer state = NULL;
    const GstStructure *zones = yolo_zones_meta_next (buffer, &state), *event;

    for (guint k = 0; (event = yolo_zones_meta_element (zones, "events", k)) != NULL; k++) {
      g_assert_cmpstr (gst_structure_get_string (event, "event"), ==, "vanish");
      g_assert_cmpfloat_with_epsilon (yolo_zones_meta_number (event, "speed", -1),
          yolo_zones_meta_number (event, "id", -1) == 1 ? 2 : 0, .2);
      n++;
    }
    gst_buffer_unref (buffer);
  }
  g_assert_cmpuint (n, ==, 3);
}

/* Who is where, for how long and how fast. */
static void
test_objects (void)
{
  Fixture f = start (
      "{ \"frame\": [640, 480], \"zones\": ["
      "    { \"name\": \"right\", \"points\": [[320, 0], [640, 0], [640, 480], [320, 480]] },"
      "    { \"name\": \"all\", \"points\": [[0, 0], [640, 0], [640, 480], [0, 480]] } ],"
      "  \"ground\": { \"points\": [[0, 0], [640, 0], [640, 480], [0, 480]],"
      "              \"metres\": [[0, 0], [32, 0], [32, 24], [0, 24]] } }", "");

  for (guint i = 0; i <= 75; i++) {
    /* 20 pixels a second, which are 2 metres */
    const YoloMetaObject walkers[2] = { object (1, "person", 200 + .8 * i, 120),
      object (2, "person", 60, 120) };
    GstBuffer *buffer = push (&f, walkers, 2);
    gpointer state = NULL;
    const GstStructure *zones = yolo_zones_meta_next (buffer, &state), *first, *second;
    const GValue *names, *dwells;

    if (i == 75) {
      first = yolo_zones_meta_element (zones, "objects", 0);
      second = yolo_zones_meta_element (zones, "objects", 1);
      g_assert_nonnull (second);
      g_assert_null (yolo_zones_meta_element (zones, "objects", 2));
      g_assert_cmpfloat (yolo_zones_meta_number (first, "id", -1), ==, 1);
      g_assert_cmpfloat_with_epsilon (yolo_zones_meta_number (first, "speed", -1), 2, .2);
      g_assert_cmpfloat_with_epsilon (
          yolo_zones_meta_number (first, "vx", -1), 20. / WIDTH, 2. / WIDTH);
      g_assert_cmpfloat_with_epsilon (yolo_zones_meta_number (second, "speed", -1), 0, .1);
      names = gst_structure_get_value (first, "zones");
      g_assert_cmpuint (gst_value_array_get_size (names), ==, 2);
      g_assert_cmpstr (
          g_value_get_string (gst_value_array_get_value (names, 0)), ==, "right");
      dwells = gst_structure_get_value (first, "dwells");
      g_assert_cmpfloat_with_epsilon (
          g_value_get_double (gst_value_array_get_value (dwells, 1)), 3, 1e-9);
      names = gst_structure_get_value (second, "zones");
      g_assert_cmpuint (gst_value_array_get_size (names), ==, 1);
      first = yolo_zones_meta_element (zones, "zones", 1);
      g_assert_cmpfloat (yolo_zones_meta_number (first, "occupancy", -1), ==, 2);
      g_assert_cmpfloat_with_epsilon (
          yolo_zones_meta_number (first, "dwell-longest", -1), 3, 1e-9);
    }
    gst_buffer_unref (buffer);
  }
  assert_lost_speed (&f);
  stop (&f);
}

/* Lines and zones are attached where nothing was seen, and the pixels are not copied for it, even
 * if somebody else holds the buffer. */
static void
test_no_copy (void)
{
  Fixture f = start (CONFIG, "");
  GstBuffer *buffer = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (&video)), *out;
  GstMemory *memory = gst_buffer_peek_memory (buffer, 0);
  gpointer state = NULL;

  GST_BUFFER_PTS (buffer) = 0;
  out = gst_harness_push_and_pull (f.harness, gst_buffer_ref (buffer));
  g_assert_true (gst_buffer_peek_memory (out, 0) == memory);
  g_assert_nonnull (yolo_zones_meta_next (out, &state));
  state = NULL;
  g_assert_null (yolo_zones_meta_next (buffer, &state));
  gst_buffer_unref (buffer);
  gst_buffer_unref (out);
  stop (&f);
}

/* Each frame of a batch has objects and counts of its own. */
static void
test_batch (void)
{
  Fixture f = start (CONFIG, "");

  for (guint i = 0; i <= 50; i++) {
    YoloMetaObject walkers[2] = { object (1, "person", 100, 100 + i),
      object (1, "person", 100, 140 - i) };

    walkers[0].slot = 1;
    walkers[1].slot = 4;
    gst_buffer_unref (push (&f, walkers, 2));
  }
  assert_crossings (&f, 0, 0, 1, 0);
  assert_crossings (&f, 1, 0, 0, 0);
  assert_crossings (&f, 3, 0, 0, 1);
  /* another stream need not be a batch */
  gst_harness_push_event (f.harness, gst_event_new_stream_start ("one"));
  push_segment (&f);
  walk (&f, 9, "person", 100, 100, 160);
  assert_crossings (&f, 0, 0, 2, 0);
  stop (&f);
}

static void
free_stream (gpointer stream)
{
  yolo_zones_stream_free (stream);
}

/* Of more cameras than are remembered, the one that was not seen for longest goes. */
static void
test_many_streams (void)
{
  YoloZonesLayout *layout = yolo_zones_layout_parse (CONFIG, "test", NULL);
  GPtrArray *streams = g_ptr_array_new_with_free_func (free_stream);
  YoloZonesStream *first, *last;

  g_assert_nonnull (layout);
  first = yolo_zones_stream_get (streams, 3, layout, 70, 1);
  yolo_zones_stream_get (streams, 3, layout, 71, 1);
  yolo_zones_stream_get (streams, 3, layout, 72, 2);
  g_assert_true (yolo_zones_stream_get (streams, 3, layout, 70, 3) == first);
  last = yolo_zones_stream_get (streams, 3, layout, 73, 4);
  g_assert_nonnull (last);
  g_assert_cmpuint (yolo_zones_stream_source (last), ==, 73);
  g_assert_cmpuint (streams->len, ==, 3);
  g_assert_true (g_ptr_array_find (streams, first, NULL));
  for (guint i = 0; i < streams->len; i++)
    g_assert_cmpuint (
        yolo_zones_stream_source (g_ptr_array_index (streams, i)), !=, 71);
  g_ptr_array_unref (streams);
  yolo_zones_layout_unref (layout);
}

/* What yolotrack says it has not seen crosses nothing. */
static void
test_predicted (void)
{
  Fixture f = start (CONFIG, "");

  for (guint i = 0; i <= 50; i++) {
    YoloMetaObject walkers[2] = { object (1, "person", 100, 100 + i),
      object (2, "person", 200, 100 + i) };

    if (i > 10)
      walkers[1].state = i % 2 ? YOLO_META_PREDICTED : YOLO_META_LOST;
    gst_buffer_unref (push (&f, walkers, 2));
  }
  assert_crossings (&f, 0, 0, 1, 0);
  stop (&f);
}

static void
test_reset (void)
{
  Fixture f = start (CONFIG, "post-messages=false");

  walk (&f, 1, "person", 200, 100, 160);
  assert_crossings (&f, 0, 0, 1, 0);
  g_assert_null (gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT));
  g_signal_emit_by_name (f.element, "reset");
  assert_crossings (&f, 0, 0, 0, 0);
  walk (&f, 1, "person", 200, 160, 100);
  assert_crossings (&f, 0, 0, 0, 1);
  stop (&f);
}

/* A seek, and another stream: what comes is not what was there before. Frames without a time
 * follow each other by the rate of the caps. */
static void
test_time (void)
{
  Fixture f = start (CONFIG, "");
  const YoloMetaObject above = object (1, "person", 100, 60);
  const YoloMetaObject below = object (1, "person", 100, 200);
  g_autoptr (GstStructure) stats = NULL;

  gst_buffer_unref (push (&f, &above, 1));
  gst_buffer_unref (push (&f, &below, 1));
  assert_crossings (&f, 0, 0, 1, 0);
  gst_harness_push_event (f.harness, gst_event_new_flush_start ());
  gst_harness_push_event (f.harness, gst_event_new_flush_stop (FALSE));
  push_segment (&f);
  gst_buffer_unref (push (&f, &above, 1));
  assert_crossings (&f, 0, 0, 1, 0);
  gst_harness_push_event (f.harness, gst_event_new_stream_start ("another"));
  gst_buffer_unref (push (&f, &below, 1));
  assert_crossings (&f, 0, 0, 1, 0);

  for (guint i = 0; i < 26; i++) {
    const YoloMetaObject inside = object (3, "person", 240, 60);
    GstBuffer *buffer = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (&video));

    yolo_meta_add (buffer, &video, &inside, 1, 0);
    gst_buffer_unref (gst_harness_push_and_pull (f.harness, buffer));
  }
  stats = stats_of (&f, "zones", 0, 0);
  g_assert_cmpfloat_with_epsilon (
      yolo_zones_meta_number (stats, "dwell-longest", -1), 1, 1e-6);
  stop (&f);
}

/* The video becomes twice as large, with the object and the line. */
static void
test_size (void)
{
  Fixture f = start (CONFIG, "");
  GstCaps *caps = gst_caps_from_string (
      "video/x-raw, format=RGB, width=640, height=480, framerate=25/1");

  walk (&f, 1, "person", 100, 80, 110);
  g_assert_true (gst_video_info_from_caps (&video, caps));
  gst_harness_set_src_caps (f.harness, caps);
  for (guint i = 0; i <= 25; i++) {
    YoloMetaObject walker = object (1, "person", 200, 220 + i);

    gst_buffer_unref (push (&f, &walker, 1));
    if (i < 20)
      assert_crossings (&f, 0, 0, 0, 0);
  }
  walk (&f, 1, "person", 200, 245, 300);
  assert_crossings (&f, 0, 0, 1, 0);
  stop (&f);
}

static gboolean
said (GstBus *bus, GstMessageType type, const gchar *text)
{
  g_autoptr (GstMessage) message = gst_bus_pop_filtered (bus, type);
  g_autoptr (GError) error = NULL;

  if (message == NULL)
    return FALSE;
  if (type == GST_MESSAGE_WARNING)
    gst_message_parse_warning (message, &error, NULL);
  else
    gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  return strstr (error->message, text) != NULL;
}

/* Another text while it runs: lines that stay keep their counts; one that is wrong is a warning
 * and changes nothing. */
static void
test_change (void)
{
  Fixture f = start (CONFIG, "");
  g_autofree gchar *text = NULL;

  walk (&f, 1, "person", 100, 100, 160);
  g_object_set (f.element, "config-text", "{ \"lines\": 3 }", NULL);
  g_assert_true (said (f.bus, GST_MESSAGE_WARNING, "config-text: lines: must be an array"));
  g_object_set (f.element, "config", "/nowhere/gate.json", NULL);
  g_assert_true (said (f.bus, GST_MESSAGE_WARNING, "/nowhere/gate.json"));
  g_object_get (f.element, "config-text", &text, NULL);
  g_assert_cmpstr (text, ==, CONFIG);
  walk (&f, 1, "person", 100, 160, 100);
  assert_crossings (&f, 0, 0, 1, 1);
  g_object_set (f.element, "config-text",
      "{ \"lines\": [ { \"name\": \"new\", \"points\": [[0.1, 0.9], [0.9, 0.9]] },"
      " { \"name\": \"gate\", \"points\": [[0.1, 0.5], [0.9, 0.5]], \"classes\": [\"car\"] } ] }",
      NULL);
  walk (&f, 1, "person", 100, 100, 160);
  assert_crossings (&f, 0, 0, 0, 0);
  assert_crossings (&f, 0, 1, 1, 1);
  walk (&f, 2, "car", 200, 100, 235);
  assert_crossings (&f, 0, 0, 1, 0);
  assert_crossings (&f, 0, 1, 2, 1);
  stop (&f);
}

/* Without a configuration, or with a wrong one, the element does not start, and says why. */
static void
test_no_start (void)
{
  static const gchar *const bad[][2] = { { NULL, "config is not set" },
    { "{ \"zones\": [ { \"points\": [] } ] }", "zones[0] \"zone 1\".points: must have 3" } };

  for (guint i = 0; i < 2; i++) {
    g_autoptr (GstElement) element = gst_element_factory_make ("yolozones", NULL);
    g_autoptr (GstBus) bus = gst_bus_new ();

    gst_object_ref_sink (element);
    gst_element_set_bus (element, bus);
    g_object_set (element, "config-text", bad[i][0], NULL);
    g_assert_cmpint (
        gst_element_set_state (element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
    g_assert_true (said (bus, GST_MESSAGE_ERROR, bad[i][1]));
    gst_element_set_state (element, GST_STATE_NULL);
    gst_element_set_bus (element, NULL);
  }
}

/* The heat map as a picture and as numbers, at the end of the stream. */
static void
test_heat (void)
{
  g_autofree gchar *folder = g_dir_make_tmp ("yolo-zones-XXXXXX", NULL);
  g_autofree gchar *picture = g_build_filename (folder, "heat.png", NULL);
  g_autofree gchar *numbers = g_build_filename (folder, "heat.csv", NULL);
  g_autofree gchar *numbers_of_batch = g_build_filename (folder, "heat-2.csv", NULL);
  g_autofree gchar *text = NULL;
  Fixture f = start ("{ \"heat\": { \"columns\": 4, \"rows\": 3 } }", "");
  YoloMetaObject other = object (2, "person", 40, 40);
  cairo_surface_t *png;
  const guint8 *hot, *cold;

  g_object_set (f.element, "heat-picture", picture, "heat-numbers", numbers, "heat-interval", 1,
      NULL);
  for (guint i = 0; i <= 50; i++) {
    const YoloMetaObject standing = object (1, "person", 200, 200);

    gst_buffer_unref (push (&f, &standing, 1));
    /* what the first second brought is written, so that what the last frame begins to write is all
     * that the end waits for */
    while (i == 40 && !g_file_test (numbers, G_FILE_TEST_EXISTS))
      g_usleep (1000);
  }
  gst_harness_push_event (f.harness, gst_event_new_eos ());
  g_assert_true (g_file_get_contents (numbers, &text, NULL, NULL));
  g_assert_cmpstr (text, ==,
      "0.000,0.000,0.000,0.000\n0.000,0.000,0.000,0.000\n0.000,0.000,2.000,0.000\n");
  png = cairo_image_surface_create_from_png (picture);
  g_assert_cmpint (cairo_surface_status (png), ==, CAIRO_STATUS_SUCCESS);
  g_assert_cmpint (cairo_image_surface_get_width (png), ==, WIDTH);
  g_assert_cmpint (cairo_image_surface_get_height (png), ==, HEIGHT);
  hot = cairo_image_surface_get_data (png) + 200 * cairo_image_surface_get_stride (png) + 4 * 200;
  cold = cairo_image_surface_get_data (png) + 30 * cairo_image_surface_get_stride (png) + 4 * 30;
  g_assert_cmphex (*(const guint32 *) hot, ==, 0xcccc0000);
  g_assert_cmphex (*(const guint32 *) cold, ==, 0);
  cairo_surface_destroy (png);
  /* each camera of a batch has files of its own */
  g_object_set (f.element, "heat-numbers", NULL, NULL);
  other.slot = 3;
  gst_harness_push_event (f.harness, gst_event_new_stream_start ("batch"));
  push_segment (&f);
  gst_buffer_unref (push (&f, &other, 1));
  gst_harness_push_event (f.harness, gst_event_new_eos ());
  for (guint i = 0; i < 3; i++) {
    g_autofree gchar *name = g_strdup_printf ("heat-%u.png", i);
    g_autofree gchar *path = g_build_filename (folder, name, NULL);

    g_assert_cmpint (g_remove (path), ==, 0);
  }
  /* a folder that is not there is a warning */
  g_object_set (
      f.element, "heat-picture", "/nowhere/heat.png", "heat-numbers", numbers, NULL);
  gst_harness_push_event (f.harness, gst_event_new_stream_start ("again"));
  push_segment (&f);
  gst_buffer_unref (push (&f, &other, 1));
  gst_harness_push_event (f.harness, gst_event_new_eos ());
  g_assert_true (said (f.bus, GST_MESSAGE_WARNING, "/nowhere/heat-0.png"));
  /* and keeps nothing else from being written */
  g_assert_true (g_file_test (numbers_of_batch, G_FILE_TEST_EXISTS));
  stop (&f);
  for (guint i = 0; i < 3; i++) {
    g_autofree gchar *name = g_strdup_printf ("heat-%u.csv", i);
    g_autofree gchar *path = g_build_filename (folder, name, NULL);

    g_remove (path);
  }
  g_remove (picture);
  g_remove (numbers);
  g_assert_cmpint (g_remove (folder), ==, 0);
}

/* Something parked does not hide what else there was. */
static void
test_heat_colors (void)
{
  g_autofree gchar *folder = g_dir_make_tmp ("yolo-zones-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "heat.png", NULL);
  cairo_surface_t *png;
  YoloHeat heat;

  g_assert_true (yolo_heat_init (&heat, 10, 10));
  for (guint i = 0; i < 90; i++)
    heat.seconds[i] = 1;
  heat.seconds[3] = 1000;
  g_assert_true (yolo_zones_heat_png (&heat, 10, 10, path, NULL));
  png = cairo_image_surface_create_from_png (path);
  g_assert_cmphex (*(const guint32 *) cairo_image_surface_get_data (png), ==, 0xcccc0000);
  cairo_surface_destroy (png);
  yolo_heat_clear (&heat);
  g_remove (path);
  g_remove (folder);
}

/* -- behind it -- */

/* Who is in a zone when the stream ends has not gone, but the visit is over: that is told once, on
 * the bus and in the file, though no buffer follows. */
static void
test_end_of_stream (void)
{
  g_autofree gchar *folder = g_dir_make_tmp ("yolo-zones-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "events.jsonl", NULL);
  g_autofree gchar *pipeline = g_strdup_printf (
      "! yoloexport format=events location=%s ! identity", path);
  Fixture f = start (CONFIG, pipeline);
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GstStructure) zone = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  GstMessage *message;
  JsonObject *event;
  guint n_vanished = 0, occupancy = 9;
  guint64 n = 0;

  /* at the edge of the frame, where one who is lost would have walked out */
  walk (&f, 5, "person", 318, 60, 100);
  walk (&f, 6, "person", 20, 60, 100);  /* in no zone */
  walk (&f, 5, "person", 318, 100, 100);
  gst_harness_push_event (f.harness, gst_event_new_eos ());
  gst_harness_push_event (f.harness, gst_event_new_eos ());
  while ((message = gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT)) != NULL) {
    const GstStructure *s = gst_message_get_structure (message);

    if (g_strcmp0 (gst_structure_get_string (s, "event"), "vanish") == 0) {
      n_vanished++;
      g_assert_cmpstr (gst_structure_get_string (s, "reason"), ==, "end-of-stream");
    } else {
      g_assert_false (gst_structure_has_field (s, "reason"));
    }
    gst_message_unref (message);
  }
  g_assert_cmpuint (n_vanished, ==, 1);
  zone = stats_of (&f, "zones", 0, 0);
  g_assert_true (gst_structure_get (zone, "occupancy", G_TYPE_UINT, &occupancy, "vanished",
      G_TYPE_UINT64, &n, NULL));
  g_assert_cmpuint (occupancy, ==, 0);
  g_assert_cmpuint (n, ==, 1);
  g_assert_true (gst_structure_get_uint64 (zone, "exits", &n));
  g_assert_cmpuint (n, ==, 0);
  stop (&f);

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 3);
  g_assert_true (json_parser_load_from_data (parser, lines[1], -1, NULL));
  event = json_node_get_object (json_parser_get_root (parser));
  g_assert_cmpstr (json_object_get_string_member (event, "event"), ==, "vanish");
  g_assert_cmpstr (json_object_get_string_member (event, "reason"), ==, "end-of-stream");
  g_assert_cmpstr (json_object_get_string_member (event, "zone"), ==, "right");
  g_assert_cmpint (json_object_get_int_member (event, "id"), ==, 5);
  g_assert_cmpint (json_object_get_int_member (event, "frame"), ==, 77);
  g_assert_cmpint (json_object_get_int_member (event, "timestamp"), ==, 77 * (gint64) FRAME);
  g_assert_cmpint (json_object_get_int_member (event, "since"), ==, 77 * (gint64) FRAME);
  g_assert_cmpfloat_with_epsilon (json_object_get_double_member (event, "dwell"), 77 / 25., 1e-6);
  g_remove (path);
  g_remove (folder);
}

/* Every event is a line of JSON, and nothing else is written. */
static void
test_export (void)
{
  g_autofree gchar *folder = g_dir_make_tmp ("yolo-zones-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "events.jsonl", NULL);
  g_autofree gchar *pipeline =
      g_strdup_printf ("! yoloexport format=events source=gate.mp4 location=%s", path);
  Fixture f = start (CONFIG, pipeline);
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *event;

  walk (&f, 5, "person", 200, 100, 160);
  stop (&f);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 3);
  g_assert_true (json_parser_load_from_data (parser, lines[0], -1, NULL));
  event = json_node_get_object (json_parser_get_root (parser));
  g_assert_cmpstr (json_object_get_string_member (event, "event"), ==, "appear");
  g_assert_cmpstr (json_object_get_string_member (event, "zone"), ==, "right");
  g_assert_cmpint (json_object_get_int_member (event, "frame"), ==, 0);
  g_assert_cmpint (json_object_get_int_member (event, "occupancy"), ==, 1);
  g_assert_true (json_parser_load_from_data (parser, lines[1], -1, NULL));
  event = json_node_get_object (json_parser_get_root (parser));
  g_assert_cmpstr (json_object_get_string_member (event, "source"), ==, "gate.mp4");
  g_assert_cmpstr (json_object_get_string_member (event, "event"), ==, "cross");
  g_assert_cmpstr (json_object_get_string_member (event, "line"), ==, "gate");
  g_assert_cmpstr (json_object_get_string_member (event, "direction"), ==, "in");
  g_assert_cmpint (json_object_get_int_member (event, "id"), ==, 5);
  g_assert_cmpint (json_object_get_int_member (event, "label_id"), ==, 'p');
  g_assert_cmpint (json_object_get_int_member (event, "forward"), ==, 1);
  g_assert_cmpint (json_object_get_int_member (event, "timestamp"), ==,
      json_object_get_int_member (event, "frame") * (gint64) FRAME);
  g_remove (path);
  g_remove (folder);
}

static const guint8 *
pixel (const GstMapInfo *map, gint x, gint y)
{
  return map->data + y * GST_VIDEO_INFO_PLANE_STRIDE (&video, 0) + 3 * x;
}

/* The line, its arrow to side b, the zone and both labels are drawn, without any object. */
static void
test_draw (void)
{
  for (gint shown = 0; shown <= 1; shown++) {
    g_autofree gchar *pipeline =
        g_strdup_printf ("! yolooverlay line-width=2 show-zones=%d", shown);
    Fixture f = start (CONFIG, pipeline);
    GstBuffer *buffer = push (&f, NULL, 0);
    guint yellow = 0, blue = 0, below = 0, dark = 0;
    GstMapInfo map;

    g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
    for (gint y = 0; y < HEIGHT; y++)
      for (gint x = 0; x < WIDTH; x++) {
        const guint8 *p = pixel (&map, x, y);
        const gboolean is_yellow = p[0] > 200 && p[1] > 180 && p[2] < 60;

        yellow += is_yellow && y >= 119 && y <= 120 && x >= 40 && x < 150;
        blue += p[0] < 100 && p[1] > 180 && p[2] > 200 && (x == 159 || x == 160) && y > 140;
        below += is_yellow && x >= 158 && x <= 161 && y > 121 && y < 140;
        dark += p[0] < 60 && p[1] < 60 && p[2] < 60;
        if (shown == 0)
          g_assert_cmpuint (p[0] + p[1] + p[2], ==, 3 * 0x80);
      }
    gst_buffer_unmap (buffer, &map);
    gst_buffer_unref (buffer);
    stop (&f);
    if (shown == 0)
      continue;
    g_assert_cmpuint (yellow, >=, 200);
    g_assert_cmpuint (blue, >, 100);
    g_assert_cmpuint (below, >, 20);
    /* the letters of the labels */
    g_assert_cmpuint (dark, >, 60);
  }
}

/* A zone in which somebody loiters is red. */
static void
test_draw_alarm (void)
{
  Fixture f = start ("{ \"zones\": [ { \"loiter\": 1,"
      " \"points\": [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]] } ] }",
      "! yolooverlay line-width=2 show-labels=false");

  for (guint i = 0; i <= 25; i++) {
    const YoloMetaObject standing = object (1, "person", 240, 180);
    GstBuffer *buffer = push (&f, &standing, 1);
    const guint8 *p;
    GstMapInfo map;

    g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
    p = pixel (&map, 160, 200);
    g_assert_true (i < 25 ? p[0] < 100 && p[2] > 200 : p[0] > 200 && p[2] < 100);
    gst_buffer_unmap (buffer, &map);
    gst_buffer_unref (buffer);
  }
  stop (&f);
}

/* Fields that another element has made of another type, or left out, break nothing. */
static void
test_draw_nonsense (void)
{
  GstHarness *h = gst_harness_new ("yolooverlay");

  gst_harness_set_src_caps (h, gst_caps_from_string (
          "video/x-raw, format=RGB, width=320, height=240, framerate=25/1"));
  for (guint i = 1; i < 4; i++) {
    GstBuffer *buffer = gst_buffer_new_and_alloc (320 * 240 * 3);
    GstStructure *structure = yolo_zones_meta_add (buffer);
    GValue zones = G_VALUE_INIT, zone = G_VALUE_INIT, points = G_VALUE_INIT, point = G_VALUE_INIT;

    if (i == 1) {
      gst_structure_set (structure, "lines", G_TYPE_INT, 3, "zones", G_TYPE_STRING, "abc", NULL);
    } else {
      g_value_init (&points, GST_TYPE_ARRAY);
      for (guint k = 0; k < 3 + 3 * (i - 2); k++) {
        g_value_init (&point, i == 2 ? G_TYPE_STRING : G_TYPE_DOUBLE);
        if (i == 3)
          g_value_set_double (&point, k == 2 ? NAN : 1e300);
        gst_value_array_append_and_take_value (&points, &point);
      }
      g_value_init (&zone, GST_TYPE_STRUCTURE);
      g_value_take_boxed (&zone, gst_structure_new_empty ("zone"));
      gst_structure_take_value (
          (GstStructure *) gst_value_get_structure (&zone), "points", &points);
      g_value_init (&zones, GST_TYPE_ARRAY);
      gst_value_array_append_and_take_value (&zones, &zone);
      gst_structure_take_value (structure, "zones", &zones);
    }
    gst_buffer_unref (gst_harness_push_and_pull (h, buffer));
  }
  gst_harness_teardown (h);
}

/* A line that another element has put where no frame is draws nothing. */
static void
test_draw_far (void)
{
  GstHarness *h = gst_harness_new ("yolooverlay");

  gst_harness_set_src_caps (h, gst_caps_from_string (
          "video/x-raw, format=RGB, width=320, height=240, framerate=25/1"));
  for (guint i = 0; i < 2; i++) {
    GstBuffer *buffer = gst_buffer_new_and_alloc (320 * 240 * 3);
    GValue lines = G_VALUE_INIT, line = G_VALUE_INIT;
    gboolean drawn = FALSE;
    GstMapInfo map;

    gst_buffer_memset (buffer, 0, 0x80, 320 * 240 * 3);
    g_value_init (&line, GST_TYPE_STRUCTURE);
    g_value_take_boxed (&line, gst_structure_new ("line", "x1", G_TYPE_DOUBLE, .1, "y1",
            G_TYPE_DOUBLE, .5, "x2", G_TYPE_DOUBLE, i == 0 ? .9 : 1e30, "y2", G_TYPE_DOUBLE, .5,
            NULL));
    g_value_init (&lines, GST_TYPE_ARRAY);
    gst_value_array_append_and_take_value (&lines, &line);
    gst_structure_take_value (yolo_zones_meta_add (buffer), "lines", &lines);
    buffer = gst_harness_push_and_pull (h, buffer);
    g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
    for (gsize k = 0; k < map.size; k++)
      drawn |= map.data[k] != 0x80;
    gst_buffer_unmap (buffer, &map);
    gst_buffer_unref (buffer);
    g_assert_cmpint (drawn, ==, i == 0);
  }
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/zones/cross", test_cross);
  g_test_add_func ("/zones/objects", test_objects);
  g_test_add_func ("/zones/no-copy", test_no_copy);
  g_test_add_func ("/zones/batch", test_batch);
  g_test_add_func ("/zones/many-streams", test_many_streams);
  g_test_add_func ("/zones/predicted", test_predicted);
  g_test_add_func ("/zones/reset", test_reset);
  g_test_add_func ("/zones/time", test_time);
  g_test_add_func ("/zones/size", test_size);
  g_test_add_func ("/zones/change", test_change);
  g_test_add_func ("/zones/no-start", test_no_start);
  g_test_add_func ("/zones/heat", test_heat);
  g_test_add_func ("/zones/heat-colors", test_heat_colors);
  g_test_add_func ("/zones/end-of-stream", test_end_of_stream);
  g_test_add_func ("/zones/export", test_export);
  g_test_add_func ("/zones/draw", test_draw);
  g_test_add_func ("/zones/draw-alarm", test_draw_alarm);
  g_test_add_func ("/zones/draw-nonsense", test_draw_nonsense);
  g_test_add_func ("/zones/draw-far", test_draw_far);
  return g_test_run ();
}
