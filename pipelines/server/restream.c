/* SPDX-License-Identifier: MIT */
#include "pipelines/server/restream.h"

#include <string.h>

#include <gst/rtsp-server/rtsp-server.h>

#include "pipelines/server/guard.h"
#include "pipelines/server/http.h"

#define PERIOD 500              /* ms between two looks for cameras that were added or removed */
#define MAX_THREADS 8           /* which talk to viewers: one waits for the first picture */
#define ROLE "viewer"

/* Who may watch: asks the guard. Threads of the server call it. */

typedef struct {
  GstRTSPAuth parent;
  GMutex lock;                  /* guards the guard */
  YoloGuard *guard;
  GstRTSPToken *token;
} YoloRestreamAuth;

typedef GstRTSPAuthClass YoloRestreamAuthClass;
GType yolo_restream_auth_get_type (void);
G_DEFINE_TYPE (YoloRestreamAuth, yolo_restream_auth, GST_TYPE_RTSP_AUTH)

static gboolean
authenticate (GstRTSPAuth *auth, GstRTSPContext *context)
{
  YoloRestreamAuth *own = (YoloRestreamAuth *) auth;
  char *authorization = NULL;

  gst_rtsp_message_get_header (context->request, GST_RTSP_HDR_AUTHORIZATION, &authorization, 0);
  g_mutex_lock (&own->lock);
  if (yolo_guard_check (own->guard, authorization) == YOLO_GUARD_KNOWN)
    context->token = own->token;
  g_mutex_unlock (&own->lock);
  return TRUE;
}

static void
yolo_restream_auth_finalize (GObject *object)
{
  YoloRestreamAuth *own = (YoloRestreamAuth *) object;

  yolo_guard_free (own->guard);
  gst_rtsp_token_unref (own->token);
  g_mutex_clear (&own->lock);
  G_OBJECT_CLASS (yolo_restream_auth_parent_class)->finalize (object);
}

static void
yolo_restream_auth_class_init (YoloRestreamAuthClass *class)
{
  class->authenticate = authenticate;
  G_OBJECT_CLASS (class)->finalize = yolo_restream_auth_finalize;
}

static void
yolo_restream_auth_init (YoloRestreamAuth *own)
{
  g_mutex_init (&own->lock);
  own->token = gst_rtsp_token_new (GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, ROLE, NULL);
}

/* What a camera is at its address: a pipeline, shared by all who watch, that its video is pushed
 * into. */

typedef struct {
  GstRTSPMediaFactory parent;
  YoloBitstream *stream;           /* a reference */
} YoloRestreamFactory;

typedef GstRTSPMediaFactoryClass YoloRestreamFactoryClass;
GType yolo_restream_factory_get_type (void);
G_DEFINE_TYPE (YoloRestreamFactory, yolo_restream_factory, GST_TYPE_RTSP_MEDIA_FACTORY)

/* Those who come after the camera was connected anew do not get the pipeline of before. */
static char *
gen_key (GstRTSPMediaFactory *factory, const GstRTSPUrl *url)
{
  return g_strdup_printf ("%u", yolo_bitstream_run (((YoloRestreamFactory *) factory)->stream));
}

static GstElement *
create_element (GstRTSPMediaFactory *factory, const GstRTSPUrl *url)
{
  const char *kind = yolo_bitstream_kind (((YoloRestreamFactory *) factory)->stream);
  const char *number = kind != NULL && strcmp (kind, "video/x-h265") == 0 ? "265" : "264";
  g_autofree char *line = g_strdup_printf ("( appsrc name=in is-live=true format=time ! "
      "h%sparse ! rtph%spay name=pay0 pt=96 config-interval=-1 )", number, number);

  return gst_parse_launch (line, NULL);
}

/* NULL is answered by "service unavailable". */
static GstRTSPMedia *
construct (GstRTSPMediaFactory *factory, const GstRTSPUrl *url)
{
  if (yolo_bitstream_kind (((YoloRestreamFactory *) factory)->stream) == NULL)
    return NULL;
  return GST_RTSP_MEDIA_FACTORY_CLASS (yolo_restream_factory_parent_class)->construct (factory,
      url);
}

/* A pipeline and the stream that it hangs on. */
typedef struct {
  YoloBitstream *stream;           /* a reference */
  GstAppSrc *in;                /* a reference */
} Joint;

static void
on_unprepared (GstRTSPMedia *media, Joint *joint)
{
  yolo_bitstream_leave (joint->stream, joint->in);
}

static void
joint_free (gpointer data, GClosure *closure)
{
  Joint *joint = data;

  yolo_bitstream_leave (joint->stream, joint->in);
  yolo_bitstream_unref (joint->stream);
  gst_object_unref (joint->in);
  g_free (joint);
}

