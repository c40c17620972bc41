/* SPDX-License-Identifier: MIT */
/* What yolo-server keeps events in: what is found, what goes and when, and files that are none. */

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "pipelines/server/store.h"

#define DAY ((gint64) 24 * 3600 * G_USEC_PER_SEC)
#define NOW ((gint64) 20000 * DAY)

static char *top;               /* a folder of the test's own */

static void
add (YoloStore *store, gint64 id, gint64 time, const char *camera, const char *kind,
    const char *zone, const char *label)
{
  g_autoptr (YoloEvent) event = yolo_event_new (camera, kind);
  g_autoptr (GError) error = NULL;

  event->id = id;
  event->time = time;
  event->zone = g_strdup (zone);
  event->label = g_strdup (label);
  event->details = g_strdup ("{\"track\":7}");
  event->picture = id;
  yolo_store_add (store, event, &error);
  g_assert_no_error (error);
}

/* A picture of @size bytes, each the number's last one. */
static void
add_picture (YoloStore *store, gint64 id, gint64 time, gsize size)
{
  guint8 *bytes = g_malloc (size);
  g_autoptr (GBytes) jpeg = NULL;
  g_autoptr (GError) error = NULL;

  memset (bytes, (int) (id & 255), size);
  jpeg = g_bytes_new_take (bytes, size);
  yolo_store_add_picture (store, id, time, jpeg, &error);
  g_assert_no_error (error);
}

/* The numbers of what is found, "9 7 3". */
static char *
find (YoloStore *store, YoloSearch search)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) events = NULL;
  GString *text = g_string_new (NULL);

  if (search.until == 0)
    search.until = G_MAXINT64;
  if (search.below == 0)
    search.below = G_MAXINT64;
  if (search.limit == 0)
    search.limit = 10000;
  events = yolo_store_search (store, &search, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < events->len; i++)
    g_string_append_printf (text, "%s%" G_GINT64_FORMAT, i > 0 ? " " : "",
        ((const YoloEvent *) g_ptr_array_index (events, i))->id);
  return g_string_free (text, FALSE);
}

static void
assert_found (YoloStore *store, YoloSearch search, const char *numbers)
{
  g_autofree char *found = find (store, search);

  g_assert_cmpstr (found, ==, numbers);
}

static YoloStore *
open_store (const char *folder, guint64 max_bytes, gint64 max_age)
{
  g_autoptr (GError) error = NULL;
  YoloStore *store = yolo_store_open (folder, max_bytes, max_age, &error);

  g_assert_no_error (error);
  return store;
}

static void
test_search (void)
{
  YoloStore *store = open_store (NULL, 1 << 30, DAY);

  add (store, 1, NOW + 10, "a", "cross", "gate", "person");
  add (store, 2, NOW + 20, "b", "cross", "gate", "car");
  add (store, 3, NOW + 30, "a", "up", NULL, NULL);
  add (store, 4, NOW + 25, "a", "enter", "it's \"; DROP", "person");
  assert_found (store, (YoloSearch) { 0 }, "4 3 2 1");
  assert_found (store, (YoloSearch) { .camera = "a" }, "4 3 1");
  assert_found (store, (YoloSearch) { .camera = "a", .kind = "cross" }, "1");
  assert_found (store, (YoloSearch) { .label = "person" }, "4 1");
  assert_found (store, (YoloSearch) { .zone = "gate" }, "2 1");
  assert_found (store, (YoloSearch) { .zone = "it's \"; DROP" }, "4");
  assert_found (store, (YoloSearch) { .from = NOW + 20 }, "4 3 2");
  assert_found (store, (YoloSearch) { .from = NOW + 20, .until = NOW + 30 }, "4 2");
  assert_found (store, (YoloSearch) { .below = 4, .limit = 2 }, "3 2");
  assert_found (store, (YoloSearch) { .above = 2, .below = 4 }, "3");
  assert_found (store, (YoloSearch) { .camera = "nobody" }, "");
  yolo_store_close (store);
}

static void
test_hours (void)
{
  const gint64 hour = DAY / 24;
  const YoloSearch search = { .camera = (char *) "a", .until = NOW + 2 * hour,
    .below = G_MAXINT64 };
  YoloStore *store = open_store (NULL, 1 << 30, DAY);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) found = NULL;
  const gint64 expected[][3] = { { NOW - hour, 1, -1 }, { NOW, 3, 5 } };

  add (store, 1, NOW - 1, "a", "cross", "gate", "person");
  for (gint64 id = 2; id < 8; id++) {
    g_autoptr (YoloEvent) event = yolo_event_new (id == 5 ? "b" : "a", "enter");

    event->id = id;
    event->time = NOW + (id < 6 ? id * hour / 10 : id * hour);
    event->details = g_strdup_printf ("{\"occupancy\":%d}", id == 3 ? 5 : id == 5 ? 9 : 2);
    g_assert_true (yolo_store_add (store, event, NULL));
  }
  found = yolo_store_hours (store, &search, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (found->len, ==, G_N_ELEMENTS (expected));
  for (guint i = 0; i < found->len; i++) {
    const YoloHour *at = g_ptr_array_index (found, i);

    g_assert_cmpint (at->time, ==, expected[i][0]);
    g_assert_cmpint (at->events, ==, expected[i][1]);
    g_assert_cmpint (at->occupancy, ==, expected[i][2]);
  }
  yolo_store_close (store);
}

