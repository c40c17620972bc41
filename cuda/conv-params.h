/* SPDX-License-Identifier: MIT */
/* The parameters of our own convolution kernels. */

#ifndef YOLO_CUDA_CONV_PARAMS_H
#define YOLO_CUDA_CONV_PARAMS_H

#include "cuda/conv.h"
#include "cuda/kernels/conv.h"

/* Fills in what a kernel is given to compute a shape at these addresses. */
void yolo_conv_params (
    YoloConvParams *params, const YoloConvShape *shape, const YoloConvArgs *args);

#endif
