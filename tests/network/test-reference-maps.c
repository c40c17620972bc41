/* SPDX-License-Identifier: MIT */
/* Plans against ONNX Runtime: each small model of tests/data, its maps
 * compared with those that tests/scripts/make-models.py wrote. See
 * tests/data/README.md for the files.
 *
 * Differences are relative to the largest absolute value of the map (one map of
 * one level): logits near zero carry the rounding of the large ones that they
 * were summed from. */

#include "backend/builtin.h"
#include "engine/load.h"
#include "network/int8.h"
#include "backend/reference.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FP32_TOLERANCE 1e-4
/* Files in 8 bits run in floats, while the reference has rounded every activation to 8
 * bits. The largest difference was 4.5 % when the files were made. */
#define INT8_TOLERANCE .1
/* The same files in int8, as they say: they differ by a step or a few of a map's 255. */
#define AS_FILE_TOLERANCE .02
#define AS_FILE_RMS_TOLERANCE .006
/* An operation of an int8 plan on the same numbers: what lies at the edge of two steps of
 * a grid may go either way, the more so behind a SiLU of 14 bits. Of a network of few
 * numbers it may be one of any. */
#define EDGE_SHARE .003
#define FLOAT_TOLERANCE 2e-4
/* bf16 keeps 8 bits, and some 20 layers stand in a row: the worst logit was off by 8 %,
 * and 1 % is usual. The root mean square says more. */
#define BF16_TOLERANCE .15
#define BF16_RMS_TOLERANCE .03
/* The same sums, added up in another order. */
#define SAME_TOLERANCE 2e-5

typedef struct {
  char *file, *maps, *names, *task;
  gboolean int8;
  guint batch, height, width, reg_max, n_levels, n_classes;
  guint strides[YOLO_MAX_LEVELS];
  guint n_other;                /* channels of each level's third map, or 0 */
  YoloHeadForm form;
} Reference;

/* The maps of one run, in the order of the model's outputs, [batch][h][w][channels]: levels
 * in order, box, class and third map, then what belongs to no level. */
typedef struct {
  float *values;
  gsize n;
  guint n_maps;
  gsize sizes[YOLO_MAX_OUTPUTS];        /* elements of each map of one image */
} Maps;

