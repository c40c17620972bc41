/* SPDX-License-Identifier: MIT */
#include "engine/calibrate.h"
#include "engine/details.h"
#include "engine/engine-private.h"
#include "engine/load.h"
#include "base/text.h"
#include "base/error.h"
#include "image/crop.h"
#include "network/histogram.h"
#include "postprocess/nms.h"

#include <math.h>
#include <string.h>

#define KEPT 32u                /* frames on which the loss is measured, at most */
#define MEASURED 6u             /* frames on which each layer is measured alone, at most */
/* What yolo_calibrator_finish() may cost, in runs of the network for each frame that was
 * added. With the work that is no run, such as filling the histograms, it stays below 3. */
#define BUDGET 2.75
#define FEWEST 12u              /* a calibration of fewer frames has the budget of so many */
#define SETUP 2                 /* making and packing an int8 network counts as so many runs */
#define ERRORS_SHARE .25        /* share of the budget for measuring each layer alone */
#define ENOUGH 10u              /* frames of an interrupted calibration that make a table */
/* A detection counts as changed when the other run has nothing of the same class
 * that overlaps it by MATCH_IOU. The other run's detections may be less confident
 * than the threshold by MATCH_MARGIN, so that one which wavers around the threshold
 * is not counted as lost. */
#define MATCH_IOU .5f
#define MATCH_MARGIN .05f
#define NONE G_MAXUINT

/* What the network found in a frame. */
typedef struct {
  YoloObject *detections;       /* most confident first, MATCH_MARGIN below the threshold too */
  guint n, n_confident;
} Outcome;

/* A frame that the loss is measured on: the network's input, and what it finds in fp32. */
typedef struct {
  guint8 *input;
  Outcome outcome;
} Kept;

struct _YoloCalibrator {
  YoloCalibratorConfig config;
  YoloModel *model;
  const YoloTask *task;         /* of the model */
  YoloNet *net;                 /* fp32 */
  YoloExec *exec;               /* prepared for the size of the last frame */
  YoloPreprocess *preprocess;
  YoloCrop *crop;               /* NULL until a frame is cropped */
  YoloHistogram **histograms;   /* [layers], NULL where no range is needed */
  guint frames;
  /* Every `spacing`-th frame among those of the first frame's size. When there are
   * too many, every other one is dropped and the spacing doubles. */
  GArray *kept;                 /* Kept */
  guint height, width;          /* pixels of the first frame's network input */
  guint spacing, of_size;       /* of_size: frames of that size so far */
};

static void
kept_clear (gpointer data)
{
  Kept *kept = data;

  g_free (kept->input);
  g_free (kept->outcome.detections);
}

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
  return yolo_calibrator_new_on (yolo_engine_parts.cpu, config, error);
}

YoloCalibrator *
yolo_calibrator_new_on (
    const YoloBackend *backend, const YoloCalibratorConfig *config, GError **error)
{
  g_autoptr (YoloCalibrator) calibrator = g_new0 (YoloCalibrator, 1);

  calibrator->config = *config;
  calibrator->config.model_file = NULL;
  calibrator->kept = g_array_new (FALSE, FALSE, sizeof (Kept));
  g_array_set_clear_func (calibrator->kept, kept_clear);
  calibrator->spacing = 1;
  if (!yolo_backend_available (backend, 0, error)) {
    g_prefix_error (error, "calibration runs on the CPU: ");
    return NULL;
  }
  calibrator->model = yolo_model_load_head (config->model_file, config->head, error);
  if (calibrator->model == NULL)
    return NULL;
  calibrator->task = yolo_task_find (calibrator->model->task);
  calibrator->net = yolo_backend_load (
      backend, calibrator->model, 0, NULL, YOLO_PRECISION_FP32, config->threads, error);
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
  yolo_exec_free (calibrator->exec);
  yolo_net_free (calibrator->net);
  yolo_preprocess_free (calibrator->preprocess);
  yolo_crop_free (calibrator->crop);
  for (guint i = 0; calibrator->histograms != NULL && i < yolo_model_n_layers (calibrator->model);
       i++)
    g_free (calibrator->histograms[i]);
  g_free (calibrator->histograms);
  g_array_unref (calibrator->kept);
  yolo_model_unref (calibrator->model);
  g_free (calibrator);
}

