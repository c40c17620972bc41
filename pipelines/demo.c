/* SPDX-License-Identifier: MIT */
/* The demo: a video through the network, drawn upon and written down, with
 * progress on the terminal and a summary at the end. demo.sh calls it.
 *
 *   demo MODEL VIDEO FOLDER
 *
 * VIDEO is a file or a URI. Leaves annotated.mp4, detections.jsonl and
 * summary.txt in FOLDER. Ctrl-C ends it early with all three complete. */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <glib-unix.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include "base/text.h"

#define LONGEST_WAIT 30         /* seconds for the first frame, once the model is loaded */
#define MAX_NAME 60             /* bytes of a class's name that are shown */

/* What was seen of one class over the whole video. */
typedef struct {
  GQuark label;
  char *name;                   /* the label as it may be shown; owned */
  guint now;                    /* how many in the last frame */
  guint most;                   /* the most in one frame */
  guint64 frames;               /* in which it was seen */
  guint64 detections;
} Seen;

typedef struct {
  GMainLoop *loop;
  GstElement *pipeline, *infer;
  gboolean terminal;            /* progress overwrites its line */
  gboolean interrupted, failed;
  gint64 printed;               /* us, when progress was last printed */
  GstStructure *model;          /* owned; what yoloinfer says of its model; NULL: nothing yet */

  GMutex lock;                  /* guards what follows, which the streaming thread writes */
  GArray *seen;                 /* Seen, in order of appearance */
  guint64 frames;
  gint64 started;               /* us, when the first frame came */
  gint width, height;
} Demo;

static void
seen_clear (gpointer data)
{
  g_free (((Seen *) data)->name);
}

static Seen *
find_seen (Demo *demo, GQuark label)
{
  Seen fresh = { .label = label };
  guint i;

  for (i = 0; i < demo->seen->len; i++)
    if (g_array_index (demo->seen, Seen, i).label == label)
      return &g_array_index (demo->seen, Seen, i);
  fresh.name = yolo_text_printable (g_quark_to_string (label), MAX_NAME);
  g_array_append_val (demo->seen, fresh);
  return &g_array_index (demo->seen, Seen, demo->seen->len - 1);
}

static void
count_frame (Demo *demo, GstBuffer *buffer)
{
  GstVideoRegionOfInterestMeta *roi;
  gpointer state = NULL;
  guint i;

  if (demo->frames++ == 0)
    demo->started = g_get_monotonic_time ();
  for (i = 0; i < demo->seen->len; i++)
    g_array_index (demo->seen, Seen, i).now = 0;
  while ((roi = (GstVideoRegionOfInterestMeta *) gst_buffer_iterate_meta_filtered (buffer, &state,
              GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)))
    if (gst_video_region_of_interest_meta_get_param (roi, "detection"))
      find_seen (demo, roi->roi_type)->now++;
  for (i = 0; i < demo->seen->len; i++) {
    Seen *seen = &g_array_index (demo->seen, Seen, i);

    seen->detections += seen->now;
    seen->frames += seen->now > 0;
    seen->most = MAX (seen->most, seen->now);
  }
}

static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Demo *demo = user_data;

  g_mutex_lock (&demo->lock);
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    count_frame (demo, GST_PAD_PROBE_INFO_BUFFER (info));
  } else if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_CAPS) {
    GstCaps *caps;

    gst_event_parse_caps (GST_PAD_PROBE_INFO_EVENT (info), &caps);
    gst_structure_get_int (gst_caps_get_structure (caps, 0), "width", &demo->width);
    gst_structure_get_int (gst_caps_get_structure (caps, 0), "height", &demo->height);
  }
  g_mutex_unlock (&demo->lock);
  return GST_PAD_PROBE_OK;
}

static gboolean
has_begun (Demo *demo)
{
  gboolean begun;

  g_mutex_lock (&demo->lock);
  begun = demo->frames > 0;
  g_mutex_unlock (&demo->lock);
  return begun;
}

