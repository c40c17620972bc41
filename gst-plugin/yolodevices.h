/* SPDX-License-Identifier: MIT */
/* What yoloinfer says of the devices that run its frames, on the bus and in `stats`. */

#ifndef YOLO_DEVICES_H
#define YOLO_DEVICES_H

#include <gst/gst.h>

#include "engine/engine.h"

G_BEGIN_DECLS

/* What the bus has been told of the devices of one stream. */
typedef struct {
  guint changes;                /* of yolo_stream_changes(), those that have been looked at */
  guint failures[YOLO_MAX_DEVICES];
  gboolean lost[YOLO_MAX_DEVICES];
} YoloDeviceWatch;

/* Begins to watch a stream: of what has failed before, only devices that do not serve are told. */
void yolo_device_watch_begin (YoloDeviceWatch *watch, YoloStream *stream);

/**
 * yolo_device_watch_look:
 *
 * Posts a warning for each device that has failed since the last look, and an info for each that
 * serves again. Cheap where nothing has changed. Called between frames, by one thread at a time,
 * without the object lock.
 */
void yolo_device_watch_look (YoloDeviceWatch *watch, GstElement *element, YoloStream *stream);

/**
 * yolo_devices_add_stats:
 * @structure: gets `replicas`, an array of structures `yoloinfer-replica`: device (string), serves
 * (boolean), failures (guint), failure (string, if there was one), frames, batches (guint64),
 * utilisation (double, 0 to 1) and, of each batch size that has run, batch-time-N in nanoseconds;
 * of a network in pieces also `stages`, an array of structures `yoloinfer-stage`: device (string),
 * first-operation and operations (guint), batches, frames and bytes-on, what it has handed on
 * (guint64), and frame-time and pass-time, nanoseconds of a frame (guint64)
 */
void yolo_devices_add_stats (GstStructure *structure, YoloStream *stream);

G_END_DECLS

#endif
