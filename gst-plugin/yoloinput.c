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
    "roi %s lies outside of the frame: give x,y,width,height in pixels within %dx%d"

void
yolo_input_init (
    YoloInput *input, GstElement *element, YoloSettings *settings, YoloCrops *crops)
{
  *input = (YoloInput) { .element = element, .settings = settings, .crops = crops };
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

/* Posts a warning, once for each roi and caps, that an area leaves the frame. @region: what
 * is looked at of it, or the frame, which the area lies outside of. */
static void
warn_of_area (
    YoloInput *input, const YoloArea *area, const YoloRegion *region, gboolean outside)
{
  g_autofree gchar *text = NULL;
  gboolean warned;

  GST_OBJECT_LOCK (input->element);
  warned = input->roi_warned;
  input->roi_warned = TRUE;
  GST_OBJECT_UNLOCK (input->element);
  if (warned)
    return;
  text = yolo_area_text (area);
  if (!outside)
    GST_ELEMENT_WARNING (input->element, LIBRARY, SETTINGS,
        ("roi %s reaches out of the frame and is clipped to %d,%d,%d,%d", text,
            region->x, region->y, region->width, region->height), (NULL));
  else
    GST_ELEMENT_WARNING (input->element, LIBRARY, SETTINGS,
        (ROI_OUTSIDE, text, region->width, region->height),
        ("it is left out until roi or the caps change; where nothing is left, the whole frame is "
            "looked at"));
}

/* What the network can see of a frame: what its GstVideoCropMeta leaves. FALSE: an error was
 * posted. */
static gboolean
visible_region (
    YoloInput *input, YoloFlight *flight, gint width, gint height, YoloRegion *region)
{
  const GstVideoCropMeta *crop =
      input->memory == YOLO_CAPS_NVMM ? NULL : gst_buffer_get_video_crop_meta (flight->buffer);
  YoloRegion part;

  *region = (YoloRegion) { 0, 0, width, height };
  if (crop == NULL || crop->width == 0 || crop->height == 0)
    return TRUE;
  part = (YoloRegion) {
    MIN (crop->x, G_MAXINT), MIN (crop->y, G_MAXINT),
    MIN (crop->width, G_MAXINT), MIN (crop->height, G_MAXINT)
  };
  if (yolo_region_intersect (region, &part))
    return TRUE;
  GST_ELEMENT_ERROR (input->element, STREAM, FORMAT,
      ("the frame's GstVideoCropMeta lies outside of the frame"),
      ("%ux%u at %u,%u of %dx%d", crop->width, crop->height, crop->x, crop->y,
          region->width, region->height));
  return FALSE;
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

/* A frame of the flight, and what is asked about it. */
typedef struct {
  YoloInput *input;
  YoloFlight *flight;
  const YoloLiveSettings *settings;
  const YoloLoad *load;
  const YoloFrame *described;
  guint slot;
  YoloRegion visible;           /* what the network can see of it, pixels in memory */
} Source;

/* Where the frame goes on behind a region's borders. */
static YoloSeams
seams_of (const YoloRegion *region, const YoloRegion *visible)
{
  return (region->x > visible->x ? YOLO_SEAM_LEFT : 0)
      | (region->y > visible->y ? YOLO_SEAM_TOP : 0)
      | (region->x + region->width < visible->x + visible->width ? YOLO_SEAM_RIGHT : 0)
      | (region->y + region->height < visible->y + visible->height ? YOLO_SEAM_BOTTOM : 0);
}

/* Adds the request for a region of a frame to the flight. */
static YoloPart *
add_part (const Source *source, const YoloArea *area, const YoloRegion *region)
{
  const YoloLiveSettings *settings = source->settings;
  const YoloLoad *load = source->load;
  YoloPart part = {
    .flight = source->flight, .slot = source->slot, .area = area,
    .seams = seams_of (region, &source->visible),
    .request = {
      .frame = *source->described,
      .net_width = load->net_width,
      .net_height = load->net_height,
      .confidence = settings->confidence,
      .iou = settings->iou,
      .max_detections = settings->max_detections,
      .agnostic = settings->agnostic,
      .multi_label = settings->multi_label,
      .classes =
          source->flight->classes ? g_bytes_get_data (source->flight->classes, NULL) : NULL,
    },
  };
  YoloFrame *frame = &part.request.frame;

  frame->crop.x = region->x;
  frame->crop.y = region->y;
  frame->crop.width = region->width;
  frame->crop.height = region->height;
  frame->turn = yolo_orientation_turn (&source->input->orientation, settings->orientation);
  if (load->auto_size) {
    const gboolean transposed = frame->turn & YOLO_TURN_TRANSPOSE;
    int width, height;

    yolo_letterbox_auto (transposed ? region->height : region->width,
        transposed ? region->width : region->height, MAX (load->model->width, load->model->height),
        load->model->stride, &width, &height);
    part.request.net_width = width;
    part.request.net_height = height;
  }
  g_array_append_val (source->flight->parts, part);
  return &g_array_index (source->flight->parts, YoloPart, source->flight->parts->len - 1);
}

/* Adds a region as a whole, and its tiles. */
static void
add_region (const Source *source, const YoloArea *area, const YoloRegion *region)
{
  const YoloTiling *tiling = &source->settings->tiling;
  guint i;

  add_part (source, area, region);
  for (i = 0; i < tiling->columns * tiling->rows; i++) {
    const YoloRegion tile = yolo_tile (region, tiling, source->settings->tile_overlap, i);

    add_part (source, area, &tile);
  }
}

/* Adds what the frame shows of an area. One outside of the first frame is a mistake, and an
 * error; one that lies outside later, after the video's size has changed, must not end the
 * stream. FALSE: an error was posted. */
static gboolean
add_area (const Source *source, const YoloArea *area)
{
  const YoloFlight *flight = source->flight;
  YoloRegion region = source->visible, asked = area->box;

  asked.x = MIN ((gint64) asked.x + flight->origin_x, G_MAXINT);
  asked.y = MIN ((gint64) asked.y + flight->origin_y, G_MAXINT);
  if (yolo_region_intersect (&region, &asked)) {
    if (memcmp (&region, &asked, sizeof (YoloRegion)) != 0)
      warn_of_area (source->input, area, &region, FALSE);
    add_region (source, area, &region);
    return TRUE;
  }
  if (!source->input->had_frame) {
    g_autofree gchar *text = yolo_area_text (area);

    GST_ELEMENT_ERROR (source->input->element, LIBRARY, SETTINGS,
        (ROI_OUTSIDE, text, region.width, region.height), (NULL));
    return FALSE;
  }
  warn_of_area (source->input, area, &region, TRUE);
  return TRUE;
}

/* Adds the objects of a frame that the network is to look at. */
static void
add_objects (const Source *source)
{
  YoloFlight *flight = source->flight;
  YoloRegion region;
  guint i;

  for (i = 0; i < flight->given->len && flight->parts->len < YOLO_MAX_CROPS; i++) {
    const YoloMetaObject *object = &g_array_index (flight->given, YoloMetaObject, i);
    YoloPart *part;

    if (object->slot != source->slot
        || !yolo_crops_wants (source->settings, object)
        || !yolo_crops_region (object, flight, source->settings, source->load,
            &source->visible, &region)
        || !yolo_crops_is_due (source->input->crops, flight, source->settings, object))
      continue;
    part = add_part (source, NULL, &region);
    part->object = i;
    part->parent = object->region;
  }
}

/* Adds the requests for one frame to the flight. FALSE: an error was posted. */
static gboolean
add_frame (Source *source, const YoloFrame *described, guint slot)
{
  GArray *parts = source->flight->parts;
  const GArray *areas = source->flight->areas;
  const guint first = parts->len;
  guint i;

  source->described = described;
  source->slot = slot;
  if (!visible_region (source->input, source->flight, described->width, described->height,
          &source->visible))
    return FALSE;
  if (source->input->settings->inference_region == YOLO_INFERENCE_OBJECTS) {
    add_objects (source);
  } else {
    for (i = 0; areas != NULL && i < areas->len; i++)
      if (!add_area (source, &g_array_index (areas, YoloArea, i)))
        return FALSE;
    if (parts->len == first)
      add_region (source, NULL, &source->visible);
  }
  if (parts->len > first)
    g_array_index (parts, YoloPart, parts->len - 1).last = TRUE;
  return TRUE;
}

static gboolean
add_frames (Source *source)
{
  YoloInput *input = source->input;
  YoloFrame described;
  guint n, i;

  if (input->memory != YOLO_CAPS_NVMM)
    return map_video (input, source->flight, &described) && add_frame (source, &described, 0);
  if (!map_surface (input, source->flight, source->load->device, &n))
    return FALSE;
  for (i = 0; i < n; i++)
    if (!add_frame (source, &input->surfaces[i], n > 1 ? i + 1 : 0))
      return FALSE;
  return TRUE;
}

gboolean
yolo_input_make_parts (
    YoloInput *input, YoloFlight *flight, const YoloLiveSettings *settings, const YoloLoad *load)
{
  Source source = {
    .input = input, .flight = flight, .settings = settings, .load = load,
  };
  guint i;

  if (settings->classes)
    flight->classes = g_bytes_ref (settings->classes);
  if (settings->areas)
    flight->areas = g_array_ref (settings->areas);
  flight->classifies = g_strcmp0 (load->model->task, "classify") == 0;
  if (input->settings->inference_region == YOLO_INFERENCE_OBJECTS && flight->given->len == 0)
    return TRUE;
  if (!add_frames (&source))
    return FALSE;
  for (i = 0; i < flight->parts->len; i++) {
    YoloRequest *request = &g_array_index (flight->parts, YoloPart, i).request;

    request->more = flight->parts->len - 1 - i;
    request->waited = flight->waited;
  }
  input->had_frame = TRUE;
  return TRUE;
}

/* The first area of which a frame shows nothing; NULL: there is none. */
static const YoloArea *
find_outside (const GArray *areas, const YoloRegion *frame)
{
  guint i;

  for (i = 0; areas != NULL && i < areas->len; i++) {
    const YoloArea *area = &g_array_index (areas, YoloArea, i);
    YoloRegion part = area->box;

    if (!yolo_region_intersect (&part, frame))
      return area;
  }
  return NULL;
}

void
yolo_input_set_roi (YoloInput *input, const gchar *string)
{
  YoloSettings *settings = input->settings;
  g_autofree gchar *shown = yolo_text_printable (string ? string : "", YOLO_TEXT_MAX_MESSAGE);
  g_autofree gchar *outside = NULL;
  g_autoptr (GArray) areas = NULL;
  YoloRegion frame = { 0 };
  const YoloArea *area = NULL;
  gboolean parsed;

  parsed = yolo_areas_parse (string, &areas);
  GST_OBJECT_LOCK (input->element);
  frame.width = GST_VIDEO_INFO_WIDTH (&input->info);
  frame.height = GST_VIDEO_INFO_HEIGHT (&input->info);
  if (settings->started && frame.width > 0)
    area = find_outside (areas, &frame);
  if (area != NULL)
    outside = yolo_area_text (area);
  if (!settings->started || (parsed && area == NULL)) {
    g_free (settings->roi);
    settings->roi = g_strdup (string);
    g_clear_pointer (&settings->live.areas, g_array_unref);
    settings->live.areas = g_steal_pointer (&areas);
    input->roi_warned = FALSE;
    parsed = TRUE;
  }
  GST_OBJECT_UNLOCK (input->element);
  if (!parsed)
    GST_ELEMENT_WARNING (input->element, LIBRARY, SETTINGS,
        ("roi \"%s\" " YOLO_ROI_IS_WRONG, shown), ("roi stays as it was"));
  else if (outside != NULL)
    GST_ELEMENT_WARNING (input->element, LIBRARY, SETTINGS,
        (ROI_OUTSIDE, outside, frame.width, frame.height), ("roi stays as it was"));
}
