/* SPDX-License-Identifier: MIT */
/* Activations: operators of their own, and those that exporters write with several nodes. */

#include "network/onnx/lower.h"
#include "base/error.h"
#include "network/compose.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Exporters round such numbers as 1 / 6 to float16 in half files. */
#define TOLERANCE 1e-3

static gboolean
is_about (double number, double wanted)
{
  return fabs (number - wanted) <= TOLERANCE * fabs (wanted);
}

static gboolean
set_act (Lowered *lowered, const OnnxNode *node, YoloActivation act, float alpha, float beta,
    GError **error)
{
  guint in = yolo_lowered_value (lowered, node, 0)->layer;
  YoloOpNumbers numbers = { .act = act, .alpha = alpha, .beta = beta };

  return yolo_lowered_set_layer (lowered, node, 0,
      yolo_graph_op (lowered->graph, node->name, YOLO_OP_ACT, &in, &numbers, error));
}

/* Operators without numbers of their own. */
static gboolean
lower_plain (Lowered *lowered, const OnnxNode *node, GError **error)
{
  static const struct {
    const char *op;
    YoloActivation act;
  } plain[] = { { "HardSwish", YOLO_ACT_HARD_SWISH }, { "Mish", YOLO_ACT_MISH },
    { "Relu", YOLO_ACT_RELU }, { "Sigmoid", YOLO_ACT_SIGMOID } };
  guint i = 0;

  while (strcmp (plain[i].op, node->op) != 0)
    i++;
  return set_act (lowered, node, plain[i].act, 0, 0, error);
}

static gboolean
lower_elu (Lowered *lowered, const OnnxNode *node, GError **error)
{
  return set_act (lowered, node, YOLO_ACT_ELU, yolo_onnx_attr_float (node, "alpha", 1), 0, error);
}

static gboolean
lower_gelu (Lowered *lowered, const OnnxNode *node, GError **error)
{
  gboolean tanh = yolo_onnx_attr_is (node, "approximate", "tanh", "none");

  if (!tanh && !yolo_onnx_attr_is (node, "approximate", "none", "none"))
    return yolo_lower_refuse (node, "approximates GELU in an unknown way", error);
  return set_act (lowered, node, tanh ? YOLO_ACT_GELU_TANH : YOLO_ACT_GELU, 0, 0, error);
}

static gboolean
lower_hard_sigmoid (Lowered *lowered, const OnnxNode *node, GError **error)
{
  return set_act (lowered, node, YOLO_ACT_HARD_SIGMOID, yolo_onnx_attr_float (node, "alpha", .2f),
      yolo_onnx_attr_float (node, "beta", .5f), error);
}

static gboolean
lower_leaky_relu (Lowered *lowered, const OnnxNode *node, GError **error)
{
  return set_act (
      lowered, node, YOLO_ACT_LEAKY_RELU, yolo_onnx_attr_float (node, "alpha", .01f), 0, error);
}

/* Limits are constants, or left out: then there is none, which the standard says as the largest
 * finite number. */
static gboolean
lower_clip (Lowered *lowered, const OnnxNode *node, GError **error)
{
  float limits[2] = { -FLT_MAX, FLT_MAX };

  for (guint k = 0; k < 2; k++) {
    Tensor *tensor;

    if (!yolo_lowered_parameter (lowered, node, k + 1, &tensor, error))
      return FALSE;
    if (tensor == NULL)
      continue;
    if (tensor->is_int || tensor->n != 1)
      return yolo_onnx_bad (node, "its limits are not one number each", error);
    limits[k] = tensor->f[0];
  }
  if (limits[0] == -FLT_MAX && limits[1] == FLT_MAX)
    return yolo_lowered_set_layer (
        lowered, node, 0, yolo_lowered_value (lowered, node, 0)->layer);
  if (limits[0] == 0 && limits[1] == FLT_MAX)
    return set_act (lowered, node, YOLO_ACT_RELU, 0, 0, error);
  return set_act (lowered, node, YOLO_ACT_CLIP, limits[0], limits[1], error);
}

