/* SPDX-License-Identifier: MIT */
/* Pictures that lie on their side or are mirrored, by the tag that says so. */

#include "infer-common.h"

#include <math.h>
#include <string.h>

#define LOW_AUTO LOW, "input-size", "auto"
#define WIDTH 128
#define HEIGHT 64

/* The tag: how a picture becomes upright, flipped first, left and right, and then
 * turned clockwise by quarters. */
static const struct {
  const gchar *tag, *nick;
  gboolean flip;
  guint quarters;
} orientations[] = {
  { "rotate-0", "identity", FALSE, 0 },
  { "rotate-90", "90r", FALSE, 1 },
  { "rotate-180", "180", FALSE, 2 },
  { "rotate-270", "90l", FALSE, 3 },
  { "flip-rotate-0", "horiz", TRUE, 0 },
  { "flip-rotate-90", "ur-ll", TRUE, 1 },
  { "flip-rotate-180", "vert", TRUE, 2 },
  { "flip-rotate-270", "ul-lr", TRUE, 3 },
};

/* Where a rectangle of a frame of width x height lies in the upright picture. */
static void
upright_rect (guint i, gint width, gint height, gfloat *x, gfloat *y, gfloat *w, gfloat *h)
{
  guint q;

  if (orientations[i].flip)
    *x = width - *x - *w;
  for (q = 0; q < orientations[i].quarters; q++) {
    const gfloat old_x = *x, old_w = *w;
    const gint old_width = width;

    *x = height - *y - *h;
    *y = old_x;
    *w = *h;
    *h = old_w;
    width = height;
    height = old_width;
  }
}

static gchar *
caps_of (guint i)
{
  const gboolean turned = orientations[i].quarters % 2;

  return g_strdup_printf ("video/x-raw,format=RGB,width=%d,height=%d,framerate=30/1",
      turned ? HEIGHT : WIDTH, turned ? WIDTH : HEIGHT);
}

/* The picture in a frame that is upright when the orientation is followed. */
static GstBuffer *
make_turned (guint i)
{
  g_autofree gchar *caps = caps_of (i), *upright_caps = caps_of (0);
  GstVideoInfo info, upright_info;
  GstBuffer *upright, *turned;
  GstMapInfo from, to;
  gint x, y;

  make_info (caps, &info);
  make_info (upright_caps, &upright_info);
  upright = make_picture (&upright_info);
  turned = gst_buffer_new_allocate (NULL, GST_VIDEO_INFO_SIZE (&info), NULL);
  GST_BUFFER_PTS (turned) = 0;
  g_assert_true (gst_buffer_map (upright, &from, GST_MAP_READ));
  g_assert_true (gst_buffer_map (turned, &to, GST_MAP_WRITE));
  for (y = 0; y < info.height; y++)
    for (x = 0; x < info.width; x++) {
      gfloat ux = x, uy = y, w = 1, h = 1;

      upright_rect (i, info.width, info.height, &ux, &uy, &w, &h);
      memcpy (to.data + y * info.stride[0] + 3 * x,
          from.data + (gint) uy * upright_info.stride[0] + 3 * (gint) ux, 3);
    }
  gst_buffer_unmap (upright, &from);
  gst_buffer_unmap (turned, &to);
  gst_buffer_unref (upright);
  return turned;
}

static void
push_tag (GstHarness *h, const gchar *tag, GstTagScope scope)
{
  GstTagList *tags = gst_tag_list_new (GST_TAG_IMAGE_ORIENTATION, tag, NULL);

  gst_tag_list_set_scope (tags, scope);
  g_assert_true (gst_harness_push_event (h, gst_event_new_tag (tags)));
}

/* What is found in the frame that is turned; @upright: moved to where it lies in the
 * upright picture. */
