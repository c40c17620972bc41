/* SPDX-License-Identifier: MIT */
/* Files of many small parts load, or are refused, in time that grows with their
 * size: none takes the square of it, however its names and nodes were chosen. */

#include "tests/network/edit.h"

#include "network/int8.h"
#include "network/plan.h"

#include <math.h>
#include <time.h>

#define N 200000

/* Seconds of processor time that a file of N parts may take. It takes about half a second,
 * some more under sanitizers; the square of N would take minutes. */
#define PATIENCE 60

/* Makes room for `by` more pointers behind n of them. */
static void
grow (void *pointer_to_array, gsize n, gsize by)
{
  void ***array = pointer_to_array;
  gsize room = 1;

  /* the room is a power of two, so that it stays the same for a while */
  while (room < n + by)
    room *= 2;
  *array = realloc (*array, room * sizeof (void *));
  g_assert_nonnull (*array);
}

/* The ith of many names that have one hash in GLib's g_str_hash(): 'A' * 33 + 'z' is 'B' * 33 +
 * 'Y'. */
static char *
colliding_name (guint i)
{
  char *name = malloc (2 * 20 + 1);

  for (guint k = 0; k < 20; k++)
    memcpy (name + 2 * k, i >> k & 1 ? "BY" : "Az", 2);
  name[40] = '\0';
  return name;
}

static char *
numbered_name (guint i)
{
  char name[32];

  g_snprintf (name, sizeof name, "chain.%u", i);
  return strdup (name);
}

static Onnx__NodeProto *
new_node (const char *op, guint n_in, char *const *in, guint n_out, char *const *out)
{
  Onnx__NodeProto *node = malloc (sizeof *node);

  onnx__node_proto__init (node);
  node->op_type = strdup (op);
  node->n_input = n_in;
  node->input = malloc (MAX (n_in, 1) * sizeof (char *));
  for (guint i = 0; i < n_in; i++)
    node->input[i] = strdup (in[i]);
  node->n_output = n_out;
  node->output = malloc (MAX (n_out, 1) * sizeof (char *));
  for (guint i = 0; i < n_out; i++)
    node->output[i] = strdup (out[i]);
  return node;
}

static Onnx__TensorProto *
new_scalar (const char *name, float value)
{
  Onnx__TensorProto *tensor = malloc (sizeof *tensor);

  onnx__tensor_proto__init (tensor);
  tensor->name = strdup (name);
  tensor->has_data_type = TRUE;
  tensor->data_type = 1;
  tensor->has_raw_data = TRUE;
  tensor->raw_data.len = 4;
  tensor->raw_data.data = malloc (4);
  memcpy (tensor->raw_data.data, &value, 4);
  return tensor;
}

/* A constant [1] of one integer. */
static Onnx__TensorProto *
new_integer (const char *name, gint64 value)
{
  Onnx__TensorProto *tensor = new_scalar (name, 0);

  tensor->data_type = 7;
  tensor->n_dims = 1;
  tensor->dims = malloc (sizeof (gint64));
  tensor->dims[0] = 1;
  tensor->raw_data.len = 8;
  free (tensor->raw_data.data);
  tensor->raw_data.data = malloc (8);
  memcpy (tensor->raw_data.data, &value, 8);
  return tensor;
}

static void
add_initializer (Onnx__ModelProto *proto, Onnx__TensorProto *tensor)
{
  Onnx__GraphProto *graph = proto->graph;

  grow (&graph->initializer, graph->n_initializer, 1);
  graph->initializer[graph->n_initializer++] = tensor;
}

/* Adds a node with one output, and with as many inputs as there are names before NULL. */
static void
add_node (Onnx__ModelProto *proto, const char *op, char *out, const char *in, ...)
{
  Onnx__GraphProto *graph = proto->graph;
  char *all[8];
  guint n = 0;
  va_list args;

  va_start (args, in);
  for (; in != NULL; in = va_arg (args, const char *))
    all[n++] = (char *) in;
  va_end (args);
  grow (&graph->node, graph->n_node, 1);
  graph->node[graph->n_node++] = new_node (op, n, all, 1, &out);
}

/* Takes a node's output away from those that read it, for something else to be
 * put in between. */
static char *
cut_behind (Onnx__NodeProto *node)
{
  char *end = node->output[0];

  node->output[0] = strdup ("cut");
  return end;
}

