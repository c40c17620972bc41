/* SPDX-License-Identifier: MIT */
/* Whether the tail computes from the maps what our decode does: its result is compared with
 * the formulas. Sources: Ultralytics nn/modules/head.py (Detect, Segment, Pose, Pose26, OBB,
 * OBB26), nn/modules/block.py (DFL), utils/tal.py (dist2bbox, dist2rbox). */

#include "network/onnx/head-search.h"

#include <math.h>

#define MAX_REG YOLO_MAX_REG

static const HeadKind kinds[] = {
  { "detect", YOLO_MAP_BOX, { 0 } },
  { "segment", YOLO_MAP_COEFFICIENT, { 0 } },
  { "pose", YOLO_MAP_KEYPOINT, { .dimensions = 3, .point_scale = 2, .point_offset = -.5f } },
  { "pose", YOLO_MAP_KEYPOINT, { .dimensions = 2, .point_scale = 2, .point_offset = -.5f } },
  { "pose", YOLO_MAP_KEYPOINT, { .dimensions = 3, .point_scale = 1 } },
  { "pose", YOLO_MAP_KEYPOINT, { .dimensions = 2, .point_scale = 1 } },
  { "obb", YOLO_MAP_ANGLE, { .angle_sigmoid = TRUE } },
  { "obb", YOLO_MAP_ANGLE, { 0 } },
};

/* A tensor that may be the decode: [features][anchors], or [anchors][features], the features
 * being a box, the scores of the classes and what the third map gives. */
typedef struct {
  const float *values;
  gsize features, feature_step, anchor_step;
  gboolean corners;             /* boxes are x1 y1 x2 y2; FALSE: centre and size */
} Decoded;

/* One level's maps, in the order of HEAD_BOX, HEAD_CLASS, HEAD_OTHER. */
typedef struct {
  const Leaf *maps[HEAD_MAX_MAPS];
  guint channels[HEAD_MAX_MAPS];
  guint stride, width;
  gsize size;                   /* pixels, which are the level's anchors */
} Level;

/* Channel c of a leaf's random map, [height][width]. */
static float
number (const Search *search, const Level *level, guint map, guint c, gsize pixel)
{
  const Leaf *leaf = level->maps[map];
  return search->maps[leaf->boundary]->f[(leaf->channel + c) * level->size + pixel];
}

static float
sigmoid (float x)
{
  return 1 / (1 + expf (-x));
}

/* The distance from a pixel to one side of its box, in pixels of the map: the mean of the
 * distribution, or the number itself. */
static float
distance (const Search *search, const Level *level, guint side, gsize pixel)
{
  guint reg_max = level->channels[HEAD_BOX] / 4;
  float logits[MAX_REG], max = -INFINITY, sum = 0, mean = 0;

  for (guint k = 0; k < reg_max; k++) {
    logits[k] = number (search, level, HEAD_BOX, side * reg_max + k, pixel);
    max = MAX (max, logits[k]);
  }
  if (reg_max == 1)
    return logits[0];
  for (guint k = 0; k < reg_max; k++) {
    float weight = expf (logits[k] - max);
    sum += weight;
    mean += weight * k;
  }
  return mean / sum;
}

static float
angle_of (const Search *search, const HeadKind *kind, const Level *level, gsize pixel)
{
  float value = number (search, level, HEAD_OTHER, 0, pixel);
  return kind->form.angle_sigmoid ? (sigmoid (value) - .25f) * (float) G_PI : value;
}

/* The box of an anchor in pixels of the map: corners, or centre and size, of which the
 * centre is turned around the anchor where there is an angle. */
static void
expect_box (const Search *search, const HeadKind *kind, const Level *level, gsize pixel,
    gboolean corners, float *box)
{
  float x = (float) (pixel % level->width) + .5f, y = (float) (pixel / level->width) + .5f;
  float left = distance (search, level, 0, pixel), top = distance (search, level, 1, pixel);
  float right = distance (search, level, 2, pixel), bottom = distance (search, level, 3, pixel);
  float across = (right - left) / 2, down = (bottom - top) / 2;

  if (corners) {
    box[0] = x - left;
    box[1] = y - top;
    box[2] = x + right;
    box[3] = y + bottom;
    return;
  }
  if (kind->other == YOLO_MAP_ANGLE) {
    float angle = angle_of (search, kind, level, pixel), along = across;
    across = along * cosf (angle) - down * sinf (angle);
    down = along * sinf (angle) + down * cosf (angle);
  }
  box[0] = x + across;
  box[1] = y + down;
  box[2] = left + right;
  box[3] = top + bottom;
}

