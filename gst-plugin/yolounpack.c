/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolounpack.h"

#include "base/simd.h"

#include <string.h>

GstCaps *
yolo_unpack_caps (const gchar *media, const gchar *first)
{
  g_autofree gchar *string = g_strconcat (media,
      ", width = " GST_VIDEO_SIZE_RANGE ", height = " GST_VIDEO_SIZE_RANGE
      ", framerate = " GST_VIDEO_FPS_RANGE,
      NULL);
  g_auto (GStrv) names = g_strsplit (first, ", ", -1);
  GValue formats = G_VALUE_INIT, name = G_VALUE_INIT;
  const GstVideoFormat *raw;
  GstCaps *caps;
  guint i, n;

  gst_value_list_init (&formats, 0);
  g_value_init (&name, G_TYPE_STRING);
  for (i = 0; names[i]; i++) {
    g_value_set_string (&name, names[i]);
    gst_value_list_append_value (&formats, &name);
  }
  raw = gst_video_formats_raw (&n);
  for (i = 0; i < n; i++) {
    const GstVideoFormatInfo *info = gst_video_format_get_info (raw[i]);

    if (info->unpack_func == NULL || info->pack_func == NULL
        || g_strv_contains ((const gchar *const *) names, info->name))
      continue;
    g_value_set_string (&name, info->name);
    gst_value_list_append_value (&formats, &name);
  }
  g_value_unset (&name);

  caps = gst_caps_from_string (string);
  gst_caps_set_value (caps, "format", &formats);
  g_value_unset (&formats);
  return caps;
}

gboolean
yolo_unpack_is_grouped (const GstVideoFormatInfo *format)
{
  return GST_VIDEO_FORMAT_INFO_IS_COMPLEX (format) || GST_VIDEO_FORMAT_INFO_IS_TILED (format)
      || GST_VIDEO_FORMAT_INFO_HAS_PALETTE (format);
}

/* How many bytes a plane with the mapping's stride takes, given that it takes `bytes`
 * with `usual`, the stride that GStreamer itself would choose. 0: the stride is too
 * small for the frame. */
static gint64
plane_bytes (const GstVideoFormatInfo *format, gint stride, gint usual, gint64 bytes)
{
  gint64 tiles, usual_tiles;

  if (!GST_VIDEO_FORMAT_INFO_IS_TILED (format))
    return stride >= usual && usual > 0 ? stride * (bytes / usual - 1) + usual : 0;
  if (GST_VIDEO_TILE_X_TILES (stride) < GST_VIDEO_TILE_X_TILES (usual)
      || GST_VIDEO_TILE_Y_TILES (stride) < GST_VIDEO_TILE_Y_TILES (usual))
    return 0;
  tiles = (gint64) GST_VIDEO_TILE_X_TILES (stride) * GST_VIDEO_TILE_Y_TILES (stride);
  usual_tiles = (gint64) GST_VIDEO_TILE_X_TILES (usual) * GST_VIDEO_TILE_Y_TILES (usual);
  return usual_tiles > 0 ? bytes / usual_tiles * tiles : 0;
}

gboolean
yolo_unpack_planes_fit (const GstVideoFrame *video)
{
  const guint n = GST_VIDEO_FRAME_N_PLANES (video);
  GstVideoInfo usual;
  guint p;

  if (!gst_video_info_set_format (&usual, GST_VIDEO_FRAME_FORMAT (video),
          GST_VIDEO_FRAME_WIDTH (video), GST_VIDEO_FRAME_HEIGHT (video)))
    return FALSE;
  for (p = 0; p < n; p++) {
    /* without a GstVideoMeta, all of the buffer is mapped at once */
    const GstMapInfo *map = &video->map[video->meta ? p : 0];
    const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA (video, p);
    const gsize end =
        p + 1 < n ? GST_VIDEO_INFO_PLANE_OFFSET (&usual, p + 1) : GST_VIDEO_INFO_SIZE (&usual);
    const gint64 bytes = plane_bytes (usual.finfo, GST_VIDEO_FRAME_PLANE_STRIDE (video, p),
        GST_VIDEO_INFO_PLANE_STRIDE (&usual, p),
        (gint64) (end - GST_VIDEO_INFO_PLANE_OFFSET (&usual, p)));

    if (bytes == 0 || data < map->data || (data - map->data) + bytes > (gint64) map->size)
      return FALSE;
  }
  return TRUE;
}

