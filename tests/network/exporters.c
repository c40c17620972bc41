/* SPDX-License-Identifier: MIT */
/* The tails that other exporters leave behind the maps of a network, built onto a small one:
 * each is read as the file is without it, or refused where it computes something else. */

#include "network/private.h"
#include "tests/network/edit.h"

#define INT64 7
#define FLOAT 1

static void
add_int64 (Onnx__ModelProto *proto, const char *name, gsize n, const gint64 *values)
{
  gint64 bytes[4];
  gint64 dims[1] = { (gint64) n };

  for (gsize i = 0; i < n; i++)
    bytes[i] = GINT64_TO_LE (values[i]);
  edit_add_constant (proto, name, INT64, 1, dims, bytes);
}

static void
set_outputs (Onnx__ModelProto *proto, const char *const *names)
{
  Onnx__GraphProto *graph = proto->graph;

  for (gsize k = 0; k < graph->n_output; k++)
    onnx__value_info_proto__free_unpacked (graph->output[k], NULL);
  graph->n_output = 0;
  for (gsize k = 0; names[k] != NULL; k++) {
    Onnx__ValueInfoProto *info = malloc (sizeof *info);
    onnx__value_info_proto__init (info);
    info->name = strdup (names[k]);
    graph->output = realloc (graph->output, (k + 1) * sizeof (void *));
    graph->output[graph->n_output++] = info;
  }
}

static Onnx__NodeProto *
add (Onnx__ModelProto *proto, const char *op, const char *name, const char *a, const char *b)
{
  return edit_add_node (proto, op, name, (const char *[]) { a, b, NULL });
}

static void
add_perm (Onnx__NodeProto *node, gint64 a, gint64 b, gint64 c)
{
  edit_add_ints (node, "perm", 3, 0);
  gint64 *ints = edit_attribute (node, "perm")->ints;
  ints[0] = a;
  ints[1] = b;
  ints[2] = c;
}

/* Features [begin, end) of the last dimension. */
static void
add_slice (Onnx__ModelProto *proto, const char *name, const char *in, gint64 begin, gint64 end)
{
  g_autofree char *first = g_strconcat (name, ".begin", NULL);
  g_autofree char *last = g_strconcat (name, ".end", NULL);
  g_autofree char *axis = g_strconcat (name, ".axis", NULL);

  add_int64 (proto, first, 1, &begin);
  add_int64 (proto, last, 1, &end);
  add_int64 (proto, axis, 1, (gint64[]) { 2 });
  edit_add_node (proto, "Slice", name, (const char *[]) { in, first, last, axis, NULL });
}

/* [1][boxes][4 + classes], as `rows`. */
static void
add_rows (Onnx__ModelProto *proto)
{
  add_perm (add (proto, "Transpose", "rows", proto->graph->output[0]->name, NULL), 0, 2, 1);
}

static void
transposed (Onnx__ModelProto *proto)
{
  add_rows (proto);
  set_outputs (proto, (const char *[]) { "rows", NULL });
}

static void
add_boxes_and_scores (Onnx__ModelProto *proto)
{
  add_rows (proto);
  add_slice (proto, "boxes", "rows", 0, 4);
  add_slice (proto, "scores", "rows", 4, G_MAXINT32);
}

static void
boxes_and_scores (Onnx__ModelProto *proto)
{
  add_boxes_and_scores (proto);
  set_outputs (proto, (const char *[]) { "boxes", "scores", NULL });
}

/* Scores first, one tensor the other way round. */
static void
scores_and_boxes (Onnx__ModelProto *proto)
{
  add_boxes_and_scores (proto);
  add_perm (add (proto, "Transpose", "turned", "scores", NULL), 0, 2, 1);
  set_outputs (proto, (const char *[]) { "turned", "boxes", NULL });
}

