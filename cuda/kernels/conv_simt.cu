/* SPDX-License-Identifier: MIT */
/* Convolution without tensor cores, for what the other kernels do not take: groups,
 * any kernel, stride and dilation. One thread computes one element of the output.
 * Sums are in float, those of int8 in whole numbers, in the order of the kernel's
 * rows, columns and channels. A thread reads 2 * K elements for K multiply-adds,
 * most of them from the caches. */

#include "cuda/kernels/common.cuh"
#include "cuda/kernels/conv.h"

static __device__ __forceinline__ float product (float a, float b) { return a * b; }
static __device__ __forceinline__ float
product (__half a, __half b)
{
  return __half2float (a) * __half2float (b);
}
static __device__ __forceinline__ int product (int8_t a, int8_t b) { return (int) a * (int) b; }

template <typename T, typename Sum>
static __device__ void
convolve (const YoloConvParams &p)
{
  long long index = (long long) blockIdx.x * blockDim.x + threadIdx.x;
  long long pixel = index / p.out_channels;
  int o = (int) (index % p.out_channels);
  int x = (int) (pixel % p.out_width);
  long long row = pixel / p.out_width;
  int y = (int) (row % p.out_height), n = (int) (row / p.out_height);

  if (n >= p.batch)
    return;
  int per_group = p.in_channels / p.groups, first = o / (p.out_channels / p.groups) * per_group;
  const T *weights =
      (const T *) p.weights + (long long) o * p.kernel[0] * p.kernel[1] * p.packed_channels;
  Sum sum = 0;

  for (int ky = 0; ky < p.kernel[0]; ky++) {
    int iy = y * p.stride[0] + ky * p.dilation[0] - p.pad[0];
    if (iy < 0 || iy >= p.in_height)
      continue;
    for (int kx = 0; kx < p.kernel[1]; kx++) {
      int ix = x * p.stride[1] + kx * p.dilation[1] - p.pad[1];
      if (ix < 0 || ix >= p.in_width)
        continue;
      const T *in = (const T *) p.in
          + (((long long) n * p.in_height + iy) * p.in_width + ix) * p.in_pitch + first;
      const T *tap = weights + (long long) (ky * p.kernel[1] + kx) * p.packed_channels;
      for (int i = 0; i < per_group; i++)
        sum += product (in[i], tap[i]);
    }
  }
  float v[8] = { activate (
      p.act, p.alpha, p.beta, scaled (sum, sizeof (T) == 1 ? p.scale[o] : 1.0f, p.bias[o])) };
  if (p.residual_pitch != 0) {
    float r[8];
    load_reals (
        r, p.residual, p.residual_type, p.residual_scale, p.residual_pitch, pixel, o, o + 1);
    v[0] += r[0];
  }
  if (p.out_type == TYPE_S8)
    v[0] *= p.out_inverse;
  store_floats (v, p.out, p.out_type, p.out_pitch, pixel, o, 1);
}

/* The same in tiles, in float, without groups: a block computes TILE_M pixels of
 * TILE_N channels, a thread 4 by 4 of them. K = taps times channels goes by in steps
 * of TILE_K, whose rows lie transposed in shared memory; the next step waits in
 * registers. A step loads 16 floats for each of 128 rows for its 64 * 64 * 16
 * multiply-adds: 16 operations a byte from the caches. A thread makes two vector
 * loads from shared memory for 16 multiply-adds. A sum is added up in the order of K. The
 * function is long because its steps share the position and the sums of a thread. */

#define TILE_M 64
#define TILE_N 64
#define TILE_K 16

/* Four channels, of which n are there; the others are zero. @whole: all are, and @from is
 * a multiple of 16 bytes. */
static __device__ __forceinline__ float4
load_four (const float *from, int n, bool whole)
{
  if (whole)
    return *(const float4 *) from;
  return make_float4 (
      n > 0 ? from[0] : 0, n > 1 ? from[1] : 0, n > 2 ? from[2] : 0, n > 3 ? from[3] : 0);
}

