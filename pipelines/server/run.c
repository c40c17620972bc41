/* SPDX-License-Identifier: MIT */
#include "pipelines/server/run.h"

#include <string.h>

#include "pipelines/server/objects.h"
#include "pipelines/server/secret.h"
#include "pipelines/server/source.h"

/* Names of the elements that settings go to, and that are linked in this order. */
#define PACE "pace"             /* plays files at their own speed */
#define QUEUE "newest"          /* holds one frame; a newer one takes its place */
#define INFER "infer"
#define TRACK "track"
#define ZONES "zones"
#define TEE "tee"
#define PRIVACY "privacy"       /* stands for the overlays of both branches */

#define NTP_TO_UNIX 2208988800. /* seconds between NTP's epoch, 1900, and Unix's */
#define MAX_AGE 10.             /* seconds; what is older was made by a clock that goes wrong */

/* A run is held by the camera, by each job of the pool, and by the loop's seek. */
struct _YoloRun {
  gatomicrefcount references;
  GstElement *pipeline;
  GstElement *overlays[2];      /* (transfer none): in the pipeline */
  YoloCounts *counts;
  YoloSightings *sightings;
  char *zones, *zones_text;     /* owned; what yolozones was last told; NULL: not that one */
  YoloRunFunc func;
  gpointer user_data;
  gboolean is_file, loop;
  GstCaps *ntp;                 /* owned; what names NTP's time in a frame's metadata */
  gint live;                    /* atomic: frames come when they are made */
  guint64 frames_at_loop;       /* when the file last began */
  gint started;                 /* atomic: the start is over */
  gint stopping;                /* atomic */
};

static GMutex alive_lock;       /* guards n_alive */
static GCond alive_changed;
static guint n_alive;

static void
count_alive (int change)
{
  g_mutex_lock (&alive_lock);
  n_alive += change;
  g_cond_broadcast (&alive_changed);
  g_mutex_unlock (&alive_lock);
}

guint
yolo_run_n_alive (void)
{
  guint n;

  g_mutex_lock (&alive_lock);
  n = n_alive;
  g_mutex_unlock (&alive_lock);
  return n;
}

gboolean
yolo_run_wait (gint64 timeout)
{
  const gint64 end = g_get_monotonic_time () + timeout;
  gboolean none;

  g_mutex_lock (&alive_lock);
  while (n_alive > 0 && g_cond_wait_until (&alive_changed, &alive_lock, end));
  none = n_alive == 0;
  g_mutex_unlock (&alive_lock);
  return none;
}

static void
run_unref (YoloRun *run)
{
  if (!g_atomic_ref_count_dec (&run->references))
    return;
  gst_object_unref (run->pipeline);
  yolo_sightings_free (run->sightings);
  yolo_counts_pipeline (run->counts, -1);
  yolo_counts_unref (run->counts);
  g_free (run->zones);
  g_free (run->zones_text);
  gst_caps_unref (run->ntp);
  g_free (run);
  count_alive (-1);
}

/* What a thread of the pool does. */
typedef enum { JOB_START, JOB_LOOP, JOB_STOP } JobKind;

typedef struct {
  JobKind kind;
  YoloRun *run;                 /* a reference */
} Job;

static void
start (YoloRun *run)
{
  GstStateChangeReturn result = gst_element_set_state (run->pipeline, GST_STATE_PLAYING);

  /* Elements say why they fail; where one does not, somebody must. Behind it this is lost. */
  if (result == GST_STATE_CHANGE_FAILURE)
    GST_ELEMENT_ERROR (run->pipeline, CORE, STATE_CHANGE, ("the pipeline cannot start"), (NULL));
  g_atomic_int_set (&run->started, TRUE);
  /* It may have been ended between these two changes of state, and must not run then. */
  if (g_atomic_int_get (&run->stopping))
    gst_element_set_state (run->pipeline, GST_STATE_NULL);
}

