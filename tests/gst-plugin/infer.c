/* SPDX-License-Identifier: MIT */
/* yoloinfer, fed by a harness: frames of every kind, settings, order. */

#include "infer-common.h"

#include <glib/gstdio.h>
#include <string.h>

static void
push_frame (GstHarness *h, const GstVideoInfo *info, guint number)
{
  GstBuffer *buffer = make_picture (info);

  GST_BUFFER_PTS (buffer) = number * GST_SECOND / 30;
  GST_BUFFER_OFFSET (buffer) = number;
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
}

static void
test_formats (void)
{
  static const struct { const gchar *format; gfloat pixels, slack;
  } formats[] = {
    /* the network sees exactly the same pixels */
    { "BGR", 0, 0 },
    { "RGBA", 0, 0 },
    { "BGRA", 0, 0 },
    { "RGBx", 0, 0 },
    { "BGRx", 0, 0 },
    { "ARGB", 0, 0 },
    { "xRGB", 0, 0 },
    /* GStreamer unpacks the rows */
    { "ABGR", 0, 0 },
    { "GBR", 0, 0 },
    { "ARGB64", 0, 0 },
    { "GBR_12LE", 0, 0 },
    { "r210", 0, 0 },
    /* values are rounded, and there is chroma for every second pixel only */
    { "NV12", 4, 0.05 },
    { "NV21", 4, 0.05 },
    { "I420", 4, 0.05 },
    { "YUY2", 4, 0.05 },
    { "P010_10LE", 4, 0.05 },
    { "I420_10LE", 4, 0.05 },
    { "Y42B", 4, 0.05 },
    { "Y444", 4, 0.05 },
    { "UYVY", 4, 0.05 },
    { "YV12", 4, 0.05 },
    { "AYUV", 4, 0.05 },
    { "I422_10LE", 4, 0.05 },
    { "Y444_12LE", 4, 0.05 },
    { "v210", 4, 0.05 },
    { "NV16", 4, 0.05 },
    { "AYUV64", 4, 0.05 },
    { "NV12_64Z32", 4, 0.05 },
    { "Y444_16BE, colorimetry=(string)1:4:0:0", 4, 0.05 },
    { "NV12, colorimetry=bt709", 4, 0.05 },
    { "NV12, colorimetry=(string)1:1:0:0", 4, 0.05 },
  };
  GstHarness *h = infer_harness (infer_new (LOW, NULL), SMALL);
  g_autoptr (GArray) expected = infer_picture (h, SMALL);
  guint i;

  g_assert_cmpuint (expected->len, >, 3);
  for (i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autofree gchar *caps = g_strdup_printf (
        "video/x-raw,width=128,height=96,framerate=30/1,format=%s", formats[i].format);
    g_autoptr (GArray) found = NULL;

    g_test_message ("%s", formats[i].format);
    gst_harness_set_src_caps_str (h, caps);
    found = infer_picture (h, caps);
    g_assert_cmpuint (assert_same_detections (expected, found, 0, 0, formats[i].pixels,
            formats[i].slack), >, 0);
  }
  infer_teardown (h);
}

/* GRAY8 is seen as the same grey in RGB is. */
static void
test_gray (void)
{
  static const gchar gray[] = "video/x-raw,format=GRAY8,width=128,height=96,framerate=30/1";
  GstHarness *h = infer_harness (infer_new (LOW, NULL), gray);
  g_autoptr (GArray) found = infer_picture (h, gray);
  g_autoptr (GArray) expected = NULL;
  GstVideoInfo from, to;
  GstBuffer *rgb, *picture;
  GstMapInfo in, out;
  gsize i;

  make_info (gray, &from);
  make_info (SMALL, &to);
  picture = make_picture (&from);
  rgb = gst_buffer_new_allocate (NULL, to.size, NULL);
  gst_buffer_map (picture, &in, GST_MAP_READ);
  gst_buffer_map (rgb, &out, GST_MAP_WRITE);
  for (i = 0; i < out.size; i++)
    out.data[i] = in.data[i / 3];
  gst_buffer_unmap (picture, &in);
  gst_buffer_unmap (rgb, &out);
  gst_buffer_unref (picture);

  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, rgb);
  expected = take_detections (gst_harness_pull (h), &to);
  g_assert_cmpuint (assert_same_detections (expected, found, 0, 0, 0, 0), >, 0);
  infer_teardown (h);
}

static void
test_sizes (void)
{
  static const struct { gint width, height; } sizes[] = {
    {1, 1}, {2, 1}, {1, 3}, {3, 5}, {127, 95}, {33, 241}, {16384, 2}, {2, 16384}, {7680, 4320},
  };
  static const gchar *const formats[] = { "NV12", "I420", "YUY2", "RGB", "P010_10LE" };
  static const gchar *const input_sizes[] = { "", "auto" };
  guint i, k, m;

  for (m = 0; m < G_N_ELEMENTS (input_sizes); m++) {
    GstHarness *h = infer_harness (infer_new (LOW, "input-size", input_sizes[m], NULL), NULL);

    for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
      for (k = 0; k < G_N_ELEMENTS (formats); k++) {
        g_autofree gchar *caps = NULL;
        g_autoptr (GArray) found = NULL;
        guint o;

        if (sizes[i].width > 4000 && sizes[i].height > 4000 && k > 0)
          continue;
        caps = g_strdup_printf ("video/x-raw,format=%s,width=%d,height=%d,framerate=30/1",
            formats[k], sizes[i].width, sizes[i].height);
        g_test_message ("%s", caps);
        gst_harness_set_src_caps_str (h, caps);
        found = infer_picture (h, caps);
        for (o = 0; o < found->len; o++) {
          const YoloMetaObject *object = &g_array_index (found, YoloMetaObject, o);

          g_assert_cmpfloat (object->x, >=, 0);
          g_assert_cmpfloat (object->y, >=, 0);
          g_assert_cmpfloat (object->x + object->w, <=, sizes[i].width + 0.01f);
          g_assert_cmpfloat (object->y + object->h, <=, sizes[i].height + 0.01f);
        }
      }
    }
    assert_no_message (h->element, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
    infer_teardown (h);
  }
}

/* The same picture with other strides and offsets, behind a guard of 0xff. */
static GstBuffer *
with_padding (GstBuffer *packed, const GstVideoInfo *info)
{
  gsize offset[GST_VIDEO_MAX_PLANES] = { 0 }, size = 100;
  gint stride[GST_VIDEO_MAX_PLANES] = { 0 };
  GstBuffer *padded;
  GstVideoFrame a, b;
  guint i;

  for (i = 0; i < GST_VIDEO_INFO_N_PLANES (info); i++) {
    stride[i] = GST_VIDEO_INFO_PLANE_STRIDE (info, i) + 52;
    offset[i] = size;
    size += stride[i] * (GST_VIDEO_INFO_HEIGHT (info) + 7);
  }
  padded = gst_buffer_new_allocate (NULL, size, NULL);
  gst_buffer_memset (padded, 0, 0xff, size);
  gst_buffer_add_video_meta_full (padded, GST_VIDEO_FRAME_FLAG_NONE,
      GST_VIDEO_INFO_FORMAT (info), GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info),
      GST_VIDEO_INFO_N_PLANES (info), offset, stride);
  g_assert_true (gst_video_frame_map (&a, info, packed, GST_MAP_READ));
  g_assert_true (gst_video_frame_map (&b, info, padded, GST_MAP_WRITE));
  /* whole rows are copied, for gst_video_frame_copy() leaves out the last chroma of an
   * odd YUY2 */
  for (i = 0; i < GST_VIDEO_INFO_N_PLANES (info); i++) {
    gint row;

    for (row = 0; row < GST_VIDEO_INFO_COMP_HEIGHT (info, i); row++)
      memcpy ((guint8 *) b.data[i] + row * stride[i],
          (guint8 *) a.data[i] + row * a.info.stride[i], a.info.stride[i]);
  }
  gst_video_frame_unmap (&a);
  gst_video_frame_unmap (&b);
  gst_buffer_unref (packed);
  return padded;
}

