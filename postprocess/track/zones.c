/* SPDX-License-Identifier: MIT */
#include "postprocess/track/zones-state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- making and taking apart -- */

static bool
is_share (YoloPoint p)
{
  return isfinite (p.x) && isfinite (p.y);
}

static bool
config_is_sound (const YoloZonesConfig *config)
{
  if (config->n_lines > YOLO_ZONES_MAX_SHAPES || config->n_zones > YOLO_ZONES_MAX_SHAPES
      || !(config->hold_distance >= 0) || !(config->hold_time >= 0) || !(config->forget > 0))
    return false;
  for (size_t i = 0; i < config->n_lines; i++)
    if (!is_share (config->lines[i].from) || !is_share (config->lines[i].to)
        || (config->lines[i].from.x == config->lines[i].to.x
            && config->lines[i].from.y == config->lines[i].to.y))
      return false;
  for (size_t i = 0; i < config->n_zones; i++) {
    const YoloZoneShape *zone = &config->zones[i];

    if (zone->n_corners < 3 || zone->n_corners > YOLO_ZONES_MAX_CORNERS)
      return false;
    for (size_t k = 0; k < zone->n_corners; k++)
      if (!is_share (zone->corners[k]))
        return false;
  }
  return true;
}

static bool
copy_zone (Zone *zone, const YoloZoneShape *shape)
{
  YoloPoint *corners = malloc (shape->n_corners * sizeof (*corners));

  zone->shape = *shape;
  zone->shape.corners = corners;
  zone->corners = malloc (shape->n_corners * sizeof (*corners));
  if (corners == NULL || zone->corners == NULL)
    return false;
  memcpy (corners, shape->corners, shape->n_corners * sizeof (*corners));
  return true;
}

YoloZones *
yolo_zones_new (const YoloZonesConfig *config)
{
  YoloZones *zones = config_is_sound (config) ? calloc (1, sizeof (*zones)) : NULL;
  bool made;

  if (zones == NULL)
    return NULL;
  zones->config = *config;
  zones->config.lines = NULL;
  zones->config.zones = NULL;
  memset (zones->accept_lines, 0xff, sizeof (zones->accept_lines));
  memset (zones->accept_zones, 0xff, sizeof (zones->accept_zones));
  memset (zones->accept_heat, true, sizeof (zones->accept_heat));
  zones->lines = calloc (config->n_lines + 1, sizeof (*zones->lines));
  zones->zones = calloc (config->n_zones + 1, sizeof (*zones->zones));
  made = zones->lines != NULL && zones->zones != NULL;
  for (size_t i = 0; made && i < config->n_lines; i++)
    zones->lines[i].shape = config->lines[i];
  for (size_t i = 0; made && i < config->n_zones; i++)
    made = copy_zone (&zones->zones[i], &config->zones[i]);
  if (made && config->heat_columns > 0)
    made = yolo_heat_init (&zones->heat, config->heat_columns, config->heat_rows);
  if (!made) {
    yolo_zones_free (zones);
    return NULL;
  }
  return zones;
}

void
yolo_zones_free (YoloZones *zones)
{
  if (zones == NULL)
    return;
  for (size_t i = 0; zones->zones != NULL && i < zones->config.n_zones; i++) {
    free ((void *) zones->zones[i].shape.corners);
    free (zones->zones[i].corners);
  }
  free (zones->lines);
  free (zones->zones);
  yolo_heat_clear (&zones->heat);
  free (zones->tracks);
  free (zones->crossings);
  free (zones->visits);
  free (zones->table);
  free (zones->events);
  free (zones);
}

void
yolo_zones_accept (
    YoloZones *zones, uint32_t class, uint64_t lines, uint64_t areas, bool heat)
{
  if (class >= YOLO_ZONES_MAX_CLASSES)
    return;
  zones->accept_lines[class] = lines;
  zones->accept_zones[class] = areas;
  zones->accept_heat[class] = heat;
}

/* From shares of the frame to pixels. */
static YoloPoint
to_pixels (const YoloZones *zones, YoloPoint p)
{
  return (YoloPoint) { p.x * zones->width, p.y * zones->height };
}

static void
place_zone (const YoloZones *zones, Zone *zone)
{
  YoloPoint from = to_pixels (zones, zone->shape.from), to = to_pixels (zones, zone->shape.to);

  zone->low = (YoloPoint) { INFINITY, INFINITY };
  zone->high = (YoloPoint) { -INFINITY, -INFINITY };
  for (size_t i = 0; i < zone->shape.n_corners; i++) {
    YoloPoint corner = to_pixels (zones, zone->shape.corners[i]);

    zone->corners[i] = corner;
    zone->low = (YoloPoint) { fmin (zone->low.x, corner.x), fmin (zone->low.y, corner.y) };
    zone->high = (YoloPoint) { fmax (zone->high.x, corner.x), fmax (zone->high.y, corner.y) };
  }
  zone->angle = atan2 (to.y - from.y, to.x - from.x);
}

