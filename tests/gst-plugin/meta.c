/* SPDX-License-Identifier: MIT */
/* Detections as metadata: what is written, and what is read that other elements have
 * written. */

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

#include <gst/check/gstharness.h>
#include <math.h>

static GArray *
read_objects (GstBuffer *buffer, const GstVideoInfo *info)
{
  GArray *objects = yolo_meta_objects_new ();

  yolo_meta_read (buffer, info, objects);
  return objects;
}

static void
assert_near (gfloat a, gfloat b, gfloat slack)
{
  g_assert_cmpfloat_with_epsilon (a, b, slack);
}

static void
test_round_trip (void)
{
  const YoloMetaObject objects[] = {
    {10.25, 20.75, 100.5, 50.125, 0.875, 3, g_quark_from_string ("a \"cat\""), -1, 0, NULL, 0, 0,
        NULL, 0},
    {0, 0, 1920, 1080, 0.5, 0, g_quark_from_string ("Löwe"), 17, 0, NULL, 0, 0, NULL, 0},
    {1919.5, 1079.5, 0.5, 0.5, 1, 79, 0, 0, 0, NULL, 0, 0, NULL, 0},
    {3.3, 4.4, 0.2, 0.1, 0.26, -1, g_quark_from_string ("?"), 2, 4, NULL, 0, 0, NULL, 0},
  };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new (), *copy;
  GArray *found;
  guint i;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, 1920, 1080);
  yolo_meta_add (buffer, &info, objects, G_N_ELEMENTS (objects), 7);
  copy = gst_buffer_copy (buffer);
  gst_buffer_unref (buffer);

  found = read_objects (copy, &info);
  g_assert_cmpint (found->len, ==, G_N_ELEMENTS (objects));
  for (i = 0; i < found->len; i++) {
    const YoloMetaObject *o = &g_array_index (found, YoloMetaObject, i);

    assert_near (o->x, objects[i].x, 1e-3);
    assert_near (o->y, objects[i].y, 1e-3);
    assert_near (o->w, objects[i].w, 1e-3);
    assert_near (o->h, objects[i].h, 1e-3);
    g_assert_cmpfloat (o->confidence, ==, objects[i].confidence);
    g_assert_cmpint (o->label_id, ==, objects[i].label_id);
    g_assert_cmpint (o->label, ==, objects[i].label);
    g_assert_cmpint (o->object_id, ==, objects[i].object_id);
  }
  g_array_unref (found);
  gst_buffer_unref (copy);
}

/* The names and types that readers of DL Streamer's layout expect. */
static void
test_layout (void)
{
  const YoloMetaObject object = { 10.4, 19.6, 30.2, 40.3, 0.5, 2, g_quark_from_string ("car"), 5,
    0, NULL, 0, 0, NULL, 0 };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstVideoRegionOfInterestMeta *meta;
  GstStructure *s;
  gdouble value;
  gint number;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  yolo_meta_add (buffer, &info, &object, 1, 9);
  meta = gst_buffer_get_video_region_of_interest_meta_id (buffer, 0);
  g_assert_nonnull (meta);
  g_assert_cmpstr (g_quark_to_string (meta->roi_type), ==, "car");
  g_assert_cmpint (meta->x, ==, 10);
  g_assert_cmpint (meta->y, ==, 20);
  g_assert_cmpint (meta->w, ==, 31);    /* 40.6 is rounded to 41 */
  g_assert_cmpint (meta->h, ==, 40);
  s = gst_video_region_of_interest_meta_get_param (meta, "detection");
  g_assert_true (gst_structure_get_double (s, "x_min", &value));
  assert_near (value, 10.4 / 200, 1e-6);
  g_assert_true (gst_structure_get_double (s, "x_max", &value));
  assert_near (value, 40.6 / 200, 1e-6);
  g_assert_true (gst_structure_get_double (s, "y_min", &value));
  assert_near (value, 19.6 / 100, 1e-6);
  g_assert_true (gst_structure_get_double (s, "y_max", &value));
  assert_near (value, 59.9 / 100, 1e-6);
  g_assert_true (gst_structure_get_double (s, "confidence", &value));
  g_assert_cmpfloat (value, ==, 0.5);
  g_assert_true (gst_structure_get_int (s, "label_id", &number));
  g_assert_cmpint (number, ==, 2);
  g_assert_true (gst_structure_get_int (s, "model_id", &number));
  g_assert_cmpint (number, ==, 9);
  s = gst_video_region_of_interest_meta_get_param (meta, "object_id");
  g_assert_true (gst_structure_get_int (s, "id", &number));
  g_assert_cmpint (number, ==, 5);
  gst_buffer_unref (buffer);
}

