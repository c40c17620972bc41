/* SPDX-License-Identifier: MIT */
/* The camera's motion, on views of a made-up scene whose motion is known: shifted, turned, zoomed,
 * with noise, blur, other light and things that move by themselves; and on what has no motion that
 * could be known. */

#include "image/camera.h"

#include <math.h>
#include <string.h>

#include "tests/image/frames.h"

/* A wall of rectangles of any grey, which goes on for ever. */
enum { SCENE = 2048 };

static guint8 *
scene_new (guint32 seed)
{
  guint8 *scene = g_malloc (SCENE * SCENE);
  GRand *rand = g_rand_new_with_seed (seed);

  memset (scene, 128, SCENE * SCENE);
  for (guint k = 0; k < 4000; k++) {
    const gint x = g_rand_int_range (rand, 0, SCENE), y = g_rand_int_range (rand, 0, SCENE);
    const gint w = g_rand_int_range (rand, 8, 90), h = g_rand_int_range (rand, 8, 90);
    const gint level = g_rand_int_range (rand, 40, 216);

    for (gint j = y; j < y + h; j++)
      for (gint i = x; i < x + w; i++)
        scene[j % SCENE * SCENE + i % SCENE] = (guint8) level;
  }
  g_rand_free (rand);
  return scene;
}

static gdouble
scene_at (const guint8 *scene, gdouble x, gdouble y)
{
  const gint ix = (gint) floor (x - .5), iy = (gint) floor (y - .5);
  const gdouble fx = x - .5 - ix, fy = y - .5 - iy;
  const gint x0 = ix & (SCENE - 1), x1 = (ix + 1) & (SCENE - 1);
  const gint y0 = (iy & (SCENE - 1)) * SCENE, y1 = ((iy + 1) & (SCENE - 1)) * SCENE;

  return (1 - fy) * ((1 - fx) * scene[y0 + x0] + fx * scene[y0 + x1])
      + fy * ((1 - fx) * scene[y1 + x0] + fx * scene[y1 + x1]);
}

/* How the camera moves: about the frame's middle. */
typedef struct {
  gdouble x, y;                 /* pixels */
  gdouble turn;                 /* degrees */
  gdouble zoom;
} Motion;

static void
matrix_of (const Motion *motion, gint width, gint height, gdouble matrix[6])
{
  const gdouble angle = motion->turn * G_PI / 180, cx = width / 2., cy = height / 2.;
  const gdouble a = motion->zoom * cos (angle), b = motion->zoom * sin (angle);

  memcpy (matrix, (gdouble[6]){ a, -b, cx - a * cx + b * cy + motion->x, b, a,
      cy - b * cx - a * cy + motion->y }, 6 * sizeof (gdouble));
}

typedef struct {
  guint8 *pixels;               /* [height][width] */
  gint width, height;
} View;

/* What the scene looks like after the motion. */
static View
view_new (const guint8 *scene, gint width, gint height, const Motion *motion)
{
  View view = { g_malloc ((gsize) width * (gsize) height), width, height };
  gdouble m[6];

  matrix_of (motion, width, height, m);
  const gdouble square = m[0] * m[0] + m[3] * m[3];
  for (gint y = 0; y < height; y++)
    for (gint x = 0; x < width; x++) {
      const gdouble u = x + .5 - m[2], v = y + .5 - m[5];

      view.pixels[y * width + x] = (guint8) lrint (scene_at (
          scene, (m[0] * u + m[3] * v) / square, (m[0] * v - m[3] * u) / square));
    }
  return view;
}

/* A thing in front of the scene: of another one, from its place (x, y) on. */
static void
put (View *view, const guint8 *scene, gint x0, gint y0, gint w, gint h)
{
  for (gint y = MAX (y0, 0); y < MIN (y0 + h, view->height); y++)
    for (gint x = MAX (x0, 0); x < MIN (x0 + w, view->width); x++)
      view->pixels[y * view->width + x] = scene[(y - y0) * SCENE + x - x0];
}

