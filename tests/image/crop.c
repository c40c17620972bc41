/* SPDX-License-Identifier: MIT */
/* The middle of a frame, for networks that classify: the definition against Pillow and against
 * the triangle filter in double, and the fast version against the definition. */

#include "image/crop.h"
#include "image/sample.h"
#include "tests/image/expected.h"
#include "tests/image/frames.h"

#include <math.h>

static void
test_geometry (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (crop_cases); i++) {
    YoloFrame frame = { .width = crop_cases[i].src_width, .height = crop_cases[i].src_height };
    YoloLetterbox box;

    yolo_letterbox_crop (&box, &frame, crop_cases[i].net_width, crop_cases[i].net_height);
    g_assert_cmpint (box.width, ==, crop_cases[i].width);
    g_assert_cmpint (box.height, ==, crop_cases[i].height);
    g_assert_cmpint (box.left, ==, -crop_cases[i].left);
    g_assert_cmpint (box.top, ==, -crop_cases[i].top);
    g_assert_true (box.crop);
  }
}

/* Whatever the sizes: the input lies inside the scaled frame. */
static void
test_inside (void)
{
  Random r = random_new (1);

  for (int i = 0; i < 100000; i++) {
    int bits = random_int (&r, 1, 14), side = random_int (&r, 1, 2048);
    YoloFrame frame = { .width = random_int (&r, 1, 1 << bits),
      .height = random_int (&r, 1, 1 << random_int (&r, 1, 14)),
      .turn = (unsigned) random_int (&r, 0, 7) };
    YoloLetterbox box;

    yolo_letterbox_crop (
        &box, &frame, side, random_int (&r, 0, 1) ? side : random_int (&r, 1, 2048));
    g_assert_cmpint (box.left, <=, 0);
    g_assert_cmpint (box.top, <=, 0);
    g_assert_cmpint (box.left + box.width, >=, box.net_width);
    g_assert_cmpint (box.top + box.height, >=, box.net_height);
    g_assert_true (box.width == box.net_width || box.height == box.net_height);
  }
}

/* Bit for bit, rows before columns. */
static void
test_pillow (void)
{
  YoloPreprocess *pre = yolo_preprocess_new (NULL);

  for (size_t i = 0; i < G_N_ELEMENTS (crop_cases); i++) {
    int net_width = crop_cases[i].net_width, net_height = crop_cases[i].net_height;
    size_t size = (size_t) net_width * net_height * 3;
    g_autofree uint8_t *out = g_malloc (size);
    Random r = random_new (crop_cases[i].seed);
    TestFrame t = test_frame_new (
        &r, YOLO_FORMAT_RGB, crop_cases[i].src_width, crop_cases[i].src_height, 0, false);
    YoloLetterbox box;

    yolo_letterbox_crop (&box, &t.frame, net_width, net_height);
    g_assert_true (yolo_preprocess_reference (&t.frame, &box, out, YOLO_U8, 3));
    g_assert_cmphex (fnv1a (out, size), ==, crop_cases[i].hash);
    memset (out, 0, size);
    g_assert_true (yolo_preprocess_run (pre, &t.frame, &box, out, YOLO_U8, 3));
    g_assert_cmphex (fnv1a (out, size), ==, crop_cases[i].hash);
    test_frame_free (&t);
  }
  yolo_preprocess_free (pre);
}

/* How much a source at @distance counts, in pixels of the source, where the filter reaches
 * @support of them. */
static double
triangle (double distance, double support)
{
  return fmax (1 - fabs (distance) / support, 0);
}

/* The level of a place of an axis of @src that is scaled to @dst, out of those of the sources. */
static double
filtered (const double *levels, int src, int dst, int place)
{
  double scale = (double) src / dst, support = fmax (scale, 1), sum = 0, weights = 0;

  for (int i = 0; i < src; i++) {
    double weight = triangle (i + .5 - (place + .5) * scale, support);
    sum += weight * levels[i];
    weights += weight;
  }
  return sum / weights;
}

