/* SPDX-License-Identifier: MIT */
#include "postprocess/object.h"

void
yolo_objects_to_frame (YoloObject *objects, size_t n, const YoloLetterbox *box)
{
  for (size_t i = 0; i < n; i++) {
    YoloObject *o = &objects[i];
    float corner[4] = { o->x1, o->y1, o->x2, o->y2 };

    yolo_letterbox_to_frame (box, corner);
    o->x1 = corner[0];
    o->y1 = corner[1];
    o->x2 = corner[2];
    o->y2 = corner[3];
  }
}
