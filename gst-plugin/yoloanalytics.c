/* SPDX-License-Identifier: MIT */
/* Source: the reference of GStreamer's gst-libs/gst/analytics.
 *
 * | what                    | as                                                    | from |
 * |-------------------------|-------------------------------------------------------|------|
 * | object                  | GstAnalyticsODMtd                                     | 1.24 |
 * | its track               | GstAnalyticsTrackingMtd that it relates to            | 1.24 |
 * | what a second network   | GstAnalyticsClsMtd that the object relates to and     | 1.24 |
 * | says of it              | that is part of it                                    |      |
 * | object in an object     | the outer one contains the inner one, and the inner   | 1.24 |
 * |                         | one is part of it                                     |      |
 * | classes of the frame    | one GstAnalyticsClsMtd that nothing relates to        | 1.24 |
 * | turned box              | the object's, pre-rotation, and how it is turned      | 1.26 |
 * | mask                    | GstAnalyticsSegmentationMtd; it and the object relate | 1.26 |
 * |                         | to each other, as yolosegtensordec has it             |      |
 *
 * Up to 1.28 GStreamer has nothing for keypoints; GstAnalyticsKeypointMtd comes with 1.30.
 *
 * What it costs: with a mask, a GstBuffer of a byte for each of its cells, in five allocations.
 * The cells of a YoloShape cannot be shared, for they are numbers of 16 bits, where a reader of
 * GstAnalytics finds regions' ids. */

#include "gst-plugin/yoloanalytics.h"

#include <gst/analytics/analytics.h>
#include <math.h>

/* How many classes of the frame are read, the best: a classifier of another element may give
 * all that it knows. As many as yoloinfer gives. */
#define MAX_CLASSES 5

/* The ids of a mask's regions. */
enum { BACKGROUND, OBJECT };

#define HAVE_MASKS GST_CHECK_VERSION (1, 26, 0)

static gboolean
is_whole (const YoloShape *shape)
{
  return shape != NULL && (shape->flags & YOLO_SHAPE_WHOLE);
}

static gboolean
is_turned (const YoloShape *shape)
{
  return shape != NULL && (shape->flags & YOLO_SHAPE_TURNED);
}

/* Returns: the object's id; -1: it could not be attached */
static gint
add_object (GstAnalyticsRelationMeta *meta, const YoloMetaRegion *region, const GstVideoInfo *info)
{
  GstAnalyticsODMtd object;

#if HAVE_MASKS
  if (is_turned (region->shape)) {
    gfloat box[4];
    gfloat angle = yolo_shape_upright (
        region->shape, GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info), box);

    if (angle < 0)              /* 0 to 2 pi, says the reference */
      angle += 2 * (gfloat) G_PI;
    return gst_analytics_relation_meta_add_oriented_od_mtd (meta, region->label,
               (gint) roundf (box[0]), (gint) roundf (box[1]), (gint) roundf (box[2]),
               (gint) roundf (box[3]), angle, region->confidence, &object)
        ? (gint) object.id
        : -1;
  }
#endif
  return gst_analytics_relation_meta_add_od_mtd (meta, region->label, region->x, region->y,
             region->w, region->h, region->confidence, &object)
      ? (gint) object.id
      : -1;
}

/* Attaches the classes of the frame that the regions begin with, and returns how many these are;
 * those of another frame of the buffer's batch are others. */
static guint
add_classes (GstAnalyticsRelationMeta *meta, const YoloMetaRegion *regions, guint n)
{
  /* one allocation for each frame that has been classified */
  g_autofree gfloat *confidences = g_new (gfloat, n);
  g_autofree GQuark *labels = g_new (GQuark, n);
  GstAnalyticsClsMtd classes;
  guint i;

  for (i = 0; i < n && is_whole (regions[i].shape)
      && regions[i].object->slot == regions[0].object->slot;
      i++) {
    confidences[i] = regions[i].confidence;
    labels[i] = regions[i].label;
  }
  gst_analytics_relation_meta_add_cls_mtd (meta, i, confidences, labels, &classes);
  return i;
}

