/* SPDX-License-Identifier: MIT */
#include "network/torch/reader.h"
#include "base/error.h"
#include "network/torch/modules.h"
#include "network/torch/zip.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

#define ADVICE "give the .pt file that Ultralytics wrote"
/* The size at which layers are built: a multiple of all strides that there are
 * (P6 has 64), its sides different so that they cannot be mixed up. */
#define PROBE_HEIGHT 256
#define PROBE_WIDTH 384
#define MAX_LAYERS 1000
#define MAX_CLASSES 100000

gboolean
yolo_torch_is (const void *data, gsize size)
{
  return yolo_zip_is (data, size) || yolo_pickle_is (data, size);
}

/* Whether the value is a dict of tensors: what state_dict() gives. */
static gboolean
is_state_dict (const YoloPickleValue *value)
{
  YoloPickleItems pairs = yolo_pickle_pairs (value);
  return pairs.n > 0 && yolo_checkpoint_is_tensor (pairs.values[1]);
}

static gboolean
is_module (const YoloPickleValue *value)
{
  return yolo_pickle_class (value) != NULL && yolo_pickle_attribute (value, "_modules") != NULL;
}

static gboolean
has_weights_only (const YoloPickleValue *root)
{
  return is_state_dict (root) || is_state_dict (yolo_pickle_lookup (root, "state_dict"))
      || is_state_dict (yolo_pickle_lookup (root, "model_state_dict"))
      || is_state_dict (yolo_pickle_lookup (root, "model"))
      || is_state_dict (yolo_pickle_lookup (root, "ema"));
}

/* The model that was saved: "ema", "model", or the whole of the file; NULL with @error. */
static const YoloPickleValue *
find_model (const YoloPickleValue *root, GError **error)
{
  const YoloPickleValue *ema = yolo_pickle_lookup (root, "ema");
  const YoloPickleValue *model = is_module (ema) ? ema : yolo_pickle_lookup (root, "model");

  if (is_module (root))
    model = root;
  /* training on several GPUs */
  if (strcmp (yolo_torch_class (model), "DataParallel") == 0
      || strcmp (yolo_torch_class (model), "DistributedDataParallel") == 0)
    model = yolo_torch_child (model, "module");
  if (is_module (model))
    return model;
  if (has_weights_only (root))
    yolo_network_set_error (error, UNSUPPORTED,
        "it has weights (a state_dict), but not the network that they are for; " ADVICE);
  else
    yolo_network_set_error (error, UNSUPPORTED, "it has no model in it; " ADVICE);
  return NULL;
}

static gboolean
check_model (const YoloPickleValue *root, const YoloPickleValue *model, GError **error)
{
  static const char *const models[] = { "DetectionModel", "SegmentationModel",
    "ClassificationModel", "PoseModel", "OBBModel", NULL };
  const YoloPickleValue *class = yolo_pickle_class (model);
  gint64 channels;

  if (g_str_has_prefix (class->module, "models."))
    return yolo_network_fail (error, UNSUPPORTED,
        "it is of the repository of YOLOv5 or one made from it (%.100s.%.100s), whose heads have "
        "anchors; train a YOLOv5u or YOLOv8 with Ultralytics",
        class->module, class->text);
  if (!g_str_has_prefix (class->module, "ultralytics."))
    return yolo_network_fail (error, UNSUPPORTED,
        "its model is a %.100s.%.100s, no YOLO of Ultralytics; " ADVICE, class->module,
        class->text);
  if (!g_strv_contains (models, class->text))
    return yolo_network_fail (error, UNSUPPORTED,
        "its model is a %.100s, which is not supported; models that detect, segment, classify, "
        "estimate poses or find turned boxes (DetectionModel, SegmentationModel, "
        "ClassificationModel, PoseModel, OBBModel) are",
        class->text);
  if (yolo_pickle_int (yolo_pickle_lookup (yolo_pickle_attribute (model, "yaml"), "channels"),
          &channels)
      && channels != 3)
    return yolo_network_fail (error, UNSUPPORTED,
        "its model takes images of %" G_GINT64_FORMAT " channels; models of 3, R G B, are "
        "supported",
        channels);
  if (!yolo_pickle_is_none (yolo_pickle_lookup (root, "modelopt")))
    return yolo_network_fail (error, UNSUPPORTED,
        "it was quantised in training (modelopt), which is not supported; export it to ONNX");
  return TRUE;
}

