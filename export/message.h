/* SPDX-License-Identifier: MIT */
/* What a sink carries: some bytes, where they go, and whose they are. */

#ifndef YOLO_EXPORT_MESSAGE_H
#define YOLO_EXPORT_MESSAGE_H

#include <glib.h>

G_BEGIN_DECLS

/* One block of memory. It does not change once it is made, so that any thread may read it. */
typedef struct {
  guint64 id;                   /* number in the spool, from 1; 0: it is in memory alone */
  gboolean retain;              /* MQTT: the broker keeps it for those who come later */
  const char *topic;            /* of MQTT and Kafka, or the name of a Redis stream */
  const char *key;              /* "": it has no key */
  const guint8 *body;
  gsize size;                   /* bytes of the body */
  char text[];                  /* topic, key and body, for the pointers above */
} YoloMessage;

/**
 * yolo_message_new:
 * @key: (nullable): whose message it is, a camera's name; messages with the same key stay in order
 * @body: [size] bytes, which are copied
 *
 * Returns: (transfer full): for yolo_message_free()
 */
YoloMessage *yolo_message_new (
    const char *topic, const char *key, gconstpointer body, gsize size, gboolean retain);

/* @message: (nullable) */
void yolo_message_free (YoloMessage *message);

/* Bytes that the message takes in memory. */
gsize yolo_message_cost (const YoloMessage *message);

G_END_DECLS

#endif
