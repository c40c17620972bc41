/* SPDX-License-Identifier: MIT */
/* An object is a GstAnalyticsODMtd, and its track, if it has one, a
 * GstAnalyticsTrackingMtd that the object relates to. Source: the reference of
 * GStreamer's gst-libs/gst/analytics. */

#include "gst-plugin/yoloanalytics.h"

#include <gst/analytics/analytics.h>

gint
yolo_analytics_add (GstBuffer *buffer, const YoloMetaRegion *region, guint n)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);
  GstAnalyticsODMtd object;

  if (meta == NULL) {
    /* room for two entries an object, one of them for the track, of at most 64 bytes
     * each, so that the meta is not reallocated as it fills */
    GstAnalyticsRelationMetaInitParams params = { 2 * n, 2 * n * 64 };
    meta = gst_buffer_add_analytics_relation_meta_full (buffer, &params);
  }
  if (!gst_analytics_relation_meta_add_od_mtd (meta, region->label, region->x, region->y,
          region->w, region->h, region->confidence, &object))
    return -1;
  return object.id;
}

void
yolo_analytics_add_track (GstBuffer *buffer, gint id, gint track_id)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);
  GstAnalyticsTrackingMtd track;

  if (gst_analytics_relation_meta_add_tracking_mtd (meta, track_id, GST_BUFFER_PTS (buffer),
          &track))
    gst_analytics_relation_meta_set_relation (meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, id,
        track.id);
}

/* Whether a region and a GstAnalyticsODMtd are the same object. Elements that know only
 * one kind of meta may have scaled that kind, with a rounding of their own. */
static gboolean
regions_match (const YoloMetaRegion *a, const YoloMetaRegion *b)
{
  const gint64 slack = 2;

  if (a->label != b->label)
    return FALSE;
  return a->id == b->id
      || (ABS ((gint64) a->x - b->x) <= slack && ABS ((gint64) a->y - b->y) <= slack
          && ABS ((gint64) a->w - b->w) <= slack && ABS ((gint64) a->h - b->h) <= slack);
}

/* Number, among the buffer's regions that are objects, of the one that @object is; -1:
 * it is none of them. */
static gint
find_region (GstBuffer *buffer, const YoloMetaRegion *object)
{
  GstMeta *meta;
  gpointer state = NULL;
  gint i = 0;

  while ((meta = gst_buffer_iterate_meta_filtered (buffer, &state,
              GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    YoloMetaRegion region;

    if (!yolo_region_of_meta (buffer, (GstVideoRegionOfInterestMeta *) meta, &region))
      continue;
    if (regions_match (&region, object))
      return i;
    i++;
  }
  return -1;
}

/* Number of the track that the object with this id relates to; -1: it has none. */
static gint
track_of (GstAnalyticsRelationMeta *meta, guint id)
{
  GstAnalyticsTrackingMtd track;
  gpointer related = NULL;
  guint64 track_id;
  GstClockTime first, last;
  gboolean lost;

  if (gst_analytics_relation_meta_get_direct_related (meta, id, GST_ANALYTICS_REL_TYPE_RELATE_TO,
          gst_analytics_tracking_mtd_get_mtd_type (), &related, &track)
      && gst_analytics_tracking_mtd_get_info (&track, &track_id, &first, &last, &lost)
      && track_id <= G_MAXINT)
    return track_id;
  return -1;
}

void
yolo_analytics_read (GstBuffer *buffer, GArray *objects)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);
  GstAnalyticsODMtd mtd;
  gpointer state = NULL;

  if (meta == NULL)
    return;

  while (gst_analytics_relation_meta_iterate (meta, &state, gst_analytics_od_mtd_get_mtd_type (),
          &mtd)) {
    YoloMetaRegion region;
    YoloMetaObject object, *known;
    gint twin;

    if (!gst_analytics_od_mtd_get_location (&mtd, &region.x, &region.y, &region.w, &region.h,
            &region.confidence))
      continue;
    region.id = mtd.id;
    region.label = gst_analytics_od_mtd_get_obj_type (&mtd);
    object = (YoloMetaObject) {
      .x = region.x, .y = region.y, .w = region.w, .h = region.h,
      .confidence = region.confidence, .label_id = -1, .label = region.label,
      .object_id = track_of (meta, mtd.id),
    };

    twin = find_region (buffer, &region);
    if (twin < 0) {
      g_array_append_val (objects, object);
      continue;
    }
    known = &g_array_index (objects, YoloMetaObject, twin);
    if (known->confidence < 0)
      known->confidence = object.confidence;
    if (known->object_id < 0)
      known->object_id = object.object_id;
  }
}

/* There is no way to take one object off: the meta goes as a whole. */
void
yolo_analytics_clear (GstBuffer *buffer)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);

  if (meta)
    gst_buffer_remove_meta (buffer, (GstMeta *) meta);
}
