/* SPDX-License-Identifier: MIT */
#include "network/onnx/external.h"
#include "base/file.h"
#include "base/error.h"
#include "network/onnx/reader.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* TensorProto.DataLocation */
#define EXTERNAL 1

typedef struct {
  const char *bytes;
  gsize size;
  gsize claimed;                /* bytes that the tensors so far have taken */
} DataFile;

typedef struct {
  OnnxFile *file;
  const char *folder;
  GTree *opened;                /* of DataFile, by location */
  gsize left;                   /* bytes that may still be read */
} Reader;

static const char *
entry (const Onnx__TensorProto *tensor, const char *key)
{
  for (gsize i = 0; i < tensor->n_external_data; i++) {
    const Onnx__StringStringEntryProto *pair = tensor->external_data[i];
    if (g_strcmp0 (pair->key, key) == 0)
      return pair->value;
  }
  return NULL;
}

static gint
compare_names (gconstpointer a, gconstpointer b, gpointer data)
{
  return strcmp (a, b);
}

static DataFile *
open_file (Reader *reader, const char *what, const char *location, GError **error)
{
  DataFile *found = g_tree_lookup (reader->opened, location);
  g_autoptr (GError) reason = NULL;
  gsize size;
  char *bytes;

  if (found != NULL)
    return found;
  bytes = yolo_file_read_below (reader->folder, location, reader->left, &size, &reason);
  if (bytes == NULL) {
    gboolean memory = g_error_matches (reason, G_FILE_ERROR, G_FILE_ERROR_NOMEM);
    yolo_network_set_error (error, memory ? YOLO_NETWORK_ERROR_MEMORY : YOLO_NETWORK_ERROR_FILE,
        "%s lies in another "
        "file, '%.200s': %s; keep that file in the model's folder, or save the model as one file",
        what, location, reason->message);
    return NULL;
  }
  reader->left -= size;
  g_ptr_array_add (reader->file->data_files, g_bytes_new_take (bytes, size));
  found = g_new (DataFile, 1);
  *found = (DataFile) { bytes, size, 0 };
  g_tree_insert (reader->opened, (gpointer) location, found);
  return found;
}

/* Reads a number of the tensor's entries; *value is `otherwise` where there is none. */
static gboolean
number (const Onnx__TensorProto *tensor, const char *key, const char *what, gsize otherwise,
    gsize *value, GError **error)
{
  const char *text = entry (tensor, key);
  guint64 n = otherwise;

  if (text != NULL && !g_ascii_string_to_unsigned (text, 10, 0, G_MAXSSIZE, &n, NULL))
    return yolo_network_fail (error, FORMAT,
        "%s lies in another file with %s '%.40s', which is impossible", what, key, text);
  *value = (gsize) n;
  return TRUE;
}

static gboolean
read_tensor (Reader *reader, Onnx__TensorProto *tensor, const char *what, GError **error)
{
  const char *location = entry (tensor, "location");
  gsize offset, length;
  DataFile *from;

  if (reader->folder == NULL)
    return yolo_network_fail (error, UNSUPPORTED,
        "%s keeps its data in another file, but the model comes from memory and "
        "has no folder; save it as one file (onnx.save_model with save_as_external_data=False)",
        what);
  if (location == NULL || *location == '\0' || tensor->has_raw_data)
    return yolo_network_fail (error, FORMAT, "%s %s", what,
        tensor->has_raw_data ? "has its data in this file and in another one"
                             : "keeps its data in another file, but does not name it");
  from = open_file (reader, what, location, error);
  if (from == NULL || !number (tensor, "offset", what, 0, &offset, error)
      || !number (
          tensor, "length", what, offset <= from->size ? from->size - offset : 0, &length, error))
    return FALSE;
  if (offset > from->size || length > from->size - offset)
    return yolo_network_fail (error, FORMAT,
        "%s should be %" G_GSIZE_FORMAT " bytes at %" G_GSIZE_FORMAT " of '%.200s', "
        "which has only %" G_GSIZE_FORMAT "; it is cut short or belongs to another model",
        what, length, offset, location, from->size);
  /* Else a small file could stand for any number of large tensors. */
  if (length > from->size - from->claimed)
    return yolo_network_fail (
        error, FORMAT, "%s lies where other tensors lie, in '%.200s'", what, location);
  from->claimed += length;

  tensor->has_raw_data = TRUE;
  tensor->raw_data.data = (guint8 *) from->bytes + offset;
  tensor->raw_data.len = length;
  tensor->has_data_location = FALSE;
  tensor->data_location = 0;
  g_ptr_array_add (reader->file->external, tensor);
  return TRUE;
}

static gboolean
is_external (const Onnx__TensorProto *tensor)
{
  return tensor != NULL && tensor->has_data_location && tensor->data_location == EXTERNAL;
}

static gboolean
read_all (Reader *reader, GError **error)
{
  const Onnx__GraphProto *graph = reader->file->proto->graph;

  for (gsize i = 0; i < graph->n_initializer; i++) {
    Onnx__TensorProto *tensor = graph->initializer[i];
    if (is_external (tensor)) {
      g_autofree char *what =
          g_strdup_printf ("initializer '%.80s'", tensor->name != NULL ? tensor->name : "");
      if (!read_tensor (reader, tensor, what, error))
        return FALSE;
    }
  }
  for (gsize i = 0; i < graph->n_node; i++) {
    const Onnx__NodeProto *node = graph->node[i];
    for (gsize k = 0; k < node->n_attribute; k++) {
      if (is_external (node->attribute[k]->t)) {
        g_autofree char *what =
            g_strdup_printf ("a constant of node '%.80s'", node->name != NULL ? node->name : "");
        if (!read_tensor (reader, node->attribute[k]->t, what, error))
          return FALSE;
      }
    }
  }
  return TRUE;
}

gboolean
yolo_external_read (OnnxFile *file, const char *folder, GError **error)
{
  g_autoptr (GTree) opened = g_tree_new_full (compare_names, NULL, NULL, g_free);
  Reader reader = { file, folder, opened, YOLO_ONNX_MAX_FILE };

  return read_all (&reader, error);
}
