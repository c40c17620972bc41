/* SPDX-License-Identifier: MIT */
/* Archives, pickles and tensors of PyTorch's files, and damaged ones: see
 * tests/scripts/make-checkpoints.py for those that CHECKPOINTS holds. */

#include "base/error.h"
#include "network/torch/checkpoint.h"
#include "network/torch/zip.h"

#include <math.h>
#include <string.h>

/* Of a literal with zeros in it. */
#define BYTES(literal) literal, sizeof literal - 1

static char *
read_file (const char *name, gsize *size)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_build_filename (g_getenv ("CHECKPOINTS"), name, NULL);
  char *bytes;

  g_file_get_contents (path, &bytes, size, &error);
  g_assert_no_error (error);
  return bytes;
}

/* The bytes in a block of just their size, so that the sanitizers see what is read beyond. */
static YoloPickle *
read_pickle (const char *bytes, gsize size, GError **error)
{
  g_autofree char *exact = g_memdup2 (bytes, size);
  return yolo_pickle_read (exact, size, error);
}

static void
assert_error (GError **error, YoloNetworkError code, const char *text)
{
  g_assert_error (*error, YOLO_NETWORK_ERROR, (int) code);
  if (strstr ((*error)->message, text) == NULL)
    g_error ("\"%s\" lacks \"%s\"", (*error)->message, text);
  g_clear_error (error);
}

static void
test_numbers (void)
{
  static const struct {
    const char *bytes;
    gsize size;
    double number;
  } cases[] = {
    { BYTES ("\x80\x02K\x07."), 7 },
    { BYTES ("\x80\x02M\x34\x12."), 0x1234 },
    { BYTES ("J\xff\xff\xff\xff."), -1 },
    { BYTES ("\x8a\x00."), 0 },
    { BYTES ("\x8a\x01\xff."), -1 },
    { BYTES ("\x8a\x05\x00\x00\x00\x00\x01."), 4294967296. },
    { BYTES ("\x8b\x02\x00\x00\x00\x00\x80."), -32768 },
    { BYTES ("G?\xf8\x00\x00\x00\x00\x00\x00."), 1.5 },
    { BYTES ("\x80\x05\x95\x03\x00\x00\x00\x00\x00\x00\x00K\x05."), 5 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloPickle) pickle = read_pickle (cases[i].bytes, cases[i].size, &error);
    double number = NAN;

    g_assert_no_error (error);
    g_assert_true (yolo_pickle_number (yolo_pickle_root (pickle), &number));
    g_assert_cmpfloat (number, ==, cases[i].number);
  }

  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPickle) large =
      read_pickle (BYTES ("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), &error);
  g_assert_no_error (error);
  g_assert_cmpint (yolo_pickle_root (large)->type, ==, YOLO_PICKLE_LONG);
}

static void
test_texts (void)
{
  static const struct {
    const char *bytes;
    gsize size;
  } cases[] = {
    { BYTES ("X\x03\x00\x00\x00"
             "abc.") },
    { BYTES ("\x8c\x03"
             "abc.") },
    { BYTES ("\x8d\x03\x00\x00\x00\x00\x00\x00\x00"
             "abc.") },
    { BYTES ("U\x03"
             "abc.") },
    { BYTES ("T\x03\x00\x00\x00"
             "abc.") },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloPickle) pickle = read_pickle (cases[i].bytes, cases[i].size, &error);

    g_assert_no_error (error);
    g_assert_cmpstr (yolo_pickle_string (yolo_pickle_root (pickle)), ==, "abc");
    g_assert_true (yolo_pickle_is_string (yolo_pickle_root (pickle), "abc"));
    g_assert_false (yolo_pickle_is_string (yolo_pickle_root (pickle), "abcd"));
    g_assert_false (yolo_pickle_is_string (yolo_pickle_root (pickle), "ab"));
  }

  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPickle) pickle = read_pickle (BYTES ("\x8c\x03"
                                                      "a\x00"
                                                      "c."),
      &error);
  g_assert_no_error (error);
  g_assert_null (yolo_pickle_string (yolo_pickle_root (pickle)));
}

