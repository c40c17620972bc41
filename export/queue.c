/* SPDX-License-Identifier: MIT */
/* Each message is a block of memory of its own, since it outlives its frame and they differ in
 * size; a ring of bytes would take all that it may ever need from the start.
 *
 * With a spool, a thread writes what comes in to the disk, and the consumer reads it from there.
 * While the disk takes nothing, messages stay in memory, and the consumer takes them from there
 * once the spool is empty. Writing goes on when none of these is under way any more: else one
 * that is given back would come behind a newer one on the disk. */

#include "export/queue.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long to leave a disk alone that took nothing. */
#define RETRY (G_USEC_PER_SEC)
/* Messages in one transaction at most, so that the consumer does not wait long for the disk. */
#define BATCH 256

struct _YoloMessageQueue {
  GMutex lock;
  GCond changed;                /* what the writer waits for */
  GQueue waiting;               /* YoloMessage, the oldest first */
  guint64 max_bytes, bytes;     /* of messages in memory, those that were taken included */
  guint64 n_memory;             /* how many these are */
  guint64 n_taken, n_pushed, n_dropped;
  guint64 n_direct;             /* of those taken, how many did not come from the spool */
  gboolean failing, writing, closing;
  guint64 n_batches;            /* that were written to the spool */
  gint64 retry;                 /* when the writer tries again, while it fails; monotonic, us */
  YoloSpool *spool;             /* owned, or NULL */
  GThread *writer;              /* NULL: there is no spool */
  YoloMessageQueueTrouble trouble;
  gpointer user_data;
  int fd;
  /* used by the consumer */
  guint64 done;                 /* id up to which messages are done */
  gboolean unreadable;          /* the spool could not be read when it was last asked */
};

/* With the lock held. @message left the memory of the queue. */
static void
account (YoloMessageQueue *queue, const YoloMessage *message)
{
  queue->bytes -= yolo_message_cost (message);
  queue->n_memory--;
}

static void
drop_oldest (YoloMessageQueue *queue)
{
  YoloMessage *message = g_queue_pop_head (&queue->waiting);

  account (queue, message);
  yolo_message_free (message);
  queue->n_dropped++;
}

guint64
yolo_message_queue_push (YoloMessageQueue *queue, YoloMessage *message)
{
  guint64 before, dropped;
  gboolean direct;

  g_mutex_lock (&queue->lock);
  before = queue->n_dropped;
  g_queue_push_tail (&queue->waiting, message);
  queue->bytes += yolo_message_cost (message);
  queue->n_memory++;
  queue->n_pushed++;
  while (queue->bytes > queue->max_bytes && !g_queue_is_empty (&queue->waiting))
    drop_oldest (queue);
  dropped = queue->n_dropped - before;
  direct = queue->spool == NULL || queue->failing;
  g_cond_signal (&queue->changed);
  g_mutex_unlock (&queue->lock);
  if (direct)
    yolo_message_queue_wake (queue);
  return dropped;
}

int
yolo_message_queue_fd (YoloMessageQueue *queue)
{
  return queue->fd;
}

void
yolo_message_queue_wake (YoloMessageQueue *queue)
{
  /* the counter can be full, and then the descriptor is readable */
  (void) !eventfd_write (queue->fd, 1);
}

void
yolo_message_queue_clear_wake (YoloMessageQueue *queue)
{
  eventfd_t value;

  (void) !eventfd_read (queue->fd, &value);
}

/* Takes up to BATCH messages for the disk; with the lock held. */
static void
steal (YoloMessageQueue *queue, GQueue *batch)
{
  YoloMessage *message;

  while (batch->length < BATCH && (message = g_queue_pop_head (&queue->waiting)) != NULL)
    g_queue_push_tail (batch, message);
  queue->writing = TRUE;
}

/* Notes how writing went, with the lock held; TRUE: it is other than before. */
static gboolean
conclude (YoloMessageQueue *queue, GQueue *batch, gboolean good, guint64 dropped)
{
  const gboolean turned = queue->failing == good;
  YoloMessage *message;

  queue->writing = FALSE;
  queue->failing = !good;
  queue->n_batches += good;
  queue->retry = g_get_monotonic_time () + RETRY;
  queue->n_dropped += dropped;
  if (!good) {
    while ((message = g_queue_pop_tail (batch)) != NULL)
      g_queue_push_head (&queue->waiting, message);
    while (queue->bytes > queue->max_bytes && !g_queue_is_empty (&queue->waiting))
      drop_oldest (queue);
  }
  while ((message = g_queue_pop_head (batch)) != NULL) {
    account (queue, message);
    yolo_message_free (message);
  }
  return turned;
}

/* Waits until there is something to write, and time for it; FALSE: the queue closes and nothing
 * is left to write. With the lock held. */
static gboolean
wait_for_work (YoloMessageQueue *queue)
{
  while (!queue->closing
      && (g_queue_is_empty (&queue->waiting)
          || (queue->failing && (queue->n_direct > 0 || g_get_monotonic_time () < queue->retry)))) {
    if (queue->failing && g_get_monotonic_time () < queue->retry)
      g_cond_wait_until (&queue->changed, &queue->lock, queue->retry);
    else
      g_cond_wait (&queue->changed, &queue->lock);
  }
  return !g_queue_is_empty (&queue->waiting);
}

