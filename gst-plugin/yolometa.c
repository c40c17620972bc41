/* SPDX-License-Identifier: MIT */
/* Source of the layout: DL Streamer's documentation, dev_guide/metadata, and the
 * names that gvadetect and gvatrack give the params and their fields.
 *
 * What it costs: an object that is written is one meta and one structure of six
 * fields, about 1 kB in a dozen small allocations, which the layout demands and the
 * buffer frees. A frame with objects gets one note besides, 72 bytes an object in
 * five allocations. What points, masks and turned boxes cost in each layout is written in
 * yolotensor.c and yoloanalytics.c; objects without them pay nothing. Reading allocates
 * nothing but what the caller's array grows by, and the shapes of objects of other elements. */

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloanalytics.h"
#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolofields.h"
#include "gst-plugin/yolotensor.h"

#include <math.h>

/* GStreamer 1.22's converters scale a region but drop the params, and its filters
 * that crop or flip drop the region. Metadata without tags pass all of them. So what
 * the params say is on the buffer a second time, as one meta with a note for each
 * object, among which a region without params finds what is noted of it. The meta
 * is a GstCustomMeta whose field "objects" is a GBytes of Note[], and whose field
 * "shapes", where objects have any, is one of their YoloShapes, each at a multiple of
 * SHAPE_ALIGNMENT bytes; copies of the buffer share both. What other networks say of an object
 * is the field "classes", a GBytes of ClassNote[], of the same meta, or of one that is added when
 * they say it. */
#define NOTES "YoloObjectNotes"
#define SHAPE_ALIGNMENT 8

typedef struct {
  gint id;                      /* the region's */
  GQuark label;                 /* the region's roi_type */
  gfloat confidence;
  gint label_id, object_id;
  YoloMetaState state;
  guint slot;
  gdouble x1, y1, x2, y2;       /* the box, 0 to 1 of the frame */
  guint32 shape, shape_size;    /* where its shape lies in "shapes", bytes; 0: it has none */
  guint parent;                 /* 1 + the id of its parent's region; 0: it has none */
} Note;

typedef struct {
  gint id;                      /* the region's */
  GQuark label;                 /* the region's roi_type */
  YoloClass class;
} ClassNote;

/* Registered once in a process, by whichever copy of this code comes first. */
static const GstMetaInfo *
notes_info (void)
{
  static gsize info = 0;

  if (g_once_init_enter (&info)) {
    static const gchar *no_tags[] = { NULL };
    const GstMetaInfo *known = gst_meta_get_info (NOTES);

    if (known == NULL)
      known = gst_meta_register_custom (NOTES, no_tags, NULL, NULL, NULL);
    g_once_init_leave (&info, (gsize) known);
  }
  return (const GstMetaInfo *) info;
}

static void
clear_object (gpointer object)
{
  g_clear_pointer (&((YoloMetaObject *) object)->shape, g_bytes_unref);
  g_clear_pointer (&((YoloMetaObject *) object)->classes, g_bytes_unref);
}

GArray *
yolo_meta_objects_new (void)
{
  GArray *objects = g_array_new (FALSE, FALSE, sizeof (YoloMetaObject));

  g_array_set_clear_func (objects, clear_object);
  return objects;
}

void
yolo_meta_objects_append (GArray *objects, const YoloMetaObject *from, guint n)
{
  guint i;

  for (i = 0; i < n; i++) {
    if (from[i].shape)
      g_bytes_ref (from[i].shape);
    if (from[i].classes)
      g_bytes_ref (from[i].classes);
  }
  g_array_append_vals (objects, from, n);
}

/* Puts an object's shape behind those of the others, and notes where it is. */
static void
add_shape (GByteArray *shapes, GBytes *shape, Note *note)
{
  static const guint8 padding[SHAPE_ALIGNMENT] = { 0 };
  gsize size = 0;
  const guint8 *data = shape ? g_bytes_get_data (shape, &size) : NULL;

  /* GByteArray counts in 32 bits */
  if (size == 0 || size > G_MAXUINT32 / 2 - shapes->len)
    return;
  note->shape = shapes->len;
  note->shape_size = (guint32) size;
  g_byte_array_append (shapes, data, (guint) size);
  g_byte_array_append (
      shapes, padding, (SHAPE_ALIGNMENT - shapes->len % SHAPE_ALIGNMENT) % SHAPE_ALIGNMENT);
}

