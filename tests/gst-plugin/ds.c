/* SPDX-License-Identifier: MIT */
/* DeepStream's object metadata, on a stand-in for its libraries. */

#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolods.h"

#include <gstnvdsmeta.h>
#include <string.h>

static void
free_classifier (gpointer data)
{
  NvDsClassifierMeta *classifier = data;

  g_list_free_full (classifier->label_info_list, g_free);
  g_free (classifier);
}

static void
free_object (gpointer data)
{
  NvDsObjectMeta *object = data;

  g_list_free_full (object->classifier_meta_list, free_classifier);
  g_free (object->text_params.display_text);
  g_free (object);
}

static void
test_batch (void)
{
  NvDsFrameMeta frames[3] = { { .batch_id = 2 }, { .batch_id = 0 }, { .batch_id = 1 } };
  NvDsBatchMeta batch = { .pool = 3 };
  g_autofree gchar *long_label = g_strnfill (300, 'x');
  const YoloMetaObject objects[] = {
    { 1, 2, 3, 4, .5, 7, g_quark_from_static_string ("cat"), -1, 1, NULL, 0, 0, NULL, 0 },
    { 5, 6, 7, 8, .6, 8, g_quark_from_string (long_label), -1, 3, NULL, 0, 0, NULL, 0 },
    { 9, 10, 11, 12, .7, 9, 0, 5, 1, NULL, 0, 0, NULL, 0 },
    { 13, 14, 15, 16, .8, 1, 0, -1, 2, NULL, 0, 0, NULL, 0 },        /* the pool is empty then */
  };
  GstBuffer *buffer = gst_buffer_new ();
  const NvDsObjectMeta *object;

  g_assert_false (yolo_ds_add (buffer, objects, G_N_ELEMENTS (objects), NULL, 4, TRUE));
  for (guint i = 0; i < 3; i++)
    batch.frame_meta_list = g_list_append (batch.frame_meta_list, &frames[i]);
  gst_mini_object_set_qdata (
      GST_MINI_OBJECT (buffer), g_quark_from_static_string ("batch"), &batch, NULL);
  /* no object was repeated, but the metadata are there */
  g_assert_true (yolo_ds_add (buffer, objects, 0, NULL, 4, FALSE));
  g_assert_false (frames[0].bInferDone);
  g_assert_true (yolo_ds_add (buffer, objects, G_N_ELEMENTS (objects), NULL, 4, TRUE));
  g_assert_false (batch.locked);

  g_assert_cmpuint (g_list_length (frames[1].obj_meta_list), ==, 2);    /* batch_id 0 */
  g_assert_cmpuint (g_list_length (frames[0].obj_meta_list), ==, 1);    /* batch_id 2 */
  g_assert_cmpuint (g_list_length (frames[2].obj_meta_list), ==, 0);
  object = frames[1].obj_meta_list->data;
  g_assert_cmpint (object->unique_component_id, ==, 4);
  g_assert_cmpint (object->class_id, ==, 7);
  g_assert_true (object->object_id == UNTRACKED_OBJECT_ID);
  g_assert_cmpfloat (object->confidence, ==, .5f);
  g_assert_cmpfloat (object->rect_params.left, ==, 1);
  g_assert_cmpfloat (object->rect_params.height, ==, 4);
  g_assert_cmpfloat (object->detector_bbox_info.org_bbox_coords.top, ==, 2);
  g_assert_cmpfloat (object->detector_bbox_info.org_bbox_coords.width, ==, 3);
  g_assert_cmpstr (object->obj_label, ==, "cat");
  g_assert_cmpstr (object->text_params.display_text, ==, "cat");
  g_assert_cmpuint (object->text_params.x_offset, ==, 1);
  g_assert_cmpuint (object->text_params.y_offset, ==, 0);       /* there is no room above */
  g_assert_nonnull (object->text_params.font_params.font_name);
  g_assert_cmpuint (object->text_params.font_params.font_size, >, 0);
  object = frames[0].obj_meta_list->data;
  g_assert_cmpuint (strlen (object->obj_label), ==, 127);
  for (guint i = 0; i < 3; i++) {
    g_assert_true (frames[i].bInferDone);
    g_list_free_full (frames[i].obj_meta_list, free_object);
  }
  g_list_free (batch.frame_meta_list);
  gst_buffer_unref (buffer);
}

