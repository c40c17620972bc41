/* SPDX-License-Identifier: MIT */
#include "postprocess/task.h"

#include <string.h>

static const YoloTask *const tasks[] = { &yolo_task_detect, &yolo_task_segment, &yolo_task_pose,
  &yolo_task_obb, &yolo_task_classify };

const YoloTask *
yolo_task_find (const char *name)
{
  for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
    if (strcmp (tasks[i]->name, name) == 0)
      return tasks[i];
  }
  return NULL;
}

const YoloMap *
yolo_head_map (const YoloHead *head, YoloMapRole role, unsigned level)
{
  for (int k = 0; k < head->n_maps; k++) {
    const YoloMap *map = &head->maps[k];
    if (map->output.role == role && map->output.level == level)
      return map;
  }
  return NULL;
}

const YoloMap *
yolo_head_locate (const YoloHead *head, YoloMapRole role, size_t anchor, size_t *pixel)
{
  const YoloMap *map;

  for (unsigned l = 0; (map = yolo_head_map (head, role, l)) != NULL; l++) {
    size_t n = (size_t) map->width * map->height;
    if (anchor < n) {
      *pixel = anchor;
      return map;
    }
    anchor -= n;
  }
  return NULL;
}
