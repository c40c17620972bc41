/* SPDX-License-Identifier: MIT */
/* What numbers a map takes, and which range of them is worth 8 bits. */

#ifndef YOLO_NETWORK_HISTOGRAM_H
#define YOLO_NETWORK_HISTOGRAM_H

#include "network/calibration.h"

G_BEGIN_DECLS

#define YOLO_HISTOGRAM_BINS 8192

/* One side of 0: counts by distance from it, in bins of one width, which doubles
 * when a number is beyond the last one. */
typedef struct {
  float width;                  /* of a bin */
  float farthest;               /* seen */
  guint64 bins[YOLO_HISTOGRAM_BINS];    /* [i]: i to i + 1 widths from 0 */
} YoloHistogramSide;

/* The sides have widths of their own: what SiLU puts out below 0 is never below
 * -.28, and much of it is there. Zeroed memory is an empty histogram. */
typedef struct {
  guint64 n, bad;               /* numbers; NaN and infinite ones, which count nowhere else */
  YoloHistogramSide below, above;
} YoloHistogram;

/* Counts @n numbers. One thread at a time; NaN and infinity are bad, and change nothing else. */
void yolo_histogram_add (YoloHistogram *histogram, const float *values, gsize n);

/**
 * yolo_histogram_range:
 * @low: (out): 0 or less
 * @high: (out): 0 or more
 *
 * The range to round to 256 steps. YOLO_CALIBRATION_MSE: where the rounded
 * numbers' squared error is least, as network/int8.h rounds them, asymmetric.
 *
 * Returns: FALSE if there is none: nothing but zeros, or no numbers
 */
gboolean yolo_histogram_range (
    const YoloHistogram *histogram, YoloCalibrationMethod method, float *low, float *high);

G_END_DECLS

#endif