/* Frames per second since the first frame. Called with the lock held. */
static double
mean_fps (Demo *demo)
{
  gint64 elapsed = g_get_monotonic_time () - demo->started;

  return demo->frames > 1 && elapsed > 0 ? (demo->frames - 1) * 1e6 / elapsed : 0;
}

/* "31 % ", the share of the video that is done, or nothing where the length is not
 * known. */
static char *
describe_place (Demo *demo)
{
  gint64 position, duration;

  if (gst_element_query_position (demo->pipeline, GST_FORMAT_TIME, &position)
      && gst_element_query_duration (demo->pipeline, GST_FORMAT_TIME, &duration)
      && position >= 0 && duration > 0)
    return g_strdup_printf ("%3d %%  ", (int) MIN (100, 100. * position / duration));
  return g_strdup ("");
}

static gboolean
print_progress (gpointer user_data)
{
  Demo *demo = user_data;
  gint64 now = g_get_monotonic_time ();
  g_autofree char *place = NULL;
  g_autoptr (GString) view = g_string_new (NULL);
  guint i;

  /* a log is not a terminal: it gets a line every five seconds */
  if (!has_begun (demo) || (!demo->terminal && now - demo->printed < 5 * G_USEC_PER_SEC))
    return G_SOURCE_CONTINUE;
  demo->printed = now;

  place = describe_place (demo);
  g_mutex_lock (&demo->lock);
  for (i = 0; i < demo->seen->len; i++) {
    const Seen *seen = &g_array_index (demo->seen, Seen, i);

    if (seen->now > 0)
      g_string_append_printf (view, "%s%u %s", view->len ? ", " : "", seen->now,
          seen->name);
  }
  g_print ("%s%sframe %" G_GUINT64_FORMAT "  %.1f fps  in view: %s%s",
      demo->terminal ? "\r\033[K" : "", place, demo->frames, mean_fps (demo),
      view->len ? view->str : "nothing", demo->terminal ? "" : "\n");
  g_mutex_unlock (&demo->lock);
  return G_SOURCE_CONTINUE;
}

/* Gives up if no frame has come: for a video that is cut short there may be neither
 * frames nor an error, which decodebin of 1.22 can lose on its way. */
static gboolean
stop_waiting (gpointer user_data)
{
  Demo *demo = user_data;

  if (!has_begun (demo))
    g_main_loop_quit (demo->loop);
  return G_SOURCE_REMOVE;
}

/* The first signal ends the video here; whoever sends a second one does not want to
 * wait. */