/* How many pixels at the end of row y GStreamer must not be asked to unpack, or leaves
 * out. Where pixels are packed in groups, GStreamer 1.22 reads behind the last row if an
 * odd width cuts the last group. Of MT2110T and MT2110R, whose groups are of sixteen
 * pixels, GStreamer 1.26 leaves out a last group with fewer. */
static gint
left_out (const GstVideoFrame *video, gint y)
{
  const GstVideoFormatInfo *format = video->info.finfo;
  const gint width = GST_VIDEO_FRAME_WIDTH (video);

  if (g_str_has_prefix (GST_VIDEO_FORMAT_INFO_NAME (format), "MT2110"))
    return width % 16;
  /* two rows may share the last row of chroma */
  return width % 2 == 1 && GST_VIDEO_FORMAT_INFO_IS_COMPLEX (format)
      && y >= GST_VIDEO_FRAME_HEIGHT (video) - 2;
}

/* Pixels that are left out repeat the one before them. */
void
yolo_unpack_row (const GstVideoFrame *video, GstVideoPackFlags flags, gint y, gpointer row)
{
  const GstVideoFormatInfo *format = video->info.finfo;
  const gint width = GST_VIDEO_FRAME_WIDTH (video);
  const gsize pixel =
      GST_VIDEO_FORMAT_INFO_BITS (gst_video_format_get_info (format->unpack_format)) > 8 ? 8 : 4;
  const gint whole = width - left_out (video, y);
  guint8 *pixels = row;

  if (whole > 0)
    format->unpack_func (
        format, flags, row, (gpointer *) video->data, video->info.stride, 0, y, whole);
  else
    memset (pixels, 0x80, pixel);
  for (gint x = MAX (whole, 1); x < width; x++)
    memcpy (pixels + pixel * (gsize) x, pixels + pixel * (gsize) (x - 1), pixel);
}

/* Rounds words of sixteen bits so that the upper ten, which are all that is read, are
 * the nearest: a unit of ten bits is 64 of sixteen. For video levels, which are shifted
 * up. */
YOLO_SIMD static void
round_to_ten_bits (guint16 *words, gsize n)
{
  for (gsize i = 0; i < n; i++)
    words[i] = MIN (words[i], 65535 - 32) + 32;
}

/* The same for words of the full range, where the highest value stands for the highest:
 * 65535 becomes 1023 of ten bits, or 255 of eight. */
YOLO_SIMD static void
round_full_range (guint16 *words, gsize n, guint bits)
{
  for (gsize i = 0; i < n; i++)
    words[i] = words[i] - (words[i] >> bits) + (32768 >> bits);
}

/* What `unpack` of a YoloFrame is set to. Called by the engine's threads. */
static void
unpack_row (const void *source, int y, void *row)
{
  const GstVideoFrame *video = source;
  const GstVideoFormatInfo *format = video->info.finfo;
  const gsize n = 4 * (gsize) GST_VIDEO_FRAME_WIDTH (video);
  const gboolean rgb = GST_VIDEO_FORMAT_INFO_IS_RGB (format),
                 deep = GST_VIDEO_FORMAT_INFO_DEPTH (format, 0) > 10;
  const gboolean full = video->info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;

  /* Up to ten bits are read as they are. GStreamer unpacks more to sixteen: shifted up
   * where the video has video levels, for these are shifted so too, and stretched over
   * all of sixteen bits where it has the full range. */
  yolo_unpack_row (video,
      rgb || (deep && full) ? GST_VIDEO_PACK_FLAG_NONE : GST_VIDEO_PACK_FLAG_TRUNCATE_RANGE, y,
      row);
  if (format->unpack_format == GST_VIDEO_FORMAT_ARGB64)
    round_full_range (row, n, 8);
  else if (deep && full)
    round_full_range (row, n, 10);
  else if (deep)
    round_to_ten_bits (row, n);
}

