/* SPDX-License-Identifier: MIT */
/* inference-region=roi-list: the network of yoloinfer looks at the objects that an earlier element
 * has attached, each a part of the frame, and what it finds is related to them. */

#ifndef YOLO_CROPS_H
#define YOLO_CROPS_H

#include "gst-plugin/yoloflight.h"
#include "gst-plugin/yoloload.h"
#include "gst-plugin/yolosettings.h"
#include "gst-plugin/yolotracks.h"

G_BEGIN_DECLS

/* What is looked at of a frame at most, the first that are attached; so that no metadata of others
 * make more requests of it than memory holds. */
#define YOLO_MAX_CROPS 512

/* Each thread has tracks of its own, so that none waits for the other: the streaming thread knows
 * when the network last looked at one, the task of the source pad what it said. */
typedef struct {
  YoloTracks *asked;            /* streaming thread */
  guint64 n_frames;             /* streaming thread; so many have come */
  YoloTracks *known;            /* task of the source pad */
  GPtrArray *said;              /* GBytes, or NULL, of each object of a frame; of the task, kept */
  GArray *inside;               /* YoloMetaObject, what is inside of one; of the task, kept */
} YoloCrops;

void yolo_crops_init (YoloCrops *crops);
void yolo_crops_clear (YoloCrops *crops);
/* Forgets all tracks, when numbers of other ones may follow. No frame is under way. */
void yolo_crops_reset (YoloCrops *crops);

/* The setter of the property object-class. While the element runs, a wrong string changes nothing,
 * and a warning is posted; before, any string is kept, and the start fails. Called by any thread,
 * without the object lock, which guards @settings. */
void yolo_crops_set_classes (GstElement *element, YoloSettings *settings, const gchar *string);

/**
 * yolo_crops_begin:
 * @info: what the caps say
 *
 * Numbers the flight, and reads the objects on its buffer if it is inferred. Called by the
 * streaming thread.
 */
void yolo_crops_begin (YoloCrops *crops, YoloFlight *flight, const GstVideoInfo *info);

/**
 * yolo_crops_wants:
 * @object: one of flight->given
 *
 * Whether the network can be asked about the object: of a class that is wanted, large enough, with
 * its middle in a roi. Called by the streaming thread.
 */
gboolean yolo_crops_wants (const YoloLiveSettings *settings, const YoloMetaObject *object);

/**
 * yolo_crops_is_due:
 * @object: one of flight->given, which the frame shows
 *
 * Whether the network is to look at the object now, by reclassify-interval. Remembers that it was
 * asked: called by the streaming thread once for each object that is looked at if so.
 */
gboolean yolo_crops_is_due (YoloCrops *crops, const YoloFlight *flight,
    const YoloLiveSettings *settings, const YoloMetaObject *object);

/**
 * yolo_crops_region:
 * @load: the network, of whose input's shape the region is if it classifies
 * @visible: what the network can see of the frame, pixels in memory
 * @region: (out): the object with padding, pixels in memory
 *
 * Returns: FALSE: the frame shows nothing of the object
 */
gboolean yolo_crops_region (const YoloMetaObject *object, const YoloFlight *flight,
    const YoloLiveSettings *settings, const YoloLoad *load, const YoloRegion *visible,
    YoloRegion *region);

/**
 * yolo_crops_complete:
 *
 * Appends to the flight's objects, which are inside of others and merged, what was found inside
 * the track of an object that the network has not looked at this time. Called by the task of the
 * source pad, before the flight's objects are attached.
 */
void yolo_crops_complete (YoloCrops *crops, YoloFlight *flight, const GstVideoInfo *info);

/**
 * yolo_crops_attach:
 * @buffer: (transfer full): the flight's
 *
 * Attaches to the objects on the buffer what a network that classifies says of them, or has said
 * of their track, in DeepStream's metadata too if @nvmm. Called by the task of the source pad,
 * after yolo_crops_complete().
 *
 * Returns: (transfer full): the buffer, which is a copy that shares the pixels where somebody else
 * holds it
 */
GstBuffer *yolo_crops_attach (YoloCrops *crops, YoloFlight *flight, GstBuffer *buffer,
    GQuark model, guint unique_id, gboolean nvmm);

G_END_DECLS

#endif
