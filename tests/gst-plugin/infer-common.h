/* SPDX-License-Identifier: MIT */
/* What the tests of yoloinfer share: an element in a harness, a picture in any
 * format, detections compared. */

#ifndef INFER_COMMON_H
#define INFER_COMMON_H

#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include "gst-plugin/yolometa.h"

/* Random weights, 64x64, classes alpha, beta and gamma. */
#define MODEL "v8n.onnx"
#define MODEL_STRIDE 32
#define MODEL_CLASSES 3

/* Properties: random weights find something everywhere; this many are enough to compare. */
#define LOW "confidence-threshold", "0.01", "max-detections", "50"

/* Caps of a frame that is inferred quickly. */
#define SMALL "video/x-raw,format=RGB,width=128,height=96,framerate=30/1"

/* Path of a file of tests/data; free with g_free(). */
gchar *data_path (const gchar *name);

/* MODEL in a file of its own, to be removed, whose metadata give the classes'
 * names as this text of at most 35 bytes. */
gchar *model_with_names (const gchar *names);

/* yoloinfer with MODEL and pairs of property and value as strings, NULL at the
 * end. The element has a bus of its own: element_bus(). Floating. */
GstElement *infer_new (const gchar *property, ...);
GstBus *element_bus (GstElement *element);      /* borrowed */
/* Takes the element. */
GstHarness *infer_harness (GstElement *element, const gchar *caps);
/* Ends the harness, or the element, and fails if somebody still holds the element. */
void infer_teardown (GstHarness *h);
void infer_free (GstElement *element);

/* A field of the property `stats` that is a guint64, as "inferred"; fails where there is none. */
guint64 infer_count (GstElement *element, const gchar *field);

/* The next warning, error or element message, or fails the test. */
GstMessage *pop_message (GstElement *element, GstMessageType type);
void assert_no_message (GstElement *element, GstMessageType type);
/* Checks an error's or warning's domain and code and that its text has @part. */
void check_message (GstElement *element, GstMessageType type, GQuark domain, gint code,
    const gchar *part);

void make_info (const gchar *caps, GstVideoInfo *info);
/* The same coloured blocks in every format and size. */
GstBuffer *make_picture (const GstVideoInfo *info);
/* A frame of its own out of the pixels of @frame from (x, y), of @part's size. Both are RGB. */
GstBuffer *crop_picture (GstBuffer *frame, const GstVideoInfo *info, const GstVideoInfo *part,
    gint x, gint y);

/* Takes the buffer. Array of YoloMetaObject. */
GArray *take_detections (GstBuffer *buffer, const GstVideoInfo *info);
/* What the harness gives for one more picture. */
GArray *infer_picture (GstHarness *h, const gchar *caps);

/* Fails unless each detection that clears the threshold by @slack in one has a
 * partner in the other: label, edges within @pixels, confidence within @slack.
 * @b is moved by dx, dy. Returns how many were compared. */
guint assert_same_detections (GArray *a, GArray *b, gfloat dx, gfloat dy, gfloat pixels,
    gfloat slack);

#endif