static GstVideoRegionOfInterestMeta *
add_region (GstBuffer *buffer, const gchar *type, guint x, guint y, guint w, guint h,
    const gchar *detection)
{
  GstVideoRegionOfInterestMeta *meta =
      gst_buffer_add_video_region_of_interest_meta (buffer, type, x, y, w, h);

  if (detection)
    gst_video_region_of_interest_meta_add_param (meta,
        gst_structure_from_string (detection, NULL));
  return meta;
}

static void
test_foreign (void)
{
  static const struct {
    const gchar *type, *detection;
    gboolean is_object;
    YoloMetaObject expected;
    const gchar *label;
  } cases[] = {
    /* as gvadetect writes it */
    { "car",
        "detection, x_min=0.101, x_max=0.3005, y_min=0.1, y_max=0.202, confidence=0.5, label_id=2",
        TRUE, { 20.2, 10, 39.9, 10.2, 0.5, 2, 0, -1, 0, NULL, 0, 0, NULL, 0 }, "car" },
    /* moved since, by a crop: the pixels count */
    { "car", "detection, x_min=0.5, x_max=0.7, y_min=0.1, y_max=0.2, confidence=0.5, label_id=2",
        TRUE, { 20, 10, 40, 10, 0.5, 2, 0, -1, 0, NULL, 0, 0, NULL, 0 }, "car" },
    { NULL, "detection, label=bus, confidence=0.25", TRUE,
        { 20, 10, 40, 10, 0.25, -1, 0, -1, 0, NULL, 0, 0, NULL, 0 }, "bus" },
    /* a confidence that nobody has said is not 0 */
    { NULL, "detection", TRUE, { 20, 10, 40, 10, -1, -1, 0, -1, 0, NULL, 0, 0, NULL, 0 }, NULL },
    { "odd", "detection, x_min=(string)0.1, confidence=(string)half, label_id=(double)1.5", TRUE,
        { 20, 10, 40, 10, -1, -1, 0, -1, 0, NULL, 0, 0, NULL, 0 }, "odd" },
    /* as of handdetect, a classifier, or an element that lost the params */
    { "hand", NULL, TRUE, { 20, 10, 40, 10, -1, -1, 0, -1, 0, NULL, 0, 0, NULL, 0 }, "hand" },
    { "face", "age, label=(string)33, confidence=0.9", TRUE,
        { 20, 10, 40, 10, -1, -1, 0, -1, 0, NULL, 0, 0, NULL, 0 }, "face" },
    /* a region for an encoder */
    { "roi", "roi/x264enc, delta-qp=-5", FALSE, { 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, NULL, 0 },
        NULL },
    { NULL, NULL, FALSE, { 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, NULL, 0 }, NULL },
  };
  GstVideoInfo info;
  guint i;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstBuffer *buffer = gst_buffer_new ();
    const YoloMetaObject *expected = &cases[i].expected, *o;
    GArray *found;

    add_region (buffer, cases[i].type, 20, 10, 40, 10, cases[i].detection);
    found = read_objects (buffer, &info);
    g_assert_cmpint (found->len, ==, cases[i].is_object);
    if (cases[i].is_object) {
      o = &g_array_index (found, YoloMetaObject, 0);
      assert_near (o->x, expected->x, 1e-4);
      assert_near (o->y, expected->y, 1e-4);
      assert_near (o->w, expected->w, 1e-4);
      assert_near (o->h, expected->h, 1e-4);
      g_assert_cmpfloat (o->confidence, ==, expected->confidence);
      g_assert_cmpint (o->label_id, ==, expected->label_id);
      g_assert_cmpint (o->object_id, ==, -1);
      g_assert_cmpstr (g_quark_to_string (o->label), ==, cases[i].label);
    }
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}

