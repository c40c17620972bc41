/* SPDX-License-Identifier: MIT */
#include "pipelines/server/films.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define MAX_WAITING (64 << 20)  /* bytes that may wait to be written while the disk is slow */
#define TELL_AFTER (16 << 20)   /* bytes after which the events learn how large a file is */
#define RETRY_AFTER (10 * G_USEC_PER_SEC)       /* once the disk has taken nothing */
#define COMPLAIN_PERIOD (60 * G_USEC_PER_SEC)   /* between two lines of the log */

struct _YoloShot {
  YoloFilms *films;             /* a reference */
  YoloFilm *film;               /* owned; what the events know of it */
  int fd;                       /* -1: there is no file; the thread's alone */
  gint64 told;                  /* bytes that the events know of; the thread's alone */
  gint broken;                  /* atomic: nothing is written any more */
};

typedef enum { JOB_OPEN, JOB_WRITE, JOB_END } JobKind;

typedef struct {
  JobKind kind;
  YoloShot *shot;               /* owned by the last of its jobs, JOB_END */
  GBytes *bytes;                /* owned; what to write; NULL: nothing */
  gsize offset;                 /* where to, of JOB_END */
  gint64 end;                   /* us since 1970, of JOB_END */
} Job;

struct _YoloFilms {
  gatomicrefcount references;
  char *folder;
  YoloEvents *events;           /* a reference */
  GThread *thread;

  GMutex lock;                  /* guards what follows; held for as long as a pointer takes */
  GCond changed;
  GQueue jobs;                  /* Job */
  gsize waiting;                /* bytes of the jobs, with those that the thread is at */
  gint64 failed;                /* us, monotonic, when something was lost last; 0: never */
  gint64 complained;            /* us, monotonic; 0: never */
  YoloFilmsNow now;
  gboolean ending, ended;
};

char *
yolo_films_path (const YoloFilms *films, gboolean clip, gint64 id)
{
  return yolo_film_path (films->folder, clip, id);
}

static void
lose (YoloShot *shot, const char *why)
{
  YoloFilms *films = shot->films;
  const gint64 now = g_get_monotonic_time ();
  gboolean complain;

  if (!g_atomic_int_compare_and_exchange (&shot->broken, FALSE, TRUE))
    return;
  g_mutex_lock (&films->lock);
  films->now.lost++;
  films->failed = now;
  complain = films->complained == 0 || now >= films->complained + COMPLAIN_PERIOD;
  if (complain)
    films->complained = now;
  g_mutex_unlock (&films->lock);
  if (complain)
    g_message ("video is lost: cannot write into \"%s\": %s", films->folder, why);
}

static void
open_file (YoloShot *shot)
{
  g_autofree char *path = yolo_films_path (shot->films, shot->film->clip, shot->film->id);

  shot->fd = g_open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (shot->fd < 0)
    lose (shot, g_strerror (errno));
}

/* Writes all of it, or nothing: the file stays whole. */
static void
write_bytes (YoloShot *shot, GBytes *bytes, goffset at)
{
  gsize size, done = 0;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  while (done < size) {
    const ssize_t n = pwrite (shot->fd, data + done, size - done, at + done);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      lose (shot, n < 0 ? g_strerror (errno) : "the disk takes nothing");
      if (ftruncate (shot->fd, shot->film->bytes) != 0)
        g_debug ("film %" G_GINT64_FORMAT " ends in a part of a second", shot->film->id);
      return;
    }
    done += n;
  }
  shot->film->bytes = MAX (shot->film->bytes, at + (gint64) size);
  g_mutex_lock (&shot->films->lock);
  shot->films->now.bytes += size;
  g_mutex_unlock (&shot->films->lock);
}

static void
shot_free (YoloShot *shot)
{
  if (shot->fd >= 0)
    close (shot->fd);
  yolo_film_free (shot->film);
  yolo_films_unref (shot->films);
  g_free (shot);
}

static void
end_file (YoloShot *shot, const Job *job)
{
  YoloFilm *film = shot->film;

  if (job->bytes != NULL && shot->fd >= 0 && !g_atomic_int_get (&shot->broken))
    write_bytes (shot, job->bytes, job->offset);
  if (film->bytes == 0) {
    g_autofree char *path = yolo_films_path (shot->films, film->clip, film->id);
    g_unlink (path);
  }
  film->end = job->end;
  yolo_events_put_film (shot->films->events, film);
  shot_free (shot);
}

static void
work_on (Job *job)
{
  YoloShot *shot = job->shot;

  switch (job->kind) {
    case JOB_OPEN:
      open_file (shot);
      break;
    case JOB_WRITE:
      if (shot->fd >= 0 && !g_atomic_int_get (&shot->broken))
        write_bytes (shot, job->bytes, shot->film->bytes);
      if (shot->film->bytes > shot->told + TELL_AFTER) {
        shot->told = shot->film->bytes;
        yolo_events_put_film (shot->films->events, shot->film);
      }
      break;
    case JOB_END:
      end_file (shot, job);
      break;
  }
}

