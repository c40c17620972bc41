/* SPDX-License-Identifier: MIT */
/* The maps that a network's head gives, by what they mean. */

#ifndef YOLO_BASE_OUTPUT_H
#define YOLO_BASE_OUTPUT_H

/* What the numbers of a map [N][H][W][C] mean. C is given for each. */
typedef enum {
  YOLO_MAP_BOX,                 /* 4 * reg_max: logits of the distances to the four sides */
  YOLO_MAP_CLASS,               /* n_classes: logits */
} YoloMapRole;

/* Most models have three levels (P3 to P5), the P6 models four, P3-P4 models two. */
#define YOLO_MAX_LEVELS 8
#define YOLO_MAX_OUTPUTS (4 * YOLO_MAX_LEVELS)

/* One map of the head. */
typedef struct {
  YoloMapRole role;
  unsigned level;               /* from 0, by increasing stride */
  unsigned stride;              /* pixels of the network's input per pixel of the map */
  unsigned layer;               /* of the model, that makes the map */
} YoloOutput;

#endif
