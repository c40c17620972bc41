/* SPDX-License-Identifier: MIT */
#include "postprocess/merge.h"

#include "postprocess/nms.h"

#include <math.h>
#include <string.h>

/* Two boxes are the same object if they share as much of the smaller one, or more: what the paper's
 * implementation has as its default. */
#define THRESHOLD .5f

static float
area (const YoloObject *d)
{
  return (d->x2 - d->x1) * (d->y2 - d->y1);
}

static float
smaller (float a, float b)
{
  return a < b ? a : b;
}

static float
larger (float a, float b)
{
  return a > b ? a : b;
}

/* Four corners that four lines have cut: each line adds one at most. */
typedef struct {
  float x[8], y[8];
  int n;
} Polygon;

/* The corners of a turned box, clockwise as y goes down. */
static Polygon
corners (const YoloObject *d)
{
  static const float side[4][2] = { { -1, -1 }, { 1, -1 }, { 1, 1 }, { -1, 1 } };
  float x = (d->x1 + d->x2) / 2, y = (d->y1 + d->y2) / 2;
  float w = (d->x2 - d->x1) / 2, h = (d->y2 - d->y1) / 2;
  float cosine = cosf (d->angle), sine = sinf (d->angle);
  Polygon polygon = { .n = 4 };

  for (int k = 0; k < 4; k++) {
    float right = side[k][0] * w, down = side[k][1] * h;

    polygon.x[k] = x + right * cosine - down * sine;
    polygon.y[k] = y + right * sine + down * cosine;
  }
  return polygon;
}

/* What of a convex polygon lies to the right of the line from (x1, y1) to (x2, y2), as y goes
 * down. Source: I. Sutherland and G. Hodgman, "Reentrant Polygon Clipping", 1974. */
static Polygon
cut (const Polygon *polygon, float x1, float y1, float x2, float y2)
{
  Polygon rest = { .n = 0 };

  for (int k = 0; k < polygon->n; k++) {
    int next = k + 1 < polygon->n ? k + 1 : 0;
    float x = polygon->x[k], y = polygon->y[k];
    float here = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
    float there = (x2 - x1) * (polygon->y[next] - y1) - (y2 - y1) * (polygon->x[next] - x1);

    if (here >= 0 && rest.n < 8) {
      rest.x[rest.n] = x;
      rest.y[rest.n++] = y;
    }
    if ((here < 0) != (there < 0) && rest.n < 8) {
      float part = here / (here - there);

      rest.x[rest.n] = x + part * (polygon->x[next] - x);
      rest.y[rest.n++] = y + part * (polygon->y[next] - y);
    }
  }
  return rest;
}

static float
turned_intersection (const YoloObject *a, const YoloObject *b)
{
  Polygon both = corners (a), other = corners (b);
  float twice = 0;

  for (int k = 0; k < 4; k++) {
    int next = (k + 1) % 4;

    both = cut (&both, other.x[k], other.y[k], other.x[next], other.y[next]);
  }
  /* relative to the first corner, so that large coordinates do not cost precision */
  for (int k = 1; k + 1 < both.n; k++)
    twice += (both.x[k] - both.x[0]) * (both.y[k + 1] - both.y[0])
        - (both.x[k + 1] - both.x[0]) * (both.y[k] - both.y[0]);
  return fabsf (twice) / 2;
}

static float
intersection (const YoloObject *a, const YoloObject *b)
{
  float w, h;

  if (a->angle != 0 || b->angle != 0)
    return turned_intersection (a, b);
  w = smaller (a->x2, b->x2) - larger (a->x1, b->x1);
  h = smaller (a->y2, b->y2) - larger (a->y1, b->y1);
  return w > 0 && h > 0 ? w * h : 0;
}

float
yolo_ios (const YoloObject *a, const YoloObject *b)
{
  return intersection (a, b) / smaller (area (a), area (b));
}

typedef struct {
  YoloObject *objects;
  size_t kept;
  const YoloSighting *seen;
  bool agnostic;
} Merge;

/* The kept object, other than number @self, that shares most with @d, if it is the same; or
 * merge->kept. */
static size_t
find (const Merge *merge, const YoloObject *d, size_t self)
{
  size_t best = merge->kept;
  float most = 0;

  for (size_t k = 0; k < merge->kept; k++) {
    const YoloObject *other = &merge->objects[k];
    float ios;

    if (k == self || (!merge->agnostic && other->class_id != d->class_id)
        || merge->seen[other->anchor].part == merge->seen[d->anchor].part)
      continue;
    ios = yolo_ios (other, d);
    if (ios >= THRESHOLD && ios > most) {       /* NaN is not */
      most = ios;
      best = k;
    }
  }
  return best;
}

/* Takes @d, which is the less confident one, into @better. Whether the box of that grew. */
static bool
join (const Merge *merge, YoloObject *better, const YoloObject *d)
{
  bool cut_better = merge->seen[better->anchor].cut, cut_d = merge->seen[d->anchor].cut;

  if (cut_better && !cut_d) {
    float confidence = better->confidence;

    *better = *d;
    better->confidence = confidence;
    return true;
  }
  if (!cut_better || better->angle != 0 || d->angle != 0)
    return false;
  better->x1 = smaller (better->x1, d->x1);
  better->y1 = smaller (better->y1, d->y1);
  better->x2 = larger (better->x2, d->x2);
  better->y2 = larger (better->y2, d->y2);
  return true;
}

/* Kept object number @grown has another box: joins it with those that it now is the same as. */
static void
join_neighbours (Merge *merge, size_t grown)
{
  size_t other;

  while ((other = find (merge, &merge->objects[grown], grown)) < merge->kept) {
    size_t better = other < grown ? other : grown, worse = other < grown ? grown : other;
    YoloObject d = merge->objects[worse];

    merge->kept--;
    memmove (&merge->objects[worse], &merge->objects[worse + 1],
        (merge->kept - worse) * sizeof d);
    join (merge, &merge->objects[better], &d);
    grown = better;
  }
}

size_t
yolo_merge (YoloObject *objects, size_t n, const YoloSighting *seen, bool agnostic, size_t max,
    YoloObject *scratch)
{
  Merge merge = { objects, 0, seen, agnostic };

  yolo_best (objects, n, n, scratch);
  for (size_t i = 0; i < n; i++) {
    YoloObject d = objects[i];
    size_t same = find (&merge, &d, n);

    /* what is less confident than @max others stays out even if some of these are joined later:
     * so the cost is bounded by n x max */
    if (same == merge.kept && merge.kept < max)
      objects[merge.kept++] = d;
    else if (same < merge.kept && join (&merge, &objects[same], &d))
      join_neighbours (&merge, same);
  }
  return merge.kept;
}

size_t
yolo_merge_drop (const YoloObject *kept, size_t n_kept, YoloObject *weak, size_t n,
    const YoloSighting *seen, bool agnostic)
{
  const Merge merge = { (YoloObject *) kept, n_kept, seen, agnostic };
  size_t left = 0;

  for (size_t i = 0; i < n; i++)
    if (find (&merge, &weak[i], n_kept) == n_kept)
      weak[left++] = weak[i];
  return left;
}
