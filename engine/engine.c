/* SPDX-License-Identifier: MIT */
/* The engines of the process: who asks for the same gets the same one. */

#include "engine/engine-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static GMutex registry_lock;
static GCond registry_changed;  /* a model or a set of replicas has loaded, or failed */
/* (element-type YoloEngine), borrowed: those that load or are ready */
static GList *registry;

/* A YoloEngineConfig, checked, and with all that was `auto` decided. */
typedef struct {
  YoloSite sites[YOLO_MAX_DEVICES];
  guint n_sites;
  guint threads;
  YoloHeadChoice head;
  YoloPrecision precision, if_quantized;
  const char *calibration_file;
  char *path;
  YoloFileStamp stamp;
} Resolved;

/* The back end that a choice means, of which GPU @cuda or, of the CPU, device @node is asked
 * about. */
static const YoloBackend *
choose_backend (const YoloEngineParts *parts, YoloDevice device, guint cuda, guint node,
    GError **error)
{
  g_autoptr (GError) no_cuda = NULL, no_cpu = NULL;

  if (device == YOLO_DEVICE_CPU || device == YOLO_DEVICE_REFERENCE) {
    gboolean cpu = device == YOLO_DEVICE_CPU;
    const YoloBackend *backend = cpu ? parts->cpu : parts->reference;

    if (yolo_backend_available (backend, cpu ? node : 0, error))
      return backend;
    g_prefix_error (error, "The %s cannot run networks: ", cpu ? "CPU" : "reference");
    return NULL;
  }

  if (yolo_backend_available (parts->cuda, cuda, &no_cuda))
    return parts->cuda;
  if (device == YOLO_DEVICE_CUDA) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "CUDA device %u cannot be used: %s; use device=cpu, or auto, which takes "
        "the CPU where there is no CUDA", cuda, no_cuda->message);
    return NULL;
  }

  if (yolo_backend_available (parts->cpu, 0, &no_cpu))
    return parts->cpu;
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
      "No device can run networks. CUDA device %u: %s. CPU: %s",
      cuda, no_cuda->message, no_cpu->message);
  return NULL;
}

static gboolean
choose_sites (const YoloEngineParts *parts, const YoloEngineConfig *config, Resolved *resolved,
    GError **error)
{
  YoloDevices devices;

  if (!yolo_devices_parse (config->device, &devices, error))
    return FALSE;
  for (guint i = 0; i < devices.n; i++) {
    const YoloDeviceChoice *choice = &devices.at[i];
    guint cuda = choice->number >= 0 ? (guint) choice->number : config->cuda_device_id;
    /* device 0 of the CPU is all of it, device n + 1 its NUMA node n */
    guint node = choice->kind == YOLO_DEVICE_CPU ? (guint) choice->number + 1 : 0;
    const YoloBackend *backend = choose_backend (parts, choice->kind, cuda, node, error);
    YoloSite *site;

    if (backend == NULL)
      return FALSE;
    if (!choice->joined)
      resolved->n_sites++;
    site = &resolved->sites[resolved->n_sites - 1];
    site->at[site->n++] = (YoloPlace) { backend, backend == parts->cuda ? cuda : node };
  }
  return TRUE;
}

/* All places of all sites, [YOLO_MAX_DEVICES]; returns how many they are. */
static guint
list_places (const Resolved *resolved, YoloPlace *places)
{
  guint n = 0;

  for (guint i = 0; i < resolved->n_sites; i++)
    for (guint k = 0; k < resolved->sites[i].n; k++)
      places[n++] = resolved->sites[i].at[k];
  return n;
}

/* What all places run in where @precision is asked for, so that it does not matter which of them
 * has run a frame: `auto` is fp32 where they would choose differently. */
static gboolean
choose_precision (const Resolved *resolved, YoloPrecision *precision, GError **error)
{
  const YoloPrecision asked = *precision;
  YoloPlace places[YOLO_MAX_DEVICES];
  const guint n = list_places (resolved, places);

  for (guint i = 0; i < n; i++) {
    YoloPrecision here = asked;

    if (!yolo_backend_resolve (places[i].backend, places[i].device, &here, error))
      return FALSE;
    *precision = i == 0 || here == *precision ? here : YOLO_PRECISION_FP32;
  }
  if (*precision != YOLO_PRECISION_INT8)
    return TRUE;
  /* an engine has one model */
  for (guint i = 1; i < n; i++)
    if (places[i].backend->int8_kind != places[0].backend->int8_kind)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_PRECISION,
          "int8 has other numbers on %s than on %s, so that they cannot share a stream; use "
          "precision=fp32, or devices of one kind",
          places[0].backend->name, places[i].backend->name);
  return TRUE;
}