static void
add_noise (View *view, gint deviation, guint32 seed)
{
  GRand *rand = g_rand_new_with_seed (seed);
  /* of a triangle over [-n, n] */
  const gint n = (gint) lrint (deviation * 1.2247);

  for (gint i = 0; i < view->width * view->height; i++)
    view->pixels[i] = (guint8) CLAMP (view->pixels[i] + g_rand_int_range (rand, -n, n + 1)
        + g_rand_int_range (rand, -n, n + 1), 0, 255);
  g_rand_free (rand);
}

/* The mean of @n pixels to the right, as a camera that pans has it. */
static void
blur (View *view, gint n)
{
  for (gint i = 0; i + n <= view->width * view->height; i++) {
    gint sum = 0;

    for (gint k = 0; k < n; k++)
      sum += view->pixels[i + k];
    view->pixels[i] = (guint8) (sum / n);
  }
}

static gboolean
look (YoloCamera *camera, const View *view, gfloat matrix[6])
{
  const YoloFrame frame = { .format = YOLO_FORMAT_GRAY8, .width = view->width,
    .height = view->height, .plane = { view->pixels }, .stride = { view->width } };
  YoloMotionScratch scratch = { 0 };
  YoloMotionGrid grid;

  yolo_camera_grid (&grid, &frame);
  g_assert_cmpint (MAX (grid.columns, grid.rows), <=, YOLO_CAMERA_SIDE);
  g_assert_true (
      yolo_motion_picture (&grid, &frame, &scratch, yolo_camera_picture (camera, &grid)));
  yolo_motion_scratch_clear (&scratch);
  return yolo_camera_estimate (camera, matrix);
}

/* The largest distance, in pixels, between where two motions take the middle and the corners. */
static gdouble
distance (const gfloat found[6], const Motion *motion, gint width, gint height)
{
  gdouble m[6], most = 0;

  matrix_of (motion, width, height, m);
  for (gint k = 0; k < 5; k++) {
    const gdouble x = k == 4 ? width / 2. : k % 2 * width;
    const gdouble y = k == 4 ? height / 2. : k / 2 * height;
    const gdouble dx = (m[0] - found[0]) * x + (m[1] - found[1]) * y + m[2] - found[2];
    const gdouble dy = (m[3] - found[3]) * x + (m[4] - found[4]) * y + m[5] - found[5];

    most = MAX (most, hypot (dx, dy));
  }
  return most;
}

static void
assert_identity (const gfloat matrix[6])
{
  static const gfloat identity[6] = { 1, 0, 0, 0, 1, 0 };

  g_assert_cmpmem (matrix, 6 * sizeof (gfloat), identity, sizeof identity);
}

/* The motion between two views, which must be within @most pixels. */
static void
check (const gchar *name, View *before, View *after, const Motion *motion, gdouble most)
{
  YoloCamera *camera = yolo_camera_new ();
  gfloat matrix[6], again[6];

  g_assert_false (look (camera, before, matrix));
  assert_identity (matrix);
  const gboolean known = look (camera, after, matrix);
  const gdouble far = distance (matrix, motion, before->width, before->height);
  g_test_message ("%s: %s, %.2f px of %.2f", name, known ? "known" : "unknown", far, most);
  g_assert_true (known);
  g_assert_cmpfloat (far, <=, most);

  /* the same again, whatever was before */
  yolo_camera_reset (camera);
  g_assert_false (look (camera, before, again));
  g_assert_true (look (camera, after, again));
  g_assert_cmpmem (again, sizeof again, matrix, sizeof matrix);
  yolo_camera_free (camera);
}

