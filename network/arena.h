/* SPDX-License-Identifier: MIT */
/* Places for buffers that are alive at different times. */

#ifndef YOLO_NETWORK_ARENA_H
#define YOLO_NETWORK_ARENA_H

#include "network/plan.h"

#define YOLO_ARENA_ALIGN 64

/* Gives every buffer but @input an offset, so that no two which are alive at
 * the same operation share a byte. FALSE if the sum does not fit an address. */
gboolean yolo_arena_assign (YoloBuffer *buffers, guint n, guint input, gsize *size);

/* Bytes alive at once at the worst operation: no arena can be smaller. */
gsize yolo_arena_lower_bound (const YoloBuffer *buffers, guint n, guint input);

#endif
