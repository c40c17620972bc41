/* SPDX-License-Identifier: MIT */
/* yoloexport to brokers: what arrives at a real Redis, what is said when none is there, and that no
 * frame waits. */

#include "gst-plugin/yolobroker.h"
#include "gst-plugin/yolometa.h"
#include "tests/export/broker.h"

#include <glib/gstdio.h>
#include <gst/check/gstharness.h>
#include <hiredis/hiredis.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <string.h>

static char *server, *folder;
static guint port;
static GPid pid;

typedef struct {
  GstElement *element;
  GstHarness *h;
  GstBus *bus;
  GstVideoInfo info;
} Fixture;

/* FALSE: the test is skipped. */
static gboolean
have_server (void)
{
  g_free (server);
  server = find_program ("redis-server");
  if (server == NULL) {
    g_test_skip ("there is no redis-server: install it");
    return FALSE;
  }
  folder = g_dir_make_tmp ("yolo-broker-XXXXXX", NULL);
  port = free_port ();
  return TRUE;
}

static void
start_server (const char *password)
{
  g_autofree char *number = g_strdup_printf ("%u", port);
  char *argv[] = { server, (char *) "--port", number, (char *) "--bind", (char *) "127.0.0.1",
    (char *) "--dir", folder, (char *) "--appendonly", (char *) "yes",
    (char *) (password ? "--requirepass" : NULL), (char *) password, NULL };

  pid = start_program (argv, port);
}

static void
forget_server (void)
{
  stop_program (&pid, SIGKILL);
  remove_folder (folder);
  g_free (folder);
}

/* An element that is not started yet. */
static void
setup (Fixture *f, const char *format)
{
  g_autofree char *location = g_strdup_printf ("redis://127.0.0.1:%u/cameras", port);

  *f = (Fixture) { .element = gst_object_ref_sink (
        gst_element_factory_make ("yoloexport", "exporter")) };
  gst_util_set_object_arg (G_OBJECT (f->element), "format", format);
  g_object_set (f->element, "location", location, "stream", "door", NULL);
  f->bus = gst_bus_new ();
  gst_element_set_bus (f->element, f->bus);
}

static void
begin (Fixture *f)
{
  f->h = gst_harness_new_with_element (f->element, "sink", "src");
  gst_video_info_set_format (&f->info, GST_VIDEO_FORMAT_NV12, 200, 100);
  f->info.fps_n = 25;
  gst_harness_set_src_caps (f->h, gst_video_info_to_caps (&f->info));
}

static void
teardown (Fixture *f)
{
  if (f->h)
    gst_harness_teardown (f->h);
  gst_element_set_state (f->element, GST_STATE_NULL);
  gst_element_set_bus (f->element, NULL);
  gst_object_unref (f->bus);
  gst_object_unref (f->element);
}

static void
push (Fixture *f, guint n)
{
  YoloMetaObject objects[3];
  GstBuffer *buffer = gst_buffer_new_and_alloc (16);

  g_assert_cmpuint (n, <=, G_N_ELEMENTS (objects));
  for (guint i = 0; i < n; i++)
    objects[i] = (YoloMetaObject) { .x = 20, .y = 10, .w = 50, .h = 20, .confidence = .5f,
      .label_id = 1, .label = g_quark_from_static_string ("person"), .object_id = (gint) i + 5 };
  GST_BUFFER_PTS (buffer) = 40 * GST_MSECOND;
  yolo_meta_add (buffer, &f->info, objects, n, 0);
  g_assert_cmpint (gst_harness_push (f->h, buffer), ==, GST_FLOW_OK);
}

/* The values of the stream; all have the key @key. */
static GPtrArray *
values (const char *key)
{
  GPtrArray *texts = g_ptr_array_new_with_free_func (g_free);
  redisContext *context = redisConnect ("127.0.0.1", (int) port);
  redisReply *reply = redisCommand (context, "XRANGE cameras - +");

  g_assert_cmpint (reply->type, ==, REDIS_REPLY_ARRAY);
  for (gsize i = 0; i < reply->elements; i++) {
    redisReply **fields = reply->element[i]->element[1]->element;

    g_assert_cmpstr (fields[1]->str, ==, key);
    g_ptr_array_add (texts, g_strndup (fields[3]->str, fields[3]->len));
  }
  freeReplyObject (reply);
  redisFree (context);
  return texts;
}

