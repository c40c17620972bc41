/* SPDX-License-Identifier: MIT */
/* The maps that a network's head gives, by what they mean. */

#ifndef YOLO_BASE_OUTPUT_H
#define YOLO_BASE_OUTPUT_H

/* What the numbers of a map [N][H][W][C] mean. C is given for each. */
typedef enum {
  /* Every level of a head has some of these. */

  /* 4 * reg_max: the distances to left, top, right and bottom, in pixels of the map: the
   * logits of a distribution for each, or, if reg_max is 1, the distances themselves */
  YOLO_MAP_BOX,
  YOLO_MAP_CLASS,               /* n_classes: logits */
  YOLO_MAP_COEFFICIENT,         /* what the prototypes are multiplied by for an object's mask */
  YOLO_MAP_KEYPOINT,            /* keypoints * dimensions: see YoloHeadForm */
  YOLO_MAP_ANGLE,               /* 1: see YoloHeadForm */

  /* A head has at most one of each of these, which belongs to no level. */

  YOLO_MAP_PROTOTYPE,           /* as many as there are coefficients: the masks' ingredients */
  YOLO_MAP_LOGIT,               /* n_classes, of the whole image: the map is one pixel */
} YoloMapRole;

/* Whether maps of the role belong to a level. */
static inline int
yolo_map_has_level (YoloMapRole role)
{
  return role < YOLO_MAP_PROTOTYPE;
}

/* Which head of a network that has two is to run. */
typedef enum {
  YOLO_HEAD_AUTO,               /* the one that the file says */
  YOLO_HEAD_ONE_TO_MANY,        /* many candidates for an object, suppressed afterwards */
  YOLO_HEAD_END_TO_END,         /* one for an object, without suppression */
} YoloHeadChoice;

/* How a head's maps are to be read, where the generations of the family differ. */
typedef struct {
  /* The objects are the best of all anchors and classes, an anchor with several classes
   * included, and none suppresses another: YOLOv10, YOLO26, and all that classify. */
  int end_to_end;
  /* Points of an object; numbers of a point: x, y and, where there are 3, the logit of its
   * visibility. x = (point_scale * number + anchor + point_offset) * stride, where the
   * anchor is the middle of the map's pixel. */
  unsigned keypoints, dimensions;
  float point_scale, point_offset;
  /* The angle is (sigmoid (number) - 1/4) * pi; else it is the number. In radians,
   * clockwise from the x axis. */
  int angle_sigmoid;
} YoloHeadForm;

/* Most models have three levels (P3 to P5), the P6 models four, P3-P4 models two. */
#define YOLO_MAX_LEVELS 8
#define YOLO_MAX_OUTPUTS (4 * YOLO_MAX_LEVELS)

/* One map of the head. */
typedef struct {
  YoloMapRole role;
  unsigned level;               /* from 0, by increasing stride; 0 if the role has no level */
  unsigned stride;              /* pixels of the network's input per pixel of the map */
  unsigned layer;               /* of the model, that makes the map */
} YoloOutput;

#endif
