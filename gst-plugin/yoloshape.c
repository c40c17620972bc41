/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloshape.h"

#include "postprocess/object.h"

#include <math.h>
#include <string.h>

/* Far above what any network has. */
#define MAX_POINTS 10000
#define MAX_CELLS 8192

static gsize
points_size (const YoloShape *shape)
{
  return shape->n_points * 3 * sizeof (gfloat);
}

static gsize
size_of (const YoloShape *shape)
{
  return sizeof *shape + points_size (shape)
      + (gsize) shape->mask_width * shape->mask_height * sizeof (gint16);
}

const gfloat *
yolo_shape_points (const YoloShape *shape)
{
  return (const gfloat *) (shape + 1);
}

const gint16 *
yolo_shape_cells (const YoloShape *shape)
{
  return (const gint16 *) ((const guint8 *) (shape + 1) + points_size (shape));
}

/* The corners of a turned box, clockwise from the one that is upper left before it is turned. */
static void
set_corners (YoloShape *shape, const YoloObject *object, gint x, gint y, gint width, gint height)
{
  static const gfloat side[4][2] = { { -1, -1 }, { 1, -1 }, { 1, 1 }, { -1, 1 } };
  gfloat cx = (object->x1 + object->x2) / 2 - x, cy = (object->y1 + object->y2) / 2 - y;
  gfloat w = (object->x2 - object->x1) / 2, h = (object->y2 - object->y1) / 2;
  gfloat cosine = cosf (object->angle), sine = sinf (object->angle);

  for (guint k = 0; k < 4; k++) {
    gfloat right = side[k][0] * w, down = side[k][1] * h;

    shape->corners[2 * k] = (cx + right * cosine - down * sine) / width;
    shape->corners[2 * k + 1] = (cy + right * sine + down * cosine) / height;
  }
}

static gboolean
is_plausible (const YoloShape *shape)
{
  return shape->n_points <= MAX_POINTS && shape->mask_width <= MAX_CELLS
      && shape->mask_height <= MAX_CELLS;
}

YoloShape *
yolo_shape_allocate (const YoloShape *head, gfloat **points, gint16 **cells)
{
  guint8 *memory;

  if (!is_plausible (head))
    return NULL;
  /* the metadata own what they say: one allocation an object */
  memory = g_malloc (size_of (head));
  memcpy (memory, head, sizeof *head);
  *points = (gfloat *) (void *) (memory + sizeof *head);
  *cells = (gint16 *) (void *) (memory + sizeof *head + points_size (head));
  return (YoloShape *) (void *) memory;
}

GBytes *
yolo_shape_take (YoloShape *shape)
{
  return g_bytes_new_take (shape, size_of (shape));
}

void
yolo_shape_turn (YoloShape *shape, const gfloat box[4], gfloat angle, gint width, gint height)
{
  YoloObject object = { 0 };

  yolo_object_turn (
      &object, box[0] + box[2] / 2, box[1] + box[3] / 2, box[2], box[3], angle);
  shape->flags |= YOLO_SHAPE_TURNED;
  shape->angle = object.angle;
  set_corners (shape, &object, 0, 0, width, height);
}

gfloat
yolo_shape_upright (const YoloShape *shape, gint width, gint height, gfloat box[4])
{
  const gfloat *corner = shape->corners;
  const gfloat right = (corner[2] - corner[0]) * width, down = (corner[3] - corner[1]) * height;
  const gfloat along = hypotf (right, down);
  const gfloat across =
      hypotf ((corner[6] - corner[0]) * width, (corner[7] - corner[1]) * height);
  gfloat angle = atan2f (down, right);

  box[2] = along;
  box[3] = across;
  if (angle > (gfloat) G_PI_4) {
    angle -= (gfloat) G_PI_2;
    box[2] = across;
    box[3] = along;
  }
  box[0] = (corner[0] + corner[2] + corner[4] + corner[6]) / 4 * width - box[2] / 2;
  box[1] = (corner[1] + corner[3] + corner[5] + corner[7]) / 4 * height - box[3] / 2;
  return angle;
}

void
yolo_shape_bounds (const YoloShape *shape, gint width, gint height, gfloat box[4])
{
  gfloat x1 = shape->corners[0], y1 = shape->corners[1], x2 = x1, y2 = y1;

  for (guint k = 1; k < 4; k++) {
    x1 = MIN (x1, shape->corners[2 * k]);
    x2 = MAX (x2, shape->corners[2 * k]);
    y1 = MIN (y1, shape->corners[2 * k + 1]);
    y2 = MAX (y2, shape->corners[2 * k + 1]);
  }
  box[0] = x1 * width;
  box[1] = y1 * height;
  box[2] = (x2 - x1) * width;
  box[3] = (y2 - y1) * height;
}

