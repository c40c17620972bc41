/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-yoloexport
 * @title: yoloexport
 *
 * Writes what was found in each frame: a JSON object a line in DL Streamer's
 * schema, COCO results, or label files in YOLO's format; masks, keypoints, turned boxes and
 * classes of the whole frame included; or the tracks of objects as MOTChallenge's results;
 * or the events of yolozones; to a file, or to a broker of messages (MQTT, Kafka, Redis).
 * Frames pass untouched.
 *
 * |[
 * gst-launch-1.0 -q filesrc location=video.mp4 ! decodebin ! yoloinfer model-file=yolov8n.onnx ! \
 *     yoloexport ! fakesink
 * gst-launch-1.0 filesrc location=video.mp4 ! decodebin ! yoloinfer model-file=yolov8n.onnx ! \
 *     yoloexport format=coco location=results.json ! fakesink
 * gst-launch-1.0 filesrc location=video.mp4 ! decodebin ! yoloinfer model-file=yolov8n.onnx ! \
 *     yoloexport location=mqtt://localhost/cameras/door stream=door ! fakesink
 * ]|
 *
 * Each frame is written before it leaves the element. A COCO file is a whole
 * array after every frame, even if the process is killed; in a pipe the array
 * ends with EOS, or when the element stops. Messages to a broker are queued, and
 * no frame waits for one.
 */

#include "gst-plugin/gstyoloexport.h"

#include "base/text.h"
#include "gst-plugin/yolobroker.h"
#include "gst-plugin/yolofrigate.h"
#include "gst-plugin/yololabels.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolooutput.h"
#include "gst-plugin/yoloproperty.h"
#include "gst-plugin/yolorecord.h"
#include "gst-plugin/yolowatch.h"
#include "gst-plugin/yolozonesmeta.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

GST_DEBUG_CATEGORY_STATIC (yoloexport_debug);
#define GST_CAT_DEFAULT yoloexport_debug

typedef enum {
  FORMAT_JSON_LINES,
  FORMAT_COCO,
  FORMAT_YOLO,
  FORMAT_MOT,
  FORMAT_EVENTS,
  FORMAT_DEEPSTREAM,
  FORMAT_FRIGATE,
} Format;

/* What stands around the records, of the formats that write one file for all frames. */
static const YoloFraming framings[] = {
  [FORMAT_JSON_LINES] = { "", "", "" },
  [FORMAT_COCO] = { "[\n", ",\n", "\n]\n" },
  [FORMAT_MOT] = { "", "", "" },
  [FORMAT_EVENTS] = { "", "", "" },
  [FORMAT_DEEPSTREAM] = { "", "", "" },
};

enum
{
  PROP_FORMAT = 1,
  PROP_LOCATION,
  PROP_SOURCE,
  PROP_STREAM,
  PROP_ADD_EMPTY_RESULTS,
  PROP_FIRST_IMAGE_ID,
  PROP_CATEGORIES,
  PROP_LABEL_CONFIDENCE,
  PROP_WRITE_TIMEOUT,
  PROP_QUEUE_SIZE,
  PROP_SPOOL_LOCATION,
  PROP_SPOOL_SIZE,
  PROP_FLUSH_TIMEOUT,
  PROP_KEY,
  PROP_USER,
  PROP_PASSWORD_FILE,
  PROP_CA_FILE,
  PROP_CERTIFICATE_FILE,
  PROP_PRIVATE_KEY_FILE,
  PROP_CLIENT_ID,
  PROP_QOS,
  PROP_RETAIN,
  PROP_MQTT_VERSION,
  PROP_AVAILABILITY_TOPIC,
  PROP_DISCOVERY_PREFIX,
  PROP_COMPRESSION,
  PROP_BROKER_OPTIONS,
  PROP_MAX_LENGTH,
  N_PROPERTIES,
  PROP_STATS = N_PROPERTIES
};

/* What the properties say; the strings are owned. */
typedef struct {
  Format format;
  char *location;               /* NULL: stdout */
  GRefString *source, *stream;  /* valid UTF-8, or NULL */
  gboolean add_empty_results;
  gint64 first_image_id;
  YoloCategories categories;
  gboolean label_confidence;
  guint64 write_timeout;        /* ns; 0: without end */
  YoloBrokerSettings broker;
  char *discovery_prefix;
} Settings;

