/* SPDX-License-Identifier: MIT */
/* Half precision: sums in float. */

#include "cuda/kernels/conv_mma.cuh"

CONVOLUTIONS (f16, Half)
