/* SPDX-License-Identifier: MIT */
/* A Kalman filter of one coordinate and its velocity. In all trackers here the coordinates of a
 * box (middle, size) do not depend on each other: the transition, the noise and the measurement
 * have no term that mixes two of them. A filter of eight numbers is four of these.
 * Source: R. E. Kalman, "A New Approach to Linear Filtering and Prediction Problems", 1960. */

#ifndef YOLO_POSTPROCESS_TRACK_KALMAN_H
#define YOLO_POSTPROCESS_TRACK_KALMAN_H

typedef struct {
  double x, v;                  /* the coordinate; its change a nominal frame, in zones a second */
  double xx, xv, vv;            /* covariance of the two */
} YoloKalman;

/* @xx, @vv: variances of what is measured and of the velocity, which is 0 */
void yolo_kalman_begin (YoloKalman *k, double x, double xx, double vv);

/* @step: in nominal frames, above 0; @xx, @vv: variances that one nominal frame adds. A step of
 * n is what n steps of 1 are, and for parts of a frame the same formula. */
void yolo_kalman_predict (YoloKalman *k, double step, double xx, double vv);

/* The same for an object that keeps its velocity but for random accelerations at any time. @time:
 * in the unit that the velocity has, 0 or more; @density: spectral density of the acceleration,
 * squares of the coordinate's unit a cubed unit of time. */
void yolo_kalman_accelerate (YoloKalman *k, double time, double density);

/* @x: measured; @xx: variance of the measurement, above 0 */
void yolo_kalman_correct (YoloKalman *k, double x, double xx);

/* A size that a long step made smaller than @least is that, and stays so. */
void yolo_kalman_keep (YoloKalman *k, double least);

/* The camera moves: @camera is [2][3], by which a pixel of the frame before, with a 1 behind it,
 * is multiplied. What the two coordinates of a middle have in common afterwards is left out. */
void yolo_kalman_move (YoloKalman *x, YoloKalman *y, const float *camera);

/* The camera comes nearer: a length becomes @factor times as long. */
void yolo_kalman_scale (YoloKalman *k, double factor);

#endif
