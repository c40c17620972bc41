/* SPDX-License-Identifier: MIT */
/* From sums in registers to the output: bias, activation, residual and store. The sums are
 * floats, or whole numbers in files that are compiled with YOLO_INT8. */

#ifndef YOLO_CPU_FINISH_H
#define YOLO_CPU_FINISH_H

#include "cpu/activation.h"
#include "cpu/epilogue.h"
#include "cpu/gemm.h"

/* The type that the convolutions of this file multiply. */
#if defined (YOLO_INT8)
# define TYPE YOLO_U8
#elif defined (__AVX512BF16__)
# define TYPE YOLO_BF16
#else
# define TYPE YOLO_F32
#endif

/* Where the sums of a tile go: a vector of output channels of pixels that lie side by side. */
typedef struct {
#ifdef YOLO_INT8
  YoloVec multiplier, bias;
#endif
  const YoloInt8Conv *rounds;   /* has grids to round to on the way; NULL: there are none */
  YoloLanes plus, to;           /* residual, output */
  const char *plus_at;          /* the first pixel of the residual; NULL: there is none */
  char *to_at;                  /* the first pixel of the output */
  gsize plus_pixel, to_pixel;   /* bytes from one pixel to the next */
} Finish;

/* For the vector of output channels that begins with @c. The caller sets plus_at and to_at.
 * @bias, and in int8 @multiplier: [out_channels], filled up to whole vectors. */
static ALWAYS_INLINE Finish
finish_of (const YoloConv *conv, G_GNUC_UNUSED const float *multiplier,
    G_GNUC_UNUSED const float *bias, guint c, const YoloTensor *residual, const YoloTensor *out)
{
  guint lanes = conv->out_channels - c;

  return (Finish){
#ifdef YOLO_INT8
    .multiplier = vec_load (multiplier + c),
    .bias = vec_load (bias + c),
    .rounds = conv->int8->sum.scale + conv->int8->sigmoid.scale + conv->int8->act.scale != 0
        ? conv->int8
        : NULL,
#endif
    .plus = lanes_of (residual, c, lanes, FALSE),
    .to = lanes_of (out, c, lanes, TRUE),
    .plus_pixel = residual->pixel,
    .to_pixel = out->pixel,
  };
}

/* A sum as a real number, with its bias, which sums of floats begin with. */
static ALWAYS_INLINE YoloVec
whole_sum (G_GNUC_UNUSED const Finish *f, YoloVec acc)
{
#ifdef YOLO_INT8
  return __builtin_convertvector ((YoloIntVec) acc, YoloVec) * f->multiplier + f->bias;
#else
  return acc;
#endif
}

/* Finishes @rows pixels in any types: their sums are vector @v of each row of @acc. */
static ALWAYS_INLINE void
finish_rows (Finish f, YoloVec acc[YOLO_ROWS][2], guint v, guint rows, const YoloActivation act)
{
  for (guint m = 0; m < rows; m++) {
    finish_lanes (whole_sum (&f, acc[m][v]), act, f.rounds, &f.plus, f.plus_at, &f.to, f.to_at);
    f.to_at += f.to_pixel;
    if (f.plus_at)
      f.plus_at += f.plus_pixel;
  }
}

/* The same for a rare activation, a tile at a time. It is out of line, so that what is compiled for
 * other activations stays as it is. */
static __attribute__ ((noinline)) void
finish_rare (
    const Finish *f, YoloVec acc[YOLO_ROWS][2], guint v, guint rows, const YoloConv *conv)
{
  const YoloInt8Conv *rounds = f->rounds;
  const char *plus_at = f->plus_at;
  char *to_at = f->to_at;
  YoloVec x[YOLO_ROWS], factor[YOLO_ROWS];

  for (guint m = 0; m < rows; m++) {
    x[m] = whole_sum (f, acc[m][v]);
    if (rounds && rounds->sum.scale != 0)
      x[m] = round_steps (x[m], rounds->sum);
    factor[m] = x[m];
  }
  if (rounds && rounds->sigmoid.scale != 0) {   /* HARD_SWISH, as x * HARD_SIGMOID */
    vec_activate_rare (factor, rows, YOLO_ACT_HARD_SIGMOID, 1 / 6.f, .5f);
    for (guint m = 0; m < rows; m++)
      x[m] *= round_lanes (factor[m], rounds->sigmoid);
  } else {
    vec_activate_rare (x, rows, conv->act, conv->alpha, conv->beta);
  }
  for (guint m = 0; m < rows; m++) {
    finish_activated (x[m], rounds, &f->plus, plus_at, &f->to, to_at);
    to_at += f->to_pixel;
    if (plus_at)
      plus_at += f->plus_pixel;
  }
}

