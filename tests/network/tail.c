/* SPDX-License-Identifier: MIT */
/* What a file computes behind the network's maps is replaced by our decode, so it must be
 * that: a factor that is put into any edge of it is refused, or changes nothing. */

#include "tests/network/edit.h"

#define INSERTED "inserted"

/* The number of the node that writes a value; n_node if none does. */
static gsize
writer (const Onnx__ModelProto *proto, const char *value)
{
  gsize i;

  for (i = 0; i < proto->graph->n_node; i++) {
    const Onnx__NodeProto *node = proto->graph->node[i];
    for (gsize k = 0; k < node->n_output; k++) {
      if (strcmp (node->output[k], value) == 0)
        return i;
    }
  }
  return i;
}

/* Whether what reaches an output of a node only decides what is kept: by a threshold, by
 * overlaps, by the largest, by what is not 0, by shapes. A factor leaves these as they are. */
static gboolean
only_decides (const Onnx__NodeProto *node, gsize output)
{
  static const char *const deciding[] = { "ArgMax", "Greater", "NonMaxSuppression", "NonZero",
    "Shape", NULL };

  return g_strv_contains (deciding, node->op_type)
      || (strcmp (node->op_type, "TopK") == 0 && output == 1);
}

/* The names of the values whose numbers, or numbers made of them, are in an output. */
static GHashTable *
find_numbers (const Onnx__ModelProto *proto)
{
  const Onnx__GraphProto *graph = proto->graph;
  GHashTable *found = g_hash_table_new (g_str_hash, g_str_equal);
  gboolean changed = TRUE;

  for (gsize k = 0; k < graph->n_output; k++)
    g_hash_table_add (found, graph->output[k]->name);
  while (changed) {
    changed = FALSE;
    for (gsize i = 0; i < graph->n_node; i++) {
      const Onnx__NodeProto *node = graph->node[i];
      for (gsize o = 0; o < node->n_output; o++) {
        if (only_decides (node, o) || !g_hash_table_contains (found, node->output[o]))
          continue;
        for (gsize k = 0; k < node->n_input; k++)
          changed |= g_hash_table_add (found, node->input[k]);
      }
    }
  }
  return found;
}

/* Whether the input of a node is in its outputs, and these are in the file's. */
static gboolean
makes_numbers (const Onnx__NodeProto *node, GHashTable *numbers)
{
  for (gsize o = 0; o < node->n_output; o++) {
    if (!only_decides (node, o) && g_hash_table_contains (numbers, node->output[o]))
      return TRUE;
  }
  return FALSE;
}

/* Whether a value is always 0: the class, where there is one, as the rest of a division by
 * 1. A factor leaves it 0. */
static gboolean
is_zero (const Onnx__ModelProto *proto, const char *value)
{
  gsize from = writer (proto, value);
  const Onnx__NodeProto *node;
  const Onnx__TensorProto *by;

  if (from == proto->graph->n_node)
    return FALSE;
  node = proto->graph->node[from];
  if (strcmp (node->op_type, "Cast") == 0 || strcmp (node->op_type, "Unsqueeze") == 0)
    return is_zero (proto, node->input[0]);
  if (strcmp (node->op_type, "Mod") != 0)
    return FALSE;
  by = edit_initializer (proto, node->input[1]);
  return by->raw_data.len == 8 && by->raw_data.data[0] == 1;
}

/* Whether a node takes the rest of a division by 1, whatever is divided. */
static gboolean
forgets (const Onnx__ModelProto *proto, const Onnx__NodeProto *node)
{
  return strcmp (node->op_type, "Mod") == 0 && is_zero (proto, node->output[0]);
}

/* Marks each Reshape and what follows it: the tail, which begins by reshaping the maps. */
static gboolean *
find_tail (const Onnx__ModelProto *proto)
{
  const Onnx__GraphProto *graph = proto->graph;
  gboolean *tail = g_new0 (gboolean, graph->n_node), changed = TRUE;

  while (changed) {
    changed = FALSE;
    for (gsize i = 0; i < graph->n_node; i++) {
      const Onnx__NodeProto *node = graph->node[i];
      gboolean now = strcmp (node->op_type, "Reshape") == 0;

      for (gsize n = 0; n < graph->n_node && !now; n++) {
        for (gsize k = 0; tail[n] && k < node->n_input; k++)
          now |= strcmp (graph->node[n]->output[0], node->input[k]) == 0;
      }
      changed |= now && !tail[i];
      tail[i] |= now;
    }
  }
  return tail;
}

typedef struct {
  guint refused, named, accepted;
} Counts;

