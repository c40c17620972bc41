/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-yolotrack
 * @title: yolotrack
 * @short_description: recognises objects from frame to frame
 *
 * Gives each object that was found a number, by which it is known in the frames that follow. The
 * numbers begin at 1 in each stream, and none is given twice. An object that was seen only once
 * has none yet. Pixels are not written, and read only with camera-motion, so that frames can lie in
 * any memory.
 *
 * |[
 * gst-launch-1.0 filesrc location=video.mp4 ! decodebin ! yoloinfer model-file=yolov8n.onnx ! \
 *     yolotrack ! yolooverlay show-trails=true ! videoconvert ! autovideosink
 * ]|
 *
 * Time is that of the buffers, so that an object keeps its number when frames are dropped, or when
 * yoloinfer looks at every third frame only; in the others the element puts each object where it
 * should be by now.
 */

/* Tracks are worked out before it is known whether the buffer must be written to:
 * prepare_output_buffer() does it, and transform_ip() writes down what came out. */

#include "gst-plugin/gstyolotrack.h"

#include "gst-plugin/yolocamera.h"
#include "gst-plugin/yolods.h"
#include "gst-plugin/yolofollow.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolonvmm.h"
#include "gst-plugin/yoloproperty.h"
#include "gst-plugin/yolotrackers.h"
#include "gst-plugin/yolowatch.h"

#include <string.h>

GST_DEBUG_CATEGORY_STATIC (yolotrack_debug);
#define GST_CAT_DEFAULT yolotrack_debug

/* Frames of a buffer, at most; of more, objects are not tracked. */
#define MAX_FRAMES 1024

typedef enum {
  PRESET_DEFAULT,
  PRESET_ULTRALYTICS,
  PRESET_PAPER,
} Preset;

enum
{
  PROP_PRESET = 1,
  PROP_TRACKER,
  PROP_HIGH_THRESHOLD,
  PROP_LOW_THRESHOLD,
  PROP_NEW_THRESHOLD,
  PROP_MATCH_THRESHOLD,
  PROP_BUFFER,
  PROP_FUSE_SCORE,
  PROP_CLASS_AWARE,
  PROP_PUBLISHED,
  PROP_TIME_BASE,
  PROP_BOX,
  PROP_FILL_SKIPPED,
  PROP_ATTACH_LOST,
  PROP_CAMERA_MOTION,
  N_PROPERTIES
};

typedef struct {
  YoloTrackSettings track;
  Preset preset;
  gboolean camera_motion;
} Settings;

struct _GstYoloTrack {
  GstBaseTransform parent;
  Settings settings;            /* object lock */

  /* used by the streaming thread alone */
  GstVideoInfo info;            /* what the caps say */
  gboolean nvmm;                /* frames are DeepStream's surfaces */
  GstCapsFeatures *features;    /* owned; of the caps; NULL: there were none */
  YoloTrackers *tracks;         /* owned */
  YoloCameraMotion *motion;     /* owned */
  YoloWatch watch;
  gchar *stream_id;             /* owned; NULL: not known yet */
  GstStreamCollection *collection;      /* owned; NULL: none so far */
  guint n_slots;                /* most frames that a buffer has had by its objects; 0: no batch */

  /* of the buffer in hand */
  GArray *found;                /* YoloMetaObject: what everybody sees */
  GArray *faint;                /* YoloMetaObject: what is for the tracker alone */
  GArray *added;                /* YoloMetaObject: what is to be attached */
  GArray *before;               /* YoloMetaObject: `found` as it was, for DeepStream's metadata */
  GArray *frames;               /* YoloTrackFrame */
  YoloFollowNote note;
  gboolean writes;              /* the buffer gets other metadata than it has */
  gboolean replaced;            /* what was found before is to be taken off */
  gboolean moved;               /* boxes are those of the filter */
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));

