/* SPDX-License-Identifier: MIT */
#include "broker.h"

#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Seconds for what takes one: machines may be slow, and busy. */
#define PATIENCE 60
#define CAMERAS 3
/* How often a broker goes away under load. */
#define RESTARTS (g_test_slow () ? 20 : 3)

/* Kilobytes by which the memory of the process may grow while messages are dropped. The address
 * sanitizer keeps what is freed. */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH (1 << 20)
#else
#define GROWTH 8192
#endif

static const Broker *the;

static struct sockaddr_in
loopback (guint port)
{
  return (struct sockaddr_in) { .sin_family = AF_INET, .sin_port = htons ((guint16) port),
    .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
}

guint
free_port (void)
{
  struct sockaddr_in address = loopback (0);
  socklen_t size = sizeof address;
  const int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, size), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *) &address, &size), ==, 0);
  close (fd);
  return ntohs (address.sin_port);
}

static gboolean
listens (guint port)
{
  struct sockaddr_in address = loopback (port);
  const int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const gboolean good = connect (fd, (struct sockaddr *) &address, sizeof address) == 0;

  close (fd);
  return good;
}

/* In the child: it ends with the test. */
static void
die_with_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

GPid
start_program (char **argv, guint port)
{
  g_autoptr (GError) error = NULL;
  GPid pid;

  g_spawn_async (NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL
      | G_SPAWN_STDERR_TO_DEV_NULL, die_with_parent, NULL, &pid, &error);
  g_assert_no_error (error);
  for (guint i = 0; !listens (port); i++) {
    g_assert_cmpuint (i, <, PATIENCE * 100);
    g_assert_cmpint (waitpid (pid, NULL, WNOHANG), ==, 0);
    g_usleep (10000);
  }
  return pid;
}

void
stop_program (GPid *pid, int number)
{
  if (*pid == 0)
    return;
  kill (*pid, number);
  waitpid (*pid, NULL, 0);
  *pid = 0;
}

char *
find_program (const char *name)
{
  g_autofree char *path = g_strconcat ("/usr/sbin/", name, NULL);
  char *found = g_find_program_in_path (name);

  if (found == NULL && g_file_test (path, G_FILE_TEST_IS_EXECUTABLE))
    found = g_steal_pointer (&path);
  return found;
}

void
remove_folder (const char *path)
{
  GDir *folder = g_dir_open (path, 0, NULL);
  const char *name;

  while (folder && (name = g_dir_read_name (folder)) != NULL) {
    g_autofree char *child = g_build_filename (path, name, NULL);

    if (g_remove (child) < 0)
      remove_folder (child);
  }
  if (folder)
    g_dir_close (folder);
  g_rmdir (path);
}

YoloSinkOptions
broker_options (const Broker *broker)
{
  return (YoloSinkOptions) { .location = broker->location (), .queue_bytes = 16 << 20, .qos = 1,
    .spool_bytes = 64 << 20,
    /* or librdkafka waits for seconds before it looks for its brokers again */
    .broker_options = "reconnect.backoff.max.ms=300" };
}

gboolean
broker_set_up (const Broker *broker)
{
  g_autofree char *why = broker->set_up ();

  if (why)
    g_test_skip (why);
  return why == NULL;
}

void
broker_send (YoloSink *sink, const char *key, guint from, guint n, gsize size)
{
  g_autofree char *body = g_malloc0 (MAX (size, 64));

  for (guint i = from; i < from + n; i++) {
    const gsize length = (gsize) g_snprintf (body, 64, "%s %u", key, i);

    if (size > 0)
      memset (body + length, ' ', MAX (size, 64) - length);
    yolo_sink_send (sink, NULL, key, body, size > 0 ? MAX (size, 64) : length, FALSE);
  }
}

/* Numbers of the texts of a key, without those that came before, by which order is judged. */
static GArray *
first_numbers (GPtrArray *texts, const char *key)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  GArray *numbers = g_array_new (FALSE, FALSE, sizeof (guint));

  for (guint i = 0; i < texts->len; i++) {
    const char *text = texts->pdata[i];
    guint number;

    if (!g_str_has_prefix (text, key) || text[strlen (key)] != ' ')
      continue;
    number = (guint) strtoul (text + strlen (key), NULL, 10);
    if (g_hash_table_add (seen, GUINT_TO_POINTER (number + 1)))
      g_array_append_val (numbers, number);
  }
  return numbers;
}

/* All numbers from @from to below @to, each at least once, in order. */
static void
assert_numbers (GPtrArray *texts, const char *key, guint from, guint to)
{
  g_autoptr (GArray) numbers = first_numbers (texts, key);

  g_assert_cmpuint (numbers->len, ==, to - from);
  for (guint i = 0; i < numbers->len; i++)
    g_assert_cmpuint (g_array_index (numbers, guint, i), ==, from + i);
}

static void
assert_received (guint n, const char *key, guint from, guint to)
{
  g_autoptr (GPtrArray) texts = the->received (n);

  g_assert_nonnull (texts);
  assert_numbers (texts, key, from, to);
}