/* Appends to @notes, which is made if it is NULL, what other networks say of an object. */
static void
note_classes (GByteArray **notes, gint id, GQuark label, GBytes *classes)
{
  guint n, i;
  const YoloClass *class = yolo_classes_get (classes, &n);

  if (n > 0 && *notes == NULL)
    *notes = g_byte_array_new ();
  for (i = 0; i < n; i++) {
    const ClassNote note = { id, label, class[i] };

    g_byte_array_append (*notes, (const guint8 *) &note, sizeof note);
  }
}

/* Attaches a structure for notes. NULL: there is no such meta. */
static GstStructure *
new_notes (GstBuffer *buffer)
{
  return notes_info () != NULL
      ? gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, NOTES)) : NULL;
}

/* Puts notes, shapes and classes, whose arrays it takes, and which may be NULL, into @structure; or
 * if that is NULL into a new one on @buffer. */
static void
add_notes (GstBuffer *buffer, GstStructure *structure, GArray *notes, GByteArray *shapes,
    GByteArray *classes)
{
  const gsize size = notes != NULL ? notes->len * sizeof (Note) : 0;
  g_autoptr (GBytes) bytes =
      size > 0 ? g_bytes_new_take (g_array_free (notes, FALSE), size) : NULL;
  g_autoptr (GBytes) all = shapes != NULL ? g_byte_array_free_to_bytes (shapes) : NULL,
                     said = classes != NULL ? g_byte_array_free_to_bytes (classes) : NULL;

  if (notes != NULL && size == 0)
    g_array_unref (notes);
  if (bytes == NULL && said == NULL)
    return;
  if (structure == NULL)
    structure = new_notes (buffer);
  if (structure == NULL)
    return;
  if (bytes != NULL)
    gst_structure_set (structure, "objects", G_TYPE_BYTES, bytes, NULL);
  if (all != NULL && g_bytes_get_size (all) > 0)
    gst_structure_set (structure, "shapes", G_TYPE_BYTES, all, NULL);
  if (said != NULL)
    gst_structure_set (structure, "classes", G_TYPE_BYTES, said, NULL);
}

/* The bytes in the value of a field that anybody can have made, or NULL. */
static GBytes *
bytes_of (const GValue *value)
{
  return value != NULL && G_VALUE_HOLDS (value, G_TYPE_BYTES) ? g_value_get_boxed (value) : NULL;
}

static GBytes *
get_bytes (const GstStructure *structure, const gchar *field)
{
  return bytes_of (gst_structure_get_value (structure, field));
}

/* The next array of notes on the buffer; each inference element that has seen the
 * buffer has attached one. NULL: there are no more. @shapes: (out): or NULL. */
static const Note *
next_notes (GstBuffer *buffer, gpointer *state, guint *n, GBytes **shapes)
{
  static YoloFields fields = YOLO_FIELDS ("objects", "shapes");
  const GstMetaInfo *info = notes_info ();
  const GValue *values[YOLO_FIELDS_MAX];
  GstMeta *meta;

  while (info && (meta = gst_buffer_iterate_meta_filtered (buffer, state, info->api))) {
    GBytes *objects;
    gsize size = 0;
    const Note *notes;

    yolo_fields_get (&fields, gst_custom_meta_get_structure ((GstCustomMeta *) meta), values);
    objects = bytes_of (values[0]);
    if (objects == NULL)
      continue;
    notes = g_bytes_get_data (objects, &size);
    *n = size / sizeof (Note);
    *shapes = bytes_of (values[1]);
    if (*n > 0)
      return notes;
  }
  return NULL;
}

/* The note of a region, which is found by its place: regions that are attached
 * together have ids that follow each other. NULL: there is none. */
static const Note *
find_note (GstBuffer *buffer, const GstVideoRegionOfInterestMeta *region, GBytes **shapes)
{
  gpointer state = NULL;
  const Note *notes;
  guint n;

  while ((notes = next_notes (buffer, &state, &n, shapes))) {
    const gint64 i = (gint64) region->id - notes[0].id;

    if (i >= 0 && i < n && notes[i].id == region->id && notes[i].label == region->roi_type)
      return &notes[i];
  }
  return NULL;
}

