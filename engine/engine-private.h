/* SPDX-License-Identifier: MIT */
/* What the engine's files share with each other and with their tests. */

#ifndef YOLO_ENGINE_PRIVATE_H
#define YOLO_ENGINE_PRIVATE_H

#include <gio/gio.h>

#include "engine/calibrate.h"
#include "engine/details.h"
#include "engine/engine.h"
#include "image/letterbox.h"
#include "image/preprocess.h"
#include "postprocess/task.h"

G_BEGIN_DECLS

/* Batches are powers of two up to this: five frames run as 4 + 1, or as 8 with
 * idle places where the back end says so. A network is prepared for every batch that occurs, which
 * takes from milliseconds to seconds, and memory for its activations: with powers of two there are
 * six batches for each size of frames instead of 32. */
#define YOLO_ENGINE_MAX_BATCH 32

/* How many networks a replica keeps ready; then the least recently used one goes, so that
 * streams that keep changing their size do not take ever more memory. KEPT_EXECS of them,
 * enough for two sizes in all batches, are kept whatever they take; more, up to MAX_EXECS,
 * as long as all their activations take less than KEPT_ARENA bytes. */
#define YOLO_ENGINE_KEPT_EXECS 12
#define YOLO_ENGINE_MAX_EXECS 64
#define YOLO_ENGINE_KEPT_ARENA ((gsize) 1 << 30)

/* Candidates of a frame that come back from a device, 28 bytes each. */
#define YOLO_ENGINE_DEVICE_CANDIDATES 1024

/* How much longer than the first time a device that keeps failing is left alone. */
#define YOLO_ENGINE_MAX_RETRY 64

/* The back ends and functions that an engine is made of; tests pass some of their own. */
typedef struct {
  /* Microseconds after which a device that has failed beside others is tried again; each time that
   * it fails then, twice as long. */
  gint64 retry;
  const YoloBackend *cpu, *cuda, *reference;
  YoloModel *(*load_model) (const char *path, YoloHeadChoice head, GError **error);
  void (*unref_model) (YoloModel *model);
  /* Makes an int8 model out of @model, which stays the caller's. @calibration_file: NULL: what
   * the model says of itself, or the table beside its file. */
  YoloModel *(*to_int8) (
      YoloModel *model, const char *calibration_file, YoloInt8Kind kind, GError **error);
} YoloEngineParts;

/* parts.c. The parts that were built. */
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
  GError *error;                /* owned; what is wrong with the request, which then never runs */
  gboolean due;                 /* a batch that was ready left it over: it waits for nobody */
  gboolean short_of_memory;     /* a replica gave it back, since its device had no memory for it */
  /* If the frame was finished before its turn, by a replica that overtook
   * another one: a copy of what its callback will be given. The memory is kept
   * for the next such frame. */
  YoloResult result;
  GError *result_error;         /* owned */
  YoloObject *kept;             /* [kept_room] */
  guint kept_room;
  YoloDetailsRoom kept_details;
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
  YoloJob *finished;            /* frames that were finished before their turn, by number */
  YoloJob *unused;
  guint max_pending;
  gboolean active;
  gboolean calling;             /* a replica's thread calls back: no other one does */
  guint pending;                /* pictures whose last callback has not begun */
  guint parts;                  /* requests of the last picture; 0: there was none yet */
  guint more;                   /* of them, how many are still to be submitted */
  guint net_width, net_height;  /* that the last frame asked for; 0: there was none yet */
  /* fair.c */
  double weight;                /* above 0 */
  double min_rate;              /* frames a second; 0: none */
  double start;                 /* virtual time, not before which the next frame starts */
  gint64 floor_at;              /* when the next frame is due by min_rate; monotonic microseconds */
  gboolean full;                /* its last picture has made it max_pending that are under way */
  gboolean pressed;             /* it would send more if it were served more */
  guint allowed;                /* frames that the next batch may take; scratch */
  /* Frames are numbered from 0. So many were submitted; the callbacks of so many have
   * returned, so that it is the turn of frame number `returned`; frames with a number below
   * `cancelled` do not run, those below `drained` run without waiting for others. */
  guint64 submitted, returned, cancelled, drained;
};

