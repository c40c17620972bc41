/* The fast preprocess against its definition, and the definition against the
 * formulas in real numbers. */

#include "postprocess/preprocess.h"
#include "postprocess/tensor.h"
#include "tests/postprocess/frames.h"

#include <math.h>
#include <omp.h>

static const char *const type_names[] = { "u8", "f32", "f16", "bf16" };

static void
compare (YoloPreprocess *pre, const YoloFrame *frame, int net_width, int net_height,
    YoloTensorType type, int channels)
{
  YoloLetterbox box;
  bool all = frame->crop.width == 0;
  size_t n = (size_t) net_width * net_height * channels;
  size_t size = n * yolo_tensor_element_size (type);
  Guarded fast = guarded_new (size), plain = guarded_new (size);

  yolo_letterbox_init (&box, all ? frame->width : frame->crop.width,
      all ? frame->height : frame->crop.height, net_width, net_height);
  g_assert_true (yolo_preprocess_run (pre, frame, &box, fast.data, type, channels));
  yolo_preprocess_reference (frame, &box, plain.data, type, channels);
  for (size_t i = 0; i < size; i++)
    if (fast.data[i] != plain.data[i])
      g_error ("%s %dx%d crop %d,%d %dx%d to %dx%d %s*%d: byte %zu is %d, not %d",
          format_names[frame->format], frame->width, frame->height, frame->crop.x, frame->crop.y,
          frame->crop.width, frame->crop.height, net_width, net_height, type_names[type], channels, i,
          fast.data[i], plain.data[i]);
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

/* One object for all sizes and formats: stale tables and scratch would show. */
static void
test_formats (void)
{
  YoloPreprocess *pre = yolo_preprocess_new ();
  Random r = random_new (1);

  for (int i = 0; i < 600; i++) {
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
    TestFrame t = test_frame_new (&r, format, width, height, random_int (&r, 0, 9), random_int (&r, 0, 1));
    random_colour (&r, &t.frame);
    if (random_int (&r, 0, 2) == 0)
      random_crop (&r, &t.frame);
    compare (pre, &t.frame, net_width, net_height, (YoloTensorType) random_int (&r, 0, 3),
        random_int (&r, 0, 1) ? 3 : random_int (&r, 3, 17));
    test_frame_free (&t);
  }
  yolo_preprocess_free (pre);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/preprocess/formats", test_formats);
  return g_test_run ();
}