/* Called after each operation, while its output is still where it was written. */
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
  return yolo_exec_submit (exec, 1, NULL, NULL, error)
      && yolo_exec_wait (exec, error);
}

static gsize
input_size (const YoloExec *exec)
{
  return exec->plan->buffers[exec->plan->input].size;
}

/* How many candidates one image has at most. */
static guint
n_candidates (const YoloExec *exec)
{
  YoloHead head;

  yolo_plan_head (exec->plan, NULL, 0, &head);
  return (guint) yolo_task_find (exec->plan->model->task)->anchors (&head);
}

/* Of a network without boxes the class of the whole image, the best one, is what is found. */
static gboolean
has_boxes (const YoloCalibrator *calibrator)
{
  return calibrator->task->fit == YOLO_FIT_LETTERBOX;
}

static Outcome
outcome_of (const YoloCalibrator *calibrator, YoloExec *exec)
{
  const YoloTask *task = calibrator->task;
  guint n = n_candidates (exec);
  g_autofree YoloObject *scratch = g_new (YoloObject, n),
                           *candidates = g_new (YoloObject, n);
  YoloDecode decode = {
    .confidence = MAX (calibrator->config.confidence - MATCH_MARGIN, 0),
    .candidates = candidates, .capacity = n,
  };
  YoloSuppression how = { calibrator->config.iou, FALSE, has_boxes (calibrator) ? n : 1 };
  YoloDetailsRoom room = { 0 };
  guint confident = 0;
  size_t found = 0;
  YoloHead head;

  yolo_plan_head (exec->plan, exec->arena, 0, &head);
  task->decode (&head, &decode);
  /* on the host it cannot fail */
  yolo_details_objects (exec, 0, task, &decode, &how, scratch, &room, &found, NULL);
  yolo_details_room_clear (&room);
  n = (guint) found;
  while (confident < n
      && (candidates[confident].confidence > calibrator->config.confidence
          || !has_boxes (calibrator)))
    confident++;
  return (Outcome) { g_memdup2 (candidates, n * sizeof *candidates), n, confident };
}

static void
keep_frame (YoloCalibrator *calibrator)
{
  const YoloPlan *plan = calibrator->exec->plan;
  GArray *all = calibrator->kept;
  Kept kept;

  if (calibrator->frames == 0) {
    calibrator->height = plan->height;
    calibrator->width = plan->width;
  }
  if (plan->height != calibrator->height || plan->width != calibrator->width)
    return;
  if (calibrator->of_size++ % calibrator->spacing != 0)
    return;
  if (all->len == KEPT) {
    for (guint i = KEPT; i-- > 0;) {
      if (i % 2 == 1)
        g_array_remove_index (all, i);
    }
    calibrator->spacing *= 2;
    if ((calibrator->of_size - 1) % calibrator->spacing != 0)
      return;
  }
  kept.input = g_memdup2 (calibrator->exec->input, input_size (calibrator->exec));
  kept.outcome = outcome_of (calibrator, calibrator->exec);
  g_array_append_val (all, kept);
}

/* Writes the frame into the network's input, as an engine does. */
static gboolean
read_frame (YoloCalibrator *calibrator, const YoloFrame *frame)
{
  const YoloExec *exec = calibrator->exec;
  int width = (int) exec->plan->width, height = (int) exec->plan->height;
  YoloLetterbox box;

  if (has_boxes (calibrator)) {
    yolo_letterbox_frame (&box, frame, width, height);
    return yolo_preprocess_run (calibrator->preprocess, frame, &box, exec->input, YOLO_U8, 3);
  }
  yolo_letterbox_crop (&box, frame, width, height);
  return yolo_crop_run (
      &calibrator->crop, calibrator->preprocess, NULL, frame, &box, exec->input, YOLO_U8, 3);
}

