#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""yolo-server: cameras that fail in every way and come back, changes while it runs, the API, who
is let in, how it ends. The RTSP servers are real and on the loopback."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'server'))
from tap import BUILD, PATIENCE, TOP, Skip, fetch, folder, read_lines, run_cases, wait_until
from wall import MODEL, PROGRAM, Browser, Garbage, Page, Rtsp, Server, Wall, free_port

JPEG = b'\xff\xd8\xff'
# A camera that is not taken to be stalled where a machine is busy.
STEADY = 'stall-after: 600'


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, timeout=PATIENCE)


def settings_are_checked_before_anything_starts():
    path = os.path.join(folder(), 'check.yaml')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'defaults: {{model: {MODEL}}}\ncameras:\n  a: {{uri: "test:"}}\n')
    result = run('--check', path)
    assert result.returncode == 0 and '1 cameras' in result.stdout, result.stdout
    with open(path, 'a', encoding='utf-8') as file:
        file.write('  b: {uri: "test:", confidense: 1}\n')
    for arguments in ('--check', path), (path,):
        result = run(*arguments)
        assert result.returncode == 1, result
        assert 'check.yaml:4: ' in result.stdout and "'confidence'" in result.stdout, result.stdout
    assert run('--check', path + '.lost').returncode == 1
    assert run().returncode == 2


def the_document_has_every_setting():
    table = run('--settings').stdout
    with open(os.path.join(TOP, 'docs/server.md'), encoding='utf-8') as document:
        text = document.read()
    for part in table.strip().split('\n\n'):
        assert part in text, f'docs/server.md lacks what yolo-server --settings says:\n{part}'


def an_open_address_wants_a_password():
    path = os.path.join(folder(), 'open.yaml')
    for listen, says in ('0.0.0.0:0', 'set token'), ('nowhere', 'give an address and a port'):
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'server: {{listen: "{listen}"}}\n')
        result = run(path)
        assert result.returncode == 1 and says in result.stdout, result


def end_soon(server):
    """It promises three seconds; a busy machine may be slower, what hangs would last for ever."""
    took = server.end()
    print(f'# ended within {took:.1f} s')
    assert server.process.returncode == 0 and took < 20, took


def frames_come_and_are_counted():
    with Rtsp() as rtsp, Server(f'a: {{uri: "{rtsp.url}", title: "<b>&"}}\n'
                                'b: {uri: "test:snow"}') as server:
        server.wait_for('a', 'live')
        server.wait_for('b', 'live')
        wait_until(lambda: all(server.camera(name)['inferred'] > 20 for name in 'ab'))
        metrics = server.metrics()
        for name in 'ab':
            camera = server.camera(name)
            label = f'{{camera="{name}"}}'
            assert camera['frames'] >= camera['inferred'] + camera['dropped'], camera
            assert metrics['yolo_frames_inferred_total' + label] > 20, metrics
            assert metrics['yolo_latency_seconds_count' + label] > 20, metrics
            assert metrics[f'yolo_camera_state{{camera="{name}",state="live"}}'] == 1
            assert metrics[f'yolo_latency_seconds_bucket{{camera="{name}",le="+Inf"}}'] \
                == metrics['yolo_latency_seconds_count' + label]
        assert server.camera('a')['width'] == 320 and server.camera('b')['width'] == 640
        assert metrics['process_resident_memory_bytes'] > 1e6
        for path in 'live', 'ready', 'startup':
            assert server.ask('GET', path).status == 200, path
        assert server.ask('GET', 'api/v1/cameras').json['cameras'][0]['title'] == '<b>&'
        # Nothing is encoded that nobody watches.
        assert metrics['yolo_preview_bytes_total{camera="a"}'] == 0
        assert server.ask('GET', 'api/v1/cameras/a/snapshot').body.startswith(JPEG)
        assert server.metrics()['yolo_preview_bytes_total{camera="a"}'] > 0
        end_soon(server)


def a_page_gets_pictures_with_what_is_on_them():
    with Server('a: {uri: "test:ball"}', 'confidence: 0') as server:
        server.wait_for('a', 'live')
        page = Page(server.url, '/api/v1/live/a')
        assert page.status == 101
        for _ in range(6):
            kind, text = page.receive()
            assert kind == 1, kind
            found = json.loads(text)
            assert found['objects'], 'a threshold of 0 finds something'
            assert all(len(thing['box']) == 4 for thing in found['objects'])
            kind, picture = page.receive()
            assert kind == 2 and picture.startswith(JPEG)
            page.send('next')
        assert server.metrics()['yolo_viewers'] == 1
        # One that shows no pictures is sent no more than two.
        silent = Page(server.url, '/api/v1/live/a')
        for _ in range(4):
            silent.receive()
        silent.socket.settimeout(1)
        try:
            assert not silent.receive(), 'a third picture'
        except TimeoutError:
            pass
        silent.close()
        page.close()
        wait_until(lambda: server.metrics()['yolo_viewers'] == 0)
        assert Page(server.url, '/api/v1/live/a', 'Origin: http://evil.example\r\n').status == 403


def mjpeg_goes_on_until_the_viewer_leaves():
    with Server('a: {uri: "test:ball"}') as server:
        server.wait_for('a', 'live')
        host, port = re.match(r'http://(.*):(\d+)/', server.url).groups()
        with socket.create_connection((host, int(port)), PATIENCE) as viewer:
            viewer.sendall(f'GET /api/v1/cameras/a/mjpeg HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n'
                           .encode())
            data = b''
            while data.count(JPEG) < 5:
                part = viewer.recv(100000)
                assert part, data[:1000]
                data += part
            assert b'multipart/x-mixed-replace; boundary=' in data
            assert server.metrics()['yolo_viewers'] == 1
        wait_until(lambda: server.metrics()['yolo_viewers'] == 0)


def a_camera_that_dies_comes_back():
    """And the other one does not notice."""
    with Rtsp() as rtsp, Rtsp(pattern='snow') as other, \
            Server(f'a: {{uri: "{rtsp.url}"}}\nb: {{uri: "{other.url}"}}') as server:
        server.wait_for('a', 'live')
        server.wait_for('b', 'live')
        rtsp.die()
        server.wait_for('a', 'failed')
        assert server.camera('a')['reason'], server.camera('a')
        # Longer than the first waits, so that a later one is under way.
        time.sleep(4)
        rtsp.start(width=160, height=120)
        took = server.wait_for('a', 'live')
        print(f'# back after {took:.1f} s')
        assert server.camera('a')['width'] == 160, 'other caps are taken'
        other_camera = server.camera('b')
        assert other_camera['state'] == 'live' and other_camera['failures'] == 0, other_camera