static guint64
statistic (Fixture *f, const char *name)
{
  GstStructure *stats;
  guint64 value = 0;

  g_object_get (f->element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, name, &value));
  gst_structure_free (stats);
  return value;
}

static JsonNode *
parse (const char *text)
{
  GError *error = NULL;
  JsonNode *node = json_from_string (text, &error);

  g_assert_no_error (error);
  return node;
}

/* Each format as messages: a frame or a line each. At the end of the stream all have arrived. */
static void
test_formats (void)
{
  static const char *const formats[] = {
    "json-lines", "coco", "mot", "events", "deepstream",
  };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autoptr (GPtrArray) texts = NULL;
    Fixture f;

    if (!have_server ())
      return;
    start_server (NULL);
    setup (&f, formats[i]);
    begin (&f);
    push (&f, 2);
    push (&f, 0);
    push (&f, 3);
    gst_harness_push_event (f.h, gst_event_new_eos ());
    texts = values ("door");
    g_assert_cmpuint (statistic (&f, "frames"), ==, 3);
    g_assert_cmpuint (statistic (&f, "sent"), ==, texts->len);
    g_assert_cmpuint (statistic (&f, "delivered"), ==, texts->len);
    for (guint k = 0; k < texts->len; k++)
      g_assert_false (g_str_has_suffix (texts->pdata[k], "\n"));
    if (i == 0) {
      g_autoptr (JsonNode) node = parse (texts->pdata[2]);
      JsonObject *frame = json_node_get_object (node);

      g_assert_cmpuint (texts->len, ==, 3);
      g_assert_cmpint (json_object_get_int_member (frame, "frame"), ==, 2);
      g_assert_cmpuint (
          json_array_get_length (json_object_get_array_member (frame, "objects")), ==, 3);
    } else if (i == 1) {
      g_autoptr (JsonNode) node = parse (texts->pdata[1]);

      g_assert_cmpuint (texts->len, ==, 2);
      g_assert_cmpuint (json_array_get_length (json_node_get_array (node)), ==, 3);
    } else if (i == 2) {
      g_assert_cmpuint (texts->len, ==, 2);
      g_assert_true (g_str_has_prefix (texts->pdata[1], "3,5,20.00,"));
      g_assert_nonnull (strstr (texts->pdata[1], "\n3,7,20.00,"));
    } else if (i == 3) {
      g_assert_cmpuint (texts->len, ==, 0);     /* nobody counts */
    } else {
      g_autoptr (JsonNode) node = parse (texts->pdata[0]);
      JsonObject *frame = json_node_get_object (node);

      g_assert_cmpuint (texts->len, ==, 3);
      g_assert_cmpstr (json_object_get_string_member (frame, "version"), ==, "4.0");
      g_assert_cmpstr (json_object_get_string_member (frame, "id"), ==, "0");
      g_assert_cmpstr (json_object_get_string_member (frame, "sensorId"), ==, "door");
      g_assert_true (g_regex_match_simple (
              "^20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$",
              json_object_get_string_member (frame, "@timestamp"), 0, 0));
      g_assert_cmpstr (json_array_get_string_element (json_object_get_array_member (
                frame, "objects"), 1), ==, "6|20.00|10.00|70.00|30.00|person");
    }
    teardown (&f);
    forget_server ();
  }
}

/* The next message of a type; it comes within a minute. */
static GstMessage *
next (Fixture *f, GstMessageType type)
{
  GstMessage *message = gst_bus_timed_pop_filtered (f->bus, 60 * GST_SECOND, type);

  g_assert_nonnull (message);
  return message;
}

static void
assert_warning (Fixture *f, gint code, const char *text)
{
  GstMessage *message = next (f, GST_MESSAGE_WARNING);
  g_autoptr (GError) error = NULL;

  gst_message_parse_warning (message, &error, NULL);
  g_assert_error (error, GST_RESOURCE_ERROR, code);
  g_assert_nonnull (strstr (error->message, text));
  gst_message_unref (message);
}

