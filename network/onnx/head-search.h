/* SPDX-License-Identifier: MIT */
/* What the files head-*.c share: the search for a head among the nodes of a file. */

#ifndef YOLO_ONNX_HEAD_SEARCH_H
#define YOLO_ONNX_HEAD_SEARCH_H

#include "network/onnx/lower.h"
#include "network/onnx/trial.h"

/* The maps of a level: boxes, classes and what a task has beside them. */
enum { HEAD_BOX, HEAD_CLASS, HEAD_OTHER, HEAD_MAX_MAPS };
/* Of a head in several pieces: boxes, scores, classes, or what a task has beside them. */
#define HEAD_MAX_PIECES 3
/* Of the nodes of plugins, which give numbers and indices of boxes beside these. */
#define HEAD_MAX_OUTPUTS 5

/* A map that leaves the body: a layer that the tail reads, or one of the layers that it
 * joins. */
typedef struct {
  guint layer;                  /* the layer itself, which is no concatenation */
  guint boundary;               /* the layer that the tail reads */
  guint channel;                /* where the map begins in the boundary */
  const OnnxNode *reader;
} Leaf;

/* The levels of the head, by increasing stride: as many leaves each, one behind the other. */
typedef struct {
  guint n;
  guint n_maps;                 /* leaves of a level: 2 or 3 */
  guint first[YOLO_MAX_LEVELS]; /* number of the first leaf */
  guint stride[YOLO_MAX_LEVELS];
} Levels;

/* What a head may be. */
typedef struct {
  const char *task;
  YoloMapRole other;            /* of each level's third map; YOLO_MAP_BOX: it has none */
  YoloHeadForm form;            /* but for the number of points */
} HeadKind;

typedef struct {
  Lowered *lowered;
  const char *task;             /* of the file's metadata, or NULL */
  gboolean *needed;             /* [nodes]: those that an output depends on through the tail */
  guint n_needed;
  const OnnxNode *unknown;      /* the first needed node that cannot be evaluated */
  /* the tail has convolutions of a body, behind something that is not understood */
  gboolean body_goes_on;
  /* the tail chooses among the decoded boxes: by suppression, by the highest scores, or by
   * each box's best class */
  gboolean has_nms, has_top_k, has_arg_max;
  gboolean rounded;             /* the tail has quantisers */
  /* how often it compares each box with each, by operators of its own: once for each image that
   * the file was exported for */
  guint n_pairs;
  gboolean best;                /* it takes the pairs of box and class with the highest scores */
  /* what the tail computes: the file's outputs but for maps of the body, or what a node of a
   * plugin reads that chooses among boxes: boxes and scores */
  guint n_outputs;
  guint outputs[HEAD_MAX_OUTPUTS];
  gboolean raw_scores;          /* the plugin makes scores of logits */
  gboolean raw;                 /* the outputs are maps of the body */
  guint prototypes;             /* the layer that is an output of the file, or YOLO_LAYER_NONE */
  guint logits;                 /* the layer whose flat numbers the tail reads, or likewise */
  const OnnxNode *logits_reader;
  GArray *leaves;               /* of Leaf, sorted by the size of the map, the largest first */
  Levels levels;
  Tensor **maps;                /* [layers]: random numbers for each boundary */
  Tensor *flat;                 /* [1][channels]: random numbers for the logits; or NULL */

  /* What the maps are, once the decode is found. */
  const HeadKind *kind;
  guint reg_max, n_other;       /* channels of the third map */
  guint layers[HEAD_MAX_MAPS][YOLO_MAX_LEVELS];
  /* the value that is the decode of the maps, or ONNX_NONE until it is found */
  guint decoded;
  TrialLayout layout;           /* of the decoded value */

  /* what stands for the decoded value while a choice is tried; else NULL */
  Tensor *trial;
  gsize spent;                  /* how many elements all runs of the tail have computed */
  /* the node whose input is taken for its output, to find a culprit; or ONNX_NONE */
  guint left_out;
} Search;

/* head.c: sets the error that a node, or the file where @node is NULL, WHAT; is FALSE. */
gboolean yolo_head_refuse (
    const Search *search, const OnnxNode *node, const char *what, GError **error);

/* head-run.c */

/* Marks the tail's nodes that the outputs depend on, and finds the first of them that is
 * not understood. */
void yolo_head_mark (Search *search);
/* The only input of a node that is not constant, or ONNX_NONE if there are none or
 * several. */
guint yolo_head_variable_input (const Search *search, const OnnxNode *node);

/* Looks at a value of the tail. TRUE: it is the one that is sought. */
typedef gboolean (*VisitFunc) (Search *search, guint value, const Tensor *tensor, gpointer data);

/* Runs the tail until a value is the one that is sought. *last is the node that ran last.
 * FALSE without an error: no value is. */
gboolean yolo_head_run (Search *search, TensorScope *scope, VisitFunc visit, gpointer data,
    const OnnxNode **last, GError **error);

/* The orders that 3 things can have; the first two are those of 2 things. */
extern const guint8 yolo_head_orders[6][3];

/* head-outputs.c */

/* Finds what the tail computes, and the prototypes of masks. */
gboolean yolo_head_find_outputs (Search *search, GError **error);
/* Sets the error that the outputs are several and do not belong together; is FALSE. */
gboolean yolo_head_refuse_outputs (const Search *search, GError **error);
gboolean yolo_head_is_output (const Search *search, guint value);
/* Keeps an output in parts[n_outputs], references that the caller gives back. TRUE: it was
 * the last that was missing. */
gboolean yolo_head_collect (Search *search, guint value, const Tensor *tensor, Tensor **parts);
/* The outputs side by side. parts[n_outputs]: each is [images][rows][features], in one
 * dimension or several or none, or [images][features][rows]; @rows is what they have in common.
 * @order: in which order, numbers of outputs. Returns [images][rows][all features], or
 * NULL where the parts do not fit, with an error where there is no room. */
Tensor *yolo_head_join (const Search *search, TensorScope *scope, Tensor *const *parts,
    const guint8 *order, gsize rows, GError **error);

/* head-maps.c */

/* Finds the maps that the needed part of the tail reads, and sorts them into levels. */
gboolean yolo_head_find_maps (Search *search, GError **error);
/* Fills all maps with random numbers. */
gboolean yolo_head_make_maps (Search *search, TensorScope *scope, GError **error);

/* Adds a layer, or the layers that it joins, to search->leaves. @reader: NULL if the layer is
 * an output of the file. */
void yolo_head_add_leaves (Search *search, guint boundary, const OnnxNode *reader);
void yolo_head_sort_leaves (Search *search);
/* Sorts leaves in their order into levels. */
gboolean yolo_head_sort_levels (Search *search, GError **error);

/* head-raw.c: where several outputs are maps of the body, finds which of them is what. */
gboolean yolo_head_find_raw (Search *search, GError **error);

/* head-decode.c */

/* How many boxes the maps give. */
gsize yolo_head_anchors (const Search *search);
/* Whether a tensor is the decode of the maps; if so, search->kind and what follows it are
 * set. */
gboolean yolo_head_is_decode (Search *search, const Tensor *tensor);

/* head-select.c: makes sure that what follows the decode chooses among the boxes as we do,
 * but for thresholds and limits, which here are properties of the element: a suppression,
 * class by class or across classes, or the best pairs of box and class. */
gboolean yolo_head_check_choice (
    Search *search, const TensorScope *limits, const OnnxNode **last, GError **error);

#endif
