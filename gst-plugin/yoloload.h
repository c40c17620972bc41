/* SPDX-License-Identifier: MIT */
/* What yoloinfer has loaded: the engine with its model, the stream that it has
 * opened there, the names of the classes, and the calibration, if there is one. */

#ifndef YOLO_LOAD_H
#define YOLO_LOAD_H

#include <gst/base/gstbasetransform.h>

#include "engine/engine.h"
#include "gst-plugin/yolocalibrate.h"
#include "gst-plugin/yolodevices.h"
#include "gst-plugin/yolosettings.h"

G_BEGIN_DECLS

/* Written by yoloload.c alone, by one thread at a time: the one that changes the
 * element's state, or the streaming thread while no frame is under way. These two
 * threads and the engine's, whose callbacks end before anything is freed, read the
 * fields without a lock; any other thread holds the element's object lock and reads
 * only what stands under "object lock". */
typedef struct {
  /* constant */
  GstBaseTransform *element;    /* borrowed; posts messages */
  YoloSettings *settings;       /* borrowed, of the element; object lock */
  YoloResultFunc func;          /* what the engine calls back, with the element */

  /* object lock; NULL: nothing is loaded */
  gchar *file;                  /* owned; what was asked for */
  YoloEngine *engine;
  YoloStream *stream;
  GQuark *labels;               /* [model->n_classes] names of the classes */
  GstObject *context;           /* owned; GstCudaContext that the network runs in; NULL: the
                                 * device's primary one, or the CPU */

  guint device;                 /* number of the GPU, as CUDA counts */
  const YoloModel *model;       /* owned by the engine */
  GQuark model_name;            /* the file's, without folder and ending */
  YoloCalibrate *calibration;   /* owned; NULL: not calibrating */
  gboolean auto_size;           /* the network's size follows that of each frame */
  guint net_width, net_height;  /* pixels, unless auto_size */
  YoloDeviceWatch watch;        /* the task of the source pad's, from the opening of `stream` on */
} YoloLoad;

void yolo_load_init (YoloLoad *load, GstBaseTransform *element, YoloSettings *settings,
    YoloResultFunc func);

/**
 * yolo_load_start:
 * @file: (nullable): the model's; NULL: what the settings say
 * @context: (nullable): a GstCudaContext to run in; NULL: the device's primary
 * one, if it is CUDA
 *
 * Loads what the settings say; blocks meanwhile, for seconds if nobody else has
 * the engine. On an error, yolo_load_stop() takes away what was loaded until then.
 *
 * Returns: FALSE with @error
 */
gboolean yolo_load_start (
    YoloLoad *load, const gchar *file, GstObject *context, GError **error);

/* Lets the frames to come be of the classes that the settings want, by the names of the model
 * that is loaded. Called between two frames. */
void yolo_load_use_classes (YoloLoad *load);

/* Stops what is loaded and takes over all that @next has loaded; its file becomes the
 * setting model-file. Called by the streaming thread; no frame is under way. */
void yolo_load_replace (YoloLoad *load, const YoloLoad *next);

/* (transfer full) (nullable): the context that the network runs in. Called by any thread,
 * without the object lock. */
GstObject *yolo_load_ref_context (YoloLoad *load);

/* Undoes yolo_load_start(), whether or not it has failed. No frame is under way. */
void yolo_load_stop (YoloLoad *load);

/**
 * yolo_load_move:
 * @context: (nullable): the GstCudaContext of the frames; NULL: as in yolo_load_start()
 *
 * Makes the network, if one is loaded, run in the context of the frames. It was loaded
 * before the frames were known, so that a wrong model fails the start; in another
 * context every frame would be copied. The engine stays the same as long as the device
 * does. Called by the streaming thread; no frame is under way.
 *
 * Returns: FALSE with @error, and nothing is loaded any more
 */
gboolean yolo_load_move (YoloLoad *load, GstObject *context, GError **error);

/* Whether frames in the memory of a GPU can be read where they lie. Before the
 * start this depends on what the user wants, then on what the engine runs on.
 * Called by any thread, without the object lock. */
gboolean yolo_load_reads_device_memory (YoloLoad *load);

/* Lets the batches of other streams not wait for this stream until its next frame.
 * Called by any thread, without the object lock. */
void yolo_load_set_idle (YoloLoad *load);

/* The setter of the property class-ids. Until the model is loaded, which knows the
 * names of the classes, the string is kept as it is. From then on a wrong string
 * changes nothing, and a warning is posted. Called by any thread, without the object
 * lock. */
void yolo_load_set_classes (YoloLoad *load, const gchar *string);

/* Hands batch-size and batch-timeout on to the engine, now that the user has set
 * one of them. Called by any thread, without the object lock. FALSE: no engine is
 * loaded. */
gboolean yolo_load_set_batching (YoloLoad *load);

/* Hands weight and min-rate on to the engine, if one is loaded. Called by any thread, without the
 * object lock. */
void yolo_load_set_share (YoloLoad *load);

G_END_DECLS

#endif