struct _GstYoloExport {
  GstBaseTransform parent;
  Settings settings;            /* object lock */

  /* from start to stop, read by the streaming thread; written with the object lock */
  Format format;
  /* one of these, owned; the others are NULL */
  YoloOutput *output;           /* one file for all frames */
  YoloLabels *labels;           /* a file for each frame */
  YoloBroker *broker;           /* messages */
  YoloFrigate *frigate;         /* owned; beside a broker, for format=frigate */

  /* used by the streaming thread alone */
  GstVideoInfo info;            /* what the caps say */
  GArray *objects;              /* YoloMetaObject: of the frame in hand */
  GString *text;                /* what is written of the frame in hand */
  guint64 frame;                /* number of the frame in hand, from 0; written with the lock */
  GRefString *stream_id;        /* owned; NULL: it is not UTF-8, or not known yet */
  YoloWatch watch;
  gboolean warned;              /* that objects were left out */
  guint64 n_seen, n_tracked;    /* objects of all frames, for format=mot */
};

/* Whether the element is between its start and its stop; with the object lock. */
#define IS_RUNNING(self) ((self)->output || (self)->labels || (self)->broker)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));

G_DEFINE_TYPE (GstYoloExport, gst_yolo_export, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE (yoloexport, "yoloexport", GST_RANK_NONE, GST_TYPE_YOLO_EXPORT)

static GType
format_get_type (void)
{
  static const GEnumValue values[] = {
    { FORMAT_JSON_LINES, "One JSON object a frame and line, in DL Streamer's schema",
        "json-lines" },
    { FORMAT_COCO, "COCO results: a JSON array of all detections", "coco" },
    { FORMAT_YOLO, "YOLO labels: one text file a frame", "yolo" },
    { FORMAT_MOT, "MOTChallenge results: a line for each object that has a track", "mot" },
    { FORMAT_EVENTS, "One JSON object a line for each event of yolozones", "events" },
    { FORMAT_DEEPSTREAM, "One JSON object a frame and line, in DeepStream's minimal schema",
        "deepstream" },
    { FORMAT_FRIGATE, "Frigate's topics of MQTT: counts, and objects that come and go", "frigate" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloExportFormat", values));
  return type;
}

static GType
categories_get_type (void)
{
  static const GEnumValue values[] = {
    { YOLO_CATEGORIES_CLASS, "The class number, from 0", "class" },
    { YOLO_CATEGORIES_CLASS_PLUS_ONE, "The class number plus one", "class-plus-one" },
    { YOLO_CATEGORIES_COCO91, "COCO's own ids, 1 to 90, of its 80 classes", "coco91" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloExportCategories", values));
  return type;
}

static GType
mqtt_version_get_type (void)
{
  static const GEnumValue values[] = {
    { YOLO_BROKER_MQTT_3_1_1, "MQTT 3.1.1", "3.1.1" },
    { YOLO_BROKER_MQTT_5, "MQTT 5", "5" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloExportMqttVersion", values));
  return type;
}

#define READY GST_PARAM_MUTABLE_READY
#define PLAYING GST_PARAM_MUTABLE_PLAYING

static const YoloProperty properties[N_PROPERTIES] = {
  [PROP_FORMAT] = { "format", "Format",
      "What to write", READY,
      YOLO_ENUM (Settings, format, format_get_type, FORMAT_JSON_LINES) },
  [PROP_LOCATION] = { "location", "Location",
      "File to write, begun anew at each start; unset or \"-\": standard output. For "
      "format=yolo a folder, or a pattern with a %d for the number of the frame. Or a broker: "
      "mqtt://USER@HOST:PORT/TOPIC, mqtts:// with TLS, kafka://HOST,HOST/TOPIC, "
      "redis://HOST/STREAM", READY,
      YOLO_STRING (Settings, location, NULL) },
  [PROP_SOURCE] = { "source", "Source",
      "Name or URI of the video, written into JSON lines as \"source\" (unset: left out)", PLAYING,
      YOLO_SHARED_STRING (Settings, source) },
  [PROP_STREAM] = { "stream", "Stream",
      "Name of the stream, written into JSON lines as \"stream\" (unset: GStreamer's stream id)",
      PLAYING, YOLO_SHARED_STRING (Settings, stream) },
  [PROP_ADD_EMPTY_RESULTS] = { "add-empty-results", "Add empty results",
      "Whether a frame without detections gets a JSON line or a label file", PLAYING,
      YOLO_BOOLEAN (Settings, add_empty_results, TRUE) },
  [PROP_FIRST_IMAGE_ID] = { "first-image-id", "First image id",
      "image_id of the first frame in COCO results; each frame counts one up", PLAYING,
      YOLO_INT64 (Settings, first_image_id, 0, G_MAXINT64 / 2, 0) },
  [PROP_CATEGORIES] = { "categories", "Categories",
      "What category_id is in COCO results", PLAYING,
      YOLO_ENUM (Settings, categories, categories_get_type, YOLO_CATEGORIES_CLASS) },
  [PROP_LABEL_CONFIDENCE] = { "label-confidence", "Label confidence",
      "Whether lines of label files have the confidence, which labels to train with have not",
      PLAYING, YOLO_BOOLEAN (Settings, label_confidence, TRUE) },
  [PROP_WRITE_TIMEOUT] = { "write-timeout", "Write timeout",
      "How long a frame waits for the reader of a FIFO or of standard output that takes "
      "nothing, in ns, before it is an error (0: without end, for a pager)", READY,
      YOLO_UINT64 (Settings, write_timeout, 0, G_MAXINT64, 30 * GST_SECOND) },
  [PROP_QUEUE_SIZE] = { "queue-size", "Queue size",
      "Brokers: bytes of messages that wait in memory at most; then the oldest are dropped", READY,
      YOLO_UINT64 (Settings, broker.queue_size, 65536, G_MAXINT64, 16 << 20) },
  [PROP_SPOOL_LOCATION] = { "spool-location", "Spool location",
      "Brokers: file in which messages are kept until the broker has confirmed them, for the next "
      "start too (unset: in memory alone)", READY,
      YOLO_STRING (Settings, broker.spool_location, NULL) },
  [PROP_SPOOL_SIZE] = { "spool-size", "Spool size",
      "Brokers: bytes of messages on the disk at most; then the oldest are dropped", READY,
      YOLO_UINT64 (Settings, broker.spool_size, 65536, G_MAXINT64, 1 << 30) },
  [PROP_FLUSH_TIMEOUT] = { "flush-timeout", "Flush timeout",
      "Brokers: how long the end of the stream waits until all messages are confirmed, in ns",
      READY, YOLO_UINT64 (Settings, broker.flush_timeout, 0, G_MAXINT64, 10 * GST_SECOND) },
  [PROP_KEY] = { "key", "Key",
      "Kafka and Redis: key of the messages; those of one key stay in order (unset: stream)", READY,
      YOLO_STRING (Settings, broker.key, NULL) },
  [PROP_USER] = { "user", "User",
      "Brokers: name to log in with (unset: the location's)", READY,
      YOLO_STRING (Settings, broker.user, NULL) },
  [PROP_PASSWORD_FILE] = { "password-file", "Password file",
      "Brokers: file whose first line is the password (unset: the environment variable "
      "YOLO_EXPORT_PASSWORD)", READY, YOLO_STRING (Settings, broker.password_file, NULL) },
  [PROP_CA_FILE] = { "ca-file", "CA file",
      "mqtts and Kafka: PEM file of the authorities to trust (unset: the system's; of Kafka no "
      "TLS, unless broker-options ask for it)", READY,
      YOLO_STRING (Settings, broker.ca_file, NULL) },
  [PROP_CERTIFICATE_FILE] = { "certificate-file", "Certificate file",
      "mqtts and Kafka: PEM file of the certificate to show (unset: none)", READY,
      YOLO_STRING (Settings, broker.certificate_file, NULL) },
  [PROP_PRIVATE_KEY_FILE] = { "private-key-file", "Private key file",
      "mqtts and Kafka: PEM file of the certificate's key, not encrypted", READY,
      YOLO_STRING (Settings, broker.private_key_file, NULL) },
  [PROP_CLIENT_ID] = { "client-id", "Client id",
      "MQTT and Kafka: what the broker calls this client, of MQTT no other (unset: made up)", READY,
      YOLO_STRING (Settings, broker.client_id, NULL) },
  [PROP_QOS] = { "qos", "Quality of service",
      "MQTT: 0: at most once, 1: at least once, 2: exactly once within a connection", READY,
      YOLO_UINT (Settings, broker.qos, 0, 2, 1) },
  [PROP_RETAIN] = { "retain", "Retain",
      "MQTT: whether the broker keeps the last message for those who come later", READY,
      YOLO_BOOLEAN (Settings, broker.retain, FALSE) },
  [PROP_MQTT_VERSION] = { "mqtt-version", "MQTT version",
      "MQTT: version of the protocol", READY,
      YOLO_ENUM (Settings, broker.mqtt_version, mqtt_version_get_type, YOLO_BROKER_MQTT_3_1_1) },
  [PROP_AVAILABILITY_TOPIC] = { "availability-topic", "Availability topic",
      "MQTT: topic that holds \"online\" while the element is connected and \"offline\" else, "
      "by the client's will (unset: none)", READY,
      YOLO_STRING (Settings, broker.availability_topic, NULL) },
  [PROP_DISCOVERY_PREFIX] = { "discovery-prefix", "Discovery prefix",
      "format=frigate: what Home Assistant's topics begin with, homeassistant unless it was told "
      "otherwise; counts are announced there as sensors (unset: nothing is)", READY,
      YOLO_STRING (Settings, discovery_prefix, NULL) },
  [PROP_COMPRESSION] = { "compression", "Compression",
      "Kafka: none, gzip, snappy, lz4 or zstd (unset: none)", READY,
      YOLO_STRING (Settings, broker.compression, NULL) },
  [PROP_BROKER_OPTIONS] = { "broker-options", "Broker options",
      "Kafka: librdkafka's own, as \"NAME=VALUE,NAME=VALUE\"", READY,
      YOLO_STRING (Settings, broker.broker_options, NULL) },
  [PROP_MAX_LENGTH] = { "max-length", "Maximum length",
      "Redis: entries that a stream keeps, about (0: all)", READY,
      YOLO_UINT64 (Settings, broker.max_length, 0, G_MAXINT64, 100000) },
};

/* Posts an error, which it takes, and returns what the stream ends with. One that only
 * says that the element stops or is flushed is not posted. */
static GstFlowReturn
post_error (GstYoloExport *self, GError *error)
{
  const GstResourceError code = g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC)
      ? GST_RESOURCE_ERROR_NO_SPACE_LEFT : GST_RESOURCE_ERROR_WRITE;
  GstFlowReturn flow = GST_FLOW_FLUSHING;

  if (!g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_INTR)) {
    gst_element_message_full (GST_ELEMENT (self), GST_MESSAGE_ERROR, GST_RESOURCE_ERROR, code,
        yolo_text_printable (error->message, YOLO_TEXT_MAX_MESSAGE), NULL, __FILE__, GST_FUNCTION,
        __LINE__);
    flow = GST_FLOW_ERROR;
  }
  g_error_free (error);
  return flow;
}

/* The pattern of label files: @location if it is one, else one in the folder @location,
 * which is made. NULL: an error was posted. */
static char *
label_pattern (GstYoloExport *self, const char *location)
{
  g_autofree char *shown = yolo_text_printable (location ? location : "", YOLO_TEXT_MAX_MESSAGE);
  g_autofree char *pattern = NULL, *path = NULL;

  if (location == NULL || strcmp (location, "-") == 0) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("location is not set: format=yolo writes a file for each frame; set location to a "
         "folder, or to a pattern such as labels/%%06d.txt"),
        (NULL));
    return NULL;
  }

  if (strchr (location, '%')) {
    pattern = g_strdup (location);
  } else {
    if (g_mkdir_with_parents (location, 0777) < 0) {
      GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE,
          ("cannot make the folder \"%s\": %s", shown, g_strerror (errno)), (NULL));
      return NULL;
    }
    pattern = g_build_filename (location, "%06d.txt", NULL);
  }

  path = yolo_record_path (pattern, 0);
  if (path == NULL) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("location \"%s\" must hold one %%d (or %%06d) for the number of the frame", shown),
        (NULL));
    return NULL;
  }
  return g_steal_pointer (&pattern);
}

