/* SPDX-License-Identifier: MIT */
/* test_gstreamer.c - a kernel on frames that GStreamer's cudaupload made.
 * usage: test_gstreamer scalar_80.ptx */
#define GST_USE_UNSTABLE_API
#include "test.h"
#include <gst/app/gstappsink.h>
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudamemory.h>
#include <gst/gst.h>
#include <gst/video/video.h>

enum { WIDTH = 324, HEIGHT = 178, SIZE = 96, FRAMES = 4 };

#define SOURCE "videotestsrc num-buffers=4 pattern=ball ! video/x-raw,format=NV12,width=324,height=178 ! "

static GstElement *start(const char *description, GstElement **sink)
{
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch(description, &error);
  if (!pipeline) {
    check(false, "GStreamer: %s", error->message);
    exit(1);
  }
  *sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  return pipeline;
}

/* The frame letterboxed by the kernel, from memory on the device. */
static void run_kernel(CUfunction *function, const char *image, GstSample *sample, float *rgb)
{
  GstMemory *memory = gst_buffer_peek_memory(gst_sample_get_buffer(sample), 0);
  GstCudaMemory *cuda = GST_CUDA_MEMORY_CAST(memory);
  GstMapInfo map;
  gst_cuda_context_push(cuda->context);
  if (!*function)
    MUST(cuModuleGetFunction(function, load(image), "letterbox"));
  gst_memory_map(memory, &map, GST_MAP_READ | GST_MAP_CUDA);
  CUdeviceptr y = (CUdeviceptr)map.data + cuda->info.offset[0], uv = (CUdeviceptr)map.data + cuda->info.offset[1];
  CUdeviceptr out = upload(NULL, 3 * SIZE * SIZE * 4);
  int width = WIDTH, height = HEIGHT, pitch = cuda->info.stride[0], size = SIZE, top = 10, rows = 53;
  float scale = (float)WIDTH / SIZE;
  void *params[] = {&y, &uv, &width, &height, &pitch, &out, &size, &scale, &top, &rows};
  MUST(cuLaunchKernel(*function, SIZE / 32, SIZE / 8, 1, 32, 8, 1, 0, NULL, params, NULL));
  MUST(cuMemcpyDtoH(rgb, out, 3 * SIZE * SIZE * 4));
  MUST(cuMemFree(out));
  gst_memory_unmap(memory, &map);
  gst_cuda_context_pop(NULL);
}

/* The red of one pixel from the frame in system memory. */
static float red(const uint8_t *frame, const GstVideoInfo *info, int x, int row)
{
  float scale = (float)WIDTH / SIZE;
  int sx = (int)(((float)x + 0.5f) * scale), sy = (int)(((float)(row - 10) + 0.5f) * scale), stride = info->stride[0];
  if (row < 10 || row >= 63)
    return 0.5f;
  sx = MIN(sx, WIDTH - 1), sy = MIN(sy, HEIGHT - 1);
  float luma = 1.164383f * (frame[sy * stride + sx] - 16.0f), v = frame[info->offset[1] + (size_t)(sy / 2 * stride + sx / 2 * 2 + 1)] - 128.0f;
  float value = fmaf(1.792741f, v, luma) / 255.0f;
  return value > 1 ? 1 : value > 0 ? value : 0;
}

static double worst_error(const float *rgb, GstSample *sample)
{
  GstVideoInfo info;
  GstMapInfo map;
  double worst = 0;
  gst_video_info_from_caps(&info, gst_sample_get_caps(sample));
  gst_buffer_map(gst_sample_get_buffer(sample), &map, GST_MAP_READ);
  for (int i = 0; i < SIZE * SIZE; i++)
    worst = fmax(worst, fabs((double)rgb[i] - (double)red(map.data, &info, i % SIZE, i / SIZE)));
  gst_buffer_unmap(gst_sample_get_buffer(sample), &map);
  return worst;
}

int main(int argc, char **argv)
{
  GstElement *device_sink, *host_sink;
  CUfunction function = NULL;
  static float rgb[3 * SIZE * SIZE];
  double worst = 0;
  int frames = 0;
  gst_init(&argc, &argv);
  if (argc != 2)
    return 2;
  GstElement *device = start(SOURCE "cudaupload ! video/x-raw(memory:CUDAMemory) ! appsink name=sink sync=false", &device_sink);
  GstElement *host = start(SOURCE "appsink name=sink sync=false", &host_sink);
  for (GstSample *sample, *same; (sample = gst_app_sink_pull_sample(GST_APP_SINK(device_sink))); frames++) {
    same = gst_app_sink_pull_sample(GST_APP_SINK(host_sink));
    run_kernel(&function, argv[1], sample, rgb);
    worst = fmax(worst, worst_error(rgb, same));
    gst_sample_unref(sample);
    gst_sample_unref(same);
  }
  check(frames == FRAMES && worst < 1e-6, "GStreamer: a kernel on %d frames in CUDA memory, worst error %.2g", frames, worst);
  gst_element_set_state(device, GST_STATE_NULL);
  gst_element_set_state(host, GST_STATE_NULL);
  return finish();
}
