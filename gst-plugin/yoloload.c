/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloload.h"

#include "base/text.h"
#include "gst-plugin/gstyoloinfer.h"
#include "gst-plugin/yolocuda.h"

#include <string.h>

#define GST_CAT_DEFAULT yolo_infer_debug

void
yolo_load_init (YoloLoad *load, GstBaseTransform *element, YoloSettings *settings,
    YoloResultFunc func)
{
  *load = (YoloLoad) { .element = element, .settings = settings, .func = func };
}

gboolean
yolo_load_reads_device_memory (YoloLoad *load)
{
  gboolean reads;

  GST_OBJECT_LOCK (load->element);
  reads = load->engine != NULL
      ? yolo_engine_takes (load->engine, YOLO_MEMORY_CUDA)
      : yolo_device_takes (yolo_settings_device (load->settings), YOLO_MEMORY_CUDA);
  GST_OBJECT_UNLOCK (load->element);
  return reads;
}

/* The CUcontext that the engine is asked to run in; NULL: the primary one, which
 * is the same for all who ask. */
static gpointer
handle_of (GstObject *context)
{
  return context == NULL || yolo_cuda_context_is_primary (context)
      ? NULL
      : yolo_cuda_context_handle (context);
}

/* Number of the GPU that the context is on, or that the settings ask for. */
static guint
device_of (YoloLoad *load, GstObject *context)
{
  gint wanted;

  if (context != NULL)
    return yolo_cuda_context_device (context);
  GST_OBJECT_LOCK (load->element);
  wanted = yolo_settings_cuda_device (load->settings);
  GST_OBJECT_UNLOCK (load->element);
  return MAX (wanted, 0);
}

/* Gets the engine that the settings ask for, which blocks while a model is loaded;
 * NULL with @error. */
static YoloEngine *
get_engine (YoloLoad *load, GstObject *context, GError **error)
{
  YoloSettings *settings = load->settings;
  const gchar *model_file = load->file;
  g_autofree gchar *engine_id = NULL, *calibration_file = NULL, *device = NULL;
  g_autoptr (GError) wrong = NULL;
  YoloEngineConfig config;
  YoloDevices devices;

  GST_OBJECT_LOCK (load->element);
  engine_id = g_strdup (settings->engine_id);
  device = g_strdup (yolo_settings_device (settings));
  if (settings->calibration_file != NULL && *settings->calibration_file != '\0')
    calibration_file = g_strdup (settings->calibration_file);
  yolo_settings_parse_parts (settings, &wrong);
  config = (YoloEngineConfig) {
    .model_file = model_file, .id = engine_id, .device = device,
    .cuda_device_id = load->device, .cuda_context = handle_of (context),
    .precision = yolo_settings_is_calibrating (settings) ? YOLO_PRECISION_FP32
        : settings->precision,
    .head = settings->head, .calibration_file = calibration_file, .threads = settings->threads,
  };
  GST_OBJECT_UNLOCK (load->element);

  /* an engine that exists already is found by its id alone */
  if ((model_file == NULL || *model_file == '\0') && engine_id == NULL) {
    g_set_error_literal (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "no model: set model-file to the .pt or .onnx file of a YOLO");
    return NULL;
  }
  if (wrong == NULL && !yolo_devices_parse (device, &devices, &wrong)) {
    /* a setting, and no device that is missing */
    wrong->domain = GST_LIBRARY_ERROR;
    wrong->code = GST_LIBRARY_ERROR_SETTINGS;
  }
  if (wrong != NULL) {
    g_propagate_error (error, g_steal_pointer (&wrong));
    return NULL;
  }
  return yolo_engine_get (&config, error);
}

/* Reads the settings whose meaning depends on the model: input-size, the names of the
 * classes, and which of them are wanted. */
static gboolean
read_settings (YoloLoad *load, GError **error)
{
  YoloSettings *settings = load->settings;
  g_autofree gchar *label_file = NULL, *input_size = NULL;
  g_autoptr (GBytes) classes = NULL;
  GQuark *labels;
  gboolean ok;

  GST_OBJECT_LOCK (load->element);
  label_file = g_strdup (settings->label_file);
  input_size = g_strdup (settings->input_size);
  GST_OBJECT_UNLOCK (load->element);

  load->auto_size = input_size != NULL && g_ascii_strcasecmp (input_size, "auto") == 0;
  if (settings->live.tiling.columns > 0 && g_strcmp0 (load->model->task, "classify") == 0) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "tiles need a network that finds boxes, and %s says what a picture is: leave tiles out",
        load->model->path);
    return FALSE;
  }
  if (!yolo_settings_parse_size (load->auto_size ? NULL : input_size, load->model,
          &load->net_width, &load->net_height, error))
    return FALSE;
  labels = yolo_settings_load_labels (GST_ELEMENT (load->element), label_file, load->model, error);
  if (labels == NULL)
    return FALSE;
  GST_OBJECT_LOCK (load->element);
  load->labels = labels;
  ok = yolo_settings_parse_classes (settings->class_ids, load->model, labels, &classes, error);
  GST_OBJECT_UNLOCK (load->element);
  return ok;
}

