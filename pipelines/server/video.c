/* SPDX-License-Identifier: MIT */
/* Video for those who ask: files, in the parts that they ask for, and HLS. Files are read by
 * GLib's threads, a piece whenever the one before is sent. */

#include "pipelines/server/http.h"

#include <string.h>

#define PIECE (256 << 10)       /* bytes that are read at once */
#define HLS_PERIOD 100          /* ms between two looks for a first segment */
#define HLS_TIMEOUT (20 * G_USEC_PER_SEC)       /* that a camera has for it */

/* A file on its way. */
typedef struct {
  YoloHttp *http;
  SoupServerMessage *message;   /* a reference; NULL: who asked has gone */
  GFileInputStream *file;       /* a reference; NULL: it is not open yet */
  GCancellable *cancellable;
  goffset left;                 /* bytes to send */
  gboolean reading;             /* a thread is at it */
} Sending;

static void
sending_free (Sending *sending)
{
  g_clear_object (&sending->file);
  g_object_unref (sending->cancellable);
  g_free (sending);
}

static void
on_finished (SoupServerMessage *message, gpointer user_data)
{
  Sending *sending = user_data;

  sending->http->n_viewers--;
  g_signal_handlers_disconnect_by_data (message, sending);
  g_clear_object (&sending->message);
  g_cancellable_cancel (sending->cancellable);
  if (!sending->reading)
    sending_free (sending);
}

static void
on_read (GObject *file, GAsyncResult *result, gpointer user_data)
{
  Sending *sending = user_data;
  g_autoptr (GBytes) bytes = g_input_stream_read_bytes_finish (G_INPUT_STREAM (file), result, NULL);
  SoupMessageBody *body;

  sending->reading = FALSE;
  if (sending->message == NULL) {
    sending_free (sending);
    return;
  }
  /* A file that has become shorter: what was promised is sent as zeros, which no player shows. */
  if (bytes == NULL || g_bytes_get_size (bytes) == 0) {
    g_clear_pointer (&bytes, g_bytes_unref);
    bytes = g_bytes_new_take (g_malloc0 (MIN (sending->left, PIECE)), MIN (sending->left, PIECE));
  }
  sending->left -= g_bytes_get_size (bytes);
  body = soup_server_message_get_response_body (sending->message);
  soup_message_body_append_bytes (body, bytes);
  soup_server_message_unpause (sending->message);
}

static void
read_on (Sending *sending)
{
  if (sending->left == 0 || sending->reading)
    return;
  sending->reading = TRUE;
  soup_server_message_pause (sending->message);
  g_input_stream_read_bytes_async (G_INPUT_STREAM (sending->file),
      (gsize) MIN (sending->left, PIECE), G_PRIORITY_DEFAULT, sending->cancellable, on_read,
      sending);
}

static void
on_wrote_chunk (SoupServerMessage *message, gpointer user_data)
{
  read_on (user_data);
}

/* Writes the head of an answer, for all of a file or the part that is asked for. FALSE: there is
 * no such part. @from: (out): its first byte */
static gboolean
write_head (Sending *sending, goffset size, goffset *from)
{
  SoupServerMessage *message = sending->message;
  SoupMessageHeaders *asked = soup_server_message_get_request_headers (message);
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  SoupRange *ranges = NULL;
  int n = 0;

  *from = 0;
  sending->left = size;
  soup_message_headers_replace (headers, "Accept-Ranges", "bytes");
  if (soup_message_headers_get_one (asked, "Range") != NULL
      && soup_message_headers_get_ranges (asked, size, &ranges, &n) && n == 1) {
    if (ranges[0].start >= size || ranges[0].end < ranges[0].start) {
      g_autofree char *all = g_strdup_printf ("bytes */%" G_GOFFSET_FORMAT, size);

      soup_message_headers_free_ranges (asked, ranges);
      soup_message_headers_replace (headers, "Content-Range", all);
      yolo_http_answer_error (message, SOUP_STATUS_REQUESTED_RANGE_NOT_SATISFIABLE,
          "the file has %" G_GOFFSET_FORMAT " bytes; ask for a part of these", size);
      return FALSE;
    }
    *from = ranges[0].start;
    sending->left = MIN (ranges[0].end, size - 1) + 1 - *from;
    soup_message_headers_set_content_range (headers, *from, *from + sending->left - 1, size);
    soup_server_message_set_status (message, SOUP_STATUS_PARTIAL_CONTENT, NULL);
  } else {
    soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  }
  if (ranges != NULL)
    soup_message_headers_free_ranges (asked, ranges);
  soup_message_headers_set_content_type (headers, "video/mp4", NULL);
  soup_message_headers_set_content_length (headers, sending->left);
  soup_message_body_set_accumulate (soup_server_message_get_response_body (message), FALSE);
  return TRUE;
}

