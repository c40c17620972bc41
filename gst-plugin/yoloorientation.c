/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloorientation.h"

#include "image/frame.h"

/* So many elements before the pad are looked at; further upstream none is. */
#define MAX_UPSTREAM 64

/* Whether the element turns pictures. */
static gboolean
is_turning (GstElement *element)
{
  GstVideoOrientationMethod method = GST_VIDEO_ORIENTATION_IDENTITY;

  if (!GST_IS_VIDEO_DIRECTION (element))
    return FALSE;
  g_object_get (element, "video-direction", &method, NULL);
  return method != GST_VIDEO_ORIENTATION_IDENTITY;
}

/* The sink pad of the element that feeds @pad, within bins too; NULL: that element has
 * none or several. @turning: (out): whether the element turns pictures. */
static GstPad *
pad_before (GstPad *pad, gboolean *turning)
{
  GstPad *source = gst_pad_get_peer (pad), *sink = NULL;
  GstElement *element;

  *turning = FALSE;
  while (source != NULL && GST_IS_GHOST_PAD (source)) {
    GstPad *target = gst_ghost_pad_get_target (GST_GHOST_PAD (source));

    gst_object_unref (source);
    source = target;
  }
  /* the inner side of a bin's sink pad, whose outer one goes on */
  if (source != NULL && GST_IS_PROXY_PAD (source))
    sink = GST_PAD (gst_proxy_pad_get_internal (GST_PROXY_PAD (source)));
  element = source != NULL ? gst_pad_get_parent_element (source) : NULL;
  if (element != NULL && sink == NULL) {
    *turning = is_turning (element);
    GST_OBJECT_LOCK (element);
    if (element->numsinkpads == 1)
      sink = gst_object_ref (element->sinkpads->data);
    GST_OBJECT_UNLOCK (element);
  }
  gst_clear_object (&element);
  gst_clear_object (&source);
  return sink;
}

/* Whether an element upstream turns pictures: videoflip (GStreamer 1.22) hands the tag
 * on as it was, so that it is wrong from there on. */
static gboolean
is_turned_upstream (GstPad *pad)
{
  GstPad *at = gst_object_ref (pad);
  gboolean turning = FALSE;

  for (guint i = 0; i < MAX_UPSTREAM && at != NULL && !turning; i++) {
    GstPad *before = pad_before (at, &turning);

    gst_object_unref (at);
    at = before;
  }
  gst_clear_object (&at);
  return turning;
}

void
yolo_orientation_event (YoloOrientation *orientation, GstPad *pad, GstEvent *event)
{
  GstVideoOrientationMethod method;
  GstTagList *tags;

  if (GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START)
    *orientation = (YoloOrientation) { 0 };
  if (GST_EVENT_TYPE (event) == GST_EVENT_TAG || GST_EVENT_TYPE (event) == GST_EVENT_CAPS)
    orientation->turned = is_turned_upstream (pad);
  if (GST_EVENT_TYPE (event) != GST_EVENT_TAG)
    return;
  gst_event_parse_tag (event, &tags);
  if (!gst_video_orientation_from_tag (tags, &method))
    return;
  if (gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_STREAM) {
    orientation->stream = method;
    orientation->of_stream = TRUE;
  } else {
    orientation->global = method;
  }
}

/* For example 90R: turned clockwise by 90 degrees, the frame's lower left corner
 * becomes the upper left one, as if the frame were transposed and the rows counted from
 * the bottom. */
guint
yolo_orientation_turn (const YoloOrientation *orientation, GstVideoOrientationMethod wanted)
{
  if (wanted == GST_VIDEO_ORIENTATION_AUTO && orientation->turned)
    return 0;
  if (wanted == GST_VIDEO_ORIENTATION_AUTO)
    wanted = orientation->of_stream ? orientation->stream : orientation->global;
  switch (wanted) {
    case GST_VIDEO_ORIENTATION_90R:
      return YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_Y;
    case GST_VIDEO_ORIENTATION_180:
      return YOLO_TURN_MIRROR_X | YOLO_TURN_MIRROR_Y;
    case GST_VIDEO_ORIENTATION_90L:
      return YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_X;
    case GST_VIDEO_ORIENTATION_HORIZ:
      return YOLO_TURN_MIRROR_X;
    case GST_VIDEO_ORIENTATION_VERT:
      return YOLO_TURN_MIRROR_Y;
    case GST_VIDEO_ORIENTATION_UL_LR:
      return YOLO_TURN_TRANSPOSE;
    case GST_VIDEO_ORIENTATION_UR_LL:
      return YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_X | YOLO_TURN_MIRROR_Y;
    default:                   /* identity, and custom, which no tag says */
      return 0;
  }
}
