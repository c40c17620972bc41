#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""yolo-server's video: clips, recordings, HLS, RTSP. The cameras are RTSP servers on the loopback
that encode; what comes out is decoded."""

import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'server'))
from tap import PATIENCE, Skip, folder, run_cases, wait_until
from wall import PROGRAM, Browser, Rtsp, Server

FRAME = 320 * 240 * 3 // 2      # bytes of a picture in I420
GROUP = 15                      # frames, a second, from one where decoding can begin to the next
PICTURES = ('( videotestsrc is-live=true pattern={pattern} ! '
            'video/x-raw,format=I420,width={width},height={height},framerate=15/1 ! ')
H264 = PICTURES + ('x264enc speed-preset=ultrafast bitrate=300 key-int-max=15 {more} ! '
                   'rtph264pay name=pay0 )')
H265 = PICTURES + ('x265enc speed-preset=ultrafast bitrate=300 key-int-max=15 '
                   'tune=zerolatency ! rtph265pay name=pay0 )')
# A camera that is not taken to be stalled where a machine is busy.
STEADY = 'stall-after: 600, connect-timeout: 600'
DECODE = {'h264': ['h264parse', '!', 'avdec_h264'], 'h265': ['h265parse', '!', 'avdec_h265']}


def has(*elements):
    for element in elements:
        if subprocess.run(['gst-inspect-1.0', '--exists', element], check=False).returncode:
            raise Skip(f'{element} is not installed')


def camera(launch=H264, more='tune=zerolatency', **options):
    has('x265enc' if launch is H265 else 'x264enc', 'avdec_h264')
    return Rtsp(launch=launch.replace('{more}', more), **options)


def decode(data, kind='h264'):
    """The number of pictures in an MP4, all of which can be decoded."""
    path = os.path.join(folder(), 'video.mp4')
    raw = path + '.raw'
    with open(path, 'wb') as file:
        file.write(data)
    result = subprocess.run(
        ['gst-launch-1.0', '-q', 'filesrc', f'location={path}', '!', 'qtdemux', '!',
         *DECODE[kind], '!', 'video/x-raw,format=I420', '!', 'filesink', f'location={raw}'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=PATIENCE)
    assert result.returncode == 0 and not result.stdout, result.stdout
    size = os.path.getsize(raw)
    assert size % FRAME == 0, size
    return size // FRAME


def boxes(data):
    """(kind, offset, size) of the outer boxes."""
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack('>I4s', data[at:at + 8])
        assert 8 <= size <= len(data) - at, (kind, size, at, len(data))
        found.append((kind.decode(), at, size))
        at += size
    return found


def pictures(data):
    """How many pictures the fragments of a file say that they have; each fragment begins at the
    time at which the one before ends."""
    n, end = 0, None
    for kind, at, _ in boxes(data):
        if kind == 'moof':
            begin = struct.unpack('>Q', data[(box := data.index(b'tfdt', at)) + 8:box + 16])[0]
            run = data.index(b'trun', at)
            count = struct.unpack('>I', data[run + 8:run + 12])[0]
            durations = struct.unpack(f'>{4 * count}I', data[run + 16:run + 16 + 16 * count])[::4]
            assert end in (None, begin), (n, begin, end)
            n, end = n + count, begin + sum(durations)
    return n


def index(data):
    """[(bytes, seconds)] of the fragments, as the index has them, which must be where it says."""
    parts = boxes(data)
    kind, at, size = parts[2]
    assert kind == 'sidx', parts[:4]
    scale, _, first, n = struct.unpack('>I Q Q H', data[at + 16:at + 36] + data[at + 38:at + 40])
    entries = [struct.unpack('>I I', data[at + 40 + 12 * i:at + 48 + 12 * i]) for i in range(n)]
    where = at + size + first
    for length, _ in entries:
        assert data[where + 4:where + 8] == b'moof', where
        where += length
    assert where == len(data), (where, len(data))
    return [(length, duration / scale) for length, duration in entries]


def events(server, query=''):
    return server.ask('GET', f'api/v1/events?{query}').json['events']


def recordings(server, query=''):
    answer = server.ask('GET', f'api/v1/recordings?{query}')
    assert answer.status == 200, answer.body
    return answer.json['recordings']


def ended(server):
    return [one for one in recordings(server, 'limit=500') if one['end']]


def has_room():
    if shutil.disk_usage(folder()).free < 400 << 20:
        raise Skip('the disk is nearly full, where old files go at once')


def kept(name):
    has_room()
    path = os.path.join(folder(), name)
    return path, f'events-folder: {path}'


def events_have_clips():
    """With what was before; several share one; they are cut where that is too long."""
    path, where = kept('clips')
    with camera() as rtsp, Server(
            f'a: {{uri: "{rtsp.url}", {STEADY}, record: events, '
            'clip-before: 2, clip-after: 1, clip-max: 6}', 'confidence: 0\nevents: [arrive]',
            where) as server:
        # The first one that has a past, and whose clip has ended.
        wait_until(lambda: len({e['clip'] for e in events(server, 'limit=500')}) > 3)
        wait_until(lambda: sum(size > 0 for size in sizes(path, 'clips')) > 1)
        shown = [event for event in events(server, 'limit=500') if event['clip']]
        assert len(shown) > len(os.listdir(os.path.join(path, 'clips'))), 'events share clips'
        for name in os.listdir(os.path.join(path, 'clips')):
            assert name.removesuffix('.mp4').isdecimal(), name
        first = shown[-1]['clip']
        wait_until(lambda: b'sidx' in server.ask('GET', first).body)
        whole = server.ask('GET', first)
        assert whole.status == 200 and whole.headers['Content-Type'] == 'video/mp4'
        parts = index(whole.body)
        seconds = sum(length for _, length in parts)
        frames = decode(whole.body)
        print(f'# {frames} pictures in {seconds:.1f} s, {len(parts)} fragments')
        assert frames == pictures(whole.body) and frames > 5 and seconds > .2, (frames, seconds)
        # Parts, as browsers ask for them.
        size = len(whole.body)
        for asked, begin, end in (('bytes=0-99', 0, 100), ('bytes=100-', 100, size),
                                  ('bytes=-10', size - 10, size), (f'bytes=5-{size * 2}', 5, size)):
            part = server.ask('GET', first, headers={'Range': asked})
            assert part.status == 206 and part.body == whole.body[begin:end], (asked, part.headers)
            assert part.headers['Content-Range'] == f'bytes {begin}-{end - 1}/{size}', part.headers
        assert server.ask('GET', first, headers={'Range': f'bytes={size}-'}).status == 416
        head = server.ask('HEAD', first)
        assert head.body == b'' and head.headers['Content-Length'] == str(size), head.headers
        assert server.ask('GET', 'api/v1/events/1000000/clip').status == 404
        assert server.ask('GET', 'api/v1/status').json['video']['lost'] == 0
        assert server.metrics()['yolo_viewers'] == 0


def sizes(path, kind):
    inside = os.path.join(path, kind)
    return [os.path.getsize(os.path.join(inside, name)) for name in os.listdir(inside)]


def recordings_go_on_and_survive():
    """Segments, by camera and time; after kill -9 all but the last second is there."""
    path, where = kept('recorded')
    with camera() as rtsp, camera(H264, 'bframes=2 b-adapt=false') as other, Server(
            f'a: {{uri: "{rtsp.url}", {STEADY}}}\nb: {{uri: "{other.url}", {STEADY}}}',
            'record: continuous\nrecord-segment: 2\nevents: [up]', where) as server:
        wait_until(lambda: min(sum(one['camera'] == name for one in ended(server))
                               for name in 'ab') >= 2)
        server.wait_for('a', 'live')
        for one in [next(one for one in ended(server) if one['camera'] == name)
                    for name in 'ab']:
            video = server.ask('GET', one['video']).body
            assert len(video) == one['bytes'] and one['begin'] < one['end'], one
            frames, seconds = decode(video), sum(length for _, length in index(video))
            assert frames == pictures(video) > 5 and seconds > 1, (one, frames, seconds)
        middle = ended(server)[0]['begin']
        assert all(one['camera'] == 'a' for one in recordings(server, 'camera=a'))
        assert not recordings(server, 'camera=none')
        assert not recordings(server, 'until=2020-01-01T00:00:00Z')
        assert ended(server)[0]['id'] not in [one['id'] for one in
                                              recordings(server, f'until={middle}')]
        assert server.ask('GET', 'api/v1/recordings?kind=up').status == 400

        def written():
            """The numbers of those that are being written, and have some fragments."""
            return {one['id'] for one in recordings(server, 'limit=500') if not one['end']
                    and len(server.ask('GET', one['video']).body) > 10000}
        under_way = set()
        wait_until(lambda: under_way.update(written()) or under_way)
        server.end(signal.SIGKILL)
    # A file that no row knows, and one that is not ours.
    for name in '999999.mp4', 'mine.mp4':
        with open(os.path.join(path, 'recordings', name), 'wb') as file:
            file.write(b'x')
    with Server('', '', where) as server:
        assert all(one['end'] for one in recordings(server, 'limit=500'))
        left = {one['id'] for one in recordings(server, 'limit=500')}
        assert under_way <= left, (under_way, left)
        for one in recordings(server):
            if one['id'] in under_way:
                video = server.ask('GET', one['video']).body
                assert decode(video) == pictures(video) > 5, one
        assert sorted(os.listdir(os.path.join(path, 'recordings'))) == sorted(
            ['mine.mp4'] + [f'{one}.mp4' for one in left])
        assert server.end() < 20
    # What is too old goes, with its file.
    with Server('', '', f'{where}\nrecordings-days: 0') as server:
        server.ask('PUT', 'api/v1/cameras/c', {'uri': 'test:snow'})
        wait_until(lambda: not recordings(server))
        assert os.listdir(os.path.join(path, 'recordings')) == ['mine.mp4']


def a_camera_may_send_h265():
    has('avdec_h265')
    _, where = kept('hevc')
    with camera(H265) as rtsp, Server(
            f'a: {{uri: "{rtsp.url}", {STEADY}, record: continuous, record-segment: 2}}', '',
            where) as server:
        wait_until(lambda: ended(server))
        video = server.ask('GET', ended(server)[0]['video']).body
        assert b'hvc1' in video and decode(video, 'h265') > 10


def full_disks_lose_video_and_nothing_else():
    """A folder that takes no files stands for a disk that does not."""
    path, where = kept('full')
    with camera() as rtsp, Server(
            f'a: {{uri: "{rtsp.url}", {STEADY}}}', 'record: continuous\nrecord-segment: 2',
            where) as server:
        wait_until(lambda: ended(server))
        shutil.rmtree(os.path.join(path, 'recordings'))
        wait_until(lambda: server.ask('GET', 'api/v1/status').json['video']['lost'] > 0)
        frames = server.camera('a')['frames']
        wait_until(lambda: server.camera('a')['frames'] > frames + 20)
        assert server.camera('a')['failures'] == 0 and server.camera('a')['state'] == 'live'
        assert 'video is lost' in server.logged(), server.logged()
        # And it goes on when there is a disk again.
        os.mkdir(os.path.join(path, 'recordings'))
        wait_until(lambda: any(sizes(path, 'recordings')))


def what_fits_on_a_disk_is_whole():
    """Files that may grow no further stand for a disk on which a part of a fragment has room."""
    path, where = kept('small')
    with camera(H264, 'tune=zerolatency bitrate=3000', pattern='snow') as rtsp, Server(
            f'a: {{uri: "{rtsp.url}", {STEADY}}}',
            'record: continuous\nrecord-segment: 600\nevents: [up]', where) as server:
        wait_until(lambda: any(sizes(path, 'recordings')))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1000001, 1000001))
        wait_until(lambda: server.ask('GET', 'api/v1/status').json['video']['lost'] > 0)
        with open(os.path.join(path, 'recordings/1.mp4'), 'rb') as file:
            video = file.read()
        assert len(video) < 1000001 and decode(video) == pictures(video) > 5, len(video)
        frames = server.camera('a')['frames']
        wait_until(lambda: server.camera('a')['frames'] > frames + 5)


def privacy_keeps_video_in():
    path, where = kept('private')
    with camera() as rtsp, Server(
            f'a: {{uri: "{rtsp.url}", {STEADY}, privacy: blur, record: continuous}}\n'
            f'b: {{uri: "{rtsp.url}", {STEADY}, record: continuous, privacy: fill, '
            'clip-unmasked: true}\n'
            f'c: {{uri: "test:ball", {STEADY}, record: events}}', '', where) as server:
        for name in 'abc':
            server.wait_for(name, 'live')
        wait_until(lambda: recordings(server, 'camera=b'))
        assert not recordings(server, 'camera=a')
        answer = server.ask('GET', 'api/v1/cameras/a/hls/index.m3u8')
        assert answer.status == 403 and 'clip-unmasked' in answer.json['error'], answer.body
        assert server.ask('GET', 'api/v1/cameras/b/hls/index.m3u8').status == 200
        for says in ('camera a: no video is recorded: privacy', 'camera b: clip-unmasked is set',
                     'camera c: no video is recorded: it sends neither'):
            assert says in server.logged(), server.logged()
        # At once, in both directions.
        server.ask('PATCH', 'api/v1/cameras/a', {'privacy': 'none'})
        wait_until(lambda: recordings(server, 'camera=a'))
        server.ask('PATCH', 'api/v1/cameras/a', {'privacy': 'blur'})
        wait_until(lambda: all(one['end'] for one in recordings(server, 'camera=a')))
        n = len(recordings(server, 'camera=a'))
        frames = server.camera('a')['frames']
        wait_until(lambda: server.camera('a')['frames'] > frames + 40)
        assert len(recordings(server, 'camera=a')) == n
        assert server.camera('a')['connects'] == 1


def hls_is_made_for_those_who_ask():
    with camera() as rtsp, Server(f'a: {{uri: "{rtsp.url}", {STEADY}}}\n'
                                  f'b: {{uri: "test:ball", {STEADY}}}') as server:
        server.wait_for('a', 'live')
        server.wait_for('b', 'live')
        base = 'api/v1/cameras/a/hls/'

        def playlist():
            answer = server.ask('GET', base + 'index.m3u8')
            if answer.status != 200:
                return []
            assert answer.headers['Content-Type'] == 'application/vnd.apple.mpegurl'
            return answer.body.decode().splitlines()

        def segments(lines):
            return [line for line in lines if line.startswith('segment')]
        wait_until(lambda: len(segments(playlist())) >= 3)
        lines = playlist()
        assert lines[0] == '#EXTM3U', lines
        head = next(line for line in lines if 'EXT-X-MAP' in line).split('"')[1]
        longest = int(next(line for line in lines if 'TARGETDURATION' in line).split(':')[1])
        lengths = [float(line[8:-1]) for line in lines if line.startswith('#EXTINF:')]
        assert all(1.8 < length <= longest for length in lengths), lines
        init = server.ask('GET', base + head)
        assert init.status == 200 and [kind for kind, _, _ in boxes(init.body)] == ['ftyp', 'moov']
        video = init.body
        parts = segments(lines)[-2:]
        for part in parts:
            answer = server.ask('GET', base + part)
            assert answer.status == 200, (part, answer.body)
            video += answer.body
        assert decode(video) == pictures(video) > 10
        for wrong, status in (('segment.m4s?number=99999', 404), ('segment.m4s', 400),
                              ('init.mp4?version=77', 404), ('init.mp4?version=x', 400)):
            assert server.ask('GET', base + wrong).status == status, wrong
        assert server.ask('GET', 'api/v1/cameras/b/hls/index.m3u8').status == 503
        assert server.ask('GET', 'api/v1/cameras/x/hls/index.m3u8').status == 404
        # Nobody asks for a segment any more, and nothing is kept.
        wait_until(lambda: server.ask('GET', base + head).status == 404)
        assert server.ask('GET', base + segments(lines)[-1]).status == 404


def watch(url, more=(), buffers=20):
    """Starts a program that watches RTSP and ends after so many pictures."""
    return subprocess.Popen(
        ['gst-launch-1.0', '-q', 'rtspsrc', f'location={url}', 'protocols=tcp', *more, '!',
         'rtph264depay', '!', 'h264parse', '!', 'avdec_h264', '!', 'identity',
         f'eos-after={buffers}', '!', 'fakesink', 'sync=false'], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)


def watched(*viewers):
    said = [viewer.communicate(timeout=PATIENCE)[0] for viewer in viewers]
    return [(viewer.returncode, text) for viewer, text in zip(viewers, said, strict=True)]


def others_watch_by_rtsp():
    """The camera has one connection, whoever watches, and one that dies takes nobody along."""
    has('rtspsrc', 'avdec_h264')
    with camera() as rtsp, camera() as other, Server(
            f'a: {{uri: "{rtsp.url}", {STEADY}}}\nb: {{uri: "{other.url}"}}\n'
            f'c: {{uri: "{rtsp.url}", {STEADY}, privacy: blur}}\nd: {{uri: "test:ball"}}',
            server='rtsp-listen: 127.0.0.1:0') as server:
        for name in 'abcd':
            server.wait_for(name, 'live')
        url = server.ask('GET', 'api/v1/status').json['rtsp']
        assert url.startswith('rtsp://127.0.0.1:'), url
        for code, text in watched(*(watch(f'{url}/a') for _ in range(3))):
            assert code == 0 and 'ERROR' not in text, text
        for name in 'cdx':
            (_, text), = watched(watch(f'{url}/{name}'))
            assert 'ERROR' in text, (name, text)
        assert server.camera('a')['connects'] == 1
        # The camera ends, and so does what comes of it; it comes back, and others can watch.
        viewer = watch(f'{url}/b', buffers=1000000)
        time.sleep(3)
        other.die()
        watched(viewer)
        (code, text), = watched(watch(f'{url}/a'))
        assert code == 0 and 'ERROR' not in text, text
        other.start()
        server.wait_for('b', 'live')
        (code, text), = watched(watch(f'{url}/b'))
        assert code == 0 and 'ERROR' not in text, text
        # One that is added is there a moment later.
        server.ask('PUT', 'api/v1/cameras/e', {'uri': rtsp.url})
        server.wait_for('e', 'live')
        time.sleep(1)
        (code, text), = watched(watch(f'{url}/e'))
        assert code == 0 and 'ERROR' not in text, text
        viewer = watch(f'{url}/a', buffers=1000000)
        time.sleep(2)
        assert server.end() < 20
        watched(viewer)


def rtsp_asks_who_watches():
    has('rtspsrc', 'avdec_h264')
    with camera() as rtsp, Server(f'a: {{uri: "{rtsp.url}", {STEADY}}}',
                                  server='rtsp-listen: 127.0.0.1:0\ntoken: tok-en-1234') as server:
        known = {'Authorization': 'Bearer tok-en-1234'}

        def ask(path):
            return server.ask('GET', path, headers=known).json
        wait_until(lambda: ask('api/v1/cameras/a')['state'] == 'live')
        url = ask('api/v1/status')['rtsp']
        (code, text), = watched(watch(f'{url}/a', ['user-id=me', 'user-pw=tok-en-1234']))
        assert code == 0 and 'ERROR' not in text, text
        for wrong in ['user-id=me', 'user-pw=tok-en-123'], []:
            (_, text), = watched(watch(f'{url}/a', wrong))
            assert 'ERROR' in text, text
    path = os.path.join(folder(), 'open.yaml')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('server: {listen: "127.0.0.1:0", rtsp-listen: "0.0.0.0:0"}\n')
    result = subprocess.run([PROGRAM, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, check=False, timeout=PATIENCE)
    assert result.returncode == 1 and 'set token' in result.stdout, result.stdout


def clips_play_on_the_page():
    _, where = kept('page')
    with camera() as rtsp, Server(
            f'a: {{uri: "{rtsp.url}", {STEADY}, record: events, clip-after: 2}}',
            'confidence: 0\nevents: [arrive]\npreview-fps: 2', where) as server, \
            Browser() as browser:
        wait_until(lambda: any(event['clip'] for event in events(server)))
        browser.open(server.url)
        browser.run('document.querySelector("#events summary").click()')
        wait_until(lambda: browser.run('return document.querySelector(".play:not([hidden])")'
                                       ' !== null'))
        browser.run('document.querySelector(".play:not([hidden])").click()')
        wait_until(lambda: browser.run(
            'const v = document.querySelector("#event-clip[open] video");'
            'return v.videoWidth === 320 && v.currentTime > .3'), 60,
            lambda: str(browser.run('const v = document.querySelector("#event-clip video");'
                                    'return [v.src, v.currentTime, v.error?.message,'
                                    'v.canPlayType("video/mp4; codecs=avc1.42C00C")]')))
        if os.environ.get('SCREENSHOT'):
            browser.screenshot(os.environ['SCREENSHOT'])
        browser.run('document.querySelector("#event-clip button").click()')
        # A dialog tells of its end a moment later.
        wait_until(lambda: browser.run('return document.querySelector("#event-clip video").src')
                   == '')
        assert not browser.console(), browser.console()


def main():
    run_cases([events_have_clips, recordings_go_on_and_survive, a_camera_may_send_h265,
               full_disks_lose_video_and_nothing_else, what_fits_on_a_disk_is_whole,
               privacy_keeps_video_in, hls_is_made_for_those_who_ask, others_watch_by_rtsp,
               rtsp_asks_who_watches, clips_play_on_the_page])


if __name__ == '__main__':
    main()
