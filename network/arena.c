/* SPDX-License-Identifier: MIT */
#include "network/arena.h"

#include <stdlib.h>
#include <string.h>

static gsize
aligned (gsize size)
{
  return (size + YOLO_ARENA_ALIGN - 1) / YOLO_ARENA_ALIGN * YOLO_ARENA_ALIGN;
}

static gboolean
alive_together (const YoloBuffer *a, const YoloBuffer *b)
{
  return a->first <= b->last && b->first <= a->last;
}

gsize
yolo_arena_lower_bound (const YoloBuffer *buffers, guint n, guint input)
{
  gsize bound = 0;

  /* The most bytes are alive at some operation where a buffer begins to be alive. */
  for (guint i = 0; i < n; i++) {
    gsize sum = 0;
    for (guint k = 0; k < n; k++) {
      if (k != input && buffers[k].first <= buffers[i].first && buffers[i].first <= buffers[k].last)
        sum += aligned (buffers[k].size);
    }
    bound = MAX (bound, sum);
  }
  return bound;
}

static int
by_size (const void *a, const void *b)
{
  const YoloBuffer *x = *(YoloBuffer *const *) a, *y = *(YoloBuffer *const *) b;
  if (x->size != y->size)
    return x->size > y->size ? -1 : 1;
  return x < y ? -1 : x > y;
}

static int
by_first (const void *a, const void *b)
{
  const YoloBuffer *x = *(YoloBuffer *const *) a, *y = *(YoloBuffer *const *) b;
  if (x->first != y->first)
    return x->first < y->first ? -1 : 1;
  return by_size (a, b);
}

/* Puts a buffer among the @n placed ones, which stay sorted by offset. */
static void
insert (YoloBuffer **placed, guint n, YoloBuffer *buffer)
{
  guint at = n;

  while (at > 0 && placed[at - 1]->offset > buffer->offset)
    at--;
  memmove (placed + at + 1, placed + at, (n - at) * sizeof *placed);
  placed[at] = buffer;
}

/* Gives the buffers, in this order, an offset each: in the tightest gap between the
 * buffers that are placed already and alive together with it, or behind them all. Returns
 * the size of the arena. */
static gsize
place (YoloBuffer **order, guint n)
{
  g_autofree YoloBuffer **placed = g_new (YoloBuffer *, n);
  gsize total = 0;

  for (guint i = 0; i < n; i++) {
    YoloBuffer *buffer = order[i];
    gsize need = aligned (buffer->size), end = 0, best = G_MAXSIZE, best_gap = G_MAXSIZE;

    for (guint k = 0; k < i; k++) {
      if (!alive_together (buffer, placed[k]))
        continue;
      if (placed[k]->offset > end && placed[k]->offset - end >= need
          && placed[k]->offset - end < best_gap) {
        best = end;
        best_gap = placed[k]->offset - end;
      }
      end = MAX (end, placed[k]->offset + aligned (placed[k]->size));
    }
    buffer->offset = best != G_MAXSIZE ? best : end;
    total = MAX (total, buffer->offset + need);
    insert (placed, i, buffer);
  }
  return total;
}

gboolean
yolo_arena_assign (YoloBuffer *buffers, guint n, guint input, gsize *size)
{
  static int (*const orders[]) (const void *, const void *) = { by_size, by_first };
  g_autofree YoloBuffer **order = g_new (YoloBuffer *, n);
  gsize sum = 0, best = G_MAXSIZE;
  guint count = 0, chosen = 0;

  for (guint i = 0; i < n; i++) {
    if (i == input)
      continue;
    order[count++] = &buffers[i];
    if (buffers[i].size > G_MAXSIZE / 2
        || !g_size_checked_add (&sum, sum, aligned (buffers[i].size)))
      return FALSE;
  }
  for (guint k = 0; k < G_N_ELEMENTS (orders); k++) {
    qsort (order, count, sizeof *order, orders[k]);
    *size = place (order, count);
    if (*size < best) {
      best = *size;
      chosen = k;
    }
  }
  if (chosen != G_N_ELEMENTS (orders) - 1) {
    qsort (order, count, sizeof *order, orders[chosen]);
    *size = place (order, count);
  }
  return TRUE;
}
