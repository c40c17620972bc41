/* SPDX-License-Identifier: MIT */
/* yoloinfer on the objects that an earlier element has attached. */

#include "infer-common.h"

#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolotracks.h"

#include <math.h>
#include <string.h>

#define CLASSIFIER "micro-classify.onnx"
#define SQUARE "32"             /* its own input is a rectangle */

/* yoloinfer with a model of tests/data that looks at objects. */
static GstHarness *
objects_harness (const gchar *model, const gchar *property, const gchar *value)
{
  g_autofree gchar *path = data_path (model);
  GstElement *element =
      infer_new (LOW, "model-file", path, "inference-region", "roi-list", property, value, NULL);

  if (strcmp (model, CLASSIFIER) == 0)
    g_object_set (element, "input-size", SQUARE, NULL);
  return infer_harness (element, SMALL);
}

static YoloMetaObject
object (const gchar *label, gfloat x, gfloat y, gfloat w, gfloat h, gint track)
{
  return (YoloMetaObject) { .x = x, .y = y, .w = w, .h = h, .confidence = .5f, .label_id = 0,
    .label = g_quark_from_string (label), .object_id = track };
}

/* What is on a picture behind the element, onto which the objects are put in front of it. */
static GArray *
push_objects (GstHarness *h, const YoloMetaObject *objects, guint n)
{
  GstVideoInfo info;
  GstBuffer *buffer;

  make_info (SMALL, &info);
  buffer = make_picture (&info);
  if (n > 0)
    yolo_meta_add (buffer, &info, objects, n, 0);
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  return take_detections (gst_harness_pull (h), &info);
}

static const YoloClass *
class_of (GArray *found, guint i)
{
  guint n;
  const YoloClass *class =
      yolo_classes_get (g_array_index (found, YoloMetaObject, i).classes, &n);

  g_assert_cmpuint (n, <=, 1);
  return class;
}

/* The best class of a part of the picture that is a frame of its own. */
static YoloMetaObject
class_of_part (gint x, gint y, gint w, gint h)
{
  g_autofree gchar *path = data_path (CLASSIFIER), *caps = g_strdup_printf (
      "video/x-raw,format=RGB,width=%d,height=%d,framerate=30/1", w, h);
  GstHarness *harness = infer_harness (
      infer_new (LOW, "model-file", path, "input-size", SQUARE, NULL), caps);
  g_autoptr (GArray) found = NULL;
  GstVideoInfo whole, part;
  GstBuffer *frame;

  make_info (SMALL, &whole);
  make_info (caps, &part);
  frame = make_picture (&whole);
  gst_harness_push (harness, crop_picture (frame, &whole, &part, x, y));
  gst_buffer_unref (frame);
  found = take_detections (gst_harness_pull (harness), &part);
  g_assert_cmpuint (found->len, >, 0);
  infer_teardown (harness);
  return g_array_index (found, YoloMetaObject, 0);
}

static void
assert_class (const YoloClass *class, YoloMetaObject expected)
{
  g_assert_nonnull (class);
  g_assert_cmpint (class->label_id, ==, expected.label_id);
  g_assert_cmpstr (g_quark_to_string (class->label), ==, g_quark_to_string (expected.label));
  g_assert_cmpfloat_with_epsilon (class->confidence, expected.confidence, 1e-5);
  g_assert_cmpstr (g_quark_to_string (class->model), ==, "micro-classify");
}

/* The network sees of each object what it would see of a frame of these pixels. */
static void
test_classes (void)
{
  const YoloMetaObject objects[] = {
    object ("car", 16, 8, 40, 40, -1), object ("person", 70, 20, 30, 30, -1),
    object ("truck", 60, 40, 50, 50, -1),
  };
  GstHarness *h = objects_harness (CLASSIFIER, "object-class", "truck,\"car\"");
  g_autoptr (GArray) found = push_objects (h, objects, 3);

  g_assert_cmpuint (found->len, ==, 3);
  assert_class (class_of (found, 0), class_of_part (16, 8, 40, 40));
  g_assert_null (class_of (found, 1));
  assert_class (class_of (found, 2), class_of_part (60, 40, 50, 50));
  g_assert_cmpfloat (class_of (found, 0)->confidence, !=, class_of (found, 2)->confidence);
  g_assert_cmpuint (infer_count (h->element, "inferred"), ==, 1);
  g_assert_cmpuint (infer_count (h->element, "requests"), ==, 2);
  g_assert_cmpuint (infer_count (h->element, "batches"), ==, 1);

  /* all classes */
  g_array_unref (found);
  g_object_set (h->element, "object-class", NULL, NULL);
  found = push_objects (h, objects, 3);
  assert_class (class_of (found, 1), class_of_part (70, 20, 30, 30));

  /* a second such element leaves what the first one has said */
  infer_teardown (h);
}

