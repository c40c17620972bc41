/* SPDX-License-Identifier: MIT */
/* What has happened: taken from all threads, written down by one of its own, for which nobody
 * waits. */

#ifndef YOLO_SERVER_EVENTS_H
#define YOLO_SERVER_EVENTS_H

#include "pipelines/server/store.h"

G_BEGIN_DECLS

typedef struct _YoloEvents YoloEvents;

typedef struct {
  guint64 added;                /* that were taken */
  guint64 lost;                 /* that the disk did not take, or not in time */
  guint waiting;                /* events and pictures that are not written yet */
} YoloEventsNow;

/* Called by the main thread with what was asked for: events or films, or a picture; both NULL with
 * an error: the disk. NULL without one: there is no such picture. */
typedef void (*YoloEventsFunc) (
    GPtrArray *events, GBytes *jpeg, const GError *error, gpointer user_data);

/* Called by the main thread for each new event. */
typedef void (*YoloEventFunc) (const YoloEvent *event, gpointer user_data);

/* See yolo_store_open(). */
YoloEvents *yolo_events_new (
    const char *folder, guint64 max_bytes, gint64 max_age, GError **error);
YoloEvents *yolo_events_ref (YoloEvents *events);
void yolo_events_unref (YoloEvents *events);

/* How many bytes recordings may have together, and us after which they go; before any are made. */
void yolo_events_limit_recordings (YoloEvents *events, guint64 max_bytes, gint64 max_age);

/* Writes what is there and ends, or gives up after so many us. What is added later is lost. */
void yolo_events_end (YoloEvents *events, gint64 timeout);

/**
 * yolo_events_add:
 * @event: (transfer full): `id` is set, and `picture` if it is YOLO_EVENT_OWN_PICTURE
 *
 * Any thread.
 *
 * Returns: the event's number, or 0: too many wait to be written, and it is lost
 */
gint64 yolo_events_add (YoloEvents *events, YoloEvent *event);

/* Adds the picture of events whose `picture` is @id. Any thread. */
void yolo_events_add_picture (YoloEvents *events, gint64 id, GBytes *jpeg);

/* A film begins: it gets its `id`, which is returned, too. Any thread. */
gint64 yolo_events_add_film (YoloEvents *events, YoloFilm *film);

/* A film has grown or ended. Any thread. */
void yolo_events_put_film (YoloEvents *events, const YoloFilm *film);

/* Asks for recordings; as yolo_events_search(). */
gboolean yolo_events_recordings (
    YoloEvents *events, YoloSearch *search, YoloEventsFunc func, gpointer user_data);

/* Asks for events, or for a picture; the main thread. @search: (transfer full). FALSE: too many
 * ask; @func is not called. */
gboolean yolo_events_search (
    YoloEvents *events, YoloSearch *search, YoloEventsFunc func, gpointer user_data);
/* The same for the hours of events: those of yolo_store_hours(). */
gboolean yolo_events_hours (
    YoloEvents *events, YoloSearch *search, YoloEventsFunc func, gpointer user_data);
gboolean yolo_events_picture (
    YoloEvents *events, gint64 id, YoloEventsFunc func, gpointer user_data);

/* Has @func called for each new event; the main thread. Returns a number for
 * yolo_events_leave(). */
guint yolo_events_listen (YoloEvents *events, YoloEventFunc func, gpointer user_data);
void yolo_events_leave (YoloEvents *events, guint id);

YoloEventsNow yolo_events_read (YoloEvents *events);

G_END_DECLS

#endif
