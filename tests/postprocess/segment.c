/* SPDX-License-Identifier: MIT */
/* Masks against what Ultralytics' process_mask does, in double: sums of all prototypes,
 * interpolated bilinearly to the input's pixels, above 0, cut to the box. */

#include "postprocess/mask.h"
#include "tests/postprocess/heads.h"

#include <math.h>

/* What is nearer to 0 than that part of the largest number may be on either side of it. */
#define NEAR 1e-4

typedef struct {
  TestHead random;
  const YoloMap *map;           /* the prototypes */
  int stride, channels, n;
  YoloObject objects[12];
  float *coefficients;          /* [n][channels] */
  YoloObjectMask masks[12];
  size_t n_cells;
  Guarded memory;
  int16_t *cells;
} Scene;

/* A box that may lie over the border or outside of the picture, or have no area. */
static YoloObject
random_box (Random *r, int width, int height)
{
  float x = (float) (random_unit (r) * 1.6 - .3) * (float) width,
        y = (float) (random_unit (r) * 1.6 - .3) * (float) height;
  YoloObject o = { .x1 = x, .y1 = y,
    .x2 = x + (float) (random_unit (r) - .1) * (float) width,
    .y2 = y + (float) (random_unit (r) - .1) * (float) height };

  if (random_int (r, 0, 3) == 0) {      /* on pixels' edges */
    o.x1 = floorf (o.x1);
    o.y2 = floorf (o.y2);
  }
  return o;
}

static void
scene_init (Scene *s, Random *r)
{
  *s = (Scene) { .stride = random_int (r, 1, 6), .channels = random_int (r, 1, 70),
    .n = random_int (r, 1, 12) };
  int width = random_int (r, 1, r->state % 5 == 0 ? 300 : 30), height = random_int (r, 1, 30);

  s->map = test_head_add (&s->random, r,
      (YoloOutput) { YOLO_MAP_PROTOTYPE, 0, (unsigned) s->stride, 0 }, width, height, s->channels);
  s->coefficients = g_new (float, s->n * s->channels);
  for (int i = 0; i < s->n * s->channels; i++)
    s->coefficients[i] = (float) random_normal (r);
  for (int i = 0; i < s->n; i++)
    s->objects[i] = random_box (r, width * s->stride, height * s->stride);
  s->n_cells = yolo_masks_place (&s->random.head, s->objects, (size_t) s->n, s->masks);
  s->memory = guarded_new (s->n_cells * sizeof (int16_t));
  s->cells = (int16_t *) (void *) s->memory.data;
}

static void
scene_fill (Scene *s)
{
  for (int i = 0; i < s->n; i++) {
    g_assert_cmpuint (s->masks[i].first + (size_t) s->masks[i].width * (size_t) s->masks[i].height,
        ==, i + 1 < s->n ? s->masks[i + 1].first : s->n_cells);
    yolo_mask_fill (s->map, s->coefficients + i * s->channels, &s->masks[i],
        s->cells + s->masks[i].first);
  }
}

static void
scene_clear (Scene *s)
{
  test_head_clear (&s->random);
  guarded_free (&s->memory);
  g_free (s->coefficients);
}

/* The number of object i at the prototypes' pixel (x, y). */
static double
sum_at (const Scene *s, int i, int x, int y)
{
  const float *pixel = test_head_pixel (s->map, (size_t) y * (size_t) s->map->width + (size_t) x);
  double sum = 0;

  for (int c = 0; c < s->channels; c++)
    sum += (double) pixel[c] * (double) s->coefficients[i * s->channels + c];
  return sum;
}

/* The largest number of an object anywhere. */
static double
largest_of (const Scene *s, int i)
{
  double largest = 0;

  for (int y = 0; y < s->map->height; y++)
    for (int x = 0; x < s->map->width; x++)
      largest = fmax (largest, fabs (sum_at (s, i, x, y)));
  return largest;
}

/* The same at a place (u, v) in pixels of the input. */
static double
value_at (const Scene *s, int i, double u, double v)
{
  double x = fmax (u / s->stride - .5, 0), y = fmax (v / s->stride - .5, 0);
  int x0 = MIN ((int) x, s->map->width - 1), y0 = MIN ((int) y, s->map->height - 1);
  int x1 = MIN (x0 + 1, s->map->width - 1), y1 = MIN (y0 + 1, s->map->height - 1);
  double right = x - x0, down = y - y0;

  return (sum_at (s, i, x0, y0) * (1 - right) + sum_at (s, i, x1, y0) * right) * (1 - down)
      + (sum_at (s, i, x0, y1) * (1 - right) + sum_at (s, i, x1, y1) * right) * down;
}

