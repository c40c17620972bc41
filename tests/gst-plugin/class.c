/* SPDX-License-Identifier: MIT */
/* What a second network finds in objects: their classes, and objects inside them. */

#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

#include <gst/check/gstharness.h>
#include <math.h>

static GArray *
read_objects (GstBuffer *buffer, const GstVideoInfo *info)
{
  GArray *objects = yolo_meta_objects_new ();

  yolo_meta_read (buffer, info, objects);
  return objects;
}

static GBytes *
classes_new (const gchar *label, gint label_id, gfloat confidence, gint model_id)
{
  const YoloClass class = { g_quark_from_string (label), label_id, confidence, model_id,
    g_quark_from_string ("kinds") };

  return g_bytes_new (&class, sizeof class);
}

static const YoloClass *
class_at (GArray *objects, guint object, guint number, guint n_wanted)
{
  guint n;
  const YoloClass *classes =
      yolo_classes_get (g_array_index (objects, YoloMetaObject, object).classes, &n);

  g_assert_cmpuint (n, ==, n_wanted);
  return classes + number;
}

/* Two cars, each with a plate, and a person: the plates come in a second step. */
static GstBuffer *
make_buffer (GstVideoInfo *info)
{
  const YoloMetaObject outer[] = {
    { .x = 20, .y = 10, .w = 60, .h = 50, .confidence = .9f, .label_id = 2,
        .label = g_quark_from_string ("car"), .object_id = 5 },
    { .x = 5, .y = 10, .w = 10, .h = 50, .confidence = .8f, .label_id = 0,
        .label = g_quark_from_string ("person"), .object_id = -1 },
    { .x = 120, .y = 10, .w = 60, .h = 50, .confidence = .7f, .label_id = 2,
        .label = g_quark_from_string ("car"), .object_id = 6 },
  };
  GstBuffer *buffer = gst_buffer_new ();
  g_autoptr (GArray) found = NULL;
  YoloMetaObject plates[2];
  guint i;

  gst_video_info_set_format (info, GST_VIDEO_FORMAT_RGB, 200, 100);
  yolo_meta_add (buffer, info, outer, G_N_ELEMENTS (outer), 0);
  found = read_objects (buffer, info);
  for (i = 0; i < 2; i++)
    plates[i] = (YoloMetaObject) {
      .x = 30 + 100 * i, .y = 50, .w = 20, .h = 8, .confidence = .6f, .label_id = 0,
      .label = g_quark_from_string ("plate"), .object_id = -1,
      .parent = g_array_index (found, YoloMetaObject, 2 * i).region,
    };
  yolo_meta_add (buffer, info, plates, 2, 1);
  return buffer;
}

static void
assert_plates (GArray *found)
{
  guint i;

  g_assert_cmpuint (found->len, ==, 5);
  for (i = 0; i < 3; i++)
    g_assert_cmpuint (g_array_index (found, YoloMetaObject, i).parent, ==, 0);
  for (i = 0; i < 2; i++) {
    const YoloMetaObject *plate = &g_array_index (found, YoloMetaObject, 3 + i);

    g_assert_cmpstr (g_quark_to_string (plate->label), ==, "plate");
    g_assert_cmpuint (plate->parent, >, 0);
    g_assert_cmpuint (
        plate->parent, ==, g_array_index (found, YoloMetaObject, 2 * i).region);
  }
}

static void
test_parents (void)
{
  GstVideoInfo info;
  GstBuffer *buffer = make_buffer (&info), *copy = gst_buffer_copy (buffer);
  g_autoptr (GArray) found = read_objects (copy, &info);
  GstVideoRegionOfInterestMeta *meta;
  guint i;

  assert_plates (found);
  /* readers of DL Streamer's layout */
  for (i = 0; i < 2; i++) {
    meta = gst_buffer_get_video_region_of_interest_meta_id (
        copy, (gint) g_array_index (found, YoloMetaObject, 3 + i).region - 1);
    g_assert_cmpint (
        meta->parent_id, ==, (gint) g_array_index (found, YoloMetaObject, 2 * i).region - 1);
  }
  gst_buffer_unref (copy);
  gst_buffer_unref (buffer);
}

/* An element that takes all objects off and attaches them again, in another order, as a tracker
 * does: the regions get other ids, and belong together as before. */
