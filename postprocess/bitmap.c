/* SPDX-License-Identifier: MIT */
#include "postprocess/bitmap.h"

#include <stdbool.h>

/* Run lengths on their way to text. */
typedef struct {
  char *text;
  size_t capacity, length;
  size_t n;                     /* runs written */
  int64_t before[2];            /* the last two runs, number i at i % 2 */
  int64_t run;                  /* pixels of the run in hand */
  uint8_t value;                /* whether they are set */
} Rle;

/* Writes the run in hand: from the fourth run on less the last but one, in groups of 5 bits, the
 * lowest first, with a sixth bit that says whether another group follows. The last group's
 * highest bit is the sign. */
static void
write_run (Rle *rle)
{
  int64_t rest = rle->n > 2 ? rle->run - rle->before[rle->n % 2] : rle->run;
  bool more;

  rle->before[rle->n++ % 2] = rle->run;
  do {
    int bits = (int) (rest & 31);

    rest = (rest - bits) / 32;
    more = bits & 16 ? rest != -1 : rest != 0;
    if (rle->length < rle->capacity)
      rle->text[rle->length] = (char) (48 + bits + (more ? 32 : 0));
    rle->length++;
  } while (more);
}

static void
add_pixels (Rle *rle, uint8_t value, int64_t n)
{
  if (n > 0 && value != rle->value) {
    write_run (rle);
    rle->run = 0;
    rle->value = value;
  }
  rle->run += n;
}

size_t
yolo_bitmap_rle (const YoloBitmap *bitmap, int frame_width, int frame_height, char *text,
    size_t capacity)
{
  Rle rle = { .text = text, .capacity = capacity };
  const size_t pitch = (size_t) bitmap->width;

  add_pixels (&rle, 0, (int64_t) bitmap->x * frame_height);
  for (int x = 0; x < bitmap->width; x++) {
    const uint8_t *column = bitmap->pixels + x;
    int begin = 0;              /* of the pixels that are alike */

    add_pixels (&rle, 0, bitmap->y);
    for (int y = 1; y <= bitmap->height; y++) {
      if (y < bitmap->height && column[(size_t) y * pitch] == column[(size_t) begin * pitch])
        continue;
      add_pixels (&rle, column[(size_t) begin * pitch], y - begin);
      begin = y;
    }
    add_pixels (&rle, 0, frame_height - bitmap->y - bitmap->height);
  }
  add_pixels (&rle, 0, (int64_t) (frame_width - bitmap->x - bitmap->width) * frame_height);
  write_run (&rle);
  return rle.length;
}

#define SET 1
#define CROSSED 2               /* an outline goes along the pixel's left edge */

/* A polygon on its way to the caller. Points on a straight line are left out but for its ends, so
 * the last point is written when it is known where the next one lies. */
typedef struct {
  int32_t *points;
  size_t capacity, n;
  int32_t last[2], step[2];     /* the last point, and the way to it from the one before */
} Polygon;

static void
write_point (Polygon *polygon, const int32_t point[2])
{
  if (polygon->n < polygon->capacity) {
    polygon->points[2 * polygon->n] = point[0];
    polygon->points[2 * polygon->n + 1] = point[1];
  }
  polygon->n++;
}

/* Goes on to the middle of the next edge, which is never more than a pixel away. */
static void
move_to (Polygon *polygon, int32_t x, int32_t y)
{
  int32_t step[2] = { x - polygon->last[0], y - polygon->last[1] };

  if (step[0] != polygon->step[0] || step[1] != polygon->step[1])
    write_point (polygon, polygon->last);
  polygon->step[0] = step[0];
  polygon->step[1] = step[1];
  polygon->last[0] = x;
  polygon->last[1] = y;
}

static bool
is_set (const YoloBitmap *bitmap, int x, int y)
{
  return x >= 0 && y >= 0 && x < bitmap->width && y < bitmap->height
      && bitmap->pixels[(size_t) y * (size_t) bitmap->width + (size_t) x] & SET;
}

/* Whether the pixel is set that touches the corner at column x and row y of the edges and lies in
 * these two directions, each -1 or 1, from there. */
static bool
is_set_at (const YoloBitmap *bitmap, int x, int y, int right, int down)
{
  return is_set (bitmap, right > 0 ? x : x - 1, down > 0 ? y : y - 1);
}

/* Follows the edges around a part, whose pixels lie to the right of the way, from the left edge of
 * its first pixel in reading order upwards, and marks those that rows cross. The polygon begins
 * behind that edge, where it always has a corner: no pixel of the part lies above the first. Gives
 * the first point. */
static void
follow (YoloBitmap *bitmap, int first_x, int first_y, Polygon *polygon, int32_t first[2])
{
  const int32_t left = 2 * bitmap->x, top = 2 * bitmap->y;
  int x = first_x, y = first_y + 1, right = 0, down = -1;
  bool begun = false;

  do {
    if (right == 0 && x < bitmap->width)
      bitmap->pixels[(size_t) (down > 0 ? y : y - 1) * (size_t) bitmap->width + (size_t) x] |=
          CROSSED;
    x += right;
    y += down;
    /* the pixels that lie ahead, to the left and to the right of the way */
    if (is_set_at (bitmap, x, y, right + down, down - right)) {
      int turned = down;

      down = -right;
      right = turned;
    } else if (!is_set_at (bitmap, x, y, right - down, down + right)) {
      int turned = -down;

      down = right;
      right = turned;
    }
    if (begun) {
      move_to (polygon, left + 2 * x + right, top + 2 * y + down);
    } else {
      first[0] = polygon->last[0] = left + 2 * x + right;
      first[1] = polygon->last[1] = top + 2 * y + down;
      polygon->step[0] = polygon->step[1] = 0;
      begun = true;
    }
  } while (x != first_x || y != first_y + 1 || right != 0 || down != -1);
  move_to (polygon, first[0], first[1]);
}

size_t
yolo_bitmap_outline (YoloBitmap *bitmap, int32_t *points, size_t capacity)
{
  Polygon polygon = { .points = points, .capacity = capacity };
  int32_t begin[2] = { 0 }, first[2];

  for (int y = 0; y < bitmap->height; y++) {
    const uint8_t *row = bitmap->pixels + (size_t) y * (size_t) bitmap->width;
    bool inside = false;        /* whether the row has crossed an outline an odd number of times */

    for (int x = 0; x < bitmap->width; x++) {
      inside = inside != ((row[x] & CROSSED) != 0);
      if (inside || !(row[x] & SET))
        continue;
      if (polygon.n == 0) {
        follow (bitmap, x, y, &polygon, begin);
      } else {
        write_point (&polygon, begin);
        follow (bitmap, x, y, &polygon, first);
        write_point (&polygon, first);
      }
      inside = true;
    }
  }
  for (size_t i = 0; i < (size_t) bitmap->width * (size_t) bitmap->height; i++)
    bitmap->pixels[i] &= SET;
  return polygon.n;
}
