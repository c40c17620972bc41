/* SPDX-License-Identifier: MIT */
#include "network/onnx/literal.h"
#include "base/text.h"

#include <string.h>

#define MAX_DEPTH 32
#define MAX_CLASS 99999
#define REPLACEMENT 0xfffd      /* U+FFFD, which stands for what cannot be shown */

typedef enum { NOTHING, INT, STRING, LIST, DICT, OTHER } Kind;

/* One literal. The parts of lists and dicts are not kept: they are handed to an EachFunc. */
typedef struct {
  Kind kind;
  /* INT: the number; LIST: its first part, or -1 where that is no number */
  gint64 number;
  /* owned; STRING: the text; LIST: its second part as text, or NULL */
  char *string;
  guint n_parts;                /* LIST: how many parts */
} Item;

/* Takes a part of a list or of a dict. @key: NULL in a list, whose parts @index counts
 * from 0. */
typedef void (*EachFunc) (gpointer data, gint64 index, const Item *key, const Item *value);

static gboolean read_item (const char **at, guint depth, Item *item, EachFunc each, gpointer data);

static void
skip_space (const char **at)
{
  while (g_ascii_isspace (**at))
    (*at)++;
}

static gboolean
take (const char **at, char c)
{
  skip_space (at);
  if (**at != c)
    return FALSE;
  (*at)++;
  return TRUE;
}

static gboolean
read_hex (const char **at, guint digits, gunichar *c)
{
  *c = 0;
  for (guint i = 0; i < digits; i++, (*at)++) {
    if (!g_ascii_isxdigit (**at))
      return FALSE;
    *c = *c << 4 | (gunichar) g_ascii_xdigit_value (**at);
  }
  return TRUE;
}

/* Appends a character. One that no string can hold here becomes the replacement, since a
 * strange name is better than none. */
static void
append_char (GString *string, gunichar c)
{
  g_string_append_unichar (string, c != 0 && g_unichar_validate (c) ? c : REPLACEMENT);
}

/* A character beyond U+FFFF is two escapes. Source: RFC 8259, section 7. */
static gboolean
read_unicode_escape (const char **at, GString *string)
{
  gunichar high, low;
  const char *behind;

  if (!read_hex (at, 4, &high))
    return FALSE;
  behind = *at + 2;
  if (high >= 0xd800 && high < 0xdc00 && g_str_has_prefix (*at, "\\u")
      && read_hex (&behind, 4, &low) && low >= 0xdc00 && low < 0xe000) {
    high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    *at = behind;
  }
  append_char (string, high);
  return TRUE;
}

/* Appends the character with this number, or in a bytes literal the byte. */
static void
append_code (GString *string, gunichar c, gboolean bytes)
{
  if (bytes && c != 0)
    g_string_append_c (string, (char) c);
  else
    append_char (string, c);
}

/* Source: The Python Language Reference, 2.4.1, string and bytes literals.
 * \N{NAME} stays as it is written: no table of Unicode's names is at hand. */
static gboolean
read_escape (const char **at, GString *string, gboolean bytes)
{
  static const char from[] = "\\'\"/abfnrtv", to[] = "\\'\"/\a\b\f\n\r\t\v";
  char c = *(*at)++;
  const char *known = c != '\0' ? strchr (from, c) : NULL;
  gunichar unichar;

  if (known != NULL) {
    g_string_append_c (string, to[known - from]);
  } else if (c == 'u' && !bytes) {
    return read_unicode_escape (at, string);
  } else if (c == 'x' || (c == 'U' && !bytes)) {
    if (!read_hex (at, c == 'x' ? 2 : 8, &unichar))
      return FALSE;
    append_code (string, unichar, bytes);
  } else if (c >= '0' && c <= '7') {
    unichar = (gunichar) (c - '0');
    for (int i = 0; i < 2 && **at >= '0' && **at <= '7'; i++)
      unichar = unichar * 8 + (gunichar) (*(*at)++ - '0');
    append_code (string, unichar, bytes);
  } else if (c == '\0') {
    return FALSE;
  } else if (c != '\n') {
    g_string_append_c (string, '\\');
    g_string_append_c (string, c);
  }
  return TRUE;
}

/* Reads a string. @prefix: the letters before the quote, of which only r and b count. Two
 * quotes within the string are one, as in YAML and CSV: nobody writes two strings without
 * a space between. */
static gboolean
read_string (const char **at, const char *prefix, Item *item)
{
  g_autoptr (GString) string = g_string_new (NULL);
  gboolean raw = strpbrk (prefix, "rR") != NULL, bytes = strpbrk (prefix, "bB") != NULL;
  char quote = *(*at)++;
  gboolean triple = (*at)[0] == quote && (*at)[1] == quote;

  *at += triple ? 2 : 0;
  for (;;) {
    if (**at == '\0' || (**at == '\n' && !triple))
      return FALSE;
    if (**at == quote && (!triple || ((*at)[1] == quote && (*at)[2] == quote))) {
      *at += triple ? 3 : 1;
      if (triple || **at != quote)
        break;
    } else if (**at == '\\' && !raw) {
      (*at)++;
      if (!read_escape (at, string, bytes))
        return FALSE;
      continue;
    }
    g_string_append_c (string, *(*at)++);
  }
  item->kind = STRING;
  item->string = g_utf8_make_valid (string->str, (gssize) string->len);
  return TRUE;
}

