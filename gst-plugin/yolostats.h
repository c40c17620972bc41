/* SPDX-License-Identifier: MIT */
/* What yoloinfer counts and measures of its stream, for the property `stats`. */

#ifndef YOLO_STATS_H
#define YOLO_STATS_H

#include <gst/gst.h>

#include "engine/engine.h"

G_BEGIN_DECLS

/* All functions can be called from any thread. Each takes a lock of its own for
 * as long as a few numbers are copied, and calls nobody meanwhile, so that the
 * caller may hold other locks. */
typedef struct _YoloStats YoloStats;

/* What became of a frame. */
typedef enum {
  YOLO_STATS_FRAMES,            /* it was handed on */
  YOLO_STATS_SKIPPED,           /* it was queued without a run of the network */
  YOLO_STATS_GATED,             /* the same, since nothing had moved */
  YOLO_STATS_DROPPED,
  YOLO_STATS_N_COUNTERS
} YoloStatsCounter;

YoloStats *yolo_stats_new (void);
void yolo_stats_free (YoloStats *stats);

/* Begins anew, as the stream does. */
void yolo_stats_reset (YoloStats *stats);

void yolo_stats_count (YoloStats *stats, YoloStatsCounter counter, guint n);
guint64 yolo_stats_get (YoloStats *stats, YoloStatsCounter counter);

/* The size that the network saw last, in pixels. */
void yolo_stats_set_size (YoloStats *stats, guint net_width, guint net_height);

/**
 * yolo_stats_add_result:
 * @result: the engine's answer to a frame or a part of one, without an error
 * @since: gst_util_get_timestamp() when its buffer arrived
 * @last: whether this is the last part of its frame, which counts as inferred
 */
void yolo_stats_add_result (
    YoloStats *stats, const YoloResult *result, GstClockTime since, gboolean last);

/**
 * yolo_stats_structure:
 *
 * Returns: (transfer full): `yoloinfer-stats`: frames, inferred, skipped, gated,
 * dropped, batches (guint64), mean-batch (double), input-size ("WxH"), and of the stages
 * queued, preprocess, network, postprocess and total, in nanoseconds, -p50, -p95
 * and -p99 of the last 1024 results
 */
GstStructure *yolo_stats_structure (YoloStats *stats);

G_END_DECLS

#endif
