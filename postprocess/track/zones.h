/* SPDX-License-Identifier: MIT */
/* What objects with an identity do at lines and in zones of a picture: who crosses which way,
 * who is where and for how long, how fast. State is of one stream. Places are in pixels, and nobody
 * looks at what those show. One thread at a time. docs/zones.md has the rules and the sources of
 * the formulas.
 *
 * An object counts by its number and its class together: trackers that number each class by
 * itself give one number to two objects. An object that changes its class keeps its state if it
 * stays in its place. A number that two boxes of a class have in one frame tells nothing, and
 * counts nothing until it has gone. */

#ifndef YOLO_POSTPROCESS_TRACK_ZONES_H
#define YOLO_POSTPROCESS_TRACK_ZONES_H

#include <stdint.h>

#include "postprocess/track/ground.h"
#include "postprocess/track/heat.h"

#define YOLO_ZONES_MAX_SHAPES 64        /* lines, and as many zones */
#define YOLO_ZONES_MAX_CORNERS 256      /* of a zone */
#define YOLO_ZONES_MAX_CLASSES 256
/* Objects that are remembered at a time; more are not counted. */
#define YOLO_ZONES_MAX_TRACKS 4096

/* The point of a box that counts. */
typedef enum {
  YOLO_BOX_BOTTOM,              /* the middle of the lower edge: where somebody stands */
  YOLO_BOX_CENTRE,
  YOLO_BOX_TOP_LEFT,
  YOLO_BOX_TOP_RIGHT,
  YOLO_BOX_BOTTOM_LEFT,
  YOLO_BOX_BOTTOM_RIGHT,
} YoloBoxPoint;

/* Side a of a line lies to the left of who looks from `from` to `to`, side b to the right. */
typedef struct {
  YoloPoint from, to;           /* 0 to 1 of the frame */
  YoloBoxPoint point;
} YoloLineShape;

typedef struct {
  const YoloPoint *corners;     /* 0 to 1 of the frame, in the order of the border */
  size_t n_corners;             /* 3 to YOLO_ZONES_MAX_CORNERS */
  YoloBoxPoint point;
  double loiter;                /* seconds from which on an object loiters; 0: never */
  unsigned crowd;               /* more objects than these are a crowd; 0: nothing is */
  double crowd_time;            /* seconds for which they must be, or be gone again */
  /* whether objects that move like the arrow, and against it, are told apart */
  bool directed;
  YoloPoint from, to;           /* the arrow, 0 to 1 of the frame */
  double tolerance;             /* between the arrow and how an object moves, radians */
} YoloZoneShape;

typedef struct {
  const YoloLineShape *lines;
  const YoloZoneShape *zones;
  size_t n_lines, n_zones;      /* up to YOLO_ZONES_MAX_SHAPES each */
  /* hysteresis: how far beyond a line an object must be, in units of its size, which is the root
   * of the box's area, and for how many seconds, to be on the other side */
  double hold_distance, hold_time;      /* 0 or more */
  double forget;                /* seconds unseen after which an object is gone; above 0 */
  bool has_ground;
  YoloPoint ground_pixels[4];   /* 0 to 1 of the frame */
  YoloPoint ground_metres[4];   /* where these lie; no three in line, else there is no ground */
  unsigned heat_columns, heat_rows;     /* up to YOLO_HEAT_MAX_SIDE; columns 0: no heat map */
  YoloBoxPoint heat_point;
} YoloZonesConfig;

/* What is seen of an object in a frame. */
typedef struct {
  float x1, y1, x2, y2;         /* pixels */
  int32_t id;                   /* negative: it has none, and does not count */
  uint32_t class;               /* below YOLO_ZONES_MAX_CLASSES */
  /* it is not seen but its box was predicted: that keeps it from being forgotten, and
   * counts nothing */
  bool predicted;
} YoloZonesObject;

typedef enum {
  YOLO_ZONES_CROSS,             /* an object has crossed a line */
  YOLO_ZONES_ENTER,
  YOLO_ZONES_EXIT,
  YOLO_ZONES_LOITER,
  YOLO_ZONES_CROWD,             /* a zone has become crowded */
  YOLO_ZONES_CROWD_END,
  YOLO_ZONES_DIRECTION,         /* an object in a zone moves like its arrow, or against it */
} YoloZonesEventKind;

typedef struct {
  YoloZonesEventKind kind;
  uint32_t shape;               /* number of the line or zone */
  int32_t id;                   /* -1: the event is of a zone alone */
  uint32_t class;
  /* 0: from side a to b, or like the arrow; 1: from b to a, or against it */
  uint32_t direction;
  uint32_t count;               /* objects in the zone; of a crowd */
  /* it has come into the zone, or left it, in the middle of the picture, without a way across the
   * zone's border or the frame's: a tracker has lost it, or found it again with another number */
  bool unseen;
  double since;                 /* when what is told has begun: the crossing, the visit */
  double dwell;                 /* seconds in the zone */
  double speed;                 /* of the object, as in YoloZonesTrack */
  YoloPoint at;                 /* its point, pixels */
} YoloZonesEvent;