/* (transfer full) (nullable): what is noted of a region's classes, in all notes of the buffer. */
static GBytes *
noted_classes (GstBuffer *buffer, const GstVideoRegionOfInterestMeta *region)
{
  const GstMetaInfo *info = notes_info ();
  GByteArray *found = NULL;
  gpointer state = NULL;
  GstMeta *meta;

  while (info && (meta = gst_buffer_iterate_meta_filtered (buffer, &state, info->api))) {
    GBytes *classes =
        get_bytes (gst_custom_meta_get_structure ((GstCustomMeta *) meta), "classes");
    gsize size = 0, i;
    const ClassNote *notes = classes != NULL ? g_bytes_get_data (classes, &size) : NULL;

    for (i = 0; i < size / sizeof *notes; i++) {
      if (notes[i].id != region->id || notes[i].label != region->roi_type)
        continue;
      if (found == NULL)
        found = g_byte_array_new ();
      g_byte_array_append (found, (const guint8 *) &notes[i].class, sizeof notes[i].class);
    }
  }
  return found != NULL ? g_byte_array_free_to_bytes (found) : NULL;
}

gboolean
yolo_meta_has_notes (GstBuffer *buffer)
{
  const GstMetaInfo *info = notes_info ();

  return info && gst_buffer_get_meta (buffer, info->api);
}

/* Whether classes of any object are noted. */
static gboolean
has_noted_classes (GstBuffer *buffer)
{
  const GstMetaInfo *info = notes_info ();
  gpointer state = NULL;
  GstMeta *meta;

  while (info && (meta = gst_buffer_iterate_meta_filtered (buffer, &state, info->api)))
    if (get_bytes (gst_custom_meta_get_structure ((GstCustomMeta *) meta), "classes") != NULL)
      return TRUE;
  return FALSE;
}

static gboolean
object_is_finite (const YoloMetaObject *object)
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

/* The edges of what the frame shows of a box: x1, y1, x2, y2, with x1 <= x2 and y1 <= y2. */
static void
clip_edges (const YoloMetaObject *object, gint width, gint height, gdouble edges[4])
{
  edges[0] = CLAMP (object->x, 0, width);
  edges[1] = CLAMP (object->y, 0, height);
  edges[2] = CLAMP ((gdouble) object->x + object->w, edges[0], width);
  edges[3] = CLAMP ((gdouble) object->y + object->h, edges[1], height);
}

void
yolo_object_clip (YoloMetaObject *object, gint width, gint height)
{
  gdouble edges[4];

  clip_edges (object, width, height, edges);
  object->x = edges[0];
  object->y = edges[1];
  object->w = edges[2] - edges[0];
  object->h = edges[3] - edges[1];
}

void
yolo_object_bound (YoloMetaObject *object, const GstVideoInfo *info)
{
  const YoloShape *shape = yolo_shape_get (object->shape);
  gfloat box[4];

  if (shape == NULL || !(shape->flags & YOLO_SHAPE_TURNED))
    return;
  yolo_shape_bounds (shape, GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info), box);
  object->x = box[0];
  object->y = box[1];
  object->w = box[2];
  object->h = box[3];
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
yolo_object_round (const YoloMetaObject *object, gint width, gint height, gint box[4])
{
  round_range (object->x, (gdouble) object->x + object->w, width, &box[0], &box[2]);
  round_range (object->y, (gdouble) object->y + object->h, height, &box[1], &box[3]);
}

/* What all layouts say of an object whose box is finite. */
static YoloMetaRegion
region_of_object (const YoloMetaObject *object, gint width, gint height)
{
  YoloMetaRegion region = {
    .label = object->label, .confidence = object->confidence, .object = object,
    .shape = yolo_shape_get (object->shape),
  };
  gint box[4];

  yolo_object_round (object, width, height, box);
  region.x = box[0];
  region.y = box[1];
  region.w = box[2];
  region.h = box[3];
  /* once for both layouts */
  if (region.shape != NULL && region.shape->mask_width > 0 && region.shape->mask_height > 0)
    region.mask = yolo_shape_sample (region.shape, box, width, height);
  return region;
}

