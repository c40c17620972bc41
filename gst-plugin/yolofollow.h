/* SPDX-License-Identifier: MIT */
/* What yoloinfer and a tracker behind it tell each other. A tracker recognises objects again by
 * detections that are too weak to be shown, as long as they fit a known track (the second
 * association of ByteTrack). So the tracker answers a query by the confidence from which on it
 * wants detections, and each frame carries a note: whether it was looked at, and the detections
 * that are below the threshold of yoloinfer. Only the tracker reads these, and it takes the note
 * off: for everybody else they do not exist. */

#ifndef YOLO_FOLLOW_H
#define YOLO_FOLLOW_H

#include "gst-plugin/yoloflight.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolosettings.h"

G_BEGIN_DECLS

/* Of yoloinfer: what it knows of the tracker. Initially all zero. */
typedef struct {
  gint known;                   /* atomic; 0: downstream is to be asked before the next frame */
  gboolean followed;            /* streaming thread; there is a tracker */
  gdouble low;                  /* streaming thread; the confidence that it wants */
} YoloFollow;

/* Looks at an event that comes from downstream: after some, the tracker may be another one or
 * want something else. Called by any thread. */
void yolo_follow_event (YoloFollow *follow, GstEvent *event);

/* Asks again before the next frame. Called by any thread. */
void yolo_follow_forget (YoloFollow *follow);

/**
 * yolo_follow_lower:
 * @srcpad: whose peers may be a tracker; asked when what is known is not certain any more
 * @settings: whose threshold is lowered to what the tracker wants
 * @flight: learns whether there is a tracker, and below which confidence only that sees objects
 *
 * Called by the streaming thread.
 */
void yolo_follow_lower (YoloFollow *follow, GstPad *srcpad, YoloLiveSettings *settings,
    YoloFlight *flight);

/* Moves the flight's objects that only a tracker sees from `objects` to `faint`, which is made if
 * it is needed. Like the functions of flights and buffers below, called by the thread that has
 * these. */
void yolo_follow_split (YoloFlight *flight);

/**
 * yolo_follow_repeat:
 * @last: `faint` of the last flight that was inferred, a reference; NULL: there was nothing in it
 *
 * Remembers `faint` of a flight that was inferred, after yolo_follow_split(), and gives it to one
 * that is gated: where nothing moves, what was hardly seen is still there, and a track that lives
 * by it must not end. @last is owned by the caller, who clears it at the end.
 */
void yolo_follow_repeat (YoloFlight *flight, GArray **last);

/**
 * yolo_follow_note:
 * @buffer: writable
 * @faint: (nullable) (element-type YoloMetaObject): the buffer shares it from now on
 * @inferred: whether the frame was looked at
 *
 * Attaches the note.
 */
void yolo_follow_note (GstBuffer *buffer, const GstVideoInfo *info, GArray *faint,
    gboolean inferred, guint unique_id);

/* What a buffer's notes say; there may be several, of several yoloinfer. */
typedef struct {
  gboolean noted;               /* there is a note */
  gboolean inferred;            /* one says that the frame was looked at, or none says anything */
  guint unique_id;              /* of the first note */
} YoloFollowNote;

/* Reads the notes, and appends the detections that only the tracker sees to @faint. */
YoloFollowNote yolo_follow_read (GstBuffer *buffer, const GstVideoInfo *info, GArray *faint);

/* Takes the notes off. @buffer: writable */
void yolo_follow_remove (GstBuffer *buffer);

/* Of the tracker: answers the query. FALSE: it is another query. */
gboolean yolo_follow_answer (GstQuery *query, gdouble low);

/* Returns: (transfer full): what a tracker sends upstream when its answer is another one */
GstEvent *yolo_follow_changed (void);

G_END_DECLS

#endif
