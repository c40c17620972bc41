/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolohold.h"

/* More objects than any frame has that people look at; what is beyond is not held. */
#define MAX_HELD 1024
/* Of two boxes of one object in frames that follow each other. */
#define MIN_OVERLAP .2
/* Frames in which an object may be missing, however far apart they are. */
#define MIN_FRAMES 3
/* How much an object that is missing may have changed its way: longer sides of its box a second
 * - somebody who runs does two -, and at most. */
#define STRAYS_A_SECOND 1.5
#define MAX_STRAY .5

void
yolo_hold_init (YoloHold *hold)
{
  *hold = (YoloHold){ .held = g_array_sized_new (FALSE, FALSE, sizeof (YoloHeld), 64),
    .now = GST_CLOCK_TIME_NONE };
}

void
yolo_hold_clear (YoloHold *hold)
{
  g_clear_pointer (&hold->held, g_array_unref);
}

void
yolo_hold_reset (YoloHold *hold)
{
  g_array_set_size (hold->held, 0);
  hold->now = GST_CLOCK_TIME_NONE;
}

void
yolo_hold_scale (YoloHold *hold, gdouble x, gdouble y)
{
  for (guint i = 0; i < hold->held->len; i++) {
    YoloHeld *held = &g_array_index (hold->held, YoloHeld, i);

    for (guint k = 0; k < 4; k++)
      held->box[k] *= k % 2 ? y : x;
    held->speed[0] *= x;
    held->speed[1] *= y;
  }
}

/* How long an object has been away, ns. */
static GstClockTime
age_of (const YoloHold *hold, const YoloHeld *held)
{
  return hold->now > held->seen ? hold->now - held->seen : 0;
}

void
yolo_hold_begin (YoloHold *hold, GstClockTime now, GstClockTime duration, guint64 keep)
{
  guint i = 0;

  if (!GST_CLOCK_TIME_IS_VALID (now))
    now = GST_CLOCK_TIME_IS_VALID (hold->now) ? hold->now + duration : 0;
  if (GST_CLOCK_TIME_IS_VALID (hold->now) && now < hold->now) {
    /* frames may be a little out of order; what is further back is another part of the stream */
    if (hold->now - now > keep)
      yolo_hold_reset (hold);
    else
      now = hold->now;
  }
  hold->now = now;
  while (i < hold->held->len) {
    YoloHeld *held = &g_array_index (hold->held, YoloHeld, i);

    held->here = FALSE;
    held->missing++;
    if (keep == 0
        || (held->missing > MIN_FRAMES
            && age_of (hold, held) > (held->id >= 0 ? keep : keep / 2)))
      g_array_remove_index_fast (hold->held, i);
    else
      i++;
  }
}

/* Intersection over union. */
static gdouble
overlap (const gdouble *a, const gdouble *b)
{
  const gdouble w = MIN (a[2], b[2]) - MAX (a[0], b[0]), h = MIN (a[3], b[3]) - MAX (a[1], b[1]);
  const gdouble both = MAX (w, 0) * MAX (h, 0);

  return both / MAX ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both, 1e-9);
}

/* The object as it was seen before, or NULL: by the number of its track, or else by class and
 * place. */
static YoloHeld *
find (YoloHold *hold, const YoloMetaObject *object, const gdouble box[4])
{
  YoloHeld *best = NULL;
  gdouble largest = MIN_OVERLAP;

  for (guint i = 0; i < hold->held->len; i++) {
    YoloHeld *held = &g_array_index (hold->held, YoloHeld, i);

    if (object->object_id >= 0) {
      if (held->id == object->object_id)
        return held;
    } else if (held->id < 0 && !held->here && held->label_id == object->label_id
        && held->label == object->label) {
      const gdouble both = overlap (held->box, box);

      if (both > largest) {
        largest = both;
        best = held;
      }
    }
  }
  return best;
}

/* The speed of the box's middle, smoothed over some frames from the second on. */
static void
measure_speed (YoloHeld *held, const gdouble box[4], GstClockTime since)
{
  for (guint k = 0; k < 2; k++) {
    const gdouble moved = (box[k] + box[k + 2] - held->box[k] - held->box[k + 2]) / 2;

    held->speed[k] += (held->moves ? .5 : 1)
        * (moved / ((gdouble) since / GST_SECOND) - held->speed[k]);
  }
  held->moves = TRUE;
}

gboolean
yolo_hold_see (YoloHold *hold, const YoloMetaObject *object, gboolean wanted)
{
  const gdouble box[4] = { object->x, object->y, (gdouble) object->x + object->w,
    (gdouble) object->y + object->h };
  YoloHeld *held = find (hold, object, box);

  if (held == NULL && wanted && hold->held->len < MAX_HELD) {
    g_array_append_val (hold->held, ((YoloHeld){ .id = object->object_id,
                                        .label_id = object->label_id, .label = object->label }));
    held = &g_array_index (hold->held, YoloHeld, hold->held->len - 1);
  } else if (held != NULL && hold->now > held->measured) {
    measure_speed (held, box, hold->now - held->measured);
  }
  if (held == NULL)
    return wanted;
  for (guint k = 0; k < 4; k++)
    held->box[k] = box[k];
  held->measured = hold->now;
  held->here = TRUE;
  if (wanted) {
    held->seen = hold->now;
    held->missing = 0;
  }
  return TRUE;
}

gboolean
yolo_hold_next (const YoloHold *hold, guint *at, gdouble box[4])
{
  const YoloHeld *held;
  gdouble seconds, stray;

  do {
    if (*at >= hold->held->len)
      return FALSE;
    held = &g_array_index (hold->held, YoloHeld, (*at)++);
  } while (held->here);

  /* the box may have been seen since, as one that is not wanted */
  seconds = (gdouble) (hold->now - held->measured) / GST_SECOND;
  stray = MIN (seconds * STRAYS_A_SECOND, MAX_STRAY)
      * MAX (held->box[2] - held->box[0], held->box[3] - held->box[1]);
  for (guint k = 0; k < 2; k++) {
    const gdouble size = held->box[k + 2] - held->box[k], way = held->speed[k] * seconds;

    /* not further than a guess is worth */
    box[k] = held->box[k] + CLAMP (way, -2 * size, 0) - stray;
    box[k + 2] = held->box[k + 2] + CLAMP (way, 0, 2 * size) + stray;
  }
  return TRUE;
}
