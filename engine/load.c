/* SPDX-License-Identifier: MIT */
#include "engine/load.h"
#include "base/error.h"
#include "base/file.h"
#include "network/onnx/reader.h"
#include "network/torch/reader.h"

/* The reader of the file's format. ONNX has no signature, so that it is for what
 * no other format's reader recognises. */
static YoloGraph *
read_graph (
    const void *data, gsize size, const char *folder, YoloHeadChoice head, GError **error)
{
  if (yolo_torch_is (data, size))
    return yolo_torch_read (data, size, head, error);
  return yolo_onnx_read (data, size, folder, error);
}

/* Whether the head is the one that is asked for: exported files have only one. What
 * classifies has none of the two. */
static gboolean
check_head (const YoloGraph *graph, YoloHeadChoice head, GError **error)
{
  gboolean wanted = head == YOLO_HEAD_END_TO_END, has = graph->form.end_to_end != 0;

  if (head == YOLO_HEAD_AUTO || wanted == has || graph->outputs[0].role == YOLO_MAP_LOGIT)
    return TRUE;
  return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
      "the file has %s head: use head=auto, or export it with nms=%s",
      has ? "an end-to-end" : "a one-to-many", wanted ? "False" : "None");
}

static YoloModel *
load (const void *data, gsize size, const char *name, const char *folder, YoloHeadChoice head,
    GError **error)
{
  g_autoptr (YoloGraph) graph = read_graph (data, size, folder, head, error);
  YoloModel *model = graph != NULL && check_head (graph, head, error)
      ? yolo_model_new (g_steal_pointer (&graph), name, error)
      : NULL;

  if (model == NULL)
    g_prefix_error (error, "%s: ", name);
  return model;
}

YoloModel *
yolo_model_load_bytes (const void *data, gsize size, const char *name, GError **error)
{
  g_return_val_if_fail (data != NULL || size == 0, NULL);
  return load (data, size, name, NULL, YOLO_HEAD_AUTO, error);
}

YoloModel *
yolo_model_load (const char *path, GError **error)
{
  return yolo_model_load_head (path, YOLO_HEAD_AUTO, error);
}

YoloModel *
yolo_model_load_head (const char *path, YoloHeadChoice head, GError **error)
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
  return load (bytes, size, path, folder, head, error);
}
