/* SPDX-License-Identifier: MIT */
/* From PyTorch's modules to layers, each by the name of its class. */

#ifndef YOLO_TORCH_MODULES_H
#define YOLO_TORCH_MODULES_H

#include "base/error.h"
#include "network/graph.h"
#include "network/torch/checkpoint.h"

G_BEGIN_DECLS

typedef struct {
  YoloCheckpoint *checkpoint;
  YoloGraph *graph;
  YoloHeadChoice head;
  GString *path;   /* of the module that is being read: "model.4.m.0.cv1" */
  guint depth;     /* of that module in the tree */
  guint n_modules;              /* that were read so far */
} YoloTorchBuilder;

/* Appends the layers of a module whose input is a layer. Gives the last one, or
 * YOLO_LAYER_NONE with @error. */
typedef guint YoloTorchModule (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error);

/* The class of a module without where it comes from: "Conv"; "" of what is no module. */
const char *yolo_torch_class (const YoloPickleValue *module);
/* The modules within a module, as names and modules in turn. */
YoloPickleItems yolo_torch_children (const YoloPickleValue *module);
/* The module of this name within a module, or NULL. */
const YoloPickleValue *yolo_torch_child (const YoloPickleValue *module, const char *name);

/* Sets the error that the module that is being read "model.10 (C2PSA) WHAT", and is FALSE.
 * @code: UNSUPPORTED, or FORMAT for what no version writes. */
gboolean yolo_torch_refuse (const YoloTorchBuilder *builder, const YoloPickleValue *module,
    YoloNetworkError code, const char *what, GError **error);

/* Whether the modules within are some of @names; one that is not would change what a block
 * computes. */
gboolean yolo_torch_check_children (const YoloTorchBuilder *builder, const YoloPickleValue *module,
    const char *const *names, GError **error);

/* Goes down to the module of this name, whose path then is the builder's, and up again. NULL with
 * @error where there is none, or no end of them. */
const YoloPickleValue *yolo_torch_enter (
    YoloTorchBuilder *builder, const YoloPickleValue *parent, const char *name, GError **error);
void yolo_torch_leave (YoloTorchBuilder *builder);

/* A whole number, or two that are equal or not, from @min to @max: kernel_size, stride, ... FALSE
 * with @error. */
gboolean yolo_torch_pair (const YoloTorchBuilder *builder, const YoloPickleValue *module,
    const char *name, guint min, guint max, guint *pair, GError **error);

/* The layers of any module that has one input. */
YoloTorchModule yolo_torch_module;
/* The same of the module of this name within. */
guint yolo_torch_run (YoloTorchBuilder *builder, const YoloPickleValue *parent, const char *name,
    guint in, GError **error);

/* The two halves of a layer's channels; FALSE with @error. */
gboolean yolo_torch_halve (YoloTorchBuilder *builder, const YoloPickleValue *module, guint whole,
    guint half[2], GError **error);
/* Appends to @parts what each module of list @name makes of the part before it, which for the first
 * is there already. */
gboolean yolo_torch_chain (YoloTorchBuilder *builder, const YoloPickleValue *module,
    const char *name, GArray *parts, GError **error);

/* The module of this name within, of layers joined: @parts[0 .. n - 1], in this order. */
guint yolo_torch_join (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n,
    const guint *parts, const char *name, GError **error);

/* activations.c */
YoloTorchModule yolo_torch_activation, yolo_torch_gelu;
/* attention.c */
YoloTorchModule yolo_torch_a2c2f, yolo_torch_area_attention, yolo_torch_area_block,
    yolo_torch_attention, yolo_torch_c2psa, yolo_torch_psa_block;
/* blocks.c */
YoloTorchModule yolo_torch_aconv, yolo_torch_adown, yolo_torch_bottleneck, yolo_torch_branches,
    yolo_torch_c2, yolo_torch_c2f, yolo_torch_c3, yolo_torch_cib, yolo_torch_conv_block,
    yolo_torch_elan, yolo_torch_scdown, yolo_torch_sequence, yolo_torch_sppelan, yolo_torch_sppf;

/* fuse.c: CBLinear, whose parts CBFuse chooses among. The layer of CBLinear has all parts. */
YoloTorchModule yolo_torch_cb_linear;
/* CBFuse: a part of each source, scaled to the size of the last one, and that, added up. @in:
 * the sources' layers; @from: their modules. */
guint yolo_torch_cb_fuse (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n,
    const guint *in, const YoloPickleValue *const *from, GError **error);

/* heads.c: declares the maps of the head, whose inputs are layers, one a level, and what the
 * graph says of them: task and form. */
gboolean yolo_torch_head (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n_in,
    const guint *in, GError **error);

/* proto.c: the layer of a segmenting head's prototypes (Proto, Proto26), whose inputs are the
 * head's. */
guint yolo_torch_proto (YoloTorchBuilder *builder, const YoloPickleValue *module, guint n_in,
    const guint *in, GError **error);

G_END_DECLS

#endif