static void
maps_clear (Maps *maps)
{
  g_clear_pointer (&maps->values, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Maps, maps_clear)

static char *
data_path (const char *name)
{
  return g_build_filename (SOURCE_ROOT, "tests", "data", name, NULL);
}

/* Grey levels of the reference input, as make-models.py's noise(). @skip: so
 * many images are left out before. */
static guint8 *
noise (guint skip, guint batch, guint height, guint width)
{
  gsize size = (gsize) height * width * 3;
  guint8 *grey = g_malloc (batch * size);
  guint32 x = 1;

  for (gsize i = 0; i < (skip + batch) * size; i++) {
    x = x * 1664525u + 1013904223u;
    if (i >= skip * size)
      grey[i - skip * size] = (guint8) (x >> 24);
  }
  return grey;
}

/* Writes grey levels, exact in every type, into the plan's input; channels
 * beyond the third stay zero. */
static void
write_input (const YoloBuffer *input, guint batch, const guint8 *grey, void *to)
{
  gsize pixels = (gsize) batch * input->height * input->width;

  memset (to, 0, pixels * input->channels * yolo_dtype_size (input->dtype));
  for (gsize i = 0; i < pixels; i++) {
    for (guint c = 0; c < 3; c++) {
      gsize at = i * input->channels + c;
      float value = grey[3 * i + c];
      if (input->dtype == YOLO_F32) {
        ((float *) to)[at] = value;
      } else if (input->dtype == YOLO_U8) {
        ((guint8 *) to)[at] = grey[3 * i + c];
      } else {
        guint32 bits;
        g_assert_cmpint (input->dtype, ==, YOLO_BF16);
        memcpy (&bits, &value, 4);
        ((guint16 *) to)[at] = (guint16) (bits >> 16);
      }
    }
  }
}

static float *
append_view (float *to, const YoloPlan *plan, YoloView view, const float *from, guint n)
{
  const YoloBuffer *b = &plan->buffers[view.buffer];
  gsize pixels = (gsize) n * b->height * b->width;

  g_assert_cmpint (b->dtype, ==, YOLO_F32);
  for (gsize i = 0; i < pixels; i++, to += view.channels)
    memcpy (to, from + i * b->channels, view.channels * sizeof (float));
  return to;
}

static Maps
maps_new (const YoloPlan *plan, guint n)
{
  Maps maps = { .n_maps = plan->model->n_outputs };

  for (guint k = 0; k < plan->model->n_outputs; k++) {
    const YoloOutput *output = &plan->model->outputs[k];
    const YoloBuffer *map = &plan->buffers[plan->outputs[k].buffer];

    maps.sizes[k] = (gsize) map->height * map->width * plan->outputs[k].channels;
    maps.n += n * maps.sizes[k];
    if (output->role == YOLO_MAP_LOGIT) {
      g_assert_cmpuint (map->height * map->width, ==, 1);
      continue;
    }
    g_assert_cmpuint (map->height, ==, plan->height / output->stride);
    g_assert_cmpuint (map->width, ==, plan->width / output->stride);
  }
  maps.values = g_new (float, maps.n);
  return maps;
}

/* How images are run: by the plain interpreter, or by a back end. */
typedef struct {
  const char *name;
  YoloNet *net;                 /* NULL: the plain interpreter runs them */
} Runner;

static Maps
run (const Runner *runner, YoloModel *model, guint batch, guint height, guint width,
    const guint8 *grey)
{
  g_autoptr (GError) error = NULL;
  Maps maps;

  if (runner->net == NULL) {
    g_autoptr (YoloPlan) plan = yolo_plan_new (model, batch, height, width, YOLO_F32,
        model->int8 ? YOLO_U8 : YOLO_F32, 3, &error);
    g_assert_no_error (error);
    YoloBuffer floats = plan->buffers[plan->input];
    floats.dtype = YOLO_F32;
    g_autofree float *input = g_new (float, (gsize) batch * height * width * 3);
    /* What is not written must not be read. */
    g_autofree guint8 *arena = g_malloc (plan->arena_size);
    memset (arena, 0xff, plan->arena_size);
    write_input (&floats, batch, grey, input);
    yolo_reference_run (plan, input, arena);
    maps = maps_new (plan, batch);
    float *to = maps.values;
    for (guint k = 0; k < model->n_outputs; k++)
      to = append_view (to, plan, plan->outputs[k],
          yolo_reference_at (plan, arena, plan->outputs[k], 0, 0, 0, 0), batch);
    return maps;
  }

  YoloExec *exec = yolo_net_prepare (runner->net, batch, height, width, &error);
  g_assert_no_error (error);
  const YoloPlan *plan = exec->plan;
  write_input (&plan->buffers[plan->input], batch, grey, exec->input);
  g_assert_true (yolo_exec_submit (exec, batch, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (yolo_exec_wait (exec, &error));
  maps = maps_new (plan, batch);
  float *to = maps.values;
  for (guint k = 0; k < model->n_outputs; k++)
    to = append_view (to, plan, plan->outputs[k], yolo_exec_view (exec, plan->outputs[k]), batch);
  yolo_exec_free (exec);
  return maps;
}

/* The largest difference of any map, relative to the map. @image: which of
 * @batch images of `a` is compared with the only one of `b`; -1: all.
 * @rms: the largest root mean square of any map, relative to the same, or NULL. */
static double
worst_difference (guint batch, const Maps *a, const Maps *b, int image, double *rms)
{
  const float *x = a->values, *y = b->values;
  double worst = 0, worst_rms = 0;

  for (guint m = 0; m < a->n_maps; m++) {
    gsize one = a->sizes[m], n = image < 0 ? batch * one : one;
    const float *from = image < 0 ? x : x + (gsize) image * one;
    double scale = 0, difference = 0, sum = 0;

    for (gsize i = 0; i < n; i++) {
      scale = MAX (scale, fabs (y[i]));
      sum += (from[i] - y[i]) * (from[i] - y[i]);
      if (!(fabs (from[i] - y[i]) <= difference))      /* FALSE for NaN too */
        difference = fabs (from[i] - y[i]);
    }
    g_assert_false (isnan (difference));
    worst = MAX (worst, difference / scale);
    worst_rms = MAX (worst_rms, sqrt (sum / (double) n) / scale);
    x += batch * one;
    y += n;
  }
  if (rms)
    *rms = worst_rms;
  return worst;
}

static YoloModel *
load (const Reference *r)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = data_path (r->file);
  YoloModel *model = yolo_model_load (path, &error);

  g_assert_no_error (error);
  g_assert_nonnull (model);
  return model;
}

static YoloNet *
load_net (YoloModel *model, YoloPrecision precision)
{
  g_autoptr (GError) error = NULL;

  if (!yolo_backend_available (&yolo_cpu_backend, 0, &error)
      || !yolo_backend_resolve (&yolo_cpu_backend, 0, &precision, &error)) {
    g_test_message (
        "no %s on this CPU: %s", yolo_precision_name (precision), error ? error->message : "");
    return NULL;
  }
  YoloNet *net = yolo_backend_load (&yolo_cpu_backend, model, 0, NULL, precision, 1, &error);
  g_assert_no_error (error);
  return net;
}

/* What each level's third map is for, or the only map where there are no levels. */
static YoloMapRole
third_role (const char *task)
{
  static const struct {
    const char *task;
    YoloMapRole role;
  } roles[] = {
    { "segment", YOLO_MAP_COEFFICIENT },
    { "pose", YOLO_MAP_KEYPOINT },
    { "obb", YOLO_MAP_ANGLE },
  };
  guint i = 0;

  while (!g_str_equal (roles[i].task, task))
    g_assert_cmpuint (++i, <, G_N_ELEMENTS (roles));
  return roles[i].role;
}

/* The maps of a head with levels: roles, levels, strides and channels, in order. */
static void
check_levels (YoloModel *model, const Reference *r)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, 1, model->stride, model->stride, YOLO_F32, YOLO_F32, 3, &error);
  guint n_maps = r->n_other > 0 ? 3 : 2;
  const guint channels[] = { 4 * r->reg_max, r->n_classes, r->n_other };
  const YoloMapRole roles[] = { YOLO_MAP_BOX, YOLO_MAP_CLASS,
    n_maps == 3 ? third_role (r->task) : YOLO_MAP_BOX };
  gboolean masks = g_str_equal (r->task, "segment");

  g_assert_no_error (error);
  g_assert_cmpuint (model->n_outputs, ==, n_maps * r->n_levels + masks);
  for (guint i = 0; i < n_maps * r->n_levels; i++) {
    g_assert_cmpint (model->outputs[i].role, ==, roles[i % n_maps]);
    g_assert_cmpuint (model->outputs[i].level, ==, i / n_maps);
    g_assert_cmpuint (model->outputs[i].stride, ==, r->strides[i / n_maps]);
    g_assert_cmpuint (plan->outputs[i].channels, ==, channels[i % n_maps]);
  }
  if (masks) {
    const YoloOutput *last = &model->outputs[model->n_outputs - 1];
    g_assert_cmpint (last->role, ==, YOLO_MAP_PROTOTYPE);
    g_assert_cmpuint (2 * last->stride, ==, r->strides[0]);
    g_assert_cmpuint (plan->outputs[model->n_outputs - 1].channels, ==, r->n_other);
  }
  g_assert_cmpuint (model->stride, ==, r->strides[r->n_levels - 1]);
}

