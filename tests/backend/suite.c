/* SPDX-License-Identifier: MIT */
/* What every back end must do, whatever it runs on: each operation, in a small
 * network around it, gives what the definitions say, in every precision that the
 * back end has; and what its users rely on beside. Run once for each back end,
 * whose name is the argument.
 *
 * Floats are held to the layers of the graph (networks.h): neither plans nor passes
 * nor backend/reference.c take part in that. Whole numbers are held to
 * backend/reference.c, and less closely to the floats. */

#include "backend/builtin.h"
#include "backend/reference.h"
#include "network/int8.h"
#include "tests/backend/networks.h"
#include "tests/guarded.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 3

static const YoloBackend *backend;

/* What the plans that ran have held: operations, and those whose views begin behind
 * the first channel of their buffers. */
static struct {
  guint any, in, out, residual;
} seen[16];

/* Models */

static YoloModel *
make_model (const Case *c, guint height, guint width)
{
  g_autoptr (GError) error = NULL;
  YoloModel *model = yolo_model_new (make_graph (c, height, width), c->name, &error);

  g_assert_no_error (error);
  return model;
}

/* A made-up table: ranges that differ from layer to layer.
 * @sparse: each third convolution stays in floats */
static YoloModel *
make_int8 (YoloModel *model, gboolean sparse)
{
  g_autoptr (YoloCalibration) calibration = yolo_calibration_new (model);
  g_autoptr (GError) error = NULL;
  YoloModel *int8;

  for (guint i = 0; i < calibration->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (model, i);

    calibration->layers[i] = (YoloLayerCalibration){
      .known = info.ranged,
      .low = -2.5f - .25f * (float) (i % 5),
      .high = 5 + .5f * (float) (i % 4),
      .int8 = info.conv != NULL && !(sparse && i % 3 == 1),
    };
  }
  int8 = yolo_model_to_int8 (model, calibration, backend->int8_kind, &error);
  g_assert_no_error (error);
  return int8;
}

/* Runs */

/* Pixels and candidates of a batch, in memory that ends where they end. */
typedef struct {
  guint n, height, width;       /* frames; pixels of each, which are those of the input */
  gsize anchors;
  Guarded levels[BATCH];        /* [height][width][3], R G B */
  Guarded candidates[BATCH];
  YoloDecode decode[BATCH];
} Batch;

static void
batch_init (Batch *batch, const YoloModel *model, guint n, guint height, guint width, guint seed)
{
  guint stride = model->outputs[0].stride;

  *batch = (Batch){ .n = n, .height = height, .width = width };
  batch->anchors = (gsize) (height / stride) * (width / stride);
  for (guint i = 0; i < n; i++) {
    Random random = random_new (seed + i);

    batch->levels[i] = guarded_new ((gsize) height * width * 3);
    random_bytes (&random, batch->levels[i].data, batch->levels[i].size);
    batch->candidates[i] = guarded_new (batch->anchors * sizeof (YoloObject));
    batch->decode[i] = (YoloDecode){ .candidates = (YoloObject *) batch->candidates[i].data,
      .capacity = batch->anchors };
  }
}

static void
batch_clear (Batch *batch)
{
  for (guint i = 0; i < batch->n; i++) {
    guarded_free (&batch->levels[i]);
    guarded_free (&batch->candidates[i]);
  }
}

static void
start (YoloExec *exec, Batch *batch)
{
  g_autoptr (GError) error = NULL;
  YoloFrame frames[BATCH];
  gboolean host = backend->host_memory;

  for (guint i = 0; i < batch->n; i++) {
    frames[i] = (YoloFrame){ .format = YOLO_FORMAT_RGB,
      .width = (int) batch->width,
      .height = (int) batch->height,
      .plane = { batch->levels[i].data },
      .stride = { 3 * (int) batch->width } };
    if (host)
      memcpy ((guint8 *) exec->input + i * batch->levels[i].size, batch->levels[i].data,
          batch->levels[i].size);
    /* what is left from before must not pass for a result */
    memset (batch->candidates[i].data, 0xff, batch->candidates[i].size);
  }
  if (host) {
    g_assert_cmpint (exec->plan->buffers[exec->plan->input].dtype, ==, YOLO_U8);
    g_assert_cmpuint (exec->plan->buffers[exec->plan->input].channels, ==, 3);
  }
  yolo_exec_submit (exec, batch->n, host ? NULL : frames, host ? NULL : batch->decode, &error);
  g_assert_no_error (error);
}