static void
test_strides (void)
{
  static const gchar *const formats[] = { "NV12", "I420", "YUY2", "P010_10LE", "RGB", "BGRx",
    "GRAY8", "I420_10LE", "Y42B", "UYVY", "I422_10LE", "v210" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autofree gchar *caps = g_strdup_printf (
        "video/x-raw,format=%s,width=127,height=95,framerate=30/1", formats[i]);
    GstHarness *h = infer_harness (infer_new (LOW, NULL), caps);
    g_autoptr (GArray) expected = infer_picture (h, caps);
    g_autoptr (GArray) found = NULL;
    GstVideoInfo info;

    g_test_message ("%s", formats[i]);
    make_info (caps, &info);
    gst_harness_push (h, with_padding (make_picture (&info), &info));
    found = take_detections (gst_harness_pull (h), &info);
    g_assert_cmpuint (assert_same_detections (expected, found, 0, 0, 0, 0), >, 0);
    infer_teardown (h);
  }
}

/* A part of a frame, by roi or by crop, is seen as if it were a frame. */
static void
test_parts (void)
{
  static const struct { gint x, y, w, h; } parts[] = { {40, 20, 64, 64}, {7, 13, 101, 55} };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (parts); i++) {
    const gint x = parts[i].x, y = parts[i].y, w = parts[i].w, h = parts[i].h;
    g_autofree gchar *roi = g_strdup_printf ("%d,%d,%d,%d", x, y, w, h);
    g_autofree gchar *caps = g_strdup_printf (
        "video/x-raw,format=RGB,width=%d,height=%d,framerate=30/1", w, h);
    GstHarness *harness = infer_harness (infer_new (LOW, NULL), caps);
    g_autoptr (GArray) expected = NULL, by_roi = NULL, by_crop = NULL;
    GstVideoInfo info, part;
    GstBuffer *frame;
    GstVideoCropMeta *meta;

    make_info (SMALL, &info);
    make_info (caps, &part);
    frame = make_picture (&info);
    gst_harness_push (harness, crop_picture (frame, &info, &part, x, y));
    expected = take_detections (gst_harness_pull (harness), &part);

    gst_harness_set_src_caps_str (harness, SMALL);
    meta = gst_buffer_add_video_crop_meta (frame);
    meta->x = x;
    meta->y = y;
    meta->width = w;
    meta->height = h;
    gst_harness_push (harness, frame);
    by_crop = take_detections (gst_harness_pull (harness), &info);
    g_object_set (harness->element, "roi", roi, NULL);
    by_roi = infer_picture (harness, SMALL);

    g_assert_cmpuint (assert_same_detections (by_crop, expected, x, y, 0.01, 0.001), >, 0);
    g_assert_cmpuint (assert_same_detections (by_roi, expected, x, y, 0.01, 0.001), >, 0);
    infer_teardown (harness);
  }
}

/* A frame that is larger than its caps say, of which a crop shows as much as they do,
 * with 0xff around it: the detections are in the pixels of the crop. */
static void
test_video_meta_size (void)
{
  static const struct { gint x, y; gfloat pixels; } places[] = {
    {0, 0, 0}, {32, 32, 1}, {0, 32, 1}
  };
  GstHarness *h = infer_harness (infer_new (LOW, NULL), SMALL);
  g_autoptr (GArray) expected = infer_picture (h, SMALL);
  GstVideoInfo info, coded;
  guint i;

  make_info (SMALL, &info);
  make_info ("video/x-raw,format=RGB,width=160,height=128,framerate=30/1", &coded);
  for (i = 0; i < G_N_ELEMENTS (places); i++) {
    GstBuffer *frame = gst_buffer_new_allocate (NULL, coded.size, NULL);
    GstBuffer *picture = make_picture (&info);
    g_autoptr (GArray) found = NULL;
    GstVideoCropMeta *crop;
    GstVideoFrame a, b;
    gint row;

    gst_buffer_memset (frame, 0, 0xff, coded.size);
    gst_video_frame_map (&a, &info, picture, GST_MAP_READ);
    gst_video_frame_map (&b, &coded, frame, GST_MAP_WRITE);
    for (row = 0; row < 96; row++)
      memcpy ((guint8 *) b.data[0] + (places[i].y + row) * b.info.stride[0] + places[i].x * 3,
          (guint8 *) a.data[0] + row * a.info.stride[0], 128 * 3);
    gst_video_frame_unmap (&a);
    gst_video_frame_unmap (&b);
    gst_buffer_unref (picture);
    gst_buffer_add_video_meta (frame, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB, 160, 128);
    crop = gst_buffer_add_video_crop_meta (frame);
    crop->x = places[i].x;
    crop->y = places[i].y;
    crop->width = 128;
    crop->height = 96;
    gst_harness_push (h, frame);
    found = take_detections (gst_harness_pull (h), &info);
    g_assert_cmpuint (found->len, ==, expected->len);
    g_assert_cmpuint (assert_same_detections (found, expected, 0, 0,
            places[i].pixels, places[i].pixels > 0 ? 0.0001 : 0), >, 0);
  }
  infer_teardown (h);
}

static void
test_roi_outside (void)
{
  GstElement *element = infer_new (LOW, "roi", "100,50,1000,1000", NULL);
  GstHarness *h = infer_harness (element, SMALL);
  g_autoptr (GArray) clipped = infer_picture (h, SMALL);
  g_autoptr (GArray) same = NULL, again = NULL, kept = NULL;
  g_autofree gchar *roi = NULL;

  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "clipped to 100,50,28,46");
  again = infer_picture (h, SMALL);
  assert_no_message (element, GST_MESSAGE_WARNING);
  g_object_set (element, "roi", "100,50,28,46", NULL);
  same = infer_picture (h, SMALL);
  g_assert_cmpuint (assert_same_detections (clipped, same, 0, 0, 0, 0), >, 0);
  assert_no_message (element, GST_MESSAGE_WARNING);

  /* a string that is not a region changes nothing */
  g_object_set (element, "roi", "1,2,3", NULL);
  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "roi \"1,2,3\" is not a region");

  /* a region outside of the frames changes nothing either */
  g_object_set (element, "roi", "128,0,10,10", NULL);
  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "roi 128,0,10,10 lies outside of the frame: give x,y,width,height in pixels within 128x96");
  g_object_get (element, "roi", &roi, NULL);
  g_assert_cmpstr (roi, ==, "100,50,28,46");
  kept = infer_picture (h, SMALL);
  g_assert_cmpuint (assert_same_detections (kept, same, 0, 0, 0, 0), >, 0);
  assert_no_message (element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  infer_teardown (h);
}

/* A roi outside of the frame is an error at the start. Later, frames that become too
 * small for it are looked at as a whole, with a warning, until they have grown again. */
static void
test_roi_and_caps (void)
{
  static const gchar tiny[] = "video/x-raw,format=RGB,width=64,height=48,framerate=25/1";
  GstElement *element = infer_new (LOW, "roi", "64,48,64,48", NULL);
  GstHarness *h = infer_harness (element, tiny);
  g_autoptr (GArray) before = NULL, small = NULL, all = NULL, after = NULL;
  g_autofree gchar *roi = NULL;
  GstVideoInfo info;

  make_info (tiny, &info);
  g_assert_cmpint (gst_harness_push (h, make_picture (&info)), ==, GST_FLOW_ERROR);
  check_message (element, GST_MESSAGE_ERROR, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "roi 64,48,64,48 lies outside of the frame: give x,y,width,height in pixels within 64x48");

  gst_harness_set_src_caps_str (h, SMALL);
  before = infer_picture (h, SMALL);
  gst_harness_set_src_caps_str (h, tiny);
  small = infer_picture (h, tiny);
  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "within 64x48");
  g_array_unref (infer_picture (h, tiny));
  assert_no_message (element, GST_MESSAGE_WARNING);
  g_object_get (element, "roi", &roi, NULL);
  g_assert_cmpstr (roi, ==, "64,48,64,48");
  gst_harness_set_src_caps_str (h, SMALL);
  after = infer_picture (h, SMALL);
  g_assert_cmpuint (assert_same_detections (before, after, 0, 0, 0, 0), >, 0);

  g_object_set (element, "roi", "", NULL);
  gst_harness_set_src_caps_str (h, tiny);
  all = infer_picture (h, tiny);
  g_assert_cmpuint (assert_same_detections (small, all, 0, 0, 0, 0), >, 0);
  assert_no_message (element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  infer_teardown (h);
}

