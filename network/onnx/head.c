/* SPDX-License-Identifier: MIT */
#include "network/onnx/head.h"
#include "base/error.h"
#include "network/onnx/eval.h"
#include "network/onnx/trial.h"

#include <math.h>
#include <string.h>

#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* Elements of the maps of the largest head that is run to be checked: 144 channels at
 * 3840x2160. */
#define MAX_MAPS ((gsize) 1 << 25)
#define MAX_REG YOLO_MAX_REG
/* The most nodes of a tail, which is run over and over: several times those of a tail with
 * non-maximum suppression and quantisers. */
#define MAX_TAIL 1000
/* How many elements may be computed to find which node of a tail is wrong: a dozen runs at
 * 640x640. A file must not make us compute for hours to refuse it. */
#define MAX_BLAME ((gsize) 1 << 28)
/* How many anchors of a made-up picture have a score to speak of, in full and in almost
 * empty ones. More would only take time. */
#define MANY_ACTIVE 4096
#define FEW_ACTIVE 16

#define ADVICE \
  "export a YOLOv8 detect model with Ultralytics, YOLO('best.pt').export(format='onnx')"

/* A map that leaves the body: a layer that the tail reads, or one of the layers that it
 * joins. */
typedef struct {
  guint layer;                  /* the layer itself, which is no concatenation */
  guint boundary;               /* the layer that the tail reads */
  guint channel;                /* where the map begins in the boundary */
  const OnnxNode *reader;
} Leaf;

typedef struct {
  Lowered *lowered;
  const char *task;
  gboolean *needed;             /* [nodes]: those that an output depends on through the tail */
  guint n_needed;
  const OnnxNode *unknown;      /* the first needed node that cannot be evaluated */
  /* the tail has convolutions of a body, behind something that is not understood */
  gboolean body_goes_on;
  gboolean has_nms;
  GArray *leaves;               /* of Leaf, sorted by the size of the map, the largest first */
  Tensor **maps;                /* [layers]: random numbers for each boundary */
  /* the value that is the decode of the maps, or ONNX_NONE until it is found */
  guint decoded;
  TrialLayout layout;           /* of the decoded value */
  /* what stands for the decoded value while a suppression is tried; else NULL */
  Tensor *trial;
  gsize spent;                  /* how many elements all runs of the tail have computed */
  /* the node whose input is taken for its output, to find a culprit; or ONNX_NONE */
  guint left_out;
} Search;

static gboolean
refuse (const Search *search, const OnnxNode *node, const char *what, GError **error)
{
  const char *task = search->task;

  if (node != NULL)
    yolo_network_set_error (error, UNSUPPORTED,
        ONNX_NODE_FORMAT " %s (task of the file: %.40s); " ADVICE, ONNX_NODE_ARGS (node), what,
        task != NULL ? task : "not given");
  else
    yolo_network_set_error (error, UNSUPPORTED, "%s (task of the file: %.40s); " ADVICE, what,
        task != NULL ? task : "not given");
  return FALSE;
}

/* Refuses a node whose operator is not ONNX's own. */
static gboolean
refuse_foreign (const OnnxNode *node, GError **error)
{
  const char *domain = node->proto->domain;

  if (g_str_has_prefix (domain, "com.microsoft"))
    return yolo_network_fail (error, UNSUPPORTED,
        ONNX_NODE_FORMAT " is an operator of %.40s: ONNX Runtime has optimised "
                         "the file for itself; use the file that it was made of",
        ONNX_NODE_ARGS (node), domain);
  return yolo_network_fail (error, UNSUPPORTED,
      ONNX_NODE_FORMAT " is an operator of '%.40s', none of ONNX's own; " ADVICE,
      ONNX_NODE_ARGS (node), domain);
}

/* Whether a node of the tail is a convolution of a body, behind something that was not
 * understood. The tail's own convolution has one output, the mean of a box's distribution. */
static gboolean
belongs_to_body (const Search *search, const OnnxNode *node)
{
  const Tensor *weights;

  if (strcmp (node->op, "Conv") != 0 && strcmp (node->op, "ConvInteger") != 0)
    return FALSE;
  weights = node->n_in > 1 ? yolo_lowered_constant (search->lowered, node->in[1], NULL) : NULL;
  return weights == NULL || weights->n_dims != 4 || weights->dims[0] != 1;
}

/* Marks the tail's nodes that the outputs depend on, and finds the first of
 * them that is not understood. */