/* Padding, and what is around an object that is not square, where the frame has it. */
static void
test_crops (void)
{
  static const struct {
    const gchar *padding;
    gfloat x, y, w, h;
    gint seen[4];
  } table[] = {
    { "0", 20, 30, 40, 20, { 20, 20, 40, 40 } },
    { "0", 20, 30, 20, 40, { 10, 30, 40, 40 } },
    { "0.25", 40, 30, 32, 32, { 32, 22, 48, 48 } },
    { "0", 0, 40, 20, 40, { 0, 40, 40, 40 } },        /* moved into the frame */
    { "0", 108, 76, 20, 20, { 108, 76, 20, 20 } },
    { "0", 88, 80, 40, 16, { 88, 56, 40, 40 } },
    { "1", 40, 40, 50, 20, { 0, 0, 128, 96 } },       /* no more than the frame */
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    const YoloMetaObject one = object ("car", table[i].x, table[i].y, table[i].w, table[i].h, -1);
    GstHarness *h = objects_harness (CLASSIFIER, "object-padding", table[i].padding);
    g_autoptr (GArray) found = push_objects (h, &one, 1);
    const gint *seen = table[i].seen;

    assert_class (class_of (found, 0), class_of_part (seen[0], seen[1], seen[2], seen[3]));
    infer_teardown (h);
  }
}

/* Objects that are not looked at: too small, elsewhere, no objects. */
static void
test_left_out (void)
{
  const YoloMetaObject objects[] = {
    object ("car", 0, 0, 19, 40, -1), object ("car", 0, 0, 40, 19, -1),
    object ("car", 80, 20, 20, 20, -1), object ("car", 20, 60, 20, 20, -1),
  };
  GstHarness *h = objects_harness (CLASSIFIER, "object-min-size", "20");
  g_autoptr (GArray) found = push_objects (h, objects, 4), none = NULL;
  GstVideoInfo info;
  GstBuffer *buffer;
  guint i;

  for (i = 0; i < 4; i++)
    g_assert_cmpint (class_of (found, i) != NULL, ==, i >= 2);
  g_array_unref (found);
  /* by the middle */
  g_object_set (h->element, "roi", "70,10,21,21;0,60,60,100,0,100", NULL);
  found = push_objects (h, objects, 4);
  for (i = 0; i < 4; i++)
    g_assert_cmpint (class_of (found, i) != NULL, ==, i == 2);
  g_assert_cmpuint (infer_count (h->element, "requests"), ==, 3);

  none = push_objects (h, NULL, 0);
  g_assert_cmpuint (none->len, ==, 0);
  /* regions of others that lie outside of the frame */
  g_object_set (h->element, "roi", NULL, "object-min-size", 0, NULL);
  make_info (SMALL, &info);
  buffer = make_picture (&info);
  gst_buffer_add_video_region_of_interest_meta (buffer, "car", (guint) -50, 10, 40, 40);
  gst_buffer_add_video_region_of_interest_meta (buffer, "car", 10, 500, 40, 40);
  gst_buffer_add_video_region_of_interest_meta (buffer, "car", 10, 10, 0, 0);
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  gst_buffer_unref (gst_harness_pull (h));
  g_assert_cmpuint (infer_count (h->element, "requests"), ==, 3);
  g_assert_cmpuint (infer_count (h->element, "frames"), ==, 4);
  assert_no_message (h->element, GST_MESSAGE_WARNING);
  infer_teardown (h);
}

