/* SPDX-License-Identifier: MIT */
#include "postprocess/track/polygon.h"

#include <math.h>

/* Twice the area of the triangle from, to, at; positive if @at lies to the right, y being
 * downwards. */
static double
cross (YoloPoint from, YoloPoint to, YoloPoint at)
{
  return (to.x - from.x) * (at.y - from.y) - (to.y - from.y) * (at.x - from.x);
}

double
yolo_line_distance (YoloPoint from, YoloPoint to, YoloPoint at)
{
  return cross (from, to, at) / hypot (to.x - from.x, to.y - from.y);
}

double
yolo_line_meet (YoloPoint from, YoloPoint to, YoloPoint before, YoloPoint now)
{
  double d0 = cross (from, to, before), d1 = cross (from, to, now);
  double share = d0 != d1 ? d0 / (d0 - d1) : 0;
  double x = before.x + share * (now.x - before.x), y = before.y + share * (now.y - before.y);
  double dx = to.x - from.x, dy = to.y - from.y;

  return ((x - from.x) * dx + (y - from.y) * dy) / (dx * dx + dy * dy);
}

/* The square of the distance of a point from the edge between two corners. */
static double
edge_distance2 (YoloPoint a, YoloPoint b, YoloPoint at)
{
  double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  double along = length2 > 0 ? ((at.x - a.x) * dx + (at.y - a.y) * dy) / length2 : 0;

  along = fmin (fmax (along, 0), 1);
  dx = at.x - a.x - along * dx;
  dy = at.y - a.y - along * dy;
  return dx * dx + dy * dy;
}

double
yolo_polygon_depth (const YoloPoint *corners, size_t n, YoloPoint at)
{
  double nearest = INFINITY;
  bool inside = false;

  for (size_t i = 0; i < n; i++) {
    YoloPoint a = corners[i], b = corners[i + 1 < n ? i + 1 : 0];

    /* the edge crosses the ray from the point to the right */
    if ((a.y > at.y) != (b.y > at.y) && at.x < a.x + (at.y - a.y) / (b.y - a.y) * (b.x - a.x))
      inside = !inside;
    nearest = fmin (nearest, edge_distance2 (a, b, at));
  }
  nearest = sqrt (nearest);
  return inside ? nearest : -nearest;
}

double
yolo_polygon_area (const YoloPoint *corners, size_t n)
{
  double sum = 0;

  for (size_t i = 2; i < n; i++)
    sum += cross (corners[0], corners[i - 1], corners[i]);
  return fabs (sum) / 2;
}

static int
sign (double x)
{
  return (x > 0) - (x < 0);
}

/* Whether a point that is in line with a and b lies between them. */
static bool
is_between (YoloPoint a, YoloPoint b, YoloPoint at)
{
  return at.x >= fmin (a.x, b.x) && at.x <= fmax (a.x, b.x) && at.y >= fmin (a.y, b.y)
      && at.y <= fmax (a.y, b.y);
}

/* Whether two segments have a point in common. */
static bool
segments_meet (YoloPoint a, YoloPoint b, YoloPoint c, YoloPoint d)
{
  int abc = sign (cross (a, b, c)), abd = sign (cross (a, b, d)), cda = sign (cross (c, d, a)),
      cdb = sign (cross (c, d, b));

  if (abc * abd < 0 && cda * cdb < 0)
    return true;
  return (abc == 0 && is_between (a, b, c)) || (abd == 0 && is_between (a, b, d))
      || (cda == 0 && is_between (c, d, a)) || (cdb == 0 && is_between (c, d, b));
}

bool
yolo_polygon_crosses_itself (const YoloPoint *corners, size_t n, size_t edges[2])
{
  for (size_t i = 0; i < n; i++)
    for (size_t j = i + 2; j < n; j++) {
      /* the last edge and the first follow each other */
      if ((i == 0 && j == n - 1)
          || !segments_meet (
              corners[i], corners[i + 1], corners[j], corners[j + 1 < n ? j + 1 : 0]))
        continue;
      edges[0] = i;
      edges[1] = j;
      return true;
    }
  return false;
}
