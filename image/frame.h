/* SPDX-License-Identifier: MIT */
/* A video frame where it lies: planes, strides, format, colour. */

#ifndef YOLO_IMAGE_FRAME_H
#define YOLO_IMAGE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes in memory order, as GStreamer names them. */
typedef enum {
  YOLO_FORMAT_RGB, YOLO_FORMAT_BGR,
  YOLO_FORMAT_RGBA, YOLO_FORMAT_BGRA,   /* RGBx and BGRx too: the fourth byte is not read */
  YOLO_FORMAT_GRAY8,
  YOLO_FORMAT_NV12, YOLO_FORMAT_NV21,
  YOLO_FORMAT_I420,
  YOLO_FORMAT_YUY2,
  YOLO_FORMAT_P010,             /* little-endian, value in the upper ten bits */
  YOLO_FORMAT_I420_10,          /* little-endian, value in the lower ten bits */
  YOLO_FORMAT_Y42B, YOLO_FORMAT_Y444,
  YOLO_FORMAT_UYVY,
  /* What rows of other formats are unpacked to; the first component is not read. */
  YOLO_FORMAT_ARGB, YOLO_FORMAT_AYUV,
  YOLO_FORMAT_ARGB64,           /* little-endian words, the level in their upper byte */
  YOLO_FORMAT_AYUV64,           /* little-endian words, value in the upper ten bits */
  YOLO_N_FORMATS
} YoloPixelFormat;

typedef enum {
  YOLO_MATRIX_BT601, YOLO_MATRIX_BT709, YOLO_MATRIX_BT2020,
  YOLO_MATRIX_FCC, YOLO_MATRIX_SMPTE240M,
} YoloMatrix;

/* How a frame becomes upright, bits of which any may be set. The pixel (x, y) of
 * the upright picture is (y, x) of the frame if they are transposed, else (x, y),
 * where x is then counted from the frame's right and y from its bottom if mirrored. */
enum {
  YOLO_TURN_TRANSPOSE = 1, YOLO_TURN_MIRROR_X = 2, YOLO_TURN_MIRROR_Y = 4,
};

typedef enum { YOLO_MEMORY_HOST, YOLO_MEMORY_CUDA } YoloMemory;

typedef struct _YoloFrame YoloFrame;
struct _YoloFrame {
  YoloPixelFormat format;
  YoloMatrix matrix;            /* of YUV formats */
  bool full_range;              /* 0-255 rather than 16-235; of YUV formats and GRAY8 */
  int width, height;            /* pixels of the whole frame */
  const void *plane[3];         /* host or device addresses */
  ptrdiff_t stride[3];          /* bytes per row */
  /* Of frames in a format that is not in the list above, on the host; NULL: the
   * planes are as `format` says. Writes all pixels of row y to `row`, which is
   * aligned to 64 bytes, as the first plane of `format` has them; called by several
   * threads at a time. Planes and strides are not used. */
  void (*unpack) (const void *source, int y, void *row);
  const void *source;
  /* The part that the network sees (roi, GstVideoCropMeta), pixels inside
   * the frame; width and height 0: all of it. Chroma of an odd x or y is the
   * sample that covers it. */
  struct { int x, y, width, height; } crop;
  unsigned turn;                /* YOLO_TURN_*: the network sees the part upright */
  YoloMemory memory;            /* where the planes lie */
  unsigned device;              /* of CUDA memory: number of its GPU, as CUDA counts */
  /* Of CUDA memory, borrowed: the CUcontext that the planes belong to (NULL:
   * the device's primary one), and the CUstream whose work so far writes them
   * (NULL: they are written). */
  void *cuda_context, *cuda_stream;
};

#endif
