/* SPDX-License-Identifier: MIT */
/* Files of video, written by one thread of their own, for which nobody waits: `clips/N.mp4` and
 * `recordings/N.mp4` in the folder of the events. */

#ifndef YOLO_SERVER_FILMS_H
#define YOLO_SERVER_FILMS_H

#include "pipelines/server/events.h"

G_BEGIN_DECLS

typedef struct _YoloFilms YoloFilms;
typedef struct _YoloShot YoloShot;      /* one file that is being written */

typedef struct {
  guint64 begun;                /* files */
  guint64 lost;                 /* of these, those that broke off or were not made: the disk */
  guint64 bytes;                /* that were written */
} YoloFilmsNow;

/* @folder: of the events. NULL with @error: the folders cannot be made. */
YoloFilms *yolo_films_new (const char *folder, YoloEvents *events, GError **error);
YoloFilms *yolo_films_ref (YoloFilms *films);
void yolo_films_unref (YoloFilms *films);

/* Writes what is there and ends, or gives up after so many us. What is added later is lost. */
void yolo_films_end (YoloFilms *films, gint64 timeout);

YoloFilmsNow yolo_films_read (YoloFilms *films);

/* (transfer full): where a film lies. */
char *yolo_films_path (const YoloFilms *films, gboolean clip, gint64 id);

/**
 * yolo_films_begin:
 * @clip: of events; else it is of a continuous recording
 * @begin: us since 1970
 * @id: (out): the film's number
 *
 * Any thread.
 *
 * Returns: for yolo_shot_end(); NULL: the disk took nothing a moment ago
 */
YoloShot *yolo_films_begin (
    YoloFilms *films, gboolean clip, const char *camera, gint64 begin, gint64 *id);

/* Appends bytes; (transfer full). FALSE: the disk does not take them, or not in time, and the file
 * ends before them. Any thread, one at a time. */
gboolean yolo_shot_write (YoloShot *shot, GBytes *bytes);

/* Ends a file. @index: (transfer full) (nullable): what goes to @offset now; @end: us since
 * 1970 */
void yolo_shot_end (YoloShot *shot, GBytes *index, gsize offset, gint64 end);

G_END_DECLS

#endif
