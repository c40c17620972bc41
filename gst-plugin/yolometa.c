/* The layout is DL Streamer's: its documentation, dev_guide/metadata, and the
 * names that its gvadetect and gvatrack give the params and their fields.
 *
 * Costs of a frame: an object that is written is one meta and one structure
 * of six fields, about 1 kB in a dozen small allocations, freed with the
 * buffer; this is what the layout is made of. Reading allocates nothing but
 * what the caller's array grows by. */

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloanalytics.h"

#include <math.h>

static gboolean
object_is_finite (const YoloObject *object)
{
  return isfinite (object->x) && isfinite (object->y)
      && isfinite (object->w) && isfinite (object->h);
}

/* Rounds the edges to the nearest pixel's, so that boxes that touch still do,
 * and leaves at least one pixel inside [0, size). */
static void
round_range (gdouble min, gdouble max, gint size, gint *start, gint *length)
{
  const gint first = floor (CLAMP (min, 0, size) + 0.5);
  const gint end = floor (CLAMP (max, 0, size) + 0.5);

  *start = MIN (first, size - 1);
  *length = MAX (end - *start, 1);
}

void
yolo_meta_origin (GstBuffer *buffer, const GstVideoInfo *info, gint *x, gint *y)
{
  const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (buffer);

  *x = *y = 0;
  if (crop && crop->width == (guint) GST_VIDEO_INFO_WIDTH (info)
      && crop->height == (guint) GST_VIDEO_INFO_HEIGHT (info)) {
    *x = MIN (crop->x, G_MAXINT / 2);
    *y = MIN (crop->y, G_MAXINT / 2);
  }
}

void
yolo_object_round (const YoloObject *object, gint width, gint height, gint box[4])
{
  round_range (object->x, (gdouble) object->x + object->w, width, &box[0], &box[2]);
  round_range (object->y, (gdouble) object->y + object->h, height, &box[1], &box[3]);
}

