/* SPDX-License-Identifier: MIT */
/* yoloinfer in real pipelines: states, seeks, several streams, failures beside it. */

#include "infer-common.h"

#include <gst/base/gstpushsrc.h>
#include <string.h>

#define CAPS "video/x-raw,format=NV12,width=160,height=120,framerate=30/1"

/* Parses a description in which YOLOINFER stands for the element with MODEL. */
static GstElement *
parse (const gchar *description)
{
  g_autofree gchar *model = data_path (MODEL), *option = NULL, *text = NULL;
  g_auto (GStrv) parts = g_strsplit (description, "YOLOINFER", -1);
  g_autoptr (GError) error = NULL;
  GstElement *pipeline;

  option = g_strdup_printf ("yoloinfer model-file=\"%s\"", model);
  text = g_strjoinv (option, parts);
  pipeline = gst_parse_launch (text, &error);
  g_assert_no_error (error);
  return pipeline;
}

static GstMessageType
wait_for_end (GstElement *pipeline, gchar **text)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered (bus, 100 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  GstMessageType type;

  g_assert_nonnull (message);
  type = GST_MESSAGE_TYPE (message);
  if (type == GST_MESSAGE_ERROR) {
    g_autoptr (GError) error = NULL;
    g_autofree gchar *debug = NULL;

    gst_message_parse_error (message, &error, &debug);
    g_test_message ("%s: %s (%s)", GST_OBJECT_NAME (message->src), error->message, debug);
    if (text)
      *text = g_strdup (GST_OBJECT_NAME (message->src));
  }
  gst_message_unref (message);
  gst_object_unref (bus);
  return type;
}

/* Ends the pipeline, which nobody else may hold then. But GStreamer's thread that has taken it on
 * to PLAYING lets go of it after it has let the next change of state begin, and the system may stop
 * that thread in between. */
static void
stop (GstElement *pipeline)
{
  g_assert_cmpint (gst_element_set_state (pipeline, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  for (guint i = 0; i < 10000 && GST_OBJECT_REFCOUNT_VALUE (pipeline) > 1; i++)
    g_usleep (1000);
  g_assert_cmpint (GST_OBJECT_REFCOUNT_VALUE (pipeline), ==, 1);
  gst_object_unref (pipeline);
}

static guint64
count_in (GstElement *pipeline, const gchar *name, const gchar *field)
{
  g_autoptr (GstElement) element = gst_bin_get_by_name (GST_BIN (pipeline), name);

  g_assert_nonnull (element);
  return infer_count (element, field);
}

static guint
n_threads (void)
{
  GDir *dir = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  g_assert_nonnull (dir);
  while (g_dir_read_name (dir))
    n++;
  g_dir_close (dir);
  return n;
}

static void
count (GstElement *sink, GstBuffer *buffer, GstPad *pad, gint *n)
{
  g_atomic_int_inc (n);
}

/* Counts the buffers that a fakesink sees. */
static void
count_buffers (GstElement *pipeline, const gchar *name, gint *n)
{
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), name);

  *n = 0;
  g_object_set (sink, "signal-handoffs", TRUE, NULL);
  g_signal_connect (sink, "handoff", G_CALLBACK (count), n);
  gst_object_unref (sink);
}

static void
test_eos (void)
{
  GstElement *pipeline = parse ("videotestsrc num-buffers=100 ! " CAPS
      " ! YOLOINFER name=y max-in-flight=16 ! fakesink name=sink");
  gint n;

  count_buffers (pipeline, "sink", &n);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_assert_cmpint (wait_for_end (pipeline, NULL), ==, GST_MESSAGE_EOS);
  g_assert_cmpint (n, ==, 100);
  g_assert_cmpuint (count_in (pipeline, "y", "inferred"), ==, 100);
  stop (pipeline);
}

static GstPadProbeReturn
drop_metadata (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  GstBuffer *copy = gst_buffer_new ();

  gst_buffer_copy_into (copy, GST_PAD_PROBE_INFO_BUFFER (info),
      GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS | GST_BUFFER_COPY_MEMORY, 0, -1);
  gst_buffer_unref (GST_PAD_PROBE_INFO_BUFFER (info));
  GST_PAD_PROBE_INFO_DATA (info) = copy;
  return GST_PAD_PROBE_OK;
}

/* Where an element drops all metadata, the elements behind know that something was
 * found, and name that one; where nothing is found they say nothing. */
