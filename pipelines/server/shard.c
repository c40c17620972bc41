/* SPDX-License-Identifier: MIT */
#include "pipelines/server/shard.h"

#include <string.h>

#include "base/text.h"
#include "pipelines/server/values.h"

#define MAX_SHOWN 80            /* bytes of a text that an error shows */

static gboolean
fail (GError **error, const char *what, const char *text, const char *remedy)
{
  g_autofree char *shown = yolo_text_printable (text, MAX_SHOWN);

  g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG, "%s '%s' %s", what, shown,
      remedy);
  return FALSE;
}

/* The number at the end of a name, behind a '-'. */
static gboolean
read_ordinal (const char *name, guint64 *index)
{
  const char *dash = strrchr (name, '-');

  return dash != NULL
      && g_ascii_string_to_unsigned (dash + 1, 10, 0, YOLO_MAX_SHARDS - 1, index, NULL);
}

gboolean
yolo_shard_parse (const char *text, const char *host_name, YoloShard *shard, GError **error)
{
  const char *slash = strchr (text, '/');
  g_autofree char *first = g_strndup (text, slash != NULL ? (gsize) (slash - text) : 0);
  guint64 index, count;

  if (slash == NULL
      || !g_ascii_string_to_unsigned (slash + 1, 10, 1, YOLO_MAX_SHARDS, &count, NULL))
    return fail (error, "the shard", text,
        "is not I/N; give its number, from 0, and how many there are: 0/4, or auto/4");
  if (strcmp (first, "auto") == 0) {
    if (!read_ordinal (host_name, &index))
      return fail (error, "the host's name", host_name,
          "has no number at its end, as wall-0 has; give the shard's number in place of auto");
  } else if (!g_ascii_string_to_unsigned (first, 10, 0, YOLO_MAX_SHARDS - 1, &index, NULL)) {
    return fail (error, "the shard", text,
        "is not I/N; give its number, from 0, and how many there are: 0/4, or auto/4");
  }
  if (index >= count) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
        "there is no shard %u of %u, for they are counted from 0; give more shards, or start fewer "
        "servers", (guint) index, (guint) count);
    return FALSE;
  }
  *shard = (YoloShard) { index, count };
  return TRUE;
}

/* Jump hash: of the cameras of N shards those that move when there are N + 1 are about one in
 * N + 1, and all go to the new one. Source: Lamping and Veach, "A Fast, Minimal Memory, Consistent
 * Hash Algorithm", 2014 (https://arxiv.org/abs/1406.2294). A camera's key is the first 8 bytes of
 * SHA-256 of its name, the highest first. */
guint
yolo_shard_of (const char *name, guint count)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 digest[32];
  gsize size = sizeof digest;
  guint64 key = 0;
  gint64 at = -1, next = 0;

  g_checksum_update (sum, (const guchar *) name, -1);
  g_checksum_get_digest (sum, digest, &size);
  for (guint i = 0; i < sizeof key; i++)
    key = key << 8 | digest[i];
  while (next < count) {
    at = next;
    key = key * G_GUINT64_CONSTANT (2862933555777941757) + 1;
    next = (at + 1) * ((double) (G_GINT64_CONSTANT (1) << 31) / (double) ((key >> 33) + 1));
  }
  return at;
}

gboolean
yolo_shard_has (const YoloShard *shard, const char *name)
{
  return shard->count == 0 || yolo_shard_of (name, shard->count) == shard->index;
}
