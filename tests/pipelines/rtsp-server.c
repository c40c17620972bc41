/* SPDX-License-Identifier: MIT */
/* A camera to test against: an RTSP server on a port of the loopback.
 *
 *   rtsp-server LAUNCH [PORT]
 *
 * LAUNCH makes the video and ends in a payloader called pay0. Without PORT a free one
 * is taken. Prints the URL, then serves until it is killed. */

#include <stdio.h>

#include <gst/rtsp-server/rtsp-server.h>

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