/* Puts n nodes of one operator, one behind the other, between a node and those that read
 * it. Where they have a second input, that is `second`. */
static void
add_chain_behind (
    Onnx__ModelProto *proto, Onnx__NodeProto *first, const char *op, const char *second, guint n)
{
  char *end = cut_behind (first), *last = strdup ("cut");

  for (guint i = 1; i <= n; i++) {
    char *out = i == n ? end : numbered_name (i);

    add_node (proto, op, out, last, second, NULL);
    free (last);
    last = out;
  }
  free (last);
}

/* Puts n nodes behind the first activation. */
static void
add_chain (Onnx__ModelProto *proto, const char *op, const char *second, guint n)
{
  add_chain_behind (proto, edit_node (proto, "Mul", 0), op, second, n);
}

/* Gives a convolution the largest kernel there is, 255x255. */
static void
enlarge_weights (Onnx__ModelProto *proto, Onnx__NodeProto *conv)
{
  Onnx__TensorProto *weights = edit_initializer (proto, conv->input[1]);
  gsize size = (gsize) weights->dims[0] * 3 * 255 * 255 * sizeof (float);

  for (guint d = 0; d < 2; d++)
    weights->dims[2 + d] = edit_attribute (conv, "kernel_shape")->ints[d] = 255;
  for (guint d = 0; d < 4; d++)
    edit_attribute (conv, "pads")->ints[d] = 127;
  free (weights->raw_data.data);
  weights->raw_data.data = calloc (1, size);
  weights->raw_data.len = size;
}

static void
colliding_initializers (Onnx__ModelProto *proto, guint n)
{
  Onnx__GraphProto *graph = proto->graph;

  grow (&graph->initializer, graph->n_initializer, n);
  for (guint i = 0; i < n; i++) {
    char *name = colliding_name (i);
    graph->initializer[graph->n_initializer++] = new_scalar (name, 1);
    free (name);
  }
}

static void
colliding_nodes (Onnx__ModelProto *proto, guint n)
{
  Onnx__GraphProto *graph = proto->graph;

  grow (&graph->node, graph->n_node, n);
  for (guint i = 0; i < n; i++) {
    char *out = colliding_name (i);
    graph->node[graph->n_node++] =
        new_node ("Relu", 1, &edit_node (proto, "Mul", 0)->output[0], 1, &out);
    free (out);
  }
}

static void
many_attributes (Onnx__ModelProto *proto, guint n)
{
  Onnx__NodeProto *node = edit_node (proto, "Resize", 0);

  grow (&node->attribute, node->n_attribute, n);
  memmove (node->attribute + n, node->attribute, node->n_attribute * sizeof (void *));
  for (guint i = 0; i < n; i++) {
    Onnx__AttributeProto *attribute = malloc (sizeof *attribute);
    onnx__attribute_proto__init (attribute);
    attribute->name = colliding_name (i);
    attribute->has_type = TRUE;
    attribute->type = 2;
    node->attribute[i] = attribute;
  }
  node->n_attribute += n;
}

static void
many_metadata (Onnx__ModelProto *proto, guint n)
{
  grow (&proto->metadata_props, proto->n_metadata_props, n);
  memmove (
      proto->metadata_props + n, proto->metadata_props, proto->n_metadata_props * sizeof (void *));
  for (guint i = 0; i < n; i++) {
    Onnx__StringStringEntryProto *entry = malloc (sizeof *entry);
    onnx__string_string_entry_proto__init (entry);
    entry->key = numbered_name (i);
    entry->value = strdup ("");
    proto->metadata_props[i] = entry;
  }
  proto->n_metadata_props += n;
}

static void
many_outputs (Onnx__ModelProto *proto, guint n)
{
  Onnx__GraphProto *graph = proto->graph;

  grow (&graph->output, graph->n_output, n);
  for (guint i = 0; i < n; i++) {
    Onnx__ValueInfoProto *output = malloc (sizeof *output);
    onnx__value_info_proto__init (output);
    output->name = strdup (graph->output[0]->name);
    graph->output[graph->n_output++] = output;
  }
}

static void
many_inputs (Onnx__ModelProto *proto, guint n)
{
  Onnx__GraphProto *graph = proto->graph;

  colliding_initializers (proto, n);
  grow (&graph->input, graph->n_input, n);
  for (guint i = 0; i < n; i++) {
    Onnx__ValueInfoProto *input = malloc (sizeof *input);
    onnx__value_info_proto__init (input);
    input->name = colliding_name (i);
    graph->input[graph->n_input++] = input;
  }
}

