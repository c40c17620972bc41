/* SPDX-License-Identifier: MIT */
/* Which of the file's cameras a server takes, where several servers share them. */

#ifndef YOLO_SERVER_SHARD_H
#define YOLO_SERVER_SHARD_H

#include <glib.h>

G_BEGIN_DECLS

#define YOLO_MAX_SHARDS 10000

typedef struct {
  guint index;                  /* from 0 */
  guint count;                  /* 0: one server takes all */
} YoloShard;

/**
 * yolo_shard_parse:
 * @text: "1/4": the second of four; "auto/4": the number at the end of @host_name says which, as a
 * pod of a StatefulSet has it: "wall-1"
 *
 * Returns: FALSE with @error (YOLO_SETTINGS_ERROR), and @shard as it was
 */
gboolean yolo_shard_parse (
    const char *text, const char *host_name, YoloShard *shard, GError **error);

/* The shard out of @count, which is not 0, that a camera is in. It depends on these alone; the same
 * on all machines. */
guint yolo_shard_of (const char *name, guint count);

/* Whether a camera is this shard's. */
gboolean yolo_shard_has (const YoloShard *shard, const char *name);

G_END_DECLS

#endif
