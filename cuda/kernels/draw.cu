/* SPDX-License-Identifier: MIT */
/* Boxes and text onto a frame in place, in its own format. A thread owns one
 * sample and applies the strokes to it in their order, so the result does not
 * depend on timing and equals the host's. A block first looks which strokes
 * reach its samples: where none does, and that is nearly everywhere, it reads
 * the strokes (56 bytes each, from the caches) and no pixel. */

#include "cuda/kernels/draw.h"

#define THREADS (YOLO_DRAW_WIDTH * YOLO_DRAW_HEIGHT)

extern "C" __global__ void __launch_bounds__ (THREADS)
draw (const __grid_constant__ YoloDrawParams p)
{
  __shared__ int reaching[THREADS];
  __shared__ int before[THREADS / 32 + 1];
  const YoloComponent &c = p.canvas.component[blockIdx.z];
  const int n_fields = (int) p.canvas.n_fields, t = threadIdx.x;
  const int first_x = blockIdx.x * YOLO_DRAW_WIDTH, first_row = blockIdx.y * YOLO_DRAW_HEIGHT;
  const int x = first_x + t % YOLO_DRAW_WIDTH, row = first_row + t / YOLO_DRAW_WIDTH;
  const int y = row / n_fields, field = row % n_fields;
  const bool inside = x << c.shift_x < p.canvas.width && row < c.rows
      && y << c.shift_y < (p.canvas.height + n_fields - 1 - field) / n_fields;
  /* Pixels of the frame that the block's samples cover; of interlaced ones, of both fields. */
  const YoloRect area = {
    first_x << c.shift_x, (first_row / n_fields << c.shift_y) * n_fields,
    (first_x + YOLO_DRAW_WIDTH) << c.shift_x,
    (((first_row + YOLO_DRAW_HEIGHT - 1) / n_fields + 1) << c.shift_y) * n_fields
  };
  uint8_t *at = c.data + (long long) row * c.stride + (long long) x * c.pixel_stride;
  bool touched = false;
  unsigned sample = 0;

  for (int start = 0; start < p.n_strokes; start += THREADS) {
    bool reaches = false;
    if (start + t < p.n_strokes) {
      const YoloRect &r = p.strokes[start + t].outer;
      reaches = r.x0 < area.x1 && r.x1 > area.x0 && r.y0 < area.y1 && r.y1 > area.y0;
    }
    /* the numbers of the strokes that reach this block, in order */
    unsigned ballot = __ballot_sync (0xffffffffu, reaches);
    if (t % 32 == 0)
      before[t / 32 + 1] = __popc (ballot);
    __syncthreads ();
    if (t == 0) {
      before[0] = 0;
      for (int w = 1; w <= THREADS / 32; w++)
        before[w] += before[w - 1];
    }
    __syncthreads ();
    if (reaches)
      reaching[before[t / 32] + __popc (ballot & ((1u << t % 32) - 1))] = start + t;
    int n = before[THREADS / 32];
    __syncthreads ();

    for (int i = 0; inside && i < n; i++) {
      const YoloStroke &stroke = p.strokes[reaching[i]];
      unsigned opacity = yolo_stroke_opacity (&p.canvas, &c, &stroke, p.masks, x, y, field);

      if (opacity == 0)
        continue;
      if (!touched)
        sample = c.wide ? (at[0] | at[1] << 8) >> c.depth_shift : *at;
      touched = true;
      sample = yolo_draw_mix (sample, stroke.value[blockIdx.z], opacity);
    }
    __syncthreads ();
  }
  if (!touched)
    return;
  if (c.wide) {
    at[0] = (uint8_t) (sample << c.depth_shift);
    at[1] = (uint8_t) (sample << c.depth_shift >> 8);
  } else {
    *at = (uint8_t) sample;
  }
}
