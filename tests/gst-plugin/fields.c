/* SPDX-License-Identifier: MIT */
/* Fields of structures in one pass give what GstStructure's own functions give. */

#include "gst-plugin/yolofields.h"

static YoloFields fields = YOLO_FIELDS ("x", "count", "a-rather-long-name-of-a-field", "missing");

static GstStructure *
make (void)
{
  return gst_structure_new ("s", "other", G_TYPE_INT, 9, "count", G_TYPE_INT, 3,
      "a-rather-long-name-of-a-field", G_TYPE_STRING, "text", "x", G_TYPE_DOUBLE, .5, NULL);
}

static void
test_get (void)
{
  g_autoptr (GstStructure) structure = make (), empty = gst_structure_new_empty ("e");
  const GValue *values[YOLO_FIELDS_MAX];
  gdouble x = -1;
  gint count = -1;

  yolo_fields_get (&fields, structure, values);
  g_assert_true (values[0] == gst_structure_get_value (structure, "x"));
  g_assert_true (values[1] == gst_structure_get_value (structure, "count"));
  g_assert_true (yolo_field_double (values[0], &x));
  g_assert_cmpfloat (x, ==, .5);
  g_assert_true (yolo_field_int (values[1], &count));
  g_assert_cmpint (count, ==, 3);
  g_assert_cmpstr (yolo_field_string (values[2]), ==, "text");
  for (guint i = 3; i < YOLO_FIELDS_MAX; i++)
    g_assert_null (values[i]);

  yolo_fields_get (&fields, empty, values);
  for (guint i = 0; i < YOLO_FIELDS_MAX; i++)
    g_assert_null (values[i]);
}

/* Values of other types, and none, leave what was there. */
static void
test_types (void)
{
  g_autoptr (GstStructure) structure = make ();
  const GValue *values[YOLO_FIELDS_MAX];
  gdouble x = -1;
  gint count = -1;

  yolo_fields_get (&fields, structure, values);
  g_assert_false (yolo_field_double (values[1], &x));
  g_assert_false (yolo_field_double (NULL, &x));
  g_assert_cmpfloat (x, ==, -1);
  g_assert_false (yolo_field_int (values[0], &count));
  g_assert_false (yolo_field_int (NULL, &count));
  g_assert_cmpint (count, ==, -1);
  g_assert_null (yolo_field_string (values[0]));
  g_assert_null (yolo_field_string (NULL));
}

static void
test_write (void)
{
  g_autoptr (GstStructure) structure = make ();
  GValue *values[YOLO_FIELDS_MAX], value = G_VALUE_INIT;
  gint number = 0;

  yolo_fields_get_writable (&fields, structure, values);
  g_assert_null (values[3]);
  g_value_set_int (values[1], 4);
  g_assert_true (gst_structure_get_int (structure, "count", &number));
  g_assert_cmpint (number, ==, 4);

  /* a field that is there, and one that is not */
  for (guint i = 1; i <= 3; i += 2) {
    g_value_init (&value, G_TYPE_INT);
    g_value_set_int (&value, 40 + (gint) i);
    yolo_fields_take (&fields, structure, i, &value);
    value = (GValue) G_VALUE_INIT;
  }
  g_assert_cmpint (gst_structure_n_fields (structure), ==, 5);
  g_assert_true (gst_structure_get_int (structure, "count", &number));
  g_assert_cmpint (number, ==, 41);
  g_assert_true (gst_structure_get_int (structure, "missing", &number));
  g_assert_cmpint (number, ==, 43);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fields/get", test_get);
  g_test_add_func ("/fields/types", test_types);
  g_test_add_func ("/fields/write", test_write);
  return g_test_run ();
}
