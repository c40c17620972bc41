/* SPDX-License-Identifier: MIT */
/* What yolozones knows after a frame, as a structure on its buffer; docs/zones.md has the fields.
 * GstAnalytics has nothing for lines, zones and events up to 1.28, so that it is a GstCustomMeta
 * without tags, which passes elements that convert and scale. */

#ifndef YOLO_ZONES_META_H
#define YOLO_ZONES_META_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define YOLO_ZONES_META "YoloZones"

/* Structure of the custom event, serialised and downstream, that yolozones sends in front of EOS
 * where visits end with the stream, since no buffer follows that could carry `events`, the array
 * that the metadata have. */
#define YOLO_ZONES_END "yolozones-end"

/* Returns: (transfer none): a structure without fields, to be filled; NULL: the registry has no
 * such metadata. @buffer: writable */
GstStructure *yolo_zones_meta_add (GstBuffer *buffer);

/* Returns: (transfer none): the next structure on the buffer; NULL: there are no more. @state:
 * NULL at first */
const GstStructure *yolo_zones_meta_next (GstBuffer *buffer, gpointer *state);

/* Element number @i of an array of structures; NULL: there is none, or no such field. */
const GstStructure *yolo_zones_meta_element (
    const GstStructure *structure, const gchar *field, guint i);

/* A number of any type in a field, as a double; @missing if it is not there. */
gdouble yolo_zones_meta_number (
    const GstStructure *structure, const gchar *field, gdouble missing);

G_END_DECLS

#endif