/* {'a': 1, 'b': (2, 3), 'a': 4} by SETITEM and SETITEMS; what is remembered and fetched. */
static void
test_containers (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPickle) pickle = read_pickle (BYTES ("\x80\x02}q\x05\x8c\x01"
                                                      "aK\x01s(\x8c\x01"
                                                      "bK\x02K\x03\x86\x8c\x01"
                                                      "aK\x04u0h\x05."),
      &error);
  const YoloPickleValue *root;
  gint64 number;

  g_assert_no_error (error);
  root = yolo_pickle_root (pickle);
  g_assert_cmpint (root->type, ==, YOLO_PICKLE_DICT);
  g_assert_cmpuint (yolo_pickle_pairs (root).n, ==, 6);
  g_assert_true (yolo_pickle_int (yolo_pickle_lookup (root, "a"), &number));
  g_assert_cmpint (number, ==, 4);
  g_assert_true (yolo_pickle_int (yolo_pickle_item (yolo_pickle_lookup (root, "b"), 1), &number));
  g_assert_cmpint (number, ==, 3);
  g_assert_null (yolo_pickle_item (yolo_pickle_lookup (root, "b"), 2));
  g_assert_null (yolo_pickle_lookup (root, "c"));

  /* [[], {1: 2}, frozenset({3}), {4}, (), (5,), b'6', None, True], the list in two ways */
  g_clear_pointer (&pickle, yolo_pickle_free);
  pickle = read_pickle (BYTES ("](](K\x01K\x02"
                               "d(K\x03\x91\x8f(K\x04\x90)K\x05\x85"
                               "C\x01"
                               "6Ne\x88"
                               "a(K\x07"
                               "1."),
      &error);
  g_assert_no_error (error);
  root = yolo_pickle_root (pickle);
  static const YoloPickleType types[] = { YOLO_PICKLE_LIST, YOLO_PICKLE_DICT, YOLO_PICKLE_SET,
    YOLO_PICKLE_SET, YOLO_PICKLE_TUPLE, YOLO_PICKLE_TUPLE, YOLO_PICKLE_BYTES, YOLO_PICKLE_NONE,
    YOLO_PICKLE_BOOL };
  g_assert_cmpuint (yolo_pickle_items (root).n, ==, G_N_ELEMENTS (types));
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    g_assert_cmpint (yolo_pickle_item (root, i)->type, ==, types[i]);
  g_assert_cmpuint (yolo_pickle_item (root, 3)->items.n, ==, 1);
}

/* Calls and classes are names with arguments. */
static void
test_objects (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPickle) pickle =
      read_pickle (BYTES ("cos\nsystem\n\x8c\x0etouch executed\x85R."), &error);
  const YoloPickleValue *root;
  gboolean truth;

  g_assert_no_error (error);
  root = yolo_pickle_root (pickle);
  g_assert_cmpint (root->type, ==, YOLO_PICKLE_OBJECT);
  g_assert_true (yolo_pickle_made_by (root, "os", "system"));
  g_assert_false (yolo_pickle_made_by (root, "os", "syste"));
  g_assert_cmpstr (yolo_pickle_string (yolo_pickle_item (root->args, 0)), ==, "touch executed");
  g_assert_false (g_file_test ("executed", G_FILE_TEST_EXISTS));

  /* a.b.C() with {'x': True}, and one with slots, that contains itself */
  g_clear_pointer (&pickle, yolo_pickle_free);
  pickle = read_pickle (BYTES ("\x8c\x03"
                               "a.b\x8c\x01"
                               "C\x93)\x81}\x8c\x01"
                               "x\x88sb."),
      &error);
  g_assert_no_error (error);
  root = yolo_pickle_root (pickle);
  g_assert_cmpstr (yolo_pickle_class (root)->module, ==, "a.b");
  g_assert_cmpstr (yolo_pickle_class (root)->text, ==, "C");
  g_assert_true (yolo_pickle_bool (yolo_pickle_attribute (root, "x"), &truth) && truth);
  g_assert_null (yolo_pickle_attribute (root, "y"));

  g_clear_pointer (&pickle, yolo_pickle_free);
  pickle = read_pickle (BYTES ("ca\nC\n)}\x92\x94N}\x8c\x04self"
                               "h\x00s\x86"
                               "b."),
      &error);
  g_assert_no_error (error);
  root = yolo_pickle_root (pickle);
  g_assert_true (yolo_pickle_attribute (root, "self") == root);
}