/* Each box's best class: `best` [1][boxes][1] and `class` likewise. */
static void
add_best_class (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node;

  add_boxes_and_scores (proto);
  add_int64 (proto, "last", 1, (gint64[]) { -1 });
  add (proto, "ReduceMax", "best", "scores", "last");
  node = add (proto, "ArgMax", "index", "scores", NULL);
  edit_add_int (node, "axis", -1);
  edit_add_int (node, "keepdims", 1);
  edit_add_int (add (proto, "Cast", "class", "index", NULL), "to", FLOAT);
}

/* DeepStream-Yolo's older files: boxes by centre and size, scores, classes. */
static void
three_outputs (Onnx__ModelProto *proto)
{
  add_best_class (proto);
  set_outputs (proto, (const char *[]) { "boxes", "best", "class", NULL });
}

/* The same with classes as integers. */
static void
integer_classes (Onnx__ModelProto *proto)
{
  add_best_class (proto);
  set_outputs (proto, (const char *[]) { "boxes", "best", "index", NULL });
}

/* The best class by a TopK of 1. */
static void
best_by_top_k (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node;

  add_boxes_and_scores (proto);
  add_int64 (proto, "one", 1, (gint64[]) { 1 });
  node = add (proto, "TopK", "best", "scores", "one");
  edit_add_int (node, "axis", 2);
  node->output = realloc (node->output, 2 * sizeof (char *));
  node->output[node->n_output++] = strdup ("index");
  edit_add_int (add (proto, "Cast", "class", "index", NULL), "to", FLOAT);
  set_outputs (proto, (const char *[]) { "boxes", "best", "class", NULL });
}

/* DeepStream-Yolo's newer files: [boxes][6], corners by a product with a matrix. */
static void
six_numbers (Onnx__ModelProto *proto)
{
  static const float corners[16] = { 1, 0, 1, 0, 0, 1, 0, 1, -.5f, 0, .5f, 0, 0, -.5f, 0, .5f };
  Onnx__NodeProto *node;

  add_best_class (proto);
  edit_add_constant (proto, "matrix", FLOAT, 2, (gint64[]) { 4, 4 }, corners);
  add (proto, "MatMul", "corners", "boxes", "matrix");
  node = edit_add_node (
      proto, "Concat", "six", (const char *[]) { "corners", "best", "class", NULL });
  edit_add_int (node, "axis", -1);
  set_outputs (proto, (const char *[]) { "six", NULL });
}

static void
add_plugin (Onnx__ModelProto *proto, const char *op)
{
  Onnx__NodeProto *node = add (proto, op, "num_dets", "boxes", "scores");

  node->domain = strdup ("TRT");
  node->output = realloc (node->output, 4 * sizeof (char *));
  node->output[node->n_output++] = strdup ("det_boxes");
  node->output[node->n_output++] = strdup ("det_scores");
  node->output[node->n_output++] = strdup ("det_classes");
  set_outputs (proto,
      (const char *[]) { "num_dets", "det_boxes", "det_scores", "det_classes", NULL });
}

static void
efficient_nms (Onnx__ModelProto *proto)
{
  add_boxes_and_scores (proto);
  add_plugin (proto, "EfficientNMS_TRT");
}

/* [1][boxes][1][4] */
static void
batched_nms (Onnx__ModelProto *proto)
{
  add_boxes_and_scores (proto);
  add_int64 (proto, "two", 1, (gint64[]) { 2 });
  add (proto, "Unsqueeze", "apart", "boxes", "two");
  add_plugin (proto, "BatchedNMSDynamic_TRT");
  edit_string (&edit_node (proto, "BatchedNMSDynamic_TRT", 0)->input[0], "apart");
}

/* The plugin makes scores of logits: the sigmoid in front of it is not there. */
static void
efficient_nms_logits (Onnx__ModelProto *proto)
{
  add_boxes_and_scores (proto);
  add_plugin (proto, "EfficientNMS_TRT");
  edit_add_int (edit_node (proto, "EfficientNMS_TRT", 0), "score_activation", 1);
  edit_string (&edit_node (proto, "Sigmoid", -1)->op_type, "Identity");
}

