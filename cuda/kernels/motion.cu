/* SPDX-License-Identifier: MIT */
/* The small picture of a frame by which motion is found. The result equals
 * yolo_motion_picture(). A warp makes one pixel: neighbouring threads read neighbouring bytes. */

#include "cuda/kernels/motion.h"
#include "image/pixel.h"

extern "C" __global__ void __launch_bounds__ (YOLO_MOTION_THREADS)
motion (const __grid_constant__ YoloMotionParams p)
{
  const YoloMotionGrid &g = p.grid;
  const int lane = threadIdx.x % 32,
            index = (int) (blockIdx.x * (YOLO_MOTION_THREADS / 32) + threadIdx.x / 32);

  if (index >= g.columns * g.rows)
    return;
  const int x0 = index % g.columns * g.block, y0 = index / g.columns * g.block;
  const int width = min (g.block, g.width - x0), height = min (g.block, g.height - y0),
            rows = (height + g.step - 1) / g.step, n = width * rows;
  unsigned sum = 0;

  for (int i = lane; i < n; i += 32) {
    const long long x = g.x + x0 + i % width, y = g.y + y0 + i / width * g.step;
    int v[3] = { 0, 0, 0 };

#pragma unroll
    for (int k = 0; k < 3; k++)
      if (k == 0 || !p.yuv) {
        const uint8_t *at =
            p.component[k].data + y * p.component[k].stride + x * p.component[k].step;

        v[k] = p.bits == 8 ? at[0] : (at[0] | at[1] << 8) >> p.shift & 1023;
      }
    sum += (unsigned) (p.yuv ? v[0] : yolo_luma (v[0], v[1], v[2]));
  }
  for (int half = 16; half > 0; half /= 2)
    sum += __shfl_xor_sync (0xffffffffu, sum, half);
  if (lane == 0)
    p.picture[index] = yolo_mean_level (sum, (unsigned) n, p.bits);
}