static int
by_anchor (const void *a, const void *b)
{
  return ((const YoloObject *) a)->anchor - ((const YoloObject *) b)->anchor;
}

static void
finish (YoloExec *exec, Batch *batch)
{
  g_autoptr (GError) error = NULL;

  yolo_exec_wait (exec, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < batch->n; i++) {
    YoloDecode *decode = &batch->decode[i];
    YoloHead head;

    if (backend->host_memory) {
      yolo_plan_head (exec->plan, exec->arena, i, &head);
      yolo_task_detect.decode (&head, decode);
    }
    g_assert_cmpuint (decode->n, ==, batch->anchors);
    g_assert_cmpuint (decode->missed, ==, 0);
    qsort (decode->candidates, decode->n, sizeof (YoloObject), by_anchor);
  }
}

static YoloNet *
load (YoloModel *model, YoloPrecision precision, guint threads)
{
  g_autoptr (GError) error = NULL;
  YoloNet *net = yolo_backend_load (backend, model, 0, NULL, precision, threads, &error);

  g_assert_no_error (error);
  g_assert_cmpint (net->precision, ==, precision);
  return net;
}

static YoloExec *
prepare (YoloNet *net, guint batch, guint height, guint width)
{
  g_autoptr (GError) error = NULL;
  YoloExec *exec = yolo_net_prepare (net, batch, height, width, &error);

  g_assert_no_error (error);
  return exec;
}

/* Comparisons */

/* How far results may be off: the farthest number, and the root of the mean square.
 * Confidences, and sides of boxes in pixels of the map, which are 0 to 1 each. */
typedef struct {
  double most, mean;
} Tolerance;

static void
compare (const char *what, const YoloDecode *ours, const YoloDecode *want, guint stride,
    Tolerance tolerance)
{
  double most = 0, sum = 0;

  g_assert_cmpuint (ours->n, ==, want->n);
  for (size_t i = 0; i < ours->n; i++) {
    const YoloObject *a = &ours->candidates[i], *b = &want->candidates[i];
    const float off[] = { a->confidence - b->confidence, (a->x1 - b->x1) / (float) stride,
      (a->y1 - b->y1) / (float) stride, (a->x2 - b->x2) / (float) stride,
      (a->y2 - b->y2) / (float) stride };

    g_assert_cmpint (a->anchor, ==, b->anchor);
    g_assert_cmpint (a->class_id, ==, b->class_id);
    for (guint k = 0; k < G_N_ELEMENTS (off); k++) {
      most = fabsf (off[k]) <= most ? most : fabsf (off[k]);    /* NaN is the most */
      sum += off[k] * off[k];
    }
  }
  double mean = sqrt (sum / (5 * (double) ours->n));

  g_test_message ("%s: %.2g at most, %.2g in the mean", what, most, mean);
  if (!(most <= tolerance.most && mean <= tolerance.mean))
    g_error ("%s: results are off by %g at most and %g in the mean; %g and %g are allowed", what,
        most, mean, tolerance.most, tolerance.mean);
}