/* Number c of what the third map gives for an anchor. *pixels: it is a place, in pixels of
 * the map. */
static float
expect_other (const Search *search, const HeadKind *kind, const Level *level, guint c, gsize pixel,
    gboolean *pixels)
{
  const YoloHeadForm *form = &kind->form;
  float value = number (search, level, HEAD_OTHER, c, pixel);
  gsize place;

  *pixels = FALSE;
  if (kind->other == YOLO_MAP_ANGLE)
    return angle_of (search, kind, level, pixel);
  if (kind->other != YOLO_MAP_KEYPOINT)
    return value;
  if (c % form->dimensions == 2)
    return sigmoid (value);
  *pixels = TRUE;
  place = c % form->dimensions == 0 ? pixel % level->width : pixel / level->width;
  return form->point_scale * value + (float) place + .5f + form->point_offset;
}

/* How far the tail's numbers may be from ours. */
typedef struct {
  float place, relative, score;
} Tolerance;

/* In 8 bits, bins of 0 to reg_max - 1 are wrong by half a step, and a size by two bins;
 * anchors of 0 to 80 by half a step; strides of 8 to 32 by a hundredth. In float16 the pi by which
 * a sigmoid becomes an angle is 3.140625, so that angles of up to 3/4 pi are wrong by 7.3e-4; and
 * the middle of a box, which is turned by as much, by 7.3e-4 of its way from the anchor: (reg_max -
 * 1) / sqrt (2) strides at most. */
static Tolerance
tolerance_of (const Search *search, const HeadKind *kind, const Level *level)
{
  guint reg_max = level->channels[HEAD_BOX] / 4;

  if (search->rounded)
    return (Tolerance) { .2f + (float) (reg_max - 1) / 125.f, 2e-2f, 1e-3f };
  if (kind->other == YOLO_MAP_ANGLE)
    return (Tolerance) { 2e-3f + 7.3e-4f * (float) reg_max, 1e-5f, 8e-4f };
  return (Tolerance) { 2e-3f, 1e-5f, 1e-5f };
}

static gboolean
is_near (const Tolerance *tolerance, gboolean pixels, float got, float expected)
{
  /* numbers that are no places are as exact as scores, but may be larger than 1 */
  float near = pixels ? tolerance->place : tolerance->score;
  return fabsf (got - expected) <= near + tolerance->relative * fabsf (expected);
}

/* Whether one level's part of the decoded tensor is what these maps give, places being in
 * pixels of the input. */
static gboolean
level_matches (const Search *search, const HeadKind *kind, const Decoded *decoded,
    const Level *level, gsize first_anchor)
{
  Tolerance tolerance = tolerance_of (search, kind, level);
  const float *at = decoded->values + first_anchor * decoded->anchor_step;

  for (gsize pixel = 0; pixel < level->size; pixel++, at += decoded->anchor_step) {
    const float *feature = at;
    gboolean pixels;
    float box[4];

    expect_box (search, kind, level, pixel, decoded->corners, box);
    for (guint k = 0; k < 4; k++, feature += decoded->feature_step) {
      if (!is_near (&tolerance, TRUE, *feature / level->stride, box[k]))
        return FALSE;
    }
    for (guint c = 0; c < level->channels[HEAD_CLASS]; c++, feature += decoded->feature_step) {
      float logit = number (search, level, HEAD_CLASS, c, pixel);
      if (!is_near (&tolerance, FALSE, *feature, search->raw_scores ? logit : sigmoid (logit)))
        return FALSE;
    }
    for (guint c = 0; c < level->channels[HEAD_OTHER]; c++, feature += decoded->feature_step) {
      float expected = expect_other (search, kind, level, c, pixel, &pixels);
      if (!is_near (&tolerance, pixels, pixels ? *feature / level->stride : *feature, expected))
        return FALSE;
    }
  }
  return TRUE;
}

/* Whether maps of so many channels can be a head of this kind. */
static gboolean
channels_fit (const Search *search, const HeadKind *kind, const guint *channels, gsize features)
{
  const GArray *layers = search->lowered->graph->layers;
  guint other = channels[HEAD_OTHER];

  if (channels[HEAD_BOX] % 4 != 0 || channels[HEAD_BOX] > 4 * MAX_REG
      || 4 + (gsize) channels[HEAD_CLASS] + other != features)
    return FALSE;
  if (kind->other == YOLO_MAP_KEYPOINT)
    return other % kind->form.dimensions == 0;
  if (kind->other == YOLO_MAP_COEFFICIENT)
    return other == yolo_layer_at (layers, search->prototypes)->channels;
  return kind->other != YOLO_MAP_ANGLE || other == 1;
}

