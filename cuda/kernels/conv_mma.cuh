/* SPDX-License-Identifier: MIT */
/* Convolution as a matrix product on tensor cores: pixels by output channels,
 * over K = kernel taps times input channels. NHWC views in and out.
 *
 * A block computes BM pixels of BN channels. K goes by in steps of 64 bytes (32
 * halves or 64 int8). In shared memory a step has a row for each pixel and for
 * each channel: 64 bytes, four vectors of 16 bytes, of which a thread always
 * loads the same one, for rows that are THREADS / 4 apart. A vector lies within
 * one tap, since weights have their input channels padded to whole vectors. What
 * there is to know of a pixel's row is worked out before the loop: where its
 * window begins, and which of the kernel's rows and columns fall outside of the
 * image. From compute capability 8.0 on, cp.async keeps up to STAGES steps under
 * way; on older devices, and where the input's vectors do not lie on multiples of
 * 16 bytes, one step waits in registers. While one half of a step is multiplied,
 * the other half is loaded from shared memory.
 *
 * Bytes and operations of a block and step: 64 * (BM + BN) bytes from L2 or
 * memory for 64 * BM * BN operations in half, for twice as many in int8. In half
 * a tile of 128x128 does 32 operations a byte, 128x64 21, 64x64 16, 64x32 11. Blocks of
 * the same pixels follow one another in the grid, so pixels are read from memory
 * once, and weights stay in L2. A warp whose part is 64x64 reads 8 times 512 bytes
 * of shared memory for 32 products of 16x8x16: 32 operations a byte; one whose part
 * is 64x32 does 21, 32x32 16, 32x16 11. */

#ifndef YOLO_KERNELS_CONV_MMA_CUH
#define YOLO_KERNELS_CONV_MMA_CUH

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
};

struct Byte {
  typedef int8_t T;
  typedef int Sum;
};

/* One tensor-core product: c += 16 rows of A by 8 columns of B over 32 bytes of K.
 * a: rows 0-7 and rows 8-15 of the first 16 bytes of K, then both of the second 16
 * bytes; b0, b1: the columns' first and second 16 bytes. */
static __device__ __forceinline__ void
multiply (float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
#if ASYNC
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
               "{%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(b0));
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
               "{%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[2]), "r"(a[3]), "r"(b1));
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
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9}, {%0,%1,%2,%3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  multiply8 (c[0], c[1], a[0], b0);
  multiply8 (c[0], c[1], a[2], b1);
  multiply8 (c[2], c[3], a[1], b0);
  multiply8 (c[2], c[3], a[3], b1);
#endif
}

/* Memory */

/* The offset in bytes of vector v of a row of V vectors in shared memory. Vectors of
 * a row are swapped so that those which are accessed together, of eight rows at the
 * same v, lie in eight different groups of banks. Rows whose distance is a multiple
 * of eight have their vectors swapped alike. */
template <int V>
static __device__ __forceinline__ int
place (unsigned row, unsigned v)
{
  enum { SWAPPED = V < 8 ? V : 8 };

  return (int) (row * V + (v ^ row / (8 / SWAPPED) % SWAPPED)) * 16;
}

/* The same for sums of four bytes each, V vectors a row. Eight lanes that read every
 * other vector use each bank once, and so do sixteen lanes that write the 32 bytes of
 * two vectors in four rows. */
template <int V>
static __device__ __forceinline__ int
place_sums (unsigned row, unsigned v)
{
  return (int) (row * V + (v ^ row % 4 * 2 ^ ((row ^ v >> 3) & 1))) * 16;
}

static __device__ __forceinline__ unsigned bits_of (float x) { return __float_as_uint (x); }
static __device__ __forceinline__ unsigned bits_of (int x) { return (unsigned) x; }

static __device__ __forceinline__ unsigned
shared_address (const void *p)
{
  return (unsigned) __cvta_generic_to_shared (p);
}

static __device__ __forceinline__ void
load_matrices (unsigned (&r)[4], unsigned from)
{
  asm volatile ("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
      : "=r" (r[0]), "=r" (r[1]), "=r" (r[2]), "=r" (r[3]) : "r" (from) : "memory");
}

#if ASYNC
/* Begins to copy the first @bytes of a vector, followed by zeros. Where @bytes is 0,
 * @from need not be a valid address. */
