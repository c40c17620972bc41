/* SPDX-License-Identifier: MIT */
/* yoloinfer on parts of frames: several regions, polygons, tiles. */

#include "infer-common.h"

#include "gst-plugin/yoloregions.h"
#include "gst-plugin/yoloshape.h"

#include <math.h>
#include <string.h>

/* As MANY, with room for what several parts of a frame have. */
#define MANY "confidence-threshold", "0.01", "max-detections", "100"

static gdouble
stat_of (GstElement *element, const gchar *field)
{
  GstStructure *stats;
  const GValue *value;
  gdouble n;

  g_object_get (element, "stats", &stats, NULL);
  value = gst_structure_get_value (stats, field);
  n = G_VALUE_HOLDS_DOUBLE (value) ? g_value_get_double (value)
      : (gdouble) g_value_get_uint64 (value);
  gst_structure_free (stats);
  return n;
}

/* What a frame gives with this roi, alone in its element. */
static GArray *
by_roi (const gchar *roi)
{
  GstHarness *h = infer_harness (infer_new (MANY, "roi", roi, NULL), SMALL);
  GArray *found = infer_picture (h, SMALL);

  infer_teardown (h);
  return found;
}

/* What of @string yolo_areas_parse() reads, as text; NULL: nothing. */
static gchar *
read_areas (const gchar *string)
{
  g_autoptr (GArray) areas = NULL;
  g_autoptr (GString) text = g_string_new (NULL);
  guint i;

  if (!yolo_areas_parse (string, &areas))
    return NULL;
  for (i = 0; areas != NULL && i < areas->len; i++) {
    const YoloArea *area = &g_array_index (areas, YoloArea, i);
    g_autofree gchar *one = yolo_area_text (area);

    g_string_append_printf (text, "%s[%d %d %d %d] %s", i > 0 ? " " : "", area->box.x,
        area->box.y, area->box.width, area->box.height, one);
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
test_parse_areas (void)
{
  static const struct { const gchar *string, *read; } table[] = {
    { NULL, "" },
    { "", "" },
    { "1,2,3,4", "[1 2 3 4] 1,2,3,4" },
    { " -1 , 2 , 3 , 4 ", "[-1 2 3 4] -1,2,3,4" },
    { "1,2,3,4;5,6,7,8", "[1 2 3 4] 1,2,3,4 [5 6 7 8] 5,6,7,8" },
    { "5,1,9,8,-1,3", "[-1 1 10 7] 5,1,9,8,-1,3" },
    { "0,0,10,0,10,10,0,10; 3,3,4,4", "[0 0 10 10] 0,0,10,0,10,10,0,10 [3 3 4 4] 3,3,4,4" },
    { "1,2,3", NULL },
    { "1,2,0,4", NULL },
    { "1,2,3,4;", NULL },
    { ";", NULL },
    { "1,2,3,4,5", NULL },
    { "1,2,3,4,5,6,7", NULL },
    { "0,0,5,0,9,0", NULL },
    { "0,0,0,5,0,9", NULL },
    { "0,0,5,0,5,2147483647", NULL },
    { "1,2,3,x", NULL },
    { "1,2,3.5,4", NULL },
  };
  g_autoptr (GString) many = g_string_new ("1,2,3,4");
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    g_autofree gchar *read = read_areas (table[i].string);

    g_assert_cmpstr (read, ==, table[i].read);
  }
  for (i = 1; i < YOLO_MAX_AREAS; i++)
    g_string_append (many, ";1,2,3,4");
  g_free (read_areas (many->str));
  g_string_append (many, ";1,2,3,4");
  g_assert_null (read_areas (many->str));
}

/* A square with a bay from the right: its pixels against the polygon. */
static void
test_polygon (void)
{
  static const gchar *const shape[] = {
    "......", ".####.", ".#....", ".####.", "......",
  };
  g_autoptr (GArray) areas = NULL;
  gint x, y;

  g_assert_true (yolo_areas_parse ("1,1,5,1,5,2,2,2,2,3,5,3,5,4,1,4", &areas));
  for (y = 0; y < 5; y++)
    for (x = 0; x < 6; x++)
      g_assert_cmpint (yolo_area_contains (&g_array_index (areas, YoloArea, 0), x + .5, y + .5),
          ==, shape[y][x] == '#');
}

static void
test_tiling (void)
{
  static const gchar *const wrong[] = {
    "3", "3x", "x2", "0x2", "3x2x1", "9x1", "1x9", "ax2", "-1x2",
  };
  static const YoloRegion regions[] = {
    { 0, 0, 3840, 2160 }, { 100, 40, 641, 479 }, { 5, 7, 9, 3 },
  };
  static const gdouble overlaps[] = { 0, .2, .5, .9 };
  YoloTiling tiling;
  guint i, k, n;

  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_assert_false (yolo_tiling_parse (wrong[i], &tiling));
    g_assert_cmpuint (tiling.columns, ==, 0);
  }
  g_assert_true (yolo_tiling_parse ("1x1", &tiling));
  g_assert_cmpuint (tiling.columns, ==, 0);
  g_assert_true (yolo_tiling_parse (" 3 x 2 ", &tiling));
  g_assert_cmpuint (tiling.columns, ==, 3);
  g_assert_cmpuint (tiling.rows, ==, 2);

  for (i = 0; i < G_N_ELEMENTS (regions); i++)
    for (k = 0; k < G_N_ELEMENTS (overlaps); k++) {
      const YoloRegion *region = &regions[i];
      const gdouble width = region->width / (3 - 2 * overlaps[k]),
          height = region->height / (2 - overlaps[k]);
      gint right = region->x, bottom = region->y;

      for (n = 0; n < 6; n++) {
        const YoloRegion tile = yolo_tile (region, &tiling, overlaps[k], n);

        if (n % 3 == 0)
          right = region->x;
        /* nothing is left out, and neighbours share what they should */
        g_assert_cmpint (tile.x, <=, right);
        g_assert_cmpint ((tile.x - region->x) % 2, ==, 0);
        if (n % 3 > 0)
          g_assert_cmpfloat_with_epsilon (right - tile.x, overlaps[k] * width, 4);
        g_assert_cmpfloat_with_epsilon (tile.width, width, 4);
        g_assert_cmpfloat_with_epsilon (tile.height, height, 4);
        right = tile.x + tile.width;
        bottom = tile.y + tile.height;
        if (n % 3 == 2)
          g_assert_cmpint (right, ==, region->x + region->width);
      }
      g_assert_cmpint (bottom, ==, region->y + region->height);
    }
}

