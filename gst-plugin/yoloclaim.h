/* SPDX-License-Identifier: MIT */
/* Claims on files, so that each file has one writer in this and all other processes. */

#ifndef YOLO_CLAIM_H
#define YOLO_CLAIM_H

#include <glib.h>

G_BEGIN_DECLS

typedef struct _YoloClaim YoloClaim;

/**
 * yolo_claim_new:
 * @fd: an open file or FIFO, opened by whatever name; the caller keeps it open until
 * the claim is freed
 * @owner: the name of the claim's holder, for the error of whoever is refused later
 *
 * Other processes are told by flock(2), where the file system has it. Called by any
 * thread.
 *
 * Returns: (transfer full): or NULL with @error (G_FILE_ERROR), which names the
 * holder of the claim that is there but not the file
 */
YoloClaim *yolo_claim_new (int fd, const char *owner, GError **error);

/* Gives the file up; called before it is closed. NULL does nothing. */
void yolo_claim_free (YoloClaim *claim);

G_END_DECLS

#endif
