/* SPDX-License-Identifier: MIT */
/* GstAnalyticsRelationMeta (GStreamer 1.24), or nothing where GStreamer is
 * older: meson chooses yoloanalytics.c or yoloanalytics-stub.c. Only yolometa.c
 * calls these functions. */

#ifndef YOLO_ANALYTICS_H
#define YOLO_ANALYTICS_H

#include "gst-plugin/yolometa.h"

G_BEGIN_DECLS

/* What both kinds of meta say of an object, and how the two are told to be
 * the same: the region's id is the id of its GstAnalyticsODMtd. */
typedef struct {
  gint id;                      /* -1: not known to GstAnalytics */
  GQuark label;
  gint x, y, w, h;              /* pixels */
  gfloat confidence;            /* 0 to 1; not filled in by yolo_region_of_meta() */
} YoloMetaRegion;

/* Reads what a region says of an object; FALSE: @meta stands for no object. */
gboolean yolo_region_of_meta (GstBuffer *buffer, const GstVideoRegionOfInterestMeta *meta,
    YoloMetaRegion *region);

/* Attaches an object and returns its id; -1: it could not be attached, as with a
 * GStreamer before 1.24. @n: how many objects the caller is going to attach in
 * all, for which the first call makes room. */
gint yolo_analytics_add (GstBuffer *buffer, const YoloMetaRegion *region, guint n);

/* Says which track an attached object belongs to. */
void yolo_analytics_add_track (GstBuffer *buffer, gint id, gint track_id);

/* Appends the objects that have no region on the buffer, and fills in what the
 * regions that are there do not say. @objects: (element-type YoloMetaObject): one for
 * each region that yolo_region_of_meta() takes for an object, in the order of the
 * regions. */
void yolo_analytics_read (GstBuffer *buffer, GArray *objects);

void yolo_analytics_clear (GstBuffer *buffer);

G_END_DECLS

#endif
