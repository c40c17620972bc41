/* SPDX-License-Identifier: MIT */
/* Detections as GstAnalyticsRelationMeta; built where GStreamer has it. */

#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

#include <gst/analytics/analytics.h>
#include <gst/check/gstharness.h>
#include <math.h>
#include <string.h>

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
    {10.4, 19.6, 30.2, 40.3, 0.5, 2, g_quark_from_string ("car"), 5, 0, NULL, 0, 0, NULL, 0},
    {1, 2, 3, 4, 0.25, 0, g_quark_from_string ("dog"), -1, 0, NULL, 0, 0, NULL, 0},
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
    NULL, 0, 0, NULL, 0 };
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

/* The track that an object relates to, and whether it is lost; -1: it relates to none. */
static gint64
related_track (GstAnalyticsRelationMeta *meta, guint id, gboolean *lost)
{
  GstAnalyticsTrackingMtd track;
  gpointer state = NULL;
  guint64 number;
  GstClockTime first, last;

  if (!gst_analytics_relation_meta_get_direct_related (meta, id, GST_ANALYTICS_REL_TYPE_RELATE_TO,
          gst_analytics_tracking_mtd_get_mtd_type (), &state, &track))
    return -1;
  g_assert_true (gst_analytics_tracking_mtd_get_info (&track, &number, &first, &last, lost));
  return (gint64) number;
}

