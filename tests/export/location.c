/* SPDX-License-Identifier: MIT */
/* Where messages go, as text. */

#include "export/location.h"

#include <string.h>

static void
test_files (void)
{
  static const char *files[] = {
    "", "-", "a.jsonl", "/tmp/a.jsonl", "C:/a", "a:b", "1mqtt://h/t", "://h/t", "mqtt:/h/t",
    "a b://c",
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    g_assert_false (yolo_location_is_uri (files[i]));
  g_assert_true (yolo_location_is_uri ("mqtt://h/t"));
  g_assert_true (yolo_location_is_uri ("Ws+X.2-y://"));
}

static void
test_parts (void)
{
  static const struct {
    const char *text, *scheme, *user, *host;
    guint port;
    const char *hosts, *topic;
  } cases[] = {
    { "mqtt://broker/a/b", "mqtt", NULL, "broker", 0, "broker", "a/b" },
    { "MQTTS://me@10.0.0.1:8884/t", "mqtts", "me", "10.0.0.1", 8884, "10.0.0.1:8884", "t" },
    { "redis://[::1]:7000/s", "redis", NULL, "::1", 7000, "[::1]:7000", "s" },
    { "redis://[fe80::2]/s", "redis", NULL, "fe80::2", 0, "[fe80::2]", "s" },
    { "kafka://a:9092,b:9093,c/t", "kafka", NULL, "a", 9092, "a:9092,b:9093,c", "t" },
    { "mqtt://m%40e@h/caf%C3%A9%20%2f?x#y", "mqtt", "m@e", "h", 0, "h", "café /?x#y" },
    { "mqtt://h", "mqtt", NULL, "h", 0, "h", "" },
    { "mqtt://h/", "mqtt", NULL, "h", 0, "h", "" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloLocation) location = yolo_location_parse (cases[i].text, &error);

    g_assert_no_error (error);
    g_assert_cmpstr (location->scheme, ==, cases[i].scheme);
    g_assert_cmpstr (location->user, ==, cases[i].user);
    g_assert_cmpstr (location->host, ==, cases[i].host);
    g_assert_cmpuint (location->port, ==, cases[i].port);
    g_assert_cmpstr (location->hosts, ==, cases[i].hosts);
    g_assert_cmpstr (location->topic, ==, cases[i].topic);
  }
}

static void
test_errors (void)
{
  static const struct {
    const char *text;
    GUriError code;
  } cases[] = {
    { "file.txt", G_URI_ERROR_BAD_SCHEME },
    { "mqtt:///topic", G_URI_ERROR_BAD_HOST },
    { "mqtt://:1883/topic", G_URI_ERROR_BAD_HOST },
    { "mqtt://a b/topic", G_URI_ERROR_BAD_HOST },
    { "mqtt://[::1]1883/topic", G_URI_ERROR_BAD_HOST },
    { "mqtt://h:0/t", G_URI_ERROR_BAD_PORT },
    { "mqtt://h:65536/t", G_URI_ERROR_BAD_PORT },
    { "mqtt://h:/t", G_URI_ERROR_BAD_PORT },
    { "mqtt://h:1x/t", G_URI_ERROR_BAD_PORT },
    { "mqtt://%zz@h/t", G_URI_ERROR_BAD_USER },
    { "mqtt://h/%zz", G_URI_ERROR_BAD_PATH },
    { "mqtt://h/a%00b", G_URI_ERROR_BAD_PATH },
    { "mqtt://h/%ff", G_URI_ERROR_BAD_PATH },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (yolo_location_parse (cases[i].text, &error));
    g_assert_error (error, G_URI_ERROR, (int) cases[i].code);
    g_assert_nonnull (strstr (error->message, cases[i].text));
  }
}

/* The error says what to do, and not the password. */
static void
test_password (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (yolo_location_parse ("mqtt://me:hunter2@host/topic", &error));
  g_assert_error (error, G_URI_ERROR, G_URI_ERROR_BAD_PASSWORD);
  g_assert_null (strstr (error->message, "hunter2"));
  g_assert_nonnull (strstr (error->message, "password-file"));
}

/* Whatever the text, it is taken apart or refused with a reason. */
static void
test_noise (void)
{
  static const char letters[] = "mqt:/@[]%,09#?a \xc3\xff";

  for (guint i = 0; i < 20000; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloLocation) location = NULL;
    char text[40] = "mqtt://";
    const gint n = g_test_rand_int_range (7, sizeof text);

    for (gint k = g_test_rand_bit () ? 7 : 0; k < n; k++)
      text[k] = letters[g_test_rand_int_range (0, sizeof letters - 1)];
    location = yolo_location_parse (text, &error);
    g_assert_true ((location == NULL) == (error != NULL));
    if (location) {
      g_assert_cmpstr (location->host, !=, "");
      g_assert_cmpuint (location->port, <=, 65535);
      g_assert_true (g_utf8_validate (location->topic, -1, NULL));
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/export/location/files", test_files);
  g_test_add_func ("/export/location/parts", test_parts);
  g_test_add_func ("/export/location/errors", test_errors);
  g_test_add_func ("/export/location/password", test_password);
  g_test_add_func ("/export/location/noise", test_noise);
  return g_test_run ();
}
