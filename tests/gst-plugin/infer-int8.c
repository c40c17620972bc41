/* SPDX-License-Identifier: MIT */
/* int8: calibrated by a stream, run by the table, refused with a reason. */

#include "infer-common.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define CAPS "video/x-raw,format=RGB,width=96,height=64,framerate=4/1"

static gchar *folder;

static gchar *
in_folder (const gchar *name)
{
  return g_build_filename (folder, name, NULL);
}

/* Pushes pictures, a quarter of a second apart, and the end of the stream. */
static void
push_stream (GstHarness *h, guint n)
{
  GstVideoInfo info;
  guint i;

  make_info (CAPS, &info);
  for (i = 0; i < n; i++) {
    GstBuffer *buffer = make_picture (&info);
    GstMapInfo map;

    GST_BUFFER_PTS (buffer) = i * GST_SECOND / 4;
    g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
    map.data[i] ^= 0x80;
    gst_buffer_unmap (buffer, &map);
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
    gst_buffer_unref (gst_harness_pull (h));
  }
  gst_harness_push_event (h, gst_event_new_eos ());
}

static gchar *
calibrate (const gchar *name)
{
  gchar *path = in_folder (name);
  GstHarness *h = infer_harness (
      infer_new ("calibrate", path, "calibration-frames", "6", "max-loss", "1", NULL), CAPS);

  push_stream (h, 6);
  infer_teardown (h);
  g_assert_true (g_file_test (path, G_FILE_TEST_IS_REGULAR));
  return path;
}

/* The next element message of that name. */
static GstMessage *
pop_named (GstElement *element, const gchar *name)
{
  GstMessage *message = pop_message (element, GST_MESSAGE_ELEMENT);

  while (!gst_message_has_name (message, name)) {
    gst_message_unref (message);
    message = pop_message (element, GST_MESSAGE_ELEMENT);
  }
  return message;
}

