/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-yolozones
 * @title: yolozones
 *
 * Counts what tracked objects do: who crosses which line which way, who is in which zone and for
 * how long, how fast. Lines and zones come from a JSON file, which docs/zones.md describes. What
 * is known after a frame is attached to its buffer, where yolooverlay draws it and yoloexport
 * writes its events; each event is also an element message, whose structure `yolozones` says what
 * happened where. Frames pass untouched.
 *
 * |[
 * gst-launch-1.0 filesrc location=video.mp4 ! decodebin ! yoloinfer model-file=yolov8n.onnx ! \
 *     yolotrack ! yolozones config=gate.json ! yolooverlay ! videoconvert ! autovideosink
 * ]|
 */

#include "gst-plugin/gstyolozones.h"

#include "base/text.h"
#include "gst-plugin/yolods.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolonvmm.h"
#include "gst-plugin/yoloproperty.h"
#include "gst-plugin/yolowatch.h"
#include "gst-plugin/yolozonesconfig.h"
#include "gst-plugin/yolozonesheat.h"
#include "gst-plugin/yolozonesmeta.h"
#include "gst-plugin/yolozonesstream.h"

#include <string.h>

GST_DEBUG_CATEGORY_STATIC (yolozones_debug);
#define GST_CAT_DEFAULT yolozones_debug

/* Cameras of a batch, which are as many as are remembered. */
#define MAX_STREAMS YOLO_NVMM_MAX_FRAMES

enum
{
  PROP_CONFIG = 1,
  PROP_CONFIG_TEXT,
  PROP_POST_MESSAGES,
  PROP_HEAT_PICTURE,
  PROP_HEAT_NUMBERS,
  PROP_HEAT_INTERVAL,
  N_PROPERTIES,
  PROP_STATS = N_PROPERTIES,
};

enum
{
  SIGNAL_RESET,
  SIGNAL_CONTINUE,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

/* What the properties say; the strings are owned. */
typedef struct {
  gchar *config, *config_text;
  gboolean post_messages;
  gchar *heat_picture, *heat_numbers;
  guint heat_interval;          /* seconds; 0: at the end alone */
} Settings;

#define PLAYING GST_PARAM_MUTABLE_PLAYING

static const YoloProperty properties[N_PROPERTIES] = {
  [PROP_CONFIG] = { "config", "Configuration",
      "JSON file with lines and zones, read at the start, or when it is set while the element "
      "runs: then lines and zones that stay in their places keep their counts, and a file that is "
      "wrong is a warning that changes nothing. Of config and config-text the last that is set "
      "counts",
      PLAYING, YOLO_STRING (Settings, config, NULL) },
  [PROP_CONFIG_TEXT] = { "config-text", "Configuration text",
      "The same as JSON itself, in place of a file", PLAYING,
      YOLO_STRING (Settings, config_text, NULL) },
  [PROP_POST_MESSAGES] = { "post-messages", "Post messages",
      "Whether each event is an element message on the bus", PLAYING,
      YOLO_BOOLEAN (Settings, post_messages, TRUE) },
  [PROP_HEAT_PICTURE] = { "heat-picture", "Heat picture",
      "PNG file to write the heat map into, as large as the frame, to be laid over it (unset: "
      "none; camera N of a batch gets -N before the ending)", PLAYING,
      YOLO_STRING (Settings, heat_picture, NULL) },
  [PROP_HEAT_NUMBERS] = { "heat-numbers", "Heat numbers",
      "CSV file to write the heat map into: for each cell the seconds that objects were there",
      PLAYING,
      YOLO_STRING (Settings, heat_numbers, NULL) },
  [PROP_HEAT_INTERVAL] = { "heat-interval", "Heat interval",
      "Every how many seconds of the stream the heat map is written (0: at its end alone)", PLAYING,
      YOLO_UINT (Settings, heat_interval, 0, 86400, 0) },
};

struct _GstYoloZones {
  GstBaseTransform parent;
  Settings settings;            /* object lock */
  YoloZonesLayout *wanted;      /* owned; object lock; for the next frame; NULL: as it is */
  gboolean running;             /* object lock */

  /* Held for a frame, about a tenth of a millisecond, since `stats` and `reset` come from other
   * threads. */
  GMutex lock;
  YoloZonesLayout *layout;      /* owned; lock */
  GPtrArray *streams;           /* YoloZonesStream; lock; kept from the stop to the next start */
  GPtrArray *continued;         /* YoloZonesStream; lock; those of another element, for the start */

