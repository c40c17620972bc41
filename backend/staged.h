/* SPDX-License-Identifier: MIT */
/* A model in pieces on several devices: a net whose batches run through the stages of a plan, each
 * of which a device of its own has the weights of. As many batches as there are stages, and one
 * more, are worth having under way; they are over in the order in which they were submitted,
 * unless one fails.
 *
 * The net is used through backend.h like any other. The first stage's device preprocesses, so that
 * it says which frames are taken. Where the last one is of the host, the maps are read by the
 * caller (YoloNet.host_maps), else the device decodes. */

#ifndef YOLO_BACKEND_STAGED_H
#define YOLO_BACKEND_STAGED_H

#include "backend/backend.h"

G_BEGIN_DECLS

/* One device. */
typedef struct {
  const YoloBackend *backend;
  guint device;                 /* of those that the back end has */
} YoloPlace;

/**
 * yolo_staged_load:
 * @model: as for yolo_backend_load()
 * @places: (array length=n): the stages' devices, in the order in which a batch runs through them
 * @n: stages, 2 to YOLO_MAX_STAGES
 * @context: (nullable): as for yolo_backend_load(), of the first place; others run in their
 * devices' primary ones
 * @precision: not `auto`: one that all places run in
 *
 * Cuts the model by yolo_stages_cut(), and loads each part where it runs. Each stage has a thread,
 * which makes the calls for its net.
 *
 * Returns: (transfer full): the net, or NULL with @error (YOLO_NETWORK_ERROR), which names the
 * stage's device
 */
YoloNet *yolo_staged_load (YoloModel *model, const YoloPlace *places, guint n, gpointer context,
    YoloPrecision precision, guint threads, GError **error);

/* What a stage is, and has done since it was loaded. */
typedef struct {
  char device[32];              /* "cuda:1"; "cpu" */
  YoloPlanPart part;                /* its operations */
  guint64 batches, images;      /* that have run without an error */
  guint64 bytes;                /* that it has handed on to the next stage */
  guint64 busy;                 /* nanoseconds in which a batch was under way in it */
  guint64 passing;              /* nanoseconds in which it handed on */
} YoloStageStats;

/**
 * yolo_staged_get_stats:
 * @net: any net
 * @stats: (out): [YOLO_MAX_STAGES]
 *
 * Thread-safe.
 *
 * Returns: how many stages it has; 0: it is in one piece
 */
guint yolo_staged_get_stats (YoloNet *net, YoloStageStats *stats);

G_END_DECLS

#endif
