#include "network/literal.h"

#include <string.h>

#define MAX_DEPTH 32
#define MAX_CLASS 99999

typedef enum { NOTHING, INT, STRING, LIST, DICT, OTHER } Kind;

/* One literal, read in place. Lists and dicts hand their parts to `each`. */
typedef struct {
  Kind kind;
  gint64 number;                /* INT */
  char *string;                 /* STRING; owned */
} Item;

typedef void (*EachFunc) (gpointer data, const Item *key, const Item *value);

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
  return g_unichar_validate (*c) && *c != 0;
}

/* Source: The Python Language Reference, 2.4.1, string and bytes literals. */
static gboolean
read_escape (const char **at, GString *string)
{
  static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
  char c = *(*at)++;
  const char *known = c != '\0' ? strchr (from, c) : NULL;
  gunichar unichar;

  if (known != NULL) {
    g_string_append_c (string, to[known - from]);
  } else if (c == 'x' || c == 'u' || c == 'U') {
    if (!read_hex (at, c == 'x' ? 2 : c == 'u' ? 4 : 8, &unichar))
      return FALSE;
    g_string_append_unichar (string, unichar);
  } else if (c >= '0' && c <= '7') {
    unichar = (gunichar) (c - '0');
    for (int i = 0; i < 2 && **at >= '0' && **at <= '7'; i++)
      unichar = unichar * 8 + (gunichar) (*(*at)++ - '0');
    if (unichar == 0)
      return FALSE;
    g_string_append_unichar (string, unichar);
  } else if (c == '\0') {
    return FALSE;
  } else if (c != '\n') {
    g_string_append_c (string, '\\');
    g_string_append_c (string, c);
  }
  return TRUE;
}

static gboolean
read_string (const char **at, Item *item)
{
  g_autoptr (GString) string = g_string_new (NULL);
  char quote = *(*at)++;

  while (**at != quote) {
    if (**at == '\0' || **at == '\n')
      return FALSE;
    if (**at == '\\') {
      (*at)++;
      if (!read_escape (at, string))
        return FALSE;
    } else {
      g_string_append_c (string, *(*at)++);
    }
  }
  (*at)++;
  if (!g_utf8_validate (string->str, string->len, NULL))
    return FALSE;
  item->kind = STRING;
  item->string = g_strdup (string->str);
  return TRUE;
}

static gboolean
read_number (const char **at, Item *item)
{
  char *end_int, *end_double;

  item->number = g_ascii_strtoll (*at, &end_int, 10);
  g_ascii_strtod (*at, &end_double);
  if (end_double == *at)
    return FALSE;
  item->kind = end_int == end_double ? INT : OTHER;
  *at = end_double;
  return TRUE;
}

static gboolean
read_word (const char **at, Item *item)
{
  static const char *const words[] = { "None", "True", "False" };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
    gsize n = strlen (words[i]);
    if (strncmp (*at, words[i], n) == 0 && !g_ascii_isalnum ((*at)[n]) && (*at)[n] != '_') {
      *at += n;
      item->kind = OTHER;
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
read_part (const char **at, guint depth, gboolean is_dict, gint64 index, EachFunc each, gpointer data)
{
  Item key = { INT, index, NULL }, value = { NOTHING, 0, NULL };
  gboolean done = (!is_dict || (read_item (at, depth + 1, &key, NULL, NULL) && take (at, ':')))
      && read_item (at, depth + 1, &value, NULL, NULL);

  if (done && each != NULL)
    each (data, &key, &value);
  g_free (key.string);
  g_free (value.string);
  return done;
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
      if (!take (at, ','))
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

static gboolean
read_item (const char **at, guint depth, Item *item, EachFunc each, gpointer data)
{
  skip_space (at);
  switch (**at) {
    case '\'':
    case '"':
      return read_string (at, item);
    case '[':
      return read_parts (at, depth, ']', item, each, data);
    case '(':
      return read_parts (at, depth, ')', item, each, data);
    case '{':
      return read_parts (at, depth, '}', item, each, data);
    default:
      return g_ascii_isdigit (**at) || **at == '-' || **at == '.' ? read_number (at, item) : read_word (at, item);
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

static void
add_name (gpointer data, const Item *key, const Item *value)
{
  /* A name may be a number, {0: 7}: Ultralytics turns it into text. */
  if (key->kind != INT || key->number < 0 || key->number > MAX_CLASS)
    return;
  if (value->kind == STRING)
    g_hash_table_insert (data, GINT_TO_POINTER ((gint) key->number), g_strdup (value->string));
  else if (value->kind == INT)
    g_hash_table_insert (data, GINT_TO_POINTER ((gint) key->number), g_strdup_printf ("%" G_GINT64_FORMAT, value->number));
}

GHashTable *
literal_names (const char *text)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  Item item = { NOTHING, 0, NULL };
  gboolean done = read_all (text, &item, add_name, names);

  g_free (item.string);
  return done && (item.kind == DICT || item.kind == LIST) ? g_steal_pointer (&names) : NULL;
}

typedef struct {
  gint64 values[2];
  guint n;
  gboolean bad;
} Pair;

static void
add_size (gpointer data, const Item *key, const Item *value)
{
  Pair *pair = data;

  if (value->kind != INT || value->number < 1 || value->number > G_MAXINT32 || pair->n == 2)
    pair->bad = TRUE;
  else
    pair->values[pair->n++] = value->number;
}

gboolean
literal_size (const char *text, guint *height, guint *width)
{
  Pair pair = { {0, 0}, 0, FALSE };
  Item item = { NOTHING, 0, NULL };
  gboolean done = read_all (text, &item, add_size, &pair);

  if (done && item.kind == INT)
    add_size (&pair, NULL, &item);
  g_free (item.string);
  if (!done || pair.bad || pair.n == 0 || (item.kind != LIST && item.kind != INT))
    return FALSE;
  *height = (guint) pair.values[0];
  *width = (guint) pair.values[pair.n - 1];
  return TRUE;
}
