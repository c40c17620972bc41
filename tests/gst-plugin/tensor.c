/* SPDX-License-Identifier: MIT */
/* Points, masks and turned boxes in DL Streamer's layout: what is written, and what is read that
 * gvadetect and others have written. Its field names and types: see gst-plugin/yolotensor.c. */

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

#include <gst/check/gstharness.h>
#include <math.h>
#include <string.h>

#define WIDTH 200
#define HEIGHT 100

static GstVideoInfo info;

static void
assert_near (gfloat a, gfloat b, gfloat slack)
{
  g_assert_cmpfloat_with_epsilon (a, b, slack);
}

/* A box of 40 x 20 at 20, 10 with 2 points, and a mask of cells of 4 pixels that reaches a cell
 * beyond the box on each side: the object is what lies right of column 36. */
#define MASK_WIDTH 12
#define MASK_HEIGHT 7

static GBytes *
figure_new (void)
{
  static const YoloObject object = { .x1 = 20, .y1 = 10, .x2 = 60, .y2 = 30 };
  static float points[] = { 24, 12, .75f, 70, 40, .25f };
  static int16_t cells[MASK_WIDTH * MASK_HEIGHT];
  YoloObjectMask mask = { 16, 6, 64, 34, MASK_WIDTH, MASK_HEIGHT, 0 };
  const YoloDetails details = { .keypoints = 2, .points = points, .masks = &mask, .cells = cells,
    .n_cells = G_N_ELEMENTS (cells) };
  const YoloResult result = { .detections = &object, .n_detections = 1, .details = &details };

  for (guint i = 0; i < G_N_ELEMENTS (cells); i++)
    cells[i] = i % MASK_WIDTH < 5 ? -1000 : 1000;
  return yolo_shape_new (&result, 0, 0, 0, WIDTH, HEIGHT);
}

static GBytes *
turned_new (gfloat x, gfloat y, gfloat w, gfloat h, gfloat angle)
{
  YoloShape head = { 0 };
  gfloat *points;
  gint16 *cells;

  yolo_shape_turn (&head, (gfloat[4]){ x, y, w, h }, angle, WIDTH, HEIGHT);
  return yolo_shape_take (yolo_shape_allocate (&head, &points, &cells));
}

/* A buffer with an object, whose shape it takes. */
static GstBuffer *
buffer_of (YoloMetaObject object, GBytes *shape)
{
  GstBuffer *buffer = gst_buffer_new ();

  object.shape = shape;
  yolo_meta_add (buffer, &info, &object, 1, 0);
  g_clear_pointer (&shape, g_bytes_unref);
  return buffer;
}

static const YoloMetaObject person = { 20, 10, 40, 20, .5f, 0, 0, -1, 0, NULL, 0, 0, NULL, 0 };

