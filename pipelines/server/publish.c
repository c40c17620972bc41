/* SPDX-License-Identifier: MIT */
/* The file's cameras as records of Kafka. */

#include <string.h>

#include "export/records.h"
#include "pipelines/server/group.h"

#define PATIENCE (30 * G_USEC_PER_SEC)  /* that the brokers have to read all, and to confirm all */

/* Reads which keys the topic has. */
typedef struct {
  GMutex lock;                  /* guards all below */
  GCond changed;
  GHashTable *keys;             /* owned texts */
  GHashTable *loading;          /* partitions whose records are not all read */
  gboolean assigned;
  char *trouble;                /* owned, what was wrong last; NULL: nothing */
} Reading;

static void
on_assigned (const gint32 *partitions, guint n, gpointer user_data)
{
  Reading *reading = user_data;

  g_mutex_lock (&reading->lock);
  for (guint i = 0; i < n; i++)
    g_hash_table_add (reading->loading, GINT_TO_POINTER (partitions[i]));
  reading->assigned = TRUE;
  g_cond_signal (&reading->changed);
  g_mutex_unlock (&reading->lock);
}

static void
on_record (gint32 partition, const char *key, const char *value, gsize size, gpointer user_data)
{
  Reading *reading = user_data;

  g_mutex_lock (&reading->lock);
  if (value != NULL)
    g_hash_table_add (reading->keys, g_strdup (key));
  else
    g_hash_table_remove (reading->keys, key);
  g_mutex_unlock (&reading->lock);
}

static void
on_loaded (gint32 partition, gpointer user_data)
{
  Reading *reading = user_data;

  g_mutex_lock (&reading->lock);
  g_hash_table_remove (reading->loading, GINT_TO_POINTER (partition));
  g_cond_signal (&reading->changed);
  g_mutex_unlock (&reading->lock);
}

static void
on_revoked (const gint32 *partitions, guint n, gpointer user_data)
{
}

static void
on_trouble (const char *text, gpointer user_data)
{
  Reading *reading = user_data;

  g_mutex_lock (&reading->lock);
  g_free (reading->trouble);
  reading->trouble = g_strdup (text);
  g_mutex_unlock (&reading->lock);
}

/* The keys that the topic has, (transfer full), or NULL with @error. */
static GHashTable *
read_keys (const YoloSinkOptions *options, GError **error)
{
  static const YoloRecordsHandler handler =
      { on_assigned, on_record, on_loaded, on_revoked, on_trouble };
  const gint64 end = g_get_monotonic_time () + PATIENCE;
  /* Not on the stack: a thread that hangs may outlive this function, and the program ends then. */
  Reading *reading = g_new0 (Reading, 1);
  YoloRecords *records;
  gboolean good;

  g_mutex_init (&reading->lock);
  g_cond_init (&reading->changed);
  reading->keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  reading->loading = g_hash_table_new (NULL, NULL);
  records = yolo_records_open (options, NULL, &handler, reading, error);
  if (records == NULL)
    return NULL;
  g_mutex_lock (&reading->lock);
  while ((!reading->assigned || g_hash_table_size (reading->loading) > 0)
      && g_cond_wait_until (&reading->changed, &reading->lock, end));
  good = reading->assigned && g_hash_table_size (reading->loading) == 0;
  if (!good)
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_FILE,
        "the topic cannot be read within %d s: %s", (int) (PATIENCE / G_USEC_PER_SEC),
        reading->trouble != NULL ? reading->trouble : "no broker answers");
  g_mutex_unlock (&reading->lock);
  yolo_records_close (records, PATIENCE);
  return good ? reading->keys : NULL;
}

/* All records, by the cameras' names, so that nothing is sent of a file in which one is wrong. */
static GHashTable *
make_records (const YoloSettings *settings, GError **error)
{
  g_autoptr (GHashTable) records =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);

  for (guint i = 0; i < settings->cameras->len; i++) {
    const YoloCameraSettings *camera = g_ptr_array_index (settings->cameras, i);
    char *text = yolo_settings_to_record (settings, camera, error);

    if (text == NULL)
      return NULL;
    g_hash_table_insert (records, camera->name, text);
  }
  return g_steal_pointer (&records);
}

static void
on_event (YoloSinkEvent event, const char *text, gpointer user_data)
{
  on_trouble (text, user_data);
}

gboolean
yolo_group_publish (
    const YoloSettings *settings, guint *n_sent, guint *n_removed, GError **error)
{
  YoloSinkOptions options;
  g_autoptr (GHashTable) records = make_records (settings, error);
  g_autoptr (GHashTable) keys = NULL;
  Reading reading = { 0 };
  GHashTableIter iter;
  gpointer name, text;
  YoloSink *sink;
  gboolean good;

  *n_sent = *n_removed = 0;
  if (records == NULL || !yolo_group_options (settings, &options, error)
      || (keys = read_keys (&options, error)) == NULL
      || (sink = yolo_sink_open (&options, on_event, &reading, error)) == NULL)
    return FALSE;
  g_hash_table_iter_init (&iter, keys);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    if (!g_hash_table_contains (records, name)) {
      yolo_sink_send (sink, NULL, name, "", 0, FALSE);
      ++*n_removed;
    }
  g_hash_table_iter_init (&iter, records);
  while (g_hash_table_iter_next (&iter, &name, &text)) {
    yolo_sink_send (sink, NULL, name, text, strlen (text), FALSE);
    ++*n_sent;
  }
  good = yolo_sink_flush (sink, PATIENCE);
  good = yolo_sink_close (sink) == 0 && good;
  if (!good)
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_FILE,
        "the brokers have not confirmed all records; send them again: %s",
        reading.trouble != NULL ? reading.trouble : "no broker answers");
  g_free (reading.trouble);
  return good;
}
