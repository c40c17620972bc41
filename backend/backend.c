/* SPDX-License-Identifier: MIT */
/* The front of all back ends: checks what it is asked, then asks the back end's
 * table. It makes and frees what back ends extend, so that they only fill it. */

#include "backend/backend.h"

#include <string.h>

const char *
yolo_precision_name (YoloPrecision precision)
{
  static const char *const names[] = { "auto", "fp32", "fp16", "bf16", "int8" };

  g_return_val_if_fail (precision < G_N_ELEMENTS (names), NULL);
  return names[precision];
}

/* Devices */

gboolean
yolo_backend_available (const YoloBackend *backend, guint device, GError **error)
{
  g_return_val_if_fail (backend != NULL, FALSE);
  return backend->available (device, error);
}

gboolean
yolo_backend_resolve (
    const YoloBackend *backend, guint device, YoloPrecision *precision, GError **error)
{
  g_return_val_if_fail (backend != NULL && precision != NULL, FALSE);
  g_return_val_if_fail (*precision <= YOLO_PRECISION_INT8, FALSE);
  return backend->resolve (device, precision, error);
}

gboolean
yolo_backend_takes (const YoloBackend *backend, YoloMemory memory)
{
  g_return_val_if_fail (backend != NULL, FALSE);
  return (backend->memories >> memory & 1) != 0;
}

YoloDrawer *
yolo_backend_drawer_new (
    const YoloBackend *backend, guint device, gpointer context, GError **error)
{
  g_return_val_if_fail (backend != NULL, NULL);
  if (backend->drawer_size == 0) {
    if (backend->available (0, error))
      g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED,
          "the back end '%s' does not draw: bring the frames to the host before", backend->name);
    return NULL;
  }

  YoloDrawer *drawer = g_malloc0 (backend->drawer_size);
  drawer->backend = backend;
  if (backend->drawer_init (drawer, device, context, error))
    return drawer;
  yolo_drawer_free (drawer);
  return NULL;
}

void
yolo_drawer_free (YoloDrawer *drawer)
{
  if (drawer == NULL)
    return;
  drawer->backend->drawer_clear (drawer);
  g_free (drawer);
}

gboolean
yolo_drawer_draw (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error)
{
  g_return_val_if_fail (drawer != NULL && canvas != NULL, FALSE);
  g_return_val_if_fail (strokes != NULL || n == 0, FALSE);
  g_return_val_if_fail (masks != NULL || masks_size == 0, FALSE);
  return n == 0
      || drawer->backend->draw (drawer, canvas, stream, strokes, n, masks, masks_size, error);
}

gboolean
yolo_drawer_redact (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloRedaction *redactions, guint n, const guint8 *masks, gsize masks_size,
    gsize n_levels, GError **error)
{
  g_return_val_if_fail (drawer != NULL && canvas != NULL, FALSE);
  g_return_val_if_fail (redactions != NULL || n == 0, FALSE);
  g_return_val_if_fail (masks != NULL || masks_size == 0, FALSE);
  return n == 0
      || drawer->backend->redact (
          drawer, canvas, stream, redactions, n, masks, masks_size, n_levels, error);
}

gboolean
yolo_drawer_motion (YoloDrawer *drawer, const YoloMotionGrid *grid, const YoloFrame *frame,
    guint8 *picture, GError **error)
{
  g_return_val_if_fail (drawer != NULL && grid != NULL && picture != NULL, FALSE);
  g_return_val_if_fail (frame != NULL && frame->memory == YOLO_MEMORY_CUDA, FALSE);
  g_return_val_if_fail (frame->unpack == NULL && frame->format < YOLO_N_FORMATS, FALSE);
  return drawer->backend->motion (drawer, grid, frame, picture, error);
}

/* What runs on them */

YoloNet *
yolo_backend_load (const YoloBackend *backend, YoloModel *model, guint device, gpointer context,
    YoloPrecision precision, guint threads, GError **error)
{
  g_return_val_if_fail (backend != NULL && model != NULL, NULL);
  if (!yolo_backend_available (backend, device, error)
      || !yolo_backend_resolve (backend, device, &precision, error))
    return NULL;
  g_return_val_if_fail (model->int8 == (precision == YOLO_PRECISION_INT8), NULL);

  YoloNet *net = g_malloc0 (backend->net_size);
  net->backend = backend;
  net->model = yolo_model_ref (model);
  net->precision = precision;
  if (backend->load (net, device, context, threads, error))
    return net;
  yolo_net_free (net);
  return NULL;
}

void
yolo_net_free (YoloNet *net)
{
  if (net == NULL)
    return;
  net->backend->unload (net);
  yolo_model_unref (net->model);
  g_free (net);
}

char *
yolo_net_remark (YoloNet *net)
{
  g_return_val_if_fail (net != NULL, NULL);
  return net->backend->remark != NULL ? net->backend->remark (net) : NULL;
}

gint
yolo_net_unknown_plane (YoloNet *net, const YoloFrame *frame)
{
  g_return_val_if_fail (net != NULL && frame != NULL, 0);
  g_return_val_if_fail (yolo_backend_takes (net->backend, frame->memory), 0);
  return net->backend->unknown_plane != NULL && frame->memory == YOLO_MEMORY_CUDA
      ? net->backend->unknown_plane (net, frame)
      : -1;
}

guint
yolo_net_batch_size (YoloNet *net, guint frames, guint height, guint width)
{
  g_return_val_if_fail (net != NULL && frames > 0, 1);
  return net->backend->batch_size != NULL
      ? net->backend->batch_size (net, frames, height, width)
      : 1u << (g_bit_storage (frames) - 1);
}

/* Whether the back end has all operations of a plan; the error names the first one
 * that it lacks. */
