/* SPDX-License-Identifier: MIT */
/* The sink for MQTT, against a real mosquitto. */

#include "broker.h"

#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  char *topic, *text;
  gboolean retained;
} Arrival;

static char *program, *folder, *location;
static const char *extra = "";  /* more lines of mosquitto's configuration */
static const char *scheme = "mqtt";
static guint port;
static GPid pid;
static struct mosquitto *listener;
static GMutex lock;
static GPtrArray *arrivals;     /* Arrival; lock */
static gint subscribed;         /* whether the broker has confirmed that the listener listens */

static void
arrival_free (gpointer data)
{
  Arrival *arrival = data;

  g_free (arrival->topic);
  g_free (arrival->text);
  g_free (arrival);
}

static void
on_message (struct mosquitto *mosquitto, void *data, const struct mosquitto_message *message)
{
  Arrival *arrival = g_new0 (Arrival, 1);

  arrival->topic = g_strdup (message->topic);
  arrival->text = g_strndup (message->payload, (gsize) message->payloadlen);
  arrival->retained = message->retain;
  g_mutex_lock (&lock);
  g_ptr_array_add (arrivals, arrival);
  g_mutex_unlock (&lock);
}

static void
on_connect (struct mosquitto *mosquitto, void *data, int code)
{
  mosquitto_subscribe (mosquitto, NULL, "#", 2);
}

static void
on_subscribe (struct mosquitto *mosquitto, void *data, int mid, int n, const int *qos)
{
  g_atomic_int_set (&subscribed, 1);
}

static char *
set_up (void)
{
  g_free (program);
  program = find_program ("mosquitto");
  if (program == NULL)
    return g_strdup ("there is no mosquitto: install it");
  folder = g_dir_make_tmp ("yolo-mqtt-XXXXXX", NULL);
  port = free_port ();
  location = g_strdup_printf ("%s://localhost:%u/cameras/all", scheme, port);
  arrivals = g_ptr_array_new_with_free_func (arrival_free);
  return NULL;
}

/* What is confirmed, and for whom, outlives SIGTERM. */
static void
start_broker (void)
{
  g_autofree char *path = g_build_filename (folder, "conf", NULL);
  g_autofree char *text = g_strdup_printf ("listener %u localhost\nuser %s\npersistence true\n"
      "persistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 0\n%s%s", port,
      g_get_user_name (), folder, strstr (extra, "allow_anonymous") ? ""
      : "allow_anonymous true\n", extra);
  char *argv[] = { program, (char *) "-c", path, NULL };

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  pid = start_program (argv, port);
}

/* A listener whose session lasts; it sees all that arrives after the first start. */
static void
listen_to_all (void)
{
  listener = mosquitto_new ("listener", false, NULL);
  mosquitto_int_option (listener, MOSQ_OPT_RECEIVE_MAXIMUM, 65535);
  mosquitto_message_callback_set (listener, on_message);
  mosquitto_connect_callback_set (listener, on_connect);
  mosquitto_subscribe_callback_set (listener, on_subscribe);
  mosquitto_reconnect_delay_set (listener, 1, 1, false);
  if (strstr (extra, "password_file"))
    mosquitto_username_pw_set (listener, "me", "sesame");
  if (strcmp (scheme, "mqtts") == 0) {
    g_autofree char *certificate = g_build_filename (folder, "cert.pem", NULL);

    mosquitto_tls_set (listener, certificate, NULL, NULL, NULL, NULL);
  }
  g_atomic_int_set (&subscribed, 0);
  g_assert_cmpint (mosquitto_connect (listener, "localhost", (int) port, 60), ==, 0);
  mosquitto_loop_start (listener);
  for (guint i = 0; i < 6000 && !g_atomic_int_get (&subscribed); i++)
    g_usleep (10000);
  g_assert_cmpint (g_atomic_int_get (&subscribed), ==, 1);
}

static void
start (void)
{
  start_broker ();
  if (listener == NULL)
    listen_to_all ();
}

static void
stop (void)
{
  stop_program (&pid, SIGTERM);
}

static const char *
get_location (void)
{
  return location;
}

/* The number of texts to a topic; NULL: to any. */
static guint
count (const char *topic)
{
  guint n = 0;

  g_mutex_lock (&lock);
  for (guint i = 0; i < arrivals->len; i++)
    n += topic == NULL || strcmp (((Arrival *) arrivals->pdata[i])->topic, topic) == 0;
  g_mutex_unlock (&lock);
  return n;
}

