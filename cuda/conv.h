/* SPDX-License-Identifier: MIT */
/* Convolutions on the device: what there is to compute, and the ways to do it.
 * The plain definition is backend/reference.c. */

#ifndef YOLO_CUDA_CONV_H
#define YOLO_CUDA_CONV_H

#include "cuda/device.h"
#include "network/plan.h"

G_BEGIN_DECLS

/* One convolution of a plan: out = act (conv (in) + bias) [+ residual]. All
 * tensors are [N][H][W][C]. A view's pixels lie `pitch` elements apart; rows and
 * images follow one another without a gap. */
typedef struct {
  const YoloConv *conv;
  guint batch, in_height, in_width, out_height, out_width;
  /* Channels that are read: conv->in_channels, or more where the network's input is
   * padded with channels that hold zeros, whose weights are zero as well. */
  guint in_channels;
  /* type of input and weights: YOLO_F32, YOLO_F16, or YOLO_S8 if conv->int8 */
  YoloDType dtype;
  /* types of output and residual: the same as dtype; or YOLO_F32, as the head's last maps
   * are; or YOLO_F16 where dtype is YOLO_S8, or the reverse */
  YoloDType out_dtype;
  YoloDType residual_dtype;
  guint in_pitch, out_pitch, residual_pitch;    /* elements; residual_pitch 0: no residual */
  /* The largest power of two, at most 16, of which each view's first address and its
   * pitch in bytes are multiples: loads and stores may be as wide as that. */
  guint in_align, out_align, residual_align;    /* bytes */
} YoloConvShape;

/* Describes an operation of a plan, which must be a convolution. */
void yolo_conv_shape (YoloConvShape *shape, const YoloPlan *plan, const YoloOp *op);

/* All of a shape that matters for speed, as text without blanks at its ends, for g_free().
 * Measurements are kept under it; layers of the same shape share them. */
char *yolo_conv_shape_key (const YoloConvShape *shape);
double yolo_conv_macs (const YoloConvShape *shape);             /* multiply-adds */
/* bytes of each view, from the pixel of its first element on */
gsize yolo_conv_in_size (const YoloConvShape *shape);
gsize yolo_conv_out_size (const YoloConvShape *shape);
gsize yolo_conv_residual_size (const YoloConvShape *shape);

/* Addresses of one launch, those of views being their first elements'. */
typedef struct {
  CUdeviceptr in, out, residual;
  CUdeviceptr weights;          /* as yolo_conv_pack() lays them out */
  CUdeviceptr bias;             /* [out_channels] f32 */
  /* [out_channels] f32 where the input is YOLO_S8: out = act (sum * scale + bias); else 0 */
  CUdeviceptr scale;
  /* [out_channels] f32, the steps of the grids of a residual in YOLO_S8; else 0 */
  CUdeviceptr residual_scale;
  float out_scale;              /* step of the grid of an output in YOLO_S8 */
  /* as many bytes as the candidate wants, 256-byte aligned; what they hold is lost */
  CUdeviceptr workspace;
} YoloConvArgs;

/* A way to compute a shape on a device. */
typedef struct _YoloConvCandidate YoloConvCandidate;
struct _YoloConvCandidate {
  /* "mma 128x64 split 2", without a line break: the cache of choices names it so */
  char name[48];
  gsize workspace;              /* bytes */
  /* Enqueues the convolution; the stream may be one that is captured. Allocates nothing and
   * waits for nothing. */
  gboolean (*launch) (const YoloConvCandidate *candidate, YoloCudaDevice *device,
      const YoloConvShape *shape, const YoloConvArgs *args, CUstream stream, GError **error);
  /* frees what the members below hold, in the device's context; NULL: there is nothing to free */
  void (*free) (YoloConvCandidate *candidate);
  CUfunction function;          /* from here on: for the implementation's own use */
  guint option[6];
  gpointer data;
};

/* Lists the ways of one implementation to compute the shape, the one that is expected
 * to be fastest first; @list has room for @max. Returns how many there are: 0 with @error
 * set is a failure, 0 without it means that there is none. Called in the device's
 * context. */
typedef guint (*YoloConvList) (YoloCudaDevice *device, const YoloConvShape *shape,
    YoloConvCandidate *list, guint max, GError **error);
#define YOLO_CONV_MAX_CANDIDATES 32

/* conv-simt.c: without tensor cores. It takes any shape; tests compare the others with it. */
guint yolo_conv_simt_list (YoloCudaDevice *device, const YoloConvShape *shape,
    YoloConvCandidate *list, guint max, GError **error);
/* conv-mma.c: our kernels for tensor cores, YOLO_F16 and YOLO_S8. */
guint yolo_conv_mma_list (YoloCudaDevice *device, const YoloConvShape *shape,
    YoloConvCandidate *list, guint max, GError **error);
/* conv-cudnn.c: cuDNN's engines. To list them takes some 100 ms to seconds. */
guint yolo_conv_cudnn_list (YoloCudaDevice *device, const YoloConvShape *shape,
    YoloConvCandidate *list, guint max, GError **error);
/* Finds the candidate of a name that the list gave before, and runs it once. FALSE: there is
 * none of that name any more. */
gboolean yolo_conv_cudnn_named (
    YoloCudaDevice *device, const YoloConvShape *shape, const char *name, YoloConvCandidate *found);

/* Weights as all implementations take them, in the type of the input:
 * [out][kernel 0][kernel 1][in_channels / groups]. Where groups is 1, the input
 * channels are padded with zeros to a multiple of 16 bytes. Those in YOLO_S8 are
 * conv->int8's. */
gsize yolo_conv_packed_size (const YoloConvShape *shape);       /* bytes */
void yolo_conv_pack (const YoloConvShape *shape, void *packed);
/* Input channels of one tap of packed weights, padding included. */
guint yolo_conv_packed_channels (const YoloConvShape *shape);

G_END_DECLS

#endif
