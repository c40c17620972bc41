/* SPDX-License-Identifier: MIT */
/* Trackers on objects that move as the test says, and on the reference's files where they are. */

#include "postprocess/track/record.h"
#include "tests/guarded.h"

#include <math.h>
#include <stdlib.h>

#define FRAMES 795              /* of the reference's video */

static const YoloTrackerSettings usual = {
  .high = .25f, .low = .1f, .new_track = .25f, .match = .8f, .buffer = 10, .fuse_score = true,
  .class_aware = true,
};
static const YoloTrackerKind kinds[] = {
  YOLO_TRACKER_BYTETRACK, YOLO_TRACKER_BOTSORT, YOLO_TRACKER_OCSORT,
};

static YoloTracker *
tracker (YoloTrackerKind kind)
{
  YoloTrackerSettings settings = usual;

  settings.kind = kind;
  YoloTracker *t = yolo_tracker_new (&settings);
  g_assert_nonnull (t);
  return t;
}

static YoloObject
box_at (double x, double y, double w, double h, double score)
{
  return (YoloObject) { .x1 = (float) (x - w / 2), .y1 = (float) (y - h / 2),
    .x2 = (float) (x + w / 2), .y2 = (float) (y + h / 2), .confidence = (float) score };
}

/* From a copy that ends where memory ends. */
static void
update (YoloTracker *t, double step, const YoloObject *boxes, size_t n, const float *camera)
{
  Guarded g = guarded_new (n * sizeof *boxes);

  if (n)
    memcpy (g.data, boxes, n * sizeof *boxes);
  g_assert_true (yolo_tracker_update (t, step, (const YoloObject *) (void *) g.data, n, camera));
  guarded_free (&g);
}

/* The track that the box of this index is in; it has to be in one alone. */
static const YoloTrack *
track_of (const YoloTracker *t, int32_t box)
{
  size_t n;
  const YoloTrack *tracks = yolo_tracker_tracks (t, &n), *found = NULL;

  for (size_t i = 0; i < n; i++) {
    if (i)
      g_assert_cmpint (tracks[i].id, >, tracks[i - 1].id);
    if (tracks[i].detection == box) {
      g_assert_null (found);
      found = &tracks[i];
    }
  }
  g_assert_nonnull (found);
  return found;
}

static int32_t
id_of (const YoloTracker *t, int32_t box)
{
  return track_of (t, box)->id;
}

static size_t
count (const YoloTracker *t)
{
  size_t n;

  yolo_tracker_tracks (t, &n);
  return n;
}

/* Two cross each other's way, one with a wobble; who is who is in the order of the boxes. */
static void
test_crossing (void)
{
  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++) {
    YoloTracker *t = tracker (kinds[k]);
    int32_t ids[2] = { 0, 0 };
    for (int frame = 0; frame < 80; frame++) {
      YoloObject boxes[2] = { box_at (100 + 5 * frame, 200 + frame % 3, 40, 90, .9),
        box_at (500 - 5 * frame, 215, 44, 100, .8) };
      update (t, 1, boxes, 2, NULL);
      for (int i = 0; i < 2; i++) {
        if (frame == 3)
          ids[i] = id_of (t, i);
        if (frame >= 3)
          g_assert_cmpint (id_of (t, i), ==, ids[i]);
      }
    }
    const YoloTrack *track = track_of (t, 0);
    g_assert_cmpint (ids[0], !=, ids[1]);
    g_assert_cmpuint (count (t), ==, 2);
    g_assert_cmpfloat (fabs (track->vx - 5), <, .3);
    g_assert_cmpfloat (fabs (track->vy), <, 1);
    g_assert_cmpfloat (fabs (track->age - 79), <, 1e-6);
    g_assert_cmpint (track->state, ==, YOLO_TRACK_TRACKED);
    yolo_tracker_free (t);
  }
}

/* Hidden for a while, an object is lost and moves on, and is itself when it comes back in time;
 * after the buffer it is forgotten. */
