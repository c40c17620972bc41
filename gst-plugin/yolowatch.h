/* SPDX-License-Identifier: MIT */
/* Notices that objects which yoloinfer found upstream do not arrive: some elements
 * drop the metadata of a frame, and a frame without objects looks the same. The
 * functions are called by the streaming thread of an element. */

#ifndef YOLO_WATCH_H
#define YOLO_WATCH_H

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct {
  gboolean announced;           /* there are objects upstream, and none has arrived */
  gboolean warned;
  guint n_buffers;              /* since the announcement */
} YoloWatch;

/**
 * yolo_watch_announce:
 *
 * Returns: (transfer full): what goes downstream before the first buffer with
 * objects. It is sticky, and passes elements that make new buffers too.
 */
GstEvent *yolo_watch_announce (void);

/* Called for each event that comes from upstream. */
void yolo_watch_event (YoloWatch *watch, GstElement *element, GstEvent *event);

/**
 * yolo_watch_buffer:
 * @element: posts a warning, once, if objects were lost on the way
 * @n_objects: how many yolo_meta_read() has found on @buffer
 *
 * Called for each buffer.
 */
void yolo_watch_buffer (YoloWatch *watch, GstElement *element, GstBuffer *buffer, guint n_objects);

G_END_DECLS

#endif
