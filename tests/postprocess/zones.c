/* SPDX-License-Identifier: MIT */
/* Lines and zones on made-up objects, in a frame of 1000 x 1000 pixels: what must count, once, and
 * what must not. Each object is 20 pixels wide and 45 high, so that its size is 30 pixels; at
 * the line it must hold 3 pixels for a quarter of a second, or be 30 pixels away. */

#include "postprocess/track/zones.h"
#include "tests/guarded.h"

#include <malloc.h>
#include <math.h>

#define SIDE 1000
#define FRAME .04               /* seconds */

/* A line from left to right in row 500; side b is below. */
static const YoloLineShape middle = { { .1, .5 }, { .9, .5 }, YOLO_BOX_BOTTOM };
static const YoloPoint square[4] = { { .4, .4 }, { .6, .4 }, { .6, .6 }, { .4, .6 } };

static YoloZonesConfig
config_of (const YoloLineShape *lines, size_t n_lines, const YoloZoneShape *zones, size_t n_zones)
{
  return (YoloZonesConfig) { .lines = lines, .n_lines = n_lines, .zones = zones,
    .n_zones = n_zones, .hold_distance = .1, .hold_time = .25, .forget = 2 };
}

static YoloZones *
make (const YoloLineShape *lines, size_t n_lines, const YoloZoneShape *zones, size_t n_zones)
{
  const YoloZonesConfig config = config_of (lines, n_lines, zones, n_zones);
  YoloZones *made = yolo_zones_new (&config);

  g_assert_nonnull (made);
  yolo_zones_resize (made, SIDE, SIDE);
  return made;
}

static YoloZones *
make_line (void)
{
  return make (&middle, 1, NULL, 0);
}

static YoloZones *
make_square (double loiter)
{
  const YoloZoneShape zone = { .corners = square, .n_corners = 4, .loiter = loiter };

  return make (NULL, 0, &zone, 1);
}

/* An object that stands at x, y. */
static YoloZonesObject
object (int32_t id, uint32_t class, double x, double y)
{
  return (YoloZonesObject) { (float) x - 10, (float) y - 45, (float) x + 10, (float) y, id, class,
    false };
}

/* Frames in which one object stands still, at 25 a second. */
static void
stand (YoloZones *zones, double *now, guint n, int32_t id, double x, double y)
{
  const YoloZonesObject standing = object (id, 0, x, y);

  for (guint i = 0; i < n; i++) {
    g_assert_true (yolo_zones_update (zones, *now, &standing, 1));
    *now += FRAME;
  }
}

/* One object that walks in a straight line. */
static void
walk (YoloZones *zones, double *now, guint n, int32_t id, YoloPoint from, YoloPoint to)
{
  for (guint i = 0; i < n; i++) {
    const double share = (double) i / (n - 1);

    stand (zones, now, 1, id, from.x + share * (to.x - from.x), from.y + share * (to.y - from.y));
  }
}

static void
assert_crossings (const YoloZones *zones, uint32_t line, guint down, guint up)
{
  g_assert_cmpuint (yolo_zones_crossings (zones, line, -1, 0), ==, down);
  g_assert_cmpuint (yolo_zones_crossings (zones, line, -1, 1), ==, up);
}

static const YoloZonesEvent *
last_event (const YoloZones *zones)
{
  size_t n;
  const YoloZonesEvent *events = yolo_zones_events (zones, &n);

  return n > 0 ? &events[n - 1] : NULL;
}

/* -- lines -- */

/* Across and back counts once each way, with an event that knows when and where. */
static void
test_cross (void)
{
  YoloZones *zones = make_line ();
  const YoloZonesEvent *event = NULL;
  double now = 0;

  for (guint i = 0; i < 60 && event == NULL; i++) {
    stand (zones, &now, 1, 7, 500, 480 + i);
    event = last_event (zones);
  }
  g_assert_nonnull (event);
  g_assert_cmpint (event->kind, ==, YOLO_ZONES_CROSS);
  g_assert_cmpint (event->id, ==, 7);
  g_assert_cmpuint (event->direction, ==, 0);
  /* 3 pixels beyond after 23 frames; told a quarter of a second later */
  g_assert_cmpfloat_with_epsilon (event->since, 23 * FRAME, 1e-9);
  g_assert_cmpfloat_with_epsilon (event->at.y, 510, 1e-3);
  assert_crossings (zones, 0, 1, 0);
  walk (zones, &now, 50, 7, (YoloPoint){ 500, 540 }, (YoloPoint){ 500, 400 });
  assert_crossings (zones, 0, 1, 1);
  walk (zones, &now, 50, 7, (YoloPoint){ 500, 400 }, (YoloPoint){ 500, 600 });
  assert_crossings (zones, 0, 2, 1);
  yolo_zones_free (zones);
}

/* A box that flickers over the line, and one that jumps over it for a moment, cross nothing. */
static void
test_flicker (void)
{
  YoloZones *zones = make_line ();
  Random r = random_new (5);
  double now = 0;

  stand (zones, &now, 10, 1, 500, 480);
  for (guint i = 0; i < 2000; i++)
    stand (zones, &now, 1, 1, 500, 500 + 8 * (2 * random_unit (&r) - 1));
  assert_crossings (zones, 0, 0, 0);
  stand (zones, &now, 10, 1, 500, 480);
  for (guint i = 0; i < 50; i++) {
    stand (zones, &now, 5, 1, 500, 510);
    stand (zones, &now, 5, 1, 500, 490);
  }
  assert_crossings (zones, 0, 0, 0);
  /* and when it has held the side it counts at last, once */
  stand (zones, &now, 20, 1, 500, 510);
  assert_crossings (zones, 0, 1, 0);
  yolo_zones_free (zones);
}

/* An object that begins on the line belongs to no side before it has left it; one that stops on
 * the line counts when it goes on. */
