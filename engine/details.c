/* SPDX-License-Identifier: MIT */
#include "engine/details.h"

#include <string.h>

/* Pairs of an anchor and a class that go into suppression at most, as in Ultralytics
 * utils/nms.py, max_nms. */
#define MAX_PAIRS 30000

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
  GArray **arrays[] = { &room->points, &room->rows, &room->masks, &room->cells, &room->scratch,
    &room->pairs, &room->pair_scratch };

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
  found->cells = reserve (&room->cells, sizeof (int16_t), found->n_cells);
  return yolo_exec_masks (exec, image, coefficients, found->masks, (guint) n, found->cells,
      found->n_cells, error);
}

/* The cells of the largest mask. */
static gsize
largest_mask (const YoloDetails *details, size_t n)
{
  gsize largest = 0;

  for (size_t i = 0; details->masks != NULL && i < n; i++)
    largest = MAX (largest, (gsize) details->masks[i].width * (gsize) details->masks[i].height);
  return largest;
}

/* Replaces the candidates by one for each of their classes; gives the scratch that these need. */
static gboolean
find_pairs (YoloExec *exec, guint image, const YoloHead *head, const YoloTask *task,
    YoloDecode *decode, YoloDetailsRoom *room, YoloObject **scratch, GError **error)
{
  const float *rows =
      get_rows (exec, image, head, task->classes, decode->candidates, decode->n, room, error);
  YoloObject *pairs;

  if (rows == NULL)
    return FALSE;
  pairs = reserve (&room->pairs, sizeof (YoloObject), 2 * MAX_PAIRS);
  *scratch = reserve (&room->pair_scratch, sizeof (YoloObject), 2 * MAX_PAIRS);
  decode->n = task->pairs (head, rows, decode, pairs, MAX_PAIRS, *scratch);
  decode->candidates = pairs;
  decode->capacity = 2 * MAX_PAIRS;
  return TRUE;
}

gboolean
yolo_details_objects (YoloExec *exec, guint image, const YoloTask *task, YoloDecode *decode,
    const YoloSuppression *how, YoloObject *scratch, YoloDetailsRoom *room, size_t *n,
    GError **error)
{
  YoloObject *objects = decode->candidates;
  const float *rows;
  YoloHead head;

  yolo_plan_head (exec->plan, NULL, image, &head);
  if (decode->n > 0 && task->turn != NULL) {
    rows = get_rows (exec, image, &head, YOLO_MAP_ANGLE, objects, decode->n, room, error);
    if (rows == NULL)
      return FALSE;
    task->turn (&head, rows, objects, decode->n);
  }
  if (decode->n > 0 && decode->multi_label && !head.form.end_to_end
      && !find_pairs (exec, image, &head, task, decode, room, &scratch, error))
    return FALSE;
  *n = task->finish (&head, decode, how, scratch);
  if (*n > 0 && head.form.end_to_end) {
    rows = get_rows (exec, image, &head, task->classes, objects, *n, room, error);
    if (rows == NULL)
      return FALSE;
    *n = task->expand (&head, rows, *n, decode, how, scratch);
  }
  return TRUE;
}

static gboolean
find_points (YoloExec *exec, guint image, const YoloHead *head, const YoloTask *task,
    const YoloObject *objects, size_t n, YoloDetailsRoom *room, GError **error)
{
  const float *rows = get_rows (exec, image, head, YOLO_MAP_KEYPOINT, objects, n, room, error);

  if (rows == NULL)
    return FALSE;
  room->found.keypoints = head->form.keypoints;
  room->found.points =
      reserve (&room->points, sizeof (float), n * 3 * (gsize) head->form.keypoints);
  task->points (head, rows, objects, n, room->found.points);
  return TRUE;
}

static void
to_frame (const YoloTask *task, YoloObject *objects, size_t n, const YoloLetterbox *box,
    YoloDetailsRoom *room)
{
  room->found.whole = task->fit == YOLO_FIT_CROP;
  room->found.turned = task->turn != NULL;
  if (task->fit == YOLO_FIT_CROP)
    yolo_objects_whole_frame (objects, n, box);
  else if (task->turn != NULL)
    yolo_turned_to_frame (objects, n, box);
  else
    yolo_objects_to_frame (objects, n, box);
  yolo_details_to_frame (&room->found, n, box,
      reserve (&room->scratch, sizeof (int16_t), largest_mask (&room->found, n)));
}

gboolean
yolo_details_find (YoloExec *exec, guint image, const YoloTask *task, YoloDecode *decode,
    const YoloSuppression *how, const YoloLetterbox *box, YoloObject *scratch,
    YoloDetailsRoom *room, size_t *n, GError **error)
{
  YoloHead head;

  room->found = (YoloDetails) { 0 };
  yolo_plan_head (exec->plan, NULL, image, &head);
  if (!yolo_details_objects (exec, image, task, decode, how, scratch, room, n, error))
    return FALSE;
  if (*n > 0 && task->points != NULL
      && !find_points (exec, image, &head, task, decode->candidates, *n, room, error))
    return FALSE;
  if (*n > 0 && task->masks) {
    if (!find_masks (exec, image, &head, decode->candidates, *n, room, error))
      return FALSE;
    *n = yolo_masks_drop_empty (
        &head, decode->candidates, room->found.masks, room->found.cells, *n);
  }
  to_frame (task, decode->candidates, *n, box, room);
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
        reserve (&room->cells, sizeof (int16_t), details->n_cells), details->cells,
        details->n_cells * sizeof (int16_t));
  }
}
