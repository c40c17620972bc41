/* SPDX-License-Identifier: MIT */
/* Source of the layout: DL Streamer (open-edge-platform/dlstreamer), include/dlstreamer/gst:
 * videoanalytics/tensor.h for the fields of a tensor and metadata/gva_tensor_meta.h for its
 * numbers; post_processor/converters/to_roi/yolo_v8.cpp for what its networks write; and
 * gvawatermark/gstgvawatermarkimpl.cpp for what is read, where all places are 0 to 1 of the
 * region's whole pixels:
 *
 * | format            | dims            | data                                            |
 * |-------------------|-----------------|-------------------------------------------------|
 * | keypoints         | points, 2       | x, y; "confidence" is an array of float, a number |
 * |                   |                 | a point; -1, -1: the point is not there         |
 * | contour_points    | points, 2       | x, y of a polygon                               |
 * | segmentation_mask | columns, rows   | above .5: a pixel is the object's               |
 *
 * "dims" is an array of uint, "data_buffer" a GVariant of the bytes, "precision" 10 for gfloat.
 * Newer versions say that points are points in the field "type", and in "format" which points
 * they are. A tensor of type "keypoints" is not drawn by them, though, since they draw those that
 * their own GstAnalytics metadata hold; so "type" is not written. Nor are:
 *
 * - "data", the address of the bytes, which DL Streamer writes but never reads;
 * - "point_names" and "point_connections", the lines between points: lines are pairs of names for
 *   some versions of gvawatermark and pairs of numbers in what newer networks write;
 * - "rotation" in "detection": it says that the region is the box before it is turned, while our
 *   region is the part of the frame that shows the object, for encoders and others who know
 *   nothing of angles. The corners are a contour instead.
 *
 * What it costs: an object with points, a mask or corners gets a structure of some 500 bytes and
 * the data, for each of them. A mask has 4 bytes a cell. Its values are made once for all
 * layouts, and the GVariant shares them. */

#include "gst-plugin/yolotensor.h"

#include "gst-plugin/yolofields.h"

#include <math.h>
#include <string.h>

#define PRECISION_FP32 10

/* A value of a place that is not there. */
#define NOWHERE -1.f

static void
set_dims (GstStructure *tensor, guint first, guint second)
{
  const guint dims[] = { first, second };
  GValue array = G_VALUE_INIT;

  gst_value_array_init (&array, G_N_ELEMENTS (dims));
  for (guint i = 0; i < G_N_ELEMENTS (dims); i++) {
    GValue dim = G_VALUE_INIT;

    g_value_init (&dim, G_TYPE_UINT);
    g_value_set_uint (&dim, dims[i]);
    gst_value_array_append_and_take_value (&array, &dim);
  }
  gst_structure_take_value (tensor, "dims", &array);
}

/* @values: [second][first] or [first][second] gfloat, as the format has it. */
static GstStructure *
tensor_new (const gchar *name, const gchar *format, guint first, guint second, GBytes *values)
{
  GstStructure *tensor = gst_structure_new (name, "format", G_TYPE_STRING, format,
      "precision", G_TYPE_INT, PRECISION_FP32, NULL);

  set_dims (tensor, first, second);
  gst_structure_set (tensor, "data_buffer", G_TYPE_VARIANT,
      g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, values, TRUE), NULL);
  return tensor;
}

/* Places of the frame, [n][stride] gfloat that begin with x and y, as places of the region. */
static GBytes *
places_in_region (const GstVideoRegionOfInterestMeta *region, const gfloat *places, guint n,
    guint stride, gint width, gint height)
{
  gfloat *inside = g_new (gfloat, 2 * (gsize) n);

  for (guint k = 0; k < n; k++) {
    const gfloat *place = places + (gsize) k * stride;

    inside[2 * k] = (place[0] * width - (gint) region->x) / (gint) region->w;
    inside[2 * k + 1] = (place[1] * height - (gint) region->y) / (gint) region->h;
  }
  return g_bytes_new_take (inside, 2 * (gsize) n * sizeof *inside);
}

