/* SPDX-License-Identifier: MIT */
/* yolooverlay makes unrecognisable what it shall, in every frame and format. What each sample
 * becomes is tested in tests/image/privacy.c. */

#include "gst-plugin/yolocanvas.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

#include <gst/check/gstharness.h>
#include <math.h>
#include <string.h>

#define WIDTH 160
#define HEIGHT 120
/* A rectangle and a margin of nothing, so that the cells are known. */
#define PLAIN "yolooverlay show-boxes=false show-labels=false show-confidence=false " \
    "show-masks=false privacy-margin=0 "

static GstHarness *
harness (const gchar *properties)
{
  g_autofree gchar *line = g_strconcat (PLAIN, properties, NULL);

  return gst_harness_new_parse (line);
}

static void
set_caps (GstHarness *h, GstVideoInfo *info, const gchar *format, gint width, gint height)
{
  g_autofree gchar *string = g_strdup_printf (
      "video/x-raw, format=%s, width=%d, height=%d, framerate=25/1", format, width, height);
  GstCaps *caps = gst_caps_from_string (string);

  g_assert_true (gst_video_info_from_caps (info, caps));
  gst_harness_set_src_caps (h, caps);
}

static YoloMetaObject
object (gfloat x, gfloat y, gfloat w, gfloat h, const gchar *label, gint id)
{
  return (YoloMetaObject){ .x = x, .y = y, .w = w, .h = h, .confidence = .875, .label_id = 1,
    .label = g_quark_from_string (label), .object_id = id };
}

/* A chess board of pixels in ARGB, dark and light, the other way around inside of a
 * rectangle. */
static GstBuffer *
chess_board (GstVideoInfo *info, const GstVideoInfo *like, const YoloRect *other)
{
  const gint width = GST_VIDEO_INFO_WIDTH (like), height = GST_VIDEO_INFO_HEIGHT (like);
  GstBuffer *buffer;
  GstMapInfo map;

  gst_video_info_set_format (info, GST_VIDEO_FORMAT_ARGB, (guint) width, (guint) height);
  info->fps_n = 25;
  info->fps_d = 1;
  buffer = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (info));
  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
  for (gint y = 0; y < height; y++)
    for (gint x = 0; x < width; x++) {
      const gboolean in = x >= other->x0 && x < other->x1 && y >= other->y0 && y < other->y1;
      guint8 *p = map.data + 4 * (y * width + x);

      memset (p, (x + y + in) % 2 ? 64 : 192, 4);
      p[0] = 255;
    }
  gst_buffer_unmap (buffer, &map);
  return buffer;
}

/* Takes the buffer. */
static GstBuffer *
convert (GstBuffer *from, const GstVideoInfo *from_info, const GstVideoInfo *to_info)
{
  GstBuffer *to = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (to_info));
  GstVideoFrame in, out;
  GstVideoConverter *converter;

  gst_buffer_memset (to, 0, 0, GST_VIDEO_INFO_SIZE (to_info));
  g_assert_true (gst_video_frame_map (&in, from_info, from, GST_MAP_READ));
  g_assert_true (gst_video_frame_map (&out, to_info, to, GST_MAP_WRITE));
  converter = gst_video_converter_new (from_info, to_info,
      gst_structure_new ("options", GST_VIDEO_CONVERTER_OPT_DITHER_METHOD,
          GST_TYPE_VIDEO_DITHER_METHOD, GST_VIDEO_DITHER_NONE, NULL));
  gst_video_converter_frame (converter, &in, &out);
  gst_video_converter_free (converter);
  gst_video_frame_unmap (&in);
  gst_video_frame_unmap (&out);
  gst_buffer_unref (from);
  return to;
}

static GstBuffer *
frame (const GstVideoInfo *info, YoloRect other)
{
  GstVideoInfo argb;
  GstBuffer *board = chess_board (&argb, info, &other);

  return convert (board, &argb, info);
}

