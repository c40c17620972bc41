/* SPDX-License-Identifier: MIT */
/* Memory that is kept from frame to frame and made anew where a frame needs more. */

#ifndef YOLO_IMAGE_GROW_H
#define YOLO_IMAGE_GROW_H

#include <stdbool.h>
#include <stdlib.h>

/* Makes sure that @mem, memory of @have bytes or NULL, has @need bytes at least, on a multiple of
 * 64 bytes for vectors. What it held is lost where it grows. False, and nothing has changed, where
 * there is no memory. free() frees it. */
static inline bool
yolo_grow (void **mem, size_t *have, size_t need)
{
  if (need <= *have)
    return true;
  void *p = aligned_alloc (64, (need + 63) & ~(size_t) 63);
  if (!p)
    return false;
  free (*mem);
  *mem = p;
  *have = need;
  return true;
}

#endif
