/* SPDX-License-Identifier: MIT */
/* A ZIP archive in memory, as PyTorch writes it: entries that are stored, not compressed. */

#ifndef YOLO_TORCH_ZIP_H
#define YOLO_TORCH_ZIP_H

#include <glib.h>

G_BEGIN_DECLS

typedef struct _YoloZip YoloZip;

/* Whether the bytes begin as those of an archive with at least one entry do. */
gboolean yolo_zip_is (const void *data, gsize size);

/**
 * yolo_zip_open:
 * @data: the whole archive; it must stay as long as what is returned
 * @size: bytes
 *
 * Reads the central directory (PKWARE's APPNOTE.TXT 6.3.10, 4.3; Zip64 as 4.5.3
 * has it). The sizes in front of the entries are not looked at: PyTorch leaves
 * them 0. Entries that overlap are an error, so that no archive can stand for
 * more than its own size. Any thread may call this; an archive belongs to one thread at
 * a time.
 *
 * Returns: (transfer full): the archive, or NULL with @error (FORMAT)
 */
YoloZip *yolo_zip_open (const void *data, gsize size, GError **error);
void yolo_zip_free (YoloZip *zip);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloZip, yolo_zip_free)

guint yolo_zip_size (const YoloZip *zip);
/* The name of entry 0 to size - 1, in the order of the central directory. */
const char *yolo_zip_name (const YoloZip *zip, guint entry);
/* Whether there is an entry of exactly this name. */
gboolean yolo_zip_has (const YoloZip *zip, const char *name);

/**
 * yolo_zip_get:
 * @name: of an entry
 * @size: (out): its bytes
 *
 * Returns: (transfer none): the entry's contents, which lie in the archive's own
 * bytes. NULL with @error: UNSUPPORTED where the entry is compressed or
 * encrypted, FORMAT where there is no such entry, or where its bytes are not those
 * that its CRC-32 was computed of (an archive may leave that 0: then nothing is
 * compared). The CRC is computed when an entry is asked for first
 */
const guint8 *yolo_zip_get (YoloZip *zip, const char *name, gsize *size, GError **error);

G_END_DECLS

#endif
