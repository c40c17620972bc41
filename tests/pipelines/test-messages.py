#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The lines of the documents that need a broker run as they stand, but for the broker's port, with
a real mosquitto and redis-server, or the brokers that librdkafka has for tests; and what is sent
arrives."""

import functools
import glob
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import BUILD, TOP, Skip, folder, run_cases, wait_until

BROKER = re.compile(r'location=(mqtts?|kafka|redis)://')


def load_readme():
    """What runs a line, in the test of the other lines."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'test-readme.py')
    spec = importlib.util.spec_from_file_location('readme', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines():
    """[(line of gst-launch-1.0, line of who listens, line of who looks afterwards)]"""
    found, listener = [], None
    documents = sorted(glob.glob(os.path.join(TOP, 'docs/*.md')))
    for path in [os.path.join(TOP, 'README.md')] + documents:
        with open(path, encoding='utf-8') as document:
            for line in re.findall(r'^    ((?:gst-launch-1\.0|mosquitto_sub|redis-cli) .*)$',
                                   document.read(), re.M):
                if line.startswith('mosquitto_sub'):
                    listener = line
                elif line.startswith('redis-cli'):
                    found[-1][2] = line
                elif BROKER.search(line):
                    found.append([line, listener, None])
                    listener = None
    assert len(found) > 5 and any(f[1] for f in found) and any(f[2] for f in found), found
    return found


def program(name):
    path = shutil.which(name, path=os.environ['PATH'] + ':/usr/sbin:/usr/local/sbin')
    if path is None:
        raise Skip(f'there is no {name}: install it')
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


class Server:
    """A broker on a port of its own, while a case runs."""

    def __init__(self, *command, port=None):
        self.port = port or free_port()
        self.process = subprocess.Popen([word.replace('PORT', str(self.port)) for word in command],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        wait_until(lambda: listens(self.port), 60)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def mosquitto(tls):
    """With a certificate that the line names as ca.pem, where it asks for one."""
    port = free_port()
    path = os.path.join(folder(), 'mosquitto.conf')
    text = f'listener {port} localhost\nallow_anonymous true\n'
    if tls:
        key, certificate = os.path.join(folder(), 'key.pem'), os.path.join(folder(), 'ca.pem')
        subprocess.run([program('openssl'), 'req', '-x509', '-newkey', 'rsa:2048', '-nodes',
                        '-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out',
                        certificate],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        os.chmod(folder(), 0o755)
        os.chmod(key, 0o644)    # mosquitto becomes another user when root starts it
        text += f'certfile {certificate}\nkeyfile {key}\n'
        with open(os.path.join(folder(), 'secret'), 'w', encoding='utf-8') as file:
            file.write('sesame\n')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return Server(program('mosquitto'), '-c', path, port=port)


def run_sending(readme, line):
    """Runs a line that sends; nothing may be told of that went wrong."""
    shell = readme.shell

    def watched(*arguments, **variables):
        result = shell(*arguments, **variables)
        assert 'WARNING' not in result.stdout, result.stdout
        return result

    readme.shell = watched
    try:
        readme.run_line(line)
    finally:
        readme.shell = shell


class Listener:
    """A line of mosquitto_sub that listens, while a case runs."""

    def __init__(self, line, port):
        words = line.replace('mosquitto_sub', program('mosquitto_sub'), 1)
        self.log = os.path.join(folder(), 'heard')
        with open(self.log, 'w', encoding='utf-8') as heard:
            # -d says when it listens, in a buffer unless stdbuf forbids that
            self.process = subprocess.Popen(
                ['bash', '-c', f'exec stdbuf -oL {words} -p {port} -d'], stdout=heard,
                stderr=subprocess.STDOUT)

    def heard(self):
        with open(self.log, encoding='utf-8') as file:
            return file.read()

    def __enter__(self):
        wait_until(lambda: 'SUBACK' in self.heard() or 'Subscribed' in self.heard(), 60)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def over_mqtt(readme, line, listener):
    with mosquitto('mqtts:' in line) as server:
        line = line.replace('localhost', f'localhost:{server.port}')
        if listener is None:
            run_sending(readme, line)
            return
        topic = re.search(r'location=mqtts?://[^/]+/(\S+)', line)[1]
        last = f'{topic}/available offline' if 'frigate' in line else f'{topic} {{'
        with Listener(listener, server.port) as ears:
            run_sending(readme, line)
            wait_until(lambda: last in ears.heard(), 60)
            check_heard(ears.heard(), topic, 'frigate' in line)


def what_was_seen_outlives_kill():
    """A process that is killed while no broker is there leaves what it saw to the next one."""
    need('MQTT', 'libmosquitto', 'sqlite3')
    spool = os.path.join(folder(), 'killed.spool')
    port = free_port()
    line = ['gst-launch-1.0', '-q', 'videotestsrc', 'is-live=true', '!', 'yoloexport',
            f'location=mqtt://localhost:{port}/cameras/door', f'spool-location={spool}',
            'stream=door', '!', 'fakesink']
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        # a transaction is some pages of 4 kB
        wait_until(lambda: os.path.exists(spool + '-wal')
                   and os.path.getsize(spool + '-wal') > 300000, 60)
        killed.kill()
    line.insert(4, 'num-buffers=1')
    with Server(program('mosquitto'), '-p', 'PORT', port=port):
        with Listener("mosquitto_sub -h localhost -t 'cameras/#' -v", port) as ears:
            subprocess.run(line, check=True)
            wait_until(lambda: ears.heard().count('"frame":0,') == 2, 60)
            frames = [int(n) for n in re.findall(r'"frame":(\d+),', ears.heard())]
    assert len(frames) > 10 and frames == [*range(len(frames) - 1), 0], frames


def check_heard(text, topic, is_frigate):
    if is_frigate:
        assert f'{topic}/available online' in text, text
        assert re.search(rf'^{topic}/door/all \d+$', text, re.M), text
        return
    records = [json.loads(found) for found in re.findall(rf'^{topic} (\{{.*)$', text, re.M)]
    assert [r['frame'] for r in records] == list(range(len(records))), text
    assert records and all(r['stream'] == 'door' for r in records), text


def over_redis(readme, line, look):
    with Server(program('redis-server'), '--port', 'PORT', '--bind', '127.0.0.1', '--save', '',
                '--dir', folder()) as server:
        run_sending(readme, line.replace('localhost', f'localhost:{server.port}'))
        if look:
            words = look.replace('redis-cli', f'{program("redis-cli")} -p {server.port}', 1)
            seen = subprocess.run(['bash', '-c', words], stdout=subprocess.PIPE, check=True,
                                  text=True).stdout
            assert 'door' in seen and '"objects"' in seen, seen


def need(what, *libraries):
    """Skips where the build is without one of these."""
    with open(os.path.join(BUILD, 'meson-info', 'intro-dependencies.json'),
              encoding='utf-8') as file:
        names = {d['name'] for d in json.load(file)}
    if not names.issuperset(libraries):
        raise Skip(f'this build has no {what}, or no spool')


def run(readme, line, listener, look):
    scheme = BROKER.search(line)[1]
    needed = {'mqtt': 'MQTT', 'mqtts': 'MQTT', 'kafka': 'Kafka', 'redis': 'Redis'}[scheme]
    library = {'MQTT': 'libmosquitto', 'Kafka': 'rdkafka', 'Redis': 'hiredis'}[needed]
    need(needed, library, *(['sqlite3'] if 'spool-location' in line else []))
    if scheme == 'kafka':
        run_sending(readme, line.replace(
            ' stream=', ' broker-options=test.mock.num.brokers=1 stream='))
    elif scheme == 'redis':
        over_redis(readme, line, look)
    else:
        over_mqtt(readme, line, listener)


def main():
    os.environ['GST_PLUGIN_PATH'] = os.path.join(BUILD, 'gst-plugin')
    readme = load_readme()
    cases = []
    for line, listener, look in lines():
        case = functools.partial(run, readme, line, listener, look)
        case.title = line[line.index('yoloexport'):][:110]
        cases.append(case)
    run_cases(cases + [what_was_seen_outlives_kill])


if __name__ == '__main__':
    main()
