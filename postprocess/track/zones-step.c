/* SPDX-License-Identifier: MIT */
/* A frame at lines and in zones. */

#include "postprocess/track/zones-state.h"

#include <math.h>
#include <string.h>

/* An object decides at once which side it is on when it is as far from the border as it is
 * large: no box flickers so much. */
#define FAR_SIZES 1.
/* A box at the edge of the frame is this near to it. */
#define EDGE_SIZES .5
/* Tracks are kept for so many frames that nobody sees them in, be frames ever so slow. */
#define FORGET_FRAMES 3
/* Timestamps of frames that come in a slightly wrong order go back by less than this; seconds. */
#define MAX_DISORDER .5
/* An object that changes its class is the same one if its boxes share so much of their union. */
#define SAME_PLACE .3

/* Of the speeds' filters; docs/zones.md says how they were chosen. */
#define FOOT_NOISE .03          /* standard deviation of the foot point, in heights of the box */
#define GROUND_SPEED 8.         /* metres a second: standard deviation of what may move there */
#define GROUND_NOISE .5         /* metres^2 / s^3 */
#define PICTURE_NOISE 1.        /* sizes^2 / s^3 */
#define PICTURE_SPEED 4.        /* sizes a second */
#define SPEED_AGE 1.            /* seconds after which a speed is told */
#define MIN_MOTION .25          /* sizes a second; slower objects have no direction */

static double
overlap (const YoloZonesTrack *a, const YoloZonesObject *b)
{
  double w = fmin (a->x2, b->x2) - fmax (a->x1, b->x1);
  double h = fmin (a->y2, b->y2) - fmax (a->y1, b->y1);
  double both = w > 0 && h > 0 ? w * h : 0;

  return both / ((a->x2 - a->x1) * (a->y2 - a->y1) + (b->x2 - b->x1) * (b->y2 - b->y1) - both);
}

/* The track that an object is: of its number and class, or, if @moved, of its number and in its
 * place, and not found in this frame. -1: there is none. */
static int32_t
find (const YoloZones *zones, const YoloZonesObject *object, bool moved)
{
  for (size_t at = yolo_zones_hash (zones, object->id); zones->table[at] >= 0;
       at = (at + 1) & (zones->table_size - 1)) {
    const YoloZonesTrack *track = &zones->tracks[zones->table[at]].known;

    if (track->id == object->id
        && (moved ? !track->seen && overlap (track, object) >= SAME_PLACE
                  : track->class == object->class))
      return zones->table[at];
  }
  return -1;
}

/* -- events -- */

static YoloZonesEvent *
add_event (YoloZones *zones, YoloZonesEventKind kind, size_t shape, const Track *track)
{
  YoloZonesEvent *event;

  if (!yolo_zones_reserve_event (zones)) {
    zones->failed = true;
    return &zones->spare;
  }
  event = &zones->events[zones->n_events++];
  *event = (YoloZonesEvent) {
    .kind = kind, .shape = (uint32_t) shape, .since = zones->now, .id = -1, .speed = NAN,
  };
  if (track != NULL) {
    event->id = track->known.id;
    event->class = track->known.class;
    event->speed = track->known.speed;
  }
  return event;
}

/* The point of a box, pulled into the frame: of an object that is partly outside, the point that
 * is nearest to where it would be. */
static YoloPoint
point_of (const YoloZones *zones, const YoloPoint box[2], YoloBoxPoint point)
{
  double x = (box[0].x + box[1].x) / 2, y = box[1].y;

  if (point == YOLO_BOX_TOP_LEFT || point == YOLO_BOX_BOTTOM_LEFT)
    x = box[0].x;
  if (point == YOLO_BOX_TOP_RIGHT || point == YOLO_BOX_BOTTOM_RIGHT)
    x = box[1].x;
  if (point == YOLO_BOX_TOP_LEFT || point == YOLO_BOX_TOP_RIGHT)
    y = box[0].y;
  if (point == YOLO_BOX_CENTRE)
    y = (box[0].y + box[1].y) / 2;
  return (YoloPoint) { fmin (fmax (x, 0), zones->width), fmin (fmax (y, 0), zones->height) };
}