void
yolo_load_use_classes (YoloLoad *load)
{
  YoloSettings *settings = load->settings;
  g_autoptr (GError) error = NULL;

  GST_OBJECT_LOCK (load->element);
  g_clear_pointer (&settings->live.classes, g_bytes_unref);
  yolo_settings_parse_classes (
      settings->class_ids, load->model, load->labels, &settings->live.classes, &error);
  GST_OBJECT_UNLOCK (load->element);
  /* read_settings() has found them right; they were set since */
  if (error) {
    g_autofree gchar *text = yolo_text_printable (error->message, YOLO_TEXT_MAX_MESSAGE);

    GST_ELEMENT_WARNING (
        load->element, LIBRARY, SETTINGS, ("%s", text), ("all classes are found"));
  }
}

/* Begins to calibrate, if the property calibrate names a table. */
static gboolean
start_calibration (YoloLoad *load, GError **error)
{
  const YoloSettings *settings = load->settings;
  g_autofree gchar *file = NULL;
  g_autoptr (GError) reason = NULL;
  YoloCalibratorConfig config = { .model_file = load->model->path,
    .head = load->settings->head };
  guint frames;

  GST_OBJECT_LOCK (load->element);
  if (yolo_settings_is_calibrating (settings))
    file = g_strdup (settings->calibrate);
  frames = settings->calibration_frames;
  config.method = settings->calibration_method;
  config.max_loss = settings->max_loss;
  config.confidence = settings->live.confidence;
  config.iou = settings->live.iou;
  config.threads = settings->threads;
  GST_OBJECT_UNLOCK (load->element);
  if (file == NULL)
    return TRUE;
  /* said now, and not after minutes of calibration */
  if (!yolo_calibration_check_path (file, &reason)) {
    g_set_error_literal (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_WRITE, reason->message);
    return FALSE;
  }
  load->calibration = yolo_calibrate_new (
      GST_BASE_TRANSFORM_SINK_PAD (load->element), &config, file, frames, error);
  return load->calibration != NULL;
}

gboolean
yolo_load_set_batching (YoloLoad *load)
{
  g_autoptr (YoloEngine) engine = NULL;
  guint batch_size;
  guint64 batch_timeout;

  GST_OBJECT_LOCK (load->element);
  load->settings->batching_set = TRUE;
  batch_size = load->settings->batch_size;
  batch_timeout = load->settings->batch_timeout;
  if (load->engine)
    engine = yolo_engine_ref (load->engine);
  GST_OBJECT_UNLOCK (load->element);
  if (engine == NULL)
    return FALSE;
  yolo_engine_set_batching (engine, batch_size, batch_timeout);
  return TRUE;
}

void
yolo_load_set_share (YoloLoad *load)
{
  GST_OBJECT_LOCK (load->element);
  if (load->stream)
    yolo_stream_set_share (load->stream, load->settings->weight, load->settings->min_rate);
  GST_OBJECT_UNLOCK (load->element);
}

static void
open_stream (YoloLoad *load)
{
  YoloStream *stream;
  gboolean batching_set;
  guint max_in_flight;

  GST_OBJECT_LOCK (load->element);
  batching_set = load->settings->batching_set;
  max_in_flight = load->settings->max_in_flight;
  GST_OBJECT_UNLOCK (load->element);
  /* a default does not overrule what another element of the engine has set */
  if (batching_set)
    yolo_load_set_batching (load);
  stream = yolo_engine_open_stream (
      load->engine, handle_of (load->context), max_in_flight, load->func, load->element);
  yolo_device_watch_begin (&load->watch, stream);
  GST_OBJECT_LOCK (load->element);
  load->stream = stream;
  GST_OBJECT_UNLOCK (load->element);
  yolo_load_set_share (load);
}

static GQuark
name_of (const gchar *path)
{
  g_autofree gchar *file = g_path_get_basename (path), *name = g_utf8_make_valid (file, -1);
  gchar *ending = strrchr (name, '.');

  if (ending != NULL && ending > name)
    *ending = '\0';
  return g_quark_from_string (name);
}

