/* SPDX-License-Identifier: MIT */
#include "network/torch/pickle.h"
#include "base/error.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* A YOLO's checkpoint has 20,000 values and five references to each, one with its optimizer
 * 100,000 values. */
#define MAX_VALUES (1u << 20)
#define MAX_REFERENCES (1u << 22)
#define MAX_SIZE (64u << 20)    /* bytes of a pickle, without the tensors: they are elsewhere */
#define BLOCK_SIZE (64u << 10)
/* A dict with more pairs has none that are looked up by a name; their number bounds the time. */
#define MAX_LOOKUP 4096
#define MIN_PROTOCOL 2
#define MAX_PROTOCOL 5

/* The opcodes that are understood, by Python's Lib/pickle.py. */
enum {
  OP_MARK = '(',
  OP_STOP = '.',
  OP_POP = '0',
  OP_POP_MARK = '1',
  OP_DUP = '2',
  OP_BINFLOAT = 'G',
  OP_BININT = 'J',
  OP_BININT1 = 'K',
  OP_BININT2 = 'M',
  OP_NONE = 'N',
  OP_BINPERSID = 'Q',
  OP_REDUCE = 'R',
  OP_BINSTRING = 'T',
  OP_SHORT_BINSTRING = 'U',
  OP_BINUNICODE = 'X',
  OP_APPEND = 'a',
  OP_BUILD = 'b',
  OP_GLOBAL = 'c',
  OP_DICT = 'd',
  OP_EMPTY_DICT = '}',
  OP_APPENDS = 'e',
  OP_BINGET = 'h',
  OP_LONG_BINGET = 'j',
  OP_LIST = 'l',
  OP_EMPTY_LIST = ']',
  OP_BINPUT = 'q',
  OP_LONG_BINPUT = 'r',
  OP_SETITEM = 's',
  OP_TUPLE = 't',
  OP_EMPTY_TUPLE = ')',
  OP_SETITEMS = 'u',
  /* protocol 2 */
  OP_PROTO = 0x80,
  OP_NEWOBJ = 0x81,
  OP_TUPLE1 = 0x85,
  OP_TUPLE2 = 0x86,
  OP_TUPLE3 = 0x87,
  OP_NEWTRUE = 0x88,
  OP_NEWFALSE = 0x89,
  OP_LONG1 = 0x8a,
  OP_LONG4 = 0x8b,
  /* protocols 3 to 5 */
  OP_BINBYTES = 'B',
  OP_SHORT_BINBYTES = 'C',
  OP_SHORT_BINUNICODE = 0x8c,
  OP_BINUNICODE8 = 0x8d,
  OP_BINBYTES8 = 0x8e,
  OP_EMPTY_SET = 0x8f,
  OP_ADDITEMS = 0x90,
  OP_FROZENSET = 0x91,
  OP_NEWOBJ_EX = 0x92,
  OP_STACK_GLOBAL = 0x93,
  OP_MEMOIZE = 0x94,
  OP_FRAME = 0x95,
  OP_BYTEARRAY8 = 0x96,
};

/* The others that Python knows, for messages. */
static const struct {
  guint8 opcode;
  const char *name;
} other_opcodes[] = {
  { 'F', "FLOAT" },
  { 'I', "INT" },
  { 'L', "LONG" },
  { 'P', "PERSID" },
  { 'S', "STRING" },
  { 'V', "UNICODE" },
  { 'g', "GET" },
  { 'i', "INST" },
  { 'o', "OBJ" },
  { 'p', "PUT" },
  { 0x82, "EXT1" },
  { 0x83, "EXT2" },
  { 0x84, "EXT4" },
  { 0x97, "NEXT_BUFFER" },
  { 0x98, "READONLY_BUFFER" },
};

struct _YoloPickle {
  GPtrArray *blocks;            /* of memory, that hold all values and texts */
  guint8 *free;      /* in the last block */
  gsize left;        /* bytes there */
  const YoloPickleValue *root;
};