static void
test_calibrate (void)
{
  g_autofree gchar *path = in_folder ("made.int8"), *report = NULL;
  GstHarness *h = infer_harness (
      infer_new ("calibrate", path, "calibration-frames", "6", "max-loss", "1", NULL), CAPS);
  const gchar *file;
  GstMessage *message;
  gdouble loss;
  guint frames;

  push_stream (h, 6);
  message = pop_named (h->element, "yoloinfer-calibration");
  g_assert_true (gst_structure_get (gst_message_get_structure (message), "frames", G_TYPE_UINT,
      &frames, "loss", G_TYPE_DOUBLE, &loss, "report", G_TYPE_STRING, &report, NULL));
  file = gst_structure_get_string (gst_message_get_structure (message), "file");
  g_assert_cmpstr (file, ==, path);
  g_assert_cmpuint (frames, ==, 6);
  g_assert_cmpfloat (loss, <=, 1);
  g_assert_nonnull (strstr (report, "63 of 63 convolutions"));
  gst_message_unref (message);
  assert_no_message (h->element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  infer_teardown (h);
}

/* With the table the same objects are found; messages tell which precision is used and
 * how many layers. */
static void
test_run (void)
{
  g_autofree gchar *path = calibrate ("run.int8");
  GstHarness *fp32 = infer_harness (infer_new ("precision", "fp32", NULL), CAPS);
  GstHarness *int8 =
      infer_harness (infer_new ("precision", "int8", "calibration-file", path, NULL), CAPS);
  GstMessage *message = pop_message (int8->element, GST_MESSAGE_INFO);
  g_autoptr (GError) remark = NULL;
  GArray *a, *b;

  gst_message_parse_info (message, &remark, NULL);
  g_assert_nonnull (strstr (remark->message, "int8 runs on "));
  gst_message_unref (message);
  assert_no_message (fp32->element, GST_MESSAGE_INFO);
  message = pop_message (int8->element, GST_MESSAGE_ELEMENT);
  g_assert_cmpstr (
      gst_structure_get_string (gst_message_get_structure (message), "precision"), ==, "int8");
  gst_message_unref (message);
  a = infer_picture (fp32, CAPS);
  b = infer_picture (int8, CAPS);
  g_assert_cmpuint (a->len, >, 0);
  g_assert_cmpuint (b->len, >, 0);
  /* detections of random weights change more by rounding than those of a trained
   * network */
  assert_same_detections (a, b, 0, 0, 6, .12);
  g_array_unref (a);
  g_array_unref (b);
  infer_teardown (fp32);
  infer_teardown (int8);
}

static void
test_warnings (void)
{
  g_autofree gchar *path = in_folder ("warned.int8");
  GstHarness *h =
      infer_harness (infer_new ("calibrate", path, "calibration-frames", "50", NULL), CAPS);

  push_stream (h, 3);
  check_message (
      h->element, GST_MESSAGE_WARNING, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, "had 3 frames");
  g_assert_true (g_file_test (path, G_FILE_TEST_IS_REGULAR));
  infer_teardown (h);

  h = infer_harness (
      infer_new ("calibrate", path, "calibration-frames", "3", "confidence-threshold", "1", NULL),
      CAPS);
  push_stream (h, 3);
  check_message (h->element, GST_MESSAGE_WARNING, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
      "nothing was detected");
  infer_teardown (h);
}

static void
test_errors (void)
{
  g_autofree gchar *missing = g_build_filename (folder, "missing", "deep.int8", NULL),
                   *path = in_folder ("none.int8");
  g_autofree gchar *pipe = in_folder ("pipe.int8");
  const gchar *wrong[] = { missing, folder, pipe };
  GstHarness *h;
  guint i;

  g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
  /* wrong settings are told before anything has been measured */
  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    GstElement *element = gst_object_ref_sink (infer_new ("calibrate", wrong[i], NULL));

    g_assert_cmpint (
        gst_element_set_state (element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
    check_message (
        element, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_WRITE, wrong[i]);
    infer_free (element);
  }
  g_unlink (pipe);

  /* a stream that ends before it begins */
  h = infer_harness (infer_new ("calibrate", path, NULL), CAPS);
  push_stream (h, 0);
  check_message (
      h->element, GST_MESSAGE_ERROR, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, "no frame");
  infer_teardown (h);
}

static void
check_refused (const gchar *table, GQuark domain, gint code, const gchar *part)
{
  GstElement *element =
      gst_object_ref_sink (infer_new ("precision", "int8", "calibration-file", table, NULL));

  g_assert_cmpint (
      gst_element_set_state (element, GST_STATE_PLAYING), ==, GST_STATE_CHANGE_FAILURE);
  check_message (element, GST_MESSAGE_ERROR, domain, code, part);
  assert_no_message (element, GST_MESSAGE_ERROR);
  infer_free (element);
}

static void
test_tables (void)
{
  g_autofree gchar *path = calibrate ("good.int8"), *bad = in_folder ("bad.int8"), *text = NULL,
                   *other = NULL;
  g_autofree gchar *edited = NULL;
  const gchar *range;
  GstHarness *h;
  gsize size;

  check_refused ("", GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "calibrate=");
  check_refused ("/nowhere/at/all.int8", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
      "/nowhere/at/all.int8");
  check_refused (folder, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ, "is a directory");
  g_assert_true (g_file_get_contents (path, &text, &size, NULL));
  g_assert_true (g_file_set_contents (bad, text, size / 2, NULL));
  check_refused (bad, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, bad);
  other = g_strdup (text);
  memset (strstr (other, "\nmodel ") + 7, 'a', 64);
  g_assert_true (g_file_set_contents (bad, other, size, NULL));
  check_refused (bad, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "another model");
  g_assert_true (g_file_set_contents (bad, "\177ELF", 4, NULL));
  check_refused (bad, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "no calibration table");

  /* that a range was edited is told, and the range is used */
  range = strstr (text, "\nrange ") + 7;
  edited = g_strdup_printf ("%.*s -1 1e9\n%s", (gint) (strchr (range, ' ') - text), text,
      strchr (range, '\n') + 1);
  g_assert_true (g_file_set_contents (bad, edited, -1, NULL));
  h = infer_harness (infer_new ("precision", "int8", "calibration-file", bad, NULL), CAPS);
  check_message (h->element, GST_MESSAGE_WARNING, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "ranges from -1 to 1e9");
  g_array_unref (infer_picture (h, CAPS));
  assert_no_message (h->element, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  infer_teardown (h);
}

/* The progress goes up to all frames, and the progress message that was begun ends. */
static void
test_progress (void)
{
  g_autofree gchar *path = in_folder ("progress.int8");
  GstHarness *h =
      infer_harness (infer_new ("calibrate", path, "calibration-frames", "12", NULL), CAPS);
  GstBus *bus = gst_element_get_bus (h->element);
  GstMessage *message;
  gdouble last = 0;
  guint last_frames = 0, n = 0, n_shown = 0;
  gboolean ended = FALSE, in_layers = FALSE;

  push_stream (h, 12);
  while ((message = gst_bus_pop (bus))) {
    GstProgressType type;

    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_PROGRESS) {
      gst_message_parse_progress (message, &type, NULL, NULL);
      g_assert_false (ended);
      g_assert_true ((n_shown == 0) == (type == GST_PROGRESS_TYPE_START));
      ended = type == GST_PROGRESS_TYPE_COMPLETE;
      n_shown++;
    } else if (gst_message_has_name (message, "yoloinfer-calibration-progress")) {
      const GstStructure *s = gst_message_get_structure (message);
      gdouble share, left;
      guint frames, of;

      g_assert_true (gst_structure_get (s, "frames", G_TYPE_UINT, &frames, "of", G_TYPE_UINT, &of,
          "share", G_TYPE_DOUBLE, &share, "seconds-left", G_TYPE_DOUBLE, &left, NULL));
      g_assert_cmpuint (of, ==, 12);
      g_assert_true (frames >= last_frames && frames <= 12 && share >= last && share <= 1);
      in_layers |= g_strcmp0 (gst_structure_get_string (s, "phase"), "layers") == 0;
      last = share;
      last_frames = frames;
      n++;
    }
    gst_message_unref (message);
  }
  g_assert_cmpuint (n, >, 3);
  /* it is told at each 5 %, however many layers there are, or more often if it takes
   * seconds */
  g_assert_cmpuint (n, <=, 24);
  g_assert_true (ended && in_layers);
  g_assert_cmpuint (last_frames, ==, 12);
  gst_object_unref (bus);
  infer_teardown (h);
}

/* Frames pass as they came: the network runs for the table alone. */
static void
test_passes (void)
{
  g_autofree gchar *path = in_folder ("passes.int8");
  GstHarness *h = infer_harness (infer_new ("calibrate", path, NULL), CAPS);
  GArray *found = infer_picture (h, CAPS);

  g_assert_cmpuint (found->len, ==, 0);
  g_array_unref (found);
  infer_teardown (h);
}

/* A calibration is stopped before the stream has ended, or while the table is made:
 * then the table of the frames so far is written, or an error says that there is none. */
static void
test_stopped (void)
{
  const struct { guint pushed, wanted; gboolean table; } cases[] = {
    {0, 20, FALSE}, {1, 20, FALSE}, {3, 3, FALSE}, {12, 20, TRUE}, {12, 12, TRUE},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = in_folder ("stopped.int8"),
                     *wanted = g_strdup_printf ("%u", cases[i].wanted), *text = NULL;
    GstHarness *h = infer_harness (
        infer_new ("calibrate", path, "calibration-frames", wanted, "max-loss", "0", NULL), CAPS);
    GstElement *element = h->element;
    GstVideoInfo info;
    guint k;

    make_info (CAPS, &info);
    for (k = 0; k < cases[i].pushed; k++) {
      GstBuffer *buffer = make_picture (&info);

      GST_BUFFER_PTS (buffer) = k * GST_SECOND / 4;
      g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
      gst_buffer_unref (gst_harness_pull (h));
    }
    gst_element_set_state (element, GST_STATE_READY);
    if (cases[i].table) {
      /* the calibration that had all frames may have ended before it was stopped */
      if (cases[i].pushed < cases[i].wanted)
        check_message (element, GST_MESSAGE_WARNING, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
            "interrupted after 12 of 20");
      g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
      g_assert_true (g_str_has_suffix (text, "\nend\n"));
      if (cases[i].pushed < cases[i].wanted)
        g_assert_nonnull (strstr (text, "\n# The calibration was interrupted"));
    } else if (cases[i].pushed > 0 && cases[i].pushed < cases[i].wanted) {
      check_message (element, GST_MESSAGE_ERROR, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
          "no calibration table");
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
    g_unlink (path);
    infer_teardown (h);
  }
}

int
main (int argc, char **argv)
{
  const gchar *name;
  GDir *files;
  int result;

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("yolo-int8-XXXXXX", NULL);
  g_test_add_func ("/infer/int8/calibrate", test_calibrate);
  g_test_add_func ("/infer/int8/run", test_run);
  g_test_add_func ("/infer/int8/warnings", test_warnings);
  g_test_add_func ("/infer/int8/errors", test_errors);
  g_test_add_func ("/infer/int8/tables", test_tables);
  g_test_add_func ("/infer/int8/progress", test_progress);
  g_test_add_func ("/infer/int8/passes", test_passes);
  g_test_add_func ("/infer/int8/stopped", test_stopped);
  result = g_test_run ();
  files = g_dir_open (folder, 0, NULL);
  while ((name = g_dir_read_name (files))) {
    g_autofree gchar *path = in_folder (name);
    g_unlink (path);
  }
  g_dir_close (files);
  g_rmdir (folder);
  g_free (folder);
  return result;
}