  /* used by the streaming thread alone */
  gchar *name;                  /* owned; of the element, from its start */
  GstVideoInfo info;            /* what the caps say */
  GArray *objects;              /* YoloMetaObject: of the buffer in hand */
  GPtrArray *updated;           /* YoloZonesStream, not owned: those of the buffer in hand */
  guint n_slots;                /* places of a batch that have had objects in this stream */
  guint64 n_buffers;            /* since the start */
  YoloWatch watch;
  gdouble now;                  /* of the last frame, seconds */
  GstClockTime time;            /* the same, stream time; GST_CLOCK_TIME_NONE: there is none */
  gboolean timed;               /* there was a frame */
  gboolean batches;             /* buffers are DeepStream's, of several frames */
  gdouble heat_written;         /* when the heat map was written, seconds */
  gboolean heat_changed;        /* there was a frame since */
  GThread *heat_thread;         /* owned; NULL: none was started */
  gint heat_busy;               /* atomic: whether that thread writes */
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));

G_DEFINE_TYPE (GstYoloZones, gst_yolo_zones, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE (yolozones, "yolozones", GST_RANK_NONE, GST_TYPE_YOLO_ZONES)

/* Reads what config or config-text says; NULL with @error. */
static YoloZonesLayout *
load (const gchar *config, const gchar *text, GError **error)
{
  if (text != NULL)
    return yolo_zones_layout_parse (text, "config-text", error);
  if (config != NULL)
    return yolo_zones_layout_read (config, error);
  g_set_error_literal (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
      "config is not set: give a JSON file with lines and zones, or the JSON itself as "
      "config-text");
  return NULL;
}

/* -- heat maps -- */

typedef struct {
  YoloHeat heat;                /* owned */
  gint width, height;           /* pixels */
  gchar *picture, *numbers;     /* owned; NULL: not wanted */
} HeatFile;

typedef struct {
  GstYoloZones *self;           /* which waits for the thread before it stops */
  GArray *files;                /* HeatFile; owned */
} HeatJob;

static void
clear_heat_file (gpointer data)
{
  HeatFile *file = data;

  yolo_heat_clear (&file->heat);
  g_free (file->picture);
  g_free (file->numbers);
}

/* @property: which names the file; @error: taken */
static void
warn_of_heat (GstYoloZones *self, const gchar *property, GError *error)
{
  g_autofree gchar *text = yolo_text_printable (error->message, YOLO_TEXT_MAX_MESSAGE);

  GST_ELEMENT_WARNING (self, RESOURCE, WRITE,
      ("a heat map cannot be written: %s; %s must name a file in a folder that exists, on a disk "
       "with room", text, property), (NULL));
  g_error_free (error);
}

/* A thread of its own, since making a PNG takes longer than a frame lasts. */
static gpointer
write_heat_files (gpointer data)
{
  HeatJob *job = data;

  for (guint i = 0; i < job->files->len; i++) {
    const HeatFile *file = &g_array_index (job->files, HeatFile, i);
    GError *error = NULL;

    if (file->picture != NULL
        && !yolo_zones_heat_png (&file->heat, file->width, file->height, file->picture, &error))
      warn_of_heat (job->self, "heat-picture", g_steal_pointer (&error));
    if (file->numbers != NULL && !yolo_zones_heat_csv (&file->heat, file->numbers, &error))
      warn_of_heat (job->self, "heat-numbers", g_steal_pointer (&error));
  }
  g_atomic_int_set (&job->self->heat_busy, FALSE);
  g_array_unref (job->files);
  g_free (job);
  return NULL;
}

static HeatFile
heat_file_of (GstYoloZones *self, const YoloZonesStream *stream, const gchar *picture,
    const gchar *numbers)
{
  const YoloHeat *heat = yolo_zones_stream_heat (stream);
  const guint source = yolo_zones_stream_source (stream);
  const gboolean several = source > 0 || yolo_zones_stream_slot (stream) > 0;
  HeatFile file = { .width = GST_VIDEO_INFO_WIDTH (&self->info),
    .height = GST_VIDEO_INFO_HEIGHT (&self->info) };

  if (heat == NULL)
    return file;
  if (!yolo_heat_init (&file.heat, heat->columns, heat->rows)) {
    GST_WARNING_OBJECT (self, "no memory to write the heat map of stream %u", source);
    return file;
  }
  memcpy (file.heat.seconds, heat->seconds,
      (gsize) heat->columns * heat->rows * sizeof (*heat->seconds));
  file.picture = picture != NULL ? yolo_zones_heat_path (picture, several, source) : NULL;
  file.numbers = numbers != NULL ? yolo_zones_heat_path (numbers, several, source) : NULL;
  return file;
}

static void
join_heat_thread (GstYoloZones *self)
{
  if (self->heat_thread != NULL)
    g_thread_join (self->heat_thread);
  self->heat_thread = NULL;
}

/* Writes the heat maps, if they are wanted. @wait: until they are written; else one is left out
 * while another one is being written. */
static void
write_heat (GstYoloZones *self, gboolean wait)
{
  g_autofree gchar *picture = NULL, *numbers = NULL;
  HeatJob *job;

  GST_OBJECT_LOCK (self);
  picture = g_strdup (self->settings.heat_picture);
  numbers = g_strdup (self->settings.heat_numbers);
  GST_OBJECT_UNLOCK (self);
  if (!wait && g_atomic_int_get (&self->heat_busy))
    return;
  /* it may be writing what has not changed since */
  join_heat_thread (self);
  if ((picture == NULL && numbers == NULL) || !self->heat_changed)
    return;
  job = g_new (HeatJob, 1);
  job->self = self;
  job->files = g_array_new (FALSE, FALSE, sizeof (HeatFile));
  g_array_set_clear_func (job->files, clear_heat_file);
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->streams->len; i++) {
    const HeatFile file = heat_file_of (
        self, g_ptr_array_index (self->streams, i), picture, numbers);

    g_array_append_val (job->files, file);
  }
  g_mutex_unlock (&self->lock);
  self->heat_written = self->now;
  self->heat_changed = FALSE;
  g_atomic_int_set (&self->heat_busy, TRUE);
  self->heat_thread = g_thread_try_new ("yolo-heat", write_heat_files, job, NULL);
  if (self->heat_thread == NULL)
    write_heat_files (job);
  if (wait)
    join_heat_thread (self);
}

