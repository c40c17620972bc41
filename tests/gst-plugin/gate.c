/* SPDX-License-Identifier: MIT */
/* yoloinfer with motion-gate: frames in which nothing has moved are not inferred, and carry what
 * was found last. */

#include "infer-common.h"

#include <string.h>

static void
check_counts (GstHarness *h, guint inferred, guint gated, guint skipped)
{
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, inferred);
  g_assert_cmpuint (infer_count (h->element, "gated"), ==, gated);
  g_assert_cmpuint (infer_count (h->element, "skipped"), ==, skipped);
  g_assert_cmpuint (infer_count (h->element, "frames"), ==, inferred + gated + skipped);
}

/* The picture, with a square of @size pixels in its middle made dark. */
static GstBuffer *
changed_picture (const GstVideoInfo *info, gint size)
{
  GstBuffer *buffer = make_picture (info);
  GstVideoFrame frame;

  if (size == 0)
    return buffer;
  g_assert_true (gst_video_frame_map (&frame, info, buffer, GST_MAP_WRITE));
  for (gint y = 0; y < size; y++)
    memset ((guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&frame, 0)
            + (info->height / 2 + y) * GST_VIDEO_FRAME_PLANE_STRIDE (&frame, 0)
            + info->width / 2 * GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, 0),
        0, (gsize) (size * GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, 0)));
  gst_video_frame_unmap (&frame);
  return buffer;
}

/* Takes the buffer; what it comes out with. */
static GArray *
run (GstHarness *h, const GstVideoInfo *info, GstBuffer *buffer, GstClockTime pts)
{
  GST_BUFFER_PTS (buffer) = pts;
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  return take_detections (gst_harness_pull (h), info);
}

static void
run_still (GstHarness *h, const GstVideoInfo *info, guint ms)
{
  g_array_unref (run (h, info, make_picture (info), ms * GST_MSECOND));
}

/* Frames that are the same carry the same, whatever repeat-detections says; one in which a small
 * square has changed is inferred, and so is one in which it is back. */
static void
test_formats (void)
{
  static const gchar *const formats[] = { "RGB", "NV12", "I420", "YUY2", "BGRA", "GRAY8",
    "P010_10LE", "ABGR", "v210", "NV12_4L4" };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autofree gchar *caps = g_strdup_printf (
        "video/x-raw,format=%s,width=320,height=192,framerate=30/1", formats[i]);
    GstHarness *h = infer_harness (infer_new (LOW, "motion-gate", "true", NULL), caps);
    g_autoptr (GArray) first = NULL;
    GstVideoInfo info;

    make_info (caps, &info);
    first = run (h, &info, make_picture (&info), 0);
    g_assert_cmpuint (first->len, >, 0);
    for (guint k = 1; k < 4; k++) {
      g_autoptr (GArray) again = run (h, &info, make_picture (&info), k * 33 * GST_MSECOND);

      g_assert_cmpuint (again->len, ==, first->len);
      assert_same_detections (first, again, 0, 0, 0, 0);
    }
    check_counts (h, 1, 3, 0);
    if (info.finfo->n_planes < 3 && i < 7) {
      g_array_unref (run (h, &info, changed_picture (&info, 6), 200 * GST_MSECOND));
      check_counts (h, 2, 3, 0);
      run_still (h, &info, 233);
      check_counts (h, 3, 3, 0);
    }
    assert_no_message (h->element, GST_MESSAGE_WARNING);
    infer_teardown (h);
  }
}

/* What is below the threshold is no motion, but adds up: frames are compared with the one that
 * was inferred, not with the one before. Rest ends after a time, and without the gate there is
 * none. */
static void
test_threshold_and_rest (void)
{
  GstHarness *h = infer_harness (
      infer_new (LOW, "motion-gate", "true", "motion-threshold", "10", "motion-max-rest",
          "1000000000", NULL), SMALL);
  GstVideoInfo info;
  guint ms = 0;

  make_info (SMALL, &info);
  for (guint level = 100; level < 124; level += 4, ms += 33) {
    GstBuffer *grey = gst_buffer_new_and_alloc (info.size);

    gst_buffer_memset (grey, 0, (guint8) level, info.size);
    g_array_unref (run (h, &info, grey, ms * GST_MSECOND));
  }
  check_counts (h, 2, 4, 0);    /* 100, and 112 */

  run_still (h, &info, 1000);
  check_counts (h, 3, 4, 0);
  run_still (h, &info, 1999);
  check_counts (h, 3, 5, 0);
  run_still (h, &info, 2000);
  check_counts (h, 4, 5, 0);
  run_still (h, &info, 1500);   /* time has gone back */
  check_counts (h, 5, 5, 0);
  g_object_set (h->element, "motion-max-rest", G_GUINT64_CONSTANT (0), NULL);
  run_still (h, &info, 1000000);
  check_counts (h, 5, 6, 0);
  g_object_set (h->element, "motion-gate", FALSE, NULL);
  run_still (h, &info, 1000033);
  check_counts (h, 6, 6, 0);
  g_object_set (h->element, "motion-gate", TRUE, NULL);
  run_still (h, &info, 1000066);        /* what it would be compared with is not known */
  check_counts (h, 7, 6, 0);
  run_still (h, &info, 1000100);
  check_counts (h, 7, 7, 0);
  infer_teardown (h);
}

/* A frame that looks the same is inferred where something else is asked of it, and after what
 * makes the stream begin anew. */
