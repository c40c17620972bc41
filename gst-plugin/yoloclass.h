/* SPDX-License-Identifier: MIT */
/* What networks that classify say of an object that another network has found, as one piece of
 * memory, an array that travels with the object; and as the params of its region that DL Streamer
 * calls classification results. Only yolometa.c calls the functions for params. */

#ifndef YOLO_CLASS_H
#define YOLO_CLASS_H

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/* The best class, by one network. */
typedef struct {
  GQuark label;
  gint label_id;                /* class number, -1 if unknown */
  gfloat confidence;            /* negative: unknown */
  gint model_id;                /* of the inference element, its unique-id */
  GQuark model;                 /* its name; 0: unknown */
} YoloClass;

/* The classes in memory that anybody may have made, [n]; NULL and 0: there are none. */
const YoloClass *yolo_classes_get (GBytes *bytes, guint *n);

/* (transfer full): @bytes, which may be NULL, and behind it @more; a class of the same element
 * is replaced. */
GBytes *yolo_classes_join (GBytes *bytes, GBytes *more);

/* The name of a class's param, and of its member in JSON: "classification", and
 * "classification_7" of the element whose unique-id is 7. */
gchar *yolo_class_name (const YoloClass *class);

/* Adds a param for each class. */
void yolo_classes_add (GstVideoRegionOfInterestMeta *region, GBytes *classes);

/* (transfer full) (nullable): the classes in a region's params, whoever wrote them. */
GBytes *yolo_classes_read (const GstVideoRegionOfInterestMeta *region);

G_END_DECLS

#endif
