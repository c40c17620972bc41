/* SPDX-License-Identifier: MIT */
/* Checkpoints of PyTorch: see tests/fuzz/run.sh. The mutator changes the pickle within the
 * archive, and the numbers in its opcodes, so that what comes out is an archive again. */

#include "base/error.h"
#include "network/model.h"
#include "network/plan.h"
#include "network/torch/reader.h"
#include "network/torch/zip.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  YoloGraph *graph = yolo_torch_read (data, size, YOLO_HEAD_AUTO, &error);
  g_autoptr (YoloModel) model = NULL;

  g_assert_true ((graph != NULL) == (error == NULL));
  g_assert_true (graph != NULL || error->domain == YOLO_NETWORK_ERROR);
  if (graph == NULL)
    return 0;
  model = yolo_model_new (graph, "fuzz", &error);
  g_assert_true ((model != NULL) == (error == NULL));
  if (model == NULL)
    return 0;
  /* What the other rooms rely on. */
  g_assert_cmpuint (g_strv_length (model->names), ==, model->n_classes);
  g_assert_true (model->n_outputs >= 2 && model->n_outputs <= YOLO_MAX_OUTPUTS);
  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, 1, model->stride, 3 * model->stride, YOLO_F32, YOLO_F32, 3, &error);
  g_assert_true ((plan != NULL) == (error == NULL));
  return 0;
}

static void
put (GByteArray *bytes, guint n, guint64 number)
{
  for (guint i = 0; i < n; i++) {
    guint8 byte = i < 8 ? (guint8) (number >> 8 * i) : 0;
    g_byte_array_append (bytes, &byte, 1);
  }
}

/* The archive with another pickle in it, without checksums. */
static GByteArray *
pack (YoloZip *zip, const uint8_t *pickle, size_t n_pickle)
{
  GByteArray *bytes = g_byte_array_new ();
  g_autoptr (GByteArray) directory = g_byte_array_new ();
  guint start;

  for (guint i = 0; i < yolo_zip_size (zip); i++) {
    const char *name = yolo_zip_name (zip, i);
    gsize size = 0, length = strlen (name);
    const guint8 *data = yolo_zip_get (zip, name, &size, NULL);
    guint at = bytes->len;

    if (g_str_has_suffix (name, "/data.pkl")) {
      data = pickle;
      size = n_pickle;
    }
    put (bytes, 4, 0x04034b50), put (bytes, 22, 0), put (bytes, 2, length), put (bytes, 2, 0);
    g_byte_array_append (bytes, (const guint8 *) name, length);
    if (size > 0)
      g_byte_array_append (bytes, data, size);
    put (directory, 4, 0x02014b50), put (directory, 16, 0);
    put (directory, 4, size), put (directory, 4, size);
    put (directory, 2, length), put (directory, 12, 0), put (directory, 4, at);
    g_byte_array_append (directory, (const guint8 *) name, length);
  }
  start = bytes->len;
  g_byte_array_append (bytes, directory->data, directory->len);
  put (bytes, 4, 0x06054b50), put (bytes, 4, 0);
  put (bytes, 2, yolo_zip_size (zip)), put (bytes, 2, yolo_zip_size (zip));
  put (bytes, 4, directory->len), put (bytes, 4, start), put (bytes, 2, 0);
  return bytes;
}

static guint
below (guint *state, size_t n)
{
  *state = *state * 1664525u + 1013904223u;
  return n ? (*state >> 8) % (guint) n : 0;
}

/* Copies a part of the pickle over another, or lets an opcode of one byte be another one. */
static void
shuffle (guint *state, uint8_t *pickle, size_t n)
{
  static const char opcodes[] = "(.012NQRabde}]lsut)\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93"
                                "\x94";
  guint from = below (state, n), to = below (state, n), length = 1 + below (state, 64);

  if (below (state, 2) != 0)
    pickle[to] = (uint8_t) opcodes[below (state, sizeof opcodes - 1)];
  else if (from + length <= n && to + length <= n)
    memmove (pickle + to, pickle + from, length);
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
  guint state = seed;
  g_autoptr (YoloZip) zip = below (&state, 8) != 0 ? yolo_zip_open (data, size, NULL) : NULL;
  g_autoptr (GByteArray) packed = NULL;
  g_autofree uint8_t *pickle = NULL;
  const guint8 *old = NULL;
  gsize n = 0, room;

  for (guint i = 0; zip != NULL && old == NULL && i < yolo_zip_size (zip); i++) {
    if (g_str_has_suffix (yolo_zip_name (zip, i), "/data.pkl"))
      old = yolo_zip_get (zip, yolo_zip_name (zip, i), &n, NULL);
  }
  if (old == NULL || n == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  room = n + 1024;
  pickle = g_malloc0 (room);
  memcpy (pickle, old, n);
  if (below (&state, 2) != 0)
    shuffle (&state, pickle, n);
  else
    n = LLVMFuzzerMutate (pickle, n, room);
  packed = pack (zip, pickle, n);
  if (packed->len > max_size)
    return LLVMFuzzerMutate (data, size, max_size);
  memcpy (data, packed->data, packed->len);
  return packed->len;
}
