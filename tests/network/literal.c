/* SPDX-License-Identifier: MIT */
/* Python literals of the metadata. */

#include "network/onnx/literal.h"

#include <string.h>

static const struct {
  const char *text;
  const char *names[4];         /* names of classes 0 to 3, NULL where there is none */
  gboolean bad;
} names[] = {
  { "{0: 'person', 1: 'bicycle'}", { "person", "bicycle" }, FALSE },
  { "{1:'b',0:'a'}", { "a", "b" }, FALSE },
  { "{0: 'a', 2: 'c',}", { "a", NULL, "c" }, FALSE },
  { "['a', 'b', 'c']", { "a", "b", "c" }, FALSE },
  { "('a', 'b')", { "a", "b" }, FALSE },
  { " [ 'a' , \"b\" ] ", { "a", "b" }, FALSE },
  { "{}", { NULL }, FALSE },
  { "[]", { NULL }, FALSE },
  { "{0: \"driver's cab\"}", { "driver's cab" }, FALSE },
  { "{0: 'driver\\'s \"cab\"'}", { "driver's \"cab\"" }, FALSE },
  { "{0: 'a: b, {c}', 1: ']'}", { "a: b, {c}", "]" }, FALSE },
  { "{0: 'Stra\xc3\x9f"
    "e', 1: '\xe8\xbb\x8a'}",
      { "Stra\xc3\x9f"
        "e",
          "\xe8\xbb\x8a" },
      FALSE },
  { "{0: '\\xdf', 1: '\\u8eca', 2: '\\U0001f697', 3: '\\101'}",
      { "\xc3\x9f", "\xe8\xbb\x8a", "\xf0\x9f\x9a\x97", "A" }, FALSE },
  { "{0: 'a\\\\b', 1: 'tab\\t', 2: 'q\\q', 3: 'two\\\nlines'}",
      { "a\\b", "tab\t", "q\\q", "twolines" }, FALSE },
  { "{0: 7, 1: 'x'}", { "7", "x" }, FALSE },
  { "{0: None, 1: True, 2: 'x'}", { NULL, NULL, "x" }, FALSE },
  { "{-1: 'a', 100000: 'b', 'c': 'd', 1: 'e', 99999999999999999999: 'f', 1.5: 'g'}", { NULL, "e" },
      FALSE },
  { "{0: ['nested', {1: 'deep'}], 1: 'b'}", { NULL, "b" }, FALSE },
  { "{0: 1.5e3, 1: 'b'}", { NULL, "b" }, FALSE },
  { "{0: 'a', 0: 'b'}", { "b" }, FALSE },
  /* strings as Python writes them */
  { "{0: u'a', 1: b'caf\\xc3\\xa9', 2: R'a\\n', 3: rb\"b\"}", { "a", "caf\xc3\xa9", "a\\n", "b" },
      FALSE },
  { "{0: '\\N{DASH}', 1: b'\\u0041', 2: '\\x00', 3: '\\ud800'}",
      { "\\N{DASH}", "\\u0041", "\xef\xbf\xbd", "\xef\xbf\xbd" }, FALSE },
  { "{0: '\\ud83d\\ude97', 1: '\\ud83dx', 2: '\\ude97', 3: '\\U00110000'}",
      { "\xf0\x9f\x9a\x97", "\xef\xbf\xbdx", "\xef\xbf\xbd", "\xef\xbf\xbd" }, FALSE },
  { "{0: '\xff', 1: b'\\xff', 2: 'a\\/b'}", { "\xef\xbf\xbd", "\xef\xbf\xbd", "a/b" }, FALSE },
  { "{0: 'driver''s cab', 1: \"a \"\"b\"\"\", 2: '', 3: 'x'}",
      { "driver's cab", "a \"b\"", NULL, "x" }, FALSE },
  { "['''a'b''', \"\"\"c\nd\"\"\"]", { "a'b", "c\nd" }, FALSE },
  /* JSON, and dicts the other way round */
  { "{\"0\": \"person\", \"1\": \"car\"}", { "person", "car" }, FALSE },
  { "{\"0\": null, \"01\": true, \"2\": 7}", { NULL, NULL, "7" }, FALSE },
  { "{'person': 0, 'car': 2, 'far': 100000, 'near': -1}", { "person", NULL, "car" }, FALSE },
  /* other types of Python and numpy */
  { "OrderedDict([(0, 'a'), (1, 'b')])", { "a", "b" }, FALSE },
  { "collections.OrderedDict({0: 'a', 1: 'b'})", { "a", "b" }, FALSE },
  { "defaultdict(<class 'str'>, {0: 'a', 1: 'b'})", { "a", "b" }, FALSE },
  { "defaultdict(None, {0: 'a'})", { "a" }, FALSE },
  { "dict_values(['a', 'b'])", { "a", "b" }, FALSE },
  { "{np.int64(0): np.str_('a'), np.int64(1): 'b'}", { "a", "b" }, FALSE },
  { "array(['a', 'b'], dtype='<U1')", { "a", "b" }, FALSE },
  { "array(dtype=object, object=['a', 'b'])", { NULL }, TRUE },
  { "['a' 'b'\n 'c']", { "a", "b", "c" }, FALSE },
  { "[(0, 'a'), (2, 'c')]", { "a", NULL, "c" }, FALSE },
  { "[(1, 2, 3), ('a', 'b'), array(['x', 'y']), 'd']", { NULL, NULL, NULL, "d" }, FALSE },
  { "OrderedDict()", { NULL }, TRUE },
  { "f(g(['a'], x=1), y=[2])", { "a" }, FALSE },
  /* no quotes, as YAML has it, or nothing around */
  { "{0: person, 1: traffic light}", { "person", "traffic light" }, FALSE },
  { "[person, traffic light]", { "person", "traffic light" }, FALSE },
  { "person", { "person" }, FALSE },
  { "'person'", { "person" }, FALSE },
  { "person, traffic light,driver's cab", { "person", "traffic light", "driver's cab" }, FALSE },
  { "'a, b', \"c\"", { "a, b", "c" }, FALSE },
  { "\xef\xbb\xbfperson\r\ncar\r\n\r\n", { "person", "car" }, FALSE },
  { "one, two\nthree\n", { "one, two", "three" }, FALSE },
  { "0: person, 2: car", { "person", NULL, "car" }, FALSE },
  { "0: person\n2: driver's cab", { "person", NULL, "driver's cab" }, FALSE },
  { "a,b,,d's", { "a", "b", NULL, "d's" }, FALSE },
  { "nan", { "nan" }, FALSE },
  { "None", { NULL }, TRUE },
  { " \n", { NULL }, TRUE },
  { "", { NULL }, TRUE },
  { "np.array(['a'", { NULL }, TRUE },
  { "{0: f(}", { NULL }, TRUE },
  { "{0: <class}", { NULL }, TRUE },
  { "{0: f('1' 2)}", { NULL }, TRUE },
  { "{0: 'a' 'b'}", { NULL }, TRUE },
  { "12", { NULL }, TRUE },
  { "{0: 'a'", { NULL }, TRUE },
  { "{0: 'a'} x", { NULL }, TRUE },
  { "{0: 'a' 1: 'b'}", { NULL }, TRUE },
  { "{0 'a'}", { NULL }, TRUE },
  { "{0: }", { NULL }, TRUE },
  { "{: 'a'}", { NULL }, TRUE },
  { "{,}", { NULL }, TRUE },
  { "['a',,'b']", { NULL }, TRUE },
  { "['a'}", { NULL }, TRUE },
  { "{0: 'a\n'}", { NULL }, TRUE },
  { "{0: 'open}", { NULL }, TRUE },
  { "{0: 'a\\", { NULL }, TRUE },
  { "{0: '\\x4'}", { NULL }, TRUE },
  { "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
    "]]",
      { NULL }, TRUE },
};

