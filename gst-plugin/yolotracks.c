/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolotracks.h"

#include "gst-plugin/yoloshape.h"

/* The first member is the key. */
typedef struct {
  gint64 key;
  guint64 seen, asked;          /* number of the frame, of the last time */
  GBytes *classes;              /* owned; NULL: nothing was said */
  GArray *inside;               /* YoloMetaObject; NULL: nothing was looked for */
  gfloat box[4];                /* x, y, width and height of the object then, pixels */
} Track;

struct _YoloTracks {
  GHashTable *tracks;           /* Track, by its key */
  guint64 swept;                /* frame at which tracks were last forgotten */
};

static void
free_track (gpointer data)
{
  Track *track = data;

  g_clear_pointer (&track->classes, g_bytes_unref);
  g_clear_pointer (&track->inside, g_array_unref);
  g_free (track);
}

YoloTracks *
yolo_tracks_new (void)
{
  YoloTracks *tracks = g_new0 (YoloTracks, 1);

  tracks->tracks = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, free_track);
  return tracks;
}

void
yolo_tracks_free (YoloTracks *tracks)
{
  if (tracks == NULL)
    return;
  g_hash_table_unref (tracks->tracks);
  g_free (tracks);
}

void
yolo_tracks_clear (YoloTracks *tracks)
{
  g_hash_table_remove_all (tracks->tracks);
  tracks->swept = 0;
}

guint
yolo_tracks_count (YoloTracks *tracks)
{
  return g_hash_table_size (tracks->tracks);
}

static gboolean
is_forgotten (gpointer key, gpointer value, gpointer frame)
{
  return *(const guint64 *) frame - ((const Track *) value)->seen > YOLO_TRACKS_MEMORY;
}

/* The track of an object, which is seen now; NULL: the object has none, or it is new and not to
 * be remembered. */
static Track *
find (YoloTracks *tracks, const YoloMetaObject *object, guint64 frame, gboolean remember)
{
  const gint64 key = (gint64) (((guint64) object->slot << 32) | (guint32) object->object_id);
  Track *track;

  if (object->object_id < 0)
    return NULL;
  if (frame - tracks->swept > YOLO_TRACKS_MEMORY) {
    g_hash_table_foreach_remove (tracks->tracks, is_forgotten, &frame);
    tracks->swept = frame;
  }
  track = g_hash_table_lookup (tracks->tracks, &key);
  if (track == NULL && remember) {
    track = g_new0 (Track, 1);
    track->key = key;
    track->asked = G_MAXUINT64;
    g_hash_table_insert (tracks->tracks, &track->key, track);
  }
  if (track != NULL)
    track->seen = frame;
  return track;
}

gboolean
yolo_tracks_is_due (
    YoloTracks *tracks, const YoloMetaObject *object, guint64 frame, guint interval)
{
  Track *track = find (tracks, object, frame, TRUE);

  if (track == NULL)
    return TRUE;
  if (track->asked != G_MAXUINT64 && (interval == 0 || frame - track->asked < interval))
    return FALSE;
  track->asked = frame;
  return TRUE;
}

void
yolo_tracks_learn (
    YoloTracks *tracks, const YoloMetaObject *object, guint64 frame, GBytes *classes)
{
  Track *track = find (tracks, object, frame, TRUE);

  if (track == NULL)
    return;
  g_clear_pointer (&track->classes, g_bytes_unref);
  track->classes = g_bytes_ref (classes);
}

GBytes *
yolo_tracks_recall (YoloTracks *tracks, const YoloMetaObject *object, guint64 frame)
{
  const Track *track = find (tracks, object, frame, FALSE);

  return track != NULL ? track->classes : NULL;
}

void
yolo_tracks_learn_inside (YoloTracks *tracks, const YoloMetaObject *object, guint64 frame,
    const YoloMetaObject *found, guint n)
{
  Track *track = find (tracks, object, frame, TRUE);

  if (track == NULL)
    return;
  if (track->inside == NULL)
    track->inside = yolo_meta_objects_new ();
  g_array_set_size (track->inside, 0);
  yolo_meta_objects_append (track->inside, found, n);
  track->box[0] = object->x;
  track->box[1] = object->y;
  track->box[2] = object->w;
  track->box[3] = object->h;
}

void
yolo_tracks_recall_inside (YoloTracks *tracks, const YoloMetaObject *object, guint64 frame,
    const GstVideoInfo *info, GArray *objects)
{
  const Track *track = find (tracks, object, frame, FALSE);
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  gfloat scale[2], move[2];
  guint i;

  if (track == NULL || track->inside == NULL || !(track->box[2] > 0 && track->box[3] > 0))
    return;
  scale[0] = object->w / track->box[2];
  scale[1] = object->h / track->box[3];
  move[0] = object->x - track->box[0] * scale[0];
  move[1] = object->y - track->box[1] * scale[1];
  for (i = 0; i < track->inside->len; i++) {
    YoloMetaObject inner = g_array_index (track->inside, YoloMetaObject, i);

    inner.x = inner.x * scale[0] + move[0];
    inner.y = inner.y * scale[1] + move[1];
    inner.w *= scale[0];
    inner.h *= scale[1];
    inner.parent = object->region;
    inner.shape = yolo_shape_move (inner.shape, scale,
        (gfloat[2]){ move[0] / width, move[1] / height }, width, height);
    if (inner.classes != NULL)  /* the array gives up a reference to each of its objects' */
      g_bytes_ref (inner.classes);
    g_array_append_val (objects, inner);
  }
}
