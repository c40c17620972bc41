/* SPDX-License-Identifier: MIT */
/* Source of the topics: Frigate's documentation, "MQTT"; of the announcements: Home Assistant's,
 * "MQTT discovery" and "MQTT sensor".
 *
 * A frame costs a look-up in a table for each object and zone, and the text of the key. Messages
 * are made when something changes. */

#include "gst-plugin/yolofrigate.h"

#include "gst-plugin/yolojson.h"
#include "gst-plugin/yolozonesmeta.h"

#include <string.h>

/* Nanoseconds of stream time after which an object that is not seen has gone. */
#define GONE (2 * GST_SECOND)
/* Nanoseconds between messages of an object that differ in its score alone. */
#define BETWEEN GST_SECOND

typedef struct {
  char *id, *label;
  gdouble start, seen;          /* Unix time, seconds: of the first and the last frame with it */
  GstClockTime last, told;      /* stream time: when it was seen last, and told of last */
  gfloat score, top;            /* of the last frame, and the best one */
  gint box[4];                  /* x1, y1, x2, y2 in pixels */
  GPtrArray *zones, *entered;   /* char *: where it is, and where it has been */
  gboolean changed;             /* its zones have, since it was told of */
  gboolean better;              /* its score has never been as good, in this frame */
  char *before;                 /* JSON of the message before; NULL: it was not told of yet */
} Track;

typedef struct {
  guint now;
  gint told;                    /* -1: nothing was sent yet */
  char *place, *label;          /* the camera or a zone; a class or "all" */
} Count;

struct _YoloFrigate {
  char *prefix, *discovery, *availability;
  char *camera;                 /* NULL: no frame was seen yet */
  YoloFrigateSend send;
  gpointer user_data;
  GHashTable *tracks;           /* number of the track to Track */
  GHashTable *counts;           /* topic to Count */
  GString *text;                /* of the message in hand */
  gint width, height;           /* of the last frame */
  gdouble time;                 /* Unix time of the last frame, seconds */
  GstClockTime stream_time;     /* of the last frame */
};

static void
track_free (gpointer data)
{
  Track *track = data;

  g_free (track->id);
  g_free (track->label);
  g_free (track->before);
  g_ptr_array_unref (track->zones);
  g_ptr_array_unref (track->entered);
  g_free (track);
}

static void
count_free (gpointer data)
{
  Count *count = data;

  g_free (count->place);
  g_free (count->label);
  g_free (count);
}

/* A name as one level of a topic. */
static char *
level_of (const char *name)
{
  char *level = g_utf8_make_valid (name && *name ? name : "camera", -1);

  for (char *c = level; *c; c++)
    if (strchr ("/+#", *c) || g_ascii_iscntrl (*c))
      *c = '_';
  return level;
}

/* The same as one of Home Assistant's ids: letters, digits, underscores and dashes. */
static char *
id_of (const char *name)
{
  char *id = g_strdup (name);

  for (char *c = id; *c; c++)
    if (!g_ascii_isalnum (*c) && *c != '-')
      *c = '_';
  return id;
}

YoloFrigate *
yolo_frigate_new (const char *prefix, const char *discovery, const char *availability,
    YoloFrigateSend send, gpointer user_data)
{
  YoloFrigate *frigate = g_new0 (YoloFrigate, 1);

  frigate->prefix = g_strdup (prefix);
  frigate->discovery = g_strdup (discovery);
  frigate->availability = g_strdup (availability);
  frigate->send = send;
  frigate->user_data = user_data;
  frigate->tracks = g_hash_table_new_full (NULL, NULL, NULL, track_free);
  frigate->counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, count_free);
  frigate->text = g_string_new (NULL);
  return frigate;
}

void
yolo_frigate_free (YoloFrigate *frigate)
{
  if (frigate == NULL)
    return;
  g_hash_table_unref (frigate->tracks);
  g_hash_table_unref (frigate->counts);
  g_string_free (frigate->text, TRUE);
  g_free (frigate->prefix);
  g_free (frigate->discovery);
  g_free (frigate->availability);
  g_free (frigate->camera);
  g_free (frigate);
}

/* Events of objects */

static void
add_strings (JsonBuilder *builder, const char *name, const GPtrArray *strings)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (guint i = 0; i < strings->len; i++)
    json_builder_add_string_value (builder, strings->pdata[i]);
  json_builder_end_array (builder);
}

static void
add_box (JsonBuilder *builder, const char *name, gint x1, gint y1, gint x2, gint y2)
{
  const gint box[4] = { x1, y1, x2, y2 };

  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (guint i = 0; i < 4; i++)
    json_builder_add_int_value (builder, box[i]);
  json_builder_end_array (builder);
}

