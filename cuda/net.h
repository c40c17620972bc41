/* SPDX-License-Identifier: MIT */
/* A model's weights on a device, and what its convolutions are computed with. */

#ifndef YOLO_CUDA_NET_H
#define YOLO_CUDA_NET_H

#include "cuda/conv.h"
#include "cuda/choices.h"
#include "cuda/details.h"
#include "backend/backend.h"

G_BEGIN_DECLS

/* A convolution's constants on the device, parts of net->weights. */
typedef struct {
  CUdeviceptr weights, bias, scale;     /* scale: of convolutions in int8, else 0 */
} CudaWeights;

/* What the convolutions of a batch take, as measured. */
typedef struct {
  guint batch, height, width;
  double us;                    /* 0: not measured yet */
} CudaTime;

typedef struct {
  YoloNet base;
  YoloCudaDevice *device;
  /* of activations and weights; of an int8 model of those in floats */
  YoloDType dtype;
  CUdeviceptr memory;           /* all of CudaWeights */
  GHashTable *weights;          /* YoloConv -> CudaWeights */
  YoloChoices *choices;
  GArray *times;                /* CudaTime: of the batches that were ever recorded */
  YoloCudaDetails details;      /* of the image that is looked at last */
} CudaNet;

/* A plan as this back end runs it: pixels of the input are whole vectors, and
 * lie on the grid if a convolution reads them in int8. */
YoloPlan *yolo_cuda_net_plan (
    const CudaNet *net, guint batch, guint height, guint width, GError **error);

/* NULL: no such batch was recorded. Valid until the next one is. */
CudaTime *yolo_cuda_net_time (CudaNet *net, guint batch, guint height, guint width);

/* Uploads the weights of all convolutions that the net runs, once. In the device's context. */
gboolean yolo_cuda_net_upload (CudaNet *net, GError **error);

G_END_DECLS

#endif