/* Opens @location as the format demands. FALSE with @error, or without it if the error
 * was posted already. */
static gboolean
open_file (GstYoloExport *self, const char *location, guint64 timeout, GError **error)
{
  g_autofree char *owner = gst_object_get_path_string (GST_OBJECT (self));
  g_autofree char *pattern = NULL;
  YoloOutput *output = NULL;
  YoloLabels *labels = NULL;

  if (self->format == FORMAT_FRIGATE) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("format=frigate writes topics of MQTT, and no file: set location to mqtt://HOST/frigate"),
        (NULL));
    return FALSE;
  }
  if (self->format == FORMAT_YOLO) {
    pattern = label_pattern (self, location);
    labels = pattern ? yolo_labels_open (pattern, owner, error) : NULL;
  } else {
    output = yolo_output_open (location, owner, &framings[self->format],
        timeout > 0 ? timeout : GST_CLOCK_TIME_NONE, error);
  }
  GST_OBJECT_LOCK (self);
  self->output = output;
  self->labels = labels;
  GST_OBJECT_UNLOCK (self);
  return output || labels;
}

static void
send_frigate (const char *topic, const char *text, gsize size, gboolean retain, gpointer data)
{
  GstYoloExport *self = data;

  yolo_broker_send (self->broker, topic, NULL, text, size, retain);
}

