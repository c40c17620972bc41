/* SPDX-License-Identifier: MIT */
/* yolotrack on DeepStream's surfaces, on a stand-in for DeepStream's libraries. */

#include "gst-plugin/gstyoloinfer.h"
#include "gst-plugin/gstyolotrack.h"
#include "gst-plugin/yolods.h"
#include "gst-plugin/yolofollow.h"

#include <gst/check/gstharness.h>
#include <gstnvdsmeta.h>

#define FRAME (GST_SECOND / 25)
#define CAPS "video/x-raw(memory:NVMM), format=NV12, width=640, height=480, framerate=25/1"

/* yolowatch.c asks whether an element upstream is one, and there is none. */
GType
gst_yolo_infer_get_type (void)
{
  return G_TYPE_NONE;
}

static void
free_object (gpointer data)
{
  NvDsObjectMeta *object = data;

  g_free (object->text_params.display_text);
  g_free (object);
}

static YoloMetaObject
person_at (gfloat x)
{
  return (YoloMetaObject) {
    .x = x, .y = 100, .w = 40, .h = 80, .confidence = .8f, .label_id = 0,
    .label = g_quark_from_static_string ("person"), .object_id = -1,
  };
}

/* A frame as yoloinfer leaves it, with objects in both layouts and a note; what comes out of the
 * tracker is freed. */
static void
push (GstHarness *h, const GstVideoInfo *info, NvDsBatchMeta *batch, guint number,
    const YoloMetaObject *objects, guint n, gboolean inferred)
{
  NvDsFrameMeta *frame = batch->frame_meta_list->data;
  GstBuffer *buffer = gst_buffer_new_and_alloc (16);

  GST_BUFFER_PTS (buffer) = frame->buf_pts = number * FRAME;
  gst_mini_object_set_qdata (
      GST_MINI_OBJECT (buffer), g_quark_from_static_string ("batch"), batch, NULL);
  g_list_free_full (g_steal_pointer (&frame->obj_meta_list), free_object);
  yolo_meta_add (buffer, info, objects, n, 3);
  g_assert_true (yolo_ds_add (buffer, objects, n, NULL, 3, inferred));
  yolo_follow_note (buffer, info, NULL, inferred, 3);
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  gst_buffer_unref (gst_harness_pull (h));
}

/* With repeat-detections an object stands for itself in frames that are skipped: once. */
static void
test_repeated (gconstpointer fill)
{
  NvDsFrameMeta frame = { .batch_id = 0 };
  NvDsBatchMeta batch = { .pool = 100 };
  GstElement *element = g_object_new (
      GST_TYPE_YOLO_TRACK, "fill-skipped", GPOINTER_TO_INT (fill), NULL);
  GstHarness *h = gst_harness_new_with_element (element, "sink", "src");
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS);
  GstVideoInfo info;

  g_assert_true (gst_video_info_from_caps (&info, caps));
  gst_harness_set_src_caps (h, gst_caps_ref (caps));
  batch.frame_meta_list = g_list_append (NULL, &frame);
  for (guint i = 0; i < 8; i++) {
    /* the second one is seen once, and has no number yet when it is repeated */
    const YoloMetaObject objects[2] = { person_at (100 + 10 * (gfloat) (i & ~1u)),
      person_at (500) };
    const guint n = i / 2 == 2 ? 2 : 1;
    const NvDsObjectMeta *first;

    push (h, &info, &batch, i, objects, n, i % 2 == 0);
    g_assert_cmpuint (g_list_length (frame.obj_meta_list), ==, n);
    first = frame.obj_meta_list->data;
    if (n == 2 && first->object_id == UNTRACKED_OBJECT_ID)
      first = frame.obj_meta_list->next->data;
    g_assert_cmpuint (first->object_id, ==, 1);
    /* the person has gone on where the tracker predicts it, else stays where it was found */
    if (i % 2 == 1 && i > 2)
      g_assert_cmpint (first->rect_params.left > objects[0].x + 3, ==, GPOINTER_TO_INT (fill));
  }
  g_list_free_full (frame.obj_meta_list, free_object);
  g_list_free (batch.frame_meta_list);
  gst_object_unref (element);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/gst-plugin/ds-track/repeated", GINT_TO_POINTER (TRUE), test_repeated);
  g_test_add_data_func (
      "/gst-plugin/ds-track/repeated-as-found", GINT_TO_POINTER (FALSE), test_repeated);
  return g_test_run ();
}
