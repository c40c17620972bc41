/* SPDX-License-Identifier: MIT */
/* Fragmented MP4 with one track of video (ISO/IEC 14496-12 and -15): a head, then fragments that
 * each can be played as soon as they are there, so that a file that breaks off is whole up to its
 * last fragment. Pure functions of bytes; any thread. */

#ifndef YOLO_SERVER_MP4_H
#define YOLO_SERVER_MP4_H

#include <glib.h>

G_BEGIN_DECLS

#define YOLO_MP4_SCALE 90000    /* units of time in a second */

/* What a decoder has to know before the first picture. */
typedef struct {
  gboolean hevc;                /* H.265; else H.264 */
  guint width, height;          /* pixels */
  guint par_n, par_d;           /* shape of a pixel */
  const guint8 *config;         /* the avcC or hvcC record */
  gsize config_size;
} YoloMp4Track;

/* A picture, its parts with lengths before them (not start codes). */
typedef struct {
  const guint8 *data;
  gsize size;                   /* bytes; below 4 GiB together with the others of a fragment */
  gint64 dts, pts;              /* in units of YOLO_MP4_SCALE, from the file's beginning */
  guint32 duration;             /* the same */
  gboolean key;                 /* whether decoding can begin here */
} YoloMp4Sample;

/* A fragment, for the index. */
typedef struct {
  guint32 size;                 /* bytes */
  guint32 duration;             /* in units of YOLO_MP4_SCALE */
  gboolean key;                 /* whether it begins with a picture where decoding can begin */
} YoloMp4Entry;

/**
 * yolo_mp4_head:
 * @max_entries: for how many fragments to leave room for an index; 0: none
 *
 * Returns: (transfer full): what stands in front of the first fragment
 */
GBytes *yolo_mp4_head (const YoloMp4Track *track, guint max_entries);

/**
 * yolo_mp4_fragment:
 * @number: from 1, one more each time
 * @n: of @samples, 1 or more, in the order of decoding
 *
 * Returns: (transfer full): a fragment, which copies the pictures
 */
GBytes *yolo_mp4_fragment (guint32 number, const YoloMp4Sample *samples, guint n);

/**
 * yolo_mp4_index:
 * @head_size: bytes that yolo_mp4_head() gave for the same @max_entries
 * @entries: what the file consists of behind the head
 * @begin: pts of the first picture
 * @offset: (out): where in the file the answer goes, of the size of what stands there
 *
 * The index that takes the place which was left for it: by it players know how long the file is,
 * and where to go on after a jump.
 *
 * Returns: (transfer full) (nullable): NULL: there are more entries than room
 */
GBytes *yolo_mp4_index (gsize head_size, guint max_entries, const YoloMp4Entry *entries,
    guint n, gint64 begin, gsize *offset);

G_END_DECLS

#endif