/* The root of the box's area, pixels. */
static double
size_of (const YoloZonesTrack *track)
{
  return sqrt ((track->x2 - track->x1) * (track->y2 - track->y1));
}

/* Whether a box is so near to the edge of the frame that its object may just have come from there,
 * or be about to go: half its size. */
static bool
is_at_edge (const YoloZones *zones, const YoloZonesTrack *track)
{
  const double margin = EDGE_SIZES * size_of (track);

  return track->x1 < margin || track->y1 < margin || track->x2 > zones->width - margin
      || track->y2 > zones->height - margin;
}

/* A visit has ended at @end, by the object's way out or because nobody sees it any more. */
static void
end_visit (YoloZones *zones, size_t i, size_t track, double end, bool lost)
{
  Zone *zone = &zones->zones[i];
  const Track *t = &zones->tracks[track];
  Visit *visit = &visits_of (zones, track)[i];
  YoloZonesEvent *event = add_event (zones, YOLO_ZONES_EXIT, i, t);
  YoloPoint box[2] = { { t->known.x1, t->known.y1 }, { t->known.x2, t->known.y2 } };

  event->unseen = zones->ending || (lost && !is_at_edge (zones, &t->known));
  event->since = end;
  event->dwell = fmax (end - visit->stay.entered, 0);
  event->at = point_of (zones, box, zone->shape.point);
  if (event->unseen) {
    zone->totals.vanished++;
  } else {
    zone->totals.exits++;
    zone->exits[t->known.class]++;
  }
  zone->totals.visits++;
  zone->totals.dwell_sum += event->dwell;
  zone->totals.dwell_longest = fmax (zone->totals.dwell_longest, event->dwell);
  *visit = (Visit) { .outside = !lost };
}

/* A visit has begun. */
static void
begin_visit (YoloZones *zones, size_t i, const Track *track, Visit *visit, YoloPoint at)
{
  Zone *zone = &zones->zones[i];
  YoloZonesEvent *event = add_event (zones, YOLO_ZONES_ENTER, i, track);

  event->unseen = !visit->outside && !track->from_edge;
  event->since = visit->stay.entered;
  event->dwell = zones->now - visit->stay.entered;
  event->at = at;
  if (event->unseen) {
    zone->totals.appeared++;
  } else {
    zone->totals.entries++;
    zone->entries[track->known.class]++;
  }
}

/* Ends the visits of a track that is not seen any more. */
static void
end_track (YoloZones *zones, size_t track)
{
  for (size_t i = 0; i < zones->config.n_zones; i++)
    if (visits_of (zones, track)[i].stay.inside)
      end_visit (zones, i, track, zones->tracks[track].last, true);
}

/* Ends the tracks that nobody has seen since @oldest. */
static void
remove_tracks (YoloZones *zones, double oldest)
{
  const size_t n_lines = zones->config.n_lines, n_zones = zones->config.n_zones;
  size_t n = 0;

  for (size_t i = 0; i < zones->n_tracks; i++) {
    if (zones->tracks[i].kept < oldest) {
      end_track (zones, i);
      continue;
    }
    if (n < i) {
      zones->tracks[n] = zones->tracks[i];
      memcpy (crossings_of (zones, n), crossings_of (zones, i),
          n_lines * sizeof (*zones->crossings));
      memcpy (visits_of (zones, n), visits_of (zones, i), n_zones * sizeof (*zones->visits));
    }
    n++;
  }
  if (n == zones->n_tracks)
    return;
  zones->n_tracks = n;
  yolo_zones_fill_table (zones);
}

