/* SPDX-License-Identifier: MIT */
/* model-file set while the element runs: the new model takes over between two frames, or the
 * old one stays. */

#include "infer-common.h"

#include <glib/gstdio.h>
#include <string.h>

#define CAPS "video/x-raw,format=RGB,width=64,height=64,framerate=25/1"
/* Loading a small model takes milliseconds, with a sanitizer and other tests seconds. */
#define PATIENCE (60 * G_USEC_PER_SEC)

typedef struct {
  GstHarness *h;
  GstElement *element;
  GstVideoInfo info;
  GstBuffer *picture;
  guint n;                      /* frames that went through */
} Run;

static GstElement *
new_element (const gchar *model, const gchar *property, const gchar *value)
{
  g_autofree gchar *path = data_path (model);

  return infer_new ("model-file", path, "confidence-threshold", "0", "max-detections", "20",
      "device", "cpu", property, value, NULL);
}

static void
run_init (Run *run, GstElement *element)
{
  run->element = element;
  run->h = infer_harness (element, CAPS);
  run->n = 0;
  make_info (CAPS, &run->info);
  run->picture = make_picture (&run->info);
}

static void
run_clear (Run *run)
{
  gst_buffer_unref (run->picture);
  infer_teardown (run->h);
}

/* Pushes a frame and takes one: none is lost or overtaken. */
static GArray *
run_frame (Run *run)
{
  GstBuffer *buffer = gst_buffer_copy (run->picture);

  GST_BUFFER_PTS (buffer) = run->n * 40 * GST_MSECOND;
  g_assert_cmpint (gst_harness_push (run->h, buffer), ==, GST_FLOW_OK);
  buffer = gst_harness_pull (run->h);
  g_assert_nonnull (buffer);
  g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, run->n * 40 * GST_MSECOND);
  g_assert_false (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT) && run->n > 0);
  run->n++;
  return take_detections (buffer, &run->info);
}

static gchar *
file_of (GstElement *element)
{
  gchar *file;

  g_object_get (element, "model-file", &file, NULL);
  return file;
}

/* Frames until the element's model is that file, which it says on the bus, perhaps behind
 * others. */
static void
run_until (Run *run, const gchar *path)
{
  gint64 end = g_get_monotonic_time () + PATIENCE;
  g_autofree gchar *file = file_of (run->element);
  GstMessage *message;

  while (strcmp (file, path) != 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_array_unref (run_frame (run));
    g_free (file);
    file = file_of (run->element);
  }
  do {
    message = pop_message (run->element, GST_MESSAGE_ELEMENT);
    g_assert_true (gst_message_has_name (message, "yoloinfer-model"));
    g_free (file);
    file = g_strdup (gst_structure_get_string (gst_message_get_structure (message), "file"));
    gst_message_unref (message);
  } while (strcmp (file, path) != 0);
}

static void
forget_messages (Run *run)
{
  gst_message_unref (pop_message (run->element, GST_MESSAGE_ELEMENT));
}

/* What a model finds that never was another's. */
static GArray *
expected (const gchar *model)
{
  Run run;
  GArray *found;

  run_init (&run, new_element (model, NULL, NULL));
  found = run_frame (&run);
  run_clear (&run);
  return found;
}

