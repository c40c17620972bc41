/* SPDX-License-Identifier: MIT */
/* From the parser in front of the decoder, buffers go into outlets: elements of other pipelines
 * that take them without waiting. One outlet, the feed, brings them into the form of MP4 in a
 * thread of its own, and keeps the newest in a ring, out of which clips, recordings and segments
 * of HLS are made. */

#include "pipelines/server/bitstream.h"

#include <string.h>

#include <gst/app/gstappsink.h>

#include "pipelines/server/recorder.h"
#include "pipelines/server/unit.h"

#define MAX_RING (64 << 20)     /* bytes of a camera that are kept in memory */
#define MAX_UNIT (16 << 20)     /* bytes of one picture */
#define MAX_OUTLET (8 << 20)    /* bytes that an outlet may be late */
#define LATE (3 * GST_SECOND)   /* how much later than its picture an event may be found */
#define JUMP (GST_SECOND / 2)   /* back in time: the video begins anew */
#define SEGMENT (1900 * GST_MSECOND)    /* of HLS, at least; groups of 2 s are not quite that */
#define SEGMENTS 4              /* that are listed, at least; there are as many as fit */
#define HLS_PATIENCE (15 * G_USEC_PER_SEC)      /* without a question, after which HLS ends */

/* An element of another pipeline that buffers are pushed into. */
typedef struct {
  GstAppSrc *out;               /* a reference */
  gboolean rebased;             /* whether times become those of its pipeline */
  gboolean begun;               /* else it waits for a picture at which decoding can begin */
  GstClockTime from, to;        /* ns: pts of the first buffer as it came, and as it was pushed */
  GstCaps *caps;                /* a reference; what it was last told */
} Outlet;

/* The pipeline that brings buffers into the form of MP4, for the ring. */
typedef struct {
  YoloBitstream *stream;           /* a reference */
  GstElement *pipeline;         /* a reference */
  const char *kind;             /* interned name of its caps */
} Feed;

struct _YoloBitstream {
  gatomicrefcount references;
  gint busy;                    /* atomic: whether any outlet is there */

  GMutex feed_lock;             /* held while the feed begins or ends; before the others */

  /* This lock is held for as long as pointers take. */
  GMutex tap_lock;
  guint run;                    /* counts pipelines; taps of earlier ones are dead */
  gboolean tapped;              /* whether this one has a tap */
  gboolean closed;
  GstCaps *caps;                /* what comes out of the parser; NULL: nothing yet */
  GPtrArray *outlets;           /* Outlet */
  Feed *feed;                   /* or NULL */
  gboolean wanted;              /* whether the ring is to be filled */

  /* This one is held while a fragment is put together, a millisecond; never with the other one. */
  GMutex lock;
  YoloRecorder *recorder;
  Feed *source;                 /* whose units the ring takes; not owned */
  GQueue units;                 /* YoloUnit: the ring */
  gsize bytes;
  GstCaps *unit_caps;
  GstClockTime shift;           /* how much later than in the pipeline units' times are: the feed
                                   makes room for what is decoded before it begins */
  guint version;                /* counts changes of unit_caps, and breaks */
  guint64 segment;              /* number of the newest segment */
  GstClockTime segment_began;   /* dts */
  gint64 hls_asked;             /* us, monotonic, when it was last asked for; 0: it is off */
};

/* What the probe of a parser knows. */
typedef struct {
  YoloBitstream *stream;           /* a reference */
  guint run;
} Tap;

static void
outlet_free (gpointer data)
{
  Outlet *outlet = data;

  gst_object_unref (outlet->out);
  gst_clear_caps (&outlet->caps);
  g_free (outlet);
}

YoloBitstream *
yolo_bitstream_new (const char *camera, YoloFilms *films)
{
  YoloBitstream *stream = g_new0 (YoloBitstream, 1);

  g_atomic_ref_count_init (&stream->references);
  g_mutex_init (&stream->tap_lock);
  g_mutex_init (&stream->lock);
  g_mutex_init (&stream->feed_lock);
  stream->outlets = g_ptr_array_new_with_free_func (outlet_free);
  stream->recorder = yolo_recorder_new (camera, films);
  return stream;
}

YoloBitstream *
yolo_bitstream_ref (YoloBitstream *stream)
{
  g_atomic_ref_count_inc (&stream->references);
  return stream;
}

