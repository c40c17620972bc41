/* SPDX-License-Identifier: MIT */
/* What yoloinfer tells a tracker downstream, which this harness plays. */

#include "gst-plugin/yolofollow.h"
#include "infer-common.h"

#define LOWEST .01

/* What the tracker answers, and how often it was asked; it has no answer below 0. */
static gdouble low;
static guint n_asked;

static gboolean
answer (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (low >= 0 && yolo_follow_answer (query, low)) {
    n_asked++;
    return TRUE;
  }
  return gst_pad_query_default (pad, parent, query);
}

static GstHarness *
harness_new (const gchar *threshold, const gchar *property, const gchar *value)
{
  GstHarness *h = infer_harness (infer_new ("confidence-threshold", threshold, "max-detections",
      "50", property, value, NULL), SMALL);

  gst_pad_set_query_function (h->sinkpad, answer);
  n_asked = 0;
  return h;
}

/* What comes out for one more picture: what everybody sees, and what the tracker does. */
static YoloFollowNote
push (GstHarness *h, guint number, GArray *seen, GArray *faint)
{
  GstVideoInfo info;
  YoloFollowNote note;
  GstBuffer *buffer;

  make_info (SMALL, &info);
  buffer = make_picture (&info);
  GST_BUFFER_PTS (buffer) = number * GST_SECOND / 30;
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  buffer = gst_harness_pull (h);
  yolo_meta_read (buffer, &info, seen);
  g_array_set_size (faint, 0);
  note = yolo_follow_read (buffer, &info, faint);
  gst_buffer_unref (buffer);
  return note;
}

/* A threshold that half of what the network finds has, as text. */
static gchar *
middle_threshold (GArray *all)
{
  const gfloat confidence = g_array_index (all, YoloMetaObject, all->len / 2).confidence;
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  return g_strdup (g_ascii_dtostr (text, sizeof text, (gdouble) confidence + 1e-5));
}

static GArray *
find_all (void)
{
  GstHarness *h;
  GArray *all;

  low = -1;
  h = harness_new ("0.01", "unique-id", "7");
  all = infer_picture (h, SMALL);
  g_assert_cmpuint (all->len, >, 5);
  infer_teardown (h);
  return all;
}

static void
assert_counts (GstElement *infer, guint inferred, guint gated)
{
  g_assert_cmpuint (infer_count (infer, "inferred"), ==, inferred);
  g_assert_cmpuint (infer_count (infer, "gated"), ==, gated);
}

/* Both together are what a lower threshold finds, and each object is on its side. */
static void
test_split (void)
{
  g_autoptr (GArray) all = find_all (), seen = yolo_meta_objects_new ();
  g_autoptr (GArray) faint = yolo_meta_objects_new ();
  g_autofree gchar *threshold = middle_threshold (all);
  GstHarness *h;
  YoloFollowNote note;

  low = LOWEST;
  h = harness_new (threshold, "unique-id", "7");
  note = push (h, 0, seen, faint);
  g_assert_true (note.noted && note.inferred);
  g_assert_cmpuint (note.unique_id, ==, 7);
  g_assert_cmpuint (seen->len, >, 0);
  g_assert_cmpuint (faint->len, >, 0);
  for (guint i = 0; i < seen->len; i++)
    g_assert_cmpfloat (
        g_array_index (seen, YoloMetaObject, i).confidence, >=, g_ascii_strtod (threshold, NULL));
  for (guint i = 0; i < faint->len; i++)
    g_assert_cmpfloat (
        g_array_index (faint, YoloMetaObject, i).confidence, <, g_ascii_strtod (threshold, NULL));
  yolo_meta_objects_append (seen, (const YoloMetaObject *) faint->data, faint->len);
  g_assert_cmpuint (seen->len, ==, all->len);
  assert_same_detections (all, seen, 0, 0, .01f, 0.0001f);
  infer_teardown (h);
}

/* Of a frame in tiles all see what they would see without a tracker: pieces that only this sees
 * widen no box at a seam. */
