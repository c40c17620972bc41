/* SPDX-License-Identifier: MIT */
/* NMS against a plain one that looks at every pair. */

#include "postprocess/nms.h"
#include "tests/guarded.h"

#include <math.h>
#include <stdbool.h>

static int
compare_rank (const void *a, const void *b)
{
  const YoloObject *x = a, *y = b;

  if (x->confidence != y->confidence)
    return x->confidence > y->confidence ? -1 : 1;
  return x->anchor - y->anchor;
}

/* In double, and with Ultralytics' way to keep classes apart: each lies in a
 * plane of its own, far from the others. */
static double
plain_iou (const YoloObject *a, const YoloObject *b, double apart)
{
  double shift = apart * (a->class_id - b->class_id);
  double w = fmin (a->x2 + shift, b->x2) - fmax (a->x1 + shift, b->x1);
  double h = fmin (a->y2 + shift, b->y2) - fmax (a->y1 + shift, b->y1);
  double both = fmax (w, 0) * fmax (h, 0);

  return both / (((double) a->x2 - a->x1) * ((double) a->y2 - a->y1)
      + ((double) b->x2 - b->x1) * ((double) b->y2 - b->y1) - both);
}

static GArray *
plain_nms (const YoloObject *candidates, size_t n, double iou, bool agnostic, size_t max)
{
  GArray *sorted = g_array_new (FALSE, FALSE, sizeof (YoloObject));
  GArray *kept = g_array_new (FALSE, FALSE, sizeof (YoloObject));
  g_autofree bool *gone = g_new0 (bool, n + 1);

  g_array_append_vals (sorted, candidates, (guint) n);
  g_array_sort (sorted, compare_rank);
  YoloObject *d = (YoloObject *) (void *) sorted->data;
  for (size_t i = 0; i < n && kept->len < max; i++) {
    if (gone[i])
      continue;
    g_array_append_val (kept, d[i]);
    for (size_t j = i + 1; j < n; j++)
      gone[j] |= plain_iou (&d[i], &d[j], agnostic ? 0 : 1e6) > iou;
  }
  g_array_unref (sorted);
  return kept;
}

/* Whole pixels and a threshold that no quotient of theirs is near to: both
 * precisions decide alike. */
#define IOU 0.70001f

static void
random_candidates (Random *r, YoloObject *d, size_t n, int n_classes, int side)
{
  for (size_t i = 0; i < n; i++) {
    float x = (float) random_int (r, 0, side), y = (float) random_int (r, 0, side);
    d[i] = (YoloObject) {
      .x1 = x, .y1 = y,
      .x2 = x + (float) random_int (r, 20, 40), .y2 = y + (float) random_int (r, 20, 40),
      .confidence = (float) random_int (r, 1, 400) / 400,       /* many are equal */
      .class_id = random_int (r, 0, n_classes - 1), .anchor = (int32_t) i,
    };
  }
}

static void
shuffle (Random *r, YoloObject *d, size_t n)
{
  for (size_t i = n; i > 1; i--) {
    size_t j = (size_t) random_int (r, 0, (int) i - 1);
    YoloObject t = d[i - 1];
    d[i - 1] = d[j];
    d[j] = t;
  }
}

static void
assert_same (const YoloObject *a, const YoloObject *b, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    g_assert_cmpint (a[i].anchor, ==, b[i].anchor);
    g_assert_cmpmem (&a[i], sizeof *a, &b[i], sizeof *b);
  }
}

static void
test_random (void)
{
  Random r = random_new (1);

  for (int round = 0; round < 400; round++) {
    size_t n = (size_t) random_int (&r, 0, 300),
           max = (size_t) random_int (&r, 0, round % 2 ? 300 : 40);
    bool agnostic = random_int (&r, 0, 1);
    Guarded data = guarded_new (n * sizeof (YoloObject)),
            scratch = guarded_new (n * sizeof (YoloObject));
    YoloObject *d = (YoloObject *) (void *) data.data;

    random_candidates (&r, d, n, random_int (&r, 1, 5), random_int (&r, 10, 200));
    g_autoptr (GArray) want = plain_nms (d, n, IOU, agnostic, max);
    shuffle (&r, d, n);
    size_t got = yolo_nms (d, n, IOU, agnostic, max, (YoloObject *) (void *) scratch.data);
    g_assert_cmpuint (got, ==, want->len);
    assert_same (d, (YoloObject *) (void *) want->data, got);
    guarded_free (&data);
    guarded_free (&scratch);
  }
}

