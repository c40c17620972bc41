/* SPDX-License-Identifier: MIT */
/* Networks in int8: each operation, on what the device itself has put before it,
 * against the plan's definition; the head's maps against those of the whole
 * definition; and detections on a photograph against the CPU's. */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/builtin.h"
#include "cuda/backend.h"
#include "cuda/half.h"
#include "engine/load.h"
#include "network/int8.h"
#include "postprocess/nms.h"
#include "postprocess/task.h"
#include "image/letterbox.h"
#include "image/preprocess.h"
#include "tests/engine/pictures.h"
#include "backend/reference.h"

/* Of the steps that a convolution in int8 puts out: the definition's sums are
 * the same, and the floats behind them off by 1e-6, so that few lie on the
 * other side of an edge. */
#define SAME_STEPS .999
/* Of the largest number: half rounds weights and results to 2^-11. */
#define HALF_TOLERANCE 4e-3
#define FLOAT_TOLERANCE 1e-5
/* Of the largest value of a map, where all operations follow one another: steps
 * that go the other way, and halves, are carried on. */
#define MAPS_TOLERANCE .2
#define MAPS_RMS_TOLERANCE .03
#define CANDIDATES 1024
/* Confidence of objects that two grids cannot disagree about. */
#define CLEAR .6f

static const YoloBackend *cuda = &yolo_cuda_backend;
static YoloCudaDevice *device;

/* What a test has covered: kinds of operations by the types they go between. */
static struct {
  guint s8_to_s8, s8_to_f16, f16_to_s8, s8_to_f32, float_residual, s8_residual, requantised, to_s8,
      to_f16, moved;
  guint s8_input, f16_input;    /* networks */
} seen;

typedef struct {
  const char *model;            /* of tests/data */
  /* eighths of the layers that a table wants in int8; -1: as the file says */
  int some;
  guint height, width, batch;
} Case;

/* Frames */

static void
make_frames (YoloFrame *frames, guint n)
{
  guint32 x = 7;

  for (guint i = 0; i < n; i++) {
    int width = 60 + 37 * (int) i, height = 64 + 11 * (int) i;
    guint8 *pixels = g_malloc ((gsize) width * (gsize) height * 3);

    for (int k = 0; k < width * height * 3; k++) {
      x = x * 1664525u + 1013904223u;
      pixels[k] = (guint8) (k / 70 + k % 97 + (x >> 24) % 90);
    }
    frames[i] = (YoloFrame){ .format = YOLO_FORMAT_RGB,
      .width = width,
      .height = height,
      .plane = { pixels },
      .stride = { 3 * width } };
  }
}

static void
free_frames (YoloFrame *frames, guint n)
{
  for (guint i = 0; i < n; i++)
    g_free ((void *) frames[i].plane[0]);
}

/* Grey levels of a frame, letterboxed, [height][width][3]. */
static void
preprocess (const YoloFrame *frame, const YoloPlan *plan, float *levels)
{
  YoloLetterbox box;

  yolo_letterbox_init (&box, frame->width, frame->height, (int) plan->width, (int) plan->height);
  yolo_preprocess_reference (frame, &box, levels, YOLO_F32, 3);
}

/* Models */

static YoloModel *
load_model (const char *path)
{
  g_autoptr (GError) error = NULL;
  YoloModel *model = yolo_model_load (path, &error);

  g_assert_no_error (error);
  return model;
}

/* The layer that an operation computes. */
static YoloLayerCalibration *
layer_of (YoloCalibration *calibration, const YoloModel *model, const YoloOp *op)
{
  for (guint i = 0; i < calibration->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (model, i);
    if (info.ranged && info.conv == op->conv && g_str_equal (info.name, op->name))
      return &calibration->layers[i];
  }
  return NULL;
}