static void
test_on_the_line (void)
{
  YoloZones *zones = make_line ();
  double now = 0;

  stand (zones, &now, 50, 1, 500, 498);
  stand (zones, &now, 50, 1, 500, 500);
  walk (zones, &now, 20, 1, (YoloPoint){ 500, 500 }, (YoloPoint){ 500, 560 });
  assert_crossings (zones, 0, 0, 0);
  walk (zones, &now, 20, 1, (YoloPoint){ 500, 560 }, (YoloPoint){ 500, 500 });
  stand (zones, &now, 200, 1, 500, 500);
  assert_crossings (zones, 0, 0, 0);
  walk (zones, &now, 20, 1, (YoloPoint){ 500, 500 }, (YoloPoint){ 500, 440 });
  assert_crossings (zones, 0, 0, 1);
  /* back to the line and away on the same side */
  walk (zones, &now, 20, 1, (YoloPoint){ 500, 440 }, (YoloPoint){ 500, 500 });
  stand (zones, &now, 50, 1, 500, 500);
  walk (zones, &now, 20, 1, (YoloPoint){ 500, 500 }, (YoloPoint){ 500, 440 });
  assert_crossings (zones, 0, 0, 1);
  yolo_zones_free (zones);
}

/* One that jumps the line between two frames counts at once; several lines too, in the order of
 * their numbers. */
static void
test_fast (void)
{
  const YoloLineShape lines[2] = { middle, { { .9, .6 }, { .1, .6 }, YOLO_BOX_BOTTOM } };
  YoloZones *zones = make (lines, 2, NULL, 0);
  double now = 0;
  size_t n;

  stand (zones, &now, 1, 3, 500, 400);
  stand (zones, &now, 1, 3, 500, 700);
  yolo_zones_events (zones, &n);
  g_assert_cmpuint (n, ==, 2);
  assert_crossings (zones, 0, 1, 0);
  assert_crossings (zones, 1, 0, 1);
  yolo_zones_free (zones);
}

/* A line ends at its ends: a way around it does not count, and the way back through it does. */
static void
test_around (void)
{
  YoloZones *zones = make_line ();
  double now = 0;

  walk (zones, &now, 40, 1, (YoloPoint){ 950, 400 }, (YoloPoint){ 950, 600 });
  assert_crossings (zones, 0, 0, 0);
  walk (zones, &now, 40, 1, (YoloPoint){ 950, 600 }, (YoloPoint){ 850, 600 });
  walk (zones, &now, 40, 1, (YoloPoint){ 850, 600 }, (YoloPoint){ 850, 400 });
  assert_crossings (zones, 0, 0, 1);
  yolo_zones_free (zones);
}

/* All points of the box, each with a line of its own where that point alone passes. */
static void
test_points (void)
{
  static const struct {
    YoloBoxPoint point;
    double x, y;                /* of the point of a box 20 x 45 that stands at 0, 0 */
  } points[] = { { YOLO_BOX_BOTTOM, 0, 0 }, { YOLO_BOX_CENTRE, 0, -22.5 },
    { YOLO_BOX_TOP_LEFT, -10, -45 }, { YOLO_BOX_TOP_RIGHT, 10, -45 },
    { YOLO_BOX_BOTTOM_LEFT, -10, 0 }, { YOLO_BOX_BOTTOM_RIGHT, 10, 0 } };
  YoloLineShape lines[6];
  YoloZones *zones;
  double now = 0;

  for (guint i = 0; i < 6; i++) {
    const double x = (500 + points[i].x) / SIDE, y = (500 + points[i].y) / SIDE;

    lines[i] = (YoloLineShape) { { x - .001, y }, { x + .001, y }, points[i].point };
  }
  zones = make (lines, 6, NULL, 0);
  walk (zones, &now, 50, 1, (YoloPoint){ 500, 450 }, (YoloPoint){ 500, 550 });
  for (guint i = 0; i < 6; i++)
    assert_crossings (zones, i, 1, 0);
  yolo_zones_free (zones);
}

/* -- identities -- */

/* Objects without a number never count, be they ever so many; nor do boxes that share a number
 * and a class, for a tracker that gives one to all that it has not confirmed. */
static void
test_unconfirmed (void)
{
  const YoloZoneShape zone = { .corners = square, .n_corners = 4 };
  YoloZones *zones = make (&middle, 1, &zone, 1);
  const YoloZonesObject twins[2] = { object (3, 0, 500, 500), object (3, 0, 510, 500) };
  double now = 0;

  g_assert_true (yolo_zones_update (zones, now, twins, 2));
  g_assert_cmpuint (yolo_zones_totals (zones, 0).peak, ==, 0);
  now += 3;
  for (guint i = 0; i < 100; i++) {
    const double y = 400 + 2. * i;
    const YoloZonesObject objects[] = {
      object (-1, 0, 300, y), object (-1, 0, 500, 1000 - y), object (INT32_MIN, 0, 700, y),
      object (0, 0, 200, y), object (0, 0, 600, 1000 - y), object (0, 0, 800, y),
    };

    g_assert_true (yolo_zones_update (zones, now, objects, G_N_ELEMENTS (objects)));
    now += FRAME;
  }
  assert_crossings (zones, 0, 0, 0);
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).peak, ==, 0);
  /* when the number is one object's alone for long enough it counts again */
  stand (zones, &now, 60, 0, 200, 400);
  walk (zones, &now, 50, 0, (YoloPoint){ 200, 400 }, (YoloPoint){ 200, 600 });
  assert_crossings (zones, 0, 1, 0);
  yolo_zones_free (zones);
}