static void
test_gap (void)
{
  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++)
    for (int gap = 4; gap <= 16; gap += 12) {
      YoloTracker *t = tracker (kinds[k]);
      int frame = 0;
      for (; frame < 20; frame++)
        update (t, 1, (YoloObject[]) { box_at (100 + 4 * frame, 200, 40, 90, .9) }, 1, NULL);
      int32_t id = id_of (t, 0);
      for (int i = 0; i < gap; i++, frame++) {
        update (t, 1, NULL, 0, NULL);
        size_t n;
        const YoloTrack *lost = yolo_tracker_tracks (t, &n);
        g_assert_cmpuint (n, ==, i < 10);
        if (n) {
          g_assert_cmpint (lost->state, ==, YOLO_TRACK_LOST);
          g_assert_cmpint (lost->detection, ==, -1);
          g_assert_cmpfloat (lost->unseen, ==, i + 1);
          double x = (double) (lost->object.x1 + lost->object.x2) / 2;
          g_assert_cmpfloat (fabs (x - 100 - 4 * frame), <, 5);
        }
      }
      for (int i = 0; i < 5; i++, frame++)
        update (t, 1, (YoloObject[]) { box_at (100 + 4 * frame, 200, 40, 90, .9) }, 1, NULL);
      g_assert_cmpint (id_of (t, 0) == id, ==, gap < 10);
      g_assert_cmpfloat (track_of (t, 0)->unseen, ==, 0);
      yolo_tracker_free (t);
    }
}

/* Steps of two, three and of parts of a frame keep what a step of one keeps; a velocity is that
 * of a nominal frame. */
static void
test_steps (void)
{
  const double steps[] = { .25, .5, 1, 2, 3 };

  for (size_t i = 0; i < G_N_ELEMENTS (steps); i++)
    for (size_t k = 0; k < 2; k++) {
      YoloTracker *t = tracker (kinds[k]);
      double time = 0;
      int32_t id = 0;
      for (int n = 0; n < 40; n++, time += steps[i]) {
        YoloObject boxes[] = { box_at (50 + 8 * time, 200, 30, 80, .9),
          box_at (300, 200 + 6 * time, 30, 80, .9) };
        update (t, steps[i], boxes, 2, NULL);
        if (n == 2)
          id = id_of (t, 0);
        if (n >= 2)
          g_assert_cmpint (id_of (t, 0), ==, id);
      }
      g_assert_cmpfloat (fabs (track_of (t, 0)->vx - 8), <, 1);
      g_assert_cmpfloat (fabs (track_of (t, 1)->vy - 6), <, 1);
      g_assert_cmpuint (count (t), ==, 2);
      yolo_tracker_free (t);
    }
}

/* As published, a new track has no velocity and needs an overlap: what moves by its width is a
 * new object in each frame. Ours finds it. */
static void
test_published (void)
{
  for (size_t k = 0; k < 2; k++)
    for (int published = 0; published < 2; published++) {
      YoloTrackerSettings settings = usual;
      settings.kind = kinds[k];
      settings.published = published;
      YoloTracker *t = yolo_tracker_new (&settings);
      for (int n = 0; n < 10; n++)
        update (t, 3, (YoloObject[]) { box_at (50 + 31 * n, 200, 30, 80, .9) }, 1, NULL);
      g_assert_cmpint (id_of (t, 0) == 1, ==, !published);
      yolo_tracker_free (t);
    }
}

/* As published, the second box of a new track says nothing of its velocity. */
static void
test_second (void)
{
  for (size_t k = 0; k < 2; k++)
    for (int published = 0; published < 2; published++) {
      YoloTrackerSettings settings = usual;
      settings.kind = kinds[k];
      settings.published = published;
      YoloTracker *t = yolo_tracker_new (&settings);
      update (t, 1, NULL, 0, NULL);
      update (t, 1, (YoloObject[]) { box_at (50, 200, 30, 80, .9) }, 1, NULL);
      update (t, 1, (YoloObject[]) { box_at (56, 200, 30, 80, .9) }, 1, NULL);
      g_assert_cmpint (id_of (t, 0), ==, 1);
      if (published)
        g_assert_cmpfloat (track_of (t, 0)->vx, ==, 0);
      else
        g_assert_cmpfloat (track_of (t, 0)->vx, >, 1);
      yolo_tracker_free (t);
    }
}

