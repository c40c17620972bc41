/* SPDX-License-Identifier: MIT */
/* From a shape to what kernels are given. */

#ifndef YOLO_CUDA_CONV_PARAMS_H
#define YOLO_CUDA_CONV_PARAMS_H

#include "cuda/conv.h"
#include "cuda/kernels/conv.h"

void yolo_conv_params (
    YoloConvParams *params, const YoloConvShape *shape, const YoloConvArgs *args);

#endif