static GstVideoRegionOfInterestMeta *
region_of (GstBuffer *buffer)
{
  return (GstVideoRegionOfInterestMeta *) gst_buffer_get_meta (
      buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
}

/* The numbers of a tensor whose fields are as DL Streamer's are. */
static const gfloat *
get_tensor (GstBuffer *buffer, const gchar *name, const gchar *format, guint first, guint second)
{
  GstStructure *s = gst_video_region_of_interest_meta_get_param (region_of (buffer), name);
  const GValue *dims;
  GVariant *data;
  gint precision;
  gsize n;
  const gfloat *values;

  g_assert_nonnull (s);
  g_assert_cmpstr (gst_structure_get_string (s, "format"), ==, format);
  g_assert_true (gst_structure_get_int (s, "precision", &precision));
  g_assert_cmpint (precision, ==, 10);
  dims = gst_structure_get_value (s, "dims");
  g_assert_true (GST_VALUE_HOLDS_ARRAY (dims));
  g_assert_cmpuint (gst_value_array_get_size (dims), ==, 2);
  g_assert_cmpuint (g_value_get_uint (gst_value_array_get_value (dims, 0)), ==, first);
  g_assert_cmpuint (g_value_get_uint (gst_value_array_get_value (dims, 1)), ==, second);
  data = g_value_get_variant (gst_structure_get_value (s, "data_buffer"));
  values = g_variant_get_fixed_array (data, &n, 1);
  g_assert_cmpuint (n, ==, first * second * sizeof (gfloat));
  return values;
}

static void
test_points (void)
{
  GstBuffer *buffer = buffer_of (person, figure_new ());
  const gfloat *places = get_tensor (buffer, "keypoints", "keypoints", 2, 2);
  const GValue *confidence = gst_structure_get_value (
      gst_video_region_of_interest_meta_get_param (region_of (buffer), "keypoints"),
      "confidence");

  /* 0 to 1 of the region */
  assert_near (places[0], 4 / 40.f, 1e-6f);
  assert_near (places[1], 2 / 20.f, 1e-6f);
  assert_near (places[2], 50 / 40.f, 1e-6f);
  assert_near (places[3], 30 / 20.f, 1e-6f);
  g_assert_cmpuint (gst_value_array_get_size (confidence), ==, 2);
  g_assert_cmpfloat (g_value_get_float (gst_value_array_get_value (confidence, 0)), ==, .75f);
  g_assert_cmpfloat (g_value_get_float (gst_value_array_get_value (confidence, 1)), ==, .25f);
  gst_buffer_unref (buffer);
}

/* The mask spans the region, and is above .5 where the object is. */
static void
test_mask (void)
{
  GstBuffer *buffer = buffer_of (person, figure_new ());
  const gfloat *values = get_tensor (buffer, "mask", "segmentation_mask", 10, 5);

  for (guint y = 0; y < 5; y++)
    for (guint x = 0; x < 10; x++)
      assert_near (values[10 * y + x], .5f + (x < 4 ? -1000 : 1000) / 65536.f, 1e-6f);
  gst_buffer_unref (buffer);
}

/* Values between cells are interpolated, those beyond the outer ones are the same as these. */
static void
test_sample (void)
{
  YoloShape head = { .mask_width = 2, .mask_height = 2, .mask = { .1f, .1f, .3f, .5f } };
  static const gint16 cells[4] = { -16384, 16384, 0, 32767 };
  gfloat *points;
  gint16 *own;
  YoloShape *shape = yolo_shape_allocate (&head, &points, &own);
  YoloShapeGrid grid;
  const gfloat *values;

  memcpy (own, cells, sizeof cells);
  /* the mask covers 20, 10 to 60, 50: the middles of its cells lie at 30 and 50, 20 and 40 */
  grid = yolo_shape_sample (shape, (gint[4]){ 35, 20, 10, 20 }, WIDTH, HEIGHT);
  g_assert_cmpuint (grid.width, ==, 1);
  g_assert_cmpuint (grid.height, ==, 1);
  values = g_bytes_get_data (grid.values, NULL);
  assert_near (values[0], .5f + (-16384 + 16384 + 0 + 32767) / 4.f / 65536, 1e-5f);
  g_bytes_unref (grid.values);
  grid = yolo_shape_sample (shape, (gint[4]){ 0, 10, 40, 20 }, WIDTH, HEIGHT);
  values = g_bytes_get_data (grid.values, NULL);
  g_assert_cmpuint (grid.width, ==, 2);
  g_assert_cmpuint (grid.height, ==, 1);
  assert_near (values[0], .25f, 1e-5f);
  assert_near (values[1], .25f, 1e-5f);
  g_bytes_unref (grid.values);

  /* never more cells than the mask has */
  grid = yolo_shape_sample (shape, (gint[4]){ 0, 0, WIDTH, HEIGHT }, WIDTH, HEIGHT);
  g_assert_cmpuint (grid.width, ==, 2);
  g_assert_cmpuint (grid.height, ==, 2);
  g_bytes_unref (grid.values);
  shape->mask[2] = shape->mask[0];
  grid = yolo_shape_sample (shape, (gint[4]){ 0, 0, WIDTH, HEIGHT }, WIDTH, HEIGHT);
  g_assert_null (grid.values);
  g_free (shape);
}

/* Which cell a value becomes: its sign is what counts. */
static void
test_cells (void)
{
  g_assert_cmpint (yolo_shape_cell (1), ==, 32767);
  g_assert_cmpint (yolo_shape_cell (0), ==, -32767);
  g_assert_cmpint (yolo_shape_cell (.5f), ==, 0);
  g_assert_cmpint (yolo_shape_cell (.75f), ==, 16384);
  g_assert_cmpint (yolo_shape_cell (.25f), ==, -16384);
  g_assert_cmpint (yolo_shape_cell (nextafterf (.5f, 1)), ==, 1);
  g_assert_cmpint (yolo_shape_cell (INFINITY), ==, 32767);
  g_assert_cmpint (yolo_shape_cell (-INFINITY), ==, -32767);
  g_assert_cmpint (yolo_shape_cell (NAN), ==, -32767);
}

/* The corners of a turned box are a contour; the region stays the box around it, and does not
 * say that it is turned. */
static void
test_corners (void)
{
  const YoloMetaObject ship = { 90, 30, 20, 40, .5f, 0, 0, -1, 0, NULL, 0, 0, NULL, 0 };
  GstBuffer *buffer = buffer_of (ship, turned_new (80, 40, 40, 20, (gfloat) G_PI_2));
  const gfloat *places = get_tensor (buffer, "corners", "contour_points", 4, 2);
  GstStructure *detection =
      gst_video_region_of_interest_meta_get_param (region_of (buffer), "detection");
  gfloat sum[2] = { 0 };

  for (guint k = 0; k < 8; k++) {
    g_assert_true (fabsf (places[k]) < 1e-5f || fabsf (places[k] - 1) < 1e-5f);
    sum[k % 2] += places[k];
  }
  assert_near (sum[0], 2, 1e-4f);
  assert_near (sum[1], 2, 1e-4f);
  g_assert_false (gst_structure_has_field (detection, "rotation"));
  g_assert_cmpuint (region_of (buffer)->x, ==, 90);
  g_assert_cmpuint (region_of (buffer)->h, ==, 40);
  gst_buffer_unref (buffer);
}

/* Objects that are their boxes have no more params than before. */
static void
test_plain (void)
{
  GstBuffer *buffer = buffer_of (person, NULL);

  g_assert_cmpuint (g_list_length (region_of (buffer)->params), ==, 1);
  gst_buffer_unref (buffer);
}

static gboolean
drop_notes (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  if ((*meta)->info->api != GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)
    *meta = NULL;
  return TRUE;
}

static GArray *
read_objects (GstBuffer *buffer, const GstVideoInfo *frame)
{
  GArray *objects = yolo_meta_objects_new ();

  yolo_meta_read (buffer, frame, objects);
  return objects;
}

static const YoloMetaObject *
only_object (const GArray *objects)
{
  g_assert_cmpuint (objects->len, ==, 1);
  return &g_array_index (objects, YoloMetaObject, 0);
}

static const YoloShape *
only_shape (const GArray *objects)
{
  const YoloShape *shape = yolo_shape_get (only_object (objects)->shape);

  g_assert_nonnull (shape);
  return shape;
}

static GByteArray *
pixels_of (const YoloShape *shape)
{
  GByteArray *memory = g_byte_array_new ();
  const gfloat box[4] = { 20, 10, 60, 30 };
  YoloBitmap bitmap = yolo_shape_bitmap (shape, box, WIDTH, HEIGHT, memory);

  g_assert_cmpint (bitmap.width, ==, 40);
  g_assert_cmpint (bitmap.height, ==, 20);
  return memory;
}

/* Where the note is gone, the tensors say the same; where it is not, it is finer and counts. */
static void
test_round_trip (void)
{
  g_autoptr (GBytes) figure = figure_new ();
  GstBuffer *buffer = buffer_of (person, g_bytes_ref (figure));
  GArray *found = read_objects (buffer, &info);
  const YoloShape *shape, *expected = yolo_shape_get (figure);
  GByteArray *pixels, *wanted = pixels_of (expected);

  g_assert_true (g_bytes_equal (only_object (found)->shape, figure));
  g_array_unref (found);

  gst_buffer_foreach_meta (buffer, drop_notes, NULL);
  found = read_objects (buffer, &info);
  shape = only_shape (found);
  g_assert_cmpuint (shape->flags, ==, 0);
  g_assert_cmpuint (shape->n_points, ==, 2);
  for (guint k = 0; k < 6; k++)
    assert_near (yolo_shape_points (shape)[k], yolo_shape_points (expected)[k], 1e-5f);
  pixels = pixels_of (shape);
  g_assert_cmpmem (pixels->data, pixels->len, wanted->data, wanted->len);
  g_byte_array_unref (pixels);
  g_byte_array_unref (wanted);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

/* The same of turned boxes. */
static void
test_turned_round_trip (void)
{
  static const gfloat angles[] = { .3f, 1.3f };

  for (guint i = 0; i < G_N_ELEMENTS (angles); i++) {
    YoloMetaObject ship = { .confidence = .5f, .object_id = -1,
      .shape = turned_new (80, 40, 40, 20, angles[i]) };
    const YoloShape *expected = yolo_shape_get (ship.shape), *shape;
    GstBuffer *buffer = gst_buffer_new ();
    GArray *found;

    yolo_object_bound (&ship, &info);
    yolo_meta_add (buffer, &info, &ship, 1, 0);
    gst_buffer_foreach_meta (buffer, drop_notes, NULL);
    found = read_objects (buffer, &info);
    shape = only_shape (found);
    g_assert_cmpuint (shape->flags, ==, YOLO_SHAPE_TURNED);
    assert_near (shape->angle, angles[i], 1e-4f);
    for (guint k = 0; k < 8; k++)
      assert_near (shape->corners[k], expected->corners[k], 1e-5f);
    assert_near (only_object (found)->h, ship.h, 1e-3f);
    g_array_unref (found);
    gst_buffer_unref (buffer);
    g_bytes_unref (ship.shape);
  }
}

static GstVideoRegionOfInterestMeta *
add_region (GstBuffer *buffer, gint x, gint y, gint w, gint h)
{
  return gst_buffer_add_video_region_of_interest_meta (
      buffer, "person", (guint) x, (guint) y, (guint) w, (guint) h);
}

/* A tensor as GVA::Tensor makes it. @confidence: [first], or NULL. */
static GstStructure *
foreign_tensor (const gchar *name, const gchar *format, guint first, guint second,
    const gfloat *values, const gfloat *confidence)
{
  GstStructure *s = gst_structure_new (name, "converter", G_TYPE_STRING, "yolo_v8",
      "format", G_TYPE_STRING, format, "precision", G_TYPE_INT, 10, NULL);
  const guint dims[2] = { first, second };
  GValue array = G_VALUE_INIT;
  GVariant *data = g_variant_new_fixed_array (
      G_VARIANT_TYPE_BYTE, values, first * second * sizeof (gfloat), 1);
  gsize n;

  gst_value_array_init (&array, 2);
  for (guint i = 0; i < 2; i++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, G_TYPE_UINT);
    g_value_set_uint (&value, dims[i]);
    gst_value_array_append_and_take_value (&array, &value);
  }
  gst_structure_take_value (s, "dims", &array);
  gst_structure_set (s, "data_buffer", G_TYPE_VARIANT, data, "data", G_TYPE_POINTER,
      g_variant_get_fixed_array (data, &n, 1), NULL);
  if (confidence == NULL)
    return s;
  array = (GValue) G_VALUE_INIT;
  gst_value_array_init (&array, first);
  for (guint i = 0; i < first; i++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, G_TYPE_FLOAT);
    g_value_set_float (&value, confidence[i]);
    gst_value_array_append_and_take_value (&array, &value);
  }
  gst_structure_take_value (s, "confidence", &array);
  return s;
}

