/* SPDX-License-Identifier: MIT */
/* The contract with what runs networks, in two parts: a device, and what runs on it.
 *
 * A net is a model's weights on a device, an exec is a plan of it made ready to
 * run, a drawer draws on frames and looks at them. They are used through the functions below,
 * which check their arguments, and hand them to the back end's table at the end
 * of this file. */

#ifndef YOLO_BACKEND_BACKEND_H
#define YOLO_BACKEND_BACKEND_H

#include "base/pool.h"
#include "image/frame.h"
#include "image/motion.h"
#include "image/redaction.h"
#include "image/stroke.h"
#include "network/int8.h"
#include "network/plan.h"
#include "network/stages.h"
#include "postprocess/mask.h"
#include "postprocess/task.h"

G_BEGIN_DECLS

typedef enum {
  YOLO_PRECISION_AUTO,
  YOLO_PRECISION_FP32,
  YOLO_PRECISION_FP16,
  YOLO_PRECISION_BF16,
  YOLO_PRECISION_INT8,
} YoloPrecision;

const char *yolo_precision_name (YoloPrecision precision);      /* "fp32" */

typedef struct _YoloBackend YoloBackend;

/* A model's weights on one device in one precision. Back ends extend it. All
 * calls for one net, its execs' as well, are made by one thread at a time, but for
 * yolo_exec_wait() and yolo_exec_pass(), beside which others may be made for other execs. */
typedef struct _YoloNet YoloNet;
struct _YoloNet {
  const YoloBackend *backend;
  YoloModel *model;             /* a reference */
  YoloPrecision precision;      /* never AUTO */
  /* The operations that its execs run; end 0: all of them. */
  YoloPlanPart part;
  /* The caller writes the network's input, and reads the head's maps; else the back end is given
   * frames, and room for candidates. */
  gboolean host_input, host_maps;
  guint depth;                  /* batches that are worth having under way at once, 1 or more */
  /* Called by a thread of the net's own whenever a batch is over, where yolo_exec_is_over() may be
   * FALSE. Set by the owner before the first batch; NULL: not wanted. */
  void (*notify) (gpointer data);
  gpointer notify_data;
  /* Of a back end with host_memory, or NULL: the net's threads, free for other work
   * between two batches. Set and owned by the back end. */
  YoloPool *pool;
};

/* A plan made ready to run, with its arena. Back ends extend it. */
typedef struct _YoloExec YoloExec;
struct _YoloExec {
  YoloNet *net;
  const YoloPlan *plan;         /* owned */
  gboolean under_way;           /* between submit and wait */
  gsize activations;            /* bytes, on all devices */
  /* Host addresses, or NULL. */
  void *input;                  /* plan->input, with host_input */
  void *arena;                  /* with host_maps */
  /* With host_memory, set between batches, for calibration: called after each
   * operation, whose output then lies in the arena; and seconds spent in each,
   * added up, [plan->n_ops]. NULL: not wanted. */
  void (*observe) (gpointer data, guint op);
  /* Called before each operation: TRUE where it has put the output in its place, or
   * nobody will read it; the operation is not run then. */
  gboolean (*replace) (gpointer data, guint op);
  gpointer observe_data;        /* of both */
  double *seconds;
};

/* Draws on frames in one context of a device, and looks at them. Back ends extend it. */
typedef struct _YoloDrawer YoloDrawer;
struct _YoloDrawer {
  const YoloBackend *backend;
};

/* Devices */

/* Whether the device, counted from 0, can be used; the error says why not. Thread-safe. */
gboolean yolo_backend_available (const YoloBackend *backend, guint device, GError **error);

/* Replaces `auto` by the precision that is best on the device. FALSE with
 * @error (YOLO_NETWORK_ERROR_PRECISION) if the device cannot run in @precision. Thread-safe. */
gboolean yolo_backend_resolve (
    const YoloBackend *backend, guint device, YoloPrecision *precision, GError **error);

/* Whether frames in this memory are taken where they lie. */
gboolean yolo_backend_takes (const YoloBackend *backend, YoloMemory memory);

