/* SPDX-License-Identifier: MIT */
/* Cameras by a Kafka consumer group: each is a record of a topic of settings, by its name as the
 * key; the servers of a group share the topic's partitions, and each runs the cameras of those it
 * has. */

#ifndef YOLO_SERVER_GROUP_H
#define YOLO_SERVER_GROUP_H

#include "export/sink.h"
#include "pipelines/server/wall.h"

G_BEGIN_DECLS

typedef struct _YoloGroup YoloGroup;

/* What the settings say of Kafka, for as long as they live. FALSE with @error: nothing. */
gboolean yolo_group_options (
    const YoloSettings *settings, YoloSinkOptions *options, GError **error);

/* Joins the group that the wall's settings name. The main thread, as all here.
 * NULL with @error: the settings are wrong, or this build is without Kafka. */
YoloGroup *yolo_group_new (YoloWall *wall, GError **error);

/* No record changes the wall any more, which may be freed then. */
void yolo_group_stop (YoloGroup *group);

/* Leaves the group, so that other servers take the cameras at once, and frees it; to be called
 * once the pipelines have ended. Waits for so many us at most. */
void yolo_group_free (YoloGroup *group, gint64 timeout);

/* Makes the records of the topic those of the cameras of @settings: sends each of these, and takes
 * away those of other cameras. Waits until the brokers have confirmed it. FALSE with @error. */
gboolean yolo_group_publish (
    const YoloSettings *settings, guint *n_sent, guint *n_removed, GError **error);

G_END_DECLS

#endif
