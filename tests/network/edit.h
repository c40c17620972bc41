/* SPDX-License-Identifier: MIT */
/* Model files for tests: from tests/data, from the folder of shared material,
 * and changed in one place. */

#ifndef TEST_NETWORK_EDIT_H
#define TEST_NETWORK_EDIT_H

#include "engine/load.h"
#include "network/onnx/onnx.pb-c.h"

#include <glib/gstdio.h>

#include <stdlib.h>
#include <string.h>

/* tests/data/NAME */
static inline char *
data_file (const char *name)
{
  return g_test_build_filename (G_TEST_DIST, "tests", "data", name, NULL);
}

/* NAME in the shared material: $YOLO_SHARED, or ../shared beside the sources.
 * NULL where it is not there. */
static inline char *
shared_file (const char *name)
{
  const char *folder = g_getenv ("YOLO_SHARED");
  g_autofree char *path = folder != NULL ? g_build_filename (folder, name, NULL)
      : g_test_build_filename (G_TEST_DIST, "..", "shared", name, NULL);

  return g_file_test (path, G_FILE_TEST_EXISTS) ? g_steal_pointer (&path) : NULL;
}

static inline Onnx__ModelProto *
edit_open (const char *name)
{
  g_autofree char *path = data_file (name), *bytes = NULL;
  gsize size;
  Onnx__ModelProto *proto;

  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  proto = onnx__model_proto__unpack (NULL, size, (const guint8 *) bytes);
  g_assert_nonnull (proto);
  return proto;
}

/* Packs a model, frees it, and loads the bytes. */
static inline YoloModel *
edit_load (Onnx__ModelProto *proto, GError **error)
{
  gsize size = onnx__model_proto__get_packed_size (proto);
  g_autofree guint8 *bytes = g_malloc (size);

  onnx__model_proto__pack (proto, bytes);
  onnx__model_proto__free_unpacked (proto, NULL);
  return yolo_model_load_bytes (bytes, size, "edited.onnx", error);
}

/* The nth node of a kind, counted from the end if negative. */
static inline Onnx__NodeProto *
edit_node (const Onnx__ModelProto *proto, const char *op, int nth)
{
  const Onnx__GraphProto *graph = proto->graph;

  for (gsize i = 0; i < graph->n_node; i++) {
    Onnx__NodeProto *node = graph->node[nth < 0 ? graph->n_node - 1 - i : i];
    if (strcmp (node->op_type, op) == 0 && (nth < 0 ? ++nth == 0 : nth-- == 0))
      return node;
  }
  g_assert_not_reached ();
}

static inline Onnx__TensorProto *
edit_initializer (const Onnx__ModelProto *proto, const char *name)
{
  const Onnx__GraphProto *graph = proto->graph;

  for (gsize i = 0; i < graph->n_initializer; i++) {
    if (strcmp (graph->initializer[i]->name, name) == 0)
      return graph->initializer[i];
  }
  g_assert_not_reached ();
}

static inline Onnx__AttributeProto *
edit_attribute (const Onnx__NodeProto *node, const char *name)
{
  for (gsize i = 0; i < node->n_attribute; i++) {
    if (strcmp (node->attribute[i]->name, name) == 0)
      return node->attribute[i];
  }
  g_assert_not_reached ();
}

/* Sets a string of a message, whose memory protobuf-c has from malloc(). */
static inline void
edit_string (char **string, const char *value)
{
  free (*string);
  *string = strdup (value);
}

/* Appends a node with these inputs (NULL behind the last), one output of its own name, and no
 * attributes. */
static inline Onnx__NodeProto *
edit_add_node (Onnx__ModelProto *proto, const char *op, const char *name, const char *const *inputs)
{
  Onnx__GraphProto *graph = proto->graph;
  Onnx__NodeProto *node = malloc (sizeof *node);

  onnx__node_proto__init (node);
  node->op_type = strdup (op);
  node->name = strdup (name);
  while (inputs[node->n_input] != NULL)
    node->n_input++;
  node->input = malloc (node->n_input * sizeof (char *));
  for (gsize k = 0; k < node->n_input; k++)
    node->input[k] = strdup (inputs[k]);
  node->n_output = 1;
  node->output = malloc (sizeof (char *));
  node->output[0] = strdup (name);
  graph->node = realloc (graph->node, (graph->n_node + 1) * sizeof (void *));
  return graph->node[graph->n_node++] = node;
}

/* Appends an attribute that is not set yet. */
static inline Onnx__AttributeProto *
edit_add_attribute (Onnx__NodeProto *node, const char *name, int type)
{
  Onnx__AttributeProto *attribute = malloc (sizeof *attribute);

  onnx__attribute_proto__init (attribute);
  attribute->name = strdup (name);
  attribute->has_type = TRUE;
  attribute->type = type;
  node->attribute = realloc (node->attribute, (node->n_attribute + 1) * sizeof (void *));
  return node->attribute[node->n_attribute++] = attribute;
}

static inline void
edit_add_int (Onnx__NodeProto *node, const char *name, gint64 value)
{
  Onnx__AttributeProto *attribute = edit_add_attribute (node, name, 2);

  attribute->has_i = TRUE;
  attribute->i = value;
}

/* Appends an attribute of @n numbers, all @value. */
static inline void
edit_add_ints (Onnx__NodeProto *node, const char *name, gsize n, gint64 value)
{
  Onnx__AttributeProto *attribute = edit_add_attribute (node, name, 7);

  attribute->n_ints = n;
  attribute->ints = malloc (n * sizeof (gint64));
  for (gsize i = 0; i < n; i++)
    attribute->ints[i] = value;
}

/* Adds a constant [dims] of floats or, by @type, of int64; a scalar if n_dims is 0. */
static inline void
edit_add_constant (Onnx__ModelProto *proto, const char *name, gint32 type, gsize n_dims,
    const gint64 *dims, const void *data)
{
  Onnx__GraphProto *graph = proto->graph;
  Onnx__TensorProto *tensor = malloc (sizeof *tensor);
  gsize n = 1;

  onnx__tensor_proto__init (tensor);
  tensor->name = strdup (name);
  tensor->has_data_type = TRUE;
  tensor->data_type = type;
  tensor->n_dims = n_dims;
  tensor->dims = malloc (MAX (n_dims, 1) * sizeof (gint64));
  for (gsize d = 0; d < n_dims; d++)
    n *= (gsize) (tensor->dims[d] = dims[d]);
  tensor->has_raw_data = TRUE;
  tensor->raw_data.len = n * (type == 7 ? 8 : 4);
  tensor->raw_data.data = malloc (tensor->raw_data.len);
  memcpy (tensor->raw_data.data, data, tensor->raw_data.len);
  graph->initializer = realloc (graph->initializer, (graph->n_initializer + 1) * sizeof (void *));
  graph->initializer[graph->n_initializer++] = tensor;
}

static inline void
edit_metadata (Onnx__ModelProto *proto, const char *key, const char *value)
{
  for (gsize i = 0; i < proto->n_metadata_props; i++) {
    if (strcmp (proto->metadata_props[i]->key, key) == 0)
      edit_string (
          value != NULL ? &proto->metadata_props[i]->value : &proto->metadata_props[i]->key,
          value != NULL ? value : "nothing");
  }
}

#endif
