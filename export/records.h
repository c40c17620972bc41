/* SPDX-License-Identifier: MIT */
/* Reads the records of a Kafka topic, of which the last one of each key counts (a compacted topic):
 * as a member of a consumer group, among whose members Kafka shares the partitions, or all of them.
 *
 * A key lies in the partition that Java's clients choose (murmur2), and nowhere else: what lies in
 * another one is told as trouble and left out, so that two members never have the same key. */

#ifndef YOLO_EXPORT_RECORDS_H
#define YOLO_EXPORT_RECORDS_H

#include "export/sink.h"

G_BEGIN_DECLS

/* What a reader tells. A thread of its own calls these functions, one after the other, and reads
 * nothing meanwhile; the group's coordinator goes on hearing of this member. */
typedef struct {
  /* These partitions are read from now on, from their first records on. */
  void (*assigned) (const gint32 *partitions, guint n, gpointer user_data);

  /* @value: [size] bytes; NULL: the key has gone */
  void (*record) (gint32 partition, const char *key, const char *value, gsize size,
      gpointer user_data);

  /* All records are read that the partition has at present. */
  void (*loaded) (gint32 partition, gpointer user_data);

  /* These partitions will be another member's once this function returns, or are already, after
   * the connection was lost for longer than the session lasts. */
  void (*revoked) (const gint32 *partitions, guint n, gpointer user_data);

  /* Something is wrong, in words without secrets; it goes on trying. */
  void (*trouble) (const char *text, gpointer user_data);
} YoloRecordsHandler;

typedef struct _YoloRecords YoloRecords;

/**
 * yolo_records_open:
 * @options: where the topic is and how to log in; which are copied
 * @group: (nullable): the consumer group; NULL: all partitions are read, without one
 * @handler: which lives as long as the reader
 *
 * Checks the options and begins to read; brokers that are not there are no error.
 *
 * Returns: (transfer full): or NULL with @error
 */
YoloRecords *yolo_records_open (const YoloSinkOptions *options, const char *group,
    const YoloRecordsHandler *handler, gpointer user_data, GError **error);

/* Gives all partitions up, leaves the group and frees the reader. FALSE: that takes longer than
 * @timeout, in us, and the thread is left behind, which may still call the handler. */
gboolean yolo_records_close (YoloRecords *records, gint64 timeout);

G_END_DECLS

#endif
