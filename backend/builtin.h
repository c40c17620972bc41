/* SPDX-License-Identifier: MIT */
/* The back ends of this build. Only who puts them together names them: the table
 * in engine/parts.c, and tests. Each is defined in the room of its name; one
 * that is not built is a stub there, whose available() says so. */

#ifndef YOLO_BACKEND_BUILTIN_H
#define YOLO_BACKEND_BUILTIN_H

#include "backend/backend.h"

G_BEGIN_DECLS

extern const YoloBackend yolo_reference_backend;      /* backend/reference.c, in every build */
extern const YoloBackend yolo_cpu_backend;
extern const YoloBackend yolo_cuda_backend;

G_END_DECLS

#endif
