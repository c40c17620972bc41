/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolomessage.h"

#include "base/text.h"
#include "gst-plugin/gstyoloinfer.h"

#include <gio/gio.h>
#include <glib/gstdio.h>

#define GST_CAT_DEFAULT yolo_infer_debug

static gboolean
is_empty_file (const gchar *file)
{
  GStatBuf st;

  return g_stat (file, &st) == 0 && st.st_size == 0;
}

/* Translates an error of the network into GStreamer's domain and code. */
static void
classify (YoloNetworkError error, const gchar *file, GQuark *domain, gint *code)
{
  switch (error) {
    case YOLO_NETWORK_ERROR_FILE:
      *domain = GST_RESOURCE_ERROR;
      *code = file != NULL && g_file_test (file, G_FILE_TEST_EXISTS) ? GST_RESOURCE_ERROR_OPEN_READ
                                                                     : GST_RESOURCE_ERROR_NOT_FOUND;
      break;
    case YOLO_NETWORK_ERROR_FORMAT:
      *domain = GST_STREAM_ERROR;
      *code = GST_STREAM_ERROR_FORMAT;
      if (file != NULL && is_empty_file (file)) {
        /* an empty file is one that went wrong rather than one of another format */
        *domain = GST_RESOURCE_ERROR;
        *code = GST_RESOURCE_ERROR_READ;
      }
      break;
    case YOLO_NETWORK_ERROR_UNSUPPORTED:
      *domain = GST_STREAM_ERROR;
      *code = GST_STREAM_ERROR_WRONG_TYPE;
      break;
    case YOLO_NETWORK_ERROR_SIZE:
    case YOLO_NETWORK_ERROR_PRECISION:
      *domain = GST_LIBRARY_ERROR;
      *code = GST_LIBRARY_ERROR_SETTINGS;
      break;
    case YOLO_NETWORK_ERROR_DEVICE:
      *domain = GST_RESOURCE_ERROR;
      *code = GST_RESOURCE_ERROR_NOT_FOUND;
      break;
    case YOLO_NETWORK_ERROR_MEMORY:
      *domain = GST_RESOURCE_ERROR;
      *code = GST_RESOURCE_ERROR_NO_SPACE_LEFT;
      break;
  }
}

static void
post (GstElement *element, GstMessageType type, const GError *error, const gchar *file,
    const gchar *behind)
{
  GQuark domain = GST_LIBRARY_ERROR;
  gint code = GST_LIBRARY_ERROR_FAILED;
  g_autofree gchar *debug = NULL;
  g_autofree gchar *text = g_strconcat (error->message, behind, NULL);

  if (error->domain == GST_LIBRARY_ERROR || error->domain == GST_RESOURCE_ERROR
      || error->domain == GST_STREAM_ERROR) {
    domain = error->domain;
    code = error->code;
  } else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT)) {
    /* a frame that cannot be what its caps and metadata say */
    domain = GST_STREAM_ERROR;
    code = GST_STREAM_ERROR_FORMAT;
  } else if (error->domain == YOLO_NETWORK_ERROR) {
    classify (error->code, file, &domain, &code);
  }
  debug = g_strdup_printf ("model-file %s", file ? file : "not set");
  gst_element_message_full (element, type, domain, code,
      yolo_text_printable (text, YOLO_TEXT_MAX_MESSAGE),
      yolo_text_printable (debug, YOLO_TEXT_MAX_MESSAGE), __FILE__, GST_FUNCTION, __LINE__);
}

void
yolo_message_error (GstElement *element, const GError *error, const gchar *file)
{
  post (element, GST_MESSAGE_ERROR, error, file, "");
}

void
yolo_message_kept (GstElement *element, const GError *error, const gchar *file)
{
  post (element, GST_MESSAGE_WARNING, error, file, "; the model that runs stays");
}

void
yolo_message_model (GstElement *element, const YoloLoad *load)
{
  const YoloModel *model = load->model;
  g_autofree gchar *size = load->auto_size ? g_strdup ("auto") :
      g_strdup_printf ("%ux%u", load->net_width, load->net_height);
  GstStructure *s = gst_structure_new ("yoloinfer-model",
      "file", G_TYPE_STRING, model->path, "task", G_TYPE_STRING, model->task,
      "classes", G_TYPE_UINT, model->n_classes, "stride", G_TYPE_UINT, model->stride,
      "input-size", G_TYPE_STRING, size,
      "precision", G_TYPE_STRING, yolo_precision_name (yolo_engine_precision (load->engine)),
      "device", G_TYPE_STRING, yolo_engine_devices (load->engine),
      "sha256", G_TYPE_STRING, model->sha256, NULL);
  g_autofree gchar *remark = yolo_engine_remark (load->engine);
  GValue names = G_VALUE_INIT;
  guint i;

  if (remark != NULL)
    GST_ELEMENT_INFO (element, RESOURCE, SETTINGS, ("%s", remark), (NULL));
  gst_value_array_init (&names, model->n_classes);
  for (i = 0; i < model->n_classes; i++) {
    GValue name = G_VALUE_INIT;

    g_value_init (&name, G_TYPE_STRING);
    g_value_set_string (&name, g_quark_to_string (load->labels[i]));
    gst_value_array_append_and_take_value (&names, &name);
  }
  gst_structure_take_value (s, "names", &names);

  GST_INFO_OBJECT (element, "model %" GST_PTR_FORMAT, s);
  gst_element_post_message (element, gst_message_new_element (GST_OBJECT (element), s));
}
