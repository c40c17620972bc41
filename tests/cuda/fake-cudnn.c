/* SPDX-License-Identifier: MIT */
/* A libcudnn.so.9 that computes nothing: it takes what the real one takes, and
 * its "convolution" fills the first 64 bytes of the output with 0x5a in the
 * stream of the handle. With it the calls around a launch are tested where the
 * real one does not run. Values are those of cudnn_graph.h. */

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAD_PARAM = 2000, EXECUTION_FAILED = 5000 };
enum {
  HEUR_RESULTS = 202,
  CONFIG_ENGINE = 300,
  PLAN_WORKSPACE = 402,
  PLAN_JSON = 405,
  PACK_IDS = 1000,
  PACK_POINTERS = 1001,
  PACK_WORKSPACE = 1003,
  ENGINE_INDEX = 1301,
  ENGINE_BEHAVIOUR = 1305
};
enum { ID_OUT = 8 };

typedef struct {
  int type, number, finished;
  int64_t ids[16], n;
  void *pointers[16], *workspace;
} Descriptor;

typedef struct {
  void *stream;
  pthread_t thread;             /* that set it */
} Handle;

#define EXPORT __attribute__ ((visibility ("default")))

static int (*fill) (unsigned long long, unsigned char, size_t, void *);

EXPORT size_t
cudnnGetVersion (void)
{
  return 90900;
}

EXPORT const char *
cudnnGetErrorString (int status)
{
  return status == BAD_PARAM ? "BAD_PARAM" : "FAILED";
}

EXPORT void
cudnnGetLastErrorString (char *message, size_t size)
{
  snprintf (message, size, "as the test wants it");
}

EXPORT int
cudnnCreate (Handle **handle)
{
  void *driver = dlopen ("libcuda.so.1", RTLD_NOW);

  *(void **) &fill = driver != NULL ? dlsym (driver, "cuMemsetD8Async") : NULL;
  *handle = calloc (1, sizeof (Handle));
  return fill != NULL ? 0 : EXECUTION_FAILED;
}

EXPORT int
cudnnDestroy (Handle *handle)
{
  free (handle);
  return 0;
}

EXPORT int
cudnnSetStream (Handle *handle, void *stream)
{
  handle->stream = stream;
  handle->thread = pthread_self ();
  usleep (100);                 /* another thread's chance to be wrong */
  return 0;
}

EXPORT int
cudnnBackendCreateDescriptor (int type, Descriptor **descriptor)
{
  *descriptor = calloc (1, sizeof (Descriptor));
  (*descriptor)->type = type;
  return 0;
}

EXPORT int
cudnnBackendDestroyDescriptor (Descriptor *descriptor)
{
  free (descriptor);
  return 0;
}

EXPORT int
cudnnBackendSetAttribute (Descriptor *descriptor, int name, int type, int64_t n, const void *values)
{
  if (descriptor->finished || n < 1 || values == NULL)
    return BAD_PARAM;
  if (name == PACK_IDS && n <= 16)
    memcpy (descriptor->ids, values, (size_t) (descriptor->n = n) * sizeof (int64_t));
  else if (name == PACK_POINTERS && n <= 16)
    memcpy (descriptor->pointers, values, (size_t) n * sizeof (void *));
  else if (name == PACK_WORKSPACE)
    memcpy (&descriptor->workspace, values, sizeof (void *));
  return 0;
}

EXPORT int
cudnnBackendFinalize (Descriptor *descriptor)
{
  descriptor->finished = 1;
  return 0;
}

/* Three configurations; the second one's engine wants weights in another order. */
EXPORT int
cudnnBackendGetAttribute (
    Descriptor *descriptor, int name, int type, int64_t max, int64_t *n, void *values)
{
  static const char plan[] = "{\"plan\": 1}";
  Descriptor **others = values;

  *n = 1;
  switch (name) {
    case HEUR_RESULTS:
      for (*n = 0; *n < max && *n < 3; ++*n)
        others[*n]->number = (int) *n;
      return 0;
    case CONFIG_ENGINE:
      others[0]->number = descriptor->number;
      return 0;
    case ENGINE_INDEX:
      *(int64_t *) values = 40 + descriptor->number;
      return 0;
    case ENGINE_BEHAVIOUR:
      *(int *) values = descriptor->number == 1 ? 1 : 0;
      return 0;
    case PLAN_WORKSPACE:
      *(int64_t *) values = 1024;
      return 0;
    case PLAN_JSON:
      *n = sizeof (plan);
      if (values != NULL)
        memcpy (values, plan, sizeof (plan));
      return 0;
    default:
      *n = 0;
      return 0;
  }
}

EXPORT int
cudnnBackendExecute (Handle *handle, Descriptor *plan, Descriptor *pack)
{
  if (!plan->finished || !pack->finished || pack->workspace == NULL
      || !pthread_equal (handle->thread, pthread_self ()))
    return BAD_PARAM;
  if (getenv ("FAKE_CUDNN_FAILS") != NULL)
    return EXECUTION_FAILED;
  for (int64_t i = 0; i < pack->n; i++)
    if (pack->ids[i] == ID_OUT)
      return fill ((uintptr_t) pack->pointers[i], 0x5a, 64, handle->stream) == 0 ? 0
                                                                                 : EXECUTION_FAILED;
  return BAD_PARAM;
}
