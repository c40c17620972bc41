/* SPDX-License-Identifier: MIT */
/* Detections as DeepStream's object metadata, for its elements downstream
 * (nvtracker, nvdsosd, nvmsgconv). Built against the headers of the installed
 * DeepStream (meson option `deepstream`), whose structures change from version
 * to version; without the option, a stub does nothing. */

#ifndef YOLO_DS_H
#define YOLO_DS_H

#include "gst-plugin/yolometa.h"

G_BEGIN_DECLS

/**
 * yolo_ds_add:
 * @objects: [n], of all frames of the batch; `slot` tells which frame an object is in
 * @unique_id: unique_component_id of the objects
 * @inferred: whether the network has run on these frames; FALSE: the objects are those
 * of an earlier one
 *
 * Adds the objects to the frames of the buffer's NvDsBatchMeta, and marks all
 * frames as inferred if @inferred. Takes the batch's lock.
 *
 * Returns: FALSE if there is no such meta, or no DeepStream
 */
gboolean yolo_ds_add (
    GstBuffer *buffer, const YoloMetaObject *objects, guint n, guint unique_id, gboolean inferred);

G_END_DECLS

#endif