static void
mark_needed (Search *search)
{
  const OnnxFile *file = search->lowered->file;
  g_autoptr (GArray) stack = g_array_new (FALSE, FALSE, sizeof (guint));
  const OnnxNode *first = NULL;

  g_array_append_vals (stack, file->outputs, file->n_outputs);
  while (stack->len > 0) {
    guint value = g_array_index (stack, guint, stack->len - 1), producer;

    g_array_set_size (stack, stack->len - 1);
    if (search->lowered->values[value].kind != VALUE_TAIL)
      continue;
    producer = yolo_onnx_value (file, value)->producer;
    if (producer == ONNX_NONE || search->needed[producer])
      continue;
    search->needed[producer] = TRUE;
    search->n_needed++;
    for (guint k = 0; k < yolo_onnx_node (file, producer)->n_in; k++) {
      if (yolo_onnx_node (file, producer)->in[k] != ONNX_NONE)
        g_array_append_val (stack, yolo_onnx_node (file, producer)->in[k]);
    }
  }

  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    if (!search->needed[i])
      continue;
    if (first == NULL)
      first = node;
    if (search->unknown == NULL && !yolo_eval_knows (node))
      search->unknown = node;
    search->has_nms |= strcmp (node->op, "NonMaxSuppression") == 0;
    search->body_goes_on |= belongs_to_body (search, node);
  }
  if (search->body_goes_on && search->unknown == NULL)
    search->unknown = first;
}

static void
add_leaves (Search *search, guint boundary, const OnnxNode *reader)
{
  const GArray *layers = search->lowered->graph->layers;
  const YoloLayer *layer = yolo_layer_at (layers, boundary);
  Leaf leaf = { boundary, boundary, 0, reader };

  if (layer->type != YOLO_LAYER_CONCAT) {
    g_array_append_val (search->leaves, leaf);
    return;
  }
  for (guint k = 0; k < layer->n_in; k++) {
    leaf.layer = yolo_layer_at (layers, layer->in[k])->below;
    g_array_append_val (search->leaves, leaf);
    leaf.channel += yolo_layer_at (layers, leaf.layer)->channels;
  }
}

static gint
compare_leaves (gconstpointer a, gconstpointer b, gpointer data)
{
  GArray *layers = data;
  const Leaf *x = a, *y = b;
  const YoloLayer *p = yolo_layer_at (layers, x->layer), *q = yolo_layer_at (layers, y->layer);

  if (p->height != q->height)
    return p->height > q->height ? -1 : 1;
  if (p->width != q->width)
    return p->width > q->width ? -1 : 1;
  return x->layer < y->layer ? -1 : x->layer > y->layer;
}

/* Finds the feature maps that the needed part of the tail reads. */
static gboolean
find_leaves (Search *search, GError **error)
{
  Lowered *lowered = search->lowered;
  const OnnxFile *file = lowered->file;
  g_autofree gboolean *seen = g_new0 (gboolean, lowered->graph->layers->len);
  gsize total = 0;

  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    if (!search->needed[i] || !yolo_eval_knows (node))
      continue;
    for (guint k = 0; k < node->n_in; k++) {
      const Value *value = node->in[k] != ONNX_NONE ? &lowered->values[node->in[k]] : NULL;
      const YoloLayer *layer;
      guint boundary;

      if (value == NULL || value->kind != VALUE_FEATURE)
        continue;
      boundary = yolo_layer_at (lowered->graph->layers, value->layer)->below;
      if (seen[boundary])
        continue;
      seen[boundary] = TRUE;
      layer = yolo_layer_at (lowered->graph->layers, boundary);
      if (layer->type == YOLO_LAYER_IMAGE)
        return refuse (search, node, "uses the input as something else than an image", error);
      total += (gsize) layer->channels * layer->height * layer->width;
      if (total > MAX_MAPS)
        return yolo_network_fail (error, UNSUPPORTED,
            "the file's input of %ux%u is too large to check its head; "
            "export it with a smaller imgsz or with dynamic=True, any size can be chosen later",
            lowered->width, lowered->height);
      add_leaves (search, boundary, node);
    }
  }
  g_array_sort_with_data (search->leaves, compare_leaves, lowered->graph->layers);
  return TRUE;
}