/* Begins a file again; `pace` counts from the first frame behind a flush. */
static void
loop (YoloRun *run)
{
  g_autoptr (GstElement) pace = gst_bin_get_by_name (GST_BIN (run->pipeline), PACE);
  g_autoptr (GstPad) sink = gst_element_get_static_pad (pace, "sink");

  if (g_atomic_int_get (&run->stopping))
    return;
  if (!gst_pad_push_event (sink, gst_event_new_seek (1, GST_FORMAT_TIME,
              GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_KEY_UNIT, GST_SEEK_TYPE_SET, 0,
              GST_SEEK_TYPE_NONE, 0)))
    GST_ELEMENT_ERROR (run->pipeline, CORE, SEEK, ("the file cannot begin again"), (NULL));
}

static void
work (gpointer data, gpointer user_data)
{
  Job *job = data;
  YoloRun *run = job->run;

  switch (job->kind) {
    case JOB_START:
      start (run);
      break;
    case JOB_LOOP:
      loop (run);
      break;
    case JOB_STOP:
      gst_element_set_state (run->pipeline, GST_STATE_NULL);
      break;
  }
  run_unref (run);
  g_free (job);
}

static void
push (YoloRun *run, JobKind kind)
{
  static GThreadPool *pool;
  Job *job = g_new (Job, 1);

  /* Without a limit: a camera that hangs keeps its thread, and no other camera waits for it. */
  if (pool == NULL)
    pool = g_thread_pool_new (work, NULL, -1, FALSE, NULL);
  g_atomic_ref_count_inc (&run->references);
  *job = (Job) { kind, run };
  g_thread_pool_push (pool, job, NULL);
}

void
yolo_run_set_property (GstElement *element, const YoloValues *values, YoloKeyId key)
{
  const char *property = yolo_keys[key].property;
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), property);
  g_autofree char *csv = yolo_values_csv (values, key);

  if (spec == NULL)
    return;
  if (csv == NULL) {
    g_auto (GValue) initial = G_VALUE_INIT;
    g_value_init (&initial, spec->value_type);
    g_param_value_set_default (spec, &initial);
    g_object_set_property (G_OBJECT (element), property, &initial);
  } else if (spec->value_type == G_TYPE_STRING) {
    /* A list is CSV there; other texts are not. */
    g_object_set (element, property,
        yolo_keys[key].type == YOLO_TYPE_LIST ? csv : yolo_values_text (values, key), NULL);
  } else {
    gst_util_set_object_arg (G_OBJECT (element), property, yolo_values_text (values, key));
  }
}

/* Tells yolozones of other lines and zones: those of the text, or of the file, or none. */
static void
set_zones (YoloRun *run, const YoloValues *values)
{
  g_autoptr (GstElement) element = gst_bin_get_by_name (GST_BIN (run->pipeline), ZONES);
  const char *text = yolo_values_text (values, YOLO_KEY_ZONES_TEXT);
  const char *file = text == NULL ? yolo_values_text (values, YOLO_KEY_ZONES) : NULL;

  if (text == NULL && file == NULL)
    text = "{}";
  /* What is the same is not read again, so that counts of lines and zones go on. */
  if (element == NULL || (g_strcmp0 (text, run->zones_text) == 0
          && g_strcmp0 (file, run->zones) == 0))
    return;
  g_free (run->zones);
  g_free (run->zones_text);
  run->zones = g_strdup (file);
  run->zones_text = g_strdup (text);
  if (text != NULL)
    g_object_set (element, "config-text", text, NULL);
  else
    g_object_set (element, "config", file, NULL);
}

gboolean
yolo_run_check_zones (const char *text, GError **error)
{
  g_autoptr (GstElement) element = gst_element_factory_make ("yolozones", NULL);
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) why = NULL;

  if (element == NULL) {
    g_set_error_literal (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_FILE,
        "the element yolozones is missing; name this project's folder in GST_PLUGIN_PATH");
    return FALSE;
  }
  gst_object_ref_sink (element);
  gst_element_set_bus (element, bus);
  g_object_set (element, "config-text", text, NULL);
  /* It reads the text when it starts, and waits for nothing. */
  gst_element_set_state (element, GST_STATE_PAUSED);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_element_set_bus (element, NULL);
  if (message == NULL)
    return TRUE;
  gst_message_parse_error (message, &why, NULL);
  g_set_error_literal (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG, why->message);
  return FALSE;
}

