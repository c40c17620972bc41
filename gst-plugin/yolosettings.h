/* SPDX-License-Identifier: MIT */
/* What the properties of yoloinfer say, and what those that are strings mean for a model. */

#ifndef YOLO_SETTINGS_H
#define YOLO_SETTINGS_H

#include <gst/video/video.h>

#include "engine/calibrate.h"
#include "engine/engine.h"
#include "gst-plugin/yoloregions.h"

G_BEGIN_DECLS

/* What the network looks at. */
typedef enum {
  YOLO_INFERENCE_FRAME,
  YOLO_INFERENCE_OBJECTS,       /* that an earlier element has attached */
} YoloInferenceRegion;

/* What may change while playing; copied for each frame. */
typedef struct {
  gdouble confidence, iou;
  guint max_detections;
  gboolean agnostic, multi_label;
  GBytes *classes;              /* owned; [n_classes] 0 or 1, or NULL for all */
  guint interval;
  gboolean repeat;
  gboolean motion_gate;
  guint motion_threshold;       /* levels of 255 */
  guint64 motion_max_rest;      /* ns; 0: for ever */
  GArray *areas;                /* a reference; YoloArea, not written to any more; or NULL */
  YoloTiling tiling;
  gdouble tile_overlap;
  GArray *object_labels;        /* a reference; GQuark, not written to any more; NULL: all */
  gdouble object_padding;       /* share of the object's size, on each side */
  guint object_min_size;        /* pixels */
  guint reclassify_interval;    /* frames; 0: once a track */
  GstVideoOrientationMethod orientation;
} YoloLiveSettings;

/* What the properties say. The strings are owned. */
typedef struct {
  gchar *model_file, *label_file, *input_size, *class_ids, *roi, *tiles, *engine_id;
  gchar *object_class;
  YoloInferenceRegion inference_region;
  gchar *calibration_file, *calibrate, *device;
  YoloPrecision precision;
  YoloHeadChoice head;
  YoloCalibrationMethod calibration_method;
  guint calibration_frames;
  gdouble max_loss;
  guint cuda_device_id, threads, unique_id, batch_size, max_in_flight;
  guint64 batch_timeout;        /* ns */
  gdouble weight, min_rate;     /* the share of the engine; frames a second, 0: none */
  gboolean batching_set, cuda_device_set;       /* the user has set them */
  gboolean started;             /* from the element's start to its stop */
  /* classes, areas, tiling and object_labels are what class_ids, roi, tiles and object_class
   * say */
  YoloLiveSettings live;
} YoloSettings;

/* A copy with references of its own, for yolo_live_settings_clear(). */
YoloLiveSettings yolo_live_settings_copy (const YoloLiveSettings *live);
void yolo_live_settings_clear (YoloLiveSettings *live);

/* Whether a calibration table is to be made. */
gboolean yolo_settings_is_calibrating (const YoloSettings *settings);
/* What the network is to run on, as yolo_devices_parse() reads it; borrowed. While calibrating
 * this is the CPU, for calibration looks at frames in host memory. */
const gchar *yolo_settings_device (const YoloSettings *settings);
/* Number of the one CUDA device that the user wants, by `device` or cuda-device-id; -1: that of
 * the neighbours' context, or the first device. */
gint yolo_settings_cuda_device (const YoloSettings *settings);

/* The enumerations that properties have: GstYoloInferHead, GstYoloInferPrecision,
 * GstYoloInferCalibrationMethod, GstYoloInferInferenceRegion. */
GType yolo_settings_head_type (void);
GType yolo_settings_inference_region_type (void);
GType yolo_settings_precision_type (void);
GType yolo_settings_calibration_method_type (void);

/**
 * yolo_settings_parse_labels:
 * @string: (nullable): names, as CSV
 * @labels: (out) (transfer full): an array of GQuark, or NULL, since @string is NULL or ""
 *
 * Returns: FALSE with @error: a quote is not closed
 */
gboolean yolo_settings_parse_labels (const gchar *string, GArray **labels, GError **error);

/**
 * yolo_settings_parse_parts:
 *
 * Reads roi, tiles and object-class, which do not depend on the model, into the live settings.
 * Called with the lock that guards @settings.
 *
 * Returns: FALSE with @error: one of them makes no sense
 */
gboolean yolo_settings_parse_parts (YoloSettings *settings, GError **error);

/* Reads "N" or "WxH", in pixels; NULL and "" are the model's own size. A size that the
 * model does not run at is an error. */
gboolean yolo_settings_parse_size (
    const gchar *string, const YoloModel *model, guint *width, guint *height, GError **error);

/**
 * yolo_settings_next_class:
 * @at: (inout): where the class begins; comes to stand on the comma behind it, or the end
 * @name: (out): without its quotes
 * @quoted: (out): whether it stood in quotes, so that digits are a name
 *
 * Reads the next class of a list in CSV, RFC 4180: a name that has a comma or begins with a quote
 * stands in quotes, with quotes inside doubled.
 *
 * Returns: FALSE: a quote is not closed, or something else than a comma follows it
 */
gboolean yolo_settings_next_class (const gchar **at, GString *name, gboolean *quoted);

/**
 * yolo_settings_parse_classes:
 * @string: (nullable): numbers or names, "0,person", as CSV: a name that has a comma,
 * begins with a quote or is a number stands in quotes, "\"person, walking\",7",
 * or is all of @string
 * @model: says how many classes there are
 * @labels: [n_classes] names of the classes
 * @classes: (out) (transfer full): [n_classes] 1: the class is wanted, 0: it is not;
 * NULL: all are, since @string is NULL or ""
 * @error: names the part of @string that is no class
 */
gboolean yolo_settings_parse_classes (const gchar *string, const YoloModel *model,
    const GQuark *labels, GBytes **classes, GError **error);

/**
 * yolo_settings_load_labels:
 * @element: posts a warning if there are more names than the model has classes, or fewer
 * @file: (nullable): one name a line, UTF-8; NULL or "": the model's own names
 *
 * Returns: (transfer full): [n_classes], or NULL with @error; a class for which the
 * file has no name is named by its number
 */
GQuark *yolo_settings_load_labels (
    GstElement *element, const gchar *file, const YoloModel *model, GError **error);

G_END_DECLS

#endif
