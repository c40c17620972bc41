/* SPDX-License-Identifier: MIT */
#include "pipelines/server/http.h"

#include <string.h>

#include "pipelines/server/secret.h"

#define MAX_BODY 65536          /* bytes of a request */
#define MAX_IDLE 60             /* seconds that a connection may say nothing */
#define BACKLOG 64
#define API "/api/v1"
#define RESOURCES "/yolo/server"

typedef struct {
  const char *method;
  const char *path;             /* "{name}" stands for a camera or an event */
  YoloHandler handler;
  gboolean open;                /* nobody is asked who he is */
} Route;

static void answer_page (YoloHttp *http, SoupServerMessage *message, const char *name);

static const Route routes[] = {
  { "GET", "/", answer_page, FALSE },
  { "GET", "/style.css", answer_page, FALSE },
  { "GET", "/script.js", answer_page, FALSE },
  { "GET", "/events.js", answer_page, FALSE },
  { "GET", "/hours.js", answer_page, FALSE },
  { "GET", "/zones.js", answer_page, FALSE },
  { "GET", API "/openapi.json", answer_page, FALSE },
  { "GET", "/live", yolo_health_live, TRUE },
  { "GET", "/ready", yolo_health_ready, TRUE },
  { "GET", "/startup", yolo_health_startup, TRUE },
  { "GET", "/metrics", yolo_metrics_get, FALSE },
  { "GET", API "/cameras", yolo_api_list_cameras, FALSE },
  { "GET", API "/cameras/{name}", yolo_api_get_camera, FALSE },
  { "PUT", API "/cameras/{name}", yolo_api_put_camera, FALSE },
  { "PATCH", API "/cameras/{name}", yolo_api_patch_camera, FALSE },
  { "DELETE", API "/cameras/{name}", yolo_api_delete_camera, FALSE },
  { "GET", API "/cameras/{name}/zones", yolo_api_get_zones, FALSE },
  { "PUT", API "/cameras/{name}/zones", yolo_api_put_zones, FALSE },
  { "DELETE", API "/cameras/{name}/zones", yolo_api_delete_zones, FALSE },
  { "GET", API "/cameras/{name}/snapshot", yolo_watch_snapshot, FALSE },
  { "GET", API "/cameras/{name}/mjpeg", yolo_watch_mjpeg, FALSE },
  { "GET", API "/cameras/{name}/hls/index.m3u8", yolo_video_playlist, FALSE },
  { "GET", API "/cameras/{name}/hls/init.mp4", yolo_video_head, FALSE },
  { "GET", API "/cameras/{name}/hls/segment.m4s", yolo_video_segment, FALSE },
  { "GET", API "/events", yolo_search_list, FALSE },
  { "GET", API "/event-hours", yolo_search_hours, FALSE },
  { "GET", API "/events/{name}", yolo_search_event, FALSE },
  { "GET", API "/events/{name}/snapshot", yolo_search_snapshot, FALSE },
  { "GET", API "/events/{name}/clip", yolo_search_clip, FALSE },
  { "GET", API "/recordings", yolo_search_recordings, FALSE },
  { "GET", API "/recordings/{name}/video", yolo_search_recording, FALSE },
  { "GET", API "/status", yolo_api_get_status, FALSE },
  { "GET", API "/schema", yolo_api_get_schema, FALSE },
  { "POST", API "/save", yolo_api_save, FALSE },
  { "POST", API "/reload", yolo_api_reload, FALSE },
  { "POST", API "/stream/add", yolo_deepstream_add, FALSE },
  { "POST", API "/stream/remove", yolo_deepstream_remove, FALSE },
};

/* Whether a path is a route's. @name: (out): the camera in it, or NULL; for g_free() */
static gboolean
matches (const Route *route, const char *path, char **name)
{
  const char *hole = strstr (route->path, "{name}");
  const char *rest;
  gsize length;

  *name = NULL;
  if (hole == NULL)
    return strcmp (route->path, path) == 0;
  if (strncmp (route->path, path, hole - route->path) != 0)
    return FALSE;
  path += hole - route->path;
  /* Whatever else stands there is no name, and is not repeated in an answer. */
  length = strspn (path, YOLO_NAME_LETTERS);
  rest = path + length;
  if (length == 0 || length > YOLO_MAX_NAME || strcmp (rest, hole + strlen ("{name}")) != 0)
    return FALSE;
  *name = g_strndup (path, length);
  return TRUE;
}

