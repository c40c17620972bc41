/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolovideo.h"

#include "gst-plugin/yolounpack.h"

/* The format that the engine reads in place; YOLO_N_FORMATS: GStreamer has to unpack
 * the rows. */
static YoloPixelFormat
pixel_format (GstVideoFormat format)
{
  switch (format) {
    case GST_VIDEO_FORMAT_NV12:
      return YOLO_FORMAT_NV12;
    case GST_VIDEO_FORMAT_NV21:
      return YOLO_FORMAT_NV21;
    case GST_VIDEO_FORMAT_I420:
    case GST_VIDEO_FORMAT_YV12:
      return YOLO_FORMAT_I420;
    case GST_VIDEO_FORMAT_I420_10LE:
      return YOLO_FORMAT_I420_10;
    case GST_VIDEO_FORMAT_Y42B:
      return YOLO_FORMAT_Y42B;
    case GST_VIDEO_FORMAT_Y444:
      return YOLO_FORMAT_Y444;
    case GST_VIDEO_FORMAT_UYVY:
      return YOLO_FORMAT_UYVY;
    case GST_VIDEO_FORMAT_AYUV:
      return YOLO_FORMAT_AYUV;
    case GST_VIDEO_FORMAT_YUY2:
      return YOLO_FORMAT_YUY2;
    case GST_VIDEO_FORMAT_P010_10LE:
      return YOLO_FORMAT_P010;
    case GST_VIDEO_FORMAT_RGB:
      return YOLO_FORMAT_RGB;
    case GST_VIDEO_FORMAT_BGR:
      return YOLO_FORMAT_BGR;
    case GST_VIDEO_FORMAT_RGBA:
    case GST_VIDEO_FORMAT_RGBx:
      return YOLO_FORMAT_RGBA;
    case GST_VIDEO_FORMAT_BGRA:
    case GST_VIDEO_FORMAT_BGRx:
      return YOLO_FORMAT_BGRA;
    case GST_VIDEO_FORMAT_ARGB:
    case GST_VIDEO_FORMAT_xRGB:
      return YOLO_FORMAT_ARGB;
    case GST_VIDEO_FORMAT_GRAY8:
      return YOLO_FORMAT_GRAY8;
    default:
      return YOLO_N_FORMATS;
  }
}

static YoloMatrix
color_matrix (GstVideoColorMatrix matrix)
{
  switch (matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT709:
      return YOLO_MATRIX_BT709;
    case GST_VIDEO_COLOR_MATRIX_BT2020:
      return YOLO_MATRIX_BT2020;
    case GST_VIDEO_COLOR_MATRIX_FCC:
      return YOLO_MATRIX_FCC;
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M:
      return YOLO_MATRIX_SMPTE240M;
    default:
      return YOLO_MATRIX_BT601;
  }
}

gboolean
yolo_video_planes_fit (const GstVideoFrame *video)
{
  guint c;

  if (yolo_unpack_is_grouped (video->info.finfo))
    return yolo_unpack_planes_fit (video);
  for (c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS (video); c++) {
    const guint plane = GST_VIDEO_FRAME_COMP_PLANE (video, c);
    /* without a GstVideoMeta, all of the buffer is mapped at once */
    const GstMapInfo *map = &video->map[video->meta ? plane : 0];
    const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA (video, plane);
    const gint64 stride = GST_VIDEO_FRAME_PLANE_STRIDE (video, plane);
    const gint64 row = (gint64) GST_VIDEO_FRAME_COMP_WIDTH (video, c)
        * GST_VIDEO_FRAME_COMP_PSTRIDE (video, c);

    if (data < map->data || stride < row
        || (data - map->data) + stride * (GST_VIDEO_FRAME_COMP_HEIGHT (video, c) - 1) + row
        > (gint64) map->size)
      return FALSE;
  }
  return TRUE;
}

gboolean
yolo_video_describe (
    const GstVideoFrame *video, const GstVideoColorimetry *color, YoloFrame *described)
{
  guint i;

  if (!yolo_video_planes_fit (video))
    return FALSE;
  *described = (YoloFrame) {
    .format = pixel_format (GST_VIDEO_FRAME_FORMAT (video)),
    .matrix = color_matrix (color->matrix),
    .full_range = color->range == GST_VIDEO_COLOR_RANGE_0_255,
    .width = GST_VIDEO_FRAME_WIDTH (video),
    .height = GST_VIDEO_FRAME_HEIGHT (video),
  };
  if (described->format == YOLO_N_FORMATS) {
    yolo_unpack_describe (video, described);
    return TRUE;
  }
  for (i = 0; i < GST_VIDEO_FRAME_N_PLANES (video); i++) {
    /* the planes of YV12 come in another order */
    const guint plane =
        GST_VIDEO_FRAME_N_PLANES (video) == 3 ? GST_VIDEO_FRAME_COMP_PLANE (video, i) : i;

    described->plane[i] = GST_VIDEO_FRAME_PLANE_DATA (video, plane);
    described->stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE (video, plane);
  }
  return TRUE;
}
