/* SPDX-License-Identifier: MIT */
/* What an object has beside its box, as the params of its region that DL Streamer calls tensors.
 * Only yolometa.c calls these functions. */

#ifndef YOLO_TENSOR_H
#define YOLO_TENSOR_H

#include <gst/gst.h>
#include <gst/video/video.h>

#include "gst-plugin/yoloshape.h"

G_BEGIN_DECLS

/* Adds a tensor for each thing that the object has: its points, its corners, and @mask, sampled
 * over the region. Frames have @width x @height pixels. */
void yolo_tensor_add (GstVideoRegionOfInterestMeta *region, const YoloShape *shape,
    const YoloShapeGrid *mask, gint width, gint height);

/* Returns: (transfer full) (nullable): what the region's params say that an object has beside its
 * box, whoever wrote them; NULL: nothing */
GBytes *yolo_tensor_read (const GstVideoRegionOfInterestMeta *region, gint width, gint height);

G_END_DECLS

#endif