/* @id: of the GstAnalyticsODMtd, @time: PTS of the frame */
static void
add_track (GstAnalyticsRelationMeta *meta, guint id, const YoloMetaObject *object,
    GstClockTime time)
{
  GstAnalyticsTrackingMtd track;

  if (!gst_analytics_relation_meta_add_tracking_mtd (
          meta, (guint64) object->object_id, time, &track))
    return;
  if (object->state == YOLO_META_LOST)
    gst_analytics_tracking_mtd_set_lost (&track);
  gst_analytics_relation_meta_set_relation (
      meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, id, track.id);
}

#if HAVE_MASKS
static void
add_mask (GstAnalyticsRelationMeta *meta, const YoloMetaRegion *region)
{
  const gfloat *values = g_bytes_get_data (region->mask.values, NULL);
  const gsize n = (gsize) region->mask.width * region->mask.height;
  guint8 *pixels = g_malloc (n);
  GstBuffer *mask = gst_buffer_new_wrapped (pixels, n);
  guint ids[] = { BACKGROUND, OBJECT };
  gsize offset[GST_VIDEO_MAX_PLANES] = { 0 };
  /* rows follow each other without padding: segmentationoverlay reads them so, whatever the
   * GstVideoMeta says */
  gint stride[GST_VIDEO_MAX_PLANES] = { (gint) region->mask.width };
  GstAnalyticsSegmentationMtd mtd;

  for (gsize i = 0; i < n; i++)
    pixels[i] = values[i] > .5f ? OBJECT : BACKGROUND;
  gst_buffer_add_video_meta_full (mask, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_GRAY8,
      region->mask.width, region->mask.height, 1, offset, stride);
  if (!gst_analytics_relation_meta_add_segmentation_mtd (meta, mask,
          GST_SEGMENTATION_TYPE_INSTANCE, G_N_ELEMENTS (ids), ids, region->x, region->y,
          (guint) region->w, (guint) region->h, &mtd)) {
    gst_buffer_unref (mask);
    return;
  }
  gst_analytics_relation_meta_set_relation (
      meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, (guint) region->id, mtd.id);
  gst_analytics_relation_meta_set_relation (
      meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, mtd.id, (guint) region->id);
}
#endif

void
yolo_analytics_add (
    GstBuffer *buffer, const GstVideoInfo *info, YoloMetaRegion *regions, guint n)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);
  guint i, n_entries = n;

  for (i = 0; i < n; i++) {
    regions[i].id = -1;
    n_entries += (regions[i].object->object_id >= 0) + (regions[i].mask.values != NULL);
  }
  if (n > 0 && meta == NULL) {
    /* room for all entries of at most 96 bytes each, so that the meta is not reallocated as it
     * fills */
    GstAnalyticsRelationMetaInitParams params = { n_entries, n_entries * 96 };
    meta = gst_buffer_add_analytics_relation_meta_full (buffer, &params);
  }
  for (i = 0; i < n;) {
    if (is_whole (regions[i].shape)) {
      i += add_classes (meta, &regions[i], n - i);
    } else {
      regions[i].id = add_object (meta, &regions[i], info);
      i++;
    }
  }
  /* tracks and masks come after the objects, so that the objects' ids have no gaps */
  for (i = 0; i < n; i++) {
    if (regions[i].id < 0)
      continue;
    if (regions[i].object->object_id >= 0)
      add_track (meta, (guint) regions[i].id, regions[i].object, GST_BUFFER_PTS (buffer));
#if HAVE_MASKS
    if (regions[i].mask.values != NULL)
      add_mask (meta, &regions[i]);
#endif
  }
}

