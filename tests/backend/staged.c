/* SPDX-License-Identifier: MIT */
/* Networks in pieces on several devices find what they find on one, whatever the devices are.
 *
 *     test-backend-staged host|cuda
 *
 * host: the CPU and the reference. cuda: GPUs as well, or what stands in for them, of which there
 * must be four. */

#include "backend/builtin.h"
#include "backend/staged.h"
#include "engine/load.h"
#include "network/graph.h"
#include "tests/guarded.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 2
#define ROUNDS 2

static const YoloBackend *const cpu = &yolo_cpu_backend, *const cuda = &yolo_cuda_backend,
    *const reference = &yolo_reference_backend;

/* Models */

static YoloModel *
open_model (const char *name)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "tests", "data", name, NULL);
  g_autoptr (GError) error = NULL;
  YoloModel *model = yolo_model_load (path, &error);

  g_assert_no_error (error);
  return model;
}

static float *
random_numbers (Random *random, gsize n, double deviation)
{
  float *numbers = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    numbers[i] = (float) (deviation * random_normal (random));
  return numbers;
}

static guint
add_conv (YoloGraph *graph, Random *random, guint in, guint channels, guint kernel, guint stride)
{
  const guint from = yolo_layer_at (graph->layers, in)->channels;
  const gsize each = (gsize) from * kernel * kernel;
  const YoloConv conv = { .in_channels = from, .out_channels = channels, .groups = 1,
    .kernel = { kernel, kernel }, .stride = { stride, stride }, .dilation = { 1, 1 },
    .pad = { kernel / 2, kernel / 2 }, .act = kernel > 1 ? YOLO_ACT_SILU : YOLO_ACT_NONE };
  g_autoptr (GError) error = NULL;
  guint layer = yolo_graph_conv (graph, "conv", in, &conv,
      random_numbers (random, each * channels, 1 / sqrt ((double) each)),
      random_numbers (random, channels, .3), NULL, &error);

  g_assert_no_error (error);
  return layer;
}

/* A network of few pixels and 2.4 MB of weights in four convolutions. */
static YoloModel *
make_wide (void)
{
  YoloGraph *graph = yolo_graph_new ("images", 32, 32);
  float *factors = g_new0 (float, 9);
  g_autoptr (GError) error = NULL;
  Random random = random_new (5);
  YoloModel *model;
  guint layer;

  for (guint i = 0; i < 3; i++)
    factors[4 * i] = 1.f / 255;
  layer = yolo_graph_image (graph, "image", 3, FALSE, factors, g_new0 (float, 3), &error);
  for (guint i = 0; i < 3; i++)
    layer = add_conv (graph, &random, layer, 32, 3, 2);
  for (guint i = 0; i < 5; i++)
    layer = add_conv (graph, &random, layer, 128, 3, 1);
  g_assert_true (yolo_graph_output (
      graph, YOLO_MAP_BOX, 0, add_conv (graph, &random, layer, 8, 1, 1), NULL));
  g_assert_true (yolo_graph_output (
      graph, YOLO_MAP_CLASS, 0, add_conv (graph, &random, layer, 1, 1, 1), NULL));
  graph->sha256 = g_compute_checksum_for_string (G_CHECKSUM_SHA256, "wide", -1);
  graph->height = graph->width = 32;
  model = yolo_model_new (graph, "wide", &error);
  g_assert_no_error (error);
  return model;
}

/* With a made-up table, whose ranges differ from layer to layer.
 * @floats: all convolutions stay in floats */
static YoloModel *
make_int8 (YoloModel *model, YoloInt8Kind kind, gboolean floats)
{
  g_autoptr (YoloCalibration) calibration = yolo_calibration_new (model);
  g_autoptr (GError) error = NULL;
  YoloModel *int8;

  for (guint i = 0; i < calibration->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (model, i);

    calibration->layers[i] = (YoloLayerCalibration) {
      .known = info.ranged,
      .low = -2.5f - .25f * (float) (i % 5),
      .high = 5 + .5f * (float) (i % 4),
      .int8 = info.conv != NULL && !floats && i % 3 != 1,
    };
  }
  int8 = yolo_model_to_int8 (model, calibration, kind, &error);
  g_assert_no_error (error);
  return int8;
}