/* A tracker numbers objects of ours and of others, which had another tracker's number. */
static void
test_set_tracks (void)
{
  const YoloMetaObject ours[] = {
    {100, 50, 20, 20, 0.5, 1, g_quark_from_string ("bird"), -1, 0, NULL, 0, 0, NULL, 0},
    {20, 50, 20, 20, 0.5, 1, g_quark_from_string ("bird"), -1, 0, NULL, 0, 0, NULL, 0},
  };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta (buffer);
  GstAnalyticsODMtd mtd;
  GstAnalyticsTrackingMtd track;
  g_autoptr (GArray) objects = NULL, again = NULL;
  gboolean lost = FALSE;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  g_assert_true (gst_analytics_relation_meta_add_tracking_mtd (meta, 33, 0, &track));
  g_assert_true (gst_analytics_relation_meta_add_od_mtd (meta, g_quark_from_string ("cat"),
          10, 20, 30, 40, 0.75, &mtd));
  gst_analytics_relation_meta_set_relation (
      meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, mtd.id, track.id);
  yolo_meta_add (buffer, &info, ours, 2, 0);

  objects = read_objects (buffer, &info);
  g_assert_cmpuint (objects->len, ==, 3);
  g_array_index (objects, YoloMetaObject, 0).object_id = 4;
  g_array_index (objects, YoloMetaObject, 2).object_id = 9;
  g_array_index (objects, YoloMetaObject, 2).state = YOLO_META_LOST;
  yolo_meta_set_tracks (buffer, &info, (const YoloMetaObject *) objects->data, 3, FALSE);
  again = read_objects (buffer, &info);
  g_assert_cmpuint (again->len, ==, 3);
  for (guint i = 0; i < 3; i++) {
    g_assert_cmpint (g_array_index (again, YoloMetaObject, i).object_id, ==,
        g_array_index (objects, YoloMetaObject, i).object_id);
    g_assert_cmpint (g_array_index (again, YoloMetaObject, i).state, ==,
        g_array_index (objects, YoloMetaObject, i).state);
  }
  g_assert_cmpint (related_track (meta, mtd.id, &lost), ==, 9);
  g_assert_true (lost);
  g_assert_cmpint (related_track (meta, mtd.id + 1, &lost), ==, 4);
  g_assert_false (lost);
  g_assert_cmpint (related_track (meta, mtd.id + 2, &lost), ==, -1);

  g_array_index (objects, YoloMetaObject, 2).object_id = -1;
  yolo_meta_set_tracks (buffer, &info, (const YoloMetaObject *) objects->data, 3, FALSE);
  g_assert_cmpint (related_track (meta, mtd.id, &lost), ==, -1);
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

static guint
count (GstAnalyticsRelationMeta *meta, GstAnalyticsMtdType type)
{
  GstAnalyticsMtd mtd;
  gpointer state = NULL;
  guint n = 0;

  while (gst_analytics_relation_meta_iterate (meta, &state, type, &mtd))
    n++;
  return n;
}

/* Memory for a shape with these flags and cells, and nothing else. */
static GBytes *
shape_new (const YoloShape *head, const gint16 *cells)
{
  gfloat *points;
  gint16 *own;
  YoloShape *shape = yolo_shape_allocate (head, &points, &own);

  if (cells != NULL)
    memcpy (own, cells, sizeof *cells * head->mask_width * head->mask_height);
  return yolo_shape_take (shape);
}

/* Classes of the frame are one classification, the best first, and no objects that are as large
 * as the frame; those of the frames of a batch are apart. */
static void
test_classes (void)
{
  const YoloShape whole = { .flags = YOLO_SHAPE_WHOLE };
  g_autoptr (GBytes) shape = shape_new (&whole, NULL);
  const GQuark cat = g_quark_from_string ("cat"), dog = g_quark_from_string ("dog");
  const YoloMetaObject objects[] = {
    { 0, 0, 200, 100, .75f, 3, cat, -1, 1, shape, 0, 0, NULL, 0 },
    { 0, 0, 200, 100, .25f, 4, dog, -1, 1, shape, 0, 0, NULL, 0 },
    { 0, 0, 200, 100, .5f, 4, dog, -1, 2, shape, 0, 0, NULL, 0 },
  };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsRelationMeta *meta;
  GstAnalyticsClsMtd mtd;
  gpointer state = NULL;
  GArray *found;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  yolo_meta_add (buffer, &info, objects, 3, 0);
  meta = gst_buffer_get_analytics_relation_meta (buffer);
  g_assert_cmpuint (count (meta, gst_analytics_od_mtd_get_mtd_type ()), ==, 0);
  g_assert_cmpuint (count (meta, gst_analytics_cls_mtd_get_mtd_type ()), ==, 2);
  gst_analytics_relation_meta_iterate (meta, &state, gst_analytics_cls_mtd_get_mtd_type (), &mtd);
  g_assert_cmpuint (gst_analytics_cls_mtd_get_length (&mtd), ==, 2);
  g_assert_cmpuint (gst_analytics_cls_mtd_get_quark (&mtd, 0), ==, cat);
  g_assert_cmpuint (gst_analytics_cls_mtd_get_quark (&mtd, 1), ==, dog);
  g_assert_cmpfloat (gst_analytics_cls_mtd_get_level (&mtd, 0), ==, .75f);
  g_assert_cmpfloat (gst_analytics_cls_mtd_get_level (&mtd, 1), ==, .25f);
  gst_analytics_relation_meta_iterate (meta, &state, gst_analytics_cls_mtd_get_mtd_type (), &mtd);
  g_assert_cmpuint (gst_analytics_cls_mtd_get_length (&mtd), ==, 1);

  /* each is read once, with its number */
  found = read_objects (buffer, &info);
  g_assert_cmpuint (found->len, ==, 3);
  g_assert_cmpint (g_array_index (found, YoloMetaObject, 0).label_id, ==, 3);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

/* A classification by another element: the best five classes, unless it is of an object. */
static void
test_read_classes (void)
{
  gfloat levels[] = { .1f, .3f, 0, .2f, .3f, NAN, .05f, .04f, -1 };
  GQuark labels[G_N_ELEMENTS (levels)];
  static const guint order[] = { 1, 4, 3, 0, 6 };
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta (buffer);
  GstAnalyticsClsMtd classes;
  GstAnalyticsODMtd object;
  GArray *found;

  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    g_autofree gchar *name = g_strdup_printf ("class %u", i);

    labels[i] = g_quark_from_string (name);
  }
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  g_assert_true (gst_analytics_relation_meta_add_cls_mtd (
      meta, G_N_ELEMENTS (levels), levels, labels, &classes));
  found = read_objects (buffer, &info);
  g_assert_cmpuint (found->len, ==, 5);
  for (guint i = 0; i < 5; i++) {
    const YoloMetaObject *o = &g_array_index (found, YoloMetaObject, i);

    g_assert_cmpuint (o->label, ==, labels[order[i]]);
    g_assert_cmpfloat (o->confidence, ==, levels[order[i]]);
    g_assert_cmpfloat (o->w, ==, 200);
    g_assert_cmpuint (yolo_shape_get (o->shape)->flags, ==, YOLO_SHAPE_WHOLE);
  }
  g_array_unref (found);

  g_assert_true (gst_analytics_relation_meta_add_od_mtd (
      meta, g_quark_from_string ("cat"), 10, 20, 30, 40, .75f, &object));
  for (guint i = 0; i < 2; i++) {
    gst_analytics_relation_meta_set_relation (meta, GST_ANALYTICS_REL_TYPE_RELATE_TO,
        i == 0 ? object.id : classes.id, i == 0 ? classes.id : object.id);
    found = read_objects (buffer, &info);
    g_assert_cmpuint (found->len, ==, 1);
    g_array_unref (found);
    gst_analytics_relation_meta_set_relation (meta, GST_ANALYTICS_REL_TYPE_NONE,
        i == 0 ? object.id : classes.id, i == 0 ? classes.id : object.id);
  }
  gst_buffer_unref (buffer);
}

/* Classes that are not likely at all are none. */
static void
test_read_unlikely (void)
{
  gfloat levels[] = { 0, .5f, NAN, -1 };
  GQuark labels[G_N_ELEMENTS (levels)];
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsClsMtd classes;
  GArray *found;

  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    labels[i] = g_quark_from_string ("cat");
  labels[1] = g_quark_from_string ("dog");
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  gst_analytics_relation_meta_add_cls_mtd (gst_buffer_add_analytics_relation_meta (buffer),
      G_N_ELEMENTS (levels), levels, labels, &classes);
  found = read_objects (buffer, &info);
  g_assert_cmpuint (found->len, ==, 1);
  g_assert_cmpuint (g_array_index (found, YoloMetaObject, 0).label, ==, labels[1]);
  g_array_unref (found);
  gst_buffer_unref (buffer);
}

#if GST_CHECK_VERSION(1, 26, 0)
/* Copies nothing but what GstAnalytics says. */
static void
copy_analytics (GstBuffer *to, GstBuffer *from)
{
  GstMeta *meta = (GstMeta *) gst_buffer_get_analytics_relation_meta (from);
  GstMetaTransformCopy all = { FALSE, 0, (gsize) -1 };

  g_assert_true (meta->info->transform_func (to, meta, from, _gst_meta_transform_copy, &all));
}

static GBytes *
turned_new (gfloat angle)
{
  YoloShape head = { 0 };

  yolo_shape_turn (&head, (gfloat[4]){ 80, 40, 40, 20 }, angle, 200, 100);
  return shape_new (&head, NULL);
}

/* A turned box is the box before it is turned, by the side that makes it turn least. */
static void
test_turned (void)
{
  static const struct {
    gfloat angle;
    gint box[4];
    gfloat turned;
  } cases[] = {
    { .3f, { 80, 40, 40, 20 }, .3f },
    { 1.3f, { 90, 30, 20, 40 }, 1.3f - (gfloat) G_PI_2 + 2 * (gfloat) G_PI },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    YoloMetaObject object = { .confidence = .5f, .object_id = 7,
      .label = g_quark_from_string ("ship"), .shape = turned_new (cases[i].angle) };
    GstVideoInfo info;
    GstBuffer *buffer = gst_buffer_new (), *copy;
    GstVideoRegionOfInterestMeta *region;
    GstAnalyticsODMtd mtd;
    GArray *found;
    gint box[4];
    gfloat angle, confidence;

    gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
    yolo_object_bound (&object, &info);
    yolo_meta_add (buffer, &info, &object, 1, 0);
    region = gst_buffer_get_video_region_of_interest_meta_id (buffer, 0);
    g_assert_cmpfloat_with_epsilon (region->x, object.x, .6f);
    g_assert_true (gst_analytics_relation_meta_get_od_mtd (
        gst_buffer_get_analytics_relation_meta (buffer), region->id, &mtd));
    g_assert_true (gst_analytics_od_mtd_get_oriented_location (
        &mtd, &box[0], &box[1], &box[2], &box[3], &angle, &confidence));
    g_assert_cmpmem (box, sizeof box, cases[i].box, sizeof cases[i].box);
    g_assert_cmpfloat_with_epsilon (angle, cases[i].turned, 1e-4);
    g_assert_cmpfloat (confidence, ==, .5f);

    /* of a copy without regions and notes, GstAnalytics says as much */
    for (guint k = 0; k < 2; k++) {
      found = read_objects (buffer, &info);
      g_assert_cmpuint (found->len, ==, 1);
      g_assert_cmpint (g_array_index (found, YoloMetaObject, 0).object_id, ==, 7);
      g_assert_cmpfloat_with_epsilon (g_array_index (found, YoloMetaObject, 0).h, object.h, 1);
      g_assert_cmpfloat_with_epsilon (
          yolo_shape_get (g_array_index (found, YoloMetaObject, 0).shape)->angle,
          cases[i].angle, .01);
      g_array_unref (found);
      copy = gst_buffer_new ();
      copy_analytics (copy, buffer);
      gst_buffer_unref (buffer);
      buffer = copy;
    }
    gst_buffer_unref (buffer);
    g_bytes_unref (object.shape);
  }
}

/* Twins of a turned box: the region is the box before it is turned, as gvadetect has it, or the
 * box around it, as yoloinfer has it. */
static void
test_turned_twins (void)
{
  static const gint regions[][4] = { { 80, 40, 40, 20 }, { 90, 30, 20, 40 } };

  for (guint i = 0; i < G_N_ELEMENTS (regions); i++) {
    GstVideoInfo info;
    GstBuffer *buffer = gst_buffer_new ();
    GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta (buffer);
    GstVideoRegionOfInterestMeta *region = gst_buffer_add_video_region_of_interest_meta (buffer,
        "ship", (guint) regions[i][0], (guint) regions[i][1], (guint) regions[i][2],
        (guint) regions[i][3]);
    GArray *found;

    gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
    region->id = 4711;
    gst_analytics_relation_meta_add_oriented_od_mtd (
        meta, g_quark_from_string ("ship"), 80, 40, 40, 20, (gfloat) G_PI_2, .75f, NULL);
    found = read_objects (buffer, &info);
    g_assert_cmpuint (found->len, ==, 1);
    g_assert_cmpfloat_with_epsilon (g_array_index (found, YoloMetaObject, 0).x, 90, .01);
    g_assert_cmpfloat_with_epsilon (g_array_index (found, YoloMetaObject, 0).h, 40, .01);
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}

#define CELLS 4

/* A mask of cells of 10 pixels over a box of 40 x 40 at 20, 30: the left half is the object. */
static GBytes *
mask_new (void)
{
  const YoloShape head = { .mask_width = CELLS, .mask_height = CELLS,
    .mask = { .1f, .3f, .3f, .7f } };
  gint16 cells[CELLS * CELLS];

  for (guint i = 0; i < G_N_ELEMENTS (cells); i++)
    cells[i] = i % CELLS < 2 ? 100 : -100;
  return shape_new (&head, cells);
}

/* Checks the mask that the only object relates to, and that it relates back. */
static void
assert_mask (GstBuffer *buffer, gint x, gint y, guint w, guint h)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);
  GstAnalyticsODMtd object;
  GstAnalyticsSegmentationMtd mtd;
  gpointer state = NULL;
  GstBuffer *mask;
  const GstVideoMeta *video;
  GstMapInfo map;
  gint left, top;
  guint width, height;

  g_assert_true (gst_analytics_relation_meta_iterate (
      meta, &state, gst_analytics_od_mtd_get_mtd_type (), &object));
  state = NULL;
  g_assert_true (gst_analytics_relation_meta_get_direct_related (meta, object.id,
      GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_segmentation_mtd_get_mtd_type (), &state,
      &mtd));
  g_assert_cmpint (gst_analytics_relation_meta_get_relation (meta, mtd.id, object.id), ==,
      GST_ANALYTICS_REL_TYPE_RELATE_TO);
  g_assert_cmpuint (gst_analytics_segmentation_mtd_get_region_count (&mtd), ==, 2);
  g_assert_cmpuint (gst_analytics_segmentation_mtd_get_region_id (&mtd, 0), ==, 0);
  g_assert_cmpuint (gst_analytics_segmentation_mtd_get_region_id (&mtd, 1), ==, 1);
  mask = gst_analytics_segmentation_mtd_get_mask (&mtd, &left, &top, &width, &height);
  g_assert_cmpint (left, ==, x);
  g_assert_cmpint (top, ==, y);
  g_assert_cmpuint (width, ==, w);
  g_assert_cmpuint (height, ==, h);
  video = gst_buffer_get_video_meta (mask);
  g_assert_cmpint (video->format, ==, GST_VIDEO_FORMAT_GRAY8);
  g_assert_cmpuint (video->width, ==, CELLS);
  g_assert_cmpuint (video->height, ==, CELLS);
  g_assert_cmpint (video->stride[0], ==, CELLS);
  g_assert_true (gst_buffer_map (mask, &map, GST_MAP_READ));
  g_assert_cmpuint (map.size, ==, CELLS * CELLS);
  for (guint i = 0; i < map.size; i++)
    g_assert_cmpuint (map.data[i], ==, i % CELLS < 2);
  gst_buffer_unmap (mask, &map);
  gst_buffer_unref (mask);
}

