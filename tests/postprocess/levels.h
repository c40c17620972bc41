/* SPDX-License-Identifier: MIT */
/* Maps of a detect head out of arrays. */

#ifndef TEST_LEVELS_H
#define TEST_LEVELS_H

#include "postprocess/task.h"

/* One image's maps of one level: [height][width] pixels, so many floats apart. */
typedef struct {
  const float *box;             /* [4][reg_max] logits a pixel */
  const float *cls;             /* [n_classes] logits a pixel */
  size_t box_stride, cls_stride;
  int width, height, stride;
} TestLevel;

static inline void
test_decode_levels (
    const TestLevel *levels, int n_levels, int reg_max, int n_classes, YoloDecode *decode)
{
  YoloHead head = { .n_maps = 2 * n_levels };

  for (int l = 0; l < n_levels; l++) {
    const TestLevel *level = &levels[l];
    const unsigned stride = (unsigned) level->stride;

    head.maps[2 * l] = (YoloMap) {
      .output = { .role = YOLO_MAP_BOX, .level = (unsigned) l, .stride = stride },
      .data = level->box, .pitch = level->box_stride,
      .width = level->width, .height = level->height, .channels = 4 * reg_max,
    };
    head.maps[2 * l + 1] = (YoloMap) {
      .output = { .role = YOLO_MAP_CLASS, .level = (unsigned) l, .stride = stride },
      .data = level->cls, .pitch = level->cls_stride,
      .width = level->width, .height = level->height, .channels = n_classes,
    };
  }
  yolo_task_detect.decode (&head, decode);
}

#endif