static void
test_facts (gconstpointer data)
{
  const Reference *r = data;
  g_autoptr (YoloModel) model = load (r);
  g_autofree char *names = g_strjoinv ("|", model->names);
  gboolean open = strstr (r->file, "dynamic") != NULL;

  g_assert_cmpstr (model->task, ==, r->task);
  g_assert_cmpuint (model->n_classes, ==, r->n_classes);
  g_assert_cmpstr (names, ==, r->names);
  g_assert_cmpuint (model->reg_max, ==, r->reg_max);
  g_assert_cmpuint (model->form.keypoints, ==, r->form.keypoints);
  g_assert_cmpuint (model->form.dimensions, ==, r->form.dimensions);
  g_assert_cmpfloat (model->form.point_scale, ==, r->form.point_scale);
  g_assert_cmpfloat (model->form.point_offset, ==, r->form.point_offset);
  g_assert_cmpint (model->form.angle_sigmoid, ==, r->form.angle_sigmoid);
  g_assert_cmpint (model->form.end_to_end, ==, r->form.end_to_end);
  if (r->n_levels > 0) {
    check_levels (model, r);
  } else {
    g_assert_cmpuint (model->n_outputs, ==, 1);
    g_assert_cmpint (model->outputs[0].role, ==, YOLO_MAP_LOGIT);
  }
  if (!open) {
    g_assert_cmpuint (model->height, ==, r->height);
    g_assert_cmpuint (model->width, ==, r->width);
  }
}

