/* SPDX-License-Identifier: MIT */
/* kafka-broker TOPIC:PARTITIONS...: librdkafka's brokers for tests, in a process of their own, till
 * the standard input ends. The first line of its output is where they are; then each record of the
 * topics is a line, with tabs between: topic, partition, ms since 1970, key, value ("-" for none).
 *
 * Their topics are not compacted, and what they hold lies in memory. */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <glib.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define BROKERS 3

static void
on_log (const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
}

static rd_kafka_t *
make (rd_kafka_type_t type, const char *brokers)
{
  rd_kafka_conf_t *options = rd_kafka_conf_new ();
  char why[300] = "";
  rd_kafka_t *made;

  rd_kafka_conf_set_log_cb (options, on_log);
  if (brokers != NULL) {
    rd_kafka_conf_set (options, "bootstrap.servers", brokers, why, sizeof why);
    rd_kafka_conf_set (options, "group.id", "observer", why, sizeof why);
    rd_kafka_conf_set (options, "fetch.wait.max.ms", "50", why, sizeof why);
  }
  made = rd_kafka_new (type, options, why, sizeof why);
  if (made == NULL)
    g_error ("librdkafka cannot start: %s", why);
  return made;
}

/* Creates what the arguments name. (transfer full): all partitions, from their beginnings */
static rd_kafka_topic_partition_list_t *
create (rd_kafka_mock_cluster_t *cluster, char **arguments)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (16);

  for (; *arguments != NULL; arguments++) {
    g_auto (GStrv) parts = g_strsplit (*arguments, ":", 2);
    const int n = parts[1] != NULL ? atoi (parts[1]) : 1;

    if (rd_kafka_mock_topic_create (cluster, parts[0], n, BROKERS) != 0)
      g_error ("the topic %s cannot be made", parts[0]);
    for (int i = 0; i < n; i++)
      rd_kafka_topic_partition_list_add (list, parts[0], i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  return list;
}

static void
print (const rd_kafka_message_t *message)
{
  g_autofree char *value = message->payload != NULL
      ? g_strndup (message->payload, message->len) : g_strdup ("-");

  g_strdelimit (value, "\t\n", ' ');
  printf ("%s\t%d\t%lld\t%.*s\t%s\n", rd_kafka_topic_name (message->rkt), (int) message->partition,
      (long long) rd_kafka_message_timestamp (message, NULL), (int) message->key_len,
      message->key_len > 0 ? (const char *) message->key : "", value);
}

int
main (int argc, char **argv)
{
  rd_kafka_t *owner = make (RD_KAFKA_PRODUCER, NULL);
  rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new (owner, BROKERS);
  rd_kafka_topic_partition_list_t *list = create (cluster, argv + 1);
  rd_kafka_t *observer = make (RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps (cluster));
  struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

  printf ("%s\n", rd_kafka_mock_cluster_bootstraps (cluster));
  fflush (stdout);
  rd_kafka_assign (observer, list);
  while (poll (&input, 1, 0) == 0) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll (observer, 100);

    if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
      print (message);
    else
      fflush (stdout);
    if (message != NULL)
      rd_kafka_message_destroy (message);
  }
  fflush (stdout);
  rd_kafka_topic_partition_list_destroy (list);
  rd_kafka_consumer_close (observer);
  rd_kafka_destroy (observer);
  rd_kafka_mock_cluster_destroy (cluster);
  rd_kafka_destroy (owner);
  return 0;
}
