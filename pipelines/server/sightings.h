/* SPDX-License-Identifier: MIT */
/* What happens on the frames of one pipeline, as events: what yolozones has found, and objects
 * that come and go. One streaming thread at a time calls yolo_sightings_look() and
 * yolo_sightings_picture(). */

#ifndef YOLO_SERVER_SIGHTINGS_H
#define YOLO_SERVER_SIGHTINGS_H

#include <gst/gst.h>

#include "pipelines/server/events.h"
#include "pipelines/server/bitstream.h"
#include "pipelines/server/values.h"

G_BEGIN_DECLS

typedef struct _YoloSightings YoloSightings;

/* @values: of the camera. @stream: its video, clips of which are kept with events */
YoloSightings *yolo_sightings_new (
    const char *camera, const YoloValues *values, YoloEvents *events, YoloBitstream *stream);
void yolo_sightings_free (YoloSightings *sightings);

/* Whether the settings of a camera want events of a kind. */
gboolean yolo_sightings_wants (const YoloValues *values, const char *kind);

/* A frame has left the network, the tracker and yolozones. Returns whether it shows an event. */
gboolean yolo_sightings_look (YoloSightings *sightings, GstBuffer *buffer);

/* The number of the picture that the frame which was looked at last is to become, or 0: nothing has
 * happened on it. */
gint64 yolo_sightings_picture (const YoloSightings *sightings);

/* The picture of that number. Any thread. */
void yolo_sightings_add_picture (YoloSightings *sightings, gint64 id, GBytes *jpeg);

G_END_DECLS

#endif
