/* SPDX-License-Identifier: MIT */
/* YOLOv9e's second backbone, which takes in parts of the first one
 * (ultralytics/nn/modules/block.py, CBLinear and CBFuse). */

#include "network/torch/modules.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

guint
yolo_torch_cb_linear (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "conv", NULL };

  if (!yolo_torch_check_children (builder, module, names, error))
    return YOLO_LAYER_NONE;
  return yolo_torch_run (builder, module, "conv", in, error);
}

/* Channels [*begin, *begin + *channels) of a CBLinear are its part number @index (c2s). */
static gboolean
find_part (const YoloPickleValue *linear, guint all, gint64 index, guint *begin, guint *channels)
{
  const YoloPickleValue *sizes = yolo_pickle_attribute (linear, "c2s");
  gint64 size = 0, at = 0;

  if (strcmp (yolo_torch_class (linear), "CBLinear") != 0 || index < 0
      || index >= yolo_pickle_items (sizes).n)
    return FALSE;
  for (gint64 k = 0; k <= index; k++) {
    at += size;
    if (!yolo_pickle_int (yolo_pickle_item (sizes, (guint) k), &size) || size < 1
        || size > all - at)
      return FALSE;
  }
  *begin = (guint) at;
  *channels = (guint) size;
  return TRUE;
}

/* A part as large as the layer that it is added to, or YOLO_LAYER_NONE with @error. */
static guint
scaled_part (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in,
    const YoloPickleValue *linear, gint64 index, guint target, GError **error)
{
  const GArray *layers = builder->graph->layers;
  guint begin = 0, channels = 0, part, factor;

  if (!find_part (linear, yolo_layer_at (layers, in)->channels, index, &begin, &channels)) {
    yolo_torch_refuse (builder, module, FORMAT, "takes parts that no CBLinear gives", error);
    return YOLO_LAYER_NONE;
  }
  part = yolo_graph_slice (builder->graph, builder->path->str, in, begin, channels, error);
  if (part == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  factor = yolo_layer_at (layers, target)->height / yolo_layer_at (layers, part)->height;
  if (factor <= 1)
    return part;
  return yolo_graph_upsample (builder->graph, builder->path->str, part, factor, error);
}

guint
yolo_torch_cb_fuse (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n,
    const guint *in, const YoloPickleValue *const *from, GError **error)
{
  const YoloPickleValue *indices = yolo_pickle_attribute (module, "idx");
  guint sum = in[n - 1];
  gint64 index;

  if (yolo_pickle_items (indices).n != n - 1) {
    yolo_torch_refuse (
        builder, module, UNSUPPORTED, "takes other inputs than it has indices for (idx)", error);
    return YOLO_LAYER_NONE;
  }
  for (guint k = 0; k + 1 < n && sum != YOLO_LAYER_NONE; k++) {
    guint part;

    if (!yolo_pickle_int (yolo_pickle_item (indices, k), &index))
      index = -1;
    part = scaled_part (builder, module, in[k], from[k], index, in[n - 1], error);
    sum = part != YOLO_LAYER_NONE
        ? yolo_graph_add (builder->graph, builder->path->str, sum, part, error)
        : part;
  }
  return sum;
}
