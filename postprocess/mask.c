/* SPDX-License-Identifier: MIT */
#include "base/simd.h"
#include "postprocess/mask.h"

#include <math.h>
#include <string.h>

/* The cells that the pixels from @low up to @high are interpolated from, of @n cells of
 * @stride pixels. */
static void
cover (float low, float high, float stride, int n, int *first, int *count)
{
  float begin = floorf (low / stride - 0.5f), end = floorf (high / stride - 0.5f) + 2;

  begin = begin > 0 ? begin : 0;
  end = end < (float) n ? end : (float) n;
  *first = begin < (float) n ? (int) begin : 0;
  *count = end > begin && high > low ? (int) (end - begin) : 0;
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

    cover (o->x1, o->x2, stride, map->width, &x, &mask->width);
    cover (o->y1, o->y2, stride, map->height, &y, &mask->height);
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

#define CHUNK 128               /* cells whose numbers lie on the stack at a time */

/* The sums that @n cells of row @y stand for, from column @x on. */
YOLO_SIMD static void
sum_cells (const YoloMap *map, const float *restrict coefficients, int x, int y, int n,
    float *restrict sums)
{
  const float *pixel = map->data + ((size_t) y * (size_t) map->width + (size_t) x) * map->pitch;

  for (int i = 0; i < n; i++, pixel += map->pitch) {
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int c = 0; c < map->channels; c++)
      sum += coefficients[c] * pixel[c];
    sums[i] = sum;
  }
}

YOLO_SIMD static float
largest_of (const float *sums, int n, float largest)
{
#pragma omp simd reduction(max : largest)
  for (int i = 0; i < n; i++)
    largest = fabsf (sums[i]) > largest ? fabsf (sums[i]) : largest;
  return largest;
}

/* Sums as 16 bits; NaN becomes 0. */
YOLO_SIMD static void
to_cells (const float *restrict sums, int n, float scale, int16_t *restrict cells)
{
  for (int i = 0; i < n; i++) {
    float size = rintf (fabsf (sums[i]) * scale);

    size = size < 1 ? 1 : size;
    size = size < 32767 ? size : 32767;
    cells[i] = (int16_t) (sums[i] > 0 ? size : sums[i] < 0 ? -size : 0);
  }
}

/* Twenty objects of 120x240 pixels take .5 ms. The sums are worked out twice, so that none
 * is stored: first for the largest. */
void
yolo_mask_fill (const YoloMap *prototypes, const float *coefficients, const YoloObjectMask *mask,
    int16_t *cells)
{
  int left = (int) mask->x1 / (int) prototypes->output.stride,
      top = (int) mask->y1 / (int) prototypes->output.stride;
  float sums[CHUNK], largest = 0;

  for (int pass = 0; pass < 2; pass++) {
    float scale = largest > 0 ? 32767 / largest : 0;

    for (int y = 0; y < mask->height; y++) {
      for (int x = 0; x < mask->width; x += CHUNK) {
        int n = mask->width - x < CHUNK ? mask->width - x : CHUNK;

        sum_cells (prototypes, coefficients, left + x, top + y, n, sums);
        if (pass == 0)
          largest = largest_of (sums, n, largest);
        else
          to_cells (sums, n, scale, cells + (size_t) y * (size_t) mask->width + x);
      }
    }
  }
}

/* Turns the cells of a mask as turn_back() of image/letterbox.c turns its rectangle. */
static void
turn_cells (YoloObjectMask *mask, int16_t *cells, unsigned turn, int16_t *scratch)
{
  int width = mask->width, height = mask->height;
  bool transposed = turn & YOLO_TURN_TRANSPOSE;
  int out_width = transposed ? height : width, out_height = transposed ? width : height;

  memcpy (scratch, cells, (size_t) width * (size_t) height * sizeof *cells);
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
    YoloDetails *details, size_t n, const YoloLetterbox *box, int16_t *scratch)
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

/* A pixel's place among the cells of an axis: between cells[0] and cells[1], @part of the
 * way. Beyond the first and the last cell lie more of the same. */
typedef struct {
  int cells[2];
  float part;
} Place;

static inline Place
place_of (int pixel, float begin, float end, int n)
{
  float at = ((float) pixel + 0.5f - begin) * ((float) n / (end - begin)) - 0.5f;
  float last = (float) (n - 1);

  at = at > 0 ? at < last ? at : last : 0;
  int cell = (int) at;
  return (Place) { { cell, cell + 1 < n ? cell + 1 : cell }, at - (float) cell };
}

