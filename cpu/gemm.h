/* SPDX-License-Identifier: MIT */
/* The inner kernel of our convolutions: a tile of rows of the left matrix, A, times a
 * panel of packed weights, with the sums kept in registers. Files include this that are
 * compiled once per instruction set.
 *
 * An element of A has four bytes. It is a float, or neighbouring channels that one
 * instruction multiplies and adds: a pair of bf16 (AVX512_BF16), which is twice the
 * arithmetic of floats; four bytes (VNNI, Arm's dot products), four times of it; or a
 * pair of int16. */

#ifndef YOLO_CPU_GEMM_H
#define YOLO_CPU_GEMM_H

#include "cpu/vector.h"

/* Rows of a tile. With two vectors each, sums take 24 of the 32 registers of AVX-512, and 12
 * of 16 elsewhere; AMX has registers of 16 rows. */
#if defined (__AMX_TILE__)
# define YOLO_ROWS 32u
#elif YOLO_LANES == 16
# define YOLO_ROWS 12u
#else
# define YOLO_ROWS 6u
#endif
#define YOLO_PANEL (2u * YOLO_LANES)    /* output channels of a panel */

/* How many panels the output channels make. The last one has one vector where that is enough. */
static inline guint
gemm_panels (const YoloConv *conv)
{
  return (conv->out_channels + YOLO_PANEL - 1) / YOLO_PANEL;
}

/* How many vectors the panel has that begins at output channel @c. */
static inline guint
gemm_panel_vectors (const YoloConv *conv, guint c)
{
  return conv->out_channels - c > YOLO_LANES ? 2 : 1;
}

typedef enum {
  ELEMENT_F32,
  ELEMENT_BF16,                 /* pairs of bf16; sums are f32 */
  ELEMENT_U8,                   /* four bytes, times four int8; sums are int32 */
  ELEMENT_S16,                  /* pairs of int16; sums are int32 */
} YoloElement;

/* The element that the including file is compiled for. */
#if defined (YOLO_INT8) \
    && (defined (__AVX512VNNI__) || defined (__AVXVNNI__) || defined (__ARM_FEATURE_DOTPROD))
# define ELEMENT ELEMENT_U8
# define PER 4u                 /* channels of an element, which has 4 bytes */
#elif defined (YOLO_INT8)
# define ELEMENT ELEMENT_S16
# define PER 2u
#elif defined (__AVX512BF16__)
# define ELEMENT ELEMENT_BF16
# define PER 2u
#else
# define ELEMENT ELEMENT_F32
# define PER 1u
#endif

/* What is taken off every byte of A, since Arm's dot products of 8.2 multiply signed bytes only. */
#if defined (__ARM_FEATURE_DOTPROD) && !defined (__ARM_FEATURE_MATMUL_INT8)
# define BYTE_BIAS 128
#else
# define BYTE_BIAS 0
#endif

/* sum + x * w, where all lanes have the same element x. */
static ALWAYS_INLINE YoloVec
multiply_add (YoloVec sum, const char *x, YoloVec w, const YoloElement element)
{
  float f;
  gint32 i;

  memcpy (&f, x, 4);
  memcpy (&i, x, 4);
  switch (element) {
#ifdef __AVX512BF16__
    case ELEMENT_BF16:
      return (YoloVec) _mm512_dpbf16_ps ((__m512) sum, (__m512bh) w, (__m512bh) _mm512_set1_ps (f));
#endif
#if defined (__AVX512VNNI__)
    case ELEMENT_U8:
      return (YoloVec) _mm512_dpbusd_epi32 ((__m512i) sum, _mm512_set1_epi32 (i), (__m512i) w);
#elif defined (__AVXVNNI__)
    case ELEMENT_U8:
      return (YoloVec) _mm256_dpbusd_avx_epi32 ((__m256i) sum, _mm256_set1_epi32 (i), (__m256i) w);
#elif defined (__ARM_FEATURE_MATMUL_INT8)
    case ELEMENT_U8:
      return (YoloVec) vsudotq_lane_s32 (
          (int32x4_t) sum, (int8x16_t) w, vcreate_u8 ((guint32) i), 0);
#elif defined (__ARM_FEATURE_DOTPROD)
    case ELEMENT_U8:
      return (YoloVec) vdotq_lane_s32 ((int32x4_t) sum, (int8x16_t) w,
          veor_s8 (vcreate_s8 ((guint32) i), vdup_n_s8 (-BYTE_BIAS)), 0);
#endif
    case ELEMENT_S16: {           /* sums may overflow, which winograd.c counts on */
#if defined (__AVX512BW__)
      return (YoloVec) ((YoloUintVec) sum
          + (YoloUintVec) _mm512_madd_epi16 (_mm512_set1_epi32 (i), (__m512i) w));
#elif defined (__AVX2__)
      return (YoloVec) ((YoloUintVec) sum
          + (YoloUintVec) _mm256_madd_epi16 (_mm256_set1_epi32 (i), (__m256i) w));
#elif defined (__SSE2__)
      return (YoloVec) ((YoloUintVec) sum
          + (YoloUintVec) _mm_madd_epi16 (_mm_set1_epi32 (i), (__m128i) w));
#else
      YoloIntVec pair = (YoloIntVec) w;
      /* the machine that packed the pairs runs this: their first ones are the lower halves */
      YoloIntVec first = (pair << 16) >> 16, second = pair >> 16;
      return (YoloVec) ((YoloUintVec) sum + (YoloUintVec) (first * (gint32) (gint16) i)
          + (YoloUintVec) (second * (i >> 16)));
#endif
    }
    default:
      return sum + f * w;
  }
}

