/* SPDX-License-Identifier: MIT */
/* A camera's own video as the camera has compressed it (H.264, H.265), for what leaves the server
 * as video: clips and recordings, HLS, RTSP. It is taken off where it goes into the decoder, is
 * never decoded or encoded again, and nothing is done while nobody wants it. It outlives the
 * pipelines that fill it. */

#ifndef YOLO_SERVER_BITSTREAM_H
#define YOLO_SERVER_BITSTREAM_H

#include <gst/app/gstappsrc.h>
#include <gst/gst.h>

#include "pipelines/server/films.h"
#include "pipelines/server/values.h"

G_BEGIN_DECLS

typedef struct _YoloBitstream YoloBitstream;

/* @films: (nullable): where clips and recordings go; NULL: nowhere */
YoloBitstream *yolo_bitstream_new (const char *camera, YoloFilms *films);
YoloBitstream *yolo_bitstream_ref (YoloBitstream *stream);
void yolo_bitstream_unref (YoloBitstream *stream);

/* The main thread calls the functions from here on. */

/* Takes the settings of a camera on. Where they hide something in pictures, and do not say that
 * video may show it, the stream is closed: nothing is taken off. */
void yolo_bitstream_set (YoloBitstream *stream, const YoloValues *values);
gboolean yolo_bitstream_is_closed (YoloBitstream *stream);

/* The camera's pipeline is over: clips and recordings under way end, and
 * those who joined get an end of stream. The next pipeline's video comes after it. */
void yolo_bitstream_end (YoloBitstream *stream);

/* Now and then: stops what nobody has asked for for a while. */
void yolo_bitstream_watch (YoloBitstream *stream);

/* Why nothing can be recorded of a camera that is live, in words, or NULL. */
const char *yolo_bitstream_lacks (YoloBitstream *stream);

/* From now on, for a while, the newest seconds are kept for HLS. */
void yolo_bitstream_want_hls (YoloBitstream *stream);

/* (transfer full) (nullable): the list of the segments that are there, or NULL: none is there
 * yet. */
char *yolo_bitstream_playlist (YoloBitstream *stream);

/* (transfer full) (nullable): what stands in front of all segments, and one segment. @version: of
 * the playlist; @number: of the segment. NULL: it is not there, or not any more. */
GBytes *yolo_bitstream_hls_head (YoloBitstream *stream, guint version);
GBytes *yolo_bitstream_hls_segment (YoloBitstream *stream, guint64 number);

/* Any thread calls the functions from here on. */

/* Takes video off behind a parser that no buffer has passed yet. @run: what yolo_bitstream_run()
 * was when the parser's pipeline was built: a pipeline that still adds one while it ends is not
 * listened to. Of several parsers of a pipeline the first one counts. */
void yolo_bitstream_tap (YoloBitstream *stream, guint run, GstElement *parser);

/* Tells of an event on the picture at @pts, in ns of the camera's pipeline. Returns the number of
 * the clip that shows it, which this may begin; 0: none does, since nothing is recorded. */
gint64 yolo_bitstream_event (YoloBitstream *stream, GstClockTime pts);

/* "video/x-h264" and so on, interned; NULL: there is no video that may leave. */
const char *yolo_bitstream_kind (YoloBitstream *stream);

/* A number that is another one each time that the camera is connected. */
guint yolo_bitstream_run (YoloBitstream *stream);

/* Has video pushed into an element, from the next picture on at which decoding can begin, by the
 * running time of that element's pipeline. At the end of the pipeline that the video comes from
 * @out gets an end of stream. @out: (transfer none): a reference is kept until then, or until
 * yolo_bitstream_leave(). */
void yolo_bitstream_join (YoloBitstream *stream, GstAppSrc *out);
void yolo_bitstream_leave (YoloBitstream *stream, GstAppSrc *out);

G_END_DECLS

#endif
