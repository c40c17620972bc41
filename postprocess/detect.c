/* SPDX-License-Identifier: MIT */
/* Boxes with a class. Source: Ultralytics nn/modules/head.py, Detect. */

#include "postprocess/boxes.h"

const YoloTask yolo_task_detect = {
  .name = "detect",
  .anchors = yolo_boxes_anchors,
  .decode = yolo_boxes_decode,
  .pairs = yolo_boxes_pairs,
  .finish = yolo_boxes_finish,
  .classes = YOLO_MAP_CLASS,
  .expand = yolo_boxes_expand,
};