/* Points of gvadetect: of its networks, which name the points in "format", and of older ones,
 * which have three numbers a point or no confidence. */
static void
test_foreign_points (void)
{
  static const gfloat values[] = { .1f, .5f, 9, -1, -1, 9, .5f, -1, 9 };
  static const gfloat confidence[] = { .9f, .8f, 2 };

  for (guint i = 0; i < 2; i++) {
    GstBuffer *buffer = gst_buffer_new ();
    GstVideoRegionOfInterestMeta *region = add_region (buffer, 20, 10, 40, 20);
    GArray *found;
    const YoloShape *shape;
    const gfloat *points;

    gst_video_region_of_interest_meta_add_param (region,
        i == 0 ? foreign_tensor ("keypoints", "body-pose/coco-17", 3, 3, values, confidence)
               : foreign_tensor ("hrnet", "keypoints", 3, 3, values, NULL));
    found = read_objects (buffer, &info);
    shape = only_shape (found);
    g_assert_cmpuint (shape->n_points, ==, 3);
    points = yolo_shape_points (shape);
    assert_near (points[0], (20 + 4) / 200.f, 1e-6f);
    assert_near (points[1], (10 + 10) / 100.f, 1e-6f);
    assert_near (points[2], i == 0 ? .9f : 1, 1e-6f);
    g_assert_cmpfloat (points[5], ==, 0);       /* a point that is not there */
    assert_near (points[6], (20 + 20) / 200.f, 1e-6f);
    assert_near (points[7], (10 - 20) / 100.f, 1e-6f);
    g_assert_cmpfloat (points[8], ==, 1);       /* at most */
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}

/* Masks of gvadetect: two columns, or two rows, over the region; the first one is the object. */
static void
test_foreign_mask (void)
{
  static const gfloat values[][6] = { { .9f, .1f, .9f, .1f, .9f, .1f },
    { .9f, .9f, .9f, .1f, .1f, .1f } };

  for (guint i = 0; i < 2; i++) {
    GstBuffer *buffer = gst_buffer_new ();
    GstVideoRegionOfInterestMeta *region = add_region (buffer, 20, 10, 40, 20);
    GArray *found;
    GByteArray *pixels;

    gst_video_region_of_interest_meta_add_param (region,
        foreign_tensor ("mask_yolov8", "segmentation_mask", i == 0 ? 2 : 3, i == 0 ? 3 : 2,
            values[i], NULL));
    found = read_objects (buffer, &info);
    pixels = pixels_of (only_shape (found));
    for (guint y = 0; y < 20; y++)
      for (guint x = 0; x < 40; x++)
        g_assert_cmpuint (pixels->data[40 * y + x], ==, i == 0 ? x < 20 : y < 10);
    g_byte_array_unref (pixels);
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}

/* A region of gvadetect that is turned is the box before that. */
static void
test_foreign_rotation (void)
{
  static const gdouble rotations[] = { G_PI_2, -G_PI_2, 1e-300, NAN, INFINITY, 0 };

  for (guint i = 0; i < G_N_ELEMENTS (rotations); i++) {
    GstBuffer *buffer = gst_buffer_new ();
    GstVideoRegionOfInterestMeta *region = add_region (buffer, 80, 40, 40, 20);
    GArray *found;
    const YoloMetaObject *object;

    gst_video_region_of_interest_meta_add_param (region, gst_structure_new ("detection",
            "x_min", G_TYPE_DOUBLE, .4, "x_max", G_TYPE_DOUBLE, .6, "y_min", G_TYPE_DOUBLE, .4,
            "y_max", G_TYPE_DOUBLE, .6, "rotation", G_TYPE_DOUBLE, rotations[i], NULL));
    found = read_objects (buffer, &info);
    object = only_object (found);
    if (i < 2) {
      g_assert_cmpuint (only_shape (found)->flags, ==, YOLO_SHAPE_TURNED);
      assert_near (object->x, 90, 1e-3f);
      assert_near (object->y, 30, 1e-3f);
      assert_near (object->w, 20, 1e-3f);
      assert_near (object->h, 40, 1e-3f);
    } else if (!isfinite (rotations[i]) || rotations[i] == 0) {
      g_assert_null (object->shape);
    }
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}

/* Of the two names of a turned box, upright() gives the one that is turned least. */
static void
test_upright (void)
{
  static const struct {
    gfloat box[4], angle, upright[4], turned;
  } cases[] = {
    { { 80, 40, 40, 20 }, .3f, { 80, 40, 40, 20 }, .3f },
    { { 80, 40, 40, 20 }, 1.2f, { 90, 30, 20, 40 }, 1.2f - (gfloat) G_PI_2 },
    { { 80, 40, 40, 20 }, -.3f, { 80, 40, 40, 20 }, -.3f },
    { { 80, 40, 40, 20 }, (gfloat) G_PI + .1f, { 80, 40, 40, 20 }, .1f },
    { { -30, 40, 40, 20 }, .5f, { -30, 40, 40, 20 }, .5f },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    YoloShape shape = { 0 };
    gfloat box[4], angle;

    yolo_shape_turn (&shape, cases[i].box, cases[i].angle, WIDTH, HEIGHT);
    g_assert_cmpfloat (shape.angle, >=, 0);
    g_assert_cmpfloat (shape.angle, <, (gfloat) G_PI_2);
    angle = yolo_shape_upright (&shape, WIDTH, HEIGHT, box);
    assert_near (angle, cases[i].turned, 1e-4f);
    for (guint k = 0; k < 4; k++)
      assert_near (box[k], cases[i].upright[k], 1e-3f);
  }
}

/* Fields of any type and size do no harm. */
static void
test_hostile (void)
{
  static const gfloat values[] = { NAN, INFINITY, 1e38f, .9f };
  static const struct {
    const gchar *field;
    GType type;
    gint number;
  } changes[] = {
    { "precision", G_TYPE_INT, 40 }, { "dims", G_TYPE_INT, 2 }, { "data_buffer", G_TYPE_INT, 2 },
    { NULL, G_TYPE_INT, 0 },
  };
  static const gchar *formats[] = { "keypoints", "segmentation_mask", "contour_points" };

  for (guint i = 0; i < G_N_ELEMENTS (formats) * G_N_ELEMENTS (changes); i++) {
    GstBuffer *buffer = gst_buffer_new ();
    GstVideoRegionOfInterestMeta *region = add_region (buffer, 20, 10, 40, 20);
    const gchar *format = formats[i % G_N_ELEMENTS (formats)];
    GstStructure *s = foreign_tensor ("corners", format, 2, 2, values, values);
    const gchar *field = changes[i / G_N_ELEMENTS (formats)].field;
    GArray *found;

    if (field != NULL)
      gst_structure_set (s, field, changes[i / G_N_ELEMENTS (formats)].type,
          changes[i / G_N_ELEMENTS (formats)].number, NULL);
    gst_video_region_of_interest_meta_add_param (region, s);
    found = read_objects (buffer, &info);
    if (field != NULL || g_str_equal (format, "contour_points"))
      g_assert_null (only_object (found)->shape);
    else
      g_assert_nonnull (only_shape (found));    /* whose numbers are finite */
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}

/* Sizes that the data does not have, or no object has. */
static void
test_hostile_sizes (void)
{
  static const struct {
    guint n, dims[3];
  } sizes[] = { { 2, { 3, 2 } }, { 2, { 1, 2 } }, { 2, { 0, 0 } }, { 2, { 4, 1 } },
    { 2, { G_MAXUINT, 2 } }, { 2, { 4, 0x40000001 } }, { 0, { 0 } }, { 1, { 4 } },
    { 3, { 2, 2, 1 } } };
  static const gfloat values[4] = { 0 };
  gfloat *many = g_new0 (gfloat, 2 * 10001);
  GArray *found;
  GstBuffer *buffer;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    GstStructure *s = foreign_tensor ("keypoints", "keypoints", 2, 2, values, NULL);
    GValue dims = G_VALUE_INIT;

    gst_value_array_init (&dims, sizes[i].n);
    for (guint k = 0; k < sizes[i].n; k++) {
      GValue value = G_VALUE_INIT;

      g_value_init (&value, G_TYPE_UINT);
      g_value_set_uint (&value, sizes[i].dims[k]);
      gst_value_array_append_and_take_value (&dims, &value);
    }
    gst_structure_take_value (s, "dims", &dims);
    buffer = gst_buffer_new ();
    gst_video_region_of_interest_meta_add_param (add_region (buffer, 20, 10, 40, 20), s);
    found = read_objects (buffer, &info);
    g_assert_null (only_object (found)->shape);
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
  buffer = gst_buffer_new ();
  gst_video_region_of_interest_meta_add_param (add_region (buffer, 20, 10, 40, 20),
      foreign_tensor ("keypoints", "keypoints", 10001, 2, many, NULL));
  found = read_objects (buffer, &info);
  g_assert_null (only_object (found)->shape);
  g_array_unref (found);
  gst_buffer_unref (buffer);
  g_free (many);
}

/* Behind an element that scales, whatever becomes of the params, the shape is the same. */
static void
test_scaled (void)
{
  g_autoptr (GBytes) figure = figure_new ();
  GstHarness *h =
      gst_harness_new_parse ("videoscale ! capsfilter caps=video/x-raw,width=100,height=200");
  GstVideoInfo half;
  YoloMetaObject object = person;
  GstBuffer *buffer;
  GArray *found;

  gst_harness_set_src_caps (h, gst_video_info_to_caps (&info));
  buffer = gst_harness_create_buffer (h, GST_VIDEO_INFO_SIZE (&info));
  object.shape = figure;
  yolo_meta_add (buffer, &info, &object, 1, 0);
  buffer = gst_harness_push_and_pull (h, buffer);
  gst_video_info_set_format (&half, GST_VIDEO_FORMAT_RGB, 100, 200);
  found = read_objects (buffer, &half);
  g_assert_true (g_bytes_equal (only_object (found)->shape, figure));
  assert_near (only_object (found)->x, 10, .1f);
  g_array_unref (found);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, WIDTH, HEIGHT);
  info.fps_n = 25;
  g_test_add_func ("/tensor/points", test_points);
  g_test_add_func ("/tensor/mask", test_mask);
  g_test_add_func ("/tensor/sample", test_sample);
  g_test_add_func ("/tensor/cells", test_cells);
  g_test_add_func ("/tensor/corners", test_corners);
  g_test_add_func ("/tensor/plain", test_plain);
  g_test_add_func ("/tensor/round-trip", test_round_trip);
  g_test_add_func ("/tensor/turned-round-trip", test_turned_round_trip);
  g_test_add_func ("/tensor/foreign-points", test_foreign_points);
  g_test_add_func ("/tensor/foreign-mask", test_foreign_mask);
  g_test_add_func ("/tensor/foreign-rotation", test_foreign_rotation);
  g_test_add_func ("/tensor/upright", test_upright);
  g_test_add_func ("/tensor/hostile", test_hostile);
  g_test_add_func ("/tensor/hostile-sizes", test_hostile_sizes);
  g_test_add_func ("/tensor/scaled", test_scaled);
  return g_test_run ();
}
