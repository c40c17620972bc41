/* SPDX-License-Identifier: MIT */
/* In place of spool.c where SQLite is missing. */

#include "export/spool.h"

YoloSpool *
yolo_spool_open (const char *path, guint64 max_bytes, GError **error)
{
  g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
      "this build keeps no messages on the disk: install libsqlite3-dev and build again");
  return NULL;
}

gboolean
yolo_spool_append (YoloSpool *spool, GQueue *messages, guint64 *dropped, GError **error)
{
  g_return_val_if_reached (FALSE);
}

YoloMessage *
yolo_spool_next (YoloSpool *spool, GError **error)
{
  g_return_val_if_reached (NULL);
}

void
yolo_spool_acknowledge (YoloSpool *spool, guint64 id)
{
}

void
yolo_spool_rewind (YoloSpool *spool)
{
}

void
yolo_spool_level (YoloSpool *spool, guint64 *messages, guint64 *bytes)
{
  *messages = *bytes = 0;
}

void
yolo_spool_close (YoloSpool *spool)
{
}
