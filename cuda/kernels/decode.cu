/* SPDX-License-Identifier: MIT */
/* From the head's maps to candidates, as postprocess/boxes.c defines it. The first
 * kernel reads every class logit once and lists the anchors above the threshold; the
 * second works out the boxes of those anchors alone, from 4 * reg_max logits each.
 * Bytes read: 4 * n_anchors * n_classes, and little more. */

#include <math.h>

#include "cuda/kernels/decode.h"

#define FULL 0xffffffffu

static __device__ __forceinline__ float
sigmoid (float x)
{
  return 1.0f / (1.0f + expf (-x));
}

static __device__ __forceinline__ int
level_of (const YoloDecodeParams &p, int anchor)
{
  int l = 0;

  while (l + 1 < p.n_levels && anchor >= p.levels[l + 1].first)
    l++;
  return l;
}

/* YOLO_DECODE_LANES lanes share an anchor and read its logits side by side, which makes
 * whole sectors; the anchors of a warp follow one another in memory. */
extern "C" __global__ void __launch_bounds__ (YOLO_DECODE_BLOCK)
decode_find (const __grid_constant__ YoloDecodeParams p)
{
  int n = blockIdx.y, lane = threadIdx.x % YOLO_DECODE_LANES;
  int anchor = (blockIdx.x * YOLO_DECODE_BLOCK + threadIdx.x) / YOLO_DECODE_LANES;
  YoloDecodeImage image = p.images[n];
  float best = -INFINITY;
  int best_class = 0x7fffffff;
  bool nan = false;

  if (image.idle)
    return;
  /* No early exit: all lanes take part in the exchange. */
  if (anchor < p.n_anchors) {
    const YoloDecodeLevel &level = p.levels[level_of (p, anchor)];
    long long pixel = (long long) n * level.width * level.height + anchor - level.first;
    const float *cls = level.cls + pixel * level.cls_pitch;

    for (int c = lane; c < p.n_classes; c += YOLO_DECODE_LANES) {
      float x = cls[c];
      nan |= x != x;
      if (x > best || best_class == 0x7fffffff) {
        best = x;
        best_class = c;
      }
    }
  }
#pragma unroll
  for (int d = YOLO_DECODE_LANES / 2; d > 0; d /= 2) {
    float other = __shfl_xor_sync (FULL, best, d);
    int other_class = __shfl_xor_sync (FULL, best_class, d);
    nan |= __shfl_xor_sync (FULL, (int) nan, d) != 0;
    /* of equal logits the lowest class counts */
    if (other > best || (other == best && other_class < best_class)) {
      best = other;
      best_class = other_class;
    }
  }
  if (lane != 0 || anchor >= p.n_anchors || nan || isinf (best))
    return;
  float confidence = sigmoid (best);
  if (!(confidence > image.confidence)
      || (image.masked && !p.masks[(long long) n * p.n_classes + best_class]))
    return;
  int at = atomicAdd (&p.counts[n].found, 1);
  p.found[(long long) n * p.n_anchors + at] = { confidence, anchor, best_class };
}

/* Larger is better; no two candidates of an image have the same: positive
 * floats sort as their bits do, and of equal ones the first anchor wins. */
static __device__ __forceinline__ unsigned long long
rank_of (const YoloDecodeFound &found)
{
  return (unsigned long long) __float_as_uint (found.confidence) << 32
      | (0xffffffffu - (unsigned) found.anchor);
}

/* The rank of the candidate that is number YOLO_DECODE_CAPACITY of n, from the best
 * down. It is found bit by bit from the top, in 64 passes over the list, and only asked
 * for when there are more candidates than fit. All threads of a block call this. */
static __device__ unsigned long long
lowest_rank (const YoloDecodeFound *found, int n)
{
  unsigned long long rank = 0;

  for (int bit = 63; bit >= 0; bit--) {
    unsigned long long next = rank | 1ull << bit;
    int count = 0;

    for (int start = 0; start < n; start += YOLO_DECODE_BLOCK) {
      int i = start + threadIdx.x;
      count += __syncthreads_count (i < n && rank_of (found[i]) >= next);
    }
    if (count >= YOLO_DECODE_CAPACITY)
      rank = next;
  }
  return rank;
}

/* The mean of the bins under the softmax of their logits. */
static __device__ float
expectation (const float *logits, int n)
{
  float max = logits[0], sum = 0, mean = 0;

  for (int i = 1; i < n; i++)
    max = logits[i] > max ? logits[i] : max;
  for (int i = 0; i < n; i++) {
    float e = expf (logits[i] - max);
    sum += e;
    mean += e * (float) i;
  }
  return mean / sum;
}

/* Four lanes work out the box of a candidate, each one of its sides. */
extern "C" __global__ void __launch_bounds__ (YOLO_DECODE_BLOCK)
decode_boxes (const __grid_constant__ YoloDecodeParams p)
{
  int n = blockIdx.y, side = threadIdx.x % 4, count = p.counts[n].found;
  const YoloDecodeFound *found = p.found + (long long) n * p.n_anchors;
  unsigned long long lowest = count > YOLO_DECODE_CAPACITY ? lowest_rank (found, count) : 0;

  for (int start = blockIdx.x * (YOLO_DECODE_BLOCK / 4); start < count;
       start += YOLO_DECODE_BLOCKS * (YOLO_DECODE_BLOCK / 4)) {
    int i = start + threadIdx.x / 4;
    bool selected = i < count && rank_of (found[i]) >= lowest;
    float distance = 0, sides[4];
    int x = 0, y = 0, l = 0;

    if (selected) {
      l = level_of (p, found[i].anchor);
      const YoloDecodeLevel &level = p.levels[l];
      int at = found[i].anchor - level.first;
      long long pixel = (long long) n * level.width * level.height + at;

      x = at % level.width;
      y = at / level.width;
      const float *box = level.box + pixel * level.box_pitch + side * p.reg_max;
      distance = p.reg_max == 1 ? box[0] : expectation (box, p.reg_max);
    }
#pragma unroll
    for (int s = 0; s < 4; s++)
      sides[s] = __shfl_sync (FULL, distance, s, 4);
    if (!selected || side != 0)
      continue;
    atomicAdd (&p.counts[n].selected, 1);
    if (!isfinite (sides[0]) || !isfinite (sides[1]) || !isfinite (sides[2])
        || !isfinite (sides[3]))
      continue;
    float stride = (float) p.levels[l].stride, cx = (float) x + 0.5f, cy = (float) y + 0.5f;
    int slot = atomicAdd (&p.counts[n].written, 1);
    p.out[(long long) n * YOLO_DECODE_CAPACITY + slot] = { (cx - sides[0]) * stride,
      (cy - sides[1]) * stride, (cx + sides[2]) * stride, (cy + sides[3]) * stride,
      found[i].confidence, found[i].class_id, found[i].anchor, 0 };
  }
}
