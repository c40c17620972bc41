/* SPDX-License-Identifier: MIT */
/* Views in guarded memory, for the tests of kernels. */

#ifndef TEST_CPU_MAPS_H
#define TEST_CPU_MAPS_H

#include "cpu/tensor.h"
#include "tests/activations.h"
#include "tests/guarded.h"

#include <math.h>

/* A view that ends where its memory ends. */
typedef struct {
  YoloTensor t;
  Guarded memory;
} Map;

static inline Map
map_new (guint n, guint height, guint width, guint channels, guint pixel_channels, YoloDType dtype)
{
  gsize size = yolo_dtype_size (dtype);
  Map m = { yolo_tensor_make (NULL, height, width, pixel_channels, dtype),
    guarded_new (n * height * width * pixel_channels * size) };

  m.t.channels = channels;
  m.t.data = (char *) m.memory.data + (pixel_channels - channels) * size;
  return m;
}

static inline float
get (const YoloTensor *t, guint n, guint y, guint x, guint c)
{
  const char *p = yolo_tensor_at (t, n, y, x);
  guint32 bits;
  float f;

  if (t->dtype == YOLO_F32)
    return ((const float *) p)[c];
  if (t->dtype == YOLO_U8)
    return t->scale ? ((float) ((const guint8 *) p)[c] - (float) t->zero[c]) * t->scale[c]
                    : ((const guint8 *) p)[c];
  bits = (guint32) ((const guint16 *) p)[c] << 16;
  memcpy (&f, &bits, 4);
  return f;
}

static inline float
to_bf16 (float f)
{
  guint32 u;

  memcpy (&u, &f, 4);
  u = (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000;
  memcpy (&f, &u, 4);
  return f;
}

/* All of the memory, what lies between the views as well. */
static inline void
map_fill (Map *m, Random *random)
{
  gsize n = m->memory.size / yolo_dtype_size (m->t.dtype);

  for (gsize i = 0; i < n; i++) {
    float f = (float) random_normal (random);
    guint32 u;

    memcpy (&u, &f, 4);
    if (m->t.dtype == YOLO_F32)
      ((float *) m->memory.data)[i] = f;
    else if (m->t.dtype == YOLO_BF16)
      ((guint16 *) m->memory.data)[i] = u >> 16;
    else
      m->memory.data[i] = random_u32 (random) & 255;
  }
}

/* What lies between the views, as it was. */
static inline void
check_between (const Map *m, const guint8 *before, guint n)
{
  gsize size = yolo_dtype_size (m->t.dtype), others = m->t.pixel - m->t.channels * size;

  for (gsize i = 0; i < (gsize) n * m->t.height * m->t.width; i++)
    g_assert_cmpmem (m->memory.data + i * m->t.pixel, others, before + i * m->t.pixel, others);
}

#endif
