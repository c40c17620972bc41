/* SPDX-License-Identifier: MIT */
/* The same tile as gemm.h's gemm_tile(), by Intel's AMX: an instruction multiplies sixteen rows of
 * A, sixteen elements deep, and sixteen output channels. Source: Intel's Software Developer's
 * Manual, volume 1, chapter "Programming with Intel Advanced Matrix Extensions".
 *
 * AMX has eight tile registers of up to 16 rows of 64 bytes. Before a thread can use them it must
 * configure them: say how many rows and bytes each has (LDTILECFG), which also clears them, and
 * takes longer than an instruction. While they are configured their 8 KiB are state of the thread,
 * which the kernel saves and loads at each change of threads. So direct.c configures them when a
 * tile has another shape than the one before, and releases them (TILERELEASE) at the end of each
 * block of work that a thread takes from the pool: no thread waits for work, or runs anything else,
 * with tile registers of ours. */

#ifndef YOLO_CPU_AMX_H
#define YOLO_CPU_AMX_H

#include "cpu/gemm.h"

/* GCC does not know what the instructions read: it must have stored all of it before them. */
#define AMX_READS_MEMORY __asm__ volatile ("" ::: "memory")

#define AMX_ROWS 16u            /* of a tile register; a row has 64 bytes, 16 elements */

/* What LDTILECFG reads. */
typedef struct {
  guint8 palette, start_row, reserved[14];
  guint16 row_bytes[16];
  guint8 rows[16];
} AmxShapes;

/* Configures this thread's tile registers for tiles of @upper rows, up to 16, and @lower rows below
 * them, with @depth elements of A at a time. Registers 0 to 3 hold sums: of the upper rows with the
 * first and the second vector of channels (0, 1), and of the lower rows with them (2, 3). Registers
 * 4 and 5 hold the upper and the lower rows of A; 6 and 7 the weights of the first and the second
 * vector. Where there are no lower rows their registers have one row, since the instruction refuses
 * registers that have bytes and no rows. */
static inline void
amx_configure (guint upper, guint lower, guint depth)
{
  AmxShapes shapes = { .palette = 1 };

  for (guint i = 0; i < 8; i++) {
    gboolean is_weights = i >= 6, is_lower = i == 2 || i == 3 || i == 5;

    shapes.row_bytes[i] = i == 4 || i == 5 ? depth * 4 : 64;
    shapes.rows[i] = is_weights ? depth : is_lower ? lower : upper;
  }
  AMX_READS_MEMORY;
  _tile_loadconfig (&shapes);
}

/* How many elements of a run of @k a tile register takes: as many as possible so that all parts
 * of the run are equally long, since the shape of a register cannot change between two sums. */
static inline guint
amx_depth (guint k)
{
  guint depth = MIN (k, 16);

  while (k % depth)
    depth--;
  return depth;
}

#if defined (YOLO_INT8)
# define AMX_MULTIPLY(sum, a, b) _tile_dpbusd (sum, a, b)
#else
# define AMX_MULTIPLY(sum, a, b) _tile_dpbf16ps (sum, a, b)
#endif

/* Sums for @lower rows below the first sixteen and for @vectors, which the compiler must know to
 * be more than 0 or not, and 1 or 2. */
static ALWAYS_INLINE void
amx_sums (YoloVec acc[YOLO_ROWS][2], const YoloSum *s, guint upper, guint depth,
    const gboolean lower, const guint vectors)
{
  const gsize width = vectors * sizeof (YoloVec);
  const char *b = s->panel, *start = s->start;

  AMX_READS_MEMORY;
  /* A distance of 0 reads the same row, that of the biases, into every row. */
  _tile_loadd (0, start, 0);
  if (vectors == 2)
    _tile_loadd (1, start + sizeof (YoloVec), 0);
  if (lower)
    _tile_loadd (2, start, 0);
  if (lower && vectors == 2)
    _tile_loadd (3, start + sizeof (YoloVec), 0);
  for (guint t = 0; t < s->n_taps; t++) {
    const char *a = s->a + s->taps[t];

    for (guint k = 0; k < s->k; k += depth, a += depth * 4, b += depth * width) {
      _tile_loadd (6, b, width);
      _tile_loadd (4, a, s->row);
      AMX_MULTIPLY (0, 4, 6);
      if (lower) {
        _tile_loadd (5, a + upper * s->row, s->row);
        AMX_MULTIPLY (2, 5, 6);
      }
      if (vectors == 2) {
        _tile_loadd (7, b + sizeof (YoloVec), width);
        AMX_MULTIPLY (1, 4, 7);
        if (lower)
          AMX_MULTIPLY (3, 5, 7);
      }
    }
  }
  _tile_stored (0, acc[0], sizeof acc[0]);
  if (vectors == 2)
    _tile_stored (1, &acc[0][1], sizeof acc[0]);
  if (lower)
    _tile_stored (2, acc[upper], sizeof acc[0]);
  if (lower && vectors == 2)
    _tile_stored (3, &acc[upper][1], sizeof acc[0]);
}

/* Computes a tile of up to YOLO_ROWS rows: acc[row][vector]. @shape: what this thread's registers
 * are configured for, its rows and depth as one number, which is updated; 0: they are not
 * configured. Who has called this releases the registers (_tile_release()) when @shape goes. */
static void
amx_tile (YoloVec acc[YOLO_ROWS][2], const YoloSum *s, guint rows, guint vectors, guint *shape)
{
  guint upper = rows > AMX_ROWS ? (rows + 1) / 2 : rows, lower = rows - upper;
  guint depth = amx_depth (s->k), wanted = depth << 16 | rows;

  if (*shape != wanted)
    amx_configure (upper, lower ? lower : 1, depth);
  *shape = wanted;
  if (lower && vectors == 2)
    amx_sums (acc, s, upper, depth, TRUE, 2);
  else if (lower)
    amx_sums (acc, s, upper, depth, TRUE, 1);
  else if (vectors == 2)
    amx_sums (acc, s, upper, depth, FALSE, 2);
  else
    amx_sums (acc, s, upper, depth, FALSE, 1);
}

#endif
