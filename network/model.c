/* SPDX-License-Identifier: MIT */
#include "network/private.h"
#include "base/file.h"
#include "base/error.h"
#include "network/onnx/literal.h"

#include <string.h>

#define MAX_SIZE 8192
#define DEFAULT_SIZE 640
/* What a file with dynamic input is looked at with: a multiple of all strides
 * there are (P6 has 64), its sides different so that they cannot be mixed up. */
#define PROBE_HEIGHT 256
#define PROBE_WIDTH 384

static guint
nearest_size (const YoloModel *model, guint size)
{
  guint largest = MAX_SIZE / model->stride * model->stride;

  if (size >= largest)
    return largest;
  return MAX ((size + model->stride / 2) / model->stride * model->stride, model->stride);
}

gboolean
yolo_model_check_size (const YoloModel *model, guint height, guint width, GError **error)
{
  guint h = nearest_size (model, height), w = nearest_size (model, width);

  if (h == height && w == width)
    return TRUE;
  return yolo_network_fail (error, YOLO_NETWORK_ERROR_SIZE,
      "the network cannot run at %ux%u (width x height): "
      "sizes are multiples of %u up to %u; the nearest is %ux%u",
      width, height, model->stride, MAX_SIZE / model->stride * model->stride, w, h);
}

/* What the user should know of the names in the file's metadata, or NULL. */
static char *
names_problem (const YoloModel *model, GHashTable *names, guint n_found)
{
  GString *problem;

  if (names == NULL)
    return g_strdup (
        "the names of classes in its metadata are not understood: classes are named by number; "
        "give the names with label-file");
  if (n_found == model->n_classes && g_hash_table_size (names) == n_found)
    return NULL;
  problem = g_string_new (NULL);
  g_string_printf (problem, "its metadata name %u of the %u classes", n_found, model->n_classes);
  if (n_found < model->n_classes)
    g_string_append (problem, ", the rest is named by number");
  if (g_hash_table_size (names) > n_found)
    g_string_append_printf (
        problem, ", and %u that are not in the network", g_hash_table_size (names) - n_found);
  g_string_append (problem, "; give the names with label-file if they are wrong");
  return g_string_free (problem, FALSE);
}

static void
read_names (YoloModel *model, const OnnxFile *file)
{
  const char *text = onnx_metadata (file, "names");
  g_autoptr (GHashTable) names = text != NULL ? literal_names (text) : NULL;
  guint n_found = 0;

  model->names = g_new0 (char *, (gsize) model->n_classes + 1);
  for (guint c = 0; c < model->n_classes; c++) {
    const char *name = names != NULL ? g_hash_table_lookup (names, GUINT_TO_POINTER (c)) : NULL;
    model->names[c] = name != NULL ? g_strdup (name) : g_strdup_printf ("%u", c);
    n_found += name != NULL;
  }
  if (text != NULL)
    model->names_problem = names_problem (model, names, n_found);
}

/* The size that the file was exported for. */
static void
exported_size (const OnnxFile *file, guint *height, guint *width)
{
  const char *text = onnx_metadata (file, "imgsz");

  if (text == NULL || !literal_size (text, height, width))
    *height = *width = DEFAULT_SIZE;
  if (file->input_dims[2] > 0 && file->input_dims[3] > 0) {
    *height = (guint) file->input_dims[2];
    *width = (guint) file->input_dims[3];
  }
}

static void
read_size (YoloModel *model, const OnnxFile *file)
{
  guint height, width;

  exported_size (file, &height, &width);
  model->height = nearest_size (model, height);
  model->width = nearest_size (model, width);
}

