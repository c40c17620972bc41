/* SPDX-License-Identifier: MIT */
/* A frame, letterboxed, into the network's input. */

#ifndef YOLO_IMAGE_PREPROCESS_H
#define YOLO_IMAGE_PREPROCESS_H

#include "base/pool.h"
#include "base/type.h"
#include "image/frame.h"
#include "image/letterbox.h"

/* Scratch of one thread's calls, grown as needed and kept between frames. */
typedef struct _YoloPreprocess YoloPreprocess;
/* @pool: threads to share the work with, borrowed; NULL: the caller does all of it */
YoloPreprocess *yolo_preprocess_new (YoloPool *pool);
void yolo_preprocess_free (YoloPreprocess *pre);

/* Writes grey levels 0-255, R G B then zeros, into
 * dst [net_height][net_width][channels] of any type but YOLO_S8. The frame's visible part is
 * converted (matrix and range of the frame, chroma of the covering sample), scaled as OpenCV's
 * INTER_LINEAR does it on 8 bits, padded with 114. On RGB and BGR the result equals Ultralytics'
 * LetterBox bit for bit. Runs on the threads given to yolo_preprocess_new(); allocates only when
 * the geometry grows. Returns false when out of memory. */
bool yolo_preprocess_run (YoloPreprocess *pre, const YoloFrame *frame,
    const YoloLetterbox *box, void *dst, YoloDType type, int channels);

/* The same, pixel by pixel, straight from the formulas: what every other
 * implementation is held to. */
bool yolo_preprocess_reference (const YoloFrame *frame, const YoloLetterbox *box,
    void *dst, YoloDType type, int channels);

#endif