/* Returns: the number of the new track; -1: there is no room */
static int32_t
add_track (YoloZones *zones, const YoloZonesObject *object)
{
  const size_t i = zones->n_tracks;

  if (i >= YOLO_ZONES_MAX_TRACKS)
    return -1;
  if (!yolo_zones_reserve (zones, i + 1)) {
    zones->failed = true;
    return -1;
  }
  zones->tracks[i] = (Track) {
    .known = { .id = object->id, .class = object->class, .vx = NAN, .vy = NAN, .speed = NAN },
    .doubtful = -INFINITY, .born = zones->frames, .picture_since = NAN, .ground_since = NAN,
  };
  memset (crossings_of (zones, i), 0, zones->config.n_lines * sizeof (*zones->crossings));
  memset (visits_of (zones, i), 0, zones->config.n_zones * sizeof (*zones->visits));
  zones->n_tracks++;
  yolo_zones_enter_in_table (zones, i);
  return (int32_t) i;
}

/* Whether an object has a number and a box that the frame shows some of. */
static bool
is_sound (const YoloZones *zones, const YoloZonesObject *object)
{
  /* NaN fails all comparisons */
  return object->id >= 0 && object->class < YOLO_ZONES_MAX_CLASSES && object->x1 < object->x2
      && object->y1 < object->y2 && object->x1 < zones->width && object->x2 > 0
      && object->y1 < zones->height && object->y2 > 0 && fabsf (object->x1) < 1e6f
      && fabsf (object->x2) < 1e6f && fabsf (object->y1) < 1e6f && fabsf (object->y2) < 1e6f;
}

/* Notes that an object is the track number @i. */
static void
see (YoloZones *zones, int32_t i, const YoloZonesObject *object)
{
  Track *track = &zones->tracks[i];
  YoloZonesTrack *known = &track->known;

  track->kept = zones->now;
  if (object->predicted)
    return;
  if (known->seen) {
    track->doubtful = zones->now;
    return;
  }
  /* of a new track this is nothing, and nobody asks, for it has no side of a line to leave */
  track->before[0] = (YoloPoint) { known->x1, known->y1 };
  track->before[1] = (YoloPoint) { known->x2, known->y2 };
  known->x1 = object->x1;
  known->y1 = object->y1;
  known->x2 = object->x2;
  known->y2 = object->y2;
  known->class = object->class;
  known->seen = true;
}

/* Finds the tracks of a frame's objects: first those of the same class, since another object of
 * the frame may have the number with another class. */
static void
match (YoloZones *zones, const YoloZonesObject *objects, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const int32_t track = is_sound (zones, &objects[i]) ? find (zones, &objects[i], false) : -1;

    if (track >= 0)
      see (zones, track, &objects[i]);
  }
  for (size_t i = 0; i < n; i++) {
    int32_t track;

    if (!is_sound (zones, &objects[i]))
      continue;
    track = find (zones, &objects[i], false);
    /* found before, or made by another object of this loop, which has the same number then */
    if (track >= 0) {
      if (zones->tracks[track].born == zones->frames)
        see (zones, track, &objects[i]);
      continue;
    }
    track = find (zones, &objects[i], true);
    if (track < 0 && !objects[i].predicted)
      track = add_track (zones, &objects[i]);
    if (track >= 0)
      see (zones, track, &objects[i]);
  }
}

/* -- what a track does -- */

static void
measure_ground (YoloZones *zones, Track *track, double dt)
{
  const YoloZonesTrack *known = &track->known;
  const YoloPoint foot = { (known->x1 + known->x2) / 2, known->y2 };
  const double sigma = FOOT_NOISE * (known->y2 - known->y1);
  YoloPoint at;
  double j[4], variance[2];

  for (int i = 0; i < 2 && !isnan (track->ground_since); i++)
    yolo_kalman_accelerate (&track->ground[i], dt, GROUND_NOISE);
  /* where the frame cuts the box, the foot is not seen */
  if (known->x1 < 1 || known->x2 > zones->width - 1 || known->y2 > zones->height - 1
      || !yolo_ground_map (&zones->ground, foot, &at, j))
    return;
  variance[0] = sigma * sigma * (j[0] * j[0] + j[1] * j[1]);
  variance[1] = sigma * sigma * (j[2] * j[2] + j[3] * j[3]);
  for (int i = 0; i < 2; i++) {
    const double x = i == 0 ? at.x : at.y;

    if (isnan (track->ground_since))
      yolo_kalman_begin (&track->ground[i], x, variance[i], GROUND_SPEED * GROUND_SPEED);
    else
      yolo_kalman_correct (&track->ground[i], x, variance[i]);
  }
  if (isnan (track->ground_since))
    track->ground_since = zones->now;
}

