/* SPDX-License-Identifier: MIT */
#include "cuda/upload.h"

#include <string.h>

#include "image/sample.h"

/* Planes and their rows begin on the device at multiples of a cache line, 128 bytes. */
#define ALIGN(x) (((x) + 127) & ~(gsize) 127)

typedef struct {
  gsize bytes, rows;            /* 0: the format has no such plane */
} PlaneSize;

static void
plane_sizes (const YoloFrame *frame, PlaneSize sizes[3])
{
  const YoloLayout *layout = &yolo_layouts[frame->format];
  gsize sample = layout->bits > 8 ? 2 : 1;

  memset (sizes, 0, 3 * sizeof (*sizes));
  for (int i = 0; i < layout->n_components; i++) {
    PlaneSize *size = &sizes[layout->component[i].plane];
    gsize last = (gsize) ((frame->width - 1) >> layout->component[i].x_shift);

    size->bytes =
        MAX (size->bytes, last * layout->component[i].step + layout->component[i].offset + sample);
    size->rows =
        MAX (size->rows, ((gsize) (frame->height - 1) >> layout->component[i].y_shift) + 1);
  }
}

static gsize
frame_size (const YoloFrame *frame)
{
  PlaneSize sizes[3];
  gsize size = 0;

  plane_sizes (frame, sizes);
  for (guint i = 0; i < 3; i++)
    size += ALIGN (sizes[i].bytes) * sizes[i].rows;
  return size;
}

static void
release_primary (YoloUpload *upload, YoloCudaDevice *device)
{
  if (upload->primary != NULL)
    device->driver->cuDevicePrimaryCtxRelease (upload->primary_of);
  upload->primary = NULL;
}

/* The primary context of the GPU of this number. It is kept until a frame lies in another one:
 * whoever has the frame holds it, too. NULL with @error if it cannot be had. */
static CUcontext
primary_of (YoloUpload *upload, YoloCudaDevice *device, guint number, GError **error)
{
  CUdevice owner;

  if (!yolo_cuda_check (
          device->driver->cuDeviceGet (&owner, (int) number), "find the device of a frame", error))
    return NULL;
  if (upload->primary != NULL && upload->primary_of == owner)
    return upload->primary;
  release_primary (upload, device);
  upload->primary_of = owner;
  if (!yolo_cuda_check (device->driver->cuDevicePrimaryCtxRetain (&upload->primary, owner),
          "use the primary context of a frame's device", error)) {
    upload->primary = NULL;
    return NULL;
  }
  return upload->primary;
}

/* The context that a frame's planes belong to: where the frame names none, the primary one of the
 * device that they lie on. NULL with @error if that cannot be had. */
static CUcontext
context_of (YoloUpload *upload, YoloCudaDevice *device, const YoloFrame *frame, GError **error)
{
  if (frame->cuda_context != NULL)
    return frame->cuda_context;
  if (device->primary && frame->device == device->index)
    return device->context;
  return primary_of (upload, device, frame->device, error);
}

static gboolean
grow (YoloUpload *upload, YoloCudaDevice *device, gsize pinned, gsize memory, GError **error)
{
  if (pinned > upload->pinned_size) {
    yolo_cuda_free_host (device, upload->pinned);
    upload->pinned_size = 0;
    upload->pinned = yolo_cuda_alloc_host (device, pinned, "frames in pinned memory", error);
    if (upload->pinned == NULL)
      return FALSE;
    upload->pinned_size = pinned;
  }
  if (memory > upload->memory_size) {
    yolo_cuda_free (device, upload->memory);
    upload->memory_size = 0;
    upload->memory = yolo_cuda_alloc (device, memory, "frames", error);
    if (upload->memory == 0)
      return FALSE;
    upload->memory_size = memory;
  }
  return TRUE;
}

/* Copies a row of a plane of a frame on the host to @to, from where it is uploaded. */
static void
copy_row (const YoloFrame *frame, guint plane, gsize y, gsize bytes, guint8 *to)
{
  if (frame->unpack != NULL)
    frame->unpack (frame->source, (int) y, to);
  else
    memcpy (to, (const guint8 *) frame->plane[plane] + (gssize) y * frame->stride[plane], bytes);
}

/* Enqueues the upload of a frame on the host. Its rows are copied to pinned memory first: the
 * device reads that by itself, at the bus's full speed, while pageable memory would make
 * the calling thread wait. */
static gboolean
from_host (YoloCudaDevice *device, const YoloFrame *frame, guint8 *pinned, CUdeviceptr memory,
    YoloFrame *ready, CUstream stream, GError **error)
{
  PlaneSize sizes[3];
  gsize offset = 0;

  ready->unpack = NULL;
  plane_sizes (frame, sizes);
  for (guint i = 0; i < 3; i++) {
    if (sizes[i].rows == 0)
      continue;
    gsize stride = ALIGN (sizes[i].bytes);
    for (gsize y = 0; y < sizes[i].rows; y++)
      copy_row (frame, i, y, sizes[i].bytes, pinned + offset + y * stride);
    ready->plane[i] = (const void *) (memory + offset);
    ready->stride[i] = (ptrdiff_t) stride;
    offset += stride * sizes[i].rows;
  }
  return yolo_cuda_check (
      device->driver->cuMemcpyHtoDAsync (memory, pinned, offset, stream), "upload a frame", error);
}

/* Waits on the host until a frame of another context is written. Events cannot do that: they
 * are known in their own context only. */
