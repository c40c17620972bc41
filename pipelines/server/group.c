/* SPDX-License-Identifier: MIT */
#include "pipelines/server/group.h"

#include <string.h>

#include "export/records.h"

#define END_PERIOD 20           /* ms between two looks at pipelines that are being ended */
#define END_TIME (4 * G_USEC_PER_SEC)   /* that they have, before their cameras are given up */
#define GATHER_TIME 20          /* ms in which records are gathered that come together */

/* A camera's record. */
typedef struct {
  gint32 partition;
  GBytes *text;                 /* what it says */
  GBytes *good;                 /* what it said when it was last taken; NULL: never */
  gboolean told;                /* what is wrong with `text` was logged */
} Record;

/* Messages of the reader's thread to the main thread. */
typedef enum { WORD_ASSIGNED, WORD_RECORD, WORD_LOADED, WORD_REVOKED, WORD_TROUBLE } WordKind;

typedef struct {
  YoloGroup *group;
  WordKind kind;
  gint32 *partitions;           /* owned */
  guint n;
  char *text;                   /* owned: a key, or a trouble */
  GBytes *value;                /* owned */
} Word;

/* All but `records` and what the lock guards is used by the main thread alone. */
struct _YoloGroup {
  YoloWall *wall;
  YoloRecords *records;         /* owned */
  GHashTable *cameras;          /* owned name: owned Record; of the partitions below */
  GHashTable *partitions;       /* number: whether all its records are read */
  guint gather;                 /* the source that changes the wall; 0: nothing has changed */
  GPtrArray *ending;            /* YoloCounts of cameras that are to end before partitions go */
  guint wait;                   /* the source that looks at them; 0: nobody waits */
  gint64 wait_end;              /* us, monotonic */

  GMutex lock;
  GCond changed;
  gboolean given_up;            /* the main thread has ended what was revoked */
  gboolean stopped;             /* the main thread listens no more */
};

static void
record_free (gpointer data)
{
  Record *record = data;

  g_clear_pointer (&record->text, g_bytes_unref);
  g_clear_pointer (&record->good, g_bytes_unref);
  g_free (record);
}

static void
counts_unref (gpointer data)
{
  yolo_counts_unref (data);
}

/* The main thread */

static gboolean
add_camera (YoloSettings *settings, const char *name, GBytes *text, GError **error)
{
  gsize size;
  const char *bytes = g_bytes_get_data (text, &size);

  return yolo_settings_add_record (settings, name, bytes, size, error);
}

/* Puts a camera into the settings: as its record says or, where that is wrong, as the last one did
 * that was right. */
static void
take_record (YoloSettings *settings, const char *name, Record *record)
{
  g_autoptr (GError) error = NULL;

  if (add_camera (settings, name, record->text, &error)) {
    if (record->good != record->text) {
      g_clear_pointer (&record->good, g_bytes_unref);
      record->good = g_bytes_ref (record->text);
    }
    return;
  }
  if (!record->told)
    g_message ("a record is not taken: %s", error->message);
  record->told = TRUE;
  if (record->good != NULL)
    add_camera (settings, name, record->good, NULL);
}

static void
fill (YoloSettings *settings, gpointer user_data)
{
  YoloGroup *group = user_data;
  g_autoptr (GList) names =
      g_list_sort (g_hash_table_get_keys (group->cameras), (GCompareFunc) strcmp);

  for (GList *at = names; at != NULL; at = at->next) {
    Record *record = g_hash_table_lookup (group->cameras, at->data);

    if (g_hash_table_lookup (group->partitions, GINT_TO_POINTER (record->partition)) != NULL)
      take_record (settings, at->data, record);
  }
}

static void
change_wall (YoloGroup *group)
{
  YoloSettings *settings = yolo_settings_without_cameras (yolo_wall_settings (group->wall));

  g_clear_handle_id (&group->gather, g_source_remove);
  fill (settings, group);
  yolo_wall_set (group->wall, settings);
}

static gboolean
on_gathered (gpointer user_data)
{
  YoloGroup *group = user_data;

  group->gather = 0;
  change_wall (group);
  return G_SOURCE_REMOVE;
}

static void
change_soon (YoloGroup *group)
{
  if (group->gather == 0)
    group->gather = g_timeout_add (GATHER_TIME, on_gathered, group);
}

static void
on_assigned (YoloGroup *group, const Word *word)
{
  g_message ("%u partitions are this server's in addition", word->n);
  for (guint i = 0; i < word->n; i++)
    g_hash_table_insert (group->partitions, GINT_TO_POINTER (word->partitions[i]), NULL);
}