/* Frames that are not looked at: the box goes on, and three of them are one of three. */
static void
test_skipped (void)
{
  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++) {
    YoloTracker *t[2] = { tracker (kinds[k]), tracker (kinds[k]) };
    for (int n = 0; n < 20; n++) {
      YoloObject box = box_at (50 + 12 * n, 200, 30, 80, .9);
      for (int skip = 1; n && skip < 3; skip++) {
        yolo_tracker_predict (t[0], 1, NULL);
        size_t all;
        const YoloTrack *track = yolo_tracker_tracks (t[0], &all);
        g_assert_cmpuint (all, ==, 1);
        g_assert_cmpint (track->detection, ==, -1);
        if (n > 5) {
          g_assert_cmpint (track->state, ==, YOLO_TRACK_PREDICTED);
          g_assert_cmpfloat (fabs ((track->object.x1 + track->object.x2) / 2 - 50 - 12 * (n - 1)
              - 4 * skip), <, 1.5);
        }
      }
      update (t[0], 1, &box, 1, NULL);
      update (t[1], 3, &box, 1, NULL);
      const YoloTrack *a = track_of (t[0], 0), *b = track_of (t[1], 0);
      g_assert_cmpint (a->id, ==, 1);
      g_assert_cmpint (b->id, ==, 1);
      g_assert_cmpfloat (fabs (a->object.x1 - b->object.x1), <, .3);
      g_assert_cmpfloat (fabs (a->object.y2 - b->object.y2), <, .3);
    }
    yolo_tracker_free (t[0]);
    yolo_tracker_free (t[1]);
  }
}

/* What gets smaller and is not looked at for long does not become nothing. */
static void
test_shrinking (void)
{
  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++) {
    YoloTracker *t = tracker (kinds[k]);
    for (int n = 0; n < 25; n++)
      update (t, 1, (YoloObject[]) { box_at (300, 200, 60 - 1.5 * n, 120 - 3 * n, .9) }, 1, NULL);
    yolo_tracker_predict (t, 60, NULL);
    size_t n;
    const YoloTrack *track = yolo_tracker_tracks (t, &n);
    g_assert_cmpuint (n, ==, 1);
    g_assert_cmpfloat (track->object.x2 - track->object.x1, >, 5);
    g_assert_cmpfloat (track->object.y2 - track->object.y1, >, 10);
    yolo_tracker_free (t);
  }
}

/* A box of another class in the same place is another object, unless classes do not matter. */
static void
test_class (void)
{
  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++)
    for (int aware = 0; aware < 2; aware++) {
      YoloTrackerSettings settings = usual;
      settings.kind = kinds[k];
      settings.class_aware = aware;
      YoloTracker *t = yolo_tracker_new (&settings);
      for (int n = 0; n < 10; n++) {
        YoloObject box = box_at (50, 200, 30, 80, .9);
        box.class_id = n >= 5;
        update (t, 1, &box, 1, NULL);
        g_assert_cmpint (track_of (t, 0)->object.class_id, ==, n >= 5);
      }
      g_assert_cmpint (id_of (t, 0), ==, aware ? 2 : 1);
      yolo_tracker_free (t);
    }
}

/* Weak boxes keep a track and begin none. */
static void
test_scores (void)
{
  for (size_t k = 0; k < 2; k++) {
    YoloTracker *t = tracker (kinds[k]);
    for (int n = 0; n < 20; n++) {
      double score = n < 5 ? .9 : .15;
      YoloObject boxes[] = { box_at (50 + n, 200, 30, 80, score), box_at (300, 200, 30, 80, .15),
        box_at (500, 200, 30, 80, .09) };
      update (t, 1, boxes, 3, NULL);
      g_assert_cmpuint (count (t), ==, 1);
      g_assert_cmpint (id_of (t, 0), ==, 1);
      g_assert_cmpfloat (fabs (track_of (t, 0)->object.confidence - score), <, 1e-6);
    }
    yolo_tracker_free (t);
  }
}

/* What is seen once is new, and gone if it is not seen again; in the first frame all is certain. */
static void
test_new (void)
{
  for (size_t k = 0; k < 2; k++) {
    YoloTracker *t = tracker (kinds[k]);
    YoloObject boxes[] = { box_at (50, 200, 30, 80, .9), box_at (300, 200, 30, 80, .9) };
    update (t, 1, boxes, 1, NULL);
    g_assert_cmpint (track_of (t, 0)->state, ==, YOLO_TRACK_TRACKED);
    update (t, 1, boxes, 2, NULL);
    g_assert_cmpint (track_of (t, 1)->state, ==, YOLO_TRACK_NEW);
    update (t, 1, boxes, 1, NULL);
    g_assert_cmpuint (count (t), ==, 1);
    update (t, 1, boxes, 2, NULL);
    g_assert_cmpint (id_of (t, 1), ==, 3);
    update (t, 1, boxes, 2, NULL);
    g_assert_cmpint (id_of (t, 1), ==, 3);
    g_assert_cmpint (track_of (t, 1)->state, ==, YOLO_TRACK_TRACKED);

    yolo_tracker_reset (t);
    g_assert_cmpuint (count (t), ==, 0);
    update (t, 1, boxes, 1, NULL);
    g_assert_cmpint (id_of (t, 0), ==, 4);
    g_assert_cmpint (track_of (t, 0)->state, ==, YOLO_TRACK_TRACKED);
    yolo_tracker_free (t);
  }
}