void
yolo_zones_resize (YoloZones *zones, int width, int height)
{
  double x = width / zones->width, y = height / zones->height;
  YoloPoint pixels[4];

  if (width <= 0 || height <= 0 || (width == zones->width && height == zones->height))
    return;
  for (size_t i = 0; zones->width > 0 && i < zones->n_tracks; i++) {
    Track *track = &zones->tracks[i];

    track->known.x1 = (float) (track->known.x1 * x);
    track->known.x2 = (float) (track->known.x2 * x);
    track->known.y1 = (float) (track->known.y1 * y);
    track->known.y2 = (float) (track->known.y2 * y);
    track->picture_since = NAN;
  }
  zones->width = width;
  zones->height = height;
  for (size_t i = 0; i < zones->config.n_lines; i++) {
    zones->lines[i].from = to_pixels (zones, zones->lines[i].shape.from);
    zones->lines[i].to = to_pixels (zones, zones->lines[i].shape.to);
  }
  for (size_t i = 0; i < zones->config.n_zones; i++)
    place_zone (zones, &zones->zones[i]);
  for (int i = 0; i < 4; i++)
    pixels[i] = to_pixels (zones, zones->config.ground_pixels[i]);
  zones->has_ground = zones->config.has_ground
      && yolo_ground_solve (&zones->ground, pixels, zones->config.ground_metres);
}

/* -- memory -- */

size_t
yolo_zones_hash (const YoloZones *zones, int32_t id)
{
  /* Knuth, "The Art of Computer Programming", volume 3, 6.4: by the golden ratio */
  return (uint32_t) id * UINT32_C (2654435769) >> 7 & (zones->table_size - 1);
}

void
yolo_zones_enter_in_table (YoloZones *zones, size_t i)
{
  size_t at = yolo_zones_hash (zones, zones->tracks[i].known.id);

  while (zones->table[at] >= 0)
    at = (at + 1) & (zones->table_size - 1);
  zones->table[at] = (int32_t) i;
}

void
yolo_zones_fill_table (YoloZones *zones)
{
  memset (zones->table, 0xff, zones->table_size * sizeof (*zones->table));
  for (size_t i = 0; i < zones->n_tracks; i++)
    yolo_zones_enter_in_table (zones, i);
}

static bool
grow (void *array, size_t n, size_t size)
{
  void *grown = realloc (*(void **) array, n * size + 1);

  if (grown == NULL)
    return false;
  *(void **) array = grown;
  return true;
}

bool
yolo_zones_reserve (YoloZones *zones, size_t n)
{
  size_t capacity = zones->capacity > 0 ? zones->capacity : 64;

  while (capacity < n)
    capacity *= 2;
  if (capacity == zones->capacity)
    return true;
  if (!grow (&zones->tracks, capacity, sizeof (*zones->tracks))
      || !grow (&zones->crossings, capacity * zones->config.n_lines, sizeof (*zones->crossings))
      || !grow (&zones->visits, capacity * zones->config.n_zones, sizeof (*zones->visits))
      || !grow (&zones->table, 2 * capacity, sizeof (*zones->table)))
    return false;
  zones->capacity = capacity;
  zones->table_size = 2 * capacity;
  yolo_zones_fill_table (zones);
  return true;
}

bool
yolo_zones_reserve_event (YoloZones *zones)
{
  size_t capacity = zones->events_capacity > 0 ? 2 * zones->events_capacity : 16;

  if (zones->n_events < zones->events_capacity)
    return true;
  if (!grow (&zones->events, capacity, sizeof (*zones->events)))
    return false;
  zones->events_capacity = capacity;
  return true;
}

/* -- what others may do -- */

void
yolo_zones_forget (YoloZones *zones)
{
  zones->forget = true;
}

void
yolo_zones_reset (YoloZones *zones)
{
  for (size_t i = 0; i < zones->config.n_lines; i++) {
    memset (zones->lines[i].counts, 0, sizeof (zones->lines[i].counts));
    memset (zones->lines[i].totals, 0, sizeof (zones->lines[i].totals));
  }
  for (size_t i = 0; i < zones->config.n_zones; i++) {
    Zone *zone = &zones->zones[i];
    const YoloZoneTotals totals = zone->totals;

    memset (zone->entries, 0, sizeof (zone->entries));
    memset (zone->exits, 0, sizeof (zone->exits));
    zone->totals = (YoloZoneTotals) { .occupancy = totals.occupancy, .peak = totals.occupancy,
      .loitering = totals.loitering, .crowded = totals.crowded };
  }
  if (zones->heat.columns > 0)
    yolo_heat_reset (&zones->heat);
}

