/* SPDX-License-Identifier: MIT */
/* How the camera has moved between two frames: by which shift, turn and zoom what stands still in
 * one of them has come to where it is in the other. Corners of a small picture of the first are
 * looked for in that of the second, and the motion is the one that most of them agree on, so that
 * a few things that move by themselves do not count.
 *
 * That corners found by their pixels' flow, and a similarity by consensus, serve a tracker well is
 * from N. Aharon, R. Orfaig, B. Bobrovsky, "BoT-SORT: Robust Associations Multi-Pedestrian
 * Tracking", arXiv:2206.14651, section 3.2. */

#ifndef YOLO_IMAGE_CAMERA_H
#define YOLO_IMAGE_CAMERA_H

#include "image/motion.h"

/* Pixels of the longer side of the small picture, at most. */
#define YOLO_CAMERA_SIDE 320

/* Of one stream; used by one thread at a time. About 300 kB. */
typedef struct _YoloCamera YoloCamera;

/* NULL: there is no memory. Nothing is allocated later. */
YoloCamera *yolo_camera_new (void);
void yolo_camera_free (YoloCamera *camera);

/* Forgets the last frame. */
void yolo_camera_reset (YoloCamera *camera);

/* How a frame becomes a small picture of [rows][columns]. */
void yolo_camera_grid (YoloMotionGrid *grid, const YoloFrame *frame);

/* Where the small picture of the next frame is to be written, of a grid by yolo_camera_grid(). */
uint8_t *yolo_camera_picture (YoloCamera *camera, const YoloMotionGrid *grid);

/* Leaves a rectangle of the last frame out of account, because what is in it moves by itself.
 * Pixels of the part of the frame that the grid is made of; numbers that are none do nothing. */
void yolo_camera_hide (YoloCamera *camera, float x1, float y1, float x2, float y2);

/**
 * yolo_camera_estimate:
 * @matrix: (out): [2][3], by which a pixel of the frame before is multiplied, with a 1 behind it,
 * to be one of this frame; a similarity. Pixels are those of the part that the grid is made of
 *
 * Takes the picture that has been written as that of the next frame. With the same pictures the
 * result is the same.
 *
 * Returns: false, and the identity, where the motion is not known: there is no frame before, or it
 * has another size; what is seen has too few corners; or they do not agree, as after a cut
 */
bool yolo_camera_estimate (YoloCamera *camera, float matrix[6]);

#endif
