/* SPDX-License-Identifier: MIT */
/* Plans cut into stages: that the cut is the best one, found again by trying all of them, and that
 * the parts together compute what the whole does, bit for bit. */

#include "backend/reference.h"
#include "network/stages.h"
#include "tests/guarded.h"
#include "tests/network/edit.h"

#include <math.h>

/* Devices that are equal: a CPU's ratio of arithmetic to memory. */
static const YoloStageDevice equal[YOLO_MAX_STAGES] = { { 4e10, 2e10, 0 }, { 4e10, 2e10, 0 },
  { 4e10, 2e10, 0 }, { 4e10, 2e10, 0 }, { 4e10, 2e10, 0 }, { 4e10, 2e10, 0 }, { 4e10, 2e10, 0 },
  { 4e10, 2e10, 0 } };

#define LINK 1e10               /* bytes a second */

static YoloModel *
open_model (const char *path)
{
  g_autoptr (GError) error = NULL;
  YoloModel *model = yolo_model_load (path, &error);

  g_assert_no_error (error);
  g_test_message ("%s", path);
  return model;
}

static YoloPlan *
make_plan (YoloModel *model, guint batch, guint height, guint width)
{
  g_autoptr (GError) error = NULL;
  YoloPlan *plan = yolo_plan_new (model, batch, height, width, YOLO_F32, YOLO_U8, 3, &error);

  g_assert_no_error (error);
  return plan;
}

static YoloPlan *
make_part (YoloModel *model, guint height, guint width, YoloPlanPart part)
{
  return yolo_plan_take_part (make_plan (model, 2, height, width), part);
}

/* Parts compute what the whole does */

static float *
random_input (const YoloPlan *plan)
{
  const gsize n = plan->buffers[plan->input].size;
  float *input = g_new (float, n);
  Random random = random_new (1);

  for (gsize i = 0; i < n; i++)
    input[i] = (float) random_int (&random, 0, 255);
  return input;
}

/* What a part is given, out of the arena of the one before. */
static void
give (const YoloPlan *from, void *from_arena, const YoloPlan *to, void *to_arena)
{
  for (guint i = 0; i < to->n_given; i++) {
    const YoloView view = to->given[i];
    const YoloBuffer *buffer = &to->buffers[view.buffer];
    const gsize pixels = (gsize) to->batch * buffer->height * buffer->width;

    g_assert_cmpuint (from->buffers[view.buffer].size, ==, buffer->size);
    for (gsize p = 0; p < pixels; p++) {
      const gsize at = (p * buffer->channels + view.channel) * sizeof (float);

      memcpy ((char *) to_arena + buffer->offset + at,
          (char *) from_arena + from->buffers[view.buffer].offset + at,
          view.channels * sizeof (float));
    }
  }
}

/* An arena full of NaNs, which show where a number is used that was not handed on. */
static void *
new_arena (const YoloPlan *plan)
{
  void *arena = g_malloc (MAX (plan->arena_size, 1));

  memset (arena, 0xff, plan->arena_size);
  return arena;
}

static void
assert_same_maps (const YoloPlan *whole, void *whole_arena, const YoloPlan *last, void *arena)
{
  for (guint k = 0; k < whole->model->n_outputs; k++) {
    const YoloView view = whole->outputs[k];
    const YoloBuffer *buffer = &whole->buffers[view.buffer];

    for (guint n = 0; n < whole->batch; n++)
      for (guint y = 0; y < buffer->height; y++)
        for (guint x = 0; x < buffer->width; x++)
          g_assert_cmpint (memcmp (yolo_reference_at (whole, whole_arena, view, n, y, x, 0),
                               yolo_reference_at (last, arena, view, n, y, x, 0),
                               view.channels * sizeof (float)),
              ==, 0);
  }
}