static void
test_bad_pickles (void)
{
  static const struct {
    const char *bytes;
    gsize size;
    YoloNetworkError code;
    const char *text;
  } cases[] = {
    { BYTES (""), YOLO_NETWORK_ERROR_FORMAT, "at byte 0" },
    { BYTES ("N"), YOLO_NETWORK_ERROR_FORMAT, "has no end" },
    { BYTES ("."), YOLO_NETWORK_ERROR_FORMAT, "takes a value that is not there, at byte 0" },
    { BYTES ("(."), YOLO_NETWORK_ERROR_FORMAT, "takes a value that is not there, at byte 1" },
    { BYTES ("0."), YOLO_NETWORK_ERROR_FORMAT, "takes a value" },
    { BYTES ("N0"
             "0."),
        YOLO_NETWORK_ERROR_FORMAT, "at byte 2" },
    { BYTES ("t."), YOLO_NETWORK_ERROR_FORMAT, "lacks a mark" },
    { BYTES ("1."), YOLO_NETWORK_ERROR_FORMAT, "lacks a mark" },
    { BYTES ("N\x86."), YOLO_NETWORK_ERROR_FORMAT, "takes a value" },
    { BYTES ("(N\x86."), YOLO_NETWORK_ERROR_FORMAT, "takes a value" },
    { BYTES ("h\x00."), YOLO_NETWORK_ERROR_FORMAT, "was not remembered" },
    { BYTES ("Nq\x01h\x00."), YOLO_NETWORK_ERROR_FORMAT, "was not remembered, at byte 3" },
    { BYTES ("q\x00."), YOLO_NETWORK_ERROR_FORMAT, "takes a value" },
    { BYTES ("Nr\xff\xff\xff\xff."), YOLO_NETWORK_ERROR_FORMAT, "an impossible number" },
    { BYTES ("J\x00\x00"), YOLO_NETWORK_ERROR_FORMAT, "ends within an opcode" },
    { BYTES ("X\xff\xff\xff\xff"
             "abc."),
        YOLO_NETWORK_ERROR_FORMAT, "ends within an opcode" },
    { BYTES ("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
             "abc."),
        YOLO_NETWORK_ERROR_FORMAT, "ends within" },
    { BYTES ("\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"
             "abc."),
        YOLO_NETWORK_ERROR_FORMAT, "ends within" },
    { BYTES ("\x8b\xff\xff\xff\xff."), YOLO_NETWORK_ERROR_FORMAT, "ends within an opcode" },
    { BYTES ("cos\nsystem"), YOLO_NETWORK_ERROR_FORMAT, "ends within a name" },
    { BYTES ("NN\x93."), YOLO_NETWORK_ERROR_FORMAT, "names a class by what is no text" },
    { BYTES ("N}b."), YOLO_NETWORK_ERROR_FORMAT, "gives a state to what is no object" },
    { BYTES ("NNa."), YOLO_NETWORK_ERROR_FORMAT, "adds to a value" },
    { BYTES ("]NNs."), YOLO_NETWORK_ERROR_FORMAT, "adds to a value" },
    { BYTES ("}(Nu."), YOLO_NETWORK_ERROR_FORMAT, "has a key without a value" },
    { BYTES ("(Nd."), YOLO_NETWORK_ERROR_FORMAT, "has a key without a value" },
    { BYTES ("\x80\x06N."), YOLO_NETWORK_ERROR_UNSUPPORTED, "protocol 6" },
    { BYTES ("\x80\x01N."), YOLO_NETWORK_ERROR_UNSUPPORTED, "protocol 1" },
    { BYTES ("NI7\n."), YOLO_NETWORK_ERROR_UNSUPPORTED,
        "INT (0x49), which PyTorch does not write, "
        "at byte 1" },
    { BYTES ("N\x97."), YOLO_NETWORK_ERROR_UNSUPPORTED, "NEXT_BUFFER" },
    { BYTES ("NN\xff."), YOLO_NETWORK_ERROR_UNSUPPORTED,
        "0xff for an opcode, which is none, at "
        "byte 2" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (read_pickle (cases[i].bytes, cases[i].size, &error));
    assert_error (&error, cases[i].code, cases[i].text);
  }
}

/* Small pickles that would be large if values were copied; and one that is too large. */
static void
test_bombs (void)
{
  g_autoptr (GString) bytes = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPickle) pickle = NULL;

  /* (x, x) of (x, x) of ..., a million deep */
  g_string_append_c (bytes, 'N');
  for (guint i = 0; i < 1000000; i++)
    g_string_append (bytes, "2\x86");
  g_string_append_c (bytes, '.');
  pickle = yolo_pickle_read (bytes->str, bytes->len, &error);
  g_assert_no_error (error);
  g_assert_cmpint (yolo_pickle_root (pickle)->type, ==, YOLO_PICKLE_TUPLE);
  g_clear_pointer (&pickle, yolo_pickle_free);

  g_string_assign (bytes, "");
  for (guint i = 0; i < 1100000; i++)
    g_string_append_c (bytes, 'N');
  g_string_append_c (bytes, '.');
  g_assert_null (yolo_pickle_read (bytes->str, bytes->len, &error));
  assert_error (&error, YOLO_NETWORK_ERROR_UNSUPPORTED, "more than");

  g_string_assign (bytes, "");
  for (guint i = 0; i < 5000000; i++)
    g_string_append_c (bytes, '(');
  g_assert_null (yolo_pickle_read (bytes->str, bytes->len, &error));
  assert_error (&error, YOLO_NETWORK_ERROR_UNSUPPORTED, "more than");

  /* a slot far away */
  g_string_assign (bytes, "Nr");
  g_string_append_len (bytes, "\x00\x00\x10\x00.", 5);
  g_assert_null (yolo_pickle_read (bytes->str, bytes->len, &error));
  assert_error (&error, YOLO_NETWORK_ERROR_FORMAT, "an impossible number");
}

