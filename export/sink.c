/* SPDX-License-Identifier: MIT */
/* The thread of a sink keeps the messages under way in a ring, in the order in which they were
 * taken out of the queue. Answers may come in another order; a message is done when it and
 * all before it are answered. When a connection ends, all that is left in the ring goes back. */

#include "export/sink.h"

#include "base/text.h"
#include "export/client.h"
#include "export/queue.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Bytes under way at most, unless one message has more. */
#define WINDOW_BYTES (1 << 20)
/* How long a connection may take to come about, and a broker to answer; microseconds. */
#define PATIENCE (15 * G_USEC_PER_SEC)
/* Pauses between attempts to connect; microseconds. They double. */
#define FIRST_PAUSE (G_USEC_PER_SEC / 4)
#define LAST_PAUSE (5 * G_USEC_PER_SEC)
/* How long closing waits for the thread; microseconds. */
#define CLOSE_TIME (2 * G_USEC_PER_SEC)
/* Messages that are taken with the connection's other work in between at most. */
#define BURST 64

struct _YoloSink {
  gatomicrefcount refs;         /* the thread has one, since closing may leave it behind */
  char *topic, *place;          /* place: what messages call the broker, without a user */
  YoloMessageQueue *queue;      /* owned */
  YoloClient *client;           /* owned; used by the thread */

  GMutex lock;
  GCond changed;
  gboolean closing, flushing, finished;
  YoloSinkNotify notify;        /* NULL once it is closed */
  gpointer user_data;
  guint notifying;              /* how many calls of notify are under way */
  gboolean connected;
  gboolean full;                /* that messages are dropped was told of since the connection */
  guint64 n_delivered, n_refused, n_resent, n_connections;

  /* used by the thread alone; ring, by tag modulo YOLO_CLIENT_WINDOW */
  YoloMessage *messages[YOLO_CLIENT_WINDOW];
  gboolean answered[YOLO_CLIENT_WINDOW];
  guint64 first, next;          /* tags of the oldest one, and of the one that comes next */
  gsize bytes;                  /* under way */
  gint64 progress;              /* when the broker last answered, or began to owe an answer */
};

gboolean
yolo_client_fail (GError **error, const char *text)
{
  g_autofree char *shown = yolo_text_printable (text, YOLO_TEXT_MAX_MESSAGE);

  if (g_str_has_suffix (shown, "."))
    shown[strlen (shown) - 1] = '\0';
  g_set_error_literal (error, G_IO_CHANNEL_ERROR, G_IO_CHANNEL_ERROR_FAILED, shown);
  return FALSE;
}

static void
notify (YoloSink *sink, YoloSinkEvent event, const char *text)
{
  YoloSinkNotify call;

  g_mutex_lock (&sink->lock);
  call = sink->notify;
  sink->notifying += call != NULL;
  g_mutex_unlock (&sink->lock);
  if (call == NULL)
    return;
  call (event, text, sink->user_data);
  g_mutex_lock (&sink->lock);
  sink->notifying--;
  g_cond_broadcast (&sink->changed);
  g_mutex_unlock (&sink->lock);
}

static void
sink_unref (YoloSink *sink)
{
  if (!g_atomic_ref_count_dec (&sink->refs))
    return;
  if (sink->client)
    sink->client->class->free (sink->client);
  yolo_message_queue_free (sink->queue);
  g_mutex_clear (&sink->lock);
  g_cond_clear (&sink->changed);
  g_free (sink->topic);
  g_free (sink->place);
  g_free (sink);
}

/* Messages under way */

static void
on_answer (gpointer owner, guint64 tag, const char *refused)
{
  YoloSink *sink = owner;

  if (tag < sink->first || tag >= sink->next || sink->answered[tag % YOLO_CLIENT_WINDOW])
    return;
  sink->answered[tag % YOLO_CLIENT_WINDOW] = TRUE;
  sink->progress = g_get_monotonic_time ();
  g_mutex_lock (&sink->lock);
  if (refused)
    sink->n_refused++;
  else
    sink->n_delivered++;
  g_mutex_unlock (&sink->lock);
  if (refused) {
    const YoloMessage *message = sink->messages[tag % YOLO_CLIENT_WINDOW];
    g_autofree char *text = g_strdup_printf ("%s refuses a message of %" G_GSIZE_FORMAT
        " bytes to \"%s\": %s", sink->place, message->size, message->topic, refused);

    notify (sink, YOLO_SINK_REFUSED, text);
  }
}

