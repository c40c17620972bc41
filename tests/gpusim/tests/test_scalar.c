/* SPDX-License-Identifier: MIT */
/* test_scalar.c - kernels/scalar.cu against the same arithmetic in plain C.
 * usage: test_scalar scalar_CC.ptx */
#include "test.h"
#include <fenv.h>

enum { N = 1000 };

static CUmodule module;

/* Runs kernel(in, out, N); the output comes back in host memory. */
static uint32_t *run(const char *name, const uint32_t *in, size_t in_words, size_t out_words)
{
  CUfunction function;
  CUdeviceptr from = upload(in, in_words * 4), to = upload(NULL, out_words * 4);
  int n = N;
  void *params[] = {&from, &to, &n};
  uint32_t *out = malloc(out_words * 4);
  MUST(cuModuleGetFunction(&function, module, name));
  MUST(cuLaunchKernel(function, (N + 127) / 128, 1, 1, 128, 1, 1, 0, NULL, params, NULL));
  MUST(cuMemcpyDtoH(out, to, out_words * 4));
  MUST(cuMemFree(from));
  MUST(cuMemFree(to));
  return out;
}

static void compare(const char *name, const uint32_t *got, const uint32_t *wanted, int per_thread)
{
  for (int i = 0; i < N * per_thread; i++)
    if (got[i] != wanted[i]) {
      check(false, "%s: thread %d result %d is 0x%08x and not 0x%08x", name, i / per_thread, i % per_thread, got[i], wanted[i]);
      return;
    }
  check(true, "%s", name);
}

static uint32_t *random_words(size_t count)
{
  uint32_t *words = malloc(count * 4);
  for (size_t i = 0; i < count; i++)
    words[i] = i % 37 == 0 ? (uint32_t)i % 3 - 1 : next_random(); /* with some 0, 1 and -1 */
  return words;
}

static uint32_t reverse_bits(uint32_t v)
{
  uint32_t r = 0;
  for (int i = 0; i < 32; i++)
    r |= (v >> i & 1) << (31 - i);
  return r;
}

static uint32_t permute(uint32_t a, uint32_t b, uint32_t selector)
{
  uint64_t both = (uint64_t)b << 32 | a;
  uint32_t r = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t byte = both >> 8 * (selector >> 4 * i & 7) & 255;
    r |= (selector >> 4 * i & 8 ? (byte & 128 ? 255 : 0) : byte) << 8 * i;
  }
  return r;
}

static void integers_wanted(uint32_t a, uint32_t b, uint32_t *o)
{
  int x = (int)a, y = (int)b;
  uint32_t s = b & 31;
  uint64_t ab = (uint64_t)a << 32 | b, ba = (uint64_t)b << 32 | a, v = ab * 0x9e3779b97f4a7c15ull;
  o[0] = a * b + 7;
  o[1] = (uint32_t)((uint64_t)a * b >> 32);
  o[2] = (uint32_t)((int64_t)x * y >> 32);
  o[3] = b ? a / b : 0;
  o[4] = y && y != -1 ? (uint32_t)(x % y) : 0;
  o[5] = (uint32_t)(x < y ? x : y) ^ (a > b ? a : b);
  o[6] = x < 0 ? -a : a;
  o[7] = (uint32_t)(x >> s) + (a >> s) + (a << s);
  o[8] = (uint32_t)(__builtin_popcount(a) + 100 * (a ? __builtin_clz(a) : 32) + 10000 * __builtin_ffs(x));
  o[9] = reverse_bits(a);
  o[10] = permute(a, b, 0x5140 ^ (b & 0x7777));
  o[11] = (uint32_t)(ba << s >> 32) ^ (uint32_t)(ba >> ((s + 3) & 31));
  o[12] = 5, o[13] = (uint32_t)-5;
  for (int i = 0; i < 4; i++) {
    o[12] += (a >> 8 * i & 255) * (b >> 8 * i & 255);
    o[13] += (uint32_t)((int8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i));
  }
  o[14] = (x > y ? a - b : b - a) + 9;
  o[15] = (uint32_t)((unsigned __int128)ab * v >> 64);
  o[16] = (uint32_t)(v / (a | 1ull) >> 3);
  o[17] = (uint32_t)((int64_t)v % (int64_t)(b | 1ull));
  o[18] = (uint32_t)(__builtin_popcountll(v) + 100 * (ab ? __builtin_clzll(ab) : 64));
  o[19] = (a & b) ^ (~a | (b << 3)) ^ ((a ^ b) & 0x0f0f0f0f);
  o[20] = (uint32_t)(int8_t)a + (uint8_t)b + (uint32_t)(int16_t)(a >> 8);
  o[21] = 0;
  for (int i = 0; i < 4; i++)
    o[21] |= (((a >> 8 * i) + (b >> 8 * i)) & 255) << 8 * i;
  o[22] = (uint32_t)((x < y) + 2 * (a < b) + 4 * (x == y) + 8 * (a >= b));
  o[23] = a + b + (uint32_t)(((uint64_t)a + b) >> 32);
}

