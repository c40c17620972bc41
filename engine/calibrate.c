#include "engine/calibrate.h"
#include "engine/engine-private.h"
#include "base/text.h"
#include "network/error.h"
#include "network/histogram.h"

#include <math.h>
#include <string.h>

#define KEPT 32u                /* frames on which the loss is measured */
#define MEASURED 6u             /* of them, on which each layer is measured alone */
/* A detection counts as changed when there is nothing of its class in its place,
 * by so much overlap, that is at most so much less confident than asked for:
 * what wavers around the threshold is not lost. */
#define MATCH_IOU .5f
#define MATCH_MARGIN .05f
#define NONE G_MAXUINT

struct _YoloCalibrator {
  YoloCalibratorConfig config;
  YoloModel *model;
  YoloNet *net;                 /* fp32 */
  YoloExec *exec;               /* of the size of the last frame */
  YoloPreprocess *preprocess;
  YoloHistogram **histograms;   /* [layers], NULL where no range is needed */
  guint frames;
  /* Every `spacing`-th frame's network input, all of one size: when there are too
   * many, every other one goes. */
  GPtrArray *inputs;
  guint height, width, spacing, of_size;        /* of_size: frames of that size */
};

const YoloModel *
yolo_calibrator_model (const YoloCalibrator *calibrator)
{
  return calibrator->model;
}

guint
yolo_calibrator_frames (const YoloCalibrator *calibrator)
{
  return calibrator->frames;
}

YoloCalibrator *
yolo_calibrator_new (const YoloCalibratorConfig *config, GError **error)
{
  g_autoptr (YoloCalibrator) calibrator = g_new0 (YoloCalibrator, 1);

  calibrator->config = *config;
  calibrator->config.model_file = NULL;
  calibrator->inputs = g_ptr_array_new_with_free_func (g_free);
  calibrator->spacing = 1;
  if (!yolo_cpu_backend.available (0, error)) {
    g_prefix_error (error, "calibration runs on the CPU: ");
    return NULL;
  }
  calibrator->model = yolo_model_load (config->model_file, error);
  if (calibrator->model == NULL)
    return NULL;
  calibrator->net = yolo_cpu_backend.load (calibrator->model, 0, NULL, YOLO_PRECISION_FP32, config->threads, error);
  if (calibrator->net == NULL)
    return NULL;
  calibrator->preprocess = yolo_preprocess_new (NULL);
  calibrator->histograms = g_new0 (YoloHistogram *, yolo_model_n_layers (calibrator->model));
  for (guint i = 0; i < yolo_model_n_layers (calibrator->model); i++) {
    if (yolo_model_layer (calibrator->model, i).ranged)
      calibrator->histograms[i] = g_new0 (YoloHistogram, 1);
  }
  return g_steal_pointer (&calibrator);
}

void
yolo_calibrator_free (YoloCalibrator *calibrator)
{
  if (calibrator == NULL)
    return;
  yolo_cpu_backend.release (calibrator->exec);
  yolo_cpu_backend.unload (calibrator->net);
  if (calibrator->preprocess != NULL)
    yolo_preprocess_free (calibrator->preprocess);
  for (guint i = 0; calibrator->histograms != NULL && i < yolo_model_n_layers (calibrator->model); i++)
    g_free (calibrator->histograms[i]);
  g_free (calibrator->histograms);
  g_ptr_array_unref (calibrator->inputs);
  if (calibrator->model != NULL)
    yolo_model_unref (calibrator->model);
  g_free (calibrator);
}

/* After each operation, when its output is where it wrote it. */
static void
observe (gpointer data, guint index)
{
  YoloCalibrator *calibrator = data;
  const YoloPlan *plan = calibrator->exec->plan;
  const YoloOp *op = &plan->ops[index];
  const YoloBuffer *buffer = &plan->buffers[op->out.buffer];
  YoloHistogram *histogram = calibrator->histograms[op->layer];
  const float *pixel = yolo_exec_view (calibrator->exec, op->out);

  if (histogram == NULL)
    return;
  for (gsize i = (gsize) buffer->height * buffer->width; i > 0; i--, pixel += buffer->channels)
    yolo_histogram_add (histogram, pixel, op->out.channels);
}

static gboolean
run (YoloExec *exec, GError **error)
{
  return yolo_cpu_backend.submit (exec, 1, NULL, NULL, error) && yolo_cpu_backend.wait (exec, error);
}

