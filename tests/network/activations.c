/* SPDX-License-Identifier: MIT */
/* Activations in ONNX files, as operators of their own and as exporters write them with several
 * nodes: the layers that they become, and what those compute. */

#include "network/int8.h"
#include "network/onnx/lower.h"
#include "tests/network/edit.h"

#include <float.h>
#include <math.h>

/* Nodes, each its operator, its inputs and attributes (NAME=NUMBER), and a semicolon between two.
 * Of the inputs x is the map that the activation is of, `first` is the first node, `last` the one
 * in front, - is left out, and numbers are constants. */
typedef struct {
  const char *name;
  YoloActivation act;
  float alpha, beta;
  const char *nodes;
} Written;

static const Written written[] = {
  { "clip", YOLO_ACT_CLIP, -.5f, 1.5f, "Clip x -0.5 1.5" },
  { "clip-above", YOLO_ACT_CLIP, -FLT_MAX, 1.5f, "Clip x - 1.5" },
  { "clip-below", YOLO_ACT_CLIP, -.5f, FLT_MAX, "Clip x -0.5" },
  { "clip-relu", YOLO_ACT_RELU, 0, 0, "Clip x 0" },
  { "clip-nothing", YOLO_ACT_NONE, 0, 0, "Clip x" },
  { "elu", YOLO_ACT_ELU, 1, 0, "Elu x" },
  { "elu-alpha", YOLO_ACT_ELU, .75f, 0, "Elu x alpha=0.75" },
  { "gelu", YOLO_ACT_GELU, 0, 0, "Gelu x" },
  { "gelu-nodes", YOLO_ACT_GELU, 0, 0,
    "Div x 1.41421354; Erf last; Add last 1; Mul x last; Mul last 0.5" },
  { "gelu-exchanged", YOLO_ACT_GELU, 0, 0,
    "Mul x 0.5; Mul 0.707106769 x; Erf last; Add 1 last; Mul last first" },
  { "gelu-tanh-nodes", YOLO_ACT_GELU_TANH, 0, 0,
    "Mul x x; Mul x last; Mul 0.044715 last; Add x last; Mul 0.797884583 last; Tanh last; "
    "Add 1 last; Mul x last; Mul 0.5 last" },
  { "gelu-tanh-power", YOLO_ACT_GELU_TANH, 0, 0,
    "Mul x 0.5; Pow x 3; Mul last 0.044708252; Add x last; Mul last 0.797851562; Tanh last; "
    "Add last 1; Mul first last" },
  { "hard-sigmoid", YOLO_ACT_HARD_SIGMOID, .2f, .5f, "HardSigmoid x" },
  { "hard-sigmoid-alpha", YOLO_ACT_HARD_SIGMOID, .25f, .5f, "HardSigmoid x alpha=0.25" },
  { "hard-sigmoid-beta", YOLO_ACT_HARD_SIGMOID, .2f, .25f, "HardSigmoid x beta=0.25" },
  { "hard-swish", YOLO_ACT_HARD_SWISH, 0, 0, "HardSwish x" },
  { "hard-swish-product", YOLO_ACT_HARD_SWISH, 0, 0,
    "HardSigmoid x alpha=0.16666667; Mul x last" },
  { "hard-swish-clip", YOLO_ACT_HARD_SWISH, 0, 0,
    "Add x 3; Clip last 0 6; Mul last x; Div last 6" },
  { "hard-swish-clip-first", YOLO_ACT_HARD_SWISH, 0, 0,
    "Add x 3; Clip last 0 6; Div last 6; Mul x last" },
  { "leaky-relu", YOLO_ACT_LEAKY_RELU, .01f, 0, "LeakyRelu x" },
  { "leaky-relu-alpha", YOLO_ACT_LEAKY_RELU, .125f, 0, "LeakyRelu x alpha=0.125" },
  { "mish", YOLO_ACT_MISH, 0, 0, "Mish x" },
  { "mish-nodes", YOLO_ACT_MISH, 0, 0, "Softplus x; Tanh last; Mul x last" },
  { "mish-exponent", YOLO_ACT_MISH, 0, 0, "Exp x; Add 1 last; Log last; Tanh last; Mul last x" },
  { "prelu", YOLO_ACT_LEAKY_RELU, .25f, 0, "PRelu x 0.25" },
  { "silu", YOLO_ACT_SILU, 0, 0, "Sigmoid x; Mul last x" },
  { "silu-exponent", YOLO_ACT_SILU, 0, 0,
    "Mul x -1; Exp last; Add last 1; Pow last -1; Mul x last" },
};

