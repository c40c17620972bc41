/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolozonesconfig.h"

#include "base/file.h"
#include "base/text.h"

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#define MAX_BYTES (4 << 20)     /* of a file */
#define MAX_NAME 200            /* bytes of a name */

/* Where in the text the reader is. All functions return FALSE with *error where the text is
 * wrong. */
typedef struct {
  const gchar *name;            /* of the file */
  GString *place;               /* as JSON's users write it: zones[1].points */
  gdouble width, height;        /* that places are shares of: 1, or the file's frame in pixels */
  GError **error;
} Reader;

G_GNUC_PRINTF (2, 3)
static gboolean
fail (Reader *reader, const gchar *format, ...)
{
  g_autofree gchar *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (reader->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: %s%s%s", reader->name,
      reader->place->str, reader->place->len > 0 ? ": " : "", text);
  return FALSE;
}

/* Goes to a member; reader_leave() takes what it returns. */
static gsize
enter (Reader *reader, const gchar *member)
{
  const gsize before = reader->place->len;

  g_string_append_printf (reader->place, "%s%s", before > 0 ? "." : "", member);
  return before;
}

static gsize
enter_element (Reader *reader, guint i)
{
  const gsize before = reader->place->len;

  g_string_append_printf (reader->place, "[%u]", i);
  return before;
}

static void
leave (Reader *reader, gsize before)
{
  g_string_truncate (reader->place, before);
}

/* Whether an object has members of these names alone. */
static gboolean
check_members (Reader *reader, JsonObject *object, const gchar *const *known)
{
  g_autoptr (GList) members = json_object_get_members (object);

  for (const GList *l = members; l != NULL; l = l->next)
    if (!g_strv_contains (known, l->data)) {
      g_autofree gchar *shown = yolo_text_printable (l->data, MAX_NAME);
      g_autofree gchar *list = g_strjoinv (", ", (gchar **) known);

      return fail (reader, "\"%s\" is not known here; there are: %s", shown, list);
    }
  return TRUE;
}

static gboolean
get_object (Reader *reader, JsonNode *node, JsonObject **object)
{
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return fail (reader, "must be an object in {}");
  *object = json_node_get_object (node);
  return TRUE;
}

static gboolean
get_array (Reader *reader, JsonNode *node, guint min, guint max, JsonArray **array)
{
  if (!JSON_NODE_HOLDS_ARRAY (node))
    return fail (reader, "must be an array in []");
  *array = json_node_get_array (node);
  if (json_array_get_length (*array) >= min && json_array_get_length (*array) <= max)
    return TRUE;
  if (min == max)
    return fail (reader, "must have %u elements, and has %u", min, json_array_get_length (*array));
  return fail (reader, "must have %u to %u elements, and has %u", min, max,
      json_array_get_length (*array));
}

static gboolean
get_number (Reader *reader, JsonNode *node, gdouble min, gdouble max, gdouble *number)
{
  const GType type = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_NONE;

  if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
    return fail (reader, "must be a number from %g to %g", min, max);
  *number = json_node_get_double (node);
  if (!(*number >= min && *number <= max))
    return fail (reader, "%g is not a number from %g to %g", *number, min, max);
  return TRUE;
}

/* *number stays as it is if there is no such member. */
static gboolean
read_number (Reader *reader, JsonObject *object, const gchar *member, gdouble min, gdouble max,
    gdouble *number)
{
  const gsize before = enter (reader, member);

  if (json_object_has_member (object, member)
      && !get_number (reader, json_object_get_member (object, member), min, max, number))
    return FALSE;
  leave (reader, before);
  return TRUE;
}

/* (out) (transfer full) */
static gboolean
get_string (Reader *reader, JsonNode *node, gchar **string)
{
  const gchar *text = JSON_NODE_HOLDS_VALUE (node)
          && json_node_get_value_type (node) == G_TYPE_STRING
      ? json_node_get_string (node) : "";

  if (*text == '\0' || strlen (text) > MAX_NAME)
    return fail (reader, "must be a text of 1 to %d bytes", MAX_NAME);
  *string = g_strdup (text);
  return TRUE;
}