const gchar *
yolo_meta_state_name (YoloMetaState state)
{
  switch (state) {
    case YOLO_META_TRACKED:
      return "tracked";
    case YOLO_META_PREDICTED:
      return "predicted";
    case YOLO_META_LOST:
      return "lost";
  }
  g_return_val_if_reached ("tracked");
}

YoloMetaState
yolo_meta_state_of_name (const gchar *name)
{
  if (g_strcmp0 (name, "predicted") == 0)
    return YOLO_META_PREDICTED;
  return g_strcmp0 (name, "lost") == 0 ? YOLO_META_LOST : YOLO_META_TRACKED;
}

static void
set_track (GstStructure *track, const YoloMetaObject *object)
{
  static YoloFields fields = YOLO_FIELDS ("id", "state");
  GValue *values[YOLO_FIELDS_MAX];

  yolo_fields_get_writable (&fields, track, values);
  if (values[0] != NULL && G_VALUE_HOLDS_INT (values[0]) && values[1] != NULL
      && G_VALUE_HOLDS_STRING (values[1])) {
    g_value_set_int (values[0], object->object_id);
    g_value_set_static_string (values[1], yolo_meta_state_name (object->state));
  } else {
    gst_structure_set (track, "id", G_TYPE_INT, object->object_id, "state", G_TYPE_STRING,
        yolo_meta_state_name (object->state), NULL);
  }
}

/* A copy of a structure takes half of the time that its fields take one by one, so that those
 * which are made for each object are copies. The first of them stays for ever. */
static GstStructure *
track_new (const YoloMetaObject *object)
{
  static gsize first = 0;
  GstStructure *track;

  if (g_once_init_enter (&first))
    g_once_init_leave (&first, (gsize) gst_structure_new ("object_id", "id", G_TYPE_INT, 0,
        "state", G_TYPE_STRING, "tracked", NULL));
  track = gst_structure_copy ((const GstStructure *) first);
  set_track (track, object);
  return track;
}

static void
set_box (GstStructure *detection, const gdouble edges[4], gint width, gint height)
{
  static YoloFields fields = YOLO_FIELDS ("x_min", "x_max", "y_min", "y_max");
  const gdouble places[4] = {
    edges[0] / width, edges[2] / width, edges[1] / height, edges[3] / height,
  };
  GValue *values[YOLO_FIELDS_MAX];
  guint i;

  yolo_fields_get_writable (&fields, detection, values);
  for (i = 0; i < 4 && values[i] != NULL && G_VALUE_HOLDS_DOUBLE (values[i]); i++)
    g_value_set_double (values[i], places[i]);
  if (i < 4)
    gst_structure_set (detection, "x_min", G_TYPE_DOUBLE, places[0], "x_max", G_TYPE_DOUBLE,
        places[1], "y_min", G_TYPE_DOUBLE, places[2], "y_max", G_TYPE_DOUBLE, places[3], NULL);
}

/* @edges: of the object's box, pixels, not rounded */
static GstStructure *
detection_new (const YoloMetaObject *object, const gdouble edges[4], gint width, gint height,
    guint unique_id)
{
  static YoloFields fields = YOLO_FIELDS ("label_id", "model_id");
  static gsize first = 0;
  GstStructure *detection;
  GValue *values[YOLO_FIELDS_MAX];

  if (g_once_init_enter (&first))
    g_once_init_leave (&first, (gsize) gst_structure_new ("detection", "x_min", G_TYPE_DOUBLE, 0.,
        "x_max", G_TYPE_DOUBLE, 0., "y_min", G_TYPE_DOUBLE, 0., "y_max", G_TYPE_DOUBLE, 0.,
        "label_id", G_TYPE_INT, 0, "model_id", G_TYPE_INT, 0, NULL));
  detection = gst_structure_copy ((const GstStructure *) first);
  set_box (detection, edges, width, height);
  yolo_fields_get_writable (&fields, detection, values);
  g_value_set_int (values[0], object->label_id);
  g_value_set_int (values[1], (gint) unique_id);
  if (object->confidence >= 0)
    gst_structure_set (
        detection, "confidence", G_TYPE_DOUBLE, (gdouble) object->confidence, NULL);
  if (object->slot > 0)
    gst_structure_set (detection, "batch_id", G_TYPE_INT, (gint) object->slot - 1, NULL);
  return detection;
}

