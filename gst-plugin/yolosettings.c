/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolosettings.h"
#include "base/file.h"
#include "base/text.h"

#include <string.h>

#define MAX_LABEL_FILE_SIZE (1 << 20)

GType
yolo_settings_head_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    {YOLO_HEAD_AUTO, "the one that the file says", "auto"},
    {YOLO_HEAD_ONE_TO_MANY, "many candidates for an object, of which iou-threshold leaves one",
        "one-to-many"},
    {YOLO_HEAD_END_TO_END, "one candidate for an object: nothing is suppressed", "end-to-end"},
    {0, NULL, NULL}
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloInferHead", values));
  return type;
}

GType
yolo_settings_inference_region_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    {YOLO_INFERENCE_FRAME, "the frame, or what roi and tiles make of it", "full-frame"},
    {YOLO_INFERENCE_OBJECTS, "each object that an earlier element has attached", "roi-list"},
    {0, NULL, NULL}
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloInferInferenceRegion", values));
  return type;
}

GType
yolo_settings_precision_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    {YOLO_PRECISION_AUTO, "the fastest that the device runs natively and that keeps the detections",
        "auto"},
    {YOLO_PRECISION_FP32, "32 bit floating point", "fp32"},
    {YOLO_PRECISION_FP16, "16 bit floating point", "fp16"},
    {YOLO_PRECISION_BF16, "16 bit floating point of fp32's range", "bf16"},
    {YOLO_PRECISION_INT8, "8 bit integers", "int8"},
    {0, NULL, NULL}
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloInferPrecision", values));
  return type;
}

GType
yolo_settings_calibration_method_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    {YOLO_CALIBRATION_MSE, "the range with the least squared error", "mse"},
    {YOLO_CALIBRATION_PERCENTILE, "without one number in ten thousand at each end", "percentile"},
    {YOLO_CALIBRATION_MIN_MAX, "all that was seen", "min-max"},
    {0, NULL, NULL}
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloInferCalibrationMethod", values));
  return type;
}

gboolean
yolo_settings_is_calibrating (const YoloSettings *settings)
{
  return settings->calibrate != NULL && *settings->calibrate != '\0';
}

const gchar *
yolo_settings_device (const YoloSettings *settings)
{
  return yolo_settings_is_calibrating (settings) ? "cpu" : settings->device;
}

gint
yolo_settings_cuda_device (const YoloSettings *settings)
{
  YoloDevices devices;
  guint copies = 0;

  /* of a network in pieces, the first one is given the frames */
  if (yolo_devices_parse (settings->device, &devices, NULL))
    for (guint i = 0; i < devices.n; i++)
      copies += !devices.at[i].joined;
  if (copies == 1 && devices.at[0].kind == YOLO_DEVICE_CUDA && devices.at[0].number >= 0)
    return devices.at[0].number;
  return settings->cuda_device_set ? (gint) settings->cuda_device_id : -1;
}

YoloLiveSettings
yolo_live_settings_copy (const YoloLiveSettings *live)
{
  YoloLiveSettings copy = *live;

  if (copy.classes != NULL)
    g_bytes_ref (copy.classes);
  if (copy.areas != NULL)
    g_array_ref (copy.areas);
  if (copy.object_labels != NULL)
    g_array_ref (copy.object_labels);
  return copy;
}

void
yolo_live_settings_clear (YoloLiveSettings *live)
{
  g_clear_pointer (&live->classes, g_bytes_unref);
  g_clear_pointer (&live->areas, g_array_unref);
  g_clear_pointer (&live->object_labels, g_array_unref);
}

gboolean
yolo_settings_parse_parts (YoloSettings *settings, GError **error)
{
  g_clear_pointer (&settings->live.areas, g_array_unref);
  if (!yolo_areas_parse (settings->roi, &settings->live.areas)) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "roi \"%s\" " YOLO_ROI_IS_WRONG, settings->roi);
    return FALSE;
  }
  if (!yolo_tiling_parse (settings->tiles, &settings->live.tiling)) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "tiles \"%s\" are not COLUMNSxROWS: give two numbers from 1 to %d, for instance 3x2",
        settings->tiles, YOLO_MAX_TILES);
    return FALSE;
  }
  if (settings->inference_region == YOLO_INFERENCE_OBJECTS && settings->live.tiling.columns > 0) {
    g_set_error_literal (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "tiles are of frames, and inference-region=roi-list looks at objects: leave one of the "
        "two out");
    return FALSE;
  }
  g_clear_pointer (&settings->live.object_labels, g_array_unref);
  return yolo_settings_parse_labels (settings->object_class, &settings->live.object_labels, error);
}

