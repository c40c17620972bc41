/* SPDX-License-Identifier: MIT */
/* Text out of files, made fit to be shown: in messages, logs and terminals. */

#ifndef YOLO_BASE_TEXT_H
#define YOLO_BASE_TEXT_H

#include <glib.h>

G_BEGIN_DECLS

/* Bytes of a message to show at most: more than the longest that is meant, with two paths in it. */
#define YOLO_TEXT_MAX_MESSAGE 10000

/**
 * yolo_text_printable:
 * @text: bytes that may come from a file: names of nodes, operators, classes
 * @max_bytes: how many of them to show at most
 *
 * Control characters, marks that turn the direction of writing and bytes that
 * are no UTF-8 become \xNN or \u{NNNN}, so that no name can forge a line or
 * command a terminal. What is cut ends with "...". Any thread may call this.
 *
 * Returns: (transfer full): printable UTF-8 on one line
 */
char *yolo_text_printable (const char *text, gsize max_bytes);

/**
 * yolo_text_skip_bom:
 *
 * Returns: the text behind a UTF-8 byte order mark, which editors on Windows
 * put in front of a file; the text itself where there is no mark
 */
const char *yolo_text_skip_bom (const char *text);

G_END_DECLS

#endif
