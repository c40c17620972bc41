# SPDX-License-Identifier: MIT
"""What the tests of yolo-server share: the program, cameras to test against, HTTP."""

import base64
import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from tap import BUILD, PATIENCE, TOP, Skip, folder, wait_until

PROGRAM = os.path.join(BUILD, 'pipelines/server/yolo-server')
# A test's certificate is signed by nobody.
ANY_NAME = ssl.create_default_context()
ANY_NAME.check_hostname = False
ANY_NAME.verify_mode = ssl.CERT_NONE
MODEL = os.path.join(TOP, 'tests/data/micro.onnx')
LAUNCH = ('( videotestsrc is-live=true pattern={pattern} ! '
          'video/x-raw,format=I420,width={width},height={height},framerate=15/1 ! jpegenc ! '
          'rtpjpegpay name=pay0 )')


def free_port():
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        return taken.getsockname()[1]


class Rtsp:
    """An RTSP server on the loopback; MJPEG, which every frame begins anew, and which needs no
    encoder that a machine may not have. It can die and come back on the same port."""

    def __init__(self, port=None, width=320, height=240, pattern='ball', launch=LAUNCH):
        self.launch = launch
        self.port = port or free_port()
        self.url = f'rtsp://127.0.0.1:{self.port}/camera'
        self.start(width, height, pattern)

    def start(self, width=320, height=240, pattern='ball'):
        launch = self.launch.format(width=width, height=height, pattern=pattern)
        self.process = subprocess.Popen(
            [os.path.join(BUILD, 'tests/pipelines/rtsp-server'), launch, str(self.port)],
            stdout=subprocess.PIPE, text=True)
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], 'no RTSP server'
        assert self.process.stdout.readline().strip() == self.url

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def die(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.returncode is None:
            self.die()


class Garbage:
    """Answers every connection to a port with bytes that are no RTSP."""

    def __init__(self, port):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(('127.0.0.1', port))
        self.socket.listen()
        self.met = 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.socket.accept()[0]
                self.met += 1
                with contextlib.suppress(OSError), connection:
                    connection.settimeout(1)
                    connection.recv(1000)
                    connection.sendall(os.urandom(2000) + b'\r\n\r\n')

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Wall:
    """A yolo-server, by its API."""

    def __init__(self, url):
        self.url = url

    def ask(self, method, path, data=None, headers=(), raw=None):
        body = raw if raw is not None else None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url + path.lstrip('/'), body, dict(headers),
                                         method=method)
        if body is not None and not request.has_header('Content-type'):
            request.add_header('Content-Type', 'application/json')
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=ANY_NAME) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def camera(self, name):
        return self.ask('GET', f'api/v1/cameras/{name}').json

    def wait_for(self, name, state, seconds=PATIENCE):
        """Until the camera is in a state; the seconds that it took."""
        begin = time.monotonic()
        wait_until(lambda: self.camera(name).get('state') == state, seconds,
                   lambda: f'{name} is not {state} but {self.camera(name)}')
        return time.monotonic() - begin

    def metrics(self):
        """{name with labels: number}"""
        text = self.ask('GET', 'metrics').body.decode()
        return {line.rsplit(' ', 1)[0]: float(line.rsplit(' ', 1)[1])
                for line in text.splitlines() if not line.startswith('#')}


class Server(Wall):
    """yolo-server with a settings file of its own."""

    def __init__(self, cameras='', defaults='', server='', options=(), **variables):
        handle, self.path = tempfile.mkstemp('.yaml', dir=folder())
        os.close(handle)
        self.write(cameras, defaults, server)
        self.log = open(self.path + '.log', 'w+', encoding='utf-8')
        self.process = subprocess.Popen(
            [PROGRAM, *options, self.path], stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={**os.environ, **variables})
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], 'the server says nothing'
        super().__init__(self.process.stdout.readline().strip())
        assert self.url.startswith('http'), self.logged()

    def write(self, cameras='', defaults='', server=''):
        """The settings: a line a camera, "name: {uri: ...}"."""
        text = ('server:\n  listen: 127.0.0.1:0\n' + indent(server)
                + f'defaults:\n  model: {MODEL}\n  threads: 1\n  input-size: 64\n'
                + '  reconnect-max: 8\n  stall-after: 1\n' + indent(defaults)
                + 'cameras:\n' + indent(cameras))
        # As an editor does it: a new file in the old one's place.
        with open(self.path + '.new', 'w', encoding='utf-8') as file:
            file.write(text)
        os.rename(self.path + '.new', self.path)

    def logged(self):
        with open(self.path + '.log', encoding='utf-8') as log:
            return log.read()

    def end(self, number=signal.SIGTERM):
        """The seconds that the end took."""
        begin = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.log.close()
        return time.monotonic() - begin

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.returncode is None:
            self.process.kill()
            self.end()
        if error is not None:
            print('# ' + self.logged().replace('\n', '\n# '))


