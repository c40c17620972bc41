/* SPDX-License-Identifier: MIT */
/* Counts what numbers a map takes, and finds the range of them that is worth 8 bits. */

#ifndef YOLO_NETWORK_HISTOGRAM_H
#define YOLO_NETWORK_HISTOGRAM_H

#include "network/calibration.h"

G_BEGIN_DECLS

#define YOLO_HISTOGRAM_BINS 8192

/* The numbers on one side of 0, counted by their distance from it, in bins of one width.
 * The width doubles when a number is beyond the last bin. */
typedef struct {
  float width;                  /* of each bin */
  float farthest;               /* the largest distance seen */
  guint64 bins[YOLO_HISTOGRAM_BINS];    /* [i]: numbers at a distance of i to i + 1 widths */
} YoloHistogramSide;

/* The two sides have widths of their own: SiLU never puts out less than -.28, but often a
 * number between that and 0, for which bins as wide as those above 0 would be coarse.
 * Zeroed memory is an empty histogram. */
typedef struct {
  /* counted numbers; and NaN and infinite ones, which count nowhere else */
  guint64 n, bad;
  YoloHistogramSide below, above;
} YoloHistogram;

/* Counts @n numbers; NaN and infinity only count as bad. One thread at a time uses a
 * histogram. */
void yolo_histogram_add (YoloHistogram *histogram, const float *values, gsize n);

/**
 * yolo_histogram_range:
 * @low: (out): 0 or less
 * @high: (out): 0 or more
 *
 * Finds the range of which 256 steps are made, by the method. YOLO_CALIBRATION_MSE
 * takes the range with the least sum of squared errors, rounded as network/int8.h
 * rounds in the asymmetric kind.
 *
 * Returns: FALSE if there is no range: nothing was counted, or nothing but zeros
 */
gboolean yolo_histogram_range (
    const YoloHistogram *histogram, YoloCalibrationMethod method, float *low, float *high);

G_END_DECLS

#endif
