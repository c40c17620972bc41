/* SPDX-License-Identifier: MIT */
/* Messages that wait for a broker: bounded in bytes, the oldest dropped and counted when it is
 * full; kept on the disk too, where there is a spool.
 *
 * Any thread may put messages in, and never waits for a disk or a network. One other thread, the
 * consumer, takes them out. A message that was taken stays the queue's concern until it is
 * done or given back. */

#ifndef YOLO_EXPORT_QUEUE_H
#define YOLO_EXPORT_QUEUE_H

#include "export/message.h"
#include "export/spool.h"

G_BEGIN_DECLS

typedef struct _YoloMessageQueue YoloMessageQueue;

typedef struct {
  guint64 n, bytes;             /* messages in memory, those that were taken included */
  guint64 n_spool, bytes_spool; /* messages on the disk, those that were taken included */
  guint64 n_taken;              /* messages that were taken and are neither done nor given back */
  guint64 n_pushed, n_dropped;  /* since the start */
  gboolean spool_fails;         /* the disk takes nothing: new messages stay in memory */
} YoloMessageQueueLevel;

/* Called without a lock, by a thread of the queue's when the disk stops taking messages, with the
 * reason, and with NULL when it takes them again; by the consumer when those on the disk cannot be
 * read any more, and when they can again. */
typedef void (*YoloMessageQueueTrouble) (const char *reason, gpointer user_data);

/**
 * yolo_message_queue_new:
 * @max_bytes: of the messages in memory
 * @spool: (transfer full) (nullable): where all messages are kept until they are done
 * @trouble: (nullable): what to call
 *
 * Returns: (transfer full): or NULL with @error where the system gives no event descriptor
 */
YoloMessageQueue *yolo_message_queue_new (guint64 max_bytes, YoloSpool *spool,
    YoloMessageQueueTrouble trouble, gpointer user_data, GError **error);

/* @message: (transfer full): put behind all others. Returns how many were dropped for it; it is
 * one of these itself if it alone is more than the queue holds. */
guint64 yolo_message_queue_push (YoloMessageQueue *queue, YoloMessage *message);

/* A descriptor that poll() says can be read where the consumer should look at the queue again. */
int yolo_message_queue_fd (YoloMessageQueue *queue);

/* Makes the descriptor readable. Any thread may call this. */
void yolo_message_queue_wake (YoloMessageQueue *queue);

/* From here on the consumer. */

/* Makes the descriptor wait for what comes next. */
void yolo_message_queue_clear_wake (YoloMessageQueue *queue);

/* Returns: (transfer full): the oldest message that was not taken yet; NULL: none is there now */
YoloMessage *yolo_message_queue_take (YoloMessageQueue *queue);

/* @message: (transfer full): taken before; the broker has it. To be called in the order in which
 * messages were taken. */
void yolo_message_queue_done (YoloMessageQueue *queue, YoloMessage *message);

/* Takes what is done off the disk; to be called after some calls of yolo_message_queue_done(). */
void yolo_message_queue_settle (YoloMessageQueue *queue);

/* @messages: (array length=n) (transfer full): all that are taken and not done, in the order in
 * which they were taken; they come again, in this order */
void yolo_message_queue_give_back (
    YoloMessageQueue *queue, YoloMessage **messages, guint n);

/* Any thread may call this. */
void yolo_message_queue_level (YoloMessageQueue *queue, YoloMessageQueueLevel *level);

/* Writes what is in memory into the spool, if there is one, and frees the queue. Returns how many
 * messages are lost with it. @queue: (nullable) */
guint64 yolo_message_queue_free (YoloMessageQueue *queue);

G_END_DECLS

#endif