/* Takes the buffer; the green of each pixel. */
static guint8 *
green (GstBuffer *buffer, const GstVideoInfo *info)
{
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  guint8 *levels = g_malloc ((gsize) (width * height));
  const gchar *folder = g_getenv ("YOLO_TEST_PICTURES");
  GstVideoInfo argb;
  GstMapInfo map;

  gst_video_info_set_format (&argb, GST_VIDEO_FORMAT_ARGB, (guint) width, (guint) height);
  argb.fps_n = info->fps_n;
  argb.fps_d = info->fps_d;
  buffer = convert (buffer, info, &argb);
  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  for (gint i = 0; i < width * height; i++)
    levels[i] = map.data[4 * i + 2];
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  if (folder != NULL) {         /* to look at */
    static guint number = 0;
    g_autofree gchar *path = g_strdup_printf ("%s/privacy-%03u.pgm", folder, number++);
    g_autofree gchar *head = g_strdup_printf ("P5\n%d %d\n255\n", width, height);
    g_autoptr (GString) text = g_string_new (head);

    g_string_append_len (text, (const gchar *) levels, width * height);
    g_assert_true (g_file_set_contents (path, text->str, (gssize) text->len, NULL));
  }
  return levels;
}

/* Takes the buffer; what comes out with these objects. */
static GstBuffer *
run (GstHarness *h, const GstVideoInfo *info, GstBuffer *buffer, GstClockTime pts,
    const YoloMetaObject *objects, guint n)
{
  GST_BUFFER_PTS (buffer) = pts;
  yolo_meta_add (buffer, info, objects, n, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  g_assert_nonnull (buffer);
  return buffer;
}

/* Whether nothing is left of the chess board at a pixel and its neighbour. */
static gboolean
is_hidden (const guint8 *levels, gint x, gint y)
{
  return ABS (levels[y * WIDTH + x] - levels[y * WIDTH + x + 1]) < 20;
}

static gboolean
is_hidden_in (GstBuffer *buffer, const GstVideoInfo *info, gint x, gint y)
{
  g_autofree guint8 *levels = green (buffer, info);

  return is_hidden (levels, x, y);
}

static gboolean
bytes_are_equal (GstBuffer *a, GstBuffer *b)
{
  GstMapInfo x, y;
  gboolean equal;

  g_assert_true (gst_buffer_map (a, &x, GST_MAP_READ));
  g_assert_true (gst_buffer_map (b, &y, GST_MAP_READ));
  equal = x.size == y.size && memcmp (x.data, y.data, x.size) == 0;
  gst_buffer_unmap (a, &x);
  gst_buffer_unmap (b, &y);
  return equal;
}

/* In every format, two frames that differ inside of the object alone, by detail that has the same
 * mean, become equal to the byte; outside they are as they were. */
static void
test_formats (void)
{
  static const gchar *const modes[] = { "privacy=blur", "privacy=pixelate", "privacy=fill" };
  const YoloMetaObject box = object (50, 31, 61, 59, "person", -1);
  /* the cells of 4 pixels that the box touches */
  const YoloRect cells = { 48, 28, 112, 92 };
  const GstVideoFormat *formats;
  guint n;

  formats = gst_video_formats_raw (&n);
  for (guint f = 0; f < n; f++) {
    const gchar *name = gst_video_format_to_string (formats[f]);

    if (gst_video_format_get_info (formats[f])->unpack_func == NULL)
      continue;
    for (guint m = 0; m < G_N_ELEMENTS (modes); m++) {
      GstHarness *h = harness (modes[m]);
      g_autofree guint8 *levels = NULL;
      GstBuffer *a, *b;
      GstVideoInfo info;

      g_test_message ("%s %s", name, modes[m]);
      set_caps (h, &info, name, WIDTH, HEIGHT);
      a = frame (&info, (YoloRect){ 0 });
      b = frame (&info, cells);
      g_assert_false (bytes_are_equal (a, b));
      a = run (h, &info, a, 0, &box, 1);
      b = run (h, &info, b, 0, &box, 1);
      g_assert_true (bytes_are_equal (a, b));
      gst_buffer_unref (b);
      levels = green (a, &info);
      for (gint y = 0; y < HEIGHT; y++)
        for (gint x = 0; x + 1 < WIDTH; x++)
          if (y >= cells.y0 && y < cells.y1 && x >= cells.x0 && x + 1 < cells.x1)
            g_assert_true (is_hidden (levels, x, y));
          else if (y < cells.y0 - 1 || y > cells.y1 || x < cells.x0 - 2 || x > cells.x1)
            g_assert_false (is_hidden (levels, x, y));
      if (m == 2)
        g_assert_cmpint (levels[60 * WIDTH + 80], <, 8);
      else
        g_assert_cmpint (ABS (levels[60 * WIDTH + 80] - 128), <, 30);
      gst_harness_teardown (h);
    }
  }
}

/* Names, numbers, quotes; all where nothing is said. */
static void
test_classes (void)
{
  static const struct {
    const gchar *ids;
    gboolean person, dog;       /* are hidden */
  } table[] = { { "person", TRUE, FALSE }, { "dog, big", FALSE, TRUE },
    { "\"dog, big\",car", FALSE, TRUE }, { "1", TRUE, TRUE }, { "0,cat", FALSE, FALSE },
    { " person ,7", TRUE, FALSE }, { "", TRUE, TRUE }, { "\"1\"", FALSE, FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (table); i++) {
    const YoloMetaObject objects[] = { object (8, 8, 32, 32, "person", -1),
      object (100, 60, 32, 32, "dog, big", -1) };
    GstHarness *h = harness ("privacy=pixelate privacy-hold=0");
    g_autoptr (GstElement) o = gst_harness_find_element (h, "yolooverlay");
    g_autofree guint8 *levels = NULL;
    GstVideoInfo info;

    g_object_set (o, "privacy-class-ids", table[i].ids, NULL);
    set_caps (h, &info, "I420", WIDTH, HEIGHT);
    levels = green (run (h, &info, frame (&info, (YoloRect){ 0 }), 0, objects, 2), &info);
    g_assert_cmpint (is_hidden (levels, 20, 20), ==, table[i].person);
    g_assert_cmpint (is_hidden (levels, 115, 75), ==, table[i].dog);
    gst_harness_teardown (h);
  }
}

/* Regions are hidden in every frame from the first, with and without objects, also in buffers
 * that somebody else holds, and where they leave the frame. */
static void
test_regions (void)
{
  GstHarness *h = harness ("privacy=fill "
      "privacy-regions=\"-10,-10,30,25; 60,40,100,40,80,80 ;150,100,500,500\"");
  GstVideoInfo info;

  set_caps (h, &info, "NV12", WIDTH, HEIGHT);
  for (guint i = 0; i < 2; i++) {
    GstBuffer *in = frame (&info, (YoloRect){ 0 }), *out;
    g_autofree guint8 *before = green (gst_buffer_ref (in), &info), *levels = NULL, *kept = NULL;

    gst_buffer_ref (in);        /* the pixels that the other holder has stay as they are */
    out = run (h, &info, gst_buffer_copy (in), i * 40 * GST_MSECOND, NULL, 0);
    levels = green (out, &info);
    kept = green (in, &info);
    g_assert_cmpmem (before, WIDTH * HEIGHT, kept, WIDTH * HEIGHT);
    g_assert_true (is_hidden (levels, 0, 0) && is_hidden (levels, 18, 14));
    g_assert_false (is_hidden (levels, 30, 30));
    g_assert_true (is_hidden (levels, 80, 50) && is_hidden (levels, 62, 41));
    /* in the polygon's box */
    g_assert_false (is_hidden (levels, 60, 75) || is_hidden (levels, 98, 75));
    g_assert_true (is_hidden (levels, 151, 101) && is_hidden (levels, 158, 119));
    gst_buffer_unref (in);
  }
  gst_harness_teardown (h);
}

/* What an element makes of a frame that has seen others is what a new one makes of it, whatever
 * the regions' redactions depend on. */
static void
test_regions_stay (void)
{
  static const gchar *const regions[] = { "60,40,100,40,80,80;0,0,20,20",
    "60,40,100,40,80,80;0,0,20,20", "10,60,60,60,30,110", "10,60,60,60,30,110" };
  static const struct {
    const gchar *format, *mode;
    gint width;
    guint regions, n_objects;
  } frames[] = {
    { "I420", "pixelate", WIDTH, 0, 0 }, { "I420", "pixelate", WIDTH, 1, 2 },
    { "I420", "pixelate", WIDTH, 0, 1 }, { "I420", "pixelate", WIDTH, 2, 0 },
    { "I420", "fill", WIDTH, 2, 0 }, { "I420", "fill", 240, 2, 1 }, { "RGB", "fill", 240, 3, 0 },
    { "RGB", "blur", WIDTH, 0, 2 }, { "RGB", "none", WIDTH, 0, 2 }, { "RGB", "blur", WIDTH, 0, 1 },
    { "NV12", "blur", WIDTH, 0, 0 }, { "NV12", "blur", WIDTH, 0, 2 },
  };
  const YoloMetaObject objects[] = { object (100, 80, 30, 30, "person", -1),
    object (30, 10, 40, 30, "person", -1) };
  GstHarness *h = harness ("privacy-hold=0");

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
    GstHarness *fresh = harness ("privacy-hold=0"), *both[] = { h, fresh };
    GstBuffer *out[2];
    GstVideoInfo info;

    for (guint k = 0; k < 2; k++) {
      g_autoptr (GstElement) o = gst_harness_find_element (both[k], "yolooverlay");

      gst_util_set_object_arg (G_OBJECT (o), "privacy", frames[i].mode);
      g_object_set (o, "privacy-regions", regions[frames[i].regions], NULL);
      set_caps (both[k], &info, frames[i].format, frames[i].width, HEIGHT);
      out[k] = run (both[k], &info, frame (&info, (YoloRect){ 0 }), i * 40 * GST_MSECOND, objects,
          frames[i].n_objects);
    }
    g_assert_true (bytes_are_equal (out[0], out[1]));
    gst_buffer_unref (out[0]);
    gst_buffer_unref (out[1]);
    gst_harness_teardown (fresh);
  }
  gst_harness_teardown (h);
}

/* Where the caps' frame is a part of the pixels in memory, all is counted from its corner. */
static void
test_crop (void)
{
  const YoloMetaObject o = object (40, 32, 16, 16, "person", -1);
  GstHarness *h = harness ("privacy=fill privacy-regions=\"8,8,16,16;70,40,90,40,90,60\"");
  g_autofree guint8 *levels = NULL;
  GstVideoInfo info, part;
  GstVideoCropMeta *crop;
  GstBuffer *buffer;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT);
  info.fps_n = 25;
  set_caps (h, &part, "NV12", 100, 64);
  buffer = frame (&info, (YoloRect){ 0 });
  gst_buffer_add_video_meta (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_NV12, WIDTH,
      HEIGHT);
  crop = gst_buffer_add_video_crop_meta (buffer);
  crop->x = 32;
  crop->y = 16;
  crop->width = 100;
  crop->height = 64;
  levels = green (run (h, &part, buffer, 0, &o, 1), &info);
  g_assert_true (is_hidden (levels, 40, 24) && is_hidden (levels, 54, 39));
  g_assert_false (is_hidden (levels, 12, 12));
  g_assert_true (is_hidden (levels, 72, 48) && is_hidden (levels, 86, 62));
  g_assert_true (is_hidden (levels, 120, 60));
  g_assert_false (is_hidden (levels, 104, 75));
  gst_harness_teardown (h);
}

