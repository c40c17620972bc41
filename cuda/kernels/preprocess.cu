/* SPDX-License-Identifier: MIT */
/* Frames, letterboxed, into the network's input. The arithmetic is that of
 * image/preprocess_reference.c, from the same inline functions, and the
 * result equals it. A thread writes one pixel, 16 bytes in the usual layouts. It
 * reads up to four pixels of three components byte by byte; since its neighbours
 * read the same cache lines, a frame is read from memory once. */

#include "cuda/kernels/common.cuh"
#include "cuda/kernels/preprocess.h"
#include "image/pixel.h"

enum { SCALE_NONE, SCALE_HALF, SCALE_LINEAR };  /* YoloScale */
#define BORDER 114              /* YOLO_BORDER */

struct Rgb {
  int c[3];
};

struct Tap {
  int index0, index1, weight0, weight1;
};

static __device__ __forceinline__ int
clamp_index (int i, int n)
{
  return i < 0 ? 0 : i < n ? i : n - 1;
}

/* The colour of pixel (x, y) of the visible part, counted as the picture stands upright. */
static __device__ __forceinline__ Rgb
rgb_at (const YoloCudaFrame &f, int x, int y)
{
  int v[3] = { 0, 128, 128 };   /* grey has no colour */
  Rgb rgb;

  yolo_turn_pixel (f.turn, f.width, f.height, &x, &y);
  x += f.x0;
  y += f.y0;
#pragma unroll
  for (int i = 0; i < 3; i++)
    if (i < f.n_components) {
      const uint8_t *p = f.plane[f.component[i].plane]
          + (y >> f.component[i].y_shift) * f.stride[f.component[i].plane]
          + (long long) (x >> f.component[i].x_shift) * f.component[i].step + f.component[i].offset;
      v[i] = f.bits == 8 ? p[0] : (p[0] | p[1] << 8) >> f.shift & 1023;
    }
#pragma unroll
  for (int i = 0; i < 3; i++)
    rgb.c[i] = f.yuv ? yolo_colour_level (f.factor[i], f.offset[i], v[0], v[1], v[2]) : v[i];
  return rgb;
}

static __device__ __forceinline__ Rgb
scaled_at (const YoloCudaFrame &f, int x, int y, const Tap &h, const Tap &v)
{
  Rgb a, b, c, d, out;

  if (f.scale == SCALE_NONE)
    return rgb_at (f, x, y);
  int x0 = f.scale == SCALE_HALF ? 2 * x : h.index0,
      x1 = f.scale == SCALE_HALF ? 2 * x + 1 : h.index1;
  int y0 = f.scale == SCALE_HALF ? 2 * y : v.index0,
      y1 = f.scale == SCALE_HALF ? 2 * y + 1 : v.index1;

  a = rgb_at (f, x0, y0);
  b = rgb_at (f, x1, y0);
  c = rgb_at (f, x0, y1);
  d = rgb_at (f, x1, y1);
#pragma unroll
  for (int i = 0; i < 3; i++)
    out.c[i] = f.scale == SCALE_HALF ? yolo_scale_half (a.c[i], b.c[i], c.c[i], d.c[i])
                                     : yolo_scale_linear (a.c[i], b.c[i], c.c[i], d.c[i], h.weight0,
                                         h.weight1, v.weight0, v.weight1);
  return out;
}

/* The pixel (x, y) of the frame scaled with a filter. A thread reads all pixels under the
 * filter, some 4 * scale^2 of three components, which its neighbours read too. */
static __device__ Rgb
filtered_at (const YoloCudaFrame &f, int x, int y)
{
  YoloFilter across = yolo_filter_at (x, f.width, f.scaled_width),
             down = yolo_filter_at (y, f.height, f.scaled_height);
  double norm_x = yolo_filter_norm (&across), norm_y = yolo_filter_norm (&down);
  int32_t sum[3] = { YOLO_FILTER_HALF, YOLO_FILTER_HALF, YOLO_FILTER_HALF };
  Rgb out;

  for (int r = 0; r < down.n; r++) {
    int32_t along[3] = { YOLO_FILTER_HALF, YOLO_FILTER_HALF, YOLO_FILTER_HALF };
    int32_t weight = yolo_filter_weight (&down, norm_y, r);

    for (int k = 0; k < across.n; k++) {
      Rgb rgb = rgb_at (f, across.first + k, down.first + r);
      int32_t part = yolo_filter_weight (&across, norm_x, k);
#pragma unroll
      for (int i = 0; i < 3; i++)
        along[i] += rgb.c[i] * part;
    }
#pragma unroll
    for (int i = 0; i < 3; i++)
      sum[i] += yolo_filter_level (along[i]) * weight;
  }
#pragma unroll
  for (int i = 0; i < 3; i++)
    out.c[i] = yolo_filter_level (sum[i]);
  return out;
}

