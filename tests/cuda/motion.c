/* SPDX-License-Identifier: MIT */
/* The small picture by which motion is found, of frames of every format in device memory: the
 * kernel's is that of the host. */

#include "cuda/draw.h"
#include "engine/draw.h"
#include "image/motion.h"
#include "tests/cuda/harness.h"
#include "tests/image/frames.h"

#define MOST_BLOCKS 320

/* Puts a frame's planes into device memory that ends where they do. */
static YoloFrame
upload (const TestFrame *t, CUdeviceptr memory[3])
{
  YoloFrame frame = t->frame;

  frame.memory = YOLO_MEMORY_CUDA;
  for (int p = 0; p < t->n_planes; p++) {
    memory[p] = yolo_cuda_alloc (test_device, t->memory[p].size, "a test", NULL);
    g_assert_cmpuint (memory[p], !=, 0);
    test_device->driver->cuMemcpyHtoD (memory[p], t->memory[p].data, t->memory[p].size);
    frame.plane[p] = (const uint8_t *) memory[p];
  }
  return frame;
}

static void
test_format (gconstpointer data)
{
  const YoloPixelFormat format = (YoloPixelFormat) GPOINTER_TO_UINT (data);
  static const int sizes[][2] = { { 1, 1 }, { 7, 30 }, { 64, 48 }, { 131, 77 }, { 1301, 19 } };
  g_autoptr (GError) error = NULL;
  YoloDrawer *drawer = yolo_drawer_new (0, test_device->context, &error);
  YoloMotionScratch scratch = { 0 };
  Random r = random_new (5);

  g_assert_no_error (error);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (sizes); i++) {
    const int w = sizes[i / 2][0], h = sizes[i / 2][1];
    TestFrame t = test_frame_new (&r, format, w, h, 3, false);
    uint8_t expected[MOST_BLOCKS * MOST_BLOCKS], found[MOST_BLOCKS * MOST_BLOCKS];
    CUdeviceptr memory[3] = { 0 };
    YoloMotionGrid grid;

    if (i % 2 && t.n_planes > 0) {
      t.frame.crop.x = w / 3;
      t.frame.crop.y = h / 4;
      t.frame.crop.width = w - w / 3 - w / 5;
      t.frame.crop.height = h - h / 4 - h / 7;
    }
    if (t.n_planes > 0) {
      const YoloFrame frame = upload (&t, memory);

      for (guint fine = 0; fine < 2; fine++) {
        if (fine)
          yolo_motion_fine_grid (&grid, &frame, MOST_BLOCKS);
        else
          yolo_motion_grid (&grid, &frame);
        g_assert_cmpint (grid.block == 4, ==, fine && MAX (grid.width, grid.height) <= 1280);

        const YoloMotionView view = { &frame, grid };
        const size_t size = yolo_motion_size (&grid);

        g_assert_true (yolo_motion_picture (&grid, &t.frame, &scratch, expected));
        g_assert_true (yolo_drawer_motion (drawer, &view, 1, found, &error));
        g_assert_cmpmem (found, size, expected, size);
      }
    }
    for (int p = 0; p < t.n_planes; p++)
      yolo_cuda_free (test_device, memory[p]);
    test_frame_free (&t);
  }
  yolo_motion_scratch_clear (&scratch);
  yolo_drawer_free (drawer);
}

/* Memory that no device has is not read, and the next frame is looked at all the same; a drawer
 * of the device's primary context needs no context. */
