/* SPDX-License-Identifier: MIT */
#include "export/kafka-options.h"

#include <string.h>

/* @shown: what an error calls the value */
static gboolean
set (rd_kafka_conf_t *conf, const char *name, const char *value, const char *shown, GError **error)
{
  char why[300] = "";

  if (value == NULL
      || rd_kafka_conf_set (conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
      "librdkafka does not take %s=%s: %s", name, shown ? shown : value, shown ? "" : why);
  return FALSE;
}

/* Options in the words of librdkafka, as kcat and others take them. */
static gboolean
set_list (rd_kafka_conf_t *conf, const char *list, GError **error)
{
  g_auto (GStrv) words = g_strsplit (list ? list : "", ",", -1);

  for (guint i = 0; words[i]; i++) {
    char *value = strchr (g_strstrip (words[i]), '=');

    if (words[i][0] == '\0')
      continue;
    if (value == NULL) {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
          "broker-options has \"%s\", which is not NAME=VALUE", words[i]);
      return FALSE;
    }
    *value++ = '\0';
    if (strstr (words[i], "password") || strstr (words[i], "secret")) {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
          "broker-options holds %s, which graphs and logs would show: use password-file, or the "
          "environment variable YOLO_EXPORT_PASSWORD", words[i]);
      return FALSE;
    }
    if (!set (conf, g_strstrip (words[i]), g_strstrip (value), NULL, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
set_up (rd_kafka_conf_t *conf, const YoloSinkOptions *options, const YoloLocation *location,
    const char *const own[][2], guint n, GError **error)
{
  const char *user = options->user ? options->user : location->user;
  const gboolean tls = options->ca_file || options->certificate_file;

  for (guint i = 0; i < n; i++)
    if (!set (conf, own[i][0], own[i][1], NULL, error))
      return FALSE;
  return set (conf, "bootstrap.servers", location->hosts, NULL, error)
      && set (conf, "reconnect.backoff.max.ms", "5000", NULL, error)
      && set (conf, "ssl.ca.location", options->ca_file, NULL, error)
      && set (conf, "ssl.certificate.location", options->certificate_file, NULL, error)
      && set (conf, "ssl.key.location", options->key_file, NULL, error)
      && set (conf, "security.protocol",
          user ? tls ? "sasl_ssl" : "sasl_plaintext" : tls ? "ssl" : NULL, NULL, error)
      && set (conf, "sasl.mechanism", user ? "SCRAM-SHA-512" : NULL, NULL, error)
      && set (conf, "sasl.username", user, NULL, error)
      && set (conf, "sasl.password", user ? options->password : NULL, "***", error)
      && set_list (conf, options->broker_options, error);
}

static gboolean
check_topic (const YoloSinkOptions *options, const YoloLocation *location, GError **error)
{
  /* Source: Kafka's org.apache.kafka.common.internals.Topic */
  if (*location->topic != '\0' && strlen (location->topic) <= 249
      && !location->topic[strspn (location->topic, G_CSET_A_2_Z G_CSET_a_2_z "0123456789._-")])
    return TRUE;
  g_set_error (error, G_URI_ERROR, G_URI_ERROR_BAD_PATH,
      "location \"%s\" has no topic that Kafka takes: 1 to 249 letters, digits, dots, "
      "underscores and dashes; write kafka://HOST/TOPIC", options->location);
  return FALSE;
}

rd_kafka_conf_t *
yolo_kafka_options (const YoloSinkOptions *options, const YoloLocation *location,
    const char *const own[][2], guint n, GError **error)
{
  rd_kafka_conf_t *conf = rd_kafka_conf_new ();

  if (check_topic (options, location, error)
      && set_up (conf, options, location, own, n, error))
    return conf;
  rd_kafka_conf_destroy (conf);
  return NULL;
}
