/* SPDX-License-Identifier: MIT */
/* The geometry under lines and zones: sides, polygons, the ground plane, its filter, heat. */

#include "postprocess/track/ground.h"
#include "postprocess/track/heat.h"
#include "postprocess/track/kalman.h"
#include "tests/guarded.h"

#include <math.h>

static void
test_line (void)
{
  const YoloPoint from = { 10, 20 }, to = { 30, 20 };

  /* looking to the right, what is below is to the right */
  g_assert_cmpfloat_with_epsilon (
      yolo_line_distance (from, to, (YoloPoint){ 0, 27 }), 7, 1e-12);
  g_assert_cmpfloat_with_epsilon (
      yolo_line_distance (from, to, (YoloPoint){ 99, 12 }), -8, 1e-12);
  g_assert_true (yolo_line_distance (from, to, (YoloPoint){ 50, 20 }) == 0);
  g_assert_cmpfloat_with_epsilon (
      yolo_line_meet (from, to, (YoloPoint){ 15, 10 }, (YoloPoint){ 15, 50 }), .25, 1e-12);
  /* three quarters of the way are behind the line */
  g_assert_cmpfloat_with_epsilon (
      yolo_line_meet (from, to, (YoloPoint){ 30, 10 }, (YoloPoint){ 70, 50 }), 1.5, 1e-12);
  /* the way begins on the line */
  g_assert_cmpfloat_with_epsilon (
      yolo_line_meet (from, to, (YoloPoint){ 20, 20 }, (YoloPoint){ 90, 50 }), .5, 1e-12);
}

/* An L: the square 0 to 4 without that of 2 to 4. */
static const YoloPoint ell[] = { { 0, 0 }, { 4, 0 }, { 4, 2 }, { 2, 2 }, { 2, 4 }, { 0, 4 } };

static void
test_depth (void)
{
  YoloPoint backwards[6];
  Random r = random_new (3);

  for (guint i = 0; i < 6; i++)
    backwards[i] = ell[5 - i];
  g_assert_cmpfloat_with_epsilon (yolo_polygon_depth (ell, 6, (YoloPoint){ 1, 3 }), 1, 1e-12);
  g_assert_cmpfloat_with_epsilon (
      yolo_polygon_depth (ell, 6, (YoloPoint){ 1, 1 }), 1, 1e-12);
  g_assert_cmpfloat_with_epsilon (
      yolo_polygon_depth (ell, 6, (YoloPoint){ 3, 3 }), -1, 1e-12);
  g_assert_cmpfloat_with_epsilon (
      yolo_polygon_depth (ell, 6, (YoloPoint){ 7, 6 }), -5, 1e-12);
  g_assert_true (fabs (yolo_polygon_depth (ell, 6, (YoloPoint){ 2, 3 })) == 0);
  g_assert_cmpfloat_with_epsilon (yolo_polygon_area (ell, 6), 12, 1e-12);
  g_assert_cmpfloat_with_epsilon (yolo_polygon_area (backwards, 6), 12, 1e-12);
  for (guint i = 0; i < 2000; i++) {
    const YoloPoint at = { random_unit (&r) * 6 - 1, random_unit (&r) * 6 - 1 };
    const gboolean inside =
        at.x > 0 && at.y > 0 && at.x < 4 && at.y < 4 && (at.x < 2 || at.y < 2);

    g_assert_true ((yolo_polygon_depth (ell, 6, at) > 0) == inside);
    g_assert_true (yolo_polygon_depth (ell, 6, at) == yolo_polygon_depth (backwards, 6, at));
  }
}

static void
test_crossing_itself (void)
{
  const YoloPoint bow[] = { { 0, 0 }, { 4, 4 }, { 4, 0 }, { 0, 4 } },
                  touching[] = { { 0, 0 }, { 4, 0 }, { 4, 4 }, { 2, 0 }, { 0, 4 } };
  size_t edges[2] = { 9, 9 };

  g_assert_false (yolo_polygon_crosses_itself (ell, 6, edges));
  g_assert_false (yolo_polygon_crosses_itself (ell, 3, edges));
  g_assert_true (yolo_polygon_crosses_itself (bow, 4, edges));
  g_assert_cmpuint (edges[0], ==, 0);
  g_assert_cmpuint (edges[1], ==, 2);
  g_assert_true (yolo_polygon_crosses_itself (touching, 5, edges));
}

