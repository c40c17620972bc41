/* SPDX-License-Identifier: MIT */
/* The settings file of yolo-server: what is taken, what is refused and how, what a request may
 * change, and that no secret comes out. */

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "pipelines/server/secret.h"
#include "pipelines/server/settings.h"

static char *folder;            /* with a.onnx, b.onnx, secret.txt and other/c.onnx in it */

static YoloSettings *
parse (const char *text, GError **error)
{
  return yolo_settings_parse (text, strlen (text), "wall.yaml", folder, error);
}

/* A camera that lacks nothing, and a line more. */
static char *
with_line (const char *line)
{
  return g_strdup_printf (
      "cameras:\n  gate:\n    uri: rtsp://h/s\n    model: a.onnx\n    %s\n", line);
}

static void
test_whole (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloSettings) settings = parse (
      "server: {listen: '127.0.0.1:0', watch: false}\n"
      "defaults:\n  model: a.onnx\n  confidence: .4\n  classes: [person, 'car, red']\n"
      "cameras:\n"
      "  gate: {uri: 'rtsp://h/s'}\n"
      "  yard:\n    uri: a.onnx\n    confidence: 0.6\n    model: b.onnx\n    enabled: false\n",
      &error);

  g_assert_no_error (error);
  g_assert_cmpuint (settings->cameras->len, ==, 2);
  const YoloValues *gate = yolo_settings_camera (settings, "gate")->all;
  const YoloValues *yard = yolo_settings_camera (settings, "yard")->all;
  g_autofree char *model = g_build_filename (folder, "a.onnx", NULL);
  g_autofree char *csv = yolo_values_csv (gate, YOLO_KEY_CLASSES);

  g_assert_cmpstr (yolo_values_text (gate, YOLO_KEY_MODEL), ==, model);
  g_assert_cmpstr (yolo_values_text (yard, YOLO_KEY_URI), ==, model);
  g_assert_cmpfloat (yolo_values_number (gate, YOLO_KEY_CONFIDENCE), ==, .4);
  g_assert_cmpfloat (yolo_values_number (yard, YOLO_KEY_CONFIDENCE), ==, .6);
  g_assert_true (yolo_values_true (gate, YOLO_KEY_ENABLED));
  g_assert_false (yolo_values_true (yard, YOLO_KEY_ENABLED));
  g_assert_false (yolo_values_true (settings->server, YOLO_KEY_WATCH));
  g_assert_cmpstr (yolo_values_text (gate, YOLO_KEY_TRACKER), ==, "bytetrack");
  g_assert_cmpstr (csv, ==, "person,\"car, red\"");
  g_assert_null (yolo_settings_camera (settings, "roof"));
}

static void
test_empty (void)
{
  static const char *const texts[] = { "", "# nothing\n", "cameras:\n", "server:\ndefaults: ~\n" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloSettings) settings = parse (texts[i], &error);

    g_assert_no_error (error);
    g_assert_cmpuint (settings->cameras->len, ==, 0);
  }
}

/* What is refused, and what the error must name: the line, the object, the remedy. */
typedef struct {
  const char *text, *says;
} Wrong;

