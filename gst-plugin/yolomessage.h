/* SPDX-License-Identifier: MIT */
/* What yoloinfer tells the application about its model. Called by any thread, which
 * holds no lock. */

#ifndef YOLO_MESSAGE_H
#define YOLO_MESSAGE_H

#include "gst-plugin/yoloload.h"

G_BEGIN_DECLS

/**
 * yolo_message_error:
 * @error: of the network, the engine or a property
 * @file: (nullable): what model-file says
 *
 * Posts an error message with the domain and code that GStreamer has for it.
 */
void yolo_message_error (GstElement *element, const GError *error, const gchar *file);

/* The same as a warning, where another model could not be loaded, so that the one that runs
 * stays. */
void yolo_message_kept (GstElement *element, const GError *error, const gchar *file);

/* Posts the element message `yoloinfer-model`: file, task, classes, names, stride,
 * input-size, precision, device, sha256; and, if there is something worth knowing
 * of the precision, an info message. */
void yolo_message_model (GstElement *element, const YoloLoad *load);

G_END_DECLS

#endif
