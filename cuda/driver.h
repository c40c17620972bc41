/* SPDX-License-Identifier: MIT */
/* The driver, opened at run time: the plugin loads, and says so, where there is none. */

#ifndef YOLO_CUDA_DRIVER_H
#define YOLO_CUDA_DRIVER_H

#include <cuda.h>
#include <glib.h>

#include "network/model.h"

G_BEGIN_DECLS

/* All functions of the driver that we call. cuda.h renames some of them to a version
 * ("_v2"). Member and symbol follow, so that driver->cuMemAlloc means the same function
 * as cuMemAlloc in the header that we are built with. */
#define YOLO_CUDA_ENTRIES(X) \
    X (cuInit) X (cuDriverGetVersion) X (cuGetErrorName) X (cuGetErrorString) X (cuDeviceGet) \
    X (cuDeviceGetCount) X (cuDeviceGetName) X (cuDeviceGetAttribute) X (cuDeviceGetUuid) \
    X (cuDeviceTotalMem) X (cuDeviceCanAccessPeer) X (cuDevicePrimaryCtxRetain) \
    X (cuDevicePrimaryCtxRelease) X (cuCtxPushCurrent) X (cuCtxPopCurrent) X (cuCtxGetDevice) \
    X (cuCtxEnablePeerAccess) X (cuModuleLoadData) X (cuModuleUnload) X (cuModuleGetFunction) \
    X (cuFuncSetAttribute) X (cuFuncGetAttribute) X (cuLaunchKernel) \
    X (cuOccupancyMaxActiveBlocksPerMultiprocessor) X (cuMemAlloc) X (cuMemFree) X (cuMemGetInfo) \
    X (cuMemHostAlloc) X (cuMemFreeHost) X (cuMemcpyHtoD) X (cuMemcpyDtoH) X (cuMemcpyHtoDAsync) \
    X (cuMemcpyDtoHAsync) X (cuMemcpyDtoDAsync) X (cuMemcpy2DAsync) X (cuMemcpy3DPeerAsync) \
    X (cuMemsetD8) X (cuMemsetD8Async) X (cuMemsetD32Async) X (cuPointerGetAttribute) \
    X (cuStreamCreateWithPriority) X (cuStreamDestroy) X (cuStreamSynchronize) \
    X (cuStreamWaitEvent) X (cuStreamQuery) X (cuCtxGetStreamPriorityRange) X (cuEventCreate) \
    X (cuEventDestroy) X (cuEventRecord) X (cuEventSynchronize) X (cuEventElapsedTime) \
    X (cuStreamBeginCapture) X (cuStreamEndCapture) X (cuGraphInstantiateWithFlags) \
    X (cuGraphLaunch) X (cuGraphExecDestroy) X (cuGraphDestroy)

typedef struct {
#define YOLO_CUDA_MEMBER(name) __typeof__ (&name) name;
  YOLO_CUDA_ENTRIES (YOLO_CUDA_MEMBER)
#undef YOLO_CUDA_MEMBER
  int version;                  /* 12040: CUDA 12.4 */
} YoloCudaDriver;

/**
 * yolo_cuda_driver:
 *
 * Opens libcuda.so.1 and initialises it at the first call. If that fails, all later calls
 * fail in the same way. Thread-safe.
 *
 * Returns: (transfer none): the table, or NULL with @error
 * (YOLO_NETWORK_ERROR_DEVICE) that says what is missing
 */
const YoloCudaDriver *yolo_cuda_driver (GError **error);

/**
 * yolo_cuda_check:
 * @result: what a function of the driver returned
 * @what: what was tried, to stand in "cannot ...: out of memory"
 *
 * The error's code is YOLO_NETWORK_ERROR_MEMORY where memory ran out, else
 * YOLO_NETWORK_ERROR_DEVICE.
 *
 * Returns: whether it succeeded
 */
gboolean yolo_cuda_check (CUresult result, const char *what, GError **error);

G_END_DECLS

#endif
