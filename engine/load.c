/* SPDX-License-Identifier: MIT */
#include "engine/load.h"
#include "base/error.h"
#include "base/file.h"
#include "network/onnx/reader.h"
#include "network/torch/reader.h"

/* The reader of the file's format. ONNX has no signature, so that it is for what
 * no other format's reader recognises. */
static YoloGraph *
read_graph (const void *data, gsize size, const char *folder, GError **error)
{
  if (yolo_torch_is (data, size))
    return yolo_torch_read (data, size, error);
  return yolo_onnx_read (data, size, folder, error);
}

static YoloModel *
load (const void *data, gsize size, const char *name, const char *folder, GError **error)
{
  YoloGraph *graph = read_graph (data, size, folder, error);
  YoloModel *model = graph != NULL ? yolo_model_new (graph, name, error) : NULL;

  if (model == NULL)
    g_prefix_error (error, "%s: ", name);
  return model;
}

YoloModel *
yolo_model_load_bytes (const void *data, gsize size, const char *name, GError **error)
{
  g_return_val_if_fail (data != NULL || size == 0, NULL);
  return load (data, size, name, NULL, error);
}

YoloModel *
yolo_model_load (const char *path, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *bytes = NULL, *folder = NULL;
  gsize size;

  g_return_val_if_fail (path != NULL, NULL);
  bytes = yolo_file_read (path, YOLO_ONNX_MAX_FILE, &size, &reason);
  if (bytes == NULL) {
    gboolean memory = g_error_matches (reason, G_FILE_ERROR, G_FILE_ERROR_NOMEM);
    gboolean is_folder = g_error_matches (reason, G_FILE_ERROR, G_FILE_ERROR_ISDIR);
    yolo_network_set_error (error, memory ? YOLO_NETWORK_ERROR_MEMORY : YOLO_NETWORK_ERROR_FILE,
        "%s: %s%s", path, reason->message, is_folder ? "; give the model's file itself" : "");
    return NULL;
  }
  folder = g_path_get_dirname (path);
  return load (bytes, size, path, folder, error);
}