void
yolo_bitstream_unref (YoloBitstream *stream)
{
  if (stream == NULL || !g_atomic_ref_count_dec (&stream->references))
    return;
  g_queue_clear_full (&stream->units, yolo_unit_unref);
  yolo_recorder_free (stream->recorder);
  g_ptr_array_unref (stream->outlets);
  gst_clear_caps (&stream->caps);
  gst_clear_caps (&stream->unit_caps);
  g_mutex_clear (&stream->tap_lock);
  g_mutex_clear (&stream->lock);
  g_mutex_clear (&stream->feed_lock);
  g_free (stream);
}

/* The ring. These functions run with `lock` held. */

static void
clear_ring (YoloBitstream *stream)
{
  yolo_recorder_cut (stream->recorder, &stream->units, stream->unit_caps);
  g_queue_clear_full (&stream->units, yolo_unit_unref);
  stream->bytes = 0;
  stream->version++;
}

/* The second unit of the ring at which decoding can begin: what stands before it can go. */
static GList *
second_key (YoloBitstream *stream)
{
  GList *l = stream->units.head;

  do
    l = l != NULL ? l->next : NULL;
  while (l != NULL && !((const YoloUnit *) l->data)->key);
  return l;
}

/* Whether all units before @key are older than anybody wants. */
static gboolean
is_past (YoloBitstream *stream, const YoloUnit *key)
{
  const YoloUnit *newest = stream->units.tail->data;
  const GstClockTime past = yolo_recorder_past (stream->recorder);

  if (stream->hls_asked != 0 && key->segment + SEGMENTS >= newest->segment)
    return FALSE;
  return newest->dts >= key->dts + past + LATE;
}

static void
trim (YoloBitstream *stream)
{
  GList *key;

  while ((key = second_key (stream)) != NULL
      && (stream->bytes > MAX_RING || is_past (stream, key->data)))
    while (stream->units.head != key) {
      YoloUnit *unit = g_queue_pop_head (&stream->units);

      stream->bytes -= gst_buffer_get_size (unit->buffer);
      yolo_unit_unref (unit);
    }
  /* One group alone that is too large. */
  if (stream->bytes > MAX_RING)
    clear_ring (stream);
}

static void
take (YoloBitstream *stream, GstBuffer *buffer, GstCaps *caps, const GstSegment *segment)
{
  const gsize size = gst_buffer_get_size (buffer);
  const YoloUnit *last = stream->units.tail != NULL ? stream->units.tail->data : NULL;
  GstClockTime pts = GST_BUFFER_PTS (buffer), dts = GST_BUFFER_DTS (buffer);
  YoloUnit *unit;

  if (!GST_CLOCK_TIME_IS_VALID (dts))
    dts = pts;
  if (!GST_CLOCK_TIME_IS_VALID (pts))
    pts = dts;
  if (!GST_CLOCK_TIME_IS_VALID (dts) || size > MAX_UNIT)
    return;
  if (last != NULL && (!gst_caps_is_equal (caps, stream->unit_caps) || dts + JUMP < last->dts)) {
    clear_ring (stream);
    last = NULL;
  }
  if (last == NULL && GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT))
    return;
  if (last != NULL && dts <= last->dts)
    dts = last->dts + GST_MSECOND;
  gst_caps_replace (&stream->unit_caps, caps);
  stream->shift = pts - MIN (pts, gst_segment_to_running_time (segment, GST_FORMAT_TIME, pts));

  unit = g_atomic_rc_box_new0 (YoloUnit);
  *unit = (YoloUnit) { .buffer = gst_buffer_ref (buffer), .dts = dts, .pts = pts,
    .key = !GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT) };
  if (unit->key && (last == NULL || dts >= stream->segment_began + SEGMENT)) {
    unit->first = TRUE;
    stream->segment++;
    stream->segment_began = dts;
  }
  unit->segment = stream->segment;
  g_queue_push_tail (&stream->units, unit);
  stream->bytes += size;
  yolo_recorder_take (stream->recorder, &stream->units, caps);
  trim (stream);
}

/* The feed: its thread runs on_sample(), any thread the others. */

static void
feed_free (gpointer data)
{
  Feed *feed = data;

  gst_object_unref (feed->pipeline);
  yolo_bitstream_unref (feed->stream);
  g_free (feed);
}

