/* SPDX-License-Identifier: MIT */
/* In place of libavfilter in the image. GStreamer's decoders by FFmpeg are linked with it for the
 * sake of one element, avdeinterlace, which nothing here makes; the library itself wants others for
 * speech, shaders and linear algebra, 60 MB of them. No graph of filters can be made here.
 * Source of the names: FFmpeg's libavfilter/avfilter.h, buffersink.h and buffersrc.h. */

#include <errno.h>
#include <stddef.h>

void *avfilter_graph_alloc (void);
void avfilter_graph_free (void **graph);
void *avfilter_graph_get_filter (void *graph, const char *name);
int avfilter_graph_config (void *graph, void *log);
int avfilter_graph_parse2 (void *graph, const char *text, void **inputs, void **outputs);
int av_buffersink_get_frame (void *sink, void *frame);
int av_buffersrc_add_frame (void *source, void *frame);

void *
avfilter_graph_alloc (void)
{
  return NULL;
}

void
avfilter_graph_free (void **graph)
{
}

void *
avfilter_graph_get_filter (void *graph, const char *name)
{
  return NULL;
}

int
avfilter_graph_config (void *graph, void *log)
{
  return -ENOSYS;
}

int
avfilter_graph_parse2 (void *graph, const char *text, void **inputs, void **outputs)
{
  return -ENOSYS;
}

int
av_buffersink_get_frame (void *sink, void *frame)
{
  return -ENOSYS;
}

int
av_buffersrc_add_frame (void *source, void *frame)
{
  return -ENOSYS;
}
