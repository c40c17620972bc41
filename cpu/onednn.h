/* SPDX-License-Identifier: MIT */
/* Convolutions by oneDNN, of one image, on dense tensors. The one place that
 * knows oneDNN's API, in its second (2.6) and third generation. */

#ifndef YOLO_CPU_ONEDNN_H
#define YOLO_CPU_ONEDNN_H

#include "cpu/tensor.h"

G_BEGIN_DECLS

/* Weights of a net in the layouts that its primitives asked for: each is
 * reordered once, however many sizes run. */
typedef struct _YoloDnnlWeights YoloDnnlWeights;
YoloDnnlWeights *yolo_dnnl_weights_new (GError **error);
void yolo_dnnl_weights_free (YoloDnnlWeights *weights);

typedef struct _YoloDnnlConv YoloDnnlConv;

/* Whether oneDNN can run that int8 convolution: with nothing rounded within, and on
 * one grid where it pads and what it writes. */
gboolean yolo_dnnl_has_int8 (const YoloConv *conv, const YoloTensor *in, const YoloTensor *out);

/**
 * yolo_dnnl_conv_new:
 * @weights: of the net; must outlive the convolution
 * @conv: must outlive the convolution
 * @in: an input, dense but without its data: YOLO_F32 or YOLO_BF16, or YOLO_U8 for
 * an int8 convolution
 * @out: an output: of these types, YOLO_U8 on one grid
 *
 * Returns: (transfer full): out = act (conv (in) + bias) of one image, or NULL
 * with @error. A residual is added by others: oneDNN 2.6.3 gives wrong sums with
 * one in jit_bf16_1x1 (odd input channels) and, on Arm, in gemm:ref.
 */
YoloDnnlConv *yolo_dnnl_conv_new (YoloDnnlWeights *weights, const YoloConv *conv,
    const YoloTensor *in, const YoloTensor *out, GError **error);
void yolo_dnnl_conv_free (YoloDnnlConv *c);

/* Bytes of the scratchpad that a run needs, 64-byte aligned. */
gsize yolo_dnnl_conv_scratch (const YoloDnnlConv *c);
/* oneDNN's name of the implementation, "brgconv:avx512_core"; "ref:any" is a hundred times
 * slower. */
const char *yolo_dnnl_conv_impl (const YoloDnnlConv *c);
gboolean yolo_dnnl_conv_run (YoloDnnlConv *c, void *in, void *out, void *scratch, GError **error);

G_END_DECLS

#endif
