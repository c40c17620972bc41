/* SPDX-License-Identifier: MIT */
/* Objects that several parts of a frame show, merged: by cases, and against the area of shared
 * pixels counted one by one. */

#include "postprocess/merge.h"
#include "tests/guarded.h"

#include <math.h>

#define MOST 6

typedef struct {
  YoloObject object;
  YoloSighting seen;
} Found;

#define FOUND(x1, y1, x2, y2, confidence, class_id, part, cut) \
  { { x1, y1, x2, y2, confidence, class_id, 0, 0 }, { part, cut } }

/* A frame of 100 x 40, whose tiles are parts 1 (x to 60) and 2 (x from 40); part 0 is the whole
 * frame. Rows of `left` give the box and the number of the object with the points. */
static const struct {
  const char *name;
  bool agnostic;
  size_t max;
  guint n;
  Found found[MOST];
  guint n_left;
  struct {
    float x1, y1, x2, y2, confidence;
    int number;
  } left[MOST];
} cases[] = {
  { "nothing", false, 10, 0, { }, 0, { } },
  { "what is seen twice is one, the best", false, 10, 2,
      { FOUND (42, 5, 58, 20, .6f, 1, 1, false), FOUND (42, 5, 57, 21, .7f, 1, 2, false) },
      1, { { 42, 5, 57, 21, .7f, 1 } } },
  { "classes stay apart", false, 10, 2,
      { FOUND (42, 5, 58, 20, .6f, 1, 1, false), FOUND (42, 5, 57, 21, .7f, 2, 2, false) },
      2, { { 42, 5, 57, 21, .7f, 1 }, { 42, 5, 58, 20, .6f, 0 } } },
  { "but not where they may be the same", true, 10, 2,
      { FOUND (42, 5, 58, 20, .6f, 1, 1, false), FOUND (42, 5, 57, 21, .7f, 2, 2, false) },
      1, { { 42, 5, 57, 21, .7f, 1 } } },
  { "two halves become a whole", false, 10, 2,
      { FOUND (20, 5, 60, 20, .6f, 1, 1, true), FOUND (40, 5, 70, 22, .5f, 1, 2, true) },
      1, { { 20, 5, 70, 22, .6f, 0 } } },
  { "halves that share less than half of the smaller one are two", false, 10, 2,
      { FOUND (10, 5, 60, 20, .6f, 1, 1, true), FOUND (40, 5, 90, 20, .5f, 1, 2, true) },
      2, { { 10, 5, 60, 20, .6f, 0 }, { 40, 5, 90, 20, .5f, 1 } } },
  { "the whole is the box of a piece, with the best confidence", false, 10, 2,
      { FOUND (20, 5, 60, 20, .9f, 1, 1, true), FOUND (19, 4, 71, 21, .5f, 1, 0, false) },
      1, { { 19, 4, 71, 21, .9f, 1 } } },
  { "and joins two pieces that are not near each other", false, 10, 3,
      { FOUND (10, 5, 60, 20, .9f, 1, 1, true), FOUND (40, 5, 90, 20, .8f, 1, 2, true),
          FOUND (9, 4, 91, 21, .5f, 1, 0, false) },
      1, { { 9, 4, 91, 21, .9f, 2 } } },
  { "a piece joins two that are on its sides", false, 10, 3,
      { FOUND (10, 5, 60, 20, .9f, 1, 1, true), FOUND (50, 5, 95, 20, .8f, 1, 2, true),
          FOUND (20, 5, 90, 20, .5f, 1, 3, true) },
      1, { { 10, 5, 95, 20, .9f, 0 } } },
  { "a piece goes to the one that it shares most with", false, 10, 3,
      { FOUND (20, 5, 60, 20, .9f, 1, 1, true), FOUND (50, 5, 90, 20, .8f, 1, 2, true),
          FOUND (32, 5, 68, 20, .5f, 1, 3, true) },
      2, { { 20, 5, 68, 20, .9f, 0 }, { 50, 5, 90, 20, .8f, 1 } } },
  { "objects of one part are not compared", false, 10, 2,
      { FOUND (20, 5, 50, 20, .9f, 1, 1, false), FOUND (22, 5, 50, 20, .8f, 1, 1, false) },
      2, { { 20, 5, 50, 20, .9f, 0 }, { 22, 5, 50, 20, .8f, 1 } } },
  { "the best are kept", false, 2, 3,
      { FOUND (0, 0, 10, 10, .5f, 1, 1, false), FOUND (20, 0, 30, 10, .7f, 1, 1, false),
          FOUND (80, 0, 90, 10, .6f, 1, 2, false) },
      2, { { 20, 0, 30, 10, .7f, 1 }, { 80, 0, 90, 10, .6f, 2 } } },
  { "empty boxes match nothing", false, 10, 2,
      { FOUND (20, 5, 20, 20, .9f, 1, 1, false), FOUND (20, 5, 20, 20, .8f, 1, 2, false) },
      2, { { 20, 5, 20, 20, .9f, 0 }, { 20, 5, 20, 20, .8f, 1 } } },
};

