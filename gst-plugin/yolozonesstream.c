/* SPDX-License-Identifier: MIT */
/* A frame's structure is built anew: a structure a line and zone of a dozen fields, and one for
 * each object that is in a zone or has a speed, about a microsecond each. It belongs to the
 * buffer, which may be anywhere when the next one comes, so that nothing of it can be kept. */

#include "gst-plugin/yolozonesstream.h"

#include "gst-plugin/yolofields.h"
#include "gst-plugin/yolozonesmeta.h"

#include <math.h>

/* A class as the objects have it, by which lines and zones count. */
typedef struct {
  GQuark label;                 /* 0: none */
  gint id;                      /* -1: unknown */
} Class;

struct _YoloZonesStream {
  YoloZonesLayout *layout;      /* owned */
  YoloZones *zones;             /* owned */
  guint source;
  guint64 used;                 /* number of the buffer that asked for it last */
  guint slot;                   /* of the last frame */
  /* in the order in which they were seen; when it is full, what comes is counted by the last */
  Class classes[YOLO_ZONES_MAX_CLASSES];
  guint n_classes;
  GArray *objects;              /* YoloZonesObject: of the frame in hand */
  gint width, height;           /* pixels, of the last frame */
  gdouble now;                  /* of the last frame, seconds */
};

YoloZonesStream *
yolo_zones_stream_new (YoloZonesLayout *layout, guint source)
{
  YoloZones *zones = yolo_zones_new (&layout->config);
  YoloZonesStream *stream;

  if (zones == NULL)
    return NULL;
  stream = g_new0 (YoloZonesStream, 1);
  stream->layout = yolo_zones_layout_ref (layout);
  stream->zones = zones;
  stream->source = source;
  stream->objects = g_array_new (FALSE, FALSE, sizeof (YoloZonesObject));
  return stream;
}

void
yolo_zones_stream_free (YoloZonesStream *stream)
{
  if (stream == NULL)
    return;
  yolo_zones_layout_unref (stream->layout);
  yolo_zones_free (stream->zones);
  g_array_unref (stream->objects);
  g_free (stream);
}

YoloZonesStream *
yolo_zones_stream_get (GPtrArray *streams, guint most, YoloZonesLayout *layout, guint source,
    guint64 number)
{
  YoloZonesStream *stream, *oldest = NULL;

  for (guint i = 0; i < streams->len; i++) {
    stream = g_ptr_array_index (streams, i);
    if (stream->source == source) {
      stream->used = number;
      return stream;
    }
    if (oldest == NULL || stream->used < oldest->used)
      oldest = stream;
  }
  stream = yolo_zones_stream_new (layout, source);
  if (stream == NULL)
    return NULL;
  stream->used = number;
  if (streams->len >= most)
    g_ptr_array_remove (streams, oldest);
  g_ptr_array_add (streams, stream);
  return stream;
}

/* Says which lines and zones take notice of a class. */
static void
accept_class (YoloZonesStream *stream, guint class)
{
  const YoloZonesLayout *layout = stream->layout;
  const gchar *label = g_quark_to_string (stream->classes[class].label);
  const gint id = stream->classes[class].id;
  guint64 lines = 0, zones = 0;

  for (gsize i = 0; i < layout->config.n_lines; i++)
    if (yolo_zones_class_is_in (layout->lines[i].classes, label, id))
      lines |= G_GUINT64_CONSTANT (1) << i;
  for (gsize i = 0; i < layout->config.n_zones; i++)
    if (yolo_zones_class_is_in (layout->zones[i].classes, label, id))
      zones |= G_GUINT64_CONSTANT (1) << i;
  yolo_zones_accept (stream->zones, class, lines, zones,
      yolo_zones_class_is_in (layout->heat_classes, label, id));
}

