/* SPDX-License-Identifier: MIT */
#include "image/sample.h"
#include "image/pixel.h"

#define FULL(plane, step, offset) { plane, step, offset, 0, 0 }
#define HALF(plane, step, offset) { plane, step, offset, 1, 1 }
#define PAIR(plane, step, offset) { plane, step, offset, 1, 0 }

const YoloLayout yolo_layouts[YOLO_N_FORMATS] = {
  [YOLO_FORMAT_RGB] = { { FULL (0, 3, 0), FULL (0, 3, 1), FULL (0, 3, 2) }, 3, 8, 0, false },
  [YOLO_FORMAT_BGR] = { { FULL (0, 3, 2), FULL (0, 3, 1), FULL (0, 3, 0) }, 3, 8, 0, false },
  [YOLO_FORMAT_RGBA] = { { FULL (0, 4, 0), FULL (0, 4, 1), FULL (0, 4, 2) }, 3, 8, 0, false },
  [YOLO_FORMAT_BGRA] = { { FULL (0, 4, 2), FULL (0, 4, 1), FULL (0, 4, 0) }, 3, 8, 0, false },
  [YOLO_FORMAT_GRAY8] = { { FULL (0, 1, 0) }, 1, 8, 0, true },
  [YOLO_FORMAT_NV12] = { { FULL (0, 1, 0), HALF (1, 2, 0), HALF (1, 2, 1) }, 3, 8, 0, true },
  [YOLO_FORMAT_NV21] = { { FULL (0, 1, 0), HALF (1, 2, 1), HALF (1, 2, 0) }, 3, 8, 0, true },
  [YOLO_FORMAT_I420] = { { FULL (0, 1, 0), HALF (1, 1, 0), HALF (2, 1, 0) }, 3, 8, 0, true },
  [YOLO_FORMAT_YUY2] = { { FULL (0, 2, 0), PAIR (0, 4, 1), PAIR (0, 4, 3) }, 3, 8, 0, true },
  [YOLO_FORMAT_P010] = { { FULL (0, 2, 0), HALF (1, 4, 0), HALF (1, 4, 2) }, 3, 10, 6, true },
  [YOLO_FORMAT_I420_10] = { { FULL (0, 2, 0), HALF (1, 2, 0), HALF (2, 2, 0) }, 3, 10, 0, true },
  [YOLO_FORMAT_Y42B] = { { FULL (0, 1, 0), PAIR (1, 1, 0), PAIR (2, 1, 0) }, 3, 8, 0, true },
  [YOLO_FORMAT_Y444] = { { FULL (0, 1, 0), FULL (1, 1, 0), FULL (2, 1, 0) }, 3, 8, 0, true },
  [YOLO_FORMAT_UYVY] = { { FULL (0, 2, 1), PAIR (0, 4, 0), PAIR (0, 4, 2) }, 3, 8, 0, true },
  [YOLO_FORMAT_ARGB] = { { FULL (0, 4, 1), FULL (0, 4, 2), FULL (0, 4, 3) }, 3, 8, 0, false },
  [YOLO_FORMAT_AYUV] = { { FULL (0, 4, 1), FULL (0, 4, 2), FULL (0, 4, 3) }, 3, 8, 0, true },
  [YOLO_FORMAT_ARGB64] = { { FULL (0, 8, 3), FULL (0, 8, 5), FULL (0, 8, 7) }, 3, 8, 0, false },
  [YOLO_FORMAT_AYUV64] = { { FULL (0, 8, 2), FULL (0, 8, 4), FULL (0, 8, 6) }, 3, 10, 6, true },
};

/* Weights of R and B in Y. Source: ITU-T H.273 (07/2021), table 4,
 * MatrixCoefficients 5 and 6 (601), 1 (709), 9 (2020), 4 (FCC), 7 (240M). */
static const struct {
  double kr, kb;
} luma_weights[] = {
  [YOLO_MATRIX_BT601] = { 0.299, 0.114 },
  [YOLO_MATRIX_BT709] = { 0.2126, 0.0722 },
  [YOLO_MATRIX_BT2020] = { 0.2627, 0.0593 },
  [YOLO_MATRIX_FCC] = { 0.30, 0.11 },
  [YOLO_MATRIX_SMPTE240M] = { 0.212, 0.087 },
};

static int32_t
fixed (double v)
{
  return (int32_t) lrint (v * 65536);
}

/* Source: ITU-T H.273 (07/2021), 8.3: Y' = Kr R' + (1 - Kr - Kb) G' + Kb B',
 * Cb = (B' - Y') / (2 (1 - Kb)), Cr = (R' - Y') / (2 (1 - Kr)), solved for
 * R' G' B'; quantised to 16-235 and 16-240 (times 4 for ten bits), or to the
 * full range, with the chroma's zero in the middle. */
void
yolo_colour_init (YoloColour *colour, YoloMatrix matrix, bool full_range, int bits)
{
  double kr = luma_weights[matrix].kr, kb = luma_weights[matrix].kb, kg = 1 - kr - kb;
  double unit = 1 << (bits - 8), max = (1 << bits) - 1;
  double black = full_range ? 0 : 16 * unit, middle = 128 * unit;
  double y = 255 / (full_range ? max : 219 * unit);
  double c = 255 / (full_range ? max : 224 * unit);
  const double factor[3][3] = {
    { y, 0, c * 2 * (1 - kr) },
    { y, -c * 2 * (1 - kb) * kb / kg, -c * 2 * (1 - kr) * kr / kg },
    { y, c * 2 * (1 - kb), 0 },
  };

  for (int i = 0; i < 3; i++) {
    for (int k = 0; k < 3; k++)
      colour->factor[i][k] = fixed (factor[i][k]);
    colour->offset[i] = fixed (0.5 - factor[i][0] * black - (factor[i][1] + factor[i][2]) * middle);
  }
}

YoloScale
yolo_scale (int src_width, int src_height, int dst_width, int dst_height)
{
  if (src_width == dst_width && src_height == dst_height)
    return YOLO_SCALE_NONE;
  if (src_width == 2 * dst_width && src_height == 2 * dst_height)
    return YOLO_SCALE_HALF;
  return YOLO_SCALE_LINEAR;
}

static int
clamp_index (int i, int n)
{
  return i < 0 ? 0 : i < n ? i : n - 1;
}

static YoloTap
tap (int i, int n_src, int n_dst, int *first)
{
  int weight[2];

  *first = yolo_tap_at (i, yolo_tap_ratio (n_src, n_dst), &weight[0], &weight[1]);
  return (YoloTap) {
    .index = { clamp_index (*first, n_src), clamp_index (*first + 1, n_src) },
    .weight = { (int16_t) weight[0], (int16_t) weight[1] },
  };
}

YoloTap
yolo_tap_column (int x, int src_width, int dst_width)
{
  int first;
  YoloTap t = tap (x, src_width, dst_width, &first);

  if (first < 0 || first >= src_width - 1) {
    t.weight[0] = 2048;
    t.weight[1] = 0;
  }
  return t;
}

YoloTap
yolo_tap_row (int y, int src_height, int dst_height)
{
  int first;

  return tap (y, src_height, dst_height, &first);
}