def a_camera_that_freezes_is_stalled():
    with Rtsp() as rtsp, Server(f'a: {{uri: "{rtsp.url}", connect-timeout: 2}}\n'
                                'b: {uri: "test:snow"}') as server:
        server.wait_for('a', 'live')
        rtsp.freeze()
        server.wait_for('a', 'stalled')
        assert 'no frame for' in server.camera('a')['reason']
        server.wait_for('a', 'failed')
        wait_until(lambda: server.camera('a')['connects'] > 2)
        rtsp.thaw()
        server.wait_for('a', 'live')
        assert server.camera('b')['failures'] == 0
        # What hangs does not hold up the end.
        rtsp.freeze()
        server.wait_for('a', 'stalled')
        end_soon(server)
        rtsp.thaw()


def garbage_is_an_error_and_no_more():
    port = free_port()
    with Garbage(port) as garbage, Server(f'a: {{uri: "rtsp://127.0.0.1:{port}/camera"}}\n'
                                          'b: {uri: "test:snow"}') as server:
        wait_until(lambda: garbage.met > 1)
        server.wait_for('a', 'failed')
        server.wait_for('b', 'live')
        assert server.camera('a')['reason']


def a_long_wait_ends_when_the_camera_is_back():
    """Whatever answered in its place: nobody, or somebody else."""
    port = free_port()
    with Server(f'a: {{uri: "rtsp://127.0.0.1:{port}/camera", reconnect-min: 900, '
                'reconnect-max: 1000}') as server:
        server.wait_for('a', 'failed')
        with Garbage(port) as garbage:
            wait_until(lambda: garbage.met > 1)
        with Rtsp(port):
            took = server.wait_for('a', 'live')
            print(f'# back after {took:.1f} s')


def a_camera_may_speak_http():
    """MJPEG, behind a password: what another server of this kind serves."""
    with Server('a: {uri: "test:ball"}', server='token: tok-en-1234') as other:
        url = other.url + 'api/v1/cameras/a/mjpeg'
        with Server(f'a: {{uri: "{url}", user: me, password: tok-en-1234}}\n'
                    f'b: {{uri: "{url.replace("//", "//me:tok-en-1234@")}"}}\n'
                    f'c: {{uri: "{url}", user: me, password: wrong}}\n'
                    f'd: {{uri: "{url}?clean=1", user: me, password: tok-en-1234}}') as server:
            for name in 'abd':
                server.wait_for(name, 'live')
            server.wait_for('c', 'failed')
            other.end(signal.SIGKILL)
            server.wait_for('a', 'failed')


def a_file_loops_or_ends():
    path = os.path.join(folder(), 'short.avi')
    subprocess.run(['gst-launch-1.0', '-q', 'videotestsrc', 'num-buffers=10', '!',
                    'video/x-raw,width=64,height=64,framerate=15/1', '!', 'jpegenc', '!', 'avimux',
                    '!', 'filesink', f'location={path}'], check=True, timeout=PATIENCE)
    with Server(f'a: {{uri: {path}}}\nb: {{uri: {path}, loop: false}}\n'
                f'c: {{uri: {MODEL}}}') as server:
        server.wait_for('b', 'off')
        assert server.camera('b')['reason'] == 'the file has ended'
        assert server.camera('b')['frames'] == 10
        wait_until(lambda: server.camera('a')['frames'] > 35)
        camera = server.camera('a')
        assert camera['state'] == 'live' and camera['connects'] == 1, camera
        # It plays at its own speed.
        begin, frames = time.monotonic(), camera['frames']
        time.sleep(3)
        rate = (server.camera('a')['frames'] - frames) / (time.monotonic() - begin)
        assert rate < 30, rate
        server.wait_for('c', 'failed')


def cameras_change_while_all_run():
    with Server('a: {uri: "test:ball"}') as server:
        server.wait_for('a', 'live')
        answer = server.ask('PUT', 'api/v1/cameras/b', {'uri': 'test:snow', 'title': 'B'})
        assert answer.status == 201 and answer.json['settings']['title'] == 'B', answer.body
        server.wait_for('b', 'live')
        # What can change at once does not connect anew; what cannot does.
        assert server.ask('PATCH', 'api/v1/cameras/a', {'confidence': .9}).status == 200
        assert server.camera('a')['connects'] == 1
        assert server.ask('PATCH', 'api/v1/cameras/a', {'precision': 'fp32'}).status == 200
        assert server.camera('a')['connects'] == 2
        server.wait_for('a', 'live')
        assert server.ask('PATCH', 'api/v1/cameras/a', {'enabled': False}).json['state'] == 'off'
        assert server.ask('PATCH', 'api/v1/cameras/a', {'enabled': None}).status == 200
        server.wait_for('a', 'live')
        answer = server.ask('PATCH', 'api/v1/cameras/a', {'confidence': 2, 'title': 'no'})
        assert answer.status == 400 and 'from 0 to 1' in answer.json['error'], answer.body
        assert server.camera('a')['title'] is None, 'all or nothing'
        assert server.ask('PATCH', 'api/v1/cameras/c', {}).status == 404
        assert server.ask('PUT', 'api/v1/cameras/.c', {'uri': 'test:'}).status == 400
        # It is written back when that is asked for, and not before.
        with open(server.path, encoding='utf-8') as file:
            assert 'snow' not in file.read()
        assert server.ask('GET', 'api/v1/status').json['unsaved'] is True
        assert server.ask('POST', 'api/v1/save').status == 200
        with open(server.path, encoding='utf-8') as file:
            assert 'snow' in file.read()
        assert server.ask('GET', 'api/v1/status').json['unsaved'] is False
        assert server.ask('DELETE', 'api/v1/cameras/b').status == 204
        assert server.ask('GET', 'api/v1/cameras/b').status == 404
        assert server.ask('DELETE', 'api/v1/cameras/b').status == 404


