/* SPDX-License-Identifier: MIT */
/* The heads (ultralytics/nn/modules/head.py), each by the name of its class. */

#include "network/torch/modules.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

#define MAX_POINTS 1000

/* What heads with boxes have beside them, at each level. */
typedef struct {
  const char *class, *task;
  gboolean extra;               /* whether they have anything */
  YoloMapRole role;
  const char *branch;           /* the modules that make it of a level's layer ... */
  const char *last;             /* ... and those behind them, or NULL */
  YoloHeadForm form;            /* as far as the class says it */
} BoxHead;

static const BoxHead box_heads[] = {
  { .class = "Detect", .task = "detect" },
  { .class = "v10Detect", .task = "detect" },
  { .class = "Segment", .task = "segment", .extra = TRUE, .role = YOLO_MAP_COEFFICIENT,
      .branch = "cv4" },
  { .class = "Segment26", .task = "segment", .extra = TRUE, .role = YOLO_MAP_COEFFICIENT,
      .branch = "cv4" },
  { .class = "Pose", .task = "pose", .extra = TRUE, .role = YOLO_MAP_KEYPOINT, .branch = "cv4",
      .form = { .point_scale = 2, .point_offset = -.5f } },
  { .class = "Pose26", .task = "pose", .extra = TRUE, .role = YOLO_MAP_KEYPOINT, .branch = "cv4",
      .last = "cv4_kpts", .form = { .point_scale = 1 } },
  { .class = "OBB", .task = "obb", .extra = TRUE, .role = YOLO_MAP_ANGLE, .branch = "cv4",
      .form = { .angle_sigmoid = TRUE } },
  { .class = "OBB26", .task = "obb", .extra = TRUE, .role = YOLO_MAP_ANGLE, .branch = "cv4" },
};

/* The layer that module LEVEL within the branch makes of layer @in. */
static guint
run_branch (YoloTorchBuilder *builder, const YoloPickleValue *module, const char *branch,
    guint level, guint in, GError **error)
{
  const YoloPickleValue *levels = yolo_torch_enter (builder, module, branch, error);
  g_autofree char *name = g_strdup_printf ("%u", level);
  guint layer;

  if (levels == NULL)
    return YOLO_LAYER_NONE;
  layer = yolo_torch_run (builder, levels, name, in, error);
  if (layer != YOLO_LAYER_NONE)
    yolo_torch_leave (builder);
  return layer;
}

/* The map of a role at a level. @prefix: "one2one_" or nothing, which comes before the
 * names of the branches; @last: NULL if there is one branch only. */
static gboolean
add_map (YoloTorchBuilder *builder, const YoloPickleValue *module, const char *prefix,
    const char *branch, const char *last, YoloMapRole role, guint level, guint in, GError **error)
{
  g_autofree char *name = g_strconcat (prefix, branch, NULL);
  guint layer = run_branch (builder, module, name, level, in, error);

  if (layer != YOLO_LAYER_NONE && last != NULL) {
    g_autofree char *behind = g_strconcat (prefix, last, NULL);
    layer = run_branch (builder, module, behind, level, layer, error);
  }
  return layer != YOLO_LAYER_NONE && yolo_graph_output (builder->graph, role, level, layer, error);
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

  if (strcmp (yolo_torch_class (dfl), bins == 1 ? "Identity" : "DFL") != 0)
    return yolo_torch_refuse (builder, module, UNSUPPORTED,
        "gives neither distances nor their distributions (dfl)", error);
  if (bins == 1)
    return TRUE;
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
    return yolo_torch_refuse (builder, module, UNSUPPORTED, "does not say what it finds", error);
  strides = yolo_checkpoint_floats (builder->checkpoint, tensor, what, 1, &n, error);
  if (strides == NULL)
    return FALSE;
  for (guint k = 0; k < graph->n_outputs; k++) {
    const YoloOutput *output = &graph->outputs[k];
    guint channels = yolo_layer_at (graph->layers, output->layer)->channels;

    if (!yolo_map_has_level (output->role))
      continue;
    if ((float) output->stride != strides[output->level]
        || (output->role == YOLO_MAP_BOX && channels != 4 * bins)
        || (output->role == YOLO_MAP_CLASS && channels != classes))
      return yolo_torch_refuse (builder, module, FORMAT,
          "does not fit its own convolutions: nc, reg_max or stride are wrong", error);
  }
  return check_bins (builder, module, (guint) bins, error);
}

/* kpt_shape: how many points, of 2 or 3 numbers each. */
static gboolean
read_points (YoloTorchBuilder *builder, const YoloPickleValue *module, GError **error)
{
  const YoloPickleValue *shape = yolo_pickle_attribute (module, "kpt_shape");
  YoloHeadForm *form = &builder->graph->form;
  gint64 points, dimensions;

  if (yolo_pickle_items (shape).n != 2 || !yolo_pickle_int (yolo_pickle_item (shape, 0), &points)
      || !yolo_pickle_int (yolo_pickle_item (shape, 1), &dimensions) || points < 1
      || points > MAX_POINTS || dimensions < 2 || dimensions > 3)
    return yolo_torch_refuse (
        builder, module, UNSUPPORTED, "has points of a kind that is not supported", error);
  form->keypoints = (unsigned) points;
  form->dimensions = (unsigned) dimensions;
  for (guint k = 0; k < builder->graph->n_outputs; k++) {
    const YoloOutput *output = &builder->graph->outputs[k];
    if (output->role == YOLO_MAP_KEYPOINT
        && yolo_layer_at (builder->graph->layers, output->layer)->channels != points * dimensions)
      return yolo_torch_refuse (builder, module, FORMAT,
          "does not fit its own convolutions: kpt_shape is wrong", error);
  }
  return TRUE;
}