static GstFlowReturn
on_sample (GstAppSink *sink, gpointer user_data)
{
  Feed *feed = user_data;
  YoloBitstream *stream = feed->stream;
  g_autoptr (GstSample) sample = gst_app_sink_pull_sample (sink);

  if (sample == NULL)
    return GST_FLOW_OK;
  g_mutex_lock (&stream->lock);
  if (stream->source == feed)
    take (stream, gst_sample_get_buffer (sample), gst_sample_get_caps (sample),
        gst_sample_get_segment (sample));
  g_mutex_unlock (&stream->lock);
  return GST_FLOW_OK;
}

/* Makes a feed for the video that comes, with its outlet; with `tap_lock` held. NULL: an element
 * is not installed. */
static Feed *
make_feed (YoloBitstream *stream)
{
  const char *kind = gst_structure_get_name (gst_caps_get_structure (stream->caps, 0));
  const gboolean hevc = strcmp (kind, "video/x-h265") == 0;
  /* Cameras that send pictures in another order than they show them tell the latter alone. */
  const char *stamper = hevc ? "h265timestamper" : "h264timestamper";
  g_autoptr (GstElementFactory) there = gst_element_factory_find (stamper);
  g_autofree char *line = g_strdup_printf ("appsrc name=in format=time max-bytes=%d ! %s ! "
      "%s%s capsfilter caps=%s,stream-format=%s,alignment=au ! "
      "appsink name=out sync=false async=false", 2 * MAX_OUTLET,
      hevc ? "h265parse" : "h264parse", there != NULL ? stamper : "", there != NULL ? " !" : "",
      kind, hevc ? "hvc1" : "avc");
  GstElement *pipeline = gst_parse_launch (line, NULL);
  GstAppSinkCallbacks callbacks = { .new_sample = on_sample };
  g_autoptr (GstElement) sink = NULL;
  g_autoptr (GstBus) bus = NULL;
  Outlet *outlet;
  Feed *feed;

  if (pipeline == NULL)
    return NULL;
  gst_object_ref_sink (pipeline);
  feed = g_new0 (Feed, 1);
  *feed = (Feed) { yolo_bitstream_ref (stream), pipeline, g_intern_string (kind) };
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  gst_app_sink_set_callbacks (GST_APP_SINK (sink), &callbacks, feed, NULL);
  /* Nobody reads its messages. */
  bus = gst_pipeline_get_bus (GST_PIPELINE (pipeline));
  gst_bus_set_flushing (bus, TRUE);
  outlet = g_new0 (Outlet, 1);
  outlet->out = GST_APP_SRC (gst_bin_get_by_name (GST_BIN (pipeline), "in"));
  g_ptr_array_add (stream->outlets, outlet);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  return feed;
}

static void
count_outlets (YoloBitstream *stream)
{
  g_atomic_int_set (&stream->busy, stream->outlets->len > 0);
}

/* Begins or ends the feed, as it is wanted. @anew: ends it first. */
static void
set_feed (YoloBitstream *stream, gboolean anew)
{
  Feed *old = NULL, *feed;
  gboolean wanted;

  g_mutex_lock (&stream->feed_lock);
  g_mutex_lock (&stream->tap_lock);
  wanted = stream->wanted && !stream->closed && stream->caps != NULL;
  if (stream->feed != NULL && (anew || !wanted)) {
    g_autoptr (GstElement) in = gst_bin_get_by_name (GST_BIN (stream->feed->pipeline), "in");

    old = g_steal_pointer (&stream->feed);
    for (guint i = 0; i < stream->outlets->len; i++)
      if (((const Outlet *) g_ptr_array_index (stream->outlets, i))->out == GST_APP_SRC (in)) {
        g_ptr_array_remove_index (stream->outlets, i);
        break;
      }
  }
  if (wanted && stream->feed == NULL)
    stream->feed = make_feed (stream);
  feed = stream->feed;
  count_outlets (stream);
  g_mutex_unlock (&stream->tap_lock);

  g_mutex_lock (&stream->lock);
  if (stream->source != feed) {
    clear_ring (stream);
    stream->source = feed;
  }
  g_mutex_unlock (&stream->lock);
  g_mutex_unlock (&stream->feed_lock);
  if (old != NULL) {
    gst_element_set_state (old->pipeline, GST_STATE_NULL);
    feed_free (old);
  }
}

