/* SPDX-License-Identifier: MIT */
/* What the drawing kernel is given; read by C and by CUDA. */

#ifndef YOLO_KERNELS_DRAW_H
#define YOLO_KERNELS_DRAW_H

#include "image/stroke.h"

typedef struct {
  YoloCanvas canvas;            /* device addresses */
  const YoloStroke *strokes;    /* [n_strokes], in device memory */
  const uint8_t *masks;         /* of the strokes that are text, in device memory */
  int n_strokes;
} YoloDrawParams;

/* Columns and rows of samples that a block draws. */
#define YOLO_DRAW_WIDTH 32
#define YOLO_DRAW_HEIGHT 8

#endif
