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
  YOLO_CALIBRATION_MIN_MAX,     /* from the least to the greatest number that was seen */
} YoloCalibrationMethod;

const char *yolo_calibration_method_name (YoloCalibrationMethod method);        /* "mse" */

/* What the table says of one layer of the network after the passes, yolo_model_layer(). */
typedef struct {
  gboolean known;               /* the table has a range for the layer */
  float low, high;              /* of the numbers that the layer puts out; low <= 0 <= high */
  gboolean int8;                /* the layer is a convolution that runs in int8 */
  /* For people to read; 0 in tables of nothing but ranges: the share of the head's signal
   * that becomes error when this layer alone is in int8, and how many millions of
   * multiply-adds in fp32 take the time that int8 saves (milliseconds in tables of version
   * 0.2 and older). */
  float error, saved;
} YoloLayerCalibration;

typedef struct {
  char *sha256;                 /* of the model, as in YoloModel */
  YoloCalibrationMethod method;
  guint frames;                 /* frames that calibration has run the network on */
  guint height, width;          /* of the network's input while it was calibrated, in pixels */
  guint detections;             /* found in fp32 in the frames that the loss was measured on */
  /* share of these that change in int8: the most that was asked for, and what was measured */
  float max_loss, loss;
  /* calibration was interrupted before all was measured; FALSE in a table that was read */
  gboolean interrupted;
  guint n_layers;
  YoloLayerCalibration *layers;
  /* owned: a warning of a range that is hardly right; NULL: there is none */
  char *problem;
} YoloCalibration;

/* (transfer full): a table without ranges, with the hash and the number of layers of the
 * model. */
YoloCalibration *yolo_calibration_new (const YoloModel *model);
void yolo_calibration_free (YoloCalibration *calibration);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloCalibration, yolo_calibration_free)

/* Whether a table could be written to @path: its folder takes files, and what would be
 * replaced is a regular file. Errors are YOLO_NETWORK_ERROR_FILE. */
gboolean yolo_calibration_check_path (const char *path, GError **error);

/**
 * yolo_calibration_save:
 * @calibration: a table of @model
 * @model: names the layers in the table
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
 * Returns: (transfer full): the table, or NULL with @error. That is FILE, or FORMAT
 * naming the line where the table is another model's, cut short or of an unknown
 * version, a number is not decimal, not finite or denormal, or a range is none
 */
YoloCalibration *yolo_calibration_load (const char *path, const YoloModel *model, GError **error);

/* Reads a table from a text of @size bytes; @name stands for the path in messages. */
YoloCalibration *yolo_calibration_parse (
    const char *text, gsize size, const char *name, const YoloModel *model, GError **error);

/* (transfer full): "yolov8n.int8" for "yolov8n.onnx". */
char *yolo_calibration_path (const char *model_path);

G_END_DECLS

#endif
