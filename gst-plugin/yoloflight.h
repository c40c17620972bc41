/* SPDX-License-Identifier: MIT */
/* A buffer in flight through yoloinfer, and its parts: what the engine is asked
 * about it, and what the engine has answered. */

#ifndef YOLO_FLIGHT_H
#define YOLO_FLIGHT_H

#include <gst/video/video.h>

#include "engine/engine.h"
#include "gst-plugin/yoloregions.h"
#include "postprocess/merge.h"

G_BEGIN_DECLS

typedef struct _YoloFlight YoloFlight;

/* Borders of a part behind which the frame goes on. */
typedef enum {
  YOLO_SEAM_LEFT = 1, YOLO_SEAM_TOP = 2, YOLO_SEAM_RIGHT = 4, YOLO_SEAM_BOTTOM = 8,
} YoloSeams;

/* One request to the engine: the frame that a buffer is, one frame of a batch, or a part of such
 * a frame. */
typedef struct {
  YoloFlight *flight;
  guint slot;                   /* as in YoloMetaObject */
  YoloRequest request;
  const YoloArea *area;         /* of flight->areas; what lies outside is dropped; or NULL */
  YoloSeams seams;
  gboolean last;                /* of its frame */
  guint object;                 /* number in flight->given, where the part is one of them */
  guint parent;                 /* `region` of that object; 0: the part is none of them */
  guint first, n;               /* its objects in flight->objects; set by the engine's thread */
} YoloPart;

/* One thread at a time has it: the streaming thread of the sink pad until it is
 * queued, then the engine until each part is answered, then the task of the
 * source pad. YoloQueue hands it from one to the next. */
struct _YoloFlight {
  /* written by yoloqueue.c, which holds the lock of the queue */
  GList link;                   /* in one of the queue's lists */
  guint pending;                /* parts that the engine has */
  gboolean done;                /* nothing is pending */
  GError *error;                /* owned; why the first part failed; NULL: none did */

  /* written by the streaming thread, then constant */
  GstBuffer *buffer;            /* owned, until the task pushes it */
  GstVideoFrame video;          /* mapped until the engine is done with it */
  gboolean mapped;
  GstMapInfo surface;           /* a DeepStream surface, mapped for as long */
  gboolean surface_mapped;
  GArray *parts;                /* YoloPart; kept between flights, as long as the longest batch */
  gint origin_x, origin_y;      /* pixels; where the caps' frame begins in memory */
  /* YoloMetaObject; what is on the buffer, if the network looks at that; kept between flights */
  GArray *given;
  guint64 number;               /* of the frame, if the network looks at objects */
  gboolean classifies;          /* and says what these are */
  gboolean inferred;            /* FALSE: skipped by inference-interval, or gated */
  gboolean gated;               /* nothing has moved, so that it is not inferred */
  gboolean repeat;              /* not inferred: takes the last detections */
  gboolean followed;            /* a tracker is downstream, which gets a note: yolofollow.h */
  gfloat visible;               /* objects of less confidence are for that tracker alone */
  gboolean discont;             /* the buffer before it was dropped */
  gboolean waited;              /* until there was room; written by yoloqueue.c */
  GBytes *classes;              /* owned; what the requests point into */
  GArray *areas;                /* a reference; YoloArea; what the parts point into, or NULL */
  GstClockTime since;           /* gst_util_get_timestamp() when the buffer arrived */

  /* written by the engine's thread */
  GArray *objects;              /* YoloMetaObject; kept between flights */

  /* written by the task of the source pad */
  GArray *faint;                /* owned; YoloMetaObject: for the tracker alone; NULL: none */
};

/* What merging needs, kept between flights: allocated for the first frame in parts, and grown. */
typedef struct {
  GArray *merged;               /* YoloMetaObject */
  GArray *candidates, *scratch; /* YoloObject */
  GArray *seen;                 /* YoloSighting */
} YoloMerger;

YoloFlight *yolo_flight_new (void);
void yolo_flight_free (YoloFlight *flight);

/* Unmaps the buffer, which the engine has read. */
void yolo_flight_unmap (YoloFlight *flight);

/* Makes the flight as it was when new, for another buffer; keeps the arrays' memory. */
void yolo_flight_clear (YoloFlight *flight);

/**
 * yolo_part_add_objects:
 * @result: the engine's answer to the part
 * @labels: [n_classes]
 * @info: what the caps say
 *
 * Appends what was found in the part's area to the flight's objects, in pixels of the frame that
 * the caps describe.
 */
void yolo_part_add_objects (YoloPart *part, const YoloResult *result, const GQuark *labels,
    const GstVideoInfo *info);

/**
 * yolo_flight_merge:
 * @info: what the caps say
 *
 * Makes one object of what several parts of a frame have found of it; leaves classes of whole
 * parts as they are. A flight whose frames are one part each stays as it is. Called by the task
 * of the source pad, before yolo_flight_attach().
 */
void yolo_flight_merge (YoloFlight *flight, const GstVideoInfo *info, YoloMerger *merger);
void yolo_merger_clear (YoloMerger *merger);

/**
 * yolo_flight_attach:
 * @objects: (element-type YoloMetaObject): what was found, or is repeated
 * @info: what the caps say
 * @unique_id: the element's property, written as model id
 * @nvmm: whether the buffer is a DeepStream surface, which gets NvDsObjectMeta too
 *
 * Returns: (transfer full): the buffer, with its objects; a copy that shares the
 * pixels where somebody else holds the buffer
 */
GstBuffer *yolo_flight_attach (YoloFlight *flight, const GArray *objects, const GstVideoInfo *info,
    guint unique_id, gboolean nvmm);

G_END_DECLS

#endif
