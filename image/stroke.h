/* SPDX-License-Identifier: MIT */
/* Boxes and text on a frame, as data: what is drawn on the host or on a device. */

#ifndef YOLO_IMAGE_STROKE_H
#define YOLO_IMAGE_STROKE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define YOLO_DRAWING static __host__ __device__ __forceinline__
#else
#define YOLO_DRAWING static inline
#endif

#define YOLO_DRAW_COMPONENTS 4

/* Pixels; x1 and y1 are the first ones outside. Empty if x1 <= x0 or y1 <= y0. */
typedef struct {
  int x0, y0, x1, y1;
} YoloRect;

/* One component of a frame. */
typedef struct {
  uint8_t *data;                /* of the pixel 0, 0 */
  int stride, pixel_stride;     /* bytes */
  int rows;                     /* in memory */
  unsigned shift_x, shift_y;    /* a sample covers 1 << shift_x by 1 << shift_y pixels */
  unsigned depth_shift;         /* bits below the value, in formats of two bytes */
  int wide;                     /* two bytes, little-endian */
} YoloComponent;

/* A mapped frame. Nothing outside `clip` is changed, but for chroma samples
 * that reach over it. */
typedef struct _YoloCanvas {
  int width, height;            /* pixels in memory */
  YoloRect clip;
  unsigned n_fields;            /* 2: interlaced, chroma rows belong to one field */
  unsigned n_components;
  YoloComponent component[YOLO_DRAW_COMPONENTS];
  struct _YoloDrawing *drawing; /* where strokes are kept instead of being drawn, or NULL */
} YoloCanvas;

/* One stroke, clipped to the canvas: a colour over what is in `outer` and not in
 * `inner`, or through a mask. */
typedef struct _YoloStroke {
  YoloRect outer, inner;        /* inner: empty without a hole */
  int mask;                     /* its first byte in the masks; -1: none */
  int mask_x, mask_y, mask_stride;      /* pixels: where its corner lies; bytes */
  uint16_t value[YOLO_DRAW_COMPONENTS];
} YoloStroke;

/* Opacity of a sample. 4 * 255, so that both a mask's levels and quarters,
 * the shares of a 4:2:0 sample, are whole numbers. */
#define YOLO_OPAQUE 1020

YOLO_DRAWING unsigned
yolo_draw_mix (unsigned old, unsigned value, unsigned opacity)
{
  return (old * (YOLO_OPAQUE - opacity) + value * opacity + YOLO_OPAQUE / 2) / YOLO_OPAQUE;
}

/* How much of [a0, a1) lies in [b0, b1). */
YOLO_DRAWING int
yolo_draw_overlap (int a0, int a1, int b0, int b1)
{
  int from = a0 > b0 ? a0 : b0, to = a1 < b1 ? a1 : b1;

  return to > from ? to - from : 0;
}

/* The rows of a rectangle that belong to a field, numbered within the field. */
YOLO_DRAWING YoloRect
yolo_draw_to_field (YoloRect r, unsigned field, unsigned n_fields)
{
  r.y0 = (r.y0 + (int) (n_fields - 1 - field)) / (int) n_fields;
  r.y1 = (r.y1 + (int) (n_fields - 1 - field)) / (int) n_fields;
  return r;
}

/* Opacity of one stroke at sample x of row y of a field: the share of the
 * sample's pixels that are filled, or the mean of the mask over them. */
YOLO_DRAWING unsigned
yolo_stroke_opacity (const YoloCanvas *canvas, const YoloComponent *c, const YoloStroke *stroke,
    const uint8_t *masks, int x, int y, unsigned field)
{
  const int n_fields = (int) canvas->n_fields;
  const int height = (canvas->height + n_fields - 1 - (int) field) / n_fields;
  const int x0 = x << c->shift_x, y0 = y << c->shift_y;
  int x1 = (x + 1) << c->shift_x, y1 = (y + 1) << c->shift_y;
  const YoloRect outer = yolo_draw_to_field (stroke->outer, field, canvas->n_fields);

  x1 = x1 < canvas->width ? x1 : canvas->width;
  y1 = y1 < height ? y1 : height;
  if (x0 >= outer.x1 || x1 <= outer.x0 || y0 >= outer.y1 || y1 <= outer.y0)
    return 0;
  if (stroke->mask < 0) {
    const YoloRect inner = yolo_draw_to_field (stroke->inner, field, canvas->n_fields);
    const int filled = yolo_draw_overlap (y0, y1, outer.y0, outer.y1)
            * yolo_draw_overlap (x0, x1, outer.x0, outer.x1)
        - yolo_draw_overlap (y0, y1, inner.y0, inner.y1)
            * yolo_draw_overlap (x0, x1, inner.x0, inner.x1);

    return (unsigned) (YOLO_OPAQUE * filled / ((y1 - y0) * (x1 - x0)));
  }

  unsigned sum = 0;
  for (int py = y0 > outer.y0 ? y0 : outer.y0; py < (y1 < outer.y1 ? y1 : outer.y1); py++) {
    const uint8_t *alpha = masks + stroke->mask
        + (ptrdiff_t) (py * n_fields + (int) field - stroke->mask_y) * stroke->mask_stride
        - stroke->mask_x;

    for (int px = x0 > outer.x0 ? x0 : outer.x0; px < (x1 < outer.x1 ? x1 : outer.x1); px++)
      sum += alpha[px];
  }
  /* 4 / pixels is whole: a sample covers 1, 2 or 4 */
  return sum * (unsigned) (4 / ((x1 - x0) * (y1 - y0)));
}

#endif
