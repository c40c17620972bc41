/* SPDX-License-Identifier: MIT */
/* Bias, activation, residual and store of a tile that gemm_tile() summed, or
 * of anything else that is vectors of output channels. */

#ifndef YOLO_CPU_EPILOGUE_H
#define YOLO_CPU_EPILOGUE_H

#include "cpu/vector.h"

/* Some output channels, the same ones of many pixels: @lanes of them, more than
 * the vector's are cut. */
typedef struct {
  const YoloTensor *t;
  guint c, lanes;
  YoloVec step;                 /* of a grid */
  YoloVec scale;                /* the same, or for stores its inverse */
  YoloVec zero;
} YoloLanes;

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

/* @p: the pixel's channel c */
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

/* Steps of a grid to its nearest number. */
static ALWAYS_INLINE YoloVec
round_steps (YoloVec steps, YoloGrid grid)
{
  steps =
      vec_min (vec_max (steps, vec_set ((float) -grid.zero)), vec_set ((float) (255 - grid.zero)));
  return (steps + 12582912.f - 12582912.f) * grid.scale;
}

/* The same of a number; of scale 0, as it is. */
static ALWAYS_INLINE YoloVec
round_lanes (YoloVec v, YoloGrid grid)
{
  return grid.scale == 0 ? v : round_steps (v / grid.scale, grid);
}

/* act (sum) [+ residual]; @rounds: of the sum and of what it becomes, or NULL */
static ALWAYS_INLINE void
finish_lanes (YoloVec sum, const YoloActivation act, const YoloInt8Conv *rounds,
    const YoloLanes *residual, const char *residual_at, const YoloLanes *out, char *out_at)
{
  YoloVec v;

  if (rounds && rounds->sum.scale != 0)
    sum = round_steps (sum, rounds->sum);
  if (rounds && act == YOLO_ACT_SILU)
    v = sum * round_lanes (vec_sigmoid (sum), rounds->sigmoid);
  else
    v = vec_activate (sum, act);
  if (rounds)
    v = round_lanes (v, rounds->act);
  if (residual_at)
    v += load_lanes (residual, residual_at);
  store_lanes (out, out_at, v, rounds != NULL);
}

#endif