/* Runs the filters of a track that is seen. */
static void
measure (YoloZones *zones, Track *track)
{
  YoloZonesTrack *known = &track->known;
  const double size = size_of (known), dt = zones->now - track->measured;
  const double variance = FOOT_NOISE * FOOT_NOISE * size * size, speed = PICTURE_SPEED * size;
  const double place[2] = { (known->x1 + known->x2) / 2, known->y2 };

  for (int i = 0; i < 2; i++) {
    if (isnan (track->picture_since)) {
      yolo_kalman_begin (&track->picture[i], place[i], variance, speed * speed);
    } else {
      yolo_kalman_accelerate (&track->picture[i], dt, PICTURE_NOISE * size * size);
      yolo_kalman_correct (&track->picture[i], place[i], variance);
    }
  }
  if (isnan (track->picture_since))
    track->picture_since = zones->now;
  if (zones->has_ground)
    measure_ground (zones, track, dt);
  track->measured = zones->now;
  known->vx = known->vy = known->speed = NAN;
  if (zones->now - track->picture_since >= SPEED_AGE) {
    known->vx = track->picture[0].v;
    known->vy = track->picture[1].v;
  }
  if (zones->now - track->ground_since >= SPEED_AGE)
    known->speed = hypot (track->ground[0].v, track->ground[1].v);
}

static void
step_lines (YoloZones *zones, size_t track, const YoloHold *hold)
{
  const Track *t = &zones->tracks[track];
  const YoloPoint box[2] = { { t->known.x1, t->known.y1 }, { t->known.x2, t->known.y2 } };
  YoloCrossing *crossings = crossings_of (zones, track);

  for (size_t i = 0; i < zones->config.n_lines; i++) {
    Line *line = &zones->lines[i];
    YoloPoint at = point_of (zones, box, line->shape.point),
              before = point_of (zones, t->before, line->shape.point);
    double distance = yolo_line_distance (line->from, line->to, at), meet = NAN;
    int crossed;

    if (distance * crossings[i].sign < 0)
      meet = yolo_line_meet (line->from, line->to, before, at);
    crossed = yolo_crossing_step (&crossings[i], distance, meet, zones->now, hold);
    if (crossed == 0 || !(zones->accept_lines[t->known.class] >> i & 1))
      continue;
    line->counts[t->known.class][crossed < 0]++;
    line->totals[crossed < 0]++;
    YoloZonesEvent *event = add_event (zones, YOLO_ZONES_CROSS, i, t);
    event->direction = crossed < 0;
    event->since = crossings[i].since;
    event->at = at;
  }
}

/* Whether an object moves like a zone's arrow (1), against it (-1) or neither. */
static int8_t
direction_of (const Zone *zone, const YoloZonesTrack *track)
{
  double turned;

  if (isnan (track->vx) || hypot (track->vx, track->vy) < MIN_MOTION * size_of (track))
    return 0;
  turned = fabs (remainder (atan2 (track->vy, track->vx) - zone->angle, 2 * M_PI));
  return turned <= zone->shape.tolerance ? 1 : turned >= M_PI - zone->shape.tolerance ? -1 : 0;
}

