/* SPDX-License-Identifier: MIT */
#include "network/onnx/qoperator.h"
#include "network/onnx/tensor.h"

#include <string.h>

/* An operator of whole numbers. Its inputs are triples of a value, its scale and its zero point,
 * and the scale and the zero point of the output. */
typedef struct {
  const char *op, *floats;      /* its name; the operator on floats that it is in 8 bits */
  gboolean standard;            /* ONNX's own; else of com.microsoft */
  guint min_in, max_in;
  guint n_data;                 /* triples; 0: as many as there are, behind the output's grid */
  guint output;                 /* the input that is the output's scale; the zero point follows */
  /* the input that is a bias of int32, whose scale is the product of those of the first two
   * triples; 0: none */
  guint bias;
} QOperator;

static const QOperator operators[] = {
  { "QGemm", "Gemm", FALSE, 9, 9, 2, 7, 6 },
  { "QLinearAdd", "Add", FALSE, 8, 8, 2, 6, 0 },
  { "QLinearAveragePool", "AveragePool", FALSE, 5, 5, 1, 3, 0 },
  { "QLinearConcat", "Concat", FALSE, 5, G_MAXUINT, 0, 0, 0 },
  { "QLinearConv", "Conv", TRUE, 8, 9, 2, 6, 8 },
  { "QLinearGlobalAveragePool", "GlobalAveragePool", FALSE, 5, 5, 1, 3, 0 },
  { "QLinearLeakyRelu", "LeakyRelu", FALSE, 5, 5, 1, 3, 0 },
  { "QLinearMatMul", "MatMul", TRUE, 8, 8, 2, 6, 0 },
  { "QLinearMul", "Mul", FALSE, 8, 8, 2, 6, 0 },
  { "QLinearSigmoid", "Sigmoid", FALSE, 5, 5, 1, 3, 0 },
  { "QLinearSoftmax", "Softmax", FALSE, 5, 5, 1, 3, 0 },
};

/* DequantizeLinear with weights or a bias whose first dimension has the scales. That axis makes
 * no difference to a value of one scale. */
static const Onnx__AttributeProto first_axis = {
  .base = PROTOBUF_C_MESSAGE_INIT (&onnx__attribute_proto__descriptor),
  .name = (char *) "axis",
  .has_i = TRUE,
  .i = 0,
};
static Onnx__AttributeProto *const first_axis_only[] = { (Onnx__AttributeProto *) &first_axis };
static const Onnx__NodeProto by_rows = {
  .base = PROTOBUF_C_MESSAGE_INIT (&onnx__node_proto__descriptor),
  .n_attribute = 1,
  .attribute = (Onnx__AttributeProto **) first_axis_only,
};
/* A node without attributes: also DequantizeLinear along its default axis, the second. */
static const Onnx__NodeProto plain = {
  .base = PROTOBUF_C_MESSAGE_INIT (&onnx__node_proto__descriptor),
};

/* What the file's nodes become. */
typedef struct {
  OnnxFile *file;
  GArray *nodes;                /* of OnnxNode */
  guint *operand;               /* where the operands of the next new node go */
} Expansion;

static const QOperator *
find_operator (const OnnxNode *node)
{
  gboolean microsoft = g_strcmp0 (node->proto->domain, "com.microsoft") == 0;

  for (guint i = 0; i < G_N_ELEMENTS (operators); i++) {
    if (strcmp (node->op, operators[i].op) == 0
        && (operators[i].standard ? node->standard : microsoft))
      return &operators[i];
  }
  return NULL;
}

/* Whether the attributes leave the operator what the one on floats is. */
static gboolean
is_same (const OnnxFile *file, const OnnxNode *node)
{
  if (strcmp (node->op, "QLinearSoftmax") == 0)
    /* The node says by itself which operator set's Softmax it is: the older one flattens. */
    return yolo_onnx_attr (node, "axis") != NULL
        && (yolo_onnx_attr_int (node, "opset", 0) < 13) == (file->opset < 13);
  /* A factor of QGemm multiplies the bias too. */
  return yolo_onnx_attr_int (node, "channels_last", 0) == 0
      && (strcmp (node->op, "QGemm") != 0 || yolo_onnx_attr_float (node, "alpha", 1) == 1);
}