/* -- frames -- */

/* Takes another layout that was set since the last frame. */
static void
take_wanted (GstYoloZones *self)
{
  g_autoptr (YoloZonesLayout) wanted = NULL;

  GST_OBJECT_LOCK (self);
  wanted = g_steal_pointer (&self->wanted);
  GST_OBJECT_UNLOCK (self);
  if (wanted == NULL)
    return;
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->streams->len; i++)
    if (!yolo_zones_stream_change (g_ptr_array_index (self->streams, i), wanted))
      GST_WARNING_OBJECT (self, "no memory for other lines and zones");
  yolo_zones_layout_unref (self->layout);
  self->layout = g_steal_pointer (&wanted);
  g_mutex_unlock (&self->lock);
}

/* When a buffer is, seconds; where it does not say so, a frame after the one before. */
static gdouble
time_of (GstYoloZones *self, GstBuffer *buffer)
{
  gdouble step = .04;

  if (GST_BUFFER_PTS_IS_VALID (buffer))
    return (gdouble) GST_BUFFER_PTS (buffer) / GST_SECOND;
  if (!self->timed)
    return 0;
  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    step = (gdouble) GST_BUFFER_DURATION (buffer) / GST_SECOND;
  else if (GST_VIDEO_INFO_FPS_N (&self->info) > 0)
    step = (gdouble) GST_VIDEO_INFO_FPS_D (&self->info) / GST_VIDEO_INFO_FPS_N (&self->info);
  return self->now + step;
}

/* Appends a stream's events to @events, an array of GstValueArray's kind, and to @messages, if
 * these are wanted. @reason: what else they say of why, or NULL. */
