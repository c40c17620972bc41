/* SPDX-License-Identifier: MIT */
/* Drawing in every format, against a reference that goes pixel by pixel. */

#include "gst-plugin/yolocanvas.h"
#include "gst-plugin/yolotext.h"
#include "tests/guarded.h"

#include <math.h>

/* A frame whose planes end where memory ends. */
typedef struct {
  GstVideoFrame frame;
  guint n_planes;
  Guarded plane[GST_VIDEO_MAX_PLANES];
} TestFrame;

static const gchar *formats[] = {
  "NV12",
  "NV21",
  "I420",
  "YV12",
  "YUY2",
  "UYVY",
  "Y42B",
  "Y444",
  "P010_10LE",
  "RGB",
  "BGR",
  "RGBA",
  "BGRA",
  "ARGB",
  "ABGR",
  "RGBx",
  "BGRx",
  "xRGB",
  "xBGR",
  "GRAY8",
  "I420_10LE",
  "I422_12LE",
  "Y444_16LE",
  "P016_LE",
  "A420",
  "AYUV",
  "NV16",
  "NV61",
  "GBR_10LE",
  "GRAY16_LE",
};

static const struct {
  gint width, height;
} sizes[] = { {1, 1}, {2, 2}, {1, 7}, {7, 1}, {5, 3}, {16, 8}, {17, 13}, {33, 30} };

/* The row of samples of a component that covers row y of the pixels. */
static gint
sample_row (gint y, guint shift, gboolean interlaced)
{
  return interlaced ? ((y / 2) >> shift) * 2 + y % 2 : y >> shift;
}

/* The first sample of a component. GStreamer's own offset of V in P010 is wrong. */
static guint8 *
component_data (const GstVideoFrame *frame, guint component)
{
  const GstVideoInfo *info = &frame->info;
  const gboolean is_v = GST_VIDEO_INFO_COMP_DEPTH (info, 2) > 8
      && GST_VIDEO_INFO_N_PLANES (info) == 2 && component == 2;

  return (guint8 *) frame->data[GST_VIDEO_INFO_COMP_PLANE (info, component)]
      + (is_v ? 2 : GST_VIDEO_INFO_COMP_POFFSET (info, component));
}

static void
test_frame_init (TestFrame *t, const GstVideoInfo *info, gboolean interlaced, Random *random)
{
  guint i;
  gsize bytes[GST_VIDEO_MAX_PLANES] = { 0 }, rows[GST_VIDEO_MAX_PLANES] = { 0 };

  memset (t, 0, sizeof *t);
  t->frame.info = *info;
  if (interlaced) {
    t->frame.info.interlace_mode = GST_VIDEO_INTERLACE_MODE_MIXED;
    t->frame.flags = GST_VIDEO_FRAME_FLAG_INTERLACED;
  }
  t->n_planes = GST_VIDEO_INFO_N_PLANES (info);
  for (i = 0; i < GST_VIDEO_INFO_N_COMPONENTS (info); i++) {
    const guint plane = GST_VIDEO_INFO_COMP_PLANE (info, i);
    const gint width = GST_VIDEO_FORMAT_INFO_SCALE_WIDTH (info->finfo, i, info->width);
    const gsize end = GST_VIDEO_INFO_COMP_POFFSET (info, i)
        + (width - 1) * GST_VIDEO_INFO_COMP_PSTRIDE (info, i)
        + (GST_VIDEO_INFO_COMP_DEPTH (info, i) > 8 ? 2 : 1);

    /* the chroma of such formats comes in pairs of two bytes each */
    bytes[plane] = MAX (bytes[plane],
        GST_VIDEO_INFO_COMP_DEPTH (info, i) > 8 && plane == 1 ? GST_ROUND_UP_4 (end) : end);
    rows[plane] = GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT (info->finfo, i, info->height);
  }
  for (i = 0; i < t->n_planes; i++) {
    const gint stride = (bytes[i] + random_int (random, 0, 9) + 1) & ~1;

    t->frame.info.stride[i] = stride;
    t->plane[i] = guarded_new (stride * (rows[i] - 1) + bytes[i]);
    random_bytes (random, t->plane[i].data, t->plane[i].size);
    t->frame.data[i] = t->plane[i].data;
  }
}

static void
test_frame_clear (TestFrame *t)
{
  guint i;

  for (i = 0; i < t->n_planes; i++)
    guarded_free (&t->plane[i]);
}

