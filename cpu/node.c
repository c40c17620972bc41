/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE             /* cpu_set_t */
#include "cpu/node.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

struct _YoloCores {
  cpu_set_t set;
};

/* Reads a list like "0-3,8,10-11". FALSE: it is none. */
static gboolean
parse_list (const char *text, cpu_set_t *set)
{
  CPU_ZERO (set);
  while (*text != '\0' && *text != '\n') {
    char *end;
    gulong first = strtoul (text, &end, 10), last = first;

    if (end == text)
      return FALSE;
    if (*end == '-') {
      text = end + 1;
      last = strtoul (text, &end, 10);
      if (end == text)
        return FALSE;
    }
    for (gulong core = first; core <= last && core < CPU_SETSIZE; core++)
      CPU_SET (core, set);
    text = *end == ',' ? end + 1 : end;
    if (*end != ',' && *end != '\0' && *end != '\n')
      return FALSE;
  }
  return TRUE;
}

/* The cores of a node that the process may use. FALSE: there are none, or no such node. */
static gboolean
cores_of (guint node, cpu_set_t *cores)
{
  /* For tests, a folder in the place of Linux's. */
  const char *folder = g_getenv ("YOLO_CPU_NODES");
  g_autofree char *path = g_strdup_printf ("%s/node%u/cpulist",
      folder != NULL ? folder : "/sys/devices/system/node", node);
  g_autofree char *list = NULL;
  cpu_set_t all;

  if (!g_file_get_contents (path, &list, NULL, NULL) || !parse_list (list, cores))
    return FALSE;
  /* of the process's first thread, which nobody here binds */
  if (sched_getaffinity (getpid (), sizeof all, &all) == 0)
    CPU_AND (cores, cores, &all);
  return CPU_COUNT (cores) > 0;
}

guint
yolo_node_cores (guint node)
{
  cpu_set_t cores;

  return cores_of (node, &cores) ? (guint) CPU_COUNT (&cores) : 0;
}

gboolean
yolo_node_check (guint node, GError **error)
{
  return yolo_node_cores (node) > 0
      || yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
          "there is no NUMA node %u with cores for this process; use cpu for all cores", node);
}

/* The node that the calling thread has entered, and one; 0: none. It is asked before each batch
 * whether it is there, which saves a file and a system call a batch. */
static _Thread_local guint entered;

void
yolo_node_enter (guint node)
{
  cpu_set_t cores;

  if (entered == node + 1)
    return;
  if (cores_of (node, &cores) && sched_setaffinity (0, sizeof cores, &cores) == 0)
    entered = node + 1;
}

YoloCores *
yolo_cores_save (void)
{
  YoloCores *cores = g_new0 (YoloCores, 1);

  if (sched_getaffinity (0, sizeof cores->set, &cores->set) == 0)
    return cores;
  g_free (cores);
  return NULL;
}

void
yolo_cores_restore (YoloCores *cores)
{
  if (cores != NULL)
    sched_setaffinity (0, sizeof cores->set, &cores->set);
  entered = 0;
  g_free (cores);
}