/* The convolutions whose maps the tail begins with. */
static void
raw_maps (Onnx__ModelProto *proto)
{
  const Onnx__GraphProto *graph = proto->graph;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  for (gsize i = 0; i < graph->n_node; i++) {
    const Onnx__NodeProto *conv = graph->node[i];
    gboolean reshaped = FALSE;

    if (strcmp (conv->op_type, "Conv") != 0
        || edit_initializer (proto, conv->input[1])->dims[0] == 1)
      continue;                 /* the mean of a distribution has one channel */
    for (gsize k = 0; k < graph->n_node; k++)
      reshaped |= strcmp (graph->node[k]->op_type, "Reshape") == 0
          && strcmp (graph->node[k]->input[0], conv->output[0]) == 0;
    if (reshaped)
      g_ptr_array_add (names, g_strdup (conv->output[0]));
  }
  g_ptr_array_add (names, NULL);
  set_outputs (proto, (const char *const *) names->pdata);
}

static void
raw_end_to_end (Onnx__ModelProto *proto)
{
  raw_maps (proto);
  edit_metadata (proto, "end2end", "True");
}

/* One output a level, boxes and classes joined. */
static void
joined_maps (Onnx__ModelProto *proto)
{
  edit_add_int (add (proto, "Concat", "large", "c48", "c55"), "axis", 1);
  edit_add_int (add (proto, "Concat", "small", "c62", "c69"), "axis", 1);
  set_outputs (proto, (const char *[]) { "large", "small", NULL });
}

/* RKNN's nine outputs, here six: confidences, and their sum beside them. */
static void
npu_maps (Onnx__ModelProto *proto)
{
  add (proto, "Sigmoid", "large", "c55", NULL);
  add (proto, "Sigmoid", "small", "c69", NULL);
  add_int64 (proto, "channels", 1, (gint64[]) { 1 });
  add (proto, "ReduceSum", "large-sum", "large", "channels");
  add (proto, "ReduceSum", "small-sum", "small", "channels");
  set_outputs (proto, (const char *[]) { "large-sum", "c48", "large", "small-sum", "c62", "small",
      NULL });
}

static void
halve (Onnx__ModelProto *proto, Onnx__NodeProto *reader, gsize input)
{
  float half = .5f;

  edit_add_constant (proto, "half", FLOAT, 0, NULL, &half);
  add (proto, "Mul", "halved", reader->input[input], "half");
  edit_string (&reader->input[input], "halved");
}

static void
halved_boxes (Onnx__ModelProto *proto)
{
  boxes_and_scores (proto);
  halve (proto, edit_node (proto, "Slice", -2), 0);
}

static void
halved_scores (Onnx__ModelProto *proto)
{
  three_outputs (proto);
  halve (proto, edit_node (proto, "ReduceMax", -1), 0);
}

static void
halved_before_plugin (Onnx__ModelProto *proto)
{
  efficient_nms (proto);
  halve (proto, edit_node (proto, "EfficientNMS_TRT", 0), 1);
}

static void
logits_before_plugin (Onnx__ModelProto *proto)
{
  efficient_nms (proto);
  edit_string (&edit_node (proto, "Sigmoid", -1)->op_type, "Identity");
}

static void
exchanged_classes (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *node;

  boxes_and_scores (proto);
  add_int64 (proto, "exchanged", 2, (gint64[]) { 1, 0 });
  node = add (proto, "Gather", "gathered", "scores", "exchanged");
  edit_add_int (node, "axis", 2);
  set_outputs (proto, (const char *[]) { "boxes", "gathered", NULL });
}

static void
wrong_matrix (Onnx__ModelProto *proto)
{
  float *matrix;

  six_numbers (proto);
  matrix = (float *) edit_initializer (proto, "matrix")->raw_data.data;
  matrix[8] = -1;
}

/* The index of the class begins at 1. */
static void
class_from_one (Onnx__ModelProto *proto)
{
  float one = 1;

  three_outputs (proto);
  edit_add_constant (proto, "unit", FLOAT, 0, NULL, &one);
  add (proto, "Add", "class-from-one", "class", "unit");
  set_outputs (proto, (const char *[]) { "boxes", "best", "class-from-one", NULL });
}

