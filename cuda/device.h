/* SPDX-License-Identifier: MIT */
/* A context of a device, its kernels and its facts. */

#ifndef YOLO_CUDA_DEVICE_H
#define YOLO_CUDA_DEVICE_H

#include "cuda/driver.h"

G_BEGIN_DECLS

/* Each is cuda/kernels/NAME.cu, a module of its own: it is loaded when its
 * first function is asked for. */
#define YOLO_CUDA_MODULES(X) \
  X (conv_mma_f16) X (conv_mma_s8) X (conv_simt) X (decode) X (draw) X (ops) X (preprocess)

typedef enum {
#define YOLO_CUDA_MODULE(name) YOLO_CUDA_MODULE_##name,
  YOLO_CUDA_MODULES (YOLO_CUDA_MODULE)
#undef YOLO_CUDA_MODULE
  YOLO_CUDA_N_MODULES
} YoloCudaModule;

typedef struct {
  const YoloCudaDriver *driver;
  guint index;                  /* as CUDA counts devices */
  CUdevice device;
  CUcontext context;
  gboolean primary;             /* the context is the device's primary one, retained */
  char name[128];
  char uuid[33];                /* hexadecimal */
  int capability;               /* 75, 80, 90, ... */
  int n_sm;
  int shared_per_block;         /* bytes, opted in */
  int shared_per_sm;            /* bytes */
  int clock_khz, memory_clock_khz, memory_bus_bits;     /* 0 where the driver does not tell */
  gsize memory;                 /* bytes */

  /* private */
  gint refs;
  GMutex lock;
  CUmodule modules[YOLO_CUDA_N_MODULES];        /* under lock */
  gpointer cudnn;               /* of conv-cudnn.c, under lock */
  void (*cudnn_free) (gpointer cudnn);
} YoloCudaDevice;

/* Whether the device is there and new enough; the error says why not. Makes no
 * context, which takes a while and some hundred megabytes. Thread-safe. */
gboolean yolo_cuda_device_check (guint index, GError **error);

/**
 * yolo_cuda_device_get:
 * @index: of the device
 * @context: (nullable): a CUcontext of it that outlives the object; NULL: the primary one
 *
 * One object a context: who asks again gets the same one. Thread-safe.
 *
 * Returns: (transfer full): the device, or NULL with @error
 */
YoloCudaDevice *yolo_cuda_device_get (guint index, gpointer context, GError **error);
YoloCudaDevice *yolo_cuda_device_ref (YoloCudaDevice *device);
void yolo_cuda_device_unref (YoloCudaDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloCudaDevice, yolo_cuda_device_unref)

/* Makes the context the calling thread's current one, and the one before it
 * again. All other calls for a device are made between these two. */
gboolean yolo_cuda_enter (YoloCudaDevice *device, GError **error);
void yolo_cuda_leave (YoloCudaDevice *device);

/* A kernel by its name. Thread-safe; the caller keeps the result: a look-up takes microseconds. */
CUfunction yolo_cuda_function (
    YoloCudaDevice *device, YoloCudaModule module, const char *name, GError **error);

/* Enqueues a kernel whose only parameter is the struct at @params, copied.
 * @shared: bytes of dynamic shared memory; above 48 KiB the function must have been opted in. */
gboolean yolo_cuda_launch (YoloCudaDevice *device, CUfunction function, guint grid_x, guint grid_y,
    guint grid_z, guint block, guint shared, CUstream stream, const void *params, GError **error);

/* Device memory; the error names @what and the size. Freed with 0 being allowed. */
CUdeviceptr yolo_cuda_alloc (YoloCudaDevice *device, gsize size, const char *what, GError **error);
void yolo_cuda_free (YoloCudaDevice *device, CUdeviceptr memory);
/* Copies from the host; all streams find it there when the call returns. */
gboolean yolo_cuda_write (YoloCudaDevice *device, CUdeviceptr to, const void *from, gsize size,
    const char *what, GError **error);
/* Pinned memory of the host. */
void *yolo_cuda_alloc_host (YoloCudaDevice *device, gsize size, const char *what, GError **error);
void yolo_cuda_free_host (YoloCudaDevice *device, void *memory);

G_END_DECLS

#endif
