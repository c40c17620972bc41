/* Of this room and its tests. */

#ifndef YOLO_ENGINE_PRIVATE_H
#define YOLO_ENGINE_PRIVATE_H

#include <gio/gio.h>

#include "engine/engine.h"
#include "postprocess/decode.h"
#include "postprocess/letterbox.h"
#include "postprocess/preprocess.h"

G_BEGIN_DECLS

/* Batches are powers of two up to this: five frames run as 4 + 1, or as 8 with
 * idle places where the back end says so. A network is prepared for every batch that occurs, which takes from milliseconds to
 * seconds and its own activations: six batches a size instead of 32. */
#define YOLO_ENGINE_MAX_BATCH 32

/* Networks kept ready, so that streams that keep changing their size do not
 * take ever more memory; the least recently used goes. So many whatever they
 * take (two sizes in all batches), and more, up to the larger number, while
 * all activations together are below so many bytes. */
#define YOLO_ENGINE_KEPT_EXECS 12
#define YOLO_ENGINE_MAX_EXECS 64
#define YOLO_ENGINE_KEPT_ARENA ((gsize) 1 << 30)

/* Batches under way where the back end has its own memory: frames of one are
 * read while the other one runs. The CPU does both itself, one after the other. */
#define YOLO_ENGINE_DEPTH 2

/* Candidates of a frame that come back from a device, 28 bytes each. */
#define YOLO_ENGINE_DEVICE_CANDIDATES 1024

/* What an engine is made of; the tests have their own. */
typedef struct {
  const YoloBackend *cpu, *cuda;
  YoloModel *(*load_model) (const char *path, GError **error);
  void (*unref_model) (YoloModel *model);
  /* The same model in int8, another reference. @calibration_file: or NULL. */
  YoloModel *(*to_int8) (YoloModel *model, const char *calibration_file, YoloInt8Kind kind, GError **error);
} YoloEngineParts;

YoloEngine *yolo_engine_get_from (const YoloEngineParts *parts, const YoloEngineConfig *config,
    GError **error);

/* A submitted frame, until its callback. */
typedef struct _YoloJob YoloJob;
struct _YoloJob {
  YoloJob *next;
  YoloStream *stream;
  YoloRequest request;
  gpointer tag;
  guint64 number;               /* in the stream, from 0 */
  gint64 submitted;             /* monotonic microseconds */
  GError *error;                /* owned; the request is wrong: it never runs */
  gboolean due;                 /* left over by a batch that was ready: waits for nobody */
};

struct _YoloStream {
  YoloEngine *engine;           /* a reference */
  YoloResultFunc func;
  gpointer user_data;
  GList link;                   /* in engine->streams */

  /* Under engine->lock. */
  YoloJob *first, *last;        /* submitted, not taken by the worker */
  YoloJob *unused;
  guint max_pending;
  gboolean active;
  guint pending;                /* callback not begun */
  guint running;                /* of them, taken by the worker */
  guint net_width, net_height;  /* of the frame submitted last; 0: none yet */
  /* Numbers of frames: submitted; called back, and the callback has returned;
   * those before the last two are cancelled, and run without waiting. */
  guint64 submitted, returned, cancelled, drained;
};

/* Frames of one size that a batch could take now. */
typedef struct {
  guint width, height;
  guint count;                  /* up to the batch size */
  gint64 oldest;                /* monotonic microseconds */
  gboolean due;                 /* run what is there */
  gboolean more;                /* a stream may add to it */
} YoloGroup;

/* A call of yolo_engine_prepare(), on its stack. */
typedef struct _YoloPrepare YoloPrepare;
struct _YoloPrepare {
  YoloPrepare *next;
  guint width, height;
  gboolean done;
  GError *error;
};

typedef struct {
  YoloExec *exec;
  gboolean busy;                /* a batch under way has it */
  guint64 used;                 /* engine->tick at its last use */
} YoloSlot;

