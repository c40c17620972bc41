#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What watches yolo-server: Prometheus with its alerts, Grafana's dashboard, Home Assistant."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'server'))
from tap import PATIENCE, TOP, Skip, folder, run_cases, wait_until
from wall import Rtsp, Server, free_port

MONITOR = os.path.join(TOP, 'pipelines/server/monitor')
STEADY = 'stall-after: 600'
# What a name of a metric is in PromQL; functions have a parenthesis behind them.
METRIC = re.compile(r'\b((?:yolo|process)_[a-z_]+)\b(?!\s*\()')


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f'{program} is not installed')


def zones(name='all'):
    """A file of a zone that everything is in."""
    path = os.path.join(folder(), 'zones.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({'zones': [{'name': name, 'points': [[0, 0], [1, 0], [1, 1], [0, 1]]}]}, file)
    return path


def metric_names(text):
    """The names that a page of metrics has lines for."""
    return {re.match(r'[a-z_]+', line)[0] for line in text.splitlines()
            if not line.startswith('#')}


def rtspsrc_tells_time():
    text = subprocess.run(['gst-inspect-1.0', 'rtspsrc'], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    return 'add-reference-timestamp-meta' in text


def latencies_are_measured():
    """From when a frame was made, which an RTSP camera tells by its sender reports."""
    with Rtsp(pattern='smpte') as rtsp, Server(
            f'a: {{uri: "{rtsp.url}", zones: {zones()}, {STEADY}}}\n'
            f'b: {{uri: "test:smpte", zones: {zones()}, {STEADY}}}\n'
            f'c: {{uri: "test:smpte", events: [up], {STEADY}}}', 'confidence: 0') as server:
        if rtspsrc_tells_time():
            wait_until(lambda: server.camera('a')['latency_from'] == 'camera')
        for name in 'ab':
            wait_until(lambda: server.camera(name)['events_latency_median'] is not None)
        wait_until(lambda: server.camera('c')['inferred'] > 5)
        cameras = {name: server.camera(name) for name in 'abc'}
        metrics = server.metrics()
        for name, camera in cameras.items():
            for what in ('objects', 'events') if name != 'c' else ('objects',):
                median, p95 = (camera[f'{what}_latency_{part}'] for part in ('median', 'p95'))
                assert 0 < median <= p95 < 10, (name, what, median, p95)
                label = f'yolo_{what}_latency_seconds_%s{{camera="{name}"}}'
                count, total = metrics[label % 'count'], metrics[label % 'sum']
                assert count > 0 and 0 < total / count < 10, (name, count, total)
                print(f'# {name}: {what} after {median * 1000:.0f} ms, '
                      f'95 % within {p95 * 1000:.0f} ms')
        assert cameras['b']['latency_from'] == 'arrival', cameras['b']
        assert cameras['c']['events_latency_median'] is None, cameras['c']
        assert metrics['yolo_events_latency_seconds_count{camera="c"}'] == 0
        # A frame is made before it comes out of the decoder.
        decoded = metrics['yolo_latency_seconds_sum{camera="b"}']
        assert metrics['yolo_objects_latency_seconds_sum{camera="b"}'] >= decoded, metrics


class Prometheus:
    """Debian's, on a port of its own, which asks a server every second."""

    def __init__(self, server):
        needs('prometheus', 'promtool')
        where = folder()
        self.port = free_port()
        address = re.match(r'http://([^/]*)', server.url)[1]
        path = os.path.join(where, 'prometheus.yml')
        with open(path, 'w', encoding='utf-8') as file:
            file.write('global: {scrape_interval: 1s, evaluation_interval: 1s}\n'
                       f'rule_files: ["{MONITOR}/alerts.yaml"]\n'
                       'scrape_configs:\n  - job_name: yolo\n    static_configs:\n'
                       f'      - targets: ["{address}"]\n')
        checked = subprocess.run(['promtool', 'check', 'config', path], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, check=False)
        assert checked.returncode == 0, checked.stdout
        self.log = open(os.path.join(where, 'prometheus.log'), 'w+', encoding='utf-8')
        self.process = subprocess.Popen(
            ['prometheus', f'--config.file={path}', f'--storage.tsdb.path={where}/tsdb',
             f'--web.listen-address=127.0.0.1:{self.port}'], stdout=self.log, stderr=self.log)

    def ask(self, path, **query):
        url = f'http://127.0.0.1:{self.port}/api/v1/{path}?' + urllib.parse.urlencode(query)
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.load(answer)['data']

    def value(self, expression):
        """{labels: number}; None: it does not answer yet"""
        try:
            found = self.ask('query', query=expression)['result']
        except OSError:
            assert self.process.poll() is None, 'prometheus has ended'
            return None
        return {json.dumps(series['metric']): float(series['value'][1]) for series in found}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        self.log.close()


def prometheus_takes_the_metrics():
    needs('prometheus', 'promtool')
    with Server(f'a: {{uri: "test:ball", {STEADY}}}\nb: {{uri: "rtsp://127.0.0.1:1/"}}') as server:
        wait_until(lambda: server.camera('a')['inferred'] > 10)
        page = server.ask('GET', 'metrics').body
        checked = subprocess.run(['promtool', 'check', 'metrics'], input=page, check=False,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert checked.returncode == 0 and not checked.stdout, checked.stdout.decode()
        with Prometheus(server) as prometheus:
            wait_until(lambda: prometheus.value('up{job="yolo"} == 1'))
            wait_until(lambda: prometheus.value('yolo_frames_inferred_total{camera="a"} > 10'))
            first = list(prometheus.value('yolo_frames_inferred_total{camera="a"}').values())[0]
            wait_until(lambda: prometheus.value(
                f'yolo_frames_inferred_total{{camera="a"}} > {first}'))
            known = set(prometheus.ask('label/__name__/values'))
            assert metric_names(page.decode()) <= known, metric_names(page.decode()) - known
            # Each line of the dashboard and of the alerts is one that Prometheus computes.
            for expression in dashboard_expressions():
                assert prometheus.value(expression) is not None, expression
            rules = prometheus.ask('rules')['groups'][0]['rules']
            wait_until(lambda: all(rule['health'] == 'ok'
                                   for rule in prometheus.ask('rules')['groups'][0]['rules']))
            assert len(rules) >= 5, rules
            wait_until(lambda: any(
                alert['labels'] == {**alert['labels'], 'alertname': 'CameraDown', 'camera': 'b'}
                for alert in prometheus.ask('alerts')['alerts']))
            assert not any(alert['labels'].get('camera') == 'a'
                           for alert in prometheus.ask('alerts')['alerts'])


def dashboard():
    with open(os.path.join(MONITOR, 'grafana.json'), encoding='utf-8') as file:
        return json.load(file)


def dashboard_expressions():
    """What its panels ask, with Grafana's variables replaced as Grafana would do it."""
    for panel in dashboard()['panels']:
        for target in panel['targets']:
            yield (target['expr'].replace('$__rate_interval', '1m').replace('$__range', '1h')
                   .replace('$camera', '.*'))


def the_dashboard_asks_for_what_there_is():
    """Its form is Grafana's, and each name in it and in the alerts is one of the metrics'."""
    board = dashboard()
    assert board['schemaVersion'] >= 30 and board['title'] and board['uid'], board
    variables = {variable['name'] for variable in board['templating']['list']}
    places = []
    for panel in board['panels']:
        assert panel['type'] in ('stat', 'timeseries') and panel['title'], panel
        place = panel['gridPos']
        assert 0 <= place['x'] and place['x'] + place['w'] <= 24 and place['h'] > 0, place
        places += [(place['x'] + x, place['y'] + y)
                   for x in range(place['w']) for y in range(place['h'])]
        refs = [target['refId'] for target in panel['targets']]
        assert refs and len(refs) == len(set(refs)), panel
        for target in panel['targets']:
            used = set(re.findall(r'\$(?!__)\{?(\w+)', json.dumps(target)))
            assert used <= variables, (panel['title'], used)
    assert len(places) == len(set(places)), 'panels lie on each other'
    numbers = [panel['id'] for panel in board['panels']]
    assert len(numbers) == len(set(numbers)), numbers
    with open(os.path.join(MONITOR, 'alerts.yaml'), encoding='utf-8') as file:
        alerts = re.findall(r'expr: (.*(?:\n {10}.*)*)', file.read())
    asked = set()
    for expression in list(dashboard_expressions()) + alerts:
        asked |= set(METRIC.findall(expression))
    for variable in board['templating']['list']:
        asked |= set(METRIC.findall(variable.get('definition', '')))
    assert len(alerts) >= 5 and len(asked) > 10, (alerts, asked)
    with Server(f'a: {{uri: "test:ball", {STEADY}}}') as server:
        server.wait_for('a', 'live')
        names = metric_names(server.ask('GET', 'metrics').body.decode())
        assert asked <= names, asked - names


def the_alerts_are_rules():
    needs('promtool')
    checked = subprocess.run(['promtool', 'check', 'rules', os.path.join(MONITOR, 'alerts.yaml')],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
    assert checked.returncode == 0, checked.stdout


class Mosquitto:
    """A broker, and what it has."""

    def __init__(self):
        needs('mosquitto', 'mosquitto_sub')
        self.port = free_port()
        path = os.path.join(folder(), 'mosquitto.conf')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'listener {self.port} 127.0.0.1\nallow_anonymous true\n')
        self.process = subprocess.Popen(['mosquitto', '-c', path], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def retained(self):
        """{topic: text} of what the broker gives to who comes now"""
        said = subprocess.run(
            ['mosquitto_sub', '-h', '127.0.0.1', '-p', str(self.port), '-t', '#', '-v',
             '--retained-only', '-W', '2'], stdout=subprocess.PIPE, text=True, check=False,
            stderr=subprocess.DEVNULL).stdout
        return dict(line.split(' ', 1) for line in said.splitlines() if ' ' in line)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()


def home_assistant_finds_the_cameras():
    with Mosquitto() as broker:
        publish = (f'publish: ["mqtt://127.0.0.1:{broker.port}/yolo"], publish-format: frigate, '
                   f'home-assistant: homeassistant, confidence: 0, {STEADY}')
        with Server(f'door: {{uri: "test:smpte", zones: {zones("step")}, {publish}}}\n'
                    f'yard: {{uri: "test:smpte", {publish}}}') as server:
            wanted = ('homeassistant/binary_sensor/yolo_door/connected/config',
                      'homeassistant/binary_sensor/yolo_yard/connected/config',
                      'homeassistant/sensor/yolo_door/all_count/config',
                      'homeassistant/sensor/yolo_step/all_count/config',
                      'homeassistant/sensor/yolo_yard/all_count/config',
                      'yolo/door/available', 'yolo/yard/available', 'yolo/step/all')
            found = {}
            wait_until(lambda: found.update(broker.retained()) or set(wanted) <= set(found),
                       PATIENCE, lambda: f'there are {sorted(found)}')
            identifiers = set()
            for topic, text in found.items():
                if not topic.startswith('homeassistant/'):
                    continue
                entity = json.loads(text)
                assert entity['unique_id'] not in identifiers, topic
                identifiers.add(entity['unique_id'])
                assert entity['device']['identifiers'] and entity['device']['name'], topic
                # What it says there is said there.
                if entity['state_topic'] not in found:
                    wait_until(lambda: found.update(broker.retained())
                               or entity['state_topic'] in found)
            connected = json.loads(found['homeassistant/binary_sensor/yolo_door/connected/config'])
            assert connected['state_topic'] == 'yolo/door/available', connected
            assert connected['device_class'] == 'connectivity', connected
            assert found['yolo/door/available'] == connected['payload_on'] == 'online', found
            counts = json.loads(found['homeassistant/sensor/yolo_step/all_count/config'])
            assert counts['state_topic'] == 'yolo/step/all', counts
            assert counts['availability_topic'] == 'yolo/door/available', counts
            assert int(found['yolo/step/all']) >= 0, found
            # A camera that is switched off is gone, and the other one is not.
            server.ask('PATCH', 'api/v1/cameras/door', {'enabled': False})
            wait_until(lambda: broker.retained()['yolo/door/available'] == 'offline')
            assert broker.retained()['yolo/yard/available'] == 'online'
            server.end()
        wait_until(lambda: broker.retained()['yolo/yard/available'] == 'offline')


def main():
    run_cases([latencies_are_measured, prometheus_takes_the_metrics,
               the_dashboard_asks_for_what_there_is, the_alerts_are_rules,
               home_assistant_finds_the_cameras])


if __name__ == '__main__':
    main()
