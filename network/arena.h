/* SPDX-License-Identifier: MIT */
/* Where in one arena the buffers of a plan lie, which are alive at different times. */

#ifndef YOLO_NETWORK_ARENA_H
#define YOLO_NETWORK_ARENA_H

#include "network/plan.h"

#define YOLO_ARENA_ALIGN 64

/* Gives every buffer but number @input an offset, so that no two which are alive at the
 * same operation share a byte. *size is the size of the arena in bytes. FALSE if that does
 * not fit an address. */
gboolean yolo_arena_assign (YoloBuffer *buffers, guint n, guint input, gsize *size);

/* The bytes that are alive at the operation where they are most: no arena can be smaller. */
gsize yolo_arena_lower_bound (const YoloBuffer *buffers, guint n, guint input);

#endif
