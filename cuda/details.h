/* SPDX-License-Identifier: MIT */
/* What the maps say of the objects that are left of an image: copies that are waited for. */

#ifndef YOLO_CUDA_DETAILS_H
#define YOLO_CUDA_DETAILS_H

#include "cuda/device.h"
#include "postprocess/mask.h"

G_BEGIN_DECLS

/* Device memory that all images of a net share, one after the other: it grows to what the
 * largest needs. All zeros at first. */
typedef struct {
  CUdeviceptr memory;
  gsize size;
  GByteArray *staging;          /* what is uploaded, put together */
} YoloCudaDetails;

/* Called in the device's context. */
void yolo_cuda_details_clear (YoloCudaDetails *details, YoloCudaDevice *device);

/**
 * yolo_cuda_details_rows:
 * @head: whose maps have device addresses
 * @rows: (out): [n][channels], as yolo_exec_rows() gives them
 *
 * Called in the device's context; returns when @rows is there.
 */
gboolean yolo_cuda_details_rows (YoloCudaDetails *details, YoloCudaDevice *device,
    const YoloHead *head, YoloMapRole role, const YoloObject *objects, guint n, float *rows,
    CUstream stream, GError **error);

/* The same for yolo_exec_masks(). */
gboolean yolo_cuda_details_masks (YoloCudaDetails *details, YoloCudaDevice *device,
    const YoloHead *head, const float *coefficients, const YoloObjectMask *masks, guint n,
    int16_t *cells, gsize n_cells, CUstream stream, GError **error);

G_END_DECLS

#endif