static void
on_record (YoloGroup *group, const Word *word)
{
  gpointer loaded;
  Record *record;

  /* What was read before the partition was taken away is another server's. */
  if (!g_hash_table_lookup_extended (group->partitions, GINT_TO_POINTER (word->partitions[0]),
          NULL, &loaded))
    return;
  if (loaded != NULL)
    change_soon (group);
  if (word->value == NULL) {
    g_hash_table_remove (group->cameras, word->text);
    return;
  }
  record = g_hash_table_lookup (group->cameras, word->text);
  if (record == NULL) {
    record = g_new0 (Record, 1);
    g_hash_table_insert (group->cameras, g_strdup (word->text), record);
  }
  g_clear_pointer (&record->text, g_bytes_unref);
  record->text = g_bytes_ref (word->value);
  record->partition = word->partitions[0];
  record->told = FALSE;
}

static void
on_loaded (YoloGroup *group, const Word *word)
{
  gpointer loaded;

  if (!g_hash_table_lookup_extended (group->partitions, GINT_TO_POINTER (word->partitions[0]),
          NULL, &loaded) || loaded != NULL)
    return;
  g_hash_table_insert (group->partitions, GINT_TO_POINTER (word->partitions[0]), group);
  change_soon (group);
}

static gboolean
is_lost (gpointer name, gpointer value, gpointer user_data)
{
  const Record *record = value;
  YoloGroup *group = user_data;

  return !g_hash_table_contains (group->partitions, GINT_TO_POINTER (record->partition));
}

/* The thread goes on, which gives the partitions up. */
static void
give_up (YoloGroup *group)
{
  g_mutex_lock (&group->lock);
  group->given_up = TRUE;
  g_cond_signal (&group->changed);
  g_mutex_unlock (&group->lock);
}

static gboolean
on_wait (gpointer user_data)
{
  YoloGroup *group = user_data;
  guint n = 0;

  for (guint i = 0; i < group->ending->len; i++)
    n += yolo_counts_read (g_ptr_array_index (group->ending, i)).pipelines;
  if (n > 0 && g_get_monotonic_time () < group->wait_end)
    return G_SOURCE_CONTINUE;
  if (n > 0)
    g_message ("%u pipelines hang; their cameras are given up all the same", n);
  g_ptr_array_set_size (group->ending, 0);
  group->wait = 0;
  give_up (group);
  return G_SOURCE_REMOVE;
}

static void
on_revoked (YoloGroup *group, const Word *word)
{
  GPtrArray *cameras = yolo_wall_cameras (group->wall);

  g_message ("%u partitions are this server's no more", word->n);
  for (guint i = 0; i < word->n; i++)
    g_hash_table_remove (group->partitions, GINT_TO_POINTER (word->partitions[i]));
  g_hash_table_foreach_remove (group->cameras, is_lost, group);
  for (guint i = 0; i < cameras->len; i++) {
    const YoloCamera *camera = g_ptr_array_index (cameras, i);

    if (!g_hash_table_contains (group->cameras, camera->name))
      g_ptr_array_add (group->ending, yolo_counts_ref (camera->counts));
  }
  change_wall (group);
  group->wait_end = g_get_monotonic_time () + END_TIME;
  if (group->wait == 0 && on_wait (group))
    group->wait = g_timeout_add (END_PERIOD, on_wait, group);
}

static gboolean
on_word (gpointer data)
{
  const Word *word = data;
  YoloGroup *group = word->group;

  if (group->stopped)
    return G_SOURCE_REMOVE;
  switch (word->kind) {
    case WORD_ASSIGNED:
      on_assigned (group, word);
      break;
    case WORD_RECORD:
      on_record (group, word);
      break;
    case WORD_LOADED:
      on_loaded (group, word);
      break;
    case WORD_REVOKED:
      on_revoked (group, word);
      break;
    case WORD_TROUBLE:
      g_message ("Kafka: %s", word->text);
      break;
  }
  return G_SOURCE_REMOVE;
}

static void
word_free (gpointer data)
{
  Word *word = data;

  g_free (word->partitions);
  g_free (word->text);
  g_clear_pointer (&word->value, g_bytes_unref);
  g_free (word);
}

/* The reader's thread */

static void
say (YoloGroup *group, WordKind kind, const gint32 *partitions, guint n, const char *text,
    GBytes *value)
{
  Word *word = g_new (Word, 1);

  *word = (Word) { group, kind, g_memdup2 (partitions, n * sizeof *partitions), n,
    g_strdup (text), value };
  /* In the order in which they are said: sources of one priority are served so. */
  g_idle_add_full (G_PRIORITY_DEFAULT, on_word, word, word_free);
}

static void
say_assigned (const gint32 *partitions, guint n, gpointer user_data)
{
  say (user_data, WORD_ASSIGNED, partitions, n, NULL, NULL);
}