/* The constant that input k is, an initializer or a Constant's value; NULL: it is none. */
static const Onnx__TensorProto *
constant (const OnnxFile *file, const OnnxNode *node, guint k)
{
  const OnnxValue *value = yolo_onnx_value (file, node->in[k]);
  const OnnxNode *producer = yolo_onnx_producer (file, node->in[k]);
  const Onnx__AttributeProto *attr;

  if (producer == NULL || !producer->standard || strcmp (producer->op, "Constant") != 0)
    return value->initializer;
  attr = yolo_onnx_attr (producer, "value");
  return attr != NULL ? attr->t : NULL;
}

static gboolean
refuse_input (const OnnxFile *file, const OnnxNode *node, guint k, const char *what, GError **error)
{
  return yolo_network_fail (error, YOLO_NETWORK_ERROR_FORMAT,
      ONNX_NODE_FORMAT ": its input %u, '%.80s', %s", ONNX_NODE_ARGS (node), k,
      node->in[k] != ONNX_NONE ? yolo_onnx_value (file, node->in[k])->name : "", what);
}

/* Checks the scale that is input k, the zero point behind it, and that the number at input
 * @value, if it is a constant, has the zero point's type. *known: both are constants.
 * @whole: the tensor has one scale. */
static gboolean
check_grid (const OnnxFile *file, const OnnxNode *node, guint value, guint k, gboolean whole,
    gboolean *known, GError **error)
{
  const Onnx__TensorProto *scale = constant (file, node, k), *zero = constant (file, node, k + 1);
  const Onnx__TensorProto *numbers = value != ONNX_NONE ? constant (file, node, value) : NULL;
  g_autofree char *what = g_strdup_printf ("scale or zero point of node '%.50s'", node->name);
  g_autoptr (Tensor) tensor = NULL;
  gsize n;

  *known = scale != NULL && zero != NULL;
  if (!*known)
    return TRUE;
  if (scale->data_type != ONNX_FLOAT)
    return refuse_input (file, node, k, "a scale, is no float32", error);
  if (zero->data_type != ONNX_UINT8 && zero->data_type != ONNX_INT8)
    return refuse_input (file, node, k + 1, "a zero point, is neither uint8 nor int8", error);
  if (numbers != NULL && numbers->data_type != zero->data_type)
    return refuse_input (
        file, node, k + 1, "a zero point, has another type than its tensor", error);
  if (!yolo_onnx_check_proto (zero, what, &n, error))
    return FALSE;
  if (whole && n != 1)
    return refuse_input (file, node, k + 1, "should be one zero point", error);
  if (!yolo_onnx_check_proto (scale, what, &n, error))
    return FALSE;
  if (whole && n != 1)
    return refuse_input (file, node, k, "should be one scale", error);
  if (!whole)
    return TRUE;
  tensor = yolo_onnx_tensor_from_proto (scale, what, error);
  if (tensor == NULL)
    return FALSE;
  return tensor->f[0] > 0 || refuse_input (file, node, k, "a scale, is not above 0", error);
}

/* The input where triple t begins. */
static guint
triple (const QOperator *operator, guint t)
{
  return operator->n_data == 0 ? 2 + 3 * t : 3 * t;
}

static guint
n_triples (const QOperator *operator, const OnnxNode *node)
{
  return operator->n_data == 0 ? (node->n_in - 2) / 3 : operator->n_data;
}

