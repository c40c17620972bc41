/* SPDX-License-Identifier: MIT */
#include "pipelines/server/keys.h"

#include <string.h>

/* Longest name that is compared with others letter by letter. */
#define MAX_COMPARED 40

const YoloKey yolo_keys[YOLO_N_KEYS] = {
  [YOLO_KEY_LISTEN] = { "listen", YOLO_TYPE_TEXT, .initial = "127.0.0.1:8080",
      .doc = "Address and port of the page and the API; port 0 takes a free one. An address that "
          "others can reach needs `token`, or `login` and `login-hash`" },
  [YOLO_KEY_RTSP_LISTEN] = { "rtsp-listen", YOLO_TYPE_TEXT,
      .doc = "Address and port, such as `127.0.0.1:8554`, at which each camera's own video is "
          "passed on by RTSP as `/NAME`, for the same token, or user and password" },
  [YOLO_KEY_TOKEN] = { "token", YOLO_TYPE_SECRET,
      .doc = "What programs send as `Authorization: Bearer TOKEN`" },
  [YOLO_KEY_TOKEN_FILE] = { "token-file", YOLO_TYPE_SECRET_FILE,
      .doc = "File whose first line is the token" },
  [YOLO_KEY_LOGIN] = { "login", YOLO_TYPE_TEXT, .doc = "User whom the page asks for" },
  [YOLO_KEY_LOGIN_HASH] = { "login-hash", YOLO_TYPE_SECRET,
      .doc = "The user's password, hashed as `mkpasswd` or `openssl passwd -6` does it" },
  [YOLO_KEY_HOSTS] = { "hosts", YOLO_TYPE_LIST,
      .doc = "Names by which browsers may call the server besides localhost and addresses, "
          "for instance behind a proxy" },
  [YOLO_KEY_TLS_CERTIFICATE] = { "tls-certificate", YOLO_TYPE_FILE,
      .doc = "Certificate (PEM) for HTTPS, with those that signed it behind it" },
  [YOLO_KEY_TLS_KEY] = { "tls-key", YOLO_TYPE_FILE, .doc = "The certificate's key (PEM)" },
  [YOLO_KEY_API_FOLDERS] = { "api-folders", YOLO_TYPE_LIST,
      .doc = "Folders whose files the API may name, as videos, models, zones and files to write; "
          "without one it may name only those that this file names" },
  [YOLO_KEY_MAX_CAMERAS] = { "max-cameras", YOLO_TYPE_INTEGER, 1, 4096, .initial = "256",
      .doc = "Most cameras" },
  [YOLO_KEY_MAX_CONNECTIONS] = { "max-connections", YOLO_TYPE_INTEGER, 1, 10000,
      .initial = "200", .doc = "Most connections at once; others are closed" },
  [YOLO_KEY_MAX_VIEWERS] = { "max-viewers", YOLO_TYPE_INTEGER, 1, 10000, .initial = "100",
      .doc = "Most pictures that are watched at once" },
  [YOLO_KEY_MAX_REQUESTS] = { "max-requests", YOLO_TYPE_INTEGER, 1, 100000, .initial = "500",
      .doc = "Most requests a second from one address; more are answered with 429" },
  [YOLO_KEY_WATCH] = { "watch", YOLO_TYPE_BOOLEAN, .initial = "true",
      .doc = "Whether the file is read again when it changes, as on SIGHUP" },
  [YOLO_KEY_EVENTS_FOLDER] = { "events-folder", YOLO_TYPE_TEXT,
      .doc = "Folder for events, their pictures and video; without one the newest 16 MB are kept "
          "in memory, and no video" },
  [YOLO_KEY_EVENTS_SIZE] = { "events-size", YOLO_TYPE_NUMBER, 1, 100000, .initial = "1000",
      .doc = "Megabytes of events in the folder, with their pictures and clips, from which on the "
          "oldest go; on a disk with less than 256 free earlier" },
  [YOLO_KEY_EVENTS_DAYS] = { "events-days", YOLO_TYPE_NUMBER, 0, 36500, .initial = "30",
      .doc = "Days after which events go" },
  [YOLO_KEY_KAFKA] = { "kafka", YOLO_TYPE_TEXT,
      .doc = "Topic of cameras for `--group`: `kafka://USER@HOST:PORT,HOST/TOPIC`" },
  [YOLO_KEY_KAFKA_PASSWORD_FILE] = { "kafka-password-file", YOLO_TYPE_SECRET_FILE,
      .doc = "File whose first line is the password for Kafka; else it is the variable "
          "YOLO_EXPORT_PASSWORD" },
  [YOLO_KEY_KAFKA_CA_FILE] = { "kafka-ca-file", YOLO_TYPE_FILE,
      .doc = "Certificates (PEM) that Kafka's brokers may be signed by; TLS is used" },
  [YOLO_KEY_KAFKA_CERTIFICATE] = { "kafka-certificate", YOLO_TYPE_FILE,
      .doc = "The server's own certificate (PEM) for Kafka" },
  [YOLO_KEY_KAFKA_KEY] = { "kafka-key", YOLO_TYPE_FILE, .doc = "That certificate's key (PEM)" },
  [YOLO_KEY_KAFKA_OPTIONS] = { "kafka-options", YOLO_TYPE_TEXT,
      .doc = "Options in librdkafka's words, `NAME=VALUE,NAME=VALUE`" },
  [YOLO_KEY_RECORDINGS_SIZE] = { "recordings-size", YOLO_TYPE_NUMBER, 1, 100000000,
      .initial = "10000", .doc = "Megabytes of continuous recordings from which on the oldest go; "
          "on a disk with less than 256 free earlier, and before events do" },
  [YOLO_KEY_RECORDINGS_DAYS] = { "recordings-days", YOLO_TYPE_NUMBER, 0, 36500, .initial = "7",
      .doc = "Days after which recordings go" },

  [YOLO_KEY_URI] = { "uri", YOLO_TYPE_URI,
      .doc = "Where the video is: `rtsp://`, `rtsps://`, `http://`, `v4l2:///dev/video0`, "
          "a file, or `test:ball` (a pattern of videotestsrc)" },
  [YOLO_KEY_TITLE] = { "title", YOLO_TYPE_TEXT, .doc = "What people call the camera" },
  [YOLO_KEY_ENABLED] = { "enabled", YOLO_TYPE_BOOLEAN, .initial = "true",
      .doc = "Whether the camera runs" },
  [YOLO_KEY_LOOP] = { "loop", YOLO_TYPE_BOOLEAN, .initial = "true",
      .doc = "Whether a file begins again at its end" },
  [YOLO_KEY_USER] = { "user", YOLO_TYPE_TEXT, .doc = "User name for the camera" },
  [YOLO_KEY_PASSWORD] = { "password", YOLO_TYPE_SECRET, .doc = "Password for the camera" },
  [YOLO_KEY_PASSWORD_FILE] = { "password-file", YOLO_TYPE_SECRET_FILE,
      .doc = "File whose first line is the password" },
  [YOLO_KEY_TRANSPORT] = { "transport", YOLO_TYPE_CHOICE, .choices = "auto|tcp|udp|multicast",
      .initial = "tcp", .doc = "How RTSP sends the video" },
  [YOLO_KEY_BUFFER] = { "buffer", YOLO_TYPE_INTEGER, 0, 10000, .initial = "200",
      .doc = "Milliseconds that RTSP waits for late packets" },
  [YOLO_KEY_VERIFY] = { "verify-certificate", YOLO_TYPE_BOOLEAN, .initial = "true",
      .doc = "Whether a camera's certificate must be right" },
  [YOLO_KEY_CONNECT_TIMEOUT] = { "connect-timeout", YOLO_TYPE_NUMBER, 1, 600, .initial = "15",
      .doc = "Seconds without a first frame after which connecting has failed" },
  [YOLO_KEY_STALL_AFTER] = { "stall-after", YOLO_TYPE_NUMBER, .2, 3600, .initial = "5",
      .doc = "Seconds without a frame after which a camera is stalled; after as many again it "
          "is connected anew" },
  [YOLO_KEY_RECONNECT_MIN] = { "reconnect-min", YOLO_TYPE_NUMBER, .1, 3600, .initial = "1",
      .doc = "Seconds before the first attempt to connect again; each failure doubles them" },
  [YOLO_KEY_RECONNECT_MAX] = { "reconnect-max", YOLO_TYPE_NUMBER, .1, 3600, .initial = "30",
      .doc = "Most seconds between two attempts; one that was unreachable and answers again is "
          "connected at once" },
  [YOLO_KEY_MODEL] = { "model", YOLO_TYPE_FILE,
      .doc = "Network, `.onnx` or `.pt`; cameras with the same one, device and precision share it",
      .element = "infer", .property = "model-file" },
  [YOLO_KEY_DEVICE] = { "device", YOLO_TYPE_TEXT, .element = "infer", .property = "device",
      .doc = "What the network runs on: auto, cpu, cuda, cuda:1, several with commas between" },
  [YOLO_KEY_PRECISION] = { "precision", YOLO_TYPE_CHOICE, .choices = "auto|fp32|fp16|bf16|int8",
      .element = "infer", .property = "precision", .doc = "What the network computes in" },
  [YOLO_KEY_INPUT_SIZE] = { "input-size", YOLO_TYPE_TEXT,
      .element = "infer", .property = "input-size",
      .doc = "Size of the network's input: N, WIDTHxHEIGHT or auto" },
  [YOLO_KEY_THREADS] = { "threads", YOLO_TYPE_INTEGER, 0, 1024,
      .element = "infer", .property = "threads", .doc = "CPU threads (0: one per core)" },
  [YOLO_KEY_WEIGHT] = { "weight", YOLO_TYPE_NUMBER, .001, 1000,
      .element = "infer", .property = "weight", .live = TRUE,
      .doc = "The camera's share of the frames that the machine has time for, where that is not "
          "all of them" },
  [YOLO_KEY_MIN_RATE] = { "min-rate", YOLO_TYPE_NUMBER, 0, 1000,
      .element = "infer", .property = "min-rate", .live = TRUE,
      .doc = "Inferred frames a second below which the camera goes before others (0: none)" },
  [YOLO_KEY_INTERVAL] = { "interval", YOLO_TYPE_INTEGER, 1, 100000,
      .element = "infer", .property = "inference-interval", .live = TRUE,
      .doc = "Infer every n-th frame" },
  [YOLO_KEY_MOTION_GATE] = { "motion-gate", YOLO_TYPE_BOOLEAN,
      .element = "infer", .property = "motion-gate", .live = TRUE,
      .doc = "Whether frames in which nothing has moved are not inferred" },
  [YOLO_KEY_CONFIDENCE] = { "confidence", YOLO_TYPE_NUMBER, 0, 1,
      .element = "infer", .property = "confidence-threshold", .live = TRUE,
      .doc = "Detections of less confidence are dropped" },
  [YOLO_KEY_IOU] = { "iou", YOLO_TYPE_NUMBER, 0, 1,
      .element = "infer", .property = "iou-threshold", .live = TRUE,
      .doc = "Of detections that overlap by more than this the best one stays" },
  [YOLO_KEY_CLASSES] = { "classes", YOLO_TYPE_LIST,
      .element = "infer", .property = "class-ids", .live = TRUE,
      .doc = "Classes to find, names or numbers; all if it is left out" },
  [YOLO_KEY_MAX_DETECTIONS] = { "max-detections", YOLO_TYPE_INTEGER, 1, 30000,
      .element = "infer", .property = "max-detections", .live = TRUE,
      .doc = "Most detections in a frame" },
  [YOLO_KEY_TRACKER] = { "tracker", YOLO_TYPE_CHOICE, .choices = "none|bytetrack|botsort|ocsort",
      .initial = "bytetrack", .element = "track", .property = "tracker",
      .doc = "What follows objects from frame to frame" },
  [YOLO_KEY_ZONES] = { "zones", YOLO_TYPE_FILE,
      .live = TRUE,
      .doc = "JSON file of lines and zones ([zones.md](zones.md)); needs a tracker" },
  [YOLO_KEY_ZONES_TEXT] = { "zones-text", YOLO_TYPE_JSON, .live = TRUE,
      .doc = "The same as a text, which counts in the file's place; what the page draws" },
  [YOLO_KEY_PRIVACY] = { "privacy", YOLO_TYPE_CHOICE, .choices = "none|blur|pixelate|fill",
      .element = "privacy", .property = "privacy", .live = TRUE,
      .doc = "How objects are made unrecognisable in all pictures that leave the server" },
  [YOLO_KEY_PRIVACY_CLASSES] = { "privacy-classes", YOLO_TYPE_LIST,
      .element = "privacy", .property = "privacy-class-ids", .live = TRUE,
      .doc = "Classes that privacy hides; all if it is left out" },
  [YOLO_KEY_PUBLISH] = { "publish", YOLO_TYPE_PLACES,
      .doc = "Files and URLs that `yoloexport` writes what was seen to" },
  [YOLO_KEY_PUBLISH_FORMAT] = { "publish-format", YOLO_TYPE_CHOICE,
      .choices = "json-lines|events|frigate", .initial = "json-lines",
      .doc = "What is published: every frame's objects, events of lines and zones, or, by MQTT, "
          "Frigate's topics: how many objects there are" },
  [YOLO_KEY_HOME_ASSISTANT] = { "home-assistant", YOLO_TYPE_TEXT,
      .doc = "Prefix under which Home Assistant looks for new devices, as a rule `homeassistant`: "
          "the camera and its zones become some, with the counts that `publish-format: frigate` "
          "publishes" },
  [YOLO_KEY_EVENTS] = { "events", YOLO_TYPE_LIST,
      .choices = "cross|enter|exit|appear|vanish|loiter|direction|crowd|crowd-end|arrive|leave|"
          "up|down",
      .doc = "Kinds of events that are kept; all but arrive and leave if it is left out" },
  [YOLO_KEY_SNAPSHOTS] = { "snapshots", YOLO_TYPE_CHOICE, .choices = "none|drawn|clean",
      .initial = "drawn", .doc = "Pictures that are kept with events: none, with what was found "
          "drawn, or without" },
  [YOLO_KEY_RECORD] = { "record", YOLO_TYPE_CHOICE, .choices = "off|events|continuous",
      .initial = "off", .live = TRUE,
      .doc = "What is kept of the camera's own video: nothing, clips of events, or everything "
          "besides these; H.264 and H.265, and needs `events-folder`" },
  [YOLO_KEY_CLIP_BEFORE] = { "clip-before", YOLO_TYPE_NUMBER, 0, 60, .initial = "5",
      .live = TRUE, .doc = "Seconds of a clip before its event, at least: it begins where decoding "
          "can" },
  [YOLO_KEY_CLIP_AFTER] = { "clip-after", YOLO_TYPE_NUMBER, 0, 300, .initial = "5",
      .live = TRUE, .doc = "Seconds of a clip after its event; another one in them makes it "
          "longer" },
  [YOLO_KEY_CLIP_MAX] = { "clip-max", YOLO_TYPE_NUMBER, 1, 3600, .initial = "60", .live = TRUE,
      .doc = "Most seconds that events make a clip long; then they have another one" },
  [YOLO_KEY_CLIP_UNMASKED] = { "clip-unmasked", YOLO_TYPE_BOOLEAN, .initial = "false",
      .live = TRUE, .doc = "Whether video leaves the server although `privacy` is set: it shows "
          "what pictures hide" },
  [YOLO_KEY_RECORD_SEGMENT] = { "record-segment", YOLO_TYPE_NUMBER, 2, 3600, .initial = "300",
      .live = TRUE, .doc = "Seconds of each file of a continuous recording, at least" },
  [YOLO_KEY_PREVIEW_WIDTH] = { "preview-width", YOLO_TYPE_INTEGER, 64, 3840, .initial = "640",
      .doc = "Most pixels across pictures on the page" },
  [YOLO_KEY_PREVIEW_FPS] = { "preview-fps", YOLO_TYPE_INTEGER, 1, 60, .initial = "10",
      .doc = "Most pictures a second on the page" },
};