/* Sets the properties of all keys, or of those that can change while the camera runs. */
static void
set_properties (YoloRun *run, const YoloValues *values, gboolean all)
{
  for (int i = YOLO_N_SERVER_KEYS; i < YOLO_N_KEYS; i++) {
    const char *name = yolo_keys[i].element;
    g_autoptr (GstElement) element = NULL;

    if (name == NULL || !(all || yolo_keys[i].live)
        || (all && values->value[i].raw == NULL))
      continue;
    if (strcmp (name, PRIVACY) == 0) {
      for (guint j = 0; j < G_N_ELEMENTS (run->overlays); j++)
        yolo_run_set_property (run->overlays[j], values, i);
    } else if ((element = gst_bin_get_by_name (GST_BIN (run->pipeline), name)) != NULL) {
      yolo_run_set_property (element, values, i);
    }
  }
}

void
yolo_run_apply (YoloRun *run, const YoloValues *values)
{
  set_zones (run, values);
  set_properties (run, values, FALSE);
}

static GstPadProbeReturn
on_came (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  YoloRun *run = user_data;

  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    yolo_counts_came (run->counts, GST_BUFFER_PTS (GST_PAD_PROBE_INFO_BUFFER (info)));
  } else if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_CAPS) {
    GstCaps *caps;
    GstStructure *format;
    gint width = 0, height = 0;

    gst_event_parse_caps (GST_PAD_PROBE_INFO_EVENT (info), &caps);
    format = gst_caps_get_structure (caps, 0);
    gst_structure_get_int (format, "width", &width);
    gst_structure_get_int (format, "height", &height);
    yolo_counts_size (run->counts, width, height);
  }
  return GST_PAD_PROBE_OK;
}

/* A camera's frames come when they are made, and those of all else as fast as they are read: they
 * have to wait for their time. Whether bins preroll does not tell the one from the other. */
static void
set_pace (YoloRun *run, GstPad *sink)
{
  g_autoptr (GstElement) pace = gst_pad_get_parent_element (sink);
  GstQuery *query = gst_query_new_latency ();
  gboolean live = FALSE;

  if (gst_pad_peer_query (sink, query))
    gst_query_parse_latency (query, &live, NULL, NULL);
  gst_query_unref (query);
  g_object_set (pace, "sync", !live, NULL);
  g_atomic_int_set (&run->live, live);
}

/* The end of the stream goes no further: the main thread says what comes then. */
static GstPadProbeReturn
on_decoded_event (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  YoloRun *run = user_data;

  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_CAPS)
    set_pace (run, pad);
  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) != GST_EVENT_EOS)
    return GST_PAD_PROBE_OK;
  gst_element_post_message (run->pipeline, gst_message_new_application (
          GST_OBJECT (run->pipeline), gst_structure_new_empty ("yolo-end")));
  return GST_PAD_PROBE_DROP;
}

static GstPadProbeReturn
on_taken (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  YoloRun *run = user_data;

  yolo_counts_taken (run->counts, GST_BUFFER_PTS (GST_PAD_PROBE_INFO_BUFFER (info)));
  return GST_PAD_PROBE_OK;
}

/* Seconds since the camera made a frame, by the time of its clock that its sender reports give;
 * less than 0: it does not tell, or its clock is not ours. */
static double
age_by_camera (const YoloRun *run, GstBuffer *buffer)
{
  const GstReferenceTimestampMeta *made =
      gst_buffer_get_reference_timestamp_meta (buffer, run->ntp);
  double age;

  if (made == NULL)
    return -1;
  age = g_get_real_time () / 1e6 + NTP_TO_UNIX - made->timestamp / 1e9;
  return age >= 0 && age <= MAX_AGE ? age : -1;
}