/* The name of input k of node i, which becomes a constant if it is a number. */
static char *
input_name (Onnx__ModelProto *proto, const char *in, const char *x, guint i, guint k)
{
  float value = (float) g_ascii_strtod (in, NULL);
  char *name;

  if (g_str_equal (in, "x"))
    return g_strdup (x);
  if (g_str_equal (in, "last"))
    return g_strdup_printf ("act%u", i - 1);
  if (g_str_equal (in, "first"))
    return g_strdup ("act0");
  if (g_str_equal (in, "-"))
    return g_strdup ("");
  name = g_strdup_printf ("number%u.%u", i, k);
  edit_add_constant (proto, name, 1, 0, NULL, &value);
  return name;
}

/* Appends the nodes, of map @x. Returns the name of the output of the last one. */
static char *
add_nodes (Onnx__ModelProto *proto, const char *text, const char *x)
{
  g_auto (GStrv) nodes = g_strsplit (text, "; ", -1);
  guint i;

  for (i = 0; nodes[i] != NULL; i++) {
    g_auto (GStrv) words = g_strsplit (nodes[i], " ", -1), inputs = g_new0 (char *, 8);
    g_autofree char *name = g_strdup_printf ("act%u", i);
    Onnx__NodeProto *node;
    guint n = 0;

    for (guint k = 1; words[k] != NULL; k++) {
      if (strchr (words[k], '=') == NULL)
        inputs[n++] = input_name (proto, words[k], x, i, k);
    }
    node = edit_add_node (proto, words[0], name, (const char *const *) inputs);
    for (guint k = n + 1; words[k] != NULL; k++) {
      char *value = strchr (words[k], '=');
      Onnx__AttributeProto *attribute;

      *value++ = '\0';
      attribute = edit_add_attribute (node, words[k], 1);
      attribute->has_f = TRUE;
      attribute->f = (float) g_ascii_strtod (value, NULL);
    }
  }
  return g_strdup_printf ("act%u", i - 1);
}

/* micro.onnx with the activation behind its first convolution in place of SiLU. Nodes have to stand
 * in front of those that read them, so that all others are moved behind. */
static Onnx__ModelProto *
with_activation (const char *text)
{
  Onnx__ModelProto *proto = edit_open ("micro.onnx");
  Onnx__GraphProto *graph = proto->graph;
  Onnx__NodeProto *conv = edit_node (proto, "Conv", 0), *product = edit_node (proto, "Mul", 0);
  g_autofree char *x = g_strdup (conv->output[0]), *old = g_strdup (product->output[0]);
  gsize n = graph->n_node, at = 0, more;
  g_autofree Onnx__NodeProto **nodes = NULL;
  g_autofree char *last = add_nodes (proto, text, x);

  while (graph->node[at] != conv)
    at++;
  more = graph->n_node - n;
  nodes = g_memdup2 (graph->node, graph->n_node * sizeof *nodes);
  memcpy (graph->node + at + 1, nodes + n, more * sizeof *nodes);
  memcpy (graph->node + at + 1 + more, nodes + at + 1, (n - at - 1) * sizeof *nodes);
  for (gsize i = 0; i < graph->n_node; i++)
    for (gsize k = 0; k < graph->node[i]->n_input; k++)
      if (g_str_equal (graph->node[i]->input[k], old))
        edit_string (&graph->node[i]->input[k], last);
  return proto;
}