/* Lines in camera `gate`. */
static const Wrong wrong_lines[] = {
  { "confidence: 1.5",
      "wall.yaml:5: camera 'gate': confidence is '1.5'; give a number from 0 to 1" },
  { "confidence: nan", "confidence is 'nan'" },
  { "confidence: '0.5'", "confidence is '0.5'" },
  { "confidence: 0.5x", "confidence is '0.5x'" },
  { "confidence: [0.5]", "confidence is a list; give a number" },
  { "confidence: {a: 1}", "'confidence' is a mapping" },
  { "classes: [[a]]", "'classes' is a mapping, or a list of what is no text" },
  { "confidense: 0.5", "there is no setting 'confidense' here; 'confidence' may be meant" },
  { "zzzzzzzzzzz: 0.5", "`yolo-server --settings` lists all" },
  { "listen: 127.0.0.1:1", "there is no setting 'listen' here" },
  { "interval: 2.5", "interval is '2.5'; give a whole number from 1 to" },
  { "interval: 0", "interval is '0'" },
  { "enabled: yes", "enabled is 'yes'; give true or false, without quotes" },
  { "enabled: 'true'", "without quotes" },
  { "tracker: kalman", "tracker is 'kalman'; give none, bytetrack, botsort, ocsort" },
  { "home-assistant: homeassistant", "set publish-format: frigate, and publish" },
  { "home-assistant: homeassistant\n    publish-format: frigate", "but publishes nothing" },
  { "events: [cross, crosses]", "events has 'crosses'; give a list of cross, enter, exit" },
  { "events: crosses", "events is 'crosses'; give a list of cross" },
  { "title: ''", "title has a text that is empty" },
  { "title: \"a\\0b\"", "'title' is a mapping, or a list of what is no text" },
  { "zones: lost.json", "lost.json': it is not there" },
  { "zones: a.onnx\n    tracker: none", "zones but no tracker" },
  { "zones-text: '{}'\n    tracker: none", "zones but no tracker" },
  { "zones-text: '[]'", "zones-text is '[]'; give an object as a text in JSON" },
  { "zones-text: '{'", "zones-text is '{'" },
  { "zones-text: '{\"a\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}'", "zones-text is '{" },
  { "user: ${NOT_SET_ANYWHERE}", "the variable NOT_SET_ANYWHERE is not set" },
  { "password: a\n    password-file: secret.txt", "both password and password-file" },
  { "password-file: lost.txt", "lost.txt" },
  { "reconnect-min: 40", "reconnect-min above reconnect-max" },
  { "record: events", "has record, but there is no folder for video; set events-folder" },
  { "record: always", "record is 'always'; give off, events, continuous" },
  { "clip-before: 30\n    clip-after: 31", "clip-max below clip-before and clip-after together" },
  { "title: a\n    title: b", "wall.yaml:6: 'title' stands in camera 'gate' twice" },
  { "<<: {title: a}", "'<<' is a mapping" },
  { "\x1b[2J: 1", "wall.yaml:5: this is no YAML" },
  { "\"\\e[2J\": 1", "there is no setting '\\x1b[2J' here" },
};

/* Whole files. */
static const Wrong wrong_files[] = {
  { "cameras:\n  'a/../b': {uri: 'rtsp://h'}\n", "'a/../b' is no name of a camera" },
  { "cameras:\n  .a: {uri: 'rtsp://h'}\n", "is no name of a camera" },
  { "cameras:\n  a: {model: a.onnx}\n", "camera 'a': has no uri" },
  { "cameras:\n  a: {uri: 'rtsp://h'}\n", "camera 'a': has no model" },
  { "cameras:\n  a: {uri: 'rtsp:h', model: a.onnx}\n", "give a URI such as" },
  { "cameras:\n  a: {uri: lost.mp4, model: a.onnx}\n", "lost.mp4': it is not there" },
  { "cameras:\n  a: {uri: 'rtsp://u:***@h', model: a.onnx}\n", "the URI with its password" },
  { "cameras:\n- a\n", "wall.yaml:2: cameras is no mapping" },
  { "cameras:\n  a: 5\n", "wall.yaml:2: camera 'a' is no mapping" },
  { "cameras:\n  [a]: 5\n", "a key in cameras is no text" },
  { "camera:\n  a: 5\n", "there is no part 'camera'; the parts are" },
  { "defaults:\n  uri: rtsp://h\n", "there is no setting 'uri' here" },
  { "server:\n  token: a\n  token-file: secret.txt\n", "token and token-file are both set" },
  { "server:\n  login: a\n", "login and login-hash belong together" },
  { "server:\n  tls-key: a.onnx\n", "belong together" },
  { "server: {max-cameras: 1}\ndefaults: {model: a.onnx}\n"
    "cameras: {a: {uri: 'test:'}, b: {uri: 'test:'}}\n", "there are 2 cameras" },
  { "server: {\n", "this is no YAML" },
  { "server:\n---\nserver:\n", "a second document begins here" },
  { "- a\n", "wall.yaml:1: the file is no mapping" },
};

static void
check_wrong (const char *text, const char *says)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloSettings) settings = parse (text, &error);

  if (settings != NULL || strstr (error->message, says) == NULL)
    g_error ("%s\ngives: %s\nin place of: %s", text, error != NULL ? error->message : "nothing",
        says);
}

static void
test_wrong (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (wrong_lines); i++) {
    g_autofree char *text = with_line (wrong_lines[i].text);
    check_wrong (text, wrong_lines[i].says);
  }
  for (guint i = 0; i < G_N_ELEMENTS (wrong_files); i++)
    check_wrong (wrong_files[i].text, wrong_files[i].says);
}

