/* SPDX-License-Identifier: MIT */
/* One file in SQLite's write-ahead mode: what was committed is on its way to the disk, which
 * kill -9 does not stop, and synced when the log is merged into the file. Pictures are rows as
 * well: no name reaches the file system, no file is left without its event, and what is deleted
 * makes room for what comes, so that the file does not grow beyond its limit. Video is files of
 * its own, since it is large; a row knows of each, and what one lacks of the other goes when the
 * program starts.
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
  char *folder;                 /* NULL: in memory */
  guint64 max_recorded;         /* bytes of recordings */
  gint64 max_recorded_age;
  gint64 film_bytes[2];         /* of recordings, and of clips; -1: to be summed up */
  sqlite3_stmt *insert_film, *update_film, *film, *oldest_film, *old_films, *lone_clips,
      *drop_film, *sum_films, *oldest_clip;
  sqlite3_stmt *insert, *insert_picture, *picture, *old, *old_pictures, *oldest, *drop,
      *drop_pictures, *pages, *free_pages;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "time INTEGER NOT NULL, camera TEXT NOT NULL, kind TEXT NOT NULL, zone TEXT, label TEXT, "
    "details TEXT, picture INTEGER NOT NULL, clip INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE IF NOT EXISTS picture (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, "
    "jpeg BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS film (id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "clip INTEGER NOT NULL, camera TEXT NOT NULL, begin INTEGER NOT NULL, end INTEGER NOT NULL, "
    "bytes INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS film_begin ON film (clip, begin);"
    "CREATE INDEX IF NOT EXISTS film_camera ON film (camera, begin);"
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

YoloFilm *
yolo_film_copy (const YoloFilm *film)
{
  YoloFilm *copy = g_memdup2 (film, sizeof *film);

  copy->camera = g_strdup (film->camera);
  return copy;
}

void
yolo_film_free (YoloFilm *film)
{
  if (film == NULL)
    return;
  g_free (film->camera);
  g_free (film);
}