/* OC-SORT is certain of what was seen in three frames on end, and shows boxes as they are seen. */
static void
test_ocsort_streak (void)
{
  YoloTracker *t = tracker (YOLO_TRACKER_OCSORT);
  YoloObject box = box_at (50, 200, 30, 80, .9);

  for (int n = 0; n < 3; n++)
    update (t, 1, NULL, 0, NULL);
  for (int n = 0; n < 8; n++) {
    if (n == 5)
      update (t, 1, NULL, 0, NULL);
    box.x1 += (float) (n % 2);
    update (t, 1, &box, 1, NULL);
    g_assert_cmpint (id_of (t, 0), ==, 1);
    g_assert_cmpint (track_of (t, 0)->state, ==,
        n < 3 || n == 5 || n == 6 ? YOLO_TRACK_NEW : YOLO_TRACK_TRACKED);
    g_assert_cmpfloat (track_of (t, 0)->object.x1, ==, box.x1);
  }
  yolo_tracker_free (t);
}

/* OC-SORT: of what was hidden for eight frames, the filter is what it would be had it been seen
 * on a straight way meanwhile, and once more where it is now. */
static void
test_ocsort_walk (void)
{
  YoloTracker *t[2] = { tracker (YOLO_TRACKER_OCSORT), tracker (YOLO_TRACKER_OCSORT) };
  const double variance[4] = { 1, 1, 10, 10 };
  int n;

  for (n = 0; n < 20; n++)
    for (int i = 0; i < 2; i++)
      update (t[i], 1, (YoloObject[]) { box_at (100 + 2 * n, 200, 40, 90, .9) }, 1, NULL);
  for (; n < 28; n++) {
    update (t[0], 1, NULL, 0, NULL);
    update (t[1], 1, (YoloObject[]) { box_at (100 + 2 * n, 200 + 4 * (n - 19), 40, 90, .9) }, 1,
        NULL);
  }
  for (int i = 0; i < 2; i++)
    update (t[i], 1, (YoloObject[]) { box_at (156, 236, 40, 90, .9) }, 1, NULL);
  g_assert_cmpint (id_of (t[0], 0), ==, 1);
  for (int i = 0; i < 4; i++) {
    YoloKalman *ours = &t[0]->records[0].motion[i], *seen = &t[1]->records[0].motion[i];
    const double z[4] = { 156, 236, 3600, 40. / 90 };
    yolo_kalman_correct (seen, z[i], variance[i]);
    g_assert_cmpfloat (fabs (ours->x - seen->x), <, 1e-4);
    g_assert_cmpfloat (fabs (ours->v - seen->v), <, 1e-4);
    g_assert_cmpfloat (fabs (ours->xx - seen->xx), <, 1e-9);
    g_assert_cmpfloat (fabs (ours->vv - seen->vv), <, 1e-9);
  }
  yolo_tracker_free (t[0]);
  yolo_tracker_free (t[1]);
}

/* OC-SORT: what is missed and found again while no time passes has not moved. */
static void
test_ocsort_at_once (void)
{
  YoloTracker *t = tracker (YOLO_TRACKER_OCSORT);
  const YoloObject box = box_at (100, 200, 40, 90, .9);

  for (int n = 0; n < 5; n++)
    update (t, 1, &box, 1, NULL);
  update (t, 0, NULL, 0, NULL);
  update (t, 0, &box, 1, NULL);
  g_assert_cmpint (id_of (t, 0), ==, 1);
  for (int i = 0; i < 4; i++)
    g_assert_true (isfinite (t->records[0].motion[i].x) && isfinite (t->records[0].motion[i].v));
  update (t, 1, &box, 1, NULL);
  g_assert_cmpint (id_of (t, 0), ==, 1);
  yolo_tracker_free (t);
}

