/* SPDX-License-Identifier: MIT */
#include "pipelines/server/events.h"

/* What may wait to be written while the disk is slow, and who may wait to be answered. */
#define MAX_EVENTS 10000
#define MAX_BYTES (32 << 20)    /* of pictures */
#define MAX_QUESTIONS 64
#define CLEAN_PERIOD (60 * G_USEC_PER_SEC)      /* without new events */
#define COMPLAIN_PERIOD (60 * G_USEC_PER_SEC)   /* between two lines of the log */

typedef enum {
  JOB_ADD, JOB_ADD_PICTURE, JOB_ADD_FILM, JOB_PUT_FILM, JOB_SEARCH, JOB_HOURS, JOB_RECORDINGS,
  JOB_PICTURE
} JobKind;

/* What the thread is to do, and then what has come of it. */
typedef struct {
  JobKind kind;
  YoloEvents *events;           /* a reference */
  YoloEvent *event;             /* owned */
  YoloFilm *film;               /* owned */
  YoloSearch search;            /* owned */
  gint64 id;                    /* of a picture */
  GBytes *jpeg;                 /* owned */
  GPtrArray *found;             /* owned */
  GError *error;                /* owned */
  YoloEventsFunc func;
  gpointer user_data;
} Job;

typedef struct {
  guint id;
  YoloEventFunc func;
  gpointer user_data;
} Listener;

struct _YoloEvents {
  gatomicrefcount references;
  GThread *thread;
  YoloStore *store;             /* the thread's alone */
  gint64 complained;            /* us, monotonic; the thread's alone */
  gint64 next_clean;            /* us, monotonic; the thread's alone */
  GArray *listeners;            /* Listener; the main thread's alone */
  guint last_listener;

  GMutex lock;                  /* guards what follows; held for as long as a pointer takes */
  GCond changed;
  GQueue jobs;                  /* Job */
  guint n_events, n_questions;  /* of the jobs, with those that the thread is at */
  gsize bytes;
  gint64 last;                  /* number of the newest event */
  gint64 last_film;
  guint64 added, lost;
  gboolean ending, ended;
};

static void
job_free (Job *job)
{
  yolo_events_unref (job->events);
  yolo_event_free (job->event);
  yolo_film_free (job->film);
  yolo_search_clear (&job->search);
  g_clear_pointer (&job->jpeg, g_bytes_unref);
  g_clear_pointer (&job->found, g_ptr_array_unref);
  g_clear_error (&job->error);
  g_free (job);
}

/* The main thread: tells all who listen. */
static void
tell (YoloEvents *events, const YoloEvent *event)
{
  g_autoptr (GArray) listeners = g_array_copy (events->listeners);

  for (guint i = 0; i < listeners->len; i++) {
    const Listener *listener = &g_array_index (listeners, Listener, i);

    /* An earlier one may have taken this one away. */
    for (guint j = 0; j < events->listeners->len; j++)
      if (g_array_index (events->listeners, Listener, j).id == listener->id) {
        listener->func (event, listener->user_data);
        break;
      }
  }
}

static gboolean
deliver (gpointer user_data)
{
  Job *job = user_data;

  if (job->kind == JOB_ADD)
    tell (job->events, job->event);
  else
    job->func (job->found, job->jpeg, job->error, job->user_data);
  return G_SOURCE_REMOVE;
}

/* Hands a job to the main thread. */
static void
hand_over (Job *job)
{
  g_idle_add_full (G_PRIORITY_DEFAULT, deliver, job, (GDestroyNotify) job_free);
}

/* Writes what there is to write, and now and then looks for what has become too old. */
static gboolean
write_jobs (YoloEvents *events, GQueue *jobs, GError **error)
{
  const gint64 now = g_get_monotonic_time ();
  gboolean needed = now >= events->next_clean;

  for (GList *l = jobs->head; l != NULL && !needed; l = l->next)
    needed = ((const Job *) l->data)->kind < JOB_SEARCH;
  if (!needed)
    return TRUE;
  events->next_clean = now + CLEAN_PERIOD;
  if (!yolo_store_begin (events->store, error))
    return FALSE;
  for (GList *l = jobs->head; l != NULL; l = l->next) {
    const Job *job = l->data;

    if (job->kind == JOB_ADD && !yolo_store_add (events->store, job->event, error))
      return FALSE;
    if (job->kind == JOB_ADD_PICTURE
        && !yolo_store_add_picture (events->store, job->id, g_get_real_time (), job->jpeg, error))
      return FALSE;
    if (job->kind == JOB_ADD_FILM && !yolo_store_add_film (events->store, job->film, error))
      return FALSE;
    if (job->kind == JOB_PUT_FILM && !yolo_store_put_film (events->store, job->film, error))
      return FALSE;
  }
  return yolo_store_clean (events->store, g_get_real_time (), error)
      && yolo_store_commit (events->store, error);
}