static void
test_cells (void)
{
  Random r = random_new (1);

  for (int round = 0; round < 300; round++) {
    Scene s;

    scene_init (&s, &r);
    scene_fill (&s);
    for (int i = 0; i < s.n; i++) {
      const YoloObjectMask *mask = &s.masks[i];
      const int16_t *cells = s.cells + mask->first;
      int left = (int) mask->x1 / s.stride, top = (int) mask->y1 / s.stride, peak = 0;
      double largest = 0;

      g_assert_cmpfloat (mask->x2 - mask->x1, ==, (float) (mask->width * s.stride));
      g_assert_cmpfloat (mask->y2 - mask->y1, ==, (float) (mask->height * s.stride));
      if (s.objects[i].x2 <= s.objects[i].x1 || s.objects[i].y2 <= s.objects[i].y1)
        g_assert_cmpint (mask->width + mask->height, ==, 0);
      for (int k = 0; k < mask->width * mask->height; k++) {
        largest = fmax (
            largest, fabs (sum_at (&s, i, left + k % mask->width, top + k / mask->width)));
        peak = MAX (peak, ABS (cells[k]));
      }
      for (int k = 0; k < mask->width * mask->height; k++) {
        double want =
            sum_at (&s, i, left + k % mask->width, top + k / mask->width) * 32767 / largest;

        g_assert_cmpfloat_with_epsilon (cells[k], want, 1.2);
        g_assert_cmpint (cells[k], !=, 0);
        g_assert_true ((cells[k] > 0) == (want > 0) || fabs (want) < .1);
      }
      g_assert_cmpint (peak, ==, mask->width > 0 ? 32767 : 0);
    }
    scene_clear (&s);
  }
}

/* Numbers that are none, none at all, and some that are too large. */
static void
test_not_finite (void)
{
  static float numbers[] = { 3, NAN, 0, -1e-30f, 1e-30f, -6, 0 };
  static float vast[] = { 1, INFINITY, -INFINITY, -1, 0, 0, NAN };
  const float one = 1;
  YoloMap map = { .output = { YOLO_MAP_PROTOTYPE, 0, 4, 0 }, .data = numbers, .pitch = 1,
    .width = 7, .height = 1, .channels = 1 };
  YoloObjectMask mask = { .x2 = 28, .y2 = 4, .width = 7, .height = 1 };
  int16_t cells[7];

  yolo_mask_fill (&map, &one, &mask, cells);
  g_assert_cmpint (cells[0], ==, 16384);        /* 16383.5, to the even one */
  g_assert_cmpint (cells[1], ==, 0);
  g_assert_cmpint (cells[2], ==, 0);
  g_assert_cmpint (cells[3], ==, -1);
  g_assert_cmpint (cells[4], ==, 1);
  g_assert_cmpint (cells[5], ==, -32767);
  g_assert_cmpint (cells[6], ==, 0);
  map.data = vast;
  yolo_mask_fill (&map, &one, &mask, cells);
  g_assert_cmpint (cells[0], >, 0);
  g_assert_cmpint (cells[1], ==, 32767);
  g_assert_cmpint (cells[2], ==, -32767);
  g_assert_cmpint (cells[3], <, 0);
  g_assert_cmpint (cells[6], ==, 0);
  memset (numbers, 0, sizeof numbers);
  map.data = numbers;
  yolo_mask_fill (&map, &one, &mask, cells);
  for (int i = 0; i < 7; i++)
    g_assert_cmpint (cells[i], ==, 0);
}

/* Every pixel of the input, read in runs that begin and end anywhere. */
static void
test_pixels (void)
{
  Random r = random_new (2);
  size_t set = 0;

  for (int round = 0; round < 150; round++) {
    Scene s;

    scene_init (&s, &r);
    scene_fill (&s);
    int width = s.map->width * s.stride, height = s.map->height * s.stride;
    for (int i = 0; i < s.n; i++) {
      const YoloObject *o = &s.objects[i];
      double largest = largest_of (&s, i);

      for (int y = 0; y < height; y++) {
        int x = random_int (&r, 0, width - 1), n = random_int (&r, 1, width - x);
        Guarded row = guarded_new ((size_t) n);

        yolo_mask_row (&s.masks[i], s.cells + s.masks[i].first, o, x, y, n, row.data);
        for (int k = 0; k < n; k++) {
          double value = value_at (&s, i, x + k + .5, y + .5);
          bool inside = x + k >= o->x1 && x + k < o->x2 && y >= o->y1 && y < o->y2;

          if (!inside || fabs (value) > NEAR * largest)
            g_assert_cmpint (row.data[k], ==, inside && value > 0);
          set += row.data[k];
        }
        guarded_free (&row);
      }
    }
    scene_clear (&s);
  }
  g_assert_cmpuint (set, >, 10000);
}