static void
add_events (GstYoloZones *self, YoloZonesStream *stream, GstClockTime time, const gchar *reason,
    GValue *events, GPtrArray *messages)
{
  const guint n = yolo_zones_stream_n_events (stream);

  for (guint i = 0; i < n; i++) {
    GstStructure *event = yolo_zones_stream_event (stream, i, self->name, time);
    GValue value = G_VALUE_INIT;

    if (reason != NULL)
      gst_structure_set (event, "reason", G_TYPE_STRING, reason, NULL);
    if (messages != NULL)
      g_ptr_array_add (messages, gst_structure_copy (event));
    g_value_init (&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed (&value, event);
    gst_value_array_append_and_take_value (events, &value);
  }
}

/* Attaches what a stream knows, and appends its events to @messages, if these are wanted. */
static void
describe (GstYoloZones *self, YoloZonesStream *stream, GstBuffer *buffer, GPtrArray *messages)
{
  GstStructure *structure = yolo_zones_meta_add (buffer);
  GValue events = G_VALUE_INIT;

  if (structure == NULL)
    return;
  yolo_zones_stream_describe (stream, structure, self->name, FALSE, TRUE);
  g_value_init (&events, GST_TYPE_ARRAY);
  add_events (self, stream, self->time, NULL, &events, messages);
  gst_structure_take_value (structure, "events", &events);
}

static gboolean
posts_messages (GstYoloZones *self)
{
  gboolean post;

  GST_OBJECT_LOCK (self);
  post = self->settings.post_messages;
  GST_OBJECT_UNLOCK (self);
  return post;
}

/* @messages: GstStructures, which it takes, or NULL */
static void
post_events (GstYoloZones *self, GPtrArray *messages)
{
  for (guint i = 0; messages != NULL && i < messages->len; i++)
    gst_element_post_message (GST_ELEMENT (self),
        gst_message_new_element (GST_OBJECT (self), g_ptr_array_index (messages, i)));
}

/* Runs a frame of the buffer through its stream. @slot: its place in the buffer. Under the lock. */
static void
update_stream (GstYoloZones *self, guint source, guint slot, gdouble now)
{
  /* that of a buffer is as large, so that none is dropped that the buffer has had a frame of */
  YoloZonesStream *stream = yolo_zones_stream_get (
      self->streams, MAX_STREAMS, self->layout, source, self->n_buffers);

  if (stream == NULL
      || !yolo_zones_stream_update (stream, self->objects, slot,
          GST_VIDEO_INFO_WIDTH (&self->info), GST_VIDEO_INFO_HEIGHT (&self->info), now))
    GST_WARNING_OBJECT (self, "no memory for all streams, objects and events");
  if (stream != NULL)
    g_ptr_array_add (self->updated, stream);
}

/* Runs the frames of a buffer through the streams. DeepStream says whose they are; other batches
 * have as many as there were objects of, each of the same stream every time. Under the lock. */
static void
update_streams (GstYoloZones *self, GstBuffer *buffer)
{
  YoloDsFrame batch[MAX_STREAMS];
  const guint n = self->batches ? yolo_ds_frames (buffer, batch, MAX_STREAMS) : 0;

  self->n_buffers++;
  g_ptr_array_set_size (self->updated, 0);
  for (guint i = 0; i < n; i++)
    update_stream (self, batch[i].source, batch[i].slot,
        GST_CLOCK_TIME_IS_VALID (batch[i].pts) ? (gdouble) batch[i].pts / GST_SECOND : self->now);
  if (n > 0)
    return;
  for (guint i = 0; i < self->objects->len; i++)
    self->n_slots = MAX (self->n_slots,
        MIN (g_array_index (self->objects, YoloMetaObject, i).slot, MAX_STREAMS));
  for (guint slot = 1; slot <= self->n_slots; slot++)
    update_stream (self, slot - 1, slot, self->now);
  if (self->n_slots == 0 && !self->batches)
    update_stream (self, 0, 0, self->now);
}

static GstFlowReturn
gst_yolo_zones_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstYoloZones *self = GST_YOLO_ZONES (trans);
  /* allocated where there are events alone */
  g_autoptr (GPtrArray) messages = NULL;
  guint n_events = 0, heat_interval;

  take_wanted (self);
  self->time = gst_segment_to_stream_time (
      &trans->segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
  yolo_meta_read (buffer, &self->info, self->objects);
  if (self->batches)
    yolo_ds_read_tracks (
        buffer, (YoloMetaObject *) self->objects->data, self->objects->len);
  yolo_watch_buffer (&self->watch, GST_ELEMENT (self), buffer, self->objects->len);
  self->now = time_of (self, buffer);
  self->timed = TRUE;
  self->heat_changed = TRUE;

  GST_OBJECT_LOCK (self);
  heat_interval = self->settings.heat_interval;
  GST_OBJECT_UNLOCK (self);

  g_mutex_lock (&self->lock);
  update_streams (self, buffer);
  for (guint i = 0; i < self->updated->len; i++)
    n_events += yolo_zones_stream_n_events (g_ptr_array_index (self->updated, i));
  if (n_events > 0 && posts_messages (self))
    messages = g_ptr_array_new ();
  for (guint i = 0; i < self->updated->len; i++)
    describe (self, g_ptr_array_index (self->updated, i), buffer, messages);
  g_mutex_unlock (&self->lock);

  post_events (self, messages);
  if (self->now < self->heat_written)
    self->heat_written = self->now;
  if (heat_interval > 0 && self->now - self->heat_written >= heat_interval)
    write_heat (self, FALSE);
  return GST_FLOW_OK;
}

/* Metadata is attached to a buffer of our own; its memory, which nobody touches, is shared. */
static GstFlowReturn
gst_yolo_zones_prepare_output_buffer (GstBaseTransform *trans, GstBuffer *in, GstBuffer **out)
{
  *out = gst_buffer_is_writable (in) ? in : gst_buffer_copy (in);
  return GST_FLOW_OK;
}

static void
forget (GstYoloZones *self)
{
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->streams->len; i++)
    yolo_zones_stream_forget (g_ptr_array_index (self->streams, i));
  g_mutex_unlock (&self->lock);
}