/* Puts a factor into input k of node i. */
static void
try_edge (const char *file, gsize i, gsize k, gint32 type, gboolean must_fail, Counts *counts)
{
  Onnx__ModelProto *proto = edit_open (file);
  const char *value = proto->graph->node[i]->input[k];
  const char *inputs[] = { value, "factor", NULL };
  float half = .5f;
  gint64 two = GINT64_TO_LE (2);
  g_autoptr (GError) error = NULL;
  g_autofree char *edge =
      g_strdup_printf ("%s: input %u of %s", file, (guint) k, proto->graph->node[i]->output[0]);
  YoloModel *model;

  edit_add_constant (proto, "factor", type, 0, NULL, type == 1 ? (void *) &half : (void *) &two);
  edit_add_node (proto, "Mul", INSERTED, inputs);
  edit_string (&proto->graph->node[i]->input[k], INSERTED);
  model = edit_load (proto, &error);
  if (model != NULL) {
    if (must_fail)
      g_error ("%s can be halved", edge);
    counts->accepted++;
    yolo_model_unref (model);
    return;
  }
  if (strstr (error->message, "inputs have different types") != NULL)
    return;                     /* the edge has the other type */
  if (strstr (error->message, "node '") == NULL)
    g_error ("%s: no node is named: %s", edge, error->message);
  counts->refused++;
  if (strstr (error->message, "'" INSERTED "'") != NULL)
    counts->named++;
  else
    g_test_message ("%s: %s", edge, error->message);
}

static void
test_edges (gconstpointer data)
{
  const char *file = data;
  Onnx__ModelProto *proto = edit_open (file);
  g_autofree gboolean *tail = find_tail (proto);
  g_autoptr (GHashTable) numbers = find_numbers (proto);
  /* large files of any size are checked at a size that takes time, so that only some edges
   * are tried */
  gboolean large = g_str_has_prefix (file, "v8n") && strstr (file, "dynamic") != NULL;
  guint every = large ? 7 : 1, n = 0;
  Counts counts = { 0 };

  for (gsize i = 0; i < proto->graph->n_node; i++) {
    const Onnx__NodeProto *node = proto->graph->node[i];
    gboolean matters = makes_numbers (node, numbers) && !forgets (proto, node);

    for (gsize k = 0; tail[i] && k < node->n_input; k++) {
      gboolean must_fail = matters && !is_zero (proto, node->input[k]);
      gsize from = writer (proto, node->input[k]);
      /* a factor on a map itself is a part of the network, and runs */
      if (from == proto->graph->n_node || !tail[from] || n++ % every != 0)
        continue;
      try_edge (file, i, k, 1, must_fail, &counts);
      try_edge (file, i, k, 7, must_fail, &counts);
    }
  }
  g_test_message ("%s: %u refused, %u by the node's name, %u make no difference", file,
      counts.refused, counts.named, counts.accepted);
  onnx__model_proto__free_unpacked (proto, NULL);
  g_assert_cmpuint (counts.refused, >, 10);
  g_assert_cmpuint (counts.named, >, counts.refused * 2 / 3);
}

typedef void (*EditFunc) (Onnx__ModelProto *proto);

/* Lets all that read a value read what this node makes of it. */
static void
insert_behind (
    Onnx__ModelProto *proto, const Onnx__NodeProto *from, const char *op, const char *other)
{
  const char *inputs[] = { from->output[0], other, NULL };
  Onnx__NodeProto *added = edit_add_node (proto, op, INSERTED, inputs);

  for (gsize i = 0; i < proto->graph->n_node; i++) {
    for (gsize k = 0; proto->graph->node[i] != added && k < proto->graph->node[i]->n_input; k++) {
      if (strcmp (proto->graph->node[i]->input[k], from->output[0]) == 0)
        edit_string (&proto->graph->node[i]->input[k], INSERTED);
    }
  }
}

/* Adds an output. */
static void
add_output (Onnx__ModelProto *proto, const char *name)
{
  Onnx__GraphProto *graph = proto->graph;
  Onnx__ValueInfoProto *info = malloc (sizeof *info);

  onnx__value_info_proto__init (info);
  info->name = strdup (name);
  graph->output = realloc (graph->output, (graph->n_output + 1) * sizeof (void *));
  graph->output[graph->n_output++] = info;
}

static void
clip_boxes (Onnx__ModelProto *proto)
{
  float limit = 32;

  edit_add_constant (proto, "limit", 1, 0, NULL, &limit);
  insert_behind (proto, edit_node (proto, "Gather", 0), "Min", "limit");
}

static void
unknown_operator (Onnx__ModelProto *proto)
{
  insert_behind (proto, edit_node (proto, "ReduceMax", 0), "Tan", NULL);
}

/* Takes the last class off the scores. */
static void
drop_class (Onnx__ModelProto *proto)
{
  gint64 six = GINT64_TO_LE (6);

  edit_add_constant (proto, "six", 7, 1, (gint64[]) { 1 }, &six);
  edit_string (&edit_node (proto, "Slice", 3)->input[2], "six");
}

/* Leaves the best ten out: rows 10 and on are the output. */
static void
drop_best (Onnx__ModelProto *proto)
{
  gint64 ten = GINT64_TO_LE (10);

  edit_add_constant (proto, "ten", 7, 1, (gint64[]) { 1 }, &ten);
  edit_string (&edit_node (proto, "Slice", -1)->input[1], "ten");
}

static void
other_thresholds (Onnx__ModelProto *proto)
{
  float values[2] = { .45f, .6f };

  edit_add_constant (proto, "iou", 1, 1, (gint64[]) { 1 }, &values[0]);
  edit_add_constant (proto, "confidence", 1, 0, NULL, &values[1]);
  edit_string (&edit_node (proto, "NonMaxSuppression", 0)->input[3], "iou");
  edit_string (&edit_node (proto, "Greater", 0)->input[1], "confidence");
}

