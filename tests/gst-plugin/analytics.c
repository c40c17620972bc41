/* SPDX-License-Identifier: MIT */
/* Detections as GstAnalyticsRelationMeta; built where GStreamer has it. */

#include "gst-plugin/yolometa.h"

#include <gst/analytics/analytics.h>

static GArray *
read_objects (GstBuffer *buffer, const GstVideoInfo *info)
{
  GArray *objects = yolo_meta_objects_new ();

  yolo_meta_read (buffer, info, objects);
  return objects;
}

/* Readers of GstAnalytics find the objects and their tracks. */
static void
test_written (void)
{
  const YoloMetaObject objects[] = {
    {10.4, 19.6, 30.2, 40.3, 0.5, 2, g_quark_from_string ("car"), 5, 0, NULL},
    {1, 2, 3, 4, 0.25, 0, g_quark_from_string ("dog"), -1, 0, NULL},
  };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsRelationMeta *meta;
  GstAnalyticsODMtd mtd;
  GstAnalyticsTrackingMtd track;
  GstVideoRegionOfInterestMeta *region;
  GArray *found;
  gint x, y, w, h;
  gfloat confidence;
  guint64 id;
  GstClockTime first, last;
  gboolean lost;
  gpointer state = NULL;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  yolo_meta_add (buffer, &info, objects, G_N_ELEMENTS (objects), 0);
  meta = gst_buffer_get_analytics_relation_meta (buffer);
  g_assert_nonnull (meta);
  region = gst_buffer_get_video_region_of_interest_meta_id (buffer, 0);
  g_assert_nonnull (region);
  g_assert_true (gst_analytics_relation_meta_get_od_mtd (meta, region->id, &mtd));
  g_assert_true (gst_analytics_od_mtd_get_location (&mtd, &x, &y, &w, &h, &confidence));
  g_assert_cmpint (x, ==, 10);
  g_assert_cmpint (y, ==, 20);
  g_assert_cmpint (w, ==, 31);
  g_assert_cmpint (h, ==, 40);
  g_assert_cmpfloat (confidence, ==, 0.5);
  g_assert_cmpstr (g_quark_to_string (gst_analytics_od_mtd_get_obj_type (&mtd)), ==, "car");
  g_assert_true (gst_analytics_relation_meta_get_direct_related (meta, region->id,
          GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_tracking_mtd_get_mtd_type (), &state,
          &track));
  g_assert_true (gst_analytics_tracking_mtd_get_info (&track, &id, &first, &last, &lost));
  g_assert_cmpint (id, ==, 5);
  g_assert_nonnull (gst_buffer_get_video_region_of_interest_meta_id (buffer, 1));

  /* each object is read once, although it has both kinds of meta */
  found = read_objects (buffer, &info);
  g_assert_cmpint (found->len, ==, 2);
  g_assert_cmpint (g_array_index (found, YoloMetaObject, 0).object_id, ==, 5);
  g_array_unref (found);

  yolo_meta_clear (buffer);
  found = read_objects (buffer, &info);
  g_assert_cmpint (found->len, ==, 0);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

/* An object that another element wrote into this meta alone is read, with its track. */
static void
test_read (void)
{
  const YoloMetaObject ours = { 50, 50, 20, 20, 0.5, 1, g_quark_from_string ("dog"), -1, 0,
    NULL };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta (buffer);
  GstAnalyticsODMtd mtd;
  GstAnalyticsTrackingMtd track;
  GArray *found;
  const YoloMetaObject *o;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  g_assert_true (gst_analytics_relation_meta_add_tracking_mtd (meta, 33, 0, &track));
  g_assert_true (gst_analytics_relation_meta_add_od_mtd (meta, g_quark_from_string ("cat"),
          10, 20, 30, 40, 0.75, &mtd));
  gst_analytics_relation_meta_set_relation (
      meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, mtd.id, track.id);
  yolo_meta_add (buffer, &info, &ours, 1, 0);

  found = read_objects (buffer, &info);
  g_assert_cmpint (found->len, ==, 2);
  g_assert_cmpint (g_array_index (found, YoloMetaObject, 0).label, ==, ours.label);
  o = &g_array_index (found, YoloMetaObject, 1);
  g_assert_cmpstr (g_quark_to_string (o->label), ==, "cat");
  g_assert_cmpfloat (o->x, ==, 10);
  g_assert_cmpfloat (o->h, ==, 40);
  g_assert_cmpfloat (o->confidence, ==, 0.75);
  g_assert_cmpint (o->label_id, ==, -1);
  g_assert_cmpint (o->object_id, ==, 33);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

/* An object whose two kinds of meta differ by a pixel, since an element scaled each
 * with a rounding of its own, is read once. */
static void
test_twins (void)
{
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta (buffer);
  GstVideoRegionOfInterestMeta *region =
      gst_buffer_add_video_region_of_interest_meta (buffer, "cat", 11, 20, 29, 41);
  GArray *found;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  region->id = 4711;
  gst_video_region_of_interest_meta_add_param (region, gst_structure_new_empty ("detection"));
  gst_analytics_relation_meta_add_od_mtd (
      meta, g_quark_from_string ("cat"), 10, 20, 30, 40, 0.75, NULL);
  gst_analytics_relation_meta_add_od_mtd (
      meta, g_quark_from_string ("dog"), 10, 20, 30, 40, 0.75, NULL);
  found = read_objects (buffer, &info);
  g_assert_cmpint (found->len, ==, 2);
  /* the region did not say the confidence */
  g_assert_cmpfloat (g_array_index (found, YoloMetaObject, 0).confidence, ==, 0.75);
  g_array_unref (found);

  /* a region that has no params at all does not say it either */
  gst_buffer_remove_meta (buffer, (GstMeta *) region);
  gst_buffer_add_video_region_of_interest_meta (buffer, "dog", 11, 20, 29, 41)->id = 4711;
  found = read_objects (buffer, &info);
  g_assert_cmpint (found->len, ==, 2);
  g_assert_cmpfloat (g_array_index (found, YoloMetaObject, 0).confidence, ==, 0.75);
  g_assert_cmpint (g_array_index (found, YoloMetaObject, 0).w, ==, 29);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/analytics/written", test_written);
  g_test_add_func ("/analytics/read", test_read);
  g_test_add_func ("/analytics/twins", test_twins);
  return g_test_run ();
}
