/* SPDX-License-Identifier: MIT */
/* What of a frame is made unrecognisable: objects, those that were there a moment ago, and fixed
 * regions. How that is done to pixels is image/privacy.h. */

#ifndef YOLO_PRIVACY_H
#define YOLO_PRIVACY_H

#include <gst/video/video.h>

#include "image/privacy.h"

G_BEGIN_DECLS

typedef enum {
  YOLO_PRIVACY_NONE, YOLO_PRIVACY_BLUR, YOLO_PRIVACY_PIXELATE, YOLO_PRIVACY_FILL,
} YoloPrivacyMode;

/* GstYoloOverlayPrivacy */
GType yolo_privacy_mode_type (void);

/* What the properties say; the object lock of the element. */
typedef struct {
  guint mode;                   /* YoloPrivacyMode */
  guint blocks;                 /* across the longer side */
  gboolean masks;               /* what is redacted is cut to the objects' shapes */
  gdouble margin;               /* of a box's width and height, added to each side */
  guint64 hold;                 /* ns */
  gchar *class_ids, *regions;   /* owned */
} YoloPrivacySettings;

typedef struct _YoloHider YoloHider;

/* @element: borrowed, posts warnings; @settings: borrowed, the element's */
YoloHider *yolo_hider_new (GstElement *element, YoloPrivacySettings *settings);
void yolo_hider_free (YoloHider *hider);

/* The setters of the properties privacy-class-ids and privacy-regions, which are strings to be
 * read: while the element runs, one that cannot be changes nothing, and a warning is posted;
 * before, it is kept, and the start fails. Any thread, without the object lock. */
void yolo_hider_set_class_ids (YoloHider *hider, const gchar *string);
void yolo_hider_set_regions (YoloHider *hider, const gchar *string);

/* FALSE with @error: a property cannot be read, so that what it hides would be seen. */
gboolean yolo_hider_start (YoloHider *hider, GError **error);
void yolo_hider_stop (YoloHider *hider);

/* The functions below are the streaming thread's. */

/* Forgets the objects of the last frames: the stream goes on somewhere else. */
void yolo_hider_flush (YoloHider *hider);
/* The size of the frames that follow, in pixels. */
void yolo_hider_set_size (YoloHider *hider, const GstVideoInfo *info);

/**
 * yolo_hider_begin:
 * @objects: (element-type YoloMetaObject): of the frame; must live until yolo_hider_add()
 *
 * Takes the next frame.
 *
 * Returns: whether anything in it is to be hidden
 */
gboolean yolo_hider_begin (YoloHider *hider, GstBuffer *buffer, const GArray *objects);

/**
 * yolo_hider_add:
 * @canvas: the frame in memory, in which the one that the caps describe begins at pixel @x, @y
 * @black: in the canvas's format
 *
 * Returns: (transfer none): the redactions of the frame that yolo_hider_begin() has taken
 */
YoloPrivacy *yolo_hider_add (YoloHider *hider, const YoloCanvas *canvas, gint x, gint y,
    const YoloColor *black);

G_END_DECLS

#endif
