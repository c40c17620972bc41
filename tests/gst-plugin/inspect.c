/* SPDX-License-Identifier: MIT */
/* What gst-inspect-1.0 shows of each element. */

#include <gst/gst.h>
#include <string.h>

static const struct {
  const gchar *name, *klass;
} expected[] = {
  {"yoloexport", "Filter/Metadata/Video"},
  {"yoloinfer", "Filter/Analyzer/Video"},
  {"yolooverlay", "Filter/Editor/Video"},
  {"yolotrack", "Filter/Analyzer/Video"},
  {"yolozones", "Filter/Analyzer/Video"},
};

static void
check_property (GObject *object, GParamSpec *pspec)
{
  const gchar *blurb = g_param_spec_get_blurb (pspec);
  const gint mutable = pspec->flags
      & (GST_PARAM_MUTABLE_READY | GST_PARAM_MUTABLE_PAUSED | GST_PARAM_MUTABLE_PLAYING);
  g_auto (GValue) value = G_VALUE_INIT;

  g_test_message ("%s: %s", pspec->name, blurb);
  g_assert_nonnull (blurb);
  g_assert_cmpint (strlen (blurb), >, 10);
  g_assert_true (g_utf8_validate (blurb, -1, NULL));
  g_assert_cmpint (strlen (g_param_spec_get_nick (pspec)), >, 2);
  g_assert_true (g_ascii_isupper (*g_param_spec_get_nick (pspec)));
  g_assert_true (pspec->flags & G_PARAM_READABLE);
  /* what can be set says when */
  g_assert_cmpint (mutable == GST_PARAM_MUTABLE_READY || mutable == GST_PARAM_MUTABLE_PLAYING, ==,
      (pspec->flags & G_PARAM_WRITABLE) != 0);

  /* a new object's value is the default that is shown */
  g_value_init (&value, pspec->value_type);
  g_object_get_property (object, pspec->name, &value);
  g_assert_true (g_param_value_defaults (pspec, &value) || !(pspec->flags & G_PARAM_WRITABLE));
}

static void
check_element (GstElementFactory *factory)
{
  GstElement *element = gst_element_factory_create (factory, NULL);
  const gchar *name = GST_OBJECT_NAME (factory);
  g_autofree GParamSpec **pspecs = NULL;
  const GList *l;
  guint n, i;

  g_assert_nonnull (element);
  gst_object_ref_sink (element);
  g_assert_true (g_str_has_prefix (name, "yolo"));
  for (i = 0; i < 3; i++) {
    static const gchar *keys[] = {
      GST_ELEMENT_METADATA_LONGNAME, GST_ELEMENT_METADATA_DESCRIPTION, GST_ELEMENT_METADATA_KLASS,
    };
    const gchar *text = gst_element_factory_get_metadata (factory, keys[i]);

    g_assert_nonnull (text);
    g_assert_cmpint (strlen (text), >, 5);
  }
  for (i = 0; i < G_N_ELEMENTS (expected); i++)
    if (g_str_equal (name, expected[i].name))
      g_assert_cmpstr (gst_element_factory_get_metadata (factory, GST_ELEMENT_METADATA_KLASS), ==,
          expected[i].klass);

  g_assert_cmpint (gst_element_factory_get_num_pad_templates (factory), ==, 2);
  for (l = gst_element_factory_get_static_pad_templates (factory); l; l = l->next)
    g_assert_true (
        strstr (((GstStaticPadTemplate *) l->data)->static_caps.string, "video/x-raw") != NULL);

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);
  for (i = 0; i < n; i++)
    if (pspecs[i]->owner_type == G_OBJECT_TYPE (element))
      check_property (G_OBJECT (element), pspecs[i]);
  gst_object_unref (element);
}

static void
test_elements (void)
{
  GList *features = gst_registry_get_feature_list_by_plugin (gst_registry_get (), "yolo"), *l;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (expected); i++) {
    GstElementFactory *factory = gst_element_factory_find (expected[i].name);

    g_assert_nonnull (factory);
    gst_object_unref (factory);
  }
  for (l = features; l; l = l->next) {
    GstPluginFeature *feature = gst_plugin_feature_load (l->data);

    g_assert_true (GST_IS_ELEMENT_FACTORY (feature));
    check_element (GST_ELEMENT_FACTORY (feature));
    gst_object_unref (feature);
  }
  gst_plugin_feature_list_free (features);
}

static void
test_plugin (void)
{
  GstPlugin *plugin = gst_registry_find_plugin (gst_registry_get (), "yolo");

  g_assert_nonnull (plugin);
  g_assert_cmpstr (gst_plugin_get_version (plugin), ==, YOLO_VERSION);
  g_assert_cmpstr (gst_plugin_get_license (plugin), ==, "MIT/X11");
  g_assert_cmpint (strlen (gst_plugin_get_description (plugin)), >, 10);
  gst_object_unref (plugin);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/inspect/plugin", test_plugin);
  g_test_add_func ("/inspect/elements", test_elements);
  return g_test_run ();
}