static gboolean
same_level (const GArray *layers, const Leaf *a, const Leaf *b)
{
  const YoloLayer *p = yolo_layer_at (layers, a->layer), *q = yolo_layer_at (layers, b->layer);
  return p->height == q->height && p->width == q->width;
}

/* The levels of the head, by increasing stride: two leaves each, one behind the other. */
typedef struct {
  guint n;
  guint first[YOLO_MAX_LEVELS]; /* number of the first leaf */
  guint stride[YOLO_MAX_LEVELS];
} Levels;

/* Which layers the leaves turn out to be. */
typedef struct {
  guint reg_max;
  guint box[YOLO_MAX_LEVELS], cls[YOLO_MAX_LEVELS];     /* layers, by level */
} Maps;

static gboolean
check_levels (Search *search, Levels *levels, GError **error)
{
  const GArray *layers = search->lowered->graph->layers;

  levels->n = 0;
  for (guint i = 0; i < search->leaves->len;) {
    const Leaf *first = &g_array_index (search->leaves, Leaf, i);
    const YoloLayer *layer = yolo_layer_at (layers, first->layer);
    guint n = 1, stride = search->lowered->height / layer->height;

    while (i + n < search->leaves->len && same_level (layers, first, first + n))
      n++;
    if (n > 2)
      return refuse (search, first[n - 1].reader,
          "takes a third map from a level of the head, beside boxes and classes: "
          "segmentation, pose and oriented boxes are not supported",
          error);
    if (n < 2)
      return refuse (
          search, first->reader, "reads a feature map that is no pair of boxes and classes", error);
    if (levels->n == YOLO_MAX_LEVELS)
      return refuse (search, first->reader, "belongs to a head of too many levels", error);
    if (stride * layer->height != search->lowered->height
        || stride * layer->width != search->lowered->width)
      return refuse (search, first->reader,
          "reads a feature map whose size is no whole part of the input's", error);
    levels->first[levels->n] = i;
    levels->stride[levels->n++] = stride;
    i += n;
  }
  if (levels->n == 0)
    return refuse (search, NULL,
        "the model has no detect head: its outputs do not come from boxes and classes "
        "at several scales",
        error);
  return TRUE;
}

static float
random_float (guint32 *state)
{
  *state = *state * 1664525u + 1013904223u;
  return (float) (*state >> 8) / (1 << 24);
}

static gboolean
make_maps (Search *search, TensorScope *scope, GError **error)
{
  GArray *layers = search->lowered->graph->layers;
  guint32 state = 1;

  for (guint i = 0; i < search->leaves->len; i++) {
    guint boundary = g_array_index (search->leaves, Leaf, i).boundary;
    const YoloLayer *layer = yolo_layer_at (layers, boundary);
    gint64 dims[4] = { 1, layer->channels, layer->height, layer->width };
    Tensor *map;

    if (search->maps[boundary] != NULL)
      continue;
    map = search->maps[boundary] = yolo_onnx_tensor_new (scope, FALSE, 4, dims, error);
    if (map == NULL)
      return FALSE;
    for (gsize k = 0; k < map->n; k++)
      map->f[k] = 12 * random_float (&state) - 6;
  }
  return TRUE;
}

/* Channel c of a leaf's random map, [height][width]. */
static const float *
leaf_plane (const Search *search, const Leaf *leaf, guint c)
{
  const YoloLayer *layer = yolo_layer_at (search->lowered->graph->layers, leaf->layer);
  return search->maps[leaf->boundary]->f
      + (gsize) (leaf->channel + c) * layer->height * layer->width;
}

/* The distance from a pixel to one side of its box, in pixels of the map: the mean of the
 * distribution. Source: Ultralytics nn/modules/block.py, DFL. */
static float
distance (const Search *search, const Leaf *box, guint side, guint reg_max, gsize pixel)
{
  float logits[MAX_REG], max = -INFINITY, sum = 0, mean = 0;

  for (guint k = 0; k < reg_max; k++) {
    logits[k] = leaf_plane (search, box, side * reg_max + k)[pixel];
    max = MAX (max, logits[k]);
  }
  for (guint k = 0; k < reg_max; k++) {
    float weight = expf (logits[k] - max);
    sum += weight;
    mean += weight * k;
  }
  return mean / sum;
}

/* A tensor that may be the decode: [4 + classes][anchors], or [anchors][4 + classes], with
 * boxes as corners or as centre and size. */
typedef struct {
  const float *values;
  gsize feature_step, anchor_step;
  guint n_classes;
  gboolean corners;
} Decoded;