gboolean
yolo_settings_parse_size (
    const gchar *string, const YoloModel *model, guint *width, guint *height, GError **error)
{
  g_auto (GStrv) parts = NULL;
  guint64 w = model->width, h = model->height;

  if (string != NULL && *string != '\0') {
    parts = g_strsplit (string, "x", 2);
    if (!g_ascii_string_to_unsigned (parts[0], 10, 0, G_MAXINT, &w, NULL)
        || (parts[1] && !g_ascii_string_to_unsigned (parts[1], 10, 0, G_MAXINT, &h, NULL))) {
      g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          "input-size \"%s\" is not a size: give \"auto\", one number or WIDTHxHEIGHT in "
          "multiples of %u, for instance %ux%u",
          string, model->stride, model->width, model->height);
      return FALSE;
    }
    if (parts[1] == NULL)
      h = w;
  }
  *width = w;
  *height = h;
  return yolo_model_check_size (model, h, w, error);
}

gboolean
yolo_settings_next_class (const gchar **at, GString *name, gboolean *quoted)
{
  const gchar *end;

  while (g_ascii_isspace (**at))
    (*at)++;
  g_string_truncate (name, 0);
  *quoted = **at == '"';
  if (!*quoted) {
    g_string_append_len (name, *at, strcspn (*at, ","));
    *at += name->len;
    g_string_truncate (name, strlen (g_strchomp (name->str)));
    return TRUE;
  }
  for (end = *at + 1; *end != '\0' && (*end != '"' || end[1] == '"'); end++) {
    end += *end == '"';
    g_string_append_c (name, *end);
  }
  if (*end != '"')
    return FALSE;
  for (end++; g_ascii_isspace (*end); end++);
  *at = end;
  return *end == ',' || *end == '\0';
}

gboolean
yolo_settings_parse_labels (const gchar *string, GArray **labels, GError **error)
{
  g_autoptr (GString) name = g_string_new (NULL);
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (GQuark));
  const gchar *at = string;
  gboolean quoted;

  *labels = NULL;
  while (at != NULL && *at != '\0') {
    GQuark label;

    at += at > string;          /* the comma */
    if (!yolo_settings_next_class (&at, name, &quoted)) {
      g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          "object-class \"%s\": a quote is not closed, or something other than a comma is behind "
          "it; a name in quotes has its own quotes doubled", string);
      return FALSE;
    }
    label = g_quark_from_string (name->str);
    g_array_append_val (found, label);
  }
  if (found->len > 0)
    *labels = g_steal_pointer (&found);
  return TRUE;
}

/* Marks in mask[n] the classes that @name means: digits alone are a number, unless
 * they are in quotes; all else is a name, which several classes may have. FALSE: there
 * is no such class. */
static gboolean
choose_class (const gchar *name, gboolean quoted, const GQuark *labels, guint n, guint8 *mask)
{
  const GQuark quark = g_quark_try_string (name);
  gboolean found = FALSE;
  guint64 id;
  guint i;

  if (!quoted && *name != '\0' && name[strspn (name, "0123456789")] == '\0') {
    found = g_ascii_string_to_unsigned (name, 10, 0, n - 1, &id, NULL);
    if (found)
      mask[id] = TRUE;
    return found;
  }
  for (i = 0; quark != 0 && i < n; i++) {
    if (labels[i] == quark)
      mask[i] = found = TRUE;
  }
  return found;
}

/* A class's name in quotes, as yolo_settings_next_class() reads it. */
static gchar *
quote_class (GQuark label)
{
  g_auto (GStrv) parts = g_strsplit (g_quark_to_string (label), "\"", -1);
  g_autofree gchar *doubled = g_strjoinv ("\"\"", parts);

  return g_strdup_printf ("\"%s\"", doubled);
}

