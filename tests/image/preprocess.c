/* SPDX-License-Identifier: MIT */
/* The fast preprocess against its definition, and the definition against the
 * formulas in real numbers. */

#include "base/pool.h"
#include "image/preprocess.h"
#include "image/sample.h"
#include "image/tensor.h"
#include "tests/image/expected.h"
#include "tests/image/frames.h"

#include <math.h>
#include <stdio.h>
#ifdef HAVE_JPEG
#include <jpeglib.h>
#endif

static const char *const type_names[] = { "u8", "f32", "f16", "bf16" };

static void
compare (YoloPreprocess *pre, const YoloFrame *frame, int net_width, int net_height,
    YoloDType type, int channels)
{
  YoloLetterbox box;
  size_t n = (size_t) net_width * net_height * channels;
  size_t size = n * yolo_dtype_size (type);
  Guarded fast = guarded_new (size), plain = guarded_new (size);

  yolo_letterbox_frame (&box, frame, net_width, net_height);
  g_assert_true (yolo_preprocess_run (pre, frame, &box, fast.data, type, channels));
  yolo_preprocess_reference (frame, &box, plain.data, type, channels);
  for (size_t i = 0; i < size; i++)
    if (fast.data[i] != plain.data[i])
      g_error ("%s %dx%d turn %u crop %d,%d %dx%d to %dx%d %s*%d: byte %zu is %d, not %d",
          format_names[frame->format], frame->width, frame->height, frame->turn, frame->crop.x,
          frame->crop.y, frame->crop.width, frame->crop.height, net_width, net_height,
          type_names[type], channels, i, fast.data[i], plain.data[i]);
  guarded_free (&fast);
  guarded_free (&plain);
}

static void
random_colour (Random *r, YoloFrame *frame)
{
  frame->matrix = (YoloMatrix) random_int (r, 0, YOLO_MATRIX_SMPTE240M);
  frame->full_range = random_int (r, 0, 1);
}

static void
random_crop (Random *r, YoloFrame *frame)
{
  frame->crop.width = random_int (r, 1, frame->width);
  frame->crop.height = random_int (r, 1, frame->height);
  frame->crop.x = random_int (r, 0, frame->width - frame->crop.width);
  frame->crop.y = random_int (r, 0, frame->height - frame->crop.height);
}

/* Rows of a frame whose format has to be unpacked: here, out of one that has not. */
static void
unpack_row (const void *source, int y, void *row)
{
  const YoloFrame *frame = source;

  memcpy (row, (const uint8_t *) frame->plane[0] + y * frame->stride[0], yolo_unpacked_row (frame));
}

/* The same picture, where rows are had by a call alone. */
static void
compare_unpacked (YoloPreprocess *pre, const YoloFrame *frame, int net_width, int net_height)
{
  YoloFrame packed = *frame;

  packed.unpack = unpack_row;
  packed.source = frame;
  memset (packed.plane, 0, sizeof packed.plane);
  compare (pre, &packed, net_width, net_height, YOLO_U8, 3);

  YoloLetterbox box;
  size_t size = 3 * (size_t) net_width * net_height;
  g_autofree uint8_t *direct = g_malloc (size), *unpacked = g_malloc (size);
  yolo_letterbox_frame (&box, frame, net_width, net_height);
  g_assert_true (yolo_preprocess_reference (frame, &box, direct, YOLO_U8, 3));
  g_assert_true (yolo_preprocess_reference (&packed, &box, unpacked, YOLO_U8, 3));
  g_assert_cmpmem (direct, size, unpacked, size);
}