static gboolean
probe_size (const OnnxFile *file, guint *height, guint *width, GError **error)
{
  const gint64 *dims = file->input_dims;

  if (dims[1] != 0 && dims[1] != 3)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
        "the input has %" G_GINT64_FORMAT
        " channels (dimensions N, C, height, width); models of 3 channels, R G B, are supported",
        dims[1]);
  if (dims[2] > MAX_SIZE || dims[3] > MAX_SIZE)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_SIZE,
        "the input is %" G_GINT64_FORMAT "x%" G_GINT64_FORMAT " pixels; at most %d are supported",
        dims[3], dims[2], MAX_SIZE);
  *height = dims[2] > 0 ? (guint) dims[2] : dims[3] > 0 ? (guint) dims[3] : PROBE_HEIGHT;
  *width = dims[3] > 0 ? (guint) dims[3] : dims[2] > 0 ? (guint) dims[2] : PROBE_WIDTH;
  return TRUE;
}

/* Input sizes must be multiples of what the narrowest map of the body, which
 * need not be one of the head, is smaller by. */
static void
read_stride (Model *model, guint height, guint width)
{
  YoloModel *public = &model->public;

  for (guint i = 0; i < model->layers->len; i++) {
    const Layer *layer = layer_at (model->layers, i);
    guint stride = height / layer->height;
    if (stride * layer->height == height && stride * layer->width == width)
      public->stride = MAX (public->stride, stride);
  }
}

static gboolean
count_macs (Model *model, GError **error)
{
  YoloModel *public = &model->public;
  Layer *input = layer_at (model->layers, 0);

  input->height = public->height;
  input->width = public->width;
  for (guint i = 0; i < model->layers->len; i++) {
    const Layer *layer = layer_at (model->layers, i);
    const YoloConv *conv = &layer->conv;

    if (!layer_size (model->layers, i, error))
      return FALSE;
    if (layer->type != LAYER_CONV)
      continue;
    public->n_convs++;
    public->macs += (double) layer->height * layer->width * conv->out_channels
        * (conv->in_channels / conv->groups) * conv->kernel[0] * conv->kernel[1];
  }
  return TRUE;
}

/* Whether the file has a convolution that yolo_model_to_int8() can run as it says. */
static gboolean
has_int8 (const Model *model)
{
  for (guint i = 0; i < model->layers->len; i++) {
    const Layer *layer = layer_at (model->layers, i);
    if (layer->type == LAYER_CONV && layer->conv.weight_scale != NULL)
      return TRUE;
  }
  return FALSE;
}

/* Lowers the file at a size, and finds its head. */
static Lowered *
look_at (const OnnxFile *file, guint height, guint width, Head *head, GError **error)
{
  g_autoptr (Lowered) lowered = lower (file, height, width, error);

  *head = (Head) { 0 };
  if (lowered == NULL || !head_find (lowered, onnx_metadata (file, "task"), head, error))
    return NULL;
  return g_steal_pointer (&lowered);
}

/* A file that leaves its size open is one for any size; if it is not, somebody
 * has taken its dimensions out, and it is one for the size it was exported for. */
static Lowered *
look_at_any (const OnnxFile *file, guint *height, guint *width, Head *head, GError **error)
{
  guint exported[2];
  Lowered *lowered;

  if (file->input_dims[2] > 0 && file->input_dims[3] > 0)
    return look_at (file, *height, *width, head, error);
  lowered = look_at (file, *height, *width, head, NULL);
  if (lowered != NULL)
    return lowered;
  exported_size (file, &exported[0], &exported[1]);
  *height = MIN (exported[0], MAX_SIZE);
  *width = MIN (exported[1], MAX_SIZE);
  return look_at (file, *height, *width, head, error);
}

/* Of the file, as sha256sum gives it, or of the file and those of its weights one
 * behind the other, in the order in which it names them. */
static char *
checksum (const void *data, gsize size, const OnnxFile *file)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  g_checksum_update (sum, data, (gssize) size);
  for (guint i = 0; i < file->data_files->len; i++) {
    gsize n;
    const guchar *bytes = g_bytes_get_data (g_ptr_array_index (file->data_files, i), &n);
    g_checksum_update (sum, bytes, (gssize) n);
  }
  return g_strdup (g_checksum_get_string (sum));
}

