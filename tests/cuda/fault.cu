/* SPDX-License-Identifier: MIT */
/* The one kernel that faults.c launches: fault.sh puts faults into what it includes. */

#include "cuda/kernels/conv_mma.cuh"

CONVOLUTION (f16, Half, 64, 64, 2, 2, 5, 4)
