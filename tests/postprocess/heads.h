/* SPDX-License-Identifier: MIT */
/* Heads of random maps in guarded memory: nothing behind the last number of a map's last
 * pixel. */

#ifndef TEST_HEADS_H
#define TEST_HEADS_H

#include "postprocess/task.h"
#include "tests/guarded.h"

typedef struct {
  YoloHead head;
  Guarded memory[YOLO_MAX_OUTPUTS];
} TestHead;

/* Adds a map of normally distributed numbers and returns it. */
static inline YoloMap *
test_head_add (TestHead *t, Random *r, YoloOutput output, int width, int height, int channels)
{
  size_t pitch = (size_t) (channels + random_int (r, 0, 5));
  size_t n = ((size_t) width * (size_t) height - 1) * pitch + (size_t) channels;
  Guarded *memory = &t->memory[t->head.n_maps];
  YoloMap *map = &t->head.maps[t->head.n_maps++];

  *memory = guarded_new (n * sizeof (float));
  for (size_t i = 0; i < n; i++)
    ((float *) (void *) memory->data)[i] = (float) random_normal (r);
  *map = (YoloMap) {
    .output = output, .data = (float *) (void *) memory->data, .pitch = pitch,
    .width = width, .height = height, .channels = channels,
  };
  return map;
}

/* Adds levels of boxes and classes, and beside them, if it has channels, of one more role. */
static inline void
test_head_add_levels (TestHead *t, Random *r, int n_levels, int reg_max, int n_classes,
    YoloMapRole role, int channels)
{
  for (unsigned l = 0; l < (unsigned) n_levels; l++) {
    unsigned stride = 8u << l;
    int width = random_int (r, 1, 9), height = random_int (r, 1, 9);

    test_head_add (
        t, r, (YoloOutput) { YOLO_MAP_BOX, l, stride, 0 }, width, height, 4 * reg_max);
    test_head_add (t, r, (YoloOutput) { YOLO_MAP_CLASS, l, stride, 0 }, width, height, n_classes);
    if (channels > 0)
      test_head_add (t, r, (YoloOutput) { role, l, stride, 0 }, width, height, channels);
  }
}

/* The numbers of a map's pixel, to be changed. */
static inline float *
test_head_pixel (const YoloMap *map, size_t pixel)
{
  return (float *) (uintptr_t) map->data + pixel * map->pitch;
}

/* What yolo_exec_rows() gives of a role at the objects' anchors; freed by the caller. */
static inline float *
test_head_rows (const YoloHead *head, YoloMapRole role, const YoloObject *objects, size_t n)
{
  size_t channels = (size_t) yolo_head_map (head, role, 0)->channels;
  float *rows = g_new (float, n *channels + 1);

  for (size_t i = 0; i < n; i++) {
    size_t pixel;
    const YoloMap *map = yolo_head_locate (head, role, (size_t) objects[i].anchor, &pixel);

    g_assert_nonnull (map);
    memcpy (rows + i * channels, map->data + pixel * map->pitch, channels * sizeof *rows);
  }
  return rows;
}

static inline void
test_head_clear (TestHead *t)
{
  for (int k = 0; k < t->head.n_maps; k++)
    guarded_free (&t->memory[k]);
  *t = (TestHead) { 0 };
}

/* That the task takes the head, and no head that differs by one map: one taken out, one of
 * another role, one with more channels, one wider or higher. */
static inline void
test_head_refused (const YoloTask *task, const YoloHead *good)
{
  g_assert_cmpuint (task->anchors (good), >, 0);
  for (int k = 0; k < good->n_maps; k++) {
    for (int change = 0; change < 5; change++) {
      YoloHead head = *good;
      YoloMap *map = &head.maps[k];

      /* without a level's boxes it is a head of fewer levels */
      if (change < 2 && map->output.role == YOLO_MAP_BOX && map->output.level > 0)
        continue;
      /* prototypes are of any size */
      if (change > 2 && map->output.role == YOLO_MAP_PROTOTYPE)
        continue;
      if (change == 0)
        *map = head.maps[--head.n_maps];        /* their order does not matter */
      else if (change == 1)
        map->output.role = YOLO_MAP_LOGIT;
      else if (change == 2)
        map->channels++;
      else if (change == 3)
        map->width++;
      else
        map->height++;
      g_assert_cmpuint (task->anchors (&head), ==, 0);
    }
  }
}

#endif