/* Relates the object with this id to what other networks say of it. */
static void
relate_classes (GstAnalyticsRelationMeta *meta, guint id, GBytes *classes)
{
  guint n, i;
  const YoloClass *class = yolo_classes_get (classes, &n);
  GstAnalyticsClsMtd mtd;

  for (i = 0; i < n; i++, class++) {
    if (!gst_analytics_relation_meta_add_one_cls_mtd (
            meta, MAX (class->confidence, 0), class->label, &mtd))
      continue;
    /* objectdetectionoverlay looks for the one, DL Streamer for the other */
    gst_analytics_relation_meta_set_relation (
        meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, id, mtd.id);
    gst_analytics_relation_meta_set_relation (
        meta, GST_ANALYTICS_REL_TYPE_IS_PART_OF, mtd.id, id);
  }
}

/* Whether the entry with this id is an object, of this label unless it is 0. */
static gboolean
is_object (GstAnalyticsRelationMeta *meta, gint id, GQuark label)
{
  GstAnalyticsODMtd mtd;

  return id >= 0 && gst_analytics_relation_meta_get_od_mtd (meta, (guint) id, &mtd)
      && (label == 0 || gst_analytics_od_mtd_get_obj_type (&mtd) == label);
}

void
yolo_analytics_relate (GstBuffer *buffer, const YoloMetaRegion *regions, guint n)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);
  guint i;

  for (i = 0; meta != NULL && i < n; i++) {
    const YoloMetaRegion *region = &regions[i];

    if (is_whole (region->shape) || !is_object (meta, region->id, region->label))
      continue;
    relate_classes (meta, (guint) region->id, region->object->classes);
    if (!is_object (meta, region->parent, 0))
      continue;
    gst_analytics_relation_meta_set_relation (
        meta, GST_ANALYTICS_REL_TYPE_CONTAIN, (guint) region->parent, (guint) region->id);
    gst_analytics_relation_meta_set_relation (
        meta, GST_ANALYTICS_REL_TYPE_IS_PART_OF, (guint) region->id, (guint) region->parent);
  }
}

void
yolo_analytics_classify (GstBuffer *buffer, gint id, GQuark label, GBytes *classes)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);

  if (meta != NULL && is_object (meta, id, label))
    relate_classes (meta, (guint) id, classes);
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

/* (element-type YoloMetaRegion): the buffer's regions that are objects. Allocated for each frame
 * that has GstAnalytics, since each of its objects is looked for among all of them: to read a
 * region takes fifty times as long as to compare it. */
static GArray *
regions_of (GstBuffer *buffer)
{
  GArray *regions = g_array_new (FALSE, FALSE, sizeof (YoloMetaRegion));
  gpointer state = NULL;
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta_filtered (buffer, &state,
              GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    YoloMetaRegion region;

    if (yolo_region_of_meta (buffer, (GstVideoRegionOfInterestMeta *) meta, &region))
      g_array_append_val (regions, region);
  }
  return regions;
}

/* Number of the region that @object is; -1: it is none of them. */
static gint
find_region (const GArray *regions, const YoloMetaRegion *object)
{
  for (guint i = 0; i < regions->len; i++)
    if (regions_match (&g_array_index (regions, YoloMetaRegion, i), object))
      return (gint) i;
  return -1;
}

/* Number of the track that the object with this id relates to; -1: it has none. @state: (out):
 * set if it has one */
static gint
track_of (GstAnalyticsRelationMeta *meta, guint id, YoloMetaState *state)
{
  GstAnalyticsTrackingMtd track;
  gpointer related = NULL;
  guint64 track_id;
  GstClockTime first, last;
  gboolean lost;

  if (gst_analytics_relation_meta_get_direct_related (meta, id, GST_ANALYTICS_REL_TYPE_RELATE_TO,
          gst_analytics_tracking_mtd_get_mtd_type (), &related, &track)
      && gst_analytics_tracking_mtd_get_info (&track, &track_id, &first, &last, &lost)
      && track_id <= G_MAXINT) {
    *state = lost ? YOLO_META_LOST : YOLO_META_TRACKED;
    return track_id;
  }
  return -1;
}