/* Numbers that begin anew in each class are those of different objects. */
static void
test_ids_of_classes (void)
{
  YoloZones *zones = make_line ();
  double now = 0;

  for (guint i = 0; i < 100; i++) {
    const double y = 400 + 2. * i;
    const YoloZonesObject objects[] = { object (1, 0, 300, y), object (1, 2, 700, 1000 - y),
      object (1, 5, 500, y) };

    g_assert_true (yolo_zones_update (zones, now, objects, 3));
    now += FRAME;
  }
  assert_crossings (zones, 0, 2, 1);
  g_assert_cmpuint (yolo_zones_crossings (zones, 0, 0, 0), ==, 1);
  g_assert_cmpuint (yolo_zones_crossings (zones, 0, 5, 0), ==, 1);
  g_assert_cmpuint (yolo_zones_crossings (zones, 0, 2, 1), ==, 1);
  g_assert_cmpuint (yolo_zones_crossings (zones, 0, 2, 0), ==, 0);
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 3);
  yolo_zones_free (zones);
}

/* An object whose class flickers on its way is one object; one of another class that turns up
 * elsewhere with the number is another. */
static void
test_class_changes (void)
{
  YoloZones *zones = make_line ();
  double now = 0;

  for (guint i = 0; i < 100; i++) {
    const YoloZonesObject truck = object (4, i / 7 % 2, 300, 400 + 2. * i);

    g_assert_true (yolo_zones_update (zones, now, &truck, 1));
    now += FRAME;
  }
  assert_crossings (zones, 0, 1, 0);
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 1);
  const YoloZonesObject other = object (4, 6, 700, 300);
  g_assert_true (yolo_zones_update (zones, now, &other, 1));
  assert_crossings (zones, 0, 1, 0);
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 2);
  yolo_zones_free (zones);
}

static void
test_accept (void)
{
  const YoloLineShape lines[2] = { middle, middle };
  const YoloZoneShape areas[2] = { { .corners = square, .n_corners = 4 },
    { .corners = square, .n_corners = 4 } };
  YoloZones *zones = make (lines, 2, areas, 2);
  double now = 0;

  yolo_zones_accept (zones, 0, 2, 1, true);
  yolo_zones_accept (zones, YOLO_ZONES_MAX_CLASSES, 0, 0, false);
  walk (zones, &now, 100, 1, (YoloPoint){ 500, 300 }, (YoloPoint){ 500, 550 });
  assert_crossings (zones, 0, 0, 0);
  assert_crossings (zones, 1, 1, 0);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 1).occupancy, ==, 0);
  yolo_zones_free (zones);
}

/* What is predicted keeps an object alive, and crosses nothing. */
static void
test_predicted (void)
{
  YoloZones *zones = make_line ();
  double now = 0;

  stand (zones, &now, 5, 1, 500, 450);
  for (guint i = 0; i < 200; i++) {
    YoloZonesObject lost = object (1, 0, 500, 450 + i), unknown = object (9, 0, 300, 450 + i);
    const YoloZonesObject both[2] = { lost, unknown };
    YoloZonesObject predicted[2] = { both[0], both[1] };

    predicted[0].predicted = predicted[1].predicted = true;
    g_assert_true (yolo_zones_update (zones, now, predicted, 2));
    now += FRAME;
  }
  assert_crossings (zones, 0, 0, 0);
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 1);
  stand (zones, &now, 1, 1, 500, 650);
  assert_crossings (zones, 0, 1, 0);
  yolo_zones_free (zones);
}

/* State dies with the track: a number that comes again later is somebody else's. */
static void
test_forget (void)
{
  YoloZones *zones = make_line ();
  double now = 0;

  stand (zones, &now, 10, 1, 500, 450);
  now += 1.9;
  stand (zones, &now, 1, 1, 500, 600);
  assert_crossings (zones, 0, 1, 0);
  now += 2.1;
  stand (zones, &now, 10, 1, 500, 450);
  assert_crossings (zones, 0, 1, 0);
  yolo_zones_forget (zones);
  stand (zones, &now, 10, 1, 500, 600);
  assert_crossings (zones, 0, 1, 0);
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 1);
  g_assert_true (yolo_zones_update (zones, now + 2, NULL, 0));
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 0);
  yolo_zones_free (zones);
}

/* In a stream of a frame in five seconds nobody is forgotten between two frames. */
static void
test_slow (void)
{
  YoloZones *zones = make_line ();
  double now = 0;

  for (guint i = 0; i < 10; i++) {
    const YoloZonesObject walker = object (1, 0, 500, 450 + 12. * i);

    g_assert_true (yolo_zones_update (zones, now, &walker, 1));
    now += 5;
  }
  assert_crossings (zones, 0, 1, 0);
  yolo_zones_free (zones);
}

/* Bad boxes are nobody's. */
static void
test_bad_boxes (void)
{
  YoloZones *zones = make_line ();
  YoloZonesObject bad[7];

  for (guint i = 0; i < 7; i++)
    bad[i] = object ((int32_t) i, 0, 500, 450);
  bad[0].x1 = NAN;
  bad[1].y2 = INFINITY;
  bad[2].x2 = bad[2].x1;
  bad[3].y2 = bad[3].y1 - 1;
  bad[4].class = YOLO_ZONES_MAX_CLASSES;
  bad[5].x1 = 1000;
  bad[5].x2 = 1010;
  bad[6].x1 = -1e30f;
  g_assert_true (yolo_zones_update (zones, 0, bad, 7));
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 0);
  yolo_zones_free (zones);
}

/* -- zones -- */

