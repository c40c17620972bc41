/* SPDX-License-Identifier: MIT */
/* A followed frame costs a meta with a structure of a few fields, about 600 bytes in as many
 * allocations as fields, for a buffer has no other place for what does not belong to its pixels;
 * with weak detections an array besides, which copies of the buffer share. Nobody downstream is
 * asked while nothing changes there. */

#include "gst-plugin/yolofollow.h"

#include "gst-plugin/yoloshape.h"

#define QUERY "yolo-tracker"
#define EVENT "yolo-tracker-changed"
#define NOTE "YoloTrackerNote"

/* Copies the note. Of converters, those that scale keep it, since its places are relative to the
 * size of the frame; whoever crops or turns the frame drops it, as they drop regions. */
static gboolean
transform_note (GstBuffer *to, GstCustomMeta *meta, GstBuffer *from, GQuark type, gpointer data,
    gpointer user_data)
{
  GstCustomMeta *copy;
  guint n_fields;

  if (!GST_META_TRANSFORM_IS_COPY (type) && !GST_VIDEO_META_TRANSFORM_IS_SCALE (type))
    return FALSE;
  copy = gst_buffer_add_custom_meta (to, NOTE);
  if (copy == NULL)
    return FALSE;
  n_fields = (guint) gst_structure_n_fields (gst_custom_meta_get_structure (meta));
  for (guint i = 0; i < n_fields; i++) {
    const GstStructure *structure = gst_custom_meta_get_structure (meta);
    const gchar *name = gst_structure_nth_field_name (structure, i);

    gst_structure_set_value (gst_custom_meta_get_structure (copy), name,
        gst_structure_get_value (structure, name));
  }
  return TRUE;
}

/* Registered once in a process, by whichever copy of this code comes first. */
static const GstMetaInfo *
note_info (void)
{
  static gsize info = 0;

  if (g_once_init_enter (&info)) {
    static const gchar *tags[] = {
      GST_META_TAG_VIDEO_STR, GST_META_TAG_VIDEO_ORIENTATION_STR, GST_META_TAG_VIDEO_SIZE_STR, NULL
    };
    const GstMetaInfo *known = gst_meta_get_info (NOTE);

    if (known == NULL)
      known = gst_meta_register_custom (NOTE, tags, transform_note, NULL, NULL);
    g_once_init_leave (&info, (gsize) known);
  }
  return (const GstMetaInfo *) info;
}

void
yolo_follow_forget (YoloFollow *follow)
{
  g_atomic_int_set (&follow->known, FALSE);
}

void
yolo_follow_event (YoloFollow *follow, GstEvent *event)
{
  /* RECONFIGURE comes when a pad downstream is linked */
  if (GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE || gst_event_has_name (event, EVENT))
    yolo_follow_forget (follow);
}

static void
ask (YoloFollow *follow, GstPad *srcpad)
{
  GstQuery *query = gst_query_new_custom (GST_QUERY_CUSTOM, gst_structure_new_empty (QUERY));

  /* an answer that changes meanwhile is asked for again */
  g_atomic_int_set (&follow->known, TRUE);
  follow->followed = gst_pad_peer_query (srcpad, query)
      && gst_structure_get_double (gst_query_get_structure (query), "confidence", &follow->low);
  gst_query_unref (query);
}

void
yolo_follow_lower (YoloFollow *follow, GstPad *srcpad, YoloLiveSettings *settings,
    YoloFlight *flight)
{
  if (!g_atomic_int_get (&follow->known))
    ask (follow, srcpad);
  flight->followed = follow->followed;
  flight->visible = (gfloat) settings->confidence;
  if (follow->followed)
    settings->confidence = MIN (settings->confidence, follow->low);
}

static gboolean
is_faint (const YoloFlight *flight, const YoloMetaObject *object)
{
  const YoloShape *shape = yolo_shape_get (object->shape);

  /* the threshold is not for classes of a whole picture */
  return object->confidence < flight->visible
      && !(shape != NULL && (shape->flags & YOLO_SHAPE_WHOLE));
}

void
yolo_follow_split (YoloFlight *flight)
{
  GArray *objects = flight->objects;
  guint n = 0;

  if (!flight->followed)
    return;
  for (guint i = 0; i < objects->len; i++) {
    YoloMetaObject *object = &g_array_index (objects, YoloMetaObject, i);
    YoloMetaObject moved = *object;

    if (is_faint (flight, object)) {
      if (flight->faint == NULL)
        flight->faint = yolo_meta_objects_new ();
      g_array_append_val (flight->faint, moved);
      object->shape = object->classes = NULL;   /* the other array has them */
      continue;
    }
    if (n < i) {
      object->shape = object->classes = NULL;
      g_array_index (objects, YoloMetaObject, n) = moved;
    }
    n++;
  }
  g_array_set_size (objects, n);
}