/* The same as yolo_tap_column() and yolo_tap_row() of image/sample.h. */
static __device__ Tap
tap_of (int i, double ratio, int n, bool column)
{
  Tap t;
  int first = yolo_tap_at (i, ratio, &t.weight0, &t.weight1);

  if (column && (first < 0 || first >= n - 1)) {
    t.weight0 = 2048;
    t.weight1 = 0;
  }
  t.index0 = clamp_index (first, n);
  t.index1 = clamp_index (first + 1, n);
  return t;
}

static __device__ __forceinline__ void put (float *out, int level, float) { *out = (float) level; }
static __device__ __forceinline__ void
put (__half *out, int level, float)
{
  *out = __int2half_rn (level);
}
static __device__ __forceinline__ void
put (int8_t *out, int level, float inverse_scale)
{
  *out = (int8_t) fminf (rintf (__fmul_rn ((float) level, inverse_scale)), 127.0f);
}

template <typename T>
static __device__ void
preprocess (const YoloPreprocessParams &p)
{
  __shared__ YoloCudaFrame frame;
  __shared__ Tap columns[YOLO_PREPROCESS_WIDTH], rows[YOLO_PREPROCESS_HEIGHT];
  const int threads = YOLO_PREPROCESS_WIDTH * YOLO_PREPROCESS_HEIGHT, t = threadIdx.x;
  int first_x = blockIdx.x * YOLO_PREPROCESS_WIDTH, first_y = blockIdx.y * YOLO_PREPROCESS_HEIGHT;

  for (int i = t; i < (int) (sizeof (YoloCudaFrame) / 4); i += threads)
    ((uint32_t *) &frame)[i] = ((const uint32_t *) &p.frames[blockIdx.z])[i];
  __syncthreads ();
  /* The double arithmetic of a position is done once a column and once a row. */
  if (t < YOLO_PREPROCESS_WIDTH)
    columns[t] = tap_of (first_x + t - frame.left, frame.ratio_x, frame.width, true);
  else if (t < YOLO_PREPROCESS_WIDTH + YOLO_PREPROCESS_HEIGHT)
    rows[t - YOLO_PREPROCESS_WIDTH] = tap_of (
        first_y + t - YOLO_PREPROCESS_WIDTH - frame.top, frame.ratio_y, frame.height, false);
  __syncthreads ();

  int in_x = t % YOLO_PREPROCESS_WIDTH, in_y = t / YOLO_PREPROCESS_WIDTH;
  int x = first_x + in_x, y = first_y + in_y, sx = x - frame.left, sy = y - frame.top;
  if (x >= p.width || y >= p.height)
    return;
  Rgb rgb = { { BORDER, BORDER, BORDER } };
  if (!frame.idle && sx >= 0 && sx < frame.scaled_width && sy >= 0 && sy < frame.scaled_height)
    rgb = frame.scale == YOLO_PREPROCESS_FILTER
        ? filtered_at (frame, sx, sy)
        : scaled_at (frame, sx, sy, columns[in_x], rows[in_y]);

  T *out = (T *) p.out + (((long long) blockIdx.z * p.height + y) * p.width + x) * p.channels;
  if (p.channels * sizeof (T) == 16) {
    const int n = 16 / sizeof (T);
    union { T v[n]; uint4 all; } pixel;
    pixel.all = make_uint4 (0, 0, 0, 0);
#pragma unroll
    for (int c = 0; c < 3; c++)
      put (&pixel.v[c], rgb.c[c], p.inverse_scale);
    *(uint4 *) out = pixel.all;
  } else {
    for (int c = 0; c < p.channels; c++)
      put (&out[c], c < 3 ? rgb.c[c] : 0, p.inverse_scale);
  }
}

#define KERNEL(type, T) \
  extern "C" __global__ void __launch_bounds__ (YOLO_PREPROCESS_WIDTH * YOLO_PREPROCESS_HEIGHT) \
  preprocess_##type (const __grid_constant__ YoloPreprocessParams p) \
  { \
    preprocess<T> (p); \
  }

KERNEL (f32, float)
KERNEL (f16, __half)
KERNEL (s8, int8_t)
