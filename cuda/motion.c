/* SPDX-License-Identifier: MIT */
#include "cuda/draw.h"

#include <string.h>

#include "cuda/kernels/motion.h"
#include "cuda/upload.h"
#include "image/sample.h"

static void
describe (YoloMotionParams *params, const YoloFrame *frame)
{
  const YoloLayout *layout = &yolo_layouts[frame->format];

  params->yuv = layout->yuv;
  params->bits = layout->bits;
  params->shift = layout->shift;
  for (int i = 0; i < (layout->yuv ? 1 : 3); i++) {
    const int plane = layout->component[i].plane;

    params->component[i].data =
        (const uint8_t *) frame->plane[plane] + layout->component[i].offset;
    params->component[i].stride = frame->stride[plane];
    params->component[i].step = layout->component[i].step;
  }
}

/* Enqueues the picture of a view at @picture, on the device. */
static gboolean
launch (YoloCudaDrawer *drawer, const YoloMotionView *view, CUdeviceptr picture, CUstream stream,
    GError **error)
{
  const guint per_block = YOLO_MOTION_THREADS / 32, size = (guint) yolo_motion_size (&view->grid);
  YoloMotionParams params = { .grid = view->grid, .picture = (uint8_t *) picture };
  /* a kernel that read other memory would end the context */
  const gint unknown = yolo_upload_unknown_plane (drawer->device, view->frame);

  if (unknown >= 0) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED,
        "plane %d of a frame, at %p, is not in the memory of any CUDA device", unknown,
        view->frame->plane[unknown]);
    return FALSE;
  }
  describe (&params, view->frame);
  return yolo_cuda_launch (drawer->device, drawer->motion, (size + per_block - 1) / per_block, 1, 1,
      YOLO_MOTION_THREADS, 0, stream, &params, error);
}

/* A launch for each view, and one copy of some kilobytes, which is waited for. */
static gboolean
motion (YoloCudaDrawer *drawer, const YoloMotionView *views, guint n, guint8 *pictures,
    GError **error)
{
  const YoloCudaDriver *driver = drawer->device->driver;
  CUstream stream = views[0].frame->cuda_stream != NULL ? views[0].frame->cuda_stream
                                                        : drawer->stream;
  gsize size = 0, at = 0;

  for (guint i = 0; i < n; i++)
    size += yolo_motion_size (&views[i].grid);
  if (drawer->motion == NULL)
    drawer->motion =
        yolo_cuda_function (drawer->device, YOLO_CUDA_MODULE_motion, "motion", error);
  if (drawer->motion == NULL || !yolo_cuda_drawer_reserve (drawer, size, error))
    return FALSE;
  for (guint i = 0; i < n; at += yolo_motion_size (&views[i++].grid))
    if (!launch (drawer, &views[i], drawer->memory + at, stream, error))
      return FALSE;
  if (!yolo_cuda_check (driver->cuMemcpyDtoHAsync (drawer->pinned, drawer->memory, size, stream),
          "read a frame's small picture", error)
      || !yolo_cuda_check (driver->cuStreamSynchronize (stream), "look at a frame", error))
    return FALSE;
  memcpy (pictures, drawer->pinned, size);
  return TRUE;
}

gboolean
yolo_cuda_motion (YoloDrawer *base, const YoloMotionView *views, guint n, guint8 *pictures,
    GError **error)
{
  YoloCudaDrawer *drawer = (YoloCudaDrawer *) base;
  gboolean done;

  if (!yolo_cuda_enter (drawer->device, error))
    return FALSE;
  done = motion (drawer, views, n, pictures, error);
  yolo_cuda_leave (drawer->device);
  return done;
}
