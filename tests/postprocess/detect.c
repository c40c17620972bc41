/* SPDX-License-Identifier: MIT */
/* Decode against the formulas, anchor by anchor, in double. */

#include "postprocess/task.h"
#include "tests/guarded.h"
#include "tests/postprocess/levels.h"

#include <math.h>
#include <stdbool.h>

#define MAX_LEVELS 4

/* Random maps in guarded memory: nothing behind the last logit of the last pixel. */
typedef struct {
  TestLevel levels[MAX_LEVELS];
  Guarded box[MAX_LEVELS], cls[MAX_LEVELS];
  int n_levels, reg_max, n_classes;
  size_t n_anchors;
} Maps;

static Guarded
random_map (Random *r, size_t pixels, size_t stride, size_t channels, double mean, double sd)
{
  size_t n = (pixels - 1) * stride + channels;
  Guarded g = guarded_new (n * sizeof (float));
  float *v = (float *) (void *) g.data;

  for (size_t i = 0; i < n; i++)
    v[i] = (float) (mean + sd * random_normal (r));
  return g;
}

static Maps
maps_new (Random *r, int n_levels, int reg_max, int n_classes, int max_side)
{
  Maps m = { .n_levels = n_levels, .reg_max = reg_max, .n_classes = n_classes };

  for (int l = 0; l < n_levels; l++) {
    TestLevel *level = &m.levels[l];
    level->width = random_int (r, 1, max_side);
    level->height = random_int (r, 1, max_side);
    level->stride = 8 << l;
    level->box_stride = (size_t) (4 * reg_max + random_int (r, 0, 5));
    level->cls_stride = (size_t) (n_classes + random_int (r, 0, 5));
    size_t pixels = (size_t) level->width * level->height;
    m.box[l] = random_map (r, pixels, level->box_stride, (size_t) (4 * reg_max), 0, 2);
    m.cls[l] = random_map (r, pixels, level->cls_stride, (size_t) n_classes, -5, 2);
    level->box = (const float *) (const void *) m.box[l].data;
    level->cls = (const float *) (const void *) m.cls[l].data;
    m.n_anchors += pixels;
  }
  return m;
}

static void
maps_free (Maps *m)
{
  for (int l = 0; l < m->n_levels; l++) {
    guarded_free (&m->box[l]);
    guarded_free (&m->cls[l]);
  }
}

/* The logits of an anchor, to be changed. */
static float *
cls_of (Maps *m, int level, size_t i)
{
  return (float *) (void *) m->cls[level].data + i * m->levels[level].cls_stride;
}

static float *
box_of (Maps *m, int level, size_t i)
{
  return (float *) (void *) m->box[level].data + i * m->levels[level].box_stride;
}

static double
plain_expectation (const float *x, int n)
{
  double sum = 0, mean = 0;

  if (n == 1)                   /* the distance itself */
    return x[0];
  for (int i = 0; i < n; i++) {
    sum += exp ((double) x[i]);
    mean += i * exp ((double) x[i]);
  }
  return mean / sum;
}

typedef struct {
  double x1, y1, x2, y2, confidence;
  int class_id, anchor;
} Plain;

/* Confidences are compared as floats: no random logit is near to a threshold. */
static GArray *
plain_decode (const Maps *m, double confidence, const uint8_t *classes)
{
  GArray *out = g_array_new (FALSE, FALSE, sizeof (Plain));
  int anchor = 0;

  for (int l = 0; l < m->n_levels; l++) {
    const TestLevel *level = &m->levels[l];
    for (int y = 0; y < level->height; y++) {
      for (int x = 0; x < level->width; x++, anchor++) {
        size_t i = (size_t) y * level->width + x;
        const float *cls = level->cls + i * level->cls_stride,
                    *box = level->box + i * level->box_stride;
        int best = 0;
        for (int c = 1; c < m->n_classes; c++)
          if (cls[c] > cls[best])
            best = c;
        double score = 1 / (1 + exp (-(double) cls[best]));
        if (!(score > confidence) || (classes && !classes[best]))
          continue;
        double side[4];
        for (int s = 0; s < 4; s++)
          side[s] = plain_expectation (box + s * m->reg_max, m->reg_max);
        Plain p = {
          (x + 0.5 - side[0]) * level->stride, (y + 0.5 - side[1]) * level->stride,
          (x + 0.5 + side[2]) * level->stride, (y + 0.5 + side[3]) * level->stride,
          score, best, anchor,
        };
        g_array_append_val (out, p);
      }
    }
  }
  return out;
}

