/* SPDX-License-Identifier: MIT */
/* How the pictures of a stream become upright. */

#ifndef YOLO_ORIENTATION_H
#define YOLO_ORIENTATION_H

#include <gst/video/video.h>

G_BEGIN_DECLS

/* What the tags of a stream have said so far: EXIF, or a container's display
 * matrix. Of the streaming thread; zeroed at the start. */
typedef struct {
  GstVideoOrientationMethod stream, global;     /* IDENTITY if no tag says so */
  gboolean of_stream;           /* a tag of the stream's own, which wins */
  gboolean turned;              /* by an element upstream: the tags hold no more */
} YoloOrientation;

/* To be shown each event of the sink pad @pad, in its streaming thread. */
void yolo_orientation_event (YoloOrientation *orientation, GstPad *pad, GstEvent *event);

/* @wanted: what a property says; AUTO: what the tags say
 * Returns: YOLO_TURN_* of image/frame.h */
guint yolo_orientation_turn (const YoloOrientation *orientation, GstVideoOrientationMethod wanted);

G_END_DECLS

#endif