/* What a module gives, and the module. */
typedef struct {
  guint layer;
  const YoloPickleValue *module;        /* NULL: it is the image */
} Source;

/* The layer that an entry of "f" means, as DetectionModel's forward has it: one from the
 * start, or, below 0, one before the next module. The first one takes the image. */
static Source
source_of (const YoloPickleValue *f, const GArray *outputs, guint image)
{
  gint64 source;

  if (!yolo_pickle_int (f, &source))
    return (Source) { YOLO_LAYER_NONE, NULL };
  if (outputs->len == 0)
    return (Source) { source == -1 ? image : YOLO_LAYER_NONE, NULL };
  if (source < 0)
    source += outputs->len;
  return source >= 0 && source < outputs->len ? g_array_index (outputs, Source, source)
                                              : (Source) { YOLO_LAYER_NONE, NULL };
}

/* The inputs of the module behind @outputs: layers, and the modules that give them; FALSE with
 * @error. */
static gboolean
find_sources (const YoloTorchBuilder *builder, const YoloPickleValue *module,
    const GArray *outputs, guint image, GArray *in, GPtrArray *from, GError **error)
{
  const YoloPickleValue *f = yolo_pickle_attribute (module, "f");
  guint n = yolo_pickle_items (f).n;

  for (guint k = 0; k < MAX (n, 1); k++) {
    Source source = source_of (n > 0 ? yolo_pickle_item (f, k) : f, outputs, image);
    if (source.layer == YOLO_LAYER_NONE)
      return yolo_torch_refuse (
          builder, module, FORMAT, "takes what no module before it gives (f)", error);
    g_array_append_val (in, source.layer);
    g_ptr_array_add (from, (gpointer) source.module);
  }
  return TRUE;
}

/* Concat joins channels (dimension 1), CBFuse adds; all else has one input. */
static guint
run_layer (YoloTorchBuilder *builder, const YoloPickleValue *module, const GArray *sources,
    const GPtrArray *from, GError **error)
{
  const guint *in = (const guint *) sources->data;
  gint64 d;

  if (strcmp (yolo_torch_class (module), "CBFuse") == 0)
    return yolo_torch_cb_fuse (builder, module, sources->len, in,
        (const YoloPickleValue *const *) from->pdata, error);

  if (strcmp (yolo_torch_class (module), "Concat") == 0) {
    if (yolo_pickle_int (yolo_pickle_attribute (module, "d"), &d) && d == 1)
      return yolo_graph_concat (builder->graph, builder->path->str, sources->len, in, error);
    yolo_torch_refuse (builder, module, UNSUPPORTED, "joins other than channels (d)", error);
    return YOLO_LAYER_NONE;
  }
  if (sources->len != 1) {
    yolo_torch_refuse (builder, module, UNSUPPORTED,
        "takes several inputs, as only Concat, CBFuse and the head may", error);
    return YOLO_LAYER_NONE;
  }
  return yolo_torch_module (builder, module, in[0], error);
}

/* The model's own modules, in order. */
static gboolean
run_layers (YoloTorchBuilder *builder, const YoloPickleValue *model, guint image, GError **error)
{
  const YoloPickleValue *list = yolo_torch_child (model, "model");
  YoloPickleItems layers = yolo_torch_children (list);
  g_autoptr (GArray) outputs = g_array_new (FALSE, FALSE, sizeof (Source));

  if (layers.n == 0 || layers.n > 2 * MAX_LAYERS)
    return yolo_torch_refuse (builder, list, UNSUPPORTED, "is not the list of a YOLO", error);
  for (guint i = 0; i < layers.n / 2; i++) {
    g_autofree char *name = g_strdup_printf ("%u", i);
    g_autoptr (GArray) sources = g_array_new (FALSE, FALSE, sizeof (guint));
    g_autoptr (GPtrArray) from = g_ptr_array_new ();
    const YoloPickleValue *module = yolo_torch_enter (builder, list, name, error);
    Source source = { YOLO_LAYER_NONE, module };

    if (module == NULL
        || !find_sources (builder, module, outputs, image, sources, from, error))
      return FALSE;
    if (i == layers.n / 2 - 1)
      return yolo_torch_head (builder, module, sources->len, (const guint *) sources->data, error);
    source.layer = run_layer (builder, module, sources, from, error);
    if (source.layer == YOLO_LAYER_NONE)
      return FALSE;
    g_array_append_val (outputs, source);
    yolo_torch_leave (builder);
  }
  return yolo_torch_refuse (
      builder, list, UNSUPPORTED, "has nothing that is a head", error);
}

