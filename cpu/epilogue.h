/* Bias, activation, residual and store of a tile that gemm_tile() summed, or
 * of anything else that is vectors of output channels. */

#ifndef YOLO_CPU_EPILOGUE_H
#define YOLO_CPU_EPILOGUE_H

#include "cpu/vector.h"

static inline YoloVec
load_lanes (const char *p, YoloDType dtype, guint lanes)
{
  float part[YOLO_LANES] = { 0 };

  if (lanes >= YOLO_LANES && dtype == YOLO_F32)
    return vec_load (p);
  if (lanes >= YOLO_LANES && dtype == YOLO_BF16)
    return vec_load_bf16 (p);
  load_f32 (part, p, MIN (lanes, YOLO_LANES), dtype);
  return vec_load (part);
}

static inline void
store_lanes (char *p, YoloDType dtype, guint lanes, YoloVec v)
{
  float part[YOLO_LANES];

  if (lanes < YOLO_LANES) {
    vec_store (part, v);
    store_f32 (p, part, lanes, dtype);
  } else if (dtype == YOLO_F32) {
    vec_store (p, v);
  } else {
    vec_store_bf16 (p, v);
  }
}

/* Some output channels of one pixel: @lanes of them, more than the vector's are cut. */
static inline void
finish_lanes (YoloVec sum, YoloVec bias, YoloActivation act, const char *residual, YoloDType residual_type,
    char *out, YoloDType out_type, guint lanes)
{
  YoloVec v = vec_activate (sum + bias, act);

  if (residual)
    v += load_lanes (residual, residual_type, lanes);
  store_lanes (out, out_type, lanes, v);
}

#endif
