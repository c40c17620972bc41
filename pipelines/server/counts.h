/* SPDX-License-Identifier: MIT */
/* What is counted of one camera, from its first pipeline to its last. Streaming threads count,
 * the main thread reads. */

#ifndef YOLO_SERVER_COUNTS_H
#define YOLO_SERVER_COUNTS_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define YOLO_N_LATENCIES 12
/* Upper bounds of the histogram's buckets, in seconds; what takes longer is in one more. */
extern const double yolo_latencies[YOLO_N_LATENCIES];

typedef struct _YoloCounts YoloCounts;

typedef struct {
  guint64 frames;               /* that came out of the decoder */
  guint64 inferred;             /* that the network has seen, or that carry what it saw before */
  guint64 dropped;              /* that were too many */
  guint64 objects;              /* on the inferred ones */
  guint64 bytes;                /* of the pictures that were encoded */
  guint64 latency[YOLO_N_LATENCIES + 1];        /* of inferred frames; not cumulative */
  double latency_sum;           /* seconds */
  double fps_in, fps_inferred, fps_dropped;     /* over the last seconds */
  double latency_recent;        /* seconds, mean over the last seconds */
  gint64 last;                  /* us, monotonic, when the last frame came; 0: none yet */
  gint width, height;           /* of the last frame */
  guint pipelines;              /* that exist, those that are being ended among them */
} YoloCountsNow;

YoloCounts *yolo_counts_new (void);
YoloCounts *yolo_counts_ref (YoloCounts *counts);
void yolo_counts_unref (YoloCounts *counts);

/* A pipeline begins: frames of the one before have left. */
void yolo_counts_begin (YoloCounts *counts);

/* A frame came out of the decoder. */
void yolo_counts_came (YoloCounts *counts, GstClockTime pts);

/* A frame was taken out of the queue in front of the network: those that came before it and were
 * not taken were dropped. */
void yolo_counts_taken (YoloCounts *counts, GstClockTime pts);

/* A frame has its objects. */
void yolo_counts_inferred (YoloCounts *counts, GstClockTime pts, guint objects);

/* A pipeline was made (1), or is gone (-1). */
void yolo_counts_pipeline (YoloCounts *counts, gint change);

void yolo_counts_size (YoloCounts *counts, gint width, gint height);
void yolo_counts_encoded (YoloCounts *counts, gsize bytes);

/* Works out frames a second since it was last called; the main thread calls it once a second. */
void yolo_counts_tick (YoloCounts *counts);

YoloCountsNow yolo_counts_read (YoloCounts *counts);

G_END_DECLS

#endif