/* The number of different texts: what is sent again is no arrival of something else. */
static guint
count_different (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  g_mutex_lock (&lock);
  for (guint i = 0; i < arrivals->len; i++)
    g_hash_table_add (seen, ((Arrival *) arrivals->pdata[i])->text);
  g_mutex_unlock (&lock);
  return g_hash_table_size (seen);
}

static GPtrArray *
received (guint n)
{
  GPtrArray *texts = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < 600 && count_different () < n; i++)
    g_usleep (100000);
  g_mutex_lock (&lock);
  for (guint i = 0; i < arrivals->len; i++)
    g_ptr_array_add (texts, g_strdup (((Arrival *) arrivals->pdata[i])->text));
  g_mutex_unlock (&lock);
  return texts;
}

static void
tear_down (void)
{
  if (listener) {
    mosquitto_disconnect (listener);
    mosquitto_loop_stop (listener, true);
    mosquitto_destroy (listener);
    listener = NULL;
  }
  stop ();
  remove_folder (folder);
  g_free (folder);
  g_free (location);
  g_ptr_array_unref (arrivals);
}

static const Broker mqtt = { "mqtt", set_up, start, stop, get_location, received, tear_down };

/* Texts to a topic, with commas between. */
static char *
texts_to (const char *topic)
{
  GString *text = g_string_new (NULL);

  g_mutex_lock (&lock);
  for (guint i = 0; i < arrivals->len; i++) {
    const Arrival *arrival = arrivals->pdata[i];

    if (strcmp (arrival->topic, topic) == 0)
      g_string_append_printf (text, "%s%s", text->len > 0 ? "," : "", arrival->text);
  }
  g_mutex_unlock (&lock);
  return g_string_free (text, FALSE);
}

static void
wait_for (const char *topic, guint n)
{
  for (guint i = 0; i < 6000 && count (topic) < n; i++)
    g_usleep (10000);
  g_assert_cmpuint (count (topic), >=, n);
}

static void
test_versions (void)
{
  for (guint i = 0; i < 6; i++) {
    g_autoptr (GError) error = NULL;
    YoloSinkOptions options;
    YoloSinkStats stats;
    YoloSink *sink;

    if (!broker_set_up (&mqtt))
      return;
    start ();
    options = broker_options (&mqtt);
    options.qos = i % 3;
    options.mqtt5 = i >= 3;
    options.client_id = "cameras";
    sink = yolo_sink_open (&options, NULL, NULL, &error);
    g_assert_no_error (error);
    broker_send (sink, "a", 0, 1500, 0);
    yolo_sink_send (sink, "cameras/state", NULL, "7", 1, TRUE);
    g_assert_true (yolo_sink_flush (sink, 60 * G_USEC_PER_SEC));
    yolo_sink_get_stats (sink, &stats);
    g_assert_cmpuint (stats.n_delivered, ==, 1501);
    yolo_sink_close (sink);
    wait_for ("cameras/state", 1);
    g_assert_cmpuint (count ("cameras/all"), ==, 1500);
    tear_down ();
  }
}

/* "online" when it is there, "offline" when it goes, by its will when it is torn away; all
 * retained for those who come later, as what a message asks it for. */
static void
test_retained (void)
{
  g_autofree char *first = NULL, *second = NULL;
  YoloSinkOptions options;
  YoloSink *sink;

  if (!broker_set_up (&mqtt))
    return;
  start ();
  options = broker_options (&mqtt);
  options.availability_topic = "cameras/available";
  sink = yolo_sink_open (&options, NULL, NULL, NULL);
  yolo_sink_send (sink, "cameras/state", NULL, "7", 1, TRUE);
  g_assert_true (yolo_sink_flush (sink, 60 * G_USEC_PER_SEC));
  wait_for ("cameras/available", 1);
  yolo_sink_close (sink);
  wait_for ("cameras/available", 2);
  first = texts_to ("cameras/available");
  g_assert_cmpstr (first, ==, "online,offline");

  /* another connection takes its place, so that the broker ends the first one */
  options.client_id = "cameras";
  sink = yolo_sink_open (&options, NULL, NULL, NULL);
  wait_for ("cameras/available", 3);
  {
    struct mosquitto *other = mosquitto_new ("cameras", true, NULL);

    g_assert_cmpint (mosquitto_connect (other, "localhost", (int) port, 60), ==, 0);
    wait_for ("cameras/available", 5);
    mosquitto_destroy (other);
  }
  yolo_sink_close (sink);
  second = texts_to ("cameras/available");
  g_assert_true (g_str_has_prefix (second, "online,offline,online,offline,online"));

  /* somebody who comes later */
  mosquitto_disconnect (listener);
  mosquitto_loop_stop (listener, true);
  mosquitto_destroy (listener);
  g_mutex_lock (&lock);
  g_ptr_array_set_size (arrivals, 0);
  g_mutex_unlock (&lock);
  listen_to_all ();
  wait_for ("cameras/state", 1);
  wait_for ("cameras/available", 1);
  tear_down ();
}

