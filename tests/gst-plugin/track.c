/* SPDX-License-Identifier: MIT */
/* yolotrack as an element: what it makes of buffers. The trackers themselves are tested in
 * tests/postprocess. */

#include "gst-plugin/yolofollow.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

#include <gst/check/gstharness.h>
#include <malloc.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define FRAME (GST_SECOND / 25)

typedef struct {
  GstHarness *h;
  GstVideoInfo info;
  GArray *objects;              /* YoloMetaObject: of the last buffer that came out */
  GstBuffer *out;               /* that buffer */
  guint n;                      /* frames so far */
} Test;

static void
set_caps (Test *test, const gchar *size_and_rate)
{
  g_autofree gchar *string = g_strdup_printf ("video/x-raw, format=NV12, %s", size_and_rate);
  GstCaps *caps = gst_caps_from_string (string);

  g_assert_true (gst_video_info_from_caps (&test->info, caps));
  gst_harness_set_src_caps (test->h, caps);
}

static Test
test_new (const gchar *properties)
{
  Test test = { .objects = yolo_meta_objects_new () };
  g_autofree gchar *line = g_strdup_printf ("yolotrack name=track %s", properties);

  test.h = gst_harness_new_parse (line);
  set_caps (&test, "width=640, height=480, framerate=25/1");
  return test;
}

static GstElement *
element_of (Test *test)
{
  return gst_harness_find_element (test->h, "yolotrack");
}

static void
test_end (Test *test)
{
  gst_clear_buffer (&test->out);
  gst_harness_teardown (test->h);
  g_array_unref (test->objects);
}

static YoloMetaObject
object (gfloat x, gfloat y, gint label_id)
{
  return (YoloMetaObject) {
    .x = x, .y = y, .w = 40, .h = 80, .confidence = .8f, .label_id = label_id,
    .label = g_quark_from_string (label_id == 0 ? "person" : "car"), .object_id = -1,
  };
}

static GstBuffer *
buffer_new (Test *test, GstClockTime pts, const YoloMetaObject *objects, guint n)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (16);

  GST_BUFFER_PTS (buffer) = pts;
  yolo_meta_add (buffer, &test->info, objects, n, 3);
  return buffer;
}

/* Takes the buffer, and reads what comes out. */
static void
push_buffer (Test *test, GstBuffer *buffer)
{
  gst_clear_buffer (&test->out);
  g_assert_cmpint (gst_harness_push (test->h, buffer), ==, GST_FLOW_OK);
  test->out = gst_harness_pull (test->h);
  yolo_meta_read (test->out, &test->info, test->objects);
  test->n++;
}

/* A frame at a time in units of frames, below 0: without a time stamp. */
static void
push (Test *test, gdouble time, const YoloMetaObject *objects, guint n)
{
  const GstClockTime pts = time < 0 ? GST_CLOCK_TIME_NONE : (GstClockTime) (time * FRAME);

  push_buffer (test, buffer_new (test, pts, objects, n));
}

static const YoloMetaObject *
get (Test *test, guint i)
{
  g_assert_cmpuint (i, <, test->objects->len);
  return &g_array_index (test->objects, YoloMetaObject, i);
}

/* One person, @n frames from @time on, by 20 pixels a frame to the right from @x. */
static void
walk (Test *test, gdouble time, gfloat x, guint n)
{
  for (guint i = 0; i < n; i++) {
    const YoloMetaObject person = object (x + 20 * (gfloat) i, 100, 0);

    push (test, time < 0 ? time : time + i, &person, 1);
  }
}

static void
test_numbers (void)
{
  Test test = test_new ("box=detection");

  for (guint i = 0; i < 6; i++) {
    const YoloMetaObject objects[3] = {
      object (10 + 5 * (gfloat) i, 20, 0), object (500 - 5 * (gfloat) i, 300, 1),
      object (300, 200, 0),
    };

    push (&test, i, objects, i < 3 ? 2 : 3);
    g_assert_cmpuint (test.objects->len, ==, i < 3 ? 2 : 3);
    g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
    g_assert_cmpint (get (&test, 1)->object_id, ==, 2);
    g_assert_cmpint (get (&test, 0)->state, ==, YOLO_META_TRACKED);
    g_assert_cmpfloat_with_epsilon (get (&test, 0)->x, 10 + 5 * (gdouble) i, .01);
    g_assert_cmpfloat_with_epsilon (get (&test, 0)->confidence, .8, 1e-6);
    g_assert_cmpstr (g_quark_to_string (get (&test, 1)->label), ==, "car");
    if (i >= 3)                 /* seen once: it has no number yet, but it is there */
      g_assert_cmpint (get (&test, 2)->object_id, ==, i == 3 ? -1 : 3);
  }
  test_end (&test);
}

