/* SPDX-License-Identifier: MIT */
/* Operations that move more than they compute. A thread handles one vector of
 * a pixel's channels: 16 bytes, or one element where addresses allow no more.
 * Operations that only move bytes leave them on the grids that they are on. */

#include "cuda/kernels/common.cuh"
#include "cuda/kernels/ops.h"

/* N neighbouring channels. */
template <typename T, int N>
struct alignas (sizeof (T) * N) Pack {
  T v[N];
};

template <typename T> struct Lowest;
template <> struct Lowest<float> { static __device__ float get () { return -INFINITY; } };
template <> struct Lowest<__half> {
  static __device__ __half
  get ()
  {
    return __ushort_as_half (0xfc00);
  }
};
template <> struct Lowest<int8_t> { static __device__ int8_t get () { return -128; } };

static __device__ __forceinline__ float larger (float a, float b) { return fmaxf (a, b); }
static __device__ __forceinline__ __half
larger (__half a, __half b)
{
  return __hgt (b, a) ? b : a;
}
static __device__ __forceinline__ int8_t larger (int8_t a, int8_t b) { return a > b ? a : b; }

template <typename T, int N>
static __device__ __forceinline__ Pack<T, N>
larger (const Pack<T, N> &a, const Pack<T, N> &b)
{
  Pack<T, N> r;

#pragma unroll
  for (int i = 0; i < N; i++)
    r.v[i] = larger (a.v[i], b.v[i]);
  return r;
}

template <typename T, int N>
static __device__ __forceinline__ Pack<T, N>
lowest ()
{
  Pack<T, N> r;

#pragma unroll
  for (int i = 0; i < N; i++)
    r.v[i] = Lowest<T>::get ();
  return r;
}

/* Which vector of which pixel of the output a thread computes. */
struct Place {
  bool inside;
  int c, x, y, n;               /* c: first channel */
  long long pixel;
};

template <int N>
static __device__ __forceinline__ Place
place_of (const YoloOpsParams &p)
{
  long long index = (long long) blockIdx.x * blockDim.x + threadIdx.x;
  int vectors = p.channels / N;
  Place at;

  at.pixel = index / vectors;
  at.c = (int) (index - at.pixel * vectors) * N;
  long long row = at.pixel / p.out_width;
  at.x = (int) (at.pixel - row * p.out_width);
  at.n = (int) (row / p.out_height);
  at.y = (int) (row - (long long) at.n * p.out_height);
  at.inside = at.n < p.batch;
  return at;
}

template <typename T, int N>
static __device__ __forceinline__ const Pack<T, N> *
in_at (const YoloOpsParams &p, int n, int y, int x, int c)
{
  return (const Pack<T, N> *) ((const T *) p.in
      + (((long long) n * p.in_height + y) * p.in_width + x) * p.in_pitch + c);
}

template <typename T, int N>
static __device__ __forceinline__ Pack<T, N> *
out_at (const YoloOpsParams &p, long long pixel, int c)
{
  return (Pack<T, N> *) ((T *) p.out + pixel * p.out_pitch + c);
}

/* Max pooling. A thread reads kernel^2 vectors, nearly all from the caches, and writes one. */
template <typename T, int N>
static __device__ void
pool (const YoloOpsParams &p)
{
  Place at = place_of<N> (p);
  Pack<T, N> max = lowest<T, N> ();

  if (!at.inside)
    return;
  for (int ky = 0; ky < p.kernel; ky++) {
    int y = at.y * p.stride + ky - p.pad;
    if (y < 0 || y >= p.in_height)
      continue;
    for (int kx = 0; kx < p.kernel; kx++) {
      int x = at.x * p.stride + kx - p.pad;
      if (x >= 0 && x < p.in_width)
        max = larger (max, *in_at<T, N> (p, at.n, y, x, at.c));
    }
  }
  *out_at<T, N> (p, at.pixel, at.c) = max;
}

/* Upsampling by nearest neighbours, at scale 1 a copy. Every element is written once, and
 * read from memory once. */