typedef struct {
  gint n;
  char *text;
} Kept;

static void
keep (YoloSinkEvent event, const char *text, gpointer data)
{
  Kept *kept = data;

  if (event == YOLO_SINK_DISCONNECTED && g_atomic_int_add (&kept->n, 1) == 0)
    g_atomic_pointer_set (&kept->text, g_strdup (text));
}

/* The reason for which a sink does not connect. */
static char *
reason (const YoloSinkOptions *options)
{
  g_autoptr (GError) error = NULL;
  Kept kept = { 0 };
  YoloSink *sink = yolo_sink_open (options, keep, &kept, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < 6000 && g_atomic_pointer_get (&kept.text) == NULL; i++)
    g_usleep (10000);
  yolo_sink_close (sink);
  g_assert_nonnull (kept.text);
  return kept.text;
}

static void
run (const char *const *argv, int *status)
{
  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH
          | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
          status, NULL));
}

static void
test_password (void)
{
  g_autofree char *tool = find_program ("mosquitto_passwd");
  g_autofree char *file = NULL, *lines = NULL, *text = NULL, *place = NULL;
  YoloSinkOptions options;
  YoloSink *sink;
  int status;

  if (!broker_set_up (&mqtt))
    return;
  file = g_build_filename (folder, "passwords", NULL);
  lines = g_strdup_printf ("allow_anonymous false\npassword_file %s\n", file);
  extra = lines;
  run ((const char *const[]) { tool, "-b", "-c", file, "me", "sesame", NULL }, &status);
  g_assert_cmpint (status, ==, 0);
  start ();
  options = broker_options (&mqtt);
  place = g_strdup_printf ("mqtt://me@localhost:%u/cameras", port);
  options.location = place;
  options.password = "open-barley";
  for (guint i = 0; i < 2; i++) {
    options.mqtt5 = i > 0;
    text = reason (&options);
    g_assert_null (strstr (text, "barley"));
    g_assert_true (strstr (text, "uthori") || strstr (text, "user name or password"));
    g_clear_pointer (&text, g_free);
  }
  options.password = "sesame";
  sink = yolo_sink_open (&options, NULL, NULL, NULL);
  broker_send (sink, "a", 0, 1, 0);
  g_assert_true (yolo_sink_flush (sink, 60 * G_USEC_PER_SEC));
  yolo_sink_close (sink);
  tear_down ();
  extra = "";
}

