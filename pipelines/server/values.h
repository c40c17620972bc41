/* SPDX-License-Identifier: MIT */
/* Values of the settings in keys.h: taken from YAML or JSON, checked, shown. */

#ifndef YOLO_SERVER_VALUES_H
#define YOLO_SERVER_VALUES_H

#include <json-glib/json-glib.h>

#include "pipelines/server/keys.h"

G_BEGIN_DECLS

#define YOLO_SETTINGS_ERROR (yolo_settings_error_quark ())
GQuark yolo_settings_error_quark (void);

typedef enum {
  YOLO_SETTINGS_ERROR_WRONG,    /* what was asked for makes no sense */
  YOLO_SETTINGS_ERROR_FORBIDDEN,        /* it makes sense, but not for who asked */
  YOLO_SETTINGS_ERROR_MISSING,  /* there is no such camera */
  YOLO_SETTINGS_ERROR_EXISTS,   /* there is one already */
  YOLO_SETTINGS_ERROR_FILE,     /* a file cannot be read or written */
  YOLO_SETTINGS_ERROR_ELSEWHERE,        /* it makes sense, but another server has to be asked */
} YoloSettingsError;

/* What a file or a request says, before anybody has looked at it. */
typedef struct {
  char **items;                 /* owned; one, unless it is a list; NULL: it takes a value away */
  gboolean list;
  gboolean quoted;              /* the one item is text, whatever it looks like */
  guint line;                   /* of the file, from 1; 0: it comes from no file */
} YoloRaw;

/* A value that was checked. */
typedef struct {
  guint line;                   /* see YoloRaw */
  char **raw;                   /* owned, as it was written; NULL: the key is not set */
  char **text;                  /* owned, the same with the environment's variables and paths put
                                   in; never shown */
  double number;                /* of numbers, and 0 or 1 of a boolean */
} YoloValue;

typedef struct {
  YoloValue value[YOLO_N_KEYS];
} YoloValues;

YoloValues *yolo_values_new (void);
void yolo_values_free (YoloValues *values);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloValues, yolo_values_free)

void yolo_raw_clear (YoloRaw *raw);

/* Copies what is set in @from over what is in @to. */
void yolo_values_merge (YoloValues *to, const YoloValues *from);

/* Whether a key says the same in both; the environment's variables count, lines do not. */
gboolean yolo_values_same (const YoloValues *a, const YoloValues *b, YoloKeyId key);

/**
 * yolo_values_set:
 * @raw: what to set; a NULL in `items` takes the value away
 * @folder: the folder of the settings file, from which paths are taken
 * @trusted: whether the value comes from that file, which may read the environment; a request
 * may not
 *
 * Checks and sets a value.
 *
 * Returns: FALSE with @error, a text that goes behind the key's name: "is 1.5; give a number
 * from 0 to 1"
 */
gboolean yolo_values_set (
    YoloValues *values, YoloKeyId key, const YoloRaw *raw, const char *folder, gboolean trusted,
    GError **error);

/* The first text of a key, or NULL. */
const char *yolo_values_text (const YoloValues *values, YoloKeyId key);
double yolo_values_number (const YoloValues *values, YoloKeyId key);
gboolean yolo_values_true (const YoloValues *values, YoloKeyId key);

/* The texts of a list as `class-ids` of yoloinfer takes them, CSV; NULL: not set.
 * (transfer full) */
char *yolo_values_csv (const YoloValues *values, YoloKeyId key);

/* Whether nothing lies deeper than is meant in a text of JSON: json-glib before 1.10 calls itself
 * for each level, until the stack is full. */
gboolean yolo_values_is_shallow (const char *text, gsize size);

/* Adds what is set of the keys of a camera, as it was written and without secrets, to an object
 * that is being built. */
void yolo_values_to_json (const YoloValues *values, JsonBuilder *builder);

/* What a member of a JSON object says. FALSE with @error: it is an object, or a list of such. */
gboolean yolo_raw_from_json (YoloRaw *raw, JsonNode *node, GError **error);

G_END_DECLS

#endif
