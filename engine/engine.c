/* SPDX-License-Identifier: MIT */
/* The engines of the process: who asks for the same gets the same one. */

#include "engine/engine-private.h"

#include <stdlib.h>

static GMutex registry_lock;
static GCond registry_changed;  /* an engine has loaded, or failed */
/* (element-type YoloEngine), borrowed: those that load or are ready */
static GList *registry;

/* The config, checked and with all that is `auto` decided. */
typedef struct {
  YoloPlace place;
  guint threads;
  YoloPrecision precision, if_quantized;
  const char *calibration_file;
  char *path;
} Resolved;

static const YoloBackend *
choose_backend (const YoloEngineParts *parts, const YoloEngineConfig *config, GError **error)
{
  g_autoptr (GError) no_cuda = NULL, no_cpu = NULL;

  if (config->device == YOLO_DEVICE_REFERENCE)
    return parts->reference;
  if (config->device == YOLO_DEVICE_CPU) {
    if (yolo_backend_available (parts->cpu, 0, error))
      return parts->cpu;
    g_prefix_error (error, "The CPU cannot run networks: ");
    return NULL;
  }

  if (yolo_backend_available (parts->cuda, config->cuda_device_id, &no_cuda))
    return parts->cuda;
  if (config->device == YOLO_DEVICE_CUDA) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "CUDA device %u cannot be used: %s; use device=cpu, or auto, which takes "
        "the CPU where there is no CUDA", config->cuda_device_id, no_cuda->message);
    return NULL;
  }

  if (yolo_backend_available (parts->cpu, 0, &no_cpu))
    return parts->cpu;
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
      "No device can run networks. CUDA device %u: %s. CPU: %s",
      config->cuda_device_id, no_cuda->message, no_cpu->message);
  return NULL;
}

static gboolean
resolve (const YoloEngineParts *parts, const YoloEngineConfig *config, Resolved *resolved,
    GError **error)
{
  const YoloBackend *backend;
  char *real;

  if (config->model_file == NULL || config->model_file[0] == '\0') {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE,
        "No model file is given: model-file must name a .pt or .onnx file");
    return FALSE;
  }
  backend = choose_backend (parts, config, error);
  if (backend == NULL)
    return FALSE;
  resolved->place.backend = backend;
  resolved->place.device = backend == parts->cuda ? config->cuda_device_id : 0;
  resolved->place.cuda_context = backend == parts->cuda ? config->cuda_context : NULL;
  resolved->threads = config->threads;
  resolved->calibration_file = config->calibration_file;
  resolved->precision = config->precision;
  if (!yolo_backend_resolve (backend, resolved->place.device, &resolved->precision, error))
    return FALSE;
  resolved->if_quantized = YOLO_PRECISION_INT8;
  if (config->precision != YOLO_PRECISION_AUTO
      || !yolo_backend_resolve (backend, resolved->place.device, &resolved->if_quantized, NULL))
    resolved->if_quantized = resolved->precision;

  /* A file that does not exist is for the loader to report. */
  real = realpath (config->model_file, NULL);
  resolved->path = real != NULL ? g_strdup (real)
      : g_canonicalize_filename (config->model_file, NULL);
  free (real);
  return TRUE;
}

/* Of an engine that has loaded its file, on which `auto` depends, or that is to
 * decide by it in the same way. */
static gboolean
same_precision (const YoloEngine *e, const Resolved *resolved)
{
  if (e->state == YOLO_ENGINE_READY)
    return e->precision == (e->model->quantized ? resolved->if_quantized : resolved->precision);
  return e->precision == resolved->precision && e->if_quantized == resolved->if_quantized;
}

static gboolean
same_place (const YoloPlace *a, const YoloPlace *b)
{
  return a->backend == b->backend && a->device == b->device && a->cuda_context == b->cuda_context;
}

/* Either by id or, without one, by what it was resolved to. Waits for one that
 * may be the same, which its file will tell. */