/* Whatever a region says, the numbers that are read are finite. */
static void
test_hostile (void)
{
  static const gdouble values[] = { NAN, INFINITY, -INFINITY, 1e300, -1e300, 0 };
  GstVideoInfo info;
  guint i;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  for (i = 0; i < 6 * 6; i++) {
    GstBuffer *buffer = gst_buffer_new ();
    GstVideoRegionOfInterestMeta *meta = add_region (buffer, "x", i % 2 ? G_MAXUINT : 0, 0,
        G_MAXUINT, i % 3 ? 0 : G_MAXUINT, NULL);
    GArray *found;
    const YoloMetaObject *o;

    gst_video_region_of_interest_meta_add_param (meta, gst_structure_new ("detection",
            "x_min", G_TYPE_DOUBLE, values[i % 6], "x_max", G_TYPE_DOUBLE, values[i / 6],
            "y_min", G_TYPE_DOUBLE, values[i % 6], "y_max", G_TYPE_DOUBLE, values[i / 6],
            "confidence", G_TYPE_DOUBLE, values[i % 6], NULL));
    found = read_objects (buffer, &info);
    g_assert_cmpint (found->len, ==, 1);
    o = &g_array_index (found, YoloMetaObject, 0);
    g_assert_true (isfinite (o->x) && isfinite (o->y) && isfinite (o->w) && isfinite (o->h));
    g_assert_true (isfinite (o->confidence));
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}

static void
test_rounding (void)
{
  static const struct {
    YoloMetaObject object;
    gint box[4];
  } cases[] = {
    {{.x = 0, .y = 0, .w = 100, .h = 50}, {0, 0, 100, 50}},
    {{.x = 1.5, .y = 1.4, .w = 2, .h = 2}, {2, 1, 2, 2}},
    {{.x = 10.5, .y = 10, .w = 10, .h = 10}, {11, 10, 10, 10}},
    {{.x = -5, .y = -5, .w = 10, .h = 100}, {0, 0, 5, 50}},
    {{.x = 99.8, .y = 49.9, .w = 0.1, .h = 0.05}, {99, 49, 1, 1}},
    {{.x = 500, .y = 500, .w = 10, .h = 10}, {99, 49, 1, 1}},
    {{.x = -500, .y = -500, .w = 10, .h = 10}, {0, 0, 1, 1}},
    {{.x = 30, .y = 30, .w = -10, .h = 0}, {30, 30, 1, 1}},
    {{.x = 1e30, .y = -1e30, .w = 1e38, .h = 1e38}, {99, 0, 1, 50}},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    gint box[4];

    yolo_object_round (&cases[i].object, 100, 50, box);
    g_assert_cmpmem (box, sizeof box, cases[i].box, sizeof box);
  }
}

/* Regions that reach out of the frame, with numbers that their fields cannot hold. */
static void
test_outside (void)
{
  static const struct {
    gint x, y, w, h;
    const gchar *detection;
    gfloat read[4], clipped[4];
  } cases[] = {
    { -10, -20, 40, 30, "detection", { -10, -20, 40, 30 }, { 0, 0, 30, 10 } },
    { -10, 10, 40, 10, "detection, x_min=-0.052, x_max=0.148, y_min=0.1, y_max=0.2",
        { -10.4, 10, 40, 10 }, { 0, 10, 29.6, 10 } },
    { 180, 90, 40, 30, "detection", { 180, 90, 40, 30 }, { 180, 90, 20, 10 } },
    { 20, 10, -5, 10, "detection", { 20, 10, 0, 10 }, { 20, 10, 0, 10 } },
    { 300, -50, 10, 20, "detection", { 300, -50, 10, 20 }, { 200, 0, 0, 0 } },
    { 50, 50, G_MAXINT, G_MAXINT, "detection", { 50, 50, 2147483648.f, 2147483648.f },
        { 50, 50, 150, 50 } },
    { G_MAXINT, G_MININT, G_MAXINT, 1, "detection",
        { 2147483648.f, -2147483648.f, 2147483648.f, 1 }, { 200, 0, 0, 0 } },
  };
  GstVideoInfo info;
  guint i;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstBuffer *buffer = gst_buffer_new ();
    GArray *found;
    YoloMetaObject *o;

    add_region (buffer, "car", cases[i].x, cases[i].y, cases[i].w, cases[i].h, cases[i].detection);
    found = read_objects (buffer, &info);
    g_assert_cmpint (found->len, ==, 1);
    o = &g_array_index (found, YoloMetaObject, 0);
    assert_near (o->x, cases[i].read[0], 1e-4);
    assert_near (o->y, cases[i].read[1], 1e-4);
    assert_near (o->w, cases[i].read[2], 1e-4);
    assert_near (o->h, cases[i].read[3], 1e-4);
    yolo_object_clip (o, 200, 100);
    assert_near (o->x, cases[i].clipped[0], 1e-4);
    assert_near (o->y, cases[i].clipped[1], 1e-4);
    assert_near (o->w, cases[i].clipped[2], 1e-4);
    assert_near (o->h, cases[i].clipped[3], 1e-4);
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}

/* An object whose box is not finite is left out; other boxes are clipped. */
static void
test_add_clips (void)
{
  const YoloMetaObject objects[] = {
    {NAN, 0, 1, 1, 1, 0, 0, -1, 0, NULL, 0, 0, NULL, 0},
    {0, 0, INFINITY, 1, 1, 0, 0, -1, 0, NULL, 0, 0, NULL, 0},
    {-10, -20, 1000, 1000, 1, 4, 0, 3, 0, NULL, 0, 0, NULL, 0},
    {0, -INFINITY, 1, 1, 1, 0, 0, -1, 0, NULL, 0, 0, NULL, 0},
    {20, 20, 10, 10, 1, 5, 0, -1, 0, NULL, 0, 0, NULL, 0},
  };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GArray *found;
  const YoloMetaObject *o;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 100, 50);
  yolo_meta_add (buffer, &info, objects, G_N_ELEMENTS (objects), 0);
  found = read_objects (buffer, &info);
  g_assert_cmpint (found->len, ==, 2);
  o = &g_array_index (found, YoloMetaObject, 0);
  g_assert_cmpfloat (o->x, ==, 0);
  g_assert_cmpfloat (o->y, ==, 0);
  g_assert_cmpfloat (o->w, ==, 100);
  g_assert_cmpfloat (o->h, ==, 50);
  g_assert_cmpint (o->object_id, ==, 3);
  g_assert_cmpint (g_array_index (found, YoloMetaObject, 1).label_id, ==, 5);
  /* the ids have no gaps */
  g_assert_nonnull (gst_buffer_get_video_region_of_interest_meta_id (buffer, 0));
  g_assert_nonnull (gst_buffer_get_video_region_of_interest_meta_id (buffer, 1));

  /* a second inference element adds its own objects */
  yolo_meta_add (buffer, &info, objects + 4, 1, 1);
  yolo_meta_add (buffer, &info, NULL, 0, 1);
  yolo_meta_read (buffer, &info, found);
  g_assert_cmpint (found->len, ==, 3);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

/* Scales the regions' pixels, rounding down, and keeps the params, as some elements do. */
static void
test_scaled (void)
{
  const YoloMetaObject object = { 33.3, 44.4, 101.7, 20.2, 0.5, 2, g_quark_from_string ("car"), 5,
    0, NULL, 0, 0, NULL, 0 };
  GstVideoRegionOfInterestMeta *meta;
  GstVideoInfo small, big;
  GstBuffer *buffer = gst_buffer_new ();
  GArray *found;
  const YoloMetaObject *o;

  gst_video_info_set_format (&small, GST_VIDEO_FORMAT_RGB, 320, 240);
  gst_video_info_set_format (&big, GST_VIDEO_FORMAT_RGB, 1280, 960);
  yolo_meta_add (buffer, &small, &object, 1, 0);
  meta = gst_buffer_get_video_region_of_interest_meta_id (buffer, 0);
  meta->x *= 4;
  meta->y *= 4;
  meta->w *= 4;
  meta->h *= 4;
  found = read_objects (buffer, &big);
  g_assert_cmpint (found->len, ==, 1);
  o = &g_array_index (found, YoloMetaObject, 0);
  assert_near (o->x, 4 * object.x, 1e-2);
  assert_near (o->y, 4 * object.y, 1e-2);
  assert_near (o->w, 4 * object.w, 1e-2);
  assert_near (o->h, 4 * object.h, 1e-2);
  g_assert_cmpint (o->object_id, ==, 5);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

/* What is read of a frame with these objects behind elements of GStreamer. */
static GArray *
through (const gchar *elements, const YoloMetaObject *objects, guint n, GstVideoInfo *info)
{
  GstHarness *h = gst_harness_new_parse (elements);
  GstBuffer *buffer;
  g_autoptr (GstCaps) caps = NULL;
  GArray *found;

  gst_video_info_set_format (info, GST_VIDEO_FORMAT_I420, 200, 100);
  info->fps_n = 25;
  gst_harness_set_src_caps (h, gst_video_info_to_caps (info));
  buffer = gst_harness_create_buffer (h, GST_VIDEO_INFO_SIZE (info));
  /* regions of another element come first */
  add_region (buffer, "person", 1, 2, 3, 4, NULL)->id = 4711;
  yolo_meta_add (buffer, info, objects, n, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  caps = gst_pad_get_current_caps (h->sinkpad);
  g_assert_true (gst_video_info_from_caps (info, caps));
  found = read_objects (buffer, info);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
  return found;
}

/* Behind elements that keep regions all that was known of the objects is known,
 * whatever becomes of the regions' params. */
static void
test_elements (void)
{
  static const gchar *elements[] = {
    "identity", "videoconvert ! capsfilter caps=video/x-raw,format=BGR",
    "videoscale ! capsfilter caps=video/x-raw,width=100,height=100",
    "videoscale ! capsfilter caps=video/x-raw,width=77,height=301 ! videoconvert "
        "! capsfilter caps=video/x-raw,format=GRAY8",
    "queue ! videoscale ! capsfilter caps=video/x-raw,width=640,height=480",
  };
  const YoloMetaObject objects[] = {
    {10.25, 20.75, 100.5, 50.125, 0.875, 3, g_quark_from_string ("person"), -1, 0, NULL, 0, 0,
        NULL, 0},
    {150.3, 60.2, 20, 30, 0.5, 1, g_quark_from_string ("car"), 17, 0, NULL, 0, 0, NULL, 0},
    {150.3, 60.2, 20, 30, 0.25, 7, 0, -1, 3, NULL, 0, 0, NULL, 0},
  };
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (elements); i++) {
    GstVideoInfo info;
    GArray *found = through (elements[i], objects, G_N_ELEMENTS (objects), &info);
    const gdouble sx = info.width / 200., sy = info.height / 100.;

    g_assert_cmpint (found->len, ==, 1 + G_N_ELEMENTS (objects));
    g_assert_cmpfloat (g_array_index (found, YoloMetaObject, 0).confidence, <, 0);
    for (j = 0; j < G_N_ELEMENTS (objects); j++) {
      const YoloMetaObject *o = &g_array_index (found, YoloMetaObject, j + 1),
                           *expected = &objects[j];

      assert_near (o->x, expected->x * sx, 1e-3);
      assert_near (o->y, expected->y * sy, 1e-3);
      assert_near (o->w, expected->w * sx, 1e-3);
      assert_near (o->h, expected->h * sy, 1e-3);
      g_assert_cmpfloat (o->confidence, ==, expected->confidence);
      g_assert_cmpint (o->label_id, ==, expected->label_id);
      g_assert_cmpint (o->label, ==, expected->label);
      g_assert_cmpint (o->object_id, ==, expected->object_id);
      g_assert_cmpint (o->slot, ==, expected->slot);
    }
    g_array_unref (found);
  }
}

/* Drops the params as GStreamer 1.22's converters do, in any version. */
static gboolean
drop_params (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  if ((*meta)->info->api == GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE) {
    GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *) *meta;

    g_list_free_full (g_steal_pointer (&region->params), (GDestroyNotify) gst_structure_free);
  }
  return TRUE;
}

static GstVideoRegionOfInterestMeta *
region_of (GstBuffer *buffer, GQuark label)
{
  gpointer state = NULL;
  GstVideoRegionOfInterestMeta *region;

  while ((region = (GstVideoRegionOfInterestMeta *) gst_buffer_iterate_meta_filtered (
              buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)))
    if (region->roi_type == label)
      return region;
  g_assert_not_reached ();
}

/* Notes of two elements are told apart. The pixels of a region that has been moved
 * since count, and one that is gone is no object. */
static void
test_notes (void)
{
  const YoloMetaObject first[] = {
    {10.25, 20.75, 50.5, 50.125, 0.875, 3, g_quark_from_string ("person"),
        5, 0, NULL, 0, 0, NULL, 0},
    {10.25, 20.75, 50.5, 50.125, 0.75, 1, g_quark_from_string ("car"), -1, 0, NULL, 0, 0, NULL, 0},
  };
  const YoloMetaObject second = { 60.25, 20.75, 50.5, 50.125, 0.5, 2, g_quark_from_string ("cat"),
    -1, 0, NULL, 0, 0, NULL, 0 };
  GstBuffer *buffer = gst_buffer_new ();
  GstVideoInfo info;
  GArray *found;
  const YoloMetaObject *o;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  yolo_meta_add (buffer, &info, first, 2, 0);
  yolo_meta_add (buffer, &info, &second, 1, 1);
  gst_buffer_foreach_meta (buffer, drop_params, NULL);
  region_of (buffer, first[0].label)->x += 100;
  /* an id alone is not enough, for the label has to fit too */
  region_of (buffer, first[1].label)->id = region_of (buffer, second.label)->id;
  found = read_objects (buffer, &info);
  g_assert_cmpint (found->len, ==, 3);
  o = &g_array_index (found, YoloMetaObject, 0);
  g_assert_cmpfloat (o->confidence, ==, 0.875);
  g_assert_cmpint (o->object_id, ==, 5);
  g_assert_cmpfloat (o->x, ==, 110);
  g_assert_cmpfloat (o->w, ==, 51);
  o = &g_array_index (found, YoloMetaObject, 1);
  g_assert_cmpint (o->label, ==, first[1].label);
  g_assert_cmpint (o->label_id, ==, -1);
  o = &g_array_index (found, YoloMetaObject, 2);
  g_assert_cmpfloat (o->confidence, ==, 0.5);
  assert_near (o->x, 60.25, 1e-3);
  g_assert_true (yolo_meta_has_notes (buffer));
  yolo_meta_clear (buffer);
  g_assert_false (yolo_meta_has_notes (buffer));
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

static void
test_clear (void)
{
  const YoloMetaObject object = { 10, 10, 10, 10, 0.5, 2, 0, -1, 0, NULL, 0, 0, NULL, 0 };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GArray *found;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 100, 50);
  add_region (buffer, "roi", 0, 0, 1, 1, "roi/x264enc, delta-qp=-5");
  gst_buffer_add_video_meta (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB, 100, 50);
  yolo_meta_add (buffer, &info, &object, 1, 0);
  yolo_meta_add (buffer, &info, &object, 1, 0);
  yolo_meta_clear (buffer);
  found = read_objects (buffer, &info);
  g_assert_cmpint (found->len, ==, 0);
  g_assert_cmpint (
      gst_buffer_get_n_meta (buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE), ==, 1);
  g_assert_nonnull (gst_buffer_get_video_meta (buffer));
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

/* Metadata of the notes' name that somebody else has attached, without notes in them,
 * do no harm. */
static void
test_others_notes (void)
{
  YoloMetaObject object = {
    .label = g_quark_from_string ("person"), .w = 10, .h = 10, .confidence = .5f
  };
  GstBuffer *buffer = gst_buffer_new ();
  GstVideoInfo info;
  GArray *found;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  yolo_meta_add (buffer, &info, &object, 1, 0);         /* registers the name */
  yolo_meta_clear (buffer);
  for (guint i = 0; i < 3; i++) {
    GstStructure *s =
        gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, "YoloObjectNotes"));

    if (i == 1)
      gst_structure_set (s, "objects", G_TYPE_INT, 7, NULL);
    else if (i == 2)
      gst_structure_set (s, "objects", G_TYPE_BYTES, NULL, NULL);
  }
  gst_buffer_add_video_region_of_interest_meta (buffer, "person", 1, 2, 3, 4);
  found = read_objects (buffer, &info);
  g_assert_cmpuint (found->len, ==, 1);
  g_assert_cmpfloat (g_array_index (found, YoloMetaObject, 0).x, ==, 1);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

/* What the engine gives of two objects: 2 points each, and masks of 3 x 2 and of no cells. */
static const YoloObject found_objects[2] = { { .x1 = 10, .y1 = 20, .x2 = 30, .y2 = 40 },
  { .x1 = 50, .y1 = 60, .x2 = 70, .y2 = 80 } };
static float found_points[] = { 12, 24, .75f, 28, 36, .25f, 51, 61, 1, 52, 62, 0 };
static YoloObjectMask found_masks[2] = { { 8, 16, 32, 48, 3, 2, 0 }, { 0, 0, 0, 0, 0, 0, 6 } };
static int16_t found_cells[] = { 1, 2, 3, -4, -5, -6 };
static const YoloDetails found_details = { .keypoints = 2, .points = found_points,
  .masks = found_masks, .cells = found_cells, .n_cells = 6 };

/* A shape goes through copies of a buffer to the object that it was of, whatever else it
 * had; the others have theirs, or none. */
static void
test_shapes (void)
{
  const YoloResult result = { .detections = found_objects, .n_detections = 2,
    .details = &found_details };
  YoloMetaObject objects[3] = { { .x = 2, .y = 4, .w = 20, .h = 20, .label_id = 1 },
    { .x = 20, .y = 8, .w = 20, .h = 20 }, { .x = 42, .y = 44, .w = 20, .h = 20 } };
  GstBuffer *buffer = gst_buffer_new (), *copy;
  const YoloShape *shape;
  GstVideoInfo info;
  GArray *found;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, 160, 80);
  objects[0].shape = yolo_shape_new (&result, 0, 8, 16, 160, 80);
  objects[2].shape = yolo_shape_new (&result, 1, 8, 16, 160, 80);
  yolo_meta_add (buffer, &info, objects, 3, 7);
  copy = gst_buffer_copy (buffer);
  gst_buffer_unref (buffer);
  found = read_objects (copy, &info);
  gst_buffer_unref (copy);

  g_assert_cmpuint (found->len, ==, 3);
  g_assert_null (g_array_index (found, YoloMetaObject, 1).shape);
  for (guint i = 0; i < 3; i += 2)
    g_assert_true (
        g_bytes_equal (g_array_index (found, YoloMetaObject, i).shape, objects[i].shape));
  shape = yolo_shape_get (g_array_index (found, YoloMetaObject, 0).shape);
  g_assert_nonnull (shape);
  g_assert_cmpuint (shape->n_points, ==, 2);
  assert_near (yolo_shape_points (shape)[0], (12 - 8) / 160., 1e-6);
  assert_near (yolo_shape_points (shape)[1], (24 - 16) / 80., 1e-6);
  assert_near (yolo_shape_points (shape)[5], .25, 1e-6);
  g_assert_cmpuint (shape->mask_width * shape->mask_height, ==, 6);
  assert_near (shape->mask[2], (32 - 8) / 160., 1e-6);
  g_assert_cmpint (yolo_shape_cells (shape)[5], ==, -6);
  shape = yolo_shape_get (g_array_index (found, YoloMetaObject, 2).shape);
  assert_near (yolo_shape_points (shape)[3], (52 - 8) / 160., 1e-6);
  g_assert_cmpuint (shape->mask_width, ==, 0);
  g_array_unref (found);
  g_bytes_unref (objects[0].shape);
  g_bytes_unref (objects[2].shape);
}

