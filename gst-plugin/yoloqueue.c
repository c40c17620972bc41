/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloqueue.h"

/* `lock` guards all fields, and those of the flights that yoloflight.h names. It is the
 * last lock to be taken: nobody is called while it is held, not even to free a buffer,
 * which may call code of the buffer's owner. */
struct _YoloQueue {
  GMutex lock;
  GCond cond;                   /* any of the following changed */
  GQueue flights;               /* YoloFlight: under way, in order */
  GQueue spare;                 /* YoloFlight: cleared, for the next buffers */
  gboolean active;              /* whether the source pad is */
  gboolean flushing;
  gboolean pushing;             /* the task is downstream with a buffer */
  GstFlowReturn flow;           /* how a push ended, until it is returned upstream */
  guint flushes;                /* how many flushes have ended */
  guint flushes_at_pop;         /* how many had, when a flight was last popped */
};

YoloQueue *
yolo_queue_new (void)
{
  YoloQueue *queue = g_new0 (YoloQueue, 1);

  g_mutex_init (&queue->lock);
  g_cond_init (&queue->cond);
  g_queue_init (&queue->flights);
  g_queue_init (&queue->spare);
  queue->flushing = TRUE;
  return queue;
}

void
yolo_queue_free (YoloQueue *queue)
{
  if (queue == NULL)
    return;
  yolo_queue_free_spare (queue);
  g_mutex_clear (&queue->lock);
  g_cond_clear (&queue->cond);
  g_free (queue);
}

/* An empty flight. Called with the lock held. */
static YoloFlight *
take_spare (YoloQueue *queue)
{
  GList *link = g_queue_pop_head_link (&queue->spare);

  return link != NULL ? link->data : yolo_flight_new ();
}

YoloFlight *
yolo_queue_wait_for_room (YoloQueue *queue, guint max, GstFlowReturn *ret)
{
  YoloFlight *flight = NULL;
  gboolean waited = FALSE;

  g_mutex_lock (&queue->lock);
  while (!queue->flushing && queue->flow == GST_FLOW_OK && queue->flights.length >= max) {
    waited = TRUE;
    g_cond_wait (&queue->cond, &queue->lock);
  }
  if (queue->flushing) {
    *ret = GST_FLOW_FLUSHING;
  } else if (queue->flow != GST_FLOW_OK) {
    /* the task drops what is queued behind the push that failed; from here on it
     * pushes again, for a pad may have been linked or a segment begun */
    while ((queue->flights.length > 0 || queue->pushing) && !queue->flushing)
      g_cond_wait (&queue->cond, &queue->lock);
    *ret = queue->flow;
    queue->flow = GST_FLOW_OK;
  } else {
    *ret = GST_FLOW_OK;
    flight = take_spare (queue);
    flight->waited = waited;
  }
  g_mutex_unlock (&queue->lock);
  return flight;
}

void
yolo_queue_push (YoloQueue *queue, YoloFlight *flight)
{
  g_mutex_lock (&queue->lock);
  flight->pending = flight->parts->len;
  flight->done = flight->pending == 0;
  g_queue_push_tail_link (&queue->flights, &flight->link);
  if (flight->done)
    g_cond_broadcast (&queue->cond);
  g_mutex_unlock (&queue->lock);
}

void
yolo_queue_give_back (YoloQueue *queue, YoloFlight *flight)
{
  yolo_flight_clear (flight);
  g_mutex_lock (&queue->lock);
  g_queue_push_tail_link (&queue->spare, &flight->link);
  g_mutex_unlock (&queue->lock);
}

void
yolo_queue_drain (YoloQueue *queue)
{
  g_mutex_lock (&queue->lock);
  while (!queue->flushing && (queue->flights.length > 0 || queue->pushing))
    g_cond_wait (&queue->cond, &queue->lock);
  g_mutex_unlock (&queue->lock);
}

GstFlowReturn
yolo_queue_flow (YoloQueue *queue)
{
  GstFlowReturn flow;

  g_mutex_lock (&queue->lock);
  flow = queue->flow;
  g_mutex_unlock (&queue->lock);
  return flow;
}

void
yolo_queue_finish_part (YoloQueue *queue, YoloFlight *flight, const GError *error)
{
  g_mutex_lock (&queue->lock);
  if (error != NULL && flight->error == NULL)
    flight->error = g_error_copy (error);
  flight->done = --flight->pending == 0;
  if (flight->done)
    g_cond_broadcast (&queue->cond);
  g_mutex_unlock (&queue->lock);
}

YoloFlight *
yolo_queue_pop (YoloQueue *queue, GstFlowReturn *ret)
{
  YoloFlight *flight = NULL;

  g_mutex_lock (&queue->lock);
  while (!queue->flushing
      && (queue->flights.length == 0 || !((YoloFlight *) queue->flights.head->data)->done))
    g_cond_wait (&queue->cond, &queue->lock);
  if (!queue->flushing) {
    flight = g_queue_pop_head_link (&queue->flights)->data;
    *ret = queue->flow;
    queue->flushes_at_pop = queue->flushes;
    queue->pushing = TRUE;
    g_cond_broadcast (&queue->cond);    /* there is room for another one */
  }
  g_mutex_unlock (&queue->lock);
  return flight;
}

void
yolo_queue_popped (YoloQueue *queue, YoloFlight *flight, GstFlowReturn ret)
{
  yolo_flight_clear (flight);
  g_mutex_lock (&queue->lock);
  queue->pushing = FALSE;
  if (queue->flushes == queue->flushes_at_pop)
    queue->flow = ret;
  g_queue_push_tail_link (&queue->spare, &flight->link);
  g_cond_broadcast (&queue->cond);
  g_mutex_unlock (&queue->lock);
}

void
yolo_queue_set_active (YoloQueue *queue, gboolean active)
{
  g_mutex_lock (&queue->lock);
  queue->active = active;
  g_mutex_unlock (&queue->lock);
}

gboolean
yolo_queue_is_active (YoloQueue *queue)
{
  gboolean active;

  g_mutex_lock (&queue->lock);
  active = queue->active;
  g_mutex_unlock (&queue->lock);
  return active;
}

void
yolo_queue_set_flushing (YoloQueue *queue)
{
  g_mutex_lock (&queue->lock);
  queue->flushing = TRUE;
  g_cond_broadcast (&queue->cond);
  g_mutex_unlock (&queue->lock);
}

gboolean
yolo_queue_start (YoloQueue *queue)
{
  gboolean active;

  g_mutex_lock (&queue->lock);
  active = queue->active;
  if (active) {
    queue->flushing = FALSE;
    queue->flushes++;
    queue->flow = GST_FLOW_OK;
  }
  g_mutex_unlock (&queue->lock);
  return active;
}

guint
yolo_queue_clear (YoloQueue *queue)
{
  GQueue dropped;
  guint n = 0;
  GList *link;

  g_mutex_lock (&queue->lock);
  dropped = queue->flights;
  g_queue_init (&queue->flights);
  g_mutex_unlock (&queue->lock);
  for (; (link = g_queue_pop_head_link (&dropped)) != NULL; n++)
    yolo_queue_give_back (queue, link->data);
  return n;
}

void
yolo_queue_free_spare (YoloQueue *queue)
{
  GQueue spare;
  GList *link;

  g_mutex_lock (&queue->lock);
  spare = queue->spare;
  g_queue_init (&queue->spare);
  g_mutex_unlock (&queue->lock);
  while ((link = g_queue_pop_head_link (&spare)) != NULL)
    yolo_flight_free (link->data);
}