static void
add_points (GstVideoRegionOfInterestMeta *region, const YoloShape *shape, gint width, gint height)
{
  const gfloat *points = yolo_shape_points (shape);
  g_autoptr (GBytes) places =
      places_in_region (region, points, shape->n_points, 3, width, height);
  GstStructure *tensor = tensor_new ("keypoints", "keypoints", shape->n_points, 2, places);
  GValue confidence = G_VALUE_INIT;

  gst_value_array_init (&confidence, shape->n_points);
  for (guint k = 0; k < shape->n_points; k++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, G_TYPE_FLOAT);
    g_value_set_float (&value, points[3 * k + 2]);
    gst_value_array_append_and_take_value (&confidence, &value);
  }
  gst_structure_take_value (tensor, "confidence", &confidence);
  gst_video_region_of_interest_meta_add_param (region, tensor);
}

void
yolo_tensor_add (GstVideoRegionOfInterestMeta *region, const YoloShape *shape,
    const YoloShapeGrid *mask, gint width, gint height)
{
  if (shape->n_points > 0)
    add_points (region, shape, width, height);
  if (shape->flags & YOLO_SHAPE_TURNED) {
    g_autoptr (GBytes) corners =
        places_in_region (region, shape->corners, 4, 2, width, height);

    gst_video_region_of_interest_meta_add_param (
        region, tensor_new ("corners", "contour_points", 4, 2, corners));
  }
  if (mask->values != NULL)
    gst_video_region_of_interest_meta_add_param (region,
        tensor_new ("mask", "segmentation_mask", mask->width, mask->height, mask->values));
}

/* A tensor that anybody may have written. */
typedef struct {
  guint dims[2];
  GVariant *data;               /* NULL: there is no such tensor */
  const gchar *format;          /* or NULL */
  const GValue *confidence;     /* an array, or NULL */
} Tensor;

static gboolean
is_array (const GValue *value)
{
  return value != NULL && GST_VALUE_HOLDS_ARRAY (value);
}

/* The tensor in a param; FALSE: it is none of [dims[0]][dims[1]] gfloat. */
static gboolean
open_tensor (const GstStructure *param, Tensor *tensor)
{
  static YoloFields fields =
      YOLO_FIELDS ("dims", "data_buffer", "precision", "confidence", "format");
  const GValue *values[YOLO_FIELDS_MAX], *dims, *data;
  gint precision = PRECISION_FP32;

  yolo_fields_get (&fields, param, values);
  dims = values[0];
  data = values[1];
  yolo_field_int (values[2], &precision);
  if (precision != PRECISION_FP32 || !is_array (dims) || gst_value_array_get_size (dims) != 2
      || data == NULL || !G_VALUE_HOLDS_VARIANT (data))
    return FALSE;
  *tensor = (Tensor) {
    .data = g_value_get_variant (data),
    .confidence = values[3],
    .format = yolo_field_string (values[4]),
  };
  for (guint i = 0; i < 2; i++) {
    const GValue *dim = gst_value_array_get_value (dims, i);

    if (!G_VALUE_HOLDS_UINT (dim))
      return FALSE;
    tensor->dims[i] = g_value_get_uint (dim);
  }
  /* 64 bits hold the product of two numbers of 32 */
  return tensor->data != NULL
      && g_variant_is_of_type (tensor->data, G_VARIANT_TYPE_BYTESTRING)
      && (guint64) tensor->dims[0] * tensor->dims[1]
          == g_variant_get_size (tensor->data) / sizeof (gfloat)
      && g_variant_get_size (tensor->data) % sizeof (gfloat) == 0;
}

/* Number @i of the tensor, which may lie at any address. */
static gfloat
number_of (const Tensor *tensor, gsize i)
{
  gfloat number;

  memcpy (&number, (const guint8 *) g_variant_get_data (tensor->data) + i * sizeof number,
      sizeof number);
  return number;
}

static gfloat
confidence_of (const Tensor *tensor, guint k)
{
  const GValue *value = NULL;
  gfloat confidence;

  if (is_array (tensor->confidence) && k < gst_value_array_get_size (tensor->confidence))
    value = gst_value_array_get_value (tensor->confidence, k);
  if (value == NULL || !G_VALUE_HOLDS_FLOAT (value))
    return 1;
  confidence = g_value_get_float (value);
  return confidence > 0 ? MIN (confidence, 1) : 0;      /* NaN is not above 0 */
}