/* Frames of one size that a batch could take now. */
typedef struct {
  guint width, height;
  guint count;                  /* up to the batch size */
  gint64 oldest;                /* monotonic microseconds */
  gboolean due;                 /* run what is there */
  gboolean more;                /* a stream may add to it */
  gboolean part;                /* a stream is about to add the rest of a picture */
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

/* Where a replica runs: one device or, in pieces, several, in the order of the pieces. */
typedef struct {
  guint n;                      /* 1 or more */
  YoloPlace at[YOLO_MAX_STAGES];
} YoloSite;

/* How long batches of each size have taken a replica, from when it had nothing else to do until
 * the last callback, in microseconds. The first one of a size is not believed: what it is the
 * first to need is loaded and measured meanwhile. */
typedef struct {
  guint64 n[YOLO_ENGINE_BATCH_SIZES];
  gint64 mean[YOLO_ENGINE_BATCH_SIZES];
} YoloBatchTimes;

/* The model on one device: a thread that takes batches when it is the one to finish them
 * first, and makes all calls to the back end. */
struct _YoloReplica {
  YoloReplicaSet *set;          /* whose part it is */
  YoloEngine *engine;           /* the set's */
  YoloSite site;                /* constant */
  gpointer cuda_context;        /* constant; NULL: the first device's primary one, or no CUDA */
  GThread *thread;

  char *name;                   /* constant; "cuda:1", "cuda:0+cuda:1" */

  /* Under engine->lock. */
  YoloPrepare *prepare;         /* what it is asked to ready */
  gboolean serves;              /* it takes batches; FALSE: its device has failed */
  guint failures;               /* of its device, since the set was loaded */
  GError *failure;              /* the last of them, or NULL; owned */
  guint first_batch, n_batches; /* of `batches`, those under way, oldest first */
  gint64 free_at;               /* when they will be over; monotonic microseconds */
  YoloBatchTimes times;
  guint64 frames_run, batches_run;      /* without an error */
  gint64 loaded;                /* when it began to serve; monotonic microseconds */
  gint64 busy;                  /* microseconds with a batch under way, until `done` */
  gint64 done;                  /* when the last batch was over; monotonic microseconds */

  /* The thread's own. */
  /* Changes once the set has loaded only where the device fails beside others; then under
   * engine->lock, too, for other threads ask it about frames. */
  YoloNet *net;
  YoloSlot slots[YOLO_ENGINE_MAX_EXECS];
  guint n_execs;                /* slots with a network */
  gsize arena;                  /* bytes of their activations */
  guint64 tick;                 /* counts uses of slots */
  YoloBatch *batches;           /* [depth], a ring */
  guint depth;                  /* of the net; constant once it has loaded */
  guint room;                   /* batches that its devices have memory for at once, up to depth */
  YoloPreprocess *preprocess;
  YoloSideRounding rounding;    /* of model->box_rounding, if there is one */
  YoloObject *candidates, *scratch;
  gsize capacity;               /* of both */
  YoloDetailsRoom details;
  GError *cancelled, *memory;   /* for frames that are cancelled, or that have no memory */
};

/* The replicas that run the frames of one CUDA context, one on each of the engine's sites: in
 * that context where it is of their device, else in their device's primary one. A batch is
 * formed out of the streams of one set. */
struct _YoloReplicaSet {
  /* Constant. */
  YoloEngine *engine;
  gpointer cuda_context;        /* NULL: the primary ones, or no CUDA */
  YoloReplica *replicas;        /* [engine->n_sites] */

  /* Under the registry's lock. */
  guint users;                  /* open streams, and who got the engine for this context */
  guint loading;                /* replicas that have not said yet how their load ended */
  GError *error;                /* of the first replica that could not load, or NULL */

  /* Under engine->lock. */
  gboolean stop;
  guint serving;                /* replicas that take batches: one or more */
  gint changes;                 /* of `serves` of a replica; atomic */
  GQueue streams;               /* of YoloStream.link, least recently served first */
  GArray *groups;               /* YoloGroup; scratch of yolo_engine_take(), kept */
  /* fair.c */
  double virtual_time;          /* when the frame that was taken last has started */
  gboolean urgent;              /* the next batch is for streams alone that are late */
  gint64 open_at;               /* when a batch was last open to all; monotonic microseconds */
};

/* Tells a file from one that was written in its place; all 0: there is no file. */
typedef struct {
  gint64 device, inode, size, changed;  /* bytes; ns */
} YoloFileStamp;

struct _YoloEngine {
  /* What it was asked for: constant. */
  YoloHeadChoice head;
  const YoloEngineParts *parts;
  char *id, *path, *model_file, *calibration_file;
  YoloFileStamp stamp;          /* of the file at `path` */
  YoloSite sites[YOLO_MAX_DEVICES];
  guint n_sites;                /* replicas of each set */
  char *devices;                /* the sites' names, with commas between */
  guint threads;
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

  /* The one lock of all streams: a batch is a decision over many of them. It is held
   * for the time of a decision, never while a frame is worked on: for each frame once
   * by who submits it, three times by a replica. */
  GMutex lock;
  GCond work;                   /* replicas wait for something to do */
  GCond done;                   /* other threads wait for a replica */
  guint waiting;                /* threads that wait for `done` */
  guint batch_size;
  guint64 batch_timeout;        /* nanoseconds */
  YoloEngineStats stats;        /* of all sets */
};

/* batch.c, under the engine's lock. The batch size that counts now. */
guint yolo_engine_batch_size (YoloReplicaSet *set);
/* The next frame that is called back without running: cancelled or wrong,
 * submitted by monotonic time @until. NULL: there is none. */
YoloJob *yolo_engine_take_dropped (YoloReplicaSet *set, gint64 until);
/* Moves the frames of the next batch to @jobs [YOLO_ENGINE_MAX_BATCH] if it is
 * time to run it, and sets @size to the size of the batch that they run in, as
 * many or more. Returns how many frames that are; 0: it is not time before the monotonic
 * time @until, unless something changes, or another replica is to run them. @replica: the one
 * that will run the batch; NULL: one that leaves no place of a batch idle. */
guint yolo_engine_take (YoloReplicaSet *set, const YoloReplica *replica, YoloJob **jobs,
    guint *size, gint64 now, gint64 *until);

/* fair.c, under the engine's lock. A stream begins: it has a weight of 1 and no rate, and comes
 * behind those that are there. */
void yolo_fair_open (YoloStream *stream);
void yolo_fair_set (YoloStream *stream, double weight, double min_rate);
/* A picture is added to those of the stream that are under way. @waited: as YoloRequest has it. */
void yolo_fair_submitted (YoloStream *stream, gboolean waited);
/* Says of each stream how many of its frames the next batch may take (`allowed`), at the monotonic
 * time @now. @replica: the one that will run the batch; NULL: one that is idle. */
void yolo_fair_begin (YoloReplicaSet *set, const YoloReplica *replica, gint64 now);
/* Whether the next frame of @a goes before that of @b; else, unless it is the other way round, the
 * stream that was served less recently is first. */
gboolean yolo_fair_before (const YoloStream *a, const YoloStream *b);
/* Notes that a frame of the stream was taken, or that one which was taken comes back. */
void yolo_fair_took (YoloStream *stream, gint64 now);
void yolo_fair_give_back (YoloStream *stream);

/* schedule.c, under the engine's lock. How long a batch of this size will take, in microseconds:
 * by those of its size, else in proportion to those of the next one; 0: there is none yet. */
gint64 yolo_schedule_time (const YoloBatchTimes *times, guint size);
/* Notes that a batch of this size has taken so many microseconds. */
void yolo_schedule_measured (YoloBatchTimes *times, guint size, gint64 time);
/* Microseconds that a frame takes to be brought to the replica's device, about: 0 if it lies there,
 * or on the host, from where it is as far to each. */
gint64 yolo_schedule_bring (const YoloReplica *replica, const YoloFrame *frame);
/* Whether a replica that could take a batch of this size now is to do so, where so many frames
 * wait: FALSE: the others would have run all of them before it has run one. @bring: for each
 * replica of the set, yolo_schedule_bring() of all these frames. */
gboolean yolo_schedule_takes (const YoloReplicaSet *set, const YoloReplica *asks, guint size,
    guint frames, const gint64 *bring, gint64 now);

/* Of so many frames that wait, those that the replica takes so that others which have nothing to
 * do, and are not much slower with batches of this size, have as many. */
guint yolo_schedule_share (const YoloReplicaSet *set, const YoloReplica *asks, guint size,
    guint frames, const gint64 *bring);

/* int8.c. YoloEngineParts.to_int8 outside of tests. Errors say how to make a table. */
YoloModel *yolo_engine_to_int8 (
    YoloModel *model, const char *calibration_file, YoloInt8Kind kind, GError **error);

/* calibrate.c. As yolo_calibrator_new(), on any back end with host_memory. */
YoloCalibrator *yolo_calibrator_new_on (
    const YoloBackend *backend, const YoloCalibratorConfig *config, GError **error);

/* replica.c. The function of a replica's thread: loads, runs until set->stop, frees. */
gpointer yolo_replica_run (gpointer replica);

/* engine.c. Called by each replica once; @error (transfer full): NULL is success. */
void yolo_replica_set_loaded (YoloReplicaSet *set, GError *error);

/* batch.c, under the engine's lock. Puts a frame that a replica has taken and not run back to its
 * place in its stream. */
void yolo_engine_give_back (YoloJob *job);

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
