/* SPDX-License-Identifier: MIT */
/* The front of all back ends, on a table that counts: what it refuses, what it
 * makes and frees, and what it does where a back end has no function. */

#include "backend/backend.h"
#include "engine/load.h"

#include <string.h>

static struct {
  gboolean missing, fail_load, fail_prepare, fail_submit, fail_wait;
  guint nets, execs, submits;   /* nets and execs: alive */
} seen;

static gboolean
fail_if (gboolean fails, GError **error)
{
  if (fails)
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE, "made to fail");
  return !fails;
}

static gboolean
available (guint device, GError **error)
{
  return fail_if (seen.missing || device > 0, error);
}

static gboolean
resolve (guint device, YoloPrecision *precision, GError **error)
{
  if (*precision == YOLO_PRECISION_AUTO)
    *precision = YOLO_PRECISION_FP32;
  return fail_if (*precision == YOLO_PRECISION_BF16, error);
}

static gboolean
load (YoloNet *net, guint device, gpointer context, guint threads, GError **error)
{
  seen.nets++;
  return fail_if (seen.fail_load, error);
}

static void
unload (YoloNet *net)
{
  seen.nets--;
}

static YoloPlan *
make_plan (YoloNet *net, guint batch, guint height, guint width, GError **error)
{
  return yolo_plan_new (net->model, batch, height, width, YOLO_F32, YOLO_U8, 3, error);
}

static gboolean
prepare (YoloExec *exec, GError **error)
{
  seen.execs++;
  exec->input = g_malloc0 (exec->plan->buffers[exec->plan->input].size);
  exec->arena = g_malloc0 (exec->plan->arena_size);
  return fail_if (seen.fail_prepare, error);
}

static void
release (YoloExec *exec)
{
  seen.execs--;
  g_free (exec->input);
  g_free (exec->arena);
}

static gboolean
submit (YoloExec *exec, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error)
{
  seen.submits++;
  return fail_if (seen.fail_submit, error);
}

static gboolean
wait (YoloExec *exec, GError **error)
{
  return fail_if (seen.fail_wait, error);
}

static const YoloBackend counting = {
  .name = "counting",
  .host_memory = TRUE,
  .memories = 1u << YOLO_MEMORY_HOST,
  .available = available,
  .resolve = resolve,
  .net_size = sizeof (YoloNet),
  .exec_size = sizeof (YoloExec),
  .load = load,
  .unload = unload,
  .plan = make_plan,
  .prepare = prepare,
  .release = release,
  .submit = submit,
  .wait = wait,
};

static YoloModel *
load_model (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "tests", "data", "micro.onnx", NULL);
  g_autoptr (GError) error = NULL;
  YoloModel *model = yolo_model_load (path, &error);

  g_assert_no_error (error);
  return model;
}

