/* SPDX-License-Identifier: MIT */
/* Attention in ONNX files: what is recognised, and that what is nearly attention is refused by the
 * name of the node that is not. That its numbers are right, test-reference-maps.c tests. */

#include "network/onnx/lower.h"
#include "network/plan.h"
#include "tests/network/edit.h"

/* What the files hold: operations, heads, channels of a query, areas. */
static void
test_found (void)
{
  static const struct {
    const char *file;
    guint n, heads, key, areas;
    guint copies;               /* of the half of C2PSA that attention leaves out */
  } files[] = {
    { "micro-attention.onnx", 1, 2, 3, 1, 1 },
    { "micro-attention-b3.onnx", 1, 1, 4, 1, 1 },
    { "micro-attention-dynamic.onnx", 1, 4, 1, 1, 1 },
    { "micro-attention-half.onnx", 1, 2, 3, 1, 1 },
    { "micro-attention-qdq.onnx", 1, 2, 3, 1, 1 },
    { "micro-area.onnx", 2, 2, 4, 4, 0 },
    { "micro-area-dynamic.onnx", 2, 1, 8, 4, 0 },
    { "micro-area-whole.onnx", 2, 4, 2, 1, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = data_file (files[i].file);
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloModel) model = yolo_model_load (path, &error);
    g_autoptr (YoloPlan) plan = NULL;
    guint n = 0, copies = 0;

    g_assert_no_error (error);
    plan = yolo_plan_new (
        model, 1, model->stride * 2, model->stride * 3, YOLO_F32, YOLO_F32, 3, &error);
    g_assert_no_error (error);
    for (guint k = 0; k < plan->n_ops; k++) {
      const YoloOp *op = &plan->ops[k];

      copies += op->type == YOLO_OP_COPY;
      if (op->type != YOLO_OP_ATTENTION)
        continue;
      g_assert_cmpuint (op->numbers.heads, ==, files[i].heads);
      g_assert_cmpuint (op->numbers.key, ==, files[i].key);
      g_assert_cmpuint (op->numbers.areas, ==, files[i].areas);
      n++;
    }
    g_assert_cmpuint (n, ==, files[i].n);
    /* the order of channels is the convolution's, and values are a view */
    g_assert_cmpuint (copies, ==, files[i].copies);
  }
}

/* Ultralytics' own files, where they are beside the project: each attention is found, whatever the
 * head is. */
