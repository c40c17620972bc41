/* SPDX-License-Identifier: MIT */
#include "network/torch/checkpoint.h"
#include "base/error.h"
#include "network/torch/zip.h"

#include <math.h>
#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

#define SAVE_AGAIN "load it with torch.load() and save it with torch.save()"

struct _YoloCheckpoint {
  YoloZip *zip;
  YoloPickle *pickle;
  char *folder;         /* what the entries' names begin with: "best/" */
  guint64 numbers_left;         /* that tensors may still have */
};

typedef enum {
  KIND_HALF,
  KIND_BFLOAT16,
  KIND_FLOAT,
  KIND_DOUBLE,
  KIND_U8,
  KIND_S8,
  KIND_S16,
  KIND_S32,
  KIND_S64,
} Kind;

/* Classes of torch, and how their numbers lie in the file, the little end first. */
static const struct {
  const char *name;
  Kind kind;
  guint size;                   /* bytes of a number */
} storages[] = {
  { "HalfStorage", KIND_HALF, 2 },
  { "BFloat16Storage", KIND_BFLOAT16, 2 },
  { "FloatStorage", KIND_FLOAT, 4 },
  { "DoubleStorage", KIND_DOUBLE, 8 },
  { "ByteStorage", KIND_U8, 1 },
  { "BoolStorage", KIND_U8, 1 },
  { "CharStorage", KIND_S8, 1 },
  { "ShortStorage", KIND_S16, 2 },
  { "IntStorage", KIND_S32, 4 },
  { "LongStorage", KIND_S64, 8 },
};

typedef struct {
  Kind kind;
  guint size;         /* bytes of a number */
  const guint8 *data;           /* the storage */
  gsize count;        /* numbers in it */
  gsize offset;       /* of the first number */
  guint n_dims;
  gsize dims[YOLO_CHECKPOINT_MAX_DIMS], strides[YOLO_CHECKPOINT_MAX_DIMS]; /* numbers */
  gsize n;                      /* numbers of the tensor */
} Tensor;

/* What a file that is no archive may be. Sources: PyTorch's torch/serialization.py
 * (MAGIC_NUMBER, as a pickle of protocol 2 holds it), safetensors' README
 * ("Format"), onnx.proto (ir_version is field 1). */
static const char *
other_kind (const guint8 *bytes, gsize size)
{
  static const guint8 legacy[] = { 0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a,
    0xa8, 0x50, 0x19 };

  if (size >= sizeof legacy && memcmp (bytes, legacy, sizeof legacy) == 0)
    return "it is in the format of PyTorch before version 1.6; " SAVE_AGAIN;
  if (yolo_pickle_is (bytes, size))
    return "it is a Python pickle that PyTorch did not write";
  if (size >= 9 && bytes[8] == '{')
    return "it is a safetensors file: weights without a network; give the .pt file that "
           "Ultralytics wrote";
  if (size >= 3 && bytes[0] == 8 && bytes[1] < 32 && (bytes[2] == 0x12 || bytes[2] == 0x3a))
    return "it is an ONNX file, not one of PyTorch";
  return "it is not a file that torch.save() wrote";
}

/* The one entry data.pkl in a folder that lies at the top; NULL with @error. */
static const char *
find_pickle (const YoloZip *zip, GError **error)
{
  const char *found = NULL, *inner = NULL;

  for (guint i = 0; i < yolo_zip_size (zip); i++) {
    const char *name = yolo_zip_name (zip, i), *slash = strchr (name, '/');

    if (g_str_has_suffix (name, ".pt"))
      inner = name;
    if (slash == NULL || strcmp (slash, "/data.pkl") != 0)
      continue;
    if (found != NULL) {
      yolo_network_set_error (error, FORMAT,
          "the archive has two pickles, '%.100s' and '%.100s'; a checkpoint has one", found, name);
      return NULL;
    }
    found = name;
  }
  if (found == NULL && inner != NULL)
    yolo_network_set_error (
        error, UNSUPPORTED, "it is a ZIP archive that '%.100s' lies in; unpack it", inner);
  else if (found == NULL)
    yolo_network_set_error (error, UNSUPPORTED,
        "it is a ZIP archive that torch.save() did not write: it has no data.pkl");
  return found;
}

