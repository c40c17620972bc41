/* SPDX-License-Identifier: MIT */
/* test_warp.c - kernels/warp.cu against plain C.
 * usage: test_warp warp_CC.ptx */
#include "test.h"

static CUmodule module;
static int cc;

struct shape {
  unsigned blocks, threads, shared;
};

static uint32_t *run(const char *name, struct shape shape, const uint32_t *in, size_t in_words, size_t out_words)
{
  CUfunction function;
  CUdeviceptr from = upload(in, in_words * 4), to = upload(NULL, out_words * 4);
  int n = (int)in_words;
  void *params[] = {&from, &to, &n};
  uint32_t *out = malloc(out_words * 4);
  MUST(cuModuleGetFunction(&function, module, name));
  MUST(cuLaunchKernel(function, shape.blocks, 1, 1, shape.threads, 1, 1, shape.shared, NULL, params, NULL));
  MUST(cuMemcpyDtoH(out, to, out_words * 4));
  MUST(cuMemFree(from));
  MUST(cuMemFree(to));
  return out;
}

static void compare(const char *name, const uint32_t *got, const uint32_t *wanted, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (got[i] != wanted[i]) {
      check(false, "%s: result %zu is 0x%08x and not 0x%08x", name, i, got[i], wanted[i]);
      return;
    }
  check(true, "%s", name);
}

static uint32_t *random_words(size_t count)
{
  uint32_t *words = malloc(count * 4);
  for (size_t i = 0; i < count; i++)
    words[i] = next_random();
  return words;
}

static void test_shuffles(void)
{
  enum { N = 256 };
  uint32_t *in = random_words(N), wanted[6 * N];
  for (int i = 0; i < N; i++) {
    const uint32_t *warp = in + i / 32 * 32;
    int lane = i % 32, sixteen = lane / 16 * 16;
    uint32_t row[] = {warp[lane < 3 ? lane : lane - 3], warp[lane - sixteen + 5 < 16 ? lane + 5 : lane], warp[lane ^ 9],
                      warp[in[i] & 31], warp[lane / 8 * 8 + 2], lane < 7 ? warp[lane ^ 1] : 0};
    memcpy(wanted + 6 * i, row, sizeof row);
    if (lane == 6) /* reads lane 7, which takes no part: undefined in CUDA, marked by gpusim */
      wanted[6 * i + 5] = 0xffffffff;
  }
  compare("shuffles", run("shuffles", (struct shape){2, 128, 0}, in, N, 6 * N), wanted, 6 * N);
}

static void votes_wanted(const uint32_t *warp, int lane, uint32_t *o)
{
  uint32_t ballot = 0, same = 0, any = 0, every = 1, all_equal = 1, sum = 0, most = 0, exclusive = 0;
  int least = INT32_MAX;
  for (int j = 0; j < 32; j++) {
    ballot |= (warp[j] & 1) << j;
    same |= (uint32_t)(warp[j] % 5 == warp[lane] % 5) << j;
    any |= warp[j] % 61 == 0;
    every &= warp[j] != 0x12345;
    all_equal &= warp[j] / 65536 == warp[0] / 65536;
    sum += warp[j], exclusive ^= warp[j];
    most = warp[j] > most ? warp[j] : most;
    least = (int)warp[j] < least ? (int)warp[j] : least;
  }
  o[0] = ballot;
  o[1] = every + 2 * any;
  o[2] = same;
  o[3] = all_equal ? 0xffffffff : 0;
  o[4] = cc >= 80 ? sum ^ most : 0;
  o[5] = cc >= 80 ? (uint32_t)least ^ exclusive : 0;
}

static void test_votes(void)
{
  enum { N = 256 };
  uint32_t *in = random_words(N), wanted[6 * N];
  for (int i = 0; i < 32; i++) /* a warp that agrees */
    in[i] = 0x70000 + (uint32_t)i;
  for (int i = 0; i < N; i++)
    votes_wanted(in + i / 32 * 32, i % 32, wanted + 6 * i);
  compare("votes", run("votes", (struct shape){2, 128, 0}, in, N, 6 * N), wanted, 6 * N);
}

static void test_reduction(void)
{
  enum { N = 12345, BLOCKS = 7, THREADS = 192 };
  uint32_t *in = random_words(N), wanted[BLOCKS] = {0};
  for (int i = 0; i < N; i++)
    wanted[i / THREADS % BLOCKS] += in[i];
  compare("reduction", run("reduction", (struct shape){BLOCKS, THREADS, THREADS * 4}, in, N, BLOCKS), wanted, BLOCKS);
}

static void test_barriers(void)
{
  enum { N = 128 };
  uint32_t *in = random_words(N), wanted[4 * N], odd = 0;
  for (int i = 0; i < N; i++)
    odd += in[i] & 1;
  for (int i = 0; i < N; i++) {
    uint32_t row[] = {odd * 4 + 2, i < 64 ? 0 : in[i - 64] * 3, i % 32 < 16 ? in[i ^ 5] : 1, 0};
    memcpy(wanted + 4 * i, row, sizeof row);
  }
  compare("barriers", run("barriers", (struct shape){1, N, 0}, in, N, 4 * N), wanted, 4 * N);
}

static void test_atomics(void)
{
  enum { N = 512 };
  uint32_t *in = random_words(N), wanted[27] = {0};
  float total = 0;
  uint64_t wide = 0;
  double ones = 0;
  for (int i = 0; i < N; i++) {
    uint32_t v = in[i];
    wanted[v & 15]++;
    wanted[16] += v; /* 17 is the minimum with 0 */
    wanted[18] = (int)v > (int)wanted[18] ? v : wanted[18];
    wanted[19] ^= v;
    wanted[20] = wanted[20] >= 6 ? 0 : wanted[20] + 1;
    total += (float)(v & 7);
    wide += (uint64_t)v << 20;
    wanted[24] |= 1u << (v & 31);
    wanted[25] += v & 3;
    ones += v & 1;
  }
  wanted[21] = to_bits(total);
  memcpy(wanted + 22, &wide, 8);
  wanted[26] = to_half(ones) | (uint32_t)to_half(N) << 16;
  compare("atomics", run("atomics", (struct shape){4, N / 4, 0}, in, N, 27), wanted, 27);
}