/* Place number @k of the tensor as a place of the frame; FALSE: it is not there. */
static gboolean
get_place (const GstVideoRegionOfInterestMeta *region, const Tensor *tensor, guint k, gint width,
    gint height, gfloat place[2])
{
  const gsize first = (gsize) k * tensor->dims[1];
  const gfloat x = number_of (tensor, first), y = number_of (tensor, first + 1);

  place[0] = ((gint) region->x + x * (gint) region->w) / width;
  place[1] = ((gint) region->y + y * (gint) region->h) / height;
  if (isfinite (place[0]) && isfinite (place[1]) && !(x == NOWHERE && y == NOWHERE))
    return TRUE;
  place[0] = place[1] = 0;
  return FALSE;
}

static void
read_corners (const GstVideoRegionOfInterestMeta *region, const Tensor *tensor, gint width,
    gint height, YoloShape *shape)
{
  gfloat box[4];

  for (guint k = 0; k < 4; k++)
    if (!get_place (region, tensor, k, width, height, shape->corners + 2 * k))
      return;
  shape->flags |= YOLO_SHAPE_TURNED;
  shape->angle = yolo_shape_upright (shape, width, height, box);
  if (shape->angle < 0)         /* by the other side of the box, as yolo_object_turn() has it */
    shape->angle += (gfloat) G_PI_2;
}

static void
read_rotation (const GstVideoRegionOfInterestMeta *region, const GstStructure *detection,
    gint width, gint height, YoloShape *shape)
{
  static YoloFields fields = YOLO_FIELDS ("rotation");
  const GValue *values[YOLO_FIELDS_MAX];
  gdouble rotation;

  yolo_fields_get (&fields, detection, values);
  if (yolo_field_double (values[0], &rotation) && isfinite ((gfloat) rotation) && rotation != 0)
    yolo_shape_turn (shape,
        (gfloat[4]){ (gint) region->x, (gint) region->y, (gint) region->w, (gint) region->h },
        (gfloat) rotation, width, height);
}

static void
fill_points (const GstVideoRegionOfInterestMeta *region, const Tensor *tensor, gint width,
    gint height, guint n, gfloat *points)
{
  for (guint k = 0; k < n; k++)
    points[3 * k + 2] = get_place (region, tensor, k, width, height, points + 3 * k)
        ? confidence_of (tensor, k)
        : 0;
}

GBytes *
yolo_tensor_read (const GstVideoRegionOfInterestMeta *region, gint width, gint height)
{
  Tensor points = { .data = NULL }, mask = { .data = NULL }, tensor;
  YoloShape head = { 0 }, *shape;
  gfloat *places;
  gint16 *cells;

  for (const GList *l = region->params; l; l = l->next) {
    const GstStructure *param = l->data;

    if (gst_structure_has_name (param, "detection"))
      read_rotation (region, param, width, height, &head);
    else if (!open_tensor (param, &tensor))
      continue;
    else if (g_strcmp0 (tensor.format, "segmentation_mask") == 0)
      mask = tensor;
    else if (gst_structure_has_name (param, "corners") && tensor.dims[0] == 4
        && tensor.dims[1] == 2)
      read_corners (region, &tensor, width, height, &head);
    else if ((g_strcmp0 (tensor.format, "keypoints") == 0
            || gst_structure_has_name (param, "keypoints"))
        && tensor.dims[1] >= 2)
      points = tensor;
  }
  if (head.flags == 0 && points.data == NULL && mask.data == NULL)
    return NULL;
  head.n_points = points.dims[0];
  head.mask_width = mask.dims[0];
  head.mask_height = mask.dims[1];
  head.mask[0] = (gfloat) (gint) region->x / width;
  head.mask[1] = (gfloat) (gint) region->y / height;
  head.mask[2] = ((gfloat) (gint) region->x + (gint) region->w) / width;
  head.mask[3] = ((gfloat) (gint) region->y + (gint) region->h) / height;
  shape = yolo_shape_allocate (&head, &places, &cells);
  if (shape == NULL)
    return NULL;
  fill_points (region, &points, width, height, head.n_points, places);
  for (gsize i = 0; i < (gsize) head.mask_width * head.mask_height; i++)
    cells[i] = yolo_shape_cell (number_of (&mask, i));
  return yolo_shape_take (shape);
}