typedef struct {
  YoloPickle *pickle;
  const guint8 *bytes;
  gsize size, at;        /* `at`: of the next byte to read */
  gsize op_at;           /* of the opcode that is being run, for messages */
  YoloPickleItems stack;        /* a mark is NULL */
  YoloPickleItems memo;  /* NULL: not set */
  guint n_remembered;    /* slots of the memo that are set */
  /* An opcode adds at most one value, and at most as many references as there are on the stack:
   * the numbers are looked at after each. */
  guint n_values, n_references;
} Reader;

static gpointer
allocate (YoloPickle *pickle, gsize size)
{
  gpointer memory;

  size = (size + 15) / 16 * 16;
  if (size > pickle->left) {
    /* Large ones get a block of their own, and the rest of the last one stays in use. */
    if (size > BLOCK_SIZE / 4) {
      memory = g_malloc0 (size);
      g_ptr_array_add (pickle->blocks, memory);
      return memory;
    }
    pickle->free = g_malloc0 (BLOCK_SIZE);
    pickle->left = BLOCK_SIZE;
    g_ptr_array_add (pickle->blocks, pickle->free);
  }
  memory = pickle->free;
  pickle->free += size;
  pickle->left -= size;
  return memory;
}

/* Sets the error that the pickle does what it must not, and is FALSE. */
static gboolean
damaged (const Reader *reader, const char *what, GError **error)
{
  return yolo_network_fail (
      error, FORMAT, "its pickle %s, at byte %" G_GSIZE_FORMAT, what, reader->op_at);
}

static void
append (Reader *reader, YoloPickleItems *items, YoloPickleValue *value)
{
  if (items->n == items->allocated) {
    guint allocated = MAX (items->allocated * 2, 4);
    YoloPickleValue **values = allocate (reader->pickle, allocated * sizeof *values);

    if (items->n > 0)
      memcpy (values, items->values, items->n * sizeof *values);
    items->values = values;
    items->allocated = allocated;
  }
  items->values[items->n++] = value;
  reader->n_references++;
}

/* An expression that is TRUE, as those are that can fail. */
static gboolean
push (Reader *reader, YoloPickleValue *value)
{
  append (reader, &reader->stack, value);
  return TRUE;
}

/* A new value on the stack. */
static YoloPickleValue *
push_new (Reader *reader, YoloPickleType type)
{
  YoloPickleValue *value = allocate (reader->pickle, sizeof *value);

  value->type = type;
  push (reader, value);
  reader->n_values++;
  return value;
}

/* The value that lies `depth` below the top, which must not be a mark; NULL with @error. */
static YoloPickleValue *
peek (Reader *reader, guint depth, GError **error)
{
  YoloPickleItems *stack = &reader->stack;
  YoloPickleValue *value = depth < stack->n ? stack->values[stack->n - 1 - depth] : NULL;

  if (value == NULL)
    damaged (reader, "takes a value that is not there", error);
  return value;
}

static YoloPickleValue *
pop (Reader *reader, GError **error)
{
  YoloPickleValue *value = peek (reader, 0, error);

  if (value != NULL)
    reader->stack.n--;
  return value;
}

/* The values down to the last mark, which goes with them: they stay where they are until
 * something is pushed. */
static gboolean
pop_mark (Reader *reader, YoloPickleItems *items, GError **error)
{
  YoloPickleItems *stack = &reader->stack;
  guint i = stack->n;

  while (i > 0 && stack->values[i - 1] != NULL)
    i--;
  if (i == 0)
    return damaged (reader, "lacks a mark", error);
  *items = (YoloPickleItems){ stack->values + i, stack->n - i, 0 };
  stack->n = i - 1;
  return TRUE;
}

/* Makes a value of n values that are about to leave the stack. */
static YoloPickleItems
copy_items (Reader *reader, YoloPickleItems from)
{
  YoloPickleItems copy = { NULL, from.n, from.n };

  if (from.n > 0) {
    copy.values = allocate (reader->pickle, from.n * sizeof *copy.values);
    memcpy (copy.values, from.values, from.n * sizeof *copy.values);
  }
  return copy;
}

static const guint8 *
take (Reader *reader, guint64 n, GError **error)
{
  const guint8 *bytes = reader->bytes + reader->at;

  if (n > reader->size - reader->at) {
    damaged (reader, "ends within an opcode", error);
    return NULL;
  }
  reader->at += (gsize) n;
  return bytes;
}