/* The tap: the camera's streaming thread runs it. */

/* Pushes a buffer out, with `tap_lock` held. */
static void
push (YoloBitstream *stream, Outlet *outlet, GstBuffer *buffer)
{
  const GstClockTime pts = GST_BUFFER_PTS (buffer);

  /* What does not keep up begins again where that is possible. */
  if (gst_app_src_get_current_level_bytes (outlet->out) > MAX_OUTLET)
    outlet->begun = FALSE;
  if (outlet->begun && outlet->rebased
      && (!GST_CLOCK_TIME_IS_VALID (pts) || pts + JUMP < outlet->from))
    outlet->begun = FALSE;
  if (!outlet->begun) {
    if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT)
        || (outlet->rebased && !GST_CLOCK_TIME_IS_VALID (pts)))
      return;
    outlet->begun = TRUE;
    outlet->from = pts;
    outlet->to = gst_element_get_current_running_time (GST_ELEMENT (outlet->out));
    if (!GST_CLOCK_TIME_IS_VALID (outlet->to))
      outlet->to = 0;
  }
  if (outlet->caps != stream->caps) {
    gst_caps_replace (&outlet->caps, stream->caps);
    gst_app_src_set_caps (outlet->out, stream->caps);
  }
  if (outlet->rebased) {
    buffer = gst_buffer_copy (buffer);  /* the bytes are shared */
    GST_BUFFER_PTS (buffer) = pts + outlet->to - MIN (outlet->from, pts + outlet->to);
    GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;
  } else {
    gst_buffer_ref (buffer);
  }
  gst_app_src_push_buffer (outlet->out, buffer);
}

static GstPadProbeReturn
on_tapped (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  const Tap *tap = user_data;
  YoloBitstream *stream = tap->stream;
  gboolean anew = FALSE, alive;

  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    if (!g_atomic_int_get (&stream->busy))
      return GST_PAD_PROBE_OK;
    g_mutex_lock (&stream->tap_lock);
    for (guint i = 0; i < stream->outlets->len && tap->run == stream->run; i++)
      push (stream, g_ptr_array_index (stream->outlets, i), GST_PAD_PROBE_INFO_BUFFER (info));
    g_mutex_unlock (&stream->tap_lock);
    return GST_PAD_PROBE_OK;
  }
  g_mutex_lock (&stream->tap_lock);
  alive = tap->run == stream->run;
  if (alive && GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_CAPS) {
    GstCaps *caps;

    gst_event_parse_caps (GST_PAD_PROBE_INFO_EVENT (info), &caps);
    gst_caps_replace (&stream->caps, caps);
    anew = stream->feed != NULL
        && !gst_structure_has_name (gst_caps_get_structure (caps, 0), stream->feed->kind);
  } else if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_FLUSH_STOP) {
    /* A file begins again. */
    anew = TRUE;
  } else {
    alive = FALSE;
  }
  g_mutex_unlock (&stream->tap_lock);
  if (alive)
    set_feed (stream, anew);
  return GST_PAD_PROBE_OK;
}

static void
tap_free (gpointer data)
{
  Tap *tap = data;

  yolo_bitstream_unref (tap->stream);
  g_free (tap);
}

void
yolo_bitstream_tap (YoloBitstream *stream, guint run, GstElement *parser)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (parser, "src");
  gboolean first;

  g_mutex_lock (&stream->tap_lock);
  first = run == stream->run && !stream->tapped;
  stream->tapped |= first;
  g_mutex_unlock (&stream->tap_lock);
  if (first) {
    Tap *tap = g_new (Tap, 1);

    *tap = (Tap) { yolo_bitstream_ref (stream), run };
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM
        | GST_PAD_PROBE_TYPE_EVENT_FLUSH, on_tapped, tap, tap_free);
  }
}

/* Ends the clips and recordings under way, and sends an end of stream to all who have joined.
 * @next_run: nothing more comes of this pipeline, and taps of it count no more
 * @closed: whether no video may leave the server from now on */