static void
compare_with_file (const Runner *runner, YoloModel *model, const Reference *r, double tolerance,
    double rms_tolerance)
{
  g_autofree char *path = data_path (r->maps);
  g_autofree guint8 *grey = noise (0, r->batch, r->height, r->width);
  g_auto (Maps) ours = run (runner, model, r->batch, r->height, r->width, grey);
  Maps theirs;
  gsize size;
  g_autofree char *bytes = NULL;

  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  g_assert_cmpuint (size, ==, ours.n * sizeof (float));
  theirs = (Maps) { .values = (float *) bytes, .n = ours.n };
#if G_BYTE_ORDER == G_BIG_ENDIAN
  for (gsize i = 0; i < theirs.n; i++)
    ((guint32 *) bytes)[i] = GUINT32_FROM_LE (((guint32 *) bytes)[i]);
#endif
  double rms, difference = worst_difference (r->batch, &ours, &theirs, -1, &rms);
  g_test_message (
      "%s: %.2g of the largest value, root mean square %.2g", runner->name, difference, rms);
  g_assert_cmpfloat (difference, <=, tolerance);
  g_assert_cmpfloat (rms, <=, rms_tolerance);
}

static void
test_plain (gconstpointer data)
{
  const Reference *r = data;
  g_autoptr (YoloModel) model = load (r);
  double tolerance = r->int8 ? INT8_TOLERANCE : FP32_TOLERANCE;

  compare_with_file (&(Runner) { "plain C", NULL }, model, r, tolerance, tolerance);
}

static void
test_cpu (const Reference *r, YoloPrecision precision, double tolerance, double rms_tolerance)
{
  g_autoptr (YoloModel) model = load (r);
  Runner runner = { yolo_precision_name (precision), load_net (model, precision) };

  if (runner.net == NULL) {
    g_test_skip ("not on this CPU");
    return;
  }
  compare_with_file (&runner, model, r, tolerance, rms_tolerance);
  yolo_net_free (runner.net);
}

static void
test_cpu_fp32 (gconstpointer data)
{
  const Reference *r = data;
  double tolerance = r->int8 ? INT8_TOLERANCE : FP32_TOLERANCE;

  test_cpu (r, YOLO_PRECISION_FP32, tolerance, tolerance);
}

static void
test_cpu_bf16 (gconstpointer data)
{
  const Reference *r = data;

  double int8 = r->int8 ? INT8_TOLERANCE : 0;

  test_cpu (r, YOLO_PRECISION_BF16, BF16_TOLERANCE + int8, BF16_RMS_TOLERANCE + int8);
}

/* An int8 plan that runs on the CPU: each operation is run by straight loops too,
 * on the numbers that the CPU has. */
typedef struct {
  const YoloExec *exec;
  const float *input;
  guint8 *arena;                /* a copy of the plan's arena */
  /* numbers of 8 bits: how many were compared, and how many were off by one step */
  gsize elements, edges;
} Comparison;

static void
compare_view (Comparison *c, YoloView view)
{
  const YoloPlan *plan = c->exec->plan;
  const YoloBuffer *buffer = &plan->buffers[view.buffer];
  gsize pixels = (gsize) plan->batch * buffer->height * buffer->width;
  const guint8 *a = (const guint8 *) c->exec->arena + buffer->offset,
               *b = c->arena + buffer->offset;
  float scale = 0;

  for (gsize i = 0; i < pixels * buffer->channels && buffer->dtype == YOLO_F32; i++)
    scale = MAX (scale, fabsf (((const float *) b)[i]));
  for (gsize i = 0; i < pixels; i++)
    for (gsize at = i * buffer->channels + view.channel;
         at < i * buffer->channels + view.channel + view.channels; at++) {
      if (buffer->dtype == YOLO_F32) {
        g_assert_cmpfloat (
            fabsf (((const float *) a)[at] - ((const float *) b)[at]), <=, FLOAT_TOLERANCE * scale);
        continue;
      }
      g_assert_cmpint (ABS (a[at] - b[at]), <=, 1);
      c->elements++;
      c->edges += a[at] != b[at];
    }
}

static void
compare_op (gpointer data, guint op)
{
  Comparison *c = data;
  const YoloPlan *plan = c->exec->plan;

  memcpy (c->arena, c->exec->arena, plan->arena_size);
  yolo_reference_run_op (plan, c->input, c->arena, op);
  compare_view (c, plan->ops[op].out);
}