/* A number of n bytes, little end first. */
static gboolean
take_number (Reader *reader, guint n, guint64 *number, GError **error)
{
  const guint8 *bytes = take (reader, n, error);

  *number = 0;
  for (guint i = 0; bytes != NULL && i < n; i++)
    *number |= (guint64) bytes[i] << 8 * i;
  return bytes != NULL;
}

static const char *
copy_text (Reader *reader, const guint8 *bytes, gsize n)
{
  char *text = allocate (reader->pickle, n + 1);

  memcpy (text, bytes, n);
  return text;
}

static gboolean
push_int (Reader *reader, gint64 number)
{
  push_new (reader, YOLO_PICKLE_INT)->integer = number;
  return TRUE;
}

/* Text whose length stands in front of it, in `prefix` bytes. */
static gboolean
read_text (Reader *reader, YoloPickleType type, guint prefix, GError **error)
{
  guint64 n;
  const guint8 *bytes;
  YoloPickleValue *value;

  if (!take_number (reader, prefix, &n, error) || (bytes = take (reader, n, error)) == NULL)
    return FALSE;
  value = push_new (reader, type);
  value->text = copy_text (reader, bytes, (gsize) n);
  value->length = (gsize) n;
  return TRUE;
}

/* A whole number in two's complement. */
static gboolean
read_long (Reader *reader, guint prefix, GError **error)
{
  guint64 n, number = 0;
  const guint8 *bytes;

  if (!take_number (reader, prefix, &n, error) || (bytes = take (reader, n, error)) == NULL)
    return FALSE;
  if (n > 8)
    return push_new (reader, YOLO_PICKLE_LONG) != NULL;
  for (guint i = 0; i < 8; i++) {
    guint sign = n > 0 && bytes[n - 1] & 128 ? 255 : 0;
    number |= (guint64) (i < n ? bytes[i] : sign) << 8 * i;
  }
  return push_int (reader, (gint64) number);
}

/* Big end first, other than all else. */
static gboolean
read_float (Reader *reader, GError **error)
{
  const guint8 *bytes = take (reader, 8, error);
  guint64 bits = 0;

  if (bytes == NULL)
    return FALSE;
  for (guint i = 0; i < 8; i++)
    bits = bits << 8 | bytes[i];
  memcpy (&push_new (reader, YOLO_PICKLE_FLOAT)->number, &bits, sizeof bits);
  return TRUE;
}

/* Module and name, a line each. */
static gboolean
read_global (Reader *reader, GError **error)
{
  const char *lines[2];
  gsize lengths[2];
  YoloPickleValue *value;

  for (guint i = 0; i < 2; i++) {
    const guint8 *start = reader->bytes + reader->at;
    const guint8 *end = memchr (start, '\n', reader->size - reader->at);

    if (end == NULL)
      return damaged (reader, "ends within a name", error);
    lengths[i] = (gsize) (end - start);
    lines[i] = copy_text (reader, start, lengths[i]);
    reader->at += lengths[i] + 1;
  }
  value = push_new (reader, YOLO_PICKLE_GLOBAL);
  value->module = lines[0];
  value->text = lines[1];
  value->length = lengths[1];
  return TRUE;
}

static gboolean
stack_global (Reader *reader, GError **error)
{
  const YoloPickleValue *name = pop (reader, error);
  const YoloPickleValue *module = name != NULL ? pop (reader, error) : NULL;
  YoloPickleValue *value;

  if (module == NULL)
    return FALSE;
  if (name->type != YOLO_PICKLE_STRING || module->type != YOLO_PICKLE_STRING)
    return damaged (reader, "names a class by what is no text", error);
  value = push_new (reader, YOLO_PICKLE_GLOBAL);
  value->module = module->text;
  value->text = name->text;
  value->length = name->length;
  return TRUE;
}

/* REDUCE and NEWOBJ (n 2), NEWOBJ_EX (3): what is called and its arguments. */
static gboolean
make_object (Reader *reader, guint n, GError **error)
{
  YoloPickleValue *part[3], *value;

  for (guint i = 0; i < n; i++) {
    part[n - 1 - i] = pop (reader, error);
    if (part[n - 1 - i] == NULL)
      return FALSE;
  }
  value = push_new (reader, YOLO_PICKLE_OBJECT);
  value->made_by = part[0];
  value->args = part[1];
  return TRUE;
}