static gboolean
wait_foreign (YoloCudaDevice *device, CUcontext context, const YoloFrame *frame, GError **error)
{
  CUcontext popped;
  gboolean done;

  if (frame->cuda_stream == NULL)
    return TRUE;
  if (!yolo_cuda_check (
          device->driver->cuCtxPushCurrent (context), "use the context of a frame", error))
    return FALSE;
  done = yolo_cuda_check (
      device->driver->cuStreamSynchronize (frame->cuda_stream), "wait for a frame", error);
  device->driver->cuCtxPopCurrent (&popped);
  return done;
}

/* Enqueues the copy of a frame that lies in another context. */
static gboolean
from_context (YoloCudaDevice *device, CUcontext context, const YoloFrame *frame, CUdeviceptr memory,
    YoloFrame *ready, CUstream stream, GError **error)
{
  PlaneSize sizes[3];

  plane_sizes (frame, sizes);
  if (!wait_foreign (device, context, frame, error))
    return FALSE;
  for (guint i = 0; i < 3; i++) {
    if (sizes[i].rows == 0)
      continue;
    gsize stride = ALIGN (sizes[i].bytes);
    CUDA_MEMCPY3D_PEER copy = {
      .srcMemoryType = CU_MEMORYTYPE_DEVICE,
      .srcDevice = (CUdeviceptr) frame->plane[i],
      .srcContext = context,
      .srcPitch = (gsize) frame->stride[i],
      .srcHeight = sizes[i].rows,
      .dstMemoryType = CU_MEMORYTYPE_DEVICE,
      .dstDevice = memory,
      .dstContext = device->context,
      .dstPitch = stride,
      .dstHeight = sizes[i].rows,
      .WidthInBytes = sizes[i].bytes,
      .Height = sizes[i].rows,
      .Depth = 1,
    };
    if (!yolo_cuda_check (device->driver->cuMemcpy3DPeerAsync (&copy, stream),
            "copy a frame from another context", error))
      return FALSE;
    ready->plane[i] = (const void *) memory;
    ready->stride[i] = (ptrdiff_t) stride;
    memory += stride * sizes[i].rows;
  }
  return TRUE;
}

/* Has @stream wait for the stream that writes a frame of the device's own context. */
static gboolean
wait_own (
    YoloCudaDevice *device, const YoloFrame *frame, CUstream stream, CUevent event, GError **error)
{
  const YoloCudaDriver *driver = device->driver;

  if (frame->cuda_stream == NULL)
    return TRUE;
  /* The wait is for the event as it is recorded now, so the next frame may record it again. */
  return yolo_cuda_check (driver->cuEventRecord (event, frame->cuda_stream),
             "follow the stream of a frame", error)
      && yolo_cuda_check (
          driver->cuStreamWaitEvent (stream, event, 0), "follow the stream of a frame", error);
}

gboolean
yolo_upload_frames (YoloUpload *upload, YoloCudaDevice *device, const YoloFrame *frames, guint n,
    YoloFrame *ready, CUstream stream, CUevent event, GError **error)
{
  gsize pinned = 0, memory = 0;

  for (guint i = 0; i < n; i++) {
    CUcontext context = device->context;

    if (frames[i].memory == YOLO_MEMORY_CUDA
        && (context = context_of (upload, device, &frames[i], error)) == NULL)
      return FALSE;
    if (frames[i].memory == YOLO_MEMORY_HOST)
      pinned += frame_size (&frames[i]);
    if (frames[i].memory == YOLO_MEMORY_HOST || context != device->context)
      memory += frame_size (&frames[i]);
  }
  if (!grow (upload, device, pinned, memory, error))
    return FALSE;

  pinned = memory = 0;
  for (guint i = 0; i < n; i++) {
    const YoloFrame *frame = &frames[i];
    gboolean done;

    ready[i] = *frame;
    if (frame->memory == YOLO_MEMORY_HOST) {
      done = from_host (device, frame, upload->pinned + pinned, upload->memory + memory, &ready[i],
          stream, error);
      pinned += frame_size (frame);
      memory += frame_size (frame);
    } else {
      CUcontext context = context_of (upload, device, frame, error);
      if (context == device->context) {
        done = wait_own (device, frame, stream, event, error);
      } else {
        done = from_context (
            device, context, frame, upload->memory + memory, &ready[i], stream, error);
        memory += frame_size (frame);
      }
    }
    if (!done)
      return FALSE;
  }
  return TRUE;
}

/* Asks the driver for the first and the last byte that is read of each plane, which takes well
 * under a microsecond each. */
int
yolo_upload_unknown_plane (YoloCudaDevice *device, const YoloFrame *frame)
{
  PlaneSize sizes[3];

  plane_sizes (frame, sizes);
  for (int i = 0; i < 3; i++) {
    CUdeviceptr first = (CUdeviceptr) frame->plane[i];
    unsigned type;

    if (sizes[i].rows == 0)
      continue;
    CUdeviceptr last =
        first + (sizes[i].rows - 1) * (CUdeviceptr) frame->stride[i] + sizes[i].bytes - 1;
    if (device->driver->cuPointerGetAttribute (&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, first)
            != CUDA_SUCCESS
        || device->driver->cuPointerGetAttribute (&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, last)
            != CUDA_SUCCESS)
      return i;
  }
  return -1;
}

void
yolo_upload_clear (YoloUpload *upload, YoloCudaDevice *device)
{
  yolo_cuda_free_host (device, upload->pinned);
  yolo_cuda_free (device, upload->memory);
  release_primary (upload, device);
  *upload = (YoloUpload) { 0 };
}
