/* SPDX-License-Identifier: MIT */
/* Source of the layout: DL Streamer (open-edge-platform/dlstreamer), to_tensor/label.cpp for what
 * gvaclassify writes, and gvametaconvert/jsonconverter.cpp for what is read of it: a param whose
 * "label" and "model_name" are strings, with "label_id" (int) and "confidence" (double), is a
 * classification, under the param's name unless "attribute_name" gives another.
 *
 * What it costs: a structure of some 500 bytes for each class, and what GstAnalytics takes. */

#include "gst-plugin/yoloclass.h"

#include "gst-plugin/yolofields.h"

#include <math.h>
#include <string.h>

#define NAME "classification"

/* Of one object. */
#define MAX_CLASSES 64

const YoloClass *
yolo_classes_get (GBytes *bytes, guint *n)
{
  gsize size = 0;
  const YoloClass *classes = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;

  *n = 0;
  if (size == 0 || size % sizeof *classes != 0 || (guintptr) classes % sizeof (gint) != 0)
    return NULL;
  *n = (guint) MIN (size / sizeof *classes, MAX_CLASSES);
  return classes;
}

GBytes *
yolo_classes_join (GBytes *bytes, GBytes *more)
{
  guint n_old, n_new, n = 0, i, k;
  const YoloClass *old = yolo_classes_get (bytes, &n_old), *new = yolo_classes_get (more, &n_new);
  YoloClass *all;

  if (n_old == 0)
    return g_bytes_ref (more);
  all = g_new (YoloClass, n_old + n_new);
  for (i = 0; i < n_old; i++) {
    for (k = 0; k < n_new && new[k].model_id != old[i].model_id; k++);
    if (k == n_new)
      all[n++] = old[i];
  }
  for (k = 0; k < n_new; k++)
    all[n++] = new[k];
  return g_bytes_new_take (all, n * sizeof *all);
}

gchar *
yolo_class_name (const YoloClass *class)
{
  return class->model_id > 0 ? g_strdup_printf (NAME "_%d", class->model_id) : g_strdup (NAME);
}

void
yolo_classes_add (GstVideoRegionOfInterestMeta *region, GBytes *classes)
{
  guint n, i;
  const YoloClass *class = yolo_classes_get (classes, &n);

  for (i = 0; i < n; i++, class++) {
    g_autofree gchar *name = yolo_class_name (class);
    GstStructure *param = gst_structure_new (name, "type", G_TYPE_STRING, "classification_result",
        "label", G_TYPE_STRING, g_quark_to_string (class->label),
        "label_id", G_TYPE_INT, class->label_id, "model_id", G_TYPE_INT, class->model_id,
        "model_name", G_TYPE_STRING, class->model ? g_quark_to_string (class->model) : "", NULL);

    if (class->confidence >= 0)
      gst_structure_set (param, "confidence", G_TYPE_DOUBLE, (gdouble) class->confidence, NULL);
    gst_video_region_of_interest_meta_add_param (region, param);
  }
}

/* Whether a param says what an object is; those that say where it is have labels too. */
static gboolean
read_param (const GstStructure *param, YoloClass *class)
{
  static YoloFields fields =
      YOLO_FIELDS ("label", "model_name", "confidence", "label_id", "model_id");
  const GValue *values[YOLO_FIELDS_MAX];
  const gchar *label, *model;
  gdouble confidence;

  if (gst_structure_has_name (param, "detection") || gst_structure_has_name (param, "object_id"))
    return FALSE;
  yolo_fields_get (&fields, param, values);
  label = yolo_field_string (values[0]);
  model = yolo_field_string (values[1]);
  if (label == NULL || *label == '\0')
    return FALSE;
  *class = (YoloClass) {
    .label = g_quark_from_string (label), .label_id = -1, .confidence = -1,
    .model = model != NULL && *model != '\0' ? g_quark_from_string (model) : 0,
  };
  if (yolo_field_double (values[2], &confidence) && isfinite ((gfloat) confidence))
    class->confidence = (gfloat) confidence;
  yolo_field_int (values[3], &class->label_id);
  yolo_field_int (values[4], &class->model_id);
  return TRUE;
}

GBytes *
yolo_classes_read (const GstVideoRegionOfInterestMeta *region)
{
  YoloClass found[MAX_CLASSES];
  const GList *l;
  guint n = 0;

  for (l = region->params; l != NULL && n < MAX_CLASSES; l = l->next)
    n += read_param (l->data, &found[n]) ? 1 : 0;
  return n > 0 ? g_bytes_new (found, n * sizeof *found) : NULL;
}
