/* SPDX-License-Identifier: MIT */
/* The elements on frames in CUDA memory, in real pipelines: what they find and
 * draw is what they find and draw on the CPU. */

#include "infer-common.h"

#include "cuda/device.h"
#include "gst-plugin/yolocuda.h"

#define GST_USE_UNSTABLE_API
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudamemory.h>
#include <stdio.h>
#include <string.h>

#define TEST_CAPS "video/x-raw,format=NV12,width=160,height=120,framerate=30/1"
#define CUDA_CAPS "video/x-raw(memory:CUDAMemory)"
#define NVMM_CAPS "video/x-raw(memory:NVMM),format=NV12,width=160,height=120,framerate=30/1"

typedef struct {
  GPtrArray *frames;            /* GArray of YoloMetaObject */
  GPtrArray *pixels;            /* GBytes; of frames in system memory alone */
  gchar *error;                 /* text of an error message, behind the element's name; or NULL */
  gboolean cuda;                /* buffers at the sink were in CUDA memory */
} Run;

/* The pixels of all planes, without what lies between rows. */
static GBytes *
copy_pixels (GstBuffer *buffer, const GstVideoInfo *info)
{
  GByteArray *pixels = g_byte_array_new ();
  GstVideoFrame frame;

  g_assert_true (gst_video_frame_map (&frame, info, buffer, GST_MAP_READ));
  for (guint p = 0; p < GST_VIDEO_FRAME_N_PLANES (&frame); p++) {
    gint components[GST_VIDEO_MAX_COMPONENTS];

    gst_video_format_info_component (frame.info.finfo, p, components);
    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&frame, components[0]); y++)
      g_byte_array_append (pixels,
          (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&frame, p)
              + y * GST_VIDEO_FRAME_PLANE_STRIDE (&frame, p),
          GST_VIDEO_FRAME_COMP_WIDTH (&frame, components[0])
              * GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, components[0]));
  }
  gst_video_frame_unmap (&frame);
  return g_byte_array_free_to_bytes (pixels);
}

static void
keep_frame (GstElement *sink, GstBuffer *buffer, GstPad *pad, Run *run)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  GArray *objects = yolo_meta_objects_new ();
  GstVideoInfo info;

  g_assert_true (gst_video_info_from_caps (&info, caps));
  yolo_meta_read (buffer, &info, objects);
  g_ptr_array_add (run->frames, objects);
  run->cuda |= gst_caps_features_contains (gst_caps_get_features (caps, 0), "memory:CUDAMemory");
  if (!run->cuda)
    g_ptr_array_add (run->pixels, copy_pixels (buffer, &info));
}

static void
run_clear (Run *run)
{
  g_ptr_array_unref (run->frames);
  g_ptr_array_unref (run->pixels);
  g_free (run->error);
}

static void
free_objects (gpointer objects)
{
  g_array_unref (objects);
}

/* Attaches objects of all kinds, some of them partly or wholly outside of the frame;
 * those of the n-th frame are the same in every run. */
static GstPadProbeReturn
add_objects (GstPad *pad, GstPadProbeInfo *probe, guint *n)
{
  GstBuffer *buffer = gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (probe));
  g_autoptr (GRand) random = g_rand_new_with_seed (++*n);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  GstVideoInfo info;

  g_assert_true (gst_video_info_from_caps (&info, caps));
  for (guint i = 0; i < 100; i++) {
    YoloMetaObject object = {
      .x = g_rand_double_range (random, -20, info.width),
      .y = g_rand_double_range (random, -20, info.height),
      .w = g_rand_double_range (random, 1, 90),
      .h = g_rand_double_range (random, 1, 90),
      .confidence = g_rand_double (random),
      .label_id = i % 7,
      .label = g_quark_from_static_string ("thing"),
      .object_id = i % 3 ? -1 : (gint) i,
    };

    yolo_meta_add (buffer, &info, &object, 1, 1);
  }
  GST_PAD_PROBE_INFO_DATA (probe) = buffer;
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
drop_video_meta (GstPad *pad, GstPadProbeInfo *probe, gpointer user_data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (probe), *bare = gst_buffer_new ();
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);

  g_assert_nonnull (meta);
  g_assert_cmpint (meta->stride[0], >, (gint) meta->width);
  gst_buffer_copy_into (bare, buffer, GST_BUFFER_COPY_MEMORY | GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  gst_buffer_add_parent_buffer_meta (bare, buffer);
  gst_buffer_unref (buffer);
  GST_PAD_PROBE_INFO_DATA (probe) = bare;
  return GST_PAD_PROBE_OK;
}

/* For GStreamer's own downloader, which does not look at the memory. */
static GstPadProbeReturn
add_video_meta (GstPad *pad, GstPadProbeInfo *probe, gpointer user_data)
{
  GstBuffer *buffer = gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (probe));
  GstVideoInfo *info = &((GstCudaMemory *) gst_buffer_peek_memory (buffer, 0))->info;

  g_assert_null (gst_buffer_get_video_meta (buffer));
  gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_INFO_FORMAT (info),
      info->width, info->height, GST_VIDEO_INFO_N_PLANES (info), info->offset, info->stride);
  GST_PAD_PROBE_INFO_DATA (probe) = buffer;
  return GST_PAD_PROBE_OK;
}

/* Makes the buffer's luma a wall of random blocks, which moves by 5 pixels to the left and 3 down
 * from frame to frame. */
static GstPadProbeReturn
paint_wall (GstPad *pad, GstPadProbeInfo *probe, gpointer user_data)
{
  GstBuffer *buffer = gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (probe));
  const guint n = (guint) GST_BUFFER_OFFSET (buffer);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  GstVideoInfo info;
  GstVideoFrame frame;

  g_assert_true (gst_video_info_from_caps (&info, caps));
  g_assert_true (gst_video_frame_map (&frame, &info, buffer, GST_MAP_WRITE));
  for (guint y = 0; y < (guint) info.height; y++) {
    guint8 *row = (guint8 *) frame.data[0] + y * (guint) info.stride[0];

    for (guint x = 0; x < (guint) info.width; x++) {
      const guint block = (x + 5 * n) / 24 * 61 + (y + 300 - 3 * n) / 24;

      row[x] = (guint8) (block * 2654435761u >> 24);
    }
  }
  gst_video_frame_unmap (&frame);
  GST_PAD_PROBE_INFO_DATA (probe) = buffer;
  return GST_PAD_PROBE_OK;
}

/* Attaches an object to the first frame. */
static GstPadProbeReturn
add_one (GstPad *pad, GstPadProbeInfo *probe, gpointer user_data)
{
  GstBuffer *buffer = gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (probe));
  const YoloMetaObject object = { .x = 300, .y = 200, .w = 20, .h = 20, .confidence = .9f,
    .label_id = 0, .object_id = -1 };
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  GstVideoInfo info;

  g_assert_true (gst_video_info_from_caps (&info, caps));
  if (GST_BUFFER_PTS (buffer) == 0)
    yolo_meta_add (buffer, &info, &object, 1, 1);
  GST_PAD_PROBE_INFO_DATA (probe) = buffer;
  return GST_PAD_PROBE_OK;
}