static void test_cp_async(void)
{
  uint32_t *in = random_words(256), wanted[256];
  for (int i = 0; i < 256; i++) {
    int source = i / 128 * 128 + 127 - i % 128;
    bool filled = source >= 128 + 28 * 4 && source % 4; /* lanes 28..31 copy one word of four */
    wanted[i] = filled ? 0 : in[source];
  }
  compare("cp_async", run("cp_async", (struct shape){1, 32, 0}, in, 256, 256), wanted, 256);
}

static void test_bulk(void)
{
  uint32_t *in = random_words(256), wanted[256];
  for (int i = 0; i < 256; i++)
    wanted[i] = in[i] * 2 + 1;
  compare("bulk", run("bulk", (struct shape){1, 256, 0}, in, 256, 256), wanted, 256);
}

static uint32_t two(const uint32_t *in, int first, int second) { return (in[first] & 0xffff) | in[second] << 16; }

static void test_matrices(void)
{
  uint32_t *in = random_words(256), wanted[512];
  for (int t = 0; t < 32; t++) {
    int row = t / 4, column = t % 4 * 2;
    for (int m = 0; m < 4; m++)
      wanted[8 * t + m] = two(in, m * 64 + row * 8 + column, m * 64 + row * 8 + column + 1);
    for (int m = 0; m < 2; m++)
      wanted[8 * t + 4 + m] = two(in, m * 64 + column * 8 + row, m * 64 + (column + 1) * 8 + row);
    wanted[8 * t + 6] = wanted[8 * t];
    /* movmatrix: lane t held row t/4, columns t%4*2 and on; it gets the transpose's */
    uint32_t low = in[column * 4 + row / 2] >> 16 * (row % 2), high = in[(column + 1) * 4 + row / 2] >> 16 * (row % 2);
    wanted[8 * t + 7] = (low & 0xffff) | high << 16;
  }
  for (int i = 0; i < 256; i++) /* stored back in reverse order of matrices */
    wanted[256 + i] = in[(3 - i / 64) * 64 + i % 64] & 0xffff;
  compare("matrices", run("matrices", (struct shape){1, 32, 0}, in, 256, 512), wanted, cc >= 90 ? 512 : 256);
}

/* ---- mma: elements small enough for every sum to be exact ---- */

enum kind { F16, BF16, TF32, S8, U8S8, E4M3 };

static uint32_t encode(enum kind kind, bool is_a, int value)
{
  static const uint8_t e4m3[] = {0x00, 0x38, 0x40, 0x44, 0x48}; /* 0 1 2 3 4 */
  switch (kind) {
  case F16:
    return to_half(value);
  case BF16:
    return to_bits((float)value) >> 16;
  case TF32:
    return to_bits((float)value);
  case E4M3:
    return e4m3[abs(value)] | (value < 0 ? 0x80 : 0);
  default:
    return (uint8_t)(kind == U8S8 && is_a ? abs(value) + 200 : value);
  }
}

static int value_of(enum kind kind, bool is_a, int value) { return kind == U8S8 && is_a ? abs(value) + 200 : value; }

/* Rows of 8 words: depth is how many elements of each row count. */
static void test_mma(const char *name, enum kind kind, int depth, int rows)
{
  static const int element_bits[] = {16, 16, 32, 8, 8, 8};
  int bits = element_bits[kind], per_word = 32 / bits, a[16][32], b[8][32];
  uint32_t in[192] = {0}, wanted[128];
  for (int row = 0; row < 24; row++)
    for (int k = 0; k < depth; k++) {
      int value = (int)(next_random() % 9) - 4, *element = row < 16 ? &a[row][k] : &b[row - 16][k];
      *element = value_of(kind, row < 16, value);
      in[row * 8 + k / per_word] |= encode(kind, row < 16, value) << k % per_word * bits;
    }
  for (int i = 0; i < 8 * rows; i++) {
    int sum = 0;
    for (int k = 0; k < depth; k++)
      sum += a[i / 8][k] * b[i % 8][k];
    wanted[i] = kind == S8 || kind == U8S8 ? (uint32_t)sum : to_bits((float)sum);
  }
  compare(name, run(name, (struct shape){1, 32, 0}, in, 192, 128), wanted, 8 * (size_t)rows);
}

int main(int argc, char **argv)
{
  int major, minor;
  if (argc != 2)
    return 2;
  make_context(0);
  MUST(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
  MUST(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0));
  cc = 10 * major + minor;
  module = load(argv[1]);
  test_shuffles();
  test_votes();
  test_reduction();
  test_barriers();
  test_atomics();
  test_matrices();
  test_mma("mma_f16_k8", F16, 8, 16);
  test_mma("mma_s8_small", S8, 16, 8);
  if (cc >= 80) {
    test_cp_async();
    test_mma("mma_f16", F16, 16, 16);
    test_mma("mma_bf16", BF16, 16, 16);
    test_mma("mma_tf32", TF32, 8, 16);
    test_mma("mma_s8", S8, 32, 16);
    test_mma("mma_u8s8", U8S8, 32, 16);
  }
  if (cc >= 90) {
    test_mma("mma_e4m3", E4M3, 32, 16);
    test_bulk();
  }
  return finish();
}