static void
test_reopen (void)
{
  g_autofree char *folder = g_build_filename (top, "new", "folder", NULL);
  g_autofree char *path = g_build_filename (folder, "events.sqlite", NULL);
  YoloStore *store = open_store (folder, 1 << 30, DAY);
  g_autoptr (GError) error = NULL;
  struct stat status;

  g_assert_cmpint (yolo_store_last (store), ==, 0);
  add (store, 1, NOW, "a", "cross", "gate", "person");
  add_picture (store, 1, NOW, 100);
  /* Who else opens it is told why that does not do. */
  g_assert_null (yolo_store_open (folder, 1 << 30, DAY, &error));
  g_assert_nonnull (strstr (error->message, "another server has them open"));
  yolo_store_close (store);
  g_assert_cmpint (g_stat (path, &status), ==, 0);
  g_assert_cmpint (status.st_mode & 0777, ==, 0600);
  store = open_store (folder, 1 << 30, DAY);
  assert_found (store, (YoloSearch) { 0 }, "1");
  g_autoptr (GBytes) jpeg = yolo_store_picture (store, 1, NULL);
  g_assert_cmpuint (g_bytes_get_size (jpeg), ==, 100);
  g_assert_null (yolo_store_picture (store, 2, NULL));
  /* A number is not given twice, even when all events have gone. */
  g_assert_true (yolo_store_clean (store, NOW + 2 * DAY, NULL));
  assert_found (store, (YoloSearch) { 0 }, "");
  yolo_store_close (store);
  store = open_store (folder, 1 << 30, DAY);
  g_assert_cmpint (yolo_store_last (store), ==, 1);
  yolo_store_close (store);
}

/* What was committed is there after kill -9, what was not is not. */
static void
test_killed (void)
{
  g_autofree char *folder = g_build_filename (top, "killed", NULL);
  const pid_t child = fork ();
  YoloStore *store;
  int status;

  if (child == 0) {
    store = yolo_store_open (folder, 1 << 30, DAY, NULL);
    yolo_store_begin (store, NULL);
    add (store, 1, NOW, "a", "cross", "gate", "person");
    add_picture (store, 1, NOW, 100);
    yolo_store_commit (store, NULL);
    yolo_store_begin (store, NULL);
    add (store, 2, NOW, "a", "cross", "gate", "person");
    kill (getpid (), SIGKILL);
  }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFSIGNALED (status));
  store = open_store (folder, 1 << 30, DAY);
  assert_found (store, (YoloSearch) { 0 }, "1");
  yolo_store_close (store);
}

static void
test_age (void)
{
  YoloStore *store = open_store (NULL, 1 << 30, DAY);

  for (int i = 1; i <= 4; i++) {
    add (store, i, NOW + i, "a", "cross", "gate", "person");
    add_picture (store, i, NOW + i, 10);
  }
  g_assert_true (yolo_store_clean (store, NOW + DAY + 3, NULL));
  assert_found (store, (YoloSearch) { 0 }, "4 3");
  g_assert_null (yolo_store_picture (store, 2, NULL));
  yolo_store_close (store);
}

/* The newest stay, and the file does not grow: each picture lies beside its event, or nowhere. */
static void
test_size (void)
{
  const guint64 limit = 1 << 20;
  g_autofree char *folder = g_build_filename (top, "size", NULL);
  g_autofree char *path = g_build_filename (folder, "events.sqlite", NULL);
  YoloStore *store = open_store (folder, limit, DAY);
  g_autoptr (GPtrArray) events = NULL;
  const guint full = limit / 20000;     /* the events that fit, if nothing else took room */
  const YoloSearch all = { .until = G_MAXINT64, .below = G_MAXINT64, .limit = 10000 };
  struct statvfs disk;
  struct stat status;

  for (int i = 1; i <= 1000; i++) {
    g_assert_true (yolo_store_begin (store, NULL));
    add (store, i, NOW + i, "a", "cross", "gate", "person");
    add_picture (store, i, NOW + i, 20000);
    g_assert_true (yolo_store_clean (store, NOW + i, NULL));
    g_assert_true (yolo_store_commit (store, NULL));
  }
  events = yolo_store_search (store, &all, NULL);
  g_test_message ("%u events stay", events->len);
  g_assert_cmpuint (events->len, <=, full);
  /* The oldest go by eights. A disk that is nearly full has no room for as many. */
  if (statvfs (folder, &disk) == 0 && (guint64) disk.f_bavail * disk.f_frsize >> 30 > 0)
    g_assert_cmpuint (events->len, >, full / 2);
  for (guint i = 0; i < events->len; i++) {
    const YoloEvent *event = g_ptr_array_index (events, i);
    g_autoptr (GBytes) jpeg = yolo_store_picture (store, event->picture, NULL);

    g_assert_cmpint (event->id, ==, 1000 - (int) i);
    g_assert_cmpuint (((const guint8 *) g_bytes_get_data (jpeg, NULL))[9], ==, event->id & 255);
  }
  g_assert_null (yolo_store_picture (store, 1000 - events->len, NULL));
  yolo_store_close (store);
  g_assert_cmpint (g_stat (path, &status), ==, 0);
  g_assert_cmpuint ((guint64) status.st_size, <, limit + 100000);
}

