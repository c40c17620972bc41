/* SPDX-License-Identifier: MIT */
/* Which memory the frames of yoloinfer may lie in, which the features of caps tell. */

#ifndef YOLO_CAPS_H
#define YOLO_CAPS_H

#include <gst/gst.h>

G_BEGIN_DECLS

typedef enum {
  YOLO_CAPS_SYSTEM,
  YOLO_CAPS_CUDA,               /* a frame in CUDA memory, as libgstcuda has it */
  /* a DeepStream surface: as many frames as it holds, in CUDA memory */
  YOLO_CAPS_NVMM,
} YoloCapsMemory;

/* The memory that buffers with these caps, which are fixed, lie in. */
YoloCapsMemory yolo_caps_memory (const GstCaps *caps);

/**
 * yolo_caps_readable:
 * @caps: raw video of any memory
 * @filter: (nullable): the caps that the peer asks for, in the order that it prefers
 * @cuda: whether frames in CUDA memory can be read
 * @nvmm: whether DeepStream surfaces can be read
 *
 * Returns: (transfer full): the part of @caps whose frames lie in memory that can be
 * read, in a format that can be read there; caps with any features become caps with
 * those of each such memory
 */
GstCaps *yolo_caps_readable (GstCaps *caps, GstCaps *filter, gboolean cuda, gboolean nvmm);

G_END_DECLS

#endif