/**
 * yolo_backend_drawer_new:
 * @device: the number of the frames' device, where @context is NULL
 * @context: (nullable): the CUcontext of the frames, which must outlive the drawer; NULL: the
 * device's primary one
 *
 * Returns: (transfer full): what draws on frames in the device's memory, or NULL with @error
 * (YOLO_NETWORK_ERROR)
 */
YoloDrawer *yolo_backend_drawer_new (
    const YoloBackend *backend, guint device, gpointer context, GError **error);
void yolo_drawer_free (YoloDrawer *drawer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloDrawer, yolo_drawer_free)

/**
 * yolo_drawer_draw:
 * @canvas: a frame at device addresses
 * @stream: the CUstream whose work so far writes the frame, or NULL
 * @strokes: (array length=n): drawn in this order
 * @masks: (array length=masks_size): what the strokes' `mask` counts bytes of
 *
 * The pixels equal those of yolo_canvas_fill() and yolo_canvas_blend() on the
 * host; all is drawn when this returns. One thread at a time.
 */
gboolean yolo_drawer_draw (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error);

/**
 * yolo_drawer_redact:
 * @redactions: (array length=n): of yolo_privacy_add_box() and its like
 * @masks: (array length=masks_size): what the redactions' `mask` counts bytes of
 * @n_levels: what the redactions' levels are numbered up to
 *
 * The pixels equal those of yolo_privacy_apply() on the host; all is done when this
 * returns. @canvas, @stream, threads: as for yolo_drawer_draw().
 */
gboolean yolo_drawer_redact (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloRedaction *redactions, guint n, const guint8 *masks, gsize masks_size,
    gsize n_levels, GError **error);

/**
 * yolo_drawer_motion:
 * @views: (array length=n): of one frame, or of frames that the same stream writes, in CUDA memory,
 * not unpacked
 * @pictures: (out): their pictures, one behind the other
 *
 * Each picture equals that of yolo_motion_picture() on the host. All are waited for once. One
 * thread at a time.
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR)
 */
gboolean yolo_drawer_motion (YoloDrawer *drawer, const YoloMotionView *views, guint n,
    guint8 *pictures, GError **error);

/* What runs on them */

/**
 * yolo_backend_load:
 * @model: of yolo_model_to_int8() if, and only if, the precision is int8; the net keeps a reference
 * @context: a CUcontext of the device to run in, which outlives the net; or NULL, the device's
 * primary one
 * @precision: `auto` is the best one
 * @threads: of the CPU; 0 = all
 *
 * Packs or uploads the weights, once for all sizes.
 *
 * Returns: (transfer full): the net, or NULL with @error (YOLO_NETWORK_ERROR)
 */
YoloNet *yolo_backend_load (const YoloBackend *backend, YoloModel *model, guint device,
    gpointer context, YoloPrecision precision, guint threads, GError **error);
/**
 * yolo_backend_load_part:
 * @part: operations of the model's plans, which are the same for all batches and sizes; end 0: all
 *
 * As yolo_backend_load(), for a net whose execs run only these, with their weights alone. Execs of
 * the parts of a model are run one after the other, with yolo_exec_pass() between them.
 */
YoloNet *yolo_backend_load_part (const YoloBackend *backend, YoloModel *model, guint device,
    gpointer context, YoloPrecision precision, guint threads, YoloPlanPart part, GError **error);
/* Its execs must be freed before. */
void yolo_net_free (YoloNet *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloNet, yolo_net_free)

/* (transfer full): what is worth knowing of the net's precision on its device, a
 * sentence for the user; or NULL. Thread-safe. */
char *yolo_net_remark (YoloNet *net);

/* The first plane of a frame in CUDA memory that is in no memory known to the
 * driver; -1: there is none. A kernel that read it would end the context, and with it
 * every stream. Quick; thread-safe, beside the net's other calls too. */
gint yolo_net_unknown_plane (YoloNet *net, const YoloFrame *frame);

/* How large a batch to run next when so many frames (1 to 32) are ready: a power
 * of two; above @frames with idle places for the rest. Quick. */
guint yolo_net_batch_size (YoloNet *net, guint frames, guint height, guint width);

