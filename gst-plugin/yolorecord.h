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
} YoloRecord;

/* How class numbers become COCO's category ids. */
typedef enum {
  YOLO_CATEGORIES_CLASS,        /* the class number */
  YOLO_CATEGORIES_CLASS_PLUS_ONE,
  YOLO_CATEGORIES_COCO91,       /* COCO's own ids, 1 to 90, of the 80 classes of its models */
} YoloCategories;

/* One line: a JSON object in the schema of DL Streamer's gvametaconvert, with
 * `stream` and `frame` besides. Leaves out no object and returns their number. */
guint yolo_record_json_line (const YoloRecord *record, GString *out);

/* JSON objects as pycocotools' loadRes() takes them in an array, with commas
 * between. Objects without a category id or a confidence are left out. Returns
 * the number of objects written. */
guint yolo_record_coco (const YoloRecord *record, gint64 image_id, YoloCategories categories,
    GString *out);

/* A line an object: class, centre x and y, width, height, normalised, and
 * confidence where it is known. Objects without a class number are left out.
 * Returns the number of objects written. */
guint yolo_record_labels (const YoloRecord *record, GString *out);

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
