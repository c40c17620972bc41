/* SPDX-License-Identifier: MIT */
#include "network/plan.h"
#include "network/arena.h"
#include "base/error.h"
#include "network/private.h"

#include <string.h>

#define NO_BUFFER G_MAXUINT

/* A part of a concatenation that cannot be written to its place there at once. */
typedef struct {
  guint concat, from;           /* layers */
  YoloView to;
} Copy;

/* What a slice is cut out of, and its first channel there. */
typedef struct {
  guint layer, begin;
} Base;

typedef struct {
  const Model *model;
  YoloDType dtype;              /* of maps that are on no grid */
  GArray *layers;               /* of YoloLayer: the model's, with the sizes of this plan */
  /* [layers]: where each lies; buffer NO_BUFFER while that is undecided */
  YoloView *places;
  Base *bases;                  /* [layers]: what each is cut out of, itself if it is no slice */
  GArray *buffers;              /* of YoloBuffer */
  GArray *copies;               /* of Copy */
  GArray *ops;                  /* of YoloOp */
} Builder;

/* Whether a layer is nothing but some channels of what it reads, or all of them, so that
 * it needs no place of its own. */
static gboolean
is_part (const YoloLayer *layer)
{
  return layer->type == YOLO_LAYER_SLICE
      || (layer->type == YOLO_LAYER_QUANT && layer->grid_scale == NULL);
}

static guint
add_buffer (Builder *builder, const YoloLayer *layer)
{
  YoloBuffer buffer = {
    .height = layer->height,.width = layer->width,.channels = layer->channels,
    .dtype = layer->grid_scale != NULL ? builder->model->grid_dtype : builder->dtype,
  };

  g_array_append_val (builder->buffers, buffer);
  return builder->buffers->len - 1;
}

static gboolean
undecided (const Builder *builder, guint layer)
{
  const YoloLayer *at = yolo_layer_at (builder->layers, layer);
  return builder->places[layer].buffer == NO_BUFFER && !is_part (at)
      && at->type != YOLO_LAYER_INPUT;
}

/* Finds the layers that slices, and slices of slices, are cut out of. */
static void
find_bases (Builder *builder)
{
  for (guint i = 0; i < builder->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (builder->layers, i);
    const Base *in = is_part (layer) ? &builder->bases[layer->in[0]] : NULL;

    builder->bases[i] = in != NULL ? (Base){ in->layer, in->begin + layer->begin } : (Base){ i, 0 };
  }
}

/* How many inputs of a concatenation, from number @first on, are slices of one layer
 * without a place, which together are that layer, in order; 0: there are none. */
static guint
whole_run (const Builder *builder, const YoloLayer *concat, guint first)
{
  guint covered = 0, base = builder->bases[concat->in[first]].layer;

  if (!undecided (builder, base))
    return 0;
  for (guint k = first; k < concat->n_in; k++) {
    if (builder->bases[concat->in[k]].layer != base
        || builder->bases[concat->in[k]].begin != covered)
      return 0;
    covered += yolo_layer_at (builder->layers, concat->in[k])->channels;
    if (covered == yolo_layer_at (builder->layers, base)->channels)
      return k - first + 1;
  }
  return 0;
}

/* Lets the parts of a concatenation be written straight into its buffer. A part is copied
 * if it is needed in two buffers, or is a slice of a layer that does not fit in as a
 * whole. */
static void
place_parts (Builder *builder, guint index)
{
  const YoloLayer *concat = yolo_layer_at (builder->layers, index);
  YoloView at = builder->places[index];

  for (guint k = 0; k < concat->n_in;) {
    guint n = whole_run (builder, concat, k);

    at.channels = yolo_layer_at (builder->layers, concat->in[k])->channels;
    if (n > 0) {
      guint base = builder->bases[concat->in[k]].layer;
      at.channels = yolo_layer_at (builder->layers, base)->channels;
      builder->places[base] = at;
    } else {
      Copy copy = { index, concat->in[k], at };
      g_array_append_val (builder->copies, copy);
      n = 1;
    }
    at.channel += at.channels;
    k += n;
  }
}

/* Whether a layer is a quantiser that alone reads what it reads, so that this is written
 * on its grid at once. */
static gboolean
rounds_alone (const Builder *builder, const YoloLayer *layer)
{
  const YoloLayer *in =
      layer->type == YOLO_LAYER_QUANT ? yolo_layer_at (builder->layers, layer->in[0]) : NULL;

  return in != NULL && !is_part (layer) && in->uses == 1
      && yolo_layer_computes (in);
}