/* OC-SORT: what went back to where it was seen last is looked for there too. */
static void
test_ocsort_back (void)
{
  YoloTracker *t = tracker (YOLO_TRACKER_OCSORT);

  for (int n = 0; n < 20; n++)
    update (t, 1, (YoloObject[]) { box_at (100 + 10 * n, 200, 40, 90, .9) }, 1, NULL);
  for (int n = 0; n < 5; n++)
    update (t, 1, NULL, 0, NULL);
  update (t, 1, (YoloObject[]) { box_at (290, 200, 40, 90, .9) }, 1, NULL);
  g_assert_cmpint (id_of (t, 0), ==, 1);
  yolo_tracker_free (t);
}

/* OC-SORT: of two boxes as near to where an object is expected, it is the one that lies where the
 * object was going. */
static void
test_ocsort_direction (void)
{
  YoloTracker *t = tracker (YOLO_TRACKER_OCSORT);
  int n;

  for (n = 0; n < 30; n++)
    update (t, 1, (YoloObject[]) { box_at (100 + 4 * n, 200, 60, 90, .9) }, 1, NULL);
  update (t, 1, (YoloObject[]) { box_at (100 + 4 * n - 25, 200, 60, 90, .9),
              box_at (100 + 4 * n + 26, 200, 60, 90, .9) }, 2, NULL);
  g_assert_cmpint (id_of (t, 1), ==, 1);
  g_assert_cmpint (id_of (t, 0), ==, 2);
  yolo_tracker_free (t);
}

/* A camera that jumps by more than a box. */
static void
test_camera (void)
{
  for (size_t k = 0; k < 2; k++)
    for (int known = 0; known < 2; known++) {
      YoloTracker *t = tracker (kinds[k]);
      double x = 400, y = 200, size = 1;
      for (int n = 0; n < 12; n++) {
        bool jump = n == 6;
        if (jump) {
          x = 1.2 * x - 300;
          y = 1.2 * y + 40;
          size = 1.2;
        }
        update (t, 1, (YoloObject[]) { box_at (x, y, 30 * size, 80 * size, .9) }, 1,
            known && jump ? (float[6]) { 1.2f, 0, -300, 0, 1.2f, 40 } : NULL);
        if (jump && known)
          g_assert_cmpfloat (fabs (track_of (t, 0)->object.y2 - y - 40 * size), <, 1);
      }
      g_assert_cmpint (id_of (t, 0) == 1, ==, known);
      /* a matrix that says nothing does nothing */
      update (t, 1, (YoloObject[]) { box_at (x, y, 30 * size, 80 * size, .9) }, 1,
          (float[6]) { 1, 0, NAN, 0, 1, 0 });
      update (t, 1, (YoloObject[]) { box_at (x, y, 30 * size, 80 * size, .9) }, 1,
          (float[6]) { 0 });
      g_assert_cmpint (id_of (t, 0) == 1, ==, known);
      g_assert_true (isfinite (track_of (t, 0)->object.x1));
      yolo_tracker_free (t);
    }
}

/* Boxes that are none, and one that is, in any order; times that are none. */
static void
test_nonsense (void)
{
  const float bad[] = { NAN, INFINITY, -INFINITY };

  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++) {
    YoloTracker *t = tracker (kinds[k]);
    for (int n = 0; n < 30; n++) {
      YoloObject boxes[8];
      for (int i = 0; i < 8; i++)
        boxes[i] = box_at (100 + 100 * i, 200, 30, 80, .9);
      boxes[0].x1 = bad[n % 3];
      boxes[1].y2 = bad[n % 3];
      boxes[2].confidence = bad[n % 3];
      boxes[3].x2 = boxes[3].x1;
      boxes[4].y1 = boxes[4].y2 + 1;
      boxes[5].angle = bad[n % 3];
      boxes[7] = box_at (0, 0, 1e38, 1e38, .9);
      update (t, n == 20 ? NAN : n == 21 ? -5 : 1, boxes, 8, NULL);
      g_assert_cmpint (id_of (t, 6), ==, 1);
      g_assert_cmpint (id_of (t, 7), ==, 2);
      g_assert_cmpuint (count (t), ==, 2);
    }
    g_assert_true (isfinite (track_of (t, 6)->object.x1) && isfinite (track_of (t, 6)->vx));

    /* more boxes than there is memory for */
    g_assert_false (yolo_tracker_update (t, 1, NULL, SIZE_MAX / 2, NULL));
    g_assert_cmpuint (count (t), ==, 2);
    g_assert_cmpint (id_of (t, 6), ==, 1);

    yolo_tracker_predict (t, INFINITY, NULL);
    update (t, 1, NULL, 0, NULL);
    g_assert_cmpuint (count (t), ==, 0);
    yolo_tracker_free (t);
  }
  yolo_tracker_free (NULL);
}

