/* SPDX-License-Identifier: MIT */
#include "cuda/draw.h"

#include <string.h>

#include "cuda/kernels/redact.h"

/* The levels' first byte, behind what is uploaded. */
static gsize
levels_at (gsize uploaded)
{
  return (uploaded + 15) & ~(gsize) 15;
}

/* Fills the parameters, and says how many blocks the largest redaction has; and how many columns
 * and rows of pixels the redactions reach over. */
static void
describe (YoloRedactParams *params, const YoloRedaction *redactions, guint n, guint *n_blocks)
{
  params->cells = redactions[0].cells;
  params->n_redactions = (int) n;
  *n_blocks = 0;
  for (guint i = 0; i < n; i++) {
    const YoloRect *cells = &redactions[i].cells;

    params->cells.x0 = MIN (params->cells.x0, cells->x0);
    params->cells.y0 = MIN (params->cells.y0, cells->y0);
    params->cells.x1 = MAX (params->cells.x1, cells->x1);
    params->cells.y1 = MAX (params->cells.y1, cells->y1);
    if (redactions[i].mode != YOLO_REDACTION_FILL)
      *n_blocks = MAX (*n_blocks, (guint) redactions[i].columns * (guint) redactions[i].rows);
  }
}

static gboolean
launch (YoloCudaDrawer *drawer, const YoloRedactParams *params, guint n_blocks, CUstream stream,
    GError **error)
{
  const YoloCanvas *canvas = &params->canvas;
  const guint width = (guint) (params->cells.x1 - params->cells.x0) * YOLO_REDACTION_CELL,
              height = (guint) (params->cells.y1 - params->cells.y0) * YOLO_REDACTION_CELL
      * canvas->n_fields;

  return (n_blocks == 0
             || yolo_cuda_launch (drawer->device, drawer->redact_levels, n_blocks,
                 (guint) params->n_redactions, canvas->n_components, YOLO_REDACT_THREADS, 0, stream,
                 params, error))
      && yolo_cuda_launch (drawer->device, drawer->redact,
          (width + YOLO_REDACT_WIDTH - 1) / YOLO_REDACT_WIDTH,
          (height + YOLO_REDACT_HEIGHT - 1) / YOLO_REDACT_HEIGHT, canvas->n_components,
          YOLO_REDACT_WIDTH * YOLO_REDACT_HEIGHT, 0, stream, params, error);
}

/* One copy of some kilobytes, of which the masks, a byte for 16 pixels, are the most, and two
 * launches. Waited for, as drawing is. */
static gboolean
redact (YoloCudaDrawer *drawer, const YoloCanvas *canvas, CUstream stream,
    const YoloRedaction *redactions, guint n, const guint8 *masks, gsize masks_size,
    gsize n_levels, GError **error)
{
  const YoloCudaDriver *driver = drawer->device->driver;
  const gsize at = n * sizeof (YoloRedaction), uploaded = at + masks_size;
  YoloRedactParams params = { .canvas = *canvas };
  guint n_blocks;

  if (drawer->redact == NULL) {
    drawer->redact_levels =
        yolo_cuda_function (drawer->device, YOLO_CUDA_MODULE_redact, "redact_levels", error);
    if (drawer->redact_levels == NULL)
      return FALSE;
    drawer->redact =
        yolo_cuda_function (drawer->device, YOLO_CUDA_MODULE_redact, "redact", error);
    if (drawer->redact == NULL)
      return FALSE;
  }
  if (!yolo_cuda_drawer_reserve (
          drawer, levels_at (uploaded) + n_levels * sizeof (uint16_t), error))
    return FALSE;
  memcpy (drawer->pinned, redactions, at);
  if (masks_size > 0)
    memcpy (drawer->pinned + at, masks, masks_size);
  params.canvas.drawing = NULL;
  params.redactions = (const YoloRedaction *) drawer->memory;
  params.masks = (const uint8_t *) (drawer->memory + at);
  params.levels = (uint16_t *) (drawer->memory + levels_at (uploaded));
  describe (&params, redactions, n, &n_blocks);
  return yolo_cuda_check (
             driver->cuMemcpyHtoDAsync (drawer->memory, drawer->pinned, uploaded, stream),
             "upload what is redacted", error)
      && launch (drawer, &params, n_blocks, stream, error)
      && yolo_cuda_check (driver->cuStreamSynchronize (stream), "redact the frame", error);
}

gboolean
yolo_cuda_redact (YoloDrawer *base, const YoloCanvas *canvas, gpointer stream,
    const YoloRedaction *redactions, guint n, const guint8 *masks, gsize masks_size,
    gsize n_levels, GError **error)
{
  YoloCudaDrawer *drawer = (YoloCudaDrawer *) base;
  gboolean done;

  if (!yolo_cuda_enter (drawer->device, error))
    return FALSE;
  done = redact (drawer, canvas, stream != NULL ? stream : drawer->stream, redactions, n, masks,
      masks_size, n_levels, error);
  yolo_cuda_leave (drawer->device);
  return done;
}