/* Adds a probe to the sink pad of the element with this name, if there is one. */
static void
add_probe (GstElement *pipeline, const gchar *name, GstPadProbeCallback function)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (pipeline), name);
  GstPad *pad;

  if (element == NULL)
    return;
  pad = gst_element_get_static_pad (element, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, function, NULL, NULL);
  gst_object_unref (pad);
  gst_object_unref (element);
}

/* Runs a pipeline to the end; its sink is called "sink". Frames that come to an element
 * called "objects" get objects, those that come to "no-meta" lose their GstVideoMeta, those that
 * come to "meta" get one, those that come to "wall" are painted over, and the first one that comes
 * to "one" gets an object. */
static Run
run_pipeline (const gchar *format, ...)
{
  Run run = {
    g_ptr_array_new_with_free_func (free_objects),
    g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref), NULL, FALSE
  };
  g_autoptr (GError) error = NULL;
  g_autofree gchar *text = NULL;
  GstElement *pipeline, *sink;
  GstMessage *message;
  GstBus *bus;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_test_message ("%s", text);
  pipeline = gst_parse_launch (text, &error);
  g_assert_no_error (error);
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_object_set (sink, "signal-handoffs", TRUE, NULL);
  g_signal_connect (sink, "handoff", G_CALLBACK (keep_frame), &run);
  gst_object_unref (sink);
  GstElement *objects = gst_bin_get_by_name (GST_BIN (pipeline), "objects");
  guint n_objects = 0;
  if (objects) {
    GstPad *pad = gst_element_get_static_pad (objects, "sink");

    gst_pad_add_probe (
        pad, GST_PAD_PROBE_TYPE_BUFFER, (GstPadProbeCallback) add_objects, &n_objects, NULL);
    gst_object_unref (pad);
    gst_object_unref (objects);
  }

  add_probe (pipeline, "no-meta", drop_video_meta);
  add_probe (pipeline, "meta", add_video_meta);
  add_probe (pipeline, "wall", paint_wall);
  add_probe (pipeline, "one", add_one);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  bus = gst_element_get_bus (pipeline);
  message = gst_bus_timed_pop_filtered (bus, 300 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    g_autoptr (GError) failed = NULL;

    gst_message_parse_error (message, &failed, NULL);
    run.error = g_strdup_printf ("%s: %s", GST_OBJECT_NAME (message->src), failed->message);
    g_test_message ("%s", run.error);
  }
  gst_message_unref (message);
  gst_object_unref (bus);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  return run;
}

static gfloat
iou (const YoloMetaObject *a, const YoloMetaObject *b)
{
  const gfloat x0 = MAX (a->x, b->x), y0 = MAX (a->y, b->y);
  const gfloat x1 = MIN (a->x + a->w, b->x + b->w), y1 = MIN (a->y + a->h, b->y + b->h);
  const gfloat both = MAX (x1 - x0, 0) * MAX (y1 - y0, 0);

  return both / (a->w * a->h + b->w * b->h - both);
}

/* Every object clear of the threshold has its partner in the other run. */
static guint
compare_runs (const Run *a, const Run *b, gfloat threshold, gfloat least_iou, gfloat slack)
{
  guint n = 0;

  g_assert_null (a->error);
  g_assert_null (b->error);
  g_assert_cmpuint (a->frames->len, ==, b->frames->len);
  g_assert_cmpuint (a->frames->len, >, 0);
  for (guint f = 0; f < 2 * a->frames->len; f++) {
    const GArray *one = g_ptr_array_index ((f % 2 ? b : a)->frames, f / 2);
    const GArray *other = g_ptr_array_index ((f % 2 ? a : b)->frames, f / 2);

    for (guint i = 0; i < one->len; i++) {
      const YoloMetaObject *x = &g_array_index (one, YoloMetaObject, i);
      gfloat best = 0;

      if (x->confidence < threshold + slack)
        continue;
      for (guint k = 0; k < other->len; k++) {
        const YoloMetaObject *y = &g_array_index (other, YoloMetaObject, k);

        if (y->label == x->label && ABS (y->confidence - x->confidence) <= slack)
          best = MAX (best, iou (x, y));
      }
      if (best < least_iou)
        g_error ("frame %u: an object at %g,%g of %gx%g, confidence %g, has no partner (IoU %g)",
            f / 2, x->x, x->y, x->w, x->h, x->confidence, best);
      n++;
    }
  }
  return n;
}

/* Random weights find boxes of every kind, and many. */
static void
test_detections (void)
{
  g_autofree gchar *model = data_path (MODEL);
  static const struct {
    const gchar *element, *tail;
    gfloat iou, slack;
  } rows[] = {
    { "cudaupload ! " CUDA_CAPS " ! yoloinfer name=y device=cuda precision=fp32",
        "! fakesink name=sink", .999, 1e-4 },
    { "cudaupload ! " CUDA_CAPS " ! yoloinfer name=y precision=fp16",
        "! cudadownload ! fakesink name=sink", .97, .02 },
    { "yoloinfer name=y device=cuda precision=fp32", "! fakesink name=sink", .999, 1e-4 },
    { "cudaupload ! " CUDA_CAPS
      " ! yoloinfer name=y device=cuda precision=fp32 max-in-flight=5 batch-size=4",
        "! fakesink name=sink", .999, 1e-4 },
  };
  Run cpu =
      run_pipeline ("videotestsrc num-buffers=6 pattern=ball ! " TEST_CAPS
                    " ! yoloinfer device=cpu precision=fp32 "
                    "confidence-threshold=.3 iou-threshold=1 model-file=%s ! fakesink name=sink",
          model);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    Run run = run_pipeline ("videotestsrc num-buffers=6 pattern=ball ! " TEST_CAPS
                            " ! %s confidence-threshold=.3 "
                            "iou-threshold=1 model-file=%s %s",
        rows[i].element, model, rows[i].tail);

    g_assert_cmpuint (compare_runs (&cpu, &run, .3, rows[i].iou, rows[i].slack), >, 20);
    run_clear (&run);
  }
  run_clear (&cpu);
}

/* Regions, tiles and objects of a frame in CUDA memory are cut out there. */
static void
test_parts (void)
{
  g_autofree gchar *model = data_path (MODEL);
  static const gchar *const parts[] = {
    "roi=\"0,0,80,120;90,10,150,10,120,110\" tiles=2x1",
    "inference-region=roi-list object-min-size=60 object-padding=.1",
  };

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
    Run runs[2];

    for (guint k = 0; k < 2; k++)
      runs[k] = run_pipeline ("videotestsrc num-buffers=2 pattern=ball ! " TEST_CAPS " ! %s"
                              "identity name=%s ! yoloinfer device=%s precision=fp32 %s "
                              "confidence-threshold=.3 model-file=%s ! fakesink name=sink",
          k == 1 ? "cudaupload ! " CUDA_CAPS " ! " : "", i == 1 ? "objects" : "none",
          k == 1 ? "cuda" : "cpu", parts[i], model);
    g_assert_true (runs[1].cuda);
    g_assert_cmpuint (compare_runs (&runs[0], &runs[1], .3, .999, 1e-4), >, i == 1 ? 200 : 10);
    run_clear (&runs[0]);
    run_clear (&runs[1]);
  }
}