/* What is found inside objects: as in a region of their place, each with its parent. */
static void
test_parents (void)
{
  const YoloMetaObject objects[] = {
    object ("car", 0, 0, 64, 64, 4), object ("person", 10, 10, 20, 20, -1),
    object ("car", 64, 32, 64, 64, 5),
  };
  GstHarness *h = objects_harness (MODEL, "object-class", "car");
  g_autoptr (GArray) found = push_objects (h, objects, 3);
  guint i, k, n = 0;

  g_object_set (h->element, "max-detections", 7, NULL);
  g_assert_cmpuint (found->len, >, 10);
  for (i = 0; i < 3; i++) {
    g_assert_cmpuint (g_array_index (found, YoloMetaObject, i).parent, ==, 0);
    g_assert_null (class_of (found, i));
  }
  for (k = 0; k < 3; k += 2) {
    g_autofree gchar *roi = g_strdup_printf ("%g,%g,64,64", objects[k].x, objects[k].y);
    GstHarness *alone = infer_harness (infer_new (LOW, "roi", roi, NULL), SMALL);
    g_autoptr (GArray) expected = infer_picture (alone, SMALL), children = NULL;

    children = yolo_meta_objects_new ();
    for (i = 3; i < found->len; i++)
      if (g_array_index (found, YoloMetaObject, i).parent
          == g_array_index (found, YoloMetaObject, k).region)
        yolo_meta_objects_append (children, &g_array_index (found, YoloMetaObject, i), 1);
    g_assert_cmpuint (children->len, >, 0);
    n += children->len;
    /* max-detections is of all together: the best of each */
    g_array_set_size (expected, MIN (expected->len, children->len));
    g_assert_cmpuint (assert_same_detections (children, expected, 0, 0, .01f, 1e-5f), >, 0);
    infer_teardown (alone);
  }
  g_assert_cmpuint (n, ==, found->len - 3);
  g_array_unref (found);
  found = push_objects (h, objects, 3);
  g_assert_cmpuint (found->len, ==, 3 + 7);
  infer_teardown (h);
}

/* A tracked object is looked at again after so many frames; between them, it has the class that
 * it had. */
static void
test_reclassify_interval (void)
{
  static const struct { const gchar *interval; guint requests; } table[] = {
    { "1", 14 }, { "3", 3 + 7 }, { "0", 1 + 7 },
  };
  const YoloMetaObject tracked = object ("car", 16, 8, 40, 40, 3),
                       moved = object ("car", 60, 40, 50, 50, 3);
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    const YoloMetaObject first[] = { tracked, object ("car", 70, 20, 30, 30, -1) };
    GstHarness *h = objects_harness (CLASSIFIER, "reclassify-interval", table[i].interval);
    YoloMetaObject expected = class_of_part (16, 8, 40, 40);

    for (k = 0; k < 7; k++) {
      const YoloMetaObject later[] = { first[1], moved };
      g_autoptr (GArray) found = push_objects (h, k == 0 ? first : later, 2);

      if (k == 0)
        assert_class (class_of (found, 0), expected);
      else if (i == 2 || (i == 1 && k < 3))
        assert_class (class_of (found, 1), expected);
      else
        assert_class (class_of (found, 1), class_of_part (60, 40, 50, 50));
      assert_class (class_of (found, k == 0 ? 1 : 0), class_of_part (70, 20, 30, 30));
    }
    g_assert_cmpuint (infer_count (h->element, "requests"), ==, table[i].requests);

    /* tracks behind a flush are others */
    gst_harness_push_event (h, gst_event_new_flush_start ());
    gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
    gst_harness_set_src_caps_str (h, SMALL);
    g_array_unref (push_objects (h, first, 1));
    g_assert_cmpuint (infer_count (h->element, "requests"), ==, table[i].requests + 1);
    infer_teardown (h);
  }
}