#if HAVE_MASKS
/* A mask that anybody may have attached, mapped. */
typedef struct {
  GstBuffer *buffer;            /* owned; NULL: there is no mask */
  GstMapInfo map;
  const guint8 *pixels;
  gsize stride, pixel_size;     /* bytes */
  guint width, height;          /* pixels of the mask */
  gint x, y;                    /* where it lies in the frame, and how large it is there */
  guint w, h;
} Mask;

/* How many ids the mask's regions have beside the background's. */
static gsize
count_regions (const GstAnalyticsSegmentationMtd *mtd)
{
  const gsize n = gst_analytics_segmentation_mtd_get_region_count (mtd);
  gsize found = 0;

  for (gsize i = 0; i < n; i++)
    found += gst_analytics_segmentation_mtd_get_region_id (mtd, i) != BACKGROUND;
  return found;
}

/* Whether all of the mask's pixels lie in its memory, which was mapped; sets where. */
static gboolean
find_pixels (Mask *mask, const GstVideoMeta *video)
{
  gsize end;

  mask->width = video->width;
  mask->height = video->height;
  mask->pixel_size = video->format == GST_VIDEO_FORMAT_GRAY8 ? 1 : 2;
  if (video->stride[0] <= 0 || mask->width == 0 || mask->height == 0 || mask->w == 0
      || mask->h == 0)
    return FALSE;
  mask->stride = (gsize) video->stride[0];
  mask->pixels = mask->map.data + video->offset[0];
  return g_size_checked_mul (&end, mask->stride, mask->height - 1)
      && g_size_checked_add (&end, end, (gsize) mask->width * mask->pixel_size)
      && g_size_checked_add (&end, end, video->offset[0]) && end <= mask->map.size;
}

static void
close_mask (Mask *mask)
{
  if (mask->buffer == NULL)
    return;
  gst_buffer_unmap (mask->buffer, &mask->map);
  gst_clear_buffer (&mask->buffer);
}

/* Opens the mask that the object with this id has a relation to. A mask of several regions does
 * not say which of them is the object. */
static gboolean
open_mask (GstAnalyticsRelationMeta *meta, guint id, Mask *mask)
{
  GstAnalyticsSegmentationMtd mtd;
  const GstVideoMeta *video;
  gpointer related = NULL;

  *mask = (Mask) { NULL };
  if (!gst_analytics_relation_meta_get_direct_related (meta, id, GST_ANALYTICS_REL_TYPE_ANY,
          gst_analytics_segmentation_mtd_get_mtd_type (), &related, &mtd)
      || count_regions (&mtd) > 1)
    return FALSE;
  mask->buffer = gst_analytics_segmentation_mtd_get_mask (
      &mtd, &mask->x, &mask->y, &mask->w, &mask->h);
  if (mask->buffer == NULL)
    return FALSE;
  video = gst_buffer_get_video_meta (mask->buffer);
  if (video == NULL || !gst_buffer_map (mask->buffer, &mask->map, GST_MAP_READ)) {
    gst_clear_buffer (&mask->buffer);
    return FALSE;
  }
  if (find_pixels (mask, video))
    return TRUE;
  close_mask (mask);
  return FALSE;
}

static void
fill_cells (const Mask *mask, gint16 *cells)
{
  for (guint y = 0; y < mask->height; y++) {
    const guint8 *row = mask->pixels + y * mask->stride;

    /* of 16 bits, whichever of them comes first */
    for (guint x = 0; x < mask->width; x++, row += mask->pixel_size)
      *cells++ = yolo_shape_cell (row[0] != 0 || row[mask->pixel_size - 1] != 0 ? 1 : 0);
  }
}
#endif

/* The most likely class that is less likely than @below, or as likely and comes behind number
 * @last; -1: there is none. */
static gssize
next_class (GstAnalyticsClsMtd *classes, gfloat below, gssize last)
{
  const gssize n = (gssize) gst_analytics_cls_mtd_get_length (classes);
  gssize best = -1;

  for (gssize i = 0; i < n; i++) {
    const gfloat level = gst_analytics_cls_mtd_get_level (classes, (gsize) i);

    if (level > 0 && (level < below || (level == below && i > last))
        && (best < 0 || level > gst_analytics_cls_mtd_get_level (classes, (gsize) best)))
      best = i;
  }
  return best;
}