static void
step_direction (YoloZones *zones, size_t i, const Track *track, Visit *visit, YoloPoint at)
{
  Zone *zone = &zones->zones[i];
  const int8_t going = direction_of (zone, &track->known);

  if (going != visit->next) {
    visit->next = going;
    visit->since = zones->now;
  }
  if (going == visit->going || zones->now - visit->since < zones->config.hold_time)
    return;
  visit->going = going;
  if (going == 0)
    return;
  if (going > 0)
    zone->totals.along++;
  else
    zone->totals.against++;
  YoloZonesEvent *event = add_event (zones, YOLO_ZONES_DIRECTION, i, track);
  event->direction = going < 0;
  event->since = visit->since;
  event->dwell = zones->now - visit->stay.entered;
  event->at = at;
}

/* What a track does inside of a zone. */
static void
step_inside (YoloZones *zones, size_t i, const Track *track, Visit *visit, YoloPoint at)
{
  Zone *zone = &zones->zones[i];
  const double dwell = zones->now - visit->stay.entered;

  zone->totals.dwell_longest = fmax (zone->totals.dwell_longest, dwell);
  if (zone->shape.loiter > 0 && dwell >= zone->shape.loiter && !visit->loiters) {
    YoloZonesEvent *event = add_event (zones, YOLO_ZONES_LOITER, i, track);

    visit->loiters = true;
    event->since = visit->stay.entered;
    event->dwell = dwell;
    event->at = at;
  }
  if (zone->shape.directed)
    step_direction (zones, i, track, visit, at);
}

static void
step_zones (YoloZones *zones, size_t track, const YoloHold *hold)
{
  const Track *t = &zones->tracks[track];
  const YoloPoint box[2] = { { t->known.x1, t->known.y1 }, { t->known.x2, t->known.y2 } };

  for (size_t i = 0; i < zones->config.n_zones; i++) {
    Zone *zone = &zones->zones[i];
    Visit *visit = &visits_of (zones, track)[i];
    const YoloPoint at = point_of (zones, box, zone->shape.point);
    const bool accepted = zones->accept_zones[t->known.class] >> i & 1;
    double depth = -INFINITY;
    int step;

    if (accepted && (visit->stay.inside || (at.x >= zone->low.x && at.x <= zone->high.x
            && at.y >= zone->low.y && at.y <= zone->high.y)))
      depth = yolo_polygon_depth (zone->corners, zone->shape.n_corners, at);
    step = yolo_stay_step (&visit->stay, depth, zones->now, hold);
    if (step < 0) {
      end_visit (zones, i, track, visit->stay.since, false);
      continue;
    }
    if (step > 0)
      begin_visit (zones, i, t, visit, at);
    if (depth < 0 && !visit->stay.inside)
      visit->outside = true;
    if (visit->stay.inside)
      step_inside (zones, i, t, visit, at);
  }
}

static void
step_track (YoloZones *zones, size_t i, double limit)
{
  const size_t n_lines = zones->config.n_lines;
  Track *track = &zones->tracks[i];
  const double size = size_of (&track->known);
  const YoloHold hold = { .near = zones->config.hold_distance * size, .far = FAR_SIZES * size,
    .time = zones->config.hold_time };

  if (zones->now - track->doubtful <= limit) {
    end_track (zones, i);
    memset (visits_of (zones, i), 0, zones->config.n_zones * sizeof (*zones->visits));
    memset (crossings_of (zones, i), 0, n_lines * sizeof (*zones->crossings));
    track->picture_since = track->ground_since = NAN;
    track->known.vx = track->known.vy = track->known.speed = NAN;
    track->last = zones->now;
    return;
  }
  if (track->born == zones->frames)
    track->from_edge = is_at_edge (zones, &track->known);
  measure (zones, track);
  step_lines (zones, i, &hold);
  step_zones (zones, i, &hold);
  if (zones->heat.columns > 0 && zones->accept_heat[track->known.class]
      && track->born < zones->frames) {
    const YoloPoint box[2] = {
      { track->known.x1, track->known.y1 }, { track->known.x2, track->known.y2 } };
    const YoloPoint at = point_of (zones, box, zones->config.heat_point);

    yolo_heat_add (&zones->heat, at.x / zones->width, at.y / zones->height,
        zones->now - track->last);
  }
  track->last = zones->now;
}

