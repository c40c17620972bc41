/* SPDX-License-Identifier: MIT */
#include "pipelines/server/mp4.h"

#include <string.h>

#define TRACK 1                 /* number of the only track */
#define SIDX_HEAD 40            /* bytes of an index without its entries, version 1 */
#define SIDX_ENTRY 12           /* bytes of each */
#define SAMPLE_KEY 0x02000000   /* flags of a sample: it depends on no other */
#define SAMPLE_DELTA 0x01010000 /* it depends on others, and decoding cannot begin here */

static void
put_16 (GByteArray *out, guint16 number)
{
  number = GUINT16_TO_BE (number);
  g_byte_array_append (out, (const guint8 *) &number, sizeof number);
}

static void
put_32 (GByteArray *out, guint32 number)
{
  number = GUINT32_TO_BE (number);
  g_byte_array_append (out, (const guint8 *) &number, sizeof number);
}

static void
put_64 (GByteArray *out, guint64 number)
{
  number = GUINT64_TO_BE (number);
  g_byte_array_append (out, (const guint8 *) &number, sizeof number);
}

static void
put_zeros (GByteArray *out, guint n)
{
  static const guint8 zeros[64];

  for (; n > 0; n -= MIN (n, sizeof zeros))
    g_byte_array_append (out, zeros, MIN (n, sizeof zeros));
}

static void
put_text (GByteArray *out, const char *text)
{
  g_byte_array_append (out, (const guint8 *) text, strlen (text));
}

/* Begins a box; the answer is for end(), which writes its size. */
static guint
begin (GByteArray *out, const char *kind)
{
  const guint at = out->len;

  put_32 (out, 0);
  put_text (out, kind);
  return at;
}

/* The same of a box with a version and flags. */
static guint
begin_full (GByteArray *out, const char *kind, guint version, guint32 flags)
{
  const guint at = begin (out, kind);

  put_32 (out, version << 24 | flags);
  return at;
}

static void
end (GByteArray *out, guint at)
{
  const guint32 size = GUINT32_TO_BE (out->len - at);

  memcpy (out->data + at, &size, sizeof size);
}

static void
put_matrix (GByteArray *out)
{
  static const guint32 identity[] = { 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000 };

  for (guint i = 0; i < G_N_ELEMENTS (identity); i++)
    put_32 (out, identity[i]);
}

static void
put_movie_header (GByteArray *out)
{
  const guint box = begin_full (out, "mvhd", 0, 0);

  put_zeros (out, 8);           /* times of making and changing */
  put_32 (out, YOLO_MP4_SCALE);
  put_32 (out, 0);              /* what lies in the fragments does not count */
  put_32 (out, 0x10000);        /* speed */
  put_16 (out, 0x100);          /* volume */
  put_zeros (out, 10);
  put_matrix (out);
  put_zeros (out, 24);
  put_32 (out, TRACK + 1);
  end (out, box);
}

static void
put_track_header (GByteArray *out, const YoloMp4Track *track)
{
  const guint box = begin_full (out, "tkhd", 0, 3);     /* it is on, and is shown */

  put_zeros (out, 8);
  put_32 (out, TRACK);
  put_zeros (out, 8);
  put_zeros (out, 16);          /* layer, group, volume */
  put_matrix (out);
  put_32 (out, (guint32) ((guint64) track->width * MAX (track->par_n, 1)
          / MAX (track->par_d, 1)) << 16);
  put_32 (out, track->height << 16);
  end (out, box);
}

static void
put_sample_entry (GByteArray *out, const YoloMp4Track *track)
{
  const guint table = begin_full (out, "stsd", 0, 0);
  guint box, inner;

  put_32 (out, 1);
  box = begin (out, track->hevc ? "hvc1" : "avc1");
  put_zeros (out, 6);
  put_16 (out, 1);              /* the first data reference */
  put_zeros (out, 16);
  put_16 (out, track->width);
  put_16 (out, track->height);
  put_32 (out, 0x480000);       /* 72 dots an inch */
  put_32 (out, 0x480000);
  put_32 (out, 0);
  put_16 (out, 1);              /* pictures in a sample */
  put_zeros (out, 32);          /* name of the encoder */
  put_16 (out, 24);             /* colours, no alpha */
  put_16 (out, 0xffff);
  inner = begin (out, track->hevc ? "hvcC" : "avcC");
  g_byte_array_append (out, track->config, track->config_size);
  end (out, inner);
  if (track->par_n != track->par_d && track->par_n > 0 && track->par_d > 0) {
    inner = begin (out, "pasp");
    put_32 (out, track->par_n);
    put_32 (out, track->par_d);
    end (out, inner);
  }
  end (out, box);
  end (out, table);
}

static void
put_sample_tables (GByteArray *out, const YoloMp4Track *track)
{
  static const char *const empty[] = { "stts", "stsc", "stco" };
  const guint tables = begin (out, "stbl");
  guint box;

  put_sample_entry (out, track);
  for (guint i = 0; i < G_N_ELEMENTS (empty); i++) {
    box = begin_full (out, empty[i], 0, 0);
    put_32 (out, 0);
    end (out, box);
  }
  box = begin_full (out, "stsz", 0, 0);
  put_zeros (out, 8);
  end (out, box);
  end (out, tables);
}