gboolean
yolo_zones_stream_change (YoloZonesStream *stream, YoloZonesLayout *layout)
{
  gint lines[YOLO_ZONES_MAX_SHAPES], areas[YOLO_ZONES_MAX_SHAPES];
  YoloZones *zones = yolo_zones_new (&layout->config);

  if (zones == NULL)
    return FALSE;
  yolo_zones_layout_compare (layout, stream->layout, lines, areas);
  if (stream->width > 0 && !yolo_zones_take (zones, stream->zones, lines, areas)) {
    yolo_zones_free (zones);
    return FALSE;
  }
  yolo_zones_free (stream->zones);
  stream->zones = zones;
  yolo_zones_layout_unref (stream->layout);
  stream->layout = yolo_zones_layout_ref (layout);
  for (guint i = 0; i < stream->n_classes; i++)
    accept_class (stream, i);
  return TRUE;
}

static guint
class_of (YoloZonesStream *stream, const YoloMetaObject *object)
{
  guint i;

  for (i = 0; i < stream->n_classes; i++)
    if (stream->classes[i].label == object->label && stream->classes[i].id == object->label_id)
      return i;
  if (i == YOLO_ZONES_MAX_CLASSES)
    return YOLO_ZONES_MAX_CLASSES - 1;
  stream->classes[i] = (Class) { object->label, object->label_id };
  stream->n_classes++;
  accept_class (stream, i);
  return i;
}

gboolean
yolo_zones_stream_update (YoloZonesStream *stream, const GArray *objects, guint slot, gint width,
    gint height, gdouble now)
{
  stream->slot = slot;
  stream->width = width;
  stream->height = height;
  stream->now = now;
  yolo_zones_resize (stream->zones, width, height);
  g_array_set_size (stream->objects, 0);
  for (guint i = 0; i < objects->len; i++) {
    const YoloMetaObject *from = &g_array_index (objects, YoloMetaObject, i);
    YoloZonesObject object = { .x1 = from->x, .y1 = from->y, .x2 = from->x + from->w,
      .y2 = from->y + from->h, .id = from->object_id,
      .predicted = from->state != YOLO_META_TRACKED };

    if (from->slot != stream->slot || from->object_id < 0)
      continue;
    object.class = class_of (stream, from);
    g_array_append_val (stream->objects, object);
  }
  return yolo_zones_update (stream->zones, now, (const YoloZonesObject *) stream->objects->data,
      stream->objects->len);
}

gboolean
yolo_zones_stream_end (YoloZonesStream *stream)
{
  return yolo_zones_end (stream->zones);
}

void
yolo_zones_stream_forget (YoloZonesStream *stream)
{
  yolo_zones_forget (stream->zones);
}

void
yolo_zones_stream_reset (YoloZonesStream *stream)
{
  yolo_zones_reset (stream->zones);
}

guint
yolo_zones_stream_source (const YoloZonesStream *stream)
{
  return stream->source;
}

guint
yolo_zones_stream_slot (const YoloZonesStream *stream)
{
  return stream->slot;
}

const YoloHeat *
yolo_zones_stream_heat (const YoloZonesStream *stream)
{
  return yolo_zones_heat (stream->zones);
}

guint
yolo_zones_stream_n_events (const YoloZonesStream *stream)
{
  gsize n;

  yolo_zones_events (stream->zones, &n);
  return (guint) n;
}

/* -- structures -- */

/* Appends a structure, which it takes. */
static void
append_structure (GValue *array, GstStructure *structure)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, GST_TYPE_STRUCTURE);
  g_value_take_boxed (&value, structure);
  gst_value_array_append_and_take_value (array, &value);
}

static void
append_double (GValue *array, gdouble number)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_DOUBLE);
  g_value_set_double (&value, number);
  gst_value_array_append_and_take_value (array, &value);
}

static void
append_string (GValue *array, const gchar *string)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, string);
  gst_value_array_append_and_take_value (array, &value);
}

/* What a structure says of a class. */
static void
set_class (GstStructure *structure, const Class *class)
{
  if (class->label != 0)
    gst_structure_set (
        structure, "label", G_TYPE_STRING, g_quark_to_string (class->label), NULL);
  if (class->id >= 0)
    gst_structure_set (structure, "label-id", G_TYPE_INT, class->id, NULL);
}

