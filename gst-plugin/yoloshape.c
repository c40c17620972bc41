/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloshape.h"

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
  guint8 *memory;
  gfloat *points;

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
  /* the metadata own what they say: one allocation an object */
  memory = g_malloc (size_of (&head));
  memcpy (memory, &head, sizeof head);
  points = (gfloat *) (void *) (memory + sizeof head);
  for (guint k = 0; k < head.n_points; k++) {
    const float *point = details->points + 3 * (i * (gsize) details->keypoints + k);

    points[3 * k] = (point[0] - x) / width;
    points[3 * k + 1] = (point[1] - y) / height;
    points[3 * k + 2] = point[2];
  }
  if (mask != NULL)
    memcpy (points + 3 * (gsize) head.n_points, details->cells + mask->first,
        (gsize) head.mask_width * head.mask_height * sizeof (gint16));
  return g_bytes_new_take (memory, size_of (&head));
}

const YoloShape *
yolo_shape_get (GBytes *bytes)
{
  gsize size = 0;
  const YoloShape *shape = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;

  if (shape == NULL || size < sizeof *shape || (guintptr) shape % sizeof (gfloat) != 0
      || shape->n_points > MAX_POINTS || shape->mask_width > MAX_CELLS
      || shape->mask_height > MAX_CELLS || size_of (shape) != size)
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
