/* SPDX-License-Identifier: MIT */
/* test_broken.c - mistakes in kernels and host code, and what gpusim says about them.
 * Each runs in a process of its own, since the environment is read once.
 * usage: test_broken broken_80.ptx broken_90a.ptx */
#include "test.h"
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 64 };

static const char *images[2];

struct mistake {
  const char *kernel;
  void (*run)(const struct mistake *); /* NULL: launch the kernel on zeroed memory */
  const char *environment;             /* one NAME=value, or NULL */
  const char *message;                 /* must appear; NULL: nothing may be said */
  int n;
};

static CUfunction find(const char *image, const char *kernel)
{
  CUfunction function;
  MUST(cuModuleGetFunction(&function, load(image), kernel));
  return function;
}

static CUresult launch(CUfunction function, CUdeviceptr p, int n, CUstream stream)
{
  void *params[] = {&p, &n};
  return cuLaunchKernel(function, 1, 1, 1, THREADS, 1, 1, 0, stream, params, NULL);
}

static void run_kernel(const struct mistake *m)
{
  make_context(0);
  launch(find(images[0], m->kernel), upload(NULL, THREADS * 4), m->n, NULL);
  cuCtxSynchronize();
}

static void run_unsupported(const struct mistake *m)
{
  setenv("GPUSIM_CC", "90", 1);
  make_context(0);
  CUdeviceptr p = upload(NULL, THREADS * 4);
  if (launch(find(images[1], m->kernel), p, m->n, NULL) != CUDA_ERROR_NOT_SUPPORTED)
    fprintf(stderr, "the launch was not refused\n");
  MUST(launch(find(images[1], "fills"), p, 0, NULL)); /* the rest of the module works */
  MUST(cuCtxSynchronize());
}

static void run_uninitialised(const struct mistake *m)
{
  CUdeviceptr p;
  make_context(0);
  MUST(cuMemAlloc(&p, THREADS * 4));
  MUST(cuMemsetD8(p, 0, THREADS * 4 - 4)); /* all but the last */
  launch(find(images[0], m->kernel), p, m->n, NULL);
  cuCtxSynchronize();
}

static void run_use_after_free(const struct mistake *m)
{
  make_context(0);
  CUdeviceptr p = upload(NULL, THREADS * 4), other = upload(NULL, THREADS * 4);
  MUST(cuMemFree(p));
  (void)other;
  launch(find(images[0], m->kernel), p, m->n, NULL);
  cuCtxSynchronize();
}

static void run_freed_before_copy(const struct mistake *m)
{
  CUstream stream;
  static float host[THREADS];
  (void)m;
  make_context(0);
  CUdeviceptr p = upload(NULL, sizeof host);
  MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  MUST(cuMemFreeAsync(p, stream));
  cuMemcpyDtoHAsync(host, p, sizeof host, stream);
  cuStreamSynchronize(stream);
}

static void run_wrong_device(const struct mistake *m)
{
  CUcontext first = make_context(0);
  make_context(1);
  CUdeviceptr p = upload(NULL, THREADS * 4);
  MUST(cuCtxSetCurrent(first));
  launch(find(images[0], m->kernel), p, m->n, NULL);
  cuCtxSynchronize();
}

static void run_host_pointer(const struct mistake *m)
{
  make_context(0);
  launch(find(images[0], m->kernel), (CUdeviceptr)calloc(THREADS, 4), m->n, NULL);
  cuCtxSynchronize();
}

static void run_swapped_copy(const struct mistake *m)
{
  static float host[THREADS];
  (void)m;
  make_context(0);
  CUdeviceptr p = upload(NULL, sizeof host);
  cuMemcpyDtoH((void *)p, upload(host, sizeof host), sizeof host);
}

static void run_copy_too_long(const struct mistake *m)
{
  static float host[2 * THREADS];
  (void)m;
  make_context(0);
  cuMemcpyHtoD(upload(NULL, THREADS * 4), host, sizeof host);
}

static void run_too_much_shared(const struct mistake *m)
{
  int n = 0;
  make_context(0);
  CUdeviceptr p = upload(NULL, THREADS * 4);
  void *params[] = {&p, &n};
  cuLaunchKernel(find(images[0], m->kernel), 1, 1, 1, THREADS, 1, 1, 50 << 10, NULL, params, NULL);
}

