/* SPDX-License-Identifier: MIT */
/* Frames of every format, size and crop, several in a batch: the kernel gives
 * what the definition gives, to the last grey level. */

#include <math.h>
#include <string.h>

#include "cuda/half.h"
#include "cuda/preprocess.h"
#include "image/preprocess.h"
#include "image/sample.h"
#include "tests/cuda/harness.h"

typedef struct {
  YoloFrame host, device;
  guint8 *pixels;
  CUdeviceptr memory;
} Picture;

static void
picture_init (Picture *picture, YoloPixelFormat format, int width, int height, guint32 seed)
{
  const YoloLayout *layout = &yolo_layouts[format];
  gsize rows[3] = { 0 }, offsets[3] = { 0 }, size = 0;

  *picture = (Picture) { .host = { .format = format, .width = width, .height = height,
      .matrix = (YoloMatrix) (seed % 5), .full_range = seed % 2 } };
  for (int i = 0; i < layout->n_components; i++) {
    int plane = layout->component[i].plane;
    ptrdiff_t last = ((width - 1) >> layout->component[i].x_shift) * layout->component[i].step
        + layout->component[i].offset + (layout->bits > 8 ? 2 : 1);

    picture->host.stride[plane] = MAX (picture->host.stride[plane], last);
    rows[plane] = (gsize) ((height - 1) >> layout->component[i].y_shift) + 1;
  }
  for (guint p = 0; p < 3; p++) {
    if (rows[p] > 1)
      picture->host.stride[p] += (ptrdiff_t) (seed % 9);
    offsets[p] = size;
    size += (gsize) picture->host.stride[p] * rows[p];
  }
  /* nothing behind the last sample: what is read there faults */
  picture->pixels = g_malloc (size);
  for (gsize i = 0; i < size; i++)
    picture->pixels[i] = (guint8) ((test_random (&seed) + 1) * 127.9);
  picture->memory = yolo_cuda_alloc (test_device, size, "a test", NULL);
  test_device->driver->cuMemcpyHtoD (picture->memory, picture->pixels, size);
  picture->device = picture->host;
  for (guint p = 0; p < 3; p++) {
    picture->host.plane[p] = rows[p] ? picture->pixels + offsets[p] : NULL;
    picture->device.plane[p] = rows[p] ? (const void *) (picture->memory + offsets[p]) : NULL;
  }
}

static void
set_crop (Picture *picture, int x, int y, int width, int height)
{
  memcpy (&picture->host.crop, (int[]) { x, y, width, height }, sizeof (picture->host.crop));
  picture->device.crop = picture->host.crop;
}

static YoloLetterbox
letterbox (const YoloFrame *frame, int width, int height)
{
  YoloLetterbox box;

  yolo_letterbox_frame (&box, frame, width, height);
  return box;
}

