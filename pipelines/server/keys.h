/* SPDX-License-Identifier: MIT */
/* Every setting of yolo-server, as data: what it is called, what it may be, what it does.
 * The readers of YAML and JSON, the checks, the API's schema and the table in docs/server.md
 * all go by this table. */

#ifndef YOLO_SERVER_KEYS_H
#define YOLO_SERVER_KEYS_H

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  YOLO_TYPE_BOOLEAN,
  YOLO_TYPE_INTEGER,
  YOLO_TYPE_NUMBER,
  YOLO_TYPE_TEXT,
  YOLO_TYPE_SECRET,             /* text that is never shown */
  YOLO_TYPE_CHOICE,
  YOLO_TYPE_LIST,               /* of texts */
  YOLO_TYPE_URI,                /* of a video */
  YOLO_TYPE_FILE,               /* a file that must be there, from the settings' folder on */
  YOLO_TYPE_SECRET_FILE,        /* a file whose first line is a secret */
  YOLO_TYPE_PLACES,             /* a list of files to write or URLs to send to */
  YOLO_TYPE_JSON,               /* a long text in JSON */
} YoloType;

typedef enum {
  YOLO_KEY_LISTEN,
  YOLO_KEY_RTSP_LISTEN,
  YOLO_KEY_TOKEN,
  YOLO_KEY_TOKEN_FILE,
  YOLO_KEY_LOGIN,
  YOLO_KEY_LOGIN_HASH,
  YOLO_KEY_HOSTS,
  YOLO_KEY_TLS_CERTIFICATE,
  YOLO_KEY_TLS_KEY,
  YOLO_KEY_API_FOLDERS,
  YOLO_KEY_MAX_CAMERAS,
  YOLO_KEY_MAX_CONNECTIONS,
  YOLO_KEY_MAX_VIEWERS,
  YOLO_KEY_MAX_REQUESTS,
  YOLO_KEY_WATCH,
  YOLO_KEY_EVENTS_FOLDER,
  YOLO_KEY_EVENTS_SIZE,
  YOLO_KEY_EVENTS_DAYS,
  YOLO_KEY_KAFKA,
  YOLO_KEY_KAFKA_PASSWORD_FILE,
  YOLO_KEY_KAFKA_CA_FILE,
  YOLO_KEY_KAFKA_CERTIFICATE,
  YOLO_KEY_KAFKA_KEY,
  YOLO_KEY_KAFKA_OPTIONS,
  YOLO_KEY_RECORDINGS_SIZE,
  YOLO_KEY_RECORDINGS_DAYS,
  YOLO_N_SERVER_KEYS,

  YOLO_KEY_URI = YOLO_N_SERVER_KEYS,
  YOLO_KEY_TITLE,
  YOLO_KEY_ENABLED,
  YOLO_KEY_LOOP,
  YOLO_KEY_USER,
  YOLO_KEY_PASSWORD,
  YOLO_KEY_PASSWORD_FILE,
  YOLO_KEY_TRANSPORT,
  YOLO_KEY_BUFFER,
  YOLO_KEY_VERIFY,
  YOLO_KEY_CONNECT_TIMEOUT,
  YOLO_KEY_STALL_AFTER,
  YOLO_KEY_RECONNECT_MIN,
  YOLO_KEY_RECONNECT_MAX,
  YOLO_KEY_MODEL,
  YOLO_KEY_DEVICE,
  YOLO_KEY_PRECISION,
  YOLO_KEY_INPUT_SIZE,
  YOLO_KEY_THREADS,
  YOLO_KEY_WEIGHT,
  YOLO_KEY_MIN_RATE,
  YOLO_KEY_INTERVAL,
  YOLO_KEY_MOTION_GATE,
  YOLO_KEY_CONFIDENCE,
  YOLO_KEY_IOU,
  YOLO_KEY_CLASSES,
  YOLO_KEY_MAX_DETECTIONS,
  YOLO_KEY_TRACKER,
  YOLO_KEY_ZONES,
  YOLO_KEY_ZONES_TEXT,
  YOLO_KEY_PRIVACY,
  YOLO_KEY_PRIVACY_CLASSES,
  YOLO_KEY_PUBLISH,
  YOLO_KEY_PUBLISH_FORMAT,
  YOLO_KEY_HOME_ASSISTANT,
  YOLO_KEY_EVENTS,
  YOLO_KEY_SNAPSHOTS,
  YOLO_KEY_RECORD,
  YOLO_KEY_CLIP_BEFORE,
  YOLO_KEY_CLIP_AFTER,
  YOLO_KEY_CLIP_MAX,
  YOLO_KEY_CLIP_UNMASKED,
  YOLO_KEY_RECORD_SEGMENT,
  YOLO_KEY_PREVIEW_WIDTH,
  YOLO_KEY_PREVIEW_FPS,
  YOLO_N_KEYS,
} YoloKeyId;

typedef struct {
  const char *name;
  YoloType type;
  double min, max;              /* of numbers */
  const char *choices;          /* of a choice, and of a list that takes no other texts, with "|"
                                   between */
  const char *initial;          /* what counts if it is not set, as YAML; NULL: nothing */
  const char *element;          /* name of the element in a camera's pipeline, or NULL */
  const char *property;         /* the property of that element which takes the value */
  gboolean live;                /* whether the property can change while the camera runs */
  const char *doc;              /* one line for people, without a full stop */
} YoloKey;

/* [YOLO_N_KEYS]; those below YOLO_N_SERVER_KEYS are the server's, the others a camera's. */
extern const YoloKey yolo_keys[];

/**
 * yolo_key_find:
 * @first: where in the table to begin
 * @end: the key behind the last one to look at
 *
 * Returns: the key of that name, or -1
 */
int yolo_key_find (int first, int end, const char *name);

/**
 * yolo_key_nearest:
 *
 * Returns: (nullable): the name that @name may have been meant to be: the one that takes the
 * fewest changes of letters (Levenshtein's distance), if these are no more than three
 */
const char *yolo_key_nearest (int first, int end, const char *name);

/* "true or false", "a whole number from 1 to 32": what a key takes. (transfer full) */
char *yolo_key_describe (const YoloKey *key);

/* The table as Markdown, as docs/server.md has it. (transfer full) */
char *yolo_keys_markdown (void);

G_END_DECLS

#endif
