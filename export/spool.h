/* SPDX-License-Identifier: MIT */
/* Messages on the disk, which outlive the process: a file of SQLite, which is whole after kill -9,
 * after a power failure and on a full disk.
 *
 * Any thread may call these functions; they wait for the disk and for one another, so that a
 * thread that must not wait leaves them alone. */

#ifndef YOLO_EXPORT_SPOOL_H
#define YOLO_EXPORT_SPOOL_H

#include "export/message.h"

G_BEGIN_DECLS

typedef struct _YoloSpool YoloSpool;

/**
 * yolo_spool_open:
 * @path: of the file, which is made if it is not there
 * @max_bytes: how many bytes of messages to keep; SQLite's own come on top
 *
 * What an earlier process left in the file comes first. Nobody else can have the file open.
 *
 * Returns: (transfer full): or NULL with @error (G_FILE_ERROR)
 */
YoloSpool *yolo_spool_open (const char *path, guint64 max_bytes, GError **error);

/**
 * yolo_spool_append:
 * @messages: (element-type YoloMessage): which stay the caller's
 * @dropped: (out): how many of the oldest messages had to go, so that these have room
 *
 * Writes all of them or, with @error, none.
 */
gboolean yolo_spool_append (YoloSpool *spool, GQueue *messages, guint64 *dropped, GError **error);

/* Returns: (transfer full): the message behind the one that was given last, with its id; NULL:
 * there is none, or with @error, it cannot be read */
YoloMessage *yolo_spool_next (YoloSpool *spool, GError **error);

/* Lets go of all messages up to this id. A disk that is so full that nothing can be removed
 * either is told of by the next yolo_spool_append(). */
void yolo_spool_acknowledge (YoloSpool *spool, guint64 id);

/* The next message is the first one that was not acknowledged again. */
void yolo_spool_rewind (YoloSpool *spool);

/* How many messages are kept, and how many bytes these have. Does not wait. */
void yolo_spool_level (YoloSpool *spool, guint64 *messages, guint64 *bytes);

/* @spool: (nullable) */
void yolo_spool_close (YoloSpool *spool);

G_END_DECLS

#endif