GBytes *
yolo_shape_new (const YoloResult *result, guint i, gint x, gint y, gint width, gint height)
{
  const YoloDetails *details = result->details;
  const YoloObjectMask *mask = details->masks != NULL ? &details->masks[i] : NULL;
  YoloShape head = {
    .flags = (details->whole ? YOLO_SHAPE_WHOLE : 0) | (details->turned ? YOLO_SHAPE_TURNED : 0),
    .n_points = details->points != NULL ? details->keypoints : 0,
    .mask_width = mask != NULL ? (guint32) mask->width : 0,
    .mask_height = mask != NULL ? (guint32) mask->height : 0,
    .angle = result->detections[i].angle,
  };
  YoloShape *shape;
  gfloat *points;
  gint16 *cells;

  if (head.flags == 0 && head.n_points == 0 && head.mask_width == 0)
    return NULL;
  if (details->turned)
    set_corners (&head, &result->detections[i], x, y, width, height);
  if (mask != NULL) {
    head.mask[0] = (mask->x1 - x) / width;
    head.mask[1] = (mask->y1 - y) / height;
    head.mask[2] = (mask->x2 - x) / width;
    head.mask[3] = (mask->y2 - y) / height;
  }
  shape = yolo_shape_allocate (&head, &points, &cells);
  if (shape == NULL)
    return NULL;
  for (guint k = 0; k < head.n_points; k++) {
    const float *point = details->points + 3 * (i * (gsize) details->keypoints + k);

    points[3 * k] = (point[0] - x) / width;
    points[3 * k + 1] = (point[1] - y) / height;
    points[3 * k + 2] = point[2];
  }
  if (mask != NULL)
    memcpy (cells, details->cells + mask->first,
        (gsize) head.mask_width * head.mask_height * sizeof (gint16));
  return yolo_shape_take (shape);
}

const YoloShape *
yolo_shape_get (GBytes *bytes)
{
  gsize size = 0;
  const YoloShape *shape = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;

  if (shape == NULL || size < sizeof *shape || (guintptr) shape % sizeof (gfloat) != 0
      || !is_plausible (shape) || size_of (shape) != size)
    return NULL;
  for (guint k = 0; k < G_N_ELEMENTS (shape->mask); k++)
    if (!isfinite (shape->mask[k]))
      return NULL;
  for (guint k = 0; k < G_N_ELEMENTS (shape->corners); k++)
    if (!isfinite (shape->corners[k]))
      return NULL;
  for (guint k = 0; k < 3 * shape->n_points; k++)
    if (!isfinite (yolo_shape_points (shape)[k]))
      return NULL;
  return shape;
}

GBytes *
yolo_shape_move (
    GBytes *bytes, const gfloat scale[2], const gfloat offset[2], gint width, gint height)
{
  const YoloShape *shape = yolo_shape_get (bytes);
  YoloShape *moved;
  gfloat *points, box[4];
  gint16 *cells;

  if (shape == NULL)
    return NULL;
  moved = yolo_shape_allocate (shape, &points, &cells);
  memcpy (points, yolo_shape_points (shape), points_size (shape));
  memcpy (cells, yolo_shape_cells (shape),
      (gsize) shape->mask_width * shape->mask_height * sizeof (gint16));
  for (guint k = 0; k < shape->n_points; k++)
    for (guint axis = 0; axis < 2; axis++)
      points[3 * k + axis] = points[3 * k + axis] * scale[axis] + offset[axis];
  for (guint k = 0; k < G_N_ELEMENTS (moved->mask); k++)
    moved->mask[k] = moved->mask[k] * scale[k % 2] + offset[k % 2];
  for (guint k = 0; k < G_N_ELEMENTS (moved->corners); k++)
    moved->corners[k] = moved->corners[k] * scale[k % 2] + offset[k % 2];
  if (moved->flags & YOLO_SHAPE_TURNED) {
    moved->angle = yolo_shape_upright (moved, width, height, box);
    if (moved->angle < 0)       /* by the other side of the box, as yolo_object_turn() has it */
      moved->angle += (gfloat) G_PI_2;
  }
  return yolo_shape_take (moved);
}

/* The pixels that a frame of @size shows of a range, the first and the last in part. */
static void
visible (gfloat low, gfloat high, gint size, gint *first, gint *n)
{
  const gint end = (gint) ceilf (CLAMP (high, 0, (gfloat) size));

  *first = (gint) floorf (CLAMP (low, 0, (gfloat) size));
  *n = MAX (end - *first, 0);
}