static gboolean
is_script (const YoloZip *zip, const char *folder)
{
  g_autofree char *constants = g_strconcat (folder, "constants.pkl", NULL);
  g_autofree char *code = g_strconcat (folder, "code/", NULL);

  if (yolo_zip_has (zip, constants))
    return TRUE;
  for (guint i = 0; i < yolo_zip_size (zip); i++) {
    if (g_str_has_prefix (yolo_zip_name (zip, i), code))
      return TRUE;
  }
  return FALSE;
}

/* The entry "byteorder" is there since PyTorch 2.1; before, all files were little-endian. */
static gboolean
check_byte_order (const YoloCheckpoint *checkpoint, GError **error)
{
  g_autofree char *name = g_strconcat (checkpoint->folder, "byteorder", NULL);
  const guint8 *order;
  gsize n;

  if (!yolo_zip_has (checkpoint->zip, name))
    return TRUE;
  order = yolo_zip_get (checkpoint->zip, name, &n, error);
  if (order == NULL)
    return FALSE;
  if (n != 6 || memcmp (order, "little", 6) != 0)
    return yolo_network_fail (error, UNSUPPORTED,
        "it was saved on a big-endian machine; " SAVE_AGAIN " on a little-endian one");
  return TRUE;
}

YoloCheckpoint *
yolo_checkpoint_open (const void *data, gsize size, GError **error)
{
  g_autoptr (YoloCheckpoint) checkpoint = g_new0 (YoloCheckpoint, 1);
  const char *name;
  const guint8 *bytes;
  gsize n;

  if (!yolo_zip_is (data, size)) {
    yolo_network_set_error (error, UNSUPPORTED, "%s", other_kind (data, size));
    return NULL;
  }
  checkpoint->numbers_left = 2 * (guint64) size;
  checkpoint->zip = yolo_zip_open (data, size, error);
  name = checkpoint->zip != NULL ? find_pickle (checkpoint->zip, error) : NULL;
  if (name == NULL)
    return NULL;
  checkpoint->folder = g_strndup (name, (gsize) (strchr (name, '/') - name) + 1);
  if (is_script (checkpoint->zip, checkpoint->folder)) {
    yolo_network_set_error (error, UNSUPPORTED,
        "it is a TorchScript program; give the .pt file that it was exported from, or export "
        "that to ONNX");
    return NULL;
  }
  bytes =
      check_byte_order (checkpoint, error) ? yolo_zip_get (checkpoint->zip, name, &n, error) : NULL;
  if (bytes == NULL)
    return NULL;
  checkpoint->pickle = yolo_pickle_read (bytes, n, error);
  return checkpoint->pickle != NULL ? g_steal_pointer (&checkpoint) : NULL;
}

void
yolo_checkpoint_free (YoloCheckpoint *checkpoint)
{
  if (checkpoint == NULL)
    return;
  yolo_pickle_free (checkpoint->pickle);
  yolo_zip_free (checkpoint->zip);
  g_free (checkpoint->folder);
  g_free (checkpoint);
}

const YoloPickleValue *
yolo_checkpoint_root (const YoloCheckpoint *checkpoint)
{
  return yolo_pickle_root (checkpoint->pickle);
}

/* The tensor that a parameter is. */
static const YoloPickleValue *
without_parameter (const YoloPickleValue *value)
{
  if (yolo_pickle_made_by (value, "torch._utils", "_rebuild_parameter")
      || yolo_pickle_made_by (value, "torch._utils", "_rebuild_parameter_with_state"))
    return yolo_pickle_item (value->args, 0);
  return value;
}

gboolean
yolo_checkpoint_is_tensor (const YoloPickleValue *value)
{
  return yolo_pickle_made_by (without_parameter (value), "torch._utils", "_rebuild_tensor_v2");
}

