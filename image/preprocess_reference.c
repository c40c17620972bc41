/* SPDX-License-Identifier: MIT */
/* The definition of preprocess: one pixel after the other. */

#include "image/pixel.h"
#include "image/preprocess.h"
#include "image/sample.h"
#include "image/tensor.h"

#include <stdlib.h>

typedef struct {
  uint8_t c[3];
} Rgb;

typedef struct {
  const YoloFrame *frame;
  const YoloLayout *layout;
  YoloColour colour;
  int x0, y0;                   /* where the visible part begins in the frame, pixels */
  int width, height;            /* pixels of the visible part, as it stands upright */
  unsigned turn;                /* YOLO_TURN_* */
} Source;

/* A component of the frame's pixel (x, y). */
static int
component_at (const Source *src, int i, int x, int y)
{
  const YoloFrame *f = src->frame;
  int plane = src->layout->component[i].plane;
  const uint8_t *p = (const uint8_t *) f->plane[plane]
      + (y >> src->layout->component[i].y_shift) * f->stride[plane]
      + (ptrdiff_t) (x >> src->layout->component[i].x_shift) * src->layout->component[i].step
      + src->layout->component[i].offset;

  return src->layout->bits == 8 ? p[0] : (p[0] | p[1] << 8) >> src->layout->shift & 1023;
}

/* The pixel (x, y) of the visible part, upright. */
static Rgb
rgb_at (const Source *src, int x, int y)
{
  int32_t v[3] = { 0, 0, 0 };
  Rgb rgb;

  yolo_turn_pixel (src->turn, src->width, src->height, &x, &y);
  x += src->x0;
  y += src->y0;
  for (int i = 0; i < src->layout->n_components; i++)
    v[i] = component_at (src, i, x, y);
  if (src->layout->n_components == 1)   /* grey: no colour */
    v[1] = v[2] = 128;
  for (int i = 0; i < 3; i++) {
    rgb.c[i] = (uint8_t) (src->layout->yuv
            ? yolo_colour_level (src->colour.factor[i], src->colour.offset[i], v[0], v[1], v[2])
            : v[i]);
  }
  return rgb;
}

/* The pixel (x, y) of the scaled frame. */
static Rgb
scaled_at (const Source *src, const YoloLetterbox *box, int x, int y)
{
  Rgb out;

  switch (yolo_scale (src->width, src->height, box->width, box->height)) {
    case YOLO_SCALE_NONE:
      return rgb_at (src, x, y);

    case YOLO_SCALE_HALF:
    {
      Rgb a = rgb_at (src, 2 * x, 2 * y), b = rgb_at (src, 2 * x + 1, 2 * y);
      Rgb c = rgb_at (src, 2 * x, 2 * y + 1), d = rgb_at (src, 2 * x + 1, 2 * y + 1);
      for (int i = 0; i < 3; i++)
        out.c[i] = (uint8_t) yolo_scale_half (a.c[i], b.c[i], c.c[i], d.c[i]);
      return out;
    }

    case YOLO_SCALE_LINEAR:
    {
      YoloTap h = yolo_tap_column (x, src->width, box->width);
      YoloTap v = yolo_tap_row (y, src->height, box->height);
      Rgb a = rgb_at (src, h.index[0], v.index[0]), b = rgb_at (src, h.index[1], v.index[0]);
      Rgb c = rgb_at (src, h.index[0], v.index[1]), d = rgb_at (src, h.index[1], v.index[1]);
      for (int i = 0; i < 3; i++)
        out.c[i] = (uint8_t) yolo_scale_linear (a.c[i], b.c[i], c.c[i], d.c[i],
            h.weight[0], h.weight[1], v.weight[0], v.weight[1]);
      return out;
    }
  }
  return (Rgb) { { 0, 0, 0 } };
}

/* The pixel (x, y) of the frame scaled with a filter; x and y may be any that the scaled
 * frame has. Each source row is rounded to levels before rows are summed. */
static Rgb
filtered_at (const Source *src, const YoloLetterbox *box, int x, int y)
{
  YoloFilter across = yolo_filter_at (x, src->width, box->width),
             down = yolo_filter_at (y, src->height, box->height);
  double norm_x = yolo_filter_norm (&across), norm_y = yolo_filter_norm (&down);
  int32_t sum[3] = { YOLO_FILTER_HALF, YOLO_FILTER_HALF, YOLO_FILTER_HALF };
  Rgb out;

  for (int r = 0; r < down.n; r++) {
    int32_t along[3] = { YOLO_FILTER_HALF, YOLO_FILTER_HALF, YOLO_FILTER_HALF };

    for (int k = 0; k < across.n; k++) {
      Rgb rgb = rgb_at (src, across.first + k, down.first + r);
      for (int i = 0; i < 3; i++)
        along[i] += rgb.c[i] * yolo_filter_weight (&across, norm_x, k);
    }
    for (int i = 0; i < 3; i++)
      sum[i] += yolo_filter_level (along[i]) * yolo_filter_weight (&down, norm_y, r);
  }
  for (int i = 0; i < 3; i++)
    out.c[i] = yolo_filter_level (sum[i]);
  return out;
}

/* A frame with unpack, unpacked as a whole; NULL: out of memory. Rows begin at
 * multiples of 64 bytes, as where rows are unpacked one by one. */
static uint8_t *
unpack_all (const YoloFrame *frame, YoloFrame *unpacked)
{
  size_t row = (yolo_unpacked_row (frame) + 63) & ~(size_t) 63;
  uint8_t *pixels = aligned_alloc (64, row * (size_t) frame->height);

  for (int y = 0; pixels && y < frame->height; y++)
    frame->unpack (frame->source, y, pixels + (size_t) y * row);
  *unpacked = *frame;
  unpacked->unpack = NULL;
  unpacked->plane[0] = pixels;
  unpacked->stride[0] = (ptrdiff_t) row;
  return pixels;
}

/**
 * yolo_preprocess_reference:
 *
 * Arguments and result of yolo_preprocess_run(); slow, on the calling thread.
 */
bool
yolo_preprocess_reference (const YoloFrame *frame, const YoloLetterbox *box,
    void *dst, YoloDType type, int channels)
{
  YoloFrame unpacked;
  uint8_t *pixels = NULL;
  if (frame->unpack) {
    pixels = unpack_all (frame, &unpacked);
    if (!pixels)
      return false;
    frame = &unpacked;
  }

  Source src = {
    .frame = frame, .layout = &yolo_layouts[frame->format],
    .x0 = box->x, .y0 = box->y,
    .width = box->src_width, .height = box->src_height, .turn = box->turn,
  };
  yolo_colour_init (&src.colour, frame->matrix, frame->full_range, src.layout->bits);

  for (int y = 0; y < box->net_height; y++) {
    for (int x = 0; x < box->net_width; x++) {
      int sx = x - box->left, sy = y - box->top;
      Rgb rgb = { { YOLO_BORDER, YOLO_BORDER, YOLO_BORDER } };
      if (sx >= 0 && sx < box->width && sy >= 0 && sy < box->height)
        rgb = box->crop ? filtered_at (&src, box, sx, sy) : scaled_at (&src, box, sx, sy);

      size_t at = ((size_t) y * box->net_width + x) * channels;
      for (int c = 0; c < channels; c++)
        yolo_tensor_set (dst, type, at + c, c < 3 ? rgb.c[c] : 0);
    }
  }
  free (pixels);
  return true;
}
