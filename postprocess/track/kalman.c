/* SPDX-License-Identifier: MIT */
#include "postprocess/track/kalman.h"

void
yolo_kalman_begin (YoloKalman *k, double x, double xx, double vv)
{
  *k = (YoloKalman) { .x = x, .xx = xx, .vv = vv };
}

/* With F = [1 1; 0 1] and Q = diag (q, r), n predictions add the sum of F^i Q F'^i for i from 0
 * to n - 1, where F^i = [1 i; 0 1]: n q + r (0 + 1 + 4 + ... + (n - 1)^2) to the coordinate's
 * variance, r (0 + 1 + ... + (n - 1)) to the covariance and n r to the velocity's. The sums'
 * closed forms hold for any n: the determinant of what is added is n^2 r (q + r (n^2 - 1) / 12),
 * above 0 wherever q > r / 12. */
void
yolo_kalman_predict (YoloKalman *k, double step, double xx, double vv)
{
  k->x += step * k->v;
  k->xx += step * (2 * k->xv + step * k->vv) + step * xx
      + vv * step * (step - 1) * (2 * step - 1) / 6;
  k->xv += step * k->vv + vv * step * (step - 1) / 2;
  k->vv += step * vv;
}

/* The white-noise acceleration model in continuous time: Bar-Shalom, Li and Kirubarajan,
 * "Estimation with Applications to Tracking and Navigation", 6.2.2. */
void
yolo_kalman_accelerate (YoloKalman *k, double time, double density)
{
  k->x += time * k->v;
  k->xx += time * (2 * k->xv + time * k->vv) + density * time * time * time / 3;
  k->xv += time * k->vv + density * time * time / 2;
  k->vv += density * time;
}

/* 1 - gain is written as what it is, so that a variance that was large does not become 0. */
void
yolo_kalman_correct (YoloKalman *k, double x, double xx)
{
  double sum = k->xx + xx, left = xx / sum, off = x - k->x;

  k->x += k->xx / sum * off;
  k->v += k->xv / sum * off;
  k->vv -= k->xv / sum * k->xv;
  k->xx *= left;
  k->xv *= left;
}

void
yolo_kalman_keep (YoloKalman *k, double least)
{
  if (k->x < least) {
    k->x = least;
    k->v = 0;
  }
}

void
yolo_kalman_move (YoloKalman *x, YoloKalman *y, const float *camera)
{
  YoloKalman from[2] = { *x, *y }, *to[2] = { x, y };

  for (int i = 0; i < 2; i++) {
    double a = camera[3 * i], b = camera[3 * i + 1];
    *to[i] = (YoloKalman) {
      .x = a * from[0].x + b * from[1].x + camera[3 * i + 2],
      .v = a * from[0].v + b * from[1].v,
      .xx = a * a * from[0].xx + b * b * from[1].xx,
      .xv = a * a * from[0].xv + b * b * from[1].xv,
      .vv = a * a * from[0].vv + b * b * from[1].vv,
    };
  }
}

void
yolo_kalman_scale (YoloKalman *k, double factor)
{
  k->x *= factor;
  k->v *= factor;
  k->xx *= factor * factor;
  k->xv *= factor * factor;
  k->vv *= factor * factor;
}
