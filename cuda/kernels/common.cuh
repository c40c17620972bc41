/* What all kernels share. */

#ifndef YOLO_KERNELS_COMMON_CUH
#define YOLO_KERNELS_COMMON_CUH

#include <cuda_fp16.h>

/* As YoloActivation of network/model.h, which nvcc does not read. */
enum { ACT_NONE, ACT_SILU, ACT_RELU, ACT_SIGMOID };

/* The error of __expf, some 2e-7 relative in x's usual range, is below that of half and near that of float. */
static __device__ __forceinline__ float
sigmoid (float x)
{
  return __fdividef (1.0f, 1.0f + __expf (-x));
}

static __device__ __forceinline__ float
activate (int act, float x)
{
  switch (act) {
    case ACT_SILU:
      return x * sigmoid (x);
    case ACT_RELU:
      return fmaxf (x, 0.0f);
    case ACT_SIGMOID:
      return sigmoid (x);
    default:
      return x;
  }
}

static __device__ __forceinline__ float to_float (float x) { return x; }
static __device__ __forceinline__ float to_float (__half x) { return __half2float (x); }
static __device__ __forceinline__ void store (float *p, float x) { *p = x; }
static __device__ __forceinline__ void store (__half *p, float x) { *p = __float2half_rn (x); }

#endif
