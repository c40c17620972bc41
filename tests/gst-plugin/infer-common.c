/* SPDX-License-Identifier: MIT */
#include "infer-common.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

gchar *
data_path (const gchar *name)
{
  return g_build_filename (g_getenv ("YOLO_TEST_DATA"), name, NULL);
}

gchar *
model_with_names (const gchar *names)
{
  static const gchar old[] = "{0: 'alpha', 1: 'beta', 2: 'gamma'}";
  g_autofree gchar *path = data_path (MODEL), *bytes = NULL;
  gchar *at, *copy = NULL;
  gsize size;
  gint fd = g_file_open_tmp ("named-XXXXXX.onnx", &copy, NULL);

  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_assert_cmpuint (strlen (names), <, sizeof old);
  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  for (at = bytes; memcmp (at, old, sizeof old - 1) != 0; at++)
    g_assert_cmpuint (at - bytes, <, size - sizeof old);
  memset (at, ' ', sizeof old - 1);
  memcpy (at, names, strlen (names));
  g_assert_true (g_file_set_contents (copy, bytes, size, NULL));
  return copy;
}

GstElement *
infer_new (const gchar *property, ...)
{
  GstElement *element = gst_element_factory_make ("yoloinfer", NULL);
  g_autofree gchar *model = data_path (MODEL);
  GstBus *bus;
  va_list args;

  g_assert_nonnull (element);
  bus = gst_bus_new ();
  gst_element_set_bus (element, bus);
  g_object_set_data_full (G_OBJECT (element), "bus", bus, gst_object_unref);

  g_object_set (element, "model-file", model, NULL);
  va_start (args, property);
  for (; property; property = va_arg (args, const gchar *))
    gst_util_set_object_arg (G_OBJECT (element), property, va_arg (args, const gchar *));
  va_end (args);
  return element;
}

GstBus *
element_bus (GstElement *element)
{
  return g_object_get_data (G_OBJECT (element), "bus");
}

GstHarness *
infer_harness (GstElement *element, const gchar *caps)
{
  GstHarness *h;

  gst_object_ref_sink (element);
  h = gst_harness_new_with_element (element, "sink", "src");
  gst_object_unref (element);
  if (caps)
    gst_harness_set_src_caps_str (h, caps);
  return h;
}

void
infer_teardown (GstHarness *h)
{
  GstElement *element = gst_object_ref (h->element);

  gst_harness_teardown (h);
  infer_free (element);
}

void
infer_free (GstElement *element)
{
  gst_element_set_state (element, GST_STATE_NULL);
  /* the messages on the bus hold the element, which holds the bus */
  gst_bus_set_flushing (element_bus (element), TRUE);
  g_assert_cmpint (GST_OBJECT_REFCOUNT_VALUE (element), ==, 1);
  gst_object_unref (element);
}

guint64
infer_count (GstElement *element, const gchar *field)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 n = 0;

  g_object_get (element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, field, &n));
  return n;
}

GstMessage *
pop_message (GstElement *element, GstMessageType type)
{
  GstMessage *message = gst_bus_timed_pop_filtered (element_bus (element), 100 * GST_SECOND, type);

  g_assert_nonnull (message);
  return message;
}

void
assert_no_message (GstElement *element, GstMessageType type)
{
  GstMessage *message = gst_bus_pop_filtered (element_bus (element), type);

  if (message) {
    GST_ERROR ("unexpected %" GST_PTR_FORMAT, message);
    g_test_message ("unexpected message: %" G_GUINT32_FORMAT, GST_MESSAGE_SEQNUM (message));
  }
  g_assert_null (message);
}

void
check_message (GstElement *element, GstMessageType type, GQuark domain, gint code,
    const gchar *part)
{
  GstMessage *message = pop_message (element, type);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *debug = NULL;

  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, &debug);
  else
    gst_message_parse_warning (message, &error, &debug);
  g_test_message ("%s", error->message);
  g_assert_cmpstr (g_quark_to_string (error->domain), ==, g_quark_to_string (domain));
  g_assert_cmpint (error->code, ==, code);
  if (strstr (error->message, part) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, part);
  gst_message_unref (message);
}

void
make_info (const gchar *caps_string, GstVideoInfo *info)
{
  GstCaps *caps = gst_caps_from_string (caps_string);

  g_assert_true (gst_video_info_from_caps (info, caps));
  gst_caps_unref (caps);
}

/* Paints an RGB frame: a gradient, and blocks of 4 x 4 parts of the frame. */
static void
paint (GstVideoFrame *frame)
{
  static const guint8 colors[][3] = {
    {250, 250, 250}, {20, 20, 20}, {230, 40, 40}, {40, 200, 60}, {30, 60, 220}, {240, 220, 40}
  };
  const gint width = GST_VIDEO_FRAME_WIDTH (frame), height = GST_VIDEO_FRAME_HEIGHT (frame);
  gint x, y;

  for (y = 0; y < height; y++) {
    guint8 *row = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, 0)
        + y * GST_VIDEO_FRAME_PLANE_STRIDE (frame, 0);

    for (x = 0; x < width; x++, row += 3) {
      const gint bx = (gint64) x * 8 / width, by = (gint64) y * 8 / height;

      if (bx % 2 == 1 && by % 2 == 1) {
        memcpy (row, colors[(bx / 2 + by / 2 * 3) % G_N_ELEMENTS (colors)], 3);
      } else {
        row[0] = 60 + (gint64) x * 120 / width;
        row[1] = 60 + (gint64) y * 120 / height;
        row[2] = 120;
      }
    }
  }
}

