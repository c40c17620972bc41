/* SPDX-License-Identifier: MIT */
/* Run lengths against pycocotools' and a decoder; outlines against the pixels that they hold. */

#include "postprocess/bitmap.h"
#include "tests/guarded.h"

/* A random part of a frame: noise, or a few rectangles over and beside each other. */
typedef struct {
  Guarded memory;
  YoloBitmap bitmap;
  int frame_width, frame_height;
} Part;

static Part
random_part (Random *r)
{
  Part p = { .frame_width = random_int (r, 1, 40), .frame_height = random_int (r, 1, 40) };
  YoloBitmap *b = &p.bitmap;

  b->x = random_int (r, 0, p.frame_width - 1);
  b->y = random_int (r, 0, p.frame_height - 1);
  b->width = random_int (r, 0, p.frame_width - b->x);
  b->height = random_int (r, 0, p.frame_height - b->y);
  p.memory = guarded_new ((size_t) (b->width * b->height));
  b->pixels = p.memory.data;
  memset (b->pixels, 0, p.memory.size);
  if (random_int (r, 0, 1)) {
    double share = random_unit (r);
    for (int i = 0; i < b->width * b->height; i++)
      b->pixels[i] = random_unit (r) < share;
  } else {
    for (int n = random_int (r, 0, 9); n > 0; n--) {
      int x1 = random_int (r, 0, b->width), x2 = random_int (r, x1, b->width),
          y1 = random_int (r, 0, b->height), y2 = random_int (r, y1, b->height),
          value = random_int (r, 0, 3) > 0;
      for (int y = y1; y < y2; y++)
        memset (b->pixels + y * b->width + x1, value, (size_t) (x2 - x1));
    }
  }
  return p;
}

/* Whether a pixel of the frame is set. */
static int
pixel_at (const YoloBitmap *b, int x, int y)
{
  x -= b->x;
  y -= b->y;
  return x >= 0 && y >= 0 && x < b->width && y < b->height && b->pixels[y * b->width + x];
}

static gchar *
rle_of (const YoloBitmap *b, int frame_width, int frame_height)
{
  size_t n = yolo_bitmap_rle (b, frame_width, frame_height, NULL, 0);
  gchar *text = g_malloc0 (n + 1);
  Guarded exact = guarded_new (n), less = guarded_new (n / 2);

  g_assert_cmpuint (
      yolo_bitmap_rle (b, frame_width, frame_height, (char *) exact.data, n), ==, n);
  g_assert_cmpuint (
      yolo_bitmap_rle (b, frame_width, frame_height, (char *) less.data, n / 2), ==, n);
  g_assert_cmpmem (less.data, n / 2, exact.data, n / 2);
  memcpy (text, exact.data, n);
  guarded_free (&exact);
  guarded_free (&less);
  return text;
}

/* The pixels of the frame, column after column; the caller frees them. */
static guint8 *
decode (const gchar *text, size_t n_pixels)
{
  guint8 *pixels = g_new (guint8, n_pixels);
  size_t n = 0, n_runs = 0;
  gint64 runs[2] = { 0 };

  while (*text) {
    guint64 bits = 0;
    guint shift = 0;
    gint digit;

    do {
      digit = *text++ - 48;
      g_assert_cmpint (digit, >=, 0);
      g_assert_cmpint (digit, <, 64);
      bits |= (guint64) (digit & 31) << shift;
      shift += 5;
    } while (digit & 32);
    if (digit & 16)
      bits |= ~(guint64) 0 << shift;
    gint64 run = (gint64) bits + (n_runs > 2 ? runs[n_runs % 2] : 0);
    g_assert_cmpint (run, >=, 0);
    g_assert_cmpuint (n + (size_t) run, <=, n_pixels);
    memset (pixels + n, n_runs % 2, (size_t) run);
    n += (size_t) run;
    runs[n_runs++ % 2] = run;
  }
  g_assert_cmpuint (n, ==, n_pixels);
  return pixels;
}

