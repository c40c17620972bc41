/* SPDX-License-Identifier: MIT */
/* Random redactions on frames of every format: the kernels' samples are those of the host, to
 * the byte, and nothing else is touched. */

#include <gst/video/video.h>
#include <string.h>

#include "engine/draw.h"
#include "gst-plugin/yolocanvas.h"
#include "image/privacy.h"
#include "tests/cuda/harness.h"

static const char *const cases[] = {
  "format=NV12,width=130,height=70",
  "format=NV12,width=131,height=71",
  "format=I420,width=65,height=33",
  "format=P010_10LE,width=66,height=34",
  "format=RGBA,width=40,height=40",
  "format=BGR,width=37,height=41",
  "format=GRAY8,width=50,height=20",
  "format=YUY2,width=47,height=20",
  "format=Y444,width=33,height=17",
  "format=NV12,width=64,height=38,interlace-mode=interleaved",
  "format=I420,width=61,height=46,interlace-mode=interleaved",
  "format=GRAY8,width=1,height=1",
};

static int
between (guint32 *state, int low, int high)
{
  return low + (int) ((test_random (state) + 1) / 2 * (high - low));
}

/* Boxes, polygons and masks in all modes, which overlap and leave the frame. */
static void
add_some (YoloPrivacy *privacy, const YoloCanvas *canvas, guint n, guint32 *seed)
{
  guint8 pixels[20 * 15];

  for (guint i = 0; i < n; i++) {
    const YoloPrivacyStyle style = { .mode = (YoloRedactionMode) (i % 3),
      .blocks = (guint) between (seed, 1, 9), .color = { { 16, 77, 200, 255 } } };
    const int x = between (seed, -20, canvas->width), y = between (seed, -20, canvas->height);
    const int w = between (seed, 1, 60), h = between (seed, 1, 60);

    if (i % 4 == 3) {
      for (guint k = 0; k < sizeof pixels; k++)
        pixels[k] = between (seed, 0, 9) == 0;
      yolo_privacy_add_pixels (privacy, canvas, &style, pixels, x, y, 20, 15, 3, 2);
    } else if (i % 4 == 1) {
      const float points[] = { (float) x, (float) y, (float) (x + w), (float) (y + h / 3),
        (float) (x - w / 3), (float) (y + h) };

      yolo_privacy_add_polygon (privacy, canvas, &style, points, 3);
    } else {
      yolo_privacy_add_box (privacy, canvas, &style, (double[4]){ x, y, x + w, y + h });
    }
  }
}

static void
test_case (gconstpointer data)
{
  g_autofree char *text =
      g_strdup_printf ("video/x-raw,framerate=30/1,%s", (const char *) data);
  g_autoptr (GstCaps) caps = gst_caps_from_string (text);
  g_autoptr (GError) error = NULL;
  YoloDrawer *drawer = yolo_drawer_new (0, test_device->context, &error);
  YoloPrivacy privacy;
  GstVideoInfo info;
  guint32 seed = 3;

  g_assert_no_error (error);
  g_assert_true (gst_video_info_from_caps (&info, caps));
  yolo_privacy_init (&privacy);
  for (guint n = 0; n < 20; n = n * 2 + 1) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, info.size, NULL);
    g_autofree guint8 *result = g_malloc (info.size);
    GstVideoFrame frame;
    YoloCanvas canvas, device;
    CUdeviceptr memory = yolo_cuda_alloc (test_device, info.size, "a test", &error);

    g_assert_true (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READWRITE));
    guint8 *pixels = GST_VIDEO_FRAME_PLANE_DATA (&frame, 0);
    for (gsize i = 0; i < info.size; i++)
      pixels[i] = (guint8) between (&seed, 0, 255);
    test_device->driver->cuMemcpyHtoD (memory, pixels, info.size);

    yolo_canvas_init (&canvas, &frame, NULL);
    device = canvas;
    for (guint i = 0; i < canvas.n_components; i++)
      device.component[i].data = (guint8 *) memory + (canvas.component[i].data - pixels);
    yolo_privacy_reset (&privacy);
    add_some (&privacy, &canvas, n, &seed);
    g_assert_true (yolo_drawer_redact (drawer, &device, NULL,
        (const YoloRedaction *) privacy.redactions->data, privacy.redactions->len,
        privacy.masks->data, privacy.masks->len, privacy.n_levels, &error));
    g_assert_no_error (error);
    test_device->driver->cuMemcpyDtoH (result, memory, info.size);
    yolo_privacy_apply (&privacy, &canvas);
    g_assert_cmpmem (result, info.size, pixels, info.size);
    gst_video_frame_unmap (&frame);
    gst_buffer_unref (buffer);
    yolo_cuda_free (test_device, memory);
  }
  yolo_privacy_clear (&privacy);
  yolo_drawer_free (drawer);
}

int
main (int argc, char **argv)
{
  int result;

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/cuda/redact/%s", cases[i]);
    g_test_add_data_func (path, cases[i], test_case);
  }
  result = g_test_run ();
  test_device_close ();
  return result;
}
