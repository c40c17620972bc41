/* SPDX-License-Identifier: MIT */
/* Of the CUDA back end, for tests: a plan whose buffers they have laid out
 * themselves, and where those lie. */

#ifndef YOLO_CUDA_BACKEND_H
#define YOLO_CUDA_BACKEND_H

#include "cuda/net.h"

G_BEGIN_DECLS

/* Address of a buffer's first element; the buffer is as the last batch left it. */
CUdeviceptr yolo_cuda_exec_buffer (const YoloExec *exec, guint buffer);

G_END_DECLS

#endif