/* agnostic_nms=True: boxes are not moved apart by class. */
static void
across_classes (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *apart = edit_node (proto, "Add", -1);

  edit_string (&apart->op_type, "Identity");
  free (apart->input[--apart->n_input]);
}

static void
second_output (Onnx__ModelProto *proto)
{
  add_output (proto, edit_node (proto, "ReduceMax", 0)->output[0]);
}

/* Makes a node hand its first input on. */
static void
skip (Onnx__NodeProto *node)
{
  edit_string (&node->op_type, "Identity");
  while (node->n_input > 1)
    free (node->input[--node->n_input]);
}

static void
add_int (Onnx__NodeProto *node, const char *name, gint64 value)
{
  Onnx__AttributeProto *attribute = edit_add_attribute (node, name, 2);

  attribute->has_i = TRUE;
  attribute->i = value;
}

/* Lets all that read one value read another. */
static void
rewire (Onnx__ModelProto *proto, const char *from, const char *to)
{
  g_autofree char *old = g_strdup (from), *new = g_strdup (to);

  for (gsize i = 0; i < proto->graph->n_node; i++) {
    Onnx__NodeProto *node = proto->graph->node[i];
    for (gsize k = 0; k < node->n_input; k++) {
      if (strcmp (node->input[k], old) == 0)
        edit_string (&node->input[k], new);
    }
  }
}

static void
set_int (Onnx__ModelProto *proto, Onnx__NodeProto *node, gsize input, gint64 value)
{
  gint64 bytes = GINT64_TO_LE (value);

  edit_add_constant (proto, "other", 7, 0, NULL, &bytes);
  edit_string (&node->input[input], "other");
}

static void
set_float (Onnx__ModelProto *proto, Onnx__NodeProto *node, gsize input, float value)
{
  edit_add_constant (proto, "other", 1, 0, NULL, &value);
  edit_string (&node->input[input], "other");
}

/* The worst anchors, or the worst pairs of these. */
static void
worst_anchors (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "TopK", 0), "largest")->i = 0;
}

static void
worst_pairs (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "TopK", 1), "largest")->i = 0;
}

/* The best of each anchor's only best score. */
static void
best_of_axis (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "TopK", 0), "axis")->i = 0;
}

/* Fewer rows: a limit, which we have as a property. */
static void
fewer_rows (Onnx__ModelProto *proto)
{
  gint64 ten = GINT64_TO_LE (10);

  edit_add_constant (proto, "ten", 7, 1, (gint64[]) { 1 }, &ten);
  edit_string (&edit_node (proto, "TopK", 1)->input[1], "ten");
}

/* An anchor's first class decides whether it is among the best. */
static void
first_class (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *best = edit_node (proto, "ReduceMax", 0);
  const char *inputs[] = { best->input[0], "zero", "one", "two", NULL };
  gint64 numbers[3] = { 0, GINT64_TO_LE (1), GINT64_TO_LE (2) };

  for (guint k = 0; k < 3; k++)
    edit_add_constant (proto, inputs[k + 1], 7, 1, (gint64[]) { 1 }, &numbers[k]);
  edit_add_node (proto, "Slice", INSERTED, inputs);
  edit_string (&best->input[0], INSERTED);
}

static void
whole_index_as_class (Onnx__ModelProto *proto)
{
  skip (edit_node (proto, "Mod", 0));
}

static void
fewer_classes (Onnx__ModelProto *proto)
{
  set_int (proto, edit_node (proto, "Mod", 0), 1, 2);
}

static void
more_classes (Onnx__ModelProto *proto)
{
  set_int (proto, edit_node (proto, "Div", -1), 1, 4);
}

/* The score of an anchor's best class only, whose share of itself is whole: one class a box,
 * as other exporters leave it to a suppression that is not in the file. */
static void
one_class_each (Onnx__ModelProto *proto)
{
  gint64 last = GINT64_TO_LE (-1);
  const char *all = edit_node (proto, "GatherElements", 0)->output[0];
  const char *reduced[] = { all, "last", NULL }, *divided[] = { all, "best", NULL },
             *rounded[] = { "share", NULL }, *kept[] = { all, "whole", NULL };

  edit_add_constant (proto, "last", 7, 1, (gint64[]) { 1 }, &last);
  edit_add_node (proto, "ReduceMax", "best", reduced);
  edit_add_node (proto, "Div", "share", divided);
  edit_add_node (proto, "Floor", "whole", rounded);
  edit_add_node (proto, "Mul", INSERTED, kept);
  edit_string (&edit_node (proto, "Flatten", 0)->input[0], INSERTED);
}

/* The boxes are those of the best anchors, not of the best pairs. */
static void
boxes_of_anchors (Onnx__ModelProto *proto)
{
  edit_string (
      &edit_node (proto, "Expand", 1)->input[0], edit_node (proto, "Expand", 0)->input[0]);
}

static void
coefficients_of_anchors (Onnx__ModelProto *proto)
{
  edit_string (
      &edit_node (proto, "Expand", 2)->input[0], edit_node (proto, "Expand", 0)->input[0]);
}