template <typename T, int N>
static __device__ void
upsample (const YoloOpsParams &p)
{
  Place at = place_of<N> (p);

  if (at.inside)
    *out_at<T, N> (p, at.pixel, at.c) =
        *in_at<T, N> (p, at.n, at.y / p.scale, at.x / p.scale, at.c);
}

/* Stores eight real numbers of a pixel of the output, on its grid if it is on one. */
static __device__ __forceinline__ void
store_reals (const YoloOpsParams &p, float (&x)[8], long long pixel, int c)
{
  if (p.out_scale != NULL) {
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] = __fdiv_rn (x[e], p.out_scale[min (c + e, p.channels - 1)]);
  }
  store_floats (x, p.out, p.out_type, p.out_pitch, pixel, c, p.channels - c);
}

/* Which pixel of the output this thread makes channels @c to c + 7 of; it may be beyond the last
 * pixel. */
static __device__ __forceinline__ long long
eight_of (const YoloOpsParams &p, int &c)
{
  const long long index = (long long) blockIdx.x * blockDim.x + threadIdx.x;
  const int vectors = (p.channels + 7) / 8;
  const long long pixel = index / vectors;

  c = (int) (index - pixel * vectors) * 8;
  return pixel;
}

/* act (in [+ residual]) in any types and on any grids, eight channels a thread: this
 * runs additions, activations, and copies that convert. For an element that is written
 * one or two are read. */
extern "C" __global__ void __launch_bounds__ (256)
combine (const __grid_constant__ YoloOpsParams p)
{
  int c;
  const long long pixel = eight_of (p, c);
  __align__ (16) float x[8];

  if (pixel >= (long long) p.batch * p.out_height * p.out_width)
    return;
  load_reals (x, p.in, p.in_type, p.in_scale, p.in_pitch, pixel, c, p.channels);
  if (p.residual_pitch != 0) {
    __align__ (16) float r[8];
    load_reals (
        r, p.residual, p.residual_type, p.residual_scale, p.residual_pitch, pixel, c, p.channels);
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] += r[e];
  }
#pragma unroll
  for (int e = 0; e < 8; e++)
    x[e] = activate (p.act, p.alpha, p.beta, x[e]);
  store_reals (p, x, pixel, c);
}

/* The channels of a pixel become scale x scale pixels of p.channels channels, in any types and on
 * any grids; a thread moves eight channels. An element is read once and written once. */
extern "C" __global__ void __launch_bounds__ (256)
shuffle (const __grid_constant__ YoloOpsParams p)
{
  int c;
  const long long pixel = eight_of (p, c);
  __align__ (16) float v[8];

  if (pixel >= (long long) p.batch * p.out_height * p.out_width)
    return;
  long long row = pixel / p.out_width;
  int x = (int) (pixel - row * p.out_width), n = (int) (row / p.out_height);
  int y = (int) (row - (long long) n * p.out_height);
  int first = (y % p.scale * p.scale + x % p.scale) * p.channels;
  long long from = ((long long) n * p.in_height + y / p.scale) * p.in_width + x / p.scale;

  load_reals (v, (const char *) p.in + (long long) first * bytes_of (p.in_type), p.in_type,
      p.in_scale != NULL ? p.in_scale + first : NULL, p.in_pitch, from, c, p.channels);
  store_reals (p, v, pixel, c);
}

/* The mean over all pixels of an image, in any types and on any grids, eight channels a
 * thread. Every element is read once. */
extern "C" __global__ void __launch_bounds__ (256)
global_pool (const __grid_constant__ YoloOpsParams p)
{
  const int pixels = p.in_height * p.in_width;
  int c;
  const long long n = eight_of (p, c);
  __align__ (16) float sum[8] = { 0 }, v[8];

  if (n >= p.batch)
    return;
  for (int i = 0; i < pixels; i++) {
    load_reals (v, p.in, p.in_type, p.in_scale, p.in_pitch, n * pixels + i, c, p.channels);
#pragma unroll
    for (int e = 0; e < 8; e++)
      sum[e] += v[e];
  }
#pragma unroll
  for (int e = 0; e < 8; e++)
    sum[e] = __fdiv_rn (sum[e], (float) pixels);
  store_reals (p, sum, n, c);
}