/* Whether one level's part of the decoded tensor is what these two maps give: centre and
 * size, or corners (in files with non-maximum suppression), in pixels of the input.
 * Source: Ultralytics nn/modules/head.py, Detect, and utils/tal.py, dist2bbox. */
static gboolean
level_matches (const Search *search, const Decoded *decoded, gsize first_anchor, const Leaf *box,
    const Leaf *cls, guint reg_max, guint stride)
{
  const YoloLayer *layer = yolo_layer_at (search->lowered->graph->layers, box->layer);
  gboolean corners = decoded->corners;
  /* In 8 bits, bins of 0 to reg_max - 1 are wrong by half a step, and a size by two bins;
   * anchors of 0 to 80 by half a step; strides of 8 to 32 by a hundredth. */
  float tolerance = search->lowered->quantized ? 0.2f + (reg_max - 1) / 125.f : 2e-3f;
  float relative = search->lowered->quantized ? 2e-2f : 1e-5f;
  float score_tolerance = search->lowered->quantized ? 1e-3f : 1e-5f;

  for (gsize pixel = 0; pixel < (gsize) layer->height * layer->width; pixel++) {
    const float *at = decoded->values + (first_anchor + pixel) * decoded->anchor_step;
    float x = pixel % layer->width + 0.5f, y = pixel / layer->width + 0.5f, expected[4];
    float left = distance (search, box, 0, reg_max, pixel),
          top = distance (search, box, 1, reg_max, pixel);
    float right = distance (search, box, 2, reg_max, pixel),
          bottom = distance (search, box, 3, reg_max, pixel);

    expected[0] = corners ? x - left : x + (right - left) / 2;
    expected[1] = corners ? y - top : y + (bottom - top) / 2;
    expected[2] = corners ? x + right : left + right;
    expected[3] = corners ? y + bottom : top + bottom;
    for (guint k = 0; k < 4; k++) {
      float error = at[k * decoded->feature_step] / stride - expected[k];
      if (!(fabsf (error) <= tolerance + relative * fabsf (expected[k])))
        return FALSE;
    }
    for (guint c = 0; c < decoded->n_classes; c++) {
      float score = 1 / (1 + expf (-leaf_plane (search, cls, c)[pixel]));
      if (!(fabsf (at[(4 + c) * decoded->feature_step] - score) <= score_tolerance))
        return FALSE;
    }
  }
  return TRUE;
}

/* How many anchors a level has: the pixels of its maps. */
static gsize
level_size (const Search *search, const Levels *levels, guint l)
{
  const Leaf *leaf = &g_array_index (search->leaves, Leaf, levels->first[l]);
  const YoloLayer *layer = yolo_layer_at (search->lowered->graph->layers, leaf->layer);

  return (gsize) layer->height * layer->width;
}

/* Finds which of a level's two maps holds the boxes. */
static gboolean
match_level (const Search *search, const Decoded *decoded, gsize first_anchor, const Levels *levels,
    guint l, Maps *maps)
{
  const GArray *layers = search->lowered->graph->layers;
  const Leaf *pair = &g_array_index (search->leaves, Leaf, levels->first[l]);
  guint stride = levels->stride[l];

  for (guint which = 0; which < 2; which++) {
    const Leaf *box = &pair[which], *cls = &pair[1 - which];
    guint channels = yolo_layer_at (layers, box->layer)->channels;

    if (yolo_layer_at (layers, cls->layer)->channels != decoded->n_classes || channels % 4 != 0
        || channels < 8 || channels > 4 * MAX_REG || (l > 0 && channels != 4 * maps->reg_max)
        || !level_matches (search, decoded, first_anchor, box, cls, channels / 4, stride))
      continue;
    maps->reg_max = channels / 4;
    maps->box[l] = box->layer;
    maps->cls[l] = cls->layer;
    return TRUE;
  }
  return FALSE;
}

/* Whether a tensor, [1][4 + classes][anchors] or [1][anchors][4 + classes], is the decode
 * of the maps. */
