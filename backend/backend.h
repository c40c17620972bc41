/* SPDX-License-Identifier: MIT */
/* What runs a plan: one vtable a back end. */

#ifndef YOLO_BACKEND_BACKEND_H
#define YOLO_BACKEND_BACKEND_H

#include "base/pool.h"
#include "image/frame.h"
#include "image/stroke.h"
#include "network/int8.h"
#include "network/plan.h"
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

/* A model's weights on one device in one precision. */
typedef struct _YoloNet YoloNet;

/* Draws on frames in one context of a device. */
typedef struct _YoloDrawer YoloDrawer;

/* A plan made ready to run, with its arena. Back ends extend it. */
typedef struct _YoloExec YoloExec;
struct _YoloExec {
  const YoloPlan *plan;         /* owned */
  /* Host addresses, or NULL where they lie on a device: the caller then gives
   * frames to submit() and gets candidates from wait(). */
  void *input;                  /* plan->input */
  void *arena;
  /* With host_memory, set between batches, for calibration: called after each
   * operation, whose output then lies in the arena; and seconds spent in each,
   * added up, [plan->n_ops]. NULL: not wanted. */
  void (*observe) (gpointer data, guint op);
  /* Called before each: TRUE where it has put the output in its place, or nobody
   * will read it; the operation is not run then. */
  gboolean (*replace) (gpointer data, guint op);
  gpointer observe_data;        /* of both */
  double *seconds;
};

typedef struct {
  const char *name;             /* "cpu", "cuda" */
  gboolean host_memory;         /* execs have host addresses */
  YoloInt8Kind int8_kind;       /* of the int8 models that load() takes with YOLO_PRECISION_INT8 */

  /* Whether the device can be used; the error says why not. */
  gboolean (*available) (guint device, GError **error);
  /* What `auto` means there; and whether a precision can be run at all. */
  YoloPrecision (*resolve) (guint device, YoloPrecision precision, GError **error);

  /* Weights are packed or uploaded once. @context: a CUcontext of the device to
   * run in, which outlives the net, or NULL. @threads: of the CPU, 0 = all.
   * The net keeps a reference to the model. */
  YoloNet *(*load) (YoloModel *model, guint device, gpointer context, YoloPrecision precision,
      guint threads, GError **error);
  void (*unload) (YoloNet *net);
  /* With host_memory: the net's threads, for the caller's own work between its batches. */
  YoloPool *(*pool) (YoloNet *net);

  /* What is worth knowing of the net's precision on this device, a sentence for
   * the user; NULL: nothing. The caller frees it. NULL as a function: never. */
  char *(*remark) (YoloNet *net);

  /* How large a batch to run next when so many frames (1 to 32) are ready: a power
   * of two; above @frames with idle places for the rest. Quick. NULL: the largest
   * power of two that the frames fill. */
  guint (*batch_size) (YoloNet *net, guint frames, guint height, guint width);

  /* Makes a plan for the net's precision and readies it: allocates the arena, builds primitives. */
  YoloExec *(*prepare) (YoloNet *net, guint batch, guint height, guint width, GError **error);
  void (*release) (YoloExec *exec);

  /* Starts the first @n images of a batch; wait() ends it. One batch per exec
   * at a time, all calls for one net from one thread. With host_memory the
   * caller has written exec->input, @frames and @decode are NULL, and the
   * maps (yolo_plan_maps()) can be read from the arena after wait(). */
  gboolean (*submit) (YoloExec *exec, guint n, const YoloFrame *frames,
      YoloDecode *decode, GError **error);
  gboolean (*wait) (YoloExec *exec, GError **error);

  /* The first plane of a frame in CUDA memory that is in no memory known to the
   * driver; -1: none. A kernel that read it would end the context, and with it
   * every stream. Any thread, quick. NULL: frames in CUDA memory are not taken. */
  gint (*unknown_plane) (YoloNet *net, const YoloFrame *frame);

  /* For frames in the device's memory; all NULL without. @context: a CUcontext
   * that outlives the drawer. @stream: the CUstream whose work so far writes the
   * frame, or NULL. Strokes are drawn in place and in their order; all is drawn
   * when the call returns. One thread at a time. */
  YoloDrawer *(*drawer_new) (gpointer context, GError **error);
  void (*drawer_free) (YoloDrawer *drawer);
  gboolean (*draw) (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
      const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error);
} YoloBackend;

/* Each is in the room of its name; one that is not built is a stub whose
 * available() says so. */
extern const YoloBackend yolo_cpu_backend;
extern const YoloBackend yolo_cuda_backend;

/* Host address of a view's element (0, 0, 0, 0), for execs in host memory. */
void *yolo_exec_view (const YoloExec *exec, YoloView view);

/* The head's maps of one image of the batch, @maps [plan->model->n_outputs].
 * @arena: host address; NULL: only the sizes are wanted, the maps have no data. */
void yolo_plan_maps (const YoloPlan *plan, const void *arena, guint image, YoloMap *maps);

G_END_DECLS

#endif
