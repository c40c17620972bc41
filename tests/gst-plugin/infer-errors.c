/* SPDX-License-Identifier: MIT */
/* What is wrong is told on the bus, and has no other effect. */

#include "infer-common.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static gchar *folder;

static gchar *
in_folder (const gchar *name)
{
  return g_build_filename (folder, name, NULL);
}

static void
write_file (const gchar *name, const gchar *bytes, gsize size)
{
  g_autofree gchar *path = in_folder (name);

  g_assert_true (g_file_set_contents (path, bytes, size, NULL));
}

static void
make_files (void)
{
  g_autofree gchar *path = data_path (MODEL), *model = NULL, *directory = in_folder ("directory");
  g_autofree gchar *secret = in_folder ("unreadable.onnx");
  gchar noise[4096];
  gsize size, i;

  g_assert_true (g_file_get_contents (path, &model, &size, NULL));
  for (i = 0; i < sizeof noise; i++)
    noise[i] = g_random_int ();
  write_file ("empty.onnx", "", 0);
  write_file ("truncated.onnx", model, size / 2);
  write_file ("noise.onnx", noise, sizeof noise);
  write_file ("text.onnx", "this is no network\n", -1);
  write_file ("unreadable.onnx", model, size);
  g_chmod (secret, 0);
  g_mkdir (directory, 0755);
}

/* The element cannot be started; it says why, once, and can be started when
 * that is put right. */
static void
check_refused (const gchar *property, const gchar *value, const gchar *good, GQuark domain,
    gint code, const gchar *part)
{
  GstElement *element = gst_object_ref_sink (infer_new (NULL));
  GstPad *src = gst_element_get_static_pad (element, "src");

  gst_util_set_object_arg (G_OBJECT (element), property, value);
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PLAYING), ==,
      GST_STATE_CHANGE_FAILURE);
  check_message (element, GST_MESSAGE_ERROR, domain, code, part);
  assert_no_message (element, GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT);
  gst_element_set_state (element, GST_STATE_NULL);
  g_assert_false (gst_pad_is_active (src));

  gst_util_set_object_arg (G_OBJECT (element), property, good);
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_SUCCESS);
  gst_object_unref (src);
  infer_free (element);
}

static void
test_model_file (void)
{
  const struct { const gchar *name; GQuark domain; gint code; } table[] = {
    {"missing.onnx", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND},
    {"empty.onnx", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ},
    {"directory", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ},
    {"unreadable.onnx", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ},
    {"truncated.onnx", GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT},
    {"noise.onnx", GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT},
    {"text.onnx", GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT},
  };
  g_autofree gchar *good = data_path (MODEL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    g_autofree gchar *path = in_folder (table[i].name);

    /* for root no file is unreadable */
    if (strcmp (table[i].name, "unreadable.onnx") == 0 && access (path, R_OK) == 0)
      continue;
    check_refused ("model-file", path, good, table[i].domain, table[i].code, path);
  }
  check_refused ("model-file", "", good, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "model-file");
}

static void
test_settings (void)
{
  static const struct { const gchar *property, *value, *good, *part; } table[] = {
    {"input-size", "0", "64", "32"},
    {"input-size", "65", "64", "64"},
    {"input-size", "100000", "96", "8192"},
    {"input-size", "64x70", "64x96", "64"},
    {"input-size", "0x64", "32x64", "32x64"},
    {"input-size", "99999999999999999999", "64", "input-size"},
    {"input-size", "-64", "64", "\"-64\""},
    {"input-size", "large", "auto", "\"large\""},
    {"input-size", "64x", "64", "\"64x\""},
    {"input-size", "64x64x64", "64", "\"64x64x64\""},
    {"class-ids", "0,delta", "0,gamma", "\"delta\""},
    {"class-ids", "3", "2", "0 to 2"},
    {"class-ids", "-1", "1", "\"-1\""},
    {"class-ids", "0,,1", "0,1", "\"\""},
    {"device", "gpu", "cpu", "\"gpu\" is no device"},
    {"device", "cpu+gpu", "cpu,reference", "\"gpu\" is no device"},
    {"roi", "1,2,3", "1,2,3,4", "\"1,2,3\""},
    {"roi", "0,0,0,5", "", "\"0,0,0,5\""},
    {"roi", "a,b,c,d", "", "\"a,b,c,d\""},
    {"roi", "1,2,3,99999999999", "", "x,y,width,height"},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++)
    check_refused (table[i].property, table[i].value, table[i].good, GST_LIBRARY_ERROR,
        GST_LIBRARY_ERROR_SETTINGS, table[i].part);
}

static void
test_label_file (void)
{
  static const struct { const gchar *bytes; gsize size; } utf16[] = {
    {"\xff\xfe" "a\0\n\0b\0\n\0c\0\n", 14}, {"\xfe\xff\0a\0\n\0b\0\n\0c\0\n", 14},
    {"a\0\n\0b\0\n\0c\0\n", 12}, {"\xff\xfe\x60\x4f", 4}, {"a\nb\nc\0", 6},
  };
  guint i;
  g_autofree gchar *missing = in_folder ("missing.txt"), *directory = in_folder ("directory");

  check_refused ("label-file", missing, "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
      missing);
  check_refused ("label-file", directory, "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
      directory);
  for (i = 0; i < G_N_ELEMENTS (utf16); i++) {
    g_autofree gchar *path = in_folder ("utf16.txt");

    write_file ("utf16.txt", utf16[i].bytes, utf16[i].size);
    check_refused ("label-file", path, "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
        "save it as UTF-8");
  }
  check_refused ("label-file", "/dev/zero", "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
      "/dev/zero");
}

/* Settings of a device that is not there, or that does not know a precision. */
static void
test_device (void)
{
  GstElement *element = gst_object_ref_sink (infer_new ("device", "cuda", "cuda-device-id",
          "12345", NULL));

  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  check_message (element, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
      "device=cpu");
  gst_element_set_state (element, GST_STATE_NULL);

  g_object_set (element, "cuda-device-id", 0, NULL);
  gst_util_set_object_arg (G_OBJECT (element), "device", "cpu");
  gst_util_set_object_arg (G_OBJECT (element), "precision", "fp16");
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  check_message (element, GST_MESSAGE_ERROR, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "fp16");
  infer_free (element);
}

int
main (int argc, char **argv)
{
  gint ret;

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("yoloinfer-XXXXXX", NULL);
  g_assert_nonnull (folder);
  make_files ();
  g_test_add_func ("/yoloinfer/errors/model-file", test_model_file);
  g_test_add_func ("/yoloinfer/errors/settings", test_settings);
  g_test_add_func ("/yoloinfer/errors/label-file", test_label_file);
  g_test_add_func ("/yoloinfer/errors/device", test_device);
  ret = g_test_run ();

  {
    g_autofree gchar *remove = g_strdup_printf ("rm -rf '%s'", folder);

    g_spawn_command_line_sync (remove, NULL, NULL, NULL, NULL);
  }
  g_free (folder);
  return ret;
}