static bool
same_direction (const YoloZoneShape *a, const YoloZoneShape *b)
{
  return a->directed == b->directed && a->from.x == b->from.x && a->from.y == b->from.y
      && a->to.x == b->to.x && a->to.y == b->to.y && a->tolerance == b->tolerance;
}

/* The visit of a zone that has another shape now: who has not been there for as long as it says
 * does not loiter, and goes as another arrow has not said yet. */
static Visit
take_visit (const YoloZones *zones, const Visit *visit, const YoloZoneShape *shape,
    const YoloZoneShape *old)
{
  Visit taken = *visit;

  taken.loiters = visit->loiters && shape->loiter > 0
      && zones->now - visit->stay.entered >= shape->loiter;
  if (!same_direction (shape, old))
    taken.going = taken.next = 0;
  return taken;
}

/* Takes over the state of one track. */
static void
take_track (YoloZones *zones, const YoloZones *old, size_t i, const int *lines, const int *areas)
{
  zones->tracks[i] = old->tracks[i];
  for (size_t k = 0; k < zones->config.n_lines; k++)
    crossings_of (zones, i)[k] =
        lines[k] >= 0 ? crossings_of (old, i)[lines[k]] : (YoloCrossing) { 0 };
  for (size_t k = 0; k < zones->config.n_zones; k++)
    visits_of (zones, i)[k] = areas[k] < 0 ? (Visit) { 0 }
        : take_visit (old, &visits_of (old, i)[areas[k]], &zones->zones[k].shape,
            &old->zones[areas[k]].shape);
}

bool
yolo_zones_take (YoloZones *zones, const YoloZones *old, const int *lines, const int *areas)
{
  if (!yolo_zones_reserve (zones, old->n_tracks))
    return false;
  yolo_zones_resize (zones, (int) old->width, (int) old->height);
  zones->n_tracks = old->n_tracks;
  zones->now = old->now;
  memcpy (zones->interval, old->interval, sizeof (zones->interval));
  zones->frames = old->frames;
  zones->forget = old->forget;
  for (size_t i = 0; i < old->n_tracks; i++)
    take_track (zones, old, i, lines, areas);
  yolo_zones_fill_table (zones);
  for (size_t k = 0; k < zones->config.n_lines; k++) {
    const Line *from = lines[k] >= 0 ? &old->lines[lines[k]] : NULL;

    if (from == NULL)
      continue;
    memcpy (zones->lines[k].counts, from->counts, sizeof (from->counts));
    memcpy (zones->lines[k].totals, from->totals, sizeof (from->totals));
  }
  for (size_t k = 0; k < zones->config.n_zones; k++) {
    Zone *zone = &zones->zones[k];
    const Zone *from = areas[k] >= 0 ? &old->zones[areas[k]] : NULL;

    if (from == NULL)
      continue;
    zone->totals = from->totals;
    zone->totals.crowded = from->totals.crowded && zone->shape.crowd > 0;
    zone->crowd_since = from->crowd_since;
    /* what has been held against another number of objects says nothing */
    zone->crowd_held = from->crowd_held && zone->shape.crowd == from->shape.crowd;
    memcpy (zone->entries, from->entries, sizeof (zone->entries));
    memcpy (zone->exits, from->exits, sizeof (zone->exits));
  }
  if (zones->heat.columns > 0 && zones->heat.columns == old->heat.columns
      && zones->heat.rows == old->heat.rows)
    memcpy (zones->heat.seconds, old->heat.seconds,
        (size_t) old->heat.columns * old->heat.rows * sizeof (*old->heat.seconds));
  return true;
}

/* -- what is known -- */

const YoloZonesEvent *
yolo_zones_events (const YoloZones *zones, size_t *n)
{
  *n = zones->n_events;
  return zones->events;
}

size_t
yolo_zones_n_tracks (const YoloZones *zones)
{
  return zones->n_tracks;
}

YoloZonesTrack
yolo_zones_track (const YoloZones *zones, size_t i)
{
  return zones->tracks[i].known;
}

double
yolo_zones_dwell (const YoloZones *zones, size_t track, uint32_t zone)
{
  const YoloStay *stay = &visits_of (zones, track)[zone].stay;

  return stay->inside ? zones->now - stay->entered : -1;
}

uint64_t
yolo_zones_crossings (const YoloZones *zones, uint32_t line, int class, unsigned direction)
{
  const Line *l = &zones->lines[line];

  return class >= 0 ? l->counts[class][direction] : l->totals[direction];
}

uint64_t
yolo_zones_passages (const YoloZones *zones, uint32_t zone, uint32_t class, bool exits)
{
  return exits ? zones->zones[zone].exits[class] : zones->zones[zone].entries[class];
}

YoloZoneTotals
yolo_zones_totals (const YoloZones *zones, uint32_t zone)
{
  return zones->zones[zone].totals;
}

const YoloHeat *
yolo_zones_heat (const YoloZones *zones)
{
  return zones->heat.columns > 0 ? &zones->heat : NULL;
}