static void
test_tiles (void)
{
  static const gchar *const thresholds[] = { "0.4", "0.5", "0.6", "0.7", "0.8" };
  g_autoptr (GArray) without = yolo_meta_objects_new (), seen = yolo_meta_objects_new ();
  g_autoptr (GArray) faint = yolo_meta_objects_new ();
  guint n_faint = 0, i;

  for (i = 0; i < G_N_ELEMENTS (thresholds); i++) {
    GstHarness *h;

    low = -1;
    h = harness_new (thresholds[i], "tiles", "3x3");
    push (h, 0, without, faint);
    infer_teardown (h);
    low = LOWEST;
    h = harness_new (thresholds[i], "tiles", "3x3");
    push (h, 0, seen, faint);
    infer_teardown (h);
    n_faint += faint->len;
    g_assert_cmpuint (seen->len, ==, without->len);
    assert_same_detections (without, seen, 0, 0, .01f, 0.0001f);
  }
  g_assert_cmpuint (n_faint, >, 0);
}

/* Nobody follows: frames are as they always were. */
static void
test_nobody (void)
{
  g_autoptr (GArray) all = find_all (), seen = yolo_meta_objects_new ();
  g_autoptr (GArray) faint = yolo_meta_objects_new ();
  g_autofree gchar *threshold = middle_threshold (all);
  GstHarness *h = harness_new (threshold, "unique-id", "7");
  YoloFollowNote note = push (h, 0, seen, faint);

  g_assert_false (note.noted);
  g_assert_true (note.inferred);
  g_assert_cmpuint (seen->len, <, all->len);
  g_assert_cmpuint (faint->len, ==, 0);
  infer_teardown (h);
}

/* It is asked once, and again when it says so or something is linked. */
static void
test_changes (void)
{
  g_autoptr (GArray) all = find_all (), seen = yolo_meta_objects_new ();
  g_autoptr (GArray) faint = yolo_meta_objects_new ();
  g_autofree gchar *threshold = middle_threshold (all);
  GstHarness *h;
  guint n;

  low = LOWEST;
  h = harness_new (threshold, "unique-id", "7");
  for (guint i = 0; i < 3; i++)
    push (h, i, seen, faint);
  g_assert_cmpuint (n_asked, ==, 1);
  n = faint->len;
  g_assert_cmpuint (n, >, 0);

  low = .99;
  push (h, 3, seen, faint);
  g_assert_cmpuint (faint->len, ==, n);
  gst_harness_push_upstream_event (h, yolo_follow_changed ());
  push (h, 4, seen, faint);
  g_assert_cmpuint (n_asked, ==, 2);
  g_assert_cmpuint (faint->len, ==, 0);
  g_assert_cmpuint (seen->len + n, ==, all->len);

  low = -1;
  gst_harness_push_upstream_event (h, gst_event_new_reconfigure ());
  g_assert_false (push (h, 5, seen, faint).noted);
  infer_teardown (h);
}

/* The note says which frames were looked at; only what everybody sees is repeated. */
static void
test_interval (void)
{
  g_autoptr (GArray) all = find_all (), seen = yolo_meta_objects_new ();
  g_autoptr (GArray) faint = yolo_meta_objects_new ();
  g_autofree gchar *threshold = middle_threshold (all);
  GstHarness *h;
  guint n = 0;

  low = LOWEST;
  h = harness_new (threshold, "inference-interval", "2");
  for (guint i = 0; i < 6; i++) {
    const YoloFollowNote note = push (h, i, seen, faint);

    g_assert_true (note.noted);
    g_assert_cmpint (note.inferred, ==, i % 2 == 0);
    g_assert_cmpuint (faint->len > 0, ==, i % 2 == 0);
    if (i == 0)
      n = seen->len;
    g_assert_cmpuint (seen->len, ==, i != 1 ? n : 0);
    if (i == 2)
      g_object_set (h->element, "repeat-detections", TRUE, NULL);
  }
  infer_teardown (h);
}