static void
test_family (void)
{
  static const struct {
    const char *file;
    guint n;
  } files[] = {
    { "models/tiny-yolo11.onnx", 1 },
    { "models/family/tiny-yolo11-cls.onnx", 1 },
    { "models/family/tiny-yolo11-obb.onnx", 1 },
    { "models/family/tiny-yolo11-seg.onnx", 1 },
    { "models/family/tiny-yolo12.onnx", 8 },
    { "models/family/tiny-yolo26-dynamic.onnx", 2 },
    { "models/family/tiny-yolo26-e2e.onnx", 2 },
    { "models/family/tiny-yolo26-obb.onnx", 2 },
    { "models/family/tiny-yolo26-pose-e2e.onnx", 2 },
    { "models/family/tiny-yolo26-pose.onnx", 2 },
    { "models/family/tiny-yolo26-seg-e2e.onnx", 2 },
    { "models/family/tiny-yolo26.onnx", 2 },
    { "models/family/tiny-yolov10.onnx", 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = shared_file (files[i].file), *bytes = NULL;
    g_autoptr (GError) error = NULL;
    g_autoptr (OnnxFile) file = NULL;
    g_autoptr (Lowered) lowered = NULL;
    guint n = 0;
    gsize size;

    if (path == NULL) {
      g_test_skip ("no shared material");
      return;
    }
    g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
    file = yolo_onnx_file_parse (bytes, size, NULL, &error);
    g_assert_no_error (error);
    lowered = file->input_dims[2] > 0
        ? yolo_lower (file, (guint) file->input_dims[2], (guint) file->input_dims[3], &error)
        : yolo_lower (file, 256, 384, &error);
    g_assert_no_error (error);
    for (guint k = 0; k < lowered->graph->layers->len; k++)
      n += yolo_layer_is (yolo_layer_at (lowered->graph->layers, k), YOLO_OP_ATTENTION);
    g_assert_cmpuint (n, ==, files[i].n);
  }
}

/* Areas that do not divide a map are an error of the size, not of the file. */
static void
test_areas (void)
{
  Onnx__ModelProto *proto = edit_open ("micro-area.onnx");
  const Onnx__NodeProto *node = edit_node (proto, "Reshape", 1);
  gint64 *shape = (gint64 *) edit_initializer (proto, node->input[1])->raw_data.data;
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = NULL;
  YoloPlan *plan;

  /* 24 positions in 8 areas in place of 4, of both images */
  g_assert_cmpint (GINT64_FROM_LE (shape[0]), ==, 8);
  g_assert_cmpint (GINT64_FROM_LE (shape[1]), ==, 6);
  shape[0] = GINT64_TO_LE (16);
  shape[1] = GINT64_TO_LE (3);
  model = edit_load (proto, &error);
  g_assert_no_error (error);
  plan = yolo_plan_new (model, 1, 16, 16, YOLO_F32, YOLO_F32, 3, &error);
  g_assert_no_error (error);
  yolo_plan_free (plan);
  g_assert_null (yolo_plan_new (model, 1, 8, 24, YOLO_F32, YOLO_F32, 3, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
}

/* Edits, each of a file that is good before. */

static void
softmax_rows (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Softmax", 0), "axis")->i = 2;
}

static void
not_transposed (Onnx__ModelProto *proto)
{
  gint64 *perm = edit_attribute (edit_node (proto, "Transpose", 1), "perm")->ints;

  perm[2] = 2;
  perm[3] = 3;
}

static void
transposed_twice (Onnx__ModelProto *proto)
{
  gint64 *perm = edit_attribute (edit_node (proto, "Transpose", 0), "perm")->ints;

  perm[2] = 2;
  perm[3] = 3;
}

static void
added (Onnx__ModelProto *proto)
{
  const Onnx__NodeProto *split = edit_node (proto, "Split", 1);

  for (gsize i = 0; i < proto->graph->n_node; i++) {
    Onnx__NodeProto *node = proto->graph->node[i];
    if (node->n_input > 0 && strcmp (node->input[0], split->output[0]) == 0)
      edit_string (&node->op_type, "Add");
  }
}

static void
squared (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *product = edit_node (proto, "MatMul", 0);

  edit_string (&product->input[1], edit_node (proto, "Split", 1)->output[2]);
}

static void
weighs_keys (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *product = edit_node (proto, "MatMul", 1);

  edit_string (&product->input[0], edit_node (proto, "Split", 1)->output[1]);
}

static void
swapped_sides (Onnx__ModelProto *proto)
{
  const Onnx__NodeProto *node = edit_node (proto, "Reshape", 1);
  gint64 *shape = (gint64 *) edit_initializer (proto, node->input[1])->raw_data.data;
  gint64 height = shape[2];

  shape[2] = shape[3];
  shape[3] = height;
}

static void
with_relu (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node = edit_node (proto, "Reshape", 0);

  edit_add_node (proto, "Relu", "relu", (const char *[]){ node->input[0], NULL });
  edit_string (&node->input[0], "relu");
}

static void
factor_of_channels (Onnx__ModelProto *proto)
{
  static const float factors[3] = { .5f, .25f, 1 };
  static const gint64 dims[3] = { 3, 1, 1 };
  const Onnx__NodeProto *split = edit_node (proto, "Split", 1);

  edit_add_constant (proto, "factors", 1, 2, dims, factors);
  for (gsize i = 0; i < proto->graph->n_node; i++) {
    Onnx__NodeProto *node = proto->graph->node[i];
    if (node->n_input > 1 && strcmp (node->input[0], split->output[0]) == 0)
      edit_string (&node->input[1], "factors");
  }
}

/* Products of keys and queries, whose softmax then is over queries. */
static void
over_queries (Onnx__ModelProto *proto)
{
  const Onnx__NodeProto *split = edit_node (proto, "Split", 1);
  Onnx__NodeProto *transpose = edit_node (proto, "Transpose", 0),
                  *product = edit_node (proto, "MatMul", 0);

  edit_string (&product->input[1], transpose->input[0]);
  edit_string (&transpose->input[0], split->output[1]);
}

/* Queries of area a and head h, and keys of area h and head a. */
static void
other_heads (Onnx__ModelProto *proto)
{
  gint64 *perm = edit_attribute (edit_node (proto, "Transpose", 2), "perm")->ints;

  g_assert_cmpint (perm[3], ==, 2);
  perm[0] = 1;
  perm[1] = 0;
}

static void
interleaved (Onnx__ModelProto *proto)
{
  /* [areas][count] of positions that were counted the other way round */
  gint64 *perm = edit_attribute (edit_node (proto, "Transpose", 1), "perm")->ints;
  const Onnx__NodeProto *node = edit_node (proto, "Reshape", 1);
  gint64 *shape = (gint64 *) edit_initializer (proto, node->input[1])->raw_data.data;

  g_assert_cmpint (perm[0], ==, 0);
  shape[0] = GINT64_TO_LE (12);
  shape[1] = GINT64_TO_LE (4);
  perm[0] = 1;
  perm[3] = 0;
}

static const struct {
  const char *name, *file;
  void (*edit) (Onnx__ModelProto *proto);
  const char *says[2];
} edits[] = {
  { "softmax-rows", "micro-attention.onnx", softmax_rows, { "(Softmax)", "than attention" } },
  { "not-transposed", "micro-attention.onnx", not_transposed, { "(MatMul)", "than attention" } },
  { "transposed-twice", "micro-attention.onnx", transposed_twice, { "(MatMul)" } },
  { "added", "micro-attention.onnx", added, { "(Add)", "than attention" } },
  { "squared", "micro-attention.onnx", squared, { "(MatMul)", "than attention" } },
  { "weighs-keys", "micro-attention.onnx", weighs_keys, { "(MatMul)", "than attention" } },
  { "swapped-sides", "micro-attention.onnx", swapped_sides, { "(Conv)", "than attention" } },
  { "with-relu", "micro-attention.onnx", with_relu, { "without groups or activation" } },
  { "factor-of-channels", "micro-attention.onnx", factor_of_channels, { "(Mul)" } },
  { "over-queries", "micro-attention.onnx", over_queries, { "(Softmax)", "than attention" } },
  { "other-heads", "micro-area.onnx", other_heads, { "(MatMul)", "than attention" } },
  { "interleaved", "micro-area.onnx", interleaved, { "(MatMul)", "than attention" } },
};

static void
test_edit (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Onnx__ModelProto *proto = edit_open (edits[i].file);
  g_autoptr (GError) error = NULL;

  edits[i].edit (proto);
  g_assert_null (edit_load (proto, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
  for (guint k = 0; k < 2 && edits[i].says[k] != NULL; k++)
    g_assert_nonnull (strstr (error->message, edits[i].says[k]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/attention/found", test_found);
  g_test_add_func ("/network/attention/family", test_family);
  g_test_add_func ("/network/attention/areas", test_areas);
  for (guint i = 0; i < G_N_ELEMENTS (edits); i++) {
    g_autofree char *path = g_strconcat ("/network/attention/refused/", edits[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_edit);
  }
  return g_test_run ();
}
