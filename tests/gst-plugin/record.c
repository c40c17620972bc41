/* SPDX-License-Identifier: MIT */
/* What the records say of an object beside its box: masks, keypoints, turned boxes, classes
 * of the whole frame. */

#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolorecord.h"
#include "gst-plugin/yoloshape.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#define WIDTH 20
#define HEIGHT 10

static JsonNode *
parse (const gchar *text)
{
  GError *error = NULL;
  JsonNode *node = json_from_string (text, &error);

  if (error)
    g_error ("%s\n%s", error->message, text);
  return node;
}

/* A record of objects that the caller has described. */
static YoloRecord
record_of (const YoloMetaObject *objects, guint n)
{
  return (YoloRecord){ .width = WIDTH, .height = HEIGHT, .objects = objects, .n_objects = n };
}

/* An object with the first shape of a result, in a frame of that size. */
static YoloMetaObject
object_of (const YoloDetails *details, const YoloObject *found, const gchar *label)
{
  const YoloResult result = { .detections = found, .n_detections = 1, .details = details };

  return (YoloMetaObject){ .x = found->x1, .y = found->y1, .w = found->x2 - found->x1,
    .h = found->y2 - found->y1, .confidence = .5f, .label_id = 3,
    .label = label ? g_quark_from_string (label) : 0, .object_id = -1,
    .shape = yolo_shape_new (&result, 0, 0, 0, WIDTH, HEIGHT) };
}

/* The first object of a JSON line, the first result of COCO; the labels without
 * a confidence. */
typedef struct {
  JsonNode *line_node, *coco_node;
  JsonObject *line, *coco;
  GString *labels;
} Records;

static Records
write_records (const YoloMetaObject *object)
{
  const YoloRecord record = record_of (object, 1);
  g_autoptr (GString) line = g_string_new (NULL), coco = g_string_new (NULL);
  Records r = { .labels = g_string_new ("kept\n") };

  g_assert_cmpuint (yolo_record_json_line (&record, line), ==, 1);
  g_assert_cmpuint (yolo_record_coco (&record, 7, YOLO_CATEGORIES_CLASS, coco), ==, 1);
  g_assert_cmpuint (yolo_record_labels (&record, FALSE, r.labels), ==, 1);
  g_string_erase (r.labels, 0, 5);
  r.line_node = parse (line->str);
  r.coco_node = parse (coco->str);
  r.line = json_array_get_object_element (json_object_get_array_member (
          json_node_get_object (r.line_node), "objects"), 0);
  r.coco = json_node_get_object (r.coco_node);
  g_assert_cmpint (json_object_get_int_member (r.coco, "image_id"), ==, 7);
  return r;
}

static void
records_clear (Records *r)
{
  json_node_unref (r->line_node);
  json_node_unref (r->coco_node);
  g_string_free (r->labels, TRUE);
}

