/* SPDX-License-Identifier: MIT */
/* The time of a core that a tracker takes for a frame.
 *
 *     bench-track [PEOPLE]
 *
 * So many people (100) walk through a frame of 1900x1060 pixels, or of 900x500 where they hide each
 * other; each is seen in 95 of 100 frames. */

#include "postprocess/track/tracker.h"
#include "tests/guarded.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FRAMES 2000

typedef struct {
  double x, y, vx, vy;
} Person;

static void
bounce (double *x, double *v, double limit)
{
  *x += *v;
  if (*x < 0 || *x > limit)
    *v = -*v;
}

/* Milliseconds of the processor's time, of this process alone. */
static double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return 1e3 * (double) t.tv_sec + (double) t.tv_nsec / 1e6;
}

static void
measure (const char *name, const YoloTrackerSettings *settings, int n_people, bool crowd)
{
  double width = crowd ? 900 : 1900, height = crowd ? 500 : 1060;
  g_autofree Person *people = g_new (Person, n_people);
  g_autofree YoloObject *boxes = g_new0 (YoloObject, n_people);
  YoloTracker *t = yolo_tracker_new (settings);
  Random r = random_new (1);
  double sum = 0;

  for (int i = 0; i < n_people; i++)
    people[i] = (Person) { width * random_unit (&r), height * random_unit (&r),
      2 * random_normal (&r), random_normal (&r) };
  for (int n = 0; n < FRAMES; n++) {
    size_t n_boxes = 0;
    for (int i = 0; i < n_people; i++) {
      bounce (&people[i].x, &people[i].vx, width);
      bounce (&people[i].y, &people[i].vy, height);
      if (random_unit (&r) > .95)
        continue;
      float x = (float) (people[i].x + 3 * random_unit (&r));
      float y = (float) (people[i].y + 3 * random_unit (&r));
      boxes[n_boxes++] = (YoloObject) { .x1 = x, .y1 = y, .x2 = x + 40, .y2 = y + 100,
        .confidence = (float) (.1 + .8 * random_unit (&r)) };
    }
    double start = now ();
    if (!yolo_tracker_update (t, 1, boxes, n_boxes, NULL))
      exit (1);
    sum += now () - start;
  }
  printf ("%-10s %-10s %.4f ms a frame\n", name, crowd ? "crowd" : "far apart",
      sum / FRAMES);
  yolo_tracker_free (t);
}

int
main (int argc, char **argv)
{
  const char *const names[] = { "bytetrack", "botsort", "ocsort" };
  int n_people = argc > 1 ? atoi (argv[1]) : 100;

  if (n_people < 1) {
    fprintf (stderr, "bench-track: how many people?\n");
    return 1;
  }
  for (int kind = 0; kind < 3; kind++)
    for (int crowd = 0; crowd < 2; crowd++) {
      YoloTrackerSettings settings = { .kind = (YoloTrackerKind) kind, .high = .25f, .low = .1f,
        .new_track = .25f, .match = .8f, .buffer = 10, .fuse_score = true, .class_aware = true };
      measure (names[kind], &settings, n_people, crowd);
    }
  return 0;
}