static void
test_motions (void)
{
  static const struct {
    gint width, height;
    Motion motion;
    gdouble most;               /* pixels */
  } rows[] = {
    { 640, 360, { 0, 0, 0, 1 }, .01 },
    { 640, 360, { 1.5, -.7, 0, 1 }, .5 },
    { 640, 360, { 12, 5, 0, 1 }, .5 },
    { 640, 360, { -47, 21, 0, 1 }, .5 },
    { 640, 360, { 0, -90, 0, 1 }, .7 },
    { 640, 360, { 100, 0, 0, 1 }, .7 },
    { 640, 360, { 0, 0, 3, 1 }, .7 },
    { 640, 360, { 0, 0, -8, 1 }, 1.5 },
    { 640, 360, { 0, 0, 0, 1.05 }, .7 },
    { 640, 360, { 0, 0, 0, .9 }, .5 },
    { 640, 360, { -20, 9, 2, 1.03 }, .7 },
    { 1281, 723, { 60, -31, -1.5, .98 }, 1.5 },
    { 360, 640, { 11, 30, 0, 1.02 }, .7 },
    { 240, 180, { 4, -6, .5, 1 }, .7 },
  };
  guint8 *scene = scene_new (1);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    const Motion none = { .zoom = 1 };
    View before = view_new (scene, rows[i].width, rows[i].height, &none);
    View after = view_new (scene, rows[i].width, rows[i].height, &rows[i].motion);
    g_autofree gchar *name = g_strdup_printf ("row %u", i);

    check (name, &before, &after, &rows[i].motion, rows[i].most);
    g_free (before.pixels);
    g_free (after.pixels);
  }
  g_free (scene);
}

/* What makes it harder. */
static void
test_disturbed (void)
{
  const Motion none = { .zoom = 1 }, motion = { 17, -8, .6, 1.01 };
  guint8 *scene = scene_new (2), *other = scene_new (3);

  for (guint k = 0; k < 7; k++) {
    static const gchar *names[] = { "noise", "brighter", "blur", "things", "night", "all", "sky" };
    View before = view_new (scene, 640, 360, &none), after = view_new (scene, 640, 360, &motion);

    if (k == 3 || k == 5)       /* four things, a third of the frame, each on its own way */
      for (gint i = 0; i < 4; i++) {
        put (&before, other + 5000 * i, 20 + 150 * i, 40 + 30 * i, 120, 160);
        put (&after, other + 5000 * i, 20 + 150 * i - 13 + 9 * i, 40 + 30 * i + 17, 120, 160);
      }
    if (k == 2 || k == 5)
      blur (&after, 8);
    for (gint i = 0; (k == 1 || k == 5) && i < 640 * 360; i++)
      after.pixels[i] = (guint8) (after.pixels[i] * 3 / 4 + 60);
    for (gint i = 0; k == 4 && i < 640 * 360; i++) {
      before.pixels[i] /= 6;
      after.pixels[i] /= 6;
    }
    if (k == 6) {               /* a sixth of the frame is left */
      memset (before.pixels, 150, 640 * 300);
      memset (after.pixels, 150, 640 * 300);
    }
    if (k == 0 || k >= 4) {
      const gint deviation = k == 0 ? 12 : k == 6 ? 8 : 4;

      add_noise (&before, deviation, 7);
      add_noise (&after, deviation, 8);
    }
    /* by half of its length, a blur to the right has moved what it shows */
    check (names[k], &before, &after, &motion, k == 2 || k == 5 ? 5 : 1);
    g_free (before.pixels);
    g_free (after.pixels);
  }
  g_free (scene);
  g_free (other);
}

/* What fills most of the frame counts as the world, unless it is known to be an object. */
static void
test_hidden (void)
{
  const Motion none = { .zoom = 1 }, motion = { 6, 4, 0, 1 };
  guint8 *scene = scene_new (4), *other = scene_new (5);
  View before = view_new (scene, 640, 360, &none), after = view_new (scene, 640, 360, &motion);

  put (&before, other, 100, 30, 420, 320);
  put (&after, other, 124, 22, 420, 320);
  for (gint hides = 0; hides < 2; hides++) {
    YoloCamera *camera = yolo_camera_new ();
    gfloat matrix[6];

    look (camera, &before, matrix);
    yolo_camera_hide (camera, NAN, 0, 640, 360);
    yolo_camera_hide (camera, -INFINITY, -9, -8, INFINITY);
    yolo_camera_hide (camera, 700, 400, 1e30f, INFINITY);
    if (hides)
      yolo_camera_hide (camera, 100, 30, 520, 350);
    const gboolean known = look (camera, &after, matrix);
    const gdouble far = distance (matrix, &motion, 640, 360);
    g_test_message ("%s: %.2f px", hides ? "hidden" : "seen", far);
    g_assert_true (known);
    if (hides)
      g_assert_cmpfloat (far, <, .7);
    else
      g_assert_cmpfloat (far, >, 10);

    /* what was hidden was so in that frame alone */
    g_assert_true (look (camera, &after, matrix));
    g_assert_cmpfloat (distance (matrix, &none, 640, 360), <, .01);
    yolo_camera_hide (camera, -1e30f, -1e30f, 1e30f, 1e30f);
    g_assert_false (look (camera, &before, matrix));
    assert_identity (matrix);
    yolo_camera_free (camera);
  }
  g_free (before.pixels);
  g_free (after.pixels);
  g_free (scene);
  g_free (other);
}

