/* SPDX-License-Identifier: MIT */
/* One connection, which a mutex guards, in SQLite's write-ahead mode: a transaction is on its way
 * to the disk when it ends (kill -9 loses none), and synced when the log is merged into the file.
 * Source: sqlite.org/wal.html, sqlite.org/pragma.html. */

#include "export/spool.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

/* What stands in the head of the file, so that other files of SQLite are not taken for a spool:
 * the letters "YOLO". */
#define APPLICATION_ID 0x594f4c4f

struct _YoloSpool {
  GMutex lock;
  char *path;
  sqlite3 *database;
  sqlite3_stmt *insert, *next, *measure, *forget, *oldest, *drop;
  guint64 max_bytes;
  guint64 n, bytes;             /* of what is kept */
  GMutex level_lock;            /* apart, since who asks for the level must not wait for the disk */
  guint64 level_n, level_bytes; /* level_lock; copies of the two above */
  guint64 last;                 /* id of the newest message that was ever written */
  guint64 given, acknowledged;  /* ids: up to these, messages were given out and acknowledged */
};

static gboolean
fail (YoloSpool *spool, const char *what, GError **error)
{
  const int code = sqlite3_errcode (spool->database) & 0xff;

  if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
        "cannot %s spool \"%s\": somebody else has it open; give each sink a file of its own", what,
        spool->path);
  else if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
        "cannot %s spool \"%s\": it is damaged, or another kind of file; move it away", what,
        spool->path);
  else
    g_set_error (error, G_FILE_ERROR,
        code == SQLITE_FULL ? G_FILE_ERROR_NOSPC : G_FILE_ERROR_IO, "cannot %s spool \"%s\": %s",
        what, spool->path, sqlite3_errmsg (spool->database));
  return FALSE;
}

/* Tells yolo_spool_level() of a change. */
static void
publish (YoloSpool *spool)
{
  g_mutex_lock (&spool->level_lock);
  spool->level_n = spool->n;
  spool->level_bytes = spool->bytes;
  g_mutex_unlock (&spool->level_lock);
}

