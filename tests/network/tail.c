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

/* Marks the nodes from which an output can be reached; `through` are never gone through. */
static gboolean *
reach_output (const Onnx__ModelProto *proto, const char *const *through)
{
  const Onnx__GraphProto *graph = proto->graph;
  gboolean *reach = g_new0 (gboolean, graph->n_node), changed = TRUE;

  while (changed) {
    changed = FALSE;
    for (gsize i = 0; i < graph->n_node; i++) {
      const Onnx__NodeProto *node = graph->node[i];
      gboolean now = strcmp (node->output[0], graph->output[0]->name) == 0;

      for (gsize n = 0; n < graph->n_node && !now; n++) {
        for (gsize k = 0; reach[n] && !g_strv_contains (through, graph->node[n]->op_type)
            && k < graph->node[n]->n_input; k++)
          now |= strcmp (graph->node[n]->input[k], node->output[0]) == 0;
      }
      changed |= now && !reach[i];
      reach[i] |= now;
    }
  }
  return reach;
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
  /* what reaches the output through these only decides what is kept: by a threshold, by
   * overlaps, by the largest, by what is not 0, by shapes: a factor leaves these as they are */
  static const char *const deciding[] = { "ArgMax", "Greater", "NonMaxSuppression", "NonZero",
    "Shape", NULL };
  const char *file = data;
  Onnx__ModelProto *proto = edit_open (file);
  g_autofree gboolean *tail = find_tail (proto);
  g_autofree gboolean *reach = reach_output (proto, deciding);
  /* files of any size are checked at a size that takes time, so that only some edges are
   * tried */
  guint every = strstr (file, "dynamic") != NULL ? 7 : 1, n = 0;
  Counts counts = { 0 };

  for (gsize i = 0; i < proto->graph->n_node; i++) {
    const Onnx__NodeProto *node = proto->graph->node[i];
    gboolean must_fail = reach[i] && !g_strv_contains (deciding, node->op_type);

    for (gsize k = 0; tail[i] && k < node->n_input; k++) {
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
  g_assert_cmpuint (counts.named, >, counts.refused * 3 / 4);
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
  insert_behind (proto, edit_node (proto, "ReduceMax", 0), "Sqrt", NULL);
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
  Onnx__GraphProto *graph = proto->graph;
  Onnx__ValueInfoProto *info = malloc (sizeof *info);

  onnx__value_info_proto__init (info);
  info->name = strdup (edit_node (proto, "ReduceMax", 0)->output[0]);
  graph->output = realloc (graph->output, 2 * sizeof (void *));
  graph->output[graph->n_output++] = info;
}

static const struct {
  const char *name;
  EditFunc edit;
  const char *says;             /* in the error; NULL: the file loads */
} edits[] = {
  { "clip-boxes", clip_boxes, "'" INSERTED "' (Min)" },
  { "unknown-operator", unknown_operator, "'" INSERTED "' (Sqrt)" },
  { "drop-class", drop_class, "node '" },
  { "drop-best", drop_best, "node '" },
  { "other-thresholds", other_thresholds, NULL },
  { "across-classes", across_classes, NULL },
  { "second-output", second_output, "several outputs" },
};

static void
test_edit (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Onnx__ModelProto *proto = edit_open ("v8n-nms.onnx");
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
    "micro-qdq-s8-dfl.onnx" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = g_strconcat ("/network/tail/", files[i], NULL);
    g_test_add_data_func (path, files[i], test_edges);
  }
  for (guint i = 0; i < G_N_ELEMENTS (edits); i++) {
    g_autofree char *path = g_strconcat ("/network/tail/", edits[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_edit);
  }
  g_test_add_func ("/network/tail/other-scale", test_other_scale);
  return g_test_run ();
}