/**
 * yolo_net_prepare:
 * @batch: images
 * @height: input height in pixels
 * @width: input width in pixels
 *
 * Makes a plan for the net's precision and readies it: allocates the arena, builds primitives.
 *
 * Returns: (transfer full): the exec, or NULL with @error (YOLO_NETWORK_ERROR; _UNSUPPORTED:
 * the back end lacks an operation, which the error names)
 */
YoloExec *yolo_net_prepare (
    YoloNet *net, guint batch, guint height, guint width, GError **error);
/* The same with a plan of the caller's for the net's model, in the types of the net's own
 * plans. @plan: (transfer full), also if it fails. */
YoloExec *yolo_net_prepare_plan (YoloNet *net, YoloPlan *plan, GError **error);
/* No batch may be under way. */
void yolo_exec_free (YoloExec *exec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloExec, yolo_exec_free)

/**
 * yolo_exec_submit:
 * @n: images, the first ones of the batch
 * @frames: (array length=n) (nullable): in memory that the back end takes; must live until
 * yolo_exec_wait(). NULL with net->host_input, where the caller has written exec->input, and for a
 * part of a plan that does not start it
 * @decode: (array length=n) (nullable): what to keep of each image, and room for it; must live
 * until yolo_exec_wait(). NULL with net->host_maps, and for a part that does not end a plan
 *
 * Starts a batch, which yolo_exec_wait() ends; one at a time.
 *
 * Returns: FALSE with @error: nothing is under way
 */
gboolean yolo_exec_submit (
    YoloExec *exec, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error);
/* Waits for the batch under way. The maps (yolo_plan_head()) then lie in
 * the arena, or the candidates in @decode. Whether or not it fails, the batch is over. */
gboolean yolo_exec_wait (YoloExec *exec, GError **error);
/* Whether yolo_exec_wait() for the batch under way need not wait for what other threads do. TRUE
 * also of a back end that cannot tell. Thread-safe. */
gboolean yolo_exec_is_over (YoloExec *exec);

/**
 * yolo_exec_pass:
 * @from: of a part of a plan, whose batch yolo_exec_wait() has ended
 * @to: of the part behind it, for the same batch and size, with no batch under way
 *
 * Copies what @to is given (YoloPlan.given): within the host, between the host and a device by
 * pinned memory, or from device to device. All is there when this returns. Uses nothing of the two
 * nets, so that other execs of theirs may be used meanwhile.
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR)
 */
gboolean yolo_exec_pass (YoloExec *from, YoloExec *to, GError **error);

/* Copies what an exec is given out of the arena of the exec before it, which both lie on the host,
 * and between such an arena and a message: the given views, one behind the other, dense. For back
 * ends. */
void yolo_given_copy (const YoloExec *from, const YoloExec *to);
gsize yolo_given_size (const YoloPlan *to);     /* bytes of the message */
/* @from: whose arena holds the views that @to is given */
void yolo_given_pack (const YoloPlan *to, const YoloExec *from, void *message);
void yolo_given_unpack (const YoloExec *to, const void *message);

/* Host address of a view's element (0, 0, 0, 0), with host_memory. */
void *yolo_exec_view (const YoloExec *exec, YoloView view);

/* What the head gives of one image of the batch: its maps. @arena: host address; NULL:
 * only the sizes are wanted, the maps have no data. */
void yolo_plan_head (const YoloPlan *plan, const void *arena, guint image, YoloHead *head);

/**
 * yolo_exec_rows:
 * @image: of the batch that yolo_exec_wait() has ended
 * @role: of maps that the model has
 * @objects: (array length=n): whose anchors are looked at
 * @rows: (out): [n][channels]: the map's pixel at each object's anchor
 *
 * Reads maps, which the next yolo_exec_submit() overwrites. On a device it copies and waits for the
 * copy. By one thread at a time.
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR) where the device has failed or has no memory
 */
gboolean yolo_exec_rows (YoloExec *exec, guint image, YoloMapRole role, const YoloObject *objects,
    guint n, float *rows, GError **error);

