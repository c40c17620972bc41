/* SPDX-License-Identifier: MIT */
/* Heads whose objects are the best pairs of an anchor and a class, against sorting all pairs. */

#include "tests/postprocess/heads.h"

#include <math.h>

typedef struct {
  int anchor, class_id;
  int rank;                     /* of the anchor among all, by its best class */
  double logit, best;           /* best: of the anchor's classes */
} Pair;

static int
compare_anchors (const void *a, const void *b)
{
  const Pair *x = a, *y = b;

  if (x->best != y->best)
    return x->best > y->best ? -1 : 1;
  return x->anchor != y->anchor ? x->anchor - y->anchor : x->class_id - y->class_id;
}

static int
compare_pairs (const void *a, const void *b)
{
  const Pair *x = a, *y = b;

  if (x->logit != y->logit)
    return x->logit > y->logit ? -1 : 1;
  return x->rank != y->rank ? x->rank - y->rank : x->class_id - y->class_id;
}

/* All pairs, best first. */
static GArray *
sorted_pairs (const YoloHead *head, int n_classes)
{
  GArray *pairs = g_array_new (FALSE, FALSE, sizeof (Pair));
  size_t n_anchors = yolo_task_detect.anchors (head), pixel;

  for (size_t i = 0; i < n_anchors; i++) {
    const YoloMap *map = yolo_head_locate (head, YOLO_MAP_CLASS, i, &pixel);
    const float *logits = test_head_pixel (map, pixel);
    float best = logits[0];

    for (int c = 1; c < n_classes; c++)
      best = logits[c] > best ? logits[c] : best;
    for (int c = 0; c < n_classes; c++) {
      Pair pair = { .anchor = (int) i, .class_id = c, .logit = (double) logits[c],
        .best = (double) best };
      g_array_append_val (pairs, pair);
    }
  }
  g_array_sort (pairs, compare_anchors);
  for (guint i = 0; i < pairs->len; i++)
    g_array_index (pairs, Pair, i).rank = (int) i / n_classes;
  g_array_sort (pairs, compare_pairs);
  return pairs;
}

/* What the engine does with the head of an image. */
static size_t
run (const YoloTask *task, const YoloHead *head, YoloDecode *decode, const YoloSuppression *how)
{
  Guarded scratch = guarded_new (decode->capacity * sizeof (YoloObject));
  YoloObject *space = (YoloObject *) (void *) scratch.data;

  task->decode (head, decode);
  g_assert_cmpuint (decode->missed, ==, 0);
  size_t n = task->finish (head, decode, how, space);
  if (n > 0) {
    g_autofree float *rows = test_head_rows (head, task->classes, decode->candidates, n);
    n = task->expand (head, rows, n, decode, how, space);
  }
  guarded_free (&scratch);
  return n;
}

/* Makes many of a map's logits equal. */
static void
round_logits (const YoloMap *map, int n_classes)
{
  for (int i = 0; i < map->width * map->height; i++) {
    float *logits = test_head_pixel (map, (size_t) i);

    for (int c = 0; c < n_classes; c++)
      logits[c] = rintf (logits[c] * 8) / 4 - 1;
  }
}

static void
test_pairs (void)
{
  static const YoloTask *const tasks[] = { &yolo_task_detect, &yolo_task_segment, &yolo_task_pose,
    &yolo_task_obb };
  Random r = random_new (1);

  for (int round = 0; round < 300; round++) {
    int n_classes = random_int (&r, 1, 12);
    TestHead t = { .head = { .form = { .end_to_end = 1 } } };

    test_head_add_levels (&t, &r, random_int (&r, 1, 3), 1, n_classes, YOLO_MAP_BOX, 0);
    for (int k = 1; k < t.head.n_maps; k += 2)
      round_logits (&t.head.maps[k], n_classes);
    size_t capacity = yolo_task_detect.anchors (&t.head);
    Guarded memory = guarded_new (capacity * sizeof (YoloObject));
    uint8_t classes[12];
    for (int c = 0; c < n_classes; c++)
      classes[c] = (uint8_t) random_int (&r, 0, 1);
    YoloDecode decode = { .confidence = round % 3 ? .3f : 0,
      .classes = random_int (&r, 0, 1) ? classes : NULL,
      .candidates = (YoloObject *) (void *) memory.data, .capacity = capacity };
    YoloSuppression how = { .iou = .1f, .max = (size_t) random_int (&r, 0, 60) };
    g_autoptr (GArray) pairs = sorted_pairs (&t.head, n_classes);
    size_t n = run (tasks[round % 4], &t.head, &decode, &how), kept = 0;

    for (guint i = 0; i < pairs->len && i < MIN (how.max, capacity); i++) {
      const Pair *pair = &g_array_index (pairs, Pair, i);
      const YoloObject *object = &decode.candidates[kept];
      double confidence = 1 / (1 + exp (-pair->logit));

      if (confidence <= (double) decode.confidence
          || (decode.classes != NULL && !classes[pair->class_id]))
        continue;
      g_assert_cmpuint (kept++, <, n);
      g_assert_cmpint (object->anchor, ==, pair->anchor);
      g_assert_cmpint (object->class_id, ==, pair->class_id);
      g_assert_cmpfloat_with_epsilon (object->confidence, confidence, 1e-6);
    }
    g_assert_cmpuint (kept, ==, n);
    guarded_free (&memory);
    test_head_clear (&t);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/end-to-end/pairs", test_pairs);
  return g_test_run ();
}
