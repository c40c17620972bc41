/* SPDX-License-Identifier: MIT */
/* The linear assignment against all assignments that there are, and the filter of a coordinate
 * against a general one, by matrices. */

#include "postprocess/track/assign.h"
#include "postprocess/track/kalman.h"
#include "tests/guarded.h"

#include <math.h>
#include <stdbool.h>

#define MOST 6

/* The least sum of (cost - limit) over all sets of pairs; NaN: no pair. */
static double
least (double cost[MOST][MOST], int row, int n_rows, int n_columns, unsigned used, double limit)
{
  if (row == n_rows)
    return 0;
  double best = least (cost, row + 1, n_rows, n_columns, used, limit);
  for (int j = 0; j < n_columns; j++)
    if (!(used >> j & 1) && !isnan (cost[row][j]))
      best = fmin (best, cost[row][j] - limit
          + least (cost, row + 1, n_rows, n_columns, used | 1u << j, limit));
  return best;
}

/* Solves, and returns the sum of (cost - limit); the result must be a set of pairs. */
static double
solve (YoloAssignment *a, double cost[MOST][MOST], int n_rows, int n_columns, double limit)
{
  double sum = 0;

  yolo_assignment_begin (a, (size_t) n_columns, limit);
  for (int i = 0; i < n_rows; i++) {
    for (int j = 0; j < n_columns; j++)
      yolo_assignment_pair (a, (size_t) j, cost[i][j]);
    yolo_assignment_end_row (a);
  }
  yolo_assignment_solve (a);
  for (int i = 0; i < n_rows; i++) {
    if (a->column_of[i] < 0)
      continue;
    g_assert_cmpint (a->column_of[i], <, n_columns);
    g_assert_cmpint (a->row_of[a->column_of[i]], ==, i);
    sum += cost[i][a->column_of[i]] - limit;
  }
  for (int j = 0; j < n_columns; j++)
    if (a->row_of[j] >= 0)
      g_assert_cmpint (a->column_of[a->row_of[j]], ==, j);
  return sum;
}

static void
test_against_all (void)
{
  Random r = random_new (1);
  YoloAssignment a = { 0 };
  double cost[MOST][MOST];
  int left = 0;

  for (int n = 0; n < 20000; n++) {
    int n_rows = random_int (&r, 0, MOST), n_columns = random_int (&r, 0, MOST);
    double limit = random_unit (&r), holes = random_unit (&r);
    bool whole = n % 3 == 0;    /* many costs are equal */
    for (int i = 0; i < n_rows; i++)
      for (int j = 0; j < n_columns; j++)
        cost[i][j] = random_unit (&r) < holes ? (double) NAN
            : whole ? random_int (&r, -2, 4) / 4. : random_unit (&r);
    g_assert_true (yolo_assignment_reserve (&a, (size_t) n_rows, (size_t) n_columns));
    double sum = solve (&a, cost, n_rows, n_columns, limit);
    g_assert_cmpfloat (fabs (sum - least (cost, 0, n_rows, n_columns, 0, limit)), <, 1e-9);
    for (int i = 0; i < n_rows; i++)
      left += a.column_of[i] < 0;
  }
  g_assert_cmpint (left, >, 1000);
  yolo_assignment_clear (&a);
}

/* "Solve, then drop" would give row 0 its column 1, since both rows then have one. */
static void
test_limit_inside (void)
{
  YoloAssignment a = { 0 };
  double cost[MOST][MOST] = { { .1, .6 }, { .2, .9 } };

  g_assert_true (yolo_assignment_reserve (&a, 2, 2));
  solve (&a, cost, 2, 2, .5);
  g_assert_cmpint (a.column_of[0], ==, 0);
  g_assert_cmpint (a.column_of[1], ==, -1);
  yolo_assignment_clear (&a);
}

static void
test_too_large (void)
{
  YoloAssignment a = { 0 };

  g_assert_false (yolo_assignment_reserve (&a, 1, SIZE_MAX));
  g_assert_false (yolo_assignment_reserve (&a, SIZE_MAX, 1));
  yolo_assignment_clear (&a);
}

/* P of x and v, row by row. */
typedef struct {
  double x[2], p[2][2];
} Filter;

static void
plain_predict (Filter *f, double q, double s)
{
  double p[2][2];

  f->x[0] += f->x[1];
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      p[i][j] = f->p[i][j] + (i == 0 ? f->p[1][j] : 0) + (j == 0 ? f->p[i][1] : 0)
          + (i == 0 && j == 0 ? f->p[1][1] : 0);
  p[0][0] += q;
  p[1][1] += s;
  memcpy (f->p, p, sizeof p);
}

