/* SPDX-License-Identifier: MIT */
#include "base/operation.h"

#include <glib.h>

const char *
yolo_op_name (YoloOpType type)
{
#define NAME(suffix, name) name,
  static const char *const names[] = { YOLO_OPERATIONS (NAME) };
#undef NAME

  g_return_val_if_fail (type < G_N_ELEMENTS (names), NULL);
  return names[type];
}
