/* SPDX-License-Identifier: MIT */
/* Source: J. Cao et al., "Observation-Centric SORT: Rethinking SORT for Robust Multi-Object
 * Tracking", CVPR 2023; the filter is that of A. Bewley et al., "Simple Online and Realtime
 * Tracking", ICIP 2016: middle, area, and width by height, with noise in pixels.
 *
 * The authors assign as many pairs as there can be, and then drop those that overlap too little;
 * so does this file, since the published numbers come from that. */
#include "postprocess/track/record.h"

#include <math.h>

/* variances of middle x, y, area and width by height: at first, added in a nominal frame, and of
 * what is measured */
static const double at_first[4] = { 10, 10, 10, 10 };
static const double at_first_velocity[4] = { 1e4, 1e4, 1e4, 0 };
static const double added[4] = { 1, 1, 1, 1 };
static const double added_velocity[4] = { .01, .01, 1e-4, 0 };
static const double measured[4] = { 1, 1, 10, 10 };

/* A track is confirmed when it was seen in as many frames on end, or in the first ones. */
#define HITS 3
/* nominal frames between two boxes that say where an object is going */
#define DIRECTION_SPAN 3
/* how much a full turn costs, in units of IoU */
#define DIRECTION_WEIGHT .2
/* So much more than any pair costs that no pair is left out for the sake of cheaper ones. */
#define NO_LIMIT 1e3

static void
measure (const YoloObject *box, double z[4])
{
  double w = (double) box->x2 - box->x1, h = (double) box->y2 - box->y1;

  z[0] = box->x1 + w / 2;
  z[1] = box->y1 + h / 2;
  z[2] = w * h;
  z[3] = w / h;
}

static void
begin (YoloTrackRecord *r, const YoloObject *box)
{
  double z[4];

  measure (box, z);
  for (int i = 0; i < 4; i++)
    yolo_kalman_begin (&r->motion[i], z[i], at_first[i], at_first_velocity[i]);
  r->n_seen = 0;
  r->streak = r->missed = 0;
  r->direction_x = r->direction_y = 0;
}

static void
predict (YoloTrackRecord *r, double step, const YoloTrackerSettings *settings)
{
  if (r->motion[2].x + step * r->motion[2].v <= 0)
    r->motion[2].v = 0;
  for (int i = 0; i < 4; i++)
    yolo_kalman_predict (&r->motion[i], step, added[i], added_velocity[i]);
}

static void
correct_by (YoloKalman motion[4], const double z[4])
{
  for (int i = 0; i < 4; i++)
    yolo_kalman_correct (&motion[i], z[i], measured[i]);
}

/* The unit vector from the middle of one box to that of another; almost 0 where they are one. */
static void
direct (const YoloObject *from, const YoloObject *to, float *x, float *y)
{
  float dx = (to->x1 + to->x2 - from->x1 - from->x2) / 2;
  float dy = (to->y1 + to->y2 - from->y1 - from->y2) / 2;
  float length = sqrtf (dx * dx + dy * dy) + 1e-6f;

  *x = dx / length;
  *y = dy / length;
}

/* The box that was seen DIRECTION_SPAN ago, or the oldest since, or else the last; NULL: none. */
static const YoloTrackSeen *
earlier (const YoloTrackRecord *r)
{
  const YoloTrackSeen *found = NULL;
  unsigned n = r->n_seen < YOLO_TRACK_SEEN ? r->n_seen : YOLO_TRACK_SEEN;

  for (unsigned i = 1; i <= n; i++) {
    const YoloTrackSeen *s = &r->seen[(r->n_seen - i) % YOLO_TRACK_SEEN];
    if (i > 1 && r->track.age - s->age > DIRECTION_SPAN + 1e-3)
      break;
    found = s;
  }
  return found;
}

/* The motion since the track was lost, as if it had been seen on a straight way to where it is
 * now. The filter goes back to the first frame that missed it. */
static void
walk_again (YoloTrackRecord *r, const YoloObject *box)
{
  const YoloTrackSeen *last = &r->seen[(r->n_seen - 1) % YOLO_TRACK_SEEN];
  double w1 = (double) last->box.x2 - last->box.x1, h1 = (double) last->box.y2 - last->box.y1;
  double w2 = (double) box->x2 - box->x1, h2 = (double) box->y2 - box->y1;
  double x1 = last->box.x1 + w1 / 2, y1 = last->box.y1 + h1 / 2;
  double x2 = box->x1 + w2 / 2, y2 = box->y1 + h2 / 2;
  double gap = r->track.age - last->age, step = (r->track.age - r->missed_age) / r->missed;

  /* no time has passed, and there is no way to walk */
  if (!(gap > 0))
    return;
  for (int i = 0; i < 4; i++)
    r->motion[i] = r->when_missed[i];
  for (unsigned n = 0; n <= r->missed; n++) {
    double part = (r->missed_age + n * step - last->age) / gap;
    double w = w1 + part * (w2 - w1), h = h1 + part * (h2 - h1);
    double z[4] = { x1 + part * (x2 - x1), y1 + part * (y2 - y1), w * h, w / h };
    correct_by (r->motion, z);
    if (n < r->missed)
      for (int i = 0; i < 4; i++)
        yolo_kalman_predict (&r->motion[i], step, added[i], added_velocity[i]);
  }
}

