/* SPDX-License-Identifier: MIT */
/* Letterbox geometry against what Python's arithmetic gives. */

#include "image/letterbox.h"
#include "tests/guarded.h"
#include "tests/image/expected.h"

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
    float got[4] = { b[0], b[1], b[2], b[3] };
    YoloLetterbox box;
    yolo_letterbox_init (&box, letterbox_cases[i].src_width, letterbox_cases[i].src_height,
        letterbox_cases[i].net_width, letterbox_cases[i].net_height);
    yolo_letterbox_to_frame (&box, got);
    for (int k = 0; k < 4; k++)
      g_assert_cmpfloat_with_epsilon (got[k], want[k], 1e-6f * (fabsf (want[k]) + 1));
  }
}

/* The network's whole input is at least the whole frame, and no more. */
static void
test_clip (void)
{
  YoloLetterbox box;
  float corner[4] = { -1e30f, -INFINITY, 1e30f, INFINITY };

  yolo_letterbox_init (&box, 1920, 1080, 640, 640);
  yolo_letterbox_to_frame (&box, corner);
  g_assert_cmpfloat (corner[0], ==, 0);
  g_assert_cmpfloat (corner[1], ==, 0);
  g_assert_cmpfloat (corner[2], ==, 1920);
  g_assert_cmpfloat (corner[3], ==, 1080);
}

/* What is found in a part of a frame that lies on its side is told in pixels of
 * the frame, and ends where the part ends. */
static void
test_crop (void)
{
  const YoloFrame frame = {
    .width = 400,
    .height = 300,
    .crop = { 100, 50, 200, 120 },
    .turn = YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_Y,
  };
  float corner[4] = { 10, 20, 60, 100 }, all[4] = { -1e9f, -1e9f, 1e9f, 1e9f };
  YoloLetterbox box;

  yolo_letterbox_frame (&box, &frame, 120, 200);
  g_assert_cmpint (box.x, ==, 100);
  g_assert_cmpint (box.y, ==, 50);
  /* upright (x, y) is column y, row 119 - x of the part */
  yolo_letterbox_to_frame (&box, corner);
  g_assert_cmpfloat (corner[0], ==, 120);
  g_assert_cmpfloat (corner[1], ==, 110);
  g_assert_cmpfloat (corner[2], ==, 200);
  g_assert_cmpfloat (corner[3], ==, 160);
  yolo_letterbox_to_frame (&box, all);
  g_assert_cmpfloat (all[0], ==, 100);
  g_assert_cmpfloat (all[1], ==, 50);
  g_assert_cmpfloat (all[2], ==, 300);
  g_assert_cmpfloat (all[3], ==, 170);
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
    yolo_letterbox_init (&box, random_int (&r, 1, 1 << bits),
        random_int (&r, 1, 1 << random_int (&r, 1, 14)), random_int (&r, 1, 2048),
        random_int (&r, 1, 2048));
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
  g_test_add_func ("/letterbox/crop", test_crop);
  g_test_add_func ("/letterbox/clip", test_clip);
  g_test_add_func ("/letterbox/auto", test_auto);
  g_test_add_func ("/letterbox/inside", test_inside);
  return g_test_run ();
}
