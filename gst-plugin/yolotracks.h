/* SPDX-License-Identifier: MIT */
/* What is remembered of tracked objects between frames, by the number of the track and the slot
 * of its stream in a batch: when a network last looked at the object, and what it said. One
 * thread at a time; bounded, for tracks that are not seen any more are forgotten. */

#ifndef YOLO_TRACKS_H
#define YOLO_TRACKS_H

#include "gst-plugin/yolometa.h"

G_BEGIN_DECLS

/* Frames for which a track is remembered that is not seen. */
#define YOLO_TRACKS_MEMORY 300

typedef struct _YoloTracks YoloTracks;

YoloTracks *yolo_tracks_new (void);
void yolo_tracks_free (YoloTracks *tracks);
/* Forgets all tracks. */
void yolo_tracks_clear (YoloTracks *tracks);

/**
 * yolo_tracks_is_due:
 * @frame: number of the frame, which does not decrease
 * @interval: in frames; 0: once for each track
 *
 * Whether the network is to look at the object now, which is remembered if so: always, of one
 * that has no track. Allocates for a track that is new.
 */
gboolean yolo_tracks_is_due (
    YoloTracks *tracks, const YoloMetaObject *object, guint64 frame, guint interval);

/* Remembers what was said of an object, which does nothing for one that has no track. */
void yolo_tracks_learn (
    YoloTracks *tracks, const YoloMetaObject *object, guint64 frame, GBytes *classes);

/* (transfer none) (nullable): what was said last of the object's track. */
GBytes *yolo_tracks_recall (YoloTracks *tracks, const YoloMetaObject *object, guint64 frame);

/**
 * yolo_tracks_learn_inside:
 * @found: what was found inside the object
 *
 * Remembers what was found inside an object, which does nothing for one that has no track.
 */
void yolo_tracks_learn_inside (YoloTracks *tracks, const YoloMetaObject *object, guint64 frame,
    const YoloMetaObject *found, guint n);

/**
 * yolo_tracks_recall_inside:
 * @info: what the caps say
 * @objects: (element-type YoloMetaObject): appended to
 *
 * Appends what was found inside the object's track last, moved and scaled as the object has been
 * since, with the object as parent.
 */
void yolo_tracks_recall_inside (YoloTracks *tracks, const YoloMetaObject *object, guint64 frame,
    const GstVideoInfo *info, GArray *objects);

/* How many tracks are remembered. */
guint yolo_tracks_count (YoloTracks *tracks);

G_END_DECLS

#endif
