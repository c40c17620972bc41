/* SPDX-License-Identifier: MIT */
/* Which memory yoloinfer's frames may lie in: the features of its caps. */

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

/* Of fixed caps. */
YoloCapsMemory yolo_caps_memory (const GstCaps *caps);

/**
 * yolo_caps_readable:
 * @caps: raw video of any memory
 * @filter: (nullable): what is asked for, in the order that is preferred
 * @cuda: whether frames in CUDA memory can be read
 * @nvmm: whether DeepStream surfaces can be read
 *
 * Returns: (transfer full): what of @caps lies in memory that frames can be read
 * from, in a format that can be read there; caps of any features become those of
 * each such memory
 */
GstCaps *yolo_caps_readable (GstCaps *caps, GstCaps *filter, gboolean cuda, gboolean nvmm);

G_END_DECLS

#endif