static const Route *
find_route (const char *method, const char *path, char **name, GString *others)
{
  for (guint i = 0; i < G_N_ELEMENTS (routes); i++) {
    if (!matches (&routes[i], path, name))
      continue;
    if (strcmp (routes[i].method, method) == 0
        || (strcmp (method, "HEAD") == 0 && strcmp (routes[i].method, "GET") == 0))
      return &routes[i];
    g_string_append_printf (others, "%s%s", others->len > 0 ? ", " : "", routes[i].method);
    g_clear_pointer (name, g_free);
  }
  return NULL;
}

static void
answer_text (SoupServerMessage *message, guint status, const char *type, char *text)
{
  soup_server_message_set_status (message, status, NULL);
  soup_server_message_set_response (message, type, SOUP_MEMORY_TAKE, text, strlen (text));
}

void
yolo_http_answer_node (SoupServerMessage *message, guint status, JsonNode *node)
{
  answer_text (message, status, "application/json", json_to_string (node, FALSE));
}

void
yolo_http_answer_json (SoupServerMessage *message, guint status, JsonBuilder *builder)
{
  g_autoptr (JsonNode) root = json_builder_get_root (builder);

  yolo_http_answer_node (message, status, root);
  g_object_unref (builder);
}

void
yolo_http_answer_error (SoupServerMessage *message, guint status, const char *format, ...)
{
  JsonBuilder *builder = json_builder_new ();
  g_autofree char *text = NULL;
  g_autofree char *shown = NULL;
  va_list arguments;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  shown = yolo_secret_hide (text);
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "error");
  json_builder_add_string_value (builder, shown);
  json_builder_end_object (builder);
  yolo_http_answer_json (message, status, builder);
}

void
yolo_http_answer_failure (SoupServerMessage *message, const GError *error)
{
  guint status = SOUP_STATUS_INTERNAL_SERVER_ERROR;

  if (error->domain == YOLO_SETTINGS_ERROR)
    switch ((YoloSettingsError) error->code) {
      case YOLO_SETTINGS_ERROR_WRONG:
        status = SOUP_STATUS_BAD_REQUEST;
        break;
      case YOLO_SETTINGS_ERROR_FORBIDDEN:
        status = SOUP_STATUS_FORBIDDEN;
        break;
      case YOLO_SETTINGS_ERROR_MISSING:
        status = SOUP_STATUS_NOT_FOUND;
        break;
      case YOLO_SETTINGS_ERROR_EXISTS:
        status = SOUP_STATUS_CONFLICT;
        break;
      case YOLO_SETTINGS_ERROR_FILE:
        status = SOUP_STATUS_INTERNAL_SERVER_ERROR;
        break;
      case YOLO_SETTINGS_ERROR_ELSEWHERE:
        status = SOUP_STATUS_MISDIRECTED_REQUEST;
        break;
    }
  yolo_http_answer_error (message, status, "%s", error->message);
}

JsonObject *
yolo_http_read_object (SoupServerMessage *message, JsonParser *parser)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  const char *type = soup_message_headers_get_content_type (
      soup_server_message_get_request_headers (message), NULL);
  g_autoptr (GBytes) bytes = NULL;
  gsize size;
  const char *text;
  JsonNode *root;

  /* A page of somebody else's can send forms and texts, and nothing of this type. */
  if (type == NULL || strcmp (type, "application/json") != 0) {
    yolo_http_answer_error (message, SOUP_STATUS_UNSUPPORTED_MEDIA_TYPE,
        "the request is no JSON; send it with Content-Type: application/json");
    return NULL;
  }
  bytes = soup_message_body_flatten (body);
  text = g_bytes_get_data (bytes, &size);
  if (size == 0 || !g_utf8_validate (text, size, NULL) || !yolo_values_is_shallow (text, size)
      || !json_parser_load_from_data (parser, text, size, NULL)
      || (root = json_parser_get_root (parser)) == NULL || !JSON_NODE_HOLDS_OBJECT (root)) {
    yolo_http_answer_error (message, SOUP_STATUS_BAD_REQUEST,
        "the request is no JSON object; send one such as {\"uri\":\"rtsp://camera/stream\"}");
    return NULL;
  }
  return json_node_get_object (root);
}

