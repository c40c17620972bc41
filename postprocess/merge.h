/* SPDX-License-Identifier: MIT */
/* Objects of a frame that was looked at in parts: tiles, regions, crops, and the whole. What
 * several parts show is found several times, and what a border of a part cuts is found in
 * pieces. */

#ifndef YOLO_POSTPROCESS_MERGE_H
#define YOLO_POSTPROCESS_MERGE_H

#include <stdbool.h>

#include "postprocess/object.h"

/* Where an object was found. */
typedef struct {
  unsigned part;                /* number of the part of the frame */
  /* A border of the part runs through the object, as far as can be told: the box ends at the
   * border, and the frame goes on behind. */
  bool cut;
} YoloSighting;

/**
 * yolo_merge:
 * @objects: (inout) (array length=n): in pixels of the frame; `anchor` is the object's number
 * from 0 to n - 1. What is left is at the front, best first, and `anchor` still the number of the
 * object whose points and mask go with the box
 * @seen: (array length=n): where each object was found, by its number
 * @agnostic: whether objects of different classes may be the same
 * @max: how many are kept at most
 * @scratch: (array length=n): of the caller
 *
 * Greedy non-maximum merging, with the intersection over the smaller area as what is compared
 * with one half. Source: F. C. Akyon, S. O. Altinuc, A. Temizel, "Slicing Aided Hyper Inference
 * and Fine-tuning for Small Object Detection", arXiv:2202.06934. An object that matches a more
 * confident one is taken into that one, whose box then covers both. It differs from the paper in
 * two things, by which people who stand in front of each other stay apart. Objects of one part
 * are not compared, for non-maximum suppression has done so. And a box covers both only where
 * both are pieces that a border has cut; where one of them is whole it is the box, whichever is
 * more confident. Boxes that are turned are compared as they are turned, and never grow.
 *
 * Allocates nothing. Compares n x max pairs at most, but for pieces that are joined.
 *
 * Returns: how many are left
 */
size_t yolo_merge (YoloObject *objects, size_t n, const YoloSighting *seen, bool agnostic,
    size_t max, YoloObject *scratch);

/* The area that both boxes cover over that of the smaller one, 0 to 1; of turned ones too. NaN
 * of an empty box. */
float yolo_ios (const YoloObject *a, const YoloObject *b);

/* Drops of the @n objects @weak those that a kept object of another part shows, as yolo_merge()
 * would take them into it, but leaves the kept ones as they are. @seen: of both, by `anchor`.
 * Returns: how many weak ones are left, at the front in the order in which they were */
size_t yolo_merge_drop (const YoloObject *kept, size_t n_kept, YoloObject *weak, size_t n,
    const YoloSighting *seen, bool agnostic);

#endif
