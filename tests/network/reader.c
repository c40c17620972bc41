/* SPDX-License-Identifier: MIT */
/* Bad files give an error that says what is wrong, quickly, and nothing else. */

#include "tests/network/edit.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MICRO "micro.onnx"

/* Every load gives a model or an error of ours that is readable text. */
static void
check_bytes (const void *bytes, gsize size, guint *refused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = yolo_model_load_bytes (bytes, size, "bytes.onnx", &error);

  g_assert_true ((model == NULL) == (error != NULL));
  if (error != NULL) {
    g_assert_true (error->domain == YOLO_NETWORK_ERROR);
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
    g_assert_true (g_str_has_prefix (error->message, "bytes.onnx: "));
    ++*refused;
  }
}

static void
read_micro (char **bytes, gsize *size)
{
  g_autofree char *path = data_file (MICRO);
  g_assert_true (g_file_get_contents (path, bytes, size, NULL));
}

static void
test_truncated (void)
{
  g_autofree char *bytes = NULL;
  gsize size;
  guint refused = 0;

  read_micro (&bytes, &size);
  for (gsize n = 0; n < size; n++) {
    /* a copy of its own, so that reading beyond the end shows */
    g_autofree char *cut = g_memdup2 (bytes, n);
    check_bytes (cut, n, &refused);
  }
  /* What loads was cut between two fields behind the graph. */
  g_assert_cmpuint (refused, >, size * 95 / 100);
}

static void
test_flipped (void)
{
  g_autofree char *bytes = NULL;
  gsize size;
  guint refused = 0;

  read_micro (&bytes, &size);
  for (gsize i = 0; i < size; i++) {
    char flip = i % 3 ? (char) (1 << i % 8) : (char) 0xff;
    bytes[i] ^= flip;
    check_bytes (bytes, size, &refused);
    bytes[i] ^= flip;
  }
  g_assert_cmpuint (refused, >, size / 10);
}

static void
test_random (void)
{
  guint refused = 0;

  for (guint round = 0; round < 2000; round++) {
    guint8 bytes[256];
    gsize size = (gsize) g_test_rand_int_range (1, sizeof bytes);
    for (gsize i = 0; i < size; i++)
      bytes[i] = (guint8) g_test_rand_int ();
    check_bytes (bytes, size, &refused);
  }
  g_assert_cmpuint (refused, ==, 2000);
}

typedef void (*EditFunc) (Onnx__ModelProto *proto);

/* The first initializer: the weights of the first convolution. */
static Onnx__TensorProto *
weights (Onnx__ModelProto *proto)
{
  return edit_initializer (proto, "0.conv.weight");
}

static void
no_edit (Onnx__ModelProto *proto)
{
}

static void
four_gib (Onnx__ModelProto *proto)
{
  weights (proto)->dims[0] = (gint64) 1 << 32;
}

static void
overflowing_dims (Onnx__ModelProto *proto)
{
  for (gsize i = 0; i < 4; i++)
    weights (proto)->dims[i] = (gint64) 1 << 32;
}

static void
negative_dims (Onnx__ModelProto *proto)
{
  weights (proto)->dims[0] = -2;
}

static void
short_weights (Onnx__ModelProto *proto)
{
  weights (proto)->raw_data.len -= 4;
}

static void
weights_of_other_shape (Onnx__ModelProto *proto)
{
  /* the weights have as many elements, but for two input channels */
  weights (proto)->dims[0] = 3;
  weights (proto)->dims[1] = 2;
}

static void
string_weights (Onnx__ModelProto *proto)
{
  weights (proto)->data_type = 8;
}

static void
unknown_type (Onnx__ModelProto *proto)
{
  weights (proto)->data_type = 99;
}

static void
integer_weights (Onnx__ModelProto *proto)
{
  weights (proto)->data_type = 6;
}

static void
external_weights (Onnx__ModelProto *proto)
{
  weights (proto)->has_data_location = TRUE;
  weights (proto)->data_location = 1;
}

static void
set_weight (Onnx__ModelProto *proto, guint32 bits)
{
  bits = GUINT32_TO_LE (bits);
  memcpy (weights (proto)->raw_data.data + 8, &bits, 4);
}

static void
nan_weight (Onnx__ModelProto *proto)
{
  set_weight (proto, 0x7fc00000);
}

static void
infinite_weight (Onnx__ModelProto *proto)
{
  set_weight (proto, 0xff800000);
}

static void
same_initializer (Onnx__ModelProto *proto)
{
  edit_string (&edit_initializer (proto, "0.conv.bias")->name, "0.conv.weight");
}

static void
nameless_initializer (Onnx__ModelProto *proto)
{
  edit_string (&weights (proto)->name, "");
}

static void
cycle (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *second = edit_node (proto, "Conv", 1), *last = edit_node (proto, "Sigmoid", -1);
  edit_string (&second->input[0], last->output[0]);
}

static void
reads_itself (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node = edit_node (proto, "Sigmoid", 0);
  edit_string (&node->input[0], node->output[0]);
}