/* Two roundings to levels are half a level each. */
static void
test_filter (void)
{
  enum { MAX = 80 };
  Random r = random_new (2);

  for (int round = 0; round < 60; round++) {
    int width = random_int (&r, 1, MAX), height = random_int (&r, 1, MAX),
        net_width = random_int (&r, 1, 24),
        net_height = round % 3 ? net_width : random_int (&r, 1, 24);
    TestFrame t = test_frame_new (&r, YOLO_FORMAT_GRAY8, width, height, 2, false);
    g_autofree uint8_t *out = g_malloc (3 * (size_t) net_width * net_height);
    YoloLetterbox box;

    t.frame.full_range = true;
    yolo_letterbox_crop (&box, &t.frame, net_width, net_height);
    g_assert_true (yolo_preprocess_reference (&t.frame, &box, out, YOLO_U8, 3));
    for (int y = 0; y < net_height; y++) {
      for (int x = 0; x < net_width; x++) {
        double column[MAX];

        for (int v = 0; v < height; v++) {
          double row[MAX];
          for (int u = 0; u < width; u++)
            row[u] = ((const uint8_t *) t.frame.plane[0])[v * t.frame.stride[0] + u];
          column[v] = filtered (row, width, box.width, x - box.left);
        }
        double want = filtered (column, height, box.height, y - box.top);
        for (int c = 0; c < 3; c++)
          g_assert_cmpfloat_with_epsilon (out[3 * (y * net_width + x) + c], want, 1.02);
      }
    }
    test_frame_free (&t);
  }
}

static void
unpack_row (const void *source, int y, void *row)
{
  const YoloFrame *frame = source;

  memcpy (row, (const uint8_t *) frame->plane[0] + y * frame->stride[0], yolo_unpacked_row (frame));
}

static void
compare (YoloPreprocess *pre, const YoloFrame *frame, int net_width, int net_height,
    YoloDType type, int channels)
{
  size_t size = (size_t) net_width * net_height * channels * yolo_dtype_size (type);
  Guarded fast = guarded_new (size), plain = guarded_new (size);
  YoloLetterbox box;

  yolo_letterbox_crop (&box, frame, net_width, net_height);
  g_assert_true (yolo_preprocess_run (pre, frame, &box, fast.data, type, channels));
  g_assert_true (yolo_preprocess_reference (frame, &box, plain.data, type, channels));
  for (size_t i = 0; i < size; i++)
    if (fast.data[i] != plain.data[i])
      g_error ("%s %dx%d turn %u to %dx%d: byte %zu is %d, not %d", format_names[frame->format],
          frame->width, frame->height, frame->turn, net_width, net_height, i, fast.data[i],
          plain.data[i]);
  guarded_free (&fast);
  guarded_free (&plain);
}

/* One object for all sizes and formats, and letterboxes between crops: stale tables and scratch
 * would show. */