/* Attaches an object in DL Streamer's layout. @edges: its box, pixels, not rounded. */
static void
add_region (GstBuffer *buffer, const YoloMetaRegion *region, const gdouble edges[4], gint width,
    gint height, guint unique_id)
{
  const YoloMetaObject *object = region->object;
  GstVideoRegionOfInterestMeta *meta = gst_buffer_add_video_region_of_interest_meta_id (
      buffer, region->label, region->x, region->y, region->w, region->h);

  meta->id = region->id;
  if (region->parent >= 0)
    meta->parent_id = region->parent;
  gst_video_region_of_interest_meta_add_param (
      meta, detection_new (object, edges, width, height, unique_id));
  if (object->object_id >= 0)
    gst_video_region_of_interest_meta_add_param (meta, track_new (object));
  if (region->shape != NULL)
    yolo_tensor_add (meta, region->shape, &region->mask, width, height);
  yolo_classes_add (meta, object->classes);
}

/* Gives each region its id - any will do, for Python's bindings reach a region by its id alone -,
 * where GstAnalytics has not done so, and that of its parent, which may have got a new one. */
static void
set_ids (YoloMetaRegion *regions, guint n, guint first)
{
  guint i, k;

  for (i = 0; i < n; i++)
    if (regions[i].id < 0)
      regions[i].id = (gint) (first + i);
  for (i = 0; i < n; i++) {
    const guint parent = regions[i].object->parent;

    regions[i].parent = (gint) (parent - 1);
    if (parent == 0)
      continue;
    for (k = 0; k < n && regions[k].object->region != parent; k++);
    if (k < n)
      regions[i].parent = regions[k].id;
  }
}

