/* SPDX-License-Identifier: MIT */
/* DeepStream's surfaces as bytes: both layouts, and everything that can be wrong with
 * them. */

#include "gst-plugin/yolonvmm.h"

#include <string.h>

#define MAX_BATCH 6

/* A surface and, behind it, the list that it points to. */
typedef struct {
  guint8 surface[72];
  guint8 list[MAX_BATCH * 416];
  gsize size, stride;
} Surface;

static guint8 pixels[1 << 16];

static void
put (guint8 *p, gsize offset, guint32 value)
{
  memcpy (p + offset, &value, 4);
}

static void
put_pointer (guint8 *p, gsize offset, gconstpointer value)
{
  memcpy (p + offset, &value, sizeof value);
}

static guint8 *
params (Surface *s, guint i)
{
  return s->list + i * s->stride;
}

/* NV12 of 64x48, pitch 256. */
static void
surface_init (Surface *s, gsize size, guint batch, guint filled)
{
  *s = (Surface) { .size = size, .stride = size == 64 ? 384 : 416 };
  put (s->surface, 0, 0);
  put (s->surface, 4, batch);
  put (s->surface, 8, filled);
  put (s->surface, 16, 2);
  put_pointer (s->surface, 24, s->list);
  for (guint i = 0; i < batch; i++) {
    guint8 *p = params (s, i);

    put (p, 0, 64);
    put (p, 4, 48);
    put (p, 8, 256);
    put (p, 12, 6);
    put (p, 32, 256 * 72);
    put_pointer (p, 40, pixels + i * 1000);
    put (p, 48, 2);
    put (p, 48 + 4, 64);
    put (p, 48 + 8, 32);
    put (p, 48 + 20, 48);
    put (p, 48 + 24, 24);
    put (p, 48 + 36, 256);
    put (p, 48 + 40, 256);
    put (p, 48 + 56, 256 * 48);
  }
}