/* The same frames by backend/reference.c, in the types of a plan of the back end's. */
static void
refer (const YoloPlan *plan, const Batch *batch, YoloDecode *decode)
{
  g_autoptr (GError) error = NULL;
  const YoloBuffer *input = &plan->buffers[plan->input];
  gboolean bytes = yolo_dtype_size (input->dtype) == 1;
  g_autoptr (YoloPlan) same = yolo_plan_new ((YoloModel *) plan->model, batch->n, plan->height,
      plan->width, YOLO_F32, bytes ? input->dtype : YOLO_F32, input->channels, &error);
  gsize pixels = (gsize) batch->height * batch->width;
  g_autofree float *levels = g_new0 (float, batch->n * pixels * input->channels);
  g_autofree void *arena = NULL;

  g_assert_no_error (error);
  arena = g_malloc (same->arena_size);
  for (gsize i = 0; i < batch->n * pixels; i++) {
    for (guint c = 0; c < 3; c++) {
      guint8 level = batch->levels[i / pixels].data[i % pixels * 3 + c];
      levels[i * input->channels + c] =
          input->dtype == YOLO_S8 ? rintf ((float) level * (127 / 255.f)) : level;
    }
  }
  yolo_reference_run (same, levels, arena);
  for (guint i = 0; i < batch->n; i++) {
    YoloHead head;

    yolo_plan_head (same, arena, i, &head);
    yolo_task_detect.decode (&head, &decode[i]);
  }
}

static void
note (const YoloPlan *plan)
{
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];

    g_assert_cmpuint (op->type, <, G_N_ELEMENTS (seen));
    g_assert_false (
        op->type == YOLO_OP_ATTENTION && plan->buffers[op->in.buffer].scale != NULL);
    seen[op->type].any++;
    seen[op->type].in += op->in.channel > 0;
    seen[op->type].out += op->out.channel > 0;
    seen[op->type].residual += op->residual.channels > 0 && op->residual.channel > 0;
  }
}

/* Operations */

/* What an operation is tried in. */
typedef struct {
  const char *name;
  YoloPrecision precision;
  gboolean sparse;              /* of int8: some convolutions stay in floats */
  /* From the layers' definition; and in int8 from backend/reference.c. */
  Tolerance floats, same;
} Kind;

static const Kind kinds[] = {
  { "fp32", YOLO_PRECISION_FP32, FALSE, { 2e-5, 2e-6 }, { 0, 0 } },
  { "fp16", YOLO_PRECISION_FP16, FALSE, { .003, .0006 }, { 0, 0 } },
  { "bf16", YOLO_PRECISION_BF16, FALSE, { .02, .004 }, { 0, 0 } },
  { "int8", YOLO_PRECISION_INT8, FALSE, { .16, .015 }, { .04, .003 } },
  { "int8-sparse", YOLO_PRECISION_INT8, TRUE, { .16, .015 }, { .04, .004 } },
};

typedef struct {
  const Case *c;
  const Kind *kind;
} Test;

static void
check (const Test *test, const YoloExec *exec, const Batch *batch)
{
  g_autoptr (YoloGraph) graph = make_graph (test->c, batch->height, batch->width);
  guint stride = graph->outputs[0].stride;
  Batch want;

  batch_init (&want, exec->plan->model, batch->n, batch->height, batch->width, 0);
  for (guint i = 0; i < batch->n; i++) {
    define (graph, batch->levels[i].data, &want.decode[i]);
    compare ("layers", &batch->decode[i], &want.decode[i], stride, test->kind->floats);
  }
  if (test->kind->precision == YOLO_PRECISION_INT8) {
    refer (exec->plan, batch, want.decode);
    for (guint i = 0; i < batch->n; i++)
      compare ("int8", &batch->decode[i], &want.decode[i], stride, test->kind->same);
  }
  batch_clear (&want);
}

/* The same to the last bit, whatever the number of threads. */
static void
check_threads (const Test *test, YoloModel *model, const Batch *batch)
{
  g_autoptr (YoloNet) net = load (model, test->kind->precision, 1);
  g_autoptr (YoloExec) exec = prepare (net, BATCH, batch->height, batch->width);
  Batch alone;

  batch_init (&alone, model, batch->n, batch->height, batch->width, 1);
  start (exec, &alone);
  finish (exec, &alone);
  for (guint i = 0; i < batch->n; i++)
    g_assert_cmpmem (alone.candidates[i].data, alone.candidates[i].size, batch->candidates[i].data,
        batch->candidates[i].size);
  batch_clear (&alone);
}