/* The settings are READY ones, which do not change while the element starts. */
static gboolean
open_broker (GstYoloExport *self, const char *location, GError **error)
{
  const gboolean is_frigate = self->format == FORMAT_FRIGATE;
  YoloBrokerSettings settings = self->settings.broker;
  g_autofree char *availability = NULL;
  YoloBroker *broker;

  if (self->format == FORMAT_YOLO || (is_frigate && !g_str_has_prefix (location, "mqtt"))) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("%s: take another format, or set location to %s",
            is_frigate ? "format=frigate writes topics of MQTT"
            : "format=yolo writes a file for each frame, and no messages",
            is_frigate ? "mqtt://HOST/frigate" : "a folder"), (NULL));
    return FALSE;
  }
  if (is_frigate && settings.availability_topic == NULL)
    settings.availability_topic = availability = yolo_broker_topic_below (location, "available");
  broker = yolo_broker_open (GST_ELEMENT (self), location, &settings, error);
  GST_OBJECT_LOCK (self);
  self->broker = broker;
  GST_OBJECT_UNLOCK (self);
  if (broker && is_frigate)
    self->frigate = yolo_frigate_new (yolo_broker_topic (broker), self->settings.discovery_prefix,
        settings.availability_topic, send_frigate, self);
  return broker != NULL;
}

