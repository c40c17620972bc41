/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolocaps.h"

#include "gst-plugin/yolocuda.h"
#include "gst-plugin/yolonvmm.h"
#include "gst-plugin/yolovideo.h"

#include <string.h>

YoloCapsMemory
yolo_caps_memory (const GstCaps *caps)
{
  const GstCapsFeatures *features = gst_caps_get_features (caps, 0);

  if (gst_caps_features_contains (features, YOLO_CAPS_FEATURE_NVMM))
    return YOLO_CAPS_NVMM;
  if (gst_caps_features_contains (features, YOLO_CAPS_FEATURE_CUDA))
    return YOLO_CAPS_CUDA;
  return YOLO_CAPS_SYSTEM;
}

/* Whether buffers with these features lie in memory that frames can be read from.
 * Features that ask for a meta make no difference. GLMemory, DMABuf and others cannot
 * be read: the element upstream then picks another memory. */
static gboolean
features_known (const GstCapsFeatures *features, gboolean cuda, gboolean nvmm)
{
  guint i;

  for (i = 0; i < gst_caps_features_get_size (features); i++) {
    const gchar *feature = gst_caps_features_get_nth (features, i);

    if (strcmp (feature, GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY) != 0
        && !g_str_has_prefix (feature, "meta:")
        && !(strcmp (feature, YOLO_CAPS_FEATURE_CUDA) == 0 && cuda)
        && !(strcmp (feature, YOLO_CAPS_FEATURE_NVMM) == 0 && nvmm))
      return FALSE;
  }
  return TRUE;
}

/* A device reads fewer formats than the host unpacks. Takes @features. */
static void
append_device_caps (GstCaps *known, const GstStructure *structure, GstCapsFeatures *features)
{
  static GstStaticCaps readable =
      GST_STATIC_CAPS ("video/x-raw(ANY), format = { " YOLO_VIDEO_FORMATS " }");
  g_autoptr (GstCaps) caps = gst_caps_new_empty (), formats = gst_static_caps_get (&readable);

  gst_caps_append_structure_full (caps, gst_structure_copy (structure), features);
  gst_caps_append (known, gst_caps_intersect (caps, formats));
}

GstCaps *
yolo_caps_readable (GstCaps *caps, GstCaps *filter, gboolean cuda, gboolean nvmm)
{
  GstCaps *known = gst_caps_new_empty ();
  guint i;

  for (i = 0; i < gst_caps_get_size (caps); i++) {
    const GstStructure *structure = gst_caps_get_structure (caps, i);
    const GstCapsFeatures *features = gst_caps_get_features (caps, i);

    if (gst_caps_features_is_any (features)) {
      /* nobody has said which memory: first those that need no upload, then system memory */
      if (cuda)
        append_device_caps (known, structure, gst_caps_features_new (YOLO_CAPS_FEATURE_CUDA, NULL));
      if (nvmm)
        append_device_caps (known, structure, gst_caps_features_new (YOLO_CAPS_FEATURE_NVMM, NULL));
      gst_caps_append_structure (known, gst_structure_copy (structure));
    } else if (!features_known (features, cuda, nvmm)) {
      continue;
    } else if (gst_caps_features_contains (features, YOLO_CAPS_FEATURE_CUDA)
        || gst_caps_features_contains (features, YOLO_CAPS_FEATURE_NVMM)) {
      append_device_caps (known, structure, gst_caps_features_copy (features));
    } else {
      gst_caps_append_structure_full (
          known, gst_structure_copy (structure), gst_caps_features_copy (features));
    }
  }
  if (filter) {
    GstCaps *both = gst_caps_intersect_full (filter, known, GST_CAPS_INTERSECT_FIRST);

    gst_caps_unref (known);
    known = both;
  }
  return known;
}