static void
compare_int8 (YoloModel *int8, const Reference *r)
{
  g_autoptr (GError) error = NULL;
  gsize n = (gsize) r->batch * r->height * r->width * 3;
  g_autofree guint8 *grey = noise (0, r->batch, r->height, r->width);
  g_autofree float *input = g_new (float, n);
  YoloNet *net = load_net (int8, YOLO_PRECISION_INT8);
  Comparison c = { .input = input };
  YoloExec *exec;

  if (net == NULL)
    return;
  exec = yolo_net_prepare (net, r->batch, r->height, r->width, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++)
    input[i] = grey[i];
  memcpy (exec->input, grey, n);
  memset (exec->arena, 0, exec->plan->arena_size);
  c.exec = exec;
  c.arena = g_malloc (exec->plan->arena_size);
  exec->observe = compare_op;
  exec->observe_data = &c;
  g_assert_true (yolo_exec_submit (exec, r->batch, NULL, NULL, &error));
  g_assert_true (yolo_exec_wait (exec, &error));
  g_assert_no_error (error);
  g_test_message (
      "%" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " numbers are one step off", c.edges, c.elements);
  g_assert_cmpfloat ((double) c.edges, <=, MAX (1, EDGE_SHARE * (double) c.elements));
  g_free (c.arena);
  yolo_exec_free (exec);
  yolo_net_free (net);
}

/* Quantised files in int8, against ONNX Runtime in int8. */
static void
test_as_file (gconstpointer data)
{
  const Reference *r = data;
  g_autoptr (YoloModel) model = load (r);
  g_autoptr (GError) error = NULL;

  if (!model->quantized) {
    g_test_skip ("no int8 convolution in the file");
    return;
  }
  g_autoptr (YoloModel) int8 = yolo_model_to_int8 (model, NULL, YOLO_INT8_ASYMMETRIC, &error);
  g_assert_no_error (error);
  if (r->int8)
    compare_with_file (
        &(Runner){ "plain C, int8", NULL }, int8, r, AS_FILE_TOLERANCE, AS_FILE_RMS_TOLERANCE);
  compare_int8 (int8, r);
}

/* A table with ranges that are about right, and some layers in int8. */
static YoloCalibration *
make_calibration (YoloModel *model, guint32 some)
{
  YoloCalibration *calibration = yolo_calibration_new (model);

  for (guint i = 0; i < calibration->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (model, i);
    calibration->layers[i].known = info.ranged;
    calibration->layers[i].low = info.conv != NULL && info.conv->act == YOLO_ACT_SILU ? -.28f : -6;
    calibration->layers[i].high = 6 + (i % 5);
    calibration->layers[i].int8 = (i * 2654435761u >> 16 & 7) < some;
  }
  return calibration;
}

static void
test_calibrated (gconstpointer data)
{
  const Reference *r = data;
  g_autoptr (YoloModel) model = load (r);

  for (guint32 some = 0; some <= 8; some += 2) {
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloCalibration) calibration = make_calibration (model, some);
    g_autoptr (YoloModel) int8 =
        yolo_model_to_int8 (model, calibration, YOLO_INT8_ASYMMETRIC, &error);
    g_assert_no_error (error);
    compare_int8 (int8, r);
  }
}

/* Images of a batch do not touch each other, whatever the file's batch is. */
static void
check_batches (const Runner *runner, YoloModel *model, guint height, guint width)
{
  for (guint batch = 2; batch <= 3; batch++) {
    g_autofree guint8 *all = noise (0, batch, height, width);
    g_auto (Maps) together = run (runner, model, batch, height, width, all);
    for (guint i = 0; i < batch; i++) {
      g_autofree guint8 *grey = noise (i, 1, height, width);
      g_auto (Maps) alone = run (runner, model, 1, height, width, grey);
      g_assert_cmpfloat (
          worst_difference (batch, &together, &alone, (int) i, NULL), <=, SAME_TOLERANCE);
    }
  }
}

static void
test_batches (gconstpointer data)
{
  const Reference *r = data;
  g_autoptr (YoloModel) model = load (r);
  Runner cpu = { "fp32", load_net (model, YOLO_PRECISION_FP32) };

  check_batches (&(Runner) { "plain C", NULL }, model, model->stride, 2 * model->stride);
  if (cpu.net) {
    check_batches (&cpu, model, model->stride, 2 * model->stride);
    yolo_net_free (cpu.net);
  }
}

/* A file of one size runs at any multiple of its stride: the back end and the
 * plain interpreter agree there. */