static gsize
input_size (const YoloExec *exec)
{
  return exec->plan->buffers[exec->plan->input].size;
}

static void
keep_input (YoloCalibrator *calibrator)
{
  const YoloPlan *plan = calibrator->exec->plan;
  GPtrArray *inputs = calibrator->inputs;

  if (calibrator->frames == 0) {
    calibrator->height = plan->height;
    calibrator->width = plan->width;
  }
  if (plan->height != calibrator->height || plan->width != calibrator->width)
    return;
  if (calibrator->of_size++ % calibrator->spacing != 0)
    return;
  if (inputs->len == KEPT) {
    for (guint i = KEPT; i-- > 0;) {
      if (i % 2 == 1)
        g_ptr_array_remove_index (inputs, i);
    }
    calibrator->spacing *= 2;
    if ((calibrator->of_size - 1) % calibrator->spacing != 0)
      return;
  }
  g_ptr_array_add (inputs, g_memdup2 (calibrator->exec->input, input_size (calibrator->exec)));
}

gboolean
yolo_calibrator_add (YoloCalibrator *calibrator, const YoloFrame *frame, guint net_width, guint net_height,
    GError **error)
{
  YoloLetterbox letterbox;

  if (calibrator->exec == NULL || calibrator->exec->plan->width != net_width
      || calibrator->exec->plan->height != net_height) {
    yolo_cpu_backend.release (calibrator->exec);
    calibrator->exec = yolo_cpu_backend.prepare (calibrator->net, 1, net_height, net_width, error);
    if (calibrator->exec == NULL)
      return FALSE;
    calibrator->exec->observe = observe;
    calibrator->exec->observe_data = calibrator;
  }
  yolo_letterbox_frame (&letterbox, frame, (int) net_width, (int) net_height);
  if (!yolo_preprocess_run (calibrator->preprocess, frame, &letterbox, calibrator->exec->input, YOLO_TENSOR_U8, 3)) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY, "Out of memory for the preprocessing of a frame");
    return FALSE;
  }
  if (!run (calibrator->exec, error))
    return FALSE;
  keep_input (calibrator);
  calibrator->frames++;
  return TRUE;
}

static gboolean
choose_ranges (YoloCalibrator *calibrator, YoloCalibration *table, GError **error)
{
  gboolean any = FALSE;

  for (guint i = 0; i < table->n_layers; i++) {
    const YoloHistogram *histogram = calibrator->histograms[i];
    YoloLayerCalibration *layer = &table->layers[i];

    if (histogram == NULL)
      continue;
    if (histogram->bad > 0) {
      yolo_network_set_error (error, YOLO_NETWORK_ERROR_FORMAT,
          "The layer '%s' puts out NaN or infinity on this video, which no range holds: the model is damaged, or its training diverged",
          yolo_model_layer (calibrator->model, i).name);
      return FALSE;
    }
    layer->known = yolo_histogram_range (histogram, calibrator->config.method, &layer->low, &layer->high);
    any |= layer->known;
  }
  if (!any)
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT, "All maps of the network were zero on this video: "
        "nothing to calibrate by");
  return any;
}

/* What the network made of one kept frame. */
typedef struct {
  YoloDetection *detections;    /* most confident first, with those within the margin */
  guint n, n_confident;
  float *maps;                  /* those of the head one after the other, or NULL */
} Outcome;

static void
outcome_clear (gpointer data)
{
  Outcome *outcome = data;

  g_free (outcome->detections);
  g_free (outcome->maps);
}

static guint
n_anchors (const YoloPlan *plan)
{
  guint n = 0;

  for (guint l = 0; l < plan->model->n_levels; l++) {
    const YoloBuffer *map = &plan->buffers[plan->cls[l].buffer];
    n += map->height * map->width;
  }
  return n;
}

/* [anchor][4 * reg_max + n_classes] */
static float *
copy_maps (const YoloExec *exec)
{
  const YoloPlan *plan = exec->plan;
  guint box = plan->box[0].channels, cls = plan->cls[0].channels;
  float *maps = g_new (float, (gsize) n_anchors (plan) * (box + cls)), *to = maps;

  for (guint l = 0; l < plan->model->n_levels; l++) {
    const YoloBuffer *b = &plan->buffers[plan->box[l].buffer], *c = &plan->buffers[plan->cls[l].buffer];
    const float *from_box = yolo_exec_view (exec, plan->box[l]), *from_cls = yolo_exec_view (exec, plan->cls[l]);

    for (gsize i = (gsize) b->height * b->width; i > 0; i--, to += box + cls) {
      memcpy (to, from_box, box * sizeof (float));
      memcpy (to + box, from_cls, cls * sizeof (float));
      from_box += b->channels;
      from_cls += c->channels;
    }
  }
  return maps;
}

