/* SPDX-License-Identifier: MIT */
/* Sources: librdkafka's INTRODUCTION.md and CONFIGURATION.md; KIP-429 for cooperative rebalancing,
 * by which a member gives up what another one gets and keeps the rest meanwhile. */

#include "export/records.h"

#include <string.h>

#include "base/text.h"
#include "export/kafka-options.h"

/* Milliseconds without a heartbeat after which a member is dead: the least that brokers allow
 * (group.min.session.timeout.ms). */
#define SESSION "6000"
#define HEARTBEAT "1000"        /* ms */
#define POLL_TIME 100           /* ms */
#define ASK_TIME 2000           /* ms that asking for the topic's partitions may take */
#define MAX_KEY 249             /* bytes */

struct _YoloRecords {
  rd_kafka_t *consumer;
  char *topic;
  gboolean alone;               /* without a group */
  const YoloRecordsHandler *handler;
  gpointer user_data;
  GThread *thread;
  gint closing;                 /* atomic */
  GMutex lock;                  /* guards finished */
  GCond changed;
  gboolean finished;

  /* used by the thread alone */
  gint32 n_partitions;          /* of the topic; 0: not known */
  char *trouble;                /* what was told last; NULL: nothing, or it is over */
};

static void
tell_trouble (YoloRecords *records, const char *text)
{
  if (g_strcmp0 (text, records->trouble) == 0)
    return;
  g_free (records->trouble);
  records->trouble = g_strdup (text);
  records->handler->trouble (text, records->user_data);
}

/* In place of librdkafka's own, which writes to the standard error output. */
static void
on_log (const rd_kafka_t *consumer, int level, const char *facility, const char *text)
{
  g_debug ("%s: %s", facility, text);
}

/* From within rd_kafka_consumer_poll(), as is the next one. */
static void
on_error (rd_kafka_t *consumer, int code, const char *reason, void *data)
{
  g_autofree char *text = yolo_text_printable (reason, YOLO_TEXT_MAX_MESSAGE);

  /* One broker of several is no trouble yet. */
  if (code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
      || code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL)
    tell_trouble (data, text);
}

/* Asks how many partitions the topic has. */
static gboolean
ask_partitions (YoloRecords *records)
{
  rd_kafka_topic_t *topic = rd_kafka_topic_new (records->consumer, records->topic, NULL);
  const struct rd_kafka_metadata *metadata = NULL;
  const rd_kafka_resp_err_t code = topic != NULL
      ? rd_kafka_metadata (records->consumer, 0, topic, &metadata, ASK_TIME)
      : rd_kafka_last_error ();

  records->n_partitions = 0;
  if (metadata != NULL && metadata->topic_cnt == 1)
    records->n_partitions = metadata->topics[0].partition_cnt;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR || records->n_partitions == 0) {
    g_autofree char *text = g_strdup_printf ("the topic %s cannot be read: %s", records->topic,
        code != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str (code) : "it is not there");
    tell_trouble (records, text);
  }
  if (metadata != NULL)
    rd_kafka_metadata_destroy (metadata);
  if (topic != NULL)
    rd_kafka_topic_destroy (topic);
  return records->n_partitions > 0;
}

static gint32 *
numbers (const rd_kafka_topic_partition_list_t *list)
{
  gint32 *partitions = g_new (gint32, list->cnt);

  for (int i = 0; i < list->cnt; i++)
    partitions[i] = list->elems[i].partition;
  return partitions;
}

/* Frees an error, having told of it. */
static void
end_error (YoloRecords *records, rd_kafka_error_t *error)
{
  if (error == NULL)
    return;
  tell_trouble (records, rd_kafka_error_string (error));
  rd_kafka_error_destroy (error);
}