static void
configure (GstRTSPMediaFactory *factory, GstRTSPMedia *media)
{
  g_autoptr (GstElement) element = gst_rtsp_media_get_element (media);
  Joint *joint = g_new (Joint, 1);

  *joint = (Joint) { yolo_bitstream_ref (((YoloRestreamFactory *) factory)->stream),
    GST_APP_SRC (gst_bin_get_by_name (GST_BIN (element), "in")) };
  GST_RTSP_MEDIA_FACTORY_CLASS (yolo_restream_factory_parent_class)->configure (factory, media);
  /* The joint goes with the media, whatever becomes of it. */
  g_signal_connect_data (media, "unprepared", G_CALLBACK (on_unprepared), joint, joint_free, 0);
  yolo_bitstream_join (joint->stream, joint->in);
}

static void
yolo_restream_factory_finalize (GObject *object)
{
  yolo_bitstream_unref (((YoloRestreamFactory *) object)->stream);
  G_OBJECT_CLASS (yolo_restream_factory_parent_class)->finalize (object);
}

static void
yolo_restream_factory_class_init (YoloRestreamFactoryClass *class)
{
  class->gen_key = gen_key;
  class->create_element = create_element;
  class->construct = construct;
  class->configure = configure;
  G_OBJECT_CLASS (class)->finalize = yolo_restream_factory_finalize;
}

static void
yolo_restream_factory_init (YoloRestreamFactory *own)
{
}

/* The server. */

struct _YoloRestream {
  YoloWall *wall;
  GstRTSPServer *server;
  GstRTSPMountPoints *mounts;
  GHashTable *mounted;          /* name: YoloBitstream, a reference */
  GSource *source;              /* takes connections */
  guint timer;
  guint max_clients;
  char *address;
};

static void
mount (YoloRestream *restream, const YoloCamera *camera)
{
  YoloRestreamFactory *own = g_object_new (yolo_restream_factory_get_type (), NULL);
  GstRTSPMediaFactory *factory = GST_RTSP_MEDIA_FACTORY (own);
  g_autofree char *path = g_strconcat ("/", camera->name, NULL);

  own->stream = yolo_bitstream_ref (camera->stream);
  gst_rtsp_media_factory_set_shared (factory, TRUE);
  gst_rtsp_media_factory_set_protocols (factory, GST_RTSP_LOWER_TRANS_UDP
      | GST_RTSP_LOWER_TRANS_TCP);
  gst_rtsp_media_factory_add_role (factory, ROLE,
      GST_RTSP_PERM_MEDIA_FACTORY_ACCESS, G_TYPE_BOOLEAN, TRUE,
      GST_RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, G_TYPE_BOOLEAN, TRUE, NULL);
  gst_rtsp_mount_points_add_factory (restream->mounts, path, factory);
  g_hash_table_insert (restream->mounted, g_strdup (camera->name),
      yolo_bitstream_ref (camera->stream));
}

static gboolean
is_gone (gpointer name, gpointer stream, gpointer user_data)
{
  YoloRestream *restream = user_data;
  const YoloCamera *camera = yolo_wall_camera (restream->wall, name);
  g_autofree char *path = g_strconcat ("/", (const char *) name, NULL);

  if (camera != NULL && camera->stream == stream)
    return FALSE;
  gst_rtsp_mount_points_remove_factory (restream->mounts, path);
  return TRUE;
}

static gboolean
on_timer (gpointer user_data)
{
  YoloRestream *restream = user_data;
  GPtrArray *cameras = yolo_wall_cameras (restream->wall);
  g_autoptr (GstRTSPSessionPool) sessions = gst_rtsp_server_get_session_pool (restream->server);

  g_hash_table_foreach_remove (restream->mounted, is_gone, restream);
  for (guint i = 0; i < cameras->len; i++) {
    const YoloCamera *camera = g_ptr_array_index (cameras, i);

    if (!g_hash_table_contains (restream->mounted, camera->name))
      mount (restream, camera);
  }
  gst_rtsp_session_pool_cleanup (sessions);
  return G_SOURCE_CONTINUE;
}

static GstRTSPFilterResult
count (GstRTSPServer *server, GstRTSPClient *client, gpointer user_data)
{
  ++*(guint *) user_data;
  return GST_RTSP_FILTER_KEEP;
}

static GstRTSPFilterResult
end (GstRTSPServer *server, GstRTSPClient *client, gpointer user_data)
{
  return GST_RTSP_FILTER_REMOVE;
}

static void
on_client (GstRTSPServer *server, GstRTSPClient *client, gpointer user_data)
{
  YoloRestream *restream = user_data;
  guint n = 0;

  gst_rtsp_server_client_filter (server, count, &n);
  if (n > restream->max_clients)
    gst_rtsp_client_close (client);
}