/* How many of @expected are among @found, with box and confidence. */
static guint
count_found (GArray *found, GArray *expected)
{
  guint i, k, n = 0;

  for (i = 0; i < expected->len; i++) {
    const YoloMetaObject *a = &g_array_index (expected, YoloMetaObject, i);

    for (k = 0; k < found->len; k++) {
      const YoloMetaObject *b = &g_array_index (found, YoloMetaObject, k);

      if (a->label_id == b->label_id && a->confidence == b->confidence
          && fabsf (a->x - b->x) < .01f && fabsf (a->y - b->y) < .01f
          && fabsf (a->w - b->w) < .01f && fabsf (a->h - b->h) < .01f) {
        n++;
        break;
      }
    }
  }
  return n;
}

/* Regions apart from each other give what each gives alone, in one batch. */
static void
test_regions (void)
{
  GstHarness *h = infer_harness (infer_new (MANY, "max-detections", "300", "roi",
          "0,0,64,64;64,32,64,64", NULL), SMALL);
  g_autoptr (GArray) found = infer_picture (h, SMALL), expected = by_roi ("0,0,64,64"),
                     more = by_roi ("64,32,64,64");
  guint i;

  g_assert_cmpuint (expected->len, >, 10);
  g_assert_cmpuint (more->len, >, 10);
  g_array_append_vals (expected, more->data, more->len);
  if (found->len < 200)         /* else each alone had more than 100 */
    g_assert_cmpuint (found->len, ==, expected->len);
  g_assert_cmpuint (count_found (found, expected), ==, expected->len);
  for (i = 0; i + 1 < found->len; i++)
    g_assert_cmpfloat (g_array_index (found, YoloMetaObject, i).confidence, >=,
        g_array_index (found, YoloMetaObject, i + 1).confidence);
  g_assert_cmpfloat (stat_of (h->element, "inferred"), ==, 1);
  g_assert_cmpfloat (stat_of (h->element, "requests"), ==, 2);
  g_assert_cmpfloat (stat_of (h->element, "mean-batch"), ==, 2);

  /* no more than are wanted, of all together */
  g_object_set (h->element, "max-detections", 7, NULL);
  g_array_unref (found);
  found = infer_picture (h, SMALL);
  g_assert_cmpuint (found->len, ==, 7);
  g_assert_cmpuint (count_found (expected, found), ==, 7);
  infer_teardown (h);
}

