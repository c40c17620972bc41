/* SPDX-License-Identifier: MIT */
/* What an element says of its devices, on the bus and in `stats`, where one of them fails. */

#include "gst-plugin/yolodevices.h"
#include "tests/engine/fake.h"

#include <string.h>

static void
count_answer (gpointer data, gpointer tag, const YoloResult *result)
{
  g_assert_null (result->error);
  ++*(guint *) data;
}

typedef struct {
  GstElement *element;
  GstBus *bus;
  YoloEngine *engine;
  YoloStream *stream;
  guint answered;
} Fixture;

static void
set_up (Fixture *f)
{
  YoloEngineConfig config = { .model_file = "fake.onnx", .device = "cuda:0,cuda:1" };

  fake_reset ();
  fake.delay = 300;
  f->answered = 0;
  f->element = gst_bin_new ("watched");
  f->bus = gst_bus_new ();
  gst_element_set_bus (f->element, f->bus);
  f->engine = yolo_engine_get_from (&fake_two_devices, &config, NULL);
  yolo_engine_set_batching (f->engine, 1, 0);
  f->stream = yolo_engine_open_stream (f->engine, NULL, 8, count_answer, &f->answered);
}

static void
tear_down (Fixture *f)
{
  yolo_stream_close (f->stream);
  yolo_engine_unref (f->engine);
  gst_element_set_bus (f->element, NULL);
  gst_object_unref (f->bus);
  gst_object_unref (f->element);
  g_assert_cmpuint (fake.nets, ==, 0);
}

static void
run_frames (Fixture *f, guint n)
{
  for (guint i = 0; i < n; i++) {
    YoloRequest request = fake_request (64, 64, i);

    yolo_stream_submit (f->stream, &request, NULL);
  }
  yolo_stream_drain (f->stream);
}

/* Sets whether the second device fails, and runs frames until it serves or does not. */
static void
set_lost (Fixture *f, gboolean lost)
{
  YoloReplicaStats stats[YOLO_MAX_DEVICES];
  guint tries = 0;

  g_mutex_lock (&fake.lock);
  fake.lost_wait[1] = fake.fail_device[1] = lost;
  g_mutex_unlock (&fake.lock);
  do {
    g_assert_cmpuint (tries++, <, 2000);
    run_frames (f, 8);
    g_usleep (1000);
    yolo_stream_get_replicas (f->stream, stats);
  } while (stats[1].serves == lost);
}

/* The only message that waits is of the type, and says this. */
static void
check_message (Fixture *f, GstMessageType type, const gchar *says)
{
  GstMessage *message = gst_bus_pop (f->bus);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (message);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, type);
  if (type == GST_MESSAGE_WARNING)
    gst_message_parse_warning (message, &error, NULL);
  else
    gst_message_parse_info (message, &error, NULL);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, says));
  gst_message_unref (message);
  g_assert_null (gst_bus_pop (f->bus));
}

static void
test_messages (void)
{
  YoloDeviceWatch watch, late;
  Fixture f;

  set_up (&f);
  yolo_device_watch_begin (&watch, f.stream);
  run_frames (&f, 20);
  yolo_device_watch_look (&watch, f.element, f.stream);
  g_assert_null (gst_bus_pop (f.bus));

  set_lost (&f, TRUE);
  yolo_device_watch_look (&watch, f.element, f.stream);
  check_message (&f, GST_MESSAGE_WARNING, "the device device:1 has failed: ");
  yolo_device_watch_look (&watch, f.element, f.stream);
  g_assert_null (gst_bus_pop (f.bus));

  /* who comes while it is lost is told as well */
  yolo_device_watch_begin (&late, f.stream);
  yolo_device_watch_look (&late, f.element, f.stream);
  check_message (&f, GST_MESSAGE_WARNING, "the device device:1 has failed: ");

  set_lost (&f, FALSE);
  yolo_device_watch_look (&watch, f.element, f.stream);
  check_message (&f, GST_MESSAGE_INFO, "the device device:1 runs networks again");
  yolo_device_watch_look (&late, f.element, f.stream);
  check_message (&f, GST_MESSAGE_INFO, "the device device:1 runs networks again");

  /* and who comes later is not */
  yolo_device_watch_begin (&late, f.stream);
  yolo_device_watch_look (&late, f.element, f.stream);
  g_assert_null (gst_bus_pop (f.bus));
  tear_down (&f);
}

static const GstStructure *
replica_of (const GstStructure *stats, guint i)
{
  const GValue *replicas = gst_structure_get_value (stats, "replicas");

  g_assert_cmpuint (gst_value_array_get_size (replicas), ==, 2);
  return gst_value_get_structure (gst_value_array_get_value (replicas, i));
}

static void
test_stats (void)
{
  g_autoptr (GstStructure) stats = gst_structure_new_empty ("stats");
  guint64 frames[2], batches, time;
  Fixture f;

  set_up (&f);
  run_frames (&f, 20);
  set_lost (&f, TRUE);
  yolo_devices_add_stats (stats, f.stream);
  for (guint i = 0; i < 2; i++) {
    const GstStructure *s = replica_of (stats, i);
    const gchar *failure = gst_structure_get_string (s, "failure");
    gboolean serves;
    gdouble utilisation;
    guint failures;

    g_assert_true (gst_structure_has_name (s, "yoloinfer-replica"));
    g_assert_cmpstr (
        gst_structure_get_string (s, "device"), ==, i == 0 ? "device:0" : "device:1");
    g_assert_true (gst_structure_get (s, "serves", G_TYPE_BOOLEAN, &serves, "failures", G_TYPE_UINT,
        &failures, "frames", G_TYPE_UINT64, &frames[i], "batches", G_TYPE_UINT64, &batches,
        "utilisation", G_TYPE_DOUBLE, &utilisation, "batch-time-1", G_TYPE_UINT64, &time, NULL));
    g_assert_cmpint (serves, ==, i == 0);
    g_assert_cmpuint (failures, ==, i);
    g_assert_cmpint (failure != NULL, ==, i == 1);
    g_assert_cmpuint (batches, ==, frames[i]);
    g_assert_cmpuint (time, >=, 300000);
    g_assert_true (utilisation > 0 && utilisation <= 1);
    g_assert_false (gst_structure_has_field (s, "batch-time-2"));
  }
  g_assert_cmpuint (frames[0] + frames[1], ==, f.answered);
  tear_down (&f);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/yoloinfer/device-watch/messages", test_messages);
  g_test_add_func ("/yoloinfer/device-watch/stats", test_stats);
  return g_test_run ();
}