/* The numbers that a tensor, or several of them, lie in:
 * ('storage', torch.HalfStorage, key, location, count). */
static gboolean
read_storage (const YoloCheckpoint *checkpoint, const YoloPickleValue *value, const char *what,
    Tensor *tensor, GError **error)
{
  const YoloPickleValue *id =
      value != NULL && value->type == YOLO_PICKLE_PERSISTENT ? value->args : NULL;
  const YoloPickleValue *class = yolo_pickle_item (id, 1);
  const char *key = yolo_pickle_string (yolo_pickle_item (id, 2));
  g_autofree char *name = NULL;
  gint64 count;
  gsize bytes;

  if (!yolo_pickle_is_string (yolo_pickle_item (id, 0), "storage") || class == NULL
      || class->type != YOLO_PICKLE_GLOBAL || key == NULL
      || !yolo_pickle_int (yolo_pickle_item (id, 4), &count) || count < 0)
    return yolo_network_fail (error, FORMAT, "%.200s: its storage is not understood", what);
  for (guint i = 0; i < G_N_ELEMENTS (storages); i++) {
    if (strcmp (class->text, storages[i].name) == 0) {
      tensor->kind = storages[i].kind;
      tensor->size = storages[i].size;
    }
  }
  if (tensor->size == 0)
    return yolo_network_fail (
        error, UNSUPPORTED, "%.200s: its numbers lie in a %.100s", what, class->text);
  name = g_strconcat (checkpoint->folder, "data/", key, NULL);
  tensor->data = yolo_zip_get (checkpoint->zip, name, &bytes, error);
  if (tensor->data == NULL)
    return FALSE;
  tensor->count = bytes / tensor->size;
  if (bytes % tensor->size != 0 || tensor->count != (guint64) count)
    return yolo_network_fail (error, FORMAT,
        "%.200s: its entry '%.100s' has %" G_GSIZE_FORMAT " bytes, which are not %" G_GINT64_FORMAT
        " numbers",
        what, name, bytes, count);
  return TRUE;
}

/* Whether all numbers of the tensor lie in its storage, as offset, sizes and strides say. */
static gboolean
read_layout (const YoloPickleValue *args, Tensor *tensor)
{
  const YoloPickleValue *dims = yolo_pickle_item (args, 2), *strides = yolo_pickle_item (args, 3);
  guint64 last, n = 1;
  gint64 value;

  tensor->n_dims = yolo_pickle_items (dims).n;
  if (tensor->n_dims > YOLO_CHECKPOINT_MAX_DIMS || yolo_pickle_items (strides).n != tensor->n_dims
      || !yolo_pickle_int (yolo_pickle_item (args, 1), &value) || value < 0
      || (guint64) value >= tensor->count)
    return FALSE;
  last = tensor->offset = (gsize) value;
  for (guint d = 0; d < tensor->n_dims; d++) {
    if (!yolo_pickle_int (yolo_pickle_item (dims, d), &value) || value < 1 || value > G_MAXINT32)
      return FALSE;
    tensor->dims[d] = (gsize) value;
    /* no stride that counts, and so no product, is beyond the storage */
    if (!yolo_pickle_int (yolo_pickle_item (strides, d), &value) || value < 0)
      return FALSE;
    if (tensor->dims[d] > 1 && (guint64) value > tensor->count / (tensor->dims[d] - 1))
      return FALSE;
    tensor->strides[d] = tensor->dims[d] > 1 ? (gsize) value : 0;
    last += (tensor->dims[d] - 1) * tensor->strides[d];
    n *= tensor->dims[d];
    if (last >= tensor->count || n > G_MAXINT32)
      return FALSE;
  }
  tensor->n = (gsize) n;
  return TRUE;
}