static void
test_lost (void)
{
  static const gchar *thresholds[] = { "0.001", "1" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (thresholds); i++) {
    g_autofree gchar *text = g_strdup_printf (
        "videotestsrc num-buffers=3 ! " CAPS
        " ! YOLOINFER confidence-threshold=%s ! queue ! videoconvert name=converter "
        "! video/x-raw,format=RGB ! identity name=dropper ! yolooverlay name=overlay ! fakesink",
        thresholds[i]);
    GstElement *pipeline = parse (text);
    GstElement *dropper = gst_bin_get_by_name (GST_BIN (pipeline), "dropper");
    GstPad *pad = gst_element_get_static_pad (dropper, "src");
    GstBus *bus = gst_element_get_bus (pipeline);
    GstMessage *warning;

    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, drop_metadata, NULL, NULL);
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    warning = gst_bus_timed_pop_filtered (bus, 100 * GST_SECOND,
        GST_MESSAGE_WARNING | GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
    g_assert_nonnull (warning);
    g_assert_cmpint (
        GST_MESSAGE_TYPE (warning), ==, i == 0 ? GST_MESSAGE_WARNING : GST_MESSAGE_EOS);
    if (i == 0) {
      g_autoptr (GError) error = NULL;

      gst_message_parse_warning (warning, &error, NULL);
      g_assert_nonnull (strstr (error->message, "do not arrive at \"overlay\""));
      g_assert_nonnull (strstr (error->message, "(converter)"));
    }
    gst_message_unref (warning);
    gst_object_unref (bus);
    gst_object_unref (pad);
    gst_object_unref (dropper);
    stop (pipeline);
  }
}

/* To and fro between all states, with frames under way, and from any state in between. */
static void
test_states (void)
{
  GstElement *pipeline = parse ("videotestsrc ! " CAPS
      " ! YOLOINFER max-in-flight=4 ! fakesink sync=false");
  /* GStreamer loses a change to PLAYING or PAUSED that comes while another such
   * one is being completed; down to READY and NULL it goes at any time. */
  static const struct { GstState state; gboolean wait; } steps[] = {
    {GST_STATE_PLAYING, TRUE}, {GST_STATE_PAUSED, TRUE}, {GST_STATE_PLAYING, FALSE},
    {GST_STATE_READY, TRUE}, {GST_STATE_PLAYING, FALSE}, {GST_STATE_NULL, TRUE},
    {GST_STATE_PAUSED, FALSE}, {GST_STATE_READY, TRUE},
  };
  guint before = 0, i, k;

  for (i = 0; i < 100; i++) {
    for (k = 0; k < G_N_ELEMENTS (steps); k++) {
      g_assert_cmpint (gst_element_set_state (pipeline, steps[k].state), !=,
          GST_STATE_CHANGE_FAILURE);
      if (steps[k].wait)
        g_assert_cmpint (gst_element_get_state (pipeline, NULL, NULL, 100 * GST_SECOND), ==,
            GST_STATE_CHANGE_SUCCESS);
      else
        g_usleep (500 * (i % 10));
    }
    /* in READY the tasks are gone, while what libraries keep for good has been made */
    if (i == 10)
      before = n_threads ();
  }
  g_assert_cmpuint (n_threads (), <=, before + 2);
  stop (pipeline);
}

static void
test_seek (void)
{
  GstElement *pipeline = parse ("videotestsrc num-buffers=100000 ! " CAPS
      " ! YOLOINFER name=y max-in-flight=8 ! fakesink sync=false");
  gboolean playing = TRUE;
  guint i;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (i = 0; i < 50; i++) {
    /* a seek that does not flush waits for the sink, and a paused sink waits for ever */
    const gboolean flush = !playing || i % 3 != 2;

    g_assert_cmpint (gst_element_get_state (pipeline, NULL, NULL, 100 * GST_SECOND), ==,
        GST_STATE_CHANGE_SUCCESS);
    g_assert_true (gst_element_seek_simple (pipeline, GST_FORMAT_TIME,
            flush ? GST_SEEK_FLAG_FLUSH : GST_SEEK_FLAG_NONE, i * GST_SECOND));
    if (i % 7 == 0 || i % 7 == 3) {
      playing = i % 7 == 3;
      gst_element_set_state (pipeline, playing ? GST_STATE_PLAYING : GST_STATE_PAUSED);
    }
    g_usleep (1000 * (i % 12));
  }
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  gst_element_get_state (pipeline, NULL, NULL, 100 * GST_SECOND);
  g_assert_cmpuint (count_in (pipeline, "y", "frames"), >, 0);
  stop (pipeline);
}