/* What was chosen are numbers of rows that have passed the threshold; the coefficients are
 * taken from all rows by these. */
static void
coefficients_of_all_rows (Onnx__ModelProto *proto)
{
  const Onnx__NodeProto *passed = edit_node (proto, "GatherND", 3);

  rewire (proto, passed->output[0], passed->input[0]);
}

static void
points_without_offset (Onnx__ModelProto *proto)
{
  skip (edit_node (proto, "Sub", -1));
}

static void
raw_visibility (Onnx__ModelProto *proto)
{
  skip (edit_node (proto, "Sigmoid", -2));
}

/* The first node that reads a value. */
static Onnx__NodeProto *
reader_of (const Onnx__ModelProto *proto, const char *value)
{
  for (gsize i = 0; i < proto->graph->n_node; i++) {
    for (gsize k = 0; k < proto->graph->node[i]->n_input; k++) {
      if (strcmp (proto->graph->node[i]->input[k], value) == 0)
        return proto->graph->node[i];
    }
  }
  g_assert_not_reached ();
}

static void
other_scale_of_points (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *scale = reader_of (proto, edit_node (proto, "Slice", 2)->output[0]);

  g_assert_cmpstr (scale->op_type, ==, "Mul");
  set_float (proto, scale, 1, 1.9f);
}

static void
other_quarter (Onnx__ModelProto *proto)
{
  set_float (proto, edit_node (proto, "Sub", 0), 1, .5f);
}

static void
other_half_turn (Onnx__ModelProto *proto)
{
  set_float (proto, reader_of (proto, edit_node (proto, "Sub", 0)->output[0]), 1, 3);
}

/* Boxes are turned by another angle than the file gives. */
static void
another_angle (Onnx__ModelProto *proto)
{
  const char *angle = edit_node (proto, "Sub", 0)->output[0];

  edit_string (&edit_node (proto, "Cos", 0)->input[0], angle);
  edit_string (&edit_node (proto, "Sin", 0)->input[0], angle);
}

static void
centre_not_turned (Onnx__ModelProto *proto)
{
  rewire (
      proto, edit_node (proto, "Concat", -3)->output[0], edit_node (proto, "Div", 0)->output[0]);
}

/* Sine and cosine change places. */
static void
turned_the_other_way (Onnx__ModelProto *proto)
{
  g_autofree char *sine = g_strdup (edit_node (proto, "Sin", 0)->output[0]);

  edit_string (&edit_node (proto, "Sin", 0)->output[0], edit_node (proto, "Cos", 0)->output[0]);
  edit_string (&edit_node (proto, "Cos", 0)->output[0], sine);
}

static void
softmax_of_images (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Softmax", 0), "axis")->i = 0;
}

static void
scores_of_classes (Onnx__ModelProto *proto)
{
  edit_string (&edit_node (proto, "Softmax", 0)->op_type, "Sigmoid");
}

/* Logits, which have the order of probabilities. */
static void
no_softmax (Onnx__ModelProto *proto)
{
  edit_string (&proto->graph->output[0]->name, edit_node (proto, "Gemm", 0)->output[0]);
}

static void
no_softmax_no_names (Onnx__ModelProto *proto)
{
  no_softmax (proto);
  edit_metadata (proto, "names", NULL);
  edit_metadata (proto, "task", NULL);
}

static void
map_beside_logits (Onnx__ModelProto *proto)
{
  no_softmax (proto);
  add_output (proto, edit_node (proto, "Conv", 1)->output[0]);
}

static void
softmax_of_softmax (Onnx__ModelProto *proto)
{
  const char *inputs[] = { "output0", NULL };

  edit_add_node (proto, "Softmax", INSERTED, inputs);
  edit_string (&proto->graph->output[0]->name, INSERTED);
}

static void
features_beside_classes (Onnx__ModelProto *proto)
{
  add_output (proto, edit_node (proto, "Flatten", 0)->output[0]);
}

static void
map_beside_classes (Onnx__ModelProto *proto)
{
  add_output (proto, edit_node (proto, "Conv", 1)->output[0]);
}

static void
map_beside_boxes (Onnx__ModelProto *proto)
{
  add_output (proto, edit_node (proto, "ConvTranspose", 0)->output[0]);
}

static void
map_beside_detections (Onnx__ModelProto *proto)
{
  add_output (proto, edit_node (proto, "Mul", 1)->output[0]);
}

static void
no_prototypes (Onnx__ModelProto *proto)
{
  Onnx__GraphProto *graph = proto->graph;

  onnx__value_info_proto__free_unpacked (graph->output[--graph->n_output], NULL);
}

/* A map of the body, which has not as many channels as there are coefficients. */
static void
other_prototypes (Onnx__ModelProto *proto)
{
  edit_string (&proto->graph->output[1]->name, edit_node (proto, "ConvTranspose", 0)->output[0]);
}

static void
flat_prototypes (Onnx__ModelProto *proto)
{
  gint64 shape[3] = { GINT64_TO_LE (1), GINT64_TO_LE (5), GINT64_TO_LE (-1) };
  const char *inputs[] = { "output1", "shape", NULL };

  edit_add_constant (proto, "shape", 7, 1, (gint64[]) { 3 }, shape);
  edit_add_node (proto, "Reshape", INSERTED, inputs);
  edit_string (&proto->graph->output[1]->name, INSERTED);
}

