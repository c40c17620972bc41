/* SPDX-License-Identifier: MIT */
/* A file has one writer: who writes where, in this process and in others. */

#ifndef YOLO_CLAIM_H
#define YOLO_CLAIM_H

#include <glib.h>

G_BEGIN_DECLS

typedef struct _YoloClaim YoloClaim;

/**
 * yolo_claim_new:
 * @fd: an open file or FIFO, by whatever name; the caller's until the claim is freed
 * @owner: what to call the claim's holder when it is refused to another
 *
 * Other processes are told by flock(2), where the file system has it. From any thread.
 *
 * Returns: (transfer full): or NULL with @error (G_FILE_ERROR), which names the
 * holder but not the file
 */
YoloClaim *yolo_claim_new (int fd, const char *owner, GError **error);

/* Before the file is closed. NULL is nothing. */
void yolo_claim_free (YoloClaim *claim);

G_END_DECLS

#endif