static void
test_stay (void)
{
  YoloZones *zones = make_square (0);
  const YoloZonesEvent *event;
  YoloZoneTotals totals;
  double now = 0;

  stand (zones, &now, 10, 2, 300, 500);
  stand (zones, &now, 101, 2, 500, 500);        /* deep inside: at once */
  totals = yolo_zones_totals (zones, 0);
  g_assert_cmpuint (totals.entries, ==, 1);
  g_assert_cmpuint (totals.occupancy, ==, 1);
  g_assert_cmpfloat_with_epsilon (yolo_zones_dwell (zones, 0, 0), 4, 1e-9);
  g_assert_cmpfloat_with_epsilon (totals.dwell_longest, 4, 1e-9);
  /* flicker over the border changes nothing; nor does one frame outside */
  for (guint i = 0; i < 100; i++)
    stand (zones, &now, 1, 2, i % 2 ? 401 : 398, 500);
  stand (zones, &now, 1, 2, 395, 500);
  stand (zones, &now, 20, 2, 398, 500);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).entries, ==, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).exits, ==, 0);
  stand (zones, &now, 1, 2, 300, 500);
  event = last_event (zones);
  g_assert_nonnull (event);
  g_assert_cmpint (event->kind, ==, YOLO_ZONES_EXIT);
  g_assert_false (event->unseen);
  g_assert_cmpfloat_with_epsilon (event->dwell, 222 * FRAME, 1e-9);
  totals = yolo_zones_totals (zones, 0);
  g_assert_cmpuint (totals.exits, ==, 1);
  g_assert_cmpuint (totals.occupancy, ==, 0);
  g_assert_cmpuint (totals.peak, ==, 1);
  g_assert_cmpuint (totals.visits, ==, 1);
  g_assert_cmpfloat_with_epsilon (totals.dwell_sum, 222 * FRAME, 1e-9);
  g_assert_cmpuint (yolo_zones_passages (zones, 0, 0, false), ==, 1);
  g_assert_cmpuint (yolo_zones_passages (zones, 0, 0, true), ==, 1);
  g_assert_cmpuint (yolo_zones_passages (zones, 0, 1, true), ==, 0);
  g_assert_cmpfloat (yolo_zones_dwell (zones, 0, 0), <, 0);
  yolo_zones_free (zones);
}

/* Who walks through slowly enters when it has held the zone, from when it came; a zone narrower
 * than any hysteresis counts as well. */
static void
test_narrow (void)
{
  const YoloPoint corners[4] = { { .4, .499 }, { .6, .499 }, { .6, .501 }, { .4, .501 } };
  const YoloZoneShape zone = { .corners = corners, .n_corners = 4 };
  YoloZones *zones = make (NULL, 0, &zone, 1);
  double now = 0;

  stand (zones, &now, 10, 1, 500, 450);
  stand (zones, &now, 10, 1, 500, 500);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).entries, ==, 1);
  g_assert_cmpfloat_with_epsilon (yolo_zones_dwell (zones, 0, 0), 9 * FRAME, 1e-9);
  yolo_zones_free (zones);
}

/* An object that a tracker loses in a zone, and finds again with another number, has neither
 * left nor entered; while it is looked for it is still there. */
static void
test_appear (void)
{
  YoloZones *zones = make_square (0);
  const YoloZonesEvent *event;
  YoloZoneTotals totals;
  double now = 0;

  walk (zones, &now, 50, 1, (YoloPoint){ 300, 500 }, (YoloPoint){ 500, 500 });
  g_assert_true (yolo_zones_update (zones, now + 1.9, NULL, 0));
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 1);
  now += 2.1;
  g_assert_true (yolo_zones_update (zones, now, NULL, 0));
  event = last_event (zones);
  g_assert_nonnull (event);
  g_assert_cmpint (event->kind, ==, YOLO_ZONES_EXIT);
  g_assert_true (event->unseen);
  /* it was seen last in the 50th frame */
  g_assert_cmpfloat_with_epsilon (event->since, 49 * FRAME, 1e-9);
  walk (zones, &now, 50, 2, (YoloPoint){ 500, 500 }, (YoloPoint){ 700, 500 });
  totals = yolo_zones_totals (zones, 0);
  g_assert_cmpuint (totals.entries, ==, 1);
  g_assert_cmpuint (totals.vanished, ==, 1);
  g_assert_cmpuint (totals.appeared, ==, 1);
  g_assert_cmpuint (totals.exits, ==, 1);
  g_assert_cmpuint (totals.occupancy, ==, 0);
  yolo_zones_free (zones);
}

/* In a zone that ends with the frame, an object whose box reaches out of the frame is inside, and
 * one that comes over the edge of the frame enters, and leaves by it. */
static void
test_edge (void)
{
  const YoloPoint corners[4] = { { .4, .8 }, { .6, .8 }, { .6, 1 }, { .4, 1 } };
  const YoloZoneShape zone = { .corners = corners, .n_corners = 4 };
  YoloZones *zones = make (NULL, 0, &zone, 1);
  YoloZoneTotals totals;
  double now = 0;

  walk (zones, &now, 50, 1, (YoloPoint){ 500, 1040 }, (YoloPoint){ 500, 900 });
  g_assert_cmpuint (yolo_zones_totals (zones, 0).entries, ==, 1);
  /* all of the visit: the part before the feet were in the frame as well */
  g_assert_cmpfloat_with_epsilon (yolo_zones_dwell (zones, 0, 0), 49 * FRAME, 1e-9);
  walk (zones, &now, 50, 1, (YoloPoint){ 500, 900 }, (YoloPoint){ 500, 1040 });
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 1);
  g_assert_true (yolo_zones_update (zones, now + 3, NULL, 0));
  totals = yolo_zones_totals (zones, 0);
  g_assert_cmpuint (totals.exits, ==, 1);
  g_assert_cmpuint (totals.appeared + totals.vanished, ==, 0);
  g_assert_cmpuint (totals.occupancy, ==, 0);
  yolo_zones_free (zones);
}