/* So it is with what was found inside, which moves and grows with the object. */
static void
test_inside_between (void)
{
  const YoloMetaObject first = object ("car", 0, 0, 64, 64, 3),
                       other = object ("car", 64, 16, 32, 16, 4),
                       moved[] = {
    object ("person", 5, 5, 9, 9, 8), object ("car", 64, 16, 32, 16, 3),
  };
  GstHarness *h = objects_harness (MODEL, "reclassify-interval", "3");
  g_autoptr (GArray) before = push_objects (h, &first, 1), after = NULL, none = NULL;
  guint i;

  g_object_set (h->element, "object-class", "car", NULL);
  after = push_objects (h, moved + 1, 1);
  g_array_unref (after);
  after = push_objects (h, moved, 2);
  g_assert_cmpuint (infer_count (h->element, "requests"), ==, 1);
  g_assert_cmpuint (before->len, >, 3);
  g_assert_cmpuint (after->len, ==, before->len + 1);
  for (i = 1; i < before->len; i++) {
    const YoloMetaObject *a = &g_array_index (before, YoloMetaObject, i),
                         *b = &g_array_index (after, YoloMetaObject, after->len - before->len + i);

    g_assert_cmpuint (b->parent, ==, g_array_index (after, YoloMetaObject, 1).region);
    g_assert_cmpint (b->label, ==, a->label);
    g_assert_cmpfloat (b->confidence, ==, a->confidence);
    g_assert_cmpfloat_with_epsilon (b->x, 64 + a->x / 2, .01f);
    g_assert_cmpfloat_with_epsilon (b->y, 16 + a->y / 4, .01f);
    g_assert_cmpfloat_with_epsilon (b->w, a->w / 2, .01f);
    g_assert_cmpfloat_with_epsilon (b->h, a->h / 4, .01f);
  }
  /* another track in the same place is asked about */
  none = push_objects (h, &other, 1);
  g_assert_cmpuint (infer_count (h->element, "requests"), ==, 2);
  infer_teardown (h);
}

/* Frames that inference-interval skips have the classes of tracks that are known. */
static void
test_inference_interval (void)
{
  const YoloMetaObject objects[] = {
    object ("car", 16, 8, 40, 40, 0), object ("car", 70, 20, 30, 30, -1),
  };
  GstHarness *h = objects_harness (CLASSIFIER, "inference-interval", "2");
  g_autoptr (GArray) first = push_objects (h, objects, 2), second = push_objects (h, objects, 2);

  g_assert_cmpuint (infer_count (h->element, "requests"), ==, 2);
  g_assert_nonnull (class_of (first, 1));
  assert_class (class_of (second, 0), class_of_part (16, 8, 40, 40));
  g_assert_null (class_of (second, 1));
  g_assert_cmpuint (second->len, ==, 2);
  infer_teardown (h);
}

/* More objects than a batch holds, several frames under way: each its own class, in order. */
static void
test_many_objects (void)
{
  GstHarness *h = objects_harness (CLASSIFIER, "max-in-flight", "4");
  GstVideoInfo info;
  YoloMetaObject objects[80];
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (objects); i++)
    objects[i] = object ("car", 2 * (i % 40), 20 * (i / 40), 20, 20, -1);
  make_info (SMALL, &info);
  for (k = 0; k < 4; k++) {
    GstBuffer *buffer = make_picture (&info);

    yolo_meta_add (buffer, &info, objects, k % 2 == 0 ? 80 : 1, 0);
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  }
  for (k = 0; k < 4; k++) {
    g_autoptr (GArray) found = take_detections (gst_harness_pull (h), &info);

    g_assert_cmpuint (found->len, ==, k % 2 == 0 ? 80 : 1);
    for (i = 0; i < found->len; i++)
      g_assert_nonnull (class_of (found, i));
    if (found->len > 1)
      assert_class (class_of (found, 45), class_of_part (10, 20, 20, 20));
  }
  infer_teardown (h);
}

static void
test_refused (void)
{
  static const struct { const gchar *property, *value, *error; } table[] = {
    { "tiles", "2x2", "inference-region=roi-list looks at objects" },
    { "object-class", "\"car", "object-class \"\"car\": a quote is not closed" },
  };
  const YoloMetaObject one = object ("car", 16, 8, 40, 40, -1);
  g_autofree gchar *class = NULL;
  GstHarness *h;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    GstElement *element = infer_new ("inference-region", "roi-list", NULL);

    g_object_set (element, table[i].property, table[i].value, NULL);
    gst_object_ref_sink (element);
    g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
        GST_STATE_CHANGE_FAILURE);
    check_message (element, GST_MESSAGE_ERROR, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        table[i].error);
    infer_free (element);
  }
  h = objects_harness (CLASSIFIER, "object-class", "car");
  g_object_set (h->element, "object-class", "\"bus\"x", NULL);
  check_message (h->element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "object-class \"\"bus\"x\"");
  g_object_get (h->element, "object-class", &class, NULL);
  g_assert_cmpstr (class, ==, "car");
  g_array_unref (push_objects (h, &one, 1));
  g_assert_cmpuint (infer_count (h->element, "requests"), ==, 1);
  infer_teardown (h);
}