static Outcome
outcome_of (const YoloCalibrator *calibrator, const YoloExec *exec, gboolean maps)
{
  const YoloPlan *plan = exec->plan;
  guint n = n_anchors (plan);
  g_autofree YoloDetection *scratch = g_new (YoloDetection, n);
  YoloDecode decode = {
    .confidence = MAX (calibrator->config.confidence - MATCH_MARGIN, 0),
    .candidates = g_new (YoloDetection, n), .capacity = n,
  };
  YoloLevel levels[YOLO_MAX_LEVELS];
  guint confident = 0;

  yolo_engine_levels (exec, 0, levels);
  yolo_decode (levels, (int) plan->model->n_levels, (int) plan->model->reg_max, (int) plan->model->n_classes, &decode);
  n = (guint) yolo_nms (decode.candidates, decode.n, calibrator->config.iou, FALSE, n, scratch);
  while (confident < n && decode.candidates[confident].confidence > calibrator->config.confidence)
    confident++;
  return (Outcome) { decode.candidates, n, confident, maps ? copy_maps (exec) : NULL };
}

/* The model in int8 as the table says, ready to run kept frames. */
typedef struct {
  YoloModel *model;
  YoloNet *net;
  YoloExec *exec;
} Trial;

static void
trial_clear (Trial *trial)
{
  yolo_cpu_backend.release (trial->exec);
  yolo_cpu_backend.unload (trial->net);
  if (trial->model != NULL)
    yolo_model_unref (trial->model);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Trial, trial_clear)

static gboolean
trial_init (Trial *trial, YoloCalibrator *calibrator, const YoloCalibration *table, GError **error)
{
  trial->model = yolo_model_to_int8 (calibrator->model, table, YOLO_INT8_ASYMMETRIC, error);
  if (trial->model != NULL)
    trial->net = yolo_cpu_backend.load (trial->model, 0, NULL, YOLO_PRECISION_INT8, calibrator->config.threads, error);
  if (trial->net != NULL)
    trial->exec = yolo_cpu_backend.prepare (trial->net, 1, calibrator->height, calibrator->width, error);
  return trial->exec != NULL;
}

/* The two models' layers of one convolution have its weights in common, and their order. */
static void
add_seconds (const YoloExec *exec, const YoloCalibrator *calibrator, double sign, YoloCalibration *table, guint runs)
{
  const YoloPlan *plan = exec->plan;
  guint layer = 0;

  for (guint i = 0; i < plan->n_ops; i++) {
    if (plan->ops[i].conv == NULL)
      continue;
    for (guint k = 0; k < table->n_layers; k++, layer = (layer + 1) % table->n_layers) {
      YoloLayerInfo info = yolo_model_layer (calibrator->model, layer);
      if (info.conv != NULL && info.conv->weights == plan->ops[i].conv->weights) {
        table->layers[layer].saved += (float) (sign * 1e3 * exec->seconds[i] / runs);
        break;
      }
    }
  }
}

/* What part of the maps' signal another run's difference is. Anchors count by
 * how likely there is an object at all: the background's maps may be anything. */
static void
add_error (const YoloPlan *plan, const float *reference, const float *maps, double *signal, double *noise)
{
  guint box = plan->box[0].channels, cls = plan->cls[0].channels;

  for (guint i = n_anchors (plan); i > 0; i--, reference += box + cls, maps += box + cls) {
    double s = 0, d = 0, weight;
    float best = -INFINITY;

    for (guint c = 0; c < box + cls; c++) {
      s += reference[c] * reference[c];
      d += (maps[c] - reference[c]) * (maps[c] - reference[c]);
      best = c >= box && reference[c] > best ? reference[c] : best;
    }
    weight = 1 / (1 + exp (-best));
    *signal += weight * s;
    *noise += weight * d;
  }
}

