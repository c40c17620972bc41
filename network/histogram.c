#include "network/histogram.h"

#include <math.h>

#define BINS YOLO_HISTOGRAM_BINS
#define PERCENTILE 1e-4         /* left out at each end */
#define CANDIDATES 100u         /* ends of ranges that are tried above 0 */
#define CANDIDATES_BELOW 25u
#define SMALLEST .2f            /* of what was seen, the smallest end that is tried */

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

void
yolo_histogram_add (YoloHistogram *h, const float *values, gsize n)
{
  float min = 0, max = 0, below, above;
  gsize bad = 0;

  for (gsize i = 0; i < n; i++) {
    gboolean good = fabsf (values[i]) <= G_MAXFLOAT / 4;
    bad += !good;
    min = good && values[i] < min ? values[i] : min;
    max = good && values[i] > max ? values[i] : max;
  }
  h->n += n - bad;
  h->bad += bad;
  make_room (&h->below, -min);
  make_room (&h->above, max);
  below = h->below.width > 0 ? 1 / h->below.width : 0;
  above = h->above.width > 0 ? 1 / h->above.width : 0;
  for (gsize i = 0; i < n; i++) {
    float at = values[i] * (values[i] < 0 ? -below : above);
    if (at < BINS && at >= 0)
      (values[i] < 0 ? h->below.bins : h->above.bins)[(guint) at]++;
  }
}

/* Squared error of one side's numbers on a grid. @lowest, @highest: steps from 0
 * that the grid has. */
static double
side_error (const YoloHistogramSide *side, float sign, float step, float lowest, float highest)
{
  double sum = 0;

  for (guint i = 0; i < BINS && i * side->width <= side->farthest; i++) {
    float at, q, error;

    if (side->bins[i] == 0)
      continue;
    at = sign * ((float) i + .5f) * side->width;
    q = CLAMP (rintf (at / step), lowest, highest);
    error = q * step - at;
    sum += (double) side->bins[i] * error * error;
  }
  return sum;
}

/* End k of the n that are tried. */
static float
candidate (const YoloHistogramSide *side, guint k, guint n)
{
  return side->farthest * (SMALLEST + (1 - SMALLEST) * (float) (k + 1) / (float) n);
}

static void
least_error (const YoloHistogram *h, float *low, float *high)
{
  double best = INFINITY;

  for (guint b = 0; b < CANDIDATES_BELOW; b++) {
    for (guint a = 0; a < CANDIDATES; a++) {
      float lowest = -candidate (&h->below, b, CANDIDATES_BELOW), highest = candidate (&h->above, a, CANDIDATES);
      float step = (highest - lowest) / 255, zero = rintf (-lowest / step);
      double error = side_error (&h->below, -1, step, -zero, 255 - zero)
          + side_error (&h->above, 1, step, -zero, 255 - zero);

      if (error < best) {
        best = error;
        *low = lowest;
        *high = highest;
      }
    }
  }
}

/* Where a share of all numbers lies beyond, on one side. */
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
