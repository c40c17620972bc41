/* SPDX-License-Identifier: MIT */
/* The frames that come into yoloinfer: how they lie in memory, and which parts of
 * a buffer the network looks at: a whole frame or its roi, of that what its
 * GstVideoCropMeta leaves, or each frame of a DeepStream surface. */

#ifndef YOLO_INPUT_H
#define YOLO_INPUT_H

#include <gst/video/video.h>

#include "gst-plugin/yolocaps.h"
#include "gst-plugin/yoloflight.h"
#include "gst-plugin/yoloload.h"
#include "gst-plugin/yoloorientation.h"
#include "gst-plugin/yolosettings.h"

G_BEGIN_DECLS

/* Of the streaming thread, but for what stands under "object lock". */
typedef struct {
  /* constant */
  GstElement *element;          /* posts messages; its object lock is meant */
  YoloSettings *settings;       /* of the element; object lock */

  GstVideoInfo info;            /* of the caps; written with the object lock */
  gboolean roi_warned;          /* that it does not lie within the frame; object lock */

  YoloCapsMemory memory;        /* of the frames */
  YoloOrientation orientation;  /* of the stream's tags */
  YoloFrame *surfaces;          /* owned; [YOLO_NVMM_MAX_FRAMES], once there was NVMM */
  gboolean had_frame;           /* one that could be looked at, since the start */
} YoloInput;

void yolo_input_init (YoloInput *input, GstElement *element, YoloSettings *settings);
void yolo_input_clear (YoloInput *input);

/* Forgets the stream. */
void yolo_input_reset (YoloInput *input);

/* Caps have come. */
void yolo_input_set_caps (YoloInput *input, const GstVideoInfo *info, YoloCapsMemory memory);

/**
 * yolo_input_make_parts:
 * @flight: with its buffer
 * @settings: of this frame
 * @load: what the network is
 *
 * Maps the buffer and describes what to do with each of its frames.
 *
 * Returns: FALSE: an error was posted
 */
gboolean yolo_input_make_parts (YoloInput *input, YoloFlight *flight,
    const YoloLiveSettings *settings, const YoloLoad *load);

/* The setter of roi. While the element runs, one that is not a region, or that
 * shows nothing of the frames, changes nothing, and a warning is posted; before the start
 * it is kept for the error. Any thread, without the object lock. */
void yolo_input_set_roi (YoloInput *input, const gchar *string);

G_END_DECLS

#endif