/* SPPF: a chain of `repeat` poolings of stride 1, whose outputs lie side by
 * side. The i-th is the maximum over a window of i * (kernel / 2) pixels to each
 * side, so all come from one read of the input: a block loads a tile of one
 * vector with its border, takes the maxima along rows for every i, each from the
 * one before, and then along columns. For each element of the input one is read, and
 * those of the border; `repeat` are written; some 2 * repeat * (kernel / 2) maxima are
 * taken along rows, and repeat * (repeat + 1) / 2 * kernel along columns. */
template <typename T, int N>
static __device__ void
chain (const YoloOpsParams &p)
{
  extern __shared__ uint4 memory[];
  const int tile = YOLO_CHAIN_TILE, radius = p.kernel / 2, border = radius * p.repeat,
            side = tile + 2 * border;
  /* in [side][side], rows [repeat][side][tile] */
  Pack<T, N> *in = (Pack<T, N> *) memory, *rows = in + side * side;
  int tiles_x = (p.out_width + tile - 1) / tile, tiles_y = (p.out_height + tile - 1) / tile;
  int vectors = p.channels / N;
  /* neighbouring blocks have neighbouring vectors of the same tile, which share cache lines */
  int c = blockIdx.x % vectors * N;
  long long rest = blockIdx.x / vectors;
  int x0 = (int) (rest % tiles_x) * tile, y0 = (int) (rest / tiles_x % tiles_y) * tile,
      n = (int) (rest / tiles_x / tiles_y);

  for (int i = threadIdx.x; i < side * side; i += blockDim.x) {
    int y = y0 + i / side - border, x = x0 + i % side - border;
    in[i] = y >= 0 && y < p.in_height && x >= 0 && x < p.in_width ? *in_at<T, N> (p, n, y, x, c)
                                                                  : lowest<T, N> ();
  }
  __syncthreads ();
  for (int i = threadIdx.x; i < side * tile; i += blockDim.x) {
    const Pack<T, N> *middle = in + i / tile * side + i % tile + border;
    Pack<T, N> max = *middle;

    for (int r = 0; r < p.repeat; r++) {
      for (int d = r * radius + 1; d <= (r + 1) * radius; d++)
        max = larger (max, larger (middle[-d], middle[d]));
      rows[r * side * tile + i] = max;
    }
  }
  __syncthreads ();
  for (int i = threadIdx.x; i < tile * tile; i += blockDim.x) {
    int y = y0 + i / tile, x = x0 + i % tile;

    if (y >= p.out_height || x >= p.out_width)
      continue;
    for (int r = 0; r < p.repeat; r++) {
      const Pack<T, N> *middle = rows + r * side * tile + (i / tile + border) * tile + i % tile;
      Pack<T, N> max = *middle;

      for (int d = 1; d <= (r + 1) * radius; d++)
        max = larger (max, larger (middle[-d * tile], middle[d * tile]));
      *out_at<T, N> (p, ((long long) n * p.out_height + y) * p.out_width + x, r * p.channels + c) =
          max;
    }
  }
}

#define KERNEL(operation, type, T, N, width) \
  extern "C" __global__ void __launch_bounds__ (256) \
  operation##_##type##_##width (const __grid_constant__ YoloOpsParams p) \
  { \
    operation<T, N> (p); \
  }
#define MOVES(type, T, N, width) \
  KERNEL (pool, type, T, N, width) \
  KERNEL (upsample, type, T, N, width) KERNEL (chain, type, T, N, width)

MOVES (f32, float, 4, wide) MOVES (f32, float, 1, one)
MOVES (f16, __half, 8, wide) MOVES (f16, __half, 1, one)
MOVES (s8, int8_t, 16, wide) MOVES (s8, int8_t, 1, one)
