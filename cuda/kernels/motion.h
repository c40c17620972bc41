/* SPDX-License-Identifier: MIT */
/* What the kernel of small pictures is given; read by C and by CUDA. */

#ifndef YOLO_KERNELS_MOTION_H
#define YOLO_KERNELS_MOTION_H

#include "image/motion.h"

typedef struct {
  YoloMotionGrid grid;
  struct {
    const uint8_t *data;        /* of pixel 0, 0; device address */
    int64_t stride;             /* bytes */
    int step;                   /* bytes between pixels */
  } component[3];               /* R G B, or Y alone */
  int yuv, bits, shift;         /* as in YoloLayout */
  uint8_t *picture;             /* [rows][columns], in device memory */
} YoloMotionParams;

/* Threads of a block, each of whose warps makes one pixel of the picture. */
#define YOLO_MOTION_THREADS 128

#endif
