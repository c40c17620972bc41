/* SPDX-License-Identifier: MIT */
/* Drawing on frames in CUDA memory, and looking at them: the elements' way to a drawer, whose
 * functions are in backend/backend.h. */

#ifndef YOLO_ENGINE_DRAW_H
#define YOLO_ENGINE_DRAW_H

#include "backend/backend.h"

G_BEGIN_DECLS

/* As yolo_backend_drawer_new() of the back end of CUDA memory. */
YoloDrawer *yolo_drawer_new (guint device, gpointer context, GError **error);

G_END_DECLS

#endif
