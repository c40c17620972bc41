/* SPDX-License-Identifier: MIT */
/* A task: what the maps of a head mean. One file a task, one member of the table
 * in task.c. */

#ifndef YOLO_POSTPROCESS_TASK_H
#define YOLO_POSTPROCESS_TASK_H

#include <stdbool.h>

#include "base/output.h"
#include "postprocess/object.h"

/* One image's map: [height][width] pixels of `channels` floats, `pitch` floats apart. */
typedef struct {
  YoloOutput output;            /* which of the head's maps it is */
  const float *data;            /* NULL where only the sizes are known */
  size_t pitch;
  int width, height, channels;
} YoloMap;

/* How to round as a quantised file does: to multiples of step, from low to high
 * of them. Step 0: not at all. */
typedef struct {
  float step, low, high;
} YoloSteps;

/* How a quantised file computes the distance of a side: the softmax is rounded,
 * then multiplied by bins [reg_max], which stand for 0, 1, 2, ...; the sum is rounded. */
typedef struct {
  YoloSteps softmax, distance;
  const float *bins;
} YoloSideRounding;

/* What to keep of one image, and the candidates found. */
typedef struct _YoloDecode YoloDecode;
struct _YoloDecode {
  float confidence;             /* threshold: candidates are above it */
  /* [n_classes] 0 or 1, or NULL for all: applied to an anchor's best class */
  const uint8_t *classes;
  const YoloSideRounding *rounding;     /* or NULL: no rounding */
  YoloObject *candidates;       /* [capacity], owned by the caller */
  size_t capacity;
  size_t n;                     /* candidates written */
  size_t missed;                /* candidates beyond the capacity */
};

/* What to do with candidates whose boxes overlap. */
typedef struct {
  float iou;                    /* a candidate goes if it overlaps a better one by more */
  bool agnostic;                /* whether boxes of other classes count */
  size_t max;                   /* objects that are left at most */
} YoloSuppression;

/* Immutable; any thread. The maps of an image are in the order of YoloModel.outputs. */
typedef struct {
  const char *name;             /* as in the metadata of model files */

  /* How many candidates an image has at most, from the sizes alone; 0: these are
   * not the maps of this task's head. */
  size_t (*anchors) (const YoloMap *maps, int n_maps);

  /* Fills decode->candidates in the order of anchors, in pixels of the network's
   * input, from maps that anchors() takes. One thread does it; allocates nothing. */
  void (*decode) (const YoloMap *maps, int n_maps, YoloDecode *decode);

  /* Makes objects of decode->candidates, in any order, in place, best first.
   * @scratch: [decode->n], owned by the caller. Returns how many are left.
   * Allocates nothing. */
  size_t (*finish) (YoloDecode *decode, const YoloSuppression *how, YoloObject *scratch);
} YoloTask;

extern const YoloTask yolo_task_detect;

/* The task of that name, or NULL. */
const YoloTask *yolo_task_find (const char *name);

#endif
