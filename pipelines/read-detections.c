/* SPDX-License-Identifier: MIT */
/* Reads detections in a pad probe: what an application needs, and no more.
 *
 *   GST_PLUGIN_PATH=build/gst-plugin build/pipelines/read-detections MODEL VIDEO
 *
 * Prints a line for each object of each frame. */

#include <gst/gst.h>
#include <gst/video/video.h>

static GstPadProbeReturn
print_detections (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  GstVideoRegionOfInterestMeta *roi;
  gpointer state = NULL;

  while ((roi = (GstVideoRegionOfInterestMeta *) gst_buffer_iterate_meta_filtered (buffer, &state,
              GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    GstStructure *detection = gst_video_region_of_interest_meta_get_param (roi, "detection");
    gdouble confidence = 0;

    if (detection == NULL)      /* a region that somebody else marked */
      continue;
    gst_structure_get_double (detection, "confidence", &confidence);
    g_print ("%" GST_TIME_FORMAT " %s %.2f at %u,%u %ux%u\n",
        GST_TIME_ARGS (GST_BUFFER_PTS (buffer)), g_quark_to_string (roi->roi_type), confidence,
        roi->x, roi->y, roi->w, roi->h);
  }
  return GST_PAD_PROBE_OK;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) pipeline = NULL, source = NULL, infer = NULL;
  g_autoptr (GstPad) pad = NULL;
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GstMessage) message = NULL;
  int status = 0;

  gst_init (&argc, &argv);
  if (argc != 3) {
    g_printerr ("usage: %s MODEL VIDEO\n", argv[0]);
    return 2;
  }

  pipeline = gst_parse_launch ("filesrc name=source ! decodebin ! yoloinfer name=infer ! "
      "fakesink sync=false", &error);
  if (error) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  source = gst_bin_get_by_name (GST_BIN (pipeline), "source");
  g_object_set (source, "location", argv[2], NULL);
  infer = gst_bin_get_by_name (GST_BIN (pipeline), "infer");
  g_object_set (infer, "model-file", argv[1], "input-size", "auto", NULL);

  /* the streaming thread calls it for each frame that has been through the network */
  pad = gst_element_get_static_pad (infer, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, print_detections, NULL, NULL);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  bus = gst_element_get_bus (pipeline);
  message = gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE,
      GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (message, &error, NULL);
    g_printerr ("%s\n", error->message);
    status = 1;
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return status;
}