/* One object for all sizes and formats: stale tables and scratch would show. */
static void
test_formats (void)
{
  YoloPreprocess *pre = yolo_preprocess_new (NULL);
  Random r = random_new (1);

  for (int i = 0; i < 1000; i++) {
    YoloPixelFormat format = (YoloPixelFormat) (i % YOLO_N_FORMATS);
    int net_width = random_int (&r, 1, 80), net_height = random_int (&r, 1, 80);
    int width = random_int (&r, 1, i % 3 ? 90 : 400), height = random_int (&r, 1, 90);
    switch (random_int (&r, 0, 7)) {
      case 0:                  /* to exactly the half */
        width = 2 * net_width;
        height = 2 * net_height;
        break;
      case 1:                  /* no scaling */
        width = net_width;
        height = net_height;
        break;
      case 2:                  /* a third: one tap a column */
        width = 3 * net_width;
        height = 3 * net_height;
        break;
    }
    TestFrame t =
        test_frame_new (&r, format, width, height, random_int (&r, 0, 9), random_int (&r, 0, 1));
    random_colour (&r, &t.frame);
    t.frame.turn = (unsigned) MAX (random_int (&r, -4, 7), 0);
    if (t.frame.turn & YOLO_TURN_TRANSPOSE && random_int (&r, 0, 1)) {
      int net = net_width;     /* so that the scales from above are met here too */
      net_width = net_height;
      net_height = net;
    }
    if (random_int (&r, 0, 2) == 0)
      random_crop (&r, &t.frame);
    compare (pre, &t.frame, net_width, net_height, (YoloDType) random_int (&r, 0, 3),
        random_int (&r, 0, 1) ? 3 : random_int (&r, 3, 17));
    if (format >= YOLO_FORMAT_ARGB)
      compare_unpacked (pre, &t.frame, net_width, net_height);
    test_frame_free (&t);
  }
  yolo_preprocess_free (pre);
}

static void
test_opencv (void)
{
  YoloPreprocess *pre = yolo_preprocess_new (NULL);

  for (size_t i = 0; i < G_N_ELEMENTS (picture_cases); i++) {
    int net_width = picture_cases[i].net_width, net_height = picture_cases[i].net_height;
    size_t size = (size_t) net_width * net_height * 3;
    g_autofree uint8_t *out = g_malloc (size);
    Random r = random_new (picture_cases[i].seed);
    TestFrame t = test_frame_new (
        &r, YOLO_FORMAT_BGR, picture_cases[i].width, picture_cases[i].height, 0, false);
    YoloLetterbox box;

    yolo_letterbox_init (
        &box, picture_cases[i].width, picture_cases[i].height, net_width, net_height);
    yolo_preprocess_reference (&t.frame, &box, out, YOLO_U8, 3);
    g_assert_cmphex (fnv1a (out, size), ==, picture_cases[i].hash);
    memset (out, 0, size);
    g_assert_true (yolo_preprocess_run (pre, &t.frame, &box, out, YOLO_U8, 3));
    g_assert_cmphex (fnv1a (out, size), ==, picture_cases[i].hash);
    test_frame_free (&t);
  }
  yolo_preprocess_free (pre);
}

/* Y'CbCr to R'G'B' in real numbers, components of 8 or 10 bits. */
static void
exact_rgb (YoloMatrix matrix, bool full_range, int bits, const double yuv[3], double rgb[3])
{
  static const double weights[][2] = {
    { 0.299, 0.114 }, { 0.2126, 0.0722 }, { 0.2627, 0.0593 }, { 0.30, 0.11 }, { 0.212, 0.087 },
  };
  double kr = weights[matrix][0], kb = weights[matrix][1], unit = bits == 10 ? 4 : 1;
  double max = bits == 10 ? 1023 : 255;
  double y = full_range ? yuv[0] / max : (yuv[0] - 16 * unit) / (219 * unit);
  double cb = (yuv[1] - 128 * unit) / (full_range ? max : 224 * unit);
  double cr = (yuv[2] - 128 * unit) / (full_range ? max : 224 * unit);
  double r = y + 2 * (1 - kr) * cr, b = y + 2 * (1 - kb) * cb;
  double g = (y - kr * r - kb * b) / (1 - kr - kb);

  rgb[0] = CLAMP (255 * r, 0, 255);
  rgb[1] = CLAMP (255 * g, 0, 255);
  rgb[2] = CLAMP (255 * b, 0, 255);
}