static gpointer
write_all (gpointer data)
{
  YoloMessageQueue *queue = data;
  GQueue batch = G_QUEUE_INIT;
  gboolean closing = FALSE, good = TRUE;

  g_mutex_lock (&queue->lock);
  while (wait_for_work (queue) && (good || !closing)) {
    g_autoptr (GError) error = NULL;
    guint64 dropped = 0;
    gboolean turned;

    closing = queue->closing;
    steal (queue, &batch);
    g_mutex_unlock (&queue->lock);
    good = yolo_spool_append (queue->spool, &batch, &dropped, &error);
    g_mutex_lock (&queue->lock);
    turned = conclude (queue, &batch, good, dropped);
    g_mutex_unlock (&queue->lock);
    if (turned && queue->trouble)
      queue->trouble (good ? NULL : error->message, queue->user_data);
    yolo_message_queue_wake (queue);
    g_mutex_lock (&queue->lock);
  }
  g_mutex_unlock (&queue->lock);
  return NULL;
}

YoloMessageQueue *
yolo_message_queue_new (guint64 max_bytes, YoloSpool *spool, YoloMessageQueueTrouble trouble,
    gpointer user_data, GError **error)
{
  const int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  YoloMessageQueue *queue;

  if (fd < 0) {
    g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (errno),
        "cannot make an event descriptor: %s", g_strerror (errno));
    yolo_spool_close (spool);
    return NULL;
  }
  queue = g_new0 (YoloMessageQueue, 1);
  g_mutex_init (&queue->lock);
  g_cond_init (&queue->changed);
  g_queue_init (&queue->waiting);
  queue->max_bytes = max_bytes;
  queue->spool = spool;
  queue->trouble = trouble;
  queue->user_data = user_data;
  queue->fd = fd;
  if (spool)
    queue->writer = g_thread_new ("yolo-spool", write_all, queue);
  return queue;
}

/* Whether messages go past the spool: it takes nothing, and there was none in it when it was looked
 * at and @n_batches had been written. With the lock held. */
static gboolean
is_direct (YoloMessageQueue *queue, guint64 n_batches)
{
  return queue->failing && !queue->writing && queue->n_batches == n_batches
      && g_get_monotonic_time () < queue->retry;
}

YoloMessage *
yolo_message_queue_take (YoloMessageQueue *queue)
{
  g_autoptr (GError) error = NULL;
  YoloMessage *message = NULL;
  guint64 n_batches;

  g_mutex_lock (&queue->lock);
  n_batches = queue->n_batches;
  g_mutex_unlock (&queue->lock);
  if (queue->spool)
    message = yolo_spool_next (queue->spool, &error);
  if (queue->trouble && (error != NULL) != queue->unreadable)
    queue->trouble (error ? error->message : NULL, queue->user_data);
  queue->unreadable = error != NULL;

  g_mutex_lock (&queue->lock);
  if (message == NULL && (queue->spool == NULL || is_direct (queue, n_batches))) {
    message = g_queue_pop_head (&queue->waiting);
    queue->n_direct += message != NULL;
  }
  queue->n_taken += message != NULL;
  g_mutex_unlock (&queue->lock);
  return message;
}

void
yolo_message_queue_done (YoloMessageQueue *queue, YoloMessage *message)
{
  g_mutex_lock (&queue->lock);
  queue->n_taken--;
  if (message->id == 0) {
    account (queue, message);
    queue->n_direct--;
    g_cond_signal (&queue->changed);
  }
  g_mutex_unlock (&queue->lock);
  queue->done = MAX (queue->done, message->id);
  yolo_message_free (message);
}

void
yolo_message_queue_settle (YoloMessageQueue *queue)
{
  if (queue->done > 0)
    yolo_spool_acknowledge (queue->spool, queue->done);
  queue->done = 0;
}

void
yolo_message_queue_give_back (YoloMessageQueue *queue, YoloMessage **messages, guint n)
{
  yolo_message_queue_settle (queue);
  if (queue->spool)
    yolo_spool_rewind (queue->spool);
  g_mutex_lock (&queue->lock);
  for (guint i = n; i > 0; i--) {
    queue->n_taken--;
    if (messages[i - 1]->id > 0) {
      yolo_message_free (messages[i - 1]);
    } else {
      queue->n_direct--;
      g_queue_push_head (&queue->waiting, messages[i - 1]);
    }
  }
  g_cond_signal (&queue->changed);
  g_mutex_unlock (&queue->lock);
}

void
yolo_message_queue_level (YoloMessageQueue *queue, YoloMessageQueueLevel *level)
{
  *level = (YoloMessageQueueLevel) { 0 };
  g_mutex_lock (&queue->lock);
  /* With the lock, or a message on its way from memory to the disk would be counted in neither: the
   * writer takes it out of memory, with the lock, once it is in the spool. */
  if (queue->spool)
    yolo_spool_level (queue->spool, &level->n_spool, &level->bytes_spool);
  level->n = queue->n_memory;
  level->bytes = queue->bytes;
  level->n_taken = queue->n_taken;
  level->n_pushed = queue->n_pushed;
  level->n_dropped = queue->n_dropped;
  level->spool_fails = queue->failing;
  g_mutex_unlock (&queue->lock);
}

guint64
yolo_message_queue_free (YoloMessageQueue *queue)
{
  guint64 lost;

  if (queue == NULL)
    return 0;
  if (queue->writer) {
    g_mutex_lock (&queue->lock);
    queue->closing = TRUE;
    g_cond_signal (&queue->changed);
    g_mutex_unlock (&queue->lock);
    g_thread_join (queue->writer);
  }
  lost = queue->waiting.length;
  g_queue_clear_full (&queue->waiting, (GDestroyNotify) yolo_message_free);
  yolo_spool_close (queue->spool);
  close (queue->fd);
  g_mutex_clear (&queue->lock);
  g_cond_clear (&queue->changed);
  g_free (queue);
  return lost;
}