/* @ends: (array length=n): where the parts end */
static void
check_parts (YoloModel *model, const YoloPlan *whole, const float *input, void *whole_arena,
    const guint *ends, guint n)
{
  YoloPlan *parts[YOLO_MAX_STAGES];
  void *arenas[YOLO_MAX_STAGES];

  for (guint i = 0; i < n; i++) {
    const YoloPlanPart part = { i > 0 ? ends[i - 1] : 0, ends[i] };
    gsize given = 0;

    parts[i] = make_part (model, whole->height, whole->width, part);
    g_assert_cmpuint (parts[i]->n_ops, ==, part.end - part.first);
    g_assert_cmpint (parts[i]->part_before, ==, i > 0);
    g_assert_cmpint (parts[i]->part_after, ==, i + 1 < n);
    g_assert_cmpuint (parts[i]->arena_size, <=, whole->arena_size + whole->arena_size / 5);
    for (guint k = 0; k < parts[i]->n_given; k++) {
      const YoloBuffer *buffer = &parts[i]->buffers[parts[i]->given[k].buffer];

      given += buffer->size / buffer->channels * parts[i]->given[k].channels;
    }
    g_assert_cmpuint (given, ==, i > 0 ? yolo_stages_bytes (whole, part.first) : 0);
    arenas[i] = new_arena (parts[i]);
    if (i > 0)
      give (parts[i - 1], arenas[i - 1], parts[i], arenas[i]);
    yolo_reference_run (parts[i], input, arenas[i]);
  }
  assert_same_maps (whole, whole_arena, parts[n - 1], arenas[n - 1]);
  for (guint i = 0; i < n; i++) {
    yolo_plan_free (parts[i]);
    g_free (arenas[i]);
  }
}

static guint
first_cut (const YoloPlan *plan)
{
  guint cut = 1;

  for (guint i = 0; i < plan->n_ops; i++)
    if (plan->ops[i].in.buffer == plan->input)
      cut = i + 1;
  return cut;
}

/* Two parts at every cut, or at a few, and three. */
static void
check_model_parts (const char *path, guint step)
{
  g_autoptr (YoloModel) model = open_model (path);
  g_autoptr (YoloPlan) whole = make_plan (model, 2, model->stride, 2 * model->stride);
  g_autofree float *input = random_input (whole);
  g_autofree void *arena = new_arena (whole);
  const guint from = first_cut (whole);

  yolo_reference_run (whole, input, arena);
  for (guint cut = from; cut < whole->n_ops; cut += step)
    check_parts (model, whole, input, arena, (guint[]) { cut, whole->n_ops }, 2);
  if (from + 1 < whole->n_ops)
    check_parts (model, whole, input, arena,
        (guint[]) { from, (from + whole->n_ops) / 2, whole->n_ops }, 3);
}