static void
place_layers (Builder *builder)
{
  guint n = builder->layers->len;

  find_bases (builder);
  for (guint i = 0; i < n; i++)
    builder->places[i] = (YoloView){ NO_BUFFER, 0, yolo_layer_at (builder->layers, i)->channels };
  builder->places[0].buffer = add_buffer (builder, yolo_layer_at (builder->layers, 0));

  /* From the last layer on, since a concatenation may be a part of a later one. */
  for (guint i = n; i-- > 0;) {
    const YoloLayer *layer = yolo_layer_at (builder->layers, i);
    gboolean rounds = rounds_alone (builder, layer);
    if (layer->type != YOLO_LAYER_CONCAT && !rounds)
      continue;
    if (builder->places[i].buffer == NO_BUFFER)
      builder->places[i].buffer = add_buffer (builder, layer);
    if (rounds)
      builder->places[layer->in[0]] = builder->places[i];
    else
      place_parts (builder, i);
  }
  for (guint i = 0; i < n; i++) {
    const YoloLayer *layer = yolo_layer_at (builder->layers, i);
    YoloView *place = &builder->places[i];

    if (is_part (layer)) {
      place->buffer = builder->places[layer->in[0]].buffer;
      place->channel = builder->places[layer->in[0]].channel + layer->begin;
    } else if (place->buffer == NO_BUFFER) {
      place->buffer = add_buffer (builder, layer);
    }
  }
}

/* Whether pooling layer @index continues the operation before it, in place and in kind.
 * Then it becomes a part of that operation. */
static gboolean
extend_chain (Builder *builder, guint index, YoloView out, YoloView in)
{
  const YoloLayer *layer = yolo_layer_at (builder->layers, index);
  YoloOp *last =
      builder->ops->len > 0 ? &g_array_index (builder->ops, YoloOp, builder->ops->len - 1) : NULL;
  const YoloOpNumbers *now, *before;

  if (last == NULL || last->type != YOLO_OP_MAX_POOL || !yolo_layer_is (layer, YOLO_OP_MAX_POOL))
    return FALSE;
  now = &layer->numbers;
  before = &last->numbers;
  if (before->kernel != now->kernel || now->stride != 1 || before->stride != 1
      || now->pad != now->kernel / 2 || before->pad != now->pad || now->kernel % 2 == 0)
    return FALSE;
  if (in.buffer != last->out.buffer || out.buffer != last->out.buffer
      || in.channels != last->in.channels
      || in.channel + in.channels != last->out.channel + last->out.channels
      || out.channel != in.channel + in.channels)
    return FALSE;
  last->out.channels += out.channels;
  last->layer = index;
  last->numbers.repeat++;
  return TRUE;
}

static void
add_ops (Builder *builder)
{
  for (guint i = 0; i < builder->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (builder->layers, i);
    YoloOp op = {.out = builder->places[i],.layer = i,.name = layer->name };

    if (layer->n_in > 0)
      op.in = builder->places[layer->in[0]];
    switch (layer->type) {
      case YOLO_LAYER_CONV:
        op.type = YOLO_OP_CONV;
        op.conv = &yolo_layer_at (builder->model->layers, i)->conv;
        if (layer->residual != YOLO_LAYER_NONE)
          op.residual = builder->places[layer->residual];
        break;
      case YOLO_LAYER_OP:
        if (extend_chain (builder, i, op.out, op.in))
          continue;
        op.type = layer->op;
        op.numbers = layer->numbers;
        if (layer->n_in == 2)
          op.residual = builder->places[layer->in[1]];
        break;
      case YOLO_LAYER_QUANT:
      case YOLO_LAYER_DEQUANT:
        if (is_part (layer) || rounds_alone (builder, layer))
          continue;
        op.type = YOLO_OP_COPY;
        break;
      case YOLO_LAYER_CONCAT:
        op.type = YOLO_OP_COPY;
        /* the copies of the first concatenation are the last ones */
        for (guint n = builder->copies->len; n > 0; g_array_set_size (builder->copies, --n)) {
          const Copy *copy = &g_array_index (builder->copies, Copy, n - 1);
          if (copy->concat != i)
            break;
          op.in = builder->places[copy->from];
          op.out = copy->to;
          g_array_append_val (builder->ops, op);
        }
        continue;
      case YOLO_LAYER_INPUT:
      case YOLO_LAYER_SLICE:
        continue;
      case YOLO_LAYER_IMAGE:
      case YOLO_LAYER_AFFINE:
        g_assert_not_reached ();        /* the passes leave no such layer */
    }
    g_array_append_val (builder->ops, op);
  }
}