/* -- archives, made here byte by byte */

static void
put (GString *bytes, guint n, guint64 number)
{
  for (guint i = 0; i < n; i++)
    g_string_append_c (bytes, i < 8 ? (char) (number >> 8 * i) : 0);
}

typedef struct {
  const char *name, *data;
  gsize length;                 /* of the data; 0: it is a string */
  guint32 crc;
  guint flags, method;
  gint size_change;             /* of the size that the directory gives */
  gint start_change;
  gboolean zip64;               /* its numbers lie in the extra field */
} Part;

/* An archive of one or two entries, with Zip64's end records if `zip64`. */
static GString *
make_zip (const Part *parts, guint n, gboolean zip64)
{
  GString *bytes = g_string_new (NULL), *directory = g_string_new (NULL);
  gsize start, end;

  for (guint i = 0; i < n; i++) {
    const Part *p = &parts[i];
    gsize length = p->length > 0 ? p->length : strlen (p->data);
    guint64 size = length + (guint64) p->size_change, at = bytes->len;

    /* local: sizes 0, and an extra field that the directory does not have */
    put (bytes, 4, 0x04034b50);
    put (bytes, 2, 0), put (bytes, 2, p->flags), put (bytes, 2, p->method), put (bytes, 16, 0);
    put (bytes, 2, strlen (p->name)), put (bytes, 2, 6);
    g_string_append (bytes, p->name);
    g_string_append (bytes, "FB\x02");
    put (bytes, 3, 0);
    g_string_append_len (bytes, p->data, (gssize) length);
    at += (guint64) p->start_change;

    put (directory, 4, 0x02014b50);
    put (directory, 4, 0), put (directory, 2, p->flags), put (directory, 2, p->method);
    put (directory, 4, 0), put (directory, 4, p->crc);
    put (directory, 4, p->zip64 ? 0xffffffff : size);
    put (directory, 4, p->zip64 ? 0xffffffff : size);
    put (directory, 2, strlen (p->name)), put (directory, 2, p->zip64 ? 28 + 5 : 0);
    put (directory, 10, 0), put (directory, 4, p->zip64 ? 0xffffffff : at);
    g_string_append (directory, p->name);
    if (p->zip64) {
      put (directory, 2, 99), put (directory, 2, 1), put (directory, 1, 7);
      put (directory, 2, 1), put (directory, 2, 24);
      put (directory, 8, size), put (directory, 8, size), put (directory, 8, at);
    }
  }
  start = bytes->len;
  g_string_append_len (bytes, directory->str, (gssize) directory->len);
  end = bytes->len;
  if (zip64) {
    put (bytes, 4, 0x06064b50);
    put (bytes, 8, 44), put (bytes, 12, 0), put (bytes, 8, n), put (bytes, 8, n);
    put (bytes, 8, directory->len), put (bytes, 8, start);
    put (bytes, 4, 0x07064b50);
    put (bytes, 4, 0), put (bytes, 8, end), put (bytes, 4, 1);
  }
  put (bytes, 4, 0x06054b50);
  put (bytes, 4, 0), put (bytes, 2, n), put (bytes, 2, zip64 ? 0xffff : n);
  put (bytes, 4, zip64 ? 0xffffffff : directory->len), put (bytes, 4, zip64 ? 0xffffffff : start);
  put (bytes, 2, 0);
  g_string_free (directory, TRUE);
  return bytes;
}