/* The counts of each class that has any. */
static void
add_classes (const YoloZonesStream *stream, GstStructure *structure, guint shape, gboolean line)
{
  GValue classes = G_VALUE_INIT;

  g_value_init (&classes, GST_TYPE_ARRAY);
  for (guint i = 0; i < stream->n_classes; i++) {
    const guint64 first = line ? yolo_zones_crossings (stream->zones, shape, (int) i, 0)
        : yolo_zones_passages (stream->zones, shape, i, false);
    const guint64 second = line ? yolo_zones_crossings (stream->zones, shape, (int) i, 1)
        : yolo_zones_passages (stream->zones, shape, i, true);
    GstStructure *class;

    if (first + second == 0)
      continue;
    class = gst_structure_new ("class", line ? "forward" : "entries", G_TYPE_UINT64, first,
        line ? "backward" : "exits", G_TYPE_UINT64, second, NULL);
    set_class (class, &stream->classes[i]);
    append_structure (&classes, class);
  }
  gst_structure_take_value (structure, "classes", &classes);
}

static GstStructure *
describe_line (const YoloZonesStream *stream, guint i)
{
  const YoloLineShape *line = &stream->layout->config.lines[i];
  const YoloZonesName *name = &stream->layout->lines[i];

  return gst_structure_new ("line", "name", G_TYPE_STRING, name->name, "x1", G_TYPE_DOUBLE,
      line->from.x, "y1", G_TYPE_DOUBLE, line->from.y, "x2", G_TYPE_DOUBLE, line->to.x, "y2",
      G_TYPE_DOUBLE, line->to.y, "forward-name", G_TYPE_STRING, name->directions[0],
      "backward-name", G_TYPE_STRING, name->directions[1], "forward", G_TYPE_UINT64,
      yolo_zones_crossings (stream->zones, i, -1, 0), "backward", G_TYPE_UINT64,
      yolo_zones_crossings (stream->zones, i, -1, 1), NULL);
}

static GstStructure *
describe_zone (const YoloZonesStream *stream, guint i)
{
  const YoloZoneShape *zone = &stream->layout->config.zones[i];
  const YoloZoneTotals totals = yolo_zones_totals (stream->zones, i);
  GstStructure *structure = gst_structure_new ("zone", "name", G_TYPE_STRING,
      stream->layout->zones[i].name, "occupancy", G_TYPE_UINT, totals.occupancy, "peak",
      G_TYPE_UINT, totals.peak, "entries", G_TYPE_UINT64, totals.entries, "exits", G_TYPE_UINT64,
      totals.exits, "appeared", G_TYPE_UINT64, totals.appeared, "vanished", G_TYPE_UINT64,
      totals.vanished, "loitering", G_TYPE_UINT, totals.loitering, "crowded", G_TYPE_BOOLEAN,
      (gboolean) totals.crowded, "dwell-mean", G_TYPE_DOUBLE,
      totals.visits > 0 ? totals.dwell_sum / (gdouble) totals.visits : 0., "dwell-longest",
      G_TYPE_DOUBLE, totals.dwell_longest, NULL);
  GValue points = G_VALUE_INIT;

  if (zone->directed)
    gst_structure_set (structure, "along", G_TYPE_UINT64, totals.along, "against", G_TYPE_UINT64,
        totals.against, NULL);
  g_value_init (&points, GST_TYPE_ARRAY);
  for (gsize k = 0; k < zone->n_corners; k++) {
    append_double (&points, zone->corners[k].x);
    append_double (&points, zone->corners[k].y);
  }
  gst_structure_take_value (structure, "points", &points);
  return structure;
}

/* The fields of an object, of which there are many: each is put where it belongs without looking
 * for its name. */
enum
{
  OBJECT_ID, OBJECT_LABEL, OBJECT_LABEL_ID, OBJECT_VX, OBJECT_VY, OBJECT_SPEED, OBJECT_ZONES,
  OBJECT_DWELLS
};

