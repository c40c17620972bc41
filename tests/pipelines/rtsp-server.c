/* SPDX-License-Identifier: MIT */
/* A camera to test against: an RTSP server on a port of the loopback.
 *
 *   rtsp-server LAUNCH [PORT]
 *
 * LAUNCH makes the video and ends in a payloader called pay0. Without PORT a free one
 * is taken. Prints the URL, then serves until it is killed. A source in LAUNCH called `scene`, a
 * videotestsrc, changes between black and bars at each SIGUSR1; the Unix time at which its first
 * frame of another kind was made is printed. */

#include <signal.h>
#include <stdio.h>

#include <glib-unix.h>
#include <gst/rtsp-server/rtsp-server.h>

static GstElement *scene;       /* NULL: nobody watches yet, or there is none */
static gint changed;            /* atomic: the next frame is the first of its kind */

/* The source makes a frame in the thread that hands it on, one after the other; one that was begun
 * before the change may come first. */
static GstPadProbeReturn
on_frame (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  const gint64 now = g_get_real_time ();
  GstMapInfo map;
  static guint8 before;
  guint8 level;

  gst_buffer_map (GST_PAD_PROBE_INFO_BUFFER (info), &map, GST_MAP_READ);
  level = map.data[0];
  gst_buffer_unmap (GST_PAD_PROBE_INFO_BUFFER (info), &map);
  if (level != before && g_atomic_int_compare_and_exchange (&changed, TRUE, FALSE)) {
    printf ("%.6f\n", now / 1e6);
    fflush (stdout);
  }
  before = level;
  return GST_PAD_PROBE_OK;
}

static void
on_media (GstRTSPMediaFactory *factory, GstRTSPMedia *media, gpointer user_data)
{
  g_autoptr (GstElement) bin = gst_rtsp_media_get_element (media);
  g_autoptr (GstPad) pad = NULL;

  scene = gst_bin_get_by_name_recurse_up (GST_BIN (bin), "scene");
  if (scene == NULL)
    return;
  pad = gst_element_get_static_pad (scene, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_frame, NULL, NULL);
}

static gboolean
on_change (gpointer user_data)
{
  gint pattern;

  if (scene == NULL)
    return G_SOURCE_CONTINUE;
  g_object_get (scene, "pattern", &pattern, NULL);
  gst_util_set_object_arg (G_OBJECT (scene), "pattern", pattern == 2 ? "smpte" : "black");
  g_atomic_int_set (&changed, TRUE);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = NULL;
  g_autoptr (GstRTSPServer) server = NULL;
  g_autoptr (GstRTSPMountPoints) mounts = NULL;
  GstRTSPMediaFactory *factory;

  gst_init (&argc, &argv);
  if (argc != 2 && argc != 3) {
    g_printerr ("usage: %s LAUNCH [PORT]\n", argv[0]);
    return 2;
  }

  server = gst_rtsp_server_new ();
  gst_rtsp_server_set_address (server, "127.0.0.1");
  gst_rtsp_server_set_service (server, argc == 3 ? argv[2] : "0");      /* 0: any free port */

  factory = gst_rtsp_media_factory_new ();
  gst_rtsp_media_factory_set_launch (factory, argv[1]);
  gst_rtsp_media_factory_set_shared (factory, TRUE);
  g_signal_connect (factory, "media-constructed", G_CALLBACK (on_media), NULL);
  g_unix_signal_add (SIGUSR1, on_change, NULL);
  mounts = gst_rtsp_server_get_mount_points (server);
  gst_rtsp_mount_points_add_factory (mounts, "/camera", factory);

  if (gst_rtsp_server_attach (server, NULL) == 0) {
    g_printerr ("no port to listen on\n");
    return 1;
  }
  printf ("rtsp://127.0.0.1:%d/camera\n", gst_rtsp_server_get_bound_port (server));
  fflush (stdout);

  loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
  return 0;
}