/* What the items, or pairs, that are about to be added belong to. */
static YoloPickleItems *
container (Reader *reader, YoloPickleValue *value, gboolean pairs, GError **error)
{
  YoloPickleType wanted = pairs ? YOLO_PICKLE_DICT : YOLO_PICKLE_LIST;

  if (value == NULL)
    return NULL;
  if (value->type != wanted && value->type != YOLO_PICKLE_OBJECT
      && (pairs || value->type != YOLO_PICKLE_SET)) {
    damaged (reader, "adds to a value that is no list, dict or object", error);
    return NULL;
  }
  return pairs ? &value->pairs : &value->items;
}

/* SETITEM, APPEND: the last one or two values go into the one below them. */
static gboolean
add_one (Reader *reader, gboolean pairs, GError **error)
{
  YoloPickleValue *second = pop (reader, error), *first = NULL;
  YoloPickleItems *items;

  if (second == NULL || (pairs && (first = pop (reader, error)) == NULL)
      || (items = container (reader, peek (reader, 0, error), pairs, error)) == NULL)
    return FALSE;
  if (pairs)
    append (reader, items, first);
  append (reader, items, second);
  return TRUE;
}

/* SETITEMS, APPENDS, ADDITEMS: those above the mark go into the one below it. */
static gboolean
add_many (Reader *reader, gboolean pairs, GError **error)
{
  YoloPickleItems added, *items;

  if (!pop_mark (reader, &added, error)
      || (items = container (reader, peek (reader, 0, error), pairs, error)) == NULL)
    return FALSE;
  if (pairs && added.n % 2 != 0)
    return damaged (reader, "has a key without a value", error);
  for (guint i = 0; i < added.n; i++)
    append (reader, items, added.values[i]);
  return TRUE;
}

/* TUPLE, LIST, FROZENSET, DICT: a value of those above the mark. */
static gboolean
make_marked (Reader *reader, YoloPickleType type, GError **error)
{
  YoloPickleItems items;
  YoloPickleValue *value;

  if (!pop_mark (reader, &items, error))
    return FALSE;
  if (type == YOLO_PICKLE_DICT && items.n % 2 != 0)
    return damaged (reader, "has a key without a value", error);
  items = copy_items (reader, items);
  value = push_new (reader, type);
  if (type == YOLO_PICKLE_DICT)
    value->pairs = items;
  else
    value->items = items;
  return TRUE;
}

/* TUPLE1 to TUPLE3. */
static gboolean
make_tuple (Reader *reader, guint n, GError **error)
{
  YoloPickleItems *stack = &reader->stack, items;

  for (guint i = 0; i < n; i++) {
    if (peek (reader, i, error) == NULL)
      return FALSE;
  }
  stack->n -= n;
  items = copy_items (reader, (YoloPickleItems){ stack->values + stack->n, n, 0 });
  push_new (reader, YOLO_PICKLE_TUPLE)->items = items;
  return TRUE;
}

static gboolean
build (Reader *reader, GError **error)
{
  YoloPickleValue *state = pop (reader, error);
  YoloPickleValue *object = state != NULL ? peek (reader, 0, error) : NULL;

  if (object == NULL)
    return FALSE;
  if (object->type != YOLO_PICKLE_OBJECT)
    return damaged (reader, "gives a state to what is no object", error);
  object->state = state;
  return TRUE;
}

static gboolean
persistent (Reader *reader, GError **error)
{
  YoloPickleValue *id = pop (reader, error);

  if (id == NULL)
    return FALSE;
  push_new (reader, YOLO_PICKLE_PERSISTENT)->args = id;
  return TRUE;
}

/* Slots may be set in any order, but a pickle has at least as many opcodes as slots. */
static gboolean
put (Reader *reader, guint64 slot, GError **error)
{
  YoloPickleValue *value = peek (reader, 0, error);

  if (value == NULL)
    return FALSE;
  if (slot > reader->size || slot >= MAX_VALUES)
    return damaged (reader, "remembers a value under an impossible number", error);
  while (reader->memo.n <= slot)
    append (reader, &reader->memo, NULL);
  reader->n_remembered += reader->memo.values[slot] == NULL;
  reader->memo.values[slot] = value;
  return TRUE;
}