/* One node that joins its input n times. */
static void
wide_concat (Onnx__ModelProto *proto, guint n)
{
  Onnx__NodeProto *node = edit_node (proto, "Concat", 0);

  grow (&node->input, node->n_input, n);
  for (guint i = 0; i < n; i++)
    node->input[node->n_input++] = strdup (node->input[0]);
}

static void
relu_chain (Onnx__ModelProto *proto, guint n)
{
  add_chain (proto, "Relu", NULL, n);
}

/* Convolutions that all have the same weights, of which each needs a copy. */
static void
shared_weights (Onnx__ModelProto *proto, guint n)
{
  Onnx__NodeProto *conv = edit_node (proto, "Conv", 0);

  enlarge_weights (proto, conv);
  for (guint i = 0; i < n; i++) {
    char *out = numbered_name (i);

    add_node (proto, "Conv", out, conv->input[0], conv->input[1], NULL);
    edit_add_ints (proto->graph->node[proto->graph->n_node - 1], "pads", 4, 127);
    free (out);
  }
}

/* The number of channels doubles with every node, then each is scaled. */
static void
doubled_channels (Onnx__ModelProto *proto, guint n)
{
  char *last = strdup (edit_node (proto, "Mul", 0)->output[0]);

  add_initializer (proto, new_scalar ("one", 1));
  for (guint i = 0; i < 29; i++) {
    char *out = numbered_name (i);
    add_node (proto, "Concat", out, last, last, NULL);
    edit_add_int (proto->graph->node[proto->graph->n_node - 1], "axis", 1);
    free (last);
    last = out;
  }
  for (guint i = 0; i < n; i++) {
    char *out = colliding_name (i);
    add_node (proto, "Mul", out, last, "one", NULL);
    free (out);
  }
  free (last);
}

/* A constant of many numbers out of a file of few, and a node that reads all of
 * them for one number, over and over. */
static void
summed_constant (Onnx__ModelProto *proto, guint n)
{
  gint64 dims[4] = { 1, 1 << 22, 1, 1 };
  Onnx__TensorProto *shape = new_integer ("shape", 0);

  shape->dims[0] = 4;
  free (shape->raw_data.data);
  shape->raw_data.data = malloc (sizeof dims);
  shape->raw_data.len = sizeof dims;
  memcpy (shape->raw_data.data, dims, sizeof dims);
  add_initializer (proto, shape);
  add_node (proto, "ConstantOfShape", (char *) "large", "shape", NULL);
  for (guint i = 0; i < n; i++) {
    char *out = numbered_name (i);
    add_node (proto, "Conv", out, "large", "large", NULL);
    free (out);
  }
}

/* A tensor that is bad at its end, which the tail's nodes look at. */
static void
bad_constant (Onnx__ModelProto *proto, guint n)
{
  Onnx__TensorProto *tensor = new_scalar ("bad", 0);
  float nan = NAN;
  char *last = strdup (proto->graph->output[0]->name);

  tensor->raw_data.len = 4 << 20;
  free (tensor->raw_data.data);
  tensor->raw_data.data = calloc (1, 4 << 20);
  memcpy (tensor->raw_data.data + (4 << 20) - 4, &nan, 4);
  tensor->n_dims = 1;
  tensor->dims = malloc (sizeof (gint64));
  tensor->dims[0] = 1 << 20;
  add_initializer (proto, tensor);
  for (guint i = 0; i < n; i++) {
    char *out = numbered_name (i);
    add_node (proto, "Conv", out, last, "bad", NULL);
    free (last);
    last = out;
  }
  edit_string (&proto->graph->output[0]->name, last);
  free (last);
}

static void
identity_chain (Onnx__ModelProto *proto, guint n)
{
  add_chain (proto, "Identity", NULL, n);
}

static void
sigmoid_chain (Onnx__ModelProto *proto, guint n)
{
  add_chain (proto, "Sigmoid", NULL, n);
}

static void
scale_chain (Onnx__ModelProto *proto, guint n)
{
  add_initializer (proto, new_scalar ("one", 1));
  add_chain (proto, "Mul", "one", n);
}

