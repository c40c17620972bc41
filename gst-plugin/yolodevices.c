/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolodevices.h"

#include "base/text.h"

void
yolo_device_watch_begin (YoloDeviceWatch *watch, YoloStream *stream)
{
  YoloReplicaStats stats[YOLO_MAX_DEVICES];
  guint n;

  /* The counts begin at what they are, but one lower for a device that does not serve, so that
   * the first look at them tells of it. */
  *watch = (YoloDeviceWatch) { .changes = yolo_stream_changes (stream) };
  n = yolo_stream_get_replicas (stream, stats);
  for (guint i = 0; i < n; i++) {
    watch->failures[i] = stats[i].failures - !stats[i].serves;
    watch->changes -= !stats[i].serves;
  }
}

static void
look_at (YoloDeviceWatch *watch, GstElement *element, guint i, const YoloReplicaStats *stats)
{
  g_autofree gchar *failure = yolo_text_printable (stats->failure, YOLO_TEXT_MAX_MESSAGE);

  if (stats->failures > watch->failures[i])
    GST_ELEMENT_WARNING (element, RESOURCE, FAILED,
        ("the device %s has failed: %s", stats->device, failure),
        ("the other devices go on with its frames, and it is tried again from time to time"));
  if (stats->serves && (watch->lost[i] || stats->failures > watch->failures[i]))
    GST_ELEMENT_INFO (
        element, RESOURCE, FAILED, ("the device %s runs networks again", stats->device), (NULL));
  watch->failures[i] = stats->failures;
  watch->lost[i] = !stats->serves;
}

void
yolo_device_watch_look (YoloDeviceWatch *watch, GstElement *element, YoloStream *stream)
{
  const guint changes = yolo_stream_changes (stream);
  YoloReplicaStats stats[YOLO_MAX_DEVICES];
  guint n;

  if (changes == watch->changes)
    return;
  watch->changes = changes;
  n = yolo_stream_get_replicas (stream, stats);
  for (guint i = 0; i < n; i++)
    look_at (watch, element, i, &stats[i]);
}

static GstStructure *
describe_stage (const YoloStageStats *stage)
{
  const guint64 images = MAX (stage->images, 1);

  return gst_structure_new ("yoloinfer-stage", "device", G_TYPE_STRING, stage->device,
      "first-operation", G_TYPE_UINT, stage->part.first,
      "operations", G_TYPE_UINT, stage->part.end - stage->part.first,
      "batches", G_TYPE_UINT64, stage->batches, "frames", G_TYPE_UINT64, stage->images,
      "bytes-on", G_TYPE_UINT64, stage->bytes, "frame-time", G_TYPE_UINT64, stage->busy / images,
      "pass-time", G_TYPE_UINT64, stage->passing / images, NULL);
}

/* Adds @n structures as an array. */
static void
add_array (GstStructure *structure, const gchar *name, GstStructure **structures, guint n)
{
  GValue array = G_VALUE_INIT;

  gst_value_array_init (&array, n);
  for (guint i = 0; i < n; i++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed (&value, structures[i]);
    gst_value_array_append_and_take_value (&array, &value);
  }
  gst_structure_take_value (structure, name, &array);
}

static GstStructure *
describe (const YoloReplicaStats *stats)
{
  GstStructure *stages[YOLO_MAX_STAGES];
  g_autofree gchar *failure = yolo_text_printable (stats->failure, YOLO_TEXT_MAX_MESSAGE);
  GstStructure *s = gst_structure_new ("yoloinfer-replica", "device", G_TYPE_STRING, stats->device,
      "serves", G_TYPE_BOOLEAN, stats->serves, "failures", G_TYPE_UINT, stats->failures,
      "frames", G_TYPE_UINT64, stats->frames, "batches", G_TYPE_UINT64, stats->batches,
      "utilisation", G_TYPE_DOUBLE, stats->utilisation, NULL);

  if (*failure != '\0')
    gst_structure_set (s, "failure", G_TYPE_STRING, failure, NULL);
  for (guint i = 0; i < YOLO_ENGINE_BATCH_SIZES; i++) {
    g_autofree gchar *name = g_strdup_printf ("batch-time-%u", 1u << i);

    if (stats->batch_time[i] > 0)
      gst_structure_set (s, name, G_TYPE_UINT64, stats->batch_time[i], NULL);
  }
  for (guint i = 0; i < stats->n_stages; i++)
    stages[i] = describe_stage (&stats->stages[i]);
  if (stats->n_stages > 0)
    add_array (s, "stages", stages, stats->n_stages);
  return s;
}

void
yolo_devices_add_stats (GstStructure *structure, YoloStream *stream)
{
  YoloReplicaStats stats[YOLO_MAX_DEVICES];
  const guint n = yolo_stream_get_replicas (stream, stats);
  GstStructure *replicas[YOLO_MAX_DEVICES];

  for (guint i = 0; i < n; i++)
    replicas[i] = describe (&stats[i]);
  add_array (structure, "replicas", replicas, n);
}