/* Batches */

/* Frames of the network's input size, and what is found in them. */
typedef struct {
  guint8 *levels[BATCH];        /* [height][width][3] */
  YoloFrame frames[BATCH];
  YoloDecode decode[BATCH];
} Batch;

static void
batch_init (Batch *batch, const YoloModel *model, guint height, guint width, guint seed)
{
  for (guint i = 0; i < BATCH; i++) {
    Random random = random_new (seed * BATCH + i);
    gsize size = (gsize) height * width * 3, anchors = (gsize) height * width;

    batch->levels[i] = g_malloc (size);
    random_bytes (&random, batch->levels[i], size);
    batch->frames[i] = (YoloFrame) { .format = YOLO_FORMAT_RGB, .width = (int) width,
      .height = (int) height, .plane = { batch->levels[i] }, .stride = { 3 * (int) width } };
    batch->decode[i] = (YoloDecode) { .confidence = .001f,
      .candidates = g_new0 (YoloObject, anchors), .capacity = anchors };
  }
}

static void
batch_clear (Batch *batch)
{
  for (guint i = 0; i < BATCH; i++) {
    g_free (batch->levels[i]);
    g_free (batch->decode[i].candidates);
  }
}

static gboolean
submit (YoloExec *exec, Batch *batch, GError **error)
{
  const YoloNet *net = exec->net;
  const YoloBuffer *input = &exec->plan->buffers[exec->plan->input];

  for (guint i = 0; i < BATCH && net->host_input; i++)
    memcpy ((guint8 *) exec->input + i * input->size / BATCH, batch->levels[i],
        input->size / BATCH);
  return yolo_exec_submit (exec, BATCH, net->host_input ? NULL : batch->frames,
      net->host_maps ? NULL : batch->decode, error);
}

static int
by_anchor (const void *a, const void *b)
{
  const YoloObject *x = a, *y = b;

  return x->anchor != y->anchor ? x->anchor - y->anchor : x->class_id - y->class_id;
}

static gboolean
wait (YoloExec *exec, Batch *batch, GError **error)
{
  const YoloTask *task = yolo_task_find (exec->plan->model->task);

  if (!yolo_exec_wait (exec, error))
    return FALSE;
  for (guint i = 0; i < BATCH; i++) {
    YoloDecode *decode = &batch->decode[i];
    YoloHead head;

    if (exec->net->host_maps) {
      yolo_plan_head (exec->plan, exec->arena, i, &head);
      task->decode (&head, decode);
    }
    qsort (decode->candidates, decode->n, sizeof (YoloObject), by_anchor);
  }
  return TRUE;
}

/* Nets */

/* A device by its name. */
static YoloPlace
place_of (const char *name)
{
  if (g_str_has_prefix (name, "cuda:"))
    return (YoloPlace) { cuda, (guint) atoi (name + 5) };
  return (YoloPlace) { strcmp (name, "cpu") == 0 ? cpu : reference, 0 };
}

/* NULL: one of the devices is not there. */
static YoloNet *
load (YoloModel *model, const char *devices, YoloPrecision precision)
{
  g_auto (GStrv) names = g_strsplit (devices, "+", -1);
  YoloPlace places[YOLO_MAX_STAGES];
  g_autoptr (GError) error = NULL;
  guint n = g_strv_length (names);
  YoloNet *net;

  for (guint i = 0; i < n; i++) {
    places[i] = place_of (names[i]);
    if (!yolo_backend_available (places[i].backend, places[i].device, &error)) {
      g_test_skip (error->message);
      return NULL;
    }
  }
  net = n == 1 ? yolo_backend_load (places[0].backend, model, places[0].device, NULL, precision, 2,
                     &error)
               : yolo_staged_load (model, places, n, NULL, precision, 2, &error);
  g_assert_no_error (error);
  return net;
}