gboolean
yolo_settings_parse_classes (const gchar *string, const YoloModel *model, const GQuark *labels,
    GBytes **classes, GError **error)
{
  const guint n = model->n_classes;
  g_autoptr (GString) name = g_string_new (NULL);
  g_autofree guint8 *mask = NULL;
  const gchar *at = string;
  gboolean quoted;

  *classes = NULL;
  if (string == NULL || *string == '\0')
    return TRUE;

  mask = g_malloc0 (n);
  /* GStreamer takes the quotes off a value that stands in quotes as a whole */
  if (choose_class (string, FALSE, labels, n, mask))
    at = "";
  while (*at != '\0') {
    at += at > string;          /* the comma */
    if (!yolo_settings_next_class (&at, name, &quoted)) {
      g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          "class-ids \"%s\": a quote is not closed, or something other than a comma is behind it; "
          "a name in quotes has its own quotes doubled", string);
      return FALSE;
    }
    if (!choose_class (name->str, quoted, labels, n, mask)) {
      g_autofree gchar *example = quote_class (labels[0]);

      g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          "class-ids \"%s\": \"%s\" is not a class of %s; give numbers from 0 to %u or names, "
          "for instance %s (the quotes are needed where a name has a comma or is a number)",
          string, name->str, model->path, n - 1, example);
      return FALSE;
    }
  }
  *classes = g_bytes_new_take (g_steal_pointer (&mask), n);
  return TRUE;
}

/* The names in a label file's text, which it takes; NULL with @error: it is not text. */
static gchar **
split_labels (gchar *text, gsize size, const gchar *file, GError **error)
{
  g_autofree gchar *owned = text;

  /* UTF-16, which editors of Windows offer: half of the bytes of ASCII are 0 there */
  if (memchr (text, '\0', size) != NULL || g_str_has_prefix (text, "\xff\xfe")
      || g_str_has_prefix (text, "\xfe\xff")) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
        "label-file %s is not text in UTF-8 (perhaps it is UTF-16): save it as UTF-8, with one "
        "name a line",
        file);
    return NULL;
  }
  return g_strsplit (yolo_text_skip_bom (g_strchomp (text)), "\n", -1);
}

GQuark *
yolo_settings_load_labels (
    GstElement *element, const gchar *file, const YoloModel *model, GError **error)
{
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GError) local = NULL;
  GQuark *labels;
  gsize size;
  guint i, n, n_names = 0;

  if (file == NULL || *file == '\0') {
    if (model->names_problem != NULL) {
      g_autofree gchar *path = yolo_text_printable (model->path, YOLO_TEXT_MAX_MESSAGE);

      GST_ELEMENT_WARNING (element, RESOURCE, SETTINGS, ("%s: %s", path, model->names_problem),
          (NULL));
    }
    labels = g_new (GQuark, model->n_classes);
    for (i = 0; i < model->n_classes; i++)
      labels[i] = g_quark_from_string (model->names[i]);
    return labels;
  }

  text = yolo_file_read (file, MAX_LABEL_FILE_SIZE, &size, &local);
  if (text == NULL) {
    g_set_error (error, GST_RESOURCE_ERROR,
        g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT) ? GST_RESOURCE_ERROR_NOT_FOUND
                                                                  : GST_RESOURCE_ERROR_OPEN_READ,
        "label-file %s: %s; it is a text file with one name a line", file, local->message);
    return NULL;
  }

  lines = split_labels (g_steal_pointer (&text), size, file, error);
  if (lines == NULL)
    return NULL;
  n = g_strv_length (lines);
  labels = g_new (GQuark, model->n_classes);
  for (i = 0; i < MAX (n, model->n_classes); i++) {
    const gchar *line = i < n ? g_strstrip (lines[i]) : "";
    g_autofree gchar *name = *line != '\0' ? g_utf8_make_valid (line, -1)
        : g_strdup_printf ("%u", i);

    n_names += *line != '\0';
    if (i < model->n_classes)
      labels[i] = g_quark_from_string (name);
  }
  if (n != model->n_classes || n_names != n) {
    g_autofree gchar *path = yolo_text_printable (file, YOLO_TEXT_MAX_MESSAGE);

    GST_ELEMENT_WARNING (element, RESOURCE, SETTINGS,
        ("label-file %s: %u names for %u classes, the rest is %s", path, n_names, model->n_classes,
            n > model->n_classes ? "not used" : "named by number"), (NULL));
  }
  return labels;
}
