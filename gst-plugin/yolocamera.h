/* SPDX-License-Identifier: MIT */
/* How the camera of a stream moves, from frame to frame. Called by the streaming thread of an
 * element. */

#ifndef YOLO_CAMERA_H
#define YOLO_CAMERA_H

#include <gst/video/video.h>

G_BEGIN_DECLS

typedef struct _YoloCameraMotion YoloCameraMotion;

/* @element: borrowed, posts a warning where frames cannot be looked at */
YoloCameraMotion *yolo_camera_motion_new (GstElement *element);
void yolo_camera_motion_free (YoloCameraMotion *motion);

/* Forgets the last frame, so that the motion to the next one is not known. */
void yolo_camera_motion_reset (YoloCameraMotion *motion);
/* Lets go of the device and the memory, too. */
void yolo_camera_motion_stop (YoloCameraMotion *motion);

/**
 * yolo_camera_motion_look:
 * @buffer: read, not changed
 * @info: what the caps say
 * @features: of the caps
 * @n: how many streams the buffer holds frames of
 * @matrix: (out): as yolo_camera_estimate() has it, for pixels of the frame that the caps describe
 *
 * Looks at the next frame of the stream. Where the frames cannot be looked at, it posts a warning,
 * once.
 *
 * Returns: FALSE: the motion is not known, and @matrix is not set
 */
gboolean yolo_camera_motion_look (YoloCameraMotion *motion, GstBuffer *buffer,
    const GstVideoInfo *info, GstCapsFeatures *features, guint n, gfloat matrix[6]);

/* Objects of the frame that was looked at last: what is in their boxes may move by itself.
 * @objects: (element-type YoloMetaObject) */
void yolo_camera_motion_hide (YoloCameraMotion *motion, const GArray *objects);

G_END_DECLS

#endif