static gboolean
lower_prelu (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint channels = yolo_lowered_feature (lowered, node, 0)->channels;
  g_autofree float *slopes = NULL;
  Tensor *tensor;

  if (!yolo_lowered_parameter (lowered, node, 1, &tensor, error))
    return FALSE;
  if (tensor == NULL)
    return yolo_onnx_bad (node, "lacks its slope", error);
  if (!yolo_lowered_take_numbers (lowered, node, 5 * (gsize) channels, error))
    return FALSE;
  slopes = g_new (float, channels);
  return yolo_lower_channel_constant (node, tensor, channels, slopes, error)
      && yolo_lowered_set_layer (lowered, node, 0,
          yolo_compose_prelu (lowered->graph, node->name,
              yolo_lowered_value (lowered, node, 0)->layer, slopes, error));
}

/* A layer without the quantisers behind it. */
static const YoloLayer *
below (const Lowered *lowered, guint layer)
{
  const GArray *layers = lowered->graph->layers;

  return yolo_layer_at (layers, yolo_layer_at (layers, layer)->below);
}

/* Takes scale * x + shift, with the same two numbers for all channels, off a layer. Gives the layer
 * x; that is @layer itself, with 1 and 0, where it is made in another way. */
static guint
take_off_affine (const Lowered *lowered, guint layer, float *scale, float *shift)
{
  const YoloLayer *affine = below (lowered, layer);

  *scale = 1;
  *shift = 0;
  if (affine->type != YOLO_LAYER_AFFINE)
    return layer;
  for (guint c = 1; c < affine->channels; c++) {
    if (affine->scale[c] != affine->scale[0] || affine->shift[c] != affine->shift[0])
      return layer;
  }
  *scale = affine->scale[0];
  *shift = affine->shift[0];
  return affine->in[0];
}

/* Whether two layers are the same but for quantisers. */
static gboolean
is_same (const Lowered *lowered, guint a, guint b)
{
  return below (lowered, a) == below (lowered, b);
}

/* Whether @factor is *scale times the sigmoid of x, or times x / 6 + 1 / 2 cut to 0 ... 1. *act:
 * what x times that is, but for the scale. The second is written as HardSigmoid, or with Clip from
 * 0 to any limit, as PyTorch has ReLU6 (x + 3) in it. */
static gboolean
is_factor (
    const Lowered *lowered, guint factor, guint x, YoloActivation *act, float *scale)
{
  float outer[2], inner[2];
  const YoloLayer *layer =
      below (lowered, take_off_affine (lowered, factor, &outer[0], &outer[1]));
  const YoloOpNumbers *n = &layer->numbers;

  if (!yolo_layer_is (layer, YOLO_OP_ACT) || outer[1] != 0)
    return FALSE;
  *scale = outer[0];
  *act = n->act == YOLO_ACT_SIGMOID ? YOLO_ACT_SILU : YOLO_ACT_HARD_SWISH;
  if (n->act == YOLO_ACT_SIGMOID)
    return is_same (lowered, layer->in[0], x);
  if (n->act == YOLO_ACT_HARD_SIGMOID)
    return is_same (lowered, layer->in[0], x) && is_about (n->alpha, 1 / 6.)
        && is_about (n->beta, .5);
  if (n->act != YOLO_ACT_CLIP || n->alpha != 0 || !(n->beta > 0))
    return FALSE;
  *scale *= n->beta;
  return is_same (lowered, take_off_affine (lowered, layer->in[0], &inner[0], &inner[1]), x)
      && is_about (inner[0], n->beta / 6) && is_about (inner[1], n->beta / 2);
}

/* Sets a node's output to @scale * act (x). *layer: that of the activation. */
static gboolean
set_scaled (Lowered *lowered, const OnnxNode *node, guint x, YoloActivation act, float scale,
    guint *layer, GError **error)
{
  guint channels = yolo_layer_at (lowered->graph->layers, x)->channels, last;
  float *scales, *shifts;

  *layer = last = yolo_graph_act (lowered->graph, node->name, x, act, error);
  if (last == YOLO_LAYER_NONE)
    return FALSE;
  if (scale != 1) {
    if (!yolo_lowered_take_numbers (lowered, node, 2 * (gsize) channels, error))
      return FALSE;
    scales = g_new (float, channels);
    shifts = g_new0 (float, channels);
    for (guint c = 0; c < channels; c++)
      scales[c] = scale;
    last = yolo_graph_affine (lowered->graph, node->name, last, scales, shifts, error);
  }
  return yolo_lowered_set_layer (lowered, node, 0, last);
}