/* Where no GstVideoMeta tells the strides, they come from the memory: pools need not
 * add one. */
static void
test_no_meta (void)
{
  g_autofree gchar *model = data_path (MODEL);
  const gchar *tail = "yoloinfer device=%s precision=fp32 confidence-threshold=.3 iou-threshold=1 "
                      "model-file=%s ! fakesink name=sink";
  g_autofree gchar *on_cpu = g_strdup_printf (tail, "cpu", model),
                   *on_cuda = g_strdup_printf (tail, "cuda", model);
  Run cpu = run_pipeline ("videotestsrc num-buffers=1 ! " TEST_CAPS " ! %s", on_cpu);
  Run run = run_pipeline ("videotestsrc num-buffers=1 ! " TEST_CAPS " ! cudaupload ! " CUDA_CAPS
                          " ! identity name=no-meta ! %s",
      on_cuda);

  g_assert_true (run.cuda);
  g_assert_cmpuint (compare_runs (&cpu, &run, .3, .999, 1e-4), >, 2);
  run_clear (&cpu);
  run_clear (&run);
}

/* All formats that both GStreamer's uploader and the element take, and two whose rows
 * are unpacked before they are uploaded; some frames lie on their side. */
static void
test_formats (void)
{
  static const gchar upload[] = "cudaupload ! " CUDA_CAPS;
  static const struct {
    const gchar *format, *upload, *orientation;
  } rows[] = {
    { "NV12", upload, "identity" },
    { "I420", upload, "identity" },
    { "P010_10LE", upload, "identity" },
    { "RGBA", upload, "identity" },
    { "BGRA", upload, "identity" },
    { "RGBx", upload, "identity" },
    { "BGRx", upload, "identity" },
    { "I420_10LE", upload, "90r" },
    { "Y444", upload, "identity" },
    { "I422_10LE", "identity", "identity" },
    { "v210", "identity", "90l" },
  };
  g_autofree gchar *model = data_path (MODEL);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    Run cpu = run_pipeline ("videotestsrc num-buffers=1 ! video/x-raw,format=%s,width=90,height=66 "
                            "! yoloinfer device=cpu "
                            "precision=fp32 confidence-threshold=.3 iou-threshold=1 orientation=%s "
                            "model-file=%s ! fakesink name=sink",
        rows[i].format, rows[i].orientation, model);
    Run run = run_pipeline (
        "videotestsrc num-buffers=1 ! video/x-raw,format=%s,width=90,height=66 ! %s ! yoloinfer "
        "device=cuda precision=fp32 confidence-threshold=.3 iou-threshold=1 orientation=%s "
        "model-file=%s ! fakesink name=sink",
        rows[i].format, rows[i].upload, rows[i].orientation, model);

    g_assert_cmpuint (compare_runs (&cpu, &run, .3, .999, 1e-4), >, 2);
    run_clear (&cpu);
    run_clear (&run);
  }
}

/* A real network on a real, decoded video. */
static void
test_video (void)
{
  const gchar *model = SOURCE_ROOT "/.cache/best_fp16.onnx",
              *video = SOURCE_ROOT "/.cache/vtest.avi";
  static const struct {
    const gchar *precision;
    gfloat iou, slack;
  } rows[] = { { "fp32", .999, 1e-3 }, { "fp16", .98, .02 } };

  if (!g_file_test (model, G_FILE_TEST_EXISTS) || !g_file_test (video, G_FILE_TEST_EXISTS)) {
    g_test_skip ("the demo's model and video were not fetched");
    return;
  }
  if (g_getenv ("GPUSIM_CACHE") != NULL && g_getenv ("YOLO_TEST_ONCE") == NULL) {
    g_test_skip ("done once, with YOLO_TEST_ONCE=1");
    return;
  }
  Run cpu = run_pipeline ("filesrc location=%s ! avidemux ! avdec_msmpeg4 ! identity eos-after=3 ! "
                          "yoloinfer device=cpu "
                          "precision=fp32 confidence-threshold=.1 input-size=256x192 model-file=%s "
                          "! fakesink name=sink",
      video, model);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    Run run = run_pipeline ("filesrc location=%s ! avidemux ! avdec_msmpeg4 ! identity eos-after=3 "
                            "! cudaupload ! " CUDA_CAPS
                            " ! yoloinfer device=cuda precision=%s confidence-threshold=.1 "
                            "input-size=256x192 model-file=%s ! fakesink name=sink",
        video, rows[i].precision, model);

    g_assert_true (run.cuda);
    g_assert_cmpuint (compare_runs (&cpu, &run, .1, rows[i].iou, rows[i].slack), >, 2);
    run_clear (&run);
  }
  run_clear (&cpu);
}

/* What is drawn on a frame in CUDA memory is what is drawn in system memory, to the byte. */
static void
test_overlay (void)
{
  static const gchar *const caps[] = {
    "format=NV12,width=320,height=240",
    "format=I420,width=161,height=99",
    "format=P010_10LE,width=98,height=67",
    "format=RGBA,width=161,height=99",
    "format=BGRx,width=64,height=50",
    "format=NV12,width=128,height=96,interlace-mode=interleaved",
  };

  for (guint i = 0; i < G_N_ELEMENTS (caps); i++) {
    Run host = run_pipeline (
        "videotestsrc num-buffers=2 pattern=ball ! video/x-raw,%s ! yolooverlay name=objects ! "
        "fakesink name=sink",
        caps[i]);
    Run run = run_pipeline (
        "videotestsrc num-buffers=2 pattern=ball ! video/x-raw,%s ! cudaupload ! " CUDA_CAPS
        " ! %s ! yolooverlay name=objects ! %s ! " CUDA_CAPS
        " ! cudadownload ! video/x-raw ! fakesink name=sink",
        caps[i], i == 0 ? "identity name=no-meta" : "identity",
        i == 0 ? "identity name=meta" : "identity");
    Run plain = run_pipeline (
        "videotestsrc num-buffers=2 pattern=ball ! video/x-raw,%s ! fakesink name=sink", caps[i]);

    g_assert_null (run.error);
    g_assert_cmpuint (host.pixels->len, ==, 2);
    g_assert_cmpuint (run.pixels->len, ==, 2);
    for (guint f = 0; f < 2; f++) {
      GBytes *a = g_ptr_array_index (host.pixels, f), *b = g_ptr_array_index (run.pixels, f);

      g_assert_false (g_bytes_equal (a, g_ptr_array_index (plain.pixels, f)));
      g_assert_cmpmem (g_bytes_get_data (a, NULL), g_bytes_get_size (a), g_bytes_get_data (b, NULL),
          g_bytes_get_size (b));
    }
    run_clear (&host);
    run_clear (&run);
    run_clear (&plain);
  }
}

