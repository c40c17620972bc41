/* SPDX-License-Identifier: MIT */
/* Boxes with a class and points. Source: Ultralytics nn/modules/head.py, Pose and Pose26
 * (kpts_decode). */

#include "postprocess/boxes.h"

#include <math.h>

static size_t
anchors (const YoloHead *head)
{
  const YoloMap *map = yolo_head_map (head, YOLO_MAP_KEYPOINT, 0);
  const YoloHeadForm *form = &head->form;

  if (map == NULL || form->keypoints < 1 || form->dimensions < 2 || form->dimensions > 3
      || (unsigned) map->channels != form->keypoints * form->dimensions
      || !yolo_boxes_have (head, YOLO_MAP_KEYPOINT))
    return 0;
  return yolo_boxes_anchors (head);
}

static void
points (const YoloHead *head, const float *rows, const YoloObject *objects, size_t n, float *out)
{
  const YoloHeadForm *form = &head->form;

  for (size_t i = 0; i < n; i++) {
    size_t pixel = 0;
    const YoloMap *map =
        yolo_head_locate (head, YOLO_MAP_KEYPOINT, (size_t) objects[i].anchor, &pixel);
    float stride = (float) map->output.stride;
    float x = (float) (pixel % (size_t) map->width) + 0.5f + form->point_offset,
          y = (float) (pixel / (size_t) map->width) + 0.5f + form->point_offset;

    for (unsigned k = 0; k < form->keypoints; k++, rows += form->dimensions) {
      *out++ = (form->point_scale * rows[0] + x) * stride;
      *out++ = (form->point_scale * rows[1] + y) * stride;
      *out++ = form->dimensions == 3 ? 1 / (1 + expf (-rows[2])) : 1;
    }
  }
}

const YoloTask yolo_task_pose = {
  .name = "pose",
  .anchors = anchors,
  .decode = yolo_boxes_decode,
  .pairs = yolo_boxes_pairs,
  .finish = yolo_boxes_finish,
  .classes = YOLO_MAP_CLASS,
  .expand = yolo_boxes_expand,
  .points = points,
};
