/* SPDX-License-Identifier: MIT */
/* What all kernels share. */

#ifndef YOLO_KERNELS_COMMON_CUH
#define YOLO_KERNELS_COMMON_CUH

#include <stdint.h>

#include <cuda_fp16.h>

#include "base/operation.h"

/* As YoloDType. */
enum { TYPE_F32 = 0, TYPE_F16 = 1, TYPE_S8 = 4 };

/* Bytes of an element. */
static __device__ __forceinline__ int
bytes_of (int type)
{
  return type == TYPE_S8 ? 1 : type == TYPE_F16 ? 2 : 4;
}

/* The error of __expf, some 2e-7 relative in x's usual range, is below that of half and near that
 * of float. */
static __device__ __forceinline__ float
sigmoid (float x)
{
  return __fdividef (1.0f, 1.0f + __expf (-x));
}

/* fminf() and fmaxf() drop a NaN, which min (max (x, low), high) keeps. */
static __device__ __forceinline__ float
clip (float x, float low, float high)
{
  float above = x < low ? low : x;

  return above > high ? high : above;
}

/* tanh (log (1 + e^x)), a quotient of polynomials of e^x. Above 0 it is multiplied by e^(-2 x), so
 * that there is no e^x that is too large. */
static __device__ __forceinline__ float
mish_factor (float x)
{
  float e = __expf (-fabsf (x)), below = e * (e + 2.0f), above = 2.0f * e + 1.0f;

  return x < 0.0f ? below / (below + 2.0f) : above / (above + 2.0f * e * e);
}

/* Activations that few networks have. It is called, not inlined, so that kernels stay short and
 * keep their registers. */
static __device__ __noinline__ float
activate_rare (int act, float alpha, float beta, float x)
{
  switch ((YoloActivation) act) {
    case YOLO_ACT_LEAKY_RELU:
      return x < 0.0f ? alpha * x : x;
    case YOLO_ACT_CLIP:
      return clip (x, alpha, beta);
    case YOLO_ACT_HARD_SIGMOID:
      return clip (fmaf (alpha, x, beta), 0.0f, 1.0f);
    case YOLO_ACT_HARD_SWISH:
      return x * clip (fmaf (x, 1 / 6.0f, 0.5f), 0.0f, 1.0f);
    case YOLO_ACT_GELU:
      return x * normcdff (x);
    case YOLO_ACT_GELU_TANH:        /* (1 + tanh (z)) / 2 is sigmoid (2 z) */
      return x * sigmoid (x * fmaf (x * x, 0.07135481f, 1.59576912f));
    case YOLO_ACT_ELU:
      return x < 0.0f ? alpha * (__expf (x) - 1.0f) : x;
    case YOLO_ACT_MISH:
      return x * mish_factor (x);
    case YOLO_ACT_NONE:
    case YOLO_ACT_SILU:
    case YOLO_ACT_RELU:
    case YOLO_ACT_SIGMOID:
      break;
  }
  return x;
}

static __device__ __forceinline__ float
activate (int act, float alpha, float beta, float x)
{
  if (act == YOLO_ACT_SILU)
    return x * sigmoid (x);
  if (act == YOLO_ACT_RELU)
    return fmaxf (x, 0.0f);
  if (act == YOLO_ACT_SIGMOID)
    return sigmoid (x);
  return act == YOLO_ACT_NONE ? x : activate_rare (act, alpha, beta, x);
}

/* What a sum of products is worth before the activation: sum + bias in float, sum *
 * scale + bias where the sum is of whole numbers. */
static __device__ __forceinline__ float scaled (float sum, float, float bias) { return sum + bias; }
static __device__ __forceinline__ float
scaled (int sum, float scale, float bias)
{
  return fmaf ((float) sum, scale, bias);
}

/* The largest power of two, at most 16, of which the address of every pixel of a view
 * is a multiple. */
static __device__ __forceinline__ int
alignment (const void *first, int pitch_bytes)
{
  int bits = (int) (uintptr_t) first | pitch_bytes | 16;

  return bits & -bits;
}

/* load_eight() and store_eight() move eight channels of pixel m of a view, the first of
 * them o, or n < 8 where the view has no more: the rest is loaded as zero and not
 * stored. They move whole words where the view's pixels lie on multiples of a word. */

template <int SIZE> struct Words { typedef uint4 Word; };
template <> struct Words<1> { typedef uint2 Word; };

template <typename T>
static __device__ __forceinline__ void
load_eight (T (&x)[8], const void *view, int pitch, long long m, int o, int n)
{
  typedef typename Words<sizeof (T)>::Word Word;
  const T *from = (const T *) view + m * pitch + o;

  if (n >= 8 && alignment (view, pitch * (int) sizeof (T)) >= (int) sizeof (Word)) {
#pragma unroll
    for (int i = 0; i < (int) (8 * sizeof (T) / sizeof (Word)); i++)
      ((Word *) x)[i] = ((const Word *) from)[i];
  } else {
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] = e < n ? from[e] : (T) 0;
  }
}

template <typename T>
static __device__ __forceinline__ void
store_eight (const T (&x)[8], void *view, int pitch, long long m, int o, int n)
{
  typedef typename Words<sizeof (T)>::Word Word;
  T *to = (T *) view + m * pitch + o;

  if (n >= 8 && alignment (view, pitch * (int) sizeof (T)) >= (int) sizeof (Word)) {
#pragma unroll
    for (int i = 0; i < (int) (8 * sizeof (T) / sizeof (Word)); i++)
      ((Word *) to)[i] = ((const Word *) x)[i];
  } else {
#pragma unroll
    for (int e = 0; e < 8; e++)
      if (e < n)
        to[e] = x[e];
  }
}

/* The same for a view of any type, to and from floats. Bytes are taken as whole
 * numbers, without the step of their grid. */

static __device__ __forceinline__ void
load_floats (float (&x)[8], const void *view, int type, int pitch, long long m, int o, int n)
{
  if (type == TYPE_S8) {
    __align__ (16) int8_t q[8];
    load_eight (q, view, pitch, m, o, n);
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] = (float) q[e];
  } else if (type == TYPE_F16) {
    __align__ (16) __half h[8];
    load_eight (h, view, pitch, m, o, n);
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] = __half2float (h[e]);
  } else {
    load_eight (x, view, pitch, m, o, n);
  }
}

static __device__ __forceinline__ void
store_floats (const float (&x)[8], void *view, int type, int pitch, long long m, int o, int n)
{
  if (type == TYPE_S8) {
    __align__ (16) int8_t q[8];
#pragma unroll
    for (int e = 0; e < 8; e++)
      q[e] = (int8_t) fminf (fmaxf (rintf (x[e]), -128.0f), 127.0f);
    store_eight (q, view, pitch, m, o, n);
  } else if (type == TYPE_F16) {
    __align__ (16) __half h[8];
#pragma unroll
    for (int e = 0; e < 8; e += 2)
      *(__half2 *) &h[e] = __floats2half2_rn (x[e], x[e + 1]);
    store_eight (h, view, pitch, m, o, n);
  } else {
    store_eight (x, view, pitch, m, o, n);
  }
}

/* Eight channels as the real numbers that they stand for. @scale: [channels], the steps
 * of the grids that a view of bytes is on; NULL: it is on none. */
static __device__ __forceinline__ void
load_reals (float (&x)[8], const void *view, int type, const float *scale, int pitch, long long m,
    int o, int channels)
{
  load_floats (x, view, type, pitch, m, o, channels - o);
  if (scale != NULL) {
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] *= scale[min (o + e, channels - 1)];
  }
}

#endif