static __device__ __forceinline__ void
copy_async (unsigned to, const char *from, int bytes)
{
  asm volatile(
      "cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
      : "memory");
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

/* A vector as copy_async() makes it, in registers; @from is a multiple of @align bytes. */
template <typename T>
static __device__ __forceinline__ uint4
gather (const char *from, int bytes, int align)
{
  enum { N = 16 / sizeof (T) };
  union { T elements[N]; unsigned words[4]; uint4 all; } r;

  r.all = make_uint4 (0, 0, 0, 0);
  if (align < 4) {
#pragma unroll
    for (int i = 0; i < N; i++)
      if (i * (int) sizeof (T) < bytes)
        r.elements[i] = ((const T *) from)[i];
    return r.all;
  }
  if (align == 16) {
    if (bytes > 0)
      r.all = *(const uint4 *) from;
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (i * 4 < bytes)
        r.words[i] = ((const unsigned *) from)[i];
  }
  /* Whole words were read: what they have beyond @bytes, of another tensor, becomes 0. */
#pragma unroll
  for (int i = 0; i < 4; i++)
    if (bytes < i * 4 + 4)
      r.words[i] = bytes <= i * 4 ? 0 : r.words[i] & ((1u << (bytes - i * 4) * 8) - 1);
  return r.all;
}

/* Epilogue */

/* What the epilogue multiplies and adds for eight channels. */
struct Factors {
  float bias[8], scale[8];
};

template <typename Type>
static __device__ __forceinline__ void
load_factors (Factors &f, const YoloConvParams &p, int o)
{
#pragma unroll
  for (int e = 0; e < 8; e++) {
    int i = min (o + e, p.out_channels - 1);

    f.bias[e] = p.bias[i];
    f.scale[e] = sizeof (typename Type::T) == 1 ? p.scale[i] : 1.0f;
  }
}

/* act (sum [* scale] + bias) [+ residual] in float, stored in the output's type: eight
 * channels of pixel m, the first of them o. */
template <typename Type>
static __device__ __forceinline__ void
finish (const YoloConvParams &p, const typename Type::Sum (&sums)[8], const Factors &f, long long m,
    int o)
{
  __align__ (16) float x[8];

#pragma unroll
  for (int e = 0; e < 8; e++)
    x[e] = scaled (sums[e], f.scale[e], f.bias[e]);
  if (p.act == YOLO_ACT_SILU) {
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] = activate (YOLO_ACT_SILU, 0.0f, 0.0f, x[e]);
  } else if (p.act != YOLO_ACT_NONE) {
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] = activate (p.act, p.alpha, p.beta, x[e]);
  }
  if (p.residual_pitch != 0) {
    __align__ (16) float r[8];
    load_reals (
        r, p.residual, p.residual_type, p.residual_scale, p.residual_pitch, m, o, p.out_channels);
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] += r[e];
  }
  if (p.out_type == TYPE_S8) {
#pragma unroll
    for (int e = 0; e < 8; e++)
      x[e] *= p.out_inverse;
  }
  store_floats (x, p.out, p.out_type, p.out_pitch, m, o, p.out_channels - o);
}

/* A block's BM pixels of BN channels, by WARPS_M x WARPS_N warps. WHOLE: all vectors of
 * the input lie on multiples of 16 bytes and hold no channels of another tensor. This is one
 * long function because its steps share some fifty values of a thread, all in registers. */