static gboolean
get (Reader *reader, guint64 slot, GError **error)
{
  YoloPickleValue *value = slot < reader->memo.n ? reader->memo.values[slot] : NULL;

  if (value == NULL)
    return damaged (reader, "takes a value that was not remembered", error);
  return push (reader, value);
}

static gboolean
refuse_opcode (Reader *reader, guint8 opcode, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (other_opcodes); i++) {
    if (other_opcodes[i].opcode == opcode)
      return yolo_network_fail (error, UNSUPPORTED,
          "its pickle has the opcode %s (0x%02x), which PyTorch does not write, at byte "
          "%" G_GSIZE_FORMAT,
          other_opcodes[i].name, opcode, reader->op_at);
  }
  return yolo_network_fail (error, UNSUPPORTED,
      "its pickle has 0x%02x for an opcode, which is none, at byte %" G_GSIZE_FORMAT, opcode,
      reader->op_at);
}

/* Opcodes that make values of the bytes behind them. */
static gboolean
run_literal (Reader *reader, guint8 opcode, GError **error)
{
  guint64 n;

  switch (opcode) {
    case OP_NONE:
      return push_new (reader, YOLO_PICKLE_NONE) != NULL;
    case OP_NEWTRUE:
    case OP_NEWFALSE:
      push_new (reader, YOLO_PICKLE_BOOL)->integer = opcode == OP_NEWTRUE;
      return TRUE;
    case OP_BININT:
      return take_number (reader, 4, &n, error) && push_int (reader, (gint32) n);
    case OP_BININT1:
      return take_number (reader, 1, &n, error) && push_int (reader, (gint64) n);
    case OP_BININT2:
      return take_number (reader, 2, &n, error) && push_int (reader, (gint64) n);
    case OP_LONG1:
      return read_long (reader, 1, error);
    case OP_LONG4:
      return read_long (reader, 4, error);
    case OP_BINFLOAT:
      return read_float (reader, error);
    case OP_SHORT_BINUNICODE:
    case OP_SHORT_BINSTRING:
      return read_text (reader, YOLO_PICKLE_STRING, 1, error);
    case OP_BINUNICODE:
    case OP_BINSTRING:
      return read_text (reader, YOLO_PICKLE_STRING, 4, error);
    case OP_BINUNICODE8:
      return read_text (reader, YOLO_PICKLE_STRING, 8, error);
    case OP_SHORT_BINBYTES:
      return read_text (reader, YOLO_PICKLE_BYTES, 1, error);
    case OP_BINBYTES:
      return read_text (reader, YOLO_PICKLE_BYTES, 4, error);
    case OP_BINBYTES8:
    case OP_BYTEARRAY8:
      return read_text (reader, YOLO_PICKLE_BYTES, 8, error);
    case OP_EMPTY_DICT:
      return push_new (reader, YOLO_PICKLE_DICT) != NULL;
    case OP_EMPTY_LIST:
      return push_new (reader, YOLO_PICKLE_LIST) != NULL;
    case OP_EMPTY_TUPLE:
      return push_new (reader, YOLO_PICKLE_TUPLE) != NULL;
    case OP_EMPTY_SET:
      return push_new (reader, YOLO_PICKLE_SET) != NULL;
    case OP_GLOBAL:
      return read_global (reader, error);
  }
  return refuse_opcode (reader, opcode, error);
}