/* Whatever comes in, boxes come out: of all kinds of settings, sizes, steps and cameras. */
static void
test_random (void)
{
  Random r = random_new (5);

  for (int run = 0; run < 60; run++) {
    YoloTrackerSettings settings = { .kind = kinds[run % 3], .high = .25f, .low = .1f,
      .new_track = .25f, .match = (float) random_unit (&r), .buffer = (float) (run % 40),
      .fuse_score = run & 1, .class_aware = run & 2, .published = run & 4 };
    YoloTracker *t = yolo_tracker_new (&settings);
    for (int frame = 0; frame < 100; frame++) {
      YoloObject boxes[40];
      float camera[6];
      size_t n = (size_t) random_int (&r, 0, 40);
      for (size_t i = 0; i < n; i++) {
        double scale = random_int (&r, 0, 9) ? 1 : pow (10, random_int (&r, -30, 37));
        boxes[i] = box_at (500 * scale * random_unit (&r), 500 * scale * random_unit (&r),
            300 * scale * random_unit (&r), 300 * scale * random_unit (&r), random_unit (&r));
        boxes[i].class_id = random_int (&r, 0, 2);
        boxes[i].angle = random_int (&r, 0, 3) ? 0 : (float) (7 * random_unit (&r) - 3);
      }
      for (int i = 0; i < 6; i++)
        camera[i] = (float) ((i == 0 || i == 4) + random_normal (&r) * (i % 3 == 2 ? 20 : .1));
      const float *moved = random_int (&r, 0, 2) ? NULL : camera;
      double step = random_int (&r, 0, 9) ? 3 * random_unit (&r) : pow (10, random_int (&r, -9, 9));
      settings.kind = random_int (&r, 0, 40) ? settings.kind : kinds[random_int (&r, 0, 2)];
      yolo_tracker_set (t, &settings);
      if (random_int (&r, 0, 3))
        update (t, step, boxes, n, moved);
      else
        yolo_tracker_predict (t, step, moved);
      size_t n_tracks;
      const YoloTrack *tracks = yolo_tracker_tracks (t, &n_tracks);
      for (size_t i = 0; i < n_tracks; i++) {
        const YoloObject *o = &tracks[i].object;
        g_assert_true (isfinite (o->x1) && isfinite (o->y1) && isfinite (o->x2)
            && isfinite (o->y2) && isfinite (tracks[i].vx) && isfinite (tracks[i].vy));
        g_assert_true (o->x2 > o->x1 && o->y2 > o->y1);
        g_assert_true (i == 0 || tracks[i].id > tracks[i - 1].id);
      }
    }
    yolo_tracker_free (t);
  }
}

/* A long box that turns around itself has two names; its identity and its longer side stay. */
static void
test_turned (void)
{
  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++) {
    YoloTracker *t = tracker (kinds[k]);
    for (int n = 0; n < 100; n++) {
      YoloObject box = { .confidence = .9f };
      yolo_object_turn (&box, 300, 200, 120, 30, (float) (.1 + .08 * n));
      update (t, 1, &box, 1, NULL);
      const YoloTrack *track = track_of (t, 0);
      const YoloObject *o = &track->object;
      g_assert_cmpint (track->id, ==, 1);
      g_assert_cmpfloat (o->angle, >=, 0);
      g_assert_cmpfloat (o->angle, <, 1.5708);
      g_assert_cmpfloat (fabs (o->angle - box.angle), <, 1e-4);
      g_assert_cmpfloat (fabs (o->x2 - o->x1 - (box.x2 - box.x1)), <, 1);
      g_assert_cmpfloat (fabs (o->y2 - o->y1 - (box.y2 - box.y1)), <, 1);
    }
    yolo_tracker_free (t);
  }
}

/* Of another kind, a tracker has the same tracks. */
static void
test_set (void)
{
  YoloTrackerSettings settings = usual;
  YoloTracker *t = tracker (YOLO_TRACKER_BYTETRACK);

  for (int n = 0; n < 60; n++) {
    settings.kind = kinds[n / 10 % 3];
    yolo_tracker_set (t, &settings);
    YoloObject boxes[] = { box_at (100 + 3 * n, 200, 40, 90, .9), box_at (400, 200, 40, 90, .9) };
    update (t, 1, boxes, 2, NULL);
    g_assert_cmpint (id_of (t, 0), ==, 1);
    g_assert_cmpint (id_of (t, 1), ==, 2);
  }
  yolo_tracker_free (t);
}

