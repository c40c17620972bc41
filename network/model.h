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

typedef struct _YoloGraph YoloGraph;    /* network/graph.h */

/* Immutable; safe to share between threads. */
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
 * yolo_model_new:
 * @graph: (transfer full): what the reader of a file has built, with at least one output
 * @name: what messages call the model: the file's path
 *
 * Folds batch norms, activations and additions into convolutions, and what the
 * file makes of its input into those that read it: the network's input is grey
 * levels, 0 to 255, in the order R G B.
 *
 * Returns: (transfer full): a model with one reference, or NULL with @error
 * (domain YOLO_NETWORK_ERROR), which does not begin with @name
 */
YoloModel *yolo_model_new (YoloGraph *graph, const char *name, GError **error);
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