static void
test_case (gconstpointer data)
{
  const guint c = GPOINTER_TO_UINT (data);
  g_autofree YoloObject *objects = g_new0 (YoloObject, MOST), *scratch = g_new0 (YoloObject, MOST);
  YoloSighting seen[MOST];
  size_t n;

  for (guint i = 0; i < cases[c].n; i++) {
    objects[i] = cases[c].found[i].object;
    objects[i].anchor = (int) i;
    seen[i] = cases[c].found[i].seen;
  }
  n = yolo_merge (objects, cases[c].n, seen, cases[c].agnostic, cases[c].max, scratch);
  g_assert_cmpuint (n, ==, cases[c].n_left);
  for (guint i = 0; i < n; i++) {
    g_assert_cmpfloat (objects[i].x1, ==, cases[c].left[i].x1);
    g_assert_cmpfloat (objects[i].y1, ==, cases[c].left[i].y1);
    g_assert_cmpfloat (objects[i].x2, ==, cases[c].left[i].x2);
    g_assert_cmpfloat (objects[i].y2, ==, cases[c].left[i].y2);
    g_assert_cmpfloat (objects[i].confidence, ==, cases[c].left[i].confidence);
    g_assert_cmpint (objects[i].anchor, ==, cases[c].left[i].number);
  }
}

/* Whether a point lies in a turned box. */
static bool
covers (const YoloObject *d, float x, float y)
{
  float dx = x - (d->x1 + d->x2) / 2, dy = y - (d->y1 + d->y2) / 2;
  float right = dx * cosf (d->angle) + dy * sinf (d->angle),
      down = dy * cosf (d->angle) - dx * sinf (d->angle);

  return fabsf (right) <= (d->x2 - d->x1) / 2 && fabsf (down) <= (d->y2 - d->y1) / 2;
}

static float
float_between (GRand *random, double low, double high)
{
  return (float) g_rand_double_range (random, low, high);
}

/* What two turned boxes share, by points on a grid. */
static void
test_turned (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (1);

  for (guint run = 0; run < 60; run++) {
    YoloObject box[2];
    guint points[2] = { 0 }, both = 0;
    float angle_0 = run % 5 == 0 ? 0 : float_between (random, 0, G_PI_2);

    for (guint i = 0; i < 2; i++) {
      float x = float_between (random, 30, 50), y = float_between (random, 30, 50);

      yolo_object_turn (&box[i], x, y, float_between (random, 10, 50),
          float_between (random, 10, 50), i == 0 ? angle_0 : float_between (random, 0, G_PI_2));
    }
    for (float y = -20; y < 100; y += .25f)
      for (float x = -20; x < 100; x += .25f) {
        bool first = covers (&box[0], x, y), second = covers (&box[1], x, y);

        points[0] += first;
        points[1] += second;
        both += first && second;
      }
    g_assert_cmpfloat_with_epsilon (
        yolo_ios (&box[0], &box[1]), (float) both / MIN (points[0], points[1]), .02);
    g_assert_cmpfloat_with_epsilon (
        yolo_ios (&box[0], &box[1]), yolo_ios (&box[1], &box[0]), .0001);
  }
}

/* Ships side by side at 45 degrees, whose upright boxes share most of themselves. */
static void
test_turned_neighbours (void)
{
  const YoloSighting seen[] = { { 1, false }, { 2, false }, { 0, false } };
  YoloObject objects[3] = { { .confidence = .9f, .anchor = 0 }, { .confidence = .8f, .anchor = 1 },
    { .confidence = .7f, .anchor = 2 } }, scratch[3];

  yolo_object_turn (&objects[0], 50, 50, 60, 8, (float) G_PI_4);
  yolo_object_turn (&objects[1], 57, 43, 60, 8, (float) G_PI_4);
  yolo_object_turn (&objects[2], 51, 50, 60, 8, (float) G_PI_4);
  g_assert_cmpuint (yolo_merge (objects, 3, seen, false, 3, scratch), ==, 2);
  g_assert_cmpint (objects[0].anchor, ==, 0);
  g_assert_cmpint (objects[1].anchor, ==, 1);
  g_assert_cmpfloat (objects[0].angle, ==, (float) G_PI_4);
}