static void test_integers(void)
{
  uint32_t *in = random_words(2 * N), *wanted = malloc(24 * N * 4);
  for (int i = 0; i < N; i++)
    integers_wanted(in[2 * i], in[2 * i + 1], wanted + 24 * i);
  compare("integers", run("integers", in, 2 * N, 24 * N), wanted, 24);
}

/* A value computed under one of the host's rounding modes. */
#define ROUNDED(mode, expression) ({ fesetround(mode); volatile float r_ = (expression); fesetround(FE_TONEAREST); (float)r_; })

static int saturate_int(double d) { return d != d ? 0 : d <= INT32_MIN ? INT32_MIN : d >= INT32_MAX ? INT32_MAX : (int)rint(d); }
static uint32_t saturate_unsigned(double d) { return !(d > 0) ? 0 : d >= UINT32_MAX ? UINT32_MAX : (uint32_t)d; }

static void floats_wanted(uint32_t bits_a, uint32_t bits_b, uint32_t *out)
{
  volatile float a = from_bits(bits_a), b = from_bits(bits_b);
  float o[16] = {0};
  o[0] = fmaf(a, b, 1.5f);
  o[1] = ROUNDED(FE_TONEAREST, a * b) + 1.5f;
  o[2] = a / b;
  o[3] = sqrtf(fabsf(a));
  o[4] = ROUNDED(FE_TOWARDZERO, a + b);
  o[5] = ROUNDED(FE_UPWARD, a * b);
  o[6] = ROUNDED(FE_DOWNWARD, fmaf(a, b, a));
  o[7] = fminf(a, b) + fmaxf(a, 0.25f);
  o[8] = rintf(a * 8) + floorf(b * 8) * 2 + ceilf(a) * 4 + truncf(b) * 8;
  o[9] = a > 1 ? 1 : a > 0 ? a : 0;
  o[12] = (float)bits_a + (float)(int)bits_b;
  o[13] = copysignf(a, b);
  o[15] = (float)fma((double)a, b, 1.0 / 3.0); /* nvcc contracts the double product and sum */
  memcpy(out, o, sizeof o);
  out[10] = (uint32_t)saturate_int(a * 3e9f);
  out[11] = saturate_unsigned(b * 3e9f);
  out[14] = (uint32_t)((a < b) + 2 * (a != a) + 4 * (a >= b) + 8 * (isinf(b) != 0));
}

static void test_floats(void)
{
  uint32_t *in = malloc(2 * N * 4), *wanted = malloc(16 * N * 4);
  for (int i = 0; i < 2 * N; i++)
    in[i] = to_bits(random_float(-4, 4) * (i % 5 ? 1 : 0x1p-120f));
  in[0] = 0x7f800000, in[3] = 0xff800000, in[5] = 0, in[7] = 0x80000000;
  for (int i = 0; i < N; i++)
    floats_wanted(in[2 * i], in[2 * i + 1], wanted + 16 * i);
  uint32_t *got = run("floats", in, 2 * N, 16 * N);
  for (int i = 0; i < 16 * N; i++) /* one NaN is as good as another */
    if (from_bits(got[i]) != from_bits(got[i]) && from_bits(wanted[i]) != from_bits(wanted[i]))
      got[i] = wanted[i];
  compare("floats", got, wanted, 16);
}

static uint32_t pack(uint16_t low, uint16_t high) { return low | (uint32_t)high << 16; }

static uint16_t half_toward_zero(float f)
{
  uint16_t h = to_half((double)f);
  return fabsf(from_half(h)) > fabsf(f) ? h - 1 : h;
}

