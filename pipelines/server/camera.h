/* SPDX-License-Identifier: MIT */
/* A camera: it connects, and connects again whenever that fails. The main thread calls all
 * functions. */

#ifndef YOLO_SERVER_CAMERA_H
#define YOLO_SERVER_CAMERA_H

#include "pipelines/server/run.h"

G_BEGIN_DECLS

typedef enum {
  YOLO_CAMERA_OFF,              /* it is not to run, or its file has ended */
  YOLO_CAMERA_CONNECTING,       /* no frame has come yet */
  YOLO_CAMERA_LIVE,
  YOLO_CAMERA_STALLED,          /* there is a connection, and no frame for `stall-after` */
  YOLO_CAMERA_FAILED,           /* it is tried again and again */
} YoloCameraState;

typedef struct {
  char *name;
  YoloValues *values;           /* owned, with the defaults */
  YoloCounts *counts;
  YoloPicture *clean, *drawn;   /* pictures without and with what was found */
  YoloEvents *events;           /* a reference */
  YoloBitstream *stream;           /* what comes compressed */
  gboolean up;                  /* whether the last event told that it is */

  YoloCameraState state;
  char *reason;                 /* owned; in words why, or NULL */
  gint64 since;                 /* us since 1970, when the state began */
  guint64 connects;             /* pipelines that were started */
  guint64 failures;             /* of them, those that failed */

  YoloRun *run;                 /* NULL: nothing runs */
  GstElement *zones;            /* owned; yolozones of the run before, which has the counts */
  gint64 run_began;             /* us, monotonic */
  gint64 run_started;           /* us, monotonic, when its start was over; 0: it is not */
  guint64 frames_at_start;
  double wait;                  /* seconds that the last failure made us wait */
  gint64 next;                  /* us, monotonic, when to try again; 0: not at all */
  gboolean unreachable;         /* the host did not answer when it was last asked */
  GCancellable *probe;          /* asks whether the host answers; NULL: nobody asks */
  gint64 probed;                /* us, monotonic, when it was last asked */
} YoloCamera;

/* @values: with the defaults; copied. The camera starts if it is enabled. @events: takes what
 * happens. @films: (nullable): takes video. */
YoloCamera *yolo_camera_new (
    const char *name, const YoloValues *values, YoloEvents *events, YoloFilms *films);
void yolo_camera_free (YoloCamera *camera);

/* Takes other values on: at once where the keys that differ are `live`, else by connecting anew. */
void yolo_camera_change (YoloCamera *camera, const YoloValues *values);

/* Looks after the camera, several times a second: ends what stands still, tries again. */
void yolo_camera_watch (YoloCamera *camera);

/* "live": as the API and the page call it. */
const char *yolo_camera_state_name (YoloCameraState state);

G_END_DECLS

#endif