int
yolo_key_find (int first, int end, const char *name)
{
  for (int i = first; i < end; i++)
    if (strcmp (yolo_keys[i].name, name) == 0)
      return i;
  return -1;
}

/* Levenshtein's distance of two texts, row by row. */
static guint
distance (const char *a, const char *b)
{
  guint row[MAX_COMPARED + 1];
  const guint n = strlen (b);

  for (guint j = 0; j <= n; j++)
    row[j] = j;
  for (guint i = 0; a[i] != '\0'; i++) {
    guint diagonal = row[0];

    row[0] = i + 1;
    for (guint j = 0; j < n; j++) {
      const guint replaced = diagonal + (a[i] != b[j]);

      diagonal = row[j + 1];
      row[j + 1] = MIN (replaced, MIN (row[j], row[j + 1]) + 1);
    }
  }
  return row[n];
}

const char *
yolo_key_nearest (int first, int end, const char *name)
{
  const char *best = NULL;
  guint least = 4;

  if (strlen (name) > MAX_COMPARED)
    return NULL;
  for (int i = first; i < end; i++) {
    const guint changes = distance (name, yolo_keys[i].name);

    if (changes < least && changes < strlen (yolo_keys[i].name)) {
      least = changes;
      best = yolo_keys[i].name;
    }
  }
  return best;
}

