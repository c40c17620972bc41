/* SPDX-License-Identifier: MIT */
/* Kafka by librdkafka, whose producer connects by itself and sends again what was not confirmed:
 * idempotent, so that nothing arrives twice or in another order within the life of a producer.
 * One lasts until the sink closes or librdkafka calls an error fatal.
 * Source: librdkafka's CONFIGURATION.md and INTRODUCTION.md. */

#include "export/client.h"

#include "export/kafka-options.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Milliseconds that asking for the brokers may take, while none is known to answer. */
#define ASK_TIME 500

typedef struct {
  YoloClient client;
  rd_kafka_conf_t *options;     /* owned; what each producer is made with */
  rd_kafka_t *producer;         /* owned; NULL: not connected */
  int fd;                       /* readable when the producer has something to tell */
  char *trouble;                /* owned; why nothing arrives at present; NULL: it does */
  char *broken;                 /* owned; why the producer is of no use any more; NULL: it is */
} Kafka;

static void
replace (char **text, const char *by)
{
  g_free (*text);
  *text = g_strdup (by);
}

/* Callbacks of librdkafka, from within rd_kafka_poll(). */

static void
on_report (rd_kafka_t *producer, const rd_kafka_message_t *report, void *data)
{
  Kafka *kafka = data;
  const guint64 tag = (guint64) (gsize) report->_private;

  switch (report->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      g_clear_pointer (&kafka->trouble, g_free);
      kafka->client.answer (kafka->client.owner, tag, NULL);
      break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
      kafka->client.answer (kafka->client.owner, tag, rd_kafka_err2str (report->err));
      break;
    default:
      /* what was thrown away at the end, or what may be right later: a topic or permission that
       * is missing */
      if (kafka->broken == NULL)
        replace (&kafka->broken, rd_kafka_err2str (report->err));
      break;
  }
}

static void
on_error (rd_kafka_t *producer, int code, const char *reason, void *data)
{
  Kafka *kafka = data;

  if (code == RD_KAFKA_RESP_ERR__FATAL)
    replace (&kafka->broken, reason);
  else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
      || code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL)
    replace (&kafka->trouble, reason);
}

/* In place of librdkafka's own, which writes to the standard error output. */
static void
on_log (const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
  g_debug ("%s: %s", facility, text);
}

/* Opening */

static void
kafka_disconnect (YoloClient *client, gboolean good)
{
  Kafka *kafka = (Kafka *) client;

  if (kafka->producer) {
    rd_kafka_purge (kafka->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy (g_steal_pointer (&kafka->producer));
  }
  g_clear_pointer (&kafka->trouble, g_free);
  g_clear_pointer (&kafka->broken, g_free);
}

static void
kafka_free (YoloClient *client)
{
  Kafka *kafka = (Kafka *) client;

  kafka_disconnect (client, FALSE);
  if (kafka->options)
    rd_kafka_conf_destroy (kafka->options);
  if (kafka->fd >= 0)
    close (kafka->fd);
  g_free (kafka);
}

/* The partition of a key is that which Java's clients choose; the other options are what "at least
 * once, in order, without end" takes. */
static gboolean
set_up (Kafka *kafka, const YoloSinkOptions *options, const YoloLocation *location,
    GError **error)
{
  const char *const own[][2] = {
    { "client.id", options->client_id ? options->client_id : "yoloexport" },
    { "enable.idempotence", "true" },
    { "message.timeout.ms", "0" },
    { "partitioner", "murmur2_random" },
    { "compression.type", options->compression },
  };

  if (kafka->fd < 0)
    return yolo_client_fail (error, g_strerror (errno));
  kafka->options = yolo_kafka_options (options, location, own, G_N_ELEMENTS (own), error);
  if (kafka->options == NULL)
    return FALSE;
  rd_kafka_conf_set_dr_msg_cb (kafka->options, on_report);
  rd_kafka_conf_set_error_cb (kafka->options, on_error);
  rd_kafka_conf_set_log_cb (kafka->options, on_log);
  rd_kafka_conf_set_opaque (kafka->options, kafka);
  return TRUE;
}

static gboolean
make_producer (Kafka *kafka, GError **error)
{
  rd_kafka_conf_t *options = rd_kafka_conf_dup (kafka->options);
  char why[300] = "";
  rd_kafka_queue_t *queue;

  kafka->producer = rd_kafka_new (RD_KAFKA_PRODUCER, options, why, sizeof why);
  if (kafka->producer == NULL) {
    rd_kafka_conf_destroy (options);
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "librdkafka cannot start: %s", why);
    return FALSE;
  }
  queue = rd_kafka_queue_get_main (kafka->producer);
  rd_kafka_queue_io_event_enable (queue, kafka->fd, &(guint64) { 1 }, sizeof (guint64));
  rd_kafka_queue_destroy (queue);
  return TRUE;
}

