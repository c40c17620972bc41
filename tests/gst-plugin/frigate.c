/* SPDX-License-Identifier: MIT */
/* Frigate's topics: counts of a camera and its zones, objects that come, change and go, and what
 * Home Assistant is told. */

#include "gst-plugin/yolofrigate.h"
#include "gst-plugin/yolozonesmeta.h"

#include <json-glib/json-glib.h>
#include <string.h>

typedef struct {
  YoloFrigate *frigate;
  GPtrArray *sent;              /* char *: "topic text", with "!" in front if it is retained */
  guint frame;
} Fixture;

static void
note (const char *topic, const char *text, gsize size, gboolean retain, gpointer data)
{
  g_assert_cmpuint (strlen (text), ==, size);
  g_ptr_array_add (data, g_strdup_printf ("%s%s %s", retain ? "!" : "", topic, text));
}

static void
set_up (Fixture *f, gconstpointer discovery)
{
  f->sent = g_ptr_array_new_with_free_func (g_free);
  f->frigate = yolo_frigate_new ("frigate", discovery, "frigate/available", note, f->sent);
}

static void
tear_down (Fixture *f, gconstpointer discovery)
{
  yolo_frigate_free (f->frigate);
  g_ptr_array_unref (f->sent);
}

static YoloMetaObject
object (gint id, const char *label, gfloat confidence)
{
  return (YoloMetaObject) { .x = 10, .y = 20, .w = 30, .h = 40, .confidence = confidence,
    .label_id = 0, .label = g_quark_from_string (label), .object_id = id };
}

/* A frame a second; forgets what was sent before. @zone: (nullable): where number 1 enters, or
 * which it leaves */
