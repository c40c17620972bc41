/* SPDX-License-Identifier: MIT */
/* The small picture by which motion is found: against the mean of each block, taken a pixel at a
 * time, in frames of every format that end where memory ends; and what it sees. */

#include "image/motion.h"

#include <string.h>

#include "image/sample.h"
#include "tests/image/frames.h"

/* What a row of a frame is unpacked to here: the frame's own row, without a copy by planes. */
static void
unpack (const void *source, int y, void *row)
{
  const YoloFrame *frame = source;

  memcpy (row, (const uint8_t *) frame->plane[0] + y * frame->stride[0],
      (size_t) (yolo_layouts[frame->format].component[0].step * frame->width));
}

/* The luma of a pixel, by the layout's words. */
static int
luma_at (const YoloFrame *frame, int x, int y)
{
  const YoloLayout *layout = &yolo_layouts[frame->format];
  int v[3] = { 0 };

  for (int k = 0; k < layout->n_components; k++) {
    const uint8_t *p = (const uint8_t *) frame->plane[layout->component[k].plane]
        + (y >> layout->component[k].y_shift) * frame->stride[layout->component[k].plane]
        + (x >> layout->component[k].x_shift) * layout->component[k].step
        + layout->component[k].offset;

    v[k] = layout->bits == 8 ? *p : (p[0] + 256 * p[1]) >> layout->shift & 1023;
  }
  return layout->yuv ? v[0] : (77 * v[0] + 150 * v[1] + 29 * v[2] + 128) / 256;
}

/* @most: blocks along the longer side */
static void
check_grid (const YoloMotionGrid *grid, const YoloFrame *frame, int most,
    YoloMotionScratch *scratch)
{
  g_assert_cmpint (grid->columns, <=, most);
  g_assert_cmpint (grid->rows, <=, most);
  g_assert_cmpint (grid->columns * grid->block, >=, grid->width);
  g_assert_cmpint (grid->rows * grid->block, >=, grid->height);

  const size_t size = (size_t) (grid->columns * grid->rows);
  Guarded picture = guarded_new (size);

  g_assert_true (yolo_motion_picture (grid, frame, scratch, picture.data));
  guarded_check (&picture);
  for (int row = 0; row < grid->rows; row++)
    for (int column = 0; column < grid->columns; column++) {
      double sum = 0, n = 0;

      for (int y = row * grid->block; y < (row + 1) * grid->block && y < grid->height;
           y += grid->block / 4)
        for (int x = column * grid->block; x < (column + 1) * grid->block && x < grid->width;
             x++, n++)
          sum += luma_at (frame, grid->x + x, grid->y + y);
      /* of ten bits 1023, which is 255.75, is 255 */
      sum = MIN (sum / (n * (yolo_layouts[frame->format].bits == 8 ? 1 : 4)), 255);
      g_assert_cmpfloat (ABS (picture.data[row * grid->columns + column] - sum), <=, .5001);
    }
  guarded_free (&picture);
}

static void
check_picture (const YoloFrame *frame, YoloMotionScratch *scratch)
{
  YoloMotionGrid grid;

  yolo_motion_grid (&grid, frame);
  check_grid (&grid, frame, YOLO_MOTION_MAX_BLOCKS, scratch);
  for (int most = 64; most <= 320; most *= 5) {
    yolo_motion_fine_grid (&grid, frame, most);
    g_assert_cmpint (grid.block, ==, MAX (grid.width, grid.height) <= 4 * most ? 4
            : (MAX (grid.width, grid.height) + 8 * most - 1) / (8 * most) * 8);
    check_grid (&grid, frame, most, scratch);
  }
}

static void
test_picture (gconstpointer data)
{
  const YoloPixelFormat format = (YoloPixelFormat) GPOINTER_TO_UINT (data);
  static const int sizes[][2] = { { 1, 1 }, { 7, 30 }, { 64, 48 }, { 131, 77 }, { 1281, 19 } };
  YoloMotionScratch scratch = { 0 };
  Random r = random_new (5);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (int upside_down = 0; upside_down < 2; upside_down++) {
      const int w = sizes[i][0], h = sizes[i][1];
      TestFrame t = test_frame_new (&r, format, w, h, 3 * (int) i, upside_down);

      if (t.n_planes == 0) {    /* a format that rows are unpacked to, of words */
        test_frame_free (&t);
        continue;
      }
      check_picture (&t.frame, &scratch);
      t.frame.crop.x = w / 3;
      t.frame.crop.y = h / 4;
      t.frame.crop.width = w - w / 3 - w / 5;
      t.frame.crop.height = h - h / 4 - h / 7;
      check_picture (&t.frame, &scratch);
      if (t.n_planes == 1) {
        YoloFrame unpacked = t.frame;

        unpacked.unpack = unpack;
        unpacked.source = &t.frame;
        check_picture (&unpacked, &scratch);
      }
      test_frame_free (&t);
    }
  yolo_motion_scratch_clear (&scratch);
}