/* Gives @value another value than the property has. */
static void
change_value (GParamSpec *pspec, GValue *value)
{
  if (G_IS_PARAM_SPEC_STRING (pspec))
    g_value_set_string (value, "/another");
  else if (G_IS_PARAM_SPEC_UINT (pspec))
    g_value_set_uint (value, g_value_get_uint (value) + 1);
  else if (G_IS_PARAM_SPEC_DOUBLE (pspec))
    g_value_set_double (value, g_value_get_double (value) / 2);
  else if (G_IS_PARAM_SPEC_ENUM (pspec))
    g_value_set_enum (value, g_value_get_enum (value) == 1 ? 2 : 1);
  else
    g_error ("%s: of no known type", pspec->name);
}

/* A property that is read at the start only posts a warning when it is set later, and
 * stays. */
static void
test_fixed_properties (void)
{
  GstElement *element = infer_new (LOW, "device", "cpu", NULL);
  GstHarness *h = infer_harness (element, SMALL);
  GObject *object = G_OBJECT (element);
  g_autofree GParamSpec **pspecs = NULL;
  guint n, i, fixed = 0;

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);
  for (i = 0; i < n; i++) {
    g_auto (GValue) old = G_VALUE_INIT, other = G_VALUE_INIT, now = G_VALUE_INIT;

    if (pspecs[i]->owner_type != G_OBJECT_TYPE (element)
        || !(pspecs[i]->flags & GST_PARAM_MUTABLE_READY))
      continue;
    fixed++;
    g_value_init (&old, pspecs[i]->value_type);
    g_value_init (&other, pspecs[i]->value_type);
    g_value_init (&now, pspecs[i]->value_type);
    g_object_get_property (object, pspecs[i]->name, &old);
    g_value_copy (&old, &other);
    g_object_set_property (object, pspecs[i]->name, &old);
    assert_no_message (element, GST_MESSAGE_WARNING);

    change_value (pspecs[i], &other);
    g_object_set_property (object, pspecs[i]->name, &other);
    check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        pspecs[i]->name);
    g_object_get_property (object, pspecs[i]->name, &now);
    g_assert_cmpint (g_param_values_cmp (pspecs[i], &now, &old), ==, 0);
  }
  g_assert_cmpuint (fixed, >, 10);
  g_array_unref (infer_picture (h, SMALL));

  gst_element_set_state (element, GST_STATE_READY);
  g_object_set (element, "model-file", "/another", NULL);
  assert_no_message (element, GST_MESSAGE_WARNING);
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
  g_object_set (element, "model-file", "/yet/another", NULL);
  assert_no_message (element, GST_MESSAGE_WARNING);
  infer_teardown (h);
}

/* The pixels stay where they are, and whoever shares the buffer sees no change. */
static void
test_shared_buffer (void)
{
  GstHarness *h = infer_harness (infer_new (LOW, NULL), SMALL);
  GstVideoInfo info;
  GstBuffer *in, *out;
  GstMemory *memory;

  make_info (SMALL, &info);
  in = make_picture (&info);
  memory = gst_buffer_peek_memory (in, 0);
  gst_harness_push (h, gst_buffer_ref (in));
  out = gst_harness_pull (h);
  g_assert_true (gst_buffer_peek_memory (out, 0) == memory);
  g_assert_cmpuint (gst_buffer_get_n_meta (out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE), >, 0);
  g_assert_cmpuint (gst_buffer_get_n_meta (in, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE), ==, 0);
  gst_buffer_unref (out);
  gst_buffer_unref (in);

  /* a buffer that is not shared is not replaced either */
  in = make_picture (&info);
  gst_harness_push (h, in);
  out = gst_harness_pull (h);
  g_assert_true (in == out);
  gst_buffer_unref (out);
  infer_teardown (h);
}

static void
test_no_pts (void)
{
  GstHarness *h = infer_harness (infer_new (LOW, NULL), SMALL);
  GstVideoInfo info;
  guint i;

  make_info (SMALL, &info);
  for (i = 0; i < 5; i++) {
    GstBuffer *buffer = make_picture (&info);

    GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_OFFSET (buffer) = i;
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  }
  for (i = 0; i < 5; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    g_assert_cmpuint (GST_BUFFER_OFFSET (buffer), ==, i);
    g_assert_false (GST_BUFFER_PTS_IS_VALID (buffer));
    g_assert_cmpuint (gst_buffer_get_n_meta (buffer,
            GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE), >, 0);
    gst_buffer_unref (buffer);
  }
  infer_teardown (h);
}

/* Notes what leaves the source pad, a word each: the offset of buffers, the names of
 * events. */
static GstPadProbeReturn
note (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  GString *log = user_data;

  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    g_string_append_printf (log, " %d",
        (gint) GST_BUFFER_OFFSET (GST_PAD_PROBE_INFO_BUFFER (info)));
  } else {
    GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);

    if (GST_EVENT_TYPE (event) == GST_EVENT_CAPS) {
      GstCaps *caps;

      gst_event_parse_caps (event, &caps);
      g_string_append_printf (log, " %s",
          gst_structure_get_string (gst_caps_get_structure (caps, 0), "format"));
    } else {
      g_string_append_printf (log, " %s", GST_EVENT_TYPE_NAME (event));
    }
  }
  return GST_PAD_PROBE_OK;
}

static void
watch_src (GstHarness *h, GString *log)
{
  GstPad *pad = gst_element_get_static_pad (h->element, "src");

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM
      | GST_PAD_PROBE_TYPE_EVENT_FLUSH, note, log, NULL);
  gst_object_unref (pad);
}

/* Everything leaves in the order in which it came, whatever frames are under way. */
static void
test_order (void)
{
  static const gchar nv12[] = "video/x-raw,format=NV12,width=640,height=360,framerate=30/1";
  GstHarness *h = infer_harness (infer_new ("max-in-flight", "8", NULL), NULL);
  g_autoptr (GString) log = g_string_new (NULL);
  GstVideoInfo rgb, yuv;
  guint i;

  make_info (SMALL, &rgb);
  make_info (nv12, &yuv);
  watch_src (h, log);
  gst_harness_set_src_caps_str (h, SMALL);
  for (i = 0; i < 3; i++)
    push_frame (h, &rgb, i);
  gst_harness_push_event (h, gst_event_new_tag (gst_tag_list_new_empty ()));
  push_frame (h, &rgb, 3);
  push_frame (h, &rgb, 4);
  gst_harness_set_src_caps_str (h, nv12);
  push_frame (h, &yuv, 5);
  push_frame (h, &yuv, 6);
  gst_harness_push_event (h, gst_event_new_gap (7 * GST_SECOND / 30, GST_SECOND / 30));
  push_frame (h, &yuv, 8);
  gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
          gst_structure_new_empty ("test")));
  for (i = 9; i < 14; i++)
    push_frame (h, &yuv, i);
  gst_harness_push_event (h, gst_event_new_eos ());

  /* everything has left by now, since EOS has waited for the frames */
  g_assert_cmpstr (log->str, ==,
      " stream-start RGB segment custom-downstream-sticky 0 1 2 tag 3 4 NV12 segment 5 6 gap 8 "
      "custom-downstream 9 10 11 12 13 eos");
  g_assert_cmpuint (infer_count (h->element, "frames"), ==, 13);
  infer_teardown (h);
}

static void
test_eos_first (void)
{
  GstHarness *h = infer_harness (infer_new (NULL), NULL);
  g_autoptr (GString) log = g_string_new (NULL);

  watch_src (h, log);
  gst_harness_push_event (h, gst_event_new_eos ());
  g_assert_cmpstr (log->str, ==, " stream-start eos");
  infer_teardown (h);
}

