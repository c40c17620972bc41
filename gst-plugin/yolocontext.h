/* SPDX-License-Identifier: MIT */
/* The GstCudaContext that an element shares with its neighbours: frames are read
 * without a copy only in the context that they were made in. */

#ifndef YOLO_CONTEXT_H
#define YOLO_CONTEXT_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

typedef struct {
  GstBaseTransform *element;    /* that it is a part of */
  GstObject *shared;            /* owned; the element's object lock; NULL: there is none to be had,
                                 * or none is wanted */
} YoloContext;

/* The functions take the object lock for a moment; the caller does not hold it.
 * @device_id: the CUDA device that the user wants; -1: that of the neighbours */

void yolo_context_init (YoloContext *context, GstBaseTransform *element);

/* Forgets the shared context. */
void yolo_context_clear (YoloContext *context);

/**
 * yolo_context_settle:
 * @wanted: whether the network may run on a GPU
 *
 * Settles on a context before those upstream make one: that of a neighbour or of
 * the application, else the device's primary one, which is offered to them. Called
 * by the thread that changes the element's state, on the way to READY and to PAUSED.
 */
void yolo_context_settle (YoloContext *context, gboolean wanted, gint device_id);

/**
 * yolo_context_follow:
 *
 * Takes the context of whoever is upstream, who need not have taken what he was
 * offered. Called by the streaming thread, when caps with CUDA memory come.
 *
 * Returns: (transfer full) (nullable): the context that is shared now
 */
GstObject *yolo_context_follow (YoloContext *context, gint device_id);

/* (transfer full) (nullable): the GstCudaContext. Any thread. */
GstObject *yolo_context_get (YoloContext *context);

/* Whether it has answered a GST_QUERY_CONTEXT. Any thread. */
gboolean yolo_context_answer (YoloContext *context, GstQuery *query);

G_END_DECLS

#endif