/* Zones that overlap each have their own. */
static void
test_overlap (void)
{
  const YoloPoint other[4] = { { .5, .3 }, { .8, .3 }, { .8, .9 }, { .5, .9 } };
  const YoloZoneShape areas[2] = { { .corners = square, .n_corners = 4 },
    { .corners = other, .n_corners = 4 } };
  YoloZones *zones = make (NULL, 0, areas, 2);
  double now = 0;

  walk (zones, &now, 50, 1, (YoloPoint){ 300, 500 }, (YoloPoint){ 550, 500 });
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 1).occupancy, ==, 1);
  g_assert_cmpfloat (yolo_zones_dwell (zones, 0, 0), >, yolo_zones_dwell (zones, 0, 1));
  walk (zones, &now, 50, 1, (YoloPoint){ 550, 500 }, (YoloPoint){ 700, 500 });
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 0);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).exits, ==, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 1).occupancy, ==, 1);
  yolo_zones_free (zones);
}

static void
test_loiter (void)
{
  YoloZones *zones = make_square (3);
  guint events = 0;
  double now = 0;

  for (guint i = 0; i < 200; i++) {
    const YoloZonesEvent *event;

    stand (zones, &now, 1, 5, 500, 500);
    event = last_event (zones);
    if (event != NULL && event->kind == YOLO_ZONES_LOITER) {
      g_assert_cmpfloat_with_epsilon (event->dwell, 3, 1e-9);
      events++;
    }
  }
  g_assert_cmpuint (events, ==, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).loitering, ==, 1);
  stand (zones, &now, 10, 5, 700, 500);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).loitering, ==, 0);
  yolo_zones_free (zones);
}

/* @n objects stand in the square, side by side. */
static const YoloZonesEvent *
crowd (YoloZones *zones, double *now, guint frames, guint n)
{
  const YoloZonesEvent *last = NULL;
  YoloZonesObject objects[8];

  for (guint i = 0; i < n; i++)
    objects[i] = object ((int32_t) i, 0, 440 + 25 * i, 500);
  for (guint i = 0; i < frames; i++) {
    size_t n_events;
    const YoloZonesEvent *events;

    g_assert_true (yolo_zones_update (zones, *now, objects, n));
    *now += FRAME;
    events = yolo_zones_events (zones, &n_events);
    for (size_t k = 0; k < n_events; k++)
      if (events[k].kind == YOLO_ZONES_CROWD || events[k].kind == YOLO_ZONES_CROWD_END)
        last = &events[k];
    if (last != NULL)
      return last;
  }
  return NULL;
}

static void
test_crowd (void)
{
  const YoloZoneShape zone = { .corners = square, .n_corners = 4, .crowd = 2, .crowd_time = 1 };
  YoloZones *zones = make (NULL, 0, &zone, 1);
  const YoloZonesEvent *event;
  double now = 0;

  g_assert_null (crowd (zones, &now, 100, 2));
  /* three for less than a second: the third is gone again, and forgotten in time */
  g_assert_null (crowd (zones, &now, 20, 3));
  yolo_zones_forget (zones);
  g_assert_null (crowd (zones, &now, 100, 2));
  event = crowd (zones, &now, 40, 3);
  g_assert_nonnull (event);
  g_assert_cmpint (event->kind, ==, YOLO_ZONES_CROWD);
  g_assert_cmpint (event->id, ==, -1);
  g_assert_cmpuint (event->count, ==, 3);
  g_assert_true (yolo_zones_totals (zones, 0).crowded);
  g_assert_null (crowd (zones, &now, 100, 4));
  event = crowd (zones, &now, 200, 1);
  g_assert_nonnull (event);
  g_assert_cmpint (event->kind, ==, YOLO_ZONES_CROWD_END);
  g_assert_false (yolo_zones_totals (zones, 0).crowded);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).peak, ==, 4);
  yolo_zones_free (zones);
}

/* What the stream's end cuts off is over, once, and what comes behind it is new. */
static void
test_end (void)
{
  const YoloZoneShape zone = { .corners = square, .n_corners = 4, .crowd = 2, .crowd_time = 1 };
  YoloZones *zones = make (NULL, 0, &zone, 1);
  const YoloZonesEvent *events;
  YoloZoneTotals totals;
  double now = 0;
  size_t n;

  g_assert_true (yolo_zones_end (zones));       /* before the first frame */
  g_assert_nonnull (crowd (zones, &now, 40, 3));
  g_assert_true (yolo_zones_end (zones));
  events = yolo_zones_events (zones, &n);
  g_assert_cmpuint (n, ==, 4);
  for (size_t i = 0; i < 3; i++) {
    g_assert_cmpint (events[i].kind, ==, YOLO_ZONES_EXIT);
    g_assert_true (events[i].unseen);
    g_assert_cmpfloat_with_epsilon (events[i].since, now - FRAME, 1e-9);
    g_assert_cmpfloat_with_epsilon (events[i].dwell, now - FRAME, 1e-9);
  }
  g_assert_cmpint (events[3].kind, ==, YOLO_ZONES_CROWD_END);
  totals = yolo_zones_totals (zones, 0);
  g_assert_cmpuint (totals.occupancy, ==, 0);
  g_assert_cmpuint (totals.peak, ==, 3);
  g_assert_cmpuint (totals.exits, ==, 0);
  g_assert_cmpuint (totals.vanished, ==, 3);
  g_assert_cmpuint (totals.visits, ==, 3);
  g_assert_false (totals.crowded);
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 0);

  g_assert_true (yolo_zones_end (zones));
  yolo_zones_events (zones, &n);
  g_assert_cmpuint (n, ==, 0);
  g_assert_null (crowd (zones, &now, 20, 1));
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 1);
  yolo_zones_free (zones);
}

