/* SPDX-License-Identifier: MIT */
/* One file in SQLite's write-ahead mode: what was committed is on its way to the disk, which
 * kill -9 does not stop, and synced when the log is merged into the file. Pictures are rows as
 * well: no name reaches the file system, no file is left without its event, and what is deleted
 * makes room for what comes, so that the file does not grow beyond its limit.
 * Source: sqlite.org/wal.html, sqlite.org/pragma.html, sqlite.org/autoinc.html. */

#include "pipelines/server/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <glib/gstdio.h>

/* What stands in the head of the file, so that other files of SQLite are not taken for one of
 * ours: the letters "YOEV". */
#define APPLICATION_ID 0x594f4556
/* Events that are removed at once when there are too many. */
#define CHUNK 8
/* Bytes that are left to others on the disk. */
#define MIN_FREE ((guint64) 256 << 20)
/* Instructions of SQLite's machine that a search may take, some seconds: it holds up what is
 * written meanwhile. */
#define STEPS_PER_CALL 100000
#define MAX_CALLS 1000

struct _YoloStore {
  sqlite3 *database;
  char *path;                   /* NULL: in memory */
  guint64 max_bytes;
  gint64 max_age;
  guint calls;                  /* of on_progress() since the search began */
  gboolean searching;
  sqlite3_stmt *insert, *insert_picture, *picture, *old, *old_pictures, *oldest, *drop,
      *drop_pictures, *pages, *free_pages;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "time INTEGER NOT NULL, camera TEXT NOT NULL, kind TEXT NOT NULL, zone TEXT, label TEXT, "
    "details TEXT, picture INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS picture (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, "
    "jpeg BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS event_time ON event (time);"
    "CREATE INDEX IF NOT EXISTS event_camera ON event (camera, id);"
    "CREATE INDEX IF NOT EXISTS event_kind ON event (kind, id);"
    "CREATE INDEX IF NOT EXISTS event_zone ON event (zone, id);"
    "CREATE INDEX IF NOT EXISTS event_label ON event (label, id);"
    "CREATE INDEX IF NOT EXISTS picture_time ON picture (time);";

YoloEvent *
yolo_event_new (const char *camera, const char *kind)
{
  YoloEvent *event = g_new0 (YoloEvent, 1);

  event->time = g_get_real_time ();
  event->camera = g_strdup (camera);
  event->kind = g_strdup (kind);
  return event;
}

void
yolo_event_free (YoloEvent *event)
{
  if (event == NULL)
    return;
  g_free (event->camera);
  g_free (event->kind);
  g_free (event->zone);
  g_free (event->label);
  g_free (event->details);
  g_free (event);
}

void
yolo_search_clear (YoloSearch *search)
{
  g_free (search->camera);
  g_free (search->kind);
  g_free (search->zone);
  g_free (search->label);
  *search = (YoloSearch) { 0 };
}

static gboolean
fail (YoloStore *store, const char *what, GError **error)
{
  const int code = sqlite3_errcode (store->database) & 0xff;
  const char *path = store->path != NULL ? store->path : "in memory";

  if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
        "cannot %s the events \"%s\": another server has them open; give each a folder of its own",
        what, path);
  else if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
        "cannot %s the events \"%s\": the file is damaged, or of another kind; move it away", what,
        path);
  else if (code == SQLITE_INTERRUPT)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
        "looking through the events takes too long; ask for a shorter time");
  else
    g_set_error (error, G_FILE_ERROR,
        code == SQLITE_FULL ? G_FILE_ERROR_NOSPC : G_FILE_ERROR_IO,
        "cannot %s the events \"%s\": %s", what, path, sqlite3_errmsg (store->database));
  return FALSE;
}