static gboolean
decode_matches (Search *search, const Tensor *tensor, const Levels *levels, Maps *maps)
{
  gsize anchors = 0;

  for (guint l = 0; l < levels->n; l++)
    anchors += level_size (search, levels, l);
  if (tensor->is_int || tensor->n_dims != 3 || tensor->dims[0] != 1)
    return FALSE;
  for (guint layout = 0; layout < 4; layout++) {
    gboolean exchanged = layout & 1;
    gsize features = (gsize) tensor->dims[exchanged ? 2 : 1], first = 0;
    Decoded decoded = {
      .values = tensor->f,
      .feature_step = exchanged ? 1 : anchors,
      .anchor_step = exchanged ? features : 1,
      .n_classes = (guint) (features - 4),
      .corners = layout >> 1,
    };
    guint l;

    if ((gsize) tensor->dims[exchanged ? 1 : 2] != anchors || features < 5)
      continue;
    for (l = 0; l < levels->n; l++) {
      if (!match_level (search, &decoded, first, levels, l, maps))
        break;
      first += level_size (search, levels, l);
    }
    if (l == levels->n) {
      search->layout = (TrialLayout) { exchanged, decoded.corners, decoded.n_classes, anchors };
      return TRUE;
    }
  }
  return FALSE;
}

/* Whether all that reaches the outputs from the maps comes through value `decoded`. */
static gboolean
only_through (const Search *search, guint decoded)
{
  const Lowered *lowered = search->lowered;
  const OnnxFile *file = lowered->file;
  g_autofree gboolean *seen = g_new0 (gboolean, file->values->len);
  g_autoptr (GArray) stack = g_array_new (FALSE, FALSE, sizeof (guint));

  g_array_append_vals (stack, file->outputs, file->n_outputs);
  while (stack->len > 0) {
    guint value = g_array_index (stack, guint, stack->len - 1),
          producer = yolo_onnx_value (file, value)->producer;
    const OnnxNode *node;

    g_array_set_size (stack, stack->len - 1);
    if (value == decoded || seen[value] || lowered->values[value].kind == VALUE_CONST)
      continue;
    seen[value] = TRUE;
    if (lowered->values[value].kind == VALUE_FEATURE || lowered->values[value].kind == VALUE_IMAGE)
      return FALSE;
    node = yolo_onnx_node (file, producer);
    if (strcmp (node->op, "Shape") == 0)
      continue;
    for (guint k = 0; k < node->n_in; k++) {
      if (node->in[k] != ONNX_NONE)
        g_array_append_val (stack, node->in[k]);
    }
  }
  return TRUE;
}

/* The tensor that a node of the tail reads, or NULL where it is not known. While a
 * suppression is tried, only what comes of the decoded boxes is known, and not the maps. */
static Tensor *
tail_input (Search *search, Tensor **tensors, guint value)
{
  Lowered *lowered = search->lowered;
  const Value *known = &lowered->values[value];

  switch (known->kind) {
    case VALUE_CONST:
      return yolo_lowered_constant (lowered, value, NULL);
    case VALUE_FEATURE:
      if (search->trial != NULL)
        return NULL;
      return search->maps[yolo_layer_at (lowered->graph->layers, known->layer)->below];
    case VALUE_UNKNOWN:
    case VALUE_FLAT:
    case VALUE_IMAGE:
    case VALUE_TAIL:
      return search->trial != NULL && value == search->decoded ? search->trial : tensors[value];
  }
  g_assert_not_reached ();
}

/* The only input of a node that is not constant, or ONNX_NONE if there are none or
 * several. */
static guint
variable_input (const Search *search, const OnnxNode *node)
{
  guint found = ONNX_NONE;

  for (guint k = 0; k < node->n_in; k++) {
    if (node->in[k] == ONNX_NONE || search->lowered->values[node->in[k]].kind == VALUE_CONST)
      continue;
    if (found != ONNX_NONE)
      return ONNX_NONE;
    found = node->in[k];
  }
  return found;
}

/* Runs one node of the tail where all its inputs are known. */
static gboolean
run_node (Search *search, TensorScope *scope, guint index, Tensor **tensors, GError **error)
{
  const OnnxNode *node = yolo_onnx_node (search->lowered->file, index);
  g_autofree Tensor **in = g_new0 (Tensor *, MAX (node->n_in, 1));
  g_autofree Tensor **out = g_new0 (Tensor *, MAX (node->n_out, 1));
  gboolean known = yolo_eval_knows (node), done = TRUE;

  for (guint k = 0; known && k < node->n_in; k++) {
    if (node->in[k] == ONNX_NONE)
      continue;
    in[k] = tail_input (search, tensors, node->in[k]);
    known = in[k] != NULL;
  }
  if (!known)
    return TRUE;
  if (index == search->left_out)
    out[0] = yolo_onnx_tensor_ref (tail_input (search, tensors, variable_input (search, node)));
  else
    done = yolo_eval (scope, node, in, out, error);
  for (guint k = 0; k < node->n_out; k++) {
    if (done && node->out[k] != ONNX_NONE)
      tensors[node->out[k]] = out[k];
    else if (out[k] != NULL)
      yolo_onnx_tensor_unref (out[k]);
  }
  return done;
}