static GstBuffer *
hold_frame (GstHarness *h, const GstVideoInfo *info, guint ms, const YoloMetaObject *o)
{
  return run (h, info, frame (info, (YoloRect){ 0 }), ms * GST_MSECOND, o, o != NULL);
}

/* An object that is missing stays hidden: with a track for the time that the property says,
 * where it was and where it was going; without one half of that; for three frames at least. */
static void
test_hold (void)
{
  for (gint id = -1; id < 8; id += 8) {
    GstHarness *h = harness ("privacy=fill privacy-class-ids=person privacy-hold=400000000");
    YoloMetaObject o = object (20, 20, 32, 40, "person", id);
    const guint keep = id >= 0 ? 400 : 200;
    guint ms = 0;
    GstVideoInfo info;
    GstSegment segment;

    set_caps (h, &info, "NV12", WIDTH, HEIGHT);
    for (guint i = 0; i < 5; i++, ms += 40, o.x += 4)
      g_assert_true (is_hidden_in (hold_frame (h, &info, ms, &o), &info, (gint) o.x + 8, 40));
    o.x -= 4;
    ms -= 40;                   /* seen last, at 36 to 68 */
    g_assert_true (is_hidden_in (hold_frame (h, &info, ms + 40, NULL), &info, 40, 40));
    g_assert_true (is_hidden_in (hold_frame (h, &info, ms + 80, NULL), &info, 40, 40));
    /* at about 80 pixels a second it may be at 44 to 76 by now */
    g_assert_true (is_hidden_in (hold_frame (h, &info, ms + 100, NULL), &info, 72, 40));
    g_assert_false (is_hidden_in (hold_frame (h, &info, ms + 100, NULL), &info, 20, 40));
    g_assert_true (is_hidden_in (hold_frame (h, &info, ms + keep, NULL), &info, 40, 40));
    g_assert_false (is_hidden_in (hold_frame (h, &info, ms + keep + 1, NULL), &info, 40, 40));

    /* it comes back, and is hidden where it is then, not where it was */
    ms += 1000;
    o.x = 20;
    g_assert_true (is_hidden_in (hold_frame (h, &info, ms, &o), &info, 30, 40));
    o.x += 12;
    g_assert_true (is_hidden_in (hold_frame (h, &info, ms + 40, &o), &info, 54, 40));
    g_assert_false (is_hidden_in (hold_frame (h, &info, ms + 40, &o), &info, 22, 40));

    /* a mistaken class does not show it, if its track is known */
    o.label = g_quark_from_string ("dog");
    g_assert_cmpint (is_hidden_in (hold_frame (h, &info, ms + 80, &o), &info, 60, 40), ==, TRUE);

    /* however far apart frames are, in three of them it may be missing */
    o.label = g_quark_from_string ("person");
    ms += 10000;
    gst_buffer_unref (hold_frame (h, &info, ms, &o));
    for (guint i = 1; i < 5; i++)
      g_assert_cmpint (
          is_hidden_in (hold_frame (h, &info, ms + 5000 * i, NULL), &info, 50, 40), ==, i < 4);
    ms += 25000;
    gst_buffer_unref (hold_frame (h, &info, ms, &o));

    /* a flush: another place in the stream */
    gst_harness_push_event (h, gst_event_new_flush_start ());
    gst_harness_push_event (h, gst_event_new_flush_stop (FALSE));
    gst_segment_init (&segment, GST_FORMAT_TIME);
    gst_harness_push_event (h, gst_event_new_segment (&segment));
    g_assert_false (is_hidden_in (hold_frame (h, &info, ms + 100, NULL), &info, 50, 40));
    gst_harness_teardown (h);
  }
}

