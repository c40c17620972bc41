/* SPDX-License-Identifier: MIT */
/* What is counted of one camera, from its first pipeline to its last. Streaming threads count,
 * the main thread reads. */

#ifndef YOLO_SERVER_COUNTS_H
#define YOLO_SERVER_COUNTS_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define YOLO_N_BOUNDS 12
/* Upper bounds of a histogram's buckets, in seconds; what takes longer is in one more. */
extern const double yolo_bounds[YOLO_N_BOUNDS];

typedef struct {
  guint64 bucket[YOLO_N_BOUNDS + 1];    /* not cumulative */
  double sum;                   /* seconds */
} YoloHistogram;

typedef enum {
  YOLO_LATENCY_DECODED,         /* from the decoder to the objects, of inferred frames */
  YOLO_LATENCY_OBJECTS,         /* from when a frame was made to its objects */
  YOLO_LATENCY_EVENTS,          /* the same to the events of those frames that have any */
  YOLO_N_LATENCIES,
} YoloLatency;

typedef struct _YoloCounts YoloCounts;

typedef struct {
  guint64 frames;               /* that came out of the decoder */
  guint64 inferred;             /* that the network has seen, or that carry what it saw before */
  guint64 dropped;              /* that were too many */
  guint64 objects;              /* on the inferred ones */
  guint64 bytes;                /* of the pictures that were encoded */
  YoloHistogram latency[YOLO_N_LATENCIES];
  gboolean sent_time;           /* the camera says when it has made the last frame */
  double fps_in, fps_inferred, fps_dropped;     /* over the last seconds */
  double latency_recent;        /* seconds, mean of YOLO_LATENCY_DECODED over the last seconds */
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

/**
 * yolo_counts_inferred:
 * @age: seconds since the frame was made; less than 0: nobody knows, it counts from the decoder on
 * @sent_time: whether the camera has said so
 *
 * A frame has its objects.
 */
void yolo_counts_inferred (
    YoloCounts *counts, GstClockTime pts, guint objects, double age, gboolean sent_time);

/* A frame, the one that was inferred last, has events. */
void yolo_counts_events (YoloCounts *counts, GstClockTime pts, double age);

/**
 * yolo_counts_percentiles:
 * @median: (out): seconds
 * @p95: (out): the same of which 95 of 100 take no longer
 *
 * Of the last 256 that were measured. FALSE: there was none yet.
 */
gboolean yolo_counts_percentiles (
    YoloCounts *counts, YoloLatency which, double *median, double *p95);

/* A pipeline was made (1), or is gone (-1). */
void yolo_counts_pipeline (YoloCounts *counts, gint change);

void yolo_counts_size (YoloCounts *counts, gint width, gint height);
void yolo_counts_encoded (YoloCounts *counts, gsize bytes);

/* Works out frames a second since it was last called; the main thread calls it once a second. */
void yolo_counts_tick (YoloCounts *counts);

YoloCountsNow yolo_counts_read (YoloCounts *counts);

G_END_DECLS

#endif
