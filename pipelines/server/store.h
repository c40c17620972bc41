/* SPDX-License-Identifier: MIT */
/* Events and their pictures in a file of SQLite: kept until they are too old or too many, whatever
 * becomes of the program. One thread at a time may call these functions, which wait for the
 * disk. */

#ifndef YOLO_SERVER_STORE_H
#define YOLO_SERVER_STORE_H

#include <glib.h>

G_BEGIN_DECLS

/* The event's own number, as `picture` of one that is being added. */
#define YOLO_EVENT_OWN_PICTURE (-1)

typedef struct {
  gint64 id;                    /* from 1; never given twice */
  gint64 time;                  /* us since 1970 */
  char *camera, *kind;          /* owned */
  char *zone;                   /* owned; of a line or a zone; NULL: it is about neither */
  char *label;                  /* owned; the object's class; NULL: it is about none */
  char *details;                /* owned; all else as a JSON object, or NULL */
  gint64 picture;               /* number of the picture; 0: there is none */
  gint64 clip;                  /* number of the film that shows it; 0: there is none */
} YoloEvent;

/* A file of video. */
typedef struct {
  gint64 id;                    /* from 1; never given twice */
  gboolean clip;                /* of events; else it is of a continuous recording */
  char *camera;                 /* owned */
  gint64 begin, end;            /* us since 1970; end is 0 while it is being written */
  gint64 bytes;
} YoloFilm;

/* Which events are looked for. */
typedef struct {
  char *camera, *kind, *zone, *label;   /* owned; NULL: any */
  gint64 from, until;           /* us since 1970; the second is not in it; G_MAXINT64: no limit */
  gint64 above, below;          /* numbers between these; 0 and G_MAXINT64: any */
  guint limit;                  /* most events to give */
} YoloSearch;

typedef struct _YoloStore YoloStore;

YoloEvent *yolo_event_new (const char *camera, const char *kind);
void yolo_event_free (YoloEvent *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloEvent, yolo_event_free)

YoloFilm *yolo_film_copy (const YoloFilm *film);
void yolo_film_free (YoloFilm *film);

/* (transfer full): the file of a film. Names are numbers alone: no camera's name reaches the file
 * system. */
char *yolo_film_path (const char *folder, gboolean clip, gint64 id);

void yolo_search_clear (YoloSearch *search);

/**
 * yolo_store_open:
 * @folder: (nullable): where `events.sqlite` is, or is made; NULL: in memory
 * @max_bytes: size of the file from which on the oldest events go
 * @max_age: us after which they go
 *
 * Returns: (transfer full): for yolo_store_close(), or NULL with @error, which names the file and
 * the remedy
 */
YoloStore *yolo_store_open (const char *folder, guint64 max_bytes, gint64 max_age, GError **error);
void yolo_store_close (YoloStore *store);

/* How many bytes recordings may have together, and us after which they go. What belongs to events
 * counts with these. */
void yolo_store_limit_recordings (YoloStore *store, guint64 max_bytes, gint64 max_age);

/* The highest number that was ever given to an event, and to a film. */
gint64 yolo_store_last (YoloStore *store);
gint64 yolo_store_last_film (YoloStore *store);

/* What is added between these two is kept as a whole or, if the second fails or is not reached,
 * not at all. */
gboolean yolo_store_begin (YoloStore *store, GError **error);
gboolean yolo_store_commit (YoloStore *store, GError **error);
void yolo_store_cancel (YoloStore *store);

gboolean yolo_store_add (YoloStore *store, const YoloEvent *event, GError **error);
gboolean yolo_store_add_picture (
    YoloStore *store, gint64 id, gint64 time, GBytes *jpeg, GError **error);

/* Adds a film, or says of one that is there how large it is and when it ended; one that has ended
 * without a byte is forgotten. */
gboolean yolo_store_add_film (YoloStore *store, const YoloFilm *film, GError **error);
gboolean yolo_store_put_film (YoloStore *store, const YoloFilm *film, GError **error);

/* Removes what is too old at @now (us since 1970), and the oldest until the rest is small enough
 * and the disk has room. */
gboolean yolo_store_clean (YoloStore *store, gint64 now, GError **error);

/* (element-type YoloEvent) (transfer full): the newest first. `picture` is 0 where it is not
 * there. NULL with @error: the disk, or that it took too long. */
GPtrArray *yolo_store_search (YoloStore *store, const YoloSearch *search, GError **error);

/* An hour in which something has happened. */
typedef struct {
  gint64 time;                  /* us since 1970: its begin, in UTC */
  gint64 events;
  gint64 occupancy;             /* the highest that an event has told of; -1: none has */
} YoloHour;

/* (element-type YoloHour) (transfer full): of the events that are looked for, the oldest hour
 * first. NULL with @error: the disk, or that it took too long. */
GPtrArray *yolo_store_hours (YoloStore *store, const YoloSearch *search, GError **error);
/* (element-type YoloFilm) (transfer full): recordings, the newest first, of which a part lies
 * between `from` and `until`, narrowed by `camera`, `above` and `below`. NULL with @error */
GPtrArray *yolo_store_recordings (YoloStore *store, const YoloSearch *search, GError **error);

/* (transfer full): a JPEG file, or NULL: there is none, or, with @error, the disk does not give
 * it. */
GBytes *yolo_store_picture (YoloStore *store, gint64 id, GError **error);

G_END_DECLS

#endif