GstBuffer *
make_picture (const GstVideoInfo *info)
{
  GstVideoInfo rgb;
  GstBuffer *from, *to;
  GstVideoFrame a, b;
  GstVideoConverter *converter;

  gst_video_info_set_format (&rgb, GST_VIDEO_FORMAT_RGB, info->width, info->height);
  rgb.fps_n = info->fps_n;
  rgb.fps_d = info->fps_d;
  from = gst_buffer_new_allocate (NULL, rgb.size, NULL);
  to = gst_buffer_new_allocate (NULL, info->size, NULL);
  gst_buffer_memset (to, 0, 0, info->size);
  g_assert_true (gst_video_frame_map (&a, &rgb, from, GST_MAP_READWRITE));
  g_assert_true (gst_video_frame_map (&b, info, to, GST_MAP_WRITE));
  paint (&a);
  converter = gst_video_converter_new (&rgb, info, NULL);
  g_assert_nonnull (converter);
  gst_video_converter_frame (converter, &a, &b);
  gst_video_converter_free (converter);
  gst_video_frame_unmap (&a);
  gst_video_frame_unmap (&b);
  gst_buffer_unref (from);
  GST_BUFFER_PTS (to) = 0;
  return to;
}

GstBuffer *
crop_picture (GstBuffer *frame, const GstVideoInfo *info, const GstVideoInfo *part, gint x, gint y)
{
  GstBuffer *cut = gst_buffer_new_allocate (NULL, part->size, NULL);
  GstVideoFrame a, b;

  g_assert_true (gst_video_frame_map (&a, info, frame, GST_MAP_READ));
  g_assert_true (gst_video_frame_map (&b, part, cut, GST_MAP_WRITE));
  for (gint row = 0; row < part->height; row++)
    memcpy ((guint8 *) b.data[0] + row * b.info.stride[0],
        (guint8 *) a.data[0] + (y + row) * a.info.stride[0] + x * 3, (gsize) part->width * 3);
  gst_video_frame_unmap (&a);
  gst_video_frame_unmap (&b);
  return cut;
}

GArray *
take_detections (GstBuffer *buffer, const GstVideoInfo *info)
{
  GArray *objects = yolo_meta_objects_new ();

  g_assert_nonnull (buffer);
  yolo_meta_read (buffer, info, objects);
  gst_buffer_unref (buffer);
  return objects;
}

GArray *
infer_picture (GstHarness *h, const gchar *caps)
{
  GstVideoInfo info;

  make_info (caps, &info);
  g_assert_cmpint (gst_harness_push (h, make_picture (&info)), ==, GST_FLOW_OK);
  return take_detections (gst_harness_pull (h), &info);
}

static gboolean
has_partner (const YoloMetaObject *object, GArray *others, gfloat dx, gfloat dy, gfloat pixels,
    gfloat slack)
{
  guint i;

  for (i = 0; i < others->len; i++) {
    const YoloMetaObject *o = &g_array_index (others, YoloMetaObject, i);

    if (o->label_id == object->label_id && fabsf (o->confidence - object->confidence) <= slack
        && fabsf (o->x + dx - object->x) <= pixels && fabsf (o->y + dy - object->y) <= pixels
        && fabsf (o->x + o->w + dx - object->x - object->w) <= pixels
        && fabsf (o->y + o->h + dy - object->y - object->h) <= pixels)
      return TRUE;
  }
  return FALSE;
}

static gfloat
lowest_confidence (GArray *objects)
{
  gfloat lowest = 1;
  guint i;

  for (i = 0; i < objects->len; i++)
    lowest = MIN (lowest, g_array_index (objects, YoloMetaObject, i).confidence);
  return lowest;
}

static void
print_objects (const gchar *what, GArray *objects)
{
  guint i;

  for (i = 0; i < objects->len; i++) {
    const YoloMetaObject *o = &g_array_index (objects, YoloMetaObject, i);

    g_test_message ("%s: %d at %.3f,%.3f %.3fx%.3f, %.4f", what, o->label_id, o->x, o->y, o->w,
        o->h, o->confidence);
  }
}

static guint
assert_contained (GArray *a, GArray *b, gfloat dx, gfloat dy, gfloat pixels, gfloat slack)
{
  /* a detection at the threshold may be above it in only one of the two */
  const gfloat floor = slack > 0 ? MAX (lowest_confidence (a), lowest_confidence (b)) + slack : 0;
  guint i, n = 0;

  for (i = 0; i < a->len; i++) {
    const YoloMetaObject *o = &g_array_index (a, YoloMetaObject, i);

    if (o->confidence < floor)
      continue;
    n++;
    if (!has_partner (o, b, dx, dy, pixels, slack)) {
      print_objects ("of", a);
      print_objects ("and", b);
      g_error ("class %d at %.2f,%.2f %.2fx%.2f, confidence %.4f, is missing (%u and %u objects)",
          o->label_id, o->x, o->y, o->w, o->h, o->confidence, a->len, b->len);
    }
  }
  return n;
}

guint
assert_same_detections (GArray *a, GArray *b, gfloat dx, gfloat dy, gfloat pixels, gfloat slack)
{
  guint n = assert_contained (a, b, dx, dy, pixels, slack);

  assert_contained (b, a, -dx, -dy, pixels, slack);
  return n;
}
