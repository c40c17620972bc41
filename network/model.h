/* SPDX-License-Identifier: MIT */
/* A YOLO model as data: what the file says of itself, and its layers after the passes. */

#ifndef YOLO_NETWORK_MODEL_H
#define YOLO_NETWORK_MODEL_H

#include <glib.h>

#include "base/error.h"
#include "base/output.h"
#include "base/type.h"
#include "network/conv.h"

G_BEGIN_DECLS

/* Immutable once loaded; safe to share between threads. */
typedef struct _YoloModel YoloModel;
struct _YoloModel {
  char *path;
  /* of the file and, behind it, of other files that hold its weights; hexadecimal */
  char *sha256;
  char *task;                   /* "detect" */
  char *description;            /* of the metadata, or NULL */
  guint n_classes;
  /* n_classes strings and NULL; numbers where the file has no names */
  char **names;
  /* why some classes have no name of the file's, to warn with; NULL: all is well */
  char *names_problem;
  guint reg_max;                /* bins of the box distribution (DFL), 16 in all of Ultralytics' */
  /* The maps that the network ends in, by level and, within a level, by role. */
  guint n_outputs;
  YoloOutput outputs[YOLO_MAX_OUTPUTS];
  guint stride;                 /* the largest: input sizes are its multiples */
  guint height, width;          /* of the file (imgsz), in pixels */
  guint n_convs;
  double macs;                  /* multiply-adds per image at height x width */
  /* the file says itself what runs in 8 bits (QuantizeLinear around convolutions) */
  gboolean quantized;
  gboolean int8;                /* made by yolo_model_to_int8() */
  char *calibration_problem;    /* of its table, to warn with; NULL: all is well */
  /* Of an int8 model that runs as its file says, and decodes so; NULL elsewhere. */
  const YoloBoxRounding *box_rounding;
};

/**
 * yolo_model_load:
 * @path: an .onnx file of the YOLOv8 detect family
 *
 * Reads and checks the file, and those in its folder or below that hold weights
 * of it (external data; symbolic links are not followed), folds constants and batch norms,
 * recognises the head and cuts the graph at its per-level maps. Weights are scaled so that the
 * network's input is grey levels, 0 to 255, in the order R G B: the division by 255, or what else
 * the file makes of its input (network/onnx/image.h), is folded into the convolutions that read it.
 *
 * Returns: (transfer full): a model with one reference, or NULL with @error
 * (domain YOLO_NETWORK_ERROR) naming the file, the node and what to do
 */
YoloModel *yolo_model_load (const char *path, GError **error);
/* A model in memory: it has no folder, and so no external data. */
YoloModel *yolo_model_load_bytes (const void *data, gsize size, const char *name, GError **error);
YoloModel *yolo_model_ref (YoloModel *model);
void yolo_model_unref (YoloModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloModel, yolo_model_unref)

/**
 * yolo_model_check_size:
 *
 * Whether the network can run at height x width: multiples of the stride, at
 * least one stride, at most 8192. The error names the nearest valid size.
 */
gboolean yolo_model_check_size (const YoloModel *model, guint height, guint width, GError **error);

G_END_DECLS

#endif