void
yolo_unpack_describe (const GstVideoFrame *video, YoloFrame *described)
{
  switch (video->info.finfo->unpack_format) {
    case GST_VIDEO_FORMAT_ARGB:
      described->format = YOLO_FORMAT_ARGB;
      break;
    case GST_VIDEO_FORMAT_AYUV:
      described->format = YOLO_FORMAT_AYUV;
      break;
    case GST_VIDEO_FORMAT_ARGB64:
      described->format = YOLO_FORMAT_ARGB64;
      break;
    case GST_VIDEO_FORMAT_AYUV64:
      described->format = YOLO_FORMAT_AYUV64;
      break;
    default:                   /* GStreamer unpacks to these four */
      g_return_if_reached ();
  }
  described->unpack = unpack_row;
  described->source = video;
}

struct _YoloUnpacked {
  GstBuffer *buffer;
  GstVideoFrame frame;
  gint y0, y1;                  /* rows that were taken */
};

YoloUnpacked *
yolo_unpacked_new (const GstVideoInfo *info)
{
  YoloUnpacked *unpacked;
  GstVideoInfo own;

  if (!gst_video_info_set_format (&own, info->finfo->unpack_format, GST_VIDEO_INFO_WIDTH (info),
          GST_VIDEO_INFO_HEIGHT (info)))
    return NULL;
  own.colorimetry = info->colorimetry;
  unpacked = g_new0 (YoloUnpacked, 1);
  unpacked->buffer = gst_buffer_new_allocate (NULL, GST_VIDEO_INFO_SIZE (&own), NULL);
  if (unpacked->buffer == NULL || !gst_video_frame_map (&unpacked->frame, &own, unpacked->buffer,
          GST_MAP_READWRITE | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    gst_clear_buffer (&unpacked->buffer);
    g_free (unpacked);
    return NULL;
  }
  return unpacked;
}

void
yolo_unpacked_free (YoloUnpacked *unpacked)
{
  if (unpacked == NULL)
    return;
  gst_video_frame_unmap (&unpacked->frame);
  gst_buffer_unref (unpacked->buffer);
  g_free (unpacked);
}

GstVideoFrame *
yolo_unpacked_frame (YoloUnpacked *unpacked)
{
  return &unpacked->frame;
}

static guint8 *
row_at (YoloUnpacked *unpacked, gint y)
{
  return (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&unpacked->frame, 0)
      + (gssize) y * GST_VIDEO_FRAME_PLANE_STRIDE (&unpacked->frame, 0);
}

void
yolo_unpacked_take (YoloUnpacked *unpacked, const GstVideoFrame *video, gint y0, gint y1)
{
  const GstVideoFormatInfo *format = video->info.finfo;
  const gint height = GST_VIDEO_FRAME_HEIGHT (video);
  gint rows = 1, y;
  guint i;

  for (i = 0; i < GST_VIDEO_FORMAT_INFO_N_COMPONENTS (format); i++)
    rows = MAX (rows, 1 << GST_VIDEO_FORMAT_INFO_H_SUB (format, i));
  if (GST_VIDEO_FORMAT_INFO_HAS_PALETTE (format))       /* packing writes another palette */
    rows = height;
  unpacked->y0 = y0 / rows * rows;
  unpacked->y1 = MIN ((y1 + rows - 1) / rows * rows, height);
  for (y = unpacked->y0; y < unpacked->y1; y++)
    yolo_unpack_row (video, GST_VIDEO_PACK_FLAG_NONE, y, row_at (unpacked, y));
}

void
yolo_unpacked_put (YoloUnpacked *unpacked, GstVideoFrame *video)
{
  const GstVideoFormatInfo *format = video->info.finfo;
  gint y;

  for (y = unpacked->y0; y < unpacked->y1; y++)
    format->pack_func (format, GST_VIDEO_PACK_FLAG_NONE, row_at (unpacked, y), 0, video->data,
        video->info.stride, video->info.chroma_site, y, GST_VIDEO_FRAME_WIDTH (video));
}