/* Seconds since a frame arrived, which is what the frames' times of a live source are. */
static double
age_by_arrival (YoloRun *run, GstPad *pad, GstBuffer *buffer)
{
  g_autoptr (GstClock) clock = gst_element_get_clock (run->pipeline);
  g_autoptr (GstEvent) event = gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);
  const GstSegment *segment;
  guint64 running;

  if (!g_atomic_int_get (&run->live) || clock == NULL || event == NULL)
    return -1;
  gst_event_parse_segment (event, &segment);
  running = gst_segment_to_running_time (segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
  if (!GST_CLOCK_TIME_IS_VALID (running))
    return -1;
  return GST_CLOCK_DIFF (gst_element_get_base_time (run->pipeline) + running,
      gst_clock_get_time (clock)) / 1e9;
}

/* The age of a frame, in seconds, by the best that is known; less than 0: nothing is.
 * @by_camera: (out): whether the camera has told it */
static double
age_of (YoloRun *run, GstPad *pad, GstBuffer *buffer, gboolean *by_camera)
{
  const double age = age_by_camera (run, buffer);

  *by_camera = age >= 0;
  return *by_camera ? age : age_by_arrival (run, pad, buffer);
}

static GstPadProbeReturn
on_inferred (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  YoloRun *run = user_data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  gboolean by_camera;
  const double age = age_of (run, pad, buffer, &by_camera);

  yolo_counts_inferred (
      run->counts, GST_BUFFER_PTS (buffer), yolo_objects_count (buffer), age, by_camera);
  return GST_PAD_PROBE_OK;
}

/* All is known of a frame; the branches for pictures have it next, in the same thread. */
static GstPadProbeReturn
on_known (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  YoloRun *run = user_data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  gboolean by_camera;

  if (yolo_sightings_look (run->sightings, buffer))
    yolo_counts_events (
        run->counts, GST_BUFFER_PTS (buffer), age_of (run, pad, buffer, &by_camera));
  return GST_PAD_PROBE_OK;
}

static void
add_probe (YoloRun *run, const char *name, const char *pad_name, GstPadProbeType type,
    GstPadProbeCallback callback)
{
  g_autoptr (GstElement) element = gst_bin_get_by_name (GST_BIN (run->pipeline), name);
  g_autoptr (GstPad) pad = gst_element_get_static_pad (element, pad_name);

  gst_pad_add_probe (pad, type, callback, run, NULL);
}

/* Makes an element and links it behind @last. */
static GstElement *
append (YoloRun *run, GstElement *last, const char *factory, const char *name, GError **error)
{
  GstElement *element = gst_element_factory_make (factory, name);

  if (element == NULL) {
    g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN,
        "the element %s is missing; install GStreamer's base plugins, and name this project's "
        "in GST_PLUGIN_PATH", factory);
    return NULL;
  }
  gst_bin_add (GST_BIN (run->pipeline), element);
  if (last != NULL)
    gst_element_link (last, element);
  return element;
}

/* Topics of Frigate's below that of a location, of which those of this camera have its name in
 * them: the broker says there whether it is connected. */
static void
set_frigate (GstElement *export, const char *location, const char *name,
    const YoloValues *values)
{
  g_autoptr (GUri) uri = g_uri_parse (location, G_URI_FLAGS_NONE, NULL);

  if (uri != NULL && *g_uri_get_path (uri) == '/') {
    g_autofree char *topic = g_strdup_printf ("%s/%s/available", g_uri_get_path (uri) + 1, name);
    g_object_set (export, "availability-topic", topic, NULL);
  }
  g_object_set (export, "discovery-prefix",
      yolo_values_text (values, YOLO_KEY_HOME_ASSISTANT), NULL);
}

/* An element for each place that the camera publishes to. */
static GstElement *
append_exports (YoloRun *run, GstElement *last, const char *name, const YoloValues *values,
    GError **error)
{
  char **places = values->value[YOLO_KEY_PUBLISH].text;

  for (guint i = 0; places != NULL && places[i] != NULL && last != NULL; i++) {
    last = append (run, last, "yoloexport", NULL, error);
    if (last == NULL)
      return NULL;
    gst_util_set_object_arg (G_OBJECT (last), "format",
        yolo_values_text (values, YOLO_KEY_PUBLISH_FORMAT));
    g_object_set (last, "location", places[i], "stream", name, NULL);
    if (strcmp (yolo_values_text (values, YOLO_KEY_PUBLISH_FORMAT), "frigate") == 0)
      set_frigate (last, places[i], name, values);
  }
  return last;
}