/* A batch that is full, one with a place left over after it, and one of a single place. */
static void
test_operation (gconstpointer data)
{
  const Test *test = data;
  guint height = test->c->height, width = test->c->width;
  g_autoptr (YoloModel) model = make_model (test->c, height, width);
  YoloNet *net;
  YoloExec *exec;
  Batch batch;

  if (test->kind->precision == YOLO_PRECISION_INT8) {
    YoloModel *floats = model;
    model = make_int8 (floats, test->kind->sparse);
    yolo_model_unref (floats);
  }
  net = load (model, test->kind->precision, 4);
  exec = prepare (net, BATCH, height, width);
  note (exec->plan);
  for (guint n = BATCH; n >= BATCH - 1; n--) {
    batch_init (&batch, model, n, height, width, n == BATCH ? 1 : 10);
    start (exec, &batch);
    finish (exec, &batch);
    check (test, exec, &batch);
    if (n == BATCH && backend->host_memory)
      check_threads (test, model, &batch);
    batch_clear (&batch);
  }
  yolo_exec_free (exec);
  exec = prepare (net, 1, height, width);
  batch_init (&batch, model, 1, height, width, 20);
  start (exec, &batch);
  finish (exec, &batch);
  check (test, exec, &batch);
  batch_clear (&batch);
  yolo_exec_free (exec);
  yolo_net_free (net);
}

/* What the objects of an image need of the maps: rows of each role at the anchors, and masks. */
typedef struct {
  float *rows[YOLO_MAP_COEFFICIENT + 1];
  YoloObjectMask *masks;
  int16_t *cells;
  gsize n_cells;
} Details;

static Details
details_of (YoloExec *exec, guint image, const YoloObject *objects, guint n)
{
  g_autoptr (GError) error = NULL;
  Details details = { 0 };
  YoloHead head;

  yolo_plan_head (exec->plan, NULL, image, &head);
  for (YoloMapRole role = YOLO_MAP_BOX; role <= YOLO_MAP_COEFFICIENT; role++) {
    details.rows[role] = g_new (float, n * (gsize) yolo_head_map (&head, role, 0)->channels);
    yolo_exec_rows (exec, image, role, objects, n, details.rows[role], &error);
    g_assert_no_error (error);
  }
  details.masks = g_new (YoloObjectMask, n);
  details.n_cells = yolo_masks_place (&head, objects, n, details.masks);
  details.cells = g_new (int16_t, details.n_cells);
  yolo_exec_masks (exec, image, details.rows[YOLO_MAP_COEFFICIENT], details.masks, n,
      details.cells, details.n_cells, &error);
  g_assert_no_error (error);
  return details;
}

static void
details_clear (Details *details)
{
  for (guint role = 0; role < G_N_ELEMENTS (details->rows); role++)
    g_free (details->rows[role]);
  g_free (details->masks);
  g_free (details->cells);
}

/* An exec of another back end that has run the same frames. */
static YoloExec *
run_reference (YoloNet *net, const Batch *batch)
{
  YoloExec *exec = prepare (net, batch->n, batch->height, batch->width);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < batch->n; i++)
    memcpy ((guint8 *) exec->input + i * batch->levels[i].size, batch->levels[i].data,
        batch->levels[i].size);
  yolo_exec_submit (exec, batch->n, NULL, NULL, &error);
  g_assert_no_error (error);
  yolo_exec_wait (exec, &error);
  g_assert_no_error (error);
  return exec;
}

/* In every image of a batch, the rows and the masks of some objects, of no size and beyond the
 * picture included, are those of the reference; and no object is none of them. */
