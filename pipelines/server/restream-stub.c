/* SPDX-License-Identifier: MIT */
#include "pipelines/server/restream.h"

YoloRestream *
yolo_restream_new (YoloWall *wall, const char *listen, GTlsCertificate *certificate,
    GError **error)
{
  g_set_error_literal (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
      "server: rtsp-listen is set, and this program was built without RTSP; build it where "
      "libgstrtspserver-1.0-dev is installed, or leave rtsp-listen out");
  return NULL;
}

void
yolo_restream_free (YoloRestream *restream)
{
}

const char *
yolo_restream_address (YoloRestream *restream)
{
  return NULL;
}