gboolean
yolo_load_start (YoloLoad *load, const gchar *file, GstObject *context, GError **error)
{
  YoloEngine *engine;

  load->device = device_of (load, context);
  GST_OBJECT_LOCK (load->element);
  load->file = g_strdup (file != NULL ? file : load->settings->model_file);
  GST_OBJECT_UNLOCK (load->element);
  engine = get_engine (load, context, error);
  if (engine == NULL)
    return FALSE;
  GST_OBJECT_LOCK (load->element);
  if (context != NULL)
    load->context = gst_object_ref (context);
  load->engine = engine;
  GST_OBJECT_UNLOCK (load->element);
  load->model = yolo_engine_model (engine);
  load->model_name = name_of (load->model->path);
  if (load->model->calibration_problem != NULL)
    GST_ELEMENT_WARNING (
        load->element, STREAM, FORMAT, ("%s", load->model->calibration_problem), (NULL));
  if (!read_settings (load, error) || !start_calibration (load, error))
    return FALSE;
  open_stream (load);
  /* with input-size=auto, the size is known only when frames come */
  return load->auto_size
      || yolo_engine_prepare (
          engine, handle_of (context), load->net_width, load->net_height, error);
}

void
yolo_load_stop (YoloLoad *load)
{
  g_autoptr (GstObject) context = NULL;
  YoloEngine *engine;
  YoloStream *stream;

  GST_OBJECT_LOCK (load->element);
  stream = g_steal_pointer (&load->stream);
  GST_OBJECT_UNLOCK (load->element);
  if (stream)
    yolo_stream_close (stream);
  g_clear_pointer (&load->calibration, yolo_calibrate_free);
  GST_OBJECT_LOCK (load->element);
  engine = g_steal_pointer (&load->engine);
  load->model = NULL;
  g_clear_pointer (&load->labels, g_free);
  g_clear_pointer (&load->file, g_free);
  context = g_steal_pointer (&load->context);
  GST_OBJECT_UNLOCK (load->element);
  /* a replica of the engine runs in the context until then */
  if (engine)
    yolo_engine_leave (engine, handle_of (context));
}

void
yolo_load_replace (YoloLoad *load, const YoloLoad *next)
{
  yolo_load_stop (load);
  GST_OBJECT_LOCK (load->element);
  *load = *next;
  g_free (load->settings->model_file);
  load->settings->model_file = g_strdup (load->file);
  GST_OBJECT_UNLOCK (load->element);
  yolo_load_use_classes (load);
}

GstObject *
yolo_load_ref_context (YoloLoad *load)
{
  GstObject *context;

  GST_OBJECT_LOCK (load->element);
  context = load->context != NULL ? gst_object_ref (load->context) : NULL;
  GST_OBJECT_UNLOCK (load->element);
  return context;
}

gboolean
yolo_load_move (YoloLoad *load, GstObject *context, GError **error)
{
  g_autoptr (YoloEngine) engine = NULL;

  if (load->engine == NULL
      || (handle_of (load->context) == handle_of (context)
          && load->device == device_of (load, context)))
    return TRUE;
  GST_INFO_OBJECT (load->element, "the network moves to %" GST_PTR_FORMAT, context);
  /* kept, so that its model is not read again: in another context of its device it has
   * another replica */
  if (load->device == device_of (load, context))
    engine = yolo_engine_ref (load->engine);
  yolo_load_stop (load);
  if (yolo_load_start (load, NULL, context, error)) {
    yolo_load_use_classes (load);
    return TRUE;
  }
  yolo_load_stop (load);
  return FALSE;
}

void
yolo_load_set_idle (YoloLoad *load)
{
  GST_OBJECT_LOCK (load->element);
  if (load->stream)
    yolo_stream_set_active (load->stream, FALSE);
  GST_OBJECT_UNLOCK (load->element);
}

void
yolo_load_set_classes (YoloLoad *load, const gchar *string)
{
  YoloSettings *settings = load->settings;
  g_autoptr (GError) error = NULL;
  GBytes *classes = NULL;

  GST_OBJECT_LOCK (load->element);
  if (load->labels == NULL
      || yolo_settings_parse_classes (string, load->model, load->labels, &classes, &error)) {
    g_free (settings->class_ids);
    settings->class_ids = g_strdup (string);
    g_clear_pointer (&settings->live.classes, g_bytes_unref);
    settings->live.classes = classes;
  }
  GST_OBJECT_UNLOCK (load->element);
  if (error) {
    g_autofree gchar *text = yolo_text_printable (error->message, YOLO_TEXT_MAX_MESSAGE);

    GST_ELEMENT_WARNING (
        load->element, LIBRARY, SETTINGS, ("%s", text), ("class-ids stay as they were"));
  }
}