/* Checks how many inputs and outputs a node has, and that only a bias is left out. */
static gboolean
check_operands (const OnnxFile *file, const QOperator *operator, const OnnxNode *node,
    GError **error)
{
  if (node->n_in < operator->min_in || node->n_in > operator->max_in || node->n_out != 1
      || (operator->n_data == 0 && (node->n_in - 2) % 3 != 0))
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_FORMAT,
        ONNX_NODE_FORMAT " has %u inputs and %u outputs, which its operator does not take",
        ONNX_NODE_ARGS (node), node->n_in, node->n_out);
  for (guint k = 0; k < node->n_in; k++) {
    if (node->in[k] == ONNX_NONE && (operator->bias == 0 || k != operator->bias))
      return refuse_input (file, node, k, "is left out", error);
  }
  return node->out[0] != ONNX_NONE || yolo_onnx_bad (node, "has no output", error);
}

static gboolean
has_bias (const QOperator *operator, const OnnxNode *node)
{
  return operator->bias != 0 && operator->bias < node->n_in
      && node->in[operator->bias] != ONNX_NONE;
}

/* Whether an operator multiplies by weights and adds up. */
static gboolean
adds_products (const QOperator *operator)
{
  return operator->bias != 0 || strcmp (operator->floats, "MatMul") == 0;
}

/* The attributes of the DequantizeLinear of triple t: weights of MatMul and Gemm are [in][out],
 * unless Gemm exchanges them, those of Conv [out][in]. The scales are the outputs'. */
static const Onnx__NodeProto *
scale_axis (const QOperator *operator, const OnnxNode *node, guint t)
{
  gboolean columns = strcmp (operator->floats, "MatMul") == 0
      || (strcmp (operator->floats, "Gemm") == 0 && yolo_onnx_attr_int (node, "transB", 0) == 0);

  return t == 1 && columns ? &plain : &by_rows;
}

/* Checks that the weights of what adds up products have one scale and zero point, or one for each
 * output channel, and the bias one number. */
static gboolean
check_channels (const OnnxFile *file, const QOperator *operator, const OnnxNode *node,
    GError **error)
{
  const Onnx__TensorProto *weights = constant (file, node, 3);
  const Onnx__TensorProto *bias =
      has_bias (operator, node) ? constant (file, node, operator->bias) : NULL;
  gsize axis = scale_axis (operator, node, 1) == &plain ? 1 : 0, n;

  if (weights == NULL || weights->n_dims <= axis)
    return TRUE;
  for (guint k = 4; k <= 5; k++) {
    const Onnx__TensorProto *parameter = constant (file, node, k);
    if (parameter != NULL && !yolo_onnx_check_proto (parameter, node->name, &n, error))
      return FALSE;
    if (parameter != NULL && n != 1 && (gint64) n != weights->dims[axis])
      return refuse_input (file, node, k, "does not fit the weights", error);
  }
  if (bias == NULL)
    return TRUE;
  if (bias->data_type != ONNX_INT32)
    return refuse_input (file, node, operator->bias, "a bias, is no int32", error);
  if (!yolo_onnx_check_proto (bias, node->name, &n, error))
    return FALSE;
  return (gint64) n == weights->dims[axis]
      || refuse_input (file, node, operator->bias, "a bias, does not fit the weights", error);
}

/* Checks a node of an operator that is known. *applies: it can be expanded. */
static gboolean
check_node (const OnnxFile *file, const QOperator *operator, const OnnxNode *node,
    gboolean *applies, GError **error)
{
  gboolean known;

  *applies = is_same (file, node);
  if (!*applies)
    return TRUE;
  if (!check_operands (file, operator, node, error)
      || !check_grid (file, node, ONNX_NONE, operator->output, TRUE, &known, error))
    return FALSE;
  *applies &= known;
  for (guint t = 0; t < n_triples (operator, node); t++) {
    guint k = triple (operator, t);
    /* Only weights have more than one scale: the second triple of what adds up products. */
    gboolean whole = t != 1 || !adds_products (operator) || constant (file, node, k) == NULL;
    if (!check_grid (file, node, k, k + 1, whole, &known, error))
      return FALSE;
    *applies &= known;
  }
  if (has_bias (operator, node) && constant (file, node, operator->bias) == NULL)
    *applies = FALSE;
  return !adds_products (operator) || check_channels (file, operator, node, error);
}