/* Pixels beyond the first and the last cell, as frames with few of them have, are as those.
 * A number of 0 is not above 0. */
static void
test_border (void)
{
  static const int16_t numbers[] = { 5, -1, -1, -1, 7, 0, 0, 0, 0, 0 };
  const YoloObjectMask mask = { .x1 = .8f, .y1 = .8f, .x2 = 1.3f, .y2 = 1, .width = 5,
    .height = 2 };
  const YoloObject box = { .x1 = .1f, .y1 = .1f, .x2 = 1.2f, .y2 = 2 };
  Guarded cells = guarded_new (sizeof numbers);
  uint8_t row[4];

  memcpy (cells.data, numbers, sizeof numbers);
  for (int y = 0; y < 3; y++) {
    yolo_mask_row (&mask, (const int16_t *) (const void *) cells.data, &box, -1, y, 4, row);
    for (int x = 0; x < 4; x++) /* row 0 begins before the box, row 1 is in the lower cells */
      g_assert_cmpint (row[x], ==, 0);
  }
  memcpy (cells.data + 10, numbers, 10);
  yolo_mask_row (&mask, (const int16_t *) (const void *) cells.data, &box, -1, 1, 4, row);
  g_assert_cmpint (row[1], ==, 0);      /* begins before the box */
  g_assert_cmpint (row[2], ==, 1);      /* its middle, 1.5, is behind the last cell */
  g_assert_cmpint (row[3], ==, 0);
  yolo_mask_row (&(YoloObjectMask) { 0 }, NULL, &box, -1, 1, 4, row);
  g_assert_cmpint (row[1] + row[2], ==, 0);
  YoloObjectMask reversed = mask;
  reversed.x1 = mask.x2;
  reversed.x2 = mask.x1;
  yolo_mask_row (&reversed, (const int16_t *) (const void *) cells.data, &box, -1, 1, 4, row);
  g_assert_cmpint (row[1] + row[2], ==, 0);
  guarded_free (&cells);
}

/* Rows of more cells than are blended at a time, at all scales, against the formula. */
static void
test_rows (void)
{
  Random r = random_new (6);

  for (int round = 0; round < 300; round++) {
    int width = random_int (&r, 1, 1000), height = random_int (&r, 1, 3),
        n = random_int (&r, 1, round % 2 ? 30 : 3000);
    Guarded cells = guarded_new ((size_t) (width * height) * sizeof (int16_t)),
            row = guarded_new ((size_t) n);
    const int16_t *numbers = (int16_t *) (void *) cells.data;
    float x1 = (float) (random_normal (&r) * 3);
    YoloObjectMask mask = { .x1 = x1, .x2 = x1 + (float) n, .y2 = (float) height, .width = width,
      .height = height };
    YoloObject box = { .x1 = -10, .y1 = -10, .x2 = 4000, .y2 = 10 };
    int y = random_int (&r, 0, height - 1);       /* in the middle of a row of cells */

    random_bytes (&r, cells.data, cells.size);
    yolo_mask_row (&mask, numbers, &box, 0, y, n, row.data);
    for (int x = 0; x < n; x++) {
      double at = (x + .5 - (double) x1) * width / n - .5;
      at = CLAMP (at, 0, width - 1);
      int cell = (int) at;
      const int16_t *pair = numbers + y * width + cell;
      double value = pair[0] * (1 - (at - cell)) + (cell + 1 < width ? pair[1] * (at - cell) : 0);

      if (fabs (value) > 100)
        g_assert_cmpint (row.data[x], ==, value > 0);
    }
    guarded_free (&cells);
    guarded_free (&row);
  }
}

/* In a frame that lies turned or mirrored, scaled and moved: a pixel there is set if the place
 * in the input that its middle comes from is. */