YoloBitmap
yolo_shape_bitmap (const YoloShape *shape, const gfloat box[4], gint frame_width,
    gint frame_height, GByteArray *memory)
{
  const YoloObjectMask mask = {
    .x1 = shape->mask[0] * frame_width, .y1 = shape->mask[1] * frame_height,
    .x2 = shape->mask[2] * frame_width, .y2 = shape->mask[3] * frame_height,
    .width = (int) shape->mask_width, .height = (int) shape->mask_height,
  };
  const YoloObject object = { .x1 = box[0], .y1 = box[1], .x2 = box[2], .y2 = box[3] };
  YoloBitmap bitmap = { 0 };

  if (mask.width == 0 || mask.height == 0)
    return bitmap;
  visible (box[0], box[2], frame_width, &bitmap.x, &bitmap.width);
  visible (box[1], box[3], frame_height, &bitmap.y, &bitmap.height);
  if (memory->len < (gsize) bitmap.width * (gsize) bitmap.height)
    g_byte_array_set_size (memory, (guint) bitmap.width * (guint) bitmap.height);
  bitmap.pixels = memory->data;
  for (gint y = 0; y < bitmap.height; y++)
    yolo_mask_row (&mask, yolo_shape_cells (shape), &object, bitmap.x, bitmap.y + y, bitmap.width,
        bitmap.pixels + (gsize) y * (gsize) bitmap.width);
  return bitmap;
}

/* A place on an axis of cells, between number @first and the next one, @part of the way. Beyond
 * the middles of the outer cells lie more of the same. */
typedef struct {
  guint first, next;
  gfloat part;
} Place;

static Place
place_of (gfloat at, guint n)
{
  const gfloat inside = CLAMP (at - .5f, 0, (gfloat) (n - 1));
  const guint first = (guint) inside;

  return (Place) { first, MIN (first + 1, n - 1), inside - (gfloat) first };
}

/* A row of cells between two, @part of the way. */
static void
blend_rows (const gint16 *restrict upper, const gint16 *restrict lower, gfloat part, guint n,
    gfloat *restrict out)
{
  for (guint i = 0; i < n; i++)
    out[i] = upper[i] * (1 - part) + lower[i] * part;
}

YoloShapeGrid
yolo_shape_sample (const YoloShape *shape, const gint box[4], gint frame_width, gint frame_height)
{
  const gfloat left = shape->mask[0] * frame_width, top = shape->mask[1] * frame_height;
  /* cells a pixel; the difference first, which is 0 of equal sides however it is rounded */
  const gfloat scale_x = shape->mask_width / ((shape->mask[2] - shape->mask[0]) * frame_width),
               scale_y = shape->mask_height / ((shape->mask[3] - shape->mask[1]) * frame_height);
  YoloShapeGrid grid = { 0 };
  g_autofree Place *columns = NULL;
  g_autofree gfloat *cells = NULL;
  gfloat *values, *value;

  /* NaN fails the comparisons */
  if (!(scale_x > 0 && scale_y > 0 && isfinite (scale_x) && isfinite (scale_y)))
    return grid;
  grid.width = (guint) CLAMP (roundf (box[2] * scale_x), 1, (gfloat) shape->mask_width);
  grid.height = (guint) CLAMP (roundf (box[3] * scale_y), 1, (gfloat) shape->mask_height);
  value = values = g_new (gfloat, (gsize) grid.width * grid.height);
  /* what is the same in all rows is computed once: two small allocations a mask */
  columns = g_new (Place, grid.width);
  cells = g_new (gfloat, shape->mask_width);
  for (guint x = 0; x < grid.width; x++) {
    const gfloat pixel = box[0] + (x + .5f) * box[2] / grid.width;

    columns[x] = place_of ((pixel - left) * scale_x, shape->mask_width);
  }
  for (guint y = 0; y < grid.height; y++) {
    const gfloat pixel = box[1] + (y + .5f) * box[3] / grid.height;
    const Place row = place_of ((pixel - top) * scale_y, shape->mask_height);

    blend_rows (yolo_shape_cells (shape) + (gsize) row.first * shape->mask_width,
        yolo_shape_cells (shape) + (gsize) row.next * shape->mask_width, row.part,
        shape->mask_width, cells);
    for (guint x = 0; x < grid.width; x++) {
      const gfloat cell = cells[columns[x].first] * (1 - columns[x].part)
          + cells[columns[x].next] * columns[x].part;

      *value++ = .5f + cell / 65536;
    }
  }
  grid.values = g_bytes_new_take (values, (gsize) grid.width * grid.height * sizeof *values);
  return grid;
}

gint16
yolo_shape_cell (gfloat value)
{
  const gfloat cell = roundf ((value - .5f) * 65536);

  if (!(value > .5f))
    return value < .5f ? (gint16) MAX (cell, -32767) : value == .5f ? 0 : -32767;
  return (gint16) CLAMP (cell, 1, 32767);
}
