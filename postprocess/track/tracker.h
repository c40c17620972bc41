/* SPDX-License-Identifier: MIT */
/* Gives objects an identity over time: which box of this frame is which of the frame before.
 * A tracker is of one stream. Boxes are in pixels, and nobody looks at what those show. One thread
 * at a time. */

#ifndef YOLO_POSTPROCESS_TRACK_TRACKER_H
#define YOLO_POSTPROCESS_TRACK_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postprocess/object.h"

typedef enum {
  YOLO_TRACKER_BYTETRACK,
  YOLO_TRACKER_BOTSORT,
  YOLO_TRACKER_OCSORT,
} YoloTrackerKind;

typedef struct {
  YoloTrackerKind kind;
  float high, low;              /* scores: above high is matched first, between them second */
  float new_track;              /* score from which a box that nothing matches begins a track */
  float match;                  /* cost, 0 to 1, above which two are no pair */
  float buffer;                 /* nominal frames for which a lost track is looked for */
  bool fuse_score;              /* whether the cost of a pair knows the score of the box */
  bool class_aware;             /* whether a track takes boxes of its class alone */
  /* whether ByteTrack and BoT-SORT are as their authors have them, line by line; false: they
   * find objects again after longer steps and gaps (docs/tracking.md) */
  bool published;
} YoloTrackerSettings;

typedef enum {
  YOLO_TRACK_NEW,               /* seen once, not confirmed: nobody counts it */
  YOLO_TRACK_TRACKED,           /* confirmed, and seen in this frame */
  YOLO_TRACK_PREDICTED,         /* confirmed; the frame was not looked at */
  YOLO_TRACK_LOST,              /* confirmed; looked for, and not seen in this frame */
} YoloTrackState;

typedef struct {
  /* the box of the filter's mean, pixels, but of OC-SORT the detection's where there is one;
   * confidence and class of the last detection */
  YoloObject object;
  int32_t id;                   /* from 1; the same again only after 2^31 - 1 others */
  YoloTrackState state;
  int32_t detection;            /* index of the detection that it is in this frame; -1: none */
  double age;                   /* nominal frames since the track began */
  double unseen;                /* nominal frames since it was last seen; 0: it is seen */
  float vx, vy;                 /* of the box's middle, pixels a nominal frame */
} YoloTrack;

typedef struct _YoloTracker YoloTracker;

/* NULL: there is no memory. */
YoloTracker *yolo_tracker_new (const YoloTrackerSettings *settings);
void yolo_tracker_free (YoloTracker *tracker);

/* Takes effect at the next frame. Of another kind, tracks keep their ids and boxes, and their
 * filters begin anew. */
void yolo_tracker_set (YoloTracker *tracker, const YoloTrackerSettings *settings);

/* Forgets all tracks; ids go on. */
void yolo_tracker_reset (YoloTracker *tracker);

/* A frame that was looked at. @step: since the frame before, in nominal frames; below 0 or no
 * number: no time has passed. @camera: [2][3], by which a pixel of the frame before is multiplied,
 * with a 1 behind it, to be one of this frame; NULL, or a matrix without an inverse: the camera
 * stands still. OC-SORT does not know of the camera. Boxes that are not finite or have no size are
 * ignored. False: there is no memory, and nothing has changed. */
bool yolo_tracker_update (YoloTracker *tracker, double step, const YoloObject *detections,
    size_t n, const float *camera);

/* A frame that was not looked at: all tracks are predicted. */
void yolo_tracker_predict (YoloTracker *tracker, double step, const float *camera);

/* The tracks after the last frame, by id; until the next call of any function. */
const YoloTrack *yolo_tracker_tracks (const YoloTracker *tracker, size_t *n);

#endif
