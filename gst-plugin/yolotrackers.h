/* SPDX-License-Identifier: MIT */
/* The trackers of an element's streams: one for each camera of a batch. Here objects of a buffer
 * become detections of a tracker, time stamps become steps in nominal frames, and tracks become
 * objects again. The functions are called by the streaming thread. */

#ifndef YOLO_TRACKERS_H
#define YOLO_TRACKERS_H

#include "gst-plugin/yolometa.h"
#include "postprocess/track/tracker.h"

G_BEGIN_DECLS

/* What a tracker's step is. */
typedef enum {
  YOLO_TIME_BASE_PTS,           /* the difference of time stamps */
  YOLO_TIME_BASE_FRAMES,        /* one, whatever the time stamps are */
} YoloTimeBase;

/* Which box an object has that is tracked. */
typedef enum {
  YOLO_TRACK_BOX_FILTER,        /* the mean of the tracker's filter, if it has nothing but a box */
  YOLO_TRACK_BOX_DETECTION,     /* the one that was found */
} YoloTrackBox;

/* What the properties of yolotrack say. */
typedef struct {
  guint serial;                 /* another number, whenever one of the values is another */
  YoloTrackerKind tracker;
  gdouble high, low, new_track, match;  /* as in YoloTrackerSettings */
  guint64 buffer;               /* ns; for how long a lost track is looked for */
  gboolean fuse_score, class_aware, published;
  YoloTimeBase time_base;
  YoloTrackBox box;
  gboolean fill_skipped;        /* frames that nobody looked at get the predicted boxes */
  gboolean attach_lost;         /* objects that were not found again get the predicted boxes */
} YoloTrackSettings;

/* A frame of a buffer. */
typedef struct {
  guint64 source;               /* which stream it is of */
  guint slot;                   /* as in YoloMetaObject */
  GstClockTime pts;
  gdouble rate;                 /* of playback; below 0 time stamps fall */
  gboolean inferred;            /* whether somebody looked for objects in it */
  /* borrowed; [2][3], how the camera has moved since the frame before, as yolo_tracker_update() has
   * it; NULL: it is taken to stand still */
  const gfloat *camera;
} YoloTrackFrame;

typedef struct _YoloTrackers YoloTrackers;

YoloTrackers *yolo_trackers_new (void);
/* NULL does nothing. */
void yolo_trackers_free (YoloTrackers *tracks);

/**
 * yolo_trackers_set_info:
 * @info: what the caps say of the frames that follow
 *
 * The framerate is that of the nominal frame of streams that begin, and stays it while they go
 * on. Tracks go on in frames of another size, if they have the same shape.
 */
void yolo_trackers_set_info (YoloTrackers *tracks, const GstVideoInfo *info);

/* Ends all tracks, as after a flush; numbers go on. */
void yolo_trackers_reset (YoloTrackers *tracks);

/* Forgets all streams: what comes is another one, whose numbers begin at 1. */
void yolo_trackers_clear (YoloTrackers *tracks);

/**
 * yolo_trackers_follow:
 * @found: (element-type YoloMetaObject): of all frames of the buffer; those of this frame get
 * their tracks. In a frame that nobody looked at these are the last ones again.
 * Of an object of this frame `object_id` is changed (-1: it is in no track), and of one in a track
 * `state`, and its box, if @settings say so and it has no shape
 * @faint: (element-type YoloMetaObject): detections of all frames that nobody else sees
 * @added: (element-type YoloMetaObject): to which objects are appended that are not in @found:
 * faint ones that are in a track, and predicted and lost ones, as @settings say
 *
 * Returns: FALSE: there is no memory
 */
gboolean yolo_trackers_follow (YoloTrackers *tracks, const YoloTrackSettings *settings,
    const YoloTrackFrame *frame, GArray *found, GArray *faint, GArray *added);

G_END_DECLS

#endif