G_DEFINE_FINAL_TYPE (GstYoloTrack, gst_yolo_track, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE (yolotrack, "yolotrack", GST_RANK_NONE, GST_TYPE_YOLO_TRACK)

static GType
preset_get_type (void)
{
  static const GEnumValue values[] = {
    { PRESET_DEFAULT, "What suits most streams", "default" },
    { PRESET_ULTRALYTICS, "What Ultralytics' trackers do: its thresholds, a step a frame, no "
        "regard to classes", "ultralytics" },
    { PRESET_PAPER, "The same with the thresholds of ByteTrack's paper", "paper" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloTrackPreset", values));
  return type;
}

static GType
tracker_get_type (void)
{
  static const GEnumValue values[] = {
    { YOLO_TRACKER_BYTETRACK, "ByteTrack", "bytetrack" },
    { YOLO_TRACKER_BOTSORT, "BoT-SORT, without appearance", "botsort" },
    { YOLO_TRACKER_OCSORT, "OC-SORT", "ocsort" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloTrackTracker", values));
  return type;
}

static GType
time_base_get_type (void)
{
  static const GEnumValue values[] = {
    { YOLO_TIME_BASE_PTS, "By time stamps, in units of the framerate's frame", "pts" },
    { YOLO_TIME_BASE_FRAMES, "A frame is a step, whenever it comes", "frames" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloTrackTimeBase", values));
  return type;
}

static GType
box_get_type (void)
{
  static const GEnumValue values[] = {
    { YOLO_TRACK_BOX_FILTER, "The mean of the tracker's Kalman filter, which is smoother; objects "
        "that have a mask, points or an angle keep the one that was found", "filter" },
    { YOLO_TRACK_BOX_DETECTION, "The one that was found", "detection" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloTrackBox", values));
  return type;
}

#define PLAYING GST_PARAM_MUTABLE_PLAYING

static const YoloProperty properties[N_PROPERTIES] = {
  [PROP_PRESET] = { "preset", "Preset",
      "Values of the thresholds, buffer, fuse-score, class-aware, published and time-base; "
      "those that are set behind it count", PLAYING,
      YOLO_ENUM (Settings, preset, preset_get_type, PRESET_DEFAULT) },
  [PROP_TRACKER] = { "tracker", "Tracker",
      "Which algorithm finds objects again", PLAYING,
      YOLO_ENUM (Settings, track.tracker, tracker_get_type, YOLO_TRACKER_BYTETRACK) },
  [PROP_HIGH_THRESHOLD] = { "high-threshold", "High threshold",
      "Detections of this confidence or more are compared with tracks first", PLAYING,
      YOLO_DOUBLE (Settings, track.high, 0, 1, .25) },
  [PROP_LOW_THRESHOLD] = { "low-threshold", "Low threshold",
      "Detections of more than this confidence are compared with the tracks that are left; a "
      "yoloinfer upstream lets them through to this element alone, whatever its "
      "confidence-threshold is", PLAYING,
      YOLO_DOUBLE (Settings, track.low, 0, 1, .1) },
  [PROP_NEW_THRESHOLD] = { "new-threshold", "New threshold",
      "A detection of this confidence or more begins a track if it is in none", PLAYING,
      YOLO_DOUBLE (Settings, track.new_track, 0, 1, .25) },
  [PROP_MATCH_THRESHOLD] = { "match-threshold", "Match threshold",
      "Cost, 1 - IoU, above which a track and a detection are not the same object", PLAYING,
      YOLO_DOUBLE (Settings, track.match, 0, 1, .8) },
  [PROP_BUFFER] = { "buffer", "Buffer",
      "For how long an object that is not found any more is looked for, in ns; a gap between two "
      "frames that is longer ends all tracks", PLAYING,
      YOLO_UINT64 (Settings, track.buffer, 0, 3600 * GST_SECOND, GST_SECOND) },
  [PROP_FUSE_SCORE] = { "fuse-score", "Fuse score",
      "Whether the confidence of a detection counts in what it costs to match it", PLAYING,
      YOLO_BOOLEAN (Settings, track.fuse_score, TRUE) },
  [PROP_CLASS_AWARE] = { "class-aware", "Class-aware",
      "Whether an object keeps its class: a detection of another one is another object", PLAYING,
      YOLO_BOOLEAN (Settings, track.class_aware, TRUE) },
  [PROP_PUBLISHED] = { "published", "Published",
      "Whether ByteTrack and BoT-SORT are as their authors have them; else they also find objects "
      "again whose place is in doubt, after longer steps and gaps", PLAYING,
      YOLO_BOOLEAN (Settings, track.published, FALSE) },
  [PROP_TIME_BASE] = { "time-base", "Time base",
      "What tells how far an object has come since the frame before", PLAYING,
      YOLO_ENUM (Settings, track.time_base, time_base_get_type, YOLO_TIME_BASE_PTS) },
  [PROP_BOX] = { "box", "Box",
      "Which box an object has that is in a track", PLAYING,
      YOLO_ENUM (Settings, track.box, box_get_type, YOLO_TRACK_BOX_FILTER) },
  [PROP_FILL_SKIPPED] = { "fill-skipped", "Fill skipped",
      "Whether frames that inference-interval skips get the objects of the tracks, where they "
      "should be by then, in state \"predicted\"", PLAYING,
      YOLO_BOOLEAN (Settings, track.fill_skipped, TRUE) },
  [PROP_ATTACH_LOST] = { "attach-lost", "Attach lost",
      "Whether objects that are looked for and not found are attached, where they should be, in "
      "state \"lost\"", PLAYING,
      YOLO_BOOLEAN (Settings, track.attach_lost, FALSE) },
  [PROP_CAMERA_MOTION] = { "camera-motion", "Camera motion",
      "Whether to look at the pixels for how the camera moves, and move tracks with it; ocsort "
      "does not know of it", PLAYING,
      YOLO_BOOLEAN (Settings, camera_motion, FALSE) },
};

/* The values of a preset. Sources: ultralytics/cfg/trackers/bytetrack.yaml, whose track_buffer is
 * 30 frames at 30 frames a second; Zhang et al., "ByteTrack: Multi-Object Tracking by Associating
 * Every Detection Box", ECCV 2022, section 4.1, and its repository's tools/track.py. */
static void
apply_preset (Settings *settings, Preset preset)
{
  YoloTrackSettings *track = &settings->track;
  const gboolean paper = preset == PRESET_PAPER, reference = preset != PRESET_DEFAULT;

  track->high = paper ? .6 : .25;
  track->low = .1;
  track->new_track = paper ? .7 : .25;
  track->match = paper ? .9 : .8;
  track->buffer = GST_SECOND;
  track->fuse_score = TRUE;
  track->class_aware = !reference;
  track->published = reference;
  track->time_base = reference ? YOLO_TIME_BASE_FRAMES : YOLO_TIME_BASE_PTS;
}

/* What a buffer holds */

static void
add_frame (GstYoloTrack *self, guint64 source, guint slot, GstClockTime pts)
{
  const YoloTrackFrame frame = {
    .source = source, .slot = slot, .pts = pts,
    .rate = GST_BASE_TRANSFORM (self)->segment.rate, .inferred = self->note.inferred,
  };

  g_array_append_val (self->frames, frame);
}

static void
count_slots (GstYoloTrack *self, const GArray *objects)
{
  for (guint i = 0; i < objects->len; i++)
    self->n_slots =
        MAX (self->n_slots, MIN (g_array_index (objects, YoloMetaObject, i).slot, MAX_FRAMES));
}

/* Lists the frames of a buffer. DeepStream says which they are; other batches have as many as
 * there were objects of, each of the same stream every time. */
static void
list_frames (GstYoloTrack *self, GstBuffer *buffer)
{
  YoloDsFrame batch[MAX_FRAMES];
  const guint n = self->nvmm ? yolo_ds_frames (buffer, batch, MAX_FRAMES) : 0;

  g_array_set_size (self->frames, 0);
  for (guint i = 0; i < n; i++)
    add_frame (self, batch[i].source, batch[i].slot, batch[i].pts);
  if (n > 0)
    return;
  count_slots (self, self->found);
  count_slots (self, self->faint);
  for (guint slot = 1; slot <= self->n_slots; slot++)
    add_frame (self, slot - 1, slot, GST_BUFFER_PTS (buffer));
  if (self->n_slots == 0)
    add_frame (self, 0, 0, GST_BUFFER_PTS (buffer));
}

/* An empty buffer stands for a gap, and nobody looks at it. */
static gboolean
is_gap (GstBuffer *buffer)
{
  return GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP) && gst_buffer_get_size (buffer) == 0;
}

static gboolean
has_track (const GArray *objects)
{
  for (guint i = 0; i < objects->len; i++)
    if (g_array_index (objects, YoloMetaObject, i).object_id >= 0)
      return TRUE;
  return FALSE;
}

/* Of what is repeated in a frame that nobody looked at, the predicted objects stand for those that
 * are in a track. The others are attached again. */
static void
replace_repeated (GstYoloTrack *self)
{
  for (guint i = 0; i < self->found->len; i++) {
    const YoloMetaObject *object = &g_array_index (self->found, YoloMetaObject, i);

    if (object->object_id < 0)
      yolo_meta_objects_append (self->added, object, 1);
  }
}

/* Looks how the camera has moved. Frames that nobody looks for objects in are looked at too: over
 * several frames the way is longer, and harder to find. */
static void
look_at_camera (GstYoloTrack *self, GstBuffer *buffer, gfloat matrix[6])
{
  if (is_gap (buffer)
      || !yolo_camera_motion_look (
          self->motion, buffer, &self->info, self->features, self->frames->len, matrix))
    return;
  for (guint i = 0; i < self->frames->len; i++)
    g_array_index (self->frames, YoloTrackFrame, i).camera = matrix;
}

/* Works out the tracks. FALSE: an error was posted. */
static gboolean
follow (GstYoloTrack *self, GstBuffer *buffer)
{
  YoloTrackSettings settings;
  gboolean had_track, camera_motion;
  gfloat camera[6];

  GST_OBJECT_LOCK (self);
  settings = self->settings.track;
  camera_motion = self->settings.camera_motion;
  GST_OBJECT_UNLOCK (self);

  g_array_set_size (self->faint, 0);
  g_array_set_size (self->added, 0);
  yolo_meta_read (buffer, &self->info, self->found);
  if (self->nvmm) {
    g_array_set_size (self->before, 0);
    yolo_meta_objects_append (
        self->before, (const YoloMetaObject *) self->found->data, self->found->len);
  }
  self->note = yolo_follow_read (buffer, &self->info, self->faint);
  self->note.inferred &= !is_gap (buffer);
  yolo_watch_buffer (
      &self->watch, GST_ELEMENT (self), buffer, self->found->len + self->faint->len);
  had_track = has_track (self->found);

  list_frames (self, buffer);
  if (camera_motion)
    look_at_camera (self, buffer, camera);
  else
    yolo_camera_motion_reset (self->motion);
  for (guint i = 0; i < self->frames->len; i++)
    if (!yolo_trackers_follow (self->tracks, &settings,
            &g_array_index (self->frames, YoloTrackFrame, i), self->found, self->faint,
            self->added)) {
      GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
          ("there is no memory for the tracks of %u objects: close what else runs on this machine, "
           "or set max-detections of yoloinfer lower", self->found->len + self->faint->len),
          (NULL));
      return FALSE;
    }
  self->replaced = !self->note.inferred && settings.fill_skipped && self->found->len > 0;
  if (self->replaced)
    replace_repeated (self);
  if (camera_motion) {
    yolo_camera_motion_hide (self->motion, self->found);
    yolo_camera_motion_hide (self->motion, self->added);
  }
  self->moved = settings.box == YOLO_TRACK_BOX_FILTER && self->note.inferred;
  self->writes = self->note.noted || self->replaced || self->added->len > 0 || had_track
      || has_track (self->found);
  return TRUE;
}

static GstFlowReturn
gst_yolo_track_prepare_output_buffer (GstBaseTransform *trans, GstBuffer *in, GstBuffer **out)
{
  GstYoloTrack *self = GST_YOLO_TRACK (trans);

  if (!follow (self, in))
    return GST_FLOW_ERROR;
  /* of a shared buffer, the metadata are copied and the pixels stay shared */
  *out = self->writes && !gst_buffer_is_writable (in) ? gst_buffer_copy (in) : in;
  return GST_FLOW_OK;
}

static GstFlowReturn
gst_yolo_track_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstYoloTrack *self = GST_YOLO_TRACK (trans);
  const YoloMetaObject *found = (const YoloMetaObject *) self->found->data;
  const YoloMetaObject *added = (const YoloMetaObject *) self->added->data;

  if (!self->writes)
    return GST_FLOW_OK;
  if (self->note.noted)
    yolo_follow_remove (buffer);
  if (self->replaced)
    yolo_meta_clear (buffer);
  else
    yolo_meta_set_tracks (buffer, &self->info, found, self->found->len, self->moved);
  if (self->added->len > 0)
    yolo_meta_add (buffer, &self->info, added, self->added->len, self->note.unique_id);
  if (self->nvmm) {
    const YoloMetaObject *before = (const YoloMetaObject *) self->before->data;

    if (self->replaced)
      yolo_ds_remove (buffer, before, self->before->len);
    else
      yolo_ds_track (buffer, before, found, self->found->len);
    if (self->added->len > 0)
      yolo_ds_add (buffer, added, self->added->len, NULL, self->note.unique_id, FALSE);
  }
  return GST_FLOW_OK;
}

/* Events, queries, caps */

static gboolean
has_video_stream (GstStreamCollection *collection, const gchar *id)
{
  for (guint i = 0; i < gst_stream_collection_get_size (collection); i++) {
    GstStream *stream = gst_stream_collection_get_stream (collection, i);

    if ((gst_stream_get_stream_type (stream) & GST_STREAM_TYPE_VIDEO)
        && g_strcmp0 (gst_stream_get_stream_id (stream), id) == 0)
      return TRUE;
  }
  return FALSE;
}

/* Where none of the video streams is left that there were before, what follows is another one,
 * even if no new stream has been started. */
static void
take_collection (GstYoloTrack *self, GstStreamCollection *collection)
{
  GstStreamCollection *before = self->collection;
  gboolean another = before != NULL;

  for (guint i = 0; another && i < gst_stream_collection_get_size (before); i++) {
    GstStream *stream = gst_stream_collection_get_stream (before, i);

    if ((gst_stream_get_stream_type (stream) & GST_STREAM_TYPE_VIDEO)
        && has_video_stream (collection, gst_stream_get_stream_id (stream)))
      another = FALSE;
  }
  if (another) {
    yolo_trackers_clear (self->tracks);
    yolo_camera_motion_reset (self->motion);
  }
  gst_object_replace ((GstObject **) &self->collection, GST_OBJECT (collection));
}

static void
take_stream_start (GstYoloTrack *self, GstEvent *event)
{
  const gchar *id;

  gst_event_parse_stream_start (event, &id);
  if (g_strcmp0 (id, self->stream_id) == 0)
    return;
  yolo_trackers_clear (self->tracks);
  yolo_camera_motion_reset (self->motion);
  self->n_slots = 0;
  g_free (self->stream_id);
  self->stream_id = g_strdup (id);
}

static gboolean
gst_yolo_track_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstYoloTrack *self = GST_YOLO_TRACK (trans);
  GstStreamCollection *collection = NULL;

  yolo_watch_event (&self->watch, GST_ELEMENT (self), event);
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      take_stream_start (self, event);
      break;
    case GST_EVENT_STREAM_COLLECTION:
      gst_event_parse_stream_collection (event, &collection);
      if (collection)
        take_collection (self, collection);
      gst_clear_object (&collection);
      break;
    case GST_EVENT_FLUSH_STOP:
      yolo_trackers_reset (self->tracks);
      yolo_camera_motion_reset (self->motion);
      break;
    default:
      break;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_yolo_track_parent_class)->sink_event (trans, event);
}

static gboolean
gst_yolo_track_query (GstBaseTransform *trans, GstPadDirection direction, GstQuery *query)
{
  GstYoloTrack *self = GST_YOLO_TRACK (trans);
  gdouble low;

  GST_OBJECT_LOCK (self);
  low = self->settings.track.low;
  GST_OBJECT_UNLOCK (self);
  if (direction == GST_PAD_SINK && yolo_follow_answer (query, low))
    return TRUE;
  return GST_BASE_TRANSFORM_CLASS (gst_yolo_track_parent_class)->query (trans, direction, query);
}

static gboolean
gst_yolo_track_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  GstYoloTrack *self = GST_YOLO_TRACK (trans);

  if (!gst_video_info_from_caps (&self->info, in))
    return FALSE;
  g_clear_pointer (&self->features, gst_caps_features_free);
  self->features = gst_caps_features_copy (gst_caps_get_features (in, 0));
  self->nvmm = gst_caps_features_contains (self->features, YOLO_CAPS_FEATURE_NVMM);
  yolo_trackers_set_info (self->tracks, &self->info);
  return TRUE;
}

/* The element downstream says which memory it takes; the frames stay in that. */
static gboolean
gst_yolo_track_propose_allocation (GstBaseTransform *trans, GstQuery *decide, GstQuery *query)
{
  return gst_pad_peer_query (GST_BASE_TRANSFORM_SRC_PAD (trans), query);
}

static void
forget (GstYoloTrack *self)
{
  yolo_trackers_clear (self->tracks);
  yolo_camera_motion_stop (self->motion);
  self->n_slots = 0;
  g_clear_pointer (&self->stream_id, g_free);
  gst_clear_object (&self->collection);
}

static gboolean
gst_yolo_track_start (GstBaseTransform *trans)
{
  GstYoloTrack *self = GST_YOLO_TRACK (trans);

  forget (self);
  self->watch = (YoloWatch) { 0 };
  return TRUE;
}

static gboolean
gst_yolo_track_stop (GstBaseTransform *trans)
{
  forget (GST_YOLO_TRACK (trans));
  return TRUE;
}

/* Properties */

static void
gst_yolo_track_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  static const guint8 of_preset[] = { PROP_HIGH_THRESHOLD, PROP_LOW_THRESHOLD, PROP_NEW_THRESHOLD,
    PROP_MATCH_THRESHOLD, PROP_BUFFER, PROP_FUSE_SCORE, PROP_CLASS_AWARE, PROP_PUBLISHED,
    PROP_TIME_BASE };
  GstYoloTrack *self = GST_YOLO_TRACK (object);
  gboolean asks;

  GST_OBJECT_LOCK (self);
  const gdouble low = self->settings.track.low;
  yolo_property_set (&properties[id], &self->settings, value);
  if (id == PROP_PRESET)
    apply_preset (&self->settings, self->settings.preset);
  self->settings.track.serial++;
  asks = low != self->settings.track.low;
  GST_OBJECT_UNLOCK (self);

  if (id == PROP_PRESET)
    for (guint i = 0; i < G_N_ELEMENTS (of_preset); i++)
      g_object_notify (object, properties[of_preset[i]].name);
  /* yoloinfer asks again what is wanted; where nobody is upstream, nobody has asked */
  if (asks)
    gst_pad_push_event (GST_BASE_TRANSFORM_SINK_PAD (self), yolo_follow_changed ());
}

static void
gst_yolo_track_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstYoloTrack *self = GST_YOLO_TRACK (object);

  GST_OBJECT_LOCK (self);
  yolo_property_get (&properties[id], &self->settings, value);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_yolo_track_init (GstYoloTrack *self)
{
  yolo_properties_init (properties, N_PROPERTIES, &self->settings);
  gst_video_info_init (&self->info);
  self->tracks = yolo_trackers_new ();
  self->motion = yolo_camera_motion_new (GST_ELEMENT (self));
  self->found = yolo_meta_objects_new ();
  self->faint = yolo_meta_objects_new ();
  self->added = yolo_meta_objects_new ();
  self->before = yolo_meta_objects_new ();
  self->frames = g_array_new (FALSE, FALSE, sizeof (YoloTrackFrame));
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
}

static void
gst_yolo_track_finalize (GObject *object)
{
  GstYoloTrack *self = GST_YOLO_TRACK (object);

  forget (self);
  yolo_properties_clear (properties, N_PROPERTIES, &self->settings);
  yolo_trackers_free (self->tracks);
  yolo_camera_motion_free (self->motion);
  g_clear_pointer (&self->features, gst_caps_features_free);
  g_array_unref (self->found);
  g_array_unref (self->faint);
  g_array_unref (self->added);
  g_array_unref (self->before);
  g_array_unref (self->frames);
  G_OBJECT_CLASS (gst_yolo_track_parent_class)->finalize (object);
}

static void
gst_yolo_track_class_init (GstYoloTrackClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (yolotrack_debug, "yolotrack", 0, "tracking of objects");

  object_class->set_property = gst_yolo_track_set_property;
  object_class->get_property = gst_yolo_track_get_property;
  object_class->finalize = gst_yolo_track_finalize;
  yolo_properties_install (object_class, properties, N_PROPERTIES);

  gst_element_class_set_static_metadata (element_class, "YOLO tracker", "Filter/Analyzer/Video",
      "Recognises objects from frame to frame and gives them numbers", "The yolo project");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);

  trans_class->start = gst_yolo_track_start;
  trans_class->stop = gst_yolo_track_stop;
  trans_class->set_caps = gst_yolo_track_set_caps;
  trans_class->sink_event = gst_yolo_track_sink_event;
  trans_class->query = gst_yolo_track_query;
  trans_class->propose_allocation = gst_yolo_track_propose_allocation;
  trans_class->prepare_output_buffer = gst_yolo_track_prepare_output_buffer;
  trans_class->transform_ip = gst_yolo_track_transform_ip;
}