static void
on_known (GObject *file, GAsyncResult *result, gpointer user_data)
{
  Sending *sending = user_data;
  g_autoptr (GFileInfo) about =
      g_file_input_stream_query_info_finish (G_FILE_INPUT_STREAM (file), result, NULL);
  goffset from;

  sending->reading = FALSE;
  if (sending->message == NULL) {
    sending_free (sending);
    return;
  }
  if (about == NULL) {
    yolo_http_answer_error (sending->message, SOUP_STATUS_SERVICE_UNAVAILABLE,
        "the disk does not give the video");
  } else if (write_head (sending, g_file_info_get_size (about), &from)) {
    g_seekable_seek (G_SEEKABLE (file), from, G_SEEK_SET, NULL, NULL);
    if (strcmp (soup_server_message_get_method (sending->message), "HEAD") != 0
        && sending->left > 0) {
      soup_server_message_unpause (sending->message);
      read_on (sending);
      return;
    }
  }
  soup_server_message_unpause (sending->message);
}

static void
on_open (GObject *file, GAsyncResult *result, gpointer user_data)
{
  Sending *sending = user_data;

  sending->file = g_file_read_finish (G_FILE (file), result, NULL);
  sending->reading = FALSE;
  if (sending->message == NULL) {
    sending_free (sending);
  } else if (sending->file == NULL) {
    yolo_http_answer_error (sending->message, SOUP_STATUS_NOT_FOUND,
        "there is no such video; it may be too old");
    soup_server_message_unpause (sending->message);
  } else {
    sending->reading = TRUE;
    g_file_input_stream_query_info_async (sending->file, G_FILE_ATTRIBUTE_STANDARD_SIZE,
        G_PRIORITY_DEFAULT, sending->cancellable, on_known, sending);
  }
}

void
yolo_video_send (YoloHttp *http, SoupServerMessage *message, const char *path)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  Sending *sending;

  if (http->n_viewers >= http->max_viewers) {
    yolo_http_answer_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE,
        "%u pictures are watched already; raise max-viewers", http->n_viewers);
    soup_server_message_unpause (message);
    return;
  }
  http->n_viewers++;
  sending = g_new0 (Sending, 1);
  sending->http = http;
  sending->message = g_object_ref (message);
  sending->cancellable = g_cancellable_new ();
  sending->reading = TRUE;
  g_signal_connect (message, "wrote-chunk", G_CALLBACK (on_wrote_chunk), sending);
  g_signal_connect (message, "finished", G_CALLBACK (on_finished), sending);
  g_file_read_async (file, G_PRIORITY_DEFAULT, sending->cancellable, on_open, sending);
}

/* HLS */

/* Somebody who waits for the first segment. */
typedef struct {
  SoupServerMessage *message;   /* a reference */
  YoloBitstream *stream;           /* a reference */
  guint timer;
  gint64 until;                 /* us, monotonic */
} Waiting;

static void
answer_bytes (SoupServerMessage *message, GBytes *bytes, const char *type)
{
  if (bytes == NULL) {
    yolo_http_answer_error (message, SOUP_STATUS_NOT_FOUND,
        "there is no such part of the video, or no more; ask for index.m3u8 again");
    return;
  }
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_set_content_type (soup_server_message_get_response_headers (message), type,
      NULL);
  soup_message_body_append_bytes (soup_server_message_get_response_body (message), bytes);
  g_bytes_unref (bytes);
}