/* A crowd of a hundred that come, go and hide, for 10,000 frames: after the first ones no array
 * grows, or moves. */
static void
test_memory (void)
{
  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++) {
    Random r = random_new (3);
    YoloTracker *t = tracker (kinds[k]);
    static struct {
      double x, y, vx, vy;
    } person[100];
    int frames = k == 0 ? 10000 : 300;
    memset (person, 0, sizeof person);
    const void *records = NULL, *shown = NULL, *taken = NULL, *cost = NULL;
    for (int n = 0; n < frames; n++) {
      YoloObject boxes[100];
      size_t n_boxes = 0;
      for (int i = 0; i < 100; i++) {
        if (person[i].vx == 0 || person[i].x < 0 || person[i].x > 1900 || person[i].y < 0
            || person[i].y > 1060) {
          person[i].x = 1900 * random_unit (&r);
          person[i].y = 1060 * random_unit (&r);
          person[i].vx = 3 * random_normal (&r);
          person[i].vy = random_normal (&r);
        }
        person[i].x += person[i].vx;
        person[i].y += person[i].vy;
        if (random_int (&r, 0, 9))
          boxes[n_boxes++] = box_at (person[i].x, person[i].y, 40, 100, .1 + .8 * random_unit (&r));
      }
      g_assert_true (yolo_tracker_update (t, 1, boxes, n_boxes, NULL));
      g_assert_cmpuint (count (t), <, 400);
      if (n == frames / 10) {
        records = t->records;
        shown = t->shown;
        taken = t->taken;
        cost = t->assignment.cost;
      }
    }
    g_assert_true (t->records == records && t->shown == shown && t->taken == taken);
    g_assert_true (t->assignment.cost == cost);
    g_assert_cmpuint (t->capacity, <=, 800);
    yolo_tracker_free (t);
  }
}

/* Other objects in every other frame, looked for for ever: tracks are bounded, and what has one
 * already is followed. */
static void
test_bounded (void)
{
  static YoloObject boxes[301];
  YoloTrackerSettings settings = usual;
  Random r = random_new (4);

  settings.buffer = INFINITY;
  YoloTracker *t = yolo_tracker_new (&settings);
  boxes[300] = box_at (-500, 0, 10, 10, .9);
  for (int n = 0; n < 20; n++) {
    for (int i = 0; i < 300 && n % 2 == 0; i++)
      boxes[i] = box_at (1e6 * random_unit (&r), 1e6 * random_unit (&r), 10, 10, .9);
    update (t, 1, boxes, 301, NULL);
    g_assert_cmpint (id_of (t, 300), ==, 301);
  }
  g_assert_cmpuint (count (t), ==, 2048);
  g_assert_cmpuint (t->capacity, ==, 2048);
  yolo_tracker_free (t);
}

/* Reads frame, id, left, top, width, height, score of each line, by frame. */
static GArray *
read_rows (const char *name)
{
  const char *folder = g_getenv ("YOLO_SHARED");
  g_autofree char *beside = g_test_build_filename (G_TEST_DIST, "..", "shared", NULL);
  g_autofree char *path = g_build_filename (folder ? folder : beside, "tracking", "PETS09-S2L1",
      name, NULL);
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return NULL;
  GArray *rows = g_array_new (FALSE, FALSE, 7 * sizeof (double));
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++) {
    double row[7];
    char *at = *line;
    if (!*at)
      continue;
    for (int i = 0; i < 7; i++, at += *at == ',')
      row[i] = g_ascii_strtod (at, &at);
    g_array_append_val (rows, row);
  }
  return rows;
}

/* Each track of a frame is one of the reference's lines, and each line one of the tracks. */
static void
compare_frame (const YoloTracker *t, int frame, GArray *rows, bool *used, size_t *n_shown)
{
  size_t n;
  const YoloTrack *tracks = yolo_tracker_tracks (t, &n);

  for (size_t i = 0; i < n; i++) {
    const YoloObject *o = &tracks[i].object;
    bool found = false;
    if (tracks[i].state != YOLO_TRACK_TRACKED)
      continue;
    for (guint k = 0; k < rows->len && !found; k++) {
      const double *row = (const double *) (void *) rows->data + 7 * k;
      found = !used[k] && (int) row[0] == frame && (int) row[1] == tracks[i].id
          && fabs (row[2] - o->x1) < .02 && fabs (row[3] - o->y1) < .02
          && fabs (row[2] + row[4] - o->x2) < .02 && fabs (row[3] + row[5] - o->y2) < .02
          && fabs (row[6] - o->confidence) < 1e-4;
      used[k] |= found;
    }
    if (!found)
      g_error ("frame %d: track %d is not the reference's", frame, tracks[i].id);
    *n_shown += 1;
  }
}

