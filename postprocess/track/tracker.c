/* SPDX-License-Identifier: MIT */
#include "postprocess/nms.h"
#include "postprocess/track/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Beyond this many tracks none begins: what a stream of nonsense can take is bounded. */
#define MOST_TRACKS 2048
/* A tracked and a lost one that overlap more than this are one object. */
#define DUPLICATE .85
/* a right angle, radians */
#define QUARTER 1.57079632679489662f
/* nominal frames; a longer one is taken for this */
#define LONGEST_STEP 1e6

static const YoloTrackerMethod *
method_of (YoloTrackerKind kind)
{
  switch (kind) {
    case YOLO_TRACKER_BYTETRACK:
      return &yolo_bytetrack;
    case YOLO_TRACKER_BOTSORT:
      return &yolo_botsort;
    case YOLO_TRACKER_OCSORT:
      return &yolo_ocsort;
  }
  return &yolo_bytetrack;
}

YoloTracker *
yolo_tracker_new (const YoloTrackerSettings *settings)
{
  YoloTracker *t = calloc (1, sizeof *t);

  if (!t)
    return NULL;
  t->settings = *settings;
  t->method = method_of (settings->kind);
  t->next_id = 1;
  t->n_frames = 0;
  return t;
}

void
yolo_tracker_free (YoloTracker *t)
{
  if (!t)
    return;
  yolo_assignment_clear (&t->assignment);
  free (t->records);
  free (t->shown);
  free (t->taken);
  free (t->tracks.at);
  free (t->wanted.at);
  free (t);
}

void
yolo_tracker_set (YoloTracker *t, const YoloTrackerSettings *settings)
{
  const YoloTrackerMethod *method = method_of (settings->kind);

  t->settings = *settings;
  if (method == t->method)
    return;
  t->method = method;
  for (size_t i = 0; i < t->n; i++) {
    YoloObject box = t->records[i].track.object;
    method->begin (&t->records[i], &box);
  }
}

void
yolo_tracker_reset (YoloTracker *t)
{
  t->n = 0;
  t->n_frames = 0;
}

double
yolo_track_iou (const YoloObject *a, const YoloObject *b)
{
  if (a->angle != 0 || b->angle != 0)
    return (double) yolo_turned_iou (a, b);
  /* most pairs of a frame are far from each other */
  if (!(a->x1 < b->x2 && b->x1 < a->x2 && a->y1 < b->y2 && b->y1 < a->y2))
    return 0;
  double w = (double) (a->x2 < b->x2 ? a->x2 : b->x2) - (a->x1 > b->x1 ? a->x1 : b->x1);
  double h = (double) (a->y2 < b->y2 ? a->y2 : b->y2) - (a->y1 > b->y1 ? a->y1 : b->y1);
  double both = w * h;
  return both / (((double) a->x2 - a->x1) * ((double) a->y2 - a->y1)
      + ((double) b->x2 - b->x1) * ((double) b->y2 - b->y1) - both);
}

double
yolo_camera_zoom (const float *camera)
{
  return sqrt (fabs ((double) camera[0] * camera[4] - (double) camera[1] * camera[3]));
}

/* Grows an array to n elements; false: there is no memory, and the array is as it was. */
static bool
grow (void *array, size_t n, size_t size)
{
  void **place = array, *larger;

  if (n > SIZE_MAX / size || !(larger = realloc (*place, n * size)))
    return false;
  *place = larger;
  return true;
}

/* Makes room for all that a frame can need, so that nothing fails in its midst. Capacities double:
 * after some frames nothing is allocated any more. */
static bool
reserve (YoloTracker *t, size_t n_boxes)
{
  /* a track's detection is an int32_t */
  if (n_boxes > INT32_MAX / 2)
    return false;
  if (n_boxes > t->box_capacity) {
    size_t n = n_boxes > 2 * t->box_capacity ? n_boxes : 2 * t->box_capacity;
    if (!grow (&t->taken, n, sizeof *t->taken)
        || !grow (&t->wanted.at, n, sizeof *t->wanted.at))
      return false;
    t->box_capacity = n;
  }
  size_t most = t->n + n_boxes < MOST_TRACKS ? t->n + n_boxes : MOST_TRACKS;
  if (most > t->capacity) {
    size_t n = 2 * t->capacity < MOST_TRACKS ? 2 * t->capacity : MOST_TRACKS;
    n = most > n ? most : n;
    if (!grow (&t->records, n, sizeof *t->records) || !grow (&t->shown, n, sizeof *t->shown)
        || !grow (&t->tracks.at, n, sizeof *t->tracks.at))
      return false;
    t->capacity = n;
  }
  return yolo_assignment_reserve (&t->assignment, t->capacity, t->box_capacity);
}

static bool
is_box (const YoloObject *o)
{
  return isfinite (o->x1) && isfinite (o->y1) && isfinite (o->x2) && isfinite (o->y2)
      && isfinite (o->confidence) && isfinite (o->angle) && o->x2 > o->x1 && o->y2 > o->y1;
}

/* A turned box has two names, one by each of its sides, and with whole half turns any number of
 * them. The one whose angle is nearest to the track's is taken, so that width and height stay what
 * they are while the object turns on. */
static void
name_alike (YoloObject *box, float angle)
{
  float quarters = roundf ((box->angle - angle) / QUARTER);

  box->angle -= quarters * QUARTER;
  if (fmodf (quarters, 2) != 0) {
    float x = (box->x1 + box->x2) / 2, y = (box->y1 + box->y2) / 2;
    float w = (box->y2 - box->y1) / 2, h = (box->x2 - box->x1) / 2;
    *box = (YoloObject) { x - w, y - h, x + w, y + h, box->confidence, box->class_id, box->anchor,
      box->angle };
  }
}