/* A seek from the thread that pushes: the flush comes back to it. */
static GstPadProbeReturn
seek_once (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  gint *n = user_data;

  if (++*n == 20)
    g_assert_true (gst_pad_push_event (pad, gst_event_new_seek (1, GST_FORMAT_TIME,
                GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET, GST_SECOND)));
  return GST_PAD_PROBE_OK;
}

static void
test_seek_within_push (void)
{
  GstElement *pipeline = parse ("videotestsrc num-buffers=100000 ! " CAPS
      " ! YOLOINFER max-in-flight=4 ! fakesink name=sink sync=false");
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  GstPad *pad = gst_element_get_static_pad (sink, "sink");
  gint n = 0;

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, seek_once, &n, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_assert_cmpint (wait_for_end (pipeline, NULL), ==, GST_MESSAGE_EOS);
  /* the 30 frames of the new segment came after the seek */
  g_assert_cmpint (n, >=, 50);
  g_assert_cmpint (n, <=, 51);
  gst_object_unref (pad);
  gst_object_unref (sink);
  stop (pipeline);
}

static void
note_time (GstElement *sink, GstBuffer *buffer, GstPad *pad, GAsyncQueue *times)
{
  g_async_queue_push (times, GSIZE_TO_POINTER (g_get_monotonic_time ()));
}

static void
note_arrival (GstElement *identity, GstBuffer *buffer, GAsyncQueue *times)
{
  note_time (identity, buffer, NULL, times);
}

/* With few frames a second, a frame that had to wait for the next one would take half a
 * second, and all but the last would. On a busy machine some may. */
static void
test_live (void)
{
  GstElement *pipeline = parse ("videotestsrc is-live=true num-buffers=4 name=src ! "
      "video/x-raw,format=NV12,width=160,height=120,framerate=2/1 ! identity name=in ! "
      "YOLOINFER max-in-flight=16 ! fakesink name=sink sync=false");
  GstElement *in = gst_bin_get_by_name (GST_BIN (pipeline), "in");
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  GAsyncQueue *came = g_async_queue_new (), *left = g_async_queue_new ();
  gint64 shortest = G_MAXINT64;
  guint i;

  g_object_set (in, "signal-handoffs", TRUE, NULL);
  g_object_set (sink, "signal-handoffs", TRUE, NULL);
  /* identity's handoff has no pad */
  g_signal_connect (in, "handoff", G_CALLBACK (note_arrival), came);
  g_signal_connect (sink, "handoff", G_CALLBACK (note_time), left);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_assert_cmpint (wait_for_end (pipeline, NULL), ==, GST_MESSAGE_EOS);
  for (i = 0; i < 3; i++) {
    gint64 a = GPOINTER_TO_SIZE (g_async_queue_try_pop (came));
    gint64 b = GPOINTER_TO_SIZE (g_async_queue_try_pop (left));

    g_assert_true (a != 0 && b != 0);
    shortest = MIN (shortest, b - a);
  }
  g_test_message ("shortest %" G_GINT64_FORMAT " us", shortest);
  g_assert_cmpint (shortest, <, 400000);
  stop (pipeline);
  g_async_queue_unref (came);
  g_async_queue_unref (left);
  gst_object_unref (in);
  gst_object_unref (sink);
}

/* Streams of all shapes through one engine: all of them get through. That none is served much later
 * than another is tested where the batches are formed (tests/engine/batch.c): how far each has come
 * here depends on when the system lets its threads run. */
