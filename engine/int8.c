/* SPDX-License-Identifier: MIT */
/* Where an engine's int8 model comes from. */

#include "engine/engine-private.h"

YoloModel *
yolo_engine_to_int8 (
    YoloModel *model, const char *calibration_file, YoloInt8Kind kind, GError **error)
{
  g_autofree char *beside = yolo_calibration_path (model->path);
  g_autoptr (YoloCalibration) calibration = NULL;

  if (calibration_file == NULL && model->quantized)
    return yolo_model_to_int8 (model, NULL, kind, error);
  if (calibration_file == NULL && !g_file_test (beside, G_FILE_TEST_EXISTS)) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION,
        "precision=int8 needs a calibration table, and "
        "there is no %s. Make one out of any video like those that it will see: gst-launch-1.0 "
        "filesrc location=VIDEO ! "
        "decodebin ! yoloinfer model-file=%s calibrate=%s ! fakesink",
        beside, model->path, beside);
    return NULL;
  }
  calibration =
      yolo_calibration_load (calibration_file != NULL ? calibration_file : beside, model, error);
  return calibration != NULL ? yolo_model_to_int8 (model, calibration, kind, error) : NULL;
}