/* Secrets come from where they should, and go nowhere. */
static void
test_secrets (void)
{
  g_autoptr (GError) error = NULL;
  g_setenv ("A_TEST_SECRET", "open sesame", TRUE);
  g_autoptr (YoloSettings) settings = parse (
      "server: {token: tok-en-1}\n"
      "defaults: {model: a.onnx}\n"
      "cameras:\n"
      "  one: {uri: 'rtsp://me:p%40ss-word@h/s', title: '$${x}'}\n"
      "  two: {uri: 'rtsp://h/s', password: '${A_TEST_SECRET}'}\n"
      "  three: {uri: 'rtsp://h/s', password-file: secret.txt, publish: ['mqtt://u:pw12345@b']}\n",
      &error);
  static const char *const secrets[] =
      { "open sesame", "p%40ss-word", "p@ss-word", "tok-en-1", "from-a-file", "pw12345" };
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *json = NULL;
  g_autofree char *yaml = NULL;

  g_assert_no_error (error);
  g_assert_cmpstr (yolo_values_text (yolo_settings_camera (settings, "one")->all, YOLO_KEY_TITLE),
      ==, "${x}");
  g_assert_cmpstr (yolo_values_text (yolo_settings_camera (settings, "two")->all,
          YOLO_KEY_PASSWORD), ==, "open sesame");
  g_assert_cmpstr (yolo_values_text (yolo_settings_camera (settings, "three")->all,
          YOLO_KEY_PASSWORD_FILE), ==, "from-a-file");
  json_builder_begin_array (builder);
  for (guint i = 0; i < settings->cameras->len; i++) {
    json_builder_begin_object (builder);
    yolo_values_to_json (((YoloCameraSettings *) g_ptr_array_index (settings->cameras, i))->own,
        builder);
    json_builder_end_object (builder);
  }
  json_builder_end_array (builder);
  root = json_builder_get_root (builder);
  json = json_to_string (root, FALSE);
  g_assert_nonnull (strstr (json, "me:***@h"));
  for (guint i = 0; i < G_N_ELEMENTS (secrets); i++) {
    g_autofree char *line = g_strdup_printf ("cannot open '%s'", secrets[i]);
    g_autofree char *hidden = NULL;

    g_assert_null (strstr (json, secrets[i]));
    /* A URI's password is known once a camera opens it. */
    char *user, *password;
    g_free (yolo_secret_split ("rtsp://me:p%40ss-word@h/s", &user, &password));
    g_assert_cmpstr (user, ==, "me");
    g_assert_cmpstr (password, ==, "p@ss-word");
    g_free (user);
    g_free (password);
    hidden = yolo_secret_hide (line);
    g_assert_cmpstr (hidden, ==, "cannot open '***'");
  }
  /* The file gets back what stood in it. */
  yaml = yolo_settings_to_yaml (settings);
  g_assert_nonnull (strstr (yaml, "\"${A_TEST_SECRET}\""));
  g_assert_null (strstr (yaml, "open sesame"));
  g_unsetenv ("A_TEST_SECRET");
}