/* The first region on the last buffer. */
static GstVideoRegionOfInterestMeta *
first_region (Test *test)
{
  return (GstVideoRegionOfInterestMeta *) gst_buffer_get_meta (
      test->out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
}

/* What others wrote into a region stays, and the number is where DL Streamer has it. */
static void
test_region (void)
{
  Test test = test_new ("");
  const YoloMetaObject person = object (100, 100, 0);
  GstBuffer *buffer = buffer_new (&test, 0, &person, 1);
  GstStructure *track, *detection;
  gint number = 0;

  test.out = buffer;
  gst_video_region_of_interest_meta_add_param (
      first_region (&test), gst_structure_new ("colour", "name", G_TYPE_STRING, "red", NULL));
  test.out = NULL;
  push_buffer (&test, buffer);
  g_assert_cmpuint (g_list_length (first_region (&test)->params), ==, 3);
  g_assert_nonnull (gst_video_region_of_interest_meta_get_param (first_region (&test), "colour"));
  detection = gst_video_region_of_interest_meta_get_param (first_region (&test), "detection");
  g_assert_true (gst_structure_get_int (detection, "model_id", &number));
  g_assert_cmpint (number, ==, 3);
  track = gst_video_region_of_interest_meta_get_param (first_region (&test), "object_id");
  g_assert_nonnull (track);
  g_assert_true (gst_structure_get_int (track, "id", &number));
  g_assert_cmpint (number, ==, 1);
  g_assert_cmpstr (gst_structure_get_string (track, "state"), ==, "tracked");
  test_end (&test);
}

/* Params of others, who wrote less or something else into them, become what the layout says. */
static void
test_foreign_params (void)
{
  Test test = test_new ("");

  for (guint i = 0; i < 2; i++) {
    GstBuffer *buffer = gst_buffer_new_and_alloc (16);
    GstVideoRegionOfInterestMeta *region = gst_buffer_add_video_region_of_interest_meta (
        buffer, "person", 100 + 2 * i, 100, 40, 80);
    gdouble x = -1;
    gint number = 0;

    GST_BUFFER_PTS (buffer) = i * FRAME;
    gst_video_region_of_interest_meta_add_param (region,
        gst_structure_new ("detection", "confidence", G_TYPE_DOUBLE, .9, "x_min", G_TYPE_INT, 7,
            NULL));
    gst_video_region_of_interest_meta_add_param (region,
        i == 0 ? gst_structure_new ("object_id", "id", G_TYPE_INT, 70, NULL)
               : gst_structure_new ("object_id", "id", G_TYPE_STRING, "seven", "state",
                     G_TYPE_INT, 1, "more", G_TYPE_INT, 5, NULL));
    push_buffer (&test, buffer);
    g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
    region = first_region (&test);
    g_assert_cmpuint (g_list_length (region->params), ==, 2);
    g_assert_true (gst_structure_get_double (
        gst_video_region_of_interest_meta_get_param (region, "detection"), "x_min", &x));
    g_assert_cmpfloat_with_epsilon (x, (100 + 2 * i) / 640., .002);
    g_assert_true (gst_structure_get_double (
        gst_video_region_of_interest_meta_get_param (region, "detection"), "y_max", &x));
    g_assert_cmpfloat_with_epsilon (x, 180 / 480., .002);
    g_assert_true (gst_structure_get_int (
        gst_video_region_of_interest_meta_get_param (region, "object_id"), "id", &number));
    g_assert_cmpint (number, ==, 1);
    g_assert_cmpstr (gst_structure_get_string (gst_video_region_of_interest_meta_get_param (
        region, "object_id"), "state"), ==, "tracked");
  }
  test_end (&test);
}

/* A converter drops the params of regions: the number is found again in the note. */
static void
test_note (void)
{
  Test test = test_new ("! videoscale ! capsfilter caps=video/x-raw,width=320,height=240");
  const YoloMetaObject person = object (100, 100, 0);
  GstBuffer *buffer = gst_buffer_new_and_alloc (test.info.size);
  GstVideoInfo half;

  gst_buffer_memset (buffer, 0, 0, test.info.size);
  GST_BUFFER_PTS (buffer) = 0;
  yolo_meta_add (buffer, &test.info, &person, 1, 0);
  push_buffer (&test, buffer);
  gst_video_info_set_format (&half, GST_VIDEO_FORMAT_NV12, 320, 240);
  yolo_meta_read (test.out, &half, test.objects);
  g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
  g_assert_cmpfloat_with_epsilon (get (&test, 0)->x, 50, 1);
  test_end (&test);
}

/* The numbers of a tracker upstream are not those of this one. */
static void
test_other_numbers (void)
{
  Test test = test_new ("");

  for (guint i = 0; i < 2; i++) {
    YoloMetaObject objects[2] = { object (100, 100, 0), object (400, 100, 0) };

    objects[0].object_id = 77;
    objects[1].object_id = 78;
    push (&test, i, objects, 1 + i);
    g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
  }
  g_assert_cmpint (get (&test, 1)->object_id, ==, -1);
  test_end (&test);
}

/* Three frames are missing: the time stamps tell how far the person must have come. */
static void
test_time_base (void)
{
  static const struct {
    const gchar *properties;
    gboolean stamped;
    gint after;
  } cases[] = {
    { "", TRUE, 1 }, { "time-base=frames", TRUE, -1 }, { "", FALSE, -1 },
    { "match-threshold=.95", TRUE, 1 },
  };

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
    Test test = test_new (cases[c].properties);

    walk (&test, cases[c].stamped ? 0 : -1, 20, 10);
    g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
    walk (&test, cases[c].stamped ? 13 : -1, 20 + 20 * 13, 1);
    g_assert_cmpint (get (&test, 0)->object_id, ==, cases[c].after);
    test_end (&test);
  }
}

