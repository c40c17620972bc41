/* SPDX-License-Identifier: MIT */
/* GstAnalyticsRelationMeta (GStreamer 1.24), or nothing where GStreamer is
 * older: meson chooses yoloanalytics.c or yoloanalytics-stub.c. Only yolometa.c
 * calls these functions. */

#ifndef YOLO_ANALYTICS_H
#define YOLO_ANALYTICS_H

#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

G_BEGIN_DECLS

/* What both kinds of meta say of an object, and how the two are told to be
 * the same: the region's id is the id of its GstAnalyticsODMtd. */
typedef struct {
  gint id;                      /* -1: not known to GstAnalytics */
  GQuark label;
  gint x, y, w, h;              /* pixels */
  gfloat confidence;            /* 0 to 1; not filled in by yolo_region_of_meta() */

  gint parent;                  /* the id of the region that it was found in; -1: of none */

  /* of an object that is being attached: what it is, what it has beside its box, or NULL, and its
   * mask over this region */
  const YoloMetaObject *object;
  const YoloShape *shape;
  YoloShapeGrid mask;
} YoloMetaRegion;

/* Reads what a region says of an object; FALSE: @meta stands for no object. */
gboolean yolo_region_of_meta (GstBuffer *buffer, const GstVideoRegionOfInterestMeta *meta,
    YoloMetaRegion *region);

/**
 * yolo_analytics_add:
 * @info: size of the frame
 * @regions: all that the caller attaches; their ids are set: -1 where the object is not attached
 * as one, as none is with a GStreamer before 1.24 and no class of a whole frame is
 *
 * Attaches objects, their tracks and masks, and classes of the whole frame.
 */
void yolo_analytics_add (
    GstBuffer *buffer, const GstVideoInfo *info, YoloMetaRegion *regions, guint n);

/* Relates objects that yolo_analytics_add() attached, whose parents are known by now, to these and
 * to what other networks say of them. */
void yolo_analytics_relate (GstBuffer *buffer, const YoloMetaRegion *regions, guint n);

/* Relates the object with this id and label, if there is one, to what another network says of
 * it. */
void yolo_analytics_classify (GstBuffer *buffer, gint id, GQuark label, GBytes *classes);

/**
 * yolo_analytics_read:
 * @info: size of the frame
 * @objects: (element-type YoloMetaObject): one for each region that yolo_region_of_meta() takes
 * for an object, in the order of the regions
 *
 * Appends the objects that have no region on the buffer, and fills in what the regions that are
 * there do not say.
 */
void yolo_analytics_read (GstBuffer *buffer, const GstVideoInfo *info, GArray *objects);

/**
 * yolo_analytics_set_tracks:
 * @objects: [n], all objects of the buffer, in the order of yolo_meta_read()
 *
 * Relates each object that GstAnalytics knows to its track, and no longer to that of another
 * tracker.
 */
void yolo_analytics_set_tracks (
    GstBuffer *buffer, const GstVideoInfo *info, const YoloMetaObject *objects, guint n);

void yolo_analytics_clear (GstBuffer *buffer);

G_END_DECLS

#endif
