/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolocrops.h"

#include "base/text.h"
#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolods.h"
#include "gst-plugin/yoloshape.h"

#include <math.h>

static void
free_said (gpointer bytes)
{
  if (bytes != NULL)
    g_bytes_unref (bytes);
}

void
yolo_crops_init (YoloCrops *crops)
{
  *crops = (YoloCrops) {
    .asked = yolo_tracks_new (), .known = yolo_tracks_new (),
    .said = g_ptr_array_new_with_free_func (free_said),
    .inside = yolo_meta_objects_new (),
  };
}

void
yolo_crops_clear (YoloCrops *crops)
{
  g_clear_pointer (&crops->asked, yolo_tracks_free);
  g_clear_pointer (&crops->known, yolo_tracks_free);
  g_clear_pointer (&crops->said, g_ptr_array_unref);
  g_clear_pointer (&crops->inside, g_array_unref);
}

void
yolo_crops_reset (YoloCrops *crops)
{
  yolo_tracks_clear (crops->asked);
  yolo_tracks_clear (crops->known);
  crops->n_frames = 0;
}

void
yolo_crops_set_classes (GstElement *element, YoloSettings *settings, const gchar *string)
{
  g_autoptr (GArray) labels = NULL;
  g_autoptr (GError) error = NULL;
  gboolean parsed;

  parsed = yolo_settings_parse_labels (string, &labels, &error);
  GST_OBJECT_LOCK (element);
  if (!settings->started || parsed) {
    g_free (settings->object_class);
    settings->object_class = g_strdup (string);
    g_clear_pointer (&settings->live.object_labels, g_array_unref);
    settings->live.object_labels = g_steal_pointer (&labels);
    parsed = TRUE;
  }
  GST_OBJECT_UNLOCK (element);
  if (!parsed) {
    g_autofree gchar *text = yolo_text_printable (error->message, YOLO_TEXT_MAX_MESSAGE);

    GST_ELEMENT_WARNING (
        element, LIBRARY, SETTINGS, ("%s", text), ("object-class stays as it was"));
  }
}

void
yolo_crops_begin (YoloCrops *crops, YoloFlight *flight, const GstVideoInfo *info)
{
  flight->number = crops->n_frames++;
  if (flight->inferred)
    yolo_meta_read (flight->buffer, info, flight->given);
}

static gboolean
is_of_class (const GArray *labels, GQuark label)
{
  guint i;

  for (i = 0; labels != NULL && i < labels->len; i++)
    if (g_array_index (labels, GQuark, i) == label)
      return TRUE;
  return labels == NULL;
}

static gboolean
is_in_area (const GArray *areas, const YoloMetaObject *object)
{
  const gdouble x = object->x + object->w / 2., y = object->y + object->h / 2.;
  guint i;

  for (i = 0; areas != NULL && i < areas->len; i++) {
    const YoloArea *area = &g_array_index (areas, YoloArea, i);

    if (x >= area->box.x && x < (gdouble) area->box.x + area->box.width && y >= area->box.y
        && y < (gdouble) area->box.y + area->box.height && yolo_area_contains (area, x, y))
      return TRUE;
  }
  return areas == NULL;
}

gboolean
yolo_crops_wants (const YoloLiveSettings *settings, const YoloMetaObject *object)
{
  const YoloShape *shape = yolo_shape_get (object->shape);

  return !(shape != NULL && (shape->flags & YOLO_SHAPE_WHOLE))
      && is_of_class (settings->object_labels, object->label)
      /* NaN is not */
      && object->w > 0 && object->h > 0 && object->w >= settings->object_min_size
      && object->h >= settings->object_min_size && is_in_area (settings->areas, object);
}

gboolean
yolo_crops_is_due (YoloCrops *crops, const YoloFlight *flight, const YoloLiveSettings *settings,
    const YoloMetaObject *object)
{
  return yolo_tracks_is_due (crops->asked, object, flight->number, settings->reclassify_interval);
}

/* Moves a range of @length into one of @size that begins at @start, or makes it that range if it
 * is longer. */
static void
fit (gdouble *first, gdouble *length, gint start, gint size)
{
  *length = MIN (*length, size);
  *first = CLAMP (*first, start, start + size - *length);
}

/* Of a network that classifies, the input shows the middle of what it is given, without borders:
 * so that all of the object is seen, the region has the input's shape, with what is around the
 * object, and lies in the frame. */
static void
widen (gdouble box[4], const YoloLoad *load, const YoloRegion *visible)
{
  const gdouble aspect = (gdouble) load->net_width / load->net_height;
  const gdouble width = MAX (box[2], box[3] * aspect), height = MAX (box[3], box[2] / aspect);

  box[0] -= (width - box[2]) / 2;
  box[1] -= (height - box[3]) / 2;
  box[2] = width;
  box[3] = height;
  fit (&box[0], &box[2], visible->x, visible->width);
  fit (&box[1], &box[3], visible->y, visible->height);
}

