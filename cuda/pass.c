/* SPDX-License-Identifier: MIT */
#include "cuda/pass.h"

#include "cuda/backend.h"

/* Rows of a view in the arena of an exec, one for each pixel. */
typedef struct {
  CUdeviceptr address;          /* of the first row */
  gsize width, pitch;           /* bytes */
  gsize rows;
} Rows;

static Rows
rows_of (const YoloExec *exec, YoloView view)
{
  const YoloPlan *plan = exec->plan;
  const YoloBuffer *buffer = &plan->buffers[view.buffer];
  const gsize element = yolo_dtype_size (buffer->dtype);

  return (Rows) {
    .address = yolo_cuda_exec_buffer (exec, view.buffer) + view.channel * element,
    .width = view.channels * element,
    .pitch = buffer->channels * element,
    .rows = (gsize) plan->batch * buffer->height * buffer->width,
  };
}

/* Waits, asleep, for the copies in the stream of an exec. */
static gboolean
finish (const YoloCudaEnd *end, GError **error)
{
  const YoloCudaDriver *driver = end->device->driver;

  return yolo_cuda_check (driver->cuEventRecord (end->done, end->stream), "pass activations", error)
      && yolo_cuda_check (driver->cuEventSynchronize (end->done), "pass activations", error);
}

/* Lets the device of the current context reach another one's memory where it can. Where it cannot,
 * the driver copies by way of the host, so that no answer is an error. */
static void
open_way (const YoloCudaEnd *from, const YoloCudaEnd *to)
{
  const YoloCudaDriver *driver = from->device->driver;
  int can = 0;

  if (from->device->device != to->device->device
      && driver->cuDeviceCanAccessPeer (&can, from->device->device, to->device->device)
          == CUDA_SUCCESS
      && can)
    driver->cuCtxEnablePeerAccess (to->device->context, 0);
}

static gboolean
copy_between (const YoloCudaEnd *from, const YoloCudaEnd *to, GError **error)
{
  const YoloPlan *plan = to->exec->plan;

  open_way (from, to);
  for (guint i = 0; i < plan->n_given; i++) {
    const Rows source = rows_of (from->exec, plan->given[i]),
        target = rows_of (to->exec, plan->given[i]);
    const CUDA_MEMCPY3D_PEER copy = {
      .srcMemoryType = CU_MEMORYTYPE_DEVICE,
      .srcDevice = source.address,
      .srcContext = from->device->context,
      .srcPitch = source.pitch,
      .srcHeight = source.rows,
      .dstMemoryType = CU_MEMORYTYPE_DEVICE,
      .dstDevice = target.address,
      .dstContext = to->device->context,
      .dstPitch = target.pitch,
      .dstHeight = target.rows,
      .WidthInBytes = source.width,
      .Height = source.rows,
      .Depth = 1,
    };

    if (!yolo_cuda_check (from->device->driver->cuMemcpy3DPeerAsync (&copy, from->stream),
            "pass activations to another device", error))
      return FALSE;
  }
  return finish (from, error);
}

gboolean
yolo_cuda_pass_between (const YoloCudaEnd *from, const YoloCudaEnd *to, GError **error)
{
  gboolean done;

  if (!yolo_cuda_enter (from->device, error))
    return FALSE;
  done = copy_between (from, to, error);
  yolo_cuda_leave (from->device);
  return done;
}

/* Copies between the arena of an exec on a device and a message in pinned memory. */
static gboolean
copy_message (const YoloCudaEnd *end, const YoloPlan *to, gboolean to_host, GError **error)
{
  guint8 *message = *end->pinned;

  for (guint i = 0; i < to->n_given; i++) {
    const Rows rows = rows_of (end->exec, to->given[i]);
    CUDA_MEMCPY2D copy = { .WidthInBytes = rows.width, .Height = rows.rows };

    if (to_host) {
      copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
      copy.srcDevice = rows.address;
      copy.srcPitch = rows.pitch;
      copy.dstMemoryType = CU_MEMORYTYPE_HOST;
      copy.dstHost = message;
      copy.dstPitch = rows.width;
    } else {
      copy.srcMemoryType = CU_MEMORYTYPE_HOST;
      copy.srcHost = message;
      copy.srcPitch = rows.width;
      copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
      copy.dstDevice = rows.address;
      copy.dstPitch = rows.pitch;
    }
    if (!yolo_cuda_check (end->device->driver->cuMemcpy2DAsync (&copy, end->stream),
            to_host ? "pass activations to the host" : "pass activations from the host", error))
      return FALSE;
    message += rows.width * rows.rows;
  }
  return finish (end, error);
}

/* Pinned memory for a message, which is the same one every time. In the device's context. */
static gboolean
ready_message (const YoloCudaEnd *end, const YoloPlan *to, GError **error)
{
  if (*end->pinned == NULL)
    *end->pinned = yolo_cuda_alloc_host (
        end->device, yolo_given_size (to), "activations in pinned memory", error);
  return *end->pinned != NULL;
}

gboolean
yolo_cuda_pass_to_host (const YoloCudaEnd *from, const YoloExec *to, GError **error)
{
  gboolean done;

  if (!yolo_cuda_enter (from->device, error))
    return FALSE;
  done = ready_message (from, to->plan, error) && copy_message (from, to->plan, TRUE, error);
  yolo_cuda_leave (from->device);
  if (done)
    yolo_given_unpack (to, *from->pinned);
  return done;
}

gboolean
yolo_cuda_pass_from_host (const YoloExec *from, const YoloCudaEnd *to, GError **error)
{
  gboolean done;

  if (!yolo_cuda_enter (to->device, error))
    return FALSE;
  done = ready_message (to, to->exec->plan, error);
  if (done) {
    yolo_given_pack (to->exec->plan, from, *to->pinned);
    done = copy_message (to, to->exec->plan, FALSE, error);
  }
  yolo_cuda_leave (to->device);
  return done;
}
