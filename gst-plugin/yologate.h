/* SPDX-License-Identifier: MIT */
/* Frames in which nothing has moved since the last one that the network saw, so that it need not
 * look again. */

#ifndef YOLO_GATE_H
#define YOLO_GATE_H

#include "gst-plugin/yoloflight.h"
#include "gst-plugin/yolosettings.h"

G_BEGIN_DECLS

/* Used by the streaming thread alone. */
typedef struct _YoloGate YoloGate;

/* @element: borrowed, posts a warning where frames cannot be looked at */
YoloGate *yolo_gate_new (GstElement *element);
void yolo_gate_free (YoloGate *gate);

/* Forgets the last frame: whatever comes next has moved. Lets go of the device, too. */
void yolo_gate_reset (YoloGate *gate);

/**
 * yolo_gate_rests:
 * @flight: mapped, with its parts
 * @settings: as they are for this frame
 * @device: number of the GPU that the network runs on, as CUDA counts
 *
 * Whether the frame shows what the last one that was inferred did, and is asked the same. If so,
 * the flight is made one without parts that takes the last detections; else it is what later
 * frames are compared with. Without the property motion-gate nothing is done.
 */
gboolean yolo_gate_rests (YoloGate *gate, YoloFlight *flight, const YoloLiveSettings *settings,
    guint device);

G_END_DECLS

#endif
