/* SPDX-License-Identifier: MIT */
/* Files in ONNX Runtime's QOperator form (QLinearConv and its like), changed in one place: they
 * are read, or refused by an error that names the node. That they compute what ONNX Runtime does
 * is held by test-reference-maps.c. */

#include "edit.h"

#include <math.h>

#define U8 "micro-qop-u8.onnx"
#define S8 "micro-qop-s8.onnx"
#define CLASSIFY "micro-qop-classify.onnx"

enum { FLOAT = 1, UINT8, INT8, INT32 = 6, INT64 };

/* What is done to an input of a node. */
typedef enum {
  LEAVE_OUT,
  CUT,                          /* it and those behind it are taken away */
  CONSTANT,                     /* it becomes a constant of other type, length or value */
  RETYPE,                       /* the constant stays, of another type of the same size */
  COMPUTE,                      /* it becomes what an Identity makes of it */
  ONE,                          /* the scalar becomes [1] */
  AS_NODE,                      /* its initializer becomes a Constant */
  DOMAIN,                       /* of the node, to text */
  OPERATOR,                     /* of the node, to text */
  ATTRIBUTE,                    /* text, to value */
  OUTPUT,                       /* the node gets a second one */
} Change;

typedef struct {
  const char *name, *file, *op;
  int nth;
  Change change;
  guint input;
  const char *says;             /* in the error; NULL: it is read */
  gint32 type;
  guint n;                      /* elements; 0: a scalar */
  float value;
  const char *text;
} Case;

#define OPTIMISED "ONNX Runtime has optimised the file for itself"

