/* SPDX-License-Identifier: MIT */
/* At rest nothing is allocated: arrays grow to the most objects that a frame has had, and trackers
 * live as long as their streams, of which MAX_STREAMS are remembered. */

#include "gst-plugin/yolotrackers.h"

#include "gst-plugin/yoloshape.h"

#include <math.h>
#include <string.h>

/* More streams than a batch holds; of more, the one that has had no frame for longest goes. */
#define MAX_STREAMS 1024

/* The nominal frame, where the caps have no framerate, in ns. */
#define NOMINAL (GST_SECOND / 30.)

/* The smallest step, in nominal frames: live sources can give two frames nearly the same time. */
#define MIN_STEP .01

/* What a tracker does not know of a track. */
typedef struct {
  gint id;
  gint label_id;
  GQuark label;
  gfloat x, y, w, h;            /* where it was last found, pixels */
} Memory;

typedef struct {
  guint64 source;
  guint64 used;                 /* number of the buffer that it was last of */
  YoloTracker *tracker;         /* owned */
  guint serial;                 /* of the settings that the tracker has */
  gdouble nominal;              /* ns; the nominal frame */
  GstClockTime last;            /* PTS of the frame before; NONE: there was none */
  gint width, height;           /* pixels of the frame before */
  GArray *memory;               /* Memory, by id */
} Stream;

struct _YoloTrackers {
  GHashTable *streams;          /* Stream, by its source */
  guint64 n_frames;
  GstVideoInfo info;

  /* of the frame in hand */
  GArray *detections;           /* YoloObject */
  GArray *places;               /* guint: where each is: in found, then in faint */
  GArray *memory;               /* Memory: what becomes that of the stream */
};

static void
stream_free (gpointer data)
{
  Stream *stream = data;

  yolo_tracker_free (stream->tracker);
  g_array_unref (stream->memory);
  g_free (stream);
}

YoloTrackers *
yolo_trackers_new (void)
{
  YoloTrackers *tracks = g_new0 (YoloTrackers, 1);

  tracks->streams = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, stream_free);
  tracks->detections = g_array_new (FALSE, FALSE, sizeof (YoloObject));
  tracks->places = g_array_new (FALSE, FALSE, sizeof (guint));
  tracks->memory = g_array_new (FALSE, FALSE, sizeof (Memory));
  gst_video_info_init (&tracks->info);
  return tracks;
}

void
yolo_trackers_free (YoloTrackers *tracks)
{
  if (tracks == NULL)
    return;
  g_hash_table_unref (tracks->streams);
  g_array_unref (tracks->detections);
  g_array_unref (tracks->places);
  g_array_unref (tracks->memory);
  g_free (tracks);
}

void
yolo_trackers_set_info (YoloTrackers *tracks, const GstVideoInfo *info)
{
  tracks->info = *info;
}

static void
stream_reset (Stream *stream)
{
  yolo_tracker_reset (stream->tracker);
  g_array_set_size (stream->memory, 0);
  stream->last = GST_CLOCK_TIME_NONE;
}

void
yolo_trackers_reset (YoloTrackers *tracks)
{
  GHashTableIter iter;
  gpointer stream;

  g_hash_table_iter_init (&iter, tracks->streams);
  while (g_hash_table_iter_next (&iter, NULL, &stream))
    stream_reset (stream);
}

void
yolo_trackers_clear (YoloTrackers *tracks)
{
  g_hash_table_remove_all (tracks->streams);
}

/* Makes room for one more stream. */
static void
drop_oldest (YoloTrackers *tracks)
{
  GHashTableIter iter;
  gpointer value;
  Stream *oldest = NULL;

  if (g_hash_table_size (tracks->streams) < MAX_STREAMS)
    return;
  g_hash_table_iter_init (&iter, tracks->streams);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (oldest == NULL || ((Stream *) value)->used < oldest->used)
      oldest = value;
  g_hash_table_remove (tracks->streams, &oldest->source);
}

static YoloTrackerSettings
tracker_settings (const YoloTrackSettings *settings, const Stream *stream)
{
  return (YoloTrackerSettings) {
    .kind = settings->tracker,
    .high = (float) settings->high, .low = (float) settings->low,
    .new_track = (float) settings->new_track, .match = (float) settings->match,
    .buffer = (float) ((gdouble) settings->buffer / stream->nominal),
    .fuse_score = settings->fuse_score, .class_aware = settings->class_aware,
    .published = settings->published,
  };
}

