/* The inner kernel of our convolutions: a tile of rows times a panel of
 * packed weights, sums kept in registers. Included by files that are
 * compiled once per instruction set.
 *
 * An element of A is a float or, with dots (AVX512_BF16), a pair of bf16 that
 * are multiplied and added in one instruction: twice the arithmetic. */

#ifndef YOLO_CPU_GEMM_H
#define YOLO_CPU_GEMM_H

#include "cpu/vector.h"

/* Registers: 24 of 32 sums with AVX-512, 12 of 16 otherwise. */
#if YOLO_LANES == 16
# define YOLO_ROWS 12u
#else
# define YOLO_ROWS 6u
#endif
#define YOLO_PANEL (2u * YOLO_LANES)    /* columns of a panel */

/* Of the packed weights: panels of output channels, the last one of one vector
 * if that is enough. */
static inline guint
gemm_panels (const YoloConv *conv)
{
  return (conv->out_channels + YOLO_PANEL - 1) / YOLO_PANEL;
}

/* Vectors of the panel that begins at output channel @c. */
static inline guint
gemm_panel_vectors (const YoloConv *conv, guint c)
{
  return conv->out_channels - c > YOLO_LANES ? 2 : 1;
}

#define ALWAYS_INLINE inline __attribute__ ((always_inline))

/* A sum over `n_taps` runs of `k` elements: run t of row m begins at
 * a + m * row + taps[t] bytes. The panel has [n_taps][k][vectors * lanes]. */
typedef struct {
  const char *a;
  gsize row;                    /* bytes */
  const gsize *taps;
  guint n_taps, k;
  const char *panel;
} YoloSum;

static ALWAYS_INLINE void
gemm_tile (YoloVec acc[YOLO_ROWS][2], const YoloSum *s, const guint rows, const guint vectors,
    const gboolean dots)
{
  const char *b = s->panel;

#pragma GCC unroll 16
  for (guint m = 0; m < rows; m++)
#pragma GCC unroll 2
    for (guint v = 0; v < vectors; v++)
      acc[m][v] = vec_set (0);
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
        float x;
        memcpy (&x, a + m * s->row + k * 4, 4);
#pragma GCC unroll 2
        for (guint v = 0; v < vectors; v++)
#ifdef __AVX512BF16__
          if (dots)
            acc[m][v] = (YoloVec) _mm512_dpbf16_ps ((__m512) acc[m][v], (__m512bh) w[v],
                (__m512bh) _mm512_set1_ps (x));
          else
#endif
            acc[m][v] += x * w[v];
      }
    }
  }
}

/* Calls body (rows, vectors) with both constant. */
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

/* How to cut n rows: as few tiles as can be, as equal as can be. */
static inline guint
gemm_tile_rows (guint n)
{
  guint tiles = (n + YOLO_ROWS - 1) / YOLO_ROWS;
  return tiles ? (n + tiles - 1) / tiles : 1;
}

#endif