static YoloExec *
prepare (YoloNet *net, guint height, guint width)
{
  g_autoptr (GError) error = NULL;
  YoloExec *exec = yolo_net_prepare (net, BATCH, height, width, &error);

  g_assert_no_error (error);
  return exec;
}

/* What points and masks are made of: the first number of each map at the first candidates. */
static void
check_rows (YoloExec *one, YoloExec *other, const Batch *batch)
{
  const YoloPlan *plan = one->plan;
  const guint n = (guint) MIN (batch->decode[0].n, 3);

  for (guint k = 0; k < plan->model->n_outputs && n > 0; k++) {
    const YoloMapRole role = plan->model->outputs[k].role;
    const guint channels = plan->outputs[k].channels;
    g_autofree float *a = g_new0 (float, n * channels), *b = g_new0 (float, n * channels);

    if (role != YOLO_MAP_COEFFICIENT && role != YOLO_MAP_KEYPOINT)
      continue;
    for (guint image = 0; image < BATCH; image++) {
      const YoloObject *objects = batch->decode[image].candidates;

      if (batch->decode[image].n < n)
        continue;
      g_assert_true (yolo_exec_rows (one, image, role, objects, n, a, NULL));
      g_assert_true (yolo_exec_rows (other, image, role, objects, n, b, NULL));
      g_assert_cmpmem (a, n * channels * sizeof (float), b, n * channels * sizeof (float));
    }
  }
}

static void
compare (const Batch *want, const Batch *ours, gboolean exact)
{
  for (guint i = 0; i < BATCH; i++) {
    const YoloDecode *a = &want->decode[i], *b = &ours->decode[i];

    g_assert_cmpuint (a->n, >, 0);
    if (exact) {
      g_assert_cmpmem (a->candidates, a->n * sizeof (YoloObject), b->candidates,
          b->n * sizeof (YoloObject));
      continue;
    }
    /* two kinds of devices sum in another order; a candidate at the threshold may be missing */
    g_assert_cmpuint (MAX (a->n, b->n) - MIN (a->n, b->n), <=, 1);
    for (guint k = 0; k < a->n && a->n == b->n; k++) {
      const YoloObject *x = &a->candidates[k], *y = &b->candidates[k];

      g_assert_cmpint (x->anchor, ==, y->anchor);
      g_assert_cmpfloat (fabsf (x->confidence - y->confidence), <=, .002f);
      g_assert_cmpfloat (fabsf (x->x1 - y->x1), <=, .1f);
    }
  }
}

/* Cases */

typedef struct {
  const char *name, *model, *devices;
  const char *one;              /* the device whose results they must give */
  gboolean exact;
  YoloPrecision precision;
} Case;

static void
check_stats (YoloNet *net, const Case *c, guint batches, gboolean passes)
{
  YoloStageStats stats[YOLO_MAX_STAGES];
  g_auto (GStrv) names = g_strsplit (c->devices, "+", -1);
  const guint n = yolo_staged_get_stats (net, stats);

  g_assert_cmpuint (n, ==, g_strv_length (names));
  for (guint i = 0; i < n; i++) {
    g_assert_cmpstr (stats[i].device, ==, names[i]);
    g_assert_cmpuint (stats[i].part.first, ==, i > 0 ? stats[i - 1].part.end : 0);
    g_assert_cmpuint (stats[i].batches, ==, batches);
    g_assert_cmpuint (stats[i].images, ==, batches * BATCH);
    g_assert_true ((stats[i].bytes > 0) == (passes && i + 1 < n));
    g_test_message ("%s: operations %u to %u, %" G_GUINT64_FORMAT " bytes on, busy %.3f ms, "
                    "passing %.3f ms",
        stats[i].device, stats[i].part.first, stats[i].part.end, stats[i].bytes,
        (double) stats[i].busy / 1e6, (double) stats[i].passing / 1e6);
  }
}