/* (transfer full) (nullable): what the classifications that the object with this id relates to
 * say of it, the best class of each. */
static GBytes *
classes_of (GstAnalyticsRelationMeta *meta, guint id)
{
  GByteArray *found = NULL;
  GstAnalyticsClsMtd mtd;
  gpointer state = NULL;

  while (gst_analytics_relation_meta_get_direct_related (meta, id,
      GST_ANALYTICS_REL_TYPE_RELATE_TO | GST_ANALYTICS_REL_TYPE_CONTAIN,
      gst_analytics_cls_mtd_get_mtd_type (), &state, &mtd)) {
    const gssize best = next_class (&mtd, INFINITY, -1);
    YoloClass class = { .label_id = -1 };

    class.label = best < 0 ? 0 : gst_analytics_cls_mtd_get_quark (&mtd, (gsize) best);
    if (class.label == 0)
      continue;
    class.confidence = gst_analytics_cls_mtd_get_level (&mtd, (gsize) best);
    if (found == NULL)
      found = g_byte_array_new ();
    g_byte_array_append (found, (const guint8 *) &class, sizeof class);
  }
  return found != NULL ? g_byte_array_free_to_bytes (found) : NULL;
}

/* 1 + the id of the object that the one with this id is a part of; 0: it is of none. */
static guint
parent_of (GstAnalyticsRelationMeta *meta, guint id)
{
  GstAnalyticsODMtd parent;
  gpointer state = NULL;

  return gst_analytics_relation_meta_get_direct_related (meta, id,
             GST_ANALYTICS_REL_TYPE_IS_PART_OF, gst_analytics_od_mtd_get_mtd_type (), &state,
             &parent)
      ? 1 + parent.id
      : 0;
}

/* Reads an object, its turned box into @head too, which is of nothing else. */
static gboolean
read_object (GstAnalyticsRelationMeta *meta, const GstAnalyticsODMtd *mtd,
    const GstVideoInfo *info, YoloMetaRegion *region, YoloShape *head)
{
  gfloat angle = 0;
  gboolean found;

#if HAVE_MASKS
  found = gst_analytics_od_mtd_get_oriented_location (mtd, &region->x, &region->y, &region->w,
      &region->h, &angle, &region->confidence);
#else
  found = gst_analytics_od_mtd_get_location (
      mtd, &region->x, &region->y, &region->w, &region->h, &region->confidence);
#endif
  region->id = (gint) mtd->id;
  region->label = gst_analytics_od_mtd_get_obj_type (mtd);
  *head = (YoloShape) { 0 };
  if (angle != 0 && isfinite (angle))
    yolo_shape_turn (head,
        (gfloat[4]){ region->x, region->y, MAX (region->w, 0), MAX (region->h, 0) }, angle,
        GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info));
  return found;
}

/* (transfer full) (nullable): what the object with this id has beside its box. @head: its turned
 * box. */
static GBytes *
shape_of (
    GstAnalyticsRelationMeta *meta, guint id, const GstVideoInfo *info, const YoloShape *head)
{
  YoloShape all = *head, *shape;
  gfloat *points;
  gint16 *cells;
#if HAVE_MASKS
  const gfloat width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  Mask mask;

  if (open_mask (meta, id, &mask)) {
    all.mask_width = mask.width;
    all.mask_height = mask.height;
    all.mask[0] = mask.x / width;
    all.mask[1] = mask.y / height;
    all.mask[2] = ((gfloat) mask.x + mask.w) / width;
    all.mask[3] = ((gfloat) mask.y + mask.h) / height;
  }
#endif
  shape = all.flags != 0 || all.mask_width > 0 ? yolo_shape_allocate (&all, &points, &cells)
                                               : NULL;
#if HAVE_MASKS
  if (shape != NULL && mask.buffer != NULL)
    fill_cells (&mask, cells);
  close_mask (&mask);
#endif
  return shape != NULL ? yolo_shape_take (shape) : NULL;
}