static void
complain (YoloEvents *events, const GError *error)
{
  const gint64 now = g_get_monotonic_time ();

  if (events->complained != 0 && now < events->complained + COMPLAIN_PERIOD)
    return;
  events->complained = now;
  g_message ("events are lost: %s", error->message);
}

/* Writes what is to be written, as a whole, and then answers. */
static void
work_on (YoloEvents *events, GQueue *jobs)
{
  g_autoptr (GError) error = NULL;
  guint n_events = 0, n_questions = 0;
  gsize bytes = 0;
  gboolean good;
  Job *job;

  good = write_jobs (events, jobs, &error);
  if (!good) {
    yolo_store_cancel (events->store);
    complain (events, error);
  }
  while ((job = g_queue_pop_head (jobs)) != NULL)
    switch (job->kind) {
      case JOB_ADD:
        n_events++;
        hand_over (job);
        break;
      case JOB_ADD_PICTURE:
        bytes += g_bytes_get_size (job->jpeg);
        job_free (job);
        break;
      case JOB_ADD_FILM:
      case JOB_PUT_FILM:
        job_free (job);
        break;
      case JOB_SEARCH:
      case JOB_RECORDINGS:
        n_questions++;
        job->found = (job->kind == JOB_SEARCH ? yolo_store_search : yolo_store_recordings)
            (events->store, &job->search, &job->error);
        hand_over (job);
        break;
      case JOB_HOURS:
        n_questions++;
        job->found = yolo_store_hours (events->store, &job->search, &job->error);
        hand_over (job);
        break;
      case JOB_PICTURE:
        n_questions++;
        job->jpeg = yolo_store_picture (events->store, job->id, &job->error);
        hand_over (job);
        break;
    }
  g_mutex_lock (&events->lock);
  events->n_events -= n_events;
  events->n_questions -= n_questions;
  events->bytes -= bytes;
  events->lost += good ? 0 : n_events;
  g_mutex_unlock (&events->lock);
}

static gpointer
work (gpointer data)
{
  YoloEvents *events = data;
  gboolean end = FALSE;

  while (!end) {
    const gint64 until = g_get_monotonic_time () + CLEAN_PERIOD;
    GQueue jobs = G_QUEUE_INIT;

    g_mutex_lock (&events->lock);
    while (g_queue_is_empty (&events->jobs) && !events->ending
        && g_cond_wait_until (&events->changed, &events->lock, until));
    jobs = events->jobs;
    g_queue_init (&events->jobs);
    end = events->ending;
    g_mutex_unlock (&events->lock);
    work_on (events, &jobs);
  }
  yolo_store_close (events->store);
  g_mutex_lock (&events->lock);
  events->ended = TRUE;
  g_cond_broadcast (&events->changed);
  g_mutex_unlock (&events->lock);
  yolo_events_unref (events);
  return NULL;
}

YoloEvents *
yolo_events_new (const char *folder, guint64 max_bytes, gint64 max_age, GError **error)
{
  YoloStore *store = yolo_store_open (folder, max_bytes, max_age, error);
  YoloEvents *events;

  if (store == NULL)
    return NULL;
  events = g_new0 (YoloEvents, 1);
  g_atomic_ref_count_init (&events->references);
  g_mutex_init (&events->lock);
  g_cond_init (&events->changed);
  events->store = store;
  events->last = yolo_store_last (store);
  events->last_film = yolo_store_last_film (store);
  events->listeners = g_array_new (FALSE, FALSE, sizeof (Listener));
  events->thread = g_thread_new ("events", work, yolo_events_ref (events));
  return events;
}

void
yolo_events_limit_recordings (YoloEvents *events, guint64 max_bytes, gint64 max_age)
{
  /* The thread waits for its first job, which takes the lock. */
  g_mutex_lock (&events->lock);
  yolo_store_limit_recordings (events->store, max_bytes, max_age);
  g_mutex_unlock (&events->lock);
}

YoloEvents *
yolo_events_ref (YoloEvents *events)
{
  g_atomic_ref_count_inc (&events->references);
  return events;
}

void
yolo_events_unref (YoloEvents *events)
{
  if (events == NULL || !g_atomic_ref_count_dec (&events->references))
    return;
  g_thread_unref (events->thread);
  g_array_unref (events->listeners);
  g_mutex_clear (&events->lock);
  g_cond_clear (&events->changed);
  g_free (events);
}

void
yolo_events_end (YoloEvents *events, gint64 timeout)
{
  const gint64 until = g_get_monotonic_time () + timeout;

  g_mutex_lock (&events->lock);
  events->ending = TRUE;
  g_cond_broadcast (&events->changed);
  while (!events->ended && g_cond_wait_until (&events->changed, &events->lock, until));
  g_mutex_unlock (&events->lock);
}