void
yolo_meta_add (GstBuffer *buffer, const GstVideoInfo *info, const YoloObject *objects,
    guint n, guint unique_id)
{
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  guint n_regions = gst_buffer_get_n_meta (buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  g_autofree gint *ids = g_new (gint, n);
  guint i;

  g_return_if_fail (gst_buffer_is_writable (buffer));
  g_return_if_fail (width > 0 && height > 0);

  for (i = 0; i < n; i++) {
    const YoloObject *object = &objects[i];
    GstVideoRegionOfInterestMeta *meta;
    GstStructure *detection;
    YoloRegion region = { .label = object->label, .confidence = object->confidence };
    gdouble x1, y1, x2, y2;
    gint box[4];

    ids[i] = -1;
    if (!object_is_finite (object))
      continue;
    x1 = CLAMP (object->x, 0, width);
    y1 = CLAMP (object->y, 0, height);
    x2 = CLAMP ((gdouble) object->x + object->w, x1, width);
    y2 = CLAMP ((gdouble) object->y + object->h, y1, height);
    yolo_object_round (object, width, height, box);
    region.x = box[0];
    region.y = box[1];
    region.w = box[2];
    region.h = box[3];
    region.id = ids[i] = yolo_analytics_add (buffer, &region, n);
    if (region.id < 0)          /* Python's bindings reach a region by its number only. */
      region.id = n_regions;
    n_regions++;

    meta = gst_buffer_add_video_region_of_interest_meta_id (buffer, object->label,
        region.x, region.y, region.w, region.h);
    meta->id = region.id;
    detection = gst_structure_new ("detection",
        "x_min", G_TYPE_DOUBLE, x1 / width, "x_max", G_TYPE_DOUBLE, x2 / width,
        "y_min", G_TYPE_DOUBLE, y1 / height, "y_max", G_TYPE_DOUBLE, y2 / height,
        "confidence", G_TYPE_DOUBLE, (gdouble) object->confidence,
        "label_id", G_TYPE_INT, object->label_id, "model_id", G_TYPE_INT, (gint) unique_id, NULL);
    if (object->slot > 0)
      gst_structure_set (detection, "batch_id", G_TYPE_INT, (gint) object->slot - 1, NULL);
    gst_video_region_of_interest_meta_add_param (meta, detection);
    if (object->object_id >= 0)
      gst_video_region_of_interest_meta_add_param (meta,
          gst_structure_new ("object_id", "id", G_TYPE_INT, object->object_id, NULL));
  }

  /* After the objects, so that their numbers have no gaps. */
  for (i = 0; i < n; i++)
    if (ids[i] >= 0 && objects[i].object_id >= 0)
      yolo_analytics_add_track (buffer, ids[i], objects[i].object_id);
}

/* The params of one region; NULL: not there. */
static void
find_params (const GstVideoRegionOfInterestMeta *meta, const GstStructure **detection,
    const GstStructure **track)
{
  const GList *l;

  *detection = *track = NULL;
  for (l = meta->params; l; l = l->next) {
    const GstStructure *param = l->data;

    if (gst_structure_has_name (param, "detection"))
      *detection = param;
    else if (gst_structure_has_name (param, "object_id"))
      *track = param;
  }
}

static GQuark
label_of (const GstVideoRegionOfInterestMeta *meta, const GstStructure *detection)
{
  const gchar *label;

  if (meta->roi_type)
    return meta->roi_type;
  label = gst_structure_get_string (detection, "label");
  return label ? g_quark_from_string (label) : 0;
}

gboolean
yolo_region_of_meta (const GstVideoRegionOfInterestMeta *meta, YoloRegion *region)
{
  const GstStructure *detection, *track;
  gdouble confidence = 0;

  find_params (meta, &detection, &track);
  if (detection == NULL)
    return FALSE;

  gst_structure_get_double (detection, "confidence", &confidence);
  *region = (YoloRegion) {
    .id = meta->id, .label = label_of (meta, detection),
    .x = MIN (meta->x, G_MAXINT), .y = MIN (meta->y, G_MAXINT),
    .w = MIN (meta->w, G_MAXINT), .h = MIN (meta->h, G_MAXINT),
    .confidence = isfinite ((gfloat) confidence) ? confidence : 0,
    .object_id = -1,
  };
  if (track)
    gst_structure_get_int (track, "id", &region->object_id);
  return TRUE;
}

/* The normalised fields are finer than the region's pixels. But an element
 * that moves the pixels (a crop) leaves the fields as they were, so that they
 * count only where they agree; one that scales rounds, hence the slack. */
static void
refine_box (const GstVideoRegionOfInterestMeta *meta, const GstStructure *detection,
    const GstVideoInfo *info, YoloObject *object)
{
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  const gdouble slack_x = 2 + width / 200., slack_y = 2 + height / 200.;
  gdouble x1, x2, y1, y2;

  if (!gst_structure_get_double (detection, "x_min", &x1)
      || !gst_structure_get_double (detection, "x_max", &x2)
      || !gst_structure_get_double (detection, "y_min", &y1)
      || !gst_structure_get_double (detection, "y_max", &y2))
    return;
  x1 *= width;
  x2 *= width;
  y1 *= height;
  y2 *= height;

  /* false too for what is not a number */
  if (fabs (x1 - meta->x) <= slack_x && fabs (x2 - meta->x - meta->w) <= slack_x
      && fabs (y1 - meta->y) <= slack_y && fabs (y2 - meta->y - meta->h) <= slack_y
      && x1 <= x2 && y1 <= y2) {
    object->x = x1;
    object->y = y1;
    object->w = x2 - x1;
    object->h = y2 - y1;
  }
}

void
yolo_meta_read (GstBuffer *buffer, const GstVideoInfo *info, GArray *objects)
{
  GstMeta *meta;
  gpointer state = NULL;

  g_array_set_size (objects, 0);
  while ((meta = gst_buffer_iterate_meta_filtered (buffer, &state,
              GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *) meta;
    const GstStructure *detection, *track;
    YoloRegion region;
    YoloObject object;
    gint batch_id;

    if (!yolo_region_of_meta (roi, &region))
      continue;
    find_params (roi, &detection, &track);
    object = (YoloObject) {
      .x = region.x, .y = region.y, .w = region.w, .h = region.h,
      .confidence = region.confidence, .label_id = -1, .label = region.label,
      .object_id = region.object_id,
    };
    gst_structure_get_int (detection, "label_id", &object.label_id);
    if (gst_structure_get_int (detection, "batch_id", &batch_id) && batch_id >= 0)
      object.slot = (guint) batch_id + 1;
    refine_box (roi, detection, info, &object);
    g_array_append_val (objects, object);
  }
  yolo_analytics_read (buffer, objects);
}

static gboolean
remove_object (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  YoloRegion region;

  if ((*meta)->info->api == GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE
      && yolo_region_of_meta ((GstVideoRegionOfInterestMeta *) * meta, &region))
    *meta = NULL;
  return TRUE;
}

void
yolo_meta_clear (GstBuffer *buffer)
{
  g_return_if_fail (gst_buffer_is_writable (buffer));

  gst_buffer_foreach_meta (buffer, remove_object, NULL);
  yolo_analytics_clear (buffer);
}
