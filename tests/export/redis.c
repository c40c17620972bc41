/* SPDX-License-Identifier: MIT */
/* The sink for Redis streams, against a real server. */

#include "broker.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <string.h>

static char *program, *folder, *location, *password;
static guint port;
static GPid pid;

static char *
set_up (void)
{
  g_free (program);
  program = find_program ("redis-server");
  if (program == NULL)
    return g_strdup ("there is no redis-server: install it");
  folder = g_dir_make_tmp ("yolo-redis-XXXXXX", NULL);
  port = free_port ();
  location = g_strdup_printf ("redis://127.0.0.1:%u/cameras", port);
  return NULL;
}

/* What is confirmed is on the disk. */
static void
start (void)
{
  g_autofree char *number = g_strdup_printf ("%u", port);
  char *argv[] = { program, (char *) "--port", number, (char *) "--bind", (char *) "127.0.0.1",
    (char *) "--dir", folder, (char *) "--save", (char *) "", (char *) "--appendonly",
    (char *) "yes", (char *) "--appendfsync", (char *) "always",
    (char *) (password ? "--requirepass" : NULL), password, NULL };

  pid = start_program (argv, port);
}

static void
stop (void)
{
  stop_program (&pid, SIGKILL);
}

static const char *
get_location (void)
{
  return location;
}

static redisContext *
connect_to_server (void)
{
  redisContext *context = redisConnect ("127.0.0.1", (int) port);

  g_assert_cmpint (context->err, ==, 0);
  if (password)
    freeReplyObject (redisCommand (context, "AUTH %s", password));
  return context;
}

static redisReply *
range (redisContext *context)
{
  redisReply *reply = redisCommand (context, "XRANGE cameras - +");

  for (guint i = 0; i < 1000 && reply->type == REDIS_REPLY_ERROR; i++) {       /* it loads */
    freeReplyObject (reply);
    g_usleep (10000);
    reply = redisCommand (context, "XRANGE cameras - +");
  }
  g_assert_cmpint (reply->type, ==, REDIS_REPLY_ARRAY);
  return reply;
}

static GPtrArray *
received (guint n)
{
  GPtrArray *texts = g_ptr_array_new_with_free_func (g_free);
  redisContext *context = connect_to_server ();
  redisReply *reply = range (context);

  for (gsize i = 0; i < reply->elements; i++) {
    redisReply **fields = reply->element[i]->element[1]->element;

    g_assert_cmpstr (fields[0]->str, ==, "key");
    g_assert_cmpstr (fields[2]->str, ==, "value");
    g_assert_true (g_str_has_prefix (fields[3]->str, fields[1]->str));
    g_ptr_array_add (texts, g_strndup (fields[3]->str, fields[3]->len));
  }
  freeReplyObject (reply);
  redisFree (context);
  return texts;
}

static void
tear_down (void)
{
  stop ();
  remove_folder (folder);
  g_free (folder);
  g_free (location);
}

static const Broker redis = {
  "redis", set_up, start, stop, get_location, received, tear_down,
};

static void
test_max_length (void)
{
  YoloSinkOptions options;
  g_autoptr (GPtrArray) texts = NULL;
  YoloSink *sink;

  if (!broker_set_up (&redis))
    return;
  start ();
  options = broker_options (&redis);
  options.max_length = 100;
  sink = yolo_sink_open (&options, NULL, NULL, NULL);
  broker_send (sink, "a", 0, 5000, 0);
  g_assert_true (yolo_sink_flush (sink, 60 * G_USEC_PER_SEC));
  yolo_sink_close (sink);
  texts = received (100);
  /* the server cuts off whole nodes of its tree, of 100 entries unless it is told otherwise */
  g_assert_cmpuint (texts->len, >=, 100);
  g_assert_cmpuint (texts->len, <, 1000);
  g_assert_cmpstr (texts->pdata[texts->len - 1], ==, "a 4999");
  tear_down ();
}

static void
keep_text (YoloSinkEvent event, const char *text, gpointer data)
{
  char *copy = g_strdup (text);

  if (event != YOLO_SINK_DISCONNECTED || !g_atomic_pointer_compare_and_exchange (
          (char **) data, NULL, copy))
    g_free (copy);
}

/* A password that is wrong is told of, without it; one that is right is taken. */
static void
test_password (void)
{
  char *text = NULL;
  YoloSinkOptions options;
  YoloSink *sink;

  password = (char *) "sesame";
  if (broker_set_up (&redis)) {
    start ();
    options = broker_options (&redis);
    options.password = "open-barley";
    sink = yolo_sink_open (&options, keep_text, &text, NULL);
    broker_send (sink, "a", 0, 1, 0);
    for (guint i = 0; i < 6000 && g_atomic_pointer_get (&text) == NULL; i++)
      g_usleep (10000);
    g_assert_nonnull (text);
    g_assert_nonnull (strstr (text, "WRONGPASS"));
    g_assert_null (strstr (text, "barley"));
    g_assert_cmpuint (yolo_sink_close (sink), ==, 1);
    options.password = password;
    sink = yolo_sink_open (&options, NULL, NULL, NULL);
    broker_send (sink, "a", 0, 1, 0);
    g_assert_true (yolo_sink_flush (sink, 60 * G_USEC_PER_SEC));
    yolo_sink_close (sink);
    tear_down ();
  }
  password = NULL;
  g_free (text);
}

static void
add_more (void)
{
  g_test_add_func ("/export/redis/max-length", test_max_length);
  g_test_add_func ("/export/redis/password", test_password);
}

int
main (int argc, char **argv)
{
  return broker_run (argc, argv, &redis, add_more);
}