/* Sets up who may watch; where anybody may, and nothing is encrypted, nobody is asked. */
static gboolean
set_guard (YoloRestream *restream, const char *listen, GInetAddress *address,
    GTlsCertificate *certificate, GError **error)
{
  YoloGuard *guard = yolo_guard_new (yolo_wall_settings (restream->wall)->server);
  YoloRestreamAuth *auth;

  if (!yolo_guard_is_closed (guard) && !g_inet_address_get_is_loopback (address)) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
        "server: rtsp-listen is '%s', which others can reach; set token, or login and login-hash",
        listen);
    yolo_guard_free (guard);
    return FALSE;
  }
  if (!yolo_guard_is_closed (guard) && certificate == NULL) {
    yolo_guard_free (guard);
    return TRUE;
  }
  auth = g_object_new (yolo_restream_auth_get_type (), NULL);
  auth->guard = guard;
  if (certificate != NULL)
    gst_rtsp_auth_set_tls_certificate (GST_RTSP_AUTH (auth), certificate);
  gst_rtsp_server_set_auth (restream->server, GST_RTSP_AUTH (auth));
  g_object_unref (auth);
  return TRUE;
}

static gboolean
start (YoloRestream *restream, const char *listen, GTlsCertificate *certificate, GError **error)
{
  const YoloValues *server = yolo_wall_settings (restream->wall)->server;
  const guint viewers = yolo_values_number (server, YOLO_KEY_MAX_VIEWERS);
  g_autoptr (GSocketAddress) socket = yolo_http_parse_address ("rtsp-listen", listen, error);
  g_autoptr (GstRTSPThreadPool) threads = gst_rtsp_server_get_thread_pool (restream->server);
  g_autoptr (GstRTSPSessionPool) sessions = gst_rtsp_server_get_session_pool (restream->server);
  GInetAddress *address;
  g_autofree char *host = NULL;
  g_autofree char *port = NULL;

  if (socket == NULL)
    return FALSE;
  address = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (socket));
  host = g_inet_address_to_string (address);
  port = g_strdup_printf ("%u", g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (socket)));
  if (!set_guard (restream, listen, address, certificate, error))
    return FALSE;
  gst_rtsp_thread_pool_set_max_threads (threads, MAX_THREADS);
  gst_rtsp_session_pool_set_max_sessions (sessions, viewers);
  restream->max_clients = yolo_values_number (server, YOLO_KEY_MAX_CONNECTIONS);
  gst_rtsp_server_set_address (restream->server, host);
  gst_rtsp_server_set_service (restream->server, port);
  restream->source = gst_rtsp_server_create_source (restream->server, NULL, error);
  if (restream->source == NULL) {
    g_prefix_error (error, "server: rtsp-listen: cannot listen on %s: ", listen);
    return FALSE;
  }
  g_source_attach (restream->source, NULL);
  restream->address = yolo_http_format_address (certificate != NULL ? "rtsps" : "rtsp", address,
      (guint) gst_rtsp_server_get_bound_port (restream->server));
  return TRUE;
}

YoloRestream *
yolo_restream_new (YoloWall *wall, const char *listen, GTlsCertificate *certificate,
    GError **error)
{
  YoloRestream *restream = g_new0 (YoloRestream, 1);

  restream->wall = wall;
  restream->server = gst_rtsp_server_new ();
  restream->mounts = gst_rtsp_server_get_mount_points (restream->server);
  restream->mounted = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      (GDestroyNotify) yolo_bitstream_unref);
  g_signal_connect (restream->server, "client-connected", G_CALLBACK (on_client), restream);
  if (!start (restream, listen, certificate, error)) {
    yolo_restream_free (restream);
    return NULL;
  }
  restream->timer = g_timeout_add (PERIOD, on_timer, restream);
  on_timer (restream);
  g_message ("RTSP at %s/NAME", restream->address);
  return restream;
}

void
yolo_restream_free (YoloRestream *restream)
{
  if (restream == NULL)
    return;
  g_clear_handle_id (&restream->timer, g_source_remove);
  if (restream->source != NULL) {
    g_source_destroy (restream->source);
    g_source_unref (restream->source);
  }
  g_signal_handlers_disconnect_by_data (restream->server, restream);
  gst_rtsp_server_client_filter (restream->server, end, NULL);
  g_object_unref (restream->mounts);
  g_object_unref (restream->server);
  g_hash_table_unref (restream->mounted);
  g_free (restream->address);
  g_free (restream);
}

const char *
yolo_restream_address (YoloRestream *restream)
{
  return restream != NULL ? restream->address : NULL;
}
