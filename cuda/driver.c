/* SPDX-License-Identifier: MIT */
#include "cuda/driver.h"

#include <dlfcn.h>

static YoloCudaDriver driver;
static GError *unusable;

/* A function's name as a string, after cuda.h has renamed it: "cuMemAlloc_v2". */
#define SYMBOL(name) SYMBOL_OF (name)
#define SYMBOL_OF(name) #name

/* Finds a function. A header that is newer than the driver may name a version of it that the
 * driver lacks. The one function whose first version does as well is cuEventElapsedTime: its
 * versions differ in their errors alone. */
static void *
symbol (void *library, const char *name)
{
  void *address = dlsym (library, name);

  if (address == NULL && g_str_has_prefix (name, "cuEventElapsedTime"))
    address = dlsym (library, "cuEventElapsedTime");
  return address;
}

static GError *
open_driver (void)
{
  void *library = dlopen ("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  const char *missing = NULL;
  CUresult result;

  if (library == NULL)
    return g_error_new (YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "no NVIDIA driver is installed (%s)", dlerror ());
#define ENTRY(name) \
  if ((*(void **) &driver.name = symbol (library, SYMBOL (name))) == NULL) \
    missing = SYMBOL (name);
  YOLO_CUDA_ENTRIES (ENTRY)
#undef ENTRY
  if (missing != NULL)
    return g_error_new (YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "the NVIDIA driver is too old: it has no %s; CUDA 12.0 (driver 525) or newer is needed",
        missing);

  result = driver.cuInit (0);
  if (result == CUDA_ERROR_NO_DEVICE)
    return g_error_new (
        YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE, "the NVIDIA driver finds no GPU");
  if (result != CUDA_SUCCESS) {
    const char *text = NULL;

    driver.cuGetErrorString (result, &text);
    return g_error_new (YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "the NVIDIA driver does not start: %s (%d)", text != NULL ? text : "unknown error", result);
  }
  driver.cuDriverGetVersion (&driver.version);
  return NULL;
}

const YoloCudaDriver *
yolo_cuda_driver (GError **error)
{
  static gsize tried = 0;

  /* The library is never closed, because it has threads of its own. */
  if (g_once_init_enter (&tried)) {
    unusable = open_driver ();
    g_once_init_leave (&tried, 1);
  }
  if (unusable != NULL) {
    g_propagate_error (error, g_error_copy (unusable));
    return NULL;
  }
  return &driver;
}

gboolean
yolo_cuda_check (CUresult result, const char *what, GError **error)
{
  const char *name = NULL, *text = NULL;

  if (result == CUDA_SUCCESS)
    return TRUE;
  driver.cuGetErrorName (result, &name);
  driver.cuGetErrorString (result, &text);
  g_set_error (error, YOLO_NETWORK_ERROR,
      result == CUDA_ERROR_OUT_OF_MEMORY ? YOLO_NETWORK_ERROR_MEMORY : YOLO_NETWORK_ERROR_DEVICE,
      "cannot %s: %s (%s)", what, text != NULL ? text : "unknown error", name != NULL ? name : "?");
  return FALSE;
}
