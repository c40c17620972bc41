/* Model files for tests: from tests/data, from the folder of shared material,
 * and changed in one place. */

#ifndef TEST_NETWORK_EDIT_H
#define TEST_NETWORK_EDIT_H

#include "network/model.h"
#include "network/onnx.pb-c.h"

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

/* Packs, frees and loads. */
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

/* protobuf-c's memory is malloc's. */
static inline void
edit_string (char **string, const char *value)
{
  free (*string);
  *string = strdup (value);
}

static inline void
edit_metadata (Onnx__ModelProto *proto, const char *key, const char *value)
{
  for (gsize i = 0; i < proto->n_metadata_props; i++) {
    if (strcmp (proto->metadata_props[i]->key, key) == 0)
      edit_string (value != NULL ? &proto->metadata_props[i]->value : &proto->metadata_props[i]->key,
          value != NULL ? value : "nothing");
  }
}

#endif