def shards_share_the_cameras():
    """Three servers with the same file."""
    names = [f'camera{i}' for i in range(8)]
    cameras = '\n'.join(f'{name}: {{uri: "test:ball", enabled: false}}' for name in names)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(cameras, options=('--shard', f'{i}/3')))
                   for i in range(3)]
        has = [[camera['name'] for camera in server.ask('GET', 'api/v1/cameras').json['cameras']]
               for server in servers]
        assert sorted(sum(has, [])) == names and all(has), has
        for i, server in enumerate(servers):
            assert server.ask('GET', 'api/v1/status').json['shard'] == f'{i}/3'
            result = run('--check', '--shard', f'{i}/3', server.path)
            assert f'8 cameras, {len(has[i])} of them in shard {i} of 3' in result.stdout, result
        # A camera is added where it belongs, and the others say where that is.
        answers = [server.ask('PUT', 'api/v1/cameras/more', {'uri': 'test:', 'enabled': False})
                   for server in servers]
        owner = [answer.status for answer in answers].index(201)
        for i, answer in enumerate(answers):
            if i != owner:
                assert answer.status == 421, answer.body
                assert f'belongs to shard {owner} of 3' in answer.json['error'], answer.body
        body = {'value': {'camera_id': has[0][0], 'change': 'camera_remove'}}
        answer = servers[1].ask('POST', 'api/v1/stream/remove', body)
        assert answer.status == 400 and 'belongs to shard 0 of 3' in answer.json['reason'], answer
        # What is saved has the cameras of all, and what is read again is shared as before.
        assert servers[owner].ask('POST', 'api/v1/save').status == 200
        with open(servers[owner].path, encoding='utf-8') as file:
            text = file.read()
        assert all(name in text for name in names + ['more']), text
        assert servers[owner].ask('POST', 'api/v1/reload').json['cameras'] == len(has[owner]) + 1
    for wrong in '3/3', '4', 'auto/0', 'auto/0x':
        result = run('--shard', wrong, '--check', 'any.yaml')
        assert result.returncode == 2 and 'shard' in result.stdout, result


def deepstream_adds_and_removes():
    with Server() as server:
        body = {'key': 'sensor', 'value': {
            'camera_id': 'door', 'camera_name': 'front door', 'camera_url': 'test:ball',
            'change': 'camera_add', 'metadata': {'resolution': '1920 x1080'}}}
        answer = server.ask('POST', 'api/v1/stream/add', body)
        assert answer.json == {'status': 'HTTP/1.1 200 OK', 'reason': 'STREAM_ADD_SUCCESS'}, answer
        server.wait_for('door', 'live')
        assert server.camera('door')['title'] == 'front door'
        answer = server.ask('POST', 'api/v1/stream/add', body)
        assert answer.status == 400 and 'STREAM_ADD_FAIL' in answer.json['reason'], answer.body
        body['value']['change'] = 'camera_remove'
        answer = server.ask('POST', 'api/v1/stream/remove', body)
        assert answer.json['reason'] == 'STREAM_REMOVE_SUCCESS', answer.body
        assert server.ask('POST', 'api/v1/stream/remove', body).status == 400
        for bad in [], {}, {'value': 3}, {'value': {'camera_id': 7}}:
            assert server.ask('POST', 'api/v1/stream/add', bad).status == 400, bad


def the_file_is_read_again():
    with Server('a: {uri: "test:ball"}\nb: {uri: "test:snow"}') as server:
        server.wait_for('a', 'live')
        server.write('a: {uri: "test:ball"}\nc: {uri: "test:bar"}')
        server.process.send_signal(signal.SIGHUP)
        server.wait_for('c', 'live')
        assert server.ask('GET', 'api/v1/cameras/b').status == 404
        assert server.camera('a')['connects'] == 1, 'what is the same goes on'
        # All or nothing.
        server.write('a: {uri: "test:ball"}\nd: {uri: "test:", interval: x}')
        wait_until(lambda: server.ask('GET', 'api/v1/status').json['settings_error'])
        assert 'interval' in server.ask('GET', 'api/v1/status').json['settings_error']
        assert server.camera('c')['state'] == 'live'
        assert server.ask('POST', 'api/v1/reload').status == 400
        # By its change alone.
        server.write('d: {uri: "test:ball"}')
        server.wait_for('d', 'live')
        assert server.ask('GET', 'api/v1/cameras/a').status == 404
        assert server.ask('GET', 'api/v1/status').json['settings_error'] is None


def what_is_seen_is_published():
    path = os.path.join(folder(), 'seen.jsonl')
    with Server(f'a: {{uri: "test:ball", publish: [{path}]}}', 'confidence: 0') as server:
        server.wait_for('a', 'live')
        wait_until(lambda: os.path.exists(path) and len(open(path, 'rb').readlines()) > 5)
        server.end()
    lines = read_lines(path)
    assert lines[0]['stream'] == 'a' and lines[0]['objects'], lines[0]


def whole_picture_zones():
    """A file of a zone that everything is in."""
    path = os.path.join(folder(), 'zones.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({'zones': [{'name': 'all <b>&', 'points': [[0, 0], [1, 0], [1, 1], [0, 1]]}]},
                  file)
    return path


def find_events(server, query=''):
    """Events without their pictures, which come later than they do."""
    answer = server.ask('GET', f'api/v1/events?{query}')
    assert answer.status == 200, answer.body
    return [{**event, 'snapshot': None} for event in answer.json['events']]


def find_picture(server):
    """The path of the newest picture, once there is any."""
    def paths():
        return [event['snapshot'] for event in server.ask('GET', 'api/v1/events').json['events']
                if event['snapshot']]
    wait_until(paths)
    return paths()[0]


