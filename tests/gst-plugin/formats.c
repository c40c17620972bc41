/* SPDX-License-Identifier: MIT */
/* Frames of every format that GStreamer knows, as yoloinfer reads them: against
 * what GStreamer unpacks, by the formulas in real numbers. */

#include "gst-plugin/yolounpack.h"
#include "gst-plugin/yolovideo.h"
#include "image/preprocess.h"
#include "tests/guarded.h"

#include <math.h>

static const struct {
  gint width, height;
} sizes[] = { {64, 48}, {33, 17}, {1, 1}, {7, 5}, {50, 30}, {47, 33} };

/* What R, G and B of a row should be, in levels of eight bits. */
static void
expected_row (const GstVideoFrame *video, gint y, gdouble *rgb)
{
  const GstVideoFormatInfo *format = video->info.finfo;
  const gint width = GST_VIDEO_FRAME_WIDTH (video);
  const gboolean wide = format->unpack_format == GST_VIDEO_FORMAT_AYUV64
      || format->unpack_format == GST_VIDEO_FORMAT_ARGB64;
  const gboolean is_rgb = GST_VIDEO_FORMAT_INFO_IS_RGB (format);
  const gboolean full = video->info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  const gint depth = GST_VIDEO_FORMAT_INFO_DEPTH (format, 0);
  /* what a level of eight bits is in the unpacked row, and the highest value there */
  const gdouble unit = wide ? 256 : 1, max = wide ? ((1 << depth) - 1) << (16 - depth) : 255;
  static guint16 row[4 * 64] __attribute__ ((aligned (64)));
  gdouble kr = 0.299, kb = 0.114;
  gint x, c;

  if (video->info.colorimetry.matrix != GST_VIDEO_COLOR_MATRIX_UNKNOWN)
    gst_video_color_matrix_get_Kr_Kb (video->info.colorimetry.matrix, &kr, &kb);
  format->unpack_func (format,
      is_rgb ? GST_VIDEO_PACK_FLAG_NONE : GST_VIDEO_PACK_FLAG_TRUNCATE_RANGE, row,
      (gpointer *) video->data, video->info.stride, 0, y, width);
  for (x = 0; x < width; x++) {
    gdouble v[3], *out = rgb + 3 * x;

    for (c = 0; c < 3; c++)
      v[c] = wide ? row[4 * x + 1 + c] : ((guint8 *) row)[4 * x + 1 + c];
    if (is_rgb) {
      for (c = 0; c < 3; c++)
        out[c] = v[c] * 255 / (wide ? 65535 : 255);
      continue;
    }
    /* GStreamer's rows have bits below those of the value */
    for (c = 0; c < 3 && wide; c++)
      v[c] = row[4 * x + 1 + c] & (0xffff << (16 - depth));
    v[0] = full ? v[0] / max : (v[0] - 16 * unit) / (219 * unit);
    for (c = 1; c < 3; c++)
      v[c] = (v[c] - 128 * unit) / (full ? max : 224 * unit);
    out[0] = v[0] + 2 * (1 - kr) * v[2];
    out[2] = v[0] + 2 * (1 - kb) * v[1];
    out[1] = (v[0] - kr * out[0] - kb * out[2]) / (1 - kr - kb);
    for (c = 0; c < 3; c++)
      out[c] = CLAMP (255 * out[c], 0, 255);
  }
}

/* Whether a sample stands at the end of a row that GStreamer reads beyond, so that the
 * element does not read it. */
static gboolean
is_cut (const GstVideoFrame *video, gint x, gint y)
{
  const gint width = GST_VIDEO_FRAME_WIDTH (video), height = GST_VIDEO_FRAME_HEIGHT (video);

  if (g_str_has_prefix (GST_VIDEO_INFO_NAME (&video->info), "MT2110"))
    return x >= width / 16 * 16;
  return GST_VIDEO_FORMAT_INFO_IS_COMPLEX (video->info.finfo) && width % 2 == 1 && x == width - 1
      && y >= height - 2;
}

static void
check_pixels (const GstVideoFrame *video, const YoloFrame *frame)
{
  const gint width = frame->width, height = frame->height;
  const gint depth = GST_VIDEO_FORMAT_INFO_DEPTH (video->info.finfo, 0);
  /* Half a level is rounded away. Where there are more than ten bits, those beyond are
   * too: an eighth of a level of the luma, an eighth of the chroma, which counts twice,
   * and the bits below twelve. */
  const gdouble limit =
      depth > 10 && !GST_VIDEO_FORMAT_INFO_IS_RGB (video->info.finfo) ? 1.2 : 0.53;
  g_autofree gfloat *levels = g_new (gfloat, width * height * 3);
  g_autofree gdouble *row = g_new (gdouble, 3 * width);
  YoloLetterbox box;
  gint x, y;

  yolo_letterbox_init (&box, width, height, width, height);
  g_assert_true (yolo_preprocess_reference (frame, &box, levels, YOLO_F32, 3));
  for (y = 0; y < height; y++) {
    expected_row (video, y, row);
    for (x = 0; x < 3 * width; x++) {
      const gdouble got = levels[3 * width * y + x];

      if (fabs (got - row[x]) > limit && !is_cut (video, x / 3, y))
        g_error ("%s %dx%d, component %d of the pixel %d,%d: %g, expected %g",
            GST_VIDEO_INFO_NAME (&video->info), width, height, x % 3, x / 3, y, got, row[x]);
    }
  }
}