static void
decode (const Maps *m, YoloDecode *d)
{
  test_decode_levels (m->levels, m->n_levels, m->reg_max, m->n_classes, d);
}

static void
test_random (void)
{
  Random r = random_new (1);
  static const double confidences[] = { 0.25, 0.001, 0.05, 0.9, 0, 1 };

  for (int round = 0; round < 200; round++) {
    int n_classes = random_int (&r, 1, round % 4 ? 100 : 3);
    Maps m = maps_new (
        &r, random_int (&r, 1, MAX_LEVELS), random_int (&r, 1, round % 4 ? 20 : 64), n_classes, 20);
    double confidence = confidences[round % G_N_ELEMENTS (confidences)];
    g_autofree uint8_t *classes = g_new (uint8_t, n_classes);
    for (int c = 0; c < n_classes; c++)
      classes[c] = (uint8_t) random_int (&r, 0, 1);
    const uint8_t *filter = random_int (&r, 0, 1) ? classes : NULL;
    g_autoptr (GArray) want = plain_decode (&m, confidence, filter);
    size_t capacity =
        random_int (&r, 0, 2) ? m.n_anchors : (size_t) random_int (&r, 0, (int) m.n_anchors);
    Guarded out = guarded_new (capacity * sizeof (YoloObject));
    YoloDecode d = {
      .confidence = (float) confidence, .classes = filter,
      .candidates = (YoloObject *) (void *) out.data, .capacity = capacity,
    };

    decode (&m, &d);
    g_assert_cmpuint (d.n, ==, MIN (want->len, capacity));
    g_assert_cmpuint (d.n + d.missed, ==, want->len);
    for (size_t i = 0; i < d.n; i++) {
      const YoloObject *got = &d.candidates[i];
      const Plain *p = &g_array_index (want, Plain, i);
      g_assert_cmpint (got->anchor, ==, p->anchor);
      g_assert_cmpint (got->class_id, ==, p->class_id);
      g_assert_cmpfloat_with_epsilon (got->confidence, p->confidence, 1e-6 * p->confidence);
      g_assert_cmpfloat_with_epsilon (got->x1, p->x1, 4e-3);
      g_assert_cmpfloat_with_epsilon (got->y1, p->y1, 4e-3);
      g_assert_cmpfloat_with_epsilon (got->x2, p->x2, 4e-3);
      g_assert_cmpfloat_with_epsilon (got->y2, p->y2, 4e-3);
    }
    guarded_free (&out);
    maps_free (&m);
  }
}

/* One pixel with the given logits. */
static YoloDecode
decode_one (const float *cls, int n_classes, const float *box, float confidence, YoloObject *out)
{
  static const float flat[4 * 16];
  const TestLevel level = {
    .box = box ? box : flat, .cls = cls, .box_stride = 64, .cls_stride = (size_t) n_classes,
    .width = 1, .height = 1, .stride = 8,
  };
  YoloDecode d = { .confidence = confidence, .candidates = out, .capacity = 1 };

  test_decode_levels (&level, 1, 16, n_classes, &d);
  return d;
}

static double
plain_steps (YoloSteps steps, double x)
{
  double k = rint (x / steps.step);

  return (k < steps.low ? steps.low : k > steps.high ? steps.high : k) * steps.step;
}

/* A quantised file's sides: the softmax on its steps, the bins as they are, the
 * distance on its own steps. What is near the edge of two steps may be on either. */