def indent(text):
    return ''.join(f'  {line}\n' for line in text.splitlines())


class Page:
    """The WebSocket of a camera, as the page uses it (RFC 6455)."""

    def __init__(self, url, path, headers=''):
        host = re.match(r'http://([^/]*)', url)[1]
        name, port = host.rsplit(':', 1)
        self.socket = socket.create_connection((name, int(port)), PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f'GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n'
                             f'Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n'
                             f'Sec-WebSocket-Version: 13\r\n{headers}\r\n').encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            byte = self.socket.recv(1)
            if not byte:
                break
            head += byte
        self.status = int(head.split(b' ')[1])

    def exactly(self, n):
        data = b''
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            assert part, 'the connection is closed'
            data += part
        return data

    def receive(self):
        """(opcode, bytes) of the next message"""
        first, length = self.exactly(2)
        if length == 126:
            length = struct.unpack('>H', self.exactly(2))[0]
        elif length == 127:
            length = struct.unpack('>Q', self.exactly(8))[0]
        return first & 15, self.exactly(length)

    def send(self, text):
        mask = os.urandom(4)
        data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text.encode()))
        self.socket.sendall(bytes((0x81, 0x80 | len(data))) + mask + data)

    def close(self):
        self.socket.close()


class Browser:
    """Chromium without a window, by the WebDriver protocol (W3C)."""

    def __init__(self):
        for program in 'chromium', 'chromedriver':
            if not shutil.which(program):
                raise Skip(f'{program} is not installed (apt install chromium chromium-driver)')
        self.port = free_port()
        self.process = subprocess.Popen(['chromedriver', f'--port={self.port}'],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = None
        wait_until(self.is_ready, PATIENCE, lambda: 'chromedriver does not start')
        options = {'args': ['--headless=new', '--no-sandbox', '--disable-gpu',
                            '--disable-dev-shm-usage', '--window-size=1300,900']}
        self.session = self.ask('POST', '/session', {'capabilities': {'alwaysMatch': {
            'goog:loggingPrefs': {'browser': 'ALL'}, 'goog:chromeOptions': options}}})['sessionId']

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.ask('GET', '/status')['ready']
        return False

    def ask(self, method, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f'http://127.0.0.1:{self.port}{path}', body,
                                         {'Content-Type': 'application/json'}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)['value']

    def open(self, url):
        self.ask('POST', f'/session/{self.session}/url', {'url': url})

    def run(self, script):
        return self.ask('POST', f'/session/{self.session}/execute/sync',
                        {'script': script, 'args': []})

    def click(self, selector, *places):
        """Clicks with the mouse on places of an element, given as shares of its size."""
        self.mouse(selector, *((place, ('Down', 'Up')) for place in places))

    def drag(self, selector, start, end):
        self.mouse(selector, (start, ('Down',)), (end, ('Up',)))

    def mouse(self, selector, *steps):
        left, top, width, height = self.run(
            f'const r = document.querySelector("{selector}").getBoundingClientRect();'
            'return [r.left, r.top, r.width, r.height]')
        actions = []
        for (x, y), does in steps:
            actions.append({'type': 'pointerMove', 'duration': 0, 'x': round(left + x * width),
                            'y': round(top + y * height)})
            actions += [{'type': 'pointer' + what, 'button': 0} for what in does]
        self.ask('POST', f'/session/{self.session}/actions', {'actions': [
            {'type': 'pointer', 'id': 'mouse', 'parameters': {'pointerType': 'mouse'},
             'actions': actions}]})

    def screenshot(self, path):
        """Writes a PNG file, for somebody who wants to look."""
        picture = self.ask('GET', f'/session/{self.session}/screenshot')
        with open(path, 'wb') as file:
            file.write(base64.b64decode(picture))

    def console(self):
        """What a page has to complain of."""
        return self.ask('POST', f'/session/{self.session}/se/log', {'type': 'browser'})

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.session:
            with contextlib.suppress(OSError):
                self.ask('DELETE', f'/session/{self.session}')
        self.process.terminate()
        self.process.wait()