static YoloEngine *
find (const YoloEngineParts *parts, const char *id, const Resolved *resolved)
{
  for (GList *l = registry; l != NULL; l = l->next) {
    YoloEngine *e = l->data;

    if (e->parts != parts || g_strcmp0 (e->id, id) != 0)
      continue;
    if (id != NULL || (same_place (&e->replicas[0].place, &resolved->place)
            && e->threads == resolved->threads
            && g_strcmp0 (e->calibration_file, resolved->calibration_file) == 0
            && strcmp (e->path, resolved->path) == 0)) {
      if (id != NULL || same_precision (e, resolved))
        return e;
      if (e->state == YOLO_ENGINE_LOADING) {
        g_cond_wait (&registry_changed, &registry_lock);
        return find (parts, id, resolved);
      }
    }
  }
  return NULL;
}

static YoloEngine *
engine_new (const YoloEngineParts *parts, const YoloEngineConfig *config,
    const Resolved *resolved)
{
  YoloEngine *engine = g_new0 (YoloEngine, 1);

  engine->refs = 1;
  engine->loading = 1;          /* the first replica, which starts the others */
  engine->parts = parts;
  engine->id = g_strdup (config->id);
  engine->model_file = g_strdup (config->model_file);
  engine->path = g_strdup (resolved->path);
  engine->precision = resolved->precision;
  engine->if_quantized = resolved->if_quantized;
  engine->calibration_file = g_strdup (resolved->calibration_file);
  engine->threads = resolved->threads;
  g_mutex_init (&engine->lock);
  g_cond_init (&engine->work);
  g_cond_init (&engine->done);
  g_queue_init (&engine->streams);
  engine->groups = g_array_new (FALSE, FALSE, sizeof (YoloGroup));
  engine->n_replicas = parts->n_replicas;
  engine->replicas = g_new0 (YoloReplica, engine->n_replicas);
  for (guint i = 0; i < engine->n_replicas; i++) {
    engine->replicas[i].engine = engine;
    engine->replicas[i].place = resolved->place;
    engine->replicas[i].place.device += i;
  }
  return engine;
}

static void
engine_free (YoloEngine *engine)
{
  g_mutex_lock (&engine->lock);
  engine->stop = TRUE;
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
  for (guint i = 0; i < engine->n_replicas; i++)
    if (engine->replicas[i].thread != NULL)
      g_thread_join (engine->replicas[i].thread);
  g_free (engine->replicas);
  if (engine->model != NULL)
    engine->parts->unref_model (engine->model);
  g_clear_error (&engine->error);
  g_array_unref (engine->groups);
  g_mutex_clear (&engine->lock);
  g_cond_clear (&engine->work);
  g_cond_clear (&engine->done);
  g_free (engine->id);
  g_free (engine->model_file);
  g_free (engine->calibration_file);
  g_free (engine->path);
  g_free (engine);
}

static gboolean
start_thread (YoloReplica *replica, GError **error)
{
  g_autoptr (GError) failed = NULL;

  replica->thread = g_thread_try_new ("yolo-engine", yolo_replica_run, replica, &failed);
  if (replica->thread == NULL)
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY,
        "No thread can be started: %s", failed->message);
  return replica->thread != NULL;
}

gboolean
yolo_engine_start (YoloEngine *engine, guint i, GError **error)
{
  gboolean started;

  g_mutex_lock (&registry_lock);
  started = start_thread (&engine->replicas[i], error);
  engine->loading += started;
  g_mutex_unlock (&registry_lock);
  return started;
}

void
yolo_engine_loaded (YoloEngine *engine, GError *error)
{
  g_mutex_lock (&registry_lock);
  if (engine->error == NULL)
    engine->error = error;
  else
    g_clear_error (&error);
  if (--engine->loading == 0) {
    engine->state = engine->error == NULL ? YOLO_ENGINE_READY : YOLO_ENGINE_FAILED;
    /* here, since find() compares it */
    if (engine->error == NULL && engine->model->quantized)
      engine->precision = engine->if_quantized;
    if (engine->error != NULL)
      registry = g_list_remove (registry, engine);
    g_cond_broadcast (&registry_changed);
  }
  g_mutex_unlock (&registry_lock);
}

gboolean
yolo_engine_is_own_thread (const YoloEngine *engine)
{
  for (guint i = 0; i < engine->n_replicas; i++)
    if (engine->replicas[i].thread == g_thread_self ())
      return TRUE;
  return FALSE;
}

