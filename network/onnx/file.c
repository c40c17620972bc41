/* SPDX-License-Identifier: MIT */
#include "network/onnx/file.h"
#include "base/error.h"
#include "network/onnx/external.h"
#include "network/onnx/foreign.h"
#include "network/onnx/qoperator.h"
#include "network/onnx/reader.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* AttributeProto.AttributeType. Source: ONNX, onnx/onnx.proto. */
enum {
  ATTR_FLOAT = 1,
  ATTR_INT,
  ATTR_STRING,
  ATTR_TENSOR,
  ATTR_GRAPH,
  ATTR_FLOATS,
  ATTR_INTS,
  ATTR_GRAPHS = 10
};

/* The attributes that the reader uses, and their types. */
static const struct {
  const char *name;
  gint32 type;
} attribute_types[] = {
  { "allowzero", ATTR_INT },
  { "alpha", ATTR_FLOAT },
  { "approximate", ATTR_STRING },
  { "auto_pad", ATTR_STRING },
  { "axes", ATTR_INTS },
  { "axis", ATTR_INT },
  { "batch_dims", ATTR_INT },
  { "beta", ATTR_FLOAT },
  { "block_size", ATTR_INT },
  { "ceil_mode", ATTR_INT },
  { "center_point_box", ATTR_INT },
  { "channels_last", ATTR_INT },
  { "coordinate_transformation_mode", ATTR_STRING },
  { "count_include_pad", ATTR_INT },
  { "dilations", ATTR_INTS },
  { "end", ATTR_INT },
  { "epsilon", ATTR_FLOAT },
  { "fmod", ATTR_INT },
  { "group", ATTR_INT },
  { "keepdims", ATTR_INT },
  { "kernel_shape", ATTR_INTS },
  { "largest", ATTR_INT },
  { "mode", ATTR_STRING },
  { "nearest_mode", ATTR_STRING },
  { "noop_with_empty_axes", ATTR_INT },
  { "num_outputs", ATTR_INT },
  { "opset", ATTR_INT },
  { "output_padding", ATTR_INTS },
  { "output_shape", ATTR_INTS },
  { "pads", ATTR_INTS },
  { "perm", ATTR_INTS },
  { "reduction", ATTR_STRING },
  { "score_activation", ATTR_INT },
  { "select_last_index", ATTR_INT },
  { "split", ATTR_INTS },
  { "start", ATTR_INT },
  { "storage_order", ATTR_INT },
  { "strides", ATTR_INTS },
  { "to", ATTR_INT },
  { "training_mode", ATTR_INT },
  { "transA", ATTR_INT },
  { "transB", ATTR_INT },
  { "upper", ATTR_INT },
  { "value", ATTR_TENSOR },
  { "value_float", ATTR_FLOAT },
  { "value_floats", ATTR_FLOATS },
  { "value_int", ATTR_INT },
  { "value_ints", ATTR_INTS },
};

/* protobuf-c allocates a struct for every message that the file holds, however
 * short: a limit keeps a small file from becoming a large allocation. */
typedef struct {
  gsize left;
  gboolean exceeded;            /* protobuf-c asked for more */
  gboolean no_memory;           /* the system did not have what was allowed */
} Allowance;

static void *
allowance_alloc (void *data, size_t size)
{
  Allowance *allowance = data;

  void *memory;

  if (size > allowance->left) {
    allowance->exceeded = TRUE;
    return NULL;
  }
  allowance->left -= size;
  memory = malloc (size);
  allowance->no_memory |= memory == NULL;
  return memory;
}

static void
allowance_free (void *data, void *pointer)
{
  free (pointer);
}

const char *
yolo_onnx_type_name (gint32 type)
{
  static const char *const names[] = { "undefined", "float32", "uint8", "int8", "uint16", "int16",
    "int32", "int64", "string", "bool", "float16", "float64 (double)", "uint32", "uint64",
    "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
    "float8e5m2fnuz", "uint4", "int4", "float4e2m1" };

  return type >= 0 && type < (gint32) G_N_ELEMENTS (names) ? names[type] : "unknown";
}

