/* SPDX-License-Identifier: MIT */
/* Back ends for networks in pieces: they run a real plan by its definition, or only take the time
 * that it would, and fail where they are told to. One with host memory, whose devices are all
 * number 0, and one with memory of its own, like a GPU. */

#ifndef YOLO_TESTS_SIMULATED_H
#define YOLO_TESTS_SIMULATED_H

#include "engine/engine-private.h"

#define SIMULATED_DEVICES 8

/* Where a call can fail. */
typedef enum {
  SIMULATED_LOAD,
  SIMULATED_PREPARE,
  SIMULATED_SUBMIT,
  SIMULATED_WAIT,
  SIMULATED_PASS,
  SIMULATED_N_CALLS,
} SimulatedCall;

typedef struct {
  GMutex lock;
  /* What the test sets. */
  gboolean sleep;               /* nothing is computed, and nothing found: time passes */
  double fixed, frame;          /* microseconds of a batch, and of each of its frames beside */
  /* calls from 1 of which one fails, or 0; with `every` each so manyth one */
  guint fail[SIMULATED_N_CALLS];
  gboolean every;
  guint max_execs;              /* that devices and hosts together have memory for; 0: no limit */
  /* microseconds that a call takes beside, at random up to so many: for races */
  guint jitter;
  /* What happened. */
  guint calls[SIMULATED_N_CALLS];
  guint nets, execs;            /* alive */
  guint under_way[SIMULATED_DEVICES];   /* batches on each device */
  guint max_under_way;          /* the most on all of them together */
} Simulated;

extern Simulated simulated;
/* `cpu` and `reference` are hosts, `cuda:0` to `cuda:7` devices; the model is a file. */
extern const YoloEngineParts simulated_parts;
void simulated_reset (void);

#endif
