/* SPDX-License-Identifier: MIT */
/* yolooverlay as an element. What each pixel gets is tested in draw.c. */

#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolocanvas.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"
#include "image/frame.h"

#include <gst/check/gstharness.h>
#include <math.h>

#define WIDTH 320
#define HEIGHT 240

static const gchar *formats[] = {
  "NV12", "NV21", "I420", "YV12", "YUY2", "UYVY", "Y42B", "Y444", "P010_10LE", "RGB", "BGR",
  "RGBA", "BGRA", "ARGB", "ABGR", "RGBx", "BGRx", "xRGB", "xBGR", "GRAY8",
  "v210", "I422_10BE", "NV12_4L4", "RGB16", "RGB8P", "Y41B", "ARGB64",
};

static void
set_caps (GstHarness *h, GstVideoInfo *info, const gchar *format, gint width, gint height,
    const gchar *more)
{
  g_autofree gchar *string = g_strdup_printf ("video/x-raw, format=%s, width=%d, height=%d, "
      "framerate=25/1%s%s", format, width, height, *more ? ", " : "", more);
  GstCaps *caps = gst_caps_from_string (string);

  g_assert_true (gst_video_info_from_caps (info, caps));
  gst_harness_set_src_caps (h, caps);
}

static YoloMetaObject
object (gfloat x, gfloat y, gfloat w, gfloat h)
{
  return (YoloMetaObject) { x, y, w, h, 0.875, 1, g_quark_from_string ("person"), -1, 0, NULL, 0,
    0, NULL, 0 };
}

/* A frame of one mid grey, opaque. */
static GstBuffer *
grey_frame (const GstVideoInfo *info)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (info));

  gst_buffer_memset (buffer, 0, 0x80, GST_VIDEO_INFO_SIZE (info));
  return buffer;
}

/* The same grey in a format where it is not 0x80 in every byte. */
static GstBuffer *
converted_grey_frame (const GstVideoInfo *info)
{
  GstBuffer *from, *to = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (info));
  GstVideoConverter *converter;
  GstVideoInfo rgb;
  GstVideoFrame in, out;

  gst_video_info_set_format (
      &rgb, GST_VIDEO_FORMAT_ARGB, GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info));
  rgb.fps_n = info->fps_n;
  rgb.fps_d = info->fps_d;
  from = grey_frame (&rgb);
  gst_buffer_memset (to, 0, 0, GST_VIDEO_INFO_SIZE (info));
  g_assert_true (gst_video_frame_map (&in, &rgb, from, GST_MAP_READ));
  g_assert_true (gst_video_frame_map (&out, info, to, GST_MAP_WRITE));
  converter = gst_video_converter_new (&rgb, info,
      gst_structure_new ("options", GST_VIDEO_CONVERTER_OPT_DITHER_METHOD,
          GST_TYPE_VIDEO_DITHER_METHOD, GST_VIDEO_DITHER_NONE, NULL));
  gst_video_converter_frame (converter, &in, &out);
  gst_video_converter_free (converter);
  gst_video_frame_unmap (&in);
  gst_video_frame_unmap (&out);
  gst_buffer_unref (from);
  return to;
}

/* The frame as RGB, packed tightly. */
static guint8 *
to_rgb (GstBuffer *buffer, const GstVideoInfo *info)
{
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  guint8 *rgb = g_malloc (width * height * 3);
  GstVideoInfo out;
  GstVideoFrame from, to;
  GstBuffer *out_buffer;
  GstVideoConverter *converter;
  gint y;

  gst_video_info_set_format (&out, GST_VIDEO_FORMAT_RGB, width, height);
  out.fps_n = info->fps_n;
  out.fps_d = info->fps_d;
  out.interlace_mode = info->interlace_mode;
  out_buffer = gst_buffer_new_and_alloc (out.size);
  g_assert_true (gst_video_frame_map (&from, info, buffer, GST_MAP_READ));
  g_assert_true (gst_video_frame_map (&to, &out, out_buffer, GST_MAP_WRITE));
  converter = gst_video_converter_new (info, &out, NULL);
  gst_video_converter_frame (converter, &from, &to);
  for (y = 0; y < height; y++)
    memcpy (rgb + y * width * 3, (guint8 *) to.data[0] + y * to.info.stride[0], width * 3);
  gst_video_converter_free (converter);
  gst_video_frame_unmap (&from);
  gst_video_frame_unmap (&to);
  gst_buffer_unref (out_buffer);
  return rgb;
}

/* To look at: with YOLO_TEST_PICTURES=FOLDER in the environment, what was drawn is kept
 * there. */
static void
keep_picture (const gchar *name, const guint8 *rgb, gint width, gint height)
{
  const gchar *folder = g_getenv ("YOLO_TEST_PICTURES");
  g_autofree gchar *path = NULL;
  g_autoptr (GString) ppm = NULL;

  if (folder == NULL)
    return;
  path = g_strdup_printf ("%s/%s.ppm", folder, name);
  ppm = g_string_new (NULL);
  g_string_append_printf (ppm, "P6\n%d %d\n255\n", width, height);
  g_string_append_len (ppm, (const gchar *) rgb, width * height * 3);
  g_assert_true (g_file_set_contents (path, ppm->str, ppm->len, NULL));
}