gsize
yolo_onnx_type_size (gint32 type)
{
  switch (type) {
    case ONNX_UINT8:
    case ONNX_INT8:
    case ONNX_BOOL:
      return 1;
    case ONNX_UINT16:
    case ONNX_INT16:
    case ONNX_FLOAT16:
    case ONNX_BFLOAT16:
      return 2;
    case ONNX_FLOAT:
    case ONNX_INT32:
    case ONNX_UINT32:
      return 4;
    case ONNX_INT64:
    case ONNX_UINT64:
    case ONNX_DOUBLE:
      return 8;
    default:
      return 0;
  }
}

/* How many elements the field has that holds numbers of this type. Source: ONNX,
 * onnx/onnx.proto, TensorProto. */
static gsize
typed_length (const Onnx__TensorProto *tensor)
{
  switch (tensor->data_type) {
    case ONNX_FLOAT:
      return tensor->n_float_data;
    case ONNX_DOUBLE:
      return tensor->n_double_data;
    case ONNX_INT64:
      return tensor->n_int64_data;
    case ONNX_UINT32:
    case ONNX_UINT64:
      return tensor->n_uint64_data;
    default:
      return tensor->n_int32_data;
  }
}

gboolean
yolo_onnx_check_proto (
    const Onnx__TensorProto *tensor, const char *what, gsize *n_elements, GError **error)
{
  gsize size = yolo_onnx_type_size (tensor->data_type), n = 1, bytes;

  if (tensor->has_data_location && tensor->data_location != 0)
    return yolo_network_fail (error, UNSUPPORTED,
        "%.100s keeps its data in a place that is not supported (%d)", what, tensor->data_location);
  if (size == 0)
    return yolo_network_fail (error, UNSUPPORTED,
        "%.100s has element type %s, which is not supported; "
        "export the model as float32 or float16",
        what, yolo_onnx_type_name (tensor->data_type));

  for (gsize i = 0; i < tensor->n_dims; i++) {
    if (tensor->dims[i] < 0 || (guint64) tensor->dims[i] > G_MAXSIZE
        || !g_size_checked_mul (&n, n, (gsize) tensor->dims[i]))
      return yolo_network_fail (error, FORMAT, "%.100s has impossible dimensions", what);
  }
  if (!g_size_checked_mul (&bytes, n, size))
    return yolo_network_fail (error, FORMAT, "%.100s has impossible dimensions", what);

  if (tensor->has_raw_data) {
    if (tensor->raw_data.len != bytes)
      return yolo_network_fail (error, FORMAT,
          "%.100s should hold %" G_GSIZE_FORMAT
          " bytes by its dimensions, but holds %" G_GSIZE_FORMAT,
          what, bytes, tensor->raw_data.len);
  } else if (typed_length (tensor) != n) {
    return yolo_network_fail (error, FORMAT, "%.100s should hold %" G_GSIZE_FORMAT
        " elements by its dimensions, but holds %" G_GSIZE_FORMAT, what, n, typed_length (tensor));
  }
  *n_elements = n;
  return TRUE;
}

const Onnx__AttributeProto *
yolo_onnx_attr (const OnnxNode *node, const char *name)
{
  for (guint i = 0; i < node->n_attributes; i++) {
    const Onnx__AttributeProto *attr = node->proto->attribute[i];
    if (strcmp (attr->name, name) == 0)
      return attr;
  }
  return NULL;
}

gint64
yolo_onnx_attr_int (const OnnxNode *node, const char *name, gint64 otherwise)
{
  const Onnx__AttributeProto *attr = yolo_onnx_attr (node, name);
  return attr != NULL ? attr->i : otherwise;
}

float
yolo_onnx_attr_float (const OnnxNode *node, const char *name, float otherwise)
{
  const Onnx__AttributeProto *attr = yolo_onnx_attr (node, name);
  return attr != NULL ? attr->f : otherwise;
}

gboolean
yolo_onnx_attr_is (const OnnxNode *node, const char *name, const char *value, const char *otherwise)
{
  const Onnx__AttributeProto *attr = yolo_onnx_attr (node, name);

  if (attr == NULL)
    return strcmp (value, otherwise) == 0;
  return attr->s.len == strlen (value) && memcmp (attr->s.data, value, attr->s.len) == 0;
}