/* A place as [x, y]. Of shares a place in pixels is the likeliest mistake. */
static gboolean
get_point (Reader *reader, JsonNode *node, YoloPoint *point)
{
  JsonArray *array;
  gdouble at[2];

  if (!get_array (reader, node, 2, 2, &array))
    return FALSE;
  for (guint i = 0; i < 2; i++) {
    const gsize before = enter_element (reader, i);
    const gdouble limit = i == 0 ? reader->width : reader->height;

    if (!get_number (reader, json_array_get_element (array, i), -G_MAXFLOAT, G_MAXFLOAT, &at[i]))
      return FALSE;
    if (!(at[i] >= 0 && at[i] <= limit))
      return limit == 1
          ? fail (reader, "%g is not in the frame, whose places are 0 to 1; for pixels add "
                "\"frame\": [WIDTH, HEIGHT] at the top", at[i])
          : fail (reader, "%g is not in the frame, which ends at %g", at[i], limit);
    leave (reader, before);
  }
  *point = (YoloPoint) { at[0] / reader->width, at[1] / reader->height };
  return TRUE;
}

/* @points: room for @max */
static gboolean
read_points (Reader *reader, JsonObject *object, const gchar *member, guint min, guint max,
    YoloPoint *points, gsize *n)
{
  const gsize before = enter (reader, member);
  JsonArray *array;

  if (!json_object_has_member (object, member))
    return fail (reader, "is missing: points as [[x, y], ...]");
  if (!get_array (reader, json_object_get_member (object, member), min, max, &array))
    return FALSE;
  *n = json_array_get_length (array);
  for (guint i = 0; i < *n; i++) {
    const gsize here = enter_element (reader, i);

    if (!get_point (reader, json_array_get_element (array, i), &points[i]))
      return FALSE;
    leave (reader, here);
  }
  leave (reader, before);
  return TRUE;
}

/* The point of a box; *point stays as it is if there is no such member. */
static gboolean
read_box_point (Reader *reader, JsonObject *object, YoloBoxPoint *point)
{
  static const gchar *const names[] = {
    [YOLO_BOX_BOTTOM] = "bottom",
    [YOLO_BOX_CENTRE] = "centre",
    [YOLO_BOX_TOP_LEFT] = "top-left",
    [YOLO_BOX_TOP_RIGHT] = "top-right",
    [YOLO_BOX_BOTTOM_LEFT] = "bottom-left",
    [YOLO_BOX_BOTTOM_RIGHT] = "bottom-right",
  };
  g_autofree gchar *name = NULL;
  gsize before;

  if (!json_object_has_member (object, "point"))
    return TRUE;
  before = enter (reader, "point");
  if (!get_string (reader, json_object_get_member (object, "point"), &name))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (name, names[i]) || (i == YOLO_BOX_CENTRE && g_str_equal (name, "center"))) {
      *point = (YoloBoxPoint) i;
      leave (reader, before);
      return TRUE;
    }
  return fail (reader, "\"%s\" is none of bottom, centre, top-left, top-right, bottom-left, "
      "bottom-right", name);
}

static void
clear_class (gpointer class)
{
  g_free (((YoloZonesClass *) class)->label);
}

static GArray *
classes_new (void)
{
  GArray *classes = g_array_new (FALSE, FALSE, sizeof (YoloZonesClass));

  g_array_set_clear_func (classes, clear_class);
  return classes;
}

