/* SPDX-License-Identifier: MIT */
/* libFuzzer target: a model's bytes, through the reader and the plan. Nothing
 * may crash, leak, take long or much memory, whatever the bytes are.
 *
 * The mutator of its own works on the decoded message, so that most inputs
 * get past the wire format: it changes numbers, swaps names, drops and
 * repeats nodes. */

#define _GNU_SOURCE             /* memmem() */

#include "engine/load.h"
#include "network/plan.h"
#include "network/onnx/onnx.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size);

static void
try_plan (YoloModel *model, guint batch, guint height, guint width, YoloDType dtype)
{
  g_autoptr (GError) error = NULL;
  gboolean fits = yolo_model_check_size (model, height, width, &error);

  g_assert_true (fits == (error == NULL));
  g_clear_error (&error);

  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, batch, height, width, dtype, YOLO_F32, 3, &error);
  g_assert_true ((plan != NULL) == (error == NULL));
  g_assert_true (fits || plan == NULL);
  if (plan) {
    g_autofree char *text = yolo_plan_to_string (plan);
    g_assert_nonnull (text);
    for (guint i = 0; i < plan->n_buffers; i++) {
      g_assert_true (i == plan->input || (plan->buffers[i].size <= plan->arena_size
              && plan->buffers[i].offset <= plan->arena_size - plan->buffers[i].size));
    }
  }
}

/* The name of the second file of the corpus's models that are two files. */
#define WEIGHTS "weights.bin"

/* A model that lies beside a file of weights, which is always the same. */
static YoloModel *
load_beside (const uint8_t *data, size_t size, GError **error)
{
  static char *folder, *path;

  if (folder == NULL) {
    g_autofree char *weights = NULL;
    float numbers[2048];

    for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
      numbers[i] = (float) (i % 7) / 64;
    folder = g_dir_make_tmp ("yolo-fuzz-XXXXXX", NULL);
    weights = g_build_filename (folder, WEIGHTS, NULL);
    path = g_build_filename (folder, "fuzz", NULL);
    g_assert_true (g_file_set_contents (weights, (char *) numbers, sizeof numbers, NULL));
  }
  FILE *file = fopen (path, "wb");
  g_assert_nonnull (file);
  g_assert_cmpuint (fwrite (data, 1, size, file), ==, size);
  fclose (file);
  return yolo_model_load (path, error);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  gboolean beside = memmem (data, size, WEIGHTS, strlen (WEIGHTS)) != NULL;
  g_autoptr (YoloModel) model = beside ? load_beside (data, size, &error)
      : yolo_model_load_bytes (data, size, "fuzz", &error);

  g_assert_true ((model != NULL) == (error == NULL));
  if (model == NULL) {
    g_assert_true (error->domain == YOLO_NETWORK_ERROR);
    return 0;
  }
  /* What other folders rely on. */
  g_assert_cmpuint (g_strv_length (model->names), ==, model->n_classes);
  g_assert_true (model->n_outputs >= 1 && model->n_outputs <= YOLO_MAX_OUTPUTS);
  try_plan (model, 1, model->height, model->width, YOLO_F32);
  try_plan (model, 2, model->stride, 3 * model->stride, YOLO_BF16);
  try_plan (model, 1, 0, 100000, YOLO_F32);
  return 0;
}

static guint
below (guint *state, size_t n)
{
  *state = *state * 1664525u + 1013904223u;
  return n ? (*state >> 8) % (guint) n : 0;
}

static int64_t
odd_number (guint *state, int64_t old)
{
  static const int64_t odd[] = {
    0, 1, -1, 2, 3, 7, 16, 64, 255, 65536, 1 << 20, INT32_MAX, INT32_MIN, 1LL << 32,
    (1LL << 32) - 1, INT64_MAX, INT64_MIN, 1LL << 40
  };
  switch (below (state, 3)) {
    case 0:
      return (int64_t) ((uint64_t) old + 1);
    case 1:
      return (int64_t) ((uint64_t) old - 1);
    default:
      return odd[below (state, G_N_ELEMENTS (odd))];
  }
}

static void
set_string (char **to, const char *from)
{
  char *copy = strdup (from);

  free (*to);
  *to = copy;
}

/* Changes where a tensor says that its numbers lie in another file. */
static void
mutate_place (guint *state, Onnx__StringStringEntryProto *entry)
{
  static const char *const values[] = { "", "0", "64", "-1", "8192", "8193", "9223372036854775807",
    "18446744073709551615", "1e3", "../" WEIGHTS, "/etc/passwd", ".", "./" WEIGHTS, WEIGHTS,
    WEIGHTS "/x" };

  set_string (
      below (state, 8) ? &entry->value : &entry->key, values[below (state, G_N_ELEMENTS (values))]);
}

