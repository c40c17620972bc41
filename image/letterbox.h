/* SPDX-License-Identifier: MIT */
/* Where a frame lies in the network's input. Source of all but the crop: Ultralytics
 * data/augment.py, LetterBox (auto=False, scaleup=True, center=True,
 * padding 114), and utils/ops.py, scale_boxes. */

#ifndef YOLO_IMAGE_LETTERBOX_H
#define YOLO_IMAGE_LETTERBOX_H

#include "image/frame.h"

typedef struct {
  int x, y;                     /* where the frame's visible part begins, pixels of the frame */
  int src_width, src_height;    /* pixels of the visible part, upright */
  unsigned turn;                /* YOLO_TURN_*: how the part becomes upright */
  int net_width, net_height;    /* pixels of the network's input */
  int width, height;            /* of the scaled frame inside it, at least 1 */
  int left, top;                /* its place; below 0 where it is larger than the input */
  float gain;                   /* min (net_height / src_height, net_width / src_width) */
  float pad_x, pad_y;           /* what scale_boxes subtracts */
  bool crop;                    /* made by yolo_letterbox_crop(): scaled with a filter */
} YoloLetterbox;

void yolo_letterbox_init (YoloLetterbox *box, int src_width, int src_height,
    int net_width, int net_height);

/* The same of a frame's crop, or of all of it where it has none, turned upright. */
void yolo_letterbox_frame (
    YoloLetterbox *box, const YoloFrame *frame, int net_width, int net_height);

/* The middle of the frame in place of all of it: the shorter side is scaled to the input's,
 * and what the longer one has too much is cut off; an input that is no square gets the
 * whole frame, distorted. Source: Ultralytics data/augment.py, classify_transforms, and
 * torchvision's Resize and CenterCrop. */
void yolo_letterbox_crop (
    YoloLetterbox *box, const YoloFrame *frame, int net_width, int net_height);

/* The smallest rectangle of multiples of `stride` that holds an upright frame whose
 * longer side is scaled to `size`: 384x640 for 1920x1080 at 640 and 32.
 * Source: Ultralytics' LetterBox with auto=True. */
void yolo_letterbox_auto (int src_width, int src_height, int size, int stride,
    int *net_width, int *net_height);

/* The corners x1 y1 x2 y2 of a rectangle, from network pixels to pixels of the
 * frame as it lies in memory, clipped to the frame's visible part. */
void yolo_letterbox_to_frame (const YoloLetterbox *box, float corner[4]);

/* The same, not clipped: for turned boxes, and for points (as both corners), which may lie
 * outside of the frame. */
void yolo_letterbox_unclipped (const YoloLetterbox *box, float corner[4]);

#endif
