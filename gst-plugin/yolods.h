/* SPDX-License-Identifier: MIT */
/* Detections as DeepStream's object metadata, for its elements downstream
 * (nvtracker, nvdsosd, nvmsgconv). Built against the headers of the installed
 * DeepStream (meson option `deepstream`), whose structures change from version
 * to version; without, a stub does nothing. */

#ifndef YOLO_DS_H
#define YOLO_DS_H

#include "gst-plugin/yolometa.h"

G_BEGIN_DECLS

/**
 * yolo_ds_add:
 * @objects: of all frames of the batch; `slot` tells which, 0 the only one
 * @unique_id: unique_component_id of the objects
 * @inferred: whether they were found in these frames, rather than repeated
 *
 * Adds the objects to the frames of the buffer's NvDsBatchMeta and marks all
 * frames as inferred, if they were. Takes the batch's lock.
 *
 * Returns: FALSE if there is no such meta, or no DeepStream
 */
gboolean yolo_ds_add (
    GstBuffer *buffer, const YoloMetaObject *objects, guint n, guint unique_id, gboolean inferred);

G_END_DECLS

#endif