/* What is made unrecognisable in CUDA memory is what is in system memory, to the byte, with what
 * is drawn on it. */
static void
test_privacy (void)
{
  static const gchar *const caps[] = {
    "format=NV12,width=131,height=71",
    "format=P010_10LE,width=66,height=50",
    "format=NV12,width=96,height=64,interlace-mode=interleaved",
  };
  static const gchar *const overlays[] = {
    "yolooverlay name=objects privacy=blur privacy-class-ids=thing",
    "yolooverlay privacy=pixelate privacy-blocks=5 privacy-regions=5,7,40,30;60,9,90,50,30,60",
  };

  for (guint i = 0; i < G_N_ELEMENTS (caps) * G_N_ELEMENTS (overlays); i++) {
    const gchar *overlay = overlays[i % G_N_ELEMENTS (overlays)],
                *format = caps[i / G_N_ELEMENTS (overlays)];
    Run host = run_pipeline (
        "videotestsrc num-buffers=2 pattern=ball ! video/x-raw,%s ! %s ! fakesink name=sink",
        format, overlay);
    Run run = run_pipeline (
        "videotestsrc num-buffers=2 pattern=ball ! video/x-raw,%s ! cudaupload ! " CUDA_CAPS
        " ! %s ! " CUDA_CAPS " ! cudadownload ! video/x-raw ! fakesink name=sink",
        format, overlay);

    g_assert_null (run.error);
    g_assert_cmpuint (run.pixels->len, ==, 2);
    for (guint f = 0; f < 2; f++) {
      GBytes *a = g_ptr_array_index (host.pixels, f), *b = g_ptr_array_index (run.pixels, f);

      g_assert_cmpmem (g_bytes_get_data (a, NULL), g_bytes_get_size (a), g_bytes_get_data (b, NULL),
          g_bytes_get_size (b));
    }
    run_clear (&host);
    run_clear (&run);
  }
}