gboolean
yolo_calibrator_add (YoloCalibrator *calibrator, const YoloFrame *frame, guint net_width,
    guint net_height, GError **error)
{
  if (calibrator->exec == NULL || calibrator->exec->plan->width != net_width
      || calibrator->exec->plan->height != net_height) {
    yolo_exec_free (calibrator->exec);
    calibrator->exec = yolo_net_prepare (calibrator->net, 1, net_height, net_width, error);
    if (calibrator->exec == NULL)
      return FALSE;
    calibrator->exec->observe = observe;
    calibrator->exec->observe_data = calibrator;
  }
  if (!read_frame (calibrator, frame)) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY,
        "Out of memory for the preprocessing of a frame");
    return FALSE;
  }
  if (!run (calibrator->exec, error))
    return FALSE;
  keep_frame (calibrator);
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
          "The layer '%s' puts out NaN or infinity on this video, which no range holds: the model "
          "is damaged, or its training diverged",
          yolo_model_layer (calibrator->model, i).name);
      return FALSE;
    }
    layer->known =
        yolo_histogram_range (histogram, calibrator->config.method, &layer->low, &layer->high);
    any |= layer->known;
  }
  if (!any)
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT,
        "All maps of the network were zero on this video: "
        "nothing to calibrate by");
  return any;
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
  yolo_exec_free (trial->exec);
  yolo_net_free (trial->net);
  if (trial->model != NULL)
    yolo_model_unref (trial->model);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Trial, trial_clear)

static gboolean
trial_init (Trial *trial, YoloCalibrator *calibrator, const YoloCalibration *table, GError **error)
{
  trial->model = yolo_model_to_int8 (
      calibrator->model, table, calibrator->net->backend->int8_kind, error);
  if (trial->model != NULL)
    trial->net = yolo_backend_load (calibrator->net->backend, trial->model, 0, NULL,
        YOLO_PRECISION_INT8, calibrator->config.threads, error);
  if (trial->net != NULL)
    trial->exec =
        yolo_net_prepare (trial->net, 1, calibrator->height, calibrator->width, error);
  return trial->exec != NULL;
}

/* Whether maps of the role say what is found at each anchor. Logits of the whole image are
 * those of its only anchor. */
static gboolean
is_of_anchor (YoloMapRole role)
{
  return yolo_map_has_level (role) || role == YOLO_MAP_LOGIT;
}

/* How many anchors one image has: the pixels of its maps of the first role. */
static guint
n_anchors (const YoloExec *exec)
{
  guint n = 0;
  YoloHead head;

  yolo_plan_head (exec->plan, NULL, 0, &head);
  for (int k = 0; k < head.n_maps; k++) {
    if (head.maps[k].output.role == head.maps[0].output.role)
      n += (guint) head.maps[k].width * (guint) head.maps[k].height;
  }
  return n;
}

/* All maps together have a row of numbers for an anchor: those of its level's outputs,
 * one output after the other. This is where the numbers of a role lie in the row,
 * which looks the same at every level. */
static void
find_role (const YoloPlan *plan, YoloMapRole role, guint *begin, guint *end)
{
  *begin = *end = 0;
  for (guint k = 0, at = 0; k < plan->model->n_outputs; k++) {
    if (plan->model->outputs[k].level != 0 || !is_of_anchor (plan->model->outputs[k].role))
      continue;
    if (plan->model->outputs[k].role == role) {
      *begin = at;
      *end = at + plan->outputs[k].channels;
    }
    at += plan->outputs[k].channels;
  }
}

/* How many numbers the row of an anchor has. */
static guint
anchor_size (const YoloPlan *plan)
{
  guint size = 0;

  for (guint k = 0; k < plan->model->n_outputs; k++)
    if (plan->model->outputs[k].level == 0 && is_of_anchor (plan->model->outputs[k].role))
      size += plan->outputs[k].channels;
  return size;
}

/* Adds the squares of the maps and of their difference from another run's. Anchors
 * count by how likely they hold an object at all, since what the maps say of the
 * background does not matter. @reference, @maps: [anchor][anchor_size()]. */
static void
add_error (
    const YoloExec *exec, const float *reference, const float *maps, double *signal, double *noise)
{
  guint size = anchor_size (exec->plan), cls, cls_end;

  find_role (exec->plan, YOLO_MAP_CLASS, &cls, &cls_end);
  for (guint i = n_anchors (exec); i > 0; i--, reference += size, maps += size) {
    double s = 0, d = 0, weight;
    float best = -INFINITY;

    for (guint c = 0; c < size; c++) {
      s += reference[c] * reference[c];
      d += (maps[c] - reference[c]) * (maps[c] - reference[c]);
      best = c >= cls && c < cls_end && reference[c] > best ? reference[c] : best;
    }
    weight = cls < cls_end ? 1 / (1 + exp (-best)) : 1;
    *signal += weight * s;
    *noise += weight * d;
  }
}