/* Cells between two rows, @part of the way. */
YOLO_SIMD static void
blend_cells (const int16_t *restrict upper, const int16_t *restrict lower, float part, int n,
    float *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (float) upper[i] * (1 - part) + (float) lower[i] * part;
}

/* Which of @n pixels from @x on are above 0; @cells begin with number @first of their row. */
YOLO_SIMD static void
set_pixels (const YoloObjectMask *mask, const float *restrict cells, int first, int x, int n,
    uint8_t *restrict out)
{
  float begin = mask->x1, end = mask->x2;
  int width = mask->width;

  for (int i = 0; i < n; i++) {
    Place at = place_of (x + i, begin, end, width);

    out[i] = cells[at.cells[0] - first] * (1 - at.part) + cells[at.cells[1] - first] * at.part > 0;
  }
}

/* The same of a row of pixels that lies within the box, in runs whose cells fit on the stack:
 * with one cell more at either end, since set_pixels() may round a place otherwise. */
static void
set_row (const YoloObjectMask *mask, const int16_t *cells, int x, int y, int n, uint8_t *out)
{
  Place row = place_of (y, mask->y1, mask->y2, mask->height);
  const int16_t *upper = cells + (size_t) row.cells[0] * (size_t) mask->width,
                *lower = cells + (size_t) row.cells[1] * (size_t) mask->width;
  float blended[CHUNK];

  for (int run; n > 0; x += run, n -= run, out += run) {
    int first = place_of (x, mask->x1, mask->x2, mask->width).cells[0] - 1, end;

    first = first > 0 ? first : 0;
    run = 2 * n;
    do {
      run /= 2;
      end = place_of (x + run - 1, mask->x1, mask->x2, mask->width).cells[1] + 2;
      end = end < mask->width ? end : mask->width;
    } while (run > 1 && end - first > CHUNK);
    blend_cells (upper + first, lower + first, row.part, end - first, blended);
    set_pixels (mask, blended, first, x, run, out);
  }
}

/* The pixels from @begin up to @end that lie in @low up to @high. */
static void
clip_range (float low, float high, int *begin, int *end)
{
  low = ceilf (low);
  high = ceilf (high);
  *begin = low > (float) *begin ? low < (float) *end ? (int) low : *end : *begin;
  *end = high < (float) *end ? high > (float) *begin ? (int) high : *begin : *end;
}

void
yolo_mask_row (const YoloObjectMask *mask, const int16_t *cells, const YoloObject *box, int x,
    int y, int width, uint8_t *out)
{
  int begin = x, end = x + width, top = y, bottom = y + 1;

  memset (out, 0, (size_t) width);
  clip_range (box->x1, box->x2, &begin, &end);
  clip_range (box->y1, box->y2, &top, &bottom);
  if (mask->width == 0 || top == bottom || !(mask->x1 < mask->x2 && mask->y1 < mask->y2))
    return;
  set_row (mask, cells, begin, y, end - begin, out + (begin - x));
}

/* Whether any of the pixels 0 .. width - 1 of row y belongs to the object. */
static bool
has_pixel (const YoloObjectMask *mask, const int16_t *cells, const YoloObject *box, int y,
    int width)
{
  uint8_t row[CHUNK];

  for (int x = 0; x < width; x += CHUNK) {
    int n = width - x < CHUNK ? width - x : CHUNK;

    yolo_mask_row (mask, cells, box, x, y, n, row);
    if (memchr (row, 1, (size_t) n) != NULL)
      return true;
  }
  return false;
}

size_t
yolo_masks_drop_empty (const YoloHead *head, YoloObject *objects, YoloObjectMask *masks,
    const int16_t *cells, size_t n)
{
  const YoloMap *map = yolo_head_map (head, YOLO_MAP_PROTOTYPE, 0);
  int width = map->width * (int) map->output.stride,
      height = map->height * (int) map->output.stride;
  size_t kept = 0;

  for (size_t i = 0; i < n; i++) {
    int top = 0, bottom = height;
    bool any = false;

    clip_range (objects[i].y1, objects[i].y2, &top, &bottom);
    for (int y = top; y < bottom && !any; y++)
      any = has_pixel (&masks[i], cells + masks[i].first, &objects[i], y, width);
    if (!any)
      continue;
    objects[kept] = objects[i];
    masks[kept++] = masks[i];
  }
  return kept;
}
