/* SPDX-License-Identifier: MIT */
#include "pipelines/server/probe.h"

#include <string.h>

#include "pipelines/server/source.h"

#define TIMEOUT 2               /* seconds, of each step */
#define ANSWER "RTSP/"

typedef struct {
  YoloProbeFunc func;
  gpointer user_data;
  GCancellable *cancellable;    /* a reference */
  GSocketConnection *connection;        /* NULL: there is none yet */
  char *request;                /* NULL: to connect is enough */
  char answer[sizeof ANSWER];
} Probe;

static void
finish (Probe *probe, gboolean answers)
{
  if (!g_cancellable_is_cancelled (probe->cancellable))
    probe->func (answers, probe->user_data);
  g_clear_object (&probe->connection);
  g_object_unref (probe->cancellable);
  g_free (probe->request);
  g_free (probe);
}

static void
on_read (GObject *stream, GAsyncResult *result, gpointer user_data)
{
  Probe *probe = user_data;
  gsize n = 0;

  finish (probe, g_input_stream_read_all_finish (G_INPUT_STREAM (stream), result, &n, NULL)
      && n == strlen (ANSWER) && memcmp (probe->answer, ANSWER, n) == 0);
}

static void
on_written (GObject *stream, GAsyncResult *result, gpointer user_data)
{
  Probe *probe = user_data;

  if (!g_output_stream_write_all_finish (G_OUTPUT_STREAM (stream), result, NULL, NULL))
    finish (probe, FALSE);
  else
    g_input_stream_read_all_async (
        g_io_stream_get_input_stream (G_IO_STREAM (probe->connection)), probe->answer,
        strlen (ANSWER), G_PRIORITY_DEFAULT, probe->cancellable, on_read, probe);
}

static void
on_connected (GObject *client, GAsyncResult *result, gpointer user_data)
{
  Probe *probe = user_data;

  probe->connection =
      g_socket_client_connect_to_host_finish (G_SOCKET_CLIENT (client), result, NULL);
  if (probe->connection == NULL || probe->request == NULL)
    finish (probe, probe->connection != NULL);
  else
    g_output_stream_write_all_async (
        g_io_stream_get_output_stream (G_IO_STREAM (probe->connection)), probe->request,
        strlen (probe->request), G_PRIORITY_DEFAULT, probe->cancellable, on_written, probe);
}

gboolean
yolo_probe (const YoloValues *values, GCancellable *cancellable, YoloProbeFunc func,
    gpointer user_data)
{
  guint16 port;
  g_autofree char *host = yolo_source_host (values, &port);
  g_autoptr (GSocketClient) client = NULL;
  Probe *probe;

  if (host == NULL)
    return FALSE;
  probe = g_new0 (Probe, 1);
  probe->func = func;
  probe->user_data = user_data;
  probe->cancellable = g_object_ref (cancellable);
  if (g_str_has_prefix (yolo_values_text (values, YOLO_KEY_URI), "rtsp://"))
    probe->request = g_strdup_printf ("OPTIONS rtsp://%s%s%s:%u RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        strchr (host, ':') != NULL ? "[" : "", host, strchr (host, ':') != NULL ? "]" : "", port);
  client = g_socket_client_new ();
  g_socket_client_set_timeout (client, TIMEOUT);
  g_socket_client_connect_to_host_async (client, host, port, cancellable, on_connected, probe);
  return TRUE;
}
