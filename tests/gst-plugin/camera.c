/* SPDX-License-Identifier: MIT */
/* yolotrack with camera-motion: a wall of rectangles on which a few objects stand still, seen by a
 * camera that is shaken, so that no filter knows where they will be. */

#include "infer-common.h"

#include "gst-plugin/yolofollow.h"
#include "gst-plugin/yoloshape.h"

#include <math.h>
#include <string.h>

#define FRAME (GST_SECOND / 25)
#define CAPS "video/x-raw, format=%s, width=640, height=360, framerate=25/1"

enum { WALL_WIDTH = 1200, WALL_HEIGHT = 800, WIDTH = 640, HEIGHT = 360, N = 4 };

/* A bus that fills most of the frame, pixels. */
enum { BUS_WIDTH = 480, BUS_TOP = 50, BUS_HEIGHT = 300 };

/* On the wall, pixels: an object is 24 x 40. */
static const gint places[N][2] = { { 400, 300 }, { 470, 420 }, { 620, 310 }, { 700, 450 } };

typedef struct {
  GstHarness *h;
  GstVideoInfo info;
  GArray *objects;              /* YoloMetaObject: of the last frame that came out */
  guint8 *wall;                 /* [WALL_HEIGHT][WALL_WIDTH] */
  gint x, y;                    /* where on the wall the last frame begins */
  guint n;                      /* frames so far */
  gint bus;                     /* pixels; where in the frame a bus begins; 0: there is none */
} Test;

static guint8 *
wall_new (void)
{
  guint8 *wall = g_malloc (WALL_WIDTH * WALL_HEIGHT);
  GRand *rand = g_rand_new_with_seed (11);

  memset (wall, 128, WALL_WIDTH * WALL_HEIGHT);
  for (guint k = 0; k < 1500; k++) {
    const gint x = g_rand_int_range (rand, 0, WALL_WIDTH - 60);
    const gint y = g_rand_int_range (rand, 0, WALL_HEIGHT - 60);
    const gint w = g_rand_int_range (rand, 8, 60), h = g_rand_int_range (rand, 8, 60);
    const gint level = g_rand_int_range (rand, 40, 216);

    for (gint row = y; row < y + h; row++)
      memset (wall + row * WALL_WIDTH + x, level, (gsize) w);
  }
  g_rand_free (rand);
  return wall;
}

static Test
test_new (const gchar *properties, const gchar *format)
{
  Test test = { .objects = yolo_meta_objects_new (), .wall = wall_new () };
  g_autofree gchar *line = g_strdup_printf ("yolotrack %s", properties);
  g_autofree gchar *caps = g_strdup_printf (CAPS, format);
  GstElement *track = gst_parse_launch_full (line, NULL, GST_PARSE_FLAG_NO_SINGLE_ELEMENT_BINS,
      NULL);
  GstBus *bus = gst_bus_new ();

  gst_element_set_bus (track, bus);
  g_object_set_data_full (G_OBJECT (track), "bus", bus, gst_object_unref);
  test.h = infer_harness (track, caps);
  make_info (caps, &test.info);
  return test;
}

static void
test_end (Test *test)
{
  infer_teardown (test->h);
  g_array_unref (test->objects);
  g_free (test->wall);
}

/* How the camera is shaken: the frame's place on the wall. */
static void
shake (Test *test)
{
  static const gint way[][2] = { { 0, 0 }, { 30, -14 }, { -25, 20 }, { 38, 25 }, { -30, -12 },
    { 5, 30 }, { -38, -20 }, { 26, 16 } };

  test->x = 240 + way[test->n % G_N_ELEMENTS (way)][0];
  test->y = 220 + way[test->n % G_N_ELEMENTS (way)][1];
}

/* What the camera sees, in the caps' format; @cropped: in the midst of a larger picture, most of
 * which stands still. */