static void
frame (Fixture *f, const YoloMetaObject *objects, guint n, const char *zone, const char *event)
{
  GstBuffer *buffer = gst_buffer_new ();
  const YoloRecord record = { .width = 200, .height = 100, .objects = objects, .n_objects = n,
    .timestamp = f->frame * GST_SECOND, .unix_time = 1700000000000000 + f->frame * 1000000,
    .stream = "front door/1" };

  if (zone) {
    GstStructure *structure = gst_structure_new ("event", "event", G_TYPE_STRING, event, "zone",
        G_TYPE_STRING, zone, "id", G_TYPE_INT, 1, NULL);
    g_auto (GValue) array = G_VALUE_INIT, value = G_VALUE_INIT;

    g_value_init (&array, GST_TYPE_ARRAY);
    g_value_init (&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed (&value, structure);
    gst_value_array_append_value (&array, &value);
    gst_structure_set_value (yolo_zones_meta_add (buffer), "events", &array);
  }
  f->frame++;
  g_ptr_array_set_size (f->sent, 0);
  yolo_frigate_frame (f->frigate, &record, buffer);
  gst_buffer_unref (buffer);
}

static gboolean
was_sent (Fixture *f, const char *text)
{
  for (guint i = 0; i < f->sent->len; i++)
    if (strcmp (f->sent->pdata[i], text) == 0)
      return TRUE;
  return FALSE;
}

/* The only event that was sent, an object of JSON. */
static JsonNode *
event (Fixture *f, const char *type)
{
  JsonNode *found = NULL;

  for (guint i = 0; i < f->sent->len; i++) {
    g_autoptr (GError) error = NULL;

    if (!g_str_has_prefix (f->sent->pdata[i], "frigate/events "))
      continue;
    g_assert_null (found);
    found = json_from_string (strchr (f->sent->pdata[i], ' '), &error);
    g_assert_no_error (error);
  }
  if (type == NULL) {
    g_assert_null (found);
    return NULL;
  }
  g_assert_nonnull (found);
  g_assert_cmpstr (
      json_object_get_string_member (json_node_get_object (found), "type"), ==, type);
  return found;
}

static JsonObject *
member (JsonNode *node, const char *name)
{
  return json_object_get_object_member (json_node_get_object (node), name);
}

static void
test_counts (Fixture *f, gconstpointer data)
{
  const YoloMetaObject people[] = { object (-1, "person", .5f), object (-1, "person", .6f),
    object (-1, "a/c", .6f) };

  frame (f, NULL, 0, NULL, NULL);
  g_assert_cmpuint (f->sent->len, ==, 1);
  g_assert_true (was_sent (f, "!frigate/front door_1/all 0"));
  frame (f, people, 3, NULL, NULL);
  g_assert_cmpuint (f->sent->len, ==, 3);
  g_assert_true (was_sent (f, "!frigate/front door_1/person 2"));
  g_assert_true (was_sent (f, "!frigate/front door_1/a_c 1"));
  g_assert_true (was_sent (f, "!frigate/front door_1/all 3"));
  frame (f, people, 3, NULL, NULL);
  g_assert_cmpuint (f->sent->len, ==, 0);
  frame (f, people, 1, NULL, NULL);
  g_assert_true (was_sent (f, "!frigate/front door_1/a_c 0"));
  g_assert_true (was_sent (f, "!frigate/front door_1/person 1"));
  g_assert_cmpuint (f->sent->len, ==, 3);
}

static void
test_life (Fixture *f, gconstpointer data)
{
  YoloMetaObject person = object (1, "person", .5f);
  g_autofree char *id = NULL;
  JsonNode *node;
  JsonObject *after;

  frame (f, &person, 1, NULL, NULL);
  node = event (f, "new");
  after = member (node, "after");
  id = g_strdup (json_object_get_string_member (after, "id"));
  g_assert_cmpstr (id, ==, "1700000000.000000-1");
  g_assert_cmpstr (json_object_get_string_member (after, "camera"), ==, "front door_1");
  g_assert_cmpstr (json_object_get_string_member (after, "label"), ==, "person");
  g_assert_cmpfloat (json_object_get_double_member (after, "start_time"), ==, 1700000000);
  g_assert_true (json_object_get_null_member (after, "end_time"));
  g_assert_cmpint (
      json_array_get_int_element (json_object_get_array_member (after, "box"), 2), ==, 40);
  g_assert_cmpint (json_object_get_int_member (after, "area"), ==, 1200);
  g_assert_true (was_sent (f, "!frigate/front door_1/person 1"));
  json_node_unref (node);

  /* worse is no news, better is; what it was before is told, too */
  person.confidence = .4f;
  frame (f, &person, 1, NULL, NULL);
  g_assert_cmpuint (f->sent->len, ==, 0);
  person.confidence = .75f;
  frame (f, &person, 1, NULL, NULL);
  node = event (f, "update");
  g_assert_cmpfloat (json_object_get_double_member (member (node, "before"), "top_score"), ==, .5);
  g_assert_cmpfloat (json_object_get_double_member (member (node, "after"), "top_score"), ==, .75);
  json_node_unref (node);

  /* it is counted while it may come back, and goes then */
  person.state = YOLO_META_LOST;
  frame (f, &person, 1, NULL, NULL);
  frame (f, NULL, 0, NULL, NULL);
  g_assert_cmpuint (f->sent->len, ==, 0);
  frame (f, NULL, 0, NULL, NULL);
  node = event (f, "end");
  after = member (node, "after");
  g_assert_cmpstr (json_object_get_string_member (after, "id"), ==, id);
  g_assert_cmpfloat (json_object_get_double_member (after, "end_time"), ==, 1700000002);
  g_assert_true (was_sent (f, "!frigate/front door_1/person 0"));
  json_node_unref (node);

  /* the same number later is another object, which ends with the stream */
  person.state = YOLO_META_TRACKED;
  frame (f, &person, 1, NULL, NULL);
  node = event (f, "new");
  g_assert_cmpstr (json_object_get_string_member (member (node, "after"), "id"), !=, id);
  json_node_unref (node);
  g_ptr_array_set_size (f->sent, 0);
  yolo_frigate_end (f->frigate);
  json_node_unref (event (f, "end"));
  g_assert_true (was_sent (f, "!frigate/front door_1/all 0"));
  yolo_frigate_end (f->frigate);
  g_assert_cmpuint (f->sent->len, ==, 3);
}

/* An object that is new and in a zone has that in its first event. */
static void
test_zones (Fixture *f, gconstpointer data)
{
  const YoloMetaObject person = object (1, "person", .5f);
  JsonNode *node;
  JsonObject *after;

  frame (f, &person, 1, "yard", "appear");
  node = event (f, "new");
  after = member (node, "after");
  g_assert_cmpstr (json_array_get_string_element (json_object_get_array_member (
            after, "current_zones"), 0), ==, "yard");
  g_assert_true (was_sent (f, "!frigate/yard/person 1"));
  g_assert_true (was_sent (f, "!frigate/yard/all 1"));
  json_node_unref (node);
  frame (f, &person, 1, "yard", "exit");
  node = event (f, "update");
  after = member (node, "after");
  g_assert_cmpuint (
      json_array_get_length (json_object_get_array_member (after, "current_zones")), ==, 0);
  g_assert_cmpuint (
      json_array_get_length (json_object_get_array_member (after, "entered_zones")), ==, 1);
  g_assert_true (was_sent (f, "!frigate/yard/person 0"));
  g_assert_false (was_sent (f, "!frigate/front door_1/person 0"));
  json_node_unref (node);
}

/* The camera and each sensor are announced once, before their first value. */
static void
test_discovery (Fixture *f, gconstpointer data)
{
  const YoloMetaObject person = object (-1, "person", .5f);
  const char *camera = "!homeassistant/binary_sensor/frigate_front_door_1/connected/config ";
  const char *topic = "!homeassistant/sensor/frigate_front_door_1/person_count/config ";
  g_autoptr (JsonNode) node = NULL, connected = NULL;
  JsonObject *sensor;

  frame (f, &person, 1, NULL, NULL);
  g_assert_cmpuint (f->sent->len, ==, 5);
  g_assert_true (g_str_has_prefix (f->sent->pdata[0], camera));
  connected = json_from_string (f->sent->pdata[0] + strlen (camera), NULL);
  sensor = json_node_get_object (connected);
  g_assert_cmpstr (json_object_get_string_member (sensor, "state_topic"), ==, "frigate/available");
  g_assert_cmpstr (json_object_get_string_member (sensor, "unique_id"), ==,
      "frigate_front_door_1_connected");
  g_assert_true (g_str_has_prefix (f->sent->pdata[1], topic));
  node = json_from_string (f->sent->pdata[1] + strlen (topic), NULL);
  sensor = json_node_get_object (node);
  g_assert_cmpstr (json_object_get_string_member (sensor, "state_topic"), ==,
      "frigate/front door_1/person");
  g_assert_cmpstr (json_object_get_string_member (sensor, "availability_topic"), ==,
      "frigate/available");
  g_assert_cmpstr (json_object_get_string_member (sensor, "unique_id"), ==,
      "frigate_front_door_1_person_count");
  g_assert_cmpstr (json_object_get_string_member (json_object_get_object_member (sensor, "device"),
          "name"), ==, "front door_1");
  frame (f, NULL, 0, NULL, NULL);
  g_assert_cmpuint (f->sent->len, ==, 2);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, data, function) \
  g_test_add ("/frigate/" name, Fixture, data, set_up, function, tear_down)
  ADD ("counts", NULL, test_counts);
  ADD ("life", NULL, test_life);
  ADD ("zones", NULL, test_zones);
  ADD ("discovery", "homeassistant", test_discovery);
#undef ADD
  return g_test_run ();
}
