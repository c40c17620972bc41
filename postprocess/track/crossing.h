/* SPDX-License-Identifier: MIT */
/* Whether an object is on one side of a line or the other, in a zone or not, decided so that a box
 * that flickers changes nothing. Times are in seconds, distances in pixels. */

#ifndef YOLO_POSTPROCESS_TRACK_CROSSING_H
#define YOLO_POSTPROCESS_TRACK_CROSSING_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  double near;                  /* nearer than this to the border, nothing is decided */
  double far;                   /* from here on it is decided at once */
  double time;                  /* how long an object must have held its side otherwise */
} YoloHold;

/* An object at a line; zeroed at first. */
typedef struct {
  double since;                 /* from when it has been on the other side than `side` */
  int8_t side;                  /* decided: -1, 1; 0: not yet */
  int8_t sign;                  /* where it was last that was not on the line itself */
  bool through;                 /* it came there through the line, not around an end */
  bool held;                    /* it is on the other side, and `since` holds */
} YoloCrossing;

/**
 * yolo_crossing_step:
 * @distance: from the line, positive on side b
 * @meet: where the way here from the place before meets the line, as a share of the line; it
 * is asked for only where the sign of the distance changes
 *
 * Returns: 1: it has crossed the line to side b, -1: to side a; 0: it has not. It began when
 * crossing->since says
 */
int yolo_crossing_step (
    YoloCrossing *crossing, double distance, double meet, double now, const YoloHold *hold);

/* An object at a zone; zeroed at first. */
typedef struct {
  double entered;               /* if it is inside */
  double since;                 /* from when it has been where it is not said to be */
  bool inside;                  /* decided */
  bool held;                    /* it is elsewhere, and `since` holds */
} YoloStay;

/* @depth: distance from the border, positive inside. What is inside stays so until it is farther
 * outside than hold->near, and what is outside comes in at the border, so that it does not matter
 * how narrow a zone is.
 * Returns: 1: it has entered, at stay->entered; -1: it has left, at stay->since; 0: neither. */
int yolo_stay_step (YoloStay *stay, double depth, double now, const YoloHold *hold);

#endif