/* Whether what is wrong with a location is in the properties. */
static gboolean
is_setting (const GError *error)
{
  return error->domain == G_URI_ERROR || error->domain == G_OPTION_ERROR;
}

static gboolean
gst_yolo_export_start (GstBaseTransform *trans)
{
  GstYoloExport *self = GST_YOLO_EXPORT (trans);
  g_autofree char *location = NULL;
  g_autoptr (GError) error = NULL;
  guint64 timeout;

  GST_OBJECT_LOCK (self);
  location = g_strdup (self->settings.location);
  self->format = self->settings.format;
  timeout = self->settings.write_timeout;
  GST_OBJECT_UNLOCK (self);
  self->frame = 0;
  self->watch = (YoloWatch) { 0 };
  self->warned = FALSE;
  self->n_seen = self->n_tracked = 0;

  if (yolo_broker_is_location (location) ? open_broker (self, location, &error)
      : open_file (self, location, timeout, &error))
    return TRUE;
  if (error) {
    g_autofree char *text = yolo_text_printable (error->message, YOLO_TEXT_MAX_MESSAGE);

    if (is_setting (error))
      GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS, ("%s", text), (NULL));
    else
      GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE, ("%s", text), (NULL));
  }
  return FALSE;
}

static gboolean
gst_yolo_export_stop (GstBaseTransform *trans)
{
  GstYoloExport *self = GST_YOLO_EXPORT (trans);
  YoloOutput *output;
  YoloLabels *labels;
  YoloBroker *broker;
  GError *error = NULL;

  GST_OBJECT_LOCK (self);
  output = g_steal_pointer (&self->output);
  labels = g_steal_pointer (&self->labels);
  GST_OBJECT_UNLOCK (self);
  if (output && !yolo_output_close (output, &error))
    post_error (self, error);
  yolo_labels_close (labels);
  if (self->frigate)
    yolo_frigate_end (self->frigate);
  g_clear_pointer (&self->frigate, yolo_frigate_free);
  GST_OBJECT_LOCK (self);
  broker = g_steal_pointer (&self->broker);
  GST_OBJECT_UNLOCK (self);
  yolo_broker_close (broker);
  g_clear_pointer (&self->stream_id, g_ref_string_release);
  return TRUE;
}

