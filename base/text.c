/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <string.h>

/* Whether a terminal or a log would do something else than show it. Source:
 * Unicode's categories Cc, Cf, Zl and Zp, and what is not assigned. */
static gboolean
is_dangerous (gunichar character)
{
  switch (g_unichar_type (character)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
    case G_UNICODE_PRIVATE_USE:
    case G_UNICODE_SURROGATE:
    case G_UNICODE_UNASSIGNED:
      return TRUE;
    default:
      return FALSE;
  }
}

char *
yolo_text_printable (const char *text, gsize max_bytes)
{
  gsize length = strnlen (text, max_bytes);
  gboolean cut = text[length] != '\0' && length == max_bytes;
  const char *end = text + length;
  GString *out = g_string_sized_new (length + 4);

  while (text < end) {
    gunichar character = g_utf8_get_char_validated (text, end - text);

    if (character == (gunichar) -2 && cut)
      break;                    /* the character that max_bytes cuts in two is left out */
    if (character == (gunichar) -1 || character == (gunichar) -2) {
      g_string_append_printf (out, "\\x%02x", (guint8) *text++);
      continue;
    }
    if (!is_dangerous (character))
      g_string_append_unichar (out, character);
    else if (character < 0x80)
      g_string_append_printf (out, "\\x%02x", character);
    else
      g_string_append_printf (out, "\\u{%04x}", character);
    text = g_utf8_next_char (text);
  }
  if (cut)
    g_string_append (out, "...");
  return g_string_free (out, FALSE);
}

const char *
yolo_text_skip_bom (const char *text)
{
  return g_str_has_prefix (text, "\xef\xbb\xbf") ? text + 3 : text;
}