/* A frame without a time follows the one before by a frame's duration; a stream that has become
 * larger keeps what it holds in its place; time that goes back far forgets it. */
static void
test_hold_times (void)
{
  GstHarness *h = harness ("privacy=fill privacy-hold=400000000");
  const YoloMetaObject o = object (16, 16, 32, 32, "person", 3);
  GstVideoInfo info;
  guint n;

  set_caps (h, &info, "GRAY8", WIDTH, HEIGHT);
  gst_buffer_unref (run (h, &info, frame (&info, (YoloRect){ 0 }), GST_CLOCK_TIME_NONE, &o, 1));
  for (n = 0; n < 100; n++)
    if (!is_hidden_in (
            run (h, &info, frame (&info, (YoloRect){ 0 }), GST_CLOCK_TIME_NONE, NULL, 0), &info,
            30, 30))
      break;
  g_assert_cmpuint (n, ==, 10);

  gst_buffer_unref (hold_frame (h, &info, 5000, &o));
  set_caps (h, &info, "GRAY8", 2 * WIDTH, 2 * HEIGHT);
  {
    g_autofree guint8 *levels =
        green (run (h, &info, frame (&info, (YoloRect){ 0 }), 5040 * GST_MSECOND, NULL, 0), &info);

    g_assert_cmpint (levels[90 * 2 * WIDTH + 90], <, 8);
    g_assert_cmpint (levels[90 * 2 * WIDTH + 91], <, 8);
    g_assert_cmpint (levels[20 * 2 * WIDTH + 20] + levels[20 * 2 * WIDTH + 21], >, 200);
  }
  set_caps (h, &info, "GRAY8", WIDTH, HEIGHT);
  g_assert_true (is_hidden_in (hold_frame (h, &info, 5020, NULL), &info, 30, 30));
  g_assert_false (is_hidden_in (hold_frame (h, &info, 1000, NULL), &info, 30, 30));
  gst_harness_teardown (h);
}