static void
test_sizes (gconstpointer data)
{
  /* height and width in strides */
  static const guint sizes[][2] = { { 1, 1 }, { 1, 3 }, { 3, 2 } };
  const Reference *r = data;
  g_autoptr (YoloModel) model = load (r);
  Runner plain = { "plain C", NULL }, cpu = { "fp32", load_net (model, YOLO_PRECISION_FP32) };

  if (cpu.net == NULL) {
    g_test_skip ("no CPU back end");
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    guint height = sizes[i][0] * model->stride, width = sizes[i][1] * model->stride;
    g_autofree guint8 *grey = noise (0, 1, height, width);
    g_auto (Maps) a = run (&plain, model, 1, height, width, grey);
    g_auto (Maps) b = run (&cpu, model, 1, height, width, grey);
    g_assert_cmpfloat (worst_difference (1, &a, &b, -1, NULL), <=, FP32_TOLERANCE);
  }
  yolo_net_free (cpu.net);
}

static YoloHeadForm
parse_form (const char *text)
{
  g_auto (GStrv) f = g_strsplit (text, ",", -1);

  g_assert_cmpuint (g_strv_length (f), ==, 6);
  return (YoloHeadForm) { .keypoints = (guint) atoi (f[0]), .dimensions = (guint) atoi (f[1]),
    .point_scale = (float) g_ascii_strtod (f[2], NULL),
    .point_offset = (float) g_ascii_strtod (f[3], NULL), .angle_sigmoid = atoi (f[4]),
    .end_to_end = atoi (f[5]) };
}

static Reference *
parse (const char *line)
{
  g_auto (GStrv) f = g_strsplit (line, "\t", -1);
  Reference *r = g_new0 (Reference, 1);

  g_assert_cmpuint (g_strv_length (f), ==, 12);
  r->file = g_strdup (f[0]);
  r->maps = g_strdup (f[1]);
  r->int8 = g_str_equal (f[2], "int8");
  r->batch = (guint) atoi (f[3]);
  r->height = (guint) atoi (f[4]);
  r->width = (guint) atoi (f[5]);
  r->reg_max = (guint) atoi (f[6]);
  g_auto (GStrv) strides = g_strsplit (f[7], ",", -1);
  for (; strides[r->n_levels]; r->n_levels++)
    r->strides[r->n_levels] = (guint) atoi (strides[r->n_levels]);
  r->names = g_strdup (f[8]);
  g_auto (GStrv) names = g_strsplit (f[8], "|", -1);
  r->n_classes = g_strv_length (names);
  r->task = g_strdup (f[9]);
  r->n_other = (guint) atoi (f[10]);
  r->form = parse_form (f[11]);
  return r;
}

static void
reference_free (gpointer data)
{
  Reference *r = data;

  g_free (r->file);
  g_free (r->maps);
  g_free (r->names);
  g_free (r->task);
  g_free (r);
}

static void
add (const char *what, const Reference *r, GTestDataFunc func)
{
  g_autofree char *name = g_strndup (r->maps, strlen (r->maps) - strlen (".maps"));
  g_autofree char *path = g_strdup_printf ("/reference/%s/%s", name, what);

  g_test_add_data_func (path, r, func);
}

int
main (int argc, char **argv)
{
  g_autofree char *index = data_path ("models.tsv"), *text = NULL;
  g_autoptr (GError) error = NULL;
  const char *last = "";

  g_test_init (&argc, &argv, NULL);
  g_file_get_contents (index, &text, NULL, &error);
  g_assert_no_error (error);
  g_auto (GStrv) lines = g_strsplit (g_strchomp (text), "\n", -1);
  g_autoptr (GPtrArray) references = g_ptr_array_new_with_free_func (reference_free);
  for (char **line = lines; *line; line++) {
    if (**line == '#')
      continue;
    Reference *r = parse (*line);
    g_ptr_array_add (references, r);
    if (!g_str_equal (r->file, last)) {
      add ("facts", r, test_facts);
      add ("batches", r, test_batches);
      add ("sizes", r, test_sizes);
    }
    last = r->file;
    add ("plain", r, test_plain);
    add ("cpu-fp32", r, test_cpu_fp32);
    add ("cpu-bf16", r, test_cpu_bf16);
    add ("int8-as-file", r, test_as_file);
    add ("int8-calibrated", r, test_calibrated);
  }
  return g_test_run ();
}