/* Where a made-up camera sees a place on the ground. */
static YoloPoint
see (YoloPoint ground)
{
  const gdouble w = .02 * ground.x + .05 * ground.y + 1.5;

  return (YoloPoint) { (400 * ground.x - 30 * ground.y + 500) / w,
    (-20 * ground.x + 50 * ground.y + 900) / w };
}

static void
test_ground (void)
{
  const YoloPoint metres[4] = { { 0, 0 }, { 10, 1 }, { 9, 12 }, { -1, 10 } };
  YoloPoint pixels[4], at, beside;
  YoloGround ground;
  Random r = random_new (1);
  gdouble j[4], unused[4];

  for (guint i = 0; i < 4; i++)
    pixels[i] = see (metres[i]);
  g_assert_true (yolo_ground_solve (&ground, pixels, metres));
  for (guint i = 0; i < 1000; i++) {
    const YoloPoint place = { random_unit (&r) * 30 - 10, random_unit (&r) * 30 - 10 };
    YoloPoint pixel = see (place);

    g_assert_true (yolo_ground_map (&ground, pixel, &at, j));
    g_assert_cmpfloat_with_epsilon (at.x, place.x, 1e-7);
    g_assert_cmpfloat_with_epsilon (at.y, place.y, 1e-7);
    pixel.x += 1e-4;
    g_assert_true (yolo_ground_map (&ground, pixel, &beside, unused));
    g_assert_cmpfloat_with_epsilon ((beside.x - at.x) / 1e-4, j[0], 1e-3 * (fabs (j[0]) + .01));
    g_assert_cmpfloat_with_epsilon ((beside.y - at.y) / 1e-4, j[2], 1e-3 * (fabs (j[2]) + .01));
    pixel.x -= 1e-4;
    pixel.y += 1e-4;
    g_assert_true (yolo_ground_map (&ground, pixel, &beside, unused));
    g_assert_cmpfloat_with_epsilon ((beside.x - at.x) / 1e-4, j[1], 1e-3 * (fabs (j[1]) + .01));
    g_assert_cmpfloat_with_epsilon ((beside.y - at.y) / 1e-4, j[3], 1e-3 * (fabs (j[3]) + .01));
  }
}

static void
test_no_ground (void)
{
  const YoloPoint square[4] = { { 0, 0 }, { 10, 0 }, { 10, 10 }, { 0, 10 } },
                  in_line[4] = { { 0, 0 }, { 10, 0 }, { 20, 0 }, { 0, 10 } },
                  crossed[4] = { { 0, 0 }, { 10, 10 }, { 10, 0 }, { 0, 10 } },
                  nowhere[4] = { { 3, 3 }, { 3, 3 }, { 3, 3 }, { 3, 3 } },
                  road[4] = { { 300, 500 }, { 500, 500 }, { 450, 200 }, { 350, 200 } };
  YoloGround ground;
  YoloPoint at;
  gdouble j[4];

  g_assert_false (yolo_ground_solve (&ground, in_line, square));
  g_assert_false (yolo_ground_solve (&ground, square, in_line));
  g_assert_false (yolo_ground_solve (&ground, square, crossed));
  g_assert_false (yolo_ground_solve (&ground, nowhere, square));
  /* the sides of the road meet in row -100 */
  g_assert_true (yolo_ground_solve (&ground, road, square));
  g_assert_true (yolo_ground_map (&ground, (YoloPoint){ 400, -90 }, &at, j));
  g_assert_false (yolo_ground_map (&ground, (YoloPoint){ 400, -100 }, &at, j));
  g_assert_false (yolo_ground_map (&ground, (YoloPoint){ 400, -300 }, &at, j));
}

/* The filter finds a velocity out of noisy places, however far apart they come, and is as sure
 * of it as it should be. */
