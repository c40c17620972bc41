/* SPDX-License-Identifier: MIT */
#include "cuda/details.h"

#include "cuda/kernels/details.h"

#define ALIGNED(size) (((size) + 255) & ~(gsize) 255)

void
yolo_cuda_details_clear (YoloCudaDetails *details, YoloCudaDevice *device)
{
  yolo_cuda_free (device, details->memory);
  g_clear_pointer (&details->staging, g_byte_array_unref);
  *details = (YoloCudaDetails) { 0 };
}

/* Room for what goes up and what comes back, and staging for the former. */
static gboolean
reserve (YoloCudaDetails *details, YoloCudaDevice *device, gsize up, gsize down, GError **error)
{
  gsize size = up + down;

  if (details->staging == NULL)
    details->staging = g_byte_array_new ();
  g_byte_array_set_size (details->staging, (guint) up);
  if (size <= details->size)
    return TRUE;
  yolo_cuda_free (device, details->memory);
  details->size = 0;
  details->memory = yolo_cuda_alloc (device, size, "what is found of objects", error);
  if (details->memory == 0)
    return FALSE;
  details->size = size;
  return TRUE;
}

/* Uploads the staging, runs a kernel of a block an object, and waits for what it gives. */
static gboolean
run (YoloCudaDetails *details, YoloCudaDevice *device, const char *kernel, guint n,
    const void *params, void *to, CUdeviceptr from, gsize size, CUstream stream, GError **error)
{
  const YoloCudaDriver *driver = device->driver;
  CUfunction function = yolo_cuda_function (device, YOLO_CUDA_MODULE_details, kernel, error);

  return function != NULL
      && yolo_cuda_check (driver->cuMemcpyHtoDAsync (details->memory, details->staging->data,
                              details->staging->len, stream),
          "upload objects", error)
      && yolo_cuda_launch (
          device, function, n, 1, 1, YOLO_DETAILS_BLOCK, 0, stream, params, error)
      && yolo_cuda_check (
          driver->cuMemcpyDtoHAsync (to, from, size, stream), "download objects", error)
      && yolo_cuda_check (driver->cuStreamSynchronize (stream), "look at objects", error);
}

gboolean
yolo_cuda_details_rows (YoloCudaDetails *details, YoloCudaDevice *device, const YoloHead *head,
    YoloMapRole role, const YoloObject *objects, guint n, float *rows, CUstream stream,
    GError **error)
{
  gsize up = ALIGNED (n * sizeof (float *));
  gsize channels = (gsize) yolo_head_map (head, role, 0)->channels;
  YoloRowsParams params = { .n = (int) n, .channels = (int) channels };
  const float **pixels;

  if (n == 0)
    return TRUE;
  if (!reserve (details, device, up, n * channels * sizeof (float), error))
    return FALSE;
  pixels = (const float **) (void *) details->staging->data;
  for (guint i = 0; i < n; i++) {
    size_t pixel = 0;
    const YoloMap *map = yolo_head_locate (head, role, (size_t) objects[i].anchor, &pixel);

    g_return_val_if_fail (map != NULL, FALSE);
    pixels[i] = map->data + pixel * map->pitch;
  }
  params.pixels = (const float *const *) details->memory;
  params.rows = (float *) (details->memory + up);
  return run (details, device, "details_rows", n, &params, rows, details->memory + up,
      n * channels * sizeof (float), stream, error);
}

gboolean
yolo_cuda_details_masks (YoloCudaDetails *details, YoloCudaDevice *device, const YoloHead *head,
    const float *coefficients, const YoloObjectMask *masks, guint n, int16_t *cells,
    gsize n_cells, CUstream stream, GError **error)
{
  const YoloMap *map = yolo_head_map (head, YOLO_MAP_PROTOTYPE, 0);
  gsize factors = n * (gsize) map->channels * sizeof (float), at = ALIGNED (factors),
        up = at + ALIGNED (n * sizeof (YoloMaskCells));
  int stride = (int) map->output.stride;
  YoloMaskCells *places;
  YoloMasksParams params = { .prototypes = map->data, .pitch = (int) map->pitch,
    .width = map->width, .channels = map->channels, .n = (int) n };

  if (n == 0 || n_cells == 0)
    return TRUE;
  if (!reserve (details, device, up, n_cells * sizeof (int16_t), error))
    return FALSE;
  memcpy (details->staging->data, coefficients, factors);
  places = (YoloMaskCells *) (void *) (details->staging->data + at);
  for (guint i = 0; i < n; i++)
    places[i] = (YoloMaskCells) { (int) masks[i].x1 / stride, (int) masks[i].y1 / stride,
      masks[i].width, masks[i].height, (long long) masks[i].first };
  params.coefficients = (const float *) details->memory;
  params.masks = (const YoloMaskCells *) (details->memory + at);
  params.cells = (int16_t *) (details->memory + up);
  return run (details, device, "details_masks", n, &params, cells, details->memory + up,
      n_cells * sizeof (int16_t), stream, error);
}