static void
on_rebalance (rd_kafka_t *consumer, rd_kafka_resp_err_t code,
    rd_kafka_topic_partition_list_t *list, void *data)
{
  YoloRecords *records = data;
  g_autofree gint32 *partitions = numbers (list);

  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    for (int i = 0; i < list->cnt; i++)
      list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    records->n_partitions = 0;
    records->handler->assigned (partitions, list->cnt, records->user_data);
    end_error (records, rd_kafka_incremental_assign (consumer, list));
  } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    records->handler->revoked (partitions, list->cnt, records->user_data);
    end_error (records, rd_kafka_incremental_unassign (consumer, list));
  } else {
    tell_trouble (records, rd_kafka_err2str (code));
    rd_kafka_assign (consumer, NULL);
  }
}

static void
take_record (YoloRecords *records, const rd_kafka_message_t *message)
{
  g_autofree char *key = g_strndup (message->key, MIN (message->key_len, MAX_KEY + 1));
  gint32 right;

  if (message->key_len == 0 || message->key_len > MAX_KEY
      || strlen (key) != message->key_len || !g_utf8_validate (key, -1, NULL)) {
    tell_trouble (records, "a record has no key, or one that is no text; it is left out");
    return;
  }
  right = rd_kafka_msg_partitioner_murmur2 (message->rkt, key, message->key_len,
      records->n_partitions, NULL, NULL);
  if (right != message->partition) {
    g_autofree char *shown = yolo_text_printable (key, MAX_KEY);
    g_autofree char *text = g_strdup_printf (
        "a record of '%s' lies in partition %d and not in %d, and is left out: write it with the "
        "partitioner murmur2_random, and all records again once the topic has more partitions",
        shown, message->partition, right);
    tell_trouble (records, text);
    return;
  }
  records->handler->record (message->partition, key, message->payload, message->len,
      records->user_data);
}

/* Source: rd_kafka_consumer_poll()'s documentation, on errors as messages. */
static void
take_message (YoloRecords *records, const rd_kafka_message_t *message)
{
  switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      take_record (records, message);
      break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      g_clear_pointer (&records->trouble, g_free);
      records->handler->loaded (message->partition, records->user_data);
      break;
    default: {
      g_autofree char *why = yolo_text_printable (rd_kafka_message_errstr (message),
          YOLO_TEXT_MAX_MESSAGE);
      g_autofree char *text =
          g_strdup_printf ("the topic %s cannot be read: %s", records->topic, why);
      tell_trouble (records, text);
      break;
    }
  }
}

/* Without a group: all partitions, as soon as the topic is known. */
static void
assign_all (YoloRecords *records)
{
  rd_kafka_topic_partition_list_t *list;
  g_autofree gint32 *partitions = NULL;

  while (!g_atomic_int_get (&records->closing) && !ask_partitions (records))
    g_usleep (POLL_TIME * 1000);
  list = rd_kafka_topic_partition_list_new (records->n_partitions);
  for (gint32 i = 0; i < records->n_partitions; i++)
    rd_kafka_topic_partition_list_add (list, records->topic, i)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
  partitions = numbers (list);
  records->handler->assigned (partitions, list->cnt, records->user_data);
  rd_kafka_assign (records->consumer, list);
  rd_kafka_topic_partition_list_destroy (list);
}

static gpointer
run (gpointer data)
{
  YoloRecords *records = data;

  if (records->alone)
    assign_all (records);
  while (!g_atomic_int_get (&records->closing)) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll (records->consumer, POLL_TIME);

    /* Which partition a key belongs to nobody knows before this has an answer. */
    while (message != NULL && records->n_partitions == 0
        && !g_atomic_int_get (&records->closing) && !ask_partitions (records))
      g_usleep (POLL_TIME * 1000);
    if (message == NULL)
      continue;
    if (records->n_partitions > 0)
      take_message (records, message);
    rd_kafka_message_destroy (message);
  }
  rd_kafka_consumer_close (records->consumer);
  rd_kafka_destroy (records->consumer);
  g_mutex_lock (&records->lock);
  records->finished = TRUE;
  g_cond_signal (&records->changed);
  g_mutex_unlock (&records->lock);
  return NULL;
}

