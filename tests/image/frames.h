/* SPDX-License-Identifier: MIT */
/* Random frames of every format in guarded memory. */

#ifndef YOLO_TESTS_FRAMES_H
#define YOLO_TESTS_FRAMES_H

#include "image/frame.h"
#include "tests/guarded.h"

static const char *const format_names[YOLO_N_FORMATS] = {
  "RGB", "BGR", "RGBA", "BGRA", "GRAY8", "NV12", "NV21", "I420", "YUY2", "P010", "I420_10",
  "Y42B", "Y444", "UYVY", "ARGB", "AYUV", "ARGB64", "AYUV64",
};

/* The hash of bytes by which expected.py describes a picture: FNV-1a, 64 bits. */
static inline uint64_t
fnv1a (const uint8_t *data, size_t n)
{
  uint64_t h = UINT64_C (0xcbf29ce484222325);

  for (size_t i = 0; i < n; i++)
    h = (h ^ data[i]) * UINT64_C (0x100000001b3);
  return h;
}

typedef struct {
  YoloFrame frame;
  Guarded memory[3];
  int n_planes;
} TestFrame;

/* Bytes of a row and number of rows of a plane, without padding. */
static inline int
plane_size (YoloPixelFormat format, int width, int height, int plane, int *rows)
{
  int half_width = (width + 1) / 2, half_height = (height + 1) / 2;

  *rows =
      plane == 0 || format == YOLO_FORMAT_Y42B || format == YOLO_FORMAT_Y444 ? height : half_height;
  switch (format) {
    case YOLO_FORMAT_RGB:
    case YOLO_FORMAT_BGR:
      return plane == 0 ? 3 * width : 0;
    case YOLO_FORMAT_RGBA:
    case YOLO_FORMAT_BGRA:
    case YOLO_FORMAT_ARGB:
    case YOLO_FORMAT_AYUV:
      return plane == 0 ? 4 * width : 0;
    case YOLO_FORMAT_GRAY8:
      return plane == 0 ? width : 0;
    case YOLO_FORMAT_NV12:
    case YOLO_FORMAT_NV21:
      return plane == 0 ? width : plane == 1 ? 2 * half_width : 0;
    case YOLO_FORMAT_ARGB64:
    case YOLO_FORMAT_AYUV64:
      return plane == 0 ? 8 * width : 0;
    case YOLO_FORMAT_I420:
    case YOLO_FORMAT_Y42B:
      return plane == 0 ? width : half_width;
    case YOLO_FORMAT_Y444:
      return width;
    case YOLO_FORMAT_I420_10:
      return plane == 0 ? 2 * width : 2 * half_width;
    case YOLO_FORMAT_YUY2:
    case YOLO_FORMAT_UYVY:
      return plane == 0 ? 4 * half_width : 0;
    case YOLO_FORMAT_P010:
      return plane == 0 ? 2 * width : plane == 1 ? 4 * half_width : 0;
    default:
      return 0;
  }
}

/* Each plane ends with its last row, without the stride's padding; `upside_down`:
 * the last row comes first in memory. */
static inline TestFrame
test_frame_new (Random *r, YoloPixelFormat format, int width, int height, int padding,
    bool upside_down)
{
  TestFrame t = { .frame = { .format = format, .width = width, .height = height } };

  for (int p = 0; p < 3; p++) {
    int rows, size = plane_size (format, width, height, p, &rows);
    if (size == 0)
      break;
    ptrdiff_t stride = size + padding;
    t.memory[p] = guarded_new ((size_t) (stride * (rows - 1) + size));
    random_bytes (r, t.memory[p].data, t.memory[p].size);
    t.frame.plane[p] = t.memory[p].data + (upside_down ? stride * (rows - 1) : 0);
    t.frame.stride[p] = upside_down ? -stride : stride;
    t.n_planes++;
  }
  return t;
}

static inline void
test_frame_free (TestFrame *t)
{
  for (int p = 0; p < t->n_planes; p++)
    guarded_free (&t->memory[p]);
}

#endif
