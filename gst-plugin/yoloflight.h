/* SPDX-License-Identifier: MIT */
/* A buffer in flight through yoloinfer, and its parts: what the engine is asked
 * about it, and what the engine has answered. */

#ifndef YOLO_FLIGHT_H
#define YOLO_FLIGHT_H

#include <gst/video/video.h>

#include "engine/engine.h"

G_BEGIN_DECLS

typedef struct _YoloFlight YoloFlight;

/* What the engine is given at once: a frame, or one of a batch. */
typedef struct {
  YoloFlight *flight;
  guint slot;                   /* as in YoloMetaObject */
  YoloRequest request;
} YoloPart;

/* One thread at a time has it: the streaming thread of the sink pad until it is
 * queued, then the engine until each part is answered, then the task of the
 * source pad. YoloQueue hands it from one to the next. */
struct _YoloFlight {
  /* by yoloqueue.c, with the lock of the queue */
  GList link;                   /* in one of the queue's lists */
  guint pending;                /* parts that the engine has */
  gboolean done;                /* nothing is pending */
  GError *error;                /* owned; of the first part that failed */

  /* by the streaming thread, then constant */
  GstBuffer *buffer;            /* owned, until the task pushes it */
  GstVideoFrame video;          /* mapped until the engine is done with it */
  gboolean mapped;
  GstMapInfo surface;           /* NVMM, mapped likewise */
  gboolean surface_mapped;
  GArray *parts;                /* YoloPart; kept between flights, as long as the longest batch */
  gint origin_x, origin_y;      /* in memory, of the frame that the caps describe */
  gboolean inferred;            /* FALSE: skipped by inference-interval */
  gboolean repeat;              /* skipped: takes the last detections */
  gboolean discont;
  GBytes *classes;              /* owned; what the requests point into */
  GstClockTime since;           /* gst_util_get_timestamp() at its arrival */

  /* by the engine */
  GArray *objects;              /* YoloMetaObject; kept between flights */
};

YoloFlight *yolo_flight_new (void);
void yolo_flight_free (YoloFlight *flight);

/* Unmaps what the engine has read. */
void yolo_flight_unmap (YoloFlight *flight);

/* Makes it as a new one, for another buffer; keeps the arrays' memory. */
void yolo_flight_clear (YoloFlight *flight);

/**
 * yolo_part_add_objects:
 * @result: the engine's answer to the part
 * @labels: [n_classes]
 *
 * Appends what was found to the flight's objects, in pixels of the frame that the
 * caps describe.
 */
void yolo_part_add_objects (const YoloPart *part, const YoloResult *result, const GQuark *labels);

/**
 * yolo_flight_attach:
 * @objects: (element-type YoloMetaObject): what was found, or is repeated
 * @info: of the caps
 * @unique_id: of the element, written as model id
 * @nvmm: whether the buffer is a DeepStream surface, which gets NvDsObjectMeta too
 *
 * Returns: (transfer full): the buffer, with its objects; a copy that shares the
 * pixels where somebody else holds the buffer
 */
GstBuffer *yolo_flight_attach (YoloFlight *flight, const GArray *objects, const GstVideoInfo *info,
    guint unique_id, gboolean nvmm);

G_END_DECLS

#endif