void
yolo_meta_add (GstBuffer *buffer, const GstVideoInfo *info, const YoloMetaObject *objects,
    guint n, guint unique_id)
{
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  guint n_regions = gst_buffer_get_n_meta (buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  g_autofree YoloMetaRegion *regions = g_new (YoloMetaRegion, n);
  GByteArray *shapes, *classes = NULL;
  GstStructure *structure = NULL;
  GArray *notes;
  guint i, n_finite = 0;

  g_return_if_fail (gst_buffer_is_writable (buffer));
  g_return_if_fail (width > 0 && height > 0);

  notes = g_array_sized_new (FALSE, FALSE, sizeof (Note), n);
  shapes = g_byte_array_new ();

  for (i = 0; i < n; i++)
    if (object_is_finite (&objects[i]))
      regions[n_finite++] = region_of_object (&objects[i], width, height);
  yolo_analytics_add (buffer, info, regions, n_finite);
  set_ids (regions, n_finite, n_regions);
  yolo_analytics_relate (buffer, regions, n_finite);

  /* first, so that whoever looks for the note of a region need not pass all the others */
  if (n_finite > 0)
    structure = new_notes (buffer);
  for (i = 0; i < n_finite; i++) {
    const YoloMetaObject *object = regions[i].object;
    gdouble edges[4];
    Note note;

    clip_edges (object, width, height, edges);
    add_region (buffer, &regions[i], edges, width, height, unique_id);
    note = (Note) {
      .id = regions[i].id, .label = object->label, .confidence = object->confidence,
      .label_id = object->label_id, .object_id = object->object_id, .state = object->state,
      .slot = object->slot, .x1 = edges[0] / width, .y1 = edges[1] / height,
      .x2 = edges[2] / width, .y2 = edges[3] / height, .parent = (guint) regions[i].parent + 1,
    };
    add_shape (shapes, object->shape, &note);
    note_classes (&classes, note.id, note.label, object->classes);
    g_array_append_val (notes, note);
    g_clear_pointer (&regions[i].mask.values, g_bytes_unref);
  }
  add_notes (buffer, structure, notes, shapes, classes);
}

/* What the params of a region say, and what is noted of it where they say nothing.
 * NULL: there is no such param, or note. */
typedef struct {
  const GstStructure *detection, *track;
  gboolean more;                /* there are other params */
  const Note *note;
  GBytes *shapes;               /* of the note's buffer */
} Saying;

/* Collects what a region says. FALSE: it is no object, but tells an encoder how to
 * treat a part of the frame, or says nothing at all. */
static gboolean
listen (GstBuffer *buffer, const GstVideoRegionOfInterestMeta *meta, Saying *saying)
{
  gboolean for_encoder = FALSE;
  const GList *l;

  *saying = (Saying) { NULL };
  for (l = meta->params; l; l = l->next) {
    const GstStructure *param = l->data;

    if (gst_structure_has_name (param, "detection")) {
      saying->detection = param;
    } else if (gst_structure_has_name (param, "object_id")) {
      saying->track = param;
    } else {
      saying->more = TRUE;
      for_encoder |= g_str_has_prefix (gst_structure_get_name (param), "roi/");
    }
  }
  saying->note = find_note (buffer, meta, &saying->shapes);
  return saying->detection || saying->note || (meta->roi_type && !for_encoder);
}

static GQuark
label_of (const GstVideoRegionOfInterestMeta *meta, const GstStructure *detection)
{
  const gchar *label = NULL;

  if (meta->roi_type)
    return meta->roi_type;
  if (detection)
    label = gst_structure_get_string (detection, "label");
  return label ? g_quark_from_string (label) : 0;
}

static gboolean
read_region (GstBuffer *buffer, const GstVideoRegionOfInterestMeta *meta, Saying *saying,
    YoloMetaRegion *region)
{
  if (!listen (buffer, meta, saying))
    return FALSE;
  /* the meta's fields are unsigned, but elements that move a region out of the
   * frame write negative numbers into them */
  *region = (YoloMetaRegion) {
    .id = meta->id, .label = label_of (meta, saying->detection),
    .x = (gint) meta->x, .y = (gint) meta->y,
    .w = MAX ((gint) meta->w, 0), .h = MAX ((gint) meta->h, 0),
  };
  return TRUE;
}

gboolean
yolo_region_of_meta (
    GstBuffer *buffer, const GstVideoRegionOfInterestMeta *meta, YoloMetaRegion *region)
{
  Saying saying;

  return read_region (buffer, meta, &saying, region);
}

/* Replaces the object's box, which is in whole pixels, by the normalised one, which is
 * finer. But an element that moves the pixels, such as a crop, leaves the normalised
 * box as it was; so it counts only where the two agree, give or take the rounding of
 * an element that scales. */
static void
refine_box (gdouble x1, gdouble y1, gdouble x2, gdouble y2, const GstVideoInfo *info,
    YoloMetaObject *object)
{
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);
  const gdouble slack_x = 2 + width / 200., slack_y = 2 + height / 200.;

  x1 *= width;
  x2 *= width;
  y1 *= height;
  y2 *= height;

  /* NaN fails all of the comparisons */
  if (fabs (x1 - object->x) <= slack_x && fabs (x2 - object->x - object->w) <= slack_x
      && fabs (y1 - object->y) <= slack_y && fabs (y2 - object->y - object->h) <= slack_y
      && x1 <= x2 && y1 <= y2) {
    object->x = x1;
    object->y = y1;
    object->w = x2 - x1;
    object->h = y2 - y1;
  }
}

/* Whether the box is turned, which yolo_tensor_read() looks at. */
static gboolean
read_detection (const GstStructure *detection, const GstVideoInfo *info, YoloMetaObject *object)
{
  static YoloFields fields = YOLO_FIELDS ("x_min", "x_max", "y_min", "y_max", "confidence",
      "label_id", "batch_id", "rotation");
  const GValue *values[YOLO_FIELDS_MAX];
  gdouble confidence, x1, x2, y1, y2;
  gint batch_id;

  yolo_fields_get (&fields, detection, values);
  if (yolo_field_double (values[4], &confidence) && isfinite ((gfloat) confidence))
    object->confidence = confidence;
  yolo_field_int (values[5], &object->label_id);
  if (yolo_field_int (values[6], &batch_id) && batch_id >= 0)
    object->slot = (guint) batch_id + 1;
  if (yolo_field_double (values[0], &x1) && yolo_field_double (values[1], &x2)
      && yolo_field_double (values[2], &y1) && yolo_field_double (values[3], &y2))
    refine_box (x1, y1, x2, y2, info, object);
  return values[7] != NULL;
}

