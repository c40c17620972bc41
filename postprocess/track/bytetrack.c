/* SPDX-License-Identifier: MIT */
/* Source: Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box",
 * ECCV 2022. The motion is that of N. Wojke, A. Bewley, D. Paulus, "Simple Online and Realtime
 * Tracking with a Deep Association Metric", ICIP 2017: middle, width by height, and height, with
 * noise in proportion to the height.
 *
 * Unless settings.published is true, two things differ. A box that is compared with a track is
 * grown, as the track's is, by as much as the track's place is in doubt: IoU says nothing of boxes
 * that miss each other, and these are what a filter expects after a gap, after a long step, and of
 * an object whose velocity is not known yet. Boxes grown by a fixed share are those of F. Yang et
 * al., "Hard to Track Objects with Irregular Motions and Similar Appearances? Make It Easier by
 * Buffering the Matching Space", WACV 2023. And a new track is predicted as others are, so that
 * its second box tells its velocity. docs/tracking.md has what they bring. */
#include "postprocess/track/record.h"

#include <math.h>

/* shares of the height: deviations of a position and of a velocity, a nominal frame */
#define POSITION (1. / 20)
#define VELOCITY (1. / 160)
/* deviations of width by height: of the motion, of its velocity, and of what is measured */
#define ASPECT 1e-2
#define ASPECT_VELOCITY 1e-5
#define ASPECT_MEASURED 1e-1
/* Boxes are grown by so many deviations of the predicted place, less what is in doubt of any box
 * that is measured; by their own size at most. */
#define GROWTH 2

static double
square (double x)
{
  return x * x;
}

static void
measure (const YoloObject *box, double z[4])
{
  double w = (double) box->x2 - box->x1, h = (double) box->y2 - box->y1;

  z[0] = box->x1 + w / 2;
  z[1] = box->y1 + h / 2;
  z[2] = w / h;
  z[3] = h;
}

static void
begin (YoloTrackRecord *r, const YoloObject *box)
{
  double z[4];

  measure (box, z);
  for (int i = 0; i < 4; i++)
    yolo_kalman_begin (&r->motion[i], z[i], square (i == 2 ? ASPECT : 2 * POSITION * z[3]),
        square (i == 2 ? ASPECT_VELOCITY : 10 * VELOCITY * z[3]));
}

static double
growth (const YoloKalman *k, double measured, double size)
{
  return fmax (0, fmin (1, GROWTH * (sqrt (k->xx) - measured) / size));
}

void
yolo_bytetrack_grow (YoloTrackRecord *r, double width, double height, double x, double y)
{
  r->grow_x = growth (&r->motion[0], x, width);
  r->grow_y = growth (&r->motion[1], y, height);
}

static void
predict (YoloTrackRecord *r, double step, const YoloTrackerSettings *settings)
{
  YoloKalman *m = r->motion;
  double h = m[3].x;

  if (!r->confirmed && settings->published)
    return;
  /* The height of what is hidden step by step would go on shrinking. */
  if (r->lost)
    m[3].v = 0;
  for (int i = 0; i < 4; i++)
    yolo_kalman_predict (&m[i], step, square (i == 2 ? ASPECT : POSITION * h),
        square (i == 2 ? ASPECT_VELOCITY : VELOCITY * h));
  yolo_kalman_keep (&m[3], h / 2);
  yolo_kalman_keep (&m[2], ASPECT);
  if (!settings->published)
    yolo_bytetrack_grow (r, m[2].x * m[3].x, m[3].x, POSITION * m[3].x, POSITION * m[3].x);
}

static void
correct (YoloTrackRecord *r, const YoloObject *box)
{
  double z[4], h = r->motion[3].x;

  measure (box, z);
  for (int i = 0; i < 4; i++)
    yolo_kalman_correct (&r->motion[i], z[i], square (i == 2 ? ASPECT_MEASURED : POSITION * h));
}

static void
show (YoloTrackRecord *r)
{
  const YoloKalman *m = r->motion;
  double w = m[2].x * m[3].x, h = m[3].x;

  r->track.object.x1 = (float) (m[0].x - w / 2);
  r->track.object.y1 = (float) (m[1].x - h / 2);
  r->track.object.x2 = (float) (m[0].x + w / 2);
  r->track.object.y2 = (float) (m[1].x + h / 2);
  r->track.vx = (float) m[0].v;
  r->track.vy = (float) m[1].v;
}

