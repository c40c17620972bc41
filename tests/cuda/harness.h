/* SPDX-License-Identifier: MIT */
/* What tests of kernels share: a device, and tensors of which a kernel sees a part. */

#ifndef TEST_CUDA_HARNESS_H
#define TEST_CUDA_HARNESS_H

#include "cuda/device.h"
#include "network/plan.h"

/* Of the process; its context is current. NULL: there is none, and the plan of
 * a skipped test was printed. */
extern YoloCudaDevice *test_device;
gboolean test_device_open (void);
void test_device_close (void);

/* A cache folder of the test's own, to be made before anything asks GLib for the
 * user's; removed with what the back end wrote to it. */
void test_cache_new (void);
void test_cache_remove (void);
/* The path of the only file in it; NULL: there is none. Free with g_free(). */
char *test_cache_file (void);
/* Puts into the place of a file what is not to be read: a folder, a pipe that nobody
 * writes to, and @size bytes that take no room; returns what yolo_file_read() says of it. */
#define TEST_UNREADABLE 3
const char *test_unreadable (guint which, const char *path, goffset size);

/* Channels [first, first + channels) of a buffer [n][height][width][pitch]. All
 * else holds 0xff bytes, NaN as floats, which no kernel may read a result out
 * of, nor change. The allocation ends where the buffer ends. */
typedef struct {
  YoloDType dtype;
  guint n, height, width, channels, pitch, first;
  gsize size;                   /* bytes */
  guint8 *host;
  CUdeviceptr memory, view;     /* view: of the first element that kernels see */
} Tensor;

void tensor_init (Tensor *tensor, YoloDType dtype, guint n, guint height, guint width,
    guint channels, guint pitch, guint first);
void tensor_clear (Tensor *tensor);
/* Fills the view with numbers of [-scale, scale], as the type rounds them, and uploads. */
void tensor_randomise (Tensor *tensor, guint32 seed, double scale);
void tensor_upload (Tensor *tensor);
/* And checks that nothing but the view was changed. */
void tensor_download (Tensor *tensor);
double tensor_get (const Tensor *tensor, guint n, guint y, guint x, guint c);
void tensor_set (Tensor *tensor, guint n, guint y, guint x, guint c, double value);
/* What the first element's address and the pitch are multiples of, up to 16. */
guint tensor_align (const Tensor *tensor);

double test_random (guint32 *state);    /* [-1, 1] */

#endif
