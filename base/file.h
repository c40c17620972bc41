/* SPDX-License-Identifier: MIT */
/* Files that the process did not make itself, read whole into memory. */

#ifndef YOLO_BASE_FILE_H
#define YOLO_BASE_FILE_H

#include <glib.h>

G_BEGIN_DECLS

/**
 * yolo_file_read:
 * @path: a file that somebody else may have made, and may be changing
 * @max: how many bytes it may have at most
 * @size: (out): how many bytes it has
 *
 * Reads a regular file into memory. It is not mapped, since a mapped file that
 * is cut short takes the whole process with it. A pipe or a device neither
 * blocks nor fills the memory: it is refused, as is what changes meanwhile.
 * Any thread may call this.
 *
 * Returns: (transfer full): the bytes and a 0 behind them, for g_free(), or
 * NULL with @error: of G_FILE_ERROR, a text without the file's name that goes
 * behind "NAME: ". Its code is ISDIR for a folder, NODEV for what else is no
 * regular file, NOSPC for more bytes than @max, AGAIN for a file that changed,
 * NOMEM, or what g_file_error_from_errno() gives
 */
char *yolo_file_read (const char *path, gsize max, gsize *size, GError **error);

/**
 * yolo_file_read_below:
 * @folder: a folder
 * @name: a file in it or in a folder below it, as another file names it
 *
 * The same for a name that is not trusted: absolute ones, those with ".." and
 * symbolic links on the way from the folder are refused, with the code PERM or
 * LOOP.
 */
char *yolo_file_read_below (
    const char *folder, const char *name, gsize max, gsize *size, GError **error);

G_END_DECLS

#endif