/* What an operation of a spread plan has put out. */
static void
note_range (
    YoloLayerCalibration *layer, const YoloPlan *plan, const YoloOp *op, const guint8 *arena)
{
  const YoloBuffer *out = &plan->buffers[op->out.buffer];
  const float *values = (const float *) (arena + out->offset) + op->out.channel;
  gsize pixels = (gsize) plan->batch * out->height * out->width;

  layer->known = TRUE;
  for (gsize p = 0; p < pixels; p++)
    for (guint c = 0; c < op->out.channels; c++) {
      layer->low = MIN (layer->low, values[p * out->channels + c]);
      layer->high = MAX (layer->high, values[p * out->channels + c]);
    }
}

/* A table by one frame, and some layers in int8; all but the head's maps: 8. */
static YoloCalibration *
calibrate (YoloModel *model, const YoloFrame *frame, guint height, guint width, guint some)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, 1, height, width, YOLO_F32, YOLO_F32, 3, &error);
  YoloCalibration *calibration = yolo_calibration_new (model);
  g_autofree float *levels = g_new (float, (gsize) height * width * 3);
  g_autofree guint8 *arena = NULL;

  g_assert_no_error (error);
  yolo_reference_spread (plan);
  arena = g_malloc (plan->arena_size);
  preprocess (frame, plan, levels);
  yolo_reference_run (plan, levels, arena);
  for (guint i = 0; i < plan->n_ops; i++) {
    YoloLayerCalibration *layer = layer_of (calibration, model, &plan->ops[i]);
    if (layer != NULL)
      note_range (layer, plan, &plan->ops[i], arena);
  }
  for (guint i = 0; i < calibration->n_layers; i++)
    calibration->layers[i].int8 = (i * 2654435761u >> 16 & 7) < some;
  return calibration;
}

static YoloModel *
to_int8 (YoloModel *model, const YoloCalibration *calibration, YoloInt8Kind kind)
{
  g_autoptr (GError) error = NULL;
  YoloModel *int8 = yolo_model_to_int8 (model, calibration, kind, &error);

  g_assert_no_error (error);
  return int8;
}

/* Runs */

typedef struct {
  YoloNet *net;
  YoloExec *exec;
  YoloPlan *reference;          /* the same operations, floats in f32 */
  guint8 *arena;                /* of the reference, filled with what the device has */
  float *input;                 /* levels, or steps of the grid */
  gsize steps, others;          /* from 8 bits to 8 bits: elements, and those on another step */
} Run;

/* Words that hold a channel of a view and one of its neighbour, which is not
 * written yet, are read whole. Where buffers take turns in one memory that is
 * known to be written; where each has its own, the detector of uninitialised
 * memory would find it: with it, only what the end shows is compared. */
static gboolean
shares_memory (void)
{
  return g_getenv ("GPUSIM_INIT") != NULL;
}

static gsize
buffer_elements (const YoloPlan *plan, const YoloBuffer *buffer)
{
  return (gsize) plan->batch * buffer->height * buffer->width * buffer->channels;
}

/* A buffer of the device's, as floats or eight bits. */
static void
download (const Run *run, guint i, void *to)
{
  const YoloPlan *plan = run->exec->plan;
  const YoloBuffer *buffer = &plan->buffers[i];
  gsize n = buffer_elements (plan, buffer), size = n * yolo_dtype_size (buffer->dtype);
  g_autofree guint8 *bytes = g_malloc (size);

  g_assert_cmpint (device->driver->cuMemcpyDtoH (bytes, yolo_cuda_exec_buffer (run->exec, i), size),
      ==, CUDA_SUCCESS);
  if (buffer->dtype != YOLO_F16) {
    memcpy (to, bytes, size);
    return;
  }
  for (gsize k = 0; k < n; k++)
    ((float *) to)[k] = yolo_half_to_float (((const guint16 *) bytes)[k]);
}

