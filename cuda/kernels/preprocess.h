/* SPDX-License-Identifier: MIT */
/* What the preprocess kernel is given; read by C and by CUDA. */

#ifndef YOLO_KERNELS_PREPROCESS_H
#define YOLO_KERNELS_PREPROCESS_H

#include <stdint.h>

/* A frame and its place in the network's input. All that depends on neither the pixel
 * nor the tensor has been worked out; image/sample.h says how. */
typedef struct {
  const uint8_t *plane[3];      /* device addresses */
  int64_t stride[3];            /* bytes */
  struct {
    int plane, step, offset, x_shift, y_shift;
  } component[3];
  int n_components, bits, shift, yuv;
  int32_t factor[3][3], offset[3];      /* YoloColour */
  int x0, y0;                   /* the visible part's first pixel in the frame */
  int width, height;            /* of the visible part, as it stands upright; pixels */
  uint32_t turn;                /* YOLO_TURN_* */
  int left, top, scaled_width, scaled_height;   /* its place in the network's input, pixels */
  int scale;                    /* YoloScale; YOLO_PREPROCESS_FILTER: of yolo_letterbox_crop() */
  int idle;                     /* no frame: all border */
  double ratio_x, ratio_y;      /* visible pixels per pixel of the input */
} YoloCudaFrame;

typedef struct {
  const YoloCudaFrame *frames;  /* [batch], device */
  void *out;                    /* [batch][height][width][channels] */
  int height, width, channels;
  float inverse_scale;          /* int8 only: rint (level * inverse_scale), at most 127 */
} YoloPreprocessParams;

#define YOLO_PREPROCESS_FILTER 3

/* Columns and rows of pixels that a block writes. */
#define YOLO_PREPROCESS_WIDTH 32
#define YOLO_PREPROCESS_HEIGHT 8

#endif
