/* SPDX-License-Identifier: MIT */
#ifndef YOLO_POSTPROCESS_OBJECT_H
#define YOLO_POSTPROCESS_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "image/letterbox.h"

/* A found object. Pixels of the network's input from decode to NMS, of the
 * frame afterwards. */
typedef struct {
  float x1, y1, x2, y2;         /* left, top, right, bottom; of the box before it is turned */
  float confidence;             /* sigmoid of the best class's logit */
  int32_t class_id;
  int32_t anchor;               /* index of the anchor point that it came from; breaks ties */
  /* by how much the box is turned around its middle, in radians, clockwise from the
   * x axis; 0 in all tasks but obb */
  float angle;
} YoloObject;

/* From pixels of the network's input, made by @box, to pixels of the frame, clipped to the visible
 * part. */
void yolo_objects_to_frame (YoloObject *objects, size_t n, const YoloLetterbox *box);

/* The same of turned boxes, which are not clipped. */
void yolo_turned_to_frame (YoloObject *objects, size_t n, const YoloLetterbox *box);

/* Each object becomes the frame's visible part. */
void yolo_objects_whole_frame (YoloObject *objects, size_t n, const YoloLetterbox *box);

/* Sets the box of an object by its middle, size and angle in radians. A box has two names,
 * one by each of its sides: it gets the one whose angle is in [0, pi/2). */
void yolo_object_turn (YoloObject *object, float x, float y, float w, float h, float angle);

#endif
