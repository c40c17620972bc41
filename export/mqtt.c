/* SPDX-License-Identifier: MIT */
/* MQTT 3.1.1 and 5 by libmosquitto, whose socket the sink's thread serves.
 *
 * A connection has a client of libmosquitto of its own: what it has not delivered at the end is
 * forgotten with it, since the sink sends it again. So QoS 2 keeps a message from arriving twice
 * within a connection, and not across a lost one. */

#include "export/client.h"

#include <errno.h>
#include <mosquitto.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
/* From 2.1 on it is a part of mosquitto.h, and a warning by this name. */
#if !__has_include (<mosquitto/mqtt_protocol.h>)
# include <mqtt_protocol.h>
#endif

/* Seconds without a word after which client and broker give each other up. */
#define KEEPALIVE 30
/* Where Debian and most others have the certificates of authorities. */
#define SYSTEM_CERTIFICATES "/etc/ssl/certs"

typedef struct {
  YoloClient client;
  char *host, *user, *password, *id, *availability;
  char *ca_file, *certificate_file, *key_file;
  int port, version, qos;
  gboolean tls;

  struct mosquitto *mosquitto;  /* owned; NULL: not connected */
  gboolean ready;
  char *refused;                /* owned; why the broker does not take us; NULL: it does */
  struct {
    int mid;                    /* libmosquitto's number of the message; 0: it is answered */
    guint64 tag;
  } sent[YOLO_CLIENT_WINDOW];   /* by tag modulo YOLO_CLIENT_WINDOW */
  guint64 first, next;          /* tags: of the oldest that is not answered, and of the next one */
} Mqtt;

static gboolean
fail (int code, GError **error)
{
  return yolo_client_fail (
      error, code == MOSQ_ERR_ERRNO && errno ? g_strerror (errno) : mosquitto_strerror (code));
}

/* Callbacks of libmosquitto, from within the functions below. */

static void
on_connect (struct mosquitto *mosquitto, void *data, int code, int flags,
    const mosquitto_property *properties)
{
  Mqtt *mqtt = data;

  if (code != 0) {
    g_free (mqtt->refused);
    mqtt->refused = g_strdup (mqtt->version == MQTT_PROTOCOL_V5
        ? mosquitto_reason_string (code) : mosquitto_connack_string (code));
    return;
  }
  mqtt->ready = TRUE;
  if (mqtt->availability)
    mosquitto_publish (mosquitto, NULL, mqtt->availability, strlen ("online"), "online", 1, true);
}

static void
on_publish (struct mosquitto *mosquitto, void *data, int mid, int code,
    const mosquitto_property *properties)
{
  Mqtt *mqtt = data;

  /* answers come in order, but for refusals; so this looks at few */
  for (guint64 tag = mqtt->first; tag < mqtt->next; tag++) {
    if (mqtt->sent[tag % YOLO_CLIENT_WINDOW].mid != mid)
      continue;
    mqtt->sent[tag % YOLO_CLIENT_WINDOW].mid = 0;
    mqtt->client.answer (mqtt->client.owner, tag, code >= 0x80 ? mosquitto_reason_string (code)
        : NULL);
    break;
  }
  while (mqtt->first < mqtt->next && mqtt->sent[mqtt->first % YOLO_CLIENT_WINDOW].mid == 0)
    mqtt->first++;
}

/* A key that is encrypted would make OpenSSL ask the terminal. */
static int
on_password (char *buffer, int size, int rwflag, void *data)
{
  return 0;
}

/* Opening */

static void
mqtt_disconnect (YoloClient *client, gboolean good)
{
  Mqtt *mqtt = (Mqtt *) client;

  if (good && mqtt->mosquitto) {
    if (mqtt->availability)
      mosquitto_publish (mqtt->mosquitto, NULL, mqtt->availability, strlen ("offline"), "offline",
          0, true);
    mosquitto_disconnect (mqtt->mosquitto);
    for (int i = 0; i < 10 && mosquitto_want_write (mqtt->mosquitto); i++)
      if (mosquitto_loop_write (mqtt->mosquitto, 1) != MOSQ_ERR_SUCCESS)
        break;
  }
  mosquitto_destroy (g_steal_pointer (&mqtt->mosquitto));
  g_clear_pointer (&mqtt->refused, g_free);
  mqtt->ready = FALSE;
}