/* Fills @classes, or with those of @others if there is no such member. */
static gboolean
read_classes (Reader *reader, JsonObject *object, const GArray *others, GArray *classes)
{
  const gsize before = enter (reader, "classes");
  JsonArray *array;

  if (!json_object_has_member (object, "classes")) {
    for (guint i = 0; others != NULL && i < others->len; i++) {
      YoloZonesClass class = g_array_index (others, YoloZonesClass, i);

      class.label = g_strdup (class.label);
      g_array_append_val (classes, class);
    }
    leave (reader, before);
    return TRUE;
  }
  if (!get_array (reader, json_object_get_member (object, "classes"), 1, YOLO_ZONES_MAX_CLASSES,
          &array))
    return FALSE;
  for (guint i = 0; i < json_array_get_length (array); i++) {
    JsonNode *node = json_array_get_element (array, i);
    const gsize here = enter_element (reader, i);
    YoloZonesClass class = { NULL, -1 };

    if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64
        && json_node_get_int (node) >= 0 && json_node_get_int (node) <= G_MAXINT)
      class.id = (gint) json_node_get_int (node);
    else if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
      return fail (reader, "must be the name of a class, or its number");
    else if (!get_string (reader, node, &class.label))
      return FALSE;
    g_array_append_val (classes, class);
    leave (reader, here);
  }
  leave (reader, before);
  return TRUE;
}

/* The name of shape number @i of @names, which the place shows from here on. */
static gboolean
read_name (Reader *reader, JsonObject *object, const gchar *kind, YoloZonesName *names, guint i)
{
  const gsize before = enter (reader, "name");

  if (!json_object_has_member (object, "name"))
    names[i].name = g_strdup_printf ("%s %u", kind, i + 1);
  else if (!get_string (reader, json_object_get_member (object, "name"), &names[i].name))
    return FALSE;
  for (guint k = 0; k < i; k++)
    if (g_str_equal (names[k].name, names[i].name))
      return fail (reader, "there is another %s with the name \"%s\"", kind, names[i].name);
  leave (reader, before);
  g_string_append_printf (reader->place, " \"%s\"", names[i].name);
  return TRUE;
}

/* "towards": a place on side b: the line is turned if it lies on side a. */
static gboolean
read_towards (Reader *reader, JsonObject *object, YoloLineShape *line)
{
  const gsize before = enter (reader, "towards");
  YoloPoint towards;
  gdouble distance;

  if (!json_object_has_member (object, "towards")) {
    leave (reader, before);
    return TRUE;
  }
  if (!get_point (reader, json_object_get_member (object, "towards"), &towards))
    return FALSE;
  distance = yolo_line_distance (line->from, line->to, towards);
  if (fabs (distance) < 1e-6)
    return fail (reader, "lies on the line itself; take a place on the side to which it counts");
  if (distance < 0) {
    const YoloPoint from = line->from;

    line->from = line->to;
    line->to = from;
  }
  leave (reader, before);
  return TRUE;
}

static gboolean
read_directions (Reader *reader, JsonObject *object, YoloZonesName *name)
{
  const gsize before = enter (reader, "directions");
  JsonArray *array;

  name->directions[0] = g_strdup ("forward");
  name->directions[1] = g_strdup ("backward");
  if (json_object_has_member (object, "directions")) {
    if (!get_array (reader, json_object_get_member (object, "directions"), 2, 2, &array))
      return FALSE;
    for (guint i = 0; i < 2; i++) {
      const gsize here = enter_element (reader, i);

      g_clear_pointer (&name->directions[i], g_free);
      if (!get_string (reader, json_array_get_element (array, i), &name->directions[i]))
        return FALSE;
      leave (reader, here);
    }
    if (g_str_equal (name->directions[0], name->directions[1]))
      return fail (reader, "both are \"%s\"; name them apart", name->directions[0]);
  }
  leave (reader, before);
  return TRUE;
}

/* What all lines and zones have if they do not say otherwise. */
typedef struct {
  YoloBoxPoint point;
  GArray *classes;
} Defaults;

