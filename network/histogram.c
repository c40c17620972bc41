/* SPDX-License-Identifier: MIT */
#include "network/histogram.h"

#include <math.h>

#define BINS YOLO_HISTOGRAM_BINS
#define LIMIT (G_MAXFLOAT / 4)  /* numbers beyond it count as bad */
#define PERCENTILE 1e-4         /* share of all numbers that is left out at each end */
#define CANDIDATES 100u         /* how many ends of ranges are tried above 0 */
#define CANDIDATES_BELOW 25u
/* the smallest end that is tried, as a share of the farthest number seen */
#define SMALLEST .2f

static void
make_room (YoloHistogramSide *side, float farthest)
{
  side->farthest = MAX (side->farthest, farthest);
  if (side->width == 0 && farthest > 0)
    side->width = MAX (farthest / (BINS / 2), 1e-30f);
  while (side->farthest >= side->width * BINS && side->farthest > 0) {
    for (guint i = 0; i < BINS / 2; i++)
      side->bins[i] = side->bins[2 * i] + side->bins[2 * i + 1];
    for (guint i = BINS / 2; i < BINS; i++)
      side->bins[i] = 0;
    side->width *= 2;
  }
}

/* Widens both sides until they hold all @n numbers but the bad ones. */
static void
make_room_for (YoloHistogram *h, const float *values, gsize n)
{
  float min = 0, max = 0;

  for (gsize i = 0; i < n; i++) {
    gboolean good = fabsf (values[i]) <= LIMIT;
    min = good && values[i] < min ? values[i] : min;
    max = good && values[i] > max ? values[i] : max;
  }
  make_room (&h->below, -min);
  make_room (&h->above, max);
}

/* Calibration counts all numbers of a network, so that counting has to cost little beside
 * running it. Hardly any number is farther from 0 than all before it, so the branch is
 * free. */
void
yolo_histogram_add (YoloHistogram *h, const float *values, gsize n)
{
  YoloHistogramSide *sides[2] = { &h->above, &h->below };
  float farthest[2] = { h->above.farthest, h->below.farthest };
  float per_width[2] = { h->above.width > 0 ? 1 / h->above.width : 0,
    h->below.width > 0 ? 1 / h->below.width : 0 };
  gsize bad = 0;

  for (gsize i = 0; i < n; i++) {
    guint side = values[i] < 0;
    float distance = fabsf (values[i]);

    if (G_UNLIKELY (!(distance <= farthest[side]))) {   /* a new farthest number, or NaN */
      if (!(distance <= LIMIT)) {
        bad++;
        continue;
      }
      make_room_for (h, values + i, n - i);
      for (guint k = 0; k < 2; k++) {
        farthest[k] = sides[k]->farthest;
        per_width[k] = sides[k]->width > 0 ? 1 / sides[k]->width : 0;
      }
    }
    sides[side]->bins[MIN ((guint) (distance * per_width[side]), BINS - 1)]++;
  }
  h->bad += bad;
  h->n += n - bad;
}

/* Of one side, sums over the bins in front of each bin: how many numbers there are, their
 * distances from 0 and the squares of these. A number counts as lying in the middle of its
 * bin. */
typedef struct {
  const YoloHistogramSide *side;
  guint n_bins;                 /* bins up to the one of the farthest number */
  double n[BINS + 1], x[BINS + 1], xx[BINS + 1];
} Sums;

static Sums *
sums_new (const YoloHistogramSide *side)
{
  Sums *sums = g_new0 (Sums, 1);
  guint i;

  sums->side = side;
  for (i = 0; i < BINS && i * side->width <= side->farthest; i++) {
    double at = (i + .5) * side->width, n = (double) side->bins[i];

    sums->n[i + 1] = sums->n[i] + n;
    sums->x[i + 1] = sums->x[i] + n * at;
    sums->xx[i + 1] = sums->xx[i] + n * at * at;
  }
  sums->n_bins = i;
  return sums;
}

/* Sum of the squared errors of one side's numbers, rounded to a grid of so many steps from
 * 0. */
static double
side_error (const Sums *sums, double step, guint steps)
{
  double error = 0, per_width = 1 / (double) sums->side->width;
  guint begin = 0;

  for (guint q = 0; q <= steps && begin < sums->n_bins; q++) {
    /* bins from begin to end are rounded to q steps: their middle is below the edge */
    double at = q * step, edge = (at + step / 2) * per_width + .5;
    guint end = q < steps && edge < sums->n_bins ? MAX ((guint) edge, begin) : sums->n_bins;

    error += sums->xx[end] - sums->xx[begin] - 2 * at * (sums->x[end] - sums->x[begin])
        + at * at * (sums->n[end] - sums->n[begin]);
    begin = end;
  }
  return error;
}

/* Of the n ends of ranges that are tried, number k. */
static float
candidate (const YoloHistogramSide *side, guint k, guint n)
{
  return side->farthest * (SMALLEST + (1 - SMALLEST) * (float) (k + 1) / (float) n);
}

static void
least_error (const YoloHistogram *h, float *low, float *high)
{
  g_autofree Sums *below = sums_new (&h->below), *above = sums_new (&h->above);
  double best = INFINITY;

  for (guint b = 0; b < CANDIDATES_BELOW; b++) {
    for (guint a = 0; a < CANDIDATES; a++) {
      float lowest = -candidate (&h->below, b, CANDIDATES_BELOW),
            highest = candidate (&h->above, a, CANDIDATES);
      float step = (highest - lowest) / 255, zero = rintf (-lowest / step);
      double error =
          side_error (below, step, (guint) zero) + side_error (above, step, (guint) (255 - zero));

      if (error < best) {
        best = error;
        *low = lowest;
        *high = highest;
      }
    }
  }
}

/* The distance from 0 beyond which PERCENTILE of all numbers lie on one side. */
static float
percentile (const YoloHistogram *h, const YoloHistogramSide *side)
{
  double left = PERCENTILE * (double) h->n;
  guint i = BINS - 1;

  while (i > 0 && (double) side->bins[i] <= left)
    left -= (double) side->bins[i--];
  return MIN ((float) (i + 1) * side->width, side->farthest);
}

gboolean
yolo_histogram_range (const YoloHistogram *h, YoloCalibrationMethod method, float *low, float *high)
{
  *low = -h->below.farthest;
  *high = h->above.farthest;
  if (!(*high - *low > 1e-20f))
    return FALSE;
  if (method == YOLO_CALIBRATION_MSE) {
    least_error (h, low, high);
  } else if (method == YOLO_CALIBRATION_PERCENTILE) {
    *low = -percentile (h, &h->below);
    *high = percentile (h, &h->above);
  }
  return TRUE;
}
