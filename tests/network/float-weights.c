/* SPDX-License-Identifier: MIT */
/* Files whose weights are floats behind quantisers of their own, changed in one place: they are
 * read as 8-bit files, or refused by an error that names the node. That they compute what ONNX
 * Runtime does is held by test-reference-maps.c. */

#include "edit.h"
#include "network/int8.h"

#include <math.h>

#define FILE_NAME "micro-qdq-floats.onnx"       /* int8, a scale for each channel */
#define WHOLE_FILE_NAME "micro-qdq-floats-u8.onnx"      /* one scale */

enum { FLOAT = 1, INT8 = 3, INT16 = 5 };

typedef enum {
  AS_IT_IS,
  SCALE,                        /* the first one becomes the value */
  OTHER_SCALE,                  /* DequantizeLinear has another constant than QuantizeLinear */
  SHORT_SCALE,                  /* it loses its last number */
  ZERO,                         /* the first zero point becomes the value */
  AXIS,                         /* of QuantizeLinear */
  AXES,                         /* of both */
  TYPE,                         /* the zero points become int16 */
} Change;

typedef struct {
  const char *name, *file;
  Change change;
  float value;
  const char *says;             /* in the error; NULL: it is read */
} Case;

static const Case cases[] = {
  { "channels", FILE_NAME, AS_IT_IS, 0, NULL },
  { "whole", WHOLE_FILE_NAME, AS_IT_IS, 0, NULL },
  { "scale-0", FILE_NAME, SCALE, 0, "its scale is not above 0" },
  { "scale-below-0", WHOLE_FILE_NAME, SCALE, -1, "its scale is not above 0" },
  { "scale-nan", FILE_NAME, SCALE, NAN, "NaN" },
  { "scale-infinite", FILE_NAME, SCALE, INFINITY, "infinity" },
  /* The weights are rounded to 0. */
  { "scale-large", FILE_NAME, SCALE, 1e30f, NULL },
  { "scale-small", FILE_NAME, SCALE, 1e-30f, NULL },
  { "scale-other", FILE_NAME, OTHER_SCALE, 0, "dequantises with another scale" },
  { "scale-short", FILE_NAME, SHORT_SCALE, 0, "its scale or zero point has the wrong" },
  { "zero-beyond", FILE_NAME, ZERO, 300, "its zero point is none that its type has" },
  { "zero-below", FILE_NAME, ZERO, -129, "its zero point is none that its type has" },
  { "zero-other", FILE_NAME, ZERO, 5, NULL },
  { "axis", FILE_NAME, AXIS, 1, "dequantises with another scale" },
  { "axes", FILE_NAME, AXES, 2, "its scale has the wrong length" },
  { "axes-beyond", FILE_NAME, AXES, 4, "axis" },
  /* Of 16 bits: what is quantised so stays in floats. */
  { "int16", FILE_NAME, TYPE, 0, NULL },
};

/* The first QuantizeLinear whose input is a constant, and the DequantizeLinear behind it. */
static void
find_nodes (const Onnx__ModelProto *proto, Onnx__NodeProto **quantizer, Onnx__NodeProto **back)
{
  const Onnx__GraphProto *graph = proto->graph;

  for (gsize i = 0; i + 1 < graph->n_node; i++) {
    for (gsize k = 0; k < graph->n_initializer; k++) {
      if (strcmp (graph->node[i]->op_type, "QuantizeLinear") == 0
          && strcmp (graph->node[i]->input[0], graph->initializer[k]->name) == 0) {
        *quantizer = graph->node[i];
        *back = graph->node[i + 1];
        g_assert_cmpstr ((*back)->op_type, ==, "DequantizeLinear");
        return;
      }
    }
  }
  g_assert_not_reached ();
}

/* Makes a constant of n numbers, held in fields of their own, which take any: the first one, and
 * others. */