static gboolean
read_line (Reader *reader, JsonObject *object, const Defaults *defaults, YoloZonesLayout *layout,
    guint i)
{
  static const gchar *const known[] = { "name", "points", "towards", "directions", "classes",
    "point", NULL };
  YoloLineShape *line = (YoloLineShape *) &layout->config.lines[i];
  YoloZonesName *name = &layout->lines[i];
  YoloPoint points[2];
  gsize n;

  line->point = defaults->point;
  if (!check_members (reader, object, known)
      || !read_name (reader, object, "line", layout->lines, i)
      || !read_points (reader, object, "points", 2, 2, points, &n))
    return FALSE;
  if (hypot (points[0].x - points[1].x, points[0].y - points[1].y) < 1e-6)
    return fail (reader, "points: both ends of the line are the same place");
  line->from = points[0];
  line->to = points[1];
  return read_towards (reader, object, line) && read_directions (reader, object, name)
      && read_classes (reader, object, defaults->classes, name->classes)
      && read_box_point (reader, object, &line->point);
}

static gboolean
read_crowd (Reader *reader, JsonObject *zone, YoloZoneShape *shape)
{
  static const gchar *const known[] = { "above", "for", NULL };
  const gsize before = enter (reader, "crowd");
  JsonObject *object = NULL;
  gdouble above = 0;

  if (json_object_has_member (zone, "crowd")) {
    if (!get_object (reader, json_object_get_member (zone, "crowd"), &object)
        || !check_members (reader, object, known))
      return FALSE;
    if (!json_object_has_member (object, "above"))
      return fail (reader, "above is missing: more objects than these are a crowd");
    if (!read_number (reader, object, "above", 1, YOLO_ZONES_MAX_TRACKS, &above)
        || !read_number (reader, object, "for", 0, 86400, &shape->crowd_time))
      return FALSE;
    shape->crowd = (unsigned) above;
  }
  leave (reader, before);
  return TRUE;
}

static gboolean
read_zone_direction (Reader *reader, JsonObject *zone, YoloZoneShape *shape)
{
  static const gchar *const known[] = { "points", "tolerance", NULL };
  const gsize before = enter (reader, "direction");
  JsonObject *object = NULL;
  YoloPoint points[2];
  gdouble tolerance = 45;
  gsize n;

  if (json_object_has_member (zone, "direction")) {
    if (!get_object (reader, json_object_get_member (zone, "direction"), &object)
        || !check_members (reader, object, known)
        || !read_points (reader, object, "points", 2, 2, points, &n)
        || !read_number (reader, object, "tolerance", 1, 90, &tolerance))
      return FALSE;
    if (hypot (points[0].x - points[1].x, points[0].y - points[1].y) < 1e-6)
      return fail (reader, "points: both ends of the arrow are the same place");
    shape->directed = true;
    shape->from = points[0];
    shape->to = points[1];
    shape->tolerance = tolerance * G_PI / 180;
  }
  leave (reader, before);
  return TRUE;
}

static gboolean
read_zone (Reader *reader, JsonObject *object, const Defaults *defaults, YoloZonesLayout *layout,
    guint i)
{
  static const gchar *const known[] = { "name", "points", "classes", "point", "loiter", "crowd",
    "direction", NULL };
  YoloZoneShape *zone = (YoloZoneShape *) &layout->config.zones[i];
  YoloPoint *corners = g_new (YoloPoint, YOLO_ZONES_MAX_CORNERS);
  size_t edges[2];

  zone->corners = corners;      /* and owned from here on */
  zone->point = defaults->point;
  if (!check_members (reader, object, known)
      || !read_name (reader, object, "zone", layout->zones, i)
      || !read_points (reader, object, "points", 3, YOLO_ZONES_MAX_CORNERS, corners,
          &zone->n_corners))
    return FALSE;
  if (yolo_polygon_area (corners, zone->n_corners) < 1e-6)
    return fail (reader, "points: the polygon has no area");
  if (yolo_polygon_crosses_itself (corners, zone->n_corners, edges))
    return fail (reader, "points: the edges from points[%zu] and points[%zu] meet; give the "
        "corners in their order along the border", edges[0], edges[1]);
  return read_classes (reader, object, defaults->classes, layout->zones[i].classes)
      && read_box_point (reader, object, &zone->point)
      && read_number (reader, object, "loiter", 0, 86400, &zone->loiter)
      && read_crowd (reader, object, zone) && read_zone_direction (reader, object, zone);
}