const gint64 *
yolo_onnx_attr_ints (const OnnxNode *node, const char *name, gsize *n)
{
  const Onnx__AttributeProto *attr = yolo_onnx_attr (node, name);

  *n = attr != NULL ? attr->n_ints : 0;
  return attr != NULL ? attr->ints : NULL;
}

const char *
yolo_onnx_metadata (const OnnxFile *file, const char *key)
{
  for (gsize i = 0; i < file->proto->n_metadata_props; i++) {
    const Onnx__StringStringEntryProto *entry = file->proto->metadata_props[i];
    if (g_strcmp0 (entry->key, key) == 0)
      return entry->value;
  }
  return NULL;
}

/* Checks the types of attributes, and brings those that the reader knows, at
 * most one of each name, to the front, so that looking for one is quick. */
static gboolean
sort_attributes (OnnxNode *node, GError **error)
{
  Onnx__AttributeProto **attributes = node->proto->attribute;
  gboolean seen[G_N_ELEMENTS (attribute_types)] = { FALSE };

  for (gsize i = 0; i < node->proto->n_attribute; i++) {
    Onnx__AttributeProto *attr = attributes[i];

    if (attr->has_g || attr->n_graphs > 0 || attr->type == ATTR_GRAPH || attr->type == ATTR_GRAPHS)
      return yolo_network_fail (error, UNSUPPORTED,
          ONNX_NODE_FORMAT " holds a graph of its own "
                           "(a loop or a condition), which is not supported; export the model "
                           "again with Ultralytics",
          ONNX_NODE_ARGS (node));
    for (gsize k = 0; k < G_N_ELEMENTS (attribute_types); k++) {
      if (g_strcmp0 (attr->name, attribute_types[k].name) != 0)
        continue;
      if (attr->type != attribute_types[k].type || (attr->type == ATTR_TENSOR && attr->t == NULL))
        return yolo_network_fail (error, FORMAT,
            ONNX_NODE_FORMAT " has an attribute '%s' of the wrong type", ONNX_NODE_ARGS (node),
            attr->name);
      if (seen[k])
        return yolo_network_fail (error, FORMAT, ONNX_NODE_FORMAT " has two attributes '%s'",
            ONNX_NODE_ARGS (node), attr->name);
      seen[k] = TRUE;
      attributes[i] = attributes[node->n_attributes];
      attributes[node->n_attributes++] = attr;
      break;
    }
  }
  return TRUE;
}

/* Names are in a tree and not in a hash table, since whoever makes the file chooses them,
 * and could choose many with the same hash. */
static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (a, b);
}

/* The number of the value of that name, which is made if there is none. */
static guint
intern (OnnxFile *file, GTree *names, const char *name)
{
  gpointer found;
  OnnxValue value = { name, ONNX_NONE, NULL };

  if (g_tree_lookup_extended (names, name, NULL, &found))
    return GPOINTER_TO_UINT (found);
  g_array_append_val (file->values, value);
  g_tree_insert (names, (gpointer) name, GUINT_TO_POINTER (file->values->len - 1));
  return file->values->len - 1;
}

static gboolean
read_initializers (OnnxFile *file, GTree *names, GError **error)
{
  const Onnx__GraphProto *graph = file->proto->graph;

  for (gsize i = 0; i < graph->n_initializer; i++) {
    const Onnx__TensorProto *tensor = graph->initializer[i];
    g_autofree char *what = NULL;
    OnnxValue *value;
    guint id;
    gsize n;

    if (tensor->name == NULL || *tensor->name == '\0')
      return yolo_network_fail (error, FORMAT, "an initializer has no name");
    what = g_strdup_printf ("initializer '%.80s'", tensor->name);
    if (!yolo_onnx_check_proto (tensor, what, &n, error))
      return FALSE;
    id = intern (file, names, tensor->name);
    value = yolo_onnx_value (file, id);
    if (value->initializer != NULL)
      return yolo_network_fail (error, FORMAT, "%s occurs twice", what);
    value->initializer = tensor;
  }
  if (graph->n_sparse_initializer > 0)
    return yolo_network_fail (
        error, UNSUPPORTED, "the file holds sparse initializers, which are not supported");
  return TRUE;
}