static YoloFields object_fields =
    YOLO_FIELDS ("id", "label", "label-id", "vx", "vy", "speed", "zones", "dwells");

static void
take_int (GstStructure *object, guint field, gint number)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, number);
  yolo_fields_take (&object_fields, object, field, &value);
}

static void
take_double (GstStructure *object, guint field, gdouble number)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_DOUBLE);
  g_value_set_double (&value, number);
  yolo_fields_take (&object_fields, object, field, &value);
}

/* What gst_structure_set() of set_class() does. */
static void
take_class (GstStructure *object, const Class *class)
{
  GValue value = G_VALUE_INIT;

  if (class->label != 0) {
    g_value_init (&value, G_TYPE_STRING);
    g_value_set_interned_string (&value, g_quark_to_string (class->label));
    yolo_fields_take (&object_fields, object, OBJECT_LABEL, &value);
  }
  if (class->id >= 0)
    take_int (object, OBJECT_LABEL_ID, class->id);
}

/* NULL: there is nothing to say of the object. */
static GstStructure *
describe_object (const YoloZonesStream *stream, gsize i)
{
  const YoloZonesTrack track = yolo_zones_track (stream->zones, i);
  GValue names = G_VALUE_INIT, dwells = G_VALUE_INIT;
  GstStructure *structure;
  guint n_inside = 0;

  for (guint k = 0; k < stream->layout->config.n_zones; k++)
    n_inside += yolo_zones_dwell (stream->zones, i, k) >= 0;
  if (!track.seen || (n_inside == 0 && isnan (track.speed) && isnan (track.vx)))
    return NULL;
  structure = gst_structure_new_empty ("object");
  take_int (structure, OBJECT_ID, track.id);
  take_class (structure, &stream->classes[track.class]);
  if (!isnan (track.vx)) {
    take_double (structure, OBJECT_VX, track.vx / stream->width);
    take_double (structure, OBJECT_VY, track.vy / stream->height);
  }
  if (!isnan (track.speed))
    take_double (structure, OBJECT_SPEED, track.speed);
  if (n_inside == 0)
    return structure;
  gst_value_array_init (&names, n_inside);
  gst_value_array_init (&dwells, n_inside);
  for (guint k = 0; k < stream->layout->config.n_zones; k++) {
    const gdouble dwell = yolo_zones_dwell (stream->zones, i, k);

    if (dwell < 0)
      continue;
    append_string (&names, stream->layout->zones[k].name);
    append_double (&dwells, dwell);
  }
  yolo_fields_take (&object_fields, structure, OBJECT_ZONES, &names);
  yolo_fields_take (&object_fields, structure, OBJECT_DWELLS, &dwells);
  return structure;
}

static void
describe_objects (const YoloZonesStream *stream, GstStructure *structure)
{
  GValue objects = G_VALUE_INIT;

  gst_value_array_init (&objects, (guint) yolo_zones_n_tracks (stream->zones));
  for (gsize i = 0; i < yolo_zones_n_tracks (stream->zones); i++) {
    GstStructure *object = describe_object (stream, i);

    if (object != NULL)
      append_structure (&objects, object);
  }
  gst_structure_take_value (structure, "objects", &objects);
}

void
yolo_zones_stream_describe (YoloZonesStream *stream, GstStructure *structure,
    const gchar *element, gboolean by_class, gboolean with_objects)
{
  GValue lines = G_VALUE_INIT, zones = G_VALUE_INIT;

  gst_structure_set (structure, "element", G_TYPE_STRING, element, NULL);
  if (stream->slot > 0)
    gst_structure_set (structure, "batch-id", G_TYPE_INT, (gint) stream->slot - 1, "source-id",
        G_TYPE_UINT, stream->source, NULL);
  g_value_init (&lines, GST_TYPE_ARRAY);
  for (guint i = 0; i < stream->layout->config.n_lines; i++) {
    GstStructure *line = describe_line (stream, i);

    if (by_class)
      add_classes (stream, line, i, TRUE);
    append_structure (&lines, line);
  }
  gst_structure_take_value (structure, "lines", &lines);
  g_value_init (&zones, GST_TYPE_ARRAY);
  for (guint i = 0; i < stream->layout->config.n_zones; i++) {
    GstStructure *zone = describe_zone (stream, i);

    if (by_class)
      add_classes (stream, zone, i, FALSE);
    append_structure (&zones, zone);
  }
  gst_structure_take_value (structure, "zones", &zones);
  if (with_objects)
    describe_objects (stream, structure);
}

