/* SPDX-License-Identifier: MIT */
/* A camera's own video as the camera has compressed it (H.264, H.265), for what leaves the server
 * as video: clips and recordings, HLS, RTSP. It is taken off where it goes into the decoder, is
 * never decoded or encoded again, and nothing is done while nobody wants it. It outlives the
 * pipelines that fill it. */

#ifndef YOLO_SERVER_STREAM_H
#define YOLO_SERVER_STREAM_H

#include <gst/app/gstappsrc.h>
#include <gst/gst.h>

#include "pipelines/server/films.h"
#include "pipelines/server/values.h"

G_BEGIN_DECLS

typedef struct _YoloStream YoloStream;

/* @films: (nullable): where clips and recordings go; NULL: nowhere */
YoloStream *yolo_stream_new (const char *camera, YoloFilms *films);
YoloStream *yolo_stream_ref (YoloStream *stream);
void yolo_stream_unref (YoloStream *stream);

/* The main thread calls the functions from here on. */

/* Takes the settings of a camera on. Where they hide something in pictures, and do not say that
 * video may show it, the stream is closed: nothing is taken off. */
void yolo_stream_set (YoloStream *stream, const YoloValues *values);
gboolean yolo_stream_is_closed (YoloStream *stream);

/* A pipeline begins, or is over, with its clips. */
void yolo_stream_begin (YoloStream *stream);
void yolo_stream_end (YoloStream *stream);

/* Now and then: stops what nobody has asked for for a while. */
void yolo_stream_watch (YoloStream *stream);

/* Why nothing can be recorded of a camera that is live, in words, or NULL. */
const char *yolo_stream_lacks (YoloStream *stream);

/* From now on, for a while, the newest seconds are kept for HLS. */
void yolo_stream_want_hls (YoloStream *stream);

/* (transfer full) (nullable): the list of the segments that are there, or NULL: none is there
 * yet. */
char *yolo_stream_playlist (YoloStream *stream);

/* (transfer full) (nullable): what stands in front of all segments, and one segment. @version: of
 * the playlist; @number: of the segment. NULL: it is not there, or not any more. */
GBytes *yolo_stream_hls_head (YoloStream *stream, guint version);
GBytes *yolo_stream_hls_segment (YoloStream *stream, guint64 number);

/* Any thread calls the functions from here on. */

/* Takes video off behind a parser of a pipeline that is not running; the first parser of a
 * pipeline counts. */
void yolo_stream_tap (YoloStream *stream, GstElement *parser);

/* Something has happened on the picture at @pts. Returns the number of the clip that shows it;
 * 0: there is none. */
gint64 yolo_stream_event (YoloStream *stream, GstClockTime pts);

/* "video/x-h264" and so on, interned; NULL: there is no video that may leave. */
const char *yolo_stream_kind (YoloStream *stream);

/* A number that is another one each time that the camera is connected. */
guint yolo_stream_run (YoloStream *stream);

/* Has video pushed into an element, from the next picture on at which decoding can begin, by the
 * running time of that element's pipeline. At the end of the pipeline that the video comes from
 * @out gets an end of stream. @out: (transfer none): a reference is kept until then, or until
 * yolo_stream_leave(). */
void yolo_stream_join (YoloStream *stream, GstAppSrc *out);
void yolo_stream_leave (YoloStream *stream, GstAppSrc *out);

G_END_DECLS

#endif
