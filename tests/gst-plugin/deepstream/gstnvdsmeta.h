/* SPDX-License-Identifier: MIT */
/* Stands in for DeepStream's header: the names that gst-plugin/yolods.c uses, in
 * structures of our own, so that it is compiled and run where DeepStream is not. */

#ifndef TEST_GSTNVDSMETA_H
#define TEST_GSTNVDSMETA_H

#include <gst/gst.h>

#define UNTRACKED_OBJECT_ID 0xFFFFFFFFFFFFFFFF
#define MAX_LABEL_SIZE 128

typedef struct { double red, green, blue, alpha; } NvOSD_ColorParams;
typedef struct {
  float left, top, width, height;
  unsigned int border_width;
  NvOSD_ColorParams border_color;
} NvOSD_RectParams;
typedef struct {
  char *font_name;
  unsigned int font_size;
  NvOSD_ColorParams font_color;
} NvOSD_FontParams;
typedef struct {
  char *display_text;
  unsigned int x_offset, y_offset;
  NvOSD_FontParams font_params;
  int set_bg_clr;
  NvOSD_ColorParams text_bg_clr;
} NvOSD_TextParams;
typedef struct { float left, top, width, height; } NvBbox_Coords;
typedef struct { NvBbox_Coords org_bbox_coords; } NvDsComp_BboxInfo;

typedef struct {
  gchar result_label[MAX_LABEL_SIZE];
  guint result_class_id, label_id;
  gfloat result_prob;
} NvDsLabelInfo;

typedef struct {
  guint num_labels;
  gint unique_component_id;
  GList *label_info_list;
  const gchar *classifier_type;
} NvDsClassifierMeta;

typedef struct _NvDsObjectMeta {
  struct _NvDsObjectMeta *parent;
  gint unique_component_id, class_id;
  guint64 object_id;
  gfloat confidence;
  NvDsComp_BboxInfo detector_bbox_info, tracker_bbox_info;
  gfloat tracker_confidence;
  NvOSD_RectParams rect_params;
  NvOSD_TextParams text_params;
  gchar obj_label[MAX_LABEL_SIZE];
  GList *classifier_meta_list;
} NvDsObjectMeta;

typedef struct {
  guint pad_index, batch_id;
  guint64 buf_pts;
  gint bInferDone;
  GList *obj_meta_list;
  gint prepends;                /* of the stand-in: the last object is the first of the list */
} NvDsFrameMeta;

typedef struct {
  GList *frame_meta_list;
  /* of the stand-in: lock held; objects, and classifiers and labels together, left */
  gint locked, pool, classifier_pool;
} NvDsBatchMeta;

NvDsBatchMeta *gst_buffer_get_nvds_batch_meta (GstBuffer *buffer);
void nvds_acquire_meta_lock (NvDsBatchMeta *batch);
void nvds_release_meta_lock (NvDsBatchMeta *batch);
NvDsObjectMeta *nvds_acquire_obj_meta_from_pool (NvDsBatchMeta *batch);
void nvds_add_obj_meta_to_frame (
    NvDsFrameMeta *frame, NvDsObjectMeta *object, NvDsObjectMeta *parent);
void nvds_remove_obj_meta_from_frame (NvDsFrameMeta *frame, NvDsObjectMeta *object);
NvDsClassifierMeta *nvds_acquire_classifier_meta_from_pool (NvDsBatchMeta *batch);
NvDsLabelInfo *nvds_acquire_label_info_meta_from_pool (NvDsBatchMeta *batch);
void nvds_add_label_info_meta_to_classifier (NvDsClassifierMeta *classifier, NvDsLabelInfo *label);
void nvds_add_classifier_meta_to_object (NvDsObjectMeta *object, NvDsClassifierMeta *classifier);

#endif
