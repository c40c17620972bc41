/* SPDX-License-Identifier: MIT */
/* ONNX operators that no small file in tests/data has: the layers that they become, with the
 * numbers of the file in their places, and what of them is refused. That the layers compute what
 * they should, the suite of the back ends and test-reference-maps.c test. */

#include "network/onnx/lower.h"
#include "tests/guarded.h"
#include "tests/network/edit.h"

#define SIDE 8                  /* pixels of the input */

/* A file without nodes; those that are added read "images", [1][3][SIDE][SIDE]. */
static Onnx__ModelProto *
empty_file (void)
{
  Onnx__ModelProto *proto = edit_open ("micro.onnx");

  for (gsize i = 0; i < proto->graph->n_node; i++)
    onnx__node_proto__free_unpacked (proto->graph->node[i], NULL);
  proto->graph->n_node = 0;
  g_assert_cmpstr (proto->graph->input[0]->name, ==, "images");
  return proto;
}

static void
add_random (Onnx__ModelProto *proto, Random *r, const char *name, gsize n_dims,
    const gint64 *dims, float *numbers)
{
  gsize n = 1;

  for (gsize d = 0; d < n_dims; d++)
    n *= (gsize) dims[d];
  for (gsize i = 0; i < n; i++)
    numbers[i] = (float) random_normal (r);
  edit_add_constant (proto, name, 1, n_dims, dims, numbers);
}

/* Adds a convolution of one pixel, [channels][3], so that there is a feature map "map". */
static void
add_map (Onnx__ModelProto *proto, Random *r, gint64 channels)
{
  static const char *const inputs[] = { "images", "first", NULL };
  float numbers[64];

  add_random (proto, r, "first", 4, (const gint64[]) { channels, 3, 1, 1 }, numbers);
  edit_add_node (proto, "Conv", "map", inputs);
}

/* The layers of a file whose output is called @output, which is freed. */
static Lowered *
lower (Onnx__ModelProto *proto, const char *output, OnnxFile **file, GError **error)
{
  g_autofree guint8 *bytes = NULL;
  gsize size;

  while (proto->graph->n_output > 1)
    onnx__value_info_proto__free_unpacked (proto->graph->output[--proto->graph->n_output], NULL);
  edit_string (&proto->graph->output[0]->name, output);
  size = onnx__model_proto__get_packed_size (proto);
  bytes = g_malloc (size);
  onnx__model_proto__pack (proto, bytes);
  onnx__model_proto__free_unpacked (proto, NULL);
  *file = yolo_onnx_file_parse (bytes, size, NULL, error);
  g_assert_no_error (*error);
  return yolo_lower (*file, SIDE, SIDE, error);
}

/* The layer @back places before the last one. */
static const YoloLayer *
layer_of (const Lowered *lowered, guint back)
{
  const GArray *layers = lowered->graph->layers;

  g_assert_cmpuint (layers->len, >, back);
  return yolo_layer_at (layers, layers->len - 1 - back);
}

static void
check_unsupported (const Lowered *lowered, const GError *error, const char *what)
{
  g_assert_null (lowered);
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, what));
}

/* ConvTranspose [in][out][2][2]: a convolution whose channels are the pixels of a window, one
 * behind the other, and a shuffle. */
static void
test_conv_transpose (gconstpointer data)
{
  static const char *const inputs[] = { "map", "weights", "bias", NULL };
  enum { IN = 4, OUT = 3, SCALE = 2 };
  gboolean biased = GPOINTER_TO_INT (data);
  float weights[IN][OUT][SCALE * SCALE], bias[OUT] = { 0 };
  Random r = random_new (1);
  Onnx__ModelProto *proto = empty_file ();
  Onnx__NodeProto *node;
  g_autoptr (OnnxFile) file = NULL;
  g_autoptr (Lowered) lowered = NULL;
  g_autoptr (GError) error = NULL;
  const YoloLayer *conv, *shuffle;

  add_map (proto, &r, IN);
  add_random (proto, &r, "weights", 4, (const gint64[]) { IN, OUT, SCALE, SCALE },
      &weights[0][0][0]);
  if (biased)
    add_random (proto, &r, "bias", 1, (const gint64[]) { OUT }, bias);
  node = edit_add_node (proto, "ConvTranspose", "out", inputs);
  if (!biased)
    free (node->input[--node->n_input]);
  edit_add_ints (node, "strides", 2, SCALE);
  lowered = lower (proto, "out", &file, &error);
  g_assert_no_error (error);
  shuffle = layer_of (lowered, 0);
  conv = layer_of (lowered, 1);
  g_assert_true (yolo_layer_is (shuffle, YOLO_OP_SHUFFLE));
  g_assert_cmpuint (shuffle->channels, ==, OUT);
  g_assert_cmpuint (shuffle->height, ==, SCALE * SIDE);
  g_assert_cmpuint (conv->channels, ==, OUT * SCALE * SCALE);
  for (guint pixel = 0; pixel < SCALE * SCALE; pixel++)
    for (guint c = 0; c < OUT; c++) {
      guint o = pixel * OUT + c;

      g_assert_true (conv->bias[o] == bias[c]);
      for (guint k = 0; k < IN; k++)
        g_assert_true (conv->weights[o * IN + k] == weights[k][c][pixel]);
    }
}

