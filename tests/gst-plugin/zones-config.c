/* SPDX-License-Identifier: MIT */
/* The JSON of yolozones: what is read out of it, and what is refused, by its place. */

#include "gst-plugin/yolozonesconfig.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

static YoloZonesLayout *
parse (const gchar *text)
{
  g_autoptr (GError) error = NULL;
  YoloZonesLayout *layout = yolo_zones_layout_parse (text, "gate.json", &error);

  g_assert_no_error (error);
  g_assert_nonnull (layout);
  return layout;
}

/* The example of docs/zones.md, as it stands there. */
static void
test_document (void)
{
  g_autofree gchar *document = NULL;
  g_autoptr (YoloZonesLayout) layout = NULL;
  const YoloZonesConfig *config;
  gchar *from, *to;

  g_assert_true (
      g_file_get_contents (SOURCE_ROOT "/docs/zones.md", &document, NULL, NULL));
  from = strstr (document, "```json\n");
  g_assert_nonnull (from);
  from += strlen ("```json\n");
  to = strstr (from, "```");
  g_assert_nonnull (to);
  *to = '\0';
  layout = parse (from);
  config = &layout->config;
  g_assert_cmpuint (config->n_lines, ==, 2);
  g_assert_cmpuint (config->n_zones, ==, 2);
  g_assert_cmpstr (layout->lines[0].name, ==, "gate");
  g_assert_cmpstr (layout->lines[0].directions[0], ==, "in");
  g_assert_cmpstr (layout->lines[0].directions[1], ==, "out");
  g_assert_cmpstr (layout->lines[1].directions[0], ==, "forward");
  g_assert_cmpfloat_with_epsilon (config->lines[0].from.x, 300 / 1920., 1e-12);
  g_assert_cmpfloat_with_epsilon (config->lines[0].to.y, 640 / 1080., 1e-12);
  g_assert_cmpint (config->lines[0].point, ==, YOLO_BOX_BOTTOM);
  g_assert_cmpint (config->lines[1].point, ==, YOLO_BOX_CENTRE);
  /* classes of the top, and of a line */
  g_assert_true (yolo_zones_class_is_in (layout->lines[0].classes, "bicycle", 1));
  g_assert_false (yolo_zones_class_is_in (layout->lines[0].classes, "car", 2));
  g_assert_true (yolo_zones_class_is_in (layout->lines[1].classes, "car", 2));
  g_assert_true (yolo_zones_class_is_in (layout->lines[1].classes, "truck", 7));
  g_assert_false (yolo_zones_class_is_in (layout->lines[1].classes, NULL, -1));
  g_assert_cmpfloat (config->zones[0].loiter, ==, 20);
  g_assert_cmpuint (config->zones[0].crowd, ==, 4);
  g_assert_cmpfloat (config->zones[0].crowd_time, ==, 3);
  g_assert_false (config->zones[0].directed);
  g_assert_true (config->zones[1].directed);
  g_assert_cmpfloat_with_epsilon (config->zones[1].tolerance, G_PI / 4, 1e-12);
  g_assert_cmpuint (config->zones[1].n_corners, ==, 4);
  g_assert_true (config->has_ground);
  g_assert_cmpfloat (config->ground_metres[1].y, ==, 24);
  g_assert_cmpuint (config->heat_columns, ==, 96);
  g_assert_true (yolo_zones_class_is_in (layout->heat_classes, "person", 0));
  g_assert_false (yolo_zones_class_is_in (layout->heat_classes, "car", 2));
  g_assert_cmpfloat (config->hold_time, ==, .25);
}

static void
test_defaults (void)
{
  g_autoptr (YoloZonesLayout) layout = parse (
      "{ \"point\": \"center\", \"hold-time\": 1, \"hold-distance\": 0, \"forget\": 5,"
      "  \"lines\": [ { \"points\": [[0, 0.5], [1, 0.5]] },"
      "             { \"points\": [[0, 0.5], [1, 0.5]], \"towards\": [0.3, 0.1] } ],"
      "  \"zones\": [ { \"points\": [[0, 0], [1, 0], [0.5, 1]] } ] }");
  const YoloZonesConfig *config = &layout->config;

  g_assert_cmpstr (layout->lines[1].name, ==, "line 2");
  g_assert_cmpstr (layout->zones[0].name, ==, "zone 1");
  /* forward is down, to the right; the other one was turned */
  g_assert_cmpfloat (config->lines[0].from.x, ==, 0);
  g_assert_cmpfloat (config->lines[1].from.x, ==, 1);
  g_assert_cmpint (config->zones[0].point, ==, YOLO_BOX_CENTRE);
  g_assert_cmpfloat (config->hold_time, ==, 1);
  g_assert_cmpfloat (config->hold_distance, ==, 0);
  g_assert_cmpfloat (config->forget, ==, 5);
  g_assert_cmpuint (config->heat_columns, ==, 64);
  g_assert_true (yolo_zones_class_is_in (layout->zones[0].classes, NULL, -1));
}