template <typename Type, int BM, int BN, int WARPS_M, int WARPS_N, int STAGES, bool WHOLE>
static __device__ __forceinline__ void
convolve (const YoloConvParams &p)
{
  typedef typename Type::T T;
  typedef typename Type::Sum Sum;
  enum {
    THREADS = 32 * WARPS_M * WARPS_N, ROWS = THREADS / VECTORS,
    A_ROWS = BM / ROWS, B_ROWS = BN / ROWS,     /* that a thread loads */
    MT = BM / WARPS_M / 16, NT = BN / WARPS_N / 8,      /* products of a warp in a half step */
    DEPTH = ASYNC ? STAGES : 2,
    STAGE = (BM + BN) * STEP,
    /* rows that go through the epilogue at once, and threads that share a row */
    SLICE = WARPS_M * 16, PER_ROW = BN / 8,
  };
  static_assert (ROWS % 8 == 0 && NT % 2 == 0,
      "rows of a thread are swapped alike; B comes in pairs of eight columns");
  static_assert (
      THREADS % PER_ROW == 0 && SLICE * BN * 4 <= DEPTH * STAGE, "a thread keeps to its channels");
  __shared__ __align__ (128) char memory[DEPTH * STAGE];
  const int thread = threadIdx.x, v = thread % VECTORS, first_row = thread / VECTORS;
  const unsigned n_tiles = (p.out_channels + BN - 1u) / BN;
  const int m0 = blockIdx.x / n_tiles * BM, n0 = blockIdx.x % n_tiles * BN;
  const int m_end = p.batch * p.out_height * p.out_width;
  const int vectors = p.packed_channels * (int) sizeof (T) / 16,
            all_vectors = vectors * p.kernel[0] * p.kernel[1];
  const int steps = (all_vectors + VECTORS - 1) / VECTORS,
            per_split = (steps + gridDim.z - 1) / gridDim.z;
  const int first = blockIdx.z * per_split, n_steps = min (per_split, steps - first);
  const int pixel = p.in_pitch * (int) sizeof (T);
  const int align = WHOLE ? 16 : alignment (p.in, pixel);
  /* whether cp.async copies pixels; weights it always copies from 8.0 on */
  const bool async = ASYNC && (WHOLE || align == 16);

  /* The vector of K that this thread loads next, counted in k: its tap (ky, kx), its
   * place c in the tap, its offset in bytes from a window's beginning, and the tap's
   * bits in outside[]. */
  int k = first * VECTORS + v, c = k % (unsigned) vectors;
  unsigned tap = k / (unsigned) vectors, ky = tap / p.kernel[1], kx = tap % p.kernel[1],
           bits = 1u << ky | 0x10000u << kx;
  int offset = (int) (ky * p.dilation[0] * p.in_width + kx * p.dilation[1]) * pixel + c * 16;
  const int next_column = p.dilation[1] * pixel - vectors * 16;
  const int next_row = (p.dilation[0] * p.in_width - p.kernel[1] * p.dilation[1]) * pixel;
  auto advance = [&] () {
    k += VECTORS;
    c += VECTORS;
    offset += STEP;
#pragma unroll 1
    while (c >= vectors) {
      c -= vectors;
      offset += next_column;
      bits += bits & 0xffff0000;
      if (++kx == p.kernel[1]) {
        kx = 0;
        offset += next_row;
        bits = (bits & 0xffff) << 1 | 0x10000;
      }
    }
  };

  /* Rows of A: where the window of each pixel begins, which may be outside of the
   * image. In outside[] bit ky, or bit 16 + kx, is set if that row, or column, of the
   * kernel falls outside of the image; all bits are set behind the last pixel. */
  const char *in[A_ROWS];
  unsigned outside[A_ROWS];
  const bool pointwise = p.kernel[0] * p.kernel[1] == 1 && p.stride[0] * p.stride[1] == 1
      && (p.pad[0] | p.pad[1]) == 0;
#pragma unroll
  for (int i = 0; i < A_ROWS; i++) {
    int m = m0 + first_row + i * ROWS;

    in[i] = (const char *) p.in;
    outside[i] = ~0u;
    if (m >= m_end)
      continue;
    if (pointwise) {
      in[i] += (long long) m * pixel;
      outside[i] = ~0x10001u;
      continue;
    }
    unsigned row = m / (unsigned) p.out_width;
    int x = (int) (m % (unsigned) p.out_width) * p.stride[1] - p.pad[1];
    int y = (int) (row % p.out_height) * p.stride[0] - p.pad[0];
    in[i] += (((long long) (row / p.out_height) * p.in_height + y) * p.in_width + x) * pixel;
#pragma unroll 1
    for (int t = 0; t < p.kernel[0]; t++)
      if ((unsigned) (y + t * p.dilation[0]) < (unsigned) p.in_height)
        outside[i] &= ~(1u << t);
#pragma unroll 1
    for (int t = 0; t < p.kernel[1]; t++)
      if ((unsigned) (x + t * p.dilation[1]) < (unsigned) p.in_width)
        outside[i] &= ~(0x10000u << t);
  }
  /* Rows of B: each is the weights of a channel, which follow one another. Rows beyond
   * the last channel load that channel again, for sums that nobody stores. */
  const char *weights[B_ROWS];
#pragma unroll
  for (int i = 0; i < B_ROWS; i++)
    weights[i] = (const char *) p.weights
        + ((long long) min (n0 + first_row + i * ROWS, p.out_channels - 1) * all_vectors + k) * 16;

  /* fetch() begins to load the next step into the stage at byte @to of the memory.
   * What cp.async does not copy is in registers then, until keep() stores it. */
  const unsigned base = shared_address (memory);
  const int mine = place<VECTORS> (first_row, v),
            last_bytes = p.in_channels * (int) sizeof (T) - (vectors - 1) * 16;
  uint4 a_next[A_ROWS], b_next[B_ROWS];
  auto fetch = [&] (int to) {
    int bytes = WHOLE || c + 1 < vectors ? 16 : last_bytes;
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) {
      int valid = (outside[i] & bits) == 0 ? bytes : 0;
#if ASYNC
      if (async) {
        copy_async (base + to + mine + i * ROWS * STEP, in[i] + offset, valid);
        continue;
      }
#endif
      a_next[i] = gather<T> (in[i] + offset, valid, align);
    }
#pragma unroll
    for (int i = 0; i < B_ROWS; i++) {
#if ASYNC
      copy_async (base + to + mine + (BM + i * ROWS) * STEP, weights[i], k < all_vectors ? 16 : 0);
#else
      b_next[i] = k < all_vectors ? *(const uint4 *) weights[i] : make_uint4 (0, 0, 0, 0);
#endif
      weights[i] += STEP;
    }
    advance ();
  };
  auto keep = [&] (int to) {
    if (!async)
#pragma unroll
      for (int i = 0; i < A_ROWS; i++)
        *(uint4 *) (memory + to + mine + i * ROWS * STEP) = a_next[i];
    if (!ASYNC)
#pragma unroll
      for (int i = 0; i < B_ROWS; i++)
        *(uint4 *) (memory + to + mine + (BM + i * ROWS) * STEP) = b_next[i];
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
  const unsigned a_from = base + place<VECTORS> (warp_m + lane % 16, lane / 16);
  const unsigned b_from =
      base + BM * STEP + place<VECTORS> (warp_n + lane % 8 + lane / 16 * 8, lane / 8 % 2);
  /* The operands of the first and of the second half of a step. Both halves take turns
   * in the same registers where others hold what is being loaded. */
  constexpr bool DOUBLE = ASYNC && WHOLE;
  unsigned a[1 + DOUBLE][MT][4], b[1 + DOUBLE][NT / 2][4];
  auto load = [&] (int half, int from) {
#pragma unroll
    for (int i = 0; i < MT; i++)
      load_matrices (a[half * DOUBLE][i], (a_from + from ^ half * 32) + i * 16 * STEP);
#pragma unroll
    for (int j = 0; j < NT / 2; j++)
      load_matrices (b[half * DOUBLE][j], (b_from + from ^ half * 32) + j * 16 * STEP);
  };
  auto compute = [&] (int half) {
    half *= DOUBLE;
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
      for (int j = 0; j < NT; j++)
        multiply (sums[i][j], a[half][i], b[half][j / 2][j % 2 * 2], b[half][j / 2][j % 2 * 2 + 1]);
  };

#pragma unroll 1
  for (int s = 0; s < DEPTH; s++) {
    if (s < n_steps) {
      fetch (s * STAGE);
      keep (s * STAGE);
    }
#if ASYNC
    commit ();
#endif
  }
#if ASYNC
  wait_all_but<DEPTH - 1> ();
#endif
  __syncthreads ();
  if (n_steps > 0)
    load (0, 0);
  int stage = 0, before = -1;   /* before: the stage that keep() must still fill, or -1 */
#pragma unroll 1
  for (int step = 0; step < n_steps; step++) {
    if (DOUBLE)
      load (1, stage);
    compute (0);
    if (!DOUBLE)
      load (1, stage);
    if (before >= 0)
      keep (before);
    before = -1;
#if ASYNC
    wait_all_but<DEPTH - 2> ();
#endif
    /* all threads can read the next step now, and have loaded what they need of this one */
    __syncthreads ();
    int next = stage + STAGE == DEPTH * STAGE ? 0 : stage + STAGE;
    if (DOUBLE && step + 1 < n_steps)
      load (0, next);
    if (step + DEPTH < n_steps) {
      fetch (stage);
      before = async ? -1 : stage;
    }
#if ASYNC
    commit ();
#endif
    compute (1);
    if (!DOUBLE && step + 1 < n_steps)
      load (0, next);
    stage = next;
  }

  /* The sums go through shared memory, 16 rows of each warp at a time. A lane holds two
   * neighbouring channels of row lane / 4 and of row lane / 4 + 8; what it reads back
   * are eight neighbouring channels of one row, so that it can store whole vectors. */
  const int r = thread / PER_ROW, o = thread % PER_ROW * 8;
  Sum *const partial = p.partial == NULL
      ? NULL
      : (Sum *) p.partial + (long long) blockIdx.z * m_end * p.out_channels;
  Factors factors;
  load_factors<Type> (factors, p, n0 + o);
#pragma unroll 1
  for (int slice = 0; slice < MT; slice++) {
    __syncthreads ();
#pragma unroll
    for (int i = 0; i < MT; i++)
      if (i == slice)
#pragma unroll
        for (int j = 0; j < NT; j++)
#pragma unroll
          for (int h = 0; h < 2; h++) {
            int to = place_sums<BN / 4> (
                warp / WARPS_N * 16 + h * 8 + lane / 4, (warp_n + j * 8) / 4 + lane % 4 / 2);
            *(uint2 *) (memory + to + lane % 2 * 8) =
                make_uint2 (bits_of (sums[i][j][2 * h]), bits_of (sums[i][j][2 * h + 1]));
          }
    __syncthreads ();
    if (n0 + o >= p.out_channels)
      continue;
#pragma unroll 1
    for (int row = r; row < SLICE; row += THREADS / PER_ROW) {
      int m = m0 + row / 16 * MT * 16 + slice * 16 + row % 16;
      __align__ (16) Sum eight[8];

      if (m >= m_end)
        continue;
      ((uint4 *) eight)[0] = *(const uint4 *) (memory + place_sums<BN / 4> (row, o / 4));
      ((uint4 *) eight)[1] = *(const uint4 *) (memory + place_sums<BN / 4> (row, o / 4 + 1));
      if (partial != NULL)
        store_eight (eight, partial, p.out_channels, m, n0 + o, p.out_channels - n0 - o);
      else
        finish<Type> (p, eight, factors, m, n0 + o);
    }
  }
}