static void
cut_off (YoloBitstream *stream, gboolean next_run, gboolean closed)
{
  g_mutex_lock (&stream->tap_lock);
  stream->closed = closed;
  if (next_run) {
    stream->run++;
    stream->tapped = FALSE;
    gst_clear_caps (&stream->caps);
  }
  for (guint i = stream->outlets->len; i-- > 0;) {
    Outlet *outlet = g_ptr_array_index (stream->outlets, i);

    if (!outlet->rebased)
      continue;
    gst_app_src_end_of_stream (outlet->out);
    g_ptr_array_remove_index (stream->outlets, i);
  }
  count_outlets (stream);
  g_mutex_unlock (&stream->tap_lock);
  set_feed (stream, TRUE);
}

void
yolo_bitstream_end (YoloBitstream *stream)
{
  cut_off (stream, TRUE, yolo_bitstream_is_closed (stream));
}

gboolean
yolo_bitstream_is_closed (YoloBitstream *stream)
{
  gboolean closed;

  g_mutex_lock (&stream->tap_lock);
  closed = stream->closed;
  g_mutex_unlock (&stream->tap_lock);
  return closed;
}

/* Fills the ring if anybody wants that. */
static void
set_wanted (YoloBitstream *stream)
{
  gboolean wanted, changed;

  g_mutex_lock (&stream->lock);
  wanted = yolo_recorder_records (stream->recorder) || stream->hls_asked != 0;
  g_mutex_unlock (&stream->lock);
  g_mutex_lock (&stream->tap_lock);
  changed = wanted != stream->wanted;
  stream->wanted = wanted;
  g_mutex_unlock (&stream->tap_lock);
  if (changed)
    set_feed (stream, FALSE);
}

void
yolo_bitstream_set (YoloBitstream *stream, const YoloValues *values)
{
  const char *privacy = yolo_values_text (values, YOLO_KEY_PRIVACY);
  const gboolean closed = privacy != NULL && strcmp (privacy, "none") != 0
      && !yolo_values_true (values, YOLO_KEY_CLIP_UNMASKED);

  g_mutex_lock (&stream->lock);
  yolo_recorder_set (stream->recorder, values);
  g_mutex_unlock (&stream->lock);
  if (closed != yolo_bitstream_is_closed (stream))
    cut_off (stream, FALSE, closed);
  set_wanted (stream);
}

void
yolo_bitstream_watch (YoloBitstream *stream)
{
  g_mutex_lock (&stream->lock);
  if (stream->hls_asked != 0 && g_get_monotonic_time () > stream->hls_asked + HLS_PATIENCE)
    stream->hls_asked = 0;
  g_mutex_unlock (&stream->lock);
  set_wanted (stream);
}

const char *
yolo_bitstream_lacks (YoloBitstream *stream)
{
  const char *lacks = NULL;

  g_mutex_lock (&stream->tap_lock);
  if (stream->closed)
    lacks = "privacy hides something, and video would show it; set clip-unmasked to have it anyway";
  else if (stream->caps == NULL)
    lacks = "it sends neither H.264 nor H.265, or h264parse and h265parse are not installed";
  else if (stream->wanted && stream->feed == NULL)
    lacks = "elements are not installed; install GStreamer's base and bad plugins";
  g_mutex_unlock (&stream->tap_lock);
  return lacks;
}

gint64
yolo_bitstream_event (YoloBitstream *stream, GstClockTime pts)
{
  gint64 id = 0;

  g_mutex_lock (&stream->lock);
  if (stream->units.tail != NULL && GST_CLOCK_TIME_IS_VALID (pts))
    id = yolo_recorder_event (stream->recorder, pts + stream->shift,
        ((const YoloUnit *) stream->units.tail->data)->pts);
  g_mutex_unlock (&stream->lock);
  return id;
}

const char *
yolo_bitstream_kind (YoloBitstream *stream)
{
  const char *kind = NULL;

  g_mutex_lock (&stream->tap_lock);
  if (!stream->closed && stream->caps != NULL)
    kind = g_intern_string (gst_structure_get_name (gst_caps_get_structure (stream->caps, 0)));
  g_mutex_unlock (&stream->tap_lock);
  return kind;
}

guint
yolo_bitstream_run (YoloBitstream *stream)
{
  guint run;

  g_mutex_lock (&stream->tap_lock);
  run = stream->run;
  g_mutex_unlock (&stream->tap_lock);
  return run;
}