YoloEngine *
yolo_engine_get_from (const YoloEngineParts *parts, const YoloEngineConfig *config,
    GError **error)
{
  Resolved resolved = { .path = NULL };
  YoloEngine *engine = NULL;

  g_mutex_lock (&registry_lock);
  if (config->id != NULL)
    engine = find (parts, config->id, NULL);
  if (engine == NULL) {
    /* Asking for a device may take a while and needs no lock. */
    g_mutex_unlock (&registry_lock);
    if (!resolve (parts, config, &resolved, error))
      return NULL;
    g_mutex_lock (&registry_lock);
    engine = find (parts, config->id, &resolved);
  }

  if (engine != NULL) {
    engine->refs++;
  } else {
    engine = engine_new (parts, config, &resolved);
    if (start_thread (&engine->replicas[0], &engine->error))
      registry = g_list_prepend (registry, engine);
    else
      engine->state = YOLO_ENGINE_FAILED;
  }
  while (engine->state == YOLO_ENGINE_LOADING)
    g_cond_wait (&registry_changed, &registry_lock);
  g_mutex_unlock (&registry_lock);

  g_free (resolved.path);
  if (engine->state == YOLO_ENGINE_FAILED) {
    g_propagate_error (error, g_error_copy (engine->error));
    yolo_engine_unref (engine);
    return NULL;
  }
  return engine;
}

YoloEngine *
yolo_engine_ref (YoloEngine *engine)
{
  g_mutex_lock (&registry_lock);
  engine->refs++;
  g_mutex_unlock (&registry_lock);
  return engine;
}

void
yolo_engine_unref (YoloEngine *engine)
{
  gboolean last;

  if (engine == NULL)
    return;
  g_return_if_fail (!yolo_engine_is_own_thread (engine));

  g_mutex_lock (&registry_lock);
  last = --engine->refs == 0;
  if (last)
    registry = g_list_remove (registry, engine);
  g_mutex_unlock (&registry_lock);
  if (last)
    engine_free (engine);
}

const YoloModel *
yolo_engine_model (YoloEngine *engine)
{
  return engine->model;
}

YoloPrecision
yolo_engine_precision (YoloEngine *engine)
{
  return engine->precision;
}

gboolean
yolo_engine_takes (YoloEngine *engine, YoloMemory memory)
{
  return yolo_backend_takes (engine->replicas[0].place.backend, memory);
}

const char *
yolo_engine_backend (YoloEngine *engine)
{
  return engine->replicas[0].place.backend->name;
}

char *
yolo_engine_remark (YoloEngine *engine)
{
  return yolo_net_remark (engine->replicas[0].net);
}

void
yolo_engine_set_batching (YoloEngine *engine, guint batch_size, guint64 batch_timeout)
{
  g_mutex_lock (&engine->lock);
  engine->batch_size = batch_size;
  engine->batch_timeout = batch_timeout;
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
}

void
yolo_engine_get_stats (YoloEngine *engine, YoloEngineStats *stats)
{
  g_mutex_lock (&engine->lock);
  *stats = engine->stats;
  stats->streams = engine->streams.length;
  g_mutex_unlock (&engine->lock);
}

gboolean
yolo_engine_prepare (YoloEngine *engine, guint net_width, guint net_height, GError **error)
{
  g_return_val_if_fail (!yolo_engine_is_own_thread (engine), FALSE);

  for (guint i = 0; i < engine->n_replicas; i++) {
    YoloReplica *replica = &engine->replicas[i];
    YoloPrepare prepare = { NULL, net_width, net_height, FALSE, NULL };

    g_mutex_lock (&engine->lock);
    prepare.next = replica->prepare;
    replica->prepare = &prepare;
    engine->waiting++;
    g_cond_broadcast (&engine->work);
    while (!prepare.done)
      g_cond_wait (&engine->done, &engine->lock);
    engine->waiting--;
    g_mutex_unlock (&engine->lock);

    if (prepare.error != NULL) {
      g_propagate_error (error, prepare.error);
      return FALSE;
    }
  }
  return TRUE;
}