static gboolean
answer_playlist (SoupServerMessage *message, YoloBitstream *stream)
{
  char *list = yolo_bitstream_playlist (stream);

  if (list != NULL)
    answer_bytes (message, g_bytes_new_take (list, strlen (list)),
        "application/vnd.apple.mpegurl");
  return list != NULL;
}

/* The camera whose video may be watched; else NULL, which has been answered. */
static YoloCamera *
find_camera (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  YoloCamera *camera = yolo_wall_camera (http->wall, name);

  if (camera == NULL)
    yolo_http_answer_error (message, SOUP_STATUS_NOT_FOUND, "there is no camera '%s'", name);
  else if (yolo_bitstream_is_closed (camera->stream))
    yolo_http_answer_error (message, SOUP_STATUS_FORBIDDEN,
        "the camera's video shows what privacy hides; set clip-unmasked to have it anyway");
  else if (camera->state != YOLO_CAMERA_LIVE || yolo_bitstream_kind (camera->stream) == NULL)
    yolo_http_answer_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE,
        camera->state != YOLO_CAMERA_LIVE ? "the camera is %s"
        : "the camera is %s and sends neither H.264 nor H.265",
        yolo_camera_state_name (camera->state));
  else
    return camera;
  return NULL;
}

static void
on_waited (SoupServerMessage *message, gpointer user_data)
{
  Waiting *waiting = user_data;

  g_signal_handlers_disconnect_by_data (message, waiting);
  g_clear_handle_id (&waiting->timer, g_source_remove);
  yolo_bitstream_unref (waiting->stream);
  g_object_unref (waiting->message);
  g_free (waiting);
}

static gboolean
on_look (gpointer user_data)
{
  Waiting *waiting = user_data;

  if (!answer_playlist (waiting->message, waiting->stream)) {
    if (g_get_monotonic_time () < waiting->until)
      return G_SOURCE_CONTINUE;
    yolo_http_answer_error (waiting->message, SOUP_STATUS_SERVICE_UNAVAILABLE,
        "the camera has sent no whole segment yet; ask again");
  }
  waiting->timer = 0;
  soup_server_message_unpause (waiting->message);
  return G_SOURCE_REMOVE;
}

void
yolo_video_playlist (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  YoloCamera *camera = find_camera (http, message, name);
  Waiting *waiting;

  if (camera == NULL)
    return;
  yolo_bitstream_want_hls (camera->stream);
  if (answer_playlist (message, camera->stream))
    return;
  waiting = g_new0 (Waiting, 1);
  waiting->message = g_object_ref (message);
  waiting->stream = yolo_bitstream_ref (camera->stream);
  waiting->until = g_get_monotonic_time () + HLS_TIMEOUT;
  waiting->timer = g_timeout_add (HLS_PERIOD, on_look, waiting);
  g_signal_connect (message, "finished", G_CALLBACK (on_waited), waiting);
  soup_server_message_pause (message);
}

/* A number that the query has. FALSE: it has none, which has been answered. */
static gboolean
read_number (SoupServerMessage *message, const char *name, guint64 most, guint64 *number)
{
  const char *query = g_uri_get_query (soup_server_message_get_uri (message));
  g_autoptr (GHashTable) asked = query != NULL ? soup_form_decode (query) : NULL;
  const char *text = asked != NULL ? g_hash_table_lookup (asked, name) : NULL;

  if (text != NULL && g_ascii_string_to_unsigned (text, 10, 0, most, number, NULL))
    return TRUE;
  yolo_http_answer_error (message, SOUP_STATUS_BAD_REQUEST,
      "the query has no %s; take the addresses in index.m3u8", name);
  return FALSE;
}

void
yolo_video_head (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  YoloCamera *camera = find_camera (http, message, name);
  guint64 version;

  if (camera != NULL && read_number (message, "version", G_MAXUINT, &version))
    answer_bytes (message, yolo_bitstream_hls_head (camera->stream, (guint) version), "video/mp4");
}

void
yolo_video_segment (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  YoloCamera *camera = find_camera (http, message, name);
  guint64 number;

  if (camera == NULL || !read_number (message, "number", G_MAXINT64, &number))
    return;
  yolo_bitstream_want_hls (camera->stream);
  answer_bytes (message, yolo_bitstream_hls_segment (camera->stream, number), "video/mp4");
}
