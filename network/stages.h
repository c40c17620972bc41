/* SPDX-License-Identifier: MIT */
/* A plan cut into stages, which run on several devices one after the other: where to cut, and the
 * plan of each stage. Stages are runs of neighbouring operations, in the plan's order. */

#ifndef YOLO_NETWORK_STAGES_H
#define YOLO_NETWORK_STAGES_H

#include "network/plan.h"

G_BEGIN_DECLS

/* Stages that a plan can be cut into. */
#define YOLO_MAX_STAGES 8

/* Bytes a second that are expected between two devices: what PCIe 4.0 x16 carries of its 32 GB/s
 * through pinned memory of the host, in and out. */
#define YOLO_STAGE_LINK 12e9

/* What a device is expected to do, for the choice of a cut. Only ratios between the devices and the
 * link count. */
typedef struct {
  double macs;                  /* multiply-adds a second, above 0 */
  double bytes;                 /* bytes of its memory that it reads or writes a second, above 0 */
  /* bytes that it has for a stage's weights and activations; 0: there is no limit */
  gsize memory;
} YoloStageDevice;

typedef struct {
  YoloPlanPart part;
  double seconds;               /* that a batch is expected to take, handing on included */
  gsize bytes;                  /* that the stage is given by the one before, for a batch */
  gsize weights, activations;   /* bytes; of activations, those of one batch under way */
} YoloStage;

/**
 * yolo_stages_cut:
 * @plan: a whole plan
 * @devices: (array length=n): which run the stages, in this order
 * @n: stages, 1 to YOLO_MAX_STAGES
 * @link: bytes a second between two devices, above 0
 * @under_way: batches that have activations on each device
 * @stages: (out): [n]
 *
 * Among the cuts whose stages fit the devices' memory and of which the slowest stage is within a
 * ninth of the time that a perfect balance would take, it takes one of the fewest bytes between
 * stages; if no cut is so well balanced, one whose slowest stage is as fast as can be. Operations
 * that read the network's input are all in the first stage. A pure function. Any thread.
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR): SIZE where the plan has too few operations,
 * MEMORY where no cut fits the devices
 */
gboolean yolo_stages_cut (const YoloPlan *plan, const YoloStageDevice *devices, guint n,
    double link, guint under_way, YoloStage *stages, GError **error);

/* Bytes that a stage which begins with operation @at, 1 or more, is given by the one before: the
 * channels that an earlier operation writes, and a later one or the head reads. */
gsize yolo_stages_bytes (const YoloPlan *plan, guint at);

/**
 * yolo_plan_take_part:
 * @plan: (transfer full): a whole plan
 * @part: operations of it, 1 or more
 *
 * Makes a plan of some of another one's operations. Its buffers have the numbers that they have in
 * the whole plan, and an arena of their own; those that it does not use have no bytes there. What
 * it is given before it runs, and what must be there afterwards, has places that stay.
 *
 * Returns: (transfer full): the plan of the part
 */
YoloPlan *yolo_plan_take_part (YoloPlan *plan, YoloPlanPart part);

G_END_DECLS

#endif