static gboolean
is_grey (const guint8 *rgb, gint x, gint y)
{
  const guint8 *p = rgb + (y * WIDTH + x) * 3;

  return ABS (p[0] - p[1]) < 12 && ABS (p[1] - p[2]) < 12 && p[1] > 100 && p[1] < 160;
}

/* The box and its label are where they belong, in colour, in every format; all
 * else is as it was. */
static void
test_formats (void)
{
  guint n, f;
  const GstVideoFormat *formats = gst_video_formats_raw (&n);

  for (f = 0; f < n; f++) {
    const gchar *format = gst_video_format_to_string (formats[f]);
    GstHarness *h = gst_harness_new ("yolooverlay");
    const YoloMetaObject box = object (100, 80, 90, 101);
    g_autofree guint8 *rgb = NULL;
    GstVideoInfo info;
    GstBuffer *buffer;
    gint x, y, inked = 0;

    g_test_message ("%s", format);
    set_caps (h, &info, format, WIDTH, HEIGHT, "");
    buffer = yolo_draw_is_direct (info.finfo) && GST_VIDEO_INFO_COMP_DEPTH (&info, 0) == 8
        ? grey_frame (&info)
        : converted_grey_frame (&info);
    yolo_meta_add (buffer, &info, &box, 1, 0);
    buffer = gst_harness_push_and_pull (h, buffer);
    rgb = to_rgb (buffer, &info);
    keep_picture (format, rgb, WIDTH, HEIGHT);

    if (!GST_VIDEO_INFO_IS_GRAY (&info))
      for (y = 84; y < 178; y++) {
        g_assert_false (is_grey (rgb, 99, y));
        g_assert_false (is_grey (rgb, 190, y));
      }
    for (y = 0; y < HEIGHT; y++)
      for (x = 0; x < WIDTH; x++) {
        const gboolean outside = x < 97 || x > 193 || y < 60 || y > 184;
        const gboolean inside = x > 102 && x < 187 && y > 83 && y < 178;

        if (outside || inside)
          g_assert_true (is_grey (rgb, x, y));
        if (y > 64 && y < 79 && rgb[(y * WIDTH + x) * 3 + 1] > 200)
          inked++;
      }
    /* the letters: white on the dark colour of class 1 */
    g_assert_cmpint (inked, >, 60);
    gst_buffer_unref (buffer);
    gst_harness_teardown (h);
  }
}

/* In a frame that lies on its side or is mirrored, the drawing is that of an upright
 * frame, turned as a whole, labels included. */
static void
test_orientation (void)
{
  static const struct {
    const gchar *tag;
    guint turn;
  } orientations[] = {
    { "rotate-90", YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_Y },
    { "rotate-180", YOLO_TURN_MIRROR_X | YOLO_TURN_MIRROR_Y },
    { "rotate-270", YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_X },
    { "flip-rotate-0", YOLO_TURN_MIRROR_X },
    { "flip-rotate-90", YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_X | YOLO_TURN_MIRROR_Y },
    { "flip-rotate-180", YOLO_TURN_MIRROR_Y },
    { "flip-rotate-270", YOLO_TURN_TRANSPOSE },
  };
  const YoloMetaObject upright_boxes[] = { object (100, 80, 90, 101), object (290, 2, 25, 30) };
  g_autofree guint8 *upright = NULL;
  GstVideoInfo info;
  GstBuffer *buffer;
  guint i, k;
  gint x, y;

  for (i = 0; i <= G_N_ELEMENTS (orientations); i++) {
    const guint turn = i > 0 ? orientations[i - 1].turn : 0;
    const gboolean transposed = turn & YOLO_TURN_TRANSPOSE;
    const gint width = transposed ? HEIGHT : WIDTH, height = transposed ? WIDTH : HEIGHT;
    GstHarness *h = gst_harness_new ("yolooverlay");
    g_autofree guint8 *rgb = NULL;
    YoloMetaObject boxes[2];

    set_caps (h, &info, "RGB", width, height, "");
    if (i > 0)
      gst_harness_push_event (h, gst_event_new_tag (gst_tag_list_new (GST_TAG_IMAGE_ORIENTATION,
                  orientations[i - 1].tag, NULL)));
    for (k = 0; k < 2; k++) {
      const YoloMetaObject *o = &upright_boxes[k];
      const YoloRect rect = yolo_rect_to_frame (
          (YoloRect){ o->x, o->y, o->x + o->w, o->y + o->h }, turn, width, height);

      boxes[k] = object (rect.x0, rect.y0, rect.x1 - rect.x0, rect.y1 - rect.y0);
    }
    buffer = grey_frame (&info);
    yolo_meta_add (buffer, &info, boxes, 2, 0);
    buffer = gst_harness_push_and_pull (h, buffer);
    rgb = to_rgb (buffer, &info);
    gst_buffer_unref (buffer);
    gst_harness_teardown (h);
    keep_picture (i > 0 ? orientations[i - 1].tag : "upright", rgb, width, height);
    if (i == 0) {
      upright = g_steal_pointer (&rgb);
      continue;
    }
    for (y = 0; y < HEIGHT; y++)
      for (x = 0; x < WIDTH; x++) {
        const YoloRect at =
            yolo_rect_to_frame ((YoloRect){ x, y, x + 1, y + 1 }, turn, width, height);

        g_assert_cmpmem (upright + 3 * (y * WIDTH + x), 3, rgb + 3 * (at.y0 * width + at.x0), 3);
      }
  }
}