static void
read_track (const GstStructure *track, YoloMetaObject *object)
{
  static YoloFields fields = YOLO_FIELDS ("id", "state");
  const GValue *values[YOLO_FIELDS_MAX];

  yolo_fields_get (&fields, track, values);
  yolo_field_int (values[0], &object->object_id);
  object->state = yolo_meta_state_of_name (yolo_field_string (values[1]));
}

static void
read_note (const Note *note, const GstVideoInfo *info, YoloMetaObject *object)
{
  object->confidence = note->confidence;
  object->label_id = note->label_id;
  object->object_id = note->object_id;
  object->state = note->state;
  object->slot = note->slot;
  object->parent = note->parent;
  refine_box (note->x1, note->y1, note->x2, note->y2, info, object);
}

/* (transfer full): the shape that a note is of; NULL: it has none. */
static GBytes *
noted_shape (const Note *note, GBytes *shapes)
{
  gsize size = g_bytes_get_size (shapes);

  if (note->shape_size == 0 || note->shape_size > size || note->shape > size - note->shape_size
      || note->shape % SHAPE_ALIGNMENT != 0)
    return NULL;
  return g_bytes_new_from_bytes (shapes, note->shape, note->shape_size);
}

void
yolo_meta_read (GstBuffer *buffer, const GstVideoInfo *info, GArray *objects)
{
  /* once, and not for each of many regions */
  const gboolean classified = has_noted_classes (buffer);
  GstMeta *meta;
  gpointer state = NULL;

  g_array_set_size (objects, 0);
  while ((meta = gst_buffer_iterate_meta_filtered (buffer, &state,
              GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *) meta;
    YoloMetaRegion region;
    YoloMetaObject object;
    gboolean turned = FALSE;
    Saying saying;

    if (!read_region (buffer, roi, &saying, &region))
      continue;
    object = (YoloMetaObject) {
      .x = region.x, .y = region.y, .w = region.w, .h = region.h,
      .confidence = -1, .label_id = -1, .label = region.label, .object_id = -1,
      .region = 1 + (guint) roi->id,
      /* 0 is what GStreamer sets it to, and our first region's id: only the note knows */
      .parent = roi->parent_id > 0 ? 1 + (guint) roi->parent_id : 0,
    };
    if (saying.detection)
      turned = read_detection (saying.detection, info, &object);
    else if (saying.note)
      read_note (saying.note, info, &object);
    if (saying.track)
      read_track (saying.track, &object);
    if (saying.note)
      object.parent = saying.note->parent;
    if (saying.more)
      object.classes = yolo_classes_read (roi);
    if (object.classes == NULL && classified)
      object.classes = noted_classes (buffer, roi);
    if (saying.note && saying.shapes)
      object.shape = noted_shape (saying.note, saying.shapes);
    if (object.shape == NULL && (saying.more || turned)) {
      object.shape = yolo_tensor_read (
          roi, GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info));
      yolo_object_bound (&object, info);
    }
    g_array_append_val (objects, object);
  }
  yolo_analytics_read (buffer, info, objects);
}

/* Gives the notes of the buffer bytes of their own, which can be written while nobody else reads
 * them: those that are there are shared with copies of the buffer. */
static void
own_notes (GstBuffer *buffer)
{
  const GstMetaInfo *info = notes_info ();
  gpointer state = NULL;
  GstMeta *meta;

  while (info && (meta = gst_buffer_iterate_meta_filtered (buffer, &state, info->api))) {
    GstStructure *structure = gst_custom_meta_get_structure ((GstCustomMeta *) meta);
    GBytes *shared = get_bytes (structure, "objects");
    gsize size;
    gconstpointer data;
    g_autoptr (GBytes) own = NULL;

    if (shared == NULL)
      continue;
    data = g_bytes_get_data (shared, &size);
    own = g_bytes_new (data, size);
    gst_structure_set (structure, "objects", G_TYPE_BYTES, own, NULL);
  }
}

