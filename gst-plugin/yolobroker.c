/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolobroker.h"

#include "base/file.h"
#include "base/text.h"
#include "export/location.h"
#include "export/sink.h"

#include <string.h>

/* Microseconds between two warnings of a kind. */
#define QUIET (30 * G_USEC_PER_SEC)
/* Microseconds that stopping waits for a broker that is there. */
#define STOP_TIME G_USEC_PER_SEC
/* Bytes of a password at most. */
#define MAX_PASSWORD 65536

struct _YoloBroker {
  GstElement *element;          /* not owned: it owns the broker */
  YoloSink *sink;               /* owned */
  char *key;                    /* owned, or NULL: the stream's name */
  gboolean retain;
  guint64 flush_timeout;        /* ns */
  GMutex lock;
  gint64 told[YOLO_SINK_SPOOL_WORKS + 1];       /* lock; when each event was told of last, us */
  gboolean gone;                /* lock; that the broker is gone was told of */
};

gboolean
yolo_broker_is_location (const char *location)
{
  return location && yolo_location_is_uri (location);
}

/* Where the password of a URI ends that has its parts from @host on: at the last @ of the
 * authority, or, where the password has a slash that is not escaped, at the last one of all. NULL:
 * there is no password. @colon: (out): where it begins */
static const char *
find_password (const char *host, const char **colon)
{
  const char *end = host + strcspn (host, "/"), *at = NULL;

  for (const char *c = host; c < end; c++)
    at = *c == '@' ? c : at;
  *colon = memchr (host, ':', (at ? at : end) - host);
  if (*colon == NULL || *host == '[')
    return NULL;
  if (at == NULL && !strchr (",/", (*colon + 1)[strspn (*colon + 1, "0123456789")]))
    at = strrchr (*colon, '@');
  return at;
}

char *
yolo_broker_hide (const char *location)
{
  const char *at, *colon;

  if (!yolo_broker_is_location (location))
    return g_strdup (location);
  at = find_password (strstr (location, "://") + 3, &colon);
  if (at == NULL)
    return g_strdup (location);
  return g_strdup_printf ("%.*s:***%s", (int) (colon - location), location, at);
}

/* Whether the application is to be told of an event now: not again within half a minute, and of a
 * connection only after it was told that there is none. */
static gboolean
is_news (YoloBroker *broker, YoloSinkEvent event)
{
  const gint64 now = g_get_monotonic_time ();
  gboolean news;

  g_mutex_lock (&broker->lock);
  if (event == YOLO_SINK_CONNECTED)
    news = broker->gone;
  else
    news = broker->told[event] == 0 || now - broker->told[event] > QUIET;
  if (news)
    broker->told[event] = now;
  if (event == YOLO_SINK_DISCONNECTED)
    broker->gone |= news;
  if (event == YOLO_SINK_CONNECTED)
    broker->gone = FALSE;
  g_mutex_unlock (&broker->lock);
  return news;
}

static void
post_connection (YoloBroker *broker, gboolean connected, const char *reason)
{
  GstStructure *structure = gst_structure_new ("yoloexport-connection", "connected",
      G_TYPE_BOOLEAN, connected, NULL);

  if (reason)
    gst_structure_set (structure, "reason", G_TYPE_STRING, reason, NULL);
  gst_element_post_message (
      broker->element, gst_message_new_element (GST_OBJECT (broker->element), structure));
}

/* Called by a thread of the sink's, or by the streaming thread. */
static void
on_event (YoloSinkEvent event, const char *text, gpointer user_data)
{
  YoloBroker *broker = user_data;
  const gboolean news = is_news (broker, event);

  if (event == YOLO_SINK_CONNECTED || event == YOLO_SINK_DISCONNECTED)
    post_connection (broker, event == YOLO_SINK_CONNECTED,
        event == YOLO_SINK_CONNECTED ? NULL : text);
  if (!news)
    return;
  switch (event) {
    case YOLO_SINK_CONNECTED:
      GST_ELEMENT_INFO (broker->element, RESOURCE, OPEN_WRITE, ("%s takes messages again", text),
          (NULL));
      break;
    case YOLO_SINK_DISCONNECTED:
      GST_ELEMENT_WARNING (broker->element, RESOURCE, OPEN_WRITE, ("%s", text), (NULL));
      break;
    case YOLO_SINK_REFUSED:
    case YOLO_SINK_DROPPED:
      GST_ELEMENT_WARNING (broker->element, RESOURCE, WRITE, ("%s", text), (NULL));
      break;
    case YOLO_SINK_SPOOL_FAILS:
      GST_ELEMENT_WARNING (broker->element, RESOURCE, NO_SPACE_LEFT,
          ("%s; messages stay in memory until it takes them again", text), (NULL));
      break;
    case YOLO_SINK_SPOOL_WORKS:
      GST_ELEMENT_INFO (broker->element, RESOURCE, WRITE,
          ("messages to %s are kept on the disk again", text), (NULL));
      break;
  }
}

/* The password of the file, or of the environment; (transfer full); NULL without @error: there is
 * none. */
