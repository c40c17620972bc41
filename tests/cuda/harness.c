/* SPDX-License-Identifier: MIT */
#include "tests/cuda/harness.h"

#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuda/half.h"

YoloCudaDevice *test_device;

gboolean
test_device_open (void)
{
  g_autoptr (GError) error = NULL;
  const char *number = g_getenv ("YOLO_TEST_CUDA_DEVICE");

  test_device = yolo_cuda_device_get (number != NULL ? (guint) atoi (number) : 0, NULL, &error);
  if (test_device == NULL || !yolo_cuda_enter (test_device, &error)) {
    printf ("1..0 # SKIP %s\n", error->message);
    return FALSE;
  }
  return TRUE;
}

void
test_device_close (void)
{
  yolo_cuda_leave (test_device);
  yolo_cuda_device_unref (test_device);
}

static char *cache;

void
test_cache_new (void)
{
  cache = g_dir_make_tmp ("yolo-cuda-XXXXXX", NULL);
  g_assert_nonnull (cache);
  g_setenv ("XDG_CACHE_HOME", cache, TRUE);
}

void
test_cache_remove (void)
{
  g_autofree char *folder = g_build_filename (cache, "yolo", NULL);
  GDir *dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_remove (path);
  }
  g_clear_pointer (&dir, g_dir_close);
  g_rmdir (folder);
  g_rmdir (cache);
  g_clear_pointer (&cache, g_free);
}

char *
test_cache_file (void)
{
  g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "yolo", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name = dir != NULL ? g_dir_read_name (dir) : NULL;

  return name != NULL ? g_build_filename (folder, name, NULL) : NULL;
}

const char *
test_unreadable (guint which, const char *path, goffset size)
{
  g_remove (path);
  switch (which) {
    case 0:
      g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
      return "is a directory";
    case 1:
      g_assert_cmpint (mkfifo (path, 0600), ==, 0);
      return "is no regular file";
    default:
      g_assert_true (g_file_set_contents (path, "", 0, NULL));
      g_assert_cmpint (truncate (path, size), ==, 0);
      return "is larger than";
  }
}

double
test_random (guint32 *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return (double) (*state >> 8) / (1 << 23) - 1;
}

void
tensor_init (Tensor *tensor, YoloDType dtype, guint n, guint height, guint width, guint channels,
    guint pitch, guint first)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (first + channels, <=, pitch);
  *tensor = (Tensor) { dtype, n, height, width, channels, pitch, first,
    .size = (gsize) n * height * width * pitch * yolo_dtype_size (dtype) };
  tensor->host = g_malloc (tensor->size);
  memset (tensor->host, 0xff, tensor->size);
  tensor->memory = yolo_cuda_alloc (test_device, tensor->size, "a test", &error);
  g_assert_no_error (error);
  tensor->view = tensor->memory + first * yolo_dtype_size (dtype);
  tensor_upload (tensor);
}

void
tensor_clear (Tensor *tensor)
{
  yolo_cuda_free (test_device, tensor->memory);
  g_free (tensor->host);
}

static guint8 *
element (const Tensor *tensor, guint n, guint y, guint x, guint c)
{
  gsize i =
      (((gsize) n * tensor->height + y) * tensor->width + x) * tensor->pitch + tensor->first + c;

  return tensor->host + i * yolo_dtype_size (tensor->dtype);
}

double
tensor_get (const Tensor *tensor, guint n, guint y, guint x, guint c)
{
  const guint8 *p = element (tensor, n, y, x, c);
  guint16 half;
  float value;

  switch (tensor->dtype) {
    case YOLO_F16:
      memcpy (&half, p, 2);
      return yolo_half_to_float (half);
    case YOLO_S8:
      return *(const gint8 *) p;
    case YOLO_F32:
      memcpy (&value, p, 4);
      return value;
    case YOLO_BF16:
    case YOLO_U8:
      break;                    /* no kernel takes tensors of these types */
  }
  g_assert_not_reached ();
}

void
tensor_set (Tensor *tensor, guint n, guint y, guint x, guint c, double value)
{
  guint8 *p = element (tensor, n, y, x, c);
  float single = (float) value;
  guint16 half;

  switch (tensor->dtype) {
    case YOLO_F16:
      half = yolo_half_from_float (single);
      memcpy (p, &half, 2);
      break;
    case YOLO_S8:
      *(gint8 *) p = (gint8) lrint (value);
      break;
    case YOLO_F32:
      memcpy (p, &single, 4);
      break;
    case YOLO_BF16:
    case YOLO_U8:
      g_assert_not_reached ();  /* no kernel takes tensors of these types */
  }
}

void
tensor_randomise (Tensor *tensor, guint32 seed, double scale)
{
  for (guint n = 0; n < tensor->n; n++)
    for (guint y = 0; y < tensor->height; y++)
      for (guint x = 0; x < tensor->width; x++)
        for (guint c = 0; c < tensor->channels; c++)
          tensor_set (tensor, n, y, x, c, test_random (&seed) * scale);
  tensor_upload (tensor);
}

void
tensor_upload (Tensor *tensor)
{
  g_assert_cmpint (test_device->driver->cuMemcpyHtoD (tensor->memory, tensor->host, tensor->size),
      ==, CUDA_SUCCESS);
}

void
tensor_download (Tensor *tensor)
{
  gsize size = yolo_dtype_size (tensor->dtype), pixel = tensor->pitch * size;

  g_assert_cmpint (test_device->driver->cuMemcpyDtoH (tensor->host, tensor->memory, tensor->size),
      ==, CUDA_SUCCESS);
  for (gsize i = 0; i < tensor->size; i++) {
    gsize c = i % pixel / size;
    if ((c < tensor->first || c >= tensor->first + tensor->channels) && tensor->host[i] != 0xff)
      g_error (
          "channel %d of pixel %d, outside of the view, was changed", (int) c, (int) (i / pixel));
  }
}

guint
tensor_align (const Tensor *tensor)
{
  gsize bits = (gsize) tensor->view | tensor->pitch * yolo_dtype_size (tensor->dtype) | 16;

  return (guint) (bits & -bits);
}
