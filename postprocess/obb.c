/* SPDX-License-Identifier: MIT */
/* Turned boxes with a class. Sources: Ultralytics nn/modules/head.py, OBB and OBB26;
 * utils/tal.py, dist2rbox; utils/metrics.py, batch_probiou; utils/nms.py, fast_nms;
 * utils/ops.py, regularize_rboxes. */

#include "postprocess/boxes.h"
#include "postprocess/nms.h"

#include <math.h>

#define PI 3.14159265358979323846f

static size_t
anchors (const YoloHead *head)
{
  const YoloMap *map = yolo_head_map (head, YOLO_MAP_ANGLE, 0);

  if (map == NULL || map->channels != 1 || !yolo_boxes_have (head, YOLO_MAP_ANGLE))
    return 0;
  return yolo_boxes_anchors (head);
}

/* Turns the middle of each box around its anchor, and names the box by the angle that is in
 * [0, pi/2): the one of its two sides. */
static void
turn (const YoloHead *head, const float *rows, YoloObject *objects, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    YoloObject *o = &objects[i];
    size_t pixel = 0;
    const YoloMap *map = yolo_head_locate (head, YOLO_MAP_ANGLE, (size_t) o->anchor, &pixel);
    float stride = (float) map->output.stride;
    float x = ((float) (pixel % (size_t) map->width) + 0.5f) * stride,
          y = ((float) (pixel / (size_t) map->width) + 0.5f) * stride;
    float angle =
        head->form.angle_sigmoid ? (1 / (1 + expf (-rows[i])) - 0.25f) * PI : rows[i];
    if (!isfinite (angle))
      angle = 0;
    float right = (o->x1 + o->x2) / 2 - x, down = (o->y1 + o->y2) / 2 - y;

    x += right * cosf (angle) - down * sinf (angle);
    y += right * sinf (angle) + down * cosf (angle);
    yolo_object_turn (o, x, y, o->x2 - o->x1, o->y2 - o->y1, angle);
  }
}

/* A box as a normal distribution: its middle, and its covariance [[a, c], [c, b]]. */
typedef struct {
  float x, y, a, b, c;
} Normal;

static Normal
normal_of (const YoloObject *o)
{
  float w = o->x2 - o->x1, h = o->y2 - o->y1, along = w * w / 12, across = h * h / 12;
  float cosine = cosf (o->angle), sine = sinf (o->angle);

  return (Normal) {
    .x = (o->x1 + o->x2) / 2, .y = (o->y1 + o->y2) / 2,
    .a = along * cosine * cosine + across * sine * sine,
    .b = along * sine * sine + across * cosine * cosine,
    .c = (along - across) * cosine * sine,
  };
}

float
yolo_turned_iou (const YoloObject *p, const YoloObject *q)
{
  const float eps = 1e-7f;
  Normal s = normal_of (p), t = normal_of (q);
  float a = s.a + t.a, b = s.b + t.b, c = s.c + t.c, det = a * b - c * c;
  float dx = s.x - t.x, dy = s.y - t.y;
  float own = fmaxf (s.a * s.b - s.c * s.c, 0) * fmaxf (t.a * t.b - t.c * t.c, 0);
  float distance = (a * dy * dy + b * dx * dx) / (det + eps) * 0.25f
      + c * -dx * dy / (det + eps) * 0.5f + logf (det / (4 * sqrtf (own) + eps) + eps) * 0.5f;

  distance = fminf (fmaxf (distance, eps), 100);
  return 1 - sqrtf (1 - expf (-distance) + eps);
}

/* The square of a box's longer side. */
static float
longer_square (const YoloObject *o)
{
  float w = o->x2 - o->x1, h = o->y2 - o->y1;

  return fmaxf (w * w, h * h);
}

/* Whether boxes overlap by less than @bound stands for, as most pairs do, told by their middles
 * alone: the distance of yolo_turned_iou() is at least 3 d^2 / (m^2 + n^2), where d is how far
 * apart these are and m and n are the longer sides, since no variance is above m^2 / 12. */
static bool
far_apart (const YoloObject *p, const YoloObject *q, float bound)
{
  float dx = (p->x1 + p->x2 - q->x1 - q->x2) / 2, dy = (p->y1 + p->y2 - q->y1 - q->y2) / 2;

  return 3 * (dx * dx + dy * dy) > bound * (longer_square (p) + longer_square (q));
}

/* An object goes if any better candidate of its class overlaps it, one that went itself
 * included. @scratch has the candidates in order, what is kept goes to the front. */
static size_t
suppress (YoloObject *candidates, size_t n, const YoloSuppression *how, YoloObject *scratch)
{
  /* the distance at which the overlap is the threshold, and some room for rounding */
  float bound = -logf (1 - (1 - how->iou) * (1 - how->iou)) * 1.01f + 1e-3f;
  size_t kept = 0;

  for (size_t i = 0; i < n; i++)
    scratch[i] = candidates[i];
  for (size_t i = 0; i < n && kept < how->max; i++) {
    bool suppressed = false;
    for (size_t k = 0; k < i && !suppressed; k++)
      suppressed = (how->agnostic || scratch[k].class_id == scratch[i].class_id)
          && !far_apart (&scratch[k], &scratch[i], bound)
          && yolo_turned_iou (&scratch[k], &scratch[i]) > how->iou;
    if (!suppressed)
      candidates[kept++] = scratch[i];
  }
  return kept;
}

static size_t
finish (const YoloHead *head, YoloDecode *decode, const YoloSuppression *how, YoloObject *scratch)
{
  if (head->form.end_to_end)
    return yolo_best (decode->candidates, decode->n, how->max, scratch);
  yolo_best (decode->candidates, decode->n, decode->n, scratch);
  return suppress (decode->candidates, decode->n, how, scratch);
}

const YoloTask yolo_task_obb = {
  .name = "obb",
  .anchors = anchors,
  .decode = yolo_boxes_decode,
  .turn = turn,
  .pairs = yolo_boxes_pairs,
  .finish = finish,
  .classes = YOLO_MAP_CLASS,
  .expand = yolo_boxes_expand,
};