/* How many operands the nodes have at most that a node becomes. A triple becomes four and an
 * input, a bias six and an input, the output four and one. */
static gsize
n_expanded (const OnnxNode *node)
{
  return 2 * (gsize) node->n_in + 12;
}

/* A value that only new nodes make and read. */
static guint
new_value (Expansion *e, const OnnxNode *node)
{
  OnnxValue value = { node->name, ONNX_NONE, NULL };

  g_array_append_val (e->file->values, value);
  return e->file->values->len - 1;
}

/* Appends a node that has its attributes from @proto and its name from @node. @inputs end before
 * the first ONNX_NONE, or with the third. */
static void
add_node (Expansion *e, const OnnxNode *node, const char *op, const Onnx__NodeProto *proto,
    const guint inputs[3], guint output)
{
  OnnxNode added = { .op = op, .name = node->name, .standard = TRUE, .n_out = 1,
    .n_attributes = (guint) proto->n_attribute, .proto = proto };

  added.in = e->operand;
  while (added.n_in < 3 && inputs[added.n_in] != ONNX_NONE)
    *e->operand++ = inputs[added.n_in++];
  added.out = e->operand;
  *e->operand++ = output;
  g_array_append_val (e->nodes, added);
}

/* Appends what a node becomes: its last node is the QuantizeLinear of its output. */
static void
expand (Expansion *e, const QOperator *operator, const OnnxNode *node)
{
  guint n = n_triples (operator, node), result, *from = node->in;
  OnnxNode floats = *node;

  /* The operator's inputs lie in front of the nodes' that make them. */
  floats.op = operator->floats;
  floats.standard = TRUE;
  floats.n_in = n + has_bias (operator, node);
  floats.in = e->operand;
  floats.out = e->operand + floats.n_in;
  e->operand = floats.out + 1;
  for (guint t = 0; t < n; t++) {
    floats.in[t] = new_value (e, node);
    add_node (e, node, "DequantizeLinear", scale_axis (operator, node, t),
        &from[triple (operator, t)], floats.in[t]);
  }
  if (has_bias (operator, node)) {
    guint scale = new_value (e, node);
    guint scales[] = { from[triple (operator, 0) + 1], from[triple (operator, 1) + 1], ONNX_NONE };
    guint bias[] = { from[operator->bias], scale, ONNX_NONE };
    floats.in[n] = new_value (e, node);
    add_node (e, node, "Mul", &plain, scales, scale);
    add_node (e, node, "DequantizeLinear", &by_rows, bias, floats.in[n]);
  }
  result = floats.out[0] = new_value (e, node);
  g_array_append_val (e->nodes, floats);
  add_node (e, node, "QuantizeLinear", &plain,
      (guint[]) { result, from[operator->output], from[operator->output + 1] }, node->out[0]);
}

static void
set_producers (OnnxFile *file)
{
  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    for (guint k = 0; k < node->n_out; k++) {
      if (node->out[k] != ONNX_NONE)
        yolo_onnx_value (file, node->out[k])->producer = i;
    }
  }
}

gboolean
yolo_onnx_expand_qoperators (OnnxFile *file, GError **error)
{
  g_autofree gboolean *applies = g_new0 (gboolean, file->nodes->len);
  Expansion e = { .file = file };
  gsize n_operands = 0;

  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    const QOperator *operator = find_operator (node);
    if (operator == NULL)
      continue;
    if (!check_node (file, operator, node, &applies[i], error))
      return FALSE;
    n_operands += applies[i] ? n_expanded (node) : 0;
  }
  if (n_operands == 0)
    return TRUE;
  /* in proportion to the operands that the file itself has, which are in memory */
  e.operand = file->expanded = g_new (guint, n_operands);
  e.nodes = g_array_new (FALSE, FALSE, sizeof (OnnxNode));
  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    if (applies[i])
      expand (&e, find_operator (node), node);
    else
      g_array_append_val (e.nodes, *node);
  }
  g_array_unref (file->nodes);
  file->nodes = e.nodes;
  set_producers (file);
  return TRUE;
}
