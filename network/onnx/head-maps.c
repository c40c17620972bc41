/* SPDX-License-Identifier: MIT */
/* The maps that leave a network's body for its head. */

#include "network/onnx/head-search.h"
#include "base/error.h"
#include "network/onnx/eval.h"

/* Elements of the maps of the largest head that is run to be checked: 144 channels at
 * 3840x2160. */
#define MAX_MAPS ((gsize) 1 << 25)

void
yolo_head_add_leaves (Search *search, guint boundary, const OnnxNode *reader)
{
  const GArray *layers = search->lowered->graph->layers;
  const YoloLayer *layer = yolo_layer_at (layers, boundary);
  Leaf leaf = { boundary, boundary, 0, reader };

  if (layer->type != YOLO_LAYER_CONCAT) {
    g_array_append_val (search->leaves, leaf);
    return;
  }
  for (guint k = 0; k < layer->n_in; k++) {
    leaf.layer = yolo_layer_at (layers, layer->in[k])->below;
    g_array_append_val (search->leaves, leaf);
    leaf.channel += yolo_layer_at (layers, leaf.layer)->channels;
  }
}

static gint
compare_leaves (gconstpointer a, gconstpointer b, gpointer data)
{
  GArray *layers = data;
  const Leaf *x = a, *y = b;
  const YoloLayer *p = yolo_layer_at (layers, x->layer), *q = yolo_layer_at (layers, y->layer);

  if (p->height != q->height)
    return p->height > q->height ? -1 : 1;
  if (p->width != q->width)
    return p->width > q->width ? -1 : 1;
  return x->layer < y->layer ? -1 : x->layer > y->layer;
}

void
yolo_head_sort_leaves (Search *search)
{
  g_array_sort_with_data (search->leaves, compare_leaves, search->lowered->graph->layers);
}

/* The tail reads the numbers of a map of one pixel: the logits of a classifying network. */
static gboolean
add_logits (Search *search, const Value *value, const OnnxNode *reader, GError **error)
{
  guint boundary = yolo_layer_at (search->lowered->graph->layers, value->layer)->below;

  if (search->logits != YOLO_LAYER_NONE && search->logits != boundary)
    return yolo_head_refuse (
        search, reader, "reads a second vector of numbers for the whole image", error);
  search->logits = boundary;
  search->logits_reader = reader;
  return TRUE;
}

static gboolean
add_map (Search *search, const Value *value, const OnnxNode *reader, gboolean *seen, gsize *total,
    GError **error)
{
  Lowered *lowered = search->lowered;
  guint boundary = yolo_layer_at (lowered->graph->layers, value->layer)->below;
  const YoloLayer *layer = yolo_layer_at (lowered->graph->layers, boundary);

  if (seen[boundary])
    return TRUE;
  seen[boundary] = TRUE;
  if (layer->type == YOLO_LAYER_IMAGE)
    return yolo_head_refuse (
        search, reader, "uses the input as something else than an image", error);
  *total += (gsize) layer->channels * layer->height * layer->width;
  if (*total > MAX_MAPS)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
        "the file's input of %ux%u is too large to check its head; "
        "export it with a smaller imgsz or with dynamic=True, any size can be chosen later",
        lowered->width, lowered->height);
  yolo_head_add_leaves (search, boundary, reader);
  return TRUE;
}

static gboolean
find_leaves (Search *search, GError **error)
{
  Lowered *lowered = search->lowered;
  const OnnxFile *file = lowered->file;
  g_autofree gboolean *seen = g_new0 (gboolean, lowered->graph->layers->len);
  gsize total = 0;

  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    if (!search->needed[i] || !yolo_eval_knows (node))
      continue;
    for (guint k = 0; k < node->n_in; k++) {
      const Value *value = yolo_lowered_value (lowered, node, k);

      if (value == NULL)
        continue;
      if ((value->kind == VALUE_FLAT && !add_logits (search, value, node, error))
          || (value->kind == VALUE_FEATURE && !add_map (search, value, node, seen, &total, error)))
        return FALSE;
    }
  }
  yolo_head_sort_leaves (search);
  return TRUE;
}