/* The components of a pixel, found without the tables of sample.c. */
static void
components (const YoloFrame *f, int x, int y, double yuv[3])
{
  const uint8_t *p0 = (const uint8_t *) f->plane[0] + y * f->stride[0];
  const uint8_t *p1 = f->plane[1] ? (const uint8_t *) f->plane[1] + y / 2 * f->stride[1] : NULL;
  const uint8_t *p2 = f->plane[2] ? (const uint8_t *) f->plane[2] + y / 2 * f->stride[2] : NULL;
  int pair = x / 2;

  yuv[0] = p0[x];
  yuv[1] = yuv[2] = 128;
  switch (f->format) {
    case YOLO_FORMAT_NV12:
      yuv[1] = p1[2 * pair];
      yuv[2] = p1[2 * pair + 1];
      break;
    case YOLO_FORMAT_NV21:
      yuv[2] = p1[2 * pair];
      yuv[1] = p1[2 * pair + 1];
      break;
    case YOLO_FORMAT_I420:
      yuv[1] = p1[pair];
      yuv[2] = p2[pair];
      break;
    case YOLO_FORMAT_YUY2:
      yuv[0] = p0[2 * x];
      yuv[1] = p0[4 * pair + 1];
      yuv[2] = p0[4 * pair + 3];
      break;
    case YOLO_FORMAT_UYVY:
      yuv[0] = p0[2 * x + 1];
      yuv[1] = p0[4 * pair];
      yuv[2] = p0[4 * pair + 2];
      break;
    case YOLO_FORMAT_Y42B:
      yuv[1] = ((const uint8_t *) f->plane[1] + y * f->stride[1])[pair];
      yuv[2] = ((const uint8_t *) f->plane[2] + y * f->stride[2])[pair];
      break;
    case YOLO_FORMAT_Y444:
      yuv[1] = ((const uint8_t *) f->plane[1] + y * f->stride[1])[x];
      yuv[2] = ((const uint8_t *) f->plane[2] + y * f->stride[2])[x];
      break;
    case YOLO_FORMAT_I420_10:
      yuv[0] = p0[2 * x] + 256 * (p0[2 * x + 1] & 3);
      yuv[1] = p1[2 * pair] + 256 * (p1[2 * pair + 1] & 3);
      yuv[2] = p2[2 * pair] + 256 * (p2[2 * pair + 1] & 3);
      break;
    case YOLO_FORMAT_AYUV:
      for (int i = 0; i < 3; i++)
        yuv[i] = p0[4 * x + 1 + i];
      break;
    case YOLO_FORMAT_AYUV64:
      for (int i = 0; i < 3; i++)
        yuv[i] = (p0[8 * x + 2 + 2 * i] + 256 * p0[8 * x + 3 + 2 * i]) / 64;
      break;
    case YOLO_FORMAT_P010:
      yuv[0] = (p0[2 * x] + 256 * p0[2 * x + 1]) / 64;
      yuv[1] = (p1[4 * pair] + 256 * p1[4 * pair + 1]) / 64;
      yuv[2] = (p1[4 * pair + 2] + 256 * p1[4 * pair + 3]) / 64;
      break;
    default:
      break;
  }
}

/* Random bytes hold components that no camera makes too. The crop begins in
 * the middle of a chroma sample. */
static void
test_colours (void)
{
  Random r = random_new (2);

  for (int format = YOLO_FORMAT_GRAY8; format < YOLO_N_FORMATS; format++) {
    for (int k = 0; k < 10 && yolo_layouts[format].yuv; k++) {
      int width = 75, height = 51, x0 = 3, y0 = 1;
      TestFrame t =
          test_frame_new (&r, (YoloPixelFormat) format, width + x0, height + y0, 3, false);
      t.frame.crop.x = x0;
      t.frame.crop.y = y0;
      t.frame.crop.width = width;
      t.frame.crop.height = height;
      t.frame.matrix = (YoloMatrix) (k / 2);
      t.frame.full_range = k % 2;
      g_autofree float *out = g_new (float, width * height * 3);
      YoloLetterbox box;
      double worst = 0;

      yolo_letterbox_frame (&box, &t.frame, width, height);
      yolo_preprocess_reference (&t.frame, &box, out, YOLO_F32, 3);
      for (int i = 0; i < width * height; i++) {
        double yuv[3], rgb[3];
        components (&t.frame, x0 + i % width, y0 + i / width, yuv);
        exact_rgb (t.frame.matrix, t.frame.full_range, yolo_layouts[format].bits, yuv, rgb);
        for (int c = 0; c < 3; c++)
          worst = MAX (worst, fabs (out[3 * i + c] - rgb[c]));
      }
      /* rounding is half a level, the factors' 16 bits next to nothing */
      g_assert_cmpfloat (worst, <, 0.52);
      test_frame_free (&t);
    }
  }
}

