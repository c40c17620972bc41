/* SPDX-License-Identifier: MIT */
/* The HTTP server: who may connect, how often and how much, and which function answers what. It
 * runs in the main thread; nothing that it calls waits. */

#ifndef YOLO_SERVER_HTTP_H
#define YOLO_SERVER_HTTP_H

#include <json-glib/json-glib.h>
#include <libsoup/soup.h>

#include "pipelines/server/guard.h"
#include "pipelines/server/restream.h"
#include "pipelines/server/wall.h"

G_BEGIN_DECLS

typedef struct {
  YoloWall *wall;
  SoupServer *soup;
  GSocketService *service;
  YoloGuard *guard;
  GTlsCertificate *certificate; /* NULL: HTTP */
  YoloRestream *restream;       /* NULL: no RTSP */
  char *address;                /* "http://127.0.0.1:8080" */
  gint64 began;                 /* us, monotonic */
  gboolean started;             /* every camera's first start is over */
  gboolean ending;
  guint *n_connections;         /* a box of GLib's: connections may outlive the server */
  guint max_connections;
  guint n_viewers, max_viewers;
  guint64 n_requests, n_refused;
} YoloHttp;

/* Answers a request. @name: the camera's name or the event's number in the path, or NULL. */
typedef void (*YoloHandler) (YoloHttp *http, SoupServerMessage *message, const char *name);

/* Listens as the settings say. NULL with @error: the address is in use, or open without a
 * password. */
YoloHttp *yolo_http_new (YoloWall *wall, GError **error);

/* Closes all connections. */
void yolo_http_free (YoloHttp *http);

/* An address and a port out of "127.0.0.1:8080" or "[::1]:8080". @key: the setting that has it */
GSocketAddress *yolo_http_parse_address (const char *key, const char *listen, GError **error);

/* (transfer full): "https://[::1]:8080" */
char *yolo_http_format_address (const char *scheme, GInetAddress *address, guint port);

/* Answers with JSON. */
void yolo_http_answer_node (SoupServerMessage *message, guint status, JsonNode *node);

/* Answers with what a builder has built; (transfer full). */
void yolo_http_answer_json (SoupServerMessage *message, guint status, JsonBuilder *builder);

/* Answers with {"error":"..."}; the text is made fit to be shown. */
void yolo_http_answer_error (SoupServerMessage *message, guint status, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

/* Answers with the status that an error of the settings means. */
void yolo_http_answer_failure (SoupServerMessage *message, const GError *error);

/* The object that a request carries, or NULL: it carries none, which has been answered. */
JsonObject *yolo_http_read_object (SoupServerMessage *message, JsonParser *parser);

/* handlers: api.c */
void yolo_api_list_cameras (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_get_camera (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_put_camera (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_patch_camera (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_delete_camera (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_get_zones (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_put_zones (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_delete_zones (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_get_status (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_get_schema (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_save (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_api_reload (YoloHttp *http, SoupServerMessage *message, const char *name);

/* handlers: deepstream.c */
void yolo_deepstream_add (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_deepstream_remove (YoloHttp *http, SoupServerMessage *message, const char *name);

/* handlers: metrics.c */
void yolo_metrics_get (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_health_live (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_health_ready (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_health_startup (YoloHttp *http, SoupServerMessage *message, const char *name);

/* handlers: search.c */
void yolo_search_list (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_search_hours (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_search_event (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_search_snapshot (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_search_clip (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_search_recordings (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_search_recording (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_search_socket (SoupServer *server, SoupServerMessage *message, const char *path,
    SoupWebsocketConnection *connection, gpointer user_data);

/* handlers: video.c */
void yolo_video_playlist (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_video_head (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_video_segment (YoloHttp *http, SoupServerMessage *message, const char *name);

/* Answers a message that is paused with a file of MP4, or the part of it that is asked for. */
void yolo_video_send (YoloHttp *http, SoupServerMessage *message, const char *path);

/* handlers: watch.c */
void yolo_watch_snapshot (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_watch_mjpeg (YoloHttp *http, SoupServerMessage *message, const char *name);
void yolo_watch_socket (SoupServer *server, SoupServerMessage *message, const char *path,
    SoupWebsocketConnection *connection, gpointer user_data);

G_END_DECLS

#endif
