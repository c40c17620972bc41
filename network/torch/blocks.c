/* SPDX-License-Identifier: MIT */
/* The blocks of Ultralytics' networks (ultralytics/nn/modules/conv.py and block.py). */

#include "network/compose.h"
#include "network/torch/modules.h"

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

#define MAX_POOLS 16            /* of an SPPF */

static guint
channels_of (const YoloTorchBuilder *builder, guint layer)
{
  return yolo_layer_at (builder->graph->layers, layer)->channels;
}

/* The modules one behind the other, in the order in which they were added. */
guint
yolo_torch_sequence (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  YoloPickleItems children = yolo_torch_children (module);

  for (guint i = 0; i < children.n && in != YOLO_LAYER_NONE; i += 2) {
    const char *name = yolo_pickle_string (children.values[i]);

    if (name == NULL) {
      yolo_torch_refuse (builder, module, FORMAT, "has a part without a name", error);
      return YOLO_LAYER_NONE;
    }
    in = yolo_torch_run (builder, module, name, in, error);
  }
  return in;
}

/* Conv and DWConv: act (bn (conv (x))); a model that was fused has no bn. */
guint
yolo_torch_conv_block (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const parts[] = { "conv", "bn", "act", NULL };

  if (!yolo_torch_check_children (builder, module, parts, error))
    return YOLO_LAYER_NONE;
  in = yolo_torch_run (builder, module, "conv", in, error);
  if (in != YOLO_LAYER_NONE && !yolo_pickle_is_none (yolo_torch_child (module, "bn")))
    in = yolo_torch_run (builder, module, "bn", in, error);
  return in != YOLO_LAYER_NONE ? yolo_torch_run (builder, module, "act", in, error)
                               : YOLO_LAYER_NONE;
}