/* Where the caps have no framerate, the unit is a thirtieth of a second, and time counts too. */
static void
test_no_framerate (void)
{
  Test test = test_new ("");

  set_caps (&test, "width=640, height=480, framerate=0/1");
  walk (&test, 0, 20, 10);
  walk (&test, 13, 20 + 20 * 13, 1);
  g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
  test_end (&test);
}

/* Time stamps that go back, stand still or jump end tracks, or do not. */
static void
test_jumps (void)
{
  static const struct {
    gdouble time;               /* of the frame after number 4, in frames */
    gboolean goes_on;
  } cases[] = {
    { 5, TRUE }, { 4, TRUE }, { 3.5, TRUE }, { 4.001, TRUE }, { 1, FALSE }, { 28, TRUE },
    { 100, FALSE }, { -1, TRUE },
  };

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
    Test test = test_new ("");
    const YoloMetaObject still = object (300, 100, 0);

    for (guint i = 0; i < 5; i++)
      push (&test, i, &still, 1);
    push (&test, cases[c].time, &still, 1);
    if (cases[c].time < 0)      /* the one without a stamp counted */
      push (&test, 6, &still, 1);
    if (cases[c].goes_on)
      g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
    else
      g_assert_cmpint (get (&test, 0)->object_id, !=, 1);
    test_end (&test);
  }
}

static void
test_reverse (void)
{
  Test test = test_new ("");
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.rate = -1;
  segment.stop = 100 * FRAME;
  gst_harness_push_event (test.h, gst_event_new_segment (&segment));
  for (guint i = 0; i < 14; i++) {
    const YoloMetaObject person = object (20 + 20 * (gfloat) i, 100, 0);

    if (i < 10 || i == 13)      /* three are missing */
      push (&test, 50 - i, &person, 1);
  }
  g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
  test_end (&test);
}

/* The number that one who stands still has after three frames from a time on. */
static gint
number_after (Test *test, guint time)
{
  const YoloMetaObject still = object (300, 100, 0);

  for (guint i = 0; i < 3; i++)
    push (test, time + i, &still, 1);
  return get (test, 0)->object_id;
}

static GstEvent *
collection_event (const gchar *id)
{
  GstStreamCollection *collection = gst_stream_collection_new ("upstream");
  GstEvent *event;

  gst_stream_collection_add_stream (collection,
      gst_stream_new (id, NULL, GST_STREAM_TYPE_VIDEO, GST_STREAM_FLAG_NONE));
  gst_stream_collection_add_stream (collection,
      gst_stream_new ("sound", NULL, GST_STREAM_TYPE_AUDIO, GST_STREAM_FLAG_NONE));
  event = gst_event_new_stream_collection (collection);
  gst_object_unref (collection);
  return event;
}

