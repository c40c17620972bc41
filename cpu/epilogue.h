/* SPDX-License-Identifier: MIT */
/* Activation, residual and store of vectors of output channels, such as gemm_tile() sums. */

#ifndef YOLO_CPU_EPILOGUE_H
#define YOLO_CPU_EPILOGUE_H

#include "cpu/vector.h"

/* Some neighbouring channels of a tensor, which are loaded or stored for many pixels. */
typedef struct {
  const YoloTensor *t;
  guint c, lanes;               /* the first channel; how many, at most YOLO_LANES */
  YoloVec step;                 /* steps of their grids */
  YoloVec scale;                /* the same for loads, 1 / step for stores */
  YoloVec zero;                 /* zero points of their grids */
} YoloLanes;

/* The channels of @t from @c on, @lanes of them, cut to the width of a vector. @inverse: they
 * are stored, not loaded. */
static ALWAYS_INLINE YoloLanes
lanes_of (const YoloTensor *t, guint c, guint lanes, gboolean inverse)
{
  YoloLanes l = { .t = t, .c = c, .lanes = MIN (lanes, YOLO_LANES) };
  float scale[YOLO_LANES] = { 0 }, zero[YOLO_LANES] = { 0 };

  if (!t->scale)
    return l;
  for (guint i = 0; i < l.lanes; i++) {
    scale[i] = t->scale[c + i];
    zero[i] = (float) t->zero[c + i];
  }
  l.step = vec_load (scale);
  l.scale = inverse ? 1.f / l.step : l.step;
  l.zero = vec_load (zero);
  return l;
}

/* Loads the channels of the pixel whose channel l->c is at @p, as real numbers. */
static ALWAYS_INLINE YoloVec
load_lanes (const YoloLanes *l, const char *p)
{
  float part[YOLO_LANES] = { 0 };

  if (l->lanes == YOLO_LANES) {
    if (l->t->dtype == YOLO_F32)
      return vec_load (p);
    if (l->t->dtype == YOLO_BF16)
      return vec_load_bf16 (p);
    if (l->t->scale)
      return (vec_load_u8 (p) - l->zero) * l->scale;
  }
  load_real (part, l->t, p, l->c, l->lanes);
  return vec_load (part);
}

/* Stores real numbers. @divide: by the step of the grid, as network/int8.h defines it; FALSE:
 * multiplies by its inverse, which is faster and may round to a neighbour. */
static ALWAYS_INLINE void
store_lanes (const YoloLanes *l, char *p, YoloVec v, gboolean divide)
{
  float part[YOLO_LANES];

  if (l->lanes < YOLO_LANES) {
    vec_store (part, v);
    store_real (p, l->t, l->c, part, l->lanes);
  } else if (l->t->dtype == YOLO_F32) {
    vec_store (p, v);
  } else if (l->t->dtype == YOLO_BF16) {
    vec_store_bf16 (p, v);
  } else {
    v = divide ? v / l->step : v * l->scale;
    v = vec_min (vec_max (v, -l->zero), 255 - l->zero);
    vec_store_u8 (p, v, l->zero);
  }
}

/* The real number of a grid that is nearest to a number, which is given in the grid's steps. */
static ALWAYS_INLINE YoloVec
round_steps (YoloVec steps, YoloGrid grid)
{
  steps =
      vec_min (vec_max (steps, vec_set ((float) -grid.zero)), vec_set ((float) (255 - grid.zero)));
  return (steps + 12582912.f - 12582912.f) * grid.scale;
}

/* The same for a number that is given as it is. It stays so where the grid's scale is 0. */
static ALWAYS_INLINE YoloVec
round_lanes (YoloVec v, YoloGrid grid)
{
  return grid.scale == 0 ? v : round_steps (v / grid.scale, grid);
}

/* Stores v [+ residual]. @rounds: has the grid that v is rounded to first; NULL: it is not. */
static ALWAYS_INLINE void
finish_activated (YoloVec v, const YoloInt8Conv *rounds, const YoloLanes *residual,
    const char *residual_at, const YoloLanes *out, char *out_at)
{
  if (rounds)
    v = round_lanes (v, rounds->act);
  if (residual_at)
    v += load_lanes (residual, residual_at);
  store_lanes (out, out_at, v, rounds != NULL);
}

/* Stores act (sum) [+ residual], where the activation is not rare. @rounds: has the grids that the
 * sum, and what becomes of it, are rounded to on the way; NULL: nothing is rounded. */
static ALWAYS_INLINE void
finish_lanes (YoloVec sum, const YoloActivation act, const YoloInt8Conv *rounds,
    const YoloLanes *residual, const char *residual_at, const YoloLanes *out, char *out_at)
{
  YoloVec v;

  if (rounds && rounds->sum.scale != 0)
    sum = round_steps (sum, rounds->sum);
  if (rounds && act == YOLO_ACT_SILU)
    v = sum * round_lanes (vec_sigmoid (sum), rounds->sigmoid);
  else if (out->t->dtype == YOLO_BF16 && act == YOLO_ACT_SILU)
    /* Rounding to bf16 afterwards takes off thirty times as much. */
    v = vec_silu_rough (sum, vec_set (-1.44269504f));
  else
    v = vec_activate (sum, act);
  finish_activated (v, rounds, residual, residual_at, out, out_at);
}

#endif