/* Adds the partial sums of the splits, in order, and finishes: eight channels of
 * a pixel a thread. 32 * splits bytes read for eight elements written. */
template <typename Type>
static __device__ __forceinline__ void
reduce (const YoloConvParams &p)
{
  typedef typename Type::Sum Sum;
  const unsigned groups = (p.out_channels + 7u) / 8, i = blockIdx.x * blockDim.x + threadIdx.x;
  const int o = i % groups * 8;
  const long long m = i / groups, pixels = (long long) p.batch * p.out_height * p.out_width;
  Sum sums[8] = {};
  Factors factors;

  if (m >= pixels)
    return;
  load_factors<Type> (factors, p, o);
  for (int s = 0; s < p.splits; s++) {
    __align__ (16) Sum part[8];

    load_eight (part, p.partial, p.out_channels, m + s * pixels, o, p.out_channels - o);
#pragma unroll
    for (int e = 0; e < 8; e++)
      sums[e] += part[e];
  }
  finish<Type> (p, sums, factors, m, o);
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

/* Stages of at most 48 KiB; as many blocks on a multiprocessor as its registers
 * and, from 160 KiB on, its shared memory have room for. */
#define CONVOLUTIONS(type, Type) \
  CONVOLUTION (type, Type, 128, 128, 2, 2, 3, ASYNC ? 2 : 1) \
  CONVOLUTION (type, Type, 128, 64, 2, 2, 4, 3) \
  CONVOLUTION (type, Type, 64, 64, 2, 2, 5, 4) \
  CONVOLUTION (type, Type, 64, 32, 2, 2, 5, 5) \
  extern "C" __global__ void __launch_bounds__ (256) \
  conv_reduce_##type (const __grid_constant__ YoloConvParams p) \
  { \
    reduce<Type> (p); \
  }

#endif