static void
test_events (void)
{
  Test test = test_new ("");
  GstSegment segment;

  gst_harness_push_event (test.h, collection_event ("a"));
  g_assert_cmpint (number_after (&test, 0), ==, 1);
  gst_harness_push_event (test.h, collection_event ("a"));
  gst_harness_push_event (test.h, gst_event_new_gap (3 * FRAME, 3 * FRAME));
  g_assert_cmpint (number_after (&test, 6), ==, 1);

  /* the same stream goes on elsewhere */
  gst_harness_push_event (test.h, gst_event_new_flush_start ());
  gst_harness_push_event (test.h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (test.h, gst_event_new_segment (&segment));
  g_assert_cmpint (number_after (&test, 9), ==, 2);

  gst_harness_push_event (test.h, gst_event_new_stream_start ("another"));
  gst_harness_push_event (test.h, gst_event_new_segment (&segment));
  g_assert_cmpint (number_after (&test, 12), ==, 1);
  push (&test, 15, NULL, 0);
  gst_harness_push_event (test.h, gst_event_new_stream_start ("another"));
  gst_harness_push_event (test.h, gst_event_new_segment (&segment));
  g_assert_cmpint (number_after (&test, 16), ==, 1);
  g_assert_cmpint (number_after (&test, 0), ==, 2);     /* back in time */
  gst_harness_push_event (test.h, collection_event ("b"));
  g_assert_cmpint (number_after (&test, 3), ==, 1);
  test_end (&test);
}

/* An adaptive stream changes its size: what is where it was has its number. */
static void
test_size (void)
{
  Test test = test_new ("");
  YoloMetaObject person = object (200, 100, 0);

  for (guint i = 0; i < 3; i++)
    push (&test, i, &person, 1);
  set_caps (&test, "width=1280, height=960, framerate=25/1");
  person = (YoloMetaObject) { .x = 400, .y = 200, .w = 80, .h = 160, .confidence = .8f,
    .object_id = -1, .label = person.label };
  for (guint i = 3; i < 6; i++)
    push (&test, i, &person, 1);
  g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
  set_caps (&test, "width=1280, height=480, framerate=25/1");
  for (guint i = 6; i < 9; i++)
    push (&test, i, &person, 1);
  g_assert_cmpint (get (&test, 0)->object_id, ==, 2);
  /* and time goes on: a gap right behind a change of the shape ends tracks as any other does */
  set_caps (&test, "width=640, height=480, framerate=25/1");
  push (&test, 9, &person, 1);
  for (guint i = 100; i < 103; i++)
    push (&test, i, &person, 1);
  g_assert_cmpint (get (&test, 0)->object_id, ==, 4);
  test_end (&test);
}

/* A frame that nobody looked at, with what is repeated of the one before. */
static void
push_skipped (Test *test, gdouble time, const YoloMetaObject *repeated, guint n)
{
  GstBuffer *buffer = buffer_new (test, (GstClockTime) (time * FRAME), repeated, n);

  yolo_follow_note (buffer, &test->info, NULL, FALSE, 3);
  push_buffer (test, buffer);
}

static void
test_skipped (void)
{
  /* the second one is in no track */
  const YoloMetaObject repeated[2] = { object (20 + 20 * 9, 100, 0), object (500, 300, 1) };

  for (guint fill = 0; fill < 2; fill++) {
    for (guint repeat = 0; repeat < 2; repeat++) {
      Test test = test_new (fill ? "" : "fill-skipped=false");

      walk (&test, 0, 20, 10);
      push_skipped (&test, 10, repeated, 2 * repeat);
      push_skipped (&test, 11, repeated, 2 * repeat);
      g_assert_cmpuint (test.objects->len, ==, repeat ? 2 : fill);
      if (repeat) {
        g_assert_cmpint (get (&test, 1)->object_id, ==, -1);
        g_assert_cmpfloat_with_epsilon (get (&test, 1)->x, 500, .01);
      }
      if (fill || repeat) {
        const gdouble moved = fill ? 40 : 0;

        g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
        g_assert_cmpint (get (&test, 0)->state, ==, YOLO_META_PREDICTED);
        g_assert_cmpfloat_with_epsilon (get (&test, 0)->x, repeated[0].x + moved, 4);
        g_assert_cmpfloat_with_epsilon (get (&test, 0)->w, 40, 2);
        g_assert_cmpstr (g_quark_to_string (get (&test, 0)->label), ==, "person");
        g_assert_cmpint (get (&test, 0)->label_id, ==, 0);
      }
      walk (&test, 12, 20 + 20 * 12, 1);
      g_assert_cmpuint (test.objects->len, ==, 1);
      g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
      g_assert_cmpint (get (&test, 0)->state, ==, YOLO_META_TRACKED);
      test_end (&test);
    }
  }
}

/* An empty buffer stands for a gap. */
static void
test_gap (void)
{
  Test test = test_new ("");
  GstBuffer *gap = gst_buffer_new ();

  walk (&test, 0, 20, 10);
  GST_BUFFER_PTS (gap) = 10 * FRAME;
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  push_buffer (&test, gap);
  g_assert_cmpint (get (&test, 0)->state, ==, YOLO_META_PREDICTED);
  test_end (&test);
}

static void
push_faint (Test *test, gdouble time, const YoloMetaObject *faint, guint n)
{
  GstBuffer *buffer = buffer_new (test, (GstClockTime) (time * FRAME), NULL, 0);
  g_autoptr (GArray) objects = yolo_meta_objects_new ();

  yolo_meta_objects_append (objects, faint, n);
  yolo_follow_note (buffer, &test->info, objects, TRUE, 9);
  push_buffer (test, buffer);
}

/* Detections that only the tracker sees keep a track alive, and are there then. */
static void
test_faint (void)
{
  Test test = test_new ("");
  g_autoptr (GArray) left = yolo_meta_objects_new ();
  YoloMetaObject faint[2] = { object (220, 100, 0), object (500, 300, 0) };
  GstStructure *detection;
  gint model = 0;

  walk (&test, 0, 20, 10);
  faint[0].confidence = .15f;
  faint[1].confidence = .6f;    /* the tracker would take it, but yoloinfer must not show it */
  for (guint i = 0; i < 4; i++, faint[0].x += 20) {
    push_faint (&test, 10 + i, faint, 2);
    g_assert_cmpuint (test.objects->len, ==, 1);
    g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
    g_assert_cmpfloat_with_epsilon (get (&test, 0)->confidence, .15, 1e-6);
    g_assert_false (yolo_follow_read (test.out, &test.info, left).noted);
    detection = gst_video_region_of_interest_meta_get_param (first_region (&test), "detection");
    g_assert_true (gst_structure_get_int (detection, "model_id", &model));
    g_assert_cmpint (model, ==, 9);
  }
  faint[0].confidence = .05f;   /* below what it wants */
  push_faint (&test, 14, faint, 2);
  g_assert_cmpuint (test.objects->len, ==, 0);
  test_end (&test);
}

/* What the note says of frames that were scaled on the way. */
static void
test_scaled_note (void)
{
  GstHarness *h = gst_harness_new_parse (
      "videoscale ! capsfilter caps=video/x-raw,width=320,height=240 ! identity");
  const YoloMetaObject faint = object (200, 100, 0);
  g_autoptr (GArray) objects = yolo_meta_objects_new (), found = yolo_meta_objects_new ();
  GstVideoInfo info, half;
  YoloFollowNote note;
  GstBuffer *buffer;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_GRAY8, 640, 480);
  gst_video_info_set_format (&half, GST_VIDEO_FORMAT_GRAY8, 320, 240);
  gst_harness_set_src_caps_str (h, "video/x-raw, format=GRAY8, width=640, height=480, "
      "framerate=25/1");
  buffer = gst_buffer_new_and_alloc (info.size);
  gst_buffer_memset (buffer, 0, 0, info.size);
  yolo_meta_objects_append (objects, &faint, 1);
  yolo_follow_note (buffer, &info, objects, TRUE, 5);
  yolo_meta_read (buffer, &info, found);
  g_assert_cmpuint (found->len, ==, 0); /* nobody else sees it */
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  buffer = gst_harness_pull (h);
  note = yolo_follow_read (buffer, &half, found);
  g_assert_true (note.noted && note.inferred);
  g_assert_cmpuint (note.unique_id, ==, 5);
  g_assert_cmpuint (found->len, ==, 1);
  g_assert_cmpfloat_with_epsilon (g_array_index (found, YoloMetaObject, 0).x, 100, .01);
  g_assert_cmpfloat_with_epsilon (g_array_index (found, YoloMetaObject, 0).h, 40, .01);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

static gdouble
ask (Test *test)
{
  GstQuery *query =
      gst_query_new_custom (GST_QUERY_CUSTOM, gst_structure_new_empty ("yolo-tracker"));
  gdouble low = -1;

  g_assert_true (gst_pad_peer_query (test->h->srcpad, query));
  g_assert_true (gst_structure_get_double (gst_query_get_structure (query), "confidence", &low));
  gst_query_unref (query);
  return low;
}

static guint
count_changes (Test *test)
{
  GstEvent *event;
  guint n = 0;

  while ((event = gst_harness_try_pull_upstream_event (test->h))) {
    n += gst_event_has_name (event, "yolo-tracker-changed");
    gst_event_unref (event);
  }
  return n;
}

static void
test_query (void)
{
  Test test = test_new ("");
  GstElement *track = element_of (&test);
  GstQuery *other = gst_query_new_custom (GST_QUERY_CUSTOM, gst_structure_new_empty ("other"));

  g_assert_cmpfloat (ask (&test), ==, .1);
  count_changes (&test);
  g_object_set (track, "low-threshold", .2, NULL);
  g_assert_cmpuint (count_changes (&test), ==, 1);
  g_assert_cmpfloat (ask (&test), ==, .2);
  g_object_set (track, "high-threshold", .5, NULL);
  g_assert_cmpuint (count_changes (&test), ==, 0);
  g_assert_false (gst_pad_peer_query (test.h->srcpad, other));
  gst_query_unref (other);
  gst_object_unref (track);
  test_end (&test);
}

/* The frames of a batch are other cameras'; the places are theirs. */
static void
test_batch (void)
{
  Test test = test_new ("attach-lost=true");

  for (guint i = 0; i < 4; i++) {
    YoloMetaObject objects[3] = { object (100, 100, 0), object (102, 100, 0), object (400, 0, 0) };

    objects[0].slot = 1;
    objects[1].slot = objects[2].slot = 3;
    push (&test, i, objects, 3);
    g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
    g_assert_cmpint (get (&test, 1)->object_id, ==, 1);
    g_assert_cmpint (get (&test, 2)->object_id, ==, 2);
  }
  push (&test, 4, NULL, 0);
  g_assert_cmpuint (test.objects->len, ==, 3);
  g_assert_cmpuint (get (&test, 0)->slot, ==, 1);
  g_assert_cmpuint (get (&test, 1)->slot, ==, 3);
  g_assert_cmpint (get (&test, 2)->object_id, ==, 2);
  g_assert_cmpint (get (&test, 2)->state, ==, YOLO_META_LOST);
  test_end (&test);
}

static void
test_lost (void)
{
  Test test = test_new ("buffer=200000000");
  GstElement *track = element_of (&test);
  guint n = 0;

  walk (&test, 0, 20, 10);
  push (&test, 10, NULL, 0);
  g_assert_cmpuint (test.objects->len, ==, 0);
  g_object_set (track, "attach-lost", TRUE, NULL);
  for (guint i = 11; i < 40; i++) {
    push (&test, i, NULL, 0);
    g_assert_cmpuint (test.objects->len, <=, 1);
    n += test.objects->len;
    if (test.objects->len > 0) {
      g_assert_cmpint (get (&test, 0)->state, ==, YOLO_META_LOST);
      g_assert_cmpfloat_with_epsilon (get (&test, 0)->x, 20 + 20 * (gdouble) i, 8);
    }
  }
  g_assert_cmpuint (n, >=, 3);  /* 5 frames are the buffer */
  g_assert_cmpuint (n, <=, 6);
  gst_object_unref (track);
  test_end (&test);
}

/* Two points, in the middle of the frame and left of it. */
static GBytes *
points_new (void)
{
  const YoloShape head = { .n_points = 2 };
  gfloat *points;
  gint16 *cells;
  YoloShape *shape = yolo_shape_allocate (&head, &points, &cells);

  memcpy (points, (gfloat[6]){ .25f, .5f, 1, .5f, .5f, 1 }, 6 * sizeof (gfloat));
  return yolo_shape_take (shape);
}

/* The filter's box lags behind one that jumps, in every layout. One that has points stays where
 * these are. */
static void
test_box (void)
{
  for (guint c = 0; c < 3; c++) {
    const gboolean filter = c == 0;
    Test test = test_new (c == 1 ? "box=detection" : "box=filter");
    YoloMetaObject still = object (200, 100, 0);
    gdouble left = 0;

    if (c == 2)
      still.shape = points_new ();

    for (guint i = 0; i < 8; i++)
      push (&test, i, &still, 1);
    still.x += 15;
    push (&test, 8, &still, 1);
    g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
    g_assert_true ((fabsf (get (&test, 0)->x - still.x) > 1) == filter);
    g_assert_cmpint (first_region (&test)->x, ==, lrint (get (&test, 0)->x));
    gst_structure_get_double (
        gst_video_region_of_interest_meta_get_param (first_region (&test), "detection"), "x_min",
        &left);
    g_assert_cmpfloat_with_epsilon (left * 640, get (&test, 0)->x, .001);
    g_clear_pointer (&still.shape, g_bytes_unref);
    test_end (&test);
  }
}

static void
test_classes (void)
{
  for (guint aware = 0; aware < 2; aware++) {
    Test test = test_new (aware ? "" : "class-aware=false");

    for (guint i = 0; i < 6; i++) {
      YoloMetaObject changed = object (200, 100, i < 3 ? 0 : 1);

      if (i % 3 == 2)           /* a label without a number is a class, too */
        changed.label_id = -1;
      changed.label_id = i < 3 ? changed.label_id : 1;
      push (&test, i, &changed, 1);
      if (!aware)
        g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
      else if (i >= 2)
        g_assert_cmpint (get (&test, 0)->object_id, !=, 1);
    }
    test_end (&test);
  }
}

static void
test_presets (void)
{
  Test test = test_new ("preset=paper match-threshold=.85");
  GstElement *track = element_of (&test);
  gdouble high, new_track, match;
  gboolean aware;
  gint time_base;

  g_object_get (track, "high-threshold", &high, "new-threshold", &new_track, "match-threshold",
      &match, "class-aware", &aware, "time-base", &time_base, NULL);
  g_assert_cmpfloat (high, ==, .6);
  g_assert_cmpfloat (new_track, ==, .7);
  g_assert_cmpfloat (match, ==, .85);
  g_assert_false (aware);
  g_assert_cmpint (time_base, ==, 1);
  gst_util_set_object_arg (G_OBJECT (track), "preset", "ultralytics");
  g_object_get (track, "high-threshold", &high, "match-threshold", &match, NULL);
  g_assert_cmpfloat (high, ==, .25);
  g_assert_cmpfloat (match, ==, .8);
  gst_util_set_object_arg (G_OBJECT (track), "preset", "default");
  g_object_get (track, "class-aware", &aware, "time-base", &time_base, NULL);
  g_assert_true (aware);
  g_assert_cmpint (time_base, ==, 0);
  gst_object_unref (track);
  test_end (&test);
}

/* Numbers stay while the trackers change. */
static void
test_changes (void)
{
  static const gchar *trackers[] = { "botsort", "ocsort", "bytetrack" };
  Test test = test_new ("");
  GstElement *track = element_of (&test);
  const YoloMetaObject still = object (200, 100, 0);
  guint time = 0;

  for (guint i = 0; i < 3; i++)
    push (&test, time++, &still, 1);
  for (guint t = 0; t < G_N_ELEMENTS (trackers); t++) {
    gst_util_set_object_arg (G_OBJECT (track), "tracker", trackers[t]);
    for (guint i = 0; i < 4; i++)
      push (&test, time++, &still, 1);
    g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
  }
  gst_object_unref (track);
  test_end (&test);
}

/* What converters of GStreamer 1.22 do to a region. */
static void
drop_params (GstBuffer *buffer)
{
  GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *) gst_buffer_get_meta (
      buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);

  g_list_free_full (region->params, (GDestroyNotify) gst_structure_free);
  region->params = NULL;
}

