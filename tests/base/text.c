/* SPDX-License-Identifier: MIT */
/* Names that would command a terminal or forge a line are shown escaped. */

#include "base/text.h"

static void
test_printable (void)
{
  static const struct {
    const char *text;
    gsize max;
    const char *expected;
  } cases[] = {
    { "model.0.conv", 100, "model.0.conv" },
    { "", 100, "" },
    { "fußgänger 行人", 100, "fußgänger 行人" },
    { "\x1b]0;title\x07", 100, "\\x1b]0;title\\x07" },
    { "a\r\nERROR: forged\t", 100, "a\\x0d\\x0aERROR: forged\\x09" },
    { "\x7f", 100, "\\x7f" },
    { "\xc2\x9b" "31m", 100, "\\u{009b}31m" },          /* CSI as one character */
    { "\xe2\x80\xae" "gpj.exe", 100, "\\u{202e}gpj.exe" },      /* right to left from here */
    { "\xe2\x80\xa8", 100, "\\u{2028}" },
    { "\xff\xc3", 100, "\\xff\\xc3" },
    { "abcdef", 6, "abcdef" },
    { "abcdefg", 6, "abcdef..." },
    { "abcdeß", 6, "abcde..." },
    { "abc", 0, "..." },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *shown = yolo_text_printable (cases[i].text, cases[i].max);
    g_assert_cmpstr (shown, ==, cases[i].expected);
    g_assert_true (g_utf8_validate (shown, -1, NULL));
  }
}

static void
test_bom (void)
{
  g_assert_cmpstr (yolo_text_skip_bom ("\xef\xbb\xbfperson"), ==, "person");
  g_assert_cmpstr (yolo_text_skip_bom ("person"), ==, "person");
  g_assert_cmpstr (yolo_text_skip_bom ("\xef\xbb"), ==, "\xef\xbb");
  g_assert_cmpstr (yolo_text_skip_bom (""), ==, "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/text/printable", test_printable);
  g_test_add_func ("/text/bom", test_bom);
  return g_test_run ();
}