/* The object as it is now. */
static char *
describe (YoloFrigate *frigate, const Track *track, gboolean ended)
{
  const gint w = track->box[2] - track->box[0], h = track->box[3] - track->box[1];
  g_autoptr (GString) text = g_string_new (NULL);
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  yolo_json_string (builder, "id", track->id);
  yolo_json_string (builder, "camera", frigate->camera);
  yolo_json_double (builder, "frame_time", track->seen);
  yolo_json_string (builder, "label", track->label);
  yolo_json_string (builder, "sub_label", NULL);
  yolo_json_double (builder, "top_score", track->top);
  yolo_json_boolean (builder, "false_positive", FALSE);
  yolo_json_double (builder, "start_time", track->start);
  json_builder_set_member_name (builder, "end_time");
  if (ended)
    json_builder_add_double_value (builder, track->seen);
  else
    json_builder_add_null_value (builder);
  yolo_json_double (builder, "score", track->score);
  add_box (builder, "box", track->box[0], track->box[1], track->box[2], track->box[3]);
  yolo_json_int (builder, "area", (gint64) w * h);
  yolo_json_double (builder, "ratio", h > 0 ? (gdouble) w / h : 0);
  add_box (builder, "region", 0, 0, frigate->width, frigate->height);
  yolo_json_boolean (builder, "active", !ended);
  yolo_json_boolean (builder, "stationary", FALSE);
  add_strings (builder, "current_zones", track->zones);
  add_strings (builder, "entered_zones", track->entered);
  yolo_json_boolean (builder, "has_clip", FALSE);
  yolo_json_boolean (builder, "has_snapshot", FALSE);
  json_builder_end_object (builder);
  yolo_json_append (builder, text);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* @type: new, update or end */
static void
tell_event (YoloFrigate *frigate, Track *track, const char *type)
{
  g_autofree char *topic = g_strconcat (frigate->prefix, "/events", NULL);
  char *after = describe (frigate, track, strcmp (type, "end") == 0);

  g_string_printf (frigate->text, "{\"type\":\"%s\",\"before\":%s,\"after\":%s}", type,
      track->before ? track->before : after, after);
  frigate->send (topic, frigate->text->str, frigate->text->len, FALSE, frigate->user_data);
  g_free (track->before);
  track->before = after;
  track->told = track->last;
  track->changed = FALSE;
}

static const char *
label_of (const YoloMetaObject *object, char number[16])
{
  if (object->label)
    return g_quark_to_string (object->label);
  g_snprintf (number, 16, "%d", object->label_id);
  return number;
}

static Track *
track_new (YoloFrigate *frigate, const YoloMetaObject *object)
{
  char number[16], time[G_ASCII_DTOSTR_BUF_SIZE];
  Track *track = g_new0 (Track, 1);

  track->label = level_of (label_of (object, number));
  track->id = g_strdup_printf ("%s-%d",
      g_ascii_formatd (time, sizeof time, "%.6f", frigate->time), object->object_id);
  track->start = frigate->time;
  track->zones = g_ptr_array_new_with_free_func (g_free);
  track->entered = g_ptr_array_new_with_free_func (g_free);
  g_hash_table_insert (frigate->tracks, GINT_TO_POINTER (object->object_id), track);
  return track;
}

/* Notes that an object with a track is in the frame. */
static void
see (YoloFrigate *frigate, const YoloRecord *record, const YoloMetaObject *object)
{
  Track *track = g_hash_table_lookup (frigate->tracks, GINT_TO_POINTER (object->object_id));
  gint box[4];

  if (track == NULL)
    track = track_new (frigate, object);
  yolo_object_round (object, record->width, record->height, box);
  track->box[0] = box[0];
  track->box[1] = box[1];
  track->box[2] = box[0] + box[2];
  track->box[3] = box[1] + box[3];
  track->score = MAX (object->confidence, 0);
  track->better = track->score > track->top;
  track->top = MAX (track->top, track->score);
  track->seen = frigate->time;
  track->last = frigate->stream_time;
}

/* Tells of an object that is in the frame, if there is something new of it. */
static void
tell_object (YoloFrigate *frigate, const YoloMetaObject *object)
{
  Track *track = g_hash_table_lookup (frigate->tracks, GINT_TO_POINTER (object->object_id));

  if (track->before == NULL)
    tell_event (frigate, track, "new");
  else if (track->changed || (track->better && track->last >= track->told + BETWEEN))
    tell_event (frigate, track, "update");
}

/* Zones */

static gboolean
find (const GPtrArray *strings, const char *string, guint *at)
{
  for (*at = 0; *at < strings->len; (*at)++)
    if (strcmp (strings->pdata[*at], string) == 0)
      return TRUE;
  return FALSE;
}

static void
enter_or_leave (Track *track, const char *zone, gboolean enters)
{
  guint at;

  if (enters && !find (track->zones, zone, &at))
    g_ptr_array_add (track->zones, g_strdup (zone));
  else if (!enters && find (track->zones, zone, &at))
    g_ptr_array_remove_index (track->zones, at);
  else
    return;
  if (enters && !find (track->entered, zone, &at))
    g_ptr_array_add (track->entered, g_strdup (zone));
  track->changed = TRUE;
}

static void
read_zones (YoloFrigate *frigate, GstBuffer *buffer)
{
  const GstStructure *zones, *event;
  gpointer state = NULL;

  while ((zones = yolo_zones_meta_next (buffer, &state)) != NULL)
    for (guint i = 0; (event = yolo_zones_meta_element (zones, "events", i)) != NULL; i++) {
      const char *kind = gst_structure_get_string (event, "event");
      const char *zone = gst_structure_get_string (event, "zone");
      const gint id = (gint) yolo_zones_meta_number (event, "id", -1);
      Track *track = g_hash_table_lookup (frigate->tracks, GINT_TO_POINTER (id));
      g_autofree char *name = zone ? level_of (zone) : NULL;

      if (track && name && (g_str_equal (kind, "enter") || g_str_equal (kind, "appear")))
        enter_or_leave (track, name, TRUE);
      else if (track && name && (g_str_equal (kind, "exit") || g_str_equal (kind, "vanish")))
        enter_or_leave (track, name, FALSE);
    }
}

/* Announcements */

/* Begins the announcement of an entity of a place, a device there. */
static JsonBuilder *
begin_announcement (
    const YoloFrigate *frigate, const char *place, const char *name, const char *unique)
{
  g_autofree char *plain = g_strdup_printf ("%s_%s", frigate->prefix, place);
  g_autofree char *node = id_of (plain);
  g_autofree char *id = g_strdup_printf ("%s_%s", node, unique);
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  yolo_json_string (builder, "name", name);
  yolo_json_string (builder, "unique_id", id);
  json_builder_set_member_name (builder, "device");
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "identifiers");
  json_builder_begin_array (builder);
  json_builder_add_string_value (builder, node);
  json_builder_end_array (builder);
  yolo_json_string (builder, "name", place);
  yolo_json_string (builder, "manufacturer", "yolo");
  yolo_json_string (builder, "model", "yoloexport");
  yolo_json_string (builder, "sw_version", YOLO_VERSION);
  json_builder_end_object (builder);
  return builder;
}

