/* SPDX-License-Identifier: MIT */
#include "cuda/choices.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cuda/cudnn.h"

/* Each candidate is timed so often, in turn with the others, and its best time
 * counts: whatever else runs on the device can only make it slower. */
#define ROUNDS 5
/* Long enough for the events' resolution of half a microsecond to be below a hundredth. */
#define ROUND_US 200.0
#define MAX_REPEATS 64
/* Bytes that a file may have: some 25,000 lines, where a network needs about 60 for each
 * size and batch. */
#define MAX_FILE (4 << 20)

typedef struct {
  char *key;
  YoloConvShape shape;          /* that of the first layer that asked for the key */
  YoloConvCandidate *candidate; /* in use now */
  double us;                    /* measured; 0: not yet */
} Choice;

/* A line of the file. */
typedef struct {
  char *name;
  double us;
} Known;

struct _YoloChoices {
  YoloCudaDevice *device;
  gboolean tune;
  char *header, *path;

  GMutex lock;
  GCond changed;
  GHashTable *choices;          /* key -> Choice */
  GHashTable *known;            /* key -> Known: what the file says */
  GPtrArray *candidates;        /* every candidate that was ever handed out; owned */
  GQueue pending;               /* choices that are to be measured */
  gboolean measuring, stop, failed, dirty;
  gboolean improved;            /* a candidate was replaced since the last generation */
  guint generation;
  GThread *thread;

  /* used by the measuring thread alone */
  CUstream stream;
  CUevent begin, end;
  CUdeviceptr scratch;
  gsize scratch_size;
};

static void
known_free (gpointer data)
{
  Known *known = data;

  g_free (known->name);
  g_free (known);
}

static void
choice_free (gpointer data)
{
  Choice *choice = data;

  g_free (choice->key);
  g_free (choice);
}

static void
candidate_free (gpointer data)
{
  YoloConvCandidate *candidate = data;

  if (candidate->free != NULL)
    candidate->free (candidate);
  g_free (candidate);
}

/* The file */

/* The file's first lines: all that its measurements depend on. */
static char *
make_header (const YoloCudaDevice *device, const char *model_sha256, const char *precision)
{
  return g_strdup_printf (
      "yolo convolutions 1\nplugin %s\ngpu %s, %d.%d, %d multiprocessors\ndriver %d\ncudnn %d\n"
      "model %s in %s\n",
      YOLO_VERSION, device->name, device->capability / 10, device->capability % 10, device->n_sm,
      device->driver->version, yolo_cudnn_version (), model_sha256, precision);
}

static gboolean
read_line (YoloChoices *choices, const char *line)
{
  g_auto (GStrv) parts = g_strsplit (line, "\t", 3);
  char *end;

  if (g_strv_length (parts) != 3)
    return FALSE;
  double us = g_ascii_strtod (parts[0], &end);
  if (*end != '\0' || !(us > 0 && us < 1e9))
    return FALSE;
  Known *known = g_new (Known, 1);
  *known = (Known) { g_strdup (parts[1]), us };
  g_hash_table_replace (choices->known, g_strdup (parts[2]), known);
  return TRUE;
}

/* Header, lines, and a sum over both: a file that was cut, edited or is of
 * another version is as good as none. */
