/* SPDX-License-Identifier: MIT */
/* Turned boxes against the formulas, in double. */

#include "postprocess/nms.h"
#include "tests/postprocess/heads.h"

#include <math.h>

typedef struct {
  double x, y;
} Point;

/* The corners of a turned box, one after the other. */
static void
corners_of (double x, double y, double w, double h, double angle, Point corner[4])
{
  static const int sides[4][2] = { { -1, -1 }, { 1, -1 }, { 1, 1 }, { -1, 1 } };

  for (int k = 0; k < 4; k++) {
    double right = sides[k][0] * w / 2, down = sides[k][1] * h / 2;

    corner[k].x = x + right * cos (angle) - down * sin (angle);
    corner[k].y = y + right * sin (angle) + down * cos (angle);
  }
}

static void
object_corners (const YoloObject *o, Point corner[4])
{
  g_assert_cmpfloat (o->angle, >=, 0);
  g_assert_cmpfloat (o->angle, <, 1.57079633f);
  corners_of (((double) o->x1 + o->x2) / 2, ((double) o->y1 + o->y2) / 2, (double) o->x2 - o->x1,
      (double) o->y2 - o->y1, o->angle, corner);
}

/* How far the corners are from each other, whichever comes first and in either direction. */
static double
corner_distance (const Point a[4], const Point b[4])
{
  double least = INFINITY;

  for (int first = 0; first < 4; first++) {
    for (int step = 1; step < 4; step += 2) {
      double most = 0;

      for (int k = 0; k < 4; k++) {
        const Point *other = &b[(first + k * step) % 4];
        most = fmax (most, hypot (a[k].x - other->x, a[k].y - other->y));
      }
      least = fmin (least, most);
    }
  }
  return least;
}

static double
expectation (const float *x, int n)
{
  double sum = 0, mean = 0;

  for (int i = 0; i < n; i++) {
    sum += exp ((double) x[i]);
    mean += i * exp ((double) x[i]);
  }
  return n == 1 ? (double) x[0] : mean / sum;
}

/* The corners of an anchor's box: the sides turn with the box around the anchor. */
static void
plain_corners (const YoloHead *head, const YoloObject *object, int reg_max, Point corner[4])
{
  size_t pixel;
  const YoloMap *angles =
      yolo_head_locate (head, YOLO_MAP_ANGLE, (size_t) object->anchor, &pixel);
  const YoloMap *boxes = yolo_head_locate (head, YOLO_MAP_BOX, (size_t) object->anchor, &pixel);
  const float *sides = test_head_pixel (boxes, pixel);
  double stride = boxes->output.stride, t = *test_head_pixel (angles, pixel);
  double angle = head->form.angle_sigmoid ? (1 / (1 + exp (-t)) - .25) * G_PI : t;
  double x = (double) (pixel % (size_t) boxes->width) + .5,
         y = (double) (pixel / (size_t) boxes->width) + .5;
  double left = expectation (sides, reg_max), up = expectation (sides + reg_max, reg_max),
         right = expectation (sides + 2 * reg_max, reg_max),
         down = expectation (sides + 3 * reg_max, reg_max);
  double along = (right - left) / 2, across = (down - up) / 2;

  corners_of ((x + along * cos (angle) - across * sin (angle)) * stride,
      (y + along * sin (angle) + across * cos (angle)) * stride, (left + right) * stride,
      (up + down) * stride, angle, corner);
}

static void
test_turn (void)
{
  Random r = random_new (1);

  for (int round = 0; round < 100; round++) {
    int reg_max = random_int (&r, 0, 1) ? 1 : 16;
    TestHead t = { .head = { .form = { .angle_sigmoid = random_int (&r, 0, 1) } } };

    test_head_add_levels (
        &t, &r, random_int (&r, 1, 4), reg_max, random_int (&r, 1, 5), YOLO_MAP_ANGLE, 1);
    size_t capacity = yolo_task_obb.anchors (&t.head);
    Guarded memory = guarded_new (capacity * sizeof (YoloObject));
    YoloDecode decode = { .candidates = (YoloObject *) (void *) memory.data,
      .capacity = capacity };

    for (int k = 2; k < t.head.n_maps && !t.head.form.angle_sigmoid; k += 3)
      for (int i = 0; i < t.head.maps[k].width * t.head.maps[k].height; i++)
        *test_head_pixel (&t.head.maps[k], (size_t) i) *= 3;    /* several turns */
    yolo_task_obb.decode (&t.head, &decode);
    g_assert_cmpuint (decode.n, ==, capacity);
    g_autofree float *rows =
        test_head_rows (&t.head, YOLO_MAP_ANGLE, decode.candidates, decode.n);
    yolo_task_obb.turn (&t.head, rows, decode.candidates, decode.n);
    for (size_t i = 0; i < decode.n; i++) {
      Point want[4], got[4];

      plain_corners (&t.head, &decode.candidates[i], reg_max, want);
      object_corners (&decode.candidates[i], got);
      g_assert_cmpfloat (corner_distance (want, got), <, .01);
    }
    guarded_free (&memory);
    test_head_clear (&t);
  }
}