static void
test_rounding (void)
{
  Random r = random_new (7);
  float bins[16];

  for (int i = 0; i < 16; i++)
    bins[i] = (float) i * 1.01f;
  for (int round = 0; round < 2000; round++) {
    const YoloSideRounding rounding = {
      .softmax = { 1 / 256.f, 0, round % 3 ? 255 : 100 },
      .distance = { round % 2 ? .06f : 0, -20, 180 },
      .bins = bins,
    };
    const float cls = 2, step = rounding.distance.step;
    float box[64];
    double side[4], near = 0;
    YoloObject out;
    const TestLevel level = { .box = box,
      .cls = &cls,
      .box_stride = 64,
      .cls_stride = 1,
      .width = 1,
      .height = 1,
      .stride = 8 };
    YoloDecode d = { .confidence = .25f, .rounding = &rounding, .candidates = &out, .capacity = 1 };

    for (int i = 0; i < 64; i++)
      box[i] = (float) (4 * random_normal (&r));
    for (int s = 0; s < 4; s++) {
      double sum = 0;
      side[s] = 0;
      for (int i = 0; i < 16; i++)
        sum += exp ((double) box[s * 16 + i]);
      for (int i = 0; i < 16; i++) {
        double p = exp ((double) box[s * 16 + i]) / sum,
               part = fabs (p * 256 - floor (p * 256) - .5);
        near = part < 1e-3 ? 1 : near;
        side[s] += plain_steps (rounding.softmax, p) * (double) bins[i];
      }
      if (step != 0) {
        double q = side[s] / (double) step;
        near = fabs (q - floor (q) - .5) < 1e-3 ? 1 : near;
        side[s] = plain_steps (rounding.distance, side[s]);
      }
    }
    if (near != 0)
      continue;
    test_decode_levels (&level, 1, 16, 1, &d);
    g_assert_cmpuint (d.n, ==, 1);
    g_assert_cmpfloat_with_epsilon (out.x1, (.5 - side[0]) * 8, 1e-3);
    g_assert_cmpfloat_with_epsilon (out.y1, (.5 - side[1]) * 8, 1e-3);
    g_assert_cmpfloat_with_epsilon (out.x2, (.5 + side[2]) * 8, 1e-3);
    g_assert_cmpfloat_with_epsilon (out.y2, (.5 + side[3]) * 8, 1e-3);
  }
}

/* A confidence is kept if it is above the threshold, to the last bit. */
static void
test_boundary (void)
{
  YoloObject out;
  Random r = random_new (3);

  for (int i = 0; i < 20000; i++) {
    float logit = (float) (random_normal (&r) * (i % 2 ? 3 : 8));
    g_assert_cmpuint (decode_one (&logit, 1, NULL, 0, &out).n, ==, 1);
    float confidence = out.confidence;
    g_assert_cmpuint (decode_one (&logit, 1, NULL, confidence, &out).n, ==, 0);
    g_assert_cmpuint (decode_one (&logit, 1, NULL, nextafterf (confidence, 1), &out).n, ==, 0);
    g_assert_cmpuint (decode_one (&logit, 1, NULL, nextafterf (confidence, 0), &out).n, ==, 1);
  }
}

static void
test_ties (void)
{
  YoloObject out;
  const float cls[5] = { -1, 2, 0, 2, 2 };

  g_assert_cmpuint (decode_one (cls, 5, NULL, 0.25f, &out).n, ==, 1);
  g_assert_cmpint (out.class_id, ==, 1);
}