static void
move (YoloTrackRecord *r, const float *camera)
{
  yolo_kalman_move (&r->motion[0], &r->motion[1], camera);
  yolo_kalman_scale (&r->motion[3], yolo_camera_zoom (camera));
}

static YoloObject
grown (const YoloObject *box, double x, double y)
{
  float w = (float) x * (box->x2 - box->x1), h = (float) y * (box->y2 - box->y1);

  return (YoloObject) { .x1 = box->x1 - w, .y1 = box->y1 - h, .x2 = box->x2 + w,
    .y2 = box->y2 + h, .angle = box->angle };
}

/* Assigns the boxes listed in `wanted` to the tracks listed in `tracks`, and takes what found a
 * partner out of both lists. */
static void
pair (YoloTracker *t, double limit, bool fuse)
{
  YoloAssignment *a = &t->assignment;

  yolo_assignment_begin (a, t->wanted.n, limit);
  for (size_t i = 0; i < t->tracks.n; i++) {
    const YoloTrackRecord *r = &t->records[t->tracks.at[i]];
    YoloObject place = grown (&r->track.object, r->grow_x, r->grow_y);
    float x = (float) r->grow_x, y = (float) r->grow_y;
    for (size_t j = 0; j < t->wanted.n; j++) {
      const YoloObject *box = &t->boxes[t->wanted.at[j]];
      float w = x * (box->x2 - box->x1), h = y * (box->y2 - box->y1);
      /* told before anything is computed: most pairs of a frame are far from each other */
      if (place.angle == 0 && box->angle == 0
          && !(place.x1 < box->x2 + w && box->x1 - w < place.x2
              && place.y1 < box->y2 + h && box->y1 - h < place.y2))
        continue;
      if (t->settings.class_aware && box->class_id != r->track.object.class_id)
        continue;
      YoloObject wide = grown (box, r->grow_x, r->grow_y);
      double iou = yolo_track_iou (&place, &wide);
      yolo_assignment_pair (a, j, 1 - (fuse ? iou * box->confidence : iou));
    }
    yolo_assignment_end_row (a);
  }
  yolo_assignment_solve (a);
  yolo_track_give (t);
}

/* Lists the boxes that no track has, with scores from the settings' high on if @high, else
 * between their low and high. */
static void
want (YoloTracker *t, bool high)
{
  const YoloTrackerSettings *s = &t->settings;

  t->wanted.n = 0;
  for (size_t j = 0; j < t->n_boxes; j++) {
    float score = t->boxes[j].confidence;
    if (!t->taken[j] && (high ? score >= s->high : score > s->low && score < s->high))
      t->wanted.at[t->wanted.n++] = (int32_t) j;
  }
}

/* Lists the tracks that were seen or begun before this frame and have no box in it yet. */
static void
list (YoloTracker *t, bool confirmed, bool with_lost)
{
  t->tracks.n = 0;
  for (size_t i = 0; i < t->n; i++) {
    const YoloTrackRecord *r = &t->records[i];
    if (r->track.detection < 0 && r->confirmed == confirmed && (with_lost || !r->lost))
      t->tracks.at[t->tracks.n++] = (int32_t) i;
  }
}

void
yolo_bytetrack_associate (YoloTracker *t, double step)
{
  want (t, true);
  list (t, true, true);
  pair (t, t->settings.match, t->settings.fuse_score);

  /* What is hardly seen is hidden by something, or about to be. */
  want (t, false);
  list (t, true, false);
  pair (t, .5, false);

  want (t, true);
  list (t, false, false);
  pair (t, .7, t->settings.fuse_score);
  for (size_t i = 0; i < t->n; i++) {
    YoloTrackRecord *r = &t->records[i];
    if (!r->confirmed) {
      r->gone = r->track.detection < 0;
      r->confirmed = !r->gone;
    }
  }

  for (size_t j = 0; j < t->wanted.n; j++)
    if (t->boxes[t->wanted.at[j]].confidence >= t->settings.new_track)
      yolo_track_begin (t, (size_t) t->wanted.at[j], t->n_frames == 0);
}

const YoloTrackerMethod yolo_bytetrack = {
  begin, predict, correct, show, move, yolo_bytetrack_associate, true,
};