static gboolean
gst_yolo_export_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  return gst_video_info_from_caps (&GST_YOLO_EXPORT (trans)->info, in);
}

/* Posts a warning, once, that the format had no way to write @n objects of the frame. */
static void
warn_of_left_out (GstYoloExport *self, guint n)
{
  if (n == 0 || self->warned)
    return;
  self->warned = TRUE;
  GST_ELEMENT_WARNING (self, STREAM, FORMAT,
      ("objects without a class number that the format can name, without the confidence that COCO "
       "needs, or with a mask that has no pixel in the frame, are not exported: put yoloexport "
       "before the element that drops or shrinks these"),
      ("%u objects in frame %" G_GUINT64_FORMAT, n, self->frame));
}

/* Whether the buffer of these objects holds several frames. */
static gboolean
is_batch (const GArray *objects)
{
  guint i;

  for (i = 0; i < objects->len; i++)
    if (g_array_index (objects, YoloMetaObject, i).slot > 0)
      return TRUE;
  return FALSE;
}

/* Sends what a frame has in self->text: each line as a message, or the array or the lines of the
 * frame as one. */
static void
send_text (GstYoloExport *self, const char *stream)
{
  switch (self->format) {
    case FORMAT_JSON_LINES:
    case FORMAT_EVENTS:
    case FORMAT_DEEPSTREAM:
      yolo_broker_send_lines (self->broker, stream, self->text);
      break;
    case FORMAT_COCO:
      g_string_prepend_c (self->text, '[');
      g_string_append_c (self->text, ']');
      yolo_broker_send (self->broker, NULL, stream, self->text->str, self->text->len, FALSE);
      break;
    case FORMAT_MOT:
      yolo_broker_send (self->broker, NULL, stream, self->text->str, self->text->len - 1, FALSE);
      break;
    case FORMAT_YOLO:           /* refused at the start */
    case FORMAT_FRIGATE:        /* sent already */
      break;
  }
}

/* Writes or sends what is in self->text; FALSE with @error. */
static gboolean
write_text (GstYoloExport *self, const char *stream, GError **error)
{
  if (self->text->len == 0)
    return TRUE;
  if (self->broker) {
    send_text (self, stream);
    return TRUE;
  }
  return yolo_output_write (self->output, self->text->str, self->text->len, error);
}

/* Writes what was found in a frame; FALSE with @error. */
static gboolean
export (GstYoloExport *self, GstBuffer *buffer, const YoloRecord *record,
    const Settings *settings, GError **error)
{
  guint n;

  g_string_truncate (self->text, 0);
  switch (self->format) {
    case FORMAT_JSON_LINES:
      if (record->n_objects > 0 || settings->add_empty_results)
        yolo_record_json_line (record, self->text);
      break;
    case FORMAT_COCO:
      n = yolo_record_coco (record, settings->first_image_id + (gint64) record->frame,
          settings->categories, self->text);
      warn_of_left_out (self, record->n_objects - n);
      break;
    case FORMAT_YOLO:
      n = yolo_record_labels (record, settings->label_confidence, self->text);
      warn_of_left_out (self, record->n_objects - n);
      if (n == 0 && !settings->add_empty_results)
        return TRUE;
      return yolo_labels_write (
          self->labels, record->frame, self->text->str, self->text->len, error);
    case FORMAT_MOT:
      self->n_tracked += yolo_record_mot (record, self->text);
      self->n_seen += record->n_objects;
      break;
    case FORMAT_EVENTS:
      yolo_record_events (record, buffer, self->text);
      break;
    case FORMAT_DEEPSTREAM:
      if (record->n_objects > 0 || settings->add_empty_results)
        yolo_record_deepstream (record, self->text);
      break;
    case FORMAT_FRIGATE:
      yolo_frigate_frame (self->frigate, record, buffer);
      break;
  }
  return write_text (self, record->stream, error);
}

/* At the end of a stream in which nobody has tracked what was found, for a frame alone does not
 * tell: an object that was seen once has no number yet. */
