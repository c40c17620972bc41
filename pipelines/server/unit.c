/* SPDX-License-Identifier: MIT */
#include "pipelines/server/unit.h"

static void
clear (gpointer data)
{
  YoloUnit *unit = data;

  gst_buffer_unref (unit->buffer);
}

YoloUnit *
yolo_unit_ref (YoloUnit *unit)
{
  return g_atomic_rc_box_acquire (unit);
}

void
yolo_unit_unref (gpointer unit)
{
  g_atomic_rc_box_release_full (unit, clear);
}

GBytes *
yolo_unit_head (GstCaps *caps, guint max_entries)
{
  const GstStructure *format = gst_caps_get_structure (caps, 0);
  const GValue *config = gst_structure_get_value (format, "codec_data");
  YoloMp4Track track = { .hevc = gst_structure_has_name (format, "video/x-h265"), .par_n = 1,
    .par_d = 1 };
  gint width = 0, height = 0, n = 1, d = 1;
  GstMapInfo map;
  GBytes *head;

  if (config == NULL || !gst_structure_get_int (format, "width", &width)
      || !gst_structure_get_int (format, "height", &height) || width < 1 || height < 1
      || width > G_MAXUINT16 || height > G_MAXUINT16
      || !gst_buffer_map (gst_value_get_buffer (config), &map, GST_MAP_READ))
    return NULL;
  if (gst_structure_get_fraction (format, "pixel-aspect-ratio", &n, &d) && n > 0 && d > 0) {
    track.par_n = n;
    track.par_d = d;
  }
  track.width = width;
  track.height = height;
  track.config = map.data;
  track.config_size = map.size;
  head = yolo_mp4_head (&track, max_entries);
  gst_buffer_unmap (gst_value_get_buffer (config), &map);
  return head;
}

/* Units of MP4 since @base, before which a time may lie. */
static gint64
to_scale (GstClockTime time, GstClockTime base)
{
  return (gint64) gst_util_uint64_scale_round (time, YOLO_MP4_SCALE, GST_SECOND)
      - (gint64) gst_util_uint64_scale_round (base, YOLO_MP4_SCALE, GST_SECOND);
}

GBytes *
yolo_unit_fragment (guint32 number, GPtrArray *units, GstClockTime next, GstClockTime base,
    YoloMp4Entry *entry)
{
  const guint n = units->len;
  g_autofree YoloMp4Sample *samples = g_new0 (YoloMp4Sample, n);
  g_autofree GstMapInfo *maps = g_new (GstMapInfo, n);
  GBytes *bytes = NULL;
  guint mapped = 0;

  *entry = (YoloMp4Entry) { .key = ((const YoloUnit *) g_ptr_array_index (units, 0))->key };
  for (guint i = 0; i < n; i++) {
    const YoloUnit *unit = g_ptr_array_index (units, i);
    const YoloUnit *after = i + 1 < n ? g_ptr_array_index (units, i + 1) : NULL;
    const GstClockTime end = after != NULL ? after->dts : next;

    if (!gst_buffer_map (unit->buffer, &maps[i], GST_MAP_READ))
      break;
    mapped++;
    samples[i] = (YoloMp4Sample) { maps[i].data, maps[i].size, to_scale (unit->dts, base),
      to_scale (unit->pts, base), 0, unit->key };
    /* The last one of all is shown for as long as the one before. */
    samples[i].duration = GST_CLOCK_TIME_IS_VALID (end)
        ? (guint32) (to_scale (end, base) - samples[i].dts)
        : i > 0 ? samples[i - 1].duration : YOLO_MP4_SCALE / 25;
    entry->duration += samples[i].duration;
  }
  if (mapped == n) {
    bytes = yolo_mp4_fragment (number, samples, n);
    entry->size = (guint32) g_bytes_get_size (bytes);
  }
  for (guint i = 0; i < mapped; i++)
    gst_buffer_unmap (((const YoloUnit *) g_ptr_array_index (units, i))->buffer, &maps[i]);
  return bytes;
}