void
yolo_follow_repeat (YoloFlight *flight, GArray **last)
{
  if (flight->inferred) {
    g_clear_pointer (last, g_array_unref);
    *last = flight->faint != NULL ? g_array_ref (flight->faint) : NULL;
  } else if (flight->gated && *last != NULL) {
    g_clear_pointer (&flight->faint, g_array_unref);
    flight->faint = g_array_ref (*last);
  }
}

void
yolo_follow_note (GstBuffer *buffer, const GstVideoInfo *info, GArray *faint, gboolean inferred,
    guint unique_id)
{
  GstStructure *structure;

  g_return_if_fail (gst_buffer_is_writable (buffer));

  if (note_info () == NULL)
    return;
  structure = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, NOTE));
  gst_structure_set (structure, "inferred", G_TYPE_BOOLEAN, inferred, "unique-id", G_TYPE_UINT,
      unique_id, NULL);
  if (faint != NULL)
    gst_structure_set (structure, "width", G_TYPE_INT, GST_VIDEO_INFO_WIDTH (info), "height",
        G_TYPE_INT, GST_VIDEO_INFO_HEIGHT (info), "objects", G_TYPE_ARRAY, faint, NULL);
}

/* Appends the detections of a note, in pixels of the frame as it is now. */
static void
read_objects (const GstStructure *structure, const GstVideoInfo *info, GArray *faint)
{
  const GValue *value = gst_structure_get_value (structure, "objects");
  const GArray *objects;
  gint width, height;
  guint first = faint->len;

  if (value == NULL || !G_VALUE_HOLDS (value, G_TYPE_ARRAY)
      || !gst_structure_get_int (structure, "width", &width)
      || !gst_structure_get_int (structure, "height", &height) || width <= 0 || height <= 0)
    return;
  objects = g_value_get_boxed (value);
  yolo_meta_objects_append (faint, (const YoloMetaObject *) objects->data, objects->len);
  for (; first < faint->len; first++) {
    YoloMetaObject *object = &g_array_index (faint, YoloMetaObject, first);

    object->x *= (gfloat) GST_VIDEO_INFO_WIDTH (info) / (gfloat) width;
    object->w *= (gfloat) GST_VIDEO_INFO_WIDTH (info) / (gfloat) width;
    object->y *= (gfloat) GST_VIDEO_INFO_HEIGHT (info) / (gfloat) height;
    object->h *= (gfloat) GST_VIDEO_INFO_HEIGHT (info) / (gfloat) height;
  }
}

YoloFollowNote
yolo_follow_read (GstBuffer *buffer, const GstVideoInfo *info, GArray *faint)
{
  const GstMetaInfo *note = note_info ();
  YoloFollowNote read = { .inferred = FALSE };
  gpointer state = NULL;
  GstMeta *meta;

  while (note && (meta = gst_buffer_iterate_meta_filtered (buffer, &state, note->api))) {
    const GstStructure *structure = gst_custom_meta_get_structure ((GstCustomMeta *) meta);
    gboolean inferred = FALSE;

    gst_structure_get_boolean (structure, "inferred", &inferred);
    read.inferred |= inferred;
    if (!read.noted)
      gst_structure_get_uint (structure, "unique-id", &read.unique_id);
    read.noted = TRUE;
    read_objects (structure, info, faint);
  }
  if (!read.noted)
    read.inferred = TRUE;
  return read;
}

static gboolean
remove_note (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  if ((*meta)->info == note_info ())
    *meta = NULL;
  return TRUE;
}

void
yolo_follow_remove (GstBuffer *buffer)
{
  g_return_if_fail (gst_buffer_is_writable (buffer));

  gst_buffer_foreach_meta (buffer, remove_note, NULL);
}

gboolean
yolo_follow_answer (GstQuery *query, gdouble low)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_CUSTOM
      || !gst_structure_has_name (gst_query_get_structure (query), QUERY))
    return FALSE;
  gst_structure_set (gst_query_writable_structure (query), "confidence", G_TYPE_DOUBLE, low, NULL);
  return TRUE;
}

GstEvent *
yolo_follow_changed (void)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, gst_structure_new_empty (EVENT));
}
