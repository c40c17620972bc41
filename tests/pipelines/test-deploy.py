#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What deploy/ has for several servers is right: manifests of Kubernetes by its schemas, settings
by yolo-server. tests/deploy.sh makes the image and runs it."""

import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'server'))
from tap import PATIENCE, TOP, Skip, folder, run_cases, with_packages
from wall import MODEL, PROGRAM

DEPLOY = os.path.join(TOP, 'deploy')
KUBERNETES = os.path.join(DEPLOY, 'kubernetes')

# Run by a Python that has the packages: the documents of standard input, against their schemas.
VALIDATE = '''
import sys, yaml, kubernetes_validate as k
for document in yaml.safe_load_all(sys.stdin):
    if '.coreos.com/' in document['apiVersion']:
        assert document['spec']['podMetricsEndpoints'][0]['port'] == 'http', document
    else:
        k.validate(document, k.latest_version(), strict=True)
    print(document['kind'])
'''
TO_JSON = 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)'


def with_validator():
    return with_packages('kubernetes-venv', 'import yaml, kubernetes_validate',
                         'kubernetes-validate', 'pyyaml')


def render(name):
    """A kustomization as it is sent to a cluster."""
    path = os.path.join(KUBERNETES, name)
    for command in ['kubectl', 'kustomize', path], ['kustomize', 'build', path]:
        if shutil.which(command[0]):
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True, check=False, timeout=PATIENCE)
            assert result.returncode == 0, result.stderr
            return result.stdout
    raise Skip('neither kubectl nor kustomize is installed')


def read_yaml(path):
    with open(path, encoding='utf-8') as file:
        result = subprocess.run([with_validator(), '-c', TO_JSON], stdin=file, check=True,
                                stdout=subprocess.PIPE)
    return json.loads(result.stdout)


def manifests_fit_their_schemas():
    python = with_validator()
    for name in 'base', 'gpu', 'group':
        result = subprocess.run([python, '-c', VALIDATE], input=render(name), text=True,
                                check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert result.returncode == 0, f'{name}: {result.stdout}'
        kinds = result.stdout.split()
        assert {'StatefulSet', 'Service', 'NetworkPolicy', 'Secret'} <= set(kinds), kinds


def a_wrong_manifest_does_not_fit():
    result = subprocess.run([with_validator(), '-c', VALIDATE], text=True, check=False,
                            input=render('base').replace('periodSeconds: 10', 'periodSecond: 10'),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode != 0 and 'periodSecond' in result.stdout, result.stdout


def all_resources_are_named():
    """Without a program for it: a file that nobody names, and a name without a file."""
    for name in os.listdir(KUBERNETES):
        path = os.path.join(KUBERNETES, name)
        whole = read_yaml(os.path.join(path, 'kustomization.yaml'))
        named = set(whole['resources'])
        for generator in whole.get('configMapGenerator', []) + whole.get('secretGenerator', []):
            named |= set(generator.get('files', [])) | set(generator.get('envs', []))
        there = set(os.listdir(path)) - {'kustomization.yaml'}
        assert there == {n for n in named if not n.startswith('..')}, (name, there, named)
        assert all(os.path.exists(os.path.join(path, n)) for n in named), (name, named)


def shards_are_as_many_as_replicas():
    text = render('base')
    replicas, = re.findall(r'replicas: (\d+)', text)
    shards, = re.findall(r'name: SHARDS\s+value: "(\d+)"', text)
    assert replicas == shards, (replicas, shards)


def compose_names_what_is_there():
    path = os.path.join(DEPLOY, 'compose')
    if (shutil.which('docker')
            and subprocess.run(['docker', 'compose', 'version'], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, check=False).returncode == 0):
        result = subprocess.run(['docker', 'compose', '-f', os.path.join(path, 'compose.yaml'),
                                 'config', '--quiet'], text=True, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env={**os.environ, 'YOLO_TOKEN': 'token'})
        assert result.returncode == 0, result.stdout
    whole = read_yaml(os.path.join(path, 'compose.yaml'))
    for name, service in whole['services'].items():
        for other in service.get('depends_on', []):
            assert other in whole['services'], (name, other)
        for volume in service.get('volumes', []):
            source = volume.split(':')[0]
            assert (os.path.exists(os.path.join(path, source)) if source.startswith('.')
                    else source in whole['volumes']), (name, source)


def settings_are_right():
    for name in 'compose/yolo/cameras.yaml', 'kubernetes/base/cameras.yaml':
        path = os.path.join(folder(), 'cameras.yaml')
        with open(os.path.join(DEPLOY, name), encoding='utf-8') as file:
            text = file.read()
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.replace('/models/model.onnx', MODEL))
        result = subprocess.run([PROGRAM, '--check', path], text=True, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env={**os.environ, 'YOLO_TOKEN': 'token',
                                     'CAMERA_PASSWORD': 'password'})
        assert result.returncode == 0, result.stdout


if __name__ == '__main__':
    run_cases([manifests_fit_their_schemas, a_wrong_manifest_does_not_fit, all_resources_are_named,
               shards_are_as_many_as_replicas, compose_names_what_is_there, settings_are_right])
