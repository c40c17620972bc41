/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloinput.h"

#include "base/text.h"
#include "gst-plugin/yolocuda.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolonvmm.h"
#include "gst-plugin/yolovideo.h"
#include "image/letterbox.h"

#include <string.h>

#define ROI_OUTSIDE \
    "roi %d,%d,%d,%d lies outside of the frame: give x,y,width,height in pixels within %dx%d"

void
yolo_input_init (YoloInput *input, GstElement *element, YoloSettings *settings)
{
  *input = (YoloInput) { .element = element, .settings = settings };
  gst_video_info_init (&input->info);
}

void
yolo_input_clear (YoloInput *input)
{
  g_clear_pointer (&input->surfaces, g_free);
}

void
yolo_input_reset (YoloInput *input)
{
  GST_OBJECT_LOCK (input->element);
  gst_video_info_init (&input->info);
  GST_OBJECT_UNLOCK (input->element);
  input->had_frame = FALSE;
  input->orientation = (YoloOrientation) { 0 };
}

void
yolo_input_set_caps (YoloInput *input, const GstVideoInfo *info, YoloCapsMemory memory)
{
  input->memory = memory;
  if (memory == YOLO_CAPS_NVMM && input->surfaces == NULL)
    input->surfaces = g_new (YoloFrame, YOLO_NVMM_MAX_FRAMES);
  GST_OBJECT_LOCK (input->element);
  input->info = *info;
  input->roi_warned = FALSE;
  GST_OBJECT_UNLOCK (input->element);
}

/* Posts a warning, once for each roi and caps, that roi leaves the frame. @region: what
 * is looked at instead. */
static void
warn_of_roi (YoloInput *input, const YoloRegion *roi, const YoloRegion *region)
{
  YoloRegion part = *roi;
  gboolean warned;

  GST_OBJECT_LOCK (input->element);
  warned = input->roi_warned;
  input->roi_warned = TRUE;
  GST_OBJECT_UNLOCK (input->element);
  if (warned)
    return;
  if (yolo_region_intersect (&part, region))
    GST_ELEMENT_WARNING (input->element, LIBRARY, SETTINGS,
        ("roi %d,%d,%d,%d reaches out of the frame and is clipped to %d,%d,%d,%d",
            roi->x, roi->y, roi->width, roi->height,
            region->x, region->y, region->width, region->height), (NULL));
  else
    GST_ELEMENT_WARNING (input->element, LIBRARY, SETTINGS,
        (ROI_OUTSIDE, roi->x, roi->y, roi->width, roi->height, region->width, region->height),
        ("the whole frame is looked at until roi or the caps change"));
}

/* What the network sees of a frame: the part that the crop and roi share. A roi
 * outside of the first frame is a mistake, and an error; one that lies outside later,
 * after the video's size has changed, must not end the stream: then the whole crop is
 * looked at. FALSE: an error was posted. */
static gboolean
visible_region (YoloInput *input, YoloFlight *flight, gint width, gint height,
    const YoloRegion *roi, YoloRegion *region)
{
  const GstVideoCropMeta *crop =
      input->memory == YOLO_CAPS_NVMM ? NULL : gst_buffer_get_video_crop_meta (flight->buffer);
  YoloRegion part;

  *region = (YoloRegion) { 0, 0, width, height };
  if (crop && crop->width > 0 && crop->height > 0) {
    part = (YoloRegion) {
      MIN (crop->x, G_MAXINT), MIN (crop->y, G_MAXINT),
      MIN (crop->width, G_MAXINT), MIN (crop->height, G_MAXINT)
    };
    if (!yolo_region_intersect (region, &part)) {
      GST_ELEMENT_ERROR (input->element, STREAM, FORMAT,
          ("the frame's GstVideoCropMeta lies outside of the frame"),
          ("%ux%u at %u,%u of %dx%d", crop->width, crop->height, crop->x, crop->y,
              region->width, region->height));
      return FALSE;
    }
  }
  if (roi->width == 0)
    return TRUE;

  if (!yolo_region_intersect (region, roi) && !input->had_frame) {
    GST_ELEMENT_ERROR (input->element, LIBRARY, SETTINGS,
        (ROI_OUTSIDE, roi->x, roi->y, roi->width, roi->height, region->width, region->height),
        (NULL));
    return FALSE;
  }
  if (memcmp (region, roi, sizeof (YoloRegion)) != 0)
    warn_of_roi (input, roi, region);
  return TRUE;
}

