/* SPDX-License-Identifier: MIT */
/* test_conv.c - kernels/conv.cu against a direct convolution in plain C, on odd sizes.
 * usage: test_conv conv_CC.ptx */
#include "test.h"
#include <time.h>

struct shape {
  int images, height, width, channels, out_height, out_width, out_channels, stride;
};

static CUmodule module;

static struct shape make_shape(int images, int height, int width, int channels, int out_channels, int stride)
{
  return (struct shape){images, height, width, channels, (height - 1) / stride + 1, (width - 1) / stride + 1, out_channels, stride};
}

static size_t in_size(const struct shape *s) { return (size_t)s->images * (size_t)(s->height * s->width * s->channels); }
static size_t weight_size(const struct shape *s) { return (size_t)(s->out_channels * 9 * s->channels); }
static size_t out_size(const struct shape *s) { return (size_t)s->images * (size_t)(s->out_height * s->out_width * s->out_channels); }

/* One output element before bias; `in` and `weights` as doubles. */
static double direct(const struct shape *s, const double *in, const double *weights, size_t index)
{
  int k = (int)(index % (size_t)s->out_channels), pixel = (int)(index / (size_t)s->out_channels);
  int ox = pixel % s->out_width, oy = pixel / s->out_width % s->out_height, image = pixel / s->out_width / s->out_height;
  double sum = 0;
  for (int tap = 0; tap < 9; tap++) {
    int x = ox * s->stride + tap % 3 - 1, y = oy * s->stride + tap / 3 - 1;
    if (x < 0 || x >= s->width || y < 0 || y >= s->height)
      continue;
    const double *pixel_in = in + ((size_t)(image * s->height + y) * (size_t)s->width + (size_t)x) * (size_t)s->channels;
    const double *row = weights + (size_t)(k * 9 + tap) * (size_t)s->channels;
    for (int c = 0; c < s->channels; c++)
      sum += pixel_in[c] * row[c];
  }
  return sum;
}

static double silu(double x) { return x / (1 + exp(-x)); }

static double seconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Launches and returns the rate in GFLOP/s. */
static double launch(const char *kernel, const struct shape *s, void **params)
{
  CUfunction function;
  unsigned pixels = (unsigned)(s->images * s->out_height * s->out_width);
  MUST(cuModuleGetFunction(&function, module, kernel));
  double start = seconds();
  MUST(cuLaunchKernel(function, (pixels + 63) / 64, ((unsigned)s->out_channels + 63) / 64, 1, 128, 1, 1, 0, NULL, params, NULL));
  MUST(cuCtxSynchronize());
  return 2e-9 * (double)out_size(s) * 9 * s->channels / (seconds() - start);
}

static void test_f16(struct shape s)
{
  size_t n = in_size(&s), w = weight_size(&s), o = out_size(&s);
  uint16_t *in = malloc(2 * n), *weights = malloc(2 * w), *out = malloc(2 * o);
  double *in_values = malloc(8 * n), *weight_values = malloc(8 * w), worst = 0;
  float *bias = malloc(4 * (size_t)s.out_channels);
  for (size_t i = 0; i < n; i++)
    in_values[i] = from_half(in[i] = to_half(random_float(-1, 1)));
  for (size_t i = 0; i < w; i++)
    weight_values[i] = from_half(weights[i] = to_half(random_float(-0.1f, 0.1f)));
  for (int k = 0; k < s.out_channels; k++)
    bias[k] = random_float(-1, 1);
  CUdeviceptr d_in = upload(in, 2 * n), d_weights = upload(weights, 2 * w), d_bias = upload(bias, 4 * (size_t)s.out_channels), d_out;
  MUST(cuMemAlloc(&d_out, 2 * o));
  void *params[] = {&d_in, &d_weights, &d_bias, &d_out, &s};
  double rate = launch("conv_f16", &s, params);
  MUST(cuMemcpyDtoH(out, d_out, 2 * o));
  for (size_t i = 0; i < o; i++) {
    double wanted = silu(direct(&s, in_values, weight_values, i) + (double)bias[i % (size_t)s.out_channels]);
    double error = fabs((double)from_half(out[i]) - wanted) / (1 + fabs(wanted));
    worst = error <= worst ? worst : error; /* a NaN is the worst */
  }
  check(worst < 1e-3, "conv_f16 %dx%dx%dx%d to %d, stride %d: worst error %.2g, %.2f GFLOP/s", s.images, s.height, s.width, s.channels,
        s.out_channels, s.stride, worst, rate);
  free(in), free(weights), free(out), free(in_values), free(weight_values), free(bias);
}

static void test_s8(struct shape s)
{
  size_t n = in_size(&s), w = weight_size(&s), o = out_size(&s), off = 0;
  int8_t *in = malloc(n), *weights = malloc(w), *out = malloc(o);
  double *in_values = malloc(8 * n), *weight_values = malloc(8 * w);
  float *bias = malloc(4 * (size_t)s.out_channels), *scales = malloc(4 * (size_t)s.out_channels), inverse_step = 20;
  int worst = 0;
  for (size_t i = 0; i < n; i++)
    in_values[i] = in[i] = (int8_t)next_random();
  for (size_t i = 0; i < w; i++)
    weight_values[i] = weights[i] = (int8_t)next_random();
  for (int k = 0; k < s.out_channels; k++)
    bias[k] = random_float(-1, 1), scales[k] = random_float(1e-5f, 3e-5f);
  CUdeviceptr d_in = upload(in, n), d_weights = upload(weights, w), d_bias = upload(bias, 4 * (size_t)s.out_channels);
  CUdeviceptr d_scales = upload(scales, 4 * (size_t)s.out_channels), d_out;
  MUST(cuMemAlloc(&d_out, o));
  void *params[] = {&d_in, &d_weights, &d_scales, &d_bias, &d_out, &s, &inverse_step};
  double rate = launch("conv_s8", &s, params);
  MUST(cuMemcpyDtoH(out, d_out, o));
  for (size_t i = 0; i < o; i++) {
    size_t k = i % (size_t)s.out_channels;
    double value = rint(silu(direct(&s, in_values, weight_values, i) * (double)scales[k] + (double)bias[k]) * (double)inverse_step);
    int wanted = value > 127 ? 127 : value < -127 ? -127 : (int)value, difference = abs(out[i] - wanted);
    worst = difference > worst ? difference : worst;
    off += difference != 0;
  }
  /* the sums are exact; expf may turn a tie the other way */
  check(worst <= 1 && off * 1000 <= o, "conv_s8 %dx%dx%dx%d to %d, stride %d: %zu of %zu differ by one step, %.2f GOP/s", s.images, s.height,
        s.width, s.channels, s.out_channels, s.stride, off, o, rate);
  free(in), free(weights), free(out), free(in_values), free(weight_values), free(bias), free(scales);
}

int main(int argc, char **argv)
{
  if (argc != 2)
    return 2;
  make_context(0);
  module = load(argv[1]);
  test_f16(make_shape(2, 13, 19, 24, 37, 1));
  test_f16(make_shape(1, 21, 17, 8, 70, 2));
  test_f16(make_shape(1, 5, 5, 40, 3, 1));
  test_s8(make_shape(2, 13, 19, 48, 37, 1));
  test_s8(make_shape(1, 21, 17, 16, 70, 2));
  return finish();
}
