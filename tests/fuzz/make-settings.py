#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make-settings.py DATA FOLDER: first inputs of fuzz-settings, each a letter that says what it is
and a text: 'y' a settings file, 'j' what a request sends. DATA is not looked at."""

import os
import sys

TEXTS = (
    'y',
    'yserver: {listen: "127.0.0.1:0", hosts: [a, b], max-cameras: 3}\n'
    'defaults:\n  model: /proc/self/exe\n  confidence: .4\n  classes: [person, "a, b"]\n'
    'cameras:\n  gate: {uri: "rtsp://u:p%40@h:8554/s?a#b", title: "$${x} ${HOME}"}\n'
    '  yard:\n    uri: test:ball\n    enabled: false\n    publish: [a.jsonl, "mqtt://u:p@h/t"]\n',
    'ydefaults: &d {model: /proc/self/exe}\ncameras: {a: *d, b: {<<: *d}}\n',
    'ycameras:\n  a: {uri: test:, model: !!str "\\x00", zones: ~, interval: 1e3}\n---\n',
    'ycameras:\n  ? [a]\n  : |\n    b\n',
    'j{"uri":"rtsp://u:p@h/s","title":"\\u0000","classes":["a",2,true],"interval":null}',
    'j{"confidence":1e400,"enabled":false,"model":"/proc/self/exe","publish":["file:///x"]}',
    'j{"password-file":"x","uri":"/etc/passwd"}',
)

for number, text in enumerate(TEXTS):
    with open(os.path.join(sys.argv[2], f'settings-{number}'), 'w', encoding='utf-8') as file:
        file.write(text)
