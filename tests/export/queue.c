/* SPDX-License-Identifier: MIT */
/* The queue of a sink, in memory and on the disk: order, bounds, what is dropped, what outlives
 * kill -9, and a disk that takes nothing. */

#include "export/queue.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;

/* What the linker puts in place of the spool's functions (--wrap), so that a test can have a disk
 * that is slow, or cannot be read. */
static gint unreadable, hold, appending, counted;

YoloMessage *__real_yolo_spool_next (YoloSpool *spool, GError **error);
YoloMessage *__wrap_yolo_spool_next (YoloSpool *spool, GError **error);
gboolean __real_yolo_spool_append (
    YoloSpool *spool, GQueue *messages, guint64 *dropped, GError **error);
gboolean __wrap_yolo_spool_append (
    YoloSpool *spool, GQueue *messages, guint64 *dropped, GError **error);
void __real_yolo_spool_level (YoloSpool *spool, guint64 *messages, guint64 *bytes);
void __wrap_yolo_spool_level (YoloSpool *spool, guint64 *messages, guint64 *bytes);

YoloMessage *
__wrap_yolo_spool_next (YoloSpool *spool, GError **error)
{
  if (!g_atomic_int_get (&unreadable))
    return __real_yolo_spool_next (spool, error);
  g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_IO, "it cannot be read");
  return NULL;
}

gboolean
__wrap_yolo_spool_append (YoloSpool *spool, GQueue *messages, guint64 *dropped, GError **error)
{
  g_atomic_int_set (&appending, TRUE);
  while (g_atomic_int_get (&hold) && !g_atomic_int_get (&counted))
    g_usleep (1000);
  return __real_yolo_spool_append (spool, messages, dropped, error);
}

void
__wrap_yolo_spool_level (YoloSpool *spool, guint64 *messages, guint64 *bytes)
{
  __real_yolo_spool_level (spool, messages, bytes);
  if (!g_atomic_int_get (&hold))
    return;
  g_atomic_int_set (&counted, TRUE);
  g_usleep (200000);            /* the writer goes on meanwhile */
}

typedef struct {
  char *folder, *path;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->folder = g_dir_make_tmp ("yolo-queue-XXXXXX", NULL);
  f->path = g_build_filename (f->folder, "spool", NULL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  static const char *const endings[] = { "", "-wal", "-shm", "-journal" };

  for (guint i = 0; i < G_N_ELEMENTS (endings); i++) {
    g_autofree char *path = g_strconcat (f->path, endings[i], NULL);

    g_remove (path);
  }
  g_assert_cmpint (g_rmdir (f->folder), ==, 0);
  g_free (f->folder);
  g_free (f->path);
}

/* Whether this build has a spool; else the test is skipped. */
static gboolean
have_spool (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  YoloSpool *spool = yolo_spool_open (f->path, 1 << 20, &error);

  if (spool == NULL && g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOSYS)) {
    g_test_skip ("this build has no SQLite");
    return FALSE;
  }
  g_assert_no_error (error);
  yolo_spool_close (spool);
  return TRUE;
}

static YoloMessage *
numbered (guint number, gsize size)
{
  g_autofree char *body = g_malloc0 (MAX (size, 16));

  g_snprintf (body, 16, "%u", number);
  return yolo_message_new ("topic", "camera", body, MAX (size, 16), number % 2);
}

static void
assert_number (const YoloMessage *message, guint number)
{
  g_assert_nonnull (message);
  g_assert_cmpuint (strtoul ((const char *) message->body, NULL, 10), ==, number);
  g_assert_cmpstr (message->topic, ==, "topic");
  g_assert_cmpstr (message->key, ==, "camera");
  g_assert_cmpint (message->retain, ==, number % 2);
}

static YoloMessageQueue *
open_queue (Fixture *f, guint64 max_bytes, gboolean spooled)
{
  g_autoptr (GError) error = NULL;
  YoloSpool *spool = spooled ? yolo_spool_open (f->path, 1 << 30, &error) : NULL;
  YoloMessageQueue *queue;

  g_assert_no_error (error);
  queue = yolo_message_queue_new (max_bytes, spool, NULL, NULL, &error);
  g_assert_no_error (error);
  return queue;
}

/* Waits for the writer of the spool. */
static void
wait_for_spool (YoloMessageQueue *queue)
{
  YoloMessageQueueLevel level;

  do {
    g_usleep (1000);
    yolo_message_queue_level (queue, &level);
  } while (level.n > 0 && !level.spool_fails);
}

