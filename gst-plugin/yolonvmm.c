/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolonvmm.h"

#include <string.h>

#include "image/sample.h"

/* Offsets in bytes, by offsetof() on the public headers: of NvBufSurface (SURFACE_), of
 * NvBufSurfaceParams (PARAMS_), an element of its list, and of NvBufSurfacePlaneParams
 * in that (PLANES_). */
enum {
  SURFACE_GPU_ID = 0,
  SURFACE_BATCH_SIZE = 4,
  SURFACE_NUM_FILLED = 8,
  SURFACE_MEM_TYPE = 16,
  SURFACE_LIST = 24,
  SURFACE_LEAST_SIZE = 64,

  PARAMS_WIDTH = 0,
  PARAMS_HEIGHT = 4,
  PARAMS_PITCH = 8,
  PARAMS_FORMAT = 12,
  PARAMS_LAYOUT = 16,
  PARAMS_DATA_SIZE = 32,
  PARAMS_DATA = 40,
  PARAMS_PLANES = 48,
  PLANES_NUMBER = 0,
  PLANES_PITCH = 36,
  PLANES_OFFSET = 52,
};

/* sizeof (NvBufSurface) and sizeof (NvBufSurfaceParams): first up to DeepStream 7.1
 * and L4T R36, then from DeepStream 8.0 and L4T R39.2 on. */
static const struct {
  gsize surface, params;
} versions[] = { { 64, 384 }, { 72, 416 } };

/* NvBufSurfaceMemType. */
enum {
  MEM_DEFAULT,
  MEM_CUDA_PINNED,
  MEM_CUDA_DEVICE,
  MEM_CUDA_UNIFIED,
  MEM_SURFACE_ARRAY,
  MEM_HANDLE,
  MEM_SYSTEM
};

static const struct {
  guint format;                 /* NvBufSurfaceColorFormat */
  YoloPixelFormat pixels;
  YoloMatrix matrix;
  gboolean full_range;
} formats[] = {
  { 1, YOLO_FORMAT_GRAY8, YOLO_MATRIX_BT601, FALSE },
  { 2, YOLO_FORMAT_I420, YOLO_MATRIX_BT601, FALSE },
  { 6, YOLO_FORMAT_NV12, YOLO_MATRIX_BT601, FALSE },
  { 7, YOLO_FORMAT_NV12, YOLO_MATRIX_BT601, TRUE },
  { 19, YOLO_FORMAT_RGBA, YOLO_MATRIX_BT601, FALSE },
  { 20, YOLO_FORMAT_BGRA, YOLO_MATRIX_BT601, FALSE },
  { 23, YOLO_FORMAT_RGBA, YOLO_MATRIX_BT601, FALSE },   /* RGBx */
  { 24, YOLO_FORMAT_BGRA, YOLO_MATRIX_BT601, FALSE },   /* BGRx */
  { 27, YOLO_FORMAT_RGB, YOLO_MATRIX_BT601, FALSE },
  { 28, YOLO_FORMAT_BGR, YOLO_MATRIX_BT601, FALSE },
  { 29, YOLO_FORMAT_P010, YOLO_MATRIX_BT601, FALSE },
  { 33, YOLO_FORMAT_NV12, YOLO_MATRIX_BT709, FALSE },
  { 34, YOLO_FORMAT_NV12, YOLO_MATRIX_BT709, TRUE },
  { 36, YOLO_FORMAT_NV12, YOLO_MATRIX_BT2020, FALSE },
};

static guint32
u32 (const guint8 *p, gsize offset)
{
  guint32 value;

  memcpy (&value, p + offset, sizeof value);
  return value;
}

static gpointer
pointer (const guint8 *p, gsize offset)
{
  gpointer value;

  memcpy (&value, p + offset, sizeof value);
  return value;
}

static gboolean
refuse (GError **error, const gchar *format, ...) G_GNUC_PRINTF (2, 3);

static gboolean
refuse (GError **error, const gchar *format, ...)
{
  va_list args;

  va_start (args, format);
  if (error != NULL)
    *error = g_error_new_valist (GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, format, args);
  va_end (args);
  return FALSE;
}

/* Sets the planes of @frame; FALSE with @error: their rows do not lie inside the
 * surface's memory. @params: an NvBufSurfaceParams. */
static gboolean
read_planes (const guint8 *params, YoloFrame *frame, GError **error)
{
  const YoloLayout *layout = &yolo_layouts[frame->format];
  const guint8 *planes = params + PARAMS_PLANES;
  const guint n_planes = u32 (planes, PLANES_NUMBER);
  const guint64 size = u32 (params, PARAMS_DATA_SIZE);
  gint i;

  for (i = 0; i < layout->n_components; i++) {
    const guint plane = (guint) layout->component[i].plane;
    const guint64 offset = u32 (planes, PLANES_OFFSET + 4 * plane),
                  pitch = u32 (planes, PLANES_PITCH + 4 * plane);
    const guint64 rows = (guint64) ((frame->height - 1) >> layout->component[i].y_shift) + 1;
    const guint64 row = (guint64) ((frame->width - 1) >> layout->component[i].x_shift)
            * (guint) layout->component[i].step
        + (guint) layout->component[i].offset + (layout->bits > 8 ? 2 : 1);

    if (plane >= n_planes || pitch < row || pitch > G_MAXINT32
        || offset + pitch * (rows - 1) + row > size)
      return refuse (error,
          "plane %u of an NVMM surface does not fit: %" G_GUINT64_FORMAT
          " rows of %" G_GUINT64_FORMAT " bytes, pitch %" G_GUINT64_FORMAT ", at %" G_GUINT64_FORMAT
          " of %" G_GUINT64_FORMAT " bytes, %u planes",
          plane, rows, row, pitch, offset, size, n_planes);
    frame->plane[plane] = (guint8 *) pointer (params, PARAMS_DATA) + offset;
    frame->stride[plane] = (ptrdiff_t) pitch;
  }
  return TRUE;
}

