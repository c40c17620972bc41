/* SPDX-License-Identifier: MIT */
/* Settings of yolo-server: see tests/fuzz/run.sh. The first byte says whether the rest is a
 * settings file or a request that changes a camera. */

#include <stdint.h>
#include <string.h>

#include "pipelines/server/settings.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
change (const char *text, gsize size)
{
  static const char base[] = "defaults: {model: /proc/self/exe}\ncameras: {a: {uri: 'test:'}}\n";
  g_autoptr (YoloSettings) old = NULL;
  g_autoptr (YoloSettings) settings = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  JsonNode *root;

  /* The server refuses what is no UTF-8 or nested deeply before json-glib sees it: here all
   * that is nested twice. */
  if (!g_utf8_validate (text, size, NULL) || memchr (text, '[', size) != memrchr (text, '[', size)
      || memchr (text, '{', size) != memrchr (text, '{', size)
      || !json_parser_load_from_data (parser, text, size, NULL)
      || (root = json_parser_get_root (parser)) == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return;
  old = yolo_settings_parse (base, strlen (base), "base", "/nowhere", NULL);
  g_assert_nonnull (old);
  settings = yolo_settings_change (old, YOLO_CHANGE_PATCH, "a", json_node_get_object (root),
      &error);
  g_assert_true ((settings == NULL) == (error != NULL));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *) data + 1;
  g_autoptr (YoloSettings) settings = NULL;
  g_autoptr (YoloSettings) again = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *yaml = NULL;

  if (size == 0)
    return 0;
  if (data[0] == 'j') {
    change (text, size - 1);
    return 0;
  }
  settings = yolo_settings_parse (text, size - 1, "fuzz", "/nowhere", &error);
  g_assert_true ((settings == NULL) == (error != NULL));
  if (settings == NULL) {
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
    g_assert_null (strpbrk (error->message, "\n\x1b"));
    return 0;
  }
  /* What is written back says the same. */
  yaml = yolo_settings_to_yaml (settings);
  again = yolo_settings_parse (yaml, strlen (yaml), "again", "/nowhere", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (again->cameras->len, ==, settings->cameras->len);
  return 0;
}