/* How often the needed nodes read each value. */
static guint *
count_reads (const Search *search)
{
  const OnnxFile *file = search->lowered->file;
  guint *reads = g_new0 (guint, file->values->len);

  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    for (guint k = 0; search->needed[i] && k < node->n_in; k++) {
      if (node->in[k] != ONNX_NONE)
        reads[node->in[k]]++;
    }
  }
  return reads;
}

/* Looks at a value of the tail. TRUE: it is the one that is sought. */
typedef gboolean (*VisitFunc) (Search *search, guint value, const Tensor *tensor, gpointer data);

/* Runs the tail until a value is the one that is sought. *last is the node that ran last.
 * FALSE without an error: no value is. */
static gboolean
run_tail (Search *search, TensorScope *scope, VisitFunc visit, gpointer data, const OnnxNode **last,
    GError **error)
{
  const OnnxFile *file = search->lowered->file;
  g_autofree Tensor **tensors = g_new0 (Tensor *, file->values->len);
  g_autofree guint *reads = count_reads (search);
  gboolean found = FALSE, failed = FALSE;

  for (guint i = 0; i < file->nodes->len && !found && !failed; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);

    if (!search->needed[i])
      continue;
    failed = !run_node (search, scope, i, tensors, error);
    for (guint k = 0; k < node->n_out && !found; k++) {
      guint value = node->out[k];
      if (value == ONNX_NONE || tensors[value] == NULL)
        continue;
      *last = node;
      found = visit (search, value, tensors[value], data);
      if (reads[value] == 0)
        g_clear_pointer (&tensors[value], yolo_onnx_tensor_unref);
    }
    for (guint k = 0; k < node->n_in; k++) {
      if (node->in[k] != ONNX_NONE && --reads[node->in[k]] == 0)
        g_clear_pointer (&tensors[node->in[k]], yolo_onnx_tensor_unref);
    }
  }
  for (guint i = 0; i < file->values->len; i++)
    g_clear_pointer (&tensors[i], yolo_onnx_tensor_unref);
  return found;
}

typedef struct {
  const Levels *levels;
  Maps *maps;
} Decode;

/* Whether a value is the decode: only the output can be, unless a non-maximum suppression
 * follows. */
static gboolean
is_decode (Search *search, guint value, const Tensor *tensor, gpointer data)
{
  const Decode *decode = data;

  if ((!search->has_nms && value != search->lowered->file->outputs[0])
      || !decode_matches (search, tensor, decode->levels, decode->maps)
      || !only_through (search, value))
    return FALSE;
  search->decoded = value;
  return TRUE;
}

static gboolean
run_decode (Search *search, const TensorScope *limits, Decode *decode, const OnnxNode **last,
    GError **error)
{
  TensorScope scope = *limits;
  gboolean found;

  search->decoded = ONNX_NONE;
  found = run_tail (search, &scope, is_decode, decode, last, error);
  search->spent += limits->left - scope.left;
  return found;
}

typedef struct {
  Trial **trials;               /* [images] */
  guint images;
  gboolean *possible;           /* as for yolo_trial_explains() */
} Attempt;

static gboolean
is_explained (Search *search, guint value, const Tensor *tensor, gpointer data)
{
  const Attempt *attempt = data;
  gsize rows;

  if (value != search->lowered->file->outputs[0] || tensor->is_int || tensor->n_dims != 3
      || tensor->dims[0] != attempt->images || tensor->dims[2] != 6)
    return FALSE;
  rows = (gsize) tensor->dims[1];
  for (guint b = 0; b < attempt->images; b++) {
    if (!yolo_trial_explains (
            attempt->trials[b], tensor->f + b * rows * 6, rows, attempt->possible))
      return FALSE;
  }
  return TRUE;
}

