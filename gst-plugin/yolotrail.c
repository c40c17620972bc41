/* SPDX-License-Identifier: MIT */
/* Nothing is allocated per frame: the array grows to the most tracks that were there within the
 * length of a trail, MAX_TRAILS at most. A trail is looked for one by one, for there are few. */

#include "gst-plugin/yolotrail.h"

#define MAX_TRAILS 512

typedef struct {
  gint id;
  guint slot;                   /* as in YoloMetaObject */
  guint first, n;               /* of the ring of positions */
  gfloat points[YOLO_TRAIL_POINTS][2];
  GstClockTime times[YOLO_TRAIL_POINTS];
} Trail;

void
yolo_trails_clear (YoloTrails *trails)
{
  g_clear_pointer (&trails->trails, g_array_unref);
}

void
yolo_trails_reset (YoloTrails *trails)
{
  if (trails->trails)
    g_array_set_size (trails->trails, 0);
  trails->now = 0;
}

static Trail *
find_trail (const YoloTrails *trails, const YoloMetaObject *object)
{
  for (guint i = 0; trails->trails && i < trails->trails->len; i++) {
    Trail *trail = &g_array_index (trails->trails, Trail, i);

    if (trail->id == object->object_id && trail->slot == object->slot)
      return trail;
  }
  return NULL;
}

static void
forget_first (Trail *trail)
{
  trail->first = (trail->first + 1) % YOLO_TRAIL_POINTS;
  trail->n--;
}

static guint
last_of (const Trail *trail)
{
  return (trail->first + trail->n - 1) % YOLO_TRAIL_POINTS;
}

/* Forgets what is older than @length. */
static void
forget_old (YoloTrails *trails, GstClockTime length)
{
  for (guint i = trails->trails->len; i-- > 0;) {
    Trail *trail = &g_array_index (trails->trails, Trail, i);

    while (trail->n > 0 && trails->now - trail->times[trail->first] > length)
      forget_first (trail);
    if (trail->n == 0)
      g_array_remove_index_fast (trails->trails, i);
  }
}

/* The last position moves with the object until it is @apart from the one before. */
static void
add_point (YoloTrails *trails, Trail *trail, gfloat x, gfloat y, GstClockTime apart)
{
  guint at;

  if (trail->n < 2
      || trail->times[last_of (trail)]
          - trail->times[(last_of (trail) + YOLO_TRAIL_POINTS - 1) % YOLO_TRAIL_POINTS] >= apart) {
    if (trail->n == YOLO_TRAIL_POINTS)
      forget_first (trail);
    trail->n++;
  }
  at = last_of (trail);
  trail->points[at][0] = x;
  trail->points[at][1] = y;
  trail->times[at] = trails->now;
}

void
yolo_trails_add (YoloTrails *trails, const GArray *objects, const GstVideoInfo *info,
    GstClockTime pts, GstClockTime length)
{
  if (trails->trails == NULL)
    trails->trails = g_array_new (FALSE, FALSE, sizeof (Trail));
  if (!GST_CLOCK_TIME_IS_VALID (pts))
    pts = trails->now + GST_SECOND / 30;
  if (pts < trails->now)
    yolo_trails_reset (trails);
  trails->now = pts;
  forget_old (trails, length);
  for (guint i = 0; i < objects->len; i++) {
    const YoloMetaObject *object = &g_array_index (objects, YoloMetaObject, i);
    Trail *trail;

    if (object->object_id < 0)
      continue;
    trail = find_trail (trails, object);
    if (trail == NULL && trails->trails->len < MAX_TRAILS) {
      g_array_set_size (trails->trails, trails->trails->len + 1);
      trail = &g_array_index (trails->trails, Trail, trails->trails->len - 1);
      trail->id = object->object_id;
      trail->slot = object->slot;
      trail->first = trail->n = 0;
    }
    if (trail)
      add_point (trails, trail, (object->x + object->w / 2) / GST_VIDEO_INFO_WIDTH (info),
          (object->y + object->h / 2) / GST_VIDEO_INFO_HEIGHT (info),
          length / (YOLO_TRAIL_POINTS - 2));
  }
}

guint
yolo_trails_get (const YoloTrails *trails, const YoloMetaObject *object,
    gfloat points[YOLO_TRAIL_POINTS][2])
{
  const Trail *trail = object->object_id >= 0 ? find_trail (trails, object) : NULL;

  for (guint i = 0; trail && i < trail->n; i++) {
    const guint at = (trail->first + i) % YOLO_TRAIL_POINTS;

    points[i][0] = trail->points[at][0];
    points[i][1] = trail->points[at][1];
  }
  return trail ? trail->n : 0;
}