static void halves_wanted(const uint32_t *in, uint32_t *o)
{
  float a[2], b[2];
  uint16_t r[6][2];
  for (int j = 0; j < 2; j++) {
    a[j] = from_half((uint16_t)(in[0] >> 16 * j));
    b[j] = from_half((uint16_t)(in[1] >> 16 * j));
    r[0][j] = to_half((double)(a[j] + b[j]));
    r[1][j] = to_half((double)(a[j] * b[j]));
    r[2][j] = to_half((double)a[j] * b[j] + a[j]);
    r[3][j] = to_half(a[j] > b[j] ? a[j] : b[j]);
    r[4][j] = to_half(-fabsf(a[j]));
  }
  r[5][0] = to_half((double)(a[0] * 1.001f)), r[5][1] = to_half((double)(b[1] * 0.999f));
  for (int k = 0; k < 6; k++)
    o[k] = pack(r[k][0], r[k][1]);
  o[6] = pack(to_half((double)(a[0] - b[0])), half_toward_zero(a[1] * 1.3f));
  o[7] = (uint32_t)(a[0] < b[0]) + 2 * (uint32_t)(int)rintf(b[1]);
}

static void test_halves(void)
{
  uint32_t *in = malloc(2 * N * 4), *wanted = malloc(8 * N * 4);
  for (int i = 0; i < 2 * N; i++)
    in[i] = pack(to_half(random_float(-9, 9)), to_half(random_float(-9, 9) * (i % 7 ? 1 : 0x1p-18f)));
  for (int i = 0; i < N; i++)
    halves_wanted(in + 2 * i, wanted + 8 * i);
  compare("halves", run("halves", in, 2 * N, 8 * N), wanted, 8);
}

static float from_bfloat(uint16_t bits) { return from_bits((uint32_t)bits << 16); }

/* Nearest-even from a double, once: through a float whose last bit is made sticky. */
static uint16_t to_bfloat(double d)
{
  float f = ROUNDED(FE_TOWARDZERO, (float)(volatile double){d});
  uint32_t bits = to_bits(f) | ((double)f != d);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void test_bfloats(void)
{
  uint32_t *in = malloc(2 * N * 4), *wanted = malloc(4 * N * 4);
  for (int i = 0; i < 2 * N; i++)
    in[i] = pack(to_bfloat(random_float(-9, 9)), to_bfloat(random_float(-900, 900)));
  for (int i = 0; i < N; i++) {
    float a[2], b[2];
    uint16_t r[3][2];
    for (int j = 0; j < 2; j++) {
      a[j] = from_bfloat((uint16_t)(in[2 * i] >> 16 * j)), b[j] = from_bfloat((uint16_t)(in[2 * i + 1] >> 16 * j));
      r[0][j] = to_bfloat((double)a[j] * b[j] + a[j]);
      r[2][j] = to_bfloat(a[j] > b[j] ? a[j] : b[j]);
    }
    r[1][0] = to_bfloat(a[0] * 1.01f), r[1][1] = to_bfloat(b[1] * 0.99f);
    for (int k = 0; k < 3; k++)
      wanted[4 * i + k] = pack(r[k][0], r[k][1]);
    wanted[4 * i + 3] = pack(to_bfloat(a[0] + b[0]), to_bfloat(a[1] * b[1]));
  }
  compare("bfloats", run("bfloats", in, 2 * N, 4 * N), wanted, 4);
}

static void test_approximate(void)
{
  uint32_t *in = random_words(2 * N), *out = run("approximate", in, 2 * N, 8 * N);
  double worst = 0;
  for (int i = 0; i < N; i++) {
    double a = (float)(in[2 * i] >> 8) * 0x1p-24f + 0.01f;
    double wanted[] = {exp(a), log(a), sin(a), cos(a), 1 / sqrt(a), a / (1 + exp(-a)), tanh(a), tanh(a)};
    for (int k = 0; k < 8; k++) {
      double error = fabs((double)from_bits(out[8 * i + k]) - wanted[k]) / (1 + fabs(wanted[k]));
      worst = error <= worst ? worst : error;
    }
  }
  check(worst < 1e-6, "approximate: worst error %.2g", worst);
}

static void test_variables(void)
{
  static const uint32_t table[] = {3, 1, 4, 159};
  static const float weights[] = {0.5f, -2.0f, 1e-3f};
  uint32_t *in = random_words(N), *wanted = malloc(2 * N * 4), value = 1000;
  CUdeviceptr counter;
  size_t size;
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < N; i++)
      wanted[2 * i] = table[i & 3] + (pass ? value : 41), wanted[2 * i + 1] = to_bits(weights[i % 3]);
    compare(pass ? "variables, one changed by the host" : "variables", run("variables", in, N, 2 * N), wanted, 2);
    MUST(cuModuleGetGlobal(&counter, &size, module, "counter"));
    MUST(cuMemcpyHtoD(counter, &value, 4));
  }
  check(size == 4, "variables: cuModuleGetGlobal gives the size");
}

