/* SPDX-License-Identifier: MIT */
/* Pixels for tests, the same whatever decodes them.
 *
 * Photographs are decoded to their YCbCr planes by jpegdec and made RGB here,
 * as libjpeg does it by default (which is what OpenCV's imread gives): chroma
 * doubled by its triangle filter, JFIF's matrix in 16 bits of fraction.
 * Sources: libjpeg-turbo jdsample.c (h2v2_fancy_upsample), jdcolor.c
 * (build_ycc_rgb_table). */

#ifndef YOLO_TESTS_PICTURES_H
#define YOLO_TESTS_PICTURES_H

#include <gst/gst.h>
#include <gst/app/gstappsink.h>
#include <gst/video/video.h>

#include "image/frame.h"

typedef struct {
  guint8 *pixels;               /* RGB, or I420 without padding */
  gsize size;
  YoloFrame frame;
} Picture;

static inline void
picture_clear (Picture *picture)
{
  g_clear_pointer (&picture->pixels, g_free);
}

static inline gboolean
elements_present (const char *const *names)
{
  for (; *names; names++) {
    g_autoptr (GstElementFactory) factory = gst_element_factory_find (*names);
    if (factory == NULL) {
      g_test_message ("no element %s", *names);
      return FALSE;
    }
  }
  return TRUE;
}

/* Copies a plane's rows tightly. */
static inline guint8 *
copy_plane (guint8 *to, const GstVideoFrame *frame, guint plane, gsize row, guint rows)
{
  const guint8 *from = GST_VIDEO_FRAME_PLANE_DATA (frame, plane);

  for (guint y = 0; y < rows; y++, to += row, from += GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane))
    memcpy (to, from, row);
  return to;
}

static inline Picture
picture_from_sample (GstSample *sample)
{
  GstVideoInfo info;
  GstVideoFrame frame;
  Picture p = { 0 };

  g_assert_true (gst_video_info_from_caps (&info, gst_sample_get_caps (sample)));
  g_assert_true (gst_video_frame_map (&frame, &info, gst_sample_get_buffer (sample), GST_MAP_READ));
  gsize w = GST_VIDEO_INFO_WIDTH (&info), h = GST_VIDEO_INFO_HEIGHT (&info);
  gsize w2 = (w + 1) / 2, h2 = (h + 1) / 2;
  p.frame.width = (int) w;
  p.frame.height = (int) h;
  if (GST_VIDEO_INFO_FORMAT (&info) == GST_VIDEO_FORMAT_RGB) {
    p.size = 3 * w * h;
    p.pixels = g_malloc (p.size);
    copy_plane (p.pixels, &frame, 0, 3 * w, (guint) h);
    p.frame.format = YOLO_FORMAT_RGB;
    p.frame.stride[0] = (ptrdiff_t) (3 * w);
  } else {
    g_assert_cmpint (GST_VIDEO_INFO_FORMAT (&info), ==, GST_VIDEO_FORMAT_I420);
    p.size = w * h + 2 * w2 * h2;
    p.pixels = g_malloc (p.size);
    guint8 *u = copy_plane (p.pixels, &frame, 0, w, (guint) h);
    guint8 *v = copy_plane (u, &frame, 1, w2, (guint) h2);
    copy_plane (v, &frame, 2, w2, (guint) h2);
    p.frame.format = YOLO_FORMAT_I420;
    p.frame.plane[1] = u;
    p.frame.plane[2] = v;
    p.frame.stride[0] = (ptrdiff_t) w;
    p.frame.stride[1] = p.frame.stride[2] = (ptrdiff_t) w2;
  }
  p.frame.plane[0] = p.pixels;
  p.frame.matrix = YOLO_MATRIX_BT601;
  gst_video_frame_unmap (&frame);
  return p;
}

/* Decodes the file with the elements; calls @func with every picture until it
 * says FALSE. */