/* Checks that @n buffers come, and then no other one. */
static void
pull_all (GstHarness *h, guint n)
{
  while (n-- > 0)
    gst_buffer_unref (gst_harness_pull (h));
  g_assert_null (gst_harness_try_pull (h));
}

static void
test_flush (void)
{
  GstHarness *h = infer_harness (infer_new ("max-in-flight", "16", NULL), SMALL);
  GstVideoInfo info;
  GstBuffer *buffer;
  GstSegment segment;
  guint round, i;

  make_info (SMALL, &info);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  for (round = 0; round < 20; round++) {
    for (i = 0; i < 10; i++)
      push_frame (h, &info, i);
    gst_harness_push_event (h, gst_event_new_flush_start ());
    g_assert_cmpint (gst_harness_push (h, make_picture (&info)), ==, GST_FLOW_FLUSHING);
    gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
    gst_harness_push_event (h, gst_event_new_segment (&segment));
    while ((buffer = gst_harness_try_pull (h)))
      gst_buffer_unref (buffer);
    /* no frame from before the flush comes after it */
    push_frame (h, &info, 100 + round);
    buffer = gst_harness_pull (h);
    g_assert_cmpuint (GST_BUFFER_OFFSET (buffer), ==, 100 + round);
    gst_buffer_unref (buffer);
  }
  infer_teardown (h);
}

/* Frames are under way when the element goes: their buffers go with it. */
static void
test_stop_under_way (void)
{
  GstVideoInfo info;
  guint round, i;

  make_info (SMALL, &info);
  for (round = 0; round < 10; round++) {
    GstHarness *h = infer_harness (infer_new ("max-in-flight", "16", NULL), SMALL);
    GstBuffer *buffers[10];

    for (i = 0; i < 10; i++) {
      buffers[i] = make_picture (&info);
      g_assert_cmpint (gst_harness_push (h, gst_buffer_ref (buffers[i])), ==, GST_FLOW_OK);
    }
    infer_teardown (h);
    for (i = 0; i < 10; i++) {
      g_assert_cmpint (GST_MINI_OBJECT_REFCOUNT_VALUE (buffers[i]), ==, 1);
      gst_buffer_unref (buffers[i]);
    }
  }
}

static gboolean
has_objects (GstBuffer *buffer)
{
  gboolean has = gst_buffer_get_n_meta (buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE) > 0;

  gst_buffer_unref (buffer);
  return has;
}

static void
test_interval (void)
{
  GstHarness *h = infer_harness (infer_new (LOW, "inference-interval", "3", NULL), SMALL);
  GstVideoInfo info;
  g_autoptr (GArray) first = NULL;
  guint i;

  make_info (SMALL, &info);
  for (i = 0; i < 9; i++) {
    push_frame (h, &info, i);
    g_assert_cmpint (has_objects (gst_harness_pull (h)), ==, i % 3 == 0);
  }
  g_assert_cmpuint (infer_count (h->element, "frames"), ==, 9);
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, 3);
  g_assert_cmpuint (infer_count (h->element, "skipped"), ==, 6);

  /* frame 9 is inferred, and 10 and 11 get its detections, while several are under way */
  g_object_set (h->element, "repeat-detections", TRUE, NULL);
  first = infer_picture (h, SMALL);
  for (i = 10; i < 12; i++) {
    g_autoptr (GArray) repeated = infer_picture (h, SMALL);

    g_assert_cmpuint (repeated->len, ==, first->len);
    assert_same_detections (first, repeated, 0, 0, 0, 0);
  }
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, 4);

  /* after new caps nothing is repeated: the first frame of the new size is inferred */
  gst_buffer_unref ((push_frame (h, &info, 12), gst_harness_pull (h)));
  gst_harness_set_src_caps_str (h, "video/x-raw,format=RGB,width=64,height=64,framerate=30/1");
  make_info ("video/x-raw,format=RGB,width=64,height=64,framerate=30/1", &info);
  push_frame (h, &info, 13);
  gst_buffer_unref (gst_harness_pull (h));
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, 6);

  g_object_set (h->element, "inference-interval", 1, NULL);
  for (i = 0; i < 3; i++)
    push_frame (h, &info, i);
  pull_all (h, 3);
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, 9);
  infer_teardown (h);
}

static void
test_class_ids (void)
{
  static const struct { const gchar *ids; gboolean wanted[MODEL_CLASSES]; } table[] = {
    {"0", {1, 0, 0}}, {"beta", {0, 1, 0}}, {"0,2", {1, 0, 1}}, {" gamma , 0", {1, 0, 1}},
    {"alpha,beta,gamma", {1, 1, 1}}, {"", {1, 1, 1}},
  };
  GstElement *element = infer_new (LOW, NULL);
  GstHarness *h = infer_harness (element, SMALL);
  g_autoptr (GArray) all = infer_picture (h, SMALL);
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    g_autoptr (GArray) found = NULL;
    guint n[MODEL_CLASSES] = { 0 };

    g_object_set (element, "class-ids", table[i].ids, NULL);
    found = infer_picture (h, SMALL);
    for (k = 0; k < found->len; k++)
      n[g_array_index (found, YoloMetaObject, k).label_id]++;
    for (k = 0; k < MODEL_CLASSES; k++) {
      if (!table[i].wanted[k])
        g_assert_cmpuint (n[k], ==, 0);
    }
    g_assert_cmpuint (found->len, >, 0);
  }

  /* the error names what is unknown, and nothing changes */
  g_object_set (element, "class-ids", "1", NULL);
  g_object_set (element, "class-ids", "0,delta", NULL);
  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "\"delta\"");
  {
    g_autoptr (GArray) found = infer_picture (h, SMALL);

    for (k = 0; k < found->len; k++)
      g_assert_cmpint (g_array_index (found, YoloMetaObject, k).label_id, ==, 1);
  }
  infer_teardown (h);
}

/* A list as CSV has it. `good`: which classes the list chooses of a model with the
 * names `names`; NULL: the list is wrong. */
static void
test_class_ids_quoted (void)
{
  static const struct { const gchar *names, *ids; gboolean good[MODEL_CLASSES]; } table[] = {
    {"['a, w', 'say \"x\"', '2 x']", "\"a, w\"", {1, 0, 0}},
    {"['a, w', 'say \"x\"', '2 x']", "a, w", {1, 0, 0}},
    {"['a, w', 'say \"x\"', '2 x']", " \"a, w\" , say \"x\",2", {1, 1, 1}},
    {"['a, w', 'say \"x\"', '2 x']", "\"say \"\"x\"\"\"", {0, 1, 0}},
    {"['a, w', 'say \"x\"', '2 x']", "2 x", {0, 0, 1}},
    {"['a, w', 'say \"x\"', '2 x']", "a", {0, 0, 0}},
    {"['a, w', 'say \"x\"', '2 x']", "\"a, w\"2", {0, 0, 0}},
    {"['a, w', 'say \"x\"', '2 x']", "\"a, w", {0, 0, 0}},
    {"['a, w', 'say \"x\"', '2 x']", "\"a, w\",", {0, 0, 0}},
    {"['a', '0', '07']", "0", {1, 0, 0}},
    {"['a', '0', '07']", "1,\"0\"", {0, 1, 0}},
    {"['a', '0', '07']", "\"07\"", {0, 0, 1}},
    {"['a', '0', '07']", "7", {0, 0, 0}},
    {"['a', '\"q\"', 'a']", "\"\"\"q\"\"\",a", {1, 1, 1}},
  };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    g_autofree gchar *model = model_with_names (table[i].names);
    GstElement *element = infer_new (LOW, "model-file", model, "class-ids", "1", NULL);
    GstHarness *h = infer_harness (element, SMALL);
    const gboolean *good = table[i].good;
    const gboolean is_good = good[0] || good[1] || good[2];
    guint n[MODEL_CLASSES] = { 0 };
    g_autoptr (GArray) found = NULL;
    g_autofree gchar *reads = NULL;

    g_test_message ("%s: %s", table[i].names, table[i].ids);
    g_object_set (element, "class-ids", table[i].ids, NULL);
    g_object_get (element, "class-ids", &reads, NULL);
    g_assert_cmpstr (reads, ==, is_good ? table[i].ids : "1");
    if (!is_good)
      check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          table[i].ids);
    found = infer_picture (h, SMALL);
    for (k = 0; k < found->len; k++)
      n[g_array_index (found, YoloMetaObject, k).label_id]++;
    for (k = 0; k < MODEL_CLASSES; k++)
      g_assert_true ((n[k] > 0) == (is_good ? good[k] : k == 1));
    assert_no_message (element, GST_MESSAGE_WARNING);
    infer_teardown (h);
    g_unlink (model);
  }
}

