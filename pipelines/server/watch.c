/* SPDX-License-Identifier: MIT */
/* Pictures for those who watch: one, a stream of JPEGs, or JPEGs with what is on them. Each viewer
 * gets the newest picture when it has taken the one before, so that a slow one costs no memory. */

#include "pipelines/server/http.h"

#include <string.h>

#define SNAPSHOT_TIMEOUT 5      /* seconds */
#define BOUNDARY "yolo-server-picture"
#define KEEPALIVE 20            /* seconds */
#define MAX_CREDIT 2            /* pictures that a page may not have shown yet */
#define MAX_SAID 64             /* bytes of what a page says */

/* Somebody who watches. The camera may go while he does: the picture outlives it. */
typedef struct {
  YoloHttp *http;
  YoloPicture *picture;         /* a reference */
  guint id;                     /* of yolo_picture_watch() */
  SoupServerMessage *message;   /* a reference; NULL: it is a page */
  SoupWebsocketConnection *socket;      /* a reference; NULL: it is a message */
  guint timeout;                /* of a snapshot */
  gboolean single;              /* one picture is enough */
  gboolean busy;                /* the last picture is still being written */
  guint credit;                 /* pictures that the page may be sent */
} Viewer;

static void
viewer_free (Viewer *viewer)
{
  viewer->http->n_viewers--;
  yolo_picture_leave (viewer->picture, viewer->id);
  yolo_picture_unref (viewer->picture);
  g_clear_handle_id (&viewer->timeout, g_source_remove);
  if (viewer->message != NULL)
    g_signal_handlers_disconnect_by_data (viewer->message, viewer);
  if (viewer->socket != NULL)
    g_signal_handlers_disconnect_by_data (viewer->socket, viewer);
  g_clear_object (&viewer->message);
  g_clear_object (&viewer->socket);
  g_free (viewer);
}

static Viewer *
viewer_new (YoloHttp *http, YoloPicture *picture, YoloPictureFunc func)
{
  Viewer *viewer = g_new0 (Viewer, 1);

  viewer->http = http;
  viewer->picture = yolo_picture_ref (picture);
  viewer->id = yolo_picture_watch (picture, func, viewer);
  http->n_viewers++;
  return viewer;
}

static void
on_finished (SoupServerMessage *message, gpointer user_data)
{
  viewer_free (user_data);
}

static void
on_picture (GBytes *jpeg, GBytes *json, gpointer user_data)
{
  Viewer *viewer = user_data;
  SoupMessageBody *body = soup_server_message_get_response_body (viewer->message);

  if (viewer->busy)
    return;
  viewer->busy = TRUE;
  if (viewer->single) {
    g_clear_handle_id (&viewer->timeout, g_source_remove);
    soup_server_message_set_status (viewer->message, SOUP_STATUS_OK, NULL);
    soup_server_message_set_response (viewer->message, "image/jpeg", SOUP_MEMORY_COPY,
        g_bytes_get_data (jpeg, NULL), g_bytes_get_size (jpeg));
  } else {
    g_autofree char *head = g_strdup_printf ("\r\n--" BOUNDARY "\r\n"
        "Content-Type: image/jpeg\r\nContent-Length: %" G_GSIZE_FORMAT "\r\n\r\n",
        g_bytes_get_size (jpeg));
    g_autoptr (GByteArray) part = g_byte_array_new ();

    g_byte_array_append (part, (const guint8 *) head, strlen (head));
    g_byte_array_append (part, g_bytes_get_data (jpeg, NULL), g_bytes_get_size (jpeg));
    soup_message_body_append (body, SOUP_MEMORY_COPY, part->data, part->len);
  }
  soup_server_message_unpause (viewer->message);
}

static void
on_wrote_chunk (SoupServerMessage *message, gpointer user_data)
{
  Viewer *viewer = user_data;

  viewer->busy = FALSE;
}

static gboolean
on_timeout (gpointer user_data)
{
  Viewer *viewer = user_data;

  viewer->timeout = 0;
  viewer->busy = TRUE;
  yolo_http_answer_error (viewer->message, SOUP_STATUS_SERVICE_UNAVAILABLE,
      "no picture within %d s; the camera's state says why", SNAPSHOT_TIMEOUT);
  soup_server_message_unpause (viewer->message);
  return G_SOURCE_REMOVE;
}

/* The camera, if it may be watched; else NULL, which has been answered. */
static YoloCamera *
find_camera (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  YoloCamera *camera = yolo_wall_camera (http->wall, name);

  if (camera == NULL)
    yolo_http_answer_error (message, SOUP_STATUS_NOT_FOUND, "there is no camera '%s'", name);
  else if (http->n_viewers >= http->max_viewers)
    yolo_http_answer_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE,
        "%u pictures are watched already; raise max-viewers", http->n_viewers);
  else
    return camera;
  return NULL;
}