/* Puts a chain behind a convolution of many weights, into which it is folded. */
static void
affine_chain (Onnx__ModelProto *proto, guint n)
{
  Onnx__NodeProto *conv = edit_node (proto, "Conv", 0);

  enlarge_weights (proto, conv);
  add_initializer (proto, new_scalar ("one", 1));
  add_chain_behind (proto, conv, "Mul", "one", n);
}

/* Puts quantisers of two grids in turn, since a second one of the same grid is left out. */
static void
quantizer_chain (Onnx__ModelProto *proto, guint n)
{
  char *end = cut_behind (edit_node (proto, "Mul", 0)), *last = strdup ("cut");

  add_initializer (proto, new_scalar ("odd", 0.1f));
  add_initializer (proto, new_scalar ("even", 0.2f));
  for (guint i = 1; i <= n; i++) {
    char *out = i == n ? end : numbered_name (i);

    add_node (proto, "QuantizeLinear", out, last, i % 2 ? "odd" : "even", NULL);
    free (last);
    last = out;
  }
  free (last);
}

/* A chain of quantisers, and as many SiLU that look down it. */
static void
quantizers_below (Onnx__ModelProto *proto, guint n)
{
  g_autofree char *end = NULL;

  quantizer_chain (proto, n);
  end = g_strdup (proto->graph->node[proto->graph->n_node - 1]->output[0]);
  for (guint i = 0; i < n; i++) {
    char *sigmoid = colliding_name (i), *product = colliding_name (n + i);
    add_node (proto, "Sigmoid", sigmoid, end, NULL);
    add_node (proto, "Mul", product, sigmoid, end, NULL);
    free (sigmoid);
    free (product);
  }
}

/* Many maps that all wait until they are added up. */
static void
parallel (Onnx__ModelProto *proto, guint n)
{
  char *end = cut_behind (edit_node (proto, "Mul", 0)), *last = strdup ("cut");

  for (guint i = 0; i < n / 2; i++) {
    char *out = colliding_name (i);
    add_node (proto, "Relu", out, "cut", NULL);
    free (out);
  }
  for (guint i = 0; i < n / 2; i++) {
    char *out = i + 1 == n / 2 ? end : numbered_name (i), *branch = colliding_name (i);
    add_node (proto, "Add", out, last, branch, NULL);
    free (last);
    free (branch);
    last = out;
  }
  free (last);
}

static void
add_slice_bounds (Onnx__ModelProto *proto, guint channels)
{
  add_initializer (proto, new_integer ("zero", 0));
  add_initializer (proto, new_integer ("one", 1));
  add_initializer (proto, new_integer ("channels", channels));
}

/* Slices of slices of slices, whose end is joined with others over and over. */
static void
slice_tower (Onnx__ModelProto *proto, guint n)
{
  guint channels =
      (guint) edit_initializer (proto, edit_node (proto, "Conv", 0)->input[1])->dims[0];
  char *end = cut_behind (edit_node (proto, "Mul", 0)), *last = strdup ("cut"), *tower;

  add_slice_bounds (proto, channels);
  for (guint i = 0; i < n / 2; i++) {
    char *out = colliding_name (i);
    add_node (proto, "Slice", out, last, "zero", "channels", "one", NULL);
    free (last);
    last = out;
  }
  tower = strdup (last);
  for (guint i = 0; i < n / 4; i++) {
    char *joined = numbered_name (i), *out = i + 1 == n / 4 ? end : colliding_name (n + i);
    add_node (proto, "Concat", joined, last, tower, NULL);
    edit_add_int (proto->graph->node[proto->graph->n_node - 1], "axis", 1);
    add_node (proto, "Slice", out, joined, "zero", "channels", "one", NULL);
    free (joined);
    free (last);
    last = out;
  }
  free (last);
  free (tower);
}

