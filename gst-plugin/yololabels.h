/* SPDX-License-Identifier: MIT */
/* A label file for each frame, which is there whole or not at all. */

#ifndef YOLO_LABELS_H
#define YOLO_LABELS_H

#include <glib.h>

G_BEGIN_DECLS

typedef struct _YoloLabels YoloLabels;

/**
 * yolo_labels_open:
 * @pattern: as yolo_record_path() takes it, in a folder that is there
 * @owner: whom the error names to others that want to write the same files
 *
 * Claims the pattern's files by a hidden file in the folder, and removes the file
 * that a process that was killed left half written.
 *
 * Returns: (transfer full): or NULL with @error (G_FILE_ERROR)
 */
YoloLabels *yolo_labels_open (const char *pattern, const char *owner, GError **error);

/* Makes, or replaces, the file of the frame with that number. */
gboolean yolo_labels_write (YoloLabels *labels, guint64 number, const char *text, gsize size,
    GError **error);

/* Gives the pattern's files up. NULL does nothing. */
void yolo_labels_close (YoloLabels *labels);

G_END_DECLS

#endif