static const Case cases[] = {
  { "bias-none", U8, "QLinearConv", 1, LEAVE_OUT, 8, NULL, 0, 0, 0, NULL },
  { "bias-cut", U8, "QLinearConv", 1, CUT, 8, NULL, 0, 0, 0, NULL },
  { "too-few", U8, "QLinearConv", 1, CUT, 7, .says = "has 7 inputs and 1 outputs, which" },
  { "too-few-sigmoid", U8, "QLinearSigmoid", 1, CUT, 4, .says = "has 4 inputs" },
  { "too-few-concat", U8, "QLinearConcat", 0, CUT, 6, .says = "has 6 inputs" },
  { "no-parts", U8, "QLinearConcat", 0, CUT, 2, .says = "has 2 inputs" },
  { "two-outputs", U8, "QLinearConv", 1, OUTPUT, 0, .says = "has 9 inputs and 2 outputs" },
  { "no-scale", U8, "QLinearConv", 1, LEAVE_OUT, 1, .says = "input 1, '', is left out" },
  { "no-weights", U8, "QLinearConv", 1, LEAVE_OUT, 3, .says = "input 3, '', is left out" },
  { "no-zero", U8, "QLinearMul", 1, LEAVE_OUT, 5, .says = "input 5, '', is left out" },
  { "no-output-zero", U8, "QLinearConv", 1, LEAVE_OUT, 7, .says = "input 7, '', is left out" },
  { "no-output-zero-sigmoid", U8, "QLinearSigmoid", 1, LEAVE_OUT, 4, .says = "is left out" },
  { "scale-0", U8, "QLinearConv", 1, CONSTANT, 6, .says = "is not above 0", .type = FLOAT },
  { "scale-below-0", U8, "QLinearAdd", 0, CONSTANT, 6, .says = "is not above 0", .type = FLOAT,
    .value = -.5f },
  { "scale-nan", U8, "QLinearConv", 1, CONSTANT, 6, .says = "NaN", .type = FLOAT, .value = NAN },
  { "scale-infinite", U8, "QLinearConcat", 0, CONSTANT, 0, .says = "infinity", .type = FLOAT,
    .value = INFINITY },
  { "scale-in-0", U8, "QLinearConv", 1, CONSTANT, 1, .says = "is not above 0", .type = FLOAT },
  { "scale-weights-nan", U8, "QLinearConv", 1, CONSTANT, 4, .says = "NaN", .type = FLOAT,
    .value = NAN },
  { "scale-other", U8, "QLinearConv", 1, CONSTANT, 1, .says = "another scale", .type = FLOAT,
    .value = .125f },
  { "scale-other-concat", U8, "QLinearConcat", 0, CONSTANT, 3, .says = "another scale",
    .type = FLOAT, .value = .125f },
  { "scale-int", U8, "QLinearConv", 1, CONSTANT, 6, .says = "a scale, is no float32",
    .type = INT32, .value = 1 },
  { "scales", U8, "QLinearConv", 1, CONSTANT, 6, .says = "should be one scale", .type = FLOAT,
    .n = 2, .value = .125f },
  { "scales-in", U8, "QLinearSigmoid", 1, CONSTANT, 1, .says = "should be one scale",
    .type = FLOAT, .n = 2, .value = .125f },
  { "scales-add", U8, "QLinearAdd", 0, CONSTANT, 4, .says = "should be one scale", .type = FLOAT,
    .n = 2, .value = .125f },
  { "scales-constant", S8, "QLinearMul", -1, CONSTANT, 4, .says = "should be one scale",
    .type = FLOAT, .n = 2, .value = .125f },
  { "scales-weights", U8, "QLinearConv", 1, CONSTANT, 4, .says = "does not fit", .type = FLOAT,
    .n = 3, .value = .125f },
  { "scale-one", U8, "QLinearConv", 1, ONE, 6, NULL, 0, 0, 0, NULL },
  { "zero-int32", U8, "QLinearConv", 1, CONSTANT, 7, .says = "neither uint8 nor int8",
    .type = INT32 },
  { "zero-float", U8, "QLinearConv", 1, CONSTANT, 2, .says = "neither uint8 nor int8",
    .type = FLOAT },
  { "zero-weights-int32", U8, "QLinearConv", 1, CONSTANT, 5, .says = "neither uint8",
    .type = INT32 },
  { "zeros", U8, "QLinearConv", 1, CONSTANT, 7, .says = "should be one zero point", .type = UINT8,
    .n = 2 },
  { "zero-other-type", U8, "QLinearSigmoid", 1, AS_NODE, 4, .says = "another scale", .type = INT8 },
  { "zero-weights-type", U8, "QLinearConv", 1, RETYPE, 5, .says = "another type than its tensor",
    .type = UINT8 },
  { "bias-float", U8, "QLinearConv", 1, CONSTANT, 8, .says = "a bias, is no int32", .type = FLOAT,
    .n = 2, .value = 1 },
  { "bias-length", U8, "QLinearConv", 1, CONSTANT, 8, .says = "a bias, does not fit",
    .type = INT32, .n = 3 },
  { "scale-computed", U8, "QLinearConv", 1, COMPUTE, 6, .says = "(QLinearConv)" },
  { "zero-computed", U8, "QLinearMul", 1, COMPUTE, 2, .says = OPTIMISED },
  { "bias-computed", U8, "QLinearConv", 1, COMPUTE, 8, .says = "(QLinearConv)" },
  { "scale-node", U8, "QLinearConv", 1, AS_NODE, 6, NULL, 0, 0, 0, NULL },
  { "zero-node", U8, "QLinearMul", 1, AS_NODE, 7, NULL, 0, 0, 0, NULL },
  { "weights-node", U8, "QLinearConv", 1, AS_NODE, 3, NULL, 0, 0, 0, NULL },
  { "scale-node-int", U8, "QLinearConv", 1, AS_NODE, 6, .says = "a scale, is no float32",
    .type = INT32 },
  { "standard-domain", U8, "QLinearConv", 1, DOMAIN, 0, .text = "ai.onnx" },
  { "conv-microsoft", U8, "QLinearConv", 1, DOMAIN, 0, .says = OPTIMISED, .text = "com.microsoft" },
  { "sigmoid-standard", U8, "QLinearSigmoid", 1, DOMAIN, 0, .says = "(QLinearSigmoid)",
    .text = "" },
  { "sigmoid-other", U8, "QLinearSigmoid", 1, DOMAIN, 0, .says = "none of ONNX's own",
    .text = "acme" },
  { "unknown", U8, "QLinearSigmoid", 1, OPERATOR, 0, .says = OPTIMISED, .text = "QLinearTanh" },
  { "fused", U8, "QLinearSigmoid", 1, OPERATOR, 0, .says = OPTIMISED, .text = "FusedConv" },
  { "softmax-opset", S8, "QLinearSoftmax", 0, ATTRIBUTE, 0, .says = OPTIMISED, .value = 12,
    .text = "opset" },
  { "softmax-axis", S8, "QLinearSoftmax", 0, ATTRIBUTE, 0, .says = "does not compute what",
    .value = 2, .text = "axis" },
  { "pool-channels-first", CLASSIFY, "QLinearGlobalAveragePool", 0, ATTRIBUTE, 0,
    .text = "channels_last" },
  { "pool-channels-last", CLASSIFY, "QLinearGlobalAveragePool", 0, ATTRIBUTE, 0,
    .says = OPTIMISED, .value = 1, .text = "channels_last" },
  { "gemm-factor-1", CLASSIFY, "QGemm", 0, ATTRIBUTE, 0, .value = 1, .text = "alpha" },
  { "gemm-factor", CLASSIFY, "QGemm", 0, ATTRIBUTE, 0, .says = OPTIMISED, .value = 2,
    .text = "alpha" },
  { "gemm-no-bias", CLASSIFY, "QGemm", 0, LEAVE_OUT, 6, NULL, 0, 0, 0, NULL },
  { "gemm-float-output", CLASSIFY, "QGemm", 0, CUT, 7, .says = "has 7 inputs" },
  { "gemm-other-scale", CLASSIFY, "QGemm", 0, CONSTANT, 1, .says = "another scale", .type = FLOAT,
    .value = .125f },
};