/* Confident detections of `a` that `b` does not have. */
static guint
count_lost (const YoloCalibrator *calibrator, const Outcome *a, const Outcome *b)
{
  guint lost = 0;

  for (guint i = 0; i < a->n_confident; i++) {
    gboolean found = FALSE;

    for (guint k = 0; k < b->n && !found; k++)
      found = a->detections[i].class_id == b->detections[k].class_id
          && (!has_boxes (calibrator)
              || yolo_iou (&a->detections[i], &b->detections[k]) >= MATCH_IOU);
    lost += !found;
  }
  return lost;
}

typedef struct {
  YoloCalibrator *calibrator;
  YoloCalibration *table;
  guint n_frames;               /* kept frames that the loss is measured on */
  /* Layers that can run in int8, in the order in which they are put back into floats. */
  guint n_ranked, *ranked;
  double used, budget;          /* in runs of the network */
  YoloCalibratorProgress progress;
  gpointer data;
} Search;

static const Kept *
kept_frame (const Search *search, guint i, guint n)
{
  const GArray *all = search->calibrator->kept;

  return &g_array_index (all, Kept, i * all->len / n);
}

/* Counts work that was done. FALSE with @error: the user has interrupted. */
static gboolean
spend (Search *search, double runs, GError **error)
{
  search->used += runs;
  if (search->progress == NULL
      || search->progress (search->data, MIN (search->used / search->budget, 1)))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "The calibration was interrupted");
  return FALSE;
}

/* The share of detections that the table's decisions change on the kept frames. It
 * ends early as soon as no frame to come can bring the share below max_loss; *loss
 * is then some share above max_loss. */
static gboolean
measure_loss (Search *search, float *loss, GError **error)
{
  g_auto (Trial) trial = { NULL };
  guint lost = 0, all = 0;      /* all: what it will be if the frames to come lose nothing */

  if (!trial_init (&trial, search->calibrator, search->table, error)
      || !spend (search, SETUP, error))
    return FALSE;
  for (guint i = 0; i < search->n_frames; i++)
    all += 2 * kept_frame (search, i, search->n_frames)->outcome.n_confident;
  for (guint i = 0; i < search->n_frames && !((float) lost / (float) all > search->table->max_loss);
       i++) {
    const Kept *kept = kept_frame (search, i, search->n_frames);
    Outcome outcome;

    memcpy (trial.exec->input, kept->input, input_size (trial.exec));
    if (!run (trial.exec, error) || !spend (search, 1, error))
      return FALSE;
    outcome = outcome_of (search->calibrator, trial.exec);
    lost += count_lost (search->calibrator, &kept->outcome, &outcome)
        + count_lost (search->calibrator, &outcome, &kept->outcome);
    all += outcome.n_confident - kept->outcome.n_confident;
    g_free (outcome.detections);
  }
  *loss = all > 0 ? (float) lost / (float) all : 0;
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
  double macs = pixels * conv->out_channels * (conv->in_channels / conv->groups) * conv->kernel[0]
      * conv->kernel[1];
  double elements = pixels
      * (conv->out_channels + (double) conv->in_channels * conv->stride[0] * conv->stride[1]);

  return .75 * macs + 13 * 3 * elements;
}

static gboolean
can_be_int8 (const YoloLayerInfo *info)
{
  return info->conv != NULL && info->conv->groups == 1;
}

/* Measures what each layer alone does in int8, on a part of a frame. The network runs
 * in fp32, and the outputs of all layers are kept. It runs in int8, where each
 * convolution reads what fp32 has put out, so that no layer inherits the error of
 * another. Then, for each layer in turn, its int8 output takes the place of the fp32
 * one, and what depends on it runs again in fp32. */
