/* One model on one device for the whole process: forms batches out of the
 * frames of all streams, runs them, hands back detections in order. */

#ifndef YOLO_ENGINE_ENGINE_H
#define YOLO_ENGINE_ENGINE_H

#include "network/backend.h"
#include "postprocess/frame.h"
#include "postprocess/detection.h"

G_BEGIN_DECLS

typedef enum { YOLO_DEVICE_AUTO, YOLO_DEVICE_CPU, YOLO_DEVICE_CUDA } YoloDevice;

/* Elements whose configs agree in all fields share an engine; those that give
 * the same non-NULL id share it too, and the first one's config counts. */
typedef struct {
  const char *model_file;
  const char *id;               /* engine-id, or NULL */
  YoloDevice device;            /* auto: CUDA where it is available, else the CPU */
  guint cuda_device_id;
  YoloPrecision precision;
  guint threads;                /* of the CPU; 0 = all */
} YoloEngineConfig;

typedef struct _YoloEngine YoloEngine;
typedef struct _YoloStream YoloStream;

/**
 * yolo_engine_get:
 *
 * Loads the model, or gives the engine that another element has loaded it
 * into. Blocks while the model loads. Thread-safe.
 *
 * Returns: (transfer full): the engine, or NULL with @error
 */
YoloEngine *yolo_engine_get (const YoloEngineConfig *config, GError **error);
YoloEngine *yolo_engine_ref (YoloEngine *engine);
/* The last one stops the thread and frees all. Not from a callback. */
void yolo_engine_unref (YoloEngine *engine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloEngine, yolo_engine_unref)

const YoloModel *yolo_engine_model (YoloEngine *engine);
YoloPrecision yolo_engine_precision (YoloEngine *engine);       /* what it runs in */
const char *yolo_engine_backend (YoloEngine *engine);   /* "cpu", "cuda" */

/* The batch former's settings, of the whole engine; can be set at any time,
 * the last one set counts. batch_size 0: the number of open streams, at most
 * 32. batch_timeout in nanoseconds: how long the oldest frame may wait for
 * others; 0: never, what is there is run. */
void yolo_engine_set_batching (YoloEngine *engine, guint batch_size, guint64 batch_timeout);

/* What to do with one frame; copied. */
typedef struct {
  YoloFrame frame;              /* its memory must live until the callback */
  guint net_width, net_height;  /* input size, checked by yolo_model_check_size() */
  float confidence, iou;
  guint max_detections;
  gboolean agnostic;
  const guint8 *classes;        /* [n_classes] 0 or 1, or NULL; must live until the callback */
} YoloRequest;

typedef struct {
  /* NULL and 0 when error is set. In pixels of the whole frame, sorted by
   * confidence; valid during the callback. */
  const YoloDetection *detections;
  guint n_detections;
  const GError *error;          /* this frame failed or was cancelled (G_IO_ERROR_CANCELLED) */
  guint batch;                  /* frames that ran together */
  /* nanoseconds: waiting for the batch, preprocess, network, decode and NMS */
  guint64 queued, preprocess, network, postprocess;
} YoloResult;

/* Called once for every submitted frame of the stream, in the order of
 * submission, from the engine's thread: it must not block. */
typedef void (*YoloResultFunc) (gpointer user_data, gpointer tag, const YoloResult *result);

/* max_pending: how many frames this stream will have under way at most; the
 * batch former does not wait for a stream that has reached it. */
YoloStream *yolo_engine_open_stream (YoloEngine *engine, guint max_pending,
    YoloResultFunc func, gpointer user_data);
/* Cancels what is under way, waits for its callbacks, closes. */
void yolo_stream_close (YoloStream *stream);

void yolo_stream_set_max_pending (YoloStream *stream, guint max_pending);
/* Whether more frames are to be expected: an idle stream (EOS, paused,
 * flushing) is not waited for. Streams open idle; a submit makes them active. */
void yolo_stream_set_active (YoloStream *stream, gboolean active);

/* Never blocks, never fails: errors come through the callback. */
void yolo_stream_submit (YoloStream *stream, const YoloRequest *request, gpointer tag);
/* Frames not yet running are called back as cancelled at once; returns when
 * none is under way any more. */
void yolo_stream_cancel (YoloStream *stream);
/* Runs what is queued without waiting for the batch to fill; returns when
 * none is under way any more. */
void yolo_stream_drain (YoloStream *stream);
guint yolo_stream_pending (YoloStream *stream);

G_END_DECLS

#endif
