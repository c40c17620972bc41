/* SPDX-License-Identifier: MIT */
#include "postprocess/object.h"

#include <math.h>
#include <stdbool.h>

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

void
yolo_object_turn (YoloObject *object, float x, float y, float w, float h, float angle)
{
  const float right = 1.57079632679489662f;     /* pi / 2 */
  float quarters = floorf (angle / right), rest = angle - quarters * right;

  if (!(rest < right)) {        /* an angle just below 0 is rounded up to the next quarter */
    quarters += 1;
    rest = 0;
  }
  bool odd = fmodf (quarters, 2) != 0;
  float along = odd ? h : w, across = odd ? w : h;

  object->angle = rest > 0 ? rest : 0;
  object->x1 = x - along / 2;
  object->y1 = y - across / 2;
  object->x2 = x + along / 2;
  object->y2 = y + across / 2;
}

void
yolo_turned_to_frame (YoloObject *objects, size_t n, const YoloLetterbox *box)
{
  const float pi = 3.14159265358979324f;
  float gain_x = (float) ((double) box->width / box->src_width);
  float gain_y = (float) ((double) box->height / box->src_height);

  for (size_t i = 0; i < n; i++) {
    YoloObject *o = &objects[i];
    float x = (o->x1 + o->x2) / 2, y = (o->y1 + o->y2) / 2, angle = o->angle;
    float corner[4] = { x, y, x, y };

    yolo_letterbox_unclipped (box, corner);
    /* as the frame's pixels lie: the inverse of how the part becomes upright */
    if (box->turn & YOLO_TURN_TRANSPOSE)
      angle = pi / 2 - angle;
    if (box->turn & YOLO_TURN_MIRROR_X)
      angle = pi - angle;
    if (box->turn & YOLO_TURN_MIRROR_Y)
      angle = -angle;
    yolo_object_turn (
        o, corner[0], corner[1], (o->x2 - o->x1) / gain_x, (o->y2 - o->y1) / gain_y, angle);
  }
}

void
yolo_objects_whole_frame (YoloObject *objects, size_t n, const YoloLetterbox *box)
{
  for (size_t i = 0; i < n; i++) {
    float corner[4] = { (float) box->left, (float) box->top, (float) (box->left + box->width),
      (float) (box->top + box->height) };

    yolo_letterbox_to_frame (box, corner);
    objects[i].x1 = corner[0];
    objects[i].y1 = corner[1];
    objects[i].x2 = corner[2];
    objects[i].y2 = corner[3];
  }
}
