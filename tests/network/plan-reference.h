/* SPDX-License-Identifier: MIT */
/* A plan, run by straight loops: what back ends are held to. */

#ifndef TEST_PLAN_REFERENCE_H
#define TEST_PLAN_REFERENCE_H

#include "network/plan.h"

/* Runs a plan whose buffers are f32, and 8 bits where it is in int8. Sums are
 * in double, or in int32.
 * @input: [batch][height][width][channels of the input buffer], grey levels, or
 * what stands for them where the input buffer is on a grid
 * @arena: plan->arena_size bytes; the maps lie in plan->outputs afterwards */
void plan_reference_run (const YoloPlan *plan, const float *input, void *arena);

/* One operation alone, on the arena as it is. */
void plan_reference_run_op (const YoloPlan *plan, const float *input, void *arena, guint op);

/* Gives each buffer a place in the arena that it shares with none, so that all
 * that was computed can be seen at the end. */
void plan_reference_spread (YoloPlan *plan);

/* Element (n, y, x, c) of a view in f32. */
float *plan_reference_at (
    const YoloPlan *plan, void *arena, YoloView view, guint n, guint y, guint x, guint c);

#endif
