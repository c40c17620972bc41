/* SPDX-License-Identifier: MIT */
/* Anchors of several classes, against all pairs of anchors and classes. */

#include "postprocess/nms.h"
#include "tests/postprocess/heads.h"

#include <math.h>

/* Best first; no two pairs are equal. */
static int
compare (const void *a, const void *b)
{
  const YoloObject *x = a, *y = b;

  if (x->confidence != y->confidence)
    return x->confidence > y->confidence ? -1 : 1;
  return x->anchor != y->anchor ? x->anchor - y->anchor : x->class_id - y->class_id;
}

/* All pairs above the threshold that are wanted, best first, without their boxes. */
static GArray *
all_pairs (const YoloHead *head, const YoloDecode *decode, int n_classes)
{
  GArray *pairs = g_array_new (FALSE, FALSE, sizeof (YoloObject));
  size_t n_anchors = yolo_task_detect.anchors (head), pixel;

  for (size_t i = 0; i < n_anchors; i++) {
    const YoloMap *map = yolo_head_locate (head, YOLO_MAP_CLASS, i, &pixel);
    const float *logits = test_head_pixel (map, pixel);

    for (int c = 0; c < n_classes; c++) {
      YoloObject pair = { .confidence = 1 / (1 + expf (-logits[c])), .class_id = c,
        .anchor = (int32_t) i };

      if (pair.confidence > decode->confidence
          && (decode->classes == NULL || decode->classes[c]))
        g_array_append_val (pairs, pair);
    }
  }
  g_array_sort (pairs, compare);
  return pairs;
}

/* Makes many of a map's logits equal. */
static void
round_logits (const YoloMap *map, int n_classes)
{
  for (int i = 0; i < map->width * map->height; i++) {
    float *logits = test_head_pixel (map, (size_t) i);

    for (int c = 0; c < n_classes; c++)
      logits[c] = rintf (logits[c] * 2) / 2;
  }
}

static void
test_pairs (void)
{
  static const YoloTask *const tasks[] = { &yolo_task_detect, &yolo_task_segment, &yolo_task_pose,
    &yolo_task_obb };
  Random r = random_new (1);
  size_t cut = 0, whole = 0;

  for (int round = 0; round < 400; round++) {
    const YoloTask *task = tasks[round % 4];
    int n_classes = random_int (&r, 1, 12);
    TestHead t = { 0 };

    test_head_add_levels (&t, &r, random_int (&r, 1, 3), 1, n_classes, YOLO_MAP_BOX, 0);
    for (int k = 1; k < t.head.n_maps && round % 3; k += 2)
      round_logits (&t.head.maps[k], n_classes);
    size_t anchors = yolo_task_detect.anchors (&t.head), max = (size_t) random_int (&r, 1, 300);
    Guarded memory = guarded_new (anchors * sizeof (YoloObject)),
            found = guarded_new (2 * max * sizeof (YoloObject)),
            scratch = guarded_new (2 * max * sizeof (YoloObject));
    YoloObject *pairs = (YoloObject *) (void *) found.data,
               *space = (YoloObject *) (void *) scratch.data;
    uint8_t classes[12];
    for (int c = 0; c < n_classes; c++)
      classes[c] = (uint8_t) random_int (&r, 0, 1);
    YoloDecode decode = { .confidence = round % 5 ? .3f : 0, .multi_label = true,
      .classes = random_int (&r, 0, 1) ? classes : NULL,
      .candidates = (YoloObject *) (void *) memory.data, .capacity = anchors };
    g_autoptr (GArray) want = all_pairs (&t.head, &decode, n_classes);

    task->decode (&t.head, &decode);
    g_autofree float *rows =
        test_head_rows (&t.head, task->classes, decode.candidates, decode.n);
    g_autofree YoloObject *boxes =
        g_memdup2 (decode.candidates, MAX (decode.n, 1) * sizeof (YoloObject));
    size_t n = task->pairs (&t.head, rows, &decode, pairs, max, space);

    g_assert_cmpuint (n, ==, MIN (want->len, max));
    for (size_t i = 0; i < n / 2; i++) {        /* in no order */
      YoloObject first = pairs[i];
      pairs[i] = pairs[n - 1 - i];
      pairs[n - 1 - i] = first;
    }
    yolo_best (pairs, n, n, space);
    for (size_t i = 0, k; i < n; i++) {
      const YoloObject *pair = &g_array_index (want, YoloObject, i);

      g_assert_cmpint (pairs[i].anchor, ==, pair->anchor);
      g_assert_cmpint (pairs[i].class_id, ==, pair->class_id);
      g_assert_cmpfloat_with_epsilon (pairs[i].confidence, pair->confidence, 1e-6f);
      for (k = 0; boxes[k].anchor != pair->anchor; k++)
        g_assert_cmpuint (k, <, decode.n);
      g_assert_cmpmem (&pairs[i], 4 * sizeof (float), &boxes[k], 4 * sizeof (float));
    }
    cut += want->len > 3 * max;
    whole += want->len > 0 && want->len <= max;
    guarded_free (&memory);
    guarded_free (&found);
    guarded_free (&scratch);
    test_head_clear (&t);
  }
  g_assert_cmpuint (cut, >, 50);
  g_assert_cmpuint (whole, >, 50);
}

/* An anchor that is two things is both after suppression, unless classes suppress each other; the
 * one that is not wanted does not hide the other one. */
static void
test_suppression (void)
{
  float box[4] = { 2, 2, 2, 2 }, logits[3] = { 1, -9, 2 };
  const uint8_t first[3] = { 1, 0, 0 };
  YoloHead head = { .n_maps = 2, .maps = {
    { .output = { YOLO_MAP_BOX, 0, 8, 0 }, .data = box, .pitch = 4, .width = 1, .height = 1,
      .channels = 4 },
    { .output = { YOLO_MAP_CLASS, 0, 8, 0 }, .data = logits, .pitch = 3, .width = 1, .height = 1,
      .channels = 3 } } };

  for (int agnostic = 0; agnostic < 2; agnostic++) {
    for (int wanted = 0; wanted < 2; wanted++) {
      YoloObject candidate, pairs[20], scratch[20];
      YoloDecode decode = { .confidence = .25f, .multi_label = true,
        .classes = wanted ? first : NULL, .candidates = &candidate, .capacity = 1 };
      YoloSuppression how = { .iou = .7f, .agnostic = agnostic, .max = 10 };

      yolo_task_detect.decode (&head, &decode);
      g_assert_cmpuint (decode.n, ==, 1);
      decode.n = yolo_task_detect.pairs (&head, logits, &decode, pairs, 10, scratch);
      decode.candidates = pairs;
      size_t n = yolo_task_detect.finish (&head, &decode, &how, scratch);
      g_assert_cmpuint (n, ==, wanted || agnostic ? 1 : 2);
      g_assert_cmpint (pairs[0].class_id, ==, wanted ? 0 : 2);
      if (n == 2)
        g_assert_cmpint (pairs[1].class_id, ==, 0);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/multi-label/pairs", test_pairs);
  g_test_add_func ("/multi-label/suppression", test_suppression);
  return g_test_run ();
}