static void
test_formats (void)
{
  YoloPreprocess *pre = yolo_preprocess_new (NULL);
  Random r = random_new (3);
  int net_width = 20, net_height = 20;

  for (int i = 0; i < 500; i++) {
    YoloPixelFormat format = (YoloPixelFormat) (i % YOLO_N_FORMATS);
    TestFrame t = test_frame_new (&r, format, random_int (&r, 1, i % 3 ? 60 : 200),
        random_int (&r, 1, 60), random_int (&r, 0, 9), random_int (&r, 0, 1));

    if (random_int (&r, 0, 2) == 0) {   /* else the tables of the last size may serve */
      net_width = random_int (&r, 1, 90);
      net_height = random_int (&r, 0, 1) ? net_width : random_int (&r, 1, 90);
    }
    t.frame.matrix = (YoloMatrix) random_int (&r, 0, YOLO_MATRIX_SMPTE240M);
    t.frame.full_range = random_int (&r, 0, 1);
    t.frame.turn = (unsigned) random_int (&r, 0, 7);
    if (random_int (&r, 0, 2) == 0) {
      t.frame.crop.width = random_int (&r, 1, t.frame.width);
      t.frame.crop.height = random_int (&r, 1, t.frame.height);
      t.frame.crop.x = random_int (&r, 0, t.frame.width - t.frame.crop.width);
      t.frame.crop.y = random_int (&r, 0, t.frame.height - t.frame.crop.height);
    }
    compare (pre, &t.frame, net_width, net_height, (YoloDType) random_int (&r, 0, 3),
        random_int (&r, 0, 1) ? 3 : random_int (&r, 3, 17));
    if (format >= YOLO_FORMAT_ARGB) {
      YoloFrame packed = t.frame;

      packed.unpack = unpack_row;
      packed.source = &t.frame;
      memset (packed.plane, 0, sizeof packed.plane);
      compare (pre, &packed, net_width, net_height, YOLO_U8, 3);
    }
    if (i % 7 == 0) {
      g_autofree uint8_t *out = g_malloc (3 * (size_t) net_width * net_height);
      YoloLetterbox box;

      yolo_letterbox_frame (&box, &t.frame, net_width, net_height);
      g_assert_true (yolo_preprocess_run (pre, &t.frame, &box, out, YOLO_U8, 3));
    }
    test_frame_free (&t);
  }
  yolo_preprocess_free (pre);
}

/* A few sizes again and again, so that each axis meets tables that fit in all but one thing. */
static void
test_tables (void)
{
  static const int sources[] = { 24, 27, 48, 50 }, nets[] = { 8, 9, 12, 16 };
  YoloPreprocess *pre = yolo_preprocess_new (NULL);
  Random r = random_new (6);

  for (int i = 0; i < 400; i++) {
    TestFrame t = test_frame_new (&r, YOLO_FORMAT_RGB, sources[random_int (&r, 0, 3)],
        sources[random_int (&r, 0, 3)], 0, false);

    compare (pre, &t.frame, nets[random_int (&r, 0, 3)], nets[random_int (&r, 0, 3)], YOLO_U8, 3);
    test_frame_free (&t);
  }
  yolo_preprocess_free (pre);
}

static void
test_threads (void)
{
  Random r = random_new (4);

  for (guint threads = 1; threads <= 5; threads++) {
    YoloPool *pool = yolo_pool_new (threads);
    YoloPreprocess *pre = yolo_preprocess_new (pool);
    TestFrame t = test_frame_new (&r, YOLO_FORMAT_NV12, 331, 201, 0, false);

    compare (pre, &t.frame, 97, 97, YOLO_F32, 3);
    test_frame_free (&t);
    yolo_preprocess_free (pre);
    yolo_pool_free (pool);
  }
}

/* The smallest and the longest of frames. */
static void
test_extremes (void)
{
  static const int sizes[][2] = { { 1, 1 }, { 2, 1 }, { 1, 2 }, { 2000, 1 }, { 1, 2000 },
    { 1920, 1080 } };
  YoloPreprocess *pre = yolo_preprocess_new (NULL);
  Random r = random_new (5);

  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    TestFrame t = test_frame_new (&r, YOLO_FORMAT_RGB, sizes[i][0], sizes[i][1], 0, false);

    compare (pre, &t.frame, 9, 9, YOLO_U8, 3);
    compare (pre, &t.frame, 32, 5, YOLO_U8, 3);
    test_frame_free (&t);
  }
  yolo_preprocess_free (pre);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/crop/geometry", test_geometry);
  g_test_add_func ("/crop/inside", test_inside);
  g_test_add_func ("/crop/pillow", test_pillow);
  g_test_add_func ("/crop/filter", test_filter);
  g_test_add_func ("/crop/formats", test_formats);
  g_test_add_func ("/crop/tables", test_tables);
  g_test_add_func ("/crop/threads", test_threads);
  g_test_add_func ("/crop/extremes", test_extremes);
  return g_test_run ();
}
