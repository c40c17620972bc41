/* SPDX-License-Identifier: MIT */
/* What the files of the trackers share: tracker.c has the life of a track, one file a tracker the
 * motion of a box and which box is whose. */

#ifndef YOLO_POSTPROCESS_TRACK_RECORD_H
#define YOLO_POSTPROCESS_TRACK_RECORD_H

#include "postprocess/track/assign.h"
#include "postprocess/track/kalman.h"
#include "postprocess/track/tracker.h"

/* places that OC-SORT remembers of a track */
#define YOLO_TRACK_SEEN 8

typedef struct {
  double age;                   /* of the track at that time */
  YoloObject box;
} YoloTrackSeen;

typedef struct {
  YoloTrack track;              /* its box is the predicted one until a frame's end */
  YoloKalman motion[4];         /* coordinates of the box; the tracker says which */
  bool confirmed;
  bool lost;                    /* looked for and not found in the last frame looked at */
  bool gone;                    /* leaves at the frame's end */
  /* shares of its width and height by which boxes are grown when they are compared with it */
  double grow_x, grow_y;

  /* of OC-SORT */
  YoloTrackSeen seen[YOLO_TRACK_SEEN];  /* a ring */
  unsigned n_seen;              /* the next place is n_seen % YOLO_TRACK_SEEN */
  unsigned streak, missed;      /* frames on end in which it was seen, or missed */
  float direction_x, direction_y;       /* unit vector, or almost 0 */
  YoloKalman when_missed[4];    /* the motion, at missed_age, when it was missed first */
  double missed_age;
} YoloTrackRecord;

/* How a tracker thinks that boxes move, and which box it gives to which track. */
typedef struct {
  void (*begin) (YoloTrackRecord *r, const YoloObject *box);
  void (*predict) (YoloTrackRecord *r, double step, const YoloTrackerSettings *settings);
  void (*correct) (YoloTrackRecord *r, const YoloObject *box);
  /* writes the box and the velocity of the track */
  void (*show) (YoloTrackRecord *r);
  /* camera: [2][3] as yolo_tracker_update() has it; NULL: the tracker does not know of it */
  void (*move) (YoloTrackRecord *r, const float *camera);
  /* Each box is given to a track, begins one or is left; each track was seen or missed. */
  void (*associate) (YoloTracker *t, double step);
  bool unique;                  /* whether two tracks of one place become one */
} YoloTrackerMethod;

typedef struct {
  int32_t *at;
  size_t n;
} YoloIndexList;

struct _YoloTracker {
  YoloTrackerSettings settings;
  const YoloTrackerMethod *method;
  YoloTrackRecord *records;     /* [n], by id */
  YoloTrack *shown;             /* [n] */
  size_t n, capacity;
  int32_t next_id;
  uint64_t n_frames;            /* looked at since the beginning */

  /* of the frame under way */
  const YoloObject *boxes;
  size_t n_boxes, box_capacity;
  bool *taken;                  /* [n_boxes]: a track has it, or it is no box */
  YoloIndexList tracks, wanted; /* scratch: indices of records and of boxes */
  YoloAssignment assignment;
};

/* Gives the box to a track, whose motion it corrects. */
void yolo_track_see (YoloTracker *t, YoloTrackRecord *r, size_t box);
/* Carries out the assignment of the rows `tracks` to the columns `wanted`: what has a partner is
 * seen, and taken out of the lists. */
void yolo_track_give (YoloTracker *t);
/* The box begins a track. */
void yolo_track_begin (YoloTracker *t, size_t box, bool confirmed);

/* By how much lengths grow: the root of how much areas do. @camera: [2][3], as
 * yolo_tracker_update() has it, with an inverse. */
double yolo_camera_zoom (const float *camera);

/* Intersection over union of a track's predicted box and a box, 0 to 1. */
double yolo_track_iou (const YoloObject *a, const YoloObject *b);

/* Association of ByteTrack and BoT-SORT. */
void yolo_bytetrack_associate (YoloTracker *t, double step);
/* Sets how much boxes are grown for a track whose motion has been predicted. @width, @height: of
 * the track; @x, @y: deviations of what is measured; all in pixels. */
void yolo_bytetrack_grow (YoloTrackRecord *r, double width, double height, double x, double y);

extern const YoloTrackerMethod yolo_bytetrack, yolo_botsort, yolo_ocsort;

#endif