/* Where there is nothing to draw the very buffer comes out, even where it cannot be
 * written to. */
static void
test_no_copy (void)
{
  GstHarness *h = gst_harness_new ("yolooverlay");
  const YoloMetaObject box = object (10, 10, 50, 50);
  GstVideoInfo info;
  GstBuffer *in, *out;
  GstMapInfo map;
  gsize i;

  set_caps (h, &info, "NV12", WIDTH, HEIGHT, "");
  in = gst_buffer_ref (grey_frame (&info));
  g_assert_false (gst_buffer_is_writable (in));
  out = gst_harness_push_and_pull (h, in);
  g_assert_true (in == out);
  gst_buffer_unref (out);
  gst_buffer_unref (in);

  /* a buffer that nobody else holds is drawn on in place */
  in = grey_frame (&info);
  yolo_meta_add (in, &info, &box, 1, 0);
  out = gst_harness_push_and_pull (h, in);
  g_assert_true (in == out);
  gst_buffer_unref (out);

  /* a buffer that somebody else holds is copied */
  in = grey_frame (&info);
  yolo_meta_add (in, &info, &box, 1, 0);
  gst_buffer_ref (in);
  out = gst_harness_push_and_pull (h, in);
  g_assert_true (in != out);
  g_assert_true (gst_buffer_map (in, &map, GST_MAP_READ));
  for (i = 0; i < map.size; i++)
    g_assert_cmpint (map.data[i], ==, 0x80);
  gst_buffer_unmap (in, &map);
  g_assert_true (gst_buffer_map (out, &map, GST_MAP_READ));
  g_assert_cmpint (map.data[10 * WIDTH + 30], !=, 0x80);
  gst_buffer_unmap (out, &map);
  g_assert_nonnull (gst_buffer_get_video_region_of_interest_meta_id (out, 0));
  gst_buffer_unref (out);
  gst_buffer_unref (in);
  gst_harness_teardown (h);
}

static gsize
changed_bytes (GstBuffer *buffer)
{
  GstMapInfo map;
  gsize i, n = 0;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  for (i = 0; i < map.size; i++)
    n += map.data[i] != 0x80;
  gst_buffer_unmap (buffer, &map);
  return n;
}

/* Boxes and frames of all sorts do no harm. */
static void
test_odd_boxes (void)
{
  static const struct {
    gint width, height;
  } sizes[] = { {1, 1}, {2, 1}, {3, 5}, {16384, 2}, {31, 33}, {WIDTH, HEIGHT} };
  static const gchar *modes[] = { "", "interlace-mode=interleaved", "interlace-mode=mixed" };
  guint f, s, m;

  for (f = 0; f < G_N_ELEMENTS (formats); f++) {
    GstHarness *harness = gst_harness_new ("yolooverlay");

    for (s = 0; s < G_N_ELEMENTS (sizes); s++)
      for (m = 0; m < G_N_ELEMENTS (modes); m++) {
        const gint w = sizes[s].width, h = sizes[s].height;
        const YoloMetaObject objects[] = {
          object (0, 0, w, h),
          object (w - 1, h - 1, 1, 1),
          object (-50, -50, 20, 20),
          object (w + 50, h + 50, 20, 20),
          object (w / 2, h / 2, 0, 0),
          object (-1e30, -1e30, 2e30, 2e30),
          object (NAN, 0, 10, 10),
          object (0, 0, INFINITY, 10),
          object (w / 2, 0, -7, h),
        };
        GstVideoRegionOfInterestMeta *roi;
        GstVideoInfo info;
        GstBuffer *buffer;

        set_caps (harness, &info, formats[f], w, h, modes[m]);
        buffer = grey_frame (&info);
        yolo_meta_add (buffer, &info, objects, G_N_ELEMENTS (objects), 0);
        /* numbers that another element might write */
        roi = gst_buffer_add_video_region_of_interest_meta (buffer, NULL, 0xfffffff0, 0x7fffffff,
            0xffffffff, 0xffffffff);
        gst_video_region_of_interest_meta_add_param (roi, gst_structure_new ("detection",
                "x_min", G_TYPE_DOUBLE, (gdouble) NAN, "x_max", G_TYPE_DOUBLE, 1e300,
                "y_min", G_TYPE_DOUBLE, -1e300, "y_max", G_TYPE_DOUBLE, (gdouble) INFINITY,
                "confidence", G_TYPE_DOUBLE, 1e300, NULL));
        roi = gst_buffer_add_video_region_of_interest_meta (buffer, "bare", 0, 0, w, h);
        gst_video_region_of_interest_meta_add_param (roi, gst_structure_new_empty ("detection"));
        buffer = gst_harness_push_and_pull (harness, buffer);
        g_assert_nonnull (buffer);
        g_assert_cmpint (changed_bytes (buffer), >, 0);
        gst_buffer_unref (buffer);
      }
    gst_harness_teardown (harness);
  }
}

