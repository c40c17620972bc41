/* SPDX-License-Identifier: MIT */
#include "cuda/device.h"

#include <string.h>

/* Each module's fat binary, as compile.sh names it. */
#define IMAGE(name) extern const guint8 yolo_cuda_image_##name[];
YOLO_CUDA_MODULES (IMAGE)
#undef IMAGE

static const struct {
  const char *name;
  const guint8 *image;
} modules[YOLO_CUDA_N_MODULES] = {
#define MODULE(name) { #name, yolo_cuda_image_##name },
  YOLO_CUDA_MODULES (MODULE)
#undef MODULE
};

static GMutex registry_lock;
static GList *registry;         /* (element-type YoloCudaDevice): all there are, not owned */

static int
attribute (const YoloCudaDevice *device, CUdevice_attribute which)
{
  int value = 0;

  if (device->driver->cuDeviceGetAttribute (&value, which, device->device) != CUDA_SUCCESS)
    return 0;
  return value;
}

static void
read_facts (YoloCudaDevice *device)
{
  CUuuid uuid;

  device->driver->cuDeviceGetName (device->name, sizeof (device->name), device->device);
  device->driver->cuDeviceTotalMem (&device->memory, device->device);
  if (device->driver->cuDeviceGetUuid (&uuid, device->device) == CUDA_SUCCESS)
    for (guint i = 0; i < 16; i++)
      g_snprintf (device->uuid + 2 * i, 3, "%02x", (guint8) uuid.bytes[i]);
  device->capability = 10 * attribute (device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
      + attribute (device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  device->n_sm = attribute (device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  device->shared_per_block =
      attribute (device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  device->shared_per_sm =
      attribute (device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
  device->clock_khz = attribute (device, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
  device->memory_clock_khz = attribute (device, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
  device->memory_bus_bits = attribute (device, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
}

/* Whether the context belongs to the device: kernels must never be given addresses of
 * another device's memory. */
static gboolean
check_context (YoloCudaDevice *device, GError **error)
{
  CUdevice of = -1;

  if (!yolo_cuda_enter (device, error))
    return FALSE;
  device->driver->cuCtxGetDevice (&of);
  yolo_cuda_leave (device);
  if (of == device->device)
    return TRUE;
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
      "the CUDA context of the frames belongs to device %d, not to device %u; set "
      "cuda-device-id=%d",
      of, device->index, of);
  return FALSE;
}

static void
device_free (YoloCudaDevice *device)
{
  if (device->context != NULL && yolo_cuda_enter (device, NULL)) {
    if (device->cudnn != NULL)
      device->cudnn_free (device->cudnn);
    for (guint i = 0; i < YOLO_CUDA_N_MODULES; i++)
      if (device->modules[i] != NULL)
        device->driver->cuModuleUnload (device->modules[i]);
    yolo_cuda_leave (device);
  }
  if (device->primary)
    device->driver->cuDevicePrimaryCtxRelease (device->device);
  g_mutex_clear (&device->lock);
  g_free (device);
}

/* Finds the device and reads its facts, for which no context is needed. */
static gboolean
device_find (YoloCudaDevice *device, GError **error)
{
  const YoloCudaDriver *driver = device->driver;
  int n = 0;

  if (!yolo_cuda_check (driver->cuDeviceGetCount (&n), "count devices", error))
    return FALSE;
  if (device->index >= (guint) n) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "there %s %d CUDA device%s, counted from 0", n == 1 ? "is" : "are", n, n == 1 ? "" : "s");
    return FALSE;
  }
  if (!yolo_cuda_check (
          driver->cuDeviceGet (&device->device, (int) device->index), "open the device", error))
    return FALSE;
  read_facts (device);
  if (device->capability < 75) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "%s is too old: compute capability %d.%d, 7.5 (Turing) or newer is needed", device->name,
        device->capability / 10, device->capability % 10);
    return FALSE;
  }
  return TRUE;
}

static gboolean
device_open (YoloCudaDevice *device, gpointer context, GError **error)
{
  if (!device_find (device, error))
    return FALSE;
  if (context != NULL) {
    device->context = context;
  } else {
    if (!yolo_cuda_check (
            device->driver->cuDevicePrimaryCtxRetain (&device->context, device->device),
            "make a context on the device", error))
      return FALSE;
    device->primary = TRUE;
  }
  return check_context (device, error);
}

static YoloCudaDevice *
device_new (guint index, gpointer context, GError **error)
{
  const YoloCudaDriver *driver = yolo_cuda_driver (error);

  if (driver == NULL)
    return NULL;
  YoloCudaDevice *device = g_new0 (YoloCudaDevice, 1);
  device->driver = driver;
  device->index = index;
  device->refs = 1;
  g_mutex_init (&device->lock);
  if (!device_open (device, context, error)) {
    device_free (device);
    return NULL;
  }
  return device;
}

gboolean
yolo_cuda_device_check (guint index, GError **error)
{
  YoloCudaDevice device = { .index = index, .driver = yolo_cuda_driver (error) };

  return device.driver != NULL && device_find (&device, error);
}

YoloCudaDevice *
yolo_cuda_device_get (guint index, gpointer context, GError **error)
{
  YoloCudaDevice *device;

  g_mutex_lock (&registry_lock);
  for (GList *l = registry; l != NULL; l = l->next) {
    device = l->data;
    if (device->index == index
        && (context != NULL ? device->context == context : device->primary)) {
      device->refs++;
      g_mutex_unlock (&registry_lock);
      return device;
    }
  }
  device = device_new (index, context, error);
  if (device != NULL)
    registry = g_list_prepend (registry, device);
  g_mutex_unlock (&registry_lock);
  return device;
}

YoloCudaDevice *
yolo_cuda_device_ref (YoloCudaDevice *device)
{
  g_mutex_lock (&registry_lock);
  device->refs++;
  g_mutex_unlock (&registry_lock);
  return device;
}

void
yolo_cuda_device_unref (YoloCudaDevice *device)
{
  gboolean last;

  if (device == NULL)
    return;
  g_mutex_lock (&registry_lock);
  last = --device->refs == 0;
  if (last)
    registry = g_list_remove (registry, device);
  g_mutex_unlock (&registry_lock);
  if (last)
    device_free (device);
}

gboolean
yolo_cuda_enter (YoloCudaDevice *device, GError **error)
{
  return yolo_cuda_check (
      device->driver->cuCtxPushCurrent (device->context), "use the device's context", error);
}

void
yolo_cuda_leave (YoloCudaDevice *device)
{
  CUcontext context;

  device->driver->cuCtxPopCurrent (&context);
}

static gboolean
load_module (YoloCudaDevice *device, YoloCudaModule module, GError **error)
{
  CUresult result;

  if (device->modules[module] != NULL)
    return TRUE;
  result = device->driver->cuModuleLoadData (&device->modules[module], modules[module].image);
  if (result == CUDA_ERROR_NO_BINARY_FOR_GPU || result == CUDA_ERROR_UNSUPPORTED_PTX_VERSION) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "this plugin's kernels (%s) do not run on %s (compute capability %d.%d) with this driver "
        "(CUDA %d.%d); "
        "install a newer driver, or build the plugin with the driver's CUDA toolkit",
        modules[module].name, device->name, device->capability / 10, device->capability % 10,
        device->driver->version / 1000, device->driver->version % 1000 / 10);
    return FALSE;
  }
  return yolo_cuda_check (result, "load kernels", error);
}

CUfunction
yolo_cuda_function (YoloCudaDevice *device, YoloCudaModule module, const char *name, GError **error)
{
  CUfunction function = NULL;

  g_mutex_lock (&device->lock);
  if (load_module (device, module, error))
    yolo_cuda_check (device->driver->cuModuleGetFunction (&function, device->modules[module], name),
        name, error);
  g_mutex_unlock (&device->lock);
  return function;
}

gboolean
yolo_cuda_launch (YoloCudaDevice *device, CUfunction function, guint grid_x, guint grid_y,
    guint grid_z, guint block, guint shared, CUstream stream, const void *params, GError **error)
{
  void *arguments[] = { (void *) params };

  return yolo_cuda_check (device->driver->cuLaunchKernel (function, grid_x, grid_y, grid_z, block,
                              1, 1, shared, stream, arguments, NULL),
      "launch a kernel", error);
}

static gboolean
check_memory (CUresult result, gsize size, const char *what, GError **error)
{
  if (result == CUDA_SUCCESS)
    return TRUE;
  g_autofree char *text = g_strdup_printf ("allocate %" G_GSIZE_FORMAT " bytes for %s", size, what);
  return yolo_cuda_check (result, text, error);
}

CUdeviceptr
yolo_cuda_alloc (YoloCudaDevice *device, gsize size, const char *what, GError **error)
{
  CUdeviceptr memory = 0;

  return check_memory (device->driver->cuMemAlloc (&memory, MAX (size, 1)), size, what, error)
      ? memory
      : 0;
}

void
yolo_cuda_free (YoloCudaDevice *device, CUdeviceptr memory)
{
  if (memory != 0)
    device->driver->cuMemFree (memory);
}

gboolean
yolo_cuda_write (YoloCudaDevice *device, CUdeviceptr to, const void *from, gsize size,
    const char *what, GError **error)
{
  /* The copy returns as soon as it has read the host's bytes. It may still be under way in
   * the default stream then, for which our streams do not wait. */
  return yolo_cuda_check (device->driver->cuMemcpyHtoD (to, from, size), what, error)
      && yolo_cuda_check (device->driver->cuStreamSynchronize (NULL), what, error);
}

void *
yolo_cuda_alloc_host (YoloCudaDevice *device, gsize size, const char *what, GError **error)
{
  void *memory = NULL;

  return check_memory (
             device->driver->cuMemHostAlloc (&memory, MAX (size, 1), 0), size, what, error)
      ? memory
      : NULL;
}

void
yolo_cuda_free_host (YoloCudaDevice *device, void *memory)
{
  if (memory != NULL)
    device->driver->cuMemFreeHost (memory);
}