/* The name by an angle in [0, pi / 2), from below, from above, and at the ends. */
static void
test_names (void)
{
  static const float angles[] = { 0, 1.57079632f, 1.5707964f, 3.1415927f, -1e-9f, -1.5707964f,
    -3.1415927f, 1e-9f, 100, -100, 1e9f, -1e9f };
  YoloObject o;

  for (size_t i = 0; i < G_N_ELEMENTS (angles); i++) {
    Point want[4], got[4];

    yolo_object_turn (&o, 50, 40, 30, 10, angles[i]);
    corners_of (50, 40, 30, 10, angles[i], want);
    object_corners (&o, got);
    if (fabsf (angles[i]) < 1000)
      g_assert_cmpfloat (corner_distance (want, got), <, 1e-3);
  }
  yolo_object_turn (&o, 50, 40, 30, 10, -.1f);
  g_assert_cmpfloat_with_epsilon (o.angle, G_PI / 2 - .1, 1e-6);
  g_assert_cmpfloat (o.x2 - o.x1, ==, 10);
  g_assert_cmpfloat (o.y2 - o.y1, ==, 30);
}

/* An angle that is none turns nothing. */
static void
test_not_finite (void)
{
  static const float bad[] = { NAN, INFINITY, -INFINITY };
  Random r = random_new (2);
  TestHead t = { 0 };
  YoloObject object = { .x1 = 1, .y1 = 2, .x2 = 30, .y2 = 14 };

  test_head_add_levels (&t, &r, 1, 1, 1, YOLO_MAP_ANGLE, 1);
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    YoloObject turned = object;

    yolo_task_obb.turn (&t.head, &bad[i], &turned, 1);
    g_assert_cmpfloat (turned.angle, ==, 0);
    g_assert_cmpfloat_with_epsilon (turned.x1, object.x1, 1e-5);
    g_assert_cmpfloat_with_epsilon (turned.y2, object.y2, 1e-5);
  }
  test_head_clear (&t);
}

/* The covariance of a box that is taken as a normal distribution: an even one's of the same
 * sides, turned. */
static void
covariance (const YoloObject *o, double s[2][2])
{
  double w = (double) o->x2 - o->x1, h = (double) o->y2 - o->y1;
  double c = cos (o->angle), d = sin (o->angle), along = w * w / 12, across = h * h / 12;

  s[0][0] = c * along * c + d * across * d;
  s[0][1] = s[1][0] = c * along * d - d * across * c;
  s[1][1] = d * along * d + c * across * c;
}

static double
determinant (double s[2][2])
{
  return s[0][0] * s[1][1] - s[0][1] * s[1][0];
}

/* 1 less the Hellinger distance, by the Bhattacharyya distance of two normal distributions:
 * an eighth of the squared distance of the means, measured by the mean covariance, and half
 * the logarithm of what its determinant is to the mean of theirs. */
static double
plain_iou (const YoloObject *p, const YoloObject *q)
{
  double s[2][2], t[2][2], m[2][2];

  covariance (p, s);
  covariance (q, t);
  for (int i = 0; i < 4; i++)
    m[i / 2][i % 2] = (s[i / 2][i % 2] + t[i / 2][i % 2]) / 2;
  double x = ((double) p->x1 + p->x2 - q->x1 - q->x2) / 2,
         y = ((double) p->y1 + p->y2 - q->y1 - q->y2) / 2, det = determinant (m);
  double square = (m[1][1] * x * x - 2 * m[0][1] * x * y + m[0][0] * y * y) / det;
  double distance = square / 8 + log (det / sqrt (determinant (s) * determinant (t))) / 2;

  return 1 - sqrt (1 - exp (-fmax (distance, 0)));
}