gboolean
yolo_crops_region (const YoloMetaObject *object, const YoloFlight *flight,
    const YoloLiveSettings *settings, const YoloLoad *load, const YoloRegion *visible,
    YoloRegion *region)
{
  const gdouble padding = settings->object_padding;
  const gdouble x = (gdouble) object->x + flight->origin_x,
      y = (gdouble) object->y + flight->origin_y;
  gdouble right = visible->x + visible->width, bottom = visible->y + visible->height;
  gdouble box[4] = {
    x - padding * object->w, y - padding * object->h,
    object->w * (1 + 2 * padding), object->h * (1 + 2 * padding),
  };

  if (!(x + object->w > visible->x && y + object->h > visible->y && x < right && y < bottom))
    return FALSE;
  if (g_strcmp0 (load->model->task, "classify") == 0 && !load->auto_size)
    widen (box, load, visible);
  right = MIN (ceil (box[0] + box[2]), right);
  bottom = MIN (ceil (box[1] + box[3]), bottom);
  region->x = (gint) MAX (floor (box[0]), visible->x);
  region->y = (gint) MAX (floor (box[1]), visible->y);
  region->width = (gint) right - region->x;
  region->height = (gint) bottom - region->y;
  return region->width > 0 && region->height > 0;
}

/* What the network says of each object that it has looked at as a whole, its best class. */
static void
collect_classes (YoloCrops *crops, YoloFlight *flight, GQuark model, guint unique_id)
{
  guint i;

  for (i = 0; i < flight->parts->len; i++) {
    const YoloPart *part = &g_array_index (flight->parts, YoloPart, i);
    const YoloMetaObject *best;
    YoloClass class;
    GBytes *bytes;

    if (part->n == 0 || part->first >= flight->objects->len)
      continue;
    best = &g_array_index (flight->objects, YoloMetaObject, part->first);
    class = (YoloClass) {
      .label = best->label, .label_id = best->label_id, .confidence = best->confidence,
      .model_id = (gint) unique_id, .model = model,
    };
    /* the metadata own what they say: two allocations an object */
    bytes = g_bytes_new (&class, sizeof class);
    yolo_tracks_learn (crops->known,
        &g_array_index (flight->given, YoloMetaObject, part->object), flight->number, bytes);
    crops->said->pdata[part->object] = bytes;
  }
}

/* What was found inside of one object, in crops->inside. */
static void
collect_inside (YoloCrops *crops, const YoloFlight *flight, guint parent)
{
  guint i;

  g_array_set_size (crops->inside, 0);
  for (i = 0; i < flight->objects->len; i++) {
    const YoloMetaObject *object = &g_array_index (flight->objects, YoloMetaObject, i);

    if (object->parent == parent)
      yolo_meta_objects_append (crops->inside, object, 1);
  }
}

/* Whether the network has looked at an object of the flight. */
static gboolean
was_asked (const YoloFlight *flight, guint object)
{
  guint i;

  for (i = 0; i < flight->parts->len; i++)
    if (g_array_index (flight->parts, YoloPart, i).object == object)
      return TRUE;
  return FALSE;
}

void
yolo_crops_complete (YoloCrops *crops, YoloFlight *flight, const GstVideoInfo *info)
{
  guint i;

  if (!flight->inferred && yolo_tracks_count (crops->known) > 0)
    yolo_meta_read (flight->buffer, info, flight->given);
  if (flight->classifies)
    return;
  for (i = 0; i < flight->given->len; i++) {
    const YoloMetaObject *object = &g_array_index (flight->given, YoloMetaObject, i);

    if (object->object_id < 0)
      continue;
    if (was_asked (flight, i)) {
      collect_inside (crops, flight, object->region);
      yolo_tracks_learn_inside (crops->known, object, flight->number,
          (const YoloMetaObject *) crops->inside->data, crops->inside->len);
    } else {
      yolo_tracks_recall_inside (crops->known, object, flight->number, info, flight->objects);
    }
  }
}

GstBuffer *
yolo_crops_attach (YoloCrops *crops, YoloFlight *flight, GstBuffer *buffer, GQuark model,
    guint unique_id, gboolean nvmm)
{
  guint i, n = 0;

  g_ptr_array_set_size (crops->said, 0);
  g_ptr_array_set_size (crops->said, (gint) flight->given->len);
  if (flight->classifies)
    collect_classes (crops, flight, model, unique_id);
  for (i = 0; i < flight->given->len; i++) {
    const YoloMetaObject *object = &g_array_index (flight->given, YoloMetaObject, i);
    GBytes *known = yolo_tracks_recall (crops->known, object, flight->number);

    if (crops->said->pdata[i] == NULL && known != NULL)
      crops->said->pdata[i] = g_bytes_ref (known);
    n += crops->said->pdata[i] != NULL;
  }
  if (n > 0) {
    buffer = gst_buffer_make_writable (buffer);
    yolo_meta_classify (buffer, flight->given, (GBytes *const *) crops->said->pdata);
    if (nvmm)
      yolo_ds_classify (buffer, flight->given, (GBytes *const *) crops->said->pdata);
  }
  return buffer;
}