char *
yolo_key_describe (const YoloKey *key)
{
  switch (key->type) {
    case YOLO_TYPE_BOOLEAN:
      return g_strdup ("true or false");
    case YOLO_TYPE_INTEGER:
      return g_strdup_printf ("a whole number from %g to %g", key->min, key->max);
    case YOLO_TYPE_NUMBER:
      return g_strdup_printf ("a number from %g to %g", key->min, key->max);
    case YOLO_TYPE_TEXT:
    case YOLO_TYPE_SECRET:
      return g_strdup ("text");
    case YOLO_TYPE_CHOICE: {
      g_auto (GStrv) names = g_strsplit (key->choices, "|", -1);
      return g_strjoinv (", ", names);
    }
    case YOLO_TYPE_LIST: {
      g_auto (GStrv) names = g_strsplit (key->choices != NULL ? key->choices : "texts", "|", -1);
      g_autofree char *texts = g_strjoinv (", ", names);
      return g_strconcat ("a list of ", texts, NULL);
    }
    case YOLO_TYPE_URI:
      return g_strdup ("a URI or a file");
    case YOLO_TYPE_FILE:
    case YOLO_TYPE_SECRET_FILE:
      return g_strdup ("a file");
    case YOLO_TYPE_PLACES:
      return g_strdup ("a list of files and URLs");
    case YOLO_TYPE_JSON:
      return g_strdup ("an object as a text in JSON");
  }
  g_return_val_if_reached (NULL);
}

char *
yolo_keys_markdown (void)
{
  GString *text = g_string_new (NULL);

  for (int i = 0; i < YOLO_N_KEYS; i++) {
    const YoloKey *key = &yolo_keys[i];
    g_autofree char *takes = yolo_key_describe (key);

    if (i == 0 || i == YOLO_N_SERVER_KEYS)
      g_string_append_printf (text,
          "%s| %s | takes | default | live | what |\n|---|---|---|---|---|\n",
          i == 0 ? "" : "\n", i == 0 ? "server" : "camera");
    g_string_append_printf (text, "| `%s` | %s | %s%s%s | %s | %s |\n", key->name, takes,
        key->initial != NULL ? "`" : "", key->initial != NULL ? key->initial : "",
        key->initial != NULL ? "`" : "", key->live ? "yes" : "", key->doc);
  }
  return g_string_free (text, FALSE);
}
