/* SPDX-License-Identifier: MIT */
/* What the elements' properties have in common. */

#ifndef YOLO_PROPERTY_H
#define YOLO_PROPERTY_H

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * yolo_property_is_fixed:
 * @running: whether the element is between its start and its stop
 * @value: that is to be set
 *
 * Whether the property is one of those that are read at the start only
 * (GST_PARAM_MUTABLE_READY) and the element is running. If @value is another
 * than the property's, a warning on the bus says that it stays as it is, and
 * how to change it. To be called by set_property without the object lock.
 */
gboolean yolo_property_is_fixed (GstElement *element, gboolean running, GParamSpec *pspec,
    const GValue *value);

G_END_DECLS

#endif
