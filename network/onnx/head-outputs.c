/* SPDX-License-Identifier: MIT */
/* What a file gives: one tensor, several that belong side by side, or maps of the body. */

#include "network/onnx/head-search.h"
#include "base/error.h"

#include <string.h>

/* Nodes of plugins that choose among boxes, the first input, by scores, the second. What they
 * do is ours to do. Sources: the READMEs of TensorRT's plugin/efficientNMSPlugin and
 * plugin/batchedNMSPlugin. */
static const char *const plugins[] = { "BatchedNMSDynamic_TRT", "BatchedNMS_TRT",
  "EfficientNMS_ONNX_TRT", "EfficientNMS_TRT", "EfficientNMSX_TRT", "TRTBatchedNMS", NULL };

const guint8 yolo_head_orders[6][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 0, 2, 1 }, { 1, 2, 0 },
  { 2, 0, 1 }, { 2, 1, 0 } };

/* Where the outputs come from a plugin, its inputs take their place. */
static void
look_through_plugin (Search *search)
{
  const Lowered *lowered = search->lowered;
  const OnnxNode *node = yolo_onnx_producer (
      lowered->file, search->n_outputs > 0 ? search->outputs[0] : ONNX_NONE);

  if (node == NULL || !g_strv_contains (plugins, node->op) || node->n_in < 2)
    return;
  for (guint k = 0; k < search->n_outputs; k++) {
    if (yolo_onnx_producer (lowered->file, search->outputs[k]) != node)
      return;
  }
  for (guint k = 0; k < 2; k++) {
    const Value *value = yolo_lowered_value (lowered, node, k);
    if (value == NULL || value->kind != VALUE_TAIL)
      return;
    search->outputs[k] = node->in[k];
  }
  search->n_outputs = 2;
  search->raw_scores = yolo_onnx_attr_int (node, "score_activation", 0) != 0;
}

gboolean
yolo_head_refuse_outputs (const Search *search, GError **error)
{
  const OnnxFile *file = search->lowered->file;

  return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
      "the model has several outputs ('%.80s', '%.80s' and perhaps more) that are not, side by "
      "side, what the head of a YOLO gives; "
      "export the model with Ultralytics, YOLO('best.pt').export(format='onnx')",
      yolo_onnx_value (file, file->outputs[0])->name,
      yolo_onnx_value (file, file->outputs[1])->name);
}

gboolean
yolo_head_find_outputs (Search *search, GError **error)
{
  Lowered *lowered = search->lowered;
  const OnnxFile *file = lowered->file;
  guint n_features = 0, first = 0;

  for (guint k = 0; k < file->n_outputs; k++) {
    const Value *value = &lowered->values[file->outputs[k]];

    if (value->kind == VALUE_FEATURE) {
      if (n_features++ == 0)
        first = yolo_layer_at (lowered->graph->layers, value->layer)->below;
    } else if (value->kind == VALUE_TAIL || value->kind == VALUE_FLAT) {
      if (search->n_outputs == HEAD_MAX_OUTPUTS)
        return yolo_head_refuse_outputs (search, error);
      search->outputs[search->n_outputs++] = file->outputs[k];
    }
  }
  if (n_features == 1)
    search->prototypes = first;
  look_through_plugin (search);
  search->raw = n_features > 1;
  if (search->raw) {
    search->n_outputs = 0;
    search->prototypes = YOLO_LAYER_NONE;
    return TRUE;
  }
  if (search->n_outputs == 0)
    return yolo_head_refuse (search, NULL,
        "the model has no head: its output is a map of its body, as segmentation of whole scenes "
        "and depth have it, or does not depend on its input",
        error);
  return TRUE;
}

gboolean
yolo_head_is_output (const Search *search, guint value)
{
  guint k = 0;

  while (k < search->n_outputs && search->outputs[k] != value)
    k++;
  return k < search->n_outputs;
}

gboolean
yolo_head_collect (Search *search, guint value, const Tensor *tensor, Tensor **parts)
{
  gboolean complete = yolo_head_is_output (search, value);

  for (guint k = 0; k < search->n_outputs; k++) {
    if (search->outputs[k] == value && parts[k] == NULL)
      parts[k] = yolo_onnx_tensor_ref ((Tensor *) tensor);
    complete = complete && parts[k] != NULL;
  }
  return complete;
}

/* One of the tensors that are joined. */
typedef struct {
  const Tensor *tensor;
  gsize features, feature_step, row_step;
} Part;

static gboolean
part_init (Part *part, const Tensor *tensor, gsize rows)
{
  const gint64 *dims = tensor->dims;
  gsize features;

  if (tensor->n_dims < 2 || tensor->n == 0)
    return FALSE;
  features = tensor->n / (gsize) dims[0] / (gsize) dims[1];
  *part = (Part) { tensor, features, 1, features };
  if (dims[1] == (gint64) rows)
    return TRUE;
  *part = (Part) { tensor, (gsize) dims[1], rows, 1 };
  return tensor->n_dims == 3 && dims[2] == (gint64) rows;
}

Tensor *
yolo_head_join (const Search *search, TensorScope *scope, Tensor *const *parts,
    const guint8 *order, gsize rows, GError **error)
{
  Part part[HEAD_MAX_PIECES];
  gint64 images = parts[0]->dims[0], features = 0;
  gsize begin = 0;
  Tensor *joined;

  for (guint k = 0; k < search->n_outputs; k++) {
    if (!part_init (&part[k], parts[order[k]], rows) || part[k].tensor->dims[0] != images)
      return NULL;
    features += (gint64) part[k].features;
  }
  joined = yolo_onnx_tensor_new (
      scope, FALSE, 3, (gint64[]) { images, (gint64) rows, features }, error);
  for (guint k = 0; joined != NULL && k < search->n_outputs; k++) {
    const Part *p = &part[k];
    for (gsize r = 0; r < (gsize) images * rows; r++) {
      gsize from = r / rows * p->features * rows + r % rows * p->row_step;
      for (gsize f = 0; f < p->features; f++) {
        gsize at = from + f * p->feature_step;
        joined->f[r * (gsize) features + begin + f] =
            p->tensor->is_int ? (float) p->tensor->i[at] : p->tensor->f[at];
      }
    }
    begin += p->features;
  }
  return joined;
}
