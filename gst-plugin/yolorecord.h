/* SPDX-License-Identifier: MIT */
/* What was seen in a frame, as text. The functions append to `out` and write numbers
 * the same in every locale. */

#ifndef YOLO_RECORD_H
#define YOLO_RECORD_H

#include "gst-plugin/yolometa.h"

G_BEGIN_DECLS

typedef struct {
  gint width, height;           /* pixels */
  const YoloMetaObject *objects;
  guint n_objects;
  guint64 frame;                /* number in its stream, from 0 */
  GstClockTime timestamp;       /* stream time in nanoseconds, or GST_CLOCK_TIME_NONE */
  const char *source, *stream;  /* UTF-8, or NULL */
  gint64 unix_time;             /* of the clock, microseconds since 1970 */
} YoloRecord;

/* How class numbers become COCO's category ids. */
typedef enum {
  YOLO_CATEGORIES_CLASS,        /* the class number */
  YOLO_CATEGORIES_CLASS_PLUS_ONE,
  YOLO_CATEGORIES_COCO91,       /* COCO's own ids, 1 to 90, of the 80 classes of its models */
} YoloCategories;

/* One line: a JSON object in the schema of DL Streamer's gvametaconvert, with `stream` and
 * `frame` besides, and in an object what its model finds: `rotation` and `corners`, `keypoints`,
 * `mask`; a class of the whole frame is a `classification` in place of a `detection`. What a
 * second network says of an object is a `classification` besides; where objects were found in
 * others, all have a `region_id`, which is the `parent_id` of these; one that has a track has
 * `state` where it was not found in this frame. Leaves out no object and returns their number. */
guint yolo_record_json_line (const YoloRecord *record, GString *out);

/* A line for each event that yolozones attached to @buffer, the frame's: a JSON object with
 * `source`, `stream` and `frame`, and the fields of the event's structure, `_` in place of `-`.
 * Returns the number of events. */
guint yolo_record_events (const YoloRecord *record, GstBuffer *buffer, GString *out);

/* The same of one structure that has `events`: of such metadata, or of YOLO_ZONES_END. */
guint yolo_record_events_in (const YoloRecord *record, const GstStructure *zones, GString *out);

/* One line: a JSON object in DeepStream's minimal schema, as nvmsgconv sends it: version, frame,
 * time of the clock, the stream as sensorId, and a text for each object: the number of its track or
 * -1, the edges of its box in pixels, its label. */
void yolo_record_deepstream (const YoloRecord *record, GString *out);

/* JSON objects as pycocotools' loadRes() takes them in an array, with commas
 * between; `segmentation` is a mask's run lengths, or the corners of a turned box.
 * Objects without a category id or a confidence are left out. Returns the number of
 * objects written. */
guint yolo_record_coco (const YoloRecord *record, gint64 image_id, YoloCategories categories,
    GString *out);

/* A line an object, all places normalised: the class; the box as centre x and y, width, height,
 * and behind it x, y and visibility of its points; or the mask's outline as x, y of its points;
 * or x, y of a turned box's corners; and with @with_confidence the confidence where it is
 * known. Of a class of the whole frame the confidence and the name. Objects without a
 * class number, and those whose mask has no pixel in the frame, are left out. Returns the
 * number of objects written. */
guint yolo_record_labels (const YoloRecord *record, gboolean with_confidence, GString *out);

/* A line an object that has a track, as MOTChallenge's results: number of the frame, from 1, and
 * of the track; left, top, width and height of the box, in pixels; confidence, or 1 where it is
 * not known; and three times -1, in place of a position in the world. Returns the number of
 * objects written. */
guint yolo_record_mot (const YoloRecord *record, GString *out);

/**
 * yolo_record_path:
 * @pattern: with one conversion as of printf: %d or %05d; %% is a percent sign
 * @number: of the frame, from 0
 *
 * Returns: (transfer full): the path of the frame's file; NULL: @pattern has no
 * conversion, or another one
 */
char *yolo_record_path (const char *pattern, guint64 number);

G_END_DECLS

#endif
