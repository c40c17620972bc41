/* SPDX-License-Identifier: MIT */
/* Eight-bit integers: sums in 32 bits, exact. */

#include "cuda/kernels/conv_mma.cuh"

CONVOLUTIONS (s8, Byte)
