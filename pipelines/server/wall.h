/* SPDX-License-Identifier: MIT */
/* All cameras, and the settings that they come from. The main thread calls all functions. */

#ifndef YOLO_SERVER_WALL_H
#define YOLO_SERVER_WALL_H

#include "pipelines/server/camera.h"
#include "pipelines/server/settings.h"

G_BEGIN_DECLS

typedef struct _YoloWall YoloWall;

/* @settings: (transfer full). Cameras start. @events: takes what happens. @films: (nullable): takes
 * video; (transfer none) */
YoloWall *yolo_wall_new (YoloSettings *settings, YoloEvents *events, YoloFilms *films);

/* All cameras end; yolo_run_wait() waits for them. */
void yolo_wall_free (YoloWall *wall);

const YoloSettings *yolo_wall_settings (YoloWall *wall);

/* (element-type YoloCamera): in the settings' order. They belong to the wall, and live until the
 * settings change. */
GPtrArray *yolo_wall_cameras (YoloWall *wall);
YoloCamera *yolo_wall_camera (YoloWall *wall, const char *name);

/* They belong to the wall. */
YoloEvents *yolo_wall_events (YoloWall *wall);
YoloFilms *yolo_wall_films (YoloWall *wall);

/* Takes other settings on; (transfer full). What is the same goes on. */
void yolo_wall_set (YoloWall *wall, YoloSettings *settings);

/* Reads the file again. FALSE with @error: it is wrong, and nothing has changed. */
gboolean yolo_wall_reload (YoloWall *wall, GError **error);

/* Puts the cameras into settings that have come from the file without them. */
typedef void (*YoloWallFill) (YoloSettings *settings, gpointer user_data);

/* From now on the file's cameras do not count when it is read again, and @fill says which do. */
void yolo_wall_set_fill (YoloWall *wall, YoloWallFill fill, gpointer user_data);

/* Writes the settings into the file. FALSE with @error: that cannot be, or the file's cameras do
 * not count. */
gboolean yolo_wall_save (YoloWall *wall, GError **error);

/* What was wrong with the file when it was last read again; NULL: nothing. */
const char *yolo_wall_file_error (YoloWall *wall);

/* Whether the settings have changed since they were last read or written. */
gboolean yolo_wall_is_changed (YoloWall *wall);

G_END_DECLS

#endif