/* The example that the error gives can be used as it stands. */
static void
test_class_ids_example (void)
{
  g_autofree gchar *model = model_with_names ("['a, \"w\"', 'b', 'c']");
  GstElement *element = infer_new (LOW, "model-file", model, NULL);
  GstHarness *h = infer_harness (element, SMALL);

  g_object_set (element, "class-ids", "a", NULL);
  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "for instance \"a, \"\"w\"\"\" ");
  g_object_set (element, "class-ids", "\"a, \"\"w\"\"\"", NULL);
  assert_no_message (element, GST_MESSAGE_WARNING);
  infer_teardown (h);
  g_unlink (model);
}

static void
test_thresholds (void)
{
  GstHarness *h = infer_harness (infer_new ("confidence-threshold", "0.01", NULL), SMALL);
  g_autoptr (GArray) many = infer_picture (h, SMALL);
  g_autoptr (GArray) some = NULL, one = NULL, none = NULL, overlapping = NULL, agnostic = NULL;
  gfloat middle;
  guint i;

  g_assert_cmpuint (many->len, >, 2);
  middle = g_array_index (many, YoloMetaObject, many->len / 2).confidence;
  g_object_set (h->element, "confidence-threshold", (gdouble) middle, NULL);
  some = infer_picture (h, SMALL);
  g_assert_cmpuint (some->len, <, many->len);
  for (i = 0; i < some->len; i++)
    g_assert_cmpfloat (g_array_index (some, YoloMetaObject, i).confidence, >=, middle);

  g_object_set (h->element, "confidence-threshold", 1., NULL);
  none = infer_picture (h, SMALL);
  g_assert_cmpuint (none->len, ==, 0);

  g_object_set (h->element, "confidence-threshold", 0.01, "max-detections", 1, NULL);
  one = infer_picture (h, SMALL);
  g_assert_cmpuint (one->len, ==, 1);
  g_assert_cmpfloat (g_array_index (one, YoloMetaObject, 0).confidence, ==,
      g_array_index (many, YoloMetaObject, 0).confidence);

  g_object_set (h->element, "max-detections", 300, "iou-threshold", 1., NULL);
  overlapping = infer_picture (h, SMALL);
  g_assert_cmpuint (overlapping->len, >=, many->len);
  g_object_set (h->element, "iou-threshold", 0.1, "agnostic-nms", TRUE, NULL);
  agnostic = infer_picture (h, SMALL);
  g_assert_cmpuint (agnostic->len, <, overlapping->len);
  infer_teardown (h);
}

/* One place is objects of several classes, if that is wanted, and one of a class that is asked
 * for though another one is better there. */
static void
test_multi_label (void)
{
  GstHarness *h = infer_harness (infer_new ("confidence-threshold", "0.01", NULL), SMALL);
  g_autoptr (GArray) best = infer_picture (h, SMALL), all = NULL, best_of_class = NULL,
                     all_of_class = NULL;
  guint n = 0;

  g_object_set (h->element, "multi-label", TRUE, NULL);
  all = infer_picture (h, SMALL);
  g_assert_cmpuint (all->len, >, best->len);
  g_assert_cmpuint (all->len, <, 300);
  g_object_set (h->element, "class-ids", "1", NULL);
  all_of_class = infer_picture (h, SMALL);
  for (guint i = 0; i < all->len; i++)
    n += g_array_index (all, YoloMetaObject, i).label_id == 1;
  g_assert_cmpuint (all_of_class->len, ==, n);
  g_object_set (h->element, "multi-label", FALSE, NULL);
  best_of_class = infer_picture (h, SMALL);
  g_assert_cmpuint (best_of_class->len, <, n);
  infer_teardown (h);
}

static void
test_labels (void)
{
  static const struct { const gchar *text, *warning, *names[MODEL_CLASSES]; } table[] = {
    {"one\ntwo\nthree\n", NULL, {"one", "two", "three"}},
    {"one\r\ntwo\r\nthree", NULL, {"one", "two", "three"}},
    {"Straße\n", ": 1 names for 3 classes", {"Straße", "1", "2"}},
    {"a\nb\nc\nd\n", ": 4 names for 3 classes", {"a", "b", "c"}},
    {"", ": 0 names for 3 classes", {"0", "1", "2"}},
    {"a\n\xff\nc", NULL, {"a", "\xef\xbf\xbd", "c"}},
    {"\xef\xbb\xbf" "alpha\r\n  two words \r\nc\r\n\r\n \n\n", NULL, {"alpha", "two words", "c"}},
    {"a\n\nc\n", ": 2 names for 3 classes, the rest is named by number", {"a", "1", "c"}},
    {"\xef\xbb\xbf", ": 0 names for 3 classes", {"0", "1", "2"}},
  };
  g_autofree gchar *file = NULL;
  gint fd = g_file_open_tmp ("labels-XXXXXX", &file, NULL);
  guint i, k;

  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    GstElement *element = infer_new (LOW, "label-file", file, NULL);
    GstHarness *h;
    g_autoptr (GArray) found = NULL;
    GstMessage *message;
    const GValue *names;

    g_assert_true (g_file_set_contents (file, table[i].text, -1, NULL));
    h = infer_harness (element, SMALL);
    if (table[i].warning)
      check_message (element, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_SETTINGS, table[i].warning);
    message = pop_message (element, GST_MESSAGE_ELEMENT);
    names = gst_structure_get_value (gst_message_get_structure (message), "names");
    g_assert_cmpuint (gst_value_array_get_size (names), ==, MODEL_CLASSES);
    for (k = 0; k < MODEL_CLASSES; k++)
      g_assert_cmpstr (g_value_get_string (gst_value_array_get_value (names, k)), ==,
          table[i].names[k]);
    gst_message_unref (message);

    found = infer_picture (h, SMALL);
    g_assert_cmpuint (found->len, >, 0);
    for (k = 0; k < found->len; k++) {
      const YoloMetaObject *o = &g_array_index (found, YoloMetaObject, k);

      g_assert_cmpstr (g_quark_to_string (o->label), ==, table[i].names[o->label_id]);
    }
    assert_no_message (element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
    infer_teardown (h);
  }
  g_unlink (file);
}

/* Names in the metadata that do not fit the classes are a warning, unless a label file gives
 * better ones. */
