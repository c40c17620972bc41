/* SPDX-License-Identifier: MIT */
/* Networks on one NUMA node: on made-up nodes, of which each has one of the cores that this process
 * may use, and on the machine's own node 0, if it tells one. */

#define _GNU_SOURCE             /* cpu_set_t */
#include "backend/builtin.h"
#include "cpu/node.h"
#include "engine/load.h"

#include <glib/gstdio.h>

#include <sched.h>
#include <string.h>

static const YoloBackend *const cpu = &yolo_cpu_backend;

/* Cores of the calling thread: how many, and one of them. */
static guint
count_cores (guint *one)
{
  cpu_set_t set;

  g_assert_cmpint (sched_getaffinity (0, sizeof set, &set), ==, 0);
  for (guint i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET (i, &set))
      *one = i;
  return (guint) CPU_COUNT (&set);
}

static void
write_node (const char *folder, guint node, const char *list)
{
  g_autofree char *path = g_strdup_printf ("%s/node%u", folder, node);
  g_autofree char *file = g_build_filename (path, "cpulist", NULL);

  g_assert_cmpint (g_mkdir_with_parents (path, 0755), ==, 0);
  g_assert_true (g_file_set_contents (file, list, -1, NULL));
}

static void
remove_node (const char *folder, guint node)
{
  g_autofree char *path = g_strdup_printf ("%s/node%u", folder, node);
  g_autofree char *file = g_build_filename (path, "cpulist", NULL);

  g_unlink (file);
  g_rmdir (path);
}

/* The maps of a picture of noise on a device; its pool has @threads, if that is not 0. */
static GBytes *
run (guint device, guint threads)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "tests", "data", "micro.onnx", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = yolo_model_load (path, &error);
  YoloNet *net = yolo_backend_load (cpu, model, device, NULL, YOLO_PRECISION_FP32, 0, &error);
  YoloExec *exec;
  GBytes *maps;

  g_assert_no_error (error);
  if (threads > 0)
    g_assert_cmpuint (yolo_pool_threads (net->pool), ==, threads);
  exec = yolo_net_prepare (net, 1, 32, 32, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < exec->plan->buffers[exec->plan->input].size; i++)
    ((guint8 *) exec->input)[i] = (guint8) ((guint) i * 2654435761u >> 24);
  g_assert_true (yolo_exec_submit (exec, 1, NULL, NULL, NULL) && yolo_exec_wait (exec, NULL));
  maps = g_bytes_new (yolo_exec_view (exec, exec->plan->outputs[0]),
      exec->plan->buffers[exec->plan->outputs[0].buffer].size);
  yolo_exec_free (exec);
  yolo_net_free (net);
  return maps;
}

static gpointer
run_on_node (gpointer data)
{
  return run (GPOINTER_TO_UINT (data), 1);
}

/* What a thread of its own finds on a device, for the thread stays on the node. */
static GBytes *
run_in_thread (guint device)
{
  return g_thread_join (g_thread_new ("node", run_on_node, GUINT_TO_POINTER (device)));
}

static gpointer
enter (gpointer data)
{
  const guint core = GPOINTER_TO_UINT (data);
  guint one = 0, before, there;
  YoloCores *cores;

  before = count_cores (&there);
  cores = yolo_cores_save ();
  yolo_node_enter (1);
  g_assert_cmpuint (count_cores (&one), ==, 1);
  g_assert_cmpuint (one, ==, core);
  yolo_cores_restore (cores);
  g_assert_cmpuint (count_cores (&one), ==, before);
  yolo_node_enter (1);
  g_assert_cmpuint (count_cores (&one), ==, 1);
  return NULL;
}

static void
test_made_up (void)
{
  g_autofree char *folder = g_dir_make_tmp ("nodes-XXXXXX", NULL), *list = NULL;
  g_autoptr (GBytes) whole = NULL, first = NULL, second = NULL;
  g_autoptr (GError) error = NULL;
  guint core = 0, all = count_cores (&core);

  list = g_strdup_printf ("%u-%u,%u\n", core, core, core);
  g_setenv ("YOLO_CPU_NODES", folder, TRUE);
  write_node (folder, 0, list);
  write_node (folder, 1, list);
  write_node (folder, 2, "\n");
  write_node (folder, 3, "0-x\n");

  whole = run (0, 0);
  first = run_in_thread (1);
  second = run_in_thread (2);
  g_assert_true (g_bytes_equal (whole, first) && g_bytes_equal (whole, second));
  g_thread_join (g_thread_new ("enter", enter, GUINT_TO_POINTER (core)));
  for (guint node = 2; node < 5; node++) {
    g_assert_false (yolo_backend_available (cpu, node + 1, &error));
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
    g_assert_nonnull (strstr (error->message, "there is no NUMA node"));
    g_clear_error (&error);
  }
  g_assert_cmpuint (count_cores (&core), ==, all);      /* this thread has entered none */

  g_unsetenv ("YOLO_CPU_NODES");
  for (guint node = 0; node < 4; node++)
    remove_node (folder, node);
  g_rmdir (folder);
}

static gpointer
run_on_machine (gpointer data)
{
  return run (1, 0);
}

static void
test_machine (void)
{
  g_autoptr (GBytes) whole = run (0, 0), node = NULL;
  g_autoptr (GError) error = NULL;

  if (!yolo_backend_available (cpu, 1, &error)) {
    g_test_skip (error->message);
    return;
  }
  node = g_thread_join (g_thread_new ("node", run_on_machine, NULL));
  g_assert_true (g_bytes_equal (whole, node));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cpu/nodes/made-up", test_made_up);
  g_test_add_func ("/cpu/nodes/machine", test_machine);
  return g_test_run ();
}