static Stream *
stream_new (YoloTrackers *tracks, const YoloTrackSettings *settings, guint64 source)
{
  Stream *stream = g_new0 (Stream, 1);
  const GstVideoInfo *info = &tracks->info;
  YoloTrackerSettings own;

  stream->source = source;
  stream->nominal = NOMINAL;
  if (GST_VIDEO_INFO_FPS_N (info) > 0 && GST_VIDEO_INFO_FPS_D (info) > 0)
    stream->nominal = (gdouble) GST_SECOND * GST_VIDEO_INFO_FPS_D (info)
        / GST_VIDEO_INFO_FPS_N (info);
  stream->last = GST_CLOCK_TIME_NONE;
  stream->memory = g_array_new (FALSE, FALSE, sizeof (Memory));
  stream->serial = settings->serial;
  own = tracker_settings (settings, stream);
  stream->tracker = yolo_tracker_new (&own);
  if (stream->tracker != NULL)
    return stream;
  stream_free (stream);
  return NULL;
}

/* The stream of the frame, with its settings; NULL: there is no memory. */
static Stream *
get_stream (YoloTrackers *tracks, const YoloTrackSettings *settings, guint64 source)
{
  Stream *stream = g_hash_table_lookup (tracks->streams, &source);

  if (stream == NULL) {
    drop_oldest (tracks);
    stream = stream_new (tracks, settings, source);
    if (stream == NULL)
      return NULL;
    g_hash_table_insert (tracks->streams, &stream->source, stream);
  }
  if (stream->serial != settings->serial) {
    const YoloTrackerSettings own = tracker_settings (settings, stream);

    yolo_tracker_set (stream->tracker, &own);
    stream->serial = settings->serial;
  }
  stream->used = tracks->n_frames++;
  return stream;
}

/* How far the frame is from the one before, in nominal frames. Where time stamps jump, back or so
 * far that every track would have ended meanwhile, the tracks end. */
static gdouble
take_step (Stream *stream, const YoloTrackSettings *settings, const YoloTrackFrame *frame)
{
  const GstClockTime last = stream->last;
  const gdouble longest = MAX ((gdouble) settings->buffer, 2 * stream->nominal);
  gdouble difference;

  if (!GST_CLOCK_TIME_IS_VALID (frame->pts)) {
    if (GST_CLOCK_TIME_IS_VALID (last)) {
      const GstClockTime step = (GstClockTime) stream->nominal;

      stream->last = frame->rate >= 0 ? last + step : last - MIN (last, step);
    }
    return 1;
  }
  stream->last = frame->pts;
  if (settings->time_base == YOLO_TIME_BASE_FRAMES || !GST_CLOCK_TIME_IS_VALID (last))
    return 1;
  difference = (gdouble) GST_CLOCK_DIFF (last, frame->pts);
  if (frame->rate < 0)
    difference = -difference;
  if (difference > longest || difference < -stream->nominal) {
    stream_reset (stream);
    stream->last = frame->pts;
    return 1;
  }
  /* a time stamp that is there twice, or out of order by less than a frame, says nothing */
  return difference <= 0 ? 1 : MAX (difference / stream->nominal, MIN_STEP);
}

/* Whether the frames have another size than those before, in which case @camera is where their
 * pixels are now. Where they have another shape, nobody knows, and the tracks end. */
static gboolean
take_size (Stream *stream, gint width, gint height, gfloat camera[6])
{
  const gint old_width = stream->width, old_height = stream->height;
  /* which take_step() has set to this frame's time */
  const GstClockTime last = stream->last;
  gdouble x, y;

  stream->width = width;
  stream->height = height;
  if (old_width == 0 || (old_width == width && old_height == height))
    return FALSE;
  x = (gdouble) width / old_width;
  y = (gdouble) height / old_height;
  if (fabs (x - y) > .02 * y) {
    stream_reset (stream);
    stream->last = last;
    return FALSE;
  }
  memcpy (camera, (gfloat[6]){ (gfloat) x, 0, 0, 0, (gfloat) y, 0 }, 6 * sizeof (gfloat));
  return TRUE;
}