/* Gives one batch of made-up boxes to what follows the decode. */
static gboolean
try_suppression (Search *search, TensorScope *scope, guint active, guint32 *state,
    gboolean *possible, const OnnxNode **last, GError **error)
{
  const TrialLayout *layout = &search->layout;
  guint images = (guint) CLAMP (scope->batch, 1, 64);
  gint64 features = 4 + (gint64) layout->n_classes, anchors = (gint64) layout->anchors;
  gint64 dims[3] = { images, layout->exchanged ? anchors : features,
    layout->exchanged ? features : anchors };
  g_autoptr (GPtrArray) trials = g_ptr_array_new_with_free_func ((GDestroyNotify) yolo_trial_free);
  float size = (float) MAX (search->lowered->height, search->lowered->width);
  Attempt attempt = { NULL, images, possible };
  gboolean explained;

  /* all images are there, so that shapes are taken as they are written */
  scope->batch = 1;
  search->trial = yolo_onnx_tensor_new (scope, FALSE, 3, dims, error);
  if (search->trial == NULL)
    return FALSE;
  for (guint b = 0; b < images; b++) {
    Trial *trial = yolo_trial_new ((guint) layout->anchors, active, layout->n_classes, size, state);
    g_ptr_array_add (trials, trial);
    yolo_trial_write (trial, layout, b, state, search->trial);
  }
  attempt.trials = (Trial **) trials->pdata;
  explained = run_tail (search, scope, is_explained, &attempt, last, error);
  g_clear_pointer (&search->trial, yolo_onnx_tensor_unref);
  return explained;
}

/* Makes sure that what follows the decode is a suppression like ours: class by class or
 * across classes, by some thresholds and some limit, which here are properties of the
 * element. Full pictures, which the limit cuts short, and almost empty ones take turns.
 * With few anchors it is tried more often. */
static gboolean
run_suppression (Search *search, const TensorScope *limits, const OnnxNode **last, GError **error)
{
  guint rounds = (guint) CLAMP (1024 / search->layout.anchors, 2, 32);
  gboolean possible[2] = { TRUE, TRUE };
  guint32 state = 1;

  for (guint r = 0; r < rounds; r++) {
    TensorScope scope = *limits;
    gboolean tried = try_suppression (
        search, &scope, r % 2 ? FEW_ACTIVE : MANY_ACTIVE, &state, possible, last, error);

    search->spent += limits->left - scope.left;
    if (!tried)
      return FALSE;
  }
  return TRUE;
}

static gboolean
run_all (Search *search, const TensorScope *limits, Decode *decode, const OnnxNode **last,
    GError **error)
{
  return run_decode (search, limits, decode, last, error)
      && (!search->has_nms || run_suppression (search, limits, last, error));
}

/* The node without which the tail would compute what it should, or NULL. Such a node does
 * arithmetic that is no part of a head. */
static const OnnxNode *
find_culprit (Search *search, const TensorScope *limits, Decode *decode)
{
  static const char *const suspects[] = { "Add", "Div", "Max", "Min", "Mul", "Sigmoid", "Slice",
    "Sub", NULL };
  const OnnxFile *file = search->lowered->file;
  const OnnxNode *last;

  search->spent = 0;
  for (guint i = 0; i < file->nodes->len && search->spent < MAX_BLAME; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);

    if (!search->needed[i] || !g_strv_contains (suspects, node->op) || node->n_out != 1
        || variable_input (search, node) == ONNX_NONE)
      continue;
    search->left_out = i;
    if (run_all (search, limits, decode, &last, NULL))
      return node;
  }
  return NULL;
}

static gboolean
check_tail (Search *search, const TensorScope *limits, Decode *decode, GError **error)
{
  const OnnxNode *last = NULL, *culprit;
  g_autoptr (GError) reason = NULL;

  if (run_all (search, limits, decode, &last, &reason))
    return TRUE;
  culprit = find_culprit (search, limits, decode);
  if (culprit != NULL)
    return refuse (search, culprit,
        "changes what the head gives, which no head of a YOLOv8 detect model does", error);
  if (reason != NULL) {
    g_propagate_error (error, g_steal_pointer (&reason));
    return FALSE;
  }
  return refuse (search, last,
      "is where the head ends, but it does not compute what the head of a YOLOv8 detect "
      "model does",
      error);
}