static void
reads_nothing (Onnx__ModelProto *proto)
{
  edit_string (&edit_node (proto, "Sigmoid", 0)->input[0], "nowhere");
}

static void
written_twice (Onnx__ModelProto *proto)
{
  edit_string (
      &edit_node (proto, "Sigmoid", 1)->output[0], edit_node (proto, "Sigmoid", 0)->output[0]);
}

static void
overwrites_weights (Onnx__ModelProto *proto)
{
  edit_string (&edit_node (proto, "Sigmoid", 0)->output[0], "0.conv.weight");
}

static void
wrong_attribute (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Conv", 0), "kernel_shape")->type = 2;
}

static void
subgraph (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Conv", 0), "kernel_shape")->type = 5;
}

static void
old_opset (Onnx__ModelProto *proto)
{
  proto->opset_import[0]->version = 9;
}

static void
no_opset (Onnx__ModelProto *proto)
{
  edit_string (&proto->opset_import[0]->domain, "somebody.else");
}

static void
two_inputs (Onnx__ModelProto *proto)
{
  edit_string (&edit_initializer (proto, "0.conv.bias")->name, "other");
  edit_string (&proto->graph->output[0]->name, "0.conv.bias");
  /* the second input has the type of the output */
  proto->graph->input = realloc (proto->graph->input, 2 * sizeof (void *));
  proto->graph->input[proto->graph->n_input++] = proto->graph->output[--proto->graph->n_output];
}

static Onnx__TensorShapeProto *
input_shape (Onnx__ModelProto *proto)
{
  return proto->graph->input[0]->type->tensor_type->shape;
}

static void
flat_input (Onnx__ModelProto *proto)
{
  protobuf_c_message_free_unpacked (
      &input_shape (proto)->dim[--input_shape (proto)->n_dim]->base, NULL);
}

static void
grey_input (Onnx__ModelProto *proto)
{
  input_shape (proto)->dim[1]->dim_value = 1;
}

static void
integer_input (Onnx__ModelProto *proto)
{
  proto->graph->input[0]->type->tensor_type->elem_type = 7;
}

static void
huge_input (Onnx__ModelProto *proto)
{
  input_shape (proto)->dim[2]->dim_value = 1 << 30;
}

static void
large_input (Onnx__ModelProto *proto)
{
  input_shape (proto)->dim[2]->dim_value = 8192;
  input_shape (proto)->dim[3]->dim_value = 8192;
}

static void
tiny_input (Onnx__ModelProto *proto)
{
  input_shape (proto)->dim[2]->dim_value = 1;
  input_shape (proto)->dim[3]->dim_value = 1;
}

static void
uneven_input (Onnx__ModelProto *proto)
{
  input_shape (proto)->dim[3]->dim_value = 23;
}

static void
no_output (Onnx__ModelProto *proto)
{
  edit_string (&proto->graph->output[0]->name, "nowhere");
}

static void
other_output (Onnx__ModelProto *proto)
{
  edit_string (&proto->graph->output[0]->name, edit_node (proto, "Conv", 3)->output[0]);
}

static void
unknown_op (Onnx__ModelProto *proto)
{
  edit_string (&edit_node (proto, "Sigmoid", 0)->op_type, "Tanh");
}

static void
own_domain (Onnx__ModelProto *proto)
{
  edit_node (proto, "Sigmoid", 0)->domain = strdup ("my.own");
}

static void
uneven_pads (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Conv", 0), "pads")->ints[0] = 0;
}

static void
negative_stride (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Conv", 0), "strides")->ints[0] = -1;
}

static void
huge_dilation (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Conv", 0), "dilations")->ints[0] = (gint64) 1 << 40;
}

static void
no_groups (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Conv", 0), "group")->i = 0;
}

static void
pool_ceil (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "MaxPool", 0), "ceil_mode")->i = 1;
}

static void
linear_resize (Onnx__ModelProto *proto)
{
  Onnx__AttributeProto *mode = edit_attribute (edit_node (proto, "Resize", 0), "mode");
  memcpy (mode->s.data, "linear", mode->s.len = 6);
}

static void
rounded_resize (Onnx__ModelProto *proto)
{
  Onnx__AttributeProto *mode = edit_attribute (edit_node (proto, "Resize", 0), "nearest_mode");
  memcpy (mode->s.data, "ceil", mode->s.len = 4);
}

static void
split_elsewhere (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Split", 0), "axis")->i = 2;
}

static void
multiplied_maps (Onnx__ModelProto *proto)
{
  edit_string (&edit_node (proto, "Add", 0)->op_type, "Mul");
}

/* Lets the tail compute something else. */
static void
reversed_bins (Onnx__ModelProto *proto)
{
  float *bins = (float *) edit_initializer (proto, "8.dfl.conv.weight")->raw_data.data;
  for (guint k = 0; k < 2; k++) {
    float bin = bins[k];
    bins[k] = bins[3 - k];
    bins[3 - k] = bin;
  }
}