static gboolean
run_opcode (Reader *reader, guint8 opcode, GError **error)
{
  YoloPickleItems items;
  YoloPickleValue *value;
  guint64 n;

  switch (opcode) {
    case OP_PROTO:
      if (!take_number (reader, 1, &n, error))
        return FALSE;
      if (n < MIN_PROTOCOL || n > MAX_PROTOCOL)
        return yolo_network_fail (
            error, UNSUPPORTED, "its pickle is of protocol %u; 2 to 5 are read", (guint) n);
      return TRUE;
    case OP_FRAME: /* the size of what follows, for readers of streams */
      return take (reader, 8, error) != NULL;
    case OP_MARK:
      return push (reader, NULL);
    case OP_POP:
      if (reader->stack.n == 0)
        return damaged (reader, "takes a value that is not there", error);
      reader->stack.n--;
      return TRUE;
    case OP_POP_MARK:
      return pop_mark (reader, &items, error);
    case OP_DUP:
      value = peek (reader, 0, error);
      return value != NULL && push (reader, value);
    case OP_BINPUT:
      return take_number (reader, 1, &n, error) && put (reader, n, error);
    case OP_LONG_BINPUT:
      return take_number (reader, 4, &n, error) && put (reader, n, error);
    case OP_MEMOIZE:
      return put (reader, reader->n_remembered, error);
    case OP_BINGET:
      return take_number (reader, 1, &n, error) && get (reader, n, error);
    case OP_LONG_BINGET:
      return take_number (reader, 4, &n, error) && get (reader, n, error);
    case OP_TUPLE:
      return make_marked (reader, YOLO_PICKLE_TUPLE, error);
    case OP_LIST:
      return make_marked (reader, YOLO_PICKLE_LIST, error);
    case OP_FROZENSET:
      return make_marked (reader, YOLO_PICKLE_SET, error);
    case OP_DICT:
      return make_marked (reader, YOLO_PICKLE_DICT, error);
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
      return make_tuple (reader, opcode - OP_TUPLE1 + 1, error);
    case OP_APPEND:
      return add_one (reader, FALSE, error);
    case OP_SETITEM:
      return add_one (reader, TRUE, error);
    case OP_APPENDS:
    case OP_ADDITEMS:
      return add_many (reader, FALSE, error);
    case OP_SETITEMS:
      return add_many (reader, TRUE, error);
    case OP_STACK_GLOBAL:
      return stack_global (reader, error);
    case OP_REDUCE:
    case OP_NEWOBJ:
      return make_object (reader, 2, error);
    case OP_NEWOBJ_EX:
      return make_object (reader, 3, error);
    case OP_BUILD:
      return build (reader, error);
    case OP_BINPERSID:
      return persistent (reader, error);
  }
  return run_literal (reader, opcode, error);
}

gboolean
yolo_pickle_is (const void *data, gsize size)
{
  const guint8 *bytes = data;
  /* no opcode is 0; without a look at it, files that begin with a length may look alike */
  return size >= 3 && bytes[0] == OP_PROTO && bytes[1] >= MIN_PROTOCOL && bytes[1] <= MAX_PROTOCOL
      && bytes[2] != 0;
}

YoloPickle *
yolo_pickle_read (const void *data, gsize size, GError **error)
{
  g_autoptr (YoloPickle) pickle = g_new0 (YoloPickle, 1);
  Reader reader = { .pickle = pickle, .bytes = data, .size = size };

  pickle->blocks = g_ptr_array_new_with_free_func (g_free);
  if (size > MAX_SIZE) {
    yolo_network_set_error (error, UNSUPPORTED,
        "its pickle has %" G_GSIZE_FORMAT " bytes without the tensors; %u are read", size,
        MAX_SIZE);
    return NULL;
  }
  while (reader.at < size) {
    guint8 opcode = reader.bytes[reader.at];

    reader.op_at = reader.at++;
    if (opcode == OP_STOP) {
      pickle->root = pop (&reader, error);
      return pickle->root != NULL ? g_steal_pointer (&pickle) : NULL;
    }
    if (!run_opcode (&reader, opcode, error))
      return NULL;
    if (reader.n_values > MAX_VALUES || reader.n_references > MAX_REFERENCES) {
      yolo_network_set_error (error, UNSUPPORTED,
          "its pickle has more than %u values: that is no checkpoint of a YOLO", MAX_VALUES);
      return NULL;
    }
  }
  reader.op_at = size;
  damaged (&reader, "has no end: the file is cut short", error);
  return NULL;
}

void
yolo_pickle_free (YoloPickle *pickle)
{
  if (pickle == NULL)
    return;
  g_ptr_array_unref (pickle->blocks);
  g_free (pickle);
}

const YoloPickleValue *
yolo_pickle_root (const YoloPickle *pickle)
{
  return pickle->root;
}

