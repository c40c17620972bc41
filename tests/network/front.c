/* SPDX-License-Identifier: MIT */
/* What a file does with its input before the first convolution. That it is computed as the
 * file says is tested in test-reference-maps.c; here is what is refused, and what it
 * costs. */

#include "tests/network/edit.h"

/* Lets all but the added node read what the added node makes of the input. */
static void
insert (Onnx__ModelProto *proto, const char *op, const char *name, const char *constant)
{
  const char *inputs[] = { "images", constant, NULL };
  Onnx__NodeProto *added = edit_add_node (proto, op, name, inputs);

  for (gsize i = 0; i < proto->graph->n_node; i++) {
    for (gsize k = 0; proto->graph->node[i] != added && k < proto->graph->node[i]->n_input; k++) {
      if (strcmp (proto->graph->node[i]->input[k], "images") == 0)
        edit_string (&proto->graph->node[i]->input[k], name);
    }
  }
}

static void
insert_number (Onnx__ModelProto *proto, const char *op, float number)
{
  edit_add_constant (proto, "number", 1, 0, NULL, &number);
  insert (proto, op, "front", "number");
}

static Onnx__TypeProto__Tensor *
input_type (Onnx__ModelProto *proto)
{
  return proto->graph->input[0]->type->tensor_type;
}

static void
quarter (Onnx__ModelProto *proto)
{
  insert_number (proto, "Mul", .25f);
}

static void
zero (Onnx__ModelProto *proto)
{
  insert_number (proto, "Mul", 0);
}

static void
by_zero (Onnx__ModelProto *proto)
{
  insert_number (proto, "Div", 0);
}

static void
not_affine (Onnx__ModelProto *proto)
{
  insert (proto, "Mul", "front", "images");
}

static void
other_order (Onnx__ModelProto *proto)
{
  gint64 order[3] = { GINT64_TO_LE (1), GINT64_TO_LE (2), GINT64_TO_LE (0) };
  Onnx__NodeProto *node;

  edit_add_constant (proto, "order", 7, 1, (gint64[]) { 3 }, order);
  insert (proto, "Gather", "front", "order");
  node = proto->graph->node[proto->graph->n_node - 1];
  node->attribute = malloc (sizeof (void *));
  node->n_attribute = 1;
  node->attribute[0] = malloc (sizeof (Onnx__AttributeProto));
  onnx__attribute_proto__init (node->attribute[0]);
  node->attribute[0]->name = strdup ("axis");
  node->attribute[0]->has_type = node->attribute[0]->has_i = TRUE;
  node->attribute[0]->type = 2;   /* ATTR_INT */
  node->attribute[0]->i = 1;
}

static void
transposed (Onnx__ModelProto *proto)
{
  insert (proto, "Transpose", "front", NULL);
}

static void
not_cast (Onnx__ModelProto *proto)
{
  input_type (proto)->elem_type = 2;
}

static void
rooted (Onnx__ModelProto *proto)
{
  insert (proto, "Tan", "front", NULL);
}

static void
of_doubles (Onnx__ModelProto *proto)
{
  input_type (proto)->elem_type = 11;
}

/* Takes off a mean for each pixel of the input, which is not one number a channel. */
static void
mean_image (Onnx__ModelProto *proto)
{
  float mean[16 * 24] = { 0 };

  edit_add_constant (proto, "mean", 1, 2, (gint64[]) { 16, 24 }, mean);
  insert (proto, "Sub", "front", "mean");
}

static const struct {
  const char *name;
  void (*edit) (Onnx__ModelProto *proto);
  const char *says[2];
} edits[] = {
  { "quarter", quarter, { "'front'", "0 to 1 or 0 to 255" } },
  { "zero", zero, { "'front'", "neither" } },
  { "by-zero", by_zero, { "'front' (Div)", "no scale and offset" } },
  { "not-affine", not_affine, { "'front' (Mul)", "no scale and offset" } },
  { "other-order", other_order, { "'front'", "neither" } },
  { "transposed", transposed, { "(Conv)", "[N, channels" } },
  { "not-cast", not_cast, { "(Conv)", "cast" } },
  { "rooted", rooted, { "'front' (Tan)", NULL } },
  { "of-doubles", of_doubles, { "float64 (double)", "uint8" } },
  { "mean-image", mean_image, { "'front' (Sub)", NULL } },
};

static void
test_edit (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Onnx__ModelProto *proto = edit_open ("micro.onnx");
  g_autoptr (GError) error = NULL;

  edits[i].edit (proto);
  g_assert_null (edit_load (proto, &error));
  g_test_message ("%s", error->message);
  for (guint k = 0; k < 2 && edits[i].says[k] != NULL; k++)
    g_assert_nonnull (strstr (error->message, edits[i].says[k]));
}

/* A file that is only divided or reversed costs no more than one that is not. */
static void
test_folded (void)
{
  static const struct {
    const char *file;
    guint more;                 /* how many convolutions there are beside micro.onnx's */
  } files[] = { { "micro-front-div.onnx", 0 }, { "micro-front-half.onnx", 0 },
    { "micro-front-last.onnx", 1 } };
  g_autofree char *plain_path = data_file ("micro.onnx");
  g_autoptr (YoloModel) plain = yolo_model_load (plain_path, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = data_file (files[i].file);
    g_autoptr (YoloModel) model = yolo_model_load (path, NULL);

    g_assert_nonnull (model);
    g_assert_cmpuint (model->n_convs, ==, plain->n_convs + files[i].more);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (edits); i++) {
    g_autofree char *path = g_strconcat ("/network/front/", edits[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_edit);
  }
  g_test_add_func ("/network/front/folded", test_folded);
  return g_test_run ();
}
