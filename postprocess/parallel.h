/* Threads of the caller's, for work on a frame. This room has none of its own. */

#ifndef YOLO_POSTPROCESS_PARALLEL_H
#define YOLO_POSTPROCESS_PARALLEL_H

typedef struct {
  /* Calls body (data, index, thread) for 0 to n - 1 in any order and returns
   * when all are done; thread is below `threads`, and no two calls with the
   * same one run at a time. */
  void (*run) (void *pool, unsigned n, void (*body) (void *data, unsigned index, unsigned thread), void *data);
  void *pool;
  unsigned threads;
} YoloParallel;

#endif