/* What is written is read again as the same. */
static void
test_write (void)
{
  const char *text = "server: {listen: '127.0.0.1:1'}\n"
      "defaults: {model: a.onnx, classes: ['a, b', \"c\\\"d\", '- e', '~', 'true', \"\\n\"]}\n"
      "cameras: {a: {uri: 'test:ball', title: \"# ä: {\"}, b: {uri: 'test:', enabled: false}}\n";
  g_autoptr (YoloSettings) settings = parse (text, NULL);
  g_autoptr (YoloSettings) again = NULL;
  g_autoptr (GError) error = NULL;
  struct stat status;

  g_assert_nonnull (settings);
  g_free (settings->path);
  settings->path = g_build_filename (folder, "written.yaml", NULL);
  g_assert_true (yolo_settings_write (settings, &error));
  g_assert_cmpint (g_stat (settings->path, &status), ==, 0);
  g_assert_cmpint (status.st_mode & 0777, ==, 0600);
  again = yolo_settings_read (settings->path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (again->cameras->len, ==, 2);
  for (int key = 0; key < YOLO_N_KEYS; key++) {
    g_assert_true (yolo_values_same (settings->server, again->server, key));
    g_assert_true (yolo_values_same (settings->defaults, again->defaults, key));
    for (guint i = 0; i < 2; i++) {
      const YoloCameraSettings *a = g_ptr_array_index (settings->cameras, i);
      const YoloCameraSettings *b = g_ptr_array_index (again->cameras, i);

      g_assert_cmpstr (a->name, ==, b->name);
      g_assert_true (yolo_values_same (a->own, b->own, key));
    }
  }
}

static YoloSettings *
change (const YoloSettings *old, YoloChange what, const char *name, const char *json,
    GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();

  if (json == NULL)
    return yolo_settings_change (old, what, name, NULL, error);
  g_assert_true (json_parser_load_from_data (parser, json, -1, NULL));
  return yolo_settings_change (old, what, name,
      json_node_get_object (json_parser_get_root (parser)), error);
}

static void
test_change (void)
{
  g_autoptr (YoloSettings) old = parse ("defaults: {model: a.onnx}\n"
      "cameras: {a: {uri: 'test:', title: A, interval: 2}}\n", NULL);
  g_autoptr (YoloSettings) put = change (old, YOLO_CHANGE_PUT, "a",
      "{\"uri\":\"test:ball\",\"classes\":[\"x\",3]}", NULL);
  g_autoptr (YoloSettings) patch = change (old, YOLO_CHANGE_PATCH, "a",
      "{\"interval\":null,\"confidence\":0.5,\"enabled\":false}", NULL);
  g_autoptr (YoloSettings) more = change (old, YOLO_CHANGE_ADD, "b", "{\"uri\":\"test:\"}", NULL);
  g_autoptr (YoloSettings) none = change (old, YOLO_CHANGE_REMOVE, "a", NULL, NULL);
  const YoloValues *values;

  g_assert_true (put != NULL && patch != NULL && more != NULL && none != NULL);
  values = yolo_settings_camera (put, "a")->all;
  g_assert_cmpstr (yolo_values_text (values, YOLO_KEY_URI), ==, "test:ball");
  g_assert_null (yolo_values_text (values, YOLO_KEY_TITLE));
  values = yolo_settings_camera (patch, "a")->all;
  g_assert_cmpstr (yolo_values_text (values, YOLO_KEY_TITLE), ==, "A");
  g_assert_null (yolo_values_text (values, YOLO_KEY_INTERVAL));
  g_assert_cmpfloat (yolo_values_number (values, YOLO_KEY_CONFIDENCE), ==, .5);
  g_assert_false (yolo_values_true (values, YOLO_KEY_ENABLED));
  g_assert_cmpuint (more->cameras->len, ==, 2);
  g_assert_cmpuint (none->cameras->len, ==, 0);
  g_assert_cmpuint (old->cameras->len, ==, 1);
}

/* What a request may not do. */
static void
test_requests (void)
{
  static const struct {
    YoloChange what;
    const char *name, *json;
    YoloSettingsError code;
  } cases[] = {
    { YOLO_CHANGE_PATCH, "b", "{}", YOLO_SETTINGS_ERROR_MISSING },
    { YOLO_CHANGE_REMOVE, "b", NULL, YOLO_SETTINGS_ERROR_MISSING },
    { YOLO_CHANGE_ADD, "a", "{\"uri\":\"test:\"}", YOLO_SETTINGS_ERROR_EXISTS },
    { YOLO_CHANGE_PUT, "../a", "{\"uri\":\"test:\"}", YOLO_SETTINGS_ERROR_WRONG },
    { YOLO_CHANGE_PUT, "b", "{}", YOLO_SETTINGS_ERROR_WRONG },
    { YOLO_CHANGE_PATCH, "a", "{\"interval\":\"2\"}", YOLO_SETTINGS_ERROR_WRONG },
    { YOLO_CHANGE_PATCH, "a", "{\"interval\":1e300}", YOLO_SETTINGS_ERROR_WRONG },
    { YOLO_CHANGE_PATCH, "a", "{\"interval\":{}}", YOLO_SETTINGS_ERROR_WRONG },
    { YOLO_CHANGE_PATCH, "a", "{\"classes\":[[]]}", YOLO_SETTINGS_ERROR_WRONG },
    { YOLO_CHANGE_PATCH, "a", "{\"title\":\"\"}", YOLO_SETTINGS_ERROR_WRONG },
    { YOLO_CHANGE_PATCH, "a", "{\"listen\":\"a\"}", YOLO_SETTINGS_ERROR_WRONG },
    { YOLO_CHANGE_PATCH, "a", "{\"password-file\":\"secret.txt\"}",
        YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "a", "{\"model\":\"b.onnx\"}", YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "a", "{\"model\":\"/etc/passwd\"}", YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "a", "{\"uri\":\"file:///etc/passwd\"}", YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "a", "{\"uri\":\"/etc/passwd\"}", YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "a", "{\"uri\":\"other/../b.onnx\"}", YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "a", "{\"uri\":\"other/link.onnx\"}", YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "locked", "{\"uri\":\"rtsp://evil\"}", YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "a", "{\"publish\":[\"/tmp/x\"]}", YOLO_SETTINGS_ERROR_FORBIDDEN },
    { YOLO_CHANGE_PATCH, "a", "{\"publish\":[\"mqtt://h/t\",\"file:///tmp/x\"]}",
        YOLO_SETTINGS_ERROR_FORBIDDEN },
  };
  g_autoptr (YoloSettings) old = parse ("server: {api-folders: [other]}\n"
      "defaults: {model: a.onnx}\n"
      "cameras: {a: {uri: 'test:'}, locked: {uri: 'rtsp://h', password: open-sesame}}\n", NULL);
  g_autoptr (YoloSettings) below = NULL;
  g_autoptr (YoloSettings) same = NULL;
  g_autoptr (YoloSettings) literal = NULL;
  g_autoptr (YoloSettings) dollars = NULL;
  g_autoptr (YoloSettings) again = NULL;
  g_autofree char *yaml = NULL;
  g_autoptr (YoloSettings) moved = NULL;

  g_assert_nonnull (old);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloSettings) settings =
        change (old, cases[i].what, cases[i].name, cases[i].json, &error);

    if (settings != NULL || !g_error_matches (error, YOLO_SETTINGS_ERROR, cases[i].code))
      g_error ("%s: %s", cases[i].json, error != NULL ? error->message : "is taken");
  }
  /* What it may: files of the settings file and of api-folders, and no environment. */
  below = change (old, YOLO_CHANGE_PATCH, "a", "{\"model\":\"other/c.onnx\"}", NULL);
  same = change (old, YOLO_CHANGE_PATCH, "a", "{\"model\":\"a.onnx\"}", NULL);
  literal = change (old, YOLO_CHANGE_PATCH, "a", "{\"title\":\"${HOME}\"}", NULL);
  moved = change (old, YOLO_CHANGE_PATCH, "locked",
      "{\"uri\":\"rtsp://other\",\"password\":\"another\"}", NULL);
  g_assert_true (below != NULL && same != NULL && literal != NULL && moved != NULL);
  g_assert_cmpstr (yolo_values_text (yolo_settings_camera (literal, "a")->all, YOLO_KEY_TITLE), ==,
      "${HOME}");
  /* Nor does it when what it has set is written and read again. */
  dollars = change (old, YOLO_CHANGE_PATCH, "a",
      "{\"title\":\"$${HOME} $$ $1 $$${PATH}$\"}", NULL);
  yaml = yolo_settings_to_yaml (dollars);
  again = parse (yaml, NULL);
  g_assert_nonnull (again);
  g_assert_cmpstr (yolo_values_text (yolo_settings_camera (again, "a")->all, YOLO_KEY_TITLE), ==,
      "$${HOME} $$ $1 $$${PATH}$");
}