static gboolean
read_nodes (OnnxFile *file, GTree *names, GError **error)
{
  const Onnx__GraphProto *graph = file->proto->graph;
  gsize n_operands = 0;
  guint *operand;

  for (gsize i = 0; i < graph->n_node; i++)
    n_operands += graph->node[i]->n_input + graph->node[i]->n_output;
  operand = file->operands = g_new (guint, n_operands);

  for (gsize i = 0; i < graph->n_node; i++) {
    const Onnx__NodeProto *proto = graph->node[i];
    const char *domain = proto->domain != NULL ? proto->domain : "";
    OnnxNode node = {
      .op = proto->op_type != NULL ? proto->op_type : "",
      .name = proto->name != NULL ? proto->name : "",
      .n_in = proto->n_input,
      .n_out = proto->n_output,
      .proto = proto,
    };

    if (*node.name == '\0' && proto->n_output > 0)
      node.name = proto->output[0];
    node.standard = *domain == '\0' || strcmp (domain, "ai.onnx") == 0
        || (strcmp (domain, "com.microsoft") == 0
        && (strcmp (node.op, "QuantizeLinear") == 0 || strcmp (node.op, "DequantizeLinear") == 0));
    if (!sort_attributes (&node, error))
      return FALSE;

    node.in = operand;
    for (gsize k = 0; k < proto->n_input; k++)
      *operand++ = *proto->input[k] != '\0' ? intern (file, names, proto->input[k]) : ONNX_NONE;
    node.out = operand;
    for (gsize k = 0; k < proto->n_output; k++) {
      if (*proto->output[k] == '\0') {
        *operand++ = ONNX_NONE;
        continue;
      }
      guint id = *operand++ = intern (file, names, proto->output[k]);
      OnnxValue *value = yolo_onnx_value (file, id);
      if (value->producer != ONNX_NONE || value->initializer != NULL)
        return yolo_network_fail (error, FORMAT,
            ONNX_NODE_FORMAT " writes '%.80s', which something else writes too",
            ONNX_NODE_ARGS (&node), value->name);
      value->producer = i;
    }
    g_array_append_val (file->nodes, node);
  }
  return TRUE;
}

/* Reads the element type and the shape; a file without a shape leaves four dimensions
 * open. */
static gboolean
read_input_type (OnnxFile *file, const Onnx__ValueInfoProto *input, GError **error)
{
  const Onnx__TypeProto__Tensor *type = input->type != NULL ? input->type->tensor_type : NULL;
  gint64 *dims = file->input_dims;

  if (type == NULL || (type->shape != NULL && type->shape->n_dim != 0 && type->shape->n_dim != 4))
    return yolo_network_fail (error, UNSUPPORTED, "the input '%.80s' is no batch of images "
        "[N, 3, height, width]; export the model again with Ultralytics", input->name);
  if (type->elem_type != ONNX_FLOAT && type->elem_type != ONNX_FLOAT16
      && type->elem_type != ONNX_UINT8)
    return yolo_network_fail (error, UNSUPPORTED,
        "the input '%.80s' has element type %s; float32, float16 and uint8 "
        "are supported: export the model again with one of them",
        input->name, yolo_onnx_type_name (type->elem_type));
  file->input_type = type->elem_type;
  for (gsize i = 0; type->shape != NULL && i < type->shape->n_dim; i++)
    dims[i] = MAX (type->shape->dim[i]->dim_value, 0);
  if (dims[1] != 3 && dims[3] == 3) {
    file->channels_last = TRUE;
    dims[3] = dims[2];
    dims[2] = dims[1];
    dims[1] = 3;
  }
  return TRUE;
}