static void
plain_correct (Filter *f, double z, double r)
{
  double k[2] = { f->p[0][0] / (f->p[0][0] + r), f->p[1][0] / (f->p[0][0] + r) };
  double off = z - f->x[0], p[2][2];

  for (int i = 0; i < 2; i++) {
    f->x[i] += k[i] * off;
    for (int j = 0; j < 2; j++)
      p[i][j] = f->p[i][j] - k[i] * f->p[0][j];
  }
  memcpy (f->p, p, sizeof p);
}

static void
near (double a, double b)
{
  g_assert_cmpfloat (fabs (a - b), <=, 1e-9 * (1 + fabs (a)));
}

static void
test_filter (void)
{
  Random r = random_new (2);
  YoloKalman k;
  Filter f = { .x = { 5, 0 }, .p = { { 4, 0 }, { 0, 9 } } };

  yolo_kalman_begin (&k, 5, 4, 9);
  for (int n = 0; n < 200; n++) {
    double q = random_unit (&r), s = random_unit (&r) / 64, z = 20 * random_unit (&r);
    int steps = random_int (&r, 1, 5);
    yolo_kalman_predict (&k, steps, q, s);
    for (int i = 0; i < steps; i++)
      plain_predict (&f, q, s);
    yolo_kalman_correct (&k, z, .5);
    plain_correct (&f, z, .5);
    near (k.x, f.x[0]);
    near (k.v, f.x[1]);
    near (k.xx, f.p[0][0]);
    near (k.xv, f.p[0][1]);
    near (k.xv, f.p[1][0]);
    near (k.vv, f.p[1][1]);
  }
}

/* Parts of a frame: what they add has to be a covariance, and many of them are about a whole. */
static void
test_parts (void)
{
  for (int parts = 1; parts <= 16; parts *= 2) {
    YoloKalman k = { .v = 3 };
    yolo_kalman_predict (&k, 1. / parts, 1, 1. / 64);
    g_assert_cmpfloat (k.xx, >, 0);
    g_assert_cmpfloat (k.vv, >, 0);
    g_assert_cmpfloat (k.xx * k.vv - k.xv * k.xv, >, 0);
    for (int i = 1; i < parts; i++)
      yolo_kalman_predict (&k, 1. / parts, 1, 1. / 64);
    near (k.x, 3);
    near (k.vv, 1. / 64);
    g_assert_cmpfloat (fabs (k.xx - 1), <, .02);
  }
}

/* After a million frames and a correction, a covariance is still one. */
static void
test_long (void)
{
  Random r = random_new (6);

  for (int run = 0; run < 1000; run++) {
    YoloKalman k;
    yolo_kalman_begin (&k, 0, 1, 1);
    for (int i = 0; i < 20; i++) {
      yolo_kalman_predict (&k, pow (10, 6 * random_unit (&r)), 1, 1. / 64);
      yolo_kalman_correct (&k, 100 * random_unit (&r), pow (10, -6 * random_unit (&r)));
      g_assert_cmpfloat (k.xx, >, 0);
      g_assert_cmpfloat (k.vv, >, 0);
      g_assert_cmpfloat (k.xx * k.vv - k.xv * k.xv, >, 0);
    }
  }
}

/* A quarter turn moves what belongs to one coordinate to the other. */
static void
test_camera (void)
{
  YoloKalman x = { 1, 2, 3, 4, 5 }, y = { 6, 7, 8, 9, 10 };

  yolo_kalman_move (&x, &y, (float[6]) { 0, -1, 100, 2, 0, 200 });
  near (x.x, 94);
  near (x.v, -7);
  near (x.xx, 8);
  near (x.xv, 9);
  near (x.vv, 10);
  near (y.x, 202);
  near (y.v, 4);
  near (y.xx, 12);
  near (y.xv, 16);
  near (y.vv, 20);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/assign/against-all", test_against_all);
  g_test_add_func ("/assign/limit-inside", test_limit_inside);
  g_test_add_func ("/assign/too-large", test_too_large);
  g_test_add_func ("/assign/filter", test_filter);
  g_test_add_func ("/assign/filter-parts", test_parts);
  g_test_add_func ("/assign/filter-long", test_long);
  g_test_add_func ("/assign/filter-camera", test_camera);
  return g_test_run ();
}
