/* SPDX-License-Identifier: MIT */
/* What the whole image is. Source: Ultralytics nn/modules/head.py, Classify. */

#include "postprocess/task.h"

#include <math.h>
#include <string.h>

#define BEST 5                  /* classes of an image at most */

/* The image is one candidate; expand() needs room for as many objects as there are classes. */
static size_t
anchors (const YoloHead *head)
{
  const YoloMap *map = yolo_head_map (head, YOLO_MAP_LOGIT, 0);

  if (map == NULL || map->width != 1 || map->height != 1 || !head->form.end_to_end)
    return 0;
  return (size_t) map->channels;
}

/* The image itself is the only candidate. */
static void
decode (const YoloHead *head, YoloDecode *decode)
{
  decode->n = decode->missed = 0;
  if (anchors (head) > 0 && decode->capacity > 0)
    decode->candidates[decode->n++] = (YoloObject) { .confidence = 1 };
}

static size_t
finish (const YoloHead *head, YoloDecode *decode, const YoloSuppression *how, YoloObject *scratch)
{
  (void) head;
  (void) scratch;
  return decode->n < how->max ? decode->n : how->max;
}

/* The largest logit that is not taken yet, of a class that is wanted; -1: there is none. */
static int
next_best (
    const float *logits, int n, const uint8_t *wanted, const YoloObject *taken, size_t n_taken)
{
  int best = -1;

  for (int c = 0; c < n; c++) {
    bool free = wanted == NULL || wanted[c];

    for (size_t k = 0; k < n_taken && free; k++)
      free = taken[k].class_id != c;
    if (free && (best < 0 || logits[c] > logits[best]))
      best = c;
  }
  return best;
}

/* The softmax of the logits: the best classes, whatever the threshold. A row with a NaN
 * gives none. */
static size_t
expand (const YoloHead *head, const float *rows, size_t n, YoloDecode *decode,
    const YoloSuppression *how, YoloObject *scratch)
{
  int n_classes = yolo_head_map (head, YOLO_MAP_LOGIT, 0)->channels, best;
  size_t max = how->max < BEST ? how->max : BEST, found = 0;
  float largest = -INFINITY, sum = 0;

  (void) scratch;
  max = max < decode->capacity ? max : decode->capacity;
  for (int c = 0; n > 0 && c < n_classes; c++)
    largest = fmaxf (largest, rows[c]);
  for (int c = 0; n > 0 && c < n_classes; c++)
    sum += expf (rows[c] - largest);
  if (n == 0 || !isfinite (sum))
    return 0;
  while (found < max
      && (best = next_best (rows, n_classes, decode->classes, decode->candidates, found)) >= 0)
    decode->candidates[found++] = (YoloObject) {
      .confidence = expf (rows[best] - largest) / sum, .class_id = best,
    };
  return found;
}

const YoloTask yolo_task_classify = {
  .name = "classify",
  .fit = YOLO_FIT_CROP,
  .anchors = anchors,
  .decode = decode,
  .finish = finish,
  .classes = YOLO_MAP_LOGIT,
  .expand = expand,
};
