/* SPDX-License-Identifier: MIT */
/* The prototypes of a segmenting head (ultralytics/nn/modules/block.py: Proto, Proto26). */

#include "network/torch/modules.h"

#include <string.h>

#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* Proto26: in[0] + the other levels, each through a convolution (feat_refine) and enlarged to
 * the first's size, through feat_fuse. */
static guint
join_levels (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n_in, const guint *in,
    GError **error)
{
  const YoloPickleValue *refine = yolo_torch_enter (builder, module, "feat_refine", error);
  guint sum = in[0];

  if (refine == NULL)
    return YOLO_LAYER_NONE;
  for (guint level = 1; level < n_in; level++) {
    g_autofree char *name = g_strdup_printf ("%u", level - 1);
    guint layer = yolo_torch_run (builder, refine, name, in[level], error);

    if (layer != YOLO_LAYER_NONE)
      layer = yolo_graph_upsample (builder->graph, builder->path->str, layer, 1u << level, error);
    if (layer != YOLO_LAYER_NONE)
      layer = yolo_graph_add (builder->graph, builder->path->str, sum, layer, error);
    if (layer == YOLO_LAYER_NONE)
      return YOLO_LAYER_NONE;
    sum = layer;
  }
  yolo_torch_leave (builder);
  return yolo_torch_run (builder, module, "feat_fuse", sum, error);
}

guint
yolo_torch_proto (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n_in,
    const guint *in, GError **error)
{
  /* "semseg" is for training only. */
  static const char *const parts[] = { "cv1", "upsample", "cv2", "cv3", "feat_refine", "feat_fuse",
    "semseg", NULL };
  static const char *const steps[] = { "cv1", "upsample", "cv2", "cv3" };
  gboolean joins = strcmp (yolo_torch_class (module), "Proto26") == 0;
  guint layer = in[0];

  if (!yolo_torch_check_children (builder, module, parts, error))
    return YOLO_LAYER_NONE;
  if ((!joins && strcmp (yolo_torch_class (module), "Proto") != 0) || n_in > YOLO_MAX_LEVELS) {
    yolo_torch_refuse (builder, module, UNSUPPORTED, "is not supported", error);
    return YOLO_LAYER_NONE;
  }
  if (joins)
    layer = join_levels (builder, module, n_in, in, error);
  for (guint i = 0; i < G_N_ELEMENTS (steps) && layer != YOLO_LAYER_NONE; i++)
    layer = yolo_torch_run (builder, module, steps[i], layer, error);
  return layer;
}