static GArray *
infer_turned (GstHarness *h, guint i, gboolean upright)
{
  g_autofree gchar *caps = caps_of (i);
  GstVideoInfo info;
  GArray *found;
  guint k;

  make_info (caps, &info);
  g_assert_cmpint (gst_harness_push (h, make_turned (i)), ==, GST_FLOW_OK);
  found = take_detections (gst_harness_pull (h), &info);
  for (k = 0; upright && k < found->len; k++) {
    YoloMetaObject *o = &g_array_index (found, YoloMetaObject, k);

    upright_rect (i, info.width, info.height, &o->x, &o->y, &o->w, &o->h);
  }
  return found;
}

static GArray *
infer_upright (void)
{
  g_autofree gchar *caps = caps_of (0);
  GstHarness *h = infer_harness (infer_new (LOW_AUTO, NULL), caps);
  GArray *found = infer_turned (h, 0, FALSE);

  g_assert_cmpuint (found->len, >, 3);
  infer_teardown (h);
  return found;
}

static gboolean
are_same (GArray *a, GArray *b)
{
  return a->len == b->len && fabsf (g_array_index (a, YoloMetaObject, 0).confidence
      - g_array_index (b, YoloMetaObject, 0).confidence) < 1e-4;
}

/* By the tag, and without one by the property. */
static void
test_all (void)
{
  g_autoptr (GArray) expected = infer_upright ();
  guint i, by_tag;

  for (i = 0; i < G_N_ELEMENTS (orientations); i++)
    for (by_tag = 0; by_tag < 2; by_tag++) {
      g_autofree gchar *caps = caps_of (i);
      GstHarness *h = infer_harness (
          infer_new (LOW_AUTO, "orientation", by_tag ? "auto" : orientations[i].nick, NULL), caps);
      g_autoptr (GArray) found = NULL;
      GstStructure *stats;

      g_test_message ("%s", orientations[i].tag);
      if (by_tag)
        push_tag (h, orientations[i].tag, GST_TAG_SCOPE_STREAM);
      found = infer_turned (h, i, TRUE);
      g_assert_cmpuint (assert_same_detections (expected, found, 0, 0, 0.02, 1e-4), >, 3);
      /* the size has the shape of the upright picture */
      g_object_get (h->element, "stats", &stats, NULL);
      g_assert_cmpstr (gst_structure_get_string (stats, "input-size"), ==, "64x32");
      gst_structure_free (stats);
      infer_teardown (h);
    }
}

/* The roi is in the frame's own pixels. */
static void
test_roi (void)
{
  static const gint part[4] = { 16, 8, 90, 48 };        /* of the upright picture */
  g_autoptr (GArray) expected = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (orientations); i++) {
    g_autofree gchar *caps = caps_of (i), *roi = NULL;
    GstHarness *h =
        infer_harness (infer_new (LOW_AUTO, "orientation", orientations[i].nick, NULL), caps);
    g_autoptr (GArray) found = NULL;
    GstVideoInfo info;
    gint x, y;

    make_info (caps, &info);
    for (y = 0; y < info.height && roi == NULL; y++)
      for (x = 0; x < info.width && roi == NULL; x++) {
        const gboolean turned = orientations[i].quarters % 2;
        gfloat v[4] = { x, y, turned ? part[3] : part[2], turned ? part[2] : part[3] };

        upright_rect (i, info.width, info.height, &v[0], &v[1], &v[2], &v[3]);
        if (v[0] == part[0] && v[1] == part[1])
          roi = g_strdup_printf (
              "%d,%d,%d,%d", x, y, turned ? part[3] : part[2], turned ? part[2] : part[3]);
      }
    g_assert_nonnull (roi);
    g_object_set (h->element, "roi", roi, NULL);
    found = infer_turned (h, i, TRUE);
    if (i == 0)
      expected = g_steal_pointer (&found);
    else
      g_assert_cmpuint (assert_same_detections (expected, found, 0, 0, 0.02, 1e-4), >, 3);
    infer_teardown (h);
  }
}

/* What a stream's own tag says wins over its container's, a new stream forgets
 * both, and the property wins over all. */
