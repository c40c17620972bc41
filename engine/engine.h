/* SPDX-License-Identifier: MIT */
/* One model on one device for the whole process: forms batches out of the frames of all
 * streams, runs them, hands back detections in order. On CUDA it has a replica, with weights,
 * in each context that its users' frames lie in; the others share one. */

#ifndef YOLO_ENGINE_ENGINE_H
#define YOLO_ENGINE_ENGINE_H

#include "backend/backend.h"
#include "backend/staged.h"
#include "engine/devices.h"
#include "image/frame.h"
#include "postprocess/mask.h"

G_BEGIN_DECLS

/* With an id: the engine of that id, whatever else its first user asked for; model_file may be
 * NULL when it exists. Without: the engine without an id that agrees in file (symbolic links
 * followed, and not written since), head, devices and precision (`auto` resolved, both),
 * calibration file and threads. */
typedef struct {
  const char *model_file;
  const char *id;               /* engine-id, or NULL */
  const char *device;           /* as yolo_devices_parse() reads it; NULL: auto */
  guint cuda_device_id;         /* the GPU of `auto`, and of `cuda` without a number */
  /* CUcontext of that GPU to run in, that of the frames; NULL: the device's primary one. Only a
   * replica on that GPU runs in it; an engine without one there ignores it. Borrowed: it must live
   * until yolo_engine_leave(). */
  gpointer cuda_context;
  YoloHeadChoice head;          /* of a file with two */
  /* `auto` is int8 for a file that is quantised itself. */
  YoloPrecision precision;
  /* The table of int8; NULL: what the file says of itself, or the table beside
   * it (yolo_calibration_path()). */
  const char *calibration_file;
  guint threads;                /* of the CPU; 0 = all */
} YoloEngineConfig;

typedef struct _YoloEngine YoloEngine;
typedef struct _YoloStream YoloStream;

/**
 * yolo_engine_get:
 * @config: what is wanted; copied
 *
 * Loads the model, or gives the engine that another element has loaded it
 * into, and sees to it that the engine has a replica in the context. Blocks
 * while either loads; those that ask for the same meanwhile wait for
 * the same load and share its error. A failed load is forgotten. Thread-safe.
 *
 * Returns: (transfer full): the engine, to be given back by yolo_engine_leave(),
 * or NULL with @error (domain YOLO_NETWORK_ERROR)
 */
YoloEngine *yolo_engine_get (const YoloEngineConfig *config, GError **error);
/**
 * yolo_engine_leave:
 * @cuda_context: as yolo_engine_get() was given it
 *
 * Gives back what yolo_engine_get() gave: a reference, and the use of the replica in that
 * context. The last of its users, of which open streams are some, ends that replica before
 * this returns, so that the context need not live any longer. Thread-safe; not from a callback.
 */
void yolo_engine_leave (YoloEngine *engine, gpointer cuda_context);
YoloEngine *yolo_engine_ref (YoloEngine *engine);
/* The last one ends all replicas and frees all. Open streams hold a reference.
 * In place of yolo_engine_leave() it is enough for who named no context: the
 * replica in the primary context then lives as long as the engine. Not from a callback. */
void yolo_engine_unref (YoloEngine *engine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloEngine, yolo_engine_unref)

/* Whether a device of CUDA can run networks: built so, a driver, a GPU new
 * enough. Makes no context. Thread-safe. */
gboolean yolo_engine_cuda_available (guint cuda_device_id, GError **error);

/* Whether all devices that this setting (YoloEngineConfig.device) may choose take frames in such
 * memory where they lie, available or not; `auto` does where one does. FALSE: also where the
 * setting is wrong. Thread-safe. */
gboolean yolo_device_takes (const char *device, YoloMemory memory);

/* Whether all of the engine's devices take frames in such memory where they lie. */
gboolean yolo_engine_takes (YoloEngine *engine, YoloMemory memory);