static void
fill (View *view, guint8 level)
{
  memset (view->pixels, level, (gsize) (view->width * view->height));
}

/* Where nothing tells, the answer is that it is not known. */
static void
test_unknown (void)
{
  const Motion none = { .zoom = 1 };
  guint8 *scene = scene_new (6), *other = scene_new (7);
  View view = view_new (scene, 640, 360, &none);
  View changed = view_new (scene, 640, 360, &none);
  YoloCamera *camera = yolo_camera_new ();
  gfloat m[6];

  g_assert_false (look (camera, &view, m));
  g_assert_true (look (camera, &view, m));
  fill (&changed, 0);
  for (gint i = 0; i < 2; i++) {
    g_assert_false (look (camera, &changed, m));        /* black, twice */
    assert_identity (m);
  }
  g_assert_false (look (camera, &view, m));
  g_assert_true (look (camera, &view, m));
  for (guint i = 0; i < 20; i++) {
    g_free (changed.pixels);
    changed = view_new (i % 2 ? scene : other, 640, 360, &(Motion){ .x = 100. * i, .zoom = 1 });
    g_assert_false (look (camera, &changed, m));        /* a cut */
    assert_identity (m);
  }
  for (guint i = 0; i < 4; i++) {
    /* a cut, with the same writing in all corners: what stands still is not most of it */
    g_free (changed.pixels);
    changed = view_new (i % 2 ? scene : other, 640, 360, &(Motion){ .y = 90. * i, .zoom = 1 });
    for (gint k = 0; k < 4; k++)
      put (&changed, scene + 777, k % 2 * 510, k / 2 * 280, 130, 80);
    g_assert_false (look (camera, &changed, m));
  }
  for (guint i = 0; i < 10; i++) {
    fill (&changed, 100);
    add_noise (&changed, i < 5 ? 8 : 40, 10 + i);
    g_assert_false (look (camera, &changed, m));        /* nothing but noise */
    assert_identity (m);
  }
  /* a thing in front of a flat wall could be one that moves */
  fill (&changed, 100);
  put (&changed, other, 300, 60, 70, 230);
  g_assert_false (look (camera, &changed, m));
  fill (&changed, 100);
  put (&changed, other, 310, 60, 70, 230);
  g_assert_false (look (camera, &changed, m));
  assert_identity (m);

  g_assert_false (look (camera, &view, m));
  yolo_camera_reset (camera);
  g_assert_false (look (camera, &view, m));
  g_assert_true (look (camera, &view, m));
  /* frames of any size, or another one */
  for (gint w = 1; w < 1500; w = w * 5 / 4 + 1)
    for (gint k = 0; k < 2; k++) {
      const View part = { view.pixels, k ? w : 47, k ? 47 : w };

      if (part.width * part.height > 640 * 360)
        continue;
      g_assert_false (look (camera, &part, m));
      assert_identity (m);
      look (camera, &part, m);
      g_assert_cmpfloat (distance (m, &none, part.width, part.height), <, .05);
    }
  yolo_camera_free (camera);
  g_free (view.pixels);
  g_free (changed.pixels);
  g_free (scene);
  g_free (other);
}