/* With the arrow, against it, across it, and standing. */
static void
test_direction (void)
{
  const YoloZoneShape zone = { .corners = (YoloPoint[4]){ { 0, 0 }, { 1, 0 }, { 1, 1 }, { 0, 1 } },
    .n_corners = 4, .directed = true, .from = { .2, .8 }, .to = { .8, .2 },
    .tolerance = G_PI / 4 - .1 };
  static const struct {
    YoloPoint from, to;
    guint along, against;
  } ways[] = { { { 300, 700 }, { 600, 400 }, 1, 0 }, { { 600, 400 }, { 300, 700 }, 0, 1 },
    { { 300, 400 }, { 600, 700 }, 0, 0 }, { { 500, 500 }, { 505, 495 }, 0, 0 },
    { { 300, 500 }, { 600, 500 }, 0, 0 } };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++) {
    YoloZones *zones = make (NULL, 0, &zone, 1);
    YoloZoneTotals totals;
    double now = 0;

    walk (zones, &now, 100, 1, ways[i].from, ways[i].to);
    totals = yolo_zones_totals (zones, 0);
    g_assert_cmpuint (totals.along, ==, ways[i].along);
    g_assert_cmpuint (totals.against, ==, ways[i].against);
    yolo_zones_free (zones);
  }
}

/* -- time, size, change -- */

/* Speed on the ground, whatever the rate of frames; standing is no speed. */
static void
test_speed (void)
{
  YoloZonesConfig config = config_of (NULL, 0, NULL, 0);
  static const double rates[] = { 5, 25, 60 };

  config.has_ground = true;
  /* 50 pixels a metre across; the frame is 20 metres wide and 10 deep */
  memcpy (config.ground_pixels, (YoloPoint[4]){ { 0, 0 }, { 1, 0 }, { 1, 1 }, { 0, 1 } },
      sizeof (config.ground_pixels));
  memcpy (config.ground_metres, (YoloPoint[4]){ { 0, 0 }, { 20, 0 }, { 20, 10 }, { 0, 10 } },
      sizeof (config.ground_metres));
  for (guint k = 0; k < 3; k++) {
    YoloZones *zones = yolo_zones_new (&config);
    Random r = random_new (k);
    YoloZonesTrack track;

    yolo_zones_resize (zones, SIDE, SIDE);
    for (guint i = 0; i <= 4 * rates[k]; i++) {
      const double t = i / rates[k];
      /* 1.5 m/s to the right and 2 m/s down: 2.5 */
      const YoloZonesObject walker =
          object (1, 0, 300 + 75 * t + random_normal (&r), 100 + 200 * t + random_normal (&r));

      g_assert_true (yolo_zones_update (zones, t, &walker, 1));
      track = yolo_zones_track (zones, 0);
      if (t < .99)
        g_assert_true (isnan (track.speed));
      if (t > 2)
        g_assert_cmpfloat_with_epsilon (track.speed, 2.5, .25);
    }
    /* where the frame cuts the box the feet are not seen: that is no slowing down */
    for (guint i = 1; i <= rates[k]; i++) {
      YoloZonesObject leaving = object (1, 0, 600 + 75 * i / rates[k], 900 + 200 * i / rates[k]);

      leaving.y2 = MIN (leaving.y2, SIDE);
      g_assert_true (yolo_zones_update (zones, 4 + i / rates[k], &leaving, 1));
      g_assert_cmpfloat_with_epsilon (yolo_zones_track (zones, 0).speed, 2.5, .3);
    }
    g_assert_cmpfloat_with_epsilon (track.vx, 75, 30);
    g_assert_cmpfloat_with_epsilon (track.vy, 200, 30);
    for (guint i = 1; i <= 4 * rates[k]; i++) {
      const YoloZonesObject still =
          object (1, 0, 675 + random_normal (&r), 950 + random_normal (&r));

      g_assert_true (yolo_zones_update (zones, 5 + i / rates[k], &still, 1));
    }
    g_assert_cmpfloat (yolo_zones_track (zones, 0).speed, <, .3);
    yolo_zones_free (zones);
  }
}

/* A time that jumps makes nobody stay for hours, nor anything cross. */
static void
test_time_jumps (void)
{
  YoloZones *zones = make_square (1000);
  YoloZoneTotals totals;
  double now = 5000;

  stand (zones, &now, 50, 1, 500, 500);
  now += 3600;
  stand (zones, &now, 50, 1, 500, 500);
  totals = yolo_zones_totals (zones, 0);
  g_assert_cmpuint (totals.visits, ==, 1);
  g_assert_cmpfloat (totals.dwell_longest, <, 2.1);
  g_assert_cmpuint (totals.loitering, ==, 0);
  g_assert_cmpuint (totals.occupancy, ==, 1);
  now = 0;
  stand (zones, &now, 50, 1, 500, 500);
  totals = yolo_zones_totals (zones, 0);
  g_assert_cmpuint (totals.visits, ==, 2);
  g_assert_cmpfloat (totals.dwell_longest, <, 2.1);
  g_assert_cmpuint (totals.occupancy, ==, 1);
  /* a frame that comes late, with a time before that of the last one, is a frame */
  now -= 4 * FRAME;
  stand (zones, &now, 1, 1, 500, 500);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).visits, ==, 2);
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, 1);
  yolo_zones_free (zones);
}

/* A stream that changes its size is the same scene: nobody jumps, and counts go on. */
static void
test_resize (void)
{
  const YoloZoneShape zone = { .corners = square, .n_corners = 4 };
  YoloZones *zones = make (&middle, 1, &zone, 1);
  double now = 0;

  walk (zones, &now, 50, 1, (YoloPoint){ 500, 300 }, (YoloPoint){ 500, 490 });
  g_assert_cmpuint (yolo_zones_totals (zones, 0).entries, ==, 1);
  yolo_zones_resize (zones, SIDE / 2, SIDE * 2);
  for (guint i = 0; i < 60; i++) {
    const double y = 980 + i;
    const YoloZonesObject walker = { 245, (float) y - 90, 255, (float) y, 1, 0, false };

    g_assert_true (yolo_zones_update (zones, now, &walker, 1));
    now += FRAME;
    /* the filter of the picture's velocity has begun anew */
    g_assert_true (isnan (yolo_zones_track (zones, 0).vx) == (now - FRAME < 50 * FRAME + 1));
    if (i < 10)
      assert_crossings (zones, 0, 0, 0);
  }
  assert_crossings (zones, 0, 1, 0);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).entries, ==, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).exits, ==, 0);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 1);
  yolo_zones_free (zones);
}