/* Whether all of @text is a number; else the item stays as it was. */
static gboolean
read_number (const char *text, Item *item)
{
  char *end_int, *end_double;
  gint64 number = g_ascii_strtoll (text, &end_int, 10);

  g_ascii_strtod (text, &end_double);
  if (*end_double != '\0' || strpbrk (text, "0123456789") == NULL)
    return FALSE;
  item->kind = end_int == end_double ? INT : OTHER;
  item->number = number;
  return TRUE;
}

static gboolean
is_constant (const char *word)
{
  static const char *const words[] = { "None", "True", "False", "null", "true", "false" };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (strcmp (word, words[i]) == 0)
      return TRUE;
  return FALSE;
}

/* Reads the arguments of OrderedDict ([(0, 'a')]), array (['a'], dtype=object) or np.int64
 * (0). The first argument that is a number, a string, a list or a dict stands for the
 * whole call. */
static gboolean
read_call (const char **at, guint depth, Item *item, EachFunc each, gpointer data)
{
  if (depth >= MAX_DEPTH)
    return FALSE;
  (*at)++;
  for (guint i = 0; !take (at, ')'); i++) {
    Item other = { NOTHING, 0, NULL, 0 };
    gboolean wanted = item->kind == NOTHING, done;
    const char *name;

    if (i > 0 && !take (at, ','))
      return FALSE;
    skip_space (at);
    for (name = *at; g_ascii_isalnum (*name) || *name == '_'; name++);
    skip_space (&name);
    if (*name == '=') {
      *at = name + 1;
      wanted = FALSE;
    }
    done = wanted ? read_item (at, depth + 1, item, each, data)
        : read_item (at, depth + 1, &other, NULL, NULL);
    g_free (other.string);
    if (!done)
      return FALSE;
    if (item->kind == OTHER)
      item->kind = NOTHING;
  }
  if (item->kind == NOTHING)
    item->kind = OTHER;
  return TRUE;
}

/* Reads what has no quotes: a number, a constant, a call, the prefix of a string, or a
 * string as YAML has it. */
static gboolean
read_bare (const char **at, guint depth, Item *item, EachFunc each, gpointer data)
{
  gsize length = strcspn (*at, ",:[](){}'\"<>=\r\n");
  g_autofree char *word = g_strndup (*at, length);

  *at += length;
  if ((**at == '\'' || **at == '"') && length <= 2 && strspn (word, "uUbBrR") == length)
    return read_string (at, word, item);
  if (length == 0)
    return FALSE;
  if (**at == '(')
    return read_call (at, depth, item, each, data);
  g_strchomp (word);
  if (is_constant (word)) {
    item->kind = OTHER;
  } else if (!read_number (word, item)) {
    item->kind = STRING;
    item->string = g_utf8_make_valid (word, -1);
  }
  return TRUE;
}

/* The number of a class: a number, or a string of digits, as JSON's keys are; -1 if it is
 * none. */
static gint64
class_of (const Item *item)
{
  guint64 number;

  if (item->kind == INT)
    return item->number >= 0 && item->number <= MAX_CLASS ? item->number : -1;
  if (item->kind == STRING
      && g_ascii_string_to_unsigned (item->string, 10, 0, MAX_CLASS, &number, NULL))
    return (gint64) number;
  return -1;
}

/* The name of a class as text, or NULL. It may be a number, {0: 7}, which Ultralytics
 * turns into text. */
static char *
name_of (const Item *item)
{
  if (item->kind == STRING && *item->string != '\0')
    return g_strdup (item->string);
  return item->kind == INT ? g_strdup_printf ("%" G_GINT64_FORMAT, item->number) : NULL;
}

static void
keep_pair (gpointer data, gint64 index, const Item *key, const Item *value)
{
  Item *list = data;

  if (key == NULL && index == 0)
    list->number = class_of (value);
  else if (key == NULL && index == 1)
    list->string = name_of (value);
  list->n_parts++;
}

static gboolean
read_part (
    const char **at, guint depth, gboolean is_dict, gint64 index, EachFunc each, gpointer data)
{
  Item key = { NOTHING, 0, NULL, 0 }, value = { NOTHING, 0, NULL, 0 };
  gboolean done = (!is_dict || (read_item (at, depth + 1, &key, NULL, NULL) && take (at, ':')))
      && read_item (at, depth + 1, &value, keep_pair, &value);

  if (done && each != NULL)
    each (data, index, is_dict ? &key : NULL, &value);
  g_free (key.string);
  g_free (value.string);
  return done;
}

/* Takes the comma between two parts. numpy prints an array of strings without commas. */
static gboolean
take_comma (const char **at, char close)
{
  return take (at, ',') || (close == ']' && (**at == '\'' || **at == '"'));
}

