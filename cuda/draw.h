/* SPDX-License-Identifier: MIT */
/* Drawing on frames in device memory, and looking at them: the functions of the back end's
 * table. */

#ifndef YOLO_CUDA_DRAW_H
#define YOLO_CUDA_DRAW_H

#include "backend/backend.h"
#include "cuda/device.h"

G_BEGIN_DECLS

typedef struct {
  YoloDrawer base;
  YoloCudaDevice *device;
  CUfunction function;
  CUfunction redact_levels, redact, motion;     /* NULL: not needed so far */
  CUstream stream;              /* where the frame has none; in order with the legacy one */
  /* Strokes, redactions and masks of the frame in hand, or its small pictures. */
  guint8 *pinned;
  CUdeviceptr memory;
  gsize size;                   /* of both */
} YoloCudaDrawer;

gboolean yolo_cuda_drawer_init (
    YoloDrawer *drawer, guint device, gpointer context, GError **error);
void yolo_cuda_drawer_clear (YoloDrawer *drawer);
gboolean yolo_cuda_draw (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error);
gboolean yolo_cuda_redact (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloRedaction *redactions, guint n, const guint8 *masks, gsize masks_size,
    gsize n_levels, GError **error);
gboolean yolo_cuda_motion (YoloDrawer *drawer, const YoloMotionView *views, guint n,
    guint8 *pictures, GError **error);

/* Makes the drawer's memory of @size bytes at least; what it held may be lost. */
gboolean yolo_cuda_drawer_reserve (YoloCudaDrawer *drawer, gsize size, GError **error);

G_END_DECLS

#endif