/* A tracker's numbers, on objects whoever found them, and on those that it adds. */
static void
test_tracks (void)
{
  NvDsFrameMeta frames[2] = {
    { .batch_id = 1, .pad_index = 4, .buf_pts = 70 }, { .batch_id = 0, .pad_index = 9 }
  };
  NvDsBatchMeta batch = { .pool = 4 };
  const YoloMetaObject objects[] = {
    { 1, 2, 3, 4, .5, 7, 0, -1, 1, NULL, 0, 0, NULL, 0 },
    { 1, 2, 3, 4, .5, 7, 0, -1, 2, NULL, 0, 0, NULL, 0 },
    { 5, 6, 7, 8, .6, 7, 0, -1, 2, NULL, 0, 0, NULL, 0 },
  };
  YoloMetaObject tracked[3];
  const YoloMetaObject added = { .x = 50, .y = 60, .w = 7, .h = 8, .confidence = .6f, .label_id = 7,
    .object_id = 12, .slot = 2, .state = YOLO_META_PREDICTED };
  GstBuffer *buffer = gst_buffer_new ();
  YoloDsFrame found[3];
  const NvDsObjectMeta *object;

  g_assert_cmpuint (yolo_ds_frames (buffer, found, 3), ==, 0);
  for (guint i = 0; i < 2; i++)
    batch.frame_meta_list = g_list_append (batch.frame_meta_list, &frames[i]);
  gst_mini_object_set_qdata (
      GST_MINI_OBJECT (buffer), g_quark_from_static_string ("batch"), &batch, NULL);
  g_assert_cmpuint (yolo_ds_frames (buffer, found, 3), ==, 2);
  g_assert_cmpuint (found[0].slot, ==, 2);
  g_assert_cmpuint (found[0].source, ==, 4);
  g_assert_cmpuint (found[0].pts, ==, 70);
  g_assert_cmpuint (found[1].slot, ==, 1);
  g_assert_cmpuint (found[1].source, ==, 9);
  g_assert_cmpuint (yolo_ds_frames (buffer, found, 1), ==, 1);

  g_assert_true (yolo_ds_add (buffer, objects, 3, NULL, 4, TRUE));
  memcpy (tracked, objects, sizeof tracked);
  tracked[0].object_id = 1;
  tracked[0].x = 21;
  tracked[1].object_id = 2;
  yolo_ds_track (buffer, objects, tracked, 3);
  g_assert_false (batch.locked);
  g_assert_true (yolo_ds_add (buffer, &added, 1, NULL, 4, FALSE));
  object = frames[1].obj_meta_list->data;
  g_assert_cmpuint (object->object_id, ==, 1);
  g_assert_cmpfloat (object->tracker_bbox_info.org_bbox_coords.left, ==, 21);
  g_assert_cmpfloat (object->tracker_bbox_info.org_bbox_coords.height, ==, 4);
  g_assert_cmpfloat (object->rect_params.left, ==, 21);
  g_assert_cmpfloat (object->detector_bbox_info.org_bbox_coords.left, ==, 1);
  g_assert_cmpfloat (object->tracker_confidence, ==, .5f);
  object = frames[0].obj_meta_list->data;
  g_assert_cmpuint (object->object_id, ==, 2);
  object = frames[0].obj_meta_list->next->data;
  g_assert_true (object->object_id == UNTRACKED_OBJECT_ID);
  object = frames[0].obj_meta_list->next->next->data;
  g_assert_cmpuint (object->object_id, ==, 12);
  /* read back, as those of another tracker are; numbers that are there stay */
  memcpy (tracked, objects, sizeof tracked);
  tracked[1].object_id = 77;
  ((NvDsObjectMeta *) frames[1].obj_meta_list->data)->object_id = G_GUINT64_CONSTANT (0x500000003);
  yolo_ds_read_tracks (buffer, tracked, 3);
  g_assert_false (batch.locked);
  g_assert_cmpint (tracked[0].object_id, ==, 3);
  g_assert_cmpint (tracked[1].object_id, ==, 77);
  g_assert_cmpint (tracked[2].object_id, ==, -1);
  for (guint i = 0; i < 2; i++)
    g_list_free_full (frames[i].obj_meta_list, free_object);
  g_list_free (batch.frame_meta_list);
  gst_buffer_unref (buffer);
}

/* A buffer of one frame, and @batch on it. */
static GstBuffer *
buffer_of (NvDsBatchMeta *batch, NvDsFrameMeta *frames, guint n)
{
  GstBuffer *buffer = gst_buffer_new ();

  for (guint i = 0; i < n; i++)
    batch->frame_meta_list = g_list_append (batch->frame_meta_list, &frames[i]);
  gst_mini_object_set_qdata (
      GST_MINI_OBJECT (buffer), g_quark_from_static_string ("batch"), batch, NULL);
  return buffer;
}

static void
free_batch (GstBuffer *buffer, NvDsBatchMeta *batch)
{
  for (GList *l = batch->frame_meta_list; l != NULL; l = l->next)
    g_list_free_full (((NvDsFrameMeta *) l->data)->obj_meta_list, free_object);
  g_list_free (batch->frame_meta_list);
  gst_buffer_unref (buffer);
}

