/* SPDX-License-Identifier: MIT */
#include "engine/details.h"

#include <string.h>

/* Room for @n elements in an array of the room, made at first and never of no bytes. */
static gpointer
reserve (GArray **array, guint element, gsize n)
{
  if (*array == NULL)
    *array = g_array_new (FALSE, FALSE, element);
  g_array_set_size (*array, (guint) MAX (n, 1));
  return (*array)->data;
}

void
yolo_details_room_clear (YoloDetailsRoom *room)
{
  GArray **arrays[] = { &room->points, &room->rows, &room->masks, &room->cells, &room->scratch };

  for (guint i = 0; i < G_N_ELEMENTS (arrays); i++)
    g_clear_pointer (arrays[i], g_array_unref);
  room->found = (YoloDetails) { 0 };
}

/* The pixels of a role's maps at the objects' anchors; NULL with @error. */
static const float *
get_rows (YoloExec *exec, guint image, const YoloHead *head, YoloMapRole role,
    const YoloObject *objects, size_t n, YoloDetailsRoom *room, GError **error)
{
  const YoloMap *map = yolo_head_map (head, role, 0);
  float *rows = reserve (&room->rows, sizeof (float), n * (gsize) map->channels);

  return yolo_exec_rows (exec, image, role, objects, (guint) n, rows, error) ? rows : NULL;
}

static gboolean
find_masks (YoloExec *exec, guint image, const YoloHead *head, const YoloObject *objects, size_t n,
    YoloDetailsRoom *room, GError **error)
{
  YoloDetails *found = &room->found;
  const float *coefficients =
      get_rows (exec, image, head, YOLO_MAP_COEFFICIENT, objects, n, room, error);

  if (coefficients == NULL)
    return FALSE;
  found->masks = reserve (&room->masks, sizeof (YoloObjectMask), n);
  found->n_cells = yolo_masks_place (head, objects, n, found->masks);
  found->cells = reserve (&room->cells, sizeof (int8_t), found->n_cells);
  return yolo_exec_masks (exec, image, coefficients, found->masks, (guint) n, found->cells,
      found->n_cells, error);
}

/* The bytes of the largest mask. */
static gsize
largest_mask (const YoloDetails *details, size_t n)
{
  gsize largest = 0;

  for (size_t i = 0; details->masks != NULL && i < n; i++)
    largest = MAX (largest, (gsize) details->masks[i].width * (gsize) details->masks[i].height);
  return largest;
}

gboolean
yolo_details_find (YoloExec *exec, guint image, const YoloTask *task, YoloDecode *decode,
    const YoloSuppression *how, const YoloLetterbox *box, YoloObject *scratch,
    YoloDetailsRoom *room, size_t *n, GError **error)
{
  YoloDetails *found = &room->found;
  const float *rows;
  YoloHead head;

  *found = (YoloDetails) { 0 };
  yolo_plan_head (exec->plan, NULL, image, &head);
  *n = task->finish (&head, decode, how, scratch);
  if (*n > 0 && head.form.end_to_end) {
    rows = get_rows (exec, image, &head, task->classes, decode->candidates, *n, room, error);
    if (rows == NULL)
      return FALSE;
    *n = task->expand (&head, rows, *n, decode, how, scratch);
  }
  if (*n > 0 && task->points != NULL) {
    rows = get_rows (exec, image, &head, YOLO_MAP_KEYPOINT, decode->candidates, *n, room, error);
    if (rows == NULL)
      return FALSE;
    found->keypoints = head.form.keypoints;
    found->points = reserve (&room->points, sizeof (float), *n * 3 * (gsize) found->keypoints);
    task->points (&head, rows, decode->candidates, *n, found->points);
  }
  if (*n > 0 && task->masks
      && !find_masks (exec, image, &head, decode->candidates, *n, room, error))
    return FALSE;
  yolo_objects_to_frame (decode->candidates, *n, box);
  yolo_details_to_frame (
      found, *n, box, reserve (&room->scratch, sizeof (int8_t), largest_mask (found, *n)));
  return TRUE;
}

void
yolo_details_copy (YoloDetailsRoom *room, const YoloDetails *details, size_t n)
{
  YoloDetails *found = &room->found;
  gsize n_points = n * 3 * (gsize) details->keypoints;

  *found = *details;
  if (details->points != NULL)
    found->points = memcpy (reserve (&room->points, sizeof (float), n_points), details->points,
        n_points * sizeof (float));
  if (details->masks != NULL) {
    found->masks = memcpy (reserve (&room->masks, sizeof (YoloObjectMask), n), details->masks,
        n * sizeof (YoloObjectMask));
    found->cells = memcpy (
        reserve (&room->cells, sizeof (int8_t), details->n_cells), details->cells,
        details->n_cells);
  }
}