/* As many batches under way as are worth it, all at once, some rounds of them. */
static void
run_rounds (const Case *c, YoloNet *single, YoloNet *net, guint height, guint width)
{
  const guint depth = net->depth;
  g_autofree YoloExec **execs = g_new (YoloExec *, depth);
  YoloExec *one = prepare (single, height, width);
  g_autofree Batch *batches = g_new0 (Batch, depth);
  g_autoptr (GError) error = NULL;

  for (guint k = 0; k < depth; k++)
    execs[k] = prepare (net, height, width);
  for (guint round = 0; round < ROUNDS; round++) {
    for (guint k = 0; k < depth; k++) {
      batch_init (&batches[k], net->model, height, width, round * depth + k);
      g_assert_true (submit (execs[k], &batches[k], &error));
    }
    for (guint k = 0; k < depth; k++) {
      Batch want;

      wait (execs[k], &batches[k], &error);
      g_assert_no_error (error);
      batch_init (&want, net->model, height, width, round * depth + k);
      g_assert_true (submit (one, &want, NULL) && wait (one, &want, NULL));
      compare (&want, &batches[k], c->exact);
      if (c->exact)
        check_rows (one, execs[k], &want);
      batch_clear (&want);
      batch_clear (&batches[k]);
    }
  }
  check_stats (net, c, ROUNDS * depth, TRUE);
  for (guint k = 0; k < depth; k++)
    yolo_exec_free (execs[k]);
  yolo_exec_free (one);
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (YoloModel) model = open_model (c->model), int8 = NULL;
  YoloModel *runs = model;
  YoloNet *one, *net;

  if (c->precision == YOLO_PRECISION_INT8)
    runs = int8 = make_int8 (model, place_of (c->one).backend->int8_kind, FALSE);
  net = load (runs, c->devices, c->precision);
  one = net != NULL ? load (runs, c->one, c->precision) : NULL;
  if (one != NULL)
    run_rounds (c, one, net, runs->stride, 2 * runs->stride);
  yolo_net_free (net);
  yolo_net_free (one);
}