/* What a sink has told. */
typedef struct {
  gint events[YOLO_SINK_SPOOL_WORKS + 1];
} Told;

static void
tell (YoloSinkEvent event, const char *text, gpointer data)
{
  g_test_message ("%d: %s", event, text);
  g_atomic_int_inc (&((Told *) data)->events[event]);
}

static YoloSink *
open_sink (const YoloSinkOptions *options, Told *told)
{
  g_autoptr (GError) error = NULL;
  YoloSink *sink = yolo_sink_open (options, tell, told, &error);

  g_assert_no_error (error);
  return sink;
}

static void
test_delivery (void)
{
  YoloSinkOptions options;
  Told told = { 0 };
  YoloSinkStats stats;
  YoloSink *sink;

  if (!broker_set_up (the))
    return;
  the->start ();
  options = broker_options (the);
  sink = open_sink (&options, &told);
  broker_send (sink, "a", 0, 2000, 0);
  broker_send (sink, "a", 2000, 3, 300000);
  g_assert_true (yolo_sink_flush (sink, PATIENCE * G_USEC_PER_SEC));
  yolo_sink_get_stats (sink, &stats);
  g_assert_true (stats.connected);
  g_assert_cmpuint (stats.n_sent, ==, 2003);
  g_assert_cmpuint (stats.n_delivered, ==, 2003);
  g_assert_cmpuint (stats.n_dropped + stats.n_refused + stats.n_resent, ==, 0);
  g_assert_cmpuint (stats.n_queued + stats.queued_bytes, ==, 0);
  g_assert_cmpuint (stats.n_connections, ==, 1);
  g_assert_cmpuint (yolo_sink_close (sink), ==, 0);
  g_assert_cmpint (told.events[YOLO_SINK_CONNECTED], ==, 1);
  g_assert_cmpint (told.events[YOLO_SINK_DISCONNECTED], ==, 0);
  assert_received (2003, "a", 0, 2003);
  the->tear_down ();
}

typedef struct {
  YoloSink *sink;
  gint stop;
  guint n;                      /* messages of each camera */
  guint64 most;                 /* bytes that were queued at most */
} Load;

static gpointer
send_load (gpointer data)
{
  Load *load = data;

  for (load->n = 0; !g_atomic_int_get (&load->stop); load->n++) {
    YoloSinkStats stats;

    for (guint i = 0; i < CAMERAS; i++) {
      const char key[] = { (char) ('a' + i), '\0' };

      broker_send (load->sink, key, load->n, 1, 0);
    }
    yolo_sink_get_stats (load->sink, &stats);
    load->most = MAX (load->most, stats.queued_bytes);
    g_usleep (1000);
  }
  return NULL;
}

