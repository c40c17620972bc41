#include "gst-plugin/yolosettings.h"

#include "base/file.h"

#define MAX_LABEL_FILE_SIZE (1 << 20)

gboolean
yolo_region_parse (const gchar *string, YoloRegion *roi)
{
  g_auto (GStrv) parts = NULL;
  gint64 v[4];
  guint i;

  *roi = (YoloRegion) { 0 };
  if (string == NULL || *string == '\0')
    return TRUE;
  parts = g_strsplit (string, ",", -1);
  if (g_strv_length (parts) != 4)
    return FALSE;
  for (i = 0; i < 4; i++) {
    if (!g_ascii_string_to_signed (g_strstrip (parts[i]), 10, i < 2 ? -G_MAXINT : 1, G_MAXINT,
            &v[i], NULL))
      return FALSE;
  }
  *roi = (YoloRegion) { v[0], v[1], v[2], v[3] };
  return TRUE;
}

gboolean
yolo_region_intersect (YoloRegion *a, const YoloRegion *b)
{
  const gint64 x1 = MAX (a->x, b->x), y1 = MAX (a->y, b->y);
  const gint64 x2 = MIN ((gint64) a->x + a->width, (gint64) b->x + b->width);
  const gint64 y2 = MIN ((gint64) a->y + a->height, (gint64) b->y + b->height);

  if (x1 >= x2 || y1 >= y2)
    return FALSE;
  *a = (YoloRegion) { x1, y1, x2 - x1, y2 - y1 };
  return TRUE;
}

gboolean
yolo_settings_parse_size (const gchar *string, const YoloModel *model, guint *width, guint *height, GError **error)
{
  g_auto (GStrv) parts = NULL;
  guint64 w = model->width, h = model->height;

  if (string != NULL && *string != '\0') {
    parts = g_strsplit (string, "x", 2);
    if (!g_ascii_string_to_unsigned (parts[0], 10, 0, G_MAXINT, &w, NULL)
        || (parts[1] && !g_ascii_string_to_unsigned (parts[1], 10, 0, G_MAXINT, &h, NULL))) {
      g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          "input-size \"%s\" is none: give \"auto\", one number or WIDTHxHEIGHT in multiples "
          "of %u, for instance %ux%u", string, model->stride, model->width, model->height);
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
yolo_settings_parse_classes (const gchar *string, const YoloModel *model, const GQuark *labels, GBytes **classes,
    GError **error)
{
  const guint n = model->n_classes;
  g_auto (GStrv) parts = NULL;
  g_autofree guint8 *mask = NULL;
  gchar **part;

  *classes = NULL;
  if (string == NULL || *string == '\0')
    return TRUE;

  mask = g_malloc0 (n);
  parts = g_strsplit (string, ",", -1);
  for (part = parts; *part; part++) {
    const gchar *name = g_strstrip (*part);
    GQuark quark = g_quark_try_string (name);
    gboolean found = FALSE;
    guint64 id;
    guint i;

    for (i = 0; quark != 0 && i < n; i++) {
      if (labels[i] == quark)
        mask[i] = found = TRUE;
    }
    if (!found && g_ascii_string_to_unsigned (name, 10, 0, n - 1, &id, NULL))
      mask[id] = found = TRUE;
    if (!found) {
      g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          "class-ids \"%s\": \"%s\" is no class of %s; give numbers from 0 to %u or names, "
          "for instance \"%s\"", string, name, model->path, n - 1,
          g_quark_to_string (labels[0]));
      return FALSE;
    }
  }
  *classes = g_bytes_new_take (g_steal_pointer (&mask), n);
  return TRUE;
}

GQuark *
yolo_settings_load_labels (GstElement *element, const gchar *file, const YoloModel *model, GError **error)
{
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GError) local = NULL;
  GQuark *labels;
  gsize size;
  guint i, n;

  if (file == NULL || *file == '\0') {
    if (model->names_problem != NULL)
      GST_ELEMENT_WARNING (element, RESOURCE, SETTINGS, ("%s: %s", model->path, model->names_problem), (NULL));
    labels = g_new (GQuark, model->n_classes);
    for (i = 0; i < model->n_classes; i++)
      labels[i] = g_quark_from_string (model->names[i]);
    return labels;
  }

  text = yolo_file_read (file, MAX_LABEL_FILE_SIZE, &size, &local);
  if (text == NULL) {
    g_set_error (error, GST_RESOURCE_ERROR, g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT) ?
        GST_RESOURCE_ERROR_NOT_FOUND : GST_RESOURCE_ERROR_OPEN_READ,
        "label-file %s: %s; it is a text file with one name a line", file, local->message);
    return NULL;
  }

  lines = g_strsplit (g_strchomp (text), "\n", -1);
  n = g_strv_length (lines);
  if (n != model->n_classes)
    GST_ELEMENT_WARNING (element, RESOURCE, SETTINGS,
        ("label-file %s: %u names for %u classes, the rest is %s", file, n, model->n_classes,
            n < model->n_classes ? "named by number" : "not used"),
        ("model-file %s", model->path));
  labels = g_new (GQuark, model->n_classes);
  for (i = 0; i < model->n_classes; i++) {
    g_autofree gchar *name = i < n ? g_utf8_make_valid (g_strstrip (lines[i]), -1) :
        g_strdup_printf ("%u", i);

    labels[i] = g_quark_from_string (name);
  }
  return labels;
}