/* An object's mask or turned box is what is hidden, unless all of its box is asked for. */
static void
test_shapes (void)
{
  const YoloObject box = { .x1 = 40, .y1 = 24, .x2 = 120, .y2 = 104 },
                   turned = { .x1 = 40, .y1 = 54, .x2 = 120, .y2 = 74,
                     .angle = (float) (G_PI / 4) };
  int16_t cells[16], no_cells[16];
  YoloObjectMask mask = { 40, 24, 120, 104, 4, 4, 0 };
  const YoloDetails details[] = { { .masks = &mask, .cells = cells, .n_cells = 16 },
    { .masks = &mask, .cells = no_cells, .n_cells = 16 }, { .turned = TRUE }, { .whole = TRUE } };

  for (guint i = 0; i < 16; i++) {
    cells[i] = i % 4 < 2 ? 100 : -100;
    no_cells[i] = -100;
  }
  for (guint k = 0; k < G_N_ELEMENTS (details); k++)
    for (guint masks = 0; masks < 2; masks++) {
      const YoloResult result = {
        .detections = k == 2 ? &turned : &box, .n_detections = 1, .details = &details[k]
      };
      GstHarness *h = harness (masks ? "privacy=pixelate" : "privacy=pixelate privacy-masks=false");
      YoloMetaObject o = object (40, 24, 80, 80, "person", -1);
      g_autofree guint8 *levels = NULL;
      GstVideoInfo info;

      set_caps (h, &info, "Y444", WIDTH, HEIGHT);
      o.shape = yolo_shape_new (&result, 0, 0, 0, WIDTH, HEIGHT);
      levels = green (run (h, &info, frame (&info, (YoloRect){ 0 }), 0, &o, 1), &info);
      if (k == 3) {             /* a class of the whole frame is no object in it */
        g_assert_false (is_hidden (levels, 80, 64));
      } else if (masks && k == 0) {
        g_assert_true (is_hidden (levels, 42, 30) && is_hidden (levels, 74, 100));
        g_assert_false (is_hidden (levels, 90, 64) || is_hidden (levels, 36, 64));
      } else if (masks && k == 2) {
        g_assert_true (is_hidden (levels, 60, 44) && is_hidden (levels, 100, 84));
        g_assert_false (is_hidden (levels, 100, 44) || is_hidden (levels, 60, 84));
      } else {                  /* a mask that shows nothing hides the box */
        g_assert_true (is_hidden (levels, 60, 44) && is_hidden (levels, 116, 30));
        g_assert_false (is_hidden (levels, 30, 44));
      }
      g_bytes_unref (o.shape);
      gst_harness_teardown (h);
    }
}