static void
assert_connection (Fixture *f, gboolean connected)
{
  GstMessage *message = next (f, GST_MESSAGE_ELEMENT);
  const GstStructure *structure = gst_message_get_structure (message);
  gboolean value = !connected;

  g_assert_true (gst_structure_has_name (structure, "yoloexport-connection"));
  g_assert_true (gst_structure_get_boolean (structure, "connected", &value));
  g_assert_cmpint (value, ==, connected);
  g_assert_cmpint (gst_structure_has_field (structure, "reason"), ==, !connected);
  gst_message_unref (message);
}

/* Frames pass while nobody is there; one warning says so; what was kept arrives later. */
static void
test_away (void)
{
  g_autoptr (GPtrArray) texts = NULL;
  GstMessage *message;
  Fixture f;

  if (!have_server ())
    return;
  setup (&f, "json-lines");
  g_object_set (f.element, "queue-size", (guint64) 65536, "key", "gate", NULL);
  begin (&f);
  assert_connection (&f, FALSE);
  assert_warning (&f, GST_RESOURCE_ERROR_OPEN_WRITE, "takes no messages: Connection refused");
  for (guint i = 0; i < 1000; i++)
    push (&f, 2);
  g_assert_cmpuint (statistic (&f, "queued-bytes"), <=, 65536);
  assert_warning (&f, GST_RESOURCE_ERROR_WRITE, "full");
  g_assert_null (gst_bus_pop_filtered (f.bus, GST_MESSAGE_WARNING));
  start_server (NULL);
  assert_connection (&f, TRUE);
  message = next (&f, GST_MESSAGE_INFO);
  gst_message_unref (message);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  texts = values ("gate");
  g_assert_cmpuint (texts->len, >, 10);
  g_assert_cmpuint (texts->len + statistic (&f, "dropped"), ==, 1000);
  g_assert_cmpuint (statistic (&f, "connections"), ==, 1);
  g_assert_nonnull (strstr (texts->pdata[texts->len - 1], "\"frame\":999,"));
  teardown (&f);
  forget_server ();
}

/* The end of the stream waits no longer than flush-timeout, and stopping does not wait at all. */
static void
test_end (void)
{
  const gint64 begun = g_get_monotonic_time ();
  Fixture f;

  if (!have_server ())
    return;
  setup (&f, "json-lines");
  g_object_set (f.element, "flush-timeout", 100 * GST_MSECOND, NULL);
  begin (&f);
  push (&f, 1);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  g_assert_cmpint (g_get_monotonic_time () - begun, >=, 100 * 1000);
  assert_warning (&f, GST_RESOURCE_ERROR_OPEN_WRITE, "takes no messages");
  assert_warning (&f, GST_RESOURCE_ERROR_WRITE, "not confirmed 1 messages");
  gst_element_set_state (f.element, GST_STATE_NULL);
  assert_warning (&f, GST_RESOURCE_ERROR_WRITE, "1 messages are lost");
  teardown (&f);
  forget_server ();
}