static void
warn_of_no_tracks (GstYoloExport *self)
{
  if (self->n_seen == 0 || self->n_tracked > 0 || self->warned)
    return;
  self->warned = TRUE;
  GST_ELEMENT_WARNING (self, STREAM, FORMAT,
      ("none of the objects that were found has a track, and format=mot writes no others: put "
       "yolotrack before \"%s\"", GST_ELEMENT_NAME (self)),
      ("%" G_GUINT64_FORMAT " objects", self->n_seen));
}

static GRefString *
string_ref (GRefString *string)
{
  return string ? g_ref_string_acquire (string) : NULL;
}

/* Takes what the properties say at this record; to be given to settings_clear(). */
static Settings
take_settings (GstYoloExport *self)
{
  Settings settings;

  GST_OBJECT_LOCK (self);
  settings = self->settings;
  string_ref (settings.source);
  string_ref (settings.stream);
  GST_OBJECT_UNLOCK (self);
  return settings;
}

static void
settings_clear (Settings *settings)
{
  g_clear_pointer (&settings->source, g_ref_string_release);
  g_clear_pointer (&settings->stream, g_ref_string_release);
}

static GstFlowReturn
gst_yolo_export_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstYoloExport *self = GST_YOLO_EXPORT (trans);
  Settings settings;
  YoloRecord record;
  GError *error = NULL;
  gboolean good;

  yolo_meta_read (buffer, &self->info, self->objects);
  yolo_watch_buffer (&self->watch, GST_ELEMENT (self), buffer, self->objects->len);
  if (self->format != FORMAT_JSON_LINES && self->format != FORMAT_EVENTS
      && is_batch (self->objects)) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("a buffer holds several frames, and the format has a place for one: take "
         "format=json-lines, or put nvstreamdemux before"),
        (NULL));
    return GST_FLOW_ERROR;
  }

  settings = take_settings (self);
  record = (YoloRecord) {
    .width = GST_VIDEO_INFO_WIDTH (&self->info), .height = GST_VIDEO_INFO_HEIGHT (&self->info),
    .objects = (const YoloMetaObject *) self->objects->data, .n_objects = self->objects->len,
    .frame = self->frame,
    .timestamp = gst_segment_to_stream_time (&trans->segment, GST_FORMAT_TIME,
        GST_BUFFER_PTS (buffer)),
    .unix_time = g_get_real_time (),
    .source = settings.source, .stream = settings.stream ? settings.stream : self->stream_id,
  };
  good = export (self, buffer, &record, &settings, &error);
  GST_OBJECT_LOCK (self);
  self->frame++;
  GST_OBJECT_UNLOCK (self);
  settings_clear (&settings);
  return good ? GST_FLOW_OK : post_error (self, error);
}

/* Writes the events that came with the end of a stream, as of its last frame. */
static void
export_end (GstYoloExport *self, const GstStructure *zones)
{
  Settings settings = take_settings (self);
  const YoloRecord record = {
    .frame = self->frame - MIN (self->frame, 1), .source = settings.source,
    .stream = settings.stream ? settings.stream : self->stream_id,
  };
  GError *error = NULL;

  g_string_truncate (self->text, 0);
  yolo_record_events_in (&record, zones, self->text);
  if (!write_text (self, record.stream, &error))
    post_error (self, error);
  settings_clear (&settings);
}

static void
set_flushing (GstYoloExport *self, gboolean flushing)
{
  GST_OBJECT_LOCK (self);
  if (self->output)
    yolo_output_set_flushing (self->output, flushing);
  if (self->broker)
    yolo_broker_set_flushing (self->broker, flushing);
  GST_OBJECT_UNLOCK (self);
}