static const NvDsObjectMeta *
object_of (const NvDsFrameMeta *frame, guint i)
{
  return g_list_nth_data (frame->obj_meta_list, i);
}

static const NvDsObjectMeta *
parent_of (const NvDsFrameMeta *frame, guint i)
{
  return object_of (frame, i)->parent;
}

/* What is inside of an object knows that, in its own frame, also where the parent has been moved by
 * a tracker, or looks like what is inside. */
static void
test_parents (void)
{
  NvDsFrameMeta frames[2] = { { .batch_id = 0, .prepends = TRUE }, { .batch_id = 1 } };
  NvDsBatchMeta batch = { .pool = 9 };
  GstBuffer *buffer = buffer_of (&batch, frames, 2);
  YoloMetaObject cars[3] = {
    { .x = 10, .y = 20, .w = 30, .h = 40, .confidence = .5, .object_id = -1, .slot = 1,
      .region = 1 },
    { .x = 10, .y = 20, .w = 30, .h = 40, .confidence = .5, .object_id = 8, .slot = 2,
      .region = 2 },
    { .x = 50, .y = 20, .w = 30, .h = 40, .confidence = .5, .object_id = -1, .slot = 1,
      .region = 3 },
  };
  const YoloMetaObject plates[5] = {
    { .x = 50, .y = 20, .w = 30, .h = 40, .object_id = -1, .slot = 1, .parent = 3 },
    { .x = 15, .y = 25, .w = 5, .h = 5, .object_id = -1, .slot = 2, .parent = 2 },
    { .x = 15, .y = 25, .w = 5, .h = 5, .object_id = -1, .slot = 1 },
    { .x = 15, .y = 25, .w = 5, .h = 5, .object_id = -1, .slot = 1, .parent = 9 },
    { .x = 55, .y = 25, .w = 5, .h = 5, .object_id = -1, .slot = 1, .parent = 3 },
  };
  g_autoptr (GArray) parents = yolo_meta_objects_new ();

  g_assert_true (yolo_ds_add (buffer, cars, 3, NULL, 4, TRUE));
  cars[1].x += 7;               /* a tracker did that */
  yolo_meta_objects_append (parents, cars, 3);
  g_assert_true (yolo_ds_add (buffer, plates, 5, parents, 5, TRUE));
  g_assert_false (batch.locked);

  /* the second frame in order, the first one the other way round */
  g_assert_cmpuint (g_list_length (frames[0].obj_meta_list), ==, 6);
  g_assert_true (parent_of (&frames[0], 0) == object_of (&frames[0], 4));
  g_assert_null (parent_of (&frames[0], 1));
  g_assert_null (parent_of (&frames[0], 2));
  g_assert_true (parent_of (&frames[0], 3) == object_of (&frames[0], 4));
  g_assert_null (parent_of (&frames[0], 4));
  g_assert_null (parent_of (&frames[0], 5));
  g_assert_cmpuint (g_list_length (frames[1].obj_meta_list), ==, 2);
  g_assert_null (parent_of (&frames[1], 0));
  g_assert_true (parent_of (&frames[1], 1) == object_of (&frames[1], 0));
  free_batch (buffer, &batch);
}

/* What is taken off is what was found in that frame, and nobody keeps it as a parent. */
static void
test_remove (void)
{
  NvDsFrameMeta frames[2] = { { .batch_id = 0 }, { .batch_id = 1 } };
  NvDsBatchMeta batch = { .pool = 9 };
  GstBuffer *buffer = buffer_of (&batch, frames, 2), *plain = gst_buffer_new ();
  const YoloMetaObject cars[3] = {
    { .x = 10, .y = 20, .w = 30, .h = 40, .object_id = -1, .slot = 1, .region = 1 },
    { .x = 90, .y = 20, .w = 30, .h = 40, .object_id = -1, .slot = 1, .region = 2 },
    { .x = 10, .y = 20, .w = 30, .h = 40, .object_id = -1, .slot = 2, .region = 3 },
  };
  const YoloMetaObject plates[2] = {
    { .x = 15, .y = 25, .w = 5, .h = 5, .object_id = -1, .slot = 1, .parent = 1 },
    { .x = 95, .y = 25, .w = 5, .h = 5, .object_id = -1, .slot = 1, .parent = 2 },
  };
  g_autoptr (GArray) parents = yolo_meta_objects_new ();

  yolo_ds_remove (plain, cars, 1);      /* there is nothing to take off */
  yolo_meta_objects_append (parents, cars, 3);
  g_assert_true (yolo_ds_add (buffer, cars, 3, NULL, 4, TRUE));
  g_assert_true (yolo_ds_add (buffer, plates, 2, parents, 5, TRUE));
  yolo_ds_remove (buffer, cars, 1);
  g_assert_false (batch.locked);
  g_assert_cmpuint (g_list_length (frames[0].obj_meta_list), ==, 3);
  g_assert_cmpfloat (object_of (&frames[0], 0)->rect_params.left, ==, 90);
  g_assert_null (parent_of (&frames[0], 1));
  g_assert_true (parent_of (&frames[0], 2) == object_of (&frames[0], 0));
  g_assert_cmpuint (g_list_length (frames[1].obj_meta_list), ==, 1);
  gst_buffer_unref (plain);
  free_batch (buffer, &batch);
}

