/* SPDX-License-Identifier: MIT */
/* The settings file: read, checked as a whole, changed, written back. Settings never change once
 * they are made: a change makes new ones out of old ones, so that it takes place as a whole or
 * not at all. */

#ifndef YOLO_SERVER_SETTINGS_H
#define YOLO_SERVER_SETTINGS_H

#include "pipelines/server/shard.h"
#include "pipelines/server/values.h"

G_BEGIN_DECLS

#define YOLO_MAX_NAME 64        /* bytes of a camera's name */
#define YOLO_NAME_LETTERS \
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

typedef struct {
  char *name;                   /* letters, digits, '-', '_' and '.'; not '.' first */
  guint line;                   /* of the file; 0: it came by the API */
  YoloValues *own;              /* what is set for this camera */
  YoloValues *all;              /* with the defaults, too */
} YoloCameraSettings;

typedef struct {
  char *path;                   /* of the file; NULL: there is none */
  char *folder;                 /* from which paths are taken */
  YoloValues *server;
  YoloValues *defaults;         /* as the file has them */
  GPtrArray *cameras;           /* YoloCameraSettings, in the file's order */
  GHashTable *files;            /* owned texts: the paths that the file itself names */
  YoloShard shard;              /* whose cameras run here; the others are settings alone */
  const char *group;            /* (transfer none): the consumer group by whose records cameras
                                   come, and not by the file; NULL: none */
} YoloSettings;

/**
 * yolo_settings_read:
 * @path: a YAML file
 *
 * Returns: (transfer full): the settings, or NULL with @error, which names file, line and remedy
 */
YoloSettings *yolo_settings_read (const char *path, GError **error);

/* The same of a text; files are taken from @folder on, and @path is what errors call it. */
YoloSettings *yolo_settings_parse (
    const char *text, gsize size, const char *path, const char *folder, GError **error);

void yolo_settings_free (YoloSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloSettings, yolo_settings_free)

/* A camera by its name, or NULL; it belongs to the settings. */
const YoloCameraSettings *yolo_settings_camera (const YoloSettings *settings, const char *name);

/* What a request does to a camera. */
typedef enum {
  YOLO_CHANGE_PUT,              /* makes it, or replaces all that it has */
  YOLO_CHANGE_ADD,              /* makes it; there must be none */
  YOLO_CHANGE_PATCH,            /* changes what is named; null takes a value away */
  YOLO_CHANGE_REMOVE,
} YoloChange;

/**
 * yolo_settings_change:
 * @values: (nullable): what is to be set; NULL for YOLO_CHANGE_REMOVE
 *
 * Makes settings in which one camera is other than in @old. A request may neither read the
 * environment nor name files that neither the settings file names nor `api-folders` allows, nor
 * change a camera of another shard.
 *
 * Returns: (transfer full): new settings, or NULL with @error
 */
YoloSettings *yolo_settings_change (const YoloSettings *old, YoloChange change, const char *name,
    JsonObject *values, GError **error);

/* A copy without cameras. (transfer full) */
YoloSettings *yolo_settings_without_cameras (const YoloSettings *settings);

/**
 * yolo_settings_add_record:
 * @settings: that are being made, and that nobody else knows yet
 * @text: [size] bytes: what the camera has of its own, an object as a text in JSON
 *
 * Adds a camera, or takes other values on for it. A record can say what the settings file can,
 * `${NAME}` of the environment too, but holds no password.
 *
 * Returns: FALSE with @error, and @settings as they were
 */
gboolean yolo_settings_add_record (YoloSettings *settings, const char *name, const char *text,
    gsize size, GError **error);

/* What a camera has of its own, as a record has it. NULL with @error: there is a password in it.
 * (transfer full) */
char *yolo_settings_to_record (
    const YoloSettings *settings, const YoloCameraSettings *camera, GError **error);

/* The settings as YAML, secrets as they were written. (transfer full) */
char *yolo_settings_to_yaml (const YoloSettings *settings);

/* Writes the settings into their file, as a whole or not at all, for the owner alone to read. */
gboolean yolo_settings_write (const YoloSettings *settings, GError **error);

G_END_DECLS

#endif