static gboolean
find (Search *search, Maps *maps, GError **error)
{
  Lowered *lowered = search->lowered;
  const OnnxFile *file = lowered->file;
  TensorScope scope = lowered->scope;
  Levels levels = { 0 };
  Decode decode = { &levels, maps };
  gsize n = 0;

  mark_needed (search);
  if (search->unknown != NULL && !search->unknown->standard)
    return refuse_foreign (search->unknown, error);
  if (search->n_needed > MAX_TAIL)
    return refuse (search, NULL, "the model's head ends in more nodes than any YOLO's", error);
  if (search->unknown != NULL)
    return refuse (search, search->unknown, "is not supported", error);
  if (!find_leaves (search, error) || !check_levels (search, &levels, error))
    return FALSE;
  if (search->task != NULL && strcmp (search->task, "detect") != 0)
    return refuse (search, g_array_index (search->leaves, Leaf, 0).reader,
        "begins a head that is not supported", error);

  if (file->n_outputs != 1)
    return yolo_network_fail (error, UNSUPPORTED,
        "the model has several outputs ('%.80s' and '%.80s'), a detect model "
        "has one; " ADVICE,
        yolo_onnx_value (file, file->outputs[0])->name,
        yolo_onnx_value (file, file->outputs[1])->name);

  for (guint i = 0; i < search->leaves->len; i++) {
    const YoloLayer *layer =
        yolo_layer_at (lowered->graph->layers, g_array_index (search->leaves, Leaf, i).layer);
    n += (gsize) layer->channels * layer->height * layer->width;
  }
  scope.max_elements = MAX (scope.max_elements, n);
  scope.left = 64 * n + scope.max_elements;
  if (!make_maps (search, &scope, error) || !check_tail (search, &scope, &decode, error))
    return FALSE;
  for (guint l = 0; l < levels.n; l++) {
    if (!yolo_graph_output (lowered->graph, YOLO_MAP_BOX, l, maps->box[l], error)
        || !yolo_graph_output (lowered->graph, YOLO_MAP_CLASS, l, maps->cls[l], error))
      return FALSE;
  }
  return TRUE;
}

static const OnnxNode *
producer_of (const Search *search, const OnnxNode *node, guint k)
{
  const OnnxFile *file = search->lowered->file;
  guint producer = k < node->n_in && node->in[k] != ONNX_NONE
      ? yolo_onnx_value (file, node->in[k])->producer
      : ONNX_NONE;

  return producer != ONNX_NONE ? yolo_onnx_node (file, producer) : NULL;
}

/* Finds what a quantised file, and so its own runtime, rounds in the mean over the bins of
 * a side. The tail has been checked: its convolution is that mean. */
static void
find_rounding (Search *search, guint reg_max)
{
  const OnnxFile *file = search->lowered->file;
  YoloBoxRounding *rounding = &search->lowered->graph->rounding;

  for (guint k = 0; k < reg_max; k++)
    rounding->bins[k] = (float) k;
  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i), *from;
    Tensor *weights;

    if (!search->needed[i])
      continue;
    if (strcmp (node->op, "Conv") == 0 && node->n_in > 1
        && (weights = yolo_lowered_constant (search->lowered, node->in[1], NULL)) != NULL
        && !weights->is_int && weights->n == reg_max)
      memcpy (rounding->bins, weights->f, weights->n * sizeof (float));
    if (strcmp (node->op, "QuantizeLinear") != 0 || (from = producer_of (search, node, 0)) == NULL)
      continue;
    if (strcmp (from->op, "Softmax") == 0)
      yolo_lowered_grid (search->lowered, node, &rounding->softmax);
    else if (strcmp (from->op, "Conv") == 0)
      yolo_lowered_grid (search->lowered, node, &rounding->distance);
  }
}

gboolean
yolo_head_find (Lowered *lowered, const char *task, GError **error)
{
  Search search = {
    .lowered = lowered,
    .task = task,
    .needed = g_new0 (gboolean, lowered->file->nodes->len),
    .leaves = g_array_new (FALSE, FALSE, sizeof (Leaf)),
    .maps = g_new0 (Tensor *, lowered->graph->layers->len),
    .decoded = ONNX_NONE, .left_out = ONNX_NONE,
  };
  Maps maps;
  gboolean found = find (&search, &maps, error);

  if (found)
    find_rounding (&search, maps.reg_max);
  for (guint i = 0; i < lowered->graph->layers->len; i++)
    g_clear_pointer (&search.maps[i], yolo_onnx_tensor_unref);
  g_free (search.maps);
  g_array_unref (search.leaves);
  g_free (search.needed);
  return found;
}
