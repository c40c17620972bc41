/* SPDX-License-Identifier: MIT */
/* The blocks of Ultralytics' networks that have attention (ultralytics/nn/modules/block.py). */

#include "network/attention.h"
#include "network/torch/modules.h"

#include <math.h>

#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

#define MAX_HEADS 1024

/* What qkv (x) becomes: proj (attention + pe (values)). */
static guint
attend (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in,
    const YoloOpNumbers *numbers, double factor, GError **error)
{
  YoloGraph *graph = builder->graph;
  const GString *path = builder->path;
  guint ordered = yolo_attention_order (graph, path->str, in, numbers->heads, numbers->key, error);
  guint near, mean, sum;

  if (ordered == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  near = yolo_attention_values (graph, path->str, ordered, numbers->heads, numbers->key, error);
  if (near != YOLO_LAYER_NONE)
    near = yolo_torch_run (builder, module, "pe", near, error);
  if (near == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  mean = yolo_attention_finish (graph, path->str, ordered, numbers, (float) factor, error);
  sum = mean != YOLO_LAYER_NONE ? yolo_graph_add (graph, path->str, mean, near, error) : mean;
  return sum != YOLO_LAYER_NONE ? yolo_torch_run (builder, module, "proj", sum, error) : sum;
}

/* A whole number of a module from 1 to @max; FALSE with @error. */
static gboolean
count (const YoloTorchBuilder *builder, const YoloPickleValue *module, const char *name, guint max,
    guint *number, GError **error)
{
  gint64 value;

  if (!yolo_pickle_int (yolo_pickle_attribute (module, name), &value) || value < 1 || value > max)
    return yolo_network_fail (error, UNSUPPORTED,
        "%.200s (%.100s) has a %s that is not supported", builder->path->str,
        yolo_torch_class (module), name);
  *number = (guint) value;
  return TRUE;
}

/* Attention: qkv makes, for each of num_heads heads, a query and a key of key_dim channels and a
 * value; products are multiplied by "scale". */
guint
yolo_torch_attention (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const parts[] = { "pe", "proj", "qkv", NULL };
  YoloOpNumbers numbers = { .areas = 1 };
  double scale;

  if (!yolo_torch_check_children (builder, module, parts, error)
      || !count (builder, module, "num_heads", MAX_HEADS, &numbers.heads, error)
      || !count (builder, module, "key_dim", G_MAXINT16, &numbers.key, error)
      || (in = yolo_torch_run (builder, module, "qkv", in, error)) == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  if (!yolo_pickle_number (yolo_pickle_attribute (module, "scale"), &scale))
    scale = 1 / sqrt (numbers.key);
  return attend (builder, module, in, &numbers, scale, error);
}

/* AAttn: queries, keys and values have as many channels each; "area" is how many runs the positions
 * are cut into. */
guint
yolo_torch_area_attention (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const parts[] = { "pe", "proj", "qkv", NULL };
  YoloOpNumbers numbers = { 0 };

  if (!yolo_torch_check_children (builder, module, parts, error)
      || !count (builder, module, "num_heads", MAX_HEADS, &numbers.heads, error)
      || !count (builder, module, "head_dim", G_MAXINT16, &numbers.key, error)
      || !count (builder, module, "area", G_MAXINT16, &numbers.areas, error)
      || (in = yolo_torch_run (builder, module, "qkv", in, error)) == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  if (yolo_layer_at (builder->graph->layers, in)->channels != 3 * numbers.heads * numbers.key) {
    yolo_torch_refuse (builder, module, YOLO_NETWORK_ERROR_FORMAT,
        "has heads that do not fit its convolution's channels (num_heads, head_dim)", error);
    return YOLO_LAYER_NONE;
  }
  return attend (builder, module, in, &numbers, 1 / sqrt (numbers.key), error);
}

/* y + NAME (y). */
static guint
add_part (YoloTorchBuilder *builder, const YoloPickleValue *module, const char *name, guint in,
    GError **error)
{
  guint part = yolo_torch_run (builder, module, name, in, error);

  return part != YOLO_LAYER_NONE
      ? yolo_graph_add (builder->graph, builder->path->str, in, part, error)
      : part;
}

/* PSABlock: attn and ffn, each with a shortcut where "add" says so. */
guint
yolo_torch_psa_block (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const parts[] = { "attn", "ffn", NULL };
  gboolean add = TRUE;

  if (!yolo_torch_check_children (builder, module, parts, error))
    return YOLO_LAYER_NONE;
  yolo_pickle_bool (yolo_pickle_attribute (module, "add"), &add);
  for (guint k = 0; k < 2 && in != YOLO_LAYER_NONE; k++)
    in = add ? add_part (builder, module, parts[k], in, error)
             : yolo_torch_run (builder, module, parts[k], in, error);
  return in;
}

/* ABlock: attn and mlp, each with a shortcut. */
guint
yolo_torch_area_block (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const parts[] = { "attn", "mlp", NULL };

  if (!yolo_torch_check_children (builder, module, parts, error))
    return YOLO_LAYER_NONE;
  for (guint k = 0; k < 2 && in != YOLO_LAYER_NONE; k++)
    in = add_part (builder, module, parts[k], in, error);
  return in;
}

/* C2PSA: cv2 of a and m (b), the halves of cv1 (x). PSA has one block's parts in place of m. */
guint
yolo_torch_c2psa (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "attn", "cv1", "cv2", "ffn", "m", NULL };
  guint half[2];

  if (!yolo_torch_check_children (builder, module, names, error)
      || (in = yolo_torch_run (builder, module, "cv1", in, error)) == YOLO_LAYER_NONE
      || !yolo_torch_halve (builder, module, in, half, error))
    return YOLO_LAYER_NONE;
  if (yolo_torch_child (module, "m") != NULL) {
    half[1] = yolo_torch_run (builder, module, "m", half[1], error);
  } else {
    half[1] = add_part (builder, module, "attn", half[1], error);
    if (half[1] != YOLO_LAYER_NONE)
      half[1] = add_part (builder, module, "ffn", half[1], error);
  }
  if (half[1] == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  return yolo_torch_join (builder, module, 2, half, "cv2", error);
}

/* x + gamma * y, where the module has a gamma, a factor for each channel; else y. */
static guint
add_scaled (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint x, guint y, GError **error)
{
  const YoloPickleValue *gamma =
      yolo_pickle_lookup (yolo_pickle_attribute (module, "_parameters"), "gamma");
  g_autofree char *what = g_strdup_printf ("%s.gamma", builder->path->str);
  gsize n = yolo_layer_at (builder->graph->layers, y)->channels;
  float *factors;

  if (yolo_pickle_is_none (gamma))
    return y;
  factors = yolo_checkpoint_floats (builder->checkpoint, gamma, what, 1, &n, error);
  if (factors == NULL)
    return YOLO_LAYER_NONE;
  y = yolo_graph_affine (
      builder->graph, builder->path->str, y, factors, g_new0 (float, n), error);
  return y != YOLO_LAYER_NONE
      ? yolo_graph_add (builder->graph, builder->path->str, x, y, error)
      : y;
}

/* A2C2f: cv2 of cv1 (x) and what each of m makes of the part before it. */
guint
yolo_torch_a2c2f (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  static const char *const names[] = { "cv1", "cv2", "m", NULL };
  g_autoptr (GArray) parts = g_array_new (FALSE, FALSE, sizeof (guint));
  guint y;

  if (!yolo_torch_check_children (builder, module, names, error)
      || (y = yolo_torch_run (builder, module, "cv1", in, error)) == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  g_array_append_val (parts, y);
  if (!yolo_torch_chain (builder, module, "m", parts, error))
    return YOLO_LAYER_NONE;
  y = yolo_torch_join (
      builder, module, parts->len, (const guint *) parts->data, "cv2", error);
  return y != YOLO_LAYER_NONE ? add_scaled (builder, module, in, y, error) : y;
}