static void
assert_numbers (JsonArray *array, const gdouble *want, guint n)
{
  g_assert_cmpuint (json_array_get_length (array), ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon (json_array_get_double_element (array, i), want[i], 1e-4);
}

static void
assert_rle (JsonObject *object, const gchar *member, const gchar *counts)
{
  JsonObject *mask = json_object_get_object_member (object, member);
  JsonArray *size = json_object_get_array_member (mask, "size");

  g_assert_cmpint (json_array_get_int_element (size, 0), ==, HEIGHT);
  g_assert_cmpint (json_array_get_int_element (size, 1), ==, WIDTH);
  g_assert_cmpstr (json_object_get_string_member (mask, "counts"), ==, counts);
}

/* A mask of 4 x 2 cells of 2 pixels: the left half is the object's, and a cell at the right. The
 * text is pycocotools' of these pixels. */
static void
test_mask (void)
{
  const YoloObject found = { .x1 = 4, .y1 = 2, .x2 = 12, .y2 = 6 };
  int16_t cells[8] = { 9, 9, -9, -9, 9, 9, -9, 9 };
  YoloObjectMask mask = { 4, 2, 12, 6, 4, 2, 0 };
  const YoloDetails details = { .masks = &mask, .cells = cells, .n_cells = 8 };
  YoloMetaObject object = object_of (&details, &found, "cat");
  Records r = write_records (&object);

  assert_rle (r.line, "mask", "Z14600000f0N\\O0\\2");
  assert_rle (r.coco, "segmentation", "Z14600000f0N\\O0\\2");
  g_assert_cmpint (json_array_get_length (json_object_get_array_member (r.coco, "bbox")), ==, 4);
  g_assert_false (json_object_has_member (r.coco, "keypoints"));
  g_assert_cmpstr (r.labels->str, ==,
      "3 0.225000 0.200000 0.375000 0.200000 0.400000 0.250000 0.400000 0.550000 0.375000 "
      "0.600000 0.225000 0.600000 0.200000 0.550000 0.200000 0.250000 0.225000 0.200000 "
      "0.525000 0.400000 0.575000 0.400000 0.600000 0.450000 0.600000 0.550000 0.575000 "
      "0.600000 0.525000 0.600000 0.500000 0.550000 0.500000 0.450000 0.525000 0.400000\n");
  records_clear (&r);
  g_bytes_unref (object.shape);
}

/* An object whose mask has no pixel in the frame has no outline: a label file leaves it out, with
 * what was written of it; it is there in the others. A larger mask follows a smaller one in
 * the same memory. */
static void
test_empty_mask (void)
{
  const YoloObject found = { .x1 = 4, .y1 = 2, .x2 = 12, .y2 = 6 };
  int16_t none[2] = { -9, -9 }, all[2] = { 9, 9 };
  YoloObjectMask mask = { 4, 2, 12, 6, 2, 1, 0 };
  YoloDetails details = { .masks = &mask, .cells = none, .n_cells = 2 };
  YoloMetaObject objects[2] = { object_of (&details, &found, "cat") };
  const YoloRecord record = record_of (objects, 2);
  g_autoptr (GString) labels = g_string_new (NULL), coco = g_string_new ("[");
  g_autoptr (JsonNode) node = NULL;
  JsonArray *array;

  details.cells = all;
  objects[1] = object_of (&details, &found, "cat");
  g_assert_cmpuint (yolo_record_labels (&record, TRUE, labels), ==, 1);
  g_assert_cmpstr (labels->str, ==, "3 0.225000 0.200000 0.575000 0.200000 0.600000 0.250000 "
      "0.600000 0.550000 0.575000 0.600000 0.225000 0.600000 0.200000 0.550000 0.200000 0.250000 "
      "0.500000\n");
  g_assert_cmpuint (yolo_record_coco (&record, 0, YOLO_CATEGORIES_CLASS, coco), ==, 2);
  g_string_append_c (coco, ']');
  node = parse (coco->str);
  array = json_node_get_array (node);
  assert_rle (json_array_get_object_element (array, 0), "segmentation", "X6");
  assert_rle (json_array_get_object_element (array, 1), "segmentation", "Z1460000000000000^2");
  g_bytes_unref (objects[0].shape);
  g_bytes_unref (objects[1].shape);
}

/* Masks whose texts become longer by a letter at a time share their memory: each is what it is
 * alone. */
static void
test_growing_masks (void)
{
  int16_t all[2] = { 9, 9 };
  YoloMetaObject objects[WIDTH];
  const YoloRecord record = record_of (objects, WIDTH);
  g_autoptr (GString) line = g_string_new (NULL);
  g_autoptr (JsonNode) node = NULL;
  JsonArray *array;

  for (guint i = 0; i < WIDTH; i++) {
    const YoloObject found = { .x2 = 1 + i, .y1 = 2, .y2 = 6 };
    YoloObjectMask mask = { 0, 2, 1 + i, 6, 2, 1, 0 };
    const YoloDetails details = { .masks = &mask, .cells = all, .n_cells = 2 };
    objects[i] = object_of (&details, &found, "cat");
  }
  g_assert_cmpuint (yolo_record_json_line (&record, line), ==, WIDTH);
  node = parse (line->str);
  array = json_object_get_array_member (json_node_get_object (node), "objects");
  for (guint i = 0; i < WIDTH; i++) {
    Records alone = write_records (&objects[i]);
    JsonObject *mask = json_object_get_object_member (alone.line, "mask");

    assert_rle (json_array_get_object_element (array, i), "mask",
        json_object_get_string_member (mask, "counts"));
    records_clear (&alone);
    g_bytes_unref (objects[i].shape);
  }
}

/* A point beside the frame is written on its border. */
static void
test_keypoints (void)
{
  const YoloObject found = { .x1 = 4, .y1 = 2, .x2 = 12, .y2 = 6 };
  float points[9] = { 5, 2.5f, .75f, -3, 12, .25f, 21, -1, 0 };
  const gdouble flat[9] = { 5, 2.5, .75, 0, 10, .25, 20, 0, 0 };
  const YoloDetails details = { .keypoints = 3, .points = points };
  YoloMetaObject object = object_of (&details, &found, "person");
  Records r = write_records (&object);
  JsonArray *array = json_object_get_array_member (r.line, "keypoints");
  g_autoptr (GByteArray) pixels = g_byte_array_new ();

  g_assert_cmpuint (json_array_get_length (array), ==, 3);
  for (guint k = 0; k < 3; k++) {
    JsonObject *point = json_array_get_object_element (array, k);

    g_assert_cmpfloat_with_epsilon (json_object_get_double_member (point, "x"), flat[3 * k], 1e-4);
    g_assert_cmpfloat_with_epsilon (
        json_object_get_double_member (point, "y"), flat[3 * k + 1], 1e-4);
    g_assert_cmpfloat (json_object_get_double_member (point, "confidence"), ==, flat[3 * k + 2]);
  }
  assert_numbers (json_object_get_array_member (r.coco, "keypoints"), flat, 9);
  g_assert_false (json_object_has_member (r.line, "mask"));
  g_assert_cmpint (yolo_shape_bitmap (yolo_shape_get (object.shape), (gfloat[4]){ 4, 2, 12, 6 },
          WIDTH, HEIGHT, pixels).width, ==, 0);
  g_assert_false (json_object_has_member (r.coco, "segmentation"));
  g_assert_cmpstr (r.labels->str, ==, "3 0.400000 0.400000 0.400000 0.400000 0.250000 0.250000 "
      "0.750000 0.000000 1.000000 0.250000 1.000000 0.000000 0.000000\n");
  records_clear (&r);
  g_bytes_unref (object.shape);
}

/* A box of 8 x 4 pixels around (10, 5), turned by 30 degrees. */
static void
test_turned (void)
{
  const YoloObject found = { .x1 = 6, .y1 = 3, .x2 = 14, .y2 = 7, .angle = (float) (G_PI / 6) };
  const YoloDetails details = { .turned = TRUE };
  const gdouble corners[8] = { 7.535898, 1.267949, 14.464102, 5.267949, 12.464102, 8.732051,
    5.535898, 4.732051 };
  YoloMetaObject object = object_of (&details, &found, "ship");
  Records r = write_records (&object);
  JsonArray *polygons = json_object_get_array_member (r.coco, "segmentation");

  g_assert_cmpfloat_with_epsilon (
      json_object_get_double_member (r.line, "rotation"), G_PI / 6, 1e-5);
  assert_numbers (json_object_get_array_member (r.line, "corners"), corners, 8);
  g_assert_false (json_object_has_member (r.line, "mask"));
  g_assert_cmpuint (json_array_get_length (polygons), ==, 1);
  assert_numbers (json_array_get_array_element (polygons, 0), corners, 8);
  g_assert_cmpstr (r.labels->str, ==, "3 0.376795 0.126795 0.723205 0.526795 0.623205 0.873205 "
      "0.276795 0.473205\n");
  records_clear (&r);
  g_bytes_unref (object.shape);
}

/* A class of the whole frame is no detection. Its name cannot begin another line. */
static void
test_whole (void)
{
  const YoloObject found = { .x2 = WIDTH, .y2 = HEIGHT };
  const YoloDetails details = { .whole = TRUE };
  YoloMetaObject object = object_of (&details, &found, "a\ncat");
  const YoloRecord record = record_of (&object, 1);
  Records r = write_records (&object);
  JsonObject *classification = json_object_get_object_member (r.line, "classification");
  g_autoptr (GString) labels = g_string_new (NULL);

  g_assert_false (json_object_has_member (r.line, "detection"));
  g_assert_cmpstr (json_object_get_string_member (classification, "label"), ==, "a\ncat");
  g_assert_cmpint (json_object_get_int_member (classification, "label_id"), ==, 3);
  g_assert_cmpfloat (json_object_get_double_member (classification, "confidence"), ==, .5);
  g_assert_false (json_object_has_member (classification, "bounding_box"));
  g_assert_cmpint (json_object_get_int_member (r.line, "w"), ==, WIDTH);
  g_assert_cmpstr (r.labels->str, ==, "a\\x0acat\n");
  g_assert_cmpuint (yolo_record_labels (&record, TRUE, labels), ==, 1);
  g_assert_cmpstr (labels->str, ==, "0.500000 a\\x0acat\n");
  object.label = 0;
  g_string_truncate (labels, 0);
  g_assert_cmpuint (yolo_record_labels (&record, TRUE, labels), ==, 1);
  g_assert_cmpstr (labels->str, ==, "0.500000 3\n");
  records_clear (&r);
  g_bytes_unref (object.shape);
}

/* What is no shape, though somebody has attached it as one, is left out. */
static void
test_foreign_shape (void)
{
  YoloMetaObject object = { .x = 2, .y = 2, .w = 4, .h = 4, .confidence = .5f, .label_id = 1,
    .object_id = -1, .shape = g_bytes_new_static ("no shape at all", 15) };
  Records r = write_records (&object);

  g_assert_true (json_object_has_member (r.line, "detection"));
  g_assert_false (json_object_has_member (r.coco, "segmentation"));
  g_assert_cmpstr (r.labels->str, ==, "1 0.200000 0.400000 0.200000 0.400000\n");
  records_clear (&r);
  g_bytes_unref (object.shape);
}

/* What other networks say of an object, and which object was found in which. */
static void
test_related (void)
{
  const YoloClass classes[] = {
    { g_quark_from_string ("taxi"), 4, .5f, 0, g_quark_from_string ("kinds") },
    { g_quark_from_string ("bro\xffken"), -1, -1, 7, 0 },
  };
  g_autoptr (GBytes) bytes = g_bytes_new (classes, sizeof classes);
  const YoloMetaObject objects[] = {
    { .x = 1, .y = 1, .w = 9, .h = 8, .confidence = .5f, .label = g_quark_from_string ("car"),
        .object_id = -1, .region = 1, .classes = bytes },
    { .x = 2, .y = 6, .w = 3, .h = 1, .confidence = .5f, .label = g_quark_from_string ("plate"),
        .object_id = -1, .region = 3, .parent = 1 },
  };
  YoloRecord record = record_of (objects, 2);
  g_autoptr (GString) line = g_string_new (NULL);
  g_autoptr (JsonNode) node = NULL, alone = NULL;
  JsonArray *array;
  JsonObject *car, *plate, *said;

  g_assert_cmpuint (yolo_record_json_line (&record, line), ==, 2);
  node = parse (line->str);
  array = json_object_get_array_member (json_node_get_object (node), "objects");
  car = json_array_get_object_element (array, 0);
  plate = json_array_get_object_element (array, 1);
  g_assert_cmpint (json_object_get_int_member (car, "region_id"), ==, 0);
  g_assert_false (json_object_has_member (car, "parent_id"));
  g_assert_cmpint (json_object_get_int_member (plate, "region_id"), ==, 2);
  g_assert_cmpint (json_object_get_int_member (plate, "parent_id"), ==, 0);
  g_assert_true (json_object_has_member (car, "detection"));
  said = json_object_get_object_member (car, "classification");
  g_assert_cmpstr (json_object_get_string_member (said, "label"), ==, "taxi");
  g_assert_cmpint (json_object_get_int_member (said, "label_id"), ==, 4);
  g_assert_cmpfloat (json_object_get_double_member (said, "confidence"), ==, .5);
  g_assert_cmpstr (json_object_get_string_member (
          json_object_get_object_member (said, "model"), "name"), ==, "kinds");
  said = json_object_get_object_member (car, "classification_7");
  g_assert_cmpstr (json_object_get_string_member (said, "label"), ==, "bro\xef\xbf\xbdken");
  g_assert_cmpuint (json_object_get_size (said), ==, 1);
  g_assert_false (json_object_has_member (plate, "classification"));

  /* objects that are not in others need no number */
  g_string_truncate (line, 0);
  record.n_objects = 1;
  yolo_record_json_line (&record, line);
  alone = parse (line->str);
  array = json_object_get_array_member (json_node_get_object (alone), "objects");
  g_assert_false (json_object_has_member (json_array_get_object_element (array, 0), "region_id"));
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/record/mask", test_mask);
  g_test_add_func ("/record/empty-mask", test_empty_mask);
  g_test_add_func ("/record/growing-masks", test_growing_masks);
  g_test_add_func ("/record/keypoints", test_keypoints);
  g_test_add_func ("/record/turned", test_turned);
  g_test_add_func ("/record/whole", test_whole);
  g_test_add_func ("/record/foreign-shape", test_foreign_shape);
  g_test_add_func ("/record/related", test_related);
  return g_test_run ();
}
