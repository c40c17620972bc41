/* SPDX-License-Identifier: MIT */
/* What lines and zones remember, for the files that they are made of.
 *
 * Memory: a track has a state for each line and zone, in arrays beside that of the tracks, which
 * grow and stay. Tracks are found by their number in a hash table with linear probing, which is
 * made again when tracks have gone. Nothing else is allocated but room for events. */

#ifndef YOLO_POSTPROCESS_TRACK_ZONES_STATE_H
#define YOLO_POSTPROCESS_TRACK_ZONES_STATE_H

#include <stddef.h>

#include "postprocess/track/crossing.h"
#include "postprocess/track/kalman.h"
#include "postprocess/track/zones.h"

typedef struct {
  YoloZonesTrack known;
  YoloPoint before[2];          /* corners of the box at the place before; pixels */
  double last;                  /* when it was seen; seconds */
  double kept;                  /* when it was seen or predicted */
  double measured;              /* when the filters were run */
  YoloKalman picture[2], ground[2];     /* x and y; pixels, metres */
  double picture_since, ground_since;   /* when the filters began; NaN: they have not */
  double doubtful;              /* when two boxes of a frame had its number; -INFINITY: never */
  uint64_t born;                /* the number of its first frame */
  bool from_edge;               /* its first box was at the edge of the frame */
} Track;

/* What a track does in a zone. */
typedef struct {
  YoloStay stay;
  double since;                 /* from when it has moved as `going` does not say */
  int8_t going, next;           /* 1: like the arrow, -1: against it, 0: neither */
  bool outside;                 /* it has been seen outside of the zone */
  bool loiters;
} Visit;

typedef struct {
  YoloLineShape shape;
  YoloPoint from, to;           /* pixels */
  uint64_t counts[YOLO_ZONES_MAX_CLASSES][2];
  uint64_t totals[2];           /* of all classes, which are asked for in each frame */
} Line;

typedef struct {
  YoloZoneShape shape;          /* its corners are owned */
  YoloPoint *corners;           /* pixels; owned */
  YoloPoint low, high;          /* the rectangle around them */
  double angle;                 /* of the arrow, in pixels */
  YoloZoneTotals totals;
  uint64_t entries[YOLO_ZONES_MAX_CLASSES], exits[YOLO_ZONES_MAX_CLASSES];
  double crowd_since;           /* from when there have been more, or less, than it says */
  bool crowd_held;
} Zone;

struct _YoloZones {
  YoloZonesConfig config;       /* without the shapes */
  Line *lines;
  Zone *zones;
  uint64_t accept_lines[YOLO_ZONES_MAX_CLASSES], accept_zones[YOLO_ZONES_MAX_CLASSES];
  bool accept_heat[YOLO_ZONES_MAX_CLASSES];
  double width, height;         /* pixels */
  YoloGround ground;
  bool has_ground;
  YoloHeat heat;

  Track *tracks;
  YoloCrossing *crossings;      /* [capacity][n_lines] */
  Visit *visits;                /* [capacity][n_zones] */
  size_t n_tracks, capacity;
  int32_t *table;               /* [table_size]: numbers of tracks, -1: none; by hash of id */
  size_t table_size;            /* a power of two, at least twice the capacity */

  YoloZonesEvent *events;
  size_t n_events, events_capacity;
  YoloZonesEvent spare;         /* what is written where there is no memory for an event */
  double now;                   /* of the last frame; seconds */
  double interval[2];           /* from the frame before to the last, and before that; seconds */
  uint64_t frames;              /* how many there were */
  bool forget, failed;
  bool ending;                  /* the stream has ended, and visits end in the middle */
};

/* The states of a track at each line, and in each zone. */
static inline YoloCrossing *
crossings_of (const YoloZones *zones, size_t track)
{
  return zones->crossings + track * zones->config.n_lines;
}

static inline Visit *
visits_of (const YoloZones *zones, size_t track)
{
  return zones->visits + track * zones->config.n_zones;
}

/* Makes room for @n tracks; false: there is no memory. */
bool yolo_zones_reserve (YoloZones *zones, size_t n);
/* Makes the table anew. */
void yolo_zones_fill_table (YoloZones *zones);
/* Enters a track into it. */
void yolo_zones_enter_in_table (YoloZones *zones, size_t track);
/* Where the search for a number begins in it. */
size_t yolo_zones_hash (const YoloZones *zones, int32_t id);
/* Makes room for one more event; false: there is no memory. */
bool yolo_zones_reserve_event (YoloZones *zones);

#endif
