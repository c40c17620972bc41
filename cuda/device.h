/* SPDX-License-Identifier: MIT */
/* A device with one of its contexts, our kernels in it, and what is to know of it. */

#ifndef YOLO_CUDA_DEVICE_H
#define YOLO_CUDA_DEVICE_H

#include "cuda/driver.h"

G_BEGIN_DECLS

/* The modules. Each is made of cuda/kernels/NAME.cu, and is loaded when the first of its
 * functions is asked for. */
#define YOLO_CUDA_MODULES(X) \
  X (attention) X (conv_mma_f16) X (conv_mma_s8) X (conv_simt) X (decode) X (details) X (draw) \
  X (motion) X (ops) X (preprocess) X (redact)

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
  gboolean primary;             /* the context is the device's primary one, which is retained */
  char name[128];
  char uuid[33];                /* hexadecimal */
  int capability;               /* 75, 80, 90, ... */
  int n_sm;
  int shared_per_block;         /* bytes that a kernel can have if it opts in */
  int shared_per_sm;            /* bytes */
  int clock_khz, memory_clock_khz, memory_bus_bits;     /* 0 where the driver does not tell */
  gsize memory;                 /* bytes */

  /* private */
  gint refs;
  GMutex lock;
  CUmodule modules[YOLO_CUDA_N_MODULES];        /* under lock */
  gpointer cudnn;               /* conv-cudnn.c's own, under lock */
  void (*cudnn_free) (gpointer cudnn);
} YoloCudaDevice;

/* Whether the device is there and new enough; the error says why not. This makes no
 * context, which would take a while and some hundred megabytes. Thread-safe. */
gboolean yolo_cuda_device_check (guint index, GError **error);

/**
 * yolo_cuda_device_get:
 * @index: the device's number, as CUDA counts
 * @context: (nullable): a CUcontext of the device that outlives the object; NULL: the
 *   device's primary one
 *
 * There is one object for each context, which all who ask for it share. Thread-safe.
 *
 * Returns: (transfer full): the device, or NULL with @error
 */
YoloCudaDevice *yolo_cuda_device_get (guint index, gpointer context, GError **error);
YoloCudaDevice *yolo_cuda_device_ref (YoloCudaDevice *device);
void yolo_cuda_device_unref (YoloCudaDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloCudaDevice, yolo_cuda_device_unref)

/* yolo_cuda_enter() makes the device's context the current one of the calling thread,
 * yolo_cuda_leave() the one that was current before. All functions below are called
 * between these two. */
gboolean yolo_cuda_enter (YoloCudaDevice *device, GError **error);
void yolo_cuda_leave (YoloCudaDevice *device);

/* Finds a kernel by its name. Callers keep what they got, since a look-up takes microseconds.
 * Thread-safe. */
CUfunction yolo_cuda_function (
    YoloCudaDevice *device, YoloCudaModule module, const char *name, GError **error);

/* Enqueues a kernel whose only parameter is the struct at @params, which is copied.
 * @block: threads of a block; @shared: bytes of dynamic shared memory, of which a function
 * that has not opted in can have 48 KiB. */
gboolean yolo_cuda_launch (YoloCudaDevice *device, CUfunction function, guint grid_x, guint grid_y,
    guint grid_z, guint block, guint shared, CUstream stream, const void *params, GError **error);

/* Device memory. The error names @what and the size. To free 0 is allowed. */
CUdeviceptr yolo_cuda_alloc (YoloCudaDevice *device, gsize size, const char *what, GError **error);
void yolo_cuda_free (YoloCudaDevice *device, CUdeviceptr memory);
/* Copies from the host. All streams see what was copied when the call returns. */
gboolean yolo_cuda_write (YoloCudaDevice *device, CUdeviceptr to, const void *from, gsize size,
    const char *what, GError **error);
/* Pinned memory of the host. */
void *yolo_cuda_alloc_host (YoloCudaDevice *device, gsize size, const char *what, GError **error);
void yolo_cuda_free_host (YoloCudaDevice *device, void *memory);

G_END_DECLS

#endif