static void
records_free (YoloRecords *records)
{
  g_free (records->topic);
  g_free (records->trouble);
  g_mutex_clear (&records->lock);
  g_cond_clear (&records->changed);
  g_free (records);
}

static gboolean
subscribe (YoloRecords *records, GError **error)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (1);
  rd_kafka_resp_err_t code;

  rd_kafka_topic_partition_list_add (list, records->topic, RD_KAFKA_PARTITION_UA);
  code = rd_kafka_subscribe (records->consumer, list);
  rd_kafka_topic_partition_list_destroy (list);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "the topic %s cannot be read: %s",
        records->topic, rd_kafka_err2str (code));
  return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Makes the consumer. Cooperative, since with the eager protocol all cameras of all servers would
 * stop whenever a server comes or goes; sticky, so that few move. */
static gboolean
make_consumer (YoloRecords *records, const YoloSinkOptions *options,
    const YoloLocation *location, const char *group, GError **error)
{
  const char *const own[][2] = {
    { "client.id", options->client_id ? options->client_id : "yolo" },
    { "group.id", group ? group : "none" },
    { "partition.assignment.strategy", "cooperative-sticky" },
    { "session.timeout.ms", SESSION },
    { "heartbeat.interval.ms", HEARTBEAT },
    { "enable.auto.commit", "false" },
    { "enable.partition.eof", "true" },
    { "auto.offset.reset", "earliest" },
    { "fetch.wait.max.ms", "200" },
  };
  rd_kafka_conf_t *conf = yolo_kafka_options (options, location, own, G_N_ELEMENTS (own), error);
  char why[300] = "";

  if (conf == NULL)
    return FALSE;
  if (group != NULL)
    rd_kafka_conf_set_rebalance_cb (conf, on_rebalance);
  rd_kafka_conf_set_error_cb (conf, on_error);
  rd_kafka_conf_set_log_cb (conf, on_log);
  rd_kafka_conf_set_opaque (conf, records);
  records->consumer = rd_kafka_new (RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (records->consumer == NULL) {
    rd_kafka_conf_destroy (conf);
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "librdkafka cannot start: %s", why);
    return FALSE;
  }
  rd_kafka_poll_set_consumer (records->consumer);
  if (group == NULL || subscribe (records, error))
    return TRUE;
  rd_kafka_destroy (records->consumer);
  return FALSE;
}

YoloRecords *
yolo_records_open (const YoloSinkOptions *options, const char *group,
    const YoloRecordsHandler *handler, gpointer user_data, GError **error)
{
  g_autoptr (YoloLocation) location = yolo_location_parse (options->location, error);
  YoloRecords *records;

  if (location == NULL)
    return NULL;
  if (strcmp (location->scheme, "kafka") != 0) {
    g_set_error (error, G_URI_ERROR, G_URI_ERROR_BAD_SCHEME,
        "location \"%s\" is not Kafka's: write kafka://HOST/TOPIC", options->location);
    return NULL;
  }
  records = g_new0 (YoloRecords, 1);
  records->topic = g_strdup (location->topic);
  records->alone = group == NULL;
  records->handler = handler;
  records->user_data = user_data;
  g_mutex_init (&records->lock);
  g_cond_init (&records->changed);
  if (!make_consumer (records, options, location, group, error)) {
    records_free (records);
    return NULL;
  }
  records->thread = g_thread_new ("records", run, records);
  return records;
}

gboolean
yolo_records_close (YoloRecords *records, gint64 timeout)
{
  const gint64 end = g_get_monotonic_time () + timeout;
  gboolean finished;

  g_atomic_int_set (&records->closing, TRUE);
  g_mutex_lock (&records->lock);
  while (!records->finished && g_cond_wait_until (&records->changed, &records->lock, end));
  finished = records->finished;
  g_mutex_unlock (&records->lock);
  if (!finished) {
    g_thread_unref (records->thread);
    return FALSE;
  }
  g_thread_join (records->thread);
  records_free (records);
  return TRUE;
}