static gboolean
read_parts (const char **at, guint depth, char close, Item *item, EachFunc each, gpointer data)
{
  gboolean is_dict = close == '}';

  if (depth >= MAX_DEPTH)
    return FALSE;
  (*at)++;
  for (gint64 i = 0; !take (at, close); i++) {
    if (i > 0) {
      if (!take_comma (at, close))
        return FALSE;
      if (take (at, close))
        break;
    }
    if (!read_part (at, depth, is_dict, i, each, data))
      return FALSE;
  }
  item->kind = is_dict ? DICT : LIST;
  return TRUE;
}

/* Skips "<class 'str'>", which stands among the arguments of a defaultdict. */
static gboolean
skip_object (const char **at, Item *item)
{
  *at += strcspn (*at, ">");
  item->kind = OTHER;
  return take (at, '>');
}

static gboolean
read_item (const char **at, guint depth, Item *item, EachFunc each, gpointer data)
{
  skip_space (at);
  switch (**at) {
    case '[':
      return read_parts (at, depth, ']', item, each, data);
    case '(':
      return read_parts (at, depth, ')', item, each, data);
    case '{':
      return read_parts (at, depth, '}', item, each, data);
    case '<':
      return skip_object (at, item);
    default:
      return read_bare (at, depth, item, each, data);
  }
}

static gboolean
read_all (const char *text, Item *item, EachFunc each, gpointer data)
{
  const char *at = text;

  if (!read_item (&at, 0, item, each, data))
    return FALSE;
  skip_space (&at);
  return *at == '\0';
}

/* Adds a name, which becomes the table's; NULL: there is none. */
static void
add_name (GHashTable *names, gint64 number, char *name)
{
  if (name != NULL && number >= 0 && number <= MAX_CLASS)
    g_hash_table_insert (names, GINT_TO_POINTER ((gint) number), name);
  else
    g_free (name);
}

static void
add_part (gpointer data, gint64 index, const Item *key, const Item *value)
{
  gint64 number = key != NULL ? class_of (key) : index;

  if (key == NULL && value->kind == LIST && value->n_parts == 2)
    add_name (data, value->number, g_strdup (value->string));
  else if (key != NULL && key->kind == STRING && number < 0 && value->kind == INT)
    /* keys and values exchanged: {'person': 0} */
    add_name (data, value->number, name_of (key));
  else
    add_name (data, number, name_of (value));
}

static gboolean
read_names (const char *text, GHashTable *names, Item *item)
{
  gboolean done;

  g_hash_table_remove_all (names);
  *item = (Item) { NOTHING, 0, NULL, 0 };
  done = read_all (text, item, add_part, names);
  g_free (item->string);
  return done;
}

/* Reads names with nothing around them, one a line or with commas between. "0: a" gives
 * the number as well. */
static void
split_names (const char *text, GHashTable *names)
{
  g_auto (GStrv) parts = g_strsplit (text, strchr (text, '\n') != NULL ? "\n" : ",", MAX_CLASS + 1);

  for (gint64 i = 0; parts[i] != NULL; i++) {
    char *name = g_strstrip (parts[i]), *end;
    gint64 number = g_ascii_strtoll (name, &end, 10);

    if (end > name && *end == ':')
      name = g_strchug (end + 1);
    else
      number = i;
    add_name (names, number, *name != '\0' ? g_utf8_make_valid (name, -1) : NULL);
  }
}

GHashTable *
yolo_literal_names (const char *text)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  g_autofree char *bare = g_strstrip (g_strdup (yolo_text_skip_bom (text)));
  g_autofree char *list = g_strconcat ("[", bare, "]", NULL),
                  *dict = g_strconcat ("{", bare, "}", NULL);
  Item item;

  if (read_names (bare, names, &item) && item.kind != STRING)
    return item.kind == DICT || item.kind == LIST ? g_steal_pointer (&names) : NULL;
  if (*bare == '\0' || *bare == '(' || strpbrk (bare, "[]{}") != NULL)
    return NULL;
  if (!read_names (list, names, &item) && !read_names (dict, names, &item)) {
    g_hash_table_remove_all (names);
    split_names (bare, names);
  }
  return g_steal_pointer (&names);
}

typedef struct {
  gint64 values[2];
  guint n;
  gboolean bad;
} Pair;

static void
add_size (gpointer data, gint64 index, const Item *key, const Item *value)
{
  Pair *pair = data;

  if (value->kind != INT || value->number < 1 || value->number > G_MAXINT32 || pair->n == 2)
    pair->bad = TRUE;
  else
    pair->values[pair->n++] = value->number;
}

gboolean
yolo_literal_size (const char *text, guint *height, guint *width)
{
  Pair pair = { {0, 0}, 0, FALSE };
  Item item = { NOTHING, 0, NULL, 0 };
  gboolean done = read_all (text, &item, add_size, &pair);

  if (done && item.kind == INT)
    add_size (&pair, 0, NULL, &item);
  g_free (item.string);
  if (!done || pair.bad || pair.n == 0 || (item.kind != LIST && item.kind != INT))
    return FALSE;
  *height = (guint) pair.values[0];
  *width = (guint) pair.values[pair.n - 1];
  return TRUE;
}