typedef struct {
  YoloExec *fp32, *int8;
  /* [int8's operations]: the operation of fp32 with the same convolution, or NONE */
  guint *same;
  /* [fp32's operations] [pixels][channels]: the output in fp32; and in int8 from
   * inputs in fp32, or NULL where the operation has no counterpart in int8 */
  float **reference, **own;
  guint8 *role;                 /* [fp32's operations]: what to do in the next run */
} Probe;

/* Roles: nobody reads the output; it is computed; a kept output is put there. */
enum { IDLE, RUN, REFERENCE, OWN };

static void
probe_clear (Probe *probe)
{
  for (guint i = 0; probe->reference != NULL && i < probe->fp32->plan->n_ops; i++) {
    g_free (probe->reference[i]);
    g_free (probe->own[i]);
  }
  g_free (probe->reference);
  g_free (probe->own);
  g_free (probe->role);
  g_free (probe->same);
  yolo_exec_free (probe->fp32);
  yolo_exec_free (probe->int8);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Probe, probe_clear)

static gsize
view_pixels (const YoloPlan *plan, YoloView view)
{
  return (gsize) plan->buffers[view.buffer].height * plan->buffers[view.buffer].width;
}

/* Copies a view, which holds floats or 8 bits on a grid, to dense floats
 * [pixels][channels], or the other way. */
static void
copy_view (const YoloExec *exec, YoloView view, float *dense, gboolean to_dense)
{
  const YoloBuffer *buffer = &exec->plan->buffers[view.buffer];
  guint8 *pixel = yolo_exec_view (exec, view);
  gsize stride = buffer->channels * yolo_dtype_size (buffer->dtype);

  for (gsize i = view_pixels (exec->plan, view); i > 0;
       i--, pixel += stride, dense += view.channels) {
    if (buffer->dtype == YOLO_F32) {
      memcpy (to_dense ? (void *) dense : pixel, to_dense ? pixel : (void *) dense,
          view.channels * sizeof (float));
      continue;
    }
    for (guint c = 0; c < view.channels; c++) {
      float scale = buffer->scale[view.channel + c], zero = (float) buffer->zero[view.channel + c];
      if (to_dense)
        dense[c] = ((float) pixel[c] - zero) * scale;
      else
        pixel[c] = (guint8) CLAMP (rintf (dense[c] / scale) + zero, 0, 255);
    }
  }
}

static void
keep_reference (gpointer data, guint op)
{
  Probe *probe = data;

  copy_view (probe->fp32, probe->fp32->plan->ops[op].out, probe->reference[op], TRUE);
}

static void
keep_own (gpointer data, guint op)
{
  Probe *probe = data;
  YoloView out = probe->int8->plan->ops[op].out;
  guint same = probe->same[op];

  if (same == NONE)
    return;
  copy_view (probe->int8, out, probe->own[same], TRUE);
  copy_view (probe->int8, out, probe->reference[same], FALSE);
}

static gboolean
replace (gpointer data, guint op)
{
  Probe *probe = data;
  guint8 role = probe->role[op];

  if (role == REFERENCE || role == OWN)
    copy_view (probe->fp32, probe->fp32->plan->ops[op].out,
        role == OWN ? probe->own[op] : probe->reference[op], FALSE);
  return role != RUN;
}

/* Writes a part of a kept frame, of half its height and width, into the input: the
 * part around the most confident detection, or the middle. */
static void
probe_input (const YoloCalibrator *calibrator, const Kept *kept, YoloExec *exec)
{
  guint height = exec->plan->height, width = exec->plan->width, x = calibrator->width / 2,
        y = calibrator->height / 2;
  gsize pixel = input_size (exec) / ((gsize) height * width);

  if (kept->outcome.n > 0 && has_boxes (calibrator)) {
    const YoloObject *best = &kept->outcome.detections[0];
    x = (guint) CLAMP ((best->x1 + best->x2) / 2, 0, calibrator->width);
    y = (guint) CLAMP ((best->y1 + best->y2) / 2, 0, calibrator->height);
  }
  x = MIN (x - MIN (x, width / 2), calibrator->width - width);
  y = MIN (y - MIN (y, height / 2), calibrator->height - height);
  for (guint row = 0; row < height; row++)
    memcpy ((guint8 *) exec->input + row * width * pixel,
        kept->input + ((gsize) (y + row) * calibrator->width + x) * pixel, width * pixel);
}