/* A box needs no shape; a turned one has its corners, in the frame that the caps describe. */
static void
test_turned_shape (void)
{
  const YoloDetails plain = { 0 }, turned = { .turned = TRUE }, whole = { .whole = TRUE };
  const YoloObject object = { .x1 = 20, .y1 = 40, .x2 = 40, .y2 = 50, .angle = (float) G_PI_2 };
  YoloResult result = { .detections = &object, .n_detections = 1, .details = &plain };
  static const gfloat corners[8] = { 35, 35, 35, 55, 25, 55, 25, 35 };
  g_autoptr (GBytes) box = NULL, frame = NULL;

  g_assert_null (yolo_shape_new (&result, 0, 0, 0, 100, 200));
  result.details = &turned;
  box = yolo_shape_new (&result, 0, 5, 10, 100, 200);
  for (guint k = 0; k < 8; k++)
    assert_near (yolo_shape_get (box)->corners[k] * (k % 2 ? 200 : 100),
        corners[k] - (k % 2 ? 10 : 5), 1e-3);
  result.details = &whole;
  frame = yolo_shape_new (&result, 0, 5, 10, 100, 200);
  g_assert_cmpuint (yolo_shape_get (frame)->flags, ==, YOLO_SHAPE_WHOLE);
}

/* Memory that is no shape, which anybody can attach, is none. */
static void
test_hostile_shapes (void)
{
  const YoloResult result = { .detections = found_objects, .n_detections = 2,
    .details = &found_details };
  g_autoptr (GBytes) good = yolo_shape_new (&result, 0, 0, 0, 100, 100);
  gsize size;
  const guint8 *data = g_bytes_get_data (good, &size);
  static const gsize numbers[] = { G_STRUCT_OFFSET (YoloShape, n_points),
    G_STRUCT_OFFSET (YoloShape, mask_width), G_STRUCT_OFFSET (YoloShape, mask_height) };
  static const gfloat nan_float = NAN;

  g_assert_nonnull (yolo_shape_get (good));
  g_assert_null (yolo_shape_get (NULL));
  for (gsize n = 0; n < size; n++) {
    g_autoptr (GBytes) cut = g_bytes_new (data, n);
    g_assert_null (yolo_shape_get (cut));
  }
  for (guint k = 0; k < G_N_ELEMENTS (numbers); k++) {
    static const guint32 values[] = { 0, 1, 100, 0x7fffffff, 0xffffffff };

    for (guint v = 0; v < G_N_ELEMENTS (values); v++) {
      guint8 *bad = g_memdup2 (data, size);
      g_autoptr (GBytes) bytes = NULL;

      memcpy (bad + numbers[k], &values[v], sizeof values[v]);
      bytes = g_bytes_new_take (bad, size);
      g_assert_null (yolo_shape_get (bytes));
    }
  }
  for (gsize at = G_STRUCT_OFFSET (YoloShape, corners); at < sizeof (YoloShape) + 6 * 4; at += 4) {
    guint8 *bad = g_memdup2 (data, size);
    g_autoptr (GBytes) bytes = NULL;

    memcpy (bad + at, &nan_float, sizeof nan_float);
    bytes = g_bytes_new_take (bad, size);
    g_assert_null (yolo_shape_get (bytes));
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/meta/round-trip", test_round_trip);
  g_test_add_func ("/meta/layout", test_layout);
  g_test_add_func ("/meta/foreign", test_foreign);
  g_test_add_func ("/meta/hostile", test_hostile);
  g_test_add_func ("/meta/outside", test_outside);
  g_test_add_func ("/meta/rounding", test_rounding);
  g_test_add_func ("/meta/add-clips", test_add_clips);
  g_test_add_func ("/meta/scaled", test_scaled);
  g_test_add_func ("/meta/elements", test_elements);
  g_test_add_func ("/meta/notes", test_notes);
  g_test_add_func ("/meta/clear", test_clear);
  g_test_add_func ("/meta/others-notes", test_others_notes);
  g_test_add_func ("/meta/shapes", test_shapes);
  g_test_add_func ("/meta/turned-shape", test_turned_shape);
  g_test_add_func ("/meta/hostile-shapes", test_hostile_shapes);
  return g_test_run ();
}