/* A product of some rows of A and a panel. A row is `n_taps` runs of `k` elements: run t of
 * row m begins at a + m * row + taps[t] bytes. The panel is elements
 * [n_taps][k][vectors * lanes]. */
typedef struct {
  const char *a;
  gsize row;                    /* bytes */
  const gsize *taps;
  guint n_taps, k;
  const char *panel;
  const void *start;            /* [vectors * lanes] what the sums of each column begin with */
} YoloSum;

/* Computes a tile: acc[row][vector]. The compiler must know @rows and @vectors. */
static ALWAYS_INLINE void
gemm_tile (YoloVec acc[YOLO_ROWS][2], const YoloSum *s, const guint rows, const guint vectors,
    const YoloElement element)
{
  const char *b = s->panel;

#pragma GCC unroll 16
  for (guint m = 0; m < rows; m++)
#pragma GCC unroll 2
    for (guint v = 0; v < vectors; v++)
      acc[m][v] = vec_load ((const char *) s->start + v * sizeof (YoloVec));
  for (guint t = 0; t < s->n_taps; t++) {
    const char *a = s->a + s->taps[t];
    for (guint k = 0; k < s->k; k++) {
      YoloVec w[2];
#pragma GCC unroll 2
      for (guint v = 0; v < vectors; v++)
        w[v] = vec_load (b + v * sizeof (YoloVec));
      b += vectors * sizeof (YoloVec);
#pragma GCC unroll 16
      for (guint m = 0; m < rows; m++) {
#pragma GCC unroll 2
        for (guint v = 0; v < vectors; v++)
          acc[m][v] = multiply_add (acc[m][v], a + m * s->row + k * 4, w[v], element);
      }
    }
  }
}

/* Calls body (rows, vectors) with both of them constants for the compiler. */
#if YOLO_LANES == 16
# define GEMM_ROWS(body, vectors, rows) switch (rows) { \
    case 1: body (1, vectors); break; case 2: body (2, vectors); break; \
    case 3: body (3, vectors); break; case 4: body (4, vectors); break; \
    case 5: body (5, vectors); break; case 6: body (6, vectors); break; \
    case 7: body (7, vectors); break; case 8: body (8, vectors); break; \
    case 9: body (9, vectors); break; case 10: body (10, vectors); break; \
    case 11: body (11, vectors); break; default: body (12, vectors); break; }
#else
# define GEMM_ROWS(body, vectors, rows) switch (rows) { \
    case 1: body (1, vectors); break; case 2: body (2, vectors); break; \
    case 3: body (3, vectors); break; case 4: body (4, vectors); break; \
    case 5: body (5, vectors); break; default: body (6, vectors); break; }
#endif
#define GEMM_DISPATCH(body, rows, vectors) do { \
    if ((vectors) == 1) GEMM_ROWS (body, 1, rows) else GEMM_ROWS (body, 2, rows) } while (0)

/* The rows of a tile where @n rows are cut into as few and as equal tiles as possible. */
static inline guint
gemm_tile_rows (guint n)
{
  guint tiles = (n + YOLO_ROWS - 1) / YOLO_ROWS;
  return tiles ? (n + tiles - 1) / tiles : 1;
}

#endif
