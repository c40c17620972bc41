/* Convolution as a matrix product on tensor cores: pixels by output channels,
 * over K = kernel taps times input channels. NHWC views in and out.
 *
 * A block computes BM pixels of BN channels. K goes by in steps of 64 bytes (32
 * halves or 64 int8), a pixel's and a channel's row of each step being 64 bytes
 * of shared memory: four vectors of 16 bytes, of which a thread always brings
 * the same one, for rows a quarter of the threads apart. A vector lies within
 * one tap, since weights have their input channels padded to whole vectors.
 * From compute capability 8.0 on cp.async keeps STAGES - 1 steps on their way;
 * before, the next step waits in registers while this one is computed.
 *
 * Bytes and operations of a block and step: 64 * (BM + BN) bytes into shared
 * memory for 2 * BM * BN * 32 operations in half, so 128x128 does 64 operations
 * a byte, 64x64 32, of which L2 delivers most: blocks of the same pixels
 * follow one another in the grid. Out of shared memory a warp of 64x32 reads
 * 96 rows for 16 products of 16x8x16: 6 ldmatrix and 16 mma. */

#ifndef YOLO_KERNELS_CONV_MMA_CUH
#define YOLO_KERNELS_CONV_MMA_CUH

#include <stdint.h>

#include "cuda/kernels/common.cuh"
#include "cuda/kernels/conv.h"

#define STEP 64                 /* bytes of K in a step */
#define VECTORS 4               /* of 16 bytes in a step's row */

#if !defined (__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define ASYNC 1
#else
#define ASYNC 0
#endif

/* Types */

struct Half {
  typedef __half T;
  typedef float Sum;
  enum { PER_VECTOR = 8 };
};

struct Byte {
  typedef int8_t T;
  typedef int Sum;
  enum { PER_VECTOR = 16 };
};

/* One tensor-core product: 16 rows of A by 8 columns of B over 32 bytes of K.
 * a: rows 0-7 and 8-15 of the first 16 bytes, then of the second; b likewise. */
static __device__ __forceinline__ void
multiply (float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
#if ASYNC
  asm volatile ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f" (c[0]), "+f" (c[1]), "+f" (c[2]), "+f" (c[3])
      : "r" (a[0]), "r" (a[1]), "r" (a[2]), "r" (a[3]), "r" (b0), "r" (b1));
#else
  asm volatile ("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f" (c[0]), "+f" (c[1]), "+f" (c[2]), "+f" (c[3]) : "r" (a[0]), "r" (a[1]), "r" (b0));
  asm volatile ("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f" (c[0]), "+f" (c[1]), "+f" (c[2]), "+f" (c[3]) : "r" (a[2]), "r" (a[3]), "r" (b1));
#endif
}

#if !ASYNC
static __device__ __forceinline__ void
multiply8 (int &c0, int &c1, unsigned a, unsigned b)
{
  asm volatile ("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};"
      : "+r" (c0), "+r" (c1) : "r" (a), "r" (b));
}
#endif