static void
test_names (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GHashTable) found = yolo_literal_names (names[i].text);

    /* TAP is UTF-8 */
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
  const char *text = "{0: 'a\\u00df', 1: [\"b\", (None, -1.5)], 2: {3: f('x', y=[1])}, 4: "
                     "'\\ud83d\\ude97', 5: '''z'''}";

  for (gsize n = 0; n < strlen (text); n++) {
    g_autofree char *cut = g_strndup (text, n);
    g_assert_null (yolo_literal_names (cut));
  }
  g_autoptr (GHashTable) whole = yolo_literal_names (text);
  g_assert_nonnull (whole);
}

static const struct {
  const char *text;
  guint height, width;          /* 0: the text is no size */
} sizes[] = {
  { "[384, 640]", 384, 640 },
  { "(384,640)", 384, 640 },
  { "640", 640, 640 },
  { "[640]", 640, 640 },
  { "[384, 640, 3]", 0, 0 },
  { "[]", 0, 0 },
  { "[0, 640]", 0, 0 },
  { "[-32, 640]", 0, 0 },
  { "[384.0, 640]", 0, 0 },
  { "['384', 640]", 0, 0 },
  { "384x640", 0, 0 },
  { "", 0, 0 },
  { "None", 0, 0 },
  { "{384: 640}", 0, 0 },
  { "torch.Size([384, 640])", 384, 640 },
  { "(np.int64(384), np.int64(640))", 384, 640 },
  { "99999999999999999999", 0, 0 },
  { "[4294967296, 32]", 0, 0 },
};

static void
test_sizes (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    guint height = 0, width = 0;

    g_test_message ("%s", sizes[i].text);
    g_assert_true (yolo_literal_size (sizes[i].text, &height, &width) == (sizes[i].height != 0));
    g_assert_cmpuint (height, ==, sizes[i].height);
    g_assert_cmpuint (width, ==, sizes[i].width);
  }
}

/* Nesting of any kind ends somewhere. */
static void
test_deep (void)
{
  static const char *const nests[] = { "[", "(", "{0:", "[f(", "[f(x=", "[f(0,", "[array([" };

  for (guint i = 0; i < G_N_ELEMENTS (nests); i++) {
    g_autoptr (GString) text = g_string_new (NULL);

    for (guint n = 0; n < 100000; n++)
      g_string_append (text, nests[i]);
    g_assert_null (yolo_literal_names (text->str));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/literal/names", test_names);
  g_test_add_func ("/network/literal/cut", test_cut);
  g_test_add_func ("/network/literal/deep", test_deep);
  g_test_add_func ("/network/literal/sizes", test_sizes);
  return g_test_run ();
}