static GstBuffer *
picture_new (const Test *test, gboolean cropped)
{
  const gint left = cropped ? 280 : 0, top = cropped ? 220 : 0;
  GstVideoInfo gray, whole;
  GstBuffer *buffer, *converted;
  GstVideoConverter *converter;
  GstVideoFrame frame, to;

  gst_video_info_set_format (&gray, GST_VIDEO_FORMAT_GRAY8, WIDTH + 2 * left, HEIGHT + 2 * top);
  whole = test->info;
  gst_video_info_set_format (&whole, GST_VIDEO_INFO_FORMAT (&test->info), gray.width, gray.height);
  buffer = gst_buffer_new_and_alloc (gray.size);
  g_assert_true (gst_video_frame_map (&frame, &gray, buffer, GST_MAP_WRITE));
  for (gint y = 0; y < gray.height; y++) {
    guint8 *row = (guint8 *) frame.data[0] + y * gray.stride[0];

    if (cropped)
      memcpy (row, test->wall + y * WALL_WIDTH, (gsize) gray.width);
    if (y >= top && y < top + HEIGHT)
      memcpy (row + left, test->wall + (test->y + y - top) * WALL_WIDTH + test->x, WIDTH);
    if (test->bus > 0 && y >= BUS_TOP && y < BUS_TOP + BUS_HEIGHT)
      memcpy (row + test->bus, test->wall + y * WALL_WIDTH, BUS_WIDTH);
  }
  gst_video_frame_unmap (&frame);

  converted = gst_buffer_new_and_alloc (whole.size);
  converter = gst_video_converter_new (&gray, &whole, NULL);
  g_assert_true (gst_video_frame_map (&frame, &gray, buffer, GST_MAP_READ));
  g_assert_true (gst_video_frame_map (&to, &whole, converted, GST_MAP_WRITE));
  gst_video_converter_frame (converter, &frame, &to);
  gst_video_frame_unmap (&frame);
  gst_video_frame_unmap (&to);
  gst_video_converter_free (converter);
  gst_buffer_unref (buffer);
  if (cropped) {
    GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta (converted);

    gst_buffer_add_video_meta_full (converted, GST_VIDEO_FRAME_FLAG_NONE,
        GST_VIDEO_INFO_FORMAT (&whole), whole.width, whole.height, whole.finfo->n_planes,
        whole.offset, whole.stride);
    crop->x = (guint) left;
    crop->y = (guint) top;
    crop->width = WIDTH;
    crop->height = HEIGHT;
  }
  return converted;
}

/* Takes a buffer in, and reads what comes out. */
static void
push (Test *test, GstBuffer *buffer)
{
  GST_BUFFER_PTS (buffer) = test->n * FRAME;
  test->n++;
  g_assert_cmpint (gst_harness_push (test->h, buffer), ==, GST_FLOW_OK);
  buffer = gst_harness_pull (test->h);
  yolo_meta_read (buffer, &test->info, test->objects);
  gst_buffer_unref (buffer);
}

/* The objects where the camera sees them. */
static void
add_objects (const Test *test, GstBuffer *buffer, guint slot)
{
  for (guint i = 0; i < N; i++) {
    const YoloMetaObject object = {
      .x = (gfloat) (places[i][0] - test->x), .y = (gfloat) (places[i][1] - test->y),
      .w = 24, .h = 40, .confidence = .8f, .label_id = 0,
      .label = g_quark_from_static_string ("person"), .object_id = -1, .slot = slot,
    };

    yolo_meta_add (buffer, &test->info, &object, 1, 3);
  }
}

/* The next frame. @inferred: whether somebody has looked for the objects in it */
static void
push_frame (Test *test, gboolean inferred, gboolean cropped)
{
  GstBuffer *buffer;

  shake (test);
  buffer = picture_new (test, cropped);
  if (inferred)
    add_objects (test, buffer, 0);
  yolo_follow_note (buffer, &test->info, NULL, inferred, 5);
  push (test, buffer);
}

/* How far the objects with the numbers 1 to N are from where they should be, at most; 1000: one is
 * missing. */