static GBytes *
classes_new (const YoloClass *classes, guint n)
{
  return g_bytes_new (classes, n * sizeof *classes);
}

/* What networks say of objects, as long as there are structures for it. */
static void
test_classes (void)
{
  const YoloClass red = { g_quark_from_static_string ("red"), 3, .75, 6,
    g_quark_from_static_string ("colours") }, van = { g_quark_from_static_string ("van"), 1, -1, 7,
    0 };
  NvDsFrameMeta frames[2] = { { .batch_id = 0 }, { .batch_id = 1 } };
  NvDsBatchMeta batch = { .pool = 9, .classifier_pool = 5 };
  GstBuffer *buffer = buffer_of (&batch, frames, 2), *plain = gst_buffer_new ();
  const YoloMetaObject cars[3] = {
    { .x = 10, .y = 20, .w = 30, .h = 40, .object_id = 8, .slot = 1,
      .label = g_quark_from_static_string ("car") },
    { .x = 10, .y = 20, .w = 30, .h = 40, .object_id = -1, .slot = 2 },
    { .x = 50, .y = 20, .w = 30, .h = 40, .object_id = 8, .slot = 2 },  /* of another stream */
  };
  g_autoptr (GArray) objects = yolo_meta_objects_new ();
  g_autoptr (GBytes) both = classes_new ((YoloClass[]) { red, van }, 2);
  g_autoptr (GBytes) one = classes_new (&red, 1);
  GBytes *classes[3] = { both, NULL, one };
  const NvDsObjectMeta *object;
  const NvDsClassifierMeta *meta;
  const NvDsLabelInfo *label;

  yolo_meta_objects_append (objects, cars, 3);
  yolo_ds_classify (plain, objects, classes);   /* there is nothing to add to */
  g_assert_true (yolo_ds_add (buffer, cars, 3, NULL, 4, TRUE));
  yolo_ds_classify (buffer, objects, classes);
  g_assert_false (batch.locked);

  object = frames[0].obj_meta_list->data;
  g_assert_cmpuint (g_list_length (object->classifier_meta_list), ==, 2);
  meta = object->classifier_meta_list->data;
  g_assert_cmpint (meta->unique_component_id, ==, 6);
  g_assert_cmpstr (meta->classifier_type, ==, "colours");
  g_assert_cmpuint (meta->num_labels, ==, 1);
  label = meta->label_info_list->data;
  g_assert_cmpstr (label->result_label, ==, "red");
  g_assert_cmpuint (label->result_class_id, ==, 3);
  g_assert_cmpuint (label->label_id, ==, 0);
  g_assert_cmpfloat (label->result_prob, ==, .75f);
  meta = object->classifier_meta_list->next->data;
  g_assert_cmpint (meta->unique_component_id, ==, 7);
  label = meta->label_info_list->data;
  g_assert_cmpstr (label->result_label, ==, "van");
  g_assert_cmpfloat (label->result_prob, ==, 0);
  g_assert_cmpstr (object->text_params.display_text, ==, "car red van");

  object = frames[1].obj_meta_list->data;
  g_assert_null (object->classifier_meta_list);
  /* the last of the pool: a classifier without a label */
  object = frames[1].obj_meta_list->next->data;
  g_assert_cmpuint (g_list_length (object->classifier_meta_list), ==, 1);
  meta = object->classifier_meta_list->data;
  g_assert_null (meta->label_info_list);
  yolo_ds_classify (buffer, objects, classes);  /* and nothing is left */
  g_assert_cmpuint (g_list_length (object->classifier_meta_list), ==, 1);
  gst_buffer_unref (plain);
  free_batch (buffer, &batch);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gst-plugin/ds/batch", test_batch);
  g_test_add_func ("/gst-plugin/ds/tracks", test_tracks);
  g_test_add_func ("/gst-plugin/ds/parents", test_parents);
  g_test_add_func ("/gst-plugin/ds/remove", test_remove);
  g_test_add_func ("/gst-plugin/ds/classes", test_classes);
  return g_test_run ();
}
