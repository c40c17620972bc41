/* SPDX-License-Identifier: MIT */
/* Drawing on frames in device memory: the functions of the back end's table. */

#ifndef YOLO_CUDA_DRAW_H
#define YOLO_CUDA_DRAW_H

#include "backend/backend.h"
#include "cuda/device.h"

G_BEGIN_DECLS

typedef struct {
  YoloDrawer base;
  YoloCudaDevice *device;
  CUfunction function;
  CUstream stream;              /* where the frame has none; in order with the legacy one */
  /* Strokes and masks of the frame in hand. */
  guint8 *pinned;
  CUdeviceptr memory;
  gsize size;                   /* of both */
} YoloCudaDrawer;

gboolean yolo_cuda_drawer_init (YoloDrawer *drawer, gpointer context, GError **error);
void yolo_cuda_drawer_clear (YoloDrawer *drawer);
gboolean yolo_cuda_draw (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error);

G_END_DECLS

#endif
