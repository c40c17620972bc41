/* SPDX-License-Identifier: MIT */
/* Detections, and what other networks say of them, as DeepStream's object metadata, for its
 * elements downstream (nvtracker, nvdsosd, nvmsgconv). Built against the headers of the installed
 * DeepStream (meson option `deepstream`), whose structures change from version
 * to version; without the option, a stub does nothing. */

#ifndef YOLO_DS_H
#define YOLO_DS_H

#include "gst-plugin/yolometa.h"

G_BEGIN_DECLS

/**
 * yolo_ds_add:
 * @objects: [n], of all frames of the batch; `slot` tells which frame an object is in
 * @parents: (nullable) (element-type YoloMetaObject): what was read from the buffer, among which
 * an object's `parent` is found by its `region`
 * @unique_id: unique_component_id of the objects
 * @inferred: whether the network has run on these frames; FALSE: the objects are those
 * of an earlier one
 *
 * Adds the objects to the frames of the buffer's NvDsBatchMeta, and marks all
 * frames as inferred if @inferred. Takes the batch's lock.
 *
 * Returns: FALSE if there is no such meta, or no DeepStream
 */
gboolean yolo_ds_add (GstBuffer *buffer, const YoloMetaObject *objects, guint n,
    const GArray *parents, guint unique_id, gboolean inferred);

/**
 * yolo_ds_classify:
 * @objects: (element-type YoloMetaObject): what was read from the buffer, of all its frames
 * @classes: (nullable elements): what is said of each object, see yoloclass.h
 *
 * Adds what another network says of objects to theirs in the buffer's NvDsBatchMeta, as
 * NvDsClassifierMeta, one for each network, with one NvDsLabelInfo. Takes the batch's lock.
 */
void yolo_ds_classify (GstBuffer *buffer, const GArray *objects, GBytes *const *classes);

/* A frame of a batch. */
typedef struct {
  guint slot;                   /* as in YoloMetaObject */
  guint source;                 /* which of nvstreammux' pads, that is which camera, it is of */
  GstClockTime pts;
} YoloDsFrame;

/**
 * yolo_ds_frames:
 * @frames: (out): [max]
 *
 * Says which frames a batch holds: the same place may be another camera's in the next batch.
 * Takes the batch's lock.
 *
 * Returns: how many there are, @max at most; 0: the buffer has no such metadata, or there is no
 * DeepStream
 */
guint yolo_ds_frames (GstBuffer *buffer, YoloDsFrame *frames, guint max);

/**
 * yolo_ds_read_tracks:
 * @objects: [n], of all frames of the batch, as they were found
 *
 * Gives the numbers of DeepStream's tracker, cut to 31 bits, to those that have none. Takes the
 * batch's lock.
 */
void yolo_ds_read_tracks (GstBuffer *buffer, YoloMetaObject *objects, guint n);

/**
 * yolo_ds_track:
 * @found: [n], objects of all frames of the batch, as they were found
 * @tracked: [n], the same with their tracks, and boxes that a tracker may have moved
 *
 * Gives their tracks and boxes to the objects of the batch that have the place, class number and
 * box of one that was found, whoever attached them. Takes the batch's lock.
 */
void yolo_ds_track (GstBuffer *buffer, const YoloMetaObject *found, const YoloMetaObject *tracked,
    guint n);

/**
 * yolo_ds_remove:
 * @objects: [n], of all frames of the batch, as they were found
 *
 * Takes the objects of the batch off that have the place, class number and box of one of
 * @objects, whoever attached them. What was found inside of one stays, without a parent. Takes the
 * batch's lock.
 */
void yolo_ds_remove (GstBuffer *buffer, const YoloMetaObject *objects, guint n);

G_END_DECLS

#endif