static void
test_details (void)
{
  static const YoloObject objects[] = { { .x1 = 3, .y1 = 5, .x2 = 17, .y2 = 14, .anchor = 7 },
    { .x1 = -9, .y1 = -9, .x2 = 90, .y2 = 90, .anchor = 19 },
    { .x1 = 8, .y1 = 8, .x2 = 8, .y2 = 12, .anchor = 0 },
    { .x1 = 20.5f, .y1 = 1.25f, .x2 = 24, .y2 = 12, .anchor = 11 } };
  guint height = 16, width = 24, n = G_N_ELEMENTS (objects);
  g_autoptr (YoloModel) model =
      yolo_model_new (make_segment_graph (height, width), "segment", NULL);
  g_autoptr (GError) error = NULL;
  YoloNet *net = load (model, YOLO_PRECISION_FP32, 2), *other;
  YoloExec *exec = prepare (net, BATCH, height, width), *reference;
  Batch batch;

  other = yolo_backend_load (
      &yolo_reference_backend, model, 0, NULL, YOLO_PRECISION_FP32, 1, &error);
  g_assert_no_error (error);
  batch_init (&batch, model, BATCH, height, width, 1);
  start (exec, &batch);
  yolo_exec_wait (exec, &error);
  g_assert_no_error (error);
  reference = run_reference (other, &batch);
  for (guint i = 0; i < BATCH; i++) {
    Details ours = details_of (exec, i, objects, n), want = details_of (reference, i, objects, n),
            none = details_of (exec, i, NULL, 0);
    static const guint channels[] = { 8, 3, 4 };

    for (guint role = 0; role < G_N_ELEMENTS (channels); role++) {
      for (guint k = 0; k < n * channels[role]; k++)
        g_assert_cmpfloat_with_epsilon (ours.rows[role][k], want.rows[role][k], 1e-4);
    }
    g_assert_cmpuint (ours.n_cells, >, 8 * 12);
    for (gsize k = 0; k < ours.n_cells; k++)
      g_assert_cmpint (ABS (ours.cells[k] - want.cells[k]), <=, 16);
    details_clear (&ours);
    details_clear (&want);
    details_clear (&none);
  }
  batch_clear (&batch);
  yolo_exec_free (exec);
  yolo_exec_free (reference);
  yolo_net_free (net);
  yolo_net_free (other);
}

/* Every operation that there is has been run, on parts of buffers as well: one that is
 * added to the list needs cases here. */