static void
test_compare (void)
{
  g_autoptr (YoloZonesLayout) before = parse (
      "{ \"lines\": [ { \"name\": \"x\", \"points\": [[0, 0.5], [1, 0.5]] },"
      "             { \"name\": \"y\", \"points\": [[0, 0.5], [1, 0.6]] } ],"
      "  \"zones\": [ { \"name\": \"z\", \"points\": [[0, 0], [1, 0], [0.5, 1]] } ] }");
  g_autoptr (YoloZonesLayout) now = parse (
      "{ \"lines\": [ { \"name\": \"y\", \"points\": [[0, 0.5], [1, 0.6]], \"classes\": [3] },"
      "             { \"name\": \"x\", \"points\": [[0, 0.5], [1, 0.7]] },"
      "             { \"name\": \"new\", \"points\": [[0, 0.5], [1, 0.5]] } ],"
      "  \"zones\": [ { \"name\": \"z\", \"points\": [[0, 0], [1, 0], [0.5, 1]],"
      "               \"loiter\": 3 } ] }");
  gint lines[YOLO_ZONES_MAX_SHAPES], zones[YOLO_ZONES_MAX_SHAPES];

  yolo_zones_layout_compare (now, before, lines, zones);
  g_assert_cmpint (lines[0], ==, 1);
  g_assert_cmpint (lines[1], ==, -1);
  g_assert_cmpint (lines[2], ==, -1);
  g_assert_cmpint (zones[0], ==, 0);
}

#define LINE "\"points\": [[0, 0.5], [1, 0.5]]"
#define ZONE "\"points\": [[0, 0], [1, 0], [0.5, 1]]"