static gboolean
on_signal (gpointer user_data)
{
  Demo *demo = user_data;

  if (demo->interrupted || !has_begun (demo)) {
    g_main_loop_quit (demo->loop);
  } else {
    g_printerr ("%sending here\n", demo->terminal ? "\r\033[K" : "");
    gst_element_send_event (demo->pipeline, gst_event_new_eos ());
  }
  demo->interrupted = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer user_data)
{
  Demo *demo = user_data;
  const GstStructure *s = gst_message_get_structure (message);

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:{
      g_autoptr (GError) error = NULL;
      g_autofree char *debug = NULL;

      if (!demo->failed) {      /* further errors follow from the first */
        const char *last;

        /* the last line of the debug text names the file */
        gst_message_parse_error (message, &error, &debug);
        last = debug != NULL ? strrchr (g_strchomp (debug), '\n') : NULL;
        g_printerr ("%sdemo: %s%s%s%s\n", demo->terminal ? "\r\033[K" : "", error->message,
            last ? " (" : "", last ? last + 1 : "", last ? ")" : "");
      }
      demo->failed = TRUE;
      g_main_loop_quit (demo->loop);
      break;
    }
    case GST_MESSAGE_EOS:
      g_main_loop_quit (demo->loop);
      break;
    case GST_MESSAGE_ELEMENT:
      if (gst_structure_has_name (s, "yoloinfer-model") && demo->model == NULL) {
        demo->model = gst_structure_copy (s);
        g_print ("running on %s in %s; Ctrl-C ends early\n", gst_structure_get_string (s, "device"),
            gst_structure_get_string (s, "precision"));
      }
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

static void
describe_stage (GString *text, const GstStructure *stats, const char *stage)
{
  static const char *const percents[] = { "p50", "p95", "p99" };
  guint64 ns;
  guint i;

  g_string_append_printf (text, "  %-12s", stage);
  for (i = 0; i < G_N_ELEMENTS (percents); i++) {
    g_autofree char *name = g_strdup_printf ("%s-%s", stage, percents[i]);

    if (gst_structure_get_uint64 (stats, name, &ns))
      g_string_append_printf (text, "  %s %8.2f", percents[i], ns / 1e6);
  }
  g_string_append_c (text, '\n');
}

static char *
summarise (Demo *demo, const char *video)
{
  static const char *const stages[] = { "queued", "preprocess", "network", "postprocess", "total" };
  GString *text = g_string_new (NULL);
  g_autoptr (GstStructure) stats = NULL;
  const char *input = NULL;
  guint i;

  g_object_get (demo->infer, "stats", &stats, NULL);
  input = gst_structure_get_string (stats, "input-size");
  if (input == NULL)
    input = gst_structure_get_string (demo->model, "input-size");
  g_string_append_printf (text, "model       %s\n", gst_structure_get_string (demo->model, "file"));
  g_string_append_printf (text, "video       %s, %dx%d\n", video, demo->width, demo->height);
  g_string_append_printf (
      text, "device      %s\n", gst_structure_get_string (demo->model, "device"));
  g_string_append_printf (text, "precision   %s\n",
      gst_structure_get_string (demo->model, "precision"));
  g_string_append_printf (text, "input size  %s\n", input);
  g_string_append_printf (text, "frames      %" G_GUINT64_FORMAT "%s\n", demo->frames,
      demo->interrupted ? ", ended early" : "");
  g_string_append_printf (text, "fps         %.1f, with decoding, drawing and encoding\n",
      mean_fps (demo));
  g_string_append (text, "detections\n");
  for (i = 0; i < demo->seen->len; i++) {
    const Seen *seen = &g_array_index (demo->seen, Seen, i);

    g_string_append_printf (text, "  %-12s  %" G_GUINT64_FORMAT " in %" G_GUINT64_FORMAT
        " frames, at most %u in one\n", seen->name, seen->detections,
        seen->frames, seen->most);
  }
  if (demo->seen->len == 0)
    g_string_append (text, "  none\n");
  g_string_append (text, "latency in ms\n");
  for (i = 0; i < G_N_ELEMENTS (stages); i++)
    describe_stage (text, stats, stages[i]);
  return g_string_free (text, FALSE);
}

static GstElement *
make_pipeline (GError **error)
{
  /* x264enc is GPL, openh264enc BSD; either may be missing */
  static const struct { const char *name, *launch; } encoders[] = {
    { "x264enc", "x264enc speed-preset=veryfast" },
    { "openh264enc", "openh264enc" },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (encoders); i++) {
    g_autoptr (GstElementFactory) factory = gst_element_factory_find (encoders[i].name);
    g_autofree char *launch = NULL;

    if (factory == NULL)
      continue;
    /* Frames are turned upright first, since the muxer does not write their
     * orientation, and encoded as every player takes it. Fragments make what has been
     * written playable even after a crash; the end of the stream turns them into a
     * plain file. */
    launch = g_strdup_printf ("uridecodebin name=source ! video/x-raw ! queue ! "
                              "videoconvert ! videoflip video-direction=auto ! yoloinfer "
                              "name=infer input-size=auto ! queue ! "
                              "yoloexport name=export format=json-lines ! yolooverlay ! "
                              "videoconvert ! video/x-raw,format=I420 ! queue ! "
                              "%s ! h264parse ! mp4mux fragment-duration=1000 "
                              "fragment-mode=first-moov-then-finalise ! filesink name=file",
        encoders[i].launch);
    return gst_parse_launch_full (launch, NULL, GST_PARSE_FLAG_FATAL_ERRORS, error);
  }
  g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN,
      "there is no H.264 encoder (apt-get install gstreamer1.0-plugins-ugly)");
  return NULL;
}

