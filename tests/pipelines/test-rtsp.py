#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""RTSP cameras on the loopback: detections come, a dead camera is reported,
and the others go on. One pipeline a camera; all share one engine."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import BUILD, PATIENCE, Camera, fetch, run_cases

import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstVideo', '1.0')
from gi.repository import Gst, GstVideo

os.environ['GST_PLUGIN_PATH'] = os.path.join(BUILD, 'gst-plugin')
Gst.init(None)
ROI = GstVideo.video_region_of_interest_meta_api_get_type()


class Viewer:
    """A pipeline on one camera that counts frames and objects."""

    def __init__(self, url, protocols):
        self.frames = self.objects = 0
        self.pipeline = Gst.parse_launch(
            f'rtspsrc location={url} protocols={protocols} latency=100 timeout=2000000 ! '
            'decodebin ! '
            'queue leaky=downstream max-size-buffers=1 ! '
            f'yoloinfer name=infer model-file="{fetch("model")}" input-size=320 ! '
            'fakesink sync=false')
        infer = self.pipeline.get_by_name('infer')
        infer.get_static_pad('src').add_probe(Gst.PadProbeType.BUFFER, self.count)
        self.bus = self.pipeline.get_bus()

    def __enter__(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        return self

    def __exit__(self, *exception):
        self.pipeline.set_state(Gst.State.NULL)

    def count(self, pad, info):
        self.frames += 1
        self.objects += info.get_buffer().get_n_meta(ROI)
        return Gst.PadProbeReturn.OK

    def end(self, seconds):
        """The error or EOS within that time, or None."""
        return self.bus.timed_pop_filtered(int(seconds * Gst.SECOND),
                                           Gst.MessageType.ERROR | Gst.MessageType.EOS)

    def wait_for_frames(self, more, seconds=PATIENCE):
        target = self.frames + more
        end = time.monotonic() + seconds
        while self.frames < target:
            message = self.end(0.05)
            assert message is None, (
                message.parse_error() if message.type == Gst.MessageType.ERROR else 'EOS')
            assert time.monotonic() < end, f'{self.frames} frames in {seconds} s'


def detections_come(protocols):
    with Camera() as camera, Viewer(camera.url, protocols) as viewer:
        viewer.wait_for_frames(10)
        assert viewer.objects >= viewer.frames, (viewer.objects, viewer.frames)


def detections_come_over_tcp():
    detections_come('tcp')


def detections_come_over_udp():
    detections_come('udp')


def dead_camera_is_reported(protocols):
    with Camera() as camera, Viewer(camera.url, protocols) as viewer:
        viewer.wait_for_frames(5)
        camera.die()
        message = viewer.end(PATIENCE)
        assert message is not None, f'nothing said within {PATIENCE} s'
        print(f'# {message.type.first_value_nick}: '
              + (message.parse_error()[0].message if message.type == Gst.MessageType.ERROR else ''))


def a_dead_camera_is_reported_over_tcp():
    dead_camera_is_reported('tcp')


def a_dead_camera_is_reported_over_udp():
    dead_camera_is_reported('udp')


def a_camera_that_is_not_there_is_an_error():
    camera = Camera()
    camera.die()
    with Viewer(camera.url, 'tcp') as viewer:
        message = viewer.end(PATIENCE)
        assert message is not None and message.type == Gst.MessageType.ERROR, message
        assert viewer.frames == 0


def the_other_camera_goes_on():
    with Camera() as first, Camera() as second, \
            Viewer(first.url, 'tcp') as dying, Viewer(second.url, 'tcp') as living:
        dying.wait_for_frames(5)
        living.wait_for_frames(5)
        first.die()
        assert dying.end(PATIENCE) is not None, 'the dead camera was not reported'
        living.wait_for_frames(10)
        dying.pipeline.set_state(Gst.State.NULL)
        objects = living.objects
        living.wait_for_frames(10)
        assert living.objects > objects


def a_camera_comes_back():
    with Camera() as camera, Viewer(camera.url, 'tcp') as viewer:
        viewer.wait_for_frames(5)
        camera.die()
        assert viewer.end(PATIENCE) is not None
    with Camera() as camera, Viewer(camera.url, 'tcp') as viewer:
        viewer.wait_for_frames(5)


def main():
    run_cases([detections_come_over_tcp, detections_come_over_udp,
               a_dead_camera_is_reported_over_tcp, a_dead_camera_is_reported_over_udp,
               a_camera_that_is_not_there_is_an_error, the_other_camera_goes_on,
               a_camera_comes_back])


if __name__ == '__main__':
    main()
