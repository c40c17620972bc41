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

/* What a network gives of one image: its maps, in the order of YoloModel.outputs. */
typedef struct {
  YoloHeadForm form;
  int n_maps;
  YoloMap maps[YOLO_MAX_OUTPUTS];
} YoloHead;

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
  /* [n_classes] 0 or 1, or NULL for all: applied to an anchor's best class, or by expand() and
   * pairs() to each class */
  const uint8_t *classes;
  bool multi_label;             /* whether the candidates are for pairs() */
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

/* How a frame is laid into the network's input. */
typedef enum {
  YOLO_FIT_LETTERBOX,           /* whole, with borders */
  YOLO_FIT_CROP,                /* its middle, without */
} YoloFit;

/* Immutable; any thread. What a task does to an image is in this order: decode(),
 * turn(), pairs() if an anchor may be of several classes, finish(), for end-to-end heads
 * expand(), and then what it has of points() and masks. */
typedef struct {
  const char *name;             /* as in the metadata of model files */
  YoloFit fit;

  /* How many candidates an image has at most, from the sizes alone; 0: these are
   * not the maps of this task's head. */
  size_t (*anchors) (const YoloHead *head);

  /* Fills decode->candidates in the order of anchors, in pixels of the network's
   * input, from maps that anchors() takes: an anchor at most once, with its best
   * class. One thread does it; allocates nothing. */
  void (*decode) (const YoloHead *head, YoloDecode *decode);

  /* Turns boxes in place. @rows: the pixel of the map YOLO_MAP_ANGLE at each object's
   * anchor, [n][1]. NULL: boxes are not turned. */
  void (*turn) (const YoloHead *head, const float *rows, YoloObject *objects, size_t n);

  /* Of a head that is not end to end: a candidate for each pair of one of decode->candidates and
   * a class above the threshold that is wanted, in any order, the best @max at most.
   * @rows: the pixel of the map `classes` at each one's anchor, [n][channels]. @pairs and
   * @scratch: [2 * max], owned by the caller. Returns how many there are. Allocates nothing. */
  size_t (*pairs) (const YoloHead *head, const float *rows, const YoloDecode *decode,
      YoloObject *pairs, size_t max, YoloObject *scratch);

  /* Makes objects of decode->candidates, in any order, in place, best first; those of
   * an end-to-end head are the best anchors. @scratch: [decode->n], owned by the
   * caller. Returns how many are left. Allocates nothing. */
  size_t (*finish) (const YoloHead *head, YoloDecode *decode, const YoloSuppression *how,
      YoloObject *scratch);

  /* Of an end-to-end head: which classes the @n best anchors have. @rows: the pixel of
   * the map `classes` at each one's anchor, [n][channels]. Replaces the objects at the
   * front of decode->candidates, in place, with the best pairs of anchor and class,
   * best first, how->max or decode->capacity at most, and returns how many there are.
   * @scratch: [decode->capacity]. */
  YoloMapRole classes;
  size_t (*expand) (const YoloHead *head, const float *rows, size_t n, YoloDecode *decode,
      const YoloSuppression *how, YoloObject *scratch);

  /* The points of @n objects in pixels of the network's input, [n][keypoints][3]: x, y
   * and visibility, 0 to 1; 1 where the model has none. @rows: the pixel of the map
   * YOLO_MAP_KEYPOINT at each object's anchor, [n][channels]. NULL: it has no points. */
  void (*points) (const YoloHead *head, const float *rows, const YoloObject *objects, size_t n,
      float *points);

  bool masks;                   /* objects have masks, see mask.h */
} YoloTask;

extern const YoloTask yolo_task_detect, yolo_task_segment, yolo_task_pose, yolo_task_obb,
    yolo_task_classify;

/* The task of that name, or NULL. */
const YoloTask *yolo_task_find (const char *name);

/* The map of a role at a level, 0 if the role has none; or NULL. */
const YoloMap *yolo_head_map (const YoloHead *head, YoloMapRole role, unsigned level);

/* The map of a role in whose level an anchor lies, and its pixel there; NULL if there is
 * no such anchor. Anchors are counted through all levels, row by row. */
const YoloMap *yolo_head_locate (
    const YoloHead *head, YoloMapRole role, size_t anchor, size_t *pixel);

#endif
