/* SPDX-License-Identifier: MIT */
/* Calibration of a network by the frames of a stream: which of them are looked
 * at, the thread that makes the table of them, and what is told about it. */

#ifndef YOLO_CALIBRATE_H
#define YOLO_CALIBRATE_H

#include <gst/gst.h>

#include "engine/calibrate.h"
#include "gst-plugin/yoloflight.h"

G_BEGIN_DECLS

typedef struct _YoloCalibrate YoloCalibrate;

/**
 * yolo_calibrate_new:
 * @pad: the sink pad of the element that posts messages; it outlives the result
 * @config: of the network; copied
 * @file: the table to write
 * @frames: how many to look at
 *
 * Returns: (transfer full): NULL with @error
 */
YoloCalibrate *yolo_calibrate_new (GstPad *pad, const YoloCalibratorConfig *config,
    const gchar *file, guint frames, GError **error);
/* Interrupts what is under way: within about a run of the network, the table of the
 * frames so far is written, or an error posted that there were too few. */
void yolo_calibrate_free (YoloCalibrate *calibrate);

/* Streaming thread. Looks at the frames of a buffer, in host memory, if their turn
 * has come: with a known duration they are spread over all of it, else four a
 * second. Starts the thread when there are enough. Posts the progress, once a
 * second or at each 5 %. FALSE: an error was posted. */
gboolean yolo_calibrate_flight (YoloCalibrate *calibrate, const YoloFlight *flight);

/* Streaming thread, when no more frames come: makes the table of those there
 * were, and returns when it is written, has failed or flushing is set. */
void yolo_calibrate_end (YoloCalibrate *calibrate);
void yolo_calibrate_set_flushing (YoloCalibrate *calibrate, gboolean flushing);

G_END_DECLS

#endif
