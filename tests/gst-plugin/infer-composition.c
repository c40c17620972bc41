/* SPDX-License-Identifier: MIT */
/* Small objects in a 4K frame: photographs of which is known what they show, scaled down and put
 * in places of a grey frame, and one that the borders of tiles cut. Skips without the folder
 * ../shared. With YOLO_TEST_PICTURES=FOLDER in the environment, the frame is kept there, drawn
 * on. */

#include "infer-common.h"

#include <gst/app/gstappsink.h>
#include <math.h>
#include <string.h>

#define WIDTH 3840
#define HEIGHT 2160

/* Where a photograph lies in the frame. */
typedef struct {
  const gchar *file;
  gint width, height;           /* of the photograph in the frame, pixels */
  gint x, y;
} Photograph;

/* With tiles=3x2 and an overlap of a fifth, tiles meet at x 1181 to 1477 and 2363 to 2658, and at
 * y 960 to 1200. */
static const Photograph photographs[] = {
  { "bus.jpg", 162, 216, 100, 100 }, { "bus.jpg", 162, 216, 1250, 300 },
  { "zidane.jpg", 256, 144, 2500, 1000 }, { "bus.jpg", 203, 270, 3500, 1800 },
  { "bus.jpg", 162, 216, 700, 1000 }, { "zidane.jpg", 320, 180, 300, 1800 },
  { "bus.jpg", 810, 1080, 1560, 540 },
};

/* A file of the shared material; free with g_free(). */
static gchar *
shared (const gchar *name)
{
  const gchar *folder = g_getenv ("YOLO_SHARED");

  return g_build_filename (folder ? folder : SOURCE_ROOT "/../shared", name, NULL);
}

static GstHarness *
harness (const gchar *tiles, gint width, gint height)
{
  g_autofree gchar *caps = g_strdup_printf (
      "video/x-raw,format=RGB,width=%d,height=%d,framerate=1/1", width, height);
  g_autofree gchar *model = shared ("models/yolov8n.onnx");

  return infer_harness (
      infer_new ("model-file", model, "precision", "fp32", "tiles", tiles, NULL), caps);
}

static GArray *
find (GstHarness *h, GstBuffer *buffer, gint width, gint height)
{
  GstVideoInfo info;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, width, height);
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  return take_detections (gst_harness_pull (h), &info);
}

/* A photograph in that size, RGB; NULL: there is no decoder, or no such file. */
static GstSample *
load (const gchar *file, gint width, gint height)
{
  g_autofree gchar *folder = shared ("images");
  g_autofree gchar *line = g_strdup_printf ("filesrc location=\"%s/%s\" ! jpegdec ! "
      "videoconvert ! videoscale method=lanczos ! video/x-raw,format=RGB,width=%d,height=%d,"
      "pixel-aspect-ratio=1/1 ! appsink name=sink", folder, file, width, height);
  GstElement *pipeline = gst_parse_launch (line, NULL), *sink;
  GstSample *sample = NULL;

  if (pipeline == NULL)
    return NULL;
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  if (sink != NULL && gst_element_set_state (pipeline, GST_STATE_PLAYING)
      != GST_STATE_CHANGE_FAILURE)
    sample = gst_app_sink_try_pull_sample (GST_APP_SINK (sink), 20 * GST_SECOND);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_clear_object (&sink);
  gst_object_unref (pipeline);
  return sample;
}

/* Puts the photograph into the frame, and appends to @truth what is seen in it at its full size. */
static gboolean
place (const Photograph *photograph, GstVideoFrame *frame, GArray *truth)
{
  const gboolean bus = strcmp (photograph->file, "bus.jpg") == 0;
  const gint full_width = bus ? 810 : 1280, full_height = bus ? 1080 : 720;
  const gfloat scale = (gfloat) photograph->width / full_width;
  GstSample *sample = load (photograph->file, photograph->width, photograph->height),
            *full = load (photograph->file, full_width, full_height);
  GstVideoFrame from;
  GstVideoInfo info;
  GstHarness *h;
  g_autoptr (GArray) found = NULL;
  guint i;

  if (sample == NULL || full == NULL) {
    g_clear_pointer (&sample, gst_sample_unref);
    g_clear_pointer (&full, gst_sample_unref);
    return FALSE;
  }
  g_assert_true (gst_video_info_from_caps (&info, gst_sample_get_caps (sample)));
  g_assert_true (gst_video_frame_map (&from, &info, gst_sample_get_buffer (sample), GST_MAP_READ));
  for (gint y = 0; y < photograph->height; y++)
    memcpy ((guint8 *) frame->data[0] + (gsize) (photograph->y + y) * frame->info.stride[0]
        + 3 * photograph->x, (guint8 *) from.data[0] + (gsize) y * from.info.stride[0],
        3 * (gsize) photograph->width);
  gst_video_frame_unmap (&from);

  h = harness ("1x1", full_width, full_height);
  found = find (h, gst_buffer_copy_deep (gst_sample_get_buffer (full)), full_width, full_height);
  for (i = 0; i < found->len; i++) {
    YoloMetaObject object = g_array_index (found, YoloMetaObject, i);

    object.x = photograph->x + object.x * scale;
    object.y = photograph->y + object.y * scale;
    object.w *= scale;
    object.h *= scale;
    g_array_append_val (truth, object);
  }
  infer_teardown (h);
  gst_sample_unref (sample);
  gst_sample_unref (full);
  return TRUE;
}

static gdouble
iou (const YoloMetaObject *a, const YoloMetaObject *b)
{
  const gdouble w = MIN (a->x + a->w, b->x + b->w) - MAX (a->x, b->x),
      h = MIN (a->y + a->h, b->y + b->h) - MAX (a->y, b->y);
  const gdouble both = MAX (w, 0) * MAX (h, 0);

  return both / ((gdouble) a->w * a->h + (gdouble) b->w * b->h - both);
}

