/* SPDX-License-Identifier: MIT */
/* Runs a network on the CPU back end when told to: a line with a number on the standard
 * input is answered by a line with the milliseconds of each of that many runs. network.py
 * runs this program and its peers in turns. */

#include "backend/builtin.h"
#include "engine/engine-private.h"
#include "engine/load.h"

#include <stdio.h>
#include <stdlib.h>

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) plain = NULL, model = NULL;
  const YoloBackend *cpu = &yolo_cpu_backend;
  YoloNet *net;
  YoloExec *exec;
  guint batch, runs;

  if (argc != 7) {
    fprintf (stderr, "usage: %s MODEL fp32|bf16|int8 BATCH HEIGHT WIDTH THREADS\n", argv[0]);
    return 2;
  }
  batch = (guint) atoi (argv[3]);
  plain = yolo_model_load (argv[1], &error);
  if (plain)
    model = g_str_equal (argv[2], "int8")
        ? yolo_engine_to_int8 (plain, NULL, YOLO_INT8_ASYMMETRIC, &error) : yolo_model_ref (plain);
  net = model ? yolo_backend_load (cpu, model, 0, NULL,
            g_str_equal (argv[2], "bf16")       ? YOLO_PRECISION_BF16
                : g_str_equal (argv[2], "int8") ? YOLO_PRECISION_INT8
                                                : YOLO_PRECISION_FP32,
            (guint) atoi (argv[6]), &error)
              : NULL;
  exec = net ? yolo_net_prepare (net, batch, (guint) atoi (argv[4]), (guint) atoi (argv[5]), &error)
             : NULL;
  if (!exec) {
    fprintf (stderr, "%s\n", error->message);
    return 1;
  }
  for (gsize i = 0; i < exec->plan->buffers[exec->plan->input].size; i++)
    ((guint8 *) exec->input)[i] = (guint8) (i * 2654435761u >> 24);

  while (scanf ("%u", &runs) == 1) {
    for (guint i = 0; i < runs; i++) {
      gint64 start = g_get_monotonic_time ();
      if (!yolo_exec_submit (exec, batch, NULL, NULL, &error) || !yolo_exec_wait (exec, &error)) {
        fprintf (stderr, "%s\n", error->message);
        return 1;
      }
      printf ("%.3f ", (double) (g_get_monotonic_time () - start) / 1e3);
    }
    printf ("\n");
    fflush (stdout);
  }
  yolo_exec_free (exec);
  yolo_net_free (net);
  return 0;
}