/* @note: of own_notes(), or NULL */
static void
move_region (GstVideoRegionOfInterestMeta *meta, GstStructure *detection, Note *note,
    const YoloMetaObject *object, gint width, gint height)
{
  gdouble edges[4];
  gint box[4];

  clip_edges (object, width, height, edges);
  yolo_object_round (object, width, height, box);
  meta->x = (guint) box[0];
  meta->y = (guint) box[1];
  meta->w = (guint) box[2];
  meta->h = (guint) box[3];
  if (detection)
    set_box (detection, edges, width, height);
  if (note == NULL)
    return;
  note->x1 = edges[0] / width;
  note->y1 = edges[1] / height;
  note->x2 = edges[2] / width;
  note->y2 = edges[3] / height;
}

/* Writes an object's track into its region, and into the note of that, which is written to in
 * place. */
static void
set_region_track (GstVideoRegionOfInterestMeta *meta, const Saying *saying,
    const YoloMetaObject *object, const GstVideoInfo *info, gboolean moved)
{
  GstStructure *track = (GstStructure *) saying->track;
  Note *note = (Note *) saying->note;

  if (object->object_id < 0) {
    if (track) {
      meta->params = g_list_remove (meta->params, track);
      gst_structure_free (track);
    }
  } else if (track) {
    set_track (track, object);
  } else {
    gst_video_region_of_interest_meta_add_param (meta, track_new (object));
  }
  if (note) {
    note->object_id = object->object_id;
    note->state = object->state;
  }
  if (moved && object->object_id >= 0)
    move_region (meta, (GstStructure *) saying->detection, note, object,
        GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info));
}

void
yolo_meta_set_tracks (GstBuffer *buffer, const GstVideoInfo *info, const YoloMetaObject *objects,
    guint n, gboolean moved)
{
  GstMeta *meta;
  gpointer state = NULL;
  guint i = 0;

  g_return_if_fail (gst_buffer_is_writable (buffer));

  own_notes (buffer);
  /* before the regions move: objects of GstAnalytics are found by their regions' places */
  yolo_analytics_set_tracks (buffer, info, objects, n);
  while (i < n && (meta = gst_buffer_iterate_meta_filtered (buffer, &state,
              GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *) meta;
    Saying saying;

    if (listen (buffer, region, &saying))
      set_region_track (region, &saying, &objects[i++], info, moved);
  }
}

void
yolo_meta_classify (GstBuffer *buffer, const GArray *objects, GBytes *const *classes)
{
  GByteArray *notes = NULL;
  gpointer state = NULL;
  GstMeta *meta;
  guint i = 0;

  g_return_if_fail (gst_buffer_is_writable (buffer));

  /* the objects begin with those that are regions, in their order */
  while (i < objects->len && (meta = gst_buffer_iterate_meta_filtered (buffer, &state,
              GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *) meta;
    YoloMetaRegion region;

    if (!yolo_region_of_meta (buffer, roi, &region))
      continue;
    if (classes[i] != NULL) {
      yolo_classes_add (roi, classes[i]);
      note_classes (&notes, roi->id, roi->roi_type, classes[i]);
    }
    i++;
  }
  add_notes (buffer, NULL, NULL, NULL, notes);
  for (i = 0; i < objects->len; i++) {
    const YoloMetaObject *object = &g_array_index (objects, YoloMetaObject, i);

    if (classes[i] != NULL && object->region > 0)
      yolo_analytics_classify (buffer, (gint) (object->region - 1), object->label, classes[i]);
  }
}

static gboolean
remove_object (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  Saying saying;

  if ((*meta)->info->api == GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE
      && listen (buffer, (GstVideoRegionOfInterestMeta *) * meta, &saying))
    *meta = NULL;
  return TRUE;
}

static gboolean
remove_notes (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  if ((*meta)->info == notes_info ())
    *meta = NULL;
  return TRUE;
}

void
yolo_meta_clear (GstBuffer *buffer)
{
  g_return_if_fail (gst_buffer_is_writable (buffer));

  gst_buffer_foreach_meta (buffer, remove_object, NULL);
  gst_buffer_foreach_meta (buffer, remove_notes, NULL);
  yolo_analytics_clear (buffer);
}