static YoloModel *
load (const void *data, gsize size, const char *name, const char *folder, GError **error)
{
  g_autoptr (OnnxFile) file = onnx_file_parse (data, size, folder, error);
  g_autoptr (Lowered) lowered = NULL;
  g_autoptr (YoloModel) public = NULL;
  const char *description;
  guint height, width;
  Model *model;
  Head head;

  if (file == NULL || !probe_size (file, &height, &width, error))
    return NULL;
  lowered = look_at_any (file, &height, &width, &head, error);
  if (lowered == NULL)
    return NULL;

  model = g_new0 (Model, 1);
  model->ref = 1;
  public = &model->public;
  model->rounding = head.rounding;
  public->n_outputs = head.n_outputs;
  memcpy (public->outputs, head.outputs, sizeof public->outputs);
  if (!passes_run (lowered->layers, public->outputs, public->n_outputs, error))
    return NULL;
  model->layers = g_array_ref (lowered->layers);

  public->path = g_strdup (name);
  public->task = g_strdup ("detect");
  description = onnx_metadata (file, "description");
  public->description = description != NULL ? g_utf8_make_valid (description, -1) : NULL;
  public->n_classes = head.n_classes;
  public->reg_max = head.reg_max;
  public->quantized = has_int8 (model);
  read_stride (model, height, width);
  read_names (public, file);
  read_size (public, file);
  if (!count_macs (model, error))
    return NULL;
  public->sha256 = checksum (data, size, file);
  return g_steal_pointer (&public);
}

static YoloModel *
load_named (const void *data, gsize size, const char *name, const char *folder, GError **error)
{
  YoloModel *model = load (data, size, name, folder, error);

  if (model == NULL)
    g_prefix_error (error, "%s: ", name);
  return model;
}

YoloModel *
yolo_model_load_bytes (const void *data, gsize size, const char *name, GError **error)
{
  g_return_val_if_fail (data != NULL || size == 0, NULL);
  return load_named (data, size, name, NULL, error);
}

YoloModel *
yolo_model_load (const char *path, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *bytes = NULL, *folder = NULL;
  gsize size;

  g_return_val_if_fail (path != NULL, NULL);
  bytes = yolo_file_read (path, ONNX_MAX_FILE, &size, &reason);
  if (bytes == NULL) {
    gboolean memory = g_error_matches (reason, G_FILE_ERROR, G_FILE_ERROR_NOMEM);
    gboolean is_folder = g_error_matches (reason, G_FILE_ERROR, G_FILE_ERROR_ISDIR);
    yolo_network_set_error (error, memory ? YOLO_NETWORK_ERROR_MEMORY : YOLO_NETWORK_ERROR_FILE,
        "%s: %s%s", path, reason->message, is_folder ? "; give the .onnx file itself" : "");
    return NULL;
  }
  folder = g_path_get_dirname (path);
  return load_named (bytes, size, path, folder, error);
}

YoloModel *
yolo_model_ref (YoloModel *model)
{
  g_atomic_int_inc (&((Model *) model)->ref);
  return model;
}

void
yolo_model_unref (YoloModel *public)
{
  Model *model = (Model *) public;

  if (model == NULL || !g_atomic_int_dec_and_test (&model->ref))
    return;
  if (model->base != NULL) {
    g_array_unref (model->layers);
    g_ptr_array_unref (model->owned);
    yolo_model_unref (&model->base->public);
    g_free (public->calibration_problem);
    g_free (model);
    return;
  }
  g_free (public->path);
  g_free (public->sha256);
  g_free (public->task);
  g_free (public->description);
  g_strfreev (public->names);
  g_free (public->names_problem);
  if (model->layers != NULL)
    g_array_unref (model->layers);
  g_free (model);
}
