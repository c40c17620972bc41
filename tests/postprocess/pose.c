/* SPDX-License-Identifier: MIT */
/* Points against their formula, in double. */

#include "tests/postprocess/heads.h"

#include <math.h>

/* The maps of pose beside boxes; their form is of one of the generations, or made up. */
static void
pose_init (TestHead *t, Random *r)
{
  YoloHeadForm forms[] = {
    { .point_scale = 2, .point_offset = -.5f }, { .point_scale = 1, .point_offset = 0 },
    { .point_scale = .75f, .point_offset = 3.25f },
  };

  *t = (TestHead) { 0 };
  t->head.form = forms[random_int (r, 0, 2)];
  t->head.form.keypoints = (unsigned) random_int (r, 1, 20);
  t->head.form.dimensions = (unsigned) random_int (r, 2, 3);
  test_head_add_levels (t, r, random_int (r, 1, 4), 4, random_int (r, 1, 3), YOLO_MAP_KEYPOINT,
      (int) (t->head.form.keypoints * t->head.form.dimensions));
}

/* Where an anchor lies, counted without the task's functions. */
static const YoloMap *
find_anchor (const YoloHead *head, int anchor, int *x, int *y)
{
  for (int k = 0; k < head->n_maps; k++) {
    const YoloMap *map = &head->maps[k];

    if (map->output.role != YOLO_MAP_KEYPOINT)
      continue;
    if (anchor < map->width * map->height) {
      *x = anchor % map->width;
      *y = anchor / map->width;
      return map;
    }
    anchor -= map->width * map->height;
  }
  g_assert_not_reached ();
}

static void
check_object (const YoloHead *head, const YoloObject *object, const float *points)
{
  const YoloHeadForm *form = &head->form;
  int x, y;
  const YoloMap *map = find_anchor (head, object->anchor, &x, &y);
  const float *numbers = test_head_pixel (map, (size_t) (y * map->width + x));

  for (unsigned k = 0; k < form->keypoints; k++) {
    const float *t = numbers + k * form->dimensions, *point = points + 3 * k;
    double scale = form->point_scale, offset = form->point_offset;
    double right = (scale * (double) t[0] + x + .5 + offset) * map->output.stride;
    double down = (scale * (double) t[1] + y + .5 + offset) * map->output.stride;
    double seen = form->dimensions == 3 ? 1 / (1 + exp (-(double) t[2])) : 1;

    g_assert_cmpfloat_with_epsilon (point[0], right, 1e-5 * (fabs (right) + 100));
    g_assert_cmpfloat_with_epsilon (point[1], down, 1e-5 * (fabs (down) + 100));
    g_assert_cmpfloat_with_epsilon (point[2], seen, 1e-6);
  }
}

static void
test_random (void)
{
  Random r = random_new (1);

  for (int round = 0; round < 200; round++) {
    TestHead t;

    pose_init (&t, &r);
    size_t n_anchors = yolo_task_pose.anchors (&t.head), n = (size_t) random_int (&r, 0, 40),
           row = 3 * t.head.form.keypoints;
    g_autofree YoloObject *objects = g_new0 (YoloObject, n + 1);
    Guarded points = guarded_new (n * row * sizeof (float));

    g_assert_cmpuint (n_anchors, ==, yolo_task_detect.anchors (&t.head));
    for (size_t i = 0; i < n; i++)
      objects[i].anchor = random_int (&r, 0, (int) n_anchors - 1);
    g_autofree float *rows = test_head_rows (&t.head, YOLO_MAP_KEYPOINT, objects, n);
    yolo_task_pose.points (&t.head, rows, objects, n, (float *) (void *) points.data);
    for (size_t i = 0; i < n; i++)
      check_object (&t.head, &objects[i], (float *) (void *) points.data + i * row);
    guarded_free (&points);
    test_head_clear (&t);
  }
}

static void
test_heads (void)
{
  Random r = random_new (2);
  TestHead t = { .head = { .form = { .keypoints = 4, .dimensions = 3 } } };
  YoloHead head;

  test_head_add_levels (&t, &r, 2, 16, 3, YOLO_MAP_KEYPOINT, 12);
  test_head_refused (&yolo_task_pose, &t.head);
  for (unsigned change = 0; change < 5; change++) {
    head = t.head;
    head.form.keypoints = change == 0 ? 0 : change == 1 ? 5 : change == 2 ? 12 : 3;
    head.form.dimensions = change == 0 ? 0 : change == 1 ? 3 : change == 2 ? 1 : 7 - change;
    if (change == 4)            /* maps that fit the form, which is none */
      for (int k = 2; k < head.n_maps; k += 3)
        head.maps[k].channels = 0, head.form.keypoints = 0;
    g_assert_cmpuint (yolo_task_pose.anchors (&head), ==, 0);
  }
  g_assert_true (yolo_task_find ("pose") == &yolo_task_pose);
  test_head_clear (&t);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pose/random", test_random);
  g_test_add_func ("/pose/heads", test_heads);
  return g_test_run ();
}