static void
test_model_names (void)
{
  static const struct { const gchar *names, *warning, *first, *last; } table[] = {
    {"{\"0\": \"a\", \"1\": \"b\", \"2\":\"c\"}", NULL, "a", "c"},
    {"['a', 'b']", "name 2 of the 3 classes, the rest is named by number", "a", "2"},
    {"a,b,c,d,e", "name 3 of the 3 classes, and 2 that are not in the network", "a", "c"},
    {"{0: 'a'", "not understood", "0", "2"},
  };
  g_autofree gchar *labels = NULL;
  gint fd = g_file_open_tmp ("labels-XXXXXX", &labels, NULL);
  guint i, given;

  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_assert_true (g_file_set_contents (labels, "one\ntwo\nthree\n", -1, NULL));
  for (i = 0; i < 2 * G_N_ELEMENTS (table); i++) {
    g_autofree gchar *model = model_with_names (table[i / 2].names);
    GstElement *element;
    GstMessage *message;
    const GValue *names;

    given = i % 2;
    element = gst_object_ref_sink (infer_new ("model-file", model, "label-file",
            given ? labels : "", NULL));
    g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
        GST_STATE_CHANGE_SUCCESS);
    if (!given && table[i / 2].warning)
      check_message (element, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
          table[i / 2].warning);
    assert_no_message (element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
    gst_element_set_state (element, GST_STATE_READY);
    g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
        GST_STATE_CHANGE_SUCCESS);
    message = pop_message (element, GST_MESSAGE_ELEMENT);
    names = gst_structure_get_value (gst_message_get_structure (message), "names");
    g_assert_cmpstr (g_value_get_string (gst_value_array_get_value (names, 0)), ==,
        given ? "one" : table[i / 2].first);
    g_assert_cmpstr (g_value_get_string (gst_value_array_get_value (names, 2)), ==,
        given ? "three" : table[i / 2].last);
    gst_message_unref (message);
    infer_free (element);
    g_unlink (model);
  }
  g_unlink (labels);
}

/* A checkpoint of PyTorch and the ONNX file of the same network find the same objects. */
static void
test_checkpoint (void)
{
  static const gchar caps[] = "video/x-raw,format=RGB,width=80,height=60";
  g_autofree gchar *path = g_build_filename (g_getenv ("CHECKPOINTS"), "v8n.pt", NULL);
  GstHarness *onnx = infer_harness (infer_new (NULL), caps);
  GstHarness *torch = infer_harness (infer_new ("model-file", path, NULL), caps);
  GArray *a = infer_picture (onnx, caps), *b = infer_picture (torch, caps);

  g_assert_cmpuint (assert_same_detections (a, b, 0, 0, .01f, .0001f), >, 0);
  g_array_unref (a);
  g_array_unref (b);
  infer_teardown (onnx);
  infer_teardown (torch);
}

/* Text that comes out of files and is told on the bus cannot command a terminal or
 * forge a line. */
static void
test_printable (void)
{
  g_autofree gchar *model = model_with_names ("['\\x1b[31mred\\nERROR: x','b','c']");
  GstElement *element = infer_new (LOW, "model-file", model, NULL);
  GstHarness *h = infer_harness (element, SMALL);
  gchar *labels = NULL;

  g_object_set (element, "class-ids", "q", NULL);
  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "\\x1b[31mred\\x0aERROR: x");
  g_object_set (element, "class-ids", "\x1b[31m", NULL);
  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "\\x1b[31m");
  g_object_set (element, "roi", "\x1b[31m", NULL);
  check_message (element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "\\x1b[31m");
  infer_teardown (h);

  g_assert_cmpint (g_close (g_file_open_tmp ("\x1b[31m\n-XXXXXX", &labels, NULL), NULL), ==, TRUE);
  element = gst_object_ref_sink (infer_new ("label-file", labels, NULL));
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_SUCCESS);
  check_message (element, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
      "\\x1b[31m\\x0a-");
  gst_element_set_state (element, GST_STATE_NULL);
  g_unlink (labels);
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  check_message (element, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
      "\\x1b[31m\\x0a-");
  infer_free (element);
  g_free (labels);
  g_unlink (model);
}

static void
test_model_message (void)
{
  static const struct { const gchar *set, *told; } sizes[] = {
    {"", "64x64"}, {"96", "96x96"}, {"128x64", "128x64"}, {"auto", "auto"}
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    GstElement *element = infer_new ("input-size", sizes[i].set, "device", "cpu",
        "precision", "fp32", NULL);
    GstHarness *h = infer_harness (element, SMALL);
    GstMessage *message = pop_message (element, GST_MESSAGE_ELEMENT);
    const GstStructure *s = gst_message_get_structure (message);
    g_autofree gchar *model = data_path (MODEL), *bytes = NULL, *sha256 = NULL;
    gsize length;
    guint n;

    g_assert_true (g_file_get_contents (model, &bytes, &length, NULL));
    sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (guchar *) bytes, length);
    g_assert_true (gst_structure_has_name (s, "yoloinfer-model"));
    g_assert_cmpstr (gst_structure_get_string (s, "file"), ==, model);
    g_assert_cmpstr (gst_structure_get_string (s, "task"), ==, "detect");
    g_assert_cmpstr (gst_structure_get_string (s, "input-size"), ==, sizes[i].told);
    g_assert_cmpstr (gst_structure_get_string (s, "precision"), ==, "fp32");
    g_assert_cmpstr (gst_structure_get_string (s, "device"), ==, "cpu");
    g_assert_cmpstr (gst_structure_get_string (s, "sha256"), ==, sha256);
    g_assert_true (gst_structure_get_uint (s, "classes", &n) && n == MODEL_CLASSES);
    g_assert_true (gst_structure_get_uint (s, "stride", &n) && n == MODEL_STRIDE);
    gst_message_unref (message);
    infer_teardown (h);
  }
}

/* input-size=auto is the smallest rectangle in multiples of the model's stride, whose
 * longer side is that of the exported model. */
static void
test_auto_size (void)
{
  static const struct { const gchar *frame, *roi, *seen; } table[] = {
    {"width=128,height=96", "", "64x64"}, {"width=160,height=40", "", "64x32"},
    {"width=40,height=160", "", "32x64"}, {"width=1920,height=1080", "", "64x64"},
    {"width=1920,height=1080", "0,0,1000,200", "64x32"},
  };
  GstHarness *h = infer_harness (infer_new ("input-size", "auto", NULL), NULL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    g_autofree gchar *caps = g_strdup_printf ("video/x-raw,format=NV12,framerate=30/1,%s",
        table[i].frame);
    GstStructure *stats;

    g_object_set (h->element, "roi", table[i].roi, NULL);
    gst_harness_set_src_caps_str (h, caps);
    g_array_unref (infer_picture (h, caps));
    g_object_get (h->element, "stats", &stats, NULL);
    g_assert_cmpstr (gst_structure_get_string (stats, "input-size"), ==, table[i].seen);
    gst_structure_free (stats);
  }
  infer_teardown (h);
}

static void
test_stats (void)
{
  static const gchar *const stages[] = {
    "queued", "preprocess", "network", "postprocess", "total"
  };
  GstHarness *h = infer_harness (infer_new (NULL), SMALL);
  GstStructure *stats;
  GstVideoInfo info;
  guint64 p50, p95, p99, total = 0, parts = 0;
  gdouble mean;
  guint i;

  make_info (SMALL, &info);
  for (i = 0; i < 40; i++)
    push_frame (h, &info, i);
  gst_harness_push_event (h, gst_event_new_eos ());

  g_object_get (h->element, "stats", &stats, NULL);
  g_assert_cmpuint (infer_count (h->element, "frames"), ==, 40);
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, 40);
  g_assert_cmpuint (infer_count (h->element, "dropped"), ==, 0);
  g_assert_cmpuint (infer_count (h->element, "batches"), ==, 40);
  g_assert_true (gst_structure_get_double (stats, "mean-batch", &mean));
  g_assert_cmpfloat (mean, ==, 1);
  g_assert_cmpstr (gst_structure_get_string (stats, "input-size"), ==, "64x64");
  for (i = 0; i < G_N_ELEMENTS (stages); i++) {
    g_autofree gchar *a = g_strconcat (stages[i], "-p50", NULL);
    g_autofree gchar *b = g_strconcat (stages[i], "-p95", NULL);
    g_autofree gchar *c = g_strconcat (stages[i], "-p99", NULL);

    g_assert_true (gst_structure_get (stats, a, G_TYPE_UINT64, &p50, b, G_TYPE_UINT64, &p95,
            c, G_TYPE_UINT64, &p99, NULL));
    g_assert_cmpuint (p50, <=, p95);
    g_assert_cmpuint (p95, <=, p99);
    if (strcmp (stages[i], "total") == 0)
      total = p99;
    else
      parts = MAX (parts, p50);
  }
  g_assert_cmpuint (total, >=, parts);
  g_assert_cmpuint (total, >, 0);
  gst_structure_free (stats);
  infer_teardown (h);
}

