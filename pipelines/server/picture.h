/* SPDX-License-Identifier: MIT */
/* The newest picture of a camera and what is on it, for those who watch. Nothing is encoded while
 * nobody does. It outlives the pipelines that fill it. */

#ifndef YOLO_SERVER_PICTURE_H
#define YOLO_SERVER_PICTURE_H

#include <gst/gst.h>

#include "pipelines/server/counts.h"
#include "pipelines/server/sightings.h"

G_BEGIN_DECLS

typedef struct _YoloPicture YoloPicture;

/* Called by the main thread for each new picture: @jpeg is a JPEG file, @json what is on it. */
typedef void (*YoloPictureFunc) (GBytes *jpeg, GBytes *json, gpointer user_data);

/* @counts: what the bytes are counted in; (transfer none) */
YoloPicture *yolo_picture_new (YoloCounts *counts);
YoloPicture *yolo_picture_ref (YoloPicture *picture);
void yolo_picture_unref (YoloPicture *picture);

/**
 * yolo_picture_watch:
 *
 * From now on pictures are encoded, and @func is called for each. The main thread calls this and
 * yolo_picture_leave().
 *
 * Returns: a number for yolo_picture_leave()
 */
guint yolo_picture_watch (YoloPicture *picture, YoloPictureFunc func, gpointer user_data);
void yolo_picture_leave (YoloPicture *picture, guint id);

/**
 * yolo_picture_add_branch:
 * @bin: a pipeline that is not running
 * @tee: in it; frames with their objects come out of it
 * @drawn: whether objects are drawn, too, and not only hidden as privacy asks
 * @width: most pixels across
 * @fps: most pictures a second
 * @sightings: (nullable): also encodes the frames on which something has happened, whoever
 * watches, and hands their pictures to this; it must outlive the pipeline
 *
 * Adds what encodes the frames of a pipeline to it.
 *
 * Returns: (transfer none) (nullable): the yolooverlay in it, or NULL with @error: an element is
 * not installed
 */
GstElement *yolo_picture_add_branch (YoloPicture *picture, GstBin *bin, GstElement *tee,
    gboolean drawn, gint width, gint fps, YoloSightings *sightings, GError **error);

G_END_DECLS

#endif