/* The same as find_region(), of an object whose region may be the box around its turned box. */
static gint
find_region_around (const GArray *regions, const YoloMetaRegion *object, const YoloShape *head,
    const GstVideoInfo *info)
{
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  YoloMetaRegion around = *object;
  YoloMetaObject bounds = { 0 };
  gfloat outer[4];
  gint box[4];

  yolo_shape_bounds (head, width, height, outer);
  bounds.x = outer[0];
  bounds.y = outer[1];
  bounds.w = outer[2];
  bounds.h = outer[3];
  yolo_object_round (&bounds, width, height, box);
  around.x = box[0];
  around.y = box[1];
  around.w = box[2];
  around.h = box[3];
  return find_region (regions, &around);
}

/* Number of the region that @object, whose turned box is in @head, is; -1: it is none of them. */
static gint
find_twin (const GArray *regions, const YoloMetaRegion *object, const YoloShape *head,
    const GstVideoInfo *info)
{
  const gint twin = find_region (regions, object);

  return twin < 0 && is_turned (head) ? find_region_around (regions, object, head, info) : twin;
}

/* Whether there is an entry of this type. To ask what an object relates to passes all entries, and
 * need not be done for each object if there is nothing that it could relate to. */
static gboolean
has_any (GstAnalyticsRelationMeta *meta, GstAnalyticsMtdType type)
{
  GstAnalyticsMtd mtd;
  gpointer state = NULL;

  return gst_analytics_relation_meta_iterate (meta, &state, type, &mtd);
}

static void
read_objects (
    GstBuffer *buffer, GstAnalyticsRelationMeta *meta, const GstVideoInfo *info, GArray *objects)
{
  const gboolean tracked = has_any (meta, gst_analytics_tracking_mtd_get_mtd_type ()),
                 classified = has_any (meta, gst_analytics_cls_mtd_get_mtd_type ());
#if HAVE_MASKS
  const gboolean masked = has_any (meta, gst_analytics_segmentation_mtd_get_mtd_type ());
#else
  const gboolean masked = FALSE;
#endif
  g_autoptr (GArray) regions = regions_of (buffer);
  GstAnalyticsODMtd mtd;
  gpointer state = NULL;

  while (gst_analytics_relation_meta_iterate (
      meta, &state, gst_analytics_od_mtd_get_mtd_type (), &mtd)) {
    YoloMetaRegion region;
    YoloMetaObject object, *known;
    YoloShape head;
    gint twin;

    if (!read_object (meta, &mtd, info, &region, &head))
      continue;
    object = (YoloMetaObject) {
      .x = region.x, .y = region.y, .w = region.w, .h = region.h,
      .confidence = region.confidence, .label_id = -1, .label = region.label,
      .object_id = -1, .region = 1 + mtd.id,
    };
    if (tracked)
      object.object_id = track_of (meta, mtd.id, &object.state);

    twin = find_twin (regions, &region, &head, info);
    if (twin < 0) {
      g_array_append_val (objects, object);
      twin = (gint) objects->len - 1;
    }
    known = &g_array_index (objects, YoloMetaObject, twin);
    if (known->confidence < 0)
      known->confidence = object.confidence;
    if (known->object_id < 0) {
      known->object_id = object.object_id;
      known->state = object.state;
    }
    if (known->parent == 0)
      known->parent = parent_of (meta, mtd.id);
    if (known->classes == NULL && classified)
      known->classes = classes_of (meta, mtd.id);
    if (known->shape == NULL && (masked || is_turned (&head))) {
      known->shape = shape_of (meta, mtd.id, info, &head);
      yolo_object_bound (known, info);
    }
  }
}

/* Whether nothing relates to the entry with this id, and it to nothing. */
static gboolean
is_alone (GstAnalyticsRelationMeta *meta, guint id)
{
  const gsize n = gst_analytics_relation_get_length (meta);

  for (guint other = 0; other < n; other++)
    if (gst_analytics_relation_meta_get_relation (meta, id, other) != GST_ANALYTICS_REL_TYPE_NONE
        || gst_analytics_relation_meta_get_relation (meta, other, id)
            != GST_ANALYTICS_REL_TYPE_NONE)
      return FALSE;
  return TRUE;
}