const YoloModel *yolo_engine_model (YoloEngine *engine);
YoloPrecision yolo_engine_precision (YoloEngine *engine);       /* what it runs in */
/* What it runs on: "cpu", "cuda", "reference"; where that are several, "cuda:0,cuda:1", or
 * "cuda:0+cuda:1" in pieces. */
const char *yolo_engine_devices (YoloEngine *engine);
/* (transfer full): what is worth knowing of the precision on this device, a
 * sentence for the user, or NULL. Thread-safe. */
char *yolo_engine_remark (YoloEngine *engine);

/**
 * yolo_engine_prepare:
 * @cuda_context: as yolo_engine_get() was given it
 * @net_width: input width in pixels
 * @net_height: input height in pixels
 *
 * Readies the network for a size and the batch size as it is set now, so that
 * the first frame does not wait for it and an error shows here. Not needed:
 * what is missing is prepared when a frame needs it. Blocks; thread-safe; not
 * from a callback.
 *
 * Returns: FALSE with @error when the network cannot run at this size
 */
gboolean yolo_engine_prepare (YoloEngine *engine, gpointer cuda_context, guint net_width,
    guint net_height, GError **error);

/* The batch former's settings, of the whole engine; can be set at any time,
 * the last one set counts; 0 and 0 at first. batch_size 0: a picture of each of the
 * context's open streams, with all of its parts, at most 32. batch_timeout in nanoseconds:
 * how long the oldest frame may wait for others; 0: never, what is there is run. */
void yolo_engine_set_batching (YoloEngine *engine, guint batch_size, guint64 batch_timeout);

/* What all streams of an engine have done since it was loaded. */
typedef struct {
  guint64 frames, batches;      /* that ran without an error */
  guint streams;                /* open */
  guint prepared;               /* networks kept ready, each for one batch and size */
  gsize arena;                  /* bytes of their activations */
} YoloEngineStats;

void yolo_engine_get_stats (YoloEngine *engine, YoloEngineStats *stats);

#define YOLO_ENGINE_BATCH_SIZES 6       /* 1, 2, 4, ... 32 frames */

/* What one of the devices that run a stream's frames has done for all streams since it was
 * loaded. Who has several devices goes on where one of them fails, and tries it again later. */
typedef struct {
  char device[128];             /* "cuda:1"; "cuda" where it is the only one; "cuda:0+cuda:1" */
  gboolean serves;              /* FALSE: it has failed, and the others do its work */
  guint failures;               /* so often; what a device that is alone fails at is not counted */
  char failure[512];            /* the last of them, or what keeps it from serving again; or "" */
  guint64 frames, batches;      /* that ran without an error */
  double utilisation;           /* share of the time in which a batch was under way */
  /* Nanoseconds that a batch of 1, 2, 4, ... frames takes, from when the device begins with it
   * until its last callback; 0: not known. */
  guint64 batch_time[YOLO_ENGINE_BATCH_SIZES];
  /* Of a network in pieces, each piece and what it has done since it was loaded last; else 0. */
  guint n_stages;
  YoloStageStats stages[YOLO_MAX_STAGES];
} YoloReplicaStats;

/* What to do with one frame; copied. */
typedef struct {
  YoloFrame frame;              /* its memory must live until the callback */
  guint net_width, net_height;  /* input size, checked by yolo_model_check_size() */
  float confidence, iou;
  guint max_detections;
  gboolean agnostic;
  gboolean multi_label;         /* whether an anchor is an object of each of its classes */
  const guint8 *classes;        /* [n_classes] 0 or 1, or NULL; must live until the callback */
  /* How many requests of the same picture follow at once: one that is looked at in parts is a
   * request a part, which run together as far as a batch holds them. */
  guint more;
  /* Whether it could not be submitted when it came, since max_pending others were under way: a
   * stream that has to wait is given the share that its weight says. */
  gboolean waited;
} YoloRequest;