char *
yolo_film_path (const char *folder, gboolean clip, gint64 id)
{
  return g_strdup_printf ("%s/%s/%" G_GINT64_FORMAT ".mp4", folder,
      clip ? "clips" : "recordings", id);
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
    { &store->insert, "INSERT INTO event (id, time, camera, kind, zone, label, details, "
      "picture, clip) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)" },
    { &store->insert_film, "INSERT INTO film VALUES (?, ?, ?, ?, ?, ?)" },
    { &store->update_film, "UPDATE film SET end = ?2, bytes = ?3 WHERE id = ?1" },
    { &store->film, "SELECT id, clip, bytes FROM film WHERE id = ?" },
    { &store->oldest_film, "SELECT id FROM film WHERE clip = ? ORDER BY begin LIMIT 1" },
    { &store->old_films, "SELECT id FROM film WHERE clip = ?1 AND begin < ?2 AND end > 0 LIMIT 1" },
    { &store->lone_clips, "SELECT id FROM film WHERE clip = 1 AND id <= ? AND NOT EXISTS "
      "(SELECT 1 FROM event WHERE event.clip = film.id) LIMIT 1" },
    { &store->drop_film, "DELETE FROM film WHERE id = ?" },
    { &store->sum_films, "SELECT total(bytes) FROM film WHERE clip = ?" },
    { &store->oldest_clip, "SELECT max(clip) FROM event WHERE id <= ?" },
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

/* A table that an earlier version made has no clips. */
static gboolean
add_clips (YoloStore *store)
{
  return ask (store, "SELECT count(*) FROM pragma_table_info('event') WHERE name = 'clip'") > 0
      || execute (store, "ALTER TABLE event ADD COLUMN clip INTEGER NOT NULL DEFAULT 0");
}

/* Forgets and removes a film. */
static gboolean
drop_film (YoloStore *store, gint64 id)
{
  gint64 bytes = 0;
  gboolean clip = FALSE;

  sqlite3_bind_int64 (store->film, 1, id);
  if (sqlite3_step (store->film) == SQLITE_ROW) {
    clip = sqlite3_column_int (store->film, 1);
    bytes = sqlite3_column_int64 (store->film, 2);
  }
  sqlite3_reset (store->film);
  if (store->folder != NULL) {
    g_autofree char *path = yolo_film_path (store->folder, clip, id);
    g_unlink (path);
  }
  if (store->film_bytes[clip] >= 0)
    store->film_bytes[clip] -= bytes;
  return run (store->drop_film, id);
}

/* What the program that was here before did not end: its rows learn how large their files have
 * become, and rows without a file go. */
static void
mend_rows (YoloStore *store)
{
  sqlite3_stmt *all = NULL;

  if (sqlite3_prepare_v2 (store->database, "SELECT id, clip, end FROM film", -1, &all, NULL)
      != SQLITE_OK)
    return;
  while (sqlite3_step (all) == SQLITE_ROW) {
    const gint64 id = sqlite3_column_int64 (all, 0);
    g_autofree char *path = yolo_film_path (store->folder, sqlite3_column_int (all, 1), id);
    GStatBuf status;

    if (g_stat (path, &status) != 0 || status.st_size == 0) {
      drop_film (store, id);
    } else if (sqlite3_column_int64 (all, 2) == 0) {
      YoloFilm film = { .id = id, .end = (gint64) status.st_mtime * G_USEC_PER_SEC,
        .bytes = status.st_size };

      yolo_store_put_film (store, &film, NULL);
    }
  }
  sqlite3_finalize (all);
}

/* Removes files that no row knows of; what is not named by a number is somebody else's. */
static void
mend_files (YoloStore *store, gboolean clip)
{
  g_autofree char *one = yolo_film_path (store->folder, clip, 1);
  g_autofree char *folder = g_path_get_dirname (one);
  GDir *files = g_dir_open (folder, 0, NULL);
  const char *name;

  while (files != NULL && (name = g_dir_read_name (files)) != NULL) {
    g_autofree char *number = g_strndup (name, strcspn (name, "."));
    guint64 id;

    if (!g_str_has_suffix (name, ".mp4") || strlen (name) != strlen (number) + strlen (".mp4")
        || !g_ascii_string_to_unsigned (number, 10, 1, G_MAXINT64, &id, NULL))
      continue;
    sqlite3_bind_int64 (store->film, 1, (gint64) id);
    if (number_of (store->film) == 0) {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_unlink (path);
    }
  }
  g_clear_pointer (&files, g_dir_close);
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
  if (!execute (store, sign) || !execute (store, schema) || !add_clips (store)
      || !execute (store, "CREATE INDEX IF NOT EXISTS event_clip ON event (clip) WHERE clip > 0")
      || !execute (store, "COMMIT") || !prepare (store))
    return fail (store, "open", error);
  if (folder != NULL) {
    mend_rows (store);
    mend_files (store, FALSE);
    mend_files (store, TRUE);
  }
  sqlite3_progress_handler (store->database, STEPS_PER_CALL, on_progress, store);
  return TRUE;
}

YoloStore *
yolo_store_open (const char *folder, guint64 max_bytes, gint64 max_age, GError **error)
{
  YoloStore *store = g_new0 (YoloStore, 1);

  store->max_bytes = max_bytes;
  store->max_age = max_age;
  store->folder = g_strdup (folder);
  store->max_recorded = G_MAXUINT64;
  store->max_recorded_age = G_MAXINT64 / 2;
  store->film_bytes[0] = store->film_bytes[1] = -1;
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
  g_free (store->folder);
  g_free (store);
}

void
yolo_store_limit_recordings (YoloStore *store, guint64 max_bytes, gint64 max_age)
{
  store->max_recorded = max_bytes;
  store->max_recorded_age = max_age;
}

gint64
yolo_store_last (YoloStore *store)
{
  return ask (store, "SELECT seq FROM sqlite_sequence WHERE name = 'event'");
}

gint64
yolo_store_last_film (YoloStore *store)
{
  return ask (store, "SELECT seq FROM sqlite_sequence WHERE name = 'film'");
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
  store->film_bytes[0] = store->film_bytes[1] = -1;
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
  sqlite3_bind_int64 (s, 9, event->clip);
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

gboolean
yolo_store_add_film (YoloStore *store, const YoloFilm *film, GError **error)
{
  sqlite3_stmt *s = store->insert_film;
  gboolean good;

  sqlite3_bind_int64 (s, 1, film->id);
  sqlite3_bind_int (s, 2, film->clip);
  bind_text (s, 3, film->camera);
  sqlite3_bind_int64 (s, 4, film->begin);
  sqlite3_bind_int64 (s, 5, film->end);
  sqlite3_bind_int64 (s, 6, film->bytes);
  good = sqlite3_step (s) == SQLITE_DONE || fail (store, "write", error);
  sqlite3_reset (s);
  sqlite3_clear_bindings (s);
  if (store->film_bytes[film->clip] >= 0)
    store->film_bytes[film->clip] += film->bytes;
  return good;
}

gboolean
yolo_store_put_film (YoloStore *store, const YoloFilm *film, GError **error)
{
  sqlite3_stmt *s = store->update_film;
  gboolean good;

  if (film->end != 0 && film->bytes == 0)
    return drop_film (store, film->id) || fail (store, "write", error);
  sqlite3_bind_int64 (s, 1, film->id);
  sqlite3_bind_int64 (s, 2, film->end);
  sqlite3_bind_int64 (s, 3, film->bytes);
  good = sqlite3_step (s) == SQLITE_DONE || fail (store, "write", error);
  sqlite3_reset (s);
  store->film_bytes[film->clip] = -1;
  return good;
}

/* Bytes that files of video take on the disk. */
static guint64
film_bytes (YoloStore *store, gboolean clip)
{
  if (store->film_bytes[clip] < 0) {
    sqlite3_bind_int (store->sum_films, 1, clip);
    store->film_bytes[clip] = number_of (store->sum_films);
  }
  return MAX (store->film_bytes[clip], 0);
}

/* How many bytes what takes @size of the disk may take: @max, and less on a disk that is nearly
 * full. */
static guint64
allowed_bytes (const YoloStore *store, guint64 max, guint64 size)
{
  struct statvfs disk;
  guint64 room;

  if (store->path == NULL || statvfs (store->path, &disk) != 0)
    return max;
  room = (guint64) disk.f_bavail * disk.f_frsize;
  return MIN (max, size + room > MIN_FREE ? size + room - MIN_FREE : 0);
}

/* Removes films of a kind that began before a time. One that is being written stays. */
static gboolean
drop_old_films (YoloStore *store, gboolean clip, gint64 before)
{
  gint64 id;

  do {
    sqlite3_bind_int (store->old_films, 1, clip);
    sqlite3_bind_int64 (store->old_films, 2, before);
    id = number_of (store->old_films);
  } while (id != 0 && drop_film (store, id));
  return id == 0;
}

static gboolean
drop_oldest_film (YoloStore *store, gboolean clip)
{
  gint64 id;

  sqlite3_bind_int (store->oldest_film, 1, clip);
  id = number_of (store->oldest_film);
  return id != 0 && drop_film (store, id);
}

/* Removes the oldest events, and clips that show no other ones. FALSE: there is nothing left. */
static gboolean
drop_oldest (YoloStore *store)
{
  gint64 oldest, clip;

  sqlite3_bind_int64 (store->oldest, 1, CHUNK);
  oldest = number_of (store->oldest);
  if (oldest == 0)
    return drop_oldest_film (store, TRUE);
  sqlite3_bind_int64 (store->oldest_clip, 1, oldest);
  clip = number_of (store->oldest_clip);
  if (!run (store->drop, oldest) || !run (store->drop_pictures, oldest))
    return FALSE;
  for (;;) {
    gint64 lone;

    sqlite3_bind_int64 (store->lone_clips, 1, clip);
    lone = number_of (store->lone_clips);
    if (lone == 0)
      return TRUE;
    if (!drop_film (store, lone))
      return FALSE;
  }
}

gboolean
yolo_store_clean (YoloStore *store, gint64 now, GError **error)
{
  const guint64 page = (guint64) ask (store, "PRAGMA page_size");

  if (!run (store->old, now - store->max_age) || !run (store->old_pictures, now - store->max_age)
      || !drop_old_films (store, TRUE, now - store->max_age)
      || !drop_old_films (store, FALSE, now - store->max_recorded_age))
    return fail (store, "write", error);
  while (film_bytes (store, FALSE)
      > allowed_bytes (store, store->max_recorded, film_bytes (store, FALSE))
      && drop_oldest_film (store, FALSE));
  for (;;) {
    const guint64 clips = film_bytes (store, TRUE);
    const guint64 size = page * (guint64) number_of (store->pages);
    const guint64 used = size - page * (guint64) number_of (store->free_pages);

    if (used + clips <= allowed_bytes (store, store->max_bytes, size + clips))
      return TRUE;
    /* Empty tables take some pages as well. */
    if (!drop_oldest (store))
      return sqlite3_errcode (store->database) == SQLITE_OK
          || sqlite3_errcode (store->database) == SQLITE_DONE
          || sqlite3_errcode (store->database) == SQLITE_ROW || fail (store, "write", error);
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

#define SELECT_EVENTS "SELECT id, time, camera, kind, zone, label, details, " \
    "CASE WHEN EXISTS (SELECT 1 FROM picture WHERE picture.id = event.picture) " \
    "THEN picture ELSE 0 END, " \
    "CASE WHEN EXISTS (SELECT 1 FROM film WHERE film.id = event.clip) THEN clip ELSE 0 END"
#define SELECT_HOURS "SELECT time / 3600000000 AS hour, count(*), " \
    "max(json_extract(details, '$.occupancy'))"

/* A statement with what is asked for alone, so that SQLite takes an index for it. */
static char *
search_text (const char *select, const YoloSearch *search, const char *order)
{
  GString *sql = g_string_new (select);

  g_string_append (sql, " FROM event WHERE id < ?7 AND id > ?9");
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
  g_string_append (sql, order);
  return g_string_free (sql, FALSE);
}

static gpointer
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
  event->clip = sqlite3_column_int64 (statement, 8);
  return event;
}

static gpointer
read_film (sqlite3_stmt *statement)
{
  YoloFilm *film = g_new0 (YoloFilm, 1);

  film->id = sqlite3_column_int64 (statement, 0);
  film->clip = sqlite3_column_int (statement, 1);
  film->camera = g_strdup ((const char *) sqlite3_column_text (statement, 2));
  film->begin = sqlite3_column_int64 (statement, 3);
  film->end = sqlite3_column_int64 (statement, 4);
  film->bytes = sqlite3_column_int64 (statement, 5);
  return film;
}

static gpointer
read_hour (sqlite3_stmt *statement)
{
  YoloHour *hour = g_new0 (YoloHour, 1);

  hour->time = sqlite3_column_int64 (statement, 0) * 3600 * G_USEC_PER_SEC;
  hour->events = sqlite3_column_int64 (statement, 1);
  hour->occupancy = sqlite3_column_type (statement, 2) == SQLITE_INTEGER
      ? sqlite3_column_int64 (statement, 2) : -1;
  return hour;
}

/* Runs a statement, which it takes; @read makes an item out of a row. */
static GPtrArray *
find (YoloStore *store, char *text, const YoloSearch *search, gpointer (*read) (sqlite3_stmt *),
    GDestroyNotify free_item, GError **error)
{
  g_autofree char *sql = text;
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (free_item);
  sqlite3_stmt *statement = NULL;
  int result = SQLITE_ERROR;

  store->calls = 0;
  store->searching = TRUE;
  if (sqlite3_prepare_v2 (store->database, sql, -1, &statement, NULL) == SQLITE_OK) {
    bind_search (statement, search);
    while ((result = sqlite3_step (statement)) == SQLITE_ROW)
      g_ptr_array_add (found, read (statement));
  }
  if (result != SQLITE_DONE)
    fail (store, "read", error);
  sqlite3_finalize (statement);
  store->searching = FALSE;
  return result == SQLITE_DONE ? g_steal_pointer (&found) : NULL;
}

GPtrArray *
yolo_store_search (YoloStore *store, const YoloSearch *search, GError **error)
{
  return find (store, search_text (SELECT_EVENTS, search, " ORDER BY id DESC LIMIT ?8"), search,
      read_event, (GDestroyNotify) yolo_event_free, error);
}

GPtrArray *
yolo_store_hours (YoloStore *store, const YoloSearch *search, GError **error)
{
  return find (store, search_text (SELECT_HOURS, search, " GROUP BY hour ORDER BY hour"), search,
      read_hour, g_free, error);
}

GPtrArray *
yolo_store_recordings (YoloStore *store, const YoloSearch *search, GError **error)
{
  char *sql = g_strdup_printf ("SELECT id, clip, camera, begin, end, bytes FROM film "
      "WHERE clip = 0 AND id < ?7 AND id > ?9%s AND (end = 0 OR end > ?5) AND begin < ?6 "
      "ORDER BY id DESC LIMIT ?8", search->camera != NULL ? " AND camera = ?1" : "");

  return find (store, sql, search, read_film, (GDestroyNotify) yolo_film_free, error);
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
