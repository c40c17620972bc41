/* SPDX-License-Identifier: MIT */
/* One life of one camera's pipeline: built, started, changed, ended. Changes of state, which may
 * block for as long as a camera or a disk does, are made by threads of a pool; everything else by
 * the main thread. */

#ifndef YOLO_SERVER_RUN_H
#define YOLO_SERVER_RUN_H

#include <gst/gst.h>

#include "pipelines/server/picture.h"
#include "pipelines/server/bitstream.h"
#include "pipelines/server/values.h"

G_BEGIN_DECLS

typedef struct _YoloRun YoloRun;

/* Called by the main thread when a run cannot go on: @reason in words, without secrets; NULL: the
 * file has ended. Not called after yolo_run_stop(). */
typedef void (*YoloRunFunc) (YoloRun *run, const char *reason, gpointer user_data);

/**
 * yolo_run_new:
 * @name: of the camera
 * @values: of the camera, with the defaults
 * @clean: takes frames on which nothing is drawn
 * @drawn: takes frames on which objects are drawn
 * @events: takes what happens on the frames
 * @stream: takes what comes compressed
 * @zones: (nullable): the yolozones of the run before, whose counts go on
 *
 * Builds a pipeline and starts it, without waiting for that.
 *
 * Returns: (transfer full): for yolo_run_stop(), or NULL with @error
 */
YoloRun *yolo_run_new (const char *name, const YoloValues *values, YoloCounts *counts,
    YoloPicture *clean, YoloPicture *drawn, YoloEvents *events, YoloBitstream *stream,
    GstElement *zones, YoloRunFunc func, gpointer user_data, GError **error);

/* (transfer full) (nullable): its yolozones, if it has one, which keeps its counts when the run has
 * ended. */
GstElement *yolo_run_zones (YoloRun *run);

/* Ends and frees a run, without waiting for it. */
void yolo_run_stop (YoloRun *run);

/* Whether its start is over, which loads the model. */
gboolean yolo_run_has_started (YoloRun *run);

/* Sets the properties that can change while it runs, of all keys that are `live`. */
void yolo_run_apply (YoloRun *run, const YoloValues *values);

/* Sets the property that a key is for to its value, or to what it was at the beginning if the key
 * is not set. */
void yolo_run_set_property (GstElement *element, const YoloValues *values, YoloKeyId key);

/* Whether yolozones takes a text of lines and zones. FALSE with @error, which names the place in
 * it. The main thread. */
gboolean yolo_run_check_zones (const char *text, GError **error);

/* How many frames wait in front of the network, and how many on average share a batch. */
void yolo_run_depth (YoloRun *run, guint *queued, double *batch);

/* How many pipelines are there, those that are being ended among them. Any thread. */
guint yolo_run_n_alive (void);

/* Waits until all pipelines have ended, or until so many us have passed. FALSE: some have not. */
gboolean yolo_run_wait (gint64 timeout);

G_END_DECLS

#endif