/* Maps a buffer that holds one frame, and describes the frame. The GstVideoFrame has
 * the strides and the size of the buffer's GstVideoMeta, where there is one. FALSE: an
 * error was posted. */
static gboolean
map_video (YoloInput *input, YoloFlight *flight, YoloFrame *described)
{
  const GstMapFlags flags =
      GST_MAP_READ | (input->memory == YOLO_CAPS_CUDA ? yolo_cuda_map_flags () : 0);
  GstVideoInfo info = input->info;

  if (input->memory == YOLO_CAPS_CUDA)
    yolo_cuda_layout (flight->buffer, &info);
  flight->mapped = gst_video_frame_map (&flight->video, &info, flight->buffer, flags);
  if (!flight->mapped
      || !yolo_video_describe (
          &flight->video, &GST_VIDEO_INFO_COLORIMETRY (&input->info), described)) {
    GST_ELEMENT_ERROR (input->element, STREAM, FORMAT, ("a frame does not hold what its caps say"),
        ("%" G_GSIZE_FORMAT " bytes for %dx%d %s", gst_buffer_get_size (flight->buffer),
            GST_VIDEO_INFO_WIDTH (&input->info), GST_VIDEO_INFO_HEIGHT (&input->info),
            GST_VIDEO_INFO_NAME (&input->info)));
    return FALSE;
  }
  yolo_meta_origin (flight->buffer, &input->info, &flight->origin_x, &flight->origin_y);
  if (input->memory == YOLO_CAPS_CUDA && !yolo_cuda_describe (flight->buffer, described)) {
    GST_ELEMENT_ERROR (input->element, STREAM, FORMAT, ("a frame does not hold what its caps say"),
        ("caps with " YOLO_CAPS_FEATURE_CUDA ", a buffer in other memory"));
    return FALSE;
  }
  return TRUE;
}

/* Maps a buffer that holds a DeepStream surface and describes the frames of it, @n in
 * input->surfaces. @device: number of the GPU that the network runs on. FALSE: an error
 * was posted. */
static gboolean
map_surface (YoloInput *input, YoloFlight *flight, guint device, guint *n)
{
  g_autoptr (GError) error = NULL;

  flight->origin_x = flight->origin_y = 0;
  flight->surface_mapped = gst_buffer_map (flight->buffer, &flight->surface, GST_MAP_READ);
  if (!flight->surface_mapped) {
    GST_ELEMENT_ERROR (input->element, STREAM, FORMAT, ("an NVMM buffer cannot be mapped"), (NULL));
    return FALSE;
  }
  if (!yolo_nvmm_read (flight->surface.data, flight->surface.size, device,
          input->surfaces, n, &error)) {
    GST_ELEMENT_ERROR (input->element, STREAM, FORMAT, ("%s", error->message), (NULL));
    return FALSE;
  }
  return TRUE;
}