/* The same picture comes out, whatever the strides, offsets and crop of the buffer. */
static void
test_layouts (void)
{
  const YoloMetaObject box = object (20.4, 30.2, 101, 77.7);
  GstHarness *h = gst_harness_new ("yolooverlay");
  g_autofree guint8 *plain = NULL, *padded = NULL, *cropped = NULL;
  GstVideoInfo info, big;
  GstVideoAlignment align;
  GstVideoCropMeta *crop;
  GstBuffer *buffer;
  gint y;

  set_caps (h, &info, "I420", WIDTH, HEIGHT, "");
  buffer = grey_frame (&info);
  yolo_meta_add (buffer, &info, &box, 1, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  plain = to_rgb (buffer, &info);
  gst_buffer_unref (buffer);

  gst_video_alignment_reset (&align);
  align.padding_left = 32;
  align.padding_top = 6;
  align.padding_right = 13;
  align.padding_bottom = 9;
  big = info;
  gst_video_info_align (&big, &align);
  buffer = grey_frame (&big);
  gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420, WIDTH,
      HEIGHT, 3, big.offset, big.stride);
  yolo_meta_add (buffer, &info, &box, 1, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  padded = to_rgb (buffer, &info);
  g_assert_cmpmem (plain, WIDTH * HEIGHT * 3, padded, WIDTH * HEIGHT * 3);
  gst_buffer_unref (buffer);

  /* coordinates are those of the part that the caps describe */
  gst_video_info_set_format (&big, GST_VIDEO_FORMAT_I420, WIDTH + 40, HEIGHT + 30);
  buffer = grey_frame (&big);
  gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420,
      WIDTH + 40, HEIGHT + 30, 3, big.offset, big.stride);
  crop = gst_buffer_add_video_crop_meta (buffer);
  crop->x = 24;
  crop->y = 12;
  crop->width = WIDTH;
  crop->height = HEIGHT;
  yolo_meta_add (buffer, &info, &box, 1, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  cropped = to_rgb (buffer, &big);
  for (y = 0; y < HEIGHT; y++)
    g_assert_cmpmem (plain + y * WIDTH * 3, WIDTH * 3,
        cropped + ((y + 12) * (WIDTH + 40) + 24) * 3, WIDTH * 3);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

/* A GstVideoMeta that promises more than the memory holds is an error. */
static void
test_stale_meta (void)
{
  const YoloMetaObject box = object (10, 10, 100, 100);
  GstHarness *h = gst_harness_new ("yolooverlay");
  gsize offset[GST_VIDEO_MAX_PLANES] = { 0, 200000, 250000 };
  gint stride[GST_VIDEO_MAX_PLANES] = { 4096, 2048, 2048 };
  GstVideoInfo info;
  GstBuffer *buffer;

  set_caps (h, &info, "I420", WIDTH, HEIGHT, "");
  buffer = gst_buffer_new_and_alloc (300000);
  gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420, WIDTH,
      HEIGHT, 3, offset, stride);
  yolo_meta_add (buffer, &info, &box, 1, 0);
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_ERROR);
  gst_harness_teardown (h);
}

/* Row 81 belongs to the lower field, whose chroma rows are the odd ones. */
static void
test_interlaced (void)
{
  static const struct {
    const gchar *mode;
    gint chroma_row;
  } cases[] = { {"progressive", 40}, {"interleaved", 41} };
  const YoloMetaObject box = object (100, 82, 80, 80);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstHarness *h = gst_harness_new ("yolooverlay");
    g_autofree gchar *mode = g_strdup_printf ("interlace-mode=%s", cases[i].mode);
    GstVideoInfo info;
    GstVideoFrame frame;
    GstBuffer *buffer;
    gint y;

    g_object_set (
        h->element, "show-labels", FALSE, "show-confidence", FALSE, "line-width", 1, NULL);
    set_caps (h, &info, "I420", WIDTH, HEIGHT, mode);
    buffer = grey_frame (&info);
    yolo_meta_add (buffer, &info, &box, 1, 0);
    buffer = gst_harness_push_and_pull (h, buffer);
    g_assert_true (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
    for (y = 30; y < 60; y++)
      g_assert_cmpint (((guint8 *) frame.data[1])[y * frame.info.stride[1] + 60] != 0x80, ==,
          y == cases[i].chroma_row);
    gst_video_frame_unmap (&frame);
    gst_buffer_unref (buffer);
    gst_harness_teardown (h);
  }
}