static void
test_questions (void)
{
  GstHarness *h = infer_harness (infer_new (LOW, "motion-gate", "true", NULL), SMALL);
  GstElement *element = h->element;
  GstSegment segment;
  GstVideoInfo info;
  guint n = 1, ms = 0;

  make_info (SMALL, &info);
  run_still (h, &info, ms += 33);
  for (guint k = 0; k < 7; k++) {
    const gchar *const changes[][2] = { { "confidence-threshold", "0.02" },
      { "iou-threshold", "0.5" }, { "max-detections", "20" }, { "class-ids", "alpha" },
      { "roi", "0,0,64,64" }, { "agnostic-nms", "true" }, { "orientation", "180" } };
    g_autoptr (GArray) asked = NULL, again = NULL;

    run_still (h, &info, ms += 33);
    g_assert_cmpuint (infer_count (element, "inferred"), ==, n);
    gst_util_set_object_arg (G_OBJECT (element), changes[k][0], changes[k][1]);
    asked = run (h, &info, make_picture (&info), (ms += 33) * GST_MSECOND);
    g_assert_cmpuint (infer_count (element, "inferred"), ==, ++n);
    again = run (h, &info, make_picture (&info), (ms += 33) * GST_MSECOND);
    g_assert_cmpuint (infer_count (element, "inferred"), ==, n);
    g_assert_cmpuint (again->len, ==, asked->len);
  }

  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  run_still (h, &info, ms += 33);
  g_assert_cmpuint (infer_count (element, "inferred"), ==, ++n);

  gst_harness_set_src_caps_str (h, "video/x-raw,format=RGB,width=96,height=64,framerate=30/1");
  make_info ("video/x-raw,format=RGB,width=96,height=64,framerate=30/1", &info);
  g_object_set (element, "roi", NULL, NULL);
  run_still (h, &info, ms += 33);
  g_assert_cmpuint (infer_count (element, "inferred"), ==, ++n);
  infer_teardown (h);
}

/* Frames that inference-interval skips are skipped, and of the others those that are still are
 * gated; many are under way at once. */
static void
test_interval (void)
{
  GstHarness *h = infer_harness (infer_new (LOW, "motion-gate", "true", "inference-interval", "2",
                                     "max-in-flight", "4", NULL), SMALL);
  GstVideoInfo info;

  make_info (SMALL, &info);
  for (guint i = 0; i < 8; i++) {
    GstBuffer *buffer = make_picture (&info);

    GST_BUFFER_PTS (buffer) = i * 33 * GST_MSECOND;
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  }
  for (guint i = 0; i < 8; i++) {
    g_autoptr (GArray) found = take_detections (gst_harness_pull (h), &info);

    g_assert_cmpint (found->len > 0, ==, i % 2 == 0);
  }
  check_counts (h, 1, 3, 4);
  infer_teardown (h);
}

/* Regions and tiles: all of them must be still, and a polygon that is another asks something
 * else, though the pixels that are looked at are the same. */
static void
test_parts (void)
{
  GstHarness *h = infer_harness (infer_new (LOW, "motion-gate", "true", "tiles", "2x2", "roi",
                                     "0,0,64,64;70,10,120,10,90,90", NULL), SMALL);
  g_autoptr (GArray) first = NULL;
  GstVideoInfo info;

  make_info (SMALL, &info);
  first = run (h, &info, make_picture (&info), 0);
  for (guint k = 1; k < 3; k++) {
    g_autoptr (GArray) again = run (h, &info, make_picture (&info), k * 33 * GST_MSECOND);

    assert_same_detections (first, again, 0, 0, 0, 0);
  }
  g_assert_cmpuint (infer_count (h->element, "gated"), ==, 2);
  g_object_set (h->element, "roi", "0,0,64,64;70,10,120,10,110,90", NULL);
  run_still (h, &info, 100);
  g_assert_cmpuint (infer_count (h->element, "gated"), ==, 2);
  run_still (h, &info, 133);
  g_assert_cmpuint (infer_count (h->element, "gated"), ==, 3);
  g_array_unref (run (h, &info, changed_picture (&info, 8), 166 * GST_MSECOND));
  g_assert_cmpuint (infer_count (h->element, "gated"), ==, 3);
  infer_teardown (h);
}

/* Of objects other properties say when the network looks at them. */
static void
test_objects (void)
{
  const YoloMetaObject object = { .x = 10, .y = 10, .w = 60, .h = 60, .confidence = .5,
    .label_id = 0, .label = g_quark_from_static_string ("thing"), .object_id = 1 };
  GstHarness *h = infer_harness (
      infer_new (LOW, "motion-gate", "true", "inference-region", "roi-list", NULL), SMALL);
  GstVideoInfo info;

  make_info (SMALL, &info);
  for (guint k = 0; k < 3; k++) {
    GstBuffer *buffer = make_picture (&info);

    yolo_meta_add (buffer, &info, &object, 1, 0);
    g_array_unref (run (h, &info, buffer, k * 33 * GST_MSECOND));
  }
  g_assert_cmpuint (infer_count (h->element, "gated"), ==, 0);
  check_message (h->element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "reclassify-interval");
  infer_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gate/formats", test_formats);
  g_test_add_func ("/gate/threshold-and-rest", test_threshold_and_rest);
  g_test_add_func ("/gate/questions", test_questions);
  g_test_add_func ("/gate/interval", test_interval);
  g_test_add_func ("/gate/parts", test_parts);
  g_test_add_func ("/gate/objects", test_objects);
  return g_test_run ();
}
