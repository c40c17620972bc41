/* SPDX-License-Identifier: MIT */
/* Who may ask, and how often. */

#ifndef YOLO_SERVER_GUARD_H
#define YOLO_SERVER_GUARD_H

#include "pipelines/server/values.h"

G_BEGIN_DECLS

typedef struct _YoloGuard YoloGuard;

/* @server: the server's settings; copied */
YoloGuard *yolo_guard_new (const YoloValues *server);
void yolo_guard_free (YoloGuard *guard);

/* Whether anything is asked of those who come. */
gboolean yolo_guard_is_closed (const YoloGuard *guard);

/* Whether @address, without a port, may ask once more now. */
gboolean yolo_guard_is_slow_enough (YoloGuard *guard, const char *address);

typedef enum {
  YOLO_GUARD_KNOWN,
  YOLO_GUARD_UNKNOWN,           /* nothing was said of who asks, or it was wrong */
  YOLO_GUARD_TIRED,             /* too many have been wrong lately */
} YoloGuardAnswer;

/**
 * yolo_guard_check:
 * @authorization: (nullable): the header: "Bearer TOKEN", or "Basic ..." with the user and the
 * password, or with any user and the token as the password, which is what a browser can ask for
 */
YoloGuardAnswer yolo_guard_check (YoloGuard *guard, const char *authorization);

/* Whether browsers may call the server by this name (`Host`, with or without a port): a page of
 * somebody else's, whose name is made to lead here, may not. */
gboolean yolo_guard_is_host (const YoloGuard *guard, const char *host);

/* Whether a page of @origin may change anything on the server that it calls @host. */
gboolean yolo_guard_is_origin (const char *origin, const char *host);

G_END_DECLS

#endif
