/* SPDX-License-Identifier: MIT */
/* Of this room and its tests. */

#ifndef YOLO_ENGINE_PRIVATE_H
#define YOLO_ENGINE_PRIVATE_H

#include <gio/gio.h>

#include "engine/calibrate.h"
#include "engine/engine.h"
#include "image/letterbox.h"
#include "image/preprocess.h"
#include "postprocess/task.h"

G_BEGIN_DECLS

/* Batches are powers of two up to this: five frames run as 4 + 1, or as 8 with
 * idle places where the back end says so. A network is prepared for every batch that occurs, which
 * takes from milliseconds to seconds and its own activations: six batches a size instead of 32. */
#define YOLO_ENGINE_MAX_BATCH 32

/* Networks kept ready, so that streams that keep changing their size do not
 * take ever more memory; the least recently used goes. So many whatever they
 * take (two sizes in all batches), and more, up to the larger number, while
 * all activations together are below so many bytes. */
#define YOLO_ENGINE_KEPT_EXECS 12
#define YOLO_ENGINE_MAX_EXECS 64
#define YOLO_ENGINE_KEPT_ARENA ((gsize) 1 << 30)

/* Devices, or contexts of one, that run a model at the same time. */
#define YOLO_ENGINE_MAX_REPLICAS 16

/* Batches under way where the back end has its own memory: frames of one are
 * read while the other one runs. The CPU does both itself, one after the other. */
#define YOLO_ENGINE_DEPTH 2

/* Candidates of a frame that come back from a device, 28 bytes each. */
#define YOLO_ENGINE_DEVICE_CANDIDATES 1024

/* What an engine is made of; the tests have their own. */
typedef struct {
  guint n_replicas;             /* of an engine, on devices that count up from the one asked for */
  const YoloBackend *cpu, *cuda, *reference;
  YoloModel *(*load_model) (const char *path, GError **error);
  void (*unref_model) (YoloModel *model);
  /* The same model in int8, another reference. @calibration_file: or NULL. */
  YoloModel *(*to_int8) (
      YoloModel *model, const char *calibration_file, YoloInt8Kind kind, GError **error);
} YoloEngineParts;

/* parts.c. Those of this build. */
extern const YoloEngineParts yolo_engine_parts;

YoloEngine *yolo_engine_get_from (const YoloEngineParts *parts, const YoloEngineConfig *config,
    GError **error);

typedef struct _YoloReplica YoloReplica;
typedef struct _YoloReplicaSet YoloReplicaSet;

/* A submitted frame, until its callback. */
typedef struct _YoloJob YoloJob;
struct _YoloJob {
  YoloJob *next;                /* in its stream's list of waiting, finished or unused ones */
  YoloStream *stream;
  YoloRequest request;
  gpointer tag;
  guint64 number;               /* in the stream, from 0 */
  gint64 submitted;             /* monotonic microseconds */
  GError *error;                /* owned; the request is wrong: it never runs */
  gboolean due;                 /* left over by a batch that was ready: waits for nobody */
  /* Of a frame that was finished before its turn, by a replica that overtook
   * another one: a copy of what its callback will be given. The room is kept
   * for the next such frame. */
  YoloResult result;
  GError *result_error;         /* owned */
  YoloObject *kept;          /* [kept_room] */
  guint kept_room;
};

struct _YoloStream {
  YoloReplicaSet *set;          /* one of its users */
  YoloEngine *engine;           /* the set's; a reference */
  YoloResultFunc func;
  gpointer user_data;
  GList link;                   /* in set->streams */

  /* Under engine->lock. Callbacks are called one after the other, in the order
   * of submission, whichever replicas' threads call them. */
  YoloJob *first, *last;        /* submitted, not taken by a replica */
  YoloJob *finished;            /* before their turn, by number */
  YoloJob *unused;
  guint max_pending;
  gboolean active;
  gboolean calling;             /* a replica's thread calls back: no other one does */
  guint pending;                /* callback not begun */
  guint net_width, net_height;  /* of the frame submitted last; 0: none yet */
  /* Numbers of frames: submitted; called back, and the callback has returned,
   * so that it is the turn of frame number `returned`; frames below `cancelled`
   * do not run, frames below `drained` run without waiting for others. */
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

/* What yolo_engine_prepare() asks of one replica, on the caller's stack. */
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
  guint64 used;                 /* the replica's tick at its last use */
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
  /* [YOLO_ENGINE_MAX_BATCH][YOLO_ENGINE_DEVICE_CANDIDATES], or NULL */
  YoloObject *candidates;
} YoloBatch;

/* Where a replica runs: constant. */
typedef struct {
  const YoloBackend *backend;
  guint device;
  gpointer cuda_context;        /* or NULL */
} YoloPlace;

/* The model on one device: a thread that takes batches as long as it has
 * nothing else to do, and makes all calls to the back end. */
struct _YoloReplica {
  YoloReplicaSet *set;          /* whose part it is */
  YoloEngine *engine;           /* the set's */
  YoloPlace place;
  GThread *thread;

  /* Under engine->lock. */
  YoloPrepare *prepare;         /* what it is asked to ready */