static gboolean
read_input (OnnxFile *file, GTree *names, GError **error)
{
  const Onnx__GraphProto *graph = file->proto->graph;
  const Onnx__ValueInfoProto *input = NULL;

  for (gsize i = 0; i < graph->n_input; i++) {
    const char *name = graph->input[i]->name;
    OnnxValue *value;
    guint id;

    if (name == NULL || *name == '\0')
      return yolo_network_fail (error, FORMAT, "an input of the graph has no name");
    id = intern (file, names, name);
    value = yolo_onnx_value (file, id);
    if (value->initializer != NULL)
      continue;                 /* files of IR version 3 list initializers as inputs too */
    if (value->producer != ONNX_NONE)
      return yolo_network_fail (
          error, FORMAT, "the graph's input '%.80s' is written by a node", name);
    if (input != NULL)
      return yolo_network_fail (error, UNSUPPORTED,
          "the graph has several inputs ('%.80s', '%.80s'); "
          "a YOLO has one",
          input->name, name);
    input = graph->input[i];
    file->input = id;
  }
  if (input == NULL)
    return yolo_network_fail (error, FORMAT, "the graph has no input");

  return read_input_type (file, input, error);
}

static gboolean
read_outputs (OnnxFile *file, GTree *names, GError **error)
{
  const Onnx__GraphProto *graph = file->proto->graph;

  if (graph->n_output == 0)
    return yolo_network_fail (error, FORMAT, "the graph has no output");
  file->outputs = g_new (guint, graph->n_output);
  for (gsize i = 0; i < graph->n_output; i++) {
    const char *name = graph->output[i]->name;
    if (name == NULL || !g_tree_lookup_extended (names, name, NULL, NULL))
      return yolo_network_fail (
          error, FORMAT, "nothing writes the output '%.80s'", name != NULL ? name : "");
    file->outputs[file->n_outputs++] = intern (file, names, name);
  }
  return TRUE;
}

/* Puts the nodes in an order in which every value is made before it is used; the file's
 * own order stays where it is one. The search goes depth first; a node that is met again
 * while it is open lies on a cycle. */
static gboolean
sort_nodes (OnnxFile *file, GError **error)
{
  typedef struct {
    guint node, next_in;
  } Frame;
  guint n = file->nodes->len;
  enum { UNSEEN, OPEN, DONE };
  g_autofree guint8 *state = g_new0 (guint8, n);
  g_autofree guint *place = g_new (guint, n);
  g_autoptr (GArray) stack = g_array_new (FALSE, FALSE, sizeof (Frame));
  g_autoptr (GArray) sorted = g_array_sized_new (FALSE, FALSE, sizeof (OnnxNode), n);

  for (guint first = 0; first < n; first++) {
    Frame start = { first, 0 };

    if (state[first] == DONE)
      continue;
    state[first] = OPEN;
    g_array_append_val (stack, start);
    while (stack->len > 0) {
      Frame *frame = &g_array_index (stack, Frame, stack->len - 1);
      const OnnxNode *node = yolo_onnx_node (file, frame->node);
      guint id, producer;

      if (frame->next_in == node->n_in) {
        state[frame->node] = DONE;
        place[frame->node] = sorted->len;
        g_array_append_val (sorted, *node);
        g_array_set_size (stack, stack->len - 1);
        continue;
      }
      id = node->in[frame->next_in++];
      if (id == ONNX_NONE)
        continue;
      producer = yolo_onnx_value (file, id)->producer;
      if (producer == ONNX_NONE) {
        if (yolo_onnx_value (file, id)->initializer == NULL && id != file->input)
          return yolo_network_fail (error, FORMAT,
              ONNX_NODE_FORMAT " reads '%.80s', which nothing writes", ONNX_NODE_ARGS (node),
              yolo_onnx_value (file, id)->name);
      } else if (state[producer] == OPEN) {
        return yolo_network_fail (
            error, FORMAT, ONNX_NODE_FORMAT " lies on a cycle", ONNX_NODE_ARGS (node));
      } else if (state[producer] == UNSEEN) {
        Frame deeper = { producer, 0 };
        state[producer] = OPEN;
        g_array_append_val (stack, deeper);
      }
    }
  }

  for (guint i = 0; i < file->values->len; i++) {
    OnnxValue *value = yolo_onnx_value (file, i);
    if (value->producer != ONNX_NONE)
      value->producer = place[value->producer];
  }
  g_array_unref (file->nodes);
  file->nodes = g_steal_pointer (&sorted);
  return TRUE;
}