static gboolean
probe_init (Probe *probe, YoloCalibrator *calibrator, const Trial *trial, GError **error)
{
  guint stride = calibrator->model->stride;
  guint height = MAX (calibrator->height / 2 / stride, 1) * stride,
        width = MAX (calibrator->width / 2 / stride, 1) * stride;
  const YoloPlan *plan;

  probe->fp32 = yolo_net_prepare (calibrator->net, 1, height, width, error);
  if (probe->fp32 != NULL)
    probe->int8 = yolo_net_prepare (trial->net, 1, height, width, error);
  if (probe->int8 == NULL)
    return FALSE;
  plan = probe->fp32->plan;
  probe->role = g_new0 (guint8, plan->n_ops);
  probe->reference = g_new0 (float *, plan->n_ops);
  probe->own = g_new0 (float *, plan->n_ops);
  probe->same = g_new (guint, probe->int8->plan->n_ops);
  for (guint i = 0; i < probe->int8->plan->n_ops; i++)
    probe->same[i] = NONE;
  for (guint i = 0; i < plan->n_ops; i++) {
    gsize n = view_pixels (plan, plan->ops[i].out) * plan->ops[i].out.channels;

    probe->reference[i] = g_new (float, n);
    for (guint k = 0; plan->ops[i].conv != NULL && k < probe->int8->plan->n_ops; k++) {
      const YoloConv *conv = probe->int8->plan->ops[k].conv;
      /* the two models have the weights in common */
      if (conv == NULL || conv->weights != plan->ops[i].conv->weights || probe->same[k] != NONE)
        continue;
      probe->same[k] = i;
      probe->own[i] = g_new (float, n);
      break;
    }
  }
  probe->fp32->observe_data = probe->int8->observe_data = probe;
  probe->int8->observe = keep_own;
  return TRUE;
}

static gboolean
overlap (YoloView a, YoloView b)
{
  return a.channels > 0 && b.channels > 0 && a.buffer == b.buffer
      && a.channel < b.channel + b.channels && b.channel < a.channel + a.channels;
}

static gboolean
reads (const YoloOp *op, YoloView view)
{
  return overlap (op->in, view) || overlap (op->residual, view);
}

/* What each operation does when the output of @own is replaced; returns the work
 * of those that run again, in multiply-adds. */
static double
set_roles (Probe *probe, guint own, double *all)
{
  const YoloPlan *plan = probe->fp32->plan;
  double work = 0;

  *all = 0;
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    gboolean again = FALSE;

    for (guint k = own; k < i && !again; k++)
      again = (k == own || probe->role[k] == RUN) && reads (op, plan->ops[k].out);
    probe->role[i] = i == own ? OWN : again ? RUN : IDLE;
    if (op->conv != NULL) {
      double macs = (double) view_pixels (plan, op->out) * op->conv->out_channels
          * (op->conv->in_channels / op->conv->groups) * op->conv->kernel[0] * op->conv->kernel[1];
      *all += macs;
      work += again ? macs : 0;
    }
  }
  for (guint i = 0; i < plan->n_ops; i++) {
    for (guint k = i + 1; k < plan->n_ops && probe->role[i] == IDLE; k++)
      probe->role[i] =
          probe->role[k] == RUN && reads (&plan->ops[k], plan->ops[i].out) ? REFERENCE : IDLE;
    for (guint k = 0; k < plan->model->n_outputs && probe->role[i] == IDLE; k++)
      probe->role[i] = overlap (plan->outputs[k], plan->ops[i].out) ? REFERENCE : IDLE;
  }
  return work;
}

/* [anchor][anchor_size()] */
static float *
copy_maps (const YoloExec *exec)
{
  guint n = exec->plan->model->n_outputs, size = anchor_size (exec->plan), at = 0;
  float *copy = g_new (float, (gsize) n_anchors (exec) * size), *level = copy;
  YoloHead head;

  yolo_plan_head (exec->plan, exec->arena, 0, &head);
  for (guint k = 0; k < n; k++) {
    const YoloMap *map = &head.maps[k];
    gsize pixels = (gsize) map->height * map->width;

    if (!is_of_anchor (map->output.role))
      break;
    for (gsize i = 0; i < pixels; i++)
      memcpy (level + i * size + at, map->data + i * map->pitch, map->channels * sizeof (float));
    at += (guint) map->channels;
    if (k + 1 < n && head.maps[k + 1].output.level != map->output.level) {
      level += pixels * size;
      at = 0;
    }
  }
  return copy;
}