static YoloFileStamp
stamp_of (const char *path)
{
  struct stat st;

  if (stat (path, &st) != 0)
    return (YoloFileStamp) { 0 };
  return (YoloFileStamp) { (gint64) st.st_dev, (gint64) st.st_ino, st.st_size,
    st.st_mtim.tv_sec * G_GINT64_CONSTANT (1000000000) + st.st_mtim.tv_nsec };
}

static gboolean
resolve (const YoloEngineParts *parts, const YoloEngineConfig *config, Resolved *resolved,
    GError **error)
{
  char *real;

  if (config->model_file == NULL || config->model_file[0] == '\0') {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE,
        "No model file is given: model-file must name a .pt or .onnx file");
    return FALSE;
  }
  if (!choose_sites (parts, config, resolved, error))
    return FALSE;
  resolved->threads = config->threads;
  resolved->head = config->head;
  resolved->calibration_file = config->calibration_file;
  resolved->precision = config->precision;
  if (!choose_precision (resolved, &resolved->precision, error))
    return FALSE;
  resolved->if_quantized = YOLO_PRECISION_INT8;
  if (config->precision != YOLO_PRECISION_AUTO
      || !choose_precision (resolved, &resolved->if_quantized, NULL))
    resolved->if_quantized = resolved->precision;

  /* A file that does not exist is for the loader to report. */
  real = realpath (config->model_file, NULL);
  resolved->path = real != NULL ? g_strdup (real)
      : g_canonicalize_filename (config->model_file, NULL);
  free (real);
  resolved->stamp = stamp_of (resolved->path);
  return TRUE;
}

/* Whether an engine runs, or will run, in the precision that was asked for. `auto` depends on
 * the file: while the engine has not read that, both must decide by it in the same way. */
static gboolean
same_precision (const YoloEngine *e, const Resolved *resolved)
{
  if (e->model != NULL)
    return e->precision == (e->model->quantized ? resolved->if_quantized : resolved->precision);
  return e->precision == resolved->precision && e->if_quantized == resolved->if_quantized;
}

static gboolean
same_sites (const YoloEngine *e, const Resolved *resolved)
{
  if (e->n_sites != resolved->n_sites)
    return FALSE;
  for (guint i = 0; i < e->n_sites; i++) {
    const YoloSite *a = &e->sites[i], *b = &resolved->sites[i];

    if (a->n != b->n)
      return FALSE;
    for (guint k = 0; k < a->n; k++)
      if (a->at[k].backend != b->at[k].backend || a->at[k].device != b->at[k].device)
        return FALSE;
  }
  return TRUE;
}

/* The engine of the id, or, if that is NULL, the one without an id that agrees with @resolved.
 * Waits for one that may turn out to agree once it has read its file. Under the registry's
 * lock. */
static YoloEngine *
find (const YoloEngineParts *parts, const char *id, const Resolved *resolved)
{
  for (GList *l = registry; l != NULL; l = l->next) {
    YoloEngine *e = l->data;

    if (e->parts != parts || g_strcmp0 (e->id, id) != 0)
      continue;
    if (id != NULL || (same_sites (e, resolved) && e->threads == resolved->threads
            && e->head == resolved->head
            && g_strcmp0 (e->calibration_file, resolved->calibration_file) == 0
            && strcmp (e->path, resolved->path) == 0
            && memcmp (&e->stamp, &resolved->stamp, sizeof e->stamp) == 0)) {
      if (id != NULL || same_precision (e, resolved))
        return e;
      if (e->model == NULL) {
        g_cond_wait (&registry_changed, &registry_lock);
        return find (parts, id, resolved);
      }
    }
  }
  return NULL;
}

