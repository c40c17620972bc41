/* SPDX-License-Identifier: MIT */
/* From pixels to metres on the ground, which is taken to be flat. Nothing here allocates; any
 * thread may call it. */

#ifndef YOLO_POSTPROCESS_TRACK_GROUND_H
#define YOLO_POSTPROCESS_TRACK_GROUND_H

#include "postprocess/track/polygon.h"

/* The homography of a picture and a plane. */
typedef struct {
  /* [3][3], of pixels that are moved by -x, -y and divided by `scale` first */
  double matrix[9];
  double x, y, scale;
} YoloGround;

/* Finds the homography by four points. False: there is none that has them all in front of the
 * camera, because three of them are in line, or because they go round in different orders. */
bool yolo_ground_solve (YoloGround *ground, const YoloPoint pixels[4], const YoloPoint metres[4]);

/* Where a pixel lies on the ground. @jacobian: (out): [2][2], metres a pixel: how x and y on the
 * ground change with x, and with y, in the picture. False: it lies on the horizon or above. */
bool yolo_ground_map (
    const YoloGround *ground, YoloPoint pixel, YoloPoint *metres, double jacobian[4]);

#endif
