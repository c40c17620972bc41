/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolocanvas.h"
#include "gst-plugin/yolounpack.h"

#include <math.h>

/* Source: ITU-R BT.601-7 section 2.5 and BT.709-6 section 3: Y from Kr and
 * Kb, colour differences scaled to [-0.5, 0.5]. */
void
yolo_color_init (YoloColor *color, const GstVideoInfo *info, guint32 rgb)
{
  const GstVideoFormatInfo *format = info->finfo;
  const gdouble r = (rgb >> 16 & 255) / 255., g = (rgb >> 8 & 255) / 255., b = (rgb & 255) / 255.;
  gdouble level[GST_VIDEO_MAX_COMPONENTS] = { r, g, b, 1 };
  gint offset[GST_VIDEO_MAX_COMPONENTS], scale[GST_VIDEO_MAX_COMPONENTS];
  guint i;

  if (!GST_VIDEO_FORMAT_INFO_IS_RGB (format)) {
    gdouble kr, kb;

    if (!gst_video_color_matrix_get_Kr_Kb (info->colorimetry.matrix, &kr, &kb)) {
      kr = 0.299;               /* BT.601: what caps without a matrix mean */
      kb = 0.114;
    }
    level[0] = kr * r + (1 - kr - kb) * g + kb * b;
    level[1] = (b - level[0]) / (2 * (1 - kb));
    level[2] = (r - level[0]) / (2 * (1 - kr));
  }

  gst_video_color_range_offsets (info->colorimetry.range, format, offset, scale);
  for (i = 0; i < GST_VIDEO_FORMAT_INFO_N_COMPONENTS (format); i++) {
    const gint max = (1 << GST_VIDEO_FORMAT_INFO_DEPTH (format, i)) - 1;
    const gint value = lrint (offset[i] + level[i] * scale[i]);

    color->value[i] = CLAMP (value, 0, max);
  }
}

gboolean
yolo_draw_is_direct (const GstVideoFormatInfo *format)
{
  guint bytes[GST_VIDEO_MAX_PLANES] = { 0 }, pixel[GST_VIDEO_MAX_PLANES] = { 0 };
  guint i, k;

  if (yolo_unpack_is_grouped (format))
    return FALSE;
  for (i = 0; i < GST_VIDEO_FORMAT_INFO_N_COMPONENTS (format); i++) {
    const guint depth = GST_VIDEO_FORMAT_INFO_DEPTH (format, i),
                plane = GST_VIDEO_FORMAT_INFO_PLANE (format, i);

    if (depth < 8 || (depth > 8 && !GST_VIDEO_FORMAT_INFO_IS_LE (format))
        || GST_VIDEO_FORMAT_INFO_W_SUB (format, i) > 1
        || GST_VIDEO_FORMAT_INFO_H_SUB (format, i) > 1)
      return FALSE;
    /* GStreamer does not say where the components of Y412 and Y212 are: two of them
     * have the same place */
    for (k = 0; k < i; k++)
      if (GST_VIDEO_FORMAT_INFO_PLANE (format, k) == plane
          && GST_VIDEO_FORMAT_INFO_POFFSET (format, k) == GST_VIDEO_FORMAT_INFO_POFFSET (format, i))
        return FALSE;
    bytes[plane] += depth > 8 ? 2 : 1;
    pixel[plane] = MAX (pixel[plane], (guint) GST_VIDEO_FORMAT_INFO_PSTRIDE (format, i));
  }
  for (i = 0; i < GST_VIDEO_FORMAT_INFO_N_PLANES (format); i++)
    if (bytes[i] > pixel[i])    /* components share a word */
      return FALSE;
  return TRUE;
}

static gboolean
is_interlaced (const GstVideoFrame *frame)
{
  const GstVideoInterlaceMode mode = GST_VIDEO_INFO_INTERLACE_MODE (&frame->info);

  return mode == GST_VIDEO_INTERLACE_MODE_INTERLEAVED
      || (mode == GST_VIDEO_INTERLACE_MODE_MIXED && GST_VIDEO_FRAME_IS_INTERLACED (frame));
}

void
yolo_canvas_init (YoloCanvas *canvas, GstVideoFrame *frame, const YoloRect *clip)
{
  const GstVideoFormatInfo *format = frame->info.finfo;
  guint i;

  canvas->drawing = NULL;
  canvas->width = GST_VIDEO_FRAME_WIDTH (frame);
  canvas->height = GST_VIDEO_FRAME_HEIGHT (frame);
  canvas->clip = (YoloRect) { 0, 0, canvas->width, canvas->height };
  if (clip)
    canvas->clip = yolo_rect_intersect (canvas->clip, *clip);
  canvas->n_fields = is_interlaced (frame) ? 2 : 1;
  canvas->n_components = GST_VIDEO_FRAME_N_COMPONENTS (frame);
  for (i = 0; i < canvas->n_components; i++) {
    const gboolean wide = GST_VIDEO_FORMAT_INFO_DEPTH (format, i) > 8;
    guint8 *data = GST_VIDEO_FRAME_COMP_DATA (frame, i);

    /* GStreamer 1.22 says that V of P010 is one byte behind U: it is two. */
    if (wide)
      data += GST_VIDEO_FORMAT_INFO_POFFSET (format, i) & 1;
    canvas->component[i] = (YoloComponent) {
      .data = data,
      .stride = GST_VIDEO_FRAME_COMP_STRIDE (frame, i),
      .pixel_stride = GST_VIDEO_FRAME_COMP_PSTRIDE (frame, i),
      .rows = GST_VIDEO_FRAME_COMP_HEIGHT (frame, i),
      .shift_x = GST_VIDEO_FORMAT_INFO_W_SUB (format, i),
      .shift_y = GST_VIDEO_FORMAT_INFO_H_SUB (format, i),
      .depth_shift = GST_VIDEO_FORMAT_INFO_SHIFT (format, i),
      .wide = wide,
    };
  }
}