static void
outputs_exchanged (Onnx__ModelProto *proto)
{
  Onnx__ValueInfoProto **output = proto->graph->output, *first = output[0];

  output[0] = output[1];
  output[1] = first;
}

/* The first level has no third map: of its anchors there are the second level's numbers. */
static void
level_without_third_map (Onnx__ModelProto *proto)
{
  Onnx__NodeProto *join = edit_node (proto, "Concat", 2);

  edit_string (&join->input[0], join->input[1]);
}

/* Lets a node read rows of one of its inputs, [1][20][numbers], by an index for each. */
static void
pick_rows (Onnx__ModelProto *proto, char **input, gsize n, const gint64 *rows)
{
  g_autofree gint64 *bytes = g_new (gint64, n);
  const char *inputs[] = { *input, "rows", NULL };

  for (gsize k = 0; k < n; k++)
    bytes[k] = GINT64_TO_LE (rows[k]);
  edit_add_constant (proto, "rows", 7, 1, (gint64[]) { (gint64) n }, bytes);
  add_int (edit_add_node (proto, "Gather", INSERTED, inputs), "axis", 1);
  edit_string (input, INSERTED);
}

static void
without_best_pair (Onnx__ModelProto *proto)
{
  static const gint64 rows[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

  pick_rows (proto, &proto->graph->output[0]->name, G_N_ELEMENTS (rows), rows);
}

/* The best pair twice, and not the second best. */
static void
best_pair_twice (Onnx__ModelProto *proto)
{
  static const gint64 rows[] = { 0, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

  pick_rows (proto, &proto->graph->output[0]->name, G_N_ELEMENTS (rows), rows);
}

/* The first row has the second's score. */
static void
score_of_another (Onnx__ModelProto *proto)
{
  static const gint64 rows[] = { 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
    18, 19 };

  pick_rows (proto, &edit_node (proto, "Concat", -1)->input[1], G_N_ELEMENTS (rows), rows);
}

/* A suppression keeps the best box twice. */
static void
best_box_twice (Onnx__ModelProto *proto)
{
  static const gint64 rows[] = { 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
    18, 19 };

  pick_rows (proto, &proto->graph->output[0]->name, G_N_ELEMENTS (rows), rows);
}

static void
add_to_class (Onnx__ModelProto *proto, float number)
{
  edit_add_constant (proto, "number", 1, 0, NULL, &number);
  insert_behind (proto, edit_node (proto, "Cast", -1), "Add", "number");
}

static void
classes_from_one (Onnx__ModelProto *proto)
{
  add_to_class (proto, 1);
}

static void
classes_between (Onnx__ModelProto *proto)
{
  add_to_class (proto, .25f);
}

/* Distances as after a ReLU: nothing lies outside of its box. */
static void
positive_distances (Onnx__ModelProto *proto)
{
  float none = 0;

  edit_add_constant (proto, "limit", 1, 0, NULL, &none);
  insert_behind (proto, edit_node (proto, "Concat", 0), "Max", "limit");
}

/* Boxes that are not turned, beside an angle. */
static void
straight_boxes (Onnx__ModelProto *proto)
{
  const Onnx__NodeProto *boxes = edit_node (proto, "Concat", -2);
  Onnx__NodeProto *centre = proto->graph->node[writer (proto, boxes->input[0])],
                  *size = proto->graph->node[writer (proto, boxes->input[1])];

  edit_string (&centre->op_type, "Sub");
  edit_string (&centre->input[0], centre->input[1]);
  edit_string (&centre->input[1], size->input[0]);
  edit_string (&size->input[0], centre->input[0]);
}

/* [anchors][features] */
static void
features_last (Onnx__ModelProto *proto)
{
  const char *inputs[] = { "output0", NULL };
  Onnx__AttributeProto *perm =
      edit_add_attribute (edit_add_node (proto, "Transpose", INSERTED, inputs), "perm", 7);

  perm->n_ints = 3;
  perm->ints = malloc (3 * sizeof *perm->ints);
  memcpy (perm->ints, (gint64[]) { 0, 2, 1 }, 3 * sizeof *perm->ints);
  edit_string (&proto->graph->output[0]->name, INSERTED);
}

/* Adds the largest number of a value to what an input of a node gets. */
static void
add_largest (Onnx__ModelProto *proto, const char *of, char **input)
{
  const char *reduced[] = { of, NULL }, *added[] = { *input, "largest", NULL };

  add_int (edit_add_node (proto, "ReduceMax", "largest", reduced), "keepdims", 0);
  edit_add_node (proto, "Add", INSERTED, added);
  edit_string (input, INSERTED);
}

/* Scores and a number of a map that is at none of the head's levels. */
static void
map_of_no_level (Onnx__ModelProto *proto)
{
  add_largest (
      proto, edit_node (proto, "Conv", 0)->output[0], &edit_node (proto, "Concat", -1)->input[1]);
}

/* Scores and a number of the map that the first level's boxes are made of. */
static void
fourth_map (Onnx__ModelProto *proto)
{
  const char *flat = edit_node (proto, "Concat", 0)->input[0];
  const char *boxes = proto->graph->node[writer (proto, flat)]->input[0];

  add_largest (proto, proto->graph->node[writer (proto, boxes)]->input[0],
      &edit_node (proto, "Concat", -1)->input[1]);
}

/* Adds what its features have to the classes' probabilities. */
static void
classes_and_features (Onnx__ModelProto *proto)
{
  add_largest (proto, edit_node (proto, "Flatten", 0)->output[0],
      &edit_node (proto, "Softmax", 0)->input[0]);
}

static void
classes_and_map (Onnx__ModelProto *proto)
{
  add_largest (proto, edit_node (proto, "Conv", 1)->output[0],
      &edit_node (proto, "Softmax", 0)->input[0]);
}

/* Centres are off by less than 8 bits would let them be, where nothing is in 8 bits. */
static void
moved_in_float (Onnx__ModelProto *proto)
{
  float little = .15f;

  edit_add_constant (proto, "little", 1, 0, NULL, &little);
  insert_behind (proto, edit_node (proto, "Div", -1), "Add", "little");
}

/* Overlaps are those of boxes that are not turned. */
static void
straight_suppression (Onnx__ModelProto *proto)
{
  gsize angle = writer (proto, edit_node (proto, "Cos", -1)->input[0]);
  float zero = 0;

  edit_add_constant (proto, "zero", 1, 0, NULL, &zero);
  insert_behind (proto, proto->graph->node[angle], "Mul", "zero");
}

/* The threshold of the overlap is the user's. */
static void
other_overlap (Onnx__ModelProto *proto)
{
  float overlap = .5f;

  edit_add_constant (proto, "overlap", 1, 0, NULL, &overlap);
  edit_string (&edit_node (proto, "Greater", -1)->input[1], "overlap");
}

/* Boxes go that overlap a worse one. */
static void
worse_suppress (Onnx__ModelProto *proto)
{
  edit_attribute (edit_node (proto, "Trilu", 0), "upper")->i = 0;
  edit_string (&edit_node (proto, "Trilu", 0)->input[1], "minus-one");
  edit_add_constant (
      proto, "minus-one", 7, 0, NULL, &(gint64) { (gint64) GUINT64_TO_LE ((guint64) -1) });
}

/* The boxes' variances are a third of what they are elsewhere. */
static void
wider_overlap (Onnx__ModelProto *proto)
{
  float four = 4;

  edit_add_constant (proto, "four", 1, 0, NULL, &four);
  edit_string (&edit_node (proto, "Div", -4)->input[1], "four");
  edit_string (&edit_node (proto, "Div", -5)->input[1], "four");
}

/* Adds a node that reads the first row of a value along an axis. */
static void
add_first (Onnx__ModelProto *proto, const char *name, const char *of, gint64 axis)
{
  const char *inputs[] = { of, "first", NULL };

  add_int (edit_add_node (proto, "Gather", name, inputs), "axis", axis);
}

/* Adds zeros that cost as many numbers as the suppression of another image: 70 tensors of each box
 * with each, one of them a triangle of it. They are in the decode, which runs once. */
static void
compare_boxes (Onnx__ModelProto *proto, gboolean by_triangle)
{
  const Onnx__NodeProto *scores = edit_node (proto, "Sigmoid", -1);
  const char *zeros[] = { "score", "none", NULL }, *pairs[] = { "zero", "pairs", NULL };
  const gint64 sides[2] = { GINT64_TO_LE (1500), GINT64_TO_LE (1500) };
  const float none = 0;
  g_autofree char *last = g_strdup ("pairs-of-zeros");

  edit_add_constant (proto, "none", 1, 0, NULL, &none);
  edit_add_constant (proto, "first", 7, 0, NULL, &(gint64) { 0 });
  edit_add_constant (proto, "pairs", 7, 1, (gint64[]) { 2 }, sides);
  add_first (proto, "scores", scores->input[0], 2);
  add_first (proto, "score", "scores", 1);
  edit_add_node (proto, "Mul", "zero", zeros);
  edit_add_node (proto, "Expand", last, pairs);
  for (guint i = 0; i < 70; i++) {
    const char *inputs[] = { last, i == 0 && by_triangle ? NULL : "zero", NULL };
    g_autofree char *name = g_strdup_printf ("pairs-%u", i);

    edit_add_node (proto, inputs[1] == NULL ? "Trilu" : "Add", name, inputs);
    g_free (g_steal_pointer (&last));
    last = g_steal_pointer (&name);
  }
  add_first (proto, "row", last, 0);
  add_first (proto, "nothing", "row", 0);
  insert_behind (proto, scores, "Add", "nothing");
}

/* A file that was exported for two images has a suppression for each. */
static void
second_image (Onnx__ModelProto *proto)
{
  compare_boxes (proto, TRUE);
}

/* As much arithmetic that is no suppression is none of a head. */
static void
more_than_a_head (Onnx__ModelProto *proto)
{
  compare_boxes (proto, FALSE);
}

static const struct {
  const char *name;
  EditFunc edit;                /* NULL: the file is wrong as it is */
  const char *says;             /* in the error; NULL: the file loads */
  const char *file;             /* NULL: v8n-nms.onnx */
} edits[] = {
  { "clip-boxes", clip_boxes, "'" INSERTED "' (Min)", NULL },
  { "unknown-operator", unknown_operator, "'" INSERTED "' (Tan)", NULL },
  { "drop-class", drop_class, "node '", NULL },
  { "drop-best", drop_best, "node '", NULL },
  { "other-thresholds", other_thresholds, NULL, NULL },
  { "across-classes", across_classes, NULL, NULL },
  { "second-output", second_output, "several outputs", NULL },
  { "worst-anchors", worst_anchors, "node '", "micro-e2e.onnx" },
  { "worst-pairs", worst_pairs, "node '", "micro-e2e.onnx" },
  { "best-of-axis", best_of_axis, "(TopK)", "micro-e2e.onnx" },
  { "fewer-rows", fewer_rows, NULL, "micro-segment-e2e.onnx" },
  { "first-class", first_class, "node '", "micro-e2e.onnx" },
  { "whole-index-as-class", whole_index_as_class, "node '", "micro-obb-e2e.onnx" },
  { "fewer-classes", fewer_classes, "node '", "micro-e2e.onnx" },
  { "more-classes", more_classes, "node '", "micro-e2e.onnx" },
  { "without-best-pair", without_best_pair, "is where the head ends", "micro-e2e.onnx" },
  { "best-pair-twice", best_pair_twice, "is where the head ends", "micro-e2e.onnx" },
  { "score-of-another", score_of_another, "is where the head ends", "micro-e2e.onnx" },
  { "classes-from-one", classes_from_one, "'" INSERTED "' (Add)", "micro-obb-e2e.onnx" },
  { "classes-between", classes_between, "'" INSERTED "' (Add)", "micro-obb-e2e.onnx" },
  { "best-box-twice", best_box_twice, "is where the head ends", "micro-segment-nms.onnx" },
  { "one-class-each", one_class_each, NULL, "micro-e2e.onnx" },
  { "boxes-of-anchors", boxes_of_anchors, "node '", "micro-obb-e2e.onnx" },
  { "coefficients-of-anchors", coefficients_of_anchors, "node '", "micro-segment-e2e.onnx" },
  { "coefficients-of-all-rows", coefficients_of_all_rows, "node '", "micro-segment-nms.onnx" },
  { "points-without-offset", points_without_offset, "node '", "micro-pose-dynamic.onnx" },
  { "raw-visibility", raw_visibility, "node '", "micro-pose.onnx" },
  { "other-scale-of-points", other_scale_of_points, "node '", "micro-pose.onnx" },
  { "other-quarter", other_quarter, "node '", "micro-obb.onnx" },
  { "other-half-turn", other_half_turn, "node '", "micro-obb.onnx" },
  { "another-angle", another_angle, "node '", "micro-obb.onnx" },
  { "centre-not-turned", centre_not_turned, "node '", "micro-obb26.onnx" },
  { "turned-the-other-way", turned_the_other_way, "node '", "micro-obb26.onnx" },
  { "positive-distances", positive_distances, "'" INSERTED "' (Max)", "micro-e2e.onnx" },
  { "straight-boxes", straight_boxes, "is where the head ends", "micro-obb26.onnx" },
  { "features-last", features_last, NULL, "micro-obb.onnx" },
  { "map-of-no-level", map_of_no_level, "no pair of boxes and classes", "micro-pose.onnx" },
  { "fourth-map", fourth_map, "a fourth map", "micro-pose.onnx" },
  { "classes-and-features", classes_and_features, "a second vector", "micro-classify.onnx" },
  { "classes-and-map", classes_and_map, "beside numbers", "micro-classify.onnx" },
  { "softmax-of-images", softmax_of_images, "(Softmax)", "micro-classify.onnx" },
  { "scores-of-classes", scores_of_classes, "(Sigmoid)", "micro-classify.onnx" },
  { "softmax-of-softmax", softmax_of_softmax, "(Softmax)", "micro-classify.onnx" },
  { "no-softmax", no_softmax, NULL, "micro-classify.onnx" },
  { "no-softmax-no-names", no_softmax_no_names, "are no classes", "micro-classify.onnx" },
  { "map-beside-logits", map_beside_logits, "more than numbers", "micro-classify.onnx" },
  { "features-beside-classes", features_beside_classes, "more than numbers",
      "micro-classify.onnx" },
  { "map-beside-classes", map_beside_classes, "more than numbers", "micro-classify.onnx" },
  { "map-beside-boxes", map_beside_boxes, "several outputs", "micro-segment.onnx" },
  { "map-beside-detections", map_beside_detections, "no coefficients", "micro-e2e.onnx" },
  { "no-prototypes", no_prototypes, "has their prototypes as", "micro-segment.onnx" },
  { "moved-in-float", moved_in_float, "'" INSERTED "' (Add)", "micro-segment-qdq.onnx" },
  { "other-prototypes", other_prototypes, "is where the head ends", "micro-segment.onnx" },
  { "flat-prototypes", flat_prototypes, "'" INSERTED "' (Reshape)", "micro-segment.onnx" },
  { "outputs-exchanged", outputs_exchanged, NULL, "micro-segment-e2e.onnx" },
  { "straight-suppression", straight_suppression, "'" INSERTED "' (Mul)", "micro-obb-nms.onnx" },
  { "other-overlap", other_overlap, NULL, "micro-obb-nms.onnx" },
  { "worse-suppress", worse_suppress, "node '", "micro-obb-nms.onnx" },
  { "wider-overlap", wider_overlap, "node '", "micro-obb-nms.onnx" },
  { "second-image", second_image, NULL, "micro-obb-nms.onnx" },
  { "more-than-a-head", more_than_a_head, "node '", "micro-obb-nms.onnx" },
  { "level-without-third-map", level_without_third_map, "other maps than", "micro-obb26.onnx" },
};

static void
test_edit (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Onnx__ModelProto *proto = edit_open (edits[i].file != NULL ? edits[i].file : "v8n-nms.onnx");
  g_autoptr (GError) error = NULL;
  YoloModel *model;

  edits[i].edit (proto);
  model = edit_load (proto, &error);
  if (edits[i].says == NULL) {
    g_assert_no_error (error);
    yolo_model_unref (model);
    return;
  }
  g_assert_null (model);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, edits[i].says));
}