/* Windows that overlap, or leave something out. */
static void
test_conv_transpose_refused (gconstpointer data)
{
  static const char *const inputs[] = { "map", "weights", NULL };
  static const struct {
    const char *name;
    guint n;
    gint64 value;
  } attributes[] = {
    { "strides", 2, 1 }, { "dilations", 2, 2 }, { "pads", 4, 1 }, { "output_padding", 2, 1 },
    { "output_shape", 2, 17 }, { "group", 0, 2 },
  };
  guint i = GPOINTER_TO_UINT (data);
  float weights[16];
  Random r = random_new (2);
  Onnx__ModelProto *proto = empty_file ();
  Onnx__NodeProto *node;
  g_autoptr (OnnxFile) file = NULL;
  g_autoptr (Lowered) lowered = NULL;
  g_autoptr (GError) error = NULL;

  add_map (proto, &r, 4);
  add_random (proto, &r, "weights", 4, (const gint64[]) { 4, 1, 2, 2 }, weights);
  node = edit_add_node (proto, "ConvTranspose", "out", inputs);
  if (i > 0)
    edit_add_ints (node, "strides", 2, 2);
  if (attributes[i].n > 0)
    edit_add_ints (node, attributes[i].name, attributes[i].n, attributes[i].value);
  else
    edit_add_int (node, attributes[i].name, attributes[i].value);
  lowered = lower (proto, "out", &file, &error);
  check_unsupported (lowered, error, "overlap or leave gaps");
}

/* AveragePool: a convolution of each channel with the same weights everywhere. */
static void
test_average_pool (void)
{
  static const char *const inputs[] = { "map", NULL };
  enum { CHANNELS = 5, KERNEL = 3 };
  Random r = random_new (3);
  Onnx__ModelProto *proto = empty_file ();
  Onnx__NodeProto *node;
  g_autoptr (OnnxFile) file = NULL;
  g_autoptr (Lowered) lowered = NULL;
  g_autoptr (GError) error = NULL;
  const YoloLayer *conv;

  add_map (proto, &r, CHANNELS);
  node = edit_add_node (proto, "AveragePool", "out", inputs);
  edit_add_ints (node, "kernel_shape", 2, KERNEL);
  edit_add_ints (node, "strides", 2, 2);
  edit_add_ints (node, "pads", 4, 1);
  edit_add_int (node, "count_include_pad", 1);
  lowered = lower (proto, "out", &file, &error);
  g_assert_no_error (error);
  conv = layer_of (lowered, 0);
  g_assert_cmpint (conv->type, ==, YOLO_LAYER_CONV);
  g_assert_cmpuint (conv->conv.groups, ==, CHANNELS);
  g_assert_cmpuint (conv->channels, ==, CHANNELS);
  g_assert_cmpuint (conv->height, ==, SIDE / 2);
  for (guint d = 0; d < 2; d++) {
    g_assert_cmpuint (conv->conv.kernel[d], ==, KERNEL);
    g_assert_cmpuint (conv->conv.stride[d], ==, 2);
    g_assert_cmpuint (conv->conv.pad[d], ==, 1);
  }
  for (guint i = 0; i < CHANNELS * KERNEL * KERNEL; i++)
    g_assert_cmpfloat_with_epsilon (conv->weights[i], 1.0 / (KERNEL * KERNEL), 1e-7);
  for (guint c = 0; c < CHANNELS; c++)
    g_assert_true (conv->bias[c] == 0);
}

/* Means that leave the padding out are no convolution. */
static void
test_average_pool_refused (void)
{
  static const char *const inputs[] = { "map", NULL };
  Random r = random_new (4);
  Onnx__ModelProto *proto = empty_file ();
  Onnx__NodeProto *node;
  g_autoptr (OnnxFile) file = NULL;
  g_autoptr (Lowered) lowered = NULL;
  g_autoptr (GError) error = NULL;

  add_map (proto, &r, 5);
  node = edit_add_node (proto, "AveragePool", "out", inputs);
  edit_add_ints (node, "kernel_shape", 2, 3);
  edit_add_ints (node, "pads", 4, 1);
  lowered = lower (proto, "out", &file, &error);
  check_unsupported (lowered, error, "without the padding");
}

