/* SPDX-License-Identifier: MIT */
#include "pipelines/server/sightings.h"

#include <string.h>

#include <json-glib/json-glib.h>

#include "base/text.h"
#include "pipelines/server/objects.h"

#define MAX_LABEL 100           /* bytes of a label or a name that are kept */
#define MAX_TRACKS 10000        /* objects of one camera that are remembered */
#define GONE_AFTER (2 * GST_SECOND)     /* without being seen, as yolozones has it */
#define JUMP (GST_SECOND / 2)   /* back in time: another stream, whose objects are others */

/* An object that is in the picture. */
typedef struct {
  GstClockTime first, last;     /* when it was seen; PTS */
  char *label;                  /* owned */
} Track;

struct _YoloSightings {
  char *camera;
  YoloEvents *events;           /* a reference */
  YoloBitstream *stream;           /* a reference */
  GstClockTime pts;             /* of the frame that is looked at */
  gboolean arrivals, departures;        /* whether `arrive` and `leave` are wanted */
  char **kinds;                 /* owned; the kinds that are wanted; NULL: all but those two */
  gboolean pictures;
  GHashTable *tracks;           /* number of a track: Track */
  GstClockTime now;             /* PTS of the last frame */
  gint64 picture;               /* number of the picture of the frame that is looked at; 0: none */
  gboolean found;               /* that frame shows an event */
};

static void
track_free (gpointer data)
{
  Track *track = data;

  g_free (track->label);
  g_free (track);
}

gboolean
yolo_sightings_wants (const YoloValues *values, const char *kind)
{
  char **kinds = values->value[YOLO_KEY_EVENTS].text;

  if (kinds == NULL)
    return strcmp (kind, "arrive") != 0 && strcmp (kind, "leave") != 0;
  return g_strv_contains ((const char *const *) kinds, kind);
}

YoloSightings *
yolo_sightings_new (const char *camera, const YoloValues *values, YoloEvents *events,
    YoloBitstream *stream)
{
  YoloSightings *sightings = g_new0 (YoloSightings, 1);

  sightings->camera = g_strdup (camera);
  sightings->events = yolo_events_ref (events);
  sightings->stream = yolo_bitstream_ref (stream);
  sightings->pts = GST_CLOCK_TIME_NONE;
  sightings->arrivals = yolo_sightings_wants (values, "arrive");
  sightings->departures = yolo_sightings_wants (values, "leave");
  sightings->kinds = g_strdupv (values->value[YOLO_KEY_EVENTS].text);
  sightings->pictures = strcmp (yolo_values_text (values, YOLO_KEY_SNAPSHOTS), "none") != 0;
  sightings->tracks = g_hash_table_new_full (NULL, NULL, NULL, track_free);
  sightings->now = GST_CLOCK_TIME_NONE;
  return sightings;
}

void
yolo_sightings_free (YoloSightings *sightings)
{
  if (sightings == NULL)
    return;
  g_hash_table_unref (sightings->tracks);
  yolo_events_unref (sightings->events);
  yolo_bitstream_unref (sightings->stream);
  g_strfreev (sightings->kinds);
  g_free (sightings->camera);
  g_free (sightings);
}

/* Hands an event over; events of one frame share its picture. */
static void
add (YoloSightings *sightings, YoloEvent *event, gboolean pictured)
{
  gint64 id;

  sightings->found |= pictured;
  event->clip = yolo_bitstream_event (sightings->stream, sightings->pts);
  if (sightings->pictures && pictured)
    event->picture = sightings->picture != 0 ? sightings->picture : YOLO_EVENT_OWN_PICTURE;
  id = yolo_events_add (sightings->events, event);
  if (sightings->pictures && pictured && sightings->picture == 0)
    sightings->picture = id;
}

/* A number or a text of yolozones' as a member of a JSON object, named as yoloexport does it. */
static gboolean
add_detail (GQuark field, const GValue *value, gpointer user_data)
{
  static const char *const elsewhere[] = { "event", "element", "line", "zone", "label",
    "label-id", "timestamp", "since", "batch-id", "source-id", NULL };
  JsonBuilder *builder = user_data;
  const char *name = g_quark_to_string (field);
  g_autofree char *shown = g_strdelimit (g_strdup (name), "-", '_');
  g_auto (GValue) number = G_VALUE_INIT;

  if (g_strv_contains (elsewhere, name))
    return TRUE;
  g_value_init (&number, G_TYPE_DOUBLE);
  json_builder_set_member_name (builder, strcmp (name, "id") == 0 ? "track" : shown);
  if (G_VALUE_HOLDS_STRING (value)) {
    g_autofree char *text = yolo_text_printable (g_value_get_string (value), MAX_LABEL);
    json_builder_add_string_value (builder, text);
  } else if (g_value_transform (value, &number)) {
    const double x = g_value_get_double (&number);
    if (x == (double) (gint64) x)
      json_builder_add_int_value (builder, (gint64) x);
    else
      json_builder_add_double_value (builder, x);
  } else {
    json_builder_add_null_value (builder);
  }
  return TRUE;
}

