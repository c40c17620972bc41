/* SPDX-License-Identifier: MIT */
/* RTSP: the cameras' own video for other programs, at `/NAME`, as it comes. However many watch a
 * camera, it has one connection and one pipeline more. */

#ifndef YOLO_SERVER_RESTREAM_H
#define YOLO_SERVER_RESTREAM_H

#include "pipelines/server/wall.h"

G_BEGIN_DECLS

typedef struct _YoloRestream YoloRestream;

/**
 * yolo_restream_new:
 * @listen: an address and a port as `listen` has them
 * @certificate: (nullable): NULL: RTSP; else RTSPS
 *
 * Listens. Whoever connects has to say what he would have to say to the page. The main thread
 * calls all functions.
 *
 * Returns: NULL with @error: the address is in use, or open without a password, or this program
 * was built without RTSP
 */
YoloRestream *yolo_restream_new (
    YoloWall *wall, const char *listen, GTlsCertificate *certificate, GError **error);

/* Closes all connections. */
void yolo_restream_free (YoloRestream *restream);

/* "rtsp://127.0.0.1:8554" */
const char *yolo_restream_address (YoloRestream *restream);

G_END_DECLS

#endif
