/* SPDX-License-Identifier: MIT */
/* What a sink asks of a broker's library. One file for each, or its stub.
 *
 * The functions of a client are called by one thread, the sink's, one after the other; only open
 * and free may be another's. None waits for the network, but for names to be resolved and, half a
 * second, for brokers of Kafka that are away. */

#ifndef YOLO_EXPORT_CLIENT_H
#define YOLO_EXPORT_CLIENT_H

#include "export/location.h"
#include "export/message.h"
#include "export/sink.h"

G_BEGIN_DECLS

/* Messages under way at most. */
#define YOLO_CLIENT_WINDOW 512

typedef struct _YoloClient YoloClient;

/* What a broker has said of the message that was sent with @tag. @refused: (nullable): why it
 * will never take it; NULL: it has it. */
typedef void (*YoloClientAnswer) (gpointer owner, guint64 tag, const char *refused);

typedef struct {
  const char *const *schemes;   /* with NULL at the end */

  /* Checks the options and makes a client that is not connected. */
  YoloClient *(*open) (
      const YoloSinkOptions *options, const YoloLocation *location, GError **error);

  /* Begins to connect. Of a client that was connected before nothing is left. */
  gboolean (*connect) (YoloClient *client, GError **error);

  /* Whether messages can be sent. */
  gboolean (*is_ready) (YoloClient *client);

  /* Sends a message, or begins to. @tag is one more than that of the message before. */
  gboolean (*send) (YoloClient *client, const YoloMessage *message, guint64 tag, GError **error);

  /* The descriptor to wait for, and for which of poll()'s events. */
  int (*fd) (YoloClient *client, short *events);

  /* Reads and writes what can be, and answers. FALSE with @error: the connection has ended. */
  gboolean (*process) (YoloClient *client, GError **error);

  /* Why nothing arrives at present, of a library that connects again by itself, which keeps the
   * messages under way meanwhile; NULL, also in place of the function: nothing is wrong. */
  const char *(*trouble) (YoloClient *client);

  /* Ends a connection, or the attempt. @good: says good-bye to the broker first, all messages
   * being answered. */
  void (*disconnect) (YoloClient *client, gboolean good);

  void (*free) (YoloClient *client);
} YoloClientClass;

/* What each client begins with. */
struct _YoloClient {
  const YoloClientClass *class;
  YoloClientAnswer answer;      /* set by the sink */
  gpointer owner;
};

extern const YoloClientClass yolo_client_mqtt, yolo_client_kafka, yolo_client_redis;

/* @text of a library or a broker, printable and without a full stop, as an error. For `return`. */
gboolean yolo_client_fail (GError **error, const char *text);

G_END_DECLS

#endif