static void
test_attached_again (void)
{
  GstVideoInfo info;
  GstBuffer *buffer = make_buffer (&info);
  g_autoptr (GArray) found = read_objects (buffer, &info), again = NULL;
  g_autoptr (GBytes) taxi = classes_new ("taxi", 4, .5f, 0);
  GBytes *classes[5] = { NULL, NULL, taxi, NULL, NULL };
  YoloMetaObject turned[5];
  guint i;

  yolo_meta_classify (buffer, found, classes);
  g_array_unref (found);
  found = read_objects (buffer, &info);
  for (i = 0; i < 5; i++)
    turned[i] = g_array_index (found, YoloMetaObject, 4 - i);
  yolo_meta_clear (buffer);
  yolo_meta_add (buffer, &info, turned, 5, 0);
  again = read_objects (buffer, &info);
  g_assert_cmpuint (again->len, ==, 5);
  for (i = 0; i < 2; i++)
    g_assert_cmpuint (g_array_index (again, YoloMetaObject, i).parent, ==,
        g_array_index (again, YoloMetaObject, 2 + 2 * i).region);
  g_assert_cmpfloat (g_array_index (again, YoloMetaObject, 0).x, ==, 130);
  g_assert_cmpfloat (g_array_index (again, YoloMetaObject, 2).x, ==, 120);
  g_assert_cmpstr (g_quark_to_string (class_at (again, 2, 0, 1)->label), ==, "taxi");
  gst_buffer_unref (buffer);
}

/* The names and types that readers of DL Streamer's layout expect. */
static void
test_layout (void)
{
  GstVideoInfo info;
  GstBuffer *buffer = make_buffer (&info);
  g_autoptr (GArray) found = read_objects (buffer, &info);
  g_autoptr (GBytes) taxi = classes_new ("taxi", 4, .5f, 0), red = classes_new ("red", 1, -1, 7);
  GBytes *first[5] = { taxi }, *second[5] = { red };
  GstVideoRegionOfInterestMeta *meta;
  GstStructure *param;
  const YoloClass *class;
  gdouble confidence;
  gint label_id;

  yolo_meta_classify (buffer, found, first);
  yolo_meta_classify (buffer, found, second);
  meta = gst_buffer_get_video_region_of_interest_meta_id (
      buffer, (gint) g_array_index (found, YoloMetaObject, 0).region - 1);
  param = gst_video_region_of_interest_meta_get_param (meta, "classification");
  g_assert_cmpstr (gst_structure_get_string (param, "label"), ==, "taxi");
  g_assert_cmpstr (gst_structure_get_string (param, "model_name"), ==, "kinds");
  g_assert_true (gst_structure_get_double (param, "confidence", &confidence));
  g_assert_cmpfloat (confidence, ==, .5);
  g_assert_true (gst_structure_get_int (param, "label_id", &label_id));
  g_assert_cmpint (label_id, ==, 4);
  param = gst_video_region_of_interest_meta_get_param (meta, "classification_7");
  g_assert_cmpstr (gst_structure_get_string (param, "label"), ==, "red");
  g_assert_false (gst_structure_has_field (param, "confidence"));

  g_array_unref (found);
  found = read_objects (buffer, &info);
  assert_plates (found);
  class = class_at (found, 0, 0, 2);
  g_assert_cmpstr (g_quark_to_string (class[0].label), ==, "taxi");
  g_assert_cmpfloat (class[0].confidence, ==, .5f);
  g_assert_cmpint (class[0].label_id, ==, 4);
  g_assert_cmpstr (g_quark_to_string (class[0].model), ==, "kinds");
  g_assert_cmpstr (g_quark_to_string (class[1].label), ==, "red");
  g_assert_cmpfloat (class[1].confidence, ==, -1);
  g_assert_cmpint (class[1].model_id, ==, 7);
  class_at (found, 1, 0, 0);
  gst_buffer_unref (buffer);
}

/* Converters drop the params of regions, and scale the regions. */
static void
test_scaled (void)
{
  GstHarness *h =
      gst_harness_new_parse ("videoscale ! capsfilter caps=video/x-raw,width=400,height=50");
  GstVideoInfo info;
  GstBuffer *buffer = make_buffer (&info), *scaled;
  g_autoptr (GArray) found = read_objects (buffer, &info);
  g_autoptr (GBytes) taxi = classes_new ("taxi", 4, .5f, 3);
  GBytes *classes[5] = { NULL, NULL, taxi };

  info.fps_n = 25;
  gst_harness_set_src_caps (h, gst_video_info_to_caps (&info));
  yolo_meta_classify (buffer, found, classes);
  gst_buffer_append_memory (
      buffer, gst_allocator_alloc (NULL, GST_VIDEO_INFO_SIZE (&info), NULL));
  scaled = gst_harness_push_and_pull (h, buffer);
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 400, 50);
  g_array_unref (found);
  found = read_objects (scaled, &info);
  assert_plates (found);
  g_assert_cmpfloat_with_epsilon (g_array_index (found, YoloMetaObject, 4).x, 260, 1);
  g_assert_cmpstr (g_quark_to_string (class_at (found, 2, 0, 1)->label), ==, "taxi");
  g_assert_cmpint (class_at (found, 2, 0, 1)->model_id, ==, 3);
  gst_buffer_unref (scaled);
  gst_harness_teardown (h);
}

