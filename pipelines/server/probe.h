/* SPDX-License-Identifier: MIT */
/* Whether a camera's host answers: without a pipeline, a password, or anybody waiting. */

#ifndef YOLO_SERVER_PROBE_H
#define YOLO_SERVER_PROBE_H

#include <gio/gio.h>

#include "pipelines/server/values.h"

G_BEGIN_DECLS

/* Called by the main thread, unless the probe was cancelled. */
typedef void (*YoloProbeFunc) (gboolean answers, gpointer user_data);

/**
 * yolo_probe:
 * @values: of a camera, with the defaults
 * @cancellable: once it is cancelled, @func is not called any more
 *
 * Connects to the camera's host, and asks one that is to speak RTSP without TLS for its OPTIONS
 * (RFC 2326, 10.1): whoever does not answer that within two seconds, or with something else, is
 * not there yet.
 *
 * Returns: FALSE: the camera has no host that can be asked
 */
gboolean yolo_probe (const YoloValues *values, GCancellable *cancellable, YoloProbeFunc func,
    gpointer user_data);

G_END_DECLS

#endif