/* (transfer full): the name of a site. GPUs have numbers only if there are several devices. */
static char *
name_site (const YoloEngineParts *parts, const YoloSite *site, gboolean several)
{
  GString *name = g_string_new (NULL);

  for (guint i = 0; i < site->n; i++) {
    const YoloPlace *place = &site->at[i];

    g_string_append_printf (name, "%s%s", i > 0 ? "+" : "", place->backend->name);
    if ((several || site->n > 1) && place->backend == parts->cuda)
      g_string_append_printf (name, ":%u", place->device);
    if (place->backend == parts->cpu && place->device > 0)
      g_string_append_printf (name, ":%u", place->device - 1);
  }
  return g_string_free (name, FALSE);
}

static char *
name_sites (const YoloEngineParts *parts, const Resolved *resolved)
{
  char *names[YOLO_MAX_DEVICES + 1] = { NULL }, *joined;

  for (guint i = 0; i < resolved->n_sites; i++)
    names[i] = name_site (parts, &resolved->sites[i], resolved->n_sites > 1);
  joined = g_strjoinv (",", names);
  for (guint i = 0; i < resolved->n_sites; i++)
    g_free (names[i]);
  return joined;
}

static YoloEngine *
engine_new (const YoloEngineParts *parts, const YoloEngineConfig *config,
    const Resolved *resolved)
{
  YoloEngine *engine = g_new0 (YoloEngine, 1);

  engine->refs = 1;
  engine->parts = parts;
  engine->id = g_strdup (config->id);
  engine->model_file = g_strdup (config->model_file);
  engine->path = g_strdup (resolved->path);
  engine->stamp = resolved->stamp;
  engine->precision = resolved->precision;
  engine->head = resolved->head;
  engine->if_quantized = resolved->if_quantized;
  engine->calibration_file = g_strdup (resolved->calibration_file);
  memcpy (engine->sites, resolved->sites, sizeof engine->sites);
  engine->n_sites = resolved->n_sites;
  engine->devices = name_sites (parts, resolved);
  engine->threads = resolved->threads;
  g_mutex_init (&engine->lock);
  g_cond_init (&engine->work);
  g_cond_init (&engine->done);
  return engine;
}

/* Ends the replicas, which have no streams any more. */
static void
set_free (YoloReplicaSet *set)
{
  YoloEngine *engine = set->engine;

  g_mutex_lock (&engine->lock);
  set->stop = TRUE;
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
  for (guint i = 0; i < engine->n_sites; i++) {
    if (set->replicas[i].thread != NULL)
      g_thread_join (set->replicas[i].thread);
    g_free (set->replicas[i].name);
  }
  g_free (set->replicas);
  g_clear_error (&set->error);
  g_array_unref (set->groups);
  g_free (set);
}