typedef gboolean (*ReadShape) (Reader *reader, JsonObject *object, const Defaults *defaults,
    YoloZonesLayout *layout, guint i);

/* The lines, or the zones. @n: (out): counts those whose memory has to be freed. */
static gboolean
read_shapes (Reader *reader, JsonObject *root, const gchar *member, const Defaults *defaults,
    ReadShape read, YoloZonesLayout *layout, YoloZonesName *names, gsize *n)
{
  const gsize before = enter (reader, member);
  JsonArray *array;

  if (!json_object_has_member (root, member)) {
    leave (reader, before);
    return TRUE;
  }
  if (!get_array (reader, json_object_get_member (root, member), 0, YOLO_ZONES_MAX_SHAPES, &array))
    return FALSE;
  for (guint i = 0; i < json_array_get_length (array); i++) {
    const gsize here = enter_element (reader, i);
    JsonObject *object = NULL;

    *n = i + 1;
    names[i].classes = classes_new ();
    if (!get_object (reader, json_array_get_element (array, i), &object)
        || !read (reader, object, defaults, layout, i))
      return FALSE;
    leave (reader, here);
  }
  leave (reader, before);
  return TRUE;
}

static gboolean
read_ground (Reader *reader, JsonObject *root, YoloZonesConfig *config)
{
  static const gchar *const known[] = { "points", "metres", NULL };
  const gsize before = enter (reader, "ground");
  JsonObject *object = NULL;
  YoloGround ground;
  JsonArray *array;
  gsize n, here;

  if (!json_object_has_member (root, "ground")) {
    leave (reader, before);
    return TRUE;
  }
  if (!get_object (reader, json_object_get_member (root, "ground"), &object)
      || !check_members (reader, object, known)
      || !read_points (reader, object, "points", 4, 4, config->ground_pixels, &n))
    return FALSE;
  here = enter (reader, "metres");
  if (!json_object_has_member (object, "metres"))
    return fail (reader, "is missing: where the four points lie on the ground, as [[x, y], ...]");
  if (!get_array (reader, json_object_get_member (object, "metres"), 4, 4, &array))
    return FALSE;
  for (guint i = 0; i < 4; i++) {
    const gsize element = enter_element (reader, i);
    JsonArray *pair;

    if (!get_array (reader, json_array_get_element (array, i), 2, 2, &pair)
        || !get_number (reader, json_array_get_element (pair, 0), -1e6, 1e6,
            &config->ground_metres[i].x)
        || !get_number (reader, json_array_get_element (pair, 1), -1e6, 1e6,
            &config->ground_metres[i].y))
      return FALSE;
    leave (reader, element);
  }
  leave (reader, here);
  if (!yolo_ground_solve (&ground, config->ground_pixels, config->ground_metres))
    return fail (reader, "the points and metres are not four corners on one plane: no three may be "
        "in line, and both must go round in the same order");
  config->has_ground = true;
  leave (reader, before);
  return TRUE;
}