static gboolean
read_tensor (const YoloCheckpoint *checkpoint, const YoloPickleValue *value, const char *what,
    Tensor *tensor, GError **error)
{
  const YoloPickleValue *inner = without_parameter (value);

  *tensor = (Tensor){ 0 };
  if (!yolo_checkpoint_is_tensor (value))
    return yolo_network_fail (error, FORMAT, "%.200s is not a tensor as PyTorch saves it", what);
  if (!read_storage (checkpoint, yolo_pickle_item (inner->args, 0), what, tensor, error))
    return FALSE;
  if (!read_layout (inner->args, tensor))
    return yolo_network_fail (
        error, FORMAT, "%.200s: its sizes or strides do not fit the numbers that are there", what);
  return TRUE;
}

static guint64
little_end_first (const guint8 *bytes, guint size)
{
  guint64 bits = 0;

  for (guint i = 0; i < size; i++)
    bits |= (guint64) bytes[i] << 8 * i;
  return bits;
}

/* IEEE 754 binary16. */
static float
half_to_float (guint32 half)
{
  guint32 sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 1023;
  guint32 bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | mantissa << 13;
  float number;

  if (exponent == 0) /* zero, or less than the smallest that has an exponent */
    return (float) mantissa * (sign != 0 ? -0x1p-24f : 0x1p-24f);
  memcpy (&number, &bits, sizeof number);
  return number;
}

static float
number_at (const Tensor *tensor, gsize index)
{
  guint64 bits = little_end_first (tensor->data + index * tensor->size, tensor->size);
  guint32 low = (guint32) bits;
  float number;
  double wide;

  switch (tensor->kind) {
    case KIND_HALF:
      return half_to_float (low);
    case KIND_BFLOAT16:
      low <<= 16;
      memcpy (&number, &low, sizeof number);
      return number;
    case KIND_FLOAT:
      memcpy (&number, &low, sizeof number);
      return number;
    case KIND_DOUBLE:
      memcpy (&wide, &bits, sizeof wide);
      return (float) wide;
    case KIND_U8:
      return (float) low;
    case KIND_S8:
      return (float) (gint8) low;
    case KIND_S16:
      return (float) (gint16) low;
    case KIND_S32:
      return (float) (gint32) low;
    case KIND_S64:
      return (float) (gint64) bits;
  }
  g_return_val_if_reached (0);
}

/* FALSE: a number is not finite. */
static gboolean
copy_numbers (const Tensor *tensor, float *out)
{
  gsize position[YOLO_CHECKPOINT_MAX_DIMS] = { 0 }, index = tensor->offset;
  gboolean finite = TRUE;

  for (gsize i = 0; i < tensor->n; i++) {
    out[i] = number_at (tensor, index);
    finite &= isfinite (out[i]) != 0;
    for (guint d = tensor->n_dims; d-- > 0;) {
      index += tensor->strides[d];
      if (++position[d] < tensor->dims[d])
        break;
      index -= position[d] * tensor->strides[d];
      position[d] = 0;
    }
  }
  return finite;
}

float *
yolo_checkpoint_floats (YoloCheckpoint *checkpoint, const YoloPickleValue *value, const char *what,
    guint n_dims, gsize *dims, GError **error)
{
  g_autofree float *numbers = NULL;
  Tensor tensor;
  gboolean fits;

  if (!read_tensor (checkpoint, value, what, &tensor, error))
    return NULL;
  fits = tensor.n_dims == n_dims;
  for (guint d = 0; fits && d < n_dims; d++) {
    fits = dims[d] == 0 || dims[d] == tensor.dims[d];
    dims[d] = tensor.dims[d];
  }
  if (!fits) {
    yolo_network_set_error (error, FORMAT, "%.200s has sizes that do not fit its layer", what);
    return NULL;
  }
  if (tensor.n > checkpoint->numbers_left) {
    yolo_network_set_error (
        error, FORMAT, "%.200s: the tensors have more numbers than the file can hold", what);
    return NULL;
  }
  checkpoint->numbers_left -= tensor.n;
  numbers = g_new (float, tensor.n);
  if (!copy_numbers (&tensor, numbers)) {
    yolo_network_set_error (error, FORMAT, "%.200s has numbers that are not finite", what);
    return NULL;
  }
  return g_steal_pointer (&numbers);
}