static void
read_file (YoloChoices *choices)
{
  g_autofree char *text = NULL, *sum = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) lines = NULL;
  gsize length;
  char *last;

  text = yolo_file_read (choices->path, MAX_FILE, &length, &error);
  if (text == NULL) {
    if (!g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      g_message ("%s: %s; convolutions are measured anew", choices->path, error->message);
    return;
  }
  last = g_strrstr (text, "\nsum ");
  if (strlen (text) != length || !g_str_has_prefix (text, choices->header) || last == NULL)
    goto damaged;
  sum = g_compute_checksum_for_data (
      G_CHECKSUM_SHA256, (const guchar *) text, (gsize) (last + 1 - text));
  if (!g_str_equal (g_strstrip (last + strlen ("\nsum ")), sum))
    goto damaged;
  *last = '\0';
  if ((gsize) (last - text) < strlen (choices->header))
    return;
  lines = g_strsplit (text + strlen (choices->header), "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    if (!read_line (choices, lines[i]))
      goto damaged;
  return;

damaged:
  g_message ("%s is damaged or of another version; convolutions are measured anew", choices->path);
  g_hash_table_remove_all (choices->known);
}

static gint
compare_keys (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Writes what was measured. What the file knew before stays in it, even if no network asked
 * for it this time. */
static void
write_file (YoloChoices *choices)
{
  g_autoptr (GString) text = g_string_new (choices->header);
  g_autofree char *folder = g_path_get_dirname (choices->path), *sum = NULL;
  g_autofree gpointer *keys = NULL;
  g_autoptr (GError) error = NULL;
  GHashTableIter iter;
  gpointer value;
  guint n;

  g_hash_table_iter_init (&iter, choices->choices);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Choice *choice = value;
    if (choice->us > 0) {
      Known *known = g_new (Known, 1);
      *known = (Known) { g_strdup (choice->candidate->name), choice->us };
      g_hash_table_replace (choices->known, g_strdup (choice->key), known);
    }
  }
  keys = g_hash_table_get_keys_as_array (choices->known, &n);
  qsort (keys, n, sizeof (gpointer), compare_keys);
  for (guint i = 0; i < n; i++) {
    const Known *known = g_hash_table_lookup (choices->known, keys[i]);
    char us[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_printf (text, "%s\t%s\t%s\n",
        g_ascii_formatd (us, sizeof (us), "%.2f", MAX (known->us, 0.01)), known->name,
        (char *) keys[i]);
  }
  sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text->str, (gssize) text->len);
  g_string_append_printf (text, "sum %s\n", sum);
  if (g_mkdir_with_parents (folder, 0777) != 0
      || !g_file_set_contents (choices->path, text->str, (gssize) text->len, &error))
    g_message ("%s cannot be written (%s); the next start measures convolutions again",
        choices->path, error != NULL ? error->message : g_strerror (errno));
}

/* Candidates */

static YoloConvCandidate *
keep (YoloChoices *choices, const YoloConvCandidate *candidate)
{
  YoloConvCandidate *kept = g_memdup2 (candidate, sizeof (*candidate));

  g_ptr_array_add (choices->candidates, kept);
  return kept;
}

static void
drop (YoloConvCandidate *list, guint n)
{
  for (guint i = 0; i < n; i++)
    if (list[i].free != NULL)
      list[i].free (&list[i]);
}

/* Lists the candidates of our own kernels, which takes no time, unlike cuDNN's. */
static guint
list_kernels (YoloChoices *choices, const YoloConvShape *shape, YoloConvCandidate *list, guint max,
    GError **error)
{
  GError *failed = NULL;
  guint n = yolo_conv_mma_list (choices->device, shape, list, max, &failed);

  if (failed == NULL)
    n += yolo_conv_simt_list (choices->device, shape, list + n, max - n, &failed);
  if (failed != NULL) {
    drop (list, n);
    g_propagate_error (error, failed);
    return 0;
  }
  return n;
}

/* Finds the candidate whose name the file has: in @list, out of which it is taken, or among
 * cuDNN's. FALSE: there is none of that name any more. */
static gboolean
find_named (YoloChoices *choices, const YoloConvShape *shape, const char *name,
    YoloConvCandidate *found, YoloConvCandidate *list, guint n)
{
  for (guint i = 0; i < n; i++)
    if (g_str_equal (list[i].name, name)) {
      *found = list[i];
      list[i].free = NULL;
      return TRUE;
    }
  return g_str_has_prefix (name, "cudnn")
      && yolo_conv_cudnn_named (choices->device, shape, name, found);
}

static gpointer measure_all (gpointer data);

/* Queues a choice to be measured and starts the thread for that. The caller has the lock. */
static void
queue (YoloChoices *choices, Choice *choice)
{
  if (!choices->tune || choices->failed)
    return;
  g_queue_push_tail (&choices->pending, choice);
  if (choices->thread == NULL)
    choices->thread = g_thread_try_new ("yolo-tune", measure_all, choices, NULL);
  if (choices->thread == NULL)
    choices->failed = TRUE;     /* the first guesses stay */
  g_cond_broadcast (&choices->changed);
}

/* Makes the choice for a shape that is asked for the first time; takes @key. The caller has
 * the lock. */
static Choice *
add_choice (YoloChoices *choices, char *key, const YoloConvShape *shape, GError **error)
{
  YoloConvCandidate list[YOLO_CONV_MAX_CANDIDATES], found;
  const Known *known = g_hash_table_lookup (choices->known, key);
  guint n = list_kernels (choices, shape, list, G_N_ELEMENTS (list), error);
  Choice *choice;

  if (n == 0) {
    if (error != NULL && *error == NULL)
      g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED,
          "no kernel computes the convolution %s", key);
    g_free (key);
    return NULL;
  }
  choice = g_new0 (Choice, 1);
  choice->key = key;
  choice->shape = *shape;
  if (known != NULL && find_named (choices, shape, known->name, &found, list, n)) {
    choice->candidate = keep (choices, &found);
    choice->us = known->us;
  } else {
    choice->candidate = keep (choices, &list[0]);
    list[0].free = NULL;
  }
  drop (list, n);
  g_hash_table_insert (choices->choices, key, choice);
  if (choice->us == 0)
    queue (choices, choice);
  return choice;
}