/* A mask is a segmentation of the object, in copies and behind an element that scales, too. */
static void
test_mask (void)
{
  g_autoptr (GBytes) shape = mask_new ();
  const YoloMetaObject objects[] = {
    { 20, 30, 40, 40, .5f, 2, g_quark_from_string ("cat"), 5, 0, shape, 0, 0, NULL, 0 },
    { 1, 2, 3, 4, .25f, 0, g_quark_from_string ("dog"), -1, 0, NULL, 0, 0, NULL, 0 },
  };
  GstHarness *h =
      gst_harness_new_parse ("videoscale ! capsfilter caps=video/x-raw,width=400,height=50");
  GstVideoInfo info;
  GstBuffer *buffer, *copy;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  info.fps_n = 25;
  gst_harness_set_src_caps (h, gst_video_info_to_caps (&info));
  buffer = gst_harness_create_buffer (h, GST_VIDEO_INFO_SIZE (&info));
  yolo_meta_add (buffer, &info, objects, 2, 0);
  g_assert_cmpuint (count (gst_buffer_get_analytics_relation_meta (buffer),
      gst_analytics_segmentation_mtd_get_mtd_type ()), ==, 1);
  /* the ids of the objects have no gaps */
  g_assert_nonnull (gst_buffer_get_video_region_of_interest_meta_id (buffer, 1));
  assert_mask (buffer, 20, 30, 40, 40);
  gst_buffer_ref (buffer);
  copy = gst_buffer_make_writable (buffer);
  assert_mask (copy, 20, 30, 40, 40);
  gst_buffer_unref (buffer);
  assert_mask (copy, 20, 30, 40, 40);
  copy = gst_harness_push_and_pull (h, copy);
  assert_mask (copy, 40, 15, 80, 20);
  gst_buffer_unref (copy);
  gst_harness_teardown (h);
}

