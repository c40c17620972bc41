/* SPDX-License-Identifier: MIT */
/* The buffers in flight through yoloinfer, in the order they came.
 *
 *   streaming thread          engine's threads    task of the source pad
 *   wait_for_room, push  -->  finish_part    -->  pop, popped
 *
 * A finished buffer leaves as soon as those before it have, and never waits for
 * the next one to come. The result of a push downstream is kept for the next
 * buffer that comes; what was queued behind a failed push is dropped.
 *
 * Serialised events and queries keep their place between the buffers, for the
 * streaming thread drains the queue before it hands them on. */

#ifndef YOLO_QUEUE_H
#define YOLO_QUEUE_H

#include "gst-plugin/yoloflight.h"

G_BEGIN_DECLS

/* The titles below say which thread calls a function; any may call those for start,
 * flush and stop. A function waits only where its comment says so. Callers hold no
 * lock that a callback of the engine takes. */
typedef struct _YoloQueue YoloQueue;

/* The new queue is flushing, and its source pad inactive. */
YoloQueue *yolo_queue_new (void);
/* No flight may be under way. NULL does nothing. */
void yolo_queue_free (YoloQueue *queue);

/* The streaming thread: */

/**
 * yolo_queue_wait_for_room:
 * @max: how many flights may be under way
 * @ret: (out): GST_FLOW_FLUSHING, or how a push downstream has ended; that a push
 * has failed is said once
 *
 * Waits while @max flights are under way, and, after a push that has failed, until
 * all that were queued behind it are dropped. The flight says whether it has waited.
 *
 * Returns: a flight to fill, for yolo_queue_push() or yolo_queue_give_back(); NULL if
 * @ret is not GST_FLOW_OK
 */
YoloFlight *yolo_queue_wait_for_room (YoloQueue *queue, guint max, GstFlowReturn *ret);

/* Appends the flight, which is done when all of its parts are answered. From here on
 * a flight without parts can be gone at any time, and one with parts from when the
 * last of them is submitted. */
void yolo_queue_push (YoloQueue *queue, YoloFlight *flight);

/* Takes a flight back that is not to be pushed. */
void yolo_queue_give_back (YoloQueue *queue, YoloFlight *flight);

/* Waits until all flights have left downstream, or the queue is flushing. */
void yolo_queue_drain (YoloQueue *queue);

/* How the last push downstream has ended, if nobody has been told yet. */
GstFlowReturn yolo_queue_flow (YoloQueue *queue);

/* The engine's threads: */

/* Notes that a part of the flight is answered. @error: (nullable): copied */
void yolo_queue_finish_part (YoloQueue *queue, YoloFlight *flight, const GError *error);

/* The task of the source pad: */

/**
 * yolo_queue_pop:
 * @ret: (out): if it is not GST_FLOW_OK, an earlier push has failed, and the buffer
 * is to be dropped
 *
 * Waits until the oldest flight is done.
 *
 * Returns: the oldest flight, for yolo_queue_popped(); NULL if the queue is flushing
 */
YoloFlight *yolo_queue_pop (YoloQueue *queue, GstFlowReturn *ret);

/* Takes the flight back after its buffer was pushed. @ret: how the push has ended;
 * it is ignored if a seek in the same thread has flushed the queue from within the
 * push, and so made a new start. */
void yolo_queue_popped (YoloQueue *queue, YoloFlight *flight, GstFlowReturn ret);

/* Start, flush, stop: */

/* Whether the source pad is active. */
void yolo_queue_set_active (YoloQueue *queue, gboolean active);
gboolean yolo_queue_is_active (YoloQueue *queue);

/* Whoever waits returns, and nobody waits until yolo_queue_start(). */
void yolo_queue_set_flushing (YoloQueue *queue);

/* Ends flushing, if the source pad is active; FALSE: it is not. */
gboolean yolo_queue_start (YoloQueue *queue);

/* Drops all flights that are under way and returns how many. Neither the streaming
 * thread nor the task may be in the queue, and the engine must have answered. */
guint yolo_queue_clear (YoloQueue *queue);

/* Frees the flights that are kept for the next buffers. */
void yolo_queue_free_spare (YoloQueue *queue);

G_END_DECLS

#endif