static gsize
draw_with (const gchar *property, const gchar *value, const YoloMetaObject *objects, guint n)
{
  GstHarness *h = gst_harness_new ("yolooverlay");
  GstVideoInfo info;
  GstBuffer *buffer;
  gsize changed;

  if (property)
    gst_util_set_object_arg (G_OBJECT (h->element), property, value);
  set_caps (h, &info, "RGB", WIDTH, HEIGHT, "");
  buffer = grey_frame (&info);
  yolo_meta_add (buffer, &info, objects, n, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  changed = changed_bytes (buffer);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
  return changed;
}

static void
test_properties (void)
{
  YoloMetaObject box = object (60, 60, 200, 150);
  const gsize plain = draw_with (NULL, NULL, &box, 1);

  g_assert_cmpint (draw_with ("line-width", "0", &box, 1), ==, plain);
  g_assert_cmpint (draw_with ("line-width", "1", &box, 1), ==, plain);
  g_assert_cmpint (draw_with ("line-width", "10", &box, 1), >, plain + 4000);
  g_assert_cmpint (draw_with ("line-width", "1000", &box, 1), >, 3 * 200 * 150);
  g_assert_cmpint (draw_with ("show-labels", "false", &box, 1), <, plain);
  g_assert_cmpint (draw_with ("show-confidence", "false", &box, 1), <, plain);
  g_assert_cmpint (draw_with ("font", "Sans 30", &box, 1), >, plain);
  g_assert_cmpint (draw_with ("font", "no such font, nowhere", &box, 1), >, plain / 2);
  g_assert_cmpint (draw_with ("show-ids", "false", &box, 1), ==, plain);
  box.object_id = 12;
  g_assert_cmpint (draw_with (NULL, NULL, &box, 1), >, plain);
  g_assert_cmpint (draw_with ("show-ids", "false", &box, 1), ==, plain);
  /* an unknown confidence is not written */
  box.object_id = -1;
  box.confidence = -1;
  g_assert_cmpint (draw_with (NULL, NULL, &box, 1), ==,
      draw_with ("show-confidence", "false", &box, 1));
  g_assert_cmpint (draw_with (NULL, NULL, &box, 1), <, plain);
}

/* A region of another element says no more than where and what an object is. */
static void
test_bare_region (void)
{
  GstHarness *h = gst_harness_new ("yolooverlay");
  GstVideoInfo info;
  GstBuffer *buffer;

  set_caps (h, &info, "GRAY8", WIDTH, HEIGHT, "");
  buffer = grey_frame (&info);
  gst_buffer_add_video_region_of_interest_meta (buffer, "hand", 60, 60, 200, 150);
  buffer = gst_harness_push_and_pull (h, buffer);
  g_assert_cmpint (changed_bytes (buffer), >, 2 * (200 + 150));
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

/* 4 lines at 1080 rows, and the font grows with the frame. */
static void
test_scaled (void)
{
  GstHarness *h = gst_harness_new ("yolooverlay");
  const YoloMetaObject box = object (600, 500, 600, 400);
  GstVideoInfo info;
  GstVideoFrame frame;
  GstBuffer *buffer;
  gint x, left = 0;

  set_caps (h, &info, "GRAY8", 1920, 1080, "");
  buffer = grey_frame (&info);
  yolo_meta_add (buffer, &info, &box, 1, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  g_assert_true (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
  for (x = 500; x < 700; x++)
    left += ((guint8 *) frame.data[0])[700 * frame.info.stride[0] + x] != 0x80;
  g_assert_cmpint (left, ==, 4);
  gst_video_frame_unmap (&frame);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

static void
test_states (void)
{
  GstHarness *h = gst_harness_new ("yolooverlay");
  const YoloMetaObject box = object (10, 10, 50, 50);
  gint i;

  for (i = 0; i < 100; i++) {
    GstVideoInfo info;
    GstBuffer *buffer;

    gst_harness_play (h);
    set_caps (h, &info, formats[i % G_N_ELEMENTS (formats)], 100 + i, 100 - i / 2, "");
    buffer = grey_frame (&info);
    yolo_meta_add (buffer, &info, &box, 1, 0);
    buffer = gst_harness_push_and_pull (h, buffer);
    g_assert_cmpint (changed_bytes (buffer), >, 0);
    gst_buffer_unref (buffer);
    gst_element_set_state (h->element, GST_STATE_NULL);
  }
  gst_harness_teardown (h);
}

static gpointer
change_properties (gpointer data)
{
  GstHarness *h = data;
  gint i;

  for (i = 0; i < 500; i++)
    g_object_set (h->element, "font", i % 2 ? "Serif" : "Monospace 9", "line-width", i % 7,
        "show-labels", i % 3 > 0, NULL);
  return NULL;
}

static void
test_threads (void)
{
  GstHarness *h = gst_harness_new ("yolooverlay");
  const YoloMetaObject box = object (10, 10, 50, 50);
  GstVideoInfo info;
  GThread *thread;
  gint i;

  set_caps (h, &info, "NV12", WIDTH, HEIGHT, "");
  thread = g_thread_new ("properties", change_properties, h);
  for (i = 0; i < 50; i++) {
    GstBuffer *buffer = grey_frame (&info);

    yolo_meta_add (buffer, &info, &box, 1, 0);
    gst_buffer_unref (gst_harness_push_and_pull (h, buffer));
  }
  g_thread_join (thread);
  gst_harness_teardown (h);
}

/* The element downstream answers the allocation query. */
static void
test_allocation (void)
{
  GstHarness *h = gst_harness_new ("yolooverlay");
  GstVideoInfo info;
  GstQuery *query;
  GstCaps *caps;

  set_caps (h, &info, "NV12", WIDTH, HEIGHT, "");
  gst_buffer_unref (gst_harness_push_and_pull (h, grey_frame (&info)));
  caps = gst_video_info_to_caps (&info);
  query = gst_query_new_allocation (caps, FALSE);
  gst_pad_peer_query (h->srcpad, query);
  g_assert_false (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL));
  gst_query_unref (query);

  gst_harness_add_propose_allocation_meta (h, GST_VIDEO_META_API_TYPE, NULL);
  query = gst_query_new_allocation (caps, FALSE);
  g_assert_true (gst_pad_peer_query (h->srcpad, query));
  g_assert_true (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL));
  gst_query_unref (query);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}

/* Whether a pixel is neither grey nor hidden by the class's colour as a line is. */
static gboolean
is_tinted (const guint8 *rgb, gint x, gint y)
{
  const guint8 *line = rgb + (100 * WIDTH + 40) * 3, *p = rgb + (y * WIDTH + x) * 3;
  gint most = 0;

  for (guint i = 0; i < 3; i++)
    most = MAX (most, ABS (p[i] - line[i]));
  return !is_grey (rgb, x, y) && most > 20;
}

/* The left half of a box is an object's mask, in a picture of another one's points: the mask is
 * tinted with an edge, the points and the limb between them are drawn. Where they are not
 * wanted, only the boxes are. */
static void
test_shapes (void)
{
  const YoloObject detections[2] = { { .x1 = 40, .y1 = 60, .x2 = 120, .y2 = 140 },
    { .x1 = 160, .y1 = 60, .x2 = 300, .y2 = 200 } };
  float points[2][17][3] = { { { 0 } } };
  int16_t cells[16];
  YoloObjectMask masks[2] = { { 40, 60, 120, 140, 4, 4, 0 } };
  YoloDetails details = { .keypoints = 17, .points = &points[0][0][0], .masks = masks,
    .cells = cells, .n_cells = 16 };
  const YoloResult result = { .detections = detections, .n_detections = 2, .details = &details };

  for (guint i = 0; i < 16; i++)
    cells[i] = i % 4 < 2 ? 100 : -100;
  /* both ankles' knees and one ankle: a limb is drawn between points 15 and 13 alone */
  memcpy (points[1][15], ((float[]){ 200, 100, 1 }), sizeof points[1][15]);
  memcpy (points[1][13], ((float[]){ 260, 160, .9f }), sizeof points[1][13]);
  memcpy (points[1][14], ((float[]){ 200, 180, .2f }), sizeof points[1][14]);
  for (guint wanted = 0; wanted < 2; wanted++) {
    GstHarness *h = gst_harness_new_parse ("yolooverlay line-width=2 show-labels=false "
        "show-confidence=false");
    g_autoptr (GstElement) overlay = gst_harness_find_element (h, "yolooverlay");
    YoloMetaObject objects[2];
    GstBuffer *buffer;
    g_autofree guint8 *rgb = NULL;
    GstVideoInfo info;

    g_object_set (overlay, "show-masks", wanted, "show-points", wanted, NULL);
    set_caps (h, &info, "RGB", WIDTH, HEIGHT, "");
    for (guint i = 0; i < 2; i++) {
      const YoloObject *d = &detections[i];
      objects[i] = object (d->x1, d->y1, d->x2 - d->x1, d->y2 - d->y1);
      objects[i].shape = yolo_shape_new (&result, i, 0, 0, WIDTH, HEIGHT);
    }
    buffer = grey_frame (&info);
    yolo_meta_add (buffer, &info, objects, 2, 0);
    buffer = gst_harness_push_and_pull (h, buffer);
    rgb = to_rgb (buffer, &info);
    keep_picture (wanted ? "shapes" : "no-shapes", rgb, WIDTH, HEIGHT);
    g_assert_cmpint (is_tinted (rgb, 60, 100), ==, wanted);
    g_assert_true (is_grey (rgb, 100, 100));
    /* the edge, in the middle between the cells of 100 and of -100 */
    g_assert_cmpint (!is_grey (rgb, 79, 100) && !is_tinted (rgb, 79, 100), ==, wanted);
    g_assert_cmpint (is_grey (rgb, 230, 130), ==, !wanted);
    /* a point is white */
    g_assert_cmpint (rgb[(100 * WIDTH + 199) * 3] > 240, ==, wanted);
    g_assert_true (is_grey (rgb, 200, 180) && rgb[(180 * WIDTH + 200) * 3] < 160);
    gst_buffer_unref (buffer);
    for (guint i = 0; i < 2; i++)
      g_bytes_unref (objects[i].shape);
    gst_harness_teardown (h);
  }
}

/* A turned box is drawn by its corners, not by the box around it; a class of the whole frame
 * has no box, and the second one's label is below the first one's. */
static void
test_turned_and_whole (void)
{
  const YoloObject turned = { .x1 = 120, .y1 = 100, .x2 = 200, .y2 = 140,
    .angle = (float) (G_PI / 4) };
  const YoloDetails details[2] = { { .turned = TRUE }, { .whole = TRUE } };

  for (guint k = 0; k < 2; k++) {
    const YoloResult result = { .detections = &turned, .n_detections = 1, .details = &details[k] };
    GstHarness *h = gst_harness_new_parse ("yolooverlay line-width=3 show-confidence=false");
    YoloMetaObject objects[2];
    GstBuffer *buffer;
    g_autofree guint8 *rgb = NULL;
    GstVideoInfo info;

    set_caps (h, &info, "RGB", WIDTH, HEIGHT, "");
    for (guint i = 0; i < 2; i++) {
      objects[i] = k == 0 ? object (117, 77, 86, 86) : object (0, 0, WIDTH, HEIGHT);
      objects[i].shape = yolo_shape_new (&result, 0, 0, 0, WIDTH, HEIGHT);
    }
    buffer = grey_frame (&info);
    yolo_meta_add (buffer, &info, objects, 2, 0);
    buffer = gst_harness_push_and_pull (h, buffer);
    rgb = to_rgb (buffer, &info);
    keep_picture (k == 0 ? "turned" : "whole", rgb, WIDTH, HEIGHT);
    if (k == 0) {
      /* a corner of the box, and the middle of its lower side, which lies to the left */
      g_assert_false (is_grey (rgb, 160 - 14, 120 + 14));
      g_assert_true (is_grey (rgb, 117 + 3, 160));
    } else {
      g_assert_true (is_grey (rgb, 0, HEIGHT - 1));
      g_assert_true (is_grey (rgb, WIDTH - 1, HEIGHT / 2));
      g_assert_false (is_grey (rgb, 1, 2));
      g_assert_false (is_grey (rgb, 1, 18));
      g_assert_true (is_grey (rgb, 1, 60));
    }
    gst_buffer_unref (buffer);
    for (guint i = 0; i < 2; i++)
      g_bytes_unref (objects[i].shape);
    gst_harness_teardown (h);
  }
}

/* How many pixels of a frame with one object are not grey. */
static guint
count_drawn (const YoloMetaObject *object, const gchar *show)
{
  GstElement *element = gst_element_factory_make ("yolooverlay", NULL);
  GstHarness *h;
  GstVideoInfo info;
  GstBuffer *buffer;
  guint8 *rgb;
  guint n = 0;

  g_object_set (element, show, FALSE, NULL);
  gst_object_ref_sink (element);
  h = gst_harness_new_with_element (element, "sink", "src");
  gst_object_unref (element);
  set_caps (h, &info, "RGB", WIDTH, HEIGHT, "");
  buffer = grey_frame (&info);
  yolo_meta_add (buffer, &info, object, 1, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  rgb = to_rgb (buffer, &info);
  keep_picture (show, rgb, WIDTH, HEIGHT);
  for (gint i = 0; i < WIDTH * HEIGHT; i++)
    n += !is_grey (rgb, i % WIDTH, i / WIDTH);
  g_free (rgb);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
  return n;
}

/* What another network says of an object makes its label longer, unless labels are not shown. */
static void
test_classes (void)
{
  const YoloClass class = { g_quark_from_string ("fireman"), 4, .5f, 0, 0 };
  YoloMetaObject plain = object (20, 60, 60, 40), classified = plain;

  classified.classes = g_bytes_new (&class, sizeof class);
  g_assert_cmpuint (
      count_drawn (&classified, "show-ids"), >, count_drawn (&plain, "show-ids") + 100);
  g_assert_cmpuint (count_drawn (&classified, "show-ids"), >,
      count_drawn (&classified, "show-confidence") + 100);
  g_assert_cmpuint (
      count_drawn (&classified, "show-labels"), ==, count_drawn (&plain, "show-labels"));
  g_bytes_unref (classified.classes);
}

static gboolean
is_painted (const guint8 *rgb, gint x, gint y)
{
  return !is_grey (rgb, x, y);
}

/* One object that goes to the right along the middle row, 10 pixels a frame from x = 20 on; the
 * last picture. @event: (nullable) (transfer full): comes when the object is at x = 160 */
static guint8 *
draw_trail (const gchar *properties, gint id, GstEvent *event)
{
  g_autofree gchar *line = g_strdup_printf ("yolooverlay show-labels=false show-confidence=false "
      "show-ids=false line-width=2 %s", properties);
  GstHarness *h = gst_harness_new_parse (line);
  GstVideoInfo info;
  guint8 *rgb = NULL;

  set_caps (h, &info, "RGB", WIDTH, HEIGHT, "");
  for (guint i = 0; i < 20; i++) {
    YoloMetaObject moving = object (10 + 10 * (gfloat) i, HEIGHT / 2 - 10, 20, 20);
    GstBuffer *buffer = grey_frame (&info);
    GstSegment segment;

    moving.object_id = id;
    GST_BUFFER_PTS (buffer) = i * GST_SECOND / 25;
    if (i == 15 && event) {
      if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP)
        gst_harness_push_event (h, gst_event_new_flush_start ());
      gst_harness_push_event (h, event);
      gst_segment_init (&segment, GST_FORMAT_TIME);
      gst_harness_push_event (h, gst_event_new_segment (&segment));
    }
    yolo_meta_add (buffer, &info, &moving, 1, 0);
    buffer = gst_harness_push_and_pull (h, buffer);
    g_free (rgb);
    rgb = to_rgb (buffer, &info);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
  return rgb;
}

/* The object is at x = 210 in the end. */
static void
test_trails (void)
{
  static const struct {
    const gchar *properties;
    gint id;
    gboolean shown, far;        /* whether there is a trail, and whether from the beginning */
  } cases[] = {
    { "show-trails=true", 7, TRUE, TRUE }, { "", 7, FALSE, FALSE },
    { "show-trails=true", -1, FALSE, FALSE },
    { "show-trails=true trail-length=200000000", 7, TRUE, FALSE },
  };

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
    g_autofree guint8 *rgb = draw_trail (cases[c].properties, cases[c].id, NULL);

    keep_picture ("trail", rgb, WIDTH, HEIGHT);
    g_assert_cmpint (is_painted (rgb, 190, HEIGHT / 2), ==, cases[c].shown);
    g_assert_cmpint (is_painted (rgb, 30, HEIGHT / 2), ==, cases[c].far);
    g_assert_cmpint (is_painted (rgb, 120, HEIGHT / 2), ==, cases[c].far);
    g_assert_false (is_painted (rgb, 120, HEIGHT / 2 + 6));
    g_assert_false (is_painted (rgb, 240, HEIGHT / 2));
    g_assert_true (is_painted (rgb, 200, HEIGHT / 2));  /* the box */
  }
}

/* A number is another object's in another stream, and after a jump nobody knows the way. */
static void
test_trails_end (void)
{
  GstEvent *events[] = { gst_event_new_flush_stop (TRUE), gst_event_new_stream_start ("other") };

  for (guint i = 0; i < G_N_ELEMENTS (events); i++) {
    g_autofree guint8 *rgb = draw_trail ("show-trails=true", 7, events[i]);

    g_assert_true (is_painted (rgb, 190, HEIGHT / 2));
    g_assert_false (is_painted (rgb, 120, HEIGHT / 2));
  }
}

/* With trails, objects of a class have the colours of their tracks. */
static void
test_trail_colors (void)
{
  g_autofree guint8 *one = draw_trail ("show-trails=true", 7, NULL);
  g_autofree guint8 *two = draw_trail ("show-trails=true", 8, NULL);
  g_autofree guint8 *plain = draw_trail ("", 8, NULL);
  const gsize box = 3 * (HEIGHT / 2 * WIDTH + 200), way = 3 * (HEIGHT / 2 * WIDTH + 100);

  g_assert_cmpmem (one + box, 3, one + way, 3);
  g_assert_true (memcmp (one + box, two + box, 3) != 0);
  g_assert_true (memcmp (plain + box, two + box, 3) != 0);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/overlay/formats", test_formats);
  g_test_add_func ("/overlay/orientation", test_orientation);
  g_test_add_func ("/overlay/no-copy", test_no_copy);
  g_test_add_func ("/overlay/odd-boxes", test_odd_boxes);
  g_test_add_func ("/overlay/layouts", test_layouts);
  g_test_add_func ("/overlay/stale-meta", test_stale_meta);
  g_test_add_func ("/overlay/interlaced", test_interlaced);
  g_test_add_func ("/overlay/properties", test_properties);
  g_test_add_func ("/overlay/bare-region", test_bare_region);
  g_test_add_func ("/overlay/scaled", test_scaled);
  g_test_add_func ("/overlay/states", test_states);
  g_test_add_func ("/overlay/threads", test_threads);
  g_test_add_func ("/overlay/allocation", test_allocation);
  g_test_add_func ("/overlay/shapes", test_shapes);
  g_test_add_func ("/overlay/turned-and-whole", test_turned_and_whole);
  g_test_add_func ("/overlay/classes", test_classes);
  g_test_add_func ("/overlay/trails", test_trails);
  g_test_add_func ("/overlay/trails-end", test_trails_end);
  g_test_add_func ("/overlay/trail-colors", test_trail_colors);
  return g_test_run ();
}