/* Measuring */

static gboolean
grow_scratch (YoloChoices *choices, gsize size)
{
  if (size <= choices->scratch_size)
    return TRUE;
  yolo_cuda_free (choices->device, choices->scratch);
  choices->scratch = yolo_cuda_alloc (choices->device, size, "measuring convolutions", NULL);
  choices->scratch_size = choices->scratch != 0 ? size : 0;
  /* Half-precision numbers of .5 and 1.9: of zeros alone the device would use less power and
   * clock higher than it does with real data. */
  return choices->scratch != 0
      && choices->device->driver->cuMemsetD32Async (
             choices->scratch, 0x38003f9a, size / 4, choices->stream)
      == CUDA_SUCCESS;
}

/* Gives all operands a place in the scratch memory; FALSE if there is no room for them. */
static gboolean
make_args (YoloChoices *choices, const YoloConvShape *shape, gsize workspace, YoloConvArgs *args)
{
  gsize sizes[] = {
    yolo_conv_in_size (shape), yolo_conv_out_size (shape), yolo_conv_residual_size (shape),
    yolo_conv_packed_size (shape), shape->conv->out_channels * sizeof (float), workspace,
  };
  CUdeviceptr at[G_N_ELEMENTS (sizes)];
  gsize offset = 0;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    at[i] = offset;
    /* the view may begin up to one pixel into its buffer, which 4096 bytes make room for */
    offset += (sizes[i] + 4096 + 255) & ~(gsize) 255;
  }
  if (!grow_scratch (choices, offset))
    return FALSE;
  *args = (YoloConvArgs){
    .in = choices->scratch + at[0],
    .out = choices->scratch + at[1],
    .residual = choices->scratch + at[2],
    .weights = choices->scratch + at[3],
    .bias = choices->scratch + at[4],
    .workspace = choices->scratch + at[5],
    .out_scale = 1,
  };
  if (shape->dtype == YOLO_S8)
    args->scale = args->bias;
  if (shape->residual_dtype == YOLO_S8)
    args->residual_scale = args->bias;
  return TRUE;
}

/* Launches a candidate @repeats times in a row. Returns the microseconds of one launch, or 0
 * if it fails. */