static void
write_file (const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
test_shard_texts (void)
{
  static const struct {
    const char *text, *host;
    guint index, count;         /* count 0: it is refused */
  } cases[] = {
    { "0/1", "", 0, 1 }, { "3/4", "wall-1", 3, 4 }, { "auto/4", "wall-1", 1, 4 },
    { "auto/12", "a-wall-11", 11, 12 }, { "4/4", "", 0, 0 }, { "auto/4", "wall-4", 0, 0 },
    { "auto/4", "wall", 0, 0 }, { "auto/4", "wall-", 0, 0 }, { "auto/4", "wall-x1", 0, 0 },
    { "auto/4", "", 0, 0 },
    { "1", "", 0, 0 }, { "/4", "", 0, 0 }, { "1/", "", 0, 0 },
    { "-1/4", "", 0, 0 }, { "1/0", "", 0, 0 }, { "1/4/4", "", 0, 0 },
    { "auto", "wall-1", 0, 0 }, { "1/99999999999", "", 0, 0 }, { "", "", 0, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    YoloShard shard = { 7, 9 };
    g_autoptr (GError) error = NULL;
    const gboolean good = yolo_shard_parse (cases[i].text, cases[i].host, &shard, &error);

    g_assert_cmpint (good, ==, cases[i].count > 0);
    g_assert_cmpint (good, ==, error == NULL);
    g_assert_cmpuint (shard.index, ==, good ? cases[i].index : 7);
    g_assert_cmpuint (shard.count, ==, good ? cases[i].count : 9);
  }
}

/* Each of 1000 cameras is in one shard, shards have about as many, and one more shard takes its
 * share and moves no other camera. The first is what another program has computed by the paper. */
static void
test_shards (void)
{
  static const guint first[] = { 1, 1, 0, 2, 3, 3, 0, 2 };

  for (guint i = 0; i < G_N_ELEMENTS (first); i++) {
    g_autofree char *name = g_strdup_printf ("camera%u", i);
    g_assert_cmpuint (yolo_shard_of (name, 4), ==, first[i]);
  }
  for (guint count = 1; count < 12; count++) {
    guint of[12] = { 0 }, moved = 0;

    for (guint i = 0; i < 1000; i++) {
      g_autofree char *name = g_strdup_printf ("camera%u", i);
      const guint shard = yolo_shard_of (name, count), next = yolo_shard_of (name, count + 1);
      guint has = 0;

      of[shard]++;
      moved += next != shard;
      g_assert_true (next == shard || next == count);
      for (guint j = 0; j < count; j++)
        has += yolo_shard_has (&(YoloShard) { j, count }, name);
      g_assert_cmpuint (has, ==, 1);
    }
    for (guint j = 0; j < count; j++)
      g_assert_cmpfloat (ABS (of[j] * (double) count / 1000 - 1), <, .4);
    g_assert_cmpfloat (ABS (moved * (count + 1.) / 1000 - 1), <, .4);
  }
  g_assert_true (yolo_shard_has (&(YoloShard) { 0 }, "gate"));
}

/* Settings keep the cameras of all shards, and a request changes those of its own alone. */
static void
test_shard_requests (void)
{
  g_autoptr (YoloSettings) settings = parse (
      "defaults: {model: a.onnx}\n"
      "cameras:\n  camera0: {uri: 'test:'}\n  camera3: {uri: 'test:'}\n", NULL);
  static const YoloChange changes[] = { YOLO_CHANGE_PUT, YOLO_CHANGE_PATCH, YOLO_CHANGE_ADD,
    YOLO_CHANGE_REMOVE };
  g_autoptr (JsonObject) values = json_object_new ();
  g_autofree char *yaml = NULL;
  YoloSettings *changed;

  settings->shard = (YoloShard) { 1, 4 };
  json_object_set_string_member (values, "uri", "test:snow");
  for (guint i = 0; i < G_N_ELEMENTS (changes); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (yolo_settings_change (settings, changes[i], "camera3", values, &error));
    g_assert_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_ELSEWHERE);
    g_assert_nonnull (strstr (error->message, "shard 2 of 4"));
  }
  changed = yolo_settings_change (settings, YOLO_CHANGE_PUT, "camera0", values, NULL);
  g_assert_nonnull (changed);
  g_assert_cmpuint (changed->shard.count, ==, 4);
  yaml = yolo_settings_to_yaml (changed);
  g_assert_nonnull (strstr (yaml, "camera3"));
  yolo_settings_free (changed);
}

static void
remove_all (void)
{
  static const char *const names[] = { "a.onnx", "b.onnx", "secret.txt", "other/c.onnx",
    "other/link.onnx", "other", "written.yaml", "" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    g_remove (path);
  }
}

int
main (int argc, char **argv)
{
  g_autofree char *other = NULL;
  g_autofree char *link = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("yolo-settings-XXXXXX", NULL);
  other = g_build_filename (folder, "other", NULL);
  link = g_build_filename (other, "link.onnx", NULL);
  g_mkdir (other, 0700);
  write_file ("a.onnx", "a");
  write_file ("b.onnx", "b");
  write_file ("secret.txt", "from-a-file\nand more\n");
  write_file ("other/c.onnx", "c");
  g_assert_cmpint (symlink ("../b.onnx", link), ==, 0);
  g_test_add_func ("/server/settings/whole", test_whole);
  g_test_add_func ("/server/settings/empty", test_empty);
  g_test_add_func ("/server/settings/wrong", test_wrong);
  g_test_add_func ("/server/settings/secrets", test_secrets);
  g_test_add_func ("/server/settings/write", test_write);
  g_test_add_func ("/server/settings/change", test_change);
  g_test_add_func ("/server/settings/requests", test_requests);
  g_test_add_func ("/server/settings/shard-texts", test_shard_texts);
  g_test_add_func ("/server/settings/shards", test_shards);
  g_test_add_func ("/server/settings/shard-requests", test_shard_requests);
  status = g_test_run ();
  remove_all ();
  g_free (folder);
  return status;
}