static void
test_tls (void)
{
  g_autofree char *certificate = NULL, *key = NULL, *lines = NULL, *text = NULL, *small = NULL;
  g_autofree char *openssl = g_find_program_in_path ("openssl");
  YoloSinkOptions options;
  YoloSinkStats stats;
  YoloSink *sink;
  int status;

  if (openssl == NULL) {
    g_test_skip ("there is no openssl to make a certificate: install it");
    return;
  }
  scheme = "mqtts";
  if (broker_set_up (&mqtt)) {
    certificate = g_build_filename (folder, "cert.pem", NULL);
    key = g_build_filename (folder, "key.pem", NULL);
    lines = g_strdup_printf ("certfile %s\nkeyfile %s\n", certificate, key);
    extra = lines;
    run ((const char *const[]) { openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
          "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate, NULL }, &status);
    g_assert_cmpint (status, ==, 0);
    start ();
    options = broker_options (&mqtt);
    text = reason (&options);   /* nobody whom the system trusts has signed it */
    small = g_ascii_strdown (text, -1);
    g_assert_true (strstr (small, "tls") || strstr (small, "certificate"));
    options.ca_file = certificate;
    sink = yolo_sink_open (&options, NULL, NULL, NULL);
    broker_send (sink, "a", 0, 2000, 0);
    broker_send (sink, "a", 2000, 2, 400000);
    g_assert_true (yolo_sink_flush (sink, 60 * G_USEC_PER_SEC));
    yolo_sink_get_stats (sink, &stats);
    g_assert_cmpuint (stats.n_connections, ==, 1);
    yolo_sink_close (sink);
    wait_for ("cameras/all", 2002);
    tear_down ();
  }
  scheme = "mqtt";
  extra = "";
}

/* Takes one connection, says that it is welcome, and confirms nothing that comes then. */
static gpointer
welcome_and_no_more (gpointer data)
{
  static const guint8 welcome[] = { 0x20, 2, 0, 0 };    /* CONNACK of MQTT 3.1.1 */
  const int fd = accept (GPOINTER_TO_INT (data), NULL, NULL);
  char rest[4096];

  g_assert_cmpint (recv (fd, rest, sizeof rest, 0), >, 0);
  g_assert_cmpint (send (fd, welcome, sizeof welcome, MSG_NOSIGNAL), ==, sizeof welcome);
  while (recv (fd, rest, sizeof rest, 0) > 0);
  close (fd);
  return NULL;
}

static void
count_events (YoloSinkEvent event, const char *text, gpointer data)
{
  g_atomic_int_inc ((gint *) data + event);
}

/* That messages are dropped is told of once a connection, and not with each of them, also while
 * the broker is there and only slow. */
static void
test_dropped (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
    .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  const int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  gint events[YOLO_SINK_SPOOL_WORKS + 1] = { 0 };
  g_autofree char *place = NULL;
  YoloSinkOptions options = { .queue_bytes = 65536, .qos = 1 };
  GThread *server;
  YoloSink *sink;

  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, size), ==, 0);
  g_assert_cmpint (listen (fd, 1), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *) &address, &size), ==, 0);
  server = g_thread_new ("server", welcome_and_no_more, GINT_TO_POINTER (fd));
  place = g_strdup_printf ("mqtt://127.0.0.1:%u/t", ntohs (address.sin_port));
  options.location = place;
  sink = yolo_sink_open (&options, count_events, events, NULL);
  while (g_atomic_int_get (&events[YOLO_SINK_CONNECTED]) == 0)
    g_usleep (1000);
  for (guint i = 0; i < 50; i++) {
    broker_send (sink, "a", 100 * i, 100, 1000);
    g_usleep (2000);            /* the sink looks at its queue meanwhile */
  }
  yolo_sink_close (sink);
  g_assert_cmpint (events[YOLO_SINK_DROPPED], ==, 1);
  g_thread_join (server);
  close (fd);
}

static void
test_bad_options (void)
{
  static const struct {
    YoloSinkOptions options;
    const char *text;
  } cases[] = {
    { { .location = "mqtt://h/a/+/b" }, "+ or #" },
    { { .location = "mqtt://h" }, "mqtt://HOST/TOPIC" },
    { { .location = "mqtt://h/t", .availability_topic = "#" }, "availability-topic" },
    { { .location = "mqtt://h/t", .password = "p" }, "without a user" },
    { { .location = "mqtts://h/t", .ca_file = "/no/such" }, "ca-file" },
    { { .location = "mqtts://h/t", .key_file = "/no/such" }, "private-key-file" },
    { { .location = "http://h/t" }, "mqtt, mqtts, kafka or redis" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (yolo_sink_open (&cases[i].options, NULL, NULL, &error));
    g_assert_nonnull (error);
    g_assert_nonnull (strstr (error->message, cases[i].text));
  }
}

static void
add_more (void)
{
  g_test_add_func ("/export/mqtt/versions", test_versions);
  g_test_add_func ("/export/mqtt/retained", test_retained);
  g_test_add_func ("/export/mqtt/password", test_password);
  g_test_add_func ("/export/mqtt/tls", test_tls);
  g_test_add_func ("/export/mqtt/dropped", test_dropped);
  g_test_add_func ("/export/mqtt/bad-options", test_bad_options);
}

int
main (int argc, char **argv)
{
  int status;

  mosquitto_lib_init ();
  status = broker_run (argc, argv, &mqtt, add_more);
  mosquitto_lib_cleanup ();
  return status;
}