/* Adds a film of @size bytes with its file. */
static void
add_film (YoloStore *store, const char *folder, gint64 id, gboolean clip, gint64 begin, gsize size)
{
  YoloFilm film = { .id = id, .clip = clip, .camera = (char *) "a", .begin = begin };
  g_autofree char *path = yolo_film_path (folder, clip, id);
  g_autofree char *inner = g_path_get_dirname (path);
  g_autofree char *bytes = g_malloc0 (size + 1);

  g_assert_cmpint (g_mkdir_with_parents (inner, 0700), ==, 0);
  g_assert_true (g_file_set_contents (path, bytes, (gssize) size, NULL));
  g_assert_true (yolo_store_add_film (store, &film, NULL));
  film.end = begin + 5;
  film.bytes = (gint64) size;
  g_assert_true (yolo_store_put_film (store, &film, NULL));
}

static gboolean
has_file (const char *folder, gint64 id, gboolean clip)
{
  g_autofree char *path = yolo_film_path (folder, clip, id);

  return g_file_test (path, G_FILE_TEST_EXISTS);
}

/* The clip of an event as a search tells it; 0: none. */
static gint64
clip_of (YoloStore *store, gint64 id)
{
  const YoloSearch one = { .until = G_MAXINT64, .above = id - 1, .below = id + 1, .limit = 1 };
  g_autoptr (GPtrArray) events = yolo_store_search (store, &one, NULL);

  g_assert_cmpuint (events->len, ==, 1);
  return ((const YoloEvent *) g_ptr_array_index (events, 0))->clip;
}

static void
add_with_clip (YoloStore *store, gint64 id, gint64 time, gint64 clip)
{
  g_autoptr (YoloEvent) event = yolo_event_new ("a", "cross");

  event->id = id;
  event->time = time;
  event->clip = clip;
  g_assert_true (yolo_store_add (store, event, NULL));
}

/* Clips go with their events, one that events share with the last of them; what is old goes; what
 * is recorded goes by limits of its own. */