typedef struct {
  uint64_t entries, exits;      /* across the zone's border, or the frame's */
  uint64_t appeared, vanished;  /* inside of it */
  uint32_t occupancy, peak;
  uint32_t loitering;           /* objects that are doing it */
  bool crowded;
  uint64_t along, against;      /* objects that have moved like the arrow, and against it */
  uint64_t visits;              /* that have ended */
  double dwell_sum;             /* seconds of these */
  double dwell_longest;         /* seconds, of those that last included */
} YoloZoneTotals;

/* An object as it is known after a frame. */
typedef struct {
  int32_t id;
  uint32_t class;
  bool seen;                    /* in this frame */
  float x1, y1, x2, y2;         /* pixels; where it was seen last */
  double vx, vy;                /* pixels a second; NaN: not known yet */
  double speed;                 /* metres a second on the ground; NaN: not known */
} YoloZonesTrack;

typedef struct _YoloZones YoloZones;

/* @config: copied. NULL: there is no memory, or it has numbers out of their ranges. */
YoloZones *yolo_zones_new (const YoloZonesConfig *config);
/* NULL does nothing. */
void yolo_zones_free (YoloZones *zones);

/* Which lines and zones take notice of a class, a bit each, by number, and whether the heat map
 * does; at first all do. A class of YOLO_ZONES_MAX_CLASSES or more is ignored. */
void yolo_zones_accept (
    YoloZones *zones, uint32_t class, uint64_t lines, uint64_t areas, bool heat);

/* The size of the frames from here on, pixels, above 0. Objects keep their places in the picture.
 * To be called before the first frame. */
void yolo_zones_resize (YoloZones *zones, int width, int height);

/* A frame. @now: its time, seconds; one that is more than half a second before the last frame's
 * ends all objects first. False: there is no memory for an object or an event that is new, which
 * is left out. */
bool yolo_zones_update (YoloZones *zones, double now, const YoloZonesObject *objects, size_t n);

/* The stream has ended: who is in a zone has not gone, but nobody will see more of the visit, which
 * ends as one of an object that is lost does (`unseen`), at the edge of the frame too, and a crowd
 * ends now. All objects are gone, counts and heat stay. The events are those that
 * yolo_zones_events() gives from now on. False: there is no memory for one, which is left out. */
bool yolo_zones_end (YoloZones *zones);

/* At the next frame all objects are gone first: what comes is not what was before. */
void yolo_zones_forget (YoloZones *zones);

/* Sets the counts, the peaks, the times and the heat to 0; who is in a zone stays there. */
void yolo_zones_reset (YoloZones *zones);

/* Takes over what @old, which has the size of its frames and is not changed, knows: objects, heat
 * if the grid is as large, and state and counts of the shapes that stay. A crowd, and what an
 * object does, end without an event where the zone does not ask for them any more. @lines, @areas:
 * for each shape its number in @old; -1: it is a new one. False: there is no memory, and nothing
 * is taken. */
bool yolo_zones_take (
    YoloZones *zones, const YoloZones *old, const int *lines, const int *areas);

/* [n], owned by @zones: what the last frame or the end has brought, until the next call of
 * yolo_zones_update() or yolo_zones_end(). */
const YoloZonesEvent *yolo_zones_events (const YoloZones *zones, size_t *n);

/* The objects after the last frame, seen or not yet forgotten; until the next call of a function
 * that changes anything. */
size_t yolo_zones_n_tracks (const YoloZones *zones);
/* @i: below that number, as is @track. */
YoloZonesTrack yolo_zones_track (const YoloZones *zones, size_t i);
/* Seconds that an object has been in a zone; negative: it is not in it. */
double yolo_zones_dwell (const YoloZones *zones, size_t track, uint32_t zone);

/* @line: below n_lines, as @zone is below n_zones; @direction: 0: a to b, 1: b to a; @class: below
 * YOLO_ZONES_MAX_CLASSES, or -1: all classes together. */
uint64_t yolo_zones_crossings (
    const YoloZones *zones, uint32_t line, int class, unsigned direction);
/* @exits: or entries. */
uint64_t yolo_zones_passages (const YoloZones *zones, uint32_t zone, uint32_t class, bool exits);
YoloZoneTotals yolo_zones_totals (const YoloZones *zones, uint32_t zone);

/* Owned by @zones. NULL: there is no heat map. */
const YoloHeat *yolo_zones_heat (const YoloZones *zones);

#endif
