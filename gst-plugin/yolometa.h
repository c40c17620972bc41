/* SPDX-License-Identifier: MIT */
/* Detections on buffers: the one place that writes and reads them.
 * GstVideoRegionOfInterestMeta in DL Streamer's layout (roi_type = label,
 * param structure "detection" with x_min x_max y_min y_max normalised,
 * confidence, label_id; batch_id where a buffer holds several frames; points, masks and the
 * corners of turned boxes as further params) and, built
 * against GStreamer 1.24 or newer, GstAnalyticsRelationMeta too. What other elements
 * drop of a region on its way downstream is found again in a note on the buffer. */

#ifndef YOLO_META_H
#define YOLO_META_H

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/* What the tracker that gave an object its number knows of it. */
typedef enum {
  YOLO_META_TRACKED,            /* it was found in this frame */
  YOLO_META_PREDICTED,          /* the frame was not looked at; the box is where it should be */
  YOLO_META_LOST,               /* it was looked for, and not found; the box is the same */
} YoloMetaState;

typedef struct {
  /* pixels of the frame that the caps describe, see yolo_meta_origin() */
  gfloat x, y, w, h;
  gfloat confidence;            /* negative: unknown */
  gint label_id;                /* class number, -1 if unknown */
  GQuark label;                 /* 0: the object has no label */
  gint object_id;               /* number of the object's track; -1: it has no track */
  /* 1 + the frame's place in a batch (batch_id); 0: the buffer is one frame */
  guint slot;
  GBytes *shape;                /* owned; what it has beside its box, see yoloshape.h; or NULL */
  guint region;                 /* 1 + the id of its region on the buffer; 0: it is on none yet */
  guint parent;                 /* `region` of the object that it was found in; 0: of none */
  GBytes *classes;              /* owned; what other networks say of it, see yoloclass.h; or NULL */
  YoloMetaState state;          /* of its track, if it has one */
} YoloMetaObject;

/* An array of objects (YoloMetaObject), which lets go of their shapes and classes. */
GArray *yolo_meta_objects_new (void);

/* Appends @n objects, with references of their own to the shapes and classes. */
void yolo_meta_objects_append (GArray *objects, const YoloMetaObject *from, guint n);

/**
 * yolo_meta_add:
 * @buffer: writable
 * @info: size of the frame
 * @unique_id: which inference element found them; written as model id
 *
 * Attaches @n objects to @buffer. A parent that is one of them is found by its `region`, as it
 * was read; any other one must be on the buffer.
 */
void yolo_meta_add (GstBuffer * buffer, const GstVideoInfo * info,
    const YoloMetaObject * objects, guint n, guint unique_id);

/**
 * yolo_meta_read:
 * @objects: (element-type YoloMetaObject): of yolo_meta_objects_new(); cleared, then filled in the
 * order they were attached
 *
 * Reads what yolo_meta_add() or another element of DL Streamer's layout or of GstAnalytics
 * attached, and regions with a label only; an object present as both kinds of
 * meta is given once. What an object has beside its box is what yolo_meta_add() noted of it;
 * where that is nothing, what the region's params or GstAnalytics say.
 */
void yolo_meta_read (GstBuffer * buffer, const GstVideoInfo * info, GArray * objects);

/**
 * yolo_meta_classify:
 * @buffer: writable
 * @objects: (element-type YoloMetaObject): what yolo_meta_read() gives of it
 * @classes: (nullable elements): what is said of each object besides, see yoloclass.h
 *
 * Attaches classes to objects that are on @buffer.
 */
void yolo_meta_classify (GstBuffer * buffer, const GArray * objects, GBytes * const * classes);

/**
 * yolo_meta_set_tracks:
 * @buffer: writable
 * @objects: [n], all that yolo_meta_read() gives of @buffer, with the tracks that they are in now
 * @moved: whether boxes of objects that have a track have changed, too
 *
 * Writes the track of each object, in every layout in which the object is there; one without a
 * number loses what another tracker wrote. A box is moved in its region alone, for GstAnalytics
 * has no way to move an object: there it stays where it was found.
 */
void yolo_meta_set_tracks (GstBuffer * buffer, const GstVideoInfo * info,
    const YoloMetaObject * objects, guint n, gboolean moved);

/* The name that the layouts have for a state, and back; of other names TRACKED. */
const gchar *yolo_meta_state_name (YoloMetaState state);
YoloMetaState yolo_meta_state_of_name (const gchar * name);

/**
 * yolo_meta_origin:
 * @info: what the caps say
 * @x: (out): column of the buffer's pixels where the frame begins
 * @y: (out): row of the buffer's pixels where the frame begins
 *
 * Where in memory the corner of the frame lies that the caps describe. Where
 * they give the size of the GstVideoCropMeta, as GStreamer's videocrop and
 * decoders do it, that is the crop's corner; else 0, 0.
 */
void yolo_meta_origin (GstBuffer * buffer, const GstVideoInfo * info, gint * x, gint * y);

/**
 * yolo_object_round:
 * @width: of the frame, in pixels
 * @height: of the frame, in pixels
 * @box: (out): x, y, w, h in whole pixels: the edges rounded, clipped to the
 * frame, at least one pixel wide and high
 */
void yolo_object_round (const YoloMetaObject * object, gint width, gint height, gint box[4]);

/**
 * yolo_object_clip:
 *
 * Cuts the box of @object, whose numbers are finite, down to the frame, as
 * yolo_meta_add() does; a box outside of the frame becomes one of no size on
 * the border.
 */
void yolo_object_clip (YoloMetaObject * object, gint width, gint height);

/* If the object has a turned box, makes its box the one around that; in pixels of the frame. */
void yolo_object_bound (YoloMetaObject * object, const GstVideoInfo * info);

/* Whether yolo_meta_add() attached objects, be their regions there or not. */
gboolean yolo_meta_has_notes (GstBuffer * buffer);

/* Takes all objects off. */
void yolo_meta_clear (GstBuffer * buffer);

G_END_DECLS

#endif