/* Of an object that is missing all of the box is hidden, whatever shape others have. */
static void
test_held_shapes (void)
{
  const YoloObject box = { .x1 = 100, .y1 = 24, .x2 = 148, .y2 = 104 };
  int16_t cells[16];
  YoloObjectMask mask = { 100, 24, 148, 104, 4, 4, 0 };
  const YoloDetails details = { .masks = &mask, .cells = cells, .n_cells = 16 };
  const YoloResult result = { .detections = &box, .n_detections = 1, .details = &details };
  YoloMetaObject first = object (104, 24, 36, 40, "person", 1),
                 second = object (100, 24, 48, 80, "person", 2);
  GstHarness *h = harness ("privacy=pixelate");
  GstVideoInfo info;

  for (guint i = 0; i < 16; i++)
    cells[i] = i % 4 < 2 ? 100 : -100;
  set_caps (h, &info, "I420", WIDTH, HEIGHT);
  gst_buffer_unref (hold_frame (h, &info, 0, &first));
  second.shape = yolo_shape_new (&result, 0, 0, 0, WIDTH, HEIGHT);
  for (guint k = 1; k < 3; k++) {
    g_autofree guint8 *levels = green (hold_frame (h, &info, 40 * k, &second), &info);

    g_assert_true (is_hidden (levels, 104, 80));
    g_assert_false (is_hidden (levels, 136, 80));
    g_assert_true (is_hidden (levels, 136, 40));
  }
  g_bytes_unref (second.shape);
  gst_harness_teardown (h);
}