static gboolean
gst_yolo_export_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstYoloExport *self = GST_YOLO_EXPORT (trans);
  const char *stream_id;
  GError *error = NULL;

  yolo_watch_event (&self->watch, GST_ELEMENT (self), event);
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      gst_event_parse_stream_start (event, &stream_id);
      g_clear_pointer (&self->stream_id, g_ref_string_release);
      if (g_utf8_validate (stream_id, -1, NULL))
        self->stream_id = g_ref_string_new (stream_id);
      break;
    case GST_EVENT_EOS:
      warn_of_no_tracks (self);
      if (self->output && !yolo_output_finish (self->output, &error))
        post_error (self, error);
      if (self->frigate)
        yolo_frigate_end (self->frigate);
      if (self->broker)
        yolo_broker_finish (self->broker);
      break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      if (self->format == FORMAT_EVENTS && IS_RUNNING (self)
          && gst_event_has_name (event, YOLO_ZONES_END))
        export_end (self, gst_event_get_structure (event));
      break;
    case GST_EVENT_FLUSH_START:
      set_flushing (self, TRUE);
      break;
    case GST_EVENT_FLUSH_STOP:
      set_flushing (self, FALSE);
      break;
    default:
      break;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_yolo_export_parent_class)->sink_event (trans, event);
}

/* Ends a wait for a pipe's reader or for a broker first, for the streaming thread holds a
 * lock meanwhile that deactivating the pads needs. */
static GstStateChangeReturn
gst_yolo_export_change_state (GstElement *element, GstStateChange transition)
{
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    set_flushing (GST_YOLO_EXPORT (element), TRUE);
  return GST_ELEMENT_CLASS (gst_yolo_export_parent_class)->change_state (element, transition);
}

static void
gst_yolo_export_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstYoloExport *self = GST_YOLO_EXPORT (object);
  gboolean running;

  GST_OBJECT_LOCK (self);
  running = IS_RUNNING (self);
  GST_OBJECT_UNLOCK (self);
  if (yolo_property_is_fixed (GST_ELEMENT (self), running, pspec, value))
    return;

  GST_OBJECT_LOCK (self);
  yolo_property_set (&properties[id], &self->settings, value);
  if (id == PROP_LOCATION) {
    char *shown = yolo_broker_hide (self->settings.location);

    g_free (self->settings.location);
    self->settings.location = shown;
  }
  GST_OBJECT_UNLOCK (self);
}

static GstStructure *
make_stats (GstYoloExport *self)
{
  GstStructure *stats = gst_structure_new ("yoloexport-stats", "frames", G_TYPE_UINT64,
      self->frame, NULL);

  if (self->broker)
    yolo_broker_add_stats (self->broker, stats);
  return stats;
}

static void
gst_yolo_export_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstYoloExport *self = GST_YOLO_EXPORT (object);

  GST_OBJECT_LOCK (self);
  if (id == PROP_STATS)
    g_value_take_boxed (value, make_stats (self));
  else
    yolo_property_get (&properties[id], &self->settings, value);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_yolo_export_init (GstYoloExport *self)
{
  yolo_properties_init (properties, N_PROPERTIES, &self->settings);
  self->objects = yolo_meta_objects_new ();
  self->text = g_string_new (NULL);
  gst_base_transform_set_passthrough (GST_BASE_TRANSFORM (self), TRUE);
}

static void
gst_yolo_export_finalize (GObject *object)
{
  GstYoloExport *self = GST_YOLO_EXPORT (object);

  yolo_properties_clear (properties, N_PROPERTIES, &self->settings);
  g_array_unref (self->objects);
  g_string_free (self->text, TRUE);
  G_OBJECT_CLASS (gst_yolo_export_parent_class)->finalize (object);
}

static void
gst_yolo_export_class_init (GstYoloExportClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (yoloexport_debug, "yoloexport", 0, "export of detections");

  object_class->set_property = gst_yolo_export_set_property;
  object_class->get_property = gst_yolo_export_get_property;
  object_class->finalize = gst_yolo_export_finalize;
  yolo_properties_install (object_class, properties, N_PROPERTIES);
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Frames; and of a broker: connected, connections; messages sent to it, delivered, "
          "dropped (the queue was full), refused (by the broker), resent, queued and spooled, "
          "with bytes",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));

  gst_element_class_set_static_metadata (element_class, "YOLO export", "Filter/Metadata/Video",
      "Writes what was found as JSON lines, COCO results, YOLO labels or MOTChallenge results, "
      "and events of zones, to files and brokers",
      "The yolo project");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  element_class->change_state = gst_yolo_export_change_state;

  trans_class->start = gst_yolo_export_start;
  trans_class->stop = gst_yolo_export_stop;
  trans_class->set_caps = gst_yolo_export_set_caps;
  trans_class->sink_event = gst_yolo_export_sink_event;
  trans_class->transform_ip = gst_yolo_export_transform_ip;
}