static gboolean
execute (YoloSpool *spool, const char *sql)
{
  return sqlite3_exec (spool->database, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Runs a statement that gives up to @n numbers; FALSE: it gives none. */
static gboolean
ask (YoloSpool *spool, const char *sql, guint n, guint64 *numbers)
{
  sqlite3_stmt *statement = NULL;
  gboolean good = sqlite3_prepare_v2 (spool->database, sql, -1, &statement, NULL) == SQLITE_OK
      && sqlite3_step (statement) == SQLITE_ROW;

  for (guint i = 0; good && i < n; i++)
    numbers[i] = (guint64) sqlite3_column_int64 (statement, (int) i);
  sqlite3_finalize (statement);
  return good;
}

/* Topic and key are blobs, for the length of a text would be one in characters. */
static gboolean
prepare (YoloSpool *spool)
{
  const struct {
    sqlite3_stmt **statement;
    const char *sql;
  } all[] = {
    { &spool->insert, "INSERT INTO message VALUES (?, ?, ?, ?, ?)" },
    { &spool->next, "SELECT id, topic, key, retain, body FROM message WHERE id > ? ORDER BY id "
          "LIMIT 1" },
    { &spool->measure, "SELECT count(*), coalesce(sum(length(topic) + length(key) + length(body)), "
          "0) FROM message WHERE id <= ?" },
    { &spool->forget, "DELETE FROM message WHERE id <= ?" },
    { &spool->oldest, "SELECT id, length(topic) + length(key) + length(body) FROM message "
          "WHERE id > ? ORDER BY id LIMIT 1" },
    { &spool->drop, "DELETE FROM message WHERE id = ?" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    if (sqlite3_prepare_v2 (spool->database, all[i].sql, -1, all[i].statement, NULL) != SQLITE_OK)
      return FALSE;
  return TRUE;
}

/* Makes the file one that only its owner can read. It is opened only where it is not there, for
 * a close() would take the process's locks off a file that SQLite has open. */
static void
make_file (const char *path)
{
  const int fd = g_open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  if (fd >= 0)
    close (fd);
}

/* Counts the messages up to this id, and their bytes. */
static void
measure (YoloSpool *spool, guint64 id, guint64 *n, guint64 *bytes)
{
  *n = *bytes = 0;
  sqlite3_bind_int64 (spool->measure, 1, (sqlite3_int64) id);
  if (sqlite3_step (spool->measure) == SQLITE_ROW) {
    *n = (guint64) sqlite3_column_int64 (spool->measure, 0);
    *bytes = (guint64) sqlite3_column_int64 (spool->measure, 1);
  }
  sqlite3_reset (spool->measure);
}

static gboolean
open_database (YoloSpool *spool, GError **error)
{
  guint64 id = 0, tables = 0;

  make_file (spool->path);
  if (sqlite3_open_v2 (spool->path, &spool->database,
          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK
      || !execute (spool, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; "
          "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304; BEGIN EXCLUSIVE")
      || !ask (spool, "PRAGMA application_id", 1, &id)
      || !ask (spool, "SELECT count(*) FROM sqlite_master", 1, &tables))
    return fail (spool, "open", error);
  if (id != APPLICATION_ID && tables > 0) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
        "cannot open spool \"%s\": it is somebody else's database; name another file", spool->path);
    return FALSE;
  }
  if (!execute (spool, "PRAGMA application_id = 1498369103; CREATE TABLE IF NOT EXISTS message "
          "(id INTEGER PRIMARY KEY, topic BLOB, key BLOB, retain INTEGER, body BLOB); COMMIT")
      || !ask (spool, "SELECT coalesce(max(id), 0) FROM message", 1, &spool->last)
      || !prepare (spool))
    return fail (spool, "open", error);
  measure (spool, spool->last, &spool->n, &spool->bytes);
  return TRUE;
}

YoloSpool *
yolo_spool_open (const char *path, guint64 max_bytes, GError **error)
{
  YoloSpool *spool = g_new0 (YoloSpool, 1);

  G_STATIC_ASSERT (APPLICATION_ID == 1498369103);
  g_mutex_init (&spool->lock);
  g_mutex_init (&spool->level_lock);
  spool->path = g_strdup (path);
  spool->max_bytes = max_bytes;
  if (!open_database (spool, error)) {
    yolo_spool_close (spool);
    return NULL;
  }
  publish (spool);
  return spool;
}

static void
bind_blob (sqlite3_stmt *statement, int at, gconstpointer bytes, gsize size)
{
  /* a NULL pointer would be SQL's NULL */
  sqlite3_bind_blob64 (statement, at, size > 0 ? bytes : "", size, SQLITE_STATIC);
}

static gboolean
insert (YoloSpool *spool, const YoloMessage *message, guint64 id)
{
  sqlite3_stmt *s = spool->insert;
  gboolean good;

  sqlite3_bind_int64 (s, 1, (sqlite3_int64) id);
  bind_blob (s, 2, message->topic, strlen (message->topic));
  bind_blob (s, 3, message->key, strlen (message->key));
  sqlite3_bind_int (s, 4, message->retain);
  bind_blob (s, 5, message->body, message->size);
  good = sqlite3_step (s) == SQLITE_DONE;
  sqlite3_reset (s);
  sqlite3_clear_bindings (s);
  return good;
}

static gboolean
run_with_id (sqlite3_stmt *statement, guint64 id)
{
  gboolean good;

  sqlite3_bind_int64 (statement, 1, (sqlite3_int64) id);
  good = sqlite3_step (statement) == SQLITE_DONE;
  sqlite3_reset (statement);
  return good;
}

/* Removes the oldest messages that nobody has been given until the rest fits. Of those that were
 * given out, the broker may have some. */
static gboolean
make_room (YoloSpool *spool, guint64 *dropped)
{
  while (spool->bytes > spool->max_bytes) {
    guint64 id = 0, size = 0;
    gboolean found;

    sqlite3_bind_int64 (spool->oldest, 1, (sqlite3_int64) spool->given);
    found = sqlite3_step (spool->oldest) == SQLITE_ROW;
    if (found) {
      id = (guint64) sqlite3_column_int64 (spool->oldest, 0);
      size = (guint64) sqlite3_column_int64 (spool->oldest, 1);
    }
    sqlite3_reset (spool->oldest);
    if (!found)
      return TRUE;
    if (!run_with_id (spool->drop, id))
      return FALSE;
    spool->bytes -= MIN (size, spool->bytes);
    spool->n--;
    (*dropped)++;
  }
  return TRUE;
}

static gboolean
append (YoloSpool *spool, GQueue *messages, guint64 *dropped)
{
  guint64 id = spool->last;

  if (!execute (spool, "BEGIN"))
    return FALSE;
  for (GList *l = messages->head; l; l = l->next) {
    const YoloMessage *message = l->data;

    if (!insert (spool, message, ++id))
      return FALSE;
    spool->n++;
    spool->bytes += strlen (message->topic) + strlen (message->key) + message->size;
  }
  if (!make_room (spool, dropped) || !execute (spool, "COMMIT"))
    return FALSE;
  spool->last = id;
  return TRUE;
}

gboolean
yolo_spool_append (YoloSpool *spool, GQueue *messages, guint64 *dropped, GError **error)
{
  guint64 n, bytes;
  gboolean good;

  *dropped = 0;
  g_mutex_lock (&spool->lock);
  n = spool->n;
  bytes = spool->bytes;
  good = append (spool, messages, dropped);
  if (!good) {
    fail (spool, "write to", error);
    if (!sqlite3_get_autocommit (spool->database))
      execute (spool, "ROLLBACK");
    spool->n = n;
    spool->bytes = bytes;
    *dropped = 0;
  }
  publish (spool);
  g_mutex_unlock (&spool->lock);
  return good;
}

static const void *
column (sqlite3_stmt *statement, int at, gsize *size)
{
  const void *bytes = sqlite3_column_blob (statement, at);

  *size = (gsize) sqlite3_column_bytes (statement, at);
  return bytes;
}

static YoloMessage *
read_row (YoloSpool *spool)
{
  gsize topic_size, key_size, size;
  const void *topic = column (spool->next, 1, &topic_size);
  const void *key = column (spool->next, 2, &key_size);
  const void *body = column (spool->next, 4, &size);
  g_autofree char *topic_text = g_strndup (topic, topic_size);
  g_autofree char *key_text = g_strndup (key, key_size);
  YoloMessage *message = yolo_message_new (topic_text ? topic_text : "", key_text, body, size,
      sqlite3_column_int (spool->next, 3) != 0);

  message->id = (guint64) sqlite3_column_int64 (spool->next, 0);
  return message;
}

YoloMessage *
yolo_spool_next (YoloSpool *spool, GError **error)
{
  YoloMessage *message = NULL;

  g_mutex_lock (&spool->lock);
  if (spool->given < spool->last) {
    int code;

    sqlite3_bind_int64 (spool->next, 1, (sqlite3_int64) spool->given);
    code = sqlite3_step (spool->next);
    if (code == SQLITE_ROW) {
      message = read_row (spool);
      spool->given = message->id;
    } else if (code != SQLITE_DONE) {
      fail (spool, "read", error);
    }
    sqlite3_reset (spool->next);
  }
  g_mutex_unlock (&spool->lock);
  return message;
}

void
yolo_spool_acknowledge (YoloSpool *spool, guint64 id)
{
  guint64 n, bytes;

  g_mutex_lock (&spool->lock);
  spool->acknowledged = MAX (spool->acknowledged, id);
  measure (spool, spool->acknowledged, &n, &bytes);
  if (n > 0 && run_with_id (spool->forget, spool->acknowledged)) {
    spool->n -= n;
    spool->bytes -= bytes;
  }
  publish (spool);
  g_mutex_unlock (&spool->lock);
}

void
yolo_spool_rewind (YoloSpool *spool)
{
  g_mutex_lock (&spool->lock);
  spool->given = spool->acknowledged;
  g_mutex_unlock (&spool->lock);
}

void
yolo_spool_level (YoloSpool *spool, guint64 *messages, guint64 *bytes)
{
  g_mutex_lock (&spool->level_lock);
  *messages = spool->level_n;
  *bytes = spool->level_bytes;
  g_mutex_unlock (&spool->level_lock);
}

void
yolo_spool_close (YoloSpool *spool)
{
  if (spool == NULL)
    return;
  sqlite3_finalize (spool->insert);
  sqlite3_finalize (spool->next);
  sqlite3_finalize (spool->measure);
  sqlite3_finalize (spool->forget);
  sqlite3_finalize (spool->oldest);
  sqlite3_finalize (spool->drop);
  sqlite3_close (spool->database);
  g_mutex_clear (&spool->lock);
  g_mutex_clear (&spool->level_lock);
  g_free (spool->path);
  g_free (spool);
}