/* Adds the request for one frame to the flight. FALSE: an error was posted. */
static gboolean
add_part (YoloInput *input, YoloFlight *flight, const YoloLiveSettings *settings,
    const YoloLoad *load, const YoloFrame *described, guint slot)
{
  YoloRegion region, roi = settings->roi;
  YoloPart part = {
    .flight = flight, .slot = slot,
    .request = {
      .frame = *described,
      .net_width = load->net_width,
      .net_height = load->net_height,
      .confidence = settings->confidence,
      .iou = settings->iou,
      .max_detections = settings->max_detections,
      .agnostic = settings->agnostic,
      .multi_label = settings->multi_label,
      .classes = flight->classes ? g_bytes_get_data (flight->classes, NULL) : NULL,
    },
  };

  roi.x = MIN ((gint64) roi.x + flight->origin_x, G_MAXINT);
  roi.y = MIN ((gint64) roi.y + flight->origin_y, G_MAXINT);
  if (!visible_region (input, flight, described->width, described->height, &roi, &region))
    return FALSE;
  part.request.frame.crop.x = region.x;
  part.request.frame.crop.y = region.y;
  part.request.frame.crop.width = region.width;
  part.request.frame.crop.height = region.height;
  part.request.frame.turn = yolo_orientation_turn (&input->orientation, settings->orientation);
  if (load->auto_size) {
    const gboolean transposed = part.request.frame.turn & YOLO_TURN_TRANSPOSE;
    int width, height;

    yolo_letterbox_auto (transposed ? region.height : region.width,
        transposed ? region.width : region.height, MAX (load->model->width, load->model->height),
        load->model->stride, &width, &height);
    part.request.net_width = width;
    part.request.net_height = height;
  }
  g_array_append_val (flight->parts, part);
  return TRUE;
}

static gboolean
add_parts (
    YoloInput *input, YoloFlight *flight, const YoloLiveSettings *settings, const YoloLoad *load)
{
  YoloFrame described;
  guint n, i;

  if (input->memory != YOLO_CAPS_NVMM)
    return map_video (input, flight, &described)
        && add_part (input, flight, settings, load, &described, 0);
  if (!map_surface (input, flight, load->device, &n))
    return FALSE;
  for (i = 0; i < n; i++)
    if (!add_part (input, flight, settings, load, &input->surfaces[i], n > 1 ? i + 1 : 0))
      return FALSE;
  return TRUE;
}

gboolean
yolo_input_make_parts (
    YoloInput *input, YoloFlight *flight, const YoloLiveSettings *settings, const YoloLoad *load)
{
  if (settings->classes)
    flight->classes = g_bytes_ref (settings->classes);
  if (!add_parts (input, flight, settings, load))
    return FALSE;
  input->had_frame = TRUE;
  return TRUE;
}

void
yolo_input_set_roi (YoloInput *input, const gchar *string)
{
  YoloSettings *settings = input->settings;
  g_autofree gchar *shown = yolo_text_printable (string ? string : "", YOLO_TEXT_MAX_MESSAGE);
  YoloRegion roi, frame = { 0 };
  gboolean parsed, outside;

  parsed = yolo_region_parse (string, &roi);
  GST_OBJECT_LOCK (input->element);
  frame.width = GST_VIDEO_INFO_WIDTH (&input->info);
  frame.height = GST_VIDEO_INFO_HEIGHT (&input->info);
  outside = settings->started && frame.width > 0 && roi.width > 0
      && !yolo_region_intersect (&(YoloRegion) { roi.x, roi.y, roi.width, roi.height }, &frame);
  if (!settings->started || (parsed && !outside)) {
    g_free (settings->roi);
    settings->roi = g_strdup (string);
    settings->live.roi = roi;
    input->roi_warned = FALSE;
    parsed = TRUE;
  }
  GST_OBJECT_UNLOCK (input->element);
  if (!parsed)
    GST_ELEMENT_WARNING (input->element, LIBRARY, SETTINGS,
        ("roi \"%s\" is not a region: give x,y,width,height in pixels", shown),
        ("roi stays as it was"));
  else if (outside)
    GST_ELEMENT_WARNING (input->element, LIBRARY, SETTINGS,
        (ROI_OUTSIDE, roi.x, roi.y, roi.width, roi.height, frame.width, frame.height),
        ("roi stays as it was"));
}
