/* SPDX-License-Identifier: MIT */
/* What the decode kernels are given; read by C and by CUDA. */

#ifndef YOLO_KERNELS_DECODE_H
#define YOLO_KERNELS_DECODE_H

#include <stdint.h>

#include "postprocess/object.h"

#define YOLO_DECODE_LEVELS 8    /* YOLO_MAX_LEVELS */
#define YOLO_DECODE_CAPACITY 1024       /* candidates of an image that come back */

/* One level's maps of the whole batch, [batch][height][width] pixels. */
typedef struct {
  const float *box, *cls;
  int box_pitch, cls_pitch;     /* floats from pixel to pixel */
  int width, height, stride;
  int first;                    /* number of the level's first anchor */
} YoloDecodeLevel;

/* What to keep of an image. */
typedef struct {
  float confidence;
  int masked;                   /* only classes that its row of the masks has are kept */
  int idle;                     /* the place of the batch has no image */
} YoloDecodeImage;

/* A candidate before its box is known. */
typedef struct {
  float confidence;
  int anchor, class_id;
} YoloDecodeFound;

/* Counts of one image, which are zero before the first kernel. */
typedef struct {
  int found;                    /* candidates above the threshold */
  int written;                  /* candidates in `out`, in no order: those with a finite box */
  int selected;                 /* candidates whose boxes were worked out */
  int unused;
} YoloDecodeCount;

typedef struct {
  YoloDecodeLevel levels[YOLO_DECODE_LEVELS];
  int n_levels, n_anchors, n_classes, reg_max, batch;
  const YoloDecodeImage *images;        /* [batch] */
  const uint8_t *masks;         /* [batch][n_classes] */
  YoloDecodeFound *found;       /* [batch][n_anchors] */
  YoloDecodeCount *counts;      /* [batch] */
  YoloObject *out;           /* [batch][YOLO_DECODE_CAPACITY] */
} YoloDecodeParams;

/* Threads of a block of both kernels; lanes that share an anchor in the first kernel;
 * blocks for each image in the second. */
#define YOLO_DECODE_BLOCK 256
#define YOLO_DECODE_LANES 8
#define YOLO_DECODE_BLOCKS 4

#endif
