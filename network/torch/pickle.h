/* SPDX-License-Identifier: MIT */
/* A Python pickle, read as data: nothing is imported, called or executed. */

#ifndef YOLO_TORCH_PICKLE_H
#define YOLO_TORCH_PICKLE_H

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  YOLO_PICKLE_NONE,
  YOLO_PICKLE_BOOL,   /* integer: 0 or 1 */
  YOLO_PICKLE_INT,    /* integer */
  YOLO_PICKLE_LONG,   /* a whole number of more than 64 bits: its value is not kept */
  YOLO_PICKLE_FLOAT,  /* number */
  YOLO_PICKLE_STRING,           /* text, length: UTF-8 as the file has it, unchecked */
  YOLO_PICKLE_BYTES,  /* text, length */
  YOLO_PICKLE_TUPLE,  /* items */
  YOLO_PICKLE_LIST,   /* items */
  YOLO_PICKLE_SET,    /* items */
  YOLO_PICKLE_DICT,   /* pairs */
  YOLO_PICKLE_GLOBAL,           /* module, text: a name, which stands for nothing */
  /* what a class or a function would have made: class, args; then state, items, pairs */
  YOLO_PICKLE_OBJECT,
  YOLO_PICKLE_PERSISTENT,       /* args: what names data outside of the pickle */
} YoloPickleType;

/* Values are shared, and may contain themselves: whoever descends bounds the depth. */
typedef struct _YoloPickleValue YoloPickleValue;

/* Growing lists of values, in the order of the file. */
typedef struct {
  YoloPickleValue **values;
  guint n, allocated;
} YoloPickleItems;

struct _YoloPickleValue {
  YoloPickleType type;
  union {
    gint64 integer;
    double number;
    struct {
      const char *text;   /* with a 0 behind it; it may have others within */
      gsize length;       /* bytes */
      const char *module;       /* "torch.nn.modules.conv" */
    };
    struct {
      YoloPickleItems items;
      YoloPickleItems pairs;    /* key and value in turn */
      YoloPickleValue *made_by; /* a GLOBAL, but in odd files */
      YoloPickleValue *args;    /* of NEWOBJ_EX a tuple of arguments and named arguments */
      YoloPickleValue *state;   /* what BUILD gave last; or NULL */
    };
  };
};

typedef struct _YoloPickle YoloPickle;

/* Whether the bytes begin as a pickle of these protocols does. */
gboolean yolo_pickle_is (const void *data, gsize size);

/**
 * yolo_pickle_read:
 * @data: a pickle of protocol 2 to 5
 * @size: bytes; what follows the pickle's end is not looked at
 *
 * Reads the opcodes (Python's Lib/pickletools.py describes them). A class or a
 * function is its name; a call becomes an object that holds the name and the
 * arguments. The memory that this takes is proportional to @size, whatever the
 * pickle says, and bounded. Any thread may call this.
 *
 * Returns: (transfer full): what owns all values, or NULL with @error: FORMAT
 * where the pickle is damaged, UNSUPPORTED for an opcode that is not understood,
 * and for more than a checkpoint's values. Errors give the offset in bytes
 */
YoloPickle *yolo_pickle_read (const void *data, gsize size, GError **error);
void yolo_pickle_free (YoloPickle *pickle);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloPickle, yolo_pickle_free)

/* The value that the pickle stands for. */
const YoloPickleValue *yolo_pickle_root (const YoloPickle *pickle);

/*
 * All functions below take NULL for a value that is not there, as they return it:
 * calls can be nested without a look at each result.
 */

/* Whether it is a string, and this one. */
gboolean yolo_pickle_is_string (const YoloPickleValue *value, const char *text);
/* The text of a string without a 0 in it; NULL of all else. */
const char *yolo_pickle_string (const YoloPickleValue *value);
/* An INT; a BOOL is none. */
gboolean yolo_pickle_int (const YoloPickleValue *value, gint64 *number);
/* An INT, a FLOAT. */
gboolean yolo_pickle_number (const YoloPickleValue *value, double *number);
/* A BOOL, or an INT of 0 or 1. */
gboolean yolo_pickle_bool (const YoloPickleValue *value, gboolean *truth);
/* NULL and Python's None. */
gboolean yolo_pickle_is_none (const YoloPickleValue *value);
/* The class of an object, "ultralytics.nn.modules.conv" and "Conv"; NULL of all else. */
const YoloPickleValue *yolo_pickle_class (const YoloPickleValue *object);
/* Whether a call of this function, or of this class, made the object. */
gboolean yolo_pickle_made_by (const YoloPickleValue *object, const char *module, const char *name);

/* The items of a tuple or a list, or of an object that is a list; n is 0 for all else. */
YoloPickleItems yolo_pickle_items (const YoloPickleValue *value);
/* Item i of these; NULL: there are fewer. */
const YoloPickleValue *yolo_pickle_item (const YoloPickleValue *value, guint i);
/* Keys and values in turn of a dict or an object that is one (OrderedDict); n is even, and 0 for
 * all else. A key may occur twice: the last one counts. */
YoloPickleItems yolo_pickle_pairs (const YoloPickleValue *value);
/* The value of a key that is a string, in a dict or an object that is one. */
const YoloPickleValue *yolo_pickle_lookup (const YoloPickleValue *dict, const char *key);
/* An attribute of an object, by its state. */
const YoloPickleValue *yolo_pickle_attribute (const YoloPickleValue *object, const char *name);

G_END_DECLS

#endif