/* It is the first convolution's, whose own numbers do not change and behind which is no other. */
static void
test_written (gconstpointer data)
{
  const Written *w = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) plain = edit_load (edit_open ("micro.onnx"), &error);
  g_assert_no_error (error);
  g_autoptr (YoloModel) model = edit_load (with_activation (w->nodes), &error);
  const YoloConv *conv, *before;

  g_assert_no_error (error);
  g_assert_cmpuint (yolo_model_n_layers (model), ==, yolo_model_n_layers (plain));
  conv = yolo_model_layer (model, 1).conv;
  before = yolo_model_layer (plain, 1).conv;
  g_assert_cmpint (before->act, ==, YOLO_ACT_SILU);
  g_assert_cmpint (conv->act, ==, w->act);
  g_assert_cmpfloat (conv->alpha, ==, w->alpha);
  g_assert_cmpfloat (conv->beta, ==, w->beta);
  for (guint c = 0; c < conv->out_channels; c++)
    g_assert_cmpfloat (conv->bias[c], ==, before->bias[c]);
}

static void
add_text (Onnx__NodeProto *node, const char *name, const char *text)
{
  Onnx__AttributeProto *attribute = edit_add_attribute (node, name, 3);

  attribute->has_s = TRUE;
  attribute->s.len = strlen (text);
  attribute->s.data = (guint8 *) strdup (text);
}

/* The forms of GELU: by tanh, and one that there is not. */
static void
test_approximate (void)
{
  g_autoptr (GError) error = NULL;
  Onnx__ModelProto *proto = with_activation ("Gelu x");

  add_text (edit_node (proto, "Gelu", 0), "approximate", "tanh");
  g_autoptr (YoloModel) model = edit_load (proto, &error);
  g_assert_no_error (error);
  g_assert_cmpint (yolo_model_layer (model, 1).conv->act, ==, YOLO_ACT_GELU_TANH);

  proto = with_activation ("Gelu x");
  add_text (edit_node (proto, "Gelu", 0), "approximate", "erf");
  g_assert_null (edit_load (proto, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "(Gelu) approximates"));
}

/* The graph of a convolution and what is added; for yolo_lowered_free(). */
static Lowered *
lower (Onnx__ModelProto *proto, OnnxFile **file, GError **error)
{
  gsize size = onnx__model_proto__get_packed_size (proto);
  g_autofree guint8 *bytes = g_malloc (size);

  onnx__model_proto__pack (proto, bytes);
  onnx__model_proto__free_unpacked (proto, NULL);
  *file = yolo_onnx_file_parse (bytes, size, NULL, error);
  g_assert_no_error (*error);
  return yolo_lower (*file, 16, 24, error);
}