  /* The thread's own. */
  YoloNet *net;                 /* constant once the set has loaded */
  YoloSlot slots[YOLO_ENGINE_MAX_EXECS];
  guint n_execs;                /* slots with a network */
  gsize arena;                  /* bytes of their activations */
  guint64 tick;
  YoloBatch batches[YOLO_ENGINE_DEPTH];
  guint first_batch, n_batches; /* under way, oldest first */
  YoloPreprocess *preprocess;
  YoloSideRounding rounding;    /* of model->box_rounding, if there is one */
  YoloObject *candidates, *scratch;
  gsize capacity;               /* of both */
  GError *cancelled, *memory;   /* what such frames are given */
};

/* The replicas that run the frames of one CUDA context, each on a device of its own. A
 * batch is formed out of the streams of one set. */
struct _YoloReplicaSet {
  /* Constant. */
  YoloEngine *engine;
  gpointer cuda_context;        /* NULL: the device's primary one, or no CUDA */
  YoloReplica *replicas;        /* [engine->n_replicas] */

  /* Under the registry's lock. */
  guint users;                  /* open streams, and who got the engine for this context */
  guint loading;                /* replicas that have not said yet how their load ended */
  GError *error;                /* of the first replica that could not load, or NULL */

  /* Under engine->lock. */
  gboolean stop;
  guint idle;                   /* replicas that wait for engine->work */
  GQueue streams;               /* of YoloStream.link, least recently served first */
  GArray *groups;               /* YoloGroup; scratch of yolo_engine_take(), kept */
};

struct _YoloEngine {
  /* What it was asked for: constant. */
  const YoloEngineParts *parts;
  char *id, *path, *model_file, *calibration_file;
  const YoloBackend *backend;
  guint device;
  guint threads;
  guint n_replicas;             /* of each set, on devices that count up from `device` */
  YoloPrecision precision;      /* with `auto` resolved; constant once the model is there */
  YoloPrecision if_quantized;   /* what it is instead if the file is quantised itself */

  /* Under the registry's lock. */
  guint refs;
  GError *error;                /* why the model could not be loaded, or NULL */
  GList *sets;                  /* of YoloReplicaSet: those that load or have loaded; owned */
  /* NULL until it is loaded, then constant, as `task` is: who got the engine reads them
   * without a lock. */
  YoloModel *model;
  const YoloTask *task;         /* of the model */

  /* The one lock of all streams: a batch is a decision over all of them. Held
   * for the time of a decision, never while a frame is worked on: once a frame
   * by who submits, three times by a replica. */
  GMutex lock;
  GCond work;                   /* replicas wait for something to do */
  GCond done;                   /* others wait for a replica */
  guint waiting;                /* how many */
  guint batch_size;
  guint64 batch_timeout;        /* nanoseconds */
  YoloEngineStats stats;        /* of all sets */
};

/* batch.c, under the lock. The batch size that counts now. */
guint yolo_engine_batch_size (YoloReplicaSet *set);
/* The next frame that is called back without running: cancelled or wrong,
 * submitted by monotonic time @until. NULL: none. */
YoloJob *yolo_engine_take_dropped (YoloReplicaSet *set, gint64 until);
/* Moves the frames of the next batch to @jobs [YOLO_ENGINE_MAX_BATCH] if it is
 * time to run it, and sets @size to the size of the batch that they run in, as
 * many or more. Returns how many; 0: not before monotonic time @until, or
 * something changes. @replica: the idle one that will run it; NULL: one whose
 * batches are full. */
guint yolo_engine_take (YoloReplicaSet *set, const YoloReplica *replica, YoloJob **jobs,
    guint *size, gint64 now, gint64 *until);

/* int8.c. Errors say how to make a table. */
YoloModel *yolo_engine_to_int8 (
    YoloModel *model, const char *calibration_file, YoloInt8Kind kind, GError **error);

/* calibrate.c. yolo_calibrator_new() on a back end with host_memory. */
YoloCalibrator *yolo_calibrator_new_on (
    const YoloBackend *backend, const YoloCalibratorConfig *config, GError **error);

/* replica.c. The function of a replica's thread: loads, runs until set->stop, frees. */
gpointer yolo_replica_run (gpointer replica);

/* engine.c. Called by each replica once; @error (transfer full): NULL is success. */
void yolo_replica_set_loaded (YoloReplicaSet *set, GError *error);

/* engine.c. One more user of a set that has loaded, which is given back by
 * yolo_replica_set_leave(); the set holds a reference to the engine for each. */
YoloReplicaSet *yolo_replica_set_enter (YoloEngine *engine, gpointer cuda_context);
void yolo_replica_set_leave (YoloReplicaSet *set);

/* replica.c. Whether the thread of one of the engine's replicas calls this. */
gboolean yolo_engine_is_own_thread (const YoloEngine *engine);

/* stream.c. What came of a frame: its callback is called now, or when its turn
 * has come. Called without the lock by a replica, which holds the frame no more. */
void yolo_stream_finish (YoloStream *stream, YoloJob *job, const YoloResult *result);

G_END_DECLS

#endif
