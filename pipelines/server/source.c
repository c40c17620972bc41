/* SPDX-License-Identifier: MIT */
#include "pipelines/server/source.h"

#include <string.h>

#include "pipelines/server/secret.h"

#define TEST "test:"
#define RTSP_PORT 554

/* What the elements that open a URI are told. */
typedef struct {
  char *user, *password;        /* NULL: none */
  char *transport;
  guint buffer;                 /* ms */
  guint64 timeout;              /* us */
  gboolean verify;
} Access;

static void
access_free (gpointer data, GClosure *closure)
{
  Access *access = data;

  g_free (access->user);
  g_free (access->password);
  g_free (access->transport);
  g_free (access);
}

static void
set_if_there (GstElement *element, const char *property, const char *value)
{
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), property);

  if (spec == NULL || value == NULL)
    return;
  if (spec->value_type == G_TYPE_STRING)
    g_object_set (element, property, value, NULL);
  else
    gst_util_set_object_arg (G_OBJECT (element), property, value);
}

/* rtspsrc asks for each stream whether it is wanted. */
static gboolean
on_select_rtsp_stream (GstElement *source, guint number, GstCaps *caps, gpointer user_data)
{
  const char *media = gst_structure_get_string (gst_caps_get_structure (caps, 0), "media");

  return media == NULL || strcmp (media, "video") == 0;
}

static void
set_up_rtsp (GstElement *source, const Access *access)
{
  const char *protocols = strcmp (access->transport, "tcp") == 0 ? "tcp"
      : strcmp (access->transport, "udp") == 0 ? "udp"
      : strcmp (access->transport, "multicast") == 0 ? "udp-mcast" : "udp+udp-mcast+tcp";
  /* A camera with TLS says so in its URI, rtsps; the flag allows it for all. */
  g_autofree char *all = g_strdup_printf ("%s+tls", protocols);

  set_if_there (source, "protocols", all);
  set_if_there (source, "user-id", access->user);
  set_if_there (source, "user-pw", access->password);
  g_object_set (source, "latency", access->buffer, "timeout", access->timeout,
      "tcp-timeout", access->timeout, NULL);
  if (!access->verify)
    set_if_there (source, "tls-validation-flags", "0");
  /* GStreamer 1.22: when a frame was made, by the camera's clock, from its first report on */
  set_if_there (source, "add-reference-timestamp-meta", "true");
  g_signal_connect (source, "select-stream", G_CALLBACK (on_select_rtsp_stream), NULL);
}

static void
on_source_setup (GstElement *decoder, GstElement *source, gpointer user_data)
{
  const Access *access = user_data;
  GstElementFactory *factory = gst_element_get_factory (source);

  if (strcmp (GST_OBJECT_NAME (factory), "rtspsrc") == 0) {
    set_up_rtsp (source, access);
    return;
  }
  set_if_there (source, "user-id", access->user);
  set_if_there (source, "user-pw", access->password);
  if (!access->verify)
    set_if_there (source, "ssl-strict", "false");
}

/* Who takes the video of a pipeline off. */
typedef struct {
  YoloBitstream *stream;        /* a reference */
  guint run;                    /* the pipeline's */
} Taker;

static void
taker_free (gpointer data, GClosure *closure)
{
  Taker *taker = data;

  yolo_bitstream_unref (taker->stream);
  g_free (taker);
}

/* MJPEG over HTTP: the pictures are the one stream that there is; decodebin is not to wait until it
 * knows that there is no other one. */
static void
on_element_added (GstBin *decoder, GstBin *bin, GstElement *element, gpointer user_data)
{
  const Taker *taker = user_data;
  GstElementFactory *factory = gst_element_get_factory (element);

  if (factory != NULL && strcmp (GST_OBJECT_NAME (factory), "multipartdemux") == 0)
    g_object_set (element, "single-stream", TRUE, NULL);
  if (factory != NULL && (strcmp (GST_OBJECT_NAME (factory), "h264parse") == 0
          || strcmp (GST_OBJECT_NAME (factory), "h265parse") == 0))
    yolo_bitstream_tap (taker->stream, taker->run, element);
}

/* decodebin3 asks for each stream: 1 wanted, 0 not. */
static gint
on_select_stream (GstElement *decoder, GstStreamCollection *collection, GstStream *stream,
    gpointer user_data)
{
  return (gst_stream_get_stream_type (stream) & GST_STREAM_TYPE_VIDEO) != 0;
}

static void
on_pad_added (GstElement *decoder, GstPad *pad, gpointer user_data)
{
  g_autoptr (GstPad) into = gst_element_get_static_pad (user_data, "sink");
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);

  if (caps == NULL)
    caps = gst_pad_query_caps (pad, NULL);
  if (gst_caps_is_empty (caps) || gst_caps_is_any (caps) || gst_pad_is_linked (into)
      || !g_str_has_prefix (gst_structure_get_name (gst_caps_get_structure (caps, 0)), "video/"))
    return;
  if (gst_pad_link (pad, into) != GST_PAD_LINK_OK)
    GST_ELEMENT_ERROR (decoder, STREAM, FORMAT,
        ("the video is in a form that cannot be taken on"), ("%" GST_PTR_FORMAT, caps));
}