def events_are_kept_and_found():
    """After kill -9 as well."""
    if shutil.disk_usage(folder()).free < 400 << 20:
        raise Skip('the disk is nearly full, where old events go at once')
    kept = os.path.join(folder(), 'kept')
    where = f'events-folder: {kept}'
    cameras = (f'a: {{uri: "test:smpte", zones: {whole_picture_zones()}, {STEADY}, '
               'events: [enter, arrive, up, down]}\n'
               f'b: {{uri: "test:snow", snapshots: none, {STEADY}}}')
    with Server(cameras, 'confidence: 0', where) as server:
        wait_until(lambda: find_events(server, 'camera=a&kind=enter'))
        server.wait_for('b', 'live')
        everything = find_events(server, 'limit=500')
        number = [event['id'] for event in everything]
        assert number == sorted(set(number), reverse=True) and number[-1] == 1, number
        entered = find_events(server, 'kind=enter')
        assert all(event['zone'] == 'all <b>&' and event['camera'] == 'a' and event['class']
                   and event['details']['occupancy'] > 0 for event in entered), entered
        assert {event['kind'] for event in everything} == {'arrive', 'enter', 'up'}, everything
        assert [event['kind'] for event in find_events(server, 'camera=b')] == ['up']
        assert entered[0] in find_events(server, 'zone=all%20%3Cb%3E%26')
        label = entered[0]['class']
        assert entered[0] in find_events(server, f'class={label}&zone=all+%3Cb%3E%26&kind=enter')
        assert not find_events(server, 'camera=nobody')
        one = server.ask('GET', f'api/v1/events/{entered[0]["id"]}')
        assert {**one.json, 'snapshot': None} == entered[0], one.body
        # By time, in pages.
        middle = everything[len(everything) // 2]['time']
        newer, older = (find_events(server, f'{which}={middle}&limit=500')
                        for which in ('from', 'until'))
        assert newer and older and newer[-1]['time'] >= middle > older[0]['time']
        assert not find_events(server, 'until=2020-01-01T00:00:00%2B02:00')
        below, pages = everything[0]['id'] + 1, []
        while below:
            answer = server.ask('GET', f'api/v1/events?limit=3&below={below}').json
            assert len(answer['events']) <= 3
            pages, below = pages + answer['events'], answer['next']
        assert [event['id'] for event in pages] == number
        for wrong in ('from=yesterday', 'limit=0', 'limit=501', 'below=x', 'nothing=1',
                      'camera=' + 'x' * 300, 'zone=%FF', 'zone=x%00y'):
            answer = server.ask('GET', f'api/v1/events?{wrong}')
            assert answer.status == 400 and 'give ' in answer.json['error'], answer.body
        picture = find_picture(server)
        jpeg = server.ask('GET', picture).body
        assert jpeg.startswith(JPEG), jpeg[:10]
        result = run(server.path)
        assert result.returncode == 1 and 'another server' in result.stdout, result.stdout
        server.end(signal.SIGKILL)
    with Server('', '', where) as server:
        assert set(number) <= {event['id'] for event in find_events(server, 'limit=500')}
        assert server.ask('GET', picture).body == jpeg
        server.ask('PUT', 'api/v1/cameras/c', {'uri': 'test:snow'})
        wait_until(lambda: find_events(server, 'camera=c'))
        assert find_events(server, 'camera=c')[0]['id'] > number[0]
        assert server.metrics()['yolo_events_lost_total'] == 0


def zones_change_while_a_camera_runs():
    """At once, all or nothing, and those that stay count on."""
    def zone(name, right=1):
        return {'name': name, 'points': [[0, 0], [right, 0], [right, 1], [0, 1]]}

    def shown(server):
        """{name: entries and so on} of what is on the next picture."""
        page = Page(server.url, '/api/v1/live/a')
        found = json.loads(page.receive()[1])
        page.close()
        return {shape['name']: shape for shape in found['lines'] + found['zones']}

    with Server(f'a: {{uri: "test:smpte", {STEADY}}}\n'
                f'b: {{uri: "test:smpte", zones: {whole_picture_zones()}}}\n'
                'c: {uri: "test:smpte", tracker: none}', 'confidence: 0') as server:
        server.wait_for('a', 'live')
        zones = 'api/v1/cameras/a/zones'
        assert server.ask('GET', zones).json == {} and not shown(server)
        drawn = {'zones': [zone('here')], 'lines': [{'name': 'there', 'points': [[0, 0], [1, 1]]}]}
        answer = server.ask('PUT', zones, drawn)
        assert answer.status == 200 and answer.json == drawn == server.ask('GET', zones).json
        wait_until(lambda: 'there' in shown(server) and shown(server)['here']['occupancy'] > 0)
        for wrong, says in (({'zones': [zone('a'), zone('a')]}, 'zones[1]'),
                            ({'zonen': []}, 'zonen'),
                            ({'lines': [{'name': 'x', 'points': [[0, 0]]}]}, 'lines[0]')):
            answer = server.ask('PUT', zones, wrong)
            assert answer.status == 400 and says in answer.json['error'], answer.body
            answer = server.ask('PATCH', 'api/v1/cameras/a', {'zones-text': json.dumps(wrong)})
            assert answer.status == 400 and says in answer.json['error'], answer.body
        assert server.ask('PUT', 'api/v1/cameras/none/zones', {}).status == 404
        assert server.ask('PUT', 'api/v1/cameras/c/zones', drawn).status == 400, 'has no tracker'
        drawn['zones'].append(zone('most', .9))
        drawn['lines'] = []
        assert server.ask('PUT', zones, drawn).status == 200
        wait_until(lambda: 'most' in shown(server) and 'there' not in shown(server))
        # Who is inside has not entered once more when somebody has entered the new zone.
        wait_until(lambda: find_events(server, 'zone=most'))
        tracks = [event['details']['track'] for event in find_events(server, 'zone=here')]
        assert tracks and len(tracks) == len(set(tracks)), tracks
        # Of another camera's file, what is drawn takes the place, and gives it back.
        assert server.ask('GET', 'api/v1/cameras/b/zones').json['zones'][0]['name'] == 'all <b>&'
        assert server.ask('PUT', 'api/v1/cameras/b/zones', {}).json == {}
        answer = server.ask('DELETE', 'api/v1/cameras/b/zones')
        assert answer.json['zones'][0]['name'] == 'all <b>&', answer.body
        # It is kept with the settings.
        assert server.ask('POST', 'api/v1/save').status == 200
        server.end()
        again = run('--check', server.path)
        assert again.returncode == 0, again.stdout
        with open(server.path, encoding='utf-8') as file:
            assert 'here' in file.read()


def counts_go_on_when_a_camera_comes_back():
    with Rtsp(pattern='smpte') as rtsp, Server(
            f'a: {{uri: "{rtsp.url}", zones: {whole_picture_zones()}, reconnect-max: 1}}',
            'confidence: 0') as server:
        def entries():
            page = Page(server.url, '/api/v1/live/a')
            zones = json.loads(page.receive()[1])['zones']
            page.close()
            return zones[0]['entries'] if zones else 0

        server.wait_for('a', 'live')
        wait_until(entries)
        rtsp.die()
        server.wait_for('a', 'failed')
        newest = find_events(server)[0]['id']
        # each is an event
        before = len(find_events(server, 'kind=enter&limit=500'))
        rtsp.start(pattern='smpte')
        server.wait_for('a', 'live')

        def entered():
            return sum(event['id'] > newest
                       for event in find_events(server, 'kind=enter&limit=500'))

        wait_until(entered)
        new = entered()
        assert entries() >= before + new, (before, new, entries())


def events_are_told_as_they_happen():
    """On the WebSocket; what a page does not confirm is counted, and no more."""
    path = os.path.join(folder(), 'second.avi')
    subprocess.run(['gst-launch-1.0', '-q', 'videotestsrc', 'pattern=smpte', 'num-buffers=20', '!',
                    'video/x-raw,width=64,height=64,framerate=15/1', '!', 'jpegenc', '!', 'avimux',
                    '!', 'filesink', f'location={path}'], check=True, timeout=PATIENCE)

    def next_event(page):
        opcode, text = page.receive()
        assert opcode == 1, opcode
        return json.loads(text)

    with Server(f'a: {{uri: "test:ball", events: [up, down], {STEADY}}}\n'
                f'b: {{uri: {path}, {STEADY}}}',
                'confidence: 0\nevents: [arrive, leave]\nsnapshots: none') as server:
        page, silent = (Page(server.url, '/api/v1/live-events') for _ in range(2))
        assert page.status == silent.status == 101
        server.wait_for('a', 'live')
        assert server.ask('PATCH', 'api/v1/cameras/a', {'enabled': False}).status == 200
        seen = []
        # A file that begins again has other objects: those before have left.
        while not {'down', 'arrive', 'leave'} <= {event['kind'] for event in seen}:
            seen.append(next_event(page))
            assert seen[-1].pop('missed') == 0, seen[-1]
            page.send('next')
        numbers = [event['id'] for event in seen]
        assert numbers == sorted(set(numbers)), numbers
        down = next(event for event in seen if event['kind'] == 'down')
        assert down['camera'] == 'a' and 'switched off' in down['details']['reason'], down
        assert server.ask('GET', f'api/v1/events/{down["id"]}').json == down
        left = next(event for event in seen if event['kind'] == 'leave')
        assert left['camera'] == 'b' and left['details']['dwell'] > 0, left
        wait_until(lambda: server.metrics()['yolo_events_total'] > 80)
        numbers = [next_event(silent)['id'] for _ in range(50)]
        silent.send('next')
        event = next_event(silent)
        assert event['missed'] > 0 and event['id'] > numbers[-1] + event['missed'], event
        assert Page(server.url, '/api/v1/live-events',
                    'Origin: http://evil.example\r\n').status == 403
        silent.close()
        page.close()
        wait_until(lambda: server.metrics()['yolo_viewers'] == 0)
        end_soon(server)


def secrets_are_shown_nowhere():
    with Rtsp() as rtsp, Server(
            f'a: {{uri: "{rtsp.url.replace("//", "//me:pass-in-uri@")}"}}\n'
            f'b: {{uri: "{rtsp.url}", user: me, password: "${{A_TEST_SECRET}}"}}\n'
            'c: {uri: "rtsp://me:pass-of-dead@127.0.0.1:1/"}',
            server='token: tok-en-1234', A_TEST_SECRET='open-sesame', GST_DEBUG='2',
            GST_DEBUG_NO_COLOR='1') as server:
        key = {'Authorization': 'Bearer tok-en-1234'}
        wait_until(lambda: server.ask('GET', 'api/v1/cameras/a', headers=key).json['state']
                   == 'live')
        wait_until(lambda: server.ask('GET', 'api/v1/cameras/c', headers=key).json['state']
                   == 'failed')
        said = ''.join(server.ask('GET', path, headers=key).body.decode() for path in
                       ('api/v1/cameras', 'api/v1/status', 'metrics', 'api/v1/schema'))
        assert 'me:***@' in said, said
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE)
        # GStreamer's own warnings are no answer and no log of the program's; they name URIs
        # without what was taken out of them.
        said += server.logged()
        for secret in 'pass-in-uri', 'open-sesame', 'pass-of-dead', 'tok-en-1234':
            assert secret not in said, f'{secret}: {said}'