static __device__ __forceinline__ void
multiply (int (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
#if ASYNC
  asm volatile ("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r" (c[0]), "+r" (c[1]), "+r" (c[2]), "+r" (c[3])
      : "r" (a[0]), "r" (a[1]), "r" (a[2]), "r" (a[3]), "r" (b0), "r" (b1));
#else
  multiply8 (c[0], c[1], a[0], b0);
  multiply8 (c[0], c[1], a[2], b1);
  multiply8 (c[2], c[3], a[1], b0);
  multiply8 (c[2], c[3], a[3], b1);
#endif
}

/* Shared memory */

static __device__ __forceinline__ unsigned
shared_address (const void *p)
{
  return (unsigned) __cvta_generic_to_shared (p);
}

/* Where vector v of a row lies: eight rows at the same v, which ldmatrix reads
 * together, are in eight different groups of banks. */
static __device__ __forceinline__ int
place (int row, int v)
{
  return row * STEP + ((v ^ (row >> 1 & 3)) << 4);
}

static __device__ __forceinline__ void
load_matrices (unsigned (&r)[4], const char *p)
{
  asm volatile ("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
      : "=r" (r[0]), "=r" (r[1]), "=r" (r[2]), "=r" (r[3]) : "r" (shared_address (p)) : "memory");
}

#if ASYNC
/* Zeros where there is nothing to copy: padding, and what lies beyond the ends. */
static __device__ __forceinline__ void
copy_async (char *to, const void *from, bool valid)
{
  asm volatile ("cp.async.cg.shared.global [%0], [%1], 16, %2;"
      :: "r" (shared_address (to)), "l" (from), "r" (valid ? 16 : 0) : "memory");
}

static __device__ __forceinline__ void
commit ()
{
  asm volatile ("cp.async.commit_group;" ::: "memory");
}

template <int N>
static __device__ __forceinline__ void
wait_all_but ()
{
  asm volatile ("cp.async.wait_group %0;" :: "n" (N) : "memory");
}
#endif

/* Up to a vector of elements that lie on no multiple of 16 bytes. */
template <typename T, int PER_VECTOR>
static __device__ __forceinline__ uint4
gather (const T *from, int n)
{
  union { T v[PER_VECTOR]; uint4 all; } r;

  r.all = make_uint4 (0, 0, 0, 0);
#pragma unroll
  for (int i = 0; i < PER_VECTOR; i++)
    if (i < n)
      r.v[i] = from[i];
  return r.all;
}

/* Epilogue: act (sum [* scale] + bias) [+ residual * residual_scale] in float. */

static __device__ __forceinline__ float scaled (const YoloConvParams &, float sum, float bias, int) { return sum + bias; }
static __device__ __forceinline__ float
scaled (const YoloConvParams &p, int sum, float bias, int o)
{
  return fmaf ((float) sum, p.scale[o], bias);
}

static __device__ __forceinline__ float
residual_at (const YoloConvParams &p, float, long long m, int o)
{
  return to_float (((const __half *) p.residual)[m * p.residual_pitch + o]);
}

static __device__ __forceinline__ float
residual_at (const YoloConvParams &p, int, long long m, int o)
{
  return (float) ((const int8_t *) p.residual)[m * p.residual_pitch + o] * p.residual_scale;
}

static __device__ __forceinline__ void put (__half *to, const YoloConvParams &, float x) { *to = __float2half_rn (x); }
static __device__ __forceinline__ void
put (int8_t *to, const YoloConvParams &p, float x)
{
  *to = (int8_t) fminf (fmaxf (rintf (x * p.out_inverse), -127.0f), 127.0f);
}

/* Writes a block's tile through shared memory, so that rows leave in whole vectors. */
template <typename Out, int BM, int BN, int THREADS, int MT, int NT>
static __device__ __forceinline__ void
store_tile (const YoloConvParams &p, char *memory, const float (&x)[MT][NT][4], int row, int column, int m0, int n0, int m_end)
{
  enum { PER = 16 / sizeof (Out), ROW = BN + PER };     /* a vector apart: other banks */
  Out *tile = (Out *) memory;

#pragma unroll
  for (int i = 0; i < MT; i++)
#pragma unroll
    for (int j = 0; j < NT; j++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        put (&tile[(row + i * 16 + e / 2 * 8) * ROW + column + j * 8 + e % 2], p, x[i][j][e]);
  __syncthreads ();
  int columns = min (BN, p.out_channels - n0);
  bool whole = (((unsigned long long) p.out | (unsigned long long) p.out_pitch * sizeof (Out)) & 15) == 0
      && columns % PER == 0;
  int per_row = whole ? columns / PER : columns;
#pragma unroll 1
  for (int i = threadIdx.x; i < BM * per_row; i += THREADS) {
    int r = i / per_row, c = i % per_row;
    if (m0 + r >= m_end)
      break;
    Out *to = (Out *) p.out + (long long) (m0 + r) * p.out_pitch + n0;
    if (whole)
      ((uint4 *) to)[c] = *(const uint4 *) &tile[r * ROW + c * PER];
    else
      to[c] = tile[r * ROW + c];
  }
}

/* BM x BN by WARPS_M x WARPS_N warps. VECTOR: the input's vectors lie on
 * multiples of 16 bytes and hold nothing beyond its channels. */
template <typename Type, int BM, int BN, int WARPS_M, int WARPS_N, int STAGES, bool VECTOR>
static __device__ __forceinline__ void
convolve (const YoloConvParams &p)
{
  typedef typename Type::T T;
  typedef typename Type::Sum Sum;
  enum {
    THREADS = 32 * WARPS_M * WARPS_N, ROWS = THREADS / VECTORS,
    A_ROWS = BM / ROWS, B_ROWS = BN / ROWS,     /* that a thread brings */
    MT = BM / WARPS_M / 16, NT = BN / WARPS_N / 8,      /* products of a warp */
    PER = Type::PER_VECTOR,
    DEPTH = ASYNC ? STAGES : 2,
    STAGE = (BM + BN) * STEP, TILE = BM * (BN + PER) * 2,
    MEMORY = DEPTH * STAGE > TILE ? DEPTH * STAGE : TILE,
  };
  __shared__ __align__ (128) char memory[MEMORY];
  const int thread = threadIdx.x, v = thread % VECTORS, first_row = thread / VECTORS;
  const int n_tiles = (p.out_channels + BN - 1) / BN;
  const int m0 = blockIdx.x / n_tiles * BM, n0 = blockIdx.x % n_tiles * BN;
  const int m_end = p.batch * p.out_height * p.out_width;
  const int vectors = p.packed_channels / PER, all_vectors = vectors * p.kernel[0] * p.kernel[1];
  const int steps = (all_vectors + VECTORS - 1) / VECTORS, per_split = (steps + gridDim.z - 1) / gridDim.z;
  const int first = blockIdx.z * per_split, n_steps = min (per_split, steps - first);

  /* Rows of A: where the window of each pixel begins. */
  const T *in[A_ROWS];
  int y0[A_ROWS], x0[A_ROWS];
#pragma unroll
  for (int i = 0; i < A_ROWS; i++) {
    int m = m0 + first_row + i * ROWS, x = m % p.out_width, row = m / p.out_width, y = row % p.out_height;
    y0[i] = m < m_end ? y * p.stride[0] - p.pad[0] : -0x40000000;       /* no tap reaches the image */
    x0[i] = x * p.stride[1] - p.pad[1];
    in[i] = (const T *) p.in + (m < m_end ? (long long) (row / p.out_height) * p.in_height * p.in_width * p.in_pitch : 0);
  }
  /* Rows of B: one channel's weights follow one another. */
  const T *weights = (const T *) p.weights + (long long) (n0 + first_row) * all_vectors * PER;

  /* The vector of K that this thread brings next, and the tap and channels that it is. */
  int k = first * VECTORS + v, tap = k / vectors, c = k % vectors, ky = tap / p.kernel[1], kx = tap % p.kernel[1];

  auto a_valid = [&] (int i, int &y, int &x) {
    y = y0[i] + ky * p.dilation[0];
    x = x0[i] + kx * p.dilation[1];
    return k < all_vectors && (unsigned) y < (unsigned) p.in_height && (unsigned) x < (unsigned) p.in_width;
  };
  auto a_address = [&] (int i, int y, int x) {
    return in[i] + (long long) ((y * p.in_width + x) * p.in_pitch + c * PER);
  };
  auto b_valid = [&] (int i) {
    return k < all_vectors && n0 + first_row + i * ROWS < p.out_channels;
  };
  auto b_address = [&] (int i) {
    return weights + ((long long) i * ROWS * all_vectors + k) * PER;
  };
  auto advance = [&] () {
    k += VECTORS;
    c += VECTORS;
#pragma unroll 1
    while (c >= vectors) {
      c -= vectors;
      if (++kx == p.kernel[1]) {
        kx = 0;
        ky++;
      }
    }
  };
  auto a_gather = [&] (int i) {
    int y, x;
    bool valid = a_valid (i, y, x);
    if (VECTOR)
      return valid ? *(const uint4 *) a_address (i, y, x) : make_uint4 (0, 0, 0, 0);
    return gather<T, PER> (valid ? a_address (i, y, x) : in[i], valid ? min ((int) PER, p.in_channels - c * PER) : 0);
  };

  Sum sums[MT][NT][4];
#pragma unroll
  for (int i = 0; i < MT; i++)
#pragma unroll
    for (int j = 0; j < NT; j++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        sums[i][j][e] = 0;

  const int warp = thread / 32, lane = thread % 32;
  const int warp_m = warp / WARPS_N * MT * 16, warp_n = warp % WARPS_N * NT * 8;
  auto compute = [&] (const char *stage) {
    const char *a_rows = stage, *b_rows = stage + BM * STEP;
#pragma unroll
    for (int part = 0; part < STEP / 32; part++) {
      unsigned a[MT][4], b[NT / 2][4];
#pragma unroll
      for (int i = 0; i < MT; i++)
        load_matrices (a[i], a_rows + place (warp_m + i * 16 + lane % 16, part * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < NT / 2; j++)
        load_matrices (b[j], b_rows + place (warp_n + j * 16 + lane % 8 + lane / 16 * 8, part * 2 + lane / 8 % 2));
#pragma unroll
      for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++)
          multiply (sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  };

#if ASYNC
  auto fetch = [&] (char *stage) {
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) {
      char *to = stage + place (first_row + i * ROWS, v);
      if (VECTOR) {
        int y, x;
        bool valid = a_valid (i, y, x);
        copy_async (to, valid ? a_address (i, y, x) : (const T *) p.in, valid);
      } else {
        *(uint4 *) to = a_gather (i);
      }
    }
#pragma unroll
    for (int i = 0; i < B_ROWS; i++) {
      bool valid = b_valid (i);
      copy_async (stage + BM * STEP + place (first_row + i * ROWS, v), valid ? b_address (i) : (const T *) p.weights, valid);
    }
    advance ();
  };

#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < n_steps)
      fetch (memory + s * STAGE);
    commit ();
  }
  int stage = 0, filled = STAGES - 1;
  /* a step is long enough: more of them in a row only fill the instruction cache */
#pragma unroll 1
  for (int step = 0; step < n_steps; step++) {
    wait_all_but<STAGES - 2> ();
    /* the step's data are there for all, and all are done with the one before, whose place is filled next */
    __syncthreads ();
    if (step + STAGES - 1 < n_steps)
      fetch (memory + filled * STAGE);
    commit ();
    compute (memory + stage * STAGE);
    stage = stage + 1 == STAGES ? 0 : stage + 1;
    filled = filled + 1 == STAGES ? 0 : filled + 1;
  }
  wait_all_but<0> ();
#else
  uint4 a_next[A_ROWS], b_next[B_ROWS];
  auto fetch = [&] () {
#pragma unroll
    for (int i = 0; i < A_ROWS; i++)
      a_next[i] = a_gather (i);
#pragma unroll
    for (int i = 0; i < B_ROWS; i++)
      b_next[i] = b_valid (i) ? *(const uint4 *) b_address (i) : make_uint4 (0, 0, 0, 0);
    advance ();
  };
  auto keep = [&] (char *stage) {
#pragma unroll
    for (int i = 0; i < A_ROWS; i++)
      *(uint4 *) (stage + place (first_row + i * ROWS, v)) = a_next[i];
#pragma unroll
    for (int i = 0; i < B_ROWS; i++)
      *(uint4 *) (stage + BM * STEP + place (first_row + i * ROWS, v)) = b_next[i];
  };

  if (n_steps > 0) {
    fetch ();
    keep (memory);
  }
  __syncthreads ();
#pragma unroll 1
  for (int step = 0; step < n_steps; step++) {
    if (step + 1 < n_steps)
      fetch ();
    compute (memory + step % 2 * STAGE);
    if (step + 1 < n_steps)
      keep (memory + (step + 1) % 2 * STAGE);
    __syncthreads ();
  }
#endif

  /* Sums: each lane has two neighbouring channels of pixel lane / 4 and of the eighth after it. */
  const int row = warp_m + lane / 4, column = warp_n + lane % 4 * 2;
  auto each = [&] (auto body) {
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
      for (int j = 0; j < NT; j++)
#pragma unroll
        for (int e = 0; e < 4; e++)
          body (i, j, e, m0 + row + i * 16 + e / 2 * 8, n0 + column + j * 8 + e % 2);
  };
  if (p.partial != NULL) {
    Sum *out = (Sum *) p.partial + (long long) blockIdx.z * m_end * p.out_channels;
    each ([&] (int i, int j, int e, int m, int o) {
      if (m < m_end && o < p.out_channels)
        out[(long long) m * p.out_channels + o] = sums[i][j][e];
    });
    return;
  }

  float x[MT][NT][4];
#pragma unroll
  for (int j = 0; j < NT; j++)
#pragma unroll
    for (int e = 0; e < 2; e++) {
      int o = min (n0 + column + j * 8 + e, p.out_channels - 1);
      float bias = p.bias[o];
#pragma unroll
      for (int i = 0; i < MT; i++) {
        x[i][j][e] = scaled (p, sums[i][j][e], bias, o);
        x[i][j][e + 2] = scaled (p, sums[i][j][e + 2], bias, o);
      }
    }
  if (p.act == ACT_SILU)
    each ([&] (int i, int j, int e, int, int) { x[i][j][e] *= sigmoid (x[i][j][e]); });
  else if (p.act == ACT_RELU)
    each ([&] (int i, int j, int e, int, int) { x[i][j][e] = fmaxf (x[i][j][e], 0.0f); });
  else if (p.act == ACT_SIGMOID)
    each ([&] (int i, int j, int e, int, int) { x[i][j][e] = sigmoid (x[i][j][e]); });
  if (p.residual_pitch != 0)
    each ([&] (int i, int j, int e, int m, int o) {
      if (m < m_end && o < p.out_channels)
        x[i][j][e] += residual_at (p, (Sum) 0, m, o);
    });

  if (p.out_f32) {
    each ([&] (int i, int j, int e, int m, int o) {
      if (m < m_end && o < p.out_channels)
        ((float *) p.out)[(long long) m * p.out_pitch + o] = x[i][j][e];
    });
    return;
  }
  /* before the tile takes the place of what other warps still read */
  __syncthreads ();
  if (sizeof (T) == 1 && !p.out_f16)
    store_tile<int8_t, BM, BN, THREADS> (p, memory, x, row, column, m0, n0, m_end);
  else
    store_tile<__half, BM, BN, THREADS> (p, memory, x, row, column, m0, n0, m_end);
}

/* Adds the partial sums of the splits, in order, and finishes. 4 * splits bytes
 * read, one element written. */
template <typename Type>
static __device__ __forceinline__ void
reduce (const YoloConvParams &p)
{
  typedef typename Type::Sum Sum;
  long long pixels = (long long) p.batch * p.out_height * p.out_width, n = pixels * p.out_channels;
  long long i = (long long) blockIdx.x * blockDim.x + threadIdx.x;
  const Sum *partial = (const Sum *) p.partial;
  Sum sum = 0;

  if (i >= n)
    return;
  for (int s = 0; s < p.splits; s++)
    sum += partial[s * n + i];
  long long m = i / p.out_channels;
  int o = (int) (i - m * p.out_channels);
  float x = activate (p.act, scaled (p, sum, p.bias[o], o));
  if (p.residual_pitch != 0)
    x += residual_at (p, sum, m, o);
  if (p.out_f32)
    ((float *) p.out)[m * p.out_pitch + o] = x;
  else if (sizeof (typename Type::T) == 1 && !p.out_f16)
    put ((int8_t *) p.out + m * p.out_pitch + o, p, x);
  else
    put ((__half *) p.out + m * p.out_pitch + o, p, x);
}

#define CONVOLUTION(type, Type, BM, BN, WM, WN, stages, blocks) \
  extern "C" __global__ void __launch_bounds__ (32 * WM * WN, blocks) \
  conv_mma_##type##_##BM##x##BN (const __grid_constant__ YoloConvParams p) \
  { \
    convolve<Type, BM, BN, WM, WN, stages, true> (p); \
  } \
  extern "C" __global__ void __launch_bounds__ (32 * WM * WN, blocks) \
  conv_mma_##type##_##BM##x##BN##_odd (const __grid_constant__ YoloConvParams p) \
  { \
    convolve<Type, BM, BN, WM, WN, stages, false> (p); \
  }

/* As many steps under way as 48 KiB of shared memory hold; blocks that registers
 * leave room for on a multiprocessor. */
#define CONVOLUTIONS(type, Type) \
  CONVOLUTION (type, Type, 128, 128, 2, 4, 3, ASYNC ? 2 : 1) \
  CONVOLUTION (type, Type, 128, 64, 4, 2, 4, 2) \
  CONVOLUTION (type, Type, 64, 64, 2, 2, 4, 3) \
  CONVOLUTION (type, Type, 64, 32, 2, 2, 4, 4) \
  extern "C" __global__ void __launch_bounds__ (256) \
  conv_reduce_##type (const __grid_constant__ YoloConvParams p) \
  { \
    reduce<Type> (p); \
  }

#endif