/* A network whose pieces are in types that do not fit is refused when it is readied. */
static void
test_types (void)
{
  g_autoptr (YoloModel) model = open_model ("micro.onnx"), int8 = NULL;
  const YoloPlace places[] = { { reference, 0 }, { cuda, 0 } };
  g_autoptr (GError) error = NULL;
  YoloNet *net;

  if (!yolo_backend_available (cuda, 0, NULL)) {
    g_test_skip ("no CUDA");
    return;
  }
  int8 = make_int8 (model, YOLO_INT8_SYMMETRIC, TRUE);
  net = yolo_staged_load (int8, places, 2, NULL, YOLO_PRECISION_INT8, 1, &error);
  g_assert_no_error (error);
  g_assert_null (yolo_net_prepare (net, 1, int8->stride, int8->stride, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION);
  g_assert_nonnull (strstr (error->message, "cuda"));
  yolo_net_free (net);
}

/* A device that is not there is named. */
static void
test_missing (void)
{
  g_autoptr (YoloModel) model = open_model ("micro.onnx");
  const YoloPlace places[] = { { reference, 0 }, { reference, 7 } };
  g_autoptr (GError) error = NULL;

  g_assert_null (yolo_staged_load (model, places, 2, NULL, YOLO_PRECISION_FP32, 1, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
  g_assert_nonnull (strstr (error->message, "piece 2"));
  g_assert_nonnull (strstr (error->message, "reference"));
}

/* Failures of a GPU, which are made in a process of their own, by its driver's stand-in */

static const char *program;

/* Two batches of a network in two pieces; what came of them is printed. */
static int
run_child (const char *mode)
{
  const gboolean wide = strcmp (mode, "--wide-one") == 0 || strcmp (mode, "--wide-two") == 0;
  g_autoptr (YoloModel) model = wide ? make_wide () : open_model ("micro.onnx");
  const guint n = strcmp (mode, "--wide-one") == 0 ? 1 : 2;
  const YoloPlace places[] = { { cuda, 0 }, { cuda, 1 } };
  g_autoptr (GError) error = NULL;
  const char *step = "load";
  YoloExec *exec = NULL;
  Batch batch;
  YoloNet *net;

  batch_init (&batch, model, model->stride, model->stride, 1);
  net = n == 1 ? yolo_backend_load (cuda, model, 0, NULL, YOLO_PRECISION_FP32, 0, &error)
               : yolo_staged_load (model, places, n, NULL, YOLO_PRECISION_FP32, 0, &error);
  if (net != NULL) {
    step = "prepare";
    exec = yolo_net_prepare (net, BATCH, model->stride, model->stride, &error);
  }
  for (guint round = 0; round < 2 && error == NULL; round++) {
    step = "run";
    if (submit (exec, &batch, &error))
      wait (exec, &batch, &error);
  }
  yolo_exec_free (exec);
  yolo_net_free (net);
  batch_clear (&batch);
  if (error == NULL)
    printf ("all went well\n");
  else
    printf ("%s: %s: %s\n", step, error->code == YOLO_NETWORK_ERROR_MEMORY ? "memory"
        : error->code == YOLO_NETWORK_ERROR_DEVICE ? "device" : "?", error->message);
  return 0;
}

/* What a child printed, with a variable set. It must end well and leave nothing. */
static char *
child (const char *mode, const char *variable, guint value)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) environment = g_get_environ ();
  g_autofree char *number = g_strdup_printf ("%u", value), *errors = NULL;
  char *argv[] = { (char *) program, (char *) mode, NULL }, *output = NULL;
  int status;

  environment = g_environ_setenv (environment, variable, number, TRUE);
  /* a lost context takes its memory with it, and freeing it fails */
  environment = g_environ_setenv (
      environment, "GPUSIM_LEAKS", g_str_has_suffix (variable, "DEVICE") ? "0" : "1", TRUE);
  g_spawn_sync (NULL, argv, environment, 0, NULL, NULL, &output, &errors, &status, &error);
  g_assert_no_error (error);
  if (!g_spawn_check_wait_status (status, &error))
    g_error ("%s, %s=%u: %s\n%s%s", mode, variable, value, error->message, output, errors);
  if (strstr (errors, "leak") != NULL)
    g_error ("%s, %s=%u: %s", mode, variable, value, errors);
  g_test_message ("%s, %s=%u: %s", mode, variable, value, g_strchomp (output));
  return output;
}

static gboolean
skips_failures (void)
{
  if (g_getenv ("GPUSIM_CACHE") != NULL && g_getenv ("YOLO_TEST_ONCE") != NULL)
    return FALSE;
  g_test_skip ("a real driver does not fail on demand, and others do it once, with YOLO_TEST_ONCE");
  return TRUE;
}

/* The n-th allocation or launch fails, or the device is lost there, for numbers n that lie so close
 * that each piece has some, and the batches. Copies that fail are in tests/engine/staged.c. */
static void
test_failures (gconstpointer data)
{
  const char *variable = data;
  const gboolean memory = g_str_has_suffix (variable, "ALLOC");
  guint n, failed = 0, running = 0;

  if (skips_failures ())
    return;
  for (n = 1; n < 1000; n += memory ? 3 : 7, failed++) {
    g_autofree char *output = child ("--child", variable, n);

    if (strstr (output, "all went well") != NULL)
      break;
    g_assert_nonnull (strstr (output, memory ? ": memory: " : ": device: "));
    running += strstr (output, "run: ") != NULL;
    if (strstr (output, "load: ") == NULL)
      g_assert_nonnull (strstr (output, "piece "));
  }
  g_assert_cmpuint (failed, >, 3);
  g_assert_cmpuint (n, <, 1000);
  g_test_message ("%u failures, %u of them in batches", failed, running);
}

/* What has no room on one device runs on two. */
static void
test_large (void)
{
  g_autofree char *one = NULL, *two = NULL, *neither = NULL;

  if (skips_failures ())
    return;
  one = child ("--wide-one", "GPUSIM_MEMORY_MB", 2);
  two = child ("--wide-two", "GPUSIM_MEMORY_MB", 2);
  neither = child ("--wide-two", "GPUSIM_MEMORY_MB", 1);
  g_assert_nonnull (strstr (one, "load: memory: "));
  g_assert_nonnull (strstr (two, "all went well"));
  g_assert_nonnull (strstr (neither, "load: memory: no cut of the network into 2 pieces fits"));
}

#define FP32 YOLO_PRECISION_FP32
#define FP16 YOLO_PRECISION_FP16
#define INT8 YOLO_PRECISION_INT8

static const Case host_cases[] = {
  { "two-references", "micro.onnx", "reference+reference", "reference", TRUE, FP32 },
  { "three-references", "micro-segment.onnx", "reference+reference+reference", "reference", TRUE,
      FP32 },
  { "references-int8", "micro.onnx", "reference+reference", "reference", TRUE, INT8 },
  { "two-cpus", "v8n.onnx", "cpu+cpu", "cpu", TRUE, FP32 },
  { "four-cpus", "micro-pose26.onnx", "cpu+cpu+cpu+cpu", "cpu", TRUE, FP32 },
  { "cpus-int8", "v8n.onnx", "cpu+cpu", "cpu", TRUE, INT8 },
  { "cpu-reference", "micro.onnx", "cpu+reference", "reference", FALSE, FP32 },
  { "reference-cpu", "micro.onnx", "reference+cpu", "reference", FALSE, FP32 },
};

static const Case cuda_cases[] = {
  { "two-gpus", "v8n.onnx", "cuda:0+cuda:1", "cuda:0", TRUE, FP32 },
  { "gpu-twice", "micro.onnx", "cuda:1+cuda:1", "cuda:0", TRUE, FP32 },
  { "gpus-half", "micro.onnx", "cuda:0+cuda:1", "cuda:1", TRUE, FP16 },
  { "gpus-int8", "micro.onnx", "cuda:1+cuda:0", "cuda:0", TRUE, INT8 },
  { "four-gpus", "micro-segment.onnx", "cuda:0+cuda:1+cuda:2+cuda:3", "cuda:0", TRUE, FP16 },
  { "three-gpus-int8", "micro-pose26.onnx", "cuda:2+cuda:0+cuda:1", "cuda:0", TRUE, INT8 },
  { "gpu-cpu", "micro.onnx", "cuda:0+cpu", "reference", FALSE, FP32 },
  { "cpu-gpu", "micro.onnx", "cpu+cuda:0", "reference", FALSE, FP32 },
  { "gpu-reference-gpu", "micro.onnx", "cuda:0+reference+cuda:1", "reference", FALSE, FP32 },
};

int
main (int argc, char **argv)
{
  const gboolean gpus = argc > 1 && strcmp (argv[1], "cuda") == 0;
  const Case *cases = gpus ? cuda_cases : host_cases;
  const guint n = gpus ? G_N_ELEMENTS (cuda_cases) : G_N_ELEMENTS (host_cases);

  const char *mode = argc > 1 && g_str_has_prefix (argv[1], "--") ? argv[1] : NULL;

  program = argv[0];
  if (mode != NULL)
    argc = 1;
  g_test_init (&argc, &argv, NULL);
  if (mode != NULL)
    return run_child (mode);
  for (guint i = 0; i < n; i++) {
    g_autofree char *path = g_strdup_printf ("/backend/staged/%s", cases[i].name);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  if (gpus) {
    g_test_add_func ("/backend/staged/types", test_types);
    g_test_add_data_func ("/backend/staged/no-memory", "GPUSIM_FAIL_ALLOC", test_failures);
    g_test_add_data_func ("/backend/staged/refused-launch", "GPUSIM_FAIL_LAUNCH", test_failures);
    g_test_add_data_func ("/backend/staged/lost-device", "GPUSIM_LOSE_DEVICE", test_failures);
    g_test_add_func ("/backend/staged/large", test_large);
  }
  if (!gpus)
    g_test_add_func ("/backend/staged/missing", test_missing);
  return g_test_run ();
}