static void
engine_free (YoloEngine *engine)
{
  g_list_free_full (engine->sets, (GDestroyNotify) set_free);
  if (engine->model != NULL)
    engine->parts->unref_model (engine->model);
  g_clear_error (&engine->error);
  g_mutex_clear (&engine->lock);
  g_cond_clear (&engine->work);
  g_cond_clear (&engine->done);
  g_free (engine->devices);
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

/* Under the registry's lock: all replicas of a set have said how their load ended. */
static void
settle (YoloReplicaSet *set)
{
  if (set->error != NULL)
    set->engine->sets = g_list_remove (set->engine->sets, set);
  g_cond_broadcast (&registry_changed);
}

void
yolo_replica_set_loaded (YoloReplicaSet *set, GError *error)
{
  g_mutex_lock (&registry_lock);
  if (set->error == NULL)
    set->error = error;
  else
    g_clear_error (&error);
  if (--set->loading == 0)
    settle (set);
  g_mutex_unlock (&registry_lock);
}

/* Whether the GPU of number @cuda is given the frames of a site. */
static gboolean
is_on_gpu (const YoloEngine *engine, guint site, guint cuda)
{
  const YoloPlace *first = &engine->sites[site].at[0];

  return first->backend == engine->parts->cuda && first->device == cuda;
}

/* A set whose replicas load. @cuda_context: of the GPU of number @cuda, or NULL. Under the
 * registry's lock. */
static YoloReplicaSet *
set_new (YoloEngine *engine, gpointer cuda_context, guint cuda)
{
  YoloReplicaSet *set = g_new0 (YoloReplicaSet, 1);

  set->engine = engine;
  set->cuda_context = cuda_context;
  g_queue_init (&set->streams);
  set->groups = g_array_new (FALSE, FALSE, sizeof (YoloGroup));
  set->replicas = g_new0 (YoloReplica, engine->n_sites);
  set->serving = engine->n_sites;
  engine->sets = g_list_prepend (engine->sets, set);
  for (guint i = 0; i < engine->n_sites && set->error == NULL; i++) {
    YoloReplica *replica = &set->replicas[i];

    replica->set = set;
    replica->engine = engine;
    replica->site = engine->sites[i];
    replica->name = name_site (engine->parts, &replica->site, engine->n_sites > 1);
    replica->serves = TRUE;
    replica->cuda_context = is_on_gpu (engine, i, cuda) ? cuda_context : NULL;
    set->loading += start_thread (replica, &set->error);
  }
  if (set->loading == 0)
    settle (set);
  return set;
}

/* The set of a context, or the one that loads for it. Under the registry's lock. */
static YoloReplicaSet *
find_set (YoloEngine *engine, gpointer cuda_context)
{
  for (GList *l = engine->sets; l != NULL; l = l->next) {
    YoloReplicaSet *set = l->data;

    if (set->cuda_context == cuda_context)
      return set;
  }
  return NULL;
}

/* The set that has loaded for who asked for the context: that of the primary one where the
 * context counted for nothing. Under the registry's lock. */
static YoloReplicaSet *
loaded_set (YoloEngine *engine, gpointer cuda_context)
{
  YoloReplicaSet *set = find_set (engine, cuda_context);

  if (set == NULL || set->loading > 0)
    set = find_set (engine, NULL);
  return set != NULL && set->loading == 0 ? set : NULL;
}

YoloReplicaSet *
yolo_replica_set_enter (YoloEngine *engine, gpointer cuda_context)
{
  YoloReplicaSet *set;

  g_mutex_lock (&registry_lock);
  set = loaded_set (engine, cuda_context);
  if (set != NULL) {
    set->users++;
    engine->refs++;
  }
  g_mutex_unlock (&registry_lock);
  return set;
}

void
yolo_replica_set_leave (YoloReplicaSet *set)
{
  YoloEngine *engine = set->engine;
  gboolean last;

  g_mutex_lock (&registry_lock);
  last = --set->users == 0;
  if (last)
    engine->sets = g_list_remove (engine->sets, set);
  g_mutex_unlock (&registry_lock);
  if (last)
    set_free (set);
  yolo_engine_unref (engine);
}

void
yolo_engine_leave (YoloEngine *engine, gpointer cuda_context)
{
  YoloReplicaSet *set;

  g_return_if_fail (!yolo_engine_is_own_thread (engine));

  g_mutex_lock (&registry_lock);
  set = loaded_set (engine, cuda_context);
  g_mutex_unlock (&registry_lock);
  g_return_if_fail (set != NULL);
  yolo_replica_set_leave (set);
}

/* Sets @precision to what the model runs in, which may depend on its file. */
static YoloModel *
read_model (const YoloEngine *engine, YoloPrecision *precision, GError **error)
{
  YoloModel *model = engine->parts->load_model (engine->model_file, engine->head, error), *int8;

  *precision = model != NULL && model->quantized ? engine->if_quantized : engine->precision;
  if (model == NULL || *precision != YOLO_PRECISION_INT8)
    return model;
  int8 = engine->parts->to_int8 (
      model, engine->calibration_file, engine->sites[0].at[0].backend->int8_kind, error);
  engine->parts->unref_model (model);
  return int8;
}

/* Called and left with the registry's lock held, without which it reads the file. */
static void
load_model (YoloEngine *engine)
{
  const YoloTask *task = NULL;
  GError *error = NULL;
  YoloPrecision precision;
  YoloModel *model;

  g_mutex_unlock (&registry_lock);
  model = read_model (engine, &precision, &error);
  if (model != NULL && (task = yolo_task_find (model->task)) == NULL) {
    yolo_network_set_error (&error, YOLO_NETWORK_ERROR_UNSUPPORTED,
        "%s: models of the task '%.40s' are not supported", engine->model_file, model->task);
    engine->parts->unref_model (g_steal_pointer (&model));
  }
  g_mutex_lock (&registry_lock);

  engine->error = error;
  engine->model = model;
  engine->task = task;
  engine->precision = precision;        /* find() compares it */
  if (model == NULL)
    registry = g_list_remove (registry, engine);
  g_cond_broadcast (&registry_changed);
}

/* Waits for the model, then for the context's set of replicas, loading what nobody has
 * asked for before. Under the registry's lock. */
static YoloReplicaSet *
load (YoloEngine *engine, gpointer cuda_context, guint cuda, GError **error)
{
  YoloReplicaSet *set;

  while (engine->model == NULL && engine->error == NULL)
    g_cond_wait (&registry_changed, &registry_lock);
  if (engine->model == NULL) {
    g_propagate_error (error, g_error_copy (engine->error));
    return NULL;
  }

  set = find_set (engine, cuda_context);
  if (set == NULL)
    set = set_new (engine, cuda_context, cuda);
  set->users++;
  while (set->loading > 0)
    g_cond_wait (&registry_changed, &registry_lock);
  if (set->error != NULL)
    g_propagate_error (error, g_error_copy (set->error));
  return set;
}

YoloEngine *
yolo_engine_get_from (const YoloEngineParts *parts, const YoloEngineConfig *config,
    GError **error)
{
  Resolved resolved = { .path = NULL };
  YoloEngine *engine = NULL;
  YoloReplicaSet *set;
  gpointer context = NULL;
  gboolean failed;

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
    registry = g_list_prepend (registry, engine);
    load_model (engine);
  }
  for (guint i = 0; i < engine->n_sites; i++)
    if (is_on_gpu (engine, i, config->cuda_device_id))
      context = config->cuda_context;
  set = load (engine, context, config->cuda_device_id, error);
  failed = set == NULL || set->error != NULL;
  g_mutex_unlock (&registry_lock);

  g_free (resolved.path);
  if (!failed)
    return engine;
  if (set != NULL)
    yolo_replica_set_leave (set);
  else
    yolo_engine_unref (engine);
  return NULL;
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
  for (guint i = 0; i < engine->n_sites; i++)
    if (!yolo_backend_takes (engine->sites[i].at[0].backend, memory))
      return FALSE;
  return TRUE;
}

