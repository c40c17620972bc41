/* SPDX-License-Identifier: MIT */
/* What all kernels share. */

#ifndef YOLO_KERNELS_COMMON_CUH
#define YOLO_KERNELS_COMMON_CUH

#include <stdint.h>

#include <cuda_fp16.h>

/* As YoloActivation of network/model.h, which nvcc does not read. */
enum { ACT_NONE, ACT_SILU, ACT_RELU, ACT_SIGMOID };
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

static __device__ __forceinline__ float
activate (int act, float x)
{
  switch (act) {
    case ACT_SILU:
      return x * sigmoid (x);
    case ACT_RELU:
      return fmaxf (x, 0.0f);
    case ACT_SIGMOID:
      return sigmoid (x);
    default:
      return x;
  }
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