/* With the lock held. */
static void
push (YoloEvents *events, Job *job)
{
  job->events = yolo_events_ref (events);
  g_queue_push_tail (&events->jobs, job);
  g_cond_broadcast (&events->changed);
}

gint64
yolo_events_add (YoloEvents *events, YoloEvent *event)
{
  gint64 id = 0;

  g_mutex_lock (&events->lock);
  events->added++;
  if (events->ending || events->n_events >= MAX_EVENTS) {
    events->lost++;
  } else {
    Job *job = g_new0 (Job, 1);

    id = event->id = ++events->last;
    if (event->picture == YOLO_EVENT_OWN_PICTURE)
      event->picture = id;
    job->kind = JOB_ADD;
    job->event = g_steal_pointer (&event);
    events->n_events++;
    push (events, job);
  }
  g_mutex_unlock (&events->lock);
  yolo_event_free (event);
  return id;
}

void
yolo_events_add_picture (YoloEvents *events, gint64 id, GBytes *jpeg)
{
  g_mutex_lock (&events->lock);
  if (!events->ending && events->bytes + g_bytes_get_size (jpeg) <= MAX_BYTES) {
    Job *job = g_new0 (Job, 1);

    job->kind = JOB_ADD_PICTURE;
    job->id = id;
    job->jpeg = g_bytes_ref (jpeg);
    events->bytes += g_bytes_get_size (jpeg);
    push (events, job);
  }
  g_mutex_unlock (&events->lock);
}

/* With the lock held. @film: (transfer full) */
static void
push_film (YoloEvents *events, JobKind kind, YoloFilm *film)
{
  Job *job = g_new0 (Job, 1);

  *job = (Job) { .kind = kind, .film = film };
  push (events, job);
}

gint64
yolo_events_add_film (YoloEvents *events, YoloFilm *film)
{
  g_mutex_lock (&events->lock);
  film->id = ++events->last_film;
  push_film (events, JOB_ADD_FILM, yolo_film_copy (film));
  g_mutex_unlock (&events->lock);
  return film->id;
}

void
yolo_events_put_film (YoloEvents *events, const YoloFilm *film)
{
  g_mutex_lock (&events->lock);
  push_film (events, JOB_PUT_FILM, yolo_film_copy (film));
  g_mutex_unlock (&events->lock);
}

static gboolean
push_question (YoloEvents *events, Job *job)
{
  gboolean room;

  g_mutex_lock (&events->lock);
  room = events->n_questions < MAX_QUESTIONS && !events->ending;
  if (room) {
    events->n_questions++;
    push (events, job);
  }
  g_mutex_unlock (&events->lock);
  if (!room) {
    yolo_search_clear (&job->search);
    g_free (job);
  }
  return room;
}

static gboolean
ask (YoloEvents *events, JobKind kind, YoloSearch *search, YoloEventsFunc func,
    gpointer user_data)
{
  Job *job = g_new0 (Job, 1);

  *job = (Job) { .kind = kind, .search = *search, .func = func, .user_data = user_data };
  *search = (YoloSearch) { 0 };
  return push_question (events, job);
}

gboolean
yolo_events_search (YoloEvents *events, YoloSearch *search, YoloEventsFunc func,
    gpointer user_data)
{
  return ask (events, JOB_SEARCH, search, func, user_data);
}

gboolean
yolo_events_hours (YoloEvents *events, YoloSearch *search, YoloEventsFunc func,
    gpointer user_data)
{
  return ask (events, JOB_HOURS, search, func, user_data);
}

gboolean
yolo_events_recordings (YoloEvents *events, YoloSearch *search, YoloEventsFunc func,
    gpointer user_data)
{
  return ask (events, JOB_RECORDINGS, search, func, user_data);
}

gboolean
yolo_events_picture (YoloEvents *events, gint64 id, YoloEventsFunc func, gpointer user_data)
{
  Job *job = g_new0 (Job, 1);

  *job = (Job) { .kind = JOB_PICTURE, .id = id, .func = func, .user_data = user_data };
  return push_question (events, job);
}

guint
yolo_events_listen (YoloEvents *events, YoloEventFunc func, gpointer user_data)
{
  const Listener listener = { ++events->last_listener, func, user_data };

  g_array_append_val (events->listeners, listener);
  return listener.id;
}

void
yolo_events_leave (YoloEvents *events, guint id)
{
  for (guint i = 0; i < events->listeners->len; i++)
    if (g_array_index (events->listeners, Listener, i).id == id) {
      g_array_remove_index (events->listeners, i);
      break;
    }
}

YoloEventsNow
yolo_events_read (YoloEvents *events)
{
  YoloEventsNow now;

  g_mutex_lock (&events->lock);
  now = (YoloEventsNow) { events->added, events->lost, events->n_events };
  g_mutex_unlock (&events->lock);
  return now;
}