static void
shifted_bins (Onnx__ModelProto *proto)
{
  float *bins = (float *) edit_initializer (proto, "8.dfl.conv.weight")->raw_data.data;
  for (guint k = 0; k < 4; k++)
    bins[k] += 0.01f;
}

static void
scale_constant (const Onnx__ModelProto *proto, const char *op, guint input, float by)
{
  Onnx__TensorProto *tensor = edit_initializer (proto, edit_node (proto, op, -1)->input[input]);
  for (gsize i = 0; i < tensor->raw_data.len / 4; i++)
    ((float *) tensor->raw_data.data)[i] *= by;
}

static void
moved_anchors (Onnx__ModelProto *proto)
{
  /* the last Add but one adds the anchors to the right and bottom distances */
  Onnx__TensorProto *anchors = edit_initializer (proto, edit_node (proto, "Add", -2)->input[0]);
  ((float *) anchors->raw_data.data)[7] += 0.25f;
}

static void
other_strides (Onnx__ModelProto *proto)
{
  scale_constant (proto, "Mul", 1, 0.5f);
}

static void
other_centre (Onnx__ModelProto *proto)
{
  scale_constant (proto, "Div", 1, 1.5f);
}

static void
raw_scores (Onnx__ModelProto *proto)
{
  edit_string (&edit_node (proto, "Sigmoid", -1)->op_type, "Identity");
}

static void
scores_first (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node = edit_node (proto, "Concat", -1);
  char *first = node->input[0];
  node->input[0] = node->input[1];
  node->input[1] = first;
}

static void
softmax_over_sides (Onnx__ModelProto *proto)
{
  Onnx__AttributeProto *perm = edit_attribute (edit_node (proto, "Transpose", -1), "perm");
  perm->ints[1] = 1;
  perm->ints[2] = 2;
}

static void
size_of_centre (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node = edit_node (proto, "Sub", -1);
  char *first = node->input[0];
  node->input[0] = node->input[1];
  node->input[1] = first;
}

static void
levels_exchanged (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node = edit_node (proto, "Concat", -3);
  char *first = node->input[0];
  node->input[0] = node->input[1];
  node->input[1] = first;
}

static void
third_map (Onnx__ModelProto *proto)
{
  /* the classes of the last level, joined with boxes, go elsewhere into the output as well */
  Onnx__NodeProto *node = edit_node (proto, "Reshape", 3);
  edit_string (&node->input[0], edit_node (proto, "Conv", 4)->output[0]);
}

/* Gives a node one input more than its operator takes. */
static void
surplus_input (Onnx__NodeProto *node)
{
  node->input = realloc (node->input, (node->n_input + 1) * sizeof (char *));
  node->input[node->n_input++] = strdup ("0.conv.bias");
}

static void
surplus_conv (Onnx__ModelProto *proto)
{
  surplus_input (edit_node (proto, "Conv", 0));
}

static void
surplus_sigmoid (Onnx__ModelProto *proto)
{
  surplus_input (edit_node (proto, "Sigmoid", 0));
}

static void
surplus_pool (Onnx__ModelProto *proto)
{
  surplus_input (edit_node (proto, "MaxPool", 0));
}

static void
surplus_mul (Onnx__ModelProto *proto)
{
  surplus_input (edit_node (proto, "Mul", 0));
}

static void
surplus_softmax (Onnx__ModelProto *proto)
{
  surplus_input (edit_node (proto, "Softmax", 0));
}

static void
no_weights (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node = edit_node (proto, "Conv", 0);

  while (node->n_input > 1)
    free (node->input[--node->n_input]);
}

static void
half_bias (Onnx__ModelProto *proto)
{
  Onnx__TensorProto *bias = edit_initializer (proto, "0.conv.bias");

  bias->data_type = 10;
  bias->raw_data.len /= 2;
}

static void
pads_and_auto_pad (Onnx__ModelProto *proto)
{
  Onnx__AttributeProto *attribute = edit_attribute (edit_node (proto, "Conv", 0), "dilations");

  edit_string (&attribute->name, "auto_pad");
  attribute->type = 3;
  attribute->has_s = TRUE;
  attribute->s.data = (guint8 *) strdup ("SAME_UPPER");
  attribute->s.len = 10;
  free (attribute->ints);
  attribute->ints = NULL;
  attribute->n_ints = 0;
}

static void
microsoft_op (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node = edit_node (proto, "Conv", 1);

  node->domain = strdup ("com.microsoft");
  edit_string (&node->op_type, "FusedConv");
}