def who_may_ask():
    if not shutil.which('openssl'):
        raise Skip('openssl is not installed (apt install openssl)')
    crypted = subprocess.run(['openssl', 'passwd', '-6', 'sesame'], stdout=subprocess.PIPE,
                             text=True, check=True).stdout.strip()
    with Server('a: {uri: "test:ball"}', server='token: tok-en-1234\nlogin: me\n'
                f"login-hash: '{crypted}'\nmax-requests: 100000") as server:
        def status(kind, what, path='api/v1/cameras'):
            if kind == 'Basic':
                what = base64.b64encode(what.encode()).decode()
            return server.ask('GET', path, headers={'Authorization': f'{kind} {what}'}).status
        for path in '', 'style.css', 'metrics', 'api/v1/cameras', 'api/v1/openapi.json', 'nothing':
            answer = server.ask('GET', path)
            assert answer.status == 401 and 'Basic' in answer.headers['WWW-Authenticate'], path
        assert server.ask('PUT', 'api/v1/cameras/x', {'uri': 'test:'}).status == 401
        assert Page(server.url, '/api/v1/live/a').status == 401
        assert server.ask('GET', 'live').status == 200
        assert status('Bearer', 'tok-en-1234') == status('Basic', 'me:sesame') == 200
        assert status('Basic', 'anybody:tok-en-1234') == 200
        # Whoever guesses has to wait, and whoever is known has not.
        answers = [status(*wrong) for wrong in
                   (('Bearer', 'tok-en-123'), ('Bearer', 'tok-en-12345'), ('Bearer', ''),
                    ('Basic', 'me:sesam'), ('Basic', 'you:sesame'), ('Basic', 'me'),
                    ('Digest', 'x'), ('Bearer', 'x' * 5000), *[('Bearer', 'x')] * 20)]
        assert set(answers) == {401, 429} and answers[0] == 401, answers
        assert status('Basic', 'anybody:tok-en-1234') == 200


def https_is_spoken():
    if not shutil.which('openssl'):
        raise Skip('openssl is not installed (apt install openssl)')
    key, certificate = (os.path.join(folder(), name) for name in ('key.pem', 'certificate.pem'))
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                    '-subj', '/CN=localhost', '-keyout', key, '-out', certificate], check=True,
                   stderr=subprocess.DEVNULL)
    try:
        server = Server('a: {uri: "test:ball"}', server='token: tok-en-1234\n'
                        f'tls-certificate: {certificate}\ntls-key: {key}')
    except AssertionError as error:
        if 'TLS' in str(error):
            raise Skip('GLib has no TLS here (apt install glib-networking)') from error
        raise
    with server:
        assert server.url.startswith('https://'), server.url
        known = {'Authorization': 'Bearer tok-en-1234'}
        for _ in range(3):
            assert server.ask('GET', 'api/v1/cameras', headers=known).status == 200
        assert server.ask('GET', 'api/v1/cameras').status == 401
        host, port = re.match(r'https://(.*):(\d+)/', server.url).groups()
        with socket.create_connection((host, int(port)), PATIENCE) as plain:
            plain.sendall(b'GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n')
            try:
                said = plain.recv(1000)
            except ConnectionResetError:
                said = b''
            assert b'ok' not in said, said