/* Sets a string property of the pipeline's element of that name. */
static void
set_string (GstElement *pipeline, const char *element, const char *property, const char *value)
{
  g_autoptr (GstElement) target = gst_bin_get_by_name (GST_BIN (pipeline), element);

  g_object_set (target, property, value, NULL);
}

static gboolean
run (Demo *demo, const char *model, const char *video, const char *folder, GError **error)
{
  g_autofree char *uri = gst_uri_is_valid (video) ? g_strdup (video)
      : gst_filename_to_uri (video, error);
  g_autofree char *movie = g_build_filename (folder, "annotated.mp4", NULL);
  g_autofree char *lines = g_build_filename (folder, "detections.jsonl", NULL);
  g_autofree char *summary = g_build_filename (folder, "summary.txt", NULL);
  g_autofree char *text = NULL;
  g_autoptr (GstPad) pad = NULL;
  g_autoptr (GstBus) bus = NULL;

  if (uri == NULL)
    return FALSE;
  demo->pipeline = make_pipeline (error);
  if (demo->pipeline == NULL)
    return FALSE;
  set_string (demo->pipeline, "source", "uri", uri);
  set_string (demo->pipeline, "infer", "model-file", model);
  set_string (demo->pipeline, "export", "location", lines);
  set_string (demo->pipeline, "file", "location", movie);

  demo->infer = gst_bin_get_by_name (GST_BIN (demo->pipeline), "infer");
  pad = gst_element_get_static_pad (demo->infer, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      on_data, demo, NULL);
  bus = gst_element_get_bus (demo->pipeline);
  gst_bus_add_watch (bus, on_message, demo);

  /* the model is loaded first, for a wrong one must not empty the files of an earlier
   * run */
  if (gst_element_set_state (demo->infer, GST_STATE_PAUSED) != GST_STATE_CHANGE_FAILURE)
    gst_element_set_state (demo->pipeline, GST_STATE_PLAYING);
  g_timeout_add_seconds (LONGEST_WAIT, stop_waiting, demo);
  g_main_loop_run (demo->loop);
  gst_bus_remove_watch (bus);
  if (demo->terminal)
    g_print ("\r\033[K");

  if (!demo->failed && demo->model && demo->frames > 0)
    text = summarise (demo, video);
  gst_element_set_state (demo->pipeline, GST_STATE_NULL);
  if (demo->failed)
    return FALSE;
  if (text == NULL) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, demo->interrupted
        ? "ended before the first frame" : "%s holds no picture", video);
    return FALSE;
  }
  g_print ("%s\n%s\n%s\n%s\n", text, movie, lines, summary);
  return g_file_set_contents (summary, text, -1, error);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  Demo demo = { 0, };
  gboolean ok;

  gst_init (&argc, &argv);
  if (argc != 4) {
    g_printerr ("usage: %s MODEL VIDEO FOLDER\n", argv[0]);
    return 2;
  }
  if (g_mkdir_with_parents (argv[3], 0777) < 0) {
    g_printerr ("demo: %s: %s\n", argv[3], g_strerror (errno));
    return 1;
  }
  demo.terminal = isatty (STDOUT_FILENO);
  demo.seen = g_array_new (FALSE, FALSE, sizeof (Seen));
  g_array_set_clear_func (demo.seen, seen_clear);
  demo.loop = g_main_loop_new (NULL, FALSE);
  g_mutex_init (&demo.lock);
  g_unix_signal_add (SIGINT, on_signal, &demo);
  g_unix_signal_add (SIGTERM, on_signal, &demo);
  g_timeout_add (250, print_progress, &demo);

  ok = run (&demo, argv[1], argv[2], argv[3], &error);
  if (error)
    g_printerr ("demo: %s\n", error->message);

  gst_clear_object (&demo.infer);
  gst_clear_object (&demo.pipeline);
  g_clear_pointer (&demo.model, gst_structure_free);
  g_main_loop_unref (demo.loop);
  g_array_free (demo.seen, TRUE);
  g_mutex_clear (&demo.lock);
  return ok ? 0 : 1;
}