#ifdef YOLO_INT8
/* The same for what nearly all layers are: SiLU, bytes out, and a residual in bytes if there is
 * one (@plus). It computes in steps of the output's grid. */
static ALWAYS_INLINE void
finish_bytes (const Finish *f, YoloVec acc[YOLO_ROWS][2], guint v, guint rows, const gboolean plus)
{
  const YoloVec multiplier = f->multiplier * f->to.scale, bias = f->bias * f->to.scale,
                zero = f->to.zero;
  const YoloVec slope = -1.44269504f * f->to.step, plus_scale = f->plus.scale * f->to.scale,
                plus_zero = f->plus.zero;
  const char *plus_at = f->plus_at;
  char *to_at = f->to_at;

  for (guint m = 0; m < rows; m++) {
    YoloVec x = __builtin_convertvector ((YoloIntVec) acc[m][v], YoloVec) * multiplier + bias;

    x = vec_silu_rough (x, slope);
    if (plus) {
      x += (vec_load_u8 (plus_at) - plus_zero) * plus_scale;
      plus_at += f->plus_pixel;
    }
    vec_store_u8 (to_at, vec_min (vec_max (x, -zero), 255 - zero), zero);
    to_at += f->to_pixel;
  }
}

/* Finishes @rows pixels; addresses of the next ones are the caller's to set. */
static void
finish (const Finish *f, YoloVec acc[YOLO_ROWS][2], guint v, guint rows, const YoloConv *conv)
{
  YoloActivation act = conv->act;
  gboolean whole =
      f->to.lanes == YOLO_LANES && act == YOLO_ACT_SILU && f->to.t->scale && !f->rounds;

  if (whole && !f->plus_at)
    finish_bytes (f, acc, v, rows, FALSE);
  else if (whole && f->plus.t->scale)
    finish_bytes (f, acc, v, rows, TRUE);
  else if (vec_is_rare (act))
    finish_rare (f, acc, v, rows, conv);
  else
    finish_rows (*f, acc, v, rows, act);
}
#else
/* The same where output and residual are whole vectors in TYPE and the compiler knows @act: it
 * keeps in registers what does not change. */
static ALWAYS_INLINE void
finish_known (const Finish *f, YoloVec acc[YOLO_ROWS][2], guint v, guint rows,
    const YoloActivation act)
{
  YoloTensor to = *f->to.t, plus = *f->plus.t;
  Finish known = *f;

  to.dtype = plus.dtype = TYPE;
  known.to.t = &to;
  known.plus.t = &plus;
  known.to.lanes = known.plus.lanes = YOLO_LANES;
  known.rounds = NULL;
  if (f->plus_at) {
    finish_rows (known, acc, v, rows, act);
  } else {
    known.plus_at = NULL;
    finish_rows (known, acc, v, rows, act);
  }
}

/* Finishes @rows pixels, faster for what nearly all layers are. */
static void
finish (const Finish *f, YoloVec acc[YOLO_ROWS][2], guint v, guint rows, const YoloConv *conv)
{
  YoloActivation act = conv->act;
  gboolean known = f->to.lanes == YOLO_LANES && f->to.t->dtype == TYPE
      && (!f->plus_at || f->plus.t->dtype == TYPE);

  if (known && act == YOLO_ACT_SILU)
    finish_known (f, acc, v, rows, YOLO_ACT_SILU);
  else if (known && act == YOLO_ACT_NONE)
    finish_known (f, acc, v, rows, YOLO_ACT_NONE);
  else if (vec_is_rare (act))
    finish_rare (f, acc, v, rows, conv);
  else
    finish_rows (*f, acc, v, rows, act);
}
#endif

#endif