/* Killed and started again under load: at least once, in order of each camera, in bounds. */
static void
test_restarts (gconstpointer spooled)
{
  g_autofree char *folder = g_dir_make_tmp ("yolo-restarts-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "spool", NULL);
  g_autoptr (GPtrArray) texts = NULL;
  YoloSinkOptions options;
  Told told = { 0 };
  Load load = { 0 };
  GThread *thread;

  if (broker_set_up (the)) {
    the->start ();
    options = broker_options (the);
    options.spool = spooled ? path : NULL;
    load.sink = open_sink (&options, &told);
    thread = g_thread_new ("load", send_load, &load);
    for (int i = 0; i < RESTARTS; i++) {
      g_usleep (g_test_rand_int_range (100, 500) * 1000);
      the->stop ();
      g_usleep (g_test_rand_int_range (0, 500) * 1000);
      the->start ();
    }
    g_usleep (200 * 1000);
    g_atomic_int_set (&load.stop, 1);
    g_thread_join (thread);
    g_assert_true (yolo_sink_flush (load.sink, PATIENCE * G_USEC_PER_SEC));
    g_assert_cmpuint (yolo_sink_close (load.sink), ==, 0);
    /* librdkafka may find its brokers again before anybody notices */
    g_assert_cmpint (told.events[YOLO_SINK_CONNECTED], >=, 1);
    g_assert_cmpint (told.events[YOLO_SINK_CONNECTED], >=, told.events[YOLO_SINK_DISCONNECTED]);
    g_assert_cmpuint (load.most, <=, options.queue_bytes);
    texts = the->received (CAMERAS * load.n);
    g_assert_nonnull (texts);
    for (guint i = 0; i < CAMERAS; i++) {
      const char key[] = { (char) ('a' + i), '\0' };

      assert_numbers (texts, key, 0, load.n);
    }
    g_test_message ("%u messages, %u arrived", CAMERAS * load.n, texts->len);
    the->tear_down ();
  }
  remove_folder (folder);
}

/* Kilobytes of memory that the process has. */
static guint64
resident (void)
{
  g_autofree char *text = NULL;
  guint64 pages = 0;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  sscanf (text, "%*u %" G_GUINT64_FORMAT, &pages);
  return pages * (guint64) sysconf (_SC_PAGESIZE) / 1024;
}

/* A broker that is away for long: nobody waits, memory stays, and what was kept arrives. */
static void
test_away (void)
{
  YoloSinkOptions options;
  YoloSinkStats stats;
  Told told = { 0 };
  YoloSink *sink;
  guint64 before;
  gint64 begun;
  guint kept;

  if (!broker_set_up (the))
    return;
  options = broker_options (the);
  options.queue_bytes = 1 << 20;
  sink = open_sink (&options, &told);
  broker_send (sink, "a", 0, 20000, 500);
  before = resident ();
  begun = g_get_monotonic_time ();
  broker_send (sink, "a", 20000, 180000, 500);
  g_test_message ("%.2f us a message", (g_get_monotonic_time () - begun) / 180000.);
  g_assert_cmpuint (resident (), <, before + GROWTH);
  yolo_sink_get_stats (sink, &stats);
  g_assert_false (stats.connected);
  g_assert_cmpuint (stats.queued_bytes, <=, 1 << 20);
  g_assert_cmpuint (stats.n_queued + stats.n_dropped, ==, 200000);
  g_assert_cmpint (told.events[YOLO_SINK_DROPPED], ==, 1);
  g_assert_false (yolo_sink_flush (sink, G_USEC_PER_SEC / 100));
  for (guint i = 0; i < PATIENCE * 100 && g_atomic_int_get (
          &told.events[YOLO_SINK_DISCONNECTED]) == 0; i++)
    g_usleep (10000);
  the->start ();
  g_assert_true (yolo_sink_flush (sink, PATIENCE * G_USEC_PER_SEC));
  yolo_sink_get_stats (sink, &stats);
  kept = (guint) stats.n_delivered;
  g_assert_cmpuint (kept, >, 1000);
  g_assert_cmpuint (kept + stats.n_dropped, ==, 200000);
  yolo_sink_close (sink);
  g_assert_cmpint (told.events[YOLO_SINK_DISCONNECTED], ==, 1);
  {
    g_autoptr (GPtrArray) texts = the->received (kept);
    g_autoptr (GArray) numbers = texts ? first_numbers (texts, "a") : NULL;

    g_assert_nonnull (numbers);
    g_assert_cmpuint (numbers->len, ==, kept);
    for (guint i = 1; i < numbers->len; i++)
      g_assert_cmpuint (
          g_array_index (numbers, guint, i), >, g_array_index (numbers, guint, i - 1));
    g_assert_cmpuint (g_array_index (numbers, guint, kept - 1), ==, 199999);
  }
  the->tear_down ();
}

/* What the broker has not confirmed is there for the next process. */
static void
test_spool (void)
{
  g_autofree char *folder = g_dir_make_tmp ("yolo-sink-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "spool", NULL);
  g_autoptr (GError) error = NULL;
  YoloSinkOptions options;
  Told told = { 0 };
  YoloSink *sink;

  if (broker_set_up (the)) {
    options = broker_options (the);
    options.spool = path;
    sink = yolo_sink_open (&options, tell, &told, &error);
    if (sink == NULL) {
      g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSYS);
      g_test_skip (error->message);
    } else {
      broker_send (sink, "a", 0, 3000, 0);
      g_assert_cmpuint (yolo_sink_close (sink), ==, 0);
      the->start ();
      sink = open_sink (&options, &told);
      broker_send (sink, "a", 3000, 1000, 0);
      g_assert_true (yolo_sink_flush (sink, PATIENCE * G_USEC_PER_SEC));
      g_assert_cmpuint (yolo_sink_close (sink), ==, 0);
      assert_received (4000, "a", 0, 4000);
    }
    the->tear_down ();
  }
  remove_folder (folder);
}

/* Closing does not wait for a broker that is not there, and says what is lost. */
static void
test_close (void)
{
  YoloSinkOptions options;
  Told told = { 0 };
  YoloSink *sink;

  if (!broker_set_up (the))
    return;
  options = broker_options (the);
  for (guint i = 0; i < 6; i++) {
    sink = open_sink (&options, &told);
    broker_send (sink, "a", 0, 10, 0);
    if (i % 2)
      g_usleep (20000);
    yolo_sink_set_flushing (sink, TRUE);
    g_assert_false (yolo_sink_flush (sink, PATIENCE * G_USEC_PER_SEC));
    g_assert_cmpuint (yolo_sink_close (sink), ==, 10);
  }
  the->tear_down ();
}

int
broker_run (int argc, char **argv, const Broker *broker, void (*more) (void))
{
  the = broker;
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/export/sink/delivery", test_delivery);
  g_test_add_data_func ("/export/sink/restarts", NULL, test_restarts);
  g_test_add_data_func ("/export/sink/restarts-on-disk", (gpointer) 1, test_restarts);
  g_test_add_func ("/export/sink/away", test_away);
  g_test_add_func ("/export/sink/spool", test_spool);
  g_test_add_func ("/export/sink/close", test_close);
  if (more)
    more ();
  return g_test_run ();
}
