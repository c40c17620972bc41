/* SPDX-License-Identifier: MIT */
/* Ten hours of a made-up crowd through yolotrack and yolozones, as fast as they go: people come,
 * cross, stand for a while and leave, more of them every full hour; a detector misses some, is not
 * sure of others, and the camera is away now and then. What the process has in memory after two
 * hours is what it has after ten, and what is counted is what has happened. */

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolozonesmeta.h"

#include <gst/check/gstharness.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>

#define HOURS 10
#define RATE 5                  /* frames a second */
#define WIDTH 640
#define HEIGHT 360
#define MOST 60                 /* people at a time */

#define CONFIG \
  "{ \"lines\": [ { \"name\": \"middle\", \"points\": [[0.5, 0], [0.5, 1]] } ]," \
  "  \"zones\": [ { \"name\": \"left\", \"points\": [[0, 0], [0.4, 0], [0.4, 1], [0, 1]]," \
  "                 \"loiter\": 30, \"crowd\": { \"above\": 8, \"for\": 5 } } ]," \
  "  \"ground\": { \"points\": [[0, 0.1], [1, 0.1], [1, 1], [0, 1]]," \
  "                \"metres\": [[0, 20], [30, 20], [30, 0], [0, 0]] }," \
  "  \"heat\": { \"columns\": 32, \"rows\": 18 } }"

typedef struct {
  gdouble x, y;                 /* middle, pixels */
  gdouble vx, vy;               /* a second */
  gdouble stop;                 /* column at which they stand for a while; below 0: nowhere */
  gdouble stands;               /* seconds that are left of that */
} Person;

typedef struct {
  GRand *rand;
  Person people[MOST];
  guint n, n_crossings, n_came;
} Crowd;

/* The bytes that the process has allocated; 0 where the C library does not tell. */
static gsize
allocated (void)
{
#if defined (__GLIBC__) && __GLIBC_PREREQ (2, 33)
  struct mallinfo2 m = mallinfo2 ();

  return m.uordblks + m.hblkhd;
#else
  return 0;
#endif
}

/* Kilobytes of the process that are in memory. */
static gsize
resident (void)
{
  g_autofree gchar *status = NULL;
  const gchar *line;

  if (!g_file_get_contents ("/proc/self/status", &status, NULL, NULL))
    return 0;
  line = strstr (status, "VmRSS:");
  return line != NULL ? strtoull (line + strlen ("VmRSS:"), NULL, 10) : 0;
}

static void
come (Crowd *crowd)
{
  const gboolean right = g_rand_boolean (crowd->rand);
  const gdouble speed = g_rand_double_range (crowd->rand, 40, 80);

  crowd->n_came++;
  crowd->people[crowd->n++] = (Person) {
    .x = right ? 0 : WIDTH, .y = g_rand_double_range (crowd->rand, 60, HEIGHT - 30),
    .vx = right ? speed : -speed, .vy = g_rand_double_range (crowd->rand, -4, 4),
    .stop = g_rand_int_range (crowd->rand, 0, 5) == 0
        ? g_rand_double_range (crowd->rand, 50, 250) : -1,
    .stands = g_rand_double_range (crowd->rand, 1, 60),
  };
}

/* Moves everybody on by @t seconds, at @hour. @seen: whether anybody looks. */
static void
walk (Crowd *crowd, gdouble t, gdouble hour, gboolean seen)
{
  const gdouble rush = 1 + cos (2 * G_PI * hour);

  if (crowd->n < MOST && g_rand_double (crowd->rand) < .75 * t * rush)
    come (crowd);
  for (guint i = crowd->n; i-- > 0;) {
    Person *person = &crowd->people[i];
    const gdouble before = person->x;

    if (person->stop >= 0 && person->stands > 0 && fabs (person->x - person->stop) < 20) {
      person->stands -= t;
      continue;
    }
    person->x += t * person->vx;
    person->y += t * person->vy;
    if (seen && (before < WIDTH / 2.) != (person->x < WIDTH / 2.))
      crowd->n_crossings++;
    if (person->x < 0 || person->x > WIDTH)
      *person = crowd->people[--crowd->n];
  }
}

/* (transfer full): what a detector finds. */
static GstBuffer *
look (Crowd *crowd, const GstVideoInfo *info, GstClockTime pts)
{
  GstBuffer *buffer = gst_buffer_new ();
  YoloMetaObject found[MOST];
  guint n = 0;

  for (guint i = 0; i < crowd->n; i++) {
    const Person *person = &crowd->people[i];
    const gdouble sure = g_rand_double (crowd->rand);

    if (sure < .03)
      continue;
    found[n++] = (YoloMetaObject) {
      .x = (gfloat) (person->x - 10 + g_rand_double (crowd->rand)),
      .y = (gfloat) (person->y - 25 + g_rand_double (crowd->rand)), .w = 20, .h = 50,
      .confidence = (gfloat) (sure < .1 ? .2 : .8), .label = g_quark_from_string ("person"),
      .object_id = -1,
    };
  }
  GST_BUFFER_PTS (buffer) = pts;
  yolo_meta_add (buffer, info, found, n, 0);
  return buffer;
}