static gboolean
check_operations (const YoloBackend *backend, const YoloPlan *plan, GError **error)
{
  for (guint i = 0; backend->supports != NULL && i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];

    if (!backend->supports (plan, op))
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
          "'%.100s': %s from %s to %s cannot run on the device %s; choose another device or "
          "precision",
          op->name, yolo_op_name (op->type),
          yolo_dtype_name (plan->buffers[op->in.buffer].dtype),
          yolo_dtype_name (plan->buffers[op->out.buffer].dtype), backend->name);
  }
  return TRUE;
}

YoloExec *
yolo_net_prepare (YoloNet *net, guint batch, guint height, guint width, GError **error)
{
  g_return_val_if_fail (net != NULL && batch > 0, NULL);
  YoloPlan *plan = net->backend->plan (net, batch, height, width, error);

  return plan != NULL ? yolo_net_prepare_plan (net, plan, error) : NULL;
}

YoloExec *
yolo_net_prepare_plan (YoloNet *net, YoloPlan *plan, GError **error)
{
  g_return_val_if_fail (net != NULL && plan != NULL && plan->model == net->model, NULL);
  if (!check_operations (net->backend, plan, error)) {
    yolo_plan_free (plan);
    return NULL;
  }

  YoloExec *exec = g_malloc0 (net->backend->exec_size);
  exec->net = net;
  exec->plan = plan;
  if (net->backend->prepare (exec, error))
    return exec;
  yolo_exec_free (exec);
  return NULL;
}

void
yolo_exec_free (YoloExec *exec)
{
  if (exec == NULL)
    return;
  g_return_if_fail (!exec->under_way);
  exec->net->backend->release (exec);
  yolo_plan_free ((YoloPlan *) exec->plan);
  g_free (exec);
}

gboolean
yolo_exec_submit (
    YoloExec *exec, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error)
{
  g_return_val_if_fail (exec != NULL && !exec->under_way, FALSE);
  g_return_val_if_fail (n > 0 && n <= exec->plan->batch, FALSE);
  g_return_val_if_fail ((frames == NULL) == exec->net->backend->host_memory, FALSE);
  g_return_val_if_fail ((decode == NULL) == exec->net->backend->host_memory, FALSE);
  exec->under_way = exec->net->backend->submit (exec, n, frames, decode, error);
  return exec->under_way;
}

gboolean
yolo_exec_wait (YoloExec *exec, GError **error)
{
  g_return_val_if_fail (exec != NULL && exec->under_way, FALSE);
  exec->under_way = FALSE;
  return exec->net->backend->wait (exec, error);
}

void *
yolo_exec_view (const YoloExec *exec, YoloView view)
{
  g_return_val_if_fail (exec != NULL && exec->input != NULL, NULL);
  const YoloPlan *plan = exec->plan;
  const YoloBuffer *buffer = &plan->buffers[view.buffer];
  guint8 *base = view.buffer == plan->input ? exec->input : (guint8 *) exec->arena + buffer->offset;

  return base + view.channel * yolo_dtype_size (buffer->dtype);
}

void
yolo_plan_head (const YoloPlan *plan, const void *arena, guint image, YoloHead *head)
{
  head->form = plan->model->form;
  head->n_maps = (int) plan->model->n_outputs;
  for (guint k = 0; k < plan->model->n_outputs; k++) {
    YoloView view = plan->outputs[k];
    const YoloBuffer *buffer = &plan->buffers[view.buffer];

    head->maps[k] = (YoloMap) {
      .output = plan->model->outputs[k],
      .pitch = buffer->channels,
      .width = (int) buffer->width, .height = (int) buffer->height,
      .channels = (int) view.channels,
    };
    if (arena != NULL)
      head->maps[k].data = (const float *) ((const guint8 *) arena + buffer->offset) + view.channel
          + (gsize) image * buffer->height * buffer->width * buffer->channels;
  }
}

gboolean
yolo_exec_rows (YoloExec *exec, guint image, YoloMapRole role, const YoloObject *objects, guint n,
    float *rows, GError **error)
{
  YoloHead head;

  g_return_val_if_fail (exec != NULL && !exec->under_way && image < exec->plan->batch, FALSE);
  if (!exec->net->backend->host_memory)
    return exec->net->backend->rows (exec, image, role, objects, n, rows, error);
  yolo_plan_head (exec->plan, exec->arena, image, &head);
  for (guint i = 0; i < n; i++) {
    size_t pixel, anchor = (size_t) objects[i].anchor;
    const YoloMap *map = yolo_head_locate (&head, role, anchor, &pixel);

    g_return_val_if_fail (map != NULL, FALSE);
    memcpy (rows + (gsize) i * (guint) map->channels, map->data + pixel * map->pitch,
        (gsize) map->channels * sizeof (float));
  }
  return TRUE;
}

gboolean
yolo_exec_masks (YoloExec *exec, guint image, const float *coefficients,
    const YoloObjectMask *masks, guint n, int16_t *cells, gsize n_cells, GError **error)
{
  const YoloMap *prototypes;
  YoloHead head;

  g_return_val_if_fail (exec != NULL && !exec->under_way && image < exec->plan->batch, FALSE);
  if (!exec->net->backend->host_memory)
    return exec->net->backend->masks (
        exec, image, coefficients, masks, n, cells, n_cells, error);
  yolo_plan_head (exec->plan, exec->arena, image, &head);
  prototypes = yolo_head_map (&head, YOLO_MAP_PROTOTYPE, 0);
  g_return_val_if_fail (prototypes != NULL, FALSE);
  for (guint i = 0; i < n; i++)
    yolo_mask_fill (prototypes, coefficients + i * (gsize) prototypes->channels, &masks[i],
        cells + masks[i].first);
  return TRUE;
}
