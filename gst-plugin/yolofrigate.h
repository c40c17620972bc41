/* SPDX-License-Identifier: MIT */
/* What a camera sees, in Frigate's topics: how many objects of each class there are, in the
 * picture and in zones, and when each comes and goes; announced to Home Assistant if so wanted. */

#ifndef YOLO_FRIGATE_H
#define YOLO_FRIGATE_H

#include "gst-plugin/yolorecord.h"

G_BEGIN_DECLS

typedef struct _YoloFrigate YoloFrigate;

/* Sends a message. @retain: whether the broker keeps it */
typedef void (*YoloFrigateSend) (
    const char *topic, const char *text, gsize size, gboolean retain, gpointer user_data);

/**
 * yolo_frigate_new:
 * @prefix: what all topics begin with
 * @discovery: (nullable): Home Assistant's discovery prefix; NULL: nothing is announced
 * @availability: (nullable): topic that says whether the camera's process is connected
 *
 * Sends PREFIX/CAMERA/CLASS and PREFIX/CAMERA/all, retained, when these numbers change, and the
 * same of zones in place of the camera; and PREFIX/events for objects that have tracks.
 * Called by one thread, as all functions here.
 */
YoloFrigate *yolo_frigate_new (const char *prefix, const char *discovery,
    const char *availability, YoloFrigateSend send, gpointer user_data);

/* @buffer: the frame's, with what yolozones attached */
void yolo_frigate_frame (YoloFrigate *frigate, const YoloRecord *record, GstBuffer *buffer);

/* Lets all objects end, when the stream does. */
void yolo_frigate_end (YoloFrigate *frigate);

/* @frigate: (nullable) */
void yolo_frigate_free (YoloFrigate *frigate);

G_END_DECLS

#endif