static gboolean
read_opset (OnnxFile *file, GError **error)
{
  for (gsize i = 0; i < file->proto->n_opset_import; i++) {
    const Onnx__OperatorSetIdProto *opset = file->proto->opset_import[i];
    if (opset->domain == NULL || *opset->domain == '\0' || strcmp (opset->domain, "ai.onnx") == 0)
      file->opset = opset->version;
  }
  if (file->opset <= 0)
    return yolo_network_fail (
        error, FORMAT, "the file does not say which operator set it uses; is it ONNX?");
  if (file->opset < 11)
    return yolo_network_fail (error, UNSUPPORTED, "operator set %" G_GINT64_FORMAT " is too old; "
        "export the model with opset=11 or newer", file->opset);
  return TRUE;
}

/* Tells why protobuf-c made nothing of a file, or nothing that is a model. */
static gboolean
refuse_file (
    const void *data, gsize size, const Allowance *allowance, const char *otherwise, GError **error)
{
  const char *kind = yolo_foreign_kind (data, size);

  if (allowance->no_memory)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_MEMORY,
        "there is not enough memory for a model of %" G_GSIZE_FORMAT " MiB", size >> 20);
  if (kind != NULL)
    return yolo_network_fail (error, FORMAT, "no ONNX file: it is %s", kind);
  if (allowance->exceeded)
    return yolo_network_fail (
        error, FORMAT, "the file consists of more and smaller parts than any model; it is damaged");
  return yolo_network_fail (error, FORMAT, "%s", otherwise);
}

static gboolean
unpack (OnnxFile *file, const void *data, gsize size, GError **error)
{
  /* Weights are copied once; nodes and attributes take a few times their bytes. */
  Allowance allowance = {.left = 8 * size + (4 << 20) };
  ProtobufCAllocator allocator = { allowance_alloc, allowance_free, &allowance };

  if (size == 0)
    return yolo_network_fail (error, FORMAT, "the file is empty");
  if (size > YOLO_ONNX_MAX_FILE)
    return yolo_network_fail (
        error, UNSUPPORTED, "the file is larger than 2 GiB, which no ONNX file can be");
  file->proto = onnx__model_proto__unpack (&allocator, size, data);
  if (file->proto == NULL)
    return refuse_file (
        data, size, &allowance, "no ONNX file, or a truncated or damaged one", error);
  if (file->proto->graph == NULL)
    return refuse_file (data, size, &allowance, "no ONNX file: it holds no graph", error);
  return TRUE;
}

OnnxFile *
yolo_onnx_file_parse (const void *data, gsize size, const char *folder, GError **error)
{
  g_autoptr (OnnxFile) file = g_new0 (OnnxFile, 1);
  g_autoptr (GTree) names = g_tree_new (compare_names);

  file->values = g_array_new (FALSE, FALSE, sizeof (OnnxValue));
  file->nodes = g_array_new (FALSE, FALSE, sizeof (OnnxNode));
  file->data_files = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  file->external = g_ptr_array_new ();

  if (!unpack (file, data, size, error) || !read_opset (file, error)
      || !yolo_external_read (file, folder, error) || !read_initializers (file, names, error)
      || !read_nodes (file, names, error) || !read_input (file, names, error)
      || !read_outputs (file, names, error) || !yolo_onnx_expand_qoperators (file, error)
      || !sort_nodes (file, error))
    return NULL;
  return g_steal_pointer (&file);
}

void
yolo_onnx_file_free (OnnxFile *file)
{
  ProtobufCAllocator allocator = { allowance_alloc, allowance_free, NULL };

  if (file == NULL)
    return;
  for (guint i = 0; i < file->external->len; i++) {
    Onnx__TensorProto *tensor = g_ptr_array_index (file->external, i);
    /* protobuf-c would free the bytes, which are the data file's */
    tensor->has_raw_data = FALSE;
    tensor->raw_data = (ProtobufCBinaryData) { 0, NULL };
  }
  g_ptr_array_unref (file->external);
  g_ptr_array_unref (file->data_files);
  if (file->proto != NULL)
    onnx__model_proto__free_unpacked (file->proto, &allocator);
  g_array_unref (file->values);
  g_array_unref (file->nodes);
  g_free (file->operands);
  g_free (file->expanded);
  g_free (file->outputs);
  g_free (file);
}