/* GlobalAveragePool, Flatten and Gemm, with weights [in][out] or, by transB, [out][in]. */
static void
test_classifier (gconstpointer data)
{
  static const char *const map[] = { "map", NULL }, *const mean[] = { "mean", NULL },
                    *const flat[] = { "flat", "weights", "bias", NULL };
  enum { IN = 5, OUT = 3 };
  gboolean exchanged = GPOINTER_TO_INT (data);
  float weights[IN * OUT], bias[OUT];
  Random r = random_new (5);
  Onnx__ModelProto *proto = empty_file ();
  Onnx__NodeProto *node;
  g_autoptr (OnnxFile) file = NULL;
  g_autoptr (Lowered) lowered = NULL;
  g_autoptr (GError) error = NULL;
  const YoloLayer *conv;

  add_map (proto, &r, IN);
  add_random (proto, &r, "weights", 2,
      (const gint64[]) { exchanged ? OUT : IN, exchanged ? IN : OUT }, weights);
  add_random (proto, &r, "bias", 1, (const gint64[]) { OUT }, bias);
  edit_add_node (proto, "GlobalAveragePool", "mean", map);
  edit_add_node (proto, "Flatten", "flat", mean);
  node = edit_add_node (proto, "Gemm", "out", flat);
  if (exchanged)
    edit_add_int (node, "transB", 1);
  lowered = lower (proto, "out", &file, &error);
  g_assert_no_error (error);
  g_assert_true (yolo_layer_is (layer_of (lowered, 1), YOLO_OP_GLOBAL_POOL));
  conv = layer_of (lowered, 0);
  g_assert_cmpint (conv->type, ==, YOLO_LAYER_CONV);
  g_assert_cmpuint (conv->channels, ==, OUT);
  g_assert_cmpuint (conv->height, ==, 1);
  for (guint o = 0; o < OUT; o++) {
    g_assert_true (conv->bias[o] == bias[o]);
    for (guint k = 0; k < IN; k++)
      g_assert_true (
          conv->weights[o * IN + k] == weights[exchanged ? o * IN + k : k * OUT + o]);
  }
  g_assert_cmpint (lowered->values[file->outputs[0]].kind, ==, VALUE_FLAT);
}

/* Two maps that are stacked along @stacked, joined along @joined and added up along @summed:
 * along the first dimension of three they are one map, else none. */
static void
test_stack (gconstpointer data)
{
  static const struct {
    gint64 stacked, joined, summed, keepdims;
    gboolean of_tail, of_nothing;
  } cases[] = { { 0, 0, 0, 0, FALSE, FALSE }, { 1, 0, 0, 0, FALSE, FALSE },
    { 0, 1, 0, 0, FALSE, FALSE }, { 0, 0, 1, 0, FALSE, FALSE }, { 0, 0, 0, 1, FALSE, FALSE },
    { 0, 0, 0, 0, TRUE, FALSE }, { 0, 0, 0, 0, FALSE, TRUE } };
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (OnnxFile) file = NULL;
  g_autoptr (Lowered) lowered = NULL;
  g_autoptr (GError) error = NULL;
  Onnx__ModelProto *proto = empty_file ();
  Random r = random_new (17);
  gint64 axis = GINT64_TO_LE (cases[i].stacked), sum = GINT64_TO_LE (cases[i].summed);
  Onnx__NodeProto *node;

  add_map (proto, &r, 4);
  edit_add_node (proto, "Sigmoid", "other", (const char *[]) { "map", NULL });
  edit_add_node (proto, "Tan", "unknown", (const char *[]) { "map", NULL });
  edit_add_constant (proto, "axis", 7, 1, (gint64[]) { 1 }, &axis);
  edit_add_constant (proto, "summed", 7, 1, (gint64[]) { 1 }, &sum);
  edit_add_node (proto, "Unsqueeze", "a", (const char *[]) { "map", "axis", NULL });
  edit_add_node (proto, "Unsqueeze", "b",
      (const char *[]) { cases[i].of_tail ? "unknown" : "other", "axis", NULL });
  node = edit_add_node (proto, "Concat", "stack",
      (const char *[]) { cases[i].of_nothing ? NULL : "a", "b", NULL });
  edit_add_int (node, "axis", cases[i].joined);
  node = edit_add_node (proto, "ReduceSum", "out", (const char *[]) { "stack", "summed", NULL });
  edit_add_int (node, "keepdims", cases[i].keepdims);
  lowered = lower (proto, "out", &file, &error);
  g_assert_no_error (error);
  g_assert_cmpint (lowered->values[file->outputs[0]].kind, ==, i == 0 ? VALUE_FEATURE : VALUE_TAIL);
  if (i == 0)
    g_assert_true (yolo_layer_is (layer_of (lowered, 0), YOLO_OP_ADD));
}

int
main (int argc, char **argv)
{
  static const char *const refused[] = { "strides", "dilations", "pads", "output-padding",
    "output-shape", "group" };

  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/network/operators/conv-transpose", NULL, test_conv_transpose);
  g_test_add_data_func (
      "/network/operators/conv-transpose-bias", GINT_TO_POINTER (1), test_conv_transpose);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *path =
        g_strdup_printf ("/network/operators/conv-transpose-refused/%s", refused[i]);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_conv_transpose_refused);
  }
  g_test_add_func ("/network/operators/average-pool", test_average_pool);
  g_test_add_func ("/network/operators/average-pool-refused", test_average_pool_refused);
  for (guint i = 0; i < 7; i++) {
    g_autofree char *path = g_strdup_printf ("/network/operators/stack/%u", i);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_stack);
  }
  g_test_add_data_func ("/network/operators/classifier", NULL, test_classifier);
  g_test_add_data_func (
      "/network/operators/classifier-exchanged", GINT_TO_POINTER (1), test_classifier);
  return g_test_run ();
}