static void
test_motion (void)
{
  Random r = random_new (7);
  gdouble errors = 0, variances = 0;

  for (guint k = 0; k < 200; k++) {
    const gdouble velocity = random_unit (&r) * 4 - 2;
    gdouble time = 0;
    YoloKalman motion;

    yolo_kalman_begin (&motion, random_normal (&r) * .1, .01, 25);
    for (guint i = 0; i < 40; i++) {
      const gdouble dt = .02 + .2 * random_unit (&r);

      time += dt;
      yolo_kalman_accelerate (&motion, dt, 0);
      yolo_kalman_correct (&motion, velocity * time + .1 * random_normal (&r), .01);
    }
    g_assert_cmpfloat (fabs (motion.x - velocity * time), <, .2);
    errors += pow (motion.v - velocity, 2);
    variances += motion.vv;
  }
  g_assert_cmpfloat (errors, <, 1.5 * variances);
  g_assert_cmpfloat (errors, >, .6 * variances);
}

/* With noise it follows what turns round; one long step is as sure as two that make it up. */
static void
test_turn (void)
{
  YoloKalman motion, once, twice;

  yolo_kalman_begin (&motion, 0, .01, 25);
  for (guint i = 1; i < 80; i++) {
    yolo_kalman_accelerate (&motion, .1, .5);
    yolo_kalman_correct (&motion, i < 40 ? i * .1 : 8 - i * .1, .01);
    if (i == 39)
      g_assert_cmpfloat_with_epsilon (motion.v, 1, .01);
  }
  g_assert_cmpfloat_with_epsilon (motion.v, -1, .05);
  once = twice = motion;
  yolo_kalman_accelerate (&once, .8, .5);
  yolo_kalman_accelerate (&twice, .3, .5);
  yolo_kalman_accelerate (&twice, .5, .5);
  g_assert_cmpfloat_with_epsilon (once.x, twice.x, 1e-12);
  g_assert_cmpfloat_with_epsilon (once.xx, twice.xx, 1e-12);
  g_assert_cmpfloat_with_epsilon (once.xv, twice.xv, 1e-12);
  g_assert_cmpfloat_with_epsilon (once.vv, twice.vv, 1e-12);
}

static void
test_heat (void)
{
  YoloHeat heat;

  g_assert_false (yolo_heat_init (&heat, 0, 4));
  g_assert_false (yolo_heat_init (&heat, 4, YOLO_HEAT_MAX_SIDE + 1));
  g_assert_true (yolo_heat_init (&heat, 4, 2));
  yolo_heat_add (&heat, .3, .6, 2);
  yolo_heat_add (&heat, .49, .99, 1);
  yolo_heat_add (&heat, 1, 1, .5);
  yolo_heat_add (&heat, -3, -1, .25);
  g_assert_cmpfloat (heat.seconds[4 + 1], ==, 3);
  g_assert_cmpfloat (heat.seconds[4 + 3], ==, .5);
  g_assert_cmpfloat (heat.seconds[0], ==, .25);
  yolo_heat_reset (&heat);
  for (guint i = 0; i < 4 * 2; i++)
    g_assert_cmpfloat (heat.seconds[i], ==, 0);
  yolo_heat_clear (&heat);
  g_assert_cmphex (yolo_heat_color (0), ==, 0);
  g_assert_cmphex (yolo_heat_color (-1), ==, 0);
  g_assert_cmphex (yolo_heat_color (1), ==, 0xcccc0000);
  g_assert_cmphex (yolo_heat_color (2), ==, 0xcccc0000);
  g_assert_cmphex (yolo_heat_color (.5), ==, 0xcc00cc00);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/polygon/line", test_line);
  g_test_add_func ("/polygon/depth", test_depth);
  g_test_add_func ("/polygon/crosses-itself", test_crossing_itself);
  g_test_add_func ("/polygon/ground", test_ground);
  g_test_add_func ("/polygon/no-ground", test_no_ground);
  g_test_add_func ("/polygon/motion", test_motion);
  g_test_add_func ("/polygon/turn", test_turn);
  g_test_add_func ("/polygon/heat", test_heat);
  return g_test_run ();
}