/* Lets go of what is answered, from the oldest message on. */
static void
settle (YoloSink *sink)
{
  const guint64 before = sink->first;

  while (sink->first < sink->next && sink->answered[sink->first % YOLO_CLIENT_WINDOW]) {
    YoloMessage *message = sink->messages[sink->first++ % YOLO_CLIENT_WINDOW];

    sink->bytes -= yolo_message_cost (message);
    yolo_message_queue_done (sink->queue, message);
  }
  if (sink->first == before)
    return;
  yolo_message_queue_settle (sink->queue);
  g_mutex_lock (&sink->lock);
  g_cond_broadcast (&sink->changed);
  g_mutex_unlock (&sink->lock);
}

/* Gives the messages under way back to the queue. Those that were answered behind one that was
 * not come again, too. */
static void
give_back (YoloSink *sink)
{
  YoloMessage *messages[YOLO_CLIENT_WINDOW];
  guint n = 0;

  settle (sink);
  while (sink->first < sink->next)
    messages[n++] = sink->messages[sink->first++ % YOLO_CLIENT_WINDOW];
  sink->bytes = 0;
  yolo_message_queue_give_back (sink->queue, messages, n);
  g_mutex_lock (&sink->lock);
  sink->n_resent += n;
  g_mutex_unlock (&sink->lock);
}

/* Sends some of what waits, as far as there is room under way. */
static gboolean
send_some (YoloSink *sink, gboolean *more, GError **error)
{
  *more = FALSE;
  for (guint i = 0; i < BURST; i++) {
    YoloMessage *message;
    guint64 tag;

    if (sink->next - sink->first >= YOLO_CLIENT_WINDOW || sink->bytes >= WINDOW_BYTES)
      return TRUE;
    message = yolo_message_queue_take (sink->queue);
    if (message == NULL)
      return TRUE;
    if (sink->first == sink->next)
      sink->progress = g_get_monotonic_time ();
    tag = sink->next++;
    sink->messages[tag % YOLO_CLIENT_WINDOW] = message;
    sink->answered[tag % YOLO_CLIENT_WINDOW] = FALSE;
    sink->bytes += yolo_message_cost (message);
    if (!sink->client->class->send (sink->client, message, tag, error))
      return FALSE;
  }
  *more = TRUE;
  return TRUE;
}

/* The connection */

static gboolean
is_closing (YoloSink *sink)
{
  gboolean closing;

  g_mutex_lock (&sink->lock);
  closing = sink->closing;
  g_mutex_unlock (&sink->lock);
  return closing;
}

/* Notes whether there is a connection, and tells if that has changed. @why: (nullable): of one
 * that ended or did not come about. @told: whether the last thing told was that there is none. */
static void
set_connected (YoloSink *sink, gboolean connected, const char *why, gboolean *told)
{
  gboolean changed;

  g_mutex_lock (&sink->lock);
  changed = connected ? !sink->connected : sink->connected || !*told;
  sink->n_connections += connected && !sink->connected;
  sink->full = sink->full && !(connected && !sink->connected);
  sink->connected = connected;
  g_mutex_unlock (&sink->lock);
  if (!changed)
    return;
  *told = !connected;
  if (connected) {
    notify (sink, YOLO_SINK_CONNECTED, sink->place);
  } else {
    g_autofree char *text = g_strdup_printf ("%s takes no messages: %s; they are kept as far as "
        "there is room, and sent when it does", sink->place, why);

    notify (sink, YOLO_SINK_DISCONNECTED, text);
  }
}

/* Waits until the client or the queue has something to do, @timeout in milliseconds. */
static void
wait_for_events (YoloSink *sink, int timeout)
{
  struct pollfd fds[2] = { { .fd = yolo_message_queue_fd (sink->queue), .events = POLLIN } };

  fds[1].fd = sink->client->class->fd (sink->client, &fds[1].events);
  poll (fds, fds[1].fd >= 0 ? 2 : 1, timeout);
  yolo_message_queue_clear_wake (sink->queue);
}

/* Waits until the connection has come about. */
static gboolean
wait_until_ready (YoloSink *sink, GError **error)
{
  const YoloClientClass *class = sink->client->class;
  const gint64 end = g_get_monotonic_time () + PATIENCE;

  while (!class->is_ready (sink->client)) {
    if (is_closing (sink))
      return yolo_client_fail (error, "the sink is closed");
    if (g_get_monotonic_time () > end)
      return yolo_client_fail (error, "it does not answer");
    wait_for_events (sink, 100);
    if (!class->process (sink->client, error))
      return FALSE;
  }
  return TRUE;
}