static void
test_unknown (void)
{
  g_autoptr (GError) error = NULL;
  YoloDrawer *drawer = yolo_drawer_new (test_device->index, NULL, &error);
  Random r = random_new (5);
  TestFrame t = test_frame_new (&r, YOLO_FORMAT_GRAY8, 64, 48, 0, false);
  uint8_t picture[48];
  YoloFrame frame = t.frame;
  YoloMotionView view = { .frame = &frame };
  CUdeviceptr memory;

  g_assert_no_error (error);
  yolo_motion_grid (&view.grid, &frame);
  g_assert_cmpuint (yolo_motion_size (&view.grid), ==, sizeof picture);
  frame.memory = YOLO_MEMORY_CUDA;
  frame.plane[0] = (const void *) (uintptr_t) 0x1234560000;
  g_assert_false (yolo_drawer_motion (drawer, &view, 1, picture, &error));
  g_assert_nonnull (strstr (error->message, "plane 0"));
  g_clear_error (&error);

  /* memory of the primary context */
  yolo_drawer_free (drawer);
  drawer = yolo_drawer_new (0, test_device->context, &error);
  memory = yolo_cuda_alloc (test_device, t.memory[0].size, "a test", &error);
  test_device->driver->cuMemcpyHtoD (memory, t.memory[0].data, t.memory[0].size);
  frame.plane[0] = (const void *) memory;
  g_assert_true (yolo_drawer_motion (drawer, &view, 1, picture, &error));
  yolo_cuda_free (test_device, memory);
  test_frame_free (&t);
  yolo_drawer_free (drawer);
}

static guint waits;
static const YoloCudaDriver *real;

static CUresult
count_wait (CUstream stream)
{
  waits++;
  return real->cuStreamSynchronize (stream);
}

/* The parts of a frame are looked at with one wait for the device. */
static void
test_parts (void)
{
  enum { PARTS = 5 };
  g_autoptr (GError) error = NULL;
  YoloDrawer *drawer = yolo_drawer_new (0, test_device->context, &error);
  YoloCudaDevice *device = ((YoloCudaDrawer *) drawer)->device;
  YoloMotionScratch scratch = { 0 };
  Random r = random_new (7);
  TestFrame t = test_frame_new (&r, YOLO_FORMAT_NV12, 131, 77, 3, false);
  guint8 expected[PARTS * MOST_BLOCKS], found[PARTS * MOST_BLOCKS];
  YoloFrame parts[PARTS];
  YoloMotionView views[PARTS];
  CUdeviceptr memory[3] = { 0 };
  const YoloFrame frame = upload (&t, memory);
  YoloCudaDriver counting;
  gsize size = 0;

  for (int i = 0; i < PARTS; i++) {
    YoloFrame host = t.frame;

    host.crop.x = 7 * i;
    host.crop.y = 5 * i;
    host.crop.width = 131 - 20 * i;
    host.crop.height = 70 - 10 * i;
    parts[i] = frame;
    parts[i].crop = host.crop;
    views[i].frame = &parts[i];
    yolo_motion_grid (&views[i].grid, &host);
    g_assert_true (yolo_motion_picture (&views[i].grid, &host, &scratch, expected + size));
    size += yolo_motion_size (&views[i].grid);
    g_assert_cmpuint (size, <=, sizeof expected);
  }
  real = device->driver;
  counting = *real;
  counting.cuStreamSynchronize = count_wait;
  device->driver = &counting;
  waits = 0;
  g_assert_true (yolo_drawer_motion (drawer, views, PARTS, found, &error));
  device->driver = real;
  g_assert_cmpuint (waits, ==, 1);
  g_assert_cmpmem (found, size, expected, size);
  for (int p = 0; p < t.n_planes; p++)
    yolo_cuda_free (test_device, memory[p]);
  test_frame_free (&t);
  yolo_motion_scratch_clear (&scratch);
  yolo_drawer_free (drawer);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  for (guint i = 0; i < YOLO_N_FORMATS; i++) {
    g_autofree char *path = g_strdup_printf ("/cuda/motion/%s", format_names[i]);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_format);
  }
  g_test_add_func ("/cuda/motion/parts", test_parts);
  g_test_add_func ("/cuda/motion/unknown", test_unknown);
  result = g_test_run ();
  test_device_close ();
  return result;
}
