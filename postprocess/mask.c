/* SPDX-License-Identifier: MIT */
#include "postprocess/mask.h"

#include <math.h>
#include <string.h>

/* The cells whose corners lie from @low up to @high, of @n: crop_mask() of the
 * source compares so. */
static void
cut (float low, float high, int n, int *first, int *count)
{
  float begin = ceilf (low), end = ceilf (high);

  begin = begin > 0 ? begin : 0;
  end = end < (float) n ? end : (float) n;
  *first = begin < (float) n ? (int) begin : 0;
  *count = end > begin ? (int) (end - begin) : 0;
}

size_t
yolo_masks_place (const YoloHead *head, const YoloObject *objects, size_t n, YoloObjectMask *masks)
{
  const YoloMap *map = yolo_head_map (head, YOLO_MAP_PROTOTYPE, 0);
  float stride = (float) map->output.stride;
  size_t total = 0;

  for (size_t i = 0; i < n; i++) {
    const YoloObject *o = &objects[i];
    YoloObjectMask *mask = &masks[i];
    int x, y;

    cut (o->x1 / stride, o->x2 / stride, map->width, &x, &mask->width);
    cut (o->y1 / stride, o->y2 / stride, map->height, &y, &mask->height);
    if (mask->width == 0 || mask->height == 0)
      mask->width = mask->height = 0;
    mask->x1 = (float) x * stride;
    mask->y1 = (float) y * stride;
    mask->x2 = (float) (x + mask->width) * stride;
    mask->y2 = (float) (y + mask->height) * stride;
    mask->first = total;
    total += (size_t) mask->width * (size_t) mask->height;
  }
  return total;
}

/* The sum that a cell stands for. */
static inline float
sum_at (const YoloMap *map, const float *coefficients, int x, int y)
{
  const float *pixel = map->data + ((size_t) y * (size_t) map->width + (size_t) x) * map->pitch;
  float sum = 0;

  for (int c = 0; c < map->channels; c++)
    sum += coefficients[c] * pixel[c];
  return sum;
}

/* A sum as 8 bits; NaN becomes 0. */
static inline int8_t
to_cell (float sum, float scale)
{
  float scaled = rintf (sum * scale);

  if (sum > 0)
    return (int8_t) (scaled < 1 ? 1 : scaled > 127 ? 127 : scaled);
  return (int8_t) (sum < 0 ? (scaled > -1 ? -1 : scaled < -127 ? -127 : scaled) : 0);
}

/* The sums are worked out twice, so that none is stored: first for the largest. */
void
yolo_mask_fill (const YoloMap *prototypes, const float *coefficients, const YoloObjectMask *mask,
    int8_t *cells)
{
  int left = (int) mask->x1 / (int) prototypes->output.stride,
      top = (int) mask->y1 / (int) prototypes->output.stride;
  float largest = 0;

  for (int y = 0; y < mask->height; y++)
    for (int x = 0; x < mask->width; x++)
      largest = fmaxf (largest, fabsf (sum_at (prototypes, coefficients, left + x, top + y)));
  float scale = largest > 0 ? 127 / largest : 0;
  for (int y = 0; y < mask->height; y++)
    for (int x = 0; x < mask->width; x++)
      *cells++ = to_cell (sum_at (prototypes, coefficients, left + x, top + y), scale);
}

/* Turns the cells of a mask as turn_back() of image/letterbox.c turns its rectangle. */
static void
turn_cells (YoloObjectMask *mask, int8_t *cells, unsigned turn, int8_t *scratch)
{
  int width = mask->width, height = mask->height;
  bool transposed = turn & YOLO_TURN_TRANSPOSE;
  int out_width = transposed ? height : width, out_height = transposed ? width : height;

  memcpy (scratch, cells, (size_t) width * (size_t) height);
  for (int y = 0; y < out_height; y++) {
    for (int x = 0; x < out_width; x++) {
      int u = turn & YOLO_TURN_MIRROR_X ? out_width - 1 - x : x;
      int v = turn & YOLO_TURN_MIRROR_Y ? out_height - 1 - y : y;
      *cells++ = transposed ? scratch[u * width + v] : scratch[v * width + u];
    }
  }
  mask->width = out_width;
  mask->height = out_height;
}

void
yolo_details_to_frame (
    YoloDetails *details, size_t n, const YoloLetterbox *box, int8_t *scratch)
{
  size_t n_points = details->points != NULL ? n * details->keypoints : 0;

  for (size_t i = 0; i < n_points; i++) {
    float *point = details->points + 3 * i;
    float corner[4] = { point[0], point[1], point[0], point[1] };

    yolo_letterbox_unclipped (box, corner);
    point[0] = corner[0];
    point[1] = corner[1];
  }
  for (size_t i = 0; details->masks != NULL && i < n; i++) {
    YoloObjectMask *mask = &details->masks[i];
    float corner[4] = { mask->x1, mask->y1, mask->x2, mask->y2 };

    yolo_letterbox_unclipped (box, corner);
    mask->x1 = corner[0];
    mask->y1 = corner[1];
    mask->x2 = corner[2];
    mask->y2 = corner[3];
    if (box->turn != 0 && mask->width > 0)
      turn_cells (mask, details->cells + mask->first, box->turn, scratch);
  }
}

/* The cell that lies there, or 0 all around the grid. */
static inline float
cell_at (const YoloObjectMask *mask, const int8_t *cells, int x, int y)
{
  if (x < 0 || y < 0 || x >= mask->width || y >= mask->height)
    return 0;
  return cells[y * mask->width + x];
}

void
yolo_mask_row (
    const YoloObjectMask *mask, const int8_t *cells, int x, int y, int width, uint8_t *out)
{
  float per_x = (float) mask->width / (mask->x2 - mask->x1),
        per_y = (float) mask->height / (mask->y2 - mask->y1);
  float v = ((float) y + 0.5f - mask->y1) * per_y - 0.5f, floor_v = floorf (v);
  int row = (int) floor_v;

  memset (out, 0, (size_t) width);
  if (mask->width == 0 || !(v > -1) || !(v < (float) mask->height))
    return;
  for (int i = 0; i < width; i++) {
    float u = ((float) (x + i) + 0.5f - mask->x1) * per_x - 0.5f, floor_u = floorf (u);
    int column = (int) floor_u;

    if (!(u > -1) || !(u < (float) mask->width))
      continue;
    float upper = cell_at (mask, cells, column, row) * (1 - (u - floor_u))
        + cell_at (mask, cells, column + 1, row) * (u - floor_u);
    float lower = cell_at (mask, cells, column, row + 1) * (1 - (u - floor_u))
        + cell_at (mask, cells, column + 1, row + 1) * (u - floor_u);
    out[i] = upper * (1 - (v - floor_v)) + lower * (v - floor_v) > 0;
  }
}