void
yolo_bitstream_join (YoloBitstream *stream, GstAppSrc *out)
{
  g_mutex_lock (&stream->tap_lock);
  if (stream->closed || stream->caps == NULL) {
    gst_app_src_end_of_stream (out);
  } else {
    Outlet *outlet = g_new0 (Outlet, 1);

    outlet->out = gst_object_ref (out);
    outlet->rebased = TRUE;
    g_ptr_array_add (stream->outlets, outlet);
    count_outlets (stream);
  }
  g_mutex_unlock (&stream->tap_lock);
}

void
yolo_bitstream_leave (YoloBitstream *stream, GstAppSrc *out)
{
  g_mutex_lock (&stream->tap_lock);
  for (guint i = stream->outlets->len; i-- > 0;)
    if (((const Outlet *) g_ptr_array_index (stream->outlets, i))->out == out)
      g_ptr_array_remove_index (stream->outlets, i);
  count_outlets (stream);
  g_mutex_unlock (&stream->tap_lock);
}

/* HLS: the main thread asks. */

void
yolo_bitstream_want_hls (YoloBitstream *stream)
{
  g_mutex_lock (&stream->lock);
  stream->hls_asked = g_get_monotonic_time ();
  g_mutex_unlock (&stream->lock);
  set_wanted (stream);
}

/* The unit behind the last one of a segment that begins at @first; NULL: it is not complete. */
static GList *
end_of_segment (GList *first)
{
  GList *l = first->next;

  while (l != NULL && !((const YoloUnit *) l->data)->first)
    l = l->next;
  return l;
}

char *
yolo_bitstream_playlist (YoloBitstream *stream)
{
  GString *list = g_string_new (NULL);
  GstClockTime longest = SEGMENT;
  guint64 number = 0;
  GList *next;

  g_mutex_lock (&stream->lock);
  for (GList *l = stream->units.head; l != NULL; l = next) {
    const YoloUnit *unit = l->data;
    char seconds[G_ASCII_DTOSTR_BUF_SIZE];
    GstClockTime length;

    next = unit->first ? end_of_segment (l) : l->next;
    if (!unit->first || next == NULL)
      continue;
    if (list->len == 0)
      number = unit->segment;
    length = ((const YoloUnit *) next->data)->dts - unit->dts;
    longest = MAX (longest, length);
    g_string_append_printf (list, "#EXTINF:%s,\nsegment.m4s?number=%" G_GUINT64_FORMAT "\n",
        g_ascii_formatd (seconds, sizeof seconds, "%.5f", length / 1e9), unit->segment);
  }
  if (list->len > 0) {
    g_autofree char *head = g_strdup_printf ("#EXTM3U\n#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:%u\n#EXT-X-MEDIA-SEQUENCE:%" G_GUINT64_FORMAT "\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:%u\n#EXT-X-MAP:URI=\"init.mp4?version=%u\"\n",
        (guint) ((longest + GST_SECOND - 1) / GST_SECOND), number, stream->version,
        stream->version);
    g_string_prepend (list, head);
  }
  g_mutex_unlock (&stream->lock);
  return g_string_free (list, list->len == 0);
}

GBytes *
yolo_bitstream_hls_head (YoloBitstream *stream, guint version)
{
  GBytes *head = NULL;

  g_mutex_lock (&stream->lock);
  if (stream->units.head != NULL && stream->version == version)
    head = yolo_unit_head (stream->unit_caps, 0);
  g_mutex_unlock (&stream->lock);
  return head;
}

GBytes *
yolo_bitstream_hls_segment (YoloBitstream *stream, guint64 number)
{
  g_autoptr (GPtrArray) units = g_ptr_array_new_with_free_func (yolo_unit_unref);
  GstClockTime end = GST_CLOCK_TIME_NONE;
  YoloMp4Entry entry;

  g_mutex_lock (&stream->lock);
  for (GList *l = stream->units.head; l != NULL && !GST_CLOCK_TIME_IS_VALID (end); l = l->next) {
    YoloUnit *unit = l->data;

    if (units->len > 0 && unit->first)
      end = unit->dts;
    else if (unit->segment == number && (unit->first || units->len > 0))
      g_ptr_array_add (units, yolo_unit_ref (unit));
  }
  g_mutex_unlock (&stream->lock);
  return GST_CLOCK_TIME_IS_VALID (end)
      ? yolo_unit_fragment ((guint32) number, units, end, 0, &entry) : NULL;
}
