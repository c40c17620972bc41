/* SPDX-License-Identifier: MIT */
/* Convolutions on the device: what there is to compute, and the ways to do it.
 * The plain definition is tests/network/plan-reference.c. */

#ifndef YOLO_CUDA_CONV_H
#define YOLO_CUDA_CONV_H

#include "cuda/device.h"
#include "network/plan.h"

G_BEGIN_DECLS

/* One convolution of a plan: out = act (conv (in) + bias) [+ residual]. All
 * tensors are NHWC; those of a view lie `pitch` elements from pixel to pixel,
 * rows and images following without a gap. */
typedef struct {
  const YoloConv *conv;
  guint batch, in_height, in_width, out_height, out_width;
  /* Channels that are read: conv->in_channels, or more if the network's input
   * is padded with channels that hold zero (their weights are zero). */
  guint in_channels;
  /* of in and weights: YOLO_F32, YOLO_F16, or YOLO_S8 if conv->int8 */
  YoloDType dtype;
  /* the same, YOLO_F32 (the head's last maps), or one of YOLO_F16 and YOLO_S8 for the other */
  YoloDType out_dtype;
  YoloDType residual_dtype;     /* likewise */
  guint in_pitch, out_pitch, residual_pitch;    /* elements; residual_pitch 0: no residual */
  /* What the first element's address of each view, and the pitch in bytes, are
   * multiples of, at most 16: how wide loads and stores may be. */
  guint in_align, out_align, residual_align;    /* bytes */
} YoloConvShape;

/* Of an operation of a plan, which must be a convolution. */
void yolo_conv_shape (YoloConvShape *shape, const YoloPlan *plan, const YoloOp *op);

/* All that matters for speed, as text without blanks at its ends: what
 * measurements are kept under. Layers of the same shape share them. */
char *yolo_conv_shape_key (const YoloConvShape *shape);
double yolo_conv_macs (const YoloConvShape *shape);             /* multiply-adds */
/* bytes, from the first element's pixel on */
gsize yolo_conv_in_size (const YoloConvShape *shape);
gsize yolo_conv_out_size (const YoloConvShape *shape);
gsize yolo_conv_residual_size (const YoloConvShape *shape);

/* Addresses of one launch: of the first element of each view. */
typedef struct {
  CUdeviceptr in, out, residual;
  CUdeviceptr weights;          /* as yolo_conv_pack() lays them out */
  CUdeviceptr bias;             /* [out_channels] f32 */
  /* [out_channels] f32, of YOLO_S8: out = act (sum * scale + bias); else 0 */
  CUdeviceptr scale;
  /* [out_channels] f32, of a residual in YOLO_S8: what a step counts; else 0 */
  CUdeviceptr residual_scale;
  float out_scale;              /* of a result in YOLO_S8, which is divided by it */
  CUdeviceptr workspace;        /* of the candidate's size, 256-byte aligned, its content lost */
} YoloConvArgs;

/* A way to compute a shape on a device. */
typedef struct _YoloConvCandidate YoloConvCandidate;
struct _YoloConvCandidate {
  /* "mma 128x64 split 2": its key in the cache of choices, no line break */
  char name[48];
  gsize workspace;              /* bytes */
  /* Enqueues it, also into a stream that is captured. Allocates nothing, waits for nothing. */
  gboolean (*launch) (const YoloConvCandidate *candidate, YoloCudaDevice *device,
      const YoloConvShape *shape, const YoloConvArgs *args, CUstream stream, GError **error);
  /* what the members below hold, or NULL; in the device's context */
  void (*free) (YoloConvCandidate *candidate);
  CUfunction function;          /* the rest is the implementation's own */
  guint option[6];
  gpointer data;
};

/* Lists the ways of an implementation that can compute the shape, the one
 * expected to be fastest first; @list has room for @max. 0 with @error set is
 * a failure, 0 without it means that there is none. Called in the device's
 * context. */
typedef guint (*YoloConvList) (YoloCudaDevice *device, const YoloConvShape *shape,
    YoloConvCandidate *list, guint max, GError **error);
#define YOLO_CONV_MAX_CANDIDATES 32

/* conv-simt.c: any shape, one way; the kernel that the others are compared with. */
guint yolo_conv_simt_list (YoloCudaDevice *device, const YoloConvShape *shape,
    YoloConvCandidate *list, guint max, GError **error);
/* conv-mma.c: tensor cores, YOLO_F16 and YOLO_S8. */
guint yolo_conv_mma_list (YoloCudaDevice *device, const YoloConvShape *shape,
    YoloConvCandidate *list, guint max, GError **error);
/* conv-cudnn.c: cuDNN's engines; slow to list, some 100 ms to seconds. */
guint yolo_conv_cudnn_list (YoloCudaDevice *device, const YoloConvShape *shape,
    YoloConvCandidate *list, guint max, GError **error);
/* The one of a name that the list gave before, run once. FALSE: there is none any more. */
gboolean yolo_conv_cudnn_named (
    YoloCudaDevice *device, const YoloConvShape *shape, const char *name, YoloConvCandidate *found);

/* Weights of all implementations, in @dtype:
 * [out][kernel 0][kernel 1][in_channels / groups], the input channels (of a
 * group) padded with zeros to a multiple of 16 bytes when groups is 1. YOLO_S8 are
 * conv->int8's. */
gsize yolo_conv_packed_size (const YoloConvShape *shape);       /* bytes */
void yolo_conv_pack (const YoloConvShape *shape, void *packed);
/* Input channels of one tap as packed. */
guint yolo_conv_packed_channels (const YoloConvShape *shape);

G_END_DECLS

#endif