static gboolean
read_heat (Reader *reader, JsonObject *root, const Defaults *defaults, YoloZonesLayout *layout)
{
  static const gchar *const known[] = { "columns", "rows", "classes", "point", NULL };
  YoloZonesConfig *config = &layout->config;
  const gsize before = enter (reader, "heat");
  gdouble columns = 64, rows = 36;
  g_autoptr (JsonObject) none = json_object_new ();
  JsonObject *object = none;

  config->heat_point = defaults->point;
  layout->heat_classes = classes_new ();
  if (json_object_has_member (root, "heat")
      && (!get_object (reader, json_object_get_member (root, "heat"), &object)
          || !check_members (reader, object, known)))
    return FALSE;
  if (!read_number (reader, object, "columns", 1, YOLO_HEAT_MAX_SIDE, &columns)
      || !read_number (reader, object, "rows", 1, YOLO_HEAT_MAX_SIDE, &rows)
      || !read_classes (reader, object, defaults->classes, layout->heat_classes)
      || !read_box_point (reader, object, &config->heat_point))
    return FALSE;
  config->heat_columns = (unsigned) columns;
  config->heat_rows = (unsigned) rows;
  leave (reader, before);
  return TRUE;
}

static gboolean
read_frame (Reader *reader, JsonObject *root)
{
  const gsize before = enter (reader, "frame");
  JsonArray *array;

  if (json_object_has_member (root, "frame")) {
    gdouble size[2];

    if (!get_array (reader, json_object_get_member (root, "frame"), 2, 2, &array))
      return FALSE;
    for (guint i = 0; i < 2; i++) {
      const gsize here = enter_element (reader, i);

      if (!get_number (reader, json_array_get_element (array, i), 2, 65535, &size[i]))
        return FALSE;
      leave (reader, here);
    }
    reader->width = size[0];
    reader->height = size[1];
  }
  leave (reader, before);
  return TRUE;
}

static gboolean
read_root (Reader *reader, JsonObject *root, YoloZonesLayout *layout)
{
  static const gchar *const known[] = { "frame", "point", "classes", "hold-time", "hold-distance",
    "forget", "lines", "zones", "ground", "heat", NULL };
  YoloZonesConfig *config = &layout->config;
  g_autoptr (GArray) classes = classes_new ();
  Defaults defaults = { YOLO_BOX_BOTTOM, classes };

  config->hold_time = .25;
  config->hold_distance = .1;
  config->forget = 2;
  if (!check_members (reader, root, known) || !read_frame (reader, root)
      || !read_box_point (reader, root, &defaults.point)
      || !read_classes (reader, root, NULL, classes)
      || !read_number (reader, root, "hold-time", 0, 60, &config->hold_time)
      || !read_number (reader, root, "hold-distance", 0, 10, &config->hold_distance)
      || !read_number (reader, root, "forget", .01, 3600, &config->forget)
      || !read_shapes (reader, root, "lines", &defaults, read_line, layout, layout->lines,
          &config->n_lines)
      || !read_shapes (reader, root, "zones", &defaults, read_zone, layout, layout->zones,
          &config->n_zones))
    return FALSE;
  return read_ground (reader, root, config) && read_heat (reader, root, &defaults, layout);
}

YoloZonesLayout *
yolo_zones_layout_parse (const gchar *text, const gchar *name, GError **error)
{
  g_autofree gchar *shown = yolo_text_printable (name, YOLO_TEXT_MAX_MESSAGE);
  g_autoptr (GString) place = g_string_new (NULL);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (YoloZonesLayout) layout = g_new0 (YoloZonesLayout, 1);
  Reader reader = { shown, place, 1, 1, error };
  JsonObject *root = NULL;

  g_atomic_ref_count_init (&layout->references);
  layout->config.lines = g_new0 (YoloLineShape, YOLO_ZONES_MAX_SHAPES);
  layout->config.zones = g_new0 (YoloZoneShape, YOLO_ZONES_MAX_SHAPES);
  layout->lines = g_new0 (YoloZonesName, YOLO_ZONES_MAX_SHAPES);
  layout->zones = g_new0 (YoloZonesName, YOLO_ZONES_MAX_SHAPES);
  if (!g_utf8_validate (text, -1, NULL)) {
    fail (&reader, "is not a text in UTF-8");
    return NULL;
  }
  if (!json_parser_load_from_data (parser, text, -1, error)) {
    /* json-glib says line and column */
    g_prefix_error (error, "%s: is not JSON: ", shown);
    return NULL;
  }
  if (json_parser_get_root (parser) == NULL) {
    fail (&reader, "is empty");
    return NULL;
  }
  if (!get_object (&reader, json_parser_get_root (parser), &root)
      || !read_root (&reader, root, layout))
    return NULL;
  return g_steal_pointer (&layout);
}