static void
test_all_seen (void)
{
#define ALL(suffix, name) \
  g_test_message ("%s: %u, views %u and %u, residuals %u", name, seen[YOLO_OP_##suffix].any, \
      seen[YOLO_OP_##suffix].in, seen[YOLO_OP_##suffix].out, seen[YOLO_OP_##suffix].residual); \
  g_assert_true (seen[YOLO_OP_##suffix].any > 0 && seen[YOLO_OP_##suffix].in > 0 \
      && seen[YOLO_OP_##suffix].out > 0);
  YOLO_OPERATIONS (ALL)
#undef ALL
  g_assert_true (seen[YOLO_OP_CONV].residual > 0 && seen[YOLO_OP_ADD].residual > 0);
}

/* What users of a back end rely on */

/* A device number that a back end does not have is an error that tells how they are counted. */
static void
test_devices (void)
{
  g_autoptr (YoloModel) model = make_model (case_named ("block"), 4, 4);
  g_autoptr (GError) error = NULL;

  g_assert_false (yolo_backend_available (backend, 99, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
  g_assert_true (g_str_has_suffix (error->message, " 0") || strstr (error->message, "use cpu "));
  g_clear_error (&error);
  g_assert_null (yolo_backend_load (backend, model, 99, NULL, YOLO_PRECISION_FP32, 0, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
}

/* A precision that a back end has is the one that it loads; of another it says which,
 * and which there are. */
static void
test_precisions (void)
{
  g_autoptr (YoloModel) model = make_model (case_named ("block"), 4, 4);
  YoloPrecision automatic = YOLO_PRECISION_AUTO;

  g_assert_true (yolo_backend_resolve (backend, 0, &automatic, NULL));
  g_assert_cmpint (automatic, !=, YOLO_PRECISION_AUTO);
  for (YoloPrecision p = YOLO_PRECISION_FP32; p <= YOLO_PRECISION_INT8; p++) {
    YoloPrecision resolved = p;
    g_autoptr (GError) error = NULL;

    if (yolo_backend_resolve (backend, 0, &resolved, &error)) {
      g_assert_no_error (error);
      g_assert_cmpint (resolved, ==, p);
      continue;
    }
    g_assert_cmpint (p, !=, automatic);
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION);
    g_assert_nonnull (strstr (error->message, yolo_precision_name (p)));
    g_assert_nonnull (strstr (error->message, yolo_precision_name (automatic)));
    g_clear_error (&error);
    g_assert_null (yolo_backend_load (backend, model, 0, NULL, p, 0, &error));
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION);
  }
}

/* Two batches of one net, of different sizes, under way at a time. */
static void
test_two (void)
{
  const guint sizes[2][2] = { { 13, 17 }, { 8, 5 } };
  const Test test = { case_named ("block"), &kinds[0] };
  g_autoptr (YoloModel) model = make_model (test.c, 13, 17);
  YoloNet *net = load (model, YOLO_PRECISION_FP32, 0);
  YoloExec *exec[2];
  Batch batch[2];

  for (guint i = 0; i < 2; i++) {
    exec[i] = prepare (net, BATCH - i, sizes[i][0], sizes[i][1]);
    batch_init (&batch[i], model, 2, sizes[i][0], sizes[i][1], 30 + 10 * i);
  }
  for (guint round = 0; round < 2; round++) {
    for (guint i = 0; i < 2; i++)
      start (exec[i], &batch[i]);
    for (guint i = 0; i < 2; i++) {
      finish (exec[i], &batch[i]);
      check (&test, exec[i], &batch[i]);
    }
  }
  for (guint i = 0; i < 2; i++) {
    batch_clear (&batch[i]);
    yolo_exec_free (exec[i]);
  }
  yolo_net_free (net);
}

/* A pooling from halves to floats, which the definition and the devices lack alike. */
static void
test_unsupported (void)
{
  g_autoptr (YoloModel) model = make_model (case_named ("max-pool-3"), 9, 7);
  g_autoptr (YoloNet) net = load (model, YOLO_PRECISION_FP32, 0);
  g_autoptr (GError) error = NULL;
  YoloPlan *plan = yolo_plan_new (model, 1, 9, 7, YOLO_F16, YOLO_F16, 8, &error);

  g_assert_no_error (error);
  if (backend == &yolo_cpu_backend) {
    g_test_skip ("it takes any types that its plans have for every operation");
    yolo_plan_free (plan);
    return;
  }
  for (guint i = 0; i < plan->n_ops; i++) {
    if (plan->ops[i].type == YOLO_OP_MAX_POOL)
      plan->buffers[plan->ops[i].out.buffer].dtype = YOLO_F32;
  }
  g_assert_null (yolo_net_prepare_plan (net, plan, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "cannot run on the device "));
  g_assert_nonnull (strstr (error->message, backend->name));
}

/* Hooks between operations, with host_memory */

typedef struct {
  YoloExec *exec;
  guint victim, replaced, observed;     /* replaced, observed: calls so far */
} Hooks;

/* The victim's output becomes 7 everywhere, and it is said to be in its place. */
static gboolean
replace (gpointer data, guint op)
{
  Hooks *hooks = data;
  YoloView out = hooks->exec->plan->ops[op].out;
  const YoloBuffer *buffer = &hooks->exec->plan->buffers[out.buffer];
  float *pixel = yolo_exec_view (hooks->exec, out);

  g_assert_cmpuint (op, ==, hooks->replaced++);
  if (op != hooks->victim)
    return FALSE;
  for (gsize i = (gsize) buffer->height * buffer->width; i > 0; i--, pixel += buffer->channels)
    for (guint c = 0; c < out.channels; c++)
      pixel[c] = 7;
  return TRUE;
}

static void
observe (gpointer data, guint op)
{
  Hooks *hooks = data;
  const YoloOp *done = &hooks->exec->plan->ops[op];
  YoloView out = done->out;
  const YoloBuffer *buffer = &hooks->exec->plan->buffers[out.buffer];
  const float *pixel = yolo_exec_view (hooks->exec, out);
  gsize sevens = 0, all = (gsize) buffer->height * buffer->width * out.channels;

  g_assert_cmpuint (op, ==, hooks->observed++);
  g_assert_cmpuint (hooks->replaced, ==, hooks->observed);
  for (gsize i = (gsize) buffer->height * buffer->width; i > 0; i--, pixel += buffer->channels)
    for (guint c = 0; c < out.channels; c++)
      sevens += pixel[c] == 7;
  if (op == hooks->victim)
    g_assert_cmpuint (sevens, ==, all);
  else if (done->type == YOLO_OP_CONV)  /* others may hand sevens on */
    g_assert_cmpuint (sevens, <, all);
}

/* An operation that is replaced does not run, all others do, on what was put there. */
static void
test_hooks (void)
{
  const Case *c = case_named ("upsample-2");
  g_autoptr (YoloModel) model = make_model (c, c->height, c->width);
  g_autoptr (YoloNet) net = NULL;
  g_autoptr (YoloExec) exec = NULL;
  g_autofree double *seconds = NULL;
  Batch plain, batch;
  guint n;

  if (!backend->host_memory) {
    g_test_skip ("it has no host addresses");
    return;
  }
  net = load (model, YOLO_PRECISION_FP32, 2);
  exec = prepare (net, 1, c->height, c->width);
  n = exec->plan->n_ops;
  batch_init (&plain, model, 1, c->height, c->width, 1);
  batch_init (&batch, model, 1, c->height, c->width, 1);
  start (exec, &plain);
  finish (exec, &plain);
  seconds = g_new0 (double, n);
  exec->observe = observe;
  exec->replace = replace;
  exec->seconds = seconds;
  for (guint victim = 0; victim <= n; victim++) {       /* n: nothing is replaced */
    Hooks hooks = { exec, victim, 0, 0 };
    gboolean same;

    exec->observe_data = &hooks;
    start (exec, &batch);
    finish (exec, &batch);
    g_assert_cmpuint (hooks.observed, ==, n);
    same = memcmp (batch.candidates[0].data, plain.candidates[0].data, plain.candidates[0].size)
        == 0;
    g_assert_true (same == (victim == n));
  }
  exec->seconds = NULL;
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat (seconds[i], >=, 0);
  batch_clear (&plain);
  batch_clear (&batch);
}

static void
add_operations (void)
{
  for (guint k = 0; k < G_N_ELEMENTS (kinds); k++) {
    YoloPrecision precision = kinds[k].precision;

    if (!yolo_backend_resolve (backend, 0, &precision, NULL))
      continue;
    for (guint i = 0; i < n_cases; i++) {
      g_autofree char *path =
          g_strdup_printf ("/backend/%s/%s/%s", backend->name, kinds[k].name, cases[i].name);
      g_test_add_data_func_full (path, g_memdup2 (&(Test){ &cases[i], &kinds[k] }, sizeof (Test)),
          test_operation, g_free);
    }
  }
}

int
main (int argc, char **argv)
{
  const YoloBackend *const all[] = { &yolo_reference_backend, &yolo_cpu_backend,
    &yolo_cuda_backend };
  g_autoptr (YoloModel) model = NULL;
  g_autoptr (YoloNet) keep = NULL;
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
    if (argc == 2 && g_str_equal (argv[1], all[i]->name))
      backend = all[i];
  }
  if (backend == NULL)
    g_error ("give the name of a back end: reference, cpu or cuda");
  if (!yolo_backend_available (backend, 0, &error)) {
    printf ("1..0 # SKIP %s\n", error->message);
    return 0;
  }
  /* A net that lives as long as the tests do: a device readies its kernels for all nets
   * together. */
  model = make_model (case_named ("block"), 13, 17);
  keep = load (model, YOLO_PRECISION_FP32, 1);
  add_operations ();
  /* after them: GLib runs what lies in a path itself before what lies deeper */
  g_test_add_func ("/backend/all/seen", test_all_seen);
  g_test_add_func ("/backend/use/devices", test_devices);
  g_test_add_func ("/backend/use/precisions", test_precisions);
  g_test_add_func ("/backend/use/two", test_two);
  g_test_add_func ("/backend/use/details", test_details);
  g_test_add_func ("/backend/use/unsupported", test_unsupported);
  g_test_add_func ("/backend/use/hooks", test_hooks);
  return g_test_run ();
}