static gboolean
read_params (const guint8 *params, YoloFrame *frame, GError **error)
{
  const guint width = u32 (params, PARAMS_WIDTH), height = u32 (params, PARAMS_HEIGHT);
  const guint format = u32 (params, PARAMS_FORMAT);
  const gpointer data = pointer (params, PARAMS_DATA);
  guint i;

  if (width < 1 || height < 1 || width > 32768 || height > 32768)
    return refuse (
        error, "an NVMM surface of %ux%u pixels; 1 to 32768 each are supported", width, height);
  if (u32 (params, PARAMS_LAYOUT) != 0)
    return refuse (error,
        "an NVMM surface with block-linear layout; put an nvvideoconvert before, which makes it "
        "pitch-linear");
  if (data == NULL)
    return refuse (error, "an NVMM surface without memory");
  if ((guintptr) data > G_MAXSIZE - u32 (params, PARAMS_DATA_SIZE))
    return refuse (error, "an NVMM surface at %p, behind which there is no memory", data);
  for (i = 0; i < G_N_ELEMENTS (formats) && formats[i].format != format; i++) {
  }
  if (i == G_N_ELEMENTS (formats))
    return refuse (error, "an NVMM surface of color format %u, which is not supported; put "
        "nvvideoconvert ! video/x-raw(memory:NVMM),format=NV12 before", format);
  *frame = (YoloFrame) {
    .format = formats[i].pixels, .matrix = formats[i].matrix, .full_range = formats[i].full_range,
    .width = (int) width, .height = (int) height, .memory = YOLO_MEMORY_CUDA,
  };
  return read_planes (params, frame, error);
}

/* Bytes from one element of the surface's list to the next; 0: they cannot be told.
 * Where the size of the buffer does not tell the version, they are those of the only
 * version by which the second element of the list holds plausible values. */
static gsize
stride_of (const guint8 *list, gsize size, guint batch_size)
{
  gsize stride = 0;
  YoloFrame frame;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (versions); i++)
    if (size == versions[i].surface)
      return versions[i].params;
  for (i = 0; i < G_N_ELEMENTS (versions); i++)
    if (batch_size > 1 && read_params (list + versions[i].params, &frame, NULL)) {
      if (stride != 0)
        return 0;
      stride = versions[i].params;
    }
  return stride;
}

guint
yolo_nvmm_device (const void *data, gsize size)
{
  return size < SURFACE_LEAST_SIZE ? 0 : u32 (data, SURFACE_GPU_ID);
}

gboolean
yolo_nvmm_read (
    const void *data, gsize size, guint device, YoloFrame *frames, guint *n, GError **error)
{
  const guint8 *surface = data, *list;
  guint batch_size, i;
  gsize stride;

  if (size < SURFACE_LEAST_SIZE)
    return refuse (error, "a buffer of %" G_GSIZE_FORMAT " bytes is no NVMM surface", size);
  batch_size = u32 (surface, SURFACE_BATCH_SIZE);
  *n = u32 (surface, SURFACE_NUM_FILLED);
  list = pointer (surface, SURFACE_LIST);
  /* not all decoders count the frame where there is one */
  if (*n == 0 && batch_size == 1)
    *n = 1;
  if (*n > batch_size || batch_size > 1024 || *n > YOLO_NVMM_MAX_FRAMES || (*n > 0 && list == NULL))
    return refuse (error, "an NVMM surface with %u of %u frames; at most %u are supported", *n,
        batch_size, YOLO_NVMM_MAX_FRAMES);
  switch (u32 (surface, SURFACE_MEM_TYPE)) {
    case MEM_DEFAULT:
    case MEM_CUDA_PINNED:
    case MEM_CUDA_DEVICE:
    case MEM_CUDA_UNIFIED:
      break;
    case MEM_SURFACE_ARRAY:
    case MEM_HANDLE:
      return refuse (error,
          "an NVMM surface in memory of type %u, a Jetson's surface array, which is not supported; "
          "put nvvideoconvert ! video/x-raw,format=NV12 before, into system memory",
          u32 (surface, SURFACE_MEM_TYPE));
    default:
      return refuse (error,
          "an NVMM surface in memory of type %u, which CUDA kernels cannot read; put "
          "nvvideoconvert ! video/x-raw,format=NV12 before, into system memory",
          u32 (surface, SURFACE_MEM_TYPE));
  }
  if (u32 (surface, SURFACE_GPU_ID) != device)
    return refuse (error,
        "an NVMM surface on GPU %u, but the network runs on %u; set cuda-device-id=%u",
        u32 (surface, SURFACE_GPU_ID), device, u32 (surface, SURFACE_GPU_ID));
  stride = stride_of (list, size, batch_size);
  if (stride == 0 && *n > 1)
    return refuse (error,
        "a batch of %u NVMM frames whose layout is not known (%" G_GSIZE_FORMAT
        " bytes: neither of DeepStream up to 7.1 nor of 8.0 to 9.1); batches of one frame work",
        *n, size);
  for (i = 0; i < *n; i++) {
    if (!read_params (list + i * stride, &frames[i], error)) {
      g_prefix_error (error, "frame %u: ", i);
      return FALSE;
    }
    frames[i].device = device;
  }
  return TRUE;
}
