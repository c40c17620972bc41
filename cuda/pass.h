/* SPDX-License-Identifier: MIT */
/* What a piece of a network on a device is given by the piece before it, and gives to the one
 * behind it. */

#ifndef YOLO_CUDA_PASS_H
#define YOLO_CUDA_PASS_H

#include "backend/backend.h"
#include "cuda/device.h"

G_BEGIN_DECLS

/* An exec on a device, which passes in a stream of its own. */
typedef struct {
  YoloCudaDevice *device;
  const YoloExec *exec;
  CUstream stream;
  CUevent done;                 /* is recorded behind the copies and waited for */
  /* pinned memory for what the host gives or takes; kept, and freed by the owner */
  guint8 **pinned;
} YoloCudaEnd;

/* From a device to the same or another one: straight where the one can reach the other's memory,
 * by way of the host where it cannot, which the driver does. All three return when the copy is
 * there. */
gboolean yolo_cuda_pass_between (
    const YoloCudaEnd *from, const YoloCudaEnd *to, GError **error);
gboolean yolo_cuda_pass_to_host (const YoloCudaEnd *from, const YoloExec *to, GError **error);
gboolean yolo_cuda_pass_from_host (const YoloExec *from, const YoloCudaEnd *to, GError **error);

G_END_DECLS

#endif
