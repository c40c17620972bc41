/* SPDX-License-Identifier: MIT */
/* Calibration of a network by the frames of a stream: which frames are looked at,
 * the thread that makes a table out of them, and the messages on the bus about it. */

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
 * @config: the network, and how it is calibrated; copied
 * @file: the table to write
 * @frames: how many frames to look at
 *
 * Returns: (transfer full): or NULL with @error
 */
YoloCalibrate *yolo_calibrate_new (GstPad *pad, const YoloCalibratorConfig *config,
    const gchar *file, guint frames, GError **error);
/* Interrupts a calibration that is under way and waits, about as long as the network
 * runs once, until the table of the frames so far is written, or an error is posted
 * that there were too few. NULL does nothing. */
void yolo_calibrate_free (YoloCalibrate *calibrate);

/* Called by the streaming thread. Looks at the frames of a buffer, in host memory,
 * if their turn has come: where the stream's duration is known, the frames that are
 * looked at are spread over all of it, else there are four a second. Starts the
 * thread that makes the table when there are enough. Posts the progress, once a
 * second or at each 5 %. FALSE: an error was posted. */
gboolean yolo_calibrate_flight (YoloCalibrate *calibrate, const YoloFlight *flight);

/* Called by the streaming thread when no more frames come: makes the table out of
 * those that came, and returns when it is written, has failed or flushing is set. */
void yolo_calibrate_end (YoloCalibrate *calibrate);
/* Called by any thread. TRUE: yolo_calibrate_end() does not wait. */
void yolo_calibrate_set_flushing (YoloCalibrate *calibrate, gboolean flushing);

G_END_DECLS

#endif