/* Colours that tables of video levels give. Source: ITU-R BT.601 and BT.709,
 * colour bars of full saturation, rounded to 8 bits. */
static void
test_colour_bars (void)
{
  static const struct {
    YoloMatrix matrix;
    uint8_t yuv[3], rgb[3];
  } bars[] = {
    { YOLO_MATRIX_BT601, { 235, 128, 128 }, { 255, 255, 255 } },
    { YOLO_MATRIX_BT601, { 16, 128, 128 }, { 0, 0, 0 } },
    { YOLO_MATRIX_BT601, { 81, 90, 240 }, { 255, 0, 0 } },
    { YOLO_MATRIX_BT601, { 145, 54, 34 }, { 0, 255, 0 } },
    { YOLO_MATRIX_BT601, { 41, 240, 110 }, { 0, 0, 255 } },
    { YOLO_MATRIX_BT709, { 63, 102, 240 }, { 255, 0, 0 } },
    { YOLO_MATRIX_BT709, { 173, 42, 26 }, { 0, 255, 0 } },
    { YOLO_MATRIX_BT709, { 32, 240, 118 }, { 0, 0, 255 } },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (bars); i++) {
    YoloFrame frame = {
      .format = YOLO_FORMAT_I420, .matrix = bars[i].matrix, .width = 1, .height = 1,
      .plane = { &bars[i].yuv[0], &bars[i].yuv[1], &bars[i].yuv[2] }, .stride = { 1, 1, 1 },
    };
    YoloLetterbox box;
    uint8_t out[3];

    yolo_letterbox_init (&box, 1, 1, 1, 1);
    yolo_preprocess_reference (&frame, &box, out, YOLO_U8, 3);
    for (int c = 0; c < 3; c++)
      g_assert_cmpint (abs (out[c] - bars[i].rgb[c]), <=, 2);
  }
}

/* A picture that was turned by hand gives what it gave before, and the boxes of
 * the turned one are those of the upright one turned by hand. */
