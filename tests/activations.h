/* SPDX-License-Identifier: MIT */
/* What the tests of all rooms hold activations to: a list of them with numbers of their own, and
 * what each computes, in double and by other formulas than backend/reference.c has. */

#ifndef YOLO_TESTS_ACTIVATIONS_H
#define YOLO_TESTS_ACTIVATIONS_H

#include "base/operation.h"

#include <glib.h>
#include <math.h>

/* X (name, suffix of the constant, alpha, beta), for those that do something, and for all. */
#define TEST_ACTIVATIONS(X) \
    X ("none", NONE, 0, 0) \
    TEST_REAL_ACTIVATIONS (X)
#define TEST_REAL_ACTIVATIONS(X) \
    X ("silu", SILU, 0, 0) \
    X ("relu", RELU, 0, 0) \
    X ("sigmoid", SIGMOID, 0, 0) \
    X ("leaky-relu", LEAKY_RELU, .1f, 0) \
    X ("clip", CLIP, -.7f, 1.2f) \
    X ("hard-sigmoid", HARD_SIGMOID, .3f, .4f) \
    X ("hard-swish", HARD_SWISH, 0, 0) \
    X ("gelu", GELU, 0, 0) \
    X ("gelu-tanh", GELU_TANH, 0, 0) \
    X ("elu", ELU, 1.3f, 0) \
    X ("mish", MISH, 0, 0)

typedef struct {
  const char *name;
  YoloActivation act;
  float alpha, beta;
} TestActivation;

#define TEST_ACTIVATION_ROW(name, suffix, alpha, beta) { name, YOLO_ACT_##suffix, alpha, beta },
static const TestActivation test_activations[] = { TEST_ACTIVATIONS (TEST_ACTIVATION_ROW) };
#undef TEST_ACTIVATION_ROW

/* Sources: tanh (z) = 1 - 2 / (e^(2 z) + 1), and for Mish z = log (1 + e^x); the other formulas are
 * those of https://onnx.ai/onnx/operators/. */
static inline double
test_activate (YoloActivation act, double alpha, double beta, double x)
{
  switch (act) {
    case YOLO_ACT_NONE:
      return x;
    case YOLO_ACT_SILU:
      return x / (1 + exp (-x));
    case YOLO_ACT_RELU:
      return fmax (x, 0);
    case YOLO_ACT_SIGMOID:
      return 1 / (1 + exp (-x));
    case YOLO_ACT_LEAKY_RELU:
      return fmax (x, 0) + alpha * fmin (x, 0);
    case YOLO_ACT_CLIP:
      return fmin (fmax (x, alpha), beta);
    case YOLO_ACT_HARD_SIGMOID:
      return fmax (0, fmin (1, alpha * x + beta));
    case YOLO_ACT_HARD_SWISH:
      return x * fmin (fmax (x + 3, 0), 6) / 6;
    case YOLO_ACT_GELU:
      return x * .5 * (1 + erf (x / sqrt (2)));
    case YOLO_ACT_GELU_TANH:
      return x - x / (exp (2 * sqrt (2 / acos (-1)) * (x + .044715 * x * x * x)) + 1);
    case YOLO_ACT_ELU:
      return fmax (x, 0) + alpha * (exp (fmin (x, 0)) - 1);
    case YOLO_ACT_MISH:
      return x - 2 * x / ((1 + exp (x)) * (1 + exp (x)) + 1);
  }
  return NAN;
}

/* Numbers far from 0, and what is none. */
static const float test_far[] = { 0, -0.f, 1e-30f, 1, -1, 3, -3, 6, -6, 20, -20, 87, -87, 88.5f,
  -88.5f, 100, -100, 200, -200, 3e38f, -3e38f, INFINITY, -INFINITY, NAN };

/* Whether an activation of one of them is right. A product of minus infinity and 0 is NaN, as the
 * definition has it, or 0; NaN stays NaN, but for RELU, of which the definition makes 0.
 * @absolute, @relative: how far it may be off. */
static inline gboolean
test_far_is (const TestActivation *a, float x, float got, double absolute, double relative)
{
  double want = test_activate (a->act, a->alpha, a->beta, x);
  gboolean product = a->act == YOLO_ACT_SILU || a->act == YOLO_ACT_HARD_SWISH
      || a->act == YOLO_ACT_GELU || a->act == YOLO_ACT_GELU_TANH || a->act == YOLO_ACT_MISH;

  if (isnan (x))
    return isnan (got) || (a->act == YOLO_ACT_RELU && got == 0);
  if (product && isinf (x))
    return x > 0 ? got == x : isnan (got) || got == 0;
  return got == want || fabs (got - want) <= relative * fabs (want) + absolute;
}

#endif
