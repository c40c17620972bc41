/* SPDX-License-Identifier: MIT */
/* What the files that make settings share: settings.c, settings-yaml.c, settings-change.c. */

#ifndef YOLO_SERVER_SETTINGS_PRIVATE_H
#define YOLO_SERVER_SETTINGS_PRIVATE_H

#include "pipelines/server/settings.h"

G_BEGIN_DECLS

YoloSettings *yolo_settings_new (const char *path, const char *folder);

/* Appends a camera without values; it belongs to the settings. */
YoloCameraSettings *yolo_settings_add (YoloSettings *settings, const char *name, guint line);

/* Sets an error "cameras.yaml:12: camera 'gate': " and a text. @line 0: without the file; @camera
 * may be NULL. FALSE */
gboolean yolo_settings_fail (GError **error, const YoloSettings *settings, guint line,
    const char *camera, const char *format, ...) G_GNUC_PRINTF (5, 6);

/* Sets a value that the file has by the name of its key. @camera: whose, or NULL; @first to @end:
 * the keys that are allowed there. */
gboolean yolo_settings_set (const YoloSettings *settings, YoloValues *values, int first, int end,
    const char *camera, const char *name, const YoloRaw *raw, GError **error);

gboolean yolo_settings_check_name (
    const YoloSettings *settings, guint line, const char *name, GError **error);

/* Sets what counts where the file says nothing. */
void yolo_settings_add_initial (YoloValues *values, int first, int end);

/* Puts the defaults below what a camera has, and checks it. */
gboolean yolo_settings_finish_camera (
    const YoloSettings *settings, YoloCameraSettings *camera, GError **error);

/* The same for all cameras, and checks what only the whole can tell. */
gboolean yolo_settings_finish (YoloSettings *settings, GError **error);

/* Whether a text is the name of a file where a key stands. */
gboolean yolo_settings_is_file (YoloKeyId key, const char *text);

G_END_DECLS

#endif