/* x + y where the module's "add" says so, else y. */
static guint
add_shortcut (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint x, guint y, GError **error)
{
  gboolean add = FALSE;

  if (y == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  yolo_pickle_bool (yolo_pickle_attribute (module, "add"), &add);
  return add ? yolo_graph_add (builder->graph, builder->path->str, x, y, error) : y;
}

/* cv2 (cv1 (x)) [+ x]. */
guint
yolo_torch_bottleneck (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const parts[] = { "cv1", "cv2", NULL };
  guint y;

  if (!yolo_torch_check_children (builder, module, parts, error))
    return YOLO_LAYER_NONE;
  y = yolo_torch_run (builder, module, "cv1", in, error);
  if (y != YOLO_LAYER_NONE)
    y = yolo_torch_run (builder, module, "cv2", y, error);
  return add_shortcut (builder, module, in, y, error);
}

/* By what the channels are now: the attribute "c" stays as it was when a model is pruned. */
gboolean
yolo_torch_halve (YoloTorchBuilder *builder, const YoloPickleValue *module, guint whole,
    guint half[2], GError **error)
{
  guint channels = channels_of (builder, whole);

  if (channels % 2 != 0)
    return yolo_torch_refuse (
        builder, module, UNSUPPORTED, "has an odd number of channels to halve", error);
  for (guint i = 0; i < 2; i++) {
    half[i] = yolo_graph_slice (
        builder->graph, builder->path->str, whole, i * channels / 2, channels / 2, error);
    if (half[i] == YOLO_LAYER_NONE)
      return FALSE;
  }
  return TRUE;
}

/* C2: cv2 of m (a) and b, the halves of cv1 (x). */
guint
yolo_torch_c2 (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", "cv2", "m", NULL };
  guint half[2];

  if (!yolo_torch_check_children (builder, module, names, error)
      || (in = yolo_torch_run (builder, module, "cv1", in, error)) == YOLO_LAYER_NONE
      || !yolo_torch_halve (builder, module, in, half, error)
      || (half[0] = yolo_torch_run (builder, module, "m", half[0], error)) == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  return yolo_torch_join (builder, module, 2, half, "cv2", error);
}

/* The two parts that C2f begins with: the halves of cv1 (x), or, in the C2f_v2 that Torch-Pruning
 * makes of it, cv0 (x) and cv1 (x). */
static gboolean
c2f_begin (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, guint part[2],
    GError **error)
{
  part[1] = yolo_torch_run (builder, module, "cv1", in, error);
  if (part[1] == YOLO_LAYER_NONE)
    return FALSE;
  if (yolo_torch_child (module, "cv0") == NULL)
    return yolo_torch_halve (builder, module, part[1], part, error);
  part[0] = yolo_torch_run (builder, module, "cv0", in, error);
  return part[0] != YOLO_LAYER_NONE;
}

gboolean
yolo_torch_chain (YoloTorchBuilder *builder, const YoloPickleValue *module, const char *name,
    GArray *parts, GError **error)
{
  const YoloPickleValue *list = yolo_torch_enter (builder, module, name, error);
  YoloPickleItems chain;

  if (list == NULL)
    return FALSE;
  chain = yolo_torch_children (list);
  for (guint i = 0; i < chain.n; i += 2) {
    const char *part = yolo_pickle_string (chain.values[i]);
    guint last = g_array_index (parts, guint, parts->len - 1);

    if (part == NULL)
      return yolo_torch_refuse (builder, list, FORMAT, "has a part without a name", error);
    last = yolo_torch_run (builder, list, part, last, error);
    if (last == YOLO_LAYER_NONE)
      return FALSE;
    g_array_append_val (parts, last);
  }
  yolo_torch_leave (builder);
  return TRUE;
}

guint
yolo_torch_join (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n,
    const guint *parts, const char *name, GError **error)
{
  guint joined = yolo_graph_concat (builder->graph, builder->path->str, n, parts, error);

  return joined != YOLO_LAYER_NONE ? yolo_torch_run (builder, module, name, joined, error)
                                   : YOLO_LAYER_NONE;
}

/* C2f and C3k2: a and b begin, each of m takes the part before it, cv2 takes all of them. */
guint
yolo_torch_c2f (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv0", "cv1", "cv2", "m", NULL };
  g_autoptr (GArray) parts = g_array_new (FALSE, FALSE, sizeof (guint));
  guint part[2];

  if (!yolo_torch_check_children (builder, module, names, error)
      || !c2f_begin (builder, module, in, part, error))
    return YOLO_LAYER_NONE;
  g_array_append_vals (parts, part, 2);
  if (!yolo_torch_chain (builder, module, "m", parts, error))
    return YOLO_LAYER_NONE;
  return yolo_torch_join (builder, module, parts->len, (const guint *) parts->data, "cv2", error);
}

/* RepNCSPELAN4 and ELAN1: the halves of cv1 (x), cv2 of the second half and cv3 of that; cv4 takes
 * all of them. */
guint
yolo_torch_elan (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", "cv2", "cv3", "cv4", NULL };
  guint parts[4];

  if (!yolo_torch_check_children (builder, module, names, error)
      || (in = yolo_torch_run (builder, module, "cv1", in, error)) == YOLO_LAYER_NONE
      || !yolo_torch_halve (builder, module, in, parts, error))
    return YOLO_LAYER_NONE;
  for (guint k = 2; k < 4; k++) {
    parts[k] = yolo_torch_run (builder, module, names[k - 1], parts[k - 1], error);
    if (parts[k] == YOLO_LAYER_NONE)
      return YOLO_LAYER_NONE;
  }
  return yolo_torch_join (builder, module, 4, parts, "cv4", error);
}

/* SPPELAN: cv5 of cv1 (x), pooled not at all, once, twice and thrice. */
guint
yolo_torch_sppelan (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", "cv2", "cv3", "cv4", "cv5", NULL };
  guint parts[4];

  if (!yolo_torch_check_children (builder, module, names, error))
    return YOLO_LAYER_NONE;
  for (guint k = 0; k < 4; k++) {
    parts[k] = yolo_torch_run (builder, module, names[k], k > 0 ? parts[k - 1] : in, error);
    if (parts[k] == YOLO_LAYER_NONE)
      return YOLO_LAYER_NONE;
  }
  return yolo_torch_join (builder, module, 4, parts, "cv5", error);
}

/* AConv: cv1 of averages. */
guint
yolo_torch_aconv (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", NULL };

  if (!yolo_torch_check_children (builder, module, names, error))
    return YOLO_LAYER_NONE;
  in = yolo_compose_average_pool (builder->graph, builder->path->str, in, 2, 1, 0, error);
  return in != YOLO_LAYER_NONE ? yolo_torch_run (builder, module, "cv1", in, error) : in;
}

/* ADown: the halves of averages, one through cv1, one through windows' maxima and cv2. */
guint
yolo_torch_adown (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", "cv2", NULL };
  guint half[2];

  if (!yolo_torch_check_children (builder, module, names, error)
      || (in = yolo_compose_average_pool (builder->graph, builder->path->str, in, 2, 1, 0, error))
          == YOLO_LAYER_NONE
      || !yolo_torch_halve (builder, module, in, half, error))
    return YOLO_LAYER_NONE;
  half[0] = yolo_torch_run (builder, module, "cv1", half[0], error);
  if (half[0] == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  half[1] = yolo_graph_max_pool (builder->graph, builder->path->str, half[1], 3, 2, 1, error);
  if (half[1] != YOLO_LAYER_NONE)
    half[1] = yolo_torch_run (builder, module, "cv2", half[1], error);
  return half[1] != YOLO_LAYER_NONE
      ? yolo_graph_concat (builder->graph, builder->path->str, 2, half, error)
      : YOLO_LAYER_NONE;
}

/* SCDown: cv2 (cv1 (x)). */
guint
yolo_torch_scdown (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", "cv2", NULL };

  if (!yolo_torch_check_children (builder, module, names, error))
    return YOLO_LAYER_NONE;
  in = yolo_torch_run (builder, module, "cv1", in, error);
  return in != YOLO_LAYER_NONE ? yolo_torch_run (builder, module, "cv2", in, error) : in;
}

/* CIB: cv1 (x) [+ x]. */
guint
yolo_torch_cib (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", NULL };

  if (!yolo_torch_check_children (builder, module, names, error))
    return YOLO_LAYER_NONE;
  return add_shortcut (
      builder, module, in, yolo_torch_run (builder, module, "cv1", in, error), error);
}

/* RepVGGDW: act (conv (x) + conv1 (x)); RepConv: act (conv1 (x) + conv2 (x) [+ bn (x)]). Both are
 * act (conv (x)) in a model that was fused. */
guint
yolo_torch_branches (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "act", "bn", "conv", "conv1", "conv2", NULL };
  guint sum = YOLO_LAYER_NONE;

  if (!yolo_torch_check_children (builder, module, names, error))
    return YOLO_LAYER_NONE;
  for (guint k = 1; names[k] != NULL; k++) {
    guint branch;

    if (yolo_pickle_is_none (yolo_torch_child (module, names[k])))
      continue;
    branch = yolo_torch_run (builder, module, names[k], in, error);
    if (branch != YOLO_LAYER_NONE && sum != YOLO_LAYER_NONE)
      branch = yolo_graph_add (builder->graph, builder->path->str, sum, branch, error);
    if (branch == YOLO_LAYER_NONE)
      return YOLO_LAYER_NONE;
    sum = branch;
  }
  if (sum == YOLO_LAYER_NONE)
    yolo_torch_refuse (builder, module, FORMAT, "has no convolution", error);
  return sum != YOLO_LAYER_NONE ? yolo_torch_run (builder, module, "act", sum, error) : sum;
}

/* C3 and C3k: cv3 of m (cv1 (x)) and cv2 (x). */
guint
yolo_torch_c3 (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", "cv2", "cv3", "m", NULL };
  guint both[2];

  if (!yolo_torch_check_children (builder, module, names, error))
    return YOLO_LAYER_NONE;
  both[0] = yolo_torch_run (builder, module, "cv1", in, error);
  if (both[0] != YOLO_LAYER_NONE)
    both[0] = yolo_torch_run (builder, module, "m", both[0], error);
  if (both[0] == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  both[1] = yolo_torch_run (builder, module, "cv2", in, error);
  if (both[1] == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  return yolo_torch_join (builder, module, 2, both, "cv3", error);
}

/* cv2 of cv1 (x), pooled not at all, once, twice and so on [+ x]. Versions before 8.4 have no
 * "n": they pool thrice. */
guint
yolo_torch_sppf (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", "cv2", "m", NULL };
  guint parts[1 + MAX_POOLS], y;
  gint64 n = 3;

  if (!yolo_torch_check_children (builder, module, names, error))
    return YOLO_LAYER_NONE;
  yolo_pickle_int (yolo_pickle_attribute (module, "n"), &n);
  if (n < 0 || n > MAX_POOLS) {
    yolo_torch_refuse (builder, module, UNSUPPORTED, "pools more often than is supported", error);
    return YOLO_LAYER_NONE;
  }
  parts[0] = yolo_torch_run (builder, module, "cv1", in, error);
  for (guint i = 0; i < n && parts[i] != YOLO_LAYER_NONE; i++) {
    parts[i + 1] = yolo_torch_run (builder, module, "m", parts[i], error);
    if (parts[i + 1] == YOLO_LAYER_NONE)
      return YOLO_LAYER_NONE;
  }
  if (parts[0] == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  y = yolo_graph_concat (builder->graph, builder->path->str, (guint) n + 1, parts, error);
  if (y != YOLO_LAYER_NONE)
    y = yolo_torch_run (builder, module, "cv2", y, error);
  return add_shortcut (builder, module, in, y, error);
}