static void
mqtt_free (YoloClient *client)
{
  Mqtt *mqtt = (Mqtt *) client;

  mqtt_disconnect (client, FALSE);
  g_free (mqtt->host);
  g_free (mqtt->user);
  g_free (mqtt->password);
  g_free (mqtt->id);
  g_free (mqtt->availability);
  g_free (mqtt->ca_file);
  g_free (mqtt->certificate_file);
  g_free (mqtt->key_file);
  g_free (mqtt);
}

/* Sets what every connection has; FALSE with @error. Also called to check the options. */
static gboolean
set_up (Mqtt *mqtt, GError **error)
{
  struct mosquitto *m = mosquitto_new (mqtt->id, true, mqtt);
  int code;

  mqtt->mosquitto = m;
  if (m == NULL)
    return fail (MOSQ_ERR_ERRNO, error);
  mosquitto_int_option (m, MOSQ_OPT_PROTOCOL_VERSION, mqtt->version);
  mosquitto_int_option (m, MOSQ_OPT_SEND_MAXIMUM, YOLO_CLIENT_WINDOW);
  mosquitto_connect_v5_callback_set (m, on_connect);
  mosquitto_publish_v5_callback_set (m, on_publish);
  code = mosquitto_username_pw_set (m, mqtt->user, mqtt->password);
  if (code == MOSQ_ERR_SUCCESS && mqtt->availability)
    code = mosquitto_will_set (m, mqtt->availability, strlen ("offline"), "offline", 1, true);
  if (code == MOSQ_ERR_SUCCESS && mqtt->tls) {
    code = mosquitto_tls_set (m, mqtt->ca_file, mqtt->ca_file ? NULL : SYSTEM_CERTIFICATES,
        mqtt->certificate_file, mqtt->key_file, on_password);
    if (code == MOSQ_ERR_INVAL)
      return yolo_client_fail (error, "its certificates cannot be read: ca-file, certificate-file "
          "and private-key-file name PEM files, the latter two both or neither");
  }
  return code == MOSQ_ERR_SUCCESS || fail (code, error);
}

static gboolean
check_topic (const char *topic, const char *what, GError **error)
{
  if (*topic && mosquitto_pub_topic_check (topic) == MOSQ_ERR_SUCCESS)
    return TRUE;
  g_set_error (error, G_URI_ERROR, G_URI_ERROR_BAD_PATH,
      "%s \"%s\" is none that can be published to: it must not be empty or longer than 65535 "
      "bytes, nor hold + or #; write mqtt://HOST/TOPIC", what, topic);
  return FALSE;
}

static gboolean
init_library (void)
{
  static gsize once = 0;

  if (g_once_init_enter (&once))
    g_once_init_leave (&once, mosquitto_lib_init () == MOSQ_ERR_SUCCESS ? 1 : 2);
  return once == 1;
}

static gboolean
check (Mqtt *mqtt, const YoloLocation *location, GError **error)
{
  if (!init_library ())
    return yolo_client_fail (error, "libmosquitto cannot be started");
  if (!check_topic (location->topic, "the topic", error)
      || (mqtt->availability && !check_topic (mqtt->availability, "availability-topic", error)))
    return FALSE;
  if (mqtt->password && !mqtt->user) {
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "MQTT has no password without a user: set user, or write mqtt://USER@HOST/TOPIC");
    return FALSE;
  }
  return set_up (mqtt, error);
}

static YoloClient *
mqtt_open (const YoloSinkOptions *options, const YoloLocation *location, GError **error)
{
  Mqtt *mqtt = g_new0 (Mqtt, 1);
  gboolean good;

  mqtt->client.class = &yolo_client_mqtt;
  mqtt->tls = strcmp (location->scheme, "mqtts") == 0;
  mqtt->host = g_strdup (location->host);
  mqtt->port = location->port ? (int) location->port : mqtt->tls ? 8883 : 1883;
  mqtt->user = g_strdup (options->user ? options->user : location->user);
  mqtt->password = g_strdup (options->password);
  mqtt->id = g_strdup (options->client_id);
  mqtt->availability = g_strdup (options->availability_topic);
  mqtt->ca_file = g_strdup (options->ca_file);
  mqtt->certificate_file = g_strdup (options->certificate_file);
  mqtt->key_file = g_strdup (options->key_file);
  mqtt->qos = (int) MIN (options->qos, 2);
  mqtt->version = options->mqtt5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311;
  good = check (mqtt, location, error);
  mqtt_disconnect (&mqtt->client, FALSE);
  if (good)
    return &mqtt->client;
  mqtt_free (&mqtt->client);
  return NULL;
}