static void
test_tags (void)
{
  const guint right = 1;
  g_autoptr (GArray) upright = infer_upright ();
  g_autofree gchar *caps = caps_of (right);
  GstHarness *h = infer_harness (infer_new (LOW_AUTO, NULL), caps);
  g_autoptr (GArray) plain = infer_turned (h, right, TRUE), found = NULL;

  g_assert_false (are_same (plain, upright));
  push_tag (h, orientations[right].tag, GST_TAG_SCOPE_GLOBAL);
  found = infer_turned (h, right, TRUE);
  g_assert_true (are_same (found, upright));

  push_tag (h, "rotate-0", GST_TAG_SCOPE_STREAM);
  g_array_unref (found);
  found = infer_turned (h, right, TRUE);
  g_assert_true (are_same (found, plain));

  push_tag (h, orientations[right].tag, GST_TAG_SCOPE_STREAM);
  push_tag (h, "rotate-0", GST_TAG_SCOPE_GLOBAL);
  g_array_unref (found);
  found = infer_turned (h, right, TRUE);
  g_assert_true (are_same (found, upright));

  g_object_set (h->element, "orientation", GST_VIDEO_ORIENTATION_IDENTITY, NULL);
  g_array_unref (found);
  found = infer_turned (h, right, TRUE);
  g_assert_true (are_same (found, plain));
  g_object_set (h->element, "orientation", GST_VIDEO_ORIENTATION_AUTO, NULL);

  g_assert_true (gst_harness_push_event (h, gst_event_new_stream_start ("another")));
  g_array_unref (found);
  found = infer_turned (h, right, TRUE);
  g_assert_true (are_same (found, plain));
  infer_teardown (h);
}

static void
keep_detections (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer user_data)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  GArray **found = user_data;
  GstVideoInfo info;

  g_assert_true (gst_video_info_from_caps (&info, caps));
  *found = take_detections (gst_buffer_ref (buffer), &info);
}

static GArray *
run_pipeline (const gchar *before)
{
  g_autofree gchar
      *model = data_path (MODEL),
      *text = g_strdup_printf (
          "videotestsrc num-buffers=1 ! "
          "video/x-raw,format=RGB,width=128,height=64 ! %s ! yoloinfer model-file=\"%s\" "
          "input-size=auto "
          "confidence-threshold=0.01 max-detections=50 ! fakesink name=sink signal-handoffs=true",
          before, model);
  g_autoptr (GError) error = NULL;
  GstElement *pipeline = gst_parse_launch (text, &error), *sink;
  GstMessage *message;
  GArray *found = NULL;

  g_assert_no_error (error);
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_signal_connect (sink, "handoff", G_CALLBACK (keep_detections), &found);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (
      GST_ELEMENT_BUS (pipeline), 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (sink);
  gst_object_unref (pipeline);
  g_assert_nonnull (found);
  return found;
}

/* The tag of frames that an element upstream has turned already, in a bin and behind a
 * queue, is not followed. */
static void
test_turned_before (void)
{
  static const gchar *const elements[] = { "videotestsrc", "taginject", "videoflip", NULL };
  g_autoptr (GArray) expected = NULL, found = NULL;
  guint i;

  for (i = 0; elements[i]; i++) {
    g_autoptr (GstElementFactory) factory = gst_element_factory_find (elements[i]);

    if (factory == NULL) {
      g_test_skip ("needs videotestsrc, taginject and videoflip");
      return;
    }
  }
  expected = run_pipeline ("videoflip video-direction=90r");
  found = run_pipeline ("taginject tags=\"image-orientation=rotate-90\" ! ( videoflip "
                        "video-direction=auto ! queue )");
  g_assert_cmpuint (assert_same_detections (expected, found, 0, 0, 0.02, 1e-4), >, 3);
  /* an element that does not turn frames leaves the tag valid */
  g_array_unref (found);
  found = run_pipeline ("taginject tags=\"image-orientation=rotate-90\" ! videoflip");
  g_assert_true (are_same (expected, found));
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/orientation/all", test_all);
  g_test_add_func ("/orientation/roi", test_roi);
  g_test_add_func ("/orientation/tags", test_tags);
  g_test_add_func ("/orientation/turned-before", test_turned_before);
  return g_test_run ();
}
