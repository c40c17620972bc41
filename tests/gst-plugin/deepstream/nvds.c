/* SPDX-License-Identifier: MIT */
/* libnvdsgst_meta.so's stand-in: the batch is the buffer's qdata "batch". */

#include <gstnvdsmeta.h>

NvDsBatchMeta *
gst_buffer_get_nvds_batch_meta (GstBuffer *buffer)
{
  return gst_mini_object_get_qdata (GST_MINI_OBJECT (buffer), g_quark_from_static_string ("batch"));
}

void
nvds_acquire_meta_lock (NvDsBatchMeta *batch)
{
  g_assert_false (batch->locked);
  batch->locked = TRUE;
}

void
nvds_release_meta_lock (NvDsBatchMeta *batch)
{
  g_assert_true (batch->locked);
  batch->locked = FALSE;
}

NvDsObjectMeta *
nvds_acquire_obj_meta_from_pool (NvDsBatchMeta *batch)
{
  g_assert_true (batch->locked);
  return batch->pool-- > 0 ? g_new0 (NvDsObjectMeta, 1) : NULL;
}

void
nvds_add_obj_meta_to_frame (NvDsFrameMeta *frame, NvDsObjectMeta *object, NvDsObjectMeta *parent)
{
  object->parent = parent;
  frame->obj_meta_list = frame->prepends ? g_list_prepend (frame->obj_meta_list, object)
                                         : g_list_append (frame->obj_meta_list, object);
}

/* What is removed goes back to the pool, and must not be read any more. */
void
nvds_remove_obj_meta_from_frame (NvDsFrameMeta *frame, NvDsObjectMeta *object)
{
  frame->obj_meta_list = g_list_remove (frame->obj_meta_list, object);
  g_assert_null (object->classifier_meta_list);
  g_free (object->text_params.display_text);
  g_free (object);
}

NvDsClassifierMeta *
nvds_acquire_classifier_meta_from_pool (NvDsBatchMeta *batch)
{
  g_assert_true (batch->locked);
  return batch->classifier_pool-- > 0 ? g_new0 (NvDsClassifierMeta, 1) : NULL;
}

NvDsLabelInfo *
nvds_acquire_label_info_meta_from_pool (NvDsBatchMeta *batch)
{
  g_assert_true (batch->locked);
  return batch->classifier_pool-- > 0 ? g_new0 (NvDsLabelInfo, 1) : NULL;
}

void
nvds_add_label_info_meta_to_classifier (NvDsClassifierMeta *classifier, NvDsLabelInfo *label)
{
  classifier->label_info_list = g_list_append (classifier->label_info_list, label);
  classifier->num_labels++;
}

void
nvds_add_classifier_meta_to_object (NvDsObjectMeta *object, NvDsClassifierMeta *classifier)
{
  object->classifier_meta_list = g_list_append (object->classifier_meta_list, classifier);
}