/* Ends the visits that the end of the stream has cut off. No buffer follows that could tell of
 * them: an event does. */
static void
end_visits (GstYoloZones *self)
{
  g_autoptr (GPtrArray) messages = posts_messages (self) ? g_ptr_array_new () : NULL;
  GstStructure *structure;
  GValue events = G_VALUE_INIT;
  guint n;

  g_value_init (&events, GST_TYPE_ARRAY);
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->streams->len; i++) {
    YoloZonesStream *stream = g_ptr_array_index (self->streams, i);

    if (!yolo_zones_stream_end (stream))
      GST_WARNING_OBJECT (self, "no memory for all events");
    add_events (self, stream, self->time, "end-of-stream", &events, messages);
  }
  g_mutex_unlock (&self->lock);

  post_events (self, messages);
  n = gst_value_array_get_size (&events);
  structure = gst_structure_new (YOLO_ZONES_END, "element", G_TYPE_STRING, self->name, NULL);
  gst_structure_take_value (structure, "events", &events);
  if (n > 0)
    gst_pad_push_event (GST_BASE_TRANSFORM_SRC_PAD (self),
        gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, structure));
  else
    gst_structure_free (structure);
}

static gboolean
gst_yolo_zones_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstYoloZones *self = GST_YOLO_ZONES (trans);

  yolo_watch_event (&self->watch, GST_ELEMENT (self), event);
  /* what comes behind a seek, or from another file, is not what was there before */
  if (GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START
      || GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP)
    forget (self);
  /* and it need not be a batch */
  if (GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START)
    self->n_slots = 0;
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS) {
    end_visits (self);
    write_heat (self, TRUE);
  }
  return GST_BASE_TRANSFORM_CLASS (gst_yolo_zones_parent_class)->sink_event (trans, event);
}

static gboolean
gst_yolo_zones_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  GstYoloZones *self = GST_YOLO_ZONES (trans);

  self->batches =
      gst_caps_features_contains (gst_caps_get_features (in, 0), YOLO_CAPS_FEATURE_NVMM);
  return gst_video_info_from_caps (&self->info, in);
}

static void
stop_running (GstYoloZones *self)
{
  GST_OBJECT_LOCK (self);
  self->running = FALSE;
  g_clear_pointer (&self->wanted, yolo_zones_layout_unref);
  GST_OBJECT_UNLOCK (self);
}

/* Takes up the streams of another element, if it was told to. What they show now is not what they
 * showed before, but for the counts. Under the lock. */
static void
go_on (GstYoloZones *self)
{
  while (self->continued->len > 0) {
    YoloZonesStream *stream = g_ptr_array_steal_index (self->continued, 0);

    if (yolo_zones_stream_change (stream, self->layout)) {
      yolo_zones_stream_forget (stream);
      g_ptr_array_add (self->streams, stream);
    } else {
      yolo_zones_stream_free (stream);
    }
  }
}