/* A seek: tracks end, and the numbers go on. */
static void
flush (GstHarness *h)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  g_assert_true (gst_harness_push_event (h, gst_event_new_flush_start ()));
  g_assert_true (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  g_assert_true (gst_harness_push_event (h, gst_event_new_segment (&segment)));
}

/* Lets go of the events that came out, which the harness keeps. */
static void
drop_events (GstHarness *h)
{
  GstEvent *event;

  while ((event = gst_harness_try_pull_event (h)) != NULL)
    gst_event_unref (event);
}

static GstHarness *
start (GstVideoInfo *info)
{
  g_autofree gchar *config = g_strescape (CONFIG, NULL);
  g_autofree gchar *line =
      g_strdup_printf ("yolotrack ! yolozones name=zones config-text=\"%s\"", config);
  GstHarness *h = gst_harness_new_parse (line);
  GstCaps *caps = gst_caps_from_string (
      "video/x-raw, format=NV12, width=640, height=360, framerate=5/1");

  g_assert_true (gst_video_info_from_caps (info, caps));
  gst_harness_set_src_caps (h, caps);
  return h;
}

/* How often the line was crossed, by the element. */
static guint
count_crossings (GstHarness *h)
{
  g_autoptr (GstElement) zones = gst_harness_find_element (h, "yolozones");
  g_autoptr (GstStructure) stats = NULL;
  const GstStructure *line;

  g_object_get (zones, "stats", &stats, NULL);
  line = yolo_zones_meta_element (
      yolo_zones_meta_element (stats, "streams", 0), "lines", 0);
  return (guint) (yolo_zones_meta_number (line, "forward", 0)
      + yolo_zones_meta_number (line, "backward", 0));
}

/* The largest number of a track on the buffer. */
static gint
last_track (GstBuffer *buffer, const GstVideoInfo *info)
{
  g_autoptr (GArray) objects = yolo_meta_objects_new ();
  gint last = 0;

  yolo_meta_read (buffer, info, objects);
  for (guint i = 0; i < objects->len; i++)
    last = MAX (last, g_array_index (objects, YoloMetaObject, i).object_id);
  return last;
}

/* Walks through a gap of up to 20 s. Returns: how many frames are missing. */
static guint
leave_out (Crowd *crowd, GstHarness *h, GstClockTime pts, gdouble hour)
{
  const guint n = (guint) g_rand_int_range (crowd->rand, 1, 20 * RATE);

  gst_harness_push_event (h, gst_event_new_gap (pts, n * GST_SECOND / RATE));
  for (guint i = 0; i < n; i++)
    walk (crowd, 1. / RATE, hour, FALSE);
  return n;
}

static void
test_hours (void)
{
  Crowd crowd = { .rand = g_rand_new_with_seed (1) };
  gsize bytes[HOURS + 1] = { 0 }, kilobytes[HOURS + 1] = { 0 };
  guint hours = 0;
  GstVideoInfo info;
  GstHarness *h = start (&info);
  gint last = 0;

  for (guint64 frame = 0; hours < HOURS; frame++) {
    const gdouble hour = (gdouble) frame / (3600 * RATE);
    const GstClockTime pts = frame * GST_SECOND / RATE;
    GstBuffer *out;

    walk (&crowd, 1. / RATE, hour, TRUE);
    g_assert_cmpint (gst_harness_push (h, look (&crowd, &info, pts)), ==, GST_FLOW_OK);
    out = gst_harness_pull (h);
    if (frame % 100 == 0)
      last = MAX (last, last_track (out, &info));
    gst_buffer_unref (out);
    if (g_rand_int_range (crowd.rand, 0, 600 * RATE) == 0)
      frame += leave_out (&crowd, h, pts, hour);
    if (hour >= hours + 1) {
      hours++;
      flush (h);
      drop_events (h);
      bytes[hours] = allocated ();
      kilobytes[hours] = resident ();
      g_test_message ("%u hours: %u people, %zu bytes, %zu kB resident", hours, crowd.n_came,
          bytes[hours], kilobytes[hours]);
    }
  }
  g_test_message ("%u people came, %d tracks; %u crossings, %u counted", crowd.n_came, last,
      crowd.n_crossings, count_crossings (h));
  g_assert_cmpuint (crowd.n_came, >, HOURS * 2000);
  g_assert_cmpint (last, >=, (gint) crowd.n_came * 9 / 10);
  g_assert_cmpuint (count_crossings (h), >=, crowd.n_crossings * 9 / 10);
  g_assert_cmpuint (count_crossings (h), <=, crowd.n_crossings * 11 / 10);

  /* eight hours are 144 thousand frames and as many as 20 thousand people */
  g_assert_cmpuint (bytes[HOURS], <=, bytes[2] + 16 * 1024);
  g_assert_cmpuint (kilobytes[HOURS], <=, kilobytes[2] + 1024);
  gst_harness_teardown (h);
  g_rand_free (crowd.rand);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gst-plugin/crowd/hours", test_hours);
  return g_test_run ();
}
