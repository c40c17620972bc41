/* SPDX-License-Identifier: MIT */
/* Shortest augmenting paths. Source: R. Jonker, A. Volgenant, "A Shortest Augmenting Path
 * Algorithm for Dense and Sparse Linear Assignment Problems", Computing 38, 1987; without its
 * initial heuristics, which save little where most rows have one or two pairs.
 *
 * Beside the real columns, each row has one that is its alone and costs the limit: there it stays
 * without a partner. Every row finds a place, one after the other, by the cheapest path that
 * moves earlier rows. A row in a place of its own is never moved again, since no path leads
 * there; such a place needs neither a price nor a name. */
#include "postprocess/track/assign.h"

#include <math.h>
#include <stdlib.h>

/* Replaces an array whose contents are not needed any more; false: there is no memory, and the
 * array is as it was. */
static bool
renew (void *array, size_t n, size_t size)
{
  void **place = array, *fresh;

  if (n > SIZE_MAX / size || !(fresh = malloc (n * size)))
    return false;
  free (*place);
  *place = fresh;
  return true;
}

bool
yolo_assignment_reserve (YoloAssignment *a, size_t n_rows, size_t n_columns)
{
  /* an index is an int32_t */
  if (n_rows > INT32_MAX - 1 || n_columns > INT32_MAX)
    return false;
  if (n_rows > a->row_capacity || !a->first) {
    if (!renew (&a->first, n_rows + 1, sizeof *a->first)
        || !renew (&a->column_of, n_rows + 1, sizeof *a->column_of)
        || !renew (&a->cost_of, n_rows + 1, sizeof *a->cost_of))
      return false;
    a->row_capacity = n_rows;
  }
  if (n_columns > a->column_capacity) {
    if (!renew (&a->row_of, n_columns, sizeof *a->row_of)
        || !renew (&a->price, n_columns, sizeof *a->price)
        || !renew (&a->distance, n_columns, sizeof *a->distance)
        || !renew (&a->before, n_columns, sizeof *a->before)
        || !renew (&a->before_cost, n_columns, sizeof *a->before_cost)
        || !renew (&a->touched, n_columns, sizeof *a->touched))
      return false;
    a->column_capacity = n_columns;
  }
  /* no overflow: both are below 2^31 */
  uint64_t pairs = (uint64_t) n_rows * n_columns;
  if (pairs > a->pair_capacity) {
    if (pairs > SIZE_MAX || !renew (&a->column, (size_t) pairs, sizeof *a->column)
        || !renew (&a->cost, (size_t) pairs, sizeof *a->cost))
      return false;
    a->pair_capacity = (size_t) pairs;
  }
  return true;
}

void
yolo_assignment_clear (YoloAssignment *a)
{
  free (a->first);
  free (a->column);
  free (a->cost);
  free (a->column_of);
  free (a->row_of);
  free (a->cost_of);
  free (a->price);
  free (a->distance);
  free (a->before);
  free (a->before_cost);
  free (a->touched);
  *a = (YoloAssignment) { 0 };
}

void
yolo_assignment_begin (YoloAssignment *a, size_t n_columns, double limit)
{
  a->limit = limit;
  a->n_columns = n_columns;
  a->n_rows = a->n_pairs = 0;
  a->first[0] = 0;
}

void
yolo_assignment_pair (YoloAssignment *a, size_t column, double cost)
{
  /* also leaves out a cost that is no number */
  if (!(cost < a->limit))
    return;
  a->column[a->n_pairs] = (int32_t) column;
  a->cost[a->n_pairs++] = cost;
}

void
yolo_assignment_end_row (YoloAssignment *a)
{
  a->first[++a->n_rows] = a->n_pairs;
}

/* Writes the pairs along the path that ends with the row's taking the column; @start is the row
 * that it began with. */
static void
augment (YoloAssignment *a, int32_t start, int32_t column)
{
  for (;;) {
    int32_t row = a->before[column], next = a->column_of[row];
    a->row_of[column] = row;
    a->column_of[row] = column;
    a->cost_of[row] = a->before_cost[column];
    if (row == start)
      return;
    column = next;
  }
}

/* Dijkstra's search from a row without a place. Settled columns stand at the front of `touched`. */
static void
place (YoloAssignment *a, int32_t start)
{
  size_t n_touched = 0, n_settled = 0;
  int32_t row = start, last = -1;
  /* Where the search is: its length, and what its row gains by leaving its column. */
  double length = 0, gain = 0;
  /* the shortest path that ends in a row's own place, and the column that row leaves; -1: it is
   * the first row, which has none */
  double own = INFINITY;
  int32_t own_column = -1;

  for (;;) {
    double away = length - gain;
    if (away + a->limit < own) {
      own = away + a->limit;
      own_column = row == start ? -1 : a->column_of[row];
    }
    for (size_t i = a->first[row]; i < a->first[row + 1]; i++) {
      int32_t j = a->column[i];
      double d = away + a->cost[i] - a->price[j];
      /* rounding must not open a settled column again, which is no farther than `length`; costs of
       * the first row may be below 0 */
      if (n_settled && d < length)
        d = length;
      if (isinf (a->distance[j]))
        a->touched[n_touched++] = j;
      else if (!(d < a->distance[j]))
        continue;
      a->distance[j] = d;
      a->before[j] = row;
      a->before_cost[j] = a->cost[i];
    }

    size_t best = n_settled;
    for (size_t i = n_settled + 1; i < n_touched; i++)
      if (a->distance[a->touched[i]] < a->distance[a->touched[best]])
        best = i;
    if (n_settled == n_touched || !(a->distance[a->touched[best]] < own)) {
      length = own;
      last = own_column;
      if (last >= 0) {
        a->column_of[a->row_of[last]] = -1;
        augment (a, start, last);
      }
      break;
    }
    int32_t j = a->touched[best];
    a->touched[best] = a->touched[n_settled];
    a->touched[n_settled++] = j;
    length = a->distance[j];
    if (a->row_of[j] < 0) {
      augment (a, start, j);
      break;
    }
    row = a->row_of[j];
    gain = a->cost_of[row] - a->price[j];
  }
  for (size_t i = 0; i < n_touched; i++) {
    int32_t j = a->touched[i];
    if (i < n_settled)
      a->price[j] += a->distance[j] - length;
    a->distance[j] = INFINITY;
  }
}

void
yolo_assignment_solve (YoloAssignment *a)
{
  for (size_t i = 0; i < a->n_rows; i++)
    a->column_of[i] = -1;
  for (size_t j = 0; j < a->n_columns; j++) {
    a->row_of[j] = -1;
    a->price[j] = 0;
    a->distance[j] = INFINITY;
  }
  for (size_t i = 0; i < a->n_rows; i++)
    place (a, (int32_t) i);
}