/* A batch of the pictures and an idle place, in one type. */
static void
check_batch (Picture *pictures, guint n, guint height, guint width, guint channels, YoloDType dtype,
    float scale)
{
  g_autoptr (GError) error = NULL;
  g_autofree YoloCudaFrame *frames = g_new0 (YoloCudaFrame, n + 1);
  g_autofree float *expected = g_new (float, (gsize) height * width * channels);
  CUdeviceptr memory =
      yolo_cuda_alloc (test_device, (n + 1) * sizeof (YoloCudaFrame), "a test", &error);
  Tensor out;

  tensor_init (&out, dtype, n + 1, height, width, channels, channels, 0);
  for (guint i = 0; i < n; i++) {
    YoloLetterbox box = letterbox (&pictures[i].host, (int) width, (int) height);
    yolo_cuda_preprocess_describe (&frames[i], &pictures[i].device, &box);
  }
  yolo_cuda_preprocess_idle (&frames[n]);
  test_device->driver->cuMemcpyHtoD (memory, frames, (n + 1) * sizeof (YoloCudaFrame));
  yolo_cuda_preprocess_launch (
      test_device, memory, n + 1, height, width, channels, dtype, scale, out.view, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (test_device->driver->cuStreamSynchronize (NULL), ==, CUDA_SUCCESS);
  tensor_download (&out);

  for (guint i = 0; i <= n; i++) {
    if (i < n) {
      YoloLetterbox box = letterbox (&pictures[i].host, (int) width, (int) height);
      yolo_preprocess_reference (&pictures[i].host, &box, expected, YOLO_F32, (int) channels);
    }
    for (guint y = 0; y < height; y++)
      for (guint x = 0; x < width; x++)
        for (guint c = 0; c < channels; c++) {
          double want = i < n ? expected[(y * width + x) * channels + c] : c < 3 ? 114 : 0;

          if (dtype == YOLO_S8)
            want = MIN (rintf ((float) want * (1 / scale)), 127);
          if (tensor_get (&out, i, y, x, c) != want)
            g_error ("picture %u (format %d, %dx%d) at %u,%u component %u: %g, expected %g", i,
                i < n ? (int) pictures[i].host.format : -1, i < n ? pictures[i].host.width : 0,
                i < n ? pictures[i].host.height : 0, x, y, c, tensor_get (&out, i, y, x, c), want);
        }
  }
  tensor_clear (&out);
  yolo_cuda_free (test_device, memory);
}

static void
check_all (Picture *pictures, guint n, guint height, guint width)
{
  check_batch (pictures, n, height, width, 8, YOLO_F16, 1);
  check_batch (pictures, n, height, width, 4, YOLO_F32, 1);
  check_batch (pictures, n, height, width, 3, YOLO_F32, 1);
  check_batch (pictures, n, height, width, 16, YOLO_S8, 2.1f);
  for (guint i = 0; i < n; i++) {
    g_free (pictures[i].pixels);
    yolo_cuda_free (test_device, pictures[i].memory);
  }
}

/* All formats in one batch, each of another shape. */
static void
test_formats (void)
{
  Picture pictures[YOLO_N_FORMATS];

  for (int f = 0; f < YOLO_N_FORMATS; f++)
    picture_init (
        &pictures[f], (YoloPixelFormat) f, 50 + 13 * f, 40 + 7 * (f % 3), (guint32) f + 1);
  check_all (pictures, YOLO_N_FORMATS, 64, 96);
}

/* Equal, exactly half, enlarged, one pixel, very wide and very high. */
static void
test_sizes (void)
{
  static const int sizes[][2] = {
    { 64, 32 },
    { 128, 64 },
    { 127, 64 },
    { 7, 5 },
    { 1, 1 },
    { 2, 300 },
    { 600, 3 },
    { 64, 31 },
    { 200, 150 },
  };
  Picture pictures[G_N_ELEMENTS (sizes)];

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    picture_init (
        &pictures[i], i % 2 ? YOLO_FORMAT_NV12 : YOLO_FORMAT_RGB, sizes[i][0], sizes[i][1], i + 20);
  check_all (pictures, G_N_ELEMENTS (sizes), 32, 64);
}

/* Regions that begin on odd pixels and end at the border. */
static void
test_crops (void)
{
  Picture pictures[4];

  picture_init (&pictures[0], YOLO_FORMAT_NV12, 101, 75, 5);
  set_crop (&pictures[0], 7, 11, 94, 64);
  picture_init (&pictures[1], YOLO_FORMAT_I420, 64, 48, 6);
  set_crop (&pictures[1], 63, 47, 1, 1);
  picture_init (&pictures[2], YOLO_FORMAT_YUY2, 90, 30, 7);
  set_crop (&pictures[2], 1, 1, 64, 27);
  picture_init (&pictures[3], YOLO_FORMAT_P010, 130, 70, 8);
  set_crop (&pictures[3], 3, 5, 70, 64);
  check_all (pictures, 4, 64, 70);
}

/* All ways that a frame can lie, to a size, its half and by other factors, of a region too. */
static void
test_turns (void)
{
  static const int sizes[][2] = { { 64, 32 }, { 128, 64 }, { 101, 75 }, { 33, 57 } };
  Picture pictures[4 * 7];

  for (guint i = 0; i < G_N_ELEMENTS (pictures); i++) {
    guint turn = i / 4 + 1;
    int width = sizes[i % 4][turn & YOLO_TURN_TRANSPOSE],
        height = sizes[i % 4][!(turn & YOLO_TURN_TRANSPOSE)];

    picture_init (&pictures[i], (YoloPixelFormat) (i % YOLO_N_FORMATS), width, height, i + 40);
    pictures[i].host.turn = pictures[i].device.turn = turn;
    if (i % 4 == 3)
      set_crop (&pictures[i], 3, 5, width - 7, height - 9);
  }
  check_all (pictures, G_N_ELEMENTS (pictures), 32, 64);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  g_test_add_func ("/cuda/preprocess/formats", test_formats);
  g_test_add_func ("/cuda/preprocess/sizes", test_sizes);
  g_test_add_func ("/cuda/preprocess/crops", test_crops);
  g_test_add_func ("/cuda/preprocess/turns", test_turns);
  result = g_test_run ();
  test_device_close ();
  return result;
}