/* Puts the buffers on the grids of the layers that lie in them. */
static void
set_grids (YoloPlan *plan, const Builder *builder)
{
  for (guint i = 0; i < builder->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (builder->layers, i);
    YoloView place = builder->places[i];
    YoloBuffer *buffer = &plan->buffers[place.buffer];

    if (layer->grid_scale == NULL || (buffer->dtype != YOLO_U8 && buffer->dtype != YOLO_S8))
      continue;
    if (buffer->scale == NULL) {
      buffer->scale = g_new0 (float, buffer->channels);
      buffer->zero = g_new0 (gint32, buffer->channels);
    }
    memcpy (buffer->scale + place.channel, layer->grid_scale, place.channels * sizeof (float));
    memcpy (buffer->zero + place.channel, layer->grid_zero, place.channels * sizeof (gint32));
  }
}

static void
touch (YoloPlan *plan, YoloView view, guint op)
{
  YoloBuffer *buffer = &plan->buffers[view.buffer];

  if (view.channels == 0)
    return;
  buffer->first = MIN (buffer->first, op);
  buffer->last = MAX (buffer->last, op);
}

static gboolean
size_buffers (YoloPlan *plan, GError **error)
{
  for (guint i = 0; i < plan->n_buffers; i++) {
    YoloBuffer *buffer = &plan->buffers[i];

    buffer->size = plan->batch;
    if (!g_size_checked_mul (&buffer->size, buffer->size, buffer->height)
        || !g_size_checked_mul (&buffer->size, buffer->size, buffer->width)
        || !g_size_checked_mul (&buffer->size, buffer->size, buffer->channels)
        || !g_size_checked_mul (&buffer->size, buffer->size, yolo_dtype_size (buffer->dtype)))
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_MEMORY,
          "a batch of %u images of %ux%u is more than can be addressed", plan->batch, plan->width,
          plan->height);
    buffer->first = plan->n_ops;
    buffer->last = 0;
  }
  for (guint i = 0; i < plan->n_ops; i++) {
    touch (plan, plan->ops[i].in, i);
    touch (plan, plan->ops[i].out, i);
    touch (plan, plan->ops[i].residual, i);
  }
  /* The maps of the head are read when all operations are done. */
  for (guint k = 0; k < plan->model->n_outputs; k++)
    touch (plan, plan->outputs[k], plan->n_ops - 1);
  if (!yolo_arena_assign (plan->buffers, plan->n_buffers, plan->input, &plan->arena_size))
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_MEMORY,
        "a batch of %u images of %ux%u is more than can be addressed", plan->batch, plan->width,
        plan->height);
  return TRUE;
}

/* A copy of the model's layers with the sizes for an input of this size. What they point
 * to is the model's. */
static GArray *
layers_at_size (const Model *model, guint height, guint width, GError **error)
{
  GArray *layers = g_array_sized_new (FALSE, FALSE, sizeof (YoloLayer), model->layers->len);

  g_array_append_vals (layers, model->layers->data, model->layers->len);
  yolo_layer_at (layers, 0)->height = height;
  yolo_layer_at (layers, 0)->width = width;
  for (guint i = 0; i < layers->len; i++) {
    if (!yolo_layer_size (layers, i, error)) {
      g_array_unref (layers);
      return NULL;
    }
  }
  return layers;
}

static gboolean
check_input (const YoloPlan *plan, GError **error)
{
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    if (op->type == YOLO_OP_CONV && op->conv->int8 != NULL
        && plan->buffers[op->in.buffer].scale == NULL)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_PRECISION,
          "'%.100s' runs in int8, but its input does not", op->name);
  }
  return TRUE;
}

YoloPlan *
yolo_plan_new (YoloModel *public, guint batch, guint height, guint width, YoloDType dtype,
    YoloDType input_dtype, guint input_channels, GError **error)
{
  const Model *model = (const Model *) public;
  g_autoptr (YoloPlan) plan = NULL;
  g_autofree YoloView *places = NULL;
  g_autofree Base *bases = NULL;
  g_autoptr (GArray) layers = NULL, copies = NULL;
  Builder builder;

  if (batch < 1 || input_channels < 3) {
    yolo_network_set_error (
        error, YOLO_NETWORK_ERROR_SIZE, "a plan needs a batch of 1 or more and 3 or more channels");
    return NULL;
  }
  if (!yolo_model_check_size (public, height, width, error))
    return NULL;
  layers = layers_at_size (model, height, width, error);
  if (layers == NULL)
    return NULL;

  places = g_new (YoloView, layers->len);
  bases = g_new (Base, layers->len);
  copies = g_array_new (FALSE, FALSE, sizeof (Copy));
  builder = (Builder){
    .model = model,
    .dtype = dtype,
    .layers = layers,
    .places = places,
    .bases = bases,
    .copies = copies,
    .buffers = g_array_new (FALSE, FALSE, sizeof (YoloBuffer)),
    .ops = g_array_new (FALSE, FALSE, sizeof (YoloOp)),
  };
  place_layers (&builder);
  add_ops (&builder);

  plan = g_new0 (YoloPlan, 1);
  plan->model = yolo_model_ref (public);
  plan->batch = batch;
  plan->height = height;
  plan->width = width;
  plan->dtype = dtype;
  plan->n_buffers = builder.buffers->len;
  plan->n_ops = builder.ops->len;
  plan->buffers = (YoloBuffer *) g_array_free (builder.buffers, FALSE);
  plan->ops = (YoloOp *) g_array_free (builder.ops, FALSE);
  plan->part.end = plan->n_ops;
  plan->input = places[0].buffer;
  plan->buffers[plan->input].dtype = input_dtype;
  plan->buffers[plan->input].channels = input_channels;
  for (guint k = 0; k < public->n_outputs; k++) {
    plan->outputs[k] = places[public->outputs[k].layer];
    plan->buffers[plan->outputs[k].buffer].dtype = YOLO_F32;
  }
  set_grids (plan, &builder);
  if (!size_buffers (plan, error) || !check_input (plan, error))
    return NULL;
  return g_steal_pointer (&plan);
}