extern "C" __global__ void __launch_bounds__ (256)
conv_simt_tile_f32 (const __grid_constant__ YoloConvParams p)
{
  /* rows are four floats longer than a tile, so that transposed stores use different banks */
  __shared__ __align__ (16) float a[2][TILE_K][TILE_M + 4], b[2][TILE_K][TILE_N + 4];
  const int t = threadIdx.x, row = t / 4, part = t % 4 * 4;
  const int n_tiles = (p.out_channels + TILE_N - 1) / TILE_N;
  const int m0 = blockIdx.x / n_tiles * TILE_M, n0 = blockIdx.x % n_tiles * TILE_N;
  const int m_end = p.batch * p.out_height * p.out_width,
            all = p.packed_channels * p.kernel[0] * p.kernel[1];
  const bool whole =
      p.in_channels % 4 == 0 && p.in_pitch % 4 == 0 && ((unsigned long long) p.in & 15) == 0;

  /* The pixel and the channel whose rows this thread loads, and where in K it is. */
  const int m = m0 + row, x = m % p.out_width, y = m / p.out_width % p.out_height,
            n = m / p.out_width / p.out_height;
  const float *in = (const float *) p.in
      + (m < m_end ? (long long) n * p.in_height * p.in_width * p.in_pitch : 0);
  const float *weights =
      (const float *) p.weights + (long long) min (n0 + row, p.out_channels - 1) * all;
  const int y0 = y * p.stride[0] - p.pad[0], x0 = x * p.stride[1] - p.pad[1];
  int k = part, c = part % p.packed_channels, tap = part / p.packed_channels,
      ky = tap / p.kernel[1], kx = tap % p.kernel[1];
  float4 next_a, next_b;

  auto fetch = [&] () {
    int iy = y0 + ky * p.dilation[0], ix = x0 + kx * p.dilation[1];
    bool valid = k < all && m < m_end && (unsigned) iy < (unsigned) p.in_height
        && (unsigned) ix < (unsigned) p.in_width;

    next_a = next_b = make_float4 (0, 0, 0, 0);
    if (valid)
      next_a = load_four (
          in + ((long long) iy * p.in_width + ix) * p.in_pitch + c, p.in_channels - c, whole);
    if (k < all)
      next_b = *(const float4 *) (weights + k);
    k += TILE_K;
    c += TILE_K;
    while (c >= p.packed_channels) {
      c -= p.packed_channels;
      if (++kx == p.kernel[1]) {
        kx = 0;
        ky++;
      }
    }
  };
  auto keep = [&] (int stage) {
    a[stage][part][row] = next_a.x;
    a[stage][part + 1][row] = next_a.y;
    a[stage][part + 2][row] = next_a.z;
    a[stage][part + 3][row] = next_a.w;
    b[stage][part][row] = next_b.x;
    b[stage][part + 1][row] = next_b.y;
    b[stage][part + 2][row] = next_b.z;
    b[stage][part + 3][row] = next_b.w;
  };

  const int my_m = t / 16 * 4, my_n = t % 16 * 4, steps = (all + TILE_K - 1) / TILE_K;
  float sums[4][4] = {};
  fetch ();
  keep (0);
  __syncthreads ();
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    const int stage = step % 2;

    if (step + 1 < steps)
      fetch ();
#pragma unroll
    for (int i = 0; i < TILE_K; i++) {
      float4 va = *(const float4 *) &a[stage][i][my_m], vb = *(const float4 *) &b[stage][i][my_n];
      float pixels[4] = { va.x, va.y, va.z, va.w }, channels[4] = { vb.x, vb.y, vb.z, vb.w };
#pragma unroll
      for (int r = 0; r < 4; r++)
#pragma unroll
        for (int o = 0; o < 4; o++)
          sums[r][o] += pixels[r] * channels[o];
    }
    if (step + 1 < steps)
      keep (1 - stage);
    __syncthreads ();
  }

#pragma unroll
  for (int r = 0; r < 4; r++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      long long pixel = m0 + my_m + r;
      int o = n0 + my_n + i;

      if (pixel >= m_end || o >= p.out_channels)
        continue;
      float sum = activate (p.act, p.alpha, p.beta, sums[r][i] + p.bias[o]);
      if (p.residual_pitch != 0)
        sum += ((const float *) p.residual)[pixel * p.residual_pitch + o];
      ((float *) p.out)[pixel * p.out_pitch + o] = sum;
    }
}

extern "C" __global__ void __launch_bounds__ (256)
conv_simt_f32 (const __grid_constant__ YoloConvParams p)
{
  convolve<float, float> (p);
}

extern "C" __global__ void __launch_bounds__ (256)
conv_simt_f16 (const __grid_constant__ YoloConvParams p)
{
  convolve<__half, float> (p);
}

extern "C" __global__ void __launch_bounds__ (256)
conv_simt_s8 (const __grid_constant__ YoloConvParams p)
{
  convolve<int8_t, int> (p);
}
