/* SPDX-License-Identifier: MIT */
/* How the pictures of a stream become upright. */

#ifndef YOLO_ORIENTATION_H
#define YOLO_ORIENTATION_H

#include <gst/video/video.h>

G_BEGIN_DECLS

/* What the tags of a stream have said so far: EXIF, or a container's display
 * matrix. Only the streaming thread uses it; zeroed at the start. */
typedef struct {
  /* what a tag of the stream and one of the whole file say; IDENTITY: no such tag */
  GstVideoOrientationMethod stream, global;
  gboolean of_stream;           /* there is a tag of the stream, which wins */
  gboolean turned;              /* an element upstream turns frames: the tags are wrong now */
} YoloOrientation;

/* Notes what an event says. Called for each event of the sink pad @pad, by its
 * streaming thread. */
void yolo_orientation_event (YoloOrientation *orientation, GstPad *pad, GstEvent *event);

/* @wanted: what a property says; AUTO: what the tags say
 * Returns: YOLO_TURN_* of image/frame.h */
guint yolo_orientation_turn (const YoloOrientation *orientation, GstVideoOrientationMethod wanted);

G_END_DECLS

#endif
