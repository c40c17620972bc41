/* SPDX-License-Identifier: MIT */
/* Another model for a yoloinfer that runs: it is loaded beside the one that runs, in a
 * thread of its own, and takes its place between two frames. */

#ifndef YOLO_CHANGE_H
#define YOLO_CHANGE_H

#include "gst-plugin/yoloload.h"

G_BEGIN_DECLS

typedef struct _YoloChange YoloChange;

/* @running: (not owned): what is to be replaced; it outlives the change */
YoloChange *yolo_change_new (YoloLoad *running);
/* It is stopped. NULL does nothing. */
void yolo_change_free (YoloChange *change);

/* From here to yolo_change_stop() a file that is asked for is loaded beside the one that
 * runs. */
void yolo_change_start (YoloChange *change);

/* Begins to load a file. Of several that are asked for while one loads, the last counts. If
 * it cannot be loaded, a warning says why, and what runs stays. Called by any thread, without
 * the object lock. FALSE: the element does not run. */
gboolean yolo_change_ask (YoloChange *change, const gchar *file);

/* Whether a model is loaded and waits. Takes no lock, for each frame asks. Called by the
 * streaming thread. */
gboolean yolo_change_is_ready (YoloChange *change);

/* Puts the model that waits, if there is one, in the place of the one that runs. Called by
 * the streaming thread; no frame is under way. */
void yolo_change_apply (YoloChange *change);

/* Forgets what was asked for; waits for a load to end, since nothing can stop one. */
void yolo_change_stop (YoloChange *change);

G_END_DECLS

#endif