static double
time_launches (YoloChoices *choices, const YoloConvCandidate *candidate, const YoloConvShape *shape,
    const YoloConvArgs *args, guint repeats)
{
  const YoloCudaDriver *driver = choices->device->driver;
  float ms = 0;

  if (driver->cuEventRecord (choices->begin, choices->stream) != CUDA_SUCCESS)
    return 0;
  for (guint i = 0; i < repeats; i++)
    if (!candidate->launch (candidate, choices->device, shape, args, choices->stream, NULL))
      return 0;
  if (driver->cuEventRecord (choices->end, choices->stream) != CUDA_SUCCESS
      || driver->cuEventSynchronize (choices->end) != CUDA_SUCCESS
      || driver->cuEventElapsedTime (&ms, choices->begin, choices->end) != CUDA_SUCCESS)
    return 0;
  return MAX (ms * 1000.0 / repeats, 0.01);
}

/* Whether a candidate runs, first alone and then as part of a recorded graph, which is how
 * networks use it. */
static gboolean
can_be_recorded (YoloChoices *choices, const YoloConvCandidate *candidate,
    const YoloConvShape *shape, const YoloConvArgs *args)
{
  const YoloCudaDriver *driver = choices->device->driver;
  CUgraph graph = NULL;
  CUgraphExec exec = NULL;
  gboolean good;

  /* The first launch loads code, which cannot be done while recording. */
  if (!candidate->launch (candidate, choices->device, shape, args, choices->stream, NULL)
      || driver->cuStreamSynchronize (choices->stream) != CUDA_SUCCESS
      || driver->cuStreamBeginCapture (choices->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
          != CUDA_SUCCESS)
    return FALSE;
  good = candidate->launch (candidate, choices->device, shape, args, choices->stream, NULL);
  good = driver->cuStreamEndCapture (choices->stream, &graph) == CUDA_SUCCESS && good
      && driver->cuGraphInstantiateWithFlags (&exec, graph, 0) == CUDA_SUCCESS
      && driver->cuGraphLaunch (exec, choices->stream) == CUDA_SUCCESS
      && driver->cuStreamSynchronize (choices->stream) == CUDA_SUCCESS;
  if (exec != NULL)
    driver->cuGraphExecDestroy (exec);
  if (graph != NULL)
    driver->cuGraphDestroy (graph);
  return good;
}

static gboolean
stopped (YoloChoices *choices)
{
  g_mutex_lock (&choices->lock);
  gboolean stop = choices->stop;
  g_mutex_unlock (&choices->lock);
  return stop;
}

/* The index of the fastest candidate in the list, and its time; -1: none could be run, or
 * measuring was stopped. */
static int
find_fastest (YoloChoices *choices, const YoloConvShape *shape, const YoloConvCandidate *list,
    guint n, double *us)
{
  double best[YOLO_CONV_MAX_CANDIDATES];
  gsize workspace = 0;
  YoloConvArgs args;
  int fastest = -1;

  for (guint i = 0; i < n; i++)
    workspace = MAX (workspace, list[i].workspace);
  if (!make_args (choices, shape, workspace, &args))
    return -1;
  for (guint i = 0; i < n; i++) {
    if (stopped (choices))
      return -1;
    best[i] = can_be_recorded (choices, &list[i], shape, &args) ? G_MAXDOUBLE : 0;
  }
  for (guint round = 0; round < ROUNDS; round++)
    for (guint i = 0; i < n; i++) {
      guint repeats = best[i] < G_MAXDOUBLE
          ? (guint) CLAMP (ROUND_US / MAX (best[i], 0.01), 1, MAX_REPEATS)
          : 1;

      if (stopped (choices))
        return -1;
      if (best[i] > 0)
        best[i] = MIN (best[i], time_launches (choices, &list[i], shape, &args, repeats));
    }
  for (guint i = 0; i < n; i++)
    if (best[i] > 0 && (fastest < 0 || best[i] < best[fastest]))
      fastest = (int) i;
  if (fastest >= 0)
    *us = best[fastest];
  return fastest;
}

static void
measure (YoloChoices *choices, Choice *choice)
{
  YoloConvCandidate list[YOLO_CONV_MAX_CANDIDATES];
  guint n = list_kernels (choices, &choice->shape, list, G_N_ELEMENTS (list), NULL);
  double us = 0;

  n += yolo_conv_cudnn_list (
      choices->device, &choice->shape, list + n, G_N_ELEMENTS (list) - n, NULL);
  int fastest = find_fastest (choices, &choice->shape, list, n, &us);

  if (fastest >= 0)
    yolo_cudnn_keep (choices->device, NULL, &choice->shape, &list[fastest]);
  g_mutex_lock (&choices->lock);
  if (fastest >= 0) {
    choice->us = us;
    choices->dirty = TRUE;
    if (!g_str_equal (choice->candidate->name, list[fastest].name)) {
      choice->candidate = keep (choices, &list[fastest]);
      list[fastest].free = NULL;
      choices->improved = TRUE;
    }
  } else {
    choices->failed |= !choices->stop;
  }
  g_mutex_unlock (&choices->lock);
  drop (list, n);
}

static gboolean
start_measuring (YoloChoices *choices)
{
  const YoloCudaDriver *driver = choices->device->driver;
  int least = 0, greatest = 0;

  if (!yolo_cuda_enter (choices->device, NULL))
    return FALSE;
  /* Streams that work on frames have a higher priority. */
  driver->cuCtxGetStreamPriorityRange (&least, &greatest);
  return driver->cuStreamCreateWithPriority (&choices->stream, CU_STREAM_NON_BLOCKING, least)
      == CUDA_SUCCESS
      && driver->cuEventCreate (&choices->begin, CU_EVENT_BLOCKING_SYNC) == CUDA_SUCCESS
      && driver->cuEventCreate (&choices->end, CU_EVENT_BLOCKING_SYNC) == CUDA_SUCCESS;
}

static void
free_scratch (YoloChoices *choices)
{
  if (choices->stream != NULL)
    choices->device->driver->cuStreamSynchronize (choices->stream);
  yolo_cuda_free (choices->device, choices->scratch);
  choices->scratch = 0;
  choices->scratch_size = 0;
}

static void
stop_measuring (YoloChoices *choices)
{
  const YoloCudaDriver *driver = choices->device->driver;

  free_scratch (choices);
  if (choices->begin != NULL)
    driver->cuEventDestroy (choices->begin);
  if (choices->end != NULL)
    driver->cuEventDestroy (choices->end);
  if (choices->stream != NULL)
    driver->cuStreamDestroy (choices->stream);
  yolo_cuda_leave (choices->device);
}

static gpointer
measure_all (gpointer data)
{
  YoloChoices *choices = data;
  gboolean started = start_measuring (choices);

  g_mutex_lock (&choices->lock);
  choices->failed |= !started;
  while (!choices->stop) {
    Choice *choice = g_queue_pop_head (&choices->pending);

    if (choice != NULL && !choices->failed) {
      choices->measuring = TRUE;
      g_mutex_unlock (&choices->lock);
      measure (choices, choice);
      g_mutex_lock (&choices->lock);
      choices->measuring = FALSE;
    } else if (choice == NULL) {
      /* The generation grows once for all that was queued, since networks are recorded anew
       * each time that it does. */
      choices->generation += choices->improved;
      choices->improved = FALSE;
      g_cond_broadcast (&choices->changed);
      g_mutex_unlock (&choices->lock);
      if (started)
        free_scratch (choices);
      g_mutex_lock (&choices->lock);
      if (choices->dirty) {
        choices->dirty = FALSE;
        write_file (choices);
      }
      if (!choices->stop && choices->pending.length == 0)
        g_cond_wait (&choices->changed, &choices->lock);
    }
  }
  g_mutex_unlock (&choices->lock);
  stop_measuring (choices);
  return NULL;
}

/* Public functions */

YoloChoices *
yolo_choices_new (YoloCudaDevice *device, const char *model_sha256, const char *precision)
{
  YoloChoices *choices = g_new0 (YoloChoices, 1);
  g_autofree char *sum = NULL, *name = NULL;

  choices->device = yolo_cuda_device_ref (device);
  choices->tune = g_strcmp0 (g_getenv ("YOLO_CUDA_TUNE"), "0") != 0;
  choices->header = make_header (device, model_sha256, precision);
  sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, choices->header, -1);
  name = g_strdup_printf ("cuda-%.16s.txt", sum);
  choices->path = g_build_filename (g_get_user_cache_dir (), "yolo", name, NULL);
  g_mutex_init (&choices->lock);
  g_cond_init (&choices->changed);
  choices->choices = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, choice_free);
  choices->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, known_free);
  choices->candidates = g_ptr_array_new_with_free_func (candidate_free);
  g_queue_init (&choices->pending);
  if (choices->tune)
    read_file (choices);
  return choices;
}

