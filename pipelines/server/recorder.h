/* SPDX-License-Identifier: MIT */
/* What of a camera's video becomes files: clips of events, and recordings without end. It is part
 * of a YoloBitstream, whose lock is held whenever a function here is called. */

#ifndef YOLO_SERVER_RECORDER_H
#define YOLO_SERVER_RECORDER_H

#include "pipelines/server/films.h"
#include "pipelines/server/unit.h"
#include "pipelines/server/values.h"

G_BEGIN_DECLS

typedef struct _YoloRecorder YoloRecorder;

/* @films: (nullable): NULL: there is no folder, and nothing is recorded */
YoloRecorder *yolo_recorder_new (const char *camera, YoloFilms *films);
void yolo_recorder_free (YoloRecorder *recorder);

/* Takes the settings of a camera on. */
void yolo_recorder_set (YoloRecorder *recorder, const YoloValues *values);

/* Whether anything is recorded, and how long a past that takes. */
gboolean yolo_recorder_records (const YoloRecorder *recorder);
GstClockTime yolo_recorder_past (const YoloRecorder *recorder);

/* Something has happened on the picture at @pts, and @newest is the last one that came in.
 * Returns the number of the clip that shows it, or 0. */
gint64 yolo_recorder_event (YoloRecorder *recorder, GstClockTime pts, GstClockTime newest);

/* A unit has come, which is the last in @units, all that is known of the past. @caps: of the
 * units */
void yolo_recorder_take (YoloRecorder *recorder, GQueue *units, GstCaps *caps);

/* The video breaks off. @units, @caps: as above; @caps is NULL if there are none */
void yolo_recorder_cut (YoloRecorder *recorder, GQueue *units, GstCaps *caps);

G_END_DECLS

#endif