static void
test_parts (void)
{
  static const struct {
    const char *name;
    guint step;                 /* every so manyth cut */
  } files[] = {
    { "micro.onnx", 1 }, { "micro-area.onnx", 3 }, { "micro-attention.onnx", 3 },
    { "micro-segment.onnx", 3 }, { "micro-pose26.onnx", 3 }, { "micro-classify.onnx", 1 },
    { "micro-front-norm.onnx", 3 }, { "v8n.onnx", 7 }, { "v8-p6.onnx", 20 }, { "v5u.onnx", 20 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = data_file (files[i].name);

    check_model_parts (path, files[i].step);
  }
}

/* The cut is the best one */

/* Multiply-adds of a part's convolutions. */
static double
conv_macs (const YoloPlan *plan, guint first, guint end)
{
  double macs = 0;

  for (guint i = first; i < end; i++) {
    const YoloOp *op = &plan->ops[i];
    const YoloBuffer *out = &plan->buffers[op->out.buffer];

    if (op->type == YOLO_OP_CONV)
      macs += (double) plan->batch * out->height * out->width * op->conv->out_channels
          * op->conv->in_channels / op->conv->groups * op->conv->kernel[0] * op->conv->kernel[1];
  }
  return macs;
}

static double
slowest (const double *macs, guint n, const double *speed)
{
  double most = 0;

  for (guint i = 0; i < n; i++)
    most = MAX (most, macs[i] / speed[i]);
  return most;
}

/* Tries all cuts into two or three stages on devices of which only the arithmetic counts: the
 * fewest bytes among those that are balanced, and the best balance. */
static void
try_all (const YoloPlan *plan, guint n, const double *speed, gsize *bytes, double *seconds)
{
  const guint from = first_cut (plan);
  double sum = 0, ideal, limit;

  for (guint i = 0; i < n; i++)
    sum += speed[i];
  ideal = conv_macs (plan, 0, plan->n_ops) / sum;
  *seconds = INFINITY;
  *bytes = G_MAXSIZE;
  for (guint pass = 0; pass < 2; pass++) {
    limit = MAX (*seconds, ideal / .9) * (1 + 1e-9);
    for (guint a = from; a + n - 1 <= plan->n_ops; a++) {
      for (guint b = n == 3 ? a + 1 : plan->n_ops; b < plan->n_ops + (n == 2); b++) {
        const double macs[3] = { conv_macs (plan, 0, a), conv_macs (plan, a, b),
          conv_macs (plan, b, plan->n_ops) };
        const double most = slowest (macs, n, speed);
        const gsize crossing =
            yolo_stages_bytes (plan, a) + (n == 3 ? yolo_stages_bytes (plan, b) : 0);

        if (pass == 0)
          *seconds = MIN (*seconds, most);
        else if (most <= limit)
          *bytes = MIN (*bytes, crossing);
      }
    }
  }
}

static gsize
bytes_between (const YoloStage *stages, guint n)
{
  gsize bytes = 0;

  g_assert_cmpuint (stages[0].bytes, ==, 0);
  for (guint i = 1; i < n; i++)
    bytes += stages[i].bytes;
  return bytes;
}

/* That the stages follow each other from the first operation to the last one. */
static void
assert_whole (const YoloPlan *plan, const YoloStage *stages, guint n)
{
  g_assert_cmpuint (stages[0].part.first, ==, 0);
  g_assert_cmpuint (stages[n - 1].part.end, ==, plan->n_ops);
  for (guint i = 0; i < n; i++) {
    g_assert_cmpuint (stages[i].part.first, <, stages[i].part.end);
    if (i > 0)
      g_assert_cmpuint (stages[i].part.first, ==, stages[i - 1].part.end);
  }
  g_assert_cmpuint (stages[0].part.end, >=, first_cut (plan));
}

static void
test_best (void)
{
  static const char *const files[] = { "micro.onnx", "micro-segment.onnx", "micro-pose26.onnx",
    "v8n.onnx", "v8-p6.onnx" };
  static const double speeds[][3] = { { 1e9, 1e9, 1e9 }, { 3e9, 1e9, 2e9 }, { 1e8, 5e9, 1e9 } };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = data_file (files[i]);
    g_autoptr (YoloModel) model = open_model (path);
    g_autoptr (YoloPlan) plan = make_plan (model, 1, model->height, model->width);

    for (guint k = 0; k < 2 * G_N_ELEMENTS (speeds); k++) {
      const guint n = 2 + k % 2;
      const double *speed = speeds[k / 2];
      const YoloStageDevice devices[3] = { { speed[0], 1e30, 0 }, { speed[1], 1e30, 0 },
        { speed[2], 1e30, 0 } };
      double seconds, macs[3];
      YoloStage stages[3];
      gsize bytes;

      if (n == 3 && plan->n_ops > 100)
        continue;               /* to try all would take seconds */
      try_all (plan, n, speed, &bytes, &seconds);
      g_assert_true (yolo_stages_cut (plan, devices, n, 1e30, 1, stages, NULL));
      assert_whole (plan, stages, n);
      for (guint s = 0; s < n; s++)
        macs[s] = conv_macs (plan, stages[s].part.first, stages[s].part.end);
      g_assert_cmpuint (bytes_between (stages, n), ==, bytes);
      g_assert_cmpfloat (slowest (macs, n, speed), <=,
          MAX (seconds, conv_macs (plan, 0, plan->n_ops)
              / (speed[0] + speed[1] + (n == 3 ? speed[2] : 0)) / .9) * (1 + 1e-9));
    }
  }
}

