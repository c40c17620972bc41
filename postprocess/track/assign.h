/* SPDX-License-Identifier: MIT */
/* Linear assignment of rows to columns: of all sets of pairs in which no row and no column is
 * twice, one for which the sum of (cost - limit) is least. A pair that costs more than the limit
 * is worse than none, and is not in it. Only pairs below the limit need be named; where few of a
 * large matrix are, as with boxes that overlap, that is most of the time saved. */

#ifndef YOLO_POSTPROCESS_TRACK_ASSIGN_H
#define YOLO_POSTPROCESS_TRACK_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed at first. Arrays grow and stay; yolo_assignment_clear() frees them. */
typedef struct {
  double limit;
  size_t n_rows, n_columns, n_pairs;
  size_t *first;                /* [n_rows + 1]: where a row's pairs begin */
  int32_t *column;              /* [n_pairs] */
  double *cost;                 /* [n_pairs] */
  int32_t *column_of;           /* [n_rows]: the result; -1: none */
  int32_t *row_of;              /* [n_columns]: the result; -1: none */
  double *cost_of;              /* [n_rows]: of the pair that a row is in */
  double *price;                /* [n_columns]: dual variables, 0 or below */
  double *distance;             /* [n_columns]: of the shortest path found so far */
  int32_t *before;              /* [n_columns]: the row that this path comes from */
  double *before_cost;          /* [n_columns]: cost of that row's pair with the column */
  int32_t *touched;             /* [n_columns]: columns that have a path */
  size_t row_capacity, column_capacity, pair_capacity;
} YoloAssignment;

/* Makes room for a matrix of any costs of this size; false: there is no memory. */
bool yolo_assignment_reserve (YoloAssignment *a, size_t n_rows, size_t n_columns);
void yolo_assignment_clear (YoloAssignment *a);

/* Begins a matrix within what was reserved. Rows follow in order: the pairs of one, each column
 * once at most, then yolo_assignment_end_row(). */
void yolo_assignment_begin (YoloAssignment *a, size_t n_columns, double limit);
void yolo_assignment_pair (YoloAssignment *a, size_t column, double cost);
void yolo_assignment_end_row (YoloAssignment *a);

/* Fills column_of and row_of. */
void yolo_assignment_solve (YoloAssignment *a);

#endif
