/* SPDX-License-Identifier: MIT */
/* Vectors of the width that a file is compiled for, by GCC's and Clang's extension of C: the
 * source is the same for AVX-512, AVX2, SSE and Arm. */

#ifndef YOLO_CPU_VECTOR_H
#define YOLO_CPU_VECTOR_H

#include "cpu/simd.h"

#if defined (__SSE2__)
# include <immintrin.h>
#elif defined (__ARM_NEON)
# include <arm_neon.h>
#endif

#if defined (__AVX512F__)
# define YOLO_LANES 16
#elif defined (__AVX__)
# define YOLO_LANES 8
#else
# define YOLO_LANES 4
#endif

typedef float YoloVec __attribute__ ((vector_size (YOLO_LANES * 4)));
typedef gint32 YoloIntVec __attribute__ ((vector_size (YOLO_LANES * 4)));
typedef guint32 YoloUintVec __attribute__ ((vector_size (YOLO_LANES * 4)));
typedef guint16 YoloHalfVec __attribute__ ((vector_size (YOLO_LANES * 2)));
typedef guint8 YoloByteVec __attribute__ ((vector_size (YOLO_LANES)));

#define ALWAYS_INLINE inline __attribute__ ((always_inline))

static inline YoloVec
vec_load (const void *p)
{
  YoloVec v;
  memcpy (&v, p, sizeof v);
  return v;
}

static inline void
vec_store (void *p, YoloVec v)
{
  memcpy (p, &v, sizeof v);
}

static inline YoloVec
vec_set (float f)
{
  return (YoloVec) { 0 } + f;
}

static inline YoloVec
vec_load_bf16 (const void *p)
{
  YoloHalfVec h;
  memcpy (&h, p, sizeof h);
  return (YoloVec) (__builtin_convertvector (h, YoloUintVec) << 16);
}

/* Rounds to nearest, ties to even, as f32_to_bf16() does. */
static inline void
vec_store_bf16 (void *p, YoloVec v)
{
#ifdef __AVX512BF16__
  __m256bh h = _mm512_cvtneps_pbh ((__m512) v);
  memcpy (p, &h, sizeof h);
#else
  YoloUintVec u = (YoloUintVec) v;
  YoloUintVec rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  YoloUintVec nan = u >> 16 | 0x40, is_nan = (YoloUintVec) (v != v);
  YoloHalfVec h = __builtin_convertvector ((is_nan & nan) | (~is_nan & rounded), YoloHalfVec);
  memcpy (p, &h, sizeof h);
#endif
}

static inline YoloVec
vec_select (YoloIntVec mask, YoloVec yes, YoloVec no)
{
  return (YoloVec) ((mask & (YoloIntVec) yes) | (~mask & (YoloIntVec) no));
}

/* The larger and the smaller of two, lane by lane; where `a` is a NaN, the result is NaN. */
static inline YoloVec
vec_max (YoloVec a, YoloVec b)
{
#ifdef __AVX512F__
  return (YoloVec) _mm512_max_ps ((__m512) b, (__m512) a);
#elif defined (__AVX__)
  return (YoloVec) _mm256_max_ps ((__m256) b, (__m256) a);
#else
  return vec_select (a < b, b, a);
#endif
}

static inline YoloVec
vec_min (YoloVec a, YoloVec b)
{
#ifdef __AVX512F__
  return (YoloVec) _mm512_min_ps ((__m512) b, (__m512) a);
#elif defined (__AVX__)
  return (YoloVec) _mm256_min_ps ((__m256) b, (__m256) a);
#else
  return vec_select (a > b, b, a);
#endif
}

static inline YoloVec
vec_load_u8 (const void *p)
{
#if defined (__AVX512F__)
  return (YoloVec) _mm512_cvtepi32_ps (_mm512_cvtepu8_epi32 (_mm_loadu_si128 (p)));
#elif defined (__AVX2__)
  return (YoloVec) _mm256_cvtepi32_ps (_mm256_cvtepu8_epi32 (_mm_loadl_epi64 (p)));
#else
  YoloByteVec b;
  memcpy (&b, p, sizeof b);
  return __builtin_convertvector (__builtin_convertvector (b, YoloIntVec), YoloVec);
#endif
}

/* Stores v, rounded to the nearest whole number, ties to even, plus zero, a whole number. The
 * sums must be within a byte. */
static inline void
vec_store_u8 (void *p, YoloVec v, YoloVec zero)
{
  /* Adding 1.5 * 2^23 leaves the nearest integer in the low bits. */
  YoloUintVec q = (YoloUintVec) (v + 12582912.f) + (YoloUintVec) (zero + 12582912.f);
#ifdef __AVX512F__
  __m128i b = _mm512_cvtepi32_epi8 ((__m512i) q);
#else
  YoloByteVec b = __builtin_convertvector (q, YoloByteVec);
#endif
  memcpy (p, &b, YOLO_LANES);
}

