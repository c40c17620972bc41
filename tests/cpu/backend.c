/* SPDX-License-Identifier: MIT */
/* The back end as a whole: precisions, implementations, memory. What it computes is
 * held to the definitions by tests/backend and tests/network. */

#include "backend/builtin.h"
#include "cpu/backend.h"
#include "engine/load.h"

#include <glib/gstdio.h>
#include <malloc.h>
#include <string.h>

static const YoloBackend *cpu = &yolo_cpu_backend;

static YoloExec *
prepare (YoloNet **net, const char *path, YoloPrecision precision, guint batch, guint height,
    guint width)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = yolo_model_load (path, &error);
  YoloExec *exec;

  g_assert_no_error (error);
  *net = yolo_backend_load (cpu, model, 0, NULL, precision, 0, &error);
  g_assert_no_error (error);
  exec = yolo_net_prepare (
      *net, batch, height ? height : model->height, width ? width : model->width, &error);
  g_assert_no_error (error);
  memset (exec->input, 114, exec->plan->buffers[exec->plan->input].size);
  return exec;
}

static void
run (YoloExec *exec, guint n)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (yolo_exec_submit (exec, n, NULL, NULL, &error));
  g_assert_true (yolo_exec_wait (exec, &error));
}

static gboolean
can (YoloPrecision precision)
{
  return yolo_backend_resolve (cpu, 0, &precision, NULL);
}

/* Depthwise convolutions of 3x3 pixels and more are ours, in the precision of the plan. Returns
 * how many there are. */
static guint
count_depthwise (const YoloExec *exec)
{
  const char *want = exec->plan->dtype == YOLO_BF16 ? "depthwise bf16" : "depthwise f32";
  guint n = 0;

  for (guint i = 0; i < exec->plan->n_ops; i++) {
    const YoloConv *c = exec->plan->ops[i].conv;

    if (exec->plan->ops[i].type != YOLO_OP_CONV || c->groups == 1 || c->groups != c->out_channels
        || c->kernel[0] < 3)
      continue;
    g_assert_cmpstr (yolo_cpu_exec_implementation (exec, i), ==, want);
    n++;
  }
  return n;
}

static void
test_depthwise (void)
{
  g_autofree char *path =
      g_build_filename (SOURCE_ROOT, "tests", "data", "micro-blocks.onnx", NULL);

  for (YoloPrecision p = YOLO_PRECISION_FP32; p <= YOLO_PRECISION_BF16; p++) {
    YoloNet *net;
    YoloExec *exec;

    if (!can (p))
      continue;
    exec = prepare (&net, path, p, 1, 0, 0);
    g_assert_cmpuint (count_depthwise (exec), >, 0);
    yolo_exec_free (exec);
    yolo_net_free (net);
  }
}

/* Bytes that malloc has given out. */
static gsize
used (void)
{
#if defined (__GLIBC__) && __GLIBC_PREREQ (2, 33)
  struct mallinfo2 m = mallinfo2 ();
  return m.uordblks + m.hblkhd;
#else
  return 0;
#endif
}

static void
test_memory (void)
{
  g_autofree char *path = g_build_filename (SOURCE_ROOT, "tests", "data", "v8n.onnx", NULL);

  for (YoloPrecision p = YOLO_PRECISION_FP32; p <= YOLO_PRECISION_BF16; p++) {
    YoloNet *net;
    YoloExec *exec;
    gboolean same = FALSE;

    if (!can (p))
      continue;
    exec = prepare (&net, path, p, 2, 0, 0);
    /* Threads come to life when the system lets them: until then a round may
     * change what is used. An allocation per frame changes it in every round. */
    for (guint round = 0; round < 20 && !same; round++) {
      gsize before = used ();
      for (guint i = 0; i < 20; i++)
        run (exec, 1 + i % 2);
      same = used () == before;
    }
    g_assert_true (same);
    yolo_exec_free (exec);
    yolo_net_free (net);
  }
}

static void
test_precision (void)
{
  g_autoptr (GError) error = NULL;
  YoloPrecision precision = YOLO_PRECISION_AUTO;

  g_assert_true (yolo_backend_resolve (cpu, 0, &precision, &error));
  g_assert_true (precision == YOLO_PRECISION_FP32 || precision == YOLO_PRECISION_BF16);
  g_assert_true (can (YOLO_PRECISION_FP32));
  g_assert_true (can (YOLO_PRECISION_INT8));
  g_assert_false (can (YOLO_PRECISION_FP16));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cpu/precision", test_precision);
  g_test_add_func ("/cpu/depthwise", test_depthwise);
  g_test_add_func ("/cpu/memory", test_memory);
  return g_test_run ();
}