/* The object of @objects from number @first on that @object is, which has its class and a box near
 * to its; NULL: there is none. */
static const YoloMetaObject *
twin_of (const YoloMetaObject *object, GArray *objects, guint first, gdouble near)
{
  guint i;

  for (i = first; i < objects->len; i++) {
    const YoloMetaObject *other = &g_array_index (objects, YoloMetaObject, i);

    if (other->label == object->label && iou (object, other) > near)
      return other;
  }
  return NULL;
}

typedef struct {
  guint clear, found;           /* what is clear in the photographs; how much of it is found */
  guint again;                  /* what non-maximum suppression should have dropped */
  guint besides;                /* what is not to be seen in the photographs */
} Score;

static Score
score (GArray *truth, GArray *found)
{
  Score result = { 0 };
  guint i;

  for (i = 0; i < truth->len; i++) {
    const YoloMetaObject *object = &g_array_index (truth, YoloMetaObject, i);

    if (object->confidence < .5f)
      continue;
    result.clear++;
    result.found += twin_of (object, found, 0, .5) != NULL;
  }
  for (i = 0; i < found->len; i++) {
    const YoloMetaObject *object = &g_array_index (found, YoloMetaObject, i);

    result.again += twin_of (object, found, i + 1, .7) != NULL;
    result.besides += twin_of (object, truth, 0, .5) == NULL;
  }
  return result;
}

/* To look at. */
static void
keep_picture (const gchar *name, GstBuffer *frame, GArray *found)
{
  const gchar *folder = g_getenv ("YOLO_TEST_PICTURES");
  g_autofree gchar *path = NULL, *head = NULL;
  g_autoptr (GByteArray) ppm = NULL;
  GstHarness *h;
  GstBuffer *drawn;
  GstVideoInfo info;
  GstMapInfo map;

  if (folder == NULL)
    return;
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, WIDTH, HEIGHT);
  drawn = gst_buffer_copy_deep (frame);
  yolo_meta_add (drawn, &info, (const YoloMetaObject *) found->data, found->len, 0);
  h = gst_harness_new ("yolooverlay");
  gst_harness_set_src_caps (h, gst_video_info_to_caps (&info));
  drawn = gst_harness_push_and_pull (h, drawn);
  head = g_strdup_printf ("P6\n%d %d\n255\n", WIDTH, HEIGHT);
  ppm = g_byte_array_new ();
  g_byte_array_append (ppm, (const guint8 *) head, (guint) strlen (head));
  g_assert_true (gst_buffer_map (drawn, &map, GST_MAP_READ));
  g_byte_array_append (ppm, map.data, (guint) map.size);
  gst_buffer_unmap (drawn, &map);
  gst_buffer_unref (drawn);
  path = g_strdup_printf ("%s/%s.ppm", folder, name);
  g_assert_true (g_file_set_contents (path, (const gchar *) ppm->data, ppm->len, NULL));
  gst_harness_teardown (h);
}

static void
test_composition (void)
{
  static const gchar *const tiles[] = { "1x1", "3x2" };
  g_autoptr (GArray) truth = yolo_meta_objects_new ();
  GstBuffer *frame = gst_buffer_new_and_alloc (3 * WIDTH * HEIGHT);
  GstVideoInfo info;
  GstVideoFrame mapped;
  Score scores[G_N_ELEMENTS (tiles)];
  guint i;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, WIDTH, HEIGHT);
  gst_buffer_memset (frame, 0, 114, 3 * WIDTH * HEIGHT);
  g_assert_true (gst_video_frame_map (&mapped, &info, frame, GST_MAP_WRITE));
  for (i = 0; i < G_N_ELEMENTS (photographs); i++)
    if (!place (&photographs[i], &mapped, truth)) {
      gst_video_frame_unmap (&mapped);
      gst_buffer_unref (frame);
      g_test_skip ("needs jpegdec, of gst-plugins-good, and ../shared/images");
      return;
    }
  gst_video_frame_unmap (&mapped);

  for (i = 0; i < G_N_ELEMENTS (tiles); i++) {
    GstHarness *h = harness (tiles[i], WIDTH, HEIGHT);
    g_autoptr (GArray) found = find (h, gst_buffer_ref (frame), WIDTH, HEIGHT);

    scores[i] = score (truth, found);
    g_test_message ("tiles=%s: %u of %u objects, %u again, %u besides", tiles[i],
        scores[i].found, scores[i].clear, scores[i].again, scores[i].besides);
    keep_picture (tiles[i], frame, found);
    infer_teardown (h);
  }
  gst_buffer_unref (frame);
  g_assert_cmpuint (scores[1].clear, >=, 20);
  /* in tiles, small objects are found, and nothing is found twice; what is besides are buses of 30
   * pixels that are trains as well */
  g_assert_cmpuint (10 * scores[1].found, >=, 8 * scores[1].clear);
  g_assert_cmpuint (3 * scores[0].found, <=, scores[1].found);
  g_assert_cmpuint (scores[1].again, ==, 0);
  g_assert_cmpuint (scores[1].besides, <=, scores[1].clear / 2);
}

int
main (int argc, char **argv)
{
  g_autofree gchar *model = shared ("models/yolov8n.onnx"), *photograph = shared ("images/bus.jpg");

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  if (!g_file_test (model, G_FILE_TEST_EXISTS) || !g_file_test (photograph, G_FILE_TEST_EXISTS)) {
    g_print ("1..0 # SKIP needs ../shared/models/yolov8n.onnx and ../shared/images\n");
    return 0;
  }
  g_test_add_func ("/yoloinfer/composition", test_composition);
  return g_test_run ();
}
