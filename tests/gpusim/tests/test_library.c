/* SPDX-License-Identifier: MIT */
/* test_library.c - kernels/library.cu against plain C.
 * usage: test_library library_CC.ptx */
#include "test.h"
#include <unistd.h>

static CUmodule module;

static void *run(const char *name, const void *in, size_t in_words, size_t out_words)
{
  CUfunction function;
  CUdeviceptr from = upload(in, in_words * 4), to = upload(NULL, out_words * 4);
  int n = (int)in_words;
  void *params[] = {&from, &to, &n}, *out = malloc(out_words * 4);
  MUST(cuModuleGetFunction(&function, module, name));
  MUST(cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, 0, NULL, params, NULL));
  MUST(cuMemcpyDtoH(out, to, out_words * 4));
  MUST(cuMemFree(from));
  MUST(cuMemFree(to));
  return out;
}

static uint32_t input[512];

static void compare(const char *name, const uint32_t *wanted, size_t count)
{
  uint32_t *got = run(name, input, 512, 1024);
  for (size_t i = 0; i < count; i++)
    if (got[i] != wanted[i]) {
      check(false, "%s: result %zu is 0x%08x and not 0x%08x", name, i, got[i], wanted[i]);
      return;
    }
  check(true, "%s", name);
  free(got);
}

static int by_key(const void *a, const void *b)
{
  uint32_t x = input[*(const uint32_t *)a], y = input[*(const uint32_t *)b];
  return x < y ? -1 : x > y;
}

static void test_sort(void)
{
  uint32_t wanted[1024];
  for (uint32_t i = 0; i < 512; i++)
    wanted[512 + i] = i;
  qsort(wanted + 512, 512, 4, by_key);
  for (int i = 0; i < 512; i++)
    wanted[i] = input[wanted[512 + i]];
  compare("radix_sort", wanted, 1024);
}

static void test_sums(void)
{
  uint32_t scan[129] = {0}, groups[128] = {0}, pipeline[128], barrier[128];
  for (int i = 0; i < 128; i++) {
    scan[i + 1] = scan[i] + input[i];
    for (int j = 0; j < 16; j++)
      groups[i] += input[i / 16 * 16 + j];
    groups[i] += input[i / 16 * 16 + 3];
    pipeline[i] = input[127 - i] * 3 + input[255 - i];
    barrier[i] = input[(i + 1) % 128];
  }
  compare("scan", scan, 129);
  compare("groups", groups, 128);
  compare("pipeline", pipeline, 128);
  compare("barrier", barrier, 128);
}

/* Small whole numbers, so that every sum is exact. */
static void test_wmma(const char *name, bool half, int m, int n)
{
  int values[512 + 256], count = 16 * (m + n);
  uint32_t wanted[256], saved[512];
  memcpy(saved, input, sizeof saved);
  for (int i = 0; i < count; i++) {
    values[i] = (int)(next_random() % 15) - 7;
    if (half)
      ((uint16_t *)input)[i] = to_half(values[i]);
    else
      ((int8_t *)input)[i] = (int8_t)values[i];
  }
  for (int i = 0; i < m * n; i++) {
    int sum = 3;
    for (int k = 0; k < 16; k++)
      sum += values[i / n * 16 + k] * values[16 * m + i % n * 16 + k];
    wanted[i] = half ? to_bits((float)(2 * sum)) : (uint32_t)(2 * sum);
  }
  compare(name, wanted, (size_t)(m * n));
  memcpy(input, saved, sizeof saved);
}

static void test_mathematics(void)
{
  float in[128];
  double worst = 0;
  for (int i = 0; i < 128; i++)
    in[i] = random_float(-3, 3);
  char said[128] = "";
  FILE *output = tmpfile();
  fflush(stdout);
  int saved = dup(1);
  dup2(fileno(output), 1);
  float *out = run("mathematics", in, 128, 16 * 128);
  fflush(stdout);
  dup2(saved, 1);
  rewind(output);
  bool read = fgets(said, sizeof said, output) != NULL;
  said[strcspn(said, "\n")] = 0;
  check(read && !strcmp(said, "42% of it: 1.500 1234567890123 x"), "printf: %s", said);
  for (int i = 0; i < 128; i++) {
    double a = in[i];
    double wanted[] = {sin(a), cos((double)(in[i] * 1000)), pow(fabs(a), (double)1.7f), erf(a), exp(a), log2((double)(fabsf(in[i]) + 0.1f)),
                       fmod(a, (double)0.7f), exp(a), log(fabs(a) + 0.1), cbrt(a), atan2(a, (double)0.3f), tan(a),
                       round((double)(in[i] * 10)), ldexp(a, 5), hypot(a, 2), sin(a)};
    for (int k = 0; k < 16; k++) {
      double error = fabs((double)out[16 * i + k] - wanted[k]) / (1 + fabs(wanted[k]));
      worst = error <= worst ? worst : error;
    }
  }
  check(worst < 1e-6, "mathematics: worst error %.2g", worst);
}

int main(int argc, char **argv)
{
  if (argc != 2)
    return 2;
  make_context(0);
  module = load(argv[1]);
  for (int i = 0; i < 512; i++)
    input[i] = next_random();
  test_sort();
  test_sums();
  test_wmma("wmma_f16", true, 16, 16);
  test_wmma("wmma_s8", false, 32, 8);
  test_mathematics();
  return finish();
}
