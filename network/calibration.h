/* SPDX-License-Identifier: MIT */
/* The calibration table: what a model's numbers range over, and which of its
 * layers bear 8 bits. A text beside the model that every device can use. */

#ifndef YOLO_NETWORK_CALIBRATION_H
#define YOLO_NETWORK_CALIBRATION_H

#include "network/model.h"

G_BEGIN_DECLS

typedef enum {
  YOLO_CALIBRATION_MSE,         /* the range with the least squared error of the rounded numbers */
  YOLO_CALIBRATION_PERCENTILE,  /* leaves out one number in ten thousand at each end */
  YOLO_CALIBRATION_MIN_MAX,     /* all that was seen */
} YoloCalibrationMethod;

const char *yolo_calibration_method_name (YoloCalibrationMethod method);        /* "mse" */

/* One layer of the network after the passes, yolo_model_layer(). */
typedef struct {
  gboolean known;               /* it has a range */
  float low, high;              /* of what it puts out; low <= 0 <= high */
  gboolean int8;                /* of convolutions: run in int8 */
  /* For people, 0 in tables that are not measured: share of the head's signal that
   * becomes error when this layer alone is in int8, and millions of multiply-adds in
   * fp32 whose time int8 saves (milliseconds in tables of 0.2 and before). */
  float error, saved;
} YoloLayerCalibration;

typedef struct {
  char *sha256;                 /* of the model's file */
  YoloCalibrationMethod method;
  guint frames;                 /* that were looked at */
  guint height, width;          /* of the network's input then */
  guint detections;             /* in fp32, in those that the loss was measured on */
  float max_loss, loss;         /* share of detections changed: asked for, measured */
  gboolean interrupted;         /* before all was measured; not read from a table */
  guint n_layers;
  YoloLayerCalibration *layers;
  char *problem;                /* a range of the file that is hardly right, to warn of; or NULL */
} YoloCalibration;

/* (transfer full): empty, of the model's hash and number of layers. */
YoloCalibration *yolo_calibration_new (const YoloModel *model);
void yolo_calibration_free (YoloCalibration *calibration);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloCalibration, yolo_calibration_free)

/* Whether a table could be written there: a folder that takes files, and what is
 * replaced is a regular file. Error: FILE. */
gboolean yolo_calibration_check_path (const char *path, GError **error);

/**
 * yolo_calibration_save:
 * @model: that it was made of, for the layers' names
 * @path: replaced if it is there
 *
 * Writes the table, whole or not at all. Errors are YOLO_NETWORK_ERROR_FILE.
 */
gboolean yolo_calibration_save (
    const YoloCalibration *calibration, const YoloModel *model, const char *path, GError **error);

/**
 * yolo_calibration_load:
 * @path: a table
 * @model: the model that it must be of
 *
 * Returns: (transfer full): the table, or NULL with @error: FILE, or FORMAT
 * naming the line: another model's, truncated, of an unknown version, with
 * numbers that are not decimal, not finite or denormal, with ranges that are none
 */
YoloCalibration *yolo_calibration_load (const char *path, const YoloModel *model, GError **error);

/* The same from text of @size bytes; @name is for messages. */
YoloCalibration *yolo_calibration_parse (
    const char *text, gsize size, const char *name, const YoloModel *model, GError **error);

/* "yolov8n.int8" for "yolov8n.onnx". (transfer full) */
char *yolo_calibration_path (const char *model_path);

G_END_DECLS

#endif
