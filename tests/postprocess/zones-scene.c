/* SPDX-License-Identifier: MIT */
/* Lines, zones and speeds on the tracks of a real scene (PETS 2009 S2.L1, 795 frames at 7 a
 * second, ../shared/tracking): what trackers' tracks give against what the annotated ones do. */

#include "postprocess/track/tracker.h"
#include "postprocess/track/zones.h"

#include <glib.h>
#include <json-glib/json-glib.h>
#include <math.h>

#define FRAMES 795
#define RATE 7.
#define WIDTH 768
#define HEIGHT 576
#define MAX_PEOPLE 64

typedef struct {
  GArray *frames[FRAMES + 1];   /* YoloZonesObject */
  GArray *scores[FRAMES + 1];   /* gfloat: of each of these, where the file has any */
} Tracks;

static gchar *
shared (const gchar *name)
{
  const gchar *folder = g_getenv ("YOLO_SHARED");

  return g_build_filename (folder ? folder : SOURCE_ROOT "/../shared", "tracking/PETS09-S2L1", name,
      NULL);
}

/* MOTChallenge's columns: frame, id, x, y, w, h. */
static Tracks
read_tracks (const gchar *name)
{
  g_autofree gchar *path = shared (name), *text = NULL;
  g_auto (GStrv) lines = NULL;
  Tracks tracks;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  for (guint i = 0; i <= FRAMES; i++) {
    tracks.frames[i] = g_array_new (FALSE, FALSE, sizeof (YoloZonesObject));
    tracks.scores[i] = g_array_new (FALSE, FALSE, sizeof (gfloat));
  }
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL && *lines[i] != '\0'; i++) {
    g_auto (GStrv) cells = g_strsplit (lines[i], ",", -1);
    const guint frame = (guint) atoi (cells[0]);
    gdouble box[4];
    YoloZonesObject object = { .id = atoi (cells[1]) };
    gfloat score;

    g_assert_cmpuint (frame, <=, FRAMES);
    for (guint k = 0; k < 4; k++)
      box[k] = g_ascii_strtod (cells[2 + k], NULL);
    object.x1 = (float) box[0];
    object.y1 = (float) box[1];
    object.x2 = (float) (box[0] + box[2]);
    object.y2 = (float) (box[1] + box[3]);
    g_array_append_val (tracks.frames[frame], object);
    score = (gfloat) g_ascii_strtod (cells[6], NULL);
    g_array_append_val (tracks.scores[frame], score);
  }
  return tracks;
}

static void
free_tracks (Tracks *tracks)
{
  for (guint i = 0; i <= FRAMES; i++) {
    g_array_unref (tracks->frames[i]);
    g_array_unref (tracks->scores[i]);
  }
}

/* Tracks of our own, with yolotrack's defaults, of what a detector has found. */
static Tracks
track (const gchar *name)
{
  const YoloTrackerSettings settings = { .kind = YOLO_TRACKER_BYTETRACK, .high = .25f, .low = .1f,
    .new_track = .25f, .match = .8f, .buffer = 10, .fuse_score = true, .class_aware = true };
  YoloTracker *tracker = yolo_tracker_new (&settings);
  Tracks found = read_tracks (name), tracks;

  for (guint i = 0; i <= FRAMES; i++) {
    g_autoptr (GArray) objects = g_array_new (FALSE, FALSE, sizeof (YoloObject));
    const YoloTrack *known;
    gsize n;

    tracks.frames[i] = g_array_new (FALSE, FALSE, sizeof (YoloZonesObject));
    tracks.scores[i] = g_array_new (FALSE, FALSE, sizeof (gfloat));
    for (guint k = 0; k < found.frames[i]->len; k++) {
      const YoloZonesObject *box = &g_array_index (found.frames[i], YoloZonesObject, k);
      const YoloObject object = { box->x1, box->y1, box->x2, box->y2,
        .confidence = g_array_index (found.scores[i], gfloat, k) };

      g_array_append_val (objects, object);
    }
    g_assert_true (
        yolo_tracker_update (tracker, 1, (const YoloObject *) objects->data, objects->len, NULL));
    known = yolo_tracker_tracks (tracker, &n);
    for (gsize k = 0; k < n; k++) {
      const YoloObject *box = &known[k].object;
      const YoloZonesObject object = { box->x1, box->y1, box->x2, box->y2, .id = known[k].id };

      if (known[k].state == YOLO_TRACK_TRACKED)
        g_array_append_val (tracks.frames[i], object);
    }
  }
  yolo_tracker_free (tracker);
  free_tracks (&found);
  return tracks;
}

static YoloPoint
pixel (gdouble x, gdouble y)
{
  return (YoloPoint) { x / WIDTH, y / HEIGHT };
}

#define N_LINES 6
#define N_ZONES 4