/* Adds what each layer's error does to the head's maps of a frame. */
static gboolean
probe_frame (
    Search *search, Probe *probe, const Kept *kept, double *noise, double *signal, GError **error)
{
  YoloCalibrator *calibrator = search->calibrator;
  const YoloPlan *plan = probe->fp32->plan;
  double part =
      (double) plan->height * plan->width / ((double) calibrator->height * calibrator->width);
  g_autofree float *reference = NULL;

  probe_input (calibrator, kept, probe->fp32);
  memcpy (probe->int8->input, probe->fp32->input, input_size (probe->fp32));
  probe->fp32->observe = keep_reference;
  probe->fp32->replace = NULL;
  if (!run (probe->fp32, error) || !run (probe->int8, error) || !spend (search, 2 * part, error))
    return FALSE;
  reference = copy_maps (probe->fp32);
  probe->fp32->observe = NULL;
  probe->fp32->replace = replace;
  for (guint i = 0; i < plan->n_ops; i++) {
    g_autofree float *maps = NULL;
    double all, work;

    if (probe->own[i] == NULL)
      continue;
    work = set_roles (probe, i, &all);
    if (!run (probe->fp32, error) || !spend (search, part * work / all, error))
      return FALSE;
    maps = copy_maps (probe->fp32);
    add_error (
        probe->fp32, reference, maps, &signal[plan->ops[i].layer], &noise[plan->ops[i].layer]);
  }
  return TRUE;
}

/* Measures on as many frames as ERRORS_SHARE of the budget pays for, at least on one. */
static gboolean
measure_layers (Search *search, GError **error)
{
  YoloCalibration *table = search->table;
  g_auto (Trial) trial = { NULL };
  g_auto (Probe) probe = { NULL };
  g_autofree double *noise = g_new0 (double, table->n_layers),
                    *signal = g_new0 (double, table->n_layers);
  double before = search->used, each = 0;
  guint n = MIN (MEASURED, search->calibrator->kept->len);

  if (!trial_init (&trial, search->calibrator, table, error)
      || !probe_init (&probe, search->calibrator, &trial, error) || !spend (search, SETUP, error))
    return FALSE;
  for (guint i = 0; i < n && search->used - before + each <= search->budget * ERRORS_SHARE; i++) {
    double start = search->used;

    if (!probe_frame (search, &probe, kept_frame (search, i, n), noise, signal, error))
      return FALSE;
    each = search->used - start;
  }
  for (guint i = 0; i < table->n_layers; i++)
    table->layers[i].error = signal[i] > 0 ? (float) (noise[i] / signal[i]) : 0;
  return TRUE;
}

/* The layers that lose most for the work that they save come first. */
static gint
compare_layers (gconstpointer a, gconstpointer b, gpointer data)
{
  const Search *search = data;
  guint i = *(const guint *) a, k = *(const guint *) b;
  const YoloLayerCalibration *layers = search->table->layers;
  double x = layers[i].error / layers[i].saved, y = layers[k].error / layers[k].saved;

  return x != y ? (x > y ? -1 : 1) : (i > k) - (i < k);
}

static void
leave_int8 (Search *search, guint n)
{
  for (guint i = 0; i < search->n_ranked; i++)
    search->table->layers[search->ranked[i]].int8 = i >= n;
}

/* How many of the ranked layers have to be put back into floats. Between a number that
 * is too small and one that will do, the next trial is their geometric mean, so that
 * few trials find small numbers. */
static gboolean
search_decisions (Search *search, GError **error)
{
  YoloCalibration *table = search->table;
  guint low = 0, high = search->n_ranked;
  float high_loss = 0;          /* nothing is lost in floats */

  while (high - low > 1 && search->used + SETUP + search->n_frames <= search->budget) {
    guint middle = CLAMP ((guint) sqrt ((low + 1.) * (high + 1.)) - 1, low + 1, high - 1);
    float loss = 0;

    leave_int8 (search, middle);
    if (!measure_loss (search, &loss, error)) {
      leave_int8 (search, high < search->n_ranked ? high : 0);
      table->loss = high < search->n_ranked ? high_loss : table->loss;
      return FALSE;
    }
    if (loss > table->max_loss) {
      low = middle;
    } else {
      high = middle;
      high_loss = loss;
    }
  }
  leave_int8 (search, high);
  table->loss = high_loss;
  return TRUE;
}

