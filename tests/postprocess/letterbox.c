/* Letterbox geometry against what Python's arithmetic gives. */

#include "postprocess/letterbox.h"
#include "tests/guarded.h"
#include "tests/postprocess/expected.h"

#include <math.h>

static void
test_geometry (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (letterbox_cases); i++) {
    YoloLetterbox box;
    yolo_letterbox_init (&box, letterbox_cases[i].src_width, letterbox_cases[i].src_height,
        letterbox_cases[i].net_width, letterbox_cases[i].net_height);
    g_assert_cmpint (box.width, ==, letterbox_cases[i].width);
    g_assert_cmpint (box.height, ==, letterbox_cases[i].height);
    g_assert_cmpint (box.left, ==, letterbox_cases[i].left);
    g_assert_cmpint (box.top, ==, letterbox_cases[i].top);
  }
}

static void
test_to_frame (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (letterbox_cases); i++) {
    const float *b = letterbox_cases[i].net_box, *want = letterbox_cases[i].box;
    YoloDetection d = { .x1 = b[0], .y1 = b[1], .x2 = b[2], .y2 = b[3] };
    YoloLetterbox box;
    yolo_letterbox_init (&box, letterbox_cases[i].src_width, letterbox_cases[i].src_height,
        letterbox_cases[i].net_width, letterbox_cases[i].net_height);
    yolo_letterbox_to_frame (&box, &d, 1);
    const float got[4] = { d.x1, d.y1, d.x2, d.y2 };
    for (int k = 0; k < 4; k++)
      g_assert_cmpfloat_with_epsilon (got[k], want[k], 1e-6f * (fabsf (want[k]) + 1));
  }
}

/* The network's whole input is at least the whole frame, and no more. */
static void
test_clip (void)
{
  YoloLetterbox box;
  YoloDetection d = { .x1 = -1e30f, .y1 = -INFINITY, .x2 = 1e30f, .y2 = INFINITY };

  yolo_letterbox_init (&box, 1920, 1080, 640, 640);
  yolo_letterbox_to_frame (&box, &d, 1);
  g_assert_cmpfloat (d.x1, ==, 0);
  g_assert_cmpfloat (d.y1, ==, 0);
  g_assert_cmpfloat (d.x2, ==, 1920);
  g_assert_cmpfloat (d.y2, ==, 1080);
}

static void
test_auto (void)
{
  int width, height;

  for (size_t i = 0; i < G_N_ELEMENTS (auto_cases); i++) {
    yolo_letterbox_auto (auto_cases[i].src_width, auto_cases[i].src_height, auto_cases[i].size,
        auto_cases[i].stride, &width, &height);
    g_assert_cmpint (width, ==, auto_cases[i].net_width);
    g_assert_cmpint (height, ==, auto_cases[i].net_height);
  }
  yolo_letterbox_auto (1920, 1080, 620, 32, &width, &height);   /* no multiple of the stride */
  g_assert_cmpint (width, ==, 640);
  g_assert_cmpint (height, ==, 384);
}

/* Whatever the sizes: the scaled frame lies inside the input. */
static void
test_inside (void)
{
  Random r = random_new (3);

  for (int i = 0; i < 100000; i++) {
    YoloLetterbox box;
    int bits = random_int (&r, 1, 14);
    yolo_letterbox_init (&box, random_int (&r, 1, 1 << bits), random_int (&r, 1, 1 << random_int (&r, 1, 14)),
        random_int (&r, 1, 2048), random_int (&r, 1, 2048));
    g_assert_cmpint (box.width, >=, 1);
    g_assert_cmpint (box.height, >=, 1);
    g_assert_cmpint (box.left, >=, 0);
    g_assert_cmpint (box.top, >=, 0);
    g_assert_cmpint (box.left + box.width, <=, box.net_width);
    g_assert_cmpint (box.top + box.height, <=, box.net_height);
    g_assert_true (box.width == box.net_width || box.height == box.net_height);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/letterbox/geometry", test_geometry);
  g_test_add_func ("/letterbox/to-frame", test_to_frame);
  g_test_add_func ("/letterbox/clip", test_clip);
  g_test_add_func ("/letterbox/auto", test_auto);
  g_test_add_func ("/letterbox/inside", test_inside);
  return g_test_run ();
}