static GstElement *
make_test_source (const char *uri, GError **error)
{
  const char *pattern = uri + strlen (TEST);
  g_autofree char *line = NULL;

  if (*pattern == '\0')
    pattern = "smpte";
  if (pattern[strspn (pattern, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0') {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
        "there is no test picture of that name; `gst-inspect-1.0 videotestsrc` lists all");
    return NULL;
  }
  line = g_strdup_printf ("videotestsrc is-live=true pattern=%s ! capsfilter "
      "caps=video/x-raw,format=I420,width=640,height=360,framerate=15/1", pattern);
  return gst_parse_bin_from_description (line, TRUE, error);
}

static Access *
make_access (const YoloValues *values, char *user, char *password)
{
  Access *access = g_new0 (Access, 1);
  const char *own = yolo_values_text (values, YOLO_KEY_PASSWORD);

  if (own == NULL)
    own = yolo_values_text (values, YOLO_KEY_PASSWORD_FILE);
  access->user = user != NULL ? user : g_strdup (yolo_values_text (values, YOLO_KEY_USER));
  access->password = password != NULL ? password : g_strdup (own);
  access->transport = g_strdup (yolo_values_text (values, YOLO_KEY_TRANSPORT));
  access->buffer = yolo_values_number (values, YOLO_KEY_BUFFER);
  access->timeout = yolo_values_number (values, YOLO_KEY_CONNECT_TIMEOUT) * G_USEC_PER_SEC;
  access->verify = yolo_values_true (values, YOLO_KEY_VERIFY);
  return access;
}

static GstElement *
make_decoder (const YoloValues *values, GstElement *into, YoloBitstream *stream, GError **error)
{
  guint major, minor, micro, nano;
  g_autoptr (GstCaps) caps = gst_caps_from_string ("video/x-raw(ANY)");
  g_autofree char *uri = NULL;
  char *user, *password;
  GstElement *decoder;
  Taker *taker;
  gboolean modern;

  gst_version (&major, &minor, &micro, &nano);
  modern = minor >= 24;
  decoder = gst_element_factory_make (modern ? "uridecodebin3" : "uridecodebin", "decoder");
  if (decoder == NULL) {
    g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN,
        "the element uridecodebin is missing; install GStreamer's base plugins");
    return NULL;
  }
  uri = yolo_secret_split (yolo_values_text (values, YOLO_KEY_URI), &user, &password);
  if (strstr (uri, "://") == NULL) {
    char *path = g_steal_pointer (&uri);
    uri = gst_filename_to_uri (path, NULL);
    g_free (path);
  }
  g_object_set (decoder, "uri", uri, "caps", caps, NULL);
  if (modern)
    g_signal_connect (decoder, "select-stream", G_CALLBACK (on_select_stream), NULL);
  else
    g_object_set (decoder, "expose-all-streams", FALSE, NULL);
  g_signal_connect_data (decoder, "source-setup", G_CALLBACK (on_source_setup),
      make_access (values, user, password), access_free, 0);
  taker = g_new (Taker, 1);
  *taker = (Taker) { yolo_bitstream_ref (stream), yolo_bitstream_run (stream) };
  g_signal_connect_data (decoder, "deep-element-added", G_CALLBACK (on_element_added),
      taker, taker_free, 0);
  g_signal_connect (decoder, "pad-added", G_CALLBACK (on_pad_added), into);
  return decoder;
}

gboolean
yolo_source_add (
    GstBin *bin, GstElement *into, const YoloValues *values, YoloBitstream *stream, GError **error)
{
  const char *uri = yolo_values_text (values, YOLO_KEY_URI);
  GstElement *source = g_str_has_prefix (uri, TEST) ? make_test_source (uri, error)
      : make_decoder (values, into, stream, error);

  if (source == NULL)
    return FALSE;
  gst_bin_add (bin, source);
  if (g_str_has_prefix (uri, TEST))
    gst_element_link (source, into);
  return TRUE;
}

gboolean
yolo_source_is_file (const YoloValues *values)
{
  const char *uri = yolo_values_text (values, YOLO_KEY_URI);

  return !g_str_has_prefix (uri, TEST) && strstr (uri, "://") == NULL;
}

char *
yolo_source_host (const YoloValues *values, guint16 *port)
{
  g_autofree char *user = NULL;
  g_autofree char *password = NULL;
  g_autofree char *uri =
      yolo_secret_split (yolo_values_text (values, YOLO_KEY_URI), &user, &password);
  g_autofree char *scheme = NULL;
  g_autofree char *host = NULL;
  gint number;

  if (!g_uri_split (uri, G_URI_FLAGS_NONE, &scheme, NULL, &host, &number, NULL, NULL, NULL, NULL)
      || host == NULL || *host == '\0')
    return NULL;
  if (g_str_has_prefix (scheme, "rtsp"))
    *port = number > 0 ? number : RTSP_PORT;
  else if (strcmp (scheme, "http") == 0 || strcmp (scheme, "https") == 0)
    *port = number > 0 ? number : scheme[4] == 's' ? 443 : 80;
  else
    return NULL;
  return g_steal_pointer (&host);
}