/* Takes the builder. @component: of Home Assistant, "sensor" */
static void
send_announcement (YoloFrigate *frigate, JsonBuilder *builder, const char *component,
    const char *place, const char *unique)
{
  g_autofree char *plain = g_strdup_printf ("%s_%s", frigate->prefix, place);
  g_autofree char *node = id_of (plain);
  g_autofree char *topic = g_strdup_printf (
      "%s/%s/%s/%s/config", frigate->discovery, component, node, unique);

  json_builder_end_object (builder);
  g_string_truncate (frigate->text, 0);
  yolo_json_append (builder, frigate->text);
  frigate->send (topic, frigate->text->str, frigate->text->len, TRUE, frigate->user_data);
}

static void
announce_count (YoloFrigate *frigate, const char *state_topic, const Count *count)
{
  g_autofree char *label = id_of (count->label);
  g_autofree char *name = g_strdup_printf ("%s count", count->label);
  g_autofree char *unique = g_strdup_printf ("%s_count", label);
  JsonBuilder *builder = begin_announcement (frigate, count->place, name, unique);

  yolo_json_string (builder, "state_topic", state_topic);
  yolo_json_string (builder, "state_class", "measurement");
  yolo_json_string (builder, "unit_of_measurement", "objects");
  if (frigate->availability)
    yolo_json_string (builder, "availability_topic", frigate->availability);
  send_announcement (frigate, builder, "sensor", count->place, unique);
}

/* Whether the camera is connected, which the broker says in our place when we are gone. */
static void
announce_connection (YoloFrigate *frigate)
{
  JsonBuilder *builder;

  if (frigate->discovery == NULL || frigate->availability == NULL)
    return;
  builder = begin_announcement (frigate, frigate->camera, "connected", "connected");
  yolo_json_string (builder, "state_topic", frigate->availability);
  yolo_json_string (builder, "payload_on", "online");
  yolo_json_string (builder, "payload_off", "offline");
  yolo_json_string (builder, "device_class", "connectivity");
  send_announcement (frigate, builder, "binary_sensor", frigate->camera, "connected");
}