/* What two regions show both is found once. */
static void
test_regions_that_overlap (void)
{
  g_autoptr (GArray) found = by_roi ("10,10,64,64;10,10,64,64;10,10,64,64"),
                     expected = by_roi ("10,10,64,64");

  /* objects of one region that share more than half of themselves may each be taken for the
   * other one's twin; the best one cannot */
  g_assert_cmpuint (found->len, >, 0);
  g_assert_cmpuint (found->len, <=, expected->len);
  g_assert_cmpuint (count_found (expected, found), ==, found->len);
  g_assert_cmpuint (count_found (found, expected), ==, found->len);
}

/* A polygon is the rectangle around it without the objects whose middle lies outside. This
 * network sees most in the middle of a picture, where one of the polygons has a bay. */
static void
test_polygon_drops (void)
{
  static const gchar *const shapes[] = {
    "20,10,110,20,64,90,20,20", "20,10,50,10,50,60,80,60,80,10,110,10,110,90,20,90",
  };
  g_autoptr (GArray) around = by_roi ("20,10,90,80");
  guint i, k, n[2] = { 0 };

  for (i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autoptr (GArray) found = by_roi (shapes[i]), areas = NULL;

    g_assert_true (yolo_areas_parse (shapes[i], &areas));
    for (k = 0; k < around->len; k++) {
      const YoloMetaObject *object = &g_array_index (around, YoloMetaObject, k);

      n[i] += yolo_area_contains (&g_array_index (areas, YoloArea, 0), object->x + object->w / 2,
          object->y + object->h / 2);
    }
    g_assert_cmpuint (found->len, ==, n[i]);
    g_assert_cmpuint (count_found (around, found), ==, found->len);
  }
  g_assert_cmpuint (n[0], >, 3);
  g_assert_cmpuint (n[1], <, around->len);
}

/* While the element plays, what makes no sense is a warning; what does, counts at once. */
static void
test_set_while_playing (void)
{
  GstHarness *h = infer_harness (infer_new (MANY, "roi", "0,0,64,64", NULL), SMALL);
  g_autoptr (GArray) found = infer_picture (h, SMALL);
  g_autofree gchar *roi = NULL;

  g_object_set (h->element, "roi", "0,0,64,64;1,2,3", NULL);
  check_message (h->element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "roi \"0,0,64,64;1,2,3\" is not a region");
  g_object_set (h->element, "roi", "0,0,64,64;200,0,210,0,200,10", NULL);
  check_message (h->element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "roi 200,0,210,0,200,10 lies outside of the frame");
  g_object_get (h->element, "roi", &roi, NULL);
  g_assert_cmpstr (roi, ==, "0,0,64,64");

  g_object_set (h->element, "roi", "0,0,64,64;64,0,64,64;0,50,30,50,30,90", NULL);
  g_array_unref (found);
  found = infer_picture (h, SMALL);
  g_assert_cmpfloat (stat_of (h->element, "requests"), ==, 4);
  assert_no_message (h->element, GST_MESSAGE_WARNING);

  /* of frames that become too small for some, the others are looked at */
  g_array_unref (found);
  gst_harness_set_src_caps_str (h, "video/x-raw,format=RGB,width=64,height=64,framerate=30/1");
  found = infer_picture (h, "video/x-raw,format=RGB,width=64,height=64,framerate=30/1");
  g_assert_cmpfloat (stat_of (h->element, "requests"), ==, 6);
  check_message (h->element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "roi 64,0,64,64 lies outside of the frame");
  infer_teardown (h);
}

/* Tiles and the whole are requests of one batch, and a batch that holds less makes no
 * difference to what is found. */
static void
test_tiles (void)
{
  g_autoptr (GArray) expected = NULL;
  guint i;

  for (i = 0; i < 3; i++) {
    static const gchar *const sizes[] = { "0", "2", "32" };
    /* the largest powers of two that make 7 */
    static const gdouble mean[] = { 7. / 3, 7. / 4, 7. / 3 };
    GstHarness *h = infer_harness (infer_new (MANY, "tiles", "3x2", "tile-overlap", ".2",
            "batch-size", sizes[i], NULL), SMALL);
    g_autoptr (GArray) found = infer_picture (h, SMALL);

    g_assert_cmpfloat (stat_of (h->element, "inferred"), ==, 1);
    g_assert_cmpfloat (stat_of (h->element, "requests"), ==, 7);
    g_assert_cmpfloat_with_epsilon (stat_of (h->element, "mean-batch"), mean[i], 1e-6);
    g_assert_cmpuint (found->len, >, 10);
    if (expected == NULL)
      expected = g_steal_pointer (&found);
    else
      assert_same_detections (found, expected, 0, 0, .01f, .001f);
    infer_teardown (h);
  }
}