/* Each text, and what its error must say: the place, and what is to be done. */
static const struct {
  const gchar *text, *place, *remedy;
} bad[] = {
  { "", "gate.json: ", "empty" },
  { "{ \"lines\": [ }", "gate.json: is not JSON: ", ":1:" },
  { "\xff", "gate.json: ", "UTF-8" },
  { "[]", "gate.json: ", "must be an object in {}" },
  { "{ \"line\": [] }", "gate.json: ", "\"line\" is not known here; there are: frame" },
  { "{ \"lines\": {} }", "gate.json: lines: ", "must be an array" },
  { "{ \"lines\": [ 1 ] }", "gate.json: lines[0]: ", "must be an object" },
  { "{ \"lines\": [ { \"name\": \"door\" } ] }", "lines[0] \"door\".points: ", "is missing" },
  { "{ \"lines\": [ { \"points\": [[0, 0]] } ] }", "lines[0] \"line 1\".points: ",
      "must have 2 elements, and has 1" },
  { "{ \"lines\": [ { \"points\": [[0, 0], [1]] } ] }", "points[1]: ", "must have 2 elements" },
  { "{ \"lines\": [ { \"points\": [[0, 0], [1, \"2\"]] } ] }", "points[1][1]: ",
      "must be a number" },
  { "{ \"lines\": [ { \"points\": [[0, 0], [250, 3]] } ] }", "points[1][0]: ",
      "add \"frame\": [WIDTH, HEIGHT]" },
  { "{ \"frame\": [640, 480], \"lines\": [ { \"points\": [[0, 0], [250, 481]] } ] }",
      "points[1][1]: ", "481 is not in the frame, which ends at 480" },
  { "{ \"lines\": [ { \"points\": [[0, 0], [-0.1, 1]] } ] }", "points[1][0]: ", "-0.1" },
  { "{ \"lines\": [ { \"points\": [[0.5, 0.5], [0.5, 0.5]] } ] }", "lines[0] \"line 1\": points",
      "the same place" },
  { "{ \"lines\": [ { " LINE ", \"towards\": [0.3, 0.5] } ] }", "towards: ", "on the line" },
  { "{ \"lines\": [ { " LINE ", \"directions\": [\"in\"] } ] }", "directions: ",
      "must have 2 elements" },
  { "{ \"lines\": [ { " LINE ", \"directions\": [\"in\", \"in\"] } ] }", "directions: ",
      "name them apart" },
  { "{ \"lines\": [ { " LINE ", \"point\": \"foot\" } ] }", "point: ",
      "\"foot\" is none of bottom" },
  { "{ \"lines\": [ { " LINE ", \"classes\": [] } ] }", "classes: ", "1 to 256 elements" },
  { "{ \"lines\": [ { " LINE ", \"classes\": [1.5] } ] }", "classes[0]: ",
      "the name of a class, or its number" },
  { "{ \"lines\": [ { " LINE ", \"classes\": [-1] } ] }", "classes[0]: ", "number" },
  { "{ \"lines\": [ { " LINE ", \"name\": 4 } ] }", "lines[0].name: ", "must be a text" },
  { "{ \"lines\": [ { " LINE ", \"name\": \"x\" }, { " LINE ", \"name\": \"x\" } ] }",
      "lines[1].name: ", "another line" },
  { "{ \"lines\": [ { " LINE ", \"loiter\": 4 } ] }", "lines[0]: ", "\"loiter\" is not known" },
  { "{ \"zones\": [ { \"points\": [[0, 0], [1, 1]] } ] }", "points: ", "3 to 256" },
  { "{ \"zones\": [ { \"points\": [[0, 0], [1, 1], [0.5, 0.5]] } ] }", "points", "no area" },
  { "{ \"zones\": [ { \"points\": [[0, 0], [1, 1], [1, 0], [0, 0.5]] } ] }", "points[0]",
      "in their order along the border" },
  { "{ \"zones\": [ { " ZONE ", \"loiter\": -1 } ] }", "loiter: ", "-1 is not a number from 0" },
  { "{ \"zones\": [ { " ZONE ", \"crowd\": { \"for\": 3 } } ] }", "crowd: ", "above is missing" },
  { "{ \"zones\": [ { " ZONE ", \"crowd\": { \"above\": 0 } } ] }", "crowd.above: ", "from 1" },
  { "{ \"zones\": [ { " ZONE ", \"direction\": { } } ] }", "direction.points: ", "is missing" },
  { "{ \"zones\": [ { " ZONE ", \"direction\": { " LINE ", \"tolerance\": 120 } } ] }",
      "direction.tolerance: ", "from 1 to 90" },
  { "{ \"hold-time\": \"1\" }", "hold-time: ", "must be a number" },
  { "{ \"forget\": 0 }", "forget: ", "0.01" },
  { "{ \"frame\": [0, 480] }", "frame[0]: ", "from 2" },
  { "{ \"heat\": { \"columns\": 100000 } }", "heat.columns: ", "1024" },
  { "{ \"ground\": { \"points\": [[0, 0], [1, 0], [1, 1], [0, 1]] } }", "ground.metres: ",
      "is missing" },
  { "{ \"ground\": { \"points\": [[0, 0], [1, 0], [1, 1]], \"metres\": [] } }",
      "ground.points: ", "must have 4 elements, and has 3" },
  { "{ \"ground\": { \"points\": [[0, 0], [1, 0], [1, 1], [0, 1]],"
      " \"metres\": [[0, 0], [1, 0], [2, 0], [0, 1]] } }", "ground: ", "no three may be in line" },
};

static void
test_bad (void)
{
  g_autoptr (GString) many = g_string_new ("{ \"lines\": [");

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", i == 2 ? "bytes" : bad[i].text);
    g_assert_null (yolo_zones_layout_parse (bad[i].text, "gate.json", &error));
    g_assert_nonnull (error);
    g_test_message ("%s", error->message);
    g_assert_true (g_str_has_prefix (error->message, "gate.json: "));
    g_assert_nonnull (strstr (error->message, bad[i].place));
    g_assert_nonnull (strstr (error->message, bad[i].remedy));
  }
  for (guint i = 0; i <= YOLO_ZONES_MAX_SHAPES; i++)
    g_string_append_printf (many, "%s{ " LINE " }", i > 0 ? "," : "");
  g_string_append (many, "] }");
  g_assert_null (yolo_zones_layout_parse (many->str, "gate.json", NULL));
}

static void
test_file (void)
{
  g_autofree gchar *folder = g_dir_make_tmp ("yolo-zones-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "gate.json", NULL);
  g_autoptr (YoloZonesLayout) layout = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (yolo_zones_layout_read (path, &error));
  g_assert_nonnull (strstr (error->message, path));
  g_clear_error (&error);
  g_assert_null (yolo_zones_layout_read (folder, &error));
  g_clear_error (&error);
  g_assert_true (g_file_set_contents (path, "{ \"lines\": [ { " LINE " } ] }", -1, NULL));
  layout = yolo_zones_layout_read (path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (layout->config.n_lines, ==, 1);
  g_remove (path);
  g_remove (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/zones-config/document", test_document);
  g_test_add_func ("/zones-config/defaults", test_defaults);
  g_test_add_func ("/zones-config/compare", test_compare);
  g_test_add_func ("/zones-config/bad", test_bad);
  g_test_add_func ("/zones-config/file", test_file);
  return g_test_run ();
}