/* Batches form out of the frames of one stream too, if enough of them may be under way. */
static void
test_batches (void)
{
  GstHarness *h = infer_harness (infer_new ("max-in-flight", "8", "batch-size", "4",
          "batch-timeout", "1000000000", NULL), SMALL);
  GstVideoInfo info;
  guint i;

  make_info (SMALL, &info);
  for (i = 0; i < 16; i++)
    push_frame (h, &info, i);
  gst_harness_push_event (h, gst_event_new_eos ());
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, 16);
  g_assert_cmpuint (infer_count (h->element, "batches"), ==, 4);
  infer_teardown (h);
}

static void
test_latency (void)
{
  GstElement *element = infer_new ("max-in-flight", "3", "batch-timeout", "20000000", NULL);
  GstHarness *h = infer_harness (element, NULL);
  GstMessage *message;

  gst_harness_set_upstream_latency (h, 50 * GST_MSECOND);
  /* the frame rate is not known yet */
  g_assert_cmpuint (gst_harness_query_latency (h), ==, 70 * GST_MSECOND);
  while ((message = gst_bus_pop_filtered (element_bus (element), GST_MESSAGE_LATENCY)))
    gst_message_unref (message);

  gst_harness_set_src_caps_str (h, "video/x-raw,format=RGB,width=64,height=64,framerate=25/1");
  gst_message_unref (pop_message (element, GST_MESSAGE_LATENCY));
  g_assert_cmpuint (gst_harness_query_latency (h), ==, 190 * GST_MSECOND);
  /* the same frame rate changes nothing */
  gst_harness_set_src_caps_str (h, "video/x-raw,format=RGB,width=128,height=64,framerate=25/1");
  assert_no_message (element, GST_MESSAGE_LATENCY);
  g_object_set (element, "batch-timeout", 40 * GST_MSECOND, NULL);
  gst_message_unref (pop_message (element, GST_MESSAGE_LATENCY));
  g_assert_cmpuint (gst_harness_query_latency (h), ==, 210 * GST_MSECOND);
  gst_harness_set_src_caps_str (h, "video/x-raw,format=RGB,width=128,height=64,framerate=0/1");
  gst_message_unref (pop_message (element, GST_MESSAGE_LATENCY));
  g_assert_cmpuint (gst_harness_query_latency (h), ==, 90 * GST_MSECOND);
  infer_teardown (h);
}

/* A frame leaves although no other one comes, however many may be under
 * way: it is not held back for a larger batch. */
static void
test_no_wait (void)
{
  GstHarness *h = infer_harness (infer_new ("max-in-flight", "16", NULL), SMALL);
  GstVideoInfo info;
  guint i;

  make_info (SMALL, &info);
  for (i = 0; i < 3; i++) {
    push_frame (h, &info, i);
    gst_buffer_unref (gst_harness_pull (h));
  }
  infer_teardown (h);
}

typedef struct {
  GstHarness *h;
  GstVideoInfo info;
  gint pushed;
} Pusher;

static gpointer
push_many (gpointer data)
{
  Pusher *pusher = data;
  guint i;

  for (i = 0; i < 20; i++) {
    push_frame (pusher->h, &pusher->info, i);
    g_atomic_int_inc (&pusher->pushed);
  }
  return NULL;
}

static GstPadProbeReturn
block (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  return GST_PAD_PROBE_OK;
}

/* While downstream takes nothing, max-in-flight frames are taken, and one more that is
 * on its way out. */
static void
test_max_in_flight (void)
{
  Pusher pusher = { .h = infer_harness (infer_new ("max-in-flight", "4", NULL), SMALL) };
  GstPad *pad = gst_element_get_static_pad (pusher.h->element, "src");
  gulong id = gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER, block,
      NULL, NULL);
  GThread *thread;
  guint i;

  make_info (SMALL, &pusher.info);
  thread = g_thread_new ("push", push_many, &pusher);
  while (g_atomic_int_get (&pusher.pushed) < 5)
    g_usleep (1000);
  g_usleep (100000);
  g_assert_cmpint (g_atomic_int_get (&pusher.pushed), ==, 5);
  gst_pad_remove_probe (pad, id);
  for (i = 0; i < 20; i++)
    gst_buffer_unref (gst_harness_pull (pusher.h));
  g_thread_join (thread);
  gst_object_unref (pad);
  infer_teardown (pusher.h);
}

static GstFlowReturn downstream_flow;

static GstPadProbeReturn
fail_push (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  if (downstream_flow == GST_FLOW_OK)
    return GST_PAD_PROBE_OK;
  gst_buffer_unref (GST_PAD_PROBE_INFO_BUFFER (info));
  GST_PAD_PROBE_INFO_FLOW_RETURN (info) = downstream_flow;
  return GST_PAD_PROBE_HANDLED;
}

/* What a push downstream returns reaches upstream with a later buffer; then pushing is
 * tried again. */
static void
test_flow (void)
{
  static const GstFlowReturn flows[] = {
    GST_FLOW_EOS, GST_FLOW_NOT_LINKED, GST_FLOW_ERROR, GST_FLOW_CUSTOM_ERROR,
  };
  GstElement *element = infer_new ("max-in-flight", "1", NULL);
  GstHarness *h = infer_harness (element, SMALL);
  GstPad *pad = gst_element_get_static_pad (element, "src");
  GstVideoInfo info;
  guint i, k;

  make_info (SMALL, &info);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, fail_push, NULL, NULL);
  for (i = 0; i < G_N_ELEMENTS (flows); i++) {
    GstFlowReturn ret = GST_FLOW_OK;

    downstream_flow = flows[i];
    for (k = 0; k < 10 && ret == GST_FLOW_OK; k++)
      ret = gst_harness_push (h, make_picture (&info));
    g_assert_cmpint (ret, ==, flows[i]);
    downstream_flow = GST_FLOW_OK;
    push_frame (h, &info, i);
    gst_buffer_unref (gst_harness_pull (h));
    g_assert_null (gst_harness_try_pull (h));
  }
  assert_no_message (element, GST_MESSAGE_ERROR);

  /* no buffer follows that could take the error upstream: it goes to the bus */
  downstream_flow = GST_FLOW_ERROR;
  push_frame (h, &info, 0);
  gst_harness_push_event (h, gst_event_new_eos ());
  check_message (element, GST_MESSAGE_ERROR, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, "");
  downstream_flow = GST_FLOW_OK;
  gst_object_unref (pad);
  infer_teardown (h);
}

/* A frame that is too late to be shown is dropped and counted, and a message tells so;
 * the next buffer is marked as a discontinuity. */
static void
test_qos (void)
{
  GstElement *element = infer_new (NULL);
  GstHarness *h = infer_harness (element, SMALL);
  GstVideoInfo info;
  GstMessage *message;
  GstBuffer *buffer;
  guint64 processed, dropped;
  guint i;

  make_info (SMALL, &info);
  for (i = 0; i < 4; i++)
    push_frame (h, &info, i);
  for (i = 0; i < 4; i++)
    gst_buffer_unref (gst_harness_pull (h));
  gst_harness_push_upstream_event (h, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 2,
          GST_SECOND, 4 * GST_SECOND / 30));
  push_frame (h, &info, 4);
  push_frame (h, &info, 90);
  buffer = gst_harness_pull (h);
  g_assert_cmpuint (GST_BUFFER_OFFSET (buffer), ==, 90);
  g_assert_true (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT));
  gst_buffer_unref (buffer);
  push_frame (h, &info, 91);
  buffer = gst_harness_pull (h);
  g_assert_false (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT));
  gst_buffer_unref (buffer);

  message = pop_message (element, GST_MESSAGE_QOS);
  gst_message_parse_qos_stats (message, NULL, &processed, &dropped);
  g_assert_cmpuint (processed, ==, 4);
  g_assert_cmpuint (dropped, ==, 1);
  gst_message_unref (message);
  g_assert_cmpuint (infer_count (element, "dropped"), ==, 1);
  infer_teardown (h);
}