/* No finite logit: no detection, no crash, and the neighbours are as ever. */
static void
test_not_finite (void)
{
  static const float bad[] = { NAN, -NAN, INFINITY };
  Random r = random_new (4);
  YoloObject out;

  for (int i = 0; i < 300; i++) {
    int n_classes = random_int (&r, 1, 100);
    float cls[100], box[64] = { 0 };
    for (int c = 0; c < n_classes; c++)
      cls[c] = (float) random_normal (&r) + 3;
    g_assert_cmpuint (decode_one (cls, n_classes, box, 0.25f, &out).n, ==, 1);

    box[random_int (&r, 0, 63)] = bad[i % 3];
    g_assert_cmpuint (decode_one (cls, n_classes, box, 0.25f, &out).n, ==, 0);

    cls[random_int (&r, 0, n_classes - 1)] = bad[i % 3];
    g_assert_cmpuint (decode_one (cls, n_classes, NULL, 0.25f, &out).n, ==, 0);

    for (int c = 0; c < n_classes; c++)
      cls[c] = i % 2 ? NAN : -INFINITY;
    g_assert_cmpuint (decode_one (cls, n_classes, NULL, 0, &out).n, ==, 0);
  }

  Maps m = maps_new (&r, 1, 16, 80, 20);
  size_t middle = m.n_anchors / 2;
  cls_of (&m, 0, middle)[7] = 5;
  g_autoptr (GArray) want = plain_decode (&m, 0.25, NULL);
  g_autofree YoloObject *found = g_new (YoloObject, m.n_anchors);
  YoloDecode d = { .confidence = 0.25f, .candidates = found, .capacity = m.n_anchors };
  decode (&m, &d);
  g_assert_cmpuint (d.n, ==, want->len);
  box_of (&m, 0, middle)[3] = NAN;
  decode (&m, &d);
  g_assert_cmpuint (d.n, ==, want->len - 1);
  maps_free (&m);
}

/* Thresholds that are none. */
static void
test_thresholds (void)
{
  YoloObject out;
  const float cls[1] = { 30 };

  g_assert_cmpuint (decode_one (cls, 1, NULL, -1, &out).n, ==, 1);
  g_assert_cmpuint (decode_one (cls, 1, NULL, 1, &out).n, ==, 0);
  g_assert_cmpuint (decode_one (cls, 1, NULL, 2, &out).n, ==, 0);
  g_assert_cmpuint (decode_one (cls, 1, NULL, NAN, &out).n, ==, 0);
}

/* Maps of another head are not taken, and give no candidates. */
static void
test_other_heads (void)
{
  static const float zeros[4 * 16];
  const YoloHead good = { .n_maps = 4, .maps = {
    { { YOLO_MAP_BOX, 0, 8, 0 }, zeros, 64, 4, 3, 64 },
    { { YOLO_MAP_CLASS, 0, 8, 0 }, zeros, 5, 4, 3, 5 },
    { { YOLO_MAP_BOX, 1, 16, 0 }, zeros, 64, 2, 2, 64 },
    { { YOLO_MAP_CLASS, 1, 16, 0 }, zeros, 5, 2, 2, 5 },
  } };
  YoloHead less = good;

  less.n_maps = 2;
  g_assert_cmpuint (yolo_task_detect.anchors (&good), ==, 16);
  g_assert_cmpuint (yolo_task_detect.anchors (&less), ==, 12);
  for (int change = 0; change < 8; change++) {
    YoloObject found;
    YoloDecode d = { .candidates = &found, .capacity = 1, .n = 7, .missed = 7 };
    YoloHead head = good;
    YoloMap *maps = head.maps;

    head.n_maps = change == 0 ? 0 : change == 1 ? 3 : 4;
    if (change == 2)
      maps[0].output.role = YOLO_MAP_CLASS;
    else if (change == 3)
      maps[3].output.role = YOLO_MAP_BOX;
    else if (change == 4)
      maps[1].width = 3;
    else if (change == 5)
      maps[2].channels = 32;
    else if (change == 6)
      maps[3].channels = 4;
    else if (change == 7)
      maps[0].channels = maps[2].channels = 63;
    g_assert_cmpuint (yolo_task_detect.anchors (&head), ==, 0);
    yolo_task_detect.decode (&head, &d);
    g_assert_cmpuint (d.n + d.missed, ==, 0);
  }
}

static void
test_find (void)
{
  g_assert_true (yolo_task_find ("detect") == &yolo_task_detect);
  g_assert_null (yolo_task_find ("detective"));
  g_assert_null (yolo_task_find (""));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/decode/random", test_random);
  g_test_add_func ("/decode/rounding", test_rounding);
  g_test_add_func ("/decode/boundary", test_boundary);
  g_test_add_func ("/decode/ties", test_ties);
  g_test_add_func ("/decode/not-finite", test_not_finite);
  g_test_add_func ("/decode/thresholds", test_thresholds);
  g_test_add_func ("/detect/other-heads", test_other_heads);
  g_test_add_func ("/detect/find", test_find);
  return g_test_run ();
}
