/* SPDX-License-Identifier: MIT */
/* Pictures as a camera has encoded them (access units), and fragments of MP4 made of them. */

#ifndef YOLO_SERVER_UNIT_H
#define YOLO_SERVER_UNIT_H

#include <gst/gst.h>

#include "pipelines/server/mp4.h"

G_BEGIN_DECLS

typedef struct {
  GstBuffer *buffer;            /* a reference; the parts of the picture with lengths before */
  GstClockTime dts, pts;        /* dts grows from unit to unit */
  gboolean key;                 /* whether decoding can begin here */
  gboolean first;               /* of a segment of HLS */
  guint64 segment;              /* its number */
} YoloUnit;

/* A unit is shared by the ring and by the files that it is written into. Any thread. */
YoloUnit *yolo_unit_ref (YoloUnit *unit);
void yolo_unit_unref (gpointer unit);

/* What stands in front of units of these caps, video/x-h264 in form avc or video/x-h265 in form
 * hvc1. See yolo_mp4_head(). NULL: the caps lack what it takes. */
GBytes *yolo_unit_head (GstCaps *caps, guint max_entries);

/**
 * yolo_unit_fragment:
 * @number: see yolo_mp4_fragment()
 * @units: (element-type YoloUnit): 1 or more, the oldest first
 * @next: dts of the unit that comes behind; GST_CLOCK_TIME_NONE: none does
 * @base: dts from which times count
 * @entry: (out): what the index says of it
 *
 * Returns: (transfer full) (nullable): NULL: a unit cannot be read
 */
GBytes *yolo_unit_fragment (guint32 number, GPtrArray *units, GstClockTime next,
    GstClockTime base, YoloMp4Entry *entry);

G_END_DECLS

#endif