static void
test_zip (void)
{
  /* CRC-32 of "123456789" is 0xcbf43926, as every catalogue of CRCs has it. */
  const Part parts[] = {
    { .name = "a/data.pkl", .data = "123456789", .crc = 0xcbf43926 },
    { .name = "a/b", .data = "" },
  };

  for (guint variant = 0; variant < 4; variant++) {
    g_autoptr (GError) error = NULL;
    Part own[2] = { parts[0], parts[1] };
    gsize size;

    own[0].zip64 = variant & 1;
    g_autoptr (GString) bytes = make_zip (own, 2, variant & 2);
    if (variant == 0) { /* a comment behind the end */
      bytes->str[bytes->len - 2] = 5;
      g_string_append (bytes, "hello");
    }
    g_autoptr (YoloZip) zip = yolo_zip_open (bytes->str, bytes->len, &error);
    g_assert_no_error (error);
    g_assert_true (yolo_zip_is (bytes->str, bytes->len));
    g_assert_cmpuint (yolo_zip_size (zip), ==, 2);
    g_assert_cmpstr (yolo_zip_name (zip, 1), ==, "a/b");
    g_assert_true (yolo_zip_has (zip, "a/b"));
    const guint8 *data = yolo_zip_get (zip, "a/data.pkl", &size, &error);
    g_assert_no_error (error);
    g_assert_cmpmem (data, size, "123456789", 9);
    g_assert_nonnull (yolo_zip_get (zip, "a/b", &size, &error));
    g_assert_cmpuint (size, ==, 0);
    g_assert_null (yolo_zip_get (zip, "a/c", &size, &error));
    assert_error (&error, YOLO_NETWORK_ERROR_FORMAT, "no entry 'a/c'");
  }
}

