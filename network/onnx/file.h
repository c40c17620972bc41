/* SPDX-License-Identifier: MIT */
/* An ONNX file, parsed and checked: values and nodes have numbers, nodes are in an order
 * in which every value is made before it is used, and operators of whole numbers are
 * operators of floats between quantisers. */

#ifndef YOLO_ONNX_FILE_H
#define YOLO_ONNX_FILE_H

#include "base/error.h"
#include "network/onnx/onnx.pb-c.h"

/* TensorProto.DataType. Source: ONNX, onnx/onnx.proto. */
enum {
  ONNX_FLOAT = 1, ONNX_UINT8, ONNX_INT8, ONNX_UINT16, ONNX_INT16, ONNX_INT32, ONNX_INT64,
  ONNX_STRING, ONNX_BOOL, ONNX_FLOAT16, ONNX_DOUBLE, ONNX_UINT32, ONNX_UINT64,
  ONNX_BFLOAT16 = 16,
};

#define ONNX_NONE G_MAXUINT     /* stands for an optional input or output that is left out */

typedef struct {
  const char *name;
  guint producer;               /* the node that makes it, or ONNX_NONE */
  const Onnx__TensorProto *initializer;         /* its constant, or NULL */
} OnnxValue;

typedef struct {
  const char *op;
  const char *name;             /* the name of its first output if the node has none */
  /* the operator is of ONNX's own domain, or a quantiser's copy of such an operator, or has
   * become one (qoperator.c), whatever domain proto has */
  gboolean standard;
  guint n_in, n_out;
  guint *in, *out;              /* numbers of values, or ONNX_NONE */
  /* how many of proto's attributes the reader uses; these are the first */
  guint n_attributes;
  const Onnx__NodeProto *proto;
} OnnxNode;

typedef struct {
  Onnx__ModelProto *proto;      /* owns all names and bytes */
  gint64 opset;
  GArray *values;               /* of OnnxValue */
  GArray *nodes;                /* of OnnxNode */
  guint *operands;              /* what in and out of the file's nodes point into */
  guint *expanded;              /* the same of the nodes of qoperator.c; NULL: there are none */
  guint input;                  /* number of a value */
  gint32 input_type;            /* ONNX_FLOAT, ONNX_FLOAT16 or ONNX_UINT8 */
  gint64 input_dims[4];         /* N, C, H, W; 0 where dynamic */
  gboolean channels_last;       /* the input is N, H, W, C */
  guint n_outputs;
  guint *outputs;               /* numbers of values */
  /* of GBytes: other files that hold weights, in the order in which the model names them */
  GPtrArray *data_files;
  /* of Onnx__TensorProto: tensors whose raw_data lies in data_files */
  GPtrArray *external;
} OnnxFile;

#define yolo_onnx_node(file, i) (&g_array_index ((file)->nodes, OnnxNode, i))
#define yolo_onnx_value(file, i) (&g_array_index ((file)->values, OnnxValue, i))

/* The node that writes a value; NULL for the input, for initializers and for ONNX_NONE. */
static inline const OnnxNode *
yolo_onnx_producer (const OnnxFile *file, guint value)
{
  guint node = value != ONNX_NONE ? yolo_onnx_value (file, value)->producer : ONNX_NONE;

  return node != ONNX_NONE ? yolo_onnx_node (file, node) : NULL;
}

/* Parses and checks a file. @folder: where other files that hold weights are looked for;
 * NULL: nowhere. The result does not point into @data. */
OnnxFile *yolo_onnx_file_parse (const void *data, gsize size, const char *folder, GError **error);
void yolo_onnx_file_free (OnnxFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (OnnxFile, yolo_onnx_file_free)

/* The value of a key of the metadata; NULL where the file has none. */
const char *yolo_onnx_metadata (const OnnxFile *file, const char *key);

/* The values of attributes, whose types yolo_onnx_file_parse() has checked. @otherwise:
 * what the operator takes where the attribute is missing. */
gint64 yolo_onnx_attr_int (const OnnxNode *node, const char *name, gint64 otherwise);
float yolo_onnx_attr_float (const OnnxNode *node, const char *name, float otherwise);
/* Whether a string attribute equals @value; @otherwise is what it is by default. */
gboolean yolo_onnx_attr_is (
    const OnnxNode *node, const char *name, const char *value, const char *otherwise);
const gint64 *yolo_onnx_attr_ints (const OnnxNode *node, const char *name, gsize *n);
const Onnx__AttributeProto *yolo_onnx_attr (const OnnxNode *node, const char *name);

/* What ONNX calls an element type. */
const char *yolo_onnx_type_name (gint32 type);
/* Bytes of one element in raw_data; 0 for types that are not read. */
gsize yolo_onnx_type_size (gint32 type);
/* Checks the type, the dimensions and the length of a tensor; *n is the number of
 * elements. @what: what errors call it. */
gboolean yolo_onnx_check_proto (
    const Onnx__TensorProto *tensor, const char *what, gsize *n, GError **error);

/* The format and the arguments of printf() for a node: "node 'NAME' (OPERATOR)". */
#define ONNX_NODE_FORMAT "node '%.100s' (%.40s)"
#define ONNX_NODE_ARGS(node) (node)->name, (node)->op
/* An expression that sets the error "node 'NAME' (OPERATOR): WHAT" and is FALSE. */
#define yolo_onnx_bad(node, what, error) \
  yolo_network_fail (error, YOLO_NETWORK_ERROR_FORMAT, ONNX_NODE_FORMAT ": %s", \
      ONNX_NODE_ARGS (node), what)

#endif