static void
test_shared (void)
{
  static const gchar *const caps[] = {
    "NV12,width=160,height=120", "I420,width=320,height=180", "RGB,width=64,height=200",
    "GRAY8,width=101,height=55"
  };
  g_autoptr (GString) text = g_string_new (NULL);
  GstElement *pipeline;
  gint n[4];
  guint i;

  for (i = 0; i < 4; i++)
    g_string_append_printf (text, "videotestsrc num-buffers=60 ! "
        "video/x-raw,framerate=30/1,format=%s ! YOLOINFER name=y%u max-in-flight=2 ! "
        "fakesink name=sink%u sync=false  ", caps[i], i, i);
  pipeline = parse (text->str);
  for (i = 0; i < 4; i++) {
    g_autofree gchar *sink = g_strdup_printf ("sink%u", i);

    count_buffers (pipeline, sink, &n[i]);
  }
  g_assert_cmpint (gst_element_set_state (pipeline, GST_STATE_PLAYING), !=,
      GST_STATE_CHANGE_FAILURE);
  g_assert_cmpint (wait_for_end (pipeline, NULL), ==, GST_MESSAGE_EOS);
  for (i = 0; i < 4; i++) {
    g_autofree gchar *name = g_strdup_printf ("y%u", i);

    g_assert_cmpint (n[i], ==, 60);
    g_assert_cmpuint (count_in (pipeline, name, "inferred"), ==, 60);
    g_assert_cmpuint (count_in (pipeline, name, "dropped"), ==, 0);
  }
  stop (pipeline);
}

/* A pipeline that fails does not touch another one on the same engine. */
static void
test_failing_neighbour (void)
{
  static const gchar *const bad[] = {
    "videotestsrc ! " CAPS " ! identity error-after=5 name=bad ! YOLOINFER ! fakesink",
    "videotestsrc ! " CAPS " ! YOLOINFER ! identity error-after=5 name=bad ! fakesink",
    "videotestsrc ! " CAPS " ! YOLOINFER roi=1000,1000,5,5 name=bad ! fakesink",
    "videotestsrc ! " CAPS " ! yoloinfer model-file=/nowhere.onnx name=bad ! fakesink",
  };
  GstElement *good = parse ("videotestsrc num-buffers=300 ! " CAPS
      " ! YOLOINFER name=y ! fakesink name=sink sync=false");
  gint n;
  guint i;

  count_buffers (good, "sink", &n);
  gst_element_set_state (good, GST_STATE_PLAYING);
  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    GstElement *pipeline = parse (bad[i]);
    g_autofree gchar *source = NULL;

    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    g_assert_cmpint (wait_for_end (pipeline, &source), ==, GST_MESSAGE_ERROR);
    g_assert_cmpstr (source, ==, "bad");
    stop (pipeline);
  }
  g_assert_cmpint (wait_for_end (good, NULL), ==, GST_MESSAGE_EOS);
  g_assert_cmpint (n, ==, 300);
  stop (good);
}

/* Branches in one pipeline: a stream that ends or stalls does not hold up the
 * batches of the other one. */
static void
test_ended_neighbour (void)
{
  GstElement *pipeline = parse (
      "videotestsrc num-buffers=5 ! " CAPS " ! YOLOINFER engine-id=e batch-size=2 "
      "batch-timeout=5000000000 ! fakesink sync=false "
      "videotestsrc num-buffers=50 ! " CAPS " ! YOLOINFER engine-id=e batch-size=2 "
      "batch-timeout=5000000000 ! fakesink sync=false");
  gint64 start;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  start = g_get_monotonic_time ();
  g_assert_cmpint (wait_for_end (pipeline, NULL), ==, GST_MESSAGE_EOS);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 5 * G_USEC_PER_SEC);
  stop (pipeline);
}

/* A source that would rather give memory that is not taken gives memory that is. */

#define PLAIN_CAPS "video/x-raw,format=GRAY8,width=64,height=64,framerate=30/1"

typedef GstPushSrc TestSrc;
typedef GstPushSrcClass TestSrcClass;
GType test_src_get_type (void);
G_DEFINE_TYPE (TestSrc, test_src, GST_TYPE_PUSH_SRC)

static GstStaticPadTemplate test_src_template = GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC,
    GST_PAD_ALWAYS,
    GST_STATIC_CAPS (
        "video/x-raw(memory:GLMemory),format=RGBA,width=64,height=64,framerate=30/1; "
        "video/x-raw(memory:DMABuf),format=NV12,width=64,height=64,framerate=30/1; " PLAIN_CAPS));

static GstFlowReturn
test_src_create (GstPushSrc *src, GstBuffer **buffer)
{
  *buffer = gst_buffer_new_allocate (NULL, 64 * 64, NULL);
  gst_buffer_memset (*buffer, 0, 0, -1);
  return GST_FLOW_OK;
}

static void
test_src_class_init (TestSrcClass *klass)
{
  klass->create = test_src_create;
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &test_src_template);
  gst_element_class_set_static_metadata (
      GST_ELEMENT_CLASS (klass), "source", "Source", "memory to choose", "tests");
}