gboolean
yolo_pickle_is_string (const YoloPickleValue *value, const char *text)
{
  return value != NULL && value->type == YOLO_PICKLE_STRING && value->length == strlen (text)
      && memcmp (value->text, text, value->length) == 0;
}

const char *
yolo_pickle_string (const YoloPickleValue *value)
{
  if (value == NULL || value->type != YOLO_PICKLE_STRING
      || memchr (value->text, 0, value->length) != NULL)
    return NULL;
  return value->text;
}

gboolean
yolo_pickle_int (const YoloPickleValue *value, gint64 *number)
{
  if (value == NULL || value->type != YOLO_PICKLE_INT)
    return FALSE;
  *number = value->integer;
  return TRUE;
}

gboolean
yolo_pickle_number (const YoloPickleValue *value, double *number)
{
  gint64 integer;

  if (value != NULL && value->type == YOLO_PICKLE_FLOAT) {
    *number = value->number;
    return TRUE;
  }
  if (!yolo_pickle_int (value, &integer))
    return FALSE;
  *number = (double) integer;
  return TRUE;
}

gboolean
yolo_pickle_bool (const YoloPickleValue *value, gboolean *truth)
{
  if (value == NULL || (value->type != YOLO_PICKLE_BOOL && value->type != YOLO_PICKLE_INT)
      || (value->integer != 0 && value->integer != 1))
    return FALSE;
  *truth = value->integer != 0;
  return TRUE;
}

gboolean
yolo_pickle_is_none (const YoloPickleValue *value)
{
  return value == NULL || value->type == YOLO_PICKLE_NONE;
}

const YoloPickleValue *
yolo_pickle_class (const YoloPickleValue *object)
{
  if (object == NULL || object->type != YOLO_PICKLE_OBJECT
      || object->made_by->type != YOLO_PICKLE_GLOBAL)
    return NULL;
  return object->made_by;
}

gboolean
yolo_pickle_made_by (const YoloPickleValue *object, const char *module, const char *name)
{
  const YoloPickleValue *class = yolo_pickle_class (object);
  return class != NULL && strcmp (class->module, module) == 0 && strcmp (class->text, name) == 0;
}

YoloPickleItems
yolo_pickle_items (const YoloPickleValue *value)
{
  if (value == NULL
      || (value->type != YOLO_PICKLE_TUPLE && value->type != YOLO_PICKLE_LIST
          && value->type != YOLO_PICKLE_OBJECT))
    return (YoloPickleItems){ 0 };
  return value->items;
}

const YoloPickleValue *
yolo_pickle_item (const YoloPickleValue *value, guint i)
{
  YoloPickleItems items = yolo_pickle_items (value);
  return i < items.n ? items.values[i] : NULL;
}

YoloPickleItems
yolo_pickle_pairs (const YoloPickleValue *value)
{
  if (value == NULL || (value->type != YOLO_PICKLE_DICT && value->type != YOLO_PICKLE_OBJECT))
    return (YoloPickleItems){ 0 };
  return value->pairs;
}

const YoloPickleValue *
yolo_pickle_lookup (const YoloPickleValue *dict, const char *key)
{
  YoloPickleItems pairs = yolo_pickle_pairs (dict);

  if (pairs.n > 2 * MAX_LOOKUP)
    return NULL;
  for (guint i = pairs.n; i > 0; i -= 2) {
    if (yolo_pickle_is_string (pairs.values[i - 2], key))
      return pairs.values[i - 1];
  }
  return NULL;
}

const YoloPickleValue *
yolo_pickle_attribute (const YoloPickleValue *object, const char *name)
{
  const YoloPickleValue *state, *found;

  if (object == NULL || object->type != YOLO_PICKLE_OBJECT || object->state == NULL)
    return NULL;
  state = object->state;
  if (state->type != YOLO_PICKLE_TUPLE)
    return yolo_pickle_lookup (state, name);
  /* of a class with __slots__: its dict, and the slots */
  found = yolo_pickle_lookup (yolo_pickle_item (state, 0), name);
  return found != NULL ? found : yolo_pickle_lookup (yolo_pickle_item (state, 1), name);
}
