/* SPDX-License-Identifier: MIT */
/* The head (ultralytics/nn/modules/head.py: Detect). */

#include "network/torch/modules.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* The maps of a role: branch NAME.LEVEL of each level's layer. */
static gboolean
add_map (YoloTorchBuilder *builder, const YoloPickleValue *module, const char *branch,
    YoloMapRole role, guint level, guint in, GError **error)
{
  const YoloPickleValue *levels = yolo_torch_enter (builder, module, branch, error);
  g_autofree char *name = g_strdup_printf ("%u", level);
  guint layer;

  if (levels == NULL)
    return FALSE;
  layer = yolo_torch_run (builder, levels, name, in, error);
  if (layer == YOLO_LAYER_NONE)
    return FALSE;
  yolo_torch_leave (builder);
  return yolo_graph_output (builder->graph, role, level, layer, error);
}

/* The distribution's mean is over bins 0, 1, 2, ...: what we decode with. */
static gboolean
check_bins (YoloTorchBuilder *builder, const YoloPickleValue *module, guint bins, GError **error)
{
  const YoloPickleValue *dfl = yolo_torch_child (module, "dfl");
  const YoloPickleValue *conv = yolo_torch_child (dfl, "conv");
  const YoloPickleValue *weight =
      yolo_pickle_lookup (yolo_pickle_attribute (conv, "_parameters"), "weight");
  g_autofree char *what = g_strdup_printf ("%s.dfl.conv.weight", builder->path->str);
  gsize dims[4] = { 1, bins, 1, 1 };
  g_autofree float *numbers = NULL;

  if (bins < 2 || strcmp (yolo_torch_class (dfl), "DFL") != 0)
    return yolo_torch_refuse (builder, module, UNSUPPORTED,
        "gives distances, not their distributions, which is not supported yet", error);
  numbers = yolo_checkpoint_floats (builder->checkpoint, weight, what, 4, dims, error);
  if (numbers == NULL)
    return FALSE;
  for (guint i = 0; i < bins; i++) {
    if (numbers[i] != (float) i)
      return yolo_torch_refuse (
          builder, module, UNSUPPORTED, "has bins (dfl) that are not 0, 1, 2, ...", error);
  }
  return TRUE;
}

/* What the module says of itself must be what its maps are. */
static gboolean
check_maps (YoloTorchBuilder *builder, const YoloPickleValue *module, guint levels, GError **error)
{
  const YoloGraph *graph = builder->graph;
  const YoloPickleValue *tensor = yolo_pickle_attribute (module, "stride");
  g_autofree char *what = g_strdup_printf ("%s.stride", builder->path->str);
  g_autofree float *strides = NULL;
  gsize n = levels;
  gint64 classes, bins;

  if (!yolo_pickle_int (yolo_pickle_attribute (module, "nc"), &classes)
      || !yolo_pickle_int (yolo_pickle_attribute (module, "reg_max"), &bins) || bins < 1
      || bins > YOLO_MAX_REG)
    return yolo_torch_refuse (
        builder, module, UNSUPPORTED, "is not the head of a YOLOv8 detect model", error);
  strides = yolo_checkpoint_floats (builder->checkpoint, tensor, what, 1, &n, error);
  if (strides == NULL)
    return FALSE;
  for (guint k = 0; k < graph->n_outputs; k++) {
    const YoloOutput *output = &graph->outputs[k];
    guint channels = yolo_layer_at (graph->layers, output->layer)->channels;

    if ((float) output->stride != strides[output->level]
        || channels != (output->role == YOLO_MAP_BOX ? 4 * bins : classes))
      return yolo_torch_refuse (builder, module, FORMAT,
          "does not fit its own convolutions: nc, reg_max or stride are wrong", error);
  }
  return check_bins (builder, module, (guint) bins, error);
}

gboolean
yolo_torch_detect (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n_in,
    const guint *in, GError **error)
{
  static const char *const parts[] = { "cv2", "cv3", "dfl", NULL };

  if (yolo_torch_child (module, "one2one_cv2") != NULL)
    return yolo_torch_refuse (builder, module, UNSUPPORTED,
        "is an end-to-end head (one2one_cv2), which is not supported yet", error);
  if (!yolo_torch_check_children (builder, module, parts, error))
    return FALSE;
  for (guint level = 0; level < n_in; level++) {
    if (!add_map (builder, module, "cv2", YOLO_MAP_BOX, level, in[level], error)
        || !add_map (builder, module, "cv3", YOLO_MAP_CLASS, level, in[level], error))
      return FALSE;
  }
  return check_maps (builder, module, n_in, error);
}