static void
test_reset (void)
{
  const YoloZoneShape zone = { .corners = square, .n_corners = 4 };
  YoloZones *zones = make (&middle, 1, &zone, 1);
  double now = 0;

  walk (zones, &now, 100, 1, (YoloPoint){ 500, 300 }, (YoloPoint){ 500, 580 });
  assert_crossings (zones, 0, 1, 0);
  yolo_zones_reset (zones);
  assert_crossings (zones, 0, 0, 0);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).entries, ==, 0);
  g_assert_cmpuint (yolo_zones_passages (zones, 0, 0, false), ==, 0);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 1);
  walk (zones, &now, 100, 1, (YoloPoint){ 500, 580 }, (YoloPoint){ 500, 300 });
  assert_crossings (zones, 0, 0, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).exits, ==, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).occupancy, ==, 0);
  yolo_zones_free (zones);
}

/* New shapes take the place of old ones in between: those that stay keep counts and state. */
static void
test_take (void)
{
  const YoloLineShape lines[2] = { { { .1, .9 }, { .9, .9 }, YOLO_BOX_BOTTOM }, middle },
                      old_lines[2] = { { { .1, .2 }, { .9, .2 }, YOLO_BOX_BOTTOM }, middle };
  const YoloZoneShape zone = { .corners = square, .n_corners = 4 };
  YoloZones *old = make (old_lines, 2, &zone, 1), *zones = make (lines, 2, &zone, 1);
  double now = 0;

  walk (old, &now, 50, 1, (YoloPoint){ 500, 650 }, (YoloPoint){ 500, 400 });
  walk (old, &now, 50, 1, (YoloPoint){ 500, 400 }, (YoloPoint){ 500, 499 });
  assert_crossings (old, 1, 0, 1);
  g_assert_true (yolo_zones_take (zones, old, (int[]){ -1, 1 }, (int[]){ 0 }));
  yolo_zones_free (old);
  assert_crossings (zones, 0, 0, 0);
  assert_crossings (zones, 1, 0, 1);
  walk (zones, &now, 100, 1, (YoloPoint){ 500, 499 }, (YoloPoint){ 500, 999 });
  assert_crossings (zones, 0, 1, 0);
  assert_crossings (zones, 1, 1, 1);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).appeared, ==, 0);
  g_assert_cmpuint (yolo_zones_totals (zones, 0).exits, ==, 1);
  yolo_zones_free (zones);
}

/* Who was a crowd, loitered and went along an arrow does not once the zone knows none of these;
 * and loiters on, without another event, as long as the zone asks for less time. */
static void
test_take_less (void)
{
  const YoloPoint all[4] = { { 0, 0 }, { 1, 0 }, { 1, 1 }, { 0, 1 } };
  const YoloZoneShape old_zone = { .corners = all, .n_corners = 4, .loiter = 1, .crowd = 1,
    .directed = true, .from = { 0, .5 }, .to = { 1, .5 }, .tolerance = .5 };
  YoloZoneShape zone = old_zone;

  for (guint i = 0; i < 4; i++) {
    YoloZones *old = make (NULL, 0, &old_zone, 1), *zones;
    double now = 0;

    for (; now < 3; now += FRAME) {
      const YoloZonesObject both[2] = { object (1, 0, 300 + 100 * now, 500),
        object (2, 0, 300 + 100 * now, 900) };

      g_assert_true (yolo_zones_update (old, now, both, 2));
    }
    g_assert_true (yolo_zones_totals (old, 0).crowded);
    g_assert_cmpuint (yolo_zones_totals (old, 0).loitering, ==, 2);
    g_assert_cmpuint (yolo_zones_totals (old, 0).along, ==, 2);
    zone.crowd = i == 0 ? 0 : old_zone.crowd;
    zone.loiter = i == 1 ? 0 : i == 2 ? 100 : .5;
    zone.to.y = i == 3 ? .51 : .5;
    zones = make (NULL, 0, &zone, 1);
    g_assert_true (yolo_zones_take (zones, old, NULL, (int[]){ 0 }));
    stand (zones, &now, 1, 1, 300 + 100 * now, 500);
    g_assert_cmpint (yolo_zones_totals (zones, 0).crowded, ==, i != 0);
    g_assert_cmpuint (yolo_zones_totals (zones, 0).loitering, ==, i == 1 || i == 2 ? 0 : 2);
    for (guint k = 0; k < 10; k++)
      stand (zones, &now, 1, 1, 300 + 100 * now, 500);
    g_assert_cmpuint (yolo_zones_totals (zones, 0).along, ==, i == 3 ? 3 : 2);
    yolo_zones_free (old);
    yolo_zones_free (zones);
  }
}

static void
test_heat (void)
{
  YoloZonesConfig config = config_of (NULL, 0, NULL, 0);
  YoloZones *zones;
  double now = 0;

  config.heat_columns = config.heat_rows = 10;
  zones = yolo_zones_new (&config);
  yolo_zones_resize (zones, SIDE, SIDE);
  stand (zones, &now, 26, 1, 350, 720);
  g_assert_cmpfloat_with_epsilon (yolo_zones_heat (zones)->seconds[73], 1, 1e-9);
  now += 3600;
  stand (zones, &now, 26, 1, 350, 720);
  g_assert_cmpfloat_with_epsilon (yolo_zones_heat (zones)->seconds[73], 2, 1e-9);
  yolo_zones_accept (zones, 0, 0, 0, false);
  stand (zones, &now, 26, 1, 350, 720);
  g_assert_cmpfloat_with_epsilon (yolo_zones_heat (zones)->seconds[73], 2, 1e-9);
  yolo_zones_reset (zones);
  g_assert_cmpfloat (yolo_zones_heat (zones)->seconds[73], ==, 0);
  yolo_zones_free (zones);
}

