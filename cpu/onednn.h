/* SPDX-License-Identifier: MIT */
/* Convolutions by oneDNN, of one image, on dense tensors. No other file knows oneDNN's API,
 * of which its second (2.6) and third generation are supported. */

#ifndef YOLO_CPU_ONEDNN_H
#define YOLO_CPU_ONEDNN_H

#include "cpu/tensor.h"

G_BEGIN_DECLS

/* The weights of a net in the layouts that oneDNN's primitives ask for. Each is reordered
 * once, for however many input sizes it runs. */
typedef struct _YoloDnnlWeights YoloDnnlWeights;
YoloDnnlWeights *yolo_dnnl_weights_new (GError **error);
void yolo_dnnl_weights_free (YoloDnnlWeights *weights);

typedef struct _YoloDnnlConv YoloDnnlConv;

/* Whether oneDNN can run a convolution in int8: nothing may be rounded on the way; an input
 * that is padded must be on one grid, and so must an output in bytes. */
gboolean yolo_dnnl_has_int8 (const YoloConv *conv, const YoloTensor *in, const YoloTensor *out);

/**
 * yolo_dnnl_conv_new:
 * @weights: the net's; must outlive the convolution
 * @conv: must outlive the convolution
 * @in: the shape and type of the input, which is dense: YOLO_F32 or YOLO_BF16, or YOLO_U8
 * for a convolution in int8; its data are not looked at
 * @out: the same of the output, which has one of these types; YOLO_U8 is on one grid
 *
 * Makes what computes out = act (conv (in) + bias) of one image. Residuals are left to
 * others: with one, oneDNN 2.6.3 gives wrong sums in jit_bf16_1x1 (for an odd number of
 * input channels) and, on Arm, in gemm:ref.
 *
 * Returns: (transfer full): the convolution, or NULL with @error
 */
YoloDnnlConv *yolo_dnnl_conv_new (YoloDnnlWeights *weights, const YoloConv *conv,
    const YoloTensor *in, const YoloTensor *out, GError **error);
void yolo_dnnl_conv_free (YoloDnnlConv *c);

/* How many bytes of scratch memory a run needs, 64-byte aligned. */
gsize yolo_dnnl_conv_scratch (const YoloDnnlConv *c);
/* oneDNN's name for the implementation that it chose, such as "brgconv:avx512_core". One called
 * "ref:any" is a hundred times slower than others. */
const char *yolo_dnnl_conv_impl (const YoloDnnlConv *c);
/* Runs it on one image. One thread at a time may call this for the same net. */
gboolean yolo_dnnl_conv_run (YoloDnnlConv *c, void *in, void *out, void *scratch, GError **error);

G_END_DECLS

#endif
