/* SPDX-License-Identifier: MIT */
#include "pipelines/server/secret.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"

#define MAX_FILE 4096           /* bytes of a file with a secret */
#define MIN_HIDDEN 4            /* bytes; whoever hid less would hide every "a" of a text */
#define MAX_SHOWN 2000          /* bytes of a text that is shown */

static GMutex lock;             /* guards `known` */
static GPtrArray *known;        /* char *, the longest first; what was a secret stays one */

static int
longer_first (gconstpointer a, gconstpointer b)
{
  const gsize x = strlen (*(char *const *) a), y = strlen (*(char *const *) b);

  return x < y ? 1 : x > y ? -1 : 0;
}

void
yolo_secret_remember (const char *text)
{
  if (text == NULL || strlen (text) < MIN_HIDDEN)
    return;
  g_mutex_lock (&lock);
  if (known == NULL)
    known = g_ptr_array_new ();
  if (!g_ptr_array_find_with_equal_func (known, text, g_str_equal, NULL)) {
    g_ptr_array_add (known, g_strdup (text));
    g_ptr_array_sort (known, longer_first);
  }
  g_mutex_unlock (&lock);
}

char *
yolo_secret_hide (const char *text)
{
  g_autoptr (GString) hidden = g_string_new (text);

  g_mutex_lock (&lock);
  for (guint i = 0; known != NULL && i < known->len; i++)
    g_string_replace (hidden, g_ptr_array_index (known, i), "***", 0);
  g_mutex_unlock (&lock);
  return yolo_text_printable (hidden->str, MAX_SHOWN);
}

char *
yolo_secret_expand (const char *text, gboolean *expanded, GError **error)
{
  g_autoptr (GString) out = g_string_new (NULL);

  *expanded = FALSE;
  for (const char *at = text; *at != '\0'; at++) {
    const char *end;

    if (at[0] == '$' && at[1] == '$') {
      g_string_append_c (out, *at++);
    } else if (at[0] == '$' && at[1] == '{' && (end = strchr (at, '}')) != NULL) {
      g_autofree char *name = g_strndup (at + 2, end - at - 2);
      const char *value = g_getenv (name);

      if (value == NULL || !g_utf8_validate (value, -1, NULL)) {
        g_autofree char *shown = yolo_text_printable (name, 60);
        g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
            "the variable %s is not set in the environment; set it, or write $$ for a dollar",
            shown);
        return NULL;
      }
      yolo_secret_remember (value);
      g_string_append (out, value);
      *expanded = TRUE;
      at = end;
    } else {
      g_string_append_c (out, *at);
    }
  }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

char *
yolo_secret_read (const char *path, GError **error)
{
  gsize size;
  g_autofree char *text = yolo_file_read (path, MAX_FILE, &size, error);

  if (text == NULL)
    return NULL;
  text[strcspn (text, "\r\n")] = '\0';
  if (*text == '\0' || !g_utf8_validate (text, -1, NULL)) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "the first line is empty or no UTF-8");
    return NULL;
  }
  yolo_secret_remember (text);
  return g_steal_pointer (&text);
}

/* Where user and password of a URI begin and end, the '@' behind them; FALSE: it has neither. */
static gboolean
find_user (const char *uri, const char **begin, const char **end)
{
  const char *slashes = strstr (uri, "://");
  const char *at;

  if (slashes == NULL)
    return FALSE;
  *begin = slashes + 3;
  /* Passwords with an '@' in them are common, and wrong only by the letter: the last one counts. */
  *end = NULL;
  for (at = *begin; *at != '\0' && *at != '/' && *at != '?' && *at != '#'; at++)
    if (*at == '@')
      *end = at;
  return *end != NULL;
}

static char *
decode (const char *text, gsize length)
{
  g_autofree char *part = g_strndup (text, length);
  char *decoded = g_uri_unescape_string (part, NULL);

  return decoded != NULL ? decoded : g_steal_pointer (&part);
}

char *
yolo_secret_split (const char *uri, char **user, char **password)
{
  const char *begin, *end, *colon;

  *user = *password = NULL;
  if (!find_user (uri, &begin, &end))
    return g_strdup (uri);
  colon = memchr (begin, ':', end - begin);
  *user = decode (begin, (colon != NULL ? colon : end) - begin);
  if (colon != NULL) {
    g_autofree char *coded = g_strndup (colon + 1, end - colon - 1);

    *password = decode (colon + 1, end - colon - 1);
    yolo_secret_remember (coded);
    yolo_secret_remember (*password);
  }
  return g_strdup_printf ("%.*s%s", (int) (begin - uri), uri, end + 1);
}

/* Whether a text is `${NAME}` and nothing else. */
static gboolean
is_variable (const char *text, gsize length)
{
  return length > 3 && g_str_has_prefix (text, "${")
      && memchr (text, '}', length) == text + length - 1;
}

gboolean
yolo_secret_is_variable (const char *text)
{
  return is_variable (text, strlen (text));
}

gboolean
yolo_secret_is_open (const char *uri)
{
  const char *begin, *end, *colon;

  return find_user (uri, &begin, &end)
      && (colon = memchr (begin, ':', end - begin)) != NULL
      && !is_variable (colon + 1, end - colon - 1);
}

char *
yolo_secret_mask (const char *uri)
{
  const char *begin, *end, *colon;

  if (!find_user (uri, &begin, &end) || (colon = memchr (begin, ':', end - begin)) == NULL)
    return g_strdup (uri);
  return g_strdup_printf ("%.*s***%s", (int) (colon + 1 - uri), uri, end);
}
