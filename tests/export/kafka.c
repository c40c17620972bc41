/* SPDX-License-Identifier: MIT */
/* The sink for Kafka, against the brokers that librdkafka has for tests. */

#include "broker.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <string.h>

#define BROKERS 3
#define PARTITIONS 4
#define TOPIC "cameras"

static rd_kafka_t *owner;
static rd_kafka_mock_cluster_t *cluster;
static char *location;

static void
on_log (const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
}

static rd_kafka_t *
make (rd_kafka_type_t type, const char *brokers)
{
  rd_kafka_conf_t *options = rd_kafka_conf_new ();
  char why[300];

  rd_kafka_conf_set_log_cb (options, on_log);
  if (brokers)
    rd_kafka_conf_set (options, "bootstrap.servers", brokers, why, sizeof why);
  if (type == RD_KAFKA_CONSUMER) {
    rd_kafka_conf_set (options, "group.id", "test", why, sizeof why);
    rd_kafka_conf_set (options, "enable.partition.eof", "true", why, sizeof why);
  }
  return rd_kafka_new (type, options, why, sizeof why);
}

static void
stop (void)
{
  for (int i = 1; i <= BROKERS; i++)
    rd_kafka_mock_broker_set_down (cluster, i);
}

static void
start (void)
{
  for (int i = 1; i <= BROKERS; i++)
    rd_kafka_mock_broker_set_up (cluster, i);
}

static char *
set_up (void)
{
  owner = make (RD_KAFKA_PRODUCER, NULL);
  cluster = rd_kafka_mock_cluster_new (owner, BROKERS);
  rd_kafka_mock_topic_create (cluster, TOPIC, PARTITIONS, BROKERS);
  location = g_strdup_printf ("kafka://%s/" TOPIC, rd_kafka_mock_cluster_bootstraps (cluster));
  stop ();
  return NULL;
}

static const char *
get_location (void)
{
  return location;
}

/* All partitions from their beginnings; the order within one is that of Kafka. */
static GPtrArray *
received (guint n)
{
  GPtrArray *texts = g_ptr_array_new_with_free_func (g_free);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (PARTITIONS);
  rd_kafka_t *consumer = make (RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps (cluster));
  guint ends = 0;

  for (int i = 0; i < PARTITIONS; i++)
    rd_kafka_topic_partition_list_add (list, TOPIC, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_assign (consumer, list);
  rd_kafka_topic_partition_list_destroy (list);
  while (ends < PARTITIONS) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll (consumer, 60000);

    if (message == NULL)
      break;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      ends++;
    } else if (message->err == 0) {
      g_ptr_array_add (texts, g_strndup (message->payload, message->len));
      /* the key is the camera's name, with which the text begins */
      g_assert_cmpint (memcmp (message->payload, message->key, message->key_len), ==, 0);
    }
    rd_kafka_message_destroy (message);
  }
  rd_kafka_consumer_close (consumer);
  rd_kafka_destroy (consumer);
  return texts;
}

static void
tear_down (void)
{
  rd_kafka_mock_cluster_destroy (cluster);
  rd_kafka_destroy (owner);
  g_free (location);
}

static const Broker kafka = { "kafka", set_up, start, stop, get_location, received, tear_down };

/* Brokers that do as librdkafka is told elsewhere: what a sink is told goes there. */
static void
test_options (void)
{
  static const char *const compressions[] = { "none", "lz4", "zstd" };
  YoloSinkOptions options = { .location = "kafka://ignored/" TOPIC, .queue_bytes = 1 << 20,
    .broker_options = "test.mock.num.brokers=2, linger.ms=1," };

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GError) error = NULL;
    YoloSinkStats stats;
    YoloSink *sink;

    options.compression = compressions[i];
    sink = yolo_sink_open (&options, NULL, NULL, &error);
    if (strcmp (compressions[i], "zstd") == 0 && sink == NULL)
      continue;                 /* librdkafka may be without it */
    g_assert_no_error (error);
    broker_send (sink, "a", 0, 500, 100);
    g_assert_true (yolo_sink_flush (sink, 60 * G_USEC_PER_SEC));
    yolo_sink_get_stats (sink, &stats);
    g_assert_cmpuint (stats.n_delivered, ==, 500);
    yolo_sink_close (sink);
  }
}

static void
count_refused (YoloSinkEvent event, const char *text, gpointer data)
{
  if (event == YOLO_SINK_REFUSED)
    g_atomic_int_inc ((gint *) data);
}

/* A message that is too large for ever does not keep those behind it. */
static void
test_refused (void)
{
  YoloSinkOptions options = { .location = "kafka://ignored/" TOPIC, .queue_bytes = 1 << 20,
    .broker_options = "test.mock.num.brokers=1,message.max.bytes=2000" };
  gint refused = 0;
  YoloSink *sink = yolo_sink_open (&options, count_refused, &refused, NULL);
  YoloSinkStats stats;

  broker_send (sink, "a", 0, 10, 0);
  broker_send (sink, "a", 10, 1, 5000);
  broker_send (sink, "a", 11, 10, 0);
  g_assert_true (yolo_sink_flush (sink, 60 * G_USEC_PER_SEC));
  yolo_sink_get_stats (sink, &stats);
  g_assert_cmpuint (stats.n_delivered, ==, 20);
  g_assert_cmpuint (stats.n_refused, ==, 1);
  yolo_sink_close (sink);
  g_assert_cmpint (refused, ==, 1);
}

static void
test_bad_options (void)
{
  static const struct {
    YoloSinkOptions options;
    const char *text;
  } cases[] = {
    { { .location = "kafka://h" }, "kafka://HOST/TOPIC" },
    { { .location = "kafka://h/a b" }, "kafka://HOST/TOPIC" },
    { { .location = "kafka://h/t", .compression = "best" }, "compression.type=best" },
    { { .location = "kafka://h/t", .broker_options = "no.such=1" }, "no.such" },
    { { .location = "kafka://h/t", .broker_options = "linger" }, "NAME=VALUE" },
    { { .location = "kafka://h/t", .broker_options = "sasl.password=sesame" }, "password-file" },
    { { .location = "kafka://h/t", .ca_file = "/no/such" }, "/no/such" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (yolo_sink_open (&cases[i].options, NULL, NULL, &error));
    g_assert_nonnull (error);
    g_assert_nonnull (strstr (error->message, cases[i].text));
    g_assert_null (strstr (error->message, "sesame"));
  }
}

static void
add_more (void)
{
  g_test_add_func ("/export/kafka/options", test_options);
  g_test_add_func ("/export/kafka/refused", test_refused);
  g_test_add_func ("/export/kafka/bad-options", test_bad_options);
}

int
main (int argc, char **argv)
{
  return broker_run (argc, argv, &kafka, add_more);
}