/* Serves a connection until it ends; TRUE: since the sink closes. */
static gboolean
serve (YoloSink *sink, gboolean *told, GError **error)
{
  const YoloClientClass *class = sink->client->class;

  for (;;) {
    const char *trouble;
    gboolean more;

    if (!send_some (sink, &more, error) || !class->process (sink->client, error))
      return FALSE;
    settle (sink);
    trouble = class->trouble ? class->trouble (sink->client) : NULL;
    set_connected (sink, trouble == NULL, trouble, told);
    if (is_closing (sink))
      return TRUE;
    if (class->trouble == NULL && sink->first < sink->next
        && g_get_monotonic_time () > sink->progress + PATIENCE)
      return yolo_client_fail (error, "it does not confirm what it was sent");
    wait_for_events (sink, more ? 0 : 500);
  }
}

/* A pause of half to one and a half times the given one, so that not all sinks come back at once;
 * ended by closing. */
static void
pause_for (YoloSink *sink, gint64 pause)
{
  const gint64 end = g_get_monotonic_time () + pause / 2 + (gint64) (g_random_double () * pause);

  g_mutex_lock (&sink->lock);
  while (!sink->closing && g_cond_wait_until (&sink->changed, &sink->lock, end));
  g_mutex_unlock (&sink->lock);
}

static gpointer
run (gpointer data)
{
  YoloSink *sink = data;
  const YoloClientClass *class = sink->client->class;
  gint64 pause = FIRST_PAUSE;
  gboolean told = FALSE;
  sigset_t signals;

  /* Signals are the application's; and some libraries write to sockets that may be closed,
   * without keeping SIGPIPE away. Threads that libraries make inherit the mask. */
  sigfillset (&signals);
  pthread_sigmask (SIG_BLOCK, &signals, NULL);

  while (!is_closing (sink)) {
    g_autoptr (GError) error = NULL;
    gboolean good = class->connect (sink->client, &error) && wait_until_ready (sink, &error);

    if (good) {
      pause = FIRST_PAUSE;
      good = serve (sink, &told, &error);
    }
    class->disconnect (sink->client, good);
    give_back (sink);
    if (good || is_closing (sink))
      break;
    set_connected (sink, FALSE, error->message, &told);
    pause_for (sink, pause);
    pause = MIN (2 * pause, LAST_PAUSE);
  }

  g_mutex_lock (&sink->lock);
  sink->connected = FALSE;
  sink->finished = TRUE;
  g_cond_broadcast (&sink->changed);
  g_mutex_unlock (&sink->lock);
  sink_unref (sink);
  return NULL;
}

/* Opening */

static const YoloClientClass *
class_of (const char *scheme)
{
  static const YoloClientClass *const classes[] = {
    &yolo_client_mqtt, &yolo_client_kafka, &yolo_client_redis,
  };

  for (guint i = 0; i < G_N_ELEMENTS (classes); i++)
    if (g_strv_contains (classes[i]->schemes, scheme))
      return classes[i];
  return NULL;
}

/* Whether the files are there that the libraries will read, which say less of what is wrong. */
static gboolean
check_files (const YoloSinkOptions *options, GError **error)
{
  const struct {
    const char *name, *path;
  } files[] = {
    { "ca-file", options->ca_file },
    { "certificate-file", options->certificate_file },
    { "private-key-file", options->key_file },
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    if (files[i].path == NULL || g_access (files[i].path, R_OK) == 0)
      continue;
    g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (errno),
        "%s \"%s\" cannot be read: %s", files[i].name, files[i].path, g_strerror (errno));
    return FALSE;
  }
  return TRUE;
}

static YoloClient *
open_client (const YoloSinkOptions *options, const YoloLocation *location, GError **error)
{
  const YoloClientClass *class = class_of (location->scheme);

  if (class == NULL) {
    g_set_error (error, G_URI_ERROR, G_URI_ERROR_BAD_SCHEME,
        "location \"%s\" has a scheme that is not known: write mqtt, mqtts, kafka or redis, or the "
        "path of a file", options->location);
    return NULL;
  }
  return check_files (options, error) ? class->open (options, location, error) : NULL;
}

static void
on_trouble (const char *reason, gpointer user_data)
{
  YoloSink *sink = user_data;

  notify (sink, reason ? YOLO_SINK_SPOOL_FAILS : YOLO_SINK_SPOOL_WORKS,
      reason ? reason : sink->place);
}

static YoloMessageQueue *
open_queue (YoloSink *sink, const YoloSinkOptions *options, GError **error)
{
  YoloSpool *spool = NULL;

  if (options->spool) {
    spool = yolo_spool_open (options->spool, options->spool_bytes, error);
    if (spool == NULL)
      return NULL;
  }
  return yolo_message_queue_new (options->queue_bytes, spool, on_trouble, sink, error);
}

