/* SPDX-License-Identifier: MIT */
/* For all tests: buffers that end where memory ends, and random numbers that
 * are the same everywhere. */

#ifndef YOLO_TESTS_GUARDED_H
#define YOLO_TESTS_GUARDED_H

#include <glib.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* `size` bytes at `data` between two pages that cannot be touched: the page
 * behind begins right after the last byte; before the first there are less
 * than a page of bytes, which guarded_check() looks at. */
typedef struct {
  uint8_t *data;
  size_t size;
  uint8_t *map;
  size_t map_size;
} Guarded;

#define GUARDED_FILL 0xa5

static inline Guarded
guarded_new (size_t size)
{
  size_t page = (size_t) sysconf (_SC_PAGESIZE);
  size_t inner = (size + page - 1) / page * page;
  Guarded g = { .size = size, .map_size = inner + 2 * page };

  g.map = mmap (NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_assert_true (g.map != MAP_FAILED);
  memset (g.map, GUARDED_FILL, g.map_size);
  g_assert_cmpint (mprotect (g.map, page, PROT_NONE), ==, 0);
  g_assert_cmpint (mprotect (g.map + page + inner, page, PROT_NONE), ==, 0);
  g.data = g.map + page + inner - size;
  return g;
}

/* Whether nothing was written before the buffer. */
static inline void
guarded_check (const Guarded *g)
{
  for (const uint8_t *p = g->map + sysconf (_SC_PAGESIZE); p < g->data; p++)
    g_assert_cmpuint (*p, ==, GUARDED_FILL);
}

static inline void
guarded_free (Guarded *g)
{
  guarded_check (g);
  munmap (g->map, g->map_size);
}

/* Source: M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient
 * Statistically Good Algorithms for Random Number Generation", 2014,
 * PCG-XSH-RR 64/32. */
typedef struct {
  uint64_t state;
} Random;

static inline uint32_t
random_u32 (Random *r)
{
  uint64_t s = r->state;

  r->state = s * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
  uint32_t x = (uint32_t) (((s >> 18) ^ s) >> 27);
  uint32_t rot = (uint32_t) (s >> 59);
  return x >> rot | x << (-rot & 31);
}

static inline Random
random_new (uint64_t seed)
{
  Random r = { seed + UINT64_C (1442695040888963407) };

  random_u32 (&r);
  return r;
}

/* low to high, both included. */
static inline int
random_int (Random *r, int low, int high)
{
  return low + (int) (random_u32 (r) % ((uint32_t) (high - low) + 1));
}

/* 0 included, 1 not. */
static inline double
random_unit (Random *r)
{
  return random_u32 (r) / 4294967296.0;
}

/* Sum 0, variance 1 about: the sum of twelve uniform ones. */
static inline double
random_normal (Random *r)
{
  double sum = -6;

  for (int i = 0; i < 12; i++)
    sum += random_unit (r);
  return sum;
}

static inline void
random_bytes (Random *r, void *data, size_t size)
{
  for (size_t i = 0; i < size; i++)
    ((uint8_t *) data)[i] = (uint8_t) (random_u32 (r) >> 24);
}

#endif
