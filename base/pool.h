/* SPDX-License-Identifier: MIT */
/* Threads that share out the work of a network.
 *
 * Why not OpenMP: its parallel regions end when every thread has come to the
 * end, one that the system has not run yet as well, and a network has a
 * hundred regions a frame. Beside a decoder on the same cores that costs a
 * time slice each. Here the caller works too and waits only for what another
 * thread has begun. */

#ifndef YOLO_BASE_POOL_H
#define YOLO_BASE_POOL_H

#include <glib.h>

G_BEGIN_DECLS

typedef struct _YoloPool YoloPool;

/* @thread: 0 to threads - 1, of which no two run at a time: for scratch memory */
typedef void (*YoloPoolFunc) (gpointer data, guint index, guint thread);

/* @threads: with the caller's; 0: one for each processor. */
YoloPool *yolo_pool_new (guint threads);
void yolo_pool_free (YoloPool *pool);
guint yolo_pool_threads (const YoloPool *pool);

/* Calls @func for 0 to n - 1, on any thread and in any order, and returns when
 * all are done. Allocates nothing. By one thread at a time; not from @func.
 * @pool: NULL: the calling thread does all of it */
void yolo_pool_run (YoloPool *pool, guint n, YoloPoolFunc func, gpointer data);

G_END_DECLS

#endif