static void
fill (Onnx__TensorProto *tensor, gint32 type, gsize n, float first, float rest)
{
  free (tensor->raw_data.data);
  tensor->has_raw_data = FALSE;
  tensor->raw_data = (ProtobufCBinaryData) { 0 };
  free (tensor->float_data);
  free (tensor->int32_data);
  tensor->n_float_data = type == FLOAT ? n : 0;
  tensor->n_int32_data = type == FLOAT ? 0 : n;
  tensor->float_data = calloc (n, sizeof (float));
  tensor->int32_data = calloc (n, sizeof (gint32));
  tensor->data_type = type;
  tensor->dims[0] = (gint64) n;
  for (gsize i = 0; i < n; i++) {
    tensor->float_data[i] = i == 0 ? first : rest;
    tensor->int32_data[i] = (gint32) tensor->float_data[i];
  }
}

static void
change (const Case *c, Onnx__ModelProto *proto)
{
  Onnx__NodeProto *quantizer, *back;
  Onnx__TensorProto *scale, *zero;
  float other = 1;

  find_nodes (proto, &quantizer, &back);
  scale = edit_initializer (proto, quantizer->input[1]);
  zero = edit_initializer (proto, quantizer->input[2]);
  switch (c->change) {
    case AS_IT_IS:
      break;
    case SCALE:
      if (scale->n_dims == 0)
        scale->dims = calloc (scale->n_dims = 1, sizeof (gint64));
      fill (scale, FLOAT, scale->dims[0] > 0 ? (gsize) scale->dims[0] : 1, c->value, .0625f);
      break;
    case OTHER_SCALE:
      edit_add_constant (proto, "other", FLOAT, 0, NULL, &other);
      edit_string (&back->input[1], "other");
      break;
    case SHORT_SCALE:
      fill (scale, FLOAT, (gsize) scale->dims[0] - 1, .0625f, .0625f);
      break;
    case ZERO:
      fill (zero, INT8, (gsize) zero->dims[0], c->value, 0);
      break;
    case AXES:
      edit_attribute (back, "axis")->i = (gint64) c->value;
      edit_attribute (quantizer, "axis")->i = (gint64) c->value;
      break;
    case AXIS:
      edit_attribute (quantizer, "axis")->i = (gint64) c->value;
      break;
    case TYPE:
      fill (zero, INT16, (gsize) zero->dims[0], 0, 0);
      break;
  }
}

/* Whether each weight of a convolution is a whole number of steps, 8 bits wide. */
static gboolean
is_whole (const YoloConv *conv)
{
  gsize n = (gsize) conv->in_channels / conv->groups * conv->kernel[0] * conv->kernel[1];

  for (gsize i = 0; i < n * conv->out_channels; i++) {
    float q = conv->weights[i] / conv->weight_scale[i / n];
    if (fabsf (q - rintf (q)) > 1e-3f || fabsf (q) > 128.001f)
      return FALSE;
  }
  return TRUE;
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  Onnx__ModelProto *proto = edit_open (c->file);
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = NULL;
  guint n_whole = 0;

  change (c, proto);
  model = edit_load (proto, &error);
  if (c->says != NULL) {
    g_assert_null (model);
    g_assert_nonnull (error);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, c->says));
    return;
  }
  g_assert_no_error (error);
  g_assert_true (model->quantized);
  for (guint i = 0; i < yolo_model_n_layers (model); i++) {
    const YoloConv *conv = yolo_model_layer (model, i).conv;
    if (conv == NULL || conv->weight_scale == NULL)
      continue;
    g_assert_true (is_whole (conv));
    n_whole++;
  }
  g_assert_cmpuint (n_whole, >=, model->n_convs - 1);
  if (c->change == AS_IT_IS)
    g_assert_cmpuint (n_whole, ==, model->n_convs);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/network/float-weights/%s", cases[i].name);
    g_test_add_data_func (path, &cases[i], test_case);
  }
  return g_test_run ();
}