static void
set_constant (Onnx__ModelProto *proto, Onnx__NodeProto *node, const Case *c)
{
  gint64 dims[] = { c->n };
  guint n = MAX (c->n, 1);
  float floats[4];
  gint32 whole[4];
  const Onnx__GraphProto *graph = proto->graph;

  for (guint i = 0; i < n; i++) {
    floats[i] = c->value;
    whole[i] = (gint32) c->value;
  }
  edit_add_constant (proto, "changed", c->type, c->n > 0, dims,
      c->type == FLOAT ? (const void *) floats : whole);
  if (c->type == UINT8 || c->type == INT8)
    graph->initializer[graph->n_initializer - 1]->raw_data.len = n;
  edit_string (&node->input[c->input], "changed");
}

/* Makes the initializer that an input is the value of a Constant, of another type if asked. */
static void
set_node (Onnx__ModelProto *proto, Onnx__NodeProto *node, const Case *c)
{
  static const char *const none[] = { NULL };
  Onnx__NodeProto *added = edit_add_node (proto, "Constant", "changed", none);
  const Onnx__TensorProto *from = edit_initializer (proto, node->input[c->input]);
  Onnx__AttributeProto *value = edit_add_attribute (added, "value", 4);
  gsize size = onnx__tensor_proto__get_packed_size (from);
  g_autofree guint8 *bytes = g_malloc (size);

  onnx__tensor_proto__pack (from, bytes);
  value->t = onnx__tensor_proto__unpack (NULL, size, bytes);
  if (c->type != 0)
    value->t->data_type = c->type;
  edit_string (&node->input[c->input], "changed");
}

static void
set_length_one (Onnx__TensorProto *tensor)
{
  g_assert_cmpuint (tensor->n_dims, ==, 0);
  tensor->n_dims = 1;
  tensor->dims = malloc (sizeof *tensor->dims);
  tensor->dims[0] = 1;
}

static void
set_attribute (Onnx__NodeProto *node, const Case *c)
{
  Onnx__AttributeProto *attribute;
  gboolean is_float = strcmp (c->text, "alpha") == 0;

  for (gsize i = 0; i < node->n_attribute; i++) {
    if (strcmp (node->attribute[i]->name, c->text) == 0)
      edit_string (&node->attribute[i]->name, "unused");
  }
  attribute = edit_add_attribute (node, c->text, is_float ? 1 : 2);
  attribute->has_f = is_float;
  attribute->has_i = !is_float;
  attribute->f = c->value;
  attribute->i = (gint64) c->value;
}

static void
change (Onnx__ModelProto *proto, const Case *c)
{
  Onnx__NodeProto *node = edit_node (proto, c->op, c->nth);
  const char *inputs[] = { c->input < node->n_input ? node->input[c->input] : NULL, NULL };

  switch (c->change) {
    case LEAVE_OUT:
      edit_string (&node->input[c->input], "");
      break;
    case CUT:
      while (node->n_input > c->input)
        free (node->input[--node->n_input]);
      break;
    case CONSTANT:
      set_constant (proto, node, c);
      break;
    case RETYPE:
      edit_initializer (proto, node->input[c->input])->data_type = c->type;
      break;
    case COMPUTE:
      edit_add_node (proto, "Identity", "changed", inputs);
      edit_string (&node->input[c->input], "changed");
      break;
    case ONE:
      set_length_one (edit_initializer (proto, node->input[c->input]));
      break;
    case AS_NODE:
      set_node (proto, node, c);
      break;
    case DOMAIN:
      edit_string (&node->domain, c->text);
      break;
    case OPERATOR:
      edit_string (&node->op_type, c->text);
      break;
    case ATTRIBUTE:
      set_attribute (node, c);
      break;
    case OUTPUT:
      node->output = realloc (node->output, 2 * sizeof (char *));
      node->output[node->n_output++] = strdup ("second");
      break;
  }
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  Onnx__ModelProto *proto = edit_open (c->file);
  g_autoptr (YoloModel) model = NULL;
  g_autoptr (GError) error = NULL;

  change (proto, c);
  model = edit_load (proto, &error);
  if (c->says == NULL) {
    g_assert_no_error (error);
    g_assert_nonnull (model);
    return;
  }
  g_assert_null (model);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, c->says));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strconcat ("/network/qoperator/", cases[i].name, NULL);
    g_test_add_data_func (path, &cases[i], test_case);
  }
  return g_test_run ();
}