gboolean
yolo_lower_product (Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error)
{
  *done = FALSE;
  for (guint k = 0; k < 2; k++) {
    guint factor = yolo_lowered_value (lowered, node, k)->layer,
          x = yolo_lowered_value (lowered, node, 1 - k)->layer, layer;
    YoloActivation act;
    float scale;

    if (!is_factor (lowered, factor, x, &act, &scale))
      continue;
    *done = TRUE;
    if (!set_scaled (lowered, node, x, act, scale, &layer, error))
      return FALSE;
    /* the grid of a quantiser behind the factor; none if the factor is the sigmoid itself */
    if (scale == 1)
      yolo_layer_at (lowered->graph->layers, layer)->sigmoid_grid =
          yolo_layer_at (lowered->graph->layers, factor)->grid;
    return TRUE;
  }
  return TRUE;
}

/* Where what nodes compute of a map is compared with activations: from where they are nearly 0 to
 * where they are nearly x, closest where the two forms of GELU differ. */
static const double points[] = { -8, -4, -3, -2.5, -2, -1.5, -1, -.5, -.1, .1, .5, 1, 1.5, 2, 2.5,
  3, 4, 8 };
#define N_POINTS G_N_ELEMENTS (points)

static double
silu (double x)
{
  return x / (1 + exp (-x));
}

static double
gelu (double x)
{
  return x / 2 * (1 + erf (x * G_SQRT2 / 2));
}

/* Hendrycks and Gimpel, Gaussian Error Linear Units, 2016: the approximation. */
static double
gelu_tanh (double x)
{
  return x / 2 * (1 + tanh (sqrt (2 / G_PI) * (x + .044715 * x * x * x)));
}

/* Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019. */
static double
mish (double x)
{
  return x * tanh (log1p (exp (x)));
}

static double
softplus (double x)
{
  return log1p (exp (x));
}

static double
sigmoid (double x)
{
  return 1 / (1 + exp (-x));
}

/* An operator of which activations are written. One of the two functions is not NULL. */
typedef struct {
  const char *op;
  double (*unary) (double x);
  char binary;
} Term;

static const Term terms[] = {
  { "Add", NULL, '+' }, { "Div", NULL, '/' }, { "Erf", erf, 0 }, { "Exp", exp, 0 },
  { "Log", log, 0 }, { "Mul", NULL, '*' }, { "Pow", NULL, '^' }, { "Sigmoid", sigmoid, 0 },
  { "Softplus", softplus, 0 }, { "Sqrt", sqrt, 0 }, { "Sub", NULL, '-' }, { "Tanh", tanh, 0 },
};

static double
calculate (const Term *term, double a, double b)
{
  switch (term->binary) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/': return a / b;
    case '^': return pow (a, b);
    default: return term->unary (a);
  }
}

/* What nodes compute of one feature map, each pixel for itself. */
typedef struct {
  Lowered *lowered;
  guint x;                      /* layer: the map */
  guint left;                   /* values that may still be looked at: a file may double them */
} Formula;

/* A layer that is x, or a multiple of it plus an offset, at the points. */
static gboolean
formula_layer (const Formula *formula, guint layer, double y[N_POINTS])
{
  float scale = 1, shift = 0;

  if (!is_same (formula->lowered, layer, formula->x))
    layer = take_off_affine (formula->lowered, layer, &scale, &shift);
  for (guint i = 0; i < N_POINTS; i++)
    y[i] = scale * points[i] + shift;
  return is_same (formula->lowered, layer, formula->x);
}