static void test_vectors(void)
{
  uint32_t *in = random_words(4 * N), *wanted = malloc(4 * N * 4);
  for (int i = 0; i < N; i++) {
    const uint32_t *v = in + 4 * i, *w = in + 2 * i;
    uint32_t c = ((uint8_t *)in)[i], s = (uint32_t)((int16_t *)in)[i];
    uint32_t row[] = {v[3] + c, v[2] + s, v[1] ^ w[0], v[0] ^ w[1]};
    memcpy(wanted + 4 * i, row, 16);
  }
  compare("vectors", run("vectors", in, 4 * N, 4 * N), wanted, 4);
}

static void test_calls(void)
{
  uint32_t *in = random_words(N), *wanted = malloc(N * 4);
  for (int i = 0; i < N; i++) {
    uint32_t v = in[i], a = v >> (v & 7);
    uint32_t cases[] = {a + 11, a * 3, a ^ 0xff, a - 5, ~a, a << 2, a >> 1};
    a = cases[v % 7];
    wanted[i] = a * 31 + (v >> (i & 7)) + a + (uint32_t)(v * 5ull);
  }
  compare("calls", run("calls", in, N, N), wanted, 1);
}

/* The same letterbox in C; `out` is rgb of one pixel. */
static void letterbox_pixel(const uint8_t *y, const uint8_t *uv, int w, int h, int pitch, int x, int row, float scale, int top, int rows, float *out)
{
  out[0] = out[1] = out[2] = 0.5f;
  if (row < top || row >= top + rows)
    return;
  int sx = (int)(((float)x + 0.5f) * scale), sy = (int)(((float)(row - top) + 0.5f) * scale);
  sx = sx < w - 1 ? sx : w - 1, sy = sy < h - 1 ? sy : h - 1;
  float luma = 1.164383f * (y[sy * pitch + sx] - 16.0f);
  float u = uv[sy / 2 * pitch + sx / 2 * 2] - 128.0f, v = uv[sy / 2 * pitch + sx / 2 * 2 + 1] - 128.0f;
  out[0] = fmaf(1.792741f, v, luma) / 255.0f;
  out[1] = fmaf(-0.532909f, v, fmaf(-0.213249f, u, luma)) / 255.0f;
  out[2] = fmaf(2.112402f, u, luma) / 255.0f;
  for (int c = 0; c < 3; c++)
    out[c] = out[c] > 1 ? 1 : out[c] > 0 ? out[c] : 0;
}

static void test_letterbox(void)
{
  enum { W = 322, H = 178, SIZE = 97 };
  CUdeviceptr y, uv, rgb = upload(NULL, 3 * SIZE * SIZE * 4);
  size_t pitch;
  static uint8_t pixels[H * 3 / 2 * W];
  static float got[3 * SIZE * SIZE];
  for (size_t i = 0; i < sizeof pixels; i++)
    pixels[i] = (uint8_t)next_random();
  MUST(cuMemAllocPitch(&y, &pitch, W, H * 3 / 2, 16));
  CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = pixels, .srcPitch = W, .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = y, .dstPitch = pitch, .WidthInBytes = W, .Height = H * 3 / 2};
  MUST(cuMemcpy2D(&copy));
  uv = y + H * pitch;
  CUfunction function;
  float scale = (float)W / SIZE, wanted[3];
  int w = W, h = H, stride = (int)pitch, size = SIZE, top = 21, rows = 54;
  void *params[] = {&y, &uv, &w, &h, &stride, &rgb, &size, &scale, &top, &rows};
  MUST(cuModuleGetFunction(&function, module, "letterbox"));
  MUST(cuLaunchKernel(function, (SIZE + 31) / 32, (SIZE + 7) / 8, 1, 32, 8, 1, 0, NULL, params, NULL));
  MUST(cuMemcpyDtoH(got, rgb, sizeof got));
  double worst = 0;
  for (int i = 0; i < SIZE * SIZE; i++) {
    letterbox_pixel(pixels, pixels + H * W, W, H, W, i % SIZE, i / SIZE, scale, top, rows, wanted);
    for (int c = 0; c < 3; c++)
      worst = fmax(worst, fabs(got[c * SIZE * SIZE + i] - wanted[c]));
  }
  check(worst < 1e-6, "letterbox: worst error %.2g", worst);
}

int main(int argc, char **argv)
{
  int major;
  if (argc != 2)
    return 2;
  make_context(0);
  MUST(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
  module = load(argv[1]);
  test_integers();
  test_floats();
  test_halves();
  if (major >= 8)
    test_bfloats();
  test_approximate();
  test_variables();
  test_vectors();
  test_calls();
  test_letterbox();
  return finish();
}