static void
test_src_init (TestSrc *self)
{
}

static void
test_other_memory (void)
{
  GstElement *pipeline = parse ("YOLOINFER name=y ! fakesink"),
             *y = gst_bin_get_by_name (GST_BIN (pipeline), "y");
  GstElement *src = g_object_new (test_src_get_type (), "num-buffers", 2, NULL);
  g_autoptr (GstCaps) expected = gst_caps_from_string (PLAIN_CAPS);
  GstCaps *caps;
  GstPad *pad;

  gst_bin_add (GST_BIN (pipeline), src);
  g_assert_true (gst_element_link (src, y));
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_assert_cmpint (wait_for_end (pipeline, NULL), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (count_in (pipeline, "y", "inferred"), ==, 2);
  pad = gst_element_get_static_pad (y, "sink");
  caps = gst_pad_get_current_caps (pad);
  g_assert_true (gst_caps_is_equal (caps, expected));
  gst_caps_unref (caps);
  gst_object_unref (pad);
  gst_object_unref (y);
  stop (pipeline);
}

/* How often the network runs for `a` until it has run @n times more for `b`. */
static guint64
run_beside (GstElement *pipeline, guint n)
{
  const guint64 a = count_in (pipeline, "a", "inferred");
  const guint64 end = count_in (pipeline, "b", "inferred") + n;

  while (count_in (pipeline, "b", "inferred") < end)
    g_usleep (1000);
  return count_in (pipeline, "a", "inferred") - a;
}

/* Two streams that want more than there is time for have it by their weights, which change. The
 * network is slow, and much is under way, so that threads are always quick enough. */
static void
test_weights (void)
{
  const gchar *const stream = "videotestsrc ! " CAPS " ! YOLOINFER device=reference input-size=128 "
      "max-in-flight=16 batch-size=1 ";
  g_autofree gchar *text = g_strdup_printf ("%s name=a weight=3 ! fakesink sync=false "
      "%s name=b ! fakesink sync=false", stream, stream);
  GstElement *pipeline = parse (text);
  g_autoptr (GstElement) a = gst_bin_get_by_name (GST_BIN (pipeline), "a");
  g_autoptr (GstElement) b = gst_bin_get_by_name (GST_BIN (pipeline), "b");
  guint64 n;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  run_beside (pipeline, 4);
  n = run_beside (pipeline, 20);
  g_test_message ("three to one: %" G_GUINT64_FORMAT " to 20", n);
  g_assert_cmpuint (n, >=, 54);
  g_assert_cmpuint (n, <=, 66);
  g_object_set (a, "weight", 1., NULL);
  run_beside (pipeline, 4);
  n = run_beside (pipeline, 20);
  g_test_message ("one to one: %" G_GUINT64_FORMAT " to 20", n);
  g_assert_cmpuint (n, >=, 18);
  g_assert_cmpuint (n, <=, 22);
  /* more than there is time for: `b` always goes first */
  g_object_set (b, "min-rate", 1000., NULL);
  run_beside (pipeline, 4);
  n = run_beside (pipeline, 20);
  g_test_message ("a rate: %" G_GUINT64_FORMAT " to 20", n);
  g_assert_cmpuint (n, <=, 2);
  g_clear_object (&a);
  g_clear_object (&b);
  stop (pipeline);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/yoloinfer/pipelines/eos", test_eos);
  g_test_add_func ("/yoloinfer/pipelines/lost", test_lost);
  g_test_add_func ("/yoloinfer/pipelines/states", test_states);
  g_test_add_func ("/yoloinfer/pipelines/seek", test_seek);
  g_test_add_func ("/yoloinfer/pipelines/seek-within-push", test_seek_within_push);
  g_test_add_func ("/yoloinfer/pipelines/live", test_live);
  g_test_add_func ("/yoloinfer/pipelines/other-memory", test_other_memory);
  g_test_add_func ("/yoloinfer/pipelines/shared", test_shared);
  g_test_add_func ("/yoloinfer/pipelines/weights", test_weights);
  g_test_add_func ("/yoloinfer/pipelines/failing-neighbour", test_failing_neighbour);
  g_test_add_func ("/yoloinfer/pipelines/ended-neighbour", test_ended_neighbour);
  return g_test_run ();
}