static GstElement *
append_chain (YoloRun *run, const char *name, const YoloValues *values, GError **error)
{
  const gboolean tracked = strcmp (yolo_values_text (values, YOLO_KEY_TRACKER), "none") != 0;
  GstElement *last = append (run, NULL, "clocksync", PACE, error);

  if (last == NULL)
    return NULL;
  /* A file that had to wait for a model is not to make up for that. */
  g_object_set (last, "sync-to-first", TRUE, NULL);
  if ((last = append (run, last, "queue", QUEUE, error)) == NULL)
    return NULL;
  gst_util_set_object_arg (G_OBJECT (last), "leaky", "downstream");
  g_object_set (last, "max-size-buffers", 1, "max-size-bytes", 0, "max-size-time", (guint64) 0,
      NULL);
  if ((last = append (run, last, "yoloinfer", INFER, error)) == NULL)
    return NULL;
  if (tracked && (last = append (run, last, "yolotrack", TRACK, error)) == NULL)
    return NULL;
  /* Without lines and zones as well, since these may be drawn while the camera runs. */
  if (tracked) {
    if ((last = append (run, last, "yolozones", ZONES, error)) == NULL)
      return NULL;
    /* What it attaches to the frames is read, and nobody reads the messages. */
    g_object_set (last, "post-messages", FALSE, NULL);
  }
  if ((last = append_exports (run, last, name, values, error)) == NULL)
    return NULL;
  return append (run, last, "tee", TEE, error);
}

static gboolean
build (YoloRun *run, const char *name, const YoloValues *values, YoloPicture *clean,
    YoloPicture *drawn, YoloBitstream *stream, GError **error)
{
  YoloPicture *pictures[] = { clean, drawn };
  const gint width = yolo_values_number (values, YOLO_KEY_PREVIEW_WIDTH);
  const gint fps = yolo_values_number (values, YOLO_KEY_PREVIEW_FPS);
  const char *snapshots = yolo_values_text (values, YOLO_KEY_SNAPSHOTS);
  GstElement *tee = append_chain (run, name, values, error);
  GstElement *sink = tee != NULL ? append (run, tee, "fakesink", NULL, error) : NULL;
  g_autoptr (GstElement) pace = NULL;

  if (sink == NULL)
    return FALSE;
  g_object_set (sink, "sync", FALSE, "async", FALSE, "enable-last-sample", FALSE, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (pictures); i++) {
    run->overlays[i] = yolo_picture_add_branch (pictures[i], GST_BIN (run->pipeline), tee, i == 1,
        width, fps, strcmp (snapshots, i == 1 ? "drawn" : "clean") == 0 ? run->sightings : NULL,
        error);
    if (run->overlays[i] == NULL)
      return FALSE;
  }
  set_zones (run, values);
  set_properties (run, values, TRUE);
  add_probe (run, PACE, "sink", GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_decoded_event);
  add_probe (run, QUEUE, "sink",
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_came);
  add_probe (run, QUEUE, "src", GST_PAD_PROBE_TYPE_BUFFER, on_taken);
  add_probe (run, INFER, "src", GST_PAD_PROBE_TYPE_BUFFER, on_inferred);
  add_probe (run, TEE, "sink", GST_PAD_PROBE_TYPE_BUFFER, on_known);
  pace = gst_bin_get_by_name (GST_BIN (run->pipeline), PACE);
  return yolo_source_add (GST_BIN (run->pipeline), pace, values, stream, error);
}

/* An error in words: what the element says, and what it says to developers where that is more
 * than "internal data stream error", which names nothing. */
static char *
describe (GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;
  g_autofree char *text = NULL;
  const char *detail;

  gst_message_parse_error (message, &error, &debug);
  /* The debug text is "file.c(12): function (): /path/of/the/element:", then lines. */
  detail = debug != NULL ? strchr (debug, '\n') : NULL;
  while (detail != NULL && *detail == '\n')
    detail++;
  if (detail != NULL && *detail != '\0')
    text = g_strdup_printf ("%s (%s)", error->message, detail);
  else
    text = g_strdup (error->message);
  return yolo_secret_hide (text);
}

