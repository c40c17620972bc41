/* SPDX-License-Identifier: MIT */
/* int8 calibration: from frames to a table. Runs on the CPU whatever the
 * network will run on: the table holds ranges, not a device's scales. */

#ifndef YOLO_ENGINE_CALIBRATE_H
#define YOLO_ENGINE_CALIBRATE_H

#include "network/calibration.h"
#include "image/frame.h"

G_BEGIN_DECLS

typedef struct {
  const char *model_file;
  YoloHeadChoice head;          /* of a file with two */
  YoloCalibrationMethod method;
  /* Share of detections that may change: layers leave int8 until it is less. */
  float max_loss;
  float confidence, iou;        /* what counts as a detection, as for a stream */
  guint threads;                /* 0 = all */
} YoloCalibratorConfig;

typedef struct _YoloCalibrator YoloCalibrator;

/**
 * yolo_calibrator_new:
 * @config: copied
 *
 * Loads the model. One thread at a time uses a calibrator.
 *
 * Returns: (transfer full): NULL with @error: the file's (YOLO_NETWORK_ERROR), or
 * that the CPU back end is not built (YOLO_NETWORK_ERROR_DEVICE)
 */
YoloCalibrator *yolo_calibrator_new (const YoloCalibratorConfig *config, GError **error);
void yolo_calibrator_free (YoloCalibrator *calibrator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloCalibrator, yolo_calibrator_free)

const YoloModel *yolo_calibrator_model (const YoloCalibrator *calibrator);
/* How many were added. */
guint yolo_calibrator_frames (const YoloCalibrator *calibrator);

/**
 * yolo_calibrator_add:
 * @frame: in host memory; read before it returns
 * @net_width: input width in pixels, @net_height: height, as for a request
 *
 * Runs the network in fp32 and counts what its maps hold. Blocks for little more
 * than a run of the network.
 *
 * Returns: FALSE with @error: a size that the model does not run at
 * (YOLO_NETWORK_ERROR_SIZE), or no memory
 */
gboolean yolo_calibrator_add (YoloCalibrator *calibrator, const YoloFrame *frame, guint net_width,
    guint net_height, GError **error);

/* @share: of the work that yolo_calibrator_finish() may do; it can end before 1.
 * FALSE: to be interrupted. */
typedef gboolean (*YoloCalibratorProgress) (gpointer data, double share);

/**
 * yolo_calibrator_finish:
 * @progress: asked between runs of the network, or NULL
 * @report: (out) (optional) (transfer full): what was decided, for people
 *
 * Chooses the ranges; measures what each layer alone does to the head's maps in
 * int8, on a part of up to 6 of the frames; runs all layers in int8 on up to 32;
 * takes the layers that lose most for the arithmetic that they save out of int8
 * until the loss is below max_loss. A detection of one is lost in the other when
 * there is nothing of its class with IoU .5 and a confidence of the threshold less
 * .05. All of it is at most 2.75 runs of the network for each frame that was
 * added (as of 12 where there were fewer), counted in runs and not in seconds: the
 * same frames give the same table. Frames can be added before, not after.
 *
 * Interrupted, with 10 frames or more: the table of the decisions so far, and
 * before there are any, of all layers in int8.
 *
 * Returns: (transfer full): the table, or NULL with @error: no frame was
 * added, the maps hold NaN, or nothing but zeros (YOLO_NETWORK_ERROR_FORMAT);
 * G_IO_ERROR_CANCELLED: interrupted with fewer frames
 */
YoloCalibration *yolo_calibrator_finish (YoloCalibrator *calibrator,
    YoloCalibratorProgress progress, gpointer data, char **report, GError **error);

G_END_DECLS

#endif
