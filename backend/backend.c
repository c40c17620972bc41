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
yolo_drawer_motion (YoloDrawer *drawer, const YoloMotionView *views, guint n, guint8 *pictures,
    GError **error)
{
  g_return_val_if_fail (drawer != NULL && views != NULL && n > 0 && pictures != NULL, FALSE);
  for (guint i = 0; i < n; i++) {
    const YoloFrame *frame = views[i].frame;

    g_return_val_if_fail (frame->memory == YOLO_MEMORY_CUDA && frame->unpack == NULL, FALSE);
    g_return_val_if_fail (frame->format < YOLO_N_FORMATS, FALSE);
    g_return_val_if_fail (frame->cuda_stream == views[0].frame->cuda_stream, FALSE);
  }
  return drawer->backend->motion (drawer, views, n, pictures, error);
}

/* What runs on them */

YoloNet *
yolo_backend_load (const YoloBackend *backend, YoloModel *model, guint device, gpointer context,
    YoloPrecision precision, guint threads, GError **error)
{
  return yolo_backend_load_part (
      backend, model, device, context, precision, threads, (YoloPlanPart) { 0 }, error);
}

YoloNet *
yolo_backend_load_part (const YoloBackend *backend, YoloModel *model, guint device,
    gpointer context, YoloPrecision precision, guint threads, YoloPlanPart part, GError **error)
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
  net->part = part;
  net->host_input = net->host_maps = backend->host_memory;
  /* The host does all of a batch in submit(); a device is given one while it runs another. */
  net->depth = backend->host_memory ? 1 : 2;
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

  if (plan != NULL && net->part.end > 0)
    plan = yolo_plan_take_part (plan, net->part);
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
  exec->activations = plan->arena_size;
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

/* A net that is cut into stages itself has the plan of its last one. */
static gboolean
takes_frames (const YoloExec *exec)
{
  return !exec->plan->part_before || exec->net->part.end == 0;
}

gboolean
yolo_exec_submit (
    YoloExec *exec, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error)
{
  g_return_val_if_fail (exec != NULL && !exec->under_way, FALSE);
  g_return_val_if_fail (n > 0 && n <= exec->plan->batch, FALSE);
  g_return_val_if_fail ((frames == NULL) == (exec->net->host_input || !takes_frames (exec)), FALSE);
  g_return_val_if_fail (
      (decode == NULL) == (exec->net->host_maps || exec->plan->part_after), FALSE);
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

gboolean
yolo_exec_is_over (YoloExec *exec)
{
  g_return_val_if_fail (exec != NULL && exec->under_way, TRUE);
  return exec->net->backend->is_over == NULL || exec->net->backend->is_over (exec);
}

/* Copies the rows of a view between an arena and a dense tensor. */
static void
copy_view (const YoloPlan *plan, void *arena, YoloView view, void *dense, gboolean pack)
{
  const YoloBuffer *buffer = &plan->buffers[view.buffer];
  const gsize element = yolo_dtype_size (buffer->dtype), size = view.channels * element;
  const gsize pixels = (gsize) plan->batch * buffer->height * buffer->width;
  guint8 *at = (guint8 *) arena + buffer->offset + view.channel * element;

  for (gsize i = 0; i < pixels; i++, at += buffer->channels * element)
    if (pack)
      memcpy ((guint8 *) dense + i * size, at, size);
    else
      memcpy (at, (guint8 *) dense + i * size, size);
}

static gsize
view_size (const YoloPlan *plan, YoloView view)
{
  const YoloBuffer *buffer = &plan->buffers[view.buffer];

  return buffer->size / buffer->channels * view.channels;
}

gsize
yolo_given_size (const YoloPlan *to)
{
  gsize size = 0;

  for (guint i = 0; i < to->n_given; i++)
    size += view_size (to, to->given[i]);
  return size;
}

void
yolo_given_pack (const YoloPlan *to, const YoloExec *from, void *message)
{
  guint8 *at = message;

  for (guint i = 0; i < to->n_given; at += view_size (to, to->given[i++]))
    copy_view (from->plan, from->arena, to->given[i], at, TRUE);
}

void
yolo_given_unpack (const YoloExec *to, const void *message)
{
  guint8 *at = (guint8 *) message;

  for (guint i = 0; i < to->plan->n_given; at += view_size (to->plan, to->plan->given[i++]))
    copy_view (to->plan, to->arena, to->plan->given[i], at, FALSE);
}

void
yolo_given_copy (const YoloExec *from, const YoloExec *to)
{
  for (guint k = 0; k < to->plan->n_given; k++) {
    const YoloView view = to->plan->given[k];
    const YoloBuffer *buffer = &to->plan->buffers[view.buffer];
    const gsize element = yolo_dtype_size (buffer->dtype), pitch = buffer->channels * element;
    const gsize pixels = (gsize) to->plan->batch * buffer->height * buffer->width;
    const guint8 *source = (guint8 *) from->arena + from->plan->buffers[view.buffer].offset;
    guint8 *target = (guint8 *) to->arena + buffer->offset;

    for (gsize i = 0; i < pixels; i++)
      memcpy (target + i * pitch + view.channel * element,
          source + i * pitch + view.channel * element, view.channels * element);
  }
}

gboolean
yolo_exec_pass (YoloExec *from, YoloExec *to, GError **error)
{
  g_return_val_if_fail (from != NULL && to != NULL, FALSE);
  g_return_val_if_fail (!from->under_way && !to->under_way, FALSE);
  g_return_val_if_fail (from->plan->part.end == to->plan->part.first, FALSE);
  const YoloBackend *source = from->net->backend, *target = to->net->backend;

  for (guint i = 0; i < to->plan->n_given; i++) {
    const YoloBuffer *a = &from->plan->buffers[to->plan->given[i].buffer],
        *b = &to->plan->buffers[to->plan->given[i].buffer];

    if (a->dtype != b->dtype || a->size != b->size)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_PRECISION,
          "the device %s has %s where the device %s has %s, so that they cannot run pieces of one "
          "network; use precision=fp32", source->name, yolo_dtype_name (a->dtype), target->name,
          yolo_dtype_name (b->dtype));
  }
  if (source->host_memory && target->host_memory) {
    yolo_given_copy (from, to);
    return TRUE;
  }
  if (source != target && !source->host_memory && !target->host_memory)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
        "nothing can be passed from the device %s to the device %s", source->name, target->name);
  return (source->host_memory ? target : source)->pass (from, to, error);
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
  if (!exec->net->host_maps)
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
  if (!exec->net->host_maps)
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