/* Counts */

static void
add_to (YoloFrigate *frigate, const char *place, const char *label, guint n)
{
  g_autofree char *topic = g_strdup_printf ("%s/%s/%s", frigate->prefix, place, label);
  Count *count = g_hash_table_lookup (frigate->counts, topic);

  if (count == NULL) {
    count = g_new0 (Count, 1);
    count->told = -1;
    count->place = g_strdup (place);
    count->label = g_strdup (label);
    if (frigate->discovery)
      announce_count (frigate, topic, count);
    g_hash_table_insert (frigate->counts, g_steal_pointer (&topic), count);
  }
  count->now += n;
}

static void
count_one (YoloFrigate *frigate, const char *place, const char *label)
{
  add_to (frigate, place, label, 1);
  add_to (frigate, place, "all", 1);
}

/* Counts the objects with tracks, and sends what has changed. What is there without a track was
 * counted before. */
static void
tell_counts (YoloFrigate *frigate)
{
  GHashTableIter iter;
  gpointer key, value;

  add_to (frigate, frigate->camera, "all", 0);
  g_hash_table_iter_init (&iter, frigate->tracks);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const Track *track = value;

    count_one (frigate, frigate->camera, track->label);
    for (guint i = 0; i < track->zones->len; i++)
      count_one (frigate, track->zones->pdata[i], track->label);
  }
  g_hash_table_iter_init (&iter, frigate->counts);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    Count *count = value;

    if (count->told != (gint) count->now) {
      g_string_printf (frigate->text, "%u", count->now);
      frigate->send (key, frigate->text->str, frigate->text->len, TRUE, frigate->user_data);
      count->told = (gint) count->now;
    }
    count->now = 0;
  }
}

/* Frames */

/* Ends the objects that were not seen for long, or all. */
static void
end_tracks (YoloFrigate *frigate, gboolean all)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, frigate->tracks);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Track *track = value;

    if (!all && track->last + GONE >= frigate->stream_time)
      continue;
    g_ptr_array_set_size (track->zones, 0);
    tell_event (frigate, track, "end");
    g_hash_table_iter_remove (&iter);
  }
}

/* A stream that jumps back, or is another camera's from now on, shows other objects. */
static void
begin_frame (YoloFrigate *frigate, const YoloRecord *record)
{
  const GstClockTime now = GST_CLOCK_TIME_IS_VALID (record->timestamp) ? record->timestamp
      : (GstClockTime) record->unix_time * 1000;
  g_autofree char *camera = level_of (record->stream);

  if (frigate->camera && (now < frigate->stream_time || strcmp (camera, frigate->camera) != 0))
    yolo_frigate_end (frigate);
  if (g_strcmp0 (camera, frigate->camera) != 0) {
    g_hash_table_remove_all (frigate->counts);
    g_free (frigate->camera);
    frigate->camera = g_steal_pointer (&camera);
    announce_connection (frigate);
  }
  frigate->stream_time = now;
  frigate->time = record->unix_time / 1e6;
  frigate->width = record->width;
  frigate->height = record->height;
}

/* Whether an object has a track, and is in the frame. */
static gboolean
is_seen (const YoloMetaObject *object)
{
  return object->object_id >= 0 && object->state != YOLO_META_LOST;
}

/* Zones come between, for they may be of objects that are new. */
void
yolo_frigate_frame (YoloFrigate *frigate, const YoloRecord *record, GstBuffer *buffer)
{
  char number[16];

  begin_frame (frigate, record);
  for (guint i = 0; i < record->n_objects; i++)
    if (is_seen (&record->objects[i]))
      see (frigate, record, &record->objects[i]);
  read_zones (frigate, buffer);
  for (guint i = 0; i < record->n_objects; i++) {
    const YoloMetaObject *object = &record->objects[i];

    if (is_seen (object)) {
      tell_object (frigate, object);
    } else if (object->object_id < 0) {
      g_autofree char *label = level_of (label_of (object, number));

      count_one (frigate, frigate->camera, label);
    }
  }
  end_tracks (frigate, FALSE);
  tell_counts (frigate);
}

void
yolo_frigate_end (YoloFrigate *frigate)
{
  if (frigate->camera == NULL)
    return;
  end_tracks (frigate, TRUE);
  tell_counts (frigate);
}