static void
say_record (gint32 partition, const char *key, const char *value, gsize size, gpointer user_data)
{
  /* "off" is for those whose tools cannot send a record without a value. */
  const gboolean off = value == NULL || size == 0 || (size == 3 && memcmp (value, "off", 3) == 0);

  say (user_data, WORD_RECORD, &partition, 1, key, off ? NULL : g_bytes_new (value, size));
}

static void
say_loaded (gint32 partition, gpointer user_data)
{
  say (user_data, WORD_LOADED, &partition, 1, NULL, NULL);
}

/* Waits until the cameras have ended, so that no other server begins before. */
static void
say_revoked (const gint32 *partitions, guint n, gpointer user_data)
{
  YoloGroup *group = user_data;
  gboolean stopped;

  g_mutex_lock (&group->lock);
  group->given_up = FALSE;
  g_mutex_unlock (&group->lock);
  say (group, WORD_REVOKED, partitions, n, NULL, NULL);
  g_mutex_lock (&group->lock);
  while (!group->given_up && !group->stopped)
    g_cond_wait (&group->changed, &group->lock);
  stopped = group->stopped;
  g_mutex_unlock (&group->lock);
  /* The main thread ends all pipelines then, and the program waits for them as well. */
  if (stopped)
    yolo_run_wait (END_TIME);
}

static void
say_trouble (const char *text, gpointer user_data)
{
  say (user_data, WORD_TROUBLE, NULL, 0, text, NULL);
}

static const YoloRecordsHandler handler =
    { say_assigned, say_record, say_loaded, say_revoked, say_trouble };

/* The life of a group */

gboolean
yolo_group_options (const YoloSettings *settings, YoloSinkOptions *options, GError **error)
{
  const YoloValues *server = settings->server;
  const char *password = yolo_values_text (server, YOLO_KEY_KAFKA_PASSWORD_FILE);

  *options = (YoloSinkOptions) {
    .location = yolo_values_text (server, YOLO_KEY_KAFKA),
    .queue_bytes = 64 << 20,
    .password = password != NULL ? password : g_getenv ("YOLO_EXPORT_PASSWORD"),
    .ca_file = yolo_values_text (server, YOLO_KEY_KAFKA_CA_FILE),
    .certificate_file = yolo_values_text (server, YOLO_KEY_KAFKA_CERTIFICATE),
    .key_file = yolo_values_text (server, YOLO_KEY_KAFKA_KEY),
    .broker_options = yolo_values_text (server, YOLO_KEY_KAFKA_OPTIONS),
    .client_id = "yolo-server",
  };
  if (options->location != NULL)
    return TRUE;
  g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
      "%s does not say where the topic of cameras is; set kafka: kafka://HOST/TOPIC in its part "
      "server", settings->path);
  return FALSE;
}

YoloGroup *
yolo_group_new (YoloWall *wall, GError **error)
{
  const YoloSettings *settings = yolo_wall_settings (wall);
  YoloGroup *group = g_new0 (YoloGroup, 1);
  YoloSinkOptions options;

  g_mutex_init (&group->lock);
  g_cond_init (&group->changed);
  group->wall = wall;
  group->cameras = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, record_free);
  group->partitions = g_hash_table_new (NULL, NULL);
  group->ending = g_ptr_array_new_with_free_func (counts_unref);
  if (yolo_group_options (settings, &options, error))
    group->records = yolo_records_open (&options, settings->group, &handler, group, error);
  if (group->records == NULL) {
    yolo_group_free (group, 0);
    return NULL;
  }
  yolo_wall_set_fill (wall, fill, group);
  return group;
}

void
yolo_group_stop (YoloGroup *group)
{
  if (group == NULL)
    return;
  yolo_wall_set_fill (group->wall, NULL, NULL);
  g_clear_handle_id (&group->gather, g_source_remove);
  g_clear_handle_id (&group->wait, g_source_remove);
  g_mutex_lock (&group->lock);
  group->stopped = TRUE;
  g_cond_signal (&group->changed);
  g_mutex_unlock (&group->lock);
}

void
yolo_group_free (YoloGroup *group, gint64 timeout)
{
  /* A thread that is left behind still uses the group; the program ends. */
  if (group == NULL || (group->records != NULL && !yolo_records_close (group->records, timeout)))
    return;
  /* Sources of the main loop that still hold words of the reader's thread: on_word() leaves them
   * alone once the group has stopped, and they are freed. */
  while (g_main_context_iteration (NULL, FALSE));
  g_hash_table_unref (group->cameras);
  g_hash_table_unref (group->partitions);
  g_ptr_array_unref (group->ending);
  g_mutex_clear (&group->lock);
  g_cond_clear (&group->changed);
  g_free (group);
}