static void
on_end (YoloRun *run)
{
  const guint64 frames = yolo_counts_read (run->counts).frames;

  if (!run->is_file) {
    run->func (run, "the camera has ended the stream", run->user_data);
  } else if (frames == run->frames_at_loop) {
    run->func (run, "there are no frames in the file", run->user_data);
  } else if (run->loop) {
    run->frames_at_loop = frames;
    push (run, JOB_LOOP);
  } else {
    run->func (run, NULL, run->user_data);
  }
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer user_data)
{
  YoloRun *run = user_data;
  g_autofree char *reason = NULL;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    reason = describe (message);
    /* This may free the run. */
    run->func (run, reason, run->user_data);
  } else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING
      && strcmp (GST_MESSAGE_SRC_NAME (message), ZONES) == 0) {
    g_autoptr (GError) warning = NULL;

    gst_message_parse_warning (message, &warning, NULL);
    reason = yolo_secret_hide (warning->message);
    g_message ("camera %s: %s", GST_OBJECT_NAME (run->pipeline), reason);
  } else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_APPLICATION
      && gst_message_has_name (message, "yolo-end")) {
    on_end (run);
  }
  return G_SOURCE_CONTINUE;
}

YoloRun *
yolo_run_new (const char *name, const YoloValues *values, YoloCounts *counts, YoloPicture *clean,
    YoloPicture *drawn, YoloEvents *events, YoloBitstream *stream, GstElement *zones,
    YoloRunFunc func, gpointer user_data, GError **error)
{
  YoloRun *run = g_new0 (YoloRun, 1);
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GstElement) own_zones = NULL;

  g_atomic_ref_count_init (&run->references);
  run->pipeline = gst_object_ref_sink (gst_pipeline_new (name));
  run->counts = yolo_counts_ref (counts);
  yolo_counts_pipeline (counts, 1);
  run->sightings = yolo_sightings_new (name, values, events, stream);
  run->func = func;
  run->user_data = user_data;
  run->is_file = yolo_source_is_file (values);
  run->ntp = gst_caps_new_empty_simple ("timestamp/x-ntp");
  run->loop = yolo_values_true (values, YOLO_KEY_LOOP);
  run->frames_at_loop = yolo_counts_read (counts).frames;
  count_alive (1);
  if (!build (run, name, values, clean, drawn, stream, error)) {
    run_unref (run);
    return NULL;
  }
  yolo_counts_begin (counts);
  own_zones = yolo_run_zones (run);
  if (own_zones != NULL && zones != NULL)
    g_signal_emit_by_name (own_zones, "continue", zones);
  bus = gst_pipeline_get_bus (GST_PIPELINE (run->pipeline));
  gst_bus_add_watch (bus, on_message, run);
  push (run, JOB_START);
  return run;
}

void
yolo_run_stop (YoloRun *run)
{
  g_autoptr (GstBus) bus = gst_pipeline_get_bus (GST_PIPELINE (run->pipeline));

  g_atomic_int_set (&run->stopping, TRUE);
  gst_bus_remove_watch (bus);
  /* Nobody reads the messages any more: they are not to be kept. */
  gst_bus_set_flushing (bus, TRUE);
  push (run, JOB_STOP);
  run_unref (run);
}

GstElement *
yolo_run_zones (YoloRun *run)
{
  return gst_bin_get_by_name (GST_BIN (run->pipeline), ZONES);
}

gboolean
yolo_run_has_started (YoloRun *run)
{
  return g_atomic_int_get (&run->started);
}

void
yolo_run_depth (YoloRun *run, guint *queued, double *batch)
{
  g_autoptr (GstElement) queue = gst_bin_get_by_name (GST_BIN (run->pipeline), QUEUE);
  g_autoptr (GstElement) infer = gst_bin_get_by_name (GST_BIN (run->pipeline), INFER);
  g_autoptr (GstStructure) stats = NULL;

  *batch = 0;
  g_object_get (queue, "current-level-buffers", queued, NULL);
  g_object_get (infer, "stats", &stats, NULL);
  if (stats != NULL)
    gst_structure_get_double (stats, "mean-batch", batch);
}