/* A buffer that gets nothing is handed on as it is, even if somebody else holds it, and one of
 * which others hold the pixels shares them. */
static void
test_sharing (void)
{
  Test test = test_new ("");
  const YoloMetaObject person = object (100, 100, 0);
  GstBuffer *empty = buffer_new (&test, 0, NULL, 0), *full = buffer_new (&test, FRAME, &person, 1);
  g_autoptr (GArray) objects = yolo_meta_objects_new ();

  push_buffer (&test, gst_buffer_ref (empty));
  g_assert_true (test.out == empty);
  push_buffer (&test, gst_buffer_ref (full));
  push_buffer (&test, gst_buffer_ref (full));
  g_assert_true (test.out != full);
  g_assert_true (gst_buffer_peek_memory (test.out, 0) == gst_buffer_peek_memory (full, 0));
  g_assert_cmpint (get (&test, 0)->object_id, >=, 1);
  yolo_meta_read (full, &test.info, objects);
  g_assert_cmpint (g_array_index (objects, YoloMetaObject, 0).object_id, ==, -1);

  /* nor in the note, which is all that counts of a region that has lost its params */
  gst_buffer_replace (&test.out, NULL);
  drop_params (full);
  yolo_meta_read (full, &test.info, objects);
  g_assert_cmpint (g_array_index (objects, YoloMetaObject, 0).object_id, ==, -1);
  gst_buffer_unref (empty);
  gst_buffer_unref (full);
  test_end (&test);
}

