/* SPDX-License-Identifier: MIT */
/* What yoloinfer has loaded: the engine with its model, the stream that it has
 * opened there, the names of the classes, and the calibration, if there is one. */

#ifndef YOLO_LOAD_H
#define YOLO_LOAD_H

#include <gst/base/gstbasetransform.h>

#include "engine/engine.h"
#include "gst-plugin/yolocalibrate.h"
#include "gst-plugin/yolosettings.h"

G_BEGIN_DECLS

/* Written by yoloload.c alone, by one thread at a time: the one that changes the
 * element's state, or the streaming thread while no frame is under way. These
 * and the engine, whose callbacks end before anything is freed, read it as it
 * is; any other thread reads what stands under "object lock" with that lock. */
typedef struct {
  /* constant */
  GstBaseTransform *element;    /* posts messages; its object lock is meant by the others */
  YoloSettings *settings;       /* of the element; object lock */
  YoloResultFunc func;          /* what the engine calls back, with the element */

  /* object lock; NULL: nothing is loaded */
  YoloEngine *engine;
  YoloStream *stream;
  GQuark *labels;               /* [model->n_classes] names of the classes */

  GstObject *context;           /* GstCudaContext that the engine runs in; NULL: the device's
                                 * primary one, or the CPU */
  guint device;                 /* as CUDA counts */
  const YoloModel *model;       /* the engine's */
  YoloCalibrate *calibration;   /* NULL: not calibrating */
  gboolean auto_size;
  guint net_width, net_height;  /* pixels, unless auto_size */
} YoloLoad;

void yolo_load_init (YoloLoad *load, GstBaseTransform *element, YoloSettings *settings,
    YoloResultFunc func);

/**
 * yolo_load_start:
 * @context: (nullable): a GstCudaContext to run in; NULL: the device's primary
 * one, if it is CUDA
 *
 * Loads what the settings say; blocks meanwhile, for seconds if nobody else has
 * the engine. On an error, yolo_load_stop() takes away what was loaded until then.
 *
 * Returns: FALSE with @error
 */
gboolean yolo_load_start (YoloLoad *load, GstObject *context, GError **error);

/* Undoes it. No frame is under way. */
void yolo_load_stop (YoloLoad *load);

/**
 * yolo_load_move:
 * @context: (nullable): that of the frames
 *
 * Makes the engine run in the context of the frames, if one is loaded. It was
 * loaded before they were known, since a wrong model is an error of the start; in
 * another context every frame would be copied. No frame is under way.
 *
 * Returns: FALSE with @error, and nothing is loaded any more
 */
gboolean yolo_load_move (YoloLoad *load, GstObject *context, GError **error);

/* Whether frames in the memory of a GPU can be read where they lie. Before the
 * start this depends on what the user wants, then on what the engine runs on.
 * Any thread, without the object lock. */
gboolean yolo_load_reads_device_memory (YoloLoad *load);

/* Other streams' batches do not wait for this one until its next frame. Any
 * thread, without the object lock. */
void yolo_load_set_idle (YoloLoad *load);

/* The setter of class-ids. Names of classes are known once the model is loaded;
 * until then the string waits. One that is wrong then changes nothing, and a
 * warning is posted. Any thread, without the object lock. */
void yolo_load_set_classes (YoloLoad *load, const gchar *string);

/* Hands batch-size and batch-timeout on to the engine, now that the user has set
 * one of them. Any thread, without the object lock. FALSE: none is loaded. */
gboolean yolo_load_set_batching (YoloLoad *load);

G_END_DECLS

#endif