/* The class of the whole frame with this label, if it was read already. */
static YoloMetaObject *
find_class (GArray *objects, GQuark label)
{
  for (guint i = 0; i < objects->len; i++) {
    YoloMetaObject *object = &g_array_index (objects, YoloMetaObject, i);

    if (object->label == label && is_whole (yolo_shape_get (object->shape)))
      return object;
  }
  return NULL;
}

static void
read_class (GQuark label, gfloat confidence, const GstVideoInfo *info, GArray *objects)
{
  const YoloShape head = { .flags = YOLO_SHAPE_WHOLE };
  YoloMetaObject object = {
    .w = GST_VIDEO_INFO_WIDTH (info), .h = GST_VIDEO_INFO_HEIGHT (info),
    .confidence = confidence, .label_id = -1, .label = label, .object_id = -1,
  };
  gfloat *points;
  gint16 *cells;

  if (find_class (objects, label) != NULL)
    return;
  object.shape = yolo_shape_take (yolo_shape_allocate (&head, &points, &cells));
  g_array_append_val (objects, object);
}

static void
read_classes (GstAnalyticsRelationMeta *meta, const GstVideoInfo *info, GArray *objects)
{
  GstAnalyticsClsMtd mtd;
  gpointer state = NULL;

  while (gst_analytics_relation_meta_iterate (
      meta, &state, gst_analytics_cls_mtd_get_mtd_type (), &mtd)) {
    gfloat level = INFINITY;
    gssize i = -1;

    if (!is_alone (meta, mtd.id))
      continue;
    for (guint n = 0; n < MAX_CLASSES && (i = next_class (&mtd, level, i)) >= 0; n++) {
      level = gst_analytics_cls_mtd_get_level (&mtd, (gsize) i);
      read_class (gst_analytics_cls_mtd_get_quark (&mtd, (gsize) i), level, info, objects);
    }
  }
}

void
yolo_analytics_read (GstBuffer *buffer, const GstVideoInfo *info, GArray *objects)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);

  if (meta == NULL)
    return;
  read_objects (buffer, meta, info, objects);
  read_classes (meta, info, objects);
}

/* Takes the object's relation to a track away: the track itself stays, for there is no way to
 * remove one. */
static void
leave_track (GstAnalyticsRelationMeta *meta, guint id)
{
  GstAnalyticsTrackingMtd track;
  gpointer related = NULL;

  while (gst_analytics_relation_meta_get_direct_related (meta, id,
          GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_tracking_mtd_get_mtd_type (), &related,
          &track))
    gst_analytics_relation_meta_set_relation (
        meta, GST_ANALYTICS_REL_TYPE_NONE, id, track.id);
}

void
yolo_analytics_set_tracks (
    GstBuffer *buffer, const GstVideoInfo *info, const YoloMetaObject *objects, guint n)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);
  g_autoptr (GArray) regions = NULL;
  guint n_entries, n_read;

  if (meta == NULL)
    return;
  regions = regions_of (buffer);
  n_read = regions->len;
  n_entries = (guint) gst_analytics_relation_get_length (meta);
  /* by number, for entries are added meanwhile */
  for (guint id = 0; id < n_entries; id++) {
    GstAnalyticsODMtd mtd;
    YoloMetaRegion region;
    YoloShape head;
    gint i;

    if (!gst_analytics_relation_meta_get_od_mtd (meta, id, &mtd)
        || !read_object (meta, &mtd, info, &region, &head))
      continue;
    i = find_twin (regions, &region, &head, info);
    if (i < 0)
      i = (gint) n_read++;
    if ((guint) i >= n)
      continue;
    leave_track (meta, id);
    if (objects[i].object_id >= 0)
      add_track (meta, id, &objects[i], GST_BUFFER_PTS (buffer));
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