/* A class of the whole frame is no object that moves. */
static void
test_whole (void)
{
  Test test = test_new ("");
  const YoloShape head = { .flags = YOLO_SHAPE_WHOLE };
  gfloat *points;
  gint16 *cells;
  YoloMetaObject whole = object (0, 0, 0);

  whole.shape = yolo_shape_take (yolo_shape_allocate (&head, &points, &cells));
  for (guint i = 0; i < 3; i++) {
    push (&test, i, &whole, 1);
    g_assert_cmpint (get (&test, 0)->object_id, ==, -1);
  }
  g_bytes_unref (whole.shape);
  test_end (&test);
}

/* Masks and points stay with an object that is numbered. */
static void
test_shape (void)
{
  Test test = test_new ("");
  YoloMetaObject person = object (100, 100, 0);

  person.shape = points_new ();
  push (&test, 0, &person, 1);
  g_assert_cmpint (get (&test, 0)->object_id, ==, 1);
  g_assert_nonnull (get (&test, 0)->shape);
  g_assert_cmpuint (yolo_shape_get (get (&test, 0)->shape)->n_points, ==, 2);
  g_assert_cmpfloat (yolo_shape_points (yolo_shape_get (get (&test, 0)->shape))[0], ==, .25f);
  g_bytes_unref (person.shape);
  test_end (&test);
}