static void
correct (YoloTrackRecord *r, const YoloObject *box)
{
  const YoloTrackSeen *from = earlier (r);
  double z[4];

  if (from)
    direct (&from->box, box, &r->direction_x, &r->direction_y);
  if (r->missed && r->n_seen)
    walk_again (r, box);
  measure (box, z);
  correct_by (r->motion, z);
  r->streak = r->missed ? 1 : r->streak + 1;
  r->missed = 0;
  /* modulo a multiple of the ring's size, so that it can go on for ever */
  if (r->n_seen == 64 * YOLO_TRACK_SEEN)
    r->n_seen = YOLO_TRACK_SEEN;
  r->seen[r->n_seen++ % YOLO_TRACK_SEEN] = (YoloTrackSeen) { r->track.age, *box };
}

/* What is seen is shown where it was seen. */
static void
show (YoloTrackRecord *r)
{
  double w = sqrt (r->motion[2].x * r->motion[3].x), h = r->motion[2].x / w;

  r->track.vx = (float) r->motion[0].v;
  r->track.vy = (float) r->motion[1].v;
  if (r->track.detection >= 0)
    return;
  r->track.object.x1 = (float) (r->motion[0].x - w / 2);
  r->track.object.y1 = (float) (r->motion[1].x - h / 2);
  r->track.object.x2 = (float) (r->motion[0].x + w / 2);
  r->track.object.y2 = (float) (r->motion[1].x + h / 2);
}

/* How much better a pair is for the box's lying where the track was going: between
 * -DIRECTION_WEIGHT / 2 and DIRECTION_WEIGHT / 2. */
static double
direction_gain (const YoloTrackRecord *r, const YoloTrackSeen *from, const YoloObject *box)
{
  float x, y;

  if (!from)
    return 0;
  direct (&from->box, box, &x, &y);
  float c = x * r->direction_x + y * r->direction_y;
  float turn = acosf (c < -1 ? -1 : c > 1 ? 1 : c);
  return (.5 - (double) turn / M_PI) * DIRECTION_WEIGHT * (double) box->confidence;
}

/* Where a track is looked for: where it is expected, or where it was last; NULL: nowhere. */
static const YoloObject *
place_of (const YoloTrackRecord *r, bool expected)
{
  if (expected)
    return &r->track.object;
  return r->n_seen ? &r->seen[(r->n_seen - 1) % YOLO_TRACK_SEEN].box : NULL;
}

static void
list (YoloTracker *t, bool expected)
{
  t->tracks.n = 0;
  for (size_t i = 0; i < t->n; i++)
    if (t->records[i].track.detection < 0 && place_of (&t->records[i], expected))
      t->tracks.at[t->tracks.n++] = (int32_t) i;
}

/* Assigns the boxes that are wanted to the tracks that have none: by where they are expected and
 * where they go, or by where they were last. */
static void
pair (YoloTracker *t, bool expected)
{
  YoloAssignment *a = &t->assignment;

  list (t, expected);
  yolo_assignment_begin (a, t->wanted.n, NO_LIMIT);
  for (size_t i = 0; i < t->tracks.n; i++) {
    const YoloTrackRecord *r = &t->records[t->tracks.at[i]];
    const YoloTrackSeen *from = expected ? earlier (r) : NULL;
    for (size_t j = 0; j < t->wanted.n; j++) {
      const YoloObject *box = &t->boxes[t->wanted.at[j]];
      if (!t->settings.class_aware || box->class_id == r->track.object.class_id)
        yolo_assignment_pair (a, j, 1 - yolo_track_iou (place_of (r, expected), box)
            - direction_gain (r, from, box));
    }
    yolo_assignment_end_row (a);
  }
  yolo_assignment_solve (a);
  for (size_t i = 0; i < t->tracks.n; i++) {
    int32_t j = a->column_of[i];
    const YoloTrackRecord *r = &t->records[t->tracks.at[i]];
    if (j >= 0 && yolo_track_iou (place_of (r, expected), &t->boxes[t->wanted.at[j]])
        < 1 - (double) t->settings.match) {
      a->column_of[i] = -1;
      a->row_of[j] = -1;
    }
  }
  yolo_track_give (t);
}

static void
associate (YoloTracker *t, double step)
{
  t->wanted.n = 0;
  for (size_t j = 0; j < t->n_boxes; j++)
    if (!t->taken[j] && t->boxes[j].confidence >= t->settings.high)
      t->wanted.at[t->wanted.n++] = (int32_t) j;
  pair (t, true);
  pair (t, false);

  bool early = t->n_frames < HITS;
  for (size_t i = 0; i < t->n; i++) {
    YoloTrackRecord *r = &t->records[i];
    if (r->track.detection >= 0) {
      r->confirmed = early || r->streak >= HITS;
      continue;
    }
    if (r->missed++ == 0 && r->n_seen) {
      for (int k = 0; k < 4; k++)
        r->when_missed[k] = r->motion[k];
      r->missed_age = r->track.age;
    }
  }
  for (size_t j = 0; j < t->wanted.n; j++)
    if (t->boxes[t->wanted.at[j]].confidence >= t->settings.new_track)
      yolo_track_begin (t, (size_t) t->wanted.at[j], early);
}

const YoloTrackerMethod yolo_ocsort = {
  begin, predict, correct, show, NULL, associate, false,
};