static YoloObject
random_turned (Random *r, int n_classes, int anchor)
{
  YoloObject o = { .confidence = (float) random_int (r, 1, 200) / 200,
    .class_id = random_int (r, 0, n_classes - 1), .anchor = anchor };

  yolo_object_turn (&o, (float) (60 * random_unit (r)), (float) (60 * random_unit (r)),
      (float) (10 + 40 * random_unit (r)), (float) (10 + 40 * random_unit (r)),
      (float) (6 * random_unit (r)));
  return o;
}

static void
test_iou (void)
{
  Random r = random_new (3);

  for (int i = 0; i < 5000; i++) {
    YoloObject p = random_turned (&r, 1, 0), q = random_turned (&r, 1, 0);

    g_assert_cmpfloat_with_epsilon (yolo_turned_iou (&p, &q), plain_iou (&p, &q), 1e-3);
    g_assert_cmpfloat_with_epsilon (yolo_turned_iou (&p, &q), yolo_turned_iou (&q, &p), 1e-3);
    g_assert_cmpfloat (yolo_turned_iou (&p, &p), >, .99);
  }
  YoloObject p = { .x2 = 10, .y2 = 10 }, far = { .x1 = 1000, .x2 = 1010, .y2 = 10 }, empty = { 0 };
  g_assert_cmpfloat_with_epsilon (yolo_turned_iou (&p, &far), 0, 1e-3);
  g_assert_true (isfinite (yolo_turned_iou (&p, &empty)));
  /* boxes so thin that single precision has no digit of their covariance's determinant left */
  for (int i = 0; i < 100; i++) {
    yolo_object_turn (&p, 300, 300, 600, .05f, (float) i * .07f);
    g_assert_cmpfloat (yolo_turned_iou (&p, &p), >=, 0);
    g_assert_cmpfloat (yolo_turned_iou (&p, &p), <=, 1);
  }
}

static int
compare_rank (const void *a, const void *b)
{
  const YoloObject *x = a, *y = b;

  if (x->confidence != y->confidence)
    return x->confidence > y->confidence ? -1 : 1;
  return x->anchor - y->anchor;
}

/* FALSE: an overlap is too near to the threshold to be sure. */
static gboolean
plain_suppress (GArray *sorted, const YoloSuppression *how, GArray *kept)
{
  for (guint i = 0; i < sorted->len; i++) {
    const YoloObject *o = &g_array_index (sorted, YoloObject, i);
    gboolean gone = FALSE;

    for (guint k = 0; k < i; k++) {
      const YoloObject *better = &g_array_index (sorted, YoloObject, k);
      double iou = plain_iou (better, o);

      if (fabs (iou - (double) how->iou) < 1e-3)
        return FALSE;
      gone |= (how->agnostic || better->class_id == o->class_id) && iou > (double) how->iou;
    }
    if (!gone && kept->len < how->max)
      g_array_append_val (kept, *o);
  }
  return TRUE;
}

static void
test_suppression (void)
{
  Random r = random_new (4);
  const YoloHead head = { 0 };
  int compared = 0;

  for (int round = 0; round < 2000; round++) {
    size_t n = (size_t) random_int (&r, 0, 40);
    YoloSuppression how = { .iou = (float) (1.1 * random_unit (&r) - .05),
      .agnostic = random_int (&r, 0, 1), .max = (size_t) random_int (&r, 0, 40) };
    Guarded memory = guarded_new (n * sizeof (YoloObject)),
            scratch = guarded_new (n * sizeof (YoloObject));
    YoloDecode decode = { .candidates = (YoloObject *) (void *) memory.data, .capacity = n,
      .n = n };
    g_autoptr (GArray) sorted = g_array_new (FALSE, FALSE, sizeof (YoloObject)),
                       kept = g_array_new (FALSE, FALSE, sizeof (YoloObject));

    for (size_t i = 0; i < n; i++)      /* anchors are in no order */
      decode.candidates[i] = random_turned (&r, 3, (int) (i * 17 % 41));
    for (size_t i = 1; i < n && round % 2; i++) /* squares side by side, some of one size */
      decode.candidates[i] = (YoloObject) { .x1 = (float) i, .x2 = (float) (i + 20), .y2 = 20,
        .confidence = decode.candidates[i].confidence, .anchor = (int32_t) i };
    g_array_append_vals (sorted, decode.candidates, (guint) n);
    g_array_sort (sorted, compare_rank);
    size_t left = yolo_task_obb.finish (
        &head, &decode, &how, (YoloObject *) (void *) scratch.data);
    if (plain_suppress (sorted, &how, kept)) {
      g_assert_cmpuint (left, ==, kept->len);
      g_assert_cmpmem (decode.candidates, left * sizeof (YoloObject), kept->data,
          kept->len * sizeof (YoloObject));
      compared++;
    }
    guarded_free (&memory);
    guarded_free (&scratch);
  }
  g_assert_cmpint (compared, >, 1000);
}