/* The bytes that the process has allocated; 0 where the C library does not tell. */
static gsize
allocated (void)
{
#if defined (__GLIBC__) && __GLIBC_PREREQ (2, 33)
  struct mallinfo2 m = mallinfo2 ();

  return m.uordblks + m.hblkhd;
#else
  return 0;
#endif
}

/* CPU time of this thread, in ms. */
static gdouble
cpu_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return (gdouble) now.tv_sec * 1e3 + (gdouble) now.tv_nsec / 1e6;
}

/* A crowd that comes and goes for ever: what is remembered of those who are gone does not grow. */
static void
test_crowd (void)
{
  enum { N = 100, WARM = 200, FRAMES = 700 };
  Test test = test_new ("");
  g_autofree YoloMetaObject *crowd = g_new0 (YoloMetaObject, N);
  GRand *rand = g_rand_new_with_seed (1);
  gdouble time = 0;
  gsize before = 0;
  gint last = 0;

  for (guint frame = 0; frame < FRAMES; frame++) {
    GstBuffer *buffer;

    for (guint i = 0; i < N; i++) {
      crowd[i].x += 4;
      if (frame == 0 || crowd[i].x > 640) {
        crowd[i] = object ((gfloat) g_rand_double_range (rand, 0, 600),
            (gfloat) g_rand_double_range (rand, 0, 400), (gint) i % 2);
        crowd[i].w = 20;
      }
    }
    buffer = buffer_new (&test, frame * FRAME, crowd, N);
    gst_clear_buffer (&test.out);
    time -= cpu_time ();
    g_assert_cmpint (gst_harness_push (test.h, buffer), ==, GST_FLOW_OK);
    time += cpu_time ();
    test.out = gst_harness_pull (test.h);
    if (frame == WARM)
      before = allocated ();
  }
  yolo_meta_read (test.out, &test.info, test.objects);
  for (guint i = 0; i < test.objects->len; i++)
    last = MAX (last, get (&test, i)->object_id);
  g_test_message ("%.3f ms a frame, %d tracks", time / FRAMES, last);
  g_assert_cmpint (last, >, 5 * N);
  /* a thousand tracks that are gone would be larger */
  g_assert_cmpuint (allocated (), <, before + 64 * 1024);
  g_rand_free (rand);
  test_end (&test);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gst-plugin/track/numbers", test_numbers);
  g_test_add_func ("/gst-plugin/track/region", test_region);
  g_test_add_func ("/gst-plugin/track/foreign-params", test_foreign_params);
  g_test_add_func ("/gst-plugin/track/note", test_note);
  g_test_add_func ("/gst-plugin/track/other-numbers", test_other_numbers);
  g_test_add_func ("/gst-plugin/track/time-base", test_time_base);
  g_test_add_func ("/gst-plugin/track/no-framerate", test_no_framerate);
  g_test_add_func ("/gst-plugin/track/jumps", test_jumps);
  g_test_add_func ("/gst-plugin/track/reverse", test_reverse);
  g_test_add_func ("/gst-plugin/track/events", test_events);
  g_test_add_func ("/gst-plugin/track/size", test_size);
  g_test_add_func ("/gst-plugin/track/skipped", test_skipped);
  g_test_add_func ("/gst-plugin/track/gap", test_gap);
  g_test_add_func ("/gst-plugin/track/faint", test_faint);
  g_test_add_func ("/gst-plugin/track/scaled-note", test_scaled_note);
  g_test_add_func ("/gst-plugin/track/query", test_query);
  g_test_add_func ("/gst-plugin/track/batch", test_batch);
  g_test_add_func ("/gst-plugin/track/lost", test_lost);
  g_test_add_func ("/gst-plugin/track/box", test_box);
  g_test_add_func ("/gst-plugin/track/classes", test_classes);
  g_test_add_func ("/gst-plugin/track/presets", test_presets);
  g_test_add_func ("/gst-plugin/track/changes", test_changes);
  g_test_add_func ("/gst-plugin/track/sharing", test_sharing);
  g_test_add_func ("/gst-plugin/track/whole", test_whole);
  g_test_add_func ("/gst-plugin/track/shape", test_shape);
  g_test_add_func ("/gst-plugin/track/crowd", test_crowd);
  return g_test_run ();
}
