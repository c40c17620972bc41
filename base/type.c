/* SPDX-License-Identifier: MIT */
#include "base/type.h"

#include <glib.h>

size_t
yolo_dtype_size (YoloDType dtype)
{
  switch (dtype) {
    case YOLO_F32:
      return 4;
    case YOLO_F16:
    case YOLO_BF16:
      return 2;
    case YOLO_U8:
    case YOLO_S8:
      return 1;
  }
  g_return_val_if_reached (0);
}

const char *
yolo_dtype_name (YoloDType dtype)
{
  static const char *const names[] = { "f32", "f16", "bf16", "u8", "s8" };

  g_return_val_if_fail (dtype < G_N_ELEMENTS (names), NULL);
  return names[dtype];
}