static void
read_ground (YoloZonesConfig *config)
{
  g_autofree gchar *path = shared ("ground.json");
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonArray *points;

  g_assert_true (json_parser_load_from_file (parser, path, NULL));
  points = json_object_get_array_member (
      json_node_get_object (json_parser_get_root (parser)), "points");
  for (guint i = 0; i < 4; i++) {
    JsonObject *point = json_array_get_object_element (points, i);
    JsonArray *at = json_object_get_array_member (point, "pixel"),
              *ground = json_object_get_array_member (point, "ground");

    config->ground_pixels[i] = pixel (
        json_array_get_double_element (at, 0), json_array_get_double_element (at, 1));
    config->ground_metres[i] = (YoloPoint) { json_array_get_double_element (ground, 0),
      json_array_get_double_element (ground, 1) };
  }
  config->has_ground = true;
}

/* Lines across the path, the road and the meadow, and zones on them. */
static YoloZones *
make_zones (void)
{
  const YoloLineShape lines[N_LINES] = {
    { pixel (600, 160), pixel (600, 500), YOLO_BOX_BOTTOM },
    { pixel (420, 576), pixel (420, 150), YOLO_BOX_BOTTOM },
    { pixel (200, 180), pixel (200, 400), YOLO_BOX_BOTTOM },
    { pixel (680, 240), pixel (680, 480), YOLO_BOX_CENTRE },
    { pixel (300, 330), pixel (720, 250), YOLO_BOX_BOTTOM },
    { pixel (560, 225), pixel (760, 225), YOLO_BOX_BOTTOM },
  };
  const YoloPoint corners[N_ZONES][6] = {
    { pixel (20, 195), pixel (240, 190), pixel (240, 280), pixel (20, 270) },
    { pixel (300, 220), pixel (560, 190), pixel (600, 300), pixel (320, 320) },
    { pixel (560, 300), pixel (700, 260), pixel (768, 400), pixel (768, 576), pixel (620, 480) },
    { pixel (620, 150), pixel (740, 150), pixel (740, 230), pixel (600, 240) },
  };
  static const guint n[N_ZONES] = { 4, 4, 5, 4 };
  YoloZoneShape zones[N_ZONES] = { 0 };
  YoloZonesConfig config = {
    .lines = lines, .n_lines = N_LINES, .zones = zones, .n_zones = N_ZONES, .hold_distance = .1,
    .hold_time = .25, .forget = 2,
  };
  YoloZones *made;

  for (guint i = 0; i < N_ZONES; i++)
    zones[i] = (YoloZoneShape) { .corners = corners[i], .n_corners = n[i] };
  read_ground (&config);
  made = yolo_zones_new (&config);
  g_assert_nonnull (made);
  yolo_zones_resize (made, WIDTH, HEIGHT);
  return made;
}

static gint
compare_doubles (gconstpointer a, gconstpointer b)
{
  const gdouble x = *(const gdouble *) a, y = *(const gdouble *) b;

  return x < y ? -1 : x > y;
}

/* The number of the annotated person that a box is; 0: nobody's. */
static gint
person_of (const Tracks *truth, guint frame, const YoloZonesTrack *track)
{
  gdouble best = .5;
  gint person = 0;

  for (guint i = 0; i < truth->frames[frame]->len; i++) {
    const YoloZonesObject *o = &g_array_index (truth->frames[frame], YoloZonesObject, i);
    const gdouble w = MIN (o->x2, track->x2) - MAX (o->x1, track->x1);
    const gdouble h = MIN (o->y2, track->y2) - MAX (o->y1, track->y1);
    const gdouble both = w > 0 && h > 0 ? w * h : 0;
    const gdouble iou = both / ((o->x2 - o->x1) * (o->y2 - o->y1)
        + (track->x2 - track->x1) * (track->y2 - track->y1) - both);

    if (iou > best) {
      best = iou;
      person = o->id;
    }
  }
  return person;
}

typedef struct {
  guint64 crossings[N_LINES][2], entries[N_ZONES];
  gdouble occupied[N_ZONES];    /* seconds of objects */
  gdouble speed[MAX_PEOPLE];    /* median, metres a second; 0: unknown */
} Result;