/* Whether an object is one that has a place, and is in the frame. */
static gboolean
is_tracked_in (const YoloMetaObject *object, const YoloTrackFrame *frame)
{
  const YoloShape *shape = yolo_shape_get (object->shape);

  return MAX (object->slot, 1) == MAX (frame->slot, 1)
      && !(shape != NULL && (shape->flags & YOLO_SHAPE_WHOLE));
}

/* @limit: confidence that is not reached */
static void
add_detection (YoloTrackers *tracks, const YoloMetaObject *object, guint place, gfloat limit)
{
  const YoloObject detection = {
    .x1 = object->x, .y1 = object->y, .x2 = object->x + object->w, .y2 = object->y + object->h,
    .confidence = MIN (object->confidence >= 0 ? object->confidence : 1, limit),
    /* labels without a number are classes, too */
    .class_id = object->label_id >= 0 ? object->label_id : -2 - (gint) object->label,
    .anchor = (gint) place,
  };

  g_array_append_val (tracks->detections, detection);
  g_array_append_val (tracks->places, place);
}

/* Faint detections are there for the second association only: one that yoloinfer was told to
 * leave out must not begin a track, whatever the tracker's thresholds are. */
static void
collect (YoloTrackers *tracks, const YoloTrackSettings *settings, const YoloTrackFrame *frame,
    const GArray *found, const GArray *faint)
{
  const gfloat limit = nextafterf ((gfloat) MIN (settings->high, settings->new_track), 0);

  g_array_set_size (tracks->detections, 0);
  g_array_set_size (tracks->places, 0);
  for (guint i = 0; i < found->len; i++) {
    const YoloMetaObject *object = &g_array_index (found, YoloMetaObject, i);

    if (is_tracked_in (object, frame))
      add_detection (tracks, object, i, INFINITY);
  }
  for (guint i = 0; i < faint->len; i++) {
    const YoloMetaObject *object = &g_array_index (faint, YoloMetaObject, i);

    if (is_tracked_in (object, frame))
      add_detection (tracks, object, found->len + i, limit);
  }
}

/* What was remembered of a track, from place @from of the memory on, which it moves on. NULL: the
 * track is new. */
static const Memory *
recall (const Stream *stream, gint id, guint *from)
{
  for (; *from < stream->memory->len; (*from)++) {
    const Memory *memory = &g_array_index (stream->memory, Memory, *from);

    if (memory->id >= id)
      return memory->id == id ? memory : NULL;
  }
  return NULL;
}

/* Appends an object that was not found in the frame. */
static void
add_absent (YoloTrackers *tracks, const YoloTrackFrame *frame, const YoloTrack *track,
    const Memory *memory, YoloMetaState state, GArray *added)
{
  const YoloObject *box = &track->object;
  const YoloMetaObject object = {
    .x = box->x1, .y = box->y1, .w = box->x2 - box->x1, .h = box->y2 - box->y1,
    .confidence = box->confidence, .label_id = memory->label_id, .label = memory->label,
    .object_id = track->id, .slot = frame->slot, .state = state,
  };

  /* one that has left the frame is no object of it */
  if (box->x2 > 0 && box->y2 > 0 && box->x1 < GST_VIDEO_INFO_WIDTH (&tracks->info)
      && box->y1 < GST_VIDEO_INFO_HEIGHT (&tracks->info))
    g_array_append_val (added, object);
}

/* Gives the object of a detection its track. What lies in the box, masks and points, would not fit
 * into another one. */
static void
mark (YoloMetaObject *object, const YoloTrackSettings *settings, const YoloTrack *track)
{
  object->object_id = track->id;
  object->state = YOLO_META_TRACKED;
  if (settings->box == YOLO_TRACK_BOX_DETECTION || object->shape != NULL)
    return;
  object->x = track->object.x1;
  object->y = track->object.y1;
  object->w = track->object.x2 - track->object.x1;
  object->h = track->object.y2 - track->object.y1;
}

static Memory
memory_of (const YoloMetaObject *object, gint id)
{
  return (Memory) {
    .id = id, .label_id = object->label_id, .label = object->label,
    .x = object->x, .y = object->y, .w = object->w, .h = object->h,
  };
}