/* A map joined with itself many times, which many quantisers of their own grids read. */
static void
quantizer_fan (Onnx__ModelProto *proto, guint n)
{
  guint channels =
            (guint) edit_initializer (proto, edit_node (proto, "Conv", 0)->input[1])->dims[0],
        side = n / 4;
  char *end = cut_behind (edit_node (proto, "Mul", 0)), *last = strdup ("cut");
  Onnx__NodeProto *wide;

  add_slice_bounds (proto, channels);
  add_node (proto, "Concat", (char *) "wide", "cut", NULL);
  wide = proto->graph->node[proto->graph->n_node - 1];
  edit_add_int (wide, "axis", 1);
  grow (&wide->input, 1, side);
  while (wide->n_input < side)
    wide->input[wide->n_input++] = strdup ("cut");
  for (guint i = 0; i < side; i++) {
    char *names[4] = { numbered_name (4 * i), numbered_name (4 * i + 1), numbered_name (4 * i + 2),
      i + 1 == side ? end : numbered_name (4 * i + 3)
    };
    add_initializer (proto, new_scalar (names[0], 1 + i / (float) side));
    add_node (proto, "QuantizeLinear", names[1], "wide", names[0], NULL);
    add_node (proto, "Slice", names[2], names[1], "zero", "channels", "one", NULL);
    add_node (proto, "Add", names[3], last, names[2], NULL);
    free (last);
    last = names[3];
    for (guint k = 0; k < 3; k++)
      free (names[k]);
  }
  free (last);
}

static void
add_chain_of_itself (Onnx__ModelProto *proto, guint n)
{
  add_chain (proto, "Add", edit_node (proto, "Conv", 0)->output[0], n);
}

static void
tail_chain (Onnx__ModelProto *proto, guint n)
{
  Onnx__GraphProto *graph = proto->graph;
  char *last = strdup (graph->output[0]->name);

  grow (&graph->node, graph->n_node, n);
  for (guint i = 0; i < n; i++) {
    char *out = numbered_name (i);
    graph->node[graph->n_node++] = new_node ("Identity", 1, &last, 1, &out);
    free (last);
    last = out;
  }
  edit_string (&graph->output[0]->name, last);
  free (last);
}

static const struct {
  const char *name;
  void (*edit) (Onnx__ModelProto *proto, guint n);
} cases[] = {
  { "colliding-initializers", colliding_initializers },
  { "colliding-nodes", colliding_nodes },
  { "many-attributes", many_attributes },
  { "many-metadata", many_metadata },
  { "many-outputs", many_outputs },
  { "many-inputs", many_inputs },
  { "wide-concat", wide_concat },
  { "relu-chain", relu_chain },
  { "identity-chain", identity_chain },
  { "sigmoid-chain", sigmoid_chain },
  { "scale-chain", scale_chain },
  { "affine-chain", affine_chain },
  { "quantizer-chain", quantizer_chain },
  { "quantizers-below", quantizers_below },
  { "add-chain", add_chain_of_itself },
  { "tail-chain", tail_chain },
  { "parallel", parallel },
  { "slice-tower", slice_tower },
  { "shared-weights", shared_weights },
  { "doubled-channels", doubled_channels },
  { "summed-constant", summed_constant },
  { "bad-constant", bad_constant },
  { "quantizer-fan", quantizer_fan },
};

static double
seconds (void)
{
  return (double) clock () / CLOCKS_PER_SEC;
}

static void
load (guint i, guint n)
{
  Onnx__ModelProto *proto = edit_open ("micro.onnx");
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = NULL, int8 = NULL;
  g_autoptr (YoloPlan) plan = NULL;
  double start, loaded;

  cases[i].edit (proto, n);
  start = seconds ();
  model = edit_load (proto, &error);
  loaded = seconds () - start;
  g_assert_true ((model == NULL) == (error != NULL));
  if (model != NULL) {
    plan = yolo_plan_new (model, 1, model->height, model->width, YOLO_F32, YOLO_F32, 3, &error);
    g_assert_no_error (error);
    g_assert_nonnull (plan);
    int8 = yolo_model_to_int8 (model, NULL, YOLO_INT8_ASYMMETRIC, &error);
    g_assert_true ((int8 == NULL) == (error != NULL));
  }
  if (int8 != NULL) {
    g_clear_pointer (&plan, yolo_plan_free);
    plan = yolo_plan_new (int8, 1, model->height, model->width, YOLO_F32, YOLO_U8, 3, &error);
    g_assert_true ((plan == NULL) == (error != NULL));
  }
  g_test_message ("%u: %.2f s to load, %.2f s in all: %s", n, loaded, seconds () - start,
      error != NULL ? error->message : "done");
  g_assert_cmpfloat (seconds () - start, <, PATIENCE);
}

/* Tries as many parts as a network may have, and many more. */
static void
test_large (gconstpointer data)
{
  load (GPOINTER_TO_UINT (data), N / 25);
  load (GPOINTER_TO_UINT (data), N);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strconcat ("/network/large/", cases[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_large);
  }
  return g_test_run ();
}
