/* SPDX-License-Identifier: MIT */
#include "network/private.h"
#include "base/error.h"
#include "network/passes.h"

#include <string.h>

static guint
nearest_size (const YoloModel *model, guint size)
{
  guint largest = YOLO_MAX_SIZE / model->stride * model->stride;

  if (size >= largest)
    return largest;
  return MAX ((size + model->stride / 2) / model->stride * model->stride, model->stride);
}

gboolean
yolo_model_check_size (const YoloModel *model, guint height, guint width, GError **error)
{
  guint h = nearest_size (model, height), w = nearest_size (model, width);

  if (h == height && w == width)
    return TRUE;
  return yolo_network_fail (error, YOLO_NETWORK_ERROR_SIZE,
      "the network cannot run at %ux%u (width x height): "
      "sizes are multiples of %u up to %u; the nearest is %ux%u",
      width, height, model->stride, YOLO_MAX_SIZE / model->stride * model->stride, w, h);
}

/* What the user should know of the names that the file has, or NULL if all is well. */
static char *
names_problem (const YoloModel *model, GHashTable *names, guint n_found)
{
  GString *problem;

  if (names == NULL)
    return g_strdup (
        "the names of classes in its metadata are not understood: classes are named by number; "
        "give the names with label-file");
  if (n_found == model->n_classes && g_hash_table_size (names) == n_found)
    return NULL;
  problem = g_string_new (NULL);
  g_string_printf (problem, "its metadata name %u of the %u classes", n_found, model->n_classes);
  if (n_found < model->n_classes)
    g_string_append (problem, ", the rest is named by number");
  if (g_hash_table_size (names) > n_found)
    g_string_append_printf (
        problem, ", and %u that are not in the network", g_hash_table_size (names) - n_found);
  g_string_append (problem, "; give the names with label-file if they are wrong");
  return g_string_free (problem, FALSE);
}

static void
set_names (YoloModel *model, const YoloGraph *graph)
{
  guint n_found = 0;

  model->names = g_new0 (char *, (gsize) model->n_classes + 1);
  for (guint c = 0; c < model->n_classes; c++) {
    const char *name =
        graph->names != NULL ? g_hash_table_lookup (graph->names, GUINT_TO_POINTER (c)) : NULL;
    model->names[c] = name != NULL ? g_strdup (name) : g_strdup_printf ("%u", c);
    n_found += name != NULL;
  }
  if (graph->named)
    model->names_problem = names_problem (model, graph->names, n_found);
}

/* Finds what input sizes must be multiples of: by how much the smallest map is smaller
 * than the input. That map need not be one of the head's. */
static void
set_stride (Model *model)
{
  YoloModel *public = &model->public;
  guint height = yolo_layer_at (model->layers, 0)->height,
        width = yolo_layer_at (model->layers, 0)->width;

  /* What a whole image becomes has one pixel at any size, and no stride. */
  gboolean whole = public->outputs[0].role == YOLO_MAP_LOGIT;

  for (guint i = 0; i < model->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (model->layers, i);
    guint stride = height / layer->height;
    if (whole && layer->height == 1 && layer->width == 1)
      continue;
    if (stride * layer->height == height && stride * layer->width == width)
      public->stride = MAX (public->stride, stride);
  }
}

static gboolean
count_macs (Model *model, GError **error)
{
  YoloModel *public = &model->public;
  YoloLayer *input = yolo_layer_at (model->layers, 0);

  input->height = public->height;
  input->width = public->width;
  for (guint i = 0; i < model->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (model->layers, i);
    const YoloConv *conv = &layer->conv;

    if (!yolo_layer_size (model->layers, i, error))
      return FALSE;
    if (layer->type != YOLO_LAYER_CONV)
      continue;
    public->n_convs++;
    public->macs += (double) layer->height * layer->width * conv->out_channels
        * (conv->in_channels / conv->groups) * conv->kernel[0] * conv->kernel[1];
  }
  return TRUE;
}

/* Whether the file has a convolution that yolo_model_to_int8() can run as it says. */
static gboolean
has_int8 (const Model *model)
{
  for (guint i = 0; i < model->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (model->layers, i);
    if (layer->type == YOLO_LAYER_CONV && layer->conv.weight_scale != NULL)
      return TRUE;
  }
  return FALSE;
}

static void
set_outputs (Model *model, const YoloGraph *graph)
{
  YoloModel *public = &model->public;

  public->n_outputs = graph->n_outputs;
  public->form = graph->form;
  memcpy (public->outputs, graph->outputs, sizeof public->outputs);
  for (guint k = 0; k < public->n_outputs; k++) {
    guint channels = yolo_layer_at (model->layers, public->outputs[k].layer)->channels;
    switch (public->outputs[k].role) {
      case YOLO_MAP_BOX:
        public->reg_max = channels / 4;
        break;
      case YOLO_MAP_CLASS:
      case YOLO_MAP_LOGIT:
        public->n_classes = channels;
        break;
      case YOLO_MAP_COEFFICIENT:
      case YOLO_MAP_KEYPOINT:
      case YOLO_MAP_ANGLE:
      case YOLO_MAP_PROTOTYPE:
        break;
    }
  }
}

YoloModel *
yolo_model_new (YoloGraph *from, const char *name, GError **error)
{
  g_autoptr (YoloGraph) graph = from;
  g_autoptr (YoloModel) public = NULL;
  Model *model;

  if (graph->n_outputs == 0) {
    yolo_network_set_error (
        error, YOLO_NETWORK_ERROR_UNSUPPORTED, "the network ends in no map of a head");
    return NULL;
  }
  if (!yolo_passes_run (graph, error))
    return NULL;

  model = g_new0 (Model, 1);
  model->ref = 1;
  public = &model->public;
  model->layers = g_steal_pointer (&graph->layers);
  model->rounding = graph->rounding;
  set_outputs (model, graph);
  public->path = g_strdup (name);
  public->sha256 = g_steal_pointer (&graph->sha256);
  public->task = g_strdup (graph->task);
  public->description = g_steal_pointer (&graph->description);
  public->quantized = has_int8 (model);
  set_stride (model);
  set_names (public, graph);
  public->height = nearest_size (public, graph->height);
  public->width = nearest_size (public, graph->width);
  if (!count_macs (model, error))
    return NULL;
  return g_steal_pointer (&public);
}

YoloModel *
yolo_model_ref (YoloModel *model)
{
  g_atomic_int_inc (&((Model *) model)->ref);
  return model;
}

void
yolo_model_unref (YoloModel *public)
{
  Model *model = (Model *) public;

  if (model == NULL || !g_atomic_int_dec_and_test (&model->ref))
    return;
  if (model->base != NULL) {
    g_array_unref (model->layers);
    g_ptr_array_unref (model->owned);
    yolo_model_unref (&model->base->public);
    g_free (public->calibration_problem);
    g_free (model);
    return;
  }
  g_free (public->path);
  g_free (public->sha256);
  g_free (public->task);
  g_free (public->description);
  g_strfreev (public->names);
  g_free (public->names_problem);
  if (model->layers != NULL)
    g_array_unref (model->layers);
  g_free (model);
}