/* Objects keep the mask, points or turned box that one part gives them; a turned box is where its
 * corners are. */
static void
test_tasks (void)
{
  static const struct { const gchar *model; guint flags; gboolean points, mask; } table[] = {
    { "micro-segment.onnx", 0, FALSE, TRUE },
    { "micro-pose.onnx", 0, TRUE, FALSE },
    { "micro-obb.onnx", YOLO_SHAPE_TURNED, FALSE, FALSE },
  };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    g_autofree gchar *model = data_path (table[i].model);
    GstHarness *h =
        infer_harness (infer_new (MANY, "model-file", model, "tiles", "2x2", NULL), SMALL);
    g_autoptr (GArray) found = infer_picture (h, SMALL);

    g_assert_cmpuint (found->len, >, 0);
    for (k = 0; k < found->len; k++) {
      const YoloMetaObject *object = &g_array_index (found, YoloMetaObject, k);
      const YoloShape *shape = yolo_shape_get (object->shape);
      gfloat box[4];

      g_assert_nonnull (shape);
      g_assert_cmpuint (shape->flags, ==, table[i].flags);
      g_assert_cmpint (shape->n_points > 0, ==, table[i].points);
      g_assert_cmpint (shape->mask_width > 0, ==, table[i].mask);
      if (shape->flags == 0)
        continue;
      yolo_shape_bounds (shape, 128, 96, box);
      g_assert_cmpfloat_with_epsilon (MAX (box[0], 0), object->x, .01f);
      g_assert_cmpfloat_with_epsilon (MIN (box[1] + box[3], 96), object->y + object->h, .01f);
    }
    infer_teardown (h);
  }
}

/* More parts than the largest batch holds; several regions, each with its tiles; several frames
 * under way, in order. */
static void
test_many_parts (void)
{
  GstHarness *h = infer_harness (
      infer_new (MANY, "tiles", "8x8", "roi", "0,0,128,96;0,0,128,48", "max-in-flight", "3", NULL),
      SMALL);
  GstVideoInfo info;
  guint i;

  make_info (SMALL, &info);
  for (i = 0; i < 5; i++) {
    GstBuffer *buffer = make_picture (&info);

    GST_BUFFER_OFFSET (buffer) = i;
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  }
  for (i = 0; i < 5; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    g_assert_cmpuint (GST_BUFFER_OFFSET (buffer), ==, i);
    gst_buffer_unref (buffer);
  }
  g_assert_cmpfloat (stat_of (h->element, "inferred"), ==, 5);
  g_assert_cmpfloat (stat_of (h->element, "requests"), ==, 5 * 130);
  infer_teardown (h);
}

static void
test_tiles_refused (void)
{
  static const struct { const gchar *model, *tiles, *error; } table[] = {
    { "v8n.onnx", "3by2", "tiles \"3by2\" are not COLUMNSxROWS" },
    { "micro-classify.onnx", "3x2", "tiles need a network that finds boxes" },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    g_autofree gchar *model = data_path (table[i].model);
    GstElement *element = infer_new ("model-file", model, "tiles", table[i].tiles, NULL);

    gst_object_ref_sink (element);
    g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
        GST_STATE_CHANGE_FAILURE);
    check_message (element, GST_MESSAGE_ERROR, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        table[i].error);
    infer_free (element);
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/yoloinfer/parts/parse-areas", test_parse_areas);
  g_test_add_func ("/yoloinfer/parts/polygon", test_polygon);
  g_test_add_func ("/yoloinfer/parts/tiling", test_tiling);
  g_test_add_func ("/yoloinfer/parts/regions", test_regions);
  g_test_add_func ("/yoloinfer/parts/regions-that-overlap", test_regions_that_overlap);
  g_test_add_func ("/yoloinfer/parts/polygon-drops", test_polygon_drops);
  g_test_add_func ("/yoloinfer/parts/set-while-playing", test_set_while_playing);
  g_test_add_func ("/yoloinfer/parts/tiles", test_tiles);
  g_test_add_func ("/yoloinfer/parts/tasks", test_tasks);
  g_test_add_func ("/yoloinfer/parts/many-parts", test_many_parts);
  g_test_add_func ("/yoloinfer/parts/tiles-refused", test_tiles_refused);
  return g_test_run ();
}