/* Many objects whose order of arrival must not matter, in memory that ends where they end. */
static void
test_order (void)
{
  enum { N = 300 };
  g_autoptr (GRand) random = g_rand_new_with_seed (2);
  g_autofree YoloObject *first = g_new (YoloObject, N);
  size_t n_first = 0;
  g_autofree Found *found = g_new (Found, N);
  Guarded objects = guarded_new (N * sizeof (YoloObject)),
      scratch = guarded_new (N * sizeof (YoloObject)),
      seen = guarded_new (N * sizeof (YoloSighting));

  for (guint i = 0; i < N; i++) {
    float x = float_between (random, 0, 300), y = float_between (random, 0, 300);

    found[i] = (Found) { { x, y, x + float_between (random, 5, 60),
            y + float_between (random, 5, 60), float_between (random, 0, 1),
            g_rand_int_range (random, 0, 3), 0, 0 },
      { (unsigned) g_rand_int_range (random, 0, 7), g_rand_boolean (random) } };
  }
  for (guint run = 0; run < 4; run++) {
    YoloObject *d = (YoloObject *) (void *) objects.data;
    YoloSighting *s = (YoloSighting *) (void *) seen.data;
    size_t n;

    for (guint i = 0; i < N; i++) {
      const Found *from = &found[(i * 7 + run * 31) % N];

      d[i] = from->object;
      d[i].anchor = (int) i;
      s[i] = from->seen;
    }
    n = yolo_merge (d, N, s, false, N, (YoloObject *) (void *) scratch.data);
    g_assert_cmpuint (n, <, N);
    if (run == 0) {
      n_first = n;
      memcpy (first, d, n * sizeof *d);
    }
    g_assert_cmpuint (n, ==, n_first);
    for (size_t i = 0; i < n; i++) {
      d[i].anchor = first[i].anchor;
      g_assert_cmpmem (&d[i], sizeof *d, &first[i], sizeof *d);
    }
    for (size_t i = 0; i + 1 < n; i++)
      g_assert_cmpfloat (d[i].confidence, >=, d[i + 1].confidence);
  }
  guarded_free (&objects);
  guarded_free (&scratch);
  guarded_free (&seen);
}

/* Weak objects go where a kept one of another part is the same, and widen none. */
static void
test_drop (void)
{
  static const YoloObject kept[] = { { 20, 5, 60, 20, .6f, 1, 0, 0 } };
  static const YoloSighting seen[] = { { 1, true }, { 2, true }, { 1, true }, { 2, false },
    { 2, true } };
  const YoloObject weak[] = {
    { 40, 5, 70, 20, .2f, 1, 1, 0 },    /* a piece of it */
    { 22, 5, 60, 20, .2f, 1, 2, 0 },    /* of the same part */
    { 20, 5, 60, 20, .2f, 2, 3, 0 },    /* of another class */
    { 55, 5, 90, 20, .2f, 1, 4, 0 },    /* it shares too little */
  };

  for (guint agnostic = 0; agnostic < 2; agnostic++) {
    YoloObject left[4];
    size_t n;

    memcpy (left, weak, sizeof weak);
    n = yolo_merge_drop (kept, 1, left, 4, seen, agnostic);
    g_assert_cmpuint (n, ==, agnostic ? 2 : 3);
    g_assert_cmpint (left[0].anchor, ==, 2);
    g_assert_cmpint (left[n - 1].anchor, ==, 4);
    g_assert_cmpint (left[1].anchor, ==, agnostic ? 4 : 3);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/postprocess/merge/%s", cases[i].name);

    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_case);
  }
  g_test_add_func ("/postprocess/merge/turned", test_turned);
  g_test_add_func ("/postprocess/merge/turned-neighbours", test_turned_neighbours);
  g_test_add_func ("/postprocess/merge/order", test_order);
  g_test_add_func ("/postprocess/merge/drop", test_drop);
  return g_test_run ();
}
