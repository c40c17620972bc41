/* SPDX-License-Identifier: MIT */
/* The activations that few networks have, on some vectors at a time. They run out of line, behind
 * the inner loops of convolutions and not within them. */

#ifndef YOLO_CPU_ACTIVATION_H
#define YOLO_CPU_ACTIVATION_H

#include "cpu/vector.h"

/* e^x for x of 0 or less, off by 3e-7 of itself at most; 0 below e^-69. */
static ALWAYS_INLINE YoloVec
vec_exp_below (YoloVec x)
{
  YoloVec z = x * 1.44269504f;

  return vec_select (z < -100, vec_set (0), vec_exp2_below (z));
}

static ALWAYS_INLINE YoloVec
vec_clip (YoloVec x, float low, float high)
{
  return vec_min (vec_max (x, vec_set (low)), vec_set (high));
}

/* How likely a standard normal number is below x, off by 2e-7 at most: (1 + erf (x / sqrt (2))) / 2
 * by the rational approximation of M. Abramowitz and I. Stegun, "Handbook of Mathematical
 * Functions", 7.1.26. Its product with e^(-x^2 / 2) is the probability on the far side of 0. */
static ALWAYS_INLINE YoloVec
vec_normal (YoloVec x)
{
  YoloVec z = vec_max (x, -x) * .70710678f, t = 1 / (z * .3275911f + 1), p = vec_set (1.061405429f);

  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - .284496736f;
  p = p * t + .254829592f;
  p = p * t * vec_exp_below (-z * z) * .5f;
  return vec_select (x < 0, p, 1 - p);
}

/* tanh (log (1 + e^x)), off by 5e-7 at most. It is a quotient of polynomials of e^x; multiplied by
 * e^(-2 x) above 0, so that there is no e^x that is too large. */
static ALWAYS_INLINE YoloVec
vec_mish_factor (YoloVec x)
{
  YoloVec e = vec_exp_below (vec_min (x, -x));
  YoloVec below = e * (e + 2), above = e * 2 + 1;

  return vec_select (x < 0, below / (below + 2), above / (above + e * e * 2));
}

/* x[i] = act (x[i]) for an activation that is rare. */
static ALWAYS_INLINE void
vec_activate_rare (YoloVec *x, guint n, YoloActivation act, float alpha, float beta)
{
#define EACH(f) \
  for (guint i = 0; i < n; i++) \
    x[i] = f; \
  break
  switch (act) {
    case YOLO_ACT_LEAKY_RELU: EACH (vec_select (x[i] < 0, x[i] * alpha, x[i]));
    case YOLO_ACT_CLIP: EACH (vec_clip (x[i], alpha, beta));
    case YOLO_ACT_HARD_SIGMOID: EACH (vec_clip (x[i] * alpha + beta, 0, 1));
    case YOLO_ACT_HARD_SWISH: EACH (x[i] * vec_clip (x[i] * (1 / 6.f) + .5f, 0, 1));
    case YOLO_ACT_GELU: EACH (x[i] * vec_normal (x[i]));
    /* (1 + tanh (z)) / 2 is sigmoid (2 z) */
    case YOLO_ACT_GELU_TANH:
      EACH (x[i] * vec_sigmoid (x[i] * (x[i] * x[i] * .07135481f + 1.59576912f)));
    case YOLO_ACT_ELU:
      EACH (vec_select (
          x[i] < 0, (vec_exp_below (vec_min (x[i], vec_set (0))) - 1) * alpha, x[i]));
    case YOLO_ACT_MISH: EACH (x[i] * vec_mish_factor (x[i]));
    case YOLO_ACT_NONE:
    case YOLO_ACT_SILU:
    case YOLO_ACT_RELU:
    case YOLO_ACT_SIGMOID: break;
  }
#undef EACH
}

#endif