static gdouble
farthest (const Test *test)
{
  gdouble most = 0;

  for (guint k = 0; k < N; k++) {
    gdouble far = 1000;

    for (guint i = 0; i < test->objects->len; i++) {
      const YoloMetaObject *object = &g_array_index (test->objects, YoloMetaObject, i);

      if (object->object_id == (gint) k + 1)
        far = hypot (object->x - (gdouble) (places[k][0] - test->x),
            object->y - (gdouble) (places[k][1] - test->y));
    }
    most = MAX (most, far);
  }
  return most;
}

/* Frames of any kind: numbers stay with camera-motion, and not without. */
static void
test_numbers (void)
{
  static const struct {
    const gchar *properties, *format;
    gboolean cropped, stays;
  } rows[] = {
    { "camera-motion=true", "NV12", FALSE, TRUE },
    { "camera-motion=true", "RGB", TRUE, TRUE },
    { "camera-motion=true", "NV12", TRUE, TRUE },
    { "camera-motion=true", "v210", FALSE, TRUE },
    { "camera-motion=true tracker=botsort", "YUY2", FALSE, TRUE },
    { "camera-motion=true published=true", "GRAY8", FALSE, TRUE },
    { "camera-motion=true tracker=ocsort", "NV12", FALSE, FALSE },
    { "", "NV12", FALSE, FALSE },
    { "tracker=botsort", "NV12", FALSE, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    Test test = test_new (rows[i].properties, rows[i].format);
    gdouble most = 0;

    for (guint k = 0; k < 16; k++) {
      push_frame (&test, TRUE, rows[i].cropped);
      most = MAX (most, farthest (&test));
    }
    g_test_message ("%s %s: %.2f px", rows[i].properties, rows[i].format, most);
    if (rows[i].stays)
      g_assert_cmpfloat (most, <, 1);
    else
      g_assert_cmpfloat (most, ==, 1000);
    assert_no_message (test.h->element, GST_MESSAGE_WARNING);
    test_end (&test);
  }
}

/* Frames that inference-interval skips move the camera, and the predicted boxes with it. */
static void
test_skipped (void)
{
  for (guint moves = 0; moves < 2; moves++) {
    Test test = test_new (moves ? "camera-motion=true" : "", "NV12");
    gdouble most = 0;

    for (guint k = 0; k < 16; k++) {
      push_frame (&test, k % 3 == 0, FALSE);
      most = MAX (most, farthest (&test));
    }
    g_test_message ("%.2f px", most);
    if (moves)
      g_assert_cmpfloat (most, <, 2);
    else
      g_assert_cmpfloat (most, >, 20);
    test_end (&test);
  }
}

/* Set while playing it counts from the frame after the next on, and until it is taken back. */
static void
test_changes (void)
{
  Test test = test_new ("", "NV12");

  push_frame (&test, TRUE, FALSE);
  g_object_set (test.h->element, "camera-motion", TRUE, NULL);
  push_frame (&test, FALSE, FALSE);     /* the frame before was not looked at */
  g_assert_cmpfloat (farthest (&test), >, 20);
  push_frame (&test, TRUE, FALSE);
  g_object_set (test.h->element, "camera-motion", FALSE, NULL);
  push_frame (&test, FALSE, FALSE);
  g_assert_cmpfloat (farthest (&test), >, 20);
  test_end (&test);
}

/* What moves in an object's box is not taken for the camera's motion, even if it fills most of the
 * frame. A class of all of the frame is no such object. */
static void
test_bus (void)
{
  const YoloShape head = { .flags = YOLO_SHAPE_WHOLE };
  YoloMetaObject objects[3] = {
    { .x = 600, .y = 10, .w = 24, .h = 30, .confidence = .8f, .label_id = 0, .object_id = -1 },
    { .y = BUS_TOP, .w = BUS_WIDTH, .h = BUS_HEIGHT, .confidence = .8f, .label_id = 1,
        .object_id = -1 },
    { .w = WIDTH, .h = HEIGHT, .confidence = .8f, .label_id = 2, .object_id = -1 },
  };
  Test test = test_new ("camera-motion=true attach-lost=true", "GRAY8");
  gfloat *points;
  gint16 *cells;
  guint n = 0;

  objects[2].shape = yolo_shape_take (yolo_shape_allocate (&head, &points, &cells));
  for (guint k = 0; k < 12; k++) {
    GstBuffer *buffer;

    /* all is shifted by 3 pixels a frame, and the bus by 11 */
    test.x = 240 - 3 * (gint) k;
    test.y = 220;
    objects[0].x = 560 + 3 * (gfloat) k;
    test.bus = 10 + 11 * (gint) k;
    objects[1].x = (gfloat) test.bus;
    buffer = picture_new (&test, FALSE);
    /* The person is seen once, and then moved by nothing but the camera. */
    yolo_meta_add (buffer, &test.info, objects + (k > 0), k > 0 ? 2 : 3, 3);
    push (&test, buffer);
    for (guint i = 0; i < test.objects->len; i++) {
      const YoloMetaObject *object = &g_array_index (test.objects, YoloMetaObject, i);

      if (object->object_id != 1)
        continue;
      g_assert_cmpfloat_with_epsilon (object->x, objects[0].x, 2);
      g_assert_cmpfloat_with_epsilon (object->y, objects[0].y, 2);
      n++;
    }
  }
  g_assert_cmpuint (n, ==, 12);
  g_bytes_unref (objects[2].shape);
  test_end (&test);
}

static void
check_warning (Test *test, const gchar *part)
{
  check_message (test->h->element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS, part);
  assert_no_message (test->h->element, GST_MESSAGE_WARNING);
}

/* Where frames cannot be looked at, it says so once, and tracks as without. */
static void
test_unreadable (void)
{
  static const struct {
    const gchar *caps, *part;
    guint slot;
  } rows[] = {
    { "video/x-raw(memory:GLMemory), format=RGBA, width=640, height=360", "in this memory", 0 },
    { "video/x-raw(memory:NVMM), format=NV12, width=640, height=360", "no NVMM surface", 0 },
    { "video/x-raw, format=NV12, width=640, height=360", "several streams", 2 },
    { "video/x-raw, format=NV12, width=640, height=360", "cannot be mapped", 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    Test test = test_new ("camera-motion=true", "NV12");

    gst_harness_set_src_caps_str (test.h, rows[i].caps);
    make_info (rows[i].caps, &test.info);
    test.x = 240;
    test.y = 220;
    for (guint k = 0; k < 3; k++) {
      GstBuffer *buffer = gst_buffer_new_and_alloc (16);

      add_objects (&test, buffer, rows[i].slot);
      push (&test, buffer);
      g_assert_cmpfloat (farthest (&test), <, 1);
    }
    check_warning (&test, rows[i].part);
    test_end (&test);
  }
}

/* Empty buffers for a gap are no frames; the way over them is found. */
static void
test_gap (void)
{
  Test test = test_new ("camera-motion=true", "NV12");

  for (guint k = 0; k < 9; k++) {
    if (k % 3 == 1) {
      GstBuffer *gap = gst_buffer_new ();

      GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
      push (&test, gap);
      continue;
    }
    push_frame (&test, TRUE, FALSE);
    g_assert_cmpfloat (farthest (&test), <, 1);
  }
  assert_no_message (test.h->element, GST_MESSAGE_WARNING);
  test_end (&test);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gst-plugin/camera/numbers", test_numbers);
  g_test_add_func ("/gst-plugin/camera/skipped", test_skipped);
  g_test_add_func ("/gst-plugin/camera/changes", test_changes);
  g_test_add_func ("/gst-plugin/camera/bus", test_bus);
  g_test_add_func ("/gst-plugin/camera/unreadable", test_unreadable);
  g_test_add_func ("/gst-plugin/camera/gap", test_gap);
  return g_test_run ();
}