static void
rank (Search *search)
{
  for (guint i = 0; i < search->table->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (search->calibrator->model, i);

    if (!can_be_int8 (&info))
      continue;
    search->table->layers[i].saved = (float) (saved_work (&info) / 1e6);
    search->ranked[search->n_ranked++] = i;
  }
  leave_int8 (search, 0);
}

static gboolean
decide (Search *search, GError **error)
{
  YoloCalibration *table = search->table;

  if (!spend (search, 0, error) || !measure_layers (search, error)
      || !measure_loss (search, &table->loss, error))
    return FALSE;
  g_qsort_with_data (
      search->ranked, (gint) search->n_ranked, sizeof (guint), compare_layers, search);
  return table->loss <= table->max_loss || search_decisions (search, error);
}

static char *
make_report (const Search *search)
{
  const YoloCalibration *table = search->table;
  GString *text = g_string_new (NULL);
  guint n = 0, int8 = 0;

  g_string_append_printf (text, "%-6s %10s %9s %s\n", "runs in", "error", "saved M", "layer");
  for (guint i = 0; i < table->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (search->calibrator->model, i);
    const YoloLayerCalibration *layer = &table->layers[i];

    g_autofree char *name = NULL;

    if (info.conv == NULL)
      continue;
    name = yolo_text_printable (info.name, 200);
    n++;
    int8 += layer->int8;
    g_string_append_printf (text, "%-6s %10.3g %9.3f %s\n", layer->int8 ? "int8" : "float",
        layer->error, layer->saved, name);
  }
  g_string_append_printf (text,
      "%u of %u convolutions in int8; %.2f %% of the detections change (at most %.2f %%), "
      "on %u of %u frames",
      int8, n, 100 * table->loss, 100 * table->max_loss, search->n_frames, table->frames);
  return g_string_free (text, FALSE);
}

/* An interrupted search gives the table as it is, if there were frames enough. */
static gboolean
was_interrupted (Search *search, GError **error)
{
  YoloCalibration *table = search->table;

  if (error == NULL || !g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return FALSE;
  if (table->frames < ENOUGH) {
    g_clear_error (error);
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
        "it was interrupted after %u frames, and a table takes %u", table->frames, ENOUGH);
    return FALSE;
  }
  g_clear_error (error);
  table->interrupted = TRUE;
  return TRUE;
}

YoloCalibration *
yolo_calibrator_finish (YoloCalibrator *calibrator, YoloCalibratorProgress progress, gpointer data,
    char **report, GError **error)
{
  g_autoptr (YoloCalibration) table = yolo_calibration_new (calibrator->model);
  g_autofree guint *ranked = g_new (guint, table->n_layers);
  GError *reason = NULL;
  Search search = {
    .calibrator = calibrator, .table = table, .ranked = ranked, .progress = progress, .data = data,
    .n_frames = MIN (calibrator->kept->len, MAX (calibrator->frames / 2, 1)),
    .budget = BUDGET * MAX (calibrator->frames, FEWEST),
  };

  if (calibrator->frames == 0) {
    g_set_error (
        error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT, "There was no frame to calibrate by");
    return NULL;
  }
  table->method = calibrator->config.method;
  table->frames = calibrator->frames;
  table->height = calibrator->height;
  table->width = calibrator->width;
  table->max_loss = calibrator->config.max_loss;
  for (guint i = 0; i < search.n_frames; i++)
    table->detections += kept_frame (&search, i, search.n_frames)->outcome.n_confident;
  if (!choose_ranges (calibrator, table, error))
    return NULL;
  rank (&search);
  if (!decide (&search, &reason) && !was_interrupted (&search, &reason)) {
    g_propagate_error (error, reason);
    return NULL;
  }
  if (report != NULL)
    *report = make_report (&search);
  return g_steal_pointer (&table);
}