/* Confident detections of `a` that `b` does not have. */
static guint
count_lost (const Outcome *a, const Outcome *b)
{
  guint lost = 0;

  for (guint i = 0; i < a->n_confident; i++) {
    gboolean found = FALSE;

    for (guint k = 0; k < b->n && !found; k++)
      found = a->detections[i].class_id == b->detections[k].class_id
          && yolo_iou (&a->detections[i], &b->detections[k]) >= MATCH_IOU;
    lost += !found;
  }
  return lost;
}

typedef struct {
  YoloCalibrator *calibrator;
  YoloCalibration *table;
  GArray *reference;            /* Outcome of the kept frames in fp32 */
  gboolean (*cancelled) (gpointer data);
  gpointer data;
} Search;

static gboolean
go_on (const Search *search, GError **error)
{
  if (search->cancelled == NULL || !search->cancelled (search->data))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "The calibration was cancelled");
  return FALSE;
}

/* Which of the kept frames a layer is measured on alone: spread over all. */
static gboolean
is_measured (const Search *search, guint frame)
{
  guint n = search->calibrator->inputs->len, m = MIN (MEASURED, n);

  return frame * m / n != (frame + 1) * m / n;
}

static gboolean
run_reference (Search *search, GError **error)
{
  YoloCalibrator *calibrator = search->calibrator;
  YoloExec *exec = yolo_cpu_backend.prepare (calibrator->net, 1, calibrator->height, calibrator->width, error);
  g_autofree double *seconds = NULL;
  gboolean ok = exec != NULL;

  if (!ok)
    return FALSE;
  seconds = exec->seconds = g_new0 (double, exec->plan->n_ops);
  for (guint i = 0; ok && i < calibrator->inputs->len; i++) {
    memcpy (exec->input, calibrator->inputs->pdata[i], input_size (exec));
    ok = go_on (search, error) && run (exec, error);
    if (ok) {
      Outcome outcome = outcome_of (calibrator, exec, is_measured (search, i));
      search->table->detections += outcome.n_confident;
      g_array_append_val (search->reference, outcome);
    }
  }
  if (ok)
    add_seconds (exec, calibrator, 1, search->table, calibrator->inputs->len);
  yolo_cpu_backend.release (exec);
  return ok;
}

/* The table's decisions on all kept frames: the share of detections that they change. */
static gboolean
measure_loss (Search *search, gboolean timed, float *loss, GError **error)
{
  YoloCalibrator *calibrator = search->calibrator;
  g_auto (Trial) trial = { NULL };
  g_autofree double *seconds = NULL;
  guint lost = 0, all = 0;

  if (!trial_init (&trial, calibrator, search->table, error))
    return FALSE;
  seconds = trial.exec->seconds = g_new0 (double, trial.exec->plan->n_ops);
  for (guint i = 0; i < calibrator->inputs->len; i++) {
    const Outcome *reference = &g_array_index (search->reference, Outcome, i);
    Outcome outcome;

    memcpy (trial.exec->input, calibrator->inputs->pdata[i], input_size (trial.exec));
    if (!go_on (search, error) || !run (trial.exec, error))
      return FALSE;
    outcome = outcome_of (calibrator, trial.exec, FALSE);
    lost += count_lost (reference, &outcome) + count_lost (&outcome, reference);
    all += reference->n_confident + outcome.n_confident;
    outcome_clear (&outcome);
  }
  if (timed)
    add_seconds (trial.exec, calibrator, -1, search->table, calibrator->inputs->len);
  *loss = all > 0 ? (float) lost / (float) all : 0;
  return TRUE;
}

/* One layer alone in int8. */
static gboolean
measure_layer (Search *search, guint layer, GError **error)
{
  YoloCalibrator *calibrator = search->calibrator;
  g_auto (Trial) trial = { NULL };
  double signal = 0, noise = 0;

  search->table->layers[layer].int8 = TRUE;
  if (!trial_init (&trial, calibrator, search->table, error))
    return FALSE;
  for (guint i = 0; i < calibrator->inputs->len; i++) {
    g_autofree float *maps = NULL;

    if (!is_measured (search, i))
      continue;
    memcpy (trial.exec->input, calibrator->inputs->pdata[i], input_size (trial.exec));
    if (!go_on (search, error) || !run (trial.exec, error))
      return FALSE;
    maps = copy_maps (trial.exec);
    add_error (trial.exec->plan, g_array_index (search->reference, Outcome, i).maps, maps, &signal, &noise);
  }
  search->table->layers[layer].error = signal > 0 ? (float) (noise / signal) : 0;
  search->table->layers[layer].int8 = FALSE;
  return TRUE;
}