static void
test_order (Fixture *f, gconstpointer data)
{
  const gboolean spooled = GPOINTER_TO_INT (data);
  YoloMessage *taken[6];
  YoloMessageQueueLevel level;
  YoloMessageQueue *queue;

  if (spooled && !have_spool (f))
    return;
  queue = open_queue (f, 1 << 20, spooled);
  for (guint i = 0; i < 10; i++)
    g_assert_cmpuint (yolo_message_queue_push (queue, numbered (i, 0)), ==, 0);
  if (spooled)
    wait_for_spool (queue);
  for (guint i = 0; i < 6; i++)
    assert_number (taken[i] = yolo_message_queue_take (queue), i);
  yolo_message_queue_done (queue, taken[0]);
  yolo_message_queue_done (queue, taken[1]);
  yolo_message_queue_level (queue, &level);
  g_assert_cmpuint (level.n_taken, ==, 4);
  yolo_message_queue_give_back (queue, taken + 2, 4);
  yolo_message_queue_level (queue, &level);
  g_assert_cmpuint (level.n_taken, ==, 0);
  g_assert_cmpuint (spooled ? level.n_spool : level.n, ==, 8);
  g_assert_cmpuint (level.n_pushed, ==, 10);
  for (guint i = 2; i < 10; i++) {
    YoloMessage *message = yolo_message_queue_take (queue);

    assert_number (message, i);
    yolo_message_queue_done (queue, message);
  }
  g_assert_null (yolo_message_queue_take (queue));
  yolo_message_queue_settle (queue);
  yolo_message_queue_level (queue, &level);
  g_assert_cmpuint (level.n + level.n_spool + level.bytes + level.bytes_spool, ==, 0);
  g_assert_cmpuint (yolo_message_queue_free (queue), ==, 0);
}

/* The oldest go, but never those that are under way. */
static void
test_bounds (Fixture *f, gconstpointer data)
{
  YoloMessage *one = numbered (0, 1000);
  const gsize cost = yolo_message_cost (one);
  YoloMessageQueue *queue = open_queue (f, 10 * cost, FALSE);
  YoloMessage *first, *second;
  YoloMessageQueueLevel level;

  yolo_message_free (one);
  for (guint i = 0; i < 10; i++)
    g_assert_cmpuint (yolo_message_queue_push (queue, numbered (i, 1000)), ==, 0);
  assert_number (first = yolo_message_queue_take (queue), 0);
  assert_number (second = yolo_message_queue_take (queue), 1);
  for (guint i = 10; i < 1000; i++)
    g_assert_cmpuint (yolo_message_queue_push (queue, numbered (i, 1000)), ==, 1);
  yolo_message_queue_level (queue, &level);
  g_assert_cmpuint (level.bytes, ==, 10 * cost);
  g_assert_cmpuint (level.n_dropped, ==, 990);
  yolo_message_queue_done (queue, first);
  yolo_message_queue_give_back (queue, &second, 1);
  assert_number (second = yolo_message_queue_take (queue), 1);
  yolo_message_queue_done (queue, second);
  for (guint i = 992; i < 1000; i++) {
    assert_number (first = yolo_message_queue_take (queue), i);
    yolo_message_queue_done (queue, first);
  }
  /* one that never fits is dropped itself, and with it what waits before it */
  g_assert_cmpuint (yolo_message_queue_push (queue, numbered (0, 11 * cost)), ==, 1);
  g_assert_null (yolo_message_queue_take (queue));
  yolo_message_queue_push (queue, numbered (1, 0));
  g_assert_cmpuint (yolo_message_queue_free (queue), ==, 1);
}

static void
test_spool_bounds (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint64 dropped, n, bytes, sum = 0;
  YoloMessage *message;
  YoloSpool *spool;

  if (!have_spool (f))
    return;
  spool = yolo_spool_open (f->path, 20 * 1011, &error);
  for (guint i = 0; i < 100; i++) {
    GQueue batch = G_QUEUE_INIT;

    g_queue_push_tail (&batch, numbered (i, 1000));
    g_assert_true (yolo_spool_append (spool, &batch, &dropped, &error));
    sum += dropped;
    g_queue_clear_full (&batch, (GDestroyNotify) yolo_message_free);
  }
  g_assert_cmpuint (sum, ==, 80);
  yolo_spool_level (spool, &n, &bytes);
  g_assert_cmpuint (n, ==, 20);
  g_assert_cmpuint (bytes, ==, 20 * 1011);
  for (guint i = 80; i < 90; i++) {
    assert_number (message = yolo_spool_next (spool, &error), i);
    yolo_spool_acknowledge (spool, message->id);
    yolo_message_free (message);
  }
  yolo_spool_close (spool);

  /* the next process */
  spool = yolo_spool_open (f->path, 20 * 1011, &error);
  yolo_spool_level (spool, &n, &bytes);
  g_assert_cmpuint (n, ==, 10);
  g_assert_cmpuint (bytes, ==, 10 * 1011);
  assert_number (message = yolo_spool_next (spool, &error), 90);
  yolo_message_free (message);
  yolo_spool_close (spool);
}