/* A part of a frame, in pixels of the part, whatever lies around it. */
static void
test_part (void)
{
  const Motion none = { .zoom = 1 }, motion = { -9, 7, 1, 1.01 };
  guint8 *scene = scene_new (8);
  YoloCamera *camera = yolo_camera_new ();
  gfloat m[6];

  for (guint k = 0; k < 2; k++) {
    View view = view_new (scene, 640, 360, k ? &motion : &none);
    const gint width = 700, height = 400;
    g_autofree guint8 *pixels = g_malloc0 ((gsize) (width * height));
    YoloFrame frame = { .format = YOLO_FORMAT_GRAY8, .width = width, .height = height,
      .plane = { pixels }, .stride = { width }, .crop = { 31, 17, 640, 360 } };
    YoloMotionScratch scratch = { 0 };
    YoloMotionGrid grid;

    for (gint y = 0; y < 360; y++)
      memcpy (pixels + (17 + y) * width + 31, view.pixels + y * 640, 640);
    yolo_camera_grid (&grid, &frame);
    g_assert_true (
        yolo_motion_picture (&grid, &frame, &scratch, yolo_camera_picture (camera, &grid)));
    g_assert_cmpint (yolo_camera_estimate (camera, m), ==, k);
    yolo_motion_scratch_clear (&scratch);
    g_free (view.pixels);
  }
  g_assert_cmpfloat (distance (m, &motion, 640, 360), <, .7);
  yolo_camera_free (camera);
  g_free (scene);
}

/* The least time of frames that show two views in turn: of making the small picture, and of
 * finding the motion. */
static void
take_time (const View views[2], gdouble least[2])
{
  YoloCamera *camera = yolo_camera_new ();
  YoloMotionScratch scratch = { 0 };

  least[0] = least[1] = 1;
  for (guint k = 0; k < 100; k++) {
    const YoloFrame frame = { .format = YOLO_FORMAT_GRAY8, .width = views[0].width,
      .height = views[0].height, .plane = { views[k % 2].pixels }, .stride = { views[0].width } };
    YoloMotionGrid grid;
    gfloat m[6];

    g_test_timer_start ();
    yolo_camera_grid (&grid, &frame);
    g_assert_true (
        yolo_motion_picture (&grid, &frame, &scratch, yolo_camera_picture (camera, &grid)));
    least[0] = MIN (least[0], g_test_timer_elapsed ());
    g_test_timer_start ();
    yolo_camera_estimate (camera, m);
    if (k > 0)
      least[1] = MIN (least[1], g_test_timer_elapsed ());
  }
  yolo_motion_scratch_clear (&scratch);
  yolo_camera_free (camera);
}

/* With -m perf: microseconds of a 1080p frame, when the camera moves and when all is another scene
 * each time, which takes longest. */
static void
test_time (void)
{
  const Motion none = { .zoom = 1 }, motion = { 24, -10, .2, 1.01 };
  guint8 *scene, *other;
  gdouble least[2];
  View views[2];

  if (!g_test_perf ())
    return;
  scene = scene_new (9);
  other = scene_new (10);
  views[0] = view_new (scene, 1920, 1080, &none);
  for (guint cut = 0; cut < 2; cut++) {
    views[1] = view_new (cut ? other : scene, 1920, 1080, &motion);
    take_time (views, least);
    g_test_minimized_result (least[0] * 1e6, "picture: %.0f us", least[0] * 1e6);
    g_test_minimized_result (
        least[1] * 1e6, "%s: %.0f us", cut ? "cut" : "motion", least[1] * 1e6);
    g_free (views[1].pixels);
  }
  g_free (views[0].pixels);
  g_free (scene);
  g_free (other);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/camera/motions", test_motions);
  g_test_add_func ("/camera/disturbed", test_disturbed);
  g_test_add_func ("/camera/hidden", test_hidden);
  g_test_add_func ("/camera/unknown", test_unknown);
  g_test_add_func ("/camera/part", test_part);
  g_test_add_func ("/camera/time", test_time);
  return g_test_run ();
}