/* The page, its parts and the API's description are in the program: no path of a request leads
 * to a file. */
static void
answer_page (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  const char *path = g_uri_get_path (soup_server_message_get_uri (message));
  const char *file = strrchr (path, '/');
  const char *type = g_str_has_suffix (file, ".css") ? "text/css; charset=utf-8"
      : g_str_has_suffix (file, ".js") ? "text/javascript; charset=utf-8"
      : g_str_has_suffix (file, ".json") ? "application/json" : "text/html; charset=utf-8";
  g_autofree char *resource =
      g_strconcat (RESOURCES, strcmp (file, "/") == 0 ? "/index.html" : file, NULL);
  g_autoptr (GBytes) bytes = g_resources_lookup_data (resource, 0, NULL);

  g_return_if_fail (bytes != NULL);
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, type, SOUP_MEMORY_COPY,
      g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

static void
add_headers (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  soup_message_headers_append (headers, "Cache-Control", "no-store");
  soup_message_headers_append (headers, "X-Content-Type-Options", "nosniff");
  soup_message_headers_append (headers, "X-Frame-Options", "DENY");
  soup_message_headers_append (headers, "Referrer-Policy", "no-referrer");
  soup_message_headers_append (headers, "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
      "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'");
}

static gboolean
is_body_fine (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);

  if (soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CHUNKED) {
    yolo_http_answer_error (message, SOUP_STATUS_LENGTH_REQUIRED,
        "the length of the request is not known; send Content-Length");
    return FALSE;
  }
  if (soup_message_headers_get_content_length (headers) > MAX_BODY) {
    yolo_http_answer_error (message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE,
        "the request is larger than %d bytes; send less", MAX_BODY);
    return FALSE;
  }
  return TRUE;
}

static gboolean
is_browser_fine (YoloHttp *http, SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *host = soup_message_headers_get_one (headers, "Host");
  const char *origin = soup_message_headers_get_one (headers, "Origin");
  const char *method = soup_server_message_get_method (message);
  const gboolean reads = strcmp (method, "GET") == 0 || strcmp (method, "HEAD") == 0;
  const gboolean socket = soup_message_headers_get_one (headers, "Upgrade") != NULL;

  if (!yolo_guard_is_host (http->guard, host)) {
    yolo_http_answer_error (message, SOUP_STATUS_FORBIDDEN,
        "the server is not called by this name; add it to `hosts` in the settings");
    return FALSE;
  }
  if (origin != NULL && (socket || !reads) && !yolo_guard_is_origin (origin, host)) {
    yolo_http_answer_error (message, SOUP_STATUS_FORBIDDEN,
        "the request comes from a page of another server");
    return FALSE;
  }
  return TRUE;
}

static gboolean
is_known (YoloHttp *http, SoupServerMessage *message)
{
  const char *authorization = soup_message_headers_get_one (
      soup_server_message_get_request_headers (message), "Authorization");

  switch (yolo_guard_check (http->guard, authorization)) {
    case YOLO_GUARD_KNOWN:
      return TRUE;
    case YOLO_GUARD_UNKNOWN:
      soup_message_headers_append (soup_server_message_get_response_headers (message),
          "WWW-Authenticate", "Basic realm=\"yolo-server\", charset=\"UTF-8\"");
      yolo_http_answer_error (message, SOUP_STATUS_UNAUTHORIZED,
          "send the token, or the user and the password, of the settings");
      return FALSE;
    case YOLO_GUARD_TIRED:
      yolo_http_answer_error (message, 429,
          "there were too many wrong passwords; wait a few seconds");
      return FALSE;
  }
  g_return_val_if_reached (FALSE);
}

