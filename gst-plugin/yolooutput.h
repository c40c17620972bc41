/* SPDX-License-Identifier: MIT */
/* A file, FIFO, device or stdout that records are appended to. */

#ifndef YOLO_OUTPUT_H
#define YOLO_OUTPUT_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* What is written before, between and behind the records; JSON lines have "" three
 * times. */
typedef struct {
  const char *header, *separator, *trailer;
} YoloFraming;

typedef struct _YoloOutput YoloOutput;

/**
 * yolo_output_open:
 * @location: (nullable): file to begin anew, NULL or "-" for stdout
 * @owner: whom the error names to others that want to write the same file or FIFO
 * @framing: must outlive the output
 * @timeout: how long a write waits for a pipe's reader that takes nothing
 *
 * Fails where somebody else writes the file, and leaves it as it is.
 *
 * Returns: (transfer full): or NULL with @error (G_FILE_ERROR)
 */
YoloOutput *yolo_output_open (const char *location, const char *owner, const YoloFraming *framing,
    GstClockTime timeout, GError **error);

/* What messages call the output; owned by it. */
const char *yolo_output_name (YoloOutput *output);

/**
 * yolo_output_write:
 *
 * Appends a record, of which nothing stays in a buffer of the process. A file that
 * is written by name is whole after each record, trailer included, and after a
 * failure holds the records before. A file that was removed meanwhile is an
 * error. Waits for a pipe's reader, as long as the timeout says; a pipe without
 * a reader is an error and not a signal. Called by the streaming thread.
 *
 * Returns: FALSE with @error (G_FILE_ERROR; G_FILE_ERROR_INTR: flushing)
 */
gboolean yolo_output_write (YoloOutput *output, const char *record, gsize size, GError **error);

/* Writes the trailer, where it is not written yet. Records that follow are appended
 * before the trailer of a file; anywhere else they begin with a new header. */
gboolean yolo_output_finish (YoloOutput *output, GError **error);

/* Called by any thread. TRUE: a write that waits for a pipe's reader returns, and no
 * write waits until this is set to FALSE again. */
void yolo_output_set_flushing (YoloOutput *output, gboolean flushing);

/* Ends the output as yolo_output_finish() does, and frees it even if that fails. */
gboolean yolo_output_close (YoloOutput *output, GError **error);

G_END_DECLS

#endif