/* What int8 saves, in multiply-adds of fp32: three quarters of the layer's, and
 * three bytes less of each element read and written, at 13 multiply-adds for the
 * time of a byte (two Zen 5 cores: 270 G a second, 20 GB/s). A model rather than
 * the time measured: the same frames give the same table. */
static double
saved_work (const YoloLayerInfo *info)
{
  const YoloConv *conv = info->conv;
  double pixels = (double) info->height * info->width;
  double macs = pixels * conv->out_channels * (conv->in_channels / conv->groups) * conv->kernel[0] * conv->kernel[1];
  double elements = pixels * (conv->out_channels + (double) conv->in_channels * conv->stride[0] * conv->stride[1]);

  return .75 * macs + 13 * 3 * elements;
}

static gboolean
can_be_int8 (const YoloLayerInfo *info)
{
  return info->conv != NULL && info->conv->groups == 1;
}

/* Of those in int8, the layer that loses most for the work that it saves. */
static guint
worst_layer (const Search *search)
{
  double worst = -1;
  guint layer = NONE;

  for (guint i = 0; i < search->table->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (search->calibrator->model, i);
    if (search->table->layers[i].int8 && search->table->layers[i].error / saved_work (&info) > worst) {
      worst = search->table->layers[i].error / saved_work (&info);
      layer = i;
    }
  }
  return layer;
}

static gboolean
decide (Search *search, GError **error)
{
  YoloCalibration *table = search->table;
  guint layer;

  for (guint i = 0; i < table->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (search->calibrator->model, i);
    if (can_be_int8 (&info) && !measure_layer (search, i, error))
      return FALSE;
  }
  for (guint i = 0; i < table->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (search->calibrator->model, i);
    table->layers[i].int8 = can_be_int8 (&info);
  }
  if (!measure_loss (search, TRUE, &table->loss, error))
    return FALSE;
  while (table->loss > table->max_loss && (layer = worst_layer (search)) != NONE) {
    table->layers[layer].int8 = FALSE;
    if (!measure_loss (search, FALSE, &table->loss, error))
      return FALSE;
  }
  return TRUE;
}

static char *
make_report (const Search *search)
{
  const YoloCalibration *table = search->table;
  GString *text = g_string_new (NULL);
  guint n = 0, int8 = 0;

  g_string_append_printf (text, "%-6s %10s %9s %s\n", "runs in", "error", "saved ms", "layer");
  for (guint i = 0; i < table->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (search->calibrator->model, i);
    const YoloLayerCalibration *layer = &table->layers[i];

    g_autofree char *name = NULL;

    if (info.conv == NULL)
      continue;
    name = yolo_text_printable (info.name, 200);
    n++;
    int8 += layer->int8;
    g_string_append_printf (text, "%-6s %10.3g %9.3f %s\n", layer->int8 ? "int8" : "float", layer->error, layer->saved,
        name);
  }
  g_string_append_printf (text, "%u of %u convolutions in int8; %.2f %% of the detections change (at most %.2f %%), "
      "on %u of %u frames", int8, n, 100 * table->loss, 100 * table->max_loss, search->calibrator->inputs->len,
      table->frames);
  return g_string_free (text, FALSE);
}

YoloCalibration *
yolo_calibrator_finish (YoloCalibrator *calibrator, gboolean (*cancelled) (gpointer data), gpointer data, char **report,
    GError **error)
{
  g_autoptr (YoloCalibration) table = yolo_calibration_new (calibrator->model);
  Search search = { calibrator, table, NULL, cancelled, data };
  gboolean ok;

  if (calibrator->frames == 0) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT, "There was no frame to calibrate by");
    return NULL;
  }
  table->method = calibrator->config.method;
  table->frames = calibrator->frames;
  table->height = calibrator->height;
  table->width = calibrator->width;
  table->max_loss = calibrator->config.max_loss;
  if (!choose_ranges (calibrator, table, error))
    return NULL;
  search.reference = g_array_new (FALSE, FALSE, sizeof (Outcome));
  g_array_set_clear_func (search.reference, outcome_clear);
  ok = run_reference (&search, error) && decide (&search, error);
  g_array_unref (search.reference);
  if (!ok)
    return NULL;
  if (report != NULL)
    *report = make_report (&search);
  return g_steal_pointer (&table);
}