static void
test_films (void)
{
  g_autofree char *folder = g_build_filename (top, "films", NULL);
  g_autoptr (GPtrArray) found = NULL;
  YoloSearch all = { .until = G_MAXINT64, .below = G_MAXINT64, .limit = 100 };
  YoloFilm under_way = { .id = 300, .camera = (char *) "b", .begin = NOW };
  YoloStore *store = open_store (folder, 1 << 20, DAY);
  struct statvfs disk;

  if (statvfs (folder, &disk) == 0 && (guint64) disk.f_bavail * disk.f_frsize >> 30 == 0) {
    g_test_skip ("the disk is nearly full, where all goes at once");
    yolo_store_close (store);
    return;
  }
  yolo_store_limit_recordings (store, 250000, 10 * DAY);
  /* Twenty events with clips of 100 kB, of which 2 and 3 share one, 4 and 5, and so on: 1 MB has
   * room for nine clips, and events go by eight, the last of which shares its clip with one that
   * stays. */
  for (int i = 1; i <= 20; i++) {
    const gboolean shares = i > 1 && i % 2 != 0;

    if (!shares)
      add_film (store, folder, i, TRUE, NOW + i, 100000);
    add_with_clip (store, i, NOW + i, i - shares);
    g_assert_true (yolo_store_clean (store, NOW + i, NULL));
  }
  g_assert_cmpint (clip_of (store, 20), ==, 20);
  g_assert_true (has_file (folder, 20, TRUE));
  g_assert_false (has_file (folder, 1, TRUE));
  {
    g_autofree char *left = find (store, (YoloSearch) { 0 });
    const gint64 oldest = g_ascii_strtoll (strrchr (left, ' ') + 1, NULL, 10);

    g_assert_cmpint (oldest, ==, 9);
    for (gint64 i = 2; i <= 20; i += 2)
      g_assert_cmpint (has_file (folder, i, TRUE), ==, i + 1 >= oldest);
  }
  for (int i = 101; i <= 104; i++)
    add_film (store, folder, i, FALSE, NOW + i, 100000);
  g_assert_true (yolo_store_clean (store, NOW + 30, NULL));
  found = yolo_store_recordings (store, &all, NULL);
  g_assert_cmpuint (found->len, ==, 2);
  g_assert_cmpint (((const YoloFilm *) g_ptr_array_index (found, 0))->id, ==, 104);
  g_assert_true (has_file (folder, 103, FALSE) && !has_file (folder, 102, FALSE));
  g_clear_pointer (&found, g_ptr_array_unref);
  all.from = NOW + 109;         /* when 104 has ended */
  found = yolo_store_recordings (store, &all, NULL);
  g_assert_cmpuint (found->len, ==, 0);
  /* By age: clips by that of events. */
  g_assert_true (yolo_store_clean (store, NOW + 2 * DAY, NULL));
  assert_found (store, (YoloSearch) { 0 }, "");
  g_assert_false (has_file (folder, 20, TRUE));
  g_assert_true (has_file (folder, 104, FALSE));
  /* A program that was killed: what it was writing has a size now, what has no row goes. */
  g_assert_true (yolo_store_add_film (store, &under_way, NULL));
  yolo_store_close (store);
  {
    g_autofree char *path = yolo_film_path (folder, FALSE, 300);
    g_autofree char *other = yolo_film_path (folder, TRUE, 400);

    g_assert_true (g_file_set_contents (path, "12345", 5, NULL));
    g_assert_true (g_file_set_contents (other, "12345", 5, NULL));
  }
  store = open_store (folder, 1 << 20, DAY);
  g_assert_cmpint (yolo_store_last_film (store), ==, 300);
  g_assert_false (has_file (folder, 400, TRUE));
  g_clear_pointer (&found, g_ptr_array_unref);
  all.from = 0;
  all.camera = (char *) "b";
  found = yolo_store_recordings (store, &all, NULL);
  g_assert_cmpuint (found->len, ==, 1);
  g_assert_cmpint (((const YoloFilm *) g_ptr_array_index (found, 0))->bytes, ==, 5);
  g_assert_cmpint (((const YoloFilm *) g_ptr_array_index (found, 0))->end, >, 0);
  yolo_store_close (store);
}

/* A file of the version before has no clips, and is taken on. */
static void
test_earlier (void)
{
  g_autofree char *folder = g_build_filename (top, "earlier", NULL);
  YoloStore *store = open_store (folder, 1 << 30, DAY);
  g_autofree char *path = g_build_filename (folder, "events.sqlite", NULL);
  sqlite3 *database;

  add (store, 1, NOW, "a", "cross", "gate", "person");
  yolo_store_close (store);
  g_assert_cmpint (sqlite3_open (path, &database), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (database, "DROP INDEX event_clip; DROP TABLE film; "
          "ALTER TABLE event DROP COLUMN clip", NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (database);
  store = open_store (folder, 1 << 30, DAY);
  assert_found (store, (YoloSearch) { .zone = "gate" }, "1");
  g_assert_cmpint (clip_of (store, 1), ==, 0);
  add_with_clip (store, 2, NOW, 0);
  assert_found (store, (YoloSearch) { 0 }, "2 1");
  yolo_store_close (store);
}

static void
assert_refused (const char *folder, const char *says)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (yolo_store_open (folder, 1 << 20, DAY, &error));
  g_assert_nonnull (error);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, says));
}

static void
test_wrong_files (void)
{
  g_autofree char *folder = g_build_filename (top, "wrong", NULL);
  g_autofree char *path = g_build_filename (folder, "events.sqlite", NULL);
  g_autofree char *below = g_build_filename (path, "below", NULL);

  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_true (g_file_set_contents (path, "this is no database, however long it may be", -1,
          NULL));
  assert_refused (folder, "move it away");
  assert_refused (below, "name another one");
}

static void
remove_all (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *inner = g_build_filename (path, name, NULL);
    remove_all (inner);
  }
  g_remove (path);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  top = g_dir_make_tmp ("yolo-store-XXXXXX", NULL);
  g_test_add_func ("/store/search", test_search);
  g_test_add_func ("/store/hours", test_hours);
  g_test_add_func ("/store/reopen", test_reopen);
  g_test_add_func ("/store/killed", test_killed);
  g_test_add_func ("/store/age", test_age);
  g_test_add_func ("/store/size", test_size);
  g_test_add_func ("/store/films", test_films);
  g_test_add_func ("/store/earlier", test_earlier);
  g_test_add_func ("/store/wrong-files", test_wrong_files);
  status = g_test_run ();
  remove_all (top);
  g_free (top);
  return status;
}