static void
boxes_alone (Onnx__ModelProto *proto)
{
  add_boxes_and_scores (proto);
  set_outputs (proto, (const char *[]) { "boxes", "boxes", NULL });
}

static void
four_outputs (Onnx__ModelProto *proto)
{
  three_outputs (proto);
  set_outputs (proto, (const char *[]) { "boxes", "best", "class", "scores", NULL });
}

/* A map at each level that is neither boxes nor classes. */
static void
third_maps (Onnx__ModelProto *proto)
{
  set_outputs (
      proto, (const char *[]) { "c48", "c55", "m47", "c62", "c69", "m61", NULL });
}

static void
maps_and_decode (Onnx__ModelProto *proto)
{
  const char *decode = proto->graph->output[0]->name;
  g_autofree char *name = g_strdup (decode);

  set_outputs (proto, (const char *[]) { "c48", "c55", "c62", "c69", name, NULL });
}

static void
more_than_plugin (Onnx__ModelProto *proto)
{
  efficient_nms (proto);
  set_outputs (proto, (const char *[]) { "num_dets", "det_boxes", "scores", NULL });
}

/* Takes out the nodes from each Reshape on. */
static void
cut_tail (Onnx__ModelProto *proto)
{
  Onnx__GraphProto *graph = proto->graph;
  g_autoptr (GHashTable) cut = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gsize kept = 0;

  for (gsize i = 0; i < graph->n_node; i++) {
    Onnx__NodeProto *node = graph->node[i];
    gboolean tail = strcmp (node->op_type, "Reshape") == 0;

    for (gsize k = 0; k < node->n_input; k++)
      tail = tail || g_hash_table_contains (cut, node->input[k]);
    if (tail) {
      g_hash_table_add (cut, g_strdup (node->output[0]));
      onnx__node_proto__free_unpacked (node, NULL);
    } else {
      graph->node[kept++] = node;
    }
  }
  graph->n_node = kept;
}

/* Nothing but the channels, 64 and 80, tells what is what: no names, and at the first level
 * the classes come first. */
static void
unnamed_maps (Onnx__ModelProto *proto)
{
  Onnx__GraphProto *graph = proto->graph;
  gsize i = 0;

  raw_maps (proto);
  cut_tail (proto);
  edit_metadata (proto, "names", NULL);
  while (graph->node[i]->n_input < 2
      || strcmp (graph->node[i]->op_type, "Conv") != 0
      || edit_initializer (proto, graph->node[i]->input[1])->dims[0] != 64)
    i++;
  for (Onnx__NodeProto *box = graph->node[i]; i < graph->n_node; i++)
    graph->node[i] = i + 1 < graph->n_node ? graph->node[i + 1] : box;
}

/* A level lacks its classes. */
static void
missing_map (Onnx__ModelProto *proto)
{
  set_outputs (proto, (const char *[]) { "c48", "c55", "c62", NULL });
}

/* The file names three classes, and no map of a level has three channels. */
static void
other_classes (Onnx__ModelProto *proto)
{
  raw_maps (proto);
  edit_metadata (proto, "names", "{0: 'a', 1: 'b', 2: 'c'}");
}

static void
unknown_plugin (Onnx__ModelProto *proto)
{
  efficient_nms (proto);
  edit_string (&edit_node (proto, "EfficientNMS_TRT", 0)->op_type, "MyOwnNMS");
}