/* A crowd that comes and goes leaves nothing behind. */
static void
test_tracks_are_forgotten (void)
{
  YoloTracks *tracks = yolo_tracks_new ();
  YoloMetaObject stays = object ("car", 0, 0, 9, 9, 0);
  g_autoptr (GBytes) bytes = g_bytes_new ("x", 1);
  guint64 frame;

  for (frame = 0; frame < 20000; frame++) {
    const YoloMetaObject passes = object ("car", 0, 0, 9, 9, 1 + (gint) frame);

    g_assert_cmpint (yolo_tracks_is_due (tracks, &stays, frame, 0), ==, frame == 0);
    if (frame == 0)
      yolo_tracks_learn (tracks, &stays, frame, bytes);
    g_assert_true (yolo_tracks_recall (tracks, &stays, frame) == bytes);
    g_assert_true (yolo_tracks_is_due (tracks, &passes, frame, 0));
    yolo_tracks_learn (tracks, &passes, frame, bytes);
    g_assert_cmpuint (yolo_tracks_count (tracks), <=, 2 * YOLO_TRACKS_MEMORY + 3);
  }
  /* the same number in another stream is another track */
  stays.slot = 2;
  g_assert_null (yolo_tracks_recall (tracks, &stays, frame));
  g_assert_true (yolo_tracks_is_due (tracks, &stays, frame, 0));
  yolo_tracks_free (tracks);
}

static void
count_free (gpointer n)
{
  ++*(guint *) n;
}

/* What is appended of what was inside an object has a reference of its own. */
static void
test_inside_is_owned (void)
{
  const GstVideoInfo info = { .width = 100, .height = 100 };
  YoloTracks *tracks = yolo_tracks_new ();
  YoloMetaObject outer = object ("car", 0, 0, 9, 9, 0), inner = object ("plate", 1, 1, 2, 2, -1);
  GArray *recalled = yolo_meta_objects_new ();
  guint n_freed = 0;

  inner.classes = g_bytes_new_with_free_func ("x", 1, count_free, &n_freed);
  yolo_tracks_learn_inside (tracks, &outer, 0, &inner, 1);
  for (guint i = 0; i < 3; i++) {
    yolo_tracks_recall_inside (tracks, &outer, 1, &info, recalled);
    g_assert_cmpuint (recalled->len, ==, 1);
    g_assert_true (g_array_index (recalled, YoloMetaObject, 0).classes == inner.classes);
    g_array_set_size (recalled, 0);
  }
  yolo_tracks_free (tracks);
  g_array_unref (recalled);
  g_assert_cmpuint (n_freed, ==, 0);
  g_bytes_unref (inner.classes);
  g_assert_cmpuint (n_freed, ==, 1);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/yoloinfer/objects/classes", test_classes);
  g_test_add_func ("/yoloinfer/objects/crops", test_crops);
  g_test_add_func ("/yoloinfer/objects/left-out", test_left_out);
  g_test_add_func ("/yoloinfer/objects/parents", test_parents);
  g_test_add_func ("/yoloinfer/objects/reclassify-interval", test_reclassify_interval);
  g_test_add_func ("/yoloinfer/objects/inside-between", test_inside_between);
  g_test_add_func ("/yoloinfer/objects/inference-interval", test_inference_interval);
  g_test_add_func ("/yoloinfer/objects/many-objects", test_many_objects);
  g_test_add_func ("/yoloinfer/objects/refused", test_refused);
  g_test_add_func ("/yoloinfer/objects/tracks-are-forgotten", test_tracks_are_forgotten);
  g_test_add_func ("/yoloinfer/objects/inside-is-owned", test_inside_is_owned);
  return g_test_run ();
}