/* Preprocesses rows that the frame's `unpack` has unpacked. */
static void
check_fast (YoloPreprocess *pre, const YoloFrame *frame)
{
  static guint8 fast[3 * 40 * 56], plain[sizeof fast];
  YoloLetterbox box;

  yolo_letterbox_frame (&box, frame, 40, 56);
  g_assert_true (yolo_preprocess_run (pre, frame, &box, fast, YOLO_U8, 3));
  g_assert_true (yolo_preprocess_reference (frame, &box, plain, YOLO_U8, 3));
  g_assert_cmpmem (fast, sizeof fast, plain, sizeof plain);
}

/* Checks a format in memory that ends with the frame, so that nothing behind it is
 * read. */
static void
check_format (YoloPreprocess *pre, Random *random, GstVideoFormat format, gint width, gint height)
{
  static const gchar *const colorimetries[] = { "bt601", "bt709", "1:4:0:0", "2:6:0:0" };
  GstVideoInfo info;
  GstBuffer *buffer;
  GstVideoFrame video;
  YoloFrame frame;
  Guarded memory;

  g_assert_true (gst_video_info_set_format (&info, format, width, height));
  if (!GST_VIDEO_INFO_IS_RGB (&info))
    gst_video_colorimetry_from_string (&info.colorimetry, colorimetries[random_int (random, 0, 3)]);
  memory = guarded_new (GST_VIDEO_INFO_SIZE (&info));
  random_bytes (random, memory.data, memory.size);
  buffer = gst_buffer_new_wrapped_full (0, memory.data, memory.size, 0, memory.size, NULL, NULL);
  g_assert_true (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ));
  g_test_message ("%s %dx%d", GST_VIDEO_INFO_NAME (&info), width, height);
  g_assert_true (yolo_video_describe (&video, &info.colorimetry, &frame));
  check_fast (pre, &frame);
  gst_video_frame_unmap (&video);
  gst_buffer_unref (buffer);

  /* the expected values come from GStreamer, which does read beyond the frame */
  buffer = gst_buffer_new_allocate (NULL, memory.size + 64, NULL);
  gst_buffer_fill (buffer, 0, memory.data, memory.size);
  guarded_free (&memory);
  g_assert_true (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ));
  g_assert_true (yolo_video_describe (&video, &info.colorimetry, &frame));
  check_pixels (&video, &frame);
  gst_video_frame_unmap (&video);
  gst_buffer_unref (buffer);
}

static void
test_all (void)
{
  YoloPreprocess *pre = yolo_preprocess_new (NULL);
  Random random = random_new (7);
  guint n, i, k;
  const GstVideoFormat *formats = gst_video_formats_raw (&n);

  g_assert_cmpuint (n, >, 80);
  for (i = 0; i < n; i++)
    for (k = 0; k < G_N_ELEMENTS (sizes); k++)
      check_format (pre, &random, formats[i], sizes[k].width, sizes[k].height);
  yolo_preprocess_free (pre);
}

/* All formats are in the caps, those that are read where they lie first, and each once. */
static void
test_caps (void)
{
  g_autoptr (GstCaps) caps = yolo_unpack_caps ("video/x-raw", YOLO_VIDEO_FORMATS);
  const GValue *list = gst_structure_get_value (gst_caps_get_structure (caps, 0), "format");
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  guint n, i;

  gst_video_formats_raw (&n);
  g_assert_cmpuint (gst_value_list_get_size (list), ==, n);
  for (i = 0; i < n; i++)
    g_assert_true (g_hash_table_add (
        seen, (gpointer) g_value_get_string (gst_value_list_get_value (list, i))));
  g_assert_cmpstr (g_value_get_string (gst_value_list_get_value (list, 0)), ==, "NV12");
}

/* A GstVideoMeta, or caps, that say more than the memory holds, are refused. */
static void
test_short (void)
{
  guint n, i;
  const GstVideoFormat *formats = gst_video_formats_raw (&n);

  for (i = 0; i < n; i++) {
    gsize offset[GST_VIDEO_MAX_PLANES];
    gint stride[GST_VIDEO_MAX_PLANES];
    GstVideoInfo info, lower;
    GstBuffer *buffer;
    GstVideoFrame video;
    YoloFrame frame;

    gst_video_info_set_format (&info, formats[i], 128, 1024);
    gst_video_info_set_format (&lower, formats[i], 128, 64);
    memcpy (offset, info.offset, sizeof offset);
    memcpy (stride, info.stride, sizeof stride);
    buffer = gst_buffer_new_allocate (NULL, GST_VIDEO_INFO_SIZE (&lower), NULL);
    for (guint p = 0; p < GST_VIDEO_INFO_N_PLANES (&info); p++)
      offset[p] = lower.offset[p];
    gst_buffer_add_video_meta_full (
        buffer, 0, formats[i], 128, 1024, GST_VIDEO_INFO_N_PLANES (&info), offset, stride);
    if (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ)) {
      g_test_message ("%s", GST_VIDEO_INFO_NAME (&info));
      g_assert_false (yolo_video_describe (&video, &info.colorimetry, &frame));
      gst_video_frame_unmap (&video);
    }
    gst_buffer_unref (buffer);
  }
}

int
main (int argc, char **argv)
{
#ifdef __aarch64__
  /* What Orc compiles for Arm reads a byte behind the end of some rows (seen with
   * Y41B), and here memory ends there. */
  g_setenv ("ORC_CODE", "backup", TRUE);
#endif
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/formats/all", test_all);
  g_test_add_func ("/formats/caps", test_caps);
  g_test_add_func ("/formats/short", test_short);
  return g_test_run ();
}
