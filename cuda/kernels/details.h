/* SPDX-License-Identifier: MIT */
/* What the kernels are given that look at the maps for the objects that are left; read by C
 * and by CUDA. */

#ifndef YOLO_KERNELS_DETAILS_H
#define YOLO_KERNELS_DETAILS_H

#include <stdint.h>

typedef struct {
  const float *const *pixels;   /* [n] the pixel of a map, in device memory */
  float *rows;                  /* [n][channels] */
  int n, channels;
} YoloRowsParams;

/* One object's cells of the prototypes. */
typedef struct {
  int x, y, width, height;      /* in pixels of the map */
  long long first;              /* where they go */
} YoloMaskCells;

typedef struct {
  const float *prototypes;      /* [height][width] pixels, of one image */
  const float *coefficients;    /* [n][channels] */
  const YoloMaskCells *masks;   /* [n] */
  int16_t *cells;
  int pitch, width, channels, n;        /* pitch: floats from pixel to pixel */
} YoloMasksParams;

#define YOLO_DETAILS_BLOCK 256

#endif