static void
test_password (void)
{
  g_autofree char *path = NULL, *location = NULL, *other = NULL, *shown = NULL;
  GstMessage *message;
  Fixture f;

  if (!have_server ())
    return;
  start_server ("sesame");
  path = g_build_filename (folder, "password", NULL);
  g_assert_true (g_file_set_contents (path, "sesame\n", -1, NULL));
  setup (&f, "json-lines");
  g_object_set (f.element, "password-file", path, NULL);
  begin (&f);
  push (&f, 1);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  g_assert_cmpuint (statistic (&f, "delivered"), ==, 1);
  teardown (&f);

  /* out of the environment */
  g_setenv ("YOLO_EXPORT_PASSWORD", "sesame", TRUE);
  setup (&f, "json-lines");
  begin (&f);
  g_unsetenv ("YOLO_EXPORT_PASSWORD");
  push (&f, 1);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  g_assert_cmpuint (statistic (&f, "delivered"), ==, 1);
  teardown (&f);

  /* not out of the location, and nobody sees it there */
  setup (&f, "json-lines");
  location = g_strdup_printf ("redis://me:sesame@127.0.0.1:%u/cameras", port);
  other = g_strdup_printf ("redis://me:***@127.0.0.1:%u/cameras", port);
  g_object_set (f.element, "location", location, NULL);
  g_object_get (f.element, "location", &shown, NULL);
  g_assert_cmpstr (shown, ==, other);
  g_assert_cmpint (gst_element_set_state (f.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  message = next (&f, GST_MESSAGE_ERROR);
  {
    g_autoptr (GError) error = NULL;
    g_autofree char *debug = NULL;

    gst_message_parse_error (message, &error, &debug);
    g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
    g_assert_nonnull (strstr (error->message, "password-file"));
    g_assert_null (strstr (error->message, "sesame"));
    g_assert_null (strstr (debug, "sesame"));
  }
  gst_message_unref (message);
  teardown (&f);
  forget_server ();
}

/* What is shown of a location; NULL: all of it. */
static void
test_hide (void)
{
  static const struct {
    const char *location, *shown;
  } cases[] = {
    { "mqtt://me:sesame@host/t", "mqtt://me:***@host/t" },
    { "mqtt://me:s@same@host:1883/t@u", "mqtt://me:***@host:1883/t@u" },
    { "mqtt://me:se/same@host/t", "mqtt://me:***@host/t" },
    { "mqtt://:sesame@host/t", "mqtt://:***@host/t" },
    { "mqtt://me@host:1883/t", NULL },
    { "mqtt://host:1883/a@b", NULL },
    { "mqtt://host:1883", NULL },
    { "mqtt://[::1]:1883/a@b", NULL },
    { "kafka://a:1,b:2/t", NULL },
    { "a:b@c.jsonl", NULL },
    { NULL, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *shown = yolo_broker_hide (cases[i].location);

    g_assert_cmpstr (shown, ==, cases[i].shown ? cases[i].shown : cases[i].location);
  }
}

/* What cannot be is an error before anything starts. */
static void
test_errors (void)
{
  static const struct {
    const char *format, *location, *property, *value;
    gint code;
    const char *text;
  } cases[] = {
    { "yolo", "redis://h/s", NULL, NULL, GST_RESOURCE_ERROR_SETTINGS, "format=yolo" },
    { "frigate", "redis://h/s", NULL, NULL, GST_RESOURCE_ERROR_SETTINGS, "mqtt://HOST/frigate" },
    { "frigate", "/tmp/x", NULL, NULL, GST_RESOURCE_ERROR_SETTINGS, "mqtt://HOST/frigate" },
    { "json-lines", "http://h/s", NULL, NULL, GST_RESOURCE_ERROR_SETTINGS, "not known" },
    { "json-lines", "redis://h", NULL, NULL, GST_RESOURCE_ERROR_SETTINGS, "redis://HOST/STREAM" },
    { "json-lines", "redis://h:x/s", NULL, NULL, GST_RESOURCE_ERROR_SETTINGS, "port" },
    { "json-lines", "redis://h/s", "password-file", "/no/such", GST_RESOURCE_ERROR_OPEN_WRITE,
        "password-file \"/no/such\"" },
    { "json-lines", "redis://h/s", "spool-location", "/no/such/file",
        GST_RESOURCE_ERROR_OPEN_WRITE, "spool" },
    { "json-lines", "redis://h/s", "ca-file", "/no/such", GST_RESOURCE_ERROR_OPEN_WRITE,
        "ca-file" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    GstMessage *message;
    Fixture f;

    port = 1;
    setup (&f, cases[i].format);
    g_object_set (f.element, "location", cases[i].location, NULL);
    if (cases[i].property)
      g_object_set (f.element, cases[i].property, cases[i].value, NULL);
    g_assert_cmpint (gst_element_set_state (f.element, GST_STATE_PAUSED), ==,
        GST_STATE_CHANGE_FAILURE);
    message = next (&f, GST_MESSAGE_ERROR);
    gst_message_parse_error (message, &error, NULL);
    g_assert_error (error, GST_RESOURCE_ERROR, cases[i].code);
    g_assert_nonnull (strstr (error->message, cases[i].text));
    gst_message_unref (message);
    teardown (&f);
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/export-broker/formats", test_formats);
  g_test_add_func ("/export-broker/away", test_away);
  g_test_add_func ("/export-broker/end", test_end);
  g_test_add_func ("/export-broker/password", test_password);
  g_test_add_func ("/export-broker/hide", test_hide);
  g_test_add_func ("/export-broker/errors", test_errors);
  return g_test_run ();
}