/* Turns a track into what it is in this frame. */
static void
use_track (YoloTrackers *tracks, const YoloTrackSettings *settings, const YoloTrackFrame *frame,
    const YoloTrack *track, const Memory *memory, GArray *found, GArray *faint, GArray *added)
{
  const gint d = track->detection;
  YoloMetaObject *object = NULL;
  Memory now;
  guint place;

  if (d >= 0 && (guint) d < tracks->places->len) {
    place = g_array_index (tracks->places, guint, d);
    object = place < found->len ? &g_array_index (found, YoloMetaObject, place)
                                : &g_array_index (faint, YoloMetaObject, place - found->len);
  } else if (memory == NULL) {
    return;
  }
  now = object != NULL ? memory_of (object, track->id) : *memory;
  g_array_append_val (tracks->memory, now);
  switch (track->state) {
    case YOLO_TRACK_NEW:
      break;
    case YOLO_TRACK_TRACKED:
      if (object == NULL)
        break;
      mark (object, settings, track);
      if (place >= found->len)
        yolo_meta_objects_append (added, object, 1);
      break;
    case YOLO_TRACK_PREDICTED:
      if (settings->fill_skipped)
        add_absent (tracks, frame, track, &now, YOLO_META_PREDICTED, added);
      break;
    case YOLO_TRACK_LOST:
      if (settings->attach_lost)
        add_absent (tracks, frame, track, &now, YOLO_META_LOST, added);
      break;
  }
}

/* In a frame that nobody looked at, objects are repeated: each is in the track that it was in. */
static void
mark_repeated (const Stream *stream, const YoloTrackFrame *frame, GArray *found)
{
  size_t n;
  const YoloTrack *all = yolo_tracker_tracks (stream->tracker, &n);

  for (guint i = 0; i < found->len; i++) {
    YoloMetaObject *object = &g_array_index (found, YoloMetaObject, i);
    guint from = 0;

    if (!is_tracked_in (object, frame))
      continue;
    for (size_t t = 0; t < n; t++) {
      const Memory *memory = recall (stream, all[t].id, &from);

      if (all[t].state != YOLO_TRACK_PREDICTED || memory == NULL || memory->x != object->x
          || memory->y != object->y || memory->w != object->w || memory->h != object->h
          || memory->label_id != object->label_id)
        continue;
      object->object_id = all[t].id;
      object->state = YOLO_META_PREDICTED;
    }
  }
}

gboolean
yolo_trackers_follow (YoloTrackers *tracks, const YoloTrackSettings *settings,
    const YoloTrackFrame *frame, GArray *found, GArray *faint, GArray *added)
{
  Stream *stream = get_stream (tracks, settings, frame->source);
  const gfloat *camera = frame->camera;
  gfloat matrix[6];
  const YoloTrack *all;
  gdouble step;
  size_t n;
  guint from = 0;

  if (stream == NULL)
    return FALSE;
  step = take_step (stream, settings, frame);
  if (take_size (stream, GST_VIDEO_INFO_WIDTH (&tracks->info),
          GST_VIDEO_INFO_HEIGHT (&tracks->info), matrix))
    camera = matrix;
  collect (tracks, settings, frame, found, faint);
  for (guint i = 0; i < tracks->places->len; i++) {
    const guint place = g_array_index (tracks->places, guint, i);

    /* another tracker may have given it a number */
    if (place < found->len)
      g_array_index (found, YoloMetaObject, place).object_id = -1;
  }
  if (!frame->inferred) {
    g_array_set_size (tracks->places, 0);
    yolo_tracker_predict (stream->tracker, step, camera);
  } else if (!yolo_tracker_update (stream->tracker, step,
                 (const YoloObject *) (gconstpointer) tracks->detections->data,
                 tracks->detections->len, camera)) {
    return FALSE;
  }

  g_array_set_size (tracks->memory, 0);
  all = yolo_tracker_tracks (stream->tracker, &n);
  for (size_t t = 0; t < n; t++)
    use_track (tracks, settings, frame, &all[t], recall (stream, all[t].id, &from), found, faint,
        added);
  g_array_set_size (stream->memory, 0);
  g_array_append_vals (stream->memory, tracks->memory->data, tracks->memory->len);
  if (!frame->inferred)
    mark_repeated (stream, frame, found);
  return TRUE;
}