static void
mutate_tensor (guint *state, Onnx__TensorProto *tensor)
{
  if (tensor->n_external_data && below (state, 2)) {
    mutate_place (state, tensor->external_data[below (state, tensor->n_external_data)]);
    return;
  }
  switch (below (state, 4)) {
    case 0:
      if (tensor->n_dims)
        tensor->dims[below (state, tensor->n_dims)] = odd_number (state, 4);
      break;
    case 1:
      tensor->data_type = below (state, 17);
      tensor->has_data_type = 1;
      break;
    case 2:
      if (tensor->has_raw_data && tensor->raw_data.len)
        tensor->raw_data.len = below (state, tensor->raw_data.len);
      break;
    default:
      if (tensor->has_raw_data && tensor->raw_data.len)
        LLVMFuzzerMutate (tensor->raw_data.data, tensor->raw_data.len, tensor->raw_data.len);
  }
}

/* The name of some tensor: a node's output, an initializer, or the input. */
static const char *
any_name (guint *state, const Onnx__GraphProto *graph)
{
  guint kind = below (state, 8);

  if (kind == 0 && graph->n_input && graph->input[0]->name)
    return graph->input[0]->name;
  if (kind < 3 && graph->n_initializer) {
    const char *name = graph->initializer[below (state, graph->n_initializer)]->name;
    return name ? name : "";
  }
  if (graph->n_node) {
    const Onnx__NodeProto *node = graph->node[below (state, graph->n_node)];
    if (node->n_output)
      return node->output[below (state, node->n_output)];
  }
  return "";
}

static void
mutate_graph (guint *state, Onnx__GraphProto *graph)
{
  static const char *ops[] = { "Conv", "Concat", "Split", "Add", "Mul", "Sigmoid", "MaxPool",
    "Resize", "Reshape", "Transpose", "Slice", "Gather", "Shape", "Cast", "Identity",
    "BatchNormalization", "QuantizeLinear", "DequantizeLinear", "ConvInteger",
    "DynamicQuantizeLinear", "Range", "Expand", "Unsqueeze", "Squeeze", "ConstantOfShape",
    "Constant", "Softmax", "Relu", "Sub", "Div", "Where", "Equal", "Pad", "Clip", "Elu", "Erf",
    "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Softplus", "Tanh",
    "QLinearConv", "QLinearAdd", "QLinearMul", "QLinearConcat", "ReduceSum", "TopK", "Flatten",
    "Gemm", "MatMul", "Trilu", "GatherElements", "ReduceMax", "ArgMax" };
  Onnx__NodeProto *node = graph->n_node ? graph->node[below (state, graph->n_node)] : NULL;
  guint kind = below (state, 9);

  if (kind == 0 && graph->n_initializer) {
    mutate_tensor (state, graph->initializer[below (state, graph->n_initializer)]);
  } else if (node == NULL) {
    return;
  } else if (kind <= 2 && node->n_input) {
    set_string (&node->input[below (state, node->n_input)], any_name (state, graph));
  } else if (kind == 3 && node->n_output) {
    set_string (&node->output[below (state, node->n_output)], any_name (state, graph));
  } else if (kind == 4) {
    set_string (&node->op_type, ops[below (state, G_N_ELEMENTS (ops))]);
  } else if (kind == 5) {
    guint other = below (state, graph->n_node), one = below (state, graph->n_node);
    Onnx__NodeProto *swap = graph->node[one];
    graph->node[one] = graph->node[other];
    graph->node[other] = swap;
  } else if (kind == 6 && node->n_input) {      /* the node loses an input */
    free (node->input[--node->n_input]);
  } else if (node->n_attribute) {
    Onnx__AttributeProto *a = node->attribute[below (state, node->n_attribute)];
    if (a->n_ints)
      a->ints[below (state, a->n_ints)] = odd_number (state, a->ints[0]);
    else if (a->has_i)
      a->i = odd_number (state, a->i);
    else if (a->t)
      mutate_tensor (state, a->t);
    else if (a->has_f)
      a->f = (float) odd_number (state, 1);
    if (a->n_ints > 1 && below (state, 8) == 0)
      a->n_ints--;
  }
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
  guint state = seed;
  Onnx__ModelProto *model;
  size_t n;

  if (below (&state, 8) == 0 || !(model = onnx__model_proto__unpack (NULL, size, data)))
    return LLVMFuzzerMutate (data, size, max_size);
  if (model->graph) {
    for (guint i = 0, times = 1 + below (&state, 3); i < times; i++)
      mutate_graph (&state, model->graph);
  }
  if (model->n_metadata_props && below (&state, 16) == 0) {
    ProtobufCBinaryData text;
    Onnx__StringStringEntryProto *entry =
        model->metadata_props[below (&state, model->n_metadata_props)];
    text.data = (uint8_t *) g_malloc0 (256);
    text.len = entry->value ? MIN (strlen (entry->value), 200) : 0;
    if (text.len)
      memcpy (text.data, entry->value, text.len);
    LLVMFuzzerMutate (text.data, text.len, 250);
    set_string (&entry->value, (char *) text.data);
    g_free (text.data);
  }
  n = onnx__model_proto__get_packed_size (model);
  if (n <= max_size)
    size = onnx__model_proto__pack (model, data);
  onnx__model_proto__free_unpacked (model, NULL);
  return size;
}
