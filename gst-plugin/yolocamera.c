/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolocamera.h"

#include "gst-plugin/yolocuda.h"
#include "gst-plugin/yololook.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolonvmm.h"
#include "gst-plugin/yoloshape.h"
#include "gst-plugin/yolovideo.h"
#include "image/camera.h"

struct _YoloCameraMotion {
  GstElement *element;          /* borrowed */
  YoloCamera *camera;           /* owned; NULL: not needed so far */
  YoloLook look;
  YoloFrame *surfaces;          /* [YOLO_NVMM_MAX_FRAMES], owned; NULL: no surface came so far */
  gboolean looked;              /* the camera has a last frame */
  gboolean warned;
};

YoloCameraMotion *
yolo_camera_motion_new (GstElement *element)
{
  YoloCameraMotion *motion = g_new0 (YoloCameraMotion, 1);

  motion->element = element;
  return motion;
}

void
yolo_camera_motion_reset (YoloCameraMotion *motion)
{
  if (motion->looked)
    yolo_camera_reset (motion->camera);
  motion->looked = FALSE;
}

void
yolo_camera_motion_stop (YoloCameraMotion *motion)
{
  g_clear_pointer (&motion->camera, yolo_camera_free);
  g_clear_pointer (&motion->surfaces, g_free);
  yolo_look_clear (&motion->look);
  motion->looked = motion->warned = FALSE;
}

void
yolo_camera_motion_free (YoloCameraMotion *motion)
{
  if (motion == NULL)
    return;
  yolo_camera_motion_stop (motion);
  g_free (motion);
}

static void
warn (YoloCameraMotion *motion, const gchar *why)
{
  if (motion->warned)
    return;
  motion->warned = TRUE;
  GST_ELEMENT_WARNING (motion->element, LIBRARY, SETTINGS,
      ("camera-motion has no effect, the camera is taken to stand still: %s", why), (NULL));
}

static const gchar several_streams[] =
    "a buffer holds frames of several streams; put yolotrack before they are batched";

/* Why frames cannot be looked at, by their caps; NULL: they can. */
static const gchar *
obstacle (const GstVideoInfo *info, GstCapsFeatures *features, guint n)
{
  const gboolean cuda = gst_caps_features_contains (features, YOLO_CAPS_FEATURE_CUDA);

  if (n != 1)
    return several_streams;
  for (guint i = 0; i < gst_caps_features_get_size (features); i++) {
    const gchar *feature = gst_caps_features_get_nth (features, i);

    if (g_str_has_prefix (feature, "memory:") && !cuda
        && !g_str_equal (feature, YOLO_CAPS_FEATURE_NVMM)
        && !g_str_equal (feature, GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY)
        && !g_str_equal (feature, "memory:DMABuf"))
      return "frames in this memory are not read; use system memory or memory:CUDAMemory before "
          "yolotrack";
  }
  if (info->finfo->unpack_func == NULL)
    return "frames in this format are not read; put videoconvert before yolotrack";
  return NULL;
}

/* The part of a buffer that the caps describe. FALSE: there is none. */
static gboolean
crop (GstBuffer *buffer, const GstVideoInfo *info, YoloFrame *frame)
{
  gint x, y;

  yolo_meta_origin (buffer, info, &x, &y);
  frame->crop.x = x;
  frame->crop.y = y;
  frame->crop.width = MIN (GST_VIDEO_INFO_WIDTH (info), frame->width - x);
  frame->crop.height = MIN (GST_VIDEO_INFO_HEIGHT (info), frame->height - y);
  return frame->crop.width > 0 && frame->crop.height > 0;
}

/* Makes the small picture of a frame that lies on @device. NULL: done; else why not. */
static const gchar *
look_at (YoloCameraMotion *motion, GstBuffer *buffer, const GstVideoInfo *info, YoloFrame *frame,
    guint device, GError **error)
{
  YoloMotionView view = { .frame = frame };

  if (!crop (buffer, info, frame))
    return "a frame does not hold what its caps say";
  yolo_camera_grid (&view.grid, frame);
  if (!yolo_look_at (&motion->look, buffer, &view, 1, device,
          yolo_camera_picture (motion->camera, &view.grid), error))
    return (*error)->message;
  return NULL;
}