/* What is gated counts as looked at, and carries all that was found last: both sides. */
static void
test_gate (void)
{
  g_autoptr (GArray) all = find_all (), seen = yolo_meta_objects_new ();
  g_autoptr (GArray) faint = yolo_meta_objects_new (), first = yolo_meta_objects_new ();
  g_autofree gchar *threshold = middle_threshold (all);
  GstHarness *h;
  GstSegment segment;

  low = LOWEST;
  h = harness_new (threshold, "motion-gate", "true");
  for (guint i = 0; i < 4; i++) {
    const YoloFollowNote note = push (h, i, seen, faint);

    g_assert_true (note.noted && note.inferred);
    g_assert_cmpuint (seen->len + faint->len, ==, all->len);
    if (i == 0)
      yolo_meta_objects_append (first, (const YoloMetaObject *) faint->data, faint->len);
    g_assert_cmpuint (first->len, >, 0);
    assert_same_detections (first, faint, 0, 0, 0, 0);
    g_assert_cmpuint (faint->len, ==, first->len);
    assert_counts (h->element, 1, i);
  }

  /* nothing is left of it behind a flush, nor once the tracker wants none */
  gst_segment_init (&segment, GST_FORMAT_TIME);
  low = .99;
  gst_harness_push_upstream_event (h, yolo_follow_changed ());
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (guint i = 4; i < 6; i++) {
    push (h, i, seen, faint);
    g_assert_cmpuint (seen->len, >, 0);
    g_assert_cmpuint (faint->len, ==, 0);
    assert_counts (h->element, 2, i - 1);
  }
  infer_teardown (h);
}

/* The sum of the numbers of tracks on the next picture, and how many there are. */
static guint
push_tracked (GstHarness *h, guint number, guint *n)
{
  g_autoptr (GArray) seen = yolo_meta_objects_new (), faint = yolo_meta_objects_new ();
  guint sum = 0;

  push (h, number, seen, faint);
  g_assert_cmpuint (faint->len, ==, 0);
  *n = 0;
  for (guint i = 0; i < seen->len; i++) {
    const YoloMetaObject *object = &g_array_index (seen, YoloMetaObject, i);

    if (object->object_id < 0)
      continue;
    g_assert_cmpint (object->state, ==, YOLO_META_TRACKED);
    sum += (guint) object->object_id;
    (*n)++;
  }
  return sum;
}

/* Tracks that were begun by strong detections, which are weak by now, live on while the scene
 * rests, longer than the tracker looks for what is lost. */
static void
test_rest (void)
{
  g_autoptr (GArray) all = find_all ();
  g_autofree gchar *threshold = middle_threshold (all), *model = data_path (MODEL);
  g_autofree gchar *line = g_strdup_printf (
      "yoloinfer name=infer model-file=%s confidence-threshold=0.01 max-detections=50 ! "
      "yolotrack name=track low-threshold=0.01 high-threshold=0.01 new-threshold=0.01 "
      "fuse-score=false", model);
  GstHarness *h = gst_harness_new_parse (line);
  g_autoptr (GstElement) infer = gst_harness_find_element (h, "yoloinfer");
  g_autoptr (GstElement) track = gst_harness_find_element (h, "yolotrack");
  const gdouble middle = g_ascii_strtod (threshold, NULL);
  guint sum = 0, n = 0;

  gst_harness_set_src_caps_str (h, SMALL);
  for (guint i = 0; i < 3; i++)
    sum = push_tracked (h, i, &n);
  g_assert_cmpuint (n, >, all->len / 2 + 1);

  g_object_set (track, "high-threshold", middle, "new-threshold", middle, NULL);
  g_object_set (infer, "confidence-threshold", middle, "motion-gate", TRUE, NULL);
  for (guint i = 3; i < 3 + 60; i++) {
    guint now;

    g_assert_cmpuint (push_tracked (h, i, &now), ==, sum);
    g_assert_cmpuint (now, ==, n);
  }
  assert_counts (infer, 4, 59);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gst-plugin/follow/split", test_split);
  g_test_add_func ("/gst-plugin/follow/tiles", test_tiles);
  g_test_add_func ("/gst-plugin/follow/nobody", test_nobody);
  g_test_add_func ("/gst-plugin/follow/changes", test_changes);
  g_test_add_func ("/gst-plugin/follow/interval", test_interval);
  g_test_add_func ("/gst-plugin/follow/gate", test_gate);
  g_test_add_func ("/gst-plugin/follow/rest", test_rest);
  return g_test_run ();
}