static void
take_detection (YoloTracker *t, YoloTrackRecord *r, size_t box)
{
  float angle = r->track.object.angle;

  r->track.object = t->boxes[box];
  if (angle != 0)
    name_alike (&r->track.object, angle);
  r->track.detection = (int32_t) box;
  r->track.unseen = 0;
  t->taken[box] = true;
}

void
yolo_track_see (YoloTracker *t, YoloTrackRecord *r, size_t box)
{
  take_detection (t, r, box);
  r->lost = false;
  t->method->correct (r, &r->track.object);
}

void
yolo_track_begin (YoloTracker *t, size_t box, bool confirmed)
{
  if (t->n == MOST_TRACKS)
    return;
  YoloTrackRecord *r = &t->records[t->n++];
  *r = (YoloTrackRecord) { .track = { .id = t->next_id }, .confirmed = confirmed };
  t->next_id = t->next_id == INT32_MAX ? 1 : t->next_id + 1;
  take_detection (t, r, box);
  t->method->begin (r, &r->track.object);
}

void
yolo_track_give (YoloTracker *t)
{
  const YoloAssignment *a = &t->assignment;
  size_t n = 0;

  for (size_t i = 0; i < t->tracks.n; i++) {
    if (a->column_of[i] < 0)
      t->tracks.at[n++] = t->tracks.at[i];
    else
      yolo_track_see (t, &t->records[t->tracks.at[i]], (size_t) t->wanted.at[a->column_of[i]]);
  }
  t->tracks.n = n;
  n = 0;
  for (size_t j = 0; j < t->wanted.n; j++)
    if (a->row_of[j] < 0)
      t->wanted.at[n++] = t->wanted.at[j];
  t->wanted.n = n;
}

/* Predicts all tracks. */
static void
advance (YoloTracker *t, double step, const float *camera)
{
  bool moves = camera && t->method->move;

  /* also what is no number */
  if (!(step > 0 && step < LONGEST_STEP))
    step = step > 0 ? LONGEST_STEP : 0;
  for (int i = 0; moves && i < 6; i++)
    moves = isfinite (camera[i]);
  moves = moves && yolo_camera_zoom (camera) > 0;
  for (size_t i = 0; i < t->n; i++) {
    YoloTrackRecord *r = &t->records[i];
    r->track.age += step;
    r->track.unseen += step;
    r->track.detection = -1;
    t->method->predict (r, step, &t->settings);
    if (moves)
      t->method->move (r, camera);
    t->method->show (r);
  }
}

/* Of a tracked and a lost track of one object the younger goes; all pairs are looked at before any
 * does. */
static void
remove_duplicates (YoloTracker *t)
{
  for (size_t j = 0; j < t->n; j++) {
    YoloTrackRecord *b = &t->records[j];
    if (!b->lost || b->track.unseen > t->settings.buffer)
      continue;
    for (size_t i = 0; i < t->n; i++) {
      YoloTrackRecord *a = &t->records[i];
      if (a->track.detection < 0
          || yolo_track_iou (&a->track.object, &b->track.object) <= DUPLICATE
          || (t->settings.class_aware && a->track.object.class_id != b->track.object.class_id))
        continue;
      /* until it was seen last; of two as old the tracked one goes, as the authors have it */
      if (a->track.age > b->track.age - b->track.unseen)
        b->gone = true;
      else
        a->gone = true;
    }
  }
}

/* Numbers near the end of what a float holds can make a track that is none. */
static bool
is_sound (const YoloTrack *track)
{
  return is_box (&track->object) && isfinite (track->vx) && isfinite (track->vy);
}

/* Drops the tracks that have gone, and shows the others. */
static void
publish (YoloTracker *t, bool looked)
{
  size_t n = 0;

  for (size_t i = 0; i < t->n; i++) {
    YoloTrackRecord *r = &t->records[i];
    r->track.state = !r->confirmed ? YOLO_TRACK_NEW : r->lost ? YOLO_TRACK_LOST
        : looked ? YOLO_TRACK_TRACKED : YOLO_TRACK_PREDICTED;
    YoloTrack shown = r->track;
    YoloObject *o = &shown.object;
    if (o->angle != 0)
      yolo_object_turn (o, (o->x1 + o->x2) / 2, (o->y1 + o->y2) / 2, o->x2 - o->x1, o->y2 - o->y1,
          o->angle);
    if (r->gone || !is_sound (&shown))
      continue;
    t->shown[n] = shown;
    if (n != i)
      t->records[n] = *r;
    n++;
  }
  t->n = n;
}

bool
yolo_tracker_update (YoloTracker *t, double step, const YoloObject *boxes, size_t n,
    const float *camera)
{
  if (!reserve (t, n))
    return false;
  t->boxes = boxes;
  t->n_boxes = n;
  for (size_t j = 0; j < n; j++)
    t->taken[j] = !is_box (&boxes[j]);
  advance (t, step, camera);
  t->method->associate (t, step);
  for (size_t i = 0; i < t->n; i++) {
    YoloTrackRecord *r = &t->records[i];
    r->lost = r->confirmed && r->track.detection < 0;
    r->gone |= r->track.unseen > t->settings.buffer;
    t->method->show (r);
  }
  if (t->method->unique)
    remove_duplicates (t);
  publish (t, true);
  t->n_frames++;
  t->boxes = NULL;
  return true;
}

void
yolo_tracker_predict (YoloTracker *t, double step, const float *camera)
{
  advance (t, step, camera);
  publish (t, false);
}

const YoloTrack *
yolo_tracker_tracks (const YoloTracker *t, size_t *n)
{
  *n = t->n;
  return t->shown;
}