static char *
read_password (const char *path, GError **error)
{
  g_autoptr (GError) reason = NULL;
  char *password;
  gsize size;

  if (path == NULL)
    return g_strdup (g_getenv ("YOLO_EXPORT_PASSWORD"));
  password = yolo_file_read (path, MAX_PASSWORD, &size, &reason);
  if (password == NULL) {
    g_set_error (error, reason->domain, reason->code, "password-file \"%s\": %s", path,
        reason->message);
    return NULL;
  }
  if (strlen (password) < size) {
    g_free (password);
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
        "password-file \"%s\" has a byte 0: write the password alone, as a line of text", path);
    return NULL;
  }
  password[strcspn (password, "\r\n")] = '\0';
  return password;
}

YoloBroker *
yolo_broker_open (GstElement *element, const char *location,
    const YoloBrokerSettings *settings, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *password = read_password (settings->password_file, &reason);
  const YoloSinkOptions options = {
    .location = location, .queue_bytes = settings->queue_size, .spool = settings->spool_location,
    .spool_bytes = settings->spool_size, .user = settings->user, .password = password,
    .ca_file = settings->ca_file, .certificate_file = settings->certificate_file,
    .key_file = settings->private_key_file, .client_id = settings->client_id,
    .qos = settings->qos, .mqtt5 = settings->mqtt_version == YOLO_BROKER_MQTT_5,
    .availability_topic = settings->availability_topic, .compression = settings->compression,
    .broker_options = settings->broker_options, .max_length = settings->max_length,
  };
  YoloBroker *broker;

  if (reason) {
    g_propagate_error (error, g_steal_pointer (&reason));
    return NULL;
  }
  broker = g_new0 (YoloBroker, 1);
  g_mutex_init (&broker->lock);
  broker->element = element;
  broker->key = g_strdup (settings->key);
  broker->retain = settings->retain;
  broker->flush_timeout = settings->flush_timeout;
  broker->sink = yolo_sink_open (&options, on_event, broker, error);
  if (broker->sink)
    return broker;
  g_mutex_clear (&broker->lock);
  g_free (broker->key);
  g_free (broker);
  return NULL;
}

const char *
yolo_broker_topic (YoloBroker *broker)
{
  return yolo_sink_topic (broker->sink);
}

char *
yolo_broker_topic_below (const char *location, const char *name)
{
  g_autoptr (YoloLocation) parts = yolo_location_parse (location, NULL);

  return parts && *parts->topic ? g_strdup_printf ("%s/%s", parts->topic, name) : NULL;
}

void
yolo_broker_send (YoloBroker *broker, const char *topic, const char *stream,
    const char *text, gsize size, gboolean retain)
{
  yolo_sink_send (broker->sink, topic, broker->key ? broker->key : stream, text, size,
      retain || broker->retain);
}

void
yolo_broker_send_lines (YoloBroker *broker, const char *stream, const GString *text)
{
  const char *end = text->str + text->len;

  for (const char *line = text->str; line < end;) {
    const char *stop = memchr (line, '\n', end - line);

    stop = stop ? stop : end;
    yolo_broker_send (broker, NULL, stream, line, stop - line, FALSE);
    line = stop + 1;
  }
}

void
yolo_broker_finish (YoloBroker *broker)
{
  YoloSinkStats stats;

  if (yolo_sink_flush (broker->sink, (gint64) (broker->flush_timeout / 1000)))
    return;
  yolo_sink_get_stats (broker->sink, &stats);
  GST_ELEMENT_WARNING (broker->element, RESOURCE, WRITE,
      ("at the end of the stream the broker has not confirmed %" G_GUINT64_FORMAT " messages: "
       "flush-timeout says how long to wait, spool-location keeps them for the next start",
          stats.n_queued + stats.n_spooled), (NULL));
}

void
yolo_broker_set_flushing (YoloBroker *broker, gboolean flushing)
{
  yolo_sink_set_flushing (broker->sink, flushing);
}

void
yolo_broker_add_stats (YoloBroker *broker, GstStructure *structure)
{
  YoloSinkStats stats;

  yolo_sink_get_stats (broker->sink, &stats);
  gst_structure_set (structure,
      "connected", G_TYPE_BOOLEAN, stats.connected,
      "connections", G_TYPE_UINT64, stats.n_connections,
      "sent", G_TYPE_UINT64, stats.n_sent,
      "delivered", G_TYPE_UINT64, stats.n_delivered,
      "dropped", G_TYPE_UINT64, stats.n_dropped,
      "refused", G_TYPE_UINT64, stats.n_refused,
      "resent", G_TYPE_UINT64, stats.n_resent,
      "queued", G_TYPE_UINT64, stats.n_queued,
      "queued-bytes", G_TYPE_UINT64, stats.queued_bytes,
      "spooled", G_TYPE_UINT64, stats.n_spooled,
      "spooled-bytes", G_TYPE_UINT64, stats.spooled_bytes, NULL);
}

void
yolo_broker_close (YoloBroker *broker)
{
  YoloSinkStats stats;
  guint64 lost;

  if (broker == NULL)
    return;
  yolo_sink_get_stats (broker->sink, &stats);
  yolo_sink_set_flushing (broker->sink, FALSE);
  if (stats.connected)
    yolo_sink_flush (broker->sink, STOP_TIME);
  lost = yolo_sink_close (broker->sink);
  if (lost > 0)
    GST_ELEMENT_WARNING (broker->element, RESOURCE, WRITE,
        ("%" G_GUINT64_FORMAT " messages are lost that the broker has not confirmed: "
         "spool-location keeps them for the next start", lost), (NULL));
  g_mutex_clear (&broker->lock);
  g_free (broker->key);
  g_free (broker);
}