static void
test_turns (void)
{
  enum { WIDTH = 61, HEIGHT = 43, SIDE = 32 };
  Random r = random_new (6);
  TestFrame upright = test_frame_new (&r, YOLO_FORMAT_RGB, WIDTH, HEIGHT, 0, false);
  uint8_t expected[SIDE * SIDE * 3], got[SIDE * SIDE * 3];
  YoloLetterbox box;

  yolo_letterbox_frame (&box, &upright.frame, SIDE, SIDE);
  yolo_preprocess_reference (&upright.frame, &box, expected, YOLO_U8, 3);
  for (unsigned turn = 0; turn < 8; turn++) {
    /* what each bit says, from the lowest on */
    bool transpose = turn & 1;
    int width = transpose ? HEIGHT : WIDTH, height = transpose ? WIDTH : HEIGHT;
    TestFrame turned = test_frame_new (&r, YOLO_FORMAT_RGB, width, height, 0, false);

    for (int y = 0; y < HEIGHT; y++)
      for (int x = 0; x < WIDTH; x++) {
        int fx = transpose ? y : x, fy = transpose ? x : y;
        fx = turn & 2 ? width - 1 - fx : fx;
        fy = turn & 4 ? height - 1 - fy : fy;
        memcpy (turned.memory[0].data + 3 * (fy * width + fx),
            upright.memory[0].data + 3 * (y * WIDTH + x), 3);
      }
    turned.frame.turn = turn;
    yolo_letterbox_frame (&box, &turned.frame, SIDE, SIDE);
    yolo_preprocess_reference (&turned.frame, &box, got, YOLO_U8, 3);
    g_assert_cmpmem (got, sizeof got, expected, sizeof expected);

    /* in the network, the box of the pixels from 10,20 to 29,30 */
    float gain_x = (float) box.width / WIDTH, gain_y = (float) box.height / HEIGHT;
    float corner[4] = { 10 * gain_x + box.pad_x, 20 * gain_y + box.pad_y,
      30 * gain_x + box.pad_x, 31 * gain_y + box.pad_y };
    float x1 = transpose ? 20 : 10, x2 = transpose ? 31 : 30, y1 = transpose ? 10 : 20,
          y2 = transpose ? 30 : 31;
    yolo_letterbox_to_frame (&box, corner);
    g_assert_cmpfloat_with_epsilon (corner[0], turn & 2 ? width - x2 : x1, 1e-4f);
    g_assert_cmpfloat_with_epsilon (corner[2], turn & 2 ? width - x1 : x2, 1e-4f);
    g_assert_cmpfloat_with_epsilon (corner[1], turn & 4 ? height - y2 : y1, 1e-4f);
    g_assert_cmpfloat_with_epsilon (corner[3], turn & 4 ? height - y1 : y2, 1e-4f);
    test_frame_free (&turned);
  }
  test_frame_free (&upright);
}

/* The types hold the grey levels themselves. */
static void
test_types (void)
{
  for (int v = 0; v < 256; v++) {
    union { uint32_t u; float f; } x = { .u = (uint32_t) yolo_bf16_from_level ((uint8_t) v) << 16 };
    uint16_t half = yolo_f16_from_level ((uint8_t) v);
    double mantissa = half & 1023, exponent = half >> 10;

    g_assert_cmpfloat (x.f, ==, v);
    g_assert_cmpfloat (
        exponent ? ldexp (1 + mantissa / 1024, (int) exponent - 15) : mantissa, ==, v);
  }
}

static void
test_threads (void)
{
  Random r = random_new (4);
  int net_width = 96, net_height = 64;
  size_t size = (size_t) net_width * net_height * 3;
  static const int sizes[][2] = { { 192, 128 }, { 300, 200 }, { 50, 20 }, { 20, 150 },
    { 288, 192 } };

  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    TestFrame t = test_frame_new (&r, YOLO_FORMAT_NV12, sizes[i][0], sizes[i][1], 0, false);
    g_autofree uint8_t *first = g_malloc (size), *again = g_malloc (size);
    YoloLetterbox box;

    yolo_letterbox_init (&box, sizes[i][0], sizes[i][1], net_width, net_height);
    yolo_preprocess_reference (&t.frame, &box, first, YOLO_U8, 3);
    for (guint threads = 1; threads <= 5; threads++) {
      YoloPool *pool = yolo_pool_new (threads);
      YoloPreprocess *pre = yolo_preprocess_new (pool);

      memset (again, 0, size);
      g_assert_true (yolo_preprocess_run (pre, &t.frame, &box, again, YOLO_U8, 3));
      g_assert_cmpmem (first, size, again, size);
      yolo_preprocess_free (pre);
      yolo_pool_free (pool);
    }
    test_frame_free (&t);
  }
}

/* The smallest, the longest and the largest of frames. */
static void
test_extremes (void)
{
  static const int sizes[][2] = {
    { 1, 1 },
    { 2, 1 },
    { 1, 2 },
    { 16384, 2 },
    { 16384, 1 },
    { 2, 16384 },
    { 1, 16383 },
    { 7680, 4320 },
    { 8191, 4321 },
  };
  YoloPreprocess *pre = yolo_preprocess_new (NULL);
  Random r = random_new (5);

  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    bool large = sizes[i][0] * sizes[i][1] > 100000;
    for (int format = 0; format < YOLO_N_FORMATS; format++) {
      if (large && format != YOLO_FORMAT_NV12 && format != YOLO_FORMAT_RGB)
        continue;
      TestFrame t =
          test_frame_new (&r, (YoloPixelFormat) format, sizes[i][0], sizes[i][1], 0, false);
      compare (pre, &t.frame, 320, 192, YOLO_F32, 3);
      test_frame_free (&t);
    }
  }
  yolo_preprocess_free (pre);
}

