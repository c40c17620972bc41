/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloflight.h"

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

void
yolo_merger_clear (YoloMerger *merger)
{
  g_clear_pointer (&merger->merged, g_array_unref);
  g_clear_pointer (&merger->candidates, g_array_unref);
  g_clear_pointer (&merger->scratch, g_array_unref);
  g_clear_pointer (&merger->seen, g_array_unref);
}

static void
make_room (YoloMerger *merger)
{
  if (merger->merged != NULL)
    return;
  merger->merged = yolo_meta_objects_new ();
  merger->candidates = g_array_new (FALSE, FALSE, sizeof (YoloObject));
  merger->scratch = g_array_new (FALSE, FALSE, sizeof (YoloObject));
  merger->seen = g_array_new (FALSE, FALSE, sizeof (YoloSighting));
}

/* Whether a border of the part runs through the object. The box of one that is cut ends where
 * the picture does, as exactly as networks say where boxes end: within a hundredth of the
 * picture, or two pixels of a small one. */
static gboolean
is_cut (const YoloPart *part, const YoloMetaObject *object)
{
  const YoloFrame *frame = &part->request.frame;
  const gfloat slack_x = MAX (frame->crop.width / 100.f, 2),
               slack_y = MAX (frame->crop.height / 100.f, 2);
  const gfloat left = object->x + part->flight->origin_x - frame->crop.x,
               top = object->y + part->flight->origin_y - frame->crop.y;

  return ((part->seams & YOLO_SEAM_LEFT) && left <= slack_x)
      || ((part->seams & YOLO_SEAM_TOP) && top <= slack_y)
      || ((part->seams & YOLO_SEAM_RIGHT) && left + object->w >= frame->crop.width - slack_x)
      || ((part->seams & YOLO_SEAM_BOTTOM) && top + object->h >= frame->crop.height - slack_y);
}

/* The box that is compared with others: that before it is turned, of a turned one. */
static YoloObject
candidate_of (const YoloMetaObject *object, const GstVideoInfo *info)
{
  const YoloShape *shape = yolo_shape_get (object->shape);
  YoloObject candidate = { .confidence = object->confidence, .class_id = object->label_id };
  gfloat box[4] = { object->x, object->y, object->w, object->h };

  if (shape != NULL && (shape->flags & YOLO_SHAPE_TURNED))
    candidate.angle = yolo_shape_upright (
        shape, GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info), box);
  candidate.x1 = box[0];
  candidate.y1 = box[1];
  candidate.x2 = box[0] + box[2];
  candidate.y2 = box[1] + box[3];
  return candidate;
}

static gboolean
has_shape (const YoloMetaObject *object, YoloShapeFlags flag)
{
  const YoloShape *shape = yolo_shape_get (object->shape);

  return shape != NULL && (shape->flags & flag);
}

/* Whether an object is for a tracker alone. Such objects are not merged: what they are taken into
 * would have another box than all see without a tracker. */
static gboolean
is_faint (const YoloFlight *flight, const YoloMetaObject *object)
{
  return flight->followed && object->confidence < flight->visible;
}

/* Appends those of the @n objects that are for a tracker alone, but for what one of the n_left
 * merged ones shows better. */
static void
append_faint (const YoloFlight *flight, const YoloMetaObject *found, guint n,
    const GstVideoInfo *info, YoloMerger *merger, gsize n_left)
{
  YoloObject *faint = (YoloObject *) (gpointer) merger->scratch->data;
  gsize n_faint = 0, i;

  for (i = 0; i < n; i++) {
    if (!is_faint (flight, &found[i]))
      continue;
    faint[n_faint] = candidate_of (&found[i], info);
    faint[n_faint++].anchor = (gint) i;
  }
  n_faint = yolo_merge_drop ((const YoloObject *) (gpointer) merger->candidates->data, n_left,
      faint, n_faint, (const YoloSighting *) (gpointer) merger->seen->data,
      g_array_index (flight->parts, YoloPart, 0).request.agnostic);
  for (i = 0; i < n_faint; i++)
    yolo_meta_objects_append (merger->merged, &found[faint[i].anchor], 1);
}

/* Appends what is left of the objects of a frame's @n parts to merger->merged. */
static void
merge_frame (YoloFlight *flight, const YoloPart *parts, guint n, const GstVideoInfo *info,
    YoloMerger *merger)
{
  const YoloRequest *request = &parts[0].request;
  const YoloMetaObject *found = (const YoloMetaObject *) flight->objects->data + parts[0].first;
  guint n_found = 0, i, k;
  YoloObject *left;
  gsize n_left;

  g_array_set_size (merger->candidates, 0);
  g_array_set_size (merger->seen, 0);
  for (i = 0; i < n; i++)
    for (k = 0; k < parts[i].n; k++) {
      const YoloMetaObject *object = &found[n_found];
      YoloObject candidate = candidate_of (object, info);
      const YoloSighting seen = { i, is_cut (&parts[i], object) };

      candidate.anchor = (gint) n_found++;
      g_array_append_val (merger->seen, seen);
      if (!is_faint (flight, object))
        g_array_append_val (merger->candidates, candidate);
    }
  if (n_found == 0 || n == 1 || has_shape (found, YOLO_SHAPE_WHOLE)) {
    yolo_meta_objects_append (merger->merged, found, n_found);
    return;
  }
  g_array_set_size (merger->scratch, n_found);
  left = (YoloObject *) (gpointer) merger->candidates->data;
  n_left = yolo_merge (left, merger->candidates->len,
      (const YoloSighting *) (gpointer) merger->seen->data,
      request->agnostic, request->max_detections,
      (YoloObject *) (gpointer) merger->scratch->data);
  for (i = 0; i < n_left; i++) {
    YoloMetaObject *object;

    yolo_meta_objects_append (merger->merged, &found[left[i].anchor], 1);
    object = &g_array_index (merger->merged, YoloMetaObject, merger->merged->len - 1);
    object->confidence = left[i].confidence;
    if (has_shape (object, YOLO_SHAPE_TURNED))  /* its corners say where it is */
      continue;
    object->x = left[i].x1;
    object->y = left[i].y1;
    object->w = left[i].x2 - left[i].x1;
    object->h = left[i].y2 - left[i].y1;
  }
  append_faint (flight, found, n_found, info, merger, n_left);
}

void
yolo_flight_merge (YoloFlight *flight, const GstVideoInfo *info, YoloMerger *merger)
{
  const YoloPart *parts = (const YoloPart *) (gpointer) flight->parts->data;
  guint n = flight->parts->len, first, next;
  gboolean merges = FALSE;
  GArray *objects;

  for (first = 0; first < n && !merges; first++)
    merges = !parts[first].last;
  if (!merges)
    return;
  make_room (merger);
  for (first = 0; first < n; first = next) {
    for (next = first + 1; !parts[next - 1].last; next++);
    merge_frame (flight, parts + first, next - first, info, merger);
  }
  objects = flight->objects;
  flight->objects = merger->merged;
  merger->merged = objects;
  g_array_set_size (objects, 0);
}
