/* SPDX-License-Identifier: MIT */
/* A plan, run by straight loops: the definition of every operation, which all back ends
 * are held to. Any thread; slow. */

#ifndef YOLO_BACKEND_REFERENCE_H
#define YOLO_BACKEND_REFERENCE_H

#include "network/plan.h"

G_BEGIN_DECLS

/* Runs a plan whose buffers are f32, or 8 bits on grids where it is in int8. Sums are
 * in double, or in int32.
 * @input: [batch][height][width][channels of the input buffer], grey levels, or
 * what stands for them where the input buffer is on a grid
 * @arena: plan->arena_size bytes; the maps lie in plan->outputs afterwards */
void yolo_reference_run (const YoloPlan *plan, const float *input, void *arena);

/* One operation alone, on the arena as it is. */
void yolo_reference_run_op (const YoloPlan *plan, const float *input, void *arena, guint op);

/* Gives each buffer a place in the arena that it shares with none, so that all
 * that was computed can be seen at the end. */
void yolo_reference_spread (YoloPlan *plan);

/* Element (n, y, x, c) of a view in f32. */
float *yolo_reference_at (
    const YoloPlan *plan, void *arena, YoloView view, guint n, guint y, guint x, guint c);

G_END_DECLS

#endif