static void
test_reference (gconstpointer data)
{
  const char *names = data;     /* "defaults-on-sort" */
  bool paper = g_str_has_prefix (names, "paper");
  g_autofree char *of_tracks = g_strconcat ("bytetrack-", names, ".txt", NULL);
  g_autofree char *of_boxes = g_strconcat ("det-", strrchr (names, '-') + 1, ".txt", NULL);
  GArray *rows = read_rows (of_tracks), *boxes = read_rows (of_boxes);

  if (!rows || !boxes) {
    g_test_skip ("../shared/tracking is not there");
    g_clear_pointer (&rows, g_array_unref);
    g_clear_pointer (&boxes, g_array_unref);
    return;
  }
  YoloTracker *t = yolo_tracker_new (&(YoloTrackerSettings) {
    .high = paper ? .6f : .25f, .low = .1f, .new_track = paper ? .7f : .25f,
    .match = paper ? .9f : .8f, .buffer = 30, .fuse_score = true, .published = true });
  g_autofree bool *used = g_new0 (bool, rows->len);
  size_t n_shown = 0;
  guint next = 0;
  for (int frame = 1; frame <= FRAMES; frame++) {
    YoloObject seen[100];
    size_t n = 0;
    for (; next < boxes->len; next++) {
      const double *row = (const double *) (void *) boxes->data + 7 * next;
      if ((int) row[0] != frame)
        break;
      g_assert_cmpuint (n, <, G_N_ELEMENTS (seen));
      seen[n++] = (YoloObject) { .x1 = (float) row[2], .y1 = (float) row[3],
        .x2 = (float) (row[2] + row[4]), .y2 = (float) (row[3] + row[5]),
        .confidence = (float) row[6] };
    }
    update (t, 1, seen, n, NULL);
    compare_frame (t, frame, rows, used, &n_shown);
  }
  g_assert_cmpuint (next, ==, boxes->len);
  g_assert_cmpuint (n_shown, ==, rows->len);
  yolo_tracker_free (t);
  g_array_unref (rows);
  g_array_unref (boxes);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/track/crossing", test_crossing);
  g_test_add_func ("/track/gap", test_gap);
  g_test_add_func ("/track/steps", test_steps);
  g_test_add_func ("/track/published", test_published);
  g_test_add_func ("/track/second", test_second);
  g_test_add_func ("/track/skipped", test_skipped);
  g_test_add_func ("/track/shrinking", test_shrinking);
  g_test_add_func ("/track/class", test_class);
  g_test_add_func ("/track/scores", test_scores);
  g_test_add_func ("/track/new", test_new);
  g_test_add_func ("/track/ocsort-streak", test_ocsort_streak);
  g_test_add_func ("/track/ocsort-walk", test_ocsort_walk);
  g_test_add_func ("/track/ocsort-at-once", test_ocsort_at_once);
  g_test_add_func ("/track/ocsort-back", test_ocsort_back);
  g_test_add_func ("/track/ocsort-direction", test_ocsort_direction);
  g_test_add_func ("/track/camera", test_camera);
  g_test_add_func ("/track/nonsense", test_nonsense);
  g_test_add_func ("/track/random", test_random);
  g_test_add_func ("/track/turned", test_turned);
  g_test_add_func ("/track/set", test_set);
  g_test_add_func ("/track/memory", test_memory);
  g_test_add_func ("/track/bounded", test_bounded);
  g_test_add_data_func ("/track/reference/defaults-on-sort", "defaults-on-sort", test_reference);
  g_test_add_data_func ("/track/reference/defaults-on-yolov8n", "defaults-on-yolov8n",
      test_reference);
  g_test_add_data_func ("/track/reference/paper-on-sort", "paper-on-sort", test_reference);
  g_test_add_data_func ("/track/reference/paper-on-yolov8n", "paper-on-yolov8n", test_reference);
  return g_test_run ();
}