/* Moves the node that writes a value behind all those before node @to. */
static void
move_writer (Onnx__ModelProto *proto, const char *value, gsize to)
{
  gsize from = writer (proto, value);
  Onnx__NodeProto **nodes = proto->graph->node, *node = nodes[from];

  g_assert_cmpuint (from, <, to);
  memmove (nodes + from, nodes + from + 1, (to - 1 - from) * sizeof *nodes);
  nodes[to - 1] = node;
}

/* The maps of a level come in any order, and in another one at the next level. */
static void
test_orders (void)
{
  static const guint8 orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 },
    { 2, 0, 1 }, { 2, 1, 0 } };

  for (guint p = 0; p < G_N_ELEMENTS (orders); p++) {
    Onnx__ModelProto *proto = edit_open ("micro-pose26.onnx");
    gsize first = 0;
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloModel) model = NULL;

    while (strcmp (proto->graph->node[first]->op_type, "Reshape") != 0)
      first++;
    for (guint k = 0; k < 6; k++) {
      const guint8 *order = orders[k < 3 ? p : 5 - p];
      /* the tail begins by joining boxes, classes and points, each of two levels */
      const char *flat = edit_node (proto, "Concat", order[k % 3])->input[k / 3];
      move_writer (proto, proto->graph->node[writer (proto, flat)]->input[0], first);
    }
    model = edit_load (proto, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (model->reg_max, ==, 1);
    g_assert_cmpuint (model->n_classes, ==, 2);
    g_assert_cmpuint (model->form.keypoints, ==, 4);
  }
}