/* The head of a request is there: what is answered here is not read further. */
static void
on_head (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
    gpointer user_data)
{
  YoloHttp *http = user_data;
  g_autofree char *name = NULL;
  g_autoptr (GString) others = g_string_new (NULL);
  const Route *route =
      find_route (soup_server_message_get_method (message), path, &name, others);
  const char *host = soup_server_message_get_remote_host (message);

  http->n_requests++;
  add_headers (message);
  if (!yolo_guard_is_slow_enough (http->guard, host != NULL ? host : ""))
    yolo_http_answer_error (message, 429, "there are too many requests; send fewer a second");
  else if (is_body_fine (message) && ((route != NULL && route->open)
          || (is_browser_fine (http, message) && is_known (http, message))))
    return;
  http->n_refused++;
  /* What the request still sends is not read. */
  soup_message_headers_replace (soup_server_message_get_response_headers (message),
      "Connection", "close");
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
    gpointer user_data)
{
  g_autofree char *name = NULL;
  g_autoptr (GString) others = g_string_new (NULL);
  const char *method = soup_server_message_get_method (message);
  const Route *route;

  if (soup_server_message_get_status (message) != 0)
    return;
  route = find_route (method, path, &name, others);
  if (route != NULL) {
    route->handler (user_data, message, name);
  } else if (others->len > 0) {
    soup_message_headers_append (soup_server_message_get_response_headers (message), "Allow",
        others->str);
    yolo_http_answer_error (message, SOUP_STATUS_METHOD_NOT_ALLOWED,
        "this can be asked for with %s alone", others->str);
  } else {
    yolo_http_answer_error (message, SOUP_STATUS_NOT_FOUND,
        "there is nothing at this address; " API "/openapi.json describes what is there");
  }
}

static void
on_connection_gone (gpointer user_data, GObject *where_it_was)
{
  guint *n_connections = user_data;

  (*n_connections)--;
  g_rc_box_release (n_connections);
}

/* A connection comes in. One that is too much is closed before a byte of it is read. */
static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source,
    gpointer user_data)
{
  YoloHttp *http = user_data;
  g_autoptr (GIOStream) stream = G_IO_STREAM (g_object_ref (connection));
  g_autoptr (GSocketAddress) local = NULL;
  g_autoptr (GSocketAddress) remote = NULL;
  g_autoptr (GError) error = NULL;

  if (*http->n_connections >= http->max_connections || http->ending)
    return TRUE;
  g_socket_set_timeout (g_socket_connection_get_socket (connection), MAX_IDLE);
  local = g_socket_connection_get_local_address (connection, NULL);
  remote = g_socket_connection_get_remote_address (connection, NULL);
  if (http->certificate != NULL) {
    GIOStream *tls = g_tls_server_connection_new (stream, http->certificate, &error);

    if (tls == NULL)
      return TRUE;
    g_object_unref (stream);
    stream = tls;
  }
  if (local == NULL || remote == NULL
      || !soup_server_accept_iostream (http->soup, stream, local, remote, NULL))
    return TRUE;
  (*http->n_connections)++;
  g_object_weak_ref (G_OBJECT (connection), on_connection_gone,
      g_rc_box_acquire (http->n_connections));
  return TRUE;
}

GSocketAddress *
yolo_http_parse_address (const char *key, const char *listen, GError **error)
{
  const char *colon = strrchr (listen, ':');
  guint64 port;
  g_autofree char *host = NULL;
  GSocketAddress *address = NULL;

  if (colon != NULL && g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &port, NULL)) {
    host = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']'
        ? g_strndup (listen + 1, colon - listen - 2) : g_strndup (listen, colon - listen);
    address = g_inet_socket_address_new_from_string (
        strcmp (host, "localhost") == 0 ? "127.0.0.1" : *host == '\0' ? "0.0.0.0" : host, port);
  }
  if (address == NULL)
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
        "server: %s is '%s'; give an address and a port, such as 127.0.0.1:8080", key, listen);
  return address;
}