static void
put_media (GByteArray *out, const YoloMp4Track *track)
{
  const guint media = begin (out, "mdia");
  guint box, information, inner;

  box = begin_full (out, "mdhd", 0, 0);
  put_zeros (out, 8);
  put_32 (out, YOLO_MP4_SCALE);
  put_32 (out, 0);
  put_16 (out, 0x55c4);         /* language: "und" */
  put_16 (out, 0);
  end (out, box);
  box = begin_full (out, "hdlr", 0, 0);
  put_32 (out, 0);
  put_text (out, "vide");
  put_zeros (out, 12);
  put_text (out, "video");
  put_zeros (out, 1);
  end (out, box);
  information = begin (out, "minf");
  box = begin_full (out, "vmhd", 0, 1);
  put_zeros (out, 8);
  end (out, box);
  box = begin (out, "dinf");
  inner = begin_full (out, "dref", 0, 0);
  put_32 (out, 1);
  end (out, begin_full (out, "url ", 0, 1));    /* the data lies in this file */
  end (out, inner);
  end (out, box);
  put_sample_tables (out, track);
  end (out, information);
  end (out, media);
}

GBytes *
yolo_mp4_head (const YoloMp4Track *track, guint max_entries)
{
  GByteArray *out = g_byte_array_new ();
  guint box, inner;

  box = begin (out, "ftyp");
  put_text (out, "iso6");
  put_32 (out, 0);
  put_text (out, track->hevc ? "iso6mp41hvc1" : "iso6mp41avc1");
  end (out, box);
  box = begin (out, "moov");
  put_movie_header (out);
  inner = begin (out, "trak");
  put_track_header (out, track);
  put_media (out, track);
  end (out, inner);
  inner = begin (out, "mvex");
  {
    const guint defaults = begin_full (out, "trex", 0, 0);

    put_32 (out, TRACK);
    put_32 (out, 1);            /* the first sample entry */
    put_zeros (out, 12);
    end (out, defaults);
  }
  end (out, inner);
  end (out, box);
  if (max_entries > 0) {
    box = begin (out, "free");
    put_zeros (out, SIDX_HEAD + SIDX_ENTRY * max_entries);
    end (out, box);
  }
  return g_byte_array_free_to_bytes (out);
}

GBytes *
yolo_mp4_fragment (guint32 number, const YoloMp4Sample *samples, guint n)
{
  GByteArray *out = g_byte_array_new ();
  const guint moof = begin (out, "moof");
  guint box, fragment, run, offset, mdat;

  box = begin_full (out, "mfhd", 0, 0);
  put_32 (out, number);
  end (out, box);
  fragment = begin (out, "traf");
  box = begin_full (out, "tfhd", 0, 0x20000);   /* offsets count from the moof */
  put_32 (out, TRACK);
  end (out, box);
  box = begin_full (out, "tfdt", 1, 0);
  put_64 (out, (guint64) samples[0].dts);
  end (out, box);
  /* For each sample its duration, size, flags, and how much later it is shown. */
  run = begin_full (out, "trun", 1, 0xf01);
  put_32 (out, n);
  offset = out->len;
  put_32 (out, 0);
  for (guint i = 0; i < n; i++) {
    put_32 (out, samples[i].duration);
    put_32 (out, (guint32) samples[i].size);
    put_32 (out, samples[i].key ? SAMPLE_KEY : SAMPLE_DELTA);
    put_32 (out, (guint32) (gint32) (samples[i].pts - samples[i].dts));
  }
  end (out, run);
  end (out, fragment);
  end (out, moof);
  mdat = begin (out, "mdat");
  {
    const guint32 where = GUINT32_TO_BE (out->len);

    memcpy (out->data + offset, &where, sizeof where);
  }
  for (guint i = 0; i < n; i++)
    g_byte_array_append (out, samples[i].data, samples[i].size);
  end (out, mdat);
  return g_byte_array_free_to_bytes (out);
}

GBytes *
yolo_mp4_index (gsize head_size, guint max_entries, const YoloMp4Entry *entries, guint n,
    gint64 begin_pts, gsize *offset)
{
  const guint room = 8 + SIDX_HEAD + SIDX_ENTRY * max_entries;
  const guint rest = SIDX_ENTRY * (max_entries - n) + 8;
  GByteArray *out;
  guint box;

  if (n == 0 || n > max_entries || n > G_MAXUINT16)
    return NULL;
  out = g_byte_array_new ();
  *offset = head_size - room;
  box = begin_full (out, "sidx", 1, 0);
  put_32 (out, TRACK);
  put_32 (out, YOLO_MP4_SCALE);
  put_64 (out, (guint64) begin_pts);
  put_64 (out, rest);           /* bytes between this box and the first fragment */
  put_16 (out, 0);
  put_16 (out, n);
  for (guint i = 0; i < n; i++) {
    put_32 (out, entries[i].size);
    put_32 (out, entries[i].duration);
    put_32 (out, entries[i].key ? 0x90000000 : 0);
  }
  end (out, box);
  box = begin (out, "free");
  put_zeros (out, rest - 8);
  end (out, box);
  return g_byte_array_free_to_bytes (out);
}