static void
test_bad_zips (void)
{
  static const struct {
    Part parts[2];
    YoloNetworkError code;
    const char *text;
  } cases[] = {
    { { { .name = "a", .data = "12345678", .crc = 1 }, { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_FORMAT, "checksum" },
    { { { .name = "a", .data = "12345678", .flags = 1 }, { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_UNSUPPORTED, "encrypted" },
    { { { .name = "a", .data = "12345678", .method = 8 }, { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_UNSUPPORTED, "compressed (deflate)" },
    { { { .name = "a", .data = "12345678", .method = 14 }, { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_UNSUPPORTED, "'a' is compressed, which" },
    { { { .name = "a", .data = "12345678", .size_change = 1 }, { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_FORMAT, "'a' overlaps" },
    { { { .name = "a", .data = "" }, { .name = "b", .data = "12345678", .size_change = 1 } },
        YOLO_NETWORK_ERROR_FORMAT, "'b' overlaps" },
    { { { .name = "a", .data = "", .size_change = 100000 }, { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_FORMAT, "more than the file" },
    { { { .name = "a", .data = "" }, { .name = "b", .data = "", .start_change = -37 } },
        YOLO_NETWORK_ERROR_FORMAT, "overlaps" },
    { { { .name = "a", .data = "" }, { .name = "b", .data = "", .start_change = 1 } },
        YOLO_NETWORK_ERROR_FORMAT, "not where the directory says" },
    { { { .name = "a", .data = "" }, { .name = "b", .data = "", .start_change = 100000 } },
        YOLO_NETWORK_ERROR_FORMAT, "not where the directory says" },
    { { { .name = "a", .data = "", .zip64 = TRUE, .size_change = -1 },
          { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_FORMAT, "more than the file" },
    { { { .name = "a", .data = "", .zip64 = TRUE, .start_change = -1 },
          { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_FORMAT, "not where the directory says" },
    { { { .name = "a", .data = "", .zip64 = TRUE, .start_change = G_MININT },
          { .name = "b", .data = "" } },
        YOLO_NETWORK_ERROR_FORMAT, "not where the directory says" },
    { { { .name = "a", .data = "" }, { .name = "a", .data = "" } }, YOLO_NETWORK_ERROR_FORMAT,
        "two entries 'a'" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GString) bytes = make_zip (cases[i].parts, 2, i % 2 == 1);
    g_autofree char *exact = g_memdup2 (bytes->str, bytes->len);
    g_autoptr (YoloZip) zip = yolo_zip_open (exact, bytes->len, &error);
    gsize size;

    if (zip != NULL)
      g_assert_null (yolo_zip_get (zip, "a", &size, &error));
    assert_error (&error, cases[i].code, cases[i].text);
  }
}

/* -- whole files */

static void
test_tensors (void)
{
  static const struct {
    const char *name;
    gboolean ema;
  } cases[] = { { "v8n-unfused.pt", FALSE }, { "v8n-half.pt", TRUE }, { "v8n-relu.pt", FALSE },
    { "v8n-depthwise.pt", FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    gsize size, dims[4] = { 0, 3 }, wrong[4] = { 0, 4 }, four[1] = { 4 };
    g_autofree char *bytes = read_file (cases[i].name, &size);
    g_autoptr (YoloCheckpoint) checkpoint = yolo_checkpoint_open (bytes, size, &error);
    g_assert_no_error (error);
    const YoloPickleValue *model =
        yolo_pickle_lookup (yolo_checkpoint_root (checkpoint), cases[i].ema ? "ema" : "model");
    const YoloPickleValue *layers =
        yolo_pickle_lookup (yolo_pickle_attribute (model, "_modules"), "model");
    const YoloPickleValue *first =
        yolo_pickle_lookup (yolo_pickle_attribute (layers, "_modules"), "0");
    const YoloPickleValue *conv =
        yolo_pickle_lookup (yolo_pickle_attribute (first, "_modules"), "conv");
    const YoloPickleValue *weight =
        yolo_pickle_lookup (yolo_pickle_attribute (conv, "_parameters"), "weight");

    g_assert_true (yolo_checkpoint_is_tensor (weight));
    g_autofree float *numbers =
        yolo_checkpoint_floats (checkpoint, weight, "weight", 4, dims, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (dims[0], ==, 2);
    g_assert_cmpuint (dims[2], ==, 3);
    /* the first model draws weights of this size: what is read from wrong places is not */
    for (gsize k = 0; k < 2 * 3 * 3 * 3; k++)
      g_assert_cmpfloat (fabsf (numbers[k]), <, 2);
    g_assert_null (yolo_checkpoint_floats (checkpoint, weight, "weight", 4, wrong, &error));
    assert_error (&error, YOLO_NETWORK_ERROR_FORMAT, "weight has sizes that do not fit");
    g_assert_null (yolo_checkpoint_floats (checkpoint, weight, "weight", 1, four, &error));
    assert_error (&error, YOLO_NETWORK_ERROR_FORMAT, "weight has sizes that do not fit");
    g_assert_null (yolo_checkpoint_floats (checkpoint, first, "first", 1, four, &error));
    assert_error (&error, YOLO_NETWORK_ERROR_FORMAT, "first is not a tensor");
  }
}

/* A checkpoint of one tensor, whose storage is these bytes. */
typedef struct {
  const char *type, *bytes;
  gsize n_bytes;
  gint64 n;                     /* numbers in the storage, as the pickle says */
  gint64 offset;
  guint n_dims, n_strides;
  gint64 dims[3], strides[3];
} Single;

static void
put_int (GString *bytes, gint64 number)
{
  g_string_append (bytes, "\x8a\x08");
  put (bytes, 8, (guint64) number);
}

static void
put_tuple (GString *bytes, guint n, const gint64 *numbers)
{
  g_string_append_c (bytes, '(');
  for (guint i = 0; i < n; i++)
    put_int (bytes, numbers[i]);
  g_string_append_c (bytes, 't');
}

/* The file's numbers of the tensor and their count; NULL with @error. */
static float *
read_single (const Single *single, gsize *n, GError **error)
{
  g_autoptr (GString) pickle = g_string_new ("ctorch._utils\n_rebuild_tensor_v2\n((");
  g_autoptr (GError) unexpected = NULL;
  gsize dims[3] = { 0 };
  float *numbers;

  g_string_append_printf (pickle,
      "\x8c\x07storagectorch\n%s\n\x8c\x01"
      "0\x8c\x03"
      "cpu",
      single->type);
  put_int (pickle, single->n);
  g_string_append (pickle, "tQ");
  put_int (pickle, single->offset);
  put_tuple (pickle, single->n_dims, single->dims);
  put_tuple (pickle, single->n_strides, single->strides);
  g_string_append (pickle, "\x89}tR.");

  const Part parts[] = { { .name = "m/data.pkl", .data = pickle->str, .length = pickle->len },
    { .name = "m/data/0", .data = single->bytes, .length = single->n_bytes } };
  g_autoptr (GString) bytes = make_zip (parts, 2, TRUE);
  g_autoptr (YoloCheckpoint) checkpoint =
      yolo_checkpoint_open (bytes->str, bytes->len, &unexpected);
  g_assert_no_error (unexpected);
  numbers = yolo_checkpoint_floats (
      checkpoint, yolo_checkpoint_root (checkpoint), "it", single->n_dims, dims, error);
  *n = 1;
  for (guint d = 0; d < single->n_dims; d++)
    *n *= dims[d];
  return numbers;
}

static void
test_storages (void)
{
  static const struct {
    const char *type, *bytes;
    gsize n_bytes;
    float number;               /* the second */
  } cases[] = {
    { "HalfStorage", BYTES ("\0\0\x01\x3c"), 1 + 0x1p-10f },
    { "HalfStorage", BYTES ("\0\0\x01\x80"), -0x1p-24f },
    { "HalfStorage", BYTES ("\0\0\xff\x03"), 0x3ffp-24f },
    { "HalfStorage", BYTES ("\0\0\x00\x04"), 0x1p-14f },
    { "HalfStorage", BYTES ("\0\0\xff\x7b"), 65504 },
    { "HalfStorage", BYTES ("\0\0\x00\x80"), 0 },
    { "BFloat16Storage", BYTES ("\0\0\x81\xbf"), -(1 + 0x1p-7f) },
    { "FloatStorage", BYTES ("\0\0\0\0\x01\x00\x80\x3f"), 1 + 0x1p-23f },
    { "DoubleStorage", BYTES ("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xf8\x3f"), 1.5f },
    { "ByteStorage", BYTES ("\0\xff"), 255 },
    { "CharStorage", BYTES ("\0\xff"), -1 },
    { "ShortStorage", BYTES ("\0\0\x01\x80"), -32767 },
    { "IntStorage", BYTES ("\0\0\0\0\xff\xff\xff\xff"), -1 },
    { "LongStorage", BYTES ("\0\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff"), -2 },
  };
  g_autoptr (GError) error = NULL;
  gsize n;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    const Single single = { cases[i].type, cases[i].bytes, cases[i].n_bytes, 2, 0, 1, 1, { 2 },
      { 1 } };
    g_autofree float *numbers = read_single (&single, &n, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (n, ==, 2);
    g_assert_cmpfloat (numbers[0], ==, 0);
    g_assert_cmpfloat (numbers[1], ==, cases[i].number);
  }

  const Single infinite = { "HalfStorage", BYTES ("\0\x7c"), 1, 0, 1, 1, { 1 }, { 1 } };
  const Single odd = { "QInt8Storage", BYTES ("\0\x7c"), 2, 0, 1, 1, { 1 }, { 1 } };
  g_assert_null (read_single (&infinite, &n, &error));
  assert_error (&error, YOLO_NETWORK_ERROR_FORMAT, "not finite");
  g_assert_null (read_single (&odd, &n, &error));
  assert_error (&error, YOLO_NETWORK_ERROR_UNSUPPORTED, "lie in a QInt8Storage");
}

static void
test_layouts (void)
{
  static const struct {
    gint64 n, offset;
    guint n_dims, n_strides;
    gint64 dims[3], strides[3];
    const char *numbers;        /* NULL: an error */
  } cases[] = {
    { 6, 0, 2, 2, { 2, 3 }, { 3, 1 }, "123456" },
    { 6, 0, 2, 2, { 3, 2 }, { 1, 3 }, "142536" },
    { 6, 0, 3, 3, { 1, 3, 2 }, { 6, 1, 3 }, "142536" },
    { 6, 1, 2, 2, { 2, 2 }, { 3, 1 }, "2356" },
    { 6, 4, 2, 2, { 1, 2 }, { 127, 1 }, "56" },
    { 6, 5, 1, 1, { 4 }, { 0 }, "6666" },
    { 6, 2, 0, 0, { 0 }, { 0 }, "3" },
    { 6, 1, 2, 2, { 2, 3 }, { 3, 1 }, NULL },
    { 6, 6, 1, 1, { 1 }, { 1 }, NULL },
    { 6, -1, 1, 1, { 1 }, { 1 }, NULL },
    { 6, G_MAXINT64, 1, 1, { 1 }, { 1 }, NULL },
    { 6, 0, 1, 1, { 2 }, { -1 }, NULL },
    { 6, 0, 1, 1, { 0 }, { 1 }, NULL },
    { 6, 0, 1, 1, { -1 }, { 1 }, NULL },
    { 6, 0, 2, 1, { 2, 3 }, { 3 }, NULL },
    { 6, 0, 1, 1, { 2 }, { G_MAXINT64 }, NULL },
    { 6, 0, 1, 1, { 3 }, { G_MAXINT64 / 2 + 1 }, NULL },
    { 6, 0, 1, 1, { G_MAXINT64 }, { 1 }, NULL },
    { 6, 0, 1, 1, { G_MAXINT64 }, { 0 }, NULL },
    /* the same number as often as memory has no place for */
    { 6, 0, 1, 1, { G_MAXINT32 }, { 0 }, NULL },
    { 6, 0, 3, 3, { G_MAXINT32, G_MAXINT32, G_MAXINT32 }, { 0, 0, 0 }, NULL },
    { 7, 0, 1, 1, { 2 }, { 1 }, NULL },
    { -1, 0, 1, 1, { 2 }, { 1 }, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    Single single = { "ByteStorage", BYTES ("\1\2\3\4\5\6"), cases[i].n, cases[i].offset,
      cases[i].n_dims, cases[i].n_strides, { 0 }, { 0 } };
    gsize n;

    memcpy (single.dims, cases[i].dims, sizeof single.dims);
    memcpy (single.strides, cases[i].strides, sizeof single.strides);
    g_autofree float *numbers = read_single (&single, &n, &error);
    if (cases[i].numbers == NULL) {
      g_assert_null (numbers);
      g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
      continue;
    }
    g_assert_no_error (error);
    g_assert_cmpuint (n, ==, strlen (cases[i].numbers));
    for (gsize k = 0; k < n; k++)
      g_assert_cmpfloat (numbers[k], ==, cases[i].numbers[k] - '0');
  }
}

static void
test_refused (void)
{
  static const struct {
    const char *file, *text;
  } cases[] = {
    { "compressed.pt", "is compressed (deflate)" },
    { "big-endian.pt", "big-endian" },
    { "legacy.pt", "before version 1.6" },
    { "pickle.pt", "a Python pickle that PyTorch did not write" },
    { "script.pt", "a TorchScript program" },
    { "packed.pt", "'best.pt' lies in; unpack it" },
    { "arrays.pt", "torch.save() did not write" },
    { "weights.pt", "a safetensors file" },
    { "onnx.pt", "an ONNX file" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    gsize size;
    g_autofree char *bytes = read_file (cases[i].file, &size);

    g_assert_null (yolo_checkpoint_open (bytes, size, &error));
    assert_error (&error, YOLO_NETWORK_ERROR_UNSUPPORTED, cases[i].text);
  }
}

/* A file that is cut short is an error. Bytes that differ are either an error or of those that
 * nobody has looked at: tensors, and what a local header says once more. */
static void
test_damaged (void)
{
  gsize size;
  g_autofree char *bytes = read_file ("v8n-half.pt", &size);
  guint n_read = 0;

  for (gsize n = 0; n < size; n += 97) {
    g_autoptr (GError) error = NULL;
    g_autofree char *exact = g_memdup2 (bytes, n);

    g_assert_null (yolo_checkpoint_open (exact, n, &error));
    g_assert_true (error->domain == YOLO_NETWORK_ERROR);
  }
  for (gsize i = 0; i < size; i += 7) {
    g_autoptr (GError) error = NULL;

    bytes[i] ^= 0x55;
    g_autoptr (YoloCheckpoint) checkpoint = yolo_checkpoint_open (bytes, size, &error);
    g_assert_true ((checkpoint != NULL) == (error == NULL));
    n_read += checkpoint != NULL;
    bytes[i] ^= 0x55;
  }
  g_assert_cmpuint (n_read, >, 0);
  g_assert_cmpuint (n_read, <, size / 7);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/torch-file/numbers", test_numbers);
  g_test_add_func ("/torch-file/texts", test_texts);
  g_test_add_func ("/torch-file/containers", test_containers);
  g_test_add_func ("/torch-file/objects", test_objects);
  g_test_add_func ("/torch-file/bad-pickles", test_bad_pickles);
  g_test_add_func ("/torch-file/bombs", test_bombs);
  g_test_add_func ("/torch-file/zip", test_zip);
  g_test_add_func ("/torch-file/bad-zips", test_bad_zips);
  g_test_add_func ("/torch-file/tensors", test_tensors);
  g_test_add_func ("/torch-file/storages", test_storages);
  g_test_add_func ("/torch-file/layouts", test_layouts);
  g_test_add_func ("/torch-file/refused", test_refused);
  g_test_add_func ("/torch-file/damaged", test_damaged);
  return g_test_run ();
}