/* Stills in CUDA memory are inferred once. */
static void
test_gate (void)
{
  g_autofree gchar *model = data_path (MODEL);
  g_autofree gchar *text = g_strdup_printf (
      "videotestsrc num-buffers=4 pattern=checkers-8 ! " TEST_CAPS " ! cudaupload ! " CUDA_CAPS
      " ! yoloinfer name=infer model-file=%s device=cuda motion-gate=true "
      "confidence-threshold=.01 ! fakesink", model);
  g_autoptr (GError) error = NULL;
  GstElement *pipeline = gst_parse_launch (text, &error),
             *infer = gst_bin_get_by_name (GST_BIN (pipeline), "infer");
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;
  GstStructure *stats;
  guint64 gated, inferred;

  g_assert_no_error (error);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (
      bus, 300 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  gst_message_unref (message);
  g_object_get (infer, "stats", &stats, NULL);
  g_assert_true (gst_structure_get (
      stats, "gated", G_TYPE_UINT64, &gated, "inferred", G_TYPE_UINT64, &inferred, NULL));
  g_assert_cmpuint (inferred, ==, 1);
  g_assert_cmpuint (gated, ==, 3);
  gst_structure_free (stats);
  gst_object_unref (bus);
  gst_object_unref (infer);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}

/* The camera's motion is that of the same frames in system memory. */
static void
test_camera (void)
{
  static const gchar *const uploads[] = { "", "cudaupload ! " CUDA_CAPS " ! ",
    "cudaupload ! " CUDA_CAPS " ! identity name=no-meta ! " };

  for (guint k = 0; k < G_N_ELEMENTS (uploads); k++) {
    Run run = run_pipeline ("videotestsrc num-buffers=6 ! video/x-raw,format=NV12,width=640,"
                            "height=480,framerate=30/1 ! identity name=wall ! %s"
                            "identity name=one ! yolotrack camera-motion=true attach-lost=true ! "
                            "fakesink name=sink",
        uploads[k]);

    g_assert_null (run.error);
    g_assert_true (run.cuda == (k > 0));
    g_assert_cmpuint (run.frames->len, ==, 6);
    for (guint f = 0; f < 6; f++) {
      const GArray *objects = g_ptr_array_index (run.frames, f);
      const YoloMetaObject *object = &g_array_index (objects, YoloMetaObject, 0);

      g_assert_cmpuint (objects->len, ==, 1);
      g_assert_cmpfloat_with_epsilon (object->x, 300 - 5. * f, 1);
      g_assert_cmpfloat_with_epsilon (object->y, 200 + 3. * f, 1);
    }
    run_clear (&run);
  }
}

/* A DeepStream surface of one frame: a picture with a grain, the camera's view moved right and down
 * by as many pixels. NV12, the chroma grey. */
typedef struct {
  guint8 surface[64], list[384];
  CUdeviceptr memory;
} Surface;

enum { SURFACE_WIDTH = 320, SURFACE_HEIGHT = 240, SURFACE_PITCH = 512,
  SURFACE_SIZE = SURFACE_PITCH * SURFACE_HEIGHT * 3 / 2 };

static void
put (guint8 *p, gsize offset, guint32 value)
{
  memcpy (p + offset, &value, 4);
}

static void
surface_fill (Surface *s, YoloCudaDevice *device, guint x0, guint y0)
{
  g_autofree guint8 *pixels = g_malloc (SURFACE_SIZE);

  memset (pixels, 128, SURFACE_SIZE);
  for (guint y = 0; y < SURFACE_HEIGHT; y++)
    for (guint x = 0; x < SURFACE_WIDTH; x++) {
      const guint block = ((x + x0) / 12 * 7919 + (y + y0) / 12 * 104729) * 2654435761u;

      pixels[y * SURFACE_PITCH + x] = (guint8) (40 + (block >> 24) * 3 / 4);
    }
  g_assert_cmpint (
      device->driver->cuMemcpyHtoD (s->memory, pixels, SURFACE_SIZE), ==, CUDA_SUCCESS);
}

/* The same of surfaces that DeepStream's elements give, one to a buffer. */
static void
test_camera_nvmm (void)
{
  g_autoptr (YoloCudaDevice) device = yolo_cuda_device_get (0, NULL, NULL);
  GstElement *track = gst_element_factory_make ("yolotrack", NULL);
  const gchar *caps = "video/x-raw(memory:NVMM),format=NV12,width=320,height=240,framerate=30/1";
  GstBus *bus = gst_bus_new ();
  Surface s = { 0 };
  GArray *objects = yolo_meta_objects_new ();
  guint8 *list = s.list;
  GstVideoInfo info;
  GstHarness *h;

  g_assert_nonnull (device);
  g_assert_true (yolo_cuda_enter (device, NULL));
  g_assert_cmpint (device->driver->cuMemAlloc (&s.memory, SURFACE_SIZE), ==, CUDA_SUCCESS);
  put (s.surface, 4, 1);
  put (s.surface, 8, 1);
  put (s.surface, 16, 2);
  memcpy (s.surface + 24, &list, sizeof list);
  put (s.list, 0, SURFACE_WIDTH);
  put (s.list, 4, SURFACE_HEIGHT);
  put (s.list, 12, 6);
  put (s.list, 32, SURFACE_SIZE);
  memcpy (s.list + 40, &s.memory, 8);
  put (s.list, 48, 2);
  for (guint plane = 0; plane < 2; plane++) {
    put (s.list, 48 + 36 + 4 * plane, SURFACE_PITCH);
    put (s.list, 48 + 52 + 4 * plane, plane * SURFACE_PITCH * SURFACE_HEIGHT);
  }
  make_info (caps, &info);
  gst_element_set_bus (track, bus);
  g_object_set_data_full (G_OBJECT (track), "bus", bus, gst_object_unref);
  g_object_set (track, "camera-motion", TRUE, "attach-lost", TRUE, NULL);
  h = infer_harness (track, caps);
  for (guint f = 0; f < 5; f++) {
    const YoloMetaObject person = { .x = 100, .y = 80, .w = 40, .h = 60, .confidence = .9f,
      .label = g_quark_from_static_string ("person"), .object_id = -1 };
    GstBuffer *buffer = gst_buffer_new_wrapped_full (
        0, &s, sizeof s.surface, 0, sizeof s.surface, NULL, NULL);
    const YoloMetaObject *object;

    surface_fill (&s, device, 5 * f, 3 * f);
    GST_BUFFER_PTS (buffer) = f * GST_SECOND / 30;
    if (f == 0)                 /* from then on it is lost, and moves with the camera alone */
      yolo_meta_add (buffer, &info, &person, 1, 3);
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
    buffer = gst_harness_pull (h);
    yolo_meta_read (buffer, &info, objects);
    gst_buffer_unref (buffer);
    g_assert_cmpuint (objects->len, ==, 1);
    object = &g_array_index (objects, YoloMetaObject, 0);
    g_assert_cmpfloat_with_epsilon (object->x, 100 - 5. * f, 1);
    g_assert_cmpfloat_with_epsilon (object->y, 80 - 3. * f, 1);
    assert_no_message (track, GST_MESSAGE_WARNING);
  }
  /* a surface whose memory is not CUDA's moves nothing and breaks nothing, which is said */
  memset (s.list + 40, 0, 8);
  gst_harness_push (h, gst_buffer_new_wrapped_full (
      0, &s, sizeof s.surface, 0, sizeof s.surface, NULL, NULL));
  check_message (track, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "an NVMM surface without memory");
  infer_teardown (h);
  device->driver->cuMemFree (s.memory);
  yolo_cuda_leave (device);
  g_array_unref (objects);
}

/* The whole chain of elements, as in the README. */
static void
test_chain (void)
{
  g_autofree gchar *model = data_path (MODEL);
  Run run = run_pipeline (
      "videotestsrc num-buffers=3 ! " TEST_CAPS " ! cudaupload ! " CUDA_CAPS
      " ! yoloinfer model-file=%s "
      "confidence-threshold=.3 ! yolooverlay ! cudadownload ! video/x-raw ! fakesink name=sink",
      model);
  Run plain = run_pipeline ("videotestsrc num-buffers=3 ! " TEST_CAPS " ! fakesink name=sink");

  g_assert_null (run.error);
  g_assert_cmpuint (run.pixels->len, ==, 3);
  for (guint f = 0; f < 3; f++)
    g_assert_false (
        g_bytes_equal (g_ptr_array_index (run.pixels, f), g_ptr_array_index (plain.pixels, f)));
  run_clear (&run);
  run_clear (&plain);
}

/* Gives the element a context as an application does it. */
static void
give_context (GstElement *element, GstObject *given)
{
  GstContext *context = gst_context_new ("gst.cuda.context", TRUE);

  gst_structure_set (gst_context_writable_structure (context), "gst.cuda.context",
      G_OBJECT_TYPE (given), given, NULL);
  gst_element_set_context (element, context);
  gst_context_unref (context);
}

/* A batch of frames in one buffer, as nvstreammux makes them: each frame has the
 * detections that it has alone. */
static void
test_nvmm (void)
{
  enum { WIDTH = 160, HEIGHT = 120, PITCH = 256, SIZE = PITCH * HEIGHT * 3 / 2, N = 3 };
  g_autoptr (YoloCudaDevice) device = yolo_cuda_device_get (0, NULL, NULL);
  struct {
    guint8 surface[64], list[N][384];
  } batch = { 0 };
  GArray *expected[N], *found;
  CUdeviceptr memory[N];
  GstVideoInfo info;
  GstBuffer *buffer;
  GstHarness *h;
  guint8 *list = batch.list[0];

  g_assert_nonnull (device);
  g_assert_true (yolo_cuda_enter (device, NULL));
  make_info (TEST_CAPS, &info);
  put (batch.surface, 4, N);
  put (batch.surface, 8, N);
  put (batch.surface, 16, 2);
  memcpy (batch.surface + 24, &list, sizeof list);
  h = infer_harness (
      infer_new ("device", "cpu", "precision", "fp32", "confidence-threshold", "0.3", NULL),
      TEST_CAPS);
  for (guint i = 0; i < N; i++) {
    GstVideoFrame frame;
    guint8 *pixels = g_malloc0 (SIZE), *p = batch.list[i];
    gsize offset = 0;

    buffer = make_picture (&info);
    gst_buffer_memset (buffer, i * 4000, 17 * i, 3000);
    g_assert_true (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
    put (p, 0, WIDTH);
    put (p, 4, HEIGHT);
    put (p, 12, 6);
    put (p, 32, SIZE);
    put (p, 48, 2);
    for (guint plane = 0; plane < 2; plane++) {
      put (p, 48 + 36 + 4 * plane, PITCH);
      put (p, 48 + 52 + 4 * plane, (guint32) offset);
      for (gint y = 0; y < HEIGHT >> plane; y++, offset += PITCH)
        memcpy (pixels + offset, (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&frame, plane)
            + y * GST_VIDEO_FRAME_PLANE_STRIDE (&frame, plane), WIDTH);
    }
    gst_video_frame_unmap (&frame);
    g_assert_cmpint (device->driver->cuMemAlloc (&memory[i], SIZE), ==, CUDA_SUCCESS);
    g_assert_cmpint (device->driver->cuMemcpyHtoD (memory[i], pixels, SIZE), ==, CUDA_SUCCESS);
    memcpy (p + 40, &memory[i], 8);
    g_free (pixels);
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
    expected[i] = take_detections (gst_harness_pull (h), &info);
  }
  infer_teardown (h);

  /* The element moves to the primary context, which is DeepStream's, whatever context
   * it was given. */
  GstElement *element =
      infer_new ("device", "cuda", "precision", "fp32", "confidence-threshold", "0.3", NULL);
  g_assert_true (yolo_cuda_memory_supported ());
  GstObject *own = GST_OBJECT (gst_cuda_context_new (0));
  give_context (element, own);
  h = infer_harness (element, NVMM_CAPS);
  for (guint round = 0; round < 2; round++) {
    buffer = gst_buffer_new_wrapped_full (
        0, &batch, sizeof batch.surface, 0, sizeof batch.surface, NULL, NULL);
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
    found = take_detections (gst_harness_pull (h), &info);
    for (guint i = 0; i < N; i++) {
      g_autoptr (GArray) own = g_array_new (FALSE, FALSE, sizeof (YoloMetaObject));

      for (guint k = 0; k < found->len; k++)
        if (g_array_index (found, YoloMetaObject, k).slot == i + 1)
          g_array_append_val (own, g_array_index (found, YoloMetaObject, k));
      g_assert_cmpuint (own->len, ==, expected[i]->len);
      g_assert_cmpuint (assert_same_detections (own, expected[i], 0, 0, .05, 1e-4), >, 0);
    }
    g_array_unref (found);
  }
  /* a batch of one frame is a frame like any other, without a place in a batch */
  put (batch.surface, 8, 1);
  buffer = gst_buffer_new_wrapped_full (
      0, &batch, sizeof batch.surface, 0, sizeof batch.surface, NULL, NULL);
  g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
  found = take_detections (gst_harness_pull (h), &info);
  g_assert_cmpuint (assert_same_detections (found, expected[0], 0, 0, .05, 1e-4), >, 0);
  g_assert_cmpuint (g_array_index (found, YoloMetaObject, 0).slot, ==, 0);
  g_array_unref (found);

  /* a still one is gated, in the primary context; a batch is not, which is said */
  g_object_set (h->element, "motion-gate", TRUE, NULL);
  for (guint round = 0; round < 4; round++) {
    g_autoptr (GArray) still = NULL;
    GstStructure *stats;
    guint64 gated = 0;

    put (batch.surface, 8, round < 2 ? 1 : N);
    buffer = gst_buffer_new_wrapped_full (
        0, &batch, sizeof batch.surface, 0, sizeof batch.surface, NULL, NULL);
    g_assert_cmpint (gst_harness_push (h, buffer), ==, GST_FLOW_OK);
    still = take_detections (gst_harness_pull (h), &info);
    g_assert_cmpuint (still->len, >=, expected[0]->len);
    g_object_get (h->element, "stats", &stats, NULL);
    g_assert_true (gst_structure_get_uint64 (stats, "gated", &gated));
    g_assert_cmpuint (gated, ==, round > 0);
    gst_structure_free (stats);
    if (round < 2)
      assert_no_message (h->element, GST_MESSAGE_WARNING);
  }
  check_message (h->element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "frames of several streams");

  /* a surface that lies about its size is an error, and nothing is read */
  put (batch.list[1], 4, 5000);
  gst_harness_push (h,
      gst_buffer_new_wrapped_full (
          0, &batch, sizeof batch.surface, 0, sizeof batch.surface, NULL, NULL));
  check_message (
      h->element, GST_MESSAGE_ERROR, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "does not fit");
  infer_teardown (h);
  put (batch.list[1], 4, HEIGHT);

  /* memory that CUDA does not know, or that is shorter than it should be, is an error
   * too; other elements on the same engine go on */
  GstHarness *other = infer_harness (
      infer_new ("device", "cuda", "precision", "fp32", "confidence-threshold", "0.3", NULL),
      TEST_CAPS);
  const gpointer wrong[] = { &info, (gpointer) (memory[1] + (1 << 14)) };
  /* a real card gives memory in larger pieces than were asked for, so that only gpusim
   * notices the second case */
  for (guint i = 0; i < (g_getenv ("GPUSIM_CACHE") != NULL ? 2 : 1); i++) {
    h = infer_harness (
        infer_new ("device", "cuda", "precision", "fp32", "confidence-threshold", "0.3", NULL),
        NVMM_CAPS);
    memcpy (batch.list[1] + 40, &wrong[i], 8);
    gst_harness_push (h,
        gst_buffer_new_wrapped_full (
            0, &batch, sizeof batch.surface, 0, sizeof batch.surface, NULL, NULL));
    check_message (h->element, GST_MESSAGE_ERROR, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "is not in the memory of any CUDA device");
    g_assert_cmpint (gst_harness_push (other, make_picture (&info)), ==, GST_FLOW_OK);
    gst_buffer_unref (gst_harness_pull (other));
    infer_teardown (h);
  }
  infer_teardown (other);
  gst_object_unref (own);
  for (guint i = 0; i < N; i++) {
    device->driver->cuMemFree (memory[i]);
    g_array_unref (expected[i]);
  }
  yolo_cuda_leave (device);
}

/* The CPU takes no CUDA memory, and nobody takes GLMemory or DMABuf: that is
 * found while negotiating, so that upstream takes another. */
static void
test_negotiation (void)
{
  g_autofree gchar *model = data_path (MODEL);
  static const struct {
    const gchar *device, *caps;
    gboolean taken;
  } rows[] = {
    { "cuda", "video/x-raw(memory:CUDAMemory),format=NV12", TRUE },
    { "auto", "video/x-raw(memory:CUDAMemory),format=NV12", TRUE },
    { "cpu", "video/x-raw(memory:CUDAMemory),format=NV12", FALSE },
    { "cuda", "video/x-raw,format=NV12", TRUE },
    { "auto", "video/x-raw(memory:NVMM),format=NV12", TRUE },
    { "cpu", "video/x-raw(memory:NVMM),format=NV12", FALSE },
    { "cuda", "video/x-raw(memory:GLMemory),format=RGBA", FALSE },
    { "cuda", "video/x-raw(memory:DMABuf),format=NV12", FALSE },
    { "cuda", "video/x-raw(memory:CUDAMemory),format=Y42B", TRUE },
    { "cuda", "video/x-raw(memory:CUDAMemory),format=I422_10LE", FALSE },
    { "cuda", "video/x-raw,format=I422_10LE", TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    GstElement *element = infer_new ("device", rows[i].device, NULL);
    g_autoptr (GstPad) pad = gst_element_get_static_pad (element, "sink");
    g_autoptr (GstCaps) caps = gst_caps_from_string (rows[i].caps);
    g_autoptr (GstCaps) taken = gst_pad_query_caps (pad, NULL);

    g_test_message ("%s %s", rows[i].device, rows[i].caps);
    g_assert_true (gst_caps_can_intersect (caps, taken) == rows[i].taken);
    infer_free (element);
  }

  /* The uploader passes frames on as they are where they can be taken so. */
  Run run = run_pipeline ("videotestsrc num-buffers=2 ! " TEST_CAPS
                          " ! cudaupload ! yoloinfer device=cpu model-file=%s ! "
                          "fakesink name=sink",
      model);
  g_assert_null (run.error);
  g_assert_false (run.cuda);
  g_assert_cmpuint (run.frames->len, ==, 2);
  run_clear (&run);
}

typedef struct {
  /* GstCudaContext of the buffers, and what the element says it shares */
  GstObject *frames, *element;
} Contexts;

static GstObject *
ask_context (GstPad *pad)
{
  GstQuery *query = gst_query_new_context ("gst.cuda.context");
  GstContext *context = NULL;
  GstObject *shared = NULL;

  if (gst_pad_query (pad, query)) {
    gst_query_parse_context (query, &context);
    g_assert_nonnull (context);
    shared = g_value_dup_object (
        gst_structure_get_value (gst_context_get_structure (context), "gst.cuda.context"));
  }
  gst_query_unref (query);
  return shared;
}

static GstPadProbeReturn
see_contexts (GstPad *pad, GstPadProbeInfo *probe, Contexts *seen)
{
  gst_object_replace (&seen->frames, yolo_cuda_buffer_context (GST_PAD_PROBE_INFO_BUFFER (probe)));
  gst_clear_object (&seen->element);
  seen->element = ask_context (pad);
  return GST_PAD_PROBE_OK;
}

/* Runs a pipeline to the end and tells what context the element called "y" had, and
 * what its frames had. @given: (nullable): what the application gives the pipeline */
static Contexts
run_contexts (const gchar *text, GstObject *given)
{
  Contexts seen = { NULL, NULL };
  g_autoptr (GError) error = NULL;
  g_autofree gchar *model = data_path (MODEL);
  GstElement *pipeline = gst_parse_launch (text, &error);
  GstElement *element;
  GstMessage *message;
  GstBus *bus;
  GstPad *pad;

  g_test_message ("%s", text);
  g_assert_no_error (error);
  if (given)
    give_context (pipeline, given);
  element = gst_bin_get_by_name (GST_BIN (pipeline), "y");
  g_object_set (element, "model-file", model, NULL);
  pad = gst_element_get_static_pad (element, "sink");
  gst_pad_add_probe (
      pad, GST_PAD_PROBE_TYPE_BUFFER, (GstPadProbeCallback) see_contexts, &seen, NULL);
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, 300 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pad);
  gst_object_unref (element);
  gst_object_unref (pipeline);
  g_assert_nonnull (seen.frames);
  g_assert_nonnull (seen.element);
  return seen;
}

static void
contexts_clear (Contexts *seen)
{
  gst_object_unref (seen->frames);
  gst_object_unref (seen->element);
}

#define UPLOAD "videotestsrc num-buffers=2 ! " TEST_CAPS " ! cudaupload ! " CUDA_CAPS " ! "

/* The network runs in the context of the frames, whoever made it: they need no copy. */
static void
test_contexts (void)
{
  g_autofree gchar *model = data_path (MODEL);
  g_autofree gchar *two =
      g_strdup_printf (UPLOAD "tee name=t ! queue ! yoloinfer name=y ! fakesink async=false "
                              "t. ! queue ! yoloinfer model-file=%s ! fakesink async=false",
          model);
  g_assert_true (yolo_cuda_memory_supported ());
  GstObject *own = GST_OBJECT (gst_cuda_context_new (0));
  Contexts first = run_contexts (UPLOAD "yoloinfer name=y ! fakesink", NULL);
  Contexts other = run_contexts (
      UPLOAD "yoloinfer name=y device=cuda ! yolooverlay ! cudadownload ! fakesink", NULL);
  Contexts third = run_contexts (two, NULL);
  Contexts given = run_contexts (UPLOAD "yoloinfer name=y ! fakesink", own);

  g_assert_true (first.frames == first.element);
  g_assert_true (other.frames == other.element);
  g_assert_true (third.frames == third.element);
  g_assert_true (given.element == own);
  g_assert_true (given.frames == own);

  /* a context that the element offers is the same in all pipelines, which share an
   * engine by that */
  g_assert_true (yolo_cuda_context_is_primary (first.frames));
  g_assert_true (yolo_cuda_context_is_primary (other.frames));
  g_assert_true (yolo_cuda_context_is_primary (third.frames));
  g_assert_false (yolo_cuda_context_is_primary (own));
  g_assert_true (
      yolo_cuda_context_handle (first.frames) == yolo_cuda_context_handle (third.frames));

  contexts_clear (&first);
  contexts_clear (&other);
  contexts_clear (&third);
  contexts_clear (&given);
  gst_object_unref (own);
}

/* An element on each of two devices, each with frames of its own. */
static void
test_two_devices (void)
{
  g_autofree gchar *model = data_path (MODEL);
  Run cpu, runs[2];

  if (g_strcmp0 (g_getenv ("GPUSIM_DEVICES"), "2") != 0) {
    g_test_skip ("there is one device");
    return;
  }
  cpu = run_pipeline ("videotestsrc num-buffers=3 ! " TEST_CAPS
                      " ! yoloinfer device=cpu precision=fp32 "
                      "confidence-threshold=.3 iou-threshold=1 model-file=%s ! fakesink name=sink",
      model);
  for (guint i = 0; i < 2; i++) {
    /* both at once: the tee's other branch runs on the other device */
    runs[i] = run_pipeline (
        "videotestsrc num-buffers=3 ! " TEST_CAPS " ! tee name=t "
        "t. ! queue ! cudaupload cuda-device-id=0 ! " CUDA_CAPS
        " ! yoloinfer device=cuda cuda-device-id=0 precision=fp32 "
        "confidence-threshold=.3 iou-threshold=1 model-file=%s ! fakesink async=false name=%s "
        "t. ! queue ! cudaupload cuda-device-id=1 ! " CUDA_CAPS
        " ! yoloinfer device=cuda cuda-device-id=1 precision=fp32 "
        "confidence-threshold=.3 iou-threshold=1 model-file=%s ! fakesink async=false name=%s",
        model, i == 0 ? "sink" : "other", model, i == 0 ? "other" : "sink");
    g_assert_cmpuint (compare_runs (&cpu, &runs[i], .3, .999, 1e-4), >, 2);
    run_clear (&runs[i]);
  }
  /* frames of the other device are copied, and not read from there */
  runs[0] = run_pipeline ("videotestsrc num-buffers=3 ! " TEST_CAPS
                          " ! cudaupload cuda-device-id=0 ! " CUDA_CAPS " ! yoloinfer device=cuda "
                          "cuda-device-id=1 precision=fp32 confidence-threshold=.3 iou-threshold=1 "
                          "model-file=%s ! fakesink name=sink",
      model);
  g_assert_cmpuint (compare_runs (&cpu, &runs[0], .3, .999, 1e-4), >, 2);
  run_clear (&runs[0]);
  run_clear (&cpu);

  /* an element that was not told a device follows the frames */
  Contexts seen =
      run_contexts ("videotestsrc num-buffers=2 ! " TEST_CAPS
                    " ! cudaupload cuda-device-id=1 ! " CUDA_CAPS " ! yoloinfer name=y ! fakesink",
          NULL);
  g_assert_true (seen.frames == seen.element);
  g_assert_cmpuint (yolo_cuda_context_device (seen.element), ==, 1);
  contexts_clear (&seen);
  seen = run_contexts ("videotestsrc num-buffers=2 ! " TEST_CAPS
                       " ! cudaupload cuda-device-id=1 ! " CUDA_CAPS
                       " ! yoloinfer name=y cuda-device-id=0 ! fakesink",
      NULL);
  g_assert_cmpuint (yolo_cuda_context_device (seen.frames), ==, 1);
  g_assert_cmpuint (yolo_cuda_context_device (seen.element), ==, 0);
  contexts_clear (&seen);
}

/* A device that is lost, a launch that is refused and memory that runs out end the
 * stream that runs on the GPU, with an error; a stream on the CPU goes on to its end. */
static void
test_lost_device (void)
{
  g_autofree gchar *model = data_path (MODEL);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *text = g_strdup_printf (
      "videotestsrc num-buffers=400 ! " TEST_CAPS " ! yoloinfer name=lost "
      "device=cuda precision=fp32 input-size=auto model-file=%s ! fakesink async=false "
      "videotestsrc num-buffers=60 ! " TEST_CAPS " ! yoloinfer name=cpu "
      "device=cpu model-file=%s ! fakesink async=false name=sink",
      model, model);
  GstElement *pipeline, *sink;
  GstMessage *message;
  GstBus *bus;
  Run run = {
    g_ptr_array_new_with_free_func (free_objects),
    g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref), NULL, FALSE
  };

  if (g_getenv ("GPUSIM_LOSE_DEVICE") == NULL && g_getenv ("GPUSIM_FAIL_LAUNCH") == NULL
      && g_getenv ("GPUSIM_FAIL_ALLOC") == NULL) {
    g_test_skip ("nothing fails");
    return;
  }
  pipeline = gst_parse_launch (text, &error);
  g_assert_no_error (error);
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_object_set (sink, "signal-handoffs", TRUE, NULL);
  g_signal_connect (sink, "handoff", G_CALLBACK (keep_frame), &run);
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, 100 * GST_SECOND, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  g_assert_cmpstr (GST_OBJECT_NAME (message->src), ==, "lost");
  gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  const gint code = g_getenv ("GPUSIM_FAIL_ALLOC") ? GST_RESOURCE_ERROR_NO_SPACE_LEFT
                                                   : GST_RESOURCE_ERROR_NOT_FOUND;
  g_assert_error (error, GST_RESOURCE_ERROR, code);
  gst_message_unref (message);
  for (guint i = 0; i < 1000 && g_atomic_int_get ((gint *) &run.frames->len) < 60; i++)
    g_usleep (50000);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_assert_cmpuint (run.frames->len, ==, 60);
  gst_object_unref (sink);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
  run_clear (&run);
}

/* Runs another test in a process of its own, with another device. */
static void
test_child (gconstpointer data)
{
  const gchar *const *how = data;       /* variable, value, test */
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) environment = g_environ_setenv (g_get_environ (), how[0], how[1], TRUE);
  g_autofree gchar *output = NULL, *errors = NULL;
  gchar *argv[] = { g_file_read_link ("/proc/self/exe", NULL), (gchar *) "-p", (gchar *) how[2],
    NULL };
  int status;

  if (g_getenv ("GPUSIM_CACHE") == NULL) {
    g_test_skip ("a real driver does as it likes");
  } else {
    g_spawn_sync (NULL, argv, environment, 0, NULL, NULL, &output, &errors, &status, &error);
    g_assert_no_error (error);
    if (!g_spawn_check_wait_status (status, &error))
      g_error ("%s=%s: %s\n%s%s", how[0], how[1], error->message, output, errors);
    g_assert_nonnull (strstr (output, "\nok "));
    g_assert_null (strstr (output, "# SKIP"));
  }
  g_free (argv[0]);
}

