/* SPDX-License-Identifier: MIT */
/* An ONNX file as a checked graph: values and nodes by number, nodes in an
 * order in which every value is made before it is used. */

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

#define ONNX_NONE G_MAXUINT     /* an optional input that is left out */

typedef struct {
  const char *name;
  guint producer;               /* node, or ONNX_NONE */
  const Onnx__TensorProto *initializer;         /* or NULL */
} OnnxValue;

typedef struct {
  const char *op;
  const char *name;             /* of its first output if it has none */
  /* of ONNX's own domain, or a quantiser's copy of such an operator */
  gboolean standard;
  guint n_in, n_out;
  guint *in, *out;              /* values */
  /* of proto's attributes, the first ones are those that the reader knows */
  guint n_attributes;
  const Onnx__NodeProto *proto;
} OnnxNode;

typedef struct {
  Onnx__ModelProto *proto;      /* owns all names and bytes */
  gint64 opset;
  GArray *values;               /* OnnxValue */
  GArray *nodes;                /* OnnxNode */
  guint *operands;              /* storage of all nodes' in and out */
  guint input;                  /* value */
  gint32 input_type;            /* ONNX_FLOAT, ONNX_FLOAT16 or ONNX_UINT8 */
  gint64 input_dims[4];         /* N, C, H, W; 0 where dynamic */
  gboolean channels_last;       /* the input is N, H, W, C */
  guint n_outputs;
  guint *outputs;               /* values */
  /* GBytes: other files that hold its weights, in the order in which it names them */
  GPtrArray *data_files;
  GPtrArray *external;          /* Onnx__TensorProto whose raw_data lies in these */
} OnnxFile;

#define yolo_onnx_node(file, i) (&g_array_index ((file)->nodes, OnnxNode, i))
#define yolo_onnx_value(file, i) (&g_array_index ((file)->values, OnnxValue, i))

/* folder: where other files that hold weights are looked for; NULL: nowhere. */
OnnxFile *yolo_onnx_file_parse (const void *data, gsize size, const char *folder, GError **error);
void yolo_onnx_file_free (OnnxFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (OnnxFile, yolo_onnx_file_free)

/* NULL where the file does not say. */
const char *yolo_onnx_metadata (const OnnxFile *file, const char *key);

/* Attributes: their types were checked by yolo_onnx_file_parse(). */
gint64 yolo_onnx_attr_int (const OnnxNode *node, const char *name, gint64 otherwise);
float yolo_onnx_attr_float (const OnnxNode *node, const char *name, float otherwise);
/* Whether the string attribute, or what it is by default, equals value. */
gboolean yolo_onnx_attr_is (
    const OnnxNode *node, const char *name, const char *value, const char *otherwise);
const gint64 *yolo_onnx_attr_ints (const OnnxNode *node, const char *name, gsize *n);
const Onnx__AttributeProto *yolo_onnx_attr (const OnnxNode *node, const char *name);

/* Its name, as ONNX has it. */
const char *yolo_onnx_type_name (gint32 type);
/* Bytes of one element as stored in raw_data, 0 for types that are not read. */
gsize yolo_onnx_type_size (gint32 type);
/* Checks type, dims and length of what a tensor holds; gives the number of elements. */
gboolean yolo_onnx_check_proto (
    const Onnx__TensorProto *tensor, const char *what, gsize *n, GError **error);

/* As printf's arguments for "node '%.100s' (%.40s)". */
#define ONNX_NODE_FORMAT "node '%.100s' (%.40s)"
#define ONNX_NODE_ARGS(node) (node)->name, (node)->op
/* An expression that sets the error "node 'NAME' (OPERATOR): WHAT" and is FALSE. */
#define yolo_onnx_bad(node, what, error) \
  yolo_network_fail (error, YOLO_NETWORK_ERROR_FORMAT, ONNX_NODE_FORMAT ": %s", \
      ONNX_NODE_ARGS (node), what)

#endif
