#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""yolo-server's API, asked for by Schemathesis with thousands of requests that it makes out of the
description: no answer may be other than described, none may be an error of the server's."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'server'))
from tap import PATIENCE, folder, run_cases, with_packages
from wall import Server

# What makes no sense for other reasons than its form, such as a camera without a URI, is refused.
LEFT_OUT = 'positive_data_acceptance'
# Pictures without an end, and WebSockets.
ENDLESS = 'mjpeg|/live/|/live-events'


def the_description_holds_for_all_requests():
    python = with_packages('schemathesis-venv', 'import schemathesis', 'schemathesis')
    # Where a machine is busy the camera is not to be stalled.
    with Server('a: {uri: "test:ball", stall-after: 600}',
                server='max-requests: 100000\nwatch: false') as server:
        result = subprocess.run(
            [os.path.join(os.path.dirname(python), 'schemathesis'), 'run',
             server.url + 'api/v1/openapi.json', '--url', server.url.rstrip('/'),
             '--exclude-path-regex', ENDLESS, '--exclude-checks', LEFT_OUT,
             '--max-examples', '100', '--seed', '1', '--no-color'],
            cwd=folder(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=PATIENCE)
        assert result.returncode == 0, result.stdout
        print(f'# {result.stdout.splitlines()[-1].strip("= ")}')
        assert server.ask('GET', 'live').status == 200


def main():
    run_cases([the_description_holds_for_all_requests])


if __name__ == '__main__':
    main()