/* Fills in level l with its leaves in the order of number `order`. FALSE: there are not so
 * many orders. */
static gboolean
order_level (const Search *search, guint l, guint order, Level *level)
{
  const GArray *layers = search->lowered->graph->layers;
  const Leaf *first = &g_array_index (search->leaves, Leaf, search->levels.first[l]);
  const YoloLayer *layer = yolo_layer_at (layers, first->layer);

  if (order >= (search->levels.n_maps == 2 ? 2 : G_N_ELEMENTS (yolo_head_orders)))
    return FALSE;
  *level = (Level) { .stride = search->levels.stride[l], .width = layer->width,
    .size = (gsize) layer->height * layer->width };
  for (guint k = 0; k < search->levels.n_maps; k++) {
    level->maps[k] = first + yolo_head_orders[order][k];
    level->channels[k] = yolo_layer_at (layers, level->maps[k]->layer)->channels;
  }
  return TRUE;
}

/* Finds which of a level's maps holds what. Its channels are those of the levels before. */
static gboolean
match_level (
    Search *search, const HeadKind *kind, const Decoded *decoded, guint l, gsize *first_anchor)
{
  Level level;

  for (guint order = 0; order_level (search, l, order, &level); order++) {
    if (!channels_fit (search, kind, level.channels, decoded->features)
        || (l > 0
            && (level.channels[HEAD_BOX] != 4 * search->reg_max
                || level.channels[HEAD_OTHER] != search->n_other))
        || !level_matches (search, kind, decoded, &level, *first_anchor))
      continue;
    search->reg_max = level.channels[HEAD_BOX] / 4;
    search->n_other = level.channels[HEAD_OTHER];
    for (guint k = 0; k < search->levels.n_maps; k++)
      search->layers[k][l] = level.maps[k]->layer;
    *first_anchor += level.size;
    return TRUE;
  }
  return FALSE;
}

/* Whether the file has the maps of this kind of head. */
static gboolean
kind_fits (const Search *search, const HeadKind *kind)
{
  return (kind->other != YOLO_MAP_BOX) == (search->levels.n_maps == HEAD_MAX_MAPS)
      && (kind->other == YOLO_MAP_COEFFICIENT) == (search->prototypes != YOLO_LAYER_NONE);
}

static gboolean
match_kind (Search *search, const HeadKind *kind, const Decoded *decoded)
{
  gsize first = 0;

  if (!kind_fits (search, kind) || (kind->other == YOLO_MAP_ANGLE && decoded->corners))
    return FALSE;
  for (guint l = 0; l < search->levels.n; l++) {
    if (!match_level (search, kind, decoded, l, &first))
      return FALSE;
  }
  search->kind = kind;
  return TRUE;
}

gsize
yolo_head_anchors (const Search *search)
{
  gsize anchors = 0;
  Level level;

  for (guint l = 0; l < search->levels.n; l++)
    anchors += order_level (search, l, 0, &level) ? level.size : 0;
  return anchors;
}

/* The tensor is [1][features][anchors] or [1][anchors][features]. */
gboolean
yolo_head_is_decode (Search *search, const Tensor *tensor)
{
  gsize anchors = yolo_head_anchors (search);

  if (tensor->is_int || tensor->n_dims != 3 || tensor->dims[0] != 1)
    return FALSE;
  for (guint layout = 0; layout < 4; layout++) {
    gboolean exchanged = layout & 1;
    gsize features = (gsize) tensor->dims[exchanged ? 2 : 1];
    Decoded decoded = { tensor->f, features, exchanged ? 1 : anchors, exchanged ? features : 1,
      layout >> 1 };

    if ((gsize) tensor->dims[exchanged ? 1 : 2] != anchors || features < 5)
      continue;
    for (guint k = 0; k < G_N_ELEMENTS (kinds); k++) {
      if (!match_kind (search, &kinds[k], &decoded))
        continue;
      search->layout = (TrialLayout) { .exchanged = exchanged, .corners = decoded.corners,
        .turned = kinds[k].other == YOLO_MAP_ANGLE, .n_other = search->n_other,
        .n_classes = (guint) features - 4 - search->n_other, .anchors = anchors };
      return TRUE;
    }
  }
  return FALSE;
}