YoloZonesLayout *
yolo_zones_layout_read (const gchar *path, GError **error)
{
  g_autofree gchar *text = NULL;
  gsize size;

  text = yolo_file_read (path, MAX_BYTES, &size, error);
  if (text == NULL) {
    g_autofree gchar *shown = yolo_text_printable (path, YOLO_TEXT_MAX_MESSAGE);

    g_prefix_error (error, "%s: ", shown);
    return NULL;
  }
  return yolo_zones_layout_parse (text, path, error);
}

YoloZonesLayout *
yolo_zones_layout_ref (YoloZonesLayout *layout)
{
  g_atomic_ref_count_inc (&layout->references);
  return layout;
}

static void
free_names (YoloZonesName *names, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    g_free (names[i].name);
    g_free (names[i].directions[0]);
    g_free (names[i].directions[1]);
    g_clear_pointer (&names[i].classes, g_array_unref);
  }
  g_free (names);
}

void
yolo_zones_layout_unref (YoloZonesLayout *layout)
{
  if (layout == NULL || !g_atomic_ref_count_dec (&layout->references))
    return;
  for (gsize i = 0; i < layout->config.n_zones; i++)
    g_free ((gpointer) layout->config.zones[i].corners);
  g_clear_pointer (&layout->heat_classes, g_array_unref);
  free_names (layout->lines, layout->config.n_lines);
  free_names (layout->zones, layout->config.n_zones);
  g_free ((gpointer) layout->config.lines);
  g_free ((gpointer) layout->config.zones);
  g_free (layout);
}

gboolean
yolo_zones_class_is_in (const GArray *classes, const gchar *label, gint id)
{
  for (guint i = 0; i < classes->len; i++) {
    const YoloZonesClass *class = &g_array_index (classes, YoloZonesClass, i);

    if (class->label != NULL ? g_strcmp0 (class->label, label) == 0 : class->id == id)
      return TRUE;
  }
  return classes->len == 0;
}

static gboolean
is_same_line (const YoloLineShape *a, const YoloLineShape *b)
{
  return a->from.x == b->from.x && a->from.y == b->from.y && a->to.x == b->to.x
      && a->to.y == b->to.y && a->point == b->point;
}

static gboolean
is_same_zone (const YoloZoneShape *a, const YoloZoneShape *b)
{
  return a->n_corners == b->n_corners && a->point == b->point
      && memcmp (a->corners, b->corners, a->n_corners * sizeof (*a->corners)) == 0;
}

void
yolo_zones_layout_compare (const YoloZonesLayout *now, const YoloZonesLayout *before, gint *lines,
    gint *zones)
{
  for (gsize i = 0; i < now->config.n_lines; i++) {
    lines[i] = -1;
    for (gsize k = 0; k < before->config.n_lines; k++)
      if (g_str_equal (now->lines[i].name, before->lines[k].name)
          && is_same_line (&now->config.lines[i], &before->config.lines[k]))
        lines[i] = (gint) k;
  }
  for (gsize i = 0; i < now->config.n_zones; i++) {
    zones[i] = -1;
    for (gsize k = 0; k < before->config.n_zones; k++)
      if (g_str_equal (now->zones[i].name, before->zones[k].name)
          && is_same_zone (&now->config.zones[i], &before->config.zones[k]))
        zones[i] = (gint) k;
  }
}