/* Counts who is in a zone, and finds out whether that is a crowd. */
static void
step_crowd (YoloZones *zones, size_t i)
{
  Zone *zone = &zones->zones[i];
  YoloZoneTotals *totals = &zone->totals;
  YoloZonesEvent *event;

  totals->occupancy = totals->loitering = 0;
  for (size_t track = 0; track < zones->n_tracks; track++) {
    const Visit *visit = &visits_of (zones, track)[i];

    totals->occupancy += visit->stay.inside;
    totals->loitering += visit->loiters;
  }
  if (totals->peak < totals->occupancy)
    totals->peak = totals->occupancy;
  if (zone->shape.crowd == 0)
    return;
  if ((totals->occupancy > zone->shape.crowd) == totals->crowded) {
    zone->crowd_held = false;
    return;
  }
  if (!zone->crowd_held)
    zone->crowd_since = zones->now;
  zone->crowd_held = true;
  if (zones->now - zone->crowd_since < zone->shape.crowd_time)
    return;
  zone->crowd_held = false;
  totals->crowded = !totals->crowded;
  event = add_event (zones, totals->crowded ? YOLO_ZONES_CROWD : YOLO_ZONES_CROWD_END, i, NULL);
  event->count = totals->occupancy;
  event->since = zone->crowd_since;
}

/* Nobody is in a zone any more. */
static void
end_crowd (YoloZones *zones, size_t i)
{
  Zone *zone = &zones->zones[i];

  zone->totals.occupancy = zone->totals.loitering = 0;
  zone->crowd_held = false;
  if (!zone->totals.crowded)
    return;
  zone->totals.crowded = false;
  add_event (zones, YOLO_ZONES_CROWD_END, i, NULL);
}

bool
yolo_zones_end (YoloZones *zones)
{
  zones->n_events = 0;
  zones->failed = false;
  zones->ending = true;
  remove_tracks (zones, INFINITY);
  zones->ending = false;
  zones->interval[0] = zones->interval[1] = 0;
  for (size_t i = 0; i < zones->config.n_zones; i++)
    end_crowd (zones, i);
  return !zones->failed;
}

bool
yolo_zones_update (YoloZones *zones, double now, const YoloZonesObject *objects, size_t n)
{
  /* the smaller one: a gap in a stream does not make it a slow one */
  const double interval = fmin (zones->interval[0], zones->interval[1]);
  const double limit = fmax (zones->config.forget, FORGET_FRAMES * interval);

  zones->n_events = 0;
  zones->failed = false;
  if (!yolo_zones_reserve (zones, 1))
    return false;
  if (zones->forget || (zones->frames > 0 && now < zones->now - MAX_DISORDER)) {
    remove_tracks (zones, INFINITY);
    zones->interval[0] = zones->interval[1] = 0;
    for (size_t i = 0; i < zones->config.n_zones; i++)
      zones->zones[i].crowd_held = false;
  } else if (zones->frames > 0) {
    now = fmax (now, zones->now);
    remove_tracks (zones, now - limit);
    zones->interval[1] = zones->interval[0] > 0 ? zones->interval[0] : INFINITY;
    zones->interval[0] = now - zones->now;
  }
  zones->frames++;
  zones->forget = false;
  zones->now = now;
  for (size_t i = 0; i < zones->n_tracks; i++)
    zones->tracks[i].known.seen = false;
  match (zones, objects, n);
  for (size_t i = 0; i < zones->n_tracks; i++)
    if (zones->tracks[i].known.seen)
      step_track (zones, i, limit);
  for (size_t i = 0; i < zones->config.n_zones; i++)
    step_crowd (zones, i);
  return !zones->failed;
}