static void
check_good (Surface *s, guint n)
{
  g_autoptr (GError) error = NULL;
  YoloFrame frames[YOLO_NVMM_MAX_FRAMES];
  guint got;

  put (s->surface, 0, 3);       /* the GPU */
  g_assert_true (yolo_nvmm_read (s->surface, s->size, 3, frames, &got, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (got, ==, n);
  for (guint i = 0; i < n; i++) {
    g_assert_cmpint (frames[i].format, ==, YOLO_FORMAT_NV12);
    g_assert_cmpint (frames[i].width, ==, 64);
    g_assert_cmpint (frames[i].height, ==, 48);
    g_assert_cmpint (frames[i].memory, ==, YOLO_MEMORY_CUDA);
    g_assert_cmpuint (frames[i].device, ==, 3);
    g_assert_true (frames[i].plane[0] == pixels + i * 1000);
    g_assert_true (frames[i].plane[1] == pixels + i * 1000 + 256 * 48);
    g_assert_cmpint (frames[i].stride[1], ==, 256);
  }
}

static void
test_layouts (void)
{
  static const gsize sizes[] = { 64, 72 };
  Surface s;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    surface_init (&s, sizes[i], 1, 1);
    check_good (&s, 1);
    surface_init (&s, sizes[i], MAX_BATCH, 4);
    check_good (&s, 4);
    surface_init (&s, sizes[i], 1, 0);
    check_good (&s, 1);
    surface_init (&s, sizes[i], 4, 0);
    check_good (&s, 0);
    /* where the size of the buffer does not tell the layout, the second element does */
    surface_init (&s, sizes[i], MAX_BATCH, 3);
    s.size = 68;
    check_good (&s, 3);
  }
}

static void
test_formats (void)
{
  static const struct {
    guint format;
    YoloPixelFormat pixels;
    YoloMatrix matrix;
    gboolean full;
    guint planes, pitch;
  } rows[] = {
    { 1, YOLO_FORMAT_GRAY8, YOLO_MATRIX_BT601, FALSE, 1, 64 },
    { 2, YOLO_FORMAT_I420, YOLO_MATRIX_BT601, FALSE, 3, 64 },
    { 7, YOLO_FORMAT_NV12, YOLO_MATRIX_BT601, TRUE, 2, 64 },
    { 19, YOLO_FORMAT_RGBA, YOLO_MATRIX_BT601, FALSE, 1, 256 },
    { 28, YOLO_FORMAT_BGR, YOLO_MATRIX_BT601, FALSE, 1, 192 },
    { 29, YOLO_FORMAT_P010, YOLO_MATRIX_BT601, FALSE, 2, 128 },
    { 33, YOLO_FORMAT_NV12, YOLO_MATRIX_BT709, FALSE, 2, 64 },
    { 34, YOLO_FORMAT_NV12, YOLO_MATRIX_BT709, TRUE, 2, 64 },
    { 36, YOLO_FORMAT_NV12, YOLO_MATRIX_BT2020, FALSE, 2, 64 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    YoloFrame frames[YOLO_NVMM_MAX_FRAMES];
    Surface s;
    guint n;

    surface_init (&s, 64, 1, 1);
    put (params (&s, 0), 12, rows[i].format);
    put (params (&s, 0), 48, rows[i].planes);
    for (guint p = 0; p < 3; p++) {
      put (params (&s, 0), 48 + 36 + 4 * p, rows[i].pitch);
      put (params (&s, 0), 48 + 52 + 4 * p, p * 64 * 48);
    }
    g_assert_true (yolo_nvmm_read (s.surface, s.size, 0, frames, &n, &error));
    g_assert_no_error (error);
    g_assert_cmpint (frames[0].format, ==, rows[i].pixels);
    g_assert_cmpint (frames[0].matrix, ==, rows[i].matrix);
    g_assert_cmpint (frames[0].full_range, ==, rows[i].full);
    /* with a smaller pitch rows overlap; by two bytes, for the fourth byte of a pixel
     * is not read */
    put (params (&s, 0), 48 + 36, rows[i].pitch - 2);
    g_assert_false (yolo_nvmm_read (s.surface, s.size, 0, frames, &n, NULL));
  }
}

static void
test_wrong (void)
{
  static const struct {
    gint where;                 /* -1: in the surface; else the number of the element of its list */
    gsize offset;
    guint32 value;
    const gchar *part;          /* of the error's text */
  } rows[] = {
    { -1, 0, 3, "cuda-device-id=3" },
    { -1, 4, 5000, "frames" },
    { -1, 8, 5, "5 of 4" },
    { -1, 8, 0xffffffff, "frames" },
    { -1, 16, 4, "a Jetson's surface array" },
    { -1, 16, 6, "memory of type 6" },
    { -1, 16, 99, "memory of type 99" },
    { 1, 0, 0, "frame 1: an NVMM surface of 0x48" },
    { 2, 4, 100000, "64x100000" },
    { 3, 12, 1000, "color format 1000" },
    { 0, 16, 1, "block-linear" },
    { 0, 32, 256 * 71, "does not fit" },
    { 0, 32, 0, "does not fit" },
    { 1, 48, 1, "does not fit" },
    { 1, 48 + 56, 0xffffff00, "does not fit" },
    { 1, 48 + 36, 63, "does not fit" },
    { 1, 48 + 36, 0x80000000, "does not fit" },
  };
  g_autoptr (GError) error = NULL;
  YoloFrame frames[YOLO_NVMM_MAX_FRAMES];
  Surface s;
  guint n;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    surface_init (&s, 72, 4, 4);
    put (rows[i].where < 0 ? s.surface : params (&s, rows[i].where), rows[i].offset, rows[i].value);
    g_assert_false (yolo_nvmm_read (s.surface, s.size, 0, frames, &n, &error));
    g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
    if (strstr (error->message, rows[i].part) == NULL)
      g_error ("row %u: %s", i, error->message);
    g_clear_error (&error);
  }
  surface_init (&s, 64, 4, 4);
  put_pointer (s.surface, 24, NULL);
  g_assert_false (yolo_nvmm_read (s.surface, 64, 0, frames, &n, NULL));
  surface_init (&s, 64, 4, 4);
  put_pointer (params (&s, 2), 40, NULL);
  g_assert_false (yolo_nvmm_read (s.surface, 64, 0, frames, &n, NULL));
  put_pointer (params (&s, 2), 40, (gpointer) (G_MAXSIZE - 256 * 72 + 1));
  g_assert_false (yolo_nvmm_read (s.surface, 64, 0, frames, &n, NULL));
  surface_init (&s, 64, 4, 4);
  g_assert_false (yolo_nvmm_read (s.surface, 63, 0, frames, &n, NULL));
  /* an unknown size, and a second element that is plausible in no layout */
  surface_init (&s, 64, 2, 2);
  memset (s.list + 384, 0xff, sizeof (s.list) - 384);
  g_assert_false (yolo_nvmm_read (s.surface, 80, 0, frames, &n, &error));
  g_assert_nonnull (strstr (error->message, "batches of one frame work"));
  put (s.surface, 8, 1);
  g_assert_true (yolo_nvmm_read (s.surface, 80, 0, frames, &n, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gst-plugin/nvmm/layouts", test_layouts);
  g_test_add_func ("/gst-plugin/nvmm/formats", test_formats);
  g_test_add_func ("/gst-plugin/nvmm/wrong", test_wrong);
  return g_test_run ();
}