static void
test_frame (void)
{
  Random r = random_new (3);
  size_t compared = 0;

  for (int round = 0; round < 160; round++) {
    Scene s;

    scene_init (&s, &r);
    scene_fill (&s);
    YoloFrame frame = { .width = 90, .height = 70, .turn = (unsigned) round % 8,
      .crop = { random_int (&r, 0, 20), random_int (&r, 0, 20), random_int (&r, 20, 70),
          random_int (&r, 20, 50) } };
    g_autofree int16_t *scratch = g_new (int16_t, s.n_cells + 1);
    YoloDetails details = { .masks = s.masks, .cells = s.cells, .n_cells = s.n_cells };
    YoloObject boxes[12];
    YoloLetterbox box;

    yolo_letterbox_frame (&box, &frame, s.map->width * s.stride, s.map->height * s.stride);
    memcpy (boxes, s.objects, sizeof boxes);
    yolo_objects_to_frame (boxes, (size_t) s.n, &box);
    yolo_details_to_frame (&details, (size_t) s.n, &box, scratch);
    for (int i = 0; i < s.n; i++) {
      const YoloObject *net = &s.objects[i], *o = &boxes[i];
      double largest = largest_of (&s, i);
      uint8_t row[90];

      for (int y = 0; y < frame.height; y++) {
        yolo_mask_row (&s.masks[i], s.cells + s.masks[i].first, o, 0, y, frame.width, row);
        for (int x = 0; x < frame.width; x++) {
          bool inside = (float) x >= o->x1 && (float) x < o->x2 && (float) y >= o->y1
              && (float) y < o->y2;
          bool transposed = frame.turn & YOLO_TURN_TRANSPOSE;
          double u = x + .5 - box.x, v = y + .5 - box.y;

          u = frame.turn & YOLO_TURN_MIRROR_X ? frame.crop.width - u : u;
          v = frame.turn & YOLO_TURN_MIRROR_Y ? frame.crop.height - v : v;
          double right = transposed ? v : u, down = transposed ? u : v;
          right = right * box.width / box.src_width + box.left;
          down = down * box.height / box.src_height + box.top;
          double value = value_at (&s, i, right, down);
          if (!inside)
            g_assert_cmpint (row[x], ==, 0);
          else if (right > net->x1 && right < net->x2 && down > net->y1 && down < net->y2
              && fabs (value) > 10 * NEAR * largest) {
            g_assert_cmpint (row[x], ==, value > 0);
            compared++;
          }
        }
      }
    }
    scene_clear (&s);
  }
  g_assert_cmpuint (compared, >, 10000);
}

/* Objects whose masks have no pixel of the input go, with their masks; the others stay in
 * order. */
static void
test_empty (void)
{
  Random r = random_new (4);
  size_t all = 0, left = 0;

  for (int round = 0; round < 200; round++) {
    Scene s;
    g_autofree uint8_t *row = NULL;
    size_t kept = 0;

    scene_init (&s, &r);
    for (int i = 0; i < s.n * s.channels && round % 2; i++)
      if (i / s.channels % 2)   /* every other object has no number above 0 */
        s.coefficients[i] = 0;
    scene_fill (&s);
    int width = s.map->width * s.stride, height = s.map->height * s.stride;
    YoloObject objects[12];
    YoloObjectMask masks[12];
    memcpy (objects, s.objects, sizeof objects);
    memcpy (masks, s.masks, sizeof masks);
    size_t n = yolo_masks_drop_empty (&s.random.head, objects, masks, s.cells, (size_t) s.n);
    row = g_malloc ((size_t) width);
    for (int i = 0; i < s.n; i++) {
      bool any = false;

      for (int y = 0; y < height; y++) {
        yolo_mask_row (
            &s.masks[i], s.cells + s.masks[i].first, &s.objects[i], 0, y, width, row);
        any = any || memchr (row, 1, (size_t) width) != NULL;
      }
      if (!any)
        continue;
      g_assert_cmpuint (kept, <, n);
      g_assert_cmpmem (&objects[kept], sizeof *objects, &s.objects[i], sizeof *objects);
      g_assert_cmpuint (masks[kept++].first, ==, s.masks[i].first);
    }
    g_assert_cmpuint (kept, ==, n);
    all += (size_t) s.n;
    left += n;
    scene_clear (&s);
  }
  g_assert_cmpuint (left, >, all / 5);
  g_assert_cmpuint (left, <, all * 3 / 4);
}

static void
test_heads (void)
{
  Random r = random_new (5);
  TestHead t = { 0 };

  test_head_add_levels (&t, &r, 2, 16, 3, YOLO_MAP_COEFFICIENT, 32);
  g_assert_cmpuint (yolo_task_segment.anchors (&t.head), ==, 0);
  test_head_add (&t, &r, (YoloOutput) { YOLO_MAP_PROTOTYPE, 0, 4, 0 }, 20, 10, 32);
  g_assert_cmpuint (
      yolo_task_segment.anchors (&t.head), ==, yolo_task_detect.anchors (&t.head));
  test_head_refused (&yolo_task_segment, &t.head);
  g_assert_true (yolo_task_find ("segment") == &yolo_task_segment);
  test_head_clear (&t);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/segment/cells", test_cells);
  g_test_add_func ("/segment/not-finite", test_not_finite);
  g_test_add_func ("/segment/pixels", test_pixels);
  g_test_add_func ("/segment/border", test_border);
  g_test_add_func ("/segment/rows", test_rows);
  g_test_add_func ("/segment/frame", test_frame);
  g_test_add_func ("/segment/empty", test_empty);
  g_test_add_func ("/segment/heads", test_heads);
  return g_test_run ();
}