static gboolean
execute (YoloStore *store, const char *sql)
{
  return sqlite3_exec (store->database, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* The number that a statement gives; 0: it gives none. */
static gint64
number_of (sqlite3_stmt *statement)
{
  const gint64 number =
      sqlite3_step (statement) == SQLITE_ROW ? sqlite3_column_int64 (statement, 0) : 0;

  sqlite3_reset (statement);
  return number;
}

/* The same of a text that is run once. */
static gint64
ask (YoloStore *store, const char *sql)
{
  sqlite3_stmt *statement = NULL;
  gint64 number = 0;

  if (sqlite3_prepare_v2 (store->database, sql, -1, &statement, NULL) == SQLITE_OK)
    number = number_of (statement);
  sqlite3_finalize (statement);
  return number;
}

/* Runs a statement with a number for its first place, if it has any. */
static gboolean
run (sqlite3_stmt *statement, gint64 number)
{
  gboolean good;

  if (sqlite3_bind_parameter_count (statement) > 0)
    sqlite3_bind_int64 (statement, 1, number);
  good = sqlite3_step (statement) == SQLITE_DONE;
  sqlite3_reset (statement);
  return good;
}

static gboolean
prepare (YoloStore *store)
{
  const struct {
    sqlite3_stmt **statement;
    const char *sql;
  } all[] = {
    { &store->insert, "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)" },
    { &store->insert_picture, "INSERT OR REPLACE INTO picture VALUES (?, ?, ?)" },
    { &store->picture, "SELECT jpeg FROM picture WHERE id = ?" },
    { &store->old, "DELETE FROM event WHERE time < ?" },
    { &store->old_pictures, "DELETE FROM picture WHERE time < ?" },
    { &store->oldest, "SELECT max(id) FROM (SELECT id FROM event ORDER BY id LIMIT ?)" },
    { &store->drop, "DELETE FROM event WHERE id <= ?" },
    { &store->drop_pictures, "DELETE FROM picture WHERE id <= ?" },
    { &store->pages, "PRAGMA page_count" },
    { &store->free_pages, "PRAGMA freelist_count" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    if (sqlite3_prepare_v2 (store->database, all[i].sql, -1, all[i].statement, NULL) != SQLITE_OK)
      return FALSE;
  return TRUE;
}

/* SQLite asks now and then whether it is to go on; other than 0: it is not. */
static int
on_progress (void *user_data)
{
  YoloStore *store = user_data;

  return store->searching && ++store->calls > MAX_CALLS;
}

/* The folder, and a file that only its owner can read. */
static gboolean
make_file (YoloStore *store, const char *folder, GError **error)
{
  int fd;

  if (g_mkdir_with_parents (folder, 0700) != 0) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_IO,
        "cannot make the folder \"%s\" for events: %s; name another one", folder,
        g_strerror (errno));
    return FALSE;
  }
  store->path = g_build_filename (folder, "events.sqlite", NULL);
  fd = g_open (store->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0)
    close (fd);
  return TRUE;
}

static gboolean
open_database (YoloStore *store, const char *folder, GError **error)
{
  g_autofree char *sign = g_strdup_printf ("PRAGMA application_id = %d", APPLICATION_ID);
  gint64 id;

  if (folder != NULL && !make_file (store, folder, error))
    return FALSE;
  if (sqlite3_open_v2 (store->path != NULL ? store->path : ":memory:", &store->database,
          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK
      || !execute (store, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; "
          "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304; BEGIN EXCLUSIVE"))
    return fail (store, "open", error);
  id = ask (store, "PRAGMA application_id");
  if (id != APPLICATION_ID && ask (store, "SELECT count(*) FROM sqlite_master") > 0) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
        "cannot open the events \"%s\": it is somebody else's database; name another folder",
        store->path);
    return FALSE;
  }
  if (!execute (store, sign) || !execute (store, schema) || !execute (store, "COMMIT")
      || !prepare (store))
    return fail (store, "open", error);
  sqlite3_progress_handler (store->database, STEPS_PER_CALL, on_progress, store);
  return TRUE;
}

YoloStore *
yolo_store_open (const char *folder, guint64 max_bytes, gint64 max_age, GError **error)
{
  YoloStore *store = g_new0 (YoloStore, 1);

  store->max_bytes = max_bytes;
  store->max_age = max_age;
  if (!open_database (store, folder, error)) {
    yolo_store_close (store);
    return NULL;
  }
  return store;
}

void
yolo_store_close (YoloStore *store)
{
  sqlite3_stmt *statement;

  if (store == NULL)
    return;
  while (store->database != NULL
      && (statement = sqlite3_next_stmt (store->database, NULL)) != NULL)
    sqlite3_finalize (statement);
  sqlite3_close (store->database);
  g_free (store->path);
  g_free (store);
}

gint64
yolo_store_last (YoloStore *store)
{
  return ask (store, "SELECT seq FROM sqlite_sequence WHERE name = 'event'");
}

gboolean
yolo_store_begin (YoloStore *store, GError **error)
{
  return execute (store, "BEGIN") || fail (store, "write", error);
}

gboolean
yolo_store_commit (YoloStore *store, GError **error)
{
  return execute (store, "COMMIT") || fail (store, "write", error);
}

void
yolo_store_cancel (YoloStore *store)
{
  if (!sqlite3_get_autocommit (store->database))
    execute (store, "ROLLBACK");
}

static void
bind_text (sqlite3_stmt *statement, int at, const char *text)
{
  /* A NULL pointer is SQL's NULL. */
  sqlite3_bind_text (statement, at, text, -1, SQLITE_STATIC);
}

gboolean
yolo_store_add (YoloStore *store, const YoloEvent *event, GError **error)
{
  sqlite3_stmt *s = store->insert;
  gboolean good;

  sqlite3_bind_int64 (s, 1, event->id);
  sqlite3_bind_int64 (s, 2, event->time);
  bind_text (s, 3, event->camera);
  bind_text (s, 4, event->kind);
  bind_text (s, 5, event->zone);
  bind_text (s, 6, event->label);
  bind_text (s, 7, event->details);
  sqlite3_bind_int64 (s, 8, event->picture);
  good = sqlite3_step (s) == SQLITE_DONE || fail (store, "write", error);
  sqlite3_reset (s);
  sqlite3_clear_bindings (s);
  return good;
}

gboolean
yolo_store_add_picture (YoloStore *store, gint64 id, gint64 time, GBytes *jpeg, GError **error)
{
  sqlite3_stmt *s = store->insert_picture;
  gsize size;
  const void *bytes = g_bytes_get_data (jpeg, &size);
  gboolean good;

  sqlite3_bind_int64 (s, 1, id);
  sqlite3_bind_int64 (s, 2, time);
  sqlite3_bind_blob64 (s, 3, size > 0 ? bytes : "", size, SQLITE_STATIC);
  good = sqlite3_step (s) == SQLITE_DONE || fail (store, "write", error);
  sqlite3_reset (s);
  sqlite3_clear_bindings (s);
  return good;
}

/* How many bytes the file may have: what the settings say, and less on a disk that is nearly
 * full. */
static guint64
allowed_bytes (const YoloStore *store, guint64 size)
{
  struct statvfs disk;
  guint64 room;

  if (store->path == NULL || statvfs (store->path, &disk) != 0)
    return store->max_bytes;
  room = (guint64) disk.f_bavail * disk.f_frsize;
  return MIN (store->max_bytes, size + room > MIN_FREE ? size + room - MIN_FREE : 0);
}

gboolean
yolo_store_clean (YoloStore *store, gint64 now, GError **error)
{
  const guint64 page = (guint64) ask (store, "PRAGMA page_size");

  if (!run (store->old, now - store->max_age) || !run (store->old_pictures, now - store->max_age))
    return fail (store, "write", error);
  for (;;) {
    const guint64 size = page * (guint64) number_of (store->pages);
    const guint64 used = size - page * (guint64) number_of (store->free_pages);
    gint64 oldest;

    if (used <= allowed_bytes (store, size))
      return TRUE;
    sqlite3_bind_int64 (store->oldest, 1, CHUNK);
    oldest = number_of (store->oldest);
    /* Empty tables take some pages as well. */
    if (oldest == 0)
      return TRUE;
    if (!run (store->drop, oldest) || !run (store->drop_pictures, oldest))
      return fail (store, "write", error);
  }
}

static void
bind_search (sqlite3_stmt *statement, const YoloSearch *search)
{
  /* Those that the text does not have are refused, and nothing else happens. */
  bind_text (statement, 1, search->camera);
  bind_text (statement, 2, search->kind);
  bind_text (statement, 3, search->zone);
  bind_text (statement, 4, search->label);
  sqlite3_bind_int64 (statement, 5, search->from);
  sqlite3_bind_int64 (statement, 6, search->until);
  sqlite3_bind_int64 (statement, 7, search->below);
  sqlite3_bind_int64 (statement, 8, search->limit);
  sqlite3_bind_int64 (statement, 9, search->above);
}

/* A statement with what is asked for alone, so that SQLite takes an index for it. */
static char *
search_text (const YoloSearch *search)
{
  GString *sql = g_string_new ("SELECT id, time, camera, kind, zone, label, details, "
      "CASE WHEN EXISTS (SELECT 1 FROM picture WHERE picture.id = event.picture) "
      "THEN picture ELSE 0 END FROM event WHERE id < ?7 AND id > ?9");

  if (search->camera != NULL)
    g_string_append (sql, " AND camera = ?1");
  if (search->kind != NULL)
    g_string_append (sql, " AND kind = ?2");
  if (search->zone != NULL)
    g_string_append (sql, " AND zone = ?3");
  if (search->label != NULL)
    g_string_append (sql, " AND label = ?4");
  if (search->from > 0)
    g_string_append (sql, " AND time >= ?5");
  if (search->until < G_MAXINT64)
    g_string_append (sql, " AND time < ?6");
  g_string_append (sql, " ORDER BY id DESC LIMIT ?8");
  return g_string_free (sql, FALSE);
}

static YoloEvent *
read_event (sqlite3_stmt *statement)
{
  YoloEvent *event = g_new0 (YoloEvent, 1);

  event->id = sqlite3_column_int64 (statement, 0);
  event->time = sqlite3_column_int64 (statement, 1);
  event->camera = g_strdup ((const char *) sqlite3_column_text (statement, 2));
  event->kind = g_strdup ((const char *) sqlite3_column_text (statement, 3));
  event->zone = g_strdup ((const char *) sqlite3_column_text (statement, 4));
  event->label = g_strdup ((const char *) sqlite3_column_text (statement, 5));
  event->details = g_strdup ((const char *) sqlite3_column_text (statement, 6));
  event->picture = sqlite3_column_int64 (statement, 7);
  return event;
}

GPtrArray *
yolo_store_search (YoloStore *store, const YoloSearch *search, GError **error)
{
  g_autofree char *sql = search_text (search);
  g_autoptr (GPtrArray) events =
      g_ptr_array_new_with_free_func ((GDestroyNotify) yolo_event_free);
  sqlite3_stmt *statement = NULL;
  int result = SQLITE_ERROR;

  store->calls = 0;
  store->searching = TRUE;
  if (sqlite3_prepare_v2 (store->database, sql, -1, &statement, NULL) == SQLITE_OK) {
    bind_search (statement, search);
    while ((result = sqlite3_step (statement)) == SQLITE_ROW)
      g_ptr_array_add (events, read_event (statement));
  }
  if (result != SQLITE_DONE)
    fail (store, "read", error);
  sqlite3_finalize (statement);
  store->searching = FALSE;
  return result == SQLITE_DONE ? g_steal_pointer (&events) : NULL;
}

GBytes *
yolo_store_picture (YoloStore *store, gint64 id, GError **error)
{
  sqlite3_stmt *s = store->picture;
  GBytes *jpeg = NULL;
  int result;

  sqlite3_bind_int64 (s, 1, id);
  result = sqlite3_step (s);
  if (result == SQLITE_ROW)
    jpeg = g_bytes_new (sqlite3_column_blob (s, 0), (gsize) sqlite3_column_bytes (s, 0));
  else if (result != SQLITE_DONE)
    fail (store, "read", error);
  sqlite3_reset (s);
  return jpeg;
}
