/* SPDX-License-Identifier: MIT */
/* What one pixel of the network's input is made of, in integers: the formulas
 * that every implementation of preprocess shares, on any device. */

#ifndef YOLO_IMAGE_SAMPLE_H
#define YOLO_IMAGE_SAMPLE_H

#include "image/frame.h"

#define YOLO_BORDER 114         /* grey level around the frame: Ultralytics' LetterBox */

/* Where the three components (R G B, or Y U V) of the pixel (x, y) lie: in
 * row y >> y_shift of the plane, at byte (x >> x_shift) * step + offset. */
typedef struct {
  struct {
    int plane, step, offset, x_shift, y_shift;
  } component[3];
  int n_components;             /* 3; of a grey format 1 */
  int bits;                     /* 8, or 10: in 16-bit little-endian words */
  int shift;                    /* bits below the value in the word, where there are ten */
  bool yuv;                     /* the components are Y U V, or Y alone; else R G B */
} YoloLayout;

extern const YoloLayout yolo_layouts[YOLO_N_FORMATS];

/* Bytes of a row that a frame's unpack writes. */
static inline size_t
yolo_unpacked_row (const YoloFrame *frame)
{
  return (size_t) yolo_layouts[frame->format].component[0].step * (size_t) frame->width;
}

/* R, G and B are the sums of each row of `factor` times Y U V and `offset`,
 * shifted right by 16 and clamped to 0-255. */
typedef struct {
  int32_t factor[3][3];
  int32_t offset[3];
} YoloColour;

/* For Y'CbCr of `bits` bits, 8 or 10, to R'G'B' of 8 bits and full range. */
void yolo_colour_init (YoloColour *colour, YoloMatrix matrix, bool full_range, int bits);

/* How OpenCV's resize() with INTER_LINEAR scales one axis of 8-bit pixels. */
typedef enum {
  YOLO_SCALE_NONE,              /* sizes are equal */
  /* both axes to exactly the half: the mean of four, a half rounded up */
  YOLO_SCALE_HALF,
  YOLO_SCALE_LINEAR,
} YoloScale;

YoloScale yolo_scale (int src_width, int src_height, int dst_width, int dst_height);

/* The two source positions of a destination position, and their weights in
 * 2048ths. With a, b, c, d the pixels at (column, row) 00 10 01 11:
 * top = (a * wx[0] + b * wx[1]) >> 4, bottom = (c * wx[0] + d * wx[1]) >> 4,
 * pixel = (((top * wy[0]) >> 16) + ((bottom * wy[1]) >> 16) + 2) >> 2. */
typedef struct {
  int32_t index[2];
  int16_t weight[2];
} YoloTap;

/* A column beyond the border has the weight of the border pixel alone; a row
 * beyond it is the border row, weighted as if it were there. */
YoloTap yolo_tap_column (int x, int src_width, int dst_width);
YoloTap yolo_tap_row (int y, int src_height, int dst_height);

#endif