typedef struct {
  /* NULL and 0 when error is set. In pixels of the whole frame, sorted by
   * confidence; valid during the callback. */
  const YoloObject *detections;
  guint n_detections;
  const YoloDetails *details;   /* of the detections; NULL when error is set; as valid */
  guint missed;                 /* candidates for which a device had no room; 0 on the CPU */
  /* This frame failed (YOLO_NETWORK_ERROR; G_IO_ERROR_INVALID_ARGUMENT: the
   * request is wrong) or was cancelled (G_IO_ERROR_CANCELLED). */
  const GError *error;
  guint batch;                  /* frames that ran together; 0: it did not run */
  /* Nanoseconds, one after the other, from submit to callback: waiting for the
   * batch, preprocess, network, decode and NMS. The batch's frames share the
   * middle two; the last one includes the callbacks of the batch's earlier
   * frames. A device that preprocesses and decodes itself has both in `network`. */
  guint64 queued, preprocess, network, postprocess;
} YoloResult;

/* Called once for every submitted frame of the stream, in the order of
 * submission and one at a time, from a replica's thread: it must not block, all
 * streams of the engine wait for it. Callbacks of two streams may run at once
 * where an engine has several replicas. It may call yolo_stream_submit() and the setters. A lock
 * that it takes must not be held by who cancels, drains or closes. */
typedef void (*YoloResultFunc) (gpointer user_data, gpointer tag, const YoloResult *result);

/* cuda_context: as yolo_engine_get() was given it. The frames share batches with
 * those of the context's other streams.
 * max_pending: how many pictures this stream will have under way at most; the
 * batch former does not wait for a stream that has reached it, and memory is
 * kept ready for so many, and for their parts once these have come. */
YoloStream *yolo_engine_open_stream (YoloEngine *engine, gpointer cuda_context,
    guint max_pending, YoloResultFunc func, gpointer user_data);
/* Cancels what is under way, waits for its callbacks, closes. Not from a callback. */
void yolo_stream_close (YoloStream *stream);

void yolo_stream_set_max_pending (YoloStream *stream, guint max_pending);
/* Whether more frames are to be expected: an idle stream (EOS, paused,
 * flushing) is not waited for. Streams open idle; a submit makes them active. */
void yolo_stream_set_active (YoloStream *stream, gboolean active);

/**
 * yolo_stream_set_share:
 * @weight: above 0; 1 at first
 * @min_rate: frames a second; 0, as at first: none
 *
 * Says what the stream has of the frames that its devices have time for, where that is less than
 * the context's streams ask for: a share in proportion to its weight, but @min_rate at least, if
 * it has as many and the rates of all are not more than there is time for. A part of a picture is
 * a frame here. For the weight to count, a stream needs a max_pending of 2 or more. Thread-safe.
 */
void yolo_stream_set_share (YoloStream *stream, double weight, double min_rate);

/* Never blocks, never fails: errors come through the callback. After a request that
 * says that more follow, the stream's batch waits for these; nothing may come between. */
void yolo_stream_submit (YoloStream *stream, const YoloRequest *request, gpointer tag);
/* Frames submitted so far and not yet running are called back as cancelled as
 * soon as those that run are done; returns after the last of these callbacks.
 * Not from a callback. */
void yolo_stream_cancel (YoloStream *stream);
/* Runs what has been submitted so far without waiting for the batch to fill;
 * returns after the last of its callbacks. Not from a callback. */
void yolo_stream_drain (YoloStream *stream);
/**
 * yolo_stream_get_replicas:
 * @stats: (out): [YOLO_MAX_DEVICES]
 *
 * Waits for nobody but for the time of a decision.
 *
 * Returns: how many devices run the stream's frames, in the order of YoloEngineConfig.device
 */
guint yolo_stream_get_replicas (YoloStream *stream, YoloReplicaStats *stats);
/* How often one of them has failed or come back; takes no lock. */
guint yolo_stream_changes (YoloStream *stream);
/* Pictures whose last callback has not begun. */
guint yolo_stream_pending (YoloStream *stream);

G_END_DECLS

#endif