/* Frames of one size that run together. */
typedef struct {
  guint n;
  guint size;                   /* of the network's batch, n or more */
  YoloJob *jobs[YOLO_ENGINE_MAX_BATCH];
  YoloLetterbox letterbox[YOLO_ENGINE_MAX_BATCH];
  gboolean failed[YOLO_ENGINE_MAX_BATCH];       /* could not be preprocessed */
  YoloSlot *slot;
  GError *error;                /* of the whole batch */
  gint64 started, preprocessed; /* monotonic microseconds */
  /* What a device is given, and gives back. */
  YoloFrame frames[YOLO_ENGINE_MAX_BATCH];
  YoloDecode decode[YOLO_ENGINE_MAX_BATCH];
  YoloDetection *candidates;    /* [YOLO_ENGINE_MAX_BATCH][YOLO_ENGINE_DEVICE_CANDIDATES], or NULL */
} YoloBatch;

typedef enum { YOLO_ENGINE_LOADING, YOLO_ENGINE_READY, YOLO_ENGINE_FAILED } YoloEngineState;

struct _YoloEngine {
  /* What it was asked for: constant. */
  const YoloEngineParts *parts;
  char *id, *path, *model_file, *calibration_file;
  const YoloBackend *backend;
  guint device, threads;
  gpointer cuda_context;
  YoloPrecision precision;      /* with `auto` resolved; constant once READY */
  YoloPrecision if_quantized;   /* what it is instead if the file is quantised itself */

  /* Under the registry's lock. */
  guint refs;
  YoloEngineState state;
  GError *error;                /* why it is FAILED */

  GThread *thread;              /* the worker; all calls to the back end are made there */
  YoloModel *model;             /* constant once READY */

  /* The one lock of all streams: a batch is a decision over all of them. Held
   * for the time of a decision, never while a frame is worked on: once a frame
   * by who submits, three times by the worker. */
  GMutex lock;
  GCond work;                   /* the worker waits for something to do */
  GCond done;                   /* others wait for the worker */
  guint waiting;                /* how many */
  gboolean stop;
  guint batch_size;
  guint64 batch_timeout;        /* nanoseconds */
  GQueue streams;               /* of YoloStream.link, least recently served first */
  GArray *groups;               /* YoloGroup; scratch of yolo_engine_take(), kept */
  YoloPrepare *prepare;
  YoloEngineStats stats;        /* .streams is not kept here */

  /* The worker's own. */
  YoloNet *net;
  YoloSlot slots[YOLO_ENGINE_MAX_EXECS];
  guint64 tick;
  YoloBatch batches[YOLO_ENGINE_DEPTH];
  guint first_batch, n_batches; /* under way, oldest first */
  YoloPreprocess *preprocess;
  YoloSideRounding rounding;    /* of model->box_rounding, if there is one */
  YoloDetection *candidates, *scratch;
  gsize capacity;               /* of both */
  GError *cancelled, *memory;   /* what such frames are given */
};

/* batch.c, under the lock. The batch size that counts now. */
guint yolo_engine_batch_size (YoloEngine *engine);
/* The next frame that is called back without running: cancelled or wrong,
 * submitted by monotonic time @until, and none before it in its stream is
 * running. NULL: none. */
YoloJob *yolo_engine_take_dropped (YoloEngine *engine, gint64 until);
/* Moves the frames of the next batch to @jobs [YOLO_ENGINE_MAX_BATCH] if it is
 * time to run it, and sets @size to the size of the batch that they run in, as
 * many or more. Returns how many; 0: not before monotonic time @until, or
 * something changes. */
guint yolo_engine_take (YoloEngine *engine, YoloJob **jobs, guint *size, gint64 now, gint64 *until);

/* int8.c. Errors say how to make a table. */
YoloModel *yolo_engine_to_int8 (YoloModel *model, const char *calibration_file, YoloInt8Kind kind, GError **error);

/* worker.c. The head's maps of one image, @levels [plan->model->n_levels]. */
void yolo_engine_levels (const YoloExec *exec, guint image, YoloLevel *levels);

/* worker.c. The thread: loads, runs until engine->stop, frees. */
gpointer yolo_engine_worker (gpointer engine);

/* engine.c. Told by the worker: @error NULL is success. */
void yolo_engine_loaded (YoloEngine *engine, GError *error);

G_END_DECLS

#endif
