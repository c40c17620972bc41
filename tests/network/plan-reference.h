/* A plan, run by straight loops: what back ends are held to. */

#ifndef TEST_PLAN_REFERENCE_H
#define TEST_PLAN_REFERENCE_H

#include "network/plan.h"

/* Runs a plan whose buffers are all f32. Sums are in double.
 * @input: [batch][height][width][channels of the input buffer], grey levels
 * @arena: plan->arena_size bytes; the maps lie in plan->box and plan->cls afterwards */
void plan_reference_run (const YoloPlan *plan, const float *input, void *arena);

/* Element (n, y, x, c) of a view. */
float *plan_reference_at (const YoloPlan *plan, void *arena, YoloView view, guint n, guint y, guint x, guint c);

#endif
