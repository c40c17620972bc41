/* SPDX-License-Identifier: MIT */
/* What the maps say of the objects that are left: rows of a map, and masks as
 * postprocess/mask.c defines them. */

#include "cuda/kernels/details.h"

/* Each block copies one object's row. */
extern "C" __global__ void __launch_bounds__ (YOLO_DETAILS_BLOCK)
details_rows (const __grid_constant__ YoloRowsParams p)
{
  const float *from = p.pixels[blockIdx.x];

  for (int c = threadIdx.x; c < p.channels; c += YOLO_DETAILS_BLOCK)
    p.rows[(long long) blockIdx.x * p.channels + c] = from[c];
}

/* The sum that cell i stands for. Multiplied and added one after the other, rounded each time:
 * the same on every GPU; the host adds in another order. */
static __device__ __forceinline__ float
sum_of (const YoloMasksParams &p, const YoloMaskCells &mask, int i)
{
  const float *pixel = p.prototypes
      + ((long long) (mask.y + i / mask.width) * p.width + mask.x + i % mask.width) * p.pitch;
  const float *coefficients = p.coefficients + (long long) blockIdx.x * p.channels;
  float sum = 0;

  for (int c = 0; c < p.channels; c++)
    sum = __fadd_rn (sum, __fmul_rn (coefficients[c], pixel[c]));
  return sum;
}

/* Each block makes one object's mask: the largest of its sums first, then all of them once
 * more. A prototype is read twice, from the cache the second time: 8 * channels bytes and
 * 4 * channels operations a cell. */
extern "C" __global__ void __launch_bounds__ (YOLO_DETAILS_BLOCK)
details_masks (const __grid_constant__ YoloMasksParams p)
{
  __shared__ float largest[YOLO_DETAILS_BLOCK];
  const YoloMaskCells mask = p.masks[blockIdx.x];
  int n = mask.width * mask.height, t = threadIdx.x;
  float most = 0;

  for (int i = t; i < n; i += YOLO_DETAILS_BLOCK)
    most = fmaxf (most, fabsf (sum_of (p, mask, i)));
  largest[t] = most;
  __syncthreads ();
  for (int d = YOLO_DETAILS_BLOCK / 2; d > 0; d /= 2) {
    if (t < d)
      largest[t] = fmaxf (largest[t], largest[t + d]);
    __syncthreads ();
  }
  float scale = largest[0] > 0 ? __fdiv_rn (32767.0f, largest[0]) : 0;
  for (int i = t; i < n; i += YOLO_DETAILS_BLOCK) {
    float sum = sum_of (p, mask, i), scaled = rintf (__fmul_rn (sum, scale));

    scaled = sum > 0 ? fminf (fmaxf (scaled, 1.0f), 32767.0f)
        : sum < 0    ? fmaxf (fminf (scaled, -1.0f), -32767.0f)
                     : 0.0f;
    p.cells[mask.first + i] = (int16_t) scaled;
  }
}