static char *
printable (const char *text)
{
  return text != NULL ? yolo_text_printable (text, MAX_LABEL) : NULL;
}

static void
add_zone_event (YoloSightings *sightings, const GstStructure *structure)
{
  const char *kind = gst_structure_get_string (structure, "event");
  const char *zone = gst_structure_get_string (structure, "zone");
  g_autoptr (JsonBuilder) builder = NULL;
  g_autoptr (JsonNode) root = NULL;
  YoloEvent *event;

  if (kind == NULL || (sightings->kinds != NULL
          && !g_strv_contains ((const char *const *) sightings->kinds, kind)))
    return;
  event = yolo_event_new (sightings->camera, kind);
  event->zone = printable (zone != NULL ? zone : gst_structure_get_string (structure, "line"));
  event->label = printable (gst_structure_get_string (structure, "label"));
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  gst_structure_foreach (structure, add_detail, builder);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  event->details = json_to_string (root, FALSE);
  add (sightings, event, TRUE);
}

static void
add_track_event (YoloSightings *sightings, const char *kind, gint id, const Track *track)
{
  YoloEvent *event = yolo_event_new (sightings->camera, kind);
  char seconds[G_ASCII_DTOSTR_BUF_SIZE];

  g_ascii_formatd (seconds, sizeof seconds, "%.3f", (track->last - track->first) / 1e9);
  event->label = g_strdup (track->label);
  event->details = track->last > track->first
      ? g_strdup_printf ("{\"track\":%d,\"dwell\":%s}", id, seconds)
      : g_strdup_printf ("{\"track\":%d}", id);
  add (sightings, event, strcmp (kind, "arrive") == 0);
}

/* Objects that were not seen for some time, or at all if @all, have left. */
static void
end_tracks (YoloSightings *sightings, gboolean all)
{
  GHashTableIter iterator;
  gpointer id, data;

  g_hash_table_iter_init (&iterator, sightings->tracks);
  while (g_hash_table_iter_next (&iterator, &id, &data)) {
    const Track *track = data;

    if (!all && sightings->now <= track->last + GONE_AFTER)
      continue;
    if (sightings->departures)
      add_track_event (sightings, "leave", GPOINTER_TO_INT (id), track);
    g_hash_table_iter_remove (&iterator);
  }
}

static void
on_object (gint id, const char *label, gpointer user_data)
{
  YoloSightings *sightings = user_data;
  Track *track = g_hash_table_lookup (sightings->tracks, GINT_TO_POINTER (id));

  if (track != NULL) {
    track->last = sightings->now;
    return;
  }
  if (g_hash_table_size (sightings->tracks) >= MAX_TRACKS)
    return;
  track = g_new (Track, 1);
  *track = (Track) { sightings->now, sightings->now, printable (label) };
  g_hash_table_insert (sightings->tracks, GINT_TO_POINTER (id), track);
  if (sightings->arrivals)
    add_track_event (sightings, "arrive", id, track);
}

gboolean
yolo_sightings_look (YoloSightings *sightings, GstBuffer *buffer)
{
  const GstClockTime pts = GST_BUFFER_PTS (buffer);
  const GstStructure *event;

  sightings->picture = 0;
  sightings->found = FALSE;
  sightings->pts = pts;
  for (guint i = 0; (event = yolo_objects_event (buffer, i)) != NULL; i++)
    add_zone_event (sightings, event);
  if (!(sightings->arrivals || sightings->departures) || !GST_CLOCK_TIME_IS_VALID (pts))
    return sightings->found;
  if (GST_CLOCK_TIME_IS_VALID (sightings->now) && pts + JUMP < sightings->now)
    end_tracks (sightings, TRUE);
  sightings->now = pts;
  yolo_objects_foreach_track (buffer, on_object, sightings);
  end_tracks (sightings, FALSE);
  return sightings->found;
}

gint64
yolo_sightings_picture (const YoloSightings *sightings)
{
  return sightings->picture;
}

void
yolo_sightings_add_picture (YoloSightings *sightings, gint64 id, GBytes *jpeg)
{
  yolo_events_add_picture (sightings->events, id, jpeg);
}