/* Engines that nobody has given back. */
static guint
count_engines (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const gchar *task;
  guint n = 0;

  while (dir != NULL && (task = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *path = g_build_filename ("/proc/self/task", task, "comm", NULL);
    g_autofree gchar *name = NULL;
    n += g_file_get_contents (path, &name, NULL, NULL) && g_str_has_prefix (name, "yolo-engine");
  }
  return n;
}

/* A thread that has been joined may be listed for a moment more. */
static void
assert_no_engines (void)
{
  gint64 end = g_get_monotonic_time () + PATIENCE;

  while (count_engines () > 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (1000);
  }
}

static void
on_notify (GObject *object, GParamSpec *pspec, gpointer data)
{
  (*(guint *) data)++;
}

/* Other classes, another size, another format of file. */
static void
test_change (gconstpointer data)
{
  const gchar *model = data;
  g_autofree gchar *path = data_path (model);
  g_autoptr (GArray) before = expected (MODEL), after = expected (model), now = NULL;
  guint notified = 0;
  Run run;

  run_init (&run, new_element (MODEL, NULL, NULL));
  g_signal_connect (run.element, "notify::model-file", G_CALLBACK (on_notify), &notified);
  now = run_frame (&run);
  g_assert_cmpuint (assert_same_detections (before, now, 0, 0, .01, .001), >, 0);
  forget_messages (&run);
  g_object_set (run.element, "model-file", path, NULL);
  notified = 0;
  run_until (&run, path);
  g_array_unref (now);
  now = run_frame (&run);
  g_assert_cmpuint (assert_same_detections (after, now, 0, 0, .01, .001), >, 0);
  g_assert_cmpuint (notified, ==, 1);
  assert_no_message (run.element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  run_clear (&run);
}

/* What cannot be loaded, or does not suit the other properties, changes nothing. */
static void
test_kept (void)
{
  g_autofree gchar *first = data_path (MODEL), *micro = data_path ("micro.onnx");
  g_autofree gchar *missing = data_path ("missing.onnx"), *text = data_path ("models.tsv");
  g_autoptr (GArray) before = expected (MODEL);
  const struct { const gchar *file; GQuark domain; gint code; const gchar *says; } table[] = {
    { missing, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND, "missing.onnx" },
    { text, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "models.tsv" },
    { "", GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "model-file" },
    /* it has no class of that name */
    { micro, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "\"gamma\"" },
  };
  Run run;

  run_init (&run, new_element (MODEL, "class-ids", "alpha,beta,gamma"));
  g_array_unref (run_frame (&run));
  forget_messages (&run);
  for (guint i = 0; i < G_N_ELEMENTS (table); i++) {
    g_autoptr (GArray) now = NULL;
    g_autofree gchar *file = NULL;

    g_object_set (run.element, "model-file", table[i].file, NULL);
    check_message (
        run.element, GST_MESSAGE_WARNING, table[i].domain, table[i].code, table[i].says);
    now = run_frame (&run);
    g_assert_cmpuint (assert_same_detections (before, now, 0, 0, .01, .001), >, 0);
    file = file_of (run.element);
    g_assert_cmpstr (file, ==, first);
  }
  assert_no_message (
      run.element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT);
  run_clear (&run);
}

/* Of several the last one counts; class-ids that are set meanwhile are by the new names. */
static void
test_last_counts (void)
{
  g_autofree gchar *first = data_path (MODEL);
  g_autofree gchar *other = model_with_names ("['gamma', 'beta', 'alpha']");
  g_autoptr (GArray) now = NULL;
  Run run;

  run_init (&run, new_element (MODEL, NULL, NULL));
  g_array_unref (run_frame (&run));
  forget_messages (&run);
  for (guint i = 0; i < 5; i++) {
    g_object_set (run.element, "model-file", i % 2 ? first : "nowhere.onnx", NULL);
    g_object_set (run.element, "class-ids", "gamma", NULL);
  }
  g_object_set (run.element, "model-file", other, NULL);
  run_until (&run, other);
  now = run_frame (&run);
  g_assert_cmpuint (now->len, >, 0);
  for (guint i = 0; i < now->len; i++) {
    const YoloMetaObject *object = &g_array_index (now, YoloMetaObject, i);
    g_assert_cmpstr (g_quark_to_string (object->label), ==, "gamma");
    g_assert_cmpint (object->label_id, ==, 0);
  }
  run_clear (&run);
  assert_no_engines ();
  g_unlink (other);
}

/* A model that waits for the next frame gives way to another one. */
static void
test_overtaken (void)
{
  g_autofree gchar *micro = data_path ("micro.onnx"), *other = data_path ("v8n-83-dynamic.onnx");
  gint64 end = g_get_monotonic_time () + PATIENCE;
  Run run;

  run_init (&run, new_element (MODEL, NULL, NULL));
  g_array_unref (run_frame (&run));
  forget_messages (&run);
  g_object_set (run.element, "model-file", micro, NULL);
  while (count_engines () < 2 && g_get_monotonic_time () < end)
    g_usleep (1000);
  /* it is loaded soon after its engine runs; if not, it never waits, which is right too */
  g_usleep (G_USEC_PER_SEC / 10);
  g_object_set (run.element, "model-file", other, NULL);
  g_usleep (G_USEC_PER_SEC / 10);
  run_until (&run, other);
  run_clear (&run);
  assert_no_engines ();
}

/* The first frame of the new model is looked at, whatever the interval says. */
static void
test_interval (void)
{
  g_autofree gchar *micro = data_path ("micro.onnx");
  g_autoptr (GArray) after = expected ("micro.onnx"), now = NULL;
  Run run;

  run_init (&run, new_element (MODEL, "inference-interval", "1000000"));
  g_object_set (run.element, "repeat-detections", TRUE, NULL);
  g_array_unref (run_frame (&run));
  forget_messages (&run);
  g_object_set (run.element, "model-file", micro, NULL);
  run_until (&run, micro);
  now = run_frame (&run);
  g_assert_cmpuint (assert_same_detections (after, now, 0, 0, .01, .001), >, 0);
  run_clear (&run);
}

/* The same path, where another file lies now. */
static void
test_written_anew (void)
{
  g_autofree gchar *folder = g_dir_make_tmp ("yolo-change-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "model.onnx", NULL);
  g_autofree gchar *other = g_build_filename (folder, "other.onnx", NULL);
  g_autofree gchar *first = data_path (MODEL), *second = data_path ("micro.onnx");
  g_autofree gchar *bytes = NULL;
  g_autoptr (GArray) after = expected ("micro.onnx"), now = NULL;
  GstMessage *message = NULL;
  gint64 end = g_get_monotonic_time () + PATIENCE;
  gsize size;
  Run run;

  g_assert_true (g_file_get_contents (first, &bytes, &size, NULL));
  g_assert_true (g_file_set_contents (path, bytes, (gssize) size, NULL));
  run_init (&run, infer_new ("model-file", path, "confidence-threshold", "0", "max-detections",
      "20", "device", "cpu", NULL));
  g_array_unref (run_frame (&run));
  forget_messages (&run);

  g_free (bytes);
  g_assert_true (g_file_get_contents (second, &bytes, &size, NULL));
  g_assert_true (g_file_set_contents (other, bytes, (gssize) size, NULL));
  g_assert_cmpint (g_rename (other, path), ==, 0);
  g_object_set (run.element, "model-file", path, NULL);
  while (message == NULL) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_array_unref (run_frame (&run));
    message = gst_bus_pop_filtered (element_bus (run.element), GST_MESSAGE_ELEMENT);
  }
  gst_message_unref (message);
  now = run_frame (&run);
  g_assert_cmpuint (assert_same_detections (after, now, 0, 0, .01, .001), >, 0);
  run_clear (&run);
  g_unlink (path);
  g_rmdir (folder);
}

/* The element stops while a model loads, or one waits; nothing is left of it then. */
static void
test_stop (void)
{
  g_autofree gchar *first = data_path (MODEL), *micro = data_path ("micro.onnx");

  for (guint i = 0; i < 20; i++) {
    g_autofree gchar *file = NULL;
    Run run;

    run_init (&run, new_element (MODEL, NULL, NULL));
    g_array_unref (run_frame (&run));
    g_object_set (run.element, "model-file", micro, NULL);
    g_usleep (i * 500);
    gst_element_set_state (run.element, GST_STATE_READY);
    file = file_of (run.element);
    g_assert_cmpstr (file, ==, first);
    g_object_set (run.element, "model-file", micro, NULL);
    g_free (file);
    file = file_of (run.element);
    g_assert_cmpstr (file, ==, micro);
    run_clear (&run);
    assert_no_engines ();
  }
}

/* Frames flow, with several under way, while models change again and again. */
static void
test_under_way (void)
{
  g_autofree gchar *first = data_path (MODEL), *micro = data_path ("micro.onnx");
  guint changes = 0, pushed = 0, pulled = 0;
  gint64 end = g_get_monotonic_time () + PATIENCE;
  Run run;

  run_init (&run, new_element (MODEL, "max-in-flight", "8"));
  while (changes < 6) {
    g_autofree gchar *file = file_of (run.element);
    const gchar *next = changes % 2 ? first : micro;
    GstBuffer *buffer;

    g_assert_cmpint (g_get_monotonic_time (), <, end);
    if (strcmp (file, next) == 0)
      changes++;
    else if (pushed % 4 == 0)
      g_object_set (run.element, "model-file", next, NULL);
    buffer = gst_buffer_copy (run.picture);
    GST_BUFFER_PTS (buffer) = pushed++;
    g_assert_cmpint (gst_harness_push (run.h, buffer), ==, GST_FLOW_OK);
    while ((buffer = gst_harness_try_pull (run.h)) != NULL) {
      g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, pulled++);
      gst_buffer_unref (buffer);
    }
  }
  gst_harness_push_event (run.h, gst_event_new_eos ());
  for (; pulled < pushed; pulled++) {
    GstBuffer *buffer = gst_harness_pull (run.h);
    g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, pulled);
    gst_buffer_unref (buffer);
  }
  assert_no_message (run.element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  run_clear (&run);
}

/* An engine that is shared by its id keeps its model, and so does a calibration. */
static void
test_fixed (void)
{
  g_autofree gchar *first = data_path (MODEL), *micro = data_path ("micro.onnx"), *file = NULL;
  Run run;

  run_init (&run, new_element (MODEL, "engine-id", "shared"));
  g_object_set (run.element, "model-file", micro, NULL);
  check_message (
      run.element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "engine-id");
  file = file_of (run.element);
  g_assert_cmpstr (file, ==, first);
  gst_element_set_state (run.element, GST_STATE_READY);
  g_object_set (run.element, "model-file", micro, NULL);
  assert_no_message (run.element, GST_MESSAGE_WARNING);
  run_clear (&run);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/infer-change/classes-and-size", "micro.onnx", test_change);
  g_test_add_data_func ("/infer-change/any-size", "v8n-83-dynamic.onnx", test_change);
  g_test_add_func ("/infer-change/kept", test_kept);
  g_test_add_func ("/infer-change/last-counts", test_last_counts);
  g_test_add_func ("/infer-change/overtaken", test_overtaken);
  g_test_add_func ("/infer-change/interval", test_interval);
  g_test_add_func ("/infer-change/written-anew", test_written_anew);
  g_test_add_func ("/infer-change/stop", test_stop);
  g_test_add_func ("/infer-change/under-way", test_under_way);
  g_test_add_func ("/infer-change/fixed", test_fixed);
  return g_test_run ();
}