static Viewer *
pause_for_pictures (YoloHttp *http, SoupServerMessage *message, YoloPicture *picture)
{
  Viewer *viewer = viewer_new (http, picture, on_picture);

  viewer->message = g_object_ref (message);
  g_signal_connect (message, "finished", G_CALLBACK (on_finished), viewer);
  soup_server_message_pause (message);
  return viewer;
}

/* ?clean=1: without what was found. NULL: it asks for something else, which has been answered. */
static YoloPicture *
choose (const YoloCamera *camera, SoupServerMessage *message)
{
  const char *query = g_uri_get_query (soup_server_message_get_uri (message));
  g_autoptr (GHashTable) asked = query != NULL ? soup_form_decode (query) : NULL;
  const char *clean = asked != NULL ? g_hash_table_lookup (asked, "clean") : NULL;

  if (clean == NULL)
    return camera->drawn;
  if (strcmp (clean, "1") == 0)
    return camera->clean;
  yolo_http_answer_error (message, SOUP_STATUS_BAD_REQUEST,
      "clean can be 1 alone; leave it out for pictures with what was found");
  return NULL;
}

void
yolo_watch_snapshot (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  const YoloCamera *camera = find_camera (http, message, name);
  YoloPicture *picture = camera != NULL ? choose (camera, message) : NULL;
  Viewer *viewer;

  if (picture == NULL)
    return;
  if (camera->state != YOLO_CAMERA_LIVE) {
    yolo_http_answer_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "the camera is %s",
        yolo_camera_state_name (camera->state));
    return;
  }
  viewer = pause_for_pictures (http, message, picture);
  viewer->single = TRUE;
  viewer->timeout = g_timeout_add_seconds (SNAPSHOT_TIMEOUT, on_timeout, viewer);
}

void
yolo_watch_mjpeg (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  const YoloCamera *camera = find_camera (http, message, name);
  YoloPicture *picture = camera != NULL ? choose (camera, message) : NULL;
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  Viewer *viewer;

  if (picture == NULL)
    return;
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_set_encoding (headers, SOUP_ENCODING_EOF);
  soup_message_headers_replace (headers, "Content-Type",
      "multipart/x-mixed-replace; boundary=" BOUNDARY);
  soup_message_body_set_accumulate (soup_server_message_get_response_body (message), FALSE);
  if (strcmp (soup_server_message_get_method (message), "HEAD") == 0)
    return;
  viewer = pause_for_pictures (http, message, picture);
  g_signal_connect (message, "wrote-chunk", G_CALLBACK (on_wrote_chunk), viewer);
}

static void
on_page_picture (GBytes *jpeg, GBytes *json, gpointer user_data)
{
  Viewer *viewer = user_data;

  if (viewer->credit == 0
      || soup_websocket_connection_get_state (viewer->socket) != SOUP_WEBSOCKET_STATE_OPEN)
    return;
  viewer->credit--;
  soup_websocket_connection_send_message (viewer->socket, SOUP_WEBSOCKET_DATA_TEXT, json);
  soup_websocket_connection_send_message (viewer->socket, SOUP_WEBSOCKET_DATA_BINARY, jpeg);
}

/* Whatever the page says means that it has shown a picture. */
static void
on_page_message (SoupWebsocketConnection *socket, gint type, GBytes *said, gpointer user_data)
{
  Viewer *viewer = user_data;

  viewer->credit = MIN (viewer->credit + 1, MAX_CREDIT);
}

static void
on_page_closed (SoupWebsocketConnection *socket, gpointer user_data)
{
  viewer_free (user_data);
}

void
yolo_watch_socket (SoupServer *server, SoupServerMessage *message, const char *path,
    SoupWebsocketConnection *connection, gpointer user_data)
{
  YoloHttp *http = user_data;
  const char *name = strrchr (path, '/') + 1;
  const YoloCamera *camera = yolo_wall_camera (http->wall, name);
  Viewer *viewer;

  if (camera == NULL || http->n_viewers >= http->max_viewers) {
    soup_websocket_connection_close (connection, SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION,
        camera == NULL ? "there is no such camera" : "too many pictures are watched");
    return;
  }
  soup_websocket_connection_set_max_incoming_payload_size (connection, MAX_SAID);
  soup_websocket_connection_set_keepalive_interval (connection, KEEPALIVE);
  viewer = viewer_new (http, camera->clean, on_page_picture);
  viewer->socket = g_object_ref (connection);
  viewer->credit = MAX_CREDIT;
  g_signal_connect (connection, "message", G_CALLBACK (on_page_message), viewer);
  g_signal_connect (connection, "closed", G_CALLBACK (on_page_closed), viewer);
}