/* What gvaclassify attaches. Tensors without a label are none, and neither is what is wrong. */
static void
test_foreign (void)
{
  static const gchar *const params[] = {
    "detection, label=car, confidence=.5", "object_id, id=7",
    "classification_layer_name:prob, label=van, model_name=vehicle, confidence=.75, label_id=3",
    "color, label=white", "raw, format=(string)\"\"", "odd, label=7", "empty, label=(string)\"\"",
  };
  GstBuffer *buffer = gst_buffer_new ();
  GstVideoRegionOfInterestMeta *meta =
      gst_buffer_add_video_region_of_interest_meta (buffer, "car", 10, 10, 20, 20);
  g_autoptr (GArray) found = NULL;
  const YoloClass *class;
  GstVideoInfo info;
  guint i;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  for (i = 0; i < G_N_ELEMENTS (params); i++)
    gst_video_region_of_interest_meta_add_param (
        meta, gst_structure_from_string (params[i], NULL));
  found = read_objects (buffer, &info);
  class = class_at (found, 0, 0, 2);
  g_assert_cmpstr (g_quark_to_string (class[0].label), ==, "van");
  g_assert_cmpfloat (class[0].confidence, ==, .75f);
  g_assert_cmpint (class[0].label_id, ==, 3);
  g_assert_cmpstr (g_quark_to_string (class[0].model), ==, "vehicle");
  g_assert_cmpstr (g_quark_to_string (class[1].label), ==, "white");
  g_assert_cmpfloat (class[1].confidence, ==, -1);
  gst_buffer_unref (buffer);
}

static void
test_join (void)
{
  g_autoptr (GBytes) taxi = classes_new ("taxi", 4, .5f, 0), red = classes_new ("red", 1, 1, 7),
                     van = classes_new ("van", 3, .6f, 0);
  g_autoptr (GBytes) one = yolo_classes_join (NULL, taxi), two = yolo_classes_join (one, red),
                     three = yolo_classes_join (two, van);
  const YoloClass *classes;
  guint n;

  g_assert_cmpint (yolo_classes_get (one, &n)->label_id, ==, 4);
  g_assert_cmpuint (n, ==, 1);
  classes = yolo_classes_get (three, &n);
  g_assert_cmpuint (n, ==, 2);
  g_assert_cmpint (classes[0].label_id, ==, 1);
  g_assert_cmpint (classes[1].label_id, ==, 3);
}

/* Points, mask and corners in another place of the frame: half as wide, twice as high, moved by a
 * tenth and a fifth of the frame. */
static void
test_shape_moves (void)
{
  const gfloat scale[] = { .5f, 2 }, move[] = { .1f, .2f };
  YoloShape head = { .n_points = 1, .mask_width = 2, .mask_height = 1,
    .mask = { .2f, .1f, .4f, .2f } };
  g_autoptr (GBytes) bytes = NULL, moved = NULL, none = g_bytes_new ("x", 1);
  const YoloShape *shape;
  gfloat *points, box[4];
  gint16 *cells;
  YoloShape *own;

  yolo_shape_turn (&head, (gfloat[4]){ 40, 20, 40, 10 }, .5f, 200, 100);
  own = yolo_shape_allocate (&head, &points, &cells);
  points[0] = .3f;
  points[1] = .15f;
  points[2] = .75f;
  cells[0] = 7;
  cells[1] = -7;
  bytes = yolo_shape_take (own);
  moved = yolo_shape_move (bytes, scale, move, 200, 100);
  shape = yolo_shape_get (moved);
  g_assert_nonnull (shape);
  g_assert_cmpfloat_with_epsilon (yolo_shape_points (shape)[0], .25f, 1e-6);
  g_assert_cmpfloat_with_epsilon (yolo_shape_points (shape)[1], .5f, 1e-6);
  g_assert_cmpfloat (yolo_shape_points (shape)[2], ==, .75f);
  g_assert_cmpint (yolo_shape_cells (shape)[1], ==, -7);
  g_assert_cmpfloat_with_epsilon (shape->mask[0], .2f, 1e-6);
  g_assert_cmpfloat_with_epsilon (shape->mask[1], .4f, 1e-6);
  g_assert_cmpfloat_with_epsilon (shape->mask[2], .3f, 1e-6);
  g_assert_cmpfloat_with_epsilon (shape->mask[3], .6f, 1e-6);
  g_assert_cmpfloat_with_epsilon (shape->corners[0], head.corners[0] * .5f + .1f, 1e-6);
  g_assert_cmpfloat_with_epsilon (shape->corners[5], head.corners[5] * 2 + .2f, 1e-6);
  /* the side that went right and down goes down four times as steeply */
  yolo_shape_upright (shape, 200, 100, box);
  g_assert_cmpfloat_with_epsilon (tanf (shape->angle), 4 * tanf (.5f), 1e-3);
  g_assert_null (yolo_shape_move (none, scale, move, 200, 100));
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/class/parents", test_parents);
  g_test_add_func ("/class/attached-again", test_attached_again);
  g_test_add_func ("/class/layout", test_layout);
  g_test_add_func ("/class/scaled", test_scaled);
  g_test_add_func ("/class/foreign", test_foreign);
  g_test_add_func ("/class/join", test_join);
  g_test_add_func ("/class/shape-moves", test_shape_moves);
  return g_test_run ();
}