static Result
run (const Tracks *tracks, const Tracks *truth)
{
  YoloZones *zones = make_zones ();
  GArray *speeds[MAX_PEOPLE];
  Result result = { 0 };

  for (guint i = 0; i < MAX_PEOPLE; i++)
    speeds[i] = g_array_new (FALSE, FALSE, sizeof (gdouble));
  for (guint frame = 1; frame <= FRAMES; frame++) {
    const GArray *objects = tracks->frames[frame];

    g_assert_true (yolo_zones_update (zones, (frame - 1) / RATE,
            (const YoloZonesObject *) objects->data, objects->len));
    for (gsize i = 0; i < yolo_zones_n_tracks (zones); i++) {
      const YoloZonesTrack track = yolo_zones_track (zones, i);
      const gint person = track.seen ? person_of (truth, frame, &track) : 0;

      if (person > 0 && !isnan (track.speed))
        g_array_append_val (speeds[person], track.speed);
    }
    for (guint i = 0; i < N_ZONES; i++)
      result.occupied[i] += yolo_zones_totals (zones, i).occupancy / RATE;
  }
  for (guint i = 0; i < N_LINES; i++)
    for (guint k = 0; k < 2; k++)
      result.crossings[i][k] = yolo_zones_crossings (zones, i, -1, k);
  for (guint i = 0; i < N_ZONES; i++)
    result.entries[i] = yolo_zones_totals (zones, i).entries;
  for (guint i = 0; i < MAX_PEOPLE; i++) {
    g_array_sort (speeds[i], compare_doubles);
    if (speeds[i]->len > 0)
      result.speed[i] = g_array_index (speeds[i], gdouble, speeds[i]->len / 2);
    g_array_unref (speeds[i]);
  }
  yolo_zones_free (zones);
  return result;
}

static guint64
sum_of (const Result *result, gboolean entries)
{
  guint64 sum = 0;

  for (guint i = 0; !entries && i < N_LINES; i++)
    sum += result->crossings[i][0] + result->crossings[i][1];
  for (guint i = 0; entries && i < N_ZONES; i++)
    sum += result->entries[i];
  return sum;
}

/* How many people's median speed is within 15 % of what is written down. */
static guint
n_right_speeds (const Result *result)
{
  g_autofree gchar *path = shared ("ground.json");
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *medians;
  guint n = 0;

  g_assert_true (json_parser_load_from_file (parser, path, NULL));
  medians = json_object_get_object_member (
      json_node_get_object (json_parser_get_root (parser)), "median_speed_m_per_s");
  g_assert_cmpuint (json_object_get_size (medians), ==, 19);
  for (guint i = 1; i <= 19; i++) {
    g_autofree gchar *name = g_strdup_printf ("%u", i);
    const gdouble ratio = result->speed[i] / json_object_get_double_member (medians, name);

    g_test_message ("person %u: %.2f m/s, %.2f of the truth", i, result->speed[i], ratio);
    n += ratio >= .85 && ratio <= 1.15;
  }
  return n;
}

static void
compare (gconstpointer name)
{
  Tracks truth = read_tracks ("gt.txt");
  Tracks tracks = g_str_has_prefix (name, "det-") ? track (name) : read_tracks (name);
  const Result expected = run (&truth, &truth), result = run (&tracks, &truth);
  gdouble occupied = 0, expected_occupied = 0;

  for (guint i = 0; i < N_ZONES; i++) {
    occupied += result.occupied[i];
    expected_occupied += expected.occupied[i];
    g_test_message ("zone %u: %" G_GUINT64_FORMAT " entries, %.0f s; expected %" G_GUINT64_FORMAT
        ", %.0f s", i, result.entries[i], result.occupied[i], expected.entries[i],
        expected.occupied[i]);
  }
  for (guint i = 0; i < N_LINES; i++)
    g_test_message ("line %u: %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT "; expected %"
        G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT, i, result.crossings[i][0],
        result.crossings[i][1], expected.crossings[i][0], expected.crossings[i][1]);
  g_assert_cmpuint (sum_of (&expected, FALSE), >, 100);
  g_assert_cmpuint (sum_of (&expected, TRUE), >, 50);
  g_assert_cmpfloat (
      ABS ((gdouble) sum_of (&result, FALSE) / (gdouble) sum_of (&expected, FALSE) - 1), <=, .05);
  g_assert_cmpfloat (
      ABS ((gdouble) sum_of (&result, TRUE) / (gdouble) sum_of (&expected, TRUE) - 1), <=, .05);
  g_assert_cmpfloat (ABS (occupied / expected_occupied - 1), <=, .05);
  g_assert_cmpuint (n_right_speeds (&expected), ==, 19);
  g_assert_cmpuint (n_right_speeds (&result), >=, 13);
  free_tracks (&truth);
  free_tracks (&tracks);
}

int
main (int argc, char **argv)
{
  static const gchar *names[] = { "bytetrack-defaults-on-yolov8n.txt",
    "bytetrack-paper-on-yolov8n.txt", "bytetrack-defaults-on-sort.txt",
    "bytetrack-paper-on-sort.txt", "det-yolov8n.txt" };
  g_autofree gchar *truth = shared ("gt.txt");

  if (!g_file_test (truth, G_FILE_TEST_EXISTS)) {
    g_print ("1..0 # SKIP %s is not here: the tracks of PETS 2009 are not in the repository\n",
        truth);
    return 0;
  }
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree gchar *path = g_strdup_printf ("/zones/scene/%s", names[i]);

    g_test_add_data_func (path, names[i], compare);
  }
  return g_test_run ();
}