/* A slope for each channel: slope * x + (1 - slope) * max (x, 0). */
static void
test_prelu_channels (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (OnnxFile) file = NULL;
  g_autoptr (Lowered) lowered = NULL;
  Onnx__ModelProto *proto = with_activation ("PRelu x 0.5");
  Onnx__NodeProto *node = edit_node (proto, "PRelu", 0);
  const Onnx__TensorProto *weights =
      edit_initializer (proto, edit_node (proto, "Conv", 0)->input[1]);
  gint64 dims[3] = { weights->dims[0], 1, 1 };
  g_autofree float *slopes = g_new (float, dims[0]);
  guint i = 0;

  for (gint64 c = 0; c < dims[0]; c++)
    slopes[c] = .1f * (float) c - .2f;
  edit_add_constant (proto, "slopes", 1, 3, dims, slopes);
  edit_string (&node->input[1], "slopes");
  lowered = lower (proto, &file, &error);
  g_assert_no_error (error);
  while (!yolo_layer_is (yolo_layer_at (lowered->graph->layers, i), YOLO_OP_ADD))
    i++;
  const YoloLayer *add = yolo_layer_at (lowered->graph->layers, i),
                  *low = yolo_layer_at (lowered->graph->layers, add->in[0]),
                  *high = yolo_layer_at (lowered->graph->layers, add->in[1]),
                  *relu = yolo_layer_at (lowered->graph->layers, high->in[0]);

  g_assert_true (yolo_layer_is (relu, YOLO_OP_ACT));
  g_assert_cmpint (relu->numbers.act, ==, YOLO_ACT_RELU);
  g_assert_cmpuint (relu->in[0], ==, low->in[0]);
  for (gint64 c = 0; c < dims[0]; c++) {
    for (double x = -2; x < 3; x += .5)
      g_assert_cmpfloat_with_epsilon (low->scale[c] * x + high->scale[c] * fmax (x, 0),
          x < 0 ? slopes[c] * x : x, 1e-6);
    g_assert_true (low->shift[c] == 0 && high->shift[c] == 0);
  }
}

/* What is nearly an activation, or has impossible numbers. */
typedef struct {
  const char *name, *nodes, *says;
} Refused;

static const Refused refused[] = {
  { "offset", "Add x 2; Clip last 0 6; Mul last x", "no activation and no residual" },
  { "low", "Add x 3; Clip last 1 6; Mul last x", "no activation and no residual" },
  { "slope", "HardSigmoid x; Mul x last", "no activation and no residual" },
  { "hard-swish-of-another-map", "Relu x; HardSigmoid last alpha=0.16666667; Mul x last",
    "no activation and no residual" },
  { "mish-of-another-map", "Mul x 2; Softplus first; Tanh last; Mul x last", "" },
  { "erf-factor", "Div x 1.5; Erf last; Add last 1; Mul x last", "" },
  { "erf-offset", "Div x 1.41421354; Erf last; Add last 2; Mul x last", "" },
  { "erf-of-another-map", "Relu x; Div last 1.41421354; Erf last; Add last 1; Mul x last", "" },
  { "tanh-factor",
    "Mul x x; Mul x last; Mul 0.05 last; Add x last; Mul 0.797884583 last; Tanh last; "
    "Add 1 last; Mul x last",
    "" },
  { "undefined-below", "Pow x 0.5; Pow last 2; Sigmoid last; Mul x last", "" },
  { "square", "Mul x x; Mul last x", "" },
  { "doubled",
    "Exp x; Mul last last; Mul last last; Mul last last; Mul last last; Mul last last; "
    "Mul last last; Mul last last; Mul last last; Mul last last; Mul last last; Mul x last",
    "" },
  { "clip-computed", "Relu x; Clip x last", "computes its parameters" },
  { "prelu-computed", "Relu x; PRelu x last", "computes its parameters" },
  { "leaky-relu-infinite", "LeakyRelu x alpha=inf", "no finite number" },
};

static void
test_refused (gconstpointer data)
{
  const Refused *refusal = data;
  g_autoptr (GError) error = NULL;

  g_assert_null (edit_load (with_activation (refusal->nodes), &error));
  g_test_message ("%s", error->message);
  g_assert_true (error->domain == YOLO_NETWORK_ERROR);
  g_assert_nonnull (strstr (error->message, refusal->says));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (written); i++) {
    g_autofree char *path = g_strconcat ("/network/activations/", written[i].name, NULL);

    g_test_add_data_func (path, &written[i], test_written);
  }
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *path = g_strconcat ("/network/activations/refused/", refused[i].name, NULL);

    g_test_add_data_func (path, &refused[i], test_refused);
  }
  g_test_add_func ("/network/activations/approximate", test_approximate);
  g_test_add_func ("/network/activations/prelu-channels", test_prelu_channels);
  return g_test_run ();
}