/* What is drawn lies on what is hidden; the margin is as large as it is said; a buffer that stands
 * for a gap passes; the mode can be changed while playing, and none does nothing. */
static void
test_order_and_margin (void)
{
  GstHarness *h = gst_harness_new_parse ("yolooverlay show-labels=false show-confidence=false "
      "line-width=2 privacy=fill privacy-margin=.25 privacy-regions=0,0,8,8");
  g_autoptr (GstElement) overlay = gst_harness_find_element (h, "yolooverlay");
  const YoloMetaObject o = object (40, 40, 32, 32, "person", -1);
  g_autofree guint8 *levels = NULL, *plain = NULL;
  GstVideoInfo info;
  GstBuffer *gap;

  set_caps (h, &info, "RGB", WIDTH, HEIGHT);
  levels = green (run (h, &info, frame (&info, (YoloRect){ 0 }), 0, &o, 1), &info);
  g_assert_cmpint (levels[56 * WIDTH + 56], ==, 0);
  g_assert_cmpint (levels[34 * WIDTH + 34], ==, 0);
  g_assert_cmpint (levels[56 * WIDTH + 40], >, 0);      /* the line of the box */
  g_assert_cmpint (levels[29 * WIDTH + 29] + levels[29 * WIDTH + 30], >, 200);
  g_assert_cmpint (levels[78 * WIDTH + 78], ==, 0);
  g_assert_false (is_hidden (levels, 82, 82));

  gap = gst_buffer_new ();
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  gap = run (h, &info, gap, 40 * GST_MSECOND, NULL, 0);
  g_assert_cmpuint (gst_buffer_get_size (gap), ==, 0);
  gst_buffer_unref (gap);

  g_object_set (overlay, "privacy", 0, NULL);
  plain = green (run (h, &info, frame (&info, (YoloRect){ 0 }), 80 * GST_MSECOND, NULL, 0), &info);
  g_assert_false (is_hidden (plain, 0, 0));
  g_assert_false (is_hidden (plain, 56, 56));
  gst_harness_teardown (h);
}

/* What cannot be read is an error at the start: nothing may be shown that was to be hidden. While
 * playing it is a warning, and all stays as it was. */
