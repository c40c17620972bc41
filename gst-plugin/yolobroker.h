/* SPDX-License-Identifier: MIT */
/* yoloexport's sink for messages: what its properties say, what goes to a broker, and what the
 * application is told of it. */

#ifndef YOLO_BROKER_H
#define YOLO_BROKER_H

#include <gst/gst.h>

G_BEGIN_DECLS

typedef enum {
  YOLO_BROKER_MQTT_3_1_1,
  YOLO_BROKER_MQTT_5,
} YoloBrokerMqttVersion;

/* What the properties say; the strings are owned, or NULL. */
typedef struct {
  guint64 queue_size;           /* bytes in memory */
  char *spool_location;
  guint64 spool_size;           /* bytes on the disk */
  guint64 flush_timeout;        /* ns */
  char *key, *user, *password_file;
  char *ca_file, *certificate_file, *private_key_file, *client_id;
  guint qos;
  gboolean retain;
  guint mqtt_version;           /* YoloBrokerMqttVersion */
  char *availability_topic;
  char *compression, *broker_options;
  guint64 max_length;           /* entries of a stream of Redis */
} YoloBrokerSettings;

typedef struct _YoloBroker YoloBroker;

/* Whether a location is a broker's, and not a file's. @location: (nullable) */
gboolean yolo_broker_is_location (const char *location);

/* Returns: (transfer full): the location with a password in it, if there is one, made "***", since
 * properties are shown in graphs and logs. @location: (nullable) */
char *yolo_broker_hide (const char *location);

/**
 * yolo_broker_open:
 * @element: posts what happens to the connection: warnings, at most one of a kind in half a
 * minute, and element messages `yoloexport-connection`
 *
 * A broker that is not there is no error.
 *
 * Returns: (transfer full): or NULL with @error, which says what to do
 */
YoloBroker *yolo_broker_open (GstElement *element, const char *location,
    const YoloBrokerSettings *settings, GError **error);

/* The topic of the location; owned by the broker. */
const char *yolo_broker_topic (YoloBroker *broker);

/* Returns: (transfer full): a topic below that of a location; NULL: the location is no good */
char *yolo_broker_topic_below (const char *location, const char *name);

/**
 * yolo_broker_send:
 * @topic: (nullable): NULL: the location's
 * @stream: (nullable): whose message it is, unless the property key says so
 *
 * Queues a message, which is never waited for.
 */
void yolo_broker_send (YoloBroker *broker, const char *topic, const char *stream,
    const char *text, gsize size, gboolean retain);

/* Queues each line of a text, without its end, as a message to the location's topic. */
void yolo_broker_send_lines (YoloBroker *broker, const char *stream, const GString *text);

/* Waits at the end of a stream until the broker has confirmed all, for flush-timeout at most, and
 * warns of what it has not. Called by the streaming thread. */
void yolo_broker_finish (YoloBroker *broker);

/* Called by any thread. TRUE: yolo_broker_finish() does not wait. */
void yolo_broker_set_flushing (YoloBroker *broker, gboolean flushing);

/* Adds fields to the element's statistics. */
void yolo_broker_add_stats (YoloBroker *broker, GstStructure *stats);

/* Waits for a second at most, and only for a broker that is connected; warns of messages that are
 * lost. @broker: (nullable) */
void yolo_broker_close (YoloBroker *broker);

G_END_DECLS

#endif