YoloView
yolo_plan_output (const YoloPlan *plan, YoloMapRole role, guint level)
{
  const YoloModel *model = plan->model;

  for (guint k = 0; k < model->n_outputs; k++) {
    if (model->outputs[k].role == role && model->outputs[k].level == level)
      return plan->outputs[k];
  }
  return (YoloView) { 0 };
}

void
yolo_plan_free (YoloPlan *plan)
{
  if (plan == NULL)
    return;
  yolo_model_unref ((YoloModel *) plan->model);
  for (guint i = 0; i < plan->n_buffers; i++) {
    g_free (plan->buffers[i].scale);
    g_free (plan->buffers[i].zero);
  }
  g_free (plan->buffers);
  g_free (plan->ops);
  g_free (plan->given);
  g_free (plan);
}

static void
append_view (GString *text, const YoloPlan *plan, YoloView view)
{
  const YoloBuffer *buffer = &plan->buffers[view.buffer];

  g_string_append_printf (text, "%%%u", view.buffer);
  if (view.channels != buffer->channels)
    g_string_append_printf (text, "[%u:%u]", view.channel, view.channel + view.channels);
  g_string_append_printf (text, " %ux%ux%u", buffer->height, buffer->width, view.channels);
}

static void
append_op (GString *text, const YoloPlan *plan, const YoloOp *op)
{
  const YoloOpTraits *traits = yolo_op_traits (op->type);
  const YoloConv *conv = op->conv;

  g_string_append_printf (text, "%-8s ", yolo_op_name (op->type));
  append_view (text, plan, op->out);
  g_string_append (text, " = ");
  append_view (text, plan, op->in);
  if (op->type == YOLO_OP_CONV) {
    g_string_append_printf (text, " %ux%u/%u", conv->kernel[0], conv->kernel[1], conv->stride[0]);
    if (conv->int8 != NULL)
      g_string_append (text, " int8");
    if (conv->groups > 1)
      g_string_append_printf (text, " groups %u", conv->groups);
    g_string_append (text, yolo_activation_text (conv->act));
  } else if (traits->text != NULL) {
    g_autofree char *numbers = traits->text (&op->numbers);

    g_string_append (text, numbers);
  }
  if (op->residual.channels > 0) {
    g_string_append (text, " + ");
    append_view (text, plan, op->residual);
  }
  g_string_append_printf (text, "   %s\n", op->name);
}

char *
yolo_plan_to_string (const YoloPlan *plan)
{
  GString *text = g_string_new (NULL);

  g_string_append_printf (text,
      "batch %u, %ux%u (width x height), %s, %u operations, %u buffers, arena %" G_GSIZE_FORMAT
      " bytes\n",
      plan->batch, plan->width, plan->height, yolo_dtype_name (plan->dtype), plan->n_ops,
      plan->n_buffers, plan->arena_size);
  for (guint i = 0; i < plan->n_buffers; i++) {
    const YoloBuffer *buffer = &plan->buffers[i];
    g_string_append_printf (text, "%%%-3u %4ux%ux%u %s, %" G_GSIZE_FORMAT " bytes", i,
        buffer->height, buffer->width, buffer->channels, yolo_dtype_name (buffer->dtype),
        buffer->size);
    if (i == plan->input)
      g_string_append (text, ", the input\n");
    else
      g_string_append_printf (text, " at %" G_GSIZE_FORMAT ", alive %u to %u\n", buffer->offset,
          buffer->first, buffer->last);
  }
  for (guint i = 0; i < plan->n_ops; i++) {
    g_string_append_printf (text, "%3u ", i);
    append_op (text, plan, &plan->ops[i]);
  }
  return g_string_free (text, FALSE);
}
