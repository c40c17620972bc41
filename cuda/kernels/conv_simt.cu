/* Convolution without tensor cores, for what the others do not take: groups,
 * odd channels, any kernel, stride and dilation, in float and half. One thread
 * computes one element of the output; sums are in float, in order of rows,
 * columns and channels of the kernel. Reads 2 * K elements for K multiply-adds,
 * most of them from the caches. */

#include "cuda/kernels/common.cuh"
#include "cuda/kernels/conv.h"

template <typename T>
static __device__ void
convolve (const YoloConvParams &p)
{
  long long index = (long long) blockIdx.x * blockDim.x + threadIdx.x;
  long long pixel = index / p.out_channels;
  int o = (int) (index % p.out_channels);
  int x = (int) (pixel % p.out_width);
  long long row = pixel / p.out_width;
  int y = (int) (row % p.out_height), n = (int) (row / p.out_height);

  if (n >= p.batch)
    return;
  int per_group = p.in_channels / p.groups, first = o / (p.out_channels / p.groups) * per_group;
  const T *weights = (const T *) p.weights + (long long) o * p.kernel[0] * p.kernel[1] * p.packed_channels;
  float sum = 0.0f;

  for (int ky = 0; ky < p.kernel[0]; ky++) {
    int iy = y * p.stride[0] + ky * p.dilation[0] - p.pad[0];
    if (iy < 0 || iy >= p.in_height)
      continue;
    for (int kx = 0; kx < p.kernel[1]; kx++) {
      int ix = x * p.stride[1] + kx * p.dilation[1] - p.pad[1];
      if (ix < 0 || ix >= p.in_width)
        continue;
      const T *in = (const T *) p.in + (((long long) n * p.in_height + iy) * p.in_width + ix) * p.in_pitch + first;
      const T *tap = weights + (long long) (ky * p.kernel[1] + kx) * p.packed_channels;
      for (int i = 0; i < per_group; i++)
        sum += to_float (in[i]) * to_float (tap[i]);
    }
  }
  sum = activate (p.act, sum + p.bias[o]);
  if (p.residual_pitch != 0)
    sum += to_float (((const T *) p.residual)[pixel * p.residual_pitch + o]);
  if (p.out_f32)
    store ((float *) p.out + pixel * p.out_pitch + o, sum);
  else
    store ((T *) p.out + pixel * p.out_pitch + o, sum);
}

extern "C" __global__ void __launch_bounds__ (256)
conv_simt_f32 (const __grid_constant__ YoloConvParams p)
{
  convolve<float> (p);
}

extern "C" __global__ void __launch_bounds__ (256)
conv_simt_f16 (const __grid_constant__ YoloConvParams p)
{
  convolve<__half> (p);
}
