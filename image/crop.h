/* SPDX-License-Identifier: MIT */
/* The middle of a frame into the network's input, for networks that classify: what
 * preprocess.h does for boxes of yolo_letterbox_crop(). */

#ifndef YOLO_IMAGE_CROP_H
#define YOLO_IMAGE_CROP_H

#include "image/preprocess.h"

/* Scratch, grown as needed and kept between frames. */
typedef struct _YoloCrop YoloCrop;
void yolo_crop_free (YoloCrop *crop);

/* As yolo_preprocess_run(), whose @pre and @pool it uses; *crop is made at first. The frame
 * is converted whole, then filtered along its rows and then down its columns, as
 * Pillow's resize() with BILINEAR does it on 8 bits, with a filter that is as wide as
 * the scale; only the rows and columns of the crop are. */
bool yolo_crop_run (YoloCrop **crop, YoloPreprocess *pre, YoloPool *pool, const YoloFrame *frame,
    const YoloLetterbox *box, void *dst, YoloDType type, int channels);

#endif
