/* SPDX-License-Identifier: MIT */
/* From the candidates of an image to objects with all that the task has of them: classes of
 * end-to-end heads, points, masks. */

#ifndef YOLO_ENGINE_DETAILS_H
#define YOLO_ENGINE_DETAILS_H

#include "backend/backend.h"
#include "postprocess/mask.h"

G_BEGIN_DECLS

/* Details of an image, and the room for them, which is kept from one image to the next: it
 * grows to what the largest image needs. All zeros at first. */
typedef struct {
  YoloDetails found;            /* of the last image; its arrays are the room's */
  GArray *points, *rows, *masks, *cells, *scratch, *pairs, *pair_scratch;
} YoloDetailsRoom;

void yolo_details_room_clear (YoloDetailsRoom *room);

/**
 * yolo_details_objects:
 *
 * The objects alone, in pixels of the network's input: what yolo_details_find(), whose
 * arguments these are, begins with.
 */
gboolean yolo_details_objects (YoloExec *exec, guint image, const YoloTask *task,
    YoloDecode *decode, const YoloSuppression *how, YoloObject *scratch, YoloDetailsRoom *room,
    size_t *n, GError **error);

/**
 * yolo_details_find:
 * @exec: the batch is over, and none has been submitted since
 * @image: of the batch
 * @decode: the candidates; the objects are at the front afterwards, best first, in pixels of
 * the frame; with multi_label, they are in an array of @room
 * @box: how the frame lies in the network's input
 * @scratch: [decode->capacity]
 * @n: (out): objects
 *
 * The thread that submits the exec's batches.
 *
 * Returns: FALSE with @error where a device has failed
 */
gboolean yolo_details_find (YoloExec *exec, guint image, const YoloTask *task, YoloDecode *decode,
    const YoloSuppression *how, const YoloLetterbox *box, YoloObject *scratch,
    YoloDetailsRoom *room, size_t *n, GError **error);

/* A copy of all that @details has of @n objects, in the room. */
void yolo_details_copy (YoloDetailsRoom *room, const YoloDetails *details, size_t n);

G_END_DECLS

#endif
