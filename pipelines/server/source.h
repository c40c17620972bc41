/* SPDX-License-Identifier: MIT */
/* From a camera's URI to raw frames. */

#ifndef YOLO_SERVER_SOURCE_H
#define YOLO_SERVER_SOURCE_H

#include <gst/gst.h>

#include "pipelines/server/bitstream.h"

G_BEGIN_DECLS

/**
 * yolo_source_add:
 * @bin: a pipeline that is not running
 * @into: the element in it whose sink pad takes the frames
 * @values: of the camera, with the defaults
 *
 * Adds what opens and decodes the camera's video: uridecodebin3 where GStreamer is 1.24 or newer,
 * before which it does not get over all errors, uridecodebin where it is older. Sound is left
 * out. User and password go to the element that asks for them, and into no URI. @stream gets what
 * comes compressed.
 *
 * Returns: FALSE with @error, whose text holds no secret
 */
gboolean yolo_source_add (
    GstBin *bin, GstElement *into, const YoloValues *values, YoloBitstream *stream, GError **error);

/* Whether the URI is a file, which has an end. */
gboolean yolo_source_is_file (const YoloValues *values);

/**
 * yolo_source_host:
 * @port: (out): where to connect
 *
 * Returns: (transfer full) (nullable): the host that the camera is reached at, NULL for what is
 * not reached by TCP
 */
char *yolo_source_host (const YoloValues *values, guint16 *port);

G_END_DECLS

#endif