static gpointer
work (gpointer data)
{
  YoloFilms *films = data;

  g_mutex_lock (&films->lock);
  while (!films->ending || !g_queue_is_empty (&films->jobs)) {
    Job *job = g_queue_pop_head (&films->jobs);
    gsize size;

    if (job == NULL) {
      g_cond_wait (&films->changed, &films->lock);
      continue;
    }
    g_mutex_unlock (&films->lock);
    size = job->bytes != NULL ? g_bytes_get_size (job->bytes) : 0;
    work_on (job);
    g_clear_pointer (&job->bytes, g_bytes_unref);
    g_free (job);
    g_mutex_lock (&films->lock);
    films->waiting -= size;
  }
  films->ended = TRUE;
  g_cond_broadcast (&films->changed);
  g_mutex_unlock (&films->lock);
  yolo_films_unref (films);
  return NULL;
}

YoloFilms *
yolo_films_new (const char *folder, YoloEvents *events, GError **error)
{
  YoloFilms *films = g_new0 (YoloFilms, 1);

  g_atomic_ref_count_init (&films->references);
  g_mutex_init (&films->lock);
  g_cond_init (&films->changed);
  films->folder = g_strdup (folder);
  films->events = yolo_events_ref (events);
  for (gint clip = 0; clip < 2; clip++) {
    g_autofree char *path = yolo_films_path (films, clip, 1);
    g_autofree char *inner = g_path_get_dirname (path);

    if (g_mkdir_with_parents (inner, 0700) != 0) {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_IO,
          "cannot make the folder \"%s\" for video: %s; name another events-folder", inner,
          g_strerror (errno));
      yolo_films_unref (films);
      return NULL;
    }
  }
  films->thread = g_thread_new ("films", work, yolo_films_ref (films));
  return films;
}

YoloFilms *
yolo_films_ref (YoloFilms *films)
{
  g_atomic_ref_count_inc (&films->references);
  return films;
}

void
yolo_films_unref (YoloFilms *films)
{
  if (films == NULL || !g_atomic_ref_count_dec (&films->references))
    return;
  g_clear_pointer (&films->thread, g_thread_unref);
  yolo_events_unref (films->events);
  g_mutex_clear (&films->lock);
  g_cond_clear (&films->changed);
  g_free (films->folder);
  g_free (films);
}

void
yolo_films_end (YoloFilms *films, gint64 timeout)
{
  const gint64 until = g_get_monotonic_time () + timeout;

  g_mutex_lock (&films->lock);
  films->ending = TRUE;
  g_cond_broadcast (&films->changed);
  while (!films->ended && g_cond_wait_until (&films->changed, &films->lock, until));
  g_mutex_unlock (&films->lock);
}

YoloFilmsNow
yolo_films_read (YoloFilms *films)
{
  YoloFilmsNow now;

  g_mutex_lock (&films->lock);
  now = films->now;
  g_mutex_unlock (&films->lock);
  return now;
}

/* Gives the thread a job. FALSE: there is no room for its bytes, or the thread ends; the job is
 * gone then, unless it is the last of a file. */
static gboolean
push (YoloFilms *films, Job job)
{
  const gsize size = job.bytes != NULL ? g_bytes_get_size (job.bytes) : 0;
  gboolean good;

  g_mutex_lock (&films->lock);
  good = !films->ended && (job.kind != JOB_WRITE || films->waiting + size <= MAX_WAITING);
  if (good) {
    films->waiting += size;
    g_queue_push_tail (&films->jobs, g_memdup2 (&job, sizeof job));
    g_cond_broadcast (&films->changed);
  }
  g_mutex_unlock (&films->lock);
  if (!good)
    g_clear_pointer (&job.bytes, g_bytes_unref);
  return good;
}

YoloShot *
yolo_films_begin (YoloFilms *films, gboolean clip, const char *camera, gint64 begin, gint64 *id)
{
  YoloShot *shot;
  gboolean good;

  g_mutex_lock (&films->lock);
  good = !films->ending && (films->failed == 0
      || g_get_monotonic_time () > films->failed + RETRY_AFTER);
  films->now.begun += good;
  films->now.lost += !good;
  g_mutex_unlock (&films->lock);
  if (!good)
    return NULL;
  shot = g_new0 (YoloShot, 1);
  shot->films = yolo_films_ref (films);
  shot->fd = -1;
  shot->film = g_new0 (YoloFilm, 1);
  *shot->film = (YoloFilm) { .clip = clip, .camera = g_strdup (camera), .begin = begin };
  *id = yolo_events_add_film (films->events, shot->film);
  push (films, (Job) { .kind = JOB_OPEN, .shot = shot });
  return shot;
}

gboolean
yolo_shot_write (YoloShot *shot, GBytes *bytes)
{
  if (g_atomic_int_get (&shot->broken)) {
    g_bytes_unref (bytes);
    return FALSE;
  }
  if (push (shot->films, (Job) { .kind = JOB_WRITE, .shot = shot, .bytes = bytes }))
    return TRUE;
  lose (shot, "it is too slow");
  return FALSE;
}

void
yolo_shot_end (YoloShot *shot, GBytes *index, gsize offset, gint64 end)
{
  if (!push (shot->films, (Job) { .kind = JOB_END, .shot = shot, .bytes = index,
          .offset = offset, .end = end }))
    shot_free (shot);
}