/* A value at the points. FALSE: it is no formula of x. */
static gboolean
formula_value (Formula *formula, guint id, double y[N_POINTS])
{
  Lowered *lowered = formula->lowered;
  const OnnxNode *node;
  const Tensor *number;
  double in[2][N_POINTS] = { { 0 } };
  const Term *term = terms;

  if (id == ONNX_NONE || formula->left == 0)
    return FALSE;
  formula->left--;
  if (lowered->values[id].kind == VALUE_FEATURE)
    return formula_layer (formula, lowered->values[id].layer, y);
  if (lowered->values[id].kind == VALUE_CONST) {
    number = yolo_lowered_constant (lowered, id, NULL);
    for (guint i = 0; number != NULL && number->n == 1 && i < N_POINTS; i++)
      y[i] = number->is_int ? (double) number->i[0] : number->f[0];
    return number != NULL && number->n == 1;
  }
  node = yolo_onnx_producer (lowered->file, id);
  if (node == NULL || !node->standard)
    return FALSE;
  while (term < terms + G_N_ELEMENTS (terms) && strcmp (term->op, node->op) != 0)
    term++;
  if (term == terms + G_N_ELEMENTS (terms) || node->n_in != (term->binary ? 2 : 1))
    return FALSE;
  for (guint k = 0; k < node->n_in; k++)
    if (!formula_value (formula, node->in[k], in[k]))
      return FALSE;
  for (guint i = 0; i < N_POINTS; i++)
    y[i] = calculate (term, in[0][i], in[1][i]);
  return TRUE;
}

/* Whether numbers at the points are *scale times an activation, the closest one: of GELU's two
 * forms, which differ by as much as half files round, too. */
static gboolean
is_activation (const double y[N_POINTS], YoloActivation *act, float *scale)
{
  static const struct {
    YoloActivation act;
    double (*of) (double x);
  } known[] = { { YOLO_ACT_SILU, silu }, { YOLO_ACT_GELU, gelu }, { YOLO_ACT_GELU_TANH, gelu_tanh },
    { YOLO_ACT_MISH, mish } };
  double best = TOLERANCE;

  for (guint k = 0; k < G_N_ELEMENTS (known); k++) {
    double factor = y[N_POINTS - 1] / known[k].of (points[N_POINTS - 1]), error = 0;

    for (guint i = 0; i < N_POINTS; i++) {
      double off = fabs (y[i] / factor - known[k].of (points[i]));

      /* NaN, where a logarithm is not defined, is as far off as can be */
      error = off <= error ? error : isnan (off) ? INFINITY : off;
    }
    if (!(error < best) || !isfinite (factor))
      continue;
    best = error;
    *act = known[k].act;
    *scale = (float) factor;
  }
  return best < TOLERANCE;
}

gboolean
yolo_lower_tail_product (Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error)
{
  *done = FALSE;
  if (strcmp (node->op, "Mul") != 0 || !node->standard || node->n_in != 2)
    return TRUE;
  for (guint k = 0; k < 2; k++) {
    Formula formula = { .lowered = lowered };
    double y[N_POINTS];
    float scale = 1, shift;
    YoloActivation act = YOLO_ACT_NONE;
    guint layer;

    if (!yolo_lowered_is_feature (lowered, node, k))
      continue;
    layer = yolo_lowered_value (lowered, node, k)->layer;
    /* the factor is x or a multiple of it */
    for (guint t = 0; t < 2 && !*done; t++) {
      formula.x = t == 0 ? layer : take_off_affine (lowered, layer, &scale, &shift);
      formula.left = 32;
      *done = formula_value (&formula, node->out[0], y) && is_activation (y, &act, &scale);
    }
    return !*done || set_scaled (lowered, node, formula.x, act, scale, &layer, error);
  }
  return TRUE;
}

const LowerOperator yolo_lower_activation_operators[] = {
  { "Clip", lower_clip, NULL, 1, 3, FALSE },
  { "Elu", lower_elu, NULL, 1, 1, FALSE },
  { "Gelu", lower_gelu, NULL, 1, 1, FALSE },
  { "HardSigmoid", lower_hard_sigmoid, NULL, 1, 1, FALSE },
  { "HardSwish", lower_plain, NULL, 1, 1, FALSE },
  { "LeakyRelu", lower_leaky_relu, NULL, 1, 1, FALSE },
  { "Mish", lower_plain, NULL, 1, 1, FALSE },
  { "PRelu", lower_prelu, NULL, 2, 2, FALSE },
  { "Relu", lower_plain, NULL, 1, 1, FALSE },
  { "Sigmoid", lower_plain, NULL, 1, 1, FALSE },
  { NULL },
};
