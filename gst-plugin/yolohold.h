/* SPDX-License-Identifier: MIT */
/* Objects of the last frames, so that one which a detector misses for a moment is still known.
 * Used by one thread at a time. */

#ifndef YOLO_HOLD_H
#define YOLO_HOLD_H

#include "gst-plugin/yolometa.h"

G_BEGIN_DECLS

/* An object as it was seen last. */
typedef struct {
  gint id;                      /* of its track; -1: it has none */
  gint label_id;
  GQuark label;
  gdouble box[4];               /* x1, y1, x2, y2 in pixels of the frame */
  gdouble speed[2];             /* pixels a second */
  gboolean moves;               /* the speed has been measured */
  GstClockTime seen;            /* when it was last one that is wanted */
  GstClockTime measured;        /* when its box was there */
  guint missing;                /* frames since then */
  gboolean here;                /* it is in the frame in hand */
} YoloHeld;

typedef struct {
  GArray *held;                 /* YoloHeld; bounded */
  GstClockTime now;             /* of the frame in hand; GST_CLOCK_TIME_NONE before the first */
} YoloHold;

void yolo_hold_init (YoloHold *hold);
void yolo_hold_clear (YoloHold *hold);
/* Forgets all objects. */
void yolo_hold_reset (YoloHold *hold);
/* The frame has become larger by these factors. */
void yolo_hold_scale (YoloHold *hold, gdouble x, gdouble y);

/**
 * yolo_hold_begin:
 * @now: of the frame in hand, or GST_CLOCK_TIME_NONE
 * @duration: of a frame, for those without a time
 * @keep: for how long an object with a track is known, ns; one without a track, which can only be
 * found again by its place, for half of that; both for a few frames at least, unless this is 0
 *
 * Forgets who has been away for too long.
 */
void yolo_hold_begin (YoloHold *hold, GstClockTime now, GstClockTime duration, guint64 keep);

/**
 * yolo_hold_see:
 * @wanted: whether the object is one that is to be known
 *
 * Takes an object of the frame in hand.
 *
 * Returns: whether it is wanted, or was a moment ago, by the number of its track: its class may
 * have been mistaken
 */
gboolean yolo_hold_see (YoloHold *hold, const YoloMetaObject *object, gboolean wanted);

/**
 * yolo_hold_next:
 * @at: (inout): 0 at the first call
 * @box: (out): x1, y1, x2, y2 in pixels of the frame
 *
 * The objects that are known and were not seen in the frame in hand, one after another: the box
 * around where each was and where it is by now if it went on as it did, and a little around that,
 * for it may have gone elsewhere.
 *
 * Returns: FALSE: that was the last one
 */
gboolean yolo_hold_next (const YoloHold *hold, guint *at, gdouble box[4]);

G_END_DECLS

#endif