static gboolean
same_level (const GArray *layers, const Leaf *a, const Leaf *b)
{
  const YoloLayer *p = yolo_layer_at (layers, a->layer), *q = yolo_layer_at (layers, b->layer);
  return p->height == q->height && p->width == q->width;
}

/* Adds the level that begins with leaf number @first and has @n leaves. */
static gboolean
add_level (Search *search, guint first, guint n, GError **error)
{
  const Leaf *leaf = &g_array_index (search->leaves, Leaf, first);
  const YoloLayer *layer = yolo_layer_at (search->lowered->graph->layers, leaf->layer);
  Levels *levels = &search->levels;
  guint stride = search->lowered->height / layer->height;

  if (n > HEAD_MAX_MAPS)
    return yolo_head_refuse (search, leaf[HEAD_MAX_MAPS].reader,
        "takes a fourth map from a level of the head, which no YOLO has", error);
  if (n < 2)
    return yolo_head_refuse (search, leaf->reader,
        layer->channels % 3 == 0 && layer->channels > 15
            ? "reads one map of a level, as of boxes relative to anchors: classic YOLOv3, YOLOv5 "
              "and YOLOv7 are not supported, YOLOv5u and newer are"
            : "reads a feature map that is no pair of boxes and classes",
        error);
  if (levels->n > 0 && n != levels->n_maps)
    return yolo_head_refuse (
        search, leaf->reader, "begins a level that has other maps than the level before", error);
  if (levels->n == YOLO_MAX_LEVELS)
    return yolo_head_refuse (search, leaf->reader, "belongs to a head of too many levels", error);
  if (stride * layer->height != search->lowered->height
      || stride * layer->width != search->lowered->width)
    return yolo_head_refuse (search, leaf->reader,
        "reads a feature map whose size is no whole part of the input's", error);
  levels->n_maps = n;
  levels->first[levels->n] = first;
  levels->stride[levels->n++] = stride;
  return TRUE;
}

gboolean
yolo_head_sort_levels (Search *search, GError **error)
{
  const GArray *layers = search->lowered->graph->layers;
  guint n;

  for (guint i = 0; i < search->leaves->len; i += n) {
    const Leaf *first = &g_array_index (search->leaves, Leaf, i);

    for (n = 1; i + n < search->leaves->len && same_level (layers, first, first + n);)
      n++;
    if (!add_level (search, i, n, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
yolo_head_find_maps (Search *search, GError **error)
{
  if (!find_leaves (search, error))
    return FALSE;
  if (search->logits != YOLO_LAYER_NONE && search->leaves->len > 0)
    return yolo_head_refuse (search, g_array_index (search->leaves, Leaf, 0).reader,
        "reads a feature map beside numbers for the whole image", error);
  return yolo_head_sort_levels (search, error);
}

static float
random_float (guint32 *state)
{
  *state = *state * 1664525u + 1013904223u;
  return (float) (*state >> 8) / (1 << 24);
}

/* Numbers that are logits, distances and angles of either sign. */
static Tensor *
random_tensor (
    TensorScope *scope, guint n_dims, const gint64 *dims, guint32 *state, GError **error)
{
  Tensor *tensor = yolo_onnx_tensor_new (scope, FALSE, n_dims, dims, error);

  for (gsize k = 0; tensor != NULL && k < tensor->n; k++)
    tensor->f[k] = 12 * random_float (state) - 6;
  return tensor;
}

gboolean
yolo_head_make_maps (Search *search, TensorScope *scope, GError **error)
{
  GArray *layers = search->lowered->graph->layers;
  guint32 state = 1;

  for (guint i = 0; i < search->leaves->len; i++) {
    guint boundary = g_array_index (search->leaves, Leaf, i).boundary;
    const YoloLayer *layer = yolo_layer_at (layers, boundary);
    gint64 dims[4] = { 1, layer->channels, layer->height, layer->width };

    if (search->maps[boundary] != NULL)
      continue;
    search->maps[boundary] = random_tensor (scope, 4, dims, &state, error);
    if (search->maps[boundary] == NULL)
      return FALSE;
  }
  if (search->logits != YOLO_LAYER_NONE) {
    gint64 dims[2] = { 1, yolo_layer_at (layers, search->logits)->channels };
    search->flat = random_tensor (scope, 2, dims, &state, error);
    return search->flat != NULL;
  }
  return TRUE;
}