void
yolo_choices_free (YoloChoices *choices)
{
  if (choices == NULL)
    return;
  g_mutex_lock (&choices->lock);
  choices->stop = TRUE;
  g_cond_broadcast (&choices->changed);
  g_mutex_unlock (&choices->lock);
  if (choices->thread != NULL)
    g_thread_join (choices->thread);
  if (choices->dirty)
    write_file (choices);
  g_queue_clear (&choices->pending);
  g_hash_table_unref (choices->choices);
  g_hash_table_unref (choices->known);
  if (yolo_cuda_enter (choices->device, NULL)) {
    g_ptr_array_unref (choices->candidates);
    yolo_cuda_leave (choices->device);
  }
  g_mutex_clear (&choices->lock);
  g_cond_clear (&choices->changed);
  g_free (choices->header);
  g_free (choices->path);
  yolo_cuda_device_unref (choices->device);
  g_free (choices);
}

const YoloConvCandidate *
yolo_choices_get (YoloChoices *choices, const YoloConvShape *shape, GError **error)
{
  char *key = yolo_conv_shape_key (shape);
  const YoloConvCandidate *candidate = NULL;
  Choice *choice;

  g_mutex_lock (&choices->lock);
  choice = g_hash_table_lookup (choices->choices, key);
  if (choice != NULL)
    g_free (key);
  else
    choice = add_choice (choices, key, shape, error);
  if (choice != NULL)
    candidate = choice->candidate;
  g_mutex_unlock (&choices->lock);
  return candidate;
}