/* The module "proto". The levels below the first are joined with it before in YOLO26
 * (Proto26). */
static gboolean
add_prototypes (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n_in,
    const guint *in, GError **error)
{
  const YoloPickleValue *proto = yolo_torch_enter (builder, module, "proto", error);
  guint layer;

  if (proto == NULL)
    return FALSE;
  layer = yolo_torch_proto (builder, proto, n_in, in, error);
  if (layer == YOLO_LAYER_NONE)
    return FALSE;
  yolo_torch_leave (builder);
  return yolo_graph_output (builder->graph, YOLO_MAP_PROTOTYPE, 0, layer, error);
}

/* The module has both heads, or what fusing has left of them, and says which one runs, where
 * the user does not. FALSE with @error: there is not the one that is wanted.
 * Source: Ultralytics nn/modules/head.py, Detect.end2end. */
static gboolean
choose_head (YoloTorchBuilder *builder, const YoloPickleValue *module, int *end_to_end,
    GError **error)
{
  gboolean one = !yolo_pickle_is_none (yolo_torch_child (module, "one2one_cv2")),
           many = !yolo_pickle_is_none (yolo_torch_child (module, "cv2")), asked = FALSE;

  yolo_pickle_bool (yolo_pickle_attribute (module, "_end2end"), &asked);
  *end_to_end = builder->head == YOLO_HEAD_END_TO_END
      || (builder->head == YOLO_HEAD_AUTO && one && (asked || !many));
  if (*end_to_end ? !one : !many)
    return yolo_torch_refuse (builder, module, UNSUPPORTED,
        "does not have the head that is asked for: use head=auto", error);
  return TRUE;
}

static gboolean
add_box_head (YoloTorchBuilder *builder, const YoloPickleValue *module, const BoxHead *head,
    guint n_in, const guint *in, GError **error)
{
  /* Those of the other head, and what only training needs, are not looked at. */
  static const char *const parts[] = { "cv2", "cv3", "cv4", "cv4_kpts", "cv4_sigma", "dfl", "proto",
    "flow_model", "one2one_cv2", "one2one_cv3", "one2one_cv4", "one2one_cv4_kpts",
    "one2one_cv4_sigma", NULL };
  YoloGraph *graph = builder->graph;
  const char *prefix;

  if (!yolo_torch_check_children (builder, module, parts, error))
    return FALSE;
  graph->task = head->task;
  graph->form = head->form;
  if (!choose_head (builder, module, &graph->form.end_to_end, error))
    return FALSE;
  prefix = graph->form.end_to_end ? "one2one_" : "";
  for (guint level = 0; level < n_in; level++) {
    if (!add_map (builder, module, prefix, "cv2", NULL, YOLO_MAP_BOX, level, in[level], error)
        || !add_map (builder, module, prefix, "cv3", NULL, YOLO_MAP_CLASS, level, in[level], error)
        || (head->extra
            && !add_map (builder, module, prefix, head->branch, head->last, head->role, level,
                in[level], error)))
      return FALSE;
  }
  if (head->extra && head->role == YOLO_MAP_COEFFICIENT
      && !add_prototypes (builder, module, n_in, in, error))
    return FALSE;
  if (head->extra && head->role == YOLO_MAP_KEYPOINT && !read_points (builder, module, error))
    return FALSE;
  return check_maps (builder, module, n_in, error);
}

/* Classes of the whole image: conv, the mean over it (pool), linear. */
static gboolean
add_classify (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n_in,
    const guint *in, GError **error)
{
  static const char *const parts[] = { "conv", "pool", "drop", "linear", NULL };
  guint layer;

  if (n_in != 1)
    return yolo_torch_refuse (builder, module, UNSUPPORTED, "takes several inputs", error);
  if (!yolo_torch_check_children (builder, module, parts, error))
    return FALSE;
  builder->graph->task = "classify";
  builder->graph->form.end_to_end = TRUE;
  layer = yolo_torch_run (builder, module, "conv", in[0], error);
  if (layer != YOLO_LAYER_NONE)
    layer = yolo_torch_run (builder, module, "pool", layer, error);
  if (layer != YOLO_LAYER_NONE)
    layer = yolo_torch_run (builder, module, "linear", layer, error);
  return layer != YOLO_LAYER_NONE
      && yolo_graph_output (builder->graph, YOLO_MAP_LOGIT, 0, layer, error);
}

gboolean
yolo_torch_head (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n_in,
    const guint *in, GError **error)
{
  const char *class = yolo_torch_class (module);

  if (strcmp (class, "Classify") == 0)
    return add_classify (builder, module, n_in, in, error);
  for (guint i = 0; i < G_N_ELEMENTS (box_heads); i++) {
    if (strcmp (box_heads[i].class, class) == 0)
      return add_box_head (builder, module, &box_heads[i], n_in, in, error);
  }
  return yolo_torch_refuse (builder, module, UNSUPPORTED,
      "is no head that is supported; those of detect, segment, pose, obb and classify models are",
      error);
}