def what_is_refused():
    with Server('a: {uri: "test:ball"}') as server:
        put = 'api/v1/cameras/b'
        assert server.ask('PUT', put, raw=b'{"uri":"test:"', ).status == 400
        assert server.ask('PUT', put, raw=b'').status == 400
        assert server.ask('PUT', put, raw=b'\xff{}').status == 400
        assert server.ask('PUT', put, raw=b'[' * 60000).status == 400
        assert server.ask('PUT', put, raw=b'{"a":' * 10000).status == 400
        assert server.ask('PUT', put, raw=b' ' * 100000).status == 413
        assert server.ask('PUT', put, {'uri': 'test:'},
                          {'Content-Type': 'text/plain'}).status == 415
        assert server.ask('PUT', put, {'uri': 'test:'},
                          {'Origin': 'http://evil.example'}).status == 403
        assert server.ask('GET', '', headers={'Host': 'evil.example'}).status == 403
        assert server.ask('GET', '', headers={'Host': 'localhost:1'}).status == 200
        assert server.ask('PUT', put, {'uri': '/etc/passwd'}).status == 403
        assert server.ask('PUT', put, {'uri': 'test:', 'publish': ['/tmp/x']}).status == 403
        answer = server.ask('POST', 'api/v1/cameras/a', {})
        assert answer.status == 405 and 'PATCH' in answer.headers['Allow'], answer.headers
        assert server.ask('HEAD', 'api/v1/cameras').body == b''
        for path in ('../../etc/passwd', '%2e%2e/%2e%2e/etc/passwd', 'api/v1/cameras/../../x',
                     'api/v1/cameras//', 'api/v1/cameras/%00', 'api/v1/cameras/a/b/c',
                     'page/script.js', 'api/v1/cameras/<script>', 'x' * 4000):
            answer = server.ask('GET', path.replace('<', '%3C'))
            assert answer.status in (400, 404), (path, answer.status)
            assert b'<script' not in answer.body
        for header in 'Content-Security-Policy', 'X-Content-Type-Options', 'X-Frame-Options':
            assert server.ask('GET', '').headers[header], header
        # A body without a length, and a request that is none.
        host, port = re.match(r'http://(.*):(\d+)/', server.url).groups()
        for request, says in (
                (f'PUT /{put} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n'
                 '5\r\nhello\r\n0\r\n\r\n', b' 411 '), ('\0\1\2\r\n\r\n', b' 400 ')):
            with socket.create_connection((host, int(port)), PATIENCE) as client:
                client.sendall(request.encode())
                assert says in client.recv(1000), request
        assert server.camera('a')['state'] in ('live', 'connecting')


def fits(value, schema, description, path='it'):
    """Holds a value to a schema of the description, as far as that uses the language."""
    if '$ref' in schema:
        schema = description['components']['schemas'][schema['$ref'].rsplit('/', 1)[1]]
    if value is None:
        assert schema.get('nullable'), f'{path} is null'
        return
    kinds = {'object': dict, 'array': list, 'string': str, 'integer': int, 'boolean': bool,
             'number': (int, float)}
    if 'type' in schema:
        assert isinstance(value, kinds[schema['type']]), f'{path} is {value!r}'
    assert 'enum' not in schema or value in schema['enum'], f'{path} is {value!r}'
    for name in schema.get('required', ()):
        assert name in value, f'{path} lacks {name}'
    if 'properties' in schema and not schema.get('additionalProperties'):
        assert set(value) <= set(schema['properties']), f'{path} has {set(value)}'
    for name, inner in schema.get('properties', {}).items():
        if name in value:
            fits(value[name], inner, description, f'{path}.{name}')
    for number, item in enumerate(value if schema.get('type') == 'array' else ()):
        fits(item, schema['items'], description, f'{path}[{number}]')


def the_api_does_what_its_description_says():
    """Every operation, with bodies that are right and wrong: each answer has a status that the
    description names, and the form that it has there."""
    bodies = [None, {}, {'uri': 'test:ball'}, {'uri': 3}, {'nothing': 1}, {'interval': None},
              {'value': {'camera_id': 'x', 'camera_url': 'test:ball', 'change': 'camera_add'}},
              {'value': {'camera_id': 'x', 'change': 'camera_remove'}}, {'value': {}}]
    with Server('a: {uri: "test:ball"}') as server:
        server.wait_for('a', 'live')
        description = server.ask('GET', 'api/v1/openapi.json').json
        seen = set()
        for path, operations in description['paths'].items():
            for method, operation in operations.items():
                if method == 'parameters' or path.endswith('mjpeg'):
                    continue
                for name in 'a', 'none', 'x':
                    for body in bodies if 'requestBody' in operation else (None,):
                        number = {'a': '1', 'none': '1000000', 'x': '0'}[name]
                        where = path.replace('{name}', name).replace('{id}', number).lstrip('/')
                        answer = server.ask(method.upper(), where, body)
                        what = f'{method} {where} {body}: {answer.status} {answer.body[:200]}'
                        assert str(answer.status) in operation['responses'], what
                        seen.add((path, method, answer.status))
                        said = operation['responses'][str(answer.status)].get('content', {})
                        kind = (answer.headers['Content-Type'] or '').split(';')[0]
                        assert kind in said or not answer.body, what
                        if kind == 'application/json' and kind in said:
                            fits(answer.json, said[kind]['schema'], description, what)
        for path, method, status in (('/api/v1/cameras/{name}', 'put', 201),
                                     ('/api/v1/cameras/{name}', 'delete', 204),
                                     ('/api/v1/cameras/{name}/snapshot', 'get', 404),
                                     ('/api/v1/events', 'get', 200),
                                     ('/api/v1/events/{id}', 'get', 200),
                                     ('/api/v1/events/{id}', 'get', 404),
                                     ('/api/v1/stream/add', 'post', 200),
                                     ('/api/v1/stream/remove', 'post', 200)):
            assert (path, method, status) in seen, (path, method, status)