YoloSink *
yolo_sink_open (const YoloSinkOptions *options, YoloSinkNotify notify, gpointer user_data,
    GError **error)
{
  g_autoptr (YoloLocation) location = yolo_location_parse (options->location, error);
  YoloClient *client = location ? open_client (options, location, error) : NULL;
  GThread *thread;
  YoloSink *sink;

  if (client == NULL)
    return NULL;
  sink = g_new0 (YoloSink, 1);
  g_atomic_ref_count_init (&sink->refs);
  g_mutex_init (&sink->lock);
  g_cond_init (&sink->changed);
  sink->client = client;
  client->answer = on_answer;
  client->owner = sink;
  sink->notify = notify;
  sink->user_data = user_data;
  sink->topic = g_strdup (location->topic);
  sink->place = g_strdup_printf ("%s://%s", location->scheme, location->hosts);
  sink->queue = open_queue (sink, options, error);
  if (sink->queue == NULL) {
    sink_unref (sink);
    return NULL;
  }
  g_atomic_ref_count_inc (&sink->refs);
  thread = g_thread_new ("yolo-sink", run, sink);
  g_thread_unref (thread);
  return sink;
}

const char *
yolo_sink_topic (YoloSink *sink)
{
  return sink->topic;
}

void
yolo_sink_send (YoloSink *sink, const char *topic, const char *key, gconstpointer body,
    gsize size, gboolean retain)
{
  const guint64 dropped = yolo_message_queue_push (
      sink->queue, yolo_message_new (topic ? topic : sink->topic, key, body, size, retain));
  gboolean tell;

  if (dropped == 0)
    return;
  g_mutex_lock (&sink->lock);
  tell = !sink->full;
  sink->full = TRUE;
  g_mutex_unlock (&sink->lock);
  if (tell) {
    g_autofree char *text = g_strdup_printf ("the queue of messages to %s is full, and the oldest "
        "ones are dropped", sink->place);

    notify (sink, YOLO_SINK_DROPPED, text);
  }
}

/* Whether nothing waits for an answer. */
static gboolean
is_empty (YoloSink *sink)
{
  YoloMessageQueueLevel level;

  yolo_message_queue_level (sink->queue, &level);
  return level.n == 0 && level.n_spool == 0 && level.n_taken == 0;
}

gboolean
yolo_sink_flush (YoloSink *sink, gint64 timeout)
{
  const gint64 end = g_get_monotonic_time () + timeout;
  gboolean empty, over = FALSE;

  /* the writer of a spool signals nobody here, which is why no wait is long */
  while (!(empty = is_empty (sink)) && !over) {
    g_mutex_lock (&sink->lock);
    over = sink->flushing || g_get_monotonic_time () >= end;
    if (!over)
      g_cond_wait_until (&sink->changed, &sink->lock,
          MIN (end, g_get_monotonic_time () + G_USEC_PER_SEC / 20));
    g_mutex_unlock (&sink->lock);
  }
  return empty;
}

void
yolo_sink_set_flushing (YoloSink *sink, gboolean flushing)
{
  g_mutex_lock (&sink->lock);
  sink->flushing = flushing;
  g_cond_broadcast (&sink->changed);
  g_mutex_unlock (&sink->lock);
}

void
yolo_sink_get_stats (YoloSink *sink, YoloSinkStats *stats)
{
  YoloMessageQueueLevel level;

  yolo_message_queue_level (sink->queue, &level);
  g_mutex_lock (&sink->lock);
  *stats = (YoloSinkStats) {
    .connected = sink->connected, .n_sent = level.n_pushed, .n_delivered = sink->n_delivered,
    .n_dropped = level.n_dropped, .n_refused = sink->n_refused, .n_resent = sink->n_resent,
    .n_connections = sink->n_connections, .n_queued = level.n, .queued_bytes = level.bytes,
    .n_spooled = level.n_spool, .spooled_bytes = level.bytes_spool,
  };
  g_mutex_unlock (&sink->lock);
}

guint64
yolo_sink_close (YoloSink *sink)
{
  const gint64 end = g_get_monotonic_time () + CLOSE_TIME;
  guint64 lost = 0;

  g_mutex_lock (&sink->lock);
  sink->closing = TRUE;
  g_cond_broadcast (&sink->changed);
  yolo_message_queue_wake (sink->queue);
  while (!sink->finished && g_cond_wait_until (&sink->changed, &sink->lock, end));
  sink->notify = NULL;
  while (sink->notifying > 0)
    g_cond_wait (&sink->changed, &sink->lock);
  if (sink->finished) {
    g_mutex_unlock (&sink->lock);
    lost = yolo_message_queue_free (g_steal_pointer (&sink->queue));
  } else {
    YoloMessageQueueLevel level;

    yolo_message_queue_level (sink->queue, &level);
    lost = level.n;
    g_mutex_unlock (&sink->lock);
  }
  sink_unref (sink);
  return lost;
}
