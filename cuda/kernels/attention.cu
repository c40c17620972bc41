/* SPDX-License-Identifier: MIT */
/* Attention in one launch, without a matrix of scores in memory: a block goes over the keys and the
 * values of its head and area, a tile of both in shared memory at a time, and keeps the softmax up
 * on the way: whenever a query's largest score grows, what has been added up is made smaller.
 * Source: M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax",
 * arXiv:1805.02867, algorithm 3. Products and sums are float, whatever the tensors are.
 *
 * Eight neighbouring threads share a query: each has the scores of every eighth key, and eight
 * channels of the result. */

#include "cuda/kernels/attention.h"
#include "cuda/kernels/common.cuh"

#define QUERIES YOLO_ATTENTION_QUERIES
#define KEYS YOLO_ATTENTION_KEYS
#define VALUES YOLO_ATTENTION_VALUES
#define WEIGHTS YOLO_ATTENTION_WEIGHTS
#define EACH (KEYS / 8)         /* scores of a thread */

/* Copies @channels channels from @first on of @n positions as floats, eights by eights; what is
 * missing of @rows positions, and of the last eight, is 0. Vectors of four lie @step floats apart
 * within a position, and the second of an eight @second floats behind the first. */
static __device__ __forceinline__ void
load_tile (const YoloAttentionParams &p, float *to, int row, int step, int second, int rows,
    long long position, int n, int first, int channels, float factor)
{
  const char *in = (const char *) p.in + (long long) first * bytes_of (p.in_type);
  const float *scale = p.in_scale != NULL ? p.in_scale + first : NULL;
  const int eights = (channels + 7) / 8;

  for (int i = threadIdx.x; i < rows * eights; i += YOLO_ATTENTION_THREADS) {
    const int r = i / eights, g = i - r * eights;
    __align__ (16) float x[8] = { 0 };
    float *at = to + r * row + g * step;

    if (r < n)
      load_reals (x, in, p.in_type, scale, p.in_pitch, position + r, 8 * g, channels);
    *(float4 *) at = make_float4 (x[0] * factor, x[1] * factor, x[2] * factor, x[3] * factor);
    *(float4 *) (at + second) =
        make_float4 (x[4] * factor, x[5] * factor, x[6] * factor, x[7] * factor);
  }
}

static __device__ __forceinline__ float
dot (float4 a, float4 b, float sum)
{
  return fmaf (a.x, b.x, fmaf (a.y, b.y, fmaf (a.z, b.z, fmaf (a.w, b.w, sum))));
}

static __device__ __forceinline__ void
add_scaled (float4 &sum, float x, float4 v)
{
  sum.x = fmaf (x, v.x, sum.x);
  sum.y = fmaf (x, v.y, sum.y);
  sum.z = fmaf (x, v.z, sum.z);
  sum.w = fmaf (x, v.w, sum.w);
}

static __device__ __forceinline__ void
scale_by (float4 &v, float x)
{
  v.x *= x;
  v.y *= x;
  v.z *= x;
  v.w *= x;
}

/* What the eight threads of a query have, together. */
static __device__ __forceinline__ float
largest_of_eight (float x)
{
#pragma unroll
  for (int lane = 4; lane > 0; lane /= 2)
    x = fmaxf (x, __shfl_xor_sync (0xffffffffu, x, lane));
  return x;
}

static __device__ __forceinline__ float
sum_of_eight (float x)
{
#pragma unroll
  for (int lane = 4; lane > 0; lane /= 2)
    x += __shfl_xor_sync (0xffffffffu, x, lane);
  return x;
}

/* Stores eight channels of a pixel: those from @c on of the @channels that begin with @first. */
static __device__ __forceinline__ void
store (const YoloAttentionParams &p, long long pixel, int first, int c, int channels, float4 a,
    float4 b)
{
  __align__ (16) float x[8] = { a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w };

  if (p.out_scale != NULL) {
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] = __fdiv_rn (x[e], p.out_scale[first + min (c + e, channels - 1)]);
  }
  store_floats (x, (char *) p.out + (long long) first * bytes_of (p.out_type), p.out_type,
      p.out_pitch, pixel, c, channels - c);
}

extern "C" __global__ void __launch_bounds__ (YOLO_ATTENTION_THREADS)
attention (const __grid_constant__ YoloAttentionParams p)
{
  extern __shared__ float4 memory[];
  const int row = YOLO_ATTENTION_ROW (p.key);
  float *queries = (float *) memory, *keys = queries + QUERIES * row, *values = keys + KEYS * row,
        *weights = values + KEYS * VALUES;
  const int query = threadIdx.x / 8, lane = threadIdx.x % 8;
  int rest = blockIdx.x;
  const int part = rest % p.parts;
  rest /= p.parts;
  const int i0 = rest % p.blocks * QUERIES;
  rest /= p.blocks;
  const int head = rest % p.heads;
  /* images and areas of an image follow each other */
  const long long base = (long long) (rest / p.heads) * p.count;
  const int channels = min (VALUES, p.value - part * VALUES);
  const int key_at = (p.heads + head) * p.key,
            value_at = 2 * p.heads * p.key + head * p.value + part * VALUES;
  float largest = -INFINITY, sum = 0;
  float4 a = make_float4 (0, 0, 0, 0), b = a;

  /* scores of powers of two */
  load_tile (p, queries, row, 8, 4, QUERIES, base + i0, min (QUERIES, p.count - i0), head * p.key,
      p.key, 1.44269504f);
  for (int j0 = 0; j0 < p.count; j0 += KEYS) {
    const int n = min (KEYS, p.count - j0);
    float scores[EACH] = { 0 }, before = largest, added = 0;

    __syncthreads ();
    load_tile (p, keys, row, 8, 4, KEYS, base + j0, n, key_at, p.key, 1);
    load_tile (p, values, VALUES, 4, VALUES / 2, KEYS, base + j0, n, value_at, channels, 1);
    __syncthreads ();
    for (int c = 0; c < p.key; c += 4) {
      const float4 q = *(const float4 *) (queries + query * row + c);
#pragma unroll
      for (int e = 0; e < EACH; e++)
        scores[e] = dot (q, *(const float4 *) (keys + (lane + 8 * e) * row + c), scores[e]);
    }
#pragma unroll
    for (int e = 0; e < EACH; e++) {
      scores[e] = lane + 8 * e < n ? scores[e] : -INFINITY;
      largest = fmaxf (largest, scores[e]);
    }
    largest = largest_of_eight (largest);
#pragma unroll
    for (int e = 0; e < EACH; e++) {
      const float weight = exp2f (scores[e] - largest);
      weights[query * WEIGHTS + lane + 8 * e] = weight;
      added += weight;
    }
    __syncwarp ();
    const float smaller = exp2f (before - largest);
    sum = sum * smaller + sum_of_eight (added);
    scale_by (a, smaller);
    scale_by (b, smaller);
    /* nobody reads channels of eights that were not loaded */
    for (int j = 0; j < KEYS && 8 * lane < channels; j++) {
      const float weight = weights[query * WEIGHTS + j];
      add_scaled (a, weight, *(const float4 *) (values + j * VALUES + 4 * lane));
      add_scaled (b, weight, *(const float4 *) (values + j * VALUES + VALUES / 2 + 4 * lane));
    }
  }
  if (i0 + query < p.count && 8 * lane < channels) {
    const float inverse = __fdiv_rn (1, sum);
    scale_by (a, inverse);
    scale_by (b, inverse);
    store (p, base + i0 + query, head * p.value + part * VALUES, 8 * lane, channels, a, b);
  }
}