static const struct {
  const char *name;
  EditFunc edit;
  YoloNetworkError code;
  const char *says[3];
} edits[] = {
#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED
#define SIZE YOLO_NETWORK_ERROR_SIZE
  { "four-gib", four_gib, FORMAT, { "0.conv.weight", "bytes" } },
  { "overflowing-dims", overflowing_dims, FORMAT, { "0.conv.weight", "impossible" } },
  { "negative-dims", negative_dims, FORMAT, { "0.conv.weight", "impossible" } },
  { "short-weights", short_weights, FORMAT, { "0.conv.weight", "212" } },
  { "weights-of-other-shape", weights_of_other_shape, FORMAT, { "'c1' (Conv)", "channels" } },
  { "string-weights", string_weights, UNSUPPORTED, { "0.conv.weight", "type string" } },
  { "unknown-type", unknown_type, UNSUPPORTED, { "0.conv.weight", "type unknown" } },
  { "integer-weights", integer_weights, UNSUPPORTED, { "'c1' (Conv)", "right type" } },
  { "external-weights", external_weights, UNSUPPORTED,
      { "0.conv.weight", "another file", "save_as_external_data" } },
  { "nan-weight", nan_weight, FORMAT, { "0.conv.weight", "NaN", "element 2" } },
  { "infinite-weight", infinite_weight, FORMAT, { "0.conv.weight", "infinity" } },
  { "same-initializer", same_initializer, FORMAT, { "0.conv.weight", "twice" } },
  { "nameless-initializer", nameless_initializer, FORMAT, { "no name" } },
  { "cycle", cycle, FORMAT, { "cycle" } },
  { "reads-itself", reads_itself, FORMAT, { "'s2' (Sigmoid)", "cycle" } },
  { "reads-nothing", reads_nothing, FORMAT, { "'s2' (Sigmoid)", "'nowhere'" } },
  { "written-twice", written_twice, FORMAT, { "'s2'" } },
  { "overwrites-weights", overwrites_weights, FORMAT, { "0.conv.weight" } },
  { "wrong-attribute", wrong_attribute, FORMAT, { "'c1' (Conv)", "kernel_shape" } },
  { "subgraph", subgraph, UNSUPPORTED, { "'c1' (Conv)", "graph of its own" } },
  { "old-opset", old_opset, UNSUPPORTED, { "operator set 9", "opset=11" } },
  { "no-opset", no_opset, FORMAT, { "operator set" } },
  { "two-inputs", two_inputs, UNSUPPORTED, { "several inputs" } },
  { "flat-input", flat_input, UNSUPPORTED, { "'images'", "[N, 3, height, width]" } },
  { "grey-input", grey_input, UNSUPPORTED, { "1 channels" } },
  { "integer-input", integer_input, UNSUPPORTED, { "'images'", "type int64", "uint8" } },
  { "huge-input", huge_input, SIZE, { "1073741824", "8192" } },
  { "large-input", large_input, UNSUPPORTED, { "8192x8192", "imgsz" } },
  { "tiny-input", tiny_input, SIZE, { "1x1" } },
  { "uneven-input", uneven_input, UNSUPPORTED, { "whole part" } },
  { "no-output", no_output, FORMAT, { "'nowhere'" } },
  { "other-output", other_output, UNSUPPORTED, { "no head" } },
  { "unknown-op", unknown_op, UNSUPPORTED, { "'s2' (Tanh)", "the file: detect", "export" } },
  { "own-domain", own_domain, UNSUPPORTED, { "'s2' (Sigmoid)" } },
  { "surplus-conv", surplus_conv, FORMAT, { "'c1' (Conv)", "4 inputs", "2 to 3" } },
  { "surplus-sigmoid", surplus_sigmoid, FORMAT, { "'s2' (Sigmoid)", "2 inputs" } },
  { "surplus-pool", surplus_pool, FORMAT, { "(MaxPool)", "2 inputs" } },
  { "surplus-mul", surplus_mul, FORMAT, { "(Mul)", "3 inputs" } },
  { "surplus-softmax", surplus_softmax, FORMAT, { "(Softmax)", "2 inputs" } },
  { "no-weights", no_weights, FORMAT, { "'c1' (Conv)", "1 inputs" } },
  { "half-bias", half_bias, FORMAT, { "'c1' (Conv)", "float32", "float16" } },
  { "pads-and-auto-pad", pads_and_auto_pad, FORMAT, { "'c1' (Conv)", "auto_pad" } },
  { "microsoft-op", microsoft_op, UNSUPPORTED, { "(FusedConv)", "ONNX Runtime" } },
  { "uneven-pads", uneven_pads, UNSUPPORTED, { "'c1' (Conv)", "pads" } },
  { "negative-stride", negative_stride, FORMAT, { "'c1' (Conv)", "strides of -1" } },
  { "huge-dilation", huge_dilation, FORMAT, { "'c1' (Conv)", "dilations" } },
  { "no-groups", no_groups, FORMAT, { "'c1' (Conv)" } },
  { "pool-ceil", pool_ceil, UNSUPPORTED, { "(MaxPool)" } },
  { "linear-resize", linear_resize, UNSUPPORTED, { "(Resize)", "nearest" } },
  { "rounded-resize", rounded_resize, UNSUPPORTED, { "(Resize)", "repeat" } },
  { "split-elsewhere", split_elsewhere, UNSUPPORTED, { NULL } },
  { "multiplied-maps", multiplied_maps, UNSUPPORTED, { "(Mul)", "no activation and no residual" } },
  { "reversed-bins", reversed_bins, UNSUPPORTED, { "does not compute" } },
  { "shifted-bins", shifted_bins, UNSUPPORTED, { "does not compute" } },
  { "moved-anchors", moved_anchors, UNSUPPORTED, { "does not compute" } },
  { "other-strides", other_strides, UNSUPPORTED, { "does not compute" } },
  { "other-centre", other_centre, UNSUPPORTED, { "does not compute" } },
  { "raw-scores", raw_scores, UNSUPPORTED, { "does not compute" } },
  { "scores-first", scores_first, UNSUPPORTED, { "does not compute" } },
  { "softmax-over-sides", softmax_over_sides, UNSUPPORTED, { "does not compute" } },
  { "size-of-centre", size_of_centre, UNSUPPORTED, { "does not compute" } },
  { "levels-exchanged", levels_exchanged, UNSUPPORTED, { "does not compute" } },
  { "third-map", third_map, UNSUPPORTED, { NULL } },
};

