/* SPDX-License-Identifier: MIT */
/* The time of a core that tracking and counting take for a frame, with its metadata.
 *
 *     GST_PLUGIN_PATH=build/gst-plugin bench-elements [PEOPLE]
 *
 * So many people (100) walk through a frame of 1920x1080 pixels, in which two lines and two zones
 * are, one of them half of the frame. A line each says what it takes to attach the people, as
 * yoloinfer does, what yolotrack and yolozones take, and what it takes to free the buffer. The
 * elements are those of the plugin in the path: two of them can be compared. */

#include "gst-plugin/yolometa.h"
#include "tests/guarded.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FRAMES 2000
#define FRAME (GST_SECOND / 25)
#define CONFIG \
  "{ \"lines\": [ { \"name\": \"a\", \"points\": [[0.1, 0.5], [0.9, 0.5]] }," \
  "               { \"name\": \"b\", \"points\": [[0.5, 0.1], [0.5, 0.9]] } ]," \
  "  \"zones\": [ { \"name\": \"half\", \"points\": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]] }," \
  "               { \"name\": \"third\", \"points\": [[0, 0], [0.3, 0], [0.3, 1], [0, 1]] } ] }"

/* OTHER: what the program itself does */
typedef enum { ATTACH, TRACK, ZONES, FREE, OTHER, N_PARTS } Part;

typedef struct {
  gdouble x, y, vx, vy;
} Person;

static gdouble sums[N_PARTS], before;

/* Adds the milliseconds of this thread since the last call to a part. */
static void
count (Part part)
{
  struct timespec t;
  gdouble now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
  now = 1e3 * (gdouble) t.tv_sec + (gdouble) t.tv_nsec / 1e6;
  sums[part] += now - before;
  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
  before = 1e3 * (gdouble) t.tv_sec + (gdouble) t.tv_nsec / 1e6;
}

static GstFlowReturn
between (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  count (TRACK);
  return gst_pad_push (g_object_get_data (G_OBJECT (pad), "next"), buffer);
}

static GstFlowReturn
behind (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  count (ZONES);
  gst_buffer_unref (buffer);
  count (FREE);
  return GST_FLOW_OK;
}

static GstElement *
make (const gchar *name)
{
  GstElement *element = gst_element_factory_make (name, NULL);

  if (element != NULL)
    return element;
  fprintf (stderr, "bench-elements: there is no %s: set GST_PLUGIN_PATH to the folder of the "
      "plugin\n", name);
  exit (1);
}

/* A pad of our own in front of an element. */
static GstPad *
pad_before (GstElement *element, const GstVideoInfo *info)
{
  GstPad *pad = gst_pad_new ("src", GST_PAD_SRC);
  g_autoptr (GstPad) peer = gst_element_get_static_pad (element, "sink");
  g_autoptr (GstCaps) caps = gst_video_info_to_caps (info);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_set_active (pad, TRUE);
  gst_pad_link (pad, peer);
  gst_pad_push_event (pad, gst_event_new_stream_start ("bench"));
  gst_pad_push_event (pad, gst_event_new_caps (caps));
  gst_pad_push_event (pad, gst_event_new_segment (&segment));
  return pad;
}

/* A pad of our own behind an element. */
static GstPad *
pad_behind (GstElement *element, GstPadChainFunction chain)
{
  GstPad *pad = gst_pad_new ("sink", GST_PAD_SINK);
  g_autoptr (GstPad) peer = gst_element_get_static_pad (element, "src");

  gst_pad_set_chain_function (pad, chain);
  gst_pad_set_active (pad, TRUE);
  gst_pad_link (peer, pad);
  return pad;
}

static void
bounce (gdouble *x, gdouble *v, gdouble limit)
{
  *x += *v;
  if (*x < 0 || *x > limit)
    *v = -*v;
}

static void
run (GstPad *pad, const GstVideoInfo *info, guint n)
{
  const GQuark label = g_quark_from_static_string ("person");
  g_autofree Person *people = g_new (Person, n);
  g_autofree YoloMetaObject *objects = g_new (YoloMetaObject, n);
  Random r = random_new (1);

  for (guint i = 0; i < n; i++)
    people[i] = (Person) { 1880 * random_unit (&r), 980 * random_unit (&r),
      2 * random_normal (&r), random_normal (&r) };
  for (guint f = 0; f < FRAMES; f++) {
    GstBuffer *buffer = gst_buffer_new ();

    GST_BUFFER_PTS (buffer) = f * FRAME;
    for (guint i = 0; i < n; i++) {
      bounce (&people[i].x, &people[i].vx, 1880);
      bounce (&people[i].y, &people[i].vy, 980);
      objects[i] = (YoloMetaObject) { .x = (gfloat) (people[i].x + 3 * random_unit (&r)),
        .y = (gfloat) (people[i].y + 3 * random_unit (&r)), .w = 40, .h = 100,
        .confidence = (gfloat) (.4 + .5 * random_unit (&r)), .label = label, .object_id = -1 };
    }
    count (OTHER);
    yolo_meta_add (buffer, info, objects, n, 0);
    count (ATTACH);
    if (gst_pad_push (pad, buffer) != GST_FLOW_OK)
      exit (1);
  }
}

int
main (int argc, char **argv)
{
  static const gchar *const names[OTHER] = { "attach", "yolotrack", "yolozones", "free" };
  GstElement *track, *zones;
  GstPad *first, *second, *sinks[2];
  GstVideoInfo info;
  gint n;

  gst_init (&argc, &argv);
  n = argc > 1 ? atoi (argv[1]) : 100;
  if (n < 1 || n > 10000) {
    fprintf (stderr, "bench-elements: how many people, 1 to 10000?\n");
    return 1;
  }
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, 1920, 1080);
  GST_VIDEO_INFO_FPS_N (&info) = 25;
  track = make ("yolotrack");
  zones = make ("yolozones");
  g_object_set (zones, "config-text", CONFIG, NULL);
  sinks[0] = pad_behind (track, between);
  sinks[1] = pad_behind (zones, behind);
  gst_element_set_state (track, GST_STATE_PLAYING);
  gst_element_set_state (zones, GST_STATE_PLAYING);
  first = pad_before (track, &info);
  second = pad_before (zones, &info);
  g_object_set_data (G_OBJECT (sinks[0]), "next", second);

  run (first, &info, (guint) n);
  for (guint i = 0; i < OTHER; i++)
    printf ("%-10s %.4f ms a frame\n", names[i], sums[i] / FRAMES);
  printf ("%-10s %.4f ms a frame\n", "elements", (sums[TRACK] + sums[ZONES]) / FRAMES);

  gst_element_set_state (track, GST_STATE_NULL);
  gst_element_set_state (zones, GST_STATE_NULL);
  gst_object_unref (first);
  gst_object_unref (second);
  for (guint i = 0; i < 2; i++)
    gst_object_unref (sinks[i]);
  gst_object_unref (track);
  gst_object_unref (zones);
  return 0;
}
