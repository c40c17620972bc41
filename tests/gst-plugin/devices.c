/* SPDX-License-Identifier: MIT */
/* yoloinfer with several devices: each runs frames, which leave in order with the detections that
 * one device finds. With the argument `cuda`, on GPUs. */

#include "infer-common.h"

#include <string.h>

#define CAPS "video/x-raw,format=RGB,width=64,height=64,framerate=30/1"
#define FRAMES 24

/* The test's picture with a bar whose place and colour tell the frame. */
static GstBuffer *
make_frame (const GstVideoInfo *info, guint number)
{
  GstBuffer *buffer = gst_buffer_make_writable (make_picture (info));
  GstMapInfo map;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READWRITE));
  memset (map.data + number % 12 * 5 * info->stride[0], 10 * number, 5 * info->stride[0]);
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_PTS (buffer) = number * GST_SECOND / 30;
  return buffer;
}

/* Of a network in pieces, each names its device, and has run all frames. */
static void
check_stages (const GValue *stages, const gchar *device, guint64 frames)
{
  g_auto (GStrv) names = g_strsplit (device, "+", -1);
  guint first, n, end = 0;
  guint64 run, on;

  if (g_strv_length (names) == 1) {
    g_assert_null (stages);
    return;
  }
  g_assert_cmpuint (gst_value_array_get_size (stages), ==, g_strv_length (names));
  for (guint i = 0; i < g_strv_length (names); i++) {
    const GstStructure *s = gst_value_get_structure (gst_value_array_get_value (stages, i));

    g_assert_cmpstr (gst_structure_get_string (s, "device"), ==, names[i]);
    g_assert_true (gst_structure_get (s, "first-operation", G_TYPE_UINT, &first, "operations",
        G_TYPE_UINT, &n, "frames", G_TYPE_UINT64, &run, "bytes-on", G_TYPE_UINT64, &on, NULL));
    g_assert_true (gst_structure_has_field_typed (s, "frame-time", G_TYPE_UINT64));
    g_assert_true (gst_structure_has_field_typed (s, "pass-time", G_TYPE_UINT64));
    g_assert_cmpuint (first, ==, end);
    g_assert_cmpuint (run, ==, frames);
    g_assert_true ((on > 0) == (names[i + 1] != NULL && frames > 0));
    end = first + n;
  }
}

/* `stats` names the devices, which have run all frames. */
static void
check_stats (GstElement *element, const gchar *device)
{
  g_autoptr (GstStructure) stats = NULL;
  g_autoptr (GString) names = g_string_new (NULL);
  const GValue *replicas;
  guint64 sum = 0, frames;

  g_object_get (element, "stats", &stats, NULL);
  replicas = gst_structure_get_value (stats, "replicas");
  for (guint i = 0; i < gst_value_array_get_size (replicas); i++) {
    const GstStructure *s = gst_value_get_structure (gst_value_array_get_value (replicas, i));

    g_string_append_printf (
        names, "%s%s", i > 0 ? "," : "", gst_structure_get_string (s, "device"));
    g_assert_true (gst_structure_get_uint64 (s, "frames", &frames));
    sum += frames;
    check_stages (gst_structure_get_value (s, "stages"), gst_structure_get_string (s, "device"),
        frames);
  }
  g_assert_cmpstr (names->str, ==, device);
  g_assert_cmpuint (sum, ==, FRAMES);
}

/* What is found in each frame: [FRAMES] of arrays of YoloMetaObject. */
static GPtrArray *
run (const gchar *device)
{
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  GstHarness *h = infer_harness (infer_new ("device", device, "precision", "fp32", "threads", "1",
          "batch-size", "1", "max-in-flight", "6", "confidence-threshold", "0.05", NULL), CAPS);
  GstVideoInfo info;

  make_info (CAPS, &info);
  for (guint i = 0; i < FRAMES; i++)
    g_assert_cmpint (gst_harness_push (h, make_frame (&info, i)), ==, GST_FLOW_OK);
  g_assert_true (gst_harness_push_event (h, gst_event_new_eos ()));
  for (guint i = 0; i < FRAMES; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, i * GST_SECOND / 30);
    g_ptr_array_add (found, take_detections (buffer, &info));
  }
  assert_no_message (h->element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  check_stats (h->element, device);
  infer_teardown (h);
  return found;
}

static void
assert_equal (GArray *a, GArray *b)
{
  g_assert_cmpuint (a->len, ==, b->len);
  for (guint i = 0; i < a->len; i++) {
    const YoloMetaObject *x = &g_array_index (a, YoloMetaObject, i);
    const YoloMetaObject *y = &g_array_index (b, YoloMetaObject, i);

    g_assert_cmpint (x->label_id, ==, y->label_id);
    g_assert_cmpmem (&x->confidence, sizeof (float), &y->confidence, sizeof (float));
    g_assert_cmpmem (&x->x, 4 * sizeof (float), &y->x, 4 * sizeof (float));
  }
}

/* Two devices that are equal give what one gives, bit for bit, whichever of them ran a frame. */
static void
check_equal (const gchar *first, const gchar *both)
{
  g_autoptr (GPtrArray) one = run (first), two = run (both);
  guint n = 0;

  for (guint i = 0; i < FRAMES; i++) {
    assert_equal (one->pdata[i], two->pdata[i]);
    n += ((GArray *) one->pdata[i])->len;
  }
  g_assert_cmpuint (n, >, FRAMES);
}

static void
test_equal (void)
{
  check_equal ("cpu", "cpu,cpu");
}

/* A network in pieces gives what it gives in one. */
static void
test_pieces (void)
{
  check_equal ("cpu", "cpu+cpu");
  check_equal ("cpu", "cpu+cpu,cpu+cpu+cpu");
}

static void
test_cuda (void)
{
  check_equal ("cuda", "cuda:0,cuda:1");
  check_equal ("cuda", "cuda:0+cuda:1");
}

/* Devices that differ agree as far as sums in another order do. */
static void
test_different (void)
{
  g_autoptr (GPtrArray) one = run ("cpu"), two = run ("cpu,reference");
  guint n = 0;

  for (guint i = 0; i < FRAMES; i++)
    n += assert_same_detections (one->pdata[i], two->pdata[i], 0, 0, .01f, 1e-4f);
  g_assert_cmpuint (n, >, FRAMES / 2);
}

/* The property is a text, and the message says what it has come to. */
static void
test_property (void)
{
  GstElement *element = gst_object_ref_sink (infer_new (NULL));
  g_autofree gchar *initial = NULL, *set = NULL;
  GstMessage *message;

  g_object_get (element, "device", &initial, NULL);
  g_assert_cmpstr (initial, ==, "auto");
  g_object_set (element, "device", "cpu,reference", NULL);
  g_object_get (element, "device", &set, NULL);
  g_assert_cmpstr (set, ==, "cpu,reference");
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_SUCCESS);
  message = pop_message (element, GST_MESSAGE_ELEMENT);
  g_assert_cmpstr (gst_structure_get_string (gst_message_get_structure (message), "device"), ==,
      "cpu,reference");
  gst_message_unref (message);
  infer_free (element);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  if (argc > 1) {
    g_test_add_func ("/yoloinfer/devices/cuda", test_cuda);
    return g_test_run ();
  }
  g_test_add_func ("/yoloinfer/devices/equal", test_equal);
  g_test_add_func ("/yoloinfer/devices/pieces", test_pieces);
  g_test_add_func ("/yoloinfer/devices/different", test_different);
  g_test_add_func ("/yoloinfer/devices/property", test_property);
  return g_test_run ();
}
