/* SPDX-License-Identifier: MIT */
#include "export/message.h"

#include <string.h>

YoloMessage *
yolo_message_new (
    const char *topic, const char *key, gconstpointer body, gsize size, gboolean retain)
{
  const gsize topic_size = strlen (topic) + 1, key_size = key ? strlen (key) + 1 : 1;
  YoloMessage *message = g_malloc (sizeof *message + topic_size + key_size + size);
  char *text = message->text;

  memcpy (text, topic, topic_size);
  memcpy (text + topic_size, key ? key : "", key_size);
  if (size > 0)
    memcpy (text + topic_size + key_size, body, size);
  message->id = 0;
  message->retain = retain;
  message->topic = text;
  message->key = text + topic_size;
  message->body = (const guint8 *) text + topic_size + key_size;
  message->size = size;
  return message;
}

void
yolo_message_free (YoloMessage *message)
{
  g_free (message);
}

gsize
yolo_message_cost (const YoloMessage *message)
{
  return sizeof *message + (gsize) ((const char *) message->body - message->text) + message->size;
}
