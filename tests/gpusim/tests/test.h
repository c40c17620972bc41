/* SPDX-License-Identifier: MIT */
/* test.h - what the test programs share: a context, loading, and the running count. */
#ifndef GPUSIM_TEST_H
#define GPUSIM_TEST_H

#include <cuda.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int passed, failed;

/* Number of the last line of TAP, shared with the processes that some tests run in. */
static int *number;

__attribute__((constructor)) static void share_number(void)
{
  number = mmap(NULL, sizeof *number, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (number == MAP_FAILED)
    abort();
}

/* One line a check. */
__attribute__((unused, format(printf, 2, 3))) static bool check(bool good, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  printf("%s %d - ", good ? "ok" : "not ok", ++*number);
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  va_end(arguments);
  good ? passed++ : failed++;
  return good;
}

/* The plan, and what main returns. */
__attribute__((unused)) static int finish(void)
{
  printf("1..%d\n", *number);
  return failed != 0;
}

/* Stops the program: nothing after a failed setup call makes sense. */
#define MUST(call)                                                                     \
  do {                                                                                 \
    CUresult result_ = (call);                                                         \
    const char *name_ = "?";                                                           \
    if (result_ != CUDA_SUCCESS) {                                                     \
      cuGetErrorName(result_, &name_);                                                 \
      printf("not ok %d - %s:%d: %s returned %s\n", ++*number, __FILE__, __LINE__, #call, name_); \
      exit(1);                                                                         \
    }                                                                                  \
  } while (0)

#define EXPECT(call, wanted)                                        \
  do {                                                              \
    CUresult result_ = (call);                                      \
    check(result_ == (wanted), "%s gives %s", #call, #wanted);      \
    if (result_ != (wanted))                                        \
      printf("# it returned %d\n", (int)result_);                \
  } while (0)

__attribute__((unused)) static CUcontext make_context(int device)
{
  CUcontext context;
  MUST(cuInit(0));
  MUST(cuCtxCreate(&context, NULL, 0, device));
  return context;
}

/* A file's bytes with a NUL after them, as PTX text needs. */
__attribute__((unused)) static char *read_file(const char *path)
{
  FILE *file = fopen(path, "rb");
  if (!file) {
    printf("Bail out! cannot open %s\n", path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  size_t size = (size_t)ftell(file);
  rewind(file);
  char *data = calloc(size + 1, 1);
  if (fread(data, 1, size, file) != size)
    exit(1);
  fclose(file);
  return data;
}

__attribute__((unused)) static CUmodule load(const char *path)
{
  CUmodule module;
  char *image = read_file(path);
  MUST(cuModuleLoadData(&module, image));
  free(image);
  return module;
}

__attribute__((unused)) static CUdeviceptr upload(const void *data, size_t size)
{
  CUdeviceptr address;
  MUST(cuMemAlloc(&address, size));
  if (data)
    MUST(cuMemcpyHtoD(address, data, size));
  else
    MUST(cuMemsetD8(address, 0, size));
  return address;
}

static uint32_t random_state = 1;
__attribute__((unused)) static uint32_t next_random(void)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

__attribute__((unused)) static float random_float(float low, float high)
{
  return low + (high - low) * (float)(next_random() >> 8) * 0x1p-24f;
}

/* gcc's own half type, which rounds once like CUDA's. */
__attribute__((unused)) static float from_half(uint16_t bits) { _Float16 h; memcpy(&h, &bits, 2); return (float)h; }
__attribute__((unused)) static uint16_t to_half(double value) { _Float16 h = (_Float16)value; uint16_t bits; memcpy(&bits, &h, 2); return bits; }
__attribute__((unused)) static float from_bits(uint32_t bits) { float f; memcpy(&f, &bits, 4); return f; }
__attribute__((unused)) static uint32_t to_bits(float f) { uint32_t bits; memcpy(&bits, &f, 4); return bits; }

#endif