/* As many as a 640x640 input has anchors. */
static void
test_many (void)
{
  Random r = random_new (2);
  size_t n = 8400;
  g_autofree YoloObject *d = g_new (YoloObject, n), *scratch = g_new (YoloObject, n);

  random_candidates (&r, d, n, 80, 600);
  g_autoptr (GArray) want = plain_nms (d, n, IOU, false, 300);
  shuffle (&r, d, n);
  g_test_timer_start ();
  size_t got = yolo_nms (d, n, IOU, false, 300, scratch);
  g_test_message ("%g ms", g_test_timer_elapsed () * 1000);
  g_assert_cmpuint (got, ==, want->len);
  assert_same (d, (YoloObject *) (void *) want->data, got);
}

static void
test_iou (void)
{
  YoloObject a = { .x1 = 0, .y1 = 0, .x2 = 10, .y2 = 10 },
                b = { .x1 = 5, .y1 = 5, .x2 = 15, .y2 = 15 };
  YoloObject touching = { .x1 = 10, .y1 = 0, .x2 = 20, .y2 = 10 },
                empty = { .x1 = 3, .y1 = 3, .x2 = 3, .y2 = 3 };

  g_assert_cmpfloat_with_epsilon (yolo_iou (&a, &b), 25.0f / 175, 1e-7f);
  g_assert_cmpfloat (yolo_iou (&a, &a), ==, 1);
  g_assert_cmpfloat (yolo_iou (&a, &touching), ==, 0);
  g_assert_cmpfloat (yolo_iou (&a, &empty), ==, 0);
  g_assert_false (yolo_iou (&empty, &empty) > 0);
}

/* An overlap of exactly the threshold stays. */
static void
test_threshold (void)
{
  const YoloObject pair[2] = {
    { .x2 = 10, .y2 = 10, .confidence = 0.9f, .anchor = 0 },
    { .x2 = 10, .y2 = 5, .confidence = 0.8f, .anchor = 1 },
  };
  YoloObject d[2], scratch[2];

  memcpy (d, pair, sizeof d);
  g_assert_cmpuint (yolo_nms (d, 2, 0.5f, false, 10, scratch), ==, 2);
  memcpy (d, pair, sizeof d);
  g_assert_cmpuint (yolo_nms (d, 2, nextafterf (0.5f, 0), false, 10, scratch), ==, 1);
}

/* Boxes of no area and of infinite size are no crash. */
static void
test_degenerate (void)
{
  YoloObject d[4] = {
    { .confidence = 0.5f, .anchor = 3 },
    { .confidence = 0.5f, .anchor = 1 },
    { .x1 = -INFINITY,
        .y1 = -INFINITY,
        .x2 = INFINITY,
        .y2 = INFINITY,
        .confidence = 0.9f,
        .anchor = 2 },
    { .x1 = NAN, .y1 = NAN, .x2 = NAN, .y2 = NAN, .confidence = 0.8f, .anchor = 0 },
  };
  YoloObject scratch[4];

  g_assert_cmpuint (yolo_nms (d, 4, 0.5f, false, 10, scratch), ==, 4);
  g_assert_cmpint (d[0].anchor, ==, 2);
  g_assert_cmpint (d[1].anchor, ==, 0);
  g_assert_cmpint (d[2].anchor, ==, 1);
  g_assert_cmpint (d[3].anchor, ==, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nms/random", test_random);
  g_test_add_func ("/nms/many", test_many);
  g_test_add_func ("/nms/iou", test_iou);
  g_test_add_func ("/nms/threshold", test_threshold);
  g_test_add_func ("/nms/degenerate", test_degenerate);
  return g_test_run ();
}