const char *
yolo_engine_devices (YoloEngine *engine)
{
  return engine->devices;
}

char *
yolo_engine_remark (YoloEngine *engine)
{
  char *remark = NULL;

  g_mutex_lock (&registry_lock);
  for (GList *l = engine->sets; l != NULL && remark == NULL; l = l->next) {
    YoloReplicaSet *set = l->data;

    g_mutex_lock (&engine->lock);
    for (guint i = 0; i < engine->n_sites && set->loading == 0 && remark == NULL; i++)
      if (set->replicas[i].net != NULL)
        remark = yolo_net_remark (set->replicas[i].net);
    g_mutex_unlock (&engine->lock);
  }
  g_mutex_unlock (&registry_lock);
  return remark;
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
  g_mutex_unlock (&engine->lock);
}

/* Has a replica ready its network, and waits for that. */
static gboolean
prepare_replica (YoloReplica *replica, guint net_width, guint net_height, GError **error)
{
  YoloEngine *engine = replica->engine;
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

  if (prepare.error != NULL && engine->n_sites > 1)
    g_prefix_error (&prepare.error, "%s: ", replica->name);
  if (prepare.error != NULL)
    g_propagate_error (error, prepare.error);
  return prepare.error == NULL;
}

gboolean
yolo_engine_prepare (YoloEngine *engine, gpointer cuda_context, guint net_width, guint net_height,
    GError **error)
{
  YoloReplicaSet *set;
  gboolean ok = TRUE;

  g_return_val_if_fail (!yolo_engine_is_own_thread (engine), FALSE);
  set = yolo_replica_set_enter (engine, cuda_context);
  g_return_val_if_fail (set != NULL, FALSE);
  for (guint i = 0; i < engine->n_sites && ok; i++)
    ok = prepare_replica (&set->replicas[i], net_width, net_height, error);
  yolo_replica_set_leave (set);
  return ok;
}