char *
yolo_http_format_address (const char *scheme, GInetAddress *address, guint port)
{
  g_autofree char *host = g_inet_address_to_string (address);
  const gboolean v6 = g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV6;

  return g_strdup_printf ("%s://%s%s%s:%u", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
}

static gboolean
start_listening (YoloHttp *http, const YoloValues *server, GError **error)
{
  const char *listen = yolo_values_text (server, YOLO_KEY_LISTEN);
  const char *certificate = yolo_values_text (server, YOLO_KEY_TLS_CERTIFICATE);
  g_autoptr (GSocketAddress) address = yolo_http_parse_address ("listen", listen, error);
  g_autoptr (GSocketAddress) effective = NULL;

  if (address == NULL)
    return FALSE;
  if (!g_inet_address_get_is_loopback (g_inet_socket_address_get_address (
              G_INET_SOCKET_ADDRESS (address))) && !yolo_guard_is_closed (http->guard)) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
        "server: listen is '%s', which others can reach; set token, or login and login-hash",
        listen);
    return FALSE;
  }
  if (certificate != NULL && (http->certificate = g_tls_certificate_new_from_files (certificate,
              yolo_values_text (server, YOLO_KEY_TLS_KEY), error)) == NULL) {
    g_prefix_error (error, "server: tls-certificate and tls-key cannot be used: ");
    return FALSE;
  }
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (http->service), address,
          G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL, &effective, error)) {
    g_prefix_error (error, "server: cannot listen on %s: ", listen);
    return FALSE;
  }
  http->address = yolo_http_format_address (certificate != NULL ? "https" : "http",
      g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (effective)),
      g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (effective)));
  return TRUE;
}

YoloHttp *
yolo_http_new (YoloWall *wall, GError **error)
{
  const YoloValues *server = yolo_wall_settings (wall)->server;
  const char *rtsp = yolo_values_text (server, YOLO_KEY_RTSP_LISTEN);
  YoloHttp *http = g_new0 (YoloHttp, 1);

  http->wall = wall;
  http->n_connections = g_rc_box_new0 (guint);
  http->began = g_get_monotonic_time ();
  http->guard = yolo_guard_new (server);
  http->max_connections = yolo_values_number (server, YOLO_KEY_MAX_CONNECTIONS);
  http->max_viewers = yolo_values_number (server, YOLO_KEY_MAX_VIEWERS);
  http->soup = soup_server_new ("server-header", "yolo-server", NULL);
  soup_server_add_early_handler (http->soup, NULL, on_head, http, NULL);
  soup_server_add_handler (http->soup, NULL, on_request, http, NULL);
  soup_server_add_early_handler (http->soup, API "/live", on_head, http, NULL);
  soup_server_add_websocket_handler (http->soup, API "/live", NULL, NULL, yolo_watch_socket, http,
      NULL);
  soup_server_add_early_handler (http->soup, API "/live-events", on_head, http, NULL);
  soup_server_add_websocket_handler (http->soup, API "/live-events", NULL, NULL,
      yolo_search_socket, http, NULL);
  http->service = g_socket_service_new ();
  g_socket_listener_set_backlog (G_SOCKET_LISTENER (http->service), BACKLOG);
  g_signal_connect (http->service, "incoming", G_CALLBACK (on_incoming), http);
  if (!start_listening (http, server, error)
      || (rtsp != NULL && (http->restream = yolo_restream_new (wall, rtsp, http->certificate,
                  error)) == NULL)) {
    yolo_http_free (http);
    return NULL;
  }
  return http;
}

void
yolo_http_free (YoloHttp *http)
{
  if (http == NULL)
    return;
  http->ending = TRUE;
  yolo_restream_free (http->restream);
  g_socket_service_stop (http->service);
  g_socket_listener_close (G_SOCKET_LISTENER (http->service));
  soup_server_disconnect (http->soup);
  g_object_unref (http->service);
  g_object_unref (http->soup);
  g_clear_object (&http->certificate);
  yolo_guard_free (http->guard);
  g_rc_box_release (http->n_connections);
  g_free (http->address);
  g_free (http);
}
