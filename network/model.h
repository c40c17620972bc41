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
  /* hexadecimal: of the file's bytes and, behind them, those of other files that hold its
   * weights */
  char *sha256;
  char *task;                   /* "detect", or another name that yolo_task_find() knows */
  char *description;            /* of the file's metadata; NULL: there is none */
  guint n_classes;
  /* [n_classes] and NULL: names of classes; numbers where the file has no names */
  char **names;
  /* a warning that some classes have no name in the file; NULL: all is well */
  char *names_problem;
  /* bins of a side's distribution (DFL), 16 in most of Ultralytics' models; 1: the network
   * gives distances; 0: it gives no boxes */
  guint reg_max;
  /* The maps that the network ends in, by level and, within a level, by role. */
  guint n_outputs;
  YoloOutput outputs[YOLO_MAX_OUTPUTS];
  YoloHeadForm form;            /* how they are to be read */
  guint stride;                 /* pixels: sides of the input are its multiples */
  /* pixels of the input that the file was made for (imgsz), rounded to the stride */
  guint height, width;
  guint n_convs;
  double macs;                  /* multiply-adds per image at height x width */
  /* the file says itself what runs in 8 bits (QuantizeLinear around convolutions) */
  gboolean quantized;
  gboolean int8;                /* made by yolo_model_to_int8() */
  char *calibration_problem;    /* a warning of its calibration table; NULL: all is well */
  /* What decoding rounds, in an int8 model that runs as its file says; else NULL. */
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
 * @height: of the input in pixels
 * @width: pixels
 *
 * Whether the network can run at this size: both sides are multiples of the stride,
 * at least one stride and at most YOLO_MAX_SIZE. Any thread.
 *
 * Returns: FALSE with @error (SIZE), which names the nearest valid size
 */
gboolean yolo_model_check_size (const YoloModel *model, guint height, guint width, GError **error);

G_END_DECLS

#endif