/* The sink's thread */

static gboolean
mqtt_connect (YoloClient *client, GError **error)
{
  Mqtt *mqtt = (Mqtt *) client;
  int code;

  mqtt_disconnect (client, FALSE);
  mqtt->first = mqtt->next = 0;
  if (!set_up (mqtt, error))
    return FALSE;
  errno = 0;
  code = mosquitto_connect_async (mqtt->mosquitto, mqtt->host, mqtt->port, KEEPALIVE);
  if (code == MOSQ_ERR_EAI)
    return yolo_client_fail (error, "the name of its host cannot be resolved");
  return code == MOSQ_ERR_SUCCESS || fail (code, error);
}

static gboolean
mqtt_is_ready (YoloClient *client)
{
  return ((Mqtt *) client)->ready;
}

static gboolean
mqtt_send (YoloClient *client, const YoloMessage *message, guint64 tag, GError **error)
{
  Mqtt *mqtt = (Mqtt *) client;
  int code, *mid = &mqtt->sent[tag % YOLO_CLIENT_WINDOW].mid;

  if (mqtt->next == 0)
    mqtt->first = tag;
  mqtt->next = tag + 1;
  *mid = -1;
  if (message->size > MQTT_MAX_PAYLOAD)
    code = MOSQ_ERR_PAYLOAD_SIZE;
  else
    code = mosquitto_publish (mqtt->mosquitto, mid, message->topic, (int) message->size,
        message->body, mqtt->qos, message->retain);
  switch (code) {
    case MOSQ_ERR_SUCCESS:
      return TRUE;
    case MOSQ_ERR_PAYLOAD_SIZE:
    case MOSQ_ERR_OVERSIZE_PACKET:
    case MOSQ_ERR_INVAL:
    case MOSQ_ERR_MALFORMED_UTF8:
    case MOSQ_ERR_QOS_NOT_SUPPORTED:
    case MOSQ_ERR_RETAIN_NOT_SUPPORTED:
      *mid = 0;
      client->answer (client->owner, tag, mosquitto_strerror (code));
      return TRUE;
    default:
      return fail (code, error);
  }
}

static int
mqtt_fd (YoloClient *client, short *events)
{
  Mqtt *mqtt = (Mqtt *) client;

  *events = POLLIN | (mosquitto_want_write (mqtt->mosquitto) ? POLLOUT : 0);
  return mosquitto_socket (mqtt->mosquitto);
}

/* Why the socket does not connect, which libmosquitto does not tell; 0: it does. */
static int
socket_error (Mqtt *mqtt)
{
  int number = 0;
  socklen_t size = sizeof number;
  const int fd = mosquitto_socket (mqtt->mosquitto);

  return fd >= 0 && getsockopt (fd, SOL_SOCKET, SO_ERROR, &number, &size) == 0 ? number : 0;
}

static gboolean
mqtt_process (YoloClient *client, GError **error)
{
  Mqtt *mqtt = (Mqtt *) client;
  const int number = mqtt->ready ? 0 : socket_error (mqtt);
  struct pollfd fd = { .events = POLLIN | POLLOUT };
  int code = MOSQ_ERR_SUCCESS;

  if (number != 0)
    return yolo_client_fail (error, g_strerror (number));
  errno = 0;
  fd.fd = mosquitto_socket (mqtt->mosquitto);
  poll (&fd, 1, 0);
  if ((fd.revents & POLLOUT) && mosquitto_want_write (mqtt->mosquitto))
    code = mosquitto_loop_write (mqtt->mosquitto, 1);
  if (code == MOSQ_ERR_SUCCESS && (fd.revents & (POLLIN | POLLERR | POLLHUP)))
    code = mosquitto_loop_read (mqtt->mosquitto, 1);
  if (code == MOSQ_ERR_SUCCESS)
    code = mosquitto_loop_misc (mqtt->mosquitto);
  if (mqtt->refused)
    return yolo_client_fail (error, mqtt->refused);
  return code == MOSQ_ERR_SUCCESS || fail (code, error);
}

const YoloClientClass yolo_client_mqtt = {
  .schemes = (const char *const[]) { "mqtt", "mqtts", NULL },
  .open = mqtt_open,
  .connect = mqtt_connect,
  .is_ready = mqtt_is_ready,
  .send = mqtt_send,
  .fd = mqtt_fd,
  .process = mqtt_process,
  .disconnect = mqtt_disconnect,
  .free = mqtt_free,
};
