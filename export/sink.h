/* SPDX-License-Identifier: MIT */
/* Messages to a broker: MQTT, Kafka or Redis by one contract. A sink has a queue and a thread,
 * which connects, sends, and connects again with growing pauses when the broker goes away. Nobody
 * who sends ever waits.
 *
 * What a message's topic is: the topic of MQTT and Kafka, the key of a Redis stream. Each message
 * arrives at least once as long as it is not dropped (the queue is full), refused (the broker wants
 * it never), or left in memory when the sink is closed; a connection that ends has the messages
 * sent again that the broker has not confirmed. The first arrivals are in the order of sending.
 *
 * Any thread may call these functions. */

#ifndef YOLO_EXPORT_SINK_H
#define YOLO_EXPORT_SINK_H

#include <glib.h>

G_BEGIN_DECLS

/* Strings can be NULL where a default is named. What belongs to one broker alone is ignored by the
 * others. */
typedef struct {
  const char *location;         /* a URI: scheme, user, host, port, topic */
  guint64 queue_bytes;          /* messages in memory take at most this */
  const char *spool;            /* file to keep messages in; NULL: in memory alone */
  guint64 spool_bytes;          /* messages on the disk take at most this */
  const char *user;             /* NULL: the location's */
  const char *password;         /* in no message, no log; NULL: none */
  const char *ca_file;          /* certificates to trust, PEM; NULL: the system's */
  const char *certificate_file, *key_file;      /* the client's own, PEM; NULL: it has none */
  const char *client_id;        /* NULL: one made up */

  /* MQTT */
  guint qos;                    /* 0, 1 or 2 */
  gboolean mqtt5;               /* version 5 in place of 3.1.1 */
  const char *availability_topic; /* retained "online", and by will "offline"; NULL: none */

  const char *compression;      /* Kafka: none, gzip, snappy, lz4, zstd; NULL: none */
  const char *broker_options;   /* Kafka: librdkafka's own, "name=value,name=value" */
  guint64 max_length;           /* Redis: entries of a stream, about; 0: without end */
} YoloSinkOptions;

typedef enum {
  YOLO_SINK_CONNECTED,
  YOLO_SINK_DISCONNECTED,       /* or never connected; the sink goes on trying */
  YOLO_SINK_REFUSED,            /* the broker will never take a message, which is left out */
  YOLO_SINK_DROPPED,            /* the queue is full, and the oldest messages go */
  YOLO_SINK_SPOOL_FAILS,        /* the disk takes nothing; messages stay in memory */
  YOLO_SINK_SPOOL_WORKS,        /* again */
} YoloSinkEvent;

/* Called by a thread of the sink's or by one that sends, without a lock. @text: what happened,
 * printable, without secrets. */
typedef void (*YoloSinkNotify) (YoloSinkEvent event, const char *text, gpointer user_data);

typedef struct {
  gboolean connected;
  guint64 n_sent;               /* messages given to yolo_sink_send() */
  guint64 n_delivered;          /* messages that the broker has confirmed */
  guint64 n_dropped, n_refused;
  guint64 n_resent;             /* messages that were under way when a connection ended */
  guint64 n_connections;        /* how often a connection came about */
  guint64 n_queued, queued_bytes;       /* messages in memory */
  guint64 n_spooled, spooled_bytes;     /* messages on the disk */
} YoloSinkStats;

typedef struct _YoloSink YoloSink;

/**
 * yolo_sink_open:
 * @options: which are copied
 * @notify: (nullable): not called any more once yolo_sink_close() returns
 *
 * Checks the options and starts to connect; a broker that is not there is no error.
 *
 * Returns: (transfer full): or NULL with @error (G_URI_ERROR, G_FILE_ERROR, G_OPTION_ERROR)
 */
YoloSink *yolo_sink_open (const YoloSinkOptions *options, YoloSinkNotify notify,
    gpointer user_data, GError **error);

/* The topic of the location. Owned by the sink. */
const char *yolo_sink_topic (YoloSink *sink);

/**
 * yolo_sink_send:
 * @topic: (nullable): NULL: the location's
 * @key: (nullable): messages with the same key stay in order, on brokers with partitions too
 * @body: [size] bytes, which are copied; none: Kafka's compaction takes the key away
 * @retain: MQTT: whether the broker keeps it for those who come later
 *
 * Never waits.
 */
void yolo_sink_send (YoloSink *sink, const char *topic, const char *key, gconstpointer body,
    gsize size, gboolean retain);

/**
 * yolo_sink_flush:
 * @timeout: microseconds
 *
 * Waits until the broker has confirmed all that was sent.
 *
 * Returns: FALSE: the time is over, or yolo_sink_set_flushing() ended the wait
 */
gboolean yolo_sink_flush (YoloSink *sink, gint64 timeout);

/* TRUE: yolo_sink_flush() returns, and does not wait until this is set to FALSE again. */
void yolo_sink_set_flushing (YoloSink *sink, gboolean flushing);

void yolo_sink_get_stats (YoloSink *sink, YoloSinkStats *stats);

/**
 * yolo_sink_close:
 *
 * Ends the connection and frees the sink. Does not wait longer than two seconds, if a name server
 * hangs, whatever the network does; what is not confirmed then is lost, or stays in the spool.
 *
 * Returns: how many messages are lost
 */
guint64 yolo_sink_close (YoloSink *sink);

G_END_DECLS

#endif