static YoloClient *
kafka_open (const YoloSinkOptions *options, const YoloLocation *location, GError **error)
{
  Kafka *kafka = g_new0 (Kafka, 1);

  kafka->client.class = &yolo_client_kafka;
  kafka->fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  /* a producer that cannot be made says so now */
  if (set_up (kafka, options, location, error) && make_producer (kafka, error)) {
    kafka_disconnect (&kafka->client, FALSE);
    return &kafka->client;
  }
  kafka_free (&kafka->client);
  return NULL;
}

/* The sink's thread */

static gboolean
kafka_connect (YoloClient *client, GError **error)
{
  Kafka *kafka = (Kafka *) client;

  kafka_disconnect (client, FALSE);
  replace (&kafka->trouble, "no broker has answered yet");
  return make_producer (kafka, error);
}

/* The producer takes messages before it has found a broker. */
static gboolean
kafka_is_ready (YoloClient *client)
{
  return TRUE;
}

static gboolean
kafka_send (YoloClient *client, const YoloMessage *message, guint64 tag, GError **error)
{
  Kafka *kafka = (Kafka *) client;
  const gsize key_size = strlen (message->key);
  const char *key = key_size > 0 ? message->key : NULL;
  /* What has no bytes has no value either, by which compaction knows that a key has gone. */
  void *body = message->size > 0 ? (void *) message->body : NULL;
  const rd_kafka_resp_err_t code = rd_kafka_producev (kafka->producer,
      RD_KAFKA_V_TOPIC (message->topic),
      RD_KAFKA_V_KEY (key, key_size),
      RD_KAFKA_V_VALUE (body, message->size),
      RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE ((void *) (gsize) tag),
      RD_KAFKA_V_END);

  if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
    client->answer (client->owner, tag, rd_kafka_err2str (code));
  else if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return yolo_client_fail (error, rd_kafka_err2str (code));
  return TRUE;
}

static int
kafka_fd (YoloClient *client, short *events)
{
  *events = POLLIN;
  return ((Kafka *) client)->fd;
}

static gboolean
kafka_process (YoloClient *client, GError **error)
{
  Kafka *kafka = (Kafka *) client;
  const struct rd_kafka_metadata *brokers;
  eventfd_t value;

  (void) !eventfd_read (kafka->fd, &value);
  rd_kafka_poll (kafka->producer, 0);
  if (kafka->broken)
    return yolo_client_fail (error, kafka->broken);
  /* it may be that no message waits which would tell that a broker is back */
  if (kafka->trouble && rd_kafka_metadata (kafka->producer, 0, NULL, &brokers, ASK_TIME)
      == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_metadata_destroy (brokers);
    g_clear_pointer (&kafka->trouble, g_free);
  }
  return TRUE;
}

static const char *
kafka_trouble (YoloClient *client)
{
  return ((Kafka *) client)->trouble;
}

const YoloClientClass yolo_client_kafka = {
  .schemes = (const char *const[]) { "kafka", NULL },
  .open = kafka_open,
  .connect = kafka_connect,
  .is_ready = kafka_is_ready,
  .send = kafka_send,
  .fd = kafka_fd,
  .process = kafka_process,
  .trouble = kafka_trouble,
  .disconnect = kafka_disconnect,
  .free = kafka_free,
};