static gboolean
gst_yolo_zones_start (GstBaseTransform *trans)
{
  GstYoloZones *self = GST_YOLO_ZONES (trans);
  g_autofree gchar *config = NULL, *text = NULL;
  g_autoptr (GError) error = NULL;
  YoloZonesLayout *layout;

  /* what is set from here on is `wanted`, since it is not what is read */
  GST_OBJECT_LOCK (self);
  config = g_strdup (self->settings.config);
  text = g_strdup (self->settings.config_text);
  self->running = TRUE;
  GST_OBJECT_UNLOCK (self);
  layout = load (config, text, &error);
  if (layout == NULL) {
    stop_running (self);
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS, ("%s", error->message), (NULL));
    return FALSE;
  }
  g_mutex_lock (&self->lock);
  yolo_zones_layout_unref (self->layout);
  self->layout = layout;
  g_ptr_array_set_size (self->streams, 0);
  go_on (self);
  g_mutex_unlock (&self->lock);
  self->watch = (YoloWatch) { 0 };
  self->now = self->heat_written = 0;
  self->time = GST_CLOCK_TIME_NONE;
  self->timed = self->heat_changed = FALSE;
  self->n_slots = 0;
  self->n_buffers = 0;
  g_free (self->name);
  self->name = gst_object_get_name (GST_OBJECT (self));
  return TRUE;
}

static gboolean
gst_yolo_zones_stop (GstBaseTransform *trans)
{
  GstYoloZones *self = GST_YOLO_ZONES (trans);

  write_heat (self, TRUE);
  join_heat_thread (self);
  stop_running (self);
  return TRUE;
}

/* -- properties -- */

/* Sets config or config-text and unsets the other one. While the element runs, the text is read
 * at once, in the caller's thread; one that is wrong changes nothing. */
static void
set_config (GstYoloZones *self, guint id, const GValue *value)
{
  const gchar *given = g_value_get_string (value);
  g_autoptr (YoloZonesLayout) layout = NULL, replaced = NULL;
  g_autoptr (GError) error = NULL;

  GST_OBJECT_LOCK (self);
  /* it may start or stop while the text is read */
  while (self->running && layout == NULL) {
    GST_OBJECT_UNLOCK (self);
    layout = id == PROP_CONFIG ? load (given, NULL, &error) : load (NULL, given, &error);
    if (layout == NULL) {
      GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
          ("%s; lines and zones stay as they were", error->message), (NULL));
      return;
    }
    GST_OBJECT_LOCK (self);
  }
  g_clear_pointer (&self->settings.config, g_free);
  g_clear_pointer (&self->settings.config_text, g_free);
  yolo_property_set (&properties[id], &self->settings, value);
  replaced = self->wanted;
  self->wanted = self->running ? g_steal_pointer (&layout) : NULL;
  GST_OBJECT_UNLOCK (self);
}

static void
gst_yolo_zones_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstYoloZones *self = GST_YOLO_ZONES (object);

  if (id == PROP_CONFIG || id == PROP_CONFIG_TEXT) {
    set_config (self, id, value);
    return;
  }
  GST_OBJECT_LOCK (self);
  yolo_property_set (&properties[id], &self->settings, value);
  GST_OBJECT_UNLOCK (self);
}

/* Counts and times of all streams since the start or the last reset. */
static GstStructure *
stats_of (GstYoloZones *self)
{
  g_autofree gchar *name = gst_object_get_name (GST_OBJECT (self));
  GstStructure *stats = gst_structure_new_empty ("yolozones-stats");
  GValue streams = G_VALUE_INIT;

  g_value_init (&streams, GST_TYPE_ARRAY);
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->streams->len; i++) {
    GstStructure *stream = gst_structure_new_empty ("stream");
    GValue value = G_VALUE_INIT;

    yolo_zones_stream_describe (g_ptr_array_index (self->streams, i), stream, name, TRUE, FALSE);
    g_value_init (&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed (&value, stream);
    gst_value_array_append_and_take_value (&streams, &value);
  }
  g_mutex_unlock (&self->lock);
  gst_structure_take_value (stats, "streams", &streams);
  return stats;
}