def the_page_shows_all_and_obeys():
    """In a real browser, without an error in its console."""
    with Server(f'a: {{uri: "test:ball", title: "<img src=x onerror=alert(1)>", {STEADY}}}\n'
                'b: {uri: "test:snow", enabled: false}\nc: {uri: "rtsp://127.0.0.1:1/"}',
                'confidence: 0.3') as server, Browser() as browser:
        server.wait_for('a', 'live')
        browser.open(server.url)

        def text(name, selector):
            return browser.run(f'return document.querySelector(\'[data-name="{name}"] {selector}\')'
                               '?.textContent')
        wait_until(lambda: text('a', '.state') == 'live')
        wait_until(lambda: int(browser.run(
            'return document.querySelector("[data-name=a]").dataset.pictures') or 0) > 3)
        # The picture is drawn: it has a white ball on black.
        colours = browser.run(
            'const c = document.querySelector("[data-name=a] canvas");'
            'const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;'
            'return [d.filter((_, i) => i % 4 === 0).reduce((a, b) => Math.max(a, b)), c.width]')
        assert colours[0] > 200 and colours[1] == 640, colours
        assert text('a', 'h2') == '<img src=x onerror=alert(1)>'
        assert browser.run('return document.querySelectorAll("main img").length') == 0
        wait_until(lambda: text('c', '.state') == 'failed')
        assert text('c', '.reason') and text('b', '.reason').startswith('it is switched off')
        assert float(text('a', '.fps').rstrip('/s')) >= 0
        browser.run('document.querySelector("[data-name=b] .switch").click()')
        wait_until(lambda: text('b', '.state') == 'live')
        browser.run('document.querySelector("[data-name=b] .switch").click()')
        wait_until(lambda: text('b', '.state') == 'off')
        for key, value, becomes in (('confidence', '0.6', .6), ('iou', '0.3', .3),
                                    ('classes', 'beta, <i>', ['beta', '<i>']), ('interval', '3', 3),
                                    ('privacy', 'blur', 'blur'), ('classes', ' ', None)):
            browser.run(f'const s = document.querySelector("[data-name=a] [data-key={key}]");'
                        f's.value = "{value}"; s.dispatchEvent(new Event("input"));'
                        's.dispatchEvent(new Event("change"))')
            wait_until(lambda: server.camera('a')['settings'].get(key) == becomes)
        # What somebody else sets is shown.
        server.ask('PATCH', 'api/v1/cameras/a', {'confidence': .2, 'classes': ['alpha', 'beta']})
        wait_until(lambda: text('a', 'output') == '0.20' and browser.run(
            'return document.querySelector("[data-name=a] [data-key=classes]").value')
            == 'alpha, beta')
        assert server.camera('a')['connects'] == 1
        for theme in 'dark', 'light':
            if browser.run('return document.documentElement.dataset.theme') != theme:
                browser.run('document.getElementById("theme").click()')
            if browser.run('return document.documentElement.dataset.theme') != theme:
                browser.run('document.getElementById("theme").click()')
            ground = browser.run('return getComputedStyle(document.body).backgroundColor')
            assert (int(re.search(r'\d+', ground)[0]) < 128) == (theme == 'dark'), (theme, ground)
        for identifier in 'show-boxes', 'show-labels', 'show-zones':
            browser.run(f'document.getElementById("{identifier}").click()')
        server.ask('PUT', 'api/v1/cameras/d', {'uri': 'test:bar'})
        wait_until(lambda: text('d', '.state') == 'live')
        server.ask('DELETE', 'api/v1/cameras/d')
        wait_until(lambda: text('d', '.state') is None)
        assert not browser.console(), browser.console()
        # A page that is left is no viewer.
        browser.open('about:blank')
        wait_until(lambda: server.metrics()['yolo_viewers'] == 0)


def the_page_lists_events():
    """With pictures, narrowed by each field of its form, and new ones as they happen."""
    with Server(f'a: {{uri: "test:smpte", zones: {whole_picture_zones()}, {STEADY}}}\n'
                f'b: {{uri: "test:snow", enabled: false, events: [up, down], {STEADY}}}',
                'confidence: 0\n'
                'events: [enter, up, down]\npreview-fps: 2') as server, Browser() as browser:
        find_picture(server)
        browser.open(server.url)
        wait_until(lambda: browser.run('return cards.size') == 2)

        def listed(kind):
            return browser.run(f'return document.querySelectorAll("li[data-kind={kind}]").length')

        def fill(name, value):
            browser.run(f'const e = document.getElementById("filter").elements["{name}"];'
                        f'e.value = "{value}";'
                        'e.dispatchEvent(new Event("input", {bubbles: true}))')
        assert listed('enter') == 0
        browser.run('document.querySelector("#events summary").click()')
        wait_until(lambda: listed('enter') > 0 and listed('up') == 1)
        what = browser.run('return document.querySelector("li[data-kind=enter] .what").textContent')
        assert what == 'a: enter all <b>&', what
        assert browser.run('return document.querySelectorAll("#event-list b").length') == 0
        # A picture, large on a click.
        wait_until(lambda: browser.run(
            'return document.querySelector(".thumb:not([hidden]) img")?.naturalWidth') == 640)
        browser.run('document.querySelector(".thumb:not([hidden])").click()')
        wait_until(lambda: browser.run('return document.querySelector("dialog[open] img")'
                                       '?.naturalWidth') == 640)
        browser.run('document.querySelector("dialog button").click()')
        assert browser.run('return document.querySelector("dialog[open]")') is None
        # What happens now is there without being asked for.
        server.ask('PATCH', 'api/v1/cameras/b', {'enabled': True})
        wait_until(lambda: listed('up') == 2)
        # Each field narrows what those before it left, until the form is cleared.
        for name, value, enters, ups in (('kind', 'up', False, 2), ('camera', 'b', False, 1),
                                         ('from', '2099-01-01T00:00', False, 0),
                                         ('from', '2001-01-01T00:00', False, 1),
                                         ('until', '2001-01-01T00:00', False, 0),
                                         (None, None, True, 2), ('zone', 'all <b>&', True, 0),
                                         ('class', 'none', False, 0)):
            if name is None:
                browser.run('document.querySelector("#filter [type=reset]").click()')
            else:
                fill(name, value)
            wait_until(lambda: (listed('enter') > 0, listed('up')) == (enters, ups), PATIENCE,
                       lambda: f'{name}={value}: {listed("enter")} and {listed("up")}')
            assert browser.run('return document.getElementById("no-events").hidden') \
                == bool(enters or ups)
        assert not browser.console(), browser.console()
        browser.open('about:blank')
        wait_until(lambda: server.metrics()['yolo_viewers'] == 0)