/**
 * yolo_exec_masks:
 * @image: as for yolo_exec_rows()
 * @coefficients: [n][channels of the prototypes]
 * @masks: (array length=n): placed by yolo_masks_place()
 * @n_cells: of all masks
 * @cells: (out): [n_cells]: what yolo_mask_fill() gives, each mask from its first cell on
 *
 * When and on what thread: as for yolo_exec_rows().
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR) where the device has failed or has no memory
 */
gboolean yolo_exec_masks (YoloExec *exec, guint image, const float *coefficients,
    const YoloObjectMask *masks, guint n, int16_t *cells, gsize n_cells, GError **error);

/* The table of a back end: filled by its room, called by backend.c and by nobody
 * else. Arguments are as above and have been checked. What the functions are given
 * is zeroed but for the members that are named above; where one fails, the one
 * that undoes it is called all the same. */
struct _YoloBackend {
  /* A device. */
  const char *name;             /* "cpu", "cuda" */
  gboolean host_memory;         /* execs have host addresses */
  guint memories;               /* of frames that nets take, bits 1 << YoloMemory */
  YoloInt8Kind int8_kind;       /* of the int8 models that it runs */
  gboolean (*available) (guint device, GError **error);
  gboolean (*resolve) (guint device, YoloPrecision *precision, GError **error);
  /* What a net in this precision is expected to do there, for the choice of a cut: a function of
   * the machine alone, but for the memory that is free. NULL: it is not known. */
  gboolean (*speed) (guint device, YoloPrecision precision, guint threads,
      YoloStageDevice *speed, GError **error);

  gsize drawer_size;            /* bytes of what extends YoloDrawer; 0: it does not draw */
  gboolean (*drawer_init) (YoloDrawer *drawer, guint device, gpointer context, GError **error);
  void (*drawer_clear) (YoloDrawer *drawer);
  gboolean (*draw) (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
      const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error);
  gboolean (*redact) (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
      const YoloRedaction *redactions, guint n, const guint8 *masks, gsize masks_size,
      gsize n_levels, GError **error);
  gboolean (*motion) (YoloDrawer *drawer, const YoloMotionView *views, guint n, guint8 *pictures,
      GError **error);

  /* What runs on it. */
  gsize net_size, exec_size;    /* bytes of what extends YoloNet, YoloExec */
  gboolean (*load) (YoloNet *net, guint device, gpointer context, guint threads, GError **error);
  void (*unload) (YoloNet *net);
  char *(*remark) (YoloNet *net);       /* NULL: there is never one */
  gint (*unknown_plane) (YoloNet *net, const YoloFrame *frame);        /* if it takes CUDA memory */
  /* NULL: the largest power of two that the frames fill. */
  guint (*batch_size) (YoloNet *net, guint frames, guint height, guint width);

  /* The plan that the net runs for a batch and a size, in its types. */
  YoloPlan *(*plan) (YoloNet *net, guint batch, guint height, guint width, GError **error);
  /* Whether it can run an operation of a plan, by its kind, the types and grids of
   * its views, and its numbers. NULL: it runs every plan of its own. */
  gboolean (*supports) (const YoloPlan *plan, const YoloOp *op);
  gboolean (*prepare) (YoloExec *exec, GError **error);
  void (*release) (YoloExec *exec);
  gboolean (*submit) (
      YoloExec *exec, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error);
  gboolean (*wait) (YoloExec *exec, GError **error);
  gboolean (*is_over) (YoloExec *exec); /* NULL: TRUE */
  /* One of the two execs is of another back end only if that has host_memory. NULL with
   * host_memory, and in a back end whose nets have no parts. */
  gboolean (*pass) (YoloExec *from, YoloExec *to, GError **error);

  /* Of a device, whose maps the host does not see. A back end without them runs no
   * task that needs them; with host_memory both are NULL. */
  gboolean (*rows) (YoloExec *exec, guint image, YoloMapRole role, const YoloObject *objects,
      guint n, float *rows, GError **error);
  gboolean (*masks) (YoloExec *exec, guint image, const float *coefficients,
      const YoloObjectMask *masks, guint n, int16_t *cells, gsize n_cells, GError **error);
};

G_END_DECLS

#endif