#ifdef HAVE_JPEG
static uint8_t *
read_jpeg (const char *path, int *width, int *height)
{
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr error;
  FILE *file = fopen (path, "rb");

  g_assert_nonnull (file);
  jpeg.err = jpeg_std_error (&error);   /* exits on errors */
  jpeg_create_decompress (&jpeg);
  jpeg_stdio_src (&jpeg, file);
  jpeg_read_header (&jpeg, TRUE);
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress (&jpeg);
  *width = (int) jpeg.output_width;
  *height = (int) jpeg.output_height;
  uint8_t *rgb = g_malloc (3 * (size_t) *width * *height);
  while (jpeg.output_scanline < jpeg.output_height) {
    uint8_t *row = rgb + 3 * (size_t) *width * jpeg.output_scanline;
    jpeg_read_scanlines (&jpeg, &row, 1);
  }
  jpeg_finish_decompress (&jpeg);
  jpeg_destroy_decompress (&jpeg);
  fclose (file);
  return rgb;
}

/* The tensor that Ultralytics made of a photograph, bit for bit. libjpeg-turbo
 * decodes to the same pixels in every version. */
static void
test_photograph (void)
{
  const char *shared = g_getenv ("YOLO_SHARED") ? g_getenv ("YOLO_SHARED") : YOLO_SHARED;
  g_autofree char *image = g_build_filename (shared, "images", "bus.jpg", NULL);
  g_autofree char *tensor = g_build_filename (shared, "reference", "yolov8n_bus_input.f32", NULL);
  g_autofree char *bytes = NULL;
  gsize size;

  if (!g_file_test (image, G_FILE_TEST_EXISTS)
      || !g_file_get_contents (tensor, &bytes, &size, NULL)) {
    g_test_skip ("needs ../shared");
    return;
  }
  YoloFrame frame = { .format = YOLO_FORMAT_RGB };
  g_autofree uint8_t *rgb = read_jpeg (image, &frame.width, &frame.height);
  frame.plane[0] = rgb;
  frame.stride[0] = 3 * frame.width;

  enum { SIDE = 640 };
  const float *want = (const float *) (void *) bytes;
  g_autofree float *got = g_new (float, 3 * SIDE * SIDE);
  YoloPreprocess *pre = yolo_preprocess_new (NULL);
  YoloLetterbox box;
  g_assert_cmpuint (size, ==, 3 * SIDE * SIDE * sizeof (float));
  yolo_letterbox_init (&box, frame.width, frame.height, SIDE, SIDE);
  g_assert_true (yolo_preprocess_run (pre, &frame, &box, got, YOLO_F32, 3));
  for (int c = 0; c < 3; c++)
    for (int i = 0; i < SIDE * SIDE; i++)
      g_assert_cmpfloat (want[c * SIDE * SIDE + i], ==, got[3 * i + c] / 255);
  yolo_preprocess_free (pre);
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/preprocess/formats", test_formats);
  g_test_add_func ("/preprocess/opencv", test_opencv);
  g_test_add_func ("/preprocess/colours", test_colours);
  g_test_add_func ("/preprocess/colour-bars", test_colour_bars);
  g_test_add_func ("/preprocess/turns", test_turns);
  g_test_add_func ("/preprocess/types", test_types);
  g_test_add_func ("/preprocess/threads", test_threads);
  g_test_add_func ("/preprocess/extremes", test_extremes);
#ifdef HAVE_JPEG
  g_test_add_func ("/preprocess/photograph", test_photograph);
#endif
  return g_test_run ();
}