guint
yolo_choices_generation (YoloChoices *choices)
{
  g_mutex_lock (&choices->lock);
  guint generation = choices->generation;
  g_mutex_unlock (&choices->lock);
  return generation;
}

gboolean
yolo_choices_settled (YoloChoices *choices, gint64 timeout_us)
{
  gint64 until = g_get_monotonic_time () + timeout_us;
  gboolean settled;

  g_mutex_lock (&choices->lock);
  while (!(settled = choices->pending.length == 0 && !choices->measuring)
      && g_cond_wait_until (&choices->changed, &choices->lock, until)) {
  }
  g_mutex_unlock (&choices->lock);
  return settled;
}

double
yolo_choices_time (YoloChoices *choices, const YoloPlan *plan)
{
  double us = 0;

  g_mutex_lock (&choices->lock);
  for (guint i = 0; i < plan->n_ops; i++) {
    YoloConvShape shape;

    if (plan->ops[i].type != YOLO_OP_CONV)
      continue;
    yolo_conv_shape (&shape, plan, &plan->ops[i]);
    g_autofree char *key = yolo_conv_shape_key (&shape);
    const Choice *choice = g_hash_table_lookup (choices->choices, key);
    if (choice == NULL || choice->us == 0) {
      us = 0;
      break;
    }
    us += choice->us;
  }
  g_mutex_unlock (&choices->lock);
  return us;
}
