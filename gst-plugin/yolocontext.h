/* SPDX-License-Identifier: MIT */
/* The GstCudaContext that an element shares with its neighbours: frames are read
 * without a copy only in the context that they were made in. */

#ifndef YOLO_CONTEXT_H
#define YOLO_CONTEXT_H

#include <gst/base/gstbasetransform.h>

#include "gst-plugin/yolosettings.h"

G_BEGIN_DECLS

typedef struct {
  /* constant */
  GstBaseTransform *element;    /* borrowed; the element's object lock guards what follows */
  const YoloSettings *settings; /* borrowed, of the element */

  GstObject *shared;            /* owned; NULL: no context can be had, or none is wanted */
} YoloContext;

/* The functions take the object lock for a moment; the caller does not hold it. */

void yolo_context_init (
    YoloContext *context, GstBaseTransform *element, const YoloSettings *settings);

/* Forgets the shared context. */
void yolo_context_clear (YoloContext *context);

/* Settles on a context, if the network may run on a GPU, before elements upstream
 * make one: that of a neighbour or of the application, else the device's primary
 * one, which is offered to the others. Called by the thread that changes the
 * element's state, on the way to READY and to PAUSED. */
void yolo_context_settle (YoloContext *context);

/**
 * yolo_context_follow:
 *
 * Takes the context of the element upstream, which may have made one rather than
 * take the one that it was offered. Called by the streaming thread, when caps with
 * CUDA memory come.
 *
 * Returns: (transfer full) (nullable): the context that is shared now
 */
GstObject *yolo_context_follow (YoloContext *context);

/* Returns: (transfer full) (nullable): the shared GstCudaContext. Called by any thread. */
GstObject *yolo_context_get (YoloContext *context);

/* Answers a GST_QUERY_CONTEXT with the shared context. Called by any thread. FALSE:
 * there is no context, or the query asks for another kind. */
gboolean yolo_context_answer (YoloContext *context, GstQuery *query);

G_END_DECLS

#endif
