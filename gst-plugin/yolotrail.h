/* SPDX-License-Identifier: MIT */
/* Where objects that have a track have been lately, for yolooverlay to draw. */

#ifndef YOLO_TRAIL_H
#define YOLO_TRAIL_H

#include "gst-plugin/yolometa.h"

G_BEGIN_DECLS

/* Positions that are remembered of a track, at most: of a longer time, they are further apart. */
#define YOLO_TRAIL_POINTS 64

/* Initially all zero. */
typedef struct {
  GArray *trails;               /* of tracks; NULL: none so far */
  GstClockTime now;             /* of the frame in hand */
} YoloTrails;

void yolo_trails_clear (YoloTrails *trails);

/* Forgets all positions, as after a flush, and keeps the memory. */
void yolo_trails_reset (YoloTrails *trails);

/**
 * yolo_trails_add:
 * @objects: (element-type YoloMetaObject): of a frame
 * @pts: of the frame; one that is not known is a thirtieth of a second after the one before
 * @length: ns; positions that are older are forgotten
 *
 * Remembers where the objects are. A time stamp that goes back forgets all.
 */
void yolo_trails_add (YoloTrails *trails, const GArray *objects, const GstVideoInfo *info,
    GstClockTime pts, GstClockTime length);

/**
 * yolo_trails_get:
 * @points: (out): [YOLO_TRAIL_POINTS][2], middles of the object's box, 0 to 1 of the frame, the
 * oldest first; the last one is where it is now, or was a moment ago
 *
 * Returns: how many there are
 */
guint yolo_trails_get (const YoloTrails *trails, const YoloMetaObject *object,
    gfloat points[YOLO_TRAIL_POINTS][2]);

G_END_DECLS

#endif
