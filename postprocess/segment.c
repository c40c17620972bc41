/* SPDX-License-Identifier: MIT */
/* Boxes with a class and a shape. Source: Ultralytics nn/modules/head.py, Segment; the
 * shapes are made in mask.c. */

#include "postprocess/boxes.h"

static size_t
anchors (const YoloHead *head)
{
  const YoloMap *map = yolo_head_map (head, YOLO_MAP_PROTOTYPE, 0),
                *coefficients = yolo_head_map (head, YOLO_MAP_COEFFICIENT, 0);

  if (map == NULL || coefficients == NULL || coefficients->channels != map->channels
      || !yolo_boxes_have (head, YOLO_MAP_COEFFICIENT))
    return 0;
  return yolo_boxes_anchors (head);
}

const YoloTask yolo_task_segment = {
  .name = "segment",
  .anchors = anchors,
  .decode = yolo_boxes_decode,
  .pairs = yolo_boxes_pairs,
  .finish = yolo_boxes_finish,
  .classes = YOLO_MAP_CLASS,
  .expand = yolo_boxes_expand,
  .masks = true,
};
