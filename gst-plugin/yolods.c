/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolods.h"

#include "gst-plugin/yoloclass.h"

#include <dlfcn.h>
#include <math.h>
#include <string.h>

#include <gstnvdsmeta.h>

#define ENTRIES(X) \
  X (gst_buffer_get_nvds_batch_meta) X (nvds_acquire_meta_lock) X (nvds_release_meta_lock) \
  X (nvds_acquire_obj_meta_from_pool) X (nvds_add_obj_meta_to_frame) \
  X (nvds_remove_obj_meta_from_frame) \
  X (nvds_acquire_classifier_meta_from_pool) X (nvds_acquire_label_info_meta_from_pool) \
  X (nvds_add_label_info_meta_to_classifier) X (nvds_add_classifier_meta_to_object)

static struct {
#define MEMBER(name) __typeof__ (&name) name;
  ENTRIES (MEMBER)
#undef MEMBER
} lib;

/* Opened at run time, so that the plugin loads where DeepStream is not installed. */
static gboolean
open_libraries (void)
{
  void *gst = dlopen ("libnvdsgst_meta.so", RTLD_NOW | RTLD_LOCAL),
       *meta = dlopen ("libnvds_meta.so", RTLD_NOW | RTLD_LOCAL);

#define ENTRY(name) \
  *(void **) &lib.name = gst != NULL ? dlsym (gst, #name) : NULL; \
  if (lib.name == NULL && meta != NULL) \
    *(void **) &lib.name = dlsym (meta, #name); \
  if (lib.name == NULL) \
    return FALSE;
  ENTRIES (ENTRY)
#undef ENTRY
  return TRUE;
}

static const NvOSD_ColorParams red = { 1, 0, 0, 1 }, white = { 1, 1, 1, 1 }, black = { 0, 0, 0, 1 };

static void
set_rectangle (NvDsObjectMeta *meta, const YoloMetaObject *object)
{
  meta->rect_params.left = object->x;
  meta->rect_params.top = object->y;
  meta->rect_params.width = object->w;
  meta->rect_params.height = object->h;
}

/* What nvdsosd draws: a box, and the label on its upper edge. */
static void
set_look (NvDsObjectMeta *meta, const YoloMetaObject *object, const char *label)
{
  const gfloat text_height = 20;        /* pixels, of the font with its border */

  set_rectangle (meta, object);
  meta->rect_params.border_width = 3;
  meta->rect_params.border_color = red;
  /* the meta frees display_text, but not font_name */
  meta->text_params.display_text = g_strdup (label);
  meta->text_params.x_offset = (guint) MAX (object->x, 0);
  meta->text_params.y_offset = (guint) MAX (object->y - text_height, 0);
  meta->text_params.font_params.font_name = (char *) "Sans";
  meta->text_params.font_params.font_size = 11;
  meta->text_params.font_params.font_color = white;
  meta->text_params.set_bg_clr = 1;
  meta->text_params.text_bg_clr = black;
}

/* A tracker's numbers are per camera; DeepStream wants them so, too. */
static void
set_track (NvDsObjectMeta *meta, const YoloMetaObject *object)
{
  meta->object_id = UNTRACKED_OBJECT_ID;
  if (object->object_id < 0)
    return;
  meta->object_id = (guint64) object->object_id;
  meta->tracker_confidence = object->confidence;
  set_rectangle (meta, object);
  meta->tracker_bbox_info.org_bbox_coords.left = object->x;
  meta->tracker_bbox_info.org_bbox_coords.top = object->y;
  meta->tracker_bbox_info.org_bbox_coords.width = object->w;
  meta->tracker_bbox_info.org_bbox_coords.height = object->h;
}

/* @parent: or NULL */
static void
add_object (NvDsBatchMeta *batch, NvDsFrameMeta *frame, const YoloMetaObject *object,
    NvDsObjectMeta *parent, guint unique_id)
{
  NvDsObjectMeta *meta = lib.nvds_acquire_obj_meta_from_pool (batch);
  const char *label = object->label ? g_quark_to_string (object->label) : "";

  if (meta == NULL)             /* the pool is used up */
    return;
  meta->unique_component_id = (gint) unique_id;
  meta->class_id = object->label_id;
  set_track (meta, object);
  meta->confidence = object->confidence;
  meta->detector_bbox_info.org_bbox_coords.left = object->x;
  meta->detector_bbox_info.org_bbox_coords.top = object->y;
  meta->detector_bbox_info.org_bbox_coords.width = object->w;
  meta->detector_bbox_info.org_bbox_coords.height = object->h;
  g_strlcpy (meta->obj_label, label, sizeof meta->obj_label);
  set_look (meta, object, label);
  lib.nvds_add_obj_meta_to_frame (frame, meta, parent);
}

/* The buffer's metadata, or NULL. */
static NvDsBatchMeta *
find_batch (GstBuffer *buffer)
{
  static gsize opened = 0;

  if (g_once_init_enter (&opened))
    g_once_init_leave (&opened, open_libraries ()? 1 : 2);
  return opened == 1 ? lib.gst_buffer_get_nvds_batch_meta (buffer) : NULL;
}

static gboolean
is_in (const NvDsFrameMeta *frame, const YoloMetaObject *object)
{
  return (object->slot > 0 ? object->slot - 1 : 0) == frame->batch_id;
}

/* Whether an object of the frame is @object. Other elements may have rounded the box. */
static gboolean
is_same (const NvDsFrameMeta *frame, const NvDsObjectMeta *meta, const YoloMetaObject *object)
{
  const NvBbox_Coords *box = &meta->detector_bbox_info.org_bbox_coords;

  return is_in (frame, object) && meta->class_id == object->label_id
      && fabsf (box->left - object->x) <= 1 && fabsf (box->top - object->y) <= 1
      && fabsf (box->width - object->w) <= 1 && fabsf (box->height - object->h) <= 1;
}

/* Number of a track as YoloMetaObject has it; -1: there is none. */
static gint
track_of (const NvDsObjectMeta *meta)
{
  return meta->object_id != UNTRACKED_OBJECT_ID ? (gint) (meta->object_id & G_MAXINT) : -1;
}

/* The frame's metadata of an object that was read from the buffer, or NULL. A tracker may have
 * moved its box, but has given it a number. */
static NvDsObjectMeta *
find_object (const NvDsFrameMeta *frame, const YoloMetaObject *object)
{
  for (GList *o = is_in (frame, object) ? frame->obj_meta_list : NULL; o != NULL; o = o->next) {
    NvDsObjectMeta *meta = o->data;

    if (is_same (frame, meta, object)
        || (object->object_id >= 0 && track_of (meta) == object->object_id
            && meta->class_id == object->label_id))
      return meta;
  }
  return NULL;
}

/* The frame's metadata of the object that another one was found in, or NULL. */
static NvDsObjectMeta *
find_parent (const NvDsFrameMeta *frame, const YoloMetaObject *object, const GArray *parents)
{
  for (guint i = 0; object->parent > 0 && parents != NULL && i < parents->len; i++) {
    const YoloMetaObject *parent = &g_array_index (parents, YoloMetaObject, i);

    if (parent->region == object->parent)
      return find_object (frame, parent);
  }
  return NULL;
}

gboolean
yolo_ds_add (GstBuffer *buffer, const YoloMetaObject *objects, guint n, const GArray *parents,
    guint unique_id, gboolean inferred)
{
  NvDsBatchMeta *batch = find_batch (buffer);
  /* Found before any is added, for one that is added may look like a parent. Allocated for frames
   * with objects that are inside of others. */
  g_autofree NvDsObjectMeta **found = NULL;
  guint i;

  if (batch == NULL)
    return FALSE;

  if (parents != NULL && parents->len > 0)
    found = g_new (NvDsObjectMeta *, n);
  lib.nvds_acquire_meta_lock (batch);
  for (GList *l = batch->frame_meta_list; l != NULL; l = l->next) {
    NvDsFrameMeta *frame = l->data;

    for (i = 0; found != NULL && i < n; i++)
      found[i] = is_in (frame, &objects[i]) ? find_parent (frame, &objects[i], parents) : NULL;
    for (i = 0; i < n; i++)
      if (is_in (frame, &objects[i]))
        add_object (batch, frame, &objects[i], found != NULL ? found[i] : NULL, unique_id);
    if (inferred)
      frame->bInferDone = 1;
  }
  lib.nvds_release_meta_lock (batch);
  return TRUE;
}

guint
yolo_ds_frames (GstBuffer *buffer, YoloDsFrame *frames, guint max)
{
  NvDsBatchMeta *batch = find_batch (buffer);
  guint n = 0;

  if (batch == NULL)
    return 0;
  lib.nvds_acquire_meta_lock (batch);
  for (GList *l = batch->frame_meta_list; l != NULL && n < max; l = l->next) {
    const NvDsFrameMeta *frame = l->data;

    frames[n++] = (YoloDsFrame) {
      .slot = frame->batch_id + 1, .source = frame->pad_index, .pts = frame->buf_pts,
    };
  }
  lib.nvds_release_meta_lock (batch);
  if (n == 1)                   /* the buffer is one frame */
    frames[0].slot = 0;
  return n;
}

void
yolo_ds_read_tracks (GstBuffer *buffer, YoloMetaObject *objects, guint n)
{
  NvDsBatchMeta *batch = find_batch (buffer);

  if (batch == NULL)
    return;
  lib.nvds_acquire_meta_lock (batch);
  for (GList *f = batch->frame_meta_list; f != NULL; f = f->next) {
    const NvDsFrameMeta *frame = f->data;

    for (GList *o = frame->obj_meta_list; o != NULL; o = o->next) {
      const NvDsObjectMeta *meta = o->data;

      for (guint i = 0; i < n && track_of (meta) >= 0; i++)
        if (objects[i].object_id < 0 && is_same (frame, meta, &objects[i])) {
          objects[i].object_id = track_of (meta);
          break;
        }
    }
  }
  lib.nvds_release_meta_lock (batch);
}

void
yolo_ds_track (GstBuffer *buffer, const YoloMetaObject *found, const YoloMetaObject *tracked,
    guint n)
{
  NvDsBatchMeta *batch = find_batch (buffer);

  if (batch == NULL)
    return;
  lib.nvds_acquire_meta_lock (batch);
  for (GList *f = batch->frame_meta_list; f != NULL; f = f->next) {
    const NvDsFrameMeta *frame = f->data;

    for (GList *o = frame->obj_meta_list; o != NULL; o = o->next)
      for (guint i = 0; i < n; i++)
        if (is_same (frame, o->data, &found[i])) {
          set_track (o->data, &tracked[i]);
          break;
        }
  }
  lib.nvds_release_meta_lock (batch);
}

/* Objects inside of one that goes have no parent any more. */
static void
remove_object (NvDsFrameMeta *frame, NvDsObjectMeta *meta)
{
  for (GList *o = frame->obj_meta_list; o != NULL; o = o->next) {
    NvDsObjectMeta *inner = o->data;

    if (inner->parent == meta)
      inner->parent = NULL;
  }
  lib.nvds_remove_obj_meta_from_frame (frame, meta);
}

void
yolo_ds_remove (GstBuffer *buffer, const YoloMetaObject *objects, guint n)
{
  NvDsBatchMeta *batch = find_batch (buffer);

  if (batch == NULL)
    return;
  lib.nvds_acquire_meta_lock (batch);
  for (GList *f = batch->frame_meta_list; f != NULL; f = f->next) {
    NvDsFrameMeta *frame = f->data;

    for (GList *o = frame->obj_meta_list, *next; o != NULL; o = next) {
      gboolean same = FALSE;

      next = o->next;
      for (guint i = 0; i < n && !same; i++)
        same = is_same (frame, o->data, &objects[i]);
      if (same)
        remove_object (frame, o->data);
    }
  }
  lib.nvds_release_meta_lock (batch);
}

/* Adds a classification to an object, and its label to what nvdsosd writes, as DeepStream's
 * nvinfer does (gstnvinfer_meta_utils.cpp, attach_metadata_classifier()). */
static void
add_class (NvDsBatchMeta *batch, NvDsObjectMeta *object, const YoloClass *class)
{
  NvDsClassifierMeta *meta = lib.nvds_acquire_classifier_meta_from_pool (batch);
  const char *label = class->label ? g_quark_to_string (class->label) : "";
  NvDsLabelInfo *info;
  gchar *text;

  if (meta == NULL)             /* the pool is used up */
    return;
  meta->unique_component_id = class->model_id;
  /* not freed by the meta; strings of quarks stay for ever */
  meta->classifier_type = class->model ? g_quark_to_string (class->model) : "";
  info = lib.nvds_acquire_label_info_meta_from_pool (batch);
  if (info != NULL) {
    info->result_class_id = (guint) MAX (class->label_id, 0);
    info->label_id = 0;         /* the first output of the network, which has one */
    info->result_prob = MAX (class->confidence, 0);
    g_strlcpy (info->result_label, label, sizeof info->result_label);
    lib.nvds_add_label_info_meta_to_classifier (meta, info);
  }
  lib.nvds_add_classifier_meta_to_object (object, meta);

  text = object->text_params.display_text;
  object->text_params.display_text = text ? g_strconcat (text, " ", label, NULL) : g_strdup (label);
  g_free (text);
}

void
yolo_ds_classify (GstBuffer *buffer, const GArray *objects, GBytes *const *classes)
{
  NvDsBatchMeta *batch = find_batch (buffer);

  if (batch == NULL)
    return;
  lib.nvds_acquire_meta_lock (batch);
  for (GList *f = batch->frame_meta_list; f != NULL; f = f->next)
    for (guint i = 0; i < objects->len; i++) {
      guint n;
      const YoloClass *class = yolo_classes_get (classes[i], &n);
      NvDsObjectMeta *meta =
          n > 0 ? find_object (f->data, &g_array_index (objects, YoloMetaObject, i)) : NULL;

      for (guint k = 0; meta != NULL && k < n; k++)
        add_class (batch, meta, &class[k]);
    }
  lib.nvds_release_meta_lock (batch);
}
