/* Python literals of the metadata. */

#include "network/literal.h"

#include <string.h>

static const struct {
  const char *text;
  const char *names[4];         /* of classes 0 to 3; all NULL and bad: no literal */
  gboolean bad;
} names[] = {
  {"{0: 'person', 1: 'bicycle'}", {"person", "bicycle"}, FALSE},
  {"{1:'b',0:'a'}", {"a", "b"}, FALSE},
  {"{0: 'a', 2: 'c',}", {"a", NULL, "c"}, FALSE},
  {"['a', 'b', 'c']", {"a", "b", "c"}, FALSE},
  {"('a', 'b')", {"a", "b"}, FALSE},
  {" [ 'a' , \"b\" ] ", {"a", "b"}, FALSE},
  {"{}", {NULL}, FALSE},
  {"[]", {NULL}, FALSE},
  {"{0: \"driver's cab\"}", {"driver's cab"}, FALSE},
  {"{0: 'driver\\'s \"cab\"'}", {"driver's \"cab\""}, FALSE},
  {"{0: 'a: b, {c}', 1: ']'}", {"a: b, {c}", "]"}, FALSE},
  {"{0: 'Stra\xc3\x9f" "e', 1: '\xe8\xbb\x8a'}", {"Stra\xc3\x9f" "e", "\xe8\xbb\x8a"}, FALSE},
  {"{0: '\\xdf', 1: '\\u8eca', 2: '\\U0001f697', 3: '\\101'}", {"\xc3\x9f", "\xe8\xbb\x8a", "\xf0\x9f\x9a\x97", "A"}, FALSE},
  {"{0: 'a\\\\b', 1: 'tab\\t', 2: 'q\\q', 3: 'two\\\nlines'}", {"a\\b", "tab\t", "q\\q", "twolines"}, FALSE},
  {"{0: 7, 1: 'x'}", {"7", "x"}, FALSE},
  {"{0: None, 1: True, 2: 'x'}", {NULL, NULL, "x"}, FALSE},
  {"{-1: 'a', 100000: 'b', 'c': 'd', 1: 'e'}", {NULL, "e"}, FALSE},
  {"{0: ['nested', {1: 'deep'}], 1: 'b'}", {NULL, "b"}, FALSE},
  {"{0: 1.5e3, 1: 'b'}", {NULL, "b"}, FALSE},
  {"{0: 'a', 0: 'b'}", {"b"}, FALSE},
  {"", {NULL}, TRUE},
  {"person", {NULL}, TRUE},
  {"'person'", {NULL}, TRUE},
  {"12", {NULL}, TRUE},
  {"{0: 'a'", {NULL}, TRUE},
  {"{0: 'a'} x", {NULL}, TRUE},
  {"{0: 'a' 1: 'b'}", {NULL}, TRUE},
  {"{0 'a'}", {NULL}, TRUE},
  {"{0: }", {NULL}, TRUE},
  {"{: 'a'}", {NULL}, TRUE},
  {"{,}", {NULL}, TRUE},
  {"['a',,'b']", {NULL}, TRUE},
  {"['a'}", {NULL}, TRUE},
  {"{0: 'a\n'}", {NULL}, TRUE},
  {"{0: 'open}", {NULL}, TRUE},
  {"{0: 'a\\", {NULL}, TRUE},
  {"{0: '\\x4'}", {NULL}, TRUE},
  {"{0: '\\ud800'}", {NULL}, TRUE},
  {"{0: '\\x00'}", {NULL}, TRUE},
  {"{0: '\xff'}", {NULL}, TRUE},
  {"{0: Nonesuch}", {NULL}, TRUE},
  {"{0: -}", {NULL}, TRUE},
  {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", {NULL}, TRUE},
};

static void
test_names (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GHashTable) found = literal_names (names[i].text);

    /* as TAP, which is UTF-8 */
    g_autofree char *shown = g_utf8_make_valid (names[i].text, -1);
    g_test_message ("%s", shown);
    g_assert_true ((found == NULL) == names[i].bad);
    for (guint c = 0; found != NULL && c < 4; c++)
      g_assert_cmpstr (g_hash_table_lookup (found, GUINT_TO_POINTER (c)), ==, names[i].names[c]);
  }
}

/* A literal that is cut off anywhere is none. */
static void
test_cut (void)
{
  const char *text = "{0: 'a\\u00df', 1: [\"b\", (None, -1.5)], 2: {3: True}}";

  for (gsize n = 0; n < strlen (text); n++) {
    g_autofree char *cut = g_strndup (text, n);
    g_assert_null (literal_names (cut));
  }
  g_autoptr (GHashTable) whole = literal_names (text);
  g_assert_nonnull (whole);
}

static const struct {
  const char *text;
  guint height, width;          /* 0: no size */
} sizes[] = {
  {"[384, 640]", 384, 640}, {"(384,640)", 384, 640}, {"640", 640, 640}, {"[640]", 640, 640},
  {"[384, 640, 3]", 0, 0}, {"[]", 0, 0}, {"[0, 640]", 0, 0}, {"[-32, 640]", 0, 0}, {"[384.0, 640]", 0, 0},
  {"['384', 640]", 0, 0}, {"384x640", 0, 0}, {"", 0, 0}, {"None", 0, 0}, {"{384: 640}", 0, 0},
  {"99999999999999999999", 0, 0}, {"[4294967296, 32]", 0, 0},
};

static void
test_sizes (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    guint height = 0, width = 0;

    g_test_message ("%s", sizes[i].text);
    g_assert_true (literal_size (sizes[i].text, &height, &width) == (sizes[i].height != 0));
    g_assert_cmpuint (height, ==, sizes[i].height);
    g_assert_cmpuint (width, ==, sizes[i].width);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/literal/names", test_names);
  g_test_add_func ("/network/literal/cut", test_cut);
  g_test_add_func ("/network/literal/sizes", test_sizes);
  return g_test_run ();
}