/* Networks that people run are balanced over two and four equal devices. */
static void
test_balance (void)
{
  static const char *const files[] = { "models/yolov8n.onnx", "models/yolov8n-seg.onnx" };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = shared_file (files[i]);

    if (path == NULL) {
      g_test_skip ("no shared material");
      return;
    }
    g_autoptr (YoloModel) model = open_model (path);
    g_autoptr (YoloPlan) plan = make_plan (model, 1, 640, 640);

    for (guint n = 2; n <= 4; n += 2) {
      YoloStage stages[4], one;
      double most = 0, all;

      g_assert_true (yolo_stages_cut (plan, equal, 1, LINK, 1, &one, NULL));
      g_assert_true (yolo_stages_cut (plan, equal, n, LINK, n, stages, NULL));
      assert_whole (plan, stages, n);
      all = one.seconds;
      for (guint s = 0; s < n; s++) {
        g_test_message ("operations %u to %u: %.1f %% of the time, %zu bytes in, %zu of weights, "
                        "%zu of activations", stages[s].part.first, stages[s].part.end - 1,
            100 * stages[s].seconds / all, stages[s].bytes, stages[s].weights,
            stages[s].activations);
        most = MAX (most, stages[s].seconds);
      }
      g_test_message ("%u stages: %.2f x the throughput, %zu bytes", n, all / most,
          bytes_between (stages, n));
      g_assert_cmpfloat (all / most, >=, n == 2 ? 1.8 : 3);
    }
  }
}

static void
test_memory (void)
{
  g_autofree char *path = data_file ("v8n.onnx");
  g_autoptr (YoloModel) model = open_model (path);
  g_autoptr (YoloPlan) plan = make_plan (model, 1, model->height, model->width);
  YoloStageDevice devices[2] = { equal[0], equal[1] };
  YoloStage one, free_cut[2], cut[2];
  g_autoptr (GError) error = NULL;
  gsize all;

  g_assert_true (yolo_stages_cut (plan, equal, 1, LINK, 2, &one, NULL));
  g_assert_true (yolo_stages_cut (plan, equal, 2, LINK, 2, free_cut, NULL));
  all = one.weights + 2 * one.activations;

  /* What does not fit one device fits two, and each has what it has memory for. */
  devices[0].memory = free_cut[0].weights / 2 + 2 * free_cut[0].activations;
  devices[1].memory = all;
  g_assert_true (yolo_stages_cut (plan, devices, 2, LINK, 2, cut, NULL));
  g_assert_cmpuint (cut[0].weights + 2 * cut[0].activations, <=, devices[0].memory);
  g_assert_cmpuint (cut[1].weights + 2 * cut[1].activations, <=, devices[1].memory);
  g_assert_cmpuint (cut[0].part.end, <, free_cut[0].part.end);

  devices[0].memory = devices[1].memory = one.weights / 3;
  g_assert_false (yolo_stages_cut (plan, devices, 2, LINK, 2, cut, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
}

/* A slow link moves the cut to where fewer bytes cross. */
static void
test_link (void)
{
  g_autofree char *path = data_file ("v8n.onnx");
  g_autoptr (YoloModel) model = open_model (path);
  g_autoptr (YoloPlan) plan = make_plan (model, 1, model->height, model->width);
  YoloStage fast[2], slow[2];
  gsize least = G_MAXSIZE;

  for (guint cut = first_cut (plan); cut < plan->n_ops; cut++)
    least = MIN (least, yolo_stages_bytes (plan, cut));
  g_assert_true (yolo_stages_cut (plan, equal, 2, 1e12, 2, fast, NULL));
  g_assert_true (yolo_stages_cut (plan, equal, 2, 1e3, 2, slow, NULL));
  g_assert_cmpuint (slow[1].bytes, ==, least);
  g_assert_cmpuint (fast[1].bytes, >=, least);
}

static void
test_too_many (void)
{
  g_autofree char *path = data_file ("micro-classify.onnx");
  g_autoptr (YoloModel) model = open_model (path);
  g_autoptr (YoloPlan) plan = make_plan (model, 1, model->height, model->width);
  YoloStage stages[YOLO_MAX_STAGES];
  const guint most = plan->n_ops - first_cut (plan) + 1;
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (most, <, YOLO_MAX_STAGES);
  g_assert_true (yolo_stages_cut (plan, equal, most, LINK, 1, stages, NULL));
  assert_whole (plan, stages, most);
  g_assert_false (yolo_stages_cut (plan, equal, most + 1, LINK, 1, stages, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/stages/parts", test_parts);
  g_test_add_func ("/network/stages/best", test_best);
  g_test_add_func ("/network/stages/balance", test_balance);
  g_test_add_func ("/network/stages/memory", test_memory);
  g_test_add_func ("/network/stages/link", test_link);
  g_test_add_func ("/network/stages/too-many", test_too_many);
  return g_test_run ();
}
