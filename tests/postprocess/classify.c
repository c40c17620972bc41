/* SPDX-License-Identifier: MIT */
/* The best classes of an image against the softmax in double. */

#include "tests/postprocess/heads.h"

#include <math.h>

/* Runs the task on the logits, as yolo_details_objects() does. Returns how many objects there
 * are. @capacity: of the candidates, [capacity]. */
static size_t
run (const float *logits, int n_classes, const uint8_t *classes, size_t max, YoloObject *objects,
    size_t capacity)
{
  YoloHead head = { .form = { .end_to_end = 1 }, .n_maps = 1 };
  Guarded candidates = guarded_new (capacity * sizeof (YoloObject)),
          scratch = guarded_new (capacity * sizeof (YoloObject)),
          rows = guarded_new ((size_t) n_classes * sizeof (float));
  YoloDecode decode = { .confidence = 2, .classes = classes,
    .candidates = (YoloObject *) (void *) candidates.data, .capacity = capacity };
  YoloSuppression how = { .iou = .7f, .max = max };

  memcpy (rows.data, logits, rows.size);
  head.maps[0] = (YoloMap) { .output = { .role = YOLO_MAP_LOGIT, .stride = 1 },
    .data = (float *) (void *) rows.data, .pitch = (size_t) n_classes, .width = 1, .height = 1,
    .channels = n_classes };
  g_assert_cmpuint (yolo_task_classify.anchors (&head), ==, (size_t) n_classes);
  yolo_task_classify.decode (&head, &decode);
  size_t n = yolo_task_classify.finish (
      &head, &decode, &how, (YoloObject *) (void *) scratch.data);
  g_assert_cmpuint (n, <=, max);
  if (n > 0) {
    g_assert_cmpint (decode.candidates[0].anchor, ==, 0);
    n = yolo_task_classify.expand (&head, (float *) (void *) rows.data, n, &decode, &how,
        (YoloObject *) (void *) scratch.data);
  }
  memcpy (objects, decode.candidates, n * sizeof *objects);
  guarded_free (&candidates);
  guarded_free (&scratch);
  guarded_free (&rows);
  return n;
}

static void
test_random (void)
{
  Random r = random_new (1);

  for (int round = 0; round < 1000; round++) {
    int n_classes = random_int (&r, 1, round % 10 ? 30 : 1000);
    size_t max = (size_t) random_int (&r, 0, 8),
           capacity = (size_t) (random_int (&r, 0, 3) ? n_classes : random_int (&r, 0, n_classes));
    g_autofree float *logits = g_new (float, n_classes);
    g_autofree uint8_t *classes = g_new (uint8_t, n_classes);
    g_autofree gboolean *taken = g_new0 (gboolean, n_classes);
    YoloObject objects[5];
    double sum = 0;
    size_t n_wanted = 0;

    for (int c = 0; c < n_classes; c++) {
      /* a few are equal */
      logits[c] = (float) rint (random_normal (&r) * 20) / 4 + (round % 3 ? 0 : 200);
      sum += exp ((double) logits[c]);
      classes[c] = (uint8_t) random_int (&r, 0, 1);
    }
    const uint8_t *filter = random_int (&r, 0, 1) ? classes : NULL;
    for (int c = 0; c < n_classes; c++)
      n_wanted += filter == NULL || filter[c];

    size_t n = run (logits, n_classes, filter, max, objects, capacity);
    g_assert_cmpuint (n, ==, MIN (MIN (MIN (max, capacity), 5), n_wanted));
    for (size_t i = 0; i < n; i++) {
      int best = -1;

      for (int c = 0; c < n_classes; c++)
        if ((filter == NULL || filter[c]) && !taken[c] && (best < 0 || logits[c] > logits[best]))
          best = c;
      taken[best] = TRUE;
      g_assert_cmpint (objects[i].class_id, ==, best);
      g_assert_cmpfloat_with_epsilon (
          objects[i].confidence, exp ((double) logits[best]) / sum, 1e-5);
    }
  }
}

static void
test_not_finite (void)
{
  static const float bad[][3] = { { 1, NAN, 2 }, { NAN, 1, 2 }, { 1, 2, NAN }, { 1, INFINITY, 2 },
    { -INFINITY, -INFINITY, -INFINITY } };
  const float far[3] = { -INFINITY, 3, 3 };
  YoloObject objects[5];

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpuint (run (bad[i], 3, NULL, 5, objects, 3), ==, 0);
  g_assert_cmpuint (run (far, 3, NULL, 5, objects, 3), ==, 3);
  g_assert_cmpfloat (objects[0].confidence, ==, .5);
  g_assert_cmpint (objects[2].class_id, ==, 0);
  g_assert_cmpfloat (objects[2].confidence, ==, 0);
}

static void
test_heads (void)
{
  Random r = random_new (2);
  TestHead t = { .head = { .form = { .end_to_end = 1 } } }, boxes = { 0 };

  test_head_add (&t, &r, (YoloOutput) { .role = YOLO_MAP_LOGIT, .stride = 1 }, 1, 1, 10);
  test_head_add_levels (&boxes, &r, 2, 16, 3, YOLO_MAP_BOX, 0);
  g_assert_cmpuint (yolo_task_classify.anchors (&boxes.head), ==, 0);
  g_assert_cmpuint (yolo_task_detect.anchors (&t.head), ==, 0);
  g_assert_cmpuint (yolo_task_classify.anchors (&t.head), ==, 10);
  for (int change = 0; change < 4; change++) {
    YoloObject found;
    YoloDecode d = { .candidates = &found, .capacity = 1, .n = 7, .missed = 7 };
    YoloHead head = t.head;

    head.n_maps = change != 0;
    head.form.end_to_end = change != 1;
    head.maps[0].width += change == 2;
    head.maps[0].height += change == 3;
    g_assert_cmpuint (yolo_task_classify.anchors (&head), ==, 0);
    yolo_task_classify.decode (&head, &d);
    g_assert_cmpuint (d.n + d.missed, ==, 0);
  }
  g_assert_true (yolo_task_find ("classify") == &yolo_task_classify);
  g_assert_cmpint (yolo_task_classify.fit, ==, YOLO_FIT_CROP);
  test_head_clear (&t);
  test_head_clear (&boxes);
}

/* The box of a class is what is visible of the frame, however it lies. */
static void
test_frame (void)
{
  for (unsigned turn = 0; turn < 8; turn++) {
    const YoloFrame frame = { .width = 400, .height = 300, .turn = turn,
      .crop = { 100, 50, 200, 120 } };
    YoloObject objects[2] = { { .x1 = 7, .confidence = .5f, .class_id = 3 } };
    YoloLetterbox box;

    yolo_letterbox_crop (&box, &frame, 64, 64);
    yolo_objects_whole_frame (objects, 2, &box);
    for (int i = 0; i < 2; i++) {
      g_assert_cmpfloat_with_epsilon (objects[i].x1, 100, 1e-3);
      g_assert_cmpfloat_with_epsilon (objects[i].y1, 50, 1e-3);
      g_assert_cmpfloat_with_epsilon (objects[i].x2, 300, 1e-3);
      g_assert_cmpfloat_with_epsilon (objects[i].y2, 170, 1e-3);
    }
    g_assert_cmpint (objects[0].class_id, ==, 3);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/classify/random", test_random);
  g_test_add_func ("/classify/not-finite", test_not_finite);
  g_test_add_func ("/classify/heads", test_heads);
  g_test_add_func ("/classify/frame", test_frame);
  return g_test_run ();
}
