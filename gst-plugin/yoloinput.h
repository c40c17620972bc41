/* SPDX-License-Identifier: MIT */
/* The frames that come into yoloinfer: how they lie in memory, and what of a buffer
 * the network looks at. That is the frame, or each frame of a DeepStream surface, cut
 * down to the buffer's GstVideoCropMeta in other memory; of it the areas of the property roi,
 * or all; and of each of these the tiles besides. Or it is the objects that an earlier element
 * has attached. */

#ifndef YOLO_INPUT_H
#define YOLO_INPUT_H

#include <gst/video/video.h>

#include "gst-plugin/yolocaps.h"
#include "gst-plugin/yolocrops.h"
#include "gst-plugin/yoloflight.h"
#include "gst-plugin/yoloload.h"
#include "gst-plugin/yoloorientation.h"
#include "gst-plugin/yolosettings.h"

G_BEGIN_DECLS

/* The streaming thread reads and writes the fields, others only what is said to be
 * guarded by the object lock, which is the element's. */
typedef struct {
  /* constant */
  GstElement *element;          /* borrowed; posts messages */
  YoloSettings *settings;       /* borrowed, of the element; object lock */
  YoloCrops *crops;             /* borrowed, of the element */

  GstVideoInfo info;            /* what the caps say; written with the object lock */
  gboolean roi_warned;          /* a warning said that roi leaves the frame; object lock */

  YoloCapsMemory memory;        /* where the frames lie */
  YoloOrientation orientation;  /* what the stream's tags say */
  YoloFrame *surfaces;          /* owned; [YOLO_NVMM_MAX_FRAMES]; NULL: no NVMM so far */
  gboolean had_frame;           /* there was a frame to look at since the start */
} YoloInput;

void yolo_input_init (
    YoloInput *input, GstElement *element, YoloSettings *settings, YoloCrops *crops);
void yolo_input_clear (YoloInput *input);

/* Forgets the stream, at a start. Called by the thread that changes the element's
 * state. */
void yolo_input_reset (YoloInput *input);

/* Takes the caps of the frames that follow. Called by the streaming thread. */
void yolo_input_set_caps (YoloInput *input, const GstVideoInfo *info, YoloCapsMemory memory);

/**
 * yolo_input_make_parts:
 * @flight: whose buffer is set
 * @settings: as they are for this buffer
 * @load: whose network looks at the frames
 *
 * Maps the buffer and makes a request for each part of each of its frames. Called by the
 * streaming thread.
 *
 * Returns: FALSE: an error was posted
 */
gboolean yolo_input_make_parts (YoloInput *input, YoloFlight *flight,
    const YoloLiveSettings *settings, const YoloLoad *load);

/* The setter of the property roi. While the element runs, a string that is not a
 * region, or a region outside of the frames, changes nothing, and a warning is
 * posted. Before, any string is kept, and the start fails if it is not a region.
 * Called by any thread, without the object lock. */
void yolo_input_set_roi (YoloInput *input, const gchar *string);

G_END_DECLS

#endif