/* A mask as another element may make it: rows of @stride bytes behind @offset others. */
static GstBuffer *
foreign_mask (GstVideoFormat format, gsize size, gsize offset, gint stride, const guint8 *pixels)
{
  gsize offsets[GST_VIDEO_MAX_PLANES] = { offset };
  gint strides[GST_VIDEO_MAX_PLANES] = { stride };
  GstBuffer *mask = gst_buffer_new_memdup (pixels, size);

  gst_buffer_add_video_meta_full (
      mask, GST_VIDEO_FRAME_FLAG_NONE, format, 3, 2, 1, offsets, strides);
  return mask;
}

/* Masks of other elements, which say where their rows lie, and those that say it wrongly or do
 * not say which region the object is. */
static void
test_read_mask (void)
{
  static const guint8 gray8[] = { 9, 7, 0, 0, 9, 7, 7, 0 },
                      gray16[] = { 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0 };
  static const struct {
    GstVideoFormat format;
    const guint8 *pixels;
    gsize size, offset;
    gint stride;
    guint regions;
    const gchar *cells;         /* + or - of [2][3]; NULL: it is not read */
  } cases[] = {
    { GST_VIDEO_FORMAT_GRAY8, gray8, 8, 1, 4, 2, "+--++-" },
    { GST_VIDEO_FORMAT_GRAY8, gray8, 8, 1, 4, 1, "+--++-" },
    { GST_VIDEO_FORMAT_GRAY8, gray8, 8, 1, 4, 3, NULL },
    { GST_VIDEO_FORMAT_GRAY8, gray8, 7, 1, 3, 2, "+--+++" },
    { GST_VIDEO_FORMAT_GRAY8, gray8, 8, 1, 5, 2, NULL },
    { GST_VIDEO_FORMAT_GRAY8, gray8, 8, 1, G_MAXINT, 2, NULL },
    { GST_VIDEO_FORMAT_GRAY8, gray8, 8, G_MAXSIZE, 4, 2, NULL },
    { GST_VIDEO_FORMAT_GRAY8, gray8, 8, 1, -4, 2, NULL },
    { GST_VIDEO_FORMAT_GRAY8, gray8, 8, 1, 0, 2, NULL },
    { GST_VIDEO_FORMAT_GRAY16_LE, gray16, 12, 0, 6, 2, "+--++-" },
    { GST_VIDEO_FORMAT_GRAY16_BE, gray16, 12, 0, 6, 2, "+--++-" },
    { GST_VIDEO_FORMAT_GRAY16_LE, gray16, 11, 0, 6, 2, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint ids[] = { 0, 7, 9 };
    GstVideoInfo info;
    GstBuffer *buffer = gst_buffer_new ();
    GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta (buffer);
    GstAnalyticsSegmentationMtd mask;
    GstAnalyticsODMtd object;
    const YoloShape *shape;
    GArray *found;

    gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
    gst_analytics_relation_meta_add_od_mtd (
        meta, g_quark_from_string ("cat"), 20, 30, 40, 40, .75f, &object);
    g_assert_true (gst_analytics_relation_meta_add_segmentation_mtd (meta,
        foreign_mask (cases[i].format, cases[i].size, cases[i].offset, cases[i].stride,
            cases[i].pixels),
        GST_SEGMENTATION_TYPE_INSTANCE, cases[i].regions, ids, 20, 30, 60, 40, &mask));
    gst_analytics_relation_meta_set_relation (
        meta, GST_ANALYTICS_REL_TYPE_CONTAIN, object.id, mask.id);
    found = read_objects (buffer, &info);
    g_assert_cmpuint (found->len, ==, 1);
    shape = yolo_shape_get (g_array_index (found, YoloMetaObject, 0).shape);
    g_assert_cmpint (shape != NULL, ==, cases[i].cells != NULL);
    if (shape != NULL) {
      g_assert_cmpuint (shape->mask_width, ==, 3);
      g_assert_cmpuint (shape->mask_height, ==, 2);
      g_assert_cmpfloat_with_epsilon (shape->mask[0], .1, 1e-6);
      g_assert_cmpfloat_with_epsilon (shape->mask[1], .3, 1e-6);
      g_assert_cmpfloat_with_epsilon (shape->mask[2], .4, 1e-6);
      g_assert_cmpfloat_with_epsilon (shape->mask[3], .7, 1e-6);
      for (guint k = 0; k < 6; k++)
        g_assert_true ((yolo_shape_cells (shape)[k] > 0) == (cases[i].cells[k] == '+'));
    }
    g_array_unref (found);
    gst_buffer_unref (buffer);
  }
}
#endif

static gboolean
keep_analytics (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  if ((*meta)->info->api != gst_analytics_relation_meta_api_get_type ())
    *meta = NULL;
  return TRUE;
}

/* What a second network says of an object, and what it finds inside: readers of GstAnalytics find
 * it, and it is read from there alone. */
static void
test_related (void)
{
  const YoloMetaObject car = { .x = 20, .y = 10, .w = 60, .h = 50, .confidence = .5f,
    .label = g_quark_from_string ("car"), .object_id = -1 };
  const YoloClass taxi = { g_quark_from_string ("taxi"), 4, .75f, 1, 0 };
  g_autoptr (GBytes) said = g_bytes_new (&taxi, sizeof taxi);
  g_autoptr (GArray) found = NULL;
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsRelationMeta *meta;
  GstAnalyticsClsMtd classes;
  GstAnalyticsODMtd inner;
  gpointer state = NULL;
  const YoloClass *class;
  guint n;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 200, 100);
  yolo_meta_add (buffer, &info, &car, 1, 0);
  found = read_objects (buffer, &info);
  yolo_meta_classify (buffer, found, &said);
  yolo_meta_add (buffer, &info,
      &(YoloMetaObject) { .x = 30, .y = 40, .w = 20, .h = 8, .confidence = .25f,
        .label = g_quark_from_string ("plate"), .object_id = -1,
        .parent = g_array_index (found, YoloMetaObject, 0).region },
      1, 1);

  meta = gst_buffer_get_analytics_relation_meta (buffer);
  g_assert_true (gst_analytics_relation_meta_get_direct_related (meta, 0,
          GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_cls_mtd_get_mtd_type (), &state,
          &classes));
  g_assert_cmpfloat (gst_analytics_cls_mtd_get_level (&classes, 0), ==, .75f);
  g_assert_cmpstr (
      g_quark_to_string (gst_analytics_cls_mtd_get_quark (&classes, 0)), ==, "taxi");
  state = NULL;
  g_assert_true (gst_analytics_relation_meta_get_direct_related (meta, 0,
          GST_ANALYTICS_REL_TYPE_CONTAIN, gst_analytics_od_mtd_get_mtd_type (), &state, &inner));
  g_assert_cmpstr (
      g_quark_to_string (gst_analytics_od_mtd_get_obj_type (&inner)), ==, "plate");

  gst_buffer_foreach_meta (buffer, keep_analytics, NULL);
  g_array_unref (found);
  found = read_objects (buffer, &info);
  g_assert_cmpuint (found->len, ==, 2);
  class = yolo_classes_get (g_array_index (found, YoloMetaObject, 0).classes, &n);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpstr (g_quark_to_string (class->label), ==, "taxi");
  g_assert_cmpfloat (class->confidence, ==, .75f);
  g_assert_cmpuint (g_array_index (found, YoloMetaObject, 0).parent, ==, 0);
  g_assert_cmpuint (g_array_index (found, YoloMetaObject, 1).parent, ==,
      g_array_index (found, YoloMetaObject, 0).region);
  gst_buffer_unref (buffer);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/analytics/written", test_written);
  g_test_add_func ("/analytics/read", test_read);
  g_test_add_func ("/analytics/set-tracks", test_set_tracks);
  g_test_add_func ("/analytics/twins", test_twins);
  g_test_add_func ("/analytics/classes", test_classes);
  g_test_add_func ("/analytics/read-classes", test_read_classes);
  g_test_add_func ("/analytics/read-unlikely", test_read_unlikely);
  g_test_add_func ("/analytics/related", test_related);
#if GST_CHECK_VERSION(1, 26, 0)
  g_test_add_func ("/analytics/turned", test_turned);
  g_test_add_func ("/analytics/turned-twins", test_turned_twins);
  g_test_add_func ("/analytics/mask", test_mask);
  g_test_add_func ("/analytics/read-mask", test_read_mask);
#endif
  return g_test_run ();
}