static inline void
decode_pictures (const char *path, const char *elements,
    gboolean (*func) (guint index, GstSample *sample, gpointer user_data), gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *line =
      g_strdup_printf ("filesrc name=source ! %s ! appsink name=sink sync=false", elements);
  g_autoptr (GstElement) pipeline = gst_parse_launch (line, &error);
  g_assert_no_error (error);
  g_autoptr (GstElement) source = gst_bin_get_by_name (GST_BIN (pipeline), "source");
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");

  g_object_set (source, "location", path, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (guint i = 0;; i++) {
    g_autoptr (GstSample) sample = gst_app_sink_pull_sample (GST_APP_SINK (sink));
    if (sample == NULL || !func (i, sample, user_data))
      break;
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

static inline gboolean
first_picture (guint index, GstSample *sample, gpointer user_data)
{
  *(Picture *) user_data = picture_from_sample (sample);
  return FALSE;
}

static inline guint8
clamp_u8 (int x)
{
  return (guint8) CLAMP (x, 0, 255);
}

/* One row of chroma at twice the width, from its own row and its neighbour. */
static inline void
double_chroma (guint8 *to, const guint8 *near, const guint8 *far, int n)
{
  for (int x = 0; x < n; x++) {
    int here = 3 * near[x] + far[x];
    int left = x > 0 ? 3 * near[x - 1] + far[x - 1] : here;
    int right = x < n - 1 ? 3 * near[x + 1] + far[x + 1] : here;
    to[2 * x] = (guint8) ((3 * here + left + 8) >> 4);
    to[2 * x + 1] = (guint8) ((3 * here + right + 7) >> 4);
  }
}

static inline Picture
rgb_from_jpeg_planes (const Picture *yuv)
{
  int w = yuv->frame.width, h = yuv->frame.height, w2 = (w + 1) / 2, h2 = (h + 1) / 2;
  g_autofree guint8 *chroma = g_malloc (4 * (gsize) w2);
  Picture p = { .size = 3 * (gsize) w * h };

  p.pixels = g_malloc (p.size);
  for (int y = 0; y < h; y++) {
    const guint8 *luma = yuv->pixels + (gsize) y * w;
    int near = y / 2, far = CLAMP (y % 2 ? near + 1 : near - 1, 0, h2 - 1);

    for (int i = 0; i < 2; i++) {
      const guint8 *plane = yuv->frame.plane[1 + i];
      double_chroma (
          chroma + 2 * (gsize) w2 * i, plane + (gsize) near * w2, plane + (gsize) far * w2, w2);
    }
    for (int x = 0; x < w; x++) {
      int cb = chroma[x] - 128, cr = chroma[2 * w2 + x] - 128;
      guint8 *rgb = p.pixels + 3 * ((gsize) y * w + x);
      rgb[0] = clamp_u8 (luma[x] + ((91881 * cr + 32768) >> 16));       /* 1.40200 */
      /* .34414, .71414 */
      rgb[1] = clamp_u8 (luma[x] + ((-22554 * cb - 46802 * cr + 32768) >> 16));
      rgb[2] = clamp_u8 (luma[x] + ((116130 * cb + 32768) >> 16));      /* 1.77200 */
    }
  }
  p.frame = (YoloFrame) { .format = YOLO_FORMAT_RGB, .width = w, .height = h,
    .plane = { p.pixels }, .stride = { 3 * w } };
  return p;
}

/* RGB of a .jpg or .png. */
static inline Picture
picture_read (const char *path)
{
  Picture p = { 0 };

  if (g_str_has_suffix (path, ".png")) {
    decode_pictures (path, "pngdec ! video/x-raw,format=RGB", first_picture, &p);
  } else {
    Picture yuv = { 0 };
    decode_pictures (
        path, "jpegdec idct-method=islow ! video/x-raw,format=I420", first_picture, &yuv);
    g_assert_nonnull (yuv.pixels);
    p = rgb_from_jpeg_planes (&yuv);
    picture_clear (&yuv);
  }
  g_assert_nonnull (p.pixels);
  return p;
}

typedef struct {
  const guint *wanted;          /* increasing */
  guint n_wanted;
  Picture *pictures;
  guint n;
} Frames;

static inline gboolean
take_frame (guint index, GstSample *sample, gpointer user_data)
{
  Frames *frames = user_data;

  if (index == frames->wanted[frames->n])
    frames->pictures[frames->n++] = picture_from_sample (sample);
  return frames->n < frames->n_wanted;
}

/* I420 frames of vtest.avi, by number. */
static inline void
frames_read (const char *path, const guint *wanted, guint n_wanted, Picture *pictures)
{
  Frames frames = { wanted, n_wanted, pictures, 0 };

  decode_pictures (path, "avidemux ! avdec_msmpeg4 ! video/x-raw,format=I420", take_frame, &frames);
  g_assert_cmpuint (frames.n, ==, n_wanted);
}

#endif