/* What a drawing does to a frame, given the opacity of each pixel, 0 to 255. */
static void
reference (TestFrame *t, const guint8 *opacity, const YoloColor *color, gboolean interlaced)
{
  const GstVideoInfo *info = &t->frame.info;
  const GstVideoFormatInfo *format = info->finfo;
  guint c;
  gint x, y;

  for (c = 0; c < GST_VIDEO_INFO_N_COMPONENTS (info); c++) {
    const guint w_sub = GST_VIDEO_FORMAT_INFO_W_SUB (format, c);
    const guint h_sub = GST_VIDEO_FORMAT_INFO_H_SUB (format, c);
    const gint width = (info->width + (1 << w_sub) - 1) >> w_sub;
    const gint height = sample_row (info->height - 1, h_sub, interlaced) + 2;
    g_autofree guint *sum = g_new0 (guint, width * height);
    g_autofree guint *count = g_new0 (guint, width * height);
    gint i;

    for (y = 0; y < info->height; y++)
      for (x = 0; x < info->width; x++) {
        i = sample_row (y, h_sub, interlaced) * width + (x >> w_sub);
        sum[i] += opacity[y * info->width + x];
        count[i]++;
      }
    for (i = 0; i < width * height; i++) {
      guint8 *p;
      gdouble old, a;

      if (sum[i] == 0 || i / width >= GST_VIDEO_FRAME_COMP_HEIGHT (&t->frame, c))
        continue;
      p = component_data (&t->frame, c)
          + i / width * GST_VIDEO_FRAME_COMP_STRIDE (&t->frame, c)
          + i % width * GST_VIDEO_FRAME_COMP_PSTRIDE (&t->frame, c);
      a = sum[i] / 255. / count[i];
      if (GST_VIDEO_FORMAT_INFO_DEPTH (format, c) > 8) {
        old = GST_READ_UINT16_LE (p) >> GST_VIDEO_FORMAT_INFO_SHIFT (format, c);
        GST_WRITE_UINT16_LE (p, (guint) floor (old + (color->value[c] - old) * a + 0.5 + 1e-9)
            << GST_VIDEO_FORMAT_INFO_SHIFT (format, c));
      } else {
        old = *p;
        *p = floor (old + (color->value[c] - old) * a + 0.5 + 1e-9);
      }
    }
  }
}

static void
assert_same (const TestFrame *a, const TestFrame *b)
{
  guint i;

  for (i = 0; i < a->n_planes; i++)
    g_assert_cmpmem (a->plane[i].data, a->plane[i].size, b->plane[i].data, b->plane[i].size);
}

static YoloRect
random_rect (Random *random, const GstVideoInfo *info)
{
  YoloRect r;

  r.x0 = random_int (random, -4, info->width + 2);
  r.y0 = random_int (random, -4, info->height + 2);
  r.x1 = r.x0 + random_int (random, -1, info->width + 4);
  r.y1 = r.y0 + random_int (random, -1, info->height + 4);
  return r;
}

static gboolean
is_inside (YoloRect r, gint x, gint y)
{
  return x >= r.x0 && x < r.x1 && y >= r.y0 && y < r.y1;
}

typedef struct {
  gboolean interlaced, blend;
} Mode;