/* Texts of pycocotools.mask.encode(). */
static void
test_known (void)
{
  static guint8 all[60], one = 1, stripes[6] = { 1, 0, 1, 0, 1, 1 };
  memset (all, 1, sizeof all);
  const struct {
    YoloBitmap bitmap;
    int frame_width, frame_height;
    const gchar *text;
  } known[] = {
    { { NULL, 0, 0, 0, 0 }, 4, 3, "<" },
    { { &one, 0, 0, 1, 1 }, 1, 1, "01" },
    { { &one, 2, 1, 1, 1 }, 4, 3, "714" },
    { { all, 3, 4, 6, 4 }, 12, 9, "o045000000000g0" },
    { { all, 600, 300, 3, 20 }, 1920, 1080, "\\Sic0d0TQ1000\\g\\[1" },
    { { stripes, 1, 1, 3, 2 }, 5, 4, "5140N13" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    g_autofree gchar *text =
        rle_of (&known[i].bitmap, known[i].frame_width, known[i].frame_height);

    g_assert_cmpstr (text, ==, known[i].text);
  }
}

static void
test_rle (void)
{
  Random r = random_new (1);

  for (int round = 0; round < 2000; round++) {
    Part p = random_part (&r);
    g_autofree gchar *text = rle_of (&p.bitmap, p.frame_width, p.frame_height);
    g_autofree guint8 *pixels = decode (text, (size_t) (p.frame_width * p.frame_height));

    for (int x = 0; x < p.frame_width; x++)
      for (int y = 0; y < p.frame_height; y++)
        g_assert_cmpint (pixels[x * p.frame_height + y], ==, pixel_at (&p.bitmap, x, y));
    guarded_free (&p.memory);
  }
}

/* What a polygon has to hold: all pixels but those from which a way of pixels that are not set, and
 * that have an edge in common, leads out of the frame. [height + 2][width + 2], with a
 * border around the frame. */
static guint8 *
filled (const Part *p)
{
  int width = p->frame_width + 2, height = p->frame_height + 2;
  guint8 *held = g_malloc ((size_t) (width * height));
  gboolean changed = TRUE;

  memset (held, 1, (size_t) (width * height));
  held[0] = 0;
  while (changed) {
    changed = FALSE;
    for (int i = 0; i < width * height; i++) {
      int x = i % width, y = i / width;
      gboolean outside = (x > 0 && !held[i - 1]) || (x + 1 < width && !held[i + 1])
          || (y > 0 && !held[i - width]) || (y + 1 < height && !held[i + width]);

      if (held[i] && outside && !pixel_at (&p->bitmap, x - 1, y - 1)) {
        held[i] = 0;
        changed = TRUE;
      }
    }
  }
  return held;
}

/* Whether the middle of a pixel lies in a polygon: whether a line from there to the right crosses
 * its sides an odd number of times. In halves of a pixel. */
static gboolean
holds (const gint32 *points, size_t n, int pixel_x, int pixel_y)
{
  gint32 x = 2 * pixel_x + 1, y = 2 * pixel_y + 1;
  gboolean inside = FALSE;

  for (size_t i = 0; i < n; i++) {
    const gint32 *a = points + 2 * i, *b = points + 2 * ((i + 1) % n);

    if ((a[1] > y) == (b[1] > y))
      continue;
    double crossing = a[0] + (double) (y - a[1]) * (b[0] - a[0]) / (b[1] - a[1]);
    inside ^= crossing > x;
  }
  return inside;
}

/* Twice the area of a polygon, in quarters of a pixel; above 0 where it goes clockwise. */
static gint64
area (const gint32 *points, size_t n)
{
  gint64 sum = 0;

  for (size_t i = 0; i < n; i++) {
    const gint32 *a = points + 2 * i, *b = points + 2 * ((i + 1) % n);
    sum += (gint64) a[0] * b[1] - (gint64) b[0] * a[1];
  }
  return sum;
}

static void
test_outline (void)
{
  Random r = random_new (2);
  size_t set = 0;

  for (int round = 0; round < 2000; round++) {
    Part p = random_part (&r);
    g_autofree guint8 *before = g_memdup2 (p.memory.data, p.memory.size);
    g_autofree guint8 *held = filled (&p);
    size_t n = yolo_bitmap_outline (&p.bitmap, NULL, 0);
    Guarded memory = guarded_new (8 * n), less = guarded_new (8 * (n / 2));
    gint32 *points = (gint32 *) (void *) memory.data;

    g_assert_cmpuint (
        yolo_bitmap_outline (&p.bitmap, (gint32 *) (void *) less.data, n / 2), ==, n);
    g_assert_cmpuint (yolo_bitmap_outline (&p.bitmap, points, n), ==, n);
    g_assert_cmpmem (less.data, less.size, points, less.size);
    if (p.memory.size > 0)
      g_assert_cmpmem (p.memory.data, p.memory.size, before, p.memory.size);
    for (size_t i = 0; i < 2 * n; i++) {
      g_assert_cmpint (points[i], >=, 0);
      g_assert_cmpint (points[i], <=, 2 * (i % 2 ? p.frame_height : p.frame_width));
    }
    if (n > 0)
      g_assert_cmpint (area (points, n), >, 0);
    for (int y = 0; y < p.frame_height; y++) {
      for (int x = 0; x < p.frame_width; x++) {
        int want = held[(y + 1) * (p.frame_width + 2) + x + 1];
        g_assert_cmpint (holds (points, n, x, y), ==, want);
        set += (size_t) want;
      }
    }
    guarded_free (&memory);
    guarded_free (&less);
    guarded_free (&p.memory);
  }
  g_assert_cmpuint (set, >, 10000);
}

/* A figure of a few letters, # for a pixel that is set, and its points. */
static void
assert_points (const gchar *figure, const gint32 *want, size_t n)
{
  guint8 pixels[64];
  int width = (int) (strchr (figure, '\n') - figure), height = 0;
  gint32 points[128];

  for (; *figure; figure += width + 1, height++)
    for (int x = 0; x < width; x++)
      pixels[height * width + x] = figure[x] == '#';
  YoloBitmap bitmap = { pixels, 0, 0, width, height };
  g_assert_cmpuint (yolo_bitmap_outline (&bitmap, points, G_N_ELEMENTS (points) / 2), ==, n);
  g_assert_cmpmem (points, 8 * n, want, 8 * n);
}

#define ASSERT_POINTS(figure, ...) \
  do { \
    static const gint32 want[][2] = { __VA_ARGS__ }; \
    assert_points (figure, want[0], G_N_ELEMENTS (want)); \
  } while (0)

/* Straight and slanting sides have no point between their ends, the last side included. */
static void
test_points (void)
{
  ASSERT_POINTS ("#\n", { 1, 0 }, { 2, 1 }, { 1, 2 }, { 0, 1 });
  ASSERT_POINTS ("###\n###\n", { 1, 0 }, { 5, 0 }, { 6, 1 }, { 6, 3 }, { 5, 4 }, { 1, 4 },
      { 0, 3 }, { 0, 1 });
  ASSERT_POINTS ("..#..\n.###.\n#####\n", { 5, 0 }, { 10, 5 }, { 9, 6 }, { 1, 6 }, { 0, 5 });
  /* a hole, and a part in it */
  ASSERT_POINTS ("#####\n#...#\n#.#.#\n#...#\n#####\n", { 1, 0 }, { 9, 0 }, { 10, 1 }, { 10, 9 },
      { 9, 10 }, { 1, 10 }, { 0, 9 }, { 0, 1 });
  /* parts that touch at a corner are one, others are joined from the first point */
  ASSERT_POINTS ("#..\n.#.\n", { 1, 0 }, { 4, 3 }, { 3, 4 }, { 0, 1 });
  ASSERT_POINTS ("#.#.#\n", { 1, 0 }, { 2, 1 }, { 1, 2 }, { 0, 1 }, { 1, 0 }, { 5, 0 }, { 6, 1 },
      { 5, 2 }, { 4, 1 }, { 5, 0 }, { 1, 0 }, { 9, 0 }, { 10, 1 }, { 9, 2 }, { 8, 1 }, { 9, 0 });
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bitmap/known", test_known);
  g_test_add_func ("/bitmap/rle", test_rle);
  g_test_add_func ("/bitmap/outline", test_outline);
  g_test_add_func ("/bitmap/points", test_points);
  return g_test_run ();
}
