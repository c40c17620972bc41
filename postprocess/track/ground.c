/* SPDX-License-Identifier: MIT */
#include "postprocess/track/ground.h"

#include <math.h>
#include <string.h>

#define UNKNOWNS 8

/* Solves the equations a [8][9], whose last column is the right side, by Gaussian elimination
 * with the largest pivot of each column. False: they have no single solution. */
static bool
solve (double a[UNKNOWNS][UNKNOWNS + 1], double x[UNKNOWNS])
{
  for (int column = 0; column < UNKNOWNS; column++) {
    int pivot = column;

    for (int row = column + 1; row < UNKNOWNS; row++)
      if (fabs (a[row][column]) > fabs (a[pivot][column]))
        pivot = row;
    if (!(fabs (a[pivot][column]) > 1e-12))
      return false;
    for (int i = 0; i <= UNKNOWNS; i++) {
      double swapped = a[column][i];

      a[column][i] = a[pivot][i];
      a[pivot][i] = swapped;
    }
    for (int row = column + 1; row < UNKNOWNS; row++) {
      double factor = a[row][column] / a[column][column];

      for (int i = column; i <= UNKNOWNS; i++)
        a[row][i] -= factor * a[column][i];
    }
  }
  for (int row = UNKNOWNS - 1; row >= 0; row--) {
    x[row] = a[row][UNKNOWNS];
    for (int i = row + 1; i < UNKNOWNS; i++)
      x[row] -= a[row][i] * x[i];
    x[row] /= a[row][row];
  }
  return true;
}

/* The middle of four points, and the root of the mean square of their distances from it. */
static double
middle_and_scale (const YoloPoint points[4], YoloPoint *middle)
{
  double sum = 0;

  *middle = (YoloPoint) { 0, 0 };
  for (int i = 0; i < 4; i++) {
    middle->x += points[i].x / 4;
    middle->y += points[i].y / 4;
  }
  for (int i = 0; i < 4; i++)
    sum += pow (points[i].x - middle->x, 2) + pow (points[i].y - middle->y, 2);
  return sqrt (sum / 4);
}

/* Whether no three of four points are in line, or nearly so. */
static bool
span_a_plane (const YoloPoint points[4], double scale)
{
  for (int i = 0; i < 4; i++) {
    YoloPoint triangle[3] = { points[i], points[(i + 1) % 4], points[(i + 2) % 4] };

    if (!(yolo_polygon_area (triangle, 3) > 1e-4 * scale * scale))
      return false;
  }
  return true;
}

/* The direct linear transformation with the lower right element 1, on points that are moved to
 * their middle and scaled, where it is not 0: Hartley and Zisserman, "Multiple View Geometry",
 * 2nd edition, 4.1 and 4.4.4. */
bool
yolo_ground_solve (YoloGround *ground, const YoloPoint pixels[4], const YoloPoint metres[4])
{
  double a[UNKNOWNS][UNKNOWNS + 1], *m = ground->matrix;
  YoloPoint middle, ground_middle;
  double ground_scale = middle_and_scale (metres, &ground_middle);

  ground->scale = middle_and_scale (pixels, &middle);
  ground->x = middle.x;
  ground->y = middle.y;
  if (!span_a_plane (pixels, ground->scale) || !span_a_plane (metres, ground_scale))
    return false;
  for (int i = 0; i < 4; i++) {
    double x = (pixels[i].x - middle.x) / ground->scale;
    double y = (pixels[i].y - middle.y) / ground->scale;
    double u = (metres[i].x - ground_middle.x) / ground_scale;
    double v = (metres[i].y - ground_middle.y) / ground_scale;

    memcpy (a[2 * i], (double[]){ x, y, 1, 0, 0, 0, -u * x, -u * y, u }, sizeof (a[0]));
    memcpy (a[2 * i + 1], (double[]){ 0, 0, 0, x, y, 1, -v * x, -v * y, v }, sizeof (a[0]));
  }
  if (!solve (a, m))
    return false;
  m[8] = 1;
  for (int i = 0; i < 3; i++) {
    m[i] = m[i] * ground_scale + ground_middle.x * m[6 + i];
    m[3 + i] = m[3 + i] * ground_scale + ground_middle.y * m[6 + i];
  }
  for (int i = 0; i < 4; i++) {
    YoloPoint point;

    if (!yolo_ground_map (ground, pixels[i], &point, (double[4]){ 0 }))
      return false;
  }
  return true;
}

bool
yolo_ground_map (
    const YoloGround *ground, YoloPoint pixel, YoloPoint *metres, double jacobian[4])
{
  const double *m = ground->matrix;
  double x = (pixel.x - ground->x) / ground->scale, y = (pixel.y - ground->y) / ground->scale;
  double w = m[6] * x + m[7] * y + m[8];

  /* 1 in the middle of the four points, 0 at the horizon, where a pixel has no size any more */
  if (!(w > 1e-3))
    return false;
  metres->x = (m[0] * x + m[1] * y + m[2]) / w;
  metres->y = (m[3] * x + m[4] * y + m[5]) / w;
  jacobian[0] = (m[0] - metres->x * m[6]) / (w * ground->scale);
  jacobian[1] = (m[1] - metres->x * m[7]) / (w * ground->scale);
  jacobian[2] = (m[3] - metres->y * m[6]) / (w * ground->scale);
  jacobian[3] = (m[4] - metres->y * m[7]) / (w * ground->scale);
  return true;
}