/* The same of a buffer in system memory, or in CUDA memory. */
static const gchar *
look_at_video (YoloCameraMotion *motion, GstBuffer *buffer, const GstVideoInfo *info,
    gboolean cuda, GError **error)
{
  const GstMapFlags flags = (GstMapFlags) (GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)
      | (cuda ? yolo_cuda_map_flags () : 0);
  GstVideoInfo layout = *info;
  GstVideoFrame video;
  YoloFrame frame;
  const gchar *why;

  if (cuda)
    yolo_cuda_layout (buffer, &layout);
  if (!gst_video_frame_map (&video, &layout, buffer, flags))
    return "a frame cannot be mapped";
  if (!yolo_video_describe (&video, &GST_VIDEO_INFO_COLORIMETRY (info), &frame)
      || (cuda && !yolo_cuda_describe (buffer, &frame)))
    why = "a frame does not hold what its caps say";
  else if (cuda && frame.unpack != NULL)
    why = "frames in this format are not read in CUDA memory; put cudaconvert before yolotrack";
  else
    why = look_at (motion, buffer, info, &frame, 0, error);
  gst_video_frame_unmap (&video);
  return why;
}

/* The same of a DeepStream surface, on the GPU that it says. */
static const gchar *
look_at_surface (
    YoloCameraMotion *motion, GstBuffer *buffer, const GstVideoInfo *info, GError **error)
{
  const gchar *why;
  GstMapInfo map;
  guint device, n;

  if (motion->surfaces == NULL)
    motion->surfaces = g_new (YoloFrame, YOLO_NVMM_MAX_FRAMES);
  if (!gst_buffer_map (buffer, &map, GST_MAP_READ))
    return "an NVMM buffer cannot be mapped";
  device = yolo_nvmm_device (map.data, map.size);
  if (!yolo_nvmm_read (map.data, map.size, device, motion->surfaces, &n, error))
    why = (*error)->message;
  else if (n != 1)
    why = several_streams;
  else
    why = look_at (motion, buffer, info, motion->surfaces, device, error);
  gst_buffer_unmap (buffer, &map);
  return why;
}

gboolean
yolo_camera_motion_look (YoloCameraMotion *motion, GstBuffer *buffer, const GstVideoInfo *info,
    GstCapsFeatures *features, guint n, gfloat matrix[6])
{
  const gchar *why = obstacle (info, features, n);
  g_autoptr (GError) error = NULL;

  if (motion->camera == NULL)
    motion->camera = yolo_camera_new ();
  if (motion->camera == NULL)
    why = "there is no memory";
  if (why == NULL && gst_caps_features_contains (features, YOLO_CAPS_FEATURE_NVMM))
    why = look_at_surface (motion, buffer, info, &error);
  else if (why == NULL)
    why = look_at_video (motion, buffer, info,
        gst_caps_features_contains (features, YOLO_CAPS_FEATURE_CUDA), &error);
  if (why != NULL) {
    warn (motion, why);
    yolo_camera_motion_reset (motion);
    return FALSE;
  }
  motion->looked = TRUE;
  return yolo_camera_estimate (motion->camera, matrix);
}

void
yolo_camera_motion_hide (YoloCameraMotion *motion, const GArray *objects)
{
  for (guint i = 0; motion->looked && i < objects->len; i++) {
    const YoloMetaObject *object = &g_array_index (objects, YoloMetaObject, i);
    const YoloShape *shape = yolo_shape_get (object->shape);

    /* the class of all of the frame is no object in it */
    if (shape == NULL || !(shape->flags & YOLO_SHAPE_WHOLE))
      yolo_camera_hide (motion->camera, object->x, object->y, object->x + object->w,
          object->y + object->h);
  }
}