static const struct {
  const char *name;
  void (*edit) (Onnx__ModelProto *proto);
  const char *says;             /* in the error; NULL: the file loads */
  const char *file;             /* NULL: micro.onnx */
  gboolean end_to_end;
} cases[] = {
  { "transposed", transposed, NULL, NULL, FALSE },
  { "boxes-and-scores", boxes_and_scores, NULL, NULL, FALSE },
  { "scores-and-boxes", scores_and_boxes, NULL, NULL, FALSE },
  { "three-outputs", three_outputs, NULL, NULL, FALSE },
  { "integer-classes", integer_classes, NULL, NULL, FALSE },
  { "best-by-top-k", best_by_top_k, NULL, NULL, FALSE },
  { "six-numbers", six_numbers, NULL, NULL, FALSE },
  { "efficient-nms", efficient_nms, NULL, NULL, FALSE },
  { "efficient-nms-logits", efficient_nms_logits, NULL, NULL, FALSE },
  { "batched-nms", batched_nms, NULL, NULL, FALSE },
  { "three-outputs-of-batch", three_outputs, NULL, "v8n-b4.onnx", FALSE },
  { "raw-maps", raw_maps, NULL, NULL, FALSE },
  { "raw-end-to-end", raw_end_to_end, NULL, NULL, TRUE },
  { "unnamed-maps", unnamed_maps, NULL, "v8x-opset20.onnx", FALSE },
  { "joined-maps", joined_maps, NULL, NULL, FALSE },
  { "npu-maps", npu_maps, NULL, NULL, FALSE },

  { "halved-boxes", halved_boxes, "node 'halved' (Mul)", NULL, FALSE },
  { "halved-scores", halved_scores, "node 'halved' (Mul)", NULL, FALSE },
  { "halved-before-plugin", halved_before_plugin, "node 'halved' (Mul)", NULL, FALSE },
  { "logits-before-plugin", logits_before_plugin, "several outputs", NULL, FALSE },
  { "exchanged-classes", exchanged_classes, "several outputs", NULL, FALSE },
  { "wrong-matrix", wrong_matrix, "does not compute", NULL, FALSE },
  { "class-from-one", class_from_one, "'class-from-one' (Add)", NULL, FALSE },
  { "boxes-alone", boxes_alone, "several outputs", NULL, FALSE },
  { "four-outputs", four_outputs, "several outputs", NULL, FALSE },
  { "missing-map", missing_map, "at each of several scales", NULL, FALSE },
  { "other-classes", other_classes, "at each of several scales", NULL, FALSE },
  { "third-maps", third_maps, "at each of several scales", NULL, FALSE },
  { "maps-and-decode", maps_and_decode, "several outputs", NULL, FALSE },
  { "more-than-plugin", more_than_plugin, "'num_dets' (EfficientNMS_TRT)", NULL, FALSE },
  { "unknown-plugin", unknown_plugin, "'num_dets' (MyOwnNMS)", NULL, FALSE },
};

/* Layers are told by their names: numbers may differ where a file has more of them. */
static const char *
map_name (YoloModel *model, guint k)
{
  return yolo_layer_at (((Model *) model)->layers, model->outputs[k].layer)->name;
}

static void
test_case (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  const char *file = cases[i].file != NULL ? cases[i].file : "micro.onnx";
  Onnx__ModelProto *proto = edit_open (file);
  g_autoptr (YoloModel) plain = edit_load (edit_open (file), NULL);
  g_autoptr (YoloModel) model = NULL;
  g_autoptr (GError) error = NULL;

  cases[i].edit (proto);
  model = edit_load (proto, &error);
  if (cases[i].says != NULL) {
    g_assert_null (model);
    g_test_message ("%s", error->message);
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
    g_assert_nonnull (strstr (error->message, cases[i].says));
    return;
  }
  g_assert_no_error (error);
  g_assert_cmpstr (model->task, ==, plain->task);
  g_assert_cmpuint (model->n_classes, ==, plain->n_classes);
  g_assert_cmpuint (model->reg_max, ==, plain->reg_max);
  g_assert_cmpint (model->form.end_to_end, ==, cases[i].end_to_end);
  g_assert_cmpuint (model->n_outputs, ==, plain->n_outputs);
  for (guint k = 0; k < model->n_outputs; k++) {
    g_assert_cmpint (model->outputs[k].role, ==, plain->outputs[k].role);
    g_assert_cmpuint (model->outputs[k].level, ==, plain->outputs[k].level);
    g_assert_cmpstr (map_name (model, k), ==, map_name (plain, k));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strconcat ("/network/exporters/", cases[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_case);
  }
  return g_test_run ();
}