static void
test_bad_config (void)
{
  YoloLineShape line = middle;
  YoloZoneShape zone = { .corners = square, .n_corners = 2 };
  YoloZonesConfig config = config_of (&line, 1, NULL, 0);

  line.to = line.from;
  g_assert_null (yolo_zones_new (&config));
  line.to.x = NAN;
  g_assert_null (yolo_zones_new (&config));
  config = config_of (NULL, 0, &zone, 1);
  g_assert_null (yolo_zones_new (&config));
  config = config_of (NULL, 0, NULL, 0);
  config.forget = 0;
  g_assert_null (yolo_zones_new (&config));
  config.forget = 1;
  config.heat_columns = 1u << 31;
  config.heat_rows = 1u << 31;
  g_assert_null (yolo_zones_new (&config));
}

/* What a crowd does for ten minutes: people walk about, each for some seconds, with numbers that
 * are never given twice. Nobody is counted who is not there, memory does not grow, and after
 * a while nothing is allocated any more. */
static void
test_crowd_for_ever (void)
{
  enum { PEOPLE = 60, FRAMES = 15000 };
  const YoloZoneShape zone = { .corners = square, .n_corners = 4 };
  YoloZones *zones = make (&middle, 1, &zone, 1);
  YoloZonesObject objects[PEOPLE];
  YoloPoint speed[PEOPLE];
  Random r = random_new (11);
  size_t most = 0, in_use = 0;
  int32_t next = 0;

  for (guint frame = 0; frame < FRAMES; frame++) {
    for (guint i = 0; i < PEOPLE; i++) {
      if (frame == 0 || random_int (&r, 0, 199) == 0) {
        objects[i] = object (next++, (uint32_t) random_int (&r, 0, 3), 1000 * random_unit (&r),
            1000 * random_unit (&r));
        speed[i] = (YoloPoint) { 8 * random_unit (&r) - 4, 8 * random_unit (&r) - 4 };
      }
      objects[i].x1 += (float) speed[i].x;
      objects[i].x2 += (float) speed[i].x;
      objects[i].y1 += (float) speed[i].y;
      objects[i].y2 += (float) speed[i].y;
    }
    g_assert_true (yolo_zones_update (zones, frame * FRAME, objects, PEOPLE));
    most = MAX (most, yolo_zones_n_tracks (zones));
    /* AddressSanitizer's malloc says 0 */
    if (frame == FRAMES / 5)
      in_use = mallinfo2 ().uordblks;
  }
  g_assert_cmpuint (mallinfo2 ().uordblks, ==, in_use);
  g_assert_cmpuint (most, <, 3 * PEOPLE);
  const YoloZoneTotals totals = yolo_zones_totals (zones, 0);
  g_assert_cmpuint (totals.entries + totals.appeared, ==,
      totals.exits + totals.vanished + totals.occupancy);
  g_assert_cmpuint (totals.entries, >, 100);
  g_assert_cmpuint (yolo_zones_crossings (zones, 0, -1, 0), >, 100);
  yolo_zones_free (zones);
}

/* More objects than are remembered: the rest does not count, and nothing breaks. */
static void
test_too_many (void)
{
  YoloZones *zones = make_line ();
  g_autofree YoloZonesObject *objects = g_new (YoloZonesObject, YOLO_ZONES_MAX_TRACKS + 10);

  for (gint i = 0; i < YOLO_ZONES_MAX_TRACKS + 10; i++)
    objects[i] = object (i, 0, 500, 450);
  g_assert_true (yolo_zones_update (zones, 0, objects, YOLO_ZONES_MAX_TRACKS + 10));
  g_assert_cmpuint (yolo_zones_n_tracks (zones), ==, YOLO_ZONES_MAX_TRACKS);
  yolo_zones_free (zones);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/zones/cross", test_cross);
  g_test_add_func ("/zones/flicker", test_flicker);
  g_test_add_func ("/zones/on-the-line", test_on_the_line);
  g_test_add_func ("/zones/fast", test_fast);
  g_test_add_func ("/zones/around", test_around);
  g_test_add_func ("/zones/points", test_points);
  g_test_add_func ("/zones/unconfirmed", test_unconfirmed);
  g_test_add_func ("/zones/ids-of-classes", test_ids_of_classes);
  g_test_add_func ("/zones/class-changes", test_class_changes);
  g_test_add_func ("/zones/accept", test_accept);
  g_test_add_func ("/zones/predicted", test_predicted);
  g_test_add_func ("/zones/forget", test_forget);
  g_test_add_func ("/zones/slow", test_slow);
  g_test_add_func ("/zones/bad-boxes", test_bad_boxes);
  g_test_add_func ("/zones/stay", test_stay);
  g_test_add_func ("/zones/narrow", test_narrow);
  g_test_add_func ("/zones/appear", test_appear);
  g_test_add_func ("/zones/edge", test_edge);
  g_test_add_func ("/zones/overlap", test_overlap);
  g_test_add_func ("/zones/loiter", test_loiter);
  g_test_add_func ("/zones/crowd", test_crowd);
  g_test_add_func ("/zones/end", test_end);
  g_test_add_func ("/zones/direction", test_direction);
  g_test_add_func ("/zones/speed", test_speed);
  g_test_add_func ("/zones/time-jumps", test_time_jumps);
  g_test_add_func ("/zones/resize", test_resize);
  g_test_add_func ("/zones/reset", test_reset);
  g_test_add_func ("/zones/take", test_take);
  g_test_add_func ("/zones/take-less", test_take_less);
  g_test_add_func ("/zones/heat", test_heat);
  g_test_add_func ("/zones/bad-config", test_bad_config);
  g_test_add_func ("/zones/crowd-for-ever", test_crowd_for_ever);
  g_test_add_func ("/zones/too-many", test_too_many);
  return g_test_run ();
}