static void
test_drawing (gconstpointer data)
{
  const Mode *mode = data;
  Random random = random_new (1);
  guint f, s, trial;

  for (f = 0; f < G_N_ELEMENTS (formats); f++)
    for (s = 0; s < G_N_ELEMENTS (sizes); s++)
      for (trial = 0; trial < 12; trial++) {
        const gint w = sizes[s].width, h = sizes[s].height;
        g_autofree guint8 *opacity = g_malloc0 (w * h);
        g_test_message ("%s %dx%d", formats[f], w, h);
        Random same = random;
        GstVideoInfo info;
        TestFrame drawn, expected;
        YoloCanvas canvas;
        YoloColor color;
        YoloRect clip, outer, inner;
        gint x, y;

        gst_video_info_set_format (&info, gst_video_format_from_string (formats[f]), w, h);
        test_frame_init (&drawn, &info, mode->interlaced, &random);
        test_frame_init (&expected, &info, mode->interlaced, &same);
        assert_same (&drawn, &expected);
        yolo_color_init (&color, &info, random_u32 (&random) & 0xffffff);
        clip = trial % 3 ? (YoloRect) { 0, 0, w, h } : random_rect (&random, &info);
        outer = random_rect (&random, &info);
        inner = trial % 2 ? random_rect (&random, &info)
            : (YoloRect) { outer.x0 + 2, outer.y0 + 2, outer.x1 - 2, outer.y1 - 2 };
        yolo_canvas_init (&canvas, &drawn.frame, trial % 3 ? NULL : &clip);

        if (mode->blend) {
          const gint mask_w = random_int (&random, 1, 20), mask_h = random_int (&random, 1, 20);
          const gint stride = mask_w + random_int (&random, 0, 3);
          Guarded alpha = guarded_new (stride * (mask_h - 1) + mask_w);
          YoloMask mask = { mask_w, mask_h, stride, alpha.data };

          random_bytes (&random, alpha.data, alpha.size);
          for (y = 0; y < h; y++)
            for (x = 0; x < w; x++)
              if (is_inside (clip, x, y)
                  && is_inside ((YoloRect) { outer.x0, outer.y0, outer.x0 + mask_w,
                      outer.y0 + mask_h }, x, y))
                opacity[y * w + x] = alpha.data[(y - outer.y0) * stride + x - outer.x0];
          yolo_canvas_blend (&canvas, &mask, outer.x0, outer.y0, &color);
          guarded_free (&alpha);
        } else {
          for (y = 0; y < h; y++)
            for (x = 0; x < w; x++)
              if (is_inside (clip, x, y) && is_inside (outer, x, y) && !is_inside (inner, x, y))
                opacity[y * w + x] = 255;
          yolo_canvas_fill (&canvas, outer, inner, &color);
        }
        reference (&expected, opacity, &color, mode->interlaced);
        assert_same (&drawn, &expected);
        test_frame_clear (&drawn);
        test_frame_clear (&expected);
      }
}

/* Colours are those that GStreamer's own conversion gives. */
static void
test_color (void)
{
  static const gchar *colorimetries[] = {
    "bt601", "bt709", "bt2020", "smpte240m", "1:4:5:1", "1:3:5:1",
  };
  static const guint32 colors[] = { 0, 0xffffff, 0xff0000, 0x00ff00, 0x0000ff, 0x9f3c80 };
  guint f, m, i, c;

  for (f = 0; f < G_N_ELEMENTS (formats); f++)
    for (m = 0; m < G_N_ELEMENTS (colorimetries); m++)
      for (i = 0; i < G_N_ELEMENTS (colors); i++) {
        GstVideoInfo from, to;
        GstVideoFrame in, out;
        GstBuffer *in_buffer, *out_buffer;
        GstVideoConverter *converter;
        YoloColor color;
        guint8 *p;

        gst_video_info_set_format (&to, gst_video_format_from_string (formats[f]), 16, 16);
        if (GST_VIDEO_FORMAT_INFO_IS_RGB (to.finfo) && m > 0)
          continue;
        if (!GST_VIDEO_FORMAT_INFO_IS_RGB (to.finfo))
          g_assert_true (gst_video_colorimetry_from_string (&to.colorimetry, colorimetries[m]));
        gst_video_info_set_format (&from, GST_VIDEO_FORMAT_RGB, 16, 16);
        /* no change of primaries or transfer, only of matrix and range */
        from.colorimetry.primaries = to.colorimetry.primaries;
        from.colorimetry.transfer = to.colorimetry.transfer;
        in_buffer = gst_buffer_new_and_alloc (from.size);
        out_buffer = gst_buffer_new_and_alloc (to.size);
        g_assert_true (gst_video_frame_map (&in, &from, in_buffer, GST_MAP_WRITE));
        for (p = in.data[0]; p < (guint8 *) in.data[0] + from.size - 2; p += 3) {
          p[0] = colors[i] >> 16;
          p[1] = colors[i] >> 8;
          p[2] = colors[i];
        }
        g_assert_true (gst_video_frame_map (&out, &to, out_buffer, GST_MAP_READWRITE));
        converter = gst_video_converter_new (&from, &to, NULL);
        gst_video_converter_frame (converter, &in, &out);

        yolo_color_init (&color, &to, colors[i]);
        for (c = 0; c < GST_VIDEO_INFO_N_COMPONENTS (&to); c++) {
          const gboolean wide = GST_VIDEO_INFO_COMP_DEPTH (&to, c) > 8;
          gint value;

          p = component_data (&out, c);
          value = wide ? GST_READ_UINT16_LE (p) >> GST_VIDEO_FORMAT_INFO_SHIFT (to.finfo, c) : *p;
          if (ABS (value - color.value[c])
              > (wide ? (5 << GST_VIDEO_INFO_COMP_DEPTH (&to, c)) >> 10 : 2))
            g_error ("%s %s %06x component %u: %d, GStreamer %d", formats[f], colorimetries[m],
                colors[i], c, color.value[c], value);
        }
        gst_video_converter_free (converter);
        gst_video_frame_unmap (&in);
        gst_video_frame_unmap (&out);
        gst_buffer_unref (in_buffer);
        gst_buffer_unref (out_buffer);
      }
}