/* Buffers that hold less than their caps or their GstVideoMeta say are refused. */
static void
test_short_buffer (void)
{
  static const struct { gint width, height, stride, offset; } metas[] = {
    {0, 0, 0, 0},               /* no GstVideoMeta */
    {128, 97, 384, 0},
    {129, 96, 384, 0},
    {128, 96, 388, 0},
    {128, 96, 384, 1},
    {128, 96, 16, 0},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (metas); i++) {
    GstElement *element = infer_new (NULL);
    GstHarness *h = infer_harness (element, SMALL);
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 128 * 96 * 3 - (i == 0), NULL);
    gsize offset[GST_VIDEO_MAX_PLANES] = { metas[i].offset };
    gint stride[GST_VIDEO_MAX_PLANES] = { metas[i].stride };

    gst_buffer_memset (buffer, 0, 0, -1);
    if (i > 0)
      gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB,
          metas[i].width, metas[i].height, 1, offset, stride);
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_ERROR);
    check_message (element, GST_MESSAGE_ERROR, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "caps");
    infer_teardown (h);
  }
}

static void
test_caps (void)
{
  static const struct { const gchar *caps; gboolean accepted; } table[] = {
    {"video/x-raw,format=NV12,width=64,height=64,framerate=30/1", TRUE},
    {"video/x-raw(memory:SystemMemory),format=NV12,width=64,height=64,framerate=30/1", TRUE},
    {"video/x-raw(memory:SystemMemory,meta:GstVideoOverlayComposition),format=NV12,width=64,"
          "height=64,framerate=30/1", TRUE},
    {"video/x-raw(meta:Whatever),format=RGB,width=64,height=64,framerate=30/1", TRUE},
    {"video/x-raw(memory:DMABuf),format=NV12,width=64,height=64,framerate=30/1", FALSE},
    {"video/x-raw(memory:GLMemory),format=RGBA,width=64,height=64,framerate=30/1", FALSE},
    {"video/x-raw(format:Interlaced),format=NV12,width=64,height=64,framerate=30/1,"
          "interlace-mode=alternate", FALSE},
    {"video/x-raw,format=v210,width=64,height=64,framerate=30/1", TRUE},
    {"video/x-raw,format=ENCODED,width=64,height=64,framerate=30/1", FALSE},
    {"video/x-raw,format=NV12,width=64,height=64,framerate=25/1,interlace-mode=interleaved", TRUE},
    {"image/jpeg", FALSE},
  };
  GstHarness *h = infer_harness (infer_new (NULL), NULL);
  GstPad *pad = gst_element_get_static_pad (h->element, "sink");
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    GstCaps *caps = gst_caps_from_string (table[i].caps), *back;

    g_test_message ("%s", table[i].caps);
    g_assert_cmpint (gst_pad_query_accept_caps (pad, caps), ==, table[i].accepted);
    back = gst_pad_query_caps (pad, caps);
    /* caps that are accepted come back as they are */
    if (table[i].accepted)
      g_assert_true (gst_caps_is_equal (back, caps));
    else
      g_assert_true (gst_caps_is_empty (back));
    gst_caps_unref (back);
    gst_caps_unref (caps);
  }
  gst_object_unref (pad);
  infer_teardown (h);
}

/* Upstream writes into the buffers of downstream, of which max-in-flight more are
 * needed. */
static void
test_allocation (void)
{
  GstHarness *h = infer_harness (infer_new ("max-in-flight", "5", NULL), SMALL);
  GstCaps *caps = gst_caps_from_string (SMALL);
  GstQuery *query;
  guint size, min, max;

  gst_harness_add_propose_allocation_meta (h, GST_VIDEO_META_API_TYPE, NULL);
  query = gst_query_new_allocation (caps, TRUE);
  g_assert_true (gst_pad_peer_query (h->srcpad, query));
  g_assert_true (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL));
  g_assert_cmpuint (gst_query_get_n_allocation_pools (query), ==, 0);
  gst_query_unref (query);

  query = gst_query_new_allocation (caps, TRUE);
  gst_query_add_allocation_pool (query, NULL, 100, 2, 0);
  gst_query_add_allocation_pool (query, NULL, 100, 2, 4);
  g_assert_true (gst_pad_peer_query (h->srcpad, query));
  gst_query_parse_nth_allocation_pool (query, 0, NULL, &size, &min, &max);
  g_assert_cmpuint (min, ==, 7);
  g_assert_cmpuint (max, ==, 0);
  gst_query_parse_nth_allocation_pool (query, 1, NULL, &size, &min, &max);
  g_assert_cmpuint (min, ==, 4);
  g_assert_cmpuint (max, ==, 4);
  gst_query_unref (query);
  gst_caps_unref (caps);
  infer_teardown (h);
}

/* An empty buffer that stands for a gap passes, and is not looked into. */
static void
test_gap_buffer (void)
{
  GstHarness *h = infer_harness (infer_new (LOW, NULL), SMALL);
  GstBuffer *gap = gst_buffer_new ();

  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  g_assert_cmpint (gst_harness_push (h, gap), ==, GST_FLOW_OK);
  g_assert_false (has_objects (gst_harness_pull (h)));
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, 0);
  infer_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/yoloinfer/formats", test_formats);
  g_test_add_func ("/yoloinfer/gray", test_gray);
  g_test_add_func ("/yoloinfer/sizes", test_sizes);
  g_test_add_func ("/yoloinfer/strides", test_strides);
  g_test_add_func ("/yoloinfer/parts", test_parts);
  g_test_add_func ("/yoloinfer/video-meta-size", test_video_meta_size);
  g_test_add_func ("/yoloinfer/roi-outside", test_roi_outside);
  g_test_add_func ("/yoloinfer/roi-and-caps", test_roi_and_caps);
  g_test_add_func ("/yoloinfer/fixed-properties", test_fixed_properties);
  g_test_add_func ("/yoloinfer/shared-buffer", test_shared_buffer);
  g_test_add_func ("/yoloinfer/no-pts", test_no_pts);
  g_test_add_func ("/yoloinfer/order", test_order);
  g_test_add_func ("/yoloinfer/eos-first", test_eos_first);
  g_test_add_func ("/yoloinfer/flush", test_flush);
  g_test_add_func ("/yoloinfer/stop-under-way", test_stop_under_way);
  g_test_add_func ("/yoloinfer/interval", test_interval);
  g_test_add_func ("/yoloinfer/class-ids", test_class_ids);
  g_test_add_func ("/yoloinfer/class-ids-quoted", test_class_ids_quoted);
  g_test_add_func ("/yoloinfer/class-ids-example", test_class_ids_example);
  g_test_add_func ("/yoloinfer/thresholds", test_thresholds);
  g_test_add_func ("/yoloinfer/multi-label", test_multi_label);
  g_test_add_func ("/yoloinfer/labels", test_labels);
  g_test_add_func ("/yoloinfer/model-names", test_model_names);
  g_test_add_func ("/yoloinfer/checkpoint", test_checkpoint);
  g_test_add_func ("/yoloinfer/printable", test_printable);
  g_test_add_func ("/yoloinfer/model-message", test_model_message);
  g_test_add_func ("/yoloinfer/auto-size", test_auto_size);
  g_test_add_func ("/yoloinfer/stats", test_stats);
  g_test_add_func ("/yoloinfer/batches", test_batches);
  g_test_add_func ("/yoloinfer/latency", test_latency);
  g_test_add_func ("/yoloinfer/no-wait", test_no_wait);
  g_test_add_func ("/yoloinfer/max-in-flight", test_max_in_flight);
  g_test_add_func ("/yoloinfer/flow", test_flow);
  g_test_add_func ("/yoloinfer/qos", test_qos);
  g_test_add_func ("/yoloinfer/short-buffer", test_short_buffer);
  g_test_add_func ("/yoloinfer/caps", test_caps);
  g_test_add_func ("/yoloinfer/allocation", test_allocation);
  g_test_add_func ("/yoloinfer/gap-buffer", test_gap_buffer);
  return g_test_run ();
}