def zones_are_drawn_on_the_page():
    """With the mouse: drawn, named, moved, removed; what is wrong is said and taken back."""
    with Server(f'a: {{uri: "test:ball", {STEADY}}}', 'preview-fps: 2') as server, \
            Browser() as browser:
        server.wait_for('a', 'live')
        browser.open(server.url)
        wait_until(lambda: browser.run(
            'return document.querySelector("[data-name=a]")?.dataset.pictures'))
        board = '#zones-editor canvas'

        def press(selector):
            browser.run(f'document.querySelector("{selector}").click()')

        def zones():
            return server.ask('GET', 'api/v1/cameras/a/zones').json

        def near(points, *places):
            return len(points) == len(places) and all(
                abs(x - u) < .01 and abs(y - v) < .01
                for (x, y), (u, v) in zip(points, places, strict=True))

        def name(kind, text):
            browser.run(f'const e = document.querySelector("li[data-kind={kind}] input");'
                        f'e.value = "{text}"; e.dispatchEvent(new Event("change"))')
        press('[data-name=a] .edit-zones')
        wait_until(lambda: browser.run('return document.querySelector("#zones-editor").open'
                                       f' && document.querySelector("{board}").width') == 640)
        press('.draw-line')
        browser.click(board, (.1, .2), (.8, .3))
        wait_until(lambda: zones().get('lines'))
        assert near(zones()['lines'][0]['points'], (.1, .2), (.8, .3)), zones()
        press('.draw-zone')
        corners = (.3, .4), (.7, .4), (.6, .9)
        browser.click(board, *corners, corners[0])
        wait_until(lambda: zones().get('zones'))
        assert near(zones()['zones'][0]['points'], *corners), zones()
        name('zones', '<b>door')
        wait_until(lambda: zones()['zones'][0]['name'] == '<b>door')
        browser.drag(board, corners[2], (.5, .8))
        wait_until(lambda: near(zones()['zones'][0]['points'], *corners[:2], (.5, .8)))
        name('zones', '')
        wait_until(lambda: browser.run(
            'return document.querySelector("#zones-editor [role=alert]").textContent'))
        wait_until(lambda: browser.run(
            'return document.querySelector("li[data-kind=zones] input").value') == '<b>door')
        assert browser.run('return document.querySelectorAll("#zones-editor b").length') == 0
        press('li[data-kind=lines] button')
        wait_until(lambda: zones()['lines'] == [])
        press('#zones-editor form button')
        assert not browser.run('return document.querySelector("#zones-editor").open')
        assert server.camera('a')['connects'] == 1
        # What was refused is an error of the server's answer, which Chromium notes.
        assert all(' 400 ' in line['message'] for line in browser.console())


def one_script_starts_a_wall():
    if BUILD != os.path.join(TOP, 'build'):
        raise Skip('the script builds into build/, which is not what is tested here')
    fetch('vtest')
    process = subprocess.Popen([os.path.join(TOP, 'pipelines/server.sh')], stdout=subprocess.PIPE,
                               text=True, env={**os.environ, 'MODEL': MODEL},
                               start_new_session=True)
    try:
        url = next(line for line in process.stdout if line.startswith('http')).strip()
        wall = Wall(url)
        for name in 'yard', 'mirror':
            wall.wait_for(name, 'live')
        assert wall.ask('GET', '').body.startswith(b'<!DOCTYPE html>')
        # As Ctrl-C does it. What is left then is found when the case ends.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.communicate()


def there_are_limits():
    with Server('a: {uri: "test:ball"}', server='max-requests: 20\nmax-connections: 5\n'
                'max-viewers: 1') as server:
        host, port = re.match(r'http://(.*):(\d+)/', server.url).groups()
        held = [socket.create_connection((host, int(port)), PATIENCE) for _ in range(5)]
        time.sleep(.2)
        with socket.create_connection((host, int(port)), PATIENCE) as more:
            assert more.recv(1) == b'', 'one more is closed'
        for connection in held:
            connection.close()
        time.sleep(.2)
        server.wait_for('a', 'live')
        time.sleep(1.1)
        page = Page(server.url, '/api/v1/live/a')
        page.receive()
        assert server.ask('GET', 'api/v1/cameras/a/snapshot').status == 503
        page.close()
        answers = [server.ask('GET', 'live').status for _ in range(60)]
        assert 429 in answers and answers[0] == 200, answers
        time.sleep(1.1)
        assert server.ask('GET', 'live').status == 200


def cameras_leave_nothing_behind():
    with Server('a: {uri: "test:ball"}') as server:
        server.wait_for('a', 'live')

        def round_trip():
            for name in 'xyz':
                server.ask('PUT', f'api/v1/cameras/{name}', {'uri': 'test:ball'})
            for name in 'xyz':
                server.wait_for(name, 'live')
                assert server.ask('DELETE', f'api/v1/cameras/{name}').status == 204
            wait_until(lambda: server.metrics()['yolo_pipelines'] == 1)

        for _ in range(2):
            round_trip()
        before = server.metrics()
        for _ in range(4):
            round_trip()
        time.sleep(.5)
        after = server.metrics()
        for name, more in ('process_threads', 3), ('process_open_fds', 3):
            assert after[name] <= before[name] + more, (name, before[name], after[name])
        grown = after['process_resident_memory_bytes'] - before['process_resident_memory_bytes']
        print(f'# {grown / 1e6:.1f} MB more after 12 cameras')
        assert grown < 40e6, grown


def main():
    run_cases([settings_are_checked_before_anything_starts, the_document_has_every_setting,
               an_open_address_wants_a_password, frames_come_and_are_counted,
               a_page_gets_pictures_with_what_is_on_them, mjpeg_goes_on_until_the_viewer_leaves,
               a_camera_that_dies_comes_back, a_camera_that_freezes_is_stalled,
               garbage_is_an_error_and_no_more, a_long_wait_ends_when_the_camera_is_back,
               a_camera_may_speak_http, a_file_loops_or_ends, cameras_change_while_all_run,
               shards_share_the_cameras, deepstream_adds_and_removes, the_file_is_read_again,
               what_is_seen_is_published, events_are_kept_and_found,
               zones_change_while_a_camera_runs, counts_go_on_when_a_camera_comes_back,
               events_are_told_as_they_happen,
               secrets_are_shown_nowhere, who_may_ask, https_is_spoken, what_is_refused,
               the_api_does_what_its_description_says, the_page_shows_all_and_obeys,
               the_page_lists_events, zones_are_drawn_on_the_page,
               one_script_starts_a_wall, there_are_limits, cameras_leave_nothing_behind])


if __name__ == '__main__':
    main()