static void
gst_yolo_zones_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstYoloZones *self = GST_YOLO_ZONES (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, stats_of (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  yolo_property_get (&properties[id], &self->settings, value);
  GST_OBJECT_UNLOCK (self);
}

static void
free_stream (gpointer stream)
{
  yolo_zones_stream_free (stream);
}

/* @from: a yolozones, which has nothing counted any more; NULL or another element does nothing */
static void
continue_counts (GstYoloZones *self, GstElement *from)
{
  GstYoloZones *other = from != NULL && GST_IS_YOLO_ZONES (from) ? GST_YOLO_ZONES (from) : NULL;
  GPtrArray *streams;

  if (other == NULL || other == self)
    return;
  streams = g_ptr_array_new_with_free_func (free_stream);
  g_mutex_lock (&other->lock);
  while (other->streams->len > 0)
    g_ptr_array_add (streams, g_ptr_array_steal_index (other->streams, 0));
  /* one that was told to go on and never started has the counts of who was before it */
  while (other->continued->len > 0)
    g_ptr_array_add (streams, g_ptr_array_steal_index (other->continued, 0));
  g_mutex_unlock (&other->lock);
  g_mutex_lock (&self->lock);
  g_ptr_array_unref (self->continued);
  self->continued = streams;
  g_mutex_unlock (&self->lock);
}

static void
reset (GstYoloZones *self)
{
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->streams->len; i++)
    yolo_zones_stream_reset (g_ptr_array_index (self->streams, i));
  g_mutex_unlock (&self->lock);
}

static void
gst_yolo_zones_init (GstYoloZones *self)
{
  yolo_properties_init (properties, N_PROPERTIES, &self->settings);
  g_mutex_init (&self->lock);
  self->streams = g_ptr_array_new_with_free_func (free_stream);
  self->continued = g_ptr_array_new_with_free_func (free_stream);
  self->objects = yolo_meta_objects_new ();
  self->updated = g_ptr_array_new ();
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
}

static void
gst_yolo_zones_finalize (GObject *object)
{
  GstYoloZones *self = GST_YOLO_ZONES (object);

  yolo_properties_clear (properties, N_PROPERTIES, &self->settings);
  g_clear_pointer (&self->wanted, yolo_zones_layout_unref);
  yolo_zones_layout_unref (self->layout);
  g_ptr_array_unref (self->streams);
  g_ptr_array_unref (self->continued);
  g_array_unref (self->objects);
  g_ptr_array_unref (self->updated);
  g_free (self->name);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (gst_yolo_zones_parent_class)->finalize (object);
}

static void
gst_yolo_zones_class_init (GstYoloZonesClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (yolozones_debug, "yolozones", 0, "lines and zones");

  object_class->set_property = gst_yolo_zones_set_property;
  object_class->get_property = gst_yolo_zones_get_property;
  object_class->finalize = gst_yolo_zones_finalize;
  yolo_properties_install (object_class, properties, N_PROPERTIES);
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "For each stream what is attached to its frames, with the counts of each class: "
          "crossings of lines, occupancy, entries, exits and dwell of zones, since the start or "
          "the last reset",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  /**
   * GstYoloZones::reset:
   *
   * Sets all counts, times and heat maps to 0; who is in a zone stays there.
   */
  signals[SIGNAL_RESET] = g_signal_new_class_handler ("reset", G_OBJECT_CLASS_TYPE (klass),
      G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, G_CALLBACK (reset), NULL, NULL, NULL, G_TYPE_NONE, 0);
  /**
   * GstYoloZones::continue:
   * @from: another yolozones, of a pipeline that has ended or is about to
   *
   * Lets the next start go on with what @from has counted, as far as lines and zones are in the
   * same places; objects that it knew have gone.
   */
  signals[SIGNAL_CONTINUE] = g_signal_new_class_handler ("continue", G_OBJECT_CLASS_TYPE (klass),
      G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, G_CALLBACK (continue_counts), NULL, NULL, NULL,
      G_TYPE_NONE, 1, GST_TYPE_ELEMENT);

  gst_element_class_set_static_metadata (element_class, "YOLO zones", "Filter/Analyzer/Video",
      "Counts tracked objects at lines and in zones: crossings, occupancy, dwell, speed, heat",
      "The yolo project");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);

  trans_class->start = gst_yolo_zones_start;
  trans_class->stop = gst_yolo_zones_stop;
  trans_class->set_caps = gst_yolo_zones_set_caps;
  trans_class->sink_event = gst_yolo_zones_sink_event;
  trans_class->prepare_output_buffer = gst_yolo_zones_prepare_output_buffer;
  trans_class->transform_ip = gst_yolo_zones_transform_ip;
}
