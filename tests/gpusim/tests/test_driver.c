/* SPDX-License-Identifier: MIT */
/* test_driver.c - the driver API itself.
 * usage: test_driver small_80.ptx small.fatbin small_compressed.fatbin */
#include "test.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 1000 };

static char **images;
static CUmodule module;
static CUfunction add;

static void launch_add(CUdeviceptr p, uint32_t value, CUstream stream)
{
  int n = N;
  void *params[] = {&p, &value, &n};
  MUST(cuLaunchKernel(add, (N + 255) / 256, 1, 1, 256, 1, 1, 0, stream, params, NULL));
}

static bool all_are(CUdeviceptr p, uint32_t value)
{
  uint32_t host[N];
  MUST(cuMemcpyDtoH(host, p, sizeof host));
  for (int i = 0; i < N; i++)
    if (host[i] != value) {
      printf("# element %d is %u and not %u\n", i, host[i], value);
      return false;
    }
  return true;
}

static void open_module(void)
{
  module = load(images[0]);
  MUST(cuModuleGetFunction(&add, module, "add"));
}

/* ---- devices and memory ---- */

static void test_device(void)
{
  int count, value, major, minor;
  char name[64];
  size_t total, available;
  MUST(cuDeviceGetCount(&count));
  MUST(cuDeviceGetName(name, sizeof name, 0));
  MUST(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
  MUST(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0));
  MUST(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
  check(count == 1 && major == 8 && minor == 0 && value == 32, "device: one, of compute capability 8.0, called %s", name);
  MUST(cuMemGetInfo(&available, &total));
  CUdeviceptr p = upload(NULL, 1 << 20);
  size_t less;
  MUST(cuMemGetInfo(&less, &total));
  check(available - less == 1 << 20, "device: cuMemGetInfo follows allocations");
  MUST(cuMemFree(p));
  EXPECT(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
  EXPECT(cuMemAlloc(&p, total + 1), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT(cuMemAlloc(&p, 0), CUDA_ERROR_INVALID_VALUE);
}

static void test_pitched(void)
{
  enum { W = 37, H = 11, HOST_PITCH = 50 };
  uint8_t from[H * HOST_PITCH], to[H * HOST_PITCH] = {0};
  CUdeviceptr p;
  size_t pitch;
  bool same = true;
  for (size_t i = 0; i < sizeof from; i++)
    from[i] = (uint8_t)next_random();
  MUST(cuMemAllocPitch(&p, &pitch, W, H, 4));
  CUDA_MEMCPY2D up = {.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = from, .srcPitch = HOST_PITCH, .srcXInBytes = 3, .srcY = 1,
                      .dstMemoryType = CU_MEMORYTYPE_DEVICE, .dstDevice = p, .dstPitch = pitch, .WidthInBytes = W, .Height = H - 1};
  CUDA_MEMCPY2D down = {.srcMemoryType = CU_MEMORYTYPE_DEVICE, .srcDevice = p, .srcPitch = pitch, .dstMemoryType = CU_MEMORYTYPE_HOST,
                        .dstHost = to, .dstPitch = HOST_PITCH, .WidthInBytes = W, .Height = H - 1};
  MUST(cuMemcpy2D(&up));
  MUST(cuMemcpy2DAsync(&down, NULL));
  MUST(cuStreamSynchronize(NULL));
  for (int y = 0; y < H - 1; y++)
    same &= !memcmp(to + y * HOST_PITCH, from + (y + 1) * HOST_PITCH + 3, W);
  check(same && pitch % 512 == 0, "memory: pitched copies with offsets");
  up.Height = H + 1;
  EXPECT(cuMemcpy2D(&up), CUDA_ERROR_INVALID_VALUE);
}

static void test_memset(void)
{
  uint32_t host[64];
  CUdeviceptr p = upload(NULL, sizeof host);
  MUST(cuMemsetD8(p, 0x11, 256));
  MUST(cuMemsetD16(p + 4, 0x2222, 2));
  MUST(cuMemsetD32Async(p + 8, 0x33333333, 1, NULL));
  MUST(cuMemsetD2D32(p + 16, 32, 7, 2, 3)); /* two words of every eight */
  MUST(cuMemcpyDtoH(host, p, sizeof host));
  check(host[0] == 0x11111111 && host[1] == 0x22222222 && host[2] == 0x33333333 && host[3] == 0x11111111, "memory: memset D8, D16, D32");
  check(host[4] == 7 && host[5] == 7 && host[6] == 0x11111111 && host[12] == 7 && host[20] == 7 && host[28] == 0x11111111, "memory: memset 2D");
  EXPECT(cuMemsetD32(p + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
}

static void test_pointers(void)
{
  unsigned type;
  CUdeviceptr p = upload(NULL, 1000), base, mapped;
  size_t size;
  void *host, *page = aligned_alloc(4096, 4096);
  MUST(cuMemAllocHost(&host, 100));
  MUST(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 10));
  check(type == CU_MEMORYTYPE_DEVICE, "pointers: device memory is told");
  MUST(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)host));
  check(type == CU_MEMORYTYPE_HOST, "pointers: host memory is told");
  MUST(cuMemGetAddressRange(&base, &size, p + 500));
  check(base == p && size == 1000, "pointers: the range around an address");
  EXPECT(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)page), CUDA_ERROR_INVALID_VALUE);
  MUST(cuMemHostRegister(page, 4096, 0));
  MUST(cuMemHostGetDevicePointer(&mapped, page, 0));
  MUST(cuMemsetD32(mapped, 5, N));
  launch_add(mapped, 3, NULL); /* a kernel may use it */
  MUST(cuCtxSynchronize());
  check(((uint32_t *)page)[N - 1] == 8, "pointers: kernels reach registered host memory");
  MUST(cuMemHostUnregister(page));
  EXPECT(cuMemHostUnregister(page), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  MUST(cuMemFreeHost(host));
}

/* ---- streams and events ---- */

static void note(void *data) { *(pthread_t *)data = pthread_self(); }

static void test_streams(void)
{
  CUstream a, b;
  CUevent event, later;
  int least, greatest;
  float milliseconds = -1;
  CUdeviceptr p = upload(NULL, N * 4);
  MUST(cuCtxSynchronize());
  MUST(cuCtxGetStreamPriorityRange(&least, &greatest));
  MUST(cuStreamCreateWithPriority(&a, CU_STREAM_NON_BLOCKING, greatest));
  MUST(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
  MUST(cuEventCreate(&event, CU_EVENT_DEFAULT));
  MUST(cuEventCreate(&later, CU_EVENT_DEFAULT));
  for (int i = 0; i < 20; i++) { /* to and fro: only the events keep the order */
    launch_add(p, 1, i % 2 ? b : a);
    MUST(cuEventRecord(event, i % 2 ? b : a));
    MUST(cuStreamWaitEvent(i % 2 ? a : b, event, 0));
  }
  pthread_t ran_on = pthread_self();
  MUST(cuEventRecord(later, a));
  MUST(cuLaunchHostFunc(a, note, &ran_on));
  MUST(cuStreamSynchronize(a));
  check(all_are(p, 20), "streams: events order two streams");
  check(!pthread_equal(ran_on, pthread_self()), "streams: host functions run on another thread");
  MUST(cuEventSynchronize(later));
  MUST(cuEventElapsedTime(&milliseconds, event, later));
  check(milliseconds >= 0, "streams: elapsed time");
  EXPECT(cuEventQuery(later), CUDA_SUCCESS);
  MUST(cuStreamDestroy(b));
  EXPECT(cuStreamSynchronize(b), CUDA_ERROR_INVALID_HANDLE);
  CUdeviceptr q;
  MUST(cuMemAllocAsync(&q, N * 4, a));
  MUST(cuMemsetD32Async(q, 4, N, a));
  launch_add(q, 1, a);
  MUST(cuMemcpyDtoDAsync(p, q, N * 4, a));
  MUST(cuMemFreeAsync(q, a));
  MUST(cuStreamSynchronize(a));
  check(all_are(p, 5), "streams: stream-ordered allocation");
  MUST(cuStreamDestroy(a));
}

/* ---- several threads at once, as GStreamer's elements are ---- */

enum { WORKERS = 6 };
static CUcontext shared_context;

static void *work(void *right)
{
  CUstream stream;
  uint32_t *host;
  CUdeviceptr p;
  bool good = true;
  MUST(cuCtxPushCurrent(shared_context));
  MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  MUST(cuMemAllocHost((void **)&host, N * 4));
  for (uint32_t round = 0; round < 40; round++) {
    MUST(cuMemAlloc(&p, N * 4));
    MUST(cuMemsetD32Async(p, round, N, stream));
    launch_add(p, 7, stream);
    MUST(cuMemcpyDtoHAsync(host, p, N * 4, stream));
    MUST(cuStreamSynchronize(stream));
    good &= host[0] == round + 7 && host[N - 1] == round + 7;
    MUST(cuMemFree(p));
  }
  MUST(cuMemFreeHost(host));
  MUST(cuStreamDestroy(stream));
  MUST(cuCtxPopCurrent(NULL));
  *(bool *)right = good;
  return NULL;
}

static void test_threads(void)
{
  pthread_t threads[WORKERS];
  bool right[WORKERS] = {false}, all = true;
  MUST(cuCtxGetCurrent(&shared_context));
  for (int i = 0; i < WORKERS; i++)
    pthread_create(&threads[i], NULL, work, &right[i]);
  for (int i = 0; i < WORKERS; i++) {
    pthread_join(threads[i], NULL);
    all &= right[i];
  }
  check(all, "threads: %d at once in one context", WORKERS);
}

/* ---- graphs ---- */

static CUgraph capture(CUstream stream, CUstream side, CUdeviceptr p, uint32_t value)
{
  CUgraph graph;
  CUevent fork, join;
  MUST(cuEventCreate(&fork, 0));
  MUST(cuEventCreate(&join, 0));
  MUST(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  MUST(cuMemsetD32Async(p, 1, N, stream));
  MUST(cuEventRecord(fork, stream));
  MUST(cuStreamWaitEvent(side, fork, 0));
  launch_add(p, value, side);
  MUST(cuEventRecord(join, side));
  MUST(cuStreamWaitEvent(stream, join, 0));
  launch_add(p, 10, stream);
  MUST(cuStreamEndCapture(stream, &graph));
  MUST(cuEventDestroy(fork));
  MUST(cuEventDestroy(join));
  return graph;
}

static void test_graphs(void)
{
  CUstream stream, side;
  CUgraphExec exec;
  CUgraphExecUpdateResultInfo info;
  size_t nodes = 0;
  CUdeviceptr p = upload(NULL, N * 4);
  MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  MUST(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
  MUST(cuCtxSynchronize());
  CUgraph graph = capture(stream, side, p, 100), other = capture(stream, side, p, 200);
  MUST(cuGraphGetNodes(graph, NULL, &nodes));
  check(nodes == 3 && all_are(p, 0), "graphs: capturing runs nothing");
  MUST(cuGraphInstantiate(&exec, graph, 0));
  MUST(cuGraphLaunch(exec, stream));
  MUST(cuGraphLaunch(exec, stream));
  MUST(cuStreamSynchronize(stream));
  check(all_are(p, 111), "graphs: replay, with a fork and a join");
  MUST(cuGraphExecUpdate(exec, other, &info));
  MUST(cuGraphLaunch(exec, stream));
  MUST(cuStreamSynchronize(stream));
  check(all_are(p, 211), "graphs: new parameters after an update");
  MUST(cuGraphDestroy(graph));
  MUST(cuGraphDestroy(other));
  MUST(cuGraphExecDestroy(exec));
  MUST(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  EXPECT(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  MUST(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  CUdeviceptr more;
  EXPECT(cuMemAlloc(&more, 16), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  cuStreamEndCapture(stream, &graph);
}

/* ---- modules ---- */

static uint32_t which(CUmodule from)
{
  CUfunction function;
  uint32_t cc = 0;
  CUdeviceptr p = upload(NULL, 4);
  void *params[] = {&p};
  MUST(cuModuleGetFunction(&function, from, "which"));
  MUST(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
  MUST(cuMemcpyDtoH(&cc, p, 4));
  MUST(cuMemFree(p));
  return cc;
}

static void test_modules(void)
{
  CUfunction function;
  CUmodule bad;
  int threads, dynamic, blocks;
  check(which(load(images[1])) == 80, "modules: the fat binary's entry for this device is taken");
  check(which(load(images[2])) == 80, "modules: from a compressed fat binary too");
  EXPECT(cuModuleGetFunction(&function, module, "nothing"), CUDA_ERROR_NOT_FOUND);
  EXPECT(cuModuleLoadData(&bad, "this is not PTX"), CUDA_ERROR_INVALID_PTX);
  MUST(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, add));
  MUST(cuFuncSetAttribute(add, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100 << 10));
  MUST(cuFuncGetAttribute(&dynamic, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, add));
  MUST(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add, 256, 80 << 10));
  check(threads == 1024 && dynamic == 100 << 10 && blocks == 2, "modules: function attributes and occupancy");
  EXPECT(cuFuncSetAttribute(add, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 200 << 10), CUDA_ERROR_INVALID_VALUE);
}

static void test_libraries(void)
{
  CUlibrary library;
  CUkernel kernel;
  CUfunction function;
  CUdeviceptr total;
  size_t size;
  uint32_t value = 0;
  char *image = read_file(images[1]);
  MUST(cuLibraryLoadData(&library, image, NULL, NULL, 0, NULL, NULL, 0));
  MUST(cuLibraryGetKernel(&kernel, library, "count"));
  MUST(cuKernelGetFunction(&function, kernel));
  CUlaunchConfig config = {.gridDimX = 5, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 40, .blockDimY = 1, .blockDimZ = 1};
  MUST(cuLaunchKernelEx(&config, (CUfunction)kernel, NULL, NULL)); /* either handle will do */
  MUST(cuLaunchKernelEx(&config, function, NULL, NULL));
  MUST(cuLibraryGetGlobal(&total, &size, library, "total"));
  MUST(cuMemcpyDtoH(&value, total, 4));
  check(value == 2 * 5 * 40, "libraries: kernels and variables");
  MUST(cuLibraryUnload(library));
  EXPECT(cuLaunchKernelEx(&config, function, NULL, NULL), CUDA_ERROR_INVALID_HANDLE);
  free(image);
}

/* ---- entry points ---- */

static void test_entry_points(void)
{
  static const char *gstreamer[] = {
    "cuInit", "cuGetErrorName", "cuGetErrorString", "cuCtxCreate_v2", "cuCtxDestroy_v2", "cuCtxPopCurrent_v2", "cuCtxPushCurrent_v2",
    "cuCtxEnablePeerAccess", "cuCtxDisablePeerAccess", "cuGraphicsMapResources", "cuGraphicsUnmapResources",
    "cuGraphicsSubResourceGetMappedArray", "cuGraphicsResourceGetMappedPointer_v2", "cuGraphicsResourceSetMapFlags_v2",
    "cuGraphicsUnregisterResource", "cuMemAlloc_v2", "cuMemAllocPitch_v2", "cuMemAllocHost_v2", "cuMemcpy2D_v2", "cuMemcpy2DAsync_v2",
    "cuMemFree_v2", "cuMemFreeHost", "cuStreamCreate", "cuStreamDestroy_v2", "cuStreamSynchronize", "cuDeviceGet", "cuDeviceGetCount",
    "cuDeviceGetName", "cuDeviceGetAttribute", "cuDeviceCanAccessPeer", "cuDriverGetVersion", "cuModuleLoadData", "cuModuleUnload",
    "cuModuleGetFunction", "cuTexObjectCreate", "cuTexObjectDestroy", "cuLaunchKernel", "cuGraphicsGLRegisterImage",
    "cuGraphicsGLRegisterBuffer", "cuGLGetDevices_v2"};
  const char *missing = NULL;
  void *driver = dlopen("libcuda.so.1", RTLD_NOW), *function = NULL;
  for (size_t i = 0; i < sizeof gstreamer / sizeof *gstreamer; i++)
    missing = dlsym(driver, gstreamer[i]) ? missing : gstreamer[i];
  check(!missing, "entry points: GStreamer's 40%s%s", missing ? " but not " : "", missing ? missing : "");
  CUdriverProcAddressQueryResult found;
  EXPECT(cuGetProcAddress("cuMemAlloc", &function, 13000, 0, &found), CUDA_SUCCESS);
  check(function == dlsym(driver, "cuMemAlloc_v2"), "entry points: cuGetProcAddress finds the newest version");
  EXPECT(cuGetProcAddress("cuNothing", &function, 13000, 0, &found), CUDA_ERROR_NOT_FOUND);
  CUarray array;
  CUDA_ARRAY_DESCRIPTOR description = {16, 16, CU_AD_FORMAT_FLOAT, 1};
  EXPECT(cuArrayCreate(&array, &description), CUDA_ERROR_NOT_SUPPORTED);
  const char *text = NULL;
  MUST(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  check(!strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS"), "entry points: error names");
}

static void test_contexts(void)
{
  CUcontext primary, current, mine;
  CUdevice device;
  MUST(cuCtxGetCurrent(&mine));
  MUST(cuDevicePrimaryCtxRetain(&primary, 0));
  MUST(cuCtxPushCurrent(primary));
  MUST(cuCtxGetDevice(&device));
  CUdeviceptr p;
  MUST(cuMemAlloc(&p, 16));
  MUST(cuMemFree(p));
  MUST(cuCtxPopCurrent(&current));
  check(current == primary && device == 0, "contexts: the primary one, pushed and popped");
  MUST(cuDevicePrimaryCtxRelease(0));
  EXPECT(cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
  MUST(cuCtxPopCurrent(&current));
  EXPECT(cuMemAlloc(&p, 16), CUDA_ERROR_INVALID_CONTEXT);
  MUST(cuCtxPushCurrent(mine));
}

/* ---- with another environment, in a process of its own ---- */

static void two_devices(void)
{
  int count, can;
  CUdeviceptr here = upload(NULL, N * 4), there;
  make_context(1);
  there = upload(NULL, N * 4);
  MUST(cuDeviceGetCount(&count));
  MUST(cuDeviceCanAccessPeer(&can, 0, 1));
  check(count == 2 && !can, "two devices: no peer access");
  MUST(cuMemsetD32(there, 9, N));
  MUST(cuMemcpyPeer(here, NULL, there, NULL, N * 4));
  check(all_are(here, 9), "two devices: copies between them need none");
}

static void peers(void)
{
  CUcontext first, second;
  CUdeviceptr there;
  MUST(cuCtxGetCurrent(&first));
  second = make_context(1);
  there = upload(NULL, N * 4);
  MUST(cuCtxSynchronize());
  MUST(cuCtxSetCurrent(first));
  MUST(cuCtxEnablePeerAccess(second, 0));
  open_module();
  launch_add(there, 6, NULL);
  check(all_are(there, 6), "two devices: with peer access a kernel reaches the other's memory");
}

static void failed_allocation(void)
{
  CUdeviceptr p;
  EXPECT(cuMemAlloc(&p, 16), CUDA_SUCCESS);
  EXPECT(cuMemAlloc(&p, 16), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT(cuMemAlloc(&p, 16), CUDA_SUCCESS);
}

static CUresult try_count(void)
{
  CUfunction count;
  MUST(cuModuleGetFunction(&count, module, "count"));
  return cuLaunchKernel(count, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
}

static void failed_launch(void)
{
  open_module();
  EXPECT(try_count(), CUDA_SUCCESS);
  EXPECT(try_count(), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  EXPECT(try_count(), CUDA_SUCCESS);
  EXPECT(cuCtxSynchronize(), CUDA_SUCCESS);
}

static void lost_device(void)
{
  CUdeviceptr p = upload(NULL, 16);
  CUcontext context;
  open_module();
  MUST(cuCtxGetCurrent(&context));
  EXPECT(try_count(), CUDA_SUCCESS);
  EXPECT(try_count(), CUDA_SUCCESS);
  EXPECT(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT(cuMemFree(p), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT(cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT(cuCtxDestroy(context), CUDA_SUCCESS);
}

/* A fat binary with 75, 80 and 90 on devices between them. */
static void later_device(void) { check(which(load(images[1])) == 80, "modules: 8.9 runs the PTX of 8.0"); }
static void turing(void)
{
  CUmodule newer;
  check(which(load(images[1])) == 75, "modules: 7.5 runs the PTX of 7.5");
  EXPECT(cuModuleLoadData(&newer, read_file(images[0])), CUDA_ERROR_NO_BINARY_FOR_GPU);
}

static void too_old(void)
{
  CUmodule none;
  EXPECT(cuModuleLoadData(&none, read_file(images[1])), CUDA_ERROR_NO_BINARY_FOR_GPU);
}

static void no_device(void)
{
  EXPECT(cuInit(0), CUDA_ERROR_NO_DEVICE);
}

static void with(const char *environment, const char *more, bool context, void (*body)(void))
{
  int status;
  fflush(stdout);
  pid_t child = fork();
  if (!child) {
    putenv((char *)environment);
    if (more)
      putenv((char *)more);
    passed = failed = 0;
    if (context)
      make_context(0);
    body();
    exit(failed != 0);
  }
  waitpid(child, &status, 0);
  if (status) {
    failed++;
    if (!WIFEXITED(status))
      check(false, "with %s: ended by signal %d", environment, WTERMSIG(status));
  }
}

int main(int argc, char **argv)
{
  if (argc != 4)
    return 2;
  images = argv + 1;
  with("GPUSIM_DEVICES=2", NULL, true, two_devices);
  with("GPUSIM_DEVICES=2", "GPUSIM_PEER=1", true, peers);
  with("GPUSIM_FAIL_ALLOC=2", NULL, true, failed_allocation);
  with("GPUSIM_FAIL_LAUNCH=2", NULL, true, failed_launch);
  with("GPUSIM_LOSE_DEVICE=2", NULL, true, lost_device);
  with("GPUSIM_DEVICES=0", NULL, false, no_device);
  with("GPUSIM_CC=89", NULL, true, later_device);
  with("GPUSIM_CC=75", NULL, true, turing);
  with("GPUSIM_CC=70", NULL, true, too_old);
  make_context(0); /* from here no fork: threads do not survive one */
  open_module();
  test_device();
  test_pitched();
  test_memset();
  test_pointers();
  test_streams();
  test_threads();
  test_graphs();
  test_modules();
  test_libraries();
  test_entry_points();
  test_contexts();
  return finish();
}
