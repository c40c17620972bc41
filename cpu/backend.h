/* SPDX-License-Identifier: MIT */
/* Of the CPU back end, for tests and benchmarks. */

#ifndef YOLO_CPU_BACKEND_H
#define YOLO_CPU_BACKEND_H

#include "backend/backend.h"

G_BEGIN_DECLS

/* What runs an operation: "winograd f32", "direct bf16", "C". */
const char *yolo_cpu_exec_implementation (const YoloExec *exec, guint op);

G_END_DECLS

#endif