static void
test_edit (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Onnx__ModelProto *proto = edit_open (MICRO);
  g_autoptr (GError) error = NULL;
  clock_t start = clock ();
  YoloModel *model;

  edits[i].edit (proto);
  model = edit_load (proto, &error);
  g_assert_null (model);
  g_assert_nonnull (error);
  g_test_message ("%s", error->message);
  g_assert_error (error, YOLO_NETWORK_ERROR, (gint) edits[i].code);
  g_assert_true (g_str_has_prefix (error->message, "edited.onnx: "));
  for (guint k = 0; k < 3 && edits[i].says[k] != NULL; k++)
    g_assert_nonnull (strstr (error->message, edits[i].says[k]));
  /* loading takes a second of processor time, ten under sanitizers */
  g_assert_cmpint ((clock () - start) / CLOCKS_PER_SEC, <, 10);
}

/* The files load as they are: else the edits above would prove nothing. */
static void
test_unedited (void)
{
  Onnx__ModelProto *proto = edit_open (MICRO);
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = NULL;

  no_edit (proto);
  model = edit_load (proto, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (model->n_classes, ==, 2);
  g_assert_cmpuint (model->reg_max, ==, 4);
}

/* A node that could make 2^40 numbers: it is not needed, and makes none. */
static void
test_huge_constant (void)
{
  static const char *const ops[] = { "ConstantOfShape", "Range", "Expand" };

  for (guint i = 0; i < G_N_ELEMENTS (ops); i++) {
    Onnx__ModelProto *proto = edit_open (MICRO);
    Onnx__NodeProto *node = edit_node (proto, "Slice", 0);
    Onnx__TensorProto *shape = edit_initializer (proto, node->input[1]);
    gint64 huge = GINT64_TO_LE ((gint64) 1 << 40);
    g_autoptr (GError) error = NULL;
    YoloModel *model;

    g_assert_cmpuint (shape->raw_data.len, ==, 8);
    memcpy (shape->raw_data.data, &huge, 8);
    edit_string (&node->input[0], node->input[i == 1 ? 3 : 1]);
    edit_string (&node->input[2], node->input[3]);
    edit_string (&node->op_type, ops[i]);
    for (gsize n = i == 0 ? 1 : i == 1 ? 3 : 2; node->n_input > n;)
      free (node->input[--node->n_input]);
    model = edit_load (proto, &error);
    g_assert_null (model);
    g_assert_nonnull (error);
    g_test_message ("%s", error->message);
  }
}

/* A message that says it is 4 GiB long. */
static void
test_claimed_length (void)
{
  static const guint8 claims[][12] = {
    {0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0a, 0x00},
    {0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x0a},
    {0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x0a},
  };
  guint refused = 0;

  for (guint i = 0; i < G_N_ELEMENTS (claims); i++)
    check_bytes (claims[i], sizeof claims[i], &refused);
  g_assert_cmpuint (refused, ==, G_N_ELEMENTS (claims));
}

/* Messages of two bytes that each become a struct of a hundred. */
static void
test_many_empty_messages (void)
{
  gsize size = 8 << 20;
  g_autofree guint8 *bytes = g_malloc (size);
  guint refused = 0, n = (guint) size - 6;

  bytes[0] = 0x3a;
  for (guint i = 0; i < 5; i++)
    bytes[1 + i] = (guint8) ((n >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
  for (gsize i = 6; i < size; i += 2) {
    bytes[i] = 0x0a;
    bytes[i + 1] = 0;
  }
  check_bytes (bytes, size, &refused);
  g_assert_cmpuint (refused, ==, 1);
}

static void
test_files (void)
{
  g_autofree char *folder = data_file (""), *empty = NULL;
  g_autoptr (GError) error = NULL;
  int fd;

  g_assert_null (yolo_model_load (folder, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE);
  g_assert_nonnull (strstr (error->message, "directory"));
  g_clear_error (&error);

  g_assert_null (yolo_model_load ("/dev/null", &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE);
  g_assert_nonnull (strstr (error->message, "no regular file"));
  g_clear_error (&error);

  g_assert_null (yolo_model_load ("/nonexistent/model.onnx", &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE);
  g_assert_nonnull (strstr (error->message, "/nonexistent/model.onnx"));
  g_clear_error (&error);

  fd = g_file_open_tmp ("emptyXXXXXX.onnx", &empty, NULL);
  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_assert_null (yolo_model_load (empty, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "empty"));
  g_assert_nonnull (strstr (error->message, empty));
  g_unlink (empty);
}

static void
test_foreign (void)
{
  static const struct {
    const char *bytes;
    gsize size;                 /* 0: the length of the string */
    const char *says;
  } files[] = {
    {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", 0, "git lfs pull"},
    {"<!DOCTYPE html>\n<html>", 0, "web page"},
    {"\n  <HTML>", 0, "web page"},
    {"\357\273\277<?xml version=\"1.0\"?><net name=\"m\">", 0, "OpenVINO"},
    {"\034\0\0\0TFL3\024\0", 10, "TensorFlow Lite"},
    {"\034\0\0\0ORTM\024\0", 10, "ONNX Runtime"},
    {"ftrt\0\0\0\0", 8, "TensorRT"},
    {"\200\1\0\0{\"description\": \"\"}", 24, "TensorRT"},
    {"\200\1\0\0\0\0\0\0{\"__metadata__\"", 23, "safetensors"},
    {"\211HDF\r\n\032\n", 8, "HDF5"},
    {"\037\213\b\0", 4, "gzip"},
    {"{\"a\": 1}", 0, "JSON"},
    {"hello", 0, "no ONNX file, or"},
    {"\b\b", 0, "no graph"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    gsize size = files[i].size != 0 ? files[i].size : strlen (files[i].bytes);
    g_autofree char *copy = g_memdup2 (files[i].bytes, size);
    g_autoptr (GError) error = NULL;

    g_assert_null (yolo_model_load_bytes (copy, size, "bytes.onnx", &error));
    g_test_message ("%s", error->message);
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, files[i].says));
  }
}

/* Too little memory is told from a damaged file. This runs in a process of its own, whose
 * address space is bounded; it is skipped under sanitizers, which need the space, and in
 * QEMU, which ignores the bound. */
static void
test_no_memory (void)
{
  gsize large = (gsize) 64 << 20;

#ifdef __SANITIZE_ADDRESS__
  g_test_skip ("AddressSanitizer takes all addresses");
  return;
#endif
  if (g_getenv ("QEMU_CPU") != NULL) {
    g_test_skip ("a program in QEMU cannot start another one of its architecture");
    return;
  }
  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed ();
    return;
  }
  Onnx__ModelProto *proto = edit_open (MICRO);
  g_autofree guint8 *bytes = NULL;
  struct rlimit limit;
  gsize size;

  free (weights (proto)->raw_data.data);
  weights (proto)->raw_data.data = calloc (1, weights (proto)->raw_data.len = large);
  size = onnx__model_proto__get_packed_size (proto);
  bytes = g_malloc (size);
  onnx__model_proto__pack (proto, bytes);
  onnx__model_proto__free_unpacked (proto, NULL);
  limit = (struct rlimit) { size + large / 2, size + large / 2 };
  g_assert_cmpint (setrlimit (RLIMIT_AS, &limit), ==, 0);

  g_autoptr (GError) error = NULL;
  void *probe = malloc (large);
  g_assert_null (yolo_model_load_bytes (bytes, size, "bytes.onnx", &error));
  if (probe == NULL)            /* the system keeps to the limit */
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
  free (probe);
}

/* A folder of its own with micro-external.onnx, changed, and its weights. */
typedef struct {
  char *folder, *path, *data;
} Outside;

static Onnx__ModelProto *
outside_open (Outside *outside)
{
  g_autofree char *from = data_file ("micro-external.onnx.data"), *bytes = NULL;
  gsize size;

  outside->folder = g_dir_make_tmp ("yolo-outside-XXXXXX", NULL);
  g_assert_nonnull (outside->folder);
  outside->path = g_build_filename (outside->folder, "m.onnx", NULL);
  outside->data = g_build_filename (outside->folder, "micro-external.onnx.data", NULL);
  g_assert_true (g_file_get_contents (from, &bytes, &size, NULL));
  g_assert_true (g_file_set_contents (outside->data, bytes, (gssize) size, NULL));
  return edit_open ("micro-external.onnx");
}

static YoloModel *
outside_load (const Outside *outside, Onnx__ModelProto *proto, GError **error)
{
  gsize size = onnx__model_proto__get_packed_size (proto);
  g_autofree guint8 *bytes = g_malloc (size);

  onnx__model_proto__pack (proto, bytes);
  onnx__model_proto__free_unpacked (proto, NULL);
  g_assert_true (g_file_set_contents (outside->path, (char *) bytes, (gssize) size, NULL));
  return yolo_model_load (outside->path, error);
}

static void
outside_clear (Outside *outside)
{
  g_unlink (outside->path);
  g_unlink (outside->data);
  g_assert_cmpint (g_rmdir (outside->folder), ==, 0);
  g_free (outside->folder);
  g_free (outside->path);
  g_free (outside->data);
}

static char **
outside_entry (Onnx__ModelProto *proto, const char *key)
{
  Onnx__TensorProto *tensor = weights (proto);

  for (gsize i = 0; i < tensor->n_external_data; i++) {
    if (strcmp (tensor->external_data[i]->key, key) == 0)
      return &tensor->external_data[i]->value;
  }
  g_assert_not_reached ();
}

static void
test_outside (void)
{
  g_autofree char *path = data_file ("micro-external.onnx"), *inside_path = data_file (MICRO),
                  *bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = yolo_model_load (path, &error), inside = NULL, before = NULL,
                        after = NULL;
  Outside outside;
  Onnx__ModelProto *proto;
  gsize size;

  g_assert_no_error (error);
  inside = yolo_model_load (inside_path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (model->sha256, !=, inside->sha256);
  /* other weights are another model */
  proto = outside_open (&outside);
  g_assert_true (g_file_get_contents (outside.data, &bytes, &size, NULL));
  before = outside_load (&outside, proto, &error);
  g_assert_no_error (error);
  bytes[2] ^= 1;
  g_assert_true (g_file_set_contents (outside.data, bytes, (gssize) size, NULL));
  after = yolo_model_load (outside.path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (before->sha256, !=, after->sha256);
  outside_clear (&outside);
}

/* Weights in a folder below the model's, and by way of ".", are read. */
static void
test_outside_below (void)
{
  Outside outside;
  Onnx__ModelProto *proto = outside_open (&outside);
  g_autofree char *folder = g_build_filename (outside.folder, "weights", NULL);
  g_autofree char *moved = g_build_filename (folder, "all", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = NULL;

  for (gsize i = 0; i < proto->graph->n_initializer; i++)
    edit_string (&proto->graph->initializer[i]->external_data[0]->value, "./weights//all");
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_cmpint (g_rename (outside.data, moved), ==, 0);
  model = outside_load (&outside, proto, &error);
  g_assert_no_error (error);
  g_unlink (moved);
  g_rmdir (folder);
  outside_clear (&outside);
}

static const struct {
  const char *key, *value;
  YoloNetworkError code;
  const char *says[2];
} outsides[] = {
  { "location", "/etc/passwd", YOLO_NETWORK_ERROR_FILE, { "'/etc/passwd'", "out of the folder" } },
  { "location", "../m.onnx.data", YOLO_NETWORK_ERROR_FILE,
      { "'../m.onnx.data'", "out of the folder" } },
  { "location", "a/../../b", YOLO_NETWORK_ERROR_FILE, { "'a/../../b'", "out of the folder" } },
  { "location", "nowhere.bin", YOLO_NETWORK_ERROR_FILE, { "'nowhere.bin'", "No such file" } },
  { "location", ".", YOLO_NETWORK_ERROR_FILE, { "'.'", "is a directory" } },
  { "location", "link", YOLO_NETWORK_ERROR_FILE, { "'link'", "symbolic link" } },
  { "location", "folder-link/passwd", YOLO_NETWORK_ERROR_FILE,
      { "'folder-link/passwd'", "symbolic link" } },
  { "location", "pipe", YOLO_NETWORK_ERROR_FILE, { "'pipe'", "no regular file" } },
  { "location", "", YOLO_NETWORK_ERROR_FORMAT, { "0.conv.weight", "does not name it" } },
  { "offset", "-64", YOLO_NETWORK_ERROR_FORMAT, { "0.conv.weight", "offset '-64'" } },
  { "offset", "99999999999999999999", YOLO_NETWORK_ERROR_FORMAT, { "0.conv.weight", "offset" } },
  { "offset", "9223372036854775807", YOLO_NETWORK_ERROR_FORMAT, { "0.conv.weight", "cut short" } },
  { "offset", "1e3", YOLO_NETWORK_ERROR_FORMAT, { "0.conv.weight", "offset '1e3'" } },
  { "length", "-1", YOLO_NETWORK_ERROR_FORMAT, { "0.conv.weight", "length '-1'" } },
  { "length", "9223372036854775807", YOLO_NETWORK_ERROR_FORMAT, { "0.conv.weight", "cut short" } },
  { "length", "212", YOLO_NETWORK_ERROR_FORMAT, { "0.conv.weight", "holds 212" } },
};

static void
test_outside_refused (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (outsides); i++) {
    Outside outside;
    Onnx__ModelProto *proto = outside_open (&outside);
    g_autofree char *link = g_build_filename (outside.folder, "link", NULL);
    g_autofree char *folder_link = g_build_filename (outside.folder, "folder-link", NULL);
    g_autofree char *pipe = g_build_filename (outside.folder, "pipe", NULL);
    g_autoptr (GError) error = NULL;

    g_assert_cmpint (symlink ("/etc/passwd", link), ==, 0);
    g_assert_cmpint (symlink ("/etc", folder_link), ==, 0);
    g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
    edit_string (outside_entry (proto, outsides[i].key), outsides[i].value);
    g_assert_null (outside_load (&outside, proto, &error));
    g_test_message ("%s", error->message);
    g_assert_error (error, YOLO_NETWORK_ERROR, (gint) outsides[i].code);
    g_assert_true (g_str_has_prefix (error->message, outside.path));
    for (guint k = 0; k < 2; k++)
      g_assert_nonnull (strstr (error->message, outsides[i].says[k]));
    g_unlink (link);
    g_unlink (folder_link);
    g_unlink (pipe);
    outside_clear (&outside);
  }
}

/* Tensors that lie on each other would be more than the file. */
static void
test_outside_overlapping (void)
{
  Outside outside;
  Onnx__ModelProto *proto = outside_open (&outside);
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < proto->graph->n_initializer; i++) {
    Onnx__TensorProto *tensor = proto->graph->initializer[i];
    edit_string (&tensor->external_data[1]->value, "0");
    edit_string (&tensor->external_data[2]->value, "512");
  }
  g_assert_null (outside_load (&outside, proto, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "where other tensors lie"));
  outside_clear (&outside);
}

typedef struct {
  const char *path, *bytes;
  gsize size;
  gint stop;                    /* atomic */
} Writer;

/* What a copy over a file does: cuts it to nothing and writes it again. */
static gpointer
rewrite (gpointer data)
{
  Writer *writer = data;

  for (guint round = 0; !g_atomic_int_get (&writer->stop); round++) {
    FILE *file = fopen (writer->path, "w");
    g_assert_nonnull (file);
    g_assert_cmpuint (fwrite (writer->bytes, 1, writer->size / 2, file), ==, writer->size / 2);
    fflush (file);
    fwrite (writer->bytes + writer->size / 2, 1, writer->size - writer->size / 2, file);
    fclose (file);
    g_usleep (round % 4 * 4000);        /* sometimes the file is left alone for long enough */
  }
  return NULL;
}

/* A model that is replaced while it is loaded is refused at worst. */
static void
test_changing_file (void)
{
  /* a field that no ONNX has, of 2 MiB */
  static const guint8 padding[] = { 0xa2, 0x06, 0x80, 0x80, 0x80, 0x01 };
  g_autofree char *bytes = NULL, *path = NULL;
  Writer writer = { 0 };
  guint loaded = 0;
  GThread *thread;
  gsize size;
  int fd;

  read_micro (&bytes, &size);
  writer.size = size + sizeof padding + (2 << 20);
  bytes = g_realloc (bytes, writer.size);
  memcpy (bytes + size, padding, sizeof padding);
  memset (bytes + size + sizeof padding, 'p', 2 << 20);
  fd = g_file_open_tmp ("changingXXXXXX.onnx", &path, NULL);
  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  writer.path = path;
  writer.bytes = bytes;
  g_assert_true (g_file_set_contents (path, bytes, (gssize) writer.size, NULL));
  thread = g_thread_new ("writer", rewrite, &writer);
  for (guint i = 0; i < 100; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloModel) model = yolo_model_load (path, &error);

    g_assert_true ((model == NULL) == (error != NULL));
    loaded += model != NULL;
  }
  g_atomic_int_set (&writer.stop, 1);
  g_thread_join (thread);
  g_test_message ("loaded %u times of 100", loaded);
  g_unlink (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/reader/unedited", test_unedited);
  for (guint i = 0; i < G_N_ELEMENTS (edits); i++) {
    g_autofree char *path = g_strconcat ("/network/reader/edited/", edits[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_edit);
  }
  g_test_add_func ("/network/reader/files", test_files);
  g_test_add_func ("/network/reader/foreign", test_foreign);
  g_test_add_func ("/network/reader/no-memory", test_no_memory);
  g_test_add_func ("/network/reader/outside", test_outside);
  g_test_add_func ("/network/reader/outside/below", test_outside_below);
  g_test_add_func ("/network/reader/outside/refused", test_outside_refused);
  g_test_add_func ("/network/reader/outside/overlapping", test_outside_overlapping);
  g_test_add_func ("/network/reader/changing-file", test_changing_file);
  g_test_add_func ("/network/reader/huge-constant", test_huge_constant);
  g_test_add_func ("/network/reader/claimed-length", test_claimed_length);
  g_test_add_func ("/network/reader/many-empty-messages", test_many_empty_messages);
  g_test_add_func ("/network/reader/random", test_random);
  g_test_add_func ("/network/reader/truncated", test_truncated);
  g_test_add_func ("/network/reader/flipped", test_flipped);
  return g_test_run ();
}