/* Nothing goes past a disk that works: what is handed out is on it. */
static void
test_disk_first (Fixture *f, gconstpointer data)
{
  YoloMessageQueue *queue;

  if (!have_spool (f))
    return;
  queue = open_queue (f, 1 << 20, TRUE);
  for (guint i = 0; i < 2000; i++) {
    YoloMessage *message;

    yolo_message_queue_push (queue, numbered (i, 0));
    while ((message = yolo_message_queue_take (queue)) == NULL)
      g_thread_yield ();
    assert_number (message, i);
    g_assert_cmpuint (message->id, ==, i + 1);
    yolo_message_queue_done (queue, message);
    yolo_message_queue_settle (queue);
  }
  g_assert_cmpuint (yolo_message_queue_free (queue), ==, 0);
}

static void
test_refused_files (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *missing = g_build_filename (f->folder, "no", "such", NULL);
  g_autofree char *text = g_strnfill (5000, 'x');
  YoloSpool *spool;

  if (!have_spool (f))
    return;
  spool = yolo_spool_open (f->path, 1000, NULL);
  g_assert_null (yolo_spool_open (f->path, 1000, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_AGAIN);
  g_assert_nonnull (strstr (error->message, "somebody else"));
  g_clear_error (&error);
  yolo_spool_close (spool);

  g_assert_true (g_file_set_contents (f->path, text, -1, NULL));
  g_assert_null (yolo_spool_open (f->path, 1000, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL);
  g_assert_nonnull (strstr (error->message, f->path));
  g_clear_error (&error);
  g_assert_null (yolo_spool_open (missing, 1000, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_IO);
}

/* What a child of this program does until it is killed: it fills a spool, and tells the number of
 * each message that is in it. */
static int
fill (const char *path)
{
  Fixture f = { .path = (char *) path };
  YoloMessageQueue *queue = open_queue (&f, 1 << 20, TRUE);

  for (guint i = 0;; i++) {
    yolo_message_queue_push (queue, numbered (i, 300));
    wait_for_spool (queue);
    if (write (STDOUT_FILENO, &i, sizeof i) != sizeof i)
      return 1;
  }
}

static void
test_kill (Fixture *f, gconstpointer data)
{
  char *argv[] = { (char *) program, (char *) "fill", f->path, NULL };
  guint64 n, bytes;
  guint last = 0, next;
  YoloMessage *message;
  YoloSpool *spool;
  GPid child;
  int out;

  if (!have_spool (f))
    return;
  g_assert_true (g_spawn_async_with_pipes (NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
          &child, NULL, &out, NULL, NULL));
  while (last < 500)
    g_assert_cmpint (read (out, &last, sizeof last), ==, sizeof last);
  kill (child, SIGKILL);
  while (read (out, &next, sizeof next) == sizeof next)
    last = next;
  waitpid (child, NULL, 0);
  close (out);

  spool = yolo_spool_open (f->path, 1 << 30, NULL);
  yolo_spool_level (spool, &n, &bytes);
  g_assert_cmpuint (n, >=, last + 1);
  for (guint i = 0; i < n; i++) {
    assert_number (message = yolo_spool_next (spool, NULL), i);
    yolo_message_free (message);
  }
  g_assert_null (yolo_spool_next (spool, NULL));
  yolo_spool_close (spool);
}

static void
set_file_limit (rlim_t bytes)
{
  struct rlimit limit;

  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  limit.rlim_cur = bytes;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
}

static void
count_trouble (const char *reason, gpointer data)
{
  g_atomic_int_inc ((gint *) data + (reason == NULL));
}

/* A file that may not grow stands for a full disk. Nothing is lost that memory has room for,
 * nothing changes its place, and the disk is used again when it can be. */
static void
test_full_disk (Fixture *f, gconstpointer data)
{
  YoloMessage *taken[400];
  gint trouble[2] = { 0 };
  YoloMessageQueueLevel level;
  YoloMessageQueue *queue;
  guint n = 0, next = 0;

  if (!have_spool (f))
    return;
  signal (SIGXFSZ, SIG_IGN);
  queue = yolo_message_queue_new (
      1 << 20, yolo_spool_open (f->path, 1 << 30, NULL), count_trouble, trouble, NULL);
  set_file_limit (200000);
  do {
    g_assert_cmpuint (n, <, 1000);
    yolo_message_queue_push (queue, numbered (n++, 2000));
    wait_for_spool (queue);
    yolo_message_queue_level (queue, &level);
  } while (!level.spool_fails);
  for (guint i = 0; i < 50; i++)
    yolo_message_queue_push (queue, numbered (n++, 2000));
  g_assert_cmpint (g_atomic_int_get (&trouble[0]), ==, 1);

  /* a broker that is there gets those of the disk and those of memory, twice */
  for (guint round = 0; round < 2; round++) {
    while (next < n) {
      YoloMessage *message = yolo_message_queue_take (queue);

      if (message == NULL) {    /* the writer tries again */
        g_usleep (1000);
        continue;
      }
      assert_number (message, next);
      taken[next++] = message;
    }
    if (round == 0)
      yolo_message_queue_give_back (queue, taken, next);
    next = round == 0 ? 0 : next;
  }
  for (guint i = 0; i < n; i++)
    yolo_message_queue_done (queue, taken[i]);
  yolo_message_queue_settle (queue);

  set_file_limit (RLIM_INFINITY);
  yolo_message_queue_push (queue, numbered (n, 2000));
  while (g_atomic_int_get (&trouble[1]) == 0)
    g_usleep (1000);
  assert_number (taken[0] = yolo_message_queue_take (queue), n);
  g_assert_cmpuint (taken[0]->id, >, 0);
  yolo_message_queue_done (queue, taken[0]);
  yolo_message_queue_settle (queue);
  yolo_message_queue_level (queue, &level);
  g_assert_cmpuint (level.n + level.n_spool + level.n_dropped, ==, 0);
  yolo_message_queue_free (queue);
}

/* A disk that cannot be read is told of once, however often it is asked, and so is that it can be
 * again; nothing is lost. */
static void
test_unreadable (Fixture *f, gconstpointer data)
{
  gint trouble[2] = { 0 };
  YoloMessageQueue *queue;
  YoloMessage *message;

  if (!have_spool (f))
    return;
  queue = yolo_message_queue_new (
      1 << 20, yolo_spool_open (f->path, 1 << 30, NULL), count_trouble, trouble, NULL);
  yolo_message_queue_push (queue, numbered (0, 0));
  wait_for_spool (queue);
  g_atomic_int_set (&unreadable, TRUE);
  for (guint i = 0; i < 5; i++)
    g_assert_null (yolo_message_queue_take (queue));
  g_assert_cmpint (g_atomic_int_get (&trouble[0]), ==, 1);
  g_assert_cmpint (g_atomic_int_get (&trouble[1]), ==, 0);
  g_atomic_int_set (&unreadable, FALSE);
  assert_number (message = yolo_message_queue_take (queue), 0);
  g_assert_cmpint (g_atomic_int_get (&trouble[0]), ==, 1);
  g_assert_cmpint (g_atomic_int_get (&trouble[1]), ==, 1);
  yolo_message_queue_done (queue, message);
  yolo_message_queue_free (queue);
}

/* A message that goes from memory to the disk while the queue is counted is counted: who waits
 * until nothing is left would believe that the broker has it. */
static void
test_level (Fixture *f, gconstpointer data)
{
  YoloMessageQueueLevel level;
  YoloMessageQueue *queue;

  if (!have_spool (f))
    return;
  queue = open_queue (f, 1 << 20, TRUE);
  g_atomic_int_set (&appending, FALSE);
  g_atomic_int_set (&hold, TRUE);
  yolo_message_queue_push (queue, numbered (0, 0));
  while (!g_atomic_int_get (&appending))
    g_usleep (1000);
  yolo_message_queue_level (queue, &level);
  g_assert_cmpuint (level.n + level.n_spool, ==, 1);
  g_atomic_int_set (&hold, FALSE);
  g_assert_cmpuint (yolo_message_queue_free (queue), ==, 0);
}

int
main (int argc, char **argv)
{
  if (argc == 3 && strcmp (argv[1], "fill") == 0)
    return fill (argv[2]);
  program = argv[0];
  g_test_init (&argc, &argv, NULL);
#define ADD(name, data, function) \
  g_test_add ("/export/queue/" name, Fixture, GINT_TO_POINTER (data), set_up, function, tear_down)
  ADD ("order", FALSE, test_order);
  ADD ("order-on-disk", TRUE, test_order);
  ADD ("bounds", 0, test_bounds);
  ADD ("bounds-on-disk", 0, test_spool_bounds);
  ADD ("disk-first", 0, test_disk_first);
  ADD ("refused-files", 0, test_refused_files);
  ADD ("kill", 0, test_kill);
  ADD ("full-disk", 0, test_full_disk);
  ADD ("unreadable", 0, test_unreadable);
  ADD ("level", 0, test_level);
#undef ADD
  return g_test_run ();
}