static void
add_name (GHashTable *names, gint64 number, const YoloPickleValue *value)
{
  const char *text = yolo_pickle_string (value);

  if (text != NULL && number >= 0 && number < MAX_CLASSES)
    g_hash_table_insert (names, GUINT_TO_POINTER ((guint) number), g_utf8_make_valid (text, -1));
}

/* {0: 'person', ...}, or a list; NULL: neither. */
static GHashTable *
read_names (const YoloPickleValue *value)
{
  GHashTable *names;
  YoloPickleItems pairs = yolo_pickle_pairs (value), items = yolo_pickle_items (value);
  gint64 number;

  if (pairs.n == 0 && items.n == 0)
    return NULL;
  names = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  for (guint i = 0; i < pairs.n; i += 2) {
    if (yolo_pickle_int (pairs.values[i], &number))
      add_name (names, number, pairs.values[i + 1]);
  }
  for (guint i = 0; i < items.n; i++)
    add_name (names, i, items.values[i]);
  return names;
}

/* An argument of training, which are a dict, or attributes of an object. */
static const YoloPickleValue *
argument (const YoloPickleValue *arguments, const char *name)
{
  const YoloPickleValue *value = yolo_pickle_lookup (arguments, name);
  return value != NULL ? value : yolo_pickle_attribute (arguments, name);
}

/* The size that the model was trained at: a number for both sides, or height and width. */
static void
read_size (const YoloPickleValue *root, const YoloPickleValue *model, YoloGraph *graph)
{
  const YoloPickleValue *size = argument (yolo_pickle_attribute (model, "args"), "imgsz");
  gint64 height, width;
  guint n;

  if (size == NULL)
    size = argument (yolo_pickle_lookup (root, "train_args"), "imgsz");
  n = yolo_pickle_items (size).n;
  if (!yolo_pickle_int (n > 0 ? yolo_pickle_item (size, 0) : size, &height)
      || !yolo_pickle_int (n > 1 ? yolo_pickle_item (size, 1)
              : n > 0            ? yolo_pickle_item (size, 0)
                                 : size,
          &width)
      || height < 1 || height > YOLO_MAX_SIZE || width < 1 || width > YOLO_MAX_SIZE)
    return;
  graph->height = (guint) height;
  graph->width = (guint) width;
}

/* The networks take R, G and B from 0 to 1 as they are. */
static guint
add_image (YoloGraph *graph, GError **error)
{
  float *factors = g_new0 (float, 3 * 3);

  for (guint c = 0; c < 3; c++)
    factors[3 * c + c] = 1;
  return yolo_graph_image (graph, "model", 3, FALSE, factors, g_new0 (float, 3), error);
}

/* What tables that were made for a network are known by: one for each head of a file. */
static char *
checksum (const void *data, gsize size, gboolean end_to_end)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  g_checksum_update (sum, data, (gssize) size);
  if (end_to_end)
    g_checksum_update (sum, (const guchar *) "end-to-end", -1);
  return g_strdup (g_checksum_get_string (sum));
}

YoloGraph *
yolo_torch_read (const void *data, gsize size, YoloHeadChoice head, GError **error)
{
  g_autoptr (YoloCheckpoint) checkpoint = yolo_checkpoint_open (data, size, error);
  g_autoptr (YoloGraph) graph = NULL;
  YoloTorchBuilder builder = { .checkpoint = checkpoint, .head = head };
  const YoloPickleValue *root, *model, *names;
  gboolean built;

  if (checkpoint == NULL)
    return NULL;
  root = yolo_checkpoint_root (checkpoint);
  model = find_model (root, error);
  if (model == NULL || !check_model (root, model, error))
    return NULL;

  graph = builder.graph = yolo_graph_new ("images", PROBE_HEIGHT, PROBE_WIDTH);
  builder.path = g_string_new ("model");
  built = run_layers (&builder, model, add_image (graph, NULL), error);
  g_string_free (builder.path, TRUE);
  if (!built)
    return NULL;
  names = yolo_pickle_attribute (model, "names");
  graph->named = !yolo_pickle_is_none (names);
  graph->names = read_names (names);
  read_size (root, model, graph);
  graph->sha256 = checksum (data, size, graph->form.end_to_end);
  return g_steal_pointer (&graph);
}
