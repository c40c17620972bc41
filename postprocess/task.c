/* SPDX-License-Identifier: MIT */
#include "postprocess/task.h"

#include <string.h>

static const YoloTask *const tasks[] = { &yolo_task_detect };

const YoloTask *
yolo_task_find (const char *name)
{
  for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
    if (strcmp (tasks[i]->name, name) == 0)
      return tasks[i];
  }
  return NULL;
}
