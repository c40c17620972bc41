#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads detections in a pad probe, with GStreamer's Python bindings
(Debian: python3-gst-1.0).

    GST_PLUGIN_PATH=build/gst-plugin pipelines/read_detections.py MODEL VIDEO

Prints a line for each object of each frame.
"""

import sys

import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstVideo', '1.0')
from gi.repository import GLib, Gst, GstVideo

Gst.init(None)
ROI = GstVideo.video_region_of_interest_meta_api_get_type()


def detections(buffer):
    """(label, confidence, x, y, width, height) of each object, in pixels.

    The bindings cannot walk a buffer's metadata, but look one up by its
    number. yoloinfer numbers its objects upwards from 0; a tracker's entries
    may stand between them.
    """
    left = buffer.get_n_meta(ROI)
    for number in range(16 * left):
        roi = GstVideo.buffer_get_video_region_of_interest_meta_id(buffer, number)
        if roi is None:
            continue
        detection = roi.get_param('detection')
        if detection is not None:
            yield (GLib.quark_to_string(roi.roi_type), detection.get_double('confidence')[1],
                   roi.x, roi.y, roi.w, roi.h)
        left -= 1
        if left == 0:
            return


def print_detections(pad, info):
    buffer = info.get_buffer()
    for label, confidence, x, y, width, height in detections(buffer):
        print(f'{buffer.pts / Gst.SECOND:.3f} {label} {confidence:.2f} at {x},{y} {width}x{height}')
    return Gst.PadProbeReturn.OK


def main():
    if len(sys.argv) != 3:
        sys.exit(f'usage: {sys.argv[0]} MODEL VIDEO')
    try:
        pipeline = Gst.parse_launch('filesrc name=source ! decodebin ! yoloinfer name=infer ! '
                                    'fakesink sync=false')
    except GLib.Error as error:
        sys.exit(error.message)
    pipeline.get_by_name('source').props.location = sys.argv[2]
    infer = pipeline.get_by_name('infer')
    infer.set_property('model-file', sys.argv[1])
    infer.set_property('input-size', 'auto')
    infer.get_static_pad('src').add_probe(Gst.PadProbeType.BUFFER, print_detections)

    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR | Gst.MessageType.EOS)
    failed = message.type == Gst.MessageType.ERROR
    pipeline.set_state(Gst.State.NULL)
    if failed:
        sys.exit(message.parse_error()[0].message)


if __name__ == '__main__':
    main()