static void
test_bad_strings (void)
{
  static const struct {
    const gchar *property, *value, *part;
  } table[] = {
    { "privacy-class-ids", "\"person", "privacy-class-ids \"\"person\"" },
    { "privacy-class-ids", "1,,2", "is not a list of classes" },
    { "privacy-regions", "1,2,3", "privacy-regions \"1,2,3\" is not a region" },
    { "privacy-regions", "1,2,30,40;1,2,30,-4", "1,2,30,-4\" is not a region" },
    { "privacy-regions", "1,2,3,4,5,6,7", "x,y,width,height" },
    { "privacy-regions", "1,2,nan,4", "in pixels" },
    { "privacy-regions", "1,2,3,4,", "in pixels" },
    { "privacy-regions", "1 2 3 4", "in pixels" },
    { "privacy-regions", ";", "in pixels" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    for (guint playing = 0; playing < 2; playing++) {
      GstElement *overlay = gst_element_factory_make ("yolooverlay", NULL);
      GstBus *bus = gst_bus_new ();
      g_autoptr (GError) error = NULL;
      g_autofree gchar *value = NULL;
      GstMessage *message;

      gst_element_set_bus (overlay, bus);
      if (playing) {
        g_object_set (overlay, table[i].property, "1,2,10,10", NULL);
        gst_element_set_state (overlay, GST_STATE_PAUSED);
      }
      g_object_set (overlay, table[i].property, table[i].value, NULL);
      g_object_get (overlay, table[i].property, &value, NULL);
      g_assert_cmpstr (value, ==, playing ? "1,2,10,10" : table[i].value);
      if (!playing)
        g_assert_cmpint (
            gst_element_set_state (overlay, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
      message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
      g_assert_nonnull (message);
      if (playing)
        gst_message_parse_warning (message, &error, NULL);
      else
        gst_message_parse_error (message, &error, NULL);
      g_assert_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS);
      if (strstr (error->message, table[i].part) == NULL)
        g_error ("\"%s\" does not have \"%s\"", error->message, table[i].part);
      gst_message_unref (message);
      gst_element_set_state (overlay, GST_STATE_NULL);
      gst_element_set_bus (overlay, NULL);
      gst_object_unref (bus);
      gst_object_unref (overlay);
    }
}

/* A region outside of the frame hides nothing, which is said once. */
static void
test_region_outside (void)
{
  GstHarness *h = harness ("privacy=blur privacy-regions=\"4,4,8,8;400,4,10,10\"");
  GstBus *bus = gst_bus_new ();
  g_autoptr (GError) error = NULL;
  GstMessage *message;
  GstVideoInfo info;

  gst_element_set_bus (h->element, bus);
  set_caps (h, &info, "RGBA", WIDTH, HEIGHT);
  for (guint i = 0; i < 2; i++)
    g_assert_true (is_hidden_in (hold_frame (h, &info, 40 * i, NULL), &info, 6, 6));
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  g_assert_nonnull (message);
  gst_message_parse_warning (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, "region number 2 lies outside"));
  gst_message_unref (message);
  g_assert_null (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING));
  gst_element_set_bus (h->element, NULL);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/privacy/formats", test_formats);
  g_test_add_func ("/privacy/classes", test_classes);
  g_test_add_func ("/privacy/regions", test_regions);
  g_test_add_func ("/privacy/regions-stay", test_regions_stay);
  g_test_add_func ("/privacy/crop", test_crop);
  g_test_add_func ("/privacy/hold", test_hold);
  g_test_add_func ("/privacy/hold-times", test_hold_times);
  g_test_add_func ("/privacy/shapes", test_shapes);
  g_test_add_func ("/privacy/held-shapes", test_held_shapes);
  g_test_add_func ("/privacy/order-and-margin", test_order_and_margin);
  g_test_add_func ("/privacy/bad-strings", test_bad_strings);
  g_test_add_func ("/privacy/region-outside", test_region_outside);
  return g_test_run ();
}