static gboolean
element_exists (const gchar *name)
{
  g_autoptr (GstElementFactory) factory = gst_element_factory_find (name);

  return factory != NULL;
}

int
main (int argc, char **argv)
{
  static const gchar *const two[] = { "GPUSIM_DEVICES", "2", "/gst-plugin/cuda/two" };
  static const gchar *const lost[] = { "GPUSIM_LOSE_DEVICE", "200", "/gst-plugin/cuda/lost" };
  static const gchar *const refused[] = { "GPUSIM_FAIL_LAUNCH", "200", "/gst-plugin/cuda/lost" };
  static const gchar *const no_memory[] = { "GPUSIM_FAIL_ALLOC", "5", "/gst-plugin/cuda/lost" };

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  if (!element_exists ("cudaupload")) {
    printf (
        "1..0 # SKIP GStreamer has no CUDA elements here (gstreamer1.0-plugins-bad, a driver)\n");
    return 0;
  }
  /* these are for the child processes only */
  g_test_add_func ("/gst-plugin/cuda/two", test_two_devices);
  g_test_add_func ("/gst-plugin/cuda/lost", test_lost_device);
  g_test_add_func ("/gst-plugin/cuda/detections", test_detections);
  g_test_add_func ("/gst-plugin/cuda/parts", test_parts);
  g_test_add_func ("/gst-plugin/cuda/formats", test_formats);
  g_test_add_func ("/gst-plugin/cuda/no-meta", test_no_meta);
  g_test_add_func ("/gst-plugin/cuda/video", test_video);
  g_test_add_func ("/gst-plugin/cuda/negotiation", test_negotiation);
  g_test_add_func ("/gst-plugin/cuda/contexts", test_contexts);
  g_test_add_func ("/gst-plugin/cuda/camera-nvmm", test_camera_nvmm);
  g_test_add_func ("/gst-plugin/cuda/nvmm", test_nvmm);
  g_test_add_func ("/gst-plugin/cuda/overlay", test_overlay);
  g_test_add_func ("/gst-plugin/cuda/privacy", test_privacy);
  g_test_add_func ("/gst-plugin/cuda/gate", test_gate);
  g_test_add_func ("/gst-plugin/cuda/camera", test_camera);
  g_test_add_func ("/gst-plugin/cuda/chain", test_chain);
  g_test_add_data_func ("/gst-plugin/cuda/two-devices", two, test_child);
  g_test_add_data_func ("/gst-plugin/cuda/lost-device", lost, test_child);
  g_test_add_data_func ("/gst-plugin/cuda/refused-launch", refused, test_child);
  g_test_add_data_func ("/gst-plugin/cuda/no-memory", no_memory, test_child);
  return g_test_run ();
}