static void run_cubin(const struct mistake *m)
{
  CUmodule module;
  (void)m;
  make_context(0);
  cuModuleLoadData(&module, "\x7f" "ELF\2\1\1");
}

/* Without a synchronisation the host must see old data, every time. */
static void run_forgotten_wait(const struct mistake *m)
{
  CUstream stream;
  float *host;
  make_context(0);
  CUdeviceptr p = upload(NULL, THREADS * 4);
  CUfunction function = find(images[0], "fills");
  MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  MUST(cuMemAllocHost((void **)&host, THREADS * 4));
  memset(host, 0, THREADS * 4);
  MUST(launch(function, p, 100, stream));
  MUST(cuMemcpyDtoHAsync(host, p, THREADS * 4, stream));
  if (m->n)
    MUST(cuStreamSynchronize(stream));
  if (host[5] != 105)
    fprintf(stderr, "stale data: %g\n", host[5]);
}

/* One stream reads what another writes, and nobody made it wait. */
static void run_forgotten_event(const struct mistake *m)
{
  CUstream writer, reader;
  CUevent event;
  float *host;
  make_context(0);
  CUdeviceptr p = upload(NULL, THREADS * 4);
  CUfunction function = find(images[0], "fills");
  MUST(cuStreamCreate(&writer, CU_STREAM_NON_BLOCKING));
  MUST(cuStreamCreate(&reader, CU_STREAM_NON_BLOCKING));
  MUST(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  MUST(cuMemAllocHost((void **)&host, THREADS * 4));
  MUST(launch(function, p, 100, writer));
  MUST(cuEventRecord(event, writer));
  if (m->n)
    MUST(cuStreamWaitEvent(reader, event, 0));
  MUST(cuMemcpyDtoHAsync(host, p, THREADS * 4, reader));
  MUST(cuStreamSynchronize(reader));
  if (host[5] != 105)
    fprintf(stderr, "stale data: %g\n", host[5]);
}

static void run_missing_wait_shows(const struct mistake *m)
{
  uint32_t host[THREADS];
  make_context(0);
  CUdeviceptr p = upload(NULL, sizeof host);
  MUST(launch(find(images[0], m->kernel), p, m->n, NULL));
  MUST(cuMemcpyDtoH(host, p, sizeof host));
  for (int i = 0; i < THREADS; i++)
    if (host[i] == 0xffffffff) {
      fprintf(stderr, "the result is NaN\n");
      return;
    }
}

/* GPUSIM_FAULT=error: the context fails as on a real device, and stays so. */
static void run_sticky(const struct mistake *m)
{
  make_context(0);
  CUdeviceptr p = upload(NULL, THREADS * 4), more;
  launch(find(images[0], m->kernel), p, m->n, NULL);
  CUresult first = cuCtxSynchronize(), second = cuMemAlloc(&more, 16);
  fprintf(stderr, "synchronise %d, allocate %d\n", (int)first, (int)second);
}

static const struct mistake mistakes[] = {
  {"global_past_end", NULL, NULL, "0 bytes past the end of the 256 bytes of device memory", 1},
  {"global_before_start", NULL, NULL, "bytes before the 256 bytes of device memory", 0},
  {"shared_past_end", NULL, NULL, "shared store of 4 bytes at offset 256 is out of bounds: the block has 256 bytes", 1},
  {"local_past_end", NULL, NULL, "is out of bounds (the thread has", 8},
  {"misaligned", NULL, NULL, "misaligned global load of 16 bytes", 0},
  {"divergent_barrier", NULL, NULL, "divergent barrier: 40 of 64 threads wait at barrier 0, 24 have returned", 40},
  {"two_barriers", NULL, NULL, "divergent barrier", 0},
  {"divergent_shuffle", NULL, NULL, "wait in a warp operation", 0},
  {"wrong_mask", NULL, NULL, "shfl.sync executed by a lane that is not in its mask 0x0000ffff", 0},
  {"partial_mma", NULL, NULL, "mma.sync executed by part of a warp", 0},
  {"missing_wait", run_missing_wait_shows, NULL, "the result is NaN", 0},
  {"missing_wait", NULL, "GPUSIM_INIT=1", "still being copied by cp.async", 0},
  {"refilled_too_early", run_missing_wait_shows, NULL, "the result is NaN", 0},
  {"refilled_too_early", NULL, "GPUSIM_INIT=1", "still being copied by cp.async", 0},
  {"fixed_missing_wait", run_missing_wait_shows, "GPUSIM_INIT=1", NULL, 0},
  {"waits_for_own_copies_only", NULL, "GPUSIM_RACE=1", "race on shared memory", 0},
  {"fixed_missing_wait", NULL, "GPUSIM_RACE=1", NULL, 0},
  {"uninitialised_shared", NULL, "GPUSIM_INIT=1", "read of uninitialised shared memory", 60},
  {"uninitialised_shared", NULL, "GPUSIM_INIT=1", NULL, 64},
  {"reads_global", run_uninitialised, "GPUSIM_INIT=1", "read of uninitialised global memory", 0},
  {"reads_global", NULL, "GPUSIM_INIT=1", NULL, 0},
  {"missing_sync", NULL, "GPUSIM_RACE=1", "race on shared memory", 0},
  {"fixed_missing_sync", NULL, "GPUSIM_RACE=1", NULL, 0},
  {"missing_second_sync", NULL, "GPUSIM_RACE=1", "race on shared memory", 0},
  {"fixed_missing_second_sync", NULL, "GPUSIM_RACE=1", NULL, 0},
  {"failed_assertion", NULL, NULL, "assertion `n == 123' failed", 1},
  {"traps", NULL, NULL, "trap", 1},
  {"uses_wgmma", run_unsupported, NULL, "kernel uses_wgmma cannot run: unsupported instruction \"wgmma.fence.sync.aligned\"", 0},
  {"uses_tensor_map", run_unsupported, NULL, "kernel uses_tensor_map cannot run: unsupported instruction \"cp.async.bulk.tensor.2d", 0},
  {"reads_global", run_use_after_free, NULL, "use of freed memory: 0 bytes into the 256 bytes", 0},
  {"copy after free", run_freed_before_copy, "GPUSIM_LAZY=1", "use of freed memory", 0},
  {"reads_global", run_wrong_device, "GPUSIM_DEVICES=2", "memory of device 1 used on device 0 without peer access", 0},
  {"reads_global", run_host_pointer, NULL, "no allocation is near this address", 0},
  {"swapped copy", run_swapped_copy, NULL, "a device address was passed as a host pointer", 0},
  {"copy too long", run_copy_too_long, NULL, "of 512 bytes at device address", 0},
  {"fills", run_too_much_shared, NULL, "more dynamic shared memory than", 0},
  {"cubin", run_cubin, NULL, "gpusim needs PTX", 0},
  {"forgotten wait", run_forgotten_wait, "GPUSIM_LAZY=1", "stale data: 0", 0},
  {"wait not forgotten", run_forgotten_wait, "GPUSIM_LAZY=1", NULL, 1},
  {"forgotten event", run_forgotten_event, "GPUSIM_LAZY=1", "stale data: ", 0},
  {"event not forgotten", run_forgotten_event, "GPUSIM_LAZY=1", NULL, 1},
  {"global_past_end", run_sticky, "GPUSIM_FAULT=error", "synchronise 700, allocate 700", 1},
  {"divergent_barrier", run_sticky, "GPUSIM_FAULT=error", "synchronise 719, allocate 719", 40},
};

static void run_child(const struct mistake *m, int output)
{
  dup2(output, 2);
  if (m->environment)
    putenv((char *)m->environment);
  (m->run ? m->run : run_kernel)(m);
  exit(0);
}

static void test(const struct mistake *m)
{
  int ends[2], status;
  char said[8192];
  size_t length = 0;
  if (pipe(ends))
    exit(1);
  fflush(stdout);
  pid_t child = fork();
  if (!child)
    run_child(m, ends[1]);
  close(ends[1]);
  for (ssize_t n; length + 1 < sizeof said && (n = read(ends[0], said + length, sizeof said - 1 - length)) > 0;)
    length += (size_t)n;
  said[length] = 0;
  close(ends[0]);
  waitpid(child, &status, 0);
  bool good = m->message ? strstr(said, m->message) != NULL : length == 0 && status == 0;
  check(good, "%s%s%s: %s", m->kernel, m->environment ? " with " : "", m->environment ? m->environment : "",
        m->message ? m->message : "nothing to say");
  if (!good)
    printf("# it said: %s (status %d)\n", length ? said : "nothing", status);
}

int main(int argc, char **argv)
{
  if (argc != 3)
    return 2;
  images[0] = argv[1];
  images[1] = argv[2];
  for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
    test(&mistakes[i]);
  return finish();
}