/* The second is too near to the first and the third to the second: the second takes the third
 * with it, which it would not in the suppression of boxes that are not turned. */
static void
test_chain (void)
{
  const YoloHead head = { 0 };
  const YoloSuppression how = { .iou = .5f, .max = 10 };
  YoloObject objects[3], scratch[3];
  YoloDecode decode = { .candidates = objects, .capacity = 3, .n = 3 };

  for (int i = 0; i < 3; i++)
    objects[i] = (YoloObject) { .x1 = (float) (14 * i), .x2 = (float) (14 * i + 40), .y2 = 40,
      .confidence = .9f - .1f * (float) i };
  g_assert_cmpfloat (yolo_turned_iou (&objects[0], &objects[1]), >, how.iou);
  g_assert_cmpfloat (yolo_turned_iou (&objects[1], &objects[2]), >, how.iou);
  g_assert_cmpfloat (yolo_turned_iou (&objects[0], &objects[2]), <, how.iou);
  g_assert_cmpuint (yolo_task_obb.finish (&head, &decode, &how, scratch), ==, 1);
}

/* In an end-to-end head none suppresses another. */
static void
test_best (void)
{
  const YoloHead head = { .form = { .end_to_end = 1 } };
  const YoloSuppression how = { .iou = .5f, .max = 3 };
  YoloObject objects[5] = { { 0 } }, scratch[5];
  YoloDecode decode = { .candidates = objects, .capacity = 5, .n = 5 };

  for (int i = 0; i < 5; i++)
    objects[i] = (YoloObject) { .x2 = 40, .y2 = 40, .confidence = (float) (i * 3 % 5) };
  g_assert_cmpuint (yolo_task_obb.finish (&head, &decode, &how, scratch), ==, 3);
  for (int i = 0; i < 3; i++)
    g_assert_cmpfloat (objects[i].confidence, ==, 4 - i);
}

/* In a turned, mirrored, cropped frame the corners are where each would be by itself. */
static void
test_frame (void)
{
  Random r = random_new (5);

  for (int round = 0; round < 400; round++) {
    unsigned turn = (unsigned) round % 8;
    YoloFrame frame = { .width = 400, .height = 300, .turn = turn, .crop = { 100, 50, 200, 100 } };
    YoloObject o = random_turned (&r, 1, 0);
    YoloLetterbox box;
    Point corner[4], got[4];

    yolo_letterbox_frame (&box, &frame, turn & YOLO_TURN_TRANSPOSE ? 64 : 100, 100);
    g_assert_cmpfloat (box.width * box.src_height, ==, box.height * box.src_width);
    object_corners (&o, corner);
    for (int k = 0; k < 4; k++) {
      float point[4] = { (float) corner[k].x, (float) corner[k].y, (float) corner[k].x,
        (float) corner[k].y };

      yolo_letterbox_unclipped (&box, point);
      corner[k] = (Point) { point[0], point[1] };
    }
    yolo_turned_to_frame (&o, 1, &box);
    object_corners (&o, got);
    g_assert_cmpfloat (corner_distance (corner, got), <, 1e-3);
  }
}

static void
test_heads (void)
{
  Random r = random_new (6);
  TestHead t = { 0 }, two = { 0 };

  test_head_add_levels (&t, &r, 2, 16, 3, YOLO_MAP_ANGLE, 1);
  test_head_add_levels (&two, &r, 2, 16, 3, YOLO_MAP_ANGLE, 2);
  test_head_refused (&yolo_task_obb, &t.head);
  g_assert_cmpuint (yolo_task_obb.anchors (&two.head), ==, 0);
  g_assert_true (yolo_task_find ("obb") == &yolo_task_obb);
  test_head_clear (&t);
  test_head_clear (&two);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/obb/turn", test_turn);
  g_test_add_func ("/obb/names", test_names);
  g_test_add_func ("/obb/not-finite", test_not_finite);
  g_test_add_func ("/obb/iou", test_iou);
  g_test_add_func ("/obb/suppression", test_suppression);
  g_test_add_func ("/obb/chain", test_chain);
  g_test_add_func ("/obb/best", test_best);
  g_test_add_func ("/obb/frame", test_frame);
  g_test_add_func ("/obb/heads", test_heads);
  return g_test_run ();
}
