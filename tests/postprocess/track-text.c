/* SPDX-License-Identifier: MIT */
/* For test-track.py: runs a tracker over detections in MOTChallenge's columns.
 *
 *     track-text [SETTING=VALUE...] <DETECTIONS >TRACKS
 *
 * Standard input has lines of frame, any id, left, top, width, height, score, and perhaps class, by
 * frame from 1. What is written has two digits, as the reference's has. The settings are the
 * fields of YoloTrackerSettings, and these:
 *   frames  the last frame
 *   every   only frames 1, 1 + every, 1 + 2 * every... are looked at (1)
 *   step    nominal frames from one of these to the next (1)
 *   skipped 1: the frames between them are predicted, and written too (0)
 */

#include "postprocess/track/tracker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 100000             /* detections of a frame */

typedef struct {
  const char *name;
  float *number;
  bool *flag;
} Setting;

static float tracker = YOLO_TRACKER_BYTETRACK, frames = 0, every = 1, step = 1;
static bool skipped;
static YoloTrackerSettings settings = {
  .high = .25f, .low = .1f, .new_track = .25f, .match = .8f, .buffer = 30, .fuse_score = true,
};
static const Setting table[] = {
  { "tracker", &tracker, NULL }, { "high", &settings.high, NULL }, { "low", &settings.low, NULL },
  { "new", &settings.new_track, NULL }, { "match", &settings.match, NULL },
  { "buffer", &settings.buffer, NULL }, { "fuse", NULL, &settings.fuse_score },
  { "class", NULL, &settings.class_aware },
  { "published", NULL, &settings.published }, { "frames", &frames, NULL },
  { "every", &every, NULL }, { "step", &step, NULL }, { "skipped", NULL, &skipped },
};

static bool
set (const char *text)
{
  size_t length = strcspn (text, "=");

  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    if (strlen (table[i].name) != length || strncmp (table[i].name, text, length) || !text[length])
      continue;
    float value = strtof (text + length + 1, NULL);
    if (table[i].flag)
      *table[i].flag = value != 0;
    else
      *table[i].number = value;
    return true;
  }
  fprintf (stderr, "track-text: what is %s?\n", text);
  return false;
}

static void
write_tracks (const YoloTracker *t, int frame)
{
  size_t n;
  const YoloTrack *tracks = yolo_tracker_tracks (t, &n);

  for (size_t i = 0; i < n; i++) {
    const YoloObject *o = &tracks[i].object;
    if (tracks[i].state == YOLO_TRACK_TRACKED || tracks[i].state == YOLO_TRACK_PREDICTED)
      printf ("%d,%d,%.2f,%.2f,%.2f,%.2f,%.4f\n", frame, (int) tracks[i].id, (double) o->x1,
          (double) o->y1, (double) o->x2 - o->x1, (double) o->y2 - o->y1, (double) o->confidence);
  }
}

int
main (int argc, char **argv)
{
  static YoloObject boxes[MOST];
  char line[256];
  int frame = 0;
  size_t n = 0;

  for (int i = 1; i < argc; i++)
    if (!set (argv[i]))
      return 1;
  settings.kind = (YoloTrackerKind) tracker;
  YoloTracker *t = yolo_tracker_new (&settings);
  if (!t)
    return 1;
  bool more = fgets (line, sizeof line, stdin) != NULL;
  for (frame = 1; more || frame <= (int) frames; frame++) {
    n = 0;
    for (; more && atoi (line) <= frame; more = fgets (line, sizeof line, stdin) != NULL) {
      float x, y, w, h, score;
      int class_id = 0;
      if (n == MOST || sscanf (line, "%*d,%*f,%f,%f,%f,%f,%f,%d", &x, &y, &w, &h, &score,
              &class_id) < 5)
        return 1;
      boxes[n++] = (YoloObject) { .x1 = x, .y1 = y, .x2 = x + w, .y2 = y + h, .confidence = score,
        .class_id = class_id };
    }
    bool looked = (frame - 1) % (int) every == 0;
    double time = (double) (skipped ? step / every : step);
    if (looked && !yolo_tracker_update (t, time, boxes, n, NULL))
      return 1;
    if (!looked && skipped)
      yolo_tracker_predict (t, time, NULL);
    if (looked || skipped)
      write_tracks (t, frame);
  }
  yolo_tracker_free (t);
  return 0;
}
