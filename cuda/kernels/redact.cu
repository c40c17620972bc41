/* SPDX-License-Identifier: MIT */
/* Redactions of a frame in place, in its own format. The arithmetic is that of
 * image/redaction.h, in whole numbers, so that the result equals yolo_privacy_apply(). All
 * levels are taken by one launch, before the next one writes a sample. */

#include "cuda/kernels/redact.h"

/* One block of a redaction for each block of threads: grid (most blocks of a redaction,
 * redactions, components). */
extern "C" __global__ void __launch_bounds__ (YOLO_REDACT_THREADS)
redact_levels (const __grid_constant__ YoloRedactParams p)
{
  __shared__ unsigned long long sums[YOLO_REDACT_THREADS];
  const YoloRedaction &r = p.redactions[blockIdx.y];
  const YoloComponent &c = p.canvas.component[blockIdx.z];
  const int n_blocks = r.columns * r.rows, block = blockIdx.x, t = threadIdx.x;

  if (r.mode == YOLO_REDACTION_FILL || block >= n_blocks)
    return;
  const YoloRect s = yolo_redaction_samples (
      &p.canvas, &c, yolo_redaction_block (&r, block % r.columns, block / r.columns));
  const int width = s.x1 - s.x0, height = s.y1 - s.y0;
  const long long n = width > 0 && height > 0 ? (long long) width * height : 0;
  unsigned long long sum = 0;

  for (long long i = t; i < n; i += YOLO_REDACT_THREADS) {
    const int y = s.y0 + (int) (i / width), x = s.x0 + (int) (i % width);

    sum += yolo_redaction_read (
        &c, c.data + (long long) y * c.stride + (long long) x * c.pixel_stride);
  }
  sums[t] = sum;
  for (int half = YOLO_REDACT_THREADS / 2; half > 0; half /= 2) {
    __syncthreads ();
    if (t < half)
      sums[t] += sums[t + half];
  }
  if (t == 0)
    p.levels[r.levels + (long long) blockIdx.z * n_blocks + block] =
        yolo_redaction_level (&c, sums[0], (uint64_t) n);
}

/* What a sample at (x, y) of the redaction becomes. */
static __device__ unsigned
level_at (const YoloRedactParams &p, const YoloRedaction &r, const YoloComponent &c, int component,
    int x, int y)
{
  const int across = (YOLO_REDACTION_CELL >> c.shift_x) * r.block_width,
            down = (YOLO_REDACTION_CELL >> c.shift_y) * (int) p.canvas.n_fields * r.block_height;
  const uint16_t *levels = p.levels + r.levels + (long long) component * r.rows * r.columns;
  unsigned row[3];

  if (r.mode == YOLO_REDACTION_FILL)
    return yolo_redaction_fill_level (&c, r.value[component]);
  if (r.mode == YOLO_REDACTION_PIXELATE)
    return levels[y / down * r.columns + x / across];
  const YoloRedactionTap h = yolo_redaction_tap (x, across, r.columns),
                         v = yolo_redaction_tap (y, down, r.rows);
#pragma unroll
  for (int i = 0; i < 3; i++)
    row[i] = yolo_redaction_blend (&v, levels[v.index[0] * r.columns + h.index[i]],
        levels[v.index[1] * r.columns + h.index[i]], levels[v.index[2] * r.columns + h.index[i]]);
  return yolo_redaction_blend (&h, row[0], row[1], row[2]);
}

/* A thread owns one sample of those that lie in `cells`, and looks for the last redaction
 * of it. */
extern "C" __global__ void __launch_bounds__ (YOLO_REDACT_WIDTH * YOLO_REDACT_HEIGHT)
redact (const __grid_constant__ YoloRedactParams p)
{
  const YoloComponent &c = p.canvas.component[blockIdx.z];
  const YoloRect all = yolo_redaction_samples (&p.canvas, &c, p.cells);
  const int t = threadIdx.x;
  const int x = all.x0 + (int) blockIdx.x * YOLO_REDACT_WIDTH + t % YOLO_REDACT_WIDTH,
            y = all.y0 + (int) blockIdx.y * YOLO_REDACT_HEIGHT + t / YOLO_REDACT_WIDTH;
  const int across = YOLO_REDACTION_CELL >> c.shift_x,
            down = (YOLO_REDACTION_CELL >> c.shift_y) * (int) p.canvas.n_fields;
  const int cell_x = x / across, cell_y = y / down;

  if (x >= all.x1 || y >= all.y1)
    return;
  for (int i = p.n_redactions - 1; i >= 0; i--) {
    const YoloRedaction &r = p.redactions[i];

    if (cell_x < r.cells.x0 || cell_x >= r.cells.x1 || cell_y < r.cells.y0
        || cell_y >= r.cells.y1)
      continue;
    if (r.mask >= 0
        && p.masks[r.mask + (long long) (cell_y - r.cells.y0) * (r.cells.x1 - r.cells.x0) + cell_x
            - r.cells.x0] == 0)
      continue;
    yolo_redaction_write (&c, c.data + (long long) y * c.stride + (long long) x * c.pixel_stride,
        level_at (p, r, c, (int) blockIdx.z, x - r.cells.x0 * across, y - r.cells.y0 * down));
    return;
  }
}
