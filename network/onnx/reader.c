/* SPDX-License-Identifier: MIT */
#include "network/onnx/reader.h"
#include "base/error.h"
#include "network/onnx/head.h"
#include "network/onnx/literal.h"

/* The size at which a file is looked at that leaves its own open: a multiple of all
 * strides (P6 has 64), with sides that cannot be mixed up. */
#define PROBE_HEIGHT 256
#define PROBE_WIDTH 384

/* Where a network that classifies does not say its size: ImageNet's, as Ultralytics has it. */
#define CLASSIFY_SIZE 224

/* Gives the size that the file was exported for, @size on both sides if it does not say. */
static void
exported_size (const OnnxFile *file, guint size, guint *height, guint *width)
{
  const char *text = yolo_onnx_metadata (file, "imgsz");

  if (text == NULL || !yolo_literal_size (text, height, width))
    *height = *width = size;
  if (file->input_dims[2] > 0 && file->input_dims[3] > 0) {
    *height = (guint) file->input_dims[2];
    *width = (guint) file->input_dims[3];
  }
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
  if (dims[2] > YOLO_MAX_SIZE || dims[3] > YOLO_MAX_SIZE)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_SIZE,
        "the input is %" G_GINT64_FORMAT "x%" G_GINT64_FORMAT " pixels; at most %d are supported",
        dims[3], dims[2], YOLO_MAX_SIZE);
  *height = dims[2] > 0 ? (guint) dims[2] : dims[3] > 0 ? (guint) dims[3] : PROBE_HEIGHT;
  *width = dims[3] > 0 ? (guint) dims[3] : dims[2] > 0 ? (guint) dims[2] : PROBE_WIDTH;
  return TRUE;
}

/* Lowers the file at a size in pixels, and finds its head. */
static Lowered *
look_at (const OnnxFile *file, guint height, guint width, GError **error)
{
  g_autoptr (Lowered) lowered = yolo_lower (file, height, width, error);

  if (lowered == NULL || !yolo_head_find (lowered, yolo_onnx_metadata (file, "task"), error))
    return NULL;
  return g_steal_pointer (&lowered);
}

/* The same at a size that suits the file. One that leaves its size open is for any size.
 * If it is not, somebody has taken its dimensions out, and it is for the size that it was
 * exported for. */
static Lowered *
look_at_any (const OnnxFile *file, guint height, guint width, GError **error)
{
  guint exported[2];
  Lowered *lowered;

  if (file->input_dims[2] > 0 && file->input_dims[3] > 0)
    return look_at (file, height, width, error);
  lowered = look_at (file, height, width, NULL);
  if (lowered != NULL)
    return lowered;
  exported_size (file, YOLO_DEFAULT_SIZE, &exported[0], &exported[1]);
  height = MIN (exported[0], YOLO_MAX_SIZE);
  width = MIN (exported[1], YOLO_MAX_SIZE);
  return look_at (file, height, width, error);
}

/* The SHA-256 of the file, as sha256sum gives it; where other files hold weights, of the
 * file and these, one behind the other, in the order in which it names them. */
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

YoloGraph *
yolo_onnx_read (const void *data, gsize size, const char *folder, GError **error)
{
  g_autoptr (OnnxFile) file = yolo_onnx_file_parse (data, size, folder, error);
  g_autoptr (Lowered) lowered = NULL;
  const char *description, *names;
  guint height, width;
  YoloGraph *graph;

  if (file == NULL || !probe_size (file, &height, &width, error))
    return NULL;
  lowered = look_at_any (file, height, width, error);
  if (lowered == NULL)
    return NULL;

  graph = g_steal_pointer (&lowered->graph);
  description = yolo_onnx_metadata (file, "description");
  graph->description = description != NULL ? g_utf8_make_valid (description, -1) : NULL;
  names = yolo_onnx_metadata (file, "names");
  graph->named = names != NULL;
  graph->names = names != NULL ? yolo_literal_names (names) : NULL;
  exported_size (file, g_str_equal (graph->task, "classify") ? CLASSIFY_SIZE : YOLO_DEFAULT_SIZE,
      &graph->height, &graph->width);
  graph->sha256 = checksum (data, size, file);
  return graph;
}