static void
download_all (Run *run)
{
  const YoloPlan *plan = run->exec->plan;
  const YoloBuffer *input = &plan->buffers[plan->input];
  gsize n = buffer_elements (plan, input);

  run->arena = g_malloc0 (run->reference->arena_size);
  run->input = g_new (float, n);
  for (guint i = 0; i < plan->n_buffers; i++)
    if (i != plan->input)
      download (run, i, run->arena + run->reference->buffers[i].offset);
  download (run, plan->input, run->input);
  if (input->dtype != YOLO_S8)
    return;
  g_autofree gint8 *steps = g_memdup2 (run->input, n);
  for (gsize k = 0; k < n; k++)
    run->input[k] = steps[k];
}

static void
run_init (
    Run *run, YoloModel *int8, guint batch, guint height, guint width, const YoloFrame *frames)
{
  g_autoptr (GError) error = NULL;
  g_autofree YoloDecode *decode = g_new0 (YoloDecode, batch);
  YoloObject none;

  run->net = yolo_backend_load (cuda, int8, 0, NULL, YOLO_PRECISION_INT8, 0, &error);
  g_assert_no_error (error);
  YoloPlan *plan = yolo_cuda_net_plan ((CudaNet *) run->net, batch, height, width, &error);
  g_assert_no_error (error);
  const YoloBuffer *input = &plan->buffers[plan->input];
  run->reference = yolo_plan_new (int8, batch, height, width, YOLO_F32,
      input->dtype == YOLO_S8 ? YOLO_S8 : YOLO_F32, input->channels, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (run->reference->n_buffers, ==, plan->n_buffers);
  g_assert_cmpuint (run->reference->n_ops, ==, plan->n_ops);
  if (!shares_memory ())
    yolo_reference_spread (plan);
  yolo_reference_spread (run->reference);
  run->exec = yolo_net_prepare_plan (run->net, plan, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < batch; i++)
    decode[i] = (YoloDecode) { .confidence = .999f, .candidates = &none, .capacity = 0 };
  yolo_exec_submit (run->exec, batch, frames, decode, &error);
  g_assert_no_error (error);
  yolo_exec_wait (run->exec, &error);
  g_assert_no_error (error);
  g_assert_true (yolo_cuda_enter (device, NULL));
  download_all (run);
  yolo_cuda_leave (device);
}

static void
run_clear (Run *run)
{
  yolo_exec_free (run->exec);
  yolo_net_free (run->net);
  yolo_plan_free (run->reference);
  g_free (run->arena);
  g_free (run->input);
}

/* What preprocess wrote is what the input's grid makes of the levels. */
static void
check_input (const Run *run, const YoloFrame *frames)
{
  const YoloPlan *plan = run->reference;
  const YoloBuffer *input = &plan->buffers[plan->input];
  gsize pixels = (gsize) plan->height * plan->width;
  g_autofree float *levels = g_new (float, pixels * 3);

  for (guint i = 0; i < plan->batch; i++) {
    preprocess (&frames[i], plan, levels);
    for (gsize k = 0; k < pixels; k++)
      for (guint c = 0; c < input->channels; c++) {
        float want = c < 3 ? levels[3 * k + c] : 0;

        if (input->dtype == YOLO_S8)
          want = fminf (rintf (want * (1 / (255.f / 127))), 127);
        g_assert_cmpfloat (run->input[(i * pixels + k) * input->channels + c], ==, want);
      }
  }
}

/* Operations */

static float
element (const YoloBuffer *buffer, const void *values, gsize i)
{
  return buffer->dtype == YOLO_S8 ? ((const gint8 *) values)[i] : ((const float *) values)[i];
}

static void
note (const YoloPlan *plan, const YoloOp *op)
{
  YoloDType in = plan->buffers[op->in.buffer].dtype, out = plan->buffers[op->out.buffer].dtype;
  YoloDType residual = op->residual.channels > 0 ? plan->buffers[op->residual.buffer].dtype : in;

  if (op->type == YOLO_OP_CONV) {
    seen.s8_to_s8 += in == YOLO_S8 && out == YOLO_S8;
    seen.s8_to_f16 += in == YOLO_S8 && out == YOLO_F16;
    seen.s8_to_f32 += in == YOLO_S8 && out == YOLO_F32;
    seen.f16_to_s8 += in == YOLO_F16 && out == YOLO_S8;
    seen.float_residual += in == YOLO_S8 && residual == YOLO_F16;
    seen.s8_residual += in == YOLO_F16 && residual == YOLO_S8;
  } else if (op->type == YOLO_OP_COPY) {
    seen.requantised += in == YOLO_S8 && out == YOLO_S8;
    seen.to_s8 += in == YOLO_F16 && out == YOLO_S8;
    seen.to_f16 += in == YOLO_S8 && out == YOLO_F16;
  } else {
    seen.moved += in == YOLO_S8 && out == YOLO_S8;
  }
}

/* How far what an operation puts out is off. */
typedef struct {
  gsize n, other;               /* elements; those on another step */
  double steps;                 /* the most */
  double difference, largest;   /* of floats: the most, and of the values themselves */
} Difference;

static Difference
compare_op (const Run *run, const YoloOp *op, const void *expected, const void *got)
{
  const YoloBuffer *out = &run->reference->buffers[op->out.buffer];
  gsize pixels = (gsize) run->reference->batch * out->height * out->width;
  Difference d = { 0 };

  for (gsize p = 0; p < pixels; p++)
    for (guint c = 0; c < op->out.channels; c++) {
      gsize i = p * out->channels + op->out.channel + c;
      double difference = fabs (element (out, expected, i) - element (out, got, i));

      d.n++;
      d.other += difference != 0;
      d.largest = MAX (d.largest, fabs (element (out, expected, i)));
      if (!(difference <= d.difference))        /* NaN too */
        d.difference = difference;
    }
  return d;
}

static void
check_op (Run *run, guint i)
{
  const YoloPlan *plan = run->exec->plan;
  const YoloOp *op = &plan->ops[i];
  const YoloBuffer *out = &run->reference->buffers[op->out.buffer];
  YoloDType in = plan->buffers[op->in.buffer].dtype, to = plan->buffers[op->out.buffer].dtype;
  void *place = run->arena + out->offset;
  g_autofree void *device_has = g_memdup2 (place, out->size);
  gboolean computes =
      op->type == YOLO_OP_CONV || op->type == YOLO_OP_ADD || op->type == YOLO_OP_ACT;

  note (plan, op);
  yolo_reference_run_op (run->reference, run->input, run->arena, i);
  Difference d = compare_op (run, op, place, device_has);
  memcpy (place, device_has, out->size);
  g_test_message ("%u %s: %s > %s, %.3g %% others, %.3g of %.3g", i, op->name, yolo_dtype_name (in),
      yolo_dtype_name (to), 100. * (double) d.other / (double) d.n, d.difference, d.largest);
  if (to == YOLO_S8) {
    g_assert_cmpfloat (d.difference, <=, computes ? 1 : 0);
    run->steps += in == YOLO_S8 ? d.n : 0;
    run->others += in == YOLO_S8 ? d.other : 0;
  } else {
    g_assert_cmpfloat (d.difference, <=,
        d.largest * (to == YOLO_F16 || in == YOLO_F16 ? HALF_TOLERANCE : FLOAT_TOLERANCE));
  }
}

/* The head's maps by the device, and by the definition from the same input. */
static void
check_maps (const Run *run)
{
  const YoloPlan *plan = run->reference;
  g_autofree guint8 *arena = g_malloc (plan->arena_size);

  memset (arena, 0xff, plan->arena_size);
  yolo_reference_run (plan, run->input, arena);
  for (guint m = 0; m < plan->model->n_outputs; m++) {
    const YoloBuffer *buffer = &plan->buffers[plan->outputs[m].buffer];
    const float *ours = (const float *) (run->arena + buffer->offset),
                *want = (const float *) (arena + buffer->offset);
    gsize n = buffer_elements (plan, buffer);
    double largest = 0, worst = 0, sum = 0;

    for (gsize i = 0; i < n; i++) {
      largest = MAX (largest, fabs (want[i]));
      worst = MAX (worst, fabs (ours[i] - want[i]));
      sum += (ours[i] - want[i]) * (ours[i] - want[i]);
    }
    g_test_message ("map %u: %.2g of the largest value, root mean square %.2g", m, worst / largest,
        sqrt (sum / (double) n) / largest);
    g_assert_cmpfloat (worst, <=, MAPS_TOLERANCE * largest);
    g_assert_cmpfloat (sqrt (sum / (double) n), <=, MAPS_RMS_TOLERANCE * largest);
  }
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *path = g_strconcat (SOURCE_ROOT "/tests/data/", c->model, NULL);
  g_autoptr (YoloModel) model = load_model (path);
  g_autofree YoloFrame *frames = g_new (YoloFrame, c->batch);
  g_autoptr (YoloCalibration) calibration = NULL;
  g_autoptr (YoloModel) int8 = NULL;
  Run run = { 0 };

  make_frames (frames, c->batch);
  if (c->some >= 0)
    calibration = calibrate (model, &frames[0], c->height, c->width, (guint) c->some);
  /* some numbers are beyond */
  for (guint i = 0; calibration != NULL && i < calibration->n_layers; i++)
    calibration->layers[i].high *= .9f;
  int8 = to_int8 (model, calibration, YOLO_INT8_SYMMETRIC);
  run_init (&run, int8, c->batch, c->height, c->width, frames);
  check_input (&run, frames);
  YoloDType input = run.exec->plan->buffers[run.exec->plan->input].dtype;
  seen.s8_input += input == YOLO_S8;
  seen.f16_input += input == YOLO_F16;
  for (guint i = 0; i < run.exec->plan->n_ops && !shares_memory (); i++)
    check_op (&run, i);
  g_test_message (
      "%" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " on another step", run.others, run.steps);
  g_assert_cmpfloat ((double) run.others, <=, 2 + (1 - SAME_STEPS) * (double) run.steps);
  check_maps (&run);
  run_clear (&run);
  free_frames (frames, c->batch);
}

/* The tables above mix types in all ways that there are kernels for. */
static void
test_seen (void)
{
  if (shares_memory ()) {
    g_test_skip ("needs each operation's result");
    return;
  }
  g_test_message ("convolutions: %u s8, %u s8 > f16, %u s8 > f32, %u f16 > s8, %u with a residual "
                  "in floats, %u in 8 bits; "
                  "copies: %u s8, %u to s8, %u to f16; %u other; %u and %u inputs",
      seen.s8_to_s8, seen.s8_to_f16, seen.s8_to_f32, seen.f16_to_s8, seen.float_residual,
      seen.s8_residual, seen.requantised, seen.to_s8, seen.to_f16, seen.moved, seen.s8_input,
      seen.f16_input);
  g_assert_true (seen.s8_to_s8 && seen.s8_to_f16 && seen.s8_to_f32 && seen.f16_to_s8
      && seen.float_residual && seen.s8_residual && seen.requantised && seen.to_s8 && seen.to_f16
      && seen.moved && seen.s8_input && seen.f16_input);
}

/* A photograph */

static void
detect_on_cuda (
    YoloModel *int8, const YoloFrame *frame, guint height, guint width, YoloDecode *decode)
{
  g_autoptr (GError) error = NULL;
  YoloNet *net = yolo_backend_load (cuda, int8, 0, NULL, YOLO_PRECISION_INT8, 0, &error);
  g_assert_no_error (error);
  YoloExec *exec = yolo_net_prepare (net, 1, height, width, &error);
  g_assert_no_error (error);

  yolo_exec_submit (exec, 1, frame, decode, &error);
  g_assert_no_error (error);
  yolo_exec_wait (exec, &error);
  g_assert_no_error (error);
  yolo_exec_free (exec);
  yolo_net_free (net);
}

static void
detect_on_cpu (
    YoloModel *int8, const YoloFrame *frame, guint height, guint width, YoloDecode *decode)
{
  const YoloBackend *cpu = &yolo_cpu_backend;
  g_autoptr (GError) error = NULL;
  g_autofree float *levels = g_new (float, (gsize) height * width * 3);
  YoloHead head;
  YoloNet *net = yolo_backend_load (cpu, int8, 0, NULL, YOLO_PRECISION_INT8, 0, &error);
  g_assert_no_error (error);
  YoloExec *exec = yolo_net_prepare (net, 1, height, width, &error);
  g_assert_no_error (error);
  const YoloPlan *plan = exec->plan;

  g_assert_cmpint (plan->buffers[plan->input].dtype, ==, YOLO_U8);
  preprocess (frame, plan, levels);
  for (gsize i = 0; i < (gsize) height * width * 3; i++)
    ((guint8 *) exec->input)[i] = (guint8) levels[i];
  g_assert_true (yolo_exec_submit (exec, 1, NULL, NULL, &error) && yolo_exec_wait (exec, &error));
  yolo_plan_head (plan, exec->arena, 0, &head);
  yolo_task_detect.decode (&head, decode);
  yolo_exec_free (exec);
  yolo_net_free (net);
}

/* Each clear object that the one has found the other has, if only as a candidate:
 * which of two boxes that overlap is the better may change. */
static void
compare_found (const YoloDecode *found, const YoloDecode *other)
{
  g_autofree YoloObject *objects =
      g_memdup2 (found->candidates, found->n * sizeof (YoloObject));
  g_autofree YoloObject *scratch = g_new (YoloObject, found->n);
  size_t n = yolo_nms (objects, found->n, .7f, FALSE, 300, scratch);

  g_assert_cmpuint (found->missed, ==, 0);
  g_assert_cmpuint (n, >, 1);
  g_assert_cmpfloat (objects[1].confidence, >, CLEAR);
  for (size_t i = 0; i < n && objects[i].confidence > CLEAR; i++) {
    const YoloObject *nearest = NULL;
    float best = 0;

    for (size_t k = 0; k < other->n; k++) {
      const YoloObject *candidate = &other->candidates[k];
      float iou =
          candidate->class_id == objects[i].class_id ? yolo_iou (candidate, &objects[i]) : 0;

      nearest = iou > best ? candidate : nearest;
      best = MAX (best, iou);
    }
    g_assert_nonnull (nearest);
    g_test_message (
        "confidence %.3f and %.3f, IoU %.3f", objects[i].confidence, nearest->confidence, best);
    g_assert_cmpfloat (best, >=, .97);
    g_assert_cmpfloat (fabsf (objects[i].confidence - nearest->confidence), <=, .05f);
  }
}

/* Both back ends by one table: steps of 1/127 of the larger end of a range here,
 * of 1/255 of the range there. */
static void
test_photograph (void)
{
  const char *path = SOURCE_ROOT "/.cache/best_fp16.onnx",
             *photograph = SOURCE_ROOT "/.cache/bus.jpg";
  const char *const elements[] = { "filesrc", "jpegdec", "appsink", NULL };
  const guint height = 256, width = 192;
  YoloObject found[2][CANDIDATES];
  YoloDecode ours = { .confidence = .4f, .candidates = found[0], .capacity = CANDIDATES };
  YoloDecode theirs = { .confidence = .4f, .candidates = found[1], .capacity = CANDIDATES };

  if (!g_file_test (path, G_FILE_TEST_EXISTS) || !g_file_test (photograph, G_FILE_TEST_EXISTS)
      || !elements_present (elements)) {
    g_test_skip ("needs what tests/scripts/fetch.sh fetches, and jpegdec");
    return;
  }
  if (g_getenv ("GPUSIM_CACHE") != NULL && g_getenv ("YOLO_TEST_ONCE") == NULL) {
    g_test_skip ("done once, with YOLO_TEST_ONCE=1");
    return;
  }
  Picture picture = picture_read (photograph);
  g_autoptr (YoloModel) model = load_model (path);
  g_autoptr (YoloCalibration) calibration = calibrate (model, &picture.frame, height, width, 8);
  g_autoptr (YoloModel) symmetric = to_int8 (model, calibration, YOLO_INT8_SYMMETRIC);
  g_autoptr (YoloModel) asymmetric = to_int8 (model, calibration, YOLO_INT8_ASYMMETRIC);

  detect_on_cuda (symmetric, &picture.frame, height, width, &ours);
  detect_on_cpu (asymmetric, &picture.frame, height, width, &theirs);
  compare_found (&ours, &theirs);
  compare_found (&theirs, &ours);
  picture_clear (&picture);
}

/* What the kernels cannot run is an error, before anything runs. */
static void
test_asymmetric (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = load_model (SOURCE_ROOT "/tests/data/v8n-qdq-u8.onnx");
  g_autoptr (YoloModel) int8 = to_int8 (model, NULL, YOLO_INT8_ASYMMETRIC);

  g_assert_null (yolo_backend_load (cuda, int8, 0, NULL, YOLO_PRECISION_INT8, 0, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION);
}

int
main (int argc, char **argv)
{
  static const Case cases[] = {
    { "v8n-83.onnx", 0, 64, 64, 1 },
    { "v8n-83.onnx", 2, 64, 64, 1 },
    { "v8n-83.onnx", 4, 32, 96, 3 },
    { "v8n-83.onnx", 6, 96, 32, 2 },
    { "v8n-83.onnx", 8, 64, 64, 1 },
    { "v8m-opset12.onnx", 5, 64, 64, 1 },
    { "v5u-l.onnx", 2, 64, 32, 1 },
    { "v8-p2.onnx", 7, 32, 32, 2 },
    { "v5u.onnx", 5, 64, 64, 1 },
    { "v8-p6.onnx", 4, 64, 64, 1 },
    { "v8n-relu.onnx", 5, 64, 64, 1 },
    { "v8n-depthwise.onnx", 3, 64, 64, 2 },
    { "v8n-depthwise.onnx", 8, 32, 64, 1 },
    { "v8n-qdq-u8.onnx", -1, 64, 64, 1 },
    { "v8n-qdq-s8.onnx", -1, 32, 64, 2 },
    { "micro-qdq-depthwise.onnx", -1, 32, 32, 1 },
    { "micro-qdq-relu.onnx", -1, 32, 32, 2 },
    { "micro-qdq-s8-all.onnx", -1, 32, 96, 1 },
    { "micro-qdq-s8-dfl.onnx", -1, 32, 32, 1 },
    { "micro-qdq-u8-conv.onnx", -1, 64, 32, 1 },
    { "micro-qdq-u8-readers.onnx", -1, 32, 32, 1 },
    { "micro-qdq-apart.onnx", -1, 32, 32, 1 },
  };
  g_autoptr (GError) error = NULL;
  int result;

  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  device = yolo_cuda_device_get (0, NULL, &error);
  if (device == NULL) {
    printf ("1..0 # SKIP %s\n", error->message);
    return 0;
  }
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/cuda/int8/%s-%d-%u-%ux%u", cases[i].model,
        cases[i].some, cases[i].batch, cases[i].height, cases[i].width);
    g_test_add_data_func (path, &cases[i], test_case);
  }
  g_test_add_func ("/cuda/int8/seen", test_seen);
  g_test_add_func ("/cuda/int8/photograph", test_photograph);
  g_test_add_func ("/cuda/int8/asymmetric", test_asymmetric);
  result = g_test_run ();
  yolo_cuda_device_unref (device);
  return result;
}
