/* SPDX-License-Identifier: MIT */
/* Files whose outputs are the maps themselves, as exporters for NPUs leave them: there is no
 * tail to prove anything by, so that the maps are told apart by their sizes and channels. */

#include "network/onnx/head-search.h"
#include "network/onnx/literal.h"

#include <string.h>

static const HeadKind kinds[] = {
  { "detect", YOLO_MAP_BOX, { 0 } },
  { "segment", YOLO_MAP_COEFFICIENT, { 0 } },
};

/* The map of an output, without the sigmoid that makes confidences of class logits. */
static guint
map_of (const Search *search, guint layer)
{
  const GArray *layers = search->lowered->graph->layers;
  const YoloLayer *map = yolo_layer_at (layers, yolo_layer_at (layers, layer)->below);

  if (yolo_layer_is (map, YOLO_OP_ACT) && map->numbers.act == YOLO_ACT_SIGMOID)
    map = yolo_layer_at (layers, yolo_layer_at (layers, map->in[0])->below);
  return map->below;
}

/* Whether an output is the sum of all classes at each pixel, by which the runtimes of NPUs
 * skip pixels: the file has it beside the maps, and it is not needed. */
static gboolean
is_sum (const Search *search, guint value)
{
  const OnnxNode *node = yolo_onnx_producer (search->lowered->file, value);

  return node != NULL && (strcmp (node->op, "ReduceSum") == 0 || strcmp (node->op, "Clip") == 0);
}

static gboolean
collect_maps (Search *search, GError **error)
{
  const Lowered *lowered = search->lowered;
  const OnnxFile *file = lowered->file;

  for (guint k = 0; k < file->n_outputs; k++) {
    const Value *value = &lowered->values[file->outputs[k]];

    if (value->kind == VALUE_FEATURE)
      yolo_head_add_leaves (search, map_of (search, value->layer), NULL);
    else if (!is_sum (search, file->outputs[k]))
      return yolo_head_refuse_outputs (search, error);
  }
  return TRUE;
}

/* The number of classes that the file names, or 0. */
static guint
count_names (const Search *search)
{
  const char *text = yolo_onnx_metadata (search->lowered->file, "names");
  g_autoptr (GHashTable) names = text != NULL ? yolo_literal_names (text) : NULL;

  return names != NULL ? g_hash_table_size (names) : 0;
}

/* Takes the largest map for prototypes if it is alone at its size and no map of a level. */
static void
take_prototypes (Search *search)
{
  const GArray *layers = search->lowered->graph->layers;
  const Leaf *leaf = &g_array_index (search->leaves, Leaf, 0);
  const YoloLayer *first = yolo_layer_at (layers, leaf[0].layer);

  if (search->leaves->len < 4
      || yolo_layer_at (layers, leaf[1].layer)->height == first->height)
    return;
  search->prototypes = leaf->layer;
  g_array_remove_index (search->leaves, 0);
}

/* Whether a level's maps, in this order, are boxes, classes and coefficients. The usual
 * channels of boxes are those of a distribution over 16 bins, or 4. */
static gboolean
order_fits (const Search *search, guint l, const guint8 *order, guint n_names, gboolean usual)
{
  const GArray *layers = search->lowered->graph->layers;
  const Leaf *leaf = &g_array_index (search->leaves, Leaf, search->levels.first[l]);
  guint channels[HEAD_MAX_MAPS] = { 0 };

  for (guint k = 0; k < search->levels.n_maps; k++)
    channels[k] = yolo_layer_at (layers, leaf[order[k]].layer)->channels;
  return channels[HEAD_BOX] % 4 == 0 && channels[HEAD_BOX] <= 4 * YOLO_MAX_REG
      && (!usual || channels[HEAD_BOX] == 64 || channels[HEAD_BOX] == 4)
      && (n_names == 0 || channels[HEAD_CLASS] == n_names)
      && (search->prototypes == YOLO_LAYER_NONE
          || channels[HEAD_OTHER] == yolo_layer_at (layers, search->prototypes)->channels)
      && (l == 0
          || channels[HEAD_BOX] == yolo_layer_at (layers, search->layers[HEAD_BOX][0])->channels);
}

static gboolean
assign_level (Search *search, guint l, guint n_names)
{
  const Leaf *leaf = &g_array_index (search->leaves, Leaf, search->levels.first[l]);
  guint n = search->levels.n_maps == 2 ? 2 : G_N_ELEMENTS (yolo_head_orders);

  for (guint i = 0; i < 2 * n; i++) {
    const guint8 *order = yolo_head_orders[i % n];

    if (!order_fits (search, l, order, n_names, i < n))
      continue;
    for (guint k = 0; k < search->levels.n_maps; k++)
      search->layers[k][l] = leaf[order[k]].layer;
    return TRUE;
  }
  return FALSE;
}

gboolean
yolo_head_find_raw (Search *search, GError **error)
{
  const char *end_to_end = yolo_onnx_metadata (search->lowered->file, "end2end");
  guint n_names = count_names (search);
  gboolean fits;

  if (!collect_maps (search, error))
    return FALSE;
  yolo_head_sort_leaves (search);
  take_prototypes (search);
  search->kind = &kinds[search->prototypes != YOLO_LAYER_NONE];
  fits = yolo_head_sort_levels (search, NULL)
      && (search->levels.n_maps == HEAD_MAX_MAPS) == (search->prototypes != YOLO_LAYER_NONE);
  for (guint l = 0; fits && l < search->levels.n; l++)
    fits = assign_level (search, l, n_names);
  if (!fits)
    return yolo_head_refuse (search, NULL,
        "the model's outputs are maps that are not, at each of several scales, boxes and classes, "
        "with coefficients where there are prototypes of masks",
        error);
  search->reg_max = yolo_layer_at (search->lowered->graph->layers,
      search->layers[HEAD_BOX][0])->channels / 4;
  search->best = g_strcmp0 (end_to_end, "True") == 0;
  return TRUE;
}