static gboolean
has_ink (const YoloMask *mask)
{
  gint x, y;

  for (y = 0; y < mask->height; y++)
    for (x = 0; x < mask->width; x++)
      if (mask->alpha[y * mask->stride + x] > 128)
        return TRUE;
  return FALSE;
}

static void
test_text (void)
{
  static const gunichar odd[] = {
    0xad, 0x200b, 0x200d, 0x2028, 0x2029, 0x202e, 0x2066, 0xfeff, 0xfffe, 0xe000, 0xe0001, 0x10ffff,
  };
  g_autoptr (YoloText) text = yolo_text_new ();
  g_autofree gchar *huge = g_strnfill (100000, 'W');
  const YoloGlyphs *glyphs;
  gint advance, i;

  yolo_text_set_font (text, "Sans", 20, 300);
  g_assert_cmpint (yolo_text_ascent (text) + yolo_text_descent (text), >=, 18);
  g_assert_cmpint (yolo_text_ascent (text) + yolo_text_descent (text), <=, 30);
  glyphs = yolo_text_get (text, "person");
  g_assert_true (has_ink (&glyphs->mask));
  g_assert_cmpint (glyphs->top, <=, yolo_text_ascent (text));
  g_assert_true (glyphs == yolo_text_get (text, "person"));
  advance = glyphs->advance;

  /* a font of twice the size makes a text of twice the width */
  yolo_text_set_font (text, "Sans", 40, 300);
  g_assert_cmpint (yolo_text_cached (text), ==, 0);
  glyphs = yolo_text_get (text, "person");
  g_assert_cmpint (ABS (glyphs->advance - 2 * advance), <=, 4);
  /* a size in the description wins: 15 points are 20 pixels at 96 dpi */
  yolo_text_set_font (text, "Sans 15", 40, 300);
  glyphs = yolo_text_get (text, "person");
  g_assert_cmpint (ABS (glyphs->advance - advance), <=, 1);

  g_assert_cmpint (yolo_text_get (text, "")->mask.width, ==, 0);
  g_assert_cmpint (yolo_text_get (text, huge)->mask.width, <=, 300);
  g_assert_true (has_ink (&yolo_text_get (text, "\xff\xfe broken")->mask));
  g_assert_true (has_ink (&yolo_text_get (text, "a\nb\tc")->mask));
  g_assert_cmpint (yolo_text_get (text, "a\nb\tc")->mask.height, <, 40);
  /* control characters, ends of lines and paragraphs, turns of direction: the text
   * stays on one line */
  for (i = 1; i < 0xa0 + (gint) G_N_ELEMENTS (odd); i++) {
    const gunichar character = i < 0xa0 ? (gunichar) i : odd[i - 0xa0];
    gchar buffer[7] = { 0 };
    g_autofree gchar *string = NULL;

    g_unichar_to_utf8 (character, buffer);
    string = g_strdup_printf ("a%sb%s", buffer, buffer);
    g_assert_true (has_ink (&yolo_text_get (text, string)->mask));
    g_assert_cmpint (yolo_text_get (text, string)->mask.width, <=, 300);
    g_assert_cmpint (yolo_text_get (text, string)->mask.height, <, 40);
  }

  /* the cache does not grow for ever, however many strings there are */
  yolo_text_set_font (text, "Sans", 100, 4000);
  for (i = 0; i < 2000; i++) {
    g_autofree gchar *string = g_strdup_printf ("object number %d", i);

    yolo_text_get (text, string);
    g_assert_cmpint (yolo_text_cached (text), <=, 4 << 20);
  }
  g_assert_cmpint (yolo_text_cached (text), >, 2 << 20);
}

int
main (int argc, char **argv)
{
  static const Mode modes[] = { {FALSE, FALSE}, {FALSE, TRUE}, {TRUE, FALSE}, {TRUE, TRUE} };

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/draw/fill", &modes[0], test_drawing);
  g_test_add_data_func ("/draw/blend", &modes[1], test_drawing);
  g_test_add_data_func ("/draw/fill-interlaced", &modes[2], test_drawing);
  g_test_add_data_func ("/draw/blend-interlaced", &modes[3], test_drawing);
  g_test_add_func ("/draw/color", test_color);
  g_test_add_func ("/draw/text", test_text);
  return g_test_run ();
}