static guint8 *
picture_of (const YoloFrame *frame, size_t *n)
{
  YoloMotionScratch scratch = { 0 };
  YoloMotionGrid grid;

  yolo_motion_grid (&grid, frame);
  *n = (size_t) (grid.columns * grid.rows);
  guint8 *picture = g_malloc (*n);
  g_assert_true (yolo_motion_picture (&grid, frame, &scratch, picture));
  yolo_motion_scratch_clear (&scratch);
  return picture;
}

/* Noise of a camera is below the initial threshold of 6, a thing of 12 pixels in 1080 rows above
 * it, wherever it is. */
static void
test_sensitivity (void)
{
  enum { W = 1920, H = 1080 };
  g_autofree guint8 *pixels = g_malloc (W * H);
  const YoloFrame frame = { .format = YOLO_FORMAT_GRAY8, .width = W, .height = H,
    .plane = { pixels }, .stride = { W } };
  GRand *rand = g_rand_new_with_seed (1);
  guint8 *noisy[2];
  size_t n;

  for (guint k = 0; k < 2; k++) {
    /* triangular, with a standard deviation of 5 levels */
    for (guint i = 0; i < W * H; i++)
      pixels[i] = (guint8) (120 + g_rand_int_range (rand, -8, 9) + g_rand_int_range (rand, -8, 9));
    noisy[k] = picture_of (&frame, &n);
  }
  g_assert_cmpint (yolo_motion_difference (noisy[0], noisy[1], n), <=, 5);
  g_assert_cmpint (yolo_motion_difference (noisy[0], noisy[0], n), ==, 0);
  for (guint k = 0; k < 20; k++) {
    const gint x = g_rand_int_range (rand, 0, W - 12), y = g_rand_int_range (rand, 0, H - 12);
    guint8 *moved;

    memset (pixels, 120, W * H);
    g_free (noisy[0]);
    noisy[0] = picture_of (&frame, &n);
    for (gint row = y; row < y + 12; row++)
      memset (pixels + row * W + x, 70, 12);
    moved = picture_of (&frame, &n);
    g_assert_cmpint (yolo_motion_difference (noisy[0], moved, n), >, 6);
    g_assert_cmpint (yolo_motion_difference (moved, noisy[0], n), >, 6);
    g_free (moved);
  }
  g_free (noisy[0]);
  g_free (noisy[1]);
  g_rand_free (rand);
}

/* The largest difference, wherever it is, in arrays of any length. */
static void
test_difference (void)
{
  for (size_t n = 1; n < 140; n++) {
    Guarded a = guarded_new (n), b = guarded_new (n);
    Random r = random_new (n);

    random_bytes (&r, a.data, n);
    memcpy (b.data, a.data, n);
    g_assert_cmpint (yolo_motion_difference (a.data, b.data, n), ==, 0);
    for (size_t i = 0; i < n; i++) {
      b.data[i] ^= 0x80;
      g_assert_cmpint (yolo_motion_difference (a.data, b.data, n), ==, 128);
      b.data[i] ^= 0x80;
    }
    guarded_free (&a);
    guarded_free (&b);
  }
}

/* With -m perf: microseconds of a 1080p frame. */
static void
test_time (void)
{
  enum { W = 1920, H = 1080 };
  static const YoloPixelFormat formats[] = { YOLO_FORMAT_NV12, YOLO_FORMAT_RGB, YOLO_FORMAT_BGRA,
    YOLO_FORMAT_YUY2, YOLO_FORMAT_P010 };
  Random r = random_new (5);

  if (!g_test_perf ())
    return;
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    TestFrame t = test_frame_new (&r, formats[i], W, H, 0, false);
    YoloMotionScratch scratch = { 0 };
    YoloMotionGrid grid;
    guint8 picture[2][YOLO_MOTION_MAX_BLOCKS * YOLO_MOTION_MAX_BLOCKS];
    double least = 1;

    yolo_motion_grid (&grid, &t.frame);
    for (guint k = 0; k < 100; k++) {
      g_test_timer_start ();
      g_assert_true (yolo_motion_picture (&grid, &t.frame, &scratch, picture[k % 2]));
      yolo_motion_difference (picture[0], picture[1], (size_t) (grid.columns * grid.rows));
      least = MIN (least, g_test_timer_elapsed ());
    }
    g_test_minimized_result (
        least * 1e6, "%s: %.0f us for 1920x1080", format_names[formats[i]], least * 1e6);
    yolo_motion_scratch_clear (&scratch);
    test_frame_free (&t);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < YOLO_N_FORMATS; i++) {
    g_autofree char *path = g_strdup_printf ("/motion/picture/%s", format_names[i]);

    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_picture);
  }
  g_test_add_func ("/motion/sensitivity", test_sensitivity);
  g_test_add_func ("/motion/difference", test_difference);
  g_test_add_func ("/motion/time", test_time);
  return g_test_run ();
}