static const gchar *
name_of_kind (const YoloZonesEvent *event)
{
  switch (event->kind) {
    case YOLO_ZONES_CROSS:
      return "cross";
    case YOLO_ZONES_ENTER:
      return event->unseen ? "appear" : "enter";
    case YOLO_ZONES_EXIT:
      return event->unseen ? "vanish" : "exit";
    case YOLO_ZONES_LOITER:
      return "loiter";
    case YOLO_ZONES_CROWD:
      return "crowd";
    case YOLO_ZONES_CROWD_END:
      return "crowd-end";
    case YOLO_ZONES_DIRECTION:
      return "direction";
  }
  return NULL;
}

/* What is told of an event that is of an object. */
static void
set_object (const YoloZonesStream *stream, GstStructure *structure, const YoloZonesEvent *event)
{
  gst_structure_set (structure, "id", G_TYPE_INT, event->id, "x", G_TYPE_DOUBLE,
      event->at.x / stream->width, "y", G_TYPE_DOUBLE, event->at.y / stream->height, NULL);
  set_class (structure, &stream->classes[event->class]);
  if (!isnan (event->speed))
    gst_structure_set (structure, "speed", G_TYPE_DOUBLE, event->speed, NULL);
}

GstStructure *
yolo_zones_stream_event (
    const YoloZonesStream *stream, guint i, const gchar *element, GstClockTime time)
{
  gsize n;
  const YoloZonesEvent *event = &yolo_zones_events (stream->zones, &n)[i];
  const gboolean line = event->kind == YOLO_ZONES_CROSS;
  const YoloZonesName *name =
      line ? &stream->layout->lines[event->shape] : &stream->layout->zones[event->shape];
  GstStructure *structure = gst_structure_new ("yolozones", "element", G_TYPE_STRING, element,
      "event", G_TYPE_STRING, name_of_kind (event), line ? "line" : "zone", G_TYPE_STRING,
      name->name, NULL);

  if (stream->slot > 0)
    gst_structure_set (structure, "batch-id", G_TYPE_INT, (gint) stream->slot - 1, "source-id",
        G_TYPE_UINT, stream->source, NULL);
  if (GST_CLOCK_TIME_IS_VALID (time)) {
    const gdouble ago = MAX (stream->now - event->since, 0) * GST_SECOND;

    gst_structure_set (structure, "timestamp", G_TYPE_UINT64, time, "since", G_TYPE_UINT64,
        ago < (gdouble) time ? time - (GstClockTime) (ago + .5) : 0, NULL);
  }
  if (event->id >= 0)
    set_object (stream, structure, event);
  if (line)
    gst_structure_set (structure, "direction", G_TYPE_STRING, name->directions[event->direction],
        "forward", G_TYPE_UINT64, yolo_zones_crossings (stream->zones, event->shape, -1, 0),
        "backward", G_TYPE_UINT64, yolo_zones_crossings (stream->zones, event->shape, -1, 1), NULL);
  else
    gst_structure_set (structure, "occupancy", G_TYPE_UINT,
        yolo_zones_totals (stream->zones, event->shape).occupancy, NULL);
  if (event->kind == YOLO_ZONES_EXIT || event->kind == YOLO_ZONES_LOITER)
    gst_structure_set (structure, "dwell", G_TYPE_DOUBLE, event->dwell, NULL);
  if (event->kind == YOLO_ZONES_DIRECTION)
    gst_structure_set (structure, "direction", G_TYPE_STRING,
        event->direction == 0 ? "along" : "against", NULL);
  return structure;
}
