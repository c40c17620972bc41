/* SPDX-License-Identifier: MIT */
/* Depthwise layers: our kernel and a copy of as many bytes, in turns.
 *
 *     build/tests/bench/bench-depthwise N [ROUNDS]
 *
 * Prints microseconds, the least of all rounds: N threads each, maps that lie in memory
 * without gaps and stay in the cache if they fit there. */

#include "cpu/kernels.h"

#include <stdio.h>
#include <stdlib.h>

/* The layers of YOLO11n's head, and those of larger kernels in YOLOv10 and YOLO12. */
static const struct { guint size, channels, kernel, stride;
} layers[] = {
  { 80, 64, 3, 1 },
  { 80, 80, 3, 1 },
  { 40, 128, 3, 1 },
  { 40, 160, 3, 1 },
  { 20, 256, 3, 1 },
  { 80, 128, 3, 2 },
  { 40, 256, 3, 2 },
  { 40, 64, 5, 1 },
  { 20, 128, 7, 1 },
  { 40, 128, 7, 1 },
  { 20, 256, 7, 1 },
};

typedef struct {
  YoloPool *pool;
  YoloConv conv;
  YoloTensor in, out;
  const YoloConvKernel *kernel;
  void *packed, *scratch;
} Bench;

static void *
allocate (gsize size)
{
  gsize whole = (MAX (size, 1) + 63) & ~(gsize) 63;
  void *p = aligned_alloc (64, whole);

  memset (p, 0, whole);
  return p;
}

static void
run_ours (Bench *b)
{
  const YoloTensor none = { 0 };

  b->kernel->run (b->pool, &b->conv, b->packed, &b->in, &none, &b->out, 1, b->scratch);
}

#define PARTS 8u

static void
copy_part (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Bench *b = data;
  gsize part = (b->in.image + b->out.image) / 2 / PARTS;

  memcpy (b->out.data + index * part, b->in.data + index * part, part);
}

/* Reads and writes as many bytes together as the layer reads and writes. */
static void
run_copy (Bench *b)
{
  yolo_pool_run (b->pool, PARTS, copy_part, b);
}

static double
seconds (void (*run) (Bench *b), Bench *b)
{
  gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < 10; i++)
    run (b);
  return (double) (g_get_monotonic_time () - start) / 1e7;
}

static void
measure (YoloPool *pool, guint layer, YoloDType type, YoloActivation act, guint rounds)
{
  guint size = layers[layer].size, channels = layers[layer].channels, k = layers[layer].kernel,
        stride = layers[layer].stride;
  gsize n = (gsize) channels * k * k;
  g_autofree float *weights = g_new (float, n), *bias = g_new0 (float, channels);
  const YoloKernels *set = yolo_cpu_kernels (0);
  void (*const runs[]) (Bench *) = { run_ours, run_copy };
  double best[] = { 1, 1 };
  Bench b = { .pool = pool,
    .conv = { .in_channels = channels, .out_channels = channels, .groups = channels,
        .kernel = { k, k }, .stride = { stride, stride }, .pad = { k / 2, k / 2 },
        .dilation = { 1, 1 }, .act = act, .weights = weights, .bias = bias } };

  for (gsize i = 0; i < n; i++)
    weights[i] = (float) (i * 2654435761u >> 24 & 255) / 256 - .5f;
  b.in = yolo_tensor_make (NULL, size, size, channels, type);
  b.out = yolo_tensor_make (NULL, size / stride, size / stride, channels, type);
  b.in.data = allocate (b.in.image);
  b.out.data = allocate (b.in.image);   /* the copy of a layer that halves writes more of it */
  b.kernel = type == YOLO_BF16 ? set->depthwise_bf16 : set->depthwise;
  b.packed = allocate (b.kernel->packed_size (&b.conv));
  b.scratch = allocate (b.kernel->scratch (&b.conv, &b.in) * yolo_pool_threads (pool));
  b.kernel->pack (&b.conv, b.packed);
  for (guint round = 0; round < rounds; round++)
    for (guint i = 0; i < G_N_ELEMENTS (runs); i++)
      best[i] = MIN (best[i], seconds (runs[i], &b));
  printf ("%3ux%-3u x %3u  %ux%u/%u  %-4s %-4s  %8.1f %8.1f   %5.2f\n", size, size,
      channels, k, k, stride, yolo_dtype_name (type), act == YOLO_ACT_SILU ? "SiLU" : "none",
      1e6 * best[0], 1e6 * best[1], best[1] / best[0]);
  free (b.in.data);
  free (b.out.data);
  free (b.packed);
  free (b.scratch);
}

int
main (int argc, char **argv)
{
  guint rounds = argc > 2 ? (guint) atoi (argv[2]) : 50;
  YoloPool *pool;

  if (argc < 2) {
    fprintf (stderr, "usage: %s N [ROUNDS]\n", argv[0]);
    return 2;
  }
  pool = yolo_pool_new ((guint) atoi (argv[1]));
  printf ("map            kernel type act        ours     copy  copy / ours\n");
  for (YoloDType type = YOLO_F32; type <= YOLO_BF16; type++) {
    if ((type != YOLO_F32 && type != YOLO_BF16)
        || (type == YOLO_BF16 && yolo_cpu_kernels (0)->depthwise_bf16 == NULL))
      continue;
    for (guint i = 0; i < G_N_ELEMENTS (layers); i++) {
      measure (pool, i, type, YOLO_ACT_NONE, rounds);
      measure (pool, i, type, YOLO_ACT_SILU, rounds);
    }
  }
  yolo_pool_free (pool);
  return 0;
}
