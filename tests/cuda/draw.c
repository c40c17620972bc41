/* SPDX-License-Identifier: MIT */
/* Random strokes on frames of every format: the kernel's pixels are those of
 * the host, to the byte, and nothing else is touched. */

#include <gst/video/video.h>
#include <string.h>

#include "engine/draw.h"
#include "gst-plugin/yolocanvas.h"
#include "tests/cuda/harness.h"

typedef struct {
  const char *caps;
  gboolean clip;
} Case;

static const Case cases[] = {
  { "format=NV12,width=130,height=70", FALSE },
  { "format=NV12,width=131,height=71", TRUE },
  { "format=I420,width=65,height=33", FALSE },
  { "format=P010_10LE,width=66,height=34", FALSE },
  { "format=RGBA,width=40,height=40", FALSE },
  { "format=BGR,width=37,height=41", TRUE },
  { "format=GRAY8,width=50,height=20", FALSE },
  { "format=YUY2,width=47,height=20", FALSE },
  { "format=Y444,width=33,height=17", FALSE },
  { "format=xBGR,width=33,height=17", FALSE },
  { "format=NV12,width=64,height=38,interlace-mode=interleaved", FALSE },
  { "format=I420,width=61,height=46,interlace-mode=interleaved", TRUE },
};

static int
between (guint32 *state, int low, int high)
{
  return low + (int) ((test_random (state) + 1) / 2 * (high - low));
}

/* The same strokes on any canvas. */
static void
draw (YoloCanvas *canvas, const GstVideoInfo *info, guint n, guint32 seed)
{
  guint8 alpha[24 * 32];
  YoloMask mask = { 20, 9, 24, alpha };

  for (guint i = 0; i < n; i++) {
    int x = between (&seed, -20, info->width + 5), y = between (&seed, -20, info->height + 5);
    YoloColor color;

    yolo_color_init (&color, info, (guint32) between (&seed, 0, 0xffffff));
    if (i % 3 == 2) {
      for (guint k = 0; k < sizeof alpha; k++)
        alpha[k] = (guint8) (k % 7 ? between (&seed, 0, 255) : 0);
      yolo_canvas_blend (canvas, &mask, x, y, &color);
    } else {
      YoloRect outer = { x, y, x + between (&seed, 0, 60), y + between (&seed, 0, 40) };
      int line = between (&seed, 0, 6);
      YoloRect inner = { outer.x0 + line, outer.y0 + line, outer.x1 - line, outer.y1 - line };

      yolo_canvas_fill (canvas, outer, i % 2 ? inner : (YoloRect) { 0 }, &color);
    }
  }
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *text = g_strdup_printf ("video/x-raw,framerate=30/1,%s", c->caps);
  g_autoptr (GstCaps) caps = gst_caps_from_string (text);
  g_autoptr (GError) error = NULL;
  YoloDrawer *drawer = yolo_drawer_new (0, test_device->context, &error);
  GstVideoInfo info;

  g_assert_no_error (error);
  g_assert_true (gst_video_info_from_caps (&info, caps));
  /* none, some, and more than a block looks at together */
  for (guint n = 0; n < 700; n = n * 9 + 3) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, info.size, NULL);
    const YoloRect clip = { 3, 5, info.width - 4, info.height - 3 };
    g_autofree guint8 *result = g_malloc (info.size);
    GstVideoFrame frame;
    YoloCanvas canvas;
    YoloDrawing drawing;
    CUdeviceptr memory = yolo_cuda_alloc (test_device, info.size, "a test", &error);

    g_assert_true (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READWRITE));
    guint8 *pixels = GST_VIDEO_FRAME_PLANE_DATA (&frame, 0);
    guint32 seed = 3;
    for (gsize i = 0; i < info.size; i++)
      pixels[i] = (guint8) between (&seed, 0, 255);
    test_device->driver->cuMemcpyHtoD (memory, pixels, info.size);

    yolo_drawing_init (&drawing);
    yolo_canvas_init (&canvas, &frame, c->clip ? &clip : NULL);
    canvas.drawing = &drawing;
    draw (&canvas, &info, n, 99);
    for (guint i = 0; i < canvas.n_components; i++)
      canvas.component[i].data = (guint8 *) memory + (canvas.component[i].data - pixels);
    yolo_drawer_draw (drawer, &canvas, NULL, (const YoloStroke *) drawing.strokes->data,
        drawing.strokes->len, drawing.masks->data, drawing.masks->len, &error);
    g_assert_no_error (error);
    test_device->driver->cuMemcpyDtoH (result, memory, info.size);

    yolo_canvas_init (&canvas, &frame, c->clip ? &clip : NULL);
    draw (&canvas, &info, n, 99);
    g_assert_cmpmem (result, info.size, pixels, info.size);
    gst_video_frame_unmap (&frame);
    gst_buffer_unref (buffer);
    yolo_drawing_clear (&drawing);
    yolo_cuda_free (test_device, memory);
  }
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
    g_autofree char *path = g_strdup_printf ("/cuda/draw/%s", cases[i].caps);
    g_test_add_data_func (path, &cases[i], test_case);
  }
  result = g_test_run ();
  test_device_close ();
  return result;
}