/* Numbers that come back from whole ones by another scale are other numbers: refused, in
 * the body and in the tail. */
static void
test_other_scale (void)
{
  Onnx__ModelProto *whole = edit_open ("micro-qdq-s8-all.onnx");
  guint refused = 0;

  for (gsize i = 0; i < whole->graph->n_node; i++) {
    Onnx__ModelProto *proto = edit_open ("micro-qdq-s8-all.onnx");
    Onnx__NodeProto *node = proto->graph->node[i];
    g_autoptr (GError) error = NULL;
    float scale = .125f;

    if (strcmp (node->op_type, "DequantizeLinear") != 0
        || writer (proto, node->input[0]) == proto->graph->n_node) {
      onnx__model_proto__free_unpacked (proto, NULL);
      continue;
    }
    edit_add_constant (proto, "other", 1, 0, NULL, &scale);
    edit_string (&node->input[1], "other");
    g_assert_null (edit_load (proto, &error));
    g_assert_nonnull (strstr (error->message, "another scale"));
    refused++;
  }
  onnx__model_proto__free_unpacked (whole, NULL);
  g_assert_cmpuint (refused, >, 5);
}

int
main (int argc, char **argv)
{
  static const char *const files[] = { "micro.onnx", "v8n.onnx", "v8n-83.onnx", "v8n-nms.onnx",
    "v8n-nms-half.onnx", "v8n-nms-dynamic.onnx", "v8n-dynamic.onnx", "v8n-qdq-u8.onnx",
    "micro-qdq-s8-dfl.onnx", "micro-segment.onnx", "micro-segment-nms.onnx", "micro-obb-nms.onnx",
    "micro-segment-e2e.onnx", "micro-segment-qdq.onnx", "micro-pose.onnx",
    "micro-pose-dynamic.onnx", "micro-pose26.onnx", "micro-pose-e2e.onnx", "micro-pose-qdq.onnx",
    "micro-obb.onnx", "micro-obb26.onnx", "micro-obb-e2e.onnx", "micro-e2e.onnx",
    "micro-e2e-dynamic.onnx" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = g_strconcat ("/network/tail/", files[i], NULL);
    g_test_add_data_func (path, files[i], test_edges);
  }
  for (guint i = 0; i < G_N_ELEMENTS (edits); i++) {
    g_autofree char *path = g_strconcat ("/network/tail/", edits[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_edit);
  }
  g_test_add_func ("/network/tail/orders", test_orders);
  g_test_add_func ("/network/tail/other-scale", test_other_scale);
  return g_test_run ();
}