/* 2^x for x of 0 or less, by the terms of its series up to x^6, off by 2e-7 of itself at most;
 * below -100 it is 2^-100. */
static ALWAYS_INLINE YoloVec
vec_exp2_below (YoloVec x)
{
  /* Adding 1.5 * 2^23 leaves the nearest integer in the low bits. */
  YoloVec z = vec_max (x, vec_set (-100)), n = z + 12582912.f;
  YoloVec r = (z - (n - 12582912.f)) * .69314718f, p = vec_set (1 / 720.f);

  p = p * r + 1 / 120.f;
  p = p * r + 1 / 24.f;
  p = p * r + 1 / 6.f;
  p = p * r + .5f;
  p = p * r + 1;
  p = p * r + 1;
  return (YoloVec) ((YoloUintVec) p + ((YoloUintVec) n << 23));
}

/* 1 / (1 + e^-x), off by 2e-7 at most, by the quotient of polynomials that Eigen and ONNX
 * Runtime (MlasComputeLogistic) use. The last bit is theirs too, so that what a quantised
 * file rounds afterwards is rounded to the same side. */
static inline YoloVec
vec_sigmoid (YoloVec x)
{
  YoloVec c = vec_max (vec_min (x, vec_set (18.f)), vec_set (-18.f)), s = c * c;
  YoloVec p = vec_set (4.37031012579801e-11f), q = vec_set (6.10247389755681e-13f);

  p = p * s + 1.15627324459942e-07f;
  p = p * s + 6.08574864600143e-05f;
  p = p * s + 8.51377133304701e-03f;
  p = p * s + 2.48287947061529e-01f;
  q = q * s + 5.76102136993427e-09f;
  q = q * s + 6.29106785017040e-06f;
  q = q * s + 1.70198817374094e-03f;
  q = q * s + 1.16817656904453e-01f;
  q = q * s + 9.93151921023180e-01f;
  return vec_max (p * c / q + .5f, vec_set (0));
}

/* x / (1 + 2^(x * slope)), which is SiLU where slope is -1 / ln 2, to one part in 8000. That
 * is a thirtieth of a step for the largest number in 8 bits. 2^r comes from the cubic
 * polynomial of least relative error on [-.5, .5] (7.5e-5, by Remez's algorithm), and the
 * quotient has 14 bits. */
static inline YoloVec
vec_silu_rough (YoloVec x, YoloVec slope)
{
#ifdef __AVX512F__
  YoloVec z = x * slope;
  YoloVec n =
      (YoloVec) _mm512_roundscale_ps ((__m512) z, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  YoloVec r = z - n, p = vec_set (.05517167f);
  p = p * r + .24261112f;
  p = p * r + .69326099f;
  p = p * r + .99992807f;
  /* where 2^n is beyond the range of floats, infinity and 0 give the right result */
  return x * (YoloVec) _mm512_rcp14_ps (_mm512_scalef_ps ((__m512) p, (__m512) n) + 1);
#else
  /* Adding 1.5 * 2^23 leaves the nearest integer in the low bits. Beyond +-60 the result is 0
   * or x in 8 bits; it is cut off there because arithmetic on denormal numbers is slow. The
   * division has full precision, since approximate ones differ between makers of CPUs. */
  YoloVec z = vec_min (vec_max (x * slope, vec_set (-60)), vec_set (60)), n = z + 12582912.f;
  YoloVec r = z - (n - 12582912.f), p = vec_set (.05517167f);
  p = p * r + .24261112f;
  p = p * r + .69326099f;
  p = p * r + .99992807f;
  return x / ((YoloVec) ((YoloUintVec) p + ((YoloUintVec) n << 23)) + 1);
#endif
}

/* Whether vec_activate() leaves an activation to cpu/activation.h, so that few are compiled into
 * the inner loops of convolutions. */
static inline gboolean
vec_is_rare (YoloActivation act)
{
  return act > YOLO_ACT_SIGMOID;
}

/* An activation that is not rare. */
static inline YoloVec
vec_activate (YoloVec x, YoloActivation act)
{
  switch (act) {
#ifdef YOLO_INT8
    case YOLO_ACT_SILU: return vec_silu_rough (x, vec_set (-1.44269504f));
#else
    case YOLO_ACT_SILU: return x * vec_sigmoid (x);
#endif
    case YOLO_ACT_RELU: return vec_select (x < 0, vec_set (0), x);
    case YOLO_ACT_SIGMOID: return vec_sigmoid (x);
    case YOLO_ACT_NONE:
    case YOLO_ACT_LEAKY_RELU:
    case YOLO_ACT_CLIP:
    case YOLO_ACT_HARD_SIGMOID:
    case YOLO_ACT_HARD_SWISH:
    case YOLO_ACT_GELU:
    case YOLO_ACT_GELU_TANH:
    case YOLO_ACT_ELU:
    case YOLO_ACT_MISH: break;
  }
  return x;
}

#endif
