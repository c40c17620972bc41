/* SPDX-License-Identifier: MIT */
#include "cuda/draw.h"

#include <string.h>

#include "cuda/kernels/draw.h"

static gboolean
init (YoloCudaDrawer *drawer, GError **error)
{
  drawer->function = yolo_cuda_function (drawer->device, YOLO_CUDA_MODULE_draw, "draw", error);
  return drawer->function != NULL
      && yolo_cuda_check (drawer->device->driver->cuStreamCreateWithPriority (
                              &drawer->stream, CU_STREAM_DEFAULT, 0),
          "make a stream", error);
}

/* The number of the device that a context is of. */
static gboolean
device_of (gpointer context, guint *device, GError **error)
{
  const YoloCudaDriver *driver = yolo_cuda_driver (error);
  CUdevice index = 0;
  CUcontext popped;

  if (driver == NULL
      || !yolo_cuda_check (driver->cuCtxPushCurrent (context), "use the frames' context", error))
    return FALSE;
  driver->cuCtxGetDevice (&index);
  driver->cuCtxPopCurrent (&popped);
  *device = (guint) index;
  return TRUE;
}

gboolean
yolo_cuda_drawer_init (YoloDrawer *base, guint device, gpointer context, GError **error)
{
  YoloCudaDrawer *drawer = (YoloCudaDrawer *) base;
  gboolean done;

  if (context != NULL && !device_of (context, &device, error))
    return FALSE;
  drawer->device = yolo_cuda_device_get (device, context, error);
  if (drawer->device == NULL || !yolo_cuda_enter (drawer->device, error))
    return FALSE;
  done = init (drawer, error);
  yolo_cuda_leave (drawer->device);
  return done;
}

void
yolo_cuda_drawer_clear (YoloDrawer *base)
{
  YoloCudaDrawer *drawer = (YoloCudaDrawer *) base;

  if (drawer->device == NULL)
    return;
  if (yolo_cuda_enter (drawer->device, NULL)) {
    yolo_cuda_free_host (drawer->device, drawer->pinned);
    yolo_cuda_free (drawer->device, drawer->memory);
    if (drawer->stream != NULL)
      drawer->device->driver->cuStreamDestroy (drawer->stream);
    yolo_cuda_leave (drawer->device);
  }
  yolo_cuda_device_unref (drawer->device);
}

gboolean
yolo_cuda_drawer_reserve (YoloCudaDrawer *drawer, gsize size, GError **error)
{
  if (size <= drawer->size)
    return TRUE;
  size = MAX (size, 2 * drawer->size);
  yolo_cuda_free_host (drawer->device, drawer->pinned);
  yolo_cuda_free (drawer->device, drawer->memory);
  drawer->memory = 0;
  drawer->size = 0;
  drawer->pinned = yolo_cuda_alloc_host (drawer->device, size, "what is drawn", error);
  if (drawer->pinned != NULL)
    drawer->memory = yolo_cuda_alloc (drawer->device, size, "what is drawn", error);
  if (drawer->memory == 0)
    return FALSE;
  drawer->size = size;
  return TRUE;
}

/* One copy of some kilobytes, of which text is the most (a label of 12 letters
 * at 1080p is 5 KB), and one launch. Waited for: whoever has the frame next may
 * use another stream, and not know that it has to wait. */
static gboolean
draw (YoloCudaDrawer *drawer, const YoloCanvas *canvas, CUstream stream, const YoloStroke *strokes,
    guint n, const guint8 *masks, gsize masks_size, GError **error)
{
  const YoloCudaDriver *driver = drawer->device->driver;
  gsize at = n * sizeof (YoloStroke);
  YoloDrawParams params = { .canvas = *canvas, .n_strokes = (int) n };
  int rows = 0;

  if (!yolo_cuda_drawer_reserve (drawer, at + masks_size, error))
    return FALSE;
  memcpy (drawer->pinned, strokes, at);
  if (masks_size > 0)
    memcpy (drawer->pinned + at, masks, masks_size);
  params.canvas.drawing = NULL;
  params.strokes = (const YoloStroke *) drawer->memory;
  params.masks = (const uint8_t *) (drawer->memory + at);
  for (guint i = 0; i < canvas->n_components; i++)
    rows = MAX (rows, canvas->component[i].rows);
  return yolo_cuda_check (
             driver->cuMemcpyHtoDAsync (drawer->memory, drawer->pinned, at + masks_size, stream),
             "upload what is drawn", error)
      && yolo_cuda_launch (drawer->device, drawer->function,
          ((guint) canvas->width + YOLO_DRAW_WIDTH - 1) / YOLO_DRAW_WIDTH,
          ((guint) rows + YOLO_DRAW_HEIGHT - 1) / YOLO_DRAW_HEIGHT, canvas->n_components,
          YOLO_DRAW_WIDTH * YOLO_DRAW_HEIGHT, 0, stream, &params, error)
      && yolo_cuda_check (driver->cuStreamSynchronize (stream), "draw on the frame", error);
}

gboolean
yolo_cuda_draw (YoloDrawer *base, const YoloCanvas *canvas, gpointer stream,
    const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error)
{
  YoloCudaDrawer *drawer = (YoloCudaDrawer *) base;
  gboolean done;

  if (!yolo_cuda_enter (drawer->device, error))
    return FALSE;
  done = draw (drawer, canvas, stream != NULL ? stream : drawer->stream, strokes, n, masks,
      masks_size, error);
  yolo_cuda_leave (drawer->device);
  return done;
}