static YoloNet *
load_net (void)
{
  g_autoptr (YoloModel) model = load_model ();
  g_autoptr (GError) error = NULL;
  YoloNet *net;

  memset (&seen, 0, sizeof (seen));
  net = yolo_backend_load (&counting, model, 0, NULL, YOLO_PRECISION_AUTO, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpint (net->precision, ==, YOLO_PRECISION_FP32);
  return net;
}

static gboolean
supports_no_pooling (const YoloPlan *plan, const YoloOp *op)
{
  return op->type != YOLO_OP_MAX_POOL;
}

/* An operation that the back end lacks is named, and nothing is made ready. */
static void
test_supports (void)
{
  YoloBackend lacking = counting;
  g_autoptr (YoloModel) model = load_model ();
  g_autoptr (GError) error = NULL;
  YoloNet *net;

  lacking.supports = supports_no_pooling;
  memset (&seen, 0, sizeof (seen));
  net = yolo_backend_load (&lacking, model, 0, NULL, YOLO_PRECISION_FP32, 0, &error);
  g_assert_no_error (error);
  g_assert_null (yolo_net_prepare (net, 1, 64, 64, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "max-pool from f32 to f32 cannot run on the device "
      "counting"));
  g_assert_cmpuint (seen.execs, ==, 0);
  yolo_net_free (net);
}

/* What destroys takes NULL, as free() does. */
static void
test_null (void)
{
  yolo_net_free (NULL);
  yolo_exec_free (NULL);
  yolo_drawer_free (NULL);
}

static void
test_load (void)
{
  g_autoptr (YoloModel) model = load_model ();

  for (guint i = 0; i < 4; i++) {
    g_autoptr (GError) error = NULL;

    memset (&seen, 0, sizeof (seen));
    seen.missing = i == 0;
    seen.fail_load = i == 3;
    g_assert_null (yolo_backend_load (&counting, model, i == 1, NULL,
        i == 2 ? YOLO_PRECISION_BF16 : YOLO_PRECISION_FP32, 0, &error));
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
    g_assert_cmpuint (seen.nets, ==, 0);
  }
}

static void
test_prepare (void)
{
  g_autoptr (YoloNet) net = load_net ();
  g_autoptr (GError) error = NULL;

  g_assert_null (yolo_net_prepare (net, 1, 33, 32, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
  g_clear_error (&error);
  seen.fail_prepare = TRUE;
  g_assert_null (yolo_net_prepare (net, 1, 32, 32, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
  g_assert_cmpuint (seen.execs, ==, 0);
}

/* A batch that failed is over: the next one can start. */
static void
test_batches (void)
{
  YoloNet *net = load_net ();
  YoloExec *exec = yolo_net_prepare (net, 2, 32, 32, NULL);
  g_autoptr (GError) error = NULL;

  seen.fail_submit = TRUE;
  g_assert_false (yolo_exec_submit (exec, 1, NULL, NULL, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
  g_clear_error (&error);
  seen.fail_submit = FALSE;
  seen.fail_wait = TRUE;
  g_assert_true (yolo_exec_submit (exec, 1, NULL, NULL, NULL));
  g_assert_false (yolo_exec_wait (exec, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
  seen.fail_wait = FALSE;
  g_assert_true (yolo_exec_submit (exec, 2, NULL, NULL, NULL));
  g_assert_true (yolo_exec_wait (exec, NULL));
  g_assert_cmpuint (seen.submits, ==, 3);
  yolo_exec_free (exec);
  yolo_net_free (net);
  g_assert_cmpuint (seen.execs, ==, 0);
  g_assert_cmpuint (seen.nets, ==, 0);
}

#define assert_refused(call, returned) \
  g_test_expect_message (NULL, G_LOG_LEVEL_CRITICAL, "*assertion*failed*"); \
  g_assert_true ((call) == (returned)); \
  g_test_assert_expected_messages ()

/* Mistakes of the caller reach no back end. */
static void
test_refused (void)
{
  g_autoptr (YoloModel) model = load_model ();
  YoloNet *net = load_net ();
  YoloExec *exec = yolo_net_prepare (net, 2, 32, 32, NULL);
  YoloFrame frame = { .memory = YOLO_MEMORY_CUDA };
  YoloDecode decode = { 0 };
  YoloPrecision precision = 77;

  assert_refused (yolo_backend_available (NULL, 0, NULL), FALSE);
  assert_refused (yolo_backend_resolve (&counting, 0, NULL, NULL), FALSE);
  assert_refused (yolo_backend_resolve (&counting, 0, &precision, NULL), FALSE);
  assert_refused (
      yolo_backend_load (&counting, NULL, 0, NULL, YOLO_PRECISION_FP32, 0, NULL), NULL);
  /* a model in floats does not run in int8 */
  assert_refused (
      yolo_backend_load (&counting, model, 0, NULL, YOLO_PRECISION_INT8, 0, NULL), NULL);
  assert_refused (yolo_net_prepare (net, 0, 32, 32, NULL), NULL);
  assert_refused (yolo_net_prepare (NULL, 1, 32, 32, NULL), NULL);
  assert_refused (yolo_net_batch_size (net, 0, 32, 32), 1);
  assert_refused (yolo_net_unknown_plane (net, &frame), 0);

  assert_refused (yolo_exec_wait (exec, NULL), FALSE);
  assert_refused (yolo_exec_submit (exec, 0, NULL, NULL, NULL), FALSE);
  assert_refused (yolo_exec_submit (exec, 3, NULL, NULL, NULL), FALSE);
  assert_refused (yolo_exec_submit (exec, 1, &frame, NULL, NULL), FALSE);
  assert_refused (yolo_exec_submit (exec, 1, NULL, &decode, NULL), FALSE);
  g_assert_cmpuint (seen.submits, ==, 0);
  g_assert_true (yolo_exec_submit (exec, 1, NULL, NULL, NULL));
  assert_refused (yolo_exec_submit (exec, 1, NULL, NULL, NULL), FALSE);
  g_test_expect_message (NULL, G_LOG_LEVEL_CRITICAL, "*assertion*failed*");
  yolo_exec_free (exec);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (seen.execs, ==, 1);
  g_assert_true (yolo_exec_wait (exec, NULL));
  yolo_exec_free (exec);
  yolo_net_free (net);
}

/* Where a back end has no function the front has an answer. */
static void
test_without (void)
{
  g_autoptr (YoloNet) net = load_net ();
  g_autoptr (GError) error = NULL;
  YoloFrame frame = { .memory = YOLO_MEMORY_HOST };

  g_assert_null (yolo_net_remark (net));
  g_assert_cmpint (yolo_net_unknown_plane (net, &frame), ==, -1);
  g_assert_cmpuint (yolo_net_batch_size (net, 5, 32, 32), ==, 4);
  g_assert_cmpuint (yolo_net_batch_size (net, 32, 32, 32), ==, 32);
  g_assert_true (yolo_backend_takes (&counting, YOLO_MEMORY_HOST));
  g_assert_false (yolo_backend_takes (&counting, YOLO_MEMORY_CUDA));
  g_assert_null (yolo_backend_drawer_new (&counting, 0, NULL, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "'counting'"));
  g_clear_error (&error);
  seen.missing = TRUE;
  g_assert_null (yolo_backend_drawer_new (&counting, 0, NULL, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/backend/front/null", test_null);
  g_test_add_func ("/backend/front/load", test_load);
  g_test_add_func ("/backend/front/prepare", test_prepare);
  g_test_add_func ("/backend/front/supports", test_supports);
  g_test_add_func ("/backend/front/batches", test_batches);
  g_test_add_func ("/backend/front/refused", test_refused);
  g_test_add_func ("/backend/front/without", test_without);
  return g_test_run ();
}
